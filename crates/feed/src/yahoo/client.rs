//! Asks Yahoo's chart endpoint, modestly.

use super::parse;
use crate::http::{self, Caller};
use crate::{FeedError, FeedErrorKind, Fetched, answer::Answer};
use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::{SignedDuration, Span};
use qqq_core::market::calendar::new_york;
use qqq_core::{FeedLabel, Second, Split, Symbol};
use reqwest::header::HeaderMap;
use reqwest::{StatusCode, Url};
use std::ops::{Range, RangeInclusive};

/// Minutes asked for at once: seven days is the most Yahoo gives.
const MAX_MINUTES: i32 = 7 * Second::MINUTES_PER_DAY;
/// A range that is refused as too wide is halved, down to this.
const MIN_MINUTES: i32 = Second::MINUTES_PER_DAY;
/// Yahoo keeps minutes for 30 days; the margin is for clocks that differ.
const DEPTH: SignedDuration = SignedDuration::from_mins(30 * 24 * 60 - 10);

/// The two official hosts, which answer alike.
const HOSTS: [&str; 2] = ["query1.finance.yahoo.com", "query2.finance.yahoo.com"];

pub(super) struct Client {
    pub(super) caller: Caller,
    pub(super) base: Url,
    pub(super) feed: FeedLabel,
}

impl Client {
    /// The bars of one symbol, by as many requests as the range needs.
    pub(super) async fn bars(&self, symbol: Symbol, minutes: Range<Second>) -> Result<Fetched, FeedError> {
        let mut answer = Answer::default();
        // Ranges still to ask, the earliest last.
        let mut to_ask: Vec<Range<Second>> = pieces(minutes, MAX_MINUTES);
        to_ask.reverse();
        while let Some(piece) = to_ask.pop() {
            match self.piece(symbol, piece.clone()).await {
                Ok(fetched) => answer.extend(fetched),
                Err(error) if is_too_wide(&error) && width(&piece) > MIN_MINUTES => {
                    let mut halves = pieces(piece.clone(), width(&piece) / 2 + 1);
                    halves.reverse();
                    to_ask.append(&mut halves);
                }
                Err(error) => {
                    // What was answered before is not lost.
                    answer.fail(symbol, error);
                    break;
                }
            }
        }
        let fetched = answer.finish();
        match fetched.failed.first() {
            Some((_, error)) if fetched.bars.is_empty() && fetched.rejects.is_empty() => Err(error.clone()),
            _ => Ok(fetched),
        }
    }

    async fn piece(&self, symbol: Symbol, minutes: Range<Second>) -> Result<Fetched, FeedError> {
        let urls = self.chart(symbol, |url| {
            url.query_pairs_mut()
                .append_pair("interval", "1m")
                .append_pair("period1", &minutes.start.start().as_second().to_string())
                .append_pair("period2", &minutes.end.start().as_second().to_string())
                .append_pair("includePrePost", "true")
                .append_pair("events", "split");
        });
        self.get(&urls, |body| parse::bars(body, symbol, minutes.clone(), self.feed)).await
    }

    pub(super) async fn splits(
        &self,
        symbol: Symbol,
        days: &RangeInclusive<Date>,
    ) -> Result<Vec<Split>, FeedError> {
        let midnight = |day: Date| {
            let at = new_york().to_timestamp(day.to_datetime(Time::midnight()));
            at.unwrap_or(Timestamp::UNIX_EPOCH).as_second().to_string()
        };
        let urls = self.chart(symbol, |url| {
            url.query_pairs_mut()
                .append_pair("interval", "1d")
                .append_pair("period1", &midnight(*days.start()))
                .append_pair("period2", &midnight(days.end().saturating_add(Span::new().days(1))))
                .append_pair("events", "split");
        });
        let (splits, rejects) = self.get(&urls, |body| parse::splits(body, symbol, days)).await?;
        for reject in rejects {
            tracing::warn!(place = %reject.place, "a split from yahoo is not usable: {}", reject.reason);
        }
        Ok(splits)
    }

    pub(super) async fn last_trade(&self, symbol: Symbol) -> Result<Option<Timestamp>, FeedError> {
        let urls = self.chart(symbol, |url| {
            url.query_pairs_mut().append_pair("interval", "1d").append_pair("range", "1d");
        });
        self.get(&urls, |body| parse::last_trade(body, symbol)).await
    }

    /// The addresses of a symbol's chart.
    fn chart(&self, symbol: Symbol, with_query: impl Fn(&mut Url)) -> Vec<Url> {
        let mut url = http::endpoint(&self.base, &["v8", "finance", "chart", &parse::spelling(symbol)]);
        with_query(&mut url);
        at_every_host(url)
    }

    async fn get<T: Send>(
        &self,
        urls: &[Url],
        parse: impl Fn(&[u8]) -> Result<T, FeedError> + Send + Sync,
    ) -> Result<T, FeedError> {
        self.caller.get(urls, &HeaderMap::new(), parse).await
    }
}

/// An address, and the same at the other official host where it is at one.
fn at_every_host(url: Url) -> Vec<Url> {
    let own = HOSTS.iter().position(|&host| url.host_str() == Some(host));
    let other = own.and_then(|own| {
        let mut other = url.clone();
        other.set_host(Some(HOSTS[1 - own])).ok().map(|()| other)
    });
    std::iter::once(url).chain(other).collect()
}

/// The part of a range that Yahoo still has.
pub(super) fn available(minutes: Range<Second>, now: Timestamp) -> Range<Second> {
    let oldest = now.checked_sub(DEPTH).map_or(Second::MIN, Second::minute_of);
    minutes.start.max(oldest)..minutes.end
}

/// What Yahoo's refusals mean beyond their status.
pub(super) fn classify(status: StatusCode, body: &str) -> Option<(FeedErrorKind, Option<&'static str>)> {
    match status.as_u16() {
        400 | 404 | 422 => parse::refusal(body).map(|kind| (kind, None)),
        // It may be about the client rather than the rate; there is no key that could be wrong.
        401 | 403 => Some((FeedErrorKind::RateLimited { retry_after: None }, None)),
        _ => None,
    }
}

fn is_too_wide(error: &FeedError) -> bool {
    matches!(error.kind, FeedErrorKind::BadRequest | FeedErrorKind::TooLarge)
}

fn width(minutes: &Range<Second>) -> i32 {
    minutes.end.minutes_since(minutes.start)
}

/// Cuts a range into pieces of at most `most` minutes, in order.
fn pieces(minutes: Range<Second>, most: i32) -> Vec<Range<Second>> {
    let mut pieces = Vec::new();
    let mut start = minutes.start;
    while start < minutes.end {
        let end = start.plus_minutes(most.max(1)).min(minutes.end);
        pieces.push(start..end);
        start = end;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_official_hosts_stand_in_for_each_other() {
        let hosts = |url: &str| -> Vec<String> {
            at_every_host(url.parse().expect("a URL")).iter().map(Url::to_string).collect()
        };
        let [one, two] = ["https://query1.finance.yahoo.com/a?b=c", "https://query2.finance.yahoo.com/a?b=c"];
        assert_eq!(hosts(one), [one, two]);
        assert_eq!(hosts(two), [two, one]);
        assert_eq!(hosts("http://127.0.0.1:80/a?b=c").len(), 1);
    }

    proptest! {
        #[test]
        fn pieces_cover_a_range_without_gap_or_overlap(
            start in 0..1_000_000_i32,
            width in 0..50_000_i32,
            most in 1..20_000_i32,
        ) {
            let range = Second::from_minute(start)..Second::from_minute(start + width);
            let pieces = pieces(range.clone(), most);
            let mut at = range.start;
            for piece in &pieces {
                prop_assert_eq!(piece.start, at);
                prop_assert!(super::width(piece) > 0 && super::width(piece) <= most);
                at = piece.end;
            }
            prop_assert_eq!(at, range.end);
        }
    }
}
