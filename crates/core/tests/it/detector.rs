//! Alerts: what raises them, what counts on them, what takes them back, and that a restart changes nothing.

use crate::oracle::{self, series};
use jiff::Timestamp;
use proptest::prelude::*;
use qqq_core::alert::{Alert, AlertChange, AlertState, Metric};
use qqq_core::market::calendar::{Calendar, Market};
use qqq_core::rule::{AlertRule, Evidence};
use qqq_core::statistics::window::Arrival;
use qqq_core::{Bar, Cadence, Detector, FeedLabel, Second, SpikeRule, Split, Symbol};
use qqq_testkit::bars::{cents, flat};
use std::collections::BTreeMap;

const BASE: i32 = 28_000_000;

fn symbols() -> Vec<Symbol> {
    ["AAPL", "NVDA"].map(|text| text.parse().unwrap()).to_vec()
}

fn always() -> Calendar {
    Calendar::new(Market::Always, false, [])
}

fn feed() -> FeedLabel {
    FeedLabel::new("test").unwrap()
}

fn bar(symbol: usize, minute: i32, price: i64, volume: i64) -> Bar {
    flat(symbols()[symbol].as_str(), Second::from_minute(BASE + minute), cents(price), volume)
}

/// The bar so many bars after the beginning, which tells everything: its prices and trades go with its
/// volume, and some volumes come without vwap, or without trades.
fn telling(cadence: Cadence, symbol: usize, n: i32, volume: i64) -> Bar {
    let close = 10_000 + volume % 7 * 10;
    let bar = nth(cadence, symbol, n, close, volume);
    let (high, low) = (cents(close + volume % 5), cents(close - volume % 3));
    let vwap = (volume % 4 > 0).then_some(low);
    let trades = (volume % 6 > 0).then_some((volume / 3) as u32);
    Bar { high, low, vwap, trades, ..bar }
}

/// The bar so many bars after the beginning.
fn nth(cadence: Cadence, symbol: usize, n: i32, price: i64, volume: i64) -> Bar {
    Bar { start: start_of(cadence, n), ..bar(symbol, 0, price, volume) }
}

fn start_of(cadence: Cadence, n: i32) -> Second {
    Second::from_minute(BASE).plus_seconds(i64::from(n) * cadence.seconds())
}

fn cadence() -> impl Strategy<Value = Cadence> {
    prop::sample::select(&[Cadence::One, Cadence::Five, Cadence::Sixty])
}

/// A detector with what a store would keep of it.
struct Tracked {
    calendar: Calendar,
    detector: Detector,
    rule: SpikeRule,
    bars: BTreeMap<(Second, usize), (Bar, u32)>,
    alerts: BTreeMap<String, Alert>,
    log: Vec<AlertChange>,
}

impl Tracked {
    fn new(rule: SpikeRule) -> Self {
        Self::of(Cadence::default(), rule)
    }

    fn of(cadence: Cadence, rule: SpikeRule) -> Self {
        let calendar = always().with_cadence(cadence);
        let detector = Detector::new(&symbols(), feed(), &calendar, rule);
        Self { calendar, detector, rule, bars: BTreeMap::new(), alerts: BTreeMap::new(), log: Vec::new() }
    }

    fn observe(&mut self, symbol: usize, bar: Bar, clock: Timestamp) -> (Arrival, Vec<AlertChange>) {
        let mut changes = Vec::new();
        let observed = self.detector.observe(symbol, &bar, clock, &mut changes);
        if observed.arrival != Arrival::TooOld {
            self.bars.insert((bar.start, symbol), (bar, observed.revision));
        }
        for change in &changes {
            let alert = change.alert().clone();
            let known = self.alerts.insert(alert.id.to_string(), alert);
            assert_eq!(
                known.is_none(),
                matches!(change, AlertChange::Raised(_)),
                "raised once, then changed"
            );
        }
        self.log.extend(changes.clone());
        (observed.arrival, changes)
    }

    /// Of every metric.
    fn of_all(cadence: Cadence, rule: SpikeRule) -> Self {
        let mut tracked = Self::of(cadence, rule);
        tracked.calendar = tracked.calendar.with_metrics(Metric::ALL.into_iter().collect());
        tracked.restart();
        tracked
    }

    /// Feeds a bar the moment it ended.
    fn on_time(&mut self, symbol: usize, minute: i32, cents: i64, volume: i64) -> Vec<AlertChange> {
        let bar = bar(symbol, minute, cents, volume);
        self.observe(symbol, bar, bar.start.minute_end()).1
    }

    /// A calm hour of a thousand shares a minute.
    fn calm(rule: SpikeRule) -> Self {
        let mut tracked = Self::new(rule);
        for minute in 0..60 {
            assert_eq!(tracked.on_time(0, minute, 10_000, 1_000), []);
        }
        tracked
    }

    /// Throws the detector away and builds one from what was kept.
    fn restart(&mut self) {
        let mut detector = Detector::new(&symbols(), feed(), &self.calendar, self.rule);
        detector.restore(
            self.bars.iter().map(|(&(_, symbol), &(bar, revision))| (symbol, bar, revision)),
            self.alerts.values().map(|alert| {
                (symbols().iter().position(|&symbol| symbol == alert.symbol).unwrap(), alert.clone())
            }),
        );
        self.detector = detector;
    }
}

fn raised(changes: &[AlertChange]) -> &Alert {
    match changes {
        [AlertChange::Raised(alert)] => alert,
        other => panic!("not one new alert: {other:?}"),
    }
}

#[test]
fn an_alert_carries_its_evidence() {
    let mut tracked = Tracked::calm(SpikeRule::default());
    let changes = tracked.on_time(0, 60, 10_000, 3_000);
    let alert = raised(&changes);
    assert_eq!((alert.symbol, alert.metric), (symbols()[0], Metric::Volume));
    assert_eq!(alert.rule, AlertRule::House(SpikeRule::default().into()));
    assert_eq!((alert.value, alert.evidence), (3_000, Evidence::Average { sum: 60_000, bars: 60 }));
    assert_eq!((alert.baseline(), alert.ratio(), alert.peak()), (Some(1_000.0), Some(3.0), 3_000));
    assert!(alert.holds());
    assert_eq!((alert.revision, alert.state, alert.occurrences.len()), (0, AlertState::Raised, 1));
}

/// The house's rule is set higher while the alert is open.
#[test]
fn a_corrected_bar_is_judged_by_the_rule_that_raised_its_alert() {
    let mut tracked = Tracked::calm(SpikeRule::default());
    tracked.on_time(0, 60, 10_000, 5_000);
    tracked.rule =
        SpikeRule { ratio: "6".parse().unwrap(), window: 30, min_bars: 15, ..SpikeRule::default() };
    tracked.restart();
    let counted = tracked.on_time(0, 60, 10_000, 3_000);
    assert!(matches!(&counted[..], [AlertChange::Counted(alert)] if alert.peak() == 3_000), "{counted:?}");
    let taken_back = tracked.on_time(0, 60, 10_000, 2_999);
    let [AlertChange::Retracted(alert)] = &taken_back[..] else { panic!("{taken_back:?}") };
    assert_eq!(alert.rule, AlertRule::House(SpikeRule::default().into()));
    // What comes from now on is judged, and told, by the rule of now.
    assert_eq!(tracked.on_time(0, 61, 10_000, 5_999), []);
    let changes = tracked.on_time(0, 62, 10_000, 9_000);
    let alert = raised(&changes);
    assert_eq!(alert.rule, AlertRule::House(tracked.rule.into()));
    assert!(alert.holds());
}

#[test]
fn bars_during_the_cool_down_are_counted_with_their_peak() {
    let mut tracked = Tracked::calm(SpikeRule::default());
    tracked.on_time(0, 60, 10_000, 3_000);
    let counted = tracked.on_time(0, 61, 10_000, 9_000);
    let [AlertChange::Counted(alert)] = &counted[..] else { panic!("{counted:?}") };
    assert_eq!((alert.peak(), alert.occurrences.len()), (9_000, 2));
    assert_eq!(tracked.on_time(0, 62, 10_000, 1_000), []);
    for minute in 63..120 {
        assert_eq!(tracked.on_time(0, minute, 10_000, 1_000), []);
    }
    // An hour after the alert the next one may come.
    raised(&tracked.on_time(0, 120, 10_000, 100_000));
}

#[test]
fn a_long_cool_down_counts_every_bar_and_lists_the_latest_alone() {
    let week = 7 * 24 * 60 * 60;
    let ratio = "1.000001".parse().unwrap();
    let rule = SpikeRule { ratio, min_bars: 1, cooldown_seconds: week, ..SpikeRule::default() };
    let mut tracked = Tracked::new(rule);
    // Always above the mean of what was before.
    let volume = |minute: i32| 1_000 + 10 * i64::from(minute);
    let value = |minute: i32| i128::from(volume(minute));
    for minute in 0..1_000 {
        if minute % 300 == 299 {
            tracked.restart();
        }
        for change in tracked.on_time(0, minute, 10_000, volume(minute)) {
            assert!(change.alert().occurrences.len() <= 64, "it grows with every bar");
        }
    }
    let told = |tracked: &Tracked| {
        assert_eq!(tracked.alerts.len(), 1);
        let alert = tracked.alerts.values().next().unwrap();
        (alert.start.minute() - BASE, alert.state, alert.count(), alert.peak())
    };
    assert_eq!(told(&tracked), (1, AlertState::Raised, 999, value(999)));
    // What is folded is final; what is listed can still be corrected.
    tracked.on_time(0, 500, 10_000, 1);
    assert_eq!(told(&tracked), (1, AlertState::Raised, 999, value(999)));
    tracked.on_time(0, 999, 10_000, 1);
    assert_eq!(told(&tracked), (1, AlertState::Raised, 998, value(998)));
    tracked.on_time(0, 500, 10_000, volume(500));
    assert_eq!(told(&tracked), (1, AlertState::Raised, 998, value(998)), "counted twice");
}

#[test]
fn without_a_cool_down_every_qualifying_bar_raises() {
    let mut tracked = Tracked::calm(SpikeRule { cooldown_seconds: 0, ..SpikeRule::default() });
    raised(&tracked.on_time(0, 60, 10_000, 5_000));
    raised(&tracked.on_time(0, 61, 10_000, 5_000));
}

#[test]
fn what_an_outage_of_our_own_hid_is_news_up_to_the_stated_age() {
    let minutes = |minute: i32| Second::from_minute(BASE + minute);
    let spike = |asked_until: Option<i32>, age_minutes: i64| {
        let mut tracked = Tracked::calm(quick_rule(10));
        if let Some(until) = asked_until {
            tracked.detector.asked(0, minutes(until), minutes(until).start());
        }
        let bar = bar(0, 60, 10_000, 9_000);
        let clock = bar.start.minute_end() + jiff::SignedDuration::from_mins(age_minutes);
        tracked.observe(0, bar, clock).1.len()
    };
    for (asked_until, age, alerts, why) in [
        (None, 15, 1, "nothing was hidden, and it is young enough"),
        (None, 16, 0, "nobody was ever asked: it is history"),
        (Some(60), 16, 1, "it could not be asked for before"),
        (Some(60), 60, 1, "as long as that is an hour ago"),
        (Some(60), 61, 0, "and no longer"),
        (Some(50), 60, 1, "the silence began before"),
        (Some(61), 15, 1, "it is late, and young enough"),
        (Some(61), 16, 0, "it was asked for in vain: the feed is late"),
    ] {
        assert_eq!(spike(asked_until, age), alerts, "{asked_until:?} {age}: {why}");
    }
}

#[test]
fn how_far_was_asked_never_goes_back_but_with_the_clock() {
    let minutes = |minute: i32| Second::from_minute(BASE + minute);
    let mut detector = Tracked::calm(quick_rule(10)).detector;
    let mut asked = |until, clock| {
        detector.asked(0, minutes(until), minutes(clock).start());
        (detector.asked_until(0), detector.asked_until(1))
    };
    assert_eq!(asked(60, 60), (Some(minutes(60)), None));
    assert_eq!(asked(30, 61), (Some(minutes(60)), None), "another feed's history");
    assert_eq!(asked(4_000, 4_000), (Some(minutes(4_000)), None), "the clock is days ahead");
    assert_eq!(asked(62, 62), (Some(minutes(62)), None), "and set right");
}

#[test]
fn old_bars_update_statistics_and_raise_nothing() {
    let mut tracked = Tracked::calm(SpikeRule::default());
    let spike = bar(0, 60, 10_000, 9_000);
    let late =
        spike.start.minute_end() + jiff::SignedDuration::from_mins(15) + jiff::SignedDuration::from_millis(1);
    let (arrival, changes) = tracked.observe(0, spike, late);
    assert_eq!((arrival, changes), (Arrival::New, vec![]));
    assert_eq!(tracked.detector.statistics(0).unwrap().of(Metric::Volume).unwrap().ratio, Some(9.0));

    let mut tracked = Tracked::calm(SpikeRule::default());
    let just_in_time = spike.start.minute_end() + jiff::SignedDuration::from_mins(15);
    raised(&tracked.observe(0, spike, just_in_time).1);
}

#[test]
fn a_late_bar_is_judged_by_the_window_before_it() {
    let mut tracked = Tracked::calm(SpikeRule::default());
    for minute in 61..65 {
        tracked.on_time(0, minute, 10_000, 1_000);
    }
    let late = bar(0, 60, 10_000, 3_000);
    let (arrival, changes) = tracked.observe(0, late, Second::from_minute(BASE + 65).start());
    assert_eq!(arrival, Arrival::Late);
    assert_eq!(raised(&changes).start, late.start);
}

#[test]
fn a_correction_that_takes_the_ground_away_retracts_and_the_minute_stays_silent() {
    let mut tracked = Tracked::calm(SpikeRule::default());
    raised(&tracked.on_time(0, 60, 10_000, 9_000));
    let changes = tracked.on_time(0, 60, 10_000, 2_000);
    assert!(matches!(&changes[..], [AlertChange::Retracted(alert)] if alert.state == AlertState::Retracted));
    assert_eq!(tracked.on_time(0, 60, 10_000, 9_000), [], "the same minute raised a second alert");
    // Nothing cools down any more.
    raised(&tracked.on_time(0, 61, 10_000, 9_000));
}

#[test]
fn what_a_retracted_alert_had_counted_stands_for_itself() {
    let mut tracked = Tracked::calm(SpikeRule::default());
    tracked.on_time(0, 60, 10_000, 9_000);
    tracked.on_time(0, 61, 10_000, 9_000);
    tracked.on_time(0, 62, 10_000, 9_000);
    let changes = tracked.on_time(0, 60, 10_000, 1_000);
    let told: Vec<_> = changes
        .iter()
        .map(|change| {
            (change.alert().start.minute() - BASE, change.alert().state, change.alert().occurrences.len())
        })
        .collect();
    assert_eq!(
        told,
        [(60, AlertState::Retracted, 1), (61, AlertState::Raised, 1), (61, AlertState::Raised, 2)],
    );
}

#[test]
fn a_correction_that_gives_ground_raises_with_its_revision() {
    let mut tracked = Tracked::calm(SpikeRule::default());
    assert_eq!(tracked.on_time(0, 60, 10_000, 2_999), []);
    let changes = tracked.on_time(0, 60, 10_000, 3_001);
    assert_eq!(raised(&changes).revision, 1);
}

#[test]
fn a_price_that_was_not_corrected_is_not_judged_again() {
    let rule = SpikeRule { ratio: "1.5".parse().unwrap(), ..SpikeRule::default() };
    let mut tracked = Tracked::calm(rule);
    let changes = tracked.on_time(0, 60, 20_000, 1_000);
    assert_eq!(raised(&changes).metric, Metric::Price);
    // A dear bar comes late into the window before it; then only the volume is corrected.
    tracked.observe(0, bar(0, 59, 900_000, 1_000), Second::from_minute(BASE + 61).start());
    assert!(tracked.on_time(0, 60, 20_000, 1_001).is_empty());
}

#[test]
fn bars_in_their_own_units_raise_nothing_at_a_split() {
    // NVDA 2024-06-10 10:1, NFLX 2025-11-17 10:1, AMZN 2022-06-06 20:1, and a reverse split.
    for (new, old, before) in [(10, 1, 120_888), (10, 1, 111_200), (20, 1, 244_700), (1, 50, 1_000)] {
        let after = before * i64::from(old) / i64::from(new);
        let volume_after = 1_000 * i64::from(new) / i64::from(old);
        for told in [true, false] {
            let mut tracked = Tracked::new(SpikeRule::default());
            for minute in 0..90 {
                tracked.on_time(0, minute, before, 1_000 + i64::from(minute) % 3);
            }
            if told {
                let split = Split::new(symbols()[0], "2024-06-10".parse().unwrap(), new, old).unwrap();
                let known: Vec<Bar> = tracked.bars.values().map(|(bar, _)| *bar).collect();
                tracked.detector.apply_split(0, &split, Second::from_minute(BASE + 90), &known);
            }
            for minute in 90..200 {
                tracked.on_time(0, minute, after, volume_after + i64::from(minute) % 3);
            }
            assert_eq!(tracked.alerts.is_empty(), told, "{new}:{old}, told: {told}");
            if told {
                let price = tracked.detector.statistics(0).unwrap().of(Metric::Price).unwrap();
                let relative = price.relative_stdev.unwrap();
                assert!(relative < 1e-3, "{new}:{old} left a jump of {relative} in the window");
            }
        }
    }
}

/// Streams of bars with gaps, lateness, repeats, corrections and bursts: (symbol, place, volume, delay), the
/// last in bars.
fn stream() -> impl Strategy<Value = Vec<(usize, i32, i64, i32)>> {
    let volume =
        prop_oneof![6 => 900..1_100_i64, 1 => 2_900..3_100_i64, 1 => 3_000..20_000_i64, 1 => Just(0_i64)];
    let delay = prop_oneof![8 => Just(0), 2 => 1..20_i32];
    let step = prop_oneof![12 => Just(1), 3 => -6..0_i32, 1 => Just(0), 1 => 2..90_i32];
    prop::collection::vec((0..2_usize, step, volume, delay), 50..300).prop_map(|steps| {
        let mut minute = [100, 100];
        steps
            .into_iter()
            .map(|(symbol, step, volume, delay)| {
                minute[symbol] = (minute[symbol] + step).max(0);
                (symbol, minute[symbol], volume, delay)
            })
            .collect()
    })
}

fn quick_rule(cooldown_minutes: u32) -> SpikeRule {
    SpikeRule { min_bars: 5, cooldown_seconds: cooldown_minutes * 60, ..SpikeRule::default() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_restart_at_any_point_changes_nothing(
        cadence in cadence(),
        stream in stream(),
        restarts in prop::collection::vec(any::<prop::sample::Index>(), 1..6),
        cooldown in prop_oneof![Just(0_u32), Just(10), Just(60)],
    ) {
        let restarts: Vec<usize> = restarts.iter().map(|index| index.index(stream.len())).collect();
        let mut steady = Tracked::of_all(cadence, quick_rule(cooldown));
        let mut interrupted = Tracked::of_all(cadence, quick_rule(cooldown));
        for (index, &(symbol, n, volume, delay)) in stream.iter().enumerate() {
            if restarts.contains(&index) {
                interrupted.restart();
            }
            let bar = telling(cadence, symbol, n, volume);
            let clock = start_of(cadence, n + 1 + delay).start();
            let one = steady.observe(symbol, bar, clock);
            let two = interrupted.observe(symbol, bar, clock);
            prop_assert_eq!(one, two);
        }
        prop_assert_eq!(&steady.log, &interrupted.log);
        prop_assert_eq!(&steady.bars, &interrupted.bars);
        prop_assert_eq!(steady.detector.windows(), interrupted.detector.windows());
    }

    #[test]
    fn repeats_say_nothing_new(
        cadence in cadence(),
        stream in stream(),
        cooldown in prop_oneof![Just(0_u32), Just(10)],
    ) {
        let mut tracked = Tracked::of_all(cadence, quick_rule(cooldown));
        for (symbol, n, volume, delay) in stream {
            let bar = telling(cadence, symbol, n, volume);
            let clock = start_of(cadence, n + 1 + delay).start();
            tracked.observe(symbol, bar, clock);
            let (arrival, changes) = tracked.observe(symbol, bar, clock);
            prop_assert!(matches!(arrival, Arrival::Unchanged | Arrival::TooOld));
            prop_assert_eq!(changes, vec![]);
        }
    }

    #[test]
    fn bars_in_order_raise_what_brute_force_raises(
        cadence in cadence(),
        stream in stream(),
        cooldown in prop_oneof![Just(0_u32), Just(45), Just(600), Just(3_600)],
    ) {
        let rule = SpikeRule { cooldown_seconds: cooldown, ..SpikeRule::default() };
        let standing: BTreeMap<(i32, usize), i64> =
            stream.iter().map(|&(symbol, n, volume, _)| ((n, symbol), volume)).collect();
        let mut tracked = Tracked::of_all(cadence, rule);
        for (&(n, symbol), &volume) in &standing {
            let bar = telling(cadence, symbol, n, volume);
            tracked.observe(symbol, bar, cadence.end(bar.start));
        }
        for (symbol, name) in symbols().iter().enumerate() {
            let of_one = standing.iter().filter(|((_, of), _)| *of == symbol);
            let bars = of_one.map(|(&(n, _), &volume)| {
                let bar = telling(cadence, symbol, n, volume);
                (bar.start.unix(), bar)
            });
            let bars: BTreeMap<i64, Bar> = bars.collect();
            for metric in Metric::ALL {
                let found = alerts_of(&tracked, *name, metric);
                let expected = oracle::spikes(&series(metric, &bars), rule.min_bars.into(), cooldown.into());
                prop_assert_eq!(found, expected, "{}", metric);
            }
        }
    }
}

fn alerts_of(tracked: &Tracked, symbol: Symbol, metric: Metric) -> Vec<oracle::Spike> {
    let alerts = tracked.alerts.values().filter(|alert| alert.symbol == symbol && alert.metric == metric);
    let mut found: Vec<oracle::Spike> = alerts.map(oracle::Spike::from).collect();
    found.sort_by_key(|spike| spike.start);
    found
}

#[test]
fn an_alert_of_another_feed_keeps_its_minute_and_its_silence_and_is_not_changed() {
    let rule = SpikeRule::default();
    let mut before = Tracked::calm(rule);
    assert_eq!(before.on_time(0, 60, 10_000, 5_000).len(), 1, "the alert of the feed before");
    let alerts: Vec<Alert> = before.alerts.into_values().collect();

    // The other feed sees a hundred times the volume.
    let other: FeedLabel = "other".parse().unwrap();
    let mut detector = Detector::new(&symbols(), other, &always(), rule);
    detector.restore([], alerts.into_iter().map(|alert| (0, alert)));
    let of_other = |minute, volume| Bar { feed: other, ..bar(0, minute, 10_000, volume) };
    for minute in 0..60 {
        assert_eq!(detector.learn(0, &of_other(minute, 100_000)).arrival, Arrival::New);
    }
    let mut changes = Vec::new();
    let mut observe = |minute, volume| {
        let bar = of_other(minute, volume);
        detector.observe(0, &bar, bar.start.minute_end(), &mut changes);
        std::mem::take(&mut changes)
    };
    assert_eq!(observe(60, 500_000), [], "its own minute, unusual here too");
    assert_eq!(observe(60, 100_000), [], "its own minute, usual here: no retraction");
    assert_eq!(observe(61, 500_000), [], "within its cool-down: neither raised nor counted");
    for minute in 62..120 {
        observe(minute, 100_000);
    }
    let raised = observe(120, 1_000_000);
    assert!(matches!(&raised[..], [AlertChange::Raised(alert)] if alert.feed == other), "{raised:?}");
}

#[test]
fn what_is_learned_is_in_the_windows_as_if_it_had_been_observed_and_raises_nothing() {
    let rule = SpikeRule { cooldown_seconds: 0, ..SpikeRule::default() };
    let mut observed = Tracked::new(rule);
    let mut learned = Detector::new(&symbols(), feed(), &always(), rule);
    let volumes = |minute: i32| if minute % 17 == 16 { 9_000 } else { 1_000 };
    for minute in (0..200).chain([150, 3, 150]) {
        let bar = bar(0, minute, 10_000, volumes(minute));
        let (arrival, _) = observed.observe(0, bar, bar.start.minute_end());
        assert_eq!(learned.learn(0, &bar).arrival, arrival);
    }
    assert!(!observed.alerts.is_empty());
    assert_eq!(learned.windows(), observed.detector.windows());
    assert_eq!(learned.statistics(0), observed.detector.statistics(0));
    assert_eq!(learned.learn(0, &bar(0, 3, 10_000, 7)).revision, 1);
}
