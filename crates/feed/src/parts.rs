//! Many symbols asked for together, and in parts where the whole is not to be had.
//!
//! One symbol that a provider refuses, or whose part of an answer cannot be read, must not stop the others:
//! it is found by its name, where the refusal tells it, or by halves. An answer that is too large is asked
//! for in halves, too: of the symbols, then of the time. What was learned is remembered, so that not every
//! poll learns it anew.

use crate::answer::Answer;
use crate::{FeedError, FeedErrorKind, Fetched};
use async_trait::async_trait;
use qqq_core::{Second, Symbol};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How often one call is asked for in two parts because a part was refused. Of a hundred symbols, one takes
/// seven.
const MAX_SPLITS: u32 = 32;
/// How long it is remembered what is too large, and that a search was in vain.
const MEMORY: Duration = Duration::from_secs(3600);

/// Asks a provider for bars of several symbols by one question.
#[async_trait]
pub(crate) trait AskTogether: Sync {
    /// The most symbols of one question.
    const MAX_SYMBOLS: usize;
    /// Whether a question can end before now. Where not, the older half of what is too large is not to be
    /// had.
    const CAN_END_EARLY: bool;

    /// Asks, and gathers what was answered, also before a failure.
    async fn ask(
        &self,
        symbols: &[Symbol],
        minutes: Range<Second>,
        answer: &mut Answer,
    ) -> Result<(), FeedError>;
}

/// What is asked by one question.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    symbols: Vec<Symbol>,
    minutes: Range<Second>,
}

impl Part {
    /// Of how many minutes of how many symbols the answer can tell.
    fn size(&self) -> i64 {
        self.symbols.len() as i64 * i64::from(self.minutes.end.minutes_since(self.minutes.start))
    }

    /// The symbols in two halves. `None` of a single one.
    fn halves(&self) -> Option<[Self; 2]> {
        let (one, other) = self.symbols.split_at(self.symbols.len().div_ceil(2));
        (!other.is_empty()).then(|| [self.of(one.to_vec()), self.of(other.to_vec())])
    }

    /// The time in two halves, the older first. `None` of a single minute.
    fn halves_of_time(&self) -> Option<[Self; 2]> {
        let Range { start, end } = self.minutes;
        let middle = start.plus_minutes(end.minutes_since(start) / 2);
        let half = |minutes| Self { symbols: self.symbols.clone(), minutes };
        (start < middle).then(|| [half(start..middle), half(middle..end)])
    }

    /// The symbols that are not among `named`, and those that are. `None` where that are all or none.
    fn without(&self, named: &[Symbol]) -> Option<[Self; 2]> {
        let (named, others): (Vec<_>, Vec<_>) =
            self.symbols.iter().partition(|symbol| named.contains(symbol));
        (!named.is_empty() && !others.is_empty()).then(|| [self.of(others), self.of(named)])
    }

    fn of(&self, symbols: Vec<Symbol>) -> Self {
        Self { symbols, minutes: self.minutes.clone() }
    }
}

/// How one provider is asked for many symbols, and what was learned of that.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    learned: Mutex<Learned>,
}

#[derive(Debug, Default)]
struct Learned {
    /// The size of the smallest question whose answer was too large.
    too_large: Option<(i64, Instant)>,
    /// When a search found that not a single symbol is answered for.
    in_vain: Option<Instant>,
}

impl Parts {
    /// The bars of `symbols` in `minutes`, by as few questions as that takes. An error where nothing was
    /// answered, or where the provider refuses the credentials.
    pub(crate) async fn bars<P: AskTogether>(
        &self,
        provider: &P,
        symbols: &[Symbol],
        minutes: &Range<Second>,
    ) -> Result<Fetched, FeedError> {
        let symbols: Vec<Symbol> = symbols.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let whole = symbols.chunks(P::MAX_SYMBOLS);
        let whole = whole.map(|symbols| Part { symbols: symbols.to_vec(), minutes: minutes.clone() });
        // The next one last.
        let mut to_ask: Vec<Part> = whole.rev().collect();
        let mut answer = Answer::default();
        let mut first_error = None;
        let (may_search, mut splits) = (self.may_search(), 0);
        while let Some(part) = to_ask.pop() {
            if self.is_too_large(&part) {
                match smaller::<P>(&part, &mut answer) {
                    Some(halves) => to_ask.extend(halves.into_iter().rev()),
                    None => {
                        let message = "the answer for a single minute is too large";
                        let error = FeedError::new(FeedErrorKind::TooLarge, message);
                        part.symbols.iter().for_each(|&symbol| answer.fail(symbol, error.clone()));
                        first_error.get_or_insert(error);
                    }
                }
                continue;
            }
            let Err(error) = provider.ask(&part.symbols, part.minutes.clone(), &mut answer).await else {
                continue;
            };
            if error.kind == FeedErrorKind::TooLarge {
                self.learn_too_large(&part);
                if let Some(halves) = smaller::<P>(&part, &mut answer) {
                    to_ask.extend(halves.into_iter().rev());
                    continue;
                }
            }
            let named: Vec<Symbol> = named(&error.message, &part.symbols);
            let parts = part.without(&named).or_else(|| part.halves().filter(|_| error.may_concern_one()));
            match parts.filter(|_| may_search && splits < MAX_SPLITS) {
                Some(parts) if error.may_concern_one() || error.is_final() => {
                    splits += 1;
                    to_ask.extend(parts.into_iter().rev());
                }
                // Where others are answered for, a refusal that names these alone is theirs.
                _ if error.is_final() && !(answer.is_answered() && named.len() == part.symbols.len()) => {
                    return Err(error);
                }
                _ => {
                    part.symbols.iter().for_each(|&symbol| answer.fail(symbol, error.clone()));
                    first_error.get_or_insert(error);
                }
            }
        }
        let found = answer.is_answered();
        if found || splits > 0 {
            self.learn_of_search(found);
        }
        match first_error {
            // That nothing was found is an answer.
            Some(error) if !found && error.kind != FeedErrorKind::NotFound => Err(error),
            _ => Ok(answer.finish()),
        }
    }

    fn may_search(&self) -> bool {
        self.learned().in_vain.is_none_or(|since| since.elapsed() >= MEMORY)
    }

    fn is_too_large(&self, part: &Part) -> bool {
        let known = self.learned().too_large.filter(|(_, since)| since.elapsed() < MEMORY);
        known.is_some_and(|(size, _)| part.size() >= size)
    }

    fn learn_too_large(&self, part: &Part) {
        let mut learned = self.learned();
        let known = learned.too_large.filter(|(_, since)| since.elapsed() < MEMORY);
        let size = known.map_or(part.size(), |(size, _)| size.min(part.size()));
        learned.too_large = Some((size, Instant::now()));
    }

    fn learn_of_search(&self, found: bool) {
        self.learned().in_vain = (!found).then(Instant::now);
    }

    fn learned(&self) -> std::sync::MutexGuard<'_, Learned> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What to ask instead of what is too large. `None` where there is nothing smaller.
fn smaller<P: AskTogether>(part: &Part, answer: &mut Answer) -> Option<Vec<Part>> {
    if let Some(halves) = part.halves() {
        return Some(halves.into());
    }
    let [older, newer] = part.halves_of_time()?;
    if P::CAN_END_EARLY {
        return Some(vec![older, newer]);
    }
    for symbol in &older.symbols {
        let place = format!("{symbol} {} to {}", older.minutes.start, older.minutes.end);
        answer.reject(place, "the answer is too large to be had");
    }
    Some(vec![newer])
}

/// The symbols that a message names: as whole words in capitals.
fn named(message: &str, symbols: &[Symbol]) -> Vec<Symbol> {
    let in_symbol = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '/');
    let words = message.split(|c| !in_symbol(c)).map(|word| word.trim_matches(['.', '-', '/']));
    let words = words.filter(|word| !word.contains(|c: char| c.is_ascii_lowercase()));
    let named: BTreeSet<Symbol> = words.filter_map(|word| word.parse().ok()).collect();
    symbols.iter().copied().filter(|symbol| named.contains(symbol)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A server that knows what it does not like.
    #[derive(Default)]
    struct Server {
        refused: Vec<Symbol>,
        names_them: bool,
        largest: Option<i64>,
        asked: Mutex<Vec<Part>>,
    }

    #[async_trait]
    impl AskTogether for Server {
        const MAX_SYMBOLS: usize = 100;
        const CAN_END_EARLY: bool = true;

        async fn ask(
            &self,
            symbols: &[Symbol],
            minutes: Range<Second>,
            answer: &mut Answer,
        ) -> Result<(), FeedError> {
            let part = Part { symbols: symbols.to_vec(), minutes };
            let size = part.size();
            self.asked.lock().expect("a test").push(part);
            if self.largest.is_some_and(|largest| size > largest) {
                return Err(FeedError::new(FeedErrorKind::TooLarge, "more than 8 MiB"));
            }
            if let Some(refused) = symbols.iter().find(|symbol| self.refused.contains(symbol)) {
                let name = if self.names_them { refused.as_str() } else { "one" };
                let message = format!("answered 400 Bad Request: invalid symbol: {name}.");
                return Err(FeedError::new(FeedErrorKind::BadRequest, message));
            }
            answer.extend(Fetched::default());
            Ok(())
        }
    }

    impl Server {
        fn asked(&self) -> Vec<Part> {
            std::mem::take(&mut self.asked.lock().expect("a test"))
        }

        async fn bars(
            &self,
            parts: &Parts,
            symbols: &[Symbol],
            minutes: i32,
        ) -> Result<Vec<Symbol>, FeedError> {
            let minutes = Second::from_minute(0)..Second::from_minute(minutes);
            let fetched = parts.bars(self, symbols, &minutes).await?;
            Ok(fetched.failed.into_iter().map(|(symbol, _)| symbol).collect())
        }
    }

    fn symbols(count: usize) -> Vec<Symbol> {
        (0..count).map(|number| format!("S{number:03}").parse().expect("a symbol")).collect()
    }

    #[tokio::test]
    async fn a_refused_symbol_is_found_by_its_name_or_by_halves() {
        let all = symbols(100);
        for (names_them, most) in [(true, 3), (false, 15)] {
            for refused in [0, 37, 99] {
                let server = Server { refused: vec![all[refused]], names_them, ..Server::default() };
                let failed = server.bars(&Parts::default(), &all, 10).await.expect("others");
                assert_eq!(failed, [all[refused]]);
                let asked = server.asked().len();
                assert!(asked <= most, "{asked} requests for {refused}");
            }
        }
    }

    #[tokio::test]
    async fn a_search_has_an_end_and_one_in_vain_is_not_repeated_within_the_hour() {
        tokio::time::pause();
        let all = symbols(100);
        let server = Server { refused: all.clone(), ..Server::default() };
        let parts = Parts::default();
        assert!(server.bars(&parts, &all, 10).await.is_err(), "nothing is answered");
        let search = server.asked().len();
        assert!(search <= 1 + 2 * MAX_SPLITS as usize, "{search}");
        for _ in 0..5 {
            assert!(server.bars(&parts, &all, 10).await.is_err());
            assert_eq!(server.asked().len(), 1, "the search was in vain");
        }
        tokio::time::advance(MEMORY).await;
        assert!(server.bars(&parts, &all, 10).await.is_err());
        assert_eq!(server.asked().len(), search);
    }

    #[tokio::test]
    async fn too_large_an_answer_is_asked_for_in_smaller_ones_and_never_twice() {
        tokio::time::pause();
        let all = symbols(64);
        let server = Server { largest: Some(64 * 100), ..Server::default() };
        let parts = Parts::default();
        assert_eq!(server.bars(&parts, &all, 390).await.expect("an answer"), []);
        let asked = server.asked();
        assert_eq!(asked.len(), 1 + 1 + 4, "the second half is known to be too large: {asked:?}");
        assert_eq!(server.bars(&parts, &all, 391).await.expect("an answer"), []);
        assert!(server.asked().iter().all(|part| part.size() <= 64 * 100), "it is known by now");
        assert_eq!(server.bars(&parts, &all, 90).await.expect("an answer"), []);
        assert_eq!(server.asked().len(), 1, "what is small enough is asked for at once");
        tokio::time::advance(MEMORY).await;
        server.bars(&parts, &all, 390).await.expect("an answer");
        assert_eq!(server.asked().len(), 6, "after an hour it is learned again");
    }

    #[tokio::test]
    async fn what_is_too_large_of_one_symbol_is_asked_for_in_halves_of_its_time() {
        let server = Server { largest: Some(100), ..Server::default() };
        assert_eq!(server.bars(&Parts::default(), &symbols(1), 390).await.expect("an answer"), []);
        let mut answered: Vec<_> = server.asked().into_iter().filter(|part| part.size() <= 100).collect();
        answered.sort_by_key(|part| part.minutes.start);
        assert_eq!(answered.iter().map(Part::size).sum::<i64>(), 390);
        let hopeless = Server { largest: Some(0), ..Server::default() };
        let error =
            hopeless.bars(&Parts::default(), &symbols(1), 4).await.expect_err("nothing is small enough");
        assert_eq!(error.kind, FeedErrorKind::TooLarge);
        let asked = hopeless.asked();
        assert!(asked.iter().enumerate().all(|(place, part)| !asked[..place].contains(part)), "{asked:?}");
    }

    #[test]
    fn a_message_names_symbols_as_whole_words() {
        let all: Vec<Symbol> =
            ["A", "IT", "BRK.B", "ZZZZ"].map(|name| name.parse().expect("a symbol")).into();
        let find =
            |message: &str| -> Vec<String> { named(message, &all).iter().map(Symbol::to_string).collect() };
        assert_eq!(find(r#"{"message":"invalid symbol: ZZZZ"}"#), ["ZZZZ"]);
        assert_eq!(find("ZZZZ. ZZZZZ BRK-B, it's a Bad Request"), ["BRK.B", "ZZZZ"]);
        assert_eq!(find("no zzzz"), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn whoever_is_refused_the_others_are_served(
            refused in prop::collection::btree_set(0_usize..40, 0..4),
            names_them: bool,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let all = symbols(40);
            let refused: Vec<Symbol> = refused.into_iter().map(|number| all[number]).collect();
            let server = Server { refused: refused.clone(), names_them, ..Server::default() };
            let mut failed = runtime.block_on(server.bars(&Parts::default(), &all, 10)).expect("others");
            failed.sort_unstable();
            prop_assert_eq!(failed, refused);
        }
    }
}
