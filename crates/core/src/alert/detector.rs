//! The detector: takes bars in whatever order they come, answers with statistics and alerts.
//!
//! The house rule is judged on both metrics of every bar; further rules on the symbols and metrics they are
//! [watched](Detector::watch) for. Statistics depend on the set of bars alone. Alerts are judged once, when
//! their bar arrives: same bars in the same order, same alerts, however they were batched and whether or not
//! the process was restarted in between ([`Detector::restore`]).

mod verdict;

use crate::UnknownWord;
use crate::alert::closes::Closes;
use crate::alert::cooldown::{AlertPolicy, Candidate, CooldownState};
use crate::alert::sessions::Sessions;
use crate::alert::{Alert, AlertChange, Metric, MetricSet, Visibility};
use crate::rule::{AlertRule, Condition, Evidence, InvalidRule, Rule, RuleName, SpikeRule};
use crate::statistics::Statistics;
use crate::statistics::window::{Arrival, Trailing, Windows};
use crate::{Bar, Cadence, Calendar, FeedLabel, Price, Second, Split, Symbol};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;

/// What became of a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed {
    /// How it met the window.
    pub arrival: Arrival,
    /// How often the minute's close or volume has been replaced, this bar included.
    pub revision: u32,
}

/// A further rule on one metric of a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Watch {
    /// The rule.
    pub rule: Rule,
    /// What of a bar it looks at.
    pub metric: Metric,
}

impl fmt::Display for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.metric, self.rule)
    }
}

impl Watch {
    /// Reads a metric and a [rule](Rule::read) that goes with it: `volume time_of_day ratio=4`.
    pub fn read(text: &str, cadence: Cadence) -> Result<Self, InvalidRule> {
        let (metric, rule) = text.trim().split_once(' ').unwrap_or((text, ""));
        let metric: Metric = metric.parse().map_err(|error: UnknownWord| InvalidRule {
            field: "metric".to_owned(),
            reason: error.to_string(),
        })?;
        let rule = Rule::read(rule, cadence)?;
        rule.suits(metric).map(|()| Self { rule, metric })
    }
}

impl FromStr for Watch {
    type Err = InvalidRule;

    /// As [`Rule`]'s.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::read(text, Cadence::Sixty)
    }
}

/// A rule under its name, and who may read its alerts.
#[derive(Clone, Copy)]
struct Judged {
    name: RuleName,
    visibility: Visibility,
}

/// The tracker's own.
const HOUSE: Judged = Judged { name: RuleName::House, visibility: Visibility::Public };

/// Windows and rules over the symbols of a watchlist, by dense id. Bars are of one feed: volumes of different
/// feeds are not comparable.
#[derive(Clone)]
pub struct Detector {
    symbols: Vec<Symbol>,
    feed: FeedLabel,
    cadence: Cadence,
    house: Option<Rule>,
    /// A bar that ended longer before the feed's clock raises nothing. Seconds.
    max_alert_age_seconds: u32,
    /// The same for a bar that an outage of our own hid. Seconds.
    max_alert_age_after_outage_seconds: u32,
    /// By symbol, until when a live feed was asked and has answered. `None` where it never was: then nothing
    /// was hidden.
    asked_until: Vec<Option<Second>>,
    windows: Windows,
    sessions: Sessions,
    closes: Closes,
    /// By symbol; as long as the watchlist once there is any.
    watches: Vec<Vec<(Watch, Visibility)>>,
    /// Bars of the last day whose values have been replaced, and how often.
    revisions: HashMap<usize, BTreeMap<Second, u32>>,
    /// Alerts that can still matter: those within their rule's cool-down or a day of the newest bar.
    cooldowns: HashMap<(RuleName, usize, Metric), CooldownState>,
}

impl Detector {
    /// Makes a detector that has seen nothing and judges the house rule.
    pub fn new(symbols: &[Symbol], feed: FeedLabel, calendar: &Calendar, house: SpikeRule) -> Self {
        let without =
            Self::without_house_rule(symbols, feed, calendar, house.max_alert_age_seconds, &[house.window]);
        let after_outage = house.max_alert_age_after_outage_seconds.max(house.max_alert_age_seconds);
        Self { house: Some(house.into()), max_alert_age_after_outage_seconds: after_outage, ..without }
    }

    /// Makes a detector that judges nothing but what it is told to watch. `spans` are trailing windows, in
    /// minutes, to be kept up bar by bar: for rules that are judged on every bar of long histories.
    pub fn without_house_rule(
        symbols: &[Symbol],
        feed: FeedLabel,
        calendar: &Calendar,
        max_alert_age_seconds: u32,
        spans: &[u16],
    ) -> Self {
        Self {
            symbols: symbols.to_vec(),
            feed,
            cadence: calendar.cadence(),
            house: None,
            max_alert_age_seconds,
            max_alert_age_after_outage_seconds: max_alert_age_seconds,
            asked_until: vec![None; symbols.len()],
            windows: Windows::new(symbols.len(), calendar.cadence(), calendar.metrics(), spans),
            sessions: Sessions::new(calendar.clone()),
            closes: Closes::new(symbols.len(), calendar.clone()),
            watches: Vec::new(),
            revisions: HashMap::new(),
            cooldowns: HashMap::new(),
        }
    }

    /// What is tracked.
    pub fn metrics(&self) -> MetricSet {
        self.windows.metrics()
    }

    /// Takes up where an earlier detector stopped: its bars (with their revisions) and alerts as stored.
    /// Nothing is judged again. Bars of other feeds and alerts of rules that are not judged are passed over,
    /// so rules are to be [watched](Self::watch) before.
    pub fn restore(
        &mut self,
        bars: impl IntoIterator<Item = (usize, Bar, u32)>,
        alerts: impl IntoIterator<Item = (usize, Alert)>,
    ) {
        for (symbol, bar, revision) in bars {
            self.closes.insert(symbol, &bar);
            if bar.feed == self.feed {
                self.windows.insert(symbol, &bar);
                self.sessions.insert(symbol, &bar);
                if revision > 0 {
                    self.revisions.entry(symbol).or_default().insert(bar.start, revision);
                }
            }
        }
        let mut by_rule: HashMap<_, Vec<Alert>> = HashMap::new();
        for (symbol, alert) in alerts {
            let name = alert.rule.name();
            if self.judges(symbol, name, alert.metric) {
                by_rule.entry((name, symbol, alert.metric)).or_default().push(alert);
            }
        }
        for (key, alerts) in by_rule {
            self.cooldowns.entry(key).or_default().restore(alerts);
        }
    }

    /// Judges a further rule on a metric of a symbol from now on; `visibility` is that of the alerts it
    /// raises. True where it has to know more of earlier sessions than is known: then the bars since
    /// [`reach`](Self::reach) are to be [recalled](Self::recall).
    pub fn watch(&mut self, symbol: usize, watch: Watch, visibility: Visibility) -> bool {
        self.watches.resize(self.symbols.len(), Vec::new());
        if !self.watches[symbol].iter().any(|(known, _)| *known == watch) {
            self.watches[symbol].push((watch, visibility));
        }
        self.sessions.follow(symbol, &watch.rule, watch.metric)
    }

    /// Judges a rule no more on a metric of a symbol.
    pub fn unwatch(&mut self, symbol: usize, watch: Watch) {
        if let Some(watches) = self.watches.get_mut(symbol) {
            watches.retain(|(known, _)| *known != watch);
            self.cooldowns.remove(&(RuleName::Own(watch.rule), symbol, watch.metric));
        }
    }

    /// The further rules of a symbol, and who may read their alerts.
    fn watches(&self, symbol: usize) -> &[(Watch, Visibility)] {
        self.watches.get(symbol).map_or(&[], Vec::as_slice)
    }

    /// Since when the rules of a symbol have to know its bars. `None` where a day is enough, or where it has
    /// none.
    pub fn reach(&self, symbol: usize) -> Option<Second> {
        let sessions = self.watches(symbol).iter().map(|(watch, _)| watch.rule.sessions()).max()?;
        let newest = self.windows.newest(symbol).filter(|_| sessions > 0)?;
        Some(self.sessions.reach(newest, sessions))
    }

    /// Lets in bars of earlier sessions that a rule has to know; the windows stay as they are.
    pub fn recall<'a>(&mut self, symbol: usize, bars: impl IntoIterator<Item = &'a Bar>) {
        for bar in bars.into_iter().filter(|bar| bar.feed == self.feed) {
            self.sessions.insert(symbol, bar);
        }
    }

    /// Lets in bars of the sessions before, of whatever feed: what a day's change is measured from. Nothing
    /// else is learnt of them.
    pub fn recall_closes<'a>(&mut self, symbol: usize, bars: impl IntoIterator<Item = &'a Bar>) {
        for bar in bars {
            self.closes.insert(symbol, bar);
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
        let arrival = self.windows.insert(symbol, bar);
        self.closes.insert(symbol, bar);
        if !self.sessions.is_empty() {
            self.sessions.insert(symbol, bar);
        }
        if arrival != Arrival::New {
            return self.observe_again(symbol, bar.start, arrival, clock, changes);
        }
        if let Some(Rule { condition, .. }) = self.house
            && let Condition::Spike { window, .. } = condition
        {
            let pair =
                [(Metric::Price, bar.close.nanos().into()), (Metric::Volume, bar.volume.shares().into())];
            for (metric, value) in pair {
                if let Some(Trailing { bars, sum }) = self.windows.trailing(symbol, bar.start, window, metric)
                {
                    let evidence = Evidence::Average { sum, bars };
                    if condition.holds(metric, value, &evidence) {
                        self.qualify(HOUSE, symbol, metric, bar.start, value, evidence, clock, changes);
                    }
                }
            }
            for place in 0..self.windows.further() {
                let Some((metric, value, trailing)) = self.windows.newest_of(place, symbol, window) else {
                    continue;
                };
                let evidence = Evidence::Average { sum: trailing.sum, bars: trailing.bars };
                if condition.holds(metric, value, &evidence) {
                    self.qualify(HOUSE, symbol, metric, bar.start, value, evidence, clock, changes);
                }
            }
        }
        if !self.watches.is_empty() {
            self.judge_watches(symbol, bar.start, clock, changes);
        }
        Observed { arrival, revision: 0 }
    }

    /// Takes a bar into the windows and judges nothing: for minutes that another feed's bars were judged by.
    pub fn learn(&mut self, symbol: usize, bar: &Bar) -> Observed {
        let arrival = self.windows.insert(symbol, bar);
        self.closes.insert(symbol, bar);
        self.sessions.insert(symbol, bar);
        if let Arrival::Revised(_) = arrival {
            self.count_revision(symbol, bar.start);
        }
        Observed { arrival, revision: self.revision(symbol, bar.start) }
    }

    /// Says that a live feed was asked for all bars of a symbol before `until`, and has answered, at `clock`.
    ///
    /// A bar from there on could not be known before it is [observed](Self::observe), however long ago it
    /// ended: an outage of our own hid it, and it is still news, up to the age that the house rule states for
    /// that. One from before was asked for in vain: the feed itself is late.
    pub fn asked(&mut self, symbol: usize, until: Second, clock: Timestamp) {
        // What lies ahead of the clock was said before the clock was set back.
        let known = self.asked_until[symbol].filter(|known| known.start() <= clock);
        self.asked_until[symbol] = known.max(Some(until));
    }

    /// Until when a symbol's bars were asked for. `None` where they never were.
    pub fn asked_until(&self, symbol: usize) -> Option<Second> {
        self.asked_until[symbol]
    }

    /// The figures of a symbol at its newest bar.
    #[inline]
    pub fn statistics(&self, symbol: usize) -> Option<Statistics> {
        let start = self.windows.newest(symbol)?;
        let further = self.windows.further_figures(symbol);
        Some(Statistics {
            further,
            price: self.windows.figures(symbol, Metric::Price),
            volume: self.windows.figures(symbol, Metric::Volume),
            start,
            symbol: self.symbols[symbol],
            feed: self.feed,
        })
    }

    /// The windows, to look into.
    pub fn windows(&self) -> &Windows {
        &self.windows
    }

    /// The feed whose bars these are.
    pub fn feed(&self) -> FeedLabel {
        self.feed
    }

    /// The start of a symbol's newest bar.
    pub fn newest(&self, symbol: usize) -> Option<Second> {
        self.windows.newest(symbol)
    }

    /// Brings a symbol's bars before `from` to the units after a split. Alerts keep their evidence. `bars`
    /// are those of the symbol [since](Self::since) it must know them, oldest first, as they were told: what
    /// is read off several prices is rounded once, so it cannot be converted itself.
    pub fn apply_split<'a>(
        &mut self,
        symbol: usize,
        split: &Split,
        from: Second,
        bars: impl IntoIterator<Item = &'a Bar>,
    ) {
        self.windows.clear(symbol);
        self.sessions.forget(symbol);
        for bar in bars.into_iter().filter(|bar| bar.feed == self.feed) {
            let converted = if bar.start < from { split.bar(bar) } else { *bar };
            self.windows.insert(symbol, &converted);
            self.sessions.insert(symbol, &converted);
        }
        self.closes.rescale(symbol, from, |price| split.price(price));
    }

    /// How far before a symbol's newest bar the windows must know its bars to go on exactly, in seconds.
    pub fn windows_reach(&self) -> i64 {
        self.windows.reach()
    }

    /// Since when the windows and the rules of a symbol have to know its bars. `None` where it has none.
    pub fn since(&self, symbol: usize) -> Option<Second> {
        let windows = self.windows.newest(symbol)?.plus_seconds(1 - self.windows.reach());
        Some(self.reach(symbol).map_or(windows, |reach| reach.min(windows)))
    }

    /// How far before a symbol's newest bar its alerts must be known to go on exactly, in seconds.
    pub fn memory_seconds(&self) -> i64 {
        let house = self.house.map(|house| house.cooldown_seconds);
        let further = self.watches.iter().flatten().map(|(watch, _)| watch.rule.cooldown_seconds);
        memory(house.into_iter().chain(further).max().unwrap_or(0))
    }

    /// A bar of a minute that is not the newest, or of one that was known.
    #[cold]
    fn observe_again(
        &mut self,
        symbol: usize,
        start: Second,
        arrival: Arrival,
        clock: Timestamp,
        changes: &mut Vec<AlertChange>,
    ) -> Observed {
        let metrics = match arrival {
            Arrival::Revised(changed) => {
                self.count_revision(symbol, start);
                changed
            }
            Arrival::Late => self.metrics(),
            Arrival::New | Arrival::Unchanged | Arrival::TooOld => MetricSet::NONE,
        };
        for metric in metrics.iter() {
            self.judge_again(symbol, metric, start, clock, changes);
        }
        Observed { arrival, revision: self.revision(symbol, start) }
    }

    fn judge_watches(
        &mut self,
        symbol: usize,
        start: Second,
        clock: Timestamp,
        changes: &mut Vec<AlertChange>,
    ) {
        for index in 0..self.watches[symbol].len() {
            let (Watch { rule, metric }, visibility) = self.watches[symbol][index];
            let value = self.windows.value(symbol, start, metric);
            if let Some(value) = value
                && let Some((true, evidence)) = self.verdict(&rule, symbol, metric, start, value)
            {
                let judged = Judged { name: RuleName::Own(rule), visibility };
                self.qualify(judged, symbol, metric, start, value, evidence, clock, changes);
            }
        }
    }

    /// Judges a late or corrected bar by what was before it as known now, by every rule on the metric.
    fn judge_again(
        &mut self,
        symbol: usize,
        metric: Metric,
        start: Second,
        clock: Timestamp,
        changes: &mut Vec<AlertChange>,
    ) {
        let house = self.house.map(|_| HOUSE);
        let further = self.watches(symbol).iter().filter(|(watch, _)| watch.metric == metric);
        let further =
            further.map(|&(watch, visibility)| Judged { name: RuleName::Own(watch.rule), visibility });
        let rules: Vec<Judged> = house.into_iter().chain(further).collect();
        for judged in rules {
            self.judge_once_more(judged, symbol, metric, start, clock, changes);
        }
    }

    fn judge_once_more(
        &mut self,
        judged: Judged,
        symbol: usize,
        metric: Metric,
        start: Second,
        clock: Timestamp,
        changes: &mut Vec<AlertChange>,
    ) {
        let Some(rule) = self.rule(judged.name) else { return };
        // What a bar raised stands or falls by the rule that raised it, whatever the house's has become
        // since.
        let state = self.cooldowns.get(&(judged.name, symbol, metric));
        let rule = state.and_then(|state| state.rule_of(start)).map_or(rule, |raised_by| *raised_by.rule());
        let verdict = match self.windows.value(symbol, start, metric) {
            // Without the whole window there is no verdict, and none is taken back.
            Some(value) => match self.verdict(&rule, symbol, metric, start, value) {
                Some((qualifies, evidence)) => qualifies.then_some((value, evidence)),
                None => return,
            },
            // The bar tells this no more.
            None => None,
        };
        if let Some((value, evidence)) = verdict {
            self.qualify(judged, symbol, metric, start, value, evidence, clock, changes);
            return;
        }
        let Some(state) = self.cooldowns.get_mut(&(judged.name, symbol, metric)) else { return };
        for minute in state.disqualify(start, self.feed, changes) {
            self.judge_once_more(judged, symbol, metric, minute, clock, changes);
        }
    }

    /// A bar reaches its rule's threshold.
    #[cold]
    #[expect(clippy::too_many_arguments, reason = "the verdict and its evidence, passed once")]
    fn qualify(
        &mut self,
        judged: Judged,
        symbol: usize,
        metric: Metric,
        start: Second,
        value: i128,
        evidence: Evidence,
        clock: Timestamp,
        changes: &mut Vec<AlertChange>,
    ) {
        let Judged { name, visibility } = judged;
        let Some(rule) = self.rule(name) else { return };
        let policy = AlertPolicy {
            rule: match name {
                RuleName::House => AlertRule::House(rule),
                RuleName::Own(_) => AlertRule::Own(rule),
            },
            visibility,
            symbol: self.symbols[symbol],
            metric,
            cooldown_seconds: rule.cooldown_seconds,
            max_age_seconds: self.max_age_seconds(symbol, start),
        };
        let revision = self.revision(symbol, start);
        let candidate = Candidate {
            start,
            value,
            evidence,
            close: self.close(symbol, start),
            previous_close: self.closes.before(symbol, start),
            feed: self.feed,
            revision,
            ended: self.cadence.end(start),
            clock,
        };
        let state = self.cooldowns.entry((name, symbol, metric)).or_default();
        if state.qualify(policy, candidate, changes) {
            self.forget_the_past(symbol);
        }
    }

    fn close(&self, symbol: usize, start: Second) -> Option<Price> {
        let nanos = self.windows.value(symbol, start, Metric::Price)?;
        Price::from_nanos(i64::try_from(nanos).ok()?).ok()
    }

    /// How long ago a bar may have ended to be news.
    fn max_age_seconds(&self, symbol: usize, start: Second) -> u32 {
        let was_hidden = self.asked_until[symbol].is_some_and(|until| start >= until);
        if was_hidden { self.max_alert_age_after_outage_seconds } else { self.max_alert_age_seconds }
    }

    /// The rule of a name, where it is judged here.
    fn rule(&self, name: RuleName) -> Option<Rule> {
        match name {
            RuleName::House => self.house,
            RuleName::Own(rule) => Some(rule),
        }
    }

    fn judges(&self, symbol: usize, name: RuleName, metric: Metric) -> bool {
        match name {
            RuleName::House => self.house.is_some(),
            RuleName::Own(rule) => {
                self.watches(symbol).iter().any(|(watch, _)| *watch == Watch { rule, metric })
            }
        }
    }

    /// Drops what no bar can touch any more. Late bars older than a day are not judged.
    fn forget_the_past(&mut self, symbol: usize) {
        let Some(newest) = self.windows.newest(symbol) else { return };
        let house = self.house.map(|house| (RuleName::House, house.cooldown_seconds));
        let house = house
            .into_iter()
            .flat_map(|house| self.windows.metrics().iter().map(move |metric| (house, metric)));
        let further = self.watches.get(symbol).into_iter().flatten();
        let further =
            further.map(|(one, _)| ((RuleName::Own(one.rule), one.rule.cooldown_seconds), one.metric));
        for ((name, cooldown), metric) in house.chain(further) {
            if let Some(state) = self.cooldowns.get_mut(&(name, symbol, metric)) {
                state.forget(newest.plus_seconds(1 - memory(cooldown)));
            }
        }
        if let Some(revisions) = self.revisions.get_mut(&symbol) {
            *revisions = revisions.split_off(&newest.plus_seconds(1 - Second::PER_DAY));
        }
    }

    fn count_revision(&mut self, symbol: usize, start: Second) {
        *self.revisions.entry(symbol).or_default().entry(start).or_default() += 1;
        self.forget_the_past(symbol);
    }

    fn revision(&self, symbol: usize, start: Second) -> u32 {
        self.revisions.get(&symbol).and_then(|revisions| revisions.get(&start)).copied().unwrap_or(0)
    }
}

/// How far before the newest bar an alert with this cool-down matters, in seconds.
fn memory(cooldown_seconds: u32) -> i64 {
    Second::PER_DAY + i64::from(cooldown_seconds)
}
