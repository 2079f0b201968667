//! Rules as text and as fields: `spike ratio=4 window=30m`, `{"kind":"spike","ratio":4,"window":"30m"}`.

use super::definition::{
    AlertRule, Condition, Direction, Hours, MILLION, Origin, Rule, RuleName, Side, Trigger,
};
use super::invalid::InvalidRule;
use super::ranges::{COOLDOWN, DISTANCE, MOST_BARS, MOVE, RATIO, SESSIONS, WINDOW};
use crate::decimal::{self, DecimalError, Excess, plain};
use crate::market::cadence::Cadence;
use crate::{Period, UnknownWord};
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use strum::{EnumString, VariantNames};

/// Minutes of bars that a window must hold where a rule does not say how many.
const HALF_AN_HOUR: u16 = 30;
/// Longest text of a rule: the canonical ones have about a hundred characters.
const LONGEST: usize = 300;

/// A setting's value: a number's digits, or a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// Exact decimal text.
    Number(String),
    /// A word or a duration.
    Word(String),
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(text) | Self::Word(text) => f.write_str(text),
        }
    }
}

impl Rule {
    /// The kinds there are.
    pub const KINDS: [&'static str; 5] = ["spike", "zscore", "move", "cross", "time_of_day"];

    /// Makes a rule of its settings, `kind` among them, in any order; what is left out has its default, over
    /// bars that come so often.
    ///
    /// Unknown, repeated, contradictory and out-of-range settings are refused, each with its name.
    pub fn of_fields<'a>(
        fields: impl IntoIterator<Item = (&'a str, &'a str)>,
        cadence: Cadence,
    ) -> Result<Self, InvalidRule> {
        let mut fields = Fields::new(fields, cadence)?;
        let kind = fields.take("kind").ok_or_else(|| {
            InvalidRule::new("kind", format!("is missing: it must be one of {}", Self::KINDS.join(", ")))
        })?;
        let condition = match kind {
            "spike" => {
                let (ratio, window) = (fields.ratio()?, fields.window()?);
                Condition::Spike { ratio, window, min_bars: fields.min_bars(1, window)? }
            }
            "zscore" => {
                let (z, window) = (fields.millionths("z", 3 * MILLION, DISTANCE)?, fields.window()?);
                let (min_bars, direction) = (fields.min_bars(2, window)?, fields.direction()?);
                Condition::ZScore { z, window, min_bars, direction }
            }
            "move" => Condition::Move {
                percent: fields.millionths("percent", 2 * MILLION, DISTANCE)?,
                from: fields.origin()?,
                direction: fields.direction()?,
            },
            "cross" => fields.crossing()?,
            "time_of_day" => fields.time_of_day()?,
            other => {
                let reason = format!("`{}` must be one of {}", shown(other), Self::KINDS.join(", "));
                return Err(InvalidRule::new("kind", reason));
            }
        };
        let rule = Self {
            condition,
            trigger: fields.trigger(&condition)?,
            hours: fields.hours()?,
            cooldown_seconds: fields.seconds("cooldown", 60 * 60, *COOLDOWN.start(), *COOLDOWN.end())?,
        };
        fields.none_left(kind)?;
        Ok(rule)
    }

    /// Every setting of the rule, `kind` first: what [`Rule::of_fields`] takes back.
    pub fn settings(&self) -> Vec<(&'static str, Setting)> {
        let number = |name, number: String| (name, Setting::Number(number));
        let word = |name, word: &str| (name, Setting::Word(word.to_owned()));
        let minutes = |name, minutes: u16| (name, Setting::Word(format!("{minutes}m")));
        let mut settings = vec![word("kind", self.condition.kind())];
        match self.condition {
            Condition::Spike { ratio, window, min_bars } => settings.extend([
                number("ratio", plain(ratio, 6)),
                minutes("window", window),
                number("min_bars", min_bars.to_string()),
            ]),
            Condition::ZScore { z, window, min_bars, direction } => settings.extend([
                number("z", plain(z, 6)),
                minutes("window", window),
                number("min_bars", min_bars.to_string()),
                word("direction", direction.as_str()),
            ]),
            Condition::Move { percent, from, direction } => settings.extend([
                number("percent", plain(percent, 6)),
                match from {
                    Origin::Minutes(over) => minutes("from", over),
                    Origin::PreviousClose => word("from", "previous_close"),
                    Origin::Open => word("from", "open"),
                },
                word("direction", direction.as_str()),
            ]),
            Condition::Cross { level, side } => settings.push(number(side.as_str(), plain(level, 9))),
            Condition::TimeOfDay { ratio, sessions, min_sessions } => settings.extend([
                number("ratio", plain(ratio, 6)),
                number("sessions", sessions.to_string()),
                number("min_sessions", min_sessions.to_string()),
            ]),
        }
        match self.trigger {
            Trigger::Level => settings.push(word("trigger", "level")),
            Trigger::Edge { rearm } => {
                settings.push(word("trigger", "edge"));
                settings.push(number("rearm", plain(rearm, self.condition.places())));
            }
        }
        settings.push(word("session", self.hours.as_str()));
        settings.push(("cooldown", Setting::Word(duration(self.cooldown_seconds))));
        settings
    }
}

impl fmt::Display for Rule {
    /// The canonical text: version, kind, and every setting.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::VERSION)?;
        for (name, setting) in self.settings() {
            match name {
                "kind" => write!(f, " {setting}")?,
                name => write!(f, " {name}={setting}")?,
            }
        }
        Ok(())
    }
}

impl Rule {
    /// Reads a text: the version as given or not, the kind, and settings as `name=value`, between blanks.
    /// What is left out has its default, over bars that come so often.
    pub fn read(text: &str, cadence: Cadence) -> Result<Self, InvalidRule> {
        if text.len() > LONGEST {
            return Err(InvalidRule::new("rule", format!("is longer than {LONGEST} characters")));
        }
        let mut words = text.split_ascii_whitespace().peekable();
        let is_version = |word: &&str| word.starts_with('v') && word[1..].parse::<u32>().is_ok();
        if let Some(version) = words.next_if(is_version).filter(|&version| version != Self::VERSION) {
            let reason = format!("is of the grammar `{version}`: this program knows `{}`", Self::VERSION);
            return Err(InvalidRule::new("rule", reason));
        }
        let kind = words.next().map(|kind| ("kind", kind));
        let settings = words
            .map(|word| {
                word.split_once('=').ok_or_else(|| {
                    InvalidRule::new("rule", format!("`{}` must look like ratio=4", shown(word)))
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        Self::of_fields(kind.into_iter().chain(settings), cadence)
    }
}

impl FromStr for Rule {
    type Err = InvalidRule;

    /// [Reads](Self::read) a text over bars of a minute. A canonical text leaves nothing out, and is the same
    /// rule over any bars.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::read(text, Cadence::Sixty)
    }
}

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::House => f.write_str(Self::HOUSE),
            Self::Own(rule) => rule.fmt(f),
        }
    }
}

impl fmt::Display for AlertRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name().fmt(f)
    }
}

impl RuleName {
    /// Reads `spike`, the house's, or the text of another [rule](Rule::read).
    pub fn read(text: &str, cadence: Cadence) -> Result<Self, InvalidRule> {
        match text {
            Self::HOUSE => Ok(Self::House),
            text => Rule::read(text, cadence).map(Self::Own),
        }
    }
}

impl FromStr for RuleName {
    type Err = InvalidRule;

    /// As [`Rule`]'s.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::read(text, Cadence::Sixty)
    }
}

/// The words of [`Trigger`].
#[derive(Clone, Copy, PartialEq, Eq, EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of::<TriggerWord>)]
enum TriggerWord {
    Level,
    Edge,
}

/// The settings given, each taken once.
struct Fields<'a> {
    given: Vec<(&'a str, &'a str)>,
    cadence: Cadence,
}

impl<'a> Fields<'a> {
    fn new(
        given: impl IntoIterator<Item = (&'a str, &'a str)>,
        cadence: Cadence,
    ) -> Result<Self, InvalidRule> {
        let mut fields: Vec<(&str, &str)> = Vec::new();
        for (name, value) in given {
            if fields.iter().any(|(known, _)| *known == name) {
                return Err(InvalidRule::new(name, "is given twice"));
            }
            fields.push((name, value));
        }
        Ok(Self { given: fields, cadence })
    }

    fn take(&mut self, name: &str) -> Option<&'a str> {
        let place = self.given.iter().position(|(known, _)| *known == name)?;
        Some(self.given.swap_remove(place).1)
    }

    fn none_left(mut self, kind: &str) -> Result<(), InvalidRule> {
        match self.given.pop() {
            None => Ok(()),
            Some((name, _)) => {
                Err(InvalidRule::new(name, format!("is no setting of a rule of the kind `{kind}`")))
            }
        }
    }

    /// A decimal number, in units of 10^-places.
    fn decimal(&mut self, name: &str, places: u32) -> Result<Option<i64>, InvalidRule> {
        let Some(text) = self.take(name) else { return Ok(None) };
        decimal::parse(text, places, Excess::Refuse).map(Some).map_err(|error| {
            let reason = match error {
                DecimalError::Inexact => format!("`{}` has more than {places} decimals", shown(text)),
                error => format!("`{}` is {error}", shown(text)),
            };
            InvalidRule::new(name, reason)
        })
    }

    fn millionths(
        &mut self,
        name: &str,
        default: i64,
        range: RangeInclusive<i64>,
    ) -> Result<i64, InvalidRule> {
        let value = self.decimal(name, 6)?.unwrap_or(default);
        if range.contains(&value) {
            return Ok(value);
        }
        let allowed = format!("must be {} to {}", plain(*range.start(), 6), plain(*range.end(), 6));
        Err(InvalidRule::new(name, format!("`{}` is out of range: it {allowed}", plain(value, 6))))
    }

    fn count(&mut self, name: &str, default: u16, low: u16, high: u16) -> Result<u16, InvalidRule> {
        let Some(text) = self.take(name) else { return Ok(default) };
        text.parse().ok().filter(|count| (low..=high).contains(count)).ok_or_else(|| {
            InvalidRule::new(name, format!("`{}` must be a whole number from {low} to {high}", shown(text)))
        })
    }

    fn seconds(&mut self, name: &str, default: u32, low: u32, high: u32) -> Result<u32, InvalidRule> {
        let Some(text) = self.take(name) else { return Ok(default) };
        text.parse().ok().map(Period::as_secs).filter(|seconds| (low..=high).contains(seconds)).ok_or_else(
            || {
                let allowed = format!("must be a duration from {} to {}", duration(low), duration(high));
                InvalidRule::new(name, format!("`{}` {allowed}", shown(text)))
            },
        )
    }

    /// Whole minutes.
    fn minutes(&mut self, name: &str, default: u16, high: u16) -> Result<u16, InvalidRule> {
        let seconds = self.seconds(name, u32::from(default) * 60, 60, u32::from(high) * 60)?;
        if seconds.is_multiple_of(60) {
            return Ok((seconds / 60) as u16);
        }
        Err(InvalidRule::new(name, format!("`{seconds}s` must be whole minutes")))
    }

    fn word<T: FromStr<Err = UnknownWord>>(&mut self, name: &str, default: T) -> Result<T, InvalidRule> {
        let Some(text) = self.take(name) else { return Ok(default) };
        text.parse().map_err(|error: UnknownWord| InvalidRule::new(name, error.to_string()))
    }

    fn ratio(&mut self) -> Result<i64, InvalidRule> {
        self.millionths("ratio", 3 * MILLION, RATIO)
    }

    fn window(&mut self) -> Result<u16, InvalidRule> {
        self.minutes("window", 60, *WINDOW.end())
    }

    /// Left out: half an hour of bars, or half of a window that is shorter than that.
    fn min_bars(&mut self, least: u16, window: u16) -> Result<u16, InvalidRule> {
        let half_an_hour = self.cadence.bars_in(HALF_AN_HOUR);
        let usual = if window < HALF_AN_HOUR { self.cadence.bars_in(window) / 2 } else { half_an_hour };
        // At most 1,800.
        self.count("min_bars", (usual as u16).max(least), least, MOST_BARS)
    }

    fn direction(&mut self) -> Result<Direction, InvalidRule> {
        self.word("direction", Direction::Both)
    }

    fn hours(&mut self) -> Result<Hours, InvalidRule> {
        self.word("session", Hours::All)
    }

    fn origin(&mut self) -> Result<Origin, InvalidRule> {
        match self.take("from") {
            Some("previous_close") => Ok(Origin::PreviousClose),
            Some("open") => Ok(Origin::Open),
            None => Ok(Origin::Minutes(15)),
            Some(text) => {
                let mut one = Fields { given: vec![("from", text)], cadence: self.cadence };
                one.minutes("from", 0, *MOVE.end()).map(Origin::Minutes).map_err(|error| {
                    let reason = format!("{}, or `previous_close`, or `open`", error.reason);
                    InvalidRule::new("from", reason)
                })
            }
        }
    }

    fn crossing(&mut self) -> Result<Condition, InvalidRule> {
        let (above, below) = (self.decimal("above", 9)?, self.decimal("below", 9)?);
        let (level, side) = match (above, below) {
            (Some(level), None) => (level, Side::Above),
            (None, Some(level)) => (level, Side::Below),
            (None, None) => {
                return Err(InvalidRule::new("above", "is missing: `above` or `below` must be given"));
            }
            (Some(_), Some(_)) => {
                return Err(InvalidRule::new(
                    "below",
                    "cannot go with `above`: a level is reached from one side",
                ));
            }
        };
        if level <= 0 {
            return Err(InvalidRule::new(side.as_str(), "must be above 0"));
        }
        Ok(Condition::Cross { level, side })
    }

    fn time_of_day(&mut self) -> Result<Condition, InvalidRule> {
        let (least, most) = (*SESSIONS.start(), *SESSIONS.end());
        let ratio = self.ratio()?;
        let sessions = self.count("sessions", most, least, most)?;
        let min_sessions = self.count("min_sessions", sessions.min(5), least, most)?;
        if min_sessions > sessions {
            let reason = format!("`{min_sessions}` is more than the {sessions} sessions looked at");
            return Err(InvalidRule::new("min_sessions", reason));
        }
        // At most twenty, so they fit.
        Ok(Condition::TimeOfDay { ratio, sessions: sessions as u8, min_sessions: min_sessions as u8 })
    }

    fn trigger(&mut self, condition: &Condition) -> Result<Trigger, InvalidRule> {
        let crossing = matches!(condition, Condition::Cross { .. });
        let default = if crossing { TriggerWord::Edge } else { TriggerWord::Level };
        let edge = self.word("trigger", default)? == TriggerWord::Edge;
        if crossing && !edge {
            let reason = "cannot be `level`: a level is crossed once, so it must be `edge`";
            return Err(InvalidRule::new("trigger", reason));
        }
        let Some(rearm) = self.decimal("rearm", condition.places())? else {
            return Ok(if edge { Trigger::Edge { rearm: condition.threshold() } } else { Trigger::Level });
        };
        if !edge {
            return Err(InvalidRule::new("rearm", "needs `trigger` to be `edge`: nothing else is armed"));
        }
        let (threshold, name) = (condition.threshold(), condition.threshold_field());
        let (quiet, allowed) = match condition {
            Condition::Cross { side: Side::Below, .. } => {
                (rearm >= threshold, format!("not be below `{name}`"))
            }
            _ => ((1..=threshold).contains(&rearm), format!("be above 0 and not above `{name}`")),
        };
        if quiet {
            return Ok(Trigger::Edge { rearm });
        }
        Err(InvalidRule::new("rearm", format!("must {allowed}: that is where the quiet side is")))
    }
}

/// `60m`, or `90s` where minutes do not say it. Part of the canonical text, by which rules are told apart:
/// for good.
fn duration(seconds: u32) -> String {
    if seconds > 0 && seconds.is_multiple_of(60) {
        format!("{}m", seconds / 60)
    } else {
        format!("{seconds}s")
    }
}

/// So much of a text as fits a message.
fn shown(text: &str) -> String {
    text.chars().take(32).collect()
}

#[cfg(test)]
mod tests;
