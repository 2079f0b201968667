//! The API's own description (OpenAPI 3.1): collected from the routes, completed, and told at `/openapi.json`.
//!
//! A handler's `#[utoipa::path]` says what is special about it. What all answers have in common is said here once
//! ([`complete`]): request ids, the bodies of problems, what comes with an `ETag`, the statuses that any request
//! may get.

use crate::Api;
use crate::answer::Answer;
use crate::problem::Document;
use crate::routes;
use crate::rule::RuleShape;
use crate::snapshot::Figured;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use qqq_core::calendar::Market;
use qqq_core::channel::{ChannelKind, WebhookFormat};
use qqq_core::delivery::DeliveryKind;
use qqq_core::{AlertState, FeedMode, Interval, Metric, Phase};
use qqq_store::DeliveryState;
use std::borrow::Cow;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{AnyOfBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, Response as Described, ResponseBuilder};
use utoipa::{Modify, OpenApi as _, PartialSchema, ToSchema};

/// What stands at the head of the description.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "QQQ Tracker",
        description = "Watches the price and volume of stocks and tells people when something unusual happens.\n\n\
            Times are RFC 3339, UTC. Prices are dollars and volumes shares, written as exact decimal numbers. A value \
            that does not exist is `null`. Errors are `application/problem+json` (RFC 9457), and a page where `Accept` likes `text/html` \
            better. Tickers are understood in any case, share classes in any spelling (`BRK-B` is BRK.B), former symbols \
            too: `FB` is META. Query parameters that a path under `/v1` does not know are refused.\n\n\
            Answers for readers carry an `ETag`: ask again with `If-None-Match` and an unchanged answer costs a 304. \
            They are compressed with `br`, `zstd` or `gzip`, as `Accept-Encoding` likes best.",
        license(name = "MIT OR Apache-2.0"),
    ),
    servers((url = "/", description = "The server that told this")),
    tags(
        (name = "symbols", description = "Symbols, their bars and rankings"),
        (name = "alerts", description = "What was unusual"),
        (name = "subscriptions", description = "Mails and webhooks about it"),
        (name = "backtests", description = "What a rule would have told"),
        (name = "original", description = "The first endpoints, kept for good"),
        (name = "service", description = "The server about itself"),
    ),
    components(schemas(Document<'static>, MetricWord, RankedByWord, IntervalWord, TickerText, MomentText, RuleShape)),
    modifiers(&Security),
)]
struct Head;

/// Names the bearer token of a subscription.
struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut OpenApi) {
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description =
            Some("The token of one subscription, from the message that asked to confirm it.".to_owned());
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("subscription", SecurityScheme::Http(bearer));
    }
}

/// The description of all routes.
pub(crate) fn document() -> OpenApi {
    let mut document = Head::openapi();
    document.merge(routes::documented().into_openapi());
    complete(&mut document);
    document
}

/// The description as the file `docs/openapi.json` holds it and `/openapi.json` tells it: JSON, indented.
pub fn openapi() -> String {
    // Plain maps of texts always serialise.
    let mut text = document().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// `GET /openapi.json`.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "service",
    operation_id = "getOpenApi",
    summary = "This description",
    description = "OpenAPI 3.1. For people: `/docs`.",
    responses((status = 200, description = "The description", body = Object), (status = 304)),
)]
pub(crate) async fn openapi_json(State(api): State<Api>, headers: HeaderMap) -> Response {
    api.0.openapi.respond(&headers)
}

/// `GET /docs`.
#[utoipa::path(
    get,
    path = "/docs",
    tag = "service",
    operation_id = "getDocs",
    summary = "This description, for people",
    responses((status = 200, description = "A page", body = String, content_type = "text/html"), (status = 304)),
)]
pub(crate) async fn docs(State(api): State<Api>, headers: HeaderMap) -> Response {
    api.0.docs.respond(&headers)
}

/// The answer of `/openapi.json`.
pub(crate) fn answer() -> Answer {
    Answer::json(openapi().into_bytes())
}

/// A text that is one of a few words: `Name`, what they say, the words.
macro_rules! words {
    ($($(#[doc = $doc:literal])* $type:ident = $name:literal, $words:expr;)*) => {$(
        $(#[doc = $doc])*
        pub(crate) struct $type;

        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                let description = concat!($($doc),*).trim();
                let words = ObjectBuilder::new().schema_type(Type::String).description(Some(description));
                words.enum_values(Some($words)).into()
            }
        }

        impl ToSchema for $type {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed($name)
            }
        }
    )*};
}

words! {
    /// What is watched: the close (`price`) or the volume of bars.
    MetricWord = "Metric", Metric::ALL.map(Metric::as_str);
    /// The figure that symbols are ranked by.
    RankedByWord = "RankedBy", Figured::ALL.map(Figured::as_str);
    /// How much time a bar covers. Longer ones are aligned to the session's open, not to the hour or the UTC day.
    IntervalWord = "Interval", Interval::ALL.map(Interval::as_str);
    /// What the market does: `pre` and `post` are the hours around the regular session.
    SessionWord = "Session",
        [Phase::Closed, Phase::Pre, Phase::Regular, Phase::Post].map(Phase::as_str);
    /// Which days and hours count: those of the US exchanges, or every minute.
    CalendarWord = "Calendar", [Market::Xnys, Market::Xnas, Market::Always].map(Market::as_str);
    /// Whose time a feed lives in: the wall clock's, an invented one, that of a recording.
    FeedModeWord = "FeedMode",
        [FeedMode::Live, FeedMode::Simulated, FeedMode::Replayed].map(FeedMode::as_str);
    /// What a message tells.
    DeliveryKindWord = "DeliveryKind", DeliveryKind::ALL.map(DeliveryKind::as_str);
    /// How a message failed: refused for good, or not accepted while it was worth sending.
    FailureWord = "DeliveryFailureState",
        [DeliveryState::Failed, DeliveryState::Expired].map(DeliveryState::as_str);
    /// Whether an alert stands.
    AlertStateWord = "AlertState", [AlertState::Raised, AlertState::Retracted].map(AlertState::as_str);
    /// `pending` until the receiver has confirmed.
    SubscriptionStatusWord = "SubscriptionStatus", ["pending", "active"];
    /// Where a subscription stands: `unsubscribed` and `disabled` ones have ended for good.
    SubscriptionStateWord = "SubscriptionState", ["pending", "active", "unsubscribed", "disabled"];
    /// How alerts are told.
    ChannelWord = "Channel", ChannelKind::ALL.map(ChannelKind::as_str);
    /// In whose words a webhook is told: signed JSON for programs (Standard Webhooks), or those of a service.
    WebhookFormatWord = "WebhookFormat", WebhookFormat::ALL.map(WebhookFormat::as_str);
    /// The kind of a rule.
    RuleKindWord = "RuleKind", ["spike", "zscore", "move", "cross", "time_of_day"];
}

/// A ticker in a path or query.
pub(crate) struct TickerText;

impl PartialSchema for TickerText {
    fn schema() -> RefOr<Schema> {
        text(
            "^[A-Za-z0-9][A-Za-z0-9.\\-/ ]{0,11}$",
            "A ticker, in any case; a share class in any spelling (`BRK.B`, `BRK-B`, `BRK/B`, `BRK B`); former symbols \
             too.",
            "META",
        )
    }
}

impl ToSchema for TickerText {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Ticker")
    }
}

/// A moment in a query or a body.
pub(crate) struct MomentText;

impl PartialSchema for MomentText {
    fn schema() -> RefOr<Schema> {
        let text = |format| {
            ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(format)))
        };
        AnyOfBuilder::new()
            .item(text(KnownFormat::DateTime))
            .item(text(KnownFormat::Date))
            .description(Some("A time, or a day: midnight in New York."))
            .examples(["2025-01-31T14:30:00Z", "2025-01-31"])
            .into()
    }
}

impl ToSchema for MomentText {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Moment")
    }
}

fn text(pattern: &str, description: &str, example: &str) -> RefOr<Schema> {
    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern));
    text.description(Some(description)).examples([example]).into()
}

/// Statuses that mean the same wherever they have no words of their own: name, meaning.
const USUAL: [(&str, &str, &str); 14] = [
    ("304", "NotModified", "`If-None-Match` names this answer: it has not changed"),
    (
        "400",
        "BadRequest",
        "The request cannot be understood: a parameter is unknown, given twice, or out of range",
    ),
    ("401", "Unauthorized", "The request carries no token, or the wrong one"),
    ("404", "NotFound", "There is no such thing"),
    ("406", "NotAcceptable", "`Accept` or `Accept-Encoding` allows no form of this answer"),
    ("408", "RequestTimeout", "The body did not arrive in time"),
    ("409", "Conflict", "What is asked for contradicts what is there"),
    ("410", "Gone", "It was there, and has ended"),
    ("413", "ContentTooLarge", "The body is too long"),
    ("415", "UnsupportedMediaType", "The body is of another type than this path reads"),
    (
        "422",
        "Unprocessable",
        "The body is well-formed and asks for something impossible: `errors` names the fields",
    ),
    ("429", "TooManyRequests", "Too many requests from this network"),
    ("500", "InternalError", "Something went wrong here; the log has more under the request id"),
    ("503", "Unavailable", "The store does not answer now, or not in time"),
];

/// Headers of answers: name, pattern, meaning.
const HEADERS: [(&str, &str, &str); 5] = [
    ("x-request-id", "^[0-9a-f]{16}$", "Names the request in the log."),
    ("etag", "^\"[A-Za-z0-9_-]+\"$", "Names this answer in this coding; strong."),
    ("cache-control", "^[a-z0-9=, -]+$", "Whether it may be kept, and must be asked about before use."),
    ("vary", "^[A-Za-z, -]+$", "Which request headers the answer depends on."),
    ("retry-after", "^[0-9]+$", "Seconds after which to ask again."),
];

/// Adds what all operations have in common.
fn complete(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    for (name, pattern, meaning) in HEADERS {
        let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern));
        let header = HeaderBuilder::new().schema(Some(text)).description(Some(meaning)).build();
        components.headers.insert(name.to_owned(), header.into());
    }
    for (status, name, meaning) in USUAL {
        let mut response = ResponseBuilder::new().description(meaning).build();
        complete_response(status, &mut response, status == "304");
        components.responses.insert(name.to_owned(), response.into());
    }
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete];
        operations.into_iter().flatten().for_each(complete_operation);
    }
}

fn complete_operation(operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    // A server may always answer so: the request names no host, a bug, a store that is away.
    for status in ["400", "500", "503"] {
        responses.entry(status.to_owned()).or_insert_with(|| Described::new("").into());
    }
    let cached = responses.contains_key("304");
    if cached {
        responses.entry("406".to_owned()).or_insert_with(|| Described::new("").into());
    }
    for (status, response) in responses {
        let RefOr::T(described) = response else { continue };
        let usual = USUAL.iter().find(|(usual, ..)| usual == status);
        match usual {
            Some((_, name, _)) if described.description.is_empty() => {
                *response = Ref::from_response_name(*name).into();
            }
            _ => complete_response(status, described, cached),
        }
    }
}

/// Adds an answer's headers, and a problem's body: a document for programs, a page for people.
fn complete_response(status: &str, response: &mut Described, cached: bool) {
    if status.starts_with(['4', '5']) && response.content.is_empty() {
        let problem = Ref::from_schema_name(<Document<'static> as ToSchema>::name());
        let problem = ContentBuilder::new().schema(Some(problem)).build();
        response.content.insert("application/problem+json".to_owned(), problem.into());
        let page = ContentBuilder::new().schema(Some(String::schema())).build();
        response.content.insert("text/html".to_owned(), page.into());
    }
    let mut names = vec!["x-request-id"];
    if cached && matches!(status, "200" | "304") {
        names.extend(["etag", "cache-control", "vary"]);
    }
    if matches!(status, "429" | "503") {
        names.push("retry-after");
    }
    for name in names {
        let header = Ref::new(format!("#/components/headers/{name}"));
        response.headers.insert(name.to_owned(), RefOr::Ref(header));
    }
}
