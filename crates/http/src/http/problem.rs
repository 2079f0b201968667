//! Errors as `application/problem+json` (RFC 9457): one table from what went wrong to what the client is
//! told.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use qqq_core::subscription::limits::LimitExceeded;
use qqq_engine::archive::ArchiveError;
use qqq_store::StoreError;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

/// What the client is told when a request fails. It says nothing of the inside: that goes to the log, under
/// the same request id.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) detail: String,
    pub(crate) errors: Vec<FieldError>,
    pub(crate) reasons: Vec<Reason>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) closes: bool,
    pub(crate) challenges: bool,
}

/// What is wrong with one field of a body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// Its name.
    #[schema(example = "email")]
    pub(crate) field: String,
    /// What is wrong, and what is allowed.
    #[schema(example = "must be a text")]
    pub(crate) detail: String,
}

/// Why the server is not ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = NotReadyReason)]
pub(crate) struct Reason {
    /// What was looked at: `store`, `cache`, `feed`, `bars` or `clock`.
    #[schema(example = "bars")]
    pub(crate) check: &'static str,
    /// What was found.
    #[schema(example = "the market is open and no bar has come for 240 s")]
    pub(crate) detail: String,
}

/// A problem document (RFC 9457). The members stand in the order they are written.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Document<'a> {
    /// Always `about:blank`: the status says what kind of problem it is, `code` says it closer.
    #[schema(example = "about:blank")]
    r#type: &'static str,
    /// The status in words.
    #[schema(example = "Not Found")]
    title: &'static str,
    /// The status.
    #[schema(minimum = 400, maximum = 599, example = 404)]
    status: u16,
    /// What was wrong and what is allowed, for people.
    #[schema(example = "`IBM` is not tracked; /v1/symbols lists what is")]
    detail: &'a str,
    /// What was wrong, for programs. Stays as it is once given.
    #[schema(example = "unknown_ticker")]
    code: &'static str,
    /// The fields of the body that are wrong, if any.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false)]
    errors: &'a [FieldError],
    /// Why the server is not ready, if that was asked.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false)]
    reasons: &'a [Reason],
    /// What to quote: the log is searched for it. Also in the header `x-request-id`.
    #[schema(example = "9f86d081884c7d65")]
    request_id: &'a str,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self {
            status,
            code,
            detail,
            errors: Vec::new(),
            reasons: Vec::new(),
            retry_after: None,
            closes: false,
            challenges: false,
        }
    }

    pub(crate) fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    pub(crate) fn not_found(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// Repeats only so much of what was asked for as fits a sentence.
    pub(crate) fn not_tracked(ticker: &str) -> Self {
        let shown: String = ticker.chars().take(32).collect();
        Self::not_found("unknown_ticker", format!("`{shown}` is not tracked; /v1/symbols lists what is"))
    }

    /// Well-formed JSON that asks for something impossible. The detail names every field that is wrong.
    pub(crate) fn unprocessable(errors: Vec<FieldError>) -> Self {
        let detail: Vec<_> =
            errors.iter().map(|error| format!("{}: {}", error.field, error.detail)).collect();
        let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_field", detail.join("; "));
        Self { errors, ..problem }
    }

    /// More than a receiver, or all of them together, may have. `of_receiver` is the field to be told of what
    /// a receiver has.
    pub(crate) fn beyond(limit: LimitExceeded, of_receiver: &str) -> Self {
        let field = match limit {
            LimitExceeded::PerReceiver(_) => of_receiver,
            LimitExceeded::RulesPerReceiver(_) | LimitExceeded::Rules(_) => "rule",
        };
        let error = FieldError { field: field.to_owned(), detail: limit.to_string() };
        Self { code: "limit_exceeded", ..Self::unprocessable(vec![error]) }
    }

    pub(crate) fn too_many(wait: Duration) -> Self {
        let seconds = whole_seconds(wait);
        let detail = format!("too many requests from your address: try again in {seconds} s");
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail).after(wait)
    }

    pub(crate) fn too_many_streams(wait: Duration) -> Self {
        let detail = "too many streams from your address: close one first";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_streams", detail).after(wait)
    }

    pub(crate) fn unavailable(code: &'static str, detail: impl Into<String>, wait: Duration) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).after(wait)
    }

    pub(crate) fn internal() -> Self {
        let detail = "something went wrong here; the log has more under this request id";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    /// The problem of a status that carries no words of its own, such as the router's 405.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let (code, detail) = match status {
            StatusCode::NOT_FOUND => ("not_found", "there is nothing at this path"),
            StatusCode::METHOD_NOT_ALLOWED => {
                ("method_not_allowed", "this path does not take the method; `Allow` lists those it takes")
            }
            StatusCode::BAD_REQUEST => ("bad_request", "the request cannot be understood"),
            status if status.is_client_error() => ("refused", "the request was refused"),
            _ => return Self { status, ..Self::internal() },
        };
        Self::new(status, code, detail)
    }

    /// Says how to be let in (RFC 6750 section 3).
    pub(crate) fn challenging(self) -> Self {
        Self { challenges: true, ..self }
    }

    /// Ends the connection: what is left of the request must not be taken for the next one.
    pub(crate) fn closing(self) -> Self {
        Self { closes: true, ..self }
    }

    fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The answer itself. `request_id` is what a user quotes and the log is searched for.
    pub(crate) fn render(&self, request_id: &str) -> Response {
        let document = Document {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
            errors: &self.errors,
            reasons: &self.reasons,
            request_id,
        };
        // A document of plain texts always serialises; an empty body would still carry the status.
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for (name, value) in self.headers() {
            headers.insert(name, value);
        }
        response
    }

    /// The headers that belong to the problem whatever its body looks like.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> + use<> {
        let wait = self.retry_after.map(|wait| (header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait))));
        let close = self.closes.then_some((header::CONNECTION, HeaderValue::from_static("close")));
        let bearer =
            self.challenges.then_some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        wait.into_iter().chain(close).chain(bearer)
    }
}

/// Rounded up: a client that waits so long is not refused again.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::BeyondLimit(limit) => return Self::beyond(limit, "receiver"),
            StoreError::Busy => tracing::warn!("the store is busy"),
            // The store says so in the log, once: every request here would say it again.
            StoreError::NoRoom(_) => {
                let detail =
                    "nothing can be written now, as the disk here is full: what is stored can be read";
                return Self::unavailable("no_room", detail, Duration::from_secs(30));
            }
            ref other => tracing::error!(error = %other, "the store could not answer a request"),
        }
        Self::unavailable("store_unavailable", "the store does not answer now", Duration::from_secs(5))
    }
}

impl From<ArchiveError> for Problem {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::Store(error) => error.into(),
            error => {
                tracing::error!("{error}");
                let detail = "a file of the archive cannot be read: the log says which";
                Self::unavailable("archive_unreadable", detail, Duration::from_secs(60))
            }
        }
    }
}

impl IntoResponse for Problem {
    /// Leaves the body to [`layer::around`](crate::http::layer::around), which knows the request id.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
