//! `/v1/subscriptions`: any channel and any rule, and what the holder of a token may do.

use crate::world::*;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use qqq_core::Channel;
use qqq_core::channel::WebhookFormat;
use qqq_core::delivery::DeliveryKind;
use qqq_core::subscription::SubscriptionStatus;
use qqq_core::token::{Purpose, TokenKey};
use serde_json::{Value, json};

const HOOK: &str = r#"{"channel":"webhook","url":"https://hooks.example.com/a?key=1","format":"slack","ticker":"fb",
    "metric":"volume","rule":{"kind":"spike","ratio":4.5,"window":"30m"},
    "quiet_hours":{"from":"22:00","to":"07:00","zone":"Europe/Berlin"}}"#;

async fn with_token(router: &Router, method: &str, path: &str, token: &str, body: Option<&str>) -> Reply {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "test")
        .header("authorization", format!("Bearer {token}"));
    if body.is_some() {
        request = request.header("content-type", "application/json");
    }
    send(router, request.body(Body::from(body.unwrap_or_default().to_owned())).unwrap()).await
}

/// Signs a webhook up; answers its path and its token, from what it is owed.
async fn subscribed(world: &World, router: &Router, body: &str) -> (String, String) {
    assert_eq!(post_json(router, "/v1/subscriptions", body).await.status, StatusCode::CREATED);
    let owed = world.claim().await.pop().unwrap();
    assert_eq!(owed.kind, DeliveryKind::Confirmation);
    let subscription = owed.subscription;
    let token = |purpose| world.key.token(purpose, subscription.id, &subscription.nonce);
    let confirm = format!("/v1/subscriptions/confirm?token={}", token(Purpose::Confirm).expose());
    assert_eq!(post(router, &confirm, FORM, "").await.status, StatusCode::OK);
    (format!("/v1/subscriptions/{}", subscription.id), token(Purpose::Manage).expose().to_owned())
}

#[tokio::test]
async fn a_webhook_signs_up_by_a_rule_of_its_own_and_is_told_nothing_secret() {
    let world = World::new().await;
    let router = world.router().await;
    let reply = post_json(&router, "/v1/subscriptions", HOOK).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
    assert_eq!(
        reply.json(),
        json!({"ticker": "META", "metric": "volume", "channel": "webhook", "email": null,
            "url": "https://hooks.example.com/a?key=1",
            "rule": {"kind": "spike", "ratio": 4.5, "window": "30m", "min_bars": 30, "trigger": "level",
                "session": "all", "cooldown": "60m"},
            "status": "pending"})
    );
    let again = post_json(&router, "/v1/subscriptions", HOOK).await;
    assert_eq!((again.status, again.body), (reply.status, reply.body), "nobody learns who subscribes");
    let owed = world.claim().await;
    let Channel::Webhook(webhook) = &owed[0].subscription.channel else { panic!("{owed:?}") };
    assert_eq!(webhook.format, WebhookFormat::Slack);
    assert_eq!(owed[0].subscription.quiet.as_ref().unwrap().to_string(), "22:00-07:00 Europe/Berlin");
}

#[tokio::test]
async fn a_sign_up_with_nothing_special_is_like_the_original_one() {
    let world = World::new().await;
    let router = world.router().await;
    let body = r#"{"email":"ada@example.com","ticker":"TSLA","metric":"price"}"#;
    let reply = post_json(&router, "/v1/subscriptions", body).await;
    assert_eq!(reply.status, StatusCode::CREATED);
    assert_eq!(reply.json()["rule"]["kind"], "spike");
    // Both are one wish: no second confirmation.
    assert_eq!(post_json(&router, "/subscribe", body).await.status, StatusCode::CREATED);
    assert_eq!(world.claim().await.len(), 1);
}

#[tokio::test]
async fn what_is_wrong_is_told_field_by_field() {
    let world = World::new().await;
    let router = world.router().await;
    for (body, fields) in [
        (r#"{"channel":"pigeon","ticker":"TSLA","metric":"price"}"#, vec!["channel"]),
        (r#"{"channel":"webhook","email":"a@b.c","ticker":"TSLA","metric":"price"}"#, vec!["email", "url"]),
        (r#"{"email":"a@b.c","url":"https://a.b","ticker":"TSLA","metric":"price"}"#, vec!["url"]),
        (r#"{"channel":"webhook","url":"ftp://a.b","ticker":"TSLA","metric":"price"}"#, vec!["url"]),
        (
            r#"{"channel":"webhook","url":"https://a.b","format":"fax","ticker":"TSLA","metric":"price"}"#,
            vec!["format"],
        ),
        (r#"{"email":"a@b.c","ticker":"TSLA","metric":"volume","rule":"move percent=3"}"#, vec!["rule.kind"]),
        (
            r#"{"email":"a@b.c","ticker":"NONE","metric":"speed","rule":{"kind":"spike","ratio":0.5}}"#,
            vec!["metric", "ticker", "rule.ratio"],
        ),
        (
            r#"{"email":"a@b.c","ticker":"TSLA","metric":"price","quiet_hours":{"from":"22:00","to":"7","zone":"UTC"}}"#,
            vec!["quiet_hours.to"],
        ),
        (r#"{"email":"a@b.c","ticker":"TSLA","metric":"price","colour":"red"}"#, vec!["colour"]),
    ] {
        let reply = post_json(&router, "/v1/subscriptions", body).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        let told = reply.json();
        let told: Vec<_> =
            told["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
        assert_eq!(told, fields, "{body}");
    }
}

#[tokio::test]
async fn an_address_that_nothing_would_be_sent_to_is_refused_at_once() {
    let mut world = World::new().await;
    world.config.admit = std::sync::Arc::new(|url| Err(format!("no way to {}", url.host())));
    let reply = post_json(&world.router().await, "/v1/subscriptions", HOOK).await;
    assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(reply.json()["errors"], json!([{"field": "url", "detail": "no way to hooks.example.com"}]));
}

#[tokio::test]
async fn the_holder_of_the_token_reads_changes_and_ends_a_subscription() {
    let world = World::new().await;
    let router = world.router().await;
    let (path, token) = subscribed(&world, &router, &HOOK.replace("slack", "standard")).await;
    let read = with_token(&router, "GET", &path, &token, None).await;
    assert_eq!(read.status, StatusCode::OK);
    let told = read.json();
    assert_eq!((&told["status"], &told["format"]), (&json!("active"), &json!("standard")));
    assert_eq!(told["url"], "https://hooks.example.com/a?key=1");
    let secret = told["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("whsec_"));

    let body = r#"{"rule":"v1 cross above=5000000","quiet_hours":null,"paused_until":"resumed"}"#;
    let changed = with_token(&router, "PATCH", &path, &token, Some(body)).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.text());
    let told = changed.json();
    assert_eq!((&told["quiet_hours"], &told["paused_until"]), (&Value::Null, &json!("resumed")));
    assert_eq!(
        told["rule_text"],
        "v1 cross above=5000000 trigger=edge rearm=5000000 session=all cooldown=60m"
    );

    let resumed = with_token(&router, "PATCH", &path, &token, Some(r#"{"paused_until":null}"#)).await.json();
    assert_eq!((&resumed["paused_until"], &resumed["rule_text"]), (&Value::Null, &told["rule_text"]));

    let rotated = with_token(&router, "POST", &format!("{path}/secret"), &token, None).await;
    assert_eq!(rotated.status, StatusCode::OK);
    assert_ne!(rotated.json()["secret"].as_str().unwrap(), secret);

    assert_eq!(with_token(&router, "DELETE", &path, &token, None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(with_token(&router, "DELETE", &path, &token, None).await.status, StatusCode::NO_CONTENT);
    let ended = with_token(&router, "GET", &path, &token, None).await.json();
    assert_eq!(ended["status"], SubscriptionStatus::Unsubscribed.as_str());
    let late = with_token(&router, "PATCH", &path, &token, Some("{}")).await;
    assert_eq!(late.status, StatusCode::GONE);
}

#[tokio::test]
async fn who_reads_a_channel_does_not_learn_how_to_post_there() {
    let world = World::new().await;
    let router = world.router().await;
    for format in ["slack", "discord", "ntfy"] {
        let url = format!("https://{format}.example.com/services/T0/B0/x?auth=y");
        let hook = HOOK.replace("slack", format).replace("https://hooks.example.com/a?key=1", &url);
        let (path, token) = subscribed(&world, &router, &hook).await;
        let read = with_token(&router, "GET", &path, &token, None).await;
        let changed = with_token(&router, "PATCH", &path, &token, Some("{}")).await;
        for told in [read.json(), changed.json()] {
            assert_eq!(
                (&told["url"], &told["secret"]),
                (&json!(format!("https://{format}.example.com")), &Value::Null)
            );
        }
    }
}

#[tokio::test]
async fn without_its_token_a_subscription_might_as_well_not_be_there() {
    let world = World::new().await;
    let router = world.router().await;
    let (path, token) = subscribed(&world, &router, HOOK).await;
    let other = TokenKey::new([9; 32]).token(
        Purpose::Manage,
        qqq_core::subscription::SubscriptionId::from_random([1; 16]),
        &[1; 16],
    );
    let refusals = [
        get(&router, &path).await,
        with_token(&router, "GET", &path, "nonsense", None).await,
        with_token(&router, "GET", &path, other.expose(), None).await,
        with_token(&router, "GET", "/v1/subscriptions/0d34e6a2-0000-4000-8000-000000000000", &token, None)
            .await,
        with_token(&router, "DELETE", "/v1/subscriptions/none", &token, None).await,
        with_token(&router, "PATCH", &path, other.expose(), Some("{}")).await,
    ];
    for refusal in refusals {
        assert_eq!(refusal.status, StatusCode::UNAUTHORIZED);
        assert_eq!(refusal.header("www-authenticate"), "Bearer");
        assert_eq!(refusal.json()["code"], "unauthorized");
    }
}

#[tokio::test]
async fn two_subscriptions_of_one_receiver_never_have_the_same_rule() {
    let world = World::new().await;
    let router = world.router().await;
    let other = HOOK.replace("4.5", "6");
    subscribed(&world, &router, HOOK).await;
    // The throttle lets one confirmation through in ten minutes.
    world.clock.set_to("2025-01-31T20:11:00Z");
    let (path, token) = subscribed(&world, &router, &other).await;
    let rule = r#"{"rule":{"kind":"spike","ratio":4.5,"window":"30m"}}"#;
    let conflict = with_token(&router, "PATCH", &path, &token, Some(rule)).await;
    assert_eq!(conflict.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_subscription_is_paused_snoozed_and_resumed_from_a_page() {
    let world = World::new().await;
    let router = world.router().await;
    let (path, token) = subscribed(&world, &router, HOOK).await;
    let page = format!("/v1/subscriptions/manage?token={token}");
    let paused =
        async || with_token(&router, "GET", &path, &token, None).await.json()["paused_until"].clone();
    assert!(get(&router, &page).await.text().contains("Snooze for an hour"));
    assert_eq!(paused().await, Value::Null, "looking changes nothing");
    for (action, until, says) in [
        ("hour", json!("2025-01-31T21:00:30Z"), "are paused"),
        ("day", json!("2025-02-01T20:00:30Z"), "are paused"),
        ("pause", json!("resumed"), "until you resume them"),
        ("resume", Value::Null, "Alerts for META volume"),
    ] {
        let reply = post(&router, &page, FORM, format!("action={action}")).await;
        assert_eq!(reply.status, StatusCode::OK);
        assert!(reply.text().contains(says), "{action}: {}", reply.text());
        assert_eq!(paused().await, until, "{action}");
    }
    assert_eq!(post(&router, &page, FORM, "action=dance").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let unknown = "/v1/subscriptions/manage?token=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    assert_eq!(get(&router, unknown).await.status, StatusCode::NOT_FOUND);
    assert_eq!(post(&router, unknown, FORM, "action=pause").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn one_link_ends_all_subscriptions_of_a_receiver() {
    let world = World::new().await;
    let router = world.router().await;
    let (first, one) = subscribed(&world, &router, HOOK).await;
    world.clock.set_to("2025-01-31T20:11:00Z");
    let (second, two) = subscribed(&world, &router, &HOOK.replace("4.5", "6")).await;
    let subscription = world
        .store
        .subscription_of(Purpose::Manage, &qqq_core::token::Token::parse(&one).unwrap().hash())
        .await
        .unwrap()
        .unwrap();
    let token = world.key.token(Purpose::Unsubscribe, subscription.id, &subscription.nonce);
    let link = format!("/v1/subscriptions/unsubscribe?token={}&all=true", token.expose());
    assert!(get(&router, &link).await.text().contains("No more alerts at all?"));
    assert_eq!(post(&router, &link, FORM, "List-Unsubscribe=One-Click").await.status, StatusCode::OK);
    for (path, token) in [(first, one), (second, two)] {
        assert_eq!(with_token(&router, "GET", &path, &token, None).await.json()["status"], "unsubscribed");
    }
}
