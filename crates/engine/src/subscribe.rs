//! What receivers ask for: to sign up, confirm, change, pause and end a subscription, and to read its alerts.
//!
//! Whoever shows a token is found by a read first: guesses never reach the writer.

use jiff::{SignedDuration, Timestamp};
use qqq_core::subscription::channel::{ChannelKind, Webhook, WebhookFormat};
use qqq_core::subscription::quiet::QuietHours;
use qqq_core::subscription::signup::{Full, SignUpLimits};
use qqq_core::subscription::snooze::Snooze;
use qqq_core::subscription::token::{Purpose, Token, TokenKey, WebhookSecret};
use qqq_core::subscription::{Scope, Subscription, SubscriptionId};
use qqq_core::{Alert, AlertId, Channel, Clock, Metric, RuleName, Second};
use qqq_store::{
    AlertQuery, Amended, Choice, Confirmable, Confirmed, SignUp, SignedUp, Store, StoreError,
    SubscriptionChange,
};
use std::sync::Arc;
use tokio::sync::Notify;

/// What somebody signs up for.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Where the messages are to go.
    pub channel: Channel,
    /// Of which symbols: some, each once, or the watchlist.
    pub scopes: Vec<Scope>,
    /// Of which metric.
    pub metric: Metric,
    /// By which rule.
    pub rule: RuleName,
    /// When alerts wait.
    pub quiet: Option<QuietHours>,
}

/// How sign-ups are taken.
#[derive(Clone, Debug)]
pub struct SignUpPolicy {
    /// Whether a receiver must confirm before anything is sent to it (double opt-in).
    pub confirm: bool,
    /// How many messages that ask to confirm may go out.
    pub limits: SignUpLimits,
    /// Notified after a sign-up that need not be confirmed: a webhook may have to be told its secret.
    pub outbox_wakeup: Arc<Notify>,
}

/// How a sign-up stands that was taken: the same whether its receiver is new, known or suppressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Until the receiver has confirmed.
    Pending,
    /// From now on.
    Active,
}

impl Standing {
    /// `pending` or `active`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
        }
    }
}

/// Why a sign-up was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SignUpError {
    /// Too many wait for their confirmation already.
    #[error("too many sign-ups wait for their confirmation already")]
    Full(Full),
    /// The system gives no random bytes, of which ids and tokens are made.
    #[error("the system gives no random bytes: {0}")]
    NoRandomness(getrandom::Error),
    /// The store did not take it: [`StoreError::BeyondLimit`] where the receiver may not have more.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// For how long a subscription is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// Until it is resumed.
    UntilResumed,
    /// From now on for so long.
    For(SignedDuration),
    /// No longer.
    Resume,
}

/// Which part of a subscription's alerts to read, newest first.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlertPage {
    /// Only of bars that start here or later.
    pub since: Option<Second>,
    /// Only those after this one in the list.
    pub after: Option<(Second, AlertId)>,
    /// At most so many.
    pub limit: usize,
}

/// The subscriptions of a store, for those whose they are.
pub struct Subscriptions {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    tokens: TokenKey,
    policy: SignUpPolicy,
}

impl Subscriptions {
    /// Of `store`. Tokens are derived by `tokens`.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, tokens: TokenKey, policy: SignUpPolicy) -> Self {
        Self { store, clock, tokens, policy }
    }

    /// Takes a sign-up. Neither the answer nor its time tells whether the receiver is known.
    pub async fn sign_up(&self, wish: Wish) -> Result<Standing, SignUpError> {
        let SignUpPolicy { confirm, limits, outbox_wakeup } = &self.policy;
        let request = self.request(&wish, *confirm)?;
        match self.store.subscribe(&request, *limits, self.clock.now()).await? {
            SignedUp::Full(full) => Err(SignUpError::Full(full)),
            // The worker takes it in with its next scan, within a second. At once, the request after this one
            // would wait for that work, and its time would tell what this one's does not: whether the address
            // was known.
            SignedUp::Taken if *confirm => Ok(Standing::Pending),
            SignedUp::Taken => {
                outbox_wakeup.notify_one();
                Ok(Standing::Active)
            }
        }
    }

    /// Takes a sign-up of a receiver that has shown who it is: active at once, what waited for a confirmation
    /// too. Answers what of it the receiver has now.
    pub async fn add(&self, wish: Wish) -> Result<Vec<Subscription>, SignUpError> {
        let SignUpPolicy { limits, outbox_wakeup, .. } = &self.policy;
        let request = self.request(&wish, false)?;
        if let SignedUp::Full(full) = self.store.subscribe(&request, *limits, self.clock.now()).await? {
            return Err(SignUpError::Full(full));
        }
        outbox_wakeup.notify_one();
        let mut active = self.store.active_of(&wish.channel.key()).await?;
        active.retain(|one| {
            (one.metric, one.rule) == (wish.metric, wish.rule) && wish.scopes.contains(&one.scope)
        });
        active.sort_by_key(|one| one.scope);
        Ok(active)
    }

    /// A wish as the store takes it: with ids, and the hashes of tokens.
    fn request(&self, wish: &Wish, confirm: bool) -> Result<Vec<SignUp>, SignUpError> {
        let sign_up = |scope: &Scope| {
            let (id, nonce) = (SubscriptionId::from_random(random()?), random()?);
            let Wish { channel, metric, rule, quiet, .. } = wish.clone();
            let hashes = self.tokens.hashes(id, &nonce);
            Ok(SignUp { id, channel, scope: *scope, metric, rule, quiet, nonce, hashes, confirm })
        };
        wish.scopes.iter().map(sign_up).collect()
    }

    /// What a confirmation link opens. Changes nothing.
    pub async fn confirmable(&self, token: &Token) -> Result<Option<Confirmable>, StoreError> {
        self.store.confirmable(&token.hash(), self.clock.now()).await
    }

    /// Confirms what was chosen of what a link opens.
    pub async fn confirm(&self, token: &Token, choice: &Choice) -> Result<Confirmed, StoreError> {
        let (token, now) = (token.hash(), self.clock.now());
        match self.store.confirmable(&token, now).await? {
            Some(_) => self.store.confirm(&token, choice, now).await,
            None => Ok(Confirmed::Unknown),
        }
    }

    /// The subscription a token belongs to.
    pub async fn find(&self, purpose: Purpose, token: &Token) -> Result<Option<Subscription>, StoreError> {
        self.store.subscription_of(purpose, &token.hash()).await
    }

    /// Ends the subscription of a token, or with `all` every one of its receiver. `None` where there is none.
    pub async fn unsubscribe(&self, token: &Token, all: bool) -> Result<Option<Subscription>, StoreError> {
        if self.find(Purpose::Unsubscribe, token).await?.is_none() {
            return Ok(None);
        }
        self.store.unsubscribe(&token.hash(), all, self.clock.now()).await
    }

    /// Ends a subscription whose holder has shown who it is.
    pub async fn end(&self, subscription: &Subscription) -> Result<(), StoreError> {
        let token = self.tokens.token(Purpose::Unsubscribe, subscription.id, &subscription.nonce);
        self.store.unsubscribe(&token.hash(), false, self.clock.now()).await.map(drop)
    }

    /// Changes the subscription of a managing token.
    pub async fn change(&self, token: &Token, change: &SubscriptionChange) -> Result<Amended, StoreError> {
        self.store.amend(&token.hash(), change, self.clock.now()).await
    }

    /// Changes a subscription whose holder has shown who it is.
    pub async fn change_held(
        &self,
        subscription: &Subscription,
        change: &SubscriptionChange,
    ) -> Result<Amended, StoreError> {
        let token = self.tokens.token(Purpose::Manage, subscription.id, &subscription.nonce);
        self.change(&token, change).await
    }

    /// Pauses or resumes the subscription of a managing token.
    pub async fn pause(&self, token: &Token, pause: Pause) -> Result<Amended, StoreError> {
        let paused_until = match pause {
            Pause::UntilResumed => Some(Timestamp::MAX),
            Pause::For(time) => Some(self.clock.now().checked_add(time).unwrap_or(Timestamp::MAX)),
            Pause::Resume => None,
        };
        self.change(token, &SubscriptionChange { paused_until: Some(paused_until), ..Default::default() })
            .await
    }

    /// Snoozes the subscription of a token that ends it, or ends its snooze. One that is paused until it is
    /// resumed stays so: that asks for the managing token.
    pub async fn snooze(&self, token: &Token, snooze: Option<Snooze>) -> Result<Amended, StoreError> {
        let Some(subscription) = self.find(Purpose::Unsubscribe, token).await? else {
            return Ok(Amended::Unknown);
        };
        let (now, zone) = (self.clock.now(), subscription.time_zone());
        let snoozed_until = Some(snooze.map(|snooze| snooze.until(now, &zone)));
        let manage = self.tokens.token(Purpose::Manage, subscription.id, &subscription.nonce);
        self.change(&manage, &SubscriptionChange { snoozed_until, ..Default::default() }).await
    }

    /// Replaces the secret that signs a webhook's requests. `None` where the subscription is by mail.
    pub async fn rotate_secret(
        &self,
        token: &Token,
        subscription: &Subscription,
    ) -> Result<Option<Amended>, StoreError> {
        if subscription.channel.kind() != ChannelKind::Webhook {
            return Ok(None);
        }
        self.change(token, &SubscriptionChange { rotate_secret: true, ..Default::default() }).await.map(Some)
    }

    /// What signs the requests of a subscription; `None` where they are not signed.
    pub fn secret(&self, subscription: &Subscription) -> Option<WebhookSecret> {
        let Channel::Webhook(Webhook { format: WebhookFormat::Standard, .. }) = subscription.channel else {
            return None;
        };
        let (id, nonce) = (subscription.id, &subscription.nonce);
        Some(self.tokens.webhook_secret(id, nonce, subscription.secret_generation))
    }

    /// Whether nothing is told of to a subscription now.
    pub fn is_paused(&self, subscription: &Subscription) -> bool {
        subscription.is_paused(self.clock.now())
    }

    /// Whether an alert is for a subscription's holder to read: as one of its rule, or one it was told of.
    pub async fn may_read(&self, subscription: &Subscription, alert: &Alert) -> Result<bool, StoreError> {
        Ok(subscription.may_read(alert) || self.store.was_owed(alert.id, subscription.id).await?)
    }

    /// The alerts of a subscription: by its rule as it is now, since it is active. Nobody else reads those of
    /// an own rule.
    pub async fn alerts(
        &self,
        subscription: &Subscription,
        page: AlertPage,
    ) -> Result<Vec<Alert>, StoreError> {
        let Some(from) = subscription.reads_from() else { return Ok(Vec::new()) };
        let query = AlertQuery {
            symbol: subscription.scope.symbol(),
            metric: Some(subscription.metric),
            rule: Some(subscription.rule),
            since: Some(page.since.map_or(from, |since| since.max(from))),
            after: page.after,
            private_too: true,
            limit: page.limit,
        };
        self.store.alerts(query).await
    }
}

/// Bytes from the system's cryptographic source.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], SignUpError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(SignUpError::NoRandomness)?;
    Ok(bytes)
}
