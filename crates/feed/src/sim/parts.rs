//! A minute in parts: bars of seconds that together say what the bar of their minute says.

use super::noise::Noise;
use qqq_core::{Bar, Cadence, Price, Volume};

/// Prices are in whole cents, as the minute's are.
const CENT: i64 = Price::DOLLAR / 100;

/// The bars that make up the bar of a minute: the first opens and the last closes as it does, its high and
/// its low are reached, and its shares and trades are theirs. Without a trade there is no bar. `noise` is
/// the name's own.
pub(super) fn of(minute: &Bar, cadence: Cadence, noise: Noise) -> Vec<Bar> {
    let draw = noise.fork(minute.start.unix().unsigned_abs());
    let slots = 60 / cadence.seconds() as usize;
    let shares = minute.volume.shares();
    let trades = i64::from(minute.trades.unwrap_or(1)).clamp(1, shares.max(1));
    let activity: Vec<f64> = (0..slots).map(|slot| 0.5 + draw.uniform(slot as i32)).collect();
    let counts = spread(trades, &activity, 1.0 - draw.uniform(-1));
    let traded: Vec<(usize, i64)> = counts.into_iter().enumerate().filter(|(_, count)| *count > 0).collect();
    // Each trade is of one share at least; what is beyond is spread by the trades.
    let by_trades: Vec<f64> = traded.iter().map(|(_, count)| *count as f64).collect();
    let beyond = spread(shares - trades, &by_trades, 0.0);
    let prices = walk(minute, traded.len(), draw);
    let bars = traded.into_iter().zip(beyond).zip(prices);
    bars.filter_map(|(((slot, trades), beyond), [open, high, low, close])| {
        let price = |nanos: i64| Price::from_nanos(nanos).ok();
        Some(Bar {
            symbol: minute.symbol,
            start: minute.start.plus_seconds(slot as i64 * cadence.seconds()),
            open: price(open)?,
            high: price(high)?,
            low: price(low)?,
            close: price(close)?,
            volume: Volume::from_shares(trades + beyond).ok()?,
            vwap: Some(price((open + high + low + close) / 4)?),
            trades: u32::try_from(trades).ok(),
            feed: minute.feed,
        })
    })
    .collect()
}

/// Shares a whole number out by weights: the parts add up to it. `shift`, 0 to 1, moves the places where a
/// part gets the next one.
fn spread(whole: i64, weights: &[f64], shift: f64) -> Vec<i64> {
    let sum: f64 = weights.iter().sum();
    let (mut passed, mut given) = (0.0, 0);
    let last = weights.len().saturating_sub(1);
    let share = |(index, weight): (usize, &f64)| {
        passed += weight;
        let until =
            if index == last { whole } else { ((whole as f64 * passed / sum + shift) as i64).min(whole) };
        let part = until - given;
        given = until;
        part
    };
    weights.iter().enumerate().map(share).collect()
}

/// So many bars' open, high, low and close, 1e-9 dollars: a walk from the minute's open to its close that
/// stays within its range, and touches both ends.
fn walk(minute: &Bar, bars: usize, draw: Noise) -> Vec<[i64; 4]> {
    let [open, high, low, close] = [minute.open, minute.high, minute.low, minute.close].map(Price::nanos);
    let (highest, lowest) = (draw.below(-2, bars as u32) as usize, draw.below(-3, bars as u32) as usize);
    let mut from = open;
    (0..bars)
        .map(|bar| {
            let gone = (bar + 1) as f64 / bars as f64;
            let straight = open as f64 + (close - open) as f64 * gone;
            let stray = (draw.fork(1).uniform(bar as i32) - 0.5) * (gone * (1.0 - gone)).sqrt();
            let stray = straight + stray * (high - low) as f64;
            let until = if bar + 1 == bars {
                close
            } else {
                ((stray / CENT as f64).round() as i64 * CENT).clamp(low, high)
            };
            let top = if bar == highest { high } else { from.max(until) };
            let bottom = if bar == lowest { low } else { from.min(until) };
            let told = [from, top, bottom, until];
            from = until;
            told
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use qqq_core::Second;
    use qqq_core::market::aggregate::{Interval, aggregate};
    use qqq_core::market::calendar::{Calendar, Market};

    proptest! {
        #[test]
        fn the_parts_of_a_minute_say_what_it_says(
            seed in any::<u64>(),
            cadence in prop::sample::select(Cadence::ALL.to_vec()),
            cents in [1_i64..50_000, 1..50_000, 1..50_000, 1..50_000],
            shares in 1_i64..1_000_000,
            trades in 1_u32..3_000,
        ) {
            let price = |cents: i64| Price::from_nanos(cents * CENT).unwrap();
            let minute = Bar {
                symbol: "AAPL".parse().unwrap(),
                start: Second::minute_of("2025-01-28T15:00:00Z".parse().unwrap()),
                open: price(cents[0]),
                high: price(cents.into_iter().max().unwrap()),
                low: price(cents.into_iter().min().unwrap()),
                close: price(cents[1]),
                volume: Volume::from_shares(shares).unwrap(),
                vwap: None,
                trades: Some(u32::try_from(shares.min(trades.into())).unwrap()),
                feed: "simulated".parse().unwrap(),
            };
            let parts = of(&minute, cadence, Noise::seeded(seed));
            for part in &parts {
                prop_assert!(part.validate().is_ok() && cadence.starts(part.start), "{part:?}");
                prop_assert!(i64::from(part.trades.unwrap()) <= part.volume.shares());
            }
            prop_assert!(parts.windows(2).all(|pair| pair[0].start < pair[1].start));
            let calendar = Calendar::new(Market::Xnas, false, []).with_cadence(cadence);
            let whole = aggregate(&calendar, Interval::OneMinute, &parts);
            prop_assert_eq!(whole.len(), 1);
            let whole = &whole[0];
            let told = (whole.span.start, whole.open, whole.high, whole.low, whole.close);
            prop_assert_eq!(told, (minute.start, minute.open, minute.high, minute.low, minute.close));
            prop_assert_eq!((whole.volume, whole.trades), (shares, minute.trades.map(u64::from)));
        }
    }
}
