//! The detector: takes bars in whatever order they come, answers with statistics and alerts.
//!
//! Statistics depend on the set of bars alone. Alerts are judged once, when their bar arrives: same bars in
//! the same order, same alerts, however they were batched and whether or not the process was restarted in
//! between ([`Detector::restore`]).

use crate::alert::{Alert, AlertChange, AlertId, AlertState, Metric, Occurrence};
use crate::rule::SpikeRule;
use crate::statistics::Statistics;
use crate::window::{Arrival, Trailing, Values, Windows};
use crate::{Bar, FeedLabel, Minute, Split, Symbol};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, HashMap};

/// What became of a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed {
    /// How it met the window.
    pub arrival: Arrival,
    /// How often the minute's close or volume has been replaced, this bar included.
    pub revision: u32,
}

/// Windows and the spike rule over the symbols of a watchlist, by dense id. Bars are of one feed:
/// volumes of different feeds are not comparable.
#[derive(Clone)]
pub struct Detector {
    symbols: Vec<Symbol>,
    feed: FeedLabel,
    rule: SpikeRule,
    windows: Windows,
    /// Minutes of the last day whose values have been replaced, and how often.
    revisions: HashMap<usize, BTreeMap<Minute, u32>>,
    /// Alerts that can still matter, by minute: those within the cool-down or a day of the newest bar.
    alerts: HashMap<(usize, Metric), Vec<Alert>>,
}

impl Detector {
    /// Makes a detector that has seen nothing.
    pub fn new(symbols: &[Symbol], feed: FeedLabel, rule: SpikeRule) -> Self {
        Self {
            symbols: symbols.to_vec(),
            feed,
            rule,
            windows: Windows::new(symbols.len(), &[rule.window]),
            revisions: HashMap::new(),
            alerts: HashMap::new(),
        }
    }

    /// Takes up where an earlier detector stopped: its bars (with their revisions) and alerts as stored.
    /// Nothing is judged again. Bars of other feeds and alerts of other rules are passed over.
    pub fn restore(
        &mut self,
        bars: impl IntoIterator<Item = (usize, Bar, u32)>,
        alerts: impl IntoIterator<Item = (usize, Alert)>,
    ) {
        for (symbol, bar, revision) in bars {
            if bar.feed == self.feed {
                self.windows.insert(symbol, bar.start, Values::new(bar.close, bar.volume));
                if revision > 0 {
                    self.revisions.entry(symbol).or_default().insert(bar.start, revision);
                }
            }
        }
        for (symbol, alert) in alerts {
            if alert.rule == SpikeRule::NAME {
                self.alerts.entry((symbol, alert.metric)).or_default().push(alert);
            }
        }
        for alerts in self.alerts.values_mut() {
            alerts.sort_by_key(|alert| alert.start);
        }
    }

    /// Takes a bar of symbol `symbol` and appends what it does to alerts to `changes`. `clock` is the feed's
    /// clock: it decides only whether the bar is still news.
    #[inline]
    pub fn observe(
        &mut self,
        symbol: usize,
        bar: &Bar,
        clock: Timestamp,
        changes: &mut Vec<AlertChange>,
    ) -> Observed {
        let values = Values::new(bar.close, bar.volume);
        let arrival = self.windows.insert(symbol, bar.start, values);
        if arrival != Arrival::New {
            return self.observe_again(symbol, bar.start, values, arrival, clock, changes);
        }
        if let Some(trailing) = self.windows.trailing(symbol, bar.start, self.rule.window) {
            for metric in Metric::ALL {
                if self.fires(values, &trailing, metric) {
                    self.qualify(symbol, metric, bar.start, values, &trailing, clock, changes);
                }
            }
        }
        Observed { arrival, revision: 0 }
    }

    /// Takes a bar into the windows and judges nothing: for minutes that another feed's bars were judged by.
    pub fn learn(&mut self, symbol: usize, bar: &Bar) -> Observed {
        let arrival = self.windows.insert(symbol, bar.start, Values::new(bar.close, bar.volume));
        if let Arrival::Revised(_) = arrival {
            self.count_revision(symbol, bar.start);
        }
        Observed { arrival, revision: self.revision(symbol, bar.start) }
    }

    /// The figures of a symbol at its newest bar.
    #[inline]
    pub fn statistics(&self, symbol: usize) -> Option<Statistics> {
        let start = self.windows.newest(symbol)?;
        Some(Statistics {
            symbol: self.symbols[symbol],
            start,
            feed: self.feed,
            price: self.windows.figures(symbol, Metric::Price),
            volume: self.windows.figures(symbol, Metric::Volume),
        })
    }

    /// The windows, to look into.
    pub fn windows(&self) -> &Windows {
        &self.windows
    }

    /// The minute of a symbol's newest bar.
    pub fn newest(&self, symbol: usize) -> Option<Minute> {
        self.windows.newest(symbol)
    }

    /// Rescales a symbol's bars before `from` to the units after a split. Alerts keep their evidence.
    pub fn apply_split(&mut self, symbol: usize, split: &Split, from: Minute) {
        self.windows
            .rescale(symbol, from, |price, volume| Values::new(split.price(price), split.volume(volume)));
    }

    /// A bar of a minute that is not the newest, or of one that was known.
    #[cold]
    fn observe_again(
        &mut self,
        symbol: usize,
        start: Minute,
        values: Values,
        arrival: Arrival,
        clock: Timestamp,
        changes: &mut Vec<AlertChange>,
    ) -> Observed {
        match arrival {
            Arrival::Revised(old) => {
                self.count_revision(symbol, start);
                for metric in Metric::ALL {
                    if old.of(metric) != values.of(metric) {
                        self.judge_again(symbol, metric, start, values, clock, changes);
                    }
                }
            }
            Arrival::Late => {
                for metric in Metric::ALL {
                    self.judge_again(symbol, metric, start, values, clock, changes);
                }
            }
            Arrival::New | Arrival::Unchanged | Arrival::TooOld => {}
        }
        Observed { arrival, revision: self.revision(symbol, start) }
    }

    /// Judges a late or corrected bar by the window before it as known now.
    fn judge_again(
        &mut self,
        symbol: usize,
        metric: Metric,
        start: Minute,
        values: Values,
        clock: Timestamp,
        changes: &mut Vec<AlertChange>,
    ) {
        // Without the whole window there is no verdict, and none is taken back.
        let Some(trailing) = self.windows.trailing(symbol, start, self.rule.window) else { return };
        if self.fires(values, &trailing, metric) {
            self.qualify(symbol, metric, start, values, &trailing, clock, changes);
        } else {
            self.disqualify(symbol, metric, start, clock, changes);
        }
    }

    fn fires(&self, values: Values, trailing: &Trailing, metric: Metric) -> bool {
        self.rule.fires(values.of(metric), trailing.sum(metric), trailing.bars)
    }

    /// A bar reaches the ratio: it is counted on the alert whose cool-down it falls into, or raises one.
    #[cold]
    #[expect(clippy::too_many_arguments, reason = "the verdict and its evidence, passed once")]
    fn qualify(
        &mut self,
        symbol: usize,
        metric: Metric,
        start: Minute,
        values: Values,
        trailing: &Trailing,
        clock: Timestamp,
        changes: &mut Vec<AlertChange>,
    ) {
        let (rule, feed) = (self.rule, self.feed);
        let revision = self.revision(symbol, start);
        let known = self.alerts.entry((symbol, metric)).or_default();
        let occurrence = Occurrence { start, value: values.of(metric) };

        if let Some(counted) = known.iter_mut().find(|alert| alert.counts(start)) {
            if counted.feed == feed && counted.count(occurrence) {
                changes.push(AlertChange::Counted(counted.clone()));
            }
            return;
        }
        // A minute whose alert was retracted never raises another.
        if known.iter().any(|alert| alert.start == start) {
            return;
        }
        let cools = |alert: &Alert| {
            alert.state == AlertState::Raised && {
                let seconds = i64::from(start.since(alert.start)).abs() * 60;
                seconds < i64::from(rule.cooldown_seconds)
            }
        };
        if let Some(open) = known.iter_mut().rev().find(|alert| cools(alert)) {
            // An alert of another feed keeps the silence; its values are of another measure.
            if open.feed == feed {
                open.count(occurrence);
                changes.push(AlertChange::Counted(open.clone()));
            }
            return;
        }
        let max_age = SignedDuration::from_secs(i64::from(rule.max_alert_age_seconds));
        if clock.duration_since(start.end()) > max_age {
            return;
        }
        let name = self.symbols[symbol];
        let alert = Alert {
            id: AlertId::derive(SpikeRule::NAME, name, metric, start),
            rule: SpikeRule::NAME.to_owned(),
            symbol: name,
            metric,
            start,
            value: values.of(metric),
            window_sum: trailing.sum(metric),
            window_bars: trailing.bars,
            feed: self.feed,
            revision,
            state: AlertState::Raised,
            raised_at: clock,
            occurrences: vec![occurrence],
        };
        let place = known.partition_point(|other| other.start < start);
        known.insert(place, alert.clone());
        changes.push(AlertChange::Raised(alert));
        self.forget_the_past(symbol);
    }

    /// A bar does not reach the ratio (any more): it is taken off the alert it was counted on, and an alert
    /// of its own is retracted. What that alert had counted beside it stands for itself again.
    fn disqualify(
        &mut self,
        symbol: usize,
        metric: Metric,
        start: Minute,
        clock: Timestamp,
        changes: &mut Vec<AlertChange>,
    ) {
        let feed = self.feed;
        let Some(known) = self.alerts.get_mut(&(symbol, metric)) else { return };
        // What another feed saw is not refuted by this one.
        let mut mine = known.iter_mut().filter(|alert| alert.feed == feed);
        let Some(alert) = mine.find(|alert| alert.counts(start)) else { return };
        if alert.start != start {
            alert.occurrences.retain(|occurrence| occurrence.start != start);
            changes.push(AlertChange::Counted(alert.clone()));
            return;
        }
        alert.state = AlertState::Retracted;
        let others: Vec<Minute> = alert
            .occurrences
            .iter()
            .map(|occurrence| occurrence.start)
            .filter(|&minute| minute != start)
            .collect();
        alert.occurrences.retain(|occurrence| occurrence.start == start);
        changes.push(AlertChange::Retracted(alert.clone()));
        for minute in others {
            if let Some(values) = self.windows.values(symbol, minute) {
                self.judge_again(symbol, metric, minute, values, clock, changes);
            }
        }
    }

    /// Drops what no bar can touch any more. Late bars older than a day are not judged.
    fn forget_the_past(&mut self, symbol: usize) {
        let Some(newest) = self.windows.newest(symbol) else { return };
        let reach = self.memory_minutes();
        for metric in Metric::ALL {
            if let Some(alerts) = self.alerts.get_mut(&(symbol, metric)) {
                alerts.retain(|alert| newest.since(alert.start) < reach);
            }
        }
        if let Some(revisions) = self.revisions.get_mut(&symbol) {
            *revisions = revisions.split_off(&newest.plus(1 - Minute::PER_DAY));
        }
    }

    fn count_revision(&mut self, symbol: usize, start: Minute) {
        *self.revisions.entry(symbol).or_default().entry(start).or_default() += 1;
        self.forget_the_past(symbol);
    }

    fn revision(&self, symbol: usize, start: Minute) -> u32 {
        self.revisions.get(&symbol).and_then(|revisions| revisions.get(&start)).copied().unwrap_or(0)
    }

    /// How far before a symbol's newest bar its alerts must be known to go on exactly, in minutes.
    pub fn memory_minutes(&self) -> i32 {
        Minute::PER_DAY + (self.rule.cooldown_seconds / 60) as i32 + 1
    }
}

impl Alert {
    /// Whether the bar of `minute` is counted on this alert.
    fn counts(&self, minute: Minute) -> bool {
        self.state == AlertState::Raised
            && self.occurrences.iter().any(|occurrence| occurrence.start == minute)
    }

    /// Counts a bar, or corrects the value it is counted with. False where nothing changed.
    fn count(&mut self, occurrence: Occurrence) -> bool {
        match self.occurrences.binary_search_by_key(&occurrence.start, |known| known.start) {
            Ok(place) if self.occurrences[place] == occurrence => false,
            Ok(place) => {
                self.occurrences[place] = occurrence;
                true
            }
            Err(place) => {
                self.occurrences.insert(place, occurrence);
                true
            }
        }
    }
}
