//! The figures of contract section 2, as doubles: the one rounding at the end.

mod lane;
pub mod outlier;
pub mod profile;
mod sums;
pub mod unusual;
pub mod window;

use crate::{FeedLabel, Metric, Second, Symbol};

/// What is known of one metric at a symbol's newest bar. Dollars or shares; `None` where the definition has
/// no value.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Sample standard deviation (n - 1) of the changes between the bars of the last 24 h.
    pub stdev: Option<f64>,
    /// `stdev` over the mean of the values of the last 24 h.
    pub relative_stdev: Option<f64>,
    /// Mean of the bars of the 60 minutes before the newest bar, which is not in it.
    pub trailing_average: Option<f64>,
    /// The newest value over `trailing_average`.
    pub ratio: Option<f64>,
    /// Bars in the trailing window.
    pub window_bars: u32,
}

/// What is known of each tracked metric of a symbol at its newest bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// The ticker.
    pub symbol: Symbol,
    /// Start of the newest bar.
    pub start: Second,
    /// Feed of the bars.
    pub feed: FeedLabel,
    /// Of the closes, dollars.
    pub price: Figures,
    /// Of the volumes, shares.
    pub volume: Figures,
    /// Of every further metric that is tracked, in the order of [`Metric::ALL`].
    pub further: Vec<(Metric, Figures)>,
}

impl Statistics {
    /// The figures of one metric, where it is tracked.
    pub fn of(&self, metric: Metric) -> Option<Figures> {
        self.iter().find(|(known, _)| *known == metric).map(|(_, figures)| figures)
    }

    /// Those of every metric that is tracked, in the order of [`Metric::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Metric, Figures)> {
        let pair = [(Metric::Price, self.price), (Metric::Volume, self.volume)];
        pair.into_iter().chain(self.further.iter().copied())
    }
}
