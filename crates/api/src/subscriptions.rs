//! `/v1/subscriptions`: sign-ups over any channel and by any rule, and what the holder of a subscription's token may do.

use crate::Api;
use crate::fields::{Fields, must_be_json, time_of};
use crate::openapi::{
    ChannelWord, MetricWord, SubscriptionStateWord, SubscriptionStatusWord, TickerText, WebhookFormatWord,
};
use crate::problem::Problem;
use crate::query::Query;
use crate::rule::{RuleIn, RuleOut, RuleShape, rule_of, rule_out};
use crate::shape::{AlertOut, PageOut};
use crate::subscribe::quiet_hours;
use crate::v1::{ALERTS_PER_PAGE, AlertPageParams, alert_page};
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use qqq_core::channel::{Webhook, WebhookFormat};
use qqq_core::quiet::QuietHours;
use qqq_core::subscription::{Subscription, SubscriptionId};
use qqq_core::token::{Purpose, Token};
use qqq_core::{Alert, Channel, ChannelKind};
use qqq_store::{AlertQuery, Amended, StoreError, SubscriptionChange};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// The fields of a sign-up.
const SIGN_UP: [&str; 8] = ["channel", "email", "url", "format", "ticker", "metric", "rule", "quiet_hours"];
/// The fields of a change.
const CHANGE: [&str; 3] = ["rule", "quiet_hours", "paused_until"];
/// What pauses until it is resumed.
const UNTIL_RESUMED: &str = "resumed";

/// A sign-up for alerts.
#[derive(ToSchema)]
#[schema(as = SubscriptionIn)]
#[serde(untagged)]
#[expect(
    dead_code,
    reason = "fields are read one by one, so that all that are wrong are told; this says their shape"
)]
enum SubscriptionIn {
    /// By mail.
    Mail(MailIn),
    /// By requests to an address.
    Webhook(WebhookIn),
}

/// Alerts by mail.
#[derive(Deserialize, ToSchema)]
#[schema(as = MailSubscriptionIn)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "this says the shape of what is read field by field")]
struct MailIn {
    /// `email`, also where it is left out.
    #[schema(pattern = "^email$", example = "email")]
    channel: Option<String>,
    /// Where the mails go: in ASCII, at most 254 characters.
    #[schema(
        max_length = 254,
        pattern = "^[A-Za-z0-9!#$%&'*+/=?^_`{|}~\\-]{1,64}@[A-Za-z0-9]{1,63}(\\.[A-Za-z0-9]{1,63}){0,2}$",
        example = "ada@example.com"
    )]
    email: String,
    /// A tracked ticker.
    #[schema(value_type = TickerText, example = "META")]
    ticker: String,
    /// What to watch.
    #[schema(value_type = MetricWord, example = "volume")]
    metric: String,
    /// By which rule. Default: the server's own, `spike`.
    #[schema(value_type = Option<RuleIn>)]
    rule: Option<Value>,
    /// When alerts wait, to come as one message afterwards.
    quiet_hours: Option<QuietHoursShape>,
}

/// Alerts by requests.
#[derive(Deserialize, ToSchema)]
#[schema(as = WebhookSubscriptionIn)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "this says the shape of what is read field by field")]
struct WebhookIn {
    /// `webhook`.
    #[schema(pattern = "^webhook$", example = "webhook")]
    channel: String,
    /// Where the requests go: `https`, on the public internet unless the operator allows more.
    #[schema(max_length = 2048, example = "https://hooks.example.com/alerts")]
    url: String,
    /// In whose words. Default: `standard`.
    #[schema(value_type = Option<WebhookFormatWord>, example = "standard")]
    format: Option<String>,
    /// A tracked ticker.
    #[schema(value_type = TickerText, example = "META")]
    ticker: String,
    /// What to watch.
    #[schema(value_type = MetricWord, example = "volume")]
    metric: String,
    /// By which rule. Default: the server's own, `spike`.
    #[schema(value_type = Option<RuleIn>)]
    rule: Option<Value>,
    /// When alerts wait, to come as one message afterwards.
    quiet_hours: Option<QuietHoursShape>,
}

/// A stretch of every day by the reader's own clock.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = QuietHours)]
#[serde(deny_unknown_fields)]
struct QuietHoursShape {
    /// When they begin.
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$", example = "22:00")]
    from: String,
    /// When they end, on the next day where that is not later.
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$", example = "07:00")]
    to: String,
    /// The IANA name of the reader's time zone.
    #[schema(example = "Europe/Berlin")]
    zone: String,
}

impl From<&QuietHours> for QuietHoursShape {
    fn from(hours: &QuietHours) -> Self {
        Self { from: hours.from(), to: hours.to(), zone: hours.zone().to_owned() }
    }
}

/// The answer to a sign-up: the same whether the receiver is new, known or suppressed. Id, token and secret travel in
/// the message to the receiver alone.
#[derive(Serialize, ToSchema)]
#[schema(as = SubscriptionTaken)]
struct TakenOut {
    /// The ticker as listed today.
    #[schema(example = "META")]
    ticker: String,
    /// What is watched.
    #[schema(value_type = MetricWord, example = "volume")]
    metric: &'static str,
    /// How alerts are told.
    #[schema(value_type = ChannelWord, example = "email")]
    channel: &'static str,
    /// As it was given; `null` with another channel.
    #[schema(required = true, example = "ada@example.com")]
    email: Option<String>,
    /// As it was understood; `null` with another channel.
    #[schema(required = true, example = json!(null))]
    url: Option<String>,
    /// The rule, with all its settings.
    #[schema(value_type = RuleShape)]
    rule: RuleOut,
    /// `pending` until the link in the message is confirmed; `active` where the server asks for no confirmation.
    #[schema(value_type = SubscriptionStatusWord, example = "pending")]
    status: &'static str,
}

/// A subscription, for who holds its token.
#[derive(Serialize, ToSchema)]
#[schema(as = Subscription)]
struct SubscriptionOut {
    /// Its identity.
    #[schema(format = "uuid")]
    id: String,
    /// The ticker as listed today.
    #[schema(example = "META")]
    ticker: String,
    /// What is watched.
    #[schema(value_type = MetricWord)]
    metric: &'static str,
    /// How alerts are told.
    #[schema(value_type = ChannelWord)]
    channel: &'static str,
    /// Where the mails go; `null` with another channel.
    #[schema(required = true)]
    email: Option<String>,
    /// Where the requests go; `null` with another channel. With a `format` that posts into a channel, without path
    /// and query: its readers see the token, and are not to learn how to post there.
    #[schema(required = true)]
    url: Option<String>,
    /// In whose words; `null` with another channel.
    #[schema(value_type = Option<WebhookFormatWord>, required = true)]
    format: Option<&'static str>,
    /// Signs the requests (Standard Webhooks); `null` with another channel or `format`. A secret.
    #[schema(required = true)]
    secret: Option<String>,
    /// The rule, with all its settings.
    #[schema(value_type = RuleShape)]
    rule: RuleOut,
    /// The same as text of the grammar, as alerts name it; `spike` is the server's own.
    #[schema(example = "spike")]
    rule_text: String,
    /// Where it stands.
    #[schema(value_type = SubscriptionStateWord)]
    status: &'static str,
    /// When it was asked for, UTC.
    #[schema(format = DateTime)]
    created_at: String,
    /// The first minute whose bar is told of, UTC; `null` until it is active.
    #[schema(format = DateTime, required = true)]
    active_from: Option<String>,
    /// When alerts wait; `null`: never.
    #[schema(required = true)]
    quiet_hours: Option<QuietHoursShape>,
    /// Nothing is told of until then, UTC; `resumed`: until it is resumed; `null`: it is not paused.
    #[schema(required = true, example = json!(null))]
    paused_until: Option<String>,
}

/// What to change about a subscription; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[schema(as = SubscriptionChange)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "this says the shape of what is read field by field")]
struct ChangeIn {
    /// By which rule from now on.
    #[schema(value_type = Option<RuleIn>)]
    rule: Option<Value>,
    /// When alerts wait; `null`: never.
    quiet_hours: Option<QuietHoursShape>,
    /// Pauses until then (RFC 3339), or until it is `resumed`; `null` resumes it.
    #[schema(example = "2025-02-01T14:30:00Z")]
    paused_until: Option<String>,
}

/// `POST /v1/subscriptions`.
#[utoipa::path(
    post,
    path = "/v1/subscriptions",
    tag = "subscriptions",
    operation_id = "createSubscription",
    summary = "Ask for alerts by mail or webhook",
    description = "A message with a link to confirm goes to the receiver, at most one in 10 minutes and 3 a day; what has to \
        wait goes out later. It is a mail, or for a webhook a request of the type `subscription.confirmation` (for Slack, \
        Discord and ntfy a post with the link). The link shows and confirms all that was asked for the receiver; the message \
        alone holds the subscription's id and the token to manage it. The answer is the same whether the receiver is new, \
        known or suppressed.",
    request_body(content = SubscriptionIn, content_type = "application/json"),
    responses(
        (status = 201, description = "Taken", body = TakenOut),
        (status = 400, description = "The body is not JSON"),
        (status = 408),
        (status = 413, description = "The body is over 16 KiB"),
        (status = 415, description = "The body is not sent as `application/json`"),
        (status = 422),
        (status = 429),
        (status = 503, description = "Too many sign-ups wait for their message already, or the store does not answer now"),
    ),
)]
pub(crate) async fn create(State(api): State<Api>, request: Request) -> Result<Response, Problem> {
    let (wanted, status) = api.sign_up_of_json(request, &SIGN_UP).await?;
    let (email, url) = receivers(&wanted.channel);
    let taken = TakenOut {
        ticker: wanted.symbol.to_string(),
        metric: wanted.metric.as_str(),
        channel: wanted.channel.kind().as_str(),
        email,
        url,
        rule: rule_out(wanted.rule, api.0.config.rule),
        status,
    };
    Ok((StatusCode::CREATED, Json(taken)).into_response())
}

/// `GET /v1/subscriptions/{id}`.
#[utoipa::path(
    get,
    path = "/v1/subscriptions/{id}",
    tag = "subscriptions",
    operation_id = "getSubscription",
    summary = "A subscription",
    params(("id" = String, Path, format = "uuid", description = "From the message that asked to confirm.")),
    responses(
        (status = 200, description = "The subscription", body = SubscriptionOut),
        (status = 401, description = "No bearer token, or not that of this subscription"),
    ),
    security(("subscription" = [])),
)]
pub(crate) async fn get(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (_, subscription) = api.held(path, &headers).await?;
    Ok(Json(api.subscription_out(&subscription)).into_response())
}

/// `PATCH /v1/subscriptions/{id}`.
#[utoipa::path(
    patch,
    path = "/v1/subscriptions/{id}",
    tag = "subscriptions",
    operation_id = "changeSubscription",
    summary = "Change a subscription: its rule, quiet hours, pause",
    params(("id" = String, Path, format = "uuid", description = "From the message that asked to confirm.")),
    request_body(content = ChangeIn, content_type = "application/json"),
    responses(
        (status = 200, description = "The subscription as it is now", body = SubscriptionOut),
        (status = 400, description = "The body is not JSON"),
        (status = 401, description = "No bearer token, or not that of this subscription"),
        (status = 408),
        (status = 409, description = "The receiver has another subscription by that rule already"),
        (status = 410, description = "The subscription has ended"),
        (status = 413, description = "The body is over 16 KiB"),
        (status = 415, description = "The body is not sent as `application/json`"),
        (status = 422),
        (status = 429),
    ),
    security(("subscription" = [])),
)]
pub(crate) async fn change(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    api.0.posts.check(api.client(&request))?;
    must_be_json(request.headers())?;
    let (parts, body) = request.into_parts();
    let body = api.read_body(body).await?;
    let (token, subscription) = api.held(path, &parts.headers).await?;
    let mut fields = Fields::of_json(&body, &CHANGE)?;
    let wanted = change_of(&mut fields, &subscription, api.0.calendar.tracks_extended_hours());
    let wanted = fields.finish(wanted)?;
    api.amend(&token, &wanted).await
}

/// `POST /v1/subscriptions/{id}/secret`.
#[utoipa::path(
    post,
    path = "/v1/subscriptions/{id}/secret",
    tag = "subscriptions",
    operation_id = "rotateSecret",
    summary = "Replace the secret that signs a webhook",
    description = "For 24 hours requests are signed with the one before as well.",
    params(("id" = String, Path, format = "uuid", description = "From the message that asked to confirm.")),
    responses(
        (status = 200, description = "The subscription with its new secret", body = SubscriptionOut),
        (status = 401, description = "No bearer token, or not that of this subscription"),
        (status = 409, description = "The subscription is not one of a webhook"),
        (status = 410, description = "The subscription has ended"),
        (status = 429),
    ),
    security(("subscription" = [])),
)]
pub(crate) async fn rotate(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    api.0.posts.check(api.client(&request))?;
    let (token, subscription) = api.held(path, request.headers()).await?;
    if subscription.channel.kind() != ChannelKind::Webhook {
        let detail = "the subscription is told by mail, which no secret signs";
        return Err(Problem::new(StatusCode::CONFLICT, "no_webhook", detail));
    }
    api.amend(&token, &SubscriptionChange { rotate_secret: true, ..SubscriptionChange::default() }).await
}

/// `DELETE /v1/subscriptions/{id}`.
#[utoipa::path(
    delete,
    path = "/v1/subscriptions/{id}",
    tag = "subscriptions",
    operation_id = "endSubscription",
    summary = "End a subscription",
    description = "At once and for good. Ending it again changes nothing.",
    params(("id" = String, Path, format = "uuid", description = "From the message that asked to confirm.")),
    responses(
        (status = 204, description = "It has ended"),
        (status = 401, description = "No bearer token, or not that of this subscription"),
        (status = 429),
    ),
    security(("subscription" = [])),
)]
pub(crate) async fn end(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    api.0.posts.check(api.client(&request))?;
    let (_, subscription) = api.held(path, request.headers()).await?;
    let token = api.0.tokens.token(Purpose::Unsubscribe, subscription.id, &subscription.nonce);
    api.0.store.unsubscribe(&token.hash(), false, api.0.clock.now()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `GET /v1/subscriptions/{id}/alerts`.
#[utoipa::path(
    get,
    path = "/v1/subscriptions/{id}/alerts",
    tag = "subscriptions",
    operation_id = "listSubscriptionAlerts",
    summary = "The alerts of a subscription",
    description = "By its rule as it is now, since it is active; newest first. Those of an own rule are nowhere else.",
    params(
        ("id" = String, Path, format = "uuid", description = "From the message that asked to confirm."),
        AlertPageParams,
    ),
    responses(
        (status = 200, description = "A page of alerts", body = PageOut<AlertOut>),
        (status = 400, description = "A parameter cannot be read"),
        (status = 401, description = "No bearer token, or not that of this subscription"),
        (status = 410, description = "The subscription has ended"),
    ),
    security(("subscription" = [])),
)]
pub(crate) async fn alerts(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref(), &["since", "cursor", "limit"])?;
    let since = query.moment("since", &api.0.calendar)?;
    let (after, limit) = (query.alert_cursor()?, query.limit(ALERTS_PER_PAGE)?);
    let (_, subscription) = api.held(path, &headers).await?;
    if subscription.status.has_ended() {
        return Err(ended());
    }
    let Some(from) = subscription.reads_from() else {
        return Ok(Json(alert_page::<Alert>(&[], limit)).into_response());
    };
    let wanted = AlertQuery {
        symbol: Some(subscription.symbol),
        metric: Some(subscription.metric),
        rule: Some(subscription.rule),
        since: Some(since.map_or(from, |since| since.max(from))),
        after,
        private_too: true,
        limit: limit + 1,
    };
    let found = api.0.store.alerts(wanted).await?;
    Ok(Json(alert_page(&found, limit)).into_response())
}

pub(crate) fn ended() -> Problem {
    Problem::new(StatusCode::GONE, "ended", "the subscription has ended: sign up anew")
}

/// What a body wants changed.
fn change_of(
    fields: &mut Fields,
    subscription: &Subscription,
    extended_hours: bool,
) -> Option<SubscriptionChange> {
    let rule = match fields.value("rule") {
        None => None,
        Some(_) => Some(rule_of(fields, "rule", Some(subscription.metric), extended_hours)?),
    };
    let quiet = match fields.value("quiet_hours") {
        None => None,
        Some(_) => Some(quiet_hours(fields)?),
    };
    let paused_until = match fields.value("paused_until") {
        None => None,
        Some(Value::Null) => Some(None),
        Some(Value::String(text)) if text == UNTIL_RESUMED => Some(Some(Timestamp::MAX)),
        Some(value) => {
            let at = time_of(&value);
            if at.is_none() {
                let detail = "must be a time such as 2025-02-01T14:30:00Z, `resumed`, or null";
                fields.wrong("paused_until", detail);
            }
            Some(Some(at?))
        }
    };
    Some(SubscriptionChange { rule, quiet, paused_until, rotate_secret: false })
}

impl Api {
    /// The subscription of a path, where the request carries its token. Whether an id exists is not told without.
    async fn held(
        &self,
        path: Result<Path<String>, PathRejection>,
        headers: &HeaderMap,
    ) -> Result<(Token, Subscription), Problem> {
        let id: Option<SubscriptionId> = path.ok().and_then(|Path(text)| text.parse().ok());
        let (token, subscription) = self.bearer(headers).await?.ok_or_else(unauthorized)?;
        if id != Some(subscription.id) {
            return Err(unauthorized());
        }
        Ok((token, subscription))
    }

    /// The subscription whose token a request carries.
    pub(crate) async fn bearer(
        &self,
        headers: &HeaderMap,
    ) -> Result<Option<(Token, Subscription)>, StoreError> {
        let Some(token) = bearer(headers) else { return Ok(None) };
        let found = self.0.store.subscription_of(Purpose::Manage, &token.hash()).await?;
        Ok(found.map(|subscription| (token, subscription)))
    }

    /// Whether a request's token lets it read an alert: as one of its subscription's rule, or one it was told of.
    pub(crate) async fn may_read(&self, headers: &HeaderMap, alert: &Alert) -> Result<bool, StoreError> {
        let Some((_, subscription)) = self.bearer(headers).await? else { return Ok(false) };
        Ok(subscription.may_read(alert) || self.0.store.was_owed(alert.id, subscription.id).await?)
    }

    async fn amend(&self, token: &Token, change: &SubscriptionChange) -> Result<Response, Problem> {
        match self.0.store.amend(&token.hash(), change, self.0.clock.now()).await? {
            Amended::Changed(subscription) => Ok(Json(self.subscription_out(&subscription)).into_response()),
            Amended::Conflict => {
                let detail = "the receiver has another subscription of this symbol and metric by that rule";
                Err(Problem::new(StatusCode::CONFLICT, "subscribed_already", detail))
            }
            Amended::Ended(_) | Amended::Unknown => Err(ended()),
        }
    }

    fn subscription_out(&self, subscription: &Subscription) -> SubscriptionOut {
        let secret = || {
            let (id, nonce) = (subscription.id, &subscription.nonce);
            self.0.tokens.webhook_secret(id, nonce, subscription.secret_generation).expose()
        };
        let (email, url) = receivers(&subscription.channel);
        let (format, url, secret) = match &subscription.channel {
            Channel::Email(_) => (None, None, None),
            Channel::Webhook(Webhook { format: format @ WebhookFormat::Standard, .. }) => {
                (Some(format), url, Some(secret()))
            }
            // A channel's readers see its confirmation. The token in it lets them pause what is posted; path and query
            // would let them post there themselves.
            Channel::Webhook(Webhook { format, url }) => {
                (Some(format), Some(url.url().origin().ascii_serialization()), None)
            }
        };
        let paused = subscription.paused_until.filter(|_| subscription.is_paused(self.0.clock.now()));
        SubscriptionOut {
            id: subscription.id.to_string(),
            ticker: subscription.symbol.to_string(),
            metric: subscription.metric.as_str(),
            channel: subscription.channel.kind().as_str(),
            email,
            url,
            format: format.map(|format| format.as_str()),
            secret,
            rule: rule_out(subscription.rule, self.0.config.rule),
            rule_text: subscription.rule.to_string(),
            status: subscription.status.as_str(),
            created_at: subscription.created_at.to_string(),
            active_from: subscription.active_from.map(|from| from.to_string()),
            quiet_hours: subscription.quiet.as_ref().map(QuietHoursShape::from),
            paused_until: paused.map(|until| {
                if until == Timestamp::MAX { UNTIL_RESUMED.to_owned() } else { until.to_string() }
            }),
        }
    }
}

/// The mail address, or the URL.
fn receivers(channel: &Channel) -> (Option<String>, Option<String>) {
    match channel {
        Channel::Email(address) => (Some(address.expose().to_owned()), None),
        Channel::Webhook(webhook) => (None, Some(webhook.url.expose().to_owned())),
    }
}

pub(crate) fn unauthorized() -> Problem {
    let detail = "send the subscription's token as `Authorization: Bearer ...`";
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail).challenging()
}

/// The token of `Authorization: Bearer ...` (RFC 6750 section 2.1).
fn bearer(headers: &HeaderMap) -> Option<Token> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Token::parse(token.trim())).flatten()
}
