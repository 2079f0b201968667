//! `/v1/me`: what is a reader's own, who is signed in or holds a subscription's token.

use crate::api::Api;
use crate::dto::account::{ExportOut, MeOut, OwnSubscriptionIn};
use crate::dto::market::PageOut;
use crate::dto::subscription::{ChangeIn, SubscriptionOut};
use crate::dto::words::TickerText;
use crate::handlers::alerts::{ALERTS_PER_PAGE, AlertPageParams, alert_page};
use crate::handlers::bearer::{bearer, ended, unauthorized};
use crate::handlers::session::{changing_reader, must_read, signed_out};
use crate::handlers::sign_up::{own_wish_of, refused};
use crate::handlers::subscriptions::{amended, change_in, subscription_out};
use crate::http::body::read_body;
use crate::http::fields::{Fields, must_be_json};
use crate::http::problem::Problem;
use crate::http::query::Query;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use qqq_contract::AlertOut;
use qqq_contract::words::MetricWord;
use qqq_core::Channel;
use qqq_core::subscription::Subscription;
use qqq_core::subscription::channel::WebhookFormat;
use qqq_engine::account::Reader;
use qqq_store::ReceiverAlertQuery;

/// Entries of a page where the client does not say.
const SUBSCRIPTIONS_PER_PAGE: usize = 200;

/// The fields of a subscription of one's own.
const OWN: [&str; 6] = ["ticker", "symbol", "symbols", "metric", "rule", "quiet_hours"];

/// `GET /v1/me`.
#[utoipa::path(
    get,
    path = "/v1/me",
    tag = "account",
    operation_id = "getMe",
    summary = "Who is signed in",
    responses(
        (status = 200, description = "The address, and what it may", body = MeOut),
        (status = 401, description = "Nobody is signed in"),
    ),
    security(("session" = [])),
)]
pub(crate) async fn me(State(api): State<Api>, headers: HeaderMap) -> Result<Response, Problem> {
    let reader = must_read(&api, &headers).await?;
    Ok(Json(MeOut::from(&reader)).into_response())
}

/// `GET /v1/me/subscriptions`.
#[utoipa::path(
    get,
    path = "/v1/me/subscriptions",
    tag = "account",
    operation_id = "listMySubscriptions",
    summary = "One's own subscriptions",
    description = "By mail, to the address that is signed in, that have not ended; by id.",
    params(
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 1000,
            description = "Most entries of a page. Default: 200."),
        ("cursor" = Option<String>, Query,
            description = "`next_cursor` of the page before; empty: from the beginning.",
            pattern = "^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})?$"),
    ),
    responses(
        (status = 200, description = "A page of subscriptions", body = PageOut<SubscriptionOut>),
        (status = 400, description = "A parameter cannot be read"),
        (status = 401, description = "Nobody is signed in"),
    ),
    security(("session" = [])),
)]
pub(crate) async fn subscriptions(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref(), &["cursor", "limit"])?;
    let (after, limit) = (query.subscription_cursor()?, query.limit(SUBSCRIPTIONS_PER_PAGE)?);
    let reader = must_read(&api, &headers).await?;
    let found = api.0.accounts.subscriptions(&reader, after, limit + 1).await?;
    let page = PageOut::of(&found, limit, |one| subscription_out(&api, one), |one| one.id.to_string());
    Ok(Json(page).into_response())
}

/// `POST /v1/me/subscriptions`.
#[utoipa::path(
    post,
    path = "/v1/me/subscriptions",
    tag = "account",
    operation_id = "createMySubscription",
    summary = "Add alerts, active at once",
    description = "To the address that is signed in; or, with the bearer token of an active subscription, to \
        its receiver. No message asks to confirm it. What is asked for and waits for a confirmation is \
        active as well; what is active already stays as it is. A list is taken as a whole or not at all.",
    request_body(content = OwnSubscriptionIn, content_type = "application/json"),
    responses(
        (status = 201, description = "What is active of it now", body = PageOut<SubscriptionOut>),
        (status = 400, description = "The body is not JSON"),
        (status = 401, description = "Nobody is signed in, or the token is that of no active subscription"),
        (status = 403, description = "Asked for by a page of another site"),
        (status = 408),
        (status = 410, description = "The subscription of the token has ended"),
        (status = 413, description = "The body is over 16 KiB"),
        (status = 415, description = "The body is not sent as `application/json`"),
        (status = 422, description = "A field is wrong, or a limit would be passed: `errors` names which"),
        (status = 429),
    ),
    security(("session" = []), ("subscription" = [])),
)]
pub(crate) async fn add(State(api): State<Api>, request: Request) -> Result<Response, Problem> {
    let client = api.client(&request);
    api.0.posts.check(client)?;
    must_be_json(request.headers())?;
    let (parts, body) = request.into_parts();
    let body = read_body(&api.0.config.limits, body).await?;
    api.0.sign_ups.check(client)?;
    // A session that ended while the body came is over.
    let channel = receiver(&api, &parts.headers).await?;
    let wish = own_wish_of(&api, channel, Fields::of_json(&body, &OWN)?)?;
    let asked = wish.scopes.len();
    let added =
        api.0.subscriptions.add(wish).await.map_err(|error| refused(&api, error, asked, "symbols"))?;
    let items = added.iter().map(|one| subscription_out(&api, one)).collect();
    Ok((StatusCode::CREATED, Json(PageOut { items, next_cursor: None })).into_response())
}

/// To whom a request adds: its subscription's receiver where it carries a token, else who is signed in.
async fn receiver(api: &Api, headers: &HeaderMap) -> Result<Channel, Problem> {
    if !headers.contains_key(header::AUTHORIZATION) {
        return Ok(Channel::Email(changing_reader(api, headers).await?.session.address));
    }
    let (_, subscription) = bearer(api, headers).await?.ok_or_else(unauthorized)?;
    if subscription.status.has_ended() {
        return Err(ended());
    }
    // A token of what is pending was perhaps never seen by its receiver.
    if subscription.reads_from().is_none() {
        return Err(unauthorized());
    }
    // Who only reads a channel must not have more posted there.
    let posts = matches!(&subscription.channel,
        Channel::Webhook(webhook) if webhook.format != WebhookFormat::Standard);
    if posts { Err(unauthorized()) } else { Ok(subscription.channel) }
}

/// `PATCH /v1/me/subscriptions/{id}`.
#[utoipa::path(
    patch,
    path = "/v1/me/subscriptions/{id}",
    tag = "account",
    operation_id = "changeMySubscription",
    summary = "Change one's own subscription: its rule, quiet hours, pause",
    params(("id" = String, Path, format = "uuid", description = "From the list.")),
    request_body(content = ChangeIn, content_type = "application/json"),
    responses(
        (status = 200, description = "The subscription as it is now", body = SubscriptionOut),
        (status = 400, description = "The body is not JSON"),
        (status = 401, description = "Nobody is signed in"),
        (status = 403, description = "Asked for by a page of another site"),
        (status = 404, description = "There is no subscription of this id, it has ended, or it is another's"),
        (status = 408),
        (status = 409, description = "There is another subscription by that rule already"),
        (status = 410, description = "The subscription ended meanwhile"),
        (status = 413, description = "The body is over 16 KiB"),
        (status = 415, description = "The body is not sent as `application/json`"),
        (status = 422),
        (status = 429),
    ),
    security(("session" = [])),
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
    let reader = changing_reader(&api, &parts.headers).await?;
    let subscription = own(&api, &reader, path).await?;
    if subscription.status.has_ended() {
        return Err(unknown());
    }
    let change = change_in(&api, &body, &subscription)?;
    amended(&api, api.0.subscriptions.change_held(&subscription, &change).await?)
}

/// `DELETE /v1/me/subscriptions/{id}`.
#[utoipa::path(
    delete,
    path = "/v1/me/subscriptions/{id}",
    tag = "account",
    operation_id = "endMySubscription",
    summary = "End one's own subscription",
    description = "At once and for good. Ending it again changes nothing.",
    params(("id" = String, Path, format = "uuid", description = "From the list.")),
    responses(
        (status = 204, description = "It has ended"),
        (status = 401, description = "Nobody is signed in"),
        (status = 403, description = "Asked for by a page of another site"),
        (status = 404, description = "There is no subscription of this id, or it is another's"),
        (status = 429),
    ),
    security(("session" = [])),
)]
pub(crate) async fn end(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    api.0.posts.check(api.client(&request))?;
    let reader = changing_reader(&api, request.headers()).await?;
    let subscription = own(&api, &reader, path).await?;
    api.0.subscriptions.end(&subscription).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn unknown() -> Problem {
    Problem::not_found("unknown_subscription", "you have no subscription with this id")
}

/// The reader's subscription of a path. Others' are not there.
async fn own(
    api: &Api,
    reader: &Reader,
    path: Result<Path<String>, PathRejection>,
) -> Result<Subscription, Problem> {
    let id = path.ok().and_then(|Path(text)| text.parse().ok()).ok_or_else(unknown)?;
    api.0.accounts.subscription(reader, id).await?.ok_or_else(unknown)
}

/// `GET /v1/me/alerts`.
#[utoipa::path(
    get,
    path = "/v1/me/alerts",
    tag = "account",
    operation_id = "listMyAlerts",
    summary = "The alerts of one's own subscriptions",
    description = "By their rules as they are now, since they are active; newest first. With `own=true` only \
        those by rules of one's own, which are in no public list.",
    params(
        ("symbol" = Option<TickerText>, Query, description = "Only of this ticker.", example = "META"),
        ("metric" = Option<MetricWord>, Query, description = "Only of this metric.", example = "volume"),
        ("own" = Option<bool>, Query, description = "Only those that nobody else may list."),
        AlertPageParams,
    ),
    responses(
        (status = 200, description = "A page of alerts", body = PageOut<AlertOut>),
        (status = 400, description = "A parameter cannot be read"),
        (status = 401, description = "Nobody is signed in"),
        (status = 404, description = "The ticker is not tracked"),
    ),
    security(("session" = [])),
)]
pub(crate) async fn alerts(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref(), &["symbol", "metric", "own", "since", "cursor", "limit"])?;
    let reader = must_read(&api, &headers).await?;
    let tracked = |text| api.tracked(text).ok_or_else(|| Problem::not_tracked(text));
    let limit = query.limit(ALERTS_PER_PAGE)?;
    let wanted = ReceiverAlertQuery {
        symbol: query.get("symbol").map(tracked).transpose()?,
        metric: query.metric(api.0.calendar.metrics())?,
        since: query.moment("since", &api.0.calendar)?,
        after: query.alert_cursor()?,
        private_only: query.flag("own")?,
        // One more than asked for tells whether there is another page.
        limit: limit + 1,
    };
    let found = api.0.accounts.alerts(&reader, wanted).await?;
    Ok(Json(alert_page(&found, limit)).into_response())
}

/// `GET /v1/me/export`.
#[utoipa::path(
    get,
    path = "/v1/me/export",
    tag = "account",
    operation_id = "exportMe",
    summary = "All that is kept of the address that is signed in",
    description = "As a file to be saved: sessions, subscriptions in any state, what was sent, and the \
        alerts by one's rules; of each the newest 10,000. No tokens.",
    responses(
        (status = 200, description = "All of it", body = ExportOut),
        (status = 401, description = "Nobody is signed in"),
        (status = 429),
    ),
    security(("session" = [])),
)]
pub(crate) async fn export(State(api): State<Api>, request: Request) -> Result<Response, Problem> {
    // Dearer than other answers.
    api.0.posts.check(api.client(&request))?;
    let reader = must_read(&api, request.headers()).await?;
    let export = api.0.accounts.export(&reader).await?;
    let subscriptions = export.subscriptions.iter().map(|one| subscription_out(&api, one)).collect();
    let mut response = Json(ExportOut::new(&reader, subscriptions, &export)).into_response();
    let saved = HeaderValue::from_static("attachment; filename=\"qqq-tracker.json\"");
    response.headers_mut().insert(header::CONTENT_DISPOSITION, saved);
    Ok(response)
}

/// `DELETE /v1/me`.
#[utoipa::path(
    delete,
    path = "/v1/me",
    tag = "account",
    operation_id = "eraseMe",
    summary = "Erase all that is kept of the address that is signed in",
    description = "At once and for good: its subscriptions end, what was sent is forgotten, and it is signed \
        out everywhere.",
    responses(
        (status = 204, description = "Nothing is left of it, and the cookie is gone"),
        (status = 401, description = "Nobody is signed in"),
        (status = 403, description = "Asked for by a page of another site"),
        (status = 429),
    ),
    security(("session" = [])),
)]
pub(crate) async fn erase(State(api): State<Api>, request: Request) -> Result<Response, Problem> {
    api.0.posts.check(api.client(&request))?;
    let reader = changing_reader(&api, request.headers()).await?;
    api.0.accounts.erase(&reader).await?;
    Ok(signed_out(&api))
}
