//! What webhooks say, how they are signed, and what becomes of the answers.

use crate::fixture::{
    Names, alert, alert_delivery, alerts_of_every_kind, by_webhook, confirmation, digest, key, many, secrets,
    telling, webhooks, webhooks_at, webhooks_by,
};
use jiff::{SignedDuration, Timestamp};
use qqq_contract::sentence;
use qqq_core::delivery::{Delivery, DeliveryKind, Failure, FailureKind};
use qqq_core::subscription::SubscriptionStatus::{Active, Pending, Unsubscribed};
use qqq_core::subscription::channel::WebhookFormat::{
    self, Discord, Ntfy, Pushover, Slack, Standard, Telegram,
};
use qqq_core::subscription::token::Purpose;
use qqq_core::{Alert, AlertState, SpikeRule};
use qqq_notify::{Deliver as _, DeliveryError, Webhooks, WebhooksConfig};
use qqq_testkit::http::{Reply, Request, Server};
use qqq_testkit::python;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::TcpSocket;

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
async fn an_alert_comes_in_the_shape_of_the_api() {
    let event = json_of(Standard, &alert_delivery()).await;
    // As this parser reads it: not to the last bit.
    let ratio: Value = serde_json::from_str(&alert().ratio().unwrap().to_string()).unwrap();
    // The contract's example, value by value where the fixture has one.
    let expected = json!({
        "id": alert().id.to_string(), "rule": "spike", "symbol": "NVDA", "metric": "volume",
        "start": "2025-01-27T18:57:00Z",
        "value": 9_637_512, "average": 515_888.0, "ratio": ratio, "window_bars": 60, "feed": "iex",
        "revision": 0, "state": "raised", "raised_at": "2025-01-27T18:58:00Z",
        "occurrences": 0, "peak": 9_637_512,
        "kind": "spike",
        "rule_text": "v1 spike ratio=3 window=60m min_bars=30 trigger=level session=all cooldown=60m",
        "headline": "NVDA volume 18.7x its last hour",
        "text": "NVDA traded 9,637,512 shares at 13:57 New York time, \
                 18.7 times its average of the last hour, 516,000. \
                 The price was $118.42 (-3.49 % on the day).",
        "close": 118.42, "day_change": {"amount": -4.28, "percent": -3.4882},
        "evidence": {"type": "average", "sum": 30_953_280, "bars": 60}
    });
    assert_eq!(event["data"]["alert"], expected);
    assert_eq!(
        (&event["type"], &event["timestamp"]),
        (&json!("alert.raised"), &json!("2025-01-27T18:58:02Z"))
    );
    assert_eq!(event["data"]["title"], "NVDA volume 18.7x its last hour");
    assert!(event["data"]["text"].as_str().unwrap().starts_with("NVDA traded 9,637,512 shares at 13:57"));
    assert_eq!(
        event["data"]["links"],
        json!({
            "page": format!("https://qqq.example.org/alerts/{}", alert().id),
            "alert": format!("https://qqq.example.org/v1/alerts/{}", alert().id),
            "unsubscribe": link("unsubscribe", Purpose::Unsubscribe)
        })
    );
    assert_eq!(event["data"]["subscription"]["status"], "active");
    let whole = event.to_string();
    assert!(!whole.contains("whsec_") && whole.len() < 20_000, "{whole}");

    let event = json_of(Standard, &retraction()).await;
    assert_eq!(
        (&event["type"], &event["data"]["alert"]["state"]),
        (&json!("alert.retracted"), &json!("retracted"))
    );
}

#[tokio::test]
async fn the_evidence_of_every_kind_comes_exactly() {
    let expected = [
        json!(["spike", {"type": "average", "sum": 30_953_280, "bars": 60}]),
        json!(["spike", {"type": "average", "sum": 10_000, "bars": 100}]),
        json!(["zscore", {"type": "deviation", "sum": 9, "sum_of_squares": 35, "bars": 3, "stdev": 2.0}]),
        json!(["zscore", null]),
        json!(["move", {"type": "origin", "value": 120, "start": "2025-01-27T18:42:00Z"}]),
        json!(["move", {"type": "origin", "value": 120, "start": "2025-01-27T18:42:00Z"}]),
        json!(["move", {"type": "origin", "value": 120, "start": "2025-01-27T18:42:00Z"}]),
        json!(["cross", {"type": "crossing", "level": 150, "before": 149.9}]),
        json!(["cross", {"type": "crossing", "level": 1_000_000, "before": 1_200_000}]),
        json!(["time_of_day", {"type": "median", "median": 300.5, "sessions": 18}]),
    ];
    for (alert, expected) in alerts_of_every_kind().into_iter().zip(expected) {
        let event = json_of(Standard, &telling(DeliveryKind::Alert, alert.clone())).await;
        let told = &event["data"]["alert"];
        assert_eq!((&told["kind"], &told["rule"]), (&expected[0], &json!(alert.rule.to_string())));
        if !expected[1].is_null() {
            assert_eq!(told["evidence"], expected[1]);
        }
        assert_eq!(told["rule_text"], alert.rule.rule().to_string());
    }
    // Digit by digit, beyond what a double holds.
    let body = sent(Standard, &telling(DeliveryKind::Alert, alerts_of_every_kind().remove(3))).await.body;
    assert!(body.contains(r#""sum":3.000000007,"sum_of_squares":3.000000014000000049,"bars":3,"#), "{body}");
}

#[tokio::test]
async fn every_kind_of_rule_is_told_in_the_words_of_mails_in_every_format() {
    for alert in alerts_of_every_kind() {
        let (title, text) = (sentence::headline(&alert), sentence::sentence(&alert));
        for format in WebhookFormat::ALL {
            let request = sent(format, &telling(DeliveryKind::Alert, alert.clone())).await;
            let title_header = request.headers.get("x-title").cloned().unwrap_or_default();
            let said = format!("{title_header}{}", request.body.replace("\\", ""));
            assert!(said.contains(&title) && said.contains(&text), "{format}: {said}");
        }
        let mut confirmation = confirmation(Pending);
        confirmation.subscription.rule = alert.rule.name();
        confirmation.subscription.metric = alert.metric;
        let promise = sentence::promise(alert.rule.rule(), alert.symbol.into(), alert.metric);
        for format in WebhookFormat::ALL {
            let said = sent(format, &confirmation).await.body.replace("\\", "");
            assert!(said.contains(&promise), "{format}: {said}");
        }
    }
}

/// An alert is told by the rule it was raised by, whatever the house's is by then.
#[tokio::test]
async fn an_alert_is_told_the_same_under_any_configuration() {
    let other = SpikeRule { window: 30, min_bars: 15, cooldown_seconds: 0, ..SpikeRule::default() };
    for format in WebhookFormat::ALL {
        for delivery in [alert_delivery(), retraction(), digest(many(5, 4))] {
            let sink = Server::script([]).await;
            let url = format!("http://{}/hook", sink.address);
            for rule in [SpikeRule::default(), other] {
                let delivery = by_webhook(&url, format, delivery.clone());
                let now = "2025-01-27T18:58:03Z".parse().unwrap();
                webhooks_by(rule, &LOCAL, now).deliver(&delivery).await.unwrap();
            }
            let told: Vec<String> = sink.requests().into_iter().map(|request| request.body).collect();
            assert_eq!(told.len(), 2);
            assert_eq!(told[0], told[1], "{format} {}", delivery.kind);
        }
    }
}

#[tokio::test]
async fn a_digest_brings_alerts_that_had_to_wait() {
    let delivery = digest(many(5, 4));
    let event = json_of(Standard, &delivery).await;
    assert_eq!(event["type"], "alert.digest");
    let data = &event["data"];
    assert_eq!(data["title"], "5 alerts that waited: S0, S1 and 2 more");
    let starts: Vec<_> = data["alerts"].as_array().unwrap().iter().map(|alert| &alert["start"]).collect();
    assert_eq!(starts.len(), 5);
    assert_eq!((starts[0], starts[4]), (&json!("2025-01-27T18:57:00Z"), &json!("2025-01-27T19:01:00Z")));
    let alone = json_of(Standard, &telling(DeliveryKind::Alert, many(5, 4).remove(1))).await;
    assert_eq!(data["alerts"][1], alone["data"]["alert"], "an alert has one shape");
    assert_eq!((data.get("alert"), data.get("token"), data.get("secret")), (None, None, None));
    let unsubscribe = link("unsubscribe", Purpose::Unsubscribe);
    assert_eq!(
        data["links"],
        json!({
            "page": "https://qqq.example.org/",
            "unsubscribe": unsubscribe,
            "unsubscribe_all": format!("{unsubscribe}&all=true"),
        })
    );
    for format in [Slack, Discord, Ntfy, Telegram] {
        let body = sent(format, &delivery).await.body.replace("\\", "");
        for said in [
            "Mon, Jan 27, 13:57 EST: S0 traded 9,637,512 shares at 13:57",
            "Mon, Jan 27, 14:01 EST: S0 traded",
            "&all=true",
        ] {
            let said = if format == Slack { said.replace('&', "&amp;") } else { said.to_owned() };
            assert!(body.contains(&said), "{format} lacks `{said}`: {body}");
        }
    }
}

/// What Slack, Discord and ntfy refuse or turn into something else:
/// <https://docs.slack.dev/reference/block-kit/blocks>,
/// <https://discord.com/developers/docs/resources/message#embed-object-embed-limits>,
/// <https://docs.ntfy.sh/publish/>.
#[tokio::test]
async fn the_longest_digest_stays_within_the_limits_of_every_receiver() {
    let delivery = digest(many(200, 200));
    let characters = |value: &Value| value.as_str().unwrap().chars().count();

    let slack = json_of(Slack, &delivery).await;
    let blocks = slack["blocks"].as_array().unwrap();
    assert!(blocks.len() <= 50);
    assert!(blocks.iter().all(|block| characters(&block["text"]["text"]) <= 3_000), "{slack}");
    assert!(characters(&blocks[0]["text"]["text"]) <= 150 && characters(&slack["text"]) <= 4_000);

    let discord = json_of(Discord, &delivery).await;
    let embed = &discord["embeds"][0];
    assert!(characters(&discord["content"]) <= 2_000 && characters(&embed["title"]) <= 256);
    assert!(characters(&embed["description"]) <= 4_096);
    assert!(characters(&embed["title"]) + characters(&embed["description"]) <= 6_000);

    let ntfy = sent(Ntfy, &delivery).await;
    assert!(ntfy.body.len() <= 4_096);

    let telegram = json_of(Telegram, &delivery).await;
    assert!(telegram["text"].as_str().unwrap().encode_utf16().count() <= 4_096);
    let pushover = json_of(Pushover, &delivery).await;
    assert!(characters(&pushover["message"]) <= 1_024 && characters(&pushover["title"]) <= 250);

    for said in [slack.to_string(), discord.to_string(), ntfy.body, telegram.to_string()] {
        let said = said.replace("\\", "");
        let told = said.matches("9,637,512 shares").count();
        assert!(told > 20 && said.contains("all=true"), "{said}");
        let missing: usize = said.split("And ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        // Slack's are told twice: in the blocks, and in the text for notifications.
        let times = if said.contains("blocks") { 2 } else { 1 };
        assert_eq!(told / times + missing, 200, "{said}");
    }

    let standard = sent(Standard, &delivery).await.body;
    assert!(standard.len() < 200_000, "{}", standard.len());
}

#[tokio::test]
async fn a_confirmation_brings_what_is_needed_to_confirm_to_manage_and_to_verify() {
    let delivery = confirmation(Pending);
    let subscription = &delivery.subscription;
    let manage = key().token(Purpose::Manage, subscription.id, &subscription.nonce);
    let event = json_of(Standard, &delivery).await;
    assert_eq!(event["type"], "subscription.confirmation");
    let data = &event["data"];
    assert_eq!(data["links"]["confirm"], link("confirm", Purpose::Confirm));
    assert_eq!(data["links"]["unsubscribe"], link("unsubscribe", Purpose::Unsubscribe));
    assert_eq!(
        (&data["token"], &data["secret"]),
        (&json!(manage.expose()), &json!(secrets([0])[0].expose()))
    );
    assert_eq!(data["subscription"]["id"], subscription.id.to_string());
    assert_eq!(data.get("alert"), None);

    // People in a room get the links and the token, not the secret that nobody there checks.
    for format in [Slack, Discord, Ntfy, Telegram, Pushover] {
        let body = sent(format, &delivery).await.body;
        for part in [
            &*link("confirm", Purpose::Confirm),
            &link("unsubscribe", Purpose::Unsubscribe),
            manage.expose(),
            &subscription.id.to_string(),
        ] {
            // Discord shows what we say with a backslash before what it would take for markup.
            assert!(body.replace("\\\\", "").contains(part), "{format} lacks {part}: {body}");
        }
        assert!(!body.contains("whsec_"), "{format}");
    }

    let event = json_of(Standard, &confirmation(Active)).await;
    assert_eq!(event["data"]["links"].get("confirm"), None, "there is nothing to confirm");
    assert!(event["data"]["title"].as_str().unwrap().starts_with("You are subscribed"));
}

#[tokio::test]
async fn slack_gets_blocks_and_a_text() {
    let message = json_of(Slack, &alert_delivery()).await;
    let blocks = message["blocks"].as_array().unwrap();
    let kinds: Vec<_> = blocks.iter().map(|block| block["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["header", "section", "section"]);
    assert_eq!(blocks[0]["text"]["text"], "NVDA volume 18.7x its last hour");
    let links = blocks[2]["text"]["text"].as_str().unwrap();
    assert!(
        links.contains(&format!("<{}|Unsubscribe>", link("unsubscribe", Purpose::Unsubscribe))),
        "{links}"
    );
    assert!(message["text"].as_str().unwrap().starts_with("NVDA volume 18.7x its last hour\nNVDA traded"));
    assert_eq!(message["unfurl_links"], false);

    let message = json_of(Slack, &simulated()).await;
    assert!(message["blocks"][0]["text"]["text"].as_str().unwrap().starts_with("[simulated] "));
    assert!(message.to_string().contains("Simulated data"), "{message}");
}

#[tokio::test]
async fn discord_gets_an_embed_and_mentions_nobody() {
    let message = json_of(Discord, &retraction()).await;
    assert_eq!(message["content"], r"Retracted\: NVDA volume 18.7x its last hour");
    assert_eq!(message["allowed_mentions"], json!({"parse": []}));
    assert_eq!(message["embeds"][0]["url"], page());
    let text = message["embeds"][0]["description"].as_str().unwrap();
    assert!(text.starts_with("We take an alert back.") && text.contains("[Unsubscribe](https://"), "{text}");
}

#[tokio::test]
async fn ntfy_gets_a_text_and_headers() {
    let delivery = alert_delivery();
    let request = sent(Ntfy, &delivery).await;
    assert_eq!(request.headers["x-title"], "NVDA volume 18.7x its last hour");
    assert_eq!(request.headers["x-click"], page());
    let actions: Value = serde_json::from_str(&request.headers["x-actions"]).unwrap();
    let snooze = |label: &str, how: &str| {
        let url = format!("{}&for={how}", link("snooze", Purpose::Unsubscribe));
        json!({"action": "view", "label": label, "url": url})
    };
    assert_eq!(
        actions,
        json!([
            snooze("Snooze 1 hour", "hour"),
            snooze("Snooze until tomorrow", "tomorrow"),
            snooze("Snooze a week", "week")
        ])
    );
    assert_eq!(request.headers["x-sequence-id"], delivery.id.to_string());
    assert_eq!(request.headers["content-type"], "text/plain; charset=utf-8");
    assert!(request.body.starts_with("NVDA traded 9,637,512 shares"), "{}", request.body);
    assert!(request.body.ends_with(&format!("Unsubscribe: {}", link("unsubscribe", Purpose::Unsubscribe))));
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
