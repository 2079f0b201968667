//! From nothing to ten stocks watched: one request, one mail, one click; and the whole watchlist, also what
//! is added to it.

use qqq_e2e::Tracker;
use qqq_testkit::http::Http;
use qqq_testkit::smtp::SmtpSink;
use qqq_testkit::{Mail, wait_for};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// For what takes a moment, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(20);
const ADA: &str = "ada@example.com";
const EVE: &str = "eve@example.com";
const TEN: [&str; 10] = ["AAPL", "MSFT", "AMZN", "TSLA", "META", "GOOG", "NFLX", "NVDA", "PYPL", "ADBE"];

#[test]
fn ten_stocks_are_watched_after_one_request_one_mail_and_one_click() {
    let sink = SmtpSink::start(1);
    let mut tracker = lively_market(&sink);
    tracker.start("run");
    tracker.wait_for_bars();
    let http = tracker.http();
    let answer = ask(&http, &json!({ "email": ADA, "metric": "volume", "symbols": TEN }));
    assert_eq!((&answer["symbols"], &answer["status"]), (&json!(TEN), &json!("pending")));
    // Meanwhile somebody else asks for one more at the same address: the answer is of the same shape, no
    // further mail goes out, and the link of the first shows it.
    let mail = wait_for_mails(&sink, ADA, 1).remove(0);
    let more = ask(&http, &json!({ "email": ADA, "metric": "price", "symbols": "*" }));
    assert_eq!((&more["symbols"], &more["status"]), (&json!(["*"]), &json!("pending")));
    ask(&http, &json!({ "email": EVE, "metric": "price", "symbol": "AAPL" }));
    wait_for_mails(&sink, EVE, 1);
    assert_eq!(sink.mails_to(ADA).len(), 1, "held back");

    assert_eq!(mail.subject(), "Please confirm: alerts on 10 symbols");
    let text = mail.text().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        text.contains("10 symbols: AAPL, ADBE, AMZN, GOOG, META, MSFT, NFLX, NVDA, PYPL, TSLA"),
        "{text}"
    );
    let confirm = mail.path("/v1/subscriptions/confirm?token=").to_owned();
    let page = http.get(&confirm).text();
    for name in TEN {
        assert!(page.contains(&format!("{name} volume")), "{page}");
    }
    let whole = "every symbol&#x27;s price";
    assert!(page.contains(whole), "what came meanwhile joins: {page}");
    // The one click, as a browser sends it; the stranger's is unticked.
    let boxes: Vec<&str> = page.split("name=\"ticked\" value=\"").skip(1).map(|rest| &rest[..32]).collect();
    assert_eq!(boxes.len(), 11);
    let ticked = boxes.iter().filter(|id| {
        let label = page.split(&format!("value=\"{id}\"")).nth(1).expect("its label");
        !label.split("</label>").next().expect("its end").contains(whole)
    });
    let form: String = ticked.map(|id| format!("&ticked={id}")).collect();
    let answer = http.post_form(&confirm, &format!("shown={}{form}", boxes.join(".")));
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("Dropped: every symbol&#x27;s price"), "{}", answer.text());

    // All ten are told of, each alert once, and nothing else is.
    let told = wait_for("an alert on each of ten symbols", PATIENCE, || {
        let told = alerts_of(&sink, &http, ADA);
        let symbols: BTreeSet<String> = told.iter().map(|alert| text_of(alert, "symbol")).collect();
        (symbols.len() == 10).then_some(told)
    });
    assert!(told.iter().all(|alert| alert["metric"] == "volume"), "{told:?}");
    let ids: BTreeSet<String> = told.iter().map(|alert| text_of(alert, "id")).collect();
    assert_eq!(ids.len(), told.len(), "an alert was mailed twice");
    assert_eq!(confirmations(&sink, ADA), 1);
    assert_eq!(tracker.terminate(STOP).code(), Some(0));
}

#[test]
fn the_whole_watchlist_is_told_of_what_is_added_to_it_and_of_nothing_twice() {
    let sink = SmtpSink::start(2);
    let mut tracker = lively_market(&sink);
    tracker.set("watchlist.symbols", "AAPL,MSFT");
    tracker.start("run");
    tracker.wait_for_bars();
    let http = tracker.http();
    // The same wish twice: by the watchlist, and by a symbol of its own.
    ask(&http, &json!({ "email": ADA, "metric": "volume", "symbols": "*" }));
    let mail = wait_for_mails(&sink, ADA, 1).remove(0);
    assert_eq!(mail.subject(), "Please confirm: alerts on every symbol's volume");
    ask(&http, &json!({ "email": ADA, "metric": "volume", "symbol": "AAPL" }));
    let confirm = mail.path("/v1/subscriptions/confirm?token=").to_owned();
    wait_for("the other wish on the page", PATIENCE, || {
        http.get(&confirm).text().contains("AAPL volume").then_some(())
    });
    assert_eq!(http.post_form(&confirm, "").status, 200);
    wait_for_symbols(&sink, &http, &["AAPL", "MSFT"]);
    tracker.terminate(STOP);

    tracker.set("watchlist.symbols", "AAPL,MSFT,NVDA");
    tracker.start("run");
    let http = tracker.http();
    wait_for_symbols(&sink, &http, &["AAPL", "MSFT", "NVDA"]);
    let told = alerts_of(&sink, &http, ADA);
    let ids: BTreeSet<String> = told.iter().map(|alert| text_of(alert, "id")).collect();
    assert_eq!(ids.len(), told.len(), "an alert was mailed twice");
    // An operator's list says what it is about.
    let listed = tracker.output(&["admin", "subscriptions", ADA, "--json"], PATIENCE);
    let listed: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    let tickers: BTreeSet<&str> =
        listed["items"].as_array().expect("items").iter().filter_map(|one| one["ticker"].as_str()).collect();
    assert_eq!(tickers, BTreeSet::from(["*", "AAPL"]), "{listed}");
    assert_eq!(tracker.terminate(STOP).code(), Some(0));
}

/// A simulated market in which hardly a minute passes without an alert on volume, and a mail server.
fn lively_market(sink: &SmtpSink) -> Tracker {
    let mut tracker = Tracker::new();
    tracker.set("email.smtp_url", sink.url()).set("feed.sim.speed", "600x");
    tracker.set("rules.ratio", "1.2").set("rules.min_bars", 5).set("subscriptions.messages_per_hour", 10_000);
    tracker
}

#[track_caller]
fn ask(http: &Http, body: &Value) -> Value {
    let answer = http.post_json("/v1/subscriptions", body);
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

#[track_caller]
fn wait_for_mails(sink: &SmtpSink, address: &str, count: usize) -> Vec<Mail> {
    wait_for("a mail", PATIENCE, || Some(sink.mails_to(address)).filter(|mails| mails.len() >= count))
}

fn confirmations(sink: &SmtpSink, address: &str) -> usize {
    sink.mails_to(address).iter().filter(|mail| mail.token("confirm").is_some()).count()
}

/// The alerts an address was told of, as the API has them.
fn alerts_of(sink: &SmtpSink, http: &Http, address: &str) -> Vec<Value> {
    let mails = sink.mails_to(address);
    let ids = mails.iter().filter_map(Mail::alert_id);
    ids.map(|id| http.get(&format!("/v1/alerts/{id}")).json()).collect()
}

#[track_caller]
fn wait_for_symbols(sink: &SmtpSink, http: &Http, names: &[&str]) {
    wait_for("an alert on each symbol", PATIENCE, || {
        let told = alerts_of(sink, http, ADA);
        names.iter().all(|name| told.iter().any(|alert| alert["symbol"] == *name)).then_some(())
    });
}

fn text_of(alert: &Value, field: &str) -> String {
    alert[field].as_str().unwrap_or_else(|| panic!("no {field}: {alert}")).to_owned()
}
