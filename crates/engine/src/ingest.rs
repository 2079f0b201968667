//! Ingest: gets bars from the feed and hands them on in steps.
//!
//! A replay source plays; a provider is [polled](crate::poller). What counts, and to whom a ticker belonged
//! on its day, is decided here for both.

use crate::detect::{Answered, Step, status};
use crate::metrics::Metrics;
use jiff::{SignedDuration, Timestamp};
use qqq_core::market::watchlist::Unresolved;
use qqq_core::{Bar, Calendar, Clock, FeedInfo, Split, Watchlist};
use qqq_feed::{Reject, ReplaySource};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

/// Steps between ingest and detect.
pub const QUEUE: usize = 64;
/// Bars handed over in one step at the most.
pub(crate) const STEP_BARS: usize = 50_000;
/// A bar that ends later than this after the clock is from the future: a provider's mistake.
const FUTURE: SignedDuration = SignedDuration::from_mins(2);

/// What both kinds of source need.
#[derive(Clone)]
pub struct Ingest {
    /// What is tracked.
    pub watchlist: Arc<Watchlist>,
    /// Which minutes count.
    pub calendar: Arc<Calendar>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Where steps go.
    pub steps: mpsc::Sender<Step>,
}

impl Ingest {
    /// Plays a replay source to its end, or until `stop`.
    pub async fn play(
        &self,
        mut replay: Box<dyn ReplaySource>,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let info = replay.info().clone();
        loop {
            let batch = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                batch = replay.next() => batch?,
            };
            let Some(batch) = batch else {
                info!(provider = info.provider, "the recording is over");
                return Ok(());
            };
            self.reject(&batch.rejects);
            let bars = self.admit(batch.bars, batch.clock);
            let feed = status(&info, batch.clock, Some(self.clock.now()), None);
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                handed = self.hand_on(Vec::new(), bars, &info, &feed, None) => if handed.is_err() {
                    return Ok(());
                },
            }
        }
    }

    /// Hands steps on, cut to size. An error says that nobody takes them any more.
    pub(crate) async fn hand_on(
        &self,
        splits: Vec<Split>,
        bars: Vec<Bar>,
        info: &FeedInfo,
        feed: &qqq_core::FeedStatus,
        mut answered: Option<Answered>,
    ) -> Result<(), mpsc::error::SendError<Step>> {
        let (mut splits, mut rest) = (Some(splits), &bars[..]);
        loop {
            let (chunk, after) = rest.split_at(rest.len().min(STEP_BARS));
            rest = after;
            let is_last = rest.is_empty();
            let step = Step {
                splits: splits.take().unwrap_or_default(),
                bars: chunk.to_vec(),
                split_adjusted: info.split_adjusted,
                feed: feed.clone(),
                answered: if is_last { answered.take() } else { None },
            };
            self.steps.send(step).await?;
            if is_last {
                return Ok(());
            }
        }
    }

    /// Gives every bar of a provider to whom its ticker belonged on its day.
    pub(crate) fn attribute(&self, mut bars: Vec<Bar>) -> Vec<Bar> {
        let mut rejects = Vec::new();
        bars.retain_mut(|bar| {
            match self.watchlist.resolve_on(bar.symbol, self.calendar.date_of(bar.start)) {
                Ok(symbol) => bar.symbol = symbol,
                Err(Unresolved::NotTracked(_)) => return false,
                Err(other) => {
                    let place = format!("{} {}", bar.symbol, bar.start);
                    rejects.push(Reject { place, reason: other.to_string() });
                    return false;
                }
            }
            true
        });
        self.reject(&rejects);
        bars
    }

    /// Keeps the bars that count, oldest first.
    pub(crate) fn admit(&self, mut bars: Vec<Bar>, clock: Timestamp) -> Vec<Bar> {
        let cadence = self.calendar.cadence();
        let horizon = clock.checked_add(FUTURE).unwrap_or(Timestamp::MAX);
        let mut rejects = Vec::new();
        bars.retain(|bar| {
            if !cadence.starts(bar.start) {
                rejects.push(Reject {
                    place: format!("{} {}", bar.symbol, bar.start),
                    reason: format!("is not the start of a bar of {cadence}"),
                });
                return false;
            }
            if cadence.end(bar.start) > horizon {
                rejects.push(Reject {
                    place: format!("{} {}", bar.symbol, bar.start),
                    reason: format!("lies in the future of {clock}"),
                });
                return false;
            }
            self.calendar.counts(bar.start) && self.watchlist.id(bar.symbol).is_some()
        });
        self.reject(&rejects);
        bars.sort_by_key(|bar| (bar.start, bar.symbol));
        bars
    }

    pub(crate) fn reject(&self, rejects: &[Reject]) {
        self.metrics.rejected(rejects.len());
        for reject in rejects.iter().take(5) {
            debug!(place = reject.place, reason = reject.reason, "not a valid bar");
        }
        if let Some(first) = rejects.first() {
            warn!(count = rejects.len(), place = first.place, reason = first.reason, "bars were rejected");
        }
    }
}
