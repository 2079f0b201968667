//! The API does what its description says, and says what it does: schemathesis against the built program.

use crate::python::{python, script};
use qqq_e2e::{Tracker, wait_for};
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Longest time the generated phases take: `--max-time`, seconds.
const BUDGET: &str = "60";

#[test]
fn the_program_prints_the_description_it_serves() {
    let mut tracker = Tracker::new();
    tracker.start("server");
    let served = tracker.http().get("/openapi.json");
    let printed = tracker.output(&["openapi"], Duration::from_secs(10));
    assert!(printed.status.success());
    assert_eq!(served.body, printed.stdout);
}

#[test]
fn schemathesis_finds_nothing_that_the_description_does_not_say() {
    let Some(python) = python() else { return };
    let mut tracker = Tracker::new();
    tracker.set("server.trusted_proxies", r#"["127.0.0.1"]"#);
    tracker.start("run");
    tracker.wait_for_bars();
    let symbols = tracker.http().get("/v1/symbols").json();
    let symbol = |symbol: &Value| symbol["symbol"].as_str().expect("a text").to_owned();
    let mut tickers: Vec<String> = symbols["items"].as_array().expect("a list").iter().map(symbol).collect();
    tickers.extend(["FB".to_owned(), "aapl".to_owned()]);

    let output = Command::new(python.with_file_name("schemathesis"))
        .args(["run", &format!("http://{}/openapi.json", tracker.http().address())])
        .args(["--phases", "examples,coverage,fuzzing,stateful", "--checks", "all", "--mode", "all"])
        .args([
            "--max-examples",
            "60",
            "--max-time",
            BUDGET,
            "--seed",
            "1",
            "--no-color",
            "--continue-on-failure",
        ])
        .args(["--generation-database", "none"])
        .env("SCHEMATHESIS_HOOKS", script("schemathesis_hooks.py"))
        .env("TICKERS", tickers.join(","))
        .env("CONFIRM_TOKEN", token(&tracker, "ada@example.com", "confirm"))
        .env("UNSUBSCRIBE_TOKEN", token(&tracker, "charles@example.com", "unsubscribe"))
        .current_dir(tracker.folder())
        .stdin(Stdio::null())
        .output()
        .expect("schemathesis runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let summary = said.split("SUMMARY").nth(1).unwrap_or(&said);
    println!("{summary}");
    assert!(summary.contains("No issues found"), "{said}");
}

/// A token of a new subscription, from its confirmation mail.
fn token(tracker: &Tracker, email: &str, action: &str) -> String {
    let sign_up = json!({"email": email, "metric": "volume", "ticker": "META"});
    assert_eq!(tracker.http().post_json("/subscribe", &sign_up).status, 201);
    wait_for("the confirmation mail", Duration::from_secs(20), || {
        let mails = tracker.mails();
        mails.iter().find(|mail| mail.to() == email)?.token(action).map(str::to_owned)
    })
}
