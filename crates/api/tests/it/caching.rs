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

const PATHS: [&str; 7] =
    ["/AAPL/price", "/AAPL/volume", "/v1/symbols", "/v1/symbols/AAPL", "/v1/rankings", "/", "/s/AAPL"];

async fn market() -> World {
    let world = World::new().await;
    let start = at("2025-01-31T15:00:00Z");
    let bars: Vec<_> =
        (0..290).map(|n| bar("AAPL", start.plus(n), &format!("{}.5", 200 + n % 7), 10)).collect();
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
        assert_eq!(first.header("vary"), "accept-encoding", "{path}");
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
async fn body(router: &Router, path: &str, gzip: bool) -> Bytes {
    let mut request = Request::get(path);
    if gzip {
        request = request.header("accept-encoding", "gzip");
    }
    let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    response.into_body().collect().await.unwrap().to_bytes()
}

#[tokio::test]
async fn an_answer_is_made_once_for_all_who_ask() {
    let router = market().await.router().await;
    for path in PATHS {
        for gzip in [false, true] {
            let (one, two) = (body(&router, path, gzip).await, body(&router, path, gzip).await);
            assert_eq!(one.as_ptr(), two.as_ptr(), "{path}, gzip: {gzip}: the same bytes in memory");
        }
    }
    let (one, other) = (get(&router, "/s/AAPL").await, get(&router, "/s/MSFT").await);
    assert!(one.text().contains("Apple") && other.text().contains("Microsoft"));
}

#[tokio::test]
async fn gzip_is_the_same_answer_smaller_under_its_own_tag() {
    let router = market().await.router().await;
    for path in PATHS {
        let plain = get(&router, path).await;
        let packed = get_with(&router, path, &[("accept-encoding", "br;q=1.0, gzip;q=0.8")]).await;
        assert_eq!(packed.header("content-encoding"), "gzip", "{path}");
        assert!(packed.body.len() < plain.body.len() * 2 / 3, "{path}");
        let mut unpacked = Vec::new();
        GzDecoder::new(&packed.body[..]).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, plain.body, "{path}");
        assert_ne!(packed.header("etag"), plain.header("etag"), "{path}");
        assert_eq!(packed.header("vary"), "accept-encoding", "{path}");
        let tag = packed.header("etag").to_owned();
        let held = get_with(&router, path, &[("accept-encoding", "gzip"), ("if-none-match", &tag)]).await;
        assert_eq!(held.status, StatusCode::NOT_MODIFIED, "{path}");
        let refused = get_with(&router, path, &[("accept-encoding", "gzip;q=0")]).await;
        assert_eq!(refused.header("content-encoding"), "", "{path}");
    }
}

#[tokio::test]
async fn short_answers_travel_as_they_are() {
    let router = World::new().await.router().await;
    let reply = get_with(&router, "/AAPL/price", &[("accept-encoding", "gzip")]).await;
    assert_eq!(reply.header("content-encoding"), "");
}

#[tokio::test]
async fn two_servers_over_one_store_give_the_same_tags() {
    let world = market().await;
    let (one, two) = (world.router().await, world.router().await);
    for path in PATHS {
        assert_eq!(get(&one, path).await.header("etag"), get(&two, path).await.header("etag"), "{path}");
    }
}
