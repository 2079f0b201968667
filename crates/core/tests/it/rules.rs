//! Every kind of rule against an oracle that knows its definition only: each bar is judged from scratch,
//! edges walk forward where the detector looks back, and nothing is shared with the code under test but the
//! rule's settings and the calendar.

use crate::week::week;
use proptest::prelude::*;
use qqq_core::alert::backtest::Backtest;
use qqq_core::alert::detector::{Detector, Watch};
use qqq_core::alert::{Alert, AlertChange, Metric, Visibility};
use qqq_core::market::calendar::{Calendar, Market};
use qqq_core::rule::{AlertRule, Rule, RuleName};
use qqq_core::{Bar, Cadence, FeedLabel, Second, SpikeRule, Symbol, Volume};
use qqq_testkit::bars::{cents, flat};
use std::collections::{BTreeMap, BTreeSet};

mod oracle;

use oracle::Oracle;

/// An alert as a rule's definition gives it: start in seconds, value, bars that qualified, the largest.
type Told = (i64, i128, usize, i128);

fn rule(text: &str) -> Rule {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn told(alerts: &[Alert]) -> Vec<Told> {
    alerts.iter().map(|alert| (alert.start.unix(), alert.value, alert.count(), alert.peak())).collect()
}

fn backtest(rule: Rule, metric: Metric, calendar: &Calendar, bars: &[Bar]) -> Vec<Alert> {
    let mut backtest = Backtest::new(
        RuleName::Own(rule),
        SpikeRule::default(),
        bars[0].symbol,
        metric,
        calendar,
        Second::MIN,
    );
    for bar in bars {
        backtest.take(bar);
    }
    backtest.finish().alerts
}

/// Rules of every kind and trigger, with the metric they are for.
const RULES: [(&str, Metric); 36] = [
    ("spike", Metric::Volume),
    ("spike ratio=2 window=30m min_bars=10 cooldown=0s", Metric::Volume),
    ("spike ratio=1.005 window=45m", Metric::Price),
    ("spike ratio=2.5 trigger=edge rearm=1.2 cooldown=5m", Metric::Volume),
    ("spike ratio=2 trigger=edge cooldown=0s session=regular", Metric::Volume),
    ("zscore", Metric::Volume),
    ("zscore z=3.5 direction=down window=90m cooldown=0s", Metric::Price),
    ("zscore z=2.5 window=20m min_bars=15 trigger=edge rearm=1", Metric::Price),
    ("zscore z=4 direction=up cooldown=10m session=extended", Metric::Volume),
    ("move percent=1 from=5m", Metric::Price),
    ("move percent=0.75 from=15m direction=down cooldown=0s", Metric::Price),
    ("move percent=1 from=30m trigger=edge rearm=0.5 cooldown=0s", Metric::Price),
    ("move percent=3 from=previous_close cooldown=0s", Metric::Price),
    ("move percent=2 from=previous_close direction=down trigger=edge rearm=1.5", Metric::Price),
    ("move percent=1.5 from=open trigger=edge cooldown=0s", Metric::Price),
    ("move percent=2 from=open direction=up", Metric::Price),
    ("cross above=120.5", Metric::Price),
    ("cross below=122 rearm=122.5 cooldown=0s", Metric::Price),
    ("cross above=400 cooldown=0s session=regular", Metric::Price),
    ("cross above=1000000 rearm=500000 cooldown=0s", Metric::Volume),
    ("cross below=100 cooldown=0s", Metric::Volume),
    ("time_of_day ratio=2 min_sessions=1 cooldown=0s", Metric::Volume),
    ("time_of_day ratio=1.5 sessions=3 min_sessions=2", Metric::Volume),
    ("time_of_day ratio=2 min_sessions=2 trigger=edge rearm=1.5 cooldown=0s", Metric::Volume),
    ("spike ratio=2 window=30m min_bars=10 cooldown=0s", Metric::Trades),
    ("spike ratio=2.5 trigger=edge rearm=1.2 cooldown=5m", Metric::Notional),
    ("spike", Metric::Range),
    ("spike ratio=4 window=30m min_bars=10", Metric::Return),
    ("zscore z=3 cooldown=0s", Metric::Notional),
    ("zscore z=2.5 window=20m min_bars=15 trigger=edge rearm=1", Metric::Return),
    ("zscore z=2 direction=up cooldown=10m", Metric::Trades),
    ("cross above=50000000 rearm=20000000.5 cooldown=0s", Metric::Notional),
    ("cross above=1.25 cooldown=0s", Metric::Range),
    ("cross below=0.01 rearm=0.5", Metric::Return),
    ("time_of_day ratio=2 min_sessions=2 trigger=edge rearm=1.5 cooldown=0s", Metric::Notional),
    ("time_of_day ratio=1.5 sessions=3 min_sessions=2", Metric::Trades),
];

#[test]
fn every_kind_of_rule_on_the_recorded_week() {
    let Some(bars) = week() else { return };
    for extended in [false, true] {
        let calendar = Calendar::new(Market::Xnas, extended, []);
        let mut by_symbol: BTreeMap<Symbol, Vec<Bar>> = BTreeMap::new();
        for bar in bars.iter().filter(|bar| calendar.counts(bar.start)) {
            by_symbol.entry(bar.symbol).or_default().push(*bar);
        }
        for (text, metric) in RULES {
            let mut count = 0;
            // The evenings of three are enough.
            for (symbol, bars) in by_symbol.iter().take(if extended { 3 } else { 10 }) {
                let found = backtest(rule(text), metric, &calendar, bars);
                let oracle = Oracle::new(text, metric, &calendar, bars);
                assert_eq!(told(&found), oracle.walk(), "{symbol} {text}");
                for alert in &found {
                    assert!(alert.holds(), "the evidence of {text} says otherwise: {alert:?}");
                }
                count += found.len();
            }
            eprintln!("extended hours {extended}: {count:4} alerts by {text} of {metric}");
        }
    }
}

/// The auctions set the plain rule off day by day. The rule that knows the time of day is silent there, and
/// tells of the days that were really unusual: META, MSFT and TSLA had reported after the close of 29
/// January.
#[test]
fn the_time_of_day_rule_is_quiet_at_the_open_and_the_close_and_keeps_the_real_events() {
    let Some(bars) = week() else { return };
    let calendar = Calendar::new(Market::Xnas, true, []);
    let minute = |text: &str| Second::minute_of(text.parse().unwrap());
    // Two sessions must be known, so that three of the five are judged by both rules.
    let judged_from = minute("2025-01-29T09:00:00Z");
    let symbols: BTreeSet<Symbol> = bars.iter().map(|bar| bar.symbol).collect();
    let all = |text: &str| -> Vec<Alert> {
        let of = |symbol: &Symbol| {
            let bars = bars.iter().filter(|bar| bar.symbol == *symbol && calendar.counts(bar.start));
            backtest(rule(text), Metric::Volume, &calendar, &bars.copied().collect::<Vec<_>>())
        };
        symbols.iter().flat_map(of).filter(|alert| alert.start >= judged_from).collect()
    };
    let at_the_edges = |alerts: &[Alert]| {
        let at_an_edge = |alert: &&Alert| {
            let session = calendar.session_on(calendar.date_of(alert.start)).unwrap();
            alert.start.minutes_since(session.open) < 5 || session.close.minutes_since(alert.start) <= 5
        };
        alerts.iter().filter(at_an_edge).count()
    };
    for cooldown in ["0s", "60m"] {
        let plain = all(&format!("spike cooldown={cooldown} session=regular"));
        let knowing = all(&format!("time_of_day min_sessions=2 cooldown={cooldown} session=regular"));
        let (loud, quiet) = (at_the_edges(&plain), at_the_edges(&knowing));
        eprintln!(
            "cool-down {cooldown}: \
             spike {} alerts, {loud} of them within 5 minutes of the open or the close; \
             time_of_day {}, {quiet} of them",
            plain.len(),
            knowing.len()
        );
        assert!(quiet * 5 <= loud, "{quiet} at the edges against {loud}");
        let (open, noon) = (minute("2025-01-30T14:30:00Z"), minute("2025-01-30T17:00:00Z"));
        for name in ["META", "MSFT", "TSLA"] {
            let symbol: Symbol = name.parse().unwrap();
            let event = |alert: &Alert| alert.symbol == symbol && (open..noon).contains(&alert.start);
            assert!(knowing.iter().any(event), "{name}'s morning is not told of");
        }
    }
}

fn always() -> Calendar {
    Calendar::new(Market::Always, false, [])
}

/// Bars of every length, and the regular sessions they come in.
fn xnas() -> impl Strategy<Value = Calendar> {
    prop::sample::select(&[Cadence::One, Cadence::Five, Cadence::Sixty])
        .prop_map(|cadence| Calendar::new(Market::Xnas, false, []).with_cadence(cadence))
}

/// Ten weeks of a sparse market: (session, time in it, cents, volume), several a session.
fn sparse() -> impl Strategy<Value = (Calendar, Vec<Bar>)> {
    let step = (0_i32..30, 0_i64..4, -60_i64..60, prop_oneof![3 => 1..50_i64, 1 => 50..500_i64]);
    let session = prop::collection::vec(step, 0..14);
    (xnas(), prop::collection::vec(session, 1..30)).prop_map(|(calendar, sessions)| {
        let length = calendar.cadence().seconds();
        let mut day = "2024-10-28".parse().unwrap();
        let mut bars = Vec::new();
        let mut cents = 10_000;
        for session in sessions {
            // Weekends, Thanksgiving and its short Friday, and the end of daylight saving lie in the range.
            while calendar.tracked_on(day).is_none() {
                day = day.tomorrow().unwrap();
            }
            let tracked = calendar.tracked_on(day).unwrap();
            day = day.tomorrow().unwrap();
            let mut start = tracked.start;
            for (minutes, bars_later, change, volume) in session {
                start = start.plus_minutes(minutes).plus_seconds(bars_later * length);
                if !tracked.contains(&start) {
                    break;
                }
                cents = (cents + change).max(100);
                bars.push(bar(start, cents - change / 2, cents, volume));
                start = start.plus_seconds(length);
            }
        }
        (calendar, bars)
    })
}

fn bar(start: Second, open: i64, close: i64, volume: i64) -> Bar {
    let (high, low) = (cents(open.max(close)), cents(open.min(close)));
    Bar { open: cents(open), high, low, ..flat("NVDA", start, cents(close), volume) }
}

/// Rules that a sparse market sets off.
fn sensitive() -> impl Strategy<Value = (&'static str, Metric)> {
    prop::sample::select(vec![
        ("spike ratio=1.2 window=120m min_bars=2 cooldown=10m", Metric::Volume),
        ("spike ratio=1.01 window=60m min_bars=1 trigger=edge rearm=1.002 cooldown=0s", Metric::Price),
        ("zscore z=1 window=180m min_bars=3 cooldown=0s", Metric::Price),
        ("zscore z=1.2 window=180m min_bars=3 direction=up trigger=edge rearm=0.4", Metric::Volume),
        ("move percent=0.5 from=20m cooldown=0s", Metric::Price),
        ("move percent=0.6 from=45m trigger=edge rearm=0.2 cooldown=0s", Metric::Price),
        ("move percent=0.4 from=previous_close cooldown=0s", Metric::Price),
        ("move percent=0.4 from=previous_close trigger=edge rearm=0.1 cooldown=0s", Metric::Price),
        ("move percent=0.3 from=open trigger=edge rearm=0.3 cooldown=0s", Metric::Price),
        ("cross above=100.2 rearm=99.9 cooldown=0s", Metric::Price),
        ("cross below=100 cooldown=0s", Metric::Price),
        ("cross above=60 rearm=30 cooldown=0s", Metric::Volume),
        ("time_of_day ratio=1.1 min_sessions=1 cooldown=0s", Metric::Volume),
        (
            "time_of_day ratio=1.5 sessions=4 min_sessions=2 trigger=edge rearm=1.1 cooldown=0s",
            Metric::Volume,
        ),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_rule_tells_what_its_definition_says((calendar, bars) in sparse(), (text, metric) in sensitive()) {
        prop_assume!(!bars.is_empty());
        let oracle = Oracle::new(text, metric, &calendar, &bars);
        prop_assert_eq!(told(&backtest(rule(text), metric, &calendar, &bars)), oracle.walk());
    }

    /// Live, a rule is one of many on a symbol of many, and the process is restarted: the alerts are those of
    /// the backtest, to the last byte.
    #[test]
    fn live_tells_what_the_backtest_tells_whatever_else_is_watched_and_wherever_it_restarts(
        (calendar, bars) in sparse(),
        (text, metric) in sensitive(),
        others in prop::collection::vec(sensitive(), 0..4),
        restart in any::<prop::sample::Index>(),
    ) {
        prop_assume!(!bars.is_empty());
        let symbols: Vec<Symbol> = vec!["AAPL".parse().unwrap(), "NVDA".parse().unwrap()];
        let feed = FeedLabel::new("test").unwrap();
        let watches: Vec<Watch> = std::iter::once((text, metric))
            .chain(others)
            .map(|(text, metric)| Watch { rule: rule(text), metric })
            .collect();
        let fresh = || {
            let all = calendar.clone().with_metrics(Metric::ALL.into_iter().collect());
            let mut detector = Detector::new(&symbols, feed, &all, SpikeRule::default());
            for &watch in &watches {
                detector.watch(1, watch, Visibility::Public);
            }
            detector
        };
        let mut detector = fresh();
        let mut alerts: BTreeMap<String, Alert> = BTreeMap::new();
        for (index, bar) in bars.iter().enumerate() {
            if index == restart.index(bars.len()) {
                // As a store gives it back: as much as the windows want, the sessions a rule asks for, and
                // where those before closed.
                let known = &bars[..index];
                let newest = known.last().map_or(Second::MIN, |bar| bar.start);
                detector = fresh();
                let reach = detector.windows_reach();
                let recent = known.iter().filter(|bar| newest.seconds_since(bar.start) < reach);
                let told = alerts.values().map(|alert| (1, alert.clone()));
                detector.restore(recent.map(|bar| (1, *bar, 0)), told);
                if let Some(from) = detector.reach(1) {
                    detector.recall(1, known.iter().filter(|bar| bar.start >= from));
                }
                detector.recall_closes(1, known);
            }
            let mut changes: Vec<AlertChange> = Vec::new();
            detector.observe(1, bar, calendar.cadence().end(bar.start), &mut changes);
            for change in changes {
                alerts.insert(change.alert().id.to_string(), change.alert().clone());
            }
        }
        let own = AlertRule::Own(rule(text));
        let mut live: Vec<Alert> =
            alerts.into_values().filter(|alert| alert.rule == own && alert.metric == metric).collect();
        live.sort_by_key(|alert| alert.start);
        prop_assert_eq!(live, backtest(rule(text), metric, &calendar, &bars));
    }

    /// The house rule, spelt out, tells the same as the house rule.
    #[test]
    fn a_rule_spelt_out_equals_the_house_rule((calendar, bars) in sparse()) {
        prop_assume!(!bars.is_empty());
        let house = SpikeRule {
            ratio: "1.3".parse().unwrap(),
            window: 120,
            min_bars: 2,
            cooldown_seconds: 600,
            ..SpikeRule::default()
        };
        let run = |name, metric| {
            let mut backtest = Backtest::new(name, house, bars[0].symbol, metric, &calendar, Second::MIN);
            bars.iter().for_each(|bar| backtest.take(bar));
            backtest.finish()
        };
        for metric in Metric::ALL {
            let (named, spelt) = (run(RuleName::House, metric), run(RuleName::Own(house.into()), metric));
            prop_assert_eq!(told(&named.alerts), told(&spelt.alerts));
            prop_assert_eq!(named.days, spelt.days);
        }
    }

    /// What is known of earlier sessions does not depend on the order, the repeats and the revisions of the
    /// bars.
    #[test]
    fn sessions_know_the_same_in_any_order(
        (calendar, bars) in sparse(),
        order in any::<u64>(),
        sessions in 1_u8..20,
    ) {
        prop_assume!(!bars.is_empty());
        let told = |bars: &[Bar]| {
            let mut known = qqq_core::alert::sessions::Sessions::new(calendar.clone());
            let rule = rule(&format!("time_of_day sessions={sessions} min_sessions=1"));
            known.follow(0, &rule, Metric::Volume);
            bars.iter().for_each(|bar| known.insert(0, bar));
            known
        };
        let mut shuffled = bars.clone();
        let mut state = order | 1;
        for index in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            shuffled.swap(index, (state >> 33) as usize % (index + 1));
        }
        // Wrong values first, all over; then the right ones.
        let mut all: Vec<Bar> = shuffled.iter().map(|bar| Bar { volume: Volume::ZERO, ..*bar }).collect();
        all.extend(&shuffled);
        prop_assert_eq!(told(&all), told(&bars));
    }
}

#[test]
fn a_retracted_bar_takes_a_rules_alert_back_and_a_report_counts_its_days() {
    let calendar = always();
    let feed = FeedLabel::new("test").unwrap();
    let symbols = ["NVDA".parse().unwrap()];
    let mut detector = Detector::new(&symbols, feed, &calendar, SpikeRule::default());
    let watch = Watch { rule: rule("cross above=101"), metric: Metric::Price };
    detector.watch(0, watch, Visibility::Public);
    let mut changes = Vec::new();
    let start = Second::from_minute(28_000_000);
    for (minute, cents) in [(0, 10_000), (1, 10_150), (1, 10_050)] {
        let bar = bar(start.plus_minutes(minute), cents, cents, 1);
        detector.observe(0, &bar, bar.start.minute_end(), &mut changes);
    }
    assert!(matches!(&changes[..], [AlertChange::Raised(_), AlertChange::Retracted(_)]), "{changes:?}");

    let own = RuleName::Own(rule("move percent=1 from=1m cooldown=0s"));
    let from = start.plus_minutes(10);
    let mut backtest = Backtest::new(own, SpikeRule::default(), symbols[0], Metric::Price, &calendar, from);
    for minute in 0..3 * Second::MINUTES_PER_DAY {
        // Every thousandth minute jumps.
        let cents = if minute % 1_000 == 999 { 11_000 } else { 10_000 };
        backtest.take(&bar(start.plus_minutes(minute), cents, cents, 1));
    }
    let mut few =
        Backtest::new(own, SpikeRule::default(), symbols[0], Metric::Price, &calendar, from).keeping(3);
    for minute in 0..3 * Second::MINUTES_PER_DAY {
        let cents = if minute % 1_000 == 999 { 11_000 } else { 10_000 };
        few.take(&bar(start.plus_minutes(minute), cents, cents, 1));
    }
    let (report, few) = (backtest.finish(), few.finish());
    assert_eq!(few.alerts, report.alerts[..3], "the first are kept");
    assert_eq!((few.messages, few.qualifying_bars, &few.days), (8, 8, &report.days), "all are counted");
    assert_eq!(report.alerts.len(), 8, "up and down again, four times");
    assert_eq!(report.bars, 3 * 1_440 - 10);
    assert_eq!((report.messages, report.qualifying_bars), (8, 8));
    assert_eq!(report.days.iter().map(|day| day.alerts).sum::<u32>(), 8);
    let loud = report.loudest(1)[0];
    assert!(report.days.iter().all(|day| day.alerts <= loud.alerts));
    assert_eq!(report.quietest(9).len(), report.days.len());
}

#[test]
fn a_correction_after_midnight_is_judged_by_as_many_sessions_as_the_bar_was() {
    let symbols = ["NVDA".parse().unwrap()];
    let mut detector =
        Detector::new(&symbols, FeedLabel::new("test").unwrap(), &always(), SpikeRule::default());
    for text in ["time_of_day ratio=3 sessions=5 min_sessions=5", "move percent=2 from=previous_close"] {
        let rule = rule(text);
        let metric = if rule.suits(Metric::Volume).is_ok() { Metric::Volume } else { Metric::Price };
        detector.watch(0, Watch { rule, metric }, Visibility::Public);
    }
    let mut changes = Vec::new();
    // 15:00 in UTC, the same in New York on every day.
    let at = |day: i32| {
        Second::minute_of("2025-01-13T15:00:00Z".parse().unwrap()).plus_minutes(day * Second::MINUTES_PER_DAY)
    };
    let mut observe = |bar: Bar, clock: Second| detector.observe(0, &bar, clock.minute_end(), &mut changes);
    for day in 0..5 {
        observe(bar(at(day), 10_000, 10_000, 100), at(day));
    }
    observe(bar(at(5), 10_500, 10_500, 1_000), at(5));
    let next_day = at(5).plus_minutes(15 * 60);
    observe(bar(next_day, 10_500, 10_500, 1), next_day);
    observe(bar(at(5), 10_500, 10_500, 900), next_day);
    observe(bar(at(5), 10_000, 10_000, 900), next_day);
    let of = |metric: Metric| {
        let of_metric = changes.iter().filter(move |change| {
            change.alert().metric == metric && matches!(change.alert().rule, AlertRule::Own(_))
        });
        of_metric
            .map(|change| match change {
                AlertChange::Raised(_) => "raised",
                AlertChange::Counted(_) => "counted",
                AlertChange::Retracted(_) => "retracted",
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(of(Metric::Volume), ["raised", "counted"], "with its new volume: {changes:?}");
    assert_eq!(of(Metric::Price), ["raised", "retracted"], "by its new price: {changes:?}");
}
