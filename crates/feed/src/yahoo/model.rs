//! The shape of Yahoo's chart endpoint, version 8. Undocumented: taken from recorded answers and from the
//! widely used open clients. What is not needed is not modelled, so that it cannot break parsing:
//! `tradingPeriods` has two shapes, for one.

use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

#[derive(Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(borrow)]
    pub(super) chart: Chart<'a>,
}

#[derive(Deserialize)]
pub(super) struct Chart<'a> {
    #[serde(borrow)]
    pub(super) result: Option<Vec<Result<'a>>>,
    pub(super) error: Option<ChartError>,
}

#[derive(Deserialize)]
pub(super) struct ChartError {
    pub(super) code: Option<String>,
    pub(super) description: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Result<'a> {
    pub(super) meta: Meta,
    /// Starts of the bars, seconds since 1970. Absent where there is no data.
    #[serde(borrow)]
    pub(super) timestamp: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    pub(super) events: Option<Events<'a>>,
    #[serde(borrow)]
    pub(super) indicators: Option<Indicators<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Meta {
    pub(super) symbol: String,
    pub(super) data_granularity: Option<String>,
    pub(super) regular_market_time: Option<i64>,
}

#[derive(Deserialize)]
pub(super) struct Events<'a> {
    #[serde(borrow)]
    pub(super) splits: Option<BTreeMap<String, &'a RawValue>>,
}

#[derive(Deserialize)]
pub(super) struct WireSplit<'a> {
    /// An instant of the ex-date.
    pub(super) date: i64,
    #[serde(borrow)]
    pub(super) numerator: &'a RawValue,
    #[serde(borrow)]
    pub(super) denominator: &'a RawValue,
}

#[derive(Deserialize)]
pub(super) struct Indicators<'a> {
    #[serde(borrow)]
    pub(super) quote: Option<Vec<Quote<'a>>>,
}

/// Five lists parallel to `timestamp`. Any element may be `null`.
#[derive(Deserialize)]
pub(super) struct Quote<'a> {
    #[serde(borrow, default)]
    pub(super) open: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) high: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) low: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) close: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) volume: Vec<&'a RawValue>,
}
