//! Bars by the day they are of: those of a day that is over need not lie open first.

use qqq_core::{Bar, Calendar, Second, Symbol};
use qqq_engine::closing::day_over;
use qqq_store::SessionBars;
use std::collections::BTreeMap;
use std::ops::Range;

/// Fewer bars of a day than these are not worth writing its block anew for, as of a file that goes through
/// ten thousand symbols minute by minute: they are closed together at the end.
const LEAST: usize = 60;

/// Takes bars apart: those of days that are over at `now`, by symbol and day; and the others.
pub(super) fn by_session(bars: Vec<Bar>, calendar: &Calendar, now: Second) -> (Vec<SessionBars>, Vec<Bar>) {
    let mut open = Vec::new();
    let mut days: BTreeMap<(Symbol, Second), SessionBars> = BTreeMap::new();
    // Bars of a file are of the same day, mostly.
    let mut day: Option<Range<Second>> = None;
    for bar in bars {
        if !day.as_ref().is_some_and(|day| day.contains(&bar.start)) {
            day = day_over(calendar, bar.start, now);
        }
        let Some(range) = &day else {
            open.push(bar);
            continue;
        };
        days.entry((bar.symbol, range.start))
            .or_insert_with(|| SessionBars { symbol: bar.symbol, range: range.clone(), bars: Vec::new() })
            .bars
            .push(bar);
    }
    let (whole, parts): (Vec<_>, Vec<_>) = days.into_values().partition(|day| day.bars.len() >= LEAST);
    open.extend(parts.into_iter().flat_map(|day| day.bars));
    (whole, open)
}

#[cfg(test)]
mod tests {
    use super::*;
    use qqq_core::market::calendar::Market;

    #[test]
    fn bars_of_days_that_are_over_come_by_symbol_and_day() {
        let calendar = Calendar::new(Market::Xnys, false, []);
        let at = |text: &str| Second::minute_of(text.parse().unwrap());
        let price = "1".parse().unwrap();
        let bar = |symbol: &str, start: Second| Bar {
            symbol: symbol.parse().unwrap(),
            start,
            open: price,
            high: price,
            low: price,
            close: price,
            volume: qqq_core::Volume::ZERO,
            vwap: None,
            trades: None,
            feed: "sip".parse().unwrap(),
        };
        let days = ["2025-01-27T14:30:00Z", "2025-01-28T14:30:00Z", "2025-01-29T14:30:00Z"].map(at);
        let mut bars = Vec::new();
        for n in 0..100 {
            for day in days {
                bars.push(bar("AAPL", day.plus_minutes(n)));
                if n < 5 {
                    bars.push(bar("TSLA", day.plus_minutes(n)));
                }
            }
        }
        let (sessions, open) = by_session(bars.clone(), &calendar, at("2025-01-29T18:00:00Z"));
        let told: Vec<_> =
            sessions.iter().map(|one| (one.symbol.as_str(), one.range.start, one.bars.len())).collect();
        let midnights = [at("2025-01-27T05:00:00Z"), at("2025-01-28T05:00:00Z")];
        assert_eq!(told, midnights.map(|midnight| ("AAPL", midnight, 100)));
        // The day that runs, and the few of another symbol.
        assert_eq!(open.len(), 100 + 3 * 5);
        let mut all: Vec<Bar> = sessions.into_iter().flat_map(|one| one.bars).chain(open).collect();
        let key = |bar: &Bar| (bar.symbol, bar.start);
        all.sort_by_key(key);
        bars.sort_by_key(key);
        assert_eq!(all, bars);
    }
}
