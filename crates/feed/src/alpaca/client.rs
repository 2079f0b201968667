//! Asks Alpaca's REST interface.

use super::parse::{self, Page};
use crate::answer::Answer;
use crate::http::{self, Caller};
use crate::parts::{AskTogether, Parts};
use crate::{FeedError, FeedErrorKind, Fetched};
use async_trait::async_trait;
use jiff::civil::Date;
use jiff::{Span, Timestamp};
use qqq_core::{FeedLabel, Second, Split, Symbol};
use reqwest::header::HeaderMap;
use reqwest::{StatusCode, Url};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::{Range, RangeInclusive};

/// Symbols in one request: keeps addresses below 1 KiB.
const BATCH: usize = 100;
/// Bars in a page: the most there is.
const LIMIT: &str = "10000";
/// Pages of one batch. A hundred symbols for a week in extended hours fill seventy.
const MAX_PAGES: usize = 500;
/// Splits are found by the date they are processed; their ex-date lies at most this far away.
const PROCESSING_DAYS: i64 = 10;

pub(super) struct Client {
    pub(super) caller: Caller,
    pub(super) base: Url,
    pub(super) headers: HeaderMap,
    pub(super) feed: FeedLabel,
    pub(super) parts: Parts,
}

impl Client {
    /// The bars of `symbols` in `minutes`, which holds at least one.
    pub(super) async fn bars(
        &self,
        symbols: &[Symbol],
        minutes: Range<Second>,
    ) -> Result<Fetched, FeedError> {
        self.parts.bars(self, symbols, &minutes).await
    }

    async fn all_pages(
        &self,
        symbols: &[Symbol],
        minutes: &Range<Second>,
        answer: &mut Answer,
    ) -> Result<(), FeedError> {
        let mut url = http::endpoint(&self.base, &["v2", "stocks", "bars"]);
        url.query_pairs_mut()
            .append_pair("symbols", &joined(symbols))
            .append_pair("timeframe", "1Min")
            .append_pair("start", &minutes.start.to_string())
            // Both ends are inclusive.
            .append_pair("end", &minutes.end.plus_minutes(-1).to_string())
            .append_pair("limit", LIMIT)
            .append_pair("adjustment", "raw")
            .append_pair("feed", historical(self.feed.as_str()));
        let mut pages = Pages::default();
        loop {
            let parse = |body: &[u8]| parse::bars(body, symbols, minutes.clone(), self.feed);
            let Page { fetched, next_page_token } = self.get(&pages.of(&url), parse).await?;
            answer.extend(fetched);
            if !pages.turn(next_page_token)? {
                return Ok(());
            }
        }
    }

    pub(super) async fn splits(
        &self,
        symbols: &[Symbol],
        days: &RangeInclusive<Date>,
    ) -> Result<Vec<Split>, FeedError> {
        let unique: Vec<Symbol> = symbols.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let margin = Span::new().days(PROCESSING_DAYS);
        let mut found = BTreeMap::new();
        for batch in unique.chunks(BATCH) {
            let mut url = http::endpoint(&self.base, &["v1", "corporate-actions"]);
            url.query_pairs_mut()
                .append_pair("symbols", &joined(batch))
                .append_pair("types", "forward_split,reverse_split")
                .append_pair("start", &days.start().saturating_sub(margin).to_string())
                .append_pair("end", &days.end().saturating_add(margin).to_string())
                .append_pair("limit", "1000");
            let mut pages = Pages::default();
            loop {
                let page = self.get(&pages.of(&url), |body| parse::splits(body, batch, days)).await?;
                for reject in page.rejects {
                    tracing::warn!(
                        place = %reject.place,
                        "a split from alpaca is not usable: {}", reject.reason
                    );
                }
                // One split a day and symbol: the same one is listed again when it is corrected.
                found.extend(page.splits.into_iter().map(|split| ((split.symbol, split.ex_date), split)));
                if !pages.turn(page.next_page_token)? {
                    break;
                }
            }
        }
        Ok(found.into_values().collect())
    }

    /// The start of the newest bar of a symbol.
    pub(super) async fn latest(&self, symbol: Symbol) -> Result<Option<Second>, FeedError> {
        let mut url = http::endpoint(&self.base, &["v2", "stocks", "bars", "latest"]);
        url.query_pairs_mut().append_pair("symbols", symbol.as_str()).append_pair("feed", self.feed.as_str());
        self.get(&url, |body| parse::latest(body, symbol, self.feed)).await
    }

    async fn get<T: Send>(
        &self,
        url: &Url,
        parse: impl Fn(&[u8]) -> Result<T, FeedError> + Send + Sync,
    ) -> Result<T, FeedError> {
        self.caller.get(std::slice::from_ref(url), &self.headers, parse).await
    }
}

#[async_trait]
impl AskTogether for Client {
    const MAX_SYMBOLS: usize = BATCH;
    const CAN_END_EARLY: bool = true;

    async fn ask(
        &self,
        symbols: &[Symbol],
        minutes: Range<Second>,
        answer: &mut Answer,
    ) -> Result<(), FeedError> {
        self.all_pages(symbols, &minutes, answer).await
    }
}

/// What Alpaca's refusals mean beyond their status.
pub(super) fn classify(status: StatusCode, body: &str) -> Option<(FeedErrorKind, Option<&'static str>)> {
    let recent_sip =
        body.contains("recent SIP") || body.contains("42210000") && body.contains("subscription");
    match status.as_u16() {
        403 | 422 if recent_sip => Some((
            FeedErrorKind::NotEntitled,
            Some("the newest 15 minutes of SIP need a paid plan: use feed `iex`"),
        )),
        404 => Some((FeedErrorKind::BadRequest, Some("check the base address"))),
        _ => None,
    }
}

/// The feed that holds the history of a feed.
fn historical(feed: &str) -> &str {
    match feed {
        "delayed_sip" => "sip",
        "overnight" => "boats",
        other => other,
    }
}

/// How far behind the market a feed is on purpose, to the minute whose bar it certainly has.
pub(super) fn delay_minutes(feed: FeedLabel) -> i32 {
    if feed.as_str() == "delayed_sip" { 16 } else { 0 }
}

/// The minutes of a range that a feed can have at `now`.
pub(super) fn available(minutes: Range<Second>, feed: FeedLabel, now: Timestamp) -> Range<Second> {
    match delay_minutes(feed) {
        0 => minutes,
        delay => minutes.start..minutes.end.min(Second::minute_of(now).plus_minutes(-delay)),
    }
}

fn joined(symbols: &[Symbol]) -> String {
    symbols.iter().map(Symbol::as_str).collect::<Vec<_>>().join(",")
}

/// Turns the pages of one answer, and ends where they run in a circle.
#[derive(Default)]
struct Pages {
    token: Option<String>,
    seen: HashSet<String>,
}

impl Pages {
    /// The address of the present page.
    fn of(&self, first: &Url) -> Url {
        let mut url = first.clone();
        if let Some(token) = &self.token {
            url.query_pairs_mut().append_pair("page_token", token);
        }
        url
    }

    /// Whether there is a next page, which then is the present one.
    fn turn(&mut self, next: Option<String>) -> Result<bool, FeedError> {
        if let Some(token) = &next {
            if self.seen.len() + 1 >= MAX_PAGES {
                let message = format!("alpaca answered more than {MAX_PAGES} pages: not read on");
                return Err(FeedError::new(FeedErrorKind::BadRequest, message));
            }
            if !self.seen.insert(token.clone()) {
                let message = "alpaca answered the same page token twice: its pages run in a circle";
                return Err(FeedError::new(FeedErrorKind::BadRequest, message));
            }
        }
        self.token = next;
        Ok(self.token.is_some())
    }
}
