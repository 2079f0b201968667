//! Where the links in messages lead, and what of a subscription is derived from the secret key.

use jiff::Timestamp;
use qqq_core::subscription::Subscription;
use qqq_core::subscription::session::SignInId;
use qqq_core::subscription::snooze::Snooze;
use qqq_core::subscription::token::{Purpose, Token, TokenKey, WebhookSecret};
use qqq_core::{Alert, AlertId};
use url::Url;

/// Makes the links.
pub(crate) struct Links {
    /// `server.public_url`, without a slash at the end.
    site: String,
    key: TokenKey,
}

impl Links {
    /// Below `public_url`. The error says what is wrong with it.
    pub(crate) fn new(public_url: &Url, key: TokenKey) -> Result<Self, String> {
        if !matches!(public_url.scheme(), "http" | "https") || public_url.query().is_some() {
            return Err(format!(
                "`{public_url}` is not where links can lead: it must be http://... or https://..."
            ));
        }
        let site = public_url.as_str().split('#').next().unwrap_or_default().trim_end_matches('/').to_owned();
        Ok(Self { site, key })
    }

    /// The page of all symbols.
    pub(crate) fn home(&self) -> String {
        format!("{}/", self.site)
    }

    /// The page of a symbol.
    pub(crate) fn symbol(&self, symbol: &str) -> String {
        format!("{}/s/{symbol}", self.site)
    }

    /// The page of an alert that anybody may read.
    pub(crate) fn alert_page(&self, alert: &Alert) -> Option<String> {
        alert.is_public().then(|| format!("{}/alerts/{}", self.site, alert.id))
    }

    /// An alert for programs.
    pub(crate) fn alert(&self, id: AlertId) -> String {
        format!("{}/v1/alerts/{id}", self.site)
    }

    /// Where a browser is signed in. Knowing the link is the right to use it, once.
    pub(crate) fn sign_in(&self, id: SignInId) -> String {
        format!("{}/v1/session/link?token={}", self.site, self.key.sign_in_token(id).expose())
    }

    /// Where a subscription is confirmed. Knowing the link is the right to use it.
    pub(crate) fn confirm(&self, subscription: &Subscription) -> String {
        self.with_token("confirm", Purpose::Confirm, subscription)
    }

    /// Where a subscription is ended. Knowing the link is the right to use it.
    pub(crate) fn unsubscribe(&self, subscription: &Subscription) -> String {
        self.with_token("unsubscribe", Purpose::Unsubscribe, subscription)
    }

    /// Where every subscription of the same receiver is ended. Knowing the link is the right to use it.
    pub(crate) fn unsubscribe_all(&self, subscription: &Subscription) -> String {
        format!("{}&all=true", self.unsubscribe(subscription))
    }

    /// Where a subscription is snoozed; the page offers `snooze` first. Knowing the link is the right to use
    /// it: it holds the token that ends the subscription, which every message carries.
    pub(crate) fn snooze(&self, subscription: &Subscription, snooze: Snooze) -> String {
        format!("{}&for={snooze}", self.with_token("snooze", Purpose::Unsubscribe, subscription))
    }

    /// Where a subscription is paused, resumed and changed. Knowing the link is the right to use it.
    pub(crate) fn manage(&self, subscription: &Subscription) -> String {
        self.with_token("manage", Purpose::Manage, subscription)
    }

    /// The token that reads and changes a subscription over the API.
    pub(crate) fn manage_token(&self, subscription: &Subscription) -> Token {
        self.key.token(Purpose::Manage, subscription.id, &subscription.nonce)
    }

    /// The secrets that sign the requests of a webhook at `now`, the current one first.
    pub(crate) fn secrets(&self, subscription: &Subscription, now: Timestamp) -> Vec<WebhookSecret> {
        let Subscription { id, nonce, secret_generation, secret_rotated_at, .. } = subscription;
        self.key.webhook_secrets(*id, nonce, *secret_generation, *secret_rotated_at, now)
    }

    fn with_token(&self, action: &str, purpose: Purpose, subscription: &Subscription) -> String {
        let token = self.key.token(purpose, subscription.id, &subscription.nonce);
        format!("{}/v1/subscriptions/{action}?token={}", self.site, token.expose())
    }
}
