//! Where a delivery stands.

use std::fmt;
use std::str::FromStr;

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// Waiting for its time or under way.
    Pending,
    /// Accepted by the receiver.
    Sent,
    /// Refused for good.
    Failed,
    /// Not accepted while it was worth sending.
    Expired,
    /// Taken back.
    Cancelled,
    /// Told in a digest.
    Bundled,
}

impl DeliveryState {
    /// All, in the order they are listed.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Sent, Self::Failed, Self::Expired, Self::Cancelled, Self::Bundled];

    /// `pending`, `sent`, `failed`, `expired`, `cancelled` or `bundled`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Bundled => "bundled",
        }
    }

    /// Whether an operator may have it tried again: what was sent is never repeated, and what waits is tried anyway.
    pub const fn may_be_replayed(self) -> bool {
        matches!(self, Self::Failed | Self::Expired)
    }
}

impl fmt::Display for DeliveryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for DeliveryState {
    type Err = InvalidDeliveryState;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| InvalidDeliveryState(text.chars().take(32).collect()))
    }
}

/// A text that names no state of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a delivery's state: it must be `pending`, `sent`, `failed`, `expired`, `cancelled` or `bundled`"
)]
pub struct InvalidDeliveryState(pub String);
