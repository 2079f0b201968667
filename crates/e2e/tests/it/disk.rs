//! What a disk that takes nothing does, wherever it is met: reading goes on, writing is refused, what waits
//! goes on by itself once there is room, and nobody has to start anything again.

use qqq_e2e::{SmallDisk, Tracker};
use qqq_testkit::http::{Http, Response};
use qqq_testkit::wait_for;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::process::Stdio;
use std::time::Duration;

/// For what takes a moment, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);
const STOP: Duration = Duration::from_secs(20);

/// A market that fills a disk soon.
fn lively_market() -> Tracker {
    let mut tracker = Tracker::new();
    tracker.set("feed.sim.speed", "600x");
    tracker
}

fn sign_up(http: &Http, number: usize) -> Response {
    let email = format!("reader{number}@host{number}.example");
    http.post_json("/subscribe", &json!({"email": email, "metric": "volume", "ticker": "AAPL"}))
}

fn refused_for_room(answer: &Response) {
    assert_eq!((answer.status, answer.header("content-type")), (503, Some("application/problem+json")));
    assert!(answer.header("retry-after").is_some_and(|wait| wait.parse::<u32>().is_ok()));
    assert_eq!(answer.json()["code"], "no_room");
}

fn is_ready(http: &Http) -> bool {
    http.get("/readyz").status == 200
}

fn wait_until_told(http: &Http) {
    wait_for("readiness to tell of the disk", PATIENCE, || {
        let told = http.get("/readyz");
        (told.status == 503 && told.text().contains("the disk takes nothing")).then_some(())
    });
}

fn sequence(http: &Http) -> i64 {
    http.get("/v1/status").json()["sequence"].as_i64().expect("a sequence")
}

/// The answers that need no writing, and what is told of the rest.
fn reads_go_on(tracker: &mut Tracker) {
    let http = tracker.http();
    for path in
        ["/AAPL/price", "/v1/symbols", "/v1/symbols/AAPL/bars", "/v1/alerts", "/subscribe/form", "/healthz"]
    {
        assert_eq!(http.get(path).status, 200, "{path}");
    }
    wait_for("the status to tell of the disk", PATIENCE, || {
        let status = http.get("/v1/status").json();
        assert_eq!(status["store"]["answers"], true, "{status}");
        (status["store"]["writable"] == false && status["problems"][0]["check"] == "store").then_some(())
    });
    wait_for("the metrics to tell of the disk", PATIENCE, || {
        http.get("/metrics").text().contains("\nqqq_store_writable 0").then_some(())
    });
    assert!(tracker.ended().is_none(), "the process ended");
}

/// The market goes on, and whoever signs up now is served.
fn all_goes_on(tracker: &mut Tracker, number: usize) {
    tracker.wait_until_ready();
    let http = tracker.http();
    let before = sequence(&http);
    wait_for("bars to go on", PATIENCE, || (sequence(&http) > before).then_some(()));
    let mails = tracker.mails().len();
    wait_for("a sign-up to be taken", PATIENCE, || (sign_up(&http, number).status == 201).then_some(()));
    wait_for("its mail", PATIENCE, || (tracker.mails().len() > mails).then_some(()));
}

#[test]
fn on_a_full_disk_reading_goes_on_and_all_else_waits_for_room() {
    let mut tracker = lively_market();
    let Some(disk) = SmallDisk::mount(&tracker.folder().join("data"), 16 * 1024) else { return };
    tracker.start("run");
    tracker.wait_for_bars();
    let http = tracker.http();
    assert_eq!(sign_up(&http, 0).status, 201);
    wait_for("a mail", PATIENCE, || (!tracker.mails().is_empty()).then_some(()));

    disk.fill();
    wait_until_told(&http);
    reads_go_on(&mut tracker);
    // What little room the log has is used, and then it is refused.
    let mut number = 1;
    wait_for("a sign-up to be refused", PATIENCE, || {
        let answer = sign_up(&http, number);
        number += 1;
        (answer.status != 201).then(|| refused_for_room(&answer))
    });

    // It also starts like this: after a power cut ..
    tracker.kill_9();
    disk.fill();
    tracker.start("run");
    wait_until_told(&tracker.http());
    reads_go_on(&mut tracker);
    // .. and where it was asked to end, which it does although so much waits.
    assert_eq!(tracker.terminate(STOP).code(), Some(0));
    disk.fill();
    tracker.start("run");
    wait_until_told(&tracker.http());
    reads_go_on(&mut tracker);

    disk.make_room();
    all_goes_on(&mut tracker, 1_000);
    assert_eq!(tracker.terminate(STOP).code(), Some(0));

    // Whoever left it in order finds no log, and a disk without room for one.
    disk.fill();
    tracker.start("run");
    wait_until_told(&tracker.http());
    reads_go_on(&mut tracker);
    disk.make_room();
    all_goes_on(&mut tracker, 1_001);
    let checked = tracker.output(&["check"], PATIENCE);
    assert!(String::from_utf8_lossy(&checked.stdout).contains("ok      store"), "{checked:?}");
}

#[test]
fn a_server_alone_is_not_ready_while_every_write_would_fail() {
    let mut tracker = lively_market();
    let Some(disk) = SmallDisk::mount(&tracker.folder().join("data"), 16 * 1024) else { return };
    tracker.start("run");
    tracker.wait_for_bars();
    assert_eq!(tracker.terminate(STOP).code(), Some(0));
    tracker.start("server");
    let http = tracker.http();
    assert!(is_ready(&http));
    disk.fill();
    let mut number = 0;
    wait_for("readiness to tell of the disk", PATIENCE, || {
        let answer = sign_up(&http, number);
        number += 1;
        if answer.status == 201 || answer.status == 429 {
            return None;
        }
        refused_for_room(&answer);
        (!is_ready(&http)).then_some(())
    });
    reads_go_on(&mut tracker);
    // Nobody has to write for it to be found out.
    disk.make_room();
    tracker.wait_until_ready();
    let checked = tracker.output(&["check"], PATIENCE);
    assert!(String::from_utf8_lossy(&checked.stdout).contains("ok      store"), "{checked:?}");
}

#[test]
fn a_limit_on_the_size_of_files_is_like_a_full_disk() {
    let mut tracker = lively_market();
    tracker.start("run");
    tracker.wait_for_bars();
    let http = tracker.http();
    tracker.limit_files(Some(4096));
    wait_until_told(&http);
    reads_go_on(&mut tracker);
    wait_for("a sign-up to be refused", PATIENCE, || {
        let answer = sign_up(&http, 1);
        (answer.status != 201).then(|| refused_for_room(&answer))
    });
    tracker.limit_files(None);
    all_goes_on(&mut tracker, 2);
}

#[test]
fn mails_wait_for_room_in_their_folder_and_do_not_count_as_failed() {
    let mut tracker = Tracker::new();
    tracker.set("email.folder", "mails");
    let Some(disk) = SmallDisk::mount(&tracker.folder().join("mails"), 256) else { return };
    disk.fill();
    tracker.start("run");
    let http = tracker.http();
    assert_eq!(sign_up(&http, 1).status, 201);
    let owed = || -> Value {
        let listed = tracker.output(&["admin", "deliveries", "--state", "pending", "--json"], PATIENCE);
        serde_json::from_slice(&listed.stdout).unwrap_or_default()
    };
    wait_for("an attempt", PATIENCE, || owed().to_string().contains("No space left on device").then_some(()));
    assert_eq!(owed()["items"][0]["state"], "pending");
    disk.make_room();
    wait_for("the mail", PATIENCE, || {
        let mails = fs::read_dir(tracker.folder().join("mails")).expect("the folder");
        mails.flatten().any(|entry| entry.path().extension().is_some_and(|kind| kind == "eml")).then_some(())
    });
}

#[test]
fn an_export_that_finds_no_room_leaves_nothing_behind() {
    let mut tracker = lively_market();
    let Some(disk) = SmallDisk::mount(&tracker.folder().join("out"), 64) else { return };
    tracker.start("run");
    tracker.wait_for_bars();
    assert_eq!(tracker.terminate(STOP).code(), Some(0));
    disk.fill();
    for file in ["out/bars.csv", "out/bars.csv.gz", "out/bars.parquet"] {
        let exported = tracker.output(&["export", file], PATIENCE);
        assert_eq!(exported.status.code(), Some(1), "{exported:?}");
        let said = String::from_utf8_lossy(&exported.stderr);
        assert!(said.contains("No space left on device"), "{said}");
        let left: Vec<_> =
            fs::read_dir(tracker.folder().join("out")).expect("the folder").flatten().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }
}

/// A log that nobody can write to, and a terminal that takes nothing: reasons to be silent, not to end.
#[test]
fn where_output_goes_to_a_full_disk_the_program_runs_on() {
    let mut tracker = Tracker::new();
    tracker.write_output_to("/dev/full");
    tracker.start("run");
    tracker.wait_for_bars();
    let http = tracker.http();
    assert_eq!(sign_up(&http, 1).status, 201);
    wait_for("its mail", PATIENCE, || (!tracker.mails().is_empty()).then_some(()));
    let full = || Stdio::from(File::options().write(true).open("/dev/full").expect("the device"));
    for arguments in [
        &["check"][..],
        &["openapi"],
        &["export", "-", "--format", "csv"],
        &["admin", "subscriptions"],
        &["admin", "deliveries", "--json"],
        &["watchlist"],
        &["completions", "bash"],
        &["man"],
    ] {
        let ended =
            tracker.command(arguments).stdout(full()).stderr(Stdio::piped()).output().expect("it runs");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(
            ended.status.code().is_some_and(|code| code < 100) && !said.contains("panicked"),
            "{arguments:?}: {ended:?}"
        );
    }
    assert_eq!(tracker.terminate(STOP).code(), Some(0));
}
