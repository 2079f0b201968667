//! The whole way of a browser's notifications: it signs up, confirms by one of them, is told, and is gone.

use qqq_e2e::Tracker;
use qqq_testkit::http::{Http, HttpSink, Received};
use qqq_testkit::{browser, wait_for};
use serde_json::{Value, json};
use std::time::Duration;

/// For what takes a moment, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_browser_is_notified_once_confirmed_until_its_push_service_knows_it_no_more() {
    let mut tracker = Tracker::new();
    tracker.set("feed.sim.speed", "600x").set("webhooks.allow_networks", "127.0.0.0/8");
    tracker.set("subscriptions.messages_per_hour", 100_000);
    tracker.start("run");
    tracker.wait_for_bars();
    let (http, service) = (tracker.http(), HttpSink::start());
    let key = http.get("/v1/push").json()["public_key"].clone();
    let asked = json!({
        "channel": "push", "push": browser::subscription(&service.url("/push/canary")),
        "symbols": "*", "metric": "volume", "rule": "spike ratio=1.05 min_bars=5 cooldown=0s",
    });
    let answer = http.post_json("/v1/subscriptions", &asked);
    assert_eq!((answer.status, &answer.json()["channel"]), (201, &json!("push")), "{}", answer.text());

    let asks = wait_for_push(&service, 0);
    assert_eq!(
        (&asks["key"], &asks["payload"]["title"]),
        (&key, &json!("Please confirm: alerts on every symbol's volume"))
    );
    let confirm = path_of(&http, &asks["payload"]["url"]);
    assert!(http.get(&confirm).text().contains("Your browser will notify you"));
    assert_eq!(service.received().len(), 1, "an alert before the confirmation");
    assert_eq!(http.post_form(&confirm, "").status, 200);

    let told = wait_for_push(&service, 1)["payload"].clone();
    let text = told["text"].as_str().expect("a text");
    assert!(text.contains(" shares at ") && text.contains("The price was $"), "{text}");
    let snooze = path_of(&http, &told["buttons"][0]["url"]);
    assert!(http.get(&snooze).text().contains("Snooze for an hour"));

    service.answer(410);
    wait_for("the end of the subscription", PATIENCE, || {
        let gone = http.get(&snooze).status == 410;
        gone.then_some(())
    });
    tracker.terminate(Duration::from_secs(20));
    assert!(!tracker.log().contains("canary"), "an endpoint is in the log");
}

/// What the browser reads of a push, by its number.
fn wait_for_push(service: &HttpSink, number: usize) -> Value {
    let Received { bytes, headers, .. } =
        wait_for("a push", PATIENCE, || service.received().into_iter().nth(number));
    browser::read(&bytes, &headers["authorization"])
}

/// The path of a link.
fn path_of(http: &Http, link: &Value) -> String {
    let site = format!("http://{}", http.address());
    link.as_str().and_then(|link| link.strip_prefix(&site)).expect("a link of ours").to_owned()
}
