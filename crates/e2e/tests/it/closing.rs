//! Days that are closed, and opened again by what comes late, while the process is killed.

use crate::files::{content, done, killed_midway};
use qqq_e2e::Tracker;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::time::Instant;

const SYMBOLS: [&str; 10] = ["AAPL", "ADBE", "AMZN", "GOOG", "META", "MSFT", "NFLX", "NVDA", "PYPL", "TSLA"];
const DAYS: i64 = 60;
/// Kills before a store is looked at as a whole, half of them with each file.
const KILLS_PER_STORE: u64 = 10;

/// A bar as a line of a file.
fn line(symbol: &str, day: i64, minute: i64, close: i64) -> String {
    let open: jiff::Timestamp = "2024-01-02T14:30:00Z".parse().expect("a time");
    let start = open + jiff::SignedDuration::from_mins(1440 * day + minute);
    format!(
        "{symbol},{start},{close},{},{},{close},{},{close}.5,{},sip\n",
        close + 1,
        close - 1,
        100 * minute,
        minute % 7
    )
}

/// Two files: the days as they came, half of the symbols with a bar now and then, which lie open first; and
/// what comes late of the same days: corrections, bars that were missing, bars behind the last one.
fn write_files(tracker: &Tracker) {
    let header = "symbol,start,open,high,low,close,volume,vwap,trades,feed\n";
    let (mut given, mut late) = (header.to_owned(), header.to_owned());
    for day in 0..DAYS {
        for minute in 0..380 {
            for (n, symbol) in SYMBOLS.iter().enumerate() {
                let is_there = if n % 2 == 0 { minute % 50 != 7 } else { minute % 9 == 0 };
                if is_there {
                    given.push_str(&line(symbol, day, minute, 100 + (day + minute) % 50));
                }
                if minute % 50 == 7 || minute % 90 == 0 {
                    late.push_str(&line(symbol, day, minute, 200 + minute % 50));
                }
            }
        }
        for symbol in SYMBOLS {
            late.push_str(&line(symbol, day, 385, 300));
        }
    }
    for (name, text) in [("given.csv", given), ("late.csv", late)] {
        fs::write(tracker.folder().join(name), text).expect("written");
    }
}

/// The lines of a dump by symbol and start. No bar is there twice.
fn by_key(dump: &str) -> BTreeMap<String, &str> {
    let mut lines = BTreeMap::new();
    for line in dump.lines().skip(1) {
        let key = line.splitn(3, ',').take(2).fold(String::new(), |mut key, field| {
            let _ = write!(key, "{field},");
            key
        });
        assert!(lines.insert(key, line).is_none(), "twice: {line}");
    }
    lines
}

#[test]
fn kills_while_days_are_closed_and_opened_again_lose_no_bar() {
    let number =
        |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a whole number"));
    let kills = number("QQQ_KILLS").unwrap_or(20);
    let seed = number("QQQ_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("{kills} kills, QQQ_SEED={seed}");
    let random = &mut fastrand::Rng::with_seed(seed);
    let mut tracker = Tracker::new();
    write_files(&tracker);

    // What it must come to, by a process that nobody kills, and how long that takes.
    let stages = ["given.csv", "late.csv"].map(|file| {
        let began = Instant::now();
        done(&tracker, &["import", file]);
        (file, began.elapsed(), content(&tracker))
    });
    assert_ne!(stages[0].2, stages[1].2);

    let (mut killed, mut late, mut partly) = (0, 0, 0);
    while killed < kills {
        tracker.set("store.url", format!("sqlite://data/{killed}-{late}.db"));
        let mut before = String::new();
        for (file, takes, expected) in &stages {
            let enough = killed + KILLS_PER_STORE / 2;
            let mut takes = *takes;
            while killed < enough {
                if !killed_midway(&mut tracker, &["import", file], &mut takes, random) {
                    late += 1;
                    continue;
                }
                killed += 1;
                let after = content(&tracker);
                let (known, kept, whole) = (by_key(&before), by_key(&after), by_key(expected));
                for (key, line) in &known {
                    let now = kept.get(key);
                    assert!(
                        now == Some(line) || now == whole.get(key),
                        "lost by kill {killed}: {line}, {now:?}"
                    );
                }
                for (key, line) in &kept {
                    let is_told = whole.get(key) == Some(line) || known.get(key) == Some(line);
                    assert!(is_told, "nobody wrote it: {line}");
                }
                partly += u64::from(after != before && after != *expected);
                before = after;
            }
            done(&tracker, &["import", file]);
            before = content(&tracker);
            assert!(before == *expected, "another store than without the kills");
            // Once more, nothing is new.
            let said = done(&tracker, &["import", file]);
            assert!(said.contains(" 0 new, 0 revised"), "{said}");
        }
        done(&tracker, &["check"]);
    }
    println!(
        "{partly} of {killed} kills left a part of what there was to write; {late} moments came after the end"
    );
}
