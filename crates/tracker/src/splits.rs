//! Splits that commands over files must know: those of a file, and those of the store.

use crate::config::Config;
use crate::store;
use anyhow::Context as _;
use jiff::civil::Date;
use qqq_core::{Split, Splits, Watchlist};
use qqq_feed::split_file;
use qqq_store::Store;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Those of a file, of tracked symbols, by the symbols of today. One that is still to come changes no units
/// yet: it is said, and passed over.
pub async fn of_file(path: &Path, watchlist: &Watchlist, today: Date) -> anyhow::Result<Vec<Split>> {
    let path: PathBuf = path.to_owned();
    let read = tokio::task::spawn_blocking(move || split_file::open(&path)).await?.context("--splits")?;
    let mut splits = Vec::new();
    for split in read.iter() {
        let Ok(symbol) = watchlist.resolve_on(split.symbol, split.ex_date) else { continue };
        if split.ex_date > today {
            let _ = writeln!(std::io::stderr(), "warning: {split} of {symbol} is still to come");
        } else {
            splits.push(Split { symbol, ..*split });
        }
    }
    Ok(splits)
}

/// Those a store knows.
pub async fn of_store(store: &dyn Store) -> anyhow::Result<Splits> {
    Ok(store.splits().await?.into_iter().map(|record| record.split).collect())
}

/// Those of the configured store, where there is one.
pub async fn of_any_store(config: &Config) -> anyhow::Result<Splits> {
    let Some(store) = store::existing(config).await? else { return Ok(Splits::default()) };
    let splits = of_store(&*store).await;
    store.close().await;
    splits
}
