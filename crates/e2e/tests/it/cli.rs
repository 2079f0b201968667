//! The command line: exit codes, and what is said with them.

use crate::recording::{self, Row};
use qqq_e2e::Tracker;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

/// A command on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn every_command_explains_itself() {
    let tracker = Tracker::new();
    for arguments in [
        &["--help"][..],
        &["help"],
        &["run", "--help"],
        &["worker", "--help"],
        &["server", "--help"],
        &["import", "--help"],
        &["export", "--help"],
        &["backtest", "--help"],
        &["watchlist", "--help"],
        &["watchlist", "show", "--help"],
        &["watchlist", "import", "--help"],
        &["admin", "--help"],
        &["admin", "subscriptions", "--help"],
        &["admin", "disable", "--help"],
        &["admin", "delete", "--help"],
        &["admin", "deliveries", "--help"],
        &["admin", "replay", "--help"],
        &["check", "--help"],
        &["openapi", "--help"],
        &["completions", "--help"],
        &["man", "--help"],
        &["help", "import"],
    ] {
        let said = run(&tracker, arguments, 0);
        assert!(said.out.contains("Usage: qqq-tracker"), "{arguments:?}: {}", said.out);
        assert_eq!(said.err, "", "{arguments:?}");
        let command: Vec<&str> = arguments.iter().copied().filter(|word| !word.contains("help")).collect();
        let usage = format!("qqq-tracker {}", command.join(" "));
        assert!(said.out.contains(usage.trim_end()), "{arguments:?}: {}", said.out);
    }
    assert!(run(&tracker, &["--version"], 0).out.starts_with("qqq-tracker "));
    assert_eq!(left_behind(&tracker), Vec::<String>::new(), "asking for help leaves something behind");
}

#[test]
fn a_command_line_nobody_understands_ends_with_2() {
    let tracker = Tracker::new();
    for (arguments, part) in [
        (&[][..], "Usage"),
        (&["frobnicate"], "frobnicate"),
        (&["run", "--frobnicate"], "--frobnicate"),
        (&["rum"], "run"),
        (&["import"], "<FILE>"),
        (&["run", "--set", "rules.ratio"], "rules.ratio=4"),
        (&["run", "now"], "now"),
    ] {
        let said = run(&tracker, arguments, 2);
        assert!(said.err.contains(part), "{arguments:?} does not say `{part}`: {}", said.err);
        assert_eq!(said.out, "", "{arguments:?}");
    }
}

/// A key, a value it does not take, and what the message says is allowed.
const REFUSED: [(&str, &str, &str); 25] = [
    ("market.interval", "2s", "`1s`, `5s`"),
    ("rules.ratio", "0.5", "above 1"),
    ("rules.ratio", "much", "must be a number"),
    ("rules.window", "13h", "1m to 12h"),
    ("rules.min_bars", "0", "1 to 60"),
    ("rules.min_bars", "many", "whole number"),
    ("rules.cooldown", "soon", "60s"),
    ("rules.max_alert_age", "0s", "1m to 1d"),
    ("market.calendar", "NYSE", "XNYS"),
    ("webhooks.allow_networks", "10.0.0.0/33", "10.0.0.0/8"),
    ("webhooks.timeout", "2m", "1s to 1m"),
    ("market.extended_hours", "maybe", "true"),
    ("watchlist.symbols", "A B C", "symbol"),
    ("feed.provider", "bloomberg", "alpaca"),
    ("feed.poll_interval", "1s", "10s to 1h"),
    ("feed.backfill", "46d", "1h to 45d"),
    ("feed.alpaca.requests_per_minute", "0", "1 to 100000"),
    ("feed.sim.speed", "0x", "1x to"),
    ("feed.sim.sessions", "22", "1 to 21"),
    ("feed.sim.start", "yesterday", "2025-01-27T15:00:00Z"),
    ("server.listen", "here", "server.listen"),
    ("server.public_url", "example.com", "https://"),
    ("server.operators", "nobody", "name@example.com"),
    ("store.bars_retention", "47h", "2d"),
    ("email.from", "nobody", "alerts@example.com"),
];

#[test]
fn a_value_that_is_not_allowed_ends_with_2_and_names_key_value_and_what_is() {
    for (key, value, allowed) in REFUSED {
        let tracker = Tracker::new();
        let setting = format!("{key}={value}");
        let said = run(&tracker, &["run", "--set", &setting], 2);
        for part in [key, value, allowed] {
            assert!(said.err.contains(part), "{setting} does not say `{part}`: {}", said.err);
        }
        assert!(said.err.starts_with("qqq-tracker: "), "{}", said.err);
        assert_eq!(said.err.lines().count(), 1, "one line: {}", said.err);
    }
    // By the environment, and by the file, it is the same.
    let (key, value, allowed) = REFUSED[3];
    let mut tracker = Tracker::new();
    tracker.set(key, value);
    let by_environment = run(&tracker, &["run"], 2).err;
    let tracker = Tracker::new();
    fs::write(tracker.folder().join("qqq-tracker.toml"), "[rules]\nwindow = \"13h\"\n").expect("a file");
    let by_file = run(&tracker, &["run"], 2).err;
    for said in [by_environment, by_file] {
        assert!([key, value, allowed].iter().all(|part| said.contains(part)), "{said}");
    }
}

#[test]
fn a_key_nobody_knows_ends_with_2_and_names_the_nearest() {
    for (wrong, nearest) in [
        ("rules.cooldwn", "rules.cooldown"),
        ("feed.providr", "feed.provider"),
        ("email.smtp", "email.smtp_url"),
        ("server.lissen", "server.listen"),
    ] {
        let said = run(&Tracker::new(), &["check", "--set", &format!("{wrong}=1")], 2).err;
        assert!(said.contains(&format!("`{wrong}`")) && said.contains(&format!("`{nearest}`")), "{said}");

        let mut tracker = Tracker::new();
        tracker.set(wrong, 1);
        let said = run(&tracker, &["check"], 2).err;
        let name = format!("QQQ_TRACKER__{}", wrong.to_uppercase().replace('.', "__"));
        assert!(said.contains(&name) && said.contains(&format!("`{nearest}`")), "{said}");

        let (table, key) = wrong.split_once('.').expect("two words");
        let tracker = Tracker::new();
        let path = tracker.folder().join("own.toml");
        fs::write(&path, format!("[{table}]\n{key} = 1\n")).expect("a file");
        let said = run(&tracker, &["check", "--config", "own.toml"], 2).err;
        assert!(said.contains("own.toml") && said.contains(&format!("`{nearest}`")), "{said}");
    }
    let said = run(&Tracker::new(), &["run", "--config", "nowhere.toml"], 2).err;
    assert!(said.contains("nowhere.toml"), "{said}");
}

#[test]
fn a_mail_address_of_a_server_that_makes_no_sense_is_refused_without_its_password() {
    for url in ["smtp://ops:hunter2@", "http://ops:hunter2@host", "smtp://ops:hunter2@host?tls=perhaps"] {
        let mut tracker = Tracker::new();
        tracker.set("email.smtp_url", url);
        let said = run(&tracker, &["run"], 2);
        assert!(said.err.contains("email.smtp_url") && said.err.contains("smtps://"), "{}", said.err);
        assert!(!said.err.contains("hunter2") && !said.out.contains("hunter2"), "{}", said.err);
    }
}

#[test]
fn an_import_tells_what_became_of_every_row_and_can_be_repeated() {
    let tracker = Tracker::new();
    let row = |minute: u32, volume| Row { symbol: "AAPL", minute, price: 230_000_000_000, volume };
    // Monday 14:30 UTC is 09:30 in New York.
    let rows: Vec<Row> = (0..100).map(|minute| row(14 * 60 + 30 + minute, 500)).collect();
    let file = tracker.folder().join("bars.csv");
    recording::write(&file, &rows);
    let import = |file: &str| run(&tracker, &["import", file, "--feed", "iex"], 0);
    let said = import("bars.csv");
    assert!(said.out.contains("100 rows read: 100 new, 0 revised, 0 unchanged, 0 rejected"), "{}", said.out);
    let said = import("bars.csv");
    assert!(said.out.contains("100 rows read: 0 new, 0 revised, 100 unchanged, 0 rejected"), "{}", said.out);

    let mut more = rows.clone();
    more[7].volume = 501;
    more.truncate(20);
    more.extend([row(16 * 60 + 20, 9), row(12 * 60, 9), Row { symbol: "ZZZZ", ..row(15 * 60, 9) }]);
    recording::write(&file, &more);
    let mut text = fs::read_to_string(&file).expect("the file");
    text += "AAPL,2025-01-27T15:00:30Z,1,1,1,1,1\nAAPL,2025-01-27T15:00:00Z,1,1,1,-1,1\nAAPL,soon\n";
    text += "META,2025-01-27T15:00:00Z,600.1,600.1,600.1,600.1,3\n";
    // Meta Platforms' no longer.
    text += "FB,2025-01-27T15:01:00Z,40.1,40.1,40.1,40.1,3\n";
    fs::write(&file, text).expect("the file");
    let said = run(&tracker, &["import", "bars.csv", "--feed", "iex", "--rejects", "rejects.txt"], 0);
    assert!(said.out.contains("28 rows read: 2 new, 1 revised, 19 unchanged, 4 rejected"), "{}", said.out);
    assert!(said.out.contains("1 rows lie outside the hours that count"), "{}", said.out);
    assert!(said.out.contains("not on the watchlist (watchlist.symbols): ZZZZ 1\n"), "{}", said.out);
    let rejects = fs::read_to_string(tracker.folder().join("rejects.txt")).expect("the rejects");
    // Behind the header and 23 good rows.
    for (line, reason) in
        [(25, "column start"), (26, "column close"), (27, "2 fields"), (29, "FB was no longer META")]
    {
        for told in [&said.out, &rejects] {
            let found = told.lines().find(|told| told.contains(&format!("bars.csv:line {line}:")));
            assert!(found.is_some_and(|found| found.contains(reason)), "line {line}, {reason}: {told}");
        }
    }
    assert_eq!(rejects.lines().count(), 4);

    // What is imported is read.
    let mut tracker = tracker;
    tracker.start("server");
    let http = tracker.http();
    assert_eq!(http.get("/META/price").json()["prices"], json!([600.1]));
    let volumes = http.get("/AAPL/volume").json();
    assert_eq!(volumes["volume"].as_array().map(Vec::len), Some(101), "{volumes}");
    assert_eq!((&volumes["volume"][7], &volumes["volume"][100]), (&json!(501), &json!(9)));
}

#[test]
fn a_real_week_is_imported_gzipped_and_again_changes_nothing() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/week_2025-01-27_ten.csv.gz");
    if !file.is_file() {
        eprintln!("SKIPPED: no recorded week at {}", file.display());
        return;
    }
    let mut tracker = Tracker::new();
    tracker.set("market.calendar", "always");
    let import = || run(&tracker, &["import", file.to_str().expect("a path")], 0).out;
    let said = import();
    assert!(said.contains("33,837 rows read: 33,837 new, 0 revised, 0 unchanged, 0 rejected"), "{said}");
    let said = import();
    assert!(said.contains("33,837 rows read: 0 new, 0 revised, 33,837 unchanged, 0 rejected"), "{said}");
}

#[test]
fn an_import_that_cannot_be_done_ends_with_1_and_says_why() {
    let tracker = Tracker::new();
    fs::write(tracker.folder().join("other.csv"), "name,age\nAda,36\n").expect("a file");
    let said = run(&tracker, &["import", "nowhere.csv"], 1).err;
    assert!(said.contains("nowhere.csv"), "{said}");
    let said = run(&tracker, &["import", "other.csv"], 1).err;
    assert!(said.contains("other.csv") && said.contains("symbol,start,open,high,low,close,volume"), "{said}");
    // What came to nothing is in nobody's way, and a running worker would not notice what an import puts
    // beside it.
    let mut tracker = tracker;
    recording::write(&tracker.folder().join("bars.csv"), &recording::bursts("AAPL", 1, 7));
    tracker.start("run");
    let said = run(&tracker, &["import", "bars.csv"], 1).err;
    assert!(said.contains("worker") && said.contains("qqq-tracker.db"), "{said}");
    assert_eq!(tracker.http().get("/healthz").status, 200);
}

#[test]
fn check_says_what_works_and_what_does_not() {
    let mut tracker = Tracker::new();
    let said = run(&tracker, &["check"], 0).out;
    for name in ["settings", "calendar", "store", "feed", "mail"] {
        assert!(said.lines().any(|line| line.starts_with("ok ") && line.contains(name)), "{name}: {said}");
    }
    assert!(!said.contains("FAILED"), "{said}");
    assert!(said.contains("no configuration file, ") && said.contains("not the market"), "{said}");

    // Nobody listens on the discard port.
    tracker.set("email.smtp_url", "smtp://ops:hunter2@127.0.0.1:9?tls=required");
    let said = run(&tracker, &["check"], 1);
    let failed: Vec<&str> = said.out.lines().filter(|line| line.starts_with("FAILED")).collect();
    assert!(
        failed.len() == 1 && failed[0].contains("mail") && failed[0].contains("127.0.0.1:9"),
        "{failed:?}"
    );
    assert!(failed[0].contains("Remedy: ") && failed[0].contains("email.smtp_url"), "{failed:?}");
    assert!(!said.out.contains("hunter2") && !said.err.contains("hunter2"), "{}", said.out);

    let mut tracker = Tracker::new();
    tracker.set("server.frame_ancestors", "https://a.example,http://b.example");
    let said = run(&tracker, &["check"], 0).out;
    assert!(said.contains("pages of https://a.example, http://b.example"), "{said}");
    tracker.set("server.public_url", "http://board.example");
    let said = run(&tracker, &["check"], 1).out;
    let failed = said.lines().find(|line| line.starts_with("FAILED  frames")).expect("browsers would refuse");
    assert!(failed.contains("https://a.example") && failed.contains("server.public_url"), "{failed}");

    let mut tracker = Tracker::new();
    tracker.set("feed.provider", "replay").set("feed.replay.path", "nowhere.csv");
    let said = run(&tracker, &["check"], 1).out;
    let failed: Vec<&str> = said.lines().filter(|line| line.starts_with("FAILED")).collect();
    assert!(
        failed.len() == 1 && failed[0].contains("feed") && failed[0].contains("nowhere.csv"),
        "{failed:?}"
    );
    assert!(failed[0].contains("Remedy: ") && failed[0].contains("feed.replay.path"), "{failed:?}");

    let mut tracker = Tracker::new();
    fs::write(tracker.folder().join("file"), "").expect("a file");
    tracker.set("store.url", "sqlite://file/qqq-tracker.db");
    let said = run(&tracker, &["check"], 1).out;
    let failed = said.lines().find(|line| line.starts_with("FAILED") && line.contains("store"));
    assert!(failed.is_some_and(|line| line.contains("Remedy: ") && line.contains("store.url")), "{said}");
}

#[test]
fn a_worker_for_one_round_plays_a_recording_delivers_and_ends() {
    let mut tracker = Tracker::new();
    let rows = recording::bursts("META", 1, 50);
    let half = rows.len() / 2;
    let file = tracker.folder().join("bursts.csv");
    tracker.set("feed.provider", "replay").set("feed.replay.path", file.display());
    tracker.set("market.calendar", "always").set("subscriptions.confirm", false);
    recording::write(&file, &rows[..half]);
    run(&tracker, &["worker", "--once"], 0);
    tracker.start("server");
    let body = json!({ "email": "once@example.com", "metric": "volume", "ticker": "META" });
    let answer = tracker.http().post_json("/subscribe", &body);
    assert_eq!((answer.status, &answer.json()["status"]), (201, &json!("active")));
    assert_eq!(tracker.terminate(PATIENCE).code(), Some(0));

    // The second half is news, and mailed by the time the process has ended; a third round has nothing to do.
    recording::write(&file, &rows);
    for _ in 0..2 {
        run(&tracker, &["worker", "--once"], 0);
        let mails = tracker.mails();
        let alerts = mails.iter().filter(|mail| mail.subject().starts_with("META volume ")).count();
        assert!(mails.iter().all(|mail| mail.to() == "once@example.com"));
        // 600 minutes; one burst in 50, silent for 60: from minute 300 on, every second of six.
        assert_eq!(alerts, 3, "{:?}", mails.iter().map(qqq_testkit::Mail::subject).collect::<Vec<_>>());
    }
}

#[test]
fn a_worker_for_one_round_simulates_for_a_moment_and_ends() {
    let mut tracker = Tracker::new();
    run(&tracker, &["worker", "--once"], 0);
    tracker.start("server");
    let symbols = tracker.http().get("/v1/symbols").json();
    let items = symbols["items"].as_array().expect("a list");
    assert_eq!(items.len(), 10);
    assert!(items.iter().all(|item| item["feed"] == "simulated" && !item["bar"].is_null()), "{symbols}");
}

/// What a command said.
struct Said {
    out: String,
    err: String,
}

/// Runs a command to its end and holds it to its exit code.
#[track_caller]
fn run(tracker: &Tracker, arguments: &[&str], code: i32) -> Said {
    let Output { status, stdout, stderr } = tracker.output(arguments, PATIENCE);
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let said = Said { out: text(stdout), err: text(stderr) };
    assert_eq!(status.code(), Some(code), "{arguments:?}\n{}{}", said.out, said.err);
    said
}

/// What lies in the folder besides the harness's own.
fn left_behind(tracker: &Tracker) -> Vec<String> {
    let entries = fs::read_dir(tracker.folder()).expect("the folder");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}
