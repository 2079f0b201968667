//! The check of a bar's row: what SQLite does not look at.
//!
//! SQLite finds a page whose shape is wrong, not a price with another bit. So each row of `bars` carries a
//! CRC-32 over what the bar says (docs/adr/0031). It is no secret and no signature: it is against disks.

use crate::StoreError;
use qqq_core::Bar;

/// What stands in the rows of earlier versions until they get their check. No check is negative.
pub(super) const NONE_YET: i64 = -1;

/// CRC-32 over symbol, start, prices, volume, vwap, trades and feed. What the row says of its history, the
/// revision and the commit, is not under it.
pub(super) fn of(bar: &Bar) -> i64 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(bar.symbol.as_str().as_bytes());
    let prices = [bar.open, bar.high, bar.low, bar.close].map(|price| price.nanos());
    let vwap = bar.vwap.map_or(0, |price| price.nanos());
    // One number each, and no two bars the same numbers: prices are above zero, and a count of trades is not
    // negative.
    let numbers = [bar.volume.shares(), vwap, bar.trades.map_or(-1, i64::from), bar.start.minute().into()];
    // Bars began with a minute once, and their checks stay: only what lies within one is told besides.
    let within = bar.start.unix().rem_euclid(60);
    for number in prices.into_iter().chain(numbers).chain((within != 0).then_some(within)) {
        crc.update(&number.to_le_bytes());
    }
    crc.update(bar.feed.as_str().as_bytes());
    crc.finalize().into()
}

/// Fails where a row does not say any more what was written.
pub(super) fn verify(bar: &Bar, stored: i64) -> Result<(), StoreError> {
    if stored == NONE_YET || stored == of(bar) {
        return Ok(());
    }
    Err(StoreError::Corrupt {
        table: "bars",
        reason: format!(
            "the bar of {} at {} is not what was written (its checksum differs). \
             Import the bars of that day again, which mends it, or bring back a backup",
            bar.symbol, bar.start
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{MINUTE, bar};
    use qqq_core::{Price, Volume};

    #[test]
    fn whatever_a_bar_says_is_under_its_check() {
        let bar = bar("TSLA", MINUTE, 100).bar;
        let price = |nanos: i64| Price::from_nanos(nanos).unwrap();
        let others = [
            Bar { symbol: "TSLB".parse().unwrap(), ..bar },
            Bar { start: MINUTE.plus_minutes(1), ..bar },
            Bar { start: MINUTE.plus_seconds(1), ..bar },
            Bar { open: price(bar.open.nanos() ^ 1), ..bar },
            Bar { high: price(bar.high.nanos() ^ 1), ..bar },
            Bar { low: price(bar.low.nanos() ^ 1), ..bar },
            Bar { close: price(bar.close.nanos() ^ 1), ..bar },
            Bar { volume: Volume::from_shares(bar.volume.shares() ^ 1).unwrap(), ..bar },
            Bar { vwap: Some(price(1)), ..bar },
            Bar { trades: Some(0), ..bar },
            Bar { feed: "other".parse().unwrap(), ..bar },
        ];
        for other in others {
            assert_ne!(other, bar);
            assert_ne!(of(&other), of(&bar), "{other:?}");
            assert!(verify(&other, of(&bar)).is_err());
        }
        verify(&bar, of(&bar)).unwrap();
        verify(&bar, NONE_YET).unwrap();
    }
}
