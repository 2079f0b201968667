//! What operators change while it runs: effective at once, with its history, and after every restart.

use qqq_e2e::Tracker;
use qqq_testkit::http::Http;
use qqq_testkit::wait_for;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(90);
const STOP: Duration = Duration::from_secs(20);

fn symbols(http: &Http) -> Vec<Value> {
    http.get("/v1/symbols").json()["items"].as_array().expect("a list").clone()
}

fn names(http: &Http) -> Vec<String> {
    symbols(http).iter().map(|one| one["symbol"].as_str().expect("a name").to_owned()).collect()
}

fn ask(http: &Http, method: &str, symbol: &str) -> u16 {
    http.request(method, &format!("/v1/watchlist/{symbol}"), &[], b"").expect("an answer").status
}

/// Bars of the last two trading days.
fn bars(http: &Http, symbol: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/symbols/{symbol}/bars?from=2025-01-28T14:30:00Z&cursor={cursor}");
        let page = http.get(&path).json();
        found.extend(page["items"].as_array().expect("a list").iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return found,
        }
    }
}

#[test]
fn a_symbol_comes_with_its_history_goes_and_comes_back_without_a_gap_through_restarts() {
    let mut tracker = Tracker::new();
    tracker.set("feed.sim.start", "2025-01-29T16:00:00Z").set("feed.sim.speed", "120x");
    tracker.start("run");
    tracker.wait_for_bars();
    let http = tracker.http();
    let before = symbols(&http).len();
    assert_eq!(ask(&http, "PUT", "AMD"), 201);
    assert_eq!(names(&http).len(), before + 1, "whoever has the answer finds it");
    let is_current = |symbol: &str| {
        let newest = |symbol| http.get(&format!("/v1/symbols/{symbol}")).json()["bar"]["start"].clone();
        (newest(symbol) == newest("AAPL")).then_some(())
    };
    wait_for("the newcomer to be in step", PATIENCE, || is_current("AMD"));
    // What was made of the day before is what an older market has.
    let history = bars(&http, "AMD");
    let yesterday = history.iter().filter(|bar| bar["start"].as_str() < Some("2025-01-29")).count();
    assert!(yesterday >= 385, "{yesterday} bars of a session of 390 minutes");
    assert!(http.get("/v1/symbols/AMD").json()["statistics"]["volume"]["ratio"].is_number());

    assert_eq!(ask(&http, "DELETE", "AMD"), 204);
    assert_eq!(http.get("/v1/symbols/AMD").status, 404);
    let newest = || http.get("/v1/symbols/AAPL").json()["bar"]["start"].as_str().map(str::to_owned);
    let gone_at = newest();
    wait_for("some minutes without it", PATIENCE, || (newest() > gone_at).then_some(()));
    tracker.terminate(STOP);
    tracker.start("run");
    tracker.wait_for_bars();
    assert!(!names(&http).contains(&"AMD".to_owned()), "it stays off");
    assert_eq!(ask(&http, "PUT", "AMD"), 201);
    wait_for("it to be in step again", PATIENCE, || is_current("AMD"));
    // Every minute of it that an uninterrupted market has, as far as it goes.
    let minutes = |symbol| {
        let starts =
            bars(&http, symbol).into_iter().map(|bar| bar["start"].as_str().unwrap_or("").to_owned());
        starts.collect::<BTreeSet<String>>()
    };
    let (amd, all) = (minutes("AMD"), minutes("AAPL"));
    let missing: Vec<_> = all.difference(&amd).filter(|start| Some(*start) <= amd.last()).collect();
    assert!(missing.len() <= 5, "a large name trades in nearly every minute; missing: {missing:?}");

    tracker.kill_9();
    tracker.start("run");
    tracker.wait_for_bars();
    assert!(names(&http).contains(&"AMD".to_owned()), "it stays on");
    let status = http.get("/v1/watchlist").json();
    assert_eq!((&status["version"], &status["editable"]), (&json!(3), &json!(true)));
    let shown = tracker.output(&["watchlist", "show", "--json"], STOP);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("\"AMD\""), "{shown:?}");
}
