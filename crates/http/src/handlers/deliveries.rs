//! `/v1/deliveries`: what was not delivered, for operators, and sending it again.

use crate::api::Api;
use crate::dto::market::PageOut;
use crate::dto::words::{ChannelWord, DeliveryKindWord, FailureWord};
use crate::handlers::operator::operators_only;
use crate::http::answer::json;
use crate::http::problem::Problem;
use crate::http::query::{Query, invalid, unusable_cursor};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use qqq_core::Channel;
use qqq_core::delivery::DeliveryId;
use qqq_store::{DeliveryQuery, DeliveryRecord, DeliveryState, Replayed};
use serde::Serialize;
use utoipa::ToSchema;

/// Entries of a page where the client does not say.
const PER_PAGE: usize = 100;

/// A message that did not reach its receiver.
#[derive(Serialize, ToSchema)]
#[schema(as = UndeliveredDelivery)]
pub(crate) struct DeliveryOut {
    /// Its id.
    #[schema(format = "uuid")]
    id: String,
    /// What it tells.
    #[schema(value_type = DeliveryKindWord)]
    kind: &'static str,
    /// How it failed.
    #[schema(value_type = FailureWord)]
    state: &'static str,
    /// How its receiver is told.
    #[schema(value_type = ChannelWord)]
    channel: &'static str,
    /// Whom: a mail address, or the host of a webhook. The rest of a webhook's address may be its key.
    #[schema(example = "hooks.slack.com")]
    to: String,
    /// Of what: a ticker, or `*`.
    #[schema(example = "NVDA")]
    symbol: String,
    /// The alert it tells of, where it is one.
    #[schema(required = true, format = "uuid")]
    alert: Option<String>,
    /// When it was enqueued, UTC.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it ended, UTC.
    #[schema(required = true, format = DateTime)]
    ended_at: Option<String>,
    /// How often it was tried.
    attempts: u32,
    /// What was said at the last attempt; secrets are taken out.
    #[schema(required = true)]
    reason: Option<String>,
}

impl From<&DeliveryRecord> for DeliveryOut {
    fn from(record: &DeliveryRecord) -> Self {
        let subscription = &record.subscription;
        let to = match &subscription.channel {
            Channel::Email(address) => address.expose().to_owned(),
            Channel::Webhook(webhook) => webhook.url.host().to_owned(),
            Channel::Push(receiver) => receiver.endpoint.host().to_owned(),
        };
        Self {
            id: record.id.to_string(),
            kind: record.kind.as_str(),
            state: record.state.as_str(),
            channel: subscription.channel.kind().as_str(),
            to,
            symbol: subscription.scope.to_string(),
            alert: record.alert.map(|alert| alert.to_string()),
            created_at: record.created_at.to_string(),
            ended_at: record.settled_at.map(|at| at.to_string()),
            attempts: record.attempts,
            reason: record.reason.clone(),
        }
    }
}

/// `GET /v1/deliveries`.
#[utoipa::path(
    get,
    path = "/v1/deliveries",
    tag = "operators",
    operation_id = "listUndelivered",
    summary = "What was not delivered",
    description = "Messages that were refused for good, or not accepted while they were worth sending; by \
        when they were enqueued, newest first.",
    params(
        ("state" = Option<FailureWord>, Query, description = "How they failed. Default: `failed`."),
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 1000,
            description = "Most entries of a page. Default: 100.", example = 100),
        ("cursor" = Option<String>, Query,
            pattern = "^([0-9]{1,16}\\.[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})?$",
            description = "`next_cursor` of the page before; empty: from the beginning."),
    ),
    responses(
        (status = 200, description = "A page of messages", body = PageOut<DeliveryOut>),
        (status = 403, description = "Whoever asks is no operator"),
    ),
    security(("session" = [])),
)]
pub(crate) async fn list(State(api): State<Api>, request: Request) -> Result<Response, Problem> {
    let query = Query::parse(request.uri().query(), &["state", "limit", "cursor"])?;
    let state = match query.get("state") {
        None | Some("failed") => DeliveryState::Failed,
        Some("expired") => DeliveryState::Expired,
        Some(_) => return Err(invalid("state", "must be `failed` or `expired`")),
    };
    let (limit, after) = (query.limit(PER_PAGE)?, after(&query)?);
    operators_only(&api, &request).await?;
    let wanted = DeliveryQuery { state, address: None, after, limit: limit + 1 };
    let found = api.0.store.deliveries(&wanted).await?;
    let cursor = |last: &DeliveryRecord| format!("{}.{}", last.created_at.as_microsecond(), last.id);
    let page = PageOut::of(&found, limit, |one| DeliveryOut::from(one), cursor);
    Ok(json(&page).private().respond(request.headers()))
}

/// Where a page goes on.
fn after(query: &Query) -> Result<Option<(Timestamp, DeliveryId)>, Problem> {
    let Some(text) = query.cursor() else { return Ok(None) };
    let parse = || {
        let (created, id) = text.split_once('.')?;
        Some((Timestamp::from_microsecond(created.parse().ok()?).ok()?, id.parse().ok()?))
    };
    parse().map(Some).ok_or_else(unusable_cursor)
}

/// `POST /v1/deliveries/{id}/replay`.
#[utoipa::path(
    post,
    path = "/v1/deliveries/{id}/replay",
    tag = "operators",
    operation_id = "replayDelivery",
    summary = "Send a message again that was not delivered",
    description = "It is due at once, under the same id, and worth sending as long as a new one.",
    params(("id" = String, Path, format = "uuid", description = "Its id.")),
    responses(
        (status = 204, description = "It is due again"),
        (status = 403, description = "Whoever asks is no operator"),
        (status = 404, description = "There is no such message"),
        (status = 409,
            description = "It is under way, was delivered, or nothing more may be sent to its receiver"),
        (status = 429),
    ),
    security(("session" = [])),
)]
pub(crate) async fn replay(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    operators_only(&api, &request).await?;
    api.0.posts.check(api.client(&request))?;
    let unknown = || Problem::not_found("unknown_delivery", "there is no such message");
    let id: DeliveryId = path.ok().and_then(|Path(text)| text.parse().ok()).ok_or_else(unknown)?;
    let conflict = |detail: &str| Problem::new(StatusCode::CONFLICT, "not_replayed", detail);
    match api.0.store.replay(id, api.0.clock.now()).await? {
        Replayed::Enqueued => {
            api.0.config.outbox_wakeup.notify_one();
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        Replayed::Refused(DeliveryState::Pending) => Err(conflict("it waits to be sent, or is under way")),
        Replayed::Refused(DeliveryState::Sent) => Err(conflict("it was delivered: nothing is sent twice")),
        Replayed::Refused(_) => Err(conflict("only what failed or expired is sent again")),
        Replayed::Ended => Err(conflict("its subscription has ended: nothing more is sent to it")),
        Replayed::Unknown => Err(unknown()),
    }
}
