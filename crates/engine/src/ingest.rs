//! Ingest: gets bars from the feed and hands them on in steps.
//!
//! A tape plays; a provider is polled while the market is open, aligned to the minute, and may stream
//! beside that. Every poll asks again for the last minutes; after any gap, whoever's fault it was, the poll
//! begins where the last good one ended. What was seen is not remembered here but in the store.
//!
//! A provider that only streams is not asked: it is well while its stream stands, and what that missed stays missing.

use crate::detect::{Answered, Step, status};
use crate::failover::FeedRole;
use crate::metrics::Metrics;
use crate::schedule;
use crate::symbol_troubles::SymbolTroubles;
use jiff::{SignedDuration, Timestamp};
use qqq_core::watchlist::Unresolved;
use qqq_core::{Bar, Calendar, Clock, FeedInfo, Minute, Split, Symbol, Watchlist};
use qqq_feed::{FeedError, FeedErrorKind, Fetched, Provider, Reject, StreamEvent, Tape};
use qqq_store::Store;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

/// Steps between ingest and detect.
pub const QUEUE: usize = 64;
/// Bars handed over in one step at the most.
const STEP_BARS: usize = 50_000;
/// A bar that ends later than this after the clock is from the future: a provider's mistake.
const FUTURE: SignedDuration = SignedDuration::from_mins(2);
/// Longest sleep without a look at the clock.
const NAP: Duration = Duration::from_secs(60);
/// How long streamed bars are gathered into one step.
const GATHER: Duration = Duration::from_millis(50);
/// Without any bar for so long while the market is open, a feed counts as dead.
const DEAD_AFTER: SignedDuration = SignedDuration::from_mins(5);

/// How long after a streamed bar a stream counts as bringing bars, whatever becomes of the polls beside it.
const STREAMED: SignedDuration = SignedDuration::from_secs(90);
/// Questions for some symbols that fail, while nothing was answered, before the others are not asked for: then it is no
/// trouble of single symbols.
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
    /// Plays a tape to its end, or until `stop`.
    pub async fn play(&self, mut tape: Box<dyn Tape>, stop: CancellationToken) -> anyhow::Result<()> {
        let info = tape.info().clone();
        loop {
            let tick = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                tick = tape.next() => tick?,
            };
            let Some(tick) = tick else {
                info!(provider = info.provider, "the recording is over");
                return Ok(());
            };
            self.reject(&tick.rejects);
            let bars = self.admit(tick.bars, tick.clock);
            let feed = status(&info, tick.clock, Some(self.clock.now()), None);
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                handed = self.hand_on(Vec::new(), bars, &info, &feed, None) => if handed.is_err() {
                    return Ok(());
                },
            }
        }
    }

    /// Hands steps on, cut to size. An error says that nobody takes them any more.
    async fn hand_on(
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
    fn attribute(&self, mut bars: Vec<Bar>) -> Vec<Bar> {
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
    fn admit(&self, mut bars: Vec<Bar>, clock: Timestamp) -> Vec<Bar> {
        let horizon = clock.checked_add(FUTURE).unwrap_or(Timestamp::MAX);
        let mut rejects = Vec::new();
        bars.retain(|bar| {
            if bar.start.end() > horizon {
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

    fn reject(&self, rejects: &[Reject]) {
        self.metrics.rejected(rejects.len());
        for reject in rejects.iter().take(5) {
            debug!(place = reject.place, reason = reject.reason, "not a valid bar");
        }
        if let Some(first) = rejects.first() {
            warn!(count = rejects.len(), place = first.place, reason = first.reason, "bars were rejected");
        }
    }
}

/// Polls a provider.
pub struct Poller {
    ingest: Ingest,
    provider: Arc<dyn Provider>,
    info: FeedInfo,
    interval: i64,
    backfill: i32,
    /// Where the next poll takes up, by symbol: shortly before the end of its last good one.
    from: HashMap<Symbol, Minute>,
    newest: Option<Minute>,
    splits_asked_on: Option<jiff::civil::Date>,
    /// End of the last session that was asked for once more as a whole.
    reconciled: Option<Minute>,
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
    listens_since: Option<Minute>,
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

    /// Polls and listens as its duty is, until nobody takes steps any more. May be dropped at any await: what it
    /// was doing is done again, or not wanted any more.
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
                        // It was refused. Where nothing else brings bars, the next question comes first.
                        if !only_streams && self.lost.as_ref().is_some_and(|error| error.kind == FeedErrorKind::NotEntitled) {
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

    /// What a poll says of the feed. Trouble with some symbols alone, or beside a stream that brings bars, is none
    /// of the feed.
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
        let fetched = self.provider.bars(&symbols, until.plus(-schedule::RE_ASK)..until).await?;
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
        Ok(())
    }

    async fn poll_all(&mut self) -> Result<(), FeedError> {
        self.ask_for_splits().await?;
        let market = self.market_time();
        let until = schedule::complete_until(market);
        let reconciles = schedule::ended_session(market, &self.ingest.calendar)
            .filter(|session| self.reconciled.is_none_or(|last| last < session.end));
        if let Some(session) = &reconciles {
            info!("the session is over; all of it is asked for once more");
            self.from.values_mut().for_each(|from| *from = (*from).min(session.start));
        }
        // No place lies in the future (the clock was set back) or further back than is healed.
        let (last, first) = (until.plus(-schedule::RE_ASK), until.plus(-schedule::HEAL_LIMIT));
        self.from.values_mut().for_each(|from| *from = (*from).min(last).max(first));
        // Symbols that take up at about the same time are asked for together: most first, those that were refused last.
        let now = self.ingest.clock.now();
        let mut groups: BTreeMap<(bool, Minute), Vec<Symbol>> = BTreeMap::new();
        for &symbol in self.ingest.watchlist.symbols() {
            if self.troubles.may_be_asked(symbol, now) {
                let from = self.from.get(&symbol).copied().unwrap_or(until);
                groups.entry((self.troubles.is_refused(symbol), from)).or_default().push(symbol);
            }
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by_key(|((was_refused, from), symbols)| (*was_refused, Reverse(symbols.len()), *from));
        let mut failure = None;
        // What went wrong with some symbols, while others may yet be answered for.
        let mut refused = Vec::new();
        let (is_everything, mut in_vain) = (groups.len() == 1, 0);
        for ((was_refused, from), mut symbols) in groups {
            for stretch in schedule::stretches(from..until, symbols.len(), STEP_BARS) {
                if self.ingest.calendar.counting_minutes(stretch.clone()) == 0 {
                    continue;
                }
                if symbols.is_empty() {
                    break;
                }
                let fetched = match self.provider.bars(&symbols, stretch.clone()).await {
                    Ok(fetched) => fetched,
                    Err(error) if is_everything || (error.is_final() && !was_refused) => return Err(error),
                    Err(error) => {
                        in_vain += 1;
                        if in_vain == MAX_IN_VAIN && !self.answered {
                            return Err(error);
                        }
                        let failed = symbols.iter().map(|&symbol| (symbol, error.clone())).collect();
                        Fetched { failed, ..Fetched::default() }
                    }
                };
                // Who failed here is not asked on: its next poll takes up at this stretch.
                symbols.retain(|symbol| fetched.failed.iter().all(|(failed, _)| failed != symbol));
                let (transient, permanent): (Vec<_>, Vec<_>) = fetched
                    .failed
                    .iter()
                    .cloned()
                    .partition(|(_, error)| error.is_retryable() && !error.may_concern_one());
                refused.extend(permanent);
                self.take(fetched, &symbols, stretch.end, until).await;
                failure = self.failure_of(transient).or(failure);
            }
        }
        self.settle_refused(refused)?;
        match failure {
            Some(error) => Err(error),
            None => {
                self.reconciled = reconciles.map(|session| session.end).or(self.reconciled);
                Ok(())
            }
        }
    }

    /// Hands on what was fetched; `answered` are the symbols it is complete for up to `end`, where that is `now` for all
    /// that there can be.
    async fn take(&mut self, fetched: Fetched, answered: &[Symbol], end: Minute, now: Minute) {
        let at = self.ingest.clock.now();
        self.answered |= !answered.is_empty();
        self.ingest.reject(&fetched.rejects);
        for &symbol in answered {
            self.from.insert(symbol, end.plus(-schedule::RE_ASK));
            if self.troubles.served(symbol, !fetched.unreadable.contains(&symbol), at) {
                info!(%symbol, provider = self.info.provider, "this symbol is served again");
                self.splits_asked_on = None;
            }
        }
        if !answered.is_empty() {
            self.answered_at = Some(at);
        }
        let answered = Answered { symbols: answered.to_vec(), until: end };
        let is_up_to_date = end == now && !answered.symbols.is_empty();
        self.hand_on(Vec::new(), fetched.bars, is_up_to_date.then_some(answered)).await;
    }

    /// Remembers symbols that were refused while others were answered for: they are left alone for an hour. An error where
    /// nothing was answered: then it is the feed that refuses.
    fn settle_refused(&mut self, refused: Vec<(Symbol, FeedError)>) -> Result<(), FeedError> {
        let now = self.ingest.clock.now();
        // That nobody knows a symbol is an answer.
        let of_the_feed =
            refused.iter().map(|(_, error)| error).find(|error| error.kind != FeedErrorKind::NotFound);
        if let Some(error) = of_the_feed.filter(|_| !self.answered) {
            return Err(error.clone());
        }
        for (symbol, error) in refused {
            if self.troubles.refuse(symbol, &error, self.info.provider, self.answered, now) {
                warn!(%symbol, %error, "the provider does not serve this symbol: it is asked again every hour");
            }
        }
        Ok(())
    }

    /// The failure of some symbols that asking again may mend, if any.
    fn failure_of(&self, failed: Vec<(Symbol, FeedError)>) -> Option<FeedError> {
        for (symbol, error) in &failed {
            warn!(%symbol, %error, "no bars of this symbol");
        }
        let mut failed = failed.into_iter();
        let (symbol, error) = failed.next()?;
        let others = failed.count();
        let more = if others > 0 { format!(" (and {others} more)") } else { String::new() };
        let told = format!("{symbol}{more}: {}", error.told(self.info.provider));
        Some(FeedError::new(error.kind, format!("{symbol}{more}: {error}")).telling(told))
    }

    /// Asks for splits once a New York day, before any bar of the day.
    async fn ask_for_splits(&mut self) -> Result<(), FeedError> {
        let now = schedule::complete_until(self.ingest.clock.now());
        let today = self.ingest.calendar.date_of(now);
        if self.splits_asked_on == Some(today) {
            return Ok(());
        }
        let earliest = self.from.values().min().copied().unwrap_or(now).plus(-self.backfill);
        let first = self.ingest.calendar.date_of(earliest);
        let symbols = self.ingest.watchlist.symbols().iter().copied();
        let symbols: Vec<Symbol> = symbols.filter(|&symbol| !self.troubles.is_refused(symbol)).collect();
        match self.provider.splits(&symbols, first..=today).await {
            Ok(splits) => {
                self.splits_asked_on = Some(today);
                if !splits.is_empty() {
                    self.hand_on(splits, Vec::new(), None).await;
                }
            }
            // Bars in today's units must not be stored before the splits they are adjusted for are known: the
            // split would be applied to them once more.
            Err(error) if error.kind == FeedErrorKind::Auth || self.info.split_adjusted => return Err(error),
            // Raw bars do not wait: history is rescaled when the split becomes known.
            Err(error) => {
                warn!(provider = self.info.provider, %error, "splits are not known");
                if error.is_final() {
                    self.splits_asked_on = Some(today);
                }
            }
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

    /// Tells a dead feed from a closed market: minutes of an open session without any bar. On standby only the last
    /// minutes are known.
    fn dead_feed(&self) -> Option<String> {
        let complete = schedule::complete_until(self.market_time());
        let session = self.ingest.calendar.tracked_until(complete)?;
        let begin =
            if self.on_air { session.start } else { session.start.max(complete.plus(-1 - schedule::RE_ASK)) };
        let last = self.newest.max(self.listens_since).unwrap_or(begin).max(begin);
        let silent = self.ingest.calendar.counting_minutes(last.plus(1)..complete);
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
