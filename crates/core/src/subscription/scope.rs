//! What a subscription is about: a symbol, or whatever is on the watchlist.

use crate::Symbol;
use crate::market::symbol::InvalidSymbol;
use std::fmt;
use std::str::FromStr;

/// What stands for the whole watchlist.
const WATCHLIST: &str = "*";

/// Which symbols a subscription is about.
///
/// As text it is the symbol, or `*` for the watchlist. No symbol is spelt so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// This one.
    Symbol(Symbol),
    /// Every symbol of the watchlist, also one that is added to it later.
    Watchlist,
}

impl Scope {
    /// Whether it is about a tracked symbol.
    pub fn covers(self, symbol: Symbol) -> bool {
        match self {
            Self::Symbol(one) => one == symbol,
            Self::Watchlist => true,
        }
    }

    /// The symbol, where it is about a single one.
    pub fn symbol(self) -> Option<Symbol> {
        match self {
            Self::Symbol(one) => Some(one),
            Self::Watchlist => None,
        }
    }

    /// The symbol as text, or `*`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Symbol(one) => one.as_str(),
            Self::Watchlist => WATCHLIST,
        }
    }
}

impl From<Symbol> for Scope {
    fn from(symbol: Symbol) -> Self {
        Self::Symbol(symbol)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = InvalidSymbol;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim() {
            WATCHLIST => Ok(Self::Watchlist),
            symbol => symbol.parse().map(Self::Symbol),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_text_is_the_symbol_or_a_star_and_reads_back() {
        for (text, told) in [("nvda", "NVDA"), ("BRK-B", "BRK.B"), ("*", "*"), (" * ", "*")] {
            let scope: Scope = text.parse().unwrap();
            assert_eq!(scope.to_string(), told, "{text}");
            assert_eq!(told.parse(), Ok(scope), "{text}");
        }
        for text in ["", "**", "*A", "A*"] {
            assert!(text.parse::<Scope>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_watchlist_covers_every_symbol_and_a_symbol_itself() {
        let (nvda, tsla): (Symbol, Symbol) = ("NVDA".parse().unwrap(), "TSLA".parse().unwrap());
        assert!(Scope::Watchlist.covers(nvda) && Scope::Watchlist.covers(tsla));
        assert!(Scope::from(nvda).covers(nvda) && !Scope::from(nvda).covers(tsla));
        assert_eq!((Scope::from(nvda).symbol(), Scope::Watchlist.symbol()), (Some(nvda), None));
    }
}
