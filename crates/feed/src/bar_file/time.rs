//! Times as files write them: RFC 3339 and its relatives, seconds since the epoch and fractions of them.

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, ZonedDateTime};
use qqq_core::decimal::{self, Excess};

/// Whose clock times without a zone are of.
pub(super) type Zone<'a> = Option<&'a TimeZone>;

/// What is wrong with a time.
pub(super) type Refused = &'static str;

pub(super) const NO_ZONE: Refused = "has no zone, and none was given (--zone, feed.replay.zone)";
const NO_TIME: Refused = "is no time";
const DAY: Refused = "is a day without a time: only bars of minutes are read";
const TIME_OF_DAY: Refused = "is a time without its day";
const DAY_NUMBER: Refused = "is no time since the epoch: it may be a spreadsheet's number of a day";
const ORDER: Refused = "does not say which number is the month: it must begin with the year";

/// Zones that mail has always written by name (RFC 5322, section 4.3).
const NAMED_OFFSETS: [(&str, &str); 11] = [
    ("UTC", "Z"),
    ("GMT", "Z"),
    ("UT", "Z"),
    ("EST", "-05:00"),
    ("EDT", "-04:00"),
    ("CST", "-06:00"),
    ("CDT", "-05:00"),
    ("MST", "-07:00"),
    ("MDT", "-06:00"),
    ("PST", "-08:00"),
    ("PDT", "-07:00"),
];

/// Furthest that a clock is ahead of UTC anywhere, or behind: more is a mistake. Seconds.
const MOST_OFFSET: i32 = 14 * 3600;

/// Reads a time as text.
pub(super) fn of_text(text: &str, zone: Zone<'_>) -> Result<Timestamp, Refused> {
    if text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E')) {
        if let Some(at) = compact(text) {
            return local(at, zone);
        }
        if text.len() == 8 && text.parse::<Date>().is_ok() {
            return Err(DAY);
        }
        if let Ok(number) = decimal::parse(text, 0, Excess::Refuse) {
            return of_epoch(number.into());
        }
    }
    // As programs write it: nearly always.
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let text = usual(text);
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    if text.ends_with(']') {
        return text.parse::<ZonedDateTime>().map(|at| at.timestamp()).map_err(|_| NO_TIME);
    }
    let has_time = text.contains(':') || text.contains(['T', 't']) || text.contains(' ');
    match text.parse::<DateTime>() {
        Ok(at) if has_time => local(at, zone),
        Ok(_) => Err(DAY),
        Err(_) if begins_with_a_day_or_month(&text) => Err(ORDER),
        Err(_) if text.parse::<jiff::civil::Time>().is_ok() => Err(TIME_OF_DAY),
        Err(_) => Err(NO_TIME),
    }
}

/// Reads a time since the epoch: in seconds, milli-, micro- or nanoseconds, as its size says. Seconds reach
/// from 1973 to 2286, and so does each of the others from April 1970 on.
pub(super) fn of_epoch(number: i128) -> Result<Timestamp, Refused> {
    let per_second: i128 = match number.unsigned_abs() {
        0..100_000_000 => return Err(DAY_NUMBER),
        100_000_000..10_000_000_000 => 1,
        10_000_000_000..10_000_000_000_000 => 1_000,
        10_000_000_000_000..10_000_000_000_000_000 => 1_000_000,
        _ => 1_000_000_000,
    };
    of_units(number, per_second)
}

/// So many units since the epoch.
pub(super) fn of_units(units: i128, per_second: i128) -> Result<Timestamp, Refused> {
    let nanos = units.checked_mul(1_000_000_000 / per_second).ok_or(NO_TIME)?;
    Timestamp::from_nanosecond(nanos).map_err(|_| NO_TIME)
}

/// The moment at which clocks of a zone show a time. An hour that is there twice tells nothing, whatever
/// stands before and after it: it is refused.
pub(super) fn local(at: DateTime, zone: Zone<'_>) -> Result<Timestamp, Refused> {
    let ambiguous = zone.ok_or(NO_ZONE)?.to_ambiguous_timestamp(at);
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } => ambiguous.unambiguous().map_err(|_| NO_TIME),
        AmbiguousOffset::Gap { .. } => {
            Err("was never shown by the zone's clocks: they were set forward over it")
        }
        AmbiguousOffset::Fold { .. } => {
            Err("is there twice, as the clocks were set back over it: it needs its offset")
        }
    }
}

/// What clocks show, counted from the epoch as if it were UTC.
pub(super) fn of_local_units(units: i128, per_second: i128, zone: Zone<'_>) -> Result<Timestamp, Refused> {
    let shown = of_units(units, per_second)?;
    local(TimeZone::UTC.to_datetime(shown), zone)
}

/// `20240703093000` and `202407030930`, which no clock would count from the epoch. A day alone is none.
fn compact(text: &str) -> Option<DateTime> {
    let part = |range: std::ops::Range<usize>| text.get(range)?.parse::<i8>().ok();
    if !matches!(text.len(), 12 | 14) || !(1900..2200).contains(&text.get(..4)?.parse::<i16>().ok()?) {
        return None;
    }
    let day = Date::new(text[..4].parse().ok()?, part(4..6)?, part(6..8)?).ok()?;
    let second = if text.len() == 14 { part(12..14)? } else { 0 };
    let clock = jiff::civil::Time::new(part(8..10)?, part(10..12)?, second, 0).ok()?;
    Some(day.to_datetime(clock))
}

/// A time in the form that the parser takes: `2024/07/03 09:30:00 EDT` is `2024-07-03 09:30:00-04:00`.
fn usual(text: &str) -> String {
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (year, rest) = text.split_at_checked(4).unwrap_or(("", ""));
    if year.bytes().all(|byte| byte.is_ascii_digit())
        && let Some(divider @ ('/' | '.')) = rest.chars().next()
        && rest.len() >= 6
    {
        let day = rest.find([' ', 'T', 't']).unwrap_or(rest.len());
        text = format!("{year}{}{}", rest[..day].replace(divider, "-"), &rest[day..]);
    }
    if let Some((time, name)) = text.rsplit_once(' ')
        && time.contains(':')
    {
        if let Some((_, offset)) = NAMED_OFFSETS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            return format!("{time}{offset}");
        }
        if name.starts_with(['+', '-']) || name.eq_ignore_ascii_case("z") {
            return format!("{time}{name}");
        }
    }
    text
}

/// `07/03/2024`: the third of July here, the seventh of March there.
fn begins_with_a_day_or_month(text: &str) -> bool {
    let mut parts = text.splitn(3, ['/', '.', '-']);
    let mut digits = |most: usize| {
        parts.next().is_some_and(|part| {
            (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    digits(2) && digits(2)
}

/// The zone a name means: of the IANA database, or an offset such as `-05:00`.
pub(super) fn zone(text: &str) -> Option<TimeZone> {
    let text = text.trim();
    if text.starts_with(['+', '-']) {
        let at: Timestamp = format!("2000-01-01T12:00:00{text}").parse().ok()?;
        let noon = jiff::civil::date(2000, 1, 1).at(12, 0, 0, 0);
        let utc: SignedDuration = TimeZone::UTC.to_timestamp(noon).ok()?.duration_since(at);
        let seconds = i32::try_from(utc.as_secs()).ok().filter(|seconds| seconds.abs() <= MOST_OFFSET)?;
        return Some(TimeZone::fixed(jiff::tz::Offset::from_seconds(seconds).ok()?));
    }
    TimeZone::get(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn new_york() -> TimeZone {
        zone("America/New_York").unwrap()
    }

    #[test]
    fn a_time_that_says_its_zone_is_read_in_whatever_form() {
        for text in [
            "2024-07-03T13:30:00Z",
            "2024-07-03t13:30:00z",
            "2024-07-03 13:30:00Z",
            "2024-07-03 13:30:00 Z",
            "2024-07-03 13:30Z",
            "2024-07-03 13:30:00.000000+00:00",
            "2024-07-03 09:30:00-04:00",
            "2024-07-03 09:30:00-0400",
            "2024-07-03 09:30:00-04",
            "2024-07-03 09:30:00 -0400",
            "2024-07-03 09:30:00 -04:00",
            "2024-07-03  09:30:00 EDT",
            "2024-07-03 13:30:00 UTC",
            "2024-07-03 13:30:00 gmt",
            "2024-07-03T09:30:00[America/New_York]",
            "2024-07-03T09:30:00-04:00[America/New_York]",
            "20240703T133000Z",
            "2024/07/03 13:30:00Z",
            "2024.07.03 13:30Z",
            "1720013400",
            "1720013400.0",
            "1.7200134e9",
            "1720013400000",
            "1720013400000000",
            "1720013400000000000",
        ] {
            assert_eq!(
                of_text(text, None).map(|at| at.to_string()),
                Ok("2024-07-03T13:30:00Z".into()),
                "{text}"
            );
        }
    }

    #[test]
    fn a_time_without_a_zone_is_of_the_zone_given() {
        for text in [
            "2024-07-03T09:30:00",
            "2024-07-03 09:30:00",
            "2024-07-03 09:30",
            "2024-07-03 09:30:00.000",
            "2024/07/03 09:30",
            "2024.07.03 09:30:00",
            "20240703 09:30:00",
            "20240703 093000",
            "20240703T0930",
            "20240703093000",
            "202407030930",
        ] {
            assert_eq!(of_text(text, None), Err(NO_ZONE), "{text}");
            let at = of_text(text, Some(&new_york())).map(|at| at.to_string());
            assert_eq!(at, Ok("2024-07-03T13:30:00Z".into()), "{text}");
        }
        let shown = |text, name: &str| of_text(text, Some(&zone(name).unwrap())).unwrap().to_string();
        assert_eq!(shown("2024-01-03 09:30", "America/New_York"), "2024-01-03T14:30:00Z");
        assert_eq!(shown("2024-01-03 09:30", "-05:00"), "2024-01-03T14:30:00Z");
        assert_eq!(shown("2024-01-03 09:30", "+0530"), "2024-01-03T04:00:00Z");
        assert_eq!(shown("2024-01-03 09:30", "UTC"), "2024-01-03T09:30:00Z");
        // The zone given is for times that have none.
        assert_eq!(shown("2024-01-03 09:30Z", "America/New_York"), "2024-01-03T09:30:00Z");
    }

    #[test]
    fn hours_that_are_not_there_or_twice_are_refused() {
        let new_york = new_york();
        let read = |text| of_text(text, Some(&new_york));
        assert!(read("2024-03-10 01:59").is_ok() && read("2024-03-10 03:00").is_ok());
        assert!(read("2024-03-10 02:00").unwrap_err().contains("set forward"));
        assert!(read("2024-03-10 02:59").unwrap_err().contains("set forward"));
        assert!(read("2024-11-03 00:59").is_ok() && read("2024-11-03 02:00").is_ok());
        assert!(read("2024-11-03 01:00").unwrap_err().contains("set back"));
        assert!(read("2024-11-03 01:59").unwrap_err().contains("set back"));
        assert_eq!(read("2024-11-03 01:30-05:00").unwrap().to_string(), "2024-11-03T06:30:00Z");
    }

    #[test]
    fn what_is_no_time_says_what_it_may_be() {
        let new_york = new_york();
        for (text, refused) in [
            ("", NO_TIME),
            ("x", NO_TIME),
            ("2024-13-03 09:30", NO_TIME),
            ("2024-07-03", DAY),
            ("2024/07/03", DAY),
            ("09:30", TIME_OF_DAY),
            ("07/03/2024 09:30", ORDER),
            ("3.7.2024 9:30", ORDER),
            ("20240703", DAY),
            ("45476", DAY_NUMBER),
            ("99999999999999999999", NO_TIME),
            ("2024-07-03T09:30:00[Mars/Olympus]", NO_TIME),
        ] {
            assert_eq!(of_text(text, Some(&new_york)), Err(refused), "{text}");
        }
        assert!(zone("Mars/Olympus").is_none() && zone("").is_none() && zone("+25:00").is_none());
    }

    proptest! {
        #[test]
        fn every_minute_is_read_back_from_every_unit(minutes in 5_000_000_i64..120_000_000) {
            let at = Timestamp::from_second(minutes * 60).unwrap();
            for units in [1, 1_000, 1_000_000, 1_000_000_000_i128] {
                prop_assert_eq!(of_epoch(i128::from(minutes) * 60 * units), Ok(at));
            }
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,32}", number in any::<i128>()) {
            let _ = (of_text(&text, Some(&TimeZone::UTC)), of_epoch(number), zone(&text));
            let _ = of_local_units(number, 1_000, Some(&TimeZone::UTC));
        }

        #[test]
        fn nothing_like_a_time_panics(
            text in "[0-9]{0,4}[-/. ]?[0-9]{0,2}[-/. ]?[0-9]{0,2}[T ]?[0-9:.]{0,9}[ +Z-]?[0-9:A-Z]{0,5}",
        ) {
            let _ = of_text(&text, Some(&TimeZone::UTC));
        }
    }
}
