//! Webhooks and pushes: signed HTTP requests to addresses of subscribers, who may name any address, and are
//! therefore guarded.

mod body;
mod breakers;
mod client;
mod guard;
mod push;
mod sign;

pub use guard::Refusal;

use crate::links::Links;
use crate::{Deliver, DeliveryError, InvalidConfig, sample};
use async_trait::async_trait;
use body::{Body, Writer};
use breakers::Breakers;
use client::{Answers, FailedRequest, WebhookClient};
use guard::Guard;
use ipnet::IpNet;
use push::PushKey;
use qqq_core::delivery::Delivery;
use qqq_core::subscription::EmailAddress;
use qqq_core::subscription::channel::{Channel, Webhook, WebhookFormat};
use qqq_core::subscription::push::{InvalidPushReceiver, PushReceiver};
use qqq_core::subscription::token::TokenKey;
use qqq_core::subscription::webhook_url::{InvalidWebhookUrl, WebhookUrl};
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
    /// `webhooks.allow_networks`: where requests may go beside the public internet, with `http://` and on any
    /// port too.
    pub allow_networks: Vec<IpNet>,
    /// `webhooks.timeout`: the longest an attempt takes.
    pub timeout: Duration,
    /// `server.public_url`: where the links in messages lead.
    pub public_url: Url,
    /// `email.from`: whom the push service of a browser may write to.
    pub contact: EmailAddress,
    /// The house rule: what a subscription to it promises. Alerts are told by the rule that each carries.
    pub rule: SpikeRule,
}

/// The webhook channel.
pub struct Webhooks {
    writer: Writer,
    push: PushKey,
    client: WebhookClient,
    breakers: Mutex<Breakers>,
    started: Instant,
    clock: Arc<dyn Clock>,
}

impl Webhooks {
    /// Checks the settings; connects to nothing.
    ///
    /// # Errors
    ///
    /// Names the setting that cannot be used.
    pub fn new(config: WebhooksConfig, key: TokenKey, clock: Arc<dyn Clock>) -> Result<Self, InvalidConfig> {
        let push = PushKey::new(&key, format!("mailto:{}", config.contact.expose()))?;
        let links = Links::new(&config.public_url, key)
            .map_err(|problem| InvalidConfig { key: "server.public_url", problem })?;
        let guard = Guard::new(config.allow_networks);
        let client = WebhookClient::new(guard, config.timeout, Arc::clone(&clock));
        let writer = Writer { links, rule: config.rule };
        let breakers = Mutex::new(Breakers::new(config.timeout));
        Ok(Self { writer, push, client, breakers, started: Instant::now(), clock })
    }

    /// Replaces the operating system's name service, for tests that need one that lies.
    #[doc(hidden)]
    #[must_use]
    pub fn with_names(mut self, names: Arc<dyn Resolve>) -> Self {
        self.client.names = names;
        self
    }

    /// Judges an address by itself, without asking a name server: for sign-ups, which should hear of a
    /// mistake at once. Names are judged when they are resolved, at every connection.
    ///
    /// # Errors
    ///
    /// Says why nothing would ever be sent there.
    pub fn admit(&self, url: &WebhookUrl) -> Result<(), Refusal> {
        self.client.guard.admit(url).map(|_| ())
    }

    /// Judges a browser's subscription by itself, as [`admit`](Self::admit) does the address in it.
    ///
    /// # Errors
    ///
    /// Names the member for whose sake nothing would ever be sent there, and says why.
    pub fn admit_push(&self, receiver: &PushReceiver) -> Result<(), InvalidPushReceiver> {
        let invalid = |member, problem| InvalidPushReceiver { member, problem };
        self.admit(&receiver.endpoint).map_err(|refusal| invalid("endpoint", refusal.to_string()))?;
        let is_point = push::public_key(receiver).map(drop);
        is_point.map_err(|problem| invalid("keys.p256dh", problem.to_owned()))
    }

    /// The key that browsers are to subscribe with (`applicationServerKey`): an uncompressed point of P-256
    /// in URL-safe base64.
    pub fn push_key(&self) -> String {
        self.push.public()
    }

    /// Refuses, for now, what would fail as the requests before it did.
    fn pass(&self, url: &WebhookUrl) -> Result<(), DeliveryError> {
        let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        for key in [&*url.origin(), url.expose()] {
            breakers.pass(key, self.started.elapsed()).map_err(|wait| {
                let seconds = wait.as_secs_f64().ceil();
                let reason = format!("{} keeps failing, and is left alone for {seconds} s", url.host());
                DeliveryError::NotTried(reason, wait)
            })?;
        }
        Ok(())
    }

    /// Learns from how a request ended. A host's troubles are those of all who are there. What an endpoint
    /// answers is its own: anybody can sign up with another's host and a path that fails.
    fn learn(&self, url: &WebhookUrl, result: &Result<(), FailedRequest>) {
        let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        let (host, endpoint, now) = (url.origin(), url.expose(), self.started.elapsed());
        if let Err(FailedRequest { unreachable: true, .. }) = result {
            breakers.failed(&host, now);
            return;
        }
        breakers.succeeded(&host, now);
        match result.as_ref().map_err(|failure| &failure.error) {
            Err(DeliveryError::Retry(_)) => breakers.failed(endpoint, now),
            Err(DeliveryError::RetryAfter(_, wait)) => breakers.asked_to_wait(endpoint, now, *wait),
            Ok(()) | Err(DeliveryError::GiveUp(_) | DeliveryError::Gone(_)) => {
                breakers.succeeded(endpoint, now)
            }
            // Said of who was not asked.
            Err(DeliveryError::NotTried(..)) => {}
        }
    }

    /// The longest an attempt can take. A lease on a delivery must outlive it, or be renewed.
    pub fn longest_attempt(&self) -> Duration {
        self.client.timeout
    }

    /// Makes a message of every kind in every format, and as a push, for `qqq-tracker check`. Sends none.
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
        // Of RFC 8291, appendix A: nobody is asked.
        let receiver: PushReceiver = concat!(
            "https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV ",
            "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4 ",
            "BTBZMqHH6r4Tts7J_aSIgg"
        )
        .parse()
        .map_err(|error: InvalidPushReceiver| DeliveryError::give_up(error.to_string()))?;
        for sample in sample::deliveries(&Channel::Push(receiver.clone()), self.clock.now()) {
            self.pushed(&receiver, &sample)?;
        }
        Ok(())
    }

    /// The request that pushes a delivery.
    fn pushed(&self, receiver: &PushReceiver, delivery: &Delivery) -> Result<Body, DeliveryError> {
        self.push.request(receiver, delivery, self.writer.write_push(delivery)?, self.clock.now())
    }

    /// The request that tells of a delivery, signed with the secrets in force.
    fn request(&self, webhook: &Webhook, delivery: &Delivery) -> Result<Body, DeliveryError> {
        let now = self.clock.now();
        let secrets = self.writer.links.secrets(&delivery.subscription, now);
        let mut body = self.writer.write(webhook, delivery, secrets.first())?;
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
        let networks: Vec<_> = self.client.guard.allowed().iter().map(IpNet::to_string).collect();
        match networks.as_slice() {
            [] => "to public addresses over https".to_owned(),
            networks => format!("to public addresses over https, and to {}", networks.join(", ")),
        }
    }
}

#[async_trait]
impl Deliver for Webhooks {
    /// Every attempt carries the delivery's id as its `webhook-id`, so that a receiver can drop a repeat, and
    /// is signed with the secrets in force.
    async fn deliver(&self, delivery: &Delivery) -> Result<(), DeliveryError> {
        let (url, answers, request) = match &delivery.subscription.channel {
            Channel::Webhook(webhook) => {
                (&webhook.url, Answers::As(webhook.format), self.request(webhook, delivery)?)
            }
            Channel::Push(receiver) => {
                (&receiver.endpoint, Answers::PushService, self.pushed(receiver, delivery)?)
            }
            Channel::Email(_) => {
                return Err(DeliveryError::give_up("the subscription is not one by webhook or push"));
            }
        };
        self.pass(url)?;
        let result = self.client.post(url, answers, request.headers, request.bytes).await;
        self.learn(url, &result);
        result.map_err(|failure| failure.error)
    }
}

impl fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Webhooks({})", self.describe())
    }
}
