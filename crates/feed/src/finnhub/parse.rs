//! Finnhub's messages: pure, and prepared for anything.

use super::condition::{Conditions, Effect};
use super::model::{Quote, WireMessage, WireStock, WireTrade};
use super::trade::{SHARE, Trade};
use crate::excerpt::excerpt;
use crate::names::Directory;
use crate::{FeedError, Reject, json};
use jiff::Timestamp;
use qqq_core::decimal::{self, Excess};
use qqq_core::{Price, Second, Symbol};
use serde_json::value::RawValue;

const PROVIDER: &str = "finnhub";

/// What a message of the stream holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// Trades, in the order they were sent.
    pub trades: Vec<Trade>,
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
fn trade(raw: &RawValue, is_subscribed: impl Fn(Symbol) -> bool) -> Result<Option<Trade>, String> {
    let wire: WireTrade<'_> = json::item(raw)?;
    let symbol = wire.s.parse().ok().filter(|&symbol| is_subscribed(symbol));
    let symbol =
        symbol.ok_or_else(|| format!("a trade of {}, which was not subscribed", excerpt(&wire.s)))?;
    let at = Timestamp::from_millisecond(wire.t).ok().filter(|at| Second::minute_of(*at) > Second::MIN);
    let at = at.ok_or_else(|| format!("t {}: not a time", wire.t))?;
    let size = size(wire.v)?;
    if size == 0 {
        return Ok(None);
    }
    let price = json::price("p", wire.p, Price::PLACES)?;
    let codes = wire.c.unwrap_or_default();
    let codes = || codes.iter().map(|code| code.get().trim_matches('"'));
    let (conditions, effect) = (Conditions::of(codes()), Effect::of(codes()));
    Ok(Some(Trade { symbol, at, price, size, conditions, effect }))
}

/// A number of shares in millionths, without a float in between.
fn size(raw: &RawValue) -> Result<i64, String> {
    json::number("v", raw)?;
    let places = SHARE.ilog10();
    match decimal::parse(raw.get(), places, Excess::Round) {
        Ok(size @ 0..=Trade::MAX_SIZE) => Ok(size),
        Ok(size) if size < 0 => Err(format!("v {}: negative", excerpt(raw.get()))),
        Ok(_) => Err(format!("v {}: above 10^9", excerpt(raw.get()))),
        Err(error) => Err(format!("v {}: {error}", excerpt(raw.get()))),
    }
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
