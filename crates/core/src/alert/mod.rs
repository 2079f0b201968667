//! Alerts: what was unusual, and the evidence for it.

pub mod backtest;
mod closes;
mod cooldown;
pub mod detector;
pub mod sessions;

pub use crate::market::metric::{Metric, MetricSet, Shown, Unit};

use crate::UnknownWord;
use crate::rule::{AlertRule, Evidence};
use crate::{FeedLabel, Price, Second, Symbol};
use jiff::Timestamp;
use std::fmt;
use std::str::FromStr;
use strum::{Display, EnumString, IntoStaticStr, VariantNames};
use uuid::Uuid;

/// The identity of an alert: a function of (rule, symbol, metric, bar start) and nothing else, so the same
/// bar seen again, replayed, or seen by two workers names the same alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertId(Uuid);

/// Namespace of every derived id (UUID version 5, RFC 9562 section 5.5). Drawn once; never to change.
pub(crate) const NAMESPACE: Uuid = Uuid::from_u128(0x7d1c_3e5a_90b4_4f6e_8a27_51c6_e0f3_9b42);

impl AlertId {
    /// Derives the identity. `rule` is a [`RuleName`](crate::RuleName), or its text.
    pub fn derive(rule: impl fmt::Display, symbol: Symbol, metric: Metric, start: Second) -> Self {
        // Minutes, as long as there were none but theirs; what begins within one adds its seconds.
        let (minute, seconds) = (start.minute(), start.unix().rem_euclid(60));
        let within = if seconds == 0 { String::new() } else { format!(".{seconds}") };
        let name = format!("alert|{rule}|{symbol}|{metric}|{minute}{within}");
        Self(Uuid::new_v5(&NAMESPACE, name.as_bytes()))
    }

    pub(crate) fn uuid(&self) -> &Uuid {
        &self.0
    }
}

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for AlertId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

/// Whether an alert still stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of::<AlertState>)]
pub enum AlertState {
    /// It stands.
    Raised,
    /// A correction of its own bar took its ground away.
    Retracted,
}

crate::words::words!(AlertState);

/// Who may read an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Visibility {
    /// Everybody: a rule of the house's raised it.
    Public,
    /// Those who subscribe to its rule: it is somebody's own.
    Private,
}

/// A bar that qualified while the alert was open: the alert's own, or one counted during its cool-down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// The bar's minute.
    pub start: Second,
    /// Its value, in the metric's integer units.
    pub value: i128,
}

/// Something unusual, with its evidence: enough to compute the verdict again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Derived from rule, symbol, metric and start.
    pub id: AlertId,
    /// The rule it was raised by, whole.
    pub rule: AlertRule,
    /// The ticker.
    pub symbol: Symbol,
    /// What the rule looked at.
    pub metric: Metric,
    /// The bar's minute, UTC.
    pub start: Second,
    /// The bar's value when judged: 1e-9 dollars, shares or trades.
    pub value: i128,
    /// What the value was compared with when judged.
    pub evidence: Evidence,
    /// The feed of the bar.
    pub feed: FeedLabel,
    /// How often the bar had been revised when judged.
    pub revision: u32,
    /// Whether it still stands.
    pub state: AlertState,
    /// When it was raised, by the feed's clock.
    pub raised_at: Timestamp,
    /// Who may read it. No part of its identity: the first that raises it decides.
    pub visibility: Visibility,
    /// Its own bar and those counted during the cool-down, by minute, but for those that are folded. Never
    /// empty while raised.
    pub occurrences: Vec<Occurrence>,
    /// Those counted so long ago that they are kept as one.
    pub folded: Folded,
    /// The price at the bar's end when it was judged. `None` of alerts from before it was kept.
    pub close: Option<Price>,
    /// The regular close of the trading day before, as known then.
    pub previous_close: Option<Price>,
}

/// Occurrences that are kept as one: a long cool-down must not make an alert grow with every bar. What is
/// folded is final: a correction of such a bar changes the count no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// How many.
    pub count: u32,
    /// The largest value of them.
    pub peak: i128,
    /// The minute of the latest of them. `None` where there are none.
    pub until: Option<Second>,
}

impl Alert {
    /// What the value was held against, in dollars or shares: the trailing average, an earlier price, a
    /// level, a median. `None` of an empty window.
    pub fn baseline(&self) -> Option<f64> {
        let (value, parts) = self.evidence.baseline()?;
        Some(value as f64 / (f64::from(parts) * self.metric.units() as f64))
    }

    /// The value over its baseline. `None` where that is 0 or absent.
    pub fn ratio(&self) -> Option<f64> {
        let (value, parts) = self.evidence.baseline().filter(|&(value, _)| value > 0)?;
        Some(self.value as f64 * f64::from(parts) / value as f64)
    }

    /// Whether its rule comes to the same verdict by the evidence kept.
    pub fn holds(&self) -> bool {
        self.rule.rule().condition.holds(self.metric, self.value, &self.evidence)
    }

    /// Bars that qualified: its own and those counted during the cool-down.
    pub fn count(&self) -> usize {
        self.occurrences.len() + self.folded.count as usize
    }

    /// The largest value among these, in the metric's units.
    pub fn peak(&self) -> i128 {
        let kept = self.occurrences.iter().map(|occurrence| occurrence.value);
        let folded = self.folded.until.map(|_| self.folded.peak);
        kept.chain(folded).max().unwrap_or(self.value)
    }

    /// By how much the price had changed since the close before: 1e-9 dollars, and per cent.
    pub fn day_change(&self) -> Option<(i64, f64)> {
        Some(self.close?.change_since(self.previous_close?))
    }

    /// Whether everybody may read it.
    pub fn is_public(&self) -> bool {
        self.visibility == Visibility::Public
    }
}

/// What happened to an alert in a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlertChange {
    /// It is new: whoever subscribed is owed a message.
    Raised(Alert),
    /// A bar was counted on it, corrected, or taken off: only `occurrences` and `folded` differ.
    Counted(Alert),
    /// Its own bar was corrected away: those who were told are owed a follow-up.
    Retracted(Alert),
}

impl AlertChange {
    /// The alert as it now stands.
    pub fn alert(&self) -> &Alert {
        match self {
            Self::Raised(alert) | Self::Counted(alert) | Self::Retracted(alert) => alert,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_function_of_its_four_inputs() {
        let id = |rule, symbol: &str, metric, start| {
            AlertId::derive(rule, symbol.parse().unwrap(), metric, Second::from_minute(start))
        };
        let one = id("spike", "AAPL", Metric::Volume, 7);
        assert_eq!(one, id("spike", "AAPL", Metric::Volume, 7));
        // Pinned: were it to change, every stored alert would be raised a second time.
        assert_eq!(one.to_string(), "f781bcc6-15b4-57da-b522-3b1126688157");
        for other in [
            id("spike2", "AAPL", Metric::Volume, 7),
            id("spike", "AAP", Metric::Volume, 7),
            id("spike", "AAPL", Metric::Price, 7),
            id("spike", "AAPL", Metric::Volume, 8),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn values_show_exactly() {
        assert_eq!(Metric::Volume.show_square(35_u8.into()), "35");
        assert_eq!(Metric::Price.show_square(2_250_000_000_000_000_000_u128.into()), "2.25");
        assert_eq!(Metric::Price.show_square(3_000_000_000_000_000_001_u128.into()), "3.000000000000000001");
        assert_eq!(Metric::Price.show_square(0_u8.into()), "0");
        assert_eq!(Metric::Price.show(118_580_000_000_i64).to_string(), "118.58");
        assert_eq!(Metric::Volume.show(9_637_512).to_string(), "9637512");
    }
}
