//! Rules: what counts as unusual.
//!
//! One small typed grammar serves the API, the configuration, backtests and stored alerts: a kind and its
//! settings, `zscore z=4 window=30m`. As JSON the same rule is `{"kind":"zscore","z":4,"window":"30m"}`; both
//! go through [`Rule::of_fields`]. The canonical text names every setting, so that a default that changes
//! later changes no stored rule, and begins with the version of the grammar.
//!
//! Verdicts are exact and depend on a value and its [`Evidence`] alone: what an alert stores is enough to
//! compute its verdict again ([`Condition::holds`]).

mod definition;
mod grammar;
mod invalid;
mod kinds;
mod ranges;
mod spike;
mod verdict;

pub use definition::{
    AlertRule, Condition, Direction, Hours, MILLION, Origin, Rule, RuleName, Side, Trigger,
};
pub use grammar::Setting;
pub use invalid::InvalidRule;
pub use kinds::{Allowed, Choice, Kind};
pub use spike::{InvalidRatio, Ratio, SpikeRule};
pub use verdict::Evidence;
