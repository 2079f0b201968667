//! Who may read the API from pages of other origins (the CORS protocol of the Fetch standard).
//!
//! Nothing here is allowed with credentials: the cookie of who is signed in is for our pages, and a bearer
//! token is set by the page that has it. Files of the dashboard and the form without scripts are not shared.

use crate::config::{Cors, Origin};
use axum::http::{HeaderName, HeaderValue, Method, header};
use std::time::Duration;
use tower_http::cors::{AllowOrigin, CorsLayer};

/// How long a browser may remember what it may do.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// The layer that tells browsers, or `None` where no other origin may read anything.
pub(crate) fn layer(cors: &Cors) -> Option<CorsLayer> {
    if cors.0.is_empty() {
        return None;
    }
    let exactly = cors.0.iter().filter_map(|origin| match origin {
        Origin::Any => None,
        Origin::Exactly(origin) => HeaderValue::try_from(origin).ok(),
    });
    let origins = if cors.0.contains(&Origin::Any) { AllowOrigin::any() } else { AllowOrigin::list(exactly) };
    let layer = CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers([
            header::ACCEPT,
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_NONE_MATCH,
            HeaderName::from_static("last-event-id"),
        ])
        .expose_headers([
            header::ETAG,
            header::LINK,
            header::LOCATION,
            header::RETRY_AFTER,
            HeaderName::from_static("stream-position"),
            HeaderName::from_static("x-request-id"),
        ])
        .max_age(REMEMBERED);
    Some(layer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_origin_there_is_no_layer() {
        assert!(layer(&Cors::default()).is_none());
        assert!(layer(&Cors(vec![Origin::Any])).is_some());
    }
}
