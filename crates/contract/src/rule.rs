//! Rules as they are told and taken: an object of settings, or the text of the same grammar.

use qqq_core::Rule;
use qqq_core::rule::Setting;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use utoipa::openapi::schema::{ObjectBuilder, Schema};
use utoipa::openapi::{RefOr, schema::Type};
use utoipa::{PartialSchema, ToSchema};

/// A rule with all its settings: `{"kind":"spike","ratio":3,...}`.
pub struct RuleOut(pub Rule);

impl Serialize for RuleOut {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(
            self.0.settings().into_iter().map(|(name, setting)| (name, SettingOut::from(setting))),
        )
    }
}

/// A setting's value: a number or a word.
#[derive(Serialize)]
#[serde(untagged)]
pub enum SettingOut {
    /// A word or a duration.
    Word(String),
    /// A number, exact.
    Number(Option<Box<RawValue>>),
}

impl From<Setting> for SettingOut {
    fn from(setting: Setting) -> Self {
        match setting {
            Setting::Word(word) => Self::Word(word),
            // Decimal text is a JSON number.
            Setting::Number(number) => Self::Number(RawValue::from_string(number).ok()),
        }
    }
}

/// The schema of [`RuleOut`] and of what is taken as an object.
pub struct RuleShape;

impl PartialSchema for RuleShape {
    fn schema() -> RefOr<Schema> {
        let decimal = |low: f64, high: f64, what: &str| {
            serde_json::json!({
                "type": "number", "minimum": low, "maximum": high, "description": what
            })
        };
        let count = |low: u32, high: u32, what: &str| {
            serde_json::json!({
                "type": "integer", "minimum": low, "maximum": high, "description": what
            })
        };
        let words = |words: &[&str], what: &str| {
            serde_json::json!({
                "type": "string", "enum": words, "description": what
            })
        };
        let minutes = |what: &str| {
            serde_json::json!({
                "type": "string", "pattern": "^[0-9]{1,6}[smhd]$", "description": what, "examples": ["60m"]
            })
        };
        let window = minutes("The trailing window: whole minutes, at most 12 hours. Default: `60m`.");
        let direction = words(&["up", "down", "both"], "Which way. Default: `both`.");
        let kinds = [
            (
                "spike",
                "kind",
                vec![
                    (
                        "ratio",
                        decimal(
                            1.000_001,
                            1000.0,
                            "At least so many times the mean of the window. Default: 3.",
                        ),
                    ),
                    ("window", window.clone()),
                    (
                        "min_bars",
                        count(
                            1,
                            43_200,
                            "Bars the window must hold, at most as many as come in it. Default: 30.",
                        ),
                    ),
                ],
            ),
            (
                "zscore",
                "kind",
                vec![
                    (
                        "z",
                        decimal(
                            0.000_001,
                            1000.0,
                            "At least so many standard deviations from the mean of the window. Default: 3.",
                        ),
                    ),
                    ("window", window),
                    (
                        "min_bars",
                        count(
                            2,
                            43_200,
                            "Bars the window must hold, at most as many as come in it. Default: 30.",
                        ),
                    ),
                    ("direction", direction.clone()),
                ],
            ),
            (
                "move",
                "kind",
                vec![
                    (
                        "percent",
                        decimal(0.000_001, 1000.0, "At least so far from an earlier price. Default: 2."),
                    ),
                    (
                        "from",
                        serde_json::json!({
                            "type": "string", "pattern": "^([0-9]{1,6}[smhd]|previous_close|open)$",
                            "description": "From the price so long before (whole minutes, at most 12 hours), \
                                from the previous regular close, or from the opening price. Default: `15m`."
                        }),
                    ),
                    ("direction", direction),
                ],
            ),
            (
                "cross",
                "above",
                vec![("above", decimal(1e-9, 9e9, "The level, reached from below: dollars or shares."))],
            ),
            (
                "cross",
                "below",
                vec![("below", decimal(1e-9, 9e9, "The level, reached from above: dollars or shares."))],
            ),
            (
                "time_of_day",
                "kind",
                vec![
                    (
                        "ratio",
                        decimal(
                            1.000_001,
                            1000.0,
                            "At least so many times the median volume of the same minute of earlier \
                             sessions. Default: 3.",
                        ),
                    ),
                    ("sessions", count(1, 20, "How many sessions back. Default: 20.")),
                    (
                        "min_sessions",
                        count(
                            1,
                            20,
                            "In how many of them the minute must have a bar. \
                             Default: 5, or `sessions` where that is less.",
                        ),
                    ),
                ],
            ),
        ];
        let common = [
            (
                "trigger",
                words(
                    &["level", "edge"],
                    "Every bar that qualifies, or only the first of a run. `cross` is always `edge`.",
                ),
            ),
            (
                "rearm",
                decimal(
                    1e-9,
                    9e9,
                    "With `edge`: where the measure must be back before the next, in the threshold's unit.",
                ),
            ),
            (
                "session",
                words(&["all", "regular", "extended"], "Which tracked bars are judged. Default: `all`."),
            ),
            (
                "cooldown",
                minutes("Silence after an alert, by bar time; at most 7 days. Default: `60m`; `0s`: none."),
            ),
        ];
        let variants = kinds.into_iter().map(|(kind, required, settings)| {
            let mut properties = serde_json::Map::new();
            properties.insert("kind".to_owned(), words(&[kind], "The kind of the rule."));
            let settings = settings.into_iter().chain(common.clone());
            properties.extend(settings.map(|(name, schema)| (name.to_owned(), schema)));
            let required = if required == "kind" { vec!["kind"] } else { vec!["kind", required] };
            serde_json::json!({
                "type": "object", "title": kind, "properties": properties, "required": required,
                "additionalProperties": false
            })
        });
        let schema = serde_json::json!({
            "description": "What is unusual, when it is asked, and how often it may be told. Settings left \
                out have their defaults; those that contradict each other are refused.",
            "oneOf": variants.collect::<Vec<_>>(),
        });
        serde_json::from_value(schema)
            .unwrap_or_else(|_| ObjectBuilder::new().schema_type(Type::Object).into())
    }
}

impl ToSchema for RuleShape {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Rule")
    }
}

/// The schema of a rule as it is asked for: text or object.
pub struct RuleIn;

impl PartialSchema for RuleIn {
    fn schema() -> RefOr<Schema> {
        let schema = serde_json::json!({
            "description": "A rule as text (`v1 zscore z=4 window=30m`; `spike` is the server's own) \
                or as an object of the same settings.",
            "oneOf": [
                {
                    "type": "string", "maxLength": 300,
                    "examples": ["spike", "move percent=3 from=previous_close"]
                },
                {"$ref": "#/components/schemas/Rule"},
            ],
        });
        serde_json::from_value(schema)
            .unwrap_or_else(|_| ObjectBuilder::new().schema_type(Type::Object).into())
    }
}

impl ToSchema for RuleIn {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("RuleIn")
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((RuleShape::name().into_owned(), RuleShape::schema()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schemas_are_what_was_written() {
        for schema in [RuleShape::schema(), RuleIn::schema()] {
            let text = serde_json::to_string(&schema).unwrap();
            assert!(text.contains("oneOf"), "{text}");
        }
    }
}
