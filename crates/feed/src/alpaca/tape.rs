//! Trades of the stream, and what becomes of them: pure.

use super::condition::effect;
use super::model::{WireCorrection, WireTrade};
use crate::excerpt::excerpt;
use crate::json;
use crate::trades::{self, Correction, Effect, Trade, TradeId, TradeName};
use qqq_core::{Price, Symbol};
use serde_json::value::RawValue;

/// What the stream tells of a trade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tape {
    /// It was made (`t`).
    Trade(Trade),
    /// It never was (`x`).
    Cancel(TradeName),
    /// It was another one (`c`).
    Correction(Correction),
}

/// Reads a message of the types `t`, `x` and `c`. `None` for a size of 0, which is a price without a trade.
pub(super) fn read(kind: &str, raw: &RawValue, symbol: Symbol) -> Result<Option<Tape>, String> {
    if kind == "c" {
        return correction(raw, symbol).map(|correction| Some(Tape::Correction(correction)));
    }
    let wire: WireTrade<'_> = json::item(raw)?;
    let (price, size) = (json::price("p", wire.p, Price::PLACES)?, trades::size("s", wire.s)?);
    let id = id(&wire.x, wire.i)?;
    if kind == "x" {
        return Ok(Some(Tape::Cancel(TradeName { symbol, id, price, size })));
    }
    let at = trades::time(wire.t.as_deref().and_then(|text| text.parse().ok()));
    let at = at.ok_or_else(|| format!("t `{}`: not a time", excerpt(&wire.t.unwrap_or_default())))?;
    let effect = allowed(wire.c, wire.z);
    let trade = Trade { symbol, at, price, size, effect, id: Some(id) };
    Ok((size > 0).then_some(Tape::Trade(trade)))
}

fn correction(raw: &RawValue, symbol: Symbol) -> Result<Correction, String> {
    let wire: WireCorrection<'_> = json::item(raw)?;
    let price = |name, raw| json::price(name, raw, Price::PLACES);
    Ok(Correction {
        told: TradeName {
            symbol,
            id: id(&wire.x, wire.oi)?,
            price: price("op", wire.op)?,
            size: trades::size("os", wire.os)?,
        },
        id: id(&wire.x, wire.ci)?,
        price: price("cp", wire.cp)?,
        size: trades::size("cs", wire.cs)?,
        effect: allowed(wire.cc, wire.z),
    })
}

fn allowed(conditions: Option<Vec<String>>, tape: Option<String>) -> Effect {
    let conditions = conditions.unwrap_or_default();
    effect(conditions.iter().map(String::as_str), tape.as_deref().unwrap_or_default())
}

fn id(exchange: &str, number: u64) -> Result<TradeId, String> {
    let mut letters = exchange.chars();
    match (letters.next(), letters.next()) {
        (Some(exchange), None) => Ok(TradeId { exchange, number }),
        _ => Err(format!("x `{}`: not the letter of an exchange", excerpt(exchange))),
    }
}
