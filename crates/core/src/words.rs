//! Plain enums as words: each value has one, by which it is written, read, kept and told.

use std::borrow::Cow;
use std::fmt;
use strum::VariantNames;

/// A text that is none of the words of an enum.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` must be {}", self.allowed())]
pub struct UnknownWord {
    text: String,
    words: Cow<'static, [&'static str]>,
}

impl UnknownWord {
    /// Longest piece of the text that is told, in characters.
    const SHOWN: usize = 32;

    /// That `text` is no word of `T`.
    pub fn of<T: VariantNames>(text: &str) -> Self {
        Self { text: text.chars().take(Self::SHOWN).collect(), words: T::VARIANTS.into() }
    }

    /// That `text` is none of some words.
    pub fn among(text: &str, words: impl IntoIterator<Item = &'static str>) -> Self {
        Self { text: text.chars().take(Self::SHOWN).collect(), words: words.into_iter().collect() }
    }

    /// The words there are: `` `price` or `volume` ``, ``one of `up`, `down`, `both` ``.
    pub fn allowed(&self) -> impl fmt::Display {
        let words: Vec<_> = self.words.iter().map(|word| format!("`{word}`")).collect();
        if words.len() < 3 { words.join(" or ") } else { format!("one of {}", words.join(", ")) }
    }
}

/// Gives an enum that derives `strum::IntoStaticStr` its word as a text.
macro_rules! words {
    ($name:ty) => {
        impl $name {
            /// The word for it.
            pub fn as_str(self) -> &'static str {
                self.into()
            }
        }
    };
}

pub(crate) use words;

#[cfg(test)]
mod tests {
    use crate::{Interval, Metric};

    #[test]
    fn what_is_no_word_is_told_with_those_there_are() {
        let told = |error: super::UnknownWord| error.to_string();
        let metrics = "one of `price`, `volume`, `trades`, `notional`, `range`, `return`";
        assert_eq!("mean".parse::<Metric>().map_err(told), Err(format!("`mean` must be {metrics}")));
        let error = "60m".parse::<Interval>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`60m` must be one of `1s`, `5s`, `10s`, `15s`, `30s`, `1m`, `5m`, `15m`, `1h`, `1d`"
        );
        let error = "x".repeat(99).parse::<Metric>().unwrap_err();
        assert!(error.to_string().chars().count() < 110);
    }
}
