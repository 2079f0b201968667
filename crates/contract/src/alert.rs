//! An alert with its evidence: the same in the API, on the stream, in webhooks and in what backtests answer.

use crate::number::{exact, four_decimals};
use crate::sentence;
use crate::words::{AlertStateWord, MetricWord, RuleKindWord};
use qqq_core::{Alert, Evidence, Metric};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// An alert with its evidence.
#[derive(Serialize, ToSchema)]
#[schema(as = Alert, example = json!({
    "id": "f781bcc6-15b4-57da-b522-3b1126688157", "rule": "spike",
    "rule_text": "v1 spike ratio=3 window=60m min_bars=30 trigger=level session=all cooldown=60m",
    "kind": "spike", "symbol": "META", "metric": "volume",
    "headline": "META volume 7.2x its last hour",
    "text": "META traded 151,234 shares at 15:59 New York time, \
             7.2 times its average of the last hour, 21,000. The price was $689.20 (+0.45 % on the day).",
    "start": "2025-01-31T20:59:00Z", "value": 151234, "average": 21034.5, "ratio": 7.19, "window_bars": 60,
    "feed": "iex", "revision": 0, "state": "raised", "raised_at": "2025-01-31T21:00:04.120Z",
    "occurrences": 1,
    "peak": 151234, "close": 689.2, "day_change": {"amount": 3.1, "percent": 0.4518},
    "evidence": {"type": "average", "sum": 1262070, "bars": 60}
}))]
pub struct AlertOut {
    /// Derived from rule, symbol, metric and minute: the same bar seen again is the same alert.
    #[schema(format = "uuid")]
    id: String,
    /// The rule that fired: `spike`, the server's own, or the text of one in the grammar of rules. It is what
    /// an alert is identified by, and what `rule` of a list filters by.
    rule: String,
    /// The same rule whole, the server's own too, with every setting it had when the alert was raised.
    rule_text: String,
    /// Its kind.
    #[schema(value_type = RuleKindWord)]
    kind: &'static str,
    /// The ticker as listed today.
    symbol: String,
    /// What was unusual.
    #[schema(value_type = MetricWord)]
    metric: &'static str,
    /// The alert in a few words: the subject of its mail.
    headline: String,
    /// The alert in a sentence, with its numbers. Times are New York's.
    text: String,
    /// The first instant of the bar's minute, UTC.
    #[schema(format = DateTime)]
    start: String,
    /// The bar's value, exact: dollars, shares or trades.
    #[schema(value_type = f64, minimum = 0)]
    value: Option<Box<RawValue>>,
    /// What it was held against, in the same unit: the trailing average before the bar, or the earlier price,
    /// the level or the median that the rule is about.
    #[schema(required = true, minimum = 0)]
    average: Option<f64>,
    /// `value` over `average`, no unit.
    #[schema(required = true, minimum = 0)]
    ratio: Option<f64>,
    /// Bars (or sessions) the average was made of.
    window_bars: u32,
    /// The feed the bar came from.
    feed: String,
    /// How often the bar had been corrected when the alert was raised.
    revision: u32,
    /// `retracted`: a correction of the bar took its ground away.
    #[schema(value_type = AlertStateWord)]
    state: &'static str,
    /// When it was raised, UTC.
    #[schema(format = DateTime)]
    raised_at: String,
    /// Bars that qualified during its cool-down, itself included.
    occurrences: usize,
    /// The largest value of these, in the same unit.
    #[schema(value_type = f64, minimum = 0)]
    peak: Option<Box<RawValue>>,
    /// The price at the bar's end, dollars, as it was when the alert was raised. `null` of alerts from before
    /// it was kept.
    #[schema(value_type = Option<f64>, required = true, minimum = 0)]
    close: Option<Box<RawValue>>,
    /// How far that was from the regular close of the trading day before. `null` where that was not known.
    #[schema(required = true)]
    day_change: Option<DayChangeOut>,
    /// What the value was compared with, exact: enough to compute the verdict again.
    evidence: EvidenceOut,
}

/// A price against the regular close of the trading day before.
#[derive(Serialize, ToSchema)]
#[schema(as = DayChange)]
pub struct DayChangeOut {
    /// Dollars, exact.
    #[schema(value_type = f64, example = 3.1)]
    amount: Option<Box<RawValue>>,
    /// Per cent, rounded to four decimals.
    #[schema(example = 0.45)]
    percent: f64,
}

impl From<(i64, f64)> for DayChangeOut {
    /// Of 1e-9 dollars, and per cent.
    fn from((amount, percent): (i64, f64)) -> Self {
        Self { amount: exact(Metric::Price.show(amount)), percent: four_decimals(percent) }
    }
}

/// What an alert's value was compared with. Sums and values are exact, in the metric's unit.
#[derive(Serialize, ToSchema)]
#[schema(as = Evidence)]
#[serde(untagged)]
pub enum EvidenceOut {
    /// `spike`: the value is at least `ratio` times `sum / bars`.
    Average {
        /// `average`.
        #[schema(pattern = "^average$")]
        r#type: &'static str,
        /// Of the values in the trailing window.
        #[schema(value_type = f64)]
        sum: Option<Box<RawValue>>,
        /// How many.
        bars: u32,
    },
    /// `zscore`: the value is at least `z` sample standard deviations from `sum / bars`.
    Deviation {
        /// `deviation`.
        #[schema(pattern = "^deviation$")]
        r#type: &'static str,
        /// Of the values in the trailing window.
        #[schema(value_type = f64)]
        sum: Option<Box<RawValue>>,
        /// Of their squares.
        #[schema(value_type = f64)]
        sum_of_squares: Option<Box<RawValue>>,
        /// How many.
        bars: u32,
        /// Their sample standard deviation, rounded once.
        #[schema(required = true)]
        stdev: Option<f64>,
    },
    /// `move`: the value is at least `percent` away from an earlier one.
    Origin {
        /// `origin`.
        #[schema(pattern = "^origin$")]
        r#type: &'static str,
        /// The earlier price.
        #[schema(value_type = f64)]
        value: Option<Box<RawValue>>,
        /// The minute it is of, UTC.
        #[schema(format = DateTime)]
        start: String,
    },
    /// `cross`: the value is at or beyond `level`, the one before was not.
    Crossing {
        /// `crossing`.
        #[schema(pattern = "^crossing$")]
        r#type: &'static str,
        /// The level.
        #[schema(value_type = f64)]
        level: Option<Box<RawValue>>,
        /// The latest value that was on its other side.
        #[schema(value_type = f64)]
        before: Option<Box<RawValue>>,
    },
    /// `time_of_day`: the value is at least `ratio` times `median`.
    Median {
        /// `median`.
        #[schema(pattern = "^median$")]
        r#type: &'static str,
        /// Of the same minute in earlier sessions.
        #[schema(value_type = f64)]
        median: Option<Box<RawValue>>,
        /// How many of them had a bar there.
        sessions: u16,
    },
}

impl EvidenceOut {
    fn new(metric: Metric, evidence: &Evidence) -> Self {
        let shown = |value: i128| exact(metric.show(value));
        match *evidence {
            Evidence::Average { sum, bars } => Self::Average { r#type: "average", sum: shown(sum), bars },
            Evidence::Deviation { sum, squares, bars } => Self::Deviation {
                r#type: "deviation",
                sum: shown(sum),
                sum_of_squares: exact(metric.show_square(squares)),
                bars,
                stdev: evidence.stdev().map(|stdev| stdev / metric.units() as f64),
            },
            Evidence::Origin { value, start } => {
                Self::Origin { r#type: "origin", value: shown(value), start: start.to_string() }
            }
            Evidence::Crossing { level, before } => {
                Self::Crossing { r#type: "crossing", level: shown(level), before: shown(before) }
            }
            Evidence::Median { twice, sessions } => {
                Self::Median { r#type: "median", median: exact(metric.show_half(twice)), sessions }
            }
        }
    }
}

impl From<&Alert> for AlertOut {
    fn from(alert: &Alert) -> Self {
        Self {
            id: alert.id.to_string(),
            rule: alert.rule.name().to_string(),
            rule_text: alert.rule.rule().to_string(),
            kind: alert.rule.rule().condition.kind(),
            symbol: alert.symbol.to_string(),
            metric: alert.metric.as_str(),
            headline: sentence::headline(alert),
            text: sentence::sentence(alert),
            start: alert.start.to_string(),
            value: exact(alert.metric.show(alert.value)),
            average: alert.baseline(),
            ratio: alert.ratio(),
            window_bars: alert.evidence.bars(),
            feed: alert.feed.to_string(),
            revision: alert.revision,
            state: alert.state.as_str(),
            raised_at: alert.raised_at.to_string(),
            occurrences: alert.count(),
            peak: exact(alert.metric.show(alert.peak())),
            close: alert.close.and_then(exact),
            day_change: alert.day_change().map(DayChangeOut::from),
            evidence: EvidenceOut::new(alert.metric, &alert.evidence),
        }
    }
}
