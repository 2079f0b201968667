//! What is tracked beside price and volume: everywhere, and as easily as once more.

use qqq_e2e::Tracker;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A tracker of two symbols with the bars of a session, which tracks these metrics.
fn tracking(metrics: &str, program: Option<&Path>) -> Tracker {
    let mut tracker = Tracker::new();
    if let Some(program) = program {
        tracker.of_program(program);
    }
    tracker.set("market.metrics", metrics).set("watchlist.symbols", "AAPL,NVDA");
    tracker.start("run");
    tracker.wait_for_bars();
    tracker
}

/// What the newest bars of AAPL say that a metric is, by their newest: of as many as there are in both.
fn assert_told(tracker: &Tracker, metric: &str, value: impl Fn(&Value, Option<&Value>) -> f64) {
    let bars = tracker.http().get("/v1/symbols/AAPL/bars?limit=1000").json();
    let bars = bars["items"].as_array().unwrap().clone();
    let newest = bars.last().unwrap()["start"].clone();
    let told = tracker.http().get(&format!("/AAPL/{metric}")).json();
    let told: Vec<f64> = told[metric].as_array().unwrap().iter().map(|one| one.as_f64().unwrap()).collect();
    let expected: Vec<f64> = bars
        .iter()
        .enumerate()
        .skip(1)
        .map(|(at, bar)| value(bar, at.checked_sub(1).map(|at| &bars[at])))
        .collect();
    assert!(expected.len() > 30, "{newest}");
    // Meanwhile another bar may have come.
    let end = (0..3).find(|more| {
        let told = &told[..told.len() - more];
        let of_both = told.len().min(expected.len());
        let (told, expected) = (&told[told.len() - of_both..], &expected[expected.len() - of_both..]);
        of_both > 30
            && told.iter().zip(expected).all(|(one, other)| (one - other).abs() <= 1e-9 * one.abs().max(1.0))
    });
    assert!(end.is_some(), "{metric}: {told:?} for {expected:?}");
}

fn number(bar: &Value, name: &str) -> f64 {
    bar[name].as_f64().unwrap_or_else(|| panic!("{name} of {bar}"))
}

#[test]
fn every_metric_has_figures_a_ranking_rules_and_backtests() {
    let tracker = tracking("price,volume,trades,notional,range,return", None);
    let http = tracker.http();
    let told = http.get("/v1/status").json()["metrics"].clone();
    let names: Vec<&str> =
        told.as_array().unwrap().iter().map(|one| one["metric"].as_str().unwrap()).collect();
    assert_eq!(names, ["price", "volume", "trades", "notional", "range", "return"]);
    assert_eq!(told[3], json!({"metric": "notional", "title": "Notional", "unit": "dollars"}));

    assert_told(&tracker, "trades", |bar, _| number(bar, "trades"));
    assert_told(&tracker, "notional", |bar, _| number(bar, "volume") * number(bar, "vwap"));
    assert_told(&tracker, "range", |bar, _| number(bar, "high") - number(bar, "low"));
    assert_told(&tracker, "return", |bar, before| {
        (number(bar, "close") - number(before.unwrap(), "close")).abs()
    });

    let symbol = http.get("/v1/symbols/AAPL").json();
    let rules = http.get("/v1/rules").json();
    for metric in &names {
        let figures = &symbol["statistics"][metric];
        for figure in ["stdev", "relative_stdev", "trailing_average", "ratio"] {
            assert!(figures[figure].is_number(), "{metric}: {figures}");
        }
        let ranked = http.get(&format!("/v1/rankings?metric={metric}&by=stdev")).json();
        assert!(ranked["items"][0]["value"].is_number(), "{ranked}");
        let legacy = http.get(&format!("/AAPL/{metric}")).json();
        let first = ranked["items"][0]["symbol"].clone();
        assert_eq!(legacy["rankings"][0], first, "{metric}");
        for kind in rules["items"].as_array().unwrap() {
            let goes = kind["metrics"].as_array().unwrap().contains(&json!(metric));
            let mut rule = kind["kind"].as_str().unwrap().to_owned();
            if rule == "cross" {
                rule += " above=1";
            }
            let asked = json!({"symbol": "AAPL", "metric": metric, "rule": rule});
            let answer = http.post_json("/v1/backtests", &asked);
            assert_eq!(answer.status == 200, goes, "{rule} of {metric}: {}", answer.text());
            assert!(goes || answer.text().contains("metric"), "{}", answer.text());
        }
    }
    let asked = json!({"symbol": "AAPL", "metric": "return", "rule": "spike ratio=1.5 cooldown=0s"});
    let told = http.post_json("/v1/backtests", &asked).json();
    let alert = &told["alerts"][0];
    assert!(alert["text"].as_str().unwrap().starts_with("AAPL moved by $"), "{alert}");
}

#[test]
fn what_is_not_tracked_is_refused_with_what_is() {
    let tracker = tracking("price,volume", None);
    let http = tracker.http();
    let allowed = "`price` or `volume`";
    for path in ["/AAPL/trades", "/v1/rankings?metric=trades", "/v1/alerts?metric=notional"] {
        let answer = http.get(path);
        assert_eq!(
            (answer.status, answer.text().contains(allowed)),
            (400, true),
            "{path}: {}",
            answer.text()
        );
    }
    let asked = json!({"email": "ada@example.com", "metric": "return", "ticker": "AAPL"});
    let answer = http.post_json("/subscribe", &asked);
    assert_eq!((answer.status, answer.text().contains(allowed)), (422, true), "{}", answer.text());
    let described = http.get("/openapi.json").json();
    assert_eq!(described["components"]["schemas"]["Metric"]["enum"], json!(["price", "volume"]));
}

/// What a bar's own prices span, in a copy of the sources: an entry of the table, and a line of words.
#[test]
fn one_more_metric_is_an_entry_and_a_line() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let copy = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("one-more-metric");
    copy_sources(&workspace, &copy);
    let amend = |file: &str, before: &str, more: &str| {
        let path = copy.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches(before).count(), 1, "{file}: {before}");
        fs::write(&path, text.replace(before, &format!("{more}{before}"))).unwrap();
    };
    amend(
        "crates/core/src/market/metric.rs",
        "    /// Absolute change of the close from the bar before,",
        "    /// How far the close is from the open.\n    Body, Unit::Dollars, \
         Reading::Level(|bar| Some(bar.close.nanos().abs_diff(bar.open.nanos()).into()));\n",
    );
    amend(
        "crates/contract/src/metric.rs",
        "        Metric::Return => ",
        "        Metric::Body => told(\"Body\", \"body\", \"closed off its open by\"),\n",
    );
    // Built beside the program that the other tests run: under a version of its own, by which cargo tells the
    // crates apart, and a name of its own. What both need from elsewhere is built once.
    let manifest = fs::read_to_string(copy.join("Cargo.toml")).unwrap();
    let versioned = manifest.replacen("\nversion = \"", "\nversion = \"1", 1);
    assert_ne!(manifest, versioned);
    fs::write(copy.join("Cargo.toml"), versioned).unwrap();
    amend(
        "crates/tracker/Cargo.toml",
        "[dependencies]",
        "[[bin]]\nname = \"one-more-metric\"\npath = \"src/main.rs\"\n\n",
    );
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--offline", "--package", "qqq-tracker", "--bin", "one-more-metric"])
        .current_dir(&copy)
        .env("CARGO_TARGET_DIR", profile.parent().unwrap())
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));

    let program = profile.join("one-more-metric");
    let tracker = tracking("price,volume,body", Some(&program));
    let http = tracker.http();
    let status = http.get("/v1/status").json();
    assert_eq!(status["metrics"][2], json!({"metric": "body", "title": "Body", "unit": "dollars"}));
    assert_told(&tracker, "body", |bar, _| (number(bar, "close") - number(bar, "open")).abs());
    assert!(http.get("/v1/symbols/AAPL").json()["statistics"]["body"]["ratio"].is_number());
    assert!(http.get("/v1/rankings?metric=body").json()["items"][0]["value"].is_number());
    let asked = json!({"symbol": "AAPL", "metric": "body", "rule": "spike ratio=1.5 cooldown=0s"});
    let told = http.post_json("/v1/backtests", &asked).json();
    let said = told["alerts"][0]["text"].as_str().unwrap();
    assert!(said.starts_with("AAPL closed off its open by $"), "{said}");
}

/// Copies what cargo builds the program of. A file that is as it was stays, so that it is not built again.
fn copy_sources(workspace: &Path, to: &Path) {
    for part in ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "crates", "bench", "dashboard/dist"] {
        copy_all(&workspace.join(part), &to.join(part));
    }
}

fn copy_all(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy_all(&entry.path(), &to.join(entry.file_name()));
        }
    } else if fs::read(from).ok() != fs::read(to).ok() {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
    }
}
