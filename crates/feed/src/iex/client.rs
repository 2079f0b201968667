//! Asks a server of the IEX form.

use super::parse;
use crate::answer::Answer;
use crate::http::{self, Caller};
use crate::parts::{AskTogether, Parts};
use crate::{FeedError, FeedErrorKind, Fetched};
use async_trait::async_trait;
use qqq_core::{Clock, FeedLabel, Second, Symbol};
use reqwest::header::HeaderMap;
use reqwest::{StatusCode, Url};
use std::ops::Range;
use std::sync::Arc;

/// Symbols in one request: what is beyond was silently dropped.
const BATCH: usize = 100;
/// The minutes of a day in extended hours: there is never more than one day to have.
const MAX_LAST: i32 = 16 * 60;

pub(super) struct Client {
    pub(super) caller: Caller,
    pub(super) base: Url,
    pub(super) token: String,
    pub(super) feed: FeedLabel,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) parts: Parts,
}

impl Client {
    pub(super) async fn bars(
        &self,
        symbols: &[Symbol],
        minutes: Range<Second>,
    ) -> Result<Fetched, FeedError> {
        self.parts.bars(self, symbols, &minutes).await
    }

    /// The newest bar of a symbol.
    pub(super) async fn newest(&self, symbol: Symbol) -> Result<Fetched, FeedError> {
        self.batch(&[symbol], Second::MIN..Second::MAX, 1).await
    }

    async fn batch(
        &self,
        symbols: &[Symbol],
        minutes: Range<Second>,
        last: i32,
    ) -> Result<Fetched, FeedError> {
        let mut url = http::endpoint(&self.base, &["stock", "market", "batch"]);
        let names = symbols.iter().map(Symbol::as_str).collect::<Vec<_>>().join(",");
        url.query_pairs_mut()
            .append_pair("symbols", &names)
            .append_pair("types", "intraday-prices")
            .append_pair("chartLast", &last.to_string());
        if !self.token.is_empty() {
            url.query_pairs_mut().append_pair("token", &self.token);
        }
        let parse = |body: &[u8]| parse::batch(body, symbols, minutes.clone(), self.feed);
        self.caller.get(&[url], &HeaderMap::new(), parse).await
    }
}

#[async_trait]
impl AskTogether for Client {
    const MAX_SYMBOLS: usize = BATCH;
    /// The form tells the newest records, so many.
    const CAN_END_EARLY: bool = false;

    async fn ask(
        &self,
        symbols: &[Symbol],
        minutes: Range<Second>,
        answer: &mut Answer,
    ) -> Result<(), FeedError> {
        // From the start of the range to now, the running minute included.
        let last = Second::minute_of(self.clock.now()).minutes_since(minutes.start).saturating_add(1);
        answer.extend(self.batch(symbols, minutes, last.clamp(1, MAX_LAST)).await?);
        Ok(())
    }
}

/// What refusals of this form mean beyond their status.
pub(super) fn classify(status: StatusCode, body: &str) -> Option<(FeedErrorKind, Option<&'static str>)> {
    match status.as_u16() {
        402 => {
            Some((FeedErrorKind::NotEntitled, Some("the plan's quota is used up, or does not include this")))
        }
        404 if !body.contains("Unknown symbol") => Some((
            FeedErrorKind::BadRequest,
            Some("check the base address: it includes the version, as in /stable"),
        )),
        _ => None,
    }
}
