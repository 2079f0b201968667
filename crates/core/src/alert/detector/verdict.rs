//! Whether a bar qualifies by a rule, and by what evidence.

use super::Detector;
use crate::Second;
use crate::alert::Metric;
use crate::rule::{Condition, Evidence, Hours, Origin, Rule, Trigger};
use crate::statistics::window::Trailing;

impl Detector {
    /// Whether a bar in the window qualifies by a rule, and by what evidence. `None` where what the rule
    /// looks at is not known.
    pub(super) fn verdict(
        &self,
        rule: &Rule,
        symbol: usize,
        metric: Metric,
        start: Second,
        value: i128,
    ) -> Option<(bool, Evidence)> {
        if !self.is_judged(rule, start) {
            return None;
        }
        let evidence = self.evidence(&rule.condition, symbol, metric, start)?;
        let holds = rule.condition.holds(metric, value, &evidence);
        match rule.trigger {
            Trigger::Level => Some((holds, evidence)),
            Trigger::Edge { rearm } if holds => match self.quiet_before(rule, rearm, symbol, metric, start) {
                Some(before) => Some((true, before.map_or(evidence, |before| crossing(evidence, before)))),
                None => Some((false, evidence)),
            },
            Trigger::Edge { .. } => Some((false, evidence)),
        }
    }

    fn is_judged(&self, rule: &Rule, start: Second) -> bool {
        rule.hours == Hours::All || rule.hours.contain(self.sessions.phase(start))
    }

    /// What a condition compares the value of a bar in the window with.
    fn evidence(
        &self,
        condition: &Condition,
        symbol: usize,
        metric: Metric,
        start: Second,
    ) -> Option<Evidence> {
        match *condition {
            Condition::Spike { window, .. } => {
                let Trailing { bars, sum } = self.windows.trailing(symbol, start, window, metric)?;
                Some(Evidence::Average { sum, bars })
            }
            Condition::ZScore { window, .. } => {
                let (sum, squares, bars) = self.windows.moments(symbol, start, window, metric)?;
                Some(Evidence::Deviation { sum, squares, bars })
            }
            Condition::Move { from: Origin::Minutes(over), .. } => {
                let over = i64::from(over) * 60;
                let after = |ago| start.plus_seconds(1 - ago);
                let range = after(2 * over)..after(over);
                let (start, value) = self.windows.newest_in(symbol, range, metric)?;
                Some(Evidence::Origin { value, start })
            }
            Condition::Move { from: Origin::PreviousClose, .. } => {
                let (start, price) = self.sessions.previous_close(symbol, start)?;
                Some(Evidence::Origin { value: price.nanos().into(), start })
            }
            Condition::Move { from: Origin::Open, .. } => {
                let (start, price) = self.sessions.open(symbol, start)?;
                Some(Evidence::Origin { value: price.nanos().into(), start })
            }
            Condition::Cross { level, .. } => {
                let level = i128::from(level / (Metric::CROSSING_UNIT / metric.units()));
                Some(Evidence::Crossing { level, before: level })
            }
            Condition::TimeOfDay { sessions, .. } => {
                let (twice, sessions) = self.sessions.median(symbol, metric, start, sessions)?;
                Some(Evidence::Median { twice, sessions })
            }
        }
    }

    /// Whether the measure was quiet since it last held, before the bar of `start`: `None` where it was not.
    /// The bar that says so is the latest, judged by its own evidence, that is either quiet (below `rearm`)
    /// or not (at the threshold); with neither in a day, it was quiet, but for a crossing, which must be seen
    /// to cross. The verdict depends on no other rule: what others have sessions remembered for is not looked
    /// at. Answers the quiet value where a crossing wants it.
    fn quiet_before(
        &self,
        rule: &Rule,
        rearm: i64,
        symbol: usize,
        metric: Metric,
        start: Second,
    ) -> Option<Option<i128>> {
        let condition = &rule.condition;
        let is_crossing = matches!(condition, Condition::Cross { .. });
        let quiet = |value: i128, evidence: &Evidence| {
            if !condition.reaches(metric, value, evidence, rearm) {
                return Some(true);
            }
            condition.holds(metric, value, evidence).then_some(false)
        };
        // What is measured from a day's own marks begins anew with the day.
        let since = if is_crossing || rule.sessions() == 0 {
            Second::MIN
        } else {
            self.sessions.begin_of_day(symbol, start)?
        };
        for (minute, value) in self.windows.before(symbol, start, metric) {
            if minute < since {
                break;
            }
            if !self.is_judged(rule, minute) {
                continue;
            }
            let Some(evidence) = self.evidence(condition, symbol, metric, minute) else { continue };
            match quiet(value, &evidence) {
                Some(true) => return Some(is_crossing.then_some(value)),
                Some(false) => return None,
                None => {}
            }
        }
        if !is_crossing {
            return Some(None);
        }
        // Over a night or a weekend, the price before is the last close.
        let (_, close) = self.sessions.previous_close(symbol, start).filter(|_| metric == Metric::Price)?;
        let evidence = self.evidence(condition, symbol, metric, start)?;
        let close = close.nanos().into();
        (quiet(close, &evidence) == Some(true)).then_some(Some(close))
    }
}

/// A crossing's evidence with the value on the other side.
fn crossing(evidence: Evidence, before: i128) -> Evidence {
    match evidence {
        Evidence::Crossing { level, .. } => Evidence::Crossing { level, before },
        other => other,
    }
}
