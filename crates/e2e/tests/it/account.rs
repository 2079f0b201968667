//! What a reader does who is signed in: asks for a link, gets it by mail, and has alerts of their own with
//! it, until they leave.

use qqq_e2e::Tracker;
use qqq_testkit::Mail;
use qqq_testkit::http::{Http, Response};
use qqq_testkit::smtp::SmtpSink;
use qqq_testkit::wait_for;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::secrecy::assert_not_told;

const PATIENCE: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(20);
const ADA: &str = "ada.canary@example.com";

#[test]
fn a_reader_signs_in_by_mail_and_has_alerts_of_their_own_until_they_leave() {
    let sink = SmtpSink::start(1);
    let mut tracker = Tracker::new();
    tracker.set("feed.sim.speed", "600x").set("rules.ratio", "1.2").set("rules.cooldown", "0s");
    tracker.set("rules.min_bars", 5).set("email.smtp_url", sink.url());
    tracker.set("log.filter", "trace").set("log.format", "json");
    tracker.start("run");
    tracker.wait_for_bars();
    let http = tracker.http();

    // A stranger is told the same, and mailed nothing.
    let answer = asked(&http, ADA);
    let body = json!({ "email": ADA, "metric": "price", "ticker": "NVDA" });
    assert_eq!(http.post_json("/v1/subscriptions", &body).status, 201);
    let confirm = mail(&sink, "Please confirm").path("/v1/subscriptions/confirm?token=").to_owned();
    assert_eq!(http.post_form(&confirm, "").status, 200);

    assert_eq!(asked(&http, ADA).body, answer.body);
    let link = mail(&sink, "Sign in").path("/v1/session/link?token=").to_owned();
    for _ in 0..3 {
        assert_eq!(http.get(&link).status, 200, "looking changes nothing");
    }
    let ours = [("sec-fetch-site", "same-origin")];
    let press = || http.request("POST", &link, &ours, b"").expect("an answer");
    assert_eq!(http.post_form(&link, "").status, 403, "by no page of ours");
    let signed_in = press();
    assert_eq!((signed_in.status, signed_in.header("location")), (303, Some("/me")));
    let cookie = signed_in.header("set-cookie").expect("a cookie").split(';').next().expect("one").to_owned();
    assert_eq!(press().status, 404, "once");

    let me = Browser { http: &http, cookie: &cookie };
    assert_eq!(me.ask("GET", "/v1/me", None).json()["email"], ADA);
    let rule = "spike ratio=1.05 window=5m min_bars=2 cooldown=0s";
    let wish = json!({ "ticker": "NVDA", "metric": "volume", "rule": rule });
    let added = me.ask("POST", "/v1/me/subscriptions", Some(&wish));
    assert_eq!(added.status, 201, "{}", added.text());
    assert_eq!(added.json()["items"][0]["status"], "active");
    let listed = me.ask("GET", "/v1/me/subscriptions", None).json();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(2));

    // What it raises is told where one is signed in, and nowhere else.
    let told = on_the_stream(&http, &cookie);
    let id = told["id"].as_str().expect("an id").to_owned();
    assert_eq!((&told["symbol"], &told["metric"]), (&json!("NVDA"), &json!("volume")));
    let own = wait_for("own alerts", PATIENCE, || {
        let page = me.ask("GET", "/v1/me/alerts?own=true&limit=1000", None).json();
        page["items"].as_array()?.iter().find(|alert| alert["id"] == id.as_str()).cloned()
    });
    assert_eq!(own["rule"], told["rule"]);
    assert_eq!(me.ask("GET", &format!("/v1/alerts/{id}"), None).status, 200);
    assert_eq!(http.get(&format!("/v1/alerts/{id}")).status, 404);
    assert!(!http.get("/v1/alerts?limit=1000").text().contains(&id));

    let export = me.ask("GET", "/v1/me/export", None).json();
    assert_eq!(export["subscriptions"].as_array().map(Vec::len), Some(2));
    assert!(export["deliveries"].as_array().is_some_and(|deliveries| !deliveries.is_empty()));

    // A page of another site changes nothing.
    let foreign = [("cookie", cookie.as_str()), ("sec-fetch-site", "cross-site")];
    let refused = http.request("DELETE", "/v1/me", &foreign, b"").expect("an answer");
    assert_eq!(refused.status, 403);
    assert_eq!(me.ask("DELETE", "/v1/me", None).status, 204);
    assert_eq!(me.ask("GET", "/v1/me", None).status, 401);
    let sent = sink.count();
    let before = http.get("/v1/symbols/NVDA").json()["bar"]["start"].clone();
    wait_for("more bars", PATIENCE, || {
        (http.get("/v1/symbols/NVDA").json()["bar"]["start"] != before).then_some(())
    });
    // What was under way when it was erased may still arrive.
    assert!(sink.count() <= sent + 4, "mails after everything was erased");

    assert_eq!(tracker.terminate(STOP).code(), Some(0));
    let token = link.split_once("token=").expect("a token").1.to_owned();
    let session = cookie.split_once('=').expect("a value").1.to_owned();
    assert_not_told(&tracker, [token, session, ADA.to_owned()]);
}

/// A browser that is signed in, on a page of ours.
struct Browser<'a> {
    http: &'a Http,
    cookie: &'a str,
}

impl Browser<'_> {
    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Response {
        let json = ("content-type", "application/json");
        let headers = [("cookie", self.cookie), ("sec-fetch-site", "same-origin"), json];
        let body = body.map(Value::to_string).unwrap_or_default();
        self.http.request(method, path, &headers, body.as_bytes()).expect("an answer")
    }
}

fn asked(http: &Http, email: &str) -> Response {
    let answer = http.post_json("/v1/session", &json!({ "email": email }));
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer
}

/// The first mail to Ada whose subject begins so.
fn mail(sink: &SmtpSink, subject: &str) -> Mail {
    wait_for(subject, PATIENCE, || {
        let accepted = sink.accepted();
        accepted.into_iter().map(|one| one.mail).find(|mail| mail.subject().starts_with(subject))
    })
}

/// The first alert by a rule of one's own that a stream tells who is signed in.
fn on_the_stream(http: &Http, cookie: &str) -> Value {
    let mut stream = TcpStream::connect(http.address()).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
    let request = format!("GET /v1/stream HTTP/1.1\r\nhost: {}\r\ncookie: {cookie}\r\n\r\n", http.address());
    stream.write_all(request.as_bytes()).expect("a request");
    let (mut heard, mut piece, begun) = (Vec::new(), [0; 4096], Instant::now());
    while begun.elapsed() < PATIENCE {
        let read = stream.read(&mut piece).expect("events");
        assert!(read > 0, "the stream ended");
        heard.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&heard).into_owned();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let alerts = whole.lines().filter_map(|line| line.strip_prefix("data: "));
        let own = alerts
            .filter_map(|data| serde_json::from_str::<Value>(data).ok())
            .find(|data| data["rule"].as_str().is_some_and(|rule| rule.contains("ratio=1.05")));
        if let Some(own) = own {
            return own;
        }
    }
    panic!("no alert by a rule of one's own");
}
