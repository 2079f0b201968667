//! Bars out of trades, against a computation from scratch that knows all trades at once.

use crate::given::symbol;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use qqq_core::{Bar, Second, Symbol};
use qqq_feed::StreamEvent;
use qqq_feed::finnhub::aggregate::{AHEAD, Aggregator, GRACE, LATE, REISSUE, SHARE, Trade};
use qqq_feed::finnhub::condition::{Conditions, Effect};
use std::collections::BTreeMap;

/// The first instant of the first minute.
const BASE: &str = "2025-01-31T15:00:00Z";

fn at(seconds: f64) -> Timestamp {
    let base: Timestamp = BASE.parse().expect("a time");
    base + SignedDuration::from_millis((seconds * 1000.0) as i64)
}

fn minute(number: i32) -> Second {
    Second::minute_of(at(0.0)).plus_minutes(number)
}

fn trade(seconds: f64, cents: i64, shares: i64, codes: &[&str]) -> Trade {
    let price = qqq_core::Price::from_nanos(cents * 10_000_000).expect("a price");
    let codes = || codes.iter().copied();
    let (conditions, effect) = (Conditions::of(codes()), Effect::of(codes()));
    Trade { symbol: symbol("AAPL"), at: at(seconds), price, size: shares * SHARE, conditions, effect }
}

/// An aggregator whose connection came up well before the first minute.
fn connected() -> Aggregator {
    let mut aggregator = Aggregator::new("finnhub".parse().expect("a label"));
    aggregator.connected(at(-60.0));
    aggregator
}

fn bars(events: Vec<StreamEvent>) -> Vec<Bar> {
    let bar = |event| match event {
        StreamEvent::Bar(bar) => bar,
        other => panic!("a bar, not {other:?}"),
    };
    events.into_iter().map(bar).collect()
}

fn take(aggregator: &mut Aggregator, trades: &[Trade], now: f64) {
    for trade in trades {
        aggregator.take(trade, at(now)).expect("a trade in time");
    }
}

/// `open high low close volume vwap trades`
fn shown(bar: &Bar) -> String {
    let Bar { open, high, low, close, volume, vwap, trades, .. } = bar;
    let vwap = vwap.map(|price| price.to_string()).unwrap_or_default();
    format!("{open} {high} {low} {close} {volume} {vwap} {}", trades.unwrap_or_default())
}

#[test]
fn a_minute_becomes_a_bar_once_it_is_over_and_a_grace_has_passed() {
    let mut aggregator = connected();
    take(
        &mut aggregator,
        &[
            trade(1.0, 10_000, 100, &["1"]),
            trade(2.0, 10_100, 300, &["1", "8"]),
            trade(59.999, 10_050, 100, &[]),
            trade(60.0, 20_000, 1, &["1"]),
        ],
        60.1,
    );
    assert_eq!(aggregator.due(at(61.9)), []);
    let handed = bars(aggregator.due(at(60.0) + GRACE));
    assert_eq!(handed.len(), 1);
    assert_eq!((handed[0].start, shown(&handed[0]).as_str()), (minute(0), "100 101 100 100.5 500 100.7 3"));
    assert_eq!(aggregator.due(at(70.0)), [], "told once");
}

#[test]
fn conditions_decide_what_a_trade_changes() {
    let mut aggregator = connected();
    take(
        &mut aggregator,
        &[
            trade(1.0, 9_000, 50, &["1", "12"]),   // an odd lot: volume alone
            trade(2.0, 10_000, 100, &["1"]),       // the open
            trade(3.0, 10_200, 100, &["32"]),      // derivatively priced: the high, not the last
            trade(4.0, 10_100, 100, &["1"]),       // the close
            trade(5.0, 50_000, 1_000, &["16"]),    // the official close repeats a trade: nothing
            trade(6.0, 9_900, 100, &["1", "999"]), // nobody knows: volume alone
            trade(7.0, 20_000, 100, &["1", "24"]), // Form T within the session: volume alone
        ],
        8.0,
    );
    let handed = bars(aggregator.due(at(65.0)));
    assert_eq!(shown(&handed[0]), "100 102 100 101 550 117.636363636 6");
}

#[test]
fn before_the_open_and_after_the_close_form_t_sets_the_prices() {
    let mut aggregator = connected();
    take(
        &mut aggregator,
        &[trade(1.0, 10_000, 100, &["1", "24"]), trade(2.0, 10_100, 100, &["24", "8"])],
        3.0,
    );
    assert_eq!(shown(&bars(aggregator.due(at(65.0)))[0]), "100 101 100 101 200 100.5 2");
}

#[test]
fn a_minute_of_odd_lots_alone_has_no_bar_until_a_trade_sets_a_price() {
    let mut aggregator = connected();
    take(&mut aggregator, &[trade(1.0, 10_000, 5, &["1", "12"])], 2.0);
    assert_eq!(aggregator.due(at(65.0)), []);
    take(&mut aggregator, &[trade(30.0, 10_100, 100, &["1"])], 70.0);
    assert_eq!(shown(&bars(aggregator.due(at(80.0)))[0]), "101 101 101 101 105 100.952380952 2");
}

#[test]
fn a_late_trade_issues_its_minute_again_for_five_minutes_and_not_at_once() {
    let mut aggregator = connected();
    take(&mut aggregator, &[trade(1.0, 10_000, 100, &["1"])], 1.0);
    assert_eq!(bars(aggregator.due(at(62.0))).len(), 1);
    take(&mut aggregator, &[trade(0.5, 9_900, 100, &["1"])], 63.0);
    assert_eq!(aggregator.due(at(63.0)), []);
    let again = bars(aggregator.due(at(62.0) + REISSUE));
    assert_eq!((again[0].start, shown(&again[0]).as_str()), (minute(0), "99 100 99 100 200 99.5 2"));

    let last = at(60.0) + LATE;
    aggregator.take(&trade(2.0, 10_100, 100, &["1"]), last).expect("just in time");
    assert_eq!(bars(aggregator.due(last)).len(), 1);
    let too_late = aggregator.take(&trade(3.0, 1, 1, &["1"]), last + SignedDuration::from_millis(1));
    assert!(too_late.expect_err("too late").reason.contains("5 minutes"));
    aggregator.due(at(3600.0));
}

#[test]
fn trades_of_the_future_are_refused() {
    let mut aggregator = connected();
    let now = at(0.0);
    let ahead = Trade { at: now + AHEAD + SignedDuration::from_millis(1), ..trade(0.0, 1, 1, &[]) };
    assert!(aggregator.take(&ahead, now).expect_err("ahead").reason.contains("ahead of the clock"));
    assert!(aggregator.take(&Trade { at: now + AHEAD, ..ahead }, now).is_ok());
}

#[test]
fn a_message_that_is_told_again_within_seconds_changes_nothing() {
    let volume = |messages: &[(&[Trade], f64)]| {
        let mut aggregator = connected();
        for (message, now) in messages {
            assert_eq!(aggregator.take_message(message, at(*now)), []);
        }
        bars(aggregator.due(at(100.0))).first().map_or(0, |bar| bar.volume.shares())
    };
    let (one, other) = (trade(1.0, 10_000, 100, &["1"]), trade(1.0, 10_000, 100, &["1", "8"]));
    assert_eq!(volume(&[(&[one], 1.1), (&[one], 1.1), (&[one], 1.2)]), 100, "three times the same");
    assert_eq!(volume(&[(&[one, other], 1.1), (&[other], 1.2), (&[one], 1.3)]), 200, "in other pieces");
    assert_eq!(volume(&[(&[one, one], 1.1), (&[one, one], 1.1)]), 200, "two trades, told twice");
    assert_eq!(volume(&[(&[one], 1.1), (&[one, one], 1.2)]), 200, "the second message tells one more");
    assert_eq!(volume(&[(&[one], 1.1), (&[one], 11.0), (&[one], 20.0)]), 100, "again and again");
    assert_eq!(volume(&[(&[one], 1.1), (&[one], 11.2)]), 200, "after ten seconds it is another one");
    for another in [
        trade(1.05, 10_000, 100, &["1"]),
        trade(1.0, 10_001, 100, &["1"]),
        trade(1.0, 10_000, 100, &[]),
        Trade { size: 100 * SHARE + 1, ..one },
    ] {
        assert_eq!(volume(&[(&[one], 1.1), (&[another], 1.1)]), 200, "{another:?}");
    }
}

#[test]
fn the_minute_in_which_the_connection_came_up_has_no_bar() {
    let mut aggregator = Aggregator::new("finnhub".parse().expect("a label"));
    aggregator.connected(at(10.0));
    take(&mut aggregator, &[trade(11.0, 10_000, 100, &["1"]), trade(61.0, 10_000, 100, &["1"])], 62.0);
    let handed = bars(aggregator.due(at(600.0)));
    assert_eq!(handed.iter().map(|bar| bar.start).collect::<Vec<_>>(), [minute(1)]);
    // Nothing acknowledges a subscription: one that is sent at the very end of a minute may miss the next
    // one's first trades.
    let mut aggregator = Aggregator::new("finnhub".parse().expect("a label"));
    aggregator.connected(at(59.0));
    take(&mut aggregator, &[trade(61.0, 10_000, 100, &["1"]), trade(121.0, 10_000, 100, &["1"])], 122.0);
    assert_eq!(bars(aggregator.due(at(600.0))).iter().map(|bar| bar.start).collect::<Vec<_>>(), [minute(2)]);
}

#[test]
fn the_minute_in_which_the_connection_was_lost_has_no_bar_and_known_ones_stay_open() {
    let mut aggregator = connected();
    take(&mut aggregator, &[trade(1.0, 10_000, 100, &["1"])], 1.0);
    assert_eq!(bars(aggregator.due(at(62.0))).len(), 1);
    take(&mut aggregator, &[trade(70.0, 10_000, 100, &["1"])], 70.0);
    aggregator.disconnected();
    take(&mut aggregator, &[trade(75.0, 10_000, 100, &["1"])], 75.0);
    aggregator.connected(at(80.0));
    take(
        &mut aggregator,
        &[
            trade(90.0, 10_000, 100, &["1"]),
            trade(2.0, 10_000, 100, &["1"]),
            trade(121.0, 10_000, 100, &["1"]),
        ],
        122.0,
    );
    let handed = bars(aggregator.due(at(600.0)));
    let told: Vec<_> = handed.iter().map(|bar| (bar.start, bar.volume.shares())).collect();
    assert_eq!(told, [(minute(0), 200), (minute(2), 100)]);
}

#[test]
fn sums_of_the_largest_trades_do_not_overflow() {
    let mut aggregator = connected();
    let price = qqq_core::Price::MAX;
    let huge = Trade { price, size: Trade::MAX_SIZE, ..trade(1.0, 1, 1, &["1"]) };
    for _ in 0..1000 {
        take(&mut aggregator, &[huge], 1.0);
    }
    let bar = bars(aggregator.due(at(65.0)))[0];
    assert_eq!((bar.volume, bar.vwap), (qqq_core::Volume::MAX, Some(price)));
    take(&mut aggregator, &[huge], 66.0);
    let events = aggregator.due(at(80.0));
    assert!(matches!(&events[..], [StreamEvent::Rejected(_)]), "{events:?}");
}

/// The bars of trades in their order of arrival, all known and all wholly seen.
fn from_scratch(trades: &[Trade]) -> BTreeMap<(Second, Symbol), String> {
    let mut minutes: BTreeMap<(Second, Symbol), Vec<Trade>> = BTreeMap::new();
    for trade in trades.iter().filter(|trade| trade.effect.volume) {
        minutes.entry((Second::minute_of(trade.at), trade.symbol)).or_default().push(*trade);
    }
    let bar = |mut trades: Vec<Trade>| {
        // Stable: trades of one instant stay in their order of arrival.
        trades.sort_by_key(|trade| trade.at);
        let regular: Vec<_> = trades.iter().filter(|trade| !trade.effect.extended).collect();
        let extended: Vec<_> = trades.iter().filter(|trade| trade.effect.extended).collect();
        let has_price = regular.iter().any(|trade| trade.effect.last);
        let pricing = if has_price { regular } else { extended };
        let last: Vec<_> = pricing.iter().filter(|trade| trade.effect.last).collect();
        let range = pricing.iter().filter(|trade| trade.effect.range).map(|trade| trade.price);
        let (open, close) = (last.first()?.price, last.last()?.price);
        let (high, low) = (range.clone().max()?, range.min()?);
        let size: i128 = trades.iter().map(|trade| i128::from(trade.size)).sum();
        let notional: i128 =
            trades.iter().map(|trade| i128::from(trade.size) * i128::from(trade.price.nanos())).sum();
        // Half to even, by comparing with the middle.
        let divided = |number: i128, by: i128| {
            let floor = number / by;
            let twice = 2 * number;
            let middle = (2 * floor + 1) * by;
            floor + i128::from(twice > middle || (twice == middle && floor % 2 == 1))
        };
        let vwap = qqq_core::Price::from_nanos(divided(notional, size) as i64).expect("a price");
        let volume = divided(size, SHARE.into());
        Some(format!("{open} {high} {low} {close} {volume} {vwap} {}", trades.len()))
    };
    minutes.into_iter().filter_map(|(key, trades)| Some((key, bar(trades)?))).collect()
}

const CODES: [&[&str]; 9] = [
    &[],
    &["1"],
    &["1", "8"],
    &["1", "12"],
    &["1", "24"],
    &["1", "24", "12"],
    &["32"],
    &["1", "16"],
    &["77"],
];

/// Trades of three minutes in any order, with repeats, and how many arrive between two looks for bars.
fn arrivals() -> impl Strategy<Value = Vec<(Trade, usize)>> {
    let one = (0..180_000_i64, 0..2_usize, 1..2_000_i64, 1..400_000_000_i64, 0..CODES.len(), 0..4_usize);
    let one = one.prop_map(|(ms, name, cents, size, codes, wait)| {
        // Few instants, so that many trades share one.
        let at = at(0.0) + SignedDuration::from_millis(ms - ms % 7_000);
        let trade = trade(0.0, cents, 1, CODES[codes]);
        (Trade { at, symbol: symbol(["AAPL", "MSFT"][name]), size, ..trade }, wait)
    });
    (prop::collection::vec(one, 1..60), prop::collection::vec(any::<prop::sample::Index>(), 0..10)).prop_map(
        |(mut arrivals, repeats)| {
            for index in repeats {
                arrivals.push(*index.get(&arrivals));
            }
            arrivals
        },
    )
}

proptest! {
    #[test]
    fn whatever_the_arrival_and_the_looks_the_last_bars_are_those_of_all_trades(arrivals in arrivals()) {
        let mut aggregator = connected();
        let mut latest = BTreeMap::new();
        // Time passes slowly enough that no trade is too late.
        let mut now = at(180.0);
        let mut look = |aggregator: &mut Aggregator, now: Timestamp| {
            for bar in bars(aggregator.due(now)) {
                latest.insert((bar.start, bar.symbol), shown(&bar));
            }
        };
        for (trade, wait) in &arrivals {
            aggregator.take(trade, now).expect("a trade in time");
            if *wait > 0 {
                now += SignedDuration::from_millis(*wait as i64 * 300);
                look(&mut aggregator, now);
            }
        }
        look(&mut aggregator, now + REISSUE + GRACE);
        let trades: Vec<Trade> = arrivals.iter().map(|(trade, _)| *trade).collect();
        prop_assert_eq!(latest, from_scratch(&trades));
    }

    #[test]
    fn bars_of_the_same_trades_differ_in_nothing_when_they_came_in_another_order(
        arrivals in arrivals(), seed: u64,
    ) {
        // Only trades of one instant depend on their order of arrival: here each has its own.
        let mut trades: Vec<Trade> = arrivals.into_iter().map(|(trade, _)| trade).collect();
        for (index, trade) in trades.iter_mut().enumerate() {
            trade.at += SignedDuration::from_millis(index as i64);
        }
        let outcome = |trades: &[Trade]| {
            let mut aggregator = connected();
            take(&mut aggregator, trades, 185.0);
            bars(aggregator.due(at(260.0)))
        };
        let straight = outcome(&trades);
        let mut state = seed | 1;
        trades.sort_by_cached_key(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        });
        prop_assert_eq!(outcome(&trades), straight);
    }
}
