//! Finnhub's messages: pure, and prepared for anything.

use super::condition::{Conditions, effect};
use super::model::{Quote, WireMessage, WireStock, WireTrade};
use super::tick::Tick;
use crate::excerpt::excerpt;
use crate::names::Directory;
use crate::trades::{self, Trade};
use crate::{FeedError, Reject, json};
use jiff::Timestamp;
use qqq_core::{Price, Symbol};
use serde_json::value::RawValue;

const PROVIDER: &str = "finnhub";

/// What a message of the stream holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// Trades, in the order they were sent.
    pub trades: Vec<Tick>,
    /// What was no valid trade.
    pub rejects: Vec<Reject>,
    /// A complaint of the server, in its words.
    pub error: Option<String>,
}

/// Parses a message of the stream. `is_subscribed` says of which symbols trades may come. Pings and types
/// that nobody asked for hold nothing.
pub fn message(body: &[u8], is_subscribed: impl Fn(Symbol) -> bool) -> Result<Told, FeedError> {
    let message: WireMessage<'_> = json::read(PROVIDER, body)?;
    let mut told = Told::default();
    match message.kind.as_str() {
        "trade" => {
            for (index, raw) in message.data.unwrap_or_default().into_iter().enumerate() {
                match trade(raw, &is_subscribed) {
                    Ok(Some(trade)) => told.trades.push(trade),
                    Ok(None) => {}
                    Err(reason) => told.rejects.push(Reject { place: format!("data[{index}]"), reason }),
                }
            }
        }
        "error" => told.error = Some(excerpt(&message.msg.unwrap_or_default())),
        _ => {}
    }
    Ok(told)
}

/// One trade; `None` where the size is 0: then it is a price without a trade.
fn trade(raw: &RawValue, is_subscribed: impl Fn(Symbol) -> bool) -> Result<Option<Tick>, String> {
    let wire: WireTrade<'_> = json::item(raw)?;
    let symbol = wire.s.parse().ok().filter(|&symbol| is_subscribed(symbol));
    let symbol =
        symbol.ok_or_else(|| format!("a trade of {}, which was not subscribed", excerpt(&wire.s)))?;
    let at = trades::time(Timestamp::from_millisecond(wire.t).ok());
    let at = at.ok_or_else(|| format!("t {}: not a time", wire.t))?;
    let size = trades::size("v", wire.v)?;
    if size == 0 {
        return Ok(None);
    }
    let price = json::price("p", wire.p, Price::PLACES)?;
    let codes = wire.c.unwrap_or_default();
    let codes = || codes.iter().map(|code| code.get().trim_matches('"'));
    let trade = Trade { symbol, at, price, size, effect: effect(codes()), id: None };
    Ok(Some(Tick { trade, conditions: Conditions::of(codes()) }))
}

/// Parses an answer of `GET /quote`: when the symbol was last traded, if it is known.
pub fn last_trade(body: &[u8]) -> Result<Option<Timestamp>, FeedError> {
    let quote: Quote = json::read(PROVIDER, body)?;
    Ok(quote.t.filter(|&second| second > 0).and_then(|second| Timestamp::from_second(second).ok()))
}

/// Parses an answer of `GET /stock/symbol`.
pub fn stocks(body: &[u8]) -> Result<Directory, FeedError> {
    let list: Vec<&RawValue> = json::read(PROVIDER, body)?;
    let stock = |raw| json::item(raw).ok().map(|stock: WireStock| (stock.symbol, stock.description));
    Directory::of(PROVIDER, list.into_iter().map(stock))
}
