//! What is asked for when, and what is handed on.

use crate::world::{FakeProvider, MONDAY, World, at, bar, minute, symbol};
use jiff::SignedDuration;
use qqq_core::market::calendar::Market;
use qqq_core::market::watchlist::FormerSymbol;
use qqq_core::{Bar, Second, Split, Watchlist};
use qqq_engine::detect::Step;
use qqq_engine::failover::FeedRole;
use qqq_engine::poller::Poller;
use qqq_engine::schedule::RE_ASK;
use qqq_feed::{FeedError, FeedErrorKind, StreamEvent};
use qqq_store::{BarRecord, Batch};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const INTERVAL: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

async fn poller(world: &World, provider: &Arc<FakeProvider>) -> (Poller, mpsc::Receiver<Step>) {
    let (ingest, taken) = world.ingest();
    let provider = Arc::clone(provider) as Arc<dyn qqq_feed::Provider>;
    (Poller::new(ingest, provider, &*world.store, INTERVAL, DAY).await.unwrap(), taken)
}

/// Runs a poller that is on air for good, and whose reports nobody reads.
fn alone(poller: Poller, stream: bool, stop: &CancellationToken) -> JoinHandle<anyhow::Result<()>> {
    let (duty, told) = watch::channel(FeedRole::Active);
    let (report, _) = mpsc::channel(1);
    let running = poller.run(stream, told, (0, report), stop.clone());
    tokio::spawn(async move {
        let _duty = duty;
        running.await
    })
}

fn transient() -> FeedError {
    FeedError::new(FeedErrorKind::Transient, "503 Service Unavailable")
}

fn taken(steps: &mut mpsc::Receiver<Step>) -> (Vec<Bar>, Option<String>) {
    let (mut bars, mut problem) = (Vec::new(), None);
    while let Ok(step) = steps.try_recv() {
        bars.extend(step.bars);
        problem = step.feed.problem;
    }
    (bars, problem)
}

#[tokio::test]
async fn an_empty_store_asks_for_a_day_and_then_for_the_last_minutes() {
    let world = World::new(Market::Xnas).await;
    let provider = FakeProvider::new();
    let (mut poller, _steps) = poller(&world, &provider).await;
    let stop = CancellationToken::new();

    poller.poll(&stop).await.unwrap();
    let asked = provider.asked();
    assert_eq!(asked.first().unwrap().1.start, minute("2025-01-26T15:00:00Z"));
    assert_eq!(asked.last().unwrap().1.end, minute(MONDAY), "the running minute is not complete");

    world.clock.set(at("2025-01-27T15:01:03Z"));
    poller.poll(&stop).await.unwrap();
    let now = minute("2025-01-27T15:01:00Z");
    assert_eq!(provider.asked(), [(world.watchlist.symbols().to_vec(), now.plus_minutes(-1 - RE_ASK)..now)]);
}

#[tokio::test]
async fn after_an_outage_the_gap_is_asked_for_from_the_last_good_poll() {
    let world = World::new(Market::Xnas).await;
    let provider = FakeProvider::new();
    let (mut poller, mut steps) = poller(&world, &provider).await;
    let stop = CancellationToken::new();
    poller.poll(&stop).await.unwrap();

    *provider.failure.lock().unwrap() = Some(transient());
    for text in ["2025-01-27T15:01:03Z", "2025-01-27T15:30:03Z"] {
        world.clock.set(at(text));
        assert!(poller.poll(&stop).await.is_err());
    }
    let (_, problem) = taken(&mut steps);
    assert_eq!(
        problem.as_deref(),
        Some("fake cannot be reached or fails"),
        "readers must see that the feed is down"
    );

    *provider.failure.lock().unwrap() = None;
    provider.asked();
    world.clock.set(at("2025-01-27T15:45:03Z"));
    poller.poll(&stop).await.unwrap();
    assert_eq!(provider.asked()[0].1, minute(MONDAY).plus_minutes(-RE_ASK)..minute("2025-01-27T15:45:00Z"));
}

#[tokio::test]
async fn after_a_restart_the_store_says_where_to_go_on() {
    let world = World::new(Market::Xnas).await;
    let newest = minute("2025-01-27T14:50:00Z");
    let batch = Batch {
        bars: vec![BarRecord { bar: bar("AAPL", newest, 10_000, 5), revision: 0 }],
        ..Batch::default()
    };
    world.store.commit(&batch, at(MONDAY)).await.unwrap();
    let provider = FakeProvider::new();
    let (mut poller, _steps) = poller(&world, &provider).await;
    poller.poll(&CancellationToken::new()).await.unwrap();
    let from = |name: &str| {
        let asked = provider.asked.lock().unwrap();
        asked
            .iter()
            .filter(|(symbols, _)| symbols.contains(&symbol(name)))
            .map(|(_, range)| range.start)
            .min()
    };
    let session = minute("2025-01-27T14:30:00Z");
    assert_eq!(from("AAPL"), Some(session), "a stream may have brought the newest bar across a hole");
    assert_eq!(from("NVDA"), Some(minute("2025-01-26T15:00:00Z")), "a symbol never seen gets its day");
}

#[tokio::test]
async fn a_providers_bars_go_to_whom_the_ticker_belonged_to_on_its_day() {
    let mut world = World::new(Market::Always).await;
    let alias =
        FormerSymbol { former: symbol("NVDA"), current: symbol("AAPL"), until: "2025-01-27".parse().ok() };
    // Monday begins at five o'clock.
    let (sunday, monday) = (minute("2025-01-27T04:59:00Z"), minute("2025-01-27T05:00:00Z"));
    for (tracked, told) in
        [(&["AAPL", "NVDA"][..], &[("AAPL", sunday), ("NVDA", monday)][..]), (&["NVDA"], &[("NVDA", monday)])]
    {
        world.watchlist = Arc::new(Watchlist::new(tracked.iter().map(|name| symbol(name)), [alias]).unwrap());
        let provider = FakeProvider::new();
        *provider.bars.lock().unwrap() = vec![bar("NVDA", sunday, 10_000, 5), bar("NVDA", monday, 20_000, 5)];
        let (mut poller, mut steps) = poller(&world, &provider).await;
        poller.poll(&CancellationToken::new()).await.unwrap();
        let (bars, _) = taken(&mut steps);
        let found: Vec<_> = bars.iter().map(|bar| (bar.symbol.as_str(), bar.start)).collect();
        assert_eq!(found, told);
    }
}

#[tokio::test]
async fn a_symbol_that_failed_is_asked_for_again_from_where_it_failed() {
    let world = World::new(Market::Xnas).await;
    let provider = FakeProvider::new();
    let (mut poller, mut steps) = poller(&world, &provider).await;
    let stop = CancellationToken::new();
    poller.poll(&stop).await.unwrap();
    *provider.failed.lock().unwrap() = vec![(symbol("NVDA"), transient())];
    world.clock.set(at("2025-01-27T15:10:03Z"));
    assert!(poller.poll(&stop).await.is_err());
    assert!(taken(&mut steps).1.unwrap().contains("NVDA"));

    provider.failed.lock().unwrap().clear();
    provider.asked();
    world.clock.set(at("2025-01-27T15:11:03Z"));
    poller.poll(&stop).await.unwrap();
    let asked = provider.asked();
    assert_eq!(
        asked[0],
        (vec![symbol("NVDA")], minute(MONDAY).plus_minutes(-RE_ASK)..minute("2025-01-27T15:11:00Z"))
    );
    assert_eq!(asked[1].0, [symbol("AAPL")]);
    let problem = taken(&mut steps).1;
    assert!(problem.is_none_or(|problem| !problem.contains("NVDA")), "it answers again");
}

#[tokio::test]
async fn a_symbol_that_fails_in_the_middle_of_a_backfill_keeps_its_place() {
    let world = World::new(Market::Always).await;
    let provider = FakeProvider::new();
    let (mut poller, _steps) = poller(&world, &provider).await;
    let stop = CancellationToken::new();
    poller.poll(&stop).await.unwrap();
    // Away for five days: several stretches. One name fails in all of them.
    world.clock.set(at("2025-02-01T15:00:03Z"));
    *provider.failed.lock().unwrap() = vec![(symbol("NVDA"), transient())];
    provider.asked();
    assert!(poller.poll(&stop).await.is_err());
    let asked = provider.asked();
    assert!(asked.len() > 3, "one stretch only: {asked:?}");
    assert!(asked[1..].iter().all(|(symbols, _)| *symbols == [symbol("AAPL")]));

    provider.failed.lock().unwrap().clear();
    world.clock.set(at("2025-02-01T15:01:03Z"));
    poller.poll(&stop).await.unwrap();
    assert_eq!(provider.asked()[0].1.start, asked[0].1.start, "the hole must be asked for again");
}

#[tokio::test]
async fn the_last_poll_of_a_session_takes_all_of_it_again() {
    let world = World::new(Market::Xnas).await;
    let provider = FakeProvider::new();
    let (mut poller, _steps) = poller(&world, &provider).await;
    let stop = CancellationToken::new();
    poller.poll(&stop).await.unwrap();
    world.clock.set(at("2025-01-27T21:05:03Z"));
    poller.poll(&stop).await.unwrap();
    provider.asked();
    world.clock.set(at("2025-01-27T21:06:03Z"));
    poller.poll(&stop).await.unwrap();
    assert_eq!(provider.asked()[0].1.start, minute("2025-01-27T14:30:00Z"));
}

#[tokio::test]
async fn a_dead_feed_is_told_from_a_closed_market() {
    let world = World::new(Market::Xnas).await;
    let provider = FakeProvider::new();
    let (mut poller, mut steps) = poller(&world, &provider).await;
    let stop = CancellationToken::new();
    let mut problem_at = async |text: &str, newest: Option<Second>| {
        if let Some(newest) = newest {
            provider.bars.lock().unwrap().push(bar("AAPL", newest, 10_000, 5));
        }
        world.clock.set(at(text));
        poller.poll(&stop).await.unwrap();
        taken(&mut steps).1
    };
    assert_eq!(problem_at("2025-01-27T14:33:03Z", None).await, None, "the session is three minutes old");
    let silent = problem_at("2025-01-27T14:40:03Z", None).await.unwrap();
    assert!(silent.contains("9 minutes of an open market"), "{silent}");
    let newest = minute("2025-01-27T14:39:00Z");
    assert_eq!(problem_at("2025-01-27T14:41:03Z", Some(newest)).await, None, "it came back");
    let last = minute("2025-01-27T20:59:00Z");
    assert_eq!(problem_at("2025-01-27T21:04:03Z", Some(last)).await, None, "the market is closed");
    assert_eq!(problem_at("2025-01-28T03:00:00Z", None).await, None, "it is night");
}

#[tokio::test]
async fn what_does_not_count_is_not_handed_on() {
    let world = World::new(Market::Xnas).await;
    let provider = FakeProvider::new();
    let inside = minute("2025-01-27T14:59:00Z");
    provider.bars.lock().unwrap().extend([
        bar("NVDA", inside, 10_000, 5),
        bar("AAPL", inside, 10_000, 5),
        bar("AAPL", inside.plus_minutes(-1), 10_000, 5),
        bar("AAPL", minute("2025-01-27T14:29:00Z"), 10_000, 5),
    ]);
    let (mut poller, mut steps) = poller(&world, &provider).await;
    poller.poll(&CancellationToken::new()).await.unwrap();
    let (bars, _) = taken(&mut steps);
    let told: Vec<_> = bars.iter().map(|bar| (bar.start, bar.symbol.to_string())).collect();
    assert_eq!(
        told,
        [
            (inside.plus_minutes(-1), "AAPL".to_owned()),
            (inside, "AAPL".to_owned()),
            (inside, "NVDA".to_owned()),
        ]
    );
}

#[tokio::test]
async fn splits_come_before_the_bars_of_their_day_and_once_a_day() {
    let world = World::new(Market::Xnas).await;
    let provider = FakeProvider::new();
    let split = Split::new(symbol("NVDA"), "2025-01-28".parse().unwrap(), 10, 1).unwrap();
    provider.splits.lock().unwrap().push(split);
    provider.bars.lock().unwrap().push(bar("NVDA", minute("2025-01-28T14:30:00Z"), 1_000, 5));
    let (mut poller, mut steps) = poller(&world, &provider).await;
    let stop = CancellationToken::new();
    poller.poll(&stop).await.unwrap();
    while let Ok(step) = steps.try_recv() {
        assert_eq!(step.splits, [], "announced, but not in force yet");
    }
    world.clock.set(at("2025-01-28T14:31:03Z"));
    poller.poll(&stop).await.unwrap();
    let first = steps.try_recv().unwrap();
    assert_eq!((first.splits, first.bars.len()), (vec![split], 0));
    assert_eq!(steps.try_recv().unwrap().bars.len(), 1);
}

#[tokio::test]
async fn streamed_bars_are_handed_on_and_a_reconnect_refills() {
    let world = World::new(Market::Xnas).await;
    let provider = FakeProvider::new();
    let (events, stream) = mpsc::channel(10);
    *provider.stream.lock().unwrap() = Some(stream);
    let (poller, mut steps) = poller(&world, &provider).await;
    let stop = CancellationToken::new();
    let running = alone(poller, true, &stop);

    let first = minute(MONDAY).plus_minutes(-1);
    events.send(StreamEvent::Bar(bar("AAPL", first, 10_000, 5))).await.unwrap();
    loop {
        let step = steps.recv().await.unwrap();
        if step.bars.iter().any(|bar| bar.start == first) {
            break;
        }
    }
    // Lost while the connection was away; only a question can bring it.
    let missed = bar("NVDA", first, 10_000, 7);
    provider.bars.lock().unwrap().push(missed);
    events.send(StreamEvent::Disconnected(transient())).await.unwrap();
    events.send(StreamEvent::Connected).await.unwrap();
    let refilled = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            if steps.recv().await.unwrap().bars.contains(&missed) {
                break;
            }
        }
    });
    refilled.await.expect("the gap is refilled soon after the reconnect");
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_feed_that_only_streams_is_asked_for_splits_and_says_what_is_wrong_with_a_symbol() {
    let world = World::new(Market::Xnas).await;
    let provider = FakeProvider::streaming("fake");
    let split = Split::new(symbol("AAPL"), "2025-01-27".parse().unwrap(), 2, 1).unwrap();
    provider.splits.lock().unwrap().push(split);
    let (events, stream) = mpsc::channel(10);
    *provider.stream.lock().unwrap() = Some(stream);
    let (poller, mut steps) = poller(&world, &provider).await;
    let stop = CancellationToken::new();
    let running = alone(poller, true, &stop);
    assert_eq!(steps.recv().await.unwrap().splits, [split]);

    let problem = |text: &str| StreamEvent::SymbolProblem {
        symbol: symbol("AAPL"),
        problem: (!text.is_empty()).then(|| text.to_owned()),
    };
    let start = minute(MONDAY).plus_minutes(-1);
    for (number, (said, told)) in [("differs", Some("differs")), ("", None)].into_iter().enumerate() {
        events.send(problem(said)).await.unwrap();
        // A step tells it.
        let next = bar("AAPL", start.plus_minutes(-(number as i32)), 10_000, 5);
        events.send(StreamEvent::Bar(next)).await.unwrap();
        let step = loop {
            let step = steps.recv().await.unwrap();
            if step.bars.contains(&next) {
                break step;
            }
        };
        let problems: Vec<_> = step.feed.symbol_problems.iter().map(|one| one.problem.as_str()).collect();
        assert_eq!(problems, Vec::from_iter(told));
        assert_eq!(step.feed.problem, None, "it is none of the feed");
    }
    assert!(provider.asked().is_empty(), "bars are not asked for");
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_delayed_feed_is_asked_for_what_it_has_and_nothing_is_passed_over() {
    let world = World::new(Market::Xnas).await;
    let provider = FakeProvider::delayed(16);
    let (mut poller, mut steps) = poller(&world, &provider).await;
    let stop = CancellationToken::new();
    poller.poll(&stop).await.unwrap();
    let first = provider.asked().last().unwrap().1.end;
    assert_eq!(first, minute(MONDAY).plus_minutes(-16));
    taken(&mut steps);
    world.clock.set(at("2025-01-27T15:01:03Z"));
    provider.bars.lock().unwrap().push(bar("AAPL", first, 10_000, 5));
    poller.poll(&stop).await.unwrap();
    assert_eq!(provider.asked()[0].1, first.plus_minutes(-RE_ASK)..first.plus_minutes(1));
    assert_eq!(taken(&mut steps), (vec![bar("AAPL", first, 10_000, 5)], None), "late on purpose is not dead");
}

/// Lets a running poller come to rest, and says what it asked for since.
async fn rest(provider: &FakeProvider) -> usize {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    provider.asked().len()
}

#[tokio::test]
async fn a_failure_while_the_market_is_closed_does_not_wait_for_the_next_session() {
    let world = World::new(Market::Xnas).await;
    let provider = FakeProvider::new();
    let saturday = at("2025-01-25T12:00:00Z");
    world.clock.set(saturday);
    let (poller, _steps) = poller(&world, &provider).await;
    *provider.failure.lock().unwrap() = Some(transient());
    let stop = CancellationToken::new();
    tokio::time::pause();
    let running = alone(poller, false, &stop);
    assert!(rest(&provider).await > 0);
    *provider.failure.lock().unwrap() = None;
    for seconds in [61, 122, 183] {
        world.clock.set(saturday + SignedDuration::from_secs(seconds));
        tokio::time::advance(Duration::from_secs(61)).await;
        if rest(&provider).await > 0 {
            stop.cancel();
            running.await.unwrap().unwrap();
            return;
        }
    }
    panic!("a provider that was down for a moment on Saturday is not asked again before Monday");
}

#[tokio::test]
async fn a_clock_that_was_set_back_does_not_stop_the_polls() {
    let world = World::new(Market::Always).await;
    let provider = FakeProvider::new();
    world.clock.set(at("2025-01-29T15:00:30Z"));
    let (poller, _steps) = poller(&world, &provider).await;
    let stop = CancellationToken::new();
    tokio::time::pause();
    let running = alone(poller, false, &stop);
    assert!(rest(&provider).await > 0);
    let mut asked = 0;
    for seconds in [0, 61, 122, 183] {
        world.clock.set(at(MONDAY) + SignedDuration::from_secs(seconds));
        tokio::time::advance(Duration::from_secs(61)).await;
        asked += rest(&provider).await;
    }
    assert!(asked >= 2, "asked {asked} times in three minutes after the clock was set back");
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_provider_that_hangs() {
    let world = World::new(Market::Always).await;
    let provider = FakeProvider::new();
    provider.hangs.store(true, std::sync::atomic::Ordering::SeqCst);
    let (poller, _steps) = poller(&world, &provider).await;
    let stop = CancellationToken::new();
    let running = alone(poller, false, &stop);
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(5), running).await.expect("it ends").unwrap().unwrap();
}

#[tokio::test]
async fn adjusted_bars_wait_until_the_splits_are_known() {
    let world = World::new(Market::Xnas).await;
    let provider = FakeProvider::adjusted();
    *provider.splits_failure.lock().unwrap() = Some(transient());
    let (mut poller, _steps) = poller(&world, &provider).await;
    let stop = CancellationToken::new();
    assert!(poller.poll(&stop).await.is_err());
    assert!(provider.asked().is_empty(), "bars in the new units would be rescaled once more");
    *provider.splits_failure.lock().unwrap() = None;
    poller.poll(&stop).await.unwrap();
    assert!(!provider.asked().is_empty());
}

#[tokio::test]
async fn raw_bars_do_not_wait_for_splits() {
    let world = World::new(Market::Xnas).await;
    let provider = FakeProvider::new();
    *provider.splits_failure.lock().unwrap() = Some(transient());
    let (mut poller, _steps) = poller(&world, &provider).await;
    poller.poll(&CancellationToken::new()).await.unwrap();
    assert!(!provider.asked().is_empty());
}

#[tokio::test]
async fn a_symbol_nobody_knows_costs_one_question_a_poll_however_long_it_fails() {
    let world = World::new(Market::Always).await;
    let provider = FakeProvider::new();
    *provider.failed.lock().unwrap() = vec![(symbol("NVDA"), FeedError::new(FeedErrorKind::NotFound, "404"))];
    let (mut poller, _steps) = poller(&world, &provider).await;
    let stop = CancellationToken::new();
    poller.poll(&stop).await.expect("the others answered, and nothing can be done about it");
    for day in 28..=31 {
        world.clock.set(at(&format!("2025-01-{day}T15:00:30Z")));
        provider.asked();
        poller.poll(&stop).await.unwrap();
        let asked = provider.asked();
        let for_it = asked.iter().filter(|(symbols, _)| symbols.contains(&symbol("NVDA"))).count();
        assert_eq!(for_it, 1, "on day {day}");
    }
}

#[tokio::test]
async fn a_refused_symbol_is_named_and_asked_for_once_an_hour_and_the_others_at_every_poll() {
    let world = World::new(Market::Always).await;
    let provider = FakeProvider::new();
    let refusal = FeedError::new(FeedErrorKind::BadRequest, "fake answered 400: invalid symbol: NVDA");
    *provider.failed.lock().unwrap() = vec![(symbol("NVDA"), refusal)];
    let (mut poller, mut steps) = poller(&world, &provider).await;
    let stop = CancellationToken::new();
    let mut told = Vec::new();
    let mut asked_for = [0, 0];
    for minutes in 0..130 {
        let now = at(MONDAY) + SignedDuration::from_mins(minutes);
        world.clock.set(now);
        provider.bars.lock().unwrap().push(bar("AAPL", Second::minute_of(now).plus_minutes(-1), 10_000, 5));
        if minutes == 125 {
            provider.failed.lock().unwrap().clear();
        }
        poller.poll(&stop).await.unwrap();
        for (symbols, _) in provider.asked() {
            asked_for[0] += i32::from(symbols.contains(&symbol("AAPL")));
            asked_for[1] += i32::from(symbols.contains(&symbol("NVDA")));
        }
        let mut bars = Vec::new();
        while let Ok(step) = steps.try_recv() {
            assert_eq!(step.feed.problem, None, "the feed is well");
            bars.extend(step.bars);
            told = step.feed.symbol_problems;
        }
        assert!(bars.iter().any(|bar| bar.start == Second::minute_of(now).plus_minutes(-1)), "at {minutes}");
        if minutes == 10 {
            let problem = told.first().expect("a problem");
            assert_eq!((told.len(), problem.symbol), (1, symbol("NVDA")));
            assert_eq!(problem.problem, "fake refuses what it is asked for");
            assert_eq!((problem.since, problem.next_attempt), (at(MONDAY), Some(at("2025-01-27T16:00:30Z"))));
        }
    }
    assert_eq!(asked_for, [130, 3], "at every poll, and every hour");
    assert_eq!(told.len(), 1, "it was not asked since");

    world.clock.set(at("2025-01-27T18:00:30Z"));
    poller.poll(&stop).await.unwrap();
    let nvidia = provider.asked().into_iter().find(|(symbols, _)| symbols.contains(&symbol("NVDA"))).unwrap();
    assert_eq!(nvidia.0, [symbol("NVDA")]);
    assert_eq!(nvidia.1.start, at_first(&world), "from where it failed");
    assert!(taken_last(&mut steps).feed.symbol_problems.is_empty(), "it is served again");
}

/// Where a symbol that was never answered for takes up, on Monday.
fn at_first(world: &World) -> Second {
    qqq_engine::schedule::take_up(None, at("2025-01-27T15:00:30Z"), Second::MINUTES_PER_DAY, &world.calendar)
}

fn taken_last(steps: &mut mpsc::Receiver<Step>) -> Step {
    let mut last = None;
    while let Ok(step) = steps.try_recv() {
        last = Some(step);
    }
    last.unwrap()
}

#[tokio::test]
async fn a_refusal_outlives_a_restart_and_one_of_everything_is_none_of_a_symbol() {
    let world = World::new(Market::Always).await;
    let provider = FakeProvider::new();
    let refusal = FeedError::new(FeedErrorKind::BadRequest, "400");
    *provider.failed.lock().unwrap() = vec![(symbol("NVDA"), refusal.clone())];
    let (mut first, mut steps) = poller(&world, &provider).await;
    let stop = CancellationToken::new();
    first.poll(&stop).await.unwrap();
    let batch = Batch { feed: Some(taken_last(&mut steps).feed), ..Batch::default() };
    world.store.commit(&batch, at(MONDAY)).await.unwrap();
    provider.asked();
    let (mut second, _steps) = poller(&world, &provider).await;
    second.poll(&stop).await.unwrap();
    assert!(provider.asked().iter().all(|(symbols, _)| *symbols == [symbol("AAPL")]));

    let world = World::new(Market::Always).await;
    *provider.failed.lock().unwrap() = ["AAPL", "NVDA"].map(|name| (symbol(name), refusal.clone())).into();
    let (mut poller, mut steps) = poller(&world, &provider).await;
    for _ in 0..2 {
        provider.asked();
        assert_eq!(poller.poll(&stop).await.unwrap_err().kind, FeedErrorKind::BadRequest);
        assert_eq!(provider.asked()[0].0, world.watchlist.symbols(), "both are asked for at every poll");
        assert!(taken_last(&mut steps).feed.symbol_problems.is_empty());
    }
}

#[tokio::test]
async fn a_symbol_that_takes_up_alone_and_fails_stops_nobody() {
    for (kind, is_failure) in [(FeedErrorKind::Transient, true), (FeedErrorKind::BadRequest, false)] {
        let world = World::new(Market::Always).await;
        let provider = FakeProvider::new();
        let (mut poller, mut steps) = poller(&world, &provider).await;
        let stop = CancellationToken::new();
        poller.poll(&stop).await.unwrap();
        *provider.failed.lock().unwrap() = vec![(symbol("NVDA"), FeedError::new(kind, "no"))];
        for text in
            ["2025-01-27T15:01:03Z", "2025-01-27T15:02:03Z", "2025-01-27T16:02:03Z", "2025-01-27T16:03:03Z"]
        {
            world.clock.set(at(text));
            taken(&mut steps);
            provider.bars.lock().unwrap().push(bar("AAPL", minute(text).plus_minutes(-1), 10_000, 5));
            let result = poller.poll(&stop).await;
            assert_eq!(result.is_err(), is_failure, "{kind:?} at {text}");
            assert!(
                taken(&mut steps).0.iter().any(|bar| bar.start == minute(text).plus_minutes(-1)),
                "{kind:?} at {text}"
            );
        }
    }
}

#[tokio::test]
async fn what_is_complete_up_to_now_is_said_once_all_of_it_was_handed_on() {
    let world = World::new(Market::Always).await;
    let provider = FakeProvider::new();
    let (mut poller, mut steps) = poller(&world, &provider).await;
    let stop = CancellationToken::new();
    let mut answered = async |text: &str| {
        world.clock.set(at(text));
        let _ = poller.poll(&stop).await;
        let mut answered = Vec::new();
        while let Ok(step) = steps.try_recv() {
            answered.extend(step.answered.map(|answered| (answered.symbols.len(), answered.until)));
        }
        answered
    };
    assert_eq!(answered(MONDAY).await, [(2, minute(MONDAY))], "not after the first part of a day");
    *provider.failed.lock().unwrap() = vec![(symbol("NVDA"), transient())];
    let later = "2025-01-27T15:10:03Z";
    assert_eq!(answered(later).await, [(1, minute(later))]);
    provider.fail(Some(transient()));
    assert_eq!(answered("2025-01-27T15:20:03Z").await, []);
}

#[tokio::test]
async fn a_symbol_nobody_knows_does_not_keep_a_session_from_being_over() {
    let world = World::new(Market::Xnas).await;
    let provider = FakeProvider::new();
    *provider.failed.lock().unwrap() = vec![(symbol("NVDA"), FeedError::new(FeedErrorKind::NotFound, "404"))];
    world.clock.set(at("2025-01-27T21:06:03Z"));
    let (mut poller, mut steps) = poller(&world, &provider).await;
    let stop = CancellationToken::new();
    let of_apple = |asked: Vec<crate::world::Asked>| {
        asked
            .into_iter()
            .filter(|(symbols, _)| symbols.contains(&symbol("AAPL")))
            .map(|(_, range)| range.start)
            .min()
    };
    poller.poll(&stop).await.unwrap();
    provider.asked();
    world.clock.set(at("2025-01-27T21:20:03Z"));
    poller.poll(&stop).await.unwrap();
    let again = of_apple(provider.asked());
    assert!(
        again.is_none_or(|from| from > minute("2025-01-27T20:50:00Z")),
        "the session was taken again: {again:?}"
    );
    let problem = taken(&mut steps).1;
    assert!(problem.is_none_or(|problem| !problem.contains("404")), "a mistyped symbol is no broken feed");
}
