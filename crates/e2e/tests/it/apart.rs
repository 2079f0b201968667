//! The worker and the server as two processes that meet in the store alone.

use qqq_e2e::Tracker;
use qqq_testkit::{Mail, wait_for};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// For what takes a moment, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(20);
/// How old the server's news may be.
const FRESH: Duration = Duration::from_secs(1);
/// How many alerts are timed.
const SAMPLES: usize = 9;

#[test]
fn what_the_worker_commits_the_server_shows_within_a_second() {
    let (mut worker, mut server) = apart();
    worker.spawn(&["worker"]);
    server.start("server");
    server.wait_for_bars();
    let mut delays: Vec<Duration> = (0..SAMPLES)
        .map(|_| {
            let known = raised(&worker).len();
            // Logged once its commit has returned.
            let id = wait_for("another alert", PATIENCE, || raised(&worker).into_iter().nth(known));
            let committed = Instant::now();
            let path = "/v1/alerts?limit=1000";
            wait_for("the alert at the server", PATIENCE, || {
                let listed = server.http().get(path).json();
                listed["items"].as_array()?.iter().any(|alert| alert["id"] == *id).then_some(())
            });
            committed.elapsed()
        })
        .collect();
    delays.sort();
    // The middle one: a machine that stalls for a moment is not the program's fault.
    assert!(delays[SAMPLES / 2] < FRESH, "{delays:?}");
    for mut process in [worker, server] {
        assert_eq!(process.terminate(STOP).code(), Some(0));
    }
}

#[test]
fn a_sign_up_at_the_server_is_mailed_by_the_worker_and_neither_needs_the_other_to_live() {
    let (mut worker, mut server) = apart();
    worker.spawn(&["worker"]);
    server.start("server");
    server.wait_for_bars();
    let sign_up = |server: &Tracker, email: &str| {
        let body = json!({ "email": email, "metric": "volume", "ticker": "META" });
        assert_eq!(server.http().post_json("/subscribe", &body).status, 201);
    };
    let confirm = |server: &Tracker, mail: &Mail| {
        let token = mail.token("confirm").expect("a link to confirm").to_owned();
        let path = format!("/v1/subscriptions/confirm?token={token}");
        assert_eq!(server.http().post_form(&path, "").status, 200);
    };
    sign_up(&server, "first@example.com");
    confirm(&server, &wait_for_mail(&worker, "first@example.com", 0));
    wait_for_mail(&worker, "first@example.com", 1);

    // Without a worker: readers are served, people can sign up; the mail comes once there is one again.
    worker.kill_9();
    assert_eq!(server.http().get("/META/volume").status, 200);
    sign_up(&server, "second@example.com");
    let sent = worker.mails().len();
    wait_for("the alert that was mailed", PATIENCE, || {
        let alerts = server.http().get("/v1/alerts").json();
        alerts["items"].as_array().filter(|alerts| !alerts.is_empty()).map(|_| ())
    });
    assert_eq!(worker.mails().len(), sent, "who sent that?");
    worker.spawn(&["worker"]);
    let confirmation = wait_for_mail(&worker, "second@example.com", 0);

    // Without a server: alerts are raised and mailed.
    server.kill_9();
    let told = mails_to(&worker, "first@example.com").len();
    wait_for_mail(&worker, "first@example.com", told + 3);
    server.start("server");
    confirm(&server, &confirmation);
    wait_for_mail(&worker, "second@example.com", 1);

    // The server ends first, then the worker, as asked, and nobody was told anything twice.
    assert_eq!(server.terminate(STOP).code(), Some(0));
    assert_eq!(worker.terminate(STOP).code(), Some(0));
    for address in ["first@example.com", "second@example.com"] {
        let mut told: Vec<String> =
            mails_to(&worker, address).iter().filter_map(|mail| mail.alert_id().map(str::to_owned)).collect();
        let count = told.len();
        told.sort();
        told.dedup();
        assert_eq!(told.len(), count, "{address} was told of an alert twice");
    }
}

/// Two processes of one folder, over a simulated market in which hardly a minute passes without an alert on
/// volume, five minutes a second.
fn apart() -> (Tracker, Tracker) {
    let mut worker = Tracker::new();
    worker.set("feed.sim.speed", "300x").set("rules.ratio", "1.2").set("rules.cooldown", "0s");
    worker.set("rules.min_bars", 5).set("log.format", "json");
    // The links in mails lead to the server.
    let server = worker.beside();
    worker.set("server.public_url", format!("http://{}", server.http().address()));
    (worker, server)
}

/// The ids of the alerts a process has logged.
fn raised(worker: &Tracker) -> Vec<String> {
    let log = worker.stderr();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let raised = lines.filter(|line| line["message"] == "alert raised");
    raised.filter_map(|line| line["alert.id"].as_str().map(str::to_owned)).collect()
}

/// The mails to an address: first the confirmation, then alerts in the order they were enqueued.
fn mails_to(tracker: &Tracker, address: &str) -> Vec<Mail> {
    let mails = tracker.mails().into_iter().filter(|mail| mail.to() == address);
    let (mut first, alerts): (Vec<_>, Vec<_>) = mails.partition(|mail| mail.alert_id().is_none());
    first.extend(alerts);
    first
}

#[track_caller]
fn wait_for_mail(tracker: &Tracker, address: &str, index: usize) -> Mail {
    wait_for("a mail", PATIENCE, || mails_to(tracker, address).into_iter().nth(index))
}
