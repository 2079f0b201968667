//! Ticker symbols, and the one place that reads them.

use crate::market::label::Inline;
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// What may stand before a share class, or within a pair.
const SEPARATORS: [char; 4] = ['.', '-', '/', ' '];

/// An upper-case ticker of 1 to 12 characters, such as `AAPL` or `BRK.B`.
///
/// Parsing is the only way text becomes a symbol, wherever it comes from. It takes any case, and every
/// spelling of a share class: one or two letters behind a point, a dash, a slash or a space. `BRK-B`, `BRK/B`
/// and `BRK B` are `BRK.B`. What follows a dash and has three letters or more is the other half of a pair:
/// `BTC-USD` stays as it is, and `BTC/USD` is the same pair.
///
/// A `Symbol` says nothing about which company it meant at a given time:
/// [`Watchlist::resolve`](crate::Watchlist::resolve) does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(Inline<12>);

impl Symbol {
    /// The characters there are, for messages about a text that is none.
    pub const ALLOWED: &'static str = "1 to 12 of A-Z, 0-9, `.` and `-`, a share class as in BRK.B";

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
        let allowed = |text: &str| {
            text.bytes().all(|byte| {
                byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'.' || byte == b'-'
            })
        };
        let listed = listed(&upper);
        Inline::new(&listed)
            .filter(|_| starts_well && allowed(&listed))
            .map(Self)
            .ok_or_else(|| InvalidSymbol(text.chars().take(32).collect()))
    }
}

/// An upper-case text as it is listed: with a point before a share class and a dash within a pair. What is
/// neither stays as it is.
fn listed(upper: &str) -> Cow<'_, str> {
    // Tables pad.
    let parts = upper.split_once(SEPARATORS).map(|(stem, rest)| (stem, rest.trim_start_matches(' ')));
    match parts {
        Some((stem, class)) if matches!(class.len(), 1..=2) && is_letters(class) => {
            format!("{stem}.{class}").into()
        }
        Some((stem, other)) if upper.contains('/') && is_letters(other) => format!("{stem}-{other}").into(),
        _ => upper.into(),
    }
}

fn is_letters(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase())
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
    "`{0}` is not a ticker: it must be {allowed}, and start with a letter or digit",
    allowed = Symbol::ALLOWED
)]
pub struct InvalidSymbol(pub String);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn read(text: &str) -> String {
        text.parse::<Symbol>().unwrap_or_else(|error| panic!("{error}")).to_string()
    }

    #[test]
    fn any_case_is_accepted_and_upper_case_comes_out() {
        assert_eq!(read("aApL"), "AAPL");
        assert_eq!(read(" brk.b\t"), "BRK.B");
    }

    #[test]
    fn a_share_class_is_one_symbol_in_every_spelling() {
        for text in ["BRK.B", "BRK-B", "BRK/B", "BRK B", "brk-b", "Brk/b", "brk b", "BRK   B", " BRK-B "] {
            assert_eq!(read(text), "BRK.B", "{text:?}");
        }
        for (text, symbol) in [
            ("BF-A", "BF.A"),
            ("MOG/A", "MOG.A"),
            ("BAC-PL", "BAC.PL"),
            ("ACHR WS", "ACHR.WS"),
            ("BRK.A", "BRK.A"),
            ("BRKB", "BRKB"),
        ] {
            assert_eq!(read(text), symbol, "{text:?}");
        }
    }

    #[test]
    fn pairs_and_what_else_has_a_dash_stay_as_they_are() {
        for text in ["BTC-USD", "ETH-BTC", "BAC.PRL", "BRK-1", "BT-A.L", "A.B-C", "X--Y", "ABC-"] {
            assert_eq!(read(text), text);
        }
        assert_eq!(read("btc/usd"), "BTC-USD");
    }

    #[test]
    fn what_is_no_ticker_is_refused() {
        for text in [
            "",
            " ",
            ".A",
            "-",
            "-B",
            "/B",
            "TOOLONGTICKER",
            "A B C",
            "BTC USD",
            "A/B/C",
            "A/1",
            "A 1",
            "A/",
            "A-B C",
            "BRK. B.",
            "Ä",
            "BRK/Ä",
            "A\n.B",
            "A\nB",
            "AAPL;",
            "\0",
        ] {
            assert!(text.parse::<Symbol>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn order_is_the_order_of_the_texts() {
        let mut symbols: Vec<Symbol> = ["TSLA", "A", "AAPL", "AA", "BRK.B", "BRK-A", "BTC-USD", "BRK"]
            .iter()
            .map(|s| s.parse().unwrap())
            .collect();
        symbols.sort();
        let texts: Vec<_> = symbols.iter().map(Symbol::as_str).collect();
        let mut expected = texts.clone();
        expected.sort_unstable();
        assert_eq!(texts, expected);
    }

    proptest! {
        /// What was written once is read as what it was: in rows of the store, ids of events, exported files.
        #[test]
        fn a_symbol_reads_back(text in "[A-Za-z0-9./ -]{1,14}|\\PC{0,14}") {
            if let Ok(symbol) = text.parse::<Symbol>() {
                prop_assert_eq!(symbol.to_string().parse(), Ok(symbol));
            }
        }

        #[test]
        fn case_and_separator_of_a_share_class_make_no_difference(
            stem in "[A-Z0-9]{1,9}",
            class in "[A-Z]{1,2}",
            separator in "[./-]| {1,3}",
            lower in any::<bool>(),
        ) {
            let text = format!("{stem}{separator}{class}");
            let text = if lower { text.to_lowercase() } else { text };
            prop_assert_eq!(read(&text), format!("{stem}.{class}"));
        }
    }
}
