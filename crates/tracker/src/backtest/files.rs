//! The bars of files, by symbol and time, each minute as its last row has it.

use anyhow::bail;
use qqq_core::{Bar, Calendar, Second, Watchlist};
use qqq_feed::bar_file::{self, ReadOptions, Row};
use std::io::Write as _;
use std::ops::Range;
use std::path::PathBuf;

/// Most bars of one backtest: they are sorted in memory, about 130 bytes each. A decade of ten symbols.
const MAX_BARS: usize = 10_000_000;
/// The label of bars whose file says none, as an import gives it.
pub(super) const UNLABELLED: &str = "import";
/// Rejected rows told one by one; the count tells of the rest.
const SHOWN: u64 = 10;

/// Bars by symbol and start, one of each minute.
pub(super) struct Found(Vec<Bar>);

impl Found {
    /// The bars of each symbol, oldest first.
    pub(super) fn by_symbol(&self) -> impl Iterator<Item = &[Bar]> {
        self.0.chunk_by(|one, next| one.symbol == next.symbol)
    }

    /// From the first bar of all to the end of the last. `None` without any.
    pub(super) fn range(&self) -> Option<Range<Second>> {
        let starts = || self.0.iter().map(|bar| bar.start);
        starts().min().zip(starts().max()).map(|(first, last)| first..last.plus_minutes(1))
    }

    /// Brings bars as they were read into order. Of two of one minute, the later is a correction.
    fn of(mut bars: Vec<Bar>) -> Self {
        bars.sort_by_key(|bar| (bar.symbol, bar.start));
        bars.dedup_by(|next, kept| {
            let is_same = (next.symbol, next.start) == (kept.symbol, kept.start);
            if is_same {
                *kept = *next;
            }
            is_same
        });
        Self(bars)
    }
}

/// Reads what files and folders hold of the symbols of a watchlist in some minutes that count. Tells of rows
/// that are no bars or of other symbols, and ends where a file cannot be read to its end.
pub(super) fn read(
    paths: &[PathBuf],
    mut options: ReadOptions,
    watchlist: &Watchlist,
    calendar: &Calendar,
    within: Range<Second>,
) -> anyhow::Result<Found> {
    let (mut bars, mut rejected, mut not_tracked) = (Vec::new(), 0, 0_u64);
    let say = |line: String| {
        let _ = writeln!(std::io::stderr(), "{line}");
    };
    for source in bar_file::sources(paths) {
        let mut file = source?.open(&options)?.tracked_by(watchlist, calendar);
        for row in file.by_ref() {
            match row? {
                Row::Bar(bar) if !within.contains(&bar.start) || !calendar.counts(bar.start) => {}
                Row::Bar(_) if bars.len() == MAX_BARS => {
                    bail!("the files hold more than {MAX_BARS} bars: import them, and test what is stored")
                }
                Row::Bar(bar) => bars.push(bar),
                Row::Split(split) => split.rescale(&mut bars, calendar),
                Row::NotTracked(_) => not_tracked += 1,
                Row::Rejected(reject) => {
                    if rejected < SHOWN {
                        say(format!("rejected {}: {}", reject.place, reject.reason));
                    }
                    rejected += 1;
                }
            }
        }
        options.units = file.units().clone();
    }
    if rejected > SHOWN {
        say(format!("{rejected} rows were rejected"));
    }
    if not_tracked > 0 {
        say(format!("{not_tracked} rows are of other symbols (--symbol, watchlist.symbols)"));
    }
    Ok(Found::of(bars))
}

#[cfg(test)]
mod tests {
    use super::*;
    use qqq_core::{Price, Volume};

    #[test]
    fn of_every_minute_the_last_row_counts_wherever_it_stands() {
        let bar = |symbol: &str, minute, close| {
            let close = Price::from_nanos(close).unwrap();
            let (open, high, low) = (close, close, close);
            let (symbol, feed) = (symbol.parse().unwrap(), "import".parse().unwrap());
            let start = Second::from_minute(minute);
            Bar {
                symbol,
                start,
                open,
                high,
                low,
                close,
                volume: Volume::from_shares(1).unwrap(),
                vwap: None,
                trades: None,
                feed,
            }
        };
        let rows = vec![bar("B", 2, 1), bar("A", 3, 2), bar("B", 1, 3), bar("B", 2, 4), bar("A", 3, 5)];
        let found = Found::of(rows);
        let told: Vec<Vec<Bar>> = found.by_symbol().map(<[Bar]>::to_vec).collect();
        assert_eq!(told, [vec![bar("A", 3, 5)], vec![bar("B", 1, 3), bar("B", 2, 4)]]);
        assert_eq!(found.range(), Some(Second::from_minute(1)..Second::from_minute(4)));
        assert_eq!(Found::of(Vec::new()).range(), None);
    }
}
