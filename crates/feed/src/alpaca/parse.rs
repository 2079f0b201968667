//! Bytes from Alpaca to bars, or to counted rejects. Pure.

use super::model::{
    ActionsAnswer, BarsAnswer, LatestAnswer, WireAsset, WireBar, WireMessage, WireSplit, WireStart,
};
use super::tape::{self, Tape};
use crate::answer::Answer;
use crate::excerpt::excerpt;
use crate::names::Directory;
use crate::{FeedError, FeedErrorKind, Fetched, Reject, json};
use jiff::Timestamp;
use jiff::civil::Date;
use qqq_core::{Bar, FeedLabel, Price, Second, Split, Symbol};
use serde_json::value::RawValue;
use std::ops::{Range, RangeInclusive};

const PROVIDER: &str = "alpaca";

/// One page of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// What it holds.
    pub fetched: Fetched,
    /// Where the next one is; `None` on the last.
    pub next_page_token: Option<String>,
}

/// Parses a page of `GET /v2/stocks/bars` that was asked for bars of `symbols` in `minutes`.
pub fn bars(
    body: &[u8],
    symbols: &[Symbol],
    minutes: Range<Second>,
    feed: FeedLabel,
) -> Result<Page, FeedError> {
    let page: BarsAnswer<'_> = json::read(PROVIDER, body)?;
    let mut answer = Answer::default();
    for (name, raw) in page.bars.unwrap_or_default() {
        let list: Result<Vec<&RawValue>, String> = json::item(raw);
        let Some(symbol) = asked(&name, symbols) else {
            let bars = list.map_or(0, |list| list.len());
            answer.reject(excerpt(&name), format!("{bars} bars of a symbol that was not asked for"));
            continue;
        };
        let list = match list {
            Ok(list) => list,
            // No bars of it: as good as absent.
            Err(_) if json::is_null(raw) => continue,
            Err(reason) => {
                answer.fail(symbol, unreadable(symbol, &reason));
                continue;
            }
        };
        for (index, raw) in list.into_iter().enumerate() {
            match bar(raw, symbol, feed) {
                Ok(bar) if minutes.contains(&bar.start) => answer.bar(bar),
                Ok(bar) => answer.reject(format!("{symbol} {}", bar.start), "outside the time asked for"),
                Err(reason) => answer.reject_bar(symbol, place(symbol, raw, Some(index)), reason),
            }
        }
    }
    Ok(Page { fetched: answer.finish(), next_page_token: token(page.next_page_token) })
}

/// Parses an answer of `GET /v2/stocks/bars/latest`: the start of the newest bar of `symbol`, if there is
/// one.
pub fn latest(body: &[u8], symbol: Symbol, feed: FeedLabel) -> Result<Option<Second>, FeedError> {
    let latest: LatestAnswer<'_> = json::read(PROVIDER, body)?;
    let raw = latest.bars.unwrap_or_default().remove(symbol.as_str());
    Ok(raw.and_then(|raw| bar(raw, symbol, feed).ok()).map(|bar| bar.start))
}

/// Splits, what was no split, and where the next page is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SplitPage {
    /// Valid splits of symbols that were asked for, with ex-dates that were.
    pub splits: Vec<Split>,
    /// What was not valid.
    pub rejects: Vec<Reject>,
    /// Where the next page is; `None` on the last.
    pub next_page_token: Option<String>,
}

/// Parses a page of `GET /v1/corporate-actions`. Splits outside `days` are left out: the provider filters by
/// another date, so they are to be expected.
pub fn splits(body: &[u8], symbols: &[Symbol], days: &RangeInclusive<Date>) -> Result<SplitPage, FeedError> {
    let page: ActionsAnswer<'_> = json::read(PROVIDER, body)?;
    let actions = page.corporate_actions.unwrap_or_default();
    let mut found = SplitPage { next_page_token: token(page.next_page_token), ..SplitPage::default() };
    let listed = actions.forward_splits.into_iter().chain(actions.reverse_splits);
    for (index, raw) in listed.enumerate() {
        match split(raw, symbols) {
            Ok(split) if days.contains(&split.ex_date) => found.splits.push(split),
            Ok(_) => {}
            Err(reason) => found.rejects.push(Reject { place: format!("splits[{index}]"), reason }),
        }
    }
    Ok(found)
}

/// Parses an answer of `GET /v2/assets`. Of equal symbols the one that is traded has the name.
pub fn assets(body: &[u8]) -> Result<Directory, FeedError> {
    let list: Vec<&RawValue> = json::read(PROVIDER, body)?;
    let mut assets: Vec<Option<WireAsset>> = list.into_iter().map(|raw| json::item(raw).ok()).collect();
    assets.sort_by_key(|asset| asset.as_ref().is_none_or(|asset| !asset.tradable));
    Directory::of(PROVIDER, assets.into_iter().map(|asset| asset.map(|asset| (asset.symbol, asset.name))))
}

/// A message of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// `success`: `connected`, `authenticated`.
    Success(String),
    /// The complete sets of symbols that are subscribed, as the provider spells them.
    Subscribed {
        /// Whose minute bars.
        bars: Vec<String>,
        /// Whose trades.
        trades: Vec<String>,
    },
    /// A refusal.
    Error {
        /// Alpaca's number for it.
        code: u16,
        /// In its words.
        message: String,
    },
    /// A new (`b`) or corrected (`u`) minute bar.
    Bar(Bar),
    /// A trade, or what became of one.
    Tape(Tape),
    /// Something that is no valid bar or trade.
    Reject(Reject),
}

/// Parses a frame of the stream: a JSON array of messages. `is_subscribed` says of which symbols bars may
/// come. Types that were not subscribed are passed over.
pub fn frame(
    body: &[u8],
    is_subscribed: impl Fn(Symbol) -> bool,
    feed: FeedLabel,
) -> Result<Vec<Message>, FeedError> {
    let list: Vec<&RawValue> = json::read(PROVIDER, body)?;
    Ok(list.into_iter().filter_map(|raw| message(raw, &is_subscribed, feed)).collect())
}

fn message(raw: &RawValue, is_subscribed: impl Fn(Symbol) -> bool, feed: FeedLabel) -> Option<Message> {
    let reject = |place: String, reason: String| Some(Message::Reject(Reject { place, reason }));
    let message: WireMessage<'_> = match json::item(raw) {
        Ok(message) => message,
        Err(reason) => return reject("the stream".to_owned(), reason),
    };
    match message.kind.as_str() {
        "success" => Some(Message::Success(message.msg.unwrap_or_default())),
        "error" => Some(Message::Error {
            code: message.code.unwrap_or_default(),
            message: excerpt(&message.msg.unwrap_or_default()),
        }),
        "subscription" => {
            let list = |raw: Option<&RawValue>| raw.map_or(Ok(Vec::new()), json::item);
            match (list(message.bars), list(message.trades)) {
                (Ok(bars), Ok(trades)) => Some(Message::Subscribed { bars, trades }),
                (Err(reason), _) | (_, Err(reason)) => reject("the subscription".to_owned(), reason),
            }
        }
        kind @ ("b" | "u" | "t" | "x" | "c") => {
            let is_bar = matches!(kind, "b" | "u");
            let name = message.symbol.unwrap_or_default();
            let Some(symbol) = name.parse().ok().filter(|&symbol| is_subscribed(symbol)) else {
                let what = if is_bar { "bar" } else { "trade" };
                return reject(excerpt(&name), format!("a {what} of a symbol that was not subscribed"));
            };
            let read = if is_bar {
                bar(raw, symbol, feed).map(|bar| Some(Message::Bar(bar)))
            } else {
                tape::read(kind, raw, symbol).map(|tape| tape.map(Message::Tape))
            };
            read.unwrap_or_else(|reason| reject(place(symbol, raw, None), reason))
        }
        _ => None,
    }
}

fn bar(raw: &RawValue, symbol: Symbol, feed: FeedLabel) -> Result<Bar, String> {
    let wire: WireBar<'_> = json::item(raw)?;
    let at: Timestamp = wire.t.parse().map_err(|_| format!("t `{}`: not a time", excerpt(&wire.t)))?;
    let start =
        Second::at_minute(at).ok_or_else(|| format!("t {}: not the start of a minute", excerpt(&wire.t)))?;
    let bar = Bar {
        symbol,
        start,
        open: json::price("o", wire.o, Price::PLACES)?,
        high: json::price("h", wire.h, Price::PLACES)?,
        low: json::price("l", wire.l, Price::PLACES)?,
        close: json::price("c", wire.c, Price::PLACES)?,
        volume: json::volume("v", wire.v)?,
        vwap: json::optional_price("vw", wire.vw)?,
        trades: json::optional_count("n", wire.n)?,
        feed,
    };
    bar.validate().map_err(|error| error.to_string())
}

fn split(raw: &RawValue, symbols: &[Symbol]) -> Result<Split, String> {
    let wire: WireSplit<'_> = json::item(raw)?;
    let symbol = asked(&wire.symbol, symbols)
        .ok_or_else(|| format!("a split of {}, which was not asked for", excerpt(&wire.symbol)))?;
    let ex_date =
        wire.ex_date.parse().map_err(|_| format!("ex_date `{}`: not a date", excerpt(&wire.ex_date)))?;
    json::split(symbol, ex_date, wire.new_rate, wire.old_rate)
}

/// What there is of one symbol cannot be read; the others' bars can.
fn unreadable(symbol: Symbol, reason: &str) -> FeedError {
    let message = format!("{PROVIDER} answered for {symbol} what is not the JSON expected ({reason})");
    FeedError::new(FeedErrorKind::Unreadable, message)
}

fn asked(name: &str, symbols: &[Symbol]) -> Option<Symbol> {
    let symbol = name.parse().ok()?;
    symbols.contains(&symbol).then_some(symbol)
}

/// Names a bar by symbol and time, or by its place in the list.
fn place(symbol: Symbol, raw: &RawValue, index: Option<usize>) -> String {
    match (json::item::<WireStart>(raw), index) {
        (Ok(start), _) => format!("{symbol} {}", excerpt(&start.t)),
        (Err(_), Some(index)) => format!("{symbol}[{index}]"),
        (Err(_), None) => symbol.to_string(),
    }
}

/// The token of the next page. Some clients are known to send the text `null` back; no page has that name.
fn token(token: Option<String>) -> Option<String> {
    token.filter(|token| !token.is_empty() && token != "null")
}
