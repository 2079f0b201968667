//! The rules once more, in exact rationals and without any state.

use super::{Told, rule};
use crate::oracle::{Series, series};
use old_bigint::BigInt;
use qqq_core::alert::Metric;
use qqq_core::market::calendar::Calendar;
use qqq_core::rule::{Condition, Direction, Origin, Rule, Side, Trigger};
use qqq_core::{Bar, Phase, Second};
use std::collections::BTreeMap;

pub(super) struct Oracle<'a> {
    rule: Rule,
    metric: Metric,
    calendar: &'a Calendar,
    /// Of the bars that tell the metric.
    series: Series,
    opens: BTreeMap<i64, i64>,
    /// The regular starts of bars, by the first second of their day.
    regular: BTreeMap<i64, Vec<i64>>,
}

impl<'a> Oracle<'a> {
    pub(super) fn new(text: &str, metric: Metric, calendar: &'a Calendar, bars: &[Bar]) -> Self {
        let by_start = bars.iter().map(|bar| (bar.start.unix(), *bar)).collect();
        let opens = bars.iter().map(|bar| (bar.start.unix(), bar.open.nanos())).collect();
        let series = series(metric, &by_start);
        let mut oracle = Self { rule: rule(text), metric, calendar, series, opens, regular: BTreeMap::new() };
        for bar in bars.iter().filter(|bar| calendar.phase(bar.start) == Phase::Regular) {
            let day = oracle.day(bar.start.unix()).start;
            oracle.regular.entry(day).or_default().push(bar.start.unix());
        }
        oracle
    }

    pub(super) fn value(&self, t: i64) -> i128 {
        self.series[&t]
    }

    pub(super) fn values(&self, range: std::ops::Range<i64>) -> Vec<BigInt> {
        self.series.range(range).map(|(&t, _)| BigInt::from(self.value(t))).collect()
    }

    pub(super) fn day(&self, t: i64) -> std::ops::Range<i64> {
        let minute = Second::from_unix(t);
        let tracked = self.calendar.tracked_on(self.calendar.date_of(minute)).unwrap();
        tracked.start.unix()..tracked.end.unix()
    }

    pub(super) fn regular(&self, day: &std::ops::Range<i64>) -> &[i64] {
        self.regular.get(&day.start).map_or(&[], Vec::as_slice)
    }

    /// The trading days before the one of `t`, newest first.
    pub(super) fn days_before(&self, t: i64, count: usize) -> Vec<std::ops::Range<i64>> {
        let mut days = Vec::new();
        let mut at = self.day(t).start;
        while days.len() < count && days.len() < 40 {
            let Some(tracked) = self.calendar.tracked_until(Second::from_unix(at - 1)) else { break };
            at = tracked.start.unix();
            days.push(at..tracked.end.unix());
        }
        days
    }

    /// Whether the bar of `t` is at least at `threshold`, in the rule's units. `None` where there is nothing
    /// to compare it with.
    pub(super) fn reaches(&self, t: i64, threshold: i64) -> Option<bool> {
        let (value, threshold) = (BigInt::from(self.value(t)), BigInt::from(threshold));
        let million = BigInt::from(1_000_000);
        let zero = BigInt::from(0);
        Some(match self.rule.condition {
            Condition::Spike { window, min_bars, .. } => {
                let window = self.values(t - i64::from(window) * 60..t);
                let sum: BigInt = window.iter().sum();
                window.len() >= usize::from(min_bars)
                    && sum > zero
                    && value * window.len() * million >= threshold * sum
            }
            Condition::ZScore { window, min_bars, direction, .. } => {
                let window = self.values(t - i64::from(window) * 60..t);
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
                        let over = i64::from(over) * 60;
                        let (&at, _) = self.series.range(t - 2 * over + 1..=t - over).next_back()?;
                        BigInt::from(self.value(at))
                    }
                    Origin::PreviousClose => {
                        let before = self.days_before(t, 1).pop()?;
                        BigInt::from(self.value(*self.regular(&before).last()?))
                    }
                    Origin::Open => {
                        let first = *self.regular(&self.day(t)).first().filter(|&&first| first <= t)?;
                        BigInt::from(self.opens[&first])
                    }
                };
                let moved = value - &origin;
                let size = if moved < zero { -&moved } else { moved.clone() };
                allows(direction, &moved) && size * 100 * million >= threshold * origin
            }
            Condition::Cross { side, .. } => {
                let scaled = value * (1_000_000_000 / self.metric.units());
                if side == Side::Above { scaled >= threshold } else { scaled <= threshold }
            }
            Condition::TimeOfDay { sessions, min_sessions, .. } => {
                let at = t - self.day(t).start;
                let phase = |t: i64| self.calendar.phase(Second::from_unix(t));
                let mut earlier: Vec<i128> = self
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
    pub(super) fn look_back(&self, t: i64) -> i64 {
        match self.rule.condition {
            Condition::Spike { window, .. } | Condition::ZScore { window, .. } => i64::from(window) * 60,
            Condition::Move { from: Origin::Minutes(over), .. } => {
                let over = i64::from(over) * 60;
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
        let mut last: Option<(i64, bool)> = None;
        for &t in self.series.keys() {
            if !self.rule.hours.contain(self.calendar.phase(Second::from_unix(t))) {
                continue;
            }
            let holds = self.reaches(t, threshold);
            let (qualifies, decided) = match self.rule.trigger {
                Trigger::Level => (holds == Some(true), None),
                Trigger::Edge { rearm } => {
                    let known = last.filter(|&(at, _)| {
                        at - self.look_back(at) > t - 86_400 && (!by_day || at >= self.day(t).start)
                    });
                    let armed = match known {
                        Some((_, quiet)) => quiet,
                        None if !is_crossing => true,
                        None if self.metric != Metric::Price => false,
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
                    Some((start, _, count, peak)) if t - *start < i64::from(self.rule.cooldown_seconds) => {
                        *count += 1;
                        *peak = value.max(*peak);
                    }
                    _ => told.push((t, value, 1, value)),
                }
            }
        }
        told
    }

    pub(super) fn previous_close_is_beyond(&self, t: i64, rearm: i64) -> bool {
        let before = self.days_before(t, 1).pop();
        let Some(last) = before.and_then(|before| self.regular(&before).last().copied()) else {
            return false;
        };
        match self.rule.condition {
            Condition::Cross { side: Side::Above, .. } => self.value(last) < i128::from(rearm),
            _ => self.value(last) > i128::from(rearm),
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
