//! What subscribers may have in force: refused with the limit and the field, and never telling who
//! subscribes.

use crate::world::*;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use qqq_core::subscription::limits::SubscriptionLimits;
use qqq_core::subscription::token::Purpose;
use serde_json::json;

async fn limited(limits: SubscriptionLimits) -> World {
    let mut world = World::new().await;
    world.config.sign_up.address_gap_seconds = 0;
    world.config.sign_up.address_per_day = 99;
    world.store.hold_to(limits);
    world
}

fn asking(email: &str, ticker: &str, rule: &str) -> String {
    json!({"email": email, "ticker": ticker, "metric": "volume", "rule": rule}).to_string()
}

/// Signs up, and answers the reply to the confirmation, with the id and the token of the subscription.
async fn confirmed(world: &World, router: &Router, body: &str) -> (Reply, String, String) {
    assert_eq!(post_json(router, "/v1/subscriptions", body).await.status, StatusCode::CREATED);
    let subscription = world.claim().await.pop().unwrap().subscription;
    let token = |purpose| world.key.token(purpose, subscription.id, &subscription.nonce);
    let confirm = format!("/v1/subscriptions/confirm?token={}", token(Purpose::Confirm).expose());
    let reply = post(router, &confirm, FORM, "").await;
    (reply, subscription.id.to_string(), token(Purpose::Manage).expose().to_owned())
}

#[tokio::test]
async fn who_confirms_is_told_the_limit_and_a_stranger_is_told_nothing() {
    let limits = SubscriptionLimits { rules_per_receiver: 1, ..SubscriptionLimits::default() };
    let world = limited(limits).await;
    let router = world.router().await;
    let (reply, id, token) =
        confirmed(&world, &router, &asking("ada@example.com", "TSLA", "spike ratio=4")).await;
    assert_eq!(reply.status, StatusCode::OK);
    let (reply, ..) = confirmed(&world, &router, &asking("ada@example.com", "NVDA", "spike ratio=5")).await;
    assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(reply.text().contains("subscriptions.max_rules_per_receiver"), "{}", reply.text());
    // The same answer for who has reached it and for who has not.
    let mut answers = Vec::new();
    for email in ["ada@example.com", "bob@example.com"] {
        let reply = post_json(&router, "/v1/subscriptions", &asking(email, "NVDA", "spike ratio=6")).await;
        answers.push((reply.status, reply.text().replace(email, "")));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(world.claim().await.len(), 2, "both are asked to confirm");
    // The holder of the token is told, with the field.
    confirmed(&world, &router, &asking("ada@example.com", "AAPL", "spike ratio=4")).await;
    let request = Request::patch(format!("/v1/subscriptions/{id}"))
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .body(Body::from(r#"{"rule":"spike ratio=7"}"#))
        .unwrap();
    let reply = send(&router, request).await;
    assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY);
    let told = reply.json();
    assert_eq!((&told["code"], &told["errors"][0]["field"]), (&json!("limit_exceeded"), &json!("rule")));
    assert!(told["detail"].as_str().unwrap().contains("subscriptions.max_rules_per_receiver"));
}

#[tokio::test]
async fn a_tracker_that_judges_as_many_rules_as_it_may_says_so_at_the_sign_up() {
    let world = limited(SubscriptionLimits { rules: 1, ..SubscriptionLimits::default() }).await;
    let router = world.router().await;
    let (reply, ..) = confirmed(&world, &router, &asking("ada@example.com", "TSLA", "spike ratio=4")).await;
    assert_eq!(reply.status, StatusCode::OK);
    let reply =
        post_json(&router, "/v1/subscriptions", &asking("bob@example.com", "TSLA", "spike ratio=5")).await;
    assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY);
    let told = reply.json();
    assert_eq!((&told["code"], &told["errors"][0]["field"]), (&json!("limit_exceeded"), &json!("rule")));
    assert!(told["detail"].as_str().unwrap().contains("subscriptions.max_rules"));
    // The rule that is judged already, and the house's.
    for rule in ["spike ratio=4", "spike"] {
        let (reply, ..) = confirmed(&world, &router, &asking("bob@example.com", "TSLA", rule)).await;
        assert_eq!(reply.status, StatusCode::OK, "{rule}");
    }
}

#[tokio::test]
async fn where_nothing_is_confirmed_the_sign_up_is_told_every_limit() {
    let mut world = limited(SubscriptionLimits { per_receiver: 1, ..SubscriptionLimits::default() }).await;
    world.config.confirm = false;
    let router = world.router().await;
    for (ticker, status) in [("TSLA", StatusCode::CREATED), ("NVDA", StatusCode::UNPROCESSABLE_ENTITY)] {
        let body = json!({"email": "ada@example.com", "ticker": ticker, "metric": "price"}).to_string();
        let reply = post_json(&router, "/subscribe", &body).await;
        assert_eq!(reply.status, status, "{ticker}");
        if status != StatusCode::CREATED {
            assert_eq!(reply.json()["errors"][0]["field"], "email");
            assert!(reply.text().contains("subscriptions.max_per_receiver"));
        }
    }
}
