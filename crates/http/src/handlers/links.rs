//! Where links in messages lead, without scripts: confirm, unsubscribe, manage.
//!
//! Looking changes nothing: mail software opens every link it sees. Only a POST acts.

use crate::api::Api;
use crate::handlers::link_pages::{
    ALL_MY_ALERTS, about, already_confirmed, ended, link_asked_for, managed, settled, ticks, too_old,
    unknown_link, unsubscribed, what_comes, what_comes_of_each, yes,
};
use crate::handlers::session::ask_for_link;
use crate::http::body::read_body;
use crate::http::fields::Fields;
use crate::http::form::{is_form, must_be_form, token_in, value_in};
use crate::http::problem::Problem;
use crate::http::query::invalid;
use crate::page::{Message, Tone};
use axum::extract::{RawQuery, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use jiff::SignedDuration;
use qqq_core::Channel;
use qqq_core::subscription::token::{Purpose, Token};
use qqq_core::subscription::{Subscription, SubscriptionId, SubscriptionStatus};
use qqq_engine::subscribe::Pause;
use qqq_store::{Amended, Choice, Confirmable, Confirmed};
use std::net::IpAddr;
use utoipa::ToSchema;

/// `GET /v1/subscriptions/confirm?token=`: asks, and changes nothing.
#[utoipa::path(
    get,
    path = "/v1/subscriptions/confirm",
    tag = "subscriptions",
    operation_id = "confirmPage",
    summary = "The page a confirmation mail links to",
    description = "Asks, and changes nothing: mail software opens every link it sees. For 24 hours after its \
        mail a link shows all that was asked for the receiver and is not confirmed, each with a box to tick.",
    params(("token" = String, Query, description = "From the mail.", example = "kq2m")),
    responses(
        (status = 200, description = "A page with a button", body = String, content_type = "text/html"),
        (status = 404, description = "No subscription has this token"),
        (status = 410, description = "The link is too old, or the subscription has ended"),
    ),
)]
pub(crate) async fn confirm_page(State(api): State<Api>, RawQuery(query): RawQuery) -> Response {
    let Some(token) = token_in(query.as_deref().unwrap_or_default().as_bytes()) else {
        return unknown_link(&api);
    };
    let found = api.0.subscriptions.confirmable(&token).await;
    let Confirmable { of, lapsed, asked } = match found {
        Err(error) => return api.0.pages.problem(&error.into()),
        Ok(None) => return unknown_link(&api),
        Ok(Some(found)) => found,
    };
    let message = match (&asked[..], of.status) {
        ([one], _) => {
            let title = format!("Alerts for {}?", about(one));
            Message::new(Tone::Plain, &title, &what_comes(&api, one)).ask(yes(one)).of(ticks(&api, &asked))
        }
        ([_, ..], _) => {
            let each = what_comes_of_each(&api, &asked).map_or_else(String::new, |each| format!(" {each}"));
            let text = format!(
                "All of these were asked for here.{each} \
                 Leave ticked what you want: what you untick is dropped."
            );
            Message::new(Tone::Plain, "Which alerts do you want?", &text)
                .ask(yes(&of))
                .of(ticks(&api, &asked))
        }
        ([], SubscriptionStatus::Active) => already_confirmed(&api, &of),
        ([], SubscriptionStatus::Pending) if lapsed => return too_old(&api, &of),
        ([], _) => return ended(&api, &of),
    };
    api.0.pages.answer(StatusCode::OK, &message)
}

/// `POST /v1/subscriptions/confirm?token=`: confirms.
#[utoipa::path(
    post,
    path = "/v1/subscriptions/confirm",
    tag = "subscriptions",
    operation_id = "confirm",
    summary = "Confirm a subscription",
    description = "What the page's button sends: in a form, `shown`, the ids of what was shown with dots \
        between, and `ticked`, once for each that is wanted. What was shown and is not ticked is dropped. \
        Without a form, all that was asked for the receiver is confirmed. A link can be used again within \
        its 24 hours.",
    params(("token" = String, Query, description = "From the mail.", example = "kq2m")),
    responses(
        (status = 200, description = "A page that says so", body = String, content_type = "text/html"),
        (status = 404, description = "No subscription has this token"),
        (status = 410, description = "The link is too old, or the subscription has ended"),
        (status = 408),
        (status = 413, description = "The body is over 16 KiB"),
        (status = 422, description = "All of it is beyond a limit, and waits: the page says which"),
        (status = 429),
    ),
)]
pub(crate) async fn confirm(State(api): State<Api>, RawQuery(query): RawQuery, request: Request) -> Response {
    let client = api.client(&request);
    if let Err(problem) = api.0.posts.check(client) {
        return api.0.pages.problem(&problem);
    }
    // Read in any case, so that the connection can be used again.
    let form = match posted(&api, request).await {
        Ok(form) => form,
        Err(problem) => return api.0.pages.problem(&problem),
    };
    let token = token_in(query.as_deref().unwrap_or_default().as_bytes()).or_else(|| token_in(&form));
    let Some(token) = token else { return unknown_link(&api) };
    let confirmed = match api.0.subscriptions.confirm(&token, &choice_in(&form)).await {
        Ok(confirmed) => confirmed,
        Err(error) => return api.0.pages.problem(&error.into()),
    };
    let message = match &confirmed {
        Confirmed::Unknown => return unknown_link(&api),
        Confirmed::Ended(subscription) => return ended(&api, subscription),
        Confirmed::Expired(subscription) => return too_old(&api, subscription),
        Confirmed::AlreadyActive(subscription) => already_confirmed(&api, subscription),
        Confirmed::Settled { activated, declined, refused } => settled(&api, activated, declined, refused),
    };
    let nothing_fits = matches!(&confirmed, Confirmed::Settled { activated, refused, .. }
        if activated.is_empty() && !refused.is_empty());
    let status = if nothing_fits { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    api.0.pages.answer(status, &message)
}

/// `GET /v1/subscriptions/unsubscribe?token=`: asks, and changes nothing.
#[utoipa::path(
    get,
    path = "/v1/subscriptions/unsubscribe",
    tag = "subscriptions",
    operation_id = "unsubscribePage",
    summary = "The page that every mail links to",
    description = "Asks, and changes nothing.",
    params(
        ("token" = String, Query, description = "From the mail.", example = "kq2m"),
        ("all" = Option<bool>, Query, description = "Every subscription of the same receiver."),
    ),
    responses(
        (status = 200, description = "A page with a button", body = String, content_type = "text/html"),
        (status = 400, description = "`all` is neither `true` nor `false`"),
        (status = 404, description = "No subscription has this token"),
    ),
)]
pub(crate) async fn unsubscribe_page(State(api): State<Api>, RawQuery(query): RawQuery) -> Response {
    let all = match wants_all(query.as_deref()) {
        Ok(all) => all,
        Err(problem) => return api.0.pages.problem(&problem),
    };
    let found = find(&api, Purpose::Unsubscribe, query.as_deref()).await;
    let message = match &found {
        Err(problem) => return api.0.pages.problem(problem),
        Ok(None) => return unknown_link(&api),
        Ok(Some((_, subscription))) if subscription.status.has_ended() && !all => unsubscribed(subscription),
        Ok(Some(_)) if all => {
            let text = "Every subscription of this address or webhook ends, whatever it is about.";
            Message::new(Tone::Plain, "No more alerts at all?", text).ask("Unsubscribe from everything")
        }
        Ok(Some((_, subscription))) => {
            let title = format!("No more alerts for {}?", about(subscription));
            let text = "Other subscriptions of yours stay as they are.";
            Message::new(Tone::Plain, &title, text).ask("Unsubscribe")
        }
    };
    api.0.pages.answer(StatusCode::OK, &message)
}

/// `POST /v1/subscriptions/unsubscribe?token=`: unsubscribes at once. This is also the one-click address of
/// RFC 8058, called by mail providers without cookies, with `List-Unsubscribe=One-Click` as a form of either
/// kind; many subscribers share such a caller's address, so it is not counted against a rate.
#[utoipa::path(
    post,
    path = "/v1/subscriptions/unsubscribe",
    tag = "subscriptions",
    operation_id = "unsubscribe",
    summary = "End a subscription",
    description = "At once, without a login. Also the one-click address of RFC 8058: \
        a body is read and need not be there.",
    params(
        ("token" = String, Query, description = "From the mail.", example = "kq2m"),
        ("all" = Option<bool>, Query, description = "Every subscription of the same receiver."),
    ),
    responses(
        (status = 200, description = "A page that says so", body = String, content_type = "text/html"),
        (status = 400, description = "`all` is neither `true` nor `false`"),
        (status = 404, description = "No subscription has this token"),
        (status = 408),
        (status = 413, description = "The body is over 16 KiB"),
    ),
)]
pub(crate) async fn unsubscribe(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    let all = match wants_all(query.as_deref()) {
        Ok(all) => all,
        Err(problem) => return api.0.pages.problem(&problem),
    };
    let token = match token_of(&api, query.as_deref(), Some(request)).await {
        Err(problem) => return api.0.pages.problem(&problem),
        Ok(None) => return unknown_link(&api),
        Ok(Some(token)) => token,
    };
    match api.0.subscriptions.unsubscribe(&token, all).await {
        Ok(Some(_)) if all => {
            let text = "No more alerts will be sent to this address or webhook.";
            api.0.pages.answer(StatusCode::OK, &Message::new(Tone::Good, "You are unsubscribed", text))
        }
        Ok(Some(subscription)) => api.0.pages.answer(StatusCode::OK, &unsubscribed(&subscription)),
        Ok(None) => unknown_link(&api),
        Err(error) => api.0.pages.problem(&error.into()),
    }
}

/// `GET /v1/subscriptions/manage?token=`: shows a subscription and what can be done with it, and changes
/// nothing.
#[utoipa::path(
    get,
    path = "/v1/subscriptions/manage",
    tag = "subscriptions",
    operation_id = "managePage",
    summary = "The page that pauses, snoozes and resumes",
    description = "Shows, and changes nothing. The token is the one that the API takes as a bearer token.",
    params(("token" = String, Query, description = "From the mail.", example = "kq2m")),
    responses(
        (status = 200, description = "A page with buttons", body = String, content_type = "text/html"),
        (status = 404, description = "No subscription has this token"),
        (status = 410, description = "The subscription has ended"),
    ),
)]
pub(crate) async fn manage_page(State(api): State<Api>, RawQuery(query): RawQuery) -> Response {
    match find(&api, Purpose::Manage, query.as_deref()).await {
        Err(problem) => api.0.pages.problem(&problem),
        Ok(None) => unknown_link(&api),
        Ok(Some((_, subscription))) if subscription.status.has_ended() => ended(&api, &subscription),
        Ok(Some((_, subscription))) => api.0.pages.answer(StatusCode::OK, &managed(&api, &subscription)),
    }
}

/// What a button of the page asks for.
#[derive(ToSchema, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[schema(as = ManageIn)]
#[expect(dead_code, reason = "this says the shape of what is read field by field")]
struct ManageIn {
    /// `pause` until it is resumed, `hour` or `day` for so long, `resume`; `sign_in` has a link to all alerts
    /// of the address sent to it.
    #[schema(pattern = "^(pause|hour|day|resume|sign_in)$", example = "hour")]
    action: String,
}

/// `POST /v1/subscriptions/manage?token=` with `action`: does it.
#[utoipa::path(
    post,
    path = "/v1/subscriptions/manage",
    tag = "subscriptions",
    operation_id = "manage",
    summary = "Pause, snooze or resume a subscription",
    description = "What the page's buttons send.",
    params(("token" = String, Query, description = "From the mail.", example = "kq2m")),
    request_body(content = ManageIn, content_type = "application/x-www-form-urlencoded"),
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
pub(crate) async fn manage(State(api): State<Api>, RawQuery(query): RawQuery, request: Request) -> Response {
    match act(&api, query.as_deref(), request).await {
        Ok(response) => response,
        Err(problem) => api.0.pages.problem(&problem),
    }
}

async fn act(api: &Api, query: Option<&str>, request: Request) -> Result<Response, Problem> {
    let client = api.client(&request);
    api.0.posts.check(client)?;
    must_be_form(request.headers())?;
    let body = read_body(&api.0.config.limits, request.into_body()).await?;
    let Some((token, subscription)) = find(api, Purpose::Manage, query).await? else {
        return Ok(unknown_link(api));
    };
    let mut fields = Fields::of_form(&body, &["action", "token"]);
    if fields.text_if_given("action").as_deref() == Some(ALL_MY_ALERTS) {
        return link_to_all(api, client, &subscription).await;
    }
    let pause = fields.text("action").and_then(|action| match action.as_str() {
        "pause" => Some(Pause::UntilResumed),
        "hour" => Some(Pause::For(SignedDuration::from_hours(1))),
        "day" => Some(Pause::For(SignedDuration::from_hours(24))),
        "resume" => Some(Pause::Resume),
        _ => {
            fields.wrong("action", "must be `pause`, `hour`, `day`, `resume` or `sign_in`");
            None
        }
    });
    let paused = api.0.subscriptions.pause(&token, fields.finish(pause)?).await?;
    Ok(became(api, paused, |subscription| managed(api, subscription)))
}

/// The page after a link was followed: `changed` of the subscription as it is now.
pub(crate) fn became(
    api: &Api,
    amended: Amended,
    changed: impl FnOnce(&Subscription) -> Message,
) -> Response {
    match amended {
        Amended::Changed(subscription) => api.0.pages.answer(StatusCode::OK, &changed(&subscription)),
        Amended::Ended(subscription) => ended(api, &subscription),
        Amended::Conflict | Amended::Unknown => unknown_link(api),
    }
}

/// Has a link sent to where the subscription's own mails go. Its token alone opens no more than that one
/// subscription: it stands in every mail, and programs hold it.
async fn link_to_all(api: &Api, client: IpAddr, subscription: &Subscription) -> Result<Response, Problem> {
    let Channel::Email(address) = &subscription.channel else { return Ok(unknown_link(api)) };
    if subscription.status.has_ended() {
        return Ok(ended(api, subscription));
    }
    ask_for_link(api, client, address.clone()).await?;
    Ok(api.0.pages.answer(StatusCode::OK, &link_asked_for()))
}

/// Whether `all=true` is asked for.
fn wants_all(query: Option<&str>) -> Result<bool, Problem> {
    match value_in(query.unwrap_or_default().as_bytes(), "all").as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(invalid("all", "must be `true` or `false`")),
    }
}

/// The subscription a request's token opens. The token stands in the query.
pub(crate) async fn find(
    api: &Api,
    purpose: Purpose,
    query: Option<&str>,
) -> Result<Option<(Token, Subscription)>, Problem> {
    let Some(token) = token_of(api, query, None).await? else { return Ok(None) };
    let subscription = api.0.subscriptions.find(purpose, &token).await?;
    Ok(subscription.map(|subscription| (token, subscription)))
}

/// A request's token. It stands in the query, or in the form of a POST.
async fn token_of(api: &Api, query: Option<&str>, post: Option<Request>) -> Result<Option<Token>, Problem> {
    let token = token_in(query.unwrap_or_default().as_bytes());
    let Some(request) = post else { return Ok(token) };
    // Read in any case, so that the connection can be used again.
    let form = posted(api, request).await?;
    Ok(token.or_else(|| token_in(&form)))
}

/// The body of a POST, where it is a form; else nothing.
async fn posted(api: &Api, request: Request) -> Result<Bytes, Problem> {
    let form = is_form(request.headers());
    let body = read_body(&api.0.config.limits, request.into_body()).await?;
    Ok(if form { body } else { Bytes::new() })
}

/// What was ticked of what was shown; all there is where nothing was shown.
fn choice_in(form: &[u8]) -> Choice {
    let values = |wanted: &'static str| {
        url::form_urlencoded::parse(form)
            .filter(move |(name, _)| name == wanted)
            .flat_map(|(_, value)| value.split('.').map(str::parse).collect::<Vec<_>>())
            .flatten()
            .collect::<Vec<SubscriptionId>>()
    };
    let was_asked = url::form_urlencoded::parse(form).any(|(name, _)| name == "shown" || name == "ticked");
    if was_asked {
        Choice::Ticked { ticked: values("ticked"), shown: values("shown") }
    } else {
        Choice::Everything
    }
}
