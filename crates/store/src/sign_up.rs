//! Sign-ups and their confirmation.

use qqq_core::subscription::channel::Channel;
use qqq_core::subscription::limits::LimitExceeded;
use qqq_core::subscription::quiet::QuietHours;
use qqq_core::subscription::signup::Full;
use qqq_core::subscription::token::TokenHashes;
use qqq_core::subscription::{Scope, Subscription, SubscriptionId, SubscriptionStatus};
use qqq_core::{Metric, RuleName};

/// A request for alerts, or one of several that are asked for at once.
#[derive(Clone, Debug)]
pub struct SignUp {
    /// Random.
    pub id: SubscriptionId,
    /// Where to.
    pub channel: Channel,
    /// Of which symbols.
    pub scope: Scope,
    /// Of which metric.
    pub metric: Metric,
    /// By which rule.
    pub rule: RuleName,
    /// When alerts wait.
    pub quiet: Option<QuietHours>,
    /// Random; tokens are derived from it.
    pub nonce: [u8; 16],
    /// Of the tokens derived from `id` and `nonce`.
    pub hashes: TokenHashes,
    /// Whether the receiver must confirm (double opt-in). Without, the subscription is active at once.
    pub confirm: bool,
}

/// How a sign-up was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedUp {
    /// It is kept.
    Taken,
    /// Too much waits already. Nothing was kept.
    Full(Full),
}

/// What taking in did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TakenIn {
    /// So many sign-ups became subscriptions, or were of a wish that was known.
    pub sign_ups: u64,
    /// This many messages that ask to confirm were enqueued.
    pub confirmations: u64,
    /// There are more sign-ups to take in.
    pub more: bool,
}

/// What a confirmation link opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmable {
    /// The subscription it was made for.
    pub of: Subscription,
    /// Whether it is too old to confirm anything.
    pub lapsed: bool,
    /// What is pending of the same recipient (by its [`key`](Channel::key)), at most 200: what was asked for
    /// at the same moment as that subscription, itself among it, then the newest. Nothing where it has
    /// lapsed.
    pub asked: Vec<Subscription>,
}

impl Confirmable {
    /// What there is to answer where nothing is asked.
    pub(crate) fn without_anything_asked(self) -> Confirmed {
        match self.of.status {
            status if status.has_ended() => Confirmed::Ended(self.of),
            SubscriptionStatus::Active => Confirmed::AlreadyActive(self.of),
            _ if self.lapsed => Confirmed::Expired(self.of),
            _ => Confirmed::Settled { activated: Vec::new(), declined: Vec::new(), refused: Vec::new() },
        }
    }
}

/// What of all that is pending is to be confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// All of it.
    Everything,
    /// Of what was shown, this; the rest of what was shown is declined, and what was not shown is left alone.
    Ticked {
        /// To be confirmed.
        ticked: Vec<SubscriptionId>,
        /// What there was to choose from.
        shown: Vec<SubscriptionId>,
    },
}

impl Choice {
    /// Whether a subscription is confirmed or declined; `None` where it is left alone.
    pub fn about(&self, id: SubscriptionId) -> Option<bool> {
        match self {
            Self::Everything => Some(true),
            Self::Ticked { ticked, .. } if ticked.contains(&id) => Some(true),
            Self::Ticked { shown, .. } => shown.contains(&id).then_some(false),
        }
    }
}

/// What a confirmation did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// What was pending is active now, or was declined and has ended.
    Settled {
        /// Active now.
        activated: Vec<Subscription>,
        /// Ended.
        declined: Vec<Subscription>,
        /// Chosen, and beyond a limit: pending as before.
        refused: Vec<(Subscription, LimitExceeded)>,
    },
    /// Nothing is pending, and the subscription that the link was made for is active.
    AlreadyActive(Subscription),
    /// The link is too old; the subscription stays pending.
    Expired(Subscription),
    /// Nothing is pending, and the subscription that the link was made for has ended: a new sign-up is
    /// needed.
    Ended(Subscription),
    /// No subscription has this token.
    Unknown,
}
