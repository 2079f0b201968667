//! Detect: takes steps from ingest, observes their bars, and commits what comes of them.
//!
//! A detector holds bars of one feed. Where a step comes of another, the windows are rebuilt of what the
//! store has of that feed. A minute is judged by one feed only: up to the newest bar of another one, bars
//! fill the windows and raise, count and retract nothing.

use crate::active_rules::{ActiveRules, HouseRules};
use crate::metrics::Metrics;
use crate::{PAUSE, retry_while_busy, without_room};
use anyhow::Context as _;
use jiff::Timestamp;
use qqq_core::statistics::outlier::{Admission, OutlierFilter};
use qqq_core::statistics::window::Arrival;
use qqq_core::{
    Alert, AlertChange, Bar, Calendar, Clock, Detector, FeedInfo, FeedLabel, FeedMode, FeedStatus, RuleName,
    Second, Split, Splits, Symbol, Watchlist,
};
use qqq_store::{AlertQuery, BarRecord, Batch, SplitRecord, Store, StoreError};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tracing::{info, warn};

/// What ingest hands over: bars of counting minutes, oldest first, of one moment of the feed's clock.
#[derive(Debug, Clone)]
pub struct Step {
    /// Splits in force, known before or not.
    pub splits: Vec<Split>,
    /// New, repeated or corrected bars.
    pub bars: Vec<Bar>,
    /// Whether past prices of this feed are in today's units already.
    pub split_adjusted: bool,
    /// How the feed is doing, with its clock.
    pub feed: FeedStatus,
    /// Up to now, what all bars were asked for of, where the step is the last one of an answer of a live
    /// feed.
    pub answered: Option<Answered>,
}

/// What a live feed has answered for, up to the newest minute there can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Whose bars.
    pub symbols: Vec<Symbol>,
    /// Those of all minutes before this one.
    pub until: Second,
}

/// Most steps taken into one commit: while a commit waits for the disk, those behind it gather.
const GATHER: usize = 64;
/// No more steps are gathered once they hold so many bars.
const GATHER_BARS: usize = 100_000;
/// Minutes that are looked back to find how long an earlier process is gone: no market is closed for longer.
const MAX_ABSENCE: i64 = 14 * Second::PER_DAY;
/// A transaction ends with the minute in which it comes to hold so many bars, or changes to alerts: a sign-up
/// waits for no more than that, a quarter of a second of bars. The rules in force bound what a single minute
/// can bring. Figures are written once a piece, whatever number of minutes it holds.
const PIECE_BARS: usize = 50_000;
const PIECE_ALERTS: usize = 1_000;
/// After a transaction that others follow, the store is left alone for as long as that took, at most so long:
/// a writer of another process only looks now and then whether it can have its turn.
const LONGEST_BREATH: Duration = Duration::from_millis(100);

/// Alerts made public in one transaction.
const PUBLISHED_AT_ONCE: u32 = 1_000;

/// Bars of earlier sessions read in one go.
const RECALLED_AT_ONCE: usize = 20_000;

/// What goes into one transaction.
#[derive(Default)]
struct Piece {
    batch: Batch,
    /// Symbols whose figures changed.
    touched: BTreeSet<usize>,
}

impl Piece {
    fn is_empty(&self) -> bool {
        self.batch.bars.is_empty() && self.batch.splits.is_empty() && self.batch.history.is_empty()
    }

    fn is_full(&self) -> bool {
        self.batch.bars.len() + self.batch.history.len() >= PIECE_BARS
            || self.batch.alerts.len() >= PIECE_ALERTS
    }
}

/// The detector over one store.
pub struct Detect {
    store: Arc<dyn Store>,
    watchlist: Arc<Watchlist>,
    calendar: Arc<Calendar>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    rules: HouseRules,
    watches: ActiveRules,
    feed: FeedLabel,
    detector: Detector,
    /// By symbol, the newest minute that another feed was judged by.
    judged_before: HashMap<usize, Second>,
    /// As in the store.
    splits: Splits,
    /// What no other bar has confirmed yet.
    outliers: OutlierFilter,
}

impl Detect {
    /// Rebuilds the windows and the open alerts from the store.
    pub async fn restore(
        store: Arc<dyn Store>,
        watchlist: Arc<Watchlist>,
        calendar: Arc<Calendar>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
        rules: impl Into<HouseRules>,
        feed: &FeedInfo,
    ) -> anyhow::Result<Self> {
        let rules = rules.into();
        let splits = store.splits().await?;
        let mut detect = Self {
            detector: Detector::new(watchlist.symbols(), feed.label, &calendar, rules.spike),
            store,
            watchlist,
            calendar,
            clock,
            metrics,
            watches: ActiveRules::new(rules.also.clone()),
            rules,
            feed: feed.label,
            judged_before: HashMap::new(),
            splits: splits.into_iter().map(|record| record.split).collect(),
            outliers: OutlierFilter::default(),
        };
        detect.publish_house_alerts().await.context("the house's alerts could not be published")?;
        detect.switch(feed.label).await?;
        for bar in detect.store.quarantined().await?.into_iter().filter(|bar| bar.feed == feed.label) {
            if let Some(symbol) = detect.watchlist.id(bar.symbol) {
                detect.outliers.restore(symbol, bar);
            }
        }
        if feed.mode == FeedMode::Live {
            detect.take_up_questions().await?;
        }
        Ok(detect)
    }

    /// What a subscriber's rule raised before the operator made it the house's is the house's too.
    async fn publish_house_alerts(&self) -> Result<(), StoreError> {
        for watch in &self.rules.also {
            let rule = RuleName::Own(watch.rule);
            while retry_while_busy(|| self.store.publish(rule, watch.metric, PUBLISHED_AT_ONCE)).await?
                == u64::from(PUBLISHED_AT_ONCE)
            {}
        }
        Ok(())
    }

    /// Goes on with a feed: with its bars in the store, and the alerts of all.
    async fn switch(&mut self, feed: FeedLabel) -> anyhow::Result<()> {
        self.watches.ask(&*self.store, &self.watchlist).await.context("the rules could not be read")?;
        let rebuilt = retry_while_busy(|| self.rebuilt(feed)).await;
        let (mut detector, judged_before) = rebuilt.context("the windows could not be rebuilt")?;
        for symbol in 0..self.watchlist.symbols().len() {
            // Which feed was asked does not matter: what none could be asked for was hidden.
            if let Some(until) = self.detector.asked_until(symbol) {
                detector.asked(symbol, until, self.clock.now());
            }
        }
        (self.detector, self.judged_before) = (detector, judged_before);
        self.feed = feed;
        self.outliers.clear();
        Ok(())
    }

    /// Goes on where an earlier process stopped asking: what came to be since then was hidden by our own
    /// silence. After a longer one than an outage may last, and of symbols that nothing is known of,
    /// everything is history.
    async fn take_up_questions(&mut self) -> anyhow::Result<()> {
        let status = retry_while_busy(|| self.store.feed_status())
            .await
            .context("the feed's state could not be read")?;
        let now = self.clock.now();
        let longest = i64::from(self.rules.spike.max_alert_age_after_outage_seconds);
        // Nights and weekends hide nothing.
        let hidden = |until: &Second| {
            let now = self.calendar.cadence().bar_of(now);
            self.calendar.counting_seconds((*until).max(now.plus_seconds(-MAX_ABSENCE))..now)
        };
        let asked =
            status.filter(|status| status.mode == FeedMode::Live).and_then(|status| status.asked_until);
        let asked = asked.filter(|until| hidden(until) <= longest);
        if let Some(until) = asked {
            for symbol in 0..self.watchlist.symbols().len() {
                let is_known =
                    self.detector.newest(symbol).is_some() || self.judged_before.contains_key(&symbol);
                if is_known {
                    self.detector.asked(symbol, until, now);
                }
            }
        }
        Ok(())
    }

    /// A detector of one feed as the store has it, and by symbol the newest minute of any other.
    async fn rebuilt(&self, feed: FeedLabel) -> Result<(Detector, HashMap<usize, Second>), StoreError> {
        let Self { store, watchlist, calendar, .. } = self;
        let mut detector = Detector::new(watchlist.symbols(), feed, calendar, self.rules.spike);
        for (symbol, watch) in self.watches.in_force() {
            detector.watch(symbol, watch, self.watches.visibility(watch));
        }
        let bars = store.recent_bars(watchlist.symbols(), detector.windows_reach()).await?;
        let oldest = bars.iter().map(|record| record.bar.start).min();
        let alerts = match oldest {
            Some(oldest) => {
                // Everything that a bar of any symbol could still touch.
                let since = oldest.plus_seconds(Second::PER_DAY - detector.memory_seconds());
                let all = AlertQuery { since: Some(since), private_too: true, ..AlertQuery::default() };
                alerts(&**store, all).await?
            }
            None => Vec::new(),
        };
        let known: Vec<(usize, Bar, u32)> = bars
            .iter()
            .filter(|record| calendar.counts(record.bar.start))
            .filter_map(|record| Some((watchlist.id(record.bar.symbol)?, record.bar, record.revision)))
            .collect();
        let mut judged_before = HashMap::new();
        for (symbol, bar, _) in known.iter().filter(|(_, bar, _)| bar.feed != feed) {
            let newest = judged_before.entry(*symbol).or_insert(bar.start);
            *newest = bar.start.max(*newest);
        }
        detector.restore(
            known,
            alerts.into_iter().filter_map(|alert| Some((watchlist.id(alert.symbol)?, alert))),
        );
        for (symbol, &name) in watchlist.symbols().iter().enumerate() {
            recall(&**store, name, &mut detector, symbol).await?;
        }
        recall_closes(&**store, calendar, watchlist.symbols(), &mut detector).await?;
        info!(bars = bars.len(), %feed, "windows rebuilt from the store");
        Ok((detector, judged_before))
    }

    /// Judges from now on what subscribers ask for by now, going on where an earlier watch of the same rule
    /// stopped.
    async fn follow_subscribers(&mut self) -> Result<(), StoreError> {
        let Self { store, watchlist, watches, detector, .. } = self;
        let change = watches.ask(&**store, watchlist).await?;
        for (symbol, watch) in change.removed {
            detector.unwatch(symbol, watch);
        }
        for (symbol, watch) in change.added {
            let name = watchlist.symbols()[symbol];
            let wants_more = detector.watch(symbol, watch, watches.visibility(watch));
            let query = AlertQuery {
                symbol: Some(name),
                metric: Some(watch.metric),
                rule: Some(RuleName::Own(watch.rule)),
                since: detector.newest(symbol).map(|newest| newest.plus_seconds(-detector.memory_seconds())),
                private_too: true,
                ..AlertQuery::default()
            };
            let known = alerts(&**store, query).await?;
            detector.restore([], known.into_iter().map(|alert| (symbol, alert)));
            if wants_more {
                recall(&**store, name, detector, symbol).await?;
            }
            info!(symbol = %name, rule = %watch, "a rule is judged from now on");
        }
        Ok(())
    }

    /// The detector as it stands.
    pub fn detector(&self) -> &Detector {
        &self.detector
    }

    /// Takes steps until the channel closes. `committed` is notified after every commit.
    pub async fn run(
        mut self,
        mut steps: mpsc::Receiver<Step>,
        committed: Arc<Notify>,
    ) -> anyhow::Result<()> {
        while let Some(first) = steps.recv().await {
            let mut bars = first.bars.len();
            let mut gathered = vec![first];
            while bars < GATHER_BARS
                && gathered.len() < GATHER
                && let Ok(next) = steps.try_recv()
            {
                bars += next.bars.len();
                gathered.push(next);
            }
            let store = Arc::clone(&self.store);
            tokio::select! {
                taken = self.take(&gathered) => taken?,
                // What is not committed is asked for again at the next start.
                () = async { closed(&steps).await; without_room(&*store).await } => return Ok(()),
            }
            committed.notify_one();
        }
        Ok(())
    }

    /// Observes the bars of some steps, in order, and commits the outcome: as one, but for a change of the
    /// feed.
    pub async fn take(&mut self, steps: &[Step]) -> anyhow::Result<()> {
        for steps in steps.chunk_by(|one, next| one.feed.label == next.feed.label) {
            if let Some(step) = steps.first().filter(|step| step.feed.label != self.feed) {
                self.switch(step.feed.label).await?;
            }
            self.take_of_one_feed(steps).await?;
        }
        Ok(())
    }

    /// In pieces, each of them whole minutes with all that comes of them: bars, figures, alerts, deliveries.
    /// What is not committed when the process dies comes again from the feed, and is judged as if for the
    /// first time.
    async fn take_of_one_feed(&mut self, steps: &[Step]) -> anyhow::Result<()> {
        self.follow_subscribers().await.context("the rules could not be read")?;
        let mut piece = Piece::default();
        let mut minute = None;
        for step in steps {
            if !piece.is_empty() && step.splits.iter().any(|split| !self.splits.knows(split)) {
                // It rescales what is stored, and only that.
                self.commit(std::mem::take(&mut piece)).await?;
            }
            for &split in &step.splits {
                self.apply(split, &mut piece).await.context("a split could not be applied")?;
            }
            piece.batch.feed = Some(self.status_of(step));
            for bar in &step.bars {
                if piece.is_full() && minute != Some(bar.start) {
                    let begun = Instant::now();
                    self.commit(std::mem::take(&mut piece)).await?;
                    piece.batch.feed = Some(self.status_of(step));
                    tokio::time::sleep(begun.elapsed().min(LONGEST_BREATH)).await;
                }
                minute = Some(bar.start);
                self.observe(step, bar, &mut piece);
            }
            if let Some(Answered { symbols, until }) = &step.answered {
                for symbol in symbols.iter().filter_map(|&symbol| self.watchlist.id(symbol)) {
                    self.detector.asked(symbol, *until, step.feed.clock);
                }
                piece.batch.feed = Some(self.status_of(step));
            }
        }
        self.commit(piece).await
    }

    /// How the feed is doing, with what it was asked for so far: what is not committed yet does not count.
    fn status_of(&self, step: &Step) -> FeedStatus {
        let symbols = 0..self.watchlist.symbols().len();
        let asked_until = symbols.filter_map(|symbol| self.detector.asked_until(symbol)).max();
        FeedStatus { asked_until, ..step.feed.clone() }
    }

    async fn commit(&mut self, piece: Piece) -> anyhow::Result<()> {
        let Piece { mut batch, touched } = piece;
        batch.quarantined = self.outliers.changed();
        batch.statistics =
            touched.into_iter().filter_map(|symbol| self.detector.statistics(symbol)).collect();
        let now = self.clock.now();
        // What the detector has seen must reach the store, or the process must end: it never goes on with
        // one ahead of the other.
        let failed = "a step could not be committed";
        let committed = retry_while_busy(|| self.store.commit(&batch, now)).await.context(failed)?;
        self.report(&batch, committed.deliveries);
        Ok(())
    }

    /// What a bar does to the store.
    fn observe(&mut self, step: &Step, bar: &Bar, piece: &mut Piece) {
        let Some(symbol) = self.watchlist.id(bar.symbol) else { return };
        let bar = if step.split_adjusted { *bar } else { self.in_todays_units(bar) };
        for bar in self.admitted(symbol, bar) {
            let was_judged = self.judged_before.get(&symbol).is_some_and(|&newest| bar.start <= newest);
            let observed = if was_judged {
                self.detector.learn(symbol, &bar)
            } else {
                self.detector.observe(symbol, &bar, step.feed.clock, &mut piece.batch.alerts)
            };
            self.metrics.bar(observed.arrival);
            if observed.arrival == Arrival::TooOld {
                piece.batch.history.push(bar);
                // The oldest bar of the windows may have changed from it.
                piece.touched.insert(symbol);
                continue;
            }
            if observed.arrival != Arrival::Unchanged {
                piece.touched.insert(symbol);
            }
            piece.batch.bars.push(BarRecord { bar, revision: observed.revision });
        }
    }

    /// The bars to take now: the given one, after the one it confirms; or none while it is not to be
    /// believed.
    fn admitted(&mut self, symbol: usize, bar: Bar) -> impl Iterator<Item = Bar> + use<> {
        let taken = match self.outliers.admit(symbol, &bar, self.detector.windows()) {
            Admission::Taken { confirmed } => [confirmed, Some(bar)],
            Admission::Quarantined(metric) => {
                warn!(
                    symbol = %bar.symbol, start = %bar.start, %metric,
                    "an absurd value is quarantined until another bar confirms it"
                );
                self.metrics.rejected(1);
                [None, None]
            }
        };
        taken.into_iter().flatten()
    }

    /// Takes a split into a piece that holds no bars yet.
    async fn apply(&mut self, split: Split, piece: &mut Piece) -> Result<(), StoreError> {
        let Some(symbol) = self.watchlist.id(split.symbol) else { return Ok(()) };
        match self.splits.insert(split) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(known) => {
                warn!(
                    symbol = %split.symbol, ex_date = %split.ex_date,
                    "a split of {}:{} is now said to be {}:{}; the first stays applied",
                    known.new, known.old, split.new, split.old
                );
                return Ok(());
            }
        }
        let from = self.calendar.midnight(split.ex_date);
        info!(
            symbol = %split.symbol, new = split.new, old = split.old, ex_date = %split.ex_date,
            "split: history is rescaled"
        );
        let known = match self.detector.since(symbol) {
            Some(since) => bars_since(&*self.store, &self.detector, (symbol, split.symbol), since).await?,
            None => Vec::new(),
        };
        let counting = known.iter().filter(|bar| self.calendar.counts(bar.start));
        self.detector.apply_split(symbol, &split, from, counting);
        piece.batch.splits.push(SplitRecord { split, from });
        piece.touched.insert(symbol);
        Ok(())
    }

    /// A bar of a feed that tells raw prices, brought over every split since.
    fn in_todays_units(&self, bar: &Bar) -> Bar {
        self.splits.adjust(bar, self.calendar.date_of(bar.start), &[])
    }

    fn report(&self, batch: &Batch, deliveries: u64) {
        self.metrics.committed(batch, deliveries);
        for change in &batch.alerts {
            let alert = change.alert();
            match change {
                // Own rules are many, and what they raise is their subscribers' to know.
                _ if !alert.is_public() => {}
                AlertChange::Raised(_) => info!(
                    alert.id = %alert.id, symbol = %alert.symbol, metric = %alert.metric,
                    start = %alert.start, rule = %alert.rule, ratio = alert.ratio(), "alert raised"
                ),
                AlertChange::Retracted(_) => info!(
                    alert.id = %alert.id, symbol = %alert.symbol, metric = %alert.metric,
                    start = %alert.start, "alert retracted: its bar was corrected"
                ),
                AlertChange::Counted(_) => {}
            }
        }
    }
}

/// Returns once nobody hands on steps any more.
async fn closed(steps: &mpsc::Receiver<Step>) {
    while !steps.is_closed() {
        tokio::time::sleep(PAUSE).await;
    }
}

/// All alerts of a query, page by page.
async fn alerts(store: &dyn Store, query: AlertQuery) -> Result<Vec<Alert>, StoreError> {
    let mut query = AlertQuery { limit: 1_000, ..query };
    let mut alerts = Vec::new();
    loop {
        let page = retry_while_busy(|| store.alerts(query)).await?;
        query.after = page.last().map(|alert| (alert.start, alert.id));
        let full = page.len() == query.limit;
        alerts.extend(page);
        if !full {
            return Ok(alerts);
        }
    }
}

/// Sessions before the newest bar's whose closes an alert may be measured from: those of its own day, and of
/// the day before, from which bars may still come late.
const CLOSES: usize = 2;

/// Gives a detector the closes that a day's change is measured from, in one read: those of the last day's
/// bars may lie too far back, as after a weekend.
async fn recall_closes(
    store: &dyn Store,
    calendar: &Calendar,
    names: &[Symbol],
    detector: &mut Detector,
) -> Result<(), StoreError> {
    let (mut symbols, mut sessions) = (Vec::new(), Vec::new());
    for (symbol, &name) in names.iter().enumerate() {
        let Some(newest) = detector.newest(symbol) else { continue };
        let days = calendar.trading_days_before(calendar.date_of(newest)).take(CLOSES);
        for session in days.filter_map(|day| calendar.session_on(day)) {
            symbols.push(symbol);
            sessions.push((name, session.open..session.close));
        }
    }
    let last = retry_while_busy(|| store.last_bars(&sessions)).await?;
    for (symbol, last) in symbols.into_iter().zip(last) {
        detector.recall_closes(symbol, last.iter().map(|record| &record.bar));
    }
    Ok(())
}

/// Gives a detector the bars of earlier sessions that a symbol's rules have to know.
async fn recall(
    store: &dyn Store,
    name: Symbol,
    detector: &mut Detector,
    symbol: usize,
) -> Result<(), StoreError> {
    let Some(reach) = detector.reach(symbol) else { return Ok(()) };
    let bars = bars_since(store, detector, (symbol, name), reach).await?;
    detector.recall(symbol, &bars);
    Ok(())
}

/// A symbol's bars from a time to the newest that its detector knows, oldest first.
async fn bars_since(
    store: &dyn Store,
    detector: &Detector,
    (symbol, name): (usize, Symbol),
    mut since: Second,
) -> Result<Vec<Bar>, StoreError> {
    let Some(newest) = detector.newest(symbol) else { return Ok(Vec::new()) };
    let mut bars = Vec::new();
    loop {
        let range = since..newest.plus_seconds(1);
        let page = retry_while_busy(|| store.history(name, range.clone(), RECALLED_AT_ONCE)).await?;
        let is_full = page.len() == RECALLED_AT_ONCE;
        bars.extend(page);
        match bars.last() {
            Some(last) if is_full => since = last.start.plus_seconds(1),
            _ => return Ok(bars),
        }
    }
}

/// A feed's status at a moment of its clock.
pub fn status(
    info: &FeedInfo,
    clock: Timestamp,
    answered_at: Option<Timestamp>,
    problem: Option<String>,
) -> FeedStatus {
    FeedStatus {
        provider: info.provider.to_owned(),
        label: info.label,
        mode: info.mode,
        coverage: info.coverage.clone(),
        stands_in_for: None,
        clock,
        answered_at,
        problem,
        asked_until: None,
        symbol_problems: Vec::new(),
    }
}
