//! The archive over a real store: what is in its files, and that readers see no difference when the store
//! has dropped what they hold.

use crate::world::{at, bar, minute, symbol};
use qqq_core::alert::backtest::BacktestQuery;
use qqq_core::market::calendar::Market;
use qqq_core::{
    Bar, Calendar, FeedMode, FeedStatus, Metric, Price, RuleName, Second, SpikeRule, Split, Symbol,
};
use qqq_engine::archive::{Archive, ArchiveError, History};
use qqq_engine::backtest::backtest;
use qqq_engine::closing;
use qqq_engine::retain::{self, Retention};
use qqq_feed::bar_file::{self, Labels, Row};
use qqq_store::{BarRecord, Batch, SplitRecord, Store};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const SYMBOLS: [&str; 3] = ["AAPL", "BRK.B", "NVDA"];
/// A week, the first of it an early day in winter, and the opens of its sessions.
const OPENS: [&str; 5] = [
    "2025-01-27T14:30:00Z",
    "2025-01-28T14:30:00Z",
    "2025-01-29T14:30:00Z",
    "2025-01-30T14:30:00Z",
    "2025-01-31T14:30:00Z",
];
const MINUTES: i32 = 120;
const RETENTION: Duration = Duration::from_secs(2 * 24 * 60 * 60);

struct Kept {
    store: Arc<dyn Store>,
    calendar: Arc<Calendar>,
    folder: TempDir,
}

/// What a bar is, by its place: prices with all their digits, gaps, and what may be missing.
fn given() -> Vec<Bar> {
    let mut bars = Vec::new();
    for (day, open) in OPENS.into_iter().enumerate() {
        for (n, name) in SYMBOLS.into_iter().enumerate() {
            for at in (0..MINUTES).filter(|at| at % 11 != n as i32) {
                let close = 100 * Price::DOLLAR + i64::from(at * 7919 % 1009) * 1_234_567 + n as i64;
                let close = Price::from_nanos(close).unwrap();
                let loud = if at % 37 == 0 { 40 } else { 1 };
                bars.push(Bar {
                    close,
                    low: close.min(bar(name, minute(open), 10_000, 1).open),
                    high: close.max(bar(name, minute(open), 10_000, 1).open),
                    vwap: (at % 2 == 0).then_some(close),
                    trades: (at % 3 == 0).then_some(u32::MAX - day as u32),
                    ..bar(name, minute(open).plus_minutes(at), 10_000, loud * 1_000 + i64::from(at))
                });
            }
        }
    }
    bars
}

fn status(clock: &str) -> FeedStatus {
    FeedStatus {
        provider: "test".to_owned(),
        label: "fake".parse().unwrap(),
        mode: FeedMode::Replayed,
        coverage: String::new(),
        stands_in_for: None,
        clock: at(clock),
        answered_at: None,
        problem: None,
        asked_until: None,
        symbol_problems: Vec::new(),
    }
}

impl Kept {
    /// All bars in a store whose feed says it is Saturday.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("test.db").display());
        let store = qqq_store::open(&url).await.unwrap();
        let kept = Self { store, calendar: Arc::new(Calendar::new(Market::Xnys, false, [])), folder };
        kept.write(given()).await;
        kept.commit(Batch { feed: Some(status("2025-02-01T12:00:00Z")), ..Batch::default() }).await;
        kept.archive().prepare().unwrap();
        kept
    }

    async fn commit(&self, batch: Batch) {
        self.store.commit(&batch, at("2026-01-01T00:00:00Z")).await.unwrap();
    }

    async fn write(&self, bars: Vec<Bar>) {
        let bars = bars.into_iter().map(|bar| BarRecord { bar, revision: 0 }).collect();
        self.commit(Batch { bars, ..Batch::default() }).await;
    }

    fn archive(&self) -> Archive {
        Archive::new(self.folder.path().join("archive"), Arc::clone(&self.calendar))
    }

    fn history(&self) -> History {
        History::new(Arc::clone(&self.store)).with_archive(Some(self.archive()), RETENTION)
    }

    /// A round of closing and of the archive.
    async fn catch_up(&self) -> u64 {
        let stop = CancellationToken::new();
        closing::once(&*self.store, &self.calendar, &stop).await.unwrap();
        self.archive().catch_up(&*self.store, false, &stop).await.unwrap()
    }

    async fn retain(&self) {
        let retention = Retention { bars: RETENTION, own_alerts: RETENTION };
        let stop = CancellationToken::new();
        let now = at("2026-01-01T00:00:00Z");
        retain::once(&*self.store, retention, Some(&self.archive()), now, &stop).await.unwrap();
    }

    fn file(&self, date: &str) -> PathBuf {
        self.folder.path().join("archive").join(format!("{date}.parquet"))
    }

    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(self.folder.path().join("archive")).unwrap();
        let file = |entry: fs::DirEntry| (entry.file_name().into_string().unwrap(), entry.path());
        entries
            .map(|entry| file(entry.unwrap()))
            .map(|(name, path)| (name, fs::read(path).unwrap()))
            .collect()
    }

    async fn stored(&self, name: &str) -> Vec<Bar> {
        self.store.history(symbol(name), Second::MIN..Second::MAX, usize::MAX).await.unwrap()
    }
}

/// All bars of a history, page by page.
async fn all(history: &History, name: &str, page: usize) -> Result<Vec<Bar>, ArchiveError> {
    let (mut bars, mut next) = (Vec::new(), Second::MIN);
    loop {
        let read = history.bars(symbol(name), next..Second::MAX, page).await?;
        let Some(last) = read.last() else { return Ok(bars) };
        next = last.start.plus_seconds(1);
        bars.extend(read);
    }
}

fn of(bars: &[Bar], name: &str) -> Vec<Bar> {
    let name: Symbol = symbol(name);
    let mut bars: Vec<Bar> = bars.iter().filter(|bar| bar.symbol == name).copied().collect();
    bars.sort_by_key(|bar| bar.start);
    bars
}

#[tokio::test]
async fn each_day_that_is_over_is_a_file_of_its_bars_by_symbol_and_start() {
    let kept = Kept::new().await;
    kept.commit(Batch { feed: Some(status("2025-01-31T20:00:00Z")), ..Batch::default() }).await;
    assert_eq!(kept.catch_up().await, 4, "Friday is not over");
    kept.commit(Batch { feed: Some(status("2025-02-01T12:00:00Z")), ..Batch::default() }).await;
    assert_eq!(kept.catch_up().await, 1);
    let files = kept.files();
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(names, [27, 28, 29, 30, 31].map(|day| format!("2025-01-{day}.parquet")));
    let mut found = Vec::new();
    for date in names {
        let labels = Labels::Any { otherwise: "none".parse().unwrap() };
        let path = kept.folder.path().join("archive").join(date);
        let rows: Vec<Bar> = bar_file::open(&path, labels)
            .unwrap()
            .map(|row| match row.unwrap() {
                Row::Bar(bar) => bar,
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(rows.is_sorted_by_key(|bar| (bar.symbol, bar.start)), "{date}");
        found.extend(rows);
    }
    for name in SYMBOLS {
        assert_eq!(of(&found, name), of(&given(), name));
    }
    assert_eq!(found.len(), given().len());
    assert_eq!(kept.catch_up().await, 0, "nothing has changed");
    assert_eq!(kept.files(), files);
}

#[tokio::test]
async fn a_day_that_changed_is_written_anew_and_no_other() {
    let kept = Kept::new().await;
    kept.catch_up().await;
    let before = kept.files();
    // A correction, a bar that was missing, and one behind the last.
    let open = minute(OPENS[1]);
    let late = [(1, 12_345), (11, 12_346), (300, 12_347)]
        .map(|(at, cents)| bar("AAPL", open.plus_minutes(at), cents, 5));
    for one in late {
        kept.write(vec![one]).await;
        assert_eq!(kept.catch_up().await, 1);
    }
    let after = kept.files();
    let changed: Vec<&String> = after
        .iter()
        .filter(|(name, bytes)| before.get(*name) != Some(*bytes))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(changed, ["2025-01-28.parquet"]);
    kept.retain().await;
    let read = all(&kept.history(), "AAPL", 1_000).await.unwrap();
    assert!(late.iter().all(|one| read.contains(one)));
    assert_eq!(read.len(), of(&given(), "AAPL").len() + 2);
}

#[tokio::test]
async fn readers_see_no_difference_when_retention_has_dropped_what_is_archived() {
    let kept = Kept::new().await;
    let open = minute(OPENS[0]);
    let query = BacktestQuery {
        rule: RuleName::House,
        house: SpikeRule { min_bars: 10, ..SpikeRule::default() },
        symbols: SYMBOLS.map(symbol).to_vec(),
        metrics: vec![Metric::Price, Metric::Volume],
        range: open..minute("2025-02-01T00:00:00Z"),
        most: usize::MAX,
    };
    kept.catch_up().await;
    let before = backtest(&kept.history(), &kept.calendar, &query).await.unwrap();
    assert!(before.alerts.len() > 10);
    kept.retain().await;
    for name in SYMBOLS {
        let left = kept.stored(name).await;
        assert_eq!(left.first().unwrap().start.start().to_string()[..10], *"2025-01-30");
        for page in [1_usize, 50, 107, 1_000].into_iter().filter(|&page| page > 1 || name == "NVDA") {
            assert_eq!(all(&kept.history(), name, page).await.unwrap(), of(&given(), name), "{page}");
        }
        // Any range, across days and within one.
        for (from, minutes) in [(0, 1), (5, 60), (100, 1_440), (1_400, 4_000), (2_880, 1_500), (-90, 30)] {
            let range = open.plus_minutes(from)..open.plus_minutes(from + minutes);
            let mut expected = of(&given(), name);
            expected.retain(|bar| range.contains(&bar.start));
            let read = kept.history().bars(symbol(name), range, usize::MAX).await.unwrap();
            assert_eq!(read, expected, "{from}, {minutes}");
        }
    }
    assert_eq!(backtest(&kept.history(), &kept.calendar, &query).await.unwrap(), before);
    let alone = backtest(&History::new(Arc::clone(&kept.store)), &kept.calendar, &query).await.unwrap();
    assert_ne!(alone, before, "the archive was not needed");
    // Nothing is written because the store holds less.
    let files = kept.files();
    kept.catch_up().await;
    assert_eq!(kept.files(), files);
}

#[tokio::test]
async fn retention_waits_for_what_is_not_archived() {
    let kept = Kept::new().await;
    kept.retain().await;
    for name in SYMBOLS {
        assert_eq!(kept.stored(name).await, of(&given(), name), "nothing is archived");
    }
    kept.catch_up().await;
    // A bar of Tuesday that is not archived yet, as a row and in its block.
    let missing = bar("AAPL", minute(OPENS[1]).plus_minutes(11), 12_345, 5);
    let behind = bar("AAPL", minute(OPENS[1]).plus_minutes(300), 12_345, 5);
    for one in [missing, behind] {
        kept.write(vec![one]).await;
        kept.retain().await;
        let left = kept.stored("AAPL").await;
        assert_eq!(left.first().unwrap().start, minute(OPENS[1]).plus_minutes(1), "Monday alone may go");
        assert!(left.contains(&one));
    }
    kept.catch_up().await;
    kept.retain().await;
    assert_eq!(kept.stored("AAPL").await.first().unwrap().start, minute(OPENS[3]).plus_minutes(1));
    let read = all(&kept.history(), "AAPL", 100).await.unwrap();
    assert!(read.contains(&missing) && read.contains(&behind));
}

#[tokio::test]
async fn what_comes_late_of_a_day_that_was_dropped_lies_beside_what_is_archived() {
    let kept = Kept::new().await;
    kept.catch_up().await;
    kept.retain().await;
    let late = bar("AAPL", minute(OPENS[0]).plus_minutes(5), 12_345, 5);
    kept.write(vec![late]).await;
    let mut expected = of(&given(), "AAPL");
    let place = expected.iter().position(|bar| bar.start == late.start).unwrap();
    expected[place] = late;
    assert_eq!(all(&kept.history(), "AAPL", 30).await.unwrap(), expected, "it lies in the store");
    assert_eq!(kept.catch_up().await, 1);
    kept.retain().await;
    assert!(kept.stored("AAPL").await.first().unwrap().start >= minute(OPENS[3]), "it was dropped again");
    assert_eq!(all(&kept.history(), "AAPL", 30).await.unwrap(), expected, "it lies in the archive");
}

#[tokio::test]
async fn archived_bars_are_told_in_the_units_after_every_split() {
    let kept = Kept::new().await;
    kept.catch_up().await;
    kept.retain().await;
    let mut expected = of(&given(), "NVDA");
    // One of Thursday; later, one of Friday, which meets bars from before both in the archive and the store.
    for (day, new) in [("2025-01-30", 4), ("2025-01-31", 2)] {
        let split = Split::new(symbol("NVDA"), day.parse().unwrap(), new, 1).unwrap();
        let from = kept.calendar.midnight(split.ex_date);
        kept.commit(Batch { splits: vec![SplitRecord { split, from }], ..Batch::default() }).await;
        split.rescale(&mut expected, &kept.calendar);
        assert_eq!(
            all(&kept.history(), "NVDA", 100).await.unwrap(),
            expected,
            "{day}: before the files know"
        );
        kept.catch_up().await;
        kept.retain().await;
        assert_eq!(all(&kept.history(), "NVDA", 100).await.unwrap(), expected, "{day}: after");
        assert_eq!(all(&kept.history(), "AAPL", 100).await.unwrap(), of(&given(), "AAPL"));
    }
}

#[tokio::test]
async fn a_damaged_file_is_an_error_that_names_it_and_never_another_price() {
    let kept = Kept::new().await;
    kept.catch_up().await;
    kept.retain().await;
    let path = kept.file("2025-01-28");
    let good = fs::read(&path).unwrap();
    let expected = of(&given(), "BRK.B");
    let tuesday = minute(OPENS[1])..minute(OPENS[2]);
    let of_tuesday: Vec<Bar> = expected.iter().filter(|bar| tuesday.contains(&bar.start)).copied().collect();
    let (mut refused, mut harmless) = (0, 0);
    for (n, at) in (0..good.len()).step_by(23).enumerate() {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (n % 8);
        fs::write(&path, &bytes).unwrap();
        match kept.history().bars(symbol("BRK.B"), tuesday.clone(), usize::MAX).await {
            Ok(read) => {
                assert!(read == of_tuesday, "byte {at}: other bars");
                harmless += 1;
            }
            Err(error) => {
                assert!(error.to_string().contains("2025-01-28.parquet"), "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 20 && harmless > 0, "{refused} refused, {harmless} harmless");
    for length in [0, 3, good.len() / 2, good.len() - 1] {
        fs::write(&path, &good[..length]).unwrap();
        let error = all(&kept.history(), "BRK.B", 1_000).await.unwrap_err();
        assert!(error.to_string().contains("2025-01-28.parquet"), "{error}");
    }
    // A page of one symbol concerns no other: their row groups are not read.
    let mut bytes = good.clone();
    bytes[200] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert!(all(&kept.history(), "AAPL", 1_000).await.is_err());
    assert_eq!(all(&kept.history(), "NVDA", 1_000).await.unwrap(), of(&given(), "NVDA"));
    // Other days are read.
    fs::write(&path, &good[..100]).unwrap();
    let range = minute(OPENS[0])..minute(OPENS[0]).plus_minutes(MINUTES);
    let monday = kept.history().bars(symbol("BRK.B"), range.clone(), usize::MAX).await.unwrap();
    assert_eq!(monday, expected.into_iter().filter(|bar| range.contains(&bar.start)).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_damaged_file_of_a_day_that_the_store_still_holds_is_set_aside_and_written_anew() {
    let kept = Kept::new().await;
    kept.catch_up().await;
    let before = kept.files();
    fs::write(kept.file("2025-01-28"), &before["2025-01-28.parquet"][..500]).unwrap();
    assert_eq!(kept.catch_up().await, 1);
    let mut after = kept.files();
    assert_eq!(after.remove("2025-01-28.parquet.damaged").unwrap().len(), 500);
    assert_eq!(after, before);
}

#[tokio::test]
async fn what_a_killed_process_left_half_written_is_nobodys_and_goes() {
    let kept = Kept::new().await;
    kept.catch_up().await;
    let before = kept.files();
    let whole = &before["2025-01-28.parquet"];
    for length in [0, 100, whole.len()] {
        let draft = kept.folder.path().join("archive").join(format!(".draft.{length}"));
        fs::write(draft, &whole[..length]).unwrap();
    }
    kept.retain().await;
    assert_eq!(all(&kept.history(), "AAPL", 100).await.unwrap(), of(&given(), "AAPL"));
    kept.archive().prepare().unwrap();
    assert_eq!(kept.files(), before);
    // A file that is gone is written again while the store holds its day.
    fs::remove_file(kept.file("2025-01-30")).unwrap();
    assert_eq!(kept.catch_up().await, 1);
    assert_eq!(kept.files(), before);
    // Without a folder, there is the store.
    fs::remove_dir_all(kept.folder.path().join("archive")).unwrap();
    assert_eq!(all(&kept.history(), "AAPL", 100).await.unwrap(), kept.stored("AAPL").await);
}
