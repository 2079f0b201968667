//! Ticker symbols.

use crate::label::Inline;
use std::fmt;
use std::str::FromStr;

/// An upper-case ticker of 1 to 12 characters, such as `AAPL` or `BRK.B`.
///
/// Parsing accepts any case. A `Symbol` says nothing about which company it meant at a given time:
/// [`Watchlist::resolve`](crate::Watchlist::resolve) does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(Inline<12>);

impl Symbol {
    /// The symbol as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for Symbol {
    type Err = InvalidSymbol;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let upper = text.trim().to_ascii_uppercase();
        let starts_well = upper.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        let allowed = upper
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'.' || byte == b'-');
        Inline::new(&upper)
            .filter(|_| starts_well && allowed)
            .map(Self)
            .ok_or_else(|| InvalidSymbol(text.chars().take(32).collect()))
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Symbol({self})")
    }
}

/// A text that cannot be a ticker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a ticker: it must be 1 to 12 of A-Z, 0-9, `.` and `-`, and start with a letter or digit"
)]
pub struct InvalidSymbol(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_case_is_accepted_and_upper_case_comes_out() {
        assert_eq!("aApL".parse::<Symbol>().unwrap().as_str(), "AAPL");
        assert_eq!("brk.b".parse::<Symbol>().unwrap().to_string(), "BRK.B");
    }

    #[test]
    fn what_is_no_ticker_is_refused() {
        for text in ["", " ", ".A", "-", "TOOLONGTICKER", "A B", "A/B", "Ä", "A\n.B", "AAPL;", "\0"] {
            assert!(text.parse::<Symbol>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn order_is_the_order_of_the_texts() {
        let mut symbols: Vec<Symbol> =
            ["TSLA", "A", "AAPL", "AA", "BRK.B", "BRK-A", "BRK"].iter().map(|s| s.parse().unwrap()).collect();
        symbols.sort();
        let texts: Vec<_> = symbols.iter().map(Symbol::as_str).collect();
        let mut expected = texts.clone();
        expected.sort_unstable();
        assert_eq!(texts, expected);
    }
}
