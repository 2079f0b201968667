//! Minutes: the time axis of bars.

use jiff::Timestamp;
use std::fmt;

/// A whole minute, counted from 1970-01-01T00:00Z. A bar's `start`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute(i32);

impl Minute {
    /// Minutes in a day.
    pub const PER_DAY: i32 = 24 * 60;
    /// The year 1900: nothing traded here is older.
    pub const MIN: Self = Self(-36_816_480);
    /// The year 2200.
    pub const MAX: Self = Self(120_968_640);

    /// The minute `index` minutes after the epoch, held to 1900 - 2200.
    #[inline]
    pub const fn from_index(index: i32) -> Self {
        if index < Self::MIN.0 {
            Self::MIN
        } else if index > Self::MAX.0 {
            Self::MAX
        } else {
            Self(index)
        }
    }

    /// The minute that holds `at`.
    pub fn containing(at: Timestamp) -> Self {
        Self::from_index(
            at.as_second().div_euclid(60).clamp(i64::from(Self::MIN.0), i64::from(Self::MAX.0)) as i32
        )
    }

    /// The minute that starts at exactly `at`, if one does and it lies in 1900 - 2200.
    pub fn starting(at: Timestamp) -> Option<Self> {
        let minute = Self::containing(at);
        (minute.start() == at).then_some(minute)
    }

    /// Minutes since the epoch.
    #[inline]
    pub const fn index(self) -> i32 {
        self.0
    }

    /// The first instant of the minute, UTC.
    pub fn start(self) -> Timestamp {
        // The constructor holds the minute to 1900 - 2200, which every timestamp can say.
        Timestamp::from_second(i64::from(self.0) * 60).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The first instant after the minute, UTC.
    pub fn end(self) -> Timestamp {
        self.plus(1).start()
    }

    /// The minute `minutes` later (earlier where negative).
    pub const fn plus(self, minutes: i32) -> Self {
        Self::from_index(self.0.saturating_add(minutes))
    }

    /// How many minutes this one lies after `earlier`.
    pub const fn since(self, earlier: Self) -> i32 {
        self.0 - earlier.0
    }
}

impl fmt::Display for Minute {
    /// RFC 3339 UTC: `2025-01-31T20:59:00Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.start())
    }
}

impl fmt::Debug for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Minute({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_names_its_first_instant() {
        let at: Timestamp = "2025-01-31T20:59:59.999Z".parse().unwrap();
        let minute = Minute::containing(at);
        assert_eq!(minute.to_string(), "2025-01-31T20:59:00Z");
        assert_eq!(minute.end().to_string(), "2025-01-31T21:00:00Z");
        assert_eq!(Minute::starting(minute.start()), Some(minute));
        assert_eq!(Minute::starting(at), None);
    }

    #[test]
    fn times_before_the_epoch_round_down_too() {
        let at: Timestamp = "1969-12-31T23:59:59Z".parse().unwrap();
        assert_eq!(Minute::containing(at).index(), -1);
    }

    #[test]
    fn far_times_are_held_in_range() {
        assert_eq!(Minute::containing(Timestamp::MAX), Minute::MAX);
        assert_eq!(Minute::MAX.to_string(), "2200-01-01T00:00:00Z");
        assert_eq!(Minute::MIN.plus(-5), Minute::MIN);
        assert_eq!(Minute::starting(Timestamp::MIN), None);
    }
}
