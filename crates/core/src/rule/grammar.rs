//! Rules as text and as fields: `spike ratio=4 window=30m`, `{"kind":"spike","ratio":4,"window":"30m"}`.

use super::{Condition, Direction, Hours, MILLION, Origin, Rule, RuleName, Side, SpikeRule, Trigger};
use crate::decimal::{self, DecimalError, Excess, plain};
use std::fmt;
use std::str::FromStr;

const KINDS: [&str; 5] = ["spike", "zscore", "move", "cross", "time_of_day"];

/// Longest text of a rule: the canonical ones have about a hundred characters.
const LONGEST: usize = 300;

/// Why something is no rule, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct InvalidRule {
    /// The setting that is wrong, or `rule`.
    pub field: String,
    /// What is wrong with it, and what is allowed.
    pub reason: String,
}

impl InvalidRule {
    pub(super) fn new(field: &str, reason: impl Into<String>) -> Self {
        Self { field: field.chars().take(32).collect(), reason: reason.into() }
    }
}

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
    /// Makes a rule of its settings, `kind` among them, in any order; what is left out has its default.
    ///
    /// Unknown, repeated, contradictory and out-of-range settings are refused, each with its name.
    pub fn of_fields<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, InvalidRule> {
        let mut fields = Fields::new(fields)?;
        let kind = fields.take("kind").ok_or_else(|| {
            InvalidRule::new("kind", format!("is missing: it must be one of {}", KINDS.join(", ")))
        })?;
        let condition = match kind {
            "spike" => Condition::Spike {
                ratio: fields.ratio()?,
                window: fields.window()?,
                min_bars: fields.min_bars(1)?,
            },
            "zscore" => Condition::ZScore {
                z: fields.millionths("z", 3 * MILLION, 1, 1_000 * MILLION)?,
                window: fields.window()?,
                min_bars: fields.min_bars(2)?,
                direction: fields.direction()?,
            },
            "move" => Condition::Move {
                percent: fields.millionths("percent", 2 * MILLION, 1, 1_000 * MILLION)?,
                from: fields.origin()?,
                direction: fields.direction()?,
            },
            "cross" => fields.crossing()?,
            "time_of_day" => fields.time_of_day()?,
            other => {
                let reason = format!("`{}` must be one of {}", shown(other), KINDS.join(", "));
                return Err(InvalidRule::new("kind", reason));
            }
        };
        if let Condition::Spike { window, min_bars, .. } | Condition::ZScore { window, min_bars, .. } =
            condition
            && min_bars > window
        {
            let reason = format!("`{min_bars}` is more than the {window} minutes of the window");
            return Err(InvalidRule::new("min_bars", reason));
        }
        let rule = Self {
            condition,
            trigger: fields.trigger(&condition)?,
            hours: fields.hours()?,
            cooldown_seconds: fields.seconds("cooldown", 60 * 60, 0, SpikeRule::MAX_COOLDOWN_SECONDS)?,
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
            Condition::Cross { level, side } => settings.push(number(side.field(), plain(level, 9))),
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

impl FromStr for Rule {
    type Err = InvalidRule;

    /// Takes the version as given or not, the kind, and settings as `name=value`, between blanks.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
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
        Self::of_fields(kind.into_iter().chain(settings))
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

impl FromStr for RuleName {
    type Err = InvalidRule;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            Self::HOUSE => Ok(Self::House),
            text => text.parse().map(Self::Own),
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

    const fn threshold_field(&self) -> &'static str {
        match self {
            Self::Spike { .. } | Self::TimeOfDay { .. } => "ratio",
            Self::ZScore { .. } => "z",
            Self::Move { .. } => "percent",
            Self::Cross { side, .. } => side.field(),
        }
    }

    /// Decimal places of its thresholds.
    const fn places(&self) -> u32 {
        if matches!(self, Self::Cross { .. }) { 9 } else { 6 }
    }
}

impl Side {
    /// `above` or `below`: the setting that holds the level.
    pub const fn field(self) -> &'static str {
        match self {
            Self::Above => "above",
            Self::Below => "below",
        }
    }
}

impl Direction {
    const ALL: [Self; 3] = [Self::Up, Self::Down, Self::Both];

    /// `up`, `down` or `both`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Both => "both",
        }
    }
}

impl Hours {
    const ALL: [Self; 3] = [Self::All, Self::Regular, Self::Extended];

    /// `all`, `regular` or `extended`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Regular => "regular",
            Self::Extended => "extended",
        }
    }
}

/// The settings given, each taken once.
struct Fields<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Fields<'a> {
    fn new(given: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, InvalidRule> {
        let mut fields: Vec<(&str, &str)> = Vec::new();
        for (name, value) in given {
            if fields.iter().any(|(known, _)| *known == name) {
                return Err(InvalidRule::new(name, "is given twice"));
            }
            fields.push((name, value));
        }
        Ok(Self(fields))
    }

    fn take(&mut self, name: &str) -> Option<&'a str> {
        let place = self.0.iter().position(|(known, _)| *known == name)?;
        Some(self.0.swap_remove(place).1)
    }

    fn none_left(mut self, kind: &str) -> Result<(), InvalidRule> {
        match self.0.pop() {
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

    fn millionths(&mut self, name: &str, default: i64, low: i64, high: i64) -> Result<i64, InvalidRule> {
        let value = self.decimal(name, 6)?.unwrap_or(default);
        if (low..=high).contains(&value) {
            return Ok(value);
        }
        let allowed = format!("must be {} to {}", plain(low, 6), plain(high, 6));
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
        parse_duration(text).filter(|seconds| (low..=high).contains(seconds)).ok_or_else(|| {
            let allowed = format!("must be a duration from {} to {}", duration(low), duration(high));
            InvalidRule::new(name, format!("`{}` {allowed}", shown(text)))
        })
    }

    /// Whole minutes.
    fn minutes(&mut self, name: &str, default: u16, high: u16) -> Result<u16, InvalidRule> {
        let seconds = self.seconds(name, u32::from(default) * 60, 60, u32::from(high) * 60)?;
        if seconds.is_multiple_of(60) {
            return Ok((seconds / 60) as u16);
        }
        Err(InvalidRule::new(name, format!("`{seconds}s` must be whole minutes")))
    }

    fn word<T>(&mut self, name: &str, words: &[(&str, T)], default: T) -> Result<T, InvalidRule>
    where
        T: Copy,
    {
        let Some(text) = self.take(name) else { return Ok(default) };
        words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
            let allowed: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            InvalidRule::new(name, format!("`{}` must be one of {}", shown(text), allowed.join(", ")))
        })
    }

    fn ratio(&mut self) -> Result<i64, InvalidRule> {
        self.millionths("ratio", 3 * MILLION, MILLION + 1, 1_000 * MILLION)
    }

    fn window(&mut self) -> Result<u16, InvalidRule> {
        self.minutes("window", 60, SpikeRule::MAX_WINDOW)
    }

    fn min_bars(&mut self, least: u16) -> Result<u16, InvalidRule> {
        self.count("min_bars", 30, least, SpikeRule::MAX_WINDOW)
    }

    fn direction(&mut self) -> Result<Direction, InvalidRule> {
        self.word("direction", &Direction::ALL.map(|one| (one.as_str(), one)), Direction::Both)
    }

    fn hours(&mut self) -> Result<Hours, InvalidRule> {
        self.word("session", &Hours::ALL.map(|one| (one.as_str(), one)), Hours::All)
    }

    fn origin(&mut self) -> Result<Origin, InvalidRule> {
        match self.take("from") {
            Some("previous_close") => Ok(Origin::PreviousClose),
            Some("open") => Ok(Origin::Open),
            None => Ok(Origin::Minutes(15)),
            Some(text) => {
                let mut one = Fields(vec![("from", text)]);
                one.minutes("from", 0, Rule::MAX_MOVE).map(Origin::Minutes).map_err(|error| {
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
            return Err(InvalidRule::new(side.field(), "must be above 0"));
        }
        Ok(Condition::Cross { level, side })
    }

    fn time_of_day(&mut self) -> Result<Condition, InvalidRule> {
        let most = u16::from(Rule::MAX_SESSIONS);
        let ratio = self.ratio()?;
        let sessions = self.count("sessions", most, 1, most)?;
        let min_sessions = self.count("min_sessions", sessions.min(5), 1, most)?;
        if min_sessions > sessions {
            let reason = format!("`{min_sessions}` is more than the {sessions} sessions looked at");
            return Err(InvalidRule::new("min_sessions", reason));
        }
        // At most twenty, so they fit.
        Ok(Condition::TimeOfDay { ratio, sessions: sessions as u8, min_sessions: min_sessions as u8 })
    }

    fn trigger(&mut self, condition: &Condition) -> Result<Trigger, InvalidRule> {
        let crossing = matches!(condition, Condition::Cross { .. });
        let edge = self.word("trigger", &[("level", false), ("edge", true)], crossing)?;
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

/// `60m`, or `90s` where minutes do not say it.
fn duration(seconds: u32) -> String {
    if seconds > 0 && seconds.is_multiple_of(60) {
        format!("{}m", seconds / 60)
    } else {
        format!("{seconds}s")
    }
}

/// `90s`, `15m`, `24h`, `7d`, in seconds.
fn parse_duration(text: &str) -> Option<u32> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u32>().ok()?.checked_mul(unit)
}

/// So much of a text as fits a message.
fn shown(text: &str) -> String {
    text.chars().take(32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Metric;
    use proptest::prelude::*;

    fn rule(text: &str) -> Rule {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn refused(text: &str) -> (String, String) {
        let error = text.parse::<Rule>().expect_err(text);
        (error.field, error.reason)
    }

    #[test]
    fn the_canonical_text_names_every_setting() {
        for (text, canonical) in [
            ("spike", "v1 spike ratio=3 window=60m min_bars=30 trigger=level session=all cooldown=60m"),
            (
                "v1 spike cooldown=0s ratio=2.5 window=2h",
                "v1 spike ratio=2.5 window=120m min_bars=30 trigger=level session=all cooldown=0s",
            ),
            (
                "zscore z=4 direction=up session=regular",
                "v1 zscore z=4 window=60m min_bars=30 direction=up trigger=level session=regular cooldown=60m",
            ),
            (
                "move from=previous_close percent=5 trigger=edge rearm=4 cooldown=1d",
                "v1 move percent=5 from=previous_close direction=both trigger=edge rearm=4 session=all cooldown=1440m",
            ),
            ("move", "v1 move percent=2 from=15m direction=both trigger=level session=all cooldown=60m"),
            (
                "cross below=150.25 rearm=151 cooldown=90s",
                "v1 cross below=150.25 trigger=edge rearm=151 session=all cooldown=90s",
            ),
            ("cross above=1e3", "v1 cross above=1000 trigger=edge rearm=1000 session=all cooldown=60m"),
            (
                "time_of_day ratio=4 min_sessions=3",
                "v1 time_of_day ratio=4 sessions=20 min_sessions=3 trigger=level session=all cooldown=60m",
            ),
        ] {
            assert_eq!(rule(text).to_string(), canonical);
            assert_eq!(rule(canonical), rule(text));
        }
        assert_eq!(Rule::from(SpikeRule::default()), rule("spike"));
    }

    #[test]
    fn what_contradicts_itself_is_refused_with_its_field() {
        for (text, field, reason) in [
            ("", "kind", "is missing"),
            ("v1", "kind", "is missing"),
            ("v2 spike", "rule", "of the grammar `v2`"),
            ("median", "kind", "must be one of spike, zscore, move, cross, time_of_day"),
            ("spike ratio", "rule", "`ratio` must look like ratio=4"),
            ("spike ratio=3 ratio=4", "ratio", "given twice"),
            ("spike z=3", "z", "no setting of a rule of the kind `spike`"),
            ("spike ratio=1", "ratio", "out of range: it must be 1.000001 to 1000"),
            ("spike ratio=1.0000001", "ratio", "more than 6 decimals"),
            ("spike ratio=three", "ratio", "`three` is not a decimal number"),
            ("spike window=90s", "window", "whole minutes"),
            ("spike window=13h", "window", "from 1m to 720m"),
            ("spike window=10m", "min_bars", "`30` is more than the 10 minutes of the window"),
            ("zscore min_bars=1", "min_bars", "from 2 to 720"),
            ("spike cooldown=8d", "cooldown", "from 0s to 10080m"),
            ("move from=yesterday", "from", "or `previous_close`, or `open`"),
            ("move direction=left", "direction", "one of `up`, `down`, `both`"),
            ("cross", "above", "`above` or `below` must be given"),
            ("cross above=1 below=2", "below", "cannot go with `above`"),
            ("cross above=0", "above", "above 0"),
            ("cross above=5 trigger=level", "trigger", "must be `edge`"),
            ("cross above=5 rearm=6", "rearm", "not above `above`"),
            ("cross below=5 rearm=4", "rearm", "not be below `below`"),
            ("spike rearm=2", "rearm", "needs `trigger` to be `edge`"),
            ("spike trigger=edge rearm=4", "rearm", "not above `ratio`"),
            ("time_of_day sessions=21", "sessions", "from 1 to 20"),
            ("time_of_day sessions=3 min_sessions=4", "min_sessions", "more than the 3 sessions"),
            ("spike session=night", "session", "one of `all`, `regular`, `extended`"),
        ] {
            let (found, said) = refused(text);
            assert_eq!(found, field, "{text}: {said}");
            assert!(said.contains(reason), "{text}: {said}");
        }
        assert_eq!(refused(&format!("spike {}", "x".repeat(400))).0, "rule");
    }

    #[test]
    fn rules_go_with_the_metrics_they_look_at() {
        assert!(rule("move").suits(Metric::Price).is_ok());
        assert!(rule("move").suits(Metric::Volume).is_err());
        assert!(rule("time_of_day").suits(Metric::Price).is_err());
        assert!(rule("cross above=1.5").suits(Metric::Price).is_ok());
        assert!(rule("cross above=1.5").suits(Metric::Volume).is_err());
        assert!(rule("cross above=2").suits(Metric::Volume).is_ok());
    }

    #[test]
    fn the_house_rule_has_a_name_of_its_own() {
        assert_eq!("spike".parse::<RuleName>(), Ok(RuleName::House));
        assert_eq!(RuleName::House.to_string(), "spike");
        let own: RuleName = "v1 spike".parse().unwrap();
        assert_eq!(own, RuleName::Own(rule("spike")));
        assert_eq!(own.to_string().parse(), Ok(own));
    }

    fn any_rule() -> impl Strategy<Value = String> {
        let decimal = (2_u32..999, 0_u32..1_000_000).prop_map(|(whole, part)| format!("{whole}.{part:06}"));
        let kinds = prop_oneof![
            (decimal.clone(), 30..720_u16)
                .prop_map(|(ratio, window)| format!("spike ratio={ratio} window={window}m")),
            (decimal.clone(), 2..30_u16)
                .prop_map(|(z, bars)| format!("zscore z={z} min_bars={bars} direction=down")),
            (decimal.clone(), 1..720_u16).prop_map(|(p, from)| format!("move percent={p} from={from}m")),
            decimal.clone().prop_map(|level| format!("cross below={level}")),
            (1..20_u8).prop_map(|sessions| format!("time_of_day sessions={sessions}")),
        ];
        (kinds, 0..604_800_u32, prop::sample::select(vec!["all", "regular", "extended"]))
            .prop_map(|(kind, cooldown, session)| format!("{kind} session={session} cooldown={cooldown}s"))
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_as_text_and_as_fields(text in any_rule()) {
            let rule: Rule = text.parse().unwrap();
            prop_assert_eq!(rule.to_string().parse::<Rule>(), Ok(rule));
            let settings = rule.settings();
            let texts: Vec<_> = settings.iter().map(|(name, setting)| (*name, setting.to_string())).collect();
            let fields = texts.iter().rev().map(|(name, text)| (*name, text.as_str()));
            prop_assert_eq!(Rule::of_fields(fields), Ok(rule));
        }

        #[test]
        fn no_text_panics(text in "(v1 )?(spike|zscore|move|cross|time_of_day)?( [a-z_]{0,12}=?[-0-9.smhde]{0,24}){0,6}") {
            let _ = text.parse::<Rule>();
        }

        #[test]
        fn no_nonsense_panics(text in "\\PC{0,60}") {
            let _ = text.parse::<RuleName>();
        }
    }
}
