//! Rules as requests hold them.

use crate::http::fields::Fields;
use qqq_core::rule::InvalidRule;
use qqq_core::{Calendar, Metric, Rule, RuleName};
use serde_json::Value;
use std::borrow::Cow;

/// The rule of a field: absent or `null`, the house rule; a text or an object of the grammar otherwise. Held
/// to what goes with the metric and with the hours that are tracked.
pub(crate) fn rule_of(
    fields: &mut Fields,
    name: &str,
    metric: Option<Metric>,
    calendar: &Calendar,
) -> Option<RuleName> {
    let parsed = match &fields.value(name).unwrap_or(Value::Null) {
        Value::Null => return Some(RuleName::House),
        Value::String(text) => RuleName::read(text, calendar.cadence()),
        Value::Object(settings) => of_object(settings, calendar).map(RuleName::Own),
        _ => {
            fields.wrong(name, "must be a text such as `spike ratio=4`, or an object of the same settings");
            return None;
        }
    };
    let suited = parsed.and_then(|rule| suits(rule, metric, calendar).map(|()| rule));
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

fn suits(name: RuleName, metric: Option<Metric>, calendar: &Calendar) -> Result<(), InvalidRule> {
    let RuleName::Own(rule) = name else { return Ok(()) };
    rule.suits_market(calendar)?;
    metric.map_or(Ok(()), |metric| rule.suits(metric))
}

fn of_object(settings: &serde_json::Map<String, Value>, calendar: &Calendar) -> Result<Rule, InvalidRule> {
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
    Rule::of_fields(texts.iter().map(|(name, text)| (*name, text.as_ref())), calendar.cadence())
}

#[cfg(test)]
mod tests {
    use super::*;
    use qqq_contract::rule::RuleOut;
    use qqq_core::Cadence;
    use qqq_core::market::calendar::Market;

    fn bars_of(cadence: Cadence) -> Calendar {
        Calendar::new(Market::Xnas, false, []).with_cadence(cadence)
    }

    #[test]
    fn a_rule_is_told_with_exact_numbers_and_taken_back() {
        let rule: Rule = "move percent=2.5 from=open trigger=edge rearm=0.000001".parse().unwrap();
        let told = serde_json::to_string(&RuleOut(rule)).unwrap();
        assert_eq!(
            told,
            concat!(
                r#"{"kind":"move","percent":2.5,"from":"open","direction":"both","#,
                r#""trigger":"edge","rearm":0.000001,"session":"all","cooldown":"60m"}"#,
            )
        );
        let body = format!(r#"{{"rule":{told}}}"#);
        let mut fields = Fields::of_json(body.as_bytes(), &["rule"]).unwrap();
        assert_eq!(
            rule_of(&mut fields, "rule", Some(Metric::Price), &bars_of(Cadence::Sixty)),
            Some(RuleName::Own(rule))
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let minutes = Cadence::Sixty;
        for (body, cadence, field) in [
            (r#"{"rule":5}"#, minutes, "rule"),
            (r#"{"rule":"v2 spike"}"#, minutes, "rule"),
            (r#"{"rule":{"kind":"spike","ratio":1}}"#, minutes, "rule.ratio"),
            (r#"{"rule":{"kind":"spike","ratio":[1]}}"#, minutes, "rule.ratio"),
            (r#"{"rule":{"ratio":4}}"#, minutes, "rule.kind"),
            (r#"{"rule":"move"}"#, minutes, "rule.kind"),
            (r#"{"rule":"spike session=extended"}"#, minutes, "rule.session"),
            (r#"{"rule":"spike window=10m min_bars=11"}"#, minutes, "rule.min_bars"),
            (r#"{"rule":"spike window=10m min_bars=601"}"#, Cadence::One, "rule.min_bars"),
            (r#"{"rule":"zscore window=10m min_bars=121"}"#, Cadence::Five, "rule.min_bars"),
        ] {
            let mut fields = Fields::of_json(body.as_bytes(), &["rule"]).unwrap();
            let rule = rule_of(&mut fields, "rule", Some(Metric::Volume), &bars_of(cadence));
            let Err(problem) = fields.finish(rule) else { panic!("{body} was taken") };
            assert_eq!(problem.errors[0].field, field, "{body}");
        }
        let mut fields = Fields::of_json(br#"{"rule":"spike window=10m min_bars=600"}"#, &["rule"]).unwrap();
        assert!(rule_of(&mut fields, "rule", Some(Metric::Volume), &bars_of(Cadence::One)).is_some());
    }

    #[test]
    fn the_bars_that_a_window_must_hold_are_the_same_time_at_every_interval() {
        for (cadence, half_an_hour, five_minutes) in
            [(Cadence::Sixty, 30, 5), (Cadence::Five, 360, 60), (Cadence::One, 1800, 300)]
        {
            for (window, expected) in [("60m", half_an_hour), ("10m", five_minutes)] {
                for body in [
                    format!(r#"{{"rule":"zscore window={window}"}}"#),
                    format!(r#"{{"rule":{{"kind":"zscore","window":"{window}"}}}}"#),
                ] {
                    let mut fields = Fields::of_json(body.as_bytes(), &["rule"]).unwrap();
                    let rule = rule_of(&mut fields, "rule", Some(Metric::Volume), &bars_of(cadence));
                    let text = rule.expect("a rule").to_string();
                    assert!(text.contains(&format!(" min_bars={expected} ")), "{cadence}: {text}");
                }
            }
        }
    }
}
