//! Sign-ups: `POST /subscribe`, and what it shares with `POST /v1/subscriptions` and the form on the page.

use crate::Api;
use crate::fields::{Fields, must_be_json};
use crate::openapi::{MetricWord, SubscriptionStatusWord, TickerText};
use crate::problem::Problem;
use crate::rule::rule_of;
use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body as _;
use qqq_core::channel::{ChannelKind, Webhook, WebhookFormat, WebhookUrl};
use qqq_core::quiet::QuietHours;
use qqq_core::subscription::{EmailAddress, SubscriptionId};
use qqq_core::{Channel, Metric, RuleName, Symbol};
use qqq_store::{SignUp, SignedUp, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::net::IpAddr;
use utoipa::ToSchema;

/// The fields of the original sign-up.
pub(crate) const ORIGINAL: [&str; 3] = ["email", "metric", "ticker"];

/// A sign-up.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SignUp)]
#[expect(
    dead_code,
    reason = "fields are read one by one, so that all that are wrong are told; this says their shape"
)]
struct SignUpIn {
    /// Where the mail goes: in ASCII, at most 254 characters.
    #[schema(
        max_length = 254,
        pattern = "^[A-Za-z0-9!#$%&'*+/=?^_`{|}~\\-]{1,64}@[A-Za-z0-9]{1,63}(\\.[A-Za-z0-9]{1,63}){0,2}$",
        example = "ada@example.com"
    )]
    email: String,
    /// What to watch.
    #[schema(value_type = MetricWord, example = "volume")]
    metric: String,
    /// A tracked ticker.
    #[schema(value_type = TickerText, example = "META")]
    ticker: String,
}

/// The answer to a sign-up: the same whether the address is new, known or suppressed.
#[derive(Serialize, ToSchema)]
#[schema(as = SignedUp)]
struct SubscribedOut {
    /// The ticker as listed today.
    #[schema(example = "META")]
    ticker: String,
    /// What is watched.
    #[schema(value_type = MetricWord, example = "volume")]
    metric: &'static str,
    /// As it was given.
    #[schema(example = "ada@example.com")]
    email: String,
    /// `pending` until the link in the mail is confirmed; `active` where the server asks for no confirmation.
    #[schema(value_type = SubscriptionStatusWord, example = "pending")]
    status: &'static str,
}

/// A sign-up in the domain's terms.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) channel: Channel,
    pub(crate) metric: Metric,
    pub(crate) symbol: Symbol,
    pub(crate) rule: RuleName,
    pub(crate) quiet: Option<QuietHours>,
}

impl Wanted {
    /// The field that names the receiver.
    fn receiver_field(&self) -> &'static str {
        match self.channel {
            Channel::Email(_) => "email",
            Channel::Webhook(_) => "url",
        }
    }
}

/// `POST /subscribe`.
#[utoipa::path(
    post,
    path = "/subscribe",
    tag = "original",
    operation_id = "subscribe",
    summary = "Ask for mail about a symbol",
    description = "A mail with a link to confirm goes to the address, at most one in 10 minutes and 3 a day; what has to wait \
        goes out later. The link shows and confirms all that was asked for the address. The answer is the same whether the \
        address is new, known or suppressed.",
    request_body(content = SignUpIn, content_type = "application/json"),
    responses(
        (status = 201, description = "Taken", body = SubscribedOut),
        (status = 400, description = "The body is not JSON"),
        (status = 408),
        (status = 413, description = "The body is over 16 KiB"),
        (status = 415, description = "The body is not sent as `application/json`"),
        (status = 422),
        (status = 429),
        (status = 503, description = "Too many sign-ups wait for their mail already, or the store does not answer now"),
    ),
)]
pub(crate) async fn subscribe(State(api): State<Api>, request: Request) -> Result<Response, Problem> {
    let (wanted, status) = api.sign_up_of_json(request, &ORIGINAL).await?;
    let subscribed = SubscribedOut {
        ticker: wanted.symbol.to_string(),
        metric: wanted.metric.as_str(),
        email: match &wanted.channel {
            Channel::Email(address) => address.expose().to_owned(),
            Channel::Webhook(_) => String::new(),
        },
        status,
    };
    Ok((StatusCode::CREATED, Json(subscribed)).into_response())
}

impl Api {
    /// Takes a sign-up that is sent as JSON, of the fields `known`: what is wanted, and how it stands.
    pub(crate) async fn sign_up_of_json(
        &self,
        request: Request,
        known: &'static [&'static str],
    ) -> Result<(Wanted, &'static str), Problem> {
        let client = self.client(&request);
        self.0.posts.check(client)?;
        must_be_json(request.headers())?;
        let body = self.read_body(request.into_body()).await?;
        let wanted = self.wanted(Fields::of_json(&body, known)?)?;
        let status = self.sign_up(client, &wanted).await?;
        Ok((wanted, status))
    }

    /// Reads a body within its limits of size and time.
    pub(crate) async fn read_body(&self, body: Body) -> Result<Bytes, Problem> {
        let limits = &self.0.config.limits;
        let too_large = || {
            let detail = format!("the body must not be longer than {} bytes", limits.body);
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail).closing()
        };
        if body.size_hint().lower() > limits.body as u64 {
            return Err(too_large());
        }
        let read = Limited::new(body, limits.body).collect();
        match tokio::time::timeout(limits.body_read, read).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
            Ok(Err(_)) => Err(Problem::bad_request("broken_body", "the body broke off")),
            Err(_elapsed) => {
                let detail = format!("the body did not arrive within {} s", limits.body_read.as_secs());
                Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", detail).closing())
            }
        }
    }

    /// Takes a sign-up's fields for what they mean, or says of each what is wrong.
    pub(crate) fn wanted(&self, mut fields: Fields) -> Result<Wanted, Problem> {
        let fields = &mut fields;
        let channel = self.channel(fields);
        let metric = fields.text("metric").and_then(|text| fields.parsed("metric", text.parse::<Metric>()));
        let symbol = fields.text("ticker").and_then(|text| {
            let found = self.tracked(&text).map(|(_, symbol)| symbol);
            if found.is_none() {
                let shown: String = text.chars().take(32).collect();
                fields.wrong("ticker", format!("`{shown}` is not tracked; /v1/symbols lists what is"));
            }
            found
        });
        let rule = rule_of(fields, "rule", metric, self.0.calendar.tracks_extended_hours());
        let quiet = quiet_hours(fields);
        let read = match (channel, metric, symbol, rule, quiet) {
            (Some(channel), Some(metric), Some(symbol), Some(rule), Some(quiet)) => {
                Some(Wanted { channel, metric, symbol, rule, quiet })
            }
            _ => None,
        };
        std::mem::take(fields).finish(read)
    }

    /// Where the messages are to go: by mail where nothing else is said.
    fn channel(&self, fields: &mut Fields) -> Option<Channel> {
        let kind = match fields.text_if_given("channel") {
            Some(text) => fields.parsed("channel", text.parse::<ChannelKind>())?,
            None => ChannelKind::Email,
        };
        let others: &[&str] = match kind {
            ChannelKind::Email => &["url", "format"],
            ChannelKind::Webhook => &["email"],
        };
        for other in others {
            if fields.value(other).is_some_and(|value| !value.is_null()) {
                fields.wrong(other, format!("does not go with the channel `{kind}`"));
            }
        }
        match kind {
            ChannelKind::Email => {
                let text = fields.text("email")?;
                fields.parsed("email", text.trim().parse::<EmailAddress>()).map(Channel::Email)
            }
            ChannelKind::Webhook => {
                let format = match fields.text_if_given("format") {
                    Some(text) => fields.parsed("format", text.parse::<WebhookFormat>())?,
                    None => WebhookFormat::Standard,
                };
                let text = fields.text("url")?;
                let url = fields.parsed("url", text.parse::<WebhookUrl>())?;
                fields.parsed("url", (self.0.config.admit)(&url))?;
                Some(Channel::Webhook(Webhook { url, format }))
            }
        }
    }

    /// Hands a client's sign-up to the store, within the client's limits. The answer is what every sign-up
    /// gets.
    pub(crate) async fn sign_up(&self, client: IpAddr, wanted: &Wanted) -> Result<&'static str, Problem> {
        let inner = &*self.0;
        inner.sign_ups.check(client)?;
        inner.sign_ups_per_hour.check(client)?;
        inner.wide_sign_ups_per_hour.check(client)?;
        let (id, nonce) = (SubscriptionId::from_random(random()?), random()?);
        let sign_up = SignUp {
            id,
            channel: wanted.channel.clone(),
            symbol: wanted.symbol,
            metric: wanted.metric,
            rule: wanted.rule,
            quiet: wanted.quiet.clone(),
            nonce,
            hashes: inner.tokens.hashes(id, &nonce),
            confirm: inner.config.confirm,
        };
        let taken = inner.store.subscribe(&sign_up, inner.config.sign_up, inner.clock.now()).await;
        let taken = taken.map_err(|error| match error {
            StoreError::BeyondLimit(limit) => Problem::beyond(limit, wanted.receiver_field()),
            other => other.into(),
        })?;
        if let SignedUp::Full(full) = taken {
            inner.metrics.sign_up_refused();
            tracing::warn!("a sign-up was refused: too many wait for their confirmation already");
            let wait = full.retry_after.unsigned_abs();
            let detail = format!(
                "more sign-ups wait for their confirmation than can be taken: try again in {} s",
                wait.as_secs()
            );
            return Err(Problem::unavailable("too_many_waiting", detail, wait));
        }
        if !inner.config.confirm {
            inner.config.outbox_hint.notify_one();
        }
        // Else the worker takes it in with its next scan, within a second. At once, the request after this one would wait
        // for that work, and its time would tell what this one's does not: whether the address was known.
        Ok(if inner.config.confirm { "pending" } else { "active" })
    }
}

fn random() -> Result<[u8; 16], Problem> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(%error, "the system gives no random bytes");
        Problem::internal()
    })?;
    Ok(bytes)
}

/// The field `quiet_hours`: absent or `null`, none; else `{"from","to","zone"}`.
pub(crate) fn quiet_hours(fields: &mut Fields) -> Option<Option<QuietHours>> {
    const FIELD: &str = "quiet_hours";
    let parts = match fields.value(FIELD) {
        None | Some(Value::Null) => return Some(None),
        Some(Value::Object(parts)) => parts,
        Some(_) => {
            fields.wrong(FIELD, "must be an object of `from`, `to` and `zone`, or null");
            return None;
        }
    };
    if let Some(unknown) = parts.keys().find(|name| !["from", "to", "zone"].contains(&name.as_str())) {
        fields.wrong(&format!("{FIELD}.{unknown}"), "is not known here; the fields are from, to, zone");
        return None;
    }
    let text = |name: &str| parts.get(name).and_then(Value::as_str).unwrap_or_default();
    match QuietHours::new(text("from"), text("to"), text("zone")) {
        Ok(hours) => Some(Some(hours)),
        Err(error) => {
            fields.wrong(&format!("{FIELD}.{}", error.field), error.reason);
            None
        }
    }
}
