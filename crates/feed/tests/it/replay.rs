//! Recorded bars, played.

use proptest::prelude::*;
use qqq_core::market::calendar::Market;
use qqq_core::market::watchlist::DEFAULT_SYMBOLS;
use qqq_core::{Calendar, FeedLabel, FeedMode, Second, Watchlist};
use qqq_feed::replay::{Replay, ReplaySpeed};
use qqq_feed::{FeedErrorKind, ReplaySource, TimedBatch};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;

const HEADER: &str = "symbol,start,open,high,low,close,volume\n";

fn watchlist() -> Watchlist {
    Watchlist::new(DEFAULT_SYMBOLS.map(|symbol| symbol.parse().unwrap()), []).unwrap()
}

fn xnas() -> Calendar {
    Calendar::new(Market::Xnas, false, [])
}

fn label() -> FeedLabel {
    "recorded".parse().unwrap()
}

fn row(symbol: &str, start: &str, volume: u64) -> String {
    format!("{symbol},{start},10,12,9,11,{volume}\n")
}

fn folder(files: &[(&str, String)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, rows) in files {
        std::fs::write(folder.path().join(name), format!("{HEADER}{rows}")).unwrap();
    }
    folder
}

fn open(path: &Path, speed: &str, calendar: &Calendar) -> Replay {
    Replay::open(path, speed.parse().unwrap(), &watchlist(), calendar, label()).unwrap()
}

/// Ticks of a recording of AAPL at these times, each with the real time it came after the first.
async fn timed(starts: &[&str], speed: &str, calendar: &Calendar) -> Vec<(String, Duration)> {
    let rows: String = starts.iter().map(|start| row("AAPL", start, 1)).collect();
    let folder = folder(&[("a.csv", rows)]);
    let mut replay = open(folder.path(), speed, calendar);
    let began = Instant::now();
    let mut batches = Vec::new();
    while let Some(batch) = replay.next().await.unwrap() {
        batches.push((batch.clock.to_string(), began.elapsed()));
    }
    batches
}

fn seconds(batches: &[(String, Duration)]) -> Vec<f64> {
    batches.iter().map(|(_, after)| after.as_millis() as f64 / 1000.0).collect()
}

async fn all(mut replay: Replay) -> Vec<TimedBatch> {
    let mut batches = Vec::new();
    while let Some(batch) = replay.next().await.unwrap() {
        batches.push(batch);
    }
    batches
}

#[test]
fn speeds_are_max_or_a_whole_number_of_times() {
    assert_eq!("max".parse(), Ok(ReplaySpeed::Max));
    assert_eq!("1x".parse(), Ok(ReplaySpeed::Times(1)));
    assert_eq!("60x".parse(), Ok(ReplaySpeed::Times(60)));
    assert_eq!("100000x".parse(), Ok(ReplaySpeed::Times(100_000)));
    for text in ["", "x", "0x", "100001x", "-1x", "+1x", "1.5x", "60", "MAX", "60 x", "99999999999x"] {
        let error = text.parse::<ReplaySpeed>().unwrap_err().to_string();
        assert!(
            error.contains(&format!("`{text}`")) && error.contains("`max`, or `1x` to `100000x`"),
            "{error}"
        );
    }
    for text in ["max", "1x", "60x"] {
        assert_eq!(text.parse::<ReplaySpeed>().unwrap().to_string(), text);
    }
}

#[tokio::test]
async fn files_are_merged_into_one_tick_per_minute_and_revisions_keep_their_order() {
    let folder = folder(&[
        (
            "a.csv",
            row("MSFT", "2025-01-27T14:31:00Z", 1)
                + &row("AAPL", "2025-01-27T14:31:00Z", 2)
                + &row("AAPL", "2025-01-27T14:30:00Z", 3)
                + &row("AAPL", "2025-01-27T14:31:00Z", 4)
                + &row("IBM", "2025-01-27T14:31:00Z", 5),
        ),
        ("b.csv", row("AAPL", "2025-01-27T14:31:00Z", 6) + "AAPL,never,1,1,1,1,1\n"),
    ]);
    let replay = open(folder.path(), "max", &xnas());
    assert_eq!((replay.not_tracked(), replay.progress()), (1, (0, 5)));
    let info = replay.info().clone();
    assert_eq!((info.provider, info.label, info.mode), ("replay", label(), FeedMode::Replayed));
    assert_eq!(info.coverage, format!("recorded bars of {}", folder.path().file_name().unwrap().display()));
    let batches = all(replay).await;
    let told: Vec<Vec<String>> = batches
        .iter()
        .map(|batch| batch.bars.iter().map(|bar| format!("{} {}", bar.symbol, bar.volume)).collect())
        .collect();
    assert_eq!(told, [vec!["AAPL 3"], vec!["AAPL 2", "AAPL 4", "AAPL 6", "MSFT 1"]]);
    assert_eq!(batches[0].clock.to_string(), "2025-01-27T14:31:00Z");
    assert!(batches.iter().flat_map(|batch| &batch.bars).all(|bar| bar.feed == label()));
    assert_eq!(batches[0].rejects.len(), 1);
    assert!(batches[0].rejects[0].place.ends_with("b.csv:line 3"), "{:?}", batches[0].rejects);
    assert!(batches[1].rejects.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_minute_is_due_a_minute_later_divided_by_the_speed() {
    let starts = ["2025-01-27T14:30:00Z", "2025-01-27T14:31:00Z", "2025-01-27T14:35:00Z"];
    assert_eq!(seconds(&timed(&starts, "60x", &xnas()).await), [0.0, 1.0, 5.0]);
    assert_eq!(seconds(&timed(&starts, "1x", &xnas()).await), [0.0, 60.0, 300.0]);
    assert_eq!(seconds(&timed(&starts, "max", &xnas()).await), [0.0, 0.0, 0.0]);
}

#[tokio::test(start_paused = true)]
async fn closed_hours_take_no_time() {
    let starts = [
        "2025-01-17T20:58:00Z", // Friday
        "2025-01-17T20:59:00Z",
        "2025-01-17T21:00:00Z", // after the close
        "2025-01-17T21:30:00Z",
        "2025-01-21T14:00:00Z", // Tuesday after a holiday, before the open
        "2025-01-21T14:30:00Z",
        "2025-01-21T14:31:00Z",
    ];
    let batches = timed(&starts, "60x", &xnas()).await;
    assert_eq!(seconds(&batches), [0.0, 1.0, 1.0, 1.0, 1.0, 2.0, 3.0]);
    let extended = Calendar::new(Market::Xnas, true, []);
    assert_eq!(seconds(&timed(&starts, "60x", &extended).await), [0.0, 1.0, 2.0, 32.0, 33.0, 63.0, 64.0]);
}

#[tokio::test(start_paused = true)]
async fn holes_of_more_than_an_hour_are_skipped() {
    let always = Calendar::new(Market::Always, false, []);
    let starts =
        ["2025-01-25T00:00:00Z", "2025-01-25T01:00:00Z", "2025-01-25T02:01:00Z", "2025-03-01T00:00:00Z"];
    assert_eq!(seconds(&timed(&starts, "60x", &always).await), [0.0, 60.0, 61.0, 62.0]);
    // A year of sessions that were not recorded.
    let starts = ["2024-01-25T15:00:00Z", "2025-01-24T15:00:00Z"];
    assert_eq!(seconds(&timed(&starts, "60x", &xnas()).await), [0.0, 1.0]);
}

#[tokio::test(start_paused = true)]
async fn a_reader_who_gives_up_waiting_loses_nothing() {
    let rows: String =
        (30..40).map(|minute| row("AAPL", &format!("2025-01-27T14:{minute}:00Z"), minute)).collect();
    let folder = folder(&[("a.csv", rows)]);
    let mut replay = open(folder.path(), "60x", &xnas());
    let (mut volumes, mut given_up) = (Vec::new(), 0);
    let began = Instant::now();
    loop {
        match tokio::time::timeout(Duration::from_millis(300), replay.next()).await {
            Ok(Ok(Some(batch))) => volumes.extend(batch.bars.iter().map(|bar| bar.volume.shares())),
            Ok(end) => break assert_eq!(end, Ok(None)),
            Err(_) => given_up += 1,
        }
    }
    assert_eq!(volumes, (30..40).collect::<Vec<_>>());
    assert!(given_up >= 9);
    assert_eq!(began.elapsed().as_secs(), 9, "giving up does not delay what is due");
    assert_eq!(replay.progress(), (10, 10));
}

#[test]
fn a_recording_without_a_tracked_bar_is_an_error_that_says_what_is_in_it() {
    let folder = folder(&[("a.csv", row("IBM", "2025-01-27T14:30:00Z", 1) + &row("AAPL", "tomorrow", 1))]);
    let error = Replay::open(folder.path(), ReplaySpeed::Max, &watchlist(), &xnas(), label()).unwrap_err();
    assert_eq!(error.kind, FeedErrorKind::File);
    assert!(error.message.contains("no bar of a tracked symbol: 1 rows of others, 1 rejected"), "{error}");
    assert!(error.message.contains("a.csv:line 3: column start: `tomorrow`"), "{error}");
}

#[test]
fn a_damaged_file_is_an_error_and_not_a_shorter_recording() {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let rows = row("AAPL", "2025-01-27T14:30:00Z", 1).repeat(50_000);
    encoder.write_all(format!("{HEADER}{rows}").as_bytes()).unwrap();
    let bytes = encoder.finish().unwrap();
    std::fs::write(folder.path().join("a.csv.gz"), &bytes[..bytes.len() - 9]).unwrap();
    let error = Replay::open(folder.path(), ReplaySpeed::Max, &watchlist(), &xnas(), label()).unwrap_err();
    assert!(error.message.contains("a.csv.gz: cannot be read on after line"), "{error}");
}

#[tokio::test]
async fn a_file_of_rejects_is_summed_up() {
    let rows = row("AAPL", "2025-01-27T14:30:00Z", 1) + &"nonsense\n".repeat(10_500);
    let folder = folder(&[("a.csv", rows)]);
    let batches = all(open(folder.path(), "max", &xnas())).await;
    assert_eq!(batches[0].rejects.len(), 10_001);
    assert_eq!(batches[0].rejects[10_000].reason, "500 more rows were rejected");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// An independent model: bars by minute, then symbol, then the order of reading.
    #[test]
    fn every_bar_is_played_once_in_order(
        rows in proptest::collection::vec((0..4_usize, 0..500_i32), 1..200),
        cut in any::<proptest::sample::Index>(),
    ) {
        let base = Second::minute_of("2025-01-27T14:30:00Z".parse().unwrap());
        let mut model = std::collections::BTreeMap::<(Second, &str), Vec<i64>>::new();
        let mut lines = Vec::new();
        for (index, (symbol, offset)) in rows.into_iter().enumerate() {
            let (symbol, start) = (DEFAULT_SYMBOLS[symbol], base.plus_minutes(offset));
            model.entry((start, symbol)).or_default().push(index as i64);
            lines.push(row(symbol, &start.to_string(), index as u64));
        }
        let at = cut.index(lines.len());
        let folder = folder(&[("1.csv", lines[..at].concat()), ("2.csv", lines[at..].concat())]);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let batches = runtime.block_on(all(open(folder.path(), "max", &xnas())));
        let expected: Vec<i64> = model.into_values().flatten().collect();
        let played: Vec<i64> =
            batches.iter().flat_map(|batch| &batch.bars).map(|bar| bar.volume.shares()).collect();
        prop_assert_eq!(played, expected);
        prop_assert!(batches.is_sorted_by(|one, two| one.clock < two.clock));
        for batch in &batches {
            prop_assert!(batch.bars.iter().all(|bar| bar.start.minute_end() == batch.clock));
        }
    }
}

#[tokio::test]
async fn a_recorded_week_plays_whole() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/week_2025-01-27_ten.csv.gz");
    if !path.exists() {
        eprintln!("MISSING: the recorded week is not beside the project; nothing was tested");
        return;
    }
    let batches = all(open(&path, "max", &xnas())).await;
    assert_eq!(batches.iter().map(|batch| batch.bars.len()).sum::<usize>(), 33_837);
    assert_eq!(batches[0].clock.to_string(), "2025-01-27T09:01:00Z");
    assert_eq!(batches.last().unwrap().clock.to_string(), "2025-02-01T00:00:00Z");
}

#[tokio::test(start_paused = true)]
async fn a_resumed_recording_repeats_what_is_known_at_once_and_as_it_was_left() {
    let rows = [
        row("AAPL", "2025-01-27T15:00:00Z", 1),
        row("AAPL", "2025-01-27T15:00:00Z", 2),
        row("NVDA", "2025-01-27T15:00:00Z", 3),
        row("AAPL", "2025-01-27T15:01:00Z", 4),
        row("AAPL", "2025-01-27T15:02:00Z", 5),
        row("AAPL", "2025-01-27T15:02:00Z", 6),
        row("AAPL", "2025-01-27T15:03:00Z", 7),
    ]
    .concat();
    let folder = folder(&[("a.csv", rows)]);
    let known = Second::minute_of("2025-01-27T15:01:00Z".parse().unwrap());
    let mut replay = open(folder.path(), "1x", &xnas()).resume_after(known);
    let began = Instant::now();
    let mut told = Vec::new();
    while let Some(batch) = replay.next().await.unwrap() {
        let volumes: Vec<i64> = batch.bars.iter().map(|bar| bar.volume.shares()).collect();
        told.push((volumes, began.elapsed().as_secs()));
    }
    // Corrections of minutes not yet played are still corrections; the first new minute is due a minute
    // later.
    assert_eq!(told, [(vec![2, 3], 0), (vec![4], 0), (vec![5, 6], 60), (vec![7], 120)]);
}
