//! The API does what its description says, and says what it does: schemathesis against the built program.

use crate::dashboard;
use qqq_e2e::Tracker;
use qqq_testkit::http::Response;
use qqq_testkit::python::{python, script};
use qqq_testkit::{Mail, wait_for};
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
    // Of every metric there is; the server's is of those that it tracks.
    let mut expected: Value = serde_json::from_slice(&printed.stdout).expect("JSON");
    expected["components"]["schemas"]["Metric"]["enum"] = json!(["price", "volume"]);
    assert_eq!(served.json(), expected);
}

#[test]
fn schemathesis_finds_nothing_that_the_description_does_not_say() {
    let mut tracker = Tracker::new();
    tracker.set("server.trusted_proxies", r#"["127.0.0.1"]"#);
    tracker.set("server.operators", r#"["mine@example.com"]"#);
    tracker.start("run");
    tracker.wait_for_bars();
    let symbols = tracker.http().get("/v1/symbols").json();
    let symbol = |symbol: &Value| symbol["symbol"].as_str().expect("a text").to_owned();
    let mut tickers: Vec<String> = symbols["items"].as_array().expect("a list").iter().map(symbol).collect();
    tickers.extend(["FB".to_owned(), "aapl".to_owned()]);

    // Without a dashboard there is no page to find.
    let pages: &[&str] =
        if dashboard::is_built(&tracker.http()) { &[] } else { &["--exclude-operation-id", "subscribePage"] };
    let output = Command::new(python().with_file_name("schemathesis"))
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
        // It does not end; `stream` tests it.
        .args(["--exclude-path", "/v1/stream"])
        // It works once; `account` uses one.
        .args(["--exclude-path", "/v1/session/link"])
        // A recording has none; the tests of the API read one.
        .args(["--exclude-path", "/v1/mailbox", "--exclude-path", "/v1/mailbox/{id}"])
        // Nothing failed here for good; the tests of the API send again.
        .args(["--exclude-path", "/v1/deliveries/{id}/replay"])
        // What the other requests ask about stays on the list; the same tests change it.
        .args(["--exclude-path", "/v1/watchlist/{symbol}"])
        .args(pages)
        .env("SCHEMATHESIS_HOOKS", script("schemathesis_hooks.py"))
        .env("TICKERS", tickers.join(","))
        .env("CONFIRM_TOKEN", token(&tracker, "ada@example.com", "confirm"))
        .env("UNSUBSCRIBE_TOKEN", token(&tracker, "charles@example.com", "unsubscribe"))
        .env("SNOOZE_TOKEN", token(&tracker, "dorothy@example.com", "unsubscribe"))
        .env("MANAGE_TOKEN", held(&tracker, "grace@example.com").1)
        .env("KEPT", id_and_token(&tracker, "kept@example.com"))
        .env("ENDED", id_and_token(&tracker, "ended@example.com"))
        .env("MINE", signed_in(&tracker, "mine@example.com"))
        .env("ERASED", signed_in(&tracker, "erased@example.com"))
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
    sign_up(tracker, email).token(action).expect("a link").to_owned()
}

/// The id of a new subscription and its managing token, with a colon between.
fn id_and_token(tracker: &Tracker, email: &str) -> String {
    let (id, token) = held(tracker, email);
    format!("{id}:{token}")
}

/// The id of a new subscription and its managing token. It is confirmed.
fn held(tracker: &Tracker, email: &str) -> (String, String) {
    let mail = sign_up(tracker, email);
    let confirm = format!("/v1/subscriptions/confirm?token={}", mail.token("confirm").expect("a link"));
    assert_eq!(tracker.http().post_form(&confirm, "").status, 200);
    let line = |name: &str| {
        let value = mail.text().lines().find_map(|line| line.strip_prefix(name));
        value.unwrap_or_else(|| panic!("a confirmation without {name}\n{}", mail.raw)).trim().to_owned()
    };
    (line("Id:"), line("Token:"))
}

/// The id of a new subscription, the session of who is signed in as its receiver, and the id of another one
/// of theirs, with colons between.
fn signed_in(tracker: &Tracker, email: &str) -> String {
    let (id, _) = held(tracker, email);
    assert_eq!(post_json(tracker, email, "/v1/session", &json!({ "email": email })).status, 202);
    let mail = wait_for("the mail with a link", Duration::from_secs(20), || {
        tracker.mails().into_iter().find(|mail| mail.to() == email && mail.subject().starts_with("Sign in"))
    });
    let link = mail.link("/v1/session/link?token=").expect("a link");
    let token = link.split_once("token=").expect("a token").1;
    let path = format!("/v1/session/link?token={token}");
    let answer = tracker.http().request("POST", &path, &[("sec-fetch-site", "same-origin")], b"");
    let answer = answer.expect("an answer");
    let cookie = answer.header("set-cookie").expect("a cookie");
    let session = cookie.split([';', '=']).nth(1).expect("a value");
    let cookie = format!("qqq_session={session}");
    let headers = [
        ("content-type", "application/json"),
        ("cookie", cookie.as_str()),
        ("sec-fetch-site", "same-origin"),
    ];
    let wish = br#"{"ticker":"PYPL","metric":"price"}"#;
    let added = tracker.http().request("POST", "/v1/me/subscriptions", &headers, wish).expect("an answer");
    let another = added.json()["items"][0]["id"].as_str().expect("an id").to_owned();
    format!("{id}:{session}:{another}")
}

/// Sends JSON from a network of its own for each address, as a proxy would say.
fn post_json(tracker: &Tracker, email: &str, path: &str, body: &Value) -> Response {
    let network = format!("2001:db8:{:x}::1", email.bytes().map(u32::from).sum::<u32>());
    let headers = [("content-type", "application/json"), ("x-forwarded-for", network.as_str())];
    tracker.http().request("POST", path, &headers, body.to_string().as_bytes()).expect("an answer")
}

/// Signs an address up; its confirmation mail.
fn sign_up(tracker: &Tracker, email: &str) -> Mail {
    let sign_up = json!({"email": email, "metric": "volume", "ticker": "META"});
    assert_eq!(post_json(tracker, email, "/subscribe", &sign_up).status, 201);
    wait_for("the confirmation mail", Duration::from_secs(20), || {
        tracker.mails().into_iter().find(|mail| mail.to() == email)
    })
}
