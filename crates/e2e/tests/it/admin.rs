//! What an operator does to subscriptions and deliveries from the command line, beside a worker that runs.

use crate::secrecy::assert_not_told;
use qqq_e2e::Tracker;
use qqq_testkit::http::Http;
use qqq_testkit::smtp::{Faults, SmtpSink};
use qqq_testkit::{python, wait_for};
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::Duration;

/// A command, or a message, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(20);
const ADA: &str = "ada.canary@example.com";
const BOB: &str = "bob.canary@example.org";
const EVE: &str = "eve.canary@example.net";

#[test]
fn what_was_refused_is_tried_again_once_and_never_what_was_sent() {
    let sink = SmtpSink::start(1);
    sink.set_faults(Faults { refuse_recipient: 1.0, ..Faults::default() });
    let mut tracker = mailing(&sink);
    tracker.start("run");
    let http = tracker.http();
    for reader in [ADA, BOB, EVE] {
        sign_up(&http, reader);
    }
    let failed = wait_for("three failures", PATIENCE, || {
        let failed = deliveries(&tracker, &[]);
        (failed.len() == 3).then_some(failed)
    });
    for delivery in &failed {
        assert_eq!((&delivery["state"], &delivery["kind"]), (&json!("failed"), &json!("confirmation")));
        assert_eq!((&delivery["attempts"], &delivery["alert"]), (&json!(1), &Value::Null));
        assert!(delivery["reason"].as_str().expect("a reason").contains("550"), "{delivery}");
    }
    assert!(failed.is_sorted_by(|new, old| new["created_at"].as_str() >= old["created_at"].as_str()));
    // An address is known however it is written.
    let of_ada = deliveries(&tracker, &["Ada.Canary@Example.com"]);
    assert_eq!(of_ada.len(), 1);
    assert_eq!(of_ada[0]["subscription"]["email"], ADA);
    assert!(deliveries(&tracker, &["--state", "expired", "--state", "sent"]).is_empty());
    assert_eq!(deliveries(&tracker, &["--limit", "2"]), failed[..2]);
    let table = succeeds(&tracker, &["admin", "deliveries"]);
    let line = table.lines().find(|line| line.contains(ADA)).expect("a line");
    assert!(line.starts_with(of_ada[0]["id"].as_str().expect("an id")) && line.contains("550"), "{table}");

    // Refused once more: it stands where it stood.
    let ada = id_of(&of_ada[0]);
    succeeds(&tracker, &["admin", "replay", &ada]);
    let again = wait_for("a second failure", PATIENCE, || {
        deliveries(&tracker, &[ADA]).into_iter().find(|delivery| delivery["attempts"] == 2)
    });
    assert_eq!((again["id"].as_str(), &again["state"]), (Some(ada.as_str()), &json!("failed")));

    // By two operators at the same moment, and then by a third: it goes out once.
    sink.set_faults(Faults::default());
    let silent = Stdio::null;
    let replay = ["admin", "replay", &ada];
    let spawn = |()| tracker.command(&replay).stdout(silent()).stderr(silent()).spawn();
    let both = [(); 2].map(spawn).map(|child| child.expect("the program starts").wait().expect("its end"));
    let owed = both.iter().filter(|status| status.success()).count();
    assert_eq!(owed, 1, "one of the two finds it owed already, or sent");
    assert!(sink.wait_until(PATIENCE, |accepted| accepted.iter().any(|mail| mail.recipient == ADA)));
    wait_for("it to be settled", PATIENCE, || {
        (deliveries(&tracker, &[ADA, "--state", "sent"]).len() == 1).then_some(())
    });
    let said = fails(&tracker, &["admin", "replay", &ada], 1);
    assert!(said.contains("was sent"), "{said}");

    // What belongs to somebody who is gone stays where it is.
    assert_eq!(succeeds(&tracker, &["admin", "disable", BOB]), "1 subscription disabled\n");
    let bob = id_of(&deliveries(&tracker, &[BOB])[0]);
    let said = fails(&tracker, &["admin", "replay", &bob], 1);
    assert!(said.contains("has ended"), "{said}");

    // Whoever comes later is served: nobody got anything twice meanwhile.
    succeeds(&tracker, &["admin", "replay", &id_of(&deliveries(&tracker, &[EVE])[0])]);
    assert!(sink.wait_until(PATIENCE, |accepted| accepted.iter().any(|mail| mail.recipient == EVE)));
    let mut told: Vec<String> = sink.accepted().into_iter().map(|mail| mail.recipient).collect();
    told.sort();
    assert_eq!(told, [ADA, EVE]);

    let unknown = "00000000-0000-4000-8000-000000000000";
    assert!(fails(&tracker, &["admin", "replay", unknown], 1).contains("no delivery"));
    fails(&tracker, &["admin", "replay", "everything"], 2);
    assert_eq!(tracker.terminate(STOP).code(), Some(0));
    assert_not_told(&tracker, [ADA, BOB, EVE, "ada.canary"]);
}

#[test]
fn subscriptions_are_listed_disabled_and_deleted_with_all_that_is_known_of_an_address() {
    const HOOK: &str = "https://hooks.invalid/services/canary?key=canary";
    let sink = SmtpSink::start(2);
    let mut tracker = mailing(&sink);
    tracker.start("run");
    let http = tracker.http();
    sign_up(&http, ADA);
    sign_up(&http, BOB);
    let webhook = json!({
        "ticker": "NVDA", "metric": "price", "rule": "move percent=3",
        "channel": "webhook", "url": HOOK, "format": "slack",
        "quiet_hours": { "from": "22:00", "to": "07:00", "zone": "Europe/Berlin" }
    });
    let taken = http.post_json("/v1/subscriptions", &webhook);
    assert_eq!(taken.status, 201, "{}", taken.text());
    assert!(sink.wait_until(PATIENCE, |accepted| accepted.len() == 2));

    let all = subscriptions(&tracker, &[]);
    assert_eq!(all.len(), 3);
    let of_ada = subscriptions(&tracker, &["ADA.canary@example.com"]);
    assert_eq!(of_ada.len(), 1);
    for (key, value) in [
        ("status", "pending"),
        ("channel", "email"),
        ("email", ADA),
        ("ticker", "META"),
        ("rule_text", "spike"),
    ] {
        assert_eq!(of_ada[0][key], value, "{}", of_ada[0]);
    }
    let of_hook = &subscriptions(&tracker, &[HOOK])[0];
    assert_eq!(
        (&of_hook["url"], &of_hook["format"], &of_hook["email"]),
        (&json!(HOOK), &json!("slack"), &Value::Null)
    );
    assert_eq!(of_hook["quiet_hours"], webhook["quiet_hours"]);
    assert_eq!(
        of_hook["rule_text"],
        "v1 move percent=3 from=15m direction=both trigger=level session=all cooldown=60m"
    );
    let table = succeeds(&tracker, &["admin", "subscriptions"]);
    assert!([ADA, BOB, HOOK].iter().all(|address| table.contains(address)), "{table}");
    assert!(subscriptions(&tracker, &["nobody@example.com"]).is_empty());

    // By id: one. Twice is no other thing than once, and says so.
    let bob = subscriptions(&tracker, &[BOB])[0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(succeeds(&tracker, &["admin", "disable", &bob]), "1 subscription disabled\n");
    assert_eq!(subscriptions(&tracker, &[BOB])[0]["status"], "disabled");
    for nobody in [&bob, BOB, "nobody@example.com"] {
        assert!(
            fails(&tracker, &["admin", "disable", nobody], 1).contains("no such subscription"),
            "{nobody}"
        );
    }

    // Nobody can be asked here: nothing happens without being told so.
    let said = fails(&tracker, &["admin", "delete", ADA], 2);
    assert!(said.contains("1 subscription and 1 delivery") && said.contains("--yes"), "{said}");
    assert_eq!(subscriptions(&tracker, &[ADA]).len(), 1);
    assert_eq!(
        succeeds(&tracker, &["admin", "delete", ADA, "--yes"]),
        "1 subscription and 1 delivery deleted\n"
    );
    assert!(subscriptions(&tracker, &[ADA]).is_empty());
    assert!(deliveries(&tracker, &[ADA, "--state", "sent"]).is_empty());
    let said = succeeds(&tracker, &["admin", "delete", ADA, "--yes"]);
    assert_eq!(said, "0 subscriptions and 0 deliveries deleted\n");
    succeeds(&tracker, &["admin", "delete", HOOK, "--yes"]);
    // The others are as they were.
    assert_eq!(subscriptions(&tracker, &[]), subscriptions(&tracker, &[BOB]));

    for wrong in [
        &["delete", "ada"][..],
        &["subscriptions", "ftp://x.example"],
        &["disable", "1234"],
        &["delete"],
        &["deliveries", "--state", "lost"],
        &["deliveries", "--limit", "0"],
    ] {
        fails(&tracker, &[&["admin"], wrong].concat(), 2);
    }
    assert_eq!(tracker.terminate(STOP).code(), Some(0));
    assert_not_told(&tracker, [ADA, BOB, "canary"]);
}

#[test]
fn at_a_terminal_a_deletion_asks_first() {
    let mut tracker = Tracker::new();
    tracker.start("run");
    sign_up(&tracker.http(), ADA);
    let taken_in = || (subscriptions(&tracker, &[ADA]).len() == 1).then_some(());
    wait_for("the worker to take it in", PATIENCE, taken_in);
    let store = format!("store.url=sqlite://{}", tracker.folder().join("data/qqq-tracker.db").display());
    let program = qqq_e2e::binary().display().to_string();
    for (answer, left) in [("", 1), ("no", 1), ("yes", 0)] {
        let delete = ["--answer", answer, &program, "--set", &store, "admin", "delete", ADA];
        let said = python::run("on_a_terminal.py", &delete);
        assert!(said.contains("deletes 1 subscription and 1 delivery") && said.contains("[y/N]"), "{said}");
        assert_eq!(subscriptions(&tracker, &[ADA]).len(), left, "{answer}");
    }
}

/// A tracker whose mail goes to the sink, and whose log says all it can.
fn mailing(sink: &SmtpSink) -> Tracker {
    let mut tracker = Tracker::new();
    tracker.set("email.smtp_url", sink.url()).set("log.filter", "trace");
    tracker
}

#[track_caller]
fn sign_up(http: &Http, address: &str) {
    let answer =
        http.post_json("/subscribe", &json!({ "email": address, "metric": "volume", "ticker": "META" }));
    assert_eq!(answer.status, 201, "{}", answer.text());
}

#[track_caller]
fn deliveries(tracker: &Tracker, arguments: &[&str]) -> Vec<Value> {
    items(tracker, &[&["admin", "deliveries", "--json"], arguments].concat())
}

#[track_caller]
fn subscriptions(tracker: &Tracker, arguments: &[&str]) -> Vec<Value> {
    items(tracker, &[&["admin", "subscriptions", "--json"], arguments].concat())
}

#[track_caller]
fn items(tracker: &Tracker, arguments: &[&str]) -> Vec<Value> {
    let listed: Value = serde_json::from_str(&succeeds(tracker, arguments)).expect("JSON");
    listed["items"].as_array().expect("a list").clone()
}

fn id_of(delivery: &Value) -> String {
    delivery["id"].as_str().expect("an id").to_owned()
}

/// Runs a command, and answers what it said. Its log names nobody.
#[track_caller]
fn succeeds(tracker: &Tracker, arguments: &[&str]) -> String {
    let output = tracker.output(arguments, PATIENCE);
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {log}");
    assert!(!log.contains("canary"), "{arguments:?}: {log}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Runs a command that is to end with an exit code and say nothing but why.
#[track_caller]
fn fails(tracker: &Tracker, arguments: &[&str], code: i32) -> String {
    let output = tracker.output(arguments, PATIENCE);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        (output.status.code(), output.stdout.as_slice()),
        (Some(code), &b""[..]),
        "{arguments:?}: {said}"
    );
    said
}
