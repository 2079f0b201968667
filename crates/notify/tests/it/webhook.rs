//! What webhooks say, how they are signed, and what becomes of the answers.

use crate::fixture::{
    Names, alert, alert_delivery, by_webhook, confirmation, digest, key, many, secrets, telling, webhooks,
    webhooks_at,
};
use jiff::{SignedDuration, Timestamp};
use qqq_core::delivery::{Delivery, DeliveryKind, Failure, FailureKind};
use qqq_core::subscription::SubscriptionStatus::{Pending, Unsubscribed};
use qqq_core::subscription::channel::WebhookFormat::{self, Discord, Ntfy, Slack, Standard, Telegram};
use qqq_core::subscription::token::Purpose;
use qqq_core::{Alert, AlertState, SpikeRule};
use qqq_notify::{Deliver as _, DeliveryError, Webhooks, WebhooksConfig};
use qqq_testkit::http::{Reply, Request, Server};
use qqq_testkit::python;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::TcpSocket;

mod formats;

const LOCAL: [&str; 1] = ["127.0.0.0/8"];

async fn attempt(webhooks: &Webhooks, url: &str, format: WebhookFormat) -> Result<(), DeliveryError> {
    webhooks.deliver(&by_webhook(url, format, alert_delivery())).await
}

/// The request a delivery becomes.
async fn sent(format: WebhookFormat, delivery: &Delivery) -> Request {
    let sink = Server::script([]).await;
    let url = format!("http://{}/hook?to=us", sink.address);
    webhooks(&LOCAL).deliver(&by_webhook(&url, format, delivery.clone())).await.unwrap();
    sink.once()
}

async fn json_of(format: WebhookFormat, delivery: &Delivery) -> Value {
    let request = sent(format, delivery).await;
    assert_eq!(request.headers["content-type"], "application/json");
    serde_json::from_str(&request.body).unwrap()
}

/// An address that refuses connections: bound, so that nobody else gets it, and not listening.
fn port_of_nobody() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

fn link(action: &str, purpose: Purpose) -> String {
    let subscription = confirmation(Pending).subscription;
    let token = key().token(purpose, subscription.id, &subscription.nonce);
    format!("https://qqq.example.org/v1/subscriptions/{action}?token={}", token.expose())
}

/// The page of the fixture's alert.
fn page() -> String {
    format!("https://qqq.example.org/alerts/{}", alert().id)
}

fn retraction() -> Delivery {
    telling(DeliveryKind::Retraction, Alert { state: AlertState::Retracted, ..alert() })
}

fn simulated() -> Delivery {
    telling(DeliveryKind::Alert, Alert { feed: "simulated".parse().unwrap(), ..alert() })
}

#[tokio::test]
async fn a_request_says_who_sends_what_and_when() {
    let delivery = alert_delivery();
    let request = sent(Standard, &delivery).await;
    assert_eq!(request.line, "POST /hook?to=us HTTP/1.1");
    assert_eq!(request.headers["webhook-id"], delivery.id.to_string());
    assert_eq!(request.headers["webhook-timestamp"], "1738004283");
    assert!(request.headers["webhook-signature"].starts_with("v1,"));
    assert!(request.headers["user-agent"].starts_with("qqq-tracker/"));
    for name in ["cookie", "authorization", "referer", "accept-encoding"] {
        assert!(!request.headers.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn who_has_left_or_never_confirmed_is_not_asked() {
    let sink = Server::script([]).await;
    let url = format!("http://{}/", sink.address);
    let left = confirmation(Unsubscribed);
    let mut unconfirmed = alert_delivery();
    unconfirmed.subscription.status = Pending;
    let mut missing = alert_delivery();
    missing.alert = None;
    for delivery in [left, unconfirmed, missing] {
        let result = webhooks(&LOCAL).deliver(&by_webhook(&url, Standard, delivery)).await;
        assert!(matches!(result, Err(DeliveryError::GiveUp(_))), "{result:?}");
    }
    assert_eq!(sink.connections().await, 0);
}

#[tokio::test]
async fn every_attempt_carries_the_same_id_and_body_and_its_own_time() {
    let sink = Server::script([Reply::status(503, ""), Reply::status(200, "")]).await;
    let delivery = by_webhook(&format!("http://{}/", sink.address), Standard, alert_delivery());
    let first: Timestamp = "2025-01-27T18:58:03Z".parse().unwrap();
    for (minutes, sent) in [(0, false), (10, true)] {
        let webhooks = webhooks_at(&LOCAL, first + SignedDuration::from_mins(minutes));
        assert_eq!(webhooks.deliver(&delivery).await.is_ok(), sent);
    }
    let requests = sink.requests();
    let header = |at: usize, name: &str| requests[at].headers[name].clone();
    assert_eq!(requests[0].body, requests[1].body);
    assert_eq!(header(0, "webhook-id"), header(1, "webhook-id"));
    assert_ne!(header(0, "webhook-timestamp"), header(1, "webhook-timestamp"));
    assert_ne!(header(0, "webhook-signature"), header(1, "webhook-signature"));
}

#[tokio::test]
async fn the_official_library_of_another_language_verifies_what_is_sent() {
    // It holds requests to the wall clock.
    let now = Timestamp::UNIX_EPOCH + std::time::UNIX_EPOCH.elapsed().unwrap();
    let webhooks = webhooks_at(&LOCAL, now);
    for format in WebhookFormat::ALL {
        for delivery in [alert_delivery(), retraction(), confirmation(Pending), digest(many(3, 3))] {
            let sink = Server::script([]).await;
            let mut delivery = by_webhook(&format!("http://{}/hook", sink.address), format, delivery);
            // Rotated within the last day: both sign. What was before them, or comes after, does not.
            delivery.subscription.secret_generation = 2;
            delivery.subscription.secret_rotated_at = Some(now);
            webhooks.deliver(&delivery).await.unwrap();
            let Request { headers, body, .. } = sink.once();
            let told: Vec<_> = secrets([2, 1, 0, 3]).iter().map(|secret| secret.expose()).collect();
            let request = json!({"secrets": told, "headers": headers, "body": body}).to_string();
            let answer: Value =
                serde_json::from_str(&python::run_on("verify_webhook.py", &[], &request)).unwrap();
            assert_eq!(answer["verified"], json!([true, true, false, false]), "{format}");
            assert_eq!(answer["forged"], 0, "{format}");
            assert!(answer["tried"].as_u64().unwrap() > 300, "{format}");
        }
    }
}

#[tokio::test]
async fn an_answer_decides_what_becomes_of_a_delivery() {
    enum Expected {
        Sent,
        Retry,
        RetryAfter(u64),
        Gone,
    }
    use Expected::{Gone, Retry, RetryAfter};
    let slow =
        r#"{"ok":false,"error_code":429,"description":"Too Many Requests","parameters":{"retry_after":35}}"#;
    let deleted = r#"{"message": "Unknown Webhook", "code": 10015}"#;
    let dated = Reply::status(503, "")
        .header("date", "Mon, 27 Jan 2025 12:00:00 GMT")
        .header("retry-after", "Mon, 27 Jan 2025 12:02:00 GMT");
    for (answer, format, expected) in [
        (Reply::status(200, ""), Standard, Expected::Sent),
        (Reply::status(202, ""), Standard, Expected::Sent),
        (Reply::status(299, "no"), Standard, Expected::Sent),
        // What a receiver that is down may answer, and what stands before it.
        (Reply::status(302, "").header("location", "/login"), Standard, Retry),
        (Reply::status(304, ""), Standard, Retry),
        (Reply::status(400, ""), Standard, Retry),
        (Reply::status(401, ""), Standard, Retry),
        (Reply::status(403, ""), Standard, Retry),
        (Reply::status(404, ""), Standard, Retry),
        (Reply::status(408, ""), Standard, Retry),
        (Reply::status(425, ""), Standard, Retry),
        (Reply::status(429, ""), Standard, Retry),
        (Reply::status(500, ""), Standard, Retry),
        (Reply::status(503, ""), Standard, Retry),
        (Reply::status(999, ""), Standard, Retry),
        // Asked to wait, within reason.
        (Reply::status(429, "").header("retry-after", "7"), Standard, RetryAfter(7)),
        (Reply::status(503, "").header("retry-after", "0"), Standard, RetryAfter(0)),
        (Reply::status(503, "").header("retry-after", "99999999"), Standard, RetryAfter(3600)),
        (dated, Standard, RetryAfter(120)),
        (Reply::status(503, "").header("retry-after", "soon"), Standard, Retry),
        (Reply::status(503, "").header("retry-after", "-1"), Standard, Retry),
        // No more.
        (Reply::status(410, ""), Standard, Gone),
        (Reply::status(410, "").header("retry-after", "7"), Ntfy, Gone),
        (Reply::status(410, "channel_is_archived"), Slack, Gone),
        (Reply::status(404, "no_service"), Slack, Gone),
        (Reply::status(404, deleted), Discord, Gone),
        (Reply::status(404, deleted), Standard, Retry),
        // Telegram says in its answer how long to wait.
        (Reply::status(429, slow), Telegram, RetryAfter(35)),
        (Reply::status(429, slow), Standard, Retry),
        // No answer.
        (Reply::raw(""), Standard, Retry),
        (Reply::raw("hello\r\n\r\n"), Standard, Retry),
    ] {
        let sink = Server::script([answer.clone()]).await;
        let result = attempt(&webhooks(&LOCAL), &format!("http://{}/", sink.address), format).await;
        let as_expected = match (&result, expected) {
            (Ok(()), Expected::Sent) => true,
            (Err(DeliveryError::Retry(Failure { reason: why, .. })), Retry) => why.starts_with("127.0.0.1 "),
            (Err(DeliveryError::RetryAfter(_, wait)), RetryAfter(seconds)) => wait.as_secs() == seconds,
            (Err(DeliveryError::Gone(Failure { reason: why, .. })), Gone) => {
                why.starts_with("127.0.0.1 answered ")
            }
            _ => false,
        };
        assert!(as_expected, "{answer:?} led to {result:?}");
        assert_eq!(sink.connections().await, 1, "{answer:?}: one attempt, one request");
    }
}

#[tokio::test]
async fn a_failure_says_of_what_kind_it_is() {
    let (_held, nobody) = port_of_nobody();
    let mut told = vec![(nobody, FailureKind::Unreachable)];
    let mut sinks = Vec::new();
    for (answer, kind) in [
        (Reply::status(503, "it did not answer in time"), FailureKind::Refused(Some(503))),
        (Reply::status(410, ""), FailureKind::Refused(Some(410))),
        (Reply::status(429, "").header("retry-after", "7"), FailureKind::Refused(Some(429))),
        (Reply::status(999, ""), FailureKind::Refused(None)),
        (Reply::silent(), FailureKind::TimedOut),
        (Reply::raw(""), FailureKind::BrokeOff),
    ] {
        let sink = Server::script([answer]).await;
        told.push((sink.address, kind));
        sinks.push(sink);
    }
    for (address, expected) in told {
        let failure = match attempt(&impatient(), &format!("http://{address}/"), Standard).await {
            Err(DeliveryError::Retry(failure) | DeliveryError::RetryAfter(failure, _)) => failure,
            Err(DeliveryError::Gone(failure)) => failure,
            other => panic!("{expected:?}: {other:?}"),
        };
        assert_eq!(failure.kind, expected, "{failure}");
    }
}

#[tokio::test]
async fn an_answer_is_repeated_short_and_without_our_secrets() {
    let unsubscribe = link("unsubscribe", Purpose::Unsubscribe);
    let words = format!("Cannot POST /canary {unsubscribe} canary@example.com {}", "word ".repeat(5000));
    let sink = Server::script([Reply::status(500, words.clone())]).await;
    let result =
        attempt(&webhooks(&LOCAL), &format!("http://{}/canary?k=canary", sink.address), Standard).await;
    let Err(DeliveryError::Retry(Failure { reason: why, .. })) = result else { panic!("{result:?}") };
    assert!(why.starts_with("127.0.0.1 answered 500 Internal Server Error: Cannot POST […] "), "{why}");
    assert!(!why.contains("canary") && !why.contains("token"), "{why}");
    assert!(why.chars().count() < 320, "{why}");
}

#[tokio::test]
async fn a_url_is_in_no_reason() {
    let (_held, nobody) = port_of_nobody();
    let plain = Server::script([]).await.address;
    let webhooks = webhooks(&LOCAL).with_names(Names::saying(&["127.0.0.1"]));
    for (scheme, address) in [("http", nobody), ("https", nobody), ("https", plain)] {
        let url = format!("{scheme}://hook.example:{}/canary?k=canary", address.port());
        let result = attempt(&webhooks, &url, Standard).await;
        let Err(DeliveryError::Retry(Failure { reason: why, .. })) = result else {
            panic!("{url}: {result:?}")
        };
        assert!(why.starts_with("hook.example ") && !why.contains("canary"), "{why}");
    }
}

#[tokio::test]
async fn an_endless_answer_is_not_read_to_the_end() {
    let failing = "HTTP/1.1 500 Internal Server Error\r\n";
    for head in [
        format!("{failing}\r\n"),
        format!("{failing}content-length: 99999999999999\r\n\r\n"),
        format!("{failing}transfer-encoding: chunked\r\n\r\nfffffff\r\n"),
        format!("{failing}content-encoding: gzip\r\n\r\n"),
        // No end of a header, of a status.
        "HTTP/1.1 200 OK\r\nx-header: ".to_owned(),
        "HTTP/1.1 200 ".to_owned(),
    ] {
        let sink = Server::script([Reply::flood(head.clone())]).await;
        let begun = Instant::now();
        let result = attempt(&webhooks(&LOCAL), &format!("http://{}/", sink.address), Standard).await;
        assert!(matches!(result, Err(DeliveryError::Retry(_))), "{head}: {result:?}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{head}: read until the time-out");
    }
}

/// Webhooks that do not wait long.
fn impatient() -> Webhooks {
    let config = WebhooksConfig {
        allow_networks: vec!["127.0.0.0/8".parse().unwrap()],
        timeout: Duration::from_secs(1),
        contact: "alerts@example.org".parse().unwrap(),
        public_url: "https://qqq.example.org/".parse().unwrap(),
        rule: SpikeRule::default(),
    };
    struct Epoch;
    impl qqq_core::Clock for Epoch {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }
    }
    Webhooks::new(config, key(), std::sync::Arc::new(Epoch)).unwrap()
}

#[tokio::test]
async fn an_endpoint_that_is_dead_is_left_alone_and_holds_up_nobody_else() {
    let (dead, well) = (Server::script([Reply::silent()]).await, Server::script([]).await);
    let webhooks = impatient();
    let url = format!("http://{}/hook", dead.address);
    for _ in 0..3 {
        let result = attempt(&webhooks, &url, Standard).await;
        let Err(DeliveryError::Retry(Failure { reason: why, .. })) = result else { panic!("{result:?}") };
        assert_eq!(why, "127.0.0.1 did not answer in time");
    }
    let begun = Instant::now();
    for _ in 0..1_000 {
        let result = attempt(&webhooks, &url, Standard).await;
        let Err(DeliveryError::NotTried(why, wait)) = result else { panic!("{result:?}") };
        assert!(why.contains("left alone") && wait <= Duration::from_secs(30), "{why}");
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "each has waited for the time-out");
    assert_eq!(attempt(&webhooks, &format!("http://{}/", well.address), Standard).await, Ok(()));
    assert_eq!((dead.connections().await, well.connections().await), (3, 1));
}

#[tokio::test]
async fn an_endpoint_that_asks_to_be_left_alone_is_left_alone() {
    let sink = Server::script([Reply::status(429, "").header("retry-after", "60")]).await;
    let (webhooks, url) = (webhooks(&LOCAL), format!("http://{}/hook", sink.address));
    let result = attempt(&webhooks, &url, Standard).await;
    assert!(matches!(result, Err(DeliveryError::RetryAfter(_, _))), "{result:?}");
    for _ in 0..5 {
        let result = attempt(&webhooks, &url, Standard).await;
        assert!(matches!(result, Err(DeliveryError::NotTried(_, _))), "{result:?}");
    }
    assert_eq!(sink.connections().await, 1);
}

#[tokio::test]
async fn a_host_that_is_down_is_left_alone_whatever_is_sent_there() {
    let (_held, nobody) = port_of_nobody();
    let webhooks = webhooks(&LOCAL);
    for n in 0..3 {
        let result = attempt(&webhooks, &format!("http://{nobody}/{n}"), Standard).await;
        assert!(matches!(result, Err(DeliveryError::Retry(_))), "{result:?}");
    }
    let result = attempt(&webhooks, &format!("http://{nobody}/other"), Standard).await;
    assert!(matches!(result, Err(DeliveryError::NotTried(_, _))), "{result:?}");
}

/// Or else whoever knows a host could have its subscribers left alone.
#[tokio::test]
async fn an_endpoint_that_fails_leaves_others_of_its_host_in_peace() {
    let failures = vec![Reply::status(500, ""); 3];
    let sink = Server::script(failures.into_iter().chain([Reply::status(200, "")])).await;
    let (webhooks, url) = (webhooks(&LOCAL), format!("http://{}/hook", sink.address));
    for _ in 0..3 {
        let result = attempt(&webhooks, &format!("{url}?key=wrong"), Standard).await;
        assert!(matches!(result, Err(DeliveryError::Retry(_))), "{result:?}");
    }
    let result = attempt(&webhooks, &format!("{url}?key=wrong"), Standard).await;
    assert!(matches!(result, Err(DeliveryError::NotTried(_, _))), "{result:?}");
    for _ in 0..3 {
        assert_eq!(attempt(&webhooks, &format!("{url}?key=right"), Standard).await, Ok(()));
    }
    assert_eq!(sink.connections().await, 6);
}
