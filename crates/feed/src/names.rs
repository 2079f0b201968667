//! What symbols are called, as providers list them: for people who search and read.

use crate::excerpt::is_unsafe_to_show;
use crate::http::{Caller, ClientPolicy, Timeouts};
use crate::{FeedError, FeedErrorKind};
use async_trait::async_trait;
use qqq_core::{Clock, Symbol};
use reqwest::Url;
use reqwest::header::HeaderMap;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Characters of a name. Registers tell more of some: what a receipt stands for, the terms of a note.
pub const MAX_NAME: usize = 100;
/// Symbols of a list. The US exchanges have some twelve thousand, with the over-the-counter market some
/// thirty.
const MAX_SYMBOLS: usize = 100_000;
/// Largest list that is read: of twelve thousand symbols Alpaca's has about 6 MiB.
const MAX_LIST: usize = 32 << 20;
/// Longest time a list may take: nobody waits for it.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A source of the names of all symbols.
#[async_trait]
pub trait NameSource: Send + Sync {
    /// Who is asked.
    fn provider(&self) -> &'static str;

    /// Asks for all names. Large, and hardly ever another one: once a day is enough.
    async fn names(&self) -> Result<Directory, FeedError>;
}

/// What a source calls symbols.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directory {
    /// The names: on one line, 1 to [`MAX_NAME`] characters.
    pub names: BTreeMap<Symbol, String>,
    /// Entries that were none: without a symbol, or without a name that can be shown.
    pub refused: usize,
}

impl Directory {
    /// Takes in the texts of some entries; `None` is one that could not be read. Of equal symbols the first
    /// one stays.
    pub(crate) fn of(
        provider: &str,
        entries: impl IntoIterator<Item = Option<(String, String)>>,
    ) -> Result<Self, FeedError> {
        let mut found = Self::default();
        for entry in entries {
            match entry.and_then(|(symbol, name)| Some((symbol.parse().ok()?, shown(&name)?))) {
                Some((symbol, name)) => {
                    found.names.entry(symbol).or_insert(name);
                }
                None => found.refused += 1,
            }
            if found.names.len() > MAX_SYMBOLS {
                let message = format!("{provider} lists more than {MAX_SYMBOLS} symbols: none is taken");
                return Err(FeedError::new(FeedErrorKind::TooLarge, message));
            }
        }
        Ok(found)
    }
}

/// A name as it can be shown: trimmed, with single spaces, and cut where it is too long. `None` where nothing
/// is left, or where it holds control or direction characters.
fn shown(text: &str) -> Option<String> {
    if text.trim().chars().any(is_unsafe_to_show) {
        return None;
    }
    let name = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if name.chars().count() <= MAX_NAME {
        return Some(name).filter(|name| !name.is_empty());
    }
    let start: String = name.chars().take(MAX_NAME - 1).collect();
    Some(format!("{}…", start.trim_end()))
}

/// A list of symbols behind an address.
pub(crate) struct SymbolList {
    policy: ClientPolicy,
    base: Url,
    /// Where a key may be at home: where one refuses it, the next is asked.
    urls: Vec<Url>,
    headers: HeaderMap,
    parse: fn(&[u8]) -> Result<Directory, FeedError>,
    clock: Arc<dyn Clock>,
}

impl SymbolList {
    /// Asked as `policy` says, but with more patience, and apart from all that is asked otherwise: what
    /// becomes of it holds nothing else up.
    pub(crate) fn new(
        policy: ClientPolicy,
        base: Url,
        urls: Vec<Url>,
        headers: HeaderMap,
        parse: fn(&[u8]) -> Result<Directory, FeedError>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let timeouts = Timeouts { total: policy.timeouts.total.max(TIMEOUT), ..policy.timeouts };
        let policy = ClientPolicy { timeouts, max_body: MAX_LIST, ..policy };
        Self { policy, base, urls, headers, parse, clock }
    }
}

#[async_trait]
impl NameSource for SymbolList {
    fn provider(&self) -> &'static str {
        self.policy.provider
    }

    async fn names(&self) -> Result<Directory, FeedError> {
        let caller = Caller::new(self.policy.clone(), &self.base, Arc::clone(&self.clock))?;
        let mut answer = Err(FeedError::new(FeedErrorKind::BadRequest, "no address to ask"));
        for url in &self.urls {
            answer = caller.get(std::slice::from_ref(url), &self.headers, self.parse).await;
            if !answer.as_ref().is_err_and(|error| error.kind == FeedErrorKind::Auth) {
                break;
            }
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::redaction;
    use proptest::prelude::*;
    use qqq_testkit::SetClock;
    use qqq_testkit::http::{Reply, Server};

    fn directory(entries: &[(&str, &str)]) -> Directory {
        let entries = entries.iter().map(|&(symbol, name)| Some((symbol.to_owned(), name.to_owned())));
        Directory::of("test", entries).expect("a short list")
    }

    #[test]
    fn of_entries_the_names_are_taken_and_what_is_none_is_counted() {
        let long = "a ".repeat(80);
        let found = directory(&[
            ("AAPL", "  Apple\u{a0} Inc. "),
            ("BRK/B", "Berkshire"),
            ("BRK.B", "Another"),
            ("LONG", &long),
            ("NONE", " "),
            ("TAB", "a\tb"),
            ("BACK", "a\u{202e}b"),
            ("MUCH-TOO-LONG-A-SYMBOL", "A name"),
        ]);
        let long = format!("{}…", "a ".repeat(50).trim_end());
        let expected = [("AAPL", "Apple Inc."), ("BRK.B", "Berkshire"), ("LONG", &long)]
            .map(|(symbol, name)| (symbol.parse().expect("a symbol"), name.to_owned()));
        assert_eq!(found, Directory { names: expected.into(), refused: 4 });
    }

    #[test]
    fn a_list_without_end_is_none() {
        let entries = (0..=MAX_SYMBOLS).map(|number| Some((format!("S{number}"), "A name".to_owned())));
        let error = Directory::of("test", entries.clone()).expect_err("too many");
        assert_eq!(error.kind, FeedErrorKind::TooLarge);
        assert!(Directory::of("test", entries.take(MAX_SYMBOLS)).is_ok());
    }

    fn list(urls: &[&Url]) -> SymbolList {
        let policy = ClientPolicy {
            provider: "test",
            timeouts: Timeouts::default(),
            requests_per_minute: 6000,
            burst: 100,
            retry_rate_limited: true,
            max_body: 1,
            pause: TIMEOUT,
            max_pause: TIMEOUT,
            redaction: redaction([]),
            classify: |_, _| None,
        };
        let parse = |body: &[u8]| {
            let name = String::from_utf8_lossy(body).into_owned();
            Directory::of("test", [Some(("AAPL".to_owned(), name))])
        };
        let clock = Arc::new(SetClock::new(jiff::Timestamp::UNIX_EPOCH));
        let all = urls.iter().map(|&url| url.clone()).collect();
        SymbolList::new(policy, urls[0].clone(), all, HeaderMap::new(), parse, clock)
    }

    #[tokio::test]
    async fn where_a_key_is_refused_it_may_belong_elsewhere() {
        for status in [401, 403] {
            let refusing = Server::always(Reply::status(status, "no")).await;
            let taking = Server::always(Reply::ok("Apple")).await;
            let found = list(&[&refusing.url, &taking.url]).names().await.expect("a list");
            assert_eq!(found, directory(&[("AAPL", "Apple")]), "{status}");
            let error = list(&[&refusing.url, &refusing.url]).names().await.expect_err("refused");
            assert_eq!(error.kind, FeedErrorKind::Auth);
            list(&[&taking.url, &refusing.url]).names().await.expect("a list");
            assert_eq!((refusing.requests().len(), taking.requests().len()), (3, 2));
        }
    }

    #[tokio::test]
    async fn no_key_is_carried_on_for_any_other_failure() {
        let failing = Server::always(Reply::status(400, "no")).await;
        let taking = Server::always(Reply::ok("Apple")).await;
        let error = list(&[&failing.url, &taking.url]).names().await.expect_err("refused");
        assert_eq!(error.kind, FeedErrorKind::BadRequest);
        assert!(taking.requests().is_empty());
    }

    proptest! {
        #[test]
        fn a_name_can_be_shown(text in any::<String>()) {
            if let Some(name) = shown(&text) {
                prop_assert!((1..=MAX_NAME).contains(&name.chars().count()));
                prop_assert!(!name.chars().any(is_unsafe_to_show));
                prop_assert_eq!(name.trim(), &name);
            }
        }
    }
}
