//! The poller: asks a provider while the market is open, aligned to the minute, and listens to its stream
//! beside that.
//!
//! Every poll asks again for the last minutes; after any gap, whoever's fault it was, the poll begins where
//! the last good one ended. What was seen is not remembered here but in the store.
//!
//! A provider that only streams is not asked: it is well while its stream stands, and what that missed stays
//! missing.

mod ask;

use crate::detect::{Answered, status};
use crate::failover::FeedRole;
use crate::ingest::{Ingest, STEP_BARS};
use crate::schedule;
use crate::symbol_troubles::SymbolTroubles;
use jiff::{SignedDuration, Timestamp};
use qqq_core::{Bar, Clock, FeedInfo, Second, Split, Symbol};
use qqq_feed::{FeedError, FeedErrorKind, Provider, StreamEvent};
use qqq_store::Store;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Longest sleep without a look at the clock.
const NAP: Duration = Duration::from_secs(60);
/// How long streamed bars are gathered into one step.
const GATHER: Duration = Duration::from_millis(50);
/// Without any bar for so long while the market is open, a feed counts as dead.
const DEAD_AFTER: SignedDuration = SignedDuration::from_mins(5);
/// How long after a streamed bar a stream counts as bringing bars, whatever becomes of the polls beside it.
const STREAMED: SignedDuration = SignedDuration::from_secs(90);
/// Questions for some symbols that fail, while nothing was answered, before the others are not asked for:
/// then it is no trouble of single symbols.
const MAX_IN_VAIN: u32 = 2;
/// Symbols that a feed on standby is asked for.
const PROBED: usize = 3;

/// How a feed is, after every poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// It answers, and has bars while the market is open.
    Well,
    /// It fails, or refuses.
    Failing(FeedError),
}

/// Polls a provider.
pub struct Poller {
    ingest: Ingest,
    provider: Arc<dyn Provider>,
    info: FeedInfo,
    interval: i64,
    backfill: i32,
    /// Where the next poll takes up, by symbol: shortly before the end of its last good one.
    from: HashMap<Symbol, Second>,
    newest: Option<Second>,
    splits_asked_on: Option<jiff::civil::Date>,
    /// End of the last session that was asked for once more as a whole.
    reconciled: Option<Second>,
    answered_at: Option<Timestamp>,
    problem: Option<String>,
    troubles: SymbolTroubles,
    /// Whether what it gets is wanted.
    on_air: bool,
    /// Whether it has to start over with its history once it is on air: other feeds have run meanwhile.
    is_behind: bool,
    /// Whether any symbol was answered for in the latest poll.
    answered: bool,
    /// Of a provider that only streams: since when it is listened to.
    listens_since: Option<Second>,
    /// Whether the stream has been connected.
    stream_worked: bool,
    /// When the stream last brought a bar.
    streamed_at: Option<Timestamp>,
    /// Why there is no stream, of a provider that only streams.
    lost: Option<FeedError>,
    /// Whether a provider that only streams has accepted the key.
    accepted: bool,
}

impl Poller {
    /// Takes up where the store stops.
    pub async fn new(
        ingest: Ingest,
        provider: Arc<dyn Provider>,
        store: &dyn Store,
        interval: Duration,
        backfill: Duration,
    ) -> anyhow::Result<Self> {
        let market = market_time(&*ingest.clock, provider.info());
        let backfill = (backfill.as_secs() / 60) as i32;
        let label = provider.info().label;
        let mut newest = HashMap::new();
        // Only bars of this feed: another feed's history is no history of this one.
        for record in store.recent_bars(ingest.watchlist.symbols(), 1).await? {
            if record.bar.feed == label {
                newest.insert(record.bar.symbol, record.bar.start);
            }
        }
        // A symbol that was refused is not asked for more often because of a restart.
        let status = store.feed_status().await?.filter(|status| status.label == label);
        let troubles =
            SymbolTroubles::restore(status.map(|status| status.symbol_problems).unwrap_or_default());
        let from = ingest
            .watchlist
            .symbols()
            .iter()
            .map(|&symbol| {
                let start =
                    schedule::take_up(newest.get(&symbol).copied(), market, backfill, &ingest.calendar);
                (symbol, start)
            })
            .collect();
        Ok(Self {
            info: provider.info().clone(),
            ingest,
            provider,
            interval: interval.as_secs() as i64,
            backfill,
            from,
            newest: newest.into_values().max(),
            splits_asked_on: None,
            reconciled: None,
            answered_at: None,
            problem: None,
            troubles,
            on_air: true,
            is_behind: false,
            answered: false,
            listens_since: None,
            stream_worked: false,
            streamed_at: None,
            lost: None,
            accepted: false,
        })
    }

    /// Does its duty until `stop`, and reports after every poll how the feed is.
    pub async fn run(
        mut self,
        stream: bool,
        mut duty: watch::Receiver<FeedRole>,
        report: (usize, mpsc::Sender<(usize, Report)>),
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let mut events = None;
        loop {
            let told = *duty.borrow_and_update();
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                changed = duty.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                }
                () = self.serve(told, stream, &mut events, &report) => return Ok(()),
            }
        }
    }

    /// Polls and listens as its duty is, until nobody takes steps any more. May be dropped at any await: what
    /// it was doing is done again, or not wanted any more.
    async fn serve(
        &mut self,
        duty: FeedRole,
        stream: bool,
        events: &mut Option<mpsc::Receiver<StreamEvent>>,
        report: &(usize, mpsc::Sender<(usize, Report)>),
    ) {
        self.on_air = duty == FeedRole::Active;
        match duty {
            FeedRole::Idle => {
                self.is_behind = true;
                *events = None;
                return std::future::pending().await;
            }
            FeedRole::Standby => self.is_behind = true,
            FeedRole::Active if self.is_behind => self.start_over(),
            FeedRole::Active => {}
        }
        let only_streams = !self.provider.has_history();
        if only_streams {
            self.listens_since = Some(schedule::complete_until(self.market_time()));
        } else {
            *events = None;
        }
        let symbols = self.ingest.watchlist.symbols().to_vec();
        let streams = stream && (self.on_air || only_streams);
        let mut due = self.ingest.clock.now();
        let (mut before, mut stream_due) = (due, due);
        // Refusals in a row, of questions and of streams.
        let (mut refusals, mut stream_refusals) = (0, 0);
        loop {
            let now = self.ingest.clock.now();
            if now < before {
                // The clock was set back: what was planned by it is not.
                due = self.next_poll();
                stream_due = now;
            }
            before = now;
            if now >= due {
                let result = self.ask().await;
                // Nobody listens only while the process ends.
                let _ = report.1.send((report.0, self.standing(&result))).await;
                let soon = self.in_future(SignedDuration::from_secs(self.interval));
                due = match &result {
                    Err(error) if error.is_final() => {
                        refusals += 1;
                        let asked_for =
                            error.retry_after.and_then(|wait| SignedDuration::try_from(wait).ok());
                        let pause = asked_for.map(|wait| wait.max(SignedDuration::from_secs(self.interval)));
                        self.in_future(pause.unwrap_or_else(|| schedule::after_refusal(refusals)))
                    }
                    // Also while the market is closed: a failure must not wait for the next session.
                    Err(_) => self.next_poll().min(soon),
                    Ok(()) => {
                        refusals = 0;
                        self.next_poll()
                    }
                };
                let refused = result.is_err_and(|error| error.is_final());
                if streams && !refused && events.is_none() && now >= stream_due {
                    *events = self.provider.stream(&symbols);
                    self.stream_worked = false;
                }
            }
            if self.ingest.steps.is_closed() {
                return;
            }
            // Long waits are cut: a machine that slept, or a clock that was set, is noticed within a minute.
            let wait = due.duration_since(self.ingest.clock.now());
            let wait = Duration::try_from(wait).unwrap_or(Duration::ZERO).min(NAP);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                event = next_event(events) => match event {
                    Some(event) => {
                        if self.take_event(event, events).await {
                            // Bars of the time without a connection may be missing.
                            due = self.ingest.clock.now();
                        }
                    }
                    None => {
                        *events = None;
                        let lost = self.lost.as_ref().map(|error| error.kind);
                        // It was refused. Where nothing else brings bars, the next question comes first.
                        if !only_streams && lost == Some(FeedErrorKind::NotEntitled) {
                            stream_due = Timestamp::MAX;
                        } else if !only_streams {
                            stream_refusals = if self.stream_worked { 1 } else { stream_refusals + 1 };
                            stream_due = self.in_future(schedule::after_refusal(stream_refusals));
                        }
                    }
                },
            }
        }
    }

    /// Takes up as if nothing of this feed were known: bars of others lie where its own did.
    fn start_over(&mut self) {
        let start = schedule::take_up(None, self.market_time(), self.backfill, &self.ingest.calendar);
        self.from.values_mut().for_each(|from| *from = start);
        (self.reconciled, self.splits_asked_on, self.is_behind) = (None, None, false);
    }

    /// One poll: from where each symbol's last good one ended, to now.
    pub async fn poll(&mut self, stop: &CancellationToken) -> Result<(), FeedError> {
        tokio::select! {
            result = self.ask() => result,
            () = stop.cancelled() => Ok(()),
        }
    }

    /// Whether any symbol was answered for in the latest poll.
    pub fn has_answered(&self) -> bool {
        self.answered
    }

    /// Asks what its duty wants to know, and tells how that went.
    async fn ask(&mut self) -> Result<(), FeedError> {
        self.answered = false;
        let result = if !self.provider.has_history() {
            self.ask_for_the_stream().await
        } else if self.on_air {
            self.poll_all().await
        } else {
            self.probe().await
        };
        match &result {
            Ok(()) => self.problem = self.dead_feed(),
            Err(error) => {
                self.ingest.metrics.poll_failed();
                warn!(provider = self.info.provider, %error, "the feed was asked in vain");
                self.problem = Some(error.told(self.info.provider));
            }
        }
        self.hand_on(Vec::new(), Vec::new(), None).await;
        result
    }

    /// What a poll says of the feed. Trouble with some symbols alone, or beside a stream that brings bars, is
    /// none of the feed.
    fn standing(&self, result: &Result<(), FeedError>) -> Report {
        let now = self.ingest.clock.now();
        let streams = self.streamed_at.is_some_and(|at| now.duration_since(at) < STREAMED);
        let serves = self.answered || (streams && self.provider.has_history());
        match result {
            Err(error) if error.is_final() => Report::Failing(error.clone()),
            Err(error) if !serves => Report::Failing(error.clone()),
            _ => match self.dead_feed() {
                Some(problem) => {
                    let error = FeedError::new(FeedErrorKind::Transient, problem.as_str());
                    Report::Failing(error.telling(problem))
                }
                None => Report::Well,
            },
        }
    }

    /// Whether a feed on standby has the last minutes of a few symbols.
    async fn probe(&mut self) -> Result<(), FeedError> {
        let until = schedule::complete_until(self.market_time());
        let symbols = self.ingest.watchlist.symbols().iter().copied();
        let served = symbols.filter(|&symbol| !self.troubles.is_refused(symbol));
        let symbols: Vec<Symbol> = served.take(PROBED).collect();
        let fetched = self.provider.bars(&symbols, until.plus_minutes(-schedule::RE_ASK)..until).await?;
        self.newest = self.newest.max(fetched.bars.iter().map(|bar| bar.start).max());
        match fetched.failed.into_iter().next() {
            Some((_, error)) if fetched.bars.is_empty() && error.is_retryable() => Err(error),
            _ => {
                self.answered = true;
                Ok(())
            }
        }
    }

    /// Whether a provider that only streams accepts the key, and its stream stands.
    async fn ask_for_the_stream(&mut self) -> Result<(), FeedError> {
        if let Some(error) = self.lost.clone() {
            // After a final one there is no stream any more: the next question is the first one again.
            if error.is_final() {
                (self.lost, self.accepted) = (None, false);
            }
            return Err(error);
        }
        if !self.accepted {
            self.provider.check(self.ingest.watchlist.symbols()[0]).await?;
            self.accepted = true;
        }
        if self.on_air {
            self.ask_for_splits().await?;
        }
        Ok(())
    }

    /// Takes what the stream says. True where bars may have been missed.
    async fn take_event(
        &mut self,
        event: StreamEvent,
        events: &mut Option<mpsc::Receiver<StreamEvent>>,
    ) -> bool {
        let mut bars = Vec::new();
        let mut missed = false;
        let mut next = Some(event);
        // Bars of one minute come in a burst: they make one step.
        let until = tokio::time::Instant::now() + GATHER;
        while let Some(event) = next {
            match event {
                StreamEvent::Connected => {
                    info!(provider = self.info.provider, "stream connected");
                    self.lost = None;
                    self.stream_worked = true;
                    missed = true;
                }
                StreamEvent::Bar(bar) => bars.push(bar),
                StreamEvent::Rejected(reject) => self.ingest.reject(&[reject]),
                StreamEvent::SymbolProblem { symbol, problem } => {
                    let now = self.ingest.clock.now();
                    if let Some(problem) = &problem {
                        warn!(provider = self.info.provider, %symbol, "{problem}");
                    }
                    self.troubles.streams(symbol, problem, now);
                }
                StreamEvent::Disconnected(error) => {
                    warn!(provider = self.info.provider, %error, "stream lost");
                    self.problem = Some(error.told(self.info.provider));
                    self.lost = Some(error);
                }
            }
            if bars.is_empty() || bars.len() >= STEP_BARS {
                break;
            }
            next = tokio::time::timeout_at(until, next_event(events)).await.ok().flatten();
        }
        if !bars.is_empty() {
            self.answered_at = Some(self.ingest.clock.now());
            self.streamed_at = self.answered_at;
            self.hand_on(Vec::new(), bars, None).await;
        }
        missed
    }

    async fn hand_on(&mut self, splits: Vec<Split>, bars: Vec<Bar>, answered: Option<Answered>) {
        let now = self.ingest.clock.now();
        let bars = self.ingest.admit(self.ingest.attribute(bars), now);
        self.newest = self.newest.max(bars.last().map(|bar| bar.start));
        if !self.on_air {
            return;
        }
        let mut feed = status(&self.info, now, self.answered_at, self.problem.clone());
        feed.symbol_problems = self.troubles.told();
        // Nobody takes steps any more only while the process ends.
        let _ = self.ingest.hand_on(splits, bars, &self.info, &feed, answered).await;
    }

    /// Tells a dead feed from a closed market: minutes of an open session without any bar. On standby only
    /// the last minutes are known.
    fn dead_feed(&self) -> Option<String> {
        let complete = schedule::complete_until(self.market_time());
        let session = self.ingest.calendar.tracked_until(complete)?;
        let begin = if self.on_air {
            session.start
        } else {
            session.start.max(complete.plus_minutes(-1 - schedule::RE_ASK))
        };
        let last = self.newest.max(self.listens_since).unwrap_or(begin).max(begin);
        let silent =
            self.ingest.calendar.counting_minutes(self.ingest.calendar.cadence().after(last)..complete);
        (i64::from(silent) * 60 >= DEAD_AFTER.as_secs())
            .then(|| format!("no bar for {silent} minutes of an open market: the feed may be dead"))
    }

    fn next_poll(&self) -> Timestamp {
        if !self.on_air {
            return self.in_future(SignedDuration::from_secs(self.interval));
        }
        let next = schedule::next_poll(self.market_time(), self.interval, &self.ingest.calendar);
        next.checked_add(delay(&self.info)).unwrap_or(Timestamp::MAX)
    }

    fn market_time(&self) -> Timestamp {
        market_time(&*self.ingest.clock, &self.info)
    }

    fn in_future(&self, wait: SignedDuration) -> Timestamp {
        self.ingest.clock.now().checked_add(wait).unwrap_or(Timestamp::MAX)
    }
}

/// The moment of the market that a feed shows now: a delayed one shows the past.
fn market_time(clock: &dyn Clock, info: &FeedInfo) -> Timestamp {
    clock.now().checked_sub(delay(info)).unwrap_or(Timestamp::MIN)
}

fn delay(info: &FeedInfo) -> SignedDuration {
    SignedDuration::from_mins(i64::from(info.delay_minutes))
}

async fn next_event(events: &mut Option<mpsc::Receiver<StreamEvent>>) -> Option<StreamEvent> {
    match events {
        Some(events) => events.recv().await,
        None => std::future::pending().await,
    }
}
