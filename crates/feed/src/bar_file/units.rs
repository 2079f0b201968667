//! In which units the prices of a file are, and what brings them into today's.
//!
//! Without a word they are those of the bar's own day. A column `splits` says what they were brought over
//! since; what was split-adjusted by whoever made the file is left as it is. A split that the file tells of
//! and nobody knew of is told before the first bar that was brought over it: bars from before it are in older
//! units.

use super::column::Column;
use super::refusal::Refusal;
use jiff::civil::Date;
use qqq_core::{Bar, Split, Splits, Symbol};

/// What brings bars into today's units.
#[derive(Clone, Debug, Default)]
pub struct Units {
    /// The splits that are known.
    pub splits: Splits,
    /// Whether the prices are in today's units already, whatever a column says.
    pub split_adjusted: bool,
}

impl Units {
    /// A bar of `day` (New York) in today's units, and the splits it tells of that were not known before.
    /// `told` is the cell of the column `splits`.
    pub(super) fn take(&mut self, bar: Bar, day: Date, told: &str) -> Result<(Vec<Split>, Bar), Refusal> {
        if self.split_adjusted {
            return Ok((Vec::new(), bar));
        }
        let applied = of_cell(bar.symbol, told)?;
        let mut new = Vec::new();
        for &split in &applied {
            match self.splits.insert(split) {
                Ok(true) => new.push(split),
                Ok(false) => {}
                Err(known) => {
                    let what = format!("`{split}` of {} is known as `{known}`", bar.symbol);
                    return Err(Refusal::of_column(Column::Splits, "other terms than are known", what));
                }
            }
        }
        let bar = self.splits.adjust(&bar, day, &applied);
        Ok((new, bar))
    }
}

/// `10:1@2024-06-10 4:1@2021-07-20`
fn of_cell(symbol: Symbol, text: &str) -> Result<Vec<Split>, Refusal> {
    let split = |text: &str| {
        let (terms, day) = text.split_once('@')?;
        let (new, old) = terms.split_once(':')?;
        Split::new(symbol, day.parse().ok()?, new.parse().ok()?, old.parse().ok()?).ok()
    };
    text.split_whitespace()
        .map(|one| split(one).ok_or_else(|| Refusal::of_cell(Column::Splits, one, "is no split")))
        .collect()
}
