//! Where a delivery stands.

use crate::UnknownWord;
use strum::{Display, EnumString, IntoStaticStr, VariantNames};

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of::<DeliveryState>)]
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

crate::words::words!(DeliveryState);

impl DeliveryState {
    /// All, in the order they are listed.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Sent, Self::Failed, Self::Expired, Self::Cancelled, Self::Bundled];

    /// Whether an operator may have it tried again: what was sent is never repeated, and what waits is tried
    /// anyway.
    pub const fn may_be_replayed(self) -> bool {
        matches!(self, Self::Failed | Self::Expired)
    }
}
