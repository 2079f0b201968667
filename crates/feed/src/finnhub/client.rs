//! Asks Finnhub's REST interface: only whether the key works (and by `names`, what
//! symbols are called). Bars are not to be had on the free plan.

use super::parse;
use crate::http::{self, Caller};
use crate::{FeedError, FeedErrorKind};
use jiff::Timestamp;
use qqq_core::Symbol;
use reqwest::header::HeaderMap;
use reqwest::{StatusCode, Url};

pub(super) struct Client {
    pub(super) caller: Caller,
    pub(super) base: Url,
    pub(super) headers: HeaderMap,
}

impl Client {
    /// When a symbol was last traded.
    pub(super) async fn last_trade(&self, symbol: Symbol) -> Result<Option<Timestamp>, FeedError> {
        let mut url = http::endpoint(&self.base, &["quote"]);
        url.query_pairs_mut().append_pair("symbol", symbol.as_str());
        self.caller.get(std::slice::from_ref(&url), &self.headers, parse::last_trade).await
    }
}

/// What Finnhub's refusals mean beyond their status.
pub(super) fn classify(status: StatusCode, _body: &str) -> Option<(FeedErrorKind, Option<&'static str>)> {
    match status.as_u16() {
        403 => Some((FeedErrorKind::NotEntitled, None)),
        404 => Some((FeedErrorKind::BadRequest, Some("check the base address"))),
        _ => None,
    }
}
