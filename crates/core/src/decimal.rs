//! Decimal text to scaled integers and back, and their division, without a float in between.

/// What to do with digits beyond the places that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// Refuse the number: nothing may be lost.
    Refuse,
    /// Round half to even. For sources that widen binary floats (`255.69000244140625`).
    Round,
}

/// Why a text is not a usable decimal number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Empty, `NaN`, `Infinity`, hexadecimal, two points, letters, ...
    #[error("not a decimal number")]
    Syntax,
    /// Further from zero than the integer can hold.
    #[error("too large")]
    Overflow,
    /// More significant decimals than are kept, and [`Excess::Refuse`].
    #[error("more decimals than can be kept")]
    Inexact,
}

/// The integer nearest to `dividend / divisor`, of two equally near the even one. `dividend` is not negative,
/// `divisor` positive.
pub fn divide_half_even(dividend: i128, divisor: i128) -> i128 {
    let quotient = dividend / divisor;
    let twice = 2 * (dividend % divisor);
    let up = twice > divisor || (twice == divisor && quotient % 2 == 1);
    quotient + i128::from(up)
}

const MAX_DIGITS: usize = 40;
const MAX_EXPONENT: i32 = 60;

/// Parses JSON-style decimal text (`-12.5e3`) into an integer of `10^-places`.
///
/// `parse("1.25", 9, _)` is `1_250_000_000`. A leading `+`, blanks, and an empty integer or fraction part
/// (`.5`, `5.`) are refused, as JSON and CSV exports do not write them.
pub fn parse(text: &str, places: u32, excess: Excess) -> Result<i64, DecimalError> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
        None => (rest, 0),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return Err(DecimalError::Syntax),
        None => (mantissa, ""),
    };
    if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        return Err(DecimalError::Syntax);
    }

    // value = digits * 10^shift, in units of 10^-places
    let digits: Vec<u8> = whole
        .bytes()
        .chain(fraction.bytes())
        .map(|byte| byte - b'0')
        .skip_while(|&digit| digit == 0)
        .collect();
    let shift = exponent + places as i32 - fraction.len() as i32;
    let kept = digits.len() as i32 + shift.min(0);
    if digits.is_empty() {
        return Ok(0);
    }
    if digits.len() as i32 + shift > MAX_DIGITS as i32 {
        return Err(DecimalError::Overflow);
    }
    let kept = kept.max(0) as usize;
    let mut value: i128 = 0;
    for &digit in &digits[..kept] {
        value = value
            .checked_mul(10)
            .and_then(|v| v.checked_add(i128::from(digit)))
            .ok_or(DecimalError::Overflow)?;
    }
    for _ in 0..shift.max(0) {
        value = value.checked_mul(10).ok_or(DecimalError::Overflow)?;
    }
    let dropped = &digits[kept..];
    // Digits further right than the first dropped place: there are zeros before the first digit.
    let leading_zeros = (-(digits.len() as i32 + shift)).max(0);
    if dropped.iter().any(|&digit| digit != 0) {
        if excess == Excess::Refuse {
            return Err(DecimalError::Inexact);
        }
        let first = if leading_zeros > 0 { 0 } else { dropped[0] };
        let beyond = leading_zeros > 0 || dropped[1..].iter().any(|&digit| digit != 0);
        let up = match first.cmp(&5) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal => beyond || value % 2 == 1,
        };
        value += i128::from(up);
    }
    let value = if negative { -value } else { value };
    i64::try_from(value).map_err(|_| DecimalError::Overflow)
}

fn parse_exponent(text: &str) -> Result<i32, DecimalError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(DecimalError::Syntax);
    }
    let exponent: i32 = digits.parse().map_err(|_| DecimalError::Overflow)?;
    if exponent > MAX_EXPONENT {
        return Err(DecimalError::Overflow);
    }
    Ok(if text.starts_with('-') { -exponent } else { exponent })
}

/// Writes an integer of `10^-places` as the shortest exact decimal: `689.1`, `0.000000001`, `12`.
pub fn format(value: i128, places: u32, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    let unit = 10_u128.pow(places);
    let magnitude = value.unsigned_abs();
    let sign = if value < 0 { "-" } else { "" };
    write!(f, "{sign}{}", magnitude / unit)?;
    let fraction = magnitude % unit;
    if fraction != 0 {
        let text = format!("{fraction:0width$}", width = places as usize);
        write!(f, ".{}", text.trim_end_matches('0'))?;
    }
    Ok(())
}

/// The same as a text.
pub fn plain(value: impl Into<i128>, places: u32) -> String {
    struct Plain(i128, u32);
    impl std::fmt::Display for Plain {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            format(self.0, self.1, f)
        }
    }
    Plain(value.into(), places).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn exact(text: &str) -> Result<i64, DecimalError> {
        parse(text, 9, Excess::Refuse)
    }

    #[test]
    fn exact_texts() {
        assert_eq!(exact("1.25"), Ok(1_250_000_000));
        assert_eq!(exact("-0.000000001"), Ok(-1));
        assert_eq!(exact("1e2"), Ok(100_000_000_000));
        assert_eq!(exact("125E-2"), Ok(1_250_000_000));
        assert_eq!(exact("1.250000000000"), Ok(1_250_000_000));
        assert_eq!(exact("000.10"), Ok(100_000_000));
        assert_eq!(exact("0e99999"), Err(DecimalError::Overflow));
        assert_eq!(exact("0"), Ok(0));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "", "-", ".", "1.", ".5", "+1", " 1", "1 ", "NaN", "inf", "1e", "1e+", "0x10", "1,5", "1.2.3",
            "١",
        ] {
            assert_eq!(exact(text), Err(DecimalError::Syntax), "{text:?}");
        }
        for text in ["1e999", "1e60", "99999999999999999999", "-9e18"] {
            assert_eq!(exact(text), Err(DecimalError::Overflow), "{text:?}");
        }
        assert_eq!(exact("0.0000000001"), Err(DecimalError::Inexact));
    }

    #[test]
    fn halves_round_to_even() {
        assert_eq!(divide_half_even(5, 2), 2);
        assert_eq!(divide_half_even(7, 2), 4);
        assert_eq!(divide_half_even(8, 3), 3);
        assert_eq!(divide_half_even(7, 3), 2);
    }

    #[test]
    fn rounding_is_half_to_even() {
        let round = |text| parse(text, 2, Excess::Round);
        assert_eq!(round("1.005"), Ok(100));
        assert_eq!(round("1.015"), Ok(102));
        assert_eq!(round("1.0050000001"), Ok(101));
        assert_eq!(round("0.004"), Ok(0));
        assert_eq!(round("0.0051"), Ok(1));
        assert_eq!(round("0.00051"), Ok(0));
        assert_eq!(round("9.999"), Ok(1000));
        assert_eq!(round("-1.015"), Ok(-102));
        assert_eq!(round("5e-40"), Ok(0));
        assert_eq!(parse("255.69000244140625", 4, Excess::Round), Ok(2_556_900));
    }

    struct Shown(i64);
    impl std::fmt::Display for Shown {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            format(self.0.into(), 9, f)
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value: i64) {
            prop_assert_eq!(exact(&Shown(value).to_string()), Ok(value));
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,24}", places in 0_u32..12) {
            let _ = parse(&text, places, Excess::Round);
            let _ = parse(&text, places, Excess::Refuse);
        }

        #[test]
        fn numbers_of_any_form_do_not_panic(text in "-?[0-9]{0,45}(\\.[0-9]{0,45})?([eE][+-]?[0-9]{0,6})?") {
            let _ = parse(&text, 9, Excess::Round);
        }
    }
}
