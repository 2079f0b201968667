//! What the feeds promise, tested from outside.

mod csv_file;
mod replay;
mod simulated_market;
