//! The symbols tracked, and what they used to be called.

use crate::Symbol;
use jiff::civil::{Date, date};
use std::collections::HashMap;

/// A symbol a company used to trade under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormerSymbol {
    /// The old ticker.
    pub former: Symbol,
    /// The ticker since.
    pub current: Symbol,
    /// First day of the new ticker (New York date). `None` where configuration gave no date.
    pub since: Option<Date>,
}

/// A ticker that belonged to somebody else before a date.
struct Reused {
    symbol: &'static str,
    ours_since: Date,
    other: &'static str,
}

/// Known renames: (former, current, first day of the new ticker).
/// Source: the exchanges' notices as quoted by market-data providers' symbol histories.
const RENAMES: [(&str, &str, Date); 1] = [("FB", "META", date(2022, 6, 9))];

/// Before this day, bars labelled META are the Roundhill Ball Metaverse ETF's (METV from then on).
const REUSED: [Reused; 1] =
    [Reused { symbol: "META", ours_since: date(2022, 1, 31), other: "the Roundhill Ball Metaverse ETF" }];

/// Names of the default symbols and their usual neighbours.
const NAMES: [(&str, &str); 20] = [
    ("AAPL", "Apple"),
    ("ADBE", "Adobe"),
    ("AMD", "Advanced Micro Devices"),
    ("AMZN", "Amazon"),
    ("ASML", "ASML Holding"),
    ("AVGO", "Broadcom"),
    ("COST", "Costco"),
    ("GOOG", "Alphabet (class C)"),
    ("GOOGL", "Alphabet (class A)"),
    ("META", "Meta Platforms"),
    ("MSFT", "Microsoft"),
    ("MU", "Micron Technology"),
    ("NFLX", "Netflix"),
    ("NVDA", "NVIDIA"),
    ("PLTR", "Palantir"),
    ("PYPL", "PayPal"),
    ("QQQ", "Invesco QQQ Trust"),
    ("SPY", "SPDR S&P 500 ETF"),
    ("TSLA", "Tesla"),
    ("WMT", "Walmart"),
];

/// The ten names the product is called after.
pub const DEFAULT_SYMBOLS: [&str; 10] =
    ["AAPL", "MSFT", "AMZN", "TSLA", "META", "GOOG", "NFLX", "NVDA", "PYPL", "ADBE"];

/// The tracked symbols, in configured order, each known by a dense id and by its former names.
#[derive(Clone, Debug)]
pub struct Watchlist {
    symbols: Vec<Symbol>,
    ids: HashMap<Symbol, usize>,
    former: Vec<FormerSymbol>,
}

impl Watchlist {
    /// Most symbols one process tracks: twice the listed US market.
    pub const MAX: usize = 20_000;

    /// Makes a watchlist of current symbols and further aliases (former, current); the known renames of
    /// tracked symbols are always in force. A symbol given by its former name is tracked by its current.
    pub fn new(
        symbols: impl IntoIterator<Item = Symbol>,
        aliases: impl IntoIterator<Item = (Symbol, Symbol)>,
    ) -> Result<Self, InvalidWatchlist> {
        let mut former: Vec<FormerSymbol> = RENAMES
            .iter()
            .filter_map(|(former, current, since)| {
                Some(FormerSymbol {
                    former: former.parse().ok()?,
                    current: current.parse().ok()?,
                    since: Some(*since),
                })
            })
            .collect();
        for (old, new) in aliases {
            if old == new {
                return Err(InvalidWatchlist::SelfAlias(old));
            }
            match former.iter().find(|known| known.former == old) {
                Some(known) if known.current == new => {}
                Some(known) => return Err(InvalidWatchlist::Conflict(old, known.current, new)),
                None => former.push(FormerSymbol { former: old, current: new, since: None }),
            }
        }
        if let Some(chained) = former.iter().find(|one| former.iter().any(|two| two.former == one.current)) {
            return Err(InvalidWatchlist::Chain(chained.former, chained.current));
        }
        let mut list = Self { symbols: Vec::new(), ids: HashMap::new(), former };
        for symbol in symbols {
            let symbol = list.current(symbol);
            if !list.ids.contains_key(&symbol) {
                list.ids.insert(symbol, list.symbols.len());
                list.symbols.push(symbol);
            }
        }
        if list.symbols.is_empty() {
            return Err(InvalidWatchlist::Empty);
        }
        if list.symbols.len() > Self::MAX {
            return Err(InvalidWatchlist::TooLong(list.symbols.len()));
        }
        Ok(list)
    }

    /// The tracked symbols, in configured order. A symbol's index is its id.
    pub fn symbols(&self) -> &[Symbol] {
        &self.symbols
    }

    /// The dense id of a tracked current symbol.
    pub fn id(&self, symbol: Symbol) -> Option<usize> {
        self.ids.get(&symbol).copied()
    }

    /// The current symbol a request means, former names included; `None` where it is not tracked.
    pub fn resolve(&self, symbol: Symbol) -> Option<Symbol> {
        let current = self.current(symbol);
        self.ids.contains_key(&current).then_some(current)
    }

    /// The tracked symbol that a bar labelled `symbol` on `day` (New York) belongs to.
    ///
    /// A ticker can be reused: META bars of 2021 are not Meta Platforms'.
    pub fn resolve_on(&self, symbol: Symbol, day: Date) -> Result<Symbol, Unresolved> {
        let current = self.resolve(symbol).ok_or(Unresolved::NotTracked(symbol))?;
        let other = REUSED.iter().find(|reused| symbol.as_str() == reused.symbol && day < reused.ours_since);
        match other {
            Some(reused) => Err(Unresolved::AnotherCompany(symbol, day, reused.other)),
            None => Ok(current),
        }
    }

    /// The former names of a current symbol, oldest first.
    pub fn former_symbols(&self, current: Symbol) -> impl Iterator<Item = &FormerSymbol> {
        self.former.iter().filter(move |former| former.current == current)
    }

    /// The company's name, where it is a well-known one.
    pub fn name(&self, symbol: Symbol) -> Option<&'static str> {
        NAMES.binary_search_by(|(known, _)| (*known).cmp(symbol.as_str())).ok().map(|index| NAMES[index].1)
    }

    fn current(&self, symbol: Symbol) -> Symbol {
        self.former.iter().find(|former| former.former == symbol).map_or(symbol, |former| former.current)
    }
}

/// Why a label on a bar names no tracked symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    /// Not on the watchlist.
    #[error("{0} is not on the watchlist")]
    NotTracked(Symbol),
    /// On that day the ticker belonged to somebody else.
    #[error("{0} was {2} on {1}")]
    AnotherCompany(Symbol, Date, &'static str),
}

/// A watchlist that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWatchlist {
    /// No symbol at all.
    #[error("the watchlist is empty: at least one symbol is needed")]
    Empty,
    /// More than [`Watchlist::MAX`].
    #[error("the watchlist has {0} symbols; at most 20000 are tracked by one process")]
    TooLong(usize),
    /// A symbol as its own former name.
    #[error("{0} cannot be a former name of itself")]
    SelfAlias(Symbol),
    /// One former name for two symbols.
    #[error("{0} is known as the former name of {1}; it cannot be that of {2} too")]
    Conflict(Symbol, Symbol, Symbol),
    /// A former name of a former name.
    #[error("the alias {0} = {1} points at a former name; let it point at the current one")]
    Chain(Symbol, Symbol),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol(text: &str) -> Symbol {
        text.parse().unwrap()
    }

    fn list() -> Watchlist {
        Watchlist::new(DEFAULT_SYMBOLS.map(symbol), []).unwrap()
    }

    #[test]
    fn requests_accept_former_names() {
        assert_eq!(list().resolve(symbol("fb")), Some(symbol("META")));
        assert_eq!(list().resolve(symbol("META")), Some(symbol("META")));
        assert_eq!(list().resolve(symbol("IBM")), None);
    }

    #[test]
    fn bars_are_resolved_by_their_day() {
        let list = list();
        let day = |text: &str| text.parse::<Date>().unwrap();
        assert_eq!(list.resolve_on(symbol("FB"), day("2021-05-03")), Ok(symbol("META")));
        assert_eq!(list.resolve_on(symbol("META"), day("2022-06-09")), Ok(symbol("META")));
        // The new name on older days is a provider's relabelling of FB.
        assert_eq!(list.resolve_on(symbol("META"), day("2022-01-31")), Ok(symbol("META")));
        assert!(matches!(
            list.resolve_on(symbol("META"), day("2022-01-28")),
            Err(Unresolved::AnotherCompany(_, _, "the Roundhill Ball Metaverse ETF"))
        ));
        assert_eq!(
            list.resolve_on(symbol("IBM"), day("2022-01-28")),
            Err(Unresolved::NotTracked(symbol("IBM")))
        );
    }

    #[test]
    fn former_names_on_the_list_are_tracked_once_under_the_current_one() {
        let list = Watchlist::new([symbol("FB"), symbol("META"), symbol("AAPL")], []).unwrap();
        assert_eq!(list.symbols(), [symbol("META"), symbol("AAPL")]);
        assert_eq!(list.id(symbol("AAPL")), Some(1));
        assert_eq!(list.former_symbols(symbol("META")).next().unwrap().former, symbol("FB"));
    }

    #[test]
    fn aliases_that_contradict_are_refused() {
        let make = |aliases: &[(&str, &str)]| {
            Watchlist::new([symbol("AAPL")], aliases.iter().map(|(old, new)| (symbol(old), symbol(new))))
        };
        assert!(make(&[("FB", "META"), ("TWTR", "X")]).is_ok());
        assert!(matches!(make(&[("FB", "AAPL")]), Err(InvalidWatchlist::Conflict(..))));
        assert!(matches!(make(&[("A", "A")]), Err(InvalidWatchlist::SelfAlias(_))));
        assert!(matches!(make(&[("A", "FB")]), Err(InvalidWatchlist::Chain(..))));
        assert_eq!(Watchlist::new([], []).unwrap_err(), InvalidWatchlist::Empty);
    }

    #[test]
    fn names_are_sorted_for_the_search() {
        assert!(NAMES.is_sorted_by(|one, two| one.0 < two.0));
        assert_eq!(list().name(symbol("META")), Some("Meta Platforms"));
        assert_eq!(list().name(symbol("ZZZ")), None);
    }
}
