//! What a rule would have told.

use crate::alert::AlertOut;
use crate::rule::{RuleOut, RuleShape};
use crate::words::MetricWord;
use qqq_core::Symbol;
use qqq_core::alert::backtest::{BacktestQuery, Day, Report};
use serde::Serialize;
use utoipa::ToSchema;

/// Days told as the quietest and the loudest.
const EXTREMES: usize = 5;

/// What a rule would have told.
#[derive(Serialize, ToSchema)]
#[schema(as = Backtest)]
pub struct BacktestOut {
    /// In a sentence.
    #[schema(example = "would have told 14 times in 5 sessions, 2 to 4 a day")]
    summary: String,
    /// The rule, with all its settings.
    #[schema(value_type = RuleShape)]
    rule: RuleOut,
    /// The same as text of the grammar.
    rule_text: String,
    /// The symbols looked at.
    symbols: Vec<String>,
    /// The metrics looked at.
    #[schema(value_type = Vec<MetricWord>)]
    metrics: Vec<&'static str>,
    /// First instant, UTC.
    #[schema(format = DateTime)]
    from: String,
    /// First instant beyond, UTC.
    #[schema(format = DateTime)]
    to: String,
    /// Bars judged.
    bars: u64,
    /// Trading days with bars.
    sessions: usize,
    /// Alerts: messages to one subscriber, after the cool-down.
    messages: u64,
    /// Bars that qualified: what would have been sent without a cool-down.
    qualifying_bars: u64,
    /// Alerts in an average session; `null` without any.
    #[schema(required = true)]
    messages_per_session: Option<f64>,
    /// The days with the fewest alerts, fewest first.
    quietest_days: Vec<DayOut>,
    /// The days with the most alerts, most first.
    loudest_days: Vec<DayOut>,
    /// All trading days with bars, oldest first.
    #[schema(max_items = 401)]
    days: Vec<DayOut>,
    /// The alerts, oldest first; at most 1,000.
    alerts: Vec<AlertOut>,
    /// Whether there are more alerts than are told.
    truncated: bool,
}

/// A trading day of a backtest.
#[derive(Serialize, ToSchema)]
#[schema(as = BacktestDay)]
struct DayOut {
    /// New York date.
    #[schema(format = Date)]
    date: String,
    /// Alerts of that day.
    alerts: u32,
}

impl From<Day> for DayOut {
    fn from(day: Day) -> Self {
        Self { date: day.date.to_string(), alerts: day.alerts }
    }
}

impl BacktestOut {
    /// Tells a report.
    pub fn new(query: &BacktestQuery, report: &Report) -> Self {
        let told = |days: Vec<Day>| days.into_iter().map(DayOut::from).collect();
        Self {
            summary: report.summary(),
            rule: RuleOut(query.rule.rule(query.house)),
            rule_text: query.rule.to_string(),
            symbols: query.symbols.iter().map(Symbol::to_string).collect(),
            metrics: query.metrics.iter().map(|metric| metric.as_str()).collect(),
            from: query.range.start.to_string(),
            to: query.range.end.to_string(),
            bars: report.bars,
            sessions: report.days.len(),
            messages: report.messages,
            qualifying_bars: report.qualifying_bars,
            messages_per_session: report.alerts_per_session(),
            quietest_days: told(report.quietest(EXTREMES)),
            loudest_days: told(report.loudest(EXTREMES)),
            days: told(report.days.clone()),
            alerts: report.alerts.iter().map(AlertOut::from).collect(),
            truncated: report.messages > report.alerts.len() as u64,
        }
    }
}
