//! What the machine does to the program: its clock is set, its descriptors run out.

use crate::recording;
use qqq_e2e::Tracker;
use qqq_testkit::http::Http;
use qqq_testkit::smtp::{Faults, SmtpSink};
use qqq_testkit::wait_for;
use serde_json::json;
use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(90);

/// A recording whose bursts alert again and again, mailed to `sink`.
fn market(sink: &SmtpSink) -> Tracker {
    let mut tracker = Tracker::new();
    let file = tracker.folder().join("bursts.csv");
    recording::write(&file, &recording::bursts("META", 200, 5));
    tracker.set("feed.provider", "replay").set("feed.replay.path", file.display());
    tracker.set("feed.replay.speed", "600x").set("market.calendar", "always");
    tracker.set("rules.cooldown", "0s").set("rules.min_bars", 5);
    tracker.set("subscriptions.confirm", false).set("subscriptions.messages_per_hour", 1_000);
    tracker.set("email.smtp_url", sink.url());
    tracker
}

fn sign_up(http: &Http, email: &str) {
    let answer =
        http.post_json("/subscribe", &json!({ "email": email, "metric": "volume", "ticker": "META" }));
    assert_eq!(answer.status, 201, "{}", answer.text());
}

fn mailed(sink: &SmtpSink, email: &str) -> usize {
    sink.accepted().iter().filter(|accepted| accepted.recipient.contains(email)).count()
}

/// Half-open connections, from several addresses, each within what one address may have.
fn half_open(server: SocketAddr, count: u32) -> Vec<TcpStream> {
    let connect = |number: u32| {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let [low, high] = [number % 50, number / 50].map(|part| u8::try_from(part).unwrap());
        let from = SocketAddrV4::new(Ipv4Addr::new(127, 9, high, low + 1), 0);
        socket.bind(&SocketAddr::from(from).into()).unwrap();
        socket.connect(&server.into()).unwrap();
        let mut stream = TcpStream::from(socket);
        stream.write_all(b"GET / HTTP/1.1\r\nhost: ").unwrap();
        stream
    };
    (0..count).map(connect).collect()
}

#[test]
fn half_open_connections_stop_neither_mail_nor_readers() {
    let sink = SmtpSink::start(17);
    let mut tracker = market(&sink);
    tracker.limit_open_files(160);
    tracker.start("run");
    tracker.wait_for_bars();
    let http = tracker.http();
    sign_up(&http, "ada@example.com");
    // Far more than there are descriptors, and never fewer than that: whoever was sent away comes back.
    let mut held = half_open(http.address(), 400);
    let before = mailed(&sink, "ada@");
    wait_for("mail while all connections are held", PATIENCE, || {
        held.drain(..50);
        held.extend(half_open(http.address(), 50));
        assert_eq!(http.get("/healthz").status, 200);
        (mailed(&sink, "ada@") >= before + 5).then_some(())
    });
    let troubles = tracker.stderr().matches("cannot accept connections").count();
    assert!(troubles <= 1, "{troubles} lines about it");
    assert!(tracker.stderr().contains("fewer connections than server.max_connections"), "{}", tracker.log());
}

/// Debian's libfaketime.
fn faketime() -> Option<PathBuf> {
    let place = |architecture| format!("/usr/lib/{architecture}-linux-gnu/faketime/libfaketimeMT.so.1");
    let found = ["x86_64", "aarch64"].map(place).into_iter().map(PathBuf::from).find(|path| path.is_file());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "libfaketime is missing: `make test` installs it");
        eprintln!("SKIPPED: libfaketime is missing (`make test` installs it)");
    }
    found
}

fn set_clock(file: &Path, offset: &str) {
    // Written beside and renamed: the program reads it at any moment.
    let beside = file.with_extension("new");
    fs::write(&beside, offset).unwrap();
    fs::rename(&beside, file).unwrap();
}

fn doubts_its_clock(http: &Http) -> bool {
    let problems = http.get("/v1/status").json()["problems"].clone();
    problems.as_array().unwrap().iter().any(|problem| problem["check"] == "clock")
}

#[test]
fn a_clock_that_jumps_and_comes_back_expires_nothing_and_activates_nothing_late() {
    let Some(faketime) = faketime() else { return };
    for jump in ["+2d", "-1h"] {
        let sink = SmtpSink::start(18);
        sink.set_faults(Faults { defer_sender: 1.0, ..Faults::default() });
        let mut tracker = market(&sink);
        let clock = tracker.folder().join("clock");
        set_clock(&clock, "+0");
        tracker.set_variable("LD_PRELOAD", faketime.display());
        tracker.set_variable("FAKETIME_TIMESTAMP_FILE", clock.display()).set_variable("FAKETIME_NO_CACHE", 1);
        tracker.set_variable("FAKETIME_DONT_FAKE_MONOTONIC", 1);
        tracker.start("run");
        tracker.wait_for_bars();
        let http = tracker.http();
        sign_up(&http, "ada@example.com");
        let deliveries =
            |which: &str| http.get("/v1/status").json()["deliveries"][which].as_u64().unwrap_or(0);
        wait_for("alerts that wait", PATIENCE, || (deliveries("waiting") >= 3).then_some(()));

        set_clock(&clock, jump);
        wait_for("the jump to be told", PATIENCE, || doubts_its_clock(&http).then_some(()));
        let ready = http.get("/readyz");
        assert!(ready.status == 503 && ready.text().contains("clock"), "{}", ready.text());
        sign_up(&http, "grace@example.com");
        let alerts = || http.get("/v1/alerts?limit=1000").json()["items"].as_array().unwrap().len();
        let before = alerts();
        wait_for("alerts meanwhile", PATIENCE, || (alerts() >= before + 3).then_some(()));
        let waiting = deliveries("waiting");
        set_clock(&clock, "+0");
        wait_for("the doubt to end", PATIENCE, || (!doubts_its_clock(&http)).then_some(()));
        sink.set_faults(Faults::default());
        wait_for("everything that waited", PATIENCE, || (sink.count() as u64 >= waiting).then_some(()));
        wait_for("alerts to who signed up then", PATIENCE, || (mailed(&sink, "grace@") >= 1).then_some(()));
        assert_eq!(deliveries("expired"), 0, "{jump}");
    }
}
