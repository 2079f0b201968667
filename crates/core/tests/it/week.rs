//! A real week of ten names, the fall of NVDA on 27 January 2025 among it: every figure of every bar and
//! every alert against the oracle. The recording is not ours to publish, so it is looked for beside the
//! project.

use crate::oracle::{self, Exact, Series, value};
use flate2::read::MultiGzDecoder;
use qqq_core::alert::{Alert, AlertChange};
use qqq_core::market::calendar::{Calendar, Market};
use qqq_core::{Bar, Detector, FeedLabel, Metric, Second, SpikeRule, Symbol};
use std::collections::BTreeMap;
use std::io::Read;

/// The bars in file order, which is by minute.
pub(crate) fn week() -> Option<Vec<Bar>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/week_2025-01-27_ten.csv.gz");
    let Ok(file) = std::fs::File::open(path) else {
        eprintln!(
            "SKIPPED: the recorded week is not here; put week_2025-01-27_ten.csv.gz into ../shared/data"
        );
        return None;
    };
    let mut text = String::new();
    MultiGzDecoder::new(file).read_to_string(&mut text).unwrap();
    let bars = text
        .lines()
        .skip(1)
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            Bar {
                symbol: fields[0].parse().unwrap(),
                start: Second::at_minute(fields[1].parse().unwrap()).unwrap(),
                open: fields[2].parse().unwrap(),
                high: fields[3].parse().unwrap(),
                low: fields[4].parse().unwrap(),
                close: fields[5].parse().unwrap(),
                volume: fields[6].parse().unwrap(),
                vwap: None,
                trades: None,
                feed: FeedLabel::new("replay").unwrap(),
            }
            .validate()
            .map(telling_more)
            .unwrap()
        })
        .collect();
    Some(bars)
}

/// The recording has neither vwap nor trades: most bars get some that go with the rest.
fn telling_more(bar: Bar) -> Bar {
    let shares = bar.volume.shares();
    let vwap = (shares % 7 > 0).then_some(bar.open);
    let trades = (shares % 11 > 0).then(|| (shares / 90 + 1) as u32);
    Bar { vwap, trades, ..bar }
}

fn check(calendar: &Calendar, cooldown_minutes: u32, expected_bars: usize) -> Vec<Alert> {
    let Some(mut bars) = week() else { return Vec::new() };
    bars.retain(|bar| calendar.counts(bar.start));
    bars.sort_by_key(|bar| (bar.start, bar.symbol));
    assert_eq!(bars.len(), expected_bars);
    let mut symbols: Vec<Symbol> = bars.iter().map(|bar| bar.symbol).collect();
    symbols.sort();
    symbols.dedup();
    assert_eq!(symbols.len(), 10);

    let calendar = &calendar.clone().with_metrics(Metric::ALL.into_iter().collect());
    let rule = SpikeRule { cooldown_seconds: cooldown_minutes * 60, ..SpikeRule::default() };
    let mut detector = Detector::new(&symbols, FeedLabel::new("replay").unwrap(), calendar, rule);
    let mut known: BTreeMap<Symbol, BTreeMap<i64, Bar>> = BTreeMap::new();
    let mut series: BTreeMap<(Symbol, Metric), Series> = BTreeMap::new();
    let mut alerts: BTreeMap<String, Alert> = BTreeMap::new();
    for bar in &bars {
        let symbol = symbols.binary_search(&bar.symbol).unwrap();
        let mut changes: Vec<AlertChange> = Vec::new();
        detector.observe(symbol, bar, bar.start.minute_end(), &mut changes);
        for change in changes {
            alerts.insert(change.alert().id.to_string(), change.alert().clone());
        }
        let statistics = detector.statistics(symbol).unwrap();
        let now = bar.start.unix();
        let known = known.entry(bar.symbol).or_default();
        known.insert(now, *bar);
        for metric in Metric::ALL {
            let place = format!("{} {metric} at {}", bar.symbol, bar.start);
            let series = series.entry((bar.symbol, metric)).or_default();
            series.extend(value(metric, known, now).map(|value| (now, value)));
            let exact = Exact::at(series, now, metric.units());
            exact.assert_matches(&statistics.of(metric).unwrap(), &place);
        }
    }

    for ((symbol, metric), series) in &series {
        let mut found: Vec<oracle::Spike> = alerts
            .values()
            .filter(|alert| alert.symbol == *symbol && alert.metric == *metric)
            .map(oracle::Spike::from)
            .collect();
        found.sort_by_key(|spike| spike.start);
        assert_eq!(found, oracle::spikes(series, 30, i64::from(cooldown_minutes) * 60), "{symbol} {metric}");
    }
    alerts.into_values().collect()
}

#[test]
fn the_literal_rule_over_every_bar_of_the_week() {
    let alerts = check(&Calendar::new(Market::Always, false, []), 0, 33_837);
    eprintln!("always, no cool-down: {} alerts", alerts.len());
}

#[test]
fn the_default_rule_over_the_regular_sessions_of_the_week() {
    let alerts = check(&Calendar::new(Market::Xnas, false, []), 60, 19_400);
    eprintln!("XNAS, cool-down of an hour: {} alerts", alerts.len());
}
