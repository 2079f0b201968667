//! Symbols in the order of a figure.

use crate::read_model::ticker::Ticker;
use qqq_core::{Figures, Metric, Symbol};
use std::sync::Arc;

/// Which figure a ranking is by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub(crate) enum Figured {
    RelativeStdev,
    Stdev,
}

impl Figured {
    pub(crate) const ALL: [Self; 2] = [Self::RelativeStdev, Self::Stdev];

    pub(crate) fn of(self, figures: &Figures) -> Option<f64> {
        match self {
            Self::RelativeStdev => figures.relative_stdev,
            Self::Stdev => figures.stdev,
        }
    }
}

/// The order of a ranking: largest first, ties by symbol, symbols without a value last.
pub(crate) fn rank(tickers: &[Arc<Ticker>], metric: Metric, by: Figured) -> Vec<u32> {
    let mut order: Vec<(Option<f64>, Symbol, u32)> = tickers
        .iter()
        .zip(0_u32..)
        .map(|(ticker, index)| {
            (ticker.figures(metric).and_then(|figures| by.of(&figures)), ticker.symbol, index)
        })
        .collect();
    order.sort_unstable_by(|(one, symbol, _), (other, other_symbol, _)| {
        match (one, other) {
            (Some(one), Some(other)) => other.total_cmp(one),
            (one, other) => other.is_some().cmp(&one.is_some()),
        }
        .then(symbol.cmp(other_symbol))
    });
    order.into_iter().map(|(_, _, index)| index).collect()
}
