//! Bars out of trades, against a computation from scratch that knows all trades at once.

use crate::given::symbol;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use qqq_core::{Bar, Cadence, Second, Symbol};
use qqq_feed::StreamEvent;
use qqq_feed::finnhub::condition::{Conditions, effect};
use qqq_feed::finnhub::repeats::Repeats;
use qqq_feed::finnhub::tick::Tick;
use qqq_feed::trades::aggregate::{AHEAD, GRACE, LATE, MOST_NAMED, REISSUE};
use qqq_feed::trades::{Aggregator, Correction, Effect, SHARE, Trade, TradeId, TradeName};
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
    let effect = effect(codes.iter().copied());
    Trade { symbol: symbol("AAPL"), at: at(seconds), price, size: shares * SHARE, effect, id: None }
}

/// The same under a name.
fn named(number: u64, trade: Trade) -> Trade {
    Trade { id: Some(TradeId { exchange: 'V', number }), ..trade }
}

fn name(trade: &Trade) -> TradeName {
    trade.name().expect("a name")
}

/// An aggregator whose connection came up well before the first minute.
fn connected() -> Aggregator {
    connected_to(Cadence::Sixty)
}

fn connected_to(cadence: Cadence) -> Aggregator {
    let mut aggregator = Aggregator::new("iex".parse().expect("a label"), cadence);
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
    let tick = |seconds: f64, cents: i64, codes: &[&str]| Tick {
        trade: trade(seconds, cents, 100, codes),
        conditions: Conditions::of(codes.iter().copied()),
    };
    let volume = |messages: &[(&[Tick], f64)]| {
        let (mut aggregator, mut repeats) = (connected(), Repeats::default());
        for (message, now) in messages {
            take(&mut aggregator, &repeats.strip(message, at(*now)), *now);
        }
        bars(aggregator.due(at(100.0))).first().map_or(0, |bar| bar.volume.shares())
    };
    let (one, other) = (tick(1.0, 10_000, &["1"]), tick(1.0, 10_000, &["1", "8"]));
    assert_eq!(volume(&[(&[one], 1.1), (&[one], 1.1), (&[one], 1.2)]), 100, "three times the same");
    assert_eq!(volume(&[(&[one, other], 1.1), (&[other], 1.2), (&[one], 1.3)]), 200, "in other pieces");
    assert_eq!(volume(&[(&[one, one], 1.1), (&[one, one], 1.1)]), 200, "two trades, told twice");
    assert_eq!(volume(&[(&[one], 1.1), (&[one, one], 1.2)]), 200, "the second message tells one more");
    assert_eq!(volume(&[(&[one], 1.1), (&[one], 11.0), (&[one], 20.0)]), 100, "again and again");
    assert_eq!(volume(&[(&[one], 1.1), (&[one], 11.2)]), 200, "after ten seconds it is another one");
    let larger = Trade { size: 100 * SHARE + 1, ..one.trade };
    for another in [
        tick(1.05, 10_000, &["1"]),
        tick(1.0, 10_001, &["1"]),
        tick(1.0, 10_000, &[]),
        Tick { trade: larger, ..one },
    ] {
        assert_eq!(volume(&[(&[one], 1.1), (&[another], 1.1)]), 200, "{another:?}");
    }
}

#[test]
fn the_minute_in_which_the_connection_came_up_has_no_bar() {
    let mut aggregator = Aggregator::new("iex".parse().expect("a label"), Cadence::Sixty);
    aggregator.connected(at(10.0));
    take(&mut aggregator, &[trade(11.0, 10_000, 100, &["1"]), trade(61.0, 10_000, 100, &["1"])], 62.0);
    let handed = bars(aggregator.due(at(600.0)));
    assert_eq!(handed.iter().map(|bar| bar.start).collect::<Vec<_>>(), [minute(1)]);
    // Nothing acknowledges a subscription: one that is sent at the very end of a minute may miss the next
    // one's first trades.
    let mut aggregator = Aggregator::new("iex".parse().expect("a label"), Cadence::Sixty);
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

#[test]
fn a_second_becomes_a_bar_and_one_without_a_trade_becomes_none() {
    for (cadence, expected) in [
        (Cadence::One, vec![(0, "100 100 100 100 100 100 1"), (2, "101 102 101 102 300 101.666666667 2")]),
        (Cadence::Five, vec![(0, "100 102 100 102 400 101.25 3")]),
    ] {
        let mut aggregator = connected_to(cadence);
        let trades = [
            trade(0.0, 10_000, 100, &[]),
            trade(2.0, 10_100, 100, &[]),
            trade(2.999, 10_200, 200, &[]),
            // Of the second that is not over.
            trade(10.0, 20_000, 1, &[]),
        ];
        take(&mut aggregator, &trades, 10.0);
        let told: Vec<(i64, String)> = bars(aggregator.due(at(10.0)))
            .iter()
            .map(|bar| (bar.start.seconds_since(minute(0)), shown(bar)))
            .collect();
        let expected: Vec<(i64, String)> =
            expected.into_iter().map(|(start, text)| (start, text.to_owned())).collect();
        assert_eq!(told, expected, "{cadence}");
    }
}

#[test]
fn seconds_are_seen_from_the_first_whole_one_after_the_connection() {
    let mut aggregator = Aggregator::new("iex".parse().expect("a label"), Cadence::One);
    aggregator.connected(at(10.5));
    let trades: Vec<Trade> = (10..16).map(|second| trade(f64::from(second), 10_000, 1, &[])).collect();
    take(&mut aggregator, &trades, 16.0);
    let starts: Vec<i64> =
        bars(aggregator.due(at(30.0))).iter().map(|bar| bar.start.seconds_since(minute(0))).collect();
    assert_eq!(starts, [13, 14, 15], "a subscription takes two seconds to work");
}

#[test]
fn a_cancelled_trade_is_taken_out_of_its_bar_and_the_bar_told_again() {
    let mut aggregator = connected_to(Cadence::One);
    let (first, wrong, last) = (
        named(1, trade(0.1, 10_000, 100, &[])),
        named(2, trade(0.2, 99_900, 900, &[])),
        named(3, trade(0.3, 10_100, 100, &[])),
    );
    take(&mut aggregator, &[first, wrong, last], 0.4);
    assert_eq!(shown(&bars(aggregator.due(at(3.0)))[0]), "100 999 100 101 1100 835.636363636 3");
    aggregator.cancel(&name(&wrong)).expect("a known trade");
    assert_eq!(aggregator.due(at(12.9)), [], "not at once");
    assert_eq!(shown(&bars(aggregator.due(at(13.0)))[0]), "100 101 100 101 200 100.5 2");
    // Once it is gone there is nothing to cancel.
    let unknown = aggregator.cancel(&name(&wrong)).expect_err("gone");
    assert!(unknown.reason.contains("not known"), "{unknown:?}");
    // Told again, it is another trade; told twice, it is one.
    take(&mut aggregator, &[wrong, wrong, last], 14.0);
    assert_eq!(bars(aggregator.due(at(30.0)))[0].volume.shares(), 1100);
}

#[test]
fn a_corrected_trade_keeps_its_place_in_time() {
    let mut aggregator = connected_to(Cadence::One);
    let (first, last) = (named(1, trade(0.1, 10_000, 100, &[])), named(2, trade(0.2, 10_100, 100, &[])));
    take(&mut aggregator, &[last, first], 0.4);
    let id = TradeId { exchange: 'V', number: 7 };
    let price = qqq_core::Price::from_nanos(99_000_000_000).expect("a price");
    let correction = Correction { told: name(&first), id, price, size: 300 * SHARE, effect: Effect::ALL };
    aggregator.correct(&correction).expect("a known trade");
    assert_eq!(shown(&bars(aggregator.due(at(3.0)))[0]), "99 101 99 101 400 99.5 2");
    // By its new name it is known, by its old one no more.
    assert!(aggregator.correct(&correction).is_err());
    let again = Correction { told: TradeName { id, price, size: 300 * SHARE, ..name(&first) }, ..correction };
    let to_volume = Correction { effect: Effect::VOLUME, ..again };
    aggregator.correct(&to_volume).expect("a known trade");
    assert_eq!(shown(&bars(aggregator.due(at(13.0)))[0]), "101 101 101 101 400 99.5 2");
}

#[test]
fn a_bar_whose_trades_were_all_cancelled_falls_back_to_the_price_before_it() {
    let mut aggregator = connected_to(Cadence::One);
    let (calm, wrong) = (named(1, trade(0.0, 10_000, 100, &[])), named(2, trade(5.0, 99_900, 100, &[])));
    take(&mut aggregator, &[calm, wrong], 5.0);
    assert_eq!(bars(aggregator.due(at(10.0))).len(), 2);
    aggregator.cancel(&name(&wrong)).expect("a known trade");
    let told = bars(aggregator.due(at(20.0)));
    assert_eq!(
        (told[0].start, shown(&told[0]).as_str()),
        (minute(0).plus_seconds(5), "100 100 100 100 0  0")
    );
    // Without one before it, it stays.
    aggregator.cancel(&name(&calm)).expect("a known trade");
    let events = aggregator.due(at(20.0));
    assert!(matches!(&events[..], [StreamEvent::Rejected(_)]), "{events:?}");
    // One that was never told is not told now.
    let unseen = named(3, trade(30.0, 10_000, 100, &[]));
    take(&mut aggregator, &[unseen], 30.0);
    aggregator.cancel(&name(&unseen)).expect("a known trade");
    assert_eq!(aggregator.due(at(60.0)), []);
}

#[test]
fn a_correction_beyond_the_reach_says_so_and_changes_nothing() {
    let mut aggregator = connected_to(Cadence::One);
    let old = named(1, trade(0.0, 10_000, 100, &[]));
    take(&mut aggregator, &[old], 0.0);
    assert_eq!(bars(aggregator.due(at(10.0))).len(), 1);
    aggregator.due(at(1.0) + LATE);
    aggregator.cancel(&name(&old)).expect("five minutes later it is known");
    aggregator.due(at(30.0) + LATE);
    assert!(aggregator.cancel(&name(&old)).is_err());

    // A symbol that trades very often is remembered for less long.
    let mut aggregator = connected_to(Cadence::One);
    let (first, last) = (named(0, trade(0.0, 10_000, 1, &[])), MOST_NAMED as u64);
    take(&mut aggregator, &[first], 1.0);
    for number in 1..=last {
        take(&mut aggregator, &[named(number, trade(1.0, 10_000, 1, &[]))], 1.0);
    }
    assert!(aggregator.cancel(&name(&first)).is_err(), "its bar is final");
    assert!(aggregator.cancel(&name(&named(last, trade(1.0, 10_000, 1, &[])))).is_ok());
    let told: Vec<i64> = bars(aggregator.due(at(5.0))).iter().map(|bar| bar.volume.shares()).collect();
    assert_eq!(told, [1, last as i64 - 1], "and loses nothing");
}

/// Whatever may come over a tape.
#[derive(Debug, Clone, Copy)]
enum Told {
    Trade(Trade),
    /// Of the trade that came so many places before, as it stands by then.
    Cancel(prop::sample::Index),
    Correction(prop::sample::Index, i64, i64, usize),
}

/// The bars of the trades that stand in the end, in their order of arrival, all of them wholly seen.
fn from_scratch(trades: &[Trade], cadence: Cadence) -> BTreeMap<(Second, Symbol), String> {
    let mut cells: BTreeMap<(Second, Symbol), Vec<Trade>> = BTreeMap::new();
    for trade in trades.iter().filter(|trade| trade.effect.volume) {
        let second = trade.at.as_second();
        let start = Second::from_unix(second - second.rem_euclid(cadence.seconds()));
        cells.entry((start, trade.symbol)).or_default().push(*trade);
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
    cells.into_iter().filter_map(|(key, trades)| Some((key, bar(trades)?))).collect()
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

fn any_cadence() -> impl Strategy<Value = Cadence> {
    prop::sample::select(vec![Cadence::One, Cadence::Five, Cadence::Sixty])
}

/// Trades of three minutes in any order, and how many looks for bars come between two of them.
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

/// The same with names, and with cancels and corrections of any that came before.
fn tape() -> impl Strategy<Value = Vec<(Told, usize)>> {
    let change = (any::<prop::sample::Index>(), 1..2_000_i64, 1..400_000_000_i64, 0..CODES.len(), 0..3_u8);
    let changes = prop::collection::vec((any::<prop::sample::Index>(), change, 0..4_usize), 0..30);
    (arrivals(), changes).prop_map(|(arrivals, changes)| {
        let mut told: Vec<(Told, usize)> = (1..)
            .zip(arrivals)
            .map(|(number, (trade, wait))| (Told::Trade(named(number, trade)), wait))
            .collect();
        for (place, (which, cents, size, codes, kind), wait) in changes {
            let one = match kind {
                0 => Told::Cancel(which),
                _ => Told::Correction(which, cents, size, codes),
            };
            let at = 1 + place.index(told.len());
            told.insert(at, (one, wait));
        }
        told
    })
}

proptest! {
    #[test]
    fn whatever_the_arrival_and_the_looks_the_last_bars_are_those_of_all_trades(
        arrivals in arrivals(), cadence in any_cadence(),
    ) {
        let mut aggregator = connected_to(cadence);
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
        prop_assert_eq!(latest, from_scratch(&trades, cadence));
    }

    #[test]
    fn whatever_is_late_corrected_or_cancelled_the_last_bars_are_those_of_the_trades_that_stand(
        tape in tape(), cadence in any_cadence(),
    ) {
        let mut aggregator = connected_to(cadence);
        let mut latest: BTreeMap<(Second, Symbol), String> = BTreeMap::new();
        let mut now = at(180.0);
        // By order of arrival; a correction stands where the trade stood.
        let mut standing: Vec<Trade> = Vec::new();
        let mut number = 1_000_000;
        let mut look = |aggregator: &mut Aggregator, now: Timestamp| {
            for event in aggregator.due(now) {
                // One that lost all its trades may have no price to fall back to.
                if let StreamEvent::Bar(bar) = event {
                    latest.insert((bar.start, bar.symbol), shown(&bar));
                }
            }
        };
        for (told, wait) in &tape {
            match *told {
                Told::Trade(trade) => {
                    aggregator.take(&trade, now).expect("a trade in time");
                    standing.push(trade);
                }
                Told::Cancel(which) if !standing.is_empty() => {
                    let trade = standing.remove(which.index(standing.len()));
                    aggregator.cancel(&name(&trade)).expect("a known trade");
                }
                Told::Correction(which, cents, size, codes) if !standing.is_empty() => {
                    let place = which.index(standing.len());
                    let trade = &mut standing[place];
                    let told = name(trade);
                    number += 1;
                    let by = self::trade(0.0, cents, 1, CODES[codes]);
                    *trade = named(number, Trade { at: trade.at, symbol: trade.symbol, size, ..by });
                    let TradeName { id, price, size, .. } = name(trade);
                    let correction = Correction { told, id, price, size, effect: by.effect };
                    aggregator.correct(&correction).expect("a known trade");
                }
                _ => {}
            }
            if *wait > 0 {
                now += SignedDuration::from_millis(*wait as i64 * 300);
                look(&mut aggregator, now);
            }
        }
        look(&mut aggregator, now + REISSUE + GRACE);
        let expected = from_scratch(&standing, cadence);
        // What was told and then lost its price is told of as nothing traded, or stays.
        let left: BTreeMap<_, _> =
            latest.iter().filter(|(key, _)| expected.contains_key(key)).collect();
        prop_assert_eq!(left, expected.iter().collect::<BTreeMap<_, _>>());
        // The minutes of the same trades, whatever the cadence.
        for minute in 0..3 {
            let start = self::minute(minute);
            for name in ["AAPL", "MSFT"] {
                let over = aggregator.bar_over(symbol(name), start..start.plus_minutes(1));
                let over = over.map(|bar| shown(&bar.expect("a bar")));
                let minutes = from_scratch(&standing, Cadence::Sixty);
                prop_assert_eq!(over.as_ref(), minutes.get(&(start, symbol(name))));
            }
        }
    }

    #[test]
    fn bars_of_the_same_trades_differ_in_nothing_when_they_came_in_another_order(
        arrivals in arrivals(), seed: u64, cadence in any_cadence(),
    ) {
        // Only trades of one instant depend on their order of arrival: here each has its own.
        let mut trades: Vec<Trade> = arrivals.into_iter().map(|(trade, _)| trade).collect();
        for (index, trade) in trades.iter_mut().enumerate() {
            trade.at += SignedDuration::from_millis(index as i64);
        }
        let outcome = |trades: &[Trade]| {
            let mut aggregator = connected_to(cadence);
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
