//! What rules must know of earlier sessions: where a day opened and closed, and how much of something each
//! of its bars held. Kept for the symbols that a rule asks it for, and for no others.
//!
//! Like the windows, the state is a function of the set of bars, whatever the order, the repeats and the
//! revisions they came in.

use crate::market::calendar::{Calendar, Phase};
use crate::statistics::profile::twice_median;
use crate::{Bar, Metric, MetricSet, Price, Rule, Second};
use jiff::civil::Date;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// A price and its minute.
type Point = (Second, Price);

/// What the calendar says of a day.
#[derive(Debug, PartialEq)]
struct Trading {
    date: Date,
    /// How long a bar is, seconds.
    step: i64,
    /// The hours that count.
    tracked: Range<Second>,
    /// Those of them that are regular.
    regular: Range<Second>,
    /// The trading days before, newest first: as many as are kept at the most.
    before: Vec<Date>,
}

impl Trading {
    fn on(calendar: &Calendar, date: Date) -> Option<Self> {
        let (tracked, session) = (calendar.tracked_on(date)?, calendar.session_on(date)?);
        let before = calendar.trading_days_before(date).take(kept(Rule::MAX_SESSIONS)).collect();
        let step = calendar.cadence().seconds();
        Some(Self { date, step, tracked, regular: session.open..session.close, before })
    }

    /// How many bars may start in the day before `at`; where that is in the day, the place of its bar.
    fn place(&self, at: Second) -> usize {
        (at.seconds_since(self.tracked.start).max(0) / self.step) as usize
    }
}

/// How many days before the newest are kept for bars to be compared with `sessions` sessions before their
/// own. Bars are judged once more until they are a day old, so those of the day before the newest, too.
const fn kept(sessions: u8) -> usize {
    sessions as usize + 1
}

/// In place of an amount, which is 0 or more.
const NONE: i128 = -1;

/// One trading day of one symbol.
#[derive(Clone, Debug, PartialEq)]
struct Day {
    trading: Arc<Trading>,
    /// First regular bar's open.
    first: Option<Point>,
    /// Last regular bar's close.
    last: Option<Point>,
    /// By metric that a rule compares with earlier sessions, the amount of each bar that may start in
    /// `trading.tracked`; [`NONE`] where there is none.
    amounts: Vec<(Metric, Vec<i128>)>,
}

impl Day {
    fn new(trading: Arc<Trading>, metrics: MetricSet) -> Self {
        let bars = trading.place(trading.tracked.end);
        let amounts = metrics.iter().map(|metric| (metric, vec![NONE; bars])).collect();
        Self { trading, first: None, last: None, amounts }
    }

    fn amount(&self, metric: Metric, at: usize) -> Option<i128> {
        let (_, amounts) = self.amounts.iter().find(|(known, _)| *known == metric)?;
        amounts.get(at).copied().filter(|&amount| amount != NONE)
    }

    fn insert(&mut self, bar: &Bar) {
        let at = self.trading.place(bar.start);
        for (metric, amounts) in &mut self.amounts {
            if let Some(amount) = amounts.get_mut(at) {
                *amount = metric.value(bar, None).unwrap_or(NONE);
            }
        }
        if self.trading.regular.contains(&bar.start) {
            if self.first.is_none_or(|(minute, _)| bar.start <= minute) {
                self.first = Some((bar.start, bar.open));
            }
            if self.last.is_none_or(|(minute, _)| bar.start >= minute) {
                self.last = Some((bar.start, bar.close));
            }
        }
    }
}

/// The days of one symbol, oldest first, how many sessions before its own a bar is compared with, and which
/// amounts are.
#[derive(Clone, Debug, PartialEq)]
struct History {
    sessions: u8,
    amounts: MetricSet,
    days: Vec<Day>,
}

impl History {
    fn of_minute(&self, minute: Second) -> Option<&Day> {
        self.days.iter().rev().find(|day| day.trading.tracked.contains(&minute))
    }

    fn of_date(&self, date: Date) -> Option<&Day> {
        self.days.iter().rev().find(|day| day.trading.date == date)
    }

    fn insert(&mut self, trading: &Arc<Trading>, bar: &Bar) {
        let newest = self.days.last().map(|day| Arc::clone(&day.trading));
        if newest.is_some_and(|newest| trading.date < newest.oldest(kept(self.sessions))) {
            return;
        }
        let place = self.days.partition_point(|day| day.trading.date < trading.date);
        if self.days.get(place).is_none_or(|day| day.trading.date != trading.date) {
            self.days.insert(place, Day::new(Arc::clone(trading), self.amounts));
            let oldest = self.days.last().map_or(trading.date, |day| day.trading.oldest(kept(self.sessions)));
            self.days.retain(|day| day.trading.date >= oldest);
        }
        if let Some(day) = self.days.iter_mut().rev().find(|day| day.trading.date == trading.date) {
            day.insert(bar);
        }
    }
}

impl Trading {
    /// What the market does at a place of the day.
    fn phase_at(&self, at: usize) -> Phase {
        match () {
            () if at < self.place(self.regular.start) => Phase::Pre,
            () if at < self.place(self.regular.end) => Phase::Regular,
            () => Phase::Post,
        }
    }

    /// The first of the `sessions` days before.
    fn oldest(&self, sessions: usize) -> Date {
        let sessions = sessions.min(self.before.len());
        sessions.checked_sub(1).map_or(self.date, |last| self.before[last])
    }
}

/// Earlier sessions of the symbols that rules ask them for.
#[derive(Clone, Debug)]
pub struct Sessions {
    calendar: Calendar,
    histories: HashMap<usize, History>,
    /// The day of the last bar: usually that of the next one too.
    current: Option<Arc<Trading>>,
}

impl PartialEq for Sessions {
    /// Equal when they know the same days of the same symbols.
    fn eq(&self, other: &Self) -> bool {
        self.histories == other.histories
    }
}

impl Sessions {
    /// Follows nobody yet.
    pub fn new(calendar: Calendar) -> Self {
        Self { calendar, histories: HashMap::new(), current: None }
    }

    /// Whether nobody is followed.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.histories.is_empty()
    }

    /// Follows a symbol for a rule on a metric. True where that has to know more than is known of the symbol:
    /// then nothing is known of it any more, and the bars since [`reach`](Self::reach) are to be
    /// [let in](Self::insert).
    pub fn follow(&mut self, symbol: usize, rule: &Rule, metric: Metric) -> bool {
        let sessions = rule.sessions().min(Rule::MAX_SESSIONS);
        if sessions == 0 {
            return false;
        }
        let (known, amounts) = match self.histories.get(&symbol) {
            Some(history) => (history.sessions, history.amounts),
            None => (0, MetricSet::NONE),
        };
        let wanted = if rule.compares_amounts() { amounts.with(metric) } else { amounts };
        let wants_more = sessions > known || wanted != amounts;
        if wants_more {
            let history = History { sessions: sessions.max(known), amounts: wanted, days: Vec::new() };
            self.histories.insert(symbol, history);
        }
        wants_more
    }

    /// Forgets what is known of a symbol: its bars are now told otherwise, and are to be
    /// [let in](Self::insert) once more.
    pub fn forget(&mut self, symbol: usize) {
        if let Some(history) = self.histories.get_mut(&symbol) {
            history.days.clear();
        }
    }

    /// The first minute that a symbol with its newest bar at `newest` is followed from.
    pub fn reach(&self, newest: Second, sessions: u8) -> Second {
        let date = self.calendar.date_of(newest);
        let first = self.calendar.trading_days_before(date).take(kept(sessions)).last();
        self.calendar.midnight(first.unwrap_or(date))
    }

    /// Lets a bar in, wherever in time it belongs. One outside the minutes that count changes nothing.
    pub fn insert(&mut self, symbol: usize, bar: &Bar) {
        let Some(history) = self.histories.get_mut(&symbol) else { return };
        let current = self.current.take().filter(|current| current.tracked.contains(&bar.start));
        let trading = match current {
            Some(current) => current,
            None => match Trading::on(&self.calendar, self.calendar.date_of(bar.start)) {
                Some(trading) if trading.tracked.contains(&bar.start) => Arc::new(trading),
                _ => return,
            },
        };
        history.insert(&trading, bar);
        self.current = Some(trading);
    }

    /// The first minute that counts of the day of `minute`, where the day is known.
    pub fn begin_of_day(&self, symbol: usize, minute: Second) -> Option<Second> {
        Some(self.histories.get(&symbol)?.of_minute(minute)?.trading.tracked.start)
    }

    /// The first regular price of the day of `minute`, known by then.
    pub fn open(&self, symbol: usize, minute: Second) -> Option<Point> {
        let day = self.histories.get(&symbol)?.of_minute(minute)?;
        day.first.filter(|(start, _)| *start <= minute)
    }

    /// The last regular close of the trading day before that of `minute`.
    pub fn previous_close(&self, symbol: usize, minute: Second) -> Option<Point> {
        let history = self.histories.get(&symbol)?;
        let before = history.of_minute(minute)?.trading.before.first()?;
        history.of_date(*before)?.last
    }

    /// How much of a metric the bar of the same time, counted from where a day's tracking begins, held in the
    /// `sessions` sessions before its own: twice the median, and how many of them had a bar there. Of a
    /// session in which that time was of another phase nothing is taken: on a day that closes early, the
    /// afternoon is after hours.
    pub fn median(&self, symbol: usize, metric: Metric, minute: Second, sessions: u8) -> Option<(i128, u16)> {
        let history = self.histories.get(&symbol)?;
        let trading = &history.of_minute(minute)?.trading;
        let at = trading.place(minute);
        let (oldest, phase) = (trading.oldest(sessions.into()), trading.phase_at(at));
        let mut amounts = [0_i128; Rule::MAX_SESSIONS as usize];
        let mut count = 0;
        let held = history
            .days
            .iter()
            .filter(|day| (oldest..trading.date).contains(&day.trading.date))
            .filter(|day| day.trading.phase_at(at) == phase)
            .filter_map(|day| day.amount(metric, at));
        for (place, amount) in amounts.iter_mut().zip(held) {
            *place = amount;
            count += 1;
        }
        Some((twice_median(&mut amounts[..count]), count as u16))
    }

    /// What the market does at a minute.
    pub fn phase(&self, minute: Second) -> Phase {
        match &self.current {
            Some(current) if current.regular.contains(&minute) => Phase::Regular,
            _ => self.calendar.phase(minute),
        }
    }
}
