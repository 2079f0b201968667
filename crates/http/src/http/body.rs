//! Bodies of requests.

use crate::config::Limits;
use crate::http::problem::Problem;
use axum::body::Body;
use axum::http::StatusCode;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body as _;

/// Reads a body within its limits of size and time.
pub(crate) async fn read_body(limits: &Limits, body: Body) -> Result<Bytes, Problem> {
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
