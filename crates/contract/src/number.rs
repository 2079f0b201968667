//! Numbers in JSON, never through a double.

use serde_json::value::RawValue;
use std::fmt::Display;

/// A number, digit by digit as given. `None`, and so `null`, where the text is no number of JSON.
pub fn exact(number: impl Display) -> Option<Box<RawValue>> {
    RawValue::from_string(number.to_string()).ok()
}

/// A percentage as it is told.
pub fn four_decimals(percent: f64) -> f64 {
    (percent * 1e4).round() / 1e4
}
