//! What is looked at: the list and where in it, or one symbol and its interval.

use crate::market::Market;
use std::cmp::Ordering;

/// What the list is sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Order {
    /// Most unusual first.
    #[default]
    Unusual,
    /// As on the watchlist.
    Watchlist,
    /// The day's change, largest first.
    Change,
    /// By symbol.
    Symbol,
}

impl Order {
    /// The next one, in turn.
    pub(crate) fn next(self) -> Self {
        match self {
            Self::Unusual => Self::Change,
            Self::Change => Self::Symbol,
            Self::Symbol => Self::Watchlist,
            Self::Watchlist => Self::Unusual,
        }
    }

    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Unusual => "most unusual first",
            Self::Watchlist => "as on the watchlist",
            Self::Change => "by the day's change",
            Self::Symbol => "by symbol",
        }
    }
}

/// How long a bar of the chart is.
pub(crate) const INTERVALS: [&str; 5] = ["1m", "5m", "15m", "1h", "1d"];

/// Which screen is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Page {
    /// The watchlist and the alerts.
    #[default]
    Summary,
    /// One symbol.
    Symbol,
}

/// Where somebody is.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    pub(crate) page: Page,
    /// The symbol that is marked; the first of the list until one is.
    pub(crate) marked: Option<String>,
    pub(crate) order: Order,
    /// Of [`INTERVALS`].
    pub(crate) interval: usize,
    /// Whether volumes are drawn under the chart.
    pub(crate) hides_volumes: bool,
    pub(crate) shows_help: bool,
    /// What the list is narrowed to, while or after it is typed.
    pub(crate) filter: String,
    pub(crate) is_typing: bool,
}

impl View {
    /// The symbols of the list, in its order.
    pub(crate) fn listed(&self, market: &Market) -> Vec<usize> {
        let wanted = self.filter.to_uppercase();
        let mut listed: Vec<usize> = (0..market.symbols.len())
            .filter(|&index| {
                let one = &market.symbols[index];
                let name = one.name.as_deref().unwrap_or_default().to_uppercase();
                one.symbol.contains(&wanted) || name.contains(&wanted)
            })
            .collect();
        let largest = |one: Option<f64>, other: Option<f64>| {
            let known = |value: Option<f64>| value.unwrap_or(f64::NEG_INFINITY);
            known(other).partial_cmp(&known(one)).unwrap_or(Ordering::Equal)
        };
        let symbols = &market.symbols;
        match self.order {
            Order::Watchlist => {}
            Order::Symbol => listed.sort_by(|&one, &other| symbols[one].symbol.cmp(&symbols[other].symbol)),
            Order::Change => {
                let change = |index: usize| symbols[index].day_change.map(|change| change.percent);
                listed.sort_by(|&one, &other| largest(change(one), change(other)));
            }
            Order::Unusual => {
                // In halves, so that rows move when something happened and not with every trade.
                let score = |index: usize| symbols[index].unusual.score.map(|score| (score * 2.0).round());
                listed.sort_by(|&one, &other| largest(score(one), score(other)));
            }
        }
        listed
    }

    /// The symbol that is marked, where the list has one.
    pub(crate) fn marked<'a>(&self, market: &'a Market) -> Option<&'a str> {
        let listed = self.listed(market);
        let is_listed = |symbol: &str| listed.iter().any(|&index| market.symbols[index].symbol == symbol);
        let marked = self.marked.as_deref().filter(|symbol| is_listed(symbol));
        let symbol = marked.or_else(|| Some(market.symbols[*listed.first()?].symbol.as_str()))?;
        market.symbol(symbol).map(|one| one.symbol.as_str())
    }

    /// Marks the symbol so many further down, or up; beyond an end, the one at the end.
    pub(crate) fn step(&mut self, market: &Market, by: isize) {
        let listed = self.listed(market);
        let marked = self.marked(market).map(str::to_owned);
        let at = listed.iter().position(|&index| Some(&market.symbols[index].symbol) == marked.as_ref());
        let Some(last) = listed.len().checked_sub(1) else { return };
        let to = at.unwrap_or(0).saturating_add_signed(by).min(last);
        self.marked = Some(market.symbols[listed[to]].symbol.clone());
    }
}
