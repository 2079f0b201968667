//! Metrics in words: a line for each.

use crate::words::MetricWord;
use qqq_core::Metric;
use qqq_core::alert::Unit;
use serde::Serialize;
use utoipa::ToSchema;

/// How a metric is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricWords {
    /// As a title: `Volume`.
    pub title: &'static str,
    /// What it is of a symbol: `the volume of NVDA`.
    pub noun: &'static str,
    /// What a symbol did, before the amount: `traded`.
    pub did: &'static str,
}

/// The words for a metric.
pub fn words(metric: Metric) -> MetricWords {
    let told = |title, noun, did| MetricWords { title, noun, did };
    match metric {
        Metric::Price => told("Price", "price", "was at"),
        Metric::Volume => told("Volume", "volume", "traded"),
        Metric::Trades => told("Trades", "number of trades", "saw"),
        Metric::Notional => told("Notional", "notional", "turned over"),
        Metric::Range => told("Range", "range", "ranged over"),
        Metric::Return => told("Return", "return", "moved by"),
    }
}

/// What a unit that is no currency counts: one, and several.
pub const fn counted(unit: Unit) -> Option<(&'static str, &'static str)> {
    match unit {
        Unit::Dollars => None,
        Unit::Shares => Some(("share", "shares")),
        Unit::Trades => Some(("trade", "trades")),
    }
}

/// A metric that is tracked.
#[derive(Serialize, ToSchema)]
#[schema(as = TrackedMetric)]
pub struct MetricOut {
    /// Its name.
    #[schema(value_type = MetricWord)]
    metric: &'static str,
    /// Its title, for people.
    #[schema(example = "Volume")]
    title: &'static str,
    /// What its values count: `dollars`, `shares` or `trades`.
    #[schema(pattern = "^(dollars|shares|trades)$", example = "shares")]
    unit: &'static str,
}

impl From<Metric> for MetricOut {
    fn from(metric: Metric) -> Self {
        let unit = counted(metric.unit()).map_or("dollars", |(_, many)| many);
        Self { metric: metric.as_str(), title: words(metric).title, unit }
    }
}
