//! A start after a long absence: half an hour of every bar meeting rules by the hundred is caught up with,
//! and whoever comes meanwhile is served.

use crate::recording::{self, Row};
use qqq_e2e::Tracker;
use qqq_testkit::wait_for;
use serde_json::{Value, json};
use std::ops::Range;
use std::time::Duration;

/// For what takes a moment, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);
const STOP: Duration = Duration::from_secs(60);
/// Receivers, and how many rules each has of its own.
const RECEIVERS: usize = 25;
const RULES: usize = 20;
/// Minutes before it stopped, and minutes it was gone.
const BEFORE: u32 = 10;
const ABSENT: u32 = 30;

#[test]
fn a_start_after_half_an_hour_of_alerts_by_hundreds_of_rules_answers_every_sign_up() {
    let mut tracker = Tracker::new();
    let file = tracker.folder().join("tape.csv");
    recording::write(&file, &tape(0..BEFORE));
    tracker.set("feed.provider", "replay").set("feed.replay.path", file.display());
    tracker.set("market.calendar", "always").set("watchlist.symbols", "META").set("rules.ratio", 100);
    tracker.set("subscriptions.confirm", false).set("server.trusted_proxies", "127.0.0.1");
    tracker.start("run");
    wait_for("the tape so far", PATIENCE, || (newest(&tracker) == json!(volume(BEFORE - 1))).then_some(()));
    let mut asked = 0;
    for receiver in 0..RECEIVERS {
        for rule in 0..RULES {
            // Every bar of a growing volume meets them.
            let rule =
                format!("spike ratio=1.{:06} window=5m min_bars=1 cooldown=0s", receiver * RULES + rule + 1);
            sign_up(&tracker, &mut asked, &format!("r{receiver}@example.com"), &rule);
        }
    }
    assert_eq!(tracker.terminate(STOP).code(), Some(0));

    recording::write(&file, &tape(0..BEFORE + ABSENT));
    tracker.start("run");
    let mut meanwhile = 0;
    while newest(&tracker) != json!(volume(BEFORE + ABSENT - 1)) {
        assert_eq!(tracker.ended(), None, "{}", tracker.log());
        sign_up(&tracker, &mut asked, &format!("m{meanwhile}@example.com"), "spike");
        meanwhile += 1;
    }
    assert!(meanwhile > 2, "it was over before anybody came");
    // All of it was judged, and is owed.
    let owed = (RECEIVERS * RULES) as u64 * u64::from(ABSENT);
    assert_eq!(came_to_be_owed(&tracker), owed);
    assert_eq!(tracker.terminate(STOP).code(), Some(0));
}

/// One more of META's volume, from a network of its own: how many sign-ups one may make is not the question
/// here.
#[track_caller]
fn sign_up(tracker: &Tracker, asked: &mut usize, email: &str, rule: &str) {
    let client = format!("10.{}.{}.1", *asked / 256, *asked % 256);
    *asked += 1;
    let body = json!({ "email": email, "ticker": "META", "metric": "volume", "rule": rule });
    let headers = [("content-type", "application/json"), ("x-forwarded-for", client.as_str())];
    let answer = tracker.http().request("POST", "/v1/subscriptions", &headers, body.to_string().as_bytes());
    let answer = answer.expect("an answer");
    assert_eq!(answer.status, 201, "{}", answer.text());
}

/// The volume of the newest bar.
fn newest(tracker: &Tracker) -> Value {
    tracker.http().get("/v1/symbols/META").json()["bar"]["volume"].clone()
}

/// Deliveries that the running process enqueued.
fn came_to_be_owed(tracker: &Tracker) -> u64 {
    let metrics = tracker.http().get("/metrics").text();
    let line = metrics.lines().find_map(|line| line.strip_prefix("qqq_worker_deliveries_enqueued_total "));
    line.expect("the counter").parse().expect("a number")
}

fn volume(minute: u32) -> u64 {
    1_000 + 100 * u64::from(minute)
}

fn tape(minutes: Range<u32>) -> Vec<Row> {
    let row = |minute| Row {
        symbol: "META",
        minute: 16 * 60 + minute,
        price: 100_000_000_000,
        volume: volume(minute),
    };
    minutes.map(row).collect()
}
