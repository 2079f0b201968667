//! What operators change of the configured watchlist.

use super::*;
use qqq_core::market::watchlist::WatchlistEdit;

fn edits(wanted: &[(&str, bool)]) -> Vec<WatchlistEdit> {
    let edit = |&(name, tracked): &(&str, bool)| WatchlistEdit { symbol: name.parse().unwrap(), tracked };
    wanted.iter().map(edit).collect()
}

pub async fn edits_of_the_watchlist_come_back_in_their_order(store: Shared) {
    assert_eq!(store.watchlist_edits().await.unwrap(), WatchlistEdits::default());
    let wishes = [
        edits(&[("NVDA", true), ("AAPL", false)]),
        edits(&[("TSLA", true), ("AAPL", false), ("NVDA", false)]),
        edits(&[("AAPL", true)]),
        Vec::new(),
    ];
    for (version, wished) in (0..).zip(wishes) {
        assert_eq!(store.watchlist_version().await.unwrap(), version);
        assert!(store.edit_watchlist(&wished, version).await.unwrap());
        let known = WatchlistEdits { version: version + 1, edits: wished };
        assert_eq!(store.watchlist_edits().await.unwrap(), known);
    }
}

pub async fn an_edit_of_a_watchlist_that_changed_meanwhile_is_none(store: Shared) {
    let first = edits(&[("NVDA", true)]);
    assert!(store.edit_watchlist(&first, 0).await.unwrap());
    for stale in [0, 2, u64::MAX] {
        assert!(!store.edit_watchlist(&edits(&[("NVDA", false)]), stale).await.unwrap(), "{stale}");
    }
    let known = WatchlistEdits { version: 1, edits: first };
    assert_eq!(store.watchlist_edits().await.unwrap(), known);
}

pub async fn of_edits_at_the_same_time_one_is_taken(one: Shared, other: Shared) {
    let wishes = [edits(&[("NVDA", true)]), edits(&[("NVDA", false)])];
    for version in 0..20 {
        let (first, second) =
            tokio::join!(one.edit_watchlist(&wishes[0], version), other.edit_watchlist(&wishes[1], version),);
        let (first, second) = (first.unwrap(), second.unwrap());
        assert!(first != second, "{first} {second}");
        let known = WatchlistEdits { version: version + 1, edits: wishes[usize::from(second)].clone() };
        assert_eq!(other.watchlist_edits().await.unwrap(), known);
    }
}
