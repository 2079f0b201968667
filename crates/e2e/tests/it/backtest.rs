//! What a rule would have told, from the command line, over HTTP, of the store and of a file, held to what it
//! did tell of the same bars live.

use crate::recording;
use qqq_e2e::Tracker;
use qqq_testkit::http::Http;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// A whole replay, or a command, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);
const STOP: Duration = Duration::from_secs(20);
const SYMBOLS: [&str; 2] = ["NVDA", "TSLA"];

/// Rules of every kind, and of every way to ask for one, each with the metric it is to look at.
const RULES: [(&str, &str); 14] = [
    ("price", "spike ratio=1.003 window=15m min_bars=10 cooldown=10m"),
    ("volume", "spike ratio=2.5 window=2h min_bars=30 cooldown=0s"),
    ("volume", "spike ratio=2 trigger=edge cooldown=5m"),
    ("price", "zscore z=3 window=45m min_bars=20 direction=down"),
    ("volume", "zscore z=4 window=1h trigger=edge cooldown=1m"),
    ("price", "zscore z=2.5 window=30m cooldown=3h"),
    ("price", "move percent=1 from=15m cooldown=30m"),
    ("price", "move percent=2 from=previous_close direction=up"),
    ("price", "move percent=1.5 from=open trigger=edge"),
    ("price", "cross above=125"),
    ("price", "cross below=398.5 cooldown=0s"),
    ("volume", "cross above=1000000 cooldown=15m"),
    ("volume", "time_of_day ratio=2 sessions=3 min_sessions=2"),
    ("volume", "time_of_day ratio=1.5 sessions=20 min_sessions=1 trigger=edge cooldown=0s"),
];
/// The kinds there are.
const KINDS: [&str; 5] = ["spike", "zscore", "move", "cross", "time_of_day"];

#[test]
fn what_a_replay_tells_live_by_rules_of_every_kind_is_what_a_backtest_of_its_bars_tells() {
    let Some(week) = recording::week() else { return };
    let mut tracker = Tracker::new();
    tracker.set("feed.provider", "replay").set("feed.replay.path", week.display());
    tracker.set("subscriptions.confirm", "false").set("server.trusted_proxies", "127.0.0.1/32");
    // Of the house's, so that everybody may read their alerts; and subscribed to.
    let also: Vec<String> = RULES.iter().map(|(metric, rule)| format!("\"{metric} {rule}\"")).collect();
    tracker.set("rules.also", format!("[{}]", also.join(",")));
    tracker.start("server");
    let http = tracker.http();
    for (index, (metric, rule)) in RULES.iter().enumerate() {
        for symbol in SYMBOLS {
            subscribe(&http, index, symbol, metric, rule);
        }
    }
    run(&tracker, &["worker", "--once"]);
    // What it owed by mail is another matter. The next start reads all alerts there are.
    assert_eq!(tracker.terminate(STOP).code(), Some(0));
    tracker.start("server");

    let mut kinds = Vec::new();
    for (metric, rule) in RULES {
        let mut told = 0;
        for symbol in SYMBOLS {
            let arguments = ["backtest", "--json", "--rule", rule, "--symbol", symbol, "--metric", metric];
            let tested = run(&tracker, &arguments);
            told += holds(&http, &tested, symbol, metric);
            // A file's bars are the same but for the label: nobody played them.
            let of_file = run(&tracker, &[arguments.as_slice(), &[&path(&week)]].concat());
            let label = |feed| format!("\"feed\":\"{feed}\"");
            assert_eq!(of_file.replace(&label("import"), &label("replay")), tested, "{rule}");
            // Of a part of the week, it tells that part: what was before is known, and its cool-downs hold.
            let of_part =
                run(&tracker, &[arguments.as_slice(), &["--from", "2025-01-30T16:10:00Z"]].concat());
            let since = |alert: &String| start(alert).as_str() >= "2025-01-30T16:10:00Z";
            let expected: Vec<String> = items(&tested, "alerts").into_iter().filter(since).collect();
            assert_eq!(items(&of_part, "alerts"), expected, "{symbol} {rule}");
        }
        let kind = rule.split(' ').next().expect("a kind");
        eprintln!("{told} alerts by {metric} {rule}");
        assert!(told > 0, "the week shows nothing of {rule}");
        kinds.push(kind);
    }
    assert!(KINDS.iter().all(|kind| kinds.contains(kind)));

    // The house rule is judged on everything.
    for metric in ["price", "volume"] {
        for symbol in ["AAPL", "MSFT", "AMZN", "TSLA", "META", "GOOG", "NFLX", "NVDA", "PYPL", "ADBE"] {
            let tested = run(&tracker, &["backtest", "--json", "--symbol", symbol, "--metric", metric]);
            holds(&http, &tested, symbol, metric);
        }
    }
}

/// Holds the alerts of a backtest to those that were raised, byte for byte. Answers how many.
#[track_caller]
fn holds(http: &Http, tested: &str, symbol: &str, metric: &str) -> usize {
    let summary: Value = serde_json::from_str(tested).expect("JSON");
    let rule = summary["rule_text"].as_str().expect("a text");
    let mut raised = Vec::new();
    let mut cursor = String::new();
    loop {
        // Small pages: there are to be several.
        let query = format!(
            "rule={}&symbol={symbol}&metric={metric}&limit=20&cursor={cursor}",
            rule.replace(' ', "+")
        );
        let answer = http.get(&format!("/v1/alerts?{query}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        raised.extend(items(&answer.text(), "items"));
        match answer.json()["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    raised.reverse();
    let alerts = items(tested, "alerts");
    assert_eq!(alerts, raised, "{symbol} {metric} {rule}");
    assert_eq!(
        (summary["messages"].as_u64(), &summary["truncated"]),
        (Some(alerts.len() as u64), &json!(false))
    );
    alerts.len()
}

/// The members of a list, each as its text stands.
#[track_caller]
fn items(text: &str, list: &str) -> Vec<String> {
    let members: std::collections::BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(text).expect("an object");
    let items: Vec<Box<RawValue>> = serde_json::from_str(members[list].get()).expect("a list");
    items.iter().map(|item| item.get().to_owned()).collect()
}

/// The minute of an alert.
#[track_caller]
fn start(alert: &str) -> String {
    let alert: Value = serde_json::from_str(alert).expect("JSON");
    alert["start"].as_str().expect("a time").to_owned()
}

/// Each from a network of its own: one alone may not ask for so much.
#[track_caller]
fn subscribe(http: &Http, index: usize, symbol: &str, metric: &str, rule: &str) {
    let body = json!({ "ticker": symbol, "metric": metric, "rule": rule, "channel": "email",
                       "email": format!("reader{index}@example.com") });
    let client = format!("198.51.{index}.7");
    let headers = [("content-type", "application/json"), ("x-forwarded-for", client.as_str())];
    let answer = http.request("POST", "/v1/subscriptions", &headers, body.to_string().as_bytes());
    let answer = answer.expect("an answer");
    assert_eq!(answer.status, 201, "{rule}: {}", answer.text());
    assert_eq!(answer.json()["status"], "active");
}

#[test]
fn the_command_line_and_the_server_answer_alike() {
    let tracker = &mut with_bursts(Tracker::new());
    tracker.start("server");
    let asked = json!({ "symbols": ["MSFT", "AAPL"], "metric": "volume", "rule": "spike ratio=4 cooldown=90m",
                        "from": "2025-01-28T00:00:00Z", "to": "2025-01-30T00:00:00Z" });
    let answer = tracker.http().post_json("/v1/backtests", &asked);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let arguments = [
        "backtest",
        "--json",
        "--rule",
        "spike ratio=4 cooldown=90m",
        "--metric",
        "volume",
        "--symbol",
        "MSFT",
        "--symbol",
        "AAPL",
        "--from",
        "2025-01-28T00:00:00Z",
        "--to",
        "2025-01-30T00:00:00Z",
    ];
    let told = run(tracker, &arguments);
    assert_eq!(told, answer.text() + "\n");
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!((&told["sessions"], &told["symbols"]), (&json!(2), &json!(["MSFT", "AAPL"])));
    assert!(told["messages"].as_u64() > Some(5), "{told}");
    // Days of New York: the evening before is not one of them.
    let days = [&arguments[..10], &["--from", "2025-01-28", "--to", "2025-01-30"]].concat();
    let of_days: Value = serde_json::from_str(&run(tracker, &days)).expect("JSON");
    assert_eq!(of_days["from"], "2025-01-28T05:00:00Z");
}

#[test]
fn what_was_exported_tells_what_the_store_tells_whatever_the_file() {
    let mut tracker = Tracker::new();
    tracker.set("rules.ratio", "1.5").set("rules.cooldown", "5m");
    run(&tracker, &["worker", "--once"]);
    for rule in ["spike", "move percent=0.5", "zscore z=2.5 cooldown=0s"] {
        let test = ["backtest", "--json", "--rule", rule];
        let stored = run(&tracker, &test);
        let told: Value = serde_json::from_str(&stored).expect("JSON");
        assert!(told["messages"].as_u64() > Some(0), "the market shows nothing of {rule}");
        for file in ["bars.csv", "bars.csv.gz", "bars.parquet"] {
            run(&tracker, &["export", file, "--force"]);
            assert_eq!(run(&tracker, &[test.as_slice(), &[file]].concat()), stored, "{file} {rule}");
        }
    }
}

#[test]
fn people_read_a_sentence_the_figures_and_every_alert() {
    let tracker = with_bursts(Tracker::new());
    let arguments = ["backtest", "--symbol", "aapl", "--metric", "volume", "--to", "2025-01-29"];
    let told = run(&tracker, &arguments);
    let mut lines = told.lines();
    let summary = lines.next().expect("a line");
    let figures: Vec<&str> = lines.by_ref().skip(1).take_while(|line| !line.is_empty()).collect();
    let alerts: Vec<&str> = lines.collect();
    assert!(summary.contains(&format!("would have told {} times in 2 sessions", alerts.len())), "{told}");
    let names: Vec<&str> = figures.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(
        names,
        ["rule", "symbols", "metrics", "from", "to", "bars", "messages", "quietest", "loudest"]
    );
    for part in [
        "v1 spike ratio=3 window=60m",
        "AAPL",
        "volume",
        "780 in 2 sessions",
        "bars qualified",
        "2025-01-28 (",
    ] {
        assert!(figures.iter().any(|line| line.contains(part)), "`{part}`: {told}");
    }
    assert!(alerts.len() > 5);
    for alert in alerts {
        assert!(alert.starts_with("2025-01-2") && alert.contains(" EST  AAPL "), "{alert}");
        assert!(alert.contains("AAPL traded 10,000 shares at"), "{alert}");
    }
    // A file is looked at as the store is, whatever the store holds.
    assert_eq!(run(&tracker, &[arguments.as_slice(), &["bursts.csv"]].concat()), told);
}

#[test]
fn what_cannot_be_tested_ends_with_2_and_names_the_field_and_nothing_to_test_with_1() {
    let tracker = Tracker::new();
    for (arguments, parts) in [
        (&["--rule", "spike ratio=0"][..], &["--rule", "ratio", "1.000001"][..]),
        (&["--rule", "spike colour=red"], &["--rule", "colour"]),
        (&["--rule", "jump"], &["--rule", "kind", "zscore"]),
        (&["--rule", "cross above=1 below=2"], &["--rule", "below"]),
        (&["--rule", "move", "--metric", "volume"], &["--rule", "kind", "price"]),
        (&["--rule", "time_of_day", "--metric", "price"], &["--rule", "kind", "volume"]),
        (&["--rule", "spike session=extended"], &["--rule", "session", "not tracked here"]),
        (&["--metric", "colour"], &["--metric", "one of `price`, `volume`"]),
        (&["--symbol", "A B C"], &["--symbol"]),
        (&["--from", "2025-02-30"], &["--from"]),
        (&["--from", "2025-01-29", "--to", "2025-01-29"], &["--from", "before --to"]),
    ] {
        let output = tracker.output(&[&["backtest"], arguments].concat(), PATIENCE);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(
            (output.status.code(), output.stdout.as_slice()),
            (Some(2), &b""[..]),
            "{arguments:?}: {said}"
        );
        assert!(parts.iter().all(|part| said.contains(part)), "{arguments:?}: {said}");
    }
    std::fs::write(tracker.folder().join("empty.csv"), "symbol,start,open,high,low,close,volume\n")
        .expect("a file");
    for arguments in [&[][..], &["empty.csv"], &["missing.csv"]] {
        let output = tracker.output(&[&["backtest"], arguments].concat(), PATIENCE);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    }
}

/// A tracker that holds three days of two symbols, with the same bars in `bursts.csv`, shuffled, and some
/// twice.
fn with_bursts(tracker: Tracker) -> Tracker {
    let mut rows = recording::bursts("AAPL", 3, 40);
    rows.extend(recording::bursts("MSFT", 3, 55));
    let random = &mut fastrand::Rng::with_seed(5);
    let again: Vec<_> = rows.iter().filter(|_| random.f64() < 0.1).cloned().collect();
    rows.extend(again);
    random.shuffle(&mut rows);
    recording::write(&tracker.folder().join("bursts.csv"), &rows);
    run(&tracker, &["import", "bursts.csv"]);
    tracker
}

/// Runs a command that has to succeed, and answers what it said.
#[track_caller]
fn run(tracker: &Tracker, arguments: &[&str]) -> String {
    let output = tracker.output(arguments, PATIENCE);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn path(path: &Path) -> String {
    path.to_str().expect("a text").to_owned()
}
