//! What rules there are: their kinds, the metrics these go with, and their settings with defaults and ranges.
//! Read off the grammar: the ranges are those it parses by, the defaults what it makes of a rule that says
//! nothing.

use super::definition::{Direction, Hours, Rule};
use super::grammar::Setting;
use super::ranges::{COOLDOWN, DISTANCE, MOVE, RATIO, SESSIONS, WINDOW};
use crate::decimal::plain;
use crate::market::cadence::Cadence;
use crate::market::metric::{Metric, MetricSet};
use std::ops::RangeInclusive;
use strum::VariantNames as _;

/// A kind of rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// `spike`, `zscore`, ...
    pub name: &'static str,
    /// What it may look at.
    pub metrics: Vec<Metric>,
    /// What may be set, in the order of the canonical text.
    pub settings: Vec<Choice>,
}

/// A setting of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// `ratio`, `window`, ...
    pub name: &'static str,
    /// What it is where a rule does not say it; `None` where it must be said, or where it follows from other
    /// settings.
    pub default: Option<Setting>,
    /// What it may be.
    pub allowed: Allowed,
}

/// What a setting may be, each bound included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// A decimal number of up to six places.
    Number {
        /// The smallest, as exact text.
        low: String,
        /// The largest.
        high: String,
    },
    /// A whole number.
    Count {
        /// The smallest.
        low: u16,
        /// The largest.
        high: u16,
    },
    /// A duration, or one of a few words.
    Duration {
        /// The shortest, seconds.
        low: u32,
        /// The longest, seconds.
        high: u32,
        /// Whether it must be whole minutes.
        whole_minutes: bool,
        /// What it may be instead.
        words: &'static [&'static str],
    },
    /// One of a few words.
    Words(Vec<&'static str>),
    /// A threshold above zero: a level, or where quiet begins again.
    Level,
}

impl Kind {
    /// All of them, in the order of [`Rule::KINDS`], over bars that come so often and of which these metrics
    /// are tracked.
    pub fn all(cadence: Cadence, tracked: MetricSet) -> Vec<Self> {
        Rule::KINDS.into_iter().map(|name| Self::of(name, cadence, tracked)).collect()
    }

    fn of(name: &'static str, cadence: Cadence, tracked: MetricSet) -> Self {
        // A level must be given: it is the example's, and no default.
        let example = match name {
            "cross" => Rule::of_fields([("kind", name), ("above", "100")], cadence),
            _ => Rule::of_fields([("kind", name)], cadence),
        };
        let metrics = |rule: &Rule| tracked.iter().filter(|&one| rule.suits(one).is_ok()).collect();
        let settings = example.as_ref().map(Rule::settings).unwrap_or_default();
        let default =
            |wanted: &str| settings.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone());
        let choice = |(name, allowed)| {
            let default = if allowed == Allowed::Level { None } else { default(name) };
            Choice { name, default, allowed }
        };
        let choices = own(name, cadence).into_iter().chain(common(name)).map(choice).collect();
        Self { name, metrics: example.as_ref().map(metrics).unwrap_or_default(), settings: choices }
    }
}

/// What a kind alone has.
fn own(kind: &str, cadence: Cadence) -> Vec<(&'static str, Allowed)> {
    let ratio = ("ratio", millionths(RATIO));
    let window = ("window", minutes(WINDOW, &[]));
    let min_bars = |low| ("min_bars", Allowed::Count { low, high: cadence.bars_in(*WINDOW.end()) as u16 });
    let direction = ("direction", Allowed::Words(Direction::VARIANTS.to_vec()));
    let sessions = || Allowed::Count { low: *SESSIONS.start(), high: *SESSIONS.end() };
    match kind {
        "spike" => vec![ratio, window, min_bars(1)],
        "zscore" => vec![("z", millionths(DISTANCE)), window, min_bars(2), direction],
        "move" => vec![
            ("percent", millionths(DISTANCE)),
            ("from", minutes(MOVE, &["previous_close", "open"])),
            direction,
        ],
        "cross" => vec![("above", Allowed::Level), ("below", Allowed::Level)],
        _ => vec![ratio, ("sessions", sessions()), ("min_sessions", sessions())],
    }
}

/// What every kind has. A crossing is told once, whatever is said.
fn common(kind: &str) -> Vec<(&'static str, Allowed)> {
    let triggers = if kind == "cross" { vec!["edge"] } else { vec!["level", "edge"] };
    vec![
        ("trigger", Allowed::Words(triggers)),
        ("rearm", Allowed::Level),
        ("session", Allowed::Words(Hours::VARIANTS.to_vec())),
        (
            "cooldown",
            Allowed::Duration {
                low: *COOLDOWN.start(),
                high: *COOLDOWN.end(),
                whole_minutes: false,
                words: &[],
            },
        ),
    ]
}

fn millionths(range: RangeInclusive<i64>) -> Allowed {
    Allowed::Number { low: plain(*range.start(), 6), high: plain(*range.end(), 6) }
}

fn minutes(range: RangeInclusive<u16>, words: &'static [&'static str]) -> Allowed {
    let seconds = |minutes: u16| u32::from(minutes) * 60;
    Allowed::Duration {
        low: seconds(*range.start()),
        high: seconds(*range.end()),
        whole_minutes: true,
        words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rule of a kind with one setting, and what that needs beside it.
    fn with(kind: &str, name: &str, value: &str) -> Result<Rule, super::super::InvalidRule> {
        let mut fields = vec![("kind", kind)];
        if kind == "cross" && !["above", "below"].contains(&name) {
            fields.push(("above", "100"));
        }
        if name == "rearm" {
            fields.push(("trigger", "edge"));
        }
        // A large number of bars wants a long window, and a short window few bars.
        match name {
            "window" => fields.push(("min_bars", if kind == "zscore" { "2" } else { "1" })),
            "min_bars" => fields.push(("window", "12h")),
            _ => {}
        }
        fields.retain(|(known, _)| *known != name);
        fields.push((name, value));
        Rule::of_fields(fields, Cadence::One)
    }

    #[test]
    fn what_is_allowed_is_taken_and_what_is_beyond_is_refused() {
        for kind in Kind::all(Cadence::One, MetricSet::ALWAYS) {
            for choice in &kind.settings {
                let (taken, refused): (Vec<String>, Vec<String>) = match &choice.allowed {
                    Allowed::Number { low, high } => {
                        (vec![low.clone(), high.clone()], vec!["0".to_owned(), format!("{high}.000001")])
                    }
                    Allowed::Count { low, high } => (
                        vec![low.to_string(), high.to_string()],
                        vec![(low - 1).to_string(), (high + 1).to_string()],
                    ),
                    Allowed::Duration { low, high, words, .. } => {
                        let taken = [format!("{low}s"), format!("{high}s")].into_iter();
                        let words = words.iter().map(|&word| word.to_owned());
                        (taken.chain(words).collect(), vec![format!("{}s", high + 60)])
                    }
                    Allowed::Words(words) => {
                        (words.iter().map(|&word| word.to_owned()).collect(), vec!["sometimes".to_owned()])
                    }
                    Allowed::Level => (vec!["0.5".to_owned()], vec!["0".to_owned()]),
                };
                for value in taken {
                    // A window of a minute has no two bars.
                    if (kind.name, choice.name, value.as_str()) == ("zscore", "window", "60s") {
                        continue;
                    }
                    let rule = with(kind.name, choice.name, &value);
                    assert!(rule.is_ok(), "{} {}={value}: {rule:?}", kind.name, choice.name);
                }
                for value in refused {
                    let rule = with(kind.name, choice.name, &value);
                    assert!(rule.is_err(), "{} {}={value}", kind.name, choice.name);
                }
            }
        }
    }

    #[test]
    fn every_setting_of_a_rule_is_among_its_kinds_with_its_default() {
        for kind in Kind::all(Cadence::One, MetricSet::ALWAYS) {
            let text = if kind.name == "cross" { "cross above=100" } else { kind.name };
            let rule = Rule::read(text, Cadence::One).unwrap();
            for (name, value) in rule.settings().into_iter().filter(|(name, _)| *name != "kind") {
                let choice = kind.settings.iter().find(|choice| choice.name == name).unwrap();
                assert!(choice.default.is_none() || choice.default == Some(value), "{text}: {name}");
            }
            let suited: Vec<Metric> =
                MetricSet::ALWAYS.iter().filter(|&one| rule.suits(one).is_ok()).collect();
            assert_eq!(kind.metrics, suited);
            assert!(!kind.metrics.is_empty());
        }
        let z = Kind::all(Cadence::One, MetricSet::ALWAYS)
            .into_iter()
            .find(|kind| kind.name == "zscore")
            .unwrap();
        assert_eq!(z.settings[0].default, Some(Setting::Number("3".to_owned())));
    }
}
