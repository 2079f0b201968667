//! Where the links to snooze lead, without scripts. They are opened by the token that ends a subscription,
//! which every message carries already: who may end it may silence it for a while, and nothing else.

use crate::api::Api;
use crate::dto::words::SnoozeWord;
use crate::handlers::link_pages::{ended, snoozed, unknown_link};
use crate::handlers::links::{became, find};
use crate::http::body::read_body;
use crate::http::fields::Fields;
use crate::http::form::{must_be_form, value_in};
use crate::http::problem::Problem;
use crate::http::query::invalid;
use axum::extract::{RawQuery, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use qqq_core::UnknownWord;
use qqq_core::subscription::snooze::Snooze;
use qqq_core::subscription::token::Purpose;
use utoipa::ToSchema;

/// What ends a snooze.
const END: &str = "end";
/// How long one may be.
const WORDS: &str = "must be `hour`, `tomorrow` or `week`";

/// `GET /v1/subscriptions/snooze?token=`: asks for how long, and changes nothing.
#[utoipa::path(
    get,
    path = "/v1/subscriptions/snooze",
    tag = "subscriptions",
    operation_id = "snoozePage",
    summary = "The page that messages link to, to hear nothing for a while",
    description = "Asks, and changes nothing. The token is the one that unsubscribes.",
    params(
        ("token" = String, Query, description = "From the message.", example = "kq2m"),
        ("for" = inline(Option<SnoozeWord>), Query, description = "What the page offers first."),
    ),
    responses(
        (status = 200, description = "A page with buttons", body = String, content_type = "text/html"),
        (status = 400, description = "`for` is none of the words"),
        (status = 404, description = "No subscription has this token"),
        (status = 410, description = "The subscription has ended"),
    ),
)]
pub(crate) async fn snooze_page(State(api): State<Api>, RawQuery(query): RawQuery) -> Response {
    let wanted = match wanted(query.as_deref()) {
        Ok(wanted) => wanted,
        Err(problem) => return api.0.pages.problem(&problem),
    };
    match find(&api, Purpose::Unsubscribe, query.as_deref()).await {
        Err(problem) => api.0.pages.problem(&problem),
        Ok(None) => unknown_link(&api),
        Ok(Some((_, subscription))) if subscription.status.has_ended() => ended(&api, &subscription),
        Ok(Some((_, subscription))) => {
            api.0.pages.answer(StatusCode::OK, &snoozed(&api, &subscription, wanted))
        }
    }
}

/// What a button of the page asks for.
#[derive(ToSchema, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[schema(as = SnoozeIn)]
#[expect(dead_code, reason = "this says the shape of what is read field by field")]
struct SnoozeIn {
    /// `hour`, `tomorrow` (until nine in the morning, by the zone of the quiet hours or else New York's),
    /// `week`; `end` ends a snooze.
    #[schema(pattern = "^(hour|tomorrow|week|end)$", example = "hour")]
    action: String,
}

/// `POST /v1/subscriptions/snooze?token=` with `action`: does it.
#[utoipa::path(
    post,
    path = "/v1/subscriptions/snooze",
    tag = "subscriptions",
    operation_id = "snooze",
    summary = "Snooze a subscription",
    description = "What the page's buttons send. A subscription that is paused until it is resumed stays so.",
    params(("token" = String, Query, description = "From the message.", example = "kq2m")),
    request_body(content = SnoozeIn, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "A page that says so", body = String, content_type = "text/html"),
        (status = 404, description = "No subscription has this token"),
        (status = 408),
        (status = 410, description = "The subscription has ended"),
        (status = 413, description = "The body is over 16 KiB"),
        (status = 415, description = "The body is no form"),
        (status = 422, description = "The form holds no known `action`"),
        (status = 429),
    ),
)]
pub(crate) async fn snooze(State(api): State<Api>, RawQuery(query): RawQuery, request: Request) -> Response {
    match act(&api, query.as_deref(), request).await {
        Ok(response) => response,
        Err(problem) => api.0.pages.problem(&problem),
    }
}

async fn act(api: &Api, query: Option<&str>, request: Request) -> Result<Response, Problem> {
    api.0.posts.check(api.client(&request))?;
    must_be_form(request.headers())?;
    let body = read_body(&api.0.config.limits, request.into_body()).await?;
    let Some((token, _)) = find(api, Purpose::Unsubscribe, query).await? else {
        return Ok(unknown_link(api));
    };
    let mut fields = Fields::of_form(&body, &["action"]);
    let action = fields.text("action").and_then(|action| match (action.as_str(), action.parse()) {
        (END, _) => Some(None),
        (_, Ok(snooze)) => Some(Some(snooze)),
        (_, Err::<Snooze, UnknownWord>(_)) => {
            fields.wrong("action", "must be `hour`, `tomorrow`, `week` or `end`");
            None
        }
    });
    let amended = api.0.subscriptions.snooze(&token, fields.finish(action)?).await?;
    Ok(became(api, amended, |subscription| snoozed(api, subscription, None)))
}

/// Which snooze a link asks for.
fn wanted(query: Option<&str>) -> Result<Option<Snooze>, Problem> {
    let word = value_in(query.unwrap_or_default().as_bytes(), "for");
    let known = |word: &str| word.parse().map_err(|_: UnknownWord| invalid("for", WORDS));
    word.as_deref().map(known).transpose()
}
