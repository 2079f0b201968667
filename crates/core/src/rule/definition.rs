//! What a rule is made of.

use super::invalid::InvalidRule;
use super::spike::SpikeRule;
use crate::UnknownWord;
use crate::market::cadence::Cadence;
use crate::market::calendar::{Calendar, Phase};
use crate::market::metric::Metric;
use strum::{EnumString, IntoStaticStr, VariantNames};

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
        /// 1e-9 of the metric's dollars, shares or trades.
        level: i64,
        /// From below or from above.
        side: Side,
    },
    /// `time_of_day`: the amount is at least `ratio` times the median of the same time of earlier sessions.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of::<Direction>)]
pub enum Direction {
    /// Up.
    Up,
    /// Down.
    Down,
    /// Either way.
    Both,
}

/// From which side a level is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
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
    /// Only one that comes after the measure was on the quiet side of `rearm`, a threshold of the same unit
    /// as the condition's. With `rearm` at the threshold itself, that is every bar whose predecessor did not
    /// qualify; further away, noise around the threshold tells once.
    Edge {
        /// Where quiet begins again.
        rearm: i64,
    },
}

/// Which of the tracked bars are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of::<Hours>)]
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
        let refused = |field, reason: String| Err(InvalidRule::new(field, reason));
        match self.condition {
            Condition::Move { .. } if metric != Metric::Price => {
                refused("kind", "`move` looks at prices: it must go with the metric `price`".to_owned())
            }
            Condition::TimeOfDay { .. } if !metric.is_amount() => {
                let amounts: Vec<_> =
                    Metric::ALL.iter().filter(|one| one.is_amount()).map(|one| format!("`{one}`")).collect();
                refused(
                    "kind",
                    format!(
                        "`time_of_day` compares amounts: the metric must be one of {}",
                        amounts.join(", ")
                    ),
                )
            }
            Condition::Cross { level, side } if metric.units() == 1 && level % Metric::CROSSING_UNIT != 0 => {
                refused(
                    side.as_str(),
                    format!("{metric} is counted in whole numbers: it must have no decimals"),
                )
            }
            _ => Ok(()),
        }
    }

    /// Whether it compares how much a bar holds with the same time of earlier sessions.
    pub(crate) fn compares_amounts(&self) -> bool {
        matches!(self.condition, Condition::TimeOfDay { .. })
    }

    /// Says so where the rule asks for hours that are not tracked, or for more bars than come.
    pub fn suits_market(&self, calendar: &Calendar) -> Result<(), InvalidRule> {
        if self.hours == Hours::Extended && !calendar.tracks_extended_hours() {
            let reason = "cannot be `extended`: bars outside the regular session are not tracked here";
            return Err(InvalidRule::new("session", reason));
        }
        let (Condition::Spike { window, min_bars, .. } | Condition::ZScore { window, min_bars, .. }) =
            self.condition
        else {
            return Ok(());
        };
        let cadence = calendar.cadence();
        let most = cadence.bars_in(window);
        if u32::from(min_bars) <= most {
            return Ok(());
        }
        let most = match cadence {
            Cadence::Sixty => format!("{most} minutes"),
            _ => format!("{most} bars of {cadence}"),
        };
        Err(InvalidRule::new("min_bars", format!("`{min_bars}` is more than the {most} of the window")))
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

/// What a subscription asks for, and what an alert is identified by.
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

    /// Whether it is spelt out: subscribers' own rules are judged for them alone.
    pub const fn is_own(self) -> bool {
        matches!(self, Self::Own(_))
    }

    /// Its kind: `spike`, `zscore`, ...
    pub fn kind(&self) -> &'static str {
        match self {
            Self::House => "spike",
            Self::Own(rule) => rule.condition.kind(),
        }
    }

    /// The rule itself, on a tracker with this house rule.
    pub fn rule(&self, house: SpikeRule) -> Rule {
        *self.whole(house).rule()
    }

    /// The rule as an alert that is raised by it carries it, on a tracker with this house rule.
    pub fn whole(&self, house: SpikeRule) -> AlertRule {
        match self {
            Self::House => AlertRule::House(house.into()),
            Self::Own(rule) => AlertRule::Own(*rule),
        }
    }
}

/// The rule an alert was raised by, whole: what is told of the alert depends on nothing else, whatever the
/// house's rule is by then. Shown as its [name](Self::name).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertRule {
    /// The tracker's own, with the settings it had then.
    House(Rule),
    /// A rule spelt out.
    Own(Rule),
}

impl AlertRule {
    /// The rule.
    pub const fn rule(&self) -> &Rule {
        match self {
            Self::House(rule) | Self::Own(rule) => rule,
        }
    }

    /// What it is called in the alert's id, and what subscriptions to it ask for.
    pub const fn name(&self) -> RuleName {
        match self {
            Self::House(_) => RuleName::House,
            Self::Own(rule) => RuleName::Own(*rule),
        }
    }
}

impl Condition {
    /// `spike`, `zscore`, `move`, `cross` or `time_of_day`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Spike { .. } => "spike",
            Self::ZScore { .. } => "zscore",
            Self::Move { .. } => "move",
            Self::Cross { .. } => "cross",
            Self::TimeOfDay { .. } => "time_of_day",
        }
    }

    pub(super) fn threshold_field(&self) -> &'static str {
        match self {
            Self::Spike { .. } | Self::TimeOfDay { .. } => "ratio",
            Self::ZScore { .. } => "z",
            Self::Move { .. } => "percent",
            Self::Cross { side, .. } => side.as_str(),
        }
    }

    /// Decimal places of its thresholds.
    pub(super) const fn places(&self) -> u32 {
        if matches!(self, Self::Cross { .. }) { 9 } else { 6 }
    }
}

crate::words::words!(Side);
crate::words::words!(Direction);
crate::words::words!(Hours);
