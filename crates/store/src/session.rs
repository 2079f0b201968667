//! Signing in.

use qqq_core::subscription::EmailAddress;
use qqq_core::subscription::session::SignInId;
use qqq_core::subscription::token::TokenHash;

/// What taking in requests for links did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignInsTakenIn {
    /// So many mails came to be owed.
    pub owed: u64,
    /// There are more requests to decide about than one transaction does.
    pub more: bool,
}

/// A request for a link that signs in.
#[derive(Clone, Debug)]
pub struct SignInRequest {
    /// Random; the link's token is derived of it.
    pub id: SignInId,
    /// Of that token.
    pub token: TokenHash,
    /// Whose alerts somebody wants to see. Nothing is sent to an address because it was named here.
    pub address: EmailAddress,
}
