//! Lengths of time as people write them: `60s`, `15m`, `24h`, `90d`.

use jiff::{Span, SpanRelativeTo};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A length of time in whole seconds, up to 136 years: a whole number and one unit, `s`, `m`, `h` or `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(u32);

impl Period {
    /// So many seconds.
    pub const fn seconds(seconds: u32) -> Self {
        Self(seconds)
    }

    /// The number of seconds.
    pub const fn as_secs(self) -> u32 {
        self.0
    }

    /// As a timer takes it.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0 as u64)
    }
}

impl fmt::Display for Period {
    /// In the largest unit that divides it, but a day as `24h`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [('d', 86_400), ('h', 3_600), ('m', 60)];
        let divides = |&&(unit, seconds): &&(char, u32)| {
            self.0 >= seconds && self.0.is_multiple_of(seconds) && !(unit == 'd' && self.0 == seconds)
        };
        let (unit, seconds) = units.iter().find(divides).unwrap_or(&('s', 1));
        write!(f, "{}{unit}", self.0 / seconds)
    }
}

impl FromStr for Period {
    type Err = InvalidPeriod;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_suffix(['s', 'm', 'h', 'd']);
        // Jiff reads more: signs, fractions, blanks, several units, and names of units.
        let is_plain = digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let span = is_plain.then(|| text.parse::<Span>().ok()).flatten();
        let duration = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
        duration
            .and_then(|duration| u32::try_from(duration.as_secs()).ok())
            .map(Self)
            .ok_or_else(|| InvalidPeriod(text.chars().take(32).collect()))
    }
}

/// A text that is no length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a duration: it must look like 60s, 15m, 24h or 90d")]
pub struct InvalidPeriod(String);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the form means, the plain way.
    fn seconds(digits: &str, unit: char) -> Option<u32> {
        let unit = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)].iter().find(|known| known.0 == unit)?.1;
        digits.parse::<u64>().ok()?.checked_mul(unit)?.try_into().ok()
    }

    #[test]
    fn a_period_is_written_in_its_largest_unit() {
        for (given, written) in [
            ("0s", "0s"),
            ("0d", "0s"),
            ("59s", "59s"),
            ("60s", "1m"),
            ("90s", "90s"),
            ("60m", "1h"),
            ("24h", "24h"),
            ("1d", "24h"),
            ("48h", "2d"),
            ("90d", "90d"),
            ("4294967295s", "4294967295s"),
        ] {
            assert_eq!(given.parse::<Period>().unwrap().to_string(), written);
        }
    }

    #[test]
    fn nothing_but_a_whole_number_and_one_unit_is_read() {
        for text in [
            "",
            "s",
            "60",
            "60 s",
            " 60s",
            "60s ",
            "-60s",
            "+60s",
            "1.5h",
            "1h30m",
            "1h 30m",
            "60sec",
            "60S",
            "2w",
            "1y",
            "5M",
            "60ms",
            "PT60S",
            "60s ago",
            "1_000s",
            "٦s",
            "4294967296s",
            "49711d",
            "99999999999999999999s",
        ] {
            let error = text.parse::<Period>().unwrap_err().to_string();
            assert!(error.contains("60s, 15m, 24h or 90d"), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_it_says(
            digits in "[0-9]{1,12}",
            unit in prop::sample::select(vec!['s', 'm', 'h', 'd', 'w']),
        ) {
            let read = format!("{digits}{unit}").parse::<Period>().ok().map(Period::as_secs);
            prop_assert_eq!(read, seconds(&digits, unit));
        }

        #[test]
        fn what_is_written_is_read_back(seconds: u32) {
            let period = Period::seconds(seconds);
            prop_assert_eq!(period.to_string().parse(), Ok(period));
        }
    }
}
