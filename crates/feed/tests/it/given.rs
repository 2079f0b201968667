//! What the tests take as given: symbols, times, clocks, configurations.

use proptest::prelude::*;
use qqq_core::{Bar, Cadence, Clock, FeedLabel, Price, Second, Symbol, Volume};
use qqq_feed::{Alpaca, AlpacaConfig, Iex, IexConfig, Yahoo, YahooConfig};
use qqq_testkit::SetClock;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

pub(crate) fn symbol(text: &str) -> Symbol {
    text.parse().expect("a symbol")
}

pub(crate) fn symbols(text: &str) -> Vec<Symbol> {
    text.split(' ').map(symbol).collect()
}

pub(crate) fn minute(text: &str) -> Second {
    Second::at_minute(text.parse().expect("a time")).expect("the start of a minute")
}

/// 2025-01-31, 10:00 to 10:30 New York.
pub(crate) fn half_hour() -> Range<Second> {
    minute("2025-01-31T15:00:00Z")..minute("2025-01-31T15:30:00Z")
}

/// A clock that stands at 2025-01-31, 10:30 New York.
pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SetClock::new(half_hour().end.start()))
}

/// Longer than any answer takes on a busy machine.
pub(crate) const PATIENT: Duration = Duration::from_secs(30);

pub(crate) fn alpaca_config(base_url: &Url) -> AlpacaConfig {
    AlpacaConfig {
        base_url: base_url.clone(),
        stream_url: None,
        key_id: "KEY-OF-A-TEST".to_owned(),
        secret_key: "SECRET-OF-A-TEST".to_owned(),
        feed: "iex".to_owned(),
        requests_per_minute: 6000,
        timeout: PATIENT,
        stream: true,
        cadence: Cadence::Sixty,
    }
}

pub(crate) fn yahoo_config(base_url: &Url) -> YahooConfig {
    YahooConfig { base_url: base_url.clone(), requests_per_minute: 60_000, timeout: PATIENT }
}

pub(crate) fn iex_config(base_url: &Url) -> IexConfig {
    IexConfig {
        base_url: base_url.join("stable").expect("an address"),
        token: "TOKEN-OF-A-TEST".to_owned(),
        requests_per_minute: 6000,
        timeout: PATIENT,
    }
}

pub(crate) fn alpaca(base_url: &Url) -> Alpaca {
    Alpaca::new(alpaca_config(base_url), clock()).expect("a provider")
}

pub(crate) fn yahoo(base_url: &Url) -> Yahoo {
    Yahoo::new(yahoo_config(base_url), clock()).expect("a provider")
}

pub(crate) fn iex(base_url: &Url) -> Iex {
    Iex::new(iex_config(base_url), clock()).expect("a provider")
}

/// Whatever can be a bar.
pub(crate) fn any_bar(feed: FeedLabel) -> impl Strategy<Value = Bar> {
    let price = 1..=Price::MAX.nanos();
    (
        "[A-Z][A-Z0-9.-]{0,11}",
        Second::MIN.minute()..Second::MAX.minute(),
        [price.clone(), price.clone(), price.clone(), price.clone()],
        0..=Volume::MAX.shares(),
        proptest::option::of(price),
        proptest::option::of(any::<u32>()),
    )
        .prop_map(move |(symbol, start, mut prices, volume, vwap, trades)| {
            prices.sort_unstable();
            let [low, open, close, high] = prices.map(|nanos| Price::from_nanos(nanos).expect("a price"));
            Bar {
                symbol: self::symbol(&symbol),
                start: Second::from_minute(start),
                open,
                high,
                low,
                close,
                volume: Volume::from_shares(volume).expect("a volume"),
                vwap: vwap.map(|nanos| Price::from_nanos(nanos).expect("a price")),
                trades,
                feed,
            }
        })
}
