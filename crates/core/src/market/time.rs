//! The time axis of bars: whole seconds.

use jiff::Timestamp;
use std::fmt;

/// A whole second, counted from 1970-01-01T00:00Z. A bar's `start`; where sessions begin and end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Second(i64);

/// Seconds in a minute.
const MINUTE: i64 = 60;

impl Second {
    /// Seconds in a day.
    pub const PER_DAY: i64 = 24 * 60 * 60;
    /// Minutes in a day.
    pub const MINUTES_PER_DAY: i32 = 24 * 60;
    /// The year 1900: nothing traded here is older.
    pub const MIN: Self = Self(-2_208_988_800);
    /// The year 2200.
    pub const MAX: Self = Self(7_258_118_400);

    /// The second `seconds` after the epoch, held to 1900 - 2200.
    #[inline]
    pub const fn from_unix(seconds: i64) -> Self {
        if seconds < Self::MIN.0 {
            Self::MIN
        } else if seconds > Self::MAX.0 {
            Self::MAX
        } else {
            Self(seconds)
        }
    }

    /// The second `seconds` after the epoch, if it lies in 1900 - 2200.
    pub const fn at_unix(seconds: i64) -> Option<Self> {
        let held = Self::from_unix(seconds);
        if held.0 == seconds { Some(held) } else { None }
    }

    /// Seconds since the epoch.
    #[inline]
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// The first second of the minute `minutes` after the epoch, held to 1900 - 2200.
    #[inline]
    pub const fn from_minute(minutes: i32) -> Self {
        Self::from_unix(minutes as i64 * MINUTE)
    }

    /// The first second of the minute that holds `at`.
    pub fn minute_of(at: Timestamp) -> Self {
        Self::from_unix(at.as_second().div_euclid(MINUTE).saturating_mul(MINUTE))
    }

    /// The second that starts at exactly `at`, if a minute begins with it and it lies in 1900 - 2200.
    pub fn at_minute(at: Timestamp) -> Option<Self> {
        let minute = Self::minute_of(at);
        (minute.start() == at).then_some(minute)
    }

    /// Whole minutes since the epoch.
    #[inline]
    pub const fn minute(self) -> i32 {
        // 1900 - 2200 is some 158 million minutes.
        self.0.div_euclid(MINUTE) as i32
    }

    /// Its first instant, UTC.
    pub fn start(self) -> Timestamp {
        // The constructor holds it to 1900 - 2200, which every timestamp can say.
        Timestamp::from_second(self.0).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The first instant a minute later, UTC.
    pub fn minute_end(self) -> Timestamp {
        self.plus_minutes(1).start()
    }

    /// `seconds` later (earlier where negative).
    #[inline]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self::from_unix(self.0.saturating_add(seconds))
    }

    /// How many seconds this lies after `earlier`.
    #[inline]
    pub const fn seconds_since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }

    /// `minutes` later (earlier where negative).
    #[inline]
    pub const fn plus_minutes(self, minutes: i32) -> Self {
        Self::from_unix(self.0 + minutes as i64 * MINUTE)
    }

    /// How many whole minutes this lies after `earlier`.
    #[inline]
    pub const fn minutes_since(self, earlier: Self) -> i32 {
        (self.0 - earlier.0).div_euclid(MINUTE) as i32
    }
}

impl fmt::Display for Second {
    /// RFC 3339 UTC: `2025-01-31T20:59:00Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.start())
    }
}

impl fmt::Debug for Second {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Second({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_names_its_first_instant() {
        let at: Timestamp = "2025-01-31T20:59:59.999Z".parse().unwrap();
        let minute = Second::minute_of(at);
        assert_eq!(minute.to_string(), "2025-01-31T20:59:00Z");
        assert_eq!(minute.minute_end().to_string(), "2025-01-31T21:00:00Z");
        assert_eq!(Second::at_minute(minute.start()), Some(minute));
        assert_eq!(Second::at_minute(at), None);
    }

    #[test]
    fn times_before_the_epoch_round_down_too() {
        let at: Timestamp = "1969-12-31T23:59:59Z".parse().unwrap();
        assert_eq!(Second::minute_of(at).minute(), -1);
        assert_eq!(Second::from_unix(-1).minute(), -1);
    }

    #[test]
    fn far_times_are_held_in_range() {
        assert_eq!(Second::minute_of(Timestamp::MAX), Second::MAX);
        assert_eq!(Second::MAX.to_string(), "2200-01-01T00:00:00Z");
        assert_eq!(Second::MIN.to_string(), "1900-01-01T00:00:00Z");
        assert_eq!(Second::MIN.plus_minutes(-5), Second::MIN);
        assert_eq!(Second::at_unix(Second::MAX.unix()), Some(Second::MAX));
        assert_eq!(Second::at_unix(Second::MAX.unix() + 1), None);
        assert_eq!(Second::at_minute(Timestamp::MIN), None);
    }
}
