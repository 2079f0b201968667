//! Files of bars: out of the store and into another one, read by others, and whatever happens on the way.

use crate::recording;
use qqq_e2e::Tracker;
use qqq_testkit::{python, wait_for, wait_until};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// A command on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// Bars in one transaction of an import.
const BATCH: usize = 50_000;
/// Kills of one store before its import is let through.
const KILLS_PER_STORE: u64 = 5;

/// A place where every bar counts.
fn anywhere() -> Tracker {
    let mut tracker = Tracker::new();
    tracker.set("market.calendar", "always");
    tracker
}

/// Starts a command and kills it at a random moment of the time it takes. False where it had ended by then:
/// it takes no longer than that, as where little is new.
pub(crate) fn killed_midway(
    tracker: &mut Tracker,
    arguments: &[&str],
    takes: &mut Duration,
    random: &mut fastrand::Rng,
) -> bool {
    let began = Instant::now();
    tracker.spawn(arguments);
    wait_until(began + takes.mul_f64(random.f64()), || tracker.ended());
    if tracker.ended().is_some() {
        *takes = (*takes).min(began.elapsed());
        tracker.wait(PATIENCE);
        return false;
    }
    tracker.kill_9();
    true
}

/// Runs a command that must succeed. Answers what it said.
#[track_caller]
pub(crate) fn done(tracker: &Tracker, arguments: &[&str]) -> String {
    let output = tracker.output(arguments, PATIENCE);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {}\n{said}", output.status);
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Runs a command that must fail with 1. Answers the error.
#[track_caller]
fn failed(tracker: &Tracker, arguments: &[&str]) -> String {
    let output = tracker.output(arguments, PATIENCE);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}\n{said}");
    said
}

/// All bars of the store, as CSV.
#[track_caller]
pub(crate) fn content(tracker: &Tracker) -> String {
    done(tracker, &["export", "--format", "csv", "-"])
}

fn bars(content: &str) -> usize {
    content.lines().count() - 1
}

/// A year of bars: `rows` of them, with all that a bar can have.
fn invent(path: &Path, rows: usize) {
    let symbols = ["AAPL", "MSFT", "AMZN", "TSLA", "META", "GOOG", "NFLX", "NVDA", "PYPL", "ADBE"];
    let begin: jiff::Timestamp = "2024-01-02T09:00:00Z".parse().expect("a time");
    let random = &mut fastrand::Rng::with_seed(1);
    let mut text = "symbol,start,open,high,low,close,volume,vwap,trades,feed\n".to_owned();
    for row in 0..rows {
        let start = begin + jiff::SignedDuration::from_mins((row / symbols.len()) as i64);
        let price = random.u64(1..=9_000_000_000);
        let (price, low) = (format!("{}.{:05}", price / 100_000, price % 100_000), "0.000000001");
        let trades = if random.bool() { random.u32(..).to_string() } else { String::new() };
        let vwap = if random.bool() { &price } else { "" };
        let feed = if random.bool() { "iex" } else { "sip" };
        let (symbol, volume) = (symbols[row % symbols.len()], random.u64(0..1_000_000));
        let _ =
            writeln!(text, "{symbol},{start},{price},{price},{low},{price},{volume},{vwap},{trades},{feed}");
    }
    fs::write(path, text).expect("the recording can be written");
}

/// Takes the bars of a store through a file of each format into a new store, and compares.
#[track_caller]
fn goes_through_every_format(tracker: &Tracker) {
    let before = content(tracker);
    for name in ["bars.parquet", "bars.csv", "bars.csv.gz"] {
        done(tracker, &["export", name]);
        let mut other = tracker.beside();
        other.set("store.url", format!("sqlite://data/of-{name}.db"));
        let said = done(&other, &["import", name]);
        let count = bars(&before);
        let count =
            if count < 1000 { count.to_string() } else { format!("{},{:03}", count / 1000, count % 1000) };
        let expected = format!("{count} rows read: {count} new, 0 revised, 0 unchanged, 0 rejected");
        assert!(said.contains(&expected), "{name}: {said}");
        assert!(content(&other) == before, "{name}: other rows came back");
        // Again, and through the other formats: nothing changes.
        let said = done(&other, &["import", "bars.parquet", name]);
        assert!(said.contains(" 0 new, 0 revised"), "{name}: {said}");
    }
}

#[test]
fn a_real_week_goes_out_and_in_again_through_every_format_unchanged() {
    let Some(week) = recording::week() else { return };
    let tracker = anywhere();
    done(&tracker, &["import", week.to_str().expect("a path"), "--feed", "sip"]);
    assert_eq!(bars(&content(&tracker)), 33_837);
    goes_through_every_format(&tracker);
}

#[test]
fn whatever_a_bar_can_have_goes_out_and_in_again() {
    let tracker = anywhere();
    invent(&tracker.folder().join("invented.csv"), 3_000);
    done(&tracker, &["import", "invented.csv"]);
    let text = content(&tracker);
    let mut expected: Vec<String> = fs::read_to_string(tracker.folder().join("invented.csv"))
        .expect("it")
        .lines()
        .skip(1)
        .map(str::to_owned)
        .collect();
    expected.sort();
    // Prices are written without zeros behind.
    let plain = |row: &str| -> Vec<String> {
        row.split(',')
            .map(|cell| {
                if cell.contains('.') { cell.trim_end_matches('0').trim_end_matches('.') } else { cell }
                    .to_owned()
            })
            .collect()
    };
    assert_eq!(bars(&text), expected.len());
    for (row, expected) in text.lines().skip(1).zip(&expected) {
        assert_eq!(plain(row), plain(expected));
    }
    goes_through_every_format(&tracker);
}

#[test]
fn polars_reads_the_parquet_with_the_right_types_times_and_values() {
    let tracker = anywhere();
    let mut files = vec![tracker.folder().join("invented.csv")];
    invent(&files[0], 2_000);
    files.extend(recording::week());
    for file in files {
        let mut tracker = tracker.beside();
        let stem = file.file_name().expect("a name").to_string_lossy().into_owned();
        tracker.set("store.url", format!("sqlite://data/{stem}.db"));
        done(&tracker, &["import", file.to_str().expect("a path")]);
        let path = |ending: &str| tracker.folder().join(format!("{stem}.out.{ending}")).display().to_string();
        let (parquet, csv) = (path("parquet"), path("csv"));
        done(&tracker, &["export", &parquet]);
        done(&tracker, &["export", &csv]);
        let agreed = python::run("read_bars.py", &[&parquet, &csv]);
        assert_eq!(agreed.trim(), bars(&content(&tracker)).to_string());
    }
}

#[test]
fn a_data_frames_own_file_is_read_as_the_prices_it_prints() {
    let Some(week) = recording::week() else { return };
    let tracker = anywhere();
    done(&tracker, &["import", week.to_str().expect("a path")]);
    let before = content(&tracker);
    let path = |name: &str| tracker.folder().join(name).display().to_string();
    fs::write(path("bars.csv"), &before).expect("a file");
    for (compression, unit) in [("zstd", "us"), ("brotli", "ns"), ("lz4", "ms"), ("uncompressed", "us")] {
        let name = format!("frame-{compression}.parquet");
        python::run("write_bars.py", &[&path("bars.csv"), &path(&name), compression, unit]);
        let mut other = tracker.beside();
        other.set("store.url", format!("sqlite://data/{compression}.db"));
        let said = failed(&other, &["import", &name]);
        assert!(said.contains("the times of the column start have no zone: --zone says which"), "{said}");
        done(&other, &["import", &name, "--zone", "UTC"]);
        assert!(content(&other) == before, "{compression}, {unit}: other rows came back");
    }
}

#[test]
fn kills_at_random_moments_of_an_import_leave_whole_batches_and_the_next_one_completes_it() {
    let Some(week) = recording::week() else { return };
    let week = week.to_str().expect("a path");
    let number =
        |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a whole number"));
    let kills = number("QQQ_IMPORT_KILLS").unwrap_or(50);
    let seed = number("QQQ_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("{kills} kills, QQQ_SEED={seed}");
    let random = &mut fastrand::Rng::with_seed(seed);
    let mut tracker = anywhere();
    let began = Instant::now();
    done(&tracker, &["import", week]);
    let mut takes = began.elapsed();
    let whole = content(&tracker);

    let (mut killed, mut late, mut partly) = (0, 0, 0);
    while killed < kills {
        let is_first = killed.is_multiple_of(KILLS_PER_STORE);
        if is_first {
            tracker.set("store.url", format!("sqlite://data/{killed}.db"));
        }
        if !killed_midway(&mut tracker, &["import", week], &mut takes, random) {
            late += 1;
            continue;
        }
        killed += 1;
        let kept = bars(&content(&tracker));
        assert!(kept.is_multiple_of(BATCH) || kept == bars(&whole), "half a batch: {kept} bars");
        partly += u64::from(kept > 0 && kept < bars(&whole));
        if killed.is_multiple_of(KILLS_PER_STORE) || killed == kills {
            done(&tracker, &["import", week]);
            assert!(content(&tracker) == whole, "another store than without the kills");
        }
    }
    println!("{partly} of {kills} kills left a part of the bars; {late} moments came after the end");
}

#[test]
fn ctrl_c_stops_an_import_between_two_batches() {
    const ROWS: usize = 1_000_000;
    let mut tracker = anywhere();
    invent(&tracker.folder().join("year.csv"), ROWS);
    tracker.spawn(&["import", "year.csv"]);
    let log = tracker.folder().join("data/qqq-tracker.db-wal");
    wait_for("a first batch", PATIENCE, || (fs::metadata(&log).ok()?.len() > 1_500_000).then_some(()));
    tracker.interrupt();
    let status = tracker.wait(PATIENCE);
    let (out, err) = (tracker.stdout(), tracker.stderr());
    assert_eq!(status.code(), Some(1), "{out}{err}");
    assert!(err.contains("qqq-tracker: stopped before the end"), "{err}");
    assert!(out.contains("the same import goes on where it is needed"), "{out}");
    let kept = bars(&content(&tracker));
    assert!(kept > 0 && kept < ROWS && kept.is_multiple_of(BATCH), "{kept} bars: {out}");
    let said = done(&tracker, &["import", "year.csv"]).replace(',', "");
    assert!(said.contains(&format!("{} new 0 revised {kept} unchanged", ROWS - kept)), "{said}");
    assert_eq!(bars(&content(&tracker)), ROWS);
}

#[test]
fn an_export_never_leaves_half_a_file_under_its_name() {
    let mut tracker = anywhere();
    invent(&tracker.folder().join("year.csv"), 60_000);
    done(&tracker, &["import", "year.csv"]);
    let names = |tracker: &Tracker| -> Vec<String> {
        let entries = fs::read_dir(tracker.folder()).expect("the folder");
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    };
    let drafts =
        |tracker: &Tracker| names(tracker).into_iter().filter(|name| name.ends_with(".partial")).count();

    // Ctrl-C as soon as there is a draft: it goes away, and so does whoever wrote it, with 1.
    tracker.spawn(&["export", "bars.csv"]);
    wait_for("a draft", PATIENCE, || (drafts(&tracker) > 0).then_some(()));
    tracker.interrupt();
    let status = tracker.wait(PATIENCE);
    if status.code() != Some(0) {
        assert_eq!(status.code(), Some(1), "{}", tracker.stderr());
        assert!(tracker.stderr().contains("stopped before the end"), "{}", tracker.stderr());
        assert!(!tracker.folder().join("bars.csv").exists());
    }
    assert_eq!(drafts(&tracker), 0);

    // A kill may leave a draft, which nobody takes for bars.
    tracker.spawn(&["export", "killed.parquet"]);
    wait_for("a draft", PATIENCE, || (drafts(&tracker) > 0).then_some(()));
    tracker.kill_9();
    assert!(!tracker.folder().join("killed.parquet").exists());

    // What is there stays, unless it is to be replaced.
    fs::write(tracker.folder().join("mine.csv"), "mine").expect("a file");
    let said = failed(&tracker, &["export", "mine.csv"]);
    assert!(said.contains("mine.csv exists") && said.contains("--force"), "{said}");
    assert_eq!(fs::read_to_string(tracker.folder().join("mine.csv")).expect("it"), "mine");
    done(&tracker, &["export", "mine.csv", "--force"]);
    assert_eq!(fs::read_to_string(tracker.folder().join("mine.csv")).expect("it"), content(&tracker));

    let said = failed(&tracker, &["export", "data", "--format", "csv", "--force"]);
    assert!(said.contains("data is not a file"), "{said}");
    let said = failed(&tracker, &["export", "nowhere/bars.csv"]);
    assert!(said.contains("nowhere/bars.csv"), "{said}");
    let output = tracker.output(&["export", "bars.txt"], PATIENCE);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(["--format", "bars.txt", "parquet"].iter().all(|part| said.contains(part)), "{said}");
}

#[test]
fn an_export_takes_the_symbols_and_the_time_that_were_asked_for() {
    let tracker = anywhere();
    let row = |symbol: &str, start: &str| format!("{symbol},{start},1,1,1,1,1\n");
    let text = [
        "symbol,start,open,high,low,close,volume\n".to_owned(),
        row("AAPL", "2025-01-28T04:59:00Z"),
        row("AAPL", "2025-01-28T05:00:00Z"), // midnight in New York
        row("AAPL", "2025-01-28T14:30:00Z"),
        row("AAPL", "2025-01-29T05:00:00Z"),
        row("META", "2025-01-28T14:30:00Z"),
        row("MSFT", "2025-01-28T14:30:00Z"),
    ]
    .concat();
    fs::write(tracker.folder().join("few.csv"), text).expect("a file");
    done(&tracker, &["import", "few.csv"]);
    let export = |arguments: &[&str]| -> Vec<String> {
        let all = [&["export", "-", "--format", "csv"], arguments].concat();
        let text = done(&tracker, &all);
        let cells = |row: &str| row.split(',').take(2).collect::<Vec<_>>().join(" ");
        text.lines().skip(1).map(|row| cells(row).replace(":00Z", "").replace("2025-01-", "")).collect()
    };
    assert_eq!(
        export(&["--from", "2025-01-28", "--to", "2025-01-29"]),
        ["AAPL 28T05:00", "AAPL 28T14:30", "META 28T14:30", "MSFT 28T14:30"]
    );
    assert_eq!(export(&["--symbol", "msft", "--symbol", "FB"]), ["META 28T14:30", "MSFT 28T14:30"]);
    assert_eq!(
        export(&["--symbol", "AAPL", "--from", "2025-01-28T14:29:30Z"]),
        ["AAPL 28T14:30", "AAPL 29T05:00"]
    );
    assert_eq!(export(&["--symbol", "AAPL", "--to", "2025-01-28T05:00:00Z"]), ["AAPL 28T04:59"]);
    assert_eq!(export(&["--symbol", "IBM"]), Vec::<String>::new());
    let output = tracker.output(&["export", "-", "--from", "yesterday"], PATIENCE);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("2025-01-31T14:30:00Z"), "{said}");
}

#[test]
fn an_export_needs_nobody_to_stop_and_simulated_bars_stay_what_they_are() {
    let mut tracker = Tracker::new();
    tracker.start("run");
    tracker.wait_for_bars();
    done(&tracker, &["export", "live.parquet"]);
    assert_eq!(tracker.http().get("/healthz").status, 200);
    let mut other = tracker.beside();
    other.set("store.url", "sqlite://data/other.db");
    let said = failed(&other, &["import", "live.parquet"]);
    assert!(said.contains("live.parquet: each of its"), "{said}");
    assert_eq!(bars(&content(&other)), 0, "invented bars were taken for real ones");
}

#[test]
fn long_commands_show_how_far_they_have_come_on_a_terminal_and_nowhere_else() {
    let tracker = anywhere();
    let path = |name: &str| tracker.folder().join(name).display().to_string();
    invent(&tracker.folder().join("year.csv"), 12_000);
    let store = format!("store.url=sqlite://{}", path("data/bars.db"));
    let program = qqq_e2e::binary().display().to_string();
    let settings = ["--set", &store, "--set", "market.calendar=always"];
    for (command, shown) in
        [(["import", &path("year.csv")], " left"), (["export", &path("bars.parquet")], " of 10 symbols")]
    {
        let arguments: Vec<&str> = [&program, command[0], command[1]].into_iter().chain(settings).collect();
        let said = python::run("on_a_terminal.py", &arguments);
        assert!(said.contains(shown), "{command:?}: {said}");
    }
    let output = tracker.output(&[&["import", "year.csv"], &settings[..]].concat(), PATIENCE);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn a_damaged_parquet_file_ends_an_import_with_1_and_changes_nothing() {
    let tracker = anywhere();
    invent(&tracker.folder().join("year.csv"), 2_000);
    done(&tracker, &["import", "year.csv"]);
    done(&tracker, &["export", "good.parquet"]);
    let good = fs::read(tracker.folder().join("good.parquet")).expect("it");
    fs::write(tracker.folder().join("cut.parquet"), &good[..good.len() - 100]).expect("a file");
    let mut middle = good.clone();
    let at = good.len() / 3;
    middle[at..at + 64].fill(0xff);
    fs::write(tracker.folder().join("holed.parquet"), middle).expect("a file");
    for name in ["cut.parquet", "holed.parquet"] {
        let said = failed(&tracker, &["import", name]);
        assert!(said.contains(&format!("{name}: cannot be read")), "{said}");
    }
    assert_eq!(bars(&content(&tracker)), 2_000);
}

/// A file of bars of some symbols, a minute each.
fn write_bars(tracker: &Tracker, name: &str, symbols: &[&str]) {
    let mut text = "symbol,start,open,high,low,close,volume\n".to_owned();
    for (minute, symbol) in symbols.iter().enumerate() {
        let _ = writeln!(text, "{symbol},2024-07-03T13:{:02}:00Z,1,1,1,1,1", 30 + minute);
    }
    let path = tracker.folder().join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, text).expect("a file");
}

#[test]
fn a_file_that_fails_does_not_stop_the_others_and_the_exit_code_tells() {
    let tracker = Tracker::new();
    let import = |code: i32, arguments: &[&str]| -> (String, String) {
        let output = tracker.output(&[&["import"], arguments].concat(), PATIENCE);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {out}{err}");
        (out, err)
    };
    // Files with nothing in them are usual, and named.
    write_bars(&tracker, "day/a.csv", &["NVDA"]);
    write_bars(&tracker, "day/b.csv", &[]);
    write_bars(&tracker, "day/c.csv", &["AAPL"]);
    fs::write(tracker.folder().join("day/d.csv"), "").expect("a file");
    let (out, err) = import(0, &["day"]);
    assert!(out.contains("2 rows read: 2 new"), "{out}");
    assert!(err.contains("b.csv: holds no bars") && err.contains("d.csv: holds no bars"), "{err}");

    // What comes behind a file that cannot be read is read.
    fs::write(tracker.folder().join("day/b.csv"), "<html>Sign in</html>").expect("a file");
    write_bars(&tracker, "day/e.csv", &["NVDA", "MSFT", "IBM", "T", "IBM"]);
    let (out, err) = import(1, &["nowhere.csv", "day"]);
    assert!(out.contains("7 rows read: 1 new, 0 revised, 3 unchanged, 0 rejected"), "{out}");
    assert!(
        out.contains("3 rows are of symbols not on the watchlist (watchlist.symbols): IBM 2, T 1\n"),
        "{out}"
    );
    assert!(err.contains("failed: nowhere.csv: cannot be read"), "{err}");
    assert!(err.contains("b.csv: it is a web page") && err.contains("2 files failed"), "{err}");

    // Symbols that are not tracked are no mistake. Rows that are all rejected are.
    write_bars(&tracker, "others.csv", &["IBM"]);
    import(0, &["others.csv"]);
    let header = "symbol,start,open,high,low,close,volume\n";
    let rows = "NVDA,2024-07-03 09:30,1,1,1,1,1\nNVDA,2024-07-03 09:31,1,1,1,1,1\n";
    fs::write(tracker.folder().join("zoneless.csv"), format!("{header}{rows}")).expect("a file");
    let (out, err) = import(1, &["zoneless.csv"]);
    assert!(out.contains("2 rejected: column start: has no zone, and none was given (--zone"), "{out}");
    assert!(
        out.contains("first: zoneless.csv:line 2: column start: `2024-07-03 09:30` has no zone"),
        "{out}"
    );
    assert!(err.contains("zoneless.csv: each of its 2 rows was rejected"), "{err}");
    let (out, _) = import(0, &["zoneless.csv", "--zone", "America/New_York", "--columns", "volume=Volume"]);
    assert!(
        out.contains("2 rows read: 1 new, 1 revised") || out.contains("2 rows read: 1 new, 0 revised, 1"),
        "{out}"
    );
    let (_, err) = import(2, &["zoneless.csv", "--zone", "New York"]);
    assert!(err.contains("`New York` is not a time zone") && err.contains("America/New_York"), "{err}");
    let (_, err) = import(2, &["zoneless.csv", "--columns", "begin=start"]);
    assert!(err.contains("`begin` names no column"), "{err}");
}

#[test]
fn a_recording_without_a_zone_is_played_in_the_zone_of_its_settings() {
    let mut tracker = anywhere();
    let header = "symbol,begin,open,high,low,close,volume\n";
    let row = "NVDA,2024-07-03 09:30,1,1,1,1,1\n";
    fs::write(tracker.folder().join("day.csv"), format!("{header}{row}")).expect("a file");
    tracker.set("feed.provider", "replay").set("feed.replay.path", "day.csv");
    tracker.set("feed.replay.columns", "start=begin");
    let output = tracker.output(&["worker", "--once"], PATIENCE);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("has no zone") && said.contains("feed.replay.zone"), "{said}");
    tracker.set("feed.replay.zone", "America/New_York");
    done(&tracker, &["worker", "--once"]);
    assert!(content(&tracker).contains("NVDA,2024-07-03T13:30:00Z"), "{}", content(&tracker));
    // A backtest of files is told the same way.
    let said = failed(&tracker, &["backtest", "day.csv", "--columns", "start=begin"]);
    assert!(said.contains("has no zone"), "{said}");
    done(&tracker, &["backtest", "day.csv", "--columns", "start=begin", "--zone", "-04:00"]);
}

#[test]
fn a_recording_in_parquet_is_replayed() {
    let mut tracker = Tracker::new();
    let rows = recording::bursts("AAPL", 1, 50);
    recording::write(&tracker.folder().join("bursts.csv"), &rows);
    tracker.set("market.calendar", "always");
    done(&tracker, &["import", "bursts.csv", "--feed", "sip"]);
    done(&tracker, &["export", "bursts.parquet"]);
    let mut replaying = tracker.beside();
    replaying.set("store.url", "sqlite://data/replayed.db");
    replaying.set("feed.provider", "replay").set("feed.replay.path", "bursts.parquet");
    done(&replaying, &["worker", "--once"]);
    assert_eq!(content(&replaying), content(&tracker).replace(",sip", ",replay"));
}

#[test]
fn a_split_and_a_file_may_come_in_any_order() {
    let tracker = Tracker::new();
    let put = |name: &str, text: &str| fs::write(tracker.folder().join(name), text).expect("a file");
    let header = "symbol,start,open,high,low,close,volume\n";
    let (mut raw, mut adjusted) = (header.to_owned(), header.to_owned());
    for minute in 30..50 {
        let before = format!("NVDA,2024-06-07T14:{minute}:00Z");
        let _ = writeln!(raw, "{before},1208.88,1208.88,1208.88,1208.88,41238");
        let _ = writeln!(adjusted, "{before},120.888,120.888,120.888,120.888,412380");
        for text in [&mut raw, &mut adjusted] {
            let _ = writeln!(text, "NVDA,2024-06-10T14:{minute}:00Z,121.79,121.79,121.79,121.79,400000");
        }
    }
    put("raw.csv", &raw);
    put("adjusted.csv", &adjusted);
    put(
        "splits.csv",
        "symbol,ex_date,ratio\nNVDA,2024-06-10,10:1\nIBM,2024-06-10,2:1\nNVDA,2190-01-03,2:1\n",
    );
    let unchanged = |tracker: &Tracker, arguments: &[&str]| {
        let said = done(tracker, &[&["import"], arguments].concat());
        assert!(
            said.contains("40 rows read: 0 new, 0 revised, 40 unchanged, 0 rejected"),
            "{arguments:?}: {said}"
        );
        said
    };
    done(&tracker, &["import", "raw.csv"]);
    assert!(content(&tracker).contains("1208.88"));
    for name in ["before.csv", "before.parquet"] {
        done(&tracker, &["export", name]);
    }
    // The store hears of the split: what it holds is rescaled, and so is every file from before.
    let said = unchanged(&tracker, &["raw.csv", "--splits", "splits.csv"]);
    assert!(said.contains("NVDA was split 10:1 on 2024-06-10"), "{said}");
    let by_now = content(&tracker);
    assert!(by_now.contains(",120.888,412380,,,import,10:1@2024-06-10\n"), "{by_now}");
    assert!(by_now.contains(",121.79,400000,,,import,\n") && !by_now.contains("1208.88"), "{by_now}");
    for name in ["after.csv", "after.csv.gz", "after.parquet"] {
        done(&tracker, &["export", name]);
    }
    let files = ["raw.csv", "before.csv", "before.parquet", "after.csv", "after.csv.gz", "after.parquet"];
    for name in files {
        unchanged(&tracker, &[name]);
    }
    unchanged(&tracker, &["adjusted.csv", "--split-adjusted"]);
    assert_eq!(content(&tracker), by_now);
    // The same from nothing, whichever file comes first.
    for name in files {
        let mut other = tracker.beside();
        other.set("store.url", format!("sqlite://data/{name}.db"));
        done(&other, &["import", name]);
        unchanged(&other, &["after.parquet"]);
        assert_eq!(content(&other), by_now, "{name}");
        unchanged(&other, &["raw.csv"]);
    }
    // Nothing fell by 90 %.
    let told = |tracker: &Tracker, arguments: &[&str]| {
        let rule = ["backtest", "--rule", "move percent=50 from=previous_close", "--symbol", "NVDA"];
        done(tracker, &[&rule[..], arguments].concat())
    };
    let nothing = "would have told nothing in 2 sessions";
    assert!(told(&tracker, &[]).starts_with(nothing));
    assert!(told(&tracker, &["raw.csv"]).starts_with(nothing), "by the splits of the store");
    let mut nowhere = tracker.beside();
    nowhere.set("store.url", "sqlite://data/none.db");
    assert!(told(&nowhere, &["raw.csv"]).starts_with("would have told once"));
    for arguments in
        [&["raw.csv", "--splits", "splits.csv"][..], &["after.csv"], &["adjusted.csv", "--split-adjusted"]]
    {
        assert!(told(&nowhere, arguments).starts_with(nothing), "{arguments:?}");
    }
    assert!(!tracker.folder().join("data/none.db").exists(), "a backtest of files makes no store");
}

#[test]
fn a_backup_from_before_a_split_raises_no_alert_when_the_next_bar_comes() {
    let tracker = Tracker::new();
    let header = "symbol,start,open,high,low,close,volume\n";
    let rows = |day: &str, price: &str| -> String {
        let minutes = 30..50;
        minutes
            .map(|minute| format!("NVDA,{day}T14:{minute}:00Z,{price},{price},{price},{price},40000\n"))
            .collect()
    };
    let put = |name: &str, text: &str| fs::write(tracker.folder().join(name), text).expect("a file");
    put("backup.csv", &format!("{header}{}", rows("2024-06-07", "1208.88")));
    put("monday.csv", &format!("{header}{}", rows("2024-06-10", "121.79")));
    put("splits.csv", "symbol,ex_date,ratio\nNVDA,2024-06-10,10:1\n");
    for (store, arguments, alerts) in [
        ("unknown", &["backup.csv", "--feed", "replay"][..], 1),
        ("known", &["backup.csv", "--feed", "replay", "--splits", "splits.csv"], 0),
    ] {
        let mut tracker = tracker.beside();
        tracker.set("store.url", format!("sqlite://data/{store}.db"));
        tracker.set("rules.also", r#"["price move percent=50 from=previous_close"]"#);
        done(&tracker, &[&["import"], arguments].concat());
        tracker.set("feed.provider", "replay").set("feed.replay.path", "monday.csv");
        done(&tracker, &["worker", "--once"]);
        tracker.start("server");
        let told = tracker.http().get("/v1/alerts?symbol=NVDA").json();
        assert_eq!(told["items"].as_array().map(Vec::len), Some(alerts), "{store}: {told}");
    }
}
