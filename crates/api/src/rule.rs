//! Rules as the API tells and takes them: an object of settings, or the text of the same grammar.

use crate::fields::Fields;
use qqq_core::rule::{InvalidRule, Setting};
use qqq_core::{Metric, Rule, RuleName, SpikeRule};
use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use utoipa::openapi::schema::{ObjectBuilder, Schema};
use utoipa::openapi::{RefOr, schema::Type};
use utoipa::{PartialSchema, ToSchema};

/// A rule with all its settings: `{"kind":"spike","ratio":3,...}`.
pub(crate) struct RuleOut(pub(crate) Rule);

impl Serialize for RuleOut {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.settings().into_iter().map(|(name, setting)| {
            let value = match setting {
                Setting::Word(word) => SettingOut::Word(word),
                // Decimal text is a JSON number.
                Setting::Number(number) => SettingOut::Number(RawValue::from_string(number).ok()),
            };
            (name, value)
        }))
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum SettingOut {
    Word(String),
    Number(Option<Box<RawValue>>),
}

/// The rule of a field: absent or `null`, the house rule; a text or an object of the grammar otherwise. Held to what goes with
/// the metric and with the hours that are tracked.
pub(crate) fn rule_of(
    fields: &mut Fields,
    name: &str,
    metric: Option<Metric>,
    extended_hours: bool,
) -> Option<RuleName> {
    let parsed = match &fields.value(name).unwrap_or(Value::Null) {
        Value::Null => return Some(RuleName::House),
        Value::String(text) => text.parse::<RuleName>(),
        Value::Object(settings) => of_object(settings).map(RuleName::Own),
        _ => {
            fields.wrong(name, "must be a text such as `spike ratio=4`, or an object of the same settings");
            return None;
        }
    };
    let suited = parsed.and_then(|rule| suits(rule, metric, extended_hours).map(|()| rule));
    match suited {
        Ok(rule) => Some(rule),
        Err(error) if error.field == name => {
            fields.wrong(name, error.reason);
            None
        }
        Err(error) => {
            fields.wrong(&format!("{name}.{}", error.field), error.reason);
            None
        }
    }
}

fn suits(name: RuleName, metric: Option<Metric>, extended_hours: bool) -> Result<(), InvalidRule> {
    let RuleName::Own(rule) = name else { return Ok(()) };
    rule.suits_hours(extended_hours)?;
    metric.map_or(Ok(()), |metric| rule.suits(metric))
}

fn of_object(settings: &serde_json::Map<String, Value>) -> Result<Rule, InvalidRule> {
    let texts = settings
        .iter()
        .map(|(name, value)| match value {
            Value::String(text) => Ok((name.as_str(), Cow::Borrowed(text.as_str()))),
            Value::Number(number) => Ok((name.as_str(), Cow::Owned(number.to_string()))),
            _ => Err(InvalidRule {
                field: name.chars().take(32).collect(),
                reason: "must be a number or a text".to_owned(),
            }),
        })
        .collect::<Result<Vec<_>, _>>()?;
    Rule::of_fields(texts.iter().map(|(name, text)| (*name, text.as_ref())))
}

/// The rule of a name on this server, for answers.
pub(crate) fn rule_out(name: RuleName, house: SpikeRule) -> RuleOut {
    RuleOut(name.rule(house))
}

/// The schema of [`RuleOut`] and of what [`rule_of`] takes as an object.
pub(crate) struct RuleShape;

impl PartialSchema for RuleShape {
    fn schema() -> RefOr<Schema> {
        let decimal = |low: f64, high: f64, what: &str| serde_json::json!({"type": "number", "minimum": low, "maximum": high, "description": what});
        let count = |low: u32, high: u32, what: &str| serde_json::json!({"type": "integer", "minimum": low, "maximum": high, "description": what});
        let words = |words: &[&str], what: &str| serde_json::json!({"type": "string", "enum": words, "description": what});
        let minutes = |what: &str| serde_json::json!({"type": "string", "pattern": "^[0-9]{1,6}[smhd]$", "description": what, "examples": ["60m"]});
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
                    ("min_bars", count(1, 720, "Bars the window must hold. Default: 30.")),
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
                    ("min_bars", count(2, 720, "Bars the window must hold. Default: 30.")),
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
                            "description": "From the price so long before (whole minutes, at most 12 hours), from the previous \
                                regular close, or from the opening price. Default: `15m`."
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
                            "At least so many times the median volume of the same minute of earlier sessions. Default: 3.",
                        ),
                    ),
                    ("sessions", count(1, 20, "How many sessions back. Default: 20.")),
                    (
                        "min_sessions",
                        count(
                            1,
                            20,
                            "In how many of them the minute must have a bar. Default: 5, or `sessions` where that is less.",
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
            properties.insert("kind".to_owned(), serde_json::json!({"type": "string", "enum": [kind], "description": "The kind of the rule."}));
            properties.extend(settings.into_iter().chain(common.clone()).map(|(name, schema)| (name.to_owned(), schema)));
            let required = if required == "kind" { vec!["kind"] } else { vec!["kind", required] };
            serde_json::json!({
                "type": "object", "title": kind, "properties": properties, "required": required, "additionalProperties": false
            })
        });
        let schema = serde_json::json!({
            "description": "What is unusual, when it is asked, and how often it may be told. Settings left out have their \
                defaults; those that contradict each other are refused.",
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
pub(crate) struct RuleIn;

impl PartialSchema for RuleIn {
    fn schema() -> RefOr<Schema> {
        let schema = serde_json::json!({
            "description": "A rule as text (`v1 zscore z=4 window=30m`; `spike` is the server's own) or as an object of the \
                same settings.",
            "oneOf": [
                {"type": "string", "maxLength": 300, "examples": ["spike", "move percent=3 from=previous_close"]},
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

    #[test]
    fn a_rule_is_told_with_exact_numbers_and_taken_back() {
        let rule: Rule = "move percent=2.5 from=open trigger=edge rearm=0.000001".parse().unwrap();
        let told = serde_json::to_string(&RuleOut(rule)).unwrap();
        assert_eq!(
            told,
            r#"{"kind":"move","percent":2.5,"from":"open","direction":"both","trigger":"edge","rearm":0.000001,"session":"all","cooldown":"60m"}"#
        );
        let body = format!(r#"{{"rule":{told}}}"#);
        let mut fields = Fields::of_json(body.as_bytes(), &["rule"]).unwrap();
        assert_eq!(rule_of(&mut fields, "rule", Some(Metric::Price), false), Some(RuleName::Own(rule)));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (body, field) in [
            (r#"{"rule":5}"#, "rule"),
            (r#"{"rule":"v2 spike"}"#, "rule"),
            (r#"{"rule":{"kind":"spike","ratio":1}}"#, "rule.ratio"),
            (r#"{"rule":{"kind":"spike","ratio":[1]}}"#, "rule.ratio"),
            (r#"{"rule":{"ratio":4}}"#, "rule.kind"),
            (r#"{"rule":"move"}"#, "rule.kind"),
            (r#"{"rule":"spike session=extended"}"#, "rule.session"),
        ] {
            let mut fields = Fields::of_json(body.as_bytes(), &["rule"]).unwrap();
            let rule = rule_of(&mut fields, "rule", Some(Metric::Volume), false);
            let Err(problem) = fields.finish(rule) else { panic!("{body} was taken") };
            assert_eq!(problem.errors[0].field, field, "{body}");
        }
    }
}
