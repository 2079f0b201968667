//! What is pushed to browsers, as a peer that is not ours reads it, and what becomes of the answers.

use crate::fixture::{
    alert, alert_delivery, confirmation, digest, key, many, telling, webhooks, webhooks_at,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use qqq_core::delivery::{Delivery, DeliveryKind, FailureKind};
use qqq_core::subscription::SubscriptionStatus::{Active, Pending};
use qqq_core::subscription::push::PushReceiver;
use qqq_core::subscription::token::Purpose;
use qqq_core::{Alert, AlertState, Channel, Visibility};
use qqq_notify::{Deliver as _, DeliveryError};
use qqq_testkit::browser;
use qqq_testkit::http::{Reply, Request, Server};
use serde_json::{Value, json};
use std::time::Duration;

const LOCAL: [&str; 1] = ["127.0.0.0/8"];
fn by_push(endpoint: &str, mut delivery: Delivery) -> Delivery {
    delivery.subscription.channel =
        Channel::Push(PushReceiver::new(endpoint, browser::PUBLIC, browser::AUTH).unwrap());
    delivery
}

async fn sent(delivery: &Delivery) -> Request {
    let sink = Server::script([]).await;
    let endpoint = format!("http://{}/push/one", sink.address);
    webhooks(&LOCAL).deliver(&by_push(&endpoint, delivery.clone())).await.unwrap();
    sink.once()
}

/// What the browser reads of a push.
fn read(request: &Request) -> Value {
    browser::read(&request.bytes, &request.headers["authorization"])
}

fn link(action: &str, purpose: Purpose) -> String {
    let subscription = confirmation(Pending).subscription;
    let token = key().token(purpose, subscription.id, &subscription.nonce);
    format!("https://qqq.example.org/v1/subscriptions/{action}?token={}", token.expose())
}

#[tokio::test]
async fn an_alert_is_read_by_the_browser_alone_and_signed_with_the_key_it_was_told() {
    let delivery = alert_delivery();
    let request = sent(&delivery).await;
    assert_eq!(request.line, "POST /push/one HTTP/1.1");
    for (name, value) in [
        ("content-encoding", "aes128gcm"),
        ("content-type", "application/octet-stream"),
        ("urgency", "high"),
        ("topic", &*delivery.id.to_string().replace('-', "")),
    ] {
        assert_eq!(request.headers[name], value);
    }
    let lasts = delivery.expires_at.duration_since("2025-01-27T18:58:03Z".parse().unwrap()).as_secs();
    assert_eq!(request.headers["ttl"], lasts.clamp(0, 28 * 24 * 3600).to_string());
    for name in ["webhook-id", "webhook-signature", "cookie", "referer"] {
        assert!(!request.headers.contains_key(name), "{name}");
    }
    assert!(!request.body.contains("NVDA") && request.bytes.len() <= 4096);

    let push = read(&request);
    assert_eq!(push["header"], json!({"typ": "JWT", "alg": "ES256"}));
    assert_eq!(push["key"], webhooks(&LOCAL).push_key());
    let service = format!("http://{}", request.url.authority());
    assert_eq!(
        push["claims"],
        json!({"aud": service, "exp": 1_738_004_283 + 12 * 3600, "sub": "mailto:alerts@example.org"})
    );
    let snooze = format!("{}&for=hour", link("snooze", Purpose::Unsubscribe));
    assert_eq!(
        push["payload"],
        json!({
            "title": "NVDA volume 18.7x its last hour",
            "text": "NVDA traded 9,637,512 shares at 13:57 New York time, \
                     18.7 times its average of the last hour, 516,000. \
                     The price was $118.42 (-3.49 % on the day).",
            "url": format!("https://qqq.example.org/alerts/{}", alert().id),
            "tag": alert().id.to_string(),
            "buttons": [
                {"title": "Snooze 1 hour", "url": snooze},
                {"title": "Unsubscribe", "url": link("unsubscribe", Purpose::Unsubscribe)},
            ],
        })
    );
}

#[tokio::test]
async fn every_kind_of_message_leads_where_its_reader_may_go() {
    let told = async |delivery: &Delivery| read(&sent(delivery).await)["payload"].clone();
    let asks = told(&confirmation(Pending)).await;
    assert_eq!(asks["url"], link("confirm", Purpose::Confirm));
    assert_eq!(asks["title"], "Please confirm: alerts on NVDA volume");
    let manage = key().token(Purpose::Manage, confirmation(Pending).subscription.id, &[9; 16]);
    assert!(!asks.to_string().contains(manage.expose()));
    let mut of_several = confirmation(Pending);
    of_several.asked = vec![of_several.subscription.clone(); 3];
    assert_eq!(told(&of_several).await["title"], "Please confirm: alerts on NVDA volume and 2 more");
    assert_eq!(told(&confirmation(Active)).await["title"], "You are subscribed: alerts on NVDA volume");
    // What is taken back takes the place of what was told.
    let back = Alert { state: AlertState::Retracted, ..alert() };
    let back = told(&telling(DeliveryKind::Retraction, back)).await;
    assert_eq!(back["tag"], alert().id.to_string());
    assert!(back["title"].as_str().unwrap().starts_with("Retracted: "), "{back}");
    // An own rule's alert is on no page that a click opens.
    let own = Alert { visibility: Visibility::Private, ..alert() };
    assert_eq!(told(&telling(DeliveryKind::Alert, own)).await["url"], "https://qqq.example.org/s/NVDA");
    let many = sent(&digest(many(200, 3))).await;
    assert!(many.bytes.len() <= 4096, "{}", many.bytes.len());
    assert_eq!(read(&many)["payload"]["url"], "https://qqq.example.org/");
}

#[tokio::test]
async fn an_answer_decides_what_becomes_of_a_push() {
    for (status, answer, expected) in [
        (201, Reply::status(201, ""), "sent"),
        (404, Reply::status(404, ""), "gone"),
        (410, Reply::status(410, ""), "gone"),
        (400, Reply::status(400, "no"), "retry"),
        (401, Reply::status(401, "no"), "final"),
        (403, Reply::status(403, "no").header("retry-after", "120"), "final"),
        (403, Reply::status(403, "{\"reason\":\"VapidPkHashMismatch\"}"), "of another key"),
        (413, Reply::status(413, ""), "retry"),
        (429, Reply::status(429, "").header("retry-after", "120"), "after"),
        (301, Reply::status(301, "").header("location", "/elsewhere"), "retry"),
    ] {
        let sink = Server::script([answer]).await;
        let endpoint = format!("http://{}/push/one", sink.address);
        let result = webhooks(&LOCAL).deliver(&by_push(&endpoint, alert_delivery())).await;
        let found = match result {
            Ok(()) => "sent",
            Err(DeliveryError::Gone(failure)) if failure.kind == FailureKind::KeyRefused => "of another key",
            Err(DeliveryError::Gone(_)) => "gone",
            Err(DeliveryError::GiveUp(failure)) if failure.kind == FailureKind::KeyRefused => "final",
            Err(DeliveryError::Retry(_)) => "retry",
            Err(DeliveryError::RetryAfter(_, wait)) => {
                assert_eq!(wait, Duration::from_secs(120));
                "after"
            }
            Err(other) => panic!("{status}: {other}"),
        };
        assert_eq!(found, expected, "{status}");
        assert_eq!(sink.requests().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_push_goes_nowhere_a_webhook_would_not_go() {
    let sink = Server::script([]).await;
    let inside = format!("http://{}/push/one", sink.address);
    let refused = webhooks(&[]).deliver(&by_push(&inside, alert_delivery())).await;
    assert!(matches!(refused, Err(DeliveryError::GiveUp(_))), "{refused:?}");
    assert!(sink.requests().is_empty());
    let judged = |endpoint: &str, key: &str| {
        let receiver = PushReceiver::new(endpoint, key, browser::AUTH).unwrap();
        webhooks(&[]).admit_push(&receiver).map_err(|error| error.member)
    };
    assert_eq!(judged("https://push.example.net/one", browser::PUBLIC), Ok(()));
    assert_eq!(judged("http://push.example.net/one", browser::PUBLIC), Err("endpoint"));
    assert_eq!(judged("https://127.0.0.1/one", browser::PUBLIC), Err("endpoint"));
    let nowhere = URL_SAFE_NO_PAD.encode([[4].as_slice(), &[1; 64]].concat());
    assert_eq!(judged("https://push.example.net/one", &nowhere), Err("keys.p256dh"));
}

#[tokio::test]
async fn what_lapsed_is_not_kept_for_the_browser() {
    let sink = Server::script([]).await;
    let endpoint = format!("http://{}/push/one", sink.address);
    let delivery = by_push(&endpoint, alert_delivery());
    let late = delivery.expires_at.min("2100-01-01T00:00:00Z".parse().unwrap());
    webhooks_at(&LOCAL, late).deliver(&Delivery { expires_at: late, ..delivery }).await.unwrap();
    assert_eq!(sink.once().headers["ttl"], "0");
}
