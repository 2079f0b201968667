//! What operators change of the configured watchlist.

use jiff::civil::date;
use qqq_core::market::watchlist::{ConfiguredWatchlist, FormerSymbol, WatchlistEdit};
use qqq_core::{Symbol, Watchlist};
use qqq_engine::watchlist::{EditError, Edited, WatchlistBasis, Watchlists};
use qqq_store::Store;
use std::sync::Arc;
use tempfile::TempDir;

fn symbol(text: &str) -> Symbol {
    text.parse().unwrap()
}

async fn store() -> (Arc<dyn Store>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = qqq_store::open(&format!("sqlite://{}/test.db", folder.path().display())).await.unwrap();
    (store, folder)
}

/// Lists of at most `most` symbols, with an old name without an end and one with an end.
fn lists(store: &Arc<dyn Store>, configured: &[&str], most: usize) -> Watchlists {
    let former = vec![
        FormerSymbol { former: symbol("OLD"), current: symbol("NEW"), until: None },
        FormerSymbol { former: symbol("SQ"), current: symbol("XYZ"), until: Some(date(2025, 1, 21)) },
    ];
    let configured =
        ConfiguredWatchlist { symbols: configured.iter().map(|one| symbol(one)).collect(), former };
    let admit = move |list: &Watchlist| match list.symbols().len() {
        length if length > most => Err(format!("{length} symbols are too many")),
        _ => Ok(()),
    };
    Watchlists::new(Arc::clone(store), WatchlistBasis { configured, admit: Arc::new(admit) })
}

async fn listed(lists: &Watchlists) -> String {
    let current = lists.current().await.unwrap();
    current.list.symbols().iter().map(Symbol::to_string).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_symbol_comes_and_goes_by_any_of_its_names_and_leaves_nothing_behind() {
    let (store, _folder) = store().await;
    let lists = lists(&store, &["AAPL", "MSFT"], 10);
    assert_eq!(lists.track(symbol("OLD")).await.unwrap(), Edited::Changed);
    assert_eq!(listed(&lists).await, "AAPL MSFT NEW");
    assert_eq!(lists.track(symbol("NEW")).await.unwrap(), Edited::Already);
    assert_eq!(lists.untrack(symbol("OLD")).await.unwrap(), Edited::Changed);
    assert_eq!(listed(&lists).await, "AAPL MSFT");
    assert_eq!(lists.current().await.unwrap().edits, [], "as it was");
    // Whoever has the ticker now is another one.
    lists.track(symbol("XYZ")).await.unwrap();
    assert_eq!(lists.track(symbol("SQ")).await.unwrap(), Edited::Changed);
    assert_eq!(listed(&lists).await, "AAPL MSFT XYZ SQ");
    lists.untrack(symbol("AAPL")).await.unwrap();
    lists.track(symbol("AAPL")).await.unwrap();
    assert_eq!(listed(&lists).await, "AAPL MSFT XYZ SQ", "where the configuration has it");
    lists.reset().await.unwrap();
    assert_eq!(listed(&lists).await, "AAPL MSFT");
}

#[tokio::test]
async fn what_cannot_be_watched_changes_nothing() {
    let (store, _folder) = store().await;
    let lists = lists(&store, &["AAPL", "MSFT"], 2);
    let refused = lists.track(symbol("NVDA")).await.unwrap_err();
    assert_eq!(refused.to_string(), "3 symbols are too many");
    assert!(matches!(lists.untrack(symbol("NVDA")).await, Err(EditError::NotTracked(_))));
    lists.untrack(symbol("MSFT")).await.unwrap();
    assert!(matches!(lists.untrack(symbol("AAPL")).await, Err(EditError::Invalid(_))), "the last one");
    assert_eq!(listed(&lists).await, "AAPL");
    assert_eq!(store.watchlist_version().await.unwrap(), 1);
}

#[tokio::test]
async fn edits_that_no_longer_fit_are_left_aside_and_the_next_change_takes_their_place() {
    let (store, _folder) = store().await;
    let wide = lists(&store, &["AAPL", "MSFT"], 4);
    for name in ["NVDA", "TSLA"] {
        wide.track(symbol(name)).await.unwrap();
    }
    // The plan takes three from now on.
    let narrow = lists(&store, &["AAPL", "MSFT"], 3);
    assert_eq!(listed(&narrow).await, "AAPL MSFT");
    assert_eq!(narrow.track(symbol("AMD")).await.unwrap(), Edited::Changed);
    assert_eq!(listed(&narrow).await, "AAPL MSFT AMD");
    let left = [WatchlistEdit { symbol: symbol("AMD"), tracked: true }];
    assert_eq!(narrow.current().await.unwrap().edits, left);
}
