//! Why a row is no bar: in full, and what it has in common with other rows.

use super::column::Column;
use qqq_core::Symbol;
use std::fmt;

/// Why a row is no bar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The same for all rows with this fault: `column close: is not a decimal number`.
    pub(super) kind: String,
    /// With the value, and what is allowed.
    pub(super) reason: String,
}

impl Refusal {
    /// Of a row as a whole.
    pub(super) fn of_row(what: String) -> Self {
        Self { kind: what.clone(), reason: what }
    }

    /// Of what stands in a column.
    pub(super) fn of_cell(column: Column, text: &str, what: impl fmt::Display) -> Self {
        let name = column.name();
        let reason = format!("column {name}: `{}` {what}; allowed is {}", shown(text), allowed(column));
        Self { kind: format!("column {name}: {what}"), reason }
    }

    /// Of a column, whose message says all.
    pub(super) fn of_column(column: Column, kind: &str, what: impl fmt::Display) -> Self {
        let name = column.name();
        Self { kind: format!("column {name}: {kind}"), reason: format!("column {name}: {what}") }
    }

    pub(super) fn no_text(column: Column) -> Self {
        Self::of_row(format!("column {}: not UTF-8 text", column.name()))
    }
}

/// What the cells of a column may hold.
fn allowed(column: Column) -> &'static str {
    match column {
        Column::Symbol => Symbol::ALLOWED,
        Column::Start => "the start of a minute from 1900 to 2199, such as 2025-01-31T20:59:00Z",
        Column::Open | Column::High | Column::Low | Column::Close | Column::Vwap => {
            "a decimal above 0, at most 9,000,000"
        }
        Column::Volume => "a number of shares from 0 to 10^12",
        Column::Trades => "nothing or a whole number from 0 to 4294967295",
        Column::Feed => "nothing or 1 to 16 of a-z, 0-9, `_` and `-`",
        Column::Splits => {
            "nothing or what the prices were brought over: 10:1@2024-06-10, more of them behind blanks"
        }
    }
}

/// The beginning of a text from outside, fit for a message.
fn shown(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
}
