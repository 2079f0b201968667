//! Longer bars made of those that come: aligned to the session, never to the UTC day, and exact.

use crate::UnknownWord;
use crate::decimal::divide_half_even;
use crate::{Bar, Cadence, Calendar, FeedLabel, Price, Second};
use std::ops::Range;
use strum::{Display, EnumString, IntoStaticStr, VariantNames};

/// How much time a longer bar covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, IntoStaticStr, VariantNames)]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of::<Interval>)]
pub enum Interval {
    /// A second.
    #[strum(serialize = "1s")]
    OneSecond,
    /// Five seconds.
    #[strum(serialize = "5s")]
    FiveSeconds,
    /// Ten seconds.
    #[strum(serialize = "10s")]
    TenSeconds,
    /// Fifteen seconds.
    #[strum(serialize = "15s")]
    FifteenSeconds,
    /// Half a minute.
    #[strum(serialize = "30s")]
    ThirtySeconds,
    /// One minute.
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
    pub const ALL: [Self; 10] = [
        Self::OneSecond,
        Self::FiveSeconds,
        Self::TenSeconds,
        Self::FifteenSeconds,
        Self::ThirtySeconds,
        Self::OneMinute,
        Self::FiveMinutes,
        Self::FifteenMinutes,
        Self::OneHour,
        Self::OneDay,
    ];

    /// How long a bucket is, seconds, unless the session ends before. `None` for the day, which is as long as
    /// what counts of it.
    pub const fn seconds(self) -> Option<i64> {
        match self {
            Self::OneSecond => Some(1),
            Self::FiveSeconds => Some(5),
            Self::TenSeconds => Some(10),
            Self::FifteenSeconds => Some(15),
            Self::ThirtySeconds => Some(30),
            Self::OneMinute => Some(60),
            Self::FiveMinutes => Some(5 * 60),
            Self::FifteenMinutes => Some(15 * 60),
            Self::OneHour => Some(60 * 60),
            Self::OneDay => None,
        }
    }

    /// That of the bars that come.
    pub const fn of(cadence: Cadence) -> Self {
        match cadence {
            Cadence::One => Self::OneSecond,
            Cadence::Five => Self::FiveSeconds,
            Cadence::Ten => Self::TenSeconds,
            Cadence::Fifteen => Self::FifteenSeconds,
            Cadence::Thirty => Self::ThirtySeconds,
            Cadence::Sixty => Self::OneMinute,
        }
    }

    /// Whether bars of this interval can be made of those that come: its buckets hold whole ones.
    pub const fn is_made_of(self, cadence: Cadence) -> bool {
        match self.seconds() {
            Some(seconds) => seconds % cadence.seconds() == 0,
            None => true,
        }
    }

    /// The bucket that `at` belongs to, or `None` where it does not count.
    ///
    /// Buckets begin at the session's open and follow each other; the last one ends with the session, however
    /// short that leaves it. Pre-market, regular and post-market minutes have buckets of their own, but for
    /// the day, which is one bucket of all that counts.
    pub fn bucket(self, calendar: &Calendar, at: Second) -> Option<Range<Second>> {
        let day = calendar.date_of(at);
        let tracked = calendar.tracked_on(day).filter(|tracked| tracked.contains(&at))?;
        let Some(length) = self.seconds() else { return Some(tracked) };
        let session = calendar.session_on(day)?;
        let part =
            [session.pre_open..session.open, session.open..session.close, session.close..session.post_close]
                .into_iter()
                .find(|part| part.contains(&at))?;
        let start = part.start.plus_seconds(at.seconds_since(part.start) / length * length);
        Some(start..start.plus_seconds(length).min(part.end))
    }
}

/// What a symbol traded in one bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candle {
    /// The bucket, whether or not all of it traded.
    pub span: Range<Second>,
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

impl Candle {
    /// A bar as it came.
    pub fn of(bar: &Bar, cadence: Cadence) -> Self {
        Self {
            span: bar.start..cadence.after(bar.start),
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
        if let Some(sums) = open.as_mut().filter(|sums| sums.span.contains(&bar.start)) {
            sums.add(bar);
        } else if let Some(span) = interval.bucket(calendar, bar.start) {
            candles.extend(open.replace(Sums::of(bar, span)).map(Sums::candle));
        }
    }
    candles.extend(open.map(Sums::candle));
    candles
}

/// A bucket as it fills.
struct Sums {
    span: Range<Second>,
    open: Price,
    high: Price,
    low: Price,
    close: Price,
    volume: i64,
    /// Of vwap times volume: 1e-9 dollars times shares. A day's at most: 86,400 * 9e15 * 1e12 = 8e32.
    traded: Option<i128>,
    trades: Option<u64>,
    feed: Option<FeedLabel>,
}

impl Sums {
    fn of(bar: &Bar, span: Range<Second>) -> Self {
        Self {
            span,
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
        let Self { span, open, high, low, close, volume, traded, trades, feed } = self;
        let vwap = traded.filter(|_| volume > 0).and_then(|traded| {
            let mean = divide_half_even(traded, i128::from(volume));
            // A mean of prices lies between them.
            i64::try_from(mean).ok().and_then(|nanos| Price::from_nanos(nanos).ok())
        });
        Candle { span, open, high, low, close, volume, vwap, trades, feed }
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
        let at = Cadence::One.bar_of(minute.parse().unwrap());
        let bucket = interval.bucket(&calendar, at)?;
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
            (Interval::OneSecond, "2025-01-31T20:59:07Z", "2025-01-31T20:59:07Z 0"),
            (Interval::FifteenSeconds, "2025-01-31T20:59:44Z", "2025-01-31T20:59:30Z 0"),
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
        for cadence in Cadence::ALL {
            let base = Interval::ALL.into_iter().find(|interval| interval.is_made_of(cadence));
            assert_eq!(base, Some(Interval::of(cadence)));
            assert_eq!(Interval::of(cadence).seconds(), Some(cadence.seconds()));
        }
        assert!(
            !Interval::FifteenSeconds.is_made_of(Cadence::Ten)
                && Interval::TenSeconds.is_made_of(Cadence::Five)
        );
        assert!("60m".parse::<Interval>().is_err());
    }
}
