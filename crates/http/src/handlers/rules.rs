//! `GET /v1/rules`: the kinds of rules, the metrics they go with, and what may be set.

use crate::api::Api;
use crate::dto::market::PageOut;
use crate::http::answer::json;
use crate::http::problem::Problem;
use crate::http::query::Query;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use qqq_contract::number::exact;
use qqq_contract::rule::SettingOut;
use qqq_contract::words::{MetricWord, RuleKindWord};
use qqq_core::Metric;
use qqq_core::rule::{Allowed, Choice, Kind};
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// A kind of rule.
#[derive(Serialize, ToSchema)]
#[schema(as = RuleKindInfo)]
pub(crate) struct KindOut {
    /// Its name, the first word of a rule's text.
    #[schema(value_type = RuleKindWord)]
    kind: &'static str,
    /// What it may look at.
    #[schema(value_type = Vec<MetricWord>)]
    metrics: Vec<&'static str>,
    /// What may be set, in the order of the canonical text.
    settings: Vec<SettingInfoOut>,
}

/// A setting of a kind of rules. What contradicts another setting is refused all the same, as a `min_bars`
/// that is more than the minutes of the `window`.
#[derive(Serialize, ToSchema)]
#[schema(as = RuleSetting)]
pub(crate) struct SettingInfoOut {
    /// Its name.
    #[schema(example = "ratio")]
    name: &'static str,
    /// `number` (up to six decimals), `integer`, `duration` (`90s`, `60m`, `24h`, `7d`), `word`, or `level`:
    /// a number above 0 in the unit of the rule's threshold.
    #[schema(pattern = "^(number|integer|duration|word|level)$", example = "number")]
    r#type: &'static str,
    /// What it is where a rule does not say it, a number or a word; `null` where it has to be said or follows
    /// from other settings.
    #[schema(required = true, value_type = Option<DefaultShape>, example = 3)]
    default: Option<SettingOut>,
    /// The smallest number; `null` of durations and words.
    #[schema(required = true, value_type = Option<f64>, example = 1.000_001)]
    minimum: Option<Box<RawValue>>,
    /// The largest number.
    #[schema(required = true, value_type = Option<f64>, example = 1000)]
    maximum: Option<Box<RawValue>>,
    /// The shortest duration, seconds; `null` of others.
    #[schema(required = true, example = json!(null))]
    minimum_seconds: Option<u32>,
    /// The longest duration, seconds.
    #[schema(required = true, example = json!(null))]
    maximum_seconds: Option<u32>,
    /// Of durations: how many seconds it must be a multiple of.
    #[schema(required = true, example = json!(null))]
    step_seconds: Option<u32>,
    /// The words it may be; of durations, instead of one.
    words: Vec<&'static str>,
}

/// The schema of a default: a number or a word.
pub(crate) struct DefaultShape;

impl PartialSchema for DefaultShape {
    fn schema() -> RefOr<Schema> {
        let one = |r#type| ObjectBuilder::new().schema_type(r#type);
        OneOfBuilder::new().item(one(Type::Number)).item(one(Type::String)).into()
    }
}

impl ToSchema for DefaultShape {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("RuleDefault")
    }
}

impl From<Kind> for KindOut {
    fn from(kind: Kind) -> Self {
        Self {
            kind: kind.name,
            metrics: kind.metrics.into_iter().map(Metric::as_str).collect(),
            settings: kind.settings.into_iter().map(SettingInfoOut::from).collect(),
        }
    }
}

impl From<Choice> for SettingInfoOut {
    fn from(Choice { name, default, allowed }: Choice) -> Self {
        let mut info = Self {
            name,
            r#type: "level",
            default: default.map(SettingOut::from),
            minimum: None,
            maximum: None,
            minimum_seconds: None,
            maximum_seconds: None,
            step_seconds: None,
            words: Vec::new(),
        };
        match allowed {
            Allowed::Number { low, high } => {
                (info.r#type, info.minimum, info.maximum) = ("number", exact(low), exact(high));
            }
            Allowed::Count { low, high } => {
                (info.r#type, info.minimum, info.maximum) = ("integer", exact(low), exact(high));
            }
            Allowed::Duration { low, high, whole_minutes, words } => {
                info.r#type = "duration";
                (info.minimum_seconds, info.maximum_seconds) = (Some(low), Some(high));
                info.step_seconds = Some(if whole_minutes { 60 } else { 1 });
                info.words = words.to_vec();
            }
            Allowed::Words(words) => (info.r#type, info.words) = ("word", words),
            Allowed::Level => {}
        }
        info
    }
}

/// `GET /v1/rules`.
#[utoipa::path(
    get,
    path = "/v1/rules",
    tag = "alerts",
    operation_id = "listRuleKinds",
    summary = "The kinds of rules",
    description = "What a rule may be: its kinds, the metrics they go with, and their settings with defaults \
        and ranges. All on one page. The server's own rule, `spike` with the settings of its configuration, \
        is in `/v1/status`.",
    responses((status = 200, description = "The kinds", body = PageOut<KindOut>), (status = 304)),
)]
pub(crate) async fn rules(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    Query::parse(query.as_deref(), &[])?;
    let kinds = Kind::all(api.0.calendar.cadence(), api.0.calendar.metrics());
    let items: Vec<KindOut> = kinds.into_iter().map(KindOut::from).collect();
    Ok(json(&PageOut { items, next_cursor: None }).respond(&headers))
}
