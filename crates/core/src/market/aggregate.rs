//! Longer bars made of one-minute bars: aligned to the session, never to the UTC day, and exact.

use crate::UnknownWord;
use crate::decimal::divide_half_even;
use crate::{Bar, Calendar, FeedLabel, Price, Second};
use std::ops::Range;
use strum::{Display, EnumString, IntoStaticStr, VariantNames};

/// How much time a longer bar covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, IntoStaticStr, VariantNames)]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of::<Interval>)]
pub enum Interval {
    /// One minute: the bars as they are.
    #[default]
    #[strum(serialize = "1m")]
    OneMinute,
    /// Five minutes.
    #[strum(serialize = "5m")]
    FiveMinutes,
    /// Fifteen minutes.
    #[strum(serialize = "15m")]
    FifteenMinutes,
    /// One hour.
    #[strum(serialize = "1h")]
    OneHour,
    /// One trading day: all its minutes that count.
    #[strum(serialize = "1d")]
    OneDay,
}

crate::words::words!(Interval);

impl Interval {
    /// All of them, shortest first.
    pub const ALL: [Self; 5] =
        [Self::OneMinute, Self::FiveMinutes, Self::FifteenMinutes, Self::OneHour, Self::OneDay];

    /// How long a bucket is, minutes, unless the session ends before. `None` for the day, which is as long as
    /// what counts of it.
    pub const fn minutes(self) -> Option<i32> {
        match self {
            Self::OneMinute => Some(1),
            Self::FiveMinutes => Some(5),
            Self::FifteenMinutes => Some(15),
            Self::OneHour => Some(60),
            Self::OneDay => None,
        }
    }

    /// The minutes of the bucket that `minute` belongs to, or `None` where it does not count.
    ///
    /// Buckets begin at the session's open and follow each other; the last one ends with the session, however
    /// short that leaves it. Pre-market, regular and post-market minutes have buckets of their own, but for
    /// the day, which is one bucket of all that counts.
    pub fn bucket(self, calendar: &Calendar, minute: Second) -> Option<Range<Second>> {
        let day = calendar.date_of(minute);
        let tracked = calendar.tracked_on(day).filter(|tracked| tracked.contains(&minute))?;
        let Some(length) = self.minutes() else { return Some(tracked) };
        let session = calendar.session_on(day)?;
        let part =
            [session.pre_open..session.open, session.open..session.close, session.close..session.post_close]
                .into_iter()
                .find(|part| part.contains(&minute))?;
        let start = part.start.plus_minutes(minute.minutes_since(part.start) / length * length);
        Some(start..start.plus_minutes(length).min(part.end))
    }
}

/// What a symbol traded in one bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candle {
    /// The bucket's minutes, whether or not all of them traded.
    pub minutes: Range<Second>,
    /// Open of the first bar.
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Close of the last bar.
    pub close: Price,
    /// Shares traded.
    pub volume: i64,
    /// Volume-weighted average price, rounded once, half to even. `None` unless every bar has one and
    /// anything was traded.
    pub vwap: Option<Price>,
    /// Number of trades. `None` unless every bar has one.
    pub trades: Option<u64>,
    /// The feed all bars came from; `None` where they came from several.
    pub feed: Option<FeedLabel>,
}

impl From<&Bar> for Candle {
    /// The bar as it is.
    fn from(bar: &Bar) -> Self {
        Self {
            minutes: bar.start..bar.start.plus_minutes(1),
            open: bar.open,
            high: bar.high,
            low: bar.low,
            close: bar.close,
            volume: bar.volume.shares(),
            vwap: bar.vwap,
            trades: bar.trades.map(u64::from),
            feed: Some(bar.feed),
        }
    }
}

/// Makes longer bars of one symbol's bars, oldest first. Bars that do not count are passed over; a bucket
/// without a bar has no candle.
pub fn aggregate<'a>(
    calendar: &Calendar,
    interval: Interval,
    bars: impl IntoIterator<Item = &'a Bar>,
) -> Vec<Candle> {
    let mut candles = Vec::new();
    let mut open: Option<Sums> = None;
    for bar in bars {
        if let Some(sums) = open.as_mut().filter(|sums| sums.minutes.contains(&bar.start)) {
            sums.add(bar);
        } else if let Some(minutes) = interval.bucket(calendar, bar.start) {
            candles.extend(open.replace(Sums::of(bar, minutes)).map(Sums::candle));
        }
    }
    candles.extend(open.map(Sums::candle));
    candles
}

/// A bucket as it fills.
struct Sums {
    minutes: Range<Second>,
    open: Price,
    high: Price,
    low: Price,
    close: Price,
    volume: i64,
    /// Of vwap times volume: 1e-9 dollars times shares. A day's at most: 1500 * 9e15 * 1e12 = 1.4e31.
    traded: Option<i128>,
    trades: Option<u64>,
    feed: Option<FeedLabel>,
}

impl Sums {
    fn of(bar: &Bar, minutes: Range<Second>) -> Self {
        Self {
            minutes,
            open: bar.open,
            high: bar.high,
            low: bar.low,
            close: bar.close,
            volume: bar.volume.shares(),
            traded: traded(bar),
            trades: bar.trades.map(u64::from),
            feed: Some(bar.feed),
        }
    }

    fn add(&mut self, bar: &Bar) {
        self.high = self.high.max(bar.high);
        self.low = self.low.min(bar.low);
        self.close = bar.close;
        self.volume += bar.volume.shares();
        self.traded = self.traded.zip(traded(bar)).map(|(sum, more)| sum + more);
        self.trades = self.trades.zip(bar.trades).map(|(sum, more)| sum + u64::from(more));
        self.feed = self.feed.filter(|feed| *feed == bar.feed);
    }

    fn candle(self) -> Candle {
        let Self { minutes, open, high, low, close, volume, traded, trades, feed } = self;
        let vwap = traded.filter(|_| volume > 0).and_then(|traded| {
            let mean = divide_half_even(traded, i128::from(volume));
            // A mean of prices lies between them.
            i64::try_from(mean).ok().and_then(|nanos| Price::from_nanos(nanos).ok())
        });
        Candle { minutes, open, high, low, close, volume, vwap, trades, feed }
    }
}

fn traded(bar: &Bar) -> Option<i128> {
    bar.vwap.map(|vwap| i128::from(vwap.nanos()) * i128::from(bar.volume.shares()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::calendar::Market;

    fn bucket(interval: Interval, extended_hours: bool, minute: &str) -> Option<String> {
        let calendar = Calendar::new(Market::Xnas, extended_hours, []);
        let minute = Second::minute_of(minute.parse().unwrap());
        let bucket = interval.bucket(&calendar, minute)?;
        Some(format!("{} {}", bucket.start, bucket.end.minutes_since(bucket.start)))
    }

    #[test]
    fn buckets_begin_at_the_open_and_end_with_the_session() {
        use Interval::{FifteenMinutes, FiveMinutes, OneDay, OneHour, OneMinute};
        for (interval, minute, expected) in [
            (OneMinute, "2025-01-31T20:59:00Z", "2025-01-31T20:59:00Z 1"),
            (FiveMinutes, "2025-01-31T14:34:00Z", "2025-01-31T14:30:00Z 5"),
            (FifteenMinutes, "2025-01-31T15:00:00Z", "2025-01-31T15:00:00Z 15"),
            (OneHour, "2025-01-31T15:29:00Z", "2025-01-31T14:30:00Z 60"),
            (OneHour, "2025-01-31T20:59:00Z", "2025-01-31T20:30:00Z 30"),
            (OneDay, "2025-01-31T20:59:00Z", "2025-01-31T14:30:00Z 390"),
            // Summer time: an hour earlier by UTC, the same by the exchange.
            (OneHour, "2025-07-31T19:59:00Z", "2025-07-31T19:30:00Z 30"),
            // 13:00 New York ends the session of an early-close day.
            (OneHour, "2024-11-29T17:59:00Z", "2024-11-29T17:30:00Z 30"),
            (OneDay, "2024-11-29T15:00:00Z", "2024-11-29T14:30:00Z 210"),
        ] {
            assert_eq!(bucket(interval, false, minute).unwrap(), expected, "{interval} {minute}");
        }
        for minute in ["2025-01-31T14:29:00Z", "2025-01-31T21:00:00Z", "2025-02-01T16:00:00Z"] {
            assert_eq!(bucket(OneHour, false, minute), None, "{minute}");
        }
    }

    #[test]
    fn with_extended_hours_the_parts_of_a_day_do_not_mix_but_in_the_day_itself() {
        use Interval::{OneDay, OneHour};
        for (interval, minute, expected) in [
            (OneHour, "2025-01-31T14:29:00Z", "2025-01-31T14:00:00Z 30"),
            (OneHour, "2025-01-31T14:30:00Z", "2025-01-31T14:30:00Z 60"),
            (OneHour, "2025-01-31T20:59:00Z", "2025-01-31T20:30:00Z 30"),
            (OneHour, "2025-01-31T21:00:00Z", "2025-01-31T21:00:00Z 60"),
            (OneDay, "2025-01-31T09:00:00Z", "2025-01-31T09:00:00Z 960"),
        ] {
            assert_eq!(bucket(interval, true, minute).unwrap(), expected, "{interval} {minute}");
        }
    }

    #[test]
    fn intervals_are_read_as_they_are_written() {
        for interval in Interval::ALL {
            assert_eq!(interval.as_str().parse(), Ok(interval));
        }
        assert!("60m".parse::<Interval>().is_err());
    }
}
