//! What goes wrong, and what the client is told.

use crate::faulty::{Fault, Faulty};
use crate::world::*;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::Value;
use std::sync::Arc;

/// Checks what every problem document must be.
fn is_problem(reply: &Reply, status: u16, what: &str) -> Value {
    assert_eq!(reply.status.as_u16(), status, "{what}: {}", reply.text());
    assert_eq!(reply.header("content-type"), "application/problem+json", "{what}");
    let problem = reply.json();
    assert_eq!(problem["status"], status, "{what}");
    assert_eq!(problem["type"], "about:blank", "{what}");
    assert_eq!(problem["title"], reply.status.canonical_reason().unwrap(), "{what}");
    assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{what}");
    assert_eq!(problem["request_id"], reply.header("x-request-id"), "{what}");
    assert_eq!(reply.header("cache-control"), "no-store", "{what}");
    problem
}

#[tokio::test]
async fn reads_that_ask_for_what_is_not_there() {
    let world = World::new().await;
    let router = world.router().await;
    for (path, status, code) in [
        ("/IBM/price", 404, "unknown_ticker"),
        ("/IBM/nonsense", 404, "unknown_ticker"),
        ("/%00/price", 404, "unknown_ticker"),
        ("/%FF/price", 404, "unknown_ticker"),
        ("/%zz/price", 404, "unknown_ticker"),
        ("/%/volume", 404, "unknown_ticker"),
        ("/v1/symbols/%zz/bars", 404, "unknown_ticker"),
        ("/v1/alerts/%FF", 404, "unknown_alert"),
        ("/v1/symbols?limit=%zz", 400, "invalid_parameter"),
        ("/v1/symbols?%FF=1", 400, "unknown_parameter"),
        ("/TOOLONGTICKERTOOLONGTICKER/volume", 404, "unknown_ticker"),
        ("/AAPL/open", 400, "unknown_metric"),
        ("/AAPL/PRICE", 400, "unknown_metric"),
        ("/AAPL", 404, "not_found"),
        ("/AAPL/price/more", 404, "not_found"),
        ("/nothing/at/all", 404, "not_found"),
        ("/assets/none.js", 404, "not_found"),
        ("/v1/nothing", 404, "unknown_ticker"),
        ("/v1/symbols/IBM", 404, "unknown_ticker"),
        ("/v1/symbols/%FF", 404, "unknown_ticker"),
        ("/v1/symbols?limit=0", 400, "invalid_parameter"),
        ("/v1/symbols?limit=1001", 400, "invalid_parameter"),
        ("/v1/symbols?cursor=x", 400, "invalid_parameter"),
        ("/v1/symbols?limit=", 400, "invalid_parameter"),
        ("/v1/symbols?page=2", 400, "unknown_parameter"),
        ("/v1/rankings?metric=open", 400, "unknown_metric"),
        ("/v1/rankings?by=size", 400, "invalid_parameter"),
        ("/v1/alerts?symbol=IBM", 404, "unknown_ticker"),
        ("/v1/alerts?metric=x", 400, "unknown_metric"),
        ("/v1/alerts?since=yesterday", 400, "invalid_parameter"),
        ("/v1/alerts?cursor=1.2", 400, "invalid_parameter"),
        ("/v1/alerts?limit=5&limit=6", 400, "invalid_parameter"),
        ("/v1/alerts/no-id", 404, "unknown_alert"),
        ("/v1/alerts/00000000-0000-0000-0000-000000000000", 404, "unknown_alert"),
    ] {
        let problem = is_problem(&get(&router, path).await, status, path);
        assert_eq!(problem["code"], code, "{path}");
    }
}

#[tokio::test]
async fn a_method_a_path_does_not_take_is_405_with_those_it_takes() {
    let world = World::new().await;
    let router = world.router().await;
    for (method, path, allow) in [
        ("POST", "/AAPL/price", "GET,HEAD"),
        ("DELETE", "/v1/alerts", "GET,HEAD"),
        ("PUT", "/", "GET,HEAD"),
        ("PUT", "/subscribe", "GET,HEAD,POST"),
        ("PUT", "/subscribe/", "GET,HEAD,POST"),
        ("POST", "/assets/index-1a2B.js", "GET,HEAD"),
        ("BREW", "/healthz", "GET,HEAD"),
        ("PUT", "/v1/subscriptions/confirm", "GET,HEAD,POST"),
    ] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let reply = send(&router, request).await;
        is_problem(&reply, 405, path);
        assert_eq!(reply.header("allow"), allow, "{method} {path}");
    }
}

#[tokio::test]
async fn a_panic_is_a_500_with_a_request_id_and_nothing_else_breaks() {
    let world = World::new().await;
    let faulty = Arc::new(Faulty::over(&world));
    let router = world.api_over(faulty.clone()).await.router();
    let path = FROM_THE_STORE;
    faulty.set(Fault::Panic);
    let reply = get(&router, path).await;
    let problem = is_problem(&reply, 500, "panic");
    assert!(!reply.text().contains("on purpose"), "{problem}");
    assert_eq!(reply.header("x-request-id").len(), 16);
    assert_eq!(get(&router, "/healthz").await.status, StatusCode::OK);
    faulty.set(Fault::None);
    is_problem(&get(&router, path).await, 404, "after the panic");
}

#[tokio::test]
async fn a_store_that_fails_is_a_503_that_says_nothing_of_the_inside() {
    let world = World::new().await;
    let faulty = Arc::new(Faulty::over(&world));
    let router = world.api_over(faulty.clone()).await.router();
    faulty.set(Fault::Error);
    let body = r#"{"email":"ada@example.com","metric":"price","ticker":"AAPL"}"#;
    for reply in [get(&router, FROM_THE_STORE).await, post_json(&router, "/subscribe", body).await] {
        is_problem(&reply, 503, "store");
        assert_eq!(reply.header("retry-after"), "5");
        assert!(!reply.text().contains("secret place"), "{}", reply.text());
    }
    assert_eq!(get(&router, "/AAPL/price").await.status, StatusCode::OK, "memory still answers");
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_a_503() {
    let world = World::new().await;
    let faulty = Arc::new(Faulty::over(&world));
    let router = world.api_over(faulty.clone()).await.router();
    faulty.set(Fault::Hang);
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    let reply = get(&router, FROM_THE_STORE).await;
    is_problem(&reply, 503, "too slow");
    assert_eq!(started.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn every_answer_carries_an_id_and_the_security_headers() {
    let mut world = World::new().await;
    world.config.public_url = "https://qqq.example.org".parse().unwrap();
    let router = world.router().await;
    for path in [
        "/",
        "/s/AAPL",
        "/s/IBM",
        "/AAPL/price",
        "/IBM/price",
        "/v1/symbols",
        "/assets/style.css",
        "/assets/index-1a2B.js",
        "/theme.js",
        "/healthz",
        "/metrics",
        "/none",
        "/v1/subscriptions/confirm?token=x",
    ] {
        let reply = get(&router, path).await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("strict-transport-security", "max-age=31536000"),
            ("server", ""),
        ] {
            assert_eq!(reply.header(name), value, "{path} {name}");
        }
        let policy = reply.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'"), "{path}");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{path}");
        assert_eq!(reply.header("x-request-id").len(), 16, "{path}");
        assert!(!reply.header("cache-control").is_empty(), "{path}");
    }
    let ids: Vec<_> = [get(&router, "/none").await, get(&router, "/none").await]
        .iter()
        .map(|reply| reply.header("x-request-id").to_owned())
        .collect();
    assert_ne!(ids[0], ids[1]);
    assert_eq!(get(&router, "/").await.header("x-frame-options"), "DENY");
    let plain = get(&World::new().await.router().await, "/").await;
    assert_eq!(plain.header("strict-transport-security"), "", "not over http");
}

#[tokio::test]
async fn who_is_listed_may_frame_the_dashboard_and_no_page_of_a_link() {
    let mut world = World::new().await;
    world.config.frame_ancestors =
        ["https://a.example", "http://localhost:3000"].map(|origin| origin.parse().unwrap()).to_vec();
    let router = world.router().await;
    for path in ["/", "/s/AAPL", "/nonsense", "/subscribe/form", "/assets/style.css"] {
        let reply = get(&router, path).await;
        let policy = reply.header("content-security-policy");
        let listed = "frame-ancestors https://a.example http://localhost:3000";
        assert!(policy.ends_with(listed) && policy.starts_with("default-src 'none'"), "{path}: {policy}");
        // It knows no lists, and would forbid what the other allows.
        assert_eq!(reply.header("x-frame-options"), "", "{path}");
    }
    for path in ["/v1/subscriptions/confirm?token=x", "/v1/subscriptions/manage?token=x", "/v1/symbols"] {
        let reply = get(&router, path).await;
        assert!(reply.header("content-security-policy").ends_with("frame-ancestors 'none'"), "{path}");
        assert_eq!(reply.header("x-frame-options"), "DENY", "{path}");
    }
}
