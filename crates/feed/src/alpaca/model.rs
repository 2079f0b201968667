//! The shapes of Alpaca's messages: Market Data API v2 and v1 corporate actions, as its published OpenAPI
//! document and client libraries have them.

use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// `GET /v2/stocks/bars`. A symbol without data is absent.
#[derive(Deserialize)]
pub(super) struct BarsAnswer<'a> {
    #[serde(borrow)]
    pub(super) bars: Option<BTreeMap<String, &'a RawValue>>,
    pub(super) next_page_token: Option<String>,
}

/// `GET /v2/stocks/bars/latest`.
#[derive(Deserialize)]
pub(super) struct LatestAnswer<'a> {
    #[serde(borrow)]
    pub(super) bars: Option<BTreeMap<String, &'a RawValue>>,
}

/// One bar. `t` is the start of its minute, UTC.
#[derive(Deserialize)]
pub(super) struct WireBar<'a> {
    pub(super) t: String,
    #[serde(borrow)]
    pub(super) o: &'a RawValue,
    #[serde(borrow)]
    pub(super) h: &'a RawValue,
    #[serde(borrow)]
    pub(super) l: &'a RawValue,
    #[serde(borrow)]
    pub(super) c: &'a RawValue,
    #[serde(borrow)]
    pub(super) v: &'a RawValue,
    #[serde(borrow)]
    pub(super) n: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) vw: Option<&'a RawValue>,
}

/// The start of a bar alone: to name one that is wrong elsewhere.
#[derive(Deserialize)]
pub(super) struct WireStart {
    pub(super) t: String,
}

/// `GET /v1/corporate-actions`. The keys of the types are plural.
#[derive(Deserialize)]
pub(super) struct ActionsAnswer<'a> {
    #[serde(borrow)]
    pub(super) corporate_actions: Option<Actions<'a>>,
    pub(super) next_page_token: Option<String>,
}

#[derive(Deserialize, Default)]
pub(super) struct Actions<'a> {
    #[serde(borrow, default)]
    pub(super) forward_splits: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) reverse_splits: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct WireSplit<'a> {
    pub(super) symbol: String,
    pub(super) ex_date: String,
    #[serde(borrow)]
    pub(super) new_rate: &'a RawValue,
    #[serde(borrow)]
    pub(super) old_rate: &'a RawValue,
}

/// `GET /v2/assets` of the trading API: one of the list.
#[derive(Deserialize)]
pub(super) struct WireAsset {
    pub(super) symbol: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) tradable: bool,
}

/// What every message of the stream has: its type, and the members of the control types.
#[derive(Deserialize)]
pub(super) struct WireMessage<'a> {
    #[serde(rename = "T")]
    pub(super) kind: String,
    #[serde(rename = "S")]
    pub(super) symbol: Option<String>,
    pub(super) code: Option<u16>,
    pub(super) msg: Option<String>,
    /// Of a `subscription`: the complete current sets. Elsewhere they are absent.
    #[serde(borrow)]
    pub(super) bars: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) trades: Option<&'a RawValue>,
}

/// A trade of the stream, `t`, and a cancel, `x`, which has no conditions. The `t` of a cancel and of a
/// correction is not read: whether it is the time of the trade or of the message is not documented.
#[derive(Deserialize)]
pub(super) struct WireTrade<'a> {
    pub(super) i: u64,
    pub(super) x: String,
    #[serde(borrow)]
    pub(super) p: &'a RawValue,
    #[serde(borrow)]
    pub(super) s: &'a RawValue,
    pub(super) c: Option<Vec<String>>,
    pub(super) t: Option<String>,
    pub(super) z: Option<String>,
}

/// A correction of the stream, `c`: the trade as it was told, and as it was.
#[derive(Deserialize)]
pub(super) struct WireCorrection<'a> {
    pub(super) x: String,
    pub(super) oi: u64,
    #[serde(borrow)]
    pub(super) op: &'a RawValue,
    #[serde(borrow)]
    pub(super) os: &'a RawValue,
    pub(super) ci: u64,
    #[serde(borrow)]
    pub(super) cp: &'a RawValue,
    #[serde(borrow)]
    pub(super) cs: &'a RawValue,
    pub(super) cc: Option<Vec<String>>,
    pub(super) z: Option<String>,
}
