//! How lively the market is at a time of day: much at the open, little at noon, more at the close.

use qqq_core::market::calendar::Session;
use qqq_core::{Phase, Second};
use std::f64::consts::TAU;

/// How a minute compares with an average one of the regular session.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shape {
    /// Factor of the volume.
    pub(super) volume: f64,
    /// Factor of the standard deviation of the return.
    pub(super) volatility: f64,
}

/// The shape of a minute of an exchange's day.
pub(super) fn exchange(session: &Session, minute: Second) -> (Phase, Shape) {
    let fade = |minutes: i32, over: f64| (-f64::from(minutes) / over).exp();
    if minute < session.open {
        let left = session.open.minutes_since(minute);
        let shape =
            Shape { volume: 0.012 + 0.1 * fade(left, 45.0), volatility: 0.2 + 0.3 * fade(left, 60.0) };
        (Phase::Pre, shape)
    } else if minute < session.close {
        let (gone, left) = (minute.minutes_since(session.open), session.close.minutes_since(minute) - 1);
        let volume = 0.70 + 1.9 * fade(gone, 18.0) + 0.7 * fade(gone, 70.0) + 1.5 * fade(left, 17.0);
        let volatility = 0.75 + 1.5 * fade(gone, 20.0) + 0.35 * fade(left, 25.0);
        (Phase::Regular, Shape { volume, volatility })
    } else {
        let gone = minute.minutes_since(session.close);
        let shape =
            Shape { volume: 0.01 + 0.12 * fade(gone, 20.0), volatility: 0.18 + 0.3 * fade(gone, 25.0) };
        (Phase::Post, shape)
    }
}

/// The shape of a minute of a market that never closes: a wave over the UTC day, highest at 15:00.
pub(super) fn always(minute: Second) -> Shape {
    let of_day = f64::from(minute.minute().rem_euclid(Second::MINUTES_PER_DAY) - 15 * 60)
        / f64::from(Second::MINUTES_PER_DAY);
    let volume = 1.0 + 0.4 * (TAU * of_day).cos();
    Shape { volume, volatility: volume.sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qqq_core::Calendar;
    use qqq_core::market::calendar::Market;

    #[test]
    fn an_average_minute_of_the_regular_session_has_the_factor_one() {
        let session =
            Calendar::new(Market::Xnas, false, []).session_on("2025-01-28".parse().unwrap()).unwrap();
        let regular: Vec<Shape> = (session.open.minute()..session.close.minute())
            .map(|index| exchange(&session, Second::from_minute(index)))
            .map(|(phase, shape)| {
                assert_eq!(phase, Phase::Regular);
                shape
            })
            .collect();
        let mean = regular.iter().map(|shape| shape.volume).sum::<f64>() / regular.len() as f64;
        assert!((mean - 1.0).abs() < 0.05, "{mean}");
    }

    #[test]
    fn a_market_that_never_closes_is_liveliest_in_the_afternoon_utc() {
        let day = || (0..Second::MINUTES_PER_DAY).map(Second::from_minute);
        let mean =
            day().map(|minute| always(minute).volume).sum::<f64>() / f64::from(Second::MINUTES_PER_DAY);
        assert!((mean - 1.0).abs() < 1e-9, "{mean}");
        let volume = |minute: &Second| always(*minute).volume;
        let liveliest = day().max_by(|one, two| volume(one).total_cmp(&volume(two))).unwrap();
        assert_eq!(liveliest.minute(), 15 * 60);
    }
}
