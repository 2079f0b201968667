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
    /// The first day (New York date) on which the old ticker is no longer the company's: from then on it may
    /// be somebody else's. `None`: it is the company's on every day.
    pub until: Option<Date>,
}

impl FormerSymbol {
    /// Whether the old ticker was the company's on `day`.
    fn holds_on(&self, day: Date) -> bool {
        self.until.is_none_or(|until| day < until)
    }

    /// Whether this is one of the renames that are known without any configuration.
    pub fn is_built_in(&self) -> bool {
        RENAMES.iter().any(|(former, current, until)| {
            (self.former.as_str(), self.current.as_str(), self.until) == (former, current, Some(*until))
        })
    }
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

/// The ten names the product is called after.
pub const DEFAULT_SYMBOLS: [&str; 10] =
    ["AAPL", "MSFT", "AMZN", "TSLA", "META", "GOOG", "NFLX", "NVDA", "PYPL", "ADBE"];

/// The tracked symbols, in configured order, each known by a dense id and by its former names.
///
/// A ticker that was left for another may be in use again: whoever has it now can be tracked under it, beside
/// the company that had it before. Requests then mean the one of today, and each bar goes to whom the ticker
/// belonged to on its day.
#[derive(Clone, Debug)]
pub struct Watchlist {
    symbols: Vec<Symbol>,
    ids: HashMap<Symbol, usize>,
    former: Vec<FormerSymbol>,
}

impl Watchlist {
    /// Most symbols one process tracks: twice the listed US market.
    pub const MAX: usize = 20_000;

    /// Makes a watchlist of symbols and further former names; the known renames are always in force, and of
    /// one of them only the day can be given anew. A symbol given by a former name that has no end is tracked
    /// by its current one; one with an end is tracked as whoever has it since.
    pub fn new(
        symbols: impl IntoIterator<Item = Symbol>,
        aliases: impl IntoIterator<Item = FormerSymbol>,
    ) -> Result<Self, InvalidWatchlist> {
        let symbols: Vec<Symbol> = symbols.into_iter().collect();
        let former = former_symbols(aliases)?;
        let mut list = Self { symbols: Vec::new(), ids: HashMap::new(), former };
        for &symbol in &symbols {
            let given = symbol;
            let symbol = list.listed(given);
            if symbol != given && symbols.contains(&symbol) {
                return Err(InvalidWatchlist::Both(given, symbol));
            }
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
        let meant = self.meant(symbol);
        self.ids.contains_key(&meant).then_some(meant)
    }

    /// The current symbol that is meant by a ticker today, tracked or not: itself where it is tracked, else
    /// what became of it.
    pub fn meant(&self, symbol: Symbol) -> Symbol {
        match self.former(symbol) {
            Some(former) if !self.ids.contains_key(&symbol) => former.current,
            _ => symbol,
        }
    }

    /// What a symbol is tracked as once it is on the list: itself, or, of a former name without an end, the
    /// current one.
    pub fn listed(&self, symbol: Symbol) -> Symbol {
        match self.former(symbol) {
            Some(FormerSymbol { current, until: None, .. }) => *current,
            _ => symbol,
        }
    }

    /// The tracked symbol that a bar labelled `symbol` on `day` (New York) belongs to.
    ///
    /// A ticker can be reused: META bars of 2021 are not Meta Platforms', and FB bars of today are not
    /// either.
    pub fn resolve_on(&self, symbol: Symbol, day: Date) -> Result<Symbol, Unresolved> {
        let tracked = |symbol: Symbol| self.ids.contains_key(&symbol);
        let former = self.former(symbol);
        match former {
            Some(former) if former.holds_on(day) && tracked(former.current) => return Ok(former.current),
            Some(former) if former.holds_on(day) && tracked(symbol) => {
                return Err(Unresolved::Another(symbol, day, former.current));
            }
            Some(former) if !tracked(symbol) && tracked(former.current) => {
                return Err(Unresolved::NoLonger(symbol, day, former.current));
            }
            _ if !tracked(symbol) => return Err(Unresolved::NotTracked(symbol)),
            _ => {}
        }
        let other = REUSED.iter().find(|reused| symbol.as_str() == reused.symbol && day < reused.ours_since);
        match other {
            Some(reused) => Err(Unresolved::AnotherCompany(symbol, day, reused.other)),
            None => Ok(symbol),
        }
    }

    /// The former names of a current symbol, oldest first.
    pub fn former_symbols(&self, current: Symbol) -> impl Iterator<Item = &FormerSymbol> {
        self.former.iter().filter(move |former| former.current == current)
    }

    /// The tracked symbols that were another company's, which is not tracked: perhaps that one was meant.
    pub fn reused_without_current(&self) -> impl Iterator<Item = &FormerSymbol> {
        let tracked = |symbol| self.ids.contains_key(symbol);
        self.former.iter().filter(move |former| tracked(&former.former) && !tracked(&former.current))
    }

    fn former(&self, symbol: Symbol) -> Option<&FormerSymbol> {
        self.former.iter().find(|former| former.former == symbol)
    }
}

/// The known renames and further former names, each ticker once.
fn former_symbols(
    aliases: impl IntoIterator<Item = FormerSymbol>,
) -> Result<Vec<FormerSymbol>, InvalidWatchlist> {
    let known = |(former, current, until): &(&str, &str, Date)| {
        Some(FormerSymbol {
            former: former.parse().ok()?,
            current: current.parse().ok()?,
            until: Some(*until),
        })
    };
    let mut all: Vec<FormerSymbol> = RENAMES.iter().filter_map(known).collect();
    for alias in aliases {
        let FormerSymbol { former, current, until } = alias;
        if former == current {
            return Err(InvalidWatchlist::SelfAlias(former));
        }
        match all.iter_mut().find(|known| known.former == former) {
            Some(known) if known.current == current => known.until = until.or(known.until),
            Some(known) => return Err(InvalidWatchlist::Conflict(former, known.current, current)),
            None => all.push(alias),
        }
    }
    // Who took a ticker after another had left it is no link of a chain.
    let leads_on = |one: &FormerSymbol| {
        all.iter().any(|two| {
            two.former == one.current && one.until.zip(two.until).is_none_or(|(one, two)| one < two)
        })
    };
    match all.iter().find(|one| leads_on(one)) {
        Some(chained) => Err(InvalidWatchlist::Chain(chained.former, chained.current)),
        None => Ok(all),
    }
}

/// A list as the configuration gives it: where the watchlist begins.
#[derive(Clone, Debug)]
pub struct ConfiguredWatchlist {
    /// The symbols, in their order.
    pub symbols: Vec<Symbol>,
    /// Former names beside those that are known.
    pub former: Vec<FormerSymbol>,
}

/// What an operator changed of the configured list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchlistEdit {
    /// Of which symbol.
    pub symbol: Symbol,
    /// Whether it is on the list from then on.
    pub tracked: bool,
}

impl From<&Watchlist> for ConfiguredWatchlist {
    fn from(list: &Watchlist) -> Self {
        Self { symbols: list.symbols.clone(), former: list.former.clone() }
    }
}

impl ConfiguredWatchlist {
    /// The list with what operators changed of it, at most one edit of a symbol, oldest first: without what
    /// they took off, and what they added behind the rest. Fails where that makes no sense, which a list that
    /// was configured anew since can bring about.
    pub fn edited(&self, edits: &[WatchlistEdit]) -> Result<Watchlist, InvalidWatchlist> {
        let former = || self.former.iter().copied();
        // By what the symbols are called today.
        let configured = Watchlist::new(self.symbols.iter().copied(), former())?;
        let taken_off = |symbol: &Symbol| edits.iter().any(|edit| edit.symbol == *symbol && !edit.tracked);
        let added = edits.iter().filter(|edit| edit.tracked).map(|edit| edit.symbol);
        let kept = configured.symbols().iter().copied().filter(|symbol| !taken_off(symbol));
        Watchlist::new(kept.chain(added), former())
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
    /// On that day the ticker was that of a company which is not tracked under its present one.
    #[error("{0} was {2} on {1}, and {2} is not on the watchlist")]
    Another(Symbol, Date, Symbol),
    /// On that day the ticker was no longer that of the company which is tracked.
    #[error("{0} was no longer {2} on {1}, and is not on the watchlist itself")]
    NoLonger(Symbol, Date, Symbol),
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
    /// A former name without an end beside the current one.
    #[error(
        "{0} is a former name of {1} without an end, so the two are one: \
         leave {0} out, or say until when it was {1}: \
         aliases = {{ {0} = {{ symbol = \"{1}\", until = \"2022-06-09\" }} }}"
    )]
    Both(Symbol, Symbol),
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

    /// A former name; `until` is empty where it has no end.
    fn alias(former: &str, current: &str, until: &str) -> FormerSymbol {
        FormerSymbol { former: symbol(former), current: symbol(current), until: until.parse().ok() }
    }

    #[test]
    fn what_operators_changed_is_laid_over_the_configured_list() {
        let configured =
            ConfiguredWatchlist { symbols: ["AAPL", "MSFT"].map(symbol).to_vec(), former: Vec::new() };
        let edited = |edits: &[(&str, bool)]| {
            let edits: Vec<_> = edits
                .iter()
                .map(|&(name, tracked)| WatchlistEdit { symbol: symbol(name), tracked })
                .collect();
            let list = configured.edited(&edits)?;
            Ok(list.symbols().iter().map(Symbol::to_string).collect::<Vec<_>>().join(" "))
        };
        type Row<'a> = (&'a [(&'a str, bool)], Result<&'a str, InvalidWatchlist>);
        let table: [Row<'_>; 7] = [
            (&[], Ok("AAPL MSFT")),
            (&[("NVDA", true), ("AMD", true)], Ok("AAPL MSFT NVDA AMD")),
            (&[("AAPL", false)], Ok("MSFT")),
            (&[("AAPL", true)], Ok("AAPL MSFT")),
            (&[("NVDA", false)], Ok("AAPL MSFT")),
            (&[("AAPL", false), ("MSFT", false), ("NVDA", true)], Ok("NVDA")),
            (&[("AAPL", false), ("MSFT", false)], Err(InvalidWatchlist::Empty)),
        ];
        for (edits, expected) in table {
            assert_eq!(edited(edits), expected.map(str::to_owned), "{edits:?}");
        }
    }

    fn on(list: &Watchlist, label: &str, day: &str) -> Result<String, Unresolved> {
        list.resolve_on(symbol(label), day.parse().unwrap()).map(|symbol| symbol.to_string())
    }

    #[test]
    fn who_took_over_a_ticker_lives_beside_who_left_it() {
        let list = Watchlist::new(["META", "FB", "AAPL"].map(symbol), []).unwrap();
        assert_eq!(list.symbols(), ["META", "FB", "AAPL"].map(symbol));
        assert_eq!(list.resolve(symbol("FB")), Some(symbol("FB")));
        assert_eq!(list.resolve(symbol("META")), Some(symbol("META")));
        assert_eq!(list.former_symbols(symbol("META")).next().unwrap().former, symbol("FB"));
        for (label, day, owner) in [
            ("FB", "2012-05-18", "META"),
            ("FB", "2022-06-08", "META"),
            ("FB", "2022-06-09", "FB"),
            ("FB", "2026-11-27", "FB"),
            ("META", "2022-02-01", "META"),
            ("META", "2026-11-27", "META"),
        ] {
            assert_eq!(on(&list, label, day).as_deref(), Ok(owner), "{label} {day}");
        }
        assert!(matches!(on(&list, "META", "2022-01-28"), Err(Unresolved::AnotherCompany(..))));
    }

    #[test]
    fn bars_after_the_last_day_of_a_former_name_are_refused_where_their_owner_is_not_tracked() {
        let error = on(&list(), "FB", "2022-06-09").unwrap_err();
        assert_eq!(
            error.to_string(),
            "FB was no longer META on 2022-06-09, and is not on the watchlist itself"
        );
        assert_eq!(on(&list(), "FB", "2022-06-08").as_deref(), Ok("META"));
        // Neither is tracked: there is nothing to tell.
        let others = Watchlist::new([symbol("AAPL")], []).unwrap();
        for day in ["2022-06-08", "2022-06-09"] {
            assert_eq!(on(&others, "FB", day), Err(Unresolved::NotTracked(symbol("FB"))));
        }
        let without = Watchlist::new([symbol("FB")], []).unwrap();
        assert_eq!(on(&without, "FB", "2022-06-09").as_deref(), Ok("FB"));
        assert_eq!(
            on(&without, "FB", "2022-06-08").unwrap_err().to_string(),
            "FB was META on 2022-06-08, and META is not on the watchlist"
        );
        assert_eq!(without.reused_without_current().next().unwrap().current, symbol("META"));
        assert_eq!(without.meant(symbol("FB")), symbol("FB"));
        assert_eq!((others.meant(symbol("FB")), others.resolve(symbol("FB"))), (symbol("META"), None));
    }

    #[test]
    fn a_former_name_without_an_end_is_the_current_one_on_every_day() {
        let list = Watchlist::new([symbol("TWTR"), symbol("AAPL")], [alias("TWTR", "X", "")]).unwrap();
        assert_eq!(list.symbols(), ["X", "AAPL"].map(symbol));
        assert_eq!(list.resolve(symbol("TWTR")), Some(symbol("X")));
        assert_eq!(on(&list, "TWTR", "2026-01-05").as_deref(), Ok("X"));
        let error = Watchlist::new(["X", "TWTR"].map(symbol), [alias("TWTR", "X", "")]).unwrap_err();
        assert!(matches!(error, InvalidWatchlist::Both(..)), "{error}");
        assert!(error.to_string().contains("TWTR = { symbol = \"X\", until = "), "{error}");
    }

    #[test]
    fn the_day_of_a_known_rename_can_be_given_anew_and_others_have_their_own() {
        let aliases = [alias("FB", "META", "2022-06-11"), alias("SQ", "XYZ", "2025-01-21")];
        let list = Watchlist::new(["META", "XYZ", "SQ"].map(symbol), aliases).unwrap();
        assert_eq!(on(&list, "FB", "2022-06-10").as_deref(), Ok("META"));
        assert_eq!(on(&list, "SQ", "2025-01-20").as_deref(), Ok("XYZ"));
        assert_eq!(on(&list, "SQ", "2025-01-21").as_deref(), Ok("SQ"));
        assert!(!list.former_symbols(symbol("META")).next().unwrap().is_built_in());
        // The plain form does not take the known day away.
        let plain = Watchlist::new([symbol("META")], [alias("FB", "META", "")]).unwrap();
        assert!(plain.former_symbols(symbol("META")).next().unwrap().is_built_in());
        assert!(on(&plain, "FB", "2022-06-09").is_err());
    }

    #[test]
    fn aliases_that_contradict_are_refused() {
        let make = |aliases: &[(&str, &str, &str)]| {
            Watchlist::new([symbol("AAPL")], aliases.iter().map(|(old, new, until)| alias(old, new, until)))
        };
        assert!(make(&[("FB", "META", ""), ("TWTR", "X", "")]).is_ok());
        assert!(matches!(make(&[("FB", "AAPL", "")]), Err(InvalidWatchlist::Conflict(..))));
        assert!(matches!(make(&[("A", "A", "")]), Err(InvalidWatchlist::SelfAlias(_))));
        for until in ["", "2022-06-08"] {
            assert!(matches!(make(&[("A", "FB", until)]), Err(InvalidWatchlist::Chain(..))), "{until}");
        }
        // What is called FB now may have had another name, too.
        assert!(make(&[("A", "FB", "2022-06-09")]).is_ok());
        assert_eq!(Watchlist::new([], []).unwrap_err(), InvalidWatchlist::Empty);
    }
}
