//! What surrounds every request: its id, its log span, its deadline, the net under a panic, and the headers
//! of every answer.

use crate::api::Api;
use crate::config::FrameAncestor;
use crate::http::client::Peer;
use crate::http::error_page::Visit;
use crate::http::problem::Problem;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use std::fmt::Write as _;
use std::panic::AssertUnwindSafe;
use std::time::Duration;
use tokio::time::Instant;
use tracing::Instrument;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// No scripts, styles, images, frames or forms but our own, nothing inline. Whose frame it may be in, comes
/// after it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; manifest-src 'self'; frame-src 'self'; base-uri 'none'; \
    object-src 'none'; form-action 'self'; \
    frame-ancestors ";

/// What an answer says that says nothing else. Tokens travel in addresses, so no referrer leaves; nothing is
/// guessed from content; nobody else's window holds ours.
const USUALLY: [(&str, &str); 3] = [
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
];

/// Runs the rest of the router for one request and finishes its answer.
pub(crate) async fn around(State(api): State<Api>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id();
    let method = request.method().clone();
    let visit = Visit::of(&request);
    let ancestors = ancestors(&api.0.config.frame_ancestors, request.uri().path());
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let route = route.as_deref().unwrap_or("unmatched");
    // Neither query (it may hold a token) nor path (it may hold anything) nor address.
    let span = tracing::info_span!("request", id = %id, %method, route);

    let run = tokio::time::timeout(time_for(&api, &method), async {
        if names_its_host(&request) {
            return next.run(request).await;
        }
        let detail = "the request must say once which host it is for";
        Problem::bad_request("no_host", detail).closing().into_response()
    });
    let answered = AssertUnwindSafe(run).catch_unwind().instrument(span.clone()).await;
    let _entered = span.enter();
    let response = match answered {
        Ok(Ok(response)) => problems_in_words(&api, response, visit.as_ref(), &id),
        Ok(Err(_elapsed)) => {
            tracing::warn!("no answer within the deadline");
            let problem =
                Problem::unavailable("too_slow", "no answer could be made in time", Duration::from_secs(5));
            api.tell(&problem, visit.as_ref(), &id)
        }
        Err(_panic) => {
            tracing::error!("a handler panicked");
            api.tell(&Problem::internal(), visit.as_ref(), &id)
        }
    };
    let response = with_headers(&api, response, &ancestors, &id);
    let status = response.status();
    api.0.metrics.answered(&method, route, status, started.elapsed());
    tracing::debug!(status = status.as_u16(), elapsed_us = started.elapsed().as_micros() as u64, "answered");
    response
}

/// Whether a request that came over a connection has the one `Host` it must have (RFC 9112 section 3.2): of
/// none or two, two servers may think differently.
fn names_its_host(request: &Request) -> bool {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    let over_a_connection = request.extensions().get::<Peer>().is_some();
    hosts == 1 || !over_a_connection || (hosts == 0 && request.version() == Version::HTTP_10)
}

/// A request with a body has the time to send it besides.
fn time_for(api: &Api, method: &Method) -> Duration {
    let limits = &api.0.config.limits;
    match *method {
        Method::GET | Method::HEAD => limits.handler,
        _ => limits.handler + limits.body_read,
    }
}

/// Writes the body of a problem, also for errors that come from the router and say nothing themselves.
fn problems_in_words(api: &Api, mut response: Response, visit: Option<&Visit>, id: &str) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        None if is_page(response.headers()) => return response,
        None => Problem::of_status(status),
    };
    let allow = response.headers_mut().remove(header::ALLOW);
    let mut rendered = api.tell(&problem, visit, id);
    if let (StatusCode::METHOD_NOT_ALLOWED, Some(allow)) = (status, allow) {
        rendered.headers_mut().insert(header::ALLOW, allow);
    }
    rendered
}

fn is_page(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}

/// Whose frame an answer may be in; empty: nobody's. A page that a link from a message leads to is in
/// nobody's: its button does what the link allows.
fn ancestors(allowed: &[FrameAncestor], path: &str) -> String {
    if path.starts_with("/v1/") {
        return String::new();
    }
    allowed.iter().map(FrameAncestor::to_string).collect::<Vec<_>>().join(" ")
}

fn with_headers(api: &Api, mut response: Response, ancestors: &str, id: &str) -> Response {
    let headers = response.headers_mut();
    // A mail of the mailbox has its own.
    let has_policy = headers.contains_key(header::CONTENT_SECURITY_POLICY);
    let allowed = if ancestors.is_empty() { "'none'" } else { ancestors };
    if !has_policy && let Ok(policy) = HeaderValue::try_from(format!("{CONTENT_SECURITY_POLICY}{allowed}")) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    if !has_policy && ancestors.is_empty() {
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    }
    for (name, value) in USUALLY {
        headers.entry(HeaderName::from_static(name)).or_insert(HeaderValue::from_static(value));
    }
    if api.0.config.public_url.scheme() == "https" {
        let value = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    response
}

/// 64 random bits in hexadecimal: enough to find one request in a log.
fn request_id() -> String {
    let mut bytes = [0; 8];
    // Without randomness ids repeat; requests are answered all the same.
    let _ = getrandom::fill(&mut bytes);
    bytes.iter().fold(String::with_capacity(16), |mut id, byte| {
        let _ = write!(id, "{byte:02x}");
        id
    })
}
