//! `/healthz`, `/readyz` and `/metrics`.

use crate::faulty::{Fault, Faulty};
use crate::world::*;
use axum::Router;
use axum::http::StatusCode;
use jiff::SignedDuration;
use qqq_core::delivery::Outcome;
use qqq_core::{Clock, FeedMode};
use qqq_store::Batch;
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;

/// The checks that fail.
async fn reasons(world: &World) -> Vec<String> {
    let reply = get(&world.router().await, "/readyz").await;
    let list = reply.json()["reasons"].clone();
    let reasons: Vec<_> =
        list.as_array().unwrap().iter().map(|reason| reason["check"].as_str().unwrap().to_owned()).collect();
    assert_eq!(reply.status == StatusCode::OK, reasons.is_empty(), "{}", reply.text());
    if !reasons.is_empty() {
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(reply.header("content-type"), "application/problem+json");
    }
    reasons
}

#[tokio::test]
async fn a_server_over_a_good_feed_is_ready() {
    let world = World::new().await;
    world.commit_bars(&[bar("AAPL", at("2025-01-31T19:59:00Z"), "1", 1)]).await;
    world.commit(Batch { feed: Some(feed(FeedMode::Live)), ..Batch::default() }).await;
    let reply = get(&world.router().await, "/readyz").await;
    assert_eq!((reply.status, reply.json()), (StatusCode::OK, json!({"status": "ready", "reasons": []})));
    assert_eq!(get(&world.router().await, "/healthz").await.json(), json!({"status": "ok"}));
}

#[tokio::test]
async fn a_live_feed_that_falls_silent_in_the_session_makes_it_not_ready() {
    let world = World::new().await;
    world.commit_bars(&[bar("AAPL", at("2025-01-31T19:59:00Z"), "1", 1)]).await;
    world.commit(Batch { feed: Some(feed(FeedMode::Live)), ..Batch::default() }).await;
    for (now, expected) in [
        ("2025-01-31T20:03:30Z", &[][..]),
        ("2025-01-31T20:03:31Z", &["bars"]),
        ("2025-01-31T21:00:00Z", &[]), // closed
        ("2025-02-01T17:00:00Z", &[]), // Saturday
        ("2025-02-03T14:33:30Z", &[]), // Monday, three and a half minutes after the open
        ("2025-02-03T14:33:31Z", &["bars"]),
    ] {
        world.clock.set_to(now);
        assert_eq!(reasons(&world).await, expected, "{now}");
    }
    world.commit(Batch { feed: Some(feed(FeedMode::Simulated)), ..Batch::default() }).await;
    assert_eq!(reasons(&world).await, [""; 0], "a simulated feed has its own time");
}

#[tokio::test]
async fn a_clock_that_was_set_is_told_until_it_is_certain() {
    let world = World::new().await;
    world.commit_bars(&[bar("AAPL", at("2025-01-31T19:59:00Z"), "1", 1)]).await;
    for (step, words) in [(172_800, "set forward by 172800 s"), (-3_600, "set back by 3600 s")] {
        world.clock.doubt(Some(SignedDuration::from_secs(step)));
        assert_eq!(reasons(&world).await, ["clock"]);
        let router = world.router().await;
        let problems = get(&router, "/v1/status").await.json()["problems"].to_string();
        assert!(problems.contains(words), "{problems}");
        let metrics = get(&router, "/metrics").await.text().to_owned();
        assert!(metrics.contains(&format!("qqq_clock_step_seconds {step}.0")), "{metrics}");
    }
    world.clock.doubt(None);
    assert_eq!(reasons(&world).await, [""; 0]);
}

#[tokio::test]
async fn a_feed_with_a_problem_makes_it_not_ready_in_the_feeds_words() {
    let world = World::new().await;
    let mut status = feed(FeedMode::Simulated);
    status.problem = Some("the key was refused".to_owned());
    world.commit(Batch { feed: Some(status), ..Batch::default() }).await;
    assert_eq!(reasons(&world).await, ["feed"]);
    let reply = get(&world.router().await, "/readyz").await;
    assert_eq!(reply.json()["reasons"][0]["detail"], "the key was refused");
}

#[tokio::test]
async fn a_store_that_fails_or_hangs_makes_it_not_ready_but_not_dead() {
    let world = World::new().await;
    let faulty = Arc::new(Faulty::over(&world));
    let router = world.api_over(faulty.clone()).await.router();
    tokio::time::pause();
    for fault in [Fault::Error, Fault::Busy, Fault::Hang] {
        faulty.set(fault);
        let reply = get(&router, "/readyz").await;
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{fault:?}");
        assert_eq!(reply.json()["reasons"][0]["check"], "store", "{fault:?}");
        assert!(!reply.text().contains("secret place"));
        assert_eq!(get(&router, "/healthz").await.status, StatusCode::OK, "{fault:?}");
    }
}

#[tokio::test]
async fn a_cache_nobody_feeds_makes_it_not_ready() {
    let world = World::new().await;
    let router = world.router().await;
    assert_eq!(get(&router, "/readyz").await.status, StatusCode::OK);
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(20)).await;
    let reply = get(&router, "/readyz").await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(reply.text().contains("nothing has been read from the store for 2"), "{}", reply.text());
}

#[tokio::test]
async fn the_metrics_count_requests_by_route_and_hold_no_path_of_a_client() {
    let world = World::new().await;
    let router = world.router().await;
    get(&router, "/AAPL/price").await;
    get(&router, "/MSFT/volume").await;
    get(&router, "/IBM/price").await;
    get(&router, "/some/secret/path?token=abc").await;
    let reply = get(&router, "/metrics").await;
    assert!(reply.header("content-type").starts_with("application/openmetrics-text"));
    let text = reply.text();
    for line in [
        r#"qqq_http_requests_total{method="GET",route="/{ticker}/price",status="2xx"} 1"#,
        r#"qqq_http_requests_total{method="GET",route="/{ticker}/price",status="4xx"} 1"#,
        r#"qqq_http_requests_total{method="GET",route="unmatched",status="4xx"} 1"#,
        "qqq_cache_symbols 10",
        "qqq_cache_sequence 0",
        "qqq_http_connections 0",
    ] {
        assert!(text.lines().any(|known| known == line), "{line}\n{text}");
    }
    assert!(text.contains("qqq_http_request_duration_seconds_bucket"));
    assert!(!text.contains("secret") && !text.contains("AAPL"));
    assert!(text.ends_with("# EOF\n"));
}

/// A figure among the metrics.
async fn figure(router: &Router, name: &str) -> Option<f64> {
    let text = get(router, "/metrics").await.text().to_owned();
    let mut figures = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    figures.next().map(|figure| figure.parse().unwrap())
}

#[tokio::test]
async fn the_metrics_tell_how_many_mails_are_owed_and_since_when() {
    let world = World::new().await;
    let signed_up = world.router().await;
    for name in ["ada", "eve"] {
        let body = format!(r#"{{"email":"{name}@example.com","metric":"price","ticker":"AAPL"}}"#);
        assert_eq!(post_json(&signed_up, "/subscribe", &body).await.status, StatusCode::CREATED);
    }
    world.store.take_in(world.config.sign_up, world.clock.now()).await.unwrap();
    world.clock.set_to("2025-01-31T20:02:00Z");
    let following = Following::start(world.api().await);
    let router = following.api.router();
    until("two messages wait", async || figure(&router, "qqq_outbox_pending").await == Some(2.0)).await;
    assert_eq!(figure(&router, "qqq_outbox_oldest_seconds").await, Some(90.0));
    for delivery in world.claim().await {
        assert!(
            world.store.settle(delivery.id, delivery.lease, &Outcome::Sent, world.clock.now()).await.unwrap()
        );
    }
    until("no message waits", async || figure(&router, "qqq_outbox_pending").await == Some(0.0)).await;
    assert_eq!(figure(&router, "qqq_outbox_oldest_seconds").await, Some(0.0));
}

#[tokio::test]
async fn what_is_owed_is_counted_now_and_then_however_often_there_is_news() {
    let world = World::new().await;
    let faulty = Arc::new(Faulty::over(&world));
    let started = Instant::now();
    let following = Following::start(world.api_over(faulty.clone()).await);
    for n in 0..40 {
        let sequence =
            world.commit_bars(&[bar("AAPL", at("2025-01-31T19:00:00Z").plus_minutes(n), "1", 5)]).await;
        following.has_seen(sequence).await;
    }
    until("the outbox is looked at", async || faulty.outbox_asked() > 0).await;
    let most = 1 + started.elapsed().as_secs() as usize / 5;
    assert!(faulty.outbox_asked() <= most, "{} times", faulty.outbox_asked());
    following.stop().await.unwrap();
}
