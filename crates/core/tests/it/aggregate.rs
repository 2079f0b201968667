//! Longer bars against a brute-force oracle, in weeks where clocks change and sessions are short.
//!
//! The oracle knows nothing of buckets: it labels each minute by New York wall time and groups equal labels.

use jiff::civil::Time;
use num_rational::BigRational;
use old_bigint::BigInt;
use proptest::prelude::*;
use qqq_core::market::aggregate::{Candle, Interval, aggregate};
use qqq_core::market::calendar::{Market, new_york};
use qqq_core::{Bar, Calendar, Price, Second, Volume};
use std::collections::BTreeMap;

/// Mondays, 00:00 UTC, of weeks worth looking at.
const WEEKS: [&str; 5] = [
    "2025-03-03T00:00:00Z", // summer time begins on its Sunday
    "2025-10-27T00:00:00Z", // and ends
    "2024-11-25T00:00:00Z", // Thanksgiving, early close
    "2025-06-30T00:00:00Z", // Independence Day, early close
    "2025-01-06T00:00:00Z", // an unscheduled closure
];

/// Which bucket a second belongs to: the date, the part of the day, and the number within the part.
type Label = (jiff::civil::Date, u8, i64);

fn label(calendar: &Calendar, interval: Interval, at: Second) -> Option<Label> {
    if !calendar.counts(at) {
        return None;
    }
    let local = new_york().to_datetime(at.start());
    let (date, time) = (local.date(), local.time());
    let length = match interval {
        Interval::OneDay => return Some((date, 0, 0)),
        Interval::OneHour => 3600,
        Interval::FifteenMinutes => 900,
        Interval::FiveMinutes => 300,
        Interval::OneMinute => 60,
        Interval::ThirtySeconds => 30,
        Interval::FifteenSeconds => 15,
        Interval::TenSeconds => 10,
        Interval::FiveSeconds => 5,
        Interval::OneSecond => 1,
    };
    let session = calendar.session_on(date)?;
    let (part, from) = if calendar.market() == Market::Always {
        // An hour that clocks go through twice is two hours: told apart by elapsed time alone.
        let elapsed = at.start().duration_since(calendar.midnight(date).start()).as_secs();
        return Some((date, 0, elapsed / length));
    } else if at < session.open {
        (0, Time::constant(4, 0, 0, 0))
    } else if at < session.close {
        (1, Time::constant(9, 30, 0, 0))
    } else {
        (2, Time::constant(if session.early_close { 13 } else { 16 }, 0, 0, 0))
    };
    let of_day =
        |time: Time| (i64::from(time.hour()) * 60 + i64::from(time.minute())) * 60 + i64::from(time.second());
    Some((date, part, (of_day(time) - of_day(from)) / length))
}

/// Open, high, low, close, volume, vwap, trades.
type Told = (Price, Price, Price, Price, i64, Option<Price>, Option<u64>);

/// What the bars of one label come to.
fn brute(bars: &[&Bar]) -> Told {
    let volume: i64 = bars.iter().map(|bar| bar.volume.shares()).sum();
    let vwaps: Option<Vec<_>> = bars.iter().map(|bar| bar.vwap).collect();
    let vwap = vwaps.filter(|_| volume > 0).map(|vwaps| {
        let traded: BigInt = vwaps
            .iter()
            .zip(bars)
            .map(|(vwap, bar)| BigInt::from(vwap.nanos()) * BigInt::from(bar.volume.shares()))
            .sum();
        let exact = BigRational::new(traded, BigInt::from(volume));
        let floor = exact.floor().to_integer();
        let half = BigRational::new(1.into(), 2.into());
        let beyond = &exact - BigRational::from(floor.clone());
        let up = beyond > half || (beyond == half && &floor % 2 == BigInt::from(1));
        let nanos = if up { floor + 1 } else { floor };
        Price::from_nanos(nanos.try_into().unwrap()).unwrap()
    });
    let trades: Option<Vec<u32>> = bars.iter().map(|bar| bar.trades).collect();
    (
        bars[0].open,
        bars.iter().map(|bar| bar.high).max().unwrap(),
        bars.iter().map(|bar| bar.low).min().unwrap(),
        bars[bars.len() - 1].close,
        volume,
        vwap,
        trades.map(|trades| trades.into_iter().map(u64::from).sum()),
    )
}

fn told(candle: &Candle) -> Told {
    (candle.open, candle.high, candle.low, candle.close, candle.volume, candle.vwap, candle.trades)
}

prop_compose! {
    /// Some seconds of an interesting week, each with a bar.
    fn week()(
        monday in prop::sample::select(WEEKS.to_vec()),
        known in any::<bool>(),
        seconds in prop::collection::btree_map(
            prop_oneof![0..7 * 86_400_i64, (0..7 * 1440_i64).prop_map(|minute| minute * 60)],
            (1..9_000_000_000_000_000_i64, 1..9_000_000_000_000_000_i64, 1..9_000_000_000_000_000_i64,
             0..1_000_000_000_000_i64, 0..20_u8, any::<u32>()),
            0..600,
        ),
    ) -> Vec<Bar> {
        let monday = Second::minute_of(monday.parse().unwrap());
        let price = |nanos| Price::from_nanos(nanos).unwrap();
        seconds
            .into_iter()
            .map(|(offset, (a, b, c, volume, dice, trades))| Bar {
                symbol: "AAPL".parse().unwrap(),
                start: monday.plus_seconds(offset),
                open: price(a),
                high: price(a.max(b)),
                low: price(a.min(b)),
                close: price(b),
                volume: Volume::from_shares(if dice == 0 { 0 } else { volume }).unwrap(),
                vwap: (known || dice != 1).then(|| price(c)),
                trades: (known || dice != 2).then_some(trades),
                feed: if dice == 3 { "iex" } else { "sip" }.parse().unwrap(),
            })
            .collect()
    }
}

proptest! {
    #[test]
    fn equals_grouping_by_wall_time(
        bars in week(),
        interval in prop::sample::select(Interval::ALL.to_vec()),
        market in prop::sample::select(vec![Market::Xnas, Market::Always]),
        extended_hours: bool,
    ) {
        let calendar = Calendar::new(market, extended_hours, []);
        let mut groups: BTreeMap<Label, Vec<&Bar>> = BTreeMap::new();
        for bar in &bars {
            if let Some(label) = label(&calendar, interval, bar.start) {
                groups.entry(label).or_default().push(bar);
            }
        }
        let candles = aggregate(&calendar, interval, &bars);
        prop_assert_eq!(candles.len(), groups.len());
        for (candle, (label_of_group, group)) in candles.iter().zip(&groups) {
            prop_assert_eq!(told(candle), brute(group));
            let feeds = group.iter().all(|bar| bar.feed == group[0].feed).then_some(group[0].feed);
            prop_assert_eq!(candle.feed, feeds);
            // The bucket is all the seconds of the label, and no other.
            let span = &candle.span;
            prop_assert_eq!(label(&calendar, interval, span.start), Some(*label_of_group));
            prop_assert_eq!(label(&calendar, interval, span.end.plus_seconds(-1)), Some(*label_of_group));
            let before = span.start.plus_seconds(-1);
            prop_assert_ne!(label(&calendar, interval, before), Some(*label_of_group));
            prop_assert_ne!(label(&calendar, interval, span.end), Some(*label_of_group));
        }
    }

    #[test]
    fn cut_between_buckets_the_parts_make_the_whole(
        bars in week(),
        interval in prop::sample::select(Interval::ALL.to_vec()),
        extended_hours: bool,
        cut in 0.0..1.0_f64,
    ) {
        let calendar = Calendar::new(Market::Xnas, extended_hours, []);
        let whole = aggregate(&calendar, interval, &bars);
        let at = (whole.len() as f64 * cut) as usize;
        if let Some(first_of_second) = whole.get(at) {
            let (one, other): (Vec<Bar>, Vec<Bar>) =
                bars.iter().partition(|bar| bar.start < first_of_second.span.start);
            let mut parts = aggregate(&calendar, interval, &one);
            parts.extend(aggregate(&calendar, interval, &other));
            prop_assert_eq!(parts, whole);
        }
    }
}
