//! The shape of the IEX Cloud batch form, as the archived client libraries and recorded answers have it.

use serde::Deserialize;
use serde_json::value::RawValue;

/// What a batch answers for one symbol.
#[derive(Deserialize)]
pub(super) struct WireSymbol<'a> {
    #[serde(rename = "intraday-prices", borrow)]
    pub(super) minutes: Option<Vec<&'a RawValue>>,
}

/// One minute. Prices are `null` where nothing traded on IEX.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireMinute<'a> {
    /// New York date.
    pub(super) date: String,
    /// New York time of its start, `09:30`.
    pub(super) minute: String,
    #[serde(borrow)]
    pub(super) open: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) high: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) low: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) close: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) volume: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) average: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) number_of_trades: Option<&'a RawValue>,
}
