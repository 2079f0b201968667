//! What symbols are called.

use super::*;

fn told(at: &str, wanted: &[(&str, &str)]) -> SymbolNames {
    let names = wanted.iter().map(|&(symbol, name)| (symbol.parse().unwrap(), name.to_owned()));
    SymbolNames { told: Some(at.parse().unwrap()), names: names.collect() }
}

pub async fn names_of_symbols_come_back_as_they_were_told_last(store: Shared) {
    assert_eq!(store.symbol_names().await.unwrap(), SymbolNames::default());
    assert_eq!(store.symbol_names_told().await.unwrap(), None);
    for wished in [
        told(
            "2025-01-27T15:00:00Z",
            &[("AAPL", "Apple Inc."), ("BRK.B", "Berkshire \"B\""), ("T", "AT&T\\")],
        ),
        told(
            "2025-01-28T15:00:00Z",
            &[("AAPL", "Apple Inc."), ("META", "Meta Platforms, Inc."), ("T", "é…")],
        ),
        told("2025-01-29T15:00:00Z", &[]),
        told("2025-01-26T15:00:00Z", &[("BTC-USD", "O'Bitcoin")]),
    ] {
        store.keep_symbol_names(&wished.names, wished.told.unwrap()).await.unwrap();
        assert_eq!(store.symbol_names().await.unwrap(), wished);
        assert_eq!(store.symbol_names_told().await.unwrap(), wished.told);
    }
}

pub async fn a_list_of_all_symbols_is_kept_and_changed_in_one_go(store: Shared) {
    let all = |text: &str| {
        let names =
            (0..30_000).map(|number| (format!("S{number}").parse().unwrap(), format!("{text} {number}")));
        SymbolNames { told: Some(Timestamp::UNIX_EPOCH), names: names.collect() }
    };
    let before = store.sequence().await.unwrap();
    for wished in [all("One"), all("Another"), all("Another")] {
        store.keep_symbol_names(&wished.names, Timestamp::UNIX_EPOCH).await.unwrap();
        assert_eq!(store.symbol_names().await.unwrap(), wished);
    }
    assert_eq!(store.sequence().await.unwrap(), before, "no commit that readers of bars follow");
}
