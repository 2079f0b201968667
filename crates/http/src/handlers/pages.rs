//! The form to sign up without scripts, and the style of all such pages.

use crate::api::Api;
use crate::handlers::sign_up::{self, wish_of};
use crate::handlers::subscribe::LEGACY;
use crate::http::answer::Answer;
use crate::http::body::read_body;
use crate::http::fields::Fields;
use crate::http::form::{is_from_us, must_be_form};
use crate::http::problem::Problem;
use crate::page::{Message, Tone};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use qqq_contract::sentence;
use qqq_core::Metric;
use qqq_engine::subscribe::Standing;
use serde::Serialize;

/// `GET /assets/style.css`.
pub(crate) async fn style(State(api): State<Api>, headers: HeaderMap) -> Response {
    api.0.pages.style.respond(&headers)
}

/// `GET /assets/local-times.js`.
pub(crate) async fn local_times(State(api): State<Api>, headers: HeaderMap) -> Response {
    api.0.pages.local_times.respond(&headers)
}

#[derive(Serialize)]
struct SubscribePage {
    rule: String,
    window: String,
    confirm: bool,
    /// What may be asked for, the most usual first.
    metrics: Vec<&'static str>,
    /// They in a sentence.
    watched: String,
}

/// `GET /subscribe/form`.
pub(crate) async fn subscribe_form(State(api): State<Api>, headers: HeaderMap) -> Result<Response, Problem> {
    let rule = api.0.config.rule;
    let mut metrics: Vec<&str> = api.0.calendar.metrics().iter().map(Metric::as_str).collect();
    metrics.sort_by_key(|&metric| metric != Metric::Volume.as_str());
    let content = SubscribePage {
        rule: rule.ratio.to_string(),
        window: sentence::span(rule.window),
        confirm: api.0.config.confirm,
        watched: one_of(&metrics),
        metrics,
    };
    let html = api.0.pages.render("subscribe.html", &content).map_err(|error| {
        tracing::error!(%error, "a page could not be written");
        Problem::internal()
    })?;
    Ok(Answer::html(html).respond(&headers))
}

/// `volume or price`, `volume, price or trades`.
fn one_of(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// `POST /subscribe/form`: the form that does without scripts. The same rules and limits as `POST
/// /subscribe`.
pub(crate) async fn subscribe(State(api): State<Api>, request: Request) -> Response {
    match signed_up(&api, request).await {
        Ok(response) => response,
        Err(problem) => api.0.pages.problem(&problem),
    }
}

async fn signed_up(api: &Api, request: Request) -> Result<Response, Problem> {
    let client = api.client(&request);
    api.0.posts.check(client)?;
    if !is_from_us(request.headers(), &api.0.config.public_url) {
        let detail = "this form may only be sent from its own page";
        return Err(Problem::new(StatusCode::FORBIDDEN, "cross_site", detail));
    }
    must_be_form(request.headers())?;
    let body = read_body(&api.0.config.limits, request.into_body()).await?;
    let wish = wish_of(api, Fields::of_form(&body, &LEGACY))?;
    let standing = sign_up::sign_up(api, client, &wish).await?;
    let about: Vec<_> = wish.scopes.iter().map(|scope| sentence::about(*scope, wish.metric)).collect();
    let about = about.join(", ");
    let message = match standing {
        Standing::Pending => Message::new(
            Tone::Good,
            "It begins once it is confirmed",
            &format!(
                "If there is something to confirm at this address, and it can be mailed, a mail with a link \
                 goes to it: usually within a minute, later where very many sign up at once. Within ten \
                 minutes of the last such mail, and after three in a day, no further one is sent yet; \
                 the link of the last one shows this as well. Alerts for {about} begin when it is confirmed \
                 there."
            ),
        ),
        Standing::Active => {
            Message::new(Tone::Good, "You are subscribed", &format!("Alerts for {about} begin now."))
        }
    };
    Ok(api.0.pages.answer(StatusCode::CREATED, &message))
}
