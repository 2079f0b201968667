//! Bars that are not believed at once: prices and volumes that no market has, until another bar confirms
//! them.

use crate::market::metric::Metric;
use crate::statistics::window::Windows;
use crate::{Bar, Second};
use std::collections::HashMap;

/// A close so many times above or below the newest one, or a volume so many times above the largest of a day.
/// Providers have sent phantom prices; nothing listed moves like this within minutes, splits aside.
const ABSURD: i64 = 50;

/// Shares that no minute of one stock has traded. All US exchanges together trade ten to twenty times as many
/// in a whole day; the largest closing auctions, and the busiest minutes of stocks at fractions of a cent,
/// stay well below. So no real spike is ever held back, however quiet the stock was.
const UNHEARD_OF: i64 = 1_000_000_000;

/// Quarantines outliers: at most one bar of each symbol, which the next bar confirms or refutes.
///
/// A close is an outlier when it is at least 50 times above or below the newest one. A volume is one when it
/// is more than 10^9 shares and at least 50 times the largest of the last day. Another minute's bar confirms
/// it that is an outlier, too, and within a factor of 50 of it in both figures; one that is plausible refutes
/// it.
#[derive(Debug, Default)]
pub struct OutlierFilter {
    quarantined: HashMap<usize, Bar>,
    is_changed: bool,
}

/// What becomes of a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is taken, after the quarantined one that it confirms.
    Taken {
        /// The confirmed one.
        confirmed: Option<Bar>,
    },
    /// It waits for another one: what is not to be believed at once.
    Quarantined(Metric),
}

impl OutlierFilter {
    /// Judges a bar of symbol `symbol` by the windows it is to enter.
    pub fn admit(&mut self, symbol: usize, bar: &Bar, windows: &Windows) -> Admission {
        let before = self.quarantined.remove(&symbol);
        self.is_changed |= before.is_some();
        let Some(metric) = outlier(symbol, bar, windows) else { return Admission::Taken { confirmed: None } };
        let confirmed = before.filter(|before| before.start != bar.start && are_alike(before, bar));
        if confirmed.is_some() {
            return Admission::Taken { confirmed };
        }
        self.quarantined.insert(symbol, *bar);
        self.is_changed = true;
        Admission::Quarantined(metric)
    }

    /// Forgets what waits: other windows are filled now.
    pub fn clear(&mut self) {
        self.is_changed |= !self.quarantined.is_empty();
        self.quarantined.clear();
    }

    /// Has a bar wait that waited when it was kept.
    pub fn restore(&mut self, symbol: usize, bar: Bar) {
        self.quarantined.insert(symbol, bar);
    }

    /// What waits, by symbol and so each once, where that is not what it was when this was asked last.
    pub fn changed(&mut self) -> Option<Vec<Bar>> {
        let mut waiting: Vec<Bar> =
            std::mem::take(&mut self.is_changed).then(|| self.quarantined.values().copied().collect())?;
        waiting.sort_unstable_by_key(|bar| bar.symbol);
        Some(waiting)
    }
}

/// What of a bar is not to be believed at once.
fn outlier(symbol: usize, bar: &Bar, windows: &Windows) -> Option<Metric> {
    let newest = windows.newest(symbol);
    let price = newest.and_then(|newest| windows.value(symbol, newest, Metric::Price));
    if price.is_some_and(|price| are_apart(bar.close.nanos().into(), price)) {
        return Some(Metric::Price);
    }
    let volume = bar.volume.shares();
    // Far most bars are decided here.
    if volume <= UNHEARD_OF {
        return None;
    }
    let before = newest.map_or(Second::MIN, |newest| newest.plus_seconds(1));
    let day = windows.before(symbol, before, Metric::Volume).filter(|(start, _)| *start != bar.start);
    let largest = day.map(|(_, volume)| volume).max().unwrap_or(0);
    (i128::from(volume / ABSURD) >= largest).then_some(Metric::Volume)
}

fn are_alike(one: &Bar, other: &Bar) -> bool {
    let volume = |bar: &Bar| bar.volume.shares().max(UNHEARD_OF).into();
    !are_apart(one.close.nanos().into(), other.close.nanos().into()) && !are_apart(volume(one), volume(other))
}

/// Whether one of two values above 0 is at least 50 times the other.
fn are_apart(one: i128, other: i128) -> bool {
    one / i128::from(ABSURD) >= other || other / i128::from(ABSURD) >= one
}
