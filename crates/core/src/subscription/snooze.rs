//! Snoozes: pauses with an end, begun by a link in a message.

use crate::UnknownWord;
use crate::market::calendar::new_york;
use crate::subscription::Subscription;
use jiff::civil::time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};
use strum::{Display, EnumString, IntoStaticStr, VariantNames};

/// For how long nothing is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of::<Snooze>)]
pub enum Snooze {
    /// For an hour.
    Hour,
    /// Until nine in the morning of the reader's next day.
    Tomorrow,
    /// For seven days of the reader's calendar.
    Week,
}

crate::words::words!(Snooze);

impl Snooze {
    /// All, the shortest first.
    pub const ALL: [Self; 3] = [Self::Hour, Self::Tomorrow, Self::Week];

    /// When one ends that begins `now`, by the clock of a reader in `zone`.
    pub fn until(self, now: Timestamp, zone: &TimeZone) -> Timestamp {
        let local = now.to_zoned_datetime(zone.clone());
        let end = match self {
            Self::Hour => now.checked_add(SignedDuration::from_hours(1)),
            Self::Tomorrow => {
                local.date().tomorrow().and_then(|day| zone.to_timestamp(day.to_datetime(time(9, 0, 0, 0))))
            }
            Self::Week => local.checked_add(Span::new().days(7)).map(|end| end.timestamp()),
        };
        end.unwrap_or(Timestamp::MAX)
    }
}

impl Subscription {
    /// Its reader's zone, as far as it is known: that of the quiet hours, else New York's.
    pub fn time_zone(&self) -> TimeZone {
        self.quiet.as_ref().map_or_else(new_york, |quiet| quiet.time_zone().clone())
    }

    /// Whether it is paused with no end in sight. Whoever can snooze it neither shortens that nor ends it.
    pub fn is_paused_until_resumed(&self) -> bool {
        self.paused_until == Some(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snooze_ends_by_the_readers_clock() {
        let until = |snooze: Snooze, now: &str, zone: &str| {
            let zone = TimeZone::get(zone).unwrap();
            snooze.until(now.parse().unwrap(), &zone).to_string()
        };
        for (snooze, now, zone, end) in [
            (Snooze::Hour, "2025-01-27T18:57:00Z", "America/New_York", "2025-01-27T19:57:00Z"),
            (Snooze::Tomorrow, "2025-01-27T18:57:00Z", "America/New_York", "2025-01-28T14:00:00Z"),
            // Past midnight there already.
            (Snooze::Tomorrow, "2025-01-27T23:30:00Z", "Europe/Berlin", "2025-01-29T08:00:00Z"),
            // A week over the change to summer time ends at the same time of day.
            (Snooze::Week, "2025-03-07T15:00:00Z", "America/New_York", "2025-03-14T14:00:00Z"),
            (Snooze::Week, "9999-12-30T00:00:00Z", "UTC", "9999-12-30T22:00:00.999999999Z"),
        ] {
            assert_eq!(until(snooze, now, zone), end, "{snooze} {now} {zone}");
        }
        for snooze in Snooze::ALL {
            assert_eq!(snooze.as_str().parse(), Ok(snooze));
        }
    }
}
