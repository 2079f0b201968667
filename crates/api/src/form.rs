//! What people do from pages and mails without scripts: sign up, confirm, unsubscribe.
//!
//! Looking changes nothing: mail software opens every link it sees. Only a POST acts.

use crate::Api;
use crate::answer::HTML;
use crate::fields::Fields;
use crate::page::{Message, Tick, Tone, sentence_of};
use crate::problem::Problem;
use crate::query::invalid;
use crate::subscribe::ORIGINAL;
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use qqq_core::ChannelKind;
use qqq_core::calendar::new_york;
use qqq_core::limits::LimitExceeded;
use qqq_core::sentence::promise;
use qqq_core::subscription::{Subscription, SubscriptionId, SubscriptionStatus};
use qqq_core::token::{Purpose, Token};
use qqq_store::{Amended, Choice, Confirmable, Confirmed, SubscriptionChange};
use url::Url;
use utoipa::ToSchema;

/// `POST /subscribe/form`: the form that does without scripts. The same rules and limits as `POST /subscribe`.
pub(crate) async fn subscribe(State(api): State<Api>, request: Request) -> Response {
    match sign_up(&api, request).await {
        Ok(response) => response,
        Err(problem) => api.problem_page(&problem),
    }
}

async fn sign_up(api: &Api, request: Request) -> Result<Response, Problem> {
    let client = api.client(&request);
    api.0.posts.check(client)?;
    if !is_from_us(request.headers(), &api.0.config.public_url) {
        let detail = "this form may only be sent from its own page";
        return Err(Problem::new(StatusCode::FORBIDDEN, "cross_site", detail));
    }
    must_be_form(request.headers())?;
    let body = api.read_body(request.into_body()).await?;
    let wanted = api.wanted(Fields::of_form(&body, &ORIGINAL))?;
    let status = api.sign_up(client, &wanted).await?;
    let about = format!("{} {}", wanted.symbol, wanted.metric);
    let message = match status {
        "pending" => Message::new(
            Tone::Good,
            "One more step: look into your mail",
            &format!(
                "If this address can be mailed, it gets a link: usually within a minute, at most one in ten minutes and \
                 three a day, and later where very many sign up at once. Alerts for {about} begin when you have opened the \
                 newest link and confirmed; it shows all that was asked for this address. If you asked for something else \
                 in the last ten minutes, the link you already have shows this, too."
            ),
        ),
        _ => Message::new(Tone::Good, "You are subscribed", &format!("Alerts for {about} begin now.")),
    };
    Ok(api.message_page(StatusCode::CREATED, &message))
}

/// `GET /v1/subscriptions/confirm?token=`: asks, and changes nothing.
#[utoipa::path(
    get,
    path = "/v1/subscriptions/confirm",
    tag = "subscriptions",
    operation_id = "confirmPage",
    summary = "The page a confirmation mail links to",
    description = "Asks, and changes nothing: mail software opens every link it sees. For 24 hours after its mail a link \
        shows all that was asked for the receiver and is not confirmed, each with a box to tick.",
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
    let found = api.0.store.confirmable(&token.hash(), api.0.clock.now()).await;
    let Confirmable { of, lapsed, asked } = match found {
        Err(error) => return api.problem_page(&error.into()),
        Ok(None) => return unknown_link(&api),
        Ok(Some(found)) => found,
    };
    let message = match (&asked[..], of.status) {
        ([one], _) => {
            let title = format!("Alerts for {}?", about(one));
            Message::new(Tone::Plain, &title, &api.what_comes(one)).ask(yes(one)).of(api.ticks(&asked))
        }
        ([_, ..], _) => {
            let text =
                "All of these were asked for here. Leave ticked what you want: what you untick is dropped.";
            Message::new(Tone::Plain, "Which alerts do you want?", text).ask(yes(&of)).of(api.ticks(&asked))
        }
        ([], SubscriptionStatus::Active) => api.already_confirmed(&of),
        ([], SubscriptionStatus::Pending) if lapsed => return too_old(&api, &of),
        ([], _) => return ended(&api, &of),
    };
    api.message_page(StatusCode::OK, &message)
}

/// `POST /v1/subscriptions/confirm?token=`: confirms.
#[utoipa::path(
    post,
    path = "/v1/subscriptions/confirm",
    tag = "subscriptions",
    operation_id = "confirm",
    summary = "Confirm a subscription",
    description = "What the page's button sends: in a form, `shown`, the ids of what was shown with dots between, and \
        `ticked`, once for each that is wanted. What was shown and is not ticked is dropped. Without a form, all that was \
        asked for the receiver is confirmed. A link can be used again within its 24 hours.",
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
        return api.problem_page(&problem);
    }
    // Read in any case, so that the connection can be used again.
    let form = match posted(&api, request).await {
        Ok(form) => form,
        Err(problem) => return api.problem_page(&problem),
    };
    let token = token_in(query.as_deref().unwrap_or_default().as_bytes()).or_else(|| token_in(&form));
    let Some(token) = token else { return unknown_link(&api) };
    let now = api.0.clock.now();
    // Found by a read first: guesses never reach the writer.
    match api.0.store.confirmable(&token.hash(), now).await {
        Ok(Some(_)) => {}
        Ok(None) => return unknown_link(&api),
        Err(error) => return api.problem_page(&error.into()),
    }
    let confirmed = match api.0.store.confirm(&token.hash(), &choice_in(&form), now).await {
        Ok(confirmed) => confirmed,
        Err(error) => return api.problem_page(&error.into()),
    };
    let message = match &confirmed {
        Confirmed::Unknown => return unknown_link(&api),
        Confirmed::Ended(subscription) => return ended(&api, subscription),
        Confirmed::Expired(subscription) => return too_old(&api, subscription),
        Confirmed::AlreadyActive(subscription) => api.already_confirmed(subscription),
        Confirmed::Settled { activated, declined, refused } => api.settled(activated, declined, refused),
    };
    let nothing_fits = matches!(&confirmed, Confirmed::Settled { activated, refused, .. }
        if activated.is_empty() && !refused.is_empty());
    let status = if nothing_fits { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    api.message_page(status, &message)
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
        Err(problem) => return api.problem_page(&problem),
    };
    let found = find(&api, Purpose::Unsubscribe, query.as_deref(), None).await;
    let message = match &found {
        Err(problem) => return api.problem_page(problem),
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
    api.message_page(StatusCode::OK, &message)
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
    description = "At once, without a login. Also the one-click address of RFC 8058: a body is read and need not be there.",
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
        Err(problem) => return api.problem_page(&problem),
    };
    // Found by a read first: guesses never reach the writer.
    let found = find(&api, Purpose::Unsubscribe, query.as_deref(), Some(request)).await;
    let token = match found {
        Err(problem) => return api.problem_page(&problem),
        Ok(None) => return unknown_link(&api),
        Ok(Some((token, _))) => token,
    };
    match api.0.store.unsubscribe(&token.hash(), all, api.0.clock.now()).await {
        Ok(Some(_)) if all => {
            let text = "No more alerts will be sent to this address or webhook.";
            api.message_page(StatusCode::OK, &Message::new(Tone::Good, "You are unsubscribed", text))
        }
        Ok(Some(subscription)) => api.message_page(StatusCode::OK, &unsubscribed(&subscription)),
        Ok(None) => unknown_link(&api),
        Err(error) => api.problem_page(&error.into()),
    }
}

/// `GET /v1/subscriptions/manage?token=`: shows a subscription and what can be done with it, and changes nothing.
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
    match find(&api, Purpose::Manage, query.as_deref(), None).await {
        Err(problem) => api.problem_page(&problem),
        Ok(None) => unknown_link(&api),
        Ok(Some((_, subscription))) if subscription.status.has_ended() => ended(&api, &subscription),
        Ok(Some((_, subscription))) => api.message_page(StatusCode::OK, &api.managed(&subscription)),
    }
}

/// What a button of the page asks for.
#[derive(ToSchema, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[schema(as = ManageIn)]
#[expect(dead_code, reason = "this says the shape of what is read field by field")]
struct ManageIn {
    /// `pause` until it is resumed, `hour` or `day` for so long, `resume`.
    #[schema(pattern = "^(pause|hour|day|resume)$", example = "hour")]
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
    match managed(&api, query.as_deref(), request).await {
        Ok(response) => response,
        Err(problem) => api.problem_page(&problem),
    }
}

async fn managed(api: &Api, query: Option<&str>, request: Request) -> Result<Response, Problem> {
    api.0.posts.check(api.client(&request))?;
    must_be_form(request.headers())?;
    let body = api.read_body(request.into_body()).await?;
    let Some((token, _)) = find(api, Purpose::Manage, query, None).await? else {
        return Ok(unknown_link(api));
    };
    let mut fields = Fields::of_form(&body, &["action", "token"]);
    let now = api.0.clock.now();
    let until = |hours| now.checked_add(SignedDuration::from_hours(hours)).unwrap_or(Timestamp::MAX);
    let paused = fields.text("action").and_then(|action| match action.as_str() {
        "pause" => Some(Some(Timestamp::MAX)),
        "hour" => Some(Some(until(1))),
        "day" => Some(Some(until(24))),
        "resume" => Some(None),
        _ => {
            fields.wrong("action", "must be `pause`, `hour`, `day` or `resume`");
            None
        }
    });
    let change =
        SubscriptionChange { paused_until: Some(fields.finish(paused)?), ..SubscriptionChange::default() };
    match api.0.store.amend(&token.hash(), &change, now).await? {
        Amended::Changed(subscription) => Ok(api.message_page(StatusCode::OK, &api.managed(&subscription))),
        Amended::Ended(subscription) => Ok(ended(api, &subscription)),
        Amended::Conflict | Amended::Unknown => Ok(unknown_link(api)),
    }
}

/// Whether `all=true` is asked for.
fn wants_all(query: Option<&str>) -> Result<bool, Problem> {
    let all = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes())
        .find_map(|(name, value)| (name == "all").then_some(value));
    match all.as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(invalid("all", "must be `true` or `false`")),
    }
}

/// The subscription a request's token opens. The token stands in the query, or in the form of a POST.
async fn find(
    api: &Api,
    purpose: Purpose,
    query: Option<&str>,
    post: Option<Request>,
) -> Result<Option<(Token, Subscription)>, Problem> {
    let mut token = token_in(query.unwrap_or_default().as_bytes());
    if let Some(request) = post {
        // Read in any case, so that the connection can be used again.
        let form = posted(api, request).await?;
        token = token.or_else(|| token_in(&form));
    }
    let Some(token) = token else { return Ok(None) };
    let subscription = api.0.store.subscription_of(purpose, &token.hash()).await?;
    Ok(subscription.map(|subscription| (token, subscription)))
}

/// The body of a POST, where it is a form; else nothing.
async fn posted(api: &Api, request: Request) -> Result<Bytes, Problem> {
    let form = is_form(request.headers());
    let body = api.read_body(request.into_body()).await?;
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

fn token_in(form: &[u8]) -> Option<Token> {
    url::form_urlencoded::parse(form)
        .find(|(name, _)| name == "token")
        .and_then(|(_, text)| Token::parse(&text))
}

fn must_be_form(headers: &HeaderMap) -> Result<(), Problem> {
    if is_form(headers) {
        return Ok(());
    }
    let detail = "the body must be a form (`application/x-www-form-urlencoded`)";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail))
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Whether a form was sent from a page of ours, as far as the browser tells. `Sec-Fetch-Site` decides where
/// it is sent (secure contexts). Elsewhere `Origin` must be ours, or `null`: our own pages, too, send that,
/// as they ask for no referrer.
fn is_from_us(headers: &HeaderMap, public_url: &Url) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(site) = text("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    match text("origin") {
        None | Some("null") => true,
        Some(origin) => {
            let host = text("host").unwrap_or_default();
            let ours = public_url.origin().ascii_serialization();
            origin == ours
                || origin.split_once("://").is_some_and(|(_, rest)| !host.is_empty() && rest == host)
        }
    }
}

/// `NVDA volume`.
fn about(subscription: &Subscription) -> String {
    format!("{} {}", subscription.symbol, subscription.metric)
}

fn yes(subscription: &Subscription) -> &'static str {
    match subscription.channel.kind() {
        ChannelKind::Email => "Yes, mail me",
        ChannelKind::Webhook => "Yes, post alerts there",
    }
}

impl Api {
    /// What is told, when and how often.
    fn what_comes(&self, subscription: &Subscription) -> String {
        let Subscription { symbol, metric, rule, quiet, .. } = subscription;
        let promise = promise(&rule.rule(self.0.config.rule), *symbol, *metric);
        let told = match subscription.channel.kind() {
            ChannelKind::Email => "You will get a mail",
            ChannelKind::Webhook => "The webhook is told",
        };
        let waits = quiet.as_ref().map_or_else(String::new, |quiet| {
            format!(" In your quiet hours ({quiet}) alerts wait, and come together afterwards.")
        });
        format!("{told} {promise}.{waits}")
    }

    /// What there is to choose from. Ids are short, so that all of them fit into what is posted.
    fn ticks(&self, asked: &[Subscription]) -> Vec<Tick> {
        let tick = |one: &Subscription| Tick {
            value: one.id.to_string().replace('-', ""),
            title: about(one),
            text: self.what_comes(one),
        };
        asked.iter().map(tick).collect()
    }

    /// What became of a choice.
    fn settled(
        &self,
        activated: &[Subscription],
        declined: &[Subscription],
        refused: &[(Subscription, LimitExceeded)],
    ) -> Message {
        let list = |of: &[Subscription]| of.iter().map(about).collect::<Vec<_>>().join(", ");
        let mut dropped = match declined {
            [] => String::new(),
            _ => format!(" Dropped: {}.", list(declined)),
        };
        if let [(_, limit), ..] = refused {
            let waiting: Vec<_> = refused.iter().map(|(one, _)| one.clone()).collect();
            let why = sentence_of(&limit.to_string());
            dropped += &format!(
                " No room for: {}. {why} What waits can be confirmed by the same link, within its day, once there is room.",
                list(&waiting)
            );
        }
        match activated {
            [] if !refused.is_empty() => {
                Message::new(Tone::Bad, "There is no room for it now", dropped.trim_start())
            }
            [] => {
                let text =
                    format!("No alerts come of this.{dropped} To get them after all, please sign up again.");
                Message::new(Tone::Plain, "Nothing was confirmed", &text)
            }
            [one] => {
                let text = format!("{} Every mail has a link that ends it.{dropped}", self.what_comes(one));
                Message::new(Tone::Good, "You are subscribed", &text)
            }
            many => {
                let text =
                    format!("Alerts come for {}. Every mail has a link that ends it.{dropped}", list(many));
                Message::new(Tone::Good, "You are subscribed", &text)
            }
        }
    }

    fn already_confirmed(&self, subscription: &Subscription) -> Message {
        Message::new(Tone::Good, "You are subscribed already", &self.what_comes(subscription))
    }

    /// Where a subscription stands, and what can be done.
    fn managed(&self, subscription: &Subscription) -> Message {
        let what = self.what_comes(subscription);
        if !subscription.is_paused(self.0.clock.now()) {
            let title = format!("Alerts for {}", about(subscription));
            let choices = [("Snooze for an hour", "hour"), ("Snooze for a day", "day"), ("Pause", "pause")];
            return Message::new(Tone::Plain, &title, &what).offer(&choices);
        }
        let until = match subscription.paused_until {
            Some(until) if until < Timestamp::MAX => {
                format!("until {}", until.to_zoned_datetime(new_york()).strftime("%B %-d, %H:%M %Z"))
            }
            _ => "until you resume them".to_owned(),
        };
        let title = format!("Alerts for {} are paused", about(subscription));
        let text = format!("Nothing is sent {until}, nor told afterwards.");
        Message::new(Tone::Good, &title, &text).offer(&[("Resume", "resume")])
    }
}

fn unsubscribed(subscription: &Subscription) -> Message {
    let text = format!("No more alerts for {} will be sent to this address.", about(subscription));
    Message::new(Tone::Good, "You are unsubscribed", &text)
}

fn ended(api: &Api, subscription: &Subscription) -> Response {
    let text = format!("To get alerts for {} again, please sign up anew.", about(subscription));
    api.message_page(StatusCode::GONE, &Message::new(Tone::Bad, "This subscription has ended", &text))
}

fn too_old(api: &Api, subscription: &Subscription) -> Response {
    let text = format!(
        "Links are good for 24 hours. To get alerts for {}, please sign up again.",
        about(subscription)
    );
    api.message_page(StatusCode::GONE, &Message::new(Tone::Bad, "This link is too old", &text))
}

fn unknown_link(api: &Api) -> Response {
    let text = "It may be incomplete: mail programs break long links. Copy the whole link from the mail.";
    api.message_page(StatusCode::NOT_FOUND, &Message::new(Tone::Bad, "This link is not known here", text))
}

impl Api {
    /// A page that says one thing. Never kept: it may be about a token.
    pub(crate) fn message_page(&self, status: StatusCode, message: &Message) -> Response {
        match self.0.pages.message(message) {
            Ok(html) => {
                let mut response = (status, html).into_response();
                let headers = response.headers_mut();
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(HTML));
                headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
                response
            }
            Err(error) => {
                tracing::error!(%error, "a page could not be written");
                Problem::internal().into_response()
            }
        }
    }

    /// A problem, for people.
    pub(crate) fn problem_page(&self, problem: &Problem) -> Response {
        let title = problem.status.canonical_reason().unwrap_or("Error");
        let mut response =
            self.message_page(problem.status, &Message::new(Tone::Bad, title, &sentence_of(&problem.detail)));
        response.headers_mut().extend(problem.headers());
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_counts_as_ours_only_when_the_browser_does_not_say_otherwise() {
        let ours: Url = "https://qqq.example.org/".parse().unwrap();
        let from_us = |pairs: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            is_from_us(&headers, &ours)
        };
        assert!(from_us(&[]));
        assert!(from_us(&[("sec-fetch-site", "same-origin"), ("origin", "null")]));
        assert!(from_us(&[("sec-fetch-site", "none")]));
        assert!(from_us(&[("origin", "https://qqq.example.org")]));
        assert!(from_us(&[("origin", "http://127.0.0.1:8080"), ("host", "127.0.0.1:8080")]));
        assert!(from_us(&[("origin", "null")]));
        assert!(!from_us(&[("sec-fetch-site", "cross-site")]));
        assert!(!from_us(&[("sec-fetch-site", "same-site")]));
        assert!(!from_us(&[("origin", "https://evil.example")]));
        assert!(!from_us(&[("origin", "https://evil.example"), ("host", "qqq.example.org")]));
        assert!(!from_us(&[("origin", "http://qqq.example.org")]));
    }
}
