//! Rules: what counts as unusual.
//!
//! One small typed grammar serves the API, the configuration, backtests and stored alerts: a kind and its
//! settings, `zscore z=4 window=30m`. As JSON the same rule is `{"kind":"zscore","z":4,"window":"30m"}`; both
//! go through [`Rule::of_fields`]. The canonical text names every setting, so that a default that changes
//! later changes no stored rule, and begins with the version of the grammar.
//!
//! Verdicts are exact and depend on a value and its [`Evidence`] alone: what an alert stores is enough to
//! compute its verdict again ([`Condition::holds`]).

mod grammar;
mod spike;
mod verdict;

pub use grammar::{InvalidRule, Setting};
pub use spike::{InvalidRatio, Ratio, SpikeRule};
pub use verdict::Evidence;

use crate::alert::Metric;
use crate::calendar::Phase;

/// Ratios, z-scores and percentages are whole millionths, so that comparisons are exact.
pub const MILLION: i64 = 1_000_000;

/// What must be so, when it is asked, and how often it may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// What is unusual.
    pub condition: Condition,
    /// Whether every bar that qualifies counts, or only the first of a run.
    pub trigger: Trigger,
    /// Which bars are judged.
    pub hours: Hours,
    /// After an alert, how long the same symbol and metric raise no new one. Event time, seconds.
    pub cooldown_seconds: u32,
}

/// What is unusual about a bar. Thresholds are millionths; that of a crossing is 1e-9 of a dollar or share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// `spike`: at least `ratio` times the mean of the trailing window.
    Spike {
        /// Millionths, above 1.
        ratio: i64,
        /// Minutes before the bar.
        window: u16,
        /// Bars the window must hold.
        min_bars: u16,
    },
    /// `zscore`: at least `z` sample standard deviations from the mean of the trailing window.
    ZScore {
        /// Millionths.
        z: i64,
        /// Minutes before the bar.
        window: u16,
        /// Bars the window must hold, at least 2.
        min_bars: u16,
        /// Above the mean, below it, or either.
        direction: Direction,
    },
    /// `move`: the price is at least `percent` away from an earlier one.
    Move {
        /// Millionths of a percent.
        percent: i64,
        /// Away from what.
        from: Origin,
        /// Higher, lower, or either.
        direction: Direction,
    },
    /// `cross`: the value reaches a level from the other side.
    Cross {
        /// 1e-9 dollars, or 1e-9 shares.
        level: i64,
        /// From below or from above.
        side: Side,
    },
    /// `time_of_day`: the volume is at least `ratio` times the median of the same minute of earlier sessions.
    TimeOfDay {
        /// Millionths, above 1.
        ratio: i64,
        /// How many sessions back, at most [`Rule::MAX_SESSIONS`].
        sessions: u8,
        /// In how many of them the minute must have a bar.
        min_sessions: u8,
    },
}

/// Which way a value must have gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Up.
    Up,
    /// Down.
    Down,
    /// Either way.
    Both,
}

/// From which side a level is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// From below: the value is now at or above it.
    Above,
    /// From above: the value is now at or below it.
    Below,
}

/// What a move is measured from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The newest close that is at least so many minutes old, and less than twice that.
    Minutes(u16),
    /// The last regular close of the trading day before.
    PreviousClose,
    /// The first regular price of the day.
    Open,
}

/// Which of the bars that qualify count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// Every one.
    Level,
    /// Only one that comes after the measure was on the quiet side of `rearm`, a threshold of the same unit as
    /// the condition's. With `rearm` at the threshold itself, that is every bar whose predecessor did not
    /// qualify; further away, noise around the threshold tells once.
    Edge {
        /// Where quiet begins again.
        rearm: i64,
    },
}

/// Which of the tracked bars are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hours {
    /// All of them.
    All,
    /// Those of the regular session.
    Regular,
    /// Those before and after it.
    Extended,
}

impl Hours {
    /// Whether a bar of this phase of the market is judged.
    pub fn contain(self, phase: Phase) -> bool {
        match self {
            Self::All => true,
            Self::Regular => phase == Phase::Regular,
            Self::Extended => matches!(phase, Phase::Pre | Phase::Post),
        }
    }
}

impl Rule {
    /// Sessions a rule looks back at the most.
    pub const MAX_SESSIONS: u8 = 20;
    /// Minutes a move is measured over at the most.
    pub const MAX_MOVE: u16 = 12 * 60;
    /// Version of the grammar, the first word of the canonical text.
    pub const VERSION: &'static str = "v1";

    /// Says why the rule makes no sense for a metric, if so.
    pub fn suits(&self, metric: Metric) -> Result<(), InvalidRule> {
        let refused = |field, reason: &str| Err(InvalidRule::new(field, reason));
        match (self.condition, metric) {
            (Condition::Move { .. }, Metric::Volume) => {
                refused("kind", "`move` looks at prices: it must go with the metric `price`")
            }
            (Condition::TimeOfDay { .. }, Metric::Price) => {
                refused("kind", "`time_of_day` looks at volumes: it must go with the metric `volume`")
            }
            (Condition::Cross { level, side }, Metric::Volume) if level % Metric::CROSSING_UNIT != 0 => {
                refused(side.field(), "a volume counts whole shares: it must have no decimals")
            }
            _ => Ok(()),
        }
    }

    /// Says so where the rule asks for hours that are not tracked.
    pub fn suits_hours(&self, extended_hours: bool) -> Result<(), InvalidRule> {
        if self.hours == Hours::Extended && !extended_hours {
            let reason = "cannot be `extended`: bars outside the regular session are not tracked here";
            return Err(InvalidRule::new("session", reason));
        }
        Ok(())
    }

    /// How many sessions before a bar's own the rule needs to know: 0 for those that look at a day at most.
    pub fn sessions(&self) -> u8 {
        match self.condition {
            Condition::TimeOfDay { sessions, .. } => sessions,
            Condition::Move { from: Origin::PreviousClose | Origin::Open, .. } | Condition::Cross { .. } => 1,
            Condition::Spike { .. } | Condition::ZScore { .. } | Condition::Move { .. } => 0,
        }
    }

    /// The trailing window that is kept up bar by bar where a detector knows it beforehand, in minutes.
    pub fn span(&self) -> Option<u16> {
        match self.condition {
            Condition::Spike { window, .. } => Some(window),
            _ => None,
        }
    }
}

impl From<SpikeRule> for Rule {
    fn from(rule: SpikeRule) -> Self {
        Self {
            condition: Condition::Spike {
                ratio: rule.ratio.millionths().into(),
                window: rule.window,
                min_bars: rule.min_bars,
            },
            trigger: Trigger::Level,
            hours: Hours::All,
            cooldown_seconds: rule.cooldown_seconds,
        }
    }
}

/// The rule of an alert or a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RuleName {
    /// `spike`: the tracker's own, with whatever settings its operator gave it.
    House,
    /// Spelt out: `v1 zscore z=4 ...`.
    Own(Rule),
}

impl RuleName {
    /// The house rule's name in alerts and their ids.
    pub const HOUSE: &'static str = "spike";

    /// Its kind: `spike`, `zscore`, ...
    pub fn kind(&self) -> &'static str {
        match self {
            Self::House => "spike",
            Self::Own(rule) => rule.condition.kind(),
        }
    }

    /// The rule itself, on a tracker with this house rule.
    pub fn rule(&self, house: SpikeRule) -> Rule {
        match self {
            Self::House => house.into(),
            Self::Own(rule) => *rule,
        }
    }
}
