//! The timetable of volume bursts: about every 80 minutes each name has one, so that a watcher of any name
//! sees an alert within two minutes of a run at the usual speed, and the names take turns.

use super::noise::Noise;
use qqq_core::Symbol;
use qqq_core::market::watchlist::DEFAULT_SYMBOLS;

/// From one burst of a name to its next, minutes. Longer than the trailing hour plus the longest burst, so
/// that no burst hides behind the one before.
const PERIOD: i32 = 80;
/// A burst comes up to so many minutes sooner or later.
const JITTER: i32 = 3;
/// The ten default names stand 24 minutes apart on the round of 80, which puts one on every eighth minute.
const TURN: i32 = 24;

/// A spell of unusual volume.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Burst {
    /// When it begins, minutes after the open.
    pub(super) start: i32,
    /// How long it lasts.
    pub(super) minutes: i32,
    /// Its first minute over the mean of the hour before.
    pub(super) size: f64,
}

impl Burst {
    /// The factor of the volume `age` minutes after the burst began; 1 when it is over.
    pub(super) fn factor(&self, age: i32) -> f64 {
        if (0..self.minutes).contains(&age) { (self.size * 0.75_f64.powi(age)).max(1.0) } else { 1.0 }
    }
}

/// The bursts of a name in the session of one day, in order.
///
/// `rotation` turns the round for all names of a day alike; the first `lead` minutes stay calm, because a
/// rule needs half an hour of bars before it judges.
pub(super) fn schedule(
    symbol: Symbol,
    name: Noise,
    rotation: i32,
    day: i32,
    lead: i32,
    length: i32,
) -> Vec<Burst> {
    let seat = match DEFAULT_SYMBOLS.iter().position(|known| *known == symbol.as_str()) {
        Some(index) => index as i32 * TURN,
        None => name.fork(1).below(0, PERIOD as u32),
    };
    let first = (seat + rotation).rem_euclid(PERIOD);
    let of_day = name.fork(2).fork(u64::from(day.unsigned_abs()));
    (0..=length / PERIOD)
        .map(|turn| {
            let draw = of_day.fork(turn.unsigned_abs().into());
            let jitter = draw.below(0, 2 * JITTER as u32 + 1) - JITTER;
            // Small ones are more frequent: the square of a uniform number.
            let size = 4.0 + 8.0 * draw.uniform(1).powi(2);
            Burst { start: first + turn * PERIOD + jitter, minutes: 1 + draw.below(2, 5), size }
        })
        .filter(|burst| (lead..length).contains(&burst.start))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn of(symbol: &str, rotation: i32, day: i32) -> Vec<Burst> {
        schedule(symbol.parse().unwrap(), Noise::seeded(9).fork_text(symbol), rotation, day, 35, 390)
    }

    #[test]
    fn bursts_are_sixty_to_a_hundred_minutes_apart_and_of_the_size_they_should_be() {
        let mut sizes = Vec::new();
        for (symbol, rotation) in
            ["AAPL", "ADBE", "ZZZ"].into_iter().flat_map(|symbol| (0..80).map(move |r| (symbol, r)))
        {
            let bursts = of(symbol, rotation, 20_000 + rotation);
            assert!((4..=5).contains(&bursts.len()), "{bursts:?}");
            for pair in bursts.windows(2) {
                assert!((66..=100).contains(&(pair[1].start - pair[0].start)), "{pair:?}");
            }
            for burst in bursts {
                assert!((35..390).contains(&burst.start) && (1..=5).contains(&burst.minutes), "{burst:?}");
                assert_eq!(
                    (burst.factor(0), burst.factor(-1), burst.factor(burst.minutes)),
                    (burst.size, 1.0, 1.0)
                );
                sizes.push(burst.size);
            }
        }
        sizes.sort_by(f64::total_cmp);
        assert!(sizes[0] >= 4.0 && sizes[sizes.len() - 1] <= 12.0 && sizes[sizes.len() / 2] < 7.0);
    }

    #[test]
    fn the_ten_default_names_take_turns() {
        for rotation in 0..80 {
            let mut starts: Vec<i32> = DEFAULT_SYMBOLS
                .iter()
                .flat_map(|symbol| of(symbol, rotation, rotation))
                .map(|burst| burst.start)
                .collect();
            starts.sort_unstable();
            assert!(starts.windows(2).all(|pair| pair[1] - pair[0] <= 15), "{starts:?}");
            assert!(starts[0] <= 35 + 15 && starts[starts.len() - 1] >= 389 - 15, "{starts:?}");
        }
    }

    #[test]
    fn no_two_days_have_the_same_timetable() {
        let tables: BTreeSet<Vec<i32>> =
            (0..100).map(|day| of("AAPL", 0, day).iter().map(|burst| burst.start).collect()).collect();
        assert!(tables.len() > 90, "{}", tables.len());
    }
}
