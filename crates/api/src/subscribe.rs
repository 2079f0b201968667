//! Sign-ups: `POST /subscribe`, and what it shares with the form on the page.

use crate::Api;
use crate::openapi::{MetricWord, SubscriptionStatusWord, TickerText};
use crate::problem::{FieldError, Problem};
use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body as _;
use qqq_core::subscription::{EmailAddress, SubscriptionId};
use qqq_core::{Metric, Symbol};
use qqq_store::SignUp;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::fmt;
use std::net::IpAddr;
use utoipa::ToSchema;

/// The fields of a sign-up, in the order their errors are told.
const FIELDS: [&str; 3] = ["email", "metric", "ticker"];

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

/// A sign-up in the domain's terms.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) email: EmailAddress,
    pub(crate) metric: Metric,
    pub(crate) symbol: Symbol,
}

/// `POST /subscribe`.
#[utoipa::path(
    post,
    path = "/subscribe",
    tag = "original",
    operation_id = "subscribe",
    summary = "Ask for mail about a symbol",
    description = "A mail with a link to confirm goes to the address, at most one in 10 minutes and 3 a day. The answer is \
        the same whether the address is new, known or suppressed.",
    request_body(content = SignUpIn, content_type = "application/json"),
    responses(
        (status = 201, description = "Taken", body = SubscribedOut),
        (status = 400, description = "The body is not JSON"),
        (status = 408),
        (status = 413, description = "The body is over 16 KiB"),
        (status = 415, description = "The body is not sent as `application/json`"),
        (status = 422),
        (status = 429),
    ),
)]
pub(crate) async fn subscribe(State(api): State<Api>, request: Request) -> Result<Response, Problem> {
    let client = api.client(&request);
    api.0.posts.check(client)?;
    if !is_json(request.headers()) {
        let detail = "the body must be JSON, sent with `content-type: application/json`";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
    }
    let body = api.read_body(request.into_body()).await?;
    let wanted = api.wanted(&fields_of_json(&body)?)?;
    let status = api.sign_up(client, &wanted).await?;
    let subscribed = SubscribedOut {
        ticker: wanted.symbol.to_string(),
        metric: wanted.metric.as_str(),
        email: wanted.email.expose().to_owned(),
        status,
    };
    Ok((StatusCode::CREATED, Json(subscribed)).into_response())
}

impl Api {
    /// Reads a body within its limits of size and time.
    pub(crate) async fn read_body(&self, body: Body) -> Result<Bytes, Problem> {
        let limits = &self.0.config.limits;
        let too_large = || {
            let detail = format!("the body must not be longer than {} bytes", limits.body);
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail).closing()
        };
        if body.size_hint().lower() > limits.body as u64 {
            return Err(too_large());
        }
        let read = Limited::new(body, limits.body).collect();
        match tokio::time::timeout(limits.body_read, read).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
            Ok(Err(_)) => Err(Problem::bad_request("broken_body", "the body broke off")),
            Err(_elapsed) => {
                let detail = format!("the body did not arrive within {} s", limits.body_read.as_secs());
                Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", detail).closing())
            }
        }
    }

    /// Takes a sign-up's fields for what they mean, or says of each what is wrong.
    pub(crate) fn wanted(&self, fields: &[(String, Value)]) -> Result<Wanted, Problem> {
        let mut errors = Vec::new();
        let mut wrong = |field: &str, detail: String| {
            let field = field.chars().take(64).collect();
            errors.push(FieldError { field, detail });
        };
        let mut texts = [None, None, None];
        for (text, name) in texts.iter_mut().zip(FIELDS) {
            let mut given = fields.iter().filter(|(field, _)| field == name).map(|(_, value)| value);
            match (given.next(), given.next()) {
                (Some(Value::String(value)), None) => *text = Some(value.as_str()),
                (Some(_), None) => wrong(name, "must be a text".to_owned()),
                (Some(_), Some(_)) => wrong(name, "is given twice".to_owned()),
                (None, _) => wrong(name, "is missing".to_owned()),
            }
        }
        for (field, _) in fields.iter().filter(|(field, _)| !FIELDS.contains(&field.as_str())) {
            wrong(field, format!("is not known here; the fields are {}", FIELDS.join(", ")));
        }
        let [email, metric, ticker] = texts;
        let email = email.and_then(|text| {
            text.trim().parse::<EmailAddress>().map_err(|error| wrong("email", error.to_string())).ok()
        });
        let metric = metric
            .and_then(|text| text.parse::<Metric>().map_err(|error| wrong("metric", error.to_string())).ok());
        let symbol = ticker.and_then(|text| {
            let found = self.tracked(text).map(|(_, symbol)| symbol);
            if found.is_none() {
                let shown: String = text.chars().take(32).collect();
                wrong("ticker", format!("`{shown}` is not tracked; /v1/symbols lists what is"));
            }
            found
        });
        match (email, metric, symbol) {
            (Some(email), Some(metric), Some(symbol)) if errors.is_empty() => {
                Ok(Wanted { email, metric, symbol })
            }
            _ => Err(Problem::unprocessable(errors)),
        }
    }

    /// Hands a client's sign-up to the store, within the client's limits. The answer is what every sign-up
    /// gets.
    pub(crate) async fn sign_up(&self, client: IpAddr, wanted: &Wanted) -> Result<&'static str, Problem> {
        let inner = &*self.0;
        inner.sign_ups.check(client)?;
        inner.sign_ups_per_hour.check(client)?;
        let (id, nonce) = (SubscriptionId::from_random(random()?), random()?);
        let sign_up = SignUp {
            id,
            email: wanted.email.clone(),
            symbol: wanted.symbol,
            metric: wanted.metric,
            nonce,
            hashes: inner.tokens.hashes(id, &nonce),
            confirm: inner.config.confirm,
        };
        let mailed = inner.store.subscribe(&sign_up, inner.config.sign_up, inner.clock.now()).await?;
        if mailed {
            inner.metrics.confirmation_owed();
        }
        inner.config.outbox_hint.notify_one();
        Ok(if inner.config.confirm { "pending" } else { "active" })
    }
}

fn random() -> Result<[u8; 16], Problem> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(%error, "the system gives no random bytes");
        Problem::internal()
    })?;
    Ok(bytes)
}

/// `application/json`, with or without parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// The members of a JSON object in the order given, repeated ones included.
///
/// The whole text is checked first: what is not JSON is a 400 whatever it begins with.
fn fields_of_json(body: &[u8]) -> Result<Vec<(String, Value)>, Problem> {
    let not_json = |error: serde_json::Error| {
        Problem::bad_request("not_json", format!("the body is not JSON: {}", what_and_where(&error)))
    };
    let not_utf8 = |_| Problem::bad_request("not_json", "the body is not JSON: it is not UTF-8");
    let text = std::str::from_utf8(body).map_err(not_utf8)?;
    serde_json::from_str::<IgnoredAny>(text).map_err(not_json)?;
    match serde_json::from_str::<Fields>(text) {
        Ok(Fields(fields)) => Ok(fields),
        Err(error) if error.is_data() => {
            let detail = format!("must be an object with the fields {}", FIELDS.join(", "));
            Err(Problem::unprocessable(vec![FieldError { field: "(body)".to_owned(), detail }]))
        }
        Err(error) => Err(not_json(error)),
    }
}

/// The parser's words without what it quotes of the body.
fn what_and_where(error: &serde_json::Error) -> String {
    let what = if error.is_eof() { "it ends too early" } else { "it makes no sense" };
    format!("{what} at line {} column {}", error.line(), error.column())
}

struct Fields(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Fields(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn status(body: &[u8]) -> u16 {
        fields_of_json(body).map_or_else(|problem| problem.status.as_u16(), |_| 200)
    }

    #[test]
    fn what_is_not_json_is_400_and_what_is_no_object_is_422() {
        for body in [
            &b""[..],
            b"{",
            b"{\"a\":1",
            b"{} x",
            b"\xff",
            b"{\"a\":\"\xff\"}",
            b"{\"email\":1, nonsense",
            b"{'a':1}",
        ] {
            assert_eq!(status(body), 400, "{body:?}");
        }
        for body in [&b"[]"[..], b"1", b"null", b"\"email\"", b"true"] {
            assert_eq!(status(body), 422, "{body:?}");
        }
        assert_eq!(status(b"{}"), 200);
        let deep = [b"[".repeat(8_000), b"]".repeat(8_000)].concat();
        assert_eq!(status(&deep), 422);
        assert_eq!(status(&[b"{\"email\":", &deep[..], b"}"].concat()), 400, "deeper than anybody reads");
        assert_eq!(status(br#"{"a":"\ud800"}"#), 400, "half a character");
    }

    #[test]
    fn repeated_members_are_kept_apart() {
        let fields = fields_of_json(br#"{"a":1,"a":2}"#).unwrap();
        assert_eq!(fields.len(), 2);
    }

    proptest! {
        #[test]
        fn no_body_panics(body: Vec<u8>) {
            let _ = fields_of_json(&body);
        }
    }
}
