//! Where the last sessions of each symbol closed: what an alert's change of the day is measured from. No
//! verdict looks at it.

use crate::market::calendar::Calendar;
use crate::{Bar, Price, Second};
use std::mem;
use std::ops::Range;

/// Sessions kept of a symbol: bars are judged until they are a day old, so those of the session before the
/// newest one want the close before theirs.
const KEPT: usize = 3;

/// The last regular bar of a session, as far as known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Close {
    /// When its session opened.
    session: Second,
    start: Second,
    price: Price,
}

/// The last closes of each symbol, of whatever feed: prices of different feeds are comparable.
#[derive(Clone, Debug)]
pub(super) struct Closes {
    calendar: Calendar,
    /// By symbol, of its newest session: apart from the others, because every bar looks there.
    newest: Vec<Option<Close>>,
    /// By symbol, of the sessions before, oldest first.
    earlier: Vec<Vec<Close>>,
    /// The day of the last bar, usually that of the next one too, and its regular session.
    today: (Range<Second>, Range<Second>),
}

impl Closes {
    /// Of no bar yet.
    pub(super) fn new(symbols: usize, calendar: Calendar) -> Self {
        let none = Second::MIN..Second::MIN;
        let (newest, earlier) = (vec![None; symbols], vec![Vec::new(); symbols]);
        Self { calendar, newest, earlier, today: (none.clone(), none) }
    }

    /// Lets a bar in, wherever in time it belongs. One outside a regular session changes nothing.
    #[inline]
    pub(super) fn insert(&mut self, symbol: usize, bar: &Bar) {
        if !self.today.0.contains(&bar.start) {
            self.today = self.day_of(bar.start);
        }
        let session = &self.today.1;
        if !session.contains(&bar.start) {
            return;
        }
        match &mut self.newest[symbol] {
            Some(newest) if newest.session == session.start => {
                if newest.start <= bar.start {
                    (newest.start, newest.price) = (bar.start, bar.close);
                }
            }
            _ => {
                let close = Close { session: session.start, start: bar.start, price: bar.close };
                self.insert_of_another_session(symbol, close);
            }
        }
    }

    #[cold]
    fn insert_of_another_session(&mut self, symbol: usize, close: Close) {
        let close = match &mut self.newest[symbol] {
            Some(newest) if newest.session < close.session => mem::replace(newest, close),
            Some(_) => close,
            none => {
                *none = Some(close);
                return;
            }
        };
        let earlier = &mut self.earlier[symbol];
        match earlier.iter_mut().find(|known| known.session == close.session) {
            Some(known) if known.start > close.start => {}
            Some(known) => *known = close,
            None => {
                let place = earlier.partition_point(|known| known.session < close.session);
                earlier.insert(place, close);
                earlier.drain(..earlier.len().saturating_sub(KEPT - 1));
            }
        }
    }

    /// The last regular price of the trading day before that of `minute`.
    pub(super) fn before(&self, symbol: usize, minute: Second) -> Option<Price> {
        let day = self.calendar.trading_days_before(self.calendar.date_of(minute)).next()?;
        let session = self.calendar.session_on(day)?.open;
        let mut known = self.earlier[symbol].iter().chain(&self.newest[symbol]);
        known.find(|close| close.session == session).map(|close| close.price)
    }

    /// Converts what is known from before `from`: a split.
    pub(super) fn rescale(&mut self, symbol: usize, from: Second, price: impl Fn(Price) -> Price) {
        let known = self.earlier[symbol].iter_mut().chain(&mut self.newest[symbol]);
        for close in known.filter(|close| close.start < from) {
            close.price = price(close.price);
        }
    }

    #[cold]
    fn day_of(&self, minute: Second) -> (Range<Second>, Range<Second>) {
        let date = self.calendar.date_of(minute);
        let midnight = self.calendar.midnight(date);
        let end = date.tomorrow().map_or(midnight, |next| self.calendar.midnight(next));
        let session = self.calendar.session_on(date);
        (midnight..end, session.map_or(midnight..midnight, |session| session.open..session.close))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::calendar::Market;
    use crate::{FeedLabel, Volume};

    fn at(text: &str) -> Second {
        Second::minute_of(text.parse().unwrap())
    }

    fn bar(start: &str, dollars: i64) -> Bar {
        let price = Price::from_nanos(dollars * Price::DOLLAR).unwrap();
        Bar {
            symbol: "NVDA".parse().unwrap(),
            start: at(start),
            open: price,
            high: price,
            low: price,
            close: price,
            volume: Volume::from_shares(1).unwrap(),
            vwap: None,
            trades: None,
            feed: FeedLabel::new("test").unwrap(),
        }
    }

    #[test]
    fn a_day_is_measured_from_the_last_regular_price_of_the_trading_day_before() {
        let mut closes = Closes::new(1, Calendar::new(Market::Xnas, true, []));
        // Friday, its evening, and Monday, in no order.
        for (start, dollars) in [
            ("2025-01-24T20:59:00Z", 142),
            ("2025-01-24T20:58:00Z", 141),
            ("2025-01-24T21:30:00Z", 150),
            ("2025-01-27T14:31:00Z", 124),
            ("2025-01-23T20:59:00Z", 147),
        ] {
            closes.insert(0, &bar(start, dollars));
        }
        let before = |closes: &Closes, minute: &str| {
            closes.before(0, at(minute)).map(|price| price.nanos() / Price::DOLLAR)
        };
        assert_eq!(before(&closes, "2025-01-27T18:57:00Z"), Some(142));
        assert_eq!(before(&closes, "2025-01-27T12:00:00Z"), Some(142), "before the open, too");
        assert_eq!(before(&closes, "2025-01-24T15:00:00Z"), Some(147));
        assert_eq!(before(&closes, "2025-01-23T15:00:00Z"), None);
        closes.insert(0, &bar("2025-01-24T20:59:00Z", 143));
        assert_eq!(before(&closes, "2025-01-27T18:57:00Z"), Some(143), "corrected");
        closes.rescale(0, at("2025-01-27T05:00:00Z"), |price| Price::from_nanos(price.nanos() / 10).unwrap());
        assert_eq!(before(&closes, "2025-01-27T18:57:00Z"), Some(14));
        assert_eq!(before(&closes, "2025-01-28T15:00:00Z"), Some(124), "after the split");
        closes.insert(0, &bar("2025-01-28T15:00:00Z", 128));
        assert_eq!(before(&closes, "2025-01-24T15:00:00Z"), None, "as many as are needed are kept");
    }
}
