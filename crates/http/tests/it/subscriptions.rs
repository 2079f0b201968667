//! `/v1/subscriptions`: any channel and any rule, and what the holder of a token may do.

use crate::world::*;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use qqq_core::Channel;
use qqq_core::delivery::DeliveryKind;
use qqq_core::subscription::channel::WebhookFormat;
use qqq_core::subscription::limits::SubscriptionLimits;
use qqq_core::subscription::push::InvalidPushReceiver;
use qqq_core::subscription::token::{Purpose, TokenKey};
use qqq_core::subscription::{Scope, SubscriptionStatus};
use qqq_store::SubscriptionQuery;
use serde_json::{Value, json};

const HOOK: &str = r#"{"channel":"webhook","url":"https://hooks.example.com/a?key=1","format":"slack",
    "ticker":"fb","metric":"volume","rule":{"kind":"spike","ratio":4.5,"window":"30m"},
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
        json!({"ticker": "META", "symbols": ["META"], "metric": "volume", "channel": "webhook", "email": null,
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
            r#"{"email":"a@b.c","ticker":"TSLA","metric":"price",
                "quiet_hours":{"from":"22:00","to":"7","zone":"UTC"}}"#,
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
async fn several_symbols_are_one_request_with_one_mail_one_page_and_one_click() {
    let world = World::new().await;
    let router = world.router().await;
    let body = r#"{"email":"ada@example.com","symbols":["TSLA","fb","aapl","META"],"metric":"volume"}"#;
    let reply = post_json(&router, "/v1/subscriptions", body).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
    let told = reply.json();
    assert_eq!((&told["ticker"], &told["status"]), (&json!(null), &json!("pending")));
    assert_eq!(told["symbols"], json!(["TSLA", "META", "AAPL"]), "each once, as listed today");
    let whole = r#"{"email":"ada@example.com","symbols":"*","metric":"price"}"#;
    let reply = post_json(&router, "/v1/subscriptions", whole).await;
    assert_eq!((&reply.json()["ticker"], &reply.json()["symbols"]), (&json!(null), &json!(["*"])));

    let owed = world.claim().await;
    let [mail] = &owed[..] else { panic!("{owed:?}") };
    assert_eq!(mail.asked.len(), 4);
    let of = &mail.subscription;
    let token = |purpose| world.key.token(purpose, of.id, &of.nonce).expose().to_owned();
    let path = format!("/v1/subscriptions/confirm?token={}", token(Purpose::Confirm));
    let page = get(&router, &path).await;
    for about in ["AAPL volume", "META volume", "TSLA volume", "every symbol&#x27;s price"] {
        assert!(page.text().contains(about), "{about}: {}", page.text());
    }
    assert_eq!(page.text().matches(" checked").count(), 4);
    let reply = post(&router, &path, FORM, "").await;
    assert_eq!(reply.status, StatusCode::OK);
    assert!(reply.text().contains("You are subscribed"), "{}", reply.text());
    // The pages of the watchlist's say so.
    let all = SubscriptionQuery { limit: 9, ..SubscriptionQuery::default() };
    let all = world.store.subscriptions(&all).await.unwrap();
    assert!(all.len() == 4 && all.iter().all(|one| one.status == SubscriptionStatus::Active));
    let whole = all.iter().find(|one| one.scope == Scope::Watchlist).unwrap();
    let token = |purpose| world.key.token(purpose, whole.id, &whole.nonce).expose().to_owned();
    for (page, purpose) in [("manage", Purpose::Manage), ("unsubscribe", Purpose::Unsubscribe)] {
        let page = get(&router, &format!("/v1/subscriptions/{page}?token={}", token(purpose))).await;
        assert!(page.text().contains("lerts for every symbol&#x27;s price"), "{}", page.text());
    }
    let path = format!("/v1/subscriptions/{}", whole.id);
    let told = with_token(&router, "GET", &path, &token(Purpose::Manage), None).await.json();
    assert_eq!((&told["ticker"], &told["metric"]), (&json!("*"), &json!("price")));
}

#[tokio::test]
async fn a_page_of_symbols_by_one_rule_says_once_what_comes() {
    let world = World::new().await;
    let router = world.router().await;
    let body = r#"{"email":"ada@example.com","symbols":["TSLA","AAPL","NVDA"],"metric":"volume"}"#;
    post_json(&router, "/v1/subscriptions", body).await;
    let (confirm, _) = world.mailed_tokens().await;
    let page = get(&router, &format!("/v1/subscriptions/confirm?token={confirm}")).await;
    let text = page.text();
    assert_eq!(text.matches("You will get a mail when the volume of one of them is").count(), 1, "{text}");
    assert_eq!(text.matches("You will get a mail").count(), 1, "{text}");
}

#[tokio::test]
async fn a_list_is_taken_whole_or_not_at_all_and_each_wrong_entry_is_told() {
    let world = World::new().await;
    let router = world.router().await;
    let many = format!(r#""symbols":[{}"AAPL"]"#, r#""AAPL","#.repeat(200));
    for (symbols, fields) in [
        (r#""symbols":["AAPL","NONE","TSLA",7,"?"]"#, vec!["symbols[1]", "symbols[3]", "symbols[4]"]),
        (r#""symbols":["AAPL","*"]"#, vec!["symbols[1]"]),
        (r#""symbols":[]"#, vec!["symbols"]),
        (r#""symbols":"AAPL""#, vec!["symbols"]),
        (r#""symbols":{}"#, vec!["symbols"]),
        (r#""symbols":null"#, vec!["symbols"]),
        (r#""symbol":"*""#, vec!["symbol"]),
        (r#""symbol":"NONE""#, vec!["symbol"]),
        (r#""symbol":"AAPL","ticker":"AAPL""#, vec!["symbol"]),
        (r#""ticker":"AAPL","symbols":["TSLA"]"#, vec!["symbols"]),
        (&many, vec!["symbols"]),
    ] {
        let body = format!(r#"{{"email":"ada@example.com","metric":"volume",{symbols}}}"#);
        let reply = post_json(&router, "/v1/subscriptions", &body).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{symbols}");
        let told = reply.json();
        let told: Vec<_> =
            told["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
        assert_eq!(told, fields, "{symbols}");
    }
    assert!(world.claim().await.is_empty(), "nothing of it was kept");
    // The original knows one ticker.
    let body = r#"{"email":"ada@example.com","metric":"volume","symbols":["TSLA"]}"#;
    let reply = post_json(&router, "/subscribe", body).await;
    assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY);
    let body = r#"{"email":"ada@example.com","metric":"volume","symbol":"fb"}"#;
    let reply = post_json(&router, "/v1/subscriptions", body).await;
    assert_eq!((reply.status, &reply.json()["ticker"]), (StatusCode::CREATED, &json!("META")));
    // More than anybody may have is told whoever asks.
    world.store.hold_to(SubscriptionLimits { per_receiver: 2, ..SubscriptionLimits::default() });
    let body = r#"{"email":"eve@example.com","symbols":["TSLA","AAPL","NVDA"],"metric":"volume"}"#;
    let told = post_json(&router, "/v1/subscriptions", body).await.json();
    assert_eq!((&told["code"], &told["errors"][0]["field"]), (&json!("limit_exceeded"), &json!("symbols")));
}

#[tokio::test]
async fn an_address_that_nothing_would_be_sent_to_is_refused_at_once() {
    let mut world = World::new().await;
    world.config.admit = std::sync::Arc::new(|url| Err(format!("no way to {}", url.host())));
    let reply = post_json(&world.router().await, "/v1/subscriptions", HOOK).await;
    assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(reply.json()["errors"], json!([{"field": "url", "detail": "no way to hooks.example.com"}]));
}

/// A browser's subscription, of RFC 8291, appendix A.
const BROWSER: &str = r#"{"channel":"push","symbol":"META","metric":"volume","push":{
    "endpoint":"https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV","expirationTime":null,"keys":{
    "p256dh":"BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
    "auth":"BTBZMqHH6r4Tts7J_aSIgg"}}}"#;

#[tokio::test]
async fn a_browser_signs_up_confirms_and_is_told_nothing_of_where_it_is_reached() {
    let mut world = World::new().await;
    world.config.push.public_key = "BKEY".to_owned();
    let router = world.router().await;
    assert_eq!(get(&router, "/v1/push").await.json(), json!({"public_key": "BKEY"}));
    let told = post_json(&router, "/v1/subscriptions", BROWSER).await.json();
    assert_eq!(
        (&told["channel"], &told["email"], &told["url"], &told["status"]),
        (&json!("push"), &Value::Null, &Value::Null, &json!("pending"))
    );
    assert!(world.claim().await.pop().is_some());
    world.clock.set_to("2025-01-31T20:11:00Z");
    let other = BROWSER.replace("volume", "price");
    let (path, token) = subscribed(&world, &router, &other).await;
    let told = with_token(&router, "GET", &path, &token, None).await;
    assert_eq!((&told.json()["channel"], &told.json()["secret"]), (&json!("push"), &Value::Null));
    assert!(!told.text().contains("push.example.net"), "{}", told.text());
    let page = get(&router, &page_of(&world, &token, "manage", Purpose::Manage).await).await;
    assert!(page.text().contains("Your browser will notify you"), "{}", page.text());
}

#[tokio::test]
async fn what_is_wrong_with_a_browsers_subscription_is_named() {
    let mut world = World::new().await;
    world.config.push.admit = std::sync::Arc::new(|receiver| {
        let problem = format!("no way to {}", receiver.endpoint.host());
        Err(InvalidPushReceiver { member: "endpoint", problem })
    });
    let router = world.router().await;
    let without = |part: &str| BROWSER.replace(part, "");
    for (body, field) in [
        (BROWSER.to_owned(), "push.endpoint"),
        (BROWSER.replace("https://push", "ftp://push"), "push.endpoint"),
        (without(r#""auth":"BTBZMqHH6r4Tts7J_aSIgg""#).replace("iw4\",", "iw4\""), "push.keys.auth"),
        (BROWSER.replace("BCVxsr7N", "CCVxsr7N"), "push.keys.p256dh"),
        (BROWSER.replace("expirationTime", "canary"), "push.canary"),
        (r#"{"channel":"push","symbol":"META","metric":"volume","push":"x"}"#.to_owned(), "push"),
        (r#"{"channel":"push","symbol":"META","metric":"volume"}"#.to_owned(), "push"),
        (BROWSER.replace(r#""symbol""#, r#""url":"https://a.example","symbol""#), "url"),
        (HOOK.replace(r#""ticker""#, r#""push":{},"ticker""#), "push"),
    ] {
        let reply = post_json(&router, "/v1/subscriptions", &body).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        let told = reply.json();
        assert!(
            told["errors"].as_array().unwrap().iter().any(|error| error["field"] == field),
            "{field}: {told}"
        );
    }
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
        ("pause", json!("resumed"), "until they are resumed"),
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

/// The path of a page that a token of a subscription opens, by the token that manages it.
async fn page_of(world: &World, token: &str, action: &str, purpose: Purpose) -> String {
    let manage = qqq_core::subscription::token::Token::parse(token).unwrap().hash();
    let subscription = world.store.subscription_of(Purpose::Manage, &manage).await.unwrap().unwrap();
    let token = world.key.token(purpose, subscription.id, &subscription.nonce);
    format!("/v1/subscriptions/{action}?token={}", token.expose())
}

#[tokio::test]
async fn a_link_in_a_message_snoozes_and_neither_pauses_nor_resumes() {
    let world = World::new().await;
    let router = world.router().await;
    let (path, token) = subscribed(&world, &router, HOOK).await;
    let page = page_of(&world, &token, "snooze", Purpose::Unsubscribe).await;
    let paused =
        async || with_token(&router, "GET", &path, &token, None).await.json()["paused_until"].clone();
    let shown = get(&router, &format!("{page}&for=week")).await.text().to_owned();
    let place = |caption: &str| shown.find(caption).unwrap();
    assert!(place("Snooze for a week") < place("Snooze for an hour"), "what was asked for is first");
    assert!(!shown.contains("Pause") && shown.contains("Snooze alerts for META volume?"), "{shown}");
    assert_eq!(paused().await, Value::Null, "looking changes nothing");
    for (action, until, says) in [
        ("hour", json!("2025-01-31T21:00:30Z"), "22:00 Europe/Berlin time"),
        ("tomorrow", json!("2025-02-01T08:00:00Z"), "February 1, 09:00 Europe/Berlin time"),
        ("week", json!("2025-02-07T20:00:30Z"), "February 7, 21:00 Europe/Berlin time"),
        ("end", Value::Null, "Snooze alerts for META volume?"),
    ] {
        let reply = post(&router, &page, FORM, format!("action={action}")).await;
        assert_eq!(reply.status, StatusCode::OK);
        assert!(reply.text().contains(says), "{action}: {}", reply.text());
        assert_eq!(paused().await, until, "{action}");
    }
    for action in ["pause", "resume", "day", ""] {
        let reply = post(&router, &page, FORM, format!("action={action}")).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{action}");
    }
    // What its holder has paused for good stays so.
    let manage = format!("/v1/subscriptions/manage?token={token}");
    post(&router, &manage, FORM, "action=pause").await;
    for action in ["hour", "end"] {
        let reply = post(&router, &page, FORM, format!("action={action}")).await;
        assert!(reply.text().contains("until they are resumed") && !reply.text().contains("<form"));
        assert_eq!(paused().await, "resumed", "{action}");
    }
    for (path, status) in [
        (format!("{page}&for=ever"), StatusCode::BAD_REQUEST),
        (manage.replace("manage", "snooze"), StatusCode::NOT_FOUND),
        (page.replace("snooze", "manage"), StatusCode::NOT_FOUND),
    ] {
        assert_eq!(get(&router, &path).await.status, status, "{path}");
    }
    with_token(&router, "DELETE", &path, &token, None).await;
    assert_eq!(get(&router, &page).await.status, StatusCode::GONE);
    assert_eq!(post(&router, &page, FORM, "action=hour").await.status, StatusCode::GONE);
}

#[tokio::test]
async fn the_end_of_a_snooze_is_told_in_a_zone_that_is_named() {
    let world = World::new().await;
    let router = world.router().await;
    let (before, _) = HOOK.split_once(",\n    \"quiet_hours\"").unwrap();
    let plain = format!("{before}}}");
    for (minutes, hook, said) in [
        (1, HOOK, "January 31, 22:01 Europe/Berlin time"),
        (11, &plain.replace("4.5", "6"), "January 31, 16:11 New York time"),
    ] {
        world.clock.set_to(&format!("2025-01-31T20:{minutes:02}:00Z"));
        let (_, token) = subscribed(&world, &router, hook).await;
        let page = format!("/v1/subscriptions/manage?token={token}");
        let reply = post(&router, &page, FORM, "action=hour").await.text().to_owned();
        let time = format!("until <time datetime=\"2025-01-31T21:{minutes:02}:00Z\">{said}</time>, nor");
        assert!(reply.contains(&time), "{reply}");
        // Where there are scripts, one says it in the zone of who looks.
        let script = reply.split("src=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let script = get(&router, script).await;
        assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
        assert!(!post(&router, &page, FORM, "action=pause").await.text().contains("<script"));
    }
}

#[tokio::test]
async fn one_link_ends_all_subscriptions_of_a_receiver() {
    let world = World::new().await;
    let router = world.router().await;
    let (first, one) = subscribed(&world, &router, HOOK).await;
    world.clock.set_to("2025-01-31T20:11:00Z");
    let (second, two) = subscribed(&world, &router, &HOOK.replace("4.5", "6")).await;
    let link = page_of(&world, &one, "unsubscribe", Purpose::Unsubscribe).await + "&all=true";
    assert!(get(&router, &link).await.text().contains("No more alerts at all?"));
    assert_eq!(post(&router, &link, FORM, "List-Unsubscribe=One-Click").await.status, StatusCode::OK);
    for (path, token) in [(first, one), (second, two)] {
        assert_eq!(with_token(&router, "GET", &path, &token, None).await.json()["status"], "unsubscribed");
    }
}
