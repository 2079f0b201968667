//! What a rule would have told: recorded bars through the very detector that runs live.

use crate::alert::detector::{Detector, Watch};
use crate::alert::sessions::Sessions;
use crate::alert::{Alert, AlertChange, Visibility};
use crate::market::metric::{Metric, MetricSet};
use crate::rule::{Rule, RuleName, SpikeRule};
use crate::{Bar, Calendar, FeedLabel, Second, Symbol};
use jiff::civil::Date;
use std::ops::Range;

/// One rule on one metric of one symbol, over bars that come oldest first.
///
/// Bars before the range warm the windows up; what they raise is judged, so that its cool-down counts, and
/// not reported. Each bar is judged at the moment it ended. Where the feed of the bars changes, windows begin
/// anew, as they do live.
pub struct Backtest {
    name: RuleName,
    house: SpikeRule,
    symbol: Symbol,
    metric: Metric,
    calendar: Calendar,
    from: Second,
    detector: Option<Detector>,
    changes: Vec<AlertChange>,
    report: Report,
    /// The day of the newest bar and the minutes of it that count.
    today: Option<(Date, Range<Second>)>,
}

/// Which rule to test on what.
#[derive(Clone, Debug)]
pub struct BacktestQuery {
    /// The rule.
    pub rule: RuleName,
    /// What a tracker's own rule says.
    pub house: SpikeRule,
    /// Of these symbols.
    pub symbols: Vec<Symbol>,
    /// Of these metrics.
    pub metrics: Vec<Metric>,
    /// Bars that start in this range.
    pub range: Range<Second>,
    /// Alerts told one by one, at the most; the figures count all.
    pub most: usize,
}

impl BacktestQuery {
    /// Since when bars are to be known, so that what the rule looks at is there at the beginning of the
    /// range.
    pub fn reach(&self, calendar: &Calendar) -> Second {
        Backtest::warm_up(&self.rule.rule(self.house), calendar, self.range.start)
    }
}

/// Those of some metrics that a rule goes with.
pub fn metrics_of(rule: RuleName, tracked: MetricSet) -> Vec<Metric> {
    let suits = |metric: &Metric| match rule {
        RuleName::House => true,
        RuleName::Own(rule) => rule.suits(*metric).is_ok(),
    };
    tracked.iter().filter(suits).collect()
}

/// What a rule would have told.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Alerts: each would have been one message.
    pub messages: u64,
    /// Bars that qualified: what would have been sent without a cool-down.
    pub qualifying_bars: u64,
    /// The alerts, with the bars that qualified during their cool-downs: the oldest, as many as are kept.
    /// Oldest first.
    pub alerts: Vec<Alert>,
    /// How many alerts are kept.
    most: usize,
    /// The trading days with bars, oldest first.
    pub days: Vec<Day>,
    /// Bars judged.
    pub bars: u64,
}

/// One trading day of a backtest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// New York date.
    pub date: Date,
    /// Alerts: what would have been sent.
    pub alerts: u32,
}

impl Report {
    /// Of no bar yet. Keeps the first `most` alerts; the figures count all.
    pub fn keeping(most: usize) -> Self {
        Self { messages: 0, qualifying_bars: 0, alerts: Vec::new(), most, days: Vec::new(), bars: 0 }
    }

    /// `would have told 14 times in 5 sessions, 2 to 4 a day`.
    pub fn summary(&self) -> String {
        let times = match self.messages {
            0 => "would have told nothing".to_owned(),
            1 => "would have told once".to_owned(),
            many => format!("would have told {many} times"),
        };
        let sessions = match self.days.len() {
            0 => return "no bars to look at".to_owned(),
            1 => "1 session".to_owned(),
            many => format!("{many} sessions"),
        };
        let counts = || self.days.iter().map(|day| day.alerts);
        let range = match (counts().min().unwrap_or(0), counts().max().unwrap_or(0)) {
            (_, 0) => String::new(),
            (least, most) if least == most => format!(", {most} a day"),
            (least, most) => format!(", {least} to {most} a day"),
        };
        format!("{times} in {sessions}{range}")
    }

    /// Alerts in an average session. `None` without any.
    pub fn alerts_per_session(&self) -> Option<f64> {
        (!self.days.is_empty()).then(|| self.messages as f64 / self.days.len() as f64)
    }

    /// The `count` days with the most alerts, most first; of equal ones, the newest.
    pub fn loudest(&self, count: usize) -> Vec<Day> {
        self.sorted(count, |day| (std::cmp::Reverse(day.alerts), std::cmp::Reverse(day.date)))
    }

    /// The `count` days with the fewest alerts, fewest first; of equal ones, the newest.
    pub fn quietest(&self, count: usize) -> Vec<Day> {
        self.sorted(count, |day| (day.alerts, std::cmp::Reverse(day.date)))
    }

    /// Adds what another symbol's backtest of the same range found.
    pub fn merge(&mut self, other: Self) {
        self.bars += other.bars;
        self.messages += other.messages;
        self.qualifying_bars += other.qualifying_bars;
        self.alerts.extend(other.alerts);
        self.alerts.sort_by_key(|alert| (alert.start, alert.symbol));
        self.alerts.truncate(self.most);
        for day in other.days {
            match self.days.binary_search_by_key(&day.date, |known| known.date) {
                Ok(place) => self.days[place].alerts += day.alerts,
                Err(place) => self.days.insert(place, day),
            }
        }
    }

    fn sorted<K: Ord>(&self, count: usize, key: impl Fn(&Day) -> K) -> Vec<Day> {
        let mut days = self.days.clone();
        days.sort_by_key(key);
        days.truncate(count);
        days
    }
}

impl Backtest {
    /// Tests a rule on bars that start at `from` or later. `house` is what the tracker's own rule says.
    pub fn new(
        name: RuleName,
        house: SpikeRule,
        symbol: Symbol,
        metric: Metric,
        calendar: &Calendar,
        from: Second,
    ) -> Self {
        Self {
            name,
            house,
            symbol,
            metric,
            calendar: calendar.clone(),
            from,
            detector: None,
            changes: Vec::new(),
            report: Report::keeping(usize::MAX),
            today: None,
        }
    }

    /// Keeps the first `most` alerts only. The figures count all.
    pub fn keeping(mut self, most: usize) -> Self {
        self.report.most = most;
        self
    }

    /// Since when bars are to be given, so that what a rule looks at is known at `from`.
    pub fn warm_up(rule: &Rule, calendar: &Calendar, from: Second) -> Second {
        const WINDOWS: i64 = 2 * Second::PER_DAY;
        let cooldown = i64::from(rule.cooldown_seconds);
        // The weekend is no market.
        let market =
            calendar.tracked_until(from.plus_seconds(-1)).map_or(from, |tracked| tracked.end.min(from));
        let windows = market.plus_seconds(-WINDOWS - cooldown);
        match rule.sessions() {
            0 => windows,
            // Those that silence an alert of the first day are judged by sessions of their own.
            sessions => {
                windows.min(Sessions::new(calendar.clone()).reach(market.plus_seconds(-cooldown), sessions))
            }
        }
    }

    /// Takes the next bar. One that does not count, by the calendar, is passed over.
    pub fn take(&mut self, bar: &Bar) {
        let Some(date) = self.day_of(bar.start) else { return };
        let detector = match &mut self.detector {
            Some(detector) if detector.feed() == bar.feed => detector,
            other => other.insert(detector(
                self.name,
                self.house,
                self.symbol,
                self.metric,
                bar.feed,
                &self.calendar,
            )),
        };
        detector.observe(0, bar, self.calendar.cadence().end(bar.start), &mut self.changes);
        if bar.start >= self.from {
            self.report.bars += 1;
            if self.report.days.last().is_none_or(|day| day.date != date) {
                self.report.days.push(Day { date, alerts: 0 });
            }
        }
        for change in self.changes.drain(..).filter(|change| change.alert().metric == self.metric) {
            match change {
                AlertChange::Raised(alert) if alert.start >= self.from => {
                    if let Some(day) = self.report.days.last_mut() {
                        day.alerts += 1;
                    }
                    self.report.messages += 1;
                    self.report.qualifying_bars += 1;
                    if self.report.alerts.len() < self.report.most {
                        self.report.alerts.push(alert);
                    }
                }
                AlertChange::Counted(alert) if alert.start >= self.from => {
                    self.report.qualifying_bars += 1;
                    if let Some(known) = self.report.alerts.last_mut().filter(|known| known.id == alert.id) {
                        *known = alert;
                    }
                }
                _ => {}
            }
        }
    }

    /// What came of it.
    pub fn finish(self) -> Report {
        self.report
    }

    /// The trading day of a minute that counts. Bars come day by day, so the last answer is usually the next.
    fn day_of(&mut self, minute: Second) -> Option<Date> {
        if self.today.as_ref().is_none_or(|(_, tracked)| !tracked.contains(&minute)) {
            let date = self.calendar.date_of(minute);
            self.today = self.calendar.tracked_on(date).map(|tracked| (date, tracked));
        }
        self.today.as_ref().filter(|(_, tracked)| tracked.contains(&minute)).map(|(date, _)| *date)
    }
}

/// A detector of one symbol that judges one rule.
fn detector(
    name: RuleName,
    house: SpikeRule,
    symbol: Symbol,
    metric: Metric,
    feed: FeedLabel,
    calendar: &Calendar,
) -> Detector {
    let calendar = &calendar.clone().with_metrics(MetricSet::NONE.with(metric));
    match name {
        RuleName::House => Detector::new(&[symbol], feed, calendar, house),
        RuleName::Own(rule) => {
            let spans: Vec<u16> = rule.span().into_iter().collect();
            let mut detector =
                Detector::without_house_rule(&[symbol], feed, calendar, house.max_alert_age_seconds, &spans);
            // Told to whoever asks, by whatever rule.
            detector.watch(0, Watch { rule, metric }, Visibility::Public);
            detector
        }
    }
}
