//! Quiet hours: when a reader does not want to be disturbed.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::fmt;
use std::str::FromStr;

/// A stretch of every day, by the reader's own clock, in which alerts wait: `22:00-07:00 Europe/Berlin`.
#[derive(Clone, PartialEq, Eq)]
pub struct QuietHours {
    from: Time,
    to: Time,
    zone: TimeZone,
}

impl QuietHours {
    /// From a time of day to another, which is of the next day where it is not later. `zone` is an IANA name;
    /// times are `HH:MM`.
    pub fn new(from: &str, to: &str, zone: &str) -> Result<Self, InvalidQuietHours> {
        let (from, to) = (time("from", from)?, time("to", to)?);
        if from == to {
            return Err(InvalidQuietHours { field: "to", reason: "must differ from `from`".to_owned() });
        }
        let zone = TimeZone::get(zone).ok().filter(|zone| zone.iana_name().is_some()).ok_or_else(|| {
            let shown: String = zone.chars().take(40).collect();
            let reason =
                format!("`{shown}` is not a time zone: it must be an IANA name such as Europe/Berlin");
            InvalidQuietHours { field: "zone", reason }
        })?;
        Ok(Self { from, to, zone })
    }

    /// When they begin: `22:00`.
    pub fn from(&self) -> String {
        self.from.strftime("%H:%M").to_string()
    }

    /// When they end: `07:00`.
    pub fn to(&self) -> String {
        self.to.strftime("%H:%M").to_string()
    }

    /// The IANA name of the reader's zone.
    pub fn zone(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    /// The reader's zone.
    pub fn time_zone(&self) -> &TimeZone {
        &self.zone
    }

    /// When the quiet hours that hold at `now` end; `None` outside of them. A clock that is set forward ends
    /// them early, one set back ends them at the later of the two times.
    pub fn end(&self, now: Timestamp) -> Option<Timestamp> {
        let local = self.zone.to_datetime(now);
        let clock = local.time();
        let quiet = if self.from < self.to {
            self.from <= clock && clock < self.to
        } else {
            self.from <= clock || clock < self.to
        };
        if !quiet {
            return None;
        }
        let day = if clock < self.to { local.date() } else { local.date().tomorrow().ok()? };
        let end = self.zone.to_timestamp(day.to_datetime(self.to)).ok()?;
        // Where a clock is set back over the end, the first of the two has passed.
        Some(if end > now { end } else { now.checked_add(SignedDuration::from_mins(1)).ok()? })
    }
}

fn time(field: &'static str, text: &str) -> Result<Time, InvalidQuietHours> {
    let well_formed = text.len() == 5 && text.as_bytes()[2] == b':';
    Time::strptime("%H:%M", text).ok().filter(|_| well_formed).ok_or_else(|| {
        let shown: String = text.chars().take(16).collect();
        InvalidQuietHours {
            field,
            reason: format!("`{shown}` is not a time of day: it must look like 22:00"),
        }
    })
}

impl fmt::Display for QuietHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{} {}", self.from(), self.to(), self.zone())
    }
}

impl fmt::Debug for QuietHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QuietHours({self})")
    }
}

impl FromStr for QuietHours {
    type Err = InvalidQuietHours;

    /// Reads what [`Display`](fmt::Display) writes.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (times, zone) = text.split_once(' ').unwrap_or((text, ""));
        let (from, to) = times.split_once('-').unwrap_or((times, ""));
        Self::new(from, to, zone)
    }
}

/// Quiet hours that make no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct InvalidQuietHours {
    /// `from`, `to` or `zone`.
    pub field: &'static str,
    /// What is wrong with it, and what is allowed.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_night_ends_in_the_morning_of_the_readers_own_clock() {
        let night: QuietHours = "22:00-07:00 Europe/Berlin".parse().unwrap();
        let end = |text| night.end(at(text)).map(|end| end.to_string());
        assert_eq!(end("2025-01-27T20:59:59Z"), None);
        assert_eq!(end("2025-01-27T21:00:00Z").unwrap(), "2025-01-28T06:00:00Z");
        assert_eq!(end("2025-01-28T05:59:59Z").unwrap(), "2025-01-28T06:00:00Z");
        assert_eq!(end("2025-01-28T06:00:00Z"), None);
        let lunch: QuietHours = "12:30-13:15 America/New_York".parse().unwrap();
        assert_eq!(lunch.end(at("2025-07-01T16:45:00Z")).unwrap().to_string(), "2025-07-01T17:15:00Z");
        assert_eq!(lunch.end(at("2025-07-01T17:15:00Z")), None);
        assert_eq!(night.to_string().parse(), Ok(night));
    }

    #[test]
    fn nights_in_which_clocks_are_set_end_too() {
        let night: QuietHours = "00:30-02:30 Europe/Berlin".parse().unwrap();
        // 02:30 does not exist on 30 March 2025, and exists twice on 26 October.
        for now in
            ["2025-03-29T23:45:00Z", "2025-10-25T23:10:00Z", "2025-10-26T00:20:00Z", "2025-10-26T01:10:00Z"]
        {
            let mut now = at(now);
            let mut steps = 0;
            while let Some(end) = night.end(now) {
                assert!(end > now);
                now = end;
                steps += 1;
                assert!(steps < 100, "never ends");
            }
        }
    }

    #[test]
    fn nonsense_is_refused_with_its_field() {
        for (text, field) in [
            ("", "from"),
            ("25:00-07:00 UTC", "from"),
            ("9:00-17:00 UTC", "from"),
            ("22:00 UTC", "to"),
            ("22:00-7 UTC", "to"),
            ("22:00-22:00 UTC", "to"),
            ("22:00-07:00", "zone"),
            ("22:00-07:00 Berlin", "zone"),
            ("22:00-07:00 ../etc", "zone"),
        ] {
            assert_eq!(text.parse::<QuietHours>().unwrap_err().field, field, "{text}");
        }
    }

    proptest! {
        #[test]
        fn whoever_waits_until_the_end_waits_less_than_a_day_and_is_awake_then(
            now in 0_i64..4_000_000_000,
            from in 0_i8..24,
            to in 0_i8..24,
            zone in prop::sample::select(vec!["Europe/Berlin", "America/New_York", "Asia/Kolkata", "UTC"]),
        ) {
            prop_assume!(from != to);
            let hours: QuietHours = format!("{from:02}:00-{to:02}:00 {zone}").parse().unwrap();
            let now = Timestamp::from_second(now).unwrap();
            if let Some(end) = hours.end(now) {
                prop_assert!(end > now && end.duration_since(now).as_hours() <= 25);
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = text.parse::<QuietHours>();
        }
    }
}
