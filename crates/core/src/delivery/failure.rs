//! How an attempt failed: a kind that code branches on and anybody may know, and words for the operator.

use std::fmt;
use std::str::FromStr;
use strum::IntoStaticStr;

/// What kind of failure it was. Says nothing about who was to receive what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum FailureKind {
    /// The receiver, or the mail server on the way to it, answered with a refusal: with this status, 300 to
    /// 599, where it was one of SMTP or HTTP.
    Refused(Option<u16>),
    /// The mail server refused the name that this host gives in EHLO.
    GreetingRefused,
    /// A browser's push service takes no requests signed with this instance's key, or not this signature.
    KeyRefused,
    /// No connection came about.
    Unreachable,
    /// There was no answer in time.
    TimedOut,
    /// The connection ended before an answer.
    BrokeOff,
    /// The guard allows no requests to the receiver's address.
    Blocked,
    /// Anything else: the message could not be made, a folder not be written.
    Other,
}

impl FailureKind {
    /// Those without a status.
    const PLAIN: [Self; 8] = [
        Self::Refused(None),
        Self::GreetingRefused,
        Self::KeyRefused,
        Self::Unreachable,
        Self::TimedOut,
        Self::BrokeOff,
        Self::Blocked,
        Self::Other,
    ];

    /// A refusal with a status. What is no refusal in SMTP or HTTP is no status.
    pub const fn refused(status: u16) -> Self {
        match status {
            300..600 => Self::Refused(Some(status)),
            _ => Self::Refused(None),
        }
    }
}

crate::words::words!(FailureKind);

impl fmt::Display for FailureKind {
    /// As stores keep it: `refused:550`, `timed_out`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(Some(status)) => write!(f, "{}:{status}", self.as_str()),
            _ => f.pad(self.as_str()),
        }
    }
}

impl FromStr for FailureKind {
    type Err = InvalidFailureKind;

    /// Reads what [`Display`](fmt::Display) writes.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = Self::PLAIN.into_iter().find(|kind| kind.as_str() == text);
        let refused = || {
            let status = text.strip_prefix("refused:")?.parse().ok()?;
            Some(Self::refused(status)).filter(|kind| kind.to_string() == text)
        };
        plain.or_else(refused).ok_or_else(|| InvalidFailureKind(text.chars().take(32).collect()))
    }
}

/// A text that names no kind of failure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a kind of failure: it must be `timed_out`, `refused:550` or the like")]
pub struct InvalidFailureKind(pub String);

/// A failed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// For the program, and for anybody.
    pub kind: FailureKind,
    /// For the operator. Names no address and no secret of ours, but may quote a receiver.
    pub reason: String,
}

impl Failure {
    /// Whether a final one says something of the receiver. A key that is refused is this instance's.
    pub fn is_the_receivers(&self) -> bool {
        self.kind != FailureKind::KeyRefused
    }

    /// A failure of a kind.
    pub fn new(kind: FailureKind, reason: impl Into<String>) -> Self {
        Self { kind, reason: reason.into() }
    }

    /// A failure that has no kind of its own.
    pub fn other(reason: impl Into<String>) -> Self {
        Self::new(FailureKind::Other, reason)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_come_back_as_they_were_written() {
        let refused = [300, 410, 503, 550, 599].map(FailureKind::refused);
        for kind in FailureKind::PLAIN.into_iter().chain(refused) {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert_eq!(FailureKind::refused(550).to_string(), "refused:550");
    }

    #[test]
    fn only_what_refuses_is_a_status() {
        for status in [0, 200, 250, 299, 600, 999] {
            assert_eq!(FailureKind::refused(status), FailureKind::Refused(None), "{status}");
        }
        for text in ["", "refused:", "refused:250", "refused:0550", "refused:+550", "Refused", "timed out"] {
            assert!(text.parse::<FailureKind>().is_err(), "{text}");
        }
    }
}
