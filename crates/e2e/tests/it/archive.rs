//! An archive: what another program reads in it, and that nobody misses what the store has dropped.

use crate::files::{PATIENCE, content, done};
use qqq_e2e::Tracker;
use qqq_testkit::http::Http;
use qqq_testkit::{python, wait_until};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

const STOP: Duration = Duration::from_secs(20);
const SYMBOLS: [&str; 3] = ["AAPL", "MSFT", "NVDA"];
/// Monday to Friday, when it is still open at the recording's end.
const DAYS: [&str; 5] = ["2025-01-27", "2025-01-28", "2025-01-29", "2025-01-30", "2025-01-31"];
const HEADER: &str = "symbol,start,open,high,low,close,volume,vwap,trades,feed\n";

/// A week: prices with nine decimals, minutes without a bar, cells without a value.
fn recording() -> String {
    let random = &mut fastrand::Rng::with_seed(12);
    let mut text = HEADER.to_owned();
    for day in DAYS {
        let open: jiff::Timestamp = format!("{day}T14:30:00Z").parse().expect("a time");
        for minute in 0..390 {
            let start = open + jiff::SignedDuration::from_mins(minute);
            for symbol in SYMBOLS {
                if random.u8(..) < 16 {
                    continue;
                }
                let cents = 10_000 + random.u32(..200);
                let price = |random: &mut fastrand::Rng| {
                    format!("{}.{:09}", cents / 100, random.u32(..1_000_000_000))
                };
                let (open, close) = (price(random), price(random));
                let (low, high) = (cents / 100 - 1, cents / 100 + 2);
                let volume = random.u32(..1_000) * if random.u8(..) < 4 { 40 } else { 1 };
                let vwap = if random.bool() { price(random) } else { String::new() };
                let trades = if random.bool() { random.u32(..).to_string() } else { String::new() };
                let _ = writeln!(
                    text,
                    "{symbol},{start},{open},{high},{low},{close},{volume},{vwap},{trades},replay"
                );
            }
        }
    }
    text
}

/// A tracker that has played the week.
fn played(settings: &[(&str, &str)]) -> Tracker {
    let mut tracker = Tracker::new();
    fs::write(tracker.folder().join("week.csv"), recording()).expect("a file");
    tracker.set("feed.provider", "replay").set("feed.replay.path", "week.csv");
    tracker.set("watchlist.symbols", SYMBOLS.join(","));
    for (key, value) in settings {
        tracker.set(key, value);
    }
    tracker.spawn(&["worker", "--once"]);
    assert!(tracker.wait(PATIENCE).success());
    tracker
}

/// What readers are told: backtests from the command line and over HTTP, and bars of several lengths.
fn told(tracker: &mut Tracker) -> Vec<String> {
    let mut told = Vec::new();
    for rule in ["spike ratio=3 window=30m min_bars=10 cooldown=10m", "zscore z=3 window=2h"] {
        told.push(done(tracker, &["backtest", "--json", "--rule", rule]));
    }
    tracker.start("server");
    let http = tracker.http();
    for symbol in SYMBOLS {
        for interval in ["1m", "5m", "1d"] {
            told.extend(pages(
                &http,
                &format!("/v1/symbols/{symbol}/bars?from=2025-01-27&to=2025-02-01&interval={interval}"),
            ));
        }
    }
    let query = br#"{"from": "2025-01-27", "to": "2025-02-01T00:00:00Z"}"#;
    let reply = http.request("POST", "/v1/backtests", &[("content-type", "application/json")], query);
    let reply = reply.expect("an answer");
    assert_eq!(reply.status, 200, "{}", reply.text());
    told.push(reply.text());
    assert_eq!(tracker.terminate(STOP).code(), Some(0));
    told
}

fn pages(http: &Http, path: &str) -> Vec<String> {
    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        let reply = http.get(&format!("{path}&cursor={cursor}"));
        assert_eq!(reply.status, 200, "{}", reply.text());
        pages.push(reply.text());
        let page = reply.json();
        let Some(next) = page["next_cursor"].as_str() else { return pages };
        next.clone_into(&mut cursor);
    }
}

#[test]
fn readers_are_told_the_same_of_what_lies_in_the_archive_alone_and_polars_reads_it() {
    let mut whole = played(&[]);
    let mut tracker = played(&[("archive.folder", "archive"), ("store.bars_retention", "2d")]);
    let all = content(&whole);
    let kept = content(&tracker);
    assert!(kept.contains("2025-01-29T") && !kept.contains("2025-01-28T"), "retention dropped two days");
    assert_eq!(told(&mut tracker), told(&mut whole));

    let archive = tracker.folder().join("archive");
    let mut files: Vec<String> = fs::read_dir(&archive)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    files.sort();
    assert_eq!(files, DAYS[..4].iter().map(|day| format!("{day}.parquet")).collect::<Vec<_>>());
    // Friday is not over.
    let archived: String =
        all.lines().filter(|line| !line.contains(",2025-01-31T")).fold(String::new(), |mut text, line| {
            let _ = writeln!(text, "{line}");
            text
        });
    let csv = tracker.folder().join("archived.csv");
    fs::write(&csv, &archived).expect("a file");
    let files = archive.join("*.parquet");
    let agreed = python::run("read_bars.py", &[&files.display().to_string(), &csv.display().to_string()]);
    assert_eq!(agreed.trim(), (archived.lines().count() - 1).to_string());

    // Import reads it as any other file.
    let mut other = tracker.beside();
    other.set("store.url", "sqlite://data/other.db").set("archive.folder", "");
    done(&other, &["import", "archive", "--feed", "replay"]);
    assert_eq!(content(&other), archived);
}

#[test]
fn a_damaged_file_is_named_by_the_log_and_costs_the_time_it_held() {
    let mut tracker = played(&[("archive.folder", "archive"), ("store.bars_retention", "2d")]);
    let path = tracker.folder().join("archive/2025-01-28.parquet");
    let mut bytes = fs::read(&path).expect("the file");
    bytes[200] ^= 1;
    fs::write(&path, bytes).expect("written");
    let output = tracker.output(&["backtest", "--symbol", "AAPL"], PATIENCE);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("the archive cannot be read: archive/2025-01-28.parquet"), "{said}");
    tracker.start("server");
    let bars = |day: &str| {
        tracker.http().get(&format!("/v1/symbols/AAPL/bars?from={day}T14:30:00Z&to={day}T21:00:00Z"))
    };
    let reply = bars("2025-01-28");
    assert_eq!((reply.status, &reply.json()["code"]), (503, &Value::from("archive_unreadable")));
    for day in ["2025-01-27", "2025-01-30"] {
        assert_eq!(bars(day).status, 200, "{day}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_to_ends_a_worker_with_2_and_names_the_key() {
    let mut tracker = Tracker::new();
    fs::write(tracker.folder().join("file"), "").expect("a file");
    tracker.set("archive.folder", "file/archive");
    let output = tracker.output(&["worker", "--once"], PATIENCE);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("archive.folder: `file/archive` must be a folder that can be written to"),
        "{said}"
    );
}

#[test]
fn a_kill_leaves_whole_files_alone_and_the_next_start_completes_them() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let random = &mut fastrand::Rng::with_seed(seed);
    let mut tracker = played(&[("archive.folder", "archive")]);
    let folder = tracker.folder().join("archive");
    let files = || -> BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(&folder).into_iter().flatten().map(|entry| entry.expect("an entry"));
        entries
            .map(|entry| (entry.file_name().into_string().expect("a name"), entry.path()))
            .map(|(name, path)| (name, fs::read(path).expect("a file")))
            .collect()
    };
    let whole = files();
    assert_eq!(whole.len(), 4);
    fs::remove_dir_all(&folder).expect("it goes");
    let began = Instant::now();
    tracker.spawn(&["worker", "--once"]);
    assert!(tracker.wait(PATIENCE).success());
    let takes = began.elapsed();
    assert!(files() == whole, "the same files of the same store");
    let mut partly = 0;
    for kill in 0..20 {
        // Every other time, there are files already, of which some are damaged and written anew.
        match kill % 2 {
            0 => fs::remove_dir_all(&folder).expect("it goes"),
            _ => {
                for name in whole.keys() {
                    fs::write(folder.join(name), "damaged").expect("written");
                }
            }
        }
        let began = Instant::now();
        tracker.spawn(&["worker", "--once"]);
        wait_until(began + takes.mul_f64(0.4 + 0.6 * random.f64()), || tracker.ended());
        match tracker.ended() {
            Some(_) => drop(tracker.wait(PATIENCE)),
            None => tracker.kill_9(),
        }
        let left = files();
        let mut written = 0;
        for (name, bytes) in left.iter().filter(|(name, _)| name.ends_with(".parquet")) {
            assert!(
                bytes == b"damaged" || whole.get(name) == Some(bytes),
                "{name} is neither the old nor the new"
            );
            written += usize::from(bytes != b"damaged");
        }
        partly +=
            usize::from((1..4).contains(&written) || left.keys().any(|name| name.starts_with(".draft.")));
    }
    println!("{partly} of 20 kills left a part");
    tracker.spawn(&["worker", "--once"]);
    assert!(tracker.wait(PATIENCE).success());
    let mut left = files();
    left.retain(|name, _| !name.ends_with(".damaged"));
    assert!(left == whole, "drafts or other files: {:?}", left.keys());
}
