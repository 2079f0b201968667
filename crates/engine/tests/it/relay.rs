//! Several feeds: who runs when, what is handed on, and what readers are told.

use crate::world::{FakeProvider, MONDAY, World, at, bar, minute, symbol};
use jiff::{SignedDuration, Timestamp};
use qqq_core::market::calendar::Market;
use qqq_core::{Bar, Second, StandIn};
use qqq_engine::detect::Step;
use qqq_engine::failover::FailoverTimeouts;
use qqq_engine::feed::Feed;
use qqq_engine::relay::Relay;
use qqq_engine::schedule::RE_ASK;
use qqq_feed::{FeedError, FeedErrorKind, StreamEvent};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const INTERVAL: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
const PATIENCE: FailoverTimeouts =
    FailoverTimeouts { after: SignedDuration::from_mins(3), back: SignedDuration::from_mins(10) };

fn transient() -> FeedError {
    FeedError::new(FeedErrorKind::Transient, "503 Service Unavailable")
}

fn refused() -> FeedError {
    FeedError::new(FeedErrorKind::Auth, "401 forbidden: check the key")
}

/// A relay that runs in time that is moved by hand.
struct Running {
    world: World,
    steps: mpsc::Receiver<Step>,
    now: Timestamp,
    task: JoinHandle<anyhow::Result<()>>,
    stop: CancellationToken,
}

impl Running {
    async fn of(feeds: &[&Arc<FakeProvider>]) -> Self {
        Self::at(Market::Always, MONDAY, feeds).await
    }

    async fn at(market: Market, now: &str, feeds: &[&Arc<FakeProvider>]) -> Self {
        let world = World::new(market).await;
        world.clock.set(at(now));
        let (ingest, steps) = world.ingest();
        let feeds: Vec<Feed> = feeds
            .iter()
            .map(|&feed| Feed { provider: Arc::clone(feed) as _, stream: true, key_settings: "" })
            .collect();
        let stop = CancellationToken::new();
        let polls = (INTERVAL, DAY);
        let relay = Relay::start(ingest, &feeds, PATIENCE, &*world.store, polls, stop.clone()).await.unwrap();
        tokio::time::pause();
        Self { world, steps, now: at(now), task: tokio::spawn(relay.run()), stop }
    }

    /// Lets so much time pass, bit by bit, and gives what was handed on meanwhile.
    async fn pass(&mut self, seconds: i64) -> Vec<Step> {
        let mut steps = Vec::new();
        for _ in 0..seconds {
            self.now += SignedDuration::from_secs(1);
            self.world.clock.set(self.now);
            tokio::time::advance(Duration::from_secs(1)).await;
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            while let Ok(step) = self.steps.try_recv() {
                steps.push(step);
            }
        }
        steps
    }

    async fn end(self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.task.await.unwrap()
    }
}

/// A feed whose tape has every minute of the day before and of the hours to come.
fn with_tape(feed: &FakeProvider, label: &str) {
    let first = minute(MONDAY).plus_minutes(-Second::MINUTES_PER_DAY - 60);
    let bars = (0..Second::MINUTES_PER_DAY + 600).flat_map(|number| {
        ["AAPL", "NVDA"].map(|name| Bar {
            feed: label.parse().unwrap(),
            ..bar(name, first.plus_minutes(number), 10_000, 5)
        })
    });
    *feed.bars.lock().unwrap() = bars.collect();
}

fn labels(steps: &[Step]) -> Vec<String> {
    let mut labels: Vec<String> = steps.iter().map(|step| step.feed.label.to_string()).collect();
    labels.dedup();
    labels
}

#[tokio::test]
async fn a_feed_that_fails_is_stood_in_for_and_taken_back_when_it_has_been_well_for_long() {
    let (first, second) = (FakeProvider::named("one"), FakeProvider::named("two"));
    with_tape(&first, "one");
    with_tape(&second, "two");
    let mut running = Running::of(&[&first, &second]).await;
    let steps = running.pass(120).await;
    assert_eq!(labels(&steps), ["one"]);
    assert!(steps.iter().all(|step| step.feed.problem.is_none() && step.feed.coverage == "everything"));
    assert!(second.asked().is_empty(), "nobody needs it yet");

    first.fail(Some(transient()));
    let steps = running.pass(170).await;
    assert_eq!(labels(&steps), ["one"], "not yet");
    assert!(steps.iter().any(|step| step.feed.problem.as_deref() == Some("one cannot be reached or fails")));
    let probes = second.asked();
    assert!(
        probes.len() >= 2 && probes.iter().all(|(_, range)| range.end.minutes_since(range.start) == RE_ASK),
        "{probes:?}"
    );

    let steps = running.pass(80).await;
    assert_eq!(labels(&steps).last().unwrap(), "two");
    let of_two: Vec<&Step> = steps.iter().filter(|step| step.feed.label.as_str() == "two").collect();
    let bars: Vec<&Bar> = of_two.iter().flat_map(|step| &step.bars).collect();
    assert!(bars.iter().all(|bar| bar.feed.as_str() == "two"));
    assert!(bars.len() as i32 >= 2 * (Second::MINUTES_PER_DAY - 10), "its own day: {}", bars.len());
    let told = &of_two[0].feed;
    assert_eq!((told.provider.as_str(), &told.problem), ("two", &None), "what is told can be believed");
    let reason = Some("one cannot be reached or fails".to_owned());
    assert_eq!(told.stands_in_for, Some(StandIn { provider: "one".to_owned(), reason }));
    assert_eq!(told.coverage, "everything");

    // Well for some minutes, and failing again: that does not count.
    first.fail(None);
    running.pass(400).await;
    first.fail(Some(transient()));
    running.pass(120).await;
    first.fail(None);
    first.asked();
    let steps = running.pass(500).await;
    assert_eq!(labels(&steps), ["two"]);
    assert!(first.asked().len() <= 10, "it is only tried");
    let steps = running.pass(240).await;
    assert_eq!(labels(&steps), ["two", "one"]);
    let day = first.asked();
    assert!(day[0].1.end.minutes_since(day[0].1.start) == RE_ASK);
    assert!(
        day.iter().any(|(_, range)| range.end.minutes_since(range.start) > 1000),
        "all of its own day is taken up"
    );
    let last = steps.last().unwrap();
    assert_eq!(last.feed.coverage, "everything");
    second.asked();
    running.pass(300).await;
    assert!(second.asked().is_empty(), "nobody needs it any more");
    running.end().await.unwrap();
}

#[tokio::test]
async fn an_outage_of_everything_changes_nothing() {
    let (first, second) = (FakeProvider::named("one"), FakeProvider::named("two"));
    with_tape(&first, "one");
    let mut running = Running::of(&[&first, &second]).await;
    running.pass(60).await;
    first.fail(Some(transient()));
    second.fail(Some(transient()));
    let steps = running.pass(900).await;
    assert_eq!(labels(&steps), ["one"]);
    first.fail(None);
    running.pass(120).await;
    let steps = running.pass(60).await;
    assert!(steps.iter().all(|step| step.feed.problem.is_none()), "{:?}", steps.last());
    running.end().await.unwrap();
}

#[tokio::test]
async fn a_feed_without_bars_while_the_market_is_open_has_failed() {
    let (first, second) = (FakeProvider::named("one"), FakeProvider::named("two"));
    with_tape(&first, "one");
    with_tape(&second, "two");
    let mut running = Running::of(&[&first, &second]).await;
    running.pass(60).await;
    first.bars.lock().unwrap().clear();
    let steps = running.pass(300).await;
    assert_eq!(labels(&steps), ["one"], "five minutes of silence, and three of failing");
    let steps = running.pass(360).await;
    assert_eq!(labels(&steps), ["one", "two"]);
    let told = steps.last().unwrap().feed.stands_in_for.as_ref().unwrap();
    assert!(told.provider == "one" && told.reason.as_ref().unwrap().contains("no bar for"), "{told:?}");
    running.end().await.unwrap();
}

#[tokio::test]
async fn trouble_with_one_symbol_is_no_reason_to_change_the_feed() {
    let (first, second) = (FakeProvider::named("one"), FakeProvider::named("two"));
    with_tape(&first, "one");
    with_tape(&second, "two");
    *first.failed.lock().unwrap() = vec![(symbol("NVDA"), transient())];
    let mut running = Running::of(&[&first, &second]).await;
    let steps = running.pass(900).await;
    assert_eq!(labels(&steps), ["one"]);
    running.end().await.unwrap();
}

#[tokio::test]
async fn a_refusal_at_the_start_hands_over_at_once() {
    let (first, second) = (FakeProvider::named("one"), FakeProvider::named("two"));
    first.fail(Some(refused()));
    with_tape(&second, "two");
    let mut running = Running::of(&[&first, &second]).await;
    let steps = running.pass(5).await;
    assert_eq!(labels(&steps).last().unwrap(), "two");
    first.asked();
    running.pass(1500).await;
    assert_eq!(first.asked().len(), 4, "who refuses is asked after 1, 2, 4 and 8 minutes");
    running.end().await.unwrap();
}

#[tokio::test]
async fn a_closed_market_is_no_reason_not_to_stand_in() {
    for now in ["2025-01-25T12:00:00Z", "2025-01-27T21:03:00Z", "2025-01-27T10:00:00Z"] {
        let (first, second) = (FakeProvider::named("one"), FakeProvider::named("two"));
        first.fail(Some(refused()));
        let mut running = Running::at(Market::Xnas, now, &[&first, &second]).await;
        let steps = running.pass(5).await;
        assert_eq!(labels(&steps).last().map(String::as_str), Some("two"), "{now}");
        running.end().await.unwrap();
        tokio::time::resume();
    }
    // While it is open, a feed without bars does not stand in.
    let (first, second) = (FakeProvider::named("one"), FakeProvider::named("two"));
    first.fail(Some(refused()));
    let mut running = Running::at(Market::Xnas, MONDAY, &[&first, &second]).await;
    assert_eq!(labels(&running.pass(300).await), ["one"]);
    with_tape(&second, "two");
    assert_eq!(labels(&running.pass(70).await).last().map(String::as_str), Some("two"));
    running.end().await.unwrap();
}

#[tokio::test]
async fn a_refusal_of_all_ends_the_role_with_every_reason() {
    for feeds in [1, 2] {
        let named = ["one", "two"].map(FakeProvider::named);
        named.iter().for_each(|feed| feed.fail(Some(refused())));
        let mut running = Running::of(&named.iter().take(feeds).collect::<Vec<_>>()).await;
        running.pass(5).await;
        let error = running.task.await.unwrap().unwrap_err().to_string();
        assert!(error.contains("one refused: 401 forbidden: check the key"), "{error}");
        assert_eq!(error.contains("two refused"), feeds == 2, "{error}");
        tokio::time::resume();
    }
}

#[tokio::test]
async fn a_failure_at_the_start_that_may_pass_ends_nothing() {
    let first = FakeProvider::named("one");
    first.fail(Some(transient()));
    let mut running = Running::of(&[&first]).await;
    running.pass(600).await;
    first.fail(None);
    with_tape(&first, "one");
    let steps = running.pass(120).await;
    assert!(steps.iter().any(|step| !step.bars.is_empty()));
    running.end().await.unwrap();
}

#[tokio::test]
async fn one_refusal_in_the_middle_of_a_run_costs_a_minute_and_many_ever_more() {
    let first = FakeProvider::named("one");
    with_tape(&first, "one");
    let mut running = Running::of(&[&first]).await;
    running.pass(60).await;
    first.fail(Some(refused()));
    running.pass(60).await;
    first.fail(None);
    let before = first.asked().len();
    let steps = running.pass(62).await;
    assert!(before > 0 && steps.iter().any(|step| !step.bars.is_empty()), "after a minute");
    assert!(steps.last().unwrap().feed.problem.is_none());

    // A provider that says when to come back is believed.
    let told = FeedError { retry_after: Some(Duration::from_secs(200)), ..refused() };
    first.fail(Some(told));
    running.pass(62).await;
    first.asked();
    running.pass(130).await;
    assert_eq!(first.asked().len(), 0);
    first.fail(Some(refused()));
    running.pass(70).await;
    assert_eq!(first.asked().len(), 1);
    running.end().await.unwrap();
}

#[tokio::test]
async fn a_stream_beside_polls_that_was_refused_once_is_opened_again() {
    let first = FakeProvider::named("one");
    with_tape(&first, "one");
    let (events, stream) = mpsc::channel(100);
    *first.stream.lock().unwrap() = Some(stream);
    let mut running = Running::of(&[&first]).await;
    running.pass(5).await;
    events.send(StreamEvent::Connected).await.unwrap();
    running.pass(60).await;
    events.send(StreamEvent::Disconnected(refused())).await.unwrap();
    drop(events);
    running.pass(55).await;
    assert_eq!(first.streams.load(Ordering::SeqCst), 1, "not at once");
    running.pass(70).await;
    assert_eq!(first.streams.load(Ordering::SeqCst), 2);
    running.end().await.unwrap();
}

#[tokio::test]
async fn a_feed_that_only_streams_is_well_while_its_stream_stands() {
    let (first, second) = (FakeProvider::streaming("one"), FakeProvider::named("two"));
    with_tape(&second, "two");
    let (events, stream) = mpsc::channel(100);
    *first.stream.lock().unwrap() = Some(stream);
    let mut running = Running::of(&[&first, &second]).await;
    events.send(StreamEvent::Connected).await.unwrap();
    let next = |running: &Running| {
        let start = Second::minute_of(running.now).plus_minutes(-1);
        StreamEvent::Bar(Bar { feed: "one".parse().unwrap(), ..bar("AAPL", start, 10_000, 5) })
    };
    for _ in 0..12 {
        events.send(next(&running)).await.unwrap();
        let steps = running.pass(60).await;
        assert_eq!(labels(&steps), ["one"]);
        assert!(steps.iter().any(|step| !step.bars.is_empty()));
        assert!(steps.iter().all(|step| step.feed.problem.is_none()));
    }
    assert!(first.asked().is_empty(), "it has nothing to ask for");
    assert_eq!(first.streams.load(Ordering::SeqCst), 1);

    events.send(StreamEvent::Disconnected(transient())).await.unwrap();
    let steps = running.pass(300).await;
    assert_eq!(labels(&steps), ["one", "two"]);
    assert!(steps.iter().any(|step| step.feed.problem.as_deref() == Some("one cannot be reached or fails")));

    // It stays connected on standby: that is how it shows that it is well.
    events.send(StreamEvent::Connected).await.unwrap();
    for minutes in 0..14 {
        events.send(next(&running)).await.unwrap();
        let steps = running.pass(60).await;
        let back = steps.iter().any(|step| step.feed.label.as_str() == "one");
        assert!(!back || minutes >= 9, "back after {minutes} minutes");
    }
    let steps = running.pass(5).await;
    assert!(steps.iter().all(|step| step.feed.label.as_str() == "one"));
    assert_eq!(first.streams.load(Ordering::SeqCst), 1, "the one connection there may be");
    running.end().await.unwrap();
}

#[tokio::test]
async fn a_stream_that_was_refused_is_opened_again_after_a_while() {
    let first = FakeProvider::streaming("one");
    let (events, stream) = mpsc::channel(100);
    *first.stream.lock().unwrap() = Some(stream);
    let mut running = Running::of(&[&first]).await;
    running.pass(5).await;
    events.send(StreamEvent::Disconnected(refused())).await.unwrap();
    drop(events);
    running.pass(60).await;
    assert_eq!(first.streams.load(Ordering::SeqCst), 1, "not at once");
    running.pass(180).await;
    assert!(first.streams.load(Ordering::SeqCst) > 1);
    running.end().await.unwrap();
}
