//! JSON from strangers: numbers stay text until they are integers, and nothing is believed.

use crate::excerpt::excerpt;
use crate::{FeedError, FeedErrorKind};
use qqq_core::decimal::{self, Excess};
use qqq_core::{Price, Split, Symbol, Volume};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Puts `NaN` and `Infinity` into quotes where they stand for a number, which is no JSON but is what some
/// programs write: so a bar with such a number is no bar, and those around it can be read.
pub(crate) fn with_quoted_numbers(body: Vec<u8>) -> Vec<u8> {
    const WORDS: [&[u8]; 3] = [b"NaN", b"Infinity", b"-Infinity"];
    let might_hold_one = |word: &[u8]| body.windows(word.len()).any(|piece| piece == word);
    if !might_hold_one(WORDS[0]) && !might_hold_one(WORDS[1]) {
        return body;
    }
    let mut quoted = Vec::with_capacity(body.len() + 64);
    let (mut in_text, mut is_escaped) = (false, false);
    let mut rest = &body[..];
    while let Some((&byte, after)) = rest.split_first() {
        let word = WORDS.iter().find(|word| !in_text && rest.starts_with(word));
        if let Some(word) = word {
            quoted.push(b'"');
            quoted.extend_from_slice(word);
            quoted.push(b'"');
            rest = &rest[word.len()..];
            continue;
        }
        if byte == b'"' && !is_escaped {
            in_text = !in_text;
        }
        is_escaped = in_text && byte == b'\\' && !is_escaped;
        quoted.push(byte);
        rest = after;
    }
    quoted
}

/// Reads a whole answer. What is no JSON of the expected shape may be so for one symbol's sake; a page for
/// people is a passing failure.
pub(crate) fn read<'a, T: Deserialize<'a>>(provider: &str, body: &'a [u8]) -> Result<T, FeedError> {
    serde_json::from_slice(body).map_err(|error| {
        let said = String::from_utf8_lossy(body);
        let (kind, what) = if said.trim_start().starts_with('<') {
            (FeedErrorKind::Transient, "HTML where JSON belongs".to_owned())
        } else {
            let what = format!("something that is not the JSON expected ({})", excerpt(&error.to_string()));
            (FeedErrorKind::Unreadable, what)
        };
        FeedError::new(kind, format!("{provider} answered {what}: {}", excerpt(&said)))
    })
}

/// Reads one member of an answer, such as a bar.
pub(crate) fn item<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Result<T, String> {
    serde_json::from_str(raw.get()).map_err(|error| excerpt(&error.to_string()))
}

/// Whether a value is absent in the provider's way.
pub(crate) fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

/// A price from a JSON number, rounded half to even to `places` decimals: providers print binary doubles.
pub(crate) fn price(name: &str, raw: &RawValue, places: u32) -> Result<Price, String> {
    number(name, raw)?;
    Price::parse_rounded(raw.get(), places).map_err(|error| format!("{name} {}: {error}", excerpt(raw.get())))
}

/// A price of a provider that computes in single precision and prints doubles: `255.69000244140625` was
/// 255.69. Where the number is exactly a widened single, it is the shortest decimal of that single, as short
/// as its own printer would have made it; any other number is what it says. Nine decimals are kept.
pub(crate) fn widened_price(name: &str, raw: &RawValue) -> Result<Price, String> {
    number(name, raw)?;
    let narrowed = narrowed(raw.get());
    Price::parse_rounded(narrowed.as_deref().unwrap_or(raw.get()), Price::PLACES)
        .map_err(|error| format!("{name} {}: {error}", excerpt(raw.get())))
}

/// The shortest decimal of the single that this number is exactly, where it is one.
fn narrowed(text: &str) -> Option<String> {
    let double: f64 = text.parse().ok()?;
    let single = double as f32;
    (single.is_finite() && f64::from(single) == double).then(|| single.to_string())
}

/// A price that may be missing, `null` or 0 where there is none.
pub(crate) fn optional_price(name: &str, raw: Option<&RawValue>) -> Result<Option<Price>, String> {
    match raw {
        None => Ok(None),
        Some(raw) if is_null(raw) || decimal::parse(raw.get(), Price::PLACES, Excess::Round) == Ok(0) => {
            Ok(None)
        }
        Some(raw) => price(name, raw, Price::PLACES).map(Some),
    }
}

/// A volume from a JSON number.
pub(crate) fn volume(name: &str, raw: &RawValue) -> Result<Volume, String> {
    number(name, raw)?;
    raw.get().parse().map_err(|error| format!("{name} {}: {error}", excerpt(raw.get())))
}

/// A count that may be missing or `null`.
pub(crate) fn optional_count(name: &str, raw: Option<&RawValue>) -> Result<Option<u32>, String> {
    let Some(raw) = raw.filter(|raw| !is_null(raw)) else { return Ok(None) };
    number(name, raw)?;
    let count = decimal::parse(raw.get(), 0, Excess::Refuse).map_err(|error| error.to_string());
    match count.map(u32::try_from) {
        Ok(Ok(count)) => Ok(Some(count)),
        Ok(Err(_)) => Err(format!("{name} {}: out of range", excerpt(raw.get()))),
        Err(error) => Err(format!("{name} {}: {error}", excerpt(raw.get()))),
    }
}

/// A split from two terms that may be decimals (`1.5` for `1`): brought to integers without a common factor.
pub(crate) fn split(
    symbol: Symbol,
    ex_date: jiff::civil::Date,
    new: &RawValue,
    old: &RawValue,
) -> Result<Split, String> {
    let term = |name: &str, raw: &RawValue| {
        number(name, raw)?;
        match decimal::parse(raw.get(), 6, Excess::Refuse) {
            Ok(millionths) if millionths > 0 => Ok(millionths as u64),
            Ok(_) => Err(format!("{name} {}: not above 0", excerpt(raw.get()))),
            Err(error) => Err(format!("{name} {}: {error}", excerpt(raw.get()))),
        }
    };
    let (new, old) = (term("the new term", new)?, term("the old term", old)?);
    let factor = greatest_common_divisor(new, old);
    match (u32::try_from(new / factor), u32::try_from(old / factor)) {
        (Ok(new), Ok(old)) => Split::new(symbol, ex_date, new, old).map_err(|error| error.to_string()),
        _ => Err(format!("{}:{} is not a split: the terms are too large", new / factor, old / factor)),
    }
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

/// Refuses what is valid JSON but no number, with a word about what it is.
pub(crate) fn number(name: &str, raw: &RawValue) -> Result<(), String> {
    let what = match raw.get().bytes().next() {
        Some(b'-' | b'0'..=b'9') => return Ok(()),
        Some(b'"') => "a text",
        Some(b'n') => "null",
        Some(b't' | b'f') => "a boolean",
        Some(b'[') => "a list",
        _ => "an object",
    };
    Err(format!("{name}: {what} where a number belongs"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use proptest::prelude::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).expect("JSON")
    }

    #[test]
    fn numbers_that_are_none_are_quoted_and_texts_are_left_alone() {
        for (body, quoted) in [
            (r#"[1,NaN,-Infinity,Infinity]"#, r#"[1,"NaN","-Infinity","Infinity"]"#),
            (r#"{"NaN":"a NaN \" NaN","b\\":NaN}"#, r#"{"NaN":"a NaN \" NaN","b\\":"NaN"}"#),
            (r#"{"a":1.5}"#, r#"{"a":1.5}"#),
            ("", ""),
        ] {
            assert_eq!(String::from_utf8(with_quoted_numbers(body.into())), Ok(quoted.to_owned()));
        }
    }

    #[test]
    fn a_price_never_goes_through_a_double() {
        let read = |text| price("close", &raw(text), 9).map(|price| price.nanos());
        assert_eq!(read("0.1"), Ok(100_000_000));
        assert_eq!(read("8999999.123456789"), Ok(8_999_999_123_456_789), "a double keeps 8999999.12345679");
        assert_eq!(
            price("close", &raw("255.69000244140625"), 4).map(|price| price.to_string()),
            Ok("255.69".into())
        );
    }

    fn widened(text: &str) -> String {
        widened_price("close", &raw(text)).expect("a price").to_string()
    }

    #[test]
    fn the_noise_of_single_precision_is_cut_and_nothing_else() {
        for (text, price) in [
            ("255.69000244140625", "255.69"),
            ("103.5999984741211", "103.6"),
            ("0.0001230000052601099", "0.000123"),
            ("0.08760000020265579", "0.0876"),
            ("0.123456", "0.123456"),
            ("0.123456789", "0.123456789"),
            ("0.30000000000000004", "0.3"),
            ("689.1", "689.1"),
            ("7", "7"),
            ("1.5e2", "150"),
        ] {
            assert_eq!(widened(text), price, "{text}");
        }
        for text in ["0", "-1.5", "1e999", "1e30", "\"1\"", "null"] {
            let error = widened_price("close", &raw(text)).expect_err(text);
            assert!(error.starts_with("close"), "{error}");
        }
    }

    proptest! {
        /// What was a decimal of six digits, as prices are, comes back through single precision and a double.
        #[test]
        fn a_price_of_six_digits_comes_back(digits in 1_u32..1_000_000, places in 0_usize..10) {
            let text = format!("{digits:0width$}", width = places + 1);
            let (whole, fraction) = text.split_at(text.len() - places);
            let decimal = format!("{whole}.{fraction}0");
            let single: f32 = decimal.parse().expect("a number");
            let expected: Price = decimal.parse().expect("a price");
            prop_assert_eq!(widened(&f64::from(single).to_string()), expected.to_string());
        }

        /// Of any single at all: what is stored is that single again, or as near as nine decimals come, and
        /// never more digits than tell singles apart.
        #[test]
        fn any_single_is_kept_by_as_few_digits_as_tell_it(bits in 0x3089_705F_u32..0x4B09_5440) {
            let single = f32::from_bits(bits);
            let price = widened(&f64::from(single).to_string());
            let stored: f64 = price.parse().expect("a number");
            let back: f32 = price.parse().expect("a number");
            let (distance, half_a_step) = ((stored - f64::from(single)).abs(), f64::from(single) * 6e-8);
            prop_assert!(back == single || distance <= 0.5e-9 + half_a_step, "{} of {}", price, single);
            let digits = price.replace('.', "");
            prop_assert!(digits.trim_matches('0').len() <= 9, "{} of {}", price, single);
        }

        /// A double that is no widened single keeps nine decimals.
        #[test]
        fn a_genuine_double_is_what_it_says(double in 1e-6..9e6_f64) {
            prop_assume!(f64::from(double as f32) != double);
            let text = double.to_string();
            let expected = Price::parse_rounded(&text, Price::PLACES).expect("a price");
            prop_assert_eq!(widened(&text), expected.to_string());
        }
    }

    #[test]
    fn what_is_no_usable_number_is_refused_with_its_name() {
        for text in ["\"12.5\"", "null", "true", "[1]", "{}", "0", "-1", "1e999", "1e18", "\"NaN\""] {
            let error = price("close", &raw(text), 9).expect_err(text);
            assert!(error.starts_with("close"), "{error}");
        }
        for text in ["\"12\"", "null", "-1", "1e999", "1e18"] {
            assert!(volume("volume", &raw(text)).is_err(), "{text}");
        }
        for text in ["-1", "1.5", "4294967296", "\"1\""] {
            assert!(optional_count("trades", Some(&raw(text))).is_err(), "{text}");
        }
    }

    #[test]
    fn an_optional_value_may_be_missing_null_or_zero() {
        for text in ["null", "0", "0.0"] {
            assert_eq!(optional_price("vwap", Some(&raw(text))), Ok(None), "{text}");
        }
        assert_eq!(optional_price("vwap", None), Ok(None));
        assert_eq!(optional_count("trades", Some(&raw("null"))), Ok(None));
        assert_eq!(optional_count("trades", Some(&raw("65"))), Ok(Some(65)));
    }

    #[test]
    fn decimal_split_terms_become_integers_without_a_common_factor() {
        let symbol: Symbol = "NVDA".parse().expect("a symbol");
        let terms = |new, old| {
            split(symbol, date(2024, 6, 10), &raw(new), &raw(old)).map(|split| (split.new, split.old))
        };
        assert_eq!(terms("10", "1"), Ok((10, 1)));
        assert_eq!(terms("1.5", "1"), Ok((3, 2)));
        assert_eq!(terms("1", "50"), Ok((1, 50)));
        assert_eq!(terms("1.0", "0.05"), Ok((20, 1)));
        for (new, old) in
            [("0", "1"), ("1", "1"), ("-2", "1"), ("1e12", "1"), ("\"2\"", "1"), ("2000003", "3")]
        {
            assert!(terms(new, old).is_err(), "{new}:{old}");
        }
    }
}
