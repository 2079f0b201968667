//! The header `Retry-After` (RFC 9110, section 10.2.3).

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use std::time::Duration;

/// Nobody is believed who asks to be left alone for longer.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// How long a server asks to be left alone: seconds, or a date, which is measured from the answer's own
/// `Date` where it has a legible one, else from `now`. At most [`LONGEST_RETRY_AFTER`]; nothing where it
/// cannot be read.
pub fn retry_after(value: &str, date: Option<&str>, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let wait = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let now = date.and_then(http_date).unwrap_or(now);
            Duration::try_from(http_date(value)?.duration_since(now)).unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

/// A time as HTTP writes it, `Sun, 06 Nov 1994 08:49:37 GMT`, which is a form of RFC 2822's.
pub fn http_date(text: &str) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(text.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_read_and_bounded() {
        let now = "2025-01-31T15:30:00Z".parse().unwrap();
        for (value, date, seconds) in [
            (" 7 ", None, Some(7)),
            ("0", None, Some(0)),
            ("999999999", None, Some(3600)),
            ("99999999999999999999", None, None),
            ("-1", None, None),
            ("soon", None, None),
            ("Fri, 31 Jan 2025 15:40:00 GMT", None, Some(600)),
            ("Fri, 31 Jan 2025 15:20:00 GMT", None, Some(0)),
            ("Sat, 01 Feb 2025 15:40:00 GMT", None, Some(3600)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some("Sun, 06 Nov 1994 08:49:37 GMT"), Some(60)),
            ("Fri, 31 Jan 2025 15:40:00 GMT", Some("today"), Some(600)),
        ] {
            assert_eq!(retry_after(value, date, now), seconds.map(Duration::from_secs), "{value}");
        }
    }
}
