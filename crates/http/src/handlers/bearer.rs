//! The token of a subscription, as `Authorization: Bearer ...`.

use crate::api::Api;
use crate::handlers::session::reader;
use crate::http::problem::Problem;
use axum::http::{HeaderMap, StatusCode, header};
use qqq_core::Alert;
use qqq_core::subscription::Subscription;
use qqq_core::subscription::token::{Purpose, Token};
use qqq_store::StoreError;

/// The subscription whose token a request carries.
pub(crate) async fn bearer(
    api: &Api,
    headers: &HeaderMap,
) -> Result<Option<(Token, Subscription)>, StoreError> {
    let Some(token) = token_of(headers) else { return Ok(None) };
    let found = api.0.subscriptions.find(Purpose::Manage, &token).await?;
    Ok(found.map(|subscription| (token, subscription)))
}

/// Whether a request's token or session lets it read an alert: as one of its subscriptions' rules, or one it
/// was told of.
pub(crate) async fn may_read(api: &Api, headers: &HeaderMap, alert: &Alert) -> Result<bool, StoreError> {
    if let Some((_, subscription)) = bearer(api, headers).await? {
        return api.0.subscriptions.may_read(&subscription, alert).await;
    }
    match reader(api, headers).await? {
        Some(reader) => api.0.accounts.may_read(&reader, alert).await,
        None => Ok(false),
    }
}

/// The subscription whose token it is is over.
pub(crate) fn ended() -> Problem {
    Problem::new(StatusCode::GONE, "ended", "the subscription has ended: sign up anew")
}

/// No token, or not the right one.
pub(crate) fn unauthorized() -> Problem {
    let detail = "send the subscription's token as `Authorization: Bearer ...`";
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail).challenging()
}

/// The token of `Authorization: Bearer ...` (RFC 6750 section 2.1).
fn token_of(headers: &HeaderMap) -> Option<Token> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Token::parse(token.trim())).flatten()
}
