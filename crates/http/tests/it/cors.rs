//! Who may read the API from pages of other origins.

use crate::world::*;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use qqq_http::Cors;

const FRIEND: &str = "https://charts.example.org";

async fn router(world: &mut World, origins: &[&str]) -> Router {
    world.config.cors = Cors(origins.iter().map(|origin| origin.parse().unwrap()).collect());
    world.router().await
}

async fn preflight(router: &Router, path: &str, origin: &str, method: &str) -> Reply {
    let request = Request::options(path)
        .header("origin", origin)
        .header("access-control-request-method", method)
        .header("access-control-request-headers", "content-type,authorization");
    send(router, request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_configured_origin_may_read_answers_and_problems() {
    let mut world = World::new().await;
    let router = router(&mut world, &[FRIEND, "http://localhost:5173"]).await;
    for (path, status) in [
        ("/v1/symbols", 200),
        ("/AAPL/price", 200),
        ("/IBM/price", 404),
        ("/v1/symbols?limit=0", 400),
        ("/healthz", 200),
    ] {
        for origin in [FRIEND, "http://localhost:5173"] {
            let reply = get_with(&router, path, &[("origin", origin)]).await;
            assert_eq!(reply.status.as_u16(), status, "{path}");
            assert_eq!(reply.header("access-control-allow-origin"), origin, "{path}");
            assert_eq!(reply.header("access-control-allow-credentials"), "", "{path}: never");
            let exposed = reply.header("access-control-expose-headers");
            assert!(exposed.contains("etag") && exposed.contains("stream-position"), "{path}: {exposed}");
            let vary: Vec<_> =
                reply.headers.get_all("vary").iter().map(|vary| vary.to_str().unwrap()).collect();
            assert!(vary.join(",").contains("origin"), "{path}: {vary:?}");
        }
        let stranger = get_with(&router, path, &[("origin", "https://evil.example")]).await;
        assert_eq!(stranger.header("access-control-allow-origin"), "", "{path}");
    }
    let cached = get_with(&router, "/v1/symbols", &[("origin", FRIEND)]).await;
    let vary: Vec<_> = cached.headers.get_all("vary").iter().map(|vary| vary.to_str().unwrap()).collect();
    assert!(vary.join(",").contains("accept-encoding"), "{vary:?}");
}

#[tokio::test]
async fn a_browser_that_asks_first_is_told_what_it_may_do() {
    let mut world = World::new().await;
    let router = router(&mut world, &[FRIEND]).await;
    for (path, method) in [("/subscribe", "POST"), ("/v1/symbols", "GET"), ("/v1/symbols/AAPL", "DELETE")] {
        let reply = preflight(&router, path, FRIEND, method).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}");
        assert_eq!(reply.header("access-control-allow-origin"), FRIEND, "{path}");
        for (header, word) in [
            ("access-control-allow-methods", method),
            ("access-control-allow-headers", "authorization"),
            ("access-control-allow-headers", "content-type"),
            ("access-control-max-age", "3600"),
        ] {
            assert!(reply.header(header).contains(word), "{path} {header}: {}", reply.header(header));
        }
        let stranger = preflight(&router, path, "https://evil.example", method).await;
        assert_eq!(stranger.header("access-control-allow-origin"), "", "{path}");
    }
}

#[tokio::test]
async fn pages_and_their_forms_are_never_shared() {
    let mut world = World::new().await;
    let router = router(&mut world, &["*"]).await;
    assert_eq!(
        get_with(&router, "/v1/alerts", &[("origin", FRIEND)]).await.header("access-control-allow-origin"),
        "*"
    );
    for path in ["/", "/s/AAPL", "/alerts", "/assets/index-1a2B.js", "/subscribe/form"] {
        let reply = get_with(&router, path, &[("origin", FRIEND)]).await;
        assert_eq!(reply.header("access-control-allow-origin"), "", "{path}");
        assert_eq!(
            preflight(&router, path, FRIEND, "POST").await.status,
            StatusCode::METHOD_NOT_ALLOWED,
            "{path}"
        );
    }
}

#[tokio::test]
async fn without_configuration_no_other_origin_is_told_anything() {
    let mut world = World::new().await;
    let router = router(&mut world, &[]).await;
    let reply = get_with(&router, "/v1/symbols", &[("origin", FRIEND)]).await;
    assert_eq!(reply.header("access-control-allow-origin"), "");
    assert_eq!(preflight(&router, "/subscribe", FRIEND, "POST").await.status, StatusCode::METHOD_NOT_ALLOWED);
}
