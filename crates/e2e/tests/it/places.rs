//! Receivers that take their time delay nobody but themselves: they sign up by the hundred, and are held
//! without an answer for as long as others have to be told.

use crate::recording;
use qqq_e2e::Tracker;
use qqq_testkit::http::HttpSink;
use qqq_testkit::smtp::SmtpSink;
use qqq_testkit::wait_for;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// For what takes a moment, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// As many as sign up.
const SLOW: usize = 200;
/// What one host that has not answered yet may be sent at once, and all of them together.
const OF_ONE_HOST: usize = 2;
const OF_ALL_HOSTS: usize = 48;

#[test]
fn two_hundred_slow_paths_of_one_host_delay_neither_mails_nor_other_webhooks() {
    slow_receivers_delay_nobody_else(OF_ONE_HOST, |sink, n| sink.url(&format!("/{n}")));
}

#[test]
fn two_hundred_slow_hosts_delay_neither_mails_nor_other_webhooks() {
    slow_receivers_delay_nobody_else(OF_ALL_HOSTS, |sink, n| sink.url_at(n as u8 + 1, &format!("/{n}")));
}

fn slow_receivers_delay_nobody_else(most_at_once: usize, url: impl Fn(&HttpSink, usize) -> String) {
    let mut tracker = Tracker::new();
    // META's volume is unusual every 50 minutes, which here is 10 seconds: each time all of them are owed an
    // alert.
    let file = tracker.folder().join("bursts.csv");
    recording::write(&file, &recording::bursts("META", 5, 50));
    tracker.set("feed.provider", "replay").set("feed.replay.path", file.display());
    tracker.set("feed.replay.speed", "300x").set("market.calendar", "always");
    tracker.set("rules.cooldown", "0s").set("rules.min_bars", 5);
    let mails = SmtpSink::start(1);
    tracker.set("email.smtp_url", mails.url());
    // Held for as long as an attempt may take: nobody is let go by a time-out before the others were told.
    tracker.set("webhooks.allow_networks", "127.0.0.0/8").set("webhooks.timeout", "1m");
    tracker.set("subscriptions.confirm", false).set("server.trusted_proxies", "127.0.0.1");
    tracker.start("run");
    tracker.wait_for_bars();

    let (quick, slow) = (HttpSink::start(), HttpSink::start_on_all_addresses());
    // It answers, and is known to be quick from then on.
    sign_up(&tracker, 0, &json!({ "channel": "webhook", "url": quick.url("/") }));
    quick.wait_for_more(1, PATIENCE);
    slow.hold();
    for n in 0..SLOW {
        sign_up(&tracker, n + 1, &json!({ "channel": "webhook", "url": url(&slow, n) }));
    }
    let http = tracker.http();
    let waiting = || http.get("/v1/status").json()["deliveries"]["waiting"].as_u64();
    wait_for("more messages than there are places", PATIENCE, || {
        (waiting() >= Some(SLOW as u64 / 2) && slow.received().len() >= OF_ONE_HOST).then_some(())
    });

    // Who signs up now is told, and so is who was known before; meanwhile nobody of the slow ones is
    // answered.
    sign_up(&tracker, SLOW + 1, &json!({ "email": "ada@example.com" }));
    let told = quick.received().len();
    assert!(mails.wait_until(PATIENCE, |accepted| !accepted.is_empty()), "no mail");
    wait_for("a webhook to another host", PATIENCE, || (quick.received().len() > told).then_some(()));
    let held = slow.received();
    assert_eq!(slow.answered(), 0, "somebody was let go before the others were told");
    assert!((OF_ONE_HOST..=most_at_once).contains(&held.len()), "{} are held", held.len());

    // Nothing was lost to the waiting.
    slow.release();
    let paths = || slow.received().into_iter().map(|one| one.path).collect::<BTreeSet<String>>().len();
    wait_for("each of the slow ones to be told", PATIENCE, || (paths() == SLOW).then_some(()));
}

/// Signs up for META's volume. Each from a network of its own: how many sign-ups one may make is not the
/// question here.
#[track_caller]
fn sign_up(tracker: &Tracker, n: usize, receiver: &Value) {
    let mut body = receiver.clone();
    body["ticker"] = json!("META");
    body["metric"] = json!("volume");
    let client = format!("10.{}.{}.1", n / 256, n % 256);
    let headers = [("content-type", "application/json"), ("x-forwarded-for", client.as_str())];
    let answer = tracker.http().request("POST", "/v1/subscriptions", &headers, body.to_string().as_bytes());
    let answer = answer.expect("an answer");
    assert_eq!(answer.status, 201, "{}", answer.text());
}
