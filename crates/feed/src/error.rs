//! What can go wrong with a feed, by what to do about it.

use std::time::Duration;

/// A failed request, connection or file. The text names no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FeedError {
    /// What to do about it.
    pub kind: FeedErrorKind,
    /// What happened, in words: who answered what.
    pub message: String,
    /// What anybody may know of it, where that is more than its kind.
    pub told: Option<String>,
    /// How long the provider asked to be left alone, where it did.
    pub retry_after: Option<Duration>,
}

impl FeedError {
    /// Makes an error of a kind.
    pub fn new(kind: FeedErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), told: None, retry_after: None }
    }

    /// The same, with words that hold nothing but our own: anybody may read them.
    pub fn telling(self, told: impl Into<String>) -> Self {
        Self { told: Some(told.into()), ..self }
    }

    /// What anybody may know of it: which kind of failure, and whose. The message itself may quote a
    /// provider's answer, which may name this machine's address, and is for the log.
    pub fn told(&self, provider: &str) -> String {
        if let Some(told) = &self.told {
            return told.clone();
        }
        let what = match self.kind {
            FeedErrorKind::Auth => "refuses the credentials",
            FeedErrorKind::NotEntitled => "does not offer this to the plan in use",
            FeedErrorKind::RateLimited { .. } => "was asked too often",
            FeedErrorKind::NotFound => "does not know what it is asked for",
            FeedErrorKind::BadRequest => "refuses what it is asked for",
            FeedErrorKind::TooLarge => "answers more than is read",
            FeedErrorKind::Unreadable => "answers what cannot be read",
            FeedErrorKind::Transient => "cannot be reached or fails",
            FeedErrorKind::File => "has files that cannot be read",
        };
        format!("{provider} {what}")
    }

    /// Whether asking the same again may help.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.kind,
            FeedErrorKind::RateLimited { .. } | FeedErrorKind::Transient | FeedErrorKind::Unreadable
        )
    }

    /// Whether it may be about one of several symbols that were asked for together, and the others be
    /// answered for.
    pub fn may_concern_one(&self) -> bool {
        matches!(
            self.kind,
            FeedErrorKind::NotFound
                | FeedErrorKind::BadRequest
                | FeedErrorKind::TooLarge
                | FeedErrorKind::Unreadable
        )
    }

    /// Whether the provider will never answer with these credentials and settings.
    pub fn is_final(&self) -> bool {
        matches!(self.kind, FeedErrorKind::Auth | FeedErrorKind::NotEntitled)
    }
}

/// The classes of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedErrorKind {
    /// The credentials are wrong: stop, tell the operator, do not hammer.
    Auth,
    /// The plan does not include this: ask for less, or another feed.
    NotEntitled,
    /// Too many requests: wait, as long as the provider said where it did.
    RateLimited {
        /// What the provider asked for.
        retry_after: Option<Duration>,
    },
    /// The symbol is unknown.
    NotFound,
    /// The request is wrong or its range too wide: the same again will not help.
    BadRequest,
    /// The answer is larger than is read: ask for less.
    TooLarge,
    /// The answer came, and is not of the shape it should be: it may be so again, and it may be for one
    /// symbol alone.
    Unreadable,
    /// A time-out, a 5xx, HTML where JSON belongs, a broken connection: try again later.
    Transient,
    /// A file that cannot be read.
    File,
}
