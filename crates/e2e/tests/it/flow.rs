//! What people do, over HTTP and by the mails they get as files: sign up, confirm, read, unsubscribe; and
//! what they are told when they get it wrong.

use crate::secrecy::assert_not_told;
use qqq_e2e::Tracker;
use qqq_testkit::http::{Http, Response};
use qqq_testkit::{Mail, wait_for};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// For what takes a moment, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(20);
const KEY: &str = "Q2FuYXJ5IGtleSBvZiAzMiBieXRlcywgbm8gbGVzcy4=";

#[test]
fn only_who_confirmed_is_mailed_and_only_until_unsubscribing() {
    const ADA: &str = "ada.canary@example.com";
    const BOB: &str = "bob.canary@example.org";
    let mut tracker = lively_market();
    tracker.start("run");
    tracker.wait_for_bars();
    let http = tracker.http();

    // Asked for by a former symbol, answered by the current one.
    let answer = sign_up(&http, "/subscribe", ADA, "fb");
    let body = answer.json();
    assert_eq!(body, json!({ "ticker": "META", "metric": "volume", "email": ADA, "status": "pending" }));
    // Bob signs up by the form of the page, and never confirms.
    let page = http.get("/subscribe/form");
    assert_eq!(page.status, 200);
    for (name, kind) in [("email", "email"), ("metric", "radio"), ("ticker", "")] {
        assert!(page.text().contains(&format!("name=\"{name}\"")), "the form lacks {name} ({kind})");
    }
    let form = "email=bob.canary%40example.org&metric=volume&ticker=META";
    assert_eq!(http.post_form("/subscribe/form", form).status, 201);

    let confirmation = wait_for_mail(&tracker, ADA, 0);
    let confirm = path(&confirmation, "confirm");
    wait_for_mail(&tracker, BOB, 0);
    // Looking changes nothing, however often.
    for _ in 0..3 {
        assert_eq!(http.get(&confirm).status, 200);
    }
    wait_for_more_alerts(&http, "META", 5);
    assert_eq!(mails_to(&tracker, ADA).len(), 1, "a mail before the confirmation");

    let before = http.get("/v1/symbols/META").json()["as_of"].as_str().expect("a time").to_owned();
    assert_eq!(http.post_form(&confirm, "").status, 200);
    assert_eq!(http.post_form(&confirm, "").status, 200, "confirming again");
    wait_for_mail(&tracker, ADA, 5);
    // Everything raised since is mailed, once; nothing else is.
    let raised = alerts(&http, "META");
    let due: BTreeSet<String> = raised
        .iter()
        .filter(|alert| alert["metric"] == "volume" && alert["start"].as_str() > Some(before.as_str()))
        .map(|alert| alert["id"].as_str().expect("an id").to_owned())
        .collect();
    // The minute of the confirmation itself may be in or out; all after it are in.
    let first_mailed = wait_for("a mail of every alert", PATIENCE, || {
        let told: BTreeSet<String> = told(&tracker, ADA).into_iter().collect();
        let mut starts: Vec<_> = raised.iter().filter(|alert| told.contains(&id(alert))).collect();
        starts.sort_by_key(|alert| alert["start"].as_str());
        (due.difference(&told).count() <= 1).then(|| starts[0]["start"].clone())
    });
    assert!(first_mailed.as_str() >= Some(before.as_str()), "{first_mailed} was before {before}");
    for mail in mails_to(&tracker, ADA).iter().skip(1) {
        let alert = http.get(&format!("/v1/alerts/{}", mail.alert_id().expect("a link"))).json();
        assert_eq!((&alert["symbol"], &alert["metric"]), (&json!("META"), &json!("volume")), "{alert}");
        assert!(alert["start"].as_str() >= Some(before.as_str()), "{alert} was before {before}");
        assert!(mail.subject().starts_with("[simulated] META volume "), "{}", mail.subject());
    }
    let told_once = told(&tracker, ADA);
    assert_eq!(told_once.iter().collect::<BTreeSet<_>>().len(), told_once.len(), "an alert was mailed twice");

    // Nobody can tell a new address from a known, a confirmed, or one that has ended.
    let again = sign_up(&http, "/subscribe/", ADA, "META");
    assert_same_answer(&again, &answer);
    let unsubscribe = path(&mails_to(&tracker, ADA)[1], "unsubscribe");
    assert_eq!(http.get(&unsubscribe).status, 200);
    assert_eq!(http.post_form(&unsubscribe, "").status, 200);
    assert_eq!(http.get(&confirm).status, 410, "the old link revives nothing");
    // What was on its way may still arrive; nothing that is raised now.
    wait_for_more_alerts(&http, "META", 2);
    let sent = mails_to(&tracker, ADA).len();
    wait_for_more_alerts(&http, "META", 5);
    assert_same_answer(&sign_up(&http, "/subscribe", ADA, "Fb"), &answer);
    wait_for_more_alerts(&http, "META", 2);
    // Neither alerts nor, within ten minutes of the first, another confirmation.
    assert_eq!(mails_to(&tracker, ADA).len(), sent, "a mail after unsubscribing");
    // Until then the link of the first shows what was asked for anew.
    let page = http.get(&confirm);
    assert!(page.status == 200 && page.text().contains("Alerts for META volume?"), "{}", page.text());
    assert_eq!(mails_to(&tracker, BOB).len(), 1, "somebody who never confirmed was mailed");

    let all = [mails_to(&tracker, ADA), mails_to(&tracker, BOB)].concat();
    let tokens: Vec<String> = all.iter().flat_map(tokens_of).collect();
    assert!(tokens.len() > all.len(), "{tokens:?}");
    assert_eq!(tracker.terminate(STOP).code(), Some(0));
    assert_not_told(&tracker, tokens);
    assert_not_told(&tracker, [ADA, BOB, "ada.canary", "bob.canary", KEY]);
}

#[test]
fn an_address_gets_one_confirmation_in_ten_minutes_whatever_is_signed_up_for() {
    const EVE: &str = "eve.canary@example.com";
    let mut tracker = lively_market();
    tracker.start("run");
    let http = tracker.http();
    let first = sign_up(&http, "/subscribe", EVE, "AAPL");
    wait_for_mail(&tracker, EVE, 0);
    for ticker in ["AAPL", "MSFT", "NVDA"] {
        let answer = sign_up(&http, "/subscribe", EVE, ticker);
        assert_eq!(answer.json()["ticker"], ticker);
        assert_eq!(answer.json()["status"], first.json()["status"]);
    }
    // Whoever comes later is served: the others are not merely slow.
    sign_up(&http, "/subscribe", "later.canary@example.com", "AAPL");
    wait_for_mail(&tracker, "later.canary@example.com", 0);
    assert_eq!(mails_to(&tracker, EVE).len(), 1);
    // Its link confirms them all.
    let confirm = path(&mails_to(&tracker, EVE)[0], "confirm");
    let page = http.get(&confirm);
    for ticker in ["AAPL", "MSFT", "NVDA"] {
        assert!(page.text().contains(&format!("{ticker} volume")), "{ticker}: {}", page.text());
    }
    let answer = http.post_form(&confirm, "");
    assert!(answer.text().contains("You are subscribed") && answer.text().contains("MSFT volume"));
}

#[test]
fn addresses_that_would_write_headers_are_refused_and_mail_nobody() {
    let mut tracker = lively_market();
    tracker.start("run");
    let http = tracker.http();
    for (index, address) in [
        "a@example.com\r\nBcc: victim.canary@example.com",
        "a@example.com\nBcc: victim.canary@example.com",
        "a@example.com\rX: y",
        "a@example.com%0d%0aBcc: victim.canary@example.com",
        "a@example.com\u{0}",
        "a@example.com\u{2028}Bcc: victim.canary@example.com",
        "a@example.com, victim.canary@example.com",
        "a@example.com;victim.canary@example.com",
        "Ada <victim.canary@example.com>",
        "\"a\r\nBcc: victim.canary@example.com\"@example.com",
        "a b@example.com",
        "a@exa mple.com",
        "a@@example.com",
        "<victim.canary@example.com>",
        "a@example.com>\r\nDATA",
        "",
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({ "email": address, "metric": "price", "ticker": "AAPL" });
        let answer = http.post_json("/subscribe", &body);
        assert_problem(&answer, 422, &format!("{address:?}"));
        assert_eq!(answer.json()["errors"][0]["field"], "email", "{address:?}");
        if index % 4 == 0 {
            let form = format!("email={}&metric=price&ticker=AAPL", percent_encoded(address));
            assert_eq!(http.post_form("/subscribe/form", &form).status, 422, "{address:?}");
        }
    }
    for ticker in ["AAPL\r\nBcc: victim.canary@example.com", "../../x"] {
        let body = json!({ "email": "a@example.com", "metric": "price", "ticker": ticker });
        assert_problem(&http.post_json("/subscribe", &body), 422, ticker);
    }
    // A mail that is in order arrives alone.
    sign_up(&http, "/subscribe", "fine.canary@example.com", "AAPL");
    wait_for_mail(&tracker, "fine.canary@example.com", 0);
    assert_eq!(tracker.mails().len(), 1);
    assert_eq!(tracker.terminate(STOP).code(), Some(0));
    assert_not_told(&tracker, ["victim.canary", "fine.canary"]);
}

#[test]
fn every_mistake_is_answered_with_its_status_and_in_words() {
    let mut tracker = empty_server();
    tracker.start("server");
    let http = tracker.http();

    // Tracked, without a bar yet: that is no mistake.
    let ranking = ["AAPL", "ADBE", "AMZN", "GOOG", "META", "MSFT", "NFLX", "NVDA", "PYPL", "TSLA"];
    for (path, key) in [
        ("/AAPL/price", "prices"),
        ("/aapl/prices", "prices"),
        ("/FB/price", "prices"),
        ("/Meta/volume", "volume"),
        ("/fb/volume", "volume"),
    ] {
        let answer = http.get(path);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{path}");
        assert_eq!(answer.json(), json!({ key: [], "rankings": ranking }), "{path}");
    }
    let symbol = http.get("/v1/symbols/FB").json();
    assert_eq!((&symbol["symbol"], &symbol["bar"]), (&json!("META"), &Value::Null));
    assert_eq!(symbol["statistics"]["price"]["stdev"], Value::Null);

    for (status, path) in [
        (404, "/ZZZZ/price"),
        (404, "/ZZZZ/volume"),
        (404, "/ZZZZ/nonsense"),
        (400, "/AAPL/nonsense"),
        (400, "/fb/close"),
        (404, "/nothing"),
        (404, "/nothing/at/all"),
        (404, "/v1/nothing"),
        (404, "/v1/symbols/ZZZZ"),
        (404, "/v1/alerts/7"),
        (404, "/v1/alerts/f781bcc6-15b4-57da-b522-3b1126688157"),
        (404, "/v1/alerts?symbol=ZZZZ"),
        (400, "/v1/alerts?metric=open"),
        (400, "/v1/alerts?limit=0"),
        (400, "/v1/alerts?limit=1001"),
        (400, "/v1/alerts?since=yesterday"),
        (400, "/v1/alerts?cursor=x"),
        (400, "/v1/alerts?symbols=AAPL"),
        (400, "/v1/rankings?metric=open"),
        (400, "/v1/rankings?by=name"),
        (405, "/v1/backtests"),
    ] {
        assert_problem(&http.get(path), status, path);
    }
    assert_eq!(http.get("/v1/backtests").header("allow"), Some("POST"));

    let subscribe = |kind: &str, body: &[u8]| {
        let headers = [("content-type", kind)];
        http.request("POST", "/subscribe", if kind.is_empty() { &[] } else { &headers }, body)
            .expect("an answer")
    };
    let with = |key: &str, value: Value| {
        let mut body = json!({ "email": "a@example.com", "metric": "price", "ticker": "AAPL" });
        body[key] = value;
        body.to_string().into_bytes()
    };
    let sound = with("ticker", json!("AAPL"));
    const JSON: &str = "application/json";
    for (status, kind, body, field) in [
        (400, JSON, b"".to_vec(), ""),
        (400, JSON, b"{".to_vec(), ""),
        (400, JSON, b"email=a@example.com".to_vec(), ""),
        (400, JSON, b"\xff\xfe".to_vec(), ""),
        (422, JSON, b"[]".to_vec(), "(body)"),
        (422, JSON, b"null".to_vec(), "(body)"),
        (422, JSON, b"{}".to_vec(), "email"),
        (422, JSON, with("email", json!("nobody")), "email"),
        (422, JSON, with("email", json!(7)), "email"),
        (422, JSON, with("metric", json!("open")), "metric"),
        (422, JSON, with("metric", json!("prices")), "metric"),
        (422, JSON, with("metric", Value::Null), "metric"),
        (422, JSON, with("ticker", json!("ZZZZ")), "ticker"),
        (422, JSON, with("ticker", json!(["AAPL"])), "ticker"),
        (422, JSON, with("admin", json!(true)), "admin"),
        (413, JSON, with("ticker", json!("A".repeat(20_000))), ""),
        (415, "text/plain", sound.clone(), ""),
        (415, "application/x-www-form-urlencoded", b"email=a%40example.com".to_vec(), ""),
        (415, "", sound.clone(), ""),
    ] {
        let answer = subscribe(kind, &body);
        let what = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        assert_problem(&answer, status, &format!("{kind} {what}"));
        if status == 422 {
            assert_eq!(answer.json()["errors"][0]["field"], field, "{what}");
        }
    }
    assert_eq!(subscribe("application/json; charset=utf-8", &sound).status, 201);
    // People get pages: a link that is not known.
    for action in ["confirm", "unsubscribe"] {
        let path = format!("/v1/subscriptions/{action}?token=no-such-token-was-ever-made");
        for answer in [http.get(&path), http.post_form(&path, "")] {
            assert_eq!(answer.status, 404, "{path}");
            assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html")));
        }
    }
    assert_eq!(tracker.terminate(STOP).code(), Some(0));
    assert_not_told(&tracker, ["a@example.com", "no-such-token-was-ever-made", KEY]);
}

#[test]
fn who_asks_too_often_is_told_how_long_to_wait() {
    let mut tracker = empty_server();
    tracker.start("server");
    let http = tracker.http();
    let refused = (0..40).find_map(|number| {
        let email = format!("many{number}.canary@example.com");
        let body = json!({ "email": email, "metric": "price", "ticker": "AAPL" });
        let answer = http.post_json("/subscribe", &body);
        if answer.status == 201 { None } else { Some((number, answer)) }
    });
    let (number, answer) =
        refused.expect("forty sign-ups of one client within a moment are refused at some point");
    assert!(number >= 5, "refused after {number}");
    assert_problem(&answer, 429, "a sign-up too many");
    let wait: u64 = answer.header("retry-after").expect("Retry-After").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait} s");
    // Readers are served all the same.
    assert_eq!(http.get("/AAPL/price").status, 200);
}

/// A simulated market, ten minutes a second, in which hardly a minute passes without an alert on volume; logs
/// that say everything.
fn lively_market() -> Tracker {
    let mut tracker = empty_server();
    tracker.set("feed.sim.speed", "600x").set("rules.ratio", "1.2").set("rules.cooldown", "0s");
    tracker.set("rules.min_bars", 5);
    tracker
}

/// Nothing but what is built in, with a key of ours; logs that say everything.
fn empty_server() -> Tracker {
    let mut tracker = Tracker::new();
    tracker.set("log.filter", "trace").set("log.format", "json").set("server.secret_key", KEY);
    tracker
}

#[track_caller]
fn sign_up(http: &Http, path: &str, email: &str, ticker: &str) -> Response {
    let body = json!({ "email": email, "metric": "volume", "ticker": ticker });
    let answer = http.post_json(path, &body);
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer
}

/// The mails to an address, oldest first. The confirmation is older than any alert.
fn mails_to(tracker: &Tracker, address: &str) -> Vec<Mail> {
    let (mut confirmations, alerts): (Vec<_>, Vec<_>) = tracker
        .mails()
        .into_iter()
        .filter(|mail| mail.to() == address)
        .partition(|mail| mail.alert_id().is_none());
    confirmations.extend(alerts);
    confirmations
}

/// Waits for the mail number `index`, from 0, to an address.
#[track_caller]
fn wait_for_mail(tracker: &Tracker, address: &str, index: usize) -> Mail {
    wait_for("a mail", PATIENCE, || mails_to(tracker, address).into_iter().nth(index))
}

/// The alerts an address was told of.
fn told(tracker: &Tracker, address: &str) -> Vec<String> {
    let mails = mails_to(tracker, address);
    mails.iter().filter_map(|mail| mail.alert_id().map(str::to_owned)).collect()
}

/// The path of a mail's link that confirms or unsubscribes.
#[track_caller]
fn path(mail: &Mail, action: &str) -> String {
    let token = mail.token(action).unwrap_or_else(|| panic!("no link to {action}:\n{}", mail.text()));
    format!("/v1/subscriptions/{action}?token={token}")
}

/// Everything in a mail that acts for its reader.
fn tokens_of(mail: &Mail) -> Vec<String> {
    let manage = mail.text().split_once("\nToken: ").and_then(|(_, rest)| rest.split_whitespace().next());
    let tokens = [mail.token("confirm"), mail.token("unsubscribe"), manage];
    tokens.into_iter().flatten().map(str::to_owned).collect()
}

/// The newest alerts of a symbol's volume.
fn alerts(http: &Http, symbol: &str) -> Vec<Value> {
    let path = format!("/v1/alerts?symbol={symbol}&metric=volume&limit=1000");
    http.get(&path).json()["items"].as_array().expect("a list").clone()
}

fn id(alert: &Value) -> String {
    alert["id"].as_str().expect("an id").to_owned()
}

#[track_caller]
fn wait_for_more_alerts(http: &Http, symbol: &str, more: usize) {
    let now = alerts(http, symbol).len();
    wait_for("more alerts", PATIENCE, || (alerts(http, symbol).len() >= now + more).then_some(()));
}

/// Equal but for what differs between any two answers.
#[track_caller]
fn assert_same_answer(one: &Response, other: &Response) {
    let headers = |answer: &Response| -> Vec<(String, String)> {
        let always_differ = ["date", "x-request-id"];
        answer.headers.iter().filter(|(name, _)| !always_differ.contains(&name.as_str())).cloned().collect()
    };
    assert_eq!((one.status, one.text(), headers(one)), (other.status, other.text(), headers(other)));
}

/// RFC 9457: the right type, the status again, and words.
#[track_caller]
fn assert_problem(answer: &Response, status: u16, what: &str) {
    assert_eq!(answer.status, status, "{what}: {}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{what}");
    let problem = answer.json();
    assert_eq!(problem["status"], status, "{what}");
    for member in ["type", "title", "detail"] {
        assert!(
            problem[member].as_str().is_some_and(|text| !text.is_empty()),
            "{what}: no {member}: {problem}"
        );
    }
}

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}
