//! Asks a server of the IEX form.

use super::parse;
use crate::answer::Answer;
use crate::http::{self, Caller};
use crate::{FeedError, FeedErrorKind, Fetched};
use qqq_core::{Clock, FeedLabel, Minute, Symbol};
use reqwest::header::HeaderMap;
use reqwest::{StatusCode, Url};
use std::collections::BTreeSet;
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
}

impl Client {
    pub(super) async fn bars(
        &self,
        symbols: &[Symbol],
        minutes: Range<Minute>,
    ) -> Result<Fetched, FeedError> {
        let unique: Vec<Symbol> = symbols.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        // From the start of the range to now, the running minute included.
        let last =
            Minute::containing(self.clock.now()).since(minutes.start).saturating_add(1).clamp(1, MAX_LAST);
        let mut answer = Answer::default();
        let mut answered = false;
        let mut first_error = None;
        for batch in unique.chunks(BATCH) {
            match self.batch(batch, minutes.clone(), last).await {
                Ok(fetched) => {
                    answered = true;
                    answer.extend(fetched);
                }
                Err(error) if error.is_final() => return Err(error),
                Err(error) => {
                    batch.iter().for_each(|&symbol| answer.fail(symbol, error.clone()));
                    // That nothing was found is an answer.
                    answered |= error.kind == FeedErrorKind::NotFound;
                    first_error.get_or_insert(error);
                }
            }
        }
        match first_error {
            Some(error) if !answered => Err(error),
            _ => Ok(answer.finish()),
        }
    }

    /// The newest bar of a symbol.
    pub(super) async fn newest(&self, symbol: Symbol) -> Result<Fetched, FeedError> {
        self.batch(&[symbol], Minute::MIN..Minute::MAX, 1).await
    }

    async fn batch(
        &self,
        symbols: &[Symbol],
        minutes: Range<Minute>,
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
