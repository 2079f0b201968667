//! Signing in by a link, and the browsers that are signed in.

use crate::error::StoreError;
use crate::session::{SignInRequest, SignInsTakenIn};
use crate::sign_up::SignedUp;
use async_trait::async_trait;
use jiff::Timestamp;
use qqq_core::delivery::{Lease, Outcome, SignInMail};
use qqq_core::subscription::EmailAddress;
use qqq_core::subscription::session::{Session, SignInId};
use qqq_core::subscription::signup::SignUpLimits;
use qqq_core::subscription::token::TokenHash;
#[cfg(doc)]
use qqq_core::subscription::{session, signup::Throttle};

/// Signing in by a link, and the browsers that are signed in.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Notes a request for a link down, unless too many wait already ([`SignUpLimits::admit`]). Neither the
    /// answer nor the time it takes depends on what is known of the address.
    async fn ask_to_sign_in(
        &self,
        request: &SignInRequest,
        limits: SignUpLimits,
        now: Timestamp,
    ) -> Result<SignedUp, StoreError>;

    /// Decides about requests that wait, some at a time, the oldest and the newest of them. A mail is owed to
    /// who has an active subscription by mail and to `operators` ([`session::link_goes_to`]), in its turn
    /// within `limits` ([`Throttle`]; these mails are counted by themselves); a request of anybody else is
    /// dropped, whether or not there is room for mails, so that no flood of them is in the way. Of one
    /// address one request waits, the newest, for as long as whoever asked may be waiting
    /// ([`session::given_up_before`]).
    async fn take_in_sign_ins(
        &self,
        limits: SignUpLimits,
        operators: &[EmailAddress],
        now: Timestamp,
    ) -> Result<SignInsTakenIn, StoreError>;

    /// Claims mails with links that are due and unclaimed, and whose links still work, until `lease_until`:
    /// so that a few are under way at most.
    async fn claim_sign_ins(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Vec<SignInMail>, StoreError>;

    /// Records how an attempt ended. False, and nothing changed, where a later claim exists.
    async fn settle_sign_in(
        &self,
        id: SignInId,
        lease: Lease,
        outcome: &Outcome,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Whom a link would sign in now. Changes nothing.
    async fn signs_in_as(&self, link: &TokenHash, now: Timestamp)
    -> Result<Option<EmailAddress>, StoreError>;

    /// Signs a browser in that holds the token `session` from now on, and uses the link up: of several that
    /// use it at once, one is signed in. Ends the oldest where the address has [`session::MOST_SESSIONS`].
    /// `None` where the link was used, is too old, or never was.
    async fn sign_in(
        &self,
        link: &TokenHash,
        session: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<Session>, StoreError>;

    /// The session of a token, unless it has ended.
    async fn session(&self, token: &TokenHash, now: Timestamp) -> Result<Option<Session>, StoreError>;

    /// All sessions of an address (its [`key`](EmailAddress::key)) that have not ended, the newest first.
    async fn sessions_of(&self, address: &str, now: Timestamp) -> Result<Vec<Session>, StoreError>;

    /// Ends a session. What has ended stays so.
    async fn end_session(&self, token: &TokenHash) -> Result<(), StoreError>;
}
