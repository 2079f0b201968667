//! Numbers as people, spreadsheets and web pages write them: `.66`, `1,000`, `1.2M`, `121,66`.

use qqq_core::decimal::{self, DecimalError, Excess};

/// What stands between the whole and the fraction of a file's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mark {
    /// `121.66`; commas group thousands.
    #[default]
    Point,
    /// `121,66`; points group thousands. Only where the separator is no comma.
    Comma,
}

impl Mark {
    fn decimal(self) -> char {
        if self == Self::Point { '.' } else { ',' }
    }

    fn grouping(self) -> char {
        if self == Self::Point { ',' } else { '.' }
    }

    /// What the prices of a file say. One mark with three digits behind it may group thousands: it counts
    /// only where no price says more, and then as the decimal one.
    pub(super) fn of_prices<'a>(prices: impl Iterator<Item = &'a str>) -> Self {
        let mut likely = None;
        for price in prices {
            let (points, commas) = (price.matches('.').count(), price.matches(',').count());
            let (mark, at) = match (price.rfind('.'), price.rfind(',')) {
                (Some(point), Some(comma)) if point > comma => return Self::Point,
                (Some(_), Some(_)) => return Self::Comma,
                (Some(point), None) => (Self::Point, point),
                (None, Some(comma)) => (Self::Comma, comma),
                (None, None) => continue,
            };
            if points + commas > 1 {
                return if mark == Self::Point { Self::Comma } else { Self::Point };
            }
            let could_group = price.len() - at == 4 && (1..=3).contains(&at) && !price.starts_with('0');
            if !could_group {
                return mark;
            }
            likely = likely.or(Some(mark));
        }
        likely.unwrap_or_default()
    }
}

/// An integer of `10^-places`, rounded half to even.
pub(super) fn number(text: &str, mark: Mark, places: u32) -> Result<i64, DecimalError> {
    read(text, mark, 0, places, Excess::Round)
}

/// A count, where `K`, `M`, `B` and `T` may stand for thousands, millions, and so on: `1.2M` is exactly
/// 1,200,000.
pub(super) fn count(text: &str, mark: Mark, excess: Excess) -> Result<i64, DecimalError> {
    let magnitude = |last: u8| match last.to_ascii_uppercase() {
        b'K' => Some(3),
        b'M' => Some(6),
        b'B' => Some(9),
        b'T' => Some(12),
        _ => None,
    };
    match text.as_bytes().last().copied().and_then(magnitude) {
        Some(magnitude) => read(text[..text.len() - 1].trim_end(), mark, magnitude, 0, excess),
        None => read(text, mark, 0, 0, excess),
    }
}

/// `text * 10^magnitude` as an integer of `10^-places`.
fn read(text: &str, mark: Mark, magnitude: i32, places: u32, excess: Excess) -> Result<i64, DecimalError> {
    // As programs write it: nearly always.
    if mark == Mark::Point && magnitude == 0 {
        let plain = decimal::parse(text, places, excess);
        if plain != Err(DecimalError::Syntax) {
            return plain;
        }
    }
    let plain = plain(text, mark, magnitude).ok_or(DecimalError::Syntax)?;
    decimal::parse(&plain, places, excess)
}

/// The same number as [`decimal::parse`] takes it.
fn plain(text: &str, mark: Mark, magnitude: i32) -> Option<String> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let rest = rest.strip_prefix('$').unwrap_or(rest).trim_start();
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some(_) if magnitude != 0 => return None,
        Some((mantissa, exponent)) => (mantissa, exponent.to_owned()),
        None => (rest, magnitude.to_string()),
    };
    let (whole, fraction) = mantissa.split_once(mark.decimal()).unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole = ungrouped(whole, mark.grouping())?;
    let whole = if whole.is_empty() { "0" } else { &whole };
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{sign}{whole}{point}{fraction}e{exponent}"))
}

/// Digits without what groups them by thousands; `None` where the groups are none.
fn ungrouped(whole: &str, grouping: char) -> Option<String> {
    let separators = [grouping, '\'', '\u{2019}', ' ', '\u{a0}', '\u{202f}', '_'];
    let Some(separator) = whole.chars().find(|letter| separators.contains(letter)) else {
        return Some(whole.to_owned());
    };
    let mut groups = whole.split(separator);
    let first = groups.next()?;
    let is_grouped = (1..=3).contains(&first.len()) && groups.all(|group| group.len() == 3);
    is_grouped.then(|| whole.split(separator).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NINE: u32 = 9;

    #[test]
    fn what_people_write_is_read_exactly() {
        for (text, nanos) in [
            (".66", 660_000_000),
            ("66.", 66_000_000_000),
            ("+1", 1_000_000_000),
            ("$121.66", 121_660_000_000),
            ("1,234.5", 1_234_500_000_000),
            ("1'234.5", 1_234_500_000_000),
            ("1\u{202f}234.5", 1_234_500_000_000),
            ("1,234,567", 1_234_567_000_000_000),
            ("1.5e2", 150_000_000_000),
            (".5e1", 5_000_000_000),
            ("-.5", -500_000_000),
            ("121.66000366210938", 121_660_003_662),
            ("0.0000000005", 0),
            ("0.0000000015", 2),
        ] {
            assert_eq!(number(text, Mark::Point, NINE), Ok(nanos), "{text}");
        }
        for (text, nanos) in [
            ("121,66", 121_660_000_000),
            (",66", 660_000_000),
            ("1.234,5", 1_234_500_000_000),
            ("1 234,5", 1_234_500_000_000),
            ("1.234.567", 1_234_567_000_000_000),
            ("12", 12_000_000_000),
            ("1,5e2", 150_000_000_000),
        ] {
            assert_eq!(number(text, Mark::Comma, NINE), Ok(nanos), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "",
            ".",
            ",",
            "-",
            "$",
            "1,00",
            "1,0000",
            "12,34,567",
            ",100",
            "1,,000",
            "1.2.3",
            "1,2,3",
            "121,66",
            "1 2",
            "NaN",
            "1e",
            "e5",
            "1.2M",
            "0x10",
            "--1",
            "1,000'000",
            "1.5e2.5",
            "1234,567",
        ] {
            assert_eq!(number(text, Mark::Point, NINE), Err(DecimalError::Syntax), "{text}");
        }
        for text in ["121.66", "1,2,3", "1.00", "1,000.5"] {
            assert_eq!(number(text, Mark::Comma, NINE), Err(DecimalError::Syntax), "{text}");
        }
        for text in ["M", "1.2MM", "1e3K", "K1", "-"] {
            assert_eq!(count(text, Mark::Point, Excess::Round), Err(DecimalError::Syntax), "{text}");
        }
    }

    #[test]
    fn magnitudes_are_exact() {
        for (text, shares) in [
            ("1.2M", 1_200_000),
            ("1.2m", 1_200_000),
            ("2.345 K", 2_345),
            ("0.1B", 100_000_000),
            (".5T", 500_000_000_000),
            ("1,000K", 1_000_000),
            ("1000.0", 1_000),
            ("1e6", 1_000_000),
            ("1.0E+6", 1_000_000),
        ] {
            assert_eq!(count(text, Mark::Point, Excess::Refuse), Ok(shares), "{text}");
        }
        assert_eq!(count("1,2M", Mark::Comma, Excess::Refuse), Ok(1_200_000));
        assert_eq!(count("1.2345M", Mark::Point, Excess::Refuse), Ok(1_234_500));
        assert_eq!(count("1.2345K", Mark::Point, Excess::Refuse), Err(DecimalError::Inexact));
        assert_eq!(count("1.2345K", Mark::Point, Excess::Round), Ok(1_234));
    }

    #[test]
    fn the_prices_of_a_file_say_which_mark_is_the_decimal_one() {
        for (prices, mark) in [
            (&["121,66"][..], Mark::Comma),
            (&["121.66"], Mark::Point),
            (&["12", "121.660", "121,6"], Mark::Comma),
            (&["1.234", "1.234,5"], Mark::Comma),
            (&["1,234", "1,234.5"], Mark::Point),
            (&["1.234.567"], Mark::Comma),
            (&["121,660"], Mark::Comma),
            (&["121.660"], Mark::Point),
            (&["0,660"], Mark::Comma),
            (&["1234"], Mark::Point),
            (&[], Mark::Point),
        ] {
            assert_eq!(Mark::of_prices(prices.iter().copied()), mark, "{prices:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC{0,16}", comma in any::<bool>()) {
            let mark = if comma { Mark::Comma } else { Mark::Point };
            let _ = (number(&text, mark, NINE), count(&text, mark, Excess::Round));
            let _ = Mark::of_prices([text.as_str()].into_iter());
        }

        #[test]
        fn grouped_numbers_are_those_without_groups(
            whole in 0_i64..1_000_000_000,
            cents in 0_i64..100,
            comma in any::<bool>(),
        ) {
            let (mark, group, point) = if comma { (Mark::Comma, '.', ',') } else { (Mark::Point, ',', '.') };
            let digits = whole.to_string();
            let grouped: String = digits.char_indices().flat_map(|(at, digit)| {
                let begins = at > 0 && (digits.len() - at) % 3 == 0;
                begins.then_some(group).into_iter().chain([digit])
            }).collect();
            prop_assert_eq!(number(&format!("{grouped}{point}{cents:02}"), mark, 2), Ok(whole * 100 + cents));
        }
    }
}
