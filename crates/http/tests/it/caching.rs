//! Answers are made once, kept by clients, and compressed for those who ask.

use crate::world::*;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use bytes::Bytes;
use flate2::read::GzDecoder;
use http_body_util::BodyExt;
use qqq_core::FeedMode;
use qqq_store::Batch;
use std::io::Read;
use tower::ServiceExt;

const PATHS: [&str; 7] = [
    "/AAPL/price",
    "/AAPL/volume",
    "/v1/symbols",
    "/v1/symbols/AAPL",
    "/v1/symbols/AAPL/bars",
    "/v1/rankings",
    "/v1/sparklines",
];

async fn market() -> World {
    let world = World::new().await;
    let start = at("2025-01-31T15:00:00Z");
    let bars: Vec<_> =
        (0..290).map(|n| bar("AAPL", start.plus_minutes(n), &format!("{}.5", 200 + n % 7), 10)).collect();
    world.commit_bars(&bars).await;
    world.commit(Batch { feed: Some(feed(FeedMode::Live)), ..Batch::default() }).await;
    world
}

#[tokio::test]
async fn an_unchanged_answer_is_a_304_and_a_changed_one_is_not() {
    let world = market().await;
    let following = Following::start(world.api().await);
    let router = following.api.router();
    for path in PATHS {
        let first = get(&router, path).await;
        let tag = first.header("etag").to_owned();
        assert!(tag.starts_with('"') && tag.len() > 10, "{path}: strong");
        assert_eq!(first.header("cache-control"), "no-cache", "{path}");
        assert!(first.header("vary").contains("accept-encoding"), "{path}");
        let second = get_with(&router, path, &[("if-none-match", &tag)]).await;
        assert_eq!((second.status, second.body.len()), (StatusCode::NOT_MODIFIED, 0), "{path}");
        assert_eq!(second.header("etag"), tag, "{path}");
        let other = get_with(&router, path, &[("if-none-match", "\"something\"")]).await;
        assert_eq!((other.status, &other.body), (StatusCode::OK, &first.body), "{path}");
    }
    let mut tags = Vec::new();
    for path in PATHS {
        tags.push(get(&router, path).await.header("etag").to_owned());
    }
    let start = at("2025-01-31T20:00:00Z");
    let sequence = world
        .commit(Batch {
            bars: vec![qqq_store::BarRecord { bar: bar("AAPL", start, "201", 11), revision: 0 }],
            statistics: vec![statistics("AAPL", start, 0.5, 1.0)],
            ..Batch::default()
        })
        .await;
    following.has_seen(sequence).await;
    for (path, tag) in PATHS.into_iter().zip(tags) {
        let reply = get_with(&router, path, &[("if-none-match", &tag)]).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}");
    }
}

/// The body as it is held, not copied.
async fn body(router: &Router, path: &str, coding: &str) -> Bytes {
    let request = Request::get(path).header("accept-encoding", coding);
    let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    response.into_body().collect().await.unwrap().to_bytes()
}

#[tokio::test]
async fn an_answer_is_made_and_compressed_once_for_all_who_ask() {
    let world = market().await;
    let router = world.router().await;
    for path in PATHS.into_iter().chain(["/assets/index-1a2B.js"]) {
        for coding in ["identity", "gzip", "br", "zstd"] {
            let (one, two) = (body(&router, path, coding).await, body(&router, path, coding).await);
            assert_eq!(one.as_ptr(), two.as_ptr(), "{path}, {coding}: the same bytes in memory");
        }
    }
    let (one, other) = (get(&router, "/v1/symbols/AAPL").await, get(&router, "/v1/symbols/MSFT").await);
    assert!(one.text().contains("Apple") && other.text().contains("Microsoft"));
}

fn decoded(coding: &str, body: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    match coding {
        "gzip" => GzDecoder::new(body).read_to_end(&mut decoded).unwrap(),
        "br" => brotli::Decompressor::new(body, 4096).read_to_end(&mut decoded).unwrap(),
        "zstd" => zstd::Decoder::new(body).unwrap().read_to_end(&mut decoded).unwrap(),
        other => panic!("{other}"),
    };
    decoded
}

#[tokio::test]
async fn a_compressed_answer_is_the_same_smaller_under_its_own_tag() {
    let world = market().await;
    let router = world.router().await;
    for path in PATHS.into_iter().chain(["/assets/index-1a2B.js"]) {
        let plain = get(&router, path).await;
        let mut tags = vec![plain.header("etag").to_owned()];
        for (accept, coding) in [
            ("gzip, deflate, br, zstd", "br"),
            ("br;q=0.5, gzip;q=0.8", "gzip"),
            ("zstd, gzip;q=0.9", "zstd"),
        ] {
            let packed = get_with(&router, path, &[("accept-encoding", accept)]).await;
            assert_eq!(packed.header("content-encoding"), coding, "{path}");
            assert!(packed.body.len() < plain.body.len() * 2 / 3, "{path}");
            assert_eq!(decoded(coding, &packed.body), plain.body, "{path}");
            assert!(packed.header("vary").contains("accept-encoding"), "{path}");
            let tag = packed.header("etag").to_owned();
            let held = get_with(&router, path, &[("accept-encoding", accept), ("if-none-match", &tag)]).await;
            assert_eq!(held.status, StatusCode::NOT_MODIFIED, "{path}");
            assert_eq!(held.header("etag"), tag, "{path}");
            assert!(!tags.contains(&tag), "{path}: a tag of its own");
            tags.push(tag);
        }
        let refused = get_with(&router, path, &[("accept-encoding", "gzip;q=0")]).await;
        assert_eq!(refused.header("content-encoding"), "", "{path}");
        let none_will_do = get_with(&router, path, &[("accept-encoding", "deflate, identity;q=0")]).await;
        assert_eq!(none_will_do.status, StatusCode::NOT_ACCEPTABLE, "{path}");
        assert_eq!(none_will_do.header("content-type"), "application/problem+json", "{path}");
    }
}

#[tokio::test]
async fn short_answers_travel_as_they_are() {
    let world = World::new().await;
    let router = world.router().await;
    let reply = get_with(&router, "/AAPL/price", &[("accept-encoding", "gzip")]).await;
    assert_eq!(reply.header("content-encoding"), "");
    let compressed_only = [("accept-encoding", "gzip, identity;q=0")];
    let reply = get_with(&router, "/AAPL/price", &compressed_only).await;
    assert_eq!(reply.header("content-encoding"), "gzip", "unless the client takes nothing else");
}

#[tokio::test]
async fn the_description_is_kept_and_compressed_too() {
    let world = World::new().await;
    let router = world.router().await;
    for path in ["/openapi.json", "/docs"] {
        let packed = get_with(&router, path, &[("accept-encoding", "br")]).await;
        assert_eq!(packed.header("content-encoding"), "br", "{path}");
        assert!(packed.body.len() < 32 * 1024, "{path}: {}", packed.body.len());
        let held = get_with(&router, path, &[("if-none-match", packed.header("etag"))]).await;
        assert_eq!(held.status, StatusCode::NOT_MODIFIED, "{path}");
    }
}

#[tokio::test]
async fn two_servers_over_one_store_give_the_same_tags() {
    let world = market().await;
    let (one, two) = (world.router().await, world.router().await);
    for path in PATHS {
        assert_eq!(get(&one, path).await.header("etag"), get(&two, path).await.header("etag"), "{path}");
    }
}
