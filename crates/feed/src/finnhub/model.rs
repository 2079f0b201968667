//! The shapes of Finnhub's messages: its OpenAPI document, and the messages of its stream as its clients have
//! them.

use serde::Deserialize;
use serde_json::value::RawValue;

/// `GET /quote`. An unknown symbol is answered with zeros or nulls.
#[derive(Deserialize)]
pub(super) struct Quote {
    /// When it was last traded, seconds since 1970.
    pub(super) t: Option<i64>,
}

/// `GET /stock/symbol`: one of the list.
#[derive(Deserialize)]
pub(super) struct WireStock {
    pub(super) symbol: String,
    /// The name.
    pub(super) description: String,
}

/// A message of the stream: `trade`, `ping`, `error`.
#[derive(Deserialize)]
pub(super) struct WireMessage<'a> {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(borrow)]
    pub(super) data: Option<Vec<&'a RawValue>>,
    pub(super) msg: Option<String>,
}

/// One trade.
#[derive(Deserialize)]
pub(super) struct WireTrade<'a> {
    pub(super) s: String,
    #[serde(borrow)]
    pub(super) p: &'a RawValue,
    /// Milliseconds since 1970.
    pub(super) t: i64,
    #[serde(borrow)]
    pub(super) v: &'a RawValue,
    /// Condition codes; may be absent or null.
    #[serde(borrow)]
    pub(super) c: Option<Vec<&'a RawValue>>,
}
