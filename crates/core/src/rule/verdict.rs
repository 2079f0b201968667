//! Verdicts, exact to the last digit: integers as wide as it takes, no rounding, no division.

use super::definition::{Condition, Direction, MILLION, Side};
use crate::market::metric::Metric;
use crate::market::time::Second;
use ethnum::U256;
use num_bigint::BigUint;
use num_traits::ToPrimitive as _;

/// What a bar's value was compared with. Values are 1e-9 dollars or shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// `spike`: the trailing window.
    Average {
        /// Of the values in it.
        sum: i128,
        /// How many.
        bars: u32,
    },
    /// `zscore`: the trailing window.
    Deviation {
        /// Of the values in it.
        sum: i128,
        /// Of their squares.
        squares: U256,
        /// How many.
        bars: u32,
    },
    /// `move`: the value moved away from.
    Origin {
        /// The earlier price.
        value: i128,
        /// The minute it is of.
        start: Second,
    },
    /// `cross`: what was on the other side of the level.
    Crossing {
        /// The level in the metric's own units.
        level: i128,
        /// The latest value that was beyond where quiet begins.
        before: i128,
    },
    /// `time_of_day`: the same minute of earlier sessions.
    Median {
        /// Twice the median, which may lie half-way between two amounts.
        twice: i128,
        /// Sessions it is the median of.
        sessions: u16,
    },
}

impl Evidence {
    /// What the value is held against, as an exact fraction of the metric's integer units: a mean, an earlier
    /// price, a level, a median. `None` of an empty window.
    pub fn baseline(&self) -> Option<(i128, u32)> {
        match *self {
            Self::Average { sum, bars } | Self::Deviation { sum, bars, .. } => {
                (bars > 0).then_some((sum, bars))
            }
            Self::Origin { value, .. } => Some((value, 1)),
            Self::Crossing { level, .. } => Some((level, 1)),
            Self::Median { twice, sessions } => (sessions > 0).then_some((twice, 2)),
        }
    }

    /// Bars or sessions the baseline is made of.
    pub fn bars(&self) -> u32 {
        match *self {
            Self::Average { bars, .. } | Self::Deviation { bars, .. } => bars,
            Self::Origin { .. } | Self::Crossing { .. } => 1,
            Self::Median { sessions, .. } => sessions.into(),
        }
    }

    /// The sample standard deviation of the window, in the metric's integer units; `None` for other evidence
    /// and with fewer than 2 bars.
    pub fn stdev(&self) -> Option<f64> {
        let Self::Deviation { sum, squares, bars } = *self else { return None };
        let n = f64::from(bars);
        (bars >= 2)
            .then(|| (scatter(sum, squares, bars).to_f64().unwrap_or(f64::INFINITY) / (n * (n - 1.0))).sqrt())
    }
}

impl Condition {
    /// Where the measure becomes unusual: millionths, or 1e-9 for a crossing.
    pub fn threshold(&self) -> i64 {
        match *self {
            Self::Spike { ratio, .. } | Self::TimeOfDay { ratio, .. } => ratio,
            Self::ZScore { z, .. } => z,
            Self::Move { percent, .. } => percent,
            Self::Cross { level, .. } => level,
        }
    }

    /// The verdict: whether a value of a metric is unusual by its evidence. Exact: a value of exactly three
    /// times the average is at least three times the average.
    ///
    /// Too short a window, an average of zero and a window without any deviation make nothing unusual; so
    /// does the evidence of another kind of condition.
    #[inline(always)]
    pub fn holds(&self, metric: Metric, value: i128, evidence: &Evidence) -> bool {
        match (*self, *evidence) {
            // The house's is judged on every bar.
            (Self::Spike { ratio, min_bars, .. }, Evidence::Average { sum, bars }) => {
                is_spike(value, sum, bars, min_bars, ratio)
            }
            _ => self.reaches(metric, value, evidence, self.threshold()),
        }
    }

    /// The same by another threshold than the condition's own, such as that where quiet begins again.
    pub(crate) fn reaches(&self, metric: Metric, value: i128, evidence: &Evidence, threshold: i64) -> bool {
        let million = i128::from(MILLION);
        match (*self, *evidence) {
            (Self::Spike { min_bars, .. }, Evidence::Average { sum, bars }) => {
                is_spike(value, sum, bars, min_bars, threshold)
            }
            (Self::ZScore { min_bars, direction, .. }, Evidence::Deviation { sum, squares, bars }) => {
                let distance = value * i128::from(bars) - sum;
                bars >= u32::from(min_bars).max(2)
                    && direction.allows(distance)
                    && reaches_z(distance, &scatter(sum, squares, bars), bars, threshold)
            }
            (Self::Move { direction, .. }, Evidence::Origin { value: origin, .. }) => {
                let moved = value - origin;
                direction.allows(moved) && is_product_at_least(moved.abs(), 100 * million, origin, threshold)
            }
            (Self::Cross { side, .. }, _) => {
                let scaled = value * i128::from(Metric::CROSSING_UNIT / metric.units());
                match side {
                    Side::Above => scaled >= i128::from(threshold),
                    Side::Below => scaled <= i128::from(threshold),
                }
            }
            (Self::TimeOfDay { min_sessions, .. }, Evidence::Median { twice, sessions }) => {
                sessions >= u16::from(min_sessions)
                    && twice > 0
                    && is_product_at_least(value, 2 * million, twice, threshold)
            }
            _ => false,
        }
    }
}

impl Direction {
    fn allows(self, distance: i128) -> bool {
        match self {
            Self::Up => distance > 0,
            Self::Down => distance < 0,
            Self::Both => distance != 0,
        }
    }
}

#[inline(always)]
fn is_spike(value: i128, sum: i128, bars: u32, min_bars: u16, ratio: i64) -> bool {
    bars >= u32::from(min_bars)
        && sum > 0
        && is_product_at_least(value, i128::from(bars) * i128::from(MILLION), sum, ratio)
}

/// `value * factor >= base * threshold`, none of them below 0. Values have up to 94 bits and their sums up to
/// 110, so their products may have more than 128; but for dollars that changed hands, all fit 64.
#[inline(always)]
fn is_product_at_least(value: i128, factor: i128, base: i128, threshold: i64) -> bool {
    match (u64::try_from(value), u64::try_from(factor), u64::try_from(base), u64::try_from(threshold)) {
        (Ok(value), Ok(factor), Ok(base), Ok(threshold)) => {
            u128::from(value) * u128::from(factor) >= u128::from(base) * u128::from(threshold)
        }
        _ => is_wide_product_at_least(value, factor, base, threshold),
    }
}

#[inline(never)]
fn is_wide_product_at_least(value: i128, factor: i128, base: i128, threshold: i64) -> bool {
    let wide = |one: i128| U256::new(one.unsigned_abs());
    wide(value) * wide(factor) >= wide(base) * wide(threshold.into())
}

/// `n Q - S^2`: n (n - 1) times the sample variance of `bars` values with sum `S` and sum of squares `Q`:
/// up to 220 bits over twelve hours of seconds.
fn scatter(sum: i128, squares: U256, bars: u32) -> BigUint {
    let squares = BigUint::from_bytes_le(&squares.to_le_bytes());
    let (all, square) = (squares * bars, BigUint::from(sum.unsigned_abs()).pow(2));
    // Equal values scatter by nothing, and never by less.
    if all > square { all - square } else { BigUint::ZERO }
}

/// Whether `distance`, which is n times the value's distance from the mean, is at least `z` deviations:
/// `(distance / n)^2 >= z^2 scatter / (n (n - 1))`, multiplied out.
fn reaches_z(distance: i128, scatter: &BigUint, bars: u32, z: i64) -> bool {
    let (distance, z) = (BigUint::from(distance.unsigned_abs()), BigUint::from(z.unsigned_abs()));
    let millions = MILLION.unsigned_abs().pow(2);
    *scatter > BigUint::ZERO && distance.pow(2) * (bars - 1) * millions >= scatter * z.pow(2) * bars
}

#[cfg(test)]
mod tests {
    use super::super::{Rule, SpikeRule};
    use super::*;
    use num_rational::BigRational;
    use proptest::prelude::*;

    proptest! {
        /// The oracle takes the deviation from its definition, in rationals.
        #[test]
        fn a_z_score_is_judged_exactly(
            values in prop::collection::vec(0_i64..=9_000_000_000_000_000, 2..40),
            value in 0_i64..=9_000_000_000_000_000,
            z in 1_i64..=5_000_000,
        ) {
            let rational = |value: i64| BigRational::from_integer(value.into());
            let n = rational(values.len() as i64);
            let mean = values.iter().map(|&value| rational(value)).sum::<BigRational>() / &n;
            let squares = values.iter().map(|&one| (rational(one) - &mean) * (rational(one) - &mean));
            let variance = squares.sum::<BigRational>() / (&n - rational(1));
            let distance = rational(value) - &mean;
            let z_squared = rational(z) * rational(z) / rational(1_000_000_000_000);
            let zero = rational(0);
            let reaches = variance > zero && &distance * &distance >= z_squared * &variance;
            let evidence = Evidence::Deviation {
                sum: values.iter().copied().map(i128::from).sum(),
                squares: values.iter().map(|&value| U256::new(value as u128 * value as u128)).sum(),
                bars: values.len() as u32,
            };
            for (direction, allowed) in [
                (Direction::Both, true),
                (Direction::Up, distance > zero),
                (Direction::Down, distance < zero),
            ] {
                let condition = Condition::ZScore { z, window: 60, min_bars: 2, direction };
                prop_assert_eq!(condition.holds(Metric::Price, value.into(), &evidence), reaches && allowed);
            }
        }
    }

    #[test]
    fn exactly_at_the_threshold_holds() {
        let hold = |condition: Condition, metric, value, evidence| condition.holds(metric, value, &evidence);
        // 1, 3, 5: mean 3, deviation 2.
        let window = Evidence::Deviation { sum: 9, squares: U256::new(35), bars: 3 };
        let two = Condition::ZScore { z: 2 * MILLION, window: 60, min_bars: 3, direction: Direction::Both };
        assert!(hold(two, Metric::Volume, 7, window));
        assert!(!hold(two, Metric::Volume, 6, window));
        assert!(!hold(two, Metric::Volume, 0, window));
        let flat = Evidence::Deviation { sum: 9, squares: U256::new(27), bars: 3 };
        assert!(!hold(two, Metric::Volume, 1_000, flat), "a flat window has no deviation");

        let percent = Condition::Move {
            percent: 2 * MILLION,
            from: super::super::Origin::Open,
            direction: Direction::Down,
        };
        let origin = Evidence::Origin { value: 100_000, start: Second::from_minute(0) };
        assert!(hold(percent, Metric::Price, 98_000, origin));
        assert!(!hold(percent, Metric::Price, 98_001, origin));
        assert!(!hold(percent, Metric::Price, 102_000, origin));

        let median = Evidence::Median { twice: 5, sessions: 4 };
        let twice = Condition::TimeOfDay { ratio: 2 * MILLION, sessions: 20, min_sessions: 4 };
        assert!(hold(twice, Metric::Volume, 5, median));
        assert!(!hold(twice, Metric::Volume, 4, median));
        let level = Condition::Cross { level: 150_250_000_000, side: Side::Above };
        let crossing = Evidence::Crossing { level: 0, before: 0 };
        assert!(hold(level, Metric::Price, 150_250_000_000, crossing));
        assert!(!hold(level, Metric::Price, 150_249_999_999, crossing));
        let shares = Condition::Cross { level: 5_000_000_000, side: Side::Below };
        assert!(hold(shares, Metric::Volume, 5, crossing));
        assert!(!hold(shares, Metric::Volume, 6, crossing));
    }

    #[test]
    fn the_largest_values_do_not_overflow() {
        let window = Evidence::Deviation {
            sum: 0,
            squares: U256::new(720 * 9_000_000_000_000_000_u128 * 9_000_000_000_000_000),
            bars: 720,
        };
        let condition = Condition::ZScore { z: 1, window: 720, min_bars: 2, direction: Direction::Both };
        assert!(condition.reaches(Metric::Price, 9_000_000_000_000_000, &window, 999_000));
        let average = Evidence::Average { sum: i64::MAX.into(), bars: 720 };
        let spike = Condition::Spike { ratio: 1_000 * MILLION, window: 720, min_bars: 1 };
        assert!(!spike.holds(Metric::Price, 9_000_000_000_000_000, &average));
        let house = Rule::from(SpikeRule { ratio: "1000".parse().unwrap(), ..SpikeRule::default() });
        let value = 9_000_000_000_000_000;
        let average = Evidence::Average { sum: i64::MAX.into(), bars: 720 };
        assert!(!house.condition.holds(Metric::Price, value, &average));
    }

    /// Dollars that changed hands may want more than 128 bits once multiplied.
    #[test]
    fn the_most_dollars_there_can_be_are_judged_exactly() {
        let most = 9_000_000_000_000_000_i128 * 1_000_000_000_000;
        let rule = Condition::Spike { ratio: 3 * MILLION, window: 720, min_bars: 1 };
        let bars = 720 * 60;
        let evidence = |sum| Evidence::Average { sum, bars };
        let average = most / 3;
        assert!(rule.holds(Metric::Notional, most, &evidence(average * i128::from(bars))));
        assert!(!rule.holds(Metric::Notional, most, &evidence(average * i128::from(bars) + 1)));
        let squares = U256::new((most - 1) as u128) * U256::new((most - 1) as u128)
            + U256::new(most as u128) * U256::new(most as u128);
        let two = Evidence::Deviation { sum: 2 * most - 1, squares, bars: 2 };
        let z = |z| Condition::ZScore { z, window: 720, min_bars: 2, direction: Direction::Both };
        // Half a unit from the mean, of a deviation of the root of a half.
        assert!(z(707_106).holds(Metric::Notional, most, &two));
        assert!(!z(707_107).holds(Metric::Notional, most, &two));
    }

    /// Whether the contract's default rule fires.
    fn fires(value: i128, sum: i128, bars: u32) -> bool {
        let evidence = Evidence::Average { sum, bars };
        Rule::from(SpikeRule::default()).condition.holds(Metric::Volume, value, &evidence)
    }

    #[test]
    fn exactly_three_times_fires_and_a_hair_less_does_not() {
        assert!(fires(300, 100 * 60, 60));
        assert!(!fires(299, 100 * 60, 60));
        // 1/3 has no finite decimal: 30 bars that sum to 100, three times their average is exactly 10.
        assert!(fires(10, 100, 30));
        assert!(!fires(10, 101, 30));
    }

    /// The original compared `average > 3 * value`.
    #[test]
    fn a_high_value_fires_and_a_low_one_does_not() {
        assert!(fires(1_000, 100 * 60, 60));
        assert!(!fires(1, 100 * 60, 60));
    }

    #[test]
    fn a_short_window_and_a_zero_average_judge_nothing() {
        assert!(!fires(1_000, 29, 29));
        assert!(fires(1_000, 30, 30));
        assert!(!fires(0, 0, 60));
        assert!(!fires(1_000, 0, 60));
    }
}
