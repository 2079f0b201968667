//! Kinds of values in the configuration.

use jiff::civil::Date;
use qqq_core::Symbol;
use qqq_core::subscription::EmailAddress;
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// A value that is written as text: whatever parses from a string and prints as one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text<T>(pub T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(de::Error::custom)
    }
}

impl Serialize for Text<Symbol> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A date of New York: `2025-01-09`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub Date);

impl FromStr for Day {
    type Err = InvalidDay;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| InvalidDay(text.chars().take(32).collect()))
    }
}

/// A text that is no date.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a date: it must look like 2025-01-09")]
pub struct InvalidDay(String);

impl Serialize for Text<Day> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.0)
    }
}

impl Serialize for Text<qqq_core::market::calendar::EarlyClose> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl Serialize for Text<qqq_core::market::calendar::Market> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl Serialize for Text<qqq_core::Cadence> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl Serialize for Text<qqq_core::Metric> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

/// What a former name became: written as the symbol alone, or as a table of the symbol and the first day on
/// which the former name no longer meant it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The symbol since.
    pub symbol: Text<Symbol>,
    /// A New York date.
    pub until: Option<Text<Day>>,
}

impl From<Text<Symbol>> for Alias {
    fn from(symbol: Text<Symbol>) -> Self {
        Self { symbol, until: None }
    }
}

impl<'de> Deserialize<'de> for Alias {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Dated {
            symbol: Text<Symbol>,
            until: Text<Day>,
        }
        struct Written;
        impl<'de> de::Visitor<'de> for Written {
            type Value = Alias;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#"a symbol, or { symbol = "META", until = "2022-06-09" }"#)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Alias, E> {
                text.parse().map(|symbol| Text(symbol).into()).map_err(E::custom)
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Alias, A::Error> {
                let Dated { symbol, until } = Dated::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Alias { symbol, until: Some(until) })
            }
        }
        deserializer.deserialize_any(Written)
    }
}

impl Serialize for Alias {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(until) = &self.until else { return self.symbol.serialize(serializer) };
        let mut table = serializer.serialize_map(Some(2))?;
        table.serialize_entry("symbol", &self.symbol)?;
        table.serialize_entry("until", until)?;
        table.end()
    }
}

/// An address (`10.0.0.1`) or a network (`10.0.0.0/8`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(pub qqq_http::IpNet);

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let address = text.parse::<std::net::IpAddr>().map(qqq_http::IpNet::from);
        address
            .or_else(|_| text.parse())
            .map(Self)
            .map_err(|_| InvalidNetwork(text.chars().take(64).collect()))
    }
}

/// A text that is no address and no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an address: it must look like 10.0.0.1 or 10.0.0.0/8")]
pub struct InvalidNetwork(String);

impl Serialize for Text<qqq_http::Origin> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl Serialize for Text<qqq_http::FrameAncestor> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A mail address of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator(pub EmailAddress);

impl FromStr for Operator {
    type Err = InvalidOperator;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| InvalidOperator(text.chars().take(64).collect()))
    }
}

/// A text that is no mail address. Unlike an address that a reader gives, it is shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a mail address: it must look like name@example.com, in ASCII")]
pub struct InvalidOperator(String);

impl Serialize for Text<Operator> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.0.expose())
    }
}

impl Serialize for Text<qqq_core::alert::detector::Watch> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl Serialize for Text<Network> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.0)
    }
}

/// What prints as a text and is read from it.
pub(super) mod written {
    use serde::{Deserialize as _, Deserializer, Serializer, de};
    use std::fmt::Display;
    use std::str::FromStr;

    pub(crate) fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A text that is never shown: keys, passwords, tokens.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text, for its one use.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether none is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "Secret()" } else { "Secret(…)" })
    }
}

/// Reads an address and a port; the error shows what was given, which the standard library's does not.
pub(super) fn socket_address<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<std::net::SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(64).collect();
        de::Error::custom(format!(
            "`{shown}` is not an address to listen on: it must look like 127.0.0.1:8080 or [::1]:8080"
        ))
    })
}

/// The same, or an empty text for none.
pub(super) mod optional_socket_address {
    use serde::{Deserialize as _, Deserializer, Serializer, de::IntoDeserializer as _};
    use std::net::SocketAddr;

    pub(crate) fn serialize<S: Serializer>(
        address: &Option<SocketAddr>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match address {
            Some(address) => serializer.collect_str(address),
            None => serializer.serialize_str(""),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SocketAddr>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(None);
        }
        super::socket_address(text.into_deserializer()).map(Some)
    }
}

/// A ratio is a TOML number (`3.0`), or text (`"2.5"`).
pub(super) mod ratio {
    use qqq_core::rule::Ratio;
    use serde::{Deserialize, Deserializer, Serializer, de};

    /// Writes the nearest double: every ratio of six decimals up to 1000 comes back exactly.
    pub(crate) fn serialize<S: Serializer>(ratio: &Ratio, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(f64::from(ratio.millionths()) / 1e6)
    }

    /// Reads a number by its shortest decimal text, so that `2.3` is 2.3 and not its nearest double.
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Ratio, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Whole(i64),
            Decimal(f64),
            Text(String),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Whole(whole) => whole.to_string(),
            Written::Decimal(decimal) => decimal.to_string(),
            Written::Text(text) => text,
        };
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print() {
        assert!(!format!("{:?}", Secret("hunter2".to_owned())).contains("hunter2"));
    }
}
