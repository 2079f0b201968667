//! Archive: a folder of Parquet files, one a New York day, of the bars of days that are over. What retention
//! drops from the store stays there, and [`History`] reads it from there.
//!
//! ```text
//! write    a day's file: what the old one holds, and over it what the store holds
//! history  bars from wherever they lie
//! ```
//!
//! Whether a day's file is up to date, the file itself says: it carries the [extent](ClosedExtent) of the
//! closed bars that it was written of. Nothing is kept beside it, so nothing can be out of step with it.

mod history;
mod write;

pub use history::History;

use crate::closing::day_over;
use jiff::civil::Date;
use qqq_core::{Bar, Calendar, FeedLabel, Second, Split, Splits, Symbol};
use qqq_feed::bar_file::{Labels, ReadOptions, Row, Units, archive_mark, open_archived};
use qqq_feed::{FeedError, FeedErrorKind};
use qqq_store::{ClosedExtent, Store, StoreError};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::NamedTempFile;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// How often it is looked whether a day is over, or has changed of late.
const EVERY: Duration = Duration::from_secs(60);
/// How far back that goes: over a long weekend.
const LATELY: i64 = 5 * 24 * 60 * 60;
/// How often all days are looked at.
const EVERYTHING_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// What the name of a file begins with that is being written.
const DRAFT: &str = ".draft.";
/// What a day's file ends in.
const ENDING: &str = ".parquet";

/// Why the archive could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file is not what was written, or cannot be read. It is named.
    #[error("the archive cannot be read: {0}")]
    File(#[from] FeedError),
    /// The bars of a file were brought over a split that the store has not heard of.
    #[error(
        "the archive cannot be read: {}: its bars of {} were brought over the split {split}, which the store \
         does not know: `qqq-tracker import` of this file tells it",
        path.display(),
        split.symbol
    )]
    UnknownSplit {
        /// Which file.
        path: PathBuf,
        /// Which split.
        split: Box<Split>,
    },
    /// A file could not be written.
    #[error("the archive cannot be written: {}: {error}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// A folder of days. One store's: days of several would become one.
#[derive(Clone, Debug)]
pub struct Archive {
    folder: PathBuf,
    calendar: Arc<Calendar>,
}

impl Archive {
    /// The archive in a folder. Nothing is looked at yet.
    pub fn new(folder: PathBuf, calendar: Arc<Calendar>) -> Self {
        Self { folder, calendar }
    }

    /// Makes the folder, finds whether it can be written to, and clears away what a killed process left
    /// half-written. For the worker alone.
    pub fn prepare(&self) -> io::Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        for entry in std::fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if is_draft(&path) {
                std::fs::remove_file(&path)?;
            }
        }
        draft_in(&self.folder)?.close()
    }

    /// Writes the days that are over and not as the store has them, until `stop`.
    pub async fn run(self, store: Arc<dyn Store>, stop: CancellationToken) -> anyhow::Result<()> {
        let mut looked_at_all: Option<Instant> = None;
        loop {
            let all = looked_at_all.is_none_or(|at| at.elapsed() >= EVERYTHING_EVERY);
            match self.catch_up(&*store, !all, &stop).await {
                Ok(days) => {
                    if all {
                        looked_at_all = Some(Instant::now());
                    }
                    if days > 0 {
                        info!(days, "days were written to the archive");
                    }
                }
                Err(ArchiveError::Store(error)) if error.is_transient() => {
                    warn!(%error, "the archive waits for the next round");
                }
                Err(ArchiveError::Store(error)) if !matches!(error, StoreError::Corrupt { .. }) => {
                    return Err(error.into());
                }
                Err(error) => error!("{error}; trying again"),
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    /// Writes the days that are over by the feed's clock and not as the store has them: all of them, or those
    /// of late. Answers how many were written.
    pub async fn catch_up(
        &self,
        store: &dyn Store,
        lately: bool,
        stop: &CancellationToken,
    ) -> Result<u64, ArchiveError> {
        let Some(feed) = store.feed_status().await? else { return Ok(0) };
        let clock = Second::minute_of(feed.clock);
        let mut from = if lately { clock.plus_seconds(-LATELY) } else { Second::MIN };
        let mut written = 0;
        while let Some(last) = store.closed_from(from).await?
            && let Some(day) = day_over(&self.calendar, last, clock)
            && !stop.is_cancelled()
        {
            from = day.end;
            let extent = store.closed_extent(day.clone()).await?;
            if self.holds(&day, extent).await? {
                continue;
            }
            let mut outcome = self.write(store, day.clone(), extent).await;
            if matches!(outcome, Err(ArchiveError::File(_))) {
                // The old file is out of the way now.
                outcome = self.write(store, day, extent).await;
            }
            match outcome {
                Ok(is_written) => written += u64::from(is_written),
                // Other days do not wait for one. Retention does, and who reads these bars is told the same.
                Err(error @ (ArchiveError::File(_) | ArchiveError::UnknownSplit { .. })) => {
                    error!("{error}; trying again");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    /// Until when everything from before `before` may be dropped from the store: where a day begins, and all
    /// earlier ones are here as the store has them.
    pub async fn holds_until(&self, store: &dyn Store, before: Second) -> Result<Second, ArchiveError> {
        let begins = |at: Second| self.calendar.midnight(self.calendar.date_of(at));
        let mut upto = begins(before);
        if let Some(open) = store.oldest_open().await? {
            upto = upto.min(begins(open));
        }
        let mut from = Second::MIN;
        while let Some(last) = store.closed_from(from).await?
            && last < upto
        {
            let start = begins(last);
            let Ok(tomorrow) = self.calendar.date_of(last).tomorrow() else { break };
            from = self.calendar.midnight(tomorrow);
            let day = start..from;
            let extent = store.closed_extent(day.clone()).await?;
            if !self.holds(&day, extent).await? {
                return Ok(start);
            }
        }
        Ok(upto)
    }

    /// Whether the file of a day was written of this extent.
    async fn holds(&self, day: &Range<Second>, extent: ClosedExtent) -> Result<bool, ArchiveError> {
        let path = self.file(self.calendar.date_of(day.start));
        blocking(move || Ok(path.exists() && archive_mark(&path).is_ok_and(|mark| mark == mark_of(extent))))
            .await
    }

    /// The bars of a symbol in a range, oldest first, at most `limit`, in the units after `splits`.
    async fn bars(
        &self,
        symbol: Symbol,
        range: Range<Second>,
        limit: usize,
        splits: Splits,
    ) -> Result<Vec<Bar>, ArchiveError> {
        let archive = self.clone();
        blocking(move || {
            let mut bars = Vec::new();
            for path in archive.files_in(&range)? {
                for bar in read_day(&path, &archive.calendar, Some(symbol), splits.clone())? {
                    let bar = bar?;
                    if range.contains(&bar.start) {
                        bars.push(bar);
                    }
                }
                if bars.len() >= limit {
                    break;
                }
            }
            bars.truncate(limit);
            Ok(bars)
        })
        .await
    }

    /// When the first day begins that is here.
    async fn begins(&self) -> Result<Option<Second>, ArchiveError> {
        let archive = self.clone();
        let dates = blocking(move || archive.dates()).await?;
        Ok(dates.first().map(|&date| self.calendar.midnight(date)))
    }

    /// The files of the days that a range touches, oldest first.
    fn files_in(&self, range: &Range<Second>) -> Result<Vec<PathBuf>, ArchiveError> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let (first, last) =
            (self.calendar.date_of(range.start), self.calendar.date_of(range.end.plus_seconds(-1)));
        let mut dates = self.dates()?;
        dates.retain(|date| (first..=last).contains(date));
        Ok(dates.into_iter().map(|date| self.file(date)).collect())
    }

    /// The days that are here, in order. None where there is no folder yet.
    fn dates(&self) -> Result<Vec<Date>, ArchiveError> {
        let cannot = |error: io::Error| {
            let message = format!("{}: cannot be read: {error}", self.folder.display());
            FeedError::new(FeedErrorKind::File, message)
        };
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(cannot(error).into()),
        };
        let mut dates = Vec::new();
        for entry in entries {
            let name = entry.map_err(cannot)?.file_name();
            let date = name.to_str().and_then(|name| name.strip_suffix(ENDING));
            dates.extend(date.and_then(|date| date.parse::<Date>().ok()));
        }
        dates.sort_unstable();
        Ok(dates)
    }

    fn file(&self, date: Date) -> PathBuf {
        self.folder.join(format!("{date}{ENDING}"))
    }
}

/// What a file says of what it was written of.
fn mark_of(ClosedExtent { bars, newest, sequences }: ClosedExtent) -> String {
    format!("bars={bars} newest={} sequences={sequences}", newest.0)
}

/// The bars in the file of a day, of one symbol or all, in its order, in the units after `splits`. What is no
/// bar is damage: we wrote it.
fn read_day(
    path: &Path,
    calendar: &Calendar,
    symbol: Option<Symbol>,
    splits: Splits,
) -> Result<impl Iterator<Item = Result<Bar, ArchiveError>>, ArchiveError> {
    let damaged = |what: String| FeedError::new(FeedErrorKind::File, format!("{}: {what}", path.display()));
    let otherwise = FeedLabel::new("archive").map_err(|error| damaged(error.to_string()))?;
    let units = Units { splits, split_adjusted: false };
    let options = ReadOptions { units, ..ReadOptions::from(Labels::Any { otherwise }) };
    let mut file = open_archived(path, options)?;
    if let Some(symbol) = symbol {
        file = file.skipping_to(symbol);
    }
    let is_wanted = move |of: Symbol| symbol.is_none_or(|symbol| symbol == of);
    Ok(file.of_any_symbol(calendar).filter_map(move |row| match row {
        Ok(Row::Bar(bar)) => is_wanted(bar.symbol).then_some(Ok(bar)),
        Ok(Row::NotTracked(_)) => None,
        Ok(Row::Split(split)) => is_wanted(split.symbol)
            .then(|| Err(ArchiveError::UnknownSplit { path: path.to_owned(), split: Box::new(split) })),
        Ok(Row::Rejected(row)) => Some(Err(damaged(format!("{}: {}", row.place, row.reason)).into())),
        Err(error) => Some(Err(error.into())),
    }))
}

/// A file that goes away unless it is kept. Readers pass over its name.
fn draft_in(folder: &Path) -> io::Result<NamedTempFile> {
    let mut draft = tempfile::Builder::new();
    draft.prefix(DRAFT);
    // As any other new file: readable as the umask says.
    #[cfg(unix)]
    draft.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    draft.tempfile_in(folder)
}

fn is_draft(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(DRAFT))
}

/// Files are read and written where that holds up nobody.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ArchiveError> + Send + 'static,
) -> Result<T, ArchiveError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| {
        Err(StoreError::Backend(format!("reading or writing the archive failed: {panic}")).into())
    })
}
