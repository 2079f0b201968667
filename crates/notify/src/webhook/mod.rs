//! Webhooks: signed HTTP requests to addresses of subscribers, who may name any address, and are therefore guarded.

mod body;
mod client;
mod guard;
mod pause;
mod sign;

pub use guard::Refusal;

use crate::links::Links;
use crate::{Deliver, DeliveryError, InvalidConfig, sample};
use async_trait::async_trait;
use body::{Body, Writer};
use client::{Courier, FailedRequest};
use guard::Guard;
use ipnet::IpNet;
use pause::Pauses;
use qqq_core::channel::{Channel, InvalidWebhookUrl, Webhook, WebhookFormat, WebhookUrl};
use qqq_core::delivery::Delivery;
use qqq_core::token::TokenKey;
use qqq_core::{Clock, SpikeRule};
use reqwest::dns::Resolve;
use reqwest::header::{HeaderName, HeaderValue};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

/// What webhooks need to know of the configuration.
#[derive(Clone, Debug)]
pub struct WebhooksConfig {
    /// `webhooks.allow_networks`: where requests may go beside the public internet, with `http://` and on any port too.
    pub allow_networks: Vec<IpNet>,
    /// `webhooks.timeout`: the longest an attempt takes.
    pub timeout: Duration,
    /// `server.public_url`: where the links in messages lead.
    pub public_url: Url,
    /// The rule that raises alerts, for the words about it.
    pub rule: SpikeRule,
}

/// The webhook channel.
pub struct Webhooks {
    writer: Writer,
    courier: Courier,
    pauses: Mutex<Pauses>,
    clock: Arc<dyn Clock>,
}

impl Webhooks {
    /// Checks the settings; connects to nothing.
    ///
    /// # Errors
    ///
    /// Names the setting that cannot be used.
    pub fn new(config: WebhooksConfig, key: TokenKey, clock: Arc<dyn Clock>) -> Result<Self, InvalidConfig> {
        let links = Links::new(&config.public_url, key)
            .map_err(|problem| InvalidConfig { key: "server.public_url", problem })?;
        let guard = Guard::new(config.allow_networks);
        let courier = Courier::new(guard, config.timeout, Arc::clone(&clock));
        let writer = Writer { links, rule: config.rule };
        Ok(Self { writer, courier, pauses: Mutex::default(), clock })
    }

    /// Replaces the operating system's name service, for tests that need one that lies.
    #[doc(hidden)]
    #[must_use]
    pub fn with_names(mut self, names: Arc<dyn Resolve>) -> Self {
        self.courier.names = names;
        self
    }

    /// Judges an address by itself, without asking a name server: for sign-ups, which should hear of a mistake at once.
    /// Names are judged when they are resolved, at every connection.
    ///
    /// # Errors
    ///
    /// Says why nothing would ever be sent there.
    pub fn admit(&self, url: &WebhookUrl) -> Result<(), Refusal> {
        self.courier.guard.admit(url).map(|_| ())
    }

    /// Refuses, for now, what would fail as the requests before it did.
    fn pass(&self, url: &WebhookUrl) -> Result<(), DeliveryError> {
        let mut pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        for key in [&*origin(url), url.expose()] {
            pauses.pass(key, self.courier.timeout, Instant::now()).map_err(|wait| {
                let seconds = wait.as_secs_f64().ceil();
                let reason = format!("{} keeps failing, and is left alone for {seconds} s", url.host());
                DeliveryError::NotTried(reason, wait)
            })?;
        }
        Ok(())
    }

    /// Learns from how a request ended. A host's troubles are those of all who are there. What an endpoint answers is
    /// its own: anybody can sign up with another's host and a path that fails.
    fn learn(&self, url: &WebhookUrl, result: &Result<(), FailedRequest>) {
        let mut pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        let (host, endpoint, now) = (origin(url), url.expose(), Instant::now());
        if let Err(FailedRequest { unreachable: true, .. }) = result {
            pauses.failed(&host, now);
            return;
        }
        pauses.succeeded(&host);
        match result.as_ref().map_err(|failure| &failure.error) {
            Err(DeliveryError::Retry(_)) => pauses.failed(endpoint, now),
            Err(DeliveryError::RetryAfter(_, wait)) => pauses.asked(endpoint, *wait, now),
            Ok(()) | Err(DeliveryError::GiveUp(_) | DeliveryError::Gone(_)) => pauses.succeeded(endpoint),
            // Said of who was not asked.
            Err(DeliveryError::NotTried(..)) => {}
        }
    }

    /// The longest an attempt can take. A lease on a delivery must outlive it, or be renewed.
    pub fn longest_attempt(&self) -> Duration {
        self.courier.timeout
    }

    /// Makes a message of every kind in every format, for `qqq-tracker check`. Sends none.
    ///
    /// # Errors
    ///
    /// Says which cannot be made.
    pub fn check(&self) -> Result<(), DeliveryError> {
        // Never asked for anything.
        let url: WebhookUrl = "https://example.com/hook"
            .parse()
            .map_err(|error: InvalidWebhookUrl| DeliveryError::give_up(error.to_string()))?;
        for format in WebhookFormat::ALL {
            let webhook = Webhook { url: url.clone(), format };
            for sample in sample::deliveries(&Channel::Webhook(webhook.clone()), self.clock.now()) {
                self.request(&webhook, &sample)?;
            }
        }
        Ok(())
    }

    /// The request that tells of a delivery, signed with the secrets in force.
    fn request(&self, webhook: &Webhook, delivery: &Delivery) -> Result<Body, DeliveryError> {
        let now = self.clock.now();
        let secrets = self.writer.links.secrets(&delivery.subscription, now);
        let mut body = self.writer.write(webhook.format, delivery, secrets.first())?;
        let id = delivery.id.to_string();
        let timestamp = now.as_second();
        let signatures = sign::signatures(&secrets, &id, timestamp, &body.bytes);
        for (name, value) in [
            ("webhook-id", id),
            ("webhook-timestamp", timestamp.to_string()),
            ("webhook-signature", signatures),
        ] {
            let value = HeaderValue::from_str(&value).map_err(|error| {
                DeliveryError::retry(format!("the request cannot be made: {name}: {error}"))
            })?;
            body.headers.insert(HeaderName::from_static(name), value);
        }
        Ok(body)
    }

    /// One line for the operator: what may go where. No secrets.
    pub fn describe(&self) -> String {
        let networks: Vec<_> = self.courier.guard.allowed().iter().map(IpNet::to_string).collect();
        match networks.as_slice() {
            [] => "to public addresses over https".to_owned(),
            networks => format!("to public addresses over https, and to {}", networks.join(", ")),
        }
    }
}

#[async_trait]
impl Deliver for Webhooks {
    /// Every attempt carries the delivery's id as its `webhook-id`, so that a receiver can drop a repeat, and is signed
    /// with the secrets in force.
    async fn deliver(&self, delivery: &Delivery) -> Result<(), DeliveryError> {
        let Channel::Webhook(webhook) = &delivery.subscription.channel else {
            return Err(DeliveryError::give_up("the subscription is not one by webhook"));
        };
        let Body { headers, bytes } = self.request(webhook, delivery)?;
        self.pass(&webhook.url)?;
        let result = self.courier.post(webhook, headers, bytes).await;
        self.learn(&webhook.url, &result);
        result.map_err(|failure| failure.error)
    }
}

/// Scheme, host and port of an address.
fn origin(url: &WebhookUrl) -> String {
    url.url().origin().ascii_serialization()
}

impl fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Webhooks({})", self.describe())
    }
}
