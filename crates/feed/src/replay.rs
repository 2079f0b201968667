//! Plays recorded bars: a [`ReplaySource`] over files of bars.

use crate::bar_file::{self, Labels, ReadOptions, Row};
use crate::{FeedError, FeedErrorKind, Reject, ReplaySource, TimedBatch};
use async_trait::async_trait;
use qqq_core::{Bar, Calendar, FeedInfo, FeedMode, Second, Watchlist};
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;
use tokio::time::Instant;

/// Most bars one recording may hold: they are sorted in memory, about 130 bytes each.
pub const MAX_BARS: usize = 10_000_000;

/// Rejects handed on one by one; a file of nothing else must not fill the memory.
const MAX_REJECTS: usize = 10_000;

/// A hole in the recording of more counting seconds is not waited for.
const LONGEST_WAIT: i64 = 60 * 60;

/// How fast a recording is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplaySpeed {
    /// As fast as the batches are asked for.
    Max,
    /// So many times as fast as it was recorded, 1 to [`ReplaySpeed::MAX_TIMES`].
    Times(u32),
}

impl ReplaySpeed {
    /// A day's session in a quarter of a second.
    pub const MAX_TIMES: u32 = 100_000;

    /// How long so many recorded seconds take; nothing at full speed.
    fn duration(self, seconds: u64) -> Duration {
        match self {
            Self::Max => Duration::ZERO,
            Self::Times(times) => {
                let nanos = u128::from(seconds) * 1_000_000_000 / u128::from(times.max(1));
                Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
            }
        }
    }
}

impl FromStr for ReplaySpeed {
    type Err = InvalidReplaySpeed;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "max" {
            return Ok(Self::Max);
        }
        text.strip_suffix('x')
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .filter(|times| (1..=Self::MAX_TIMES).contains(times))
            .map(Self::Times)
            .ok_or_else(|| InvalidReplaySpeed(text.chars().take(32).collect()))
    }
}

impl fmt::Display for ReplaySpeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Max => f.write_str("max"),
            Self::Times(times) => write!(f, "{times}x"),
        }
    }
}

/// A text that is no speed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a replay speed: it must be `max`, or `1x` to `100000x`")]
pub struct InvalidReplaySpeed(pub String);

/// A recording that plays: one batch for each time that has bars, its clock at the end of those.
///
/// Only counting time of the calendar takes time: nights, weekends and holes of more than an hour are
/// skipped. Bars that do not count are in the batches too; whoever ingests them decides.
#[derive(Debug)]
pub struct Replay {
    info: FeedInfo,
    calendar: Calendar,
    speed: ReplaySpeed,
    bars: Vec<Bar>,
    rejects: Vec<Reject>,
    not_tracked: u64,
    played: usize,
    /// The newest start that was played before.
    known: Option<Second>,
    began: Option<Instant>,
    /// The last batch: its start, and its distance from the first in seconds that take time.
    last: Option<(Second, u64)>,
}

impl Replay {
    /// Reads a file, or all files of bars in a folder, and sorts their bars by time. A later bar of the same
    /// symbol and start is a revision and stays behind the earlier one.
    ///
    /// All bars will carry the label that `options` give. Blocks on the disk. It is an error if there is no
    /// bar of a tracked symbol, or more than [`MAX_BARS`].
    pub fn open(
        path: &Path,
        speed: ReplaySpeed,
        watchlist: &Watchlist,
        calendar: &Calendar,
        options: impl Into<ReadOptions>,
    ) -> Result<Self, FeedError> {
        let mut options = options.into();
        let label = options.labels.otherwise();
        options.labels = Labels::All(label);
        let (mut bars, mut rejects, mut rejected, mut not_tracked) = (Vec::new(), Vec::new(), 0_usize, 0);
        for source in bar_file::sources(&[path.to_owned()]) {
            let mut file = source?.open(&options)?.tracked_by(watchlist, calendar);
            for row in file.by_ref() {
                match row? {
                    Row::Bar(_) if bars.len() == MAX_BARS => {
                        let what =
                            format!("{}: more than {MAX_BARS} bars; replay fewer files", path.display());
                        return Err(FeedError::new(FeedErrorKind::File, what));
                    }
                    Row::Bar(bar) => bars.push(bar),
                    Row::Split(split) => split.rescale(&mut bars, calendar),
                    Row::NotTracked(_) => not_tracked += 1,
                    Row::Rejected(reject) => {
                        rejected += 1;
                        if rejects.len() < MAX_REJECTS {
                            rejects.push(Reject::from(reject));
                        }
                    }
                }
            }
            options.units = file.units().clone();
        }
        if bars.is_empty() {
            let first = rejects.first().map(|one| format!("; the first: {}: {}", one.place, one.reason));
            let what = format!(
                "{}: no bar of a tracked symbol: {not_tracked} rows of others, {rejected} rejected{}",
                path.display(),
                first.unwrap_or_default()
            );
            return Err(FeedError::new(FeedErrorKind::File, what));
        }
        if rejected > rejects.len() {
            let reason = format!("{} more rows were rejected", rejected - rejects.len());
            rejects.push(Reject { place: path.display().to_string(), reason });
        }
        // Stable: revisions stay in the order they were read in.
        bars.sort_by_key(|bar| (bar.start, bar.symbol));
        // Everybody reads this: what it is called, not where it lies.
        let name = path.file_name().map_or_else(|| path.to_string_lossy(), |name| name.to_string_lossy());
        let info = FeedInfo {
            provider: "replay",
            label,
            mode: FeedMode::Replayed,
            coverage: format!("recorded bars of {name}"),
            // Brought into today's units as they were read.
            split_adjusted: true,
            delay_minutes: 0,
        };
        Ok(Self {
            info,
            calendar: calendar.clone(),
            speed,
            bars,
            rejects,
            not_tracked,
            played: 0,
            known: None,
            began: None,
            last: None,
        })
    }

    /// Goes on after `known`, the newest start that was played before: bars up to it come again, each
    /// bar as its last revision left it, and take no time. So a restart neither plays a correction backwards
    /// nor waits for what is known.
    #[must_use]
    pub fn resume_after(mut self, known: Second) -> Self {
        let mut kept: Vec<Bar> = Vec::with_capacity(self.bars.len());
        for bar in std::mem::take(&mut self.bars) {
            match kept.last_mut() {
                Some(last) if bar.start <= known && (last.start, last.symbol) == (bar.start, bar.symbol) => {
                    *last = bar;
                }
                _ => kept.push(bar),
            }
        }
        self.bars = kept;
        self.known = Some(known);
        self
    }

    /// Rows of symbols that are not tracked.
    pub fn not_tracked(&self) -> u64 {
        self.not_tracked
    }

    /// Bars played, and bars in all.
    pub fn progress(&self) -> (usize, usize) {
        (self.played, self.bars.len())
    }

    /// How many seconds that take time lie between the first batch and one that starts at `start`.
    fn distance(&self, start: Second) -> u64 {
        let Some((last, distance)) = self.last else { return 0 };
        let cadence = self.calendar.cadence();
        let seconds = self.calendar.counting_seconds(cadence.after(last)..cadence.after(start)).max(0);
        // After a hole the next bar follows at once.
        distance + if seconds > LONGEST_WAIT { cadence.seconds() } else { seconds }.unsigned_abs()
    }
}

#[async_trait]
impl ReplaySource for Replay {
    fn info(&self) -> &FeedInfo {
        &self.info
    }

    async fn next(&mut self) -> Result<Option<TimedBatch>, FeedError> {
        let Some(start) = self.bars.get(self.played).map(|bar| bar.start) else { return Ok(None) };
        let is_known = self.known.is_some_and(|known| start <= known);
        let distance = if is_known { 0 } else { self.distance(start) };
        match self.speed {
            // Never pending otherwise: others on this thread must get their turn.
            ReplaySpeed::Max => tokio::task::coop::consume_budget().await,
            ReplaySpeed::Times(_) if is_known => tokio::task::coop::consume_budget().await,
            ReplaySpeed::Times(_) => {
                let began = *self.began.get_or_insert_with(Instant::now);
                tokio::time::sleep_until(began + self.speed.duration(distance)).await;
            }
        }
        // Nothing below waits: who gives up waiting above has lost nothing.
        let bars: Vec<Bar> =
            self.bars[self.played..].iter().take_while(|bar| bar.start == start).copied().collect();
        self.played += bars.len();
        self.last = Some((start, distance));
        let clock = self.calendar.cadence().end(start);
        Ok(Some(TimedBatch { bars, rejects: std::mem::take(&mut self.rejects), clock }))
    }
}
