//! What windows add up, exactly: values of 64 bits, whose squared changes fit 128 bits over a day, and
//! values of up to 94 bits, whose squared changes want 256.

use ethnum::U256;
use std::fmt::Debug;
use std::ops::{Add, AddAssign, Sub, SubAssign};

/// A value as a lane keeps it: 0 or more.
pub(super) trait Number:
    Copy + PartialEq + Debug + From<u8> + Into<i128> + Add<Output = Self> + Sub<Output = Self>
{
    /// A square of a difference, or a sum of such.
    type Square: Copy
        + PartialEq
        + Debug
        + Add<Output = Self::Square>
        + Sub<Output = Self::Square>
        + AddAssign
        + SubAssign;

    /// All its bits are 0, so that a gap needs no memory until it is written to.
    const ZERO: Self;
    /// No square at all.
    const NO_SQUARE: Self::Square;

    /// The value as it is added up.
    #[inline]
    fn wide(self) -> i128 {
        self.into()
    }
    /// `(self - other)^2`.
    fn square_of_change(self, other: Self) -> Self::Square;
    /// The nearest double of `changes * squares - telescoped`.
    fn scatter(changes: u32, squares: Self::Square, telescoped: Self::Square) -> f64;
}

/// At most 9e15: the squares of 86,400 changes stay below 2^123.
impl Number for i64 {
    type Square = u128;

    const ZERO: Self = 0;
    const NO_SQUARE: u128 = 0;

    #[inline]
    fn square_of_change(self, other: Self) -> u128 {
        let difference = u128::from(self.abs_diff(other));
        difference * difference
    }

    #[inline]
    fn scatter(changes: u32, squares: u128, telescoped: u128) -> f64 {
        if fits(changes, squares) {
            to_f64(u128::from(changes) * squares - telescoped)
        } else {
            wide_scatter(changes, squares.into(), telescoped.into())
        }
    }
}

/// At most 9e27, the dearest price times the largest volume: the squares of 86,400 changes stay below 2^203.
impl Number for i128 {
    type Square = U256;

    const ZERO: Self = 0;
    const NO_SQUARE: U256 = U256::ZERO;

    #[inline]
    fn square_of_change(self, other: Self) -> U256 {
        let difference = self.abs_diff(other);
        match u64::try_from(difference) {
            Ok(short) => U256::new(u128::from(short) * u128::from(short)),
            Err(_) => U256::new(difference) * U256::new(difference),
        }
    }

    #[inline]
    fn scatter(changes: u32, squares: U256, telescoped: U256) -> f64 {
        let (high, low) = squares.into_words();
        if high == 0 && fits(changes, low) {
            to_f64(u128::from(changes) * low - *telescoped.low())
        } else {
            wide_scatter(changes, squares, telescoped)
        }
    }
}

/// Whether their product has at most 128 bits.
#[inline]
fn fits(changes: u32, squares: u128) -> bool {
    changes.leading_zeros() + squares.leading_zeros() >= u32::BITS
}

#[inline(never)]
fn wide_scatter(changes: u32, squares: U256, telescoped: U256) -> f64 {
    nearest(squares * U256::from(changes) - telescoped)
}

/// The nearest double. The general conversion is a library call; nearly all sums fit the short one.
#[inline]
pub(super) fn to_f64(value: u128) -> f64 {
    i64::try_from(value).map_or_else(|_| wide(value), |short| short as f64)
}

/// Not inlined: it would be called for short values, too, to have a choice without a branch.
#[inline(never)]
fn wide(value: u128) -> f64 {
    value as f64
}

/// The nearest double: of the upper 128 bits, the last of which stands for everything below it. That is far
/// beyond the 53 bits of a double, so no tie is made or lost.
fn nearest(value: U256) -> f64 {
    let (high, _) = value.into_words();
    let below = 128 - high.leading_zeros();
    let upper = value >> below;
    let is_exact = upper << below == value;
    (*upper.low() | u128::from(!is_exact)) as f64 * 2_f64.powi(below as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigUint;
    use num_traits::ToPrimitive as _;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_wide_integer_becomes_its_nearest_double(
            high in any::<u128>(),
            low in any::<u128>(),
            shift in 0..256_u32,
        ) {
            let value = U256::from_words(high, low) >> shift;
            let exact = BigUint::from_bytes_le(&value.to_le_bytes()).to_f64();
            prop_assert_eq!(Some(nearest(value)), exact);
        }

        #[test]
        fn both_widths_scatter_alike(
            changes in 2..86_400_u32,
            squares in 0..=u128::MAX >> 18,
            part in 0..=100_u128,
        ) {
            let telescoped = squares / 100 * part;
            let narrow = i64::scatter(changes, squares, telescoped);
            prop_assert_eq!(narrow, i128::scatter(changes, squares.into(), telescoped.into()));
        }
    }
}
