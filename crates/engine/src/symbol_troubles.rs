//! Symbols that a provider does not serve while it serves others: remembered, so that each is asked for once
//! an hour and told of once. Pure, time comes in as data.

use crate::schedule::SYMBOL_RETRY;
use jiff::{SignedDuration, Timestamp};
use qqq_core::{Symbol, SymbolProblem};
use qqq_feed::{FeedError, FeedErrorKind};
use std::collections::BTreeMap;

/// What is wrong with single symbols of one provider.
#[derive(Debug, Default)]
pub struct SymbolTroubles {
    refused: BTreeMap<Symbol, Refusal>,
    /// Symbols that are served, but for some bars that cannot be read, and since when.
    unreadable: BTreeMap<Symbol, Timestamp>,
    /// What the stream says of symbols, and since when it says anything.
    streamed: BTreeMap<Symbol, (String, Timestamp)>,
}

#[derive(Debug)]
struct Refusal {
    problem: String,
    since: Timestamp,
    next_attempt: Timestamp,
}

impl SymbolTroubles {
    /// Takes up what an earlier process knew.
    pub fn restore(problems: Vec<SymbolProblem>) -> Self {
        let refusal = |one: SymbolProblem| {
            let SymbolProblem { symbol, problem, since, next_attempt } = one;
            Some((symbol, Refusal { problem, since, next_attempt: next_attempt? }))
        };
        Self { refused: problems.into_iter().filter_map(refusal).collect(), ..Self::default() }
    }

    /// Whether a symbol was refused when it was last asked for.
    pub fn is_refused(&self, symbol: Symbol) -> bool {
        self.refused.contains_key(&symbol)
    }

    /// Whether a symbol is to be asked for.
    pub fn may_be_asked(&self, symbol: Symbol, now: Timestamp) -> bool {
        // A longer wait than there is was made before the clock was set back.
        self.refused.get(&symbol).is_none_or(|refusal| {
            refusal.next_attempt <= now || refusal.next_attempt.duration_since(now) > SYMBOL_RETRY
        })
    }

    /// A symbol was refused. Where others were served, it is left alone for an hour. True where it is news.
    pub fn refuse(
        &mut self,
        symbol: Symbol,
        error: &FeedError,
        provider: &str,
        others_are_served: bool,
        now: Timestamp,
    ) -> bool {
        let is_new = !self.is_refused(symbol);
        // What could not be read may have been a moment's trouble, once.
        let may_pass = is_new && error.kind == FeedErrorKind::Unreadable;
        let pause = if may_pass || !others_are_served { SignedDuration::ZERO } else { SYMBOL_RETRY };
        let next_attempt = now.checked_add(pause).unwrap_or(Timestamp::MAX);
        let problem = error.told(provider);
        let refusal = self.refused.entry(symbol).or_insert(Refusal {
            problem: String::new(),
            since: now,
            next_attempt,
        });
        (refusal.problem, refusal.next_attempt) = (problem, next_attempt);
        self.unreadable.remove(&symbol);
        is_new
    }

    /// A symbol was answered for; `is_whole` says whether all of the answer could be read. True where it was
    /// refused before.
    pub fn served(&mut self, symbol: Symbol, is_whole: bool, now: Timestamp) -> bool {
        if is_whole {
            self.unreadable.remove(&symbol);
        } else {
            self.unreadable.entry(symbol).or_insert(now);
        }
        self.refused.remove(&symbol).is_some()
    }

    /// The stream says what is wrong with a symbol; `None`: nothing any more. True where it is news.
    pub fn streams(&mut self, symbol: Symbol, problem: Option<String>, now: Timestamp) -> bool {
        match problem {
            None => {
                self.streamed.remove(&symbol);
                false
            }
            Some(problem) => {
                let known = self.streamed.remove(&symbol);
                let since = known.as_ref().map_or(now, |(_, since)| *since);
                self.streamed.insert(symbol, (problem, since));
                known.is_none()
            }
        }
    }

    /// What readers are told, by symbol: of each the one that weighs most.
    pub fn told(&self) -> Vec<SymbolProblem> {
        let refused = self.refused.iter().map(|(&symbol, refusal)| SymbolProblem {
            symbol,
            problem: refusal.problem.clone(),
            since: refusal.since,
            next_attempt: Some(refusal.next_attempt),
        });
        let unreadable = self.unreadable.iter().map(|(&symbol, &since)| SymbolProblem {
            symbol,
            problem: "some of its bars cannot be read".to_owned(),
            since,
            next_attempt: None,
        });
        let streamed = self.streamed.iter().map(|(&symbol, (problem, since))| SymbolProblem {
            symbol,
            problem: problem.clone(),
            since: *since,
            next_attempt: None,
        });
        let mut told: Vec<_> = refused.chain(streamed).chain(unreadable).collect();
        told.sort_by_key(|problem| problem.symbol);
        told.dedup_by_key(|problem| problem.symbol);
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(1_738_000_000 + minutes * 60).unwrap()
    }

    fn symbol(name: &str) -> Symbol {
        name.parse().unwrap()
    }

    fn error(kind: FeedErrorKind) -> FeedError {
        FeedError::new(kind, "400")
    }

    #[test]
    fn a_refused_symbol_is_asked_for_once_an_hour_until_it_is_served() {
        let mut troubles = SymbolTroubles::default();
        let (gone, refused) = (symbol("GONE"), error(FeedErrorKind::BadRequest));
        assert!(troubles.refuse(gone, &refused, "iex", true, at(0)), "news");
        assert!(!troubles.may_be_asked(gone, at(59)) && troubles.may_be_asked(gone, at(60)));
        assert!(troubles.may_be_asked(symbol("AAPL"), at(0)));
        assert!(!troubles.refuse(gone, &refused, "iex", true, at(60)), "known");
        assert!(!troubles.may_be_asked(gone, at(119)));
        let told = troubles.told();
        assert_eq!((told[0].symbol, told[0].since, told[0].next_attempt), (gone, at(0), Some(at(120))));
        assert_eq!(told[0].problem, "iex refuses what it is asked for");
        assert!(troubles.may_be_asked(gone, at(-600)), "the clock was set back");

        let restored = SymbolTroubles::restore(told);
        assert!(!restored.may_be_asked(gone, at(119)) && restored.may_be_asked(gone, at(120)));
        assert!(troubles.served(gone, true, at(120)) && !troubles.served(gone, true, at(121)));
        assert_eq!(troubles.told(), []);
    }

    #[test]
    fn what_could_not_be_read_is_asked_for_once_more_at_once() {
        let mut troubles = SymbolTroubles::default();
        let (gone, unreadable) = (symbol("GONE"), error(FeedErrorKind::Unreadable));
        troubles.refuse(gone, &unreadable, "iex", true, at(0));
        assert!(troubles.may_be_asked(gone, at(0)));
        troubles.refuse(gone, &unreadable, "iex", true, at(1));
        assert!(!troubles.may_be_asked(gone, at(60)) && troubles.may_be_asked(gone, at(61)));
    }

    #[test]
    fn a_symbol_with_unreadable_bars_is_told_of_and_asked_for() {
        let mut troubles = SymbolTroubles::default();
        let apple = symbol("AAPL");
        assert!(!troubles.served(apple, false, at(0)) && !troubles.served(apple, false, at(5)));
        assert!(troubles.may_be_asked(apple, at(5)));
        assert_eq!((troubles.told()[0].since, troubles.told()[0].next_attempt), (at(0), None));
        troubles.served(apple, true, at(6));
        assert_eq!(troubles.told(), []);
    }
    #[test]
    fn what_the_stream_says_of_a_symbol_is_told_until_it_takes_it_back() {
        let mut troubles = SymbolTroubles::default();
        let apple = symbol("AAPL");
        assert!(troubles.streams(apple, Some("one minute differs".to_owned()), at(0)), "news");
        assert!(!troubles.streams(apple, Some("two minutes differ".to_owned()), at(5)), "more of it");
        let told = troubles.told();
        assert_eq!((told[0].problem.as_str(), told[0].since), ("two minutes differ", at(0)));
        assert_eq!(told[0].next_attempt, None, "nobody asks for it");
        // What weighs more comes first, and a symbol has one line.
        troubles.refuse(apple, &error(FeedErrorKind::BadRequest), "iex", true, at(6));
        assert_eq!(troubles.told().len(), 1);
        assert!(troubles.told()[0].next_attempt.is_some());
        troubles.served(apple, true, at(7));
        assert!(!troubles.streams(apple, None, at(8)));
        assert_eq!(troubles.told(), []);
    }
}
