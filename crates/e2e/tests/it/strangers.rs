//! Strangers without number who sign one victim up: the mails that are documented and no more, the same
//! answer for everybody, and nothing added to what the victim has.
//!
//! `QQQ_STRANGERS=10000` for a campaign; what the answers' time tells is measured by `bench/sign_ups.py`.

use qqq_e2e::Tracker;
use qqq_testkit::http::{Http, Response};
use qqq_testkit::smtp::SmtpSink;
use qqq_testkit::{Mail, wait_for};
use serde_json::{Value, json};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(60);
const VICTIM: &str = "victim@example.com";
/// Of whom nothing was ever heard, at a domain of its own; strangers sign it up too.
const UNKNOWN: &str = "unknown@example.net";
/// One stranger in so many signs up the other one as well, to compare the answers.
const EVERY: u32 = 21;
/// Messages that ask to confirm, to one address in a day (`docs/guarantees.md`).
const CONFIRMATIONS_A_DAY: usize = 3;

#[test]
fn strangers_bring_a_victim_a_few_mails_and_add_nothing() {
    let strangers = match std::env::var("QQQ_STRANGERS") {
        Ok(number) => number.parse().expect("a number of strangers"),
        Err(_) => 400,
    };
    let sink = SmtpSink::start(1);
    let mut tracker = Tracker::new();
    tracker.set("email.smtp_url", sink.url()).set("rules.ratio", "1000");
    tracker.set("server.trusted_proxies", r#"["127.0.0.1/32"]"#);
    tracker.start("run");
    tracker.wait_for_bars();
    let http = tracker.http();
    let wish = json!({ "email": VICTIM, "metric": "price", "ticker": "AAPL" });
    assert_eq!(http.post_json("/v1/subscriptions", &wish).status, 201);
    let confirm = wait_for_mail(&sink, "Please confirm").path("/v1/subscriptions/confirm?token=").to_owned();
    assert_eq!(http.post_form(&confirm, "").status, 200);
    let before = active(&tracker);
    assert_eq!(before.len(), 1, "{before:?}");

    let mut first = None;
    for stranger in 0..strangers {
        let path = ["/subscribe", "/v1/subscriptions"][stranger as usize % 2];
        let answer = sign_up(&http, stranger, path, VICTIM);
        assert_eq!(answer.status, 201, "stranger {stranger}: {}", answer.text());
        if stranger % EVERY == 0 {
            let other = sign_up(&http, stranger, path, UNKNOWN);
            assert_eq!(told(&answer, VICTIM), told(&other, UNKNOWN), "stranger {stranger}");
            let first = first.get_or_insert_with(|| told(&answer, VICTIM));
            assert_eq!(told(&answer, VICTIM), *first, "stranger {stranger}");
        }
    }

    // When the mail of the other one is out, all that came before it has been taken in.
    wait_for("the other's mail", PATIENCE, || (sink.mails_to(UNKNOWN).len() == 1).then_some(()));
    let late = json!({ "email": "late@example.org", "metric": "price", "ticker": "AAPL" });
    assert_eq!(http.post_json("/v1/subscriptions", &late).status, 201);
    wait_for("a mail to who came last", PATIENCE, || {
        (sink.mails_to("late@example.org").len() == 1).then_some(())
    });
    for address in [VICTIM, UNKNOWN] {
        let mails = sink.mails_to(address);
        assert!(mails.len() <= CONFIRMATIONS_A_DAY, "{} mails to {address}", mails.len());
        assert!(mails.iter().all(|mail| mail.subject().starts_with("Please confirm")));
    }
    assert_eq!(active(&tracker), before, "nothing was added, nothing ended");
    let mails = [VICTIM, UNKNOWN].map(|address| sink.mails_to(address).len());
    println!("{strangers} sign-ups: {} mails to the victim, {} to the other", mails[0], mails[1]);
    assert_eq!(tracker.terminate(STOP).code(), Some(0));
}

/// Each stranger comes from a network of its own, and wishes for something else.
fn sign_up(http: &Http, stranger: u32, path: &str, email: &str) -> Response {
    const TICKERS: [&str; 4] = ["AAPL", "MSFT", "NVDA", "TSLA"];
    let [_, high, middle, low] = (stranger + 1).to_be_bytes();
    let network = format!("{}.{middle}.{low}.1", 11 + high);
    let metric = ["price", "volume"][stranger as usize / 2 % 2];
    let ticker = TICKERS[stranger as usize / 4 % TICKERS.len()];
    let body = json!({ "email": email, "metric": metric, "ticker": ticker }).to_string();
    let headers = [("content-type", "application/json"), ("x-forwarded-for", network.as_str())];
    http.request("POST", path, &headers, body.as_bytes()).expect("an answer")
}

/// What an answer tells, but for the wish it repeats and what is drawn anew each time.
fn told(answer: &Response, email: &str) -> (u16, Value) {
    let mut body = answer.json();
    assert_eq!(body["email"], email);
    for name in ["email", "ticker", "symbols", "metric", "rule", "channel", "url"] {
        body.as_object_mut().expect("an object").remove(name);
    }
    (answer.status, body)
}

/// What is active at the victim's address, as an operator sees it.
fn active(tracker: &Tracker) -> Vec<Value> {
    let listed = tracker.output(&["admin", "subscriptions", VICTIM, "--json"], PATIENCE);
    let listed: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    let items = listed["items"].as_array().expect("items");
    items.iter().filter(|one| one["status"] == "active").cloned().collect()
}

fn wait_for_mail(sink: &SmtpSink, subject: &str) -> Mail {
    wait_for(subject, PATIENCE, || {
        sink.mails_to(VICTIM).into_iter().find(|mail| mail.subject().starts_with(subject))
    })
}
