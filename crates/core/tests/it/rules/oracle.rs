//! The rules once more, in exact rationals and without any state.

use super::{Series, Told, rule};
use num_bigint::BigInt;
use qqq_core::alert::Metric;
use qqq_core::market::calendar::Calendar;
use qqq_core::rule::{Condition, Direction, Origin, Rule, Side, Trigger};
use qqq_core::{Bar, Minute, Phase};
use std::collections::BTreeMap;

pub(super) struct Oracle<'a> {
    rule: Rule,
    metric: Metric,
    calendar: &'a Calendar,
    series: Series,
    /// The regular minutes with bars, by the first minute of their day.
    regular: BTreeMap<i32, Vec<i32>>,
}

impl<'a> Oracle<'a> {
    pub(super) fn new(text: &str, metric: Metric, calendar: &'a Calendar, bars: &[Bar]) -> Self {
        let series = bars
            .iter()
            .map(|bar| (bar.start.index(), (bar.open.nanos(), bar.close.nanos(), bar.volume.shares())))
            .collect();
        let mut oracle = Self { rule: rule(text), metric, calendar, series, regular: BTreeMap::new() };
        for bar in bars.iter().filter(|bar| calendar.phase(bar.start) == Phase::Regular) {
            let day = oracle.day(bar.start.index()).start;
            oracle.regular.entry(day).or_default().push(bar.start.index());
        }
        oracle
    }

    pub(super) fn value(&self, t: i32) -> i64 {
        let (_, close, volume) = self.series[&t];
        if self.metric == Metric::Price { close } else { volume }
    }

    pub(super) fn values(&self, range: std::ops::Range<i32>) -> Vec<BigInt> {
        self.series.range(range).map(|(&t, _)| BigInt::from(self.value(t))).collect()
    }

    pub(super) fn day(&self, t: i32) -> std::ops::Range<i32> {
        let minute = Minute::from_index(t);
        let tracked = self.calendar.tracked_on(self.calendar.date_of(minute)).unwrap();
        tracked.start.index()..tracked.end.index()
    }

    pub(super) fn regular(&self, day: &std::ops::Range<i32>) -> &[i32] {
        self.regular.get(&day.start).map_or(&[], Vec::as_slice)
    }

    /// The trading days before the one of `t`, newest first.
    pub(super) fn days_before(&self, t: i32, count: usize) -> Vec<std::ops::Range<i32>> {
        let mut days = Vec::new();
        let mut at = self.day(t).start;
        while days.len() < count && days.len() < 40 {
            let Some(tracked) = self.calendar.tracked_until(Minute::from_index(at - 1)) else { break };
            at = tracked.start.index();
            days.push(at..tracked.end.index());
        }
        days
    }

    /// Whether the bar of `t` is at least at `threshold`, in the rule's units. `None` where there is nothing
    /// to compare it with.
    pub(super) fn reaches(&self, t: i32, threshold: i64) -> Option<bool> {
        let (value, threshold) = (BigInt::from(self.value(t)), BigInt::from(threshold));
        let million = BigInt::from(1_000_000);
        let zero = BigInt::from(0);
        Some(match self.rule.condition {
            Condition::Spike { window, min_bars, .. } => {
                let window = self.values(t - i32::from(window)..t);
                let sum: BigInt = window.iter().sum();
                window.len() >= usize::from(min_bars)
                    && sum > zero
                    && value * window.len() * million >= threshold * sum
            }
            Condition::ZScore { window, min_bars, direction, .. } => {
                let window = self.values(t - i32::from(window)..t);
                let n = BigInt::from(window.len());
                let sum: BigInt = window.iter().sum();
                let distance = &n * &value - &sum;
                // n^2 times the sum of squared deviations from the mean.
                let scatter: BigInt = window.iter().map(|x| (&n * x - &sum) * (&n * x - &sum)).sum();
                window.len() >= usize::from(min_bars).max(2)
                    && scatter > zero
                    && allows(direction, &distance)
                    && &distance * &distance * (&n - 1) * &million * &million
                        >= &threshold * &threshold * scatter
            }
            Condition::Move { from, direction, .. } => {
                let origin = match from {
                    Origin::Minutes(over) => {
                        let over = i32::from(over);
                        let (&at, _) = self.series.range(t - 2 * over + 1..=t - over).next_back()?;
                        self.value(at)
                    }
                    Origin::PreviousClose => {
                        let before = self.days_before(t, 1).pop()?;
                        self.value(*self.regular(&before).last()?)
                    }
                    Origin::Open => {
                        let first = *self.regular(&self.day(t)).first().filter(|&&first| first <= t)?;
                        self.series[&first].0
                    }
                };
                let moved = value - origin;
                let size = if moved < zero { -&moved } else { moved.clone() };
                allows(direction, &moved) && size * 100 * million >= threshold * origin
            }
            Condition::Cross { side, .. } => {
                let scaled = value * if self.metric == Metric::Price { 1 } else { 1_000_000_000 };
                if side == Side::Above { scaled >= threshold } else { scaled <= threshold }
            }
            Condition::TimeOfDay { sessions, min_sessions, .. } => {
                let at = t - self.day(t).start;
                let phase = |t: i32| self.calendar.phase(Minute::from_index(t));
                let mut earlier: Vec<i64> = self
                    .days_before(t, sessions.into())
                    .into_iter()
                    .filter(|day| phase(day.start + at) == phase(t))
                    .filter_map(|day| {
                        self.series.contains_key(&(day.start + at)).then(|| self.value(day.start + at))
                    })
                    .collect();
                earlier.sort_unstable();
                let count = earlier.len();
                if count < usize::from(min_sessions) {
                    return Some(false);
                }
                let twice = BigInt::from(earlier[(count - 1) / 2]) + BigInt::from(earlier[count / 2]);
                twice > zero && value * 2 * million >= threshold * twice
            }
        })
    }

    /// How long what a bar is compared with reaches back before it.
    pub(super) fn look_back(&self, t: i32) -> i32 {
        match self.rule.condition {
            Condition::Spike { window, .. } | Condition::ZScore { window, .. } => window.into(),
            Condition::Move { from: Origin::Minutes(over), .. } => {
                let over = i32::from(over);
                let origin = self.series.range(t - 2 * over + 1..=t - over).next_back();
                origin.map_or(0, |(&at, _)| t - at)
            }
            _ => 0,
        }
    }

    /// Walks the bars in order.
    pub(super) fn walk(&self) -> Vec<Told> {
        let threshold = self.rule.condition.threshold();
        let is_crossing = matches!(self.rule.condition, Condition::Cross { .. });
        let by_day = self.rule.sessions() > 0 && !is_crossing;
        let mut told: Vec<Told> = Vec::new();
        // The last bar that was quiet (true) or not (false).
        let mut last: Option<(i32, bool)> = None;
        for &t in self.series.keys() {
            if !self.rule.hours.contain(self.calendar.phase(Minute::from_index(t))) {
                continue;
            }
            let holds = self.reaches(t, threshold);
            let (qualifies, decided) = match self.rule.trigger {
                Trigger::Level => (holds == Some(true), None),
                Trigger::Edge { rearm } => {
                    let known = last.filter(|&(at, _)| {
                        at - self.look_back(at) > t - 1440 && (!by_day || at >= self.day(t).start)
                    });
                    let armed = match known {
                        Some((_, quiet)) => quiet,
                        None if !is_crossing => true,
                        None if self.metric == Metric::Volume => false,
                        None => self.previous_close_is_beyond(t, rearm),
                    };
                    let decided = match (self.reaches(t, rearm), holds) {
                        (Some(false), _) => Some(true),
                        (_, Some(true)) => Some(false),
                        _ => None,
                    };
                    (holds == Some(true) && armed, decided)
                }
            };
            last = decided.map(|quiet| (t, quiet)).or(last);
            if qualifies {
                let value = self.value(t);
                match told.last_mut() {
                    Some((start, _, count, peak))
                        if (t - *start) * 60 < self.rule.cooldown_seconds as i32 =>
                    {
                        *count += 1;
                        *peak = value.max(*peak);
                    }
                    _ => told.push((t, value, 1, value)),
                }
            }
        }
        told
    }

    pub(super) fn previous_close_is_beyond(&self, t: i32, rearm: i64) -> bool {
        let before = self.days_before(t, 1).pop();
        let Some(last) = before.and_then(|before| self.regular(&before).last().copied()) else {
            return false;
        };
        match self.rule.condition {
            Condition::Cross { side: Side::Above, .. } => self.value(last) < rearm,
            _ => self.value(last) > rearm,
        }
    }
}

fn allows(direction: Direction, distance: &BigInt) -> bool {
    let zero = BigInt::from(0);
    match direction {
        Direction::Up => *distance > zero,
        Direction::Down => *distance < zero,
        Direction::Both => *distance != zero,
    }
}
