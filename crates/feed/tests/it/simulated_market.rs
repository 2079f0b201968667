//! The simulated market, held to what it promises.

use jiff::Timestamp;
use jiff::civil::Date;
use qqq_core::market::aggregate::aggregate;
use qqq_core::market::calendar::Market;
use qqq_core::market::watchlist::DEFAULT_SYMBOLS;
use qqq_core::statistics::profile::Profile;
use qqq_core::{
    Bar, Cadence, Calendar, Evidence, FeedMode, Interval, Metric, Phase, Rule, Second, SpikeRule, Symbol,
    Watchlist,
};
use qqq_feed::sim::{Sim, SimConfig};
use qqq_feed::{FeedErrorKind, ReplaySource, TimedBatch};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;
use tokio::time::Instant;

mod realism;

fn watchlist(symbols: &[&str]) -> Watchlist {
    Watchlist::new(symbols.iter().map(|symbol| symbol.parse().unwrap()), []).unwrap()
}

fn ten() -> Watchlist {
    watchlist(&DEFAULT_SYMBOLS)
}

/// Some names the simulator has no table entry for, thin ones among them.
fn unknown() -> Watchlist {
    watchlist(&["ZZA", "ZZB", "ZZC", "ZZD", "ZZE", "ZZF", "ZZG", "ZZH"])
}

fn xnas() -> Calendar {
    Calendar::new(Market::Xnas, false, [])
}

fn extended() -> Calendar {
    Calendar::new(Market::Xnas, true, [])
}

fn always() -> Calendar {
    Calendar::new(Market::Always, false, [])
}

fn minute(text: &str) -> Second {
    Second::minute_of(text.parse().unwrap())
}

fn config(seed: u64) -> SimConfig {
    SimConfig { seed, ..SimConfig::default() }
}

fn start_at(seed: u64, start: &str) -> SimConfig {
    SimConfig { start: Some(start.parse().unwrap()), ..config(seed) }
}

fn sim(config: SimConfig, list: &Watchlist, calendar: &Calendar, now: &str, resume: Option<Second>) -> Sim {
    Sim::new(config, list, calendar, now.parse().unwrap(), resume).unwrap()
}

async fn next(sim: &mut Sim) -> TimedBatch {
    let batch = sim.next().await.unwrap().unwrap();
    assert!(batch.rejects.is_empty());
    assert!(batch.bars.is_sorted_by_key(|bar| bar.start), "oldest first");
    assert!(
        batch.bars.iter().all(|bar| bar.start.minute_end() <= batch.clock),
        "the clock is at or after every bar's end"
    );
    batch
}

/// The bars of the session of `day` and, before them, of the whole session before.
async fn two_sessions(seed: u64, list: &Watchlist, calendar: &Calendar, day: &str) -> Vec<Bar> {
    let last = calendar.tracked_on(day.parse().unwrap()).unwrap().end.plus_minutes(-1);
    let mut sim = Sim::new(config(seed), list, calendar, last.minute_end(), Some(last)).unwrap();
    next(&mut sim).await.bars
}

/// The bars of one session.
async fn session(seed: u64, list: &Watchlist, calendar: &Calendar, day: &str) -> Vec<Bar> {
    let tracked = calendar.tracked_on(day.parse().unwrap()).unwrap();
    let mut bars = two_sessions(seed, list, calendar, day).await;
    bars.retain(|bar| tracked.contains(&bar.start));
    bars
}

fn by_symbol(bars: &[Bar]) -> BTreeMap<Symbol, Vec<Bar>> {
    let mut map = BTreeMap::<Symbol, Vec<Bar>>::new();
    for bar in bars {
        map.entry(bar.symbol).or_default().push(*bar);
    }
    map
}

/// The minutes at which the spike rule holds for the volume of a name, by the rule's own words.
fn spikes(bars: &[Bar]) -> Vec<Second> {
    let rule = Rule::from(SpikeRule::default());
    let qualifies = |bar: &&Bar| {
        let from = bars.partition_point(|other| other.start < bar.start.plus_minutes(-60));
        let window = bars[from..].iter().take_while(|other| other.start < bar.start);
        let (sum, count) =
            window.fold((0, 0), |(sum, count), other| (sum + other.volume.shares(), count + 1));
        let evidence = Evidence::Average { sum: i128::from(sum), bars: count };
        rule.condition.holds(Metric::Volume, bar.volume.shares().into(), &evidence)
    };
    bars.iter().filter(qualifies).map(|bar| bar.start).collect()
}

/// Spikes less than ten minutes apart are one episode.
fn episodes(spikes: &[Second]) -> Vec<Second> {
    let mut last = None;
    let is_first = |spike: &Second| last.replace(*spike).is_none_or(|last| spike.minutes_since(last) >= 10);
    spikes.iter().copied().filter(is_first).collect()
}

#[test]
fn it_says_what_it_is() {
    let sim = sim(config(1), &ten(), &xnas(), "2025-01-28T15:00:00Z", None);
    let info = sim.info();
    assert_eq!((info.provider, info.mode, info.label.is_simulated()), ("sim", FeedMode::Simulated, true));
    assert_eq!(info.coverage, "invented by a simulator: not the market");
}

#[test]
fn a_speed_out_of_range_is_refused() {
    for speed in [0, 60_001] {
        let config = SimConfig { speed, ..config(1) };
        let error = Sim::new(config, &ten(), &xnas(), Timestamp::UNIX_EPOCH, None).unwrap_err();
        assert_eq!(error.kind, FeedErrorKind::BadRequest);
        assert!(error.message.contains(&format!("speed is {speed}; it must be 1 to 60000")), "{error}");
    }
}

#[test]
fn a_calendar_without_sessions_is_refused() {
    let mut closed = Vec::new();
    let mut day: Date = "2025-01-01".parse().unwrap();
    for _ in 0..90 {
        closed.push(day);
        day = day.tomorrow().unwrap();
    }
    let calendar = Calendar::new(Market::Xnas, false, closed);
    let error =
        Sim::new(config(1), &ten(), &calendar, "2025-03-01T15:00:00Z".parse().unwrap(), None).unwrap_err();
    assert!(error.message.contains("no session within three weeks"), "{error}");
}

#[tokio::test]
async fn a_seed_is_a_market() {
    let bars = |seed| async move { two_sessions(seed, &ten(), &xnas(), "2025-01-28").await };
    assert_eq!(bars(1).await, bars(1).await);
    let (one, two) = (bars(1).await, bars(2).await);
    let same = one.iter().zip(&two).filter(|(one, two)| one.close == two.close).count();
    assert!(same < one.len() / 50, "{same}");
}

/// A market in which all were from the beginning is the oracle.
#[tokio::test(start_paused = true)]
async fn who_comes_later_or_comes_back_gets_what_it_missed() {
    let (calendar, start) = (xnas(), minute("2025-01-28T16:00:00Z"));
    let whole = {
        let mut sim =
            sim(start_at(3, "2025-01-28T16:00:00Z"), &ten(), &calendar, "2025-01-28T16:00:00Z", None);
        next(&mut sim).await.bars
    };
    let last = start.plus_minutes(-1);
    let (newcomer, returned) = ("NVDA".parse().unwrap(), "TSLA".parse().unwrap());
    let known: HashMap<Symbol, Second> = DEFAULT_SYMBOLS
        .iter()
        .map(|name| name.parse().unwrap())
        .filter(|symbol| *symbol != newcomer)
        .map(|symbol| (symbol, if symbol == returned { minute("2025-01-14T18:30:00Z") } else { last }))
        .collect();
    let mut sim = sim(config(3), &ten(), &calendar, "2025-01-28T16:00:00Z", Some(last)).caught_up(&known);
    let mut made: BTreeMap<(Symbol, Second), Bar> = BTreeMap::new();
    let mut bars = 0;
    while let Some(batch) = sim.next().await.unwrap().filter(|batch| batch.clock <= start.start()) {
        bars += batch.bars.len();
        made.extend(batch.bars.iter().map(|bar| ((bar.symbol, bar.start), *bar)));
    }
    assert_eq!(bars, made.len(), "each once");
    let wanted =
        |bar: &&Bar| bar.symbol == newcomer || known.get(&bar.symbol).is_some_and(|k| bar.start > *k);
    let missed: Vec<&Bar> = whole.iter().filter(wanted).collect();
    assert!(missed.len() > 5_000);
    for bar in missed {
        assert_eq!(made.get(&(bar.symbol, bar.start)), Some(bar));
    }
    // Of the others no more than before: the day that is resumed.
    let oldest =
        made.keys().filter(|(symbol, _)| ![newcomer, returned].contains(symbol)).map(|(_, at)| at).min();
    assert_eq!(oldest, Some(&minute("2025-01-27T14:30:00Z")));
}

/// The whole run at once is the oracle; a resumed one must not be told from it.
#[tokio::test(start_paused = true)]
async fn a_resumed_run_makes_the_bars_of_one_that_was_never_interrupted() {
    let thin = watchlist(&["ZZA", "ZZB"]);
    for (list, calendar, points) in
        [(ten(), xnas(), 50), (thin.clone(), extended(), 50), (thin, always(), 20)]
    {
        let now = "2025-01-28T17:00:00Z";
        let mut whole = sim(start_at(3, now), &list, &calendar, now, None);
        let history = next(&mut whole).await;
        let mut run = history.bars;
        for _ in 0..2000 {
            run.extend(next(&mut whole).await.bars);
        }
        let minutes: Vec<Second> =
            run.iter().map(|bar| bar.start).collect::<BTreeSet<_>>().into_iter().collect();
        let begun = minutes.partition_point(|at| *at < minute(now));
        for point in 0..points {
            let at = minutes[begun + point * 7919 % (minutes.len() - begun - 100)];
            let wall = at.minute_end().to_string();
            let mut resumed = sim(config(3), &list, &calendar, &wall, Some(at));
            let again = next(&mut resumed).await;
            assert_eq!(again.clock, at.minute_end());
            assert_eq!(again.bars.last().unwrap().start, at, "up to and including the known minute");
            let expected: Vec<Bar> =
                run.iter().filter(|bar| (again.bars[0].start..=at).contains(&bar.start)).copied().collect();
            let from = again.bars.partition_point(|bar| bar.start < expected[0].start);
            assert_eq!(again.bars[from..], expected, "history at {at}");
            let mut more = Vec::new();
            while more.len() < 80 {
                more.extend(next(&mut resumed).await.bars);
            }
            let after = run.partition_point(|bar| bar.start <= at);
            assert_eq!(more, run[after..after + more.len()], "after {at}");
        }
    }
}

#[tokio::test]
async fn a_name_does_not_depend_on_its_neighbours_nor_on_extended_hours() {
    let day = "2025-01-28";
    let in_company = by_symbol(&session(5, &ten(), &xnas(), day).await);
    let alone = by_symbol(&session(5, &watchlist(&["NVDA"]), &xnas(), day).await);
    let nvda: Symbol = "NVDA".parse().unwrap();
    assert_eq!(in_company[&nvda], alone[&nvda]);
    let mut long = session(5, &ten(), &extended(), day).await;
    long.retain(|bar| xnas().counts(bar.start));
    assert_eq!(by_symbol(&long), in_company);
}

#[tokio::test]
async fn a_new_run_starts_two_hours_into_the_latest_session_after_weeks_of_history() {
    for (now, open) in [
        ("2025-01-28T22:00:00Z", "2025-01-28T14:30:00Z"), // Tuesday evening
        ("2025-01-28T11:00:00Z", "2025-01-28T14:30:00Z"), // before the open
        ("2025-01-27T16:00:00Z", "2025-01-27T14:30:00Z"), // Monday
        ("2025-01-26T16:00:00Z", "2025-01-24T14:30:00Z"), // Sunday
        ("2025-01-09T18:00:00Z", "2025-01-08T14:30:00Z"), // closed unscheduled
        ("2025-07-03T18:00:00Z", "2025-07-03T13:30:00Z"), // early close
        ("2025-12-02T03:00:00Z", "2025-12-01T14:30:00Z"), // Monday in New York
    ] {
        let today = xnas().date_of(minute(open));
        // As many sessions as are compared with, and the close before them.
        let first = xnas().trading_days_before(today).nth(Profile::SESSIONS).unwrap();
        let first = xnas().session_on(first).unwrap().open;
        for seed in 0..5 {
            let mut sim = sim(config(seed), &ten(), &xnas(), now, None);
            let history = next(&mut sim).await;
            assert_eq!(history.bars[0].start, first, "{now}");
            let start = Second::minute_of(history.clock);
            assert_eq!(history.bars.last().unwrap().start.minute_end(), history.clock);
            assert!((100..=120).contains(&start.minutes_since(minute(open))), "{now}: {start}");
        }
    }
    let now = "2025-01-26T03:17:00Z";
    let mut sim = sim(config(1), &ten(), &always(), now, None);
    let history = next(&mut sim).await;
    let start = Second::minute_of(history.clock);
    assert!((-10..=60).contains(&minute(now).minutes_since(start)), "{start}");
    assert!(start.minutes_since(history.bars[0].start) >= Second::MINUTES_PER_DAY);
}

#[tokio::test(start_paused = true)]
async fn minutes_come_at_the_speed_and_closed_hours_take_no_time() {
    for (speed, period) in [(60, 1.0), (1, 60.0), (600, 0.1)] {
        let config = SimConfig { speed, ..start_at(1, "2025-01-24T20:55:00Z") };
        let mut sim = sim(config, &ten(), &xnas(), "2025-06-01T00:00:00Z", None);
        let made = Instant::now();
        assert_eq!(next(&mut sim).await.clock, minute("2025-01-24T20:55:00Z").start());
        assert_eq!(made.elapsed(), Duration::ZERO, "history comes at once");
        let mut clocks = Vec::new();
        for batch in 1..=7_u32 {
            let got = next(&mut sim).await;
            assert!(got.bars.iter().all(|bar| bar.start.minute_end() == got.clock));
            clocks.push(got.clock.to_string());
            let late = made.elapsed().as_secs_f64() - period * f64::from(batch);
            assert!((-1e-6..0.002).contains(&late), "batch {batch} at speed {speed} is {late} s late");
        }
        assert_eq!(clocks[4..], ["2025-01-24T21:00:00Z", "2025-01-27T14:31:00Z", "2025-01-27T14:32:00Z"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_who_gives_up_waiting_loses_nothing() {
    let mut patient = sim(config(1), &ten(), &xnas(), "2025-01-28T15:00:00Z", None);
    let mut hasty = sim(config(1), &ten(), &xnas(), "2025-01-28T15:00:00Z", None);
    let (mut expected, mut got, mut given_up) = (Vec::new(), Vec::new(), 0);
    for _ in 0..30 {
        expected.push(next(&mut patient).await);
    }
    let began = Instant::now();
    while got.len() < expected.len() {
        match tokio::time::timeout(Duration::from_millis(170), hasty.next()).await {
            Ok(batch) => got.push(batch.unwrap().unwrap()),
            Err(_) => given_up += 1,
        }
    }
    assert_eq!(got, expected);
    assert!(given_up > 100, "{given_up}");
    assert_eq!(began.elapsed().as_millis() / 100, 290, "giving up does not delay the next minute");
}

#[tokio::test(start_paused = true)]
async fn after_a_pause_the_market_goes_on_without_a_rush() {
    let mut sim = sim(config(1), &ten(), &xnas(), "2025-01-28T15:00:00Z", None);
    next(&mut sim).await;
    let first = next(&mut sim).await.clock;
    tokio::time::advance(Duration::from_secs(3600)).await;
    let began = Instant::now();
    for _ in 0..10 {
        next(&mut sim).await;
    }
    assert!(began.elapsed() >= Duration::from_secs(9));
    assert_eq!(Second::minute_of(next(&mut sim).await.clock).minutes_since(Second::minute_of(first)), 11);
}

#[tokio::test(start_paused = true)]
async fn sessions_are_kept_early_closes_and_closures_included() {
    let closure: Date = "2025-11-26".parse().unwrap();
    let calendar = Calendar::new(Market::Xnas, false, [closure]);
    let mut sim = sim(start_at(1, "2025-11-25T20:00:00Z"), &ten(), &calendar, "2025-11-25T20:00:00Z", None);
    next(&mut sim).await;
    let mut days = BTreeMap::<Date, (Second, Second)>::new();
    for _ in 0..(60 + 210 + 390) {
        for bar in next(&mut sim).await.bars {
            assert_eq!(calendar.phase(bar.start), Phase::Regular);
            days.entry(calendar.date_of(bar.start)).or_insert((bar.start, bar.start)).1 = bar.start;
        }
    }
    let told: Vec<String> = days.values().map(|(first, last)| format!("{first} {last}")).collect();
    assert_eq!(
        told,
        [
            "2025-11-25T20:00:00Z 2025-11-25T20:59:00Z",
            // Wednesday is closed by configuration, Thursday is Thanksgiving.
            "2025-11-28T14:30:00Z 2025-11-28T17:59:00Z",
            "2025-12-01T14:30:00Z 2025-12-01T20:59:00Z",
        ]
    );
}

#[tokio::test]
async fn extended_hours_bring_thin_bars_before_and_after() {
    let calendar = extended();
    let bars = session(1, &ten(), &calendar, "2025-01-28").await;
    let mut volumes = BTreeMap::<&str, i64>::new();
    for bar in &bars {
        *volumes.entry(calendar.phase(bar.start).as_str()).or_default() += bar.volume.shares();
    }
    assert_eq!(volumes.keys().copied().collect::<Vec<_>>(), ["post", "pre", "regular"]);
    assert!(
        volumes["pre"] * 10 < volumes["regular"] && volumes["post"] * 10 < volumes["regular"],
        "{volumes:?}"
    );
    let first = bars.first().unwrap().start.minutes_since(minute("2025-01-28T09:00:00Z"));
    let last = minute("2025-01-29T00:59:00Z").minutes_since(bars.last().unwrap().start);
    assert!((0..10).contains(&first) && (0..10).contains(&last), "{first} {last}");
}

#[tokio::test]
async fn a_market_without_a_close_has_no_gaps() {
    let bars = by_symbol(&two_sessions(1, &ten(), &always(), "2025-01-26").await);
    for (symbol, bars) in bars {
        assert!(bars.len() >= 2870, "{symbol}: {}", bars.len());
        for pair in bars.windows(2) {
            let jump = (pair[1].open.to_f64() / pair[0].close.to_f64()).ln().abs();
            assert!(jump < 0.01, "{jump} {pair:?}");
        }
    }
}

#[tokio::test]
async fn what_is_known_decides_where_a_run_goes_on() {
    let first_new = |config: SimConfig, now: &str, known: &str| {
        let mut sim = sim(config, &ten(), &xnas(), now, Some(minute(known)));
        async move { next(&mut sim).await.clock.to_string() }
    };
    let now = "2025-01-28T20:00:00Z";
    // Known within a day, before or after the usual start, or in a future that ran ahead of the wall clock.
    for known in
        ["2025-01-28T15:07:00Z", "2025-01-28T19:59:00Z", "2025-01-27T20:30:00Z", "2025-09-03T14:00:00Z"]
    {
        let clock = first_new(config(1), now, known).await;
        assert_eq!(clock, minute(known).minute_end().to_string());
    }
    // Older: anew, in today's session.
    let clock = first_new(config(1), now, "2025-01-27T19:00:00Z").await;
    assert!(clock.starts_with("2025-01-28T1"), "{clock}");
    // Older, but newer than the usual start of the latest session: nothing is played twice.
    let clock = first_new(config(1), "2025-02-02T12:00:00Z", "2025-01-31T20:10:00Z").await;
    assert_eq!(clock, "2025-01-31T20:11:00Z");
    // A configured start holds until it is passed, whatever the wall clock says.
    let configured = || start_at(1, "2024-05-06T15:00:00Z");
    assert_eq!(first_new(configured(), now, "2024-05-03T15:00:00Z").await, "2024-05-06T15:00:00Z");
    let (now_then, just_before) = ("2024-05-06T14:00:00Z", "2024-05-06T13:59:00Z");
    assert_eq!(first_new(configured(), now_then, just_before).await, "2024-05-06T15:00:00Z");
    assert_eq!(first_new(configured(), now, "2024-05-08T15:00:00Z").await, "2024-05-08T15:01:00Z");
}

#[tokio::test(start_paused = true)]
async fn a_long_watchlist_gets_its_history_in_several_ticks_of_one_clock() {
    let symbols: Vec<String> = (0..250).map(|index| format!("L{index}")).collect();
    let list = watchlist(&symbols.iter().map(String::as_str).collect::<Vec<_>>());
    let mut sim = sim(start_at(1, "2025-01-28T16:30:00Z"), &list, &xnas(), "2025-01-28T16:30:00Z", None);
    let began = Instant::now();
    let (one, two) = (next(&mut sim).await, next(&mut sim).await);
    assert_eq!((one.clock, began.elapsed()), (two.clock, Duration::ZERO));
    assert!(one.bars.len() >= 100_000 && one.bars.len() < 100_000 + 250);
    assert!(one.bars.last().unwrap().start < two.bars[0].start);
    assert_eq!(two.bars.last().unwrap().start.minute_end(), two.clock);
    let live = next(&mut sim).await;
    assert_eq!(Second::minute_of(live.clock).minutes_since(Second::minute_of(two.clock)), 1);
}

/// The bars from the start of a session up to `until`, and those of the next batches.
async fn played(cadence: Cadence, until: &str, batches: usize) -> Vec<Bar> {
    let calendar = xnas().with_cadence(cadence);
    let until: Second = minute(until);
    let last = until.plus_seconds(-cadence.seconds());
    let list = watchlist(&["AAPL", "ZZA"]);
    let mut sim = Sim::new(config(3), &list, &calendar, until.start(), Some(last)).unwrap();
    let mut bars = Vec::new();
    for _ in 0..=batches {
        let batch = sim.next().await.unwrap().unwrap();
        assert!(
            batch.bars.iter().all(|bar| cadence.starts(bar.start) && cadence.end(bar.start) <= batch.clock)
        );
        bars.extend(batch.bars);
    }
    bars
}

#[tokio::test(start_paused = true)]
async fn a_market_of_seconds_is_the_market_of_minutes_taken_apart() {
    let minutes = played(Cadence::Sixty, "2025-01-28T15:00:00Z", 5).await;
    assert!(minutes.len() > 400);
    for cadence in Cadence::ALL {
        let calendar = xnas().with_cadence(cadence);
        let batches = 5 * 60 / cadence.seconds() as usize;
        let bars = played(cadence, "2025-01-28T15:00:00Z", batches).await;
        for symbol in ["AAPL", "ZZA"] {
            let of = |bars: &[Bar]| -> Vec<Bar> {
                bars.iter().filter(|bar| bar.symbol.as_str() == symbol).copied().collect()
            };
            let told = aggregate(&calendar, Interval::OneMinute, &of(&bars));
            let told = told.into_iter().map(|minute| {
                (
                    minute.span.start,
                    minute.open,
                    minute.high,
                    minute.low,
                    minute.close,
                    minute.volume,
                    minute.trades,
                )
            });
            let expected = of(&minutes).into_iter().map(|bar| {
                let trades = bar.trades.map(u64::from);
                (bar.start, bar.open, bar.high, bar.low, bar.close, bar.volume.shares(), trades)
            });
            assert!(told.eq(expected), "{symbol} every {cadence}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_market_of_seconds_goes_on_where_it_was_within_a_minute() {
    let calendar = xnas().with_cadence(Cadence::Five);
    let list = watchlist(&["AAPL", "ZZA"]);
    let until = minute("2025-01-28T15:00:00Z").plus_seconds(25);
    let known = Some(until.plus_seconds(-5));
    let mut resumed = Sim::new(config(3), &list, &calendar, until.start(), known).unwrap();
    let history = resumed.next().await.unwrap().unwrap();
    assert_eq!(history.clock, until.start());
    let mut bars = history.bars;
    for _ in 0..7 {
        bars.extend(resumed.next().await.unwrap().unwrap().bars);
    }
    assert_eq!(bars, played(Cadence::Five, "2025-01-28T15:01:00Z", 0).await);
}
