//! The watchlist from a fund's holdings, and what the command line tells of itself.

use qqq_e2e::Tracker;
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

/// A command on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a command to its end, holds it to its exit code, and answers its output and its error output.
#[track_caller]
fn run(tracker: &Tracker, arguments: &[&str], code: i32) -> (String, String) {
    let output = tracker.output(arguments, PATIENCE);
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{out}{err}");
    (out, err)
}

const CSV: &str = "\
    Fund Ticker,Security Identifier,Holding Ticker,Shares/Par Value,MarketValue,Weight,\
        Name,Class of Shares,Sector,Date\n\
    QQQ,1,\"AAPL    \",\"43,210,987\",\"9,876,543,210.12\",8.5,\
        Apple Inc,Common Stock,Information Technology,09/12/2026\n\
    QQQ,2,NVDA,1,1,9.1,NVIDIA Corp,Common Stock,Information Technology,09/12/2026\n\
    QQQ,3,GOOG,1,1,3.5,Alphabet Inc,Common Stock,Communication Services,09/12/2026\n\
    QQQ,4,GOOGL,1,1,3.5,Alphabet Inc,Common Stock,Communication Services,09/12/2026\n\
    QQQ,5,BRK/B,1,1,3.6,Berkshire Hathaway Inc,Common Stock,Financials,09/12/2026\n\
    QQQ,6,--,1,1,4.0,US Dollars,Cash,,09/12/2026\n";

#[test]
fn the_largest_holdings_become_the_watchlist() {
    let tracker = Tracker::new();
    fs::write(tracker.folder().join("qqq.csv"), CSV).expect("a file");
    let (out, err) = run(&tracker, &["watchlist", "import", "qqq.csv", "--top", "4"], 0);
    assert_eq!(out, "[watchlist]\nsymbols = [\"NVDA\", \"AAPL\", \"BRK.B\", \"GOOG\"]\n");
    for part in ["2026-09-12", "the largest 4 of 5", "GOOGL weighs as much", "US Dollars", "Cash"] {
        assert!(err.contains(part), "`{part}`: {err}");
    }
    // What it prints is a configuration.
    fs::write(tracker.folder().join("qqq-tracker.toml"), out).expect("a file");
    let (out, _) = run(&tracker, &["watchlist", "show", "--json"], 0);
    let shown: Value = serde_json::from_str(&out).expect("JSON");
    let symbols: Vec<&Value> =
        shown["items"].as_array().expect("items").iter().map(|item| &item["symbol"]).collect();
    assert_eq!(symbols, ["NVDA", "AAPL", "BRK.B", "GOOG"]);
    assert!(shown["items"].as_array().expect("items").iter().all(|item| item["from"] == "qqq-tracker.toml"));

    let own = "# mine\n[watchlist] # these\nsymbols = ['A'] # one\naliases = { FB = 'META' }\n\n\
        [log]\nfilter = 'warn'\n";
    fs::write(tracker.folder().join("own.toml"), own).expect("a file");
    let import = ["watchlist", "import", "qqq.csv", "--top", "2", "--write", "--config", "own.toml"];
    let (out, err) = run(&tracker, &import, 0);
    assert!(out.contains("2 symbols written to own.toml") && !err.contains("wins"), "{out}{err}");
    let written = fs::read_to_string(tracker.folder().join("own.toml")).expect("it");
    assert_eq!(written, own.replace("['A']", "[\"NVDA\", \"AAPL\"]"));

    // Where something else has the last word, that is said.
    let mut tracker = tracker;
    tracker.set("watchlist.symbols", "MSFT");
    let (_, err) = run(&tracker, &import, 0);
    assert!(err.contains("QQQ_TRACKER__WATCHLIST__SYMBOLS") && err.contains("wins"), "{err}");
}

#[test]
fn the_json_form_is_taken_too_and_a_first_configuration_is_made() {
    let tracker = Tracker::new();
    let line = |ticker: Value, weight: f64, code: &str| {
        json!({
            "ticker": ticker, "issuerName": "Somebody",
            "percentageOfTotalNetAssets": weight, "securityTypeCode": code
        })
    };
    let file = json!({ "effectiveDate": "2026-09-23", "holdings": [
        line(json!("AAPL"), 7.05, "COM"), line(json!("NQZ6"), 9.9, "IFUT"), line(Value::Null, 9.8, "CASH"),
        line(json!("NVDA"), 8.22, "COM"), line(json!("ASML"), 0.68, "DRNY"),
    ]});
    fs::write(tracker.folder().join("qqq.json"), file.to_string()).expect("a file");
    run(&tracker, &["watchlist", "import", "qqq.json", "--write"], 0);
    let written = fs::read_to_string(tracker.folder().join("qqq-tracker.toml")).expect("it");
    assert_eq!(written, "[watchlist]\nsymbols = [\"NVDA\", \"AAPL\", \"ASML\"]\n");
}

#[test]
fn a_file_without_holdings_ends_with_1_and_a_number_that_is_none_with_2() {
    let tracker = Tracker::new();
    fs::write(tracker.folder().join("other.csv"), "symbol,start\nAAPL,1\n").expect("a file");
    let (_, err) = run(&tracker, &["watchlist", "import", "other.csv"], 1);
    assert!(err.contains("other.csv") && err.contains("Holding Ticker"), "{err}");
    fs::write(tracker.folder().join("cash.csv"), "Holding Ticker,Weight\n--,100\n").expect("a file");
    let (_, err) = run(&tracker, &["watchlist", "import", "cash.csv"], 1);
    assert!(err.contains("none of its 1 lines can be tracked"), "{err}");
    let (_, err) = run(&tracker, &["watchlist", "import", "cash.csv", "--top", "0"], 2);
    assert!(err.contains("1 to 20000"), "{err}");
}

#[test]
fn the_watchlist_tells_names_former_names_and_where_each_was_set() {
    let mut tracker = Tracker::new();
    let (out, _) = run(&tracker, &["watchlist", "show"], 0);
    let meta = out.lines().find(|line| line.starts_with("META")).expect("a line");
    assert!(
        meta.contains("Meta Platforms") && meta.contains("FB until 2022-06-09") && meta.contains("built in"),
        "{meta}"
    );
    fs::write(
        tracker.folder().join("qqq-tracker.toml"),
        "[watchlist]\naliases = { TWTR = \"X\", SQ = { symbol = \"XYZ\", until = \"2025-01-21\" } }\n",
    )
    .expect("a file");
    tracker.set("watchlist.symbols", "X,META,FB,xyz,brk-b,BRK/B,BRK B");
    let (out, _) = run(&tracker, &["watchlist", "show", "--json"], 0);
    let shown: Value = serde_json::from_str(&out).expect("JSON");
    let from = "the environment (QQQ_TRACKER__WATCHLIST__SYMBOLS)";
    assert_eq!(
        shown,
        json!({ "items": [
            { "symbol": "X", "name": null, "from": from,
              "former_symbols": [{ "symbol": "TWTR", "until": null, "from": "qqq-tracker.toml" }] },
            { "symbol": "META", "name": "Meta Platforms", "from": from,
              "former_symbols": [{ "symbol": "FB", "until": "2022-06-09", "from": "built in" }] },
            { "symbol": "FB", "name": null, "from": from, "former_symbols": [] },
            { "symbol": "XYZ", "name": null, "from": from,
              "former_symbols": [{ "symbol": "SQ", "until": "2025-01-21", "from": "qqq-tracker.toml" }] },
            { "symbol": "BRK.B", "name": "Berkshire Hathaway (class B)", "from": from, "former_symbols": [] },
        ]})
    );
}

#[test]
fn completions_and_manual_know_every_command_whatever_the_settings() {
    let tracker = Tracker::new();
    // A configuration that nothing else would start with.
    fs::write(tracker.folder().join("qqq-tracker.toml"), "[nonsense").expect("a file");
    let commands = [
        "run",
        "worker",
        "server",
        "import",
        "export",
        "backtest",
        "watchlist",
        "admin",
        "check",
        "openapi",
        "completions",
        "man",
    ];
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (script, _) = run(&tracker, &["completions", shell], 0);
        for word in commands.iter().chain(&["--rejects", "--top", "--metric", "deliveries"]) {
            let word = if shell == "fish" { word.trim_start_matches('-') } else { word };
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    run(&tracker, &["completions", "tcsh"], 2);
    run(&tracker, &["man", "--dir", "man"], 0);
    for command in commands {
        let (page, _) = run(&tracker, &["man", command], 0);
        assert!(page.contains(".TH qqq-tracker-") && page.contains(".SH SYNOPSIS"), "{command}: {page}");
        assert!(tracker.folder().join(format!("man/qqq-tracker-{command}.1")).is_file(), "{command}");
    }
    let (page, _) = run(&tracker, &["man"], 0);
    assert!(commands.iter().all(|command| page.contains(&format!("qqq\\-tracker\\-{command}"))), "{page}");
    let (page, _) = run(&tracker, &["man", "watchlist", "import"], 0);
    assert!(page.contains("\\-\\-top"), "{page}");
    let (page, _) = run(&tracker, &["man", "admin", "replay"], 0);
    assert!(page.contains("never sent again"), "{page}");
    let (page, _) = run(&tracker, &["man", "backtest"], 0);
    assert!(page.contains("Examples:") && page.contains("previous_close"), "{page}");
    let (_, err) = run(&tracker, &["man", "nothing"], 2);
    assert!(err.contains("`nothing` is not a command") && err.contains("watchlist"), "{err}");
}
