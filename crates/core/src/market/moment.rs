//! A moment as people give it: a time, or a day of the exchange.

use crate::{Calendar, Second};
use jiff::Timestamp;
use jiff::civil::Date;
use std::str::FromStr;

/// A time, or the first instant of a New York day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// An instant.
    At(Timestamp),
    /// Midnight.
    Day(Date),
}

impl Moment {
    /// The first bar that starts then or later.
    pub fn start(self, calendar: &Calendar) -> Second {
        match self {
            Self::Day(day) if day.year() < 1900 => Second::MIN,
            Self::Day(day) if day.year() >= 2200 => Second::MAX,
            Self::Day(day) => calendar.midnight(day),
            Self::At(at) => calendar.cadence().next_from(at),
        }
    }
}

impl FromStr for Moment {
    type Err = InvalidMoment;

    /// Reads `2025-01-31T14:30:00Z`, with any offset, and `2025-01-31`. A time without an offset is neither.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(at) = text.parse() {
            return Ok(Self::At(at));
        }
        // Of the forms that are dates to the parser, this one alone.
        let day = text.parse().ok().filter(|day: &Date| day.to_string() == text);
        day.map(Self::Day).ok_or(InvalidMoment)
    }
}

/// A text that is no moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a time such as 2025-01-31T14:30:00Z, or a day of New York such as 2025-01-31")]
pub struct InvalidMoment;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::calendar::Market;

    fn minute(text: &str) -> Result<String, InvalidMoment> {
        let calendar = Calendar::new(Market::Xnas, false, []);
        text.parse().map(|moment: Moment| moment.start(&calendar).to_string())
    }

    #[test]
    fn a_time_takes_in_no_minute_that_started_before() {
        assert_eq!(minute("2025-01-31T14:30:00Z").unwrap(), "2025-01-31T14:30:00Z");
        assert_eq!(minute("2025-01-31T14:30:00.001Z").unwrap(), "2025-01-31T14:31:00Z");
        assert_eq!(minute("2025-01-31T09:30:00-05:00").unwrap(), "2025-01-31T14:30:00Z");
    }

    #[test]
    fn a_day_begins_at_midnight_in_new_york() {
        assert_eq!(minute("2025-01-31").unwrap(), "2025-01-31T05:00:00Z");
        assert_eq!(minute("2024-07-03").unwrap(), "2024-07-03T04:00:00Z");
        assert_eq!(minute("0001-01-01").unwrap(), Second::MIN.to_string());
        assert_eq!(minute("9999-12-31").unwrap(), Second::MAX.to_string());
    }

    #[test]
    fn what_is_neither_is_refused() {
        for text in
            ["", "yesterday", "20250131", "2025-01-31T14:30:00", "2025-01-31 14:30", "2025-13-01", "14:30"]
        {
            assert_eq!(minute(text), Err(InvalidMoment), "{text}");
        }
    }
}
