//! The API's own description (OpenAPI 3.1): collected from the routes, completed, and told at
//! `/openapi.json`.
//!
//! A handler's `#[utoipa::path]` says what is special about it. What all answers have in common is said here
//! once ([`complete`]): request ids, the bodies of problems, what comes with an `ETag`, the statuses that any
//! request may get.

use crate::dto::words::{IntervalWord, MomentText, RankedByWord, TickerText};
use crate::http::problem::Document;
use crate::routes;
use qqq_contract::rule::RuleShape;
use qqq_contract::words::MetricWord;
use qqq_core::MetricSet;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, Response as Described, ResponseBuilder};
use utoipa::{Modify, OpenApi as _, PartialSchema, ToSchema};

/// What stands at the head of the description.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "QQQ Tracker",
        description = "Watches the price and volume of stocks and tells people when something unusual \
            happens.\n\n\
            Times are RFC 3339, UTC. Prices are dollars and volumes shares, written as exact decimal \
            numbers. A value that does not exist is `null`. Errors are `application/problem+json` \
            (RFC 9457), and a page where `Accept` likes `text/html` better. Tickers are understood in any \
            case, share classes in any spelling (`BRK-B` is BRK.B), former symbols too: `FB` is META. \
            Query parameters that a path under `/v1` does not know are refused.\n\n\
            Answers for readers carry an `ETag`: ask again with `If-None-Match` and an unchanged answer \
            costs a 304. They are compressed with `br`, `zstd` or `gzip`, as `Accept-Encoding` likes best.",
        license(name = "MIT OR Apache-2.0"),
    ),
    servers((url = "/", description = "The server that told this")),
    tags(
        (name = "symbols", description = "Symbols, their bars and rankings"),
        (name = "alerts", description = "What was unusual"),
        (name = "subscriptions", description = "Mails and webhooks about it"),
        (name = "account", description = "What is one's own, once signed in by a link in a mail"),
        (name = "backtests", description = "What a rule would have told"),
        (name = "original", description = "The first endpoints, kept for good"),
        (name = "operators", description = "What operators change and mend"),
        (name = "service", description = "The server about itself"),
    ),
    components(schemas(
        Document<'static>, MetricWord, RankedByWord, IntervalWord, TickerText, MomentText, RuleShape,
    )),
    modifiers(&Security),
)]
struct Head;

/// Names the bearer token of a subscription, and the cookie of who is signed in.
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
        let cookie = "The cookie that a browser got when it was signed in; `__Host-qqq_session` where this \
            is reached by https. What changes something must say that a page of this site asks for it: \
            `Sec-Fetch-Site: same-origin`, or its `Origin`.";
        let cookie = ApiKey::Cookie(ApiKeyValue::with_description("qqq_session", cookie));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("session", SecurityScheme::ApiKey(cookie));
    }
}

/// The description of all routes.
pub(crate) fn document() -> OpenApi {
    let mut document = Head::openapi();
    document.merge(routes::documented().into_openapi());
    complete(&mut document);
    document
}

/// The description as the file `docs/openapi.json` holds it: JSON, indented. Of every metric there is.
pub fn openapi() -> String {
    written(&document())
}

/// The description as `/openapi.json` tells it: the same of the metrics that this server tracks.
pub(crate) fn openapi_of(metrics: MetricSet) -> String {
    let mut document = document();
    let name = <MetricWord as ToSchema>::name();
    let schemas = document.components.as_mut().map(|components| &mut components.schemas);
    if let Some(RefOr::T(Schema::Object(metric))) = schemas.and_then(|schemas| schemas.get_mut(&*name)) {
        metric.enum_values = Some(metrics.iter().map(|metric| metric.as_str().into()).collect());
    }
    written(&document)
}

fn written(document: &OpenApi) -> String {
    // Plain maps of texts always serialise.
    let mut text = document.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
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
        let operations = [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
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
