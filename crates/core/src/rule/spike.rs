//! The house rule, judged on every bar: at least `ratio` times the trailing average.

use crate::decimal::{self, Excess};
use std::fmt;
use std::str::FromStr;

/// A positive decimal factor of up to six places, kept exactly: `3`, `2.5`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ratio {
    millionths: u32,
}

impl Ratio {
    /// The contract's default: three times.
    pub const THREE: Self = Self { millionths: 3_000_000 };
    const PLACES: u32 = 6;

    /// The factor in millionths.
    pub const fn millionths(self) -> u32 {
        self.millionths
    }
}

impl FromStr for Ratio {
    type Err = InvalidRatio;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        decimal::parse(text, Self::PLACES, Excess::Refuse)
            .ok()
            .and_then(|millionths| u32::try_from(millionths).ok())
            .filter(|&millionths| (1_000_001..=1_000_000_000).contains(&millionths))
            .map(|millionths| Self { millionths })
            .ok_or_else(|| InvalidRatio(text.chars().take(32).collect()))
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        decimal::format(self.millionths.into(), Self::PLACES, f)
    }
}

impl fmt::Debug for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ratio({self})")
    }
}

/// A text that is no usable factor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a ratio: it must be above 1, at most 1000, with at most six decimals")]
pub struct InvalidRatio(pub String);

/// The default rule, judged once for `price` and once for `volume` of every bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpikeRule {
    /// How many times the trailing average a value must reach.
    pub ratio: Ratio,
    /// Length of the trailing window, minutes, 1 to [`SpikeRule::MAX_WINDOW`].
    pub window: u16,
    /// Bars the window must hold before anything is judged, at least 1.
    pub min_bars: u16,
    /// After an alert, how long the same symbol and metric raise no new one. Event time, seconds.
    pub cooldown_seconds: u32,
    /// A bar that ended longer before the feed's clock raises nothing. Seconds.
    pub max_alert_age_seconds: u32,
    /// The same for a bar that could not be asked for before: an outage of our own hid it. Seconds; counts
    /// where it is more than `max_alert_age_seconds`.
    pub max_alert_age_after_outage_seconds: u32,
}

impl Default for SpikeRule {
    fn default() -> Self {
        Self {
            ratio: Ratio::THREE,
            window: 60,
            min_bars: 30,
            cooldown_seconds: 60 * 60,
            max_alert_age_seconds: 15 * 60,
            max_alert_age_after_outage_seconds: 60 * 60,
        }
    }
}

impl SpikeRule {
    /// Longest trailing window: twelve hours.
    pub const MAX_WINDOW: u16 = 12 * 60;
    /// Longest cool-down: seven days.
    pub const MAX_COOLDOWN_SECONDS: u32 = 7 * 24 * 60 * 60;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios() {
        assert_eq!("2.5".parse::<Ratio>().unwrap().to_string(), "2.5");
        assert_eq!("3".parse::<Ratio>().unwrap(), Ratio::THREE);
        for text in ["1", "0", "-3", "1000.1", "1.0000001", "three", "NaN"] {
            assert!(text.parse::<Ratio>().is_err(), "{text}");
        }
    }
}
