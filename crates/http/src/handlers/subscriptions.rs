//! `/v1/subscriptions`: sign-ups over any channel and by any rule, and what the holder of a subscription's
//! token may do.

use crate::api::Api;
use crate::dto::market::PageOut;
use crate::dto::subscription::{ChangeIn, SubscriptionIn, SubscriptionOut, TakenOut, UNTIL_RESUMED};
use crate::handlers::alerts::{ALERTS_PER_PAGE, AlertPageParams, alert_page};
use crate::handlers::bearer::{bearer, ended, unauthorized};
use crate::handlers::rule_field::rule_of;
use crate::handlers::sign_up::{quiet_hours, sign_up_of_json};
use crate::http::body::read_body;
use crate::http::fields::{Fields, must_be_json, time_of};
use crate::http::problem::Problem;
use crate::http::query::Query;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use qqq_contract::AlertOut;
use qqq_core::Calendar;
use qqq_core::subscription::token::Token;
use qqq_core::subscription::{Subscription, SubscriptionId};
use qqq_engine::subscribe::AlertPage;
use qqq_store::{Amended, SubscriptionChange};
use serde_json::Value;

/// The fields of a sign-up.
const SIGN_UP: [&str; 11] = [
    "channel",
    "email",
    "url",
    "format",
    "push",
    "ticker",
    "symbol",
    "symbols",
    "metric",
    "rule",
    "quiet_hours",
];
/// The fields of a change.
const CHANGE: [&str; 3] = ["rule", "quiet_hours", "paused_until"];

/// `POST /v1/subscriptions`.
#[utoipa::path(
    post,
    path = "/v1/subscriptions",
    tag = "subscriptions",
    operation_id = "createSubscription",
    summary = "Ask for alerts by mail, webhook or a browser's notifications",
    description = "Of one symbol (`symbol`, or `ticker`), of several at once, or of the whole watchlist \
        (`symbols`); a list is taken as a whole or not at all. Where there is something to confirm, a \
        message with a link goes to the receiver, at most one in 10 minutes and 3 a day; what is asked for \
        meanwhile is shown by the link of the last one, and by that of the next. It is a mail, or for a \
        webhook a request of the type `subscription.confirmation` (for the other formats a post with \
        the link), or for a browser a notification that leads to the link. The link shows and confirms all \
        that was asked for the receiver; the message alone holds \
        the subscription's id and the token to manage it. The answer is the same whether the receiver is \
        new, known or suppressed.",
    request_body(content = SubscriptionIn, content_type = "application/json"),
    responses(
        (status = 201, description = "Taken", body = TakenOut),
        (status = 400, description = "The body is not JSON"),
        (status = 408),
        (status = 413, description = "The body is over 16 KiB"),
        (status = 415, description = "The body is not sent as `application/json`"),
        (status = 422),
        (status = 429),
        (status = 503,
            description = "Too many sign-ups wait for their message already, \
                or the store does not answer now"),
    ),
)]
pub(crate) async fn create(State(api): State<Api>, request: Request) -> Result<Response, Problem> {
    let (wish, standing) = sign_up_of_json(&api, request, &SIGN_UP).await?;
    let rule = wish.rule.rule(api.0.config.rule);
    Ok((StatusCode::CREATED, Json(TakenOut::new(&wish, rule, standing))).into_response())
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
    let (_, subscription) = held(&api, path, &headers).await?;
    Ok(told(&api, &subscription))
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
    let body = read_body(&api.0.config.limits, body).await?;
    let (token, subscription) = held(&api, path, &parts.headers).await?;
    let wanted = change_in(&api, &body, &subscription)?;
    amended(&api, api.0.subscriptions.change(&token, &wanted).await?)
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
    let (token, subscription) = held(&api, path, request.headers()).await?;
    let Some(rotated) = api.0.subscriptions.rotate_secret(&token, &subscription).await? else {
        let detail = "the subscription is told by mail, which no secret signs";
        return Err(Problem::new(StatusCode::CONFLICT, "no_webhook", detail));
    };
    amended(&api, rotated)
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
    let (_, subscription) = held(&api, path, request.headers()).await?;
    api.0.subscriptions.end(&subscription).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `GET /v1/subscriptions/{id}/alerts`.
#[utoipa::path(
    get,
    path = "/v1/subscriptions/{id}/alerts",
    tag = "subscriptions",
    operation_id = "listSubscriptionAlerts",
    summary = "The alerts of a subscription",
    description = "By its rule as it is now, since it is active; newest first. \
        Those of an own rule are nowhere else.",
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
    let (_, subscription) = held(&api, path, &headers).await?;
    if subscription.status.has_ended() {
        return Err(ended());
    }
    // One more than asked for tells whether there is another page.
    let page = AlertPage { since, after, limit: limit + 1 };
    let found = api.0.subscriptions.alerts(&subscription, page).await?;
    Ok(Json(alert_page(&found, limit)).into_response())
}

/// What a body wants changed of a subscription.
pub(crate) fn change_in(
    api: &Api,
    body: &[u8],
    subscription: &Subscription,
) -> Result<SubscriptionChange, Problem> {
    let mut fields = Fields::of_json(body, &CHANGE)?;
    let wanted = change_of(&mut fields, subscription, &api.0.calendar);
    fields.finish(wanted)
}

fn change_of(
    fields: &mut Fields,
    subscription: &Subscription,
    calendar: &Calendar,
) -> Option<SubscriptionChange> {
    let rule = match fields.value("rule") {
        None => None,
        Some(_) => Some(rule_of(fields, "rule", Some(subscription.metric), calendar)?),
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
    Some(SubscriptionChange { rule, quiet, paused_until, ..SubscriptionChange::default() })
}

/// The subscription of a path, where the request carries its token. Whether an id exists is not told without.
async fn held(
    api: &Api,
    path: Result<Path<String>, PathRejection>,
    headers: &HeaderMap,
) -> Result<(Token, Subscription), Problem> {
    let id: Option<SubscriptionId> = path.ok().and_then(|Path(text)| text.parse().ok());
    let (token, subscription) = bearer(api, headers).await?.ok_or_else(unauthorized)?;
    if id != Some(subscription.id) {
        return Err(unauthorized());
    }
    Ok((token, subscription))
}

/// What became of a change.
pub(crate) fn amended(api: &Api, amended: Amended) -> Result<Response, Problem> {
    match amended {
        Amended::Changed(subscription) => Ok(told(api, &subscription)),
        Amended::Conflict => {
            let detail = "the receiver has another subscription to the same by that rule";
            Err(Problem::new(StatusCode::CONFLICT, "subscribed_already", detail))
        }
        Amended::Ended(_) | Amended::Unknown => Err(ended()),
    }
}

fn told(api: &Api, subscription: &Subscription) -> Response {
    Json(subscription_out(api, subscription)).into_response()
}

/// A subscription as its holder is told it.
pub(crate) fn subscription_out(api: &Api, subscription: &Subscription) -> SubscriptionOut {
    let subscriptions = &api.0.subscriptions;
    let rule = subscription.rule.rule(api.0.config.rule);
    let (secret, is_paused) = (subscriptions.secret(subscription), subscriptions.is_paused(subscription));
    SubscriptionOut::new(subscription, rule, secret, is_paused)
}
