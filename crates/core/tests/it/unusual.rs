//! The intraday profile and the score, against a recomputation from the contract's sentences in exact
//! rationals.

use jiff::civil::date;
use num_rational::BigRational;
use old_bigint::BigInt;
use proptest::prelude::*;
use qqq_core::market::calendar::Market;
use qqq_core::statistics::profile::{Profile, Usual};
use qqq_core::statistics::unusual::{Now, Unusual};
use qqq_core::{Cadence, Calendar, Phase, Price, Second, Volume};
use std::collections::BTreeMap;

type Bars = BTreeMap<Second, (i64, i64)>;

fn ratio(numerator: i64, denominator: i64) -> BigRational {
    BigRational::new(BigInt::from(numerator), BigInt::from(denominator))
}

fn as_f64(number: &BigRational) -> f64 {
    // Far more digits than a double has, so that the one rounding is the division's.
    let scale = BigInt::from(10).pow(60);
    let scaled = (number * BigRational::from(scale)).to_integer().to_string();
    format!("{scaled}e-60").parse().unwrap()
}

/// What section 7 says of `minute`, of the days before alone.
fn oracle(calendar: &Calendar, bars: &Bars, minute: Second) -> Usual {
    let today = calendar.date_of(minute);
    let phase = calendar.phase(minute);
    let offset = minute.minutes_since(calendar.tracked_on(today).unwrap().start);
    let mut days = Vec::new();
    let mut day = today;
    while days.len() < 21 {
        day = day.yesterday().unwrap();
        if calendar.session_on(day).is_some() {
            days.push(day);
        }
    }
    let of = |from: Second, to: Second, phase: Option<Phase>| -> Vec<(i64, i64)> {
        bars.range(from..to)
            .filter(|(start, _)| calendar.counts(**start))
            .filter(|(start, _)| phase.is_none_or(|phase| calendar.phase(**start) == phase))
            .map(|(_, values)| *values)
            .collect()
    };
    let (mut squares, mut moves, mut volumes) = (ratio(0, 1), 0_u8, Vec::new());
    for (at, &session) in days.iter().take(20).enumerate() {
        let tracked = calendar.tracked_on(session).unwrap();
        let same = tracked.start.plus_minutes(offset);
        if same >= tracked.end || calendar.phase(same) != phase {
            continue;
        }
        let before = calendar.tracked_on(days[at + 1]).unwrap();
        let previous = of(before.start, before.end, Some(Phase::Regular)).last().copied();
        let close = of(tracked.start, same.plus_minutes(1), None).last().copied();
        if let (Some((previous, _)), Some((close, _))) = (previous, close) {
            let moved = ratio(close, previous) - ratio(1, 1);
            squares += &moved * &moved;
            moves += 1;
        }
        if !of(tracked.start, tracked.end, Some(phase)).is_empty() {
            let so_far = of(tracked.start, same.plus_minutes(1), Some(phase));
            volumes.push(so_far.iter().map(|(_, volume)| volume).sum::<i64>());
        }
    }
    volumes.sort_unstable();
    let twice_volume = match volumes.len() {
        0 => 0,
        n => volumes[(n - 1) / 2] + volumes[n / 2],
    };
    let mean = if moves == 0 { squares } else { squares / ratio(i64::from(moves), 1) };
    Usual {
        rms_move: as_f64(&mean).sqrt(),
        move_sessions: moves,
        twice_volume,
        volume_sessions: volumes.len() as u8,
    }
}

fn profile(calendar: &Calendar, bars: &Bars, minute: Second) -> Profile {
    let date = calendar.date_of(minute);
    let reach = Profile::reach(calendar, date);
    let bars: Vec<_> =
        bars.range(reach).map(|(start, (close, volume))| bar(*start, *close, *volume)).collect();
    Profile::new(calendar, date, &bars).unwrap()
}

fn bar(start: Second, close: i64, volume: i64) -> (Second, Price, Volume) {
    (start, Price::from_nanos(close).unwrap(), Volume::from_shares(volume).unwrap())
}

fn close(one: f64, other: f64) -> bool {
    (one - other).abs() <= other.abs() * 1e-13
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Days with all, some or none of their bars, a holiday and days that close early among them.
    #[test]
    fn what_is_usual_is_what_the_sessions_before_were_like_at_the_same_time(
        market in prop_oneof![
            3 => Just((Market::Xnas, false)),
            3 => Just((Market::Xnas, true)),
            1 => Just((Market::Always, false)),
        ],
        days in prop::collection::vec(prop_oneof![5 => 1..40_usize, 1 => Just(0_usize)], 40),
        seeds in prop::collection::vec((0..1_440_i32, 1..4_000_i64, 0..10_000_i64), 1_600),
        asked in prop::collection::vec(0..1_440_i32, 12),
    ) {
        let calendar = Calendar::new(market.0, market.1, []);
        // Thanksgiving, the day after and Christmas Eve close early.
        let last = date(2025, 12, 26);
        let mut bars = Bars::new();
        for (back, count) in days.iter().enumerate() {
            let day = last.checked_sub(jiff::Span::new().days(back as i64)).unwrap();
            let midnight = calendar.midnight(day);
            for (minute, cents, volume) in seeds.iter().skip(back * 40).take(*count) {
                bars.insert(midnight.plus_minutes(*minute), (cents * 10_000_000, *volume));
            }
        }
        for date in [last, date(2025, 12, 24), date(2025, 11, 28)] {
            let tracked = calendar.tracked_on(date).unwrap();
            let made = profile(&calendar, &bars, tracked.start);
            for offset in &asked {
                let minute = tracked.start.plus_minutes(offset % tracked.end.minutes_since(tracked.start));
                let (made, right) = (made.at(minute).unwrap(), oracle(&calendar, &bars, minute));
                prop_assert!(close(made.rms_move, right.rms_move), "{minute}: {made:?}, {right:?}");
                prop_assert_eq!(Usual { rms_move: right.rms_move, ..made }, right, "{}", minute);
            }
        }
    }
}

/// 25 sessions that all did the same: up 1 % at once and back in the last minute, 100 shares each minute.
fn steady(calendar: &Calendar) -> (Bars, Second) {
    let today = date(2025, 3, 7);
    let mut bars = Bars::new();
    for day in calendar.trading_days_before(today).take(25) {
        let tracked = calendar.tracked_on(day).unwrap();
        let last = tracked.end.minutes_since(tracked.start) - 1;
        for at in 0..=last {
            let close = if at == last { 100_000_000_000 } else { 101_000_000_000 };
            bars.insert(tracked.start.plus_minutes(at), (close, 100));
        }
    }
    (bars, calendar.tracked_on(today).unwrap().start)
}

#[test]
fn a_move_is_measured_by_its_usual_range_and_a_volume_by_the_same_time_of_day() {
    let calendar = Calendar::new(Market::Xnas, false, []);
    let (bars, open) = steady(&calendar);
    let minute = open.plus_minutes(59);
    let profile = profile(&calendar, &bars, minute);
    let (_, previous, _) = bar(open, 100_000_000_000, 0);
    let (_, fallen, _) = bar(open, 97_000_000_000, 0);
    let now = Now {
        usual: profile.at(minute),
        close: Some(fallen),
        previous_close: Some(previous),
        volume: Some(24_000),
        minute: Some(1.0),
    };
    let unusual = Unusual::of(now);
    assert!(close(unusual.sigma.unwrap(), -3.0), "{unusual:?}");
    assert!(close(unusual.percent.unwrap(), -3.0), "{unusual:?}");
    assert_eq!((unusual.move_sessions, unusual.volume_sessions), (20, 20));
    // Usual by then: 60 minutes of 100 shares. Four times as much is log2(4) + 1, as much as a move of three.
    assert_eq!(unusual.relative_volume, Some(4.0));
    assert!(close(unusual.score.unwrap(), 3.0), "{unusual:?}");
    let louder = Unusual::of(Now { minute: Some(16.0), ..now });
    assert_eq!(louder.score, Some(5.0));
}

#[test]
fn within_a_minute_as_much_of_its_volume_is_usual_as_has_passed_of_it() {
    let calendar = Calendar::new(Market::Xnas, false, []).with_cadence(Cadence::Ten);
    let (bars, open) = steady(&calendar);
    let profile = profile(&calendar, &bars, open);
    // 100 shares each minute: 10 s are a sixth of the first, and 50 s after 59 minutes 5,983.
    for (seconds, twice) in
        [(0, 33), (20, 100), (50, 200), (60, 233), (59 * 60 + 40, 11_966), (59 * 60 + 50, 12_000)]
    {
        let usual = profile.at(open.plus_seconds(seconds)).unwrap();
        assert_eq!((usual.twice_volume, usual.volume_sessions), (twice, 20), "{seconds}");
    }
    assert_eq!(profile.at(open.plus_seconds(-10)), None);
}

#[test]
fn of_too_few_sessions_nothing_is_said_but_how_many_there_are() {
    let calendar = Calendar::new(Market::Xnas, false, []);
    let (bars, open) = steady(&calendar);
    let days: Vec<_> = calendar.trading_days_before(calendar.date_of(open)).take(5).collect();
    let (_, price, _) = bar(open, 100_000_000_000, 0);
    let of = |bars: &Bars| {
        let profile = profile(&calendar, bars, open);
        let usual = profile.at(open);
        let now = Now { usual, close: Some(price), previous_close: Some(price), ..Now::default() };
        Unusual::of(Now { volume: Some(100), minute: Some(2.0), ..now })
    };
    let five: Bars = bars.range(calendar.midnight(days[4])..).map(|(minute, bar)| (*minute, *bar)).collect();
    let unusual = of(&five);
    // Of five sessions only four have a close to move from.
    assert_eq!((unusual.move_sessions, unusual.sigma), (4, None));
    assert_eq!((unusual.volume_sessions, unusual.relative_volume), (5, Some(1.0)));
    assert_eq!(unusual.score, Some(2.0));
    let four: Bars = bars.range(calendar.midnight(days[3])..).map(|(minute, bar)| (*minute, *bar)).collect();
    assert_eq!((of(&four).volume_sessions, of(&four).relative_volume), (4, None));
    assert_eq!(of(&Bars::new()).score, Some(2.0), "the newest bar against its hour needs no session");
    let nothing = Unusual::of(Now::default());
    assert_eq!(nothing, Unusual::default());
    assert_eq!(
        Unusual::of(Now { minute: Some(0.0), ..Now::default() }).score,
        None,
        "no trade, no logarithm"
    );
}
