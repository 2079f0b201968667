//! Subscriptions.

use crate::change::{Amended, SubscriptionChange};
use crate::error::StoreError;
use crate::record::Watched;
use crate::sign_up::{Choice, Confirmable, Confirmed, SignUp, SignedUp, TakenIn};
use async_trait::async_trait;
use jiff::Timestamp;
#[cfg(doc)]
use qqq_core::subscription::channel::Channel;
use qqq_core::subscription::limits::SubscriptionLimits;
use qqq_core::subscription::signup::SignUpLimits;
#[cfg(doc)]
use qqq_core::subscription::signup::Throttle;
use qqq_core::subscription::token::{Purpose, TokenHash};
use qqq_core::subscription::{Subscription, SubscriptionId};

/// Subscriptions.
#[async_trait]
pub trait SubscriptionStore: Send + Sync {
    /// Holds what becomes active from now on to limits, each checked in the transaction that would activate
    /// it: a sign-up that need not be confirmed and a changed rule are [`StoreError::BeyondLimit`], what is
    /// confirmed is [refused](Confirmed::Settled). One that has to be confirmed is noted down unless its rule
    /// alone is beyond a limit: how much its receiver has already is nothing to tell a stranger.
    fn hold_to(&self, limits: SubscriptionLimits);

    /// Notes a request down, to be [taken in](Self::take_in), unless too much waits already
    /// ([`SignUpLimits::admit`]): all of it or nothing. Its sign-ups have one channel, and either all have to
    /// be confirmed or none. Neither the answer nor the time it takes depends on what is known of the
    /// receiver. What need not be confirmed is taken in at once.
    async fn subscribe(
        &self,
        request: &[SignUp],
        limits: SignUpLimits,
        now: Timestamp,
    ) -> Result<SignedUp, StoreError>;

    /// Takes in requests in their order, some at a time, each as a whole. Where the same recipient (by its
    /// [`key`](Channel::key)), scope, metric and rule is pending or active, that subscription stays as it is
    /// and the new id is dropped; a pending one's confirmation deadline (24 h) starts anew.
    ///
    /// For what is pending then, a message that asks to confirm waits, unless the recipient is suppressed:
    /// one for each mail address, and one for each subscription by webhook, as it alone tells that one's id,
    /// token and secret, and is owed where nothing has to be confirmed as well. Enqueues those whose turn it
    /// is within `limits` ([`Throttle`]), the oldest and the newest in turn. By mail it is about the newest
    /// that is pending; where nothing is any more, it is dropped. What it is about, and what else is pending
    /// of the recipient, can be confirmed for another 24 h.
    async fn take_in(&self, limits: SignUpLimits, now: Timestamp) -> Result<TakenIn, StoreError>;

    /// Finds the subscription a token belongs to.
    async fn subscription_of(
        &self,
        purpose: Purpose,
        token: &TokenHash,
    ) -> Result<Option<Subscription>, StoreError>;

    /// The subscription of an id, whoever's it is.
    async fn subscription(&self, id: SubscriptionId) -> Result<Option<Subscription>, StoreError>;

    /// The active subscriptions of a recipient (a [`Channel::key`]), in no order.
    async fn active_of(&self, address: &str) -> Result<Vec<Subscription>, StoreError>;

    /// What the link of a token opens: until it lapses, all that is pending of its recipient, whatever became
    /// of the subscription it was made for.
    async fn confirmable(&self, token: &TokenHash, now: Timestamp)
    -> Result<Option<Confirmable>, StoreError>;

    /// Activates what was chosen of what is [confirmable](Self::confirmable), and ends what was declined.
    /// What is active is told of bars that start at or after the activation: by the wall clock on a live
    /// feed, by the feed's clock on a simulated or replayed one. A webhook that became active and was not
    /// told its secret is owed the message that does.
    async fn confirm(
        &self,
        token: &TokenHash,
        choice: &Choice,
        now: Timestamp,
    ) -> Result<Confirmed, StoreError>;

    /// Ends a subscription, or with `all` every one of the same recipient (by its [`key`](Channel::key)), and
    /// cancels what is owed to them and not under way. What has ended stays as it is. Answers the one the
    /// token belongs to.
    async fn unsubscribe(
        &self,
        token: &TokenHash,
        all: bool,
        now: Timestamp,
    ) -> Result<Option<Subscription>, StoreError>;

    /// Changes the subscription a managing token belongs to. Nothing but the secret's rotation concerns what
    /// is under way. What was owed before by another rule stays owed.
    async fn amend(
        &self,
        token: &TokenHash,
        change: &SubscriptionChange,
        now: Timestamp,
    ) -> Result<Amended, StoreError>;

    /// What the active subscriptions watch by rules of their own, each once, in no order, and the version of
    /// that.
    async fn watched(&self) -> Result<Watched, StoreError>;

    /// The version of what [`watched`](Self::watched) answers: another one where that may have changed.
    /// Cheap: asked for before every step.
    async fn watch_version(&self) -> Result<u64, StoreError>;
}
