//! Bars that show how far a long command has come, on a terminal; elsewhere nothing.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal as _;

/// Of so many bytes.
pub fn of_bytes(total: u64) -> ProgressBar {
    bar(total, "{bar:40} {bytes} of {total_bytes}, {eta} left")
}

/// Of so many symbols. The message says how many bars they have.
pub fn of_symbols(total: u64) -> ProgressBar {
    bar(total, "{bar:40} {pos} of {len} symbols, {msg}")
}

fn bar(total: u64, template: &str) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(total), target).with_style(style)
}
