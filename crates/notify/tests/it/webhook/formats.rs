//! What is sent: bodies and headers of every format.

use super::{LOCAL, json_of, link, page, retraction, sent, simulated};
use crate::fixture::{
    alert, alert_delivery, alerts_of_every_kind, by_webhook, confirmation, digest, key, many, secrets,
    telling, webhooks_by,
};
use qqq_contract::sentence;
use qqq_core::SpikeRule;
use qqq_core::delivery::DeliveryKind;
use qqq_core::subscription::SubscriptionStatus::{Active, Pending};
use qqq_core::subscription::channel::WebhookFormat::{
    self, Discord, Ntfy, Pushover, Slack, Standard, Telegram,
};
use qqq_core::subscription::token::Purpose;
use qqq_notify::Deliver as _;
use qqq_testkit::http::Server;
use serde_json::{Value, json};

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
