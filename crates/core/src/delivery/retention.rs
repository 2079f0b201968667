//! How long things are kept that are of no use any more.

use jiff::SignedDuration;

const fn days(count: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * count)
}

/// Deliveries, after they were settled: so long an operator may ask what became of a message.
pub const SETTLED_DELIVERIES: SignedDuration = days(90);

/// Subscriptions that nobody confirmed, after their link lapsed. Longer than the throttles look back: they
/// count the messages of a day, and those that are forgotten are two days old.
pub const UNCONFIRMED: SignedDuration = days(1);

/// Requests for a link to sign in. Longer than the throttles look back.
pub const SIGN_INS: SignedDuration = days(2);

/// Subscriptions that ended, after their end.
pub const ENDED: SignedDuration = days(30);
