//! `POST /subscribe`: the legacy sign-up.

use crate::api::Api;
use crate::dto::words::{SubscriptionStatusWord, TickerText};
use crate::handlers::sign_up::sign_up_of_json;
use crate::http::problem::Problem;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use qqq_contract::words::MetricWord;
use qqq_core::Channel;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The fields of the legacy sign-up.
pub(crate) const LEGACY: [&str; 3] = ["email", "metric", "ticker"];

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

/// `POST /subscribe`.
#[utoipa::path(
    post,
    path = "/subscribe",
    tag = "original",
    operation_id = "subscribe",
    summary = "Ask for mail about a symbol",
    description = "Where there is something to confirm, a mail with a link goes to the address, at most one \
        in 10 minutes and 3 a day; what is asked for meanwhile is shown by the link of the last one, and by \
        that of the next. The link shows and confirms all that was asked for the address. \
        The answer is the same whether the address is new, known or suppressed.",
    request_body(content = SignUpIn, content_type = "application/json"),
    responses(
        (status = 201, description = "Taken", body = SubscribedOut),
        (status = 400, description = "The body is not JSON"),
        (status = 408),
        (status = 413, description = "The body is over 16 KiB"),
        (status = 415, description = "The body is not sent as `application/json`"),
        (status = 422),
        (status = 429),
        (status = 503,
            description = "Too many sign-ups wait for their mail already, or the store does not answer now"),
    ),
)]
pub(crate) async fn subscribe(State(api): State<Api>, request: Request) -> Result<Response, Problem> {
    let (wish, standing) = sign_up_of_json(&api, request, &LEGACY).await?;
    let subscribed = SubscribedOut {
        ticker: wish.scopes.first().map_or_else(String::new, ToString::to_string),
        metric: wish.metric.as_str(),
        email: match &wish.channel {
            Channel::Email(address) => address.expose().to_owned(),
            Channel::Webhook(_) | Channel::Push(_) => String::new(),
        },
        status: standing.as_str(),
    };
    Ok((StatusCode::CREATED, Json(subscribed)).into_response())
}
