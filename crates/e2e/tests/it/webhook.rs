//! The whole way of a webhook, from the sign-up to a receiver that says it is gone; and of alerts that have
//! to wait: for room in a receiver's budget, and for the end of the quiet hours.

use crate::secrecy::assert_not_told;
use jiff::{SignedDuration, Timestamp};
use qqq_e2e::Tracker;
use qqq_testkit::http::{Http, HttpSink, Received, Response};
use qqq_testkit::{Mail, python, wait_for};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// For what takes a moment, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(20);
/// Messages to one receiver that may be on their way when something changes, and come as if it had not.
const UNDER_WAY: usize = 4;
/// A rule of volume that hardly a minute passes without.
const RULE: &str = "spike ratio=1.05 min_bars=5 cooldown=0s";

#[test]
fn a_webhook_is_told_once_confirmed_until_it_is_paused_or_its_receiver_is_gone() {
    let mut tracker = lively_market();
    tracker.set("webhooks.allow_networks", "127.0.0.0/8").set("subscriptions.messages_per_hour", 100_000);
    tracker.start("run");
    tracker.wait_for_bars();
    let http = tracker.http();
    // By the same rule: whatever it is told, the other one would be.
    let control = HttpSink::start();
    sign_up_hook(&http, &control.url("/control"));
    confirm(&http, &Held::of(&wait_for_message(&control, "subscription.confirmation")));

    let hook = HttpSink::start();
    let url = hook.url("/canary-path?key=canary-key");
    let answer = sign_up_hook(&http, &url);
    assert_eq!((&answer["status"], &answer["channel"]), (&json!("pending"), &json!("webhook")));
    let asked = wait_for_message(&hook, "subscription.confirmation");
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/canary-path?key=canary-key"));
    assert_eq!(asked.headers["content-type"], "application/json");
    let held = Held::of(&asked);
    let (id, secret) = (held.id.as_str(), held.secret.as_str());
    assert_signed(&asked, &[secret]);
    // Told to the receiver alone.
    for told in [id, &held.token, secret] {
        assert!(!answer.to_string().contains(told), "{answer}");
    }

    // Looking at the page behind the link confirms nothing.
    assert_eq!(http.get(&held.confirm).status, 200);
    assert_eq!(held.read(&http)["status"], "pending");
    control.wait_for_more(3, PATIENCE);
    assert_eq!(hook.received().len(), 1, "an alert before the confirmation");
    confirm(&http, &held);

    let raised = wait_for_message(&hook, "alert.raised");
    assert_signed(&raised, &[secret]);
    let data = event(&raised)["data"].clone();
    assert_eq!(data["subscription"]["id"], id);
    assert_eq!((&data["alert"]["symbol"], &data["alert"]["metric"]), (&json!("META"), &json!("volume")));
    let path = format!("/v1/alerts/{}", data["alert"]["id"].as_str().expect("an id"));
    assert_eq!(path_of(&http, &data["links"]["alert"]), path);
    let bearer = format!("Bearer {}", held.token);
    let published = http.request("GET", &path, &[("authorization", &bearer)], b"").expect("an answer");
    assert_eq!(data["alert"], published.json());
    // By a rule of its own: nobody else may read it, or see that it is there.
    assert_eq!(http.get(&path).status, 404);
    assert!(!http.get("/v1/alerts?limit=1000").text().contains("ratio=1.05"));

    let subscription = held.read(&http);
    for (member, value) in [
        ("id", json!(id)),
        ("ticker", json!("META")),
        ("metric", json!("volume")),
        ("channel", json!("webhook")),
        ("email", Value::Null),
        ("url", json!(url)),
        ("format", json!("standard")),
        ("secret", json!(secret)),
        ("rule_text", data["alert"]["rule"].clone()),
        ("status", json!("active")),
        ("quiet_hours", Value::Null),
        ("paused_until", Value::Null),
    ] {
        assert_eq!(subscription[member], value, "{member}");
    }
    let active_from = subscription["active_from"].as_str().expect("a minute");
    for told in alerts_told(&hook) {
        assert!(told["start"].as_str() >= Some(active_from), "{told} is from before {active_from}");
    }
    for token in ["", "wrong", secret, &held.token[1..]] {
        assert_eq!(held.ask_with(&http, token, "GET", "", b"").status, 401);
    }

    let answer = held.change(&http, &json!({ "paused_until": "resumed" }));
    assert_eq!((answer.status, &answer.json()["paused_until"]), (200, &json!("resumed")));
    assert_hears_nothing_more(&hook, &control);
    let answer = held.change(&http, &json!({ "paused_until": null }));
    assert_eq!((answer.status, &answer.json()["paused_until"]), (200, &Value::Null));
    hook.wait_for_more(2, PATIENCE);

    let answer = held.ask(&http, "POST", "/secret", b"");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let rotated = answer.json()["secret"].as_str().expect("a secret").to_owned();
    assert_ne!(rotated, secret);
    let before = hook.received().len();
    hook.wait_for_more(UNDER_WAY + 2, PATIENCE);
    let since = hook.received().split_off(before);
    let (both, one): (Vec<_>, Vec<_>) =
        since.iter().partition(|request| request.headers["webhook-signature"].split(' ').count() == 2);
    assert!(one.len() <= UNDER_WAY, "{} requests after the rotation know nothing of it", one.len());
    // Whoever knows either secret takes it.
    assert_signed(both[0], &[&rotated, secret]);

    hook.answer(410);
    wait_for("the end of the subscription", PATIENCE, || {
        (held.read(&http)["status"] == "disabled").then_some(())
    });
    assert_hears_nothing_more(&hook, &control);
    let refused = hook.received().iter().filter(|request| request.answer == 410).count();
    assert!((1..=UNDER_WAY).contains(&refused), "{refused} requests after the receiver was gone");
    assert_eq!(held.change(&http, &json!({ "paused_until": null })).status, 410);

    // All was accepted at the first attempt, or not at all: nothing came twice.
    let messages = hook.received();
    let ids: BTreeSet<&str> = messages.iter().map(|request| request.headers["webhook-id"].as_str()).collect();
    assert_eq!(ids.len(), messages.len(), "a message came twice");
    assert_eq!(tracker.terminate(STOP).code(), Some(0));
    let link_token = held.confirm.split_once("token=").expect("a token").1;
    assert_not_told(&tracker, [&held.token, secret, &rotated, link_token, "canary-path", "canary-key"]);
}

#[test]
fn what_waits_for_room_or_for_the_end_of_the_quiet_hours_is_not_told_one_by_one() {
    const ADA: &str = "ada.canary@example.com";
    const BOB: &str = "bob.canary@example.org";
    const EVE: &str = "eve.canary@example.net";
    let mut tracker = lively_market();
    tracker.set("subscriptions.messages_per_hour", 2);
    tracker.start("run");
    tracker.wait_for_bars();
    let http = tracker.http();

    // Nobody else is there: what is pending is hers.
    let ada = sign_up_mail(&tracker, ADA, RULE, &Value::Null);
    confirm(&http, &ada);
    wait_for("two mails", PATIENCE, || (alert_mails(&tracker, ADA).len() >= 2).then_some(()));
    wait_for("what there is no room for", PATIENCE, || (pending(&http) >= 5).then_some(()));
    assert_eq!(alert_mails(&tracker, ADA).len(), 2, "she wants two an hour");

    let rule = "spike ratio=1.1 min_bars=5 cooldown=0s";
    let begin = now() - SignedDuration::from_mins(1);
    let clock = |time: Timestamp| time.strftime("%H:%M").to_string();
    let quiet =
        json!({ "from": clock(begin), "to": clock(begin + SignedDuration::from_mins(61)), "zone": "UTC" });
    let bob = sign_up_mail(&tracker, BOB, rule, &quiet);
    confirm(&http, &bob);
    // By the same rule, confirmed later: whatever she is told, he would be.
    let eve = sign_up_mail(&tracker, EVE, rule, &Value::Null);
    confirm(&http, &eve);
    wait_for("mails to who is awake", PATIENCE, || (alert_mails(&tracker, EVE).len() >= 2).then_some(()));
    let subscription = bob.read(&http);
    assert_eq!(subscription["quiet_hours"], quiet);
    let text = |member: &str| subscription[member].as_str().expect("a text");
    let raised = || {
        let alerts = bob.ask(&http, "GET", "/alerts?limit=1000", b"");
        let alerts = alerts.json()["items"].as_array().expect("a list").clone();
        alerts.iter().filter(|alert| alert["start"].as_str() >= Some(text("active_from"))).count()
    };
    let waiting =
        wait_for("alerts in the quiet hours", PATIENCE, || Some(raised()).filter(|count| *count >= 8));
    assert_eq!(alert_mails(&tracker, BOB).len(), 0, "a mail in the quiet hours");

    assert_eq!(bob.change(&http, &json!({ "quiet_hours": null })).status, 200);
    let digest = wait_for("what waited", PATIENCE, || {
        alert_mails(&tracker, BOB).into_iter().find(|mail| mail.subject().contains("alerts that waited"))
    });
    let told = digest.subject().split(' ').find_map(|word| word.parse::<usize>().ok()).expect("a number");
    // But for the newest, which may not have had to wait at all.
    assert!(told + 1 >= waiting, "{told} of {waiting}");
    for address in [ADA, BOB, EVE] {
        let mails = alert_mails(&tracker, address).len();
        assert!(mails <= 2, "{mails} mails to {address}, who wants two an hour");
    }
    assert_eq!(tracker.terminate(STOP).code(), Some(0));
    assert_not_told(&tracker, [&ada.token, &bob.token, &eve.token, "ada.canary", "bob.canary", "eve.canary"]);
}

#[test]
fn a_webhook_to_an_address_that_is_not_public_is_refused_at_once() {
    let mut tracker = lively_market();
    tracker.start("server");
    let http = tracker.http();
    for url in [
        "http://169.254.169.254/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::ffff:10.0.0.1]/",
        "https://[fd00:ec2::254]/",
        "https://0x7f.1/",
        "https://localhost/",
        "https://LOCALHOST.:8443/",
        "https://hooks.localhost/",
        "http://example.com/",
    ] {
        let answer = http.post_json("/v1/subscriptions", &hook(url));
        assert_eq!(answer.status, 422, "{url}: {}", answer.text());
        let errors = answer.json()["errors"].clone();
        assert_eq!((errors.as_array().map(Vec::len), &errors[0]["field"]), (Some(1), &json!("url")), "{url}");
    }
}

#[test]
fn localhost_is_taken_where_the_operator_allows_an_address_it_means() {
    for (networks, status) in [("127.0.0.0/8", 201), ("::1", 201), ("10.0.0.0/8", 422)] {
        let mut tracker = lively_market();
        tracker.set("webhooks.allow_networks", networks);
        tracker.start("server");
        let answer = tracker.http().post_json("/v1/subscriptions", &hook("http://localhost:9/"));
        assert_eq!(answer.status, status, "{networks}: {}", answer.text());
    }
}

/// A simulated market, ten minutes a second; logs that say everything.
fn lively_market() -> Tracker {
    let mut tracker = Tracker::new();
    tracker.set("feed.sim.speed", "600x").set("log.filter", "trace").set("log.format", "json");
    tracker
}

/// What holds a subscription, as the message that asked to confirm told it.
struct Held {
    id: String,
    token: String,
    /// Signs the requests; empty with another channel.
    secret: String,
    /// The path of the link.
    confirm: String,
}

impl Held {
    #[track_caller]
    fn of(confirmation: &Received) -> Self {
        let data = &event(confirmation)["data"];
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let link = text(&data["links"]["confirm"]);
        let confirm = link.find("/v1/").map(|start| link[start..].to_owned()).expect("a link of ours");
        let secret = text(&data["secret"]);
        assert!(secret.starts_with("whsec_"), "{secret}");
        Self { id: text(&data["subscription"]["id"]), token: text(&data["token"]), secret, confirm }
    }

    #[track_caller]
    fn of_mail(mail: &Mail) -> Self {
        let word = |label: &str| {
            let rest = mail.text().split_once(label).expect(label).1;
            rest.split_whitespace().next().expect(label).to_owned()
        };
        let token = mail.token("confirm").expect("a link to confirm");
        let confirm = format!("/v1/subscriptions/confirm?token={token}");
        Self { id: word("\nId:"), token: word("\nToken:"), secret: String::new(), confirm }
    }

    /// The subscription as it is now.
    #[track_caller]
    fn read(&self, http: &Http) -> Value {
        let answer = self.ask(http, "GET", "", b"");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    #[track_caller]
    fn change(&self, http: &Http, change: &Value) -> Response {
        self.ask(http, "PATCH", "", change.to_string().as_bytes())
    }

    #[track_caller]
    fn ask(&self, http: &Http, method: &str, below: &str, body: &[u8]) -> Response {
        self.ask_with(http, &self.token, method, below, body)
    }

    #[track_caller]
    fn ask_with(&self, http: &Http, token: &str, method: &str, below: &str, body: &[u8]) -> Response {
        let path = format!("/v1/subscriptions/{}{below}", self.id);
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        http.request(method, &path, &headers, body).expect("an answer")
    }
}

/// A sign-up of a webhook.
fn hook(url: &str) -> Value {
    json!({
        "channel": "webhook", "url": url, "format": "standard", "ticker": "fb", "metric": "volume",
        "rule": { "kind": "spike", "ratio": 1.05, "min_bars": 5, "cooldown": "0s" },
    })
}

#[track_caller]
fn sign_up_hook(http: &Http, url: &str) -> Value {
    let answer = http.post_json("/v1/subscriptions", &hook(url));
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

#[track_caller]
fn sign_up_mail(tracker: &Tracker, email: &str, rule: &str, quiet_hours: &Value) -> Held {
    let mut body = json!({ "email": email, "ticker": "META", "metric": "volume", "rule": rule });
    body["quiet_hours"] = quiet_hours.clone();
    let answer = tracker.http().post_json("/v1/subscriptions", &body);
    assert_eq!(answer.status, 201, "{}", answer.text());
    let mails = || tracker.mails().into_iter().find(|mail| mail.to() == email);
    Held::of_mail(&wait_for("the mail to confirm", PATIENCE, mails))
}

/// As a program does: the page's button does the same.
#[track_caller]
fn confirm(http: &Http, held: &Held) {
    assert_eq!(http.post_form(&held.confirm, "").status, 200);
    assert_eq!(held.read(http)["status"], "active");
}

/// All mails to an address but the one to confirm.
fn alert_mails(tracker: &Tracker, address: &str) -> Vec<Mail> {
    let mut mails = tracker.mails();
    mails.retain(|mail| mail.to() == address && mail.token("confirm").is_none());
    mails
}

/// How many deliveries wait or are under way.
#[track_caller]
fn pending(http: &Http) -> u64 {
    let metrics = http.get("/metrics").text();
    let line = metrics.lines().find_map(|line| line.strip_prefix("qqq_outbox_pending "));
    line.expect("the metric").parse().expect("a number")
}

#[track_caller]
fn event(request: &Received) -> Value {
    serde_json::from_str(&request.body).expect("JSON")
}

/// Waits for the first message of a type.
#[track_caller]
fn wait_for_message(sink: &HttpSink, kind: &str) -> Received {
    let first = || sink.received().into_iter().find(|request| event(request)["type"] == kind);
    wait_for(kind, PATIENCE, first)
}

/// The alerts a sink was told of one by one.
fn alerts_told(sink: &HttpSink) -> Vec<Value> {
    let events = sink.received().iter().map(event).collect::<Vec<_>>();
    events
        .into_iter()
        .filter(|event| event["type"] == "alert.raised")
        .map(|event| event["data"]["alert"].clone())
        .collect()
}

/// What was on its way may still arrive; nothing that is raised now, while others are told.
#[track_caller]
fn assert_hears_nothing_more(hook: &HttpSink, control: &HttpSink) {
    control.wait_for_more(UNDER_WAY, PATIENCE);
    let heard = hook.received().len();
    control.wait_for_more(5, PATIENCE);
    assert_eq!(hook.received().len(), heard, "it is told more");
}

/// Holds a request to be signed by each of the secrets and to be forged by nobody, as the official library
/// sees it.
#[track_caller]
fn assert_signed(request: &Received, secrets: &[&str]) {
    let signatures = request.headers["webhook-signature"].split(' ');
    assert_eq!(signatures.count(), secrets.len(), "a signature by each secret");
    let input = json!({ "secrets": secrets, "headers": request.headers, "body": request.body });
    let answer = python::run_on("verify_webhook.py", &[], &input.to_string());
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!(answer["verified"], json!(vec![true; secrets.len()]));
    assert_eq!(answer["forged"], 0);
}

/// The path of a link of ours.
#[track_caller]
fn path_of(http: &Http, link: &Value) -> String {
    let site = format!("http://{}", http.address());
    link.as_str().and_then(|link| link.strip_prefix(&site)).expect("a link of ours").to_owned()
}

#[expect(clippy::disallowed_methods, reason = "quiet hours are of the wall clock")]
fn now() -> Timestamp {
    Timestamp::now()
}
