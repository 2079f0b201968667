//! What is known of one symbol, and the texts made of it so far.

use crate::http::answer::Answer;
use qqq_core::decimal::divide_half_even;
use qqq_core::market::metric::change;
use qqq_core::statistics::profile::Profile;
use qqq_core::statistics::unusual::{Now, Unusual};
use qqq_core::{Bar, FeedLabel, Figures, Interval, Metric, MetricSet, Price, Second, Statistics, Symbol};
use qqq_store::BarRecord;
use serde_json::value::RawValue;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use tokio::sync::OnceCell;

/// What a bar leaves in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) start: Second,
    /// 1e-9 dollars.
    pub(crate) close: i64,
    /// Shares.
    pub(crate) volume: i64,
    /// What a share changed hands for on average, 1e-9 dollars: as the feed told it, or else the mean of
    /// high, low and close.
    average: i64,
    /// Which of its ticker's feeds it came from.
    feed: u8,
}

impl Point {
    fn of(bar: &Bar, feed: u8) -> Self {
        let typical = [bar.high, bar.low, bar.close].map(|price| i128::from(price.nanos())).iter().sum();
        let average = bar.vwap.map(Price::nanos).or_else(|| i64::try_from(divide_half_even(typical, 3)).ok());
        let (close, volume) = (bar.close.nanos(), bar.volume.shares());
        Self { start: bar.start, close, volume, average: average.unwrap_or(close), feed }
    }
}

/// What is known of one tracked symbol.
#[derive(Debug)]
pub(crate) struct Ticker {
    pub(crate) symbol: Symbol,
    /// Last regular close of the trading day before the newest bar's.
    pub(crate) previous_close: Option<Point>,
    /// The minutes of the newest bar's session: of its phase of its day.
    session: Option<Range<Second>>,
    /// What is usual on a day, of a feed, as read last: the newest bar's, or one before. Shared: it stays
    /// for a day, and a ticker is cloned with every bar.
    profile: Option<(FeedLabel, Arc<Profile>)>,
    /// The feeds that points came from.
    feeds: Vec<FeedLabel>,
    /// By minute, of the 24 hours up to the newest.
    points: Vec<Point>,
    /// Of each further metric that is tracked, the value of each point that tells it.
    further: Vec<(Metric, Vec<Option<i128>>)>,
    newest: Option<BarRecord>,
    statistics: Option<Statistics>,
    /// `[1,2,3]`: the values as the legacy endpoints list them, by metric.
    lists: [OnceLock<String>; Metric::ALL.len()],
    /// The line of its day, finished.
    sparkline: OnceLock<Box<RawValue>>,
    /// The page of the newest bars, by interval. Costs nothing until somebody asks for one.
    newest_bars: OnceLock<Box<[OnceCell<Answer>; Interval::ALL.len()]>>,
}

impl Clone for Ticker {
    /// A clone is made to be changed: it starts without finished texts.
    fn clone(&self) -> Self {
        Self {
            session: self.session.clone(),
            profile: self.profile.clone(),
            feeds: self.feeds.clone(),
            points: self.points.clone(),
            further: self.further.clone(),
            statistics: self.statistics.clone(),
            lists: Default::default(),
            sparkline: OnceLock::new(),
            newest_bars: OnceLock::new(),
            ..*self
        }
    }
}

impl Ticker {
    pub(crate) fn empty(symbol: Symbol, tracked: MetricSet) -> Self {
        let further = tracked.iter().filter(|metric| !MetricSet::ALWAYS.contains(*metric));
        Self {
            symbol,
            previous_close: None,
            session: None,
            profile: None,
            feeds: Vec::new(),
            points: Vec::new(),
            further: further.map(|metric| (metric, Vec::new())).collect(),
            newest: None,
            statistics: None,
            lists: Default::default(),
            sparkline: OnceLock::new(),
            newest_bars: OnceLock::new(),
        }
    }

    pub(crate) fn points(&self) -> &[Point] {
        &self.points
    }

    /// How many bars of its feed lie in the `window` minutes before the newest bar. `None` without any.
    pub(crate) fn bars_in_window(&self, window: u16) -> Option<usize> {
        let (newest, before) = self.points.split_last()?;
        let from = newest.start.plus_minutes(-i32::from(window));
        let first = before.partition_point(|point| point.start < from);
        let of_feed = before.get(first..)?.iter().filter(|point| point.feed == newest.feed);
        Some(of_feed.count())
    }

    pub(crate) fn newest(&self) -> Option<&BarRecord> {
        self.newest.as_ref()
    }

    /// The answer to who asks for the newest bars of an interval and says nothing more, once it was made.
    pub(crate) fn newest_bars(&self, interval: Interval) -> &OnceCell<Answer> {
        &self.newest_bars.get_or_init(Default::default)[interval as usize]
    }

    /// The line of its day as JSON, made by `write` when nobody has asked since its last bar.
    pub(crate) fn sparkline(&self, write: impl FnOnce(&Self) -> Box<RawValue>) -> &RawValue {
        self.sparkline.get_or_init(|| write(self))
    }

    pub(crate) fn figures(&self, metric: Metric) -> Option<Figures> {
        self.statistics.as_ref()?.of(metric)
    }

    /// What a bar of this ticker leaves in memory.
    pub(crate) fn point(&mut self, bar: &Bar) -> Point {
        let feed = self.feeds.iter().position(|known| *known == bar.feed).unwrap_or_else(|| {
            self.feeds.push(bar.feed);
            self.feeds.len() - 1
        });
        Point::of(bar, feed as u8)
    }

    /// Takes in a bar, new or revised. Says whether it is new here. A bar from before the last 24 hours may
    /// still be the previous day's close; [`forget_old`](Self::forget_old) drops it later.
    pub(crate) fn take(&mut self, record: BarRecord) -> bool {
        let point = self.point(&record.bar);
        let is_newest = self.newest.is_none_or(|newest| newest.bar.start <= point.start);
        if is_newest && self.newest == Some(record) {
            return false;
        }
        if is_newest {
            self.newest = Some(record);
        }
        let at = match self.points.binary_search_by_key(&point.start, |known| known.start) {
            Ok(at) => {
                self.points[at] = point;
                at
            }
            Err(at) => {
                self.points.insert(at, point);
                self.further.iter_mut().for_each(|(_, values)| values.insert(at, None));
                at
            }
        };
        self.tell_further(at, &record.bar);
        self.lists = Default::default();
        self.sparkline = OnceLock::new();
        self.newest_bars = OnceLock::new();
        true
    }

    /// Keeps what a bar, the one of a point, tells of further metrics.
    fn tell_further(&mut self, at: usize, bar: &Bar) {
        let close = |point: &Point| Some((point.start, Price::from_nanos(point.close).ok()?));
        let before = at.checked_sub(1).and_then(|before| close(&self.points[before]));
        let after = self.points.get(at + 1).copied();
        for (metric, values) in &mut self.further {
            values[at] = metric.value(bar, before);
            // The one after it may have changed from another bar than it was said to.
            if let Some(after) = after.as_ref().and_then(close).filter(|_| metric.looks_back()) {
                values[at + 1] = change((bar.start, bar.close), after);
            }
        }
    }

    /// Drops what lies 24 hours or more before the newest bar.
    pub(crate) fn forget_old(&mut self) {
        let Some(newest) = self.newest else { return };
        let from = newest.bar.start.plus_minutes(-Second::MINUTES_PER_DAY);
        let old = self.points.partition_point(|point| point.start <= from);
        self.points.drain(..old);
        self.further.iter_mut().for_each(|(_, values)| drop(values.drain(..old)));
    }

    pub(crate) fn set_statistics(&mut self, statistics: Statistics) {
        self.statistics = Some(statistics);
    }

    /// What is usual on the newest bar's day, where it is known by that bar's feed.
    pub(crate) fn profile(&self) -> Option<&Profile> {
        let bar = &self.newest.as_ref()?.bar;
        let (feed, profile) = self.profile.as_ref()?;
        (*feed == bar.feed && profile.at(bar.start).is_some()).then_some(&**profile)
    }

    /// Sets what is usual on a day, by bars of a feed.
    pub(crate) fn set_profile(&mut self, feed: FeedLabel, profile: Profile) {
        self.profile = Some((feed, Arc::new(profile)));
    }

    /// How unusual the newest bar finds it.
    pub(crate) fn unusual(&self) -> Unusual {
        let minute = self.figures(Metric::Volume).and_then(|figures| figures.ratio);
        let Some(BarRecord { bar, .. }) = self.newest else {
            return Unusual::of(Now { minute, ..Now::default() });
        };
        Unusual::of(Now {
            usual: self.profile().and_then(|profile| profile.at(bar.start)),
            close: Some(bar.close),
            previous_close: self.previous_close(),
            volume: self.volume_of_one_feed(),
            minute,
        })
    }

    /// The newest bar's minute, where its session is not known: another one has begun.
    pub(crate) fn without_session(&self) -> Option<Second> {
        let start = self.newest?.bar.start;
        let is_known = self.session.as_ref().is_some_and(|session| session.contains(&start));
        (!is_known).then_some(start)
    }

    /// Sets the minutes of the newest bar's session.
    pub(crate) fn set_session(&mut self, session: Option<Range<Second>>) {
        self.session = session;
    }

    /// The points of the newest bar's session so far.
    fn session_so_far(&self) -> &[Point] {
        let Some(session) = &self.session else { return &[] };
        &self.points[self.points.partition_point(|point| point.start < session.start)..]
    }

    /// Shares of the session so far; `None` where its bars came from several feeds.
    fn volume_of_one_feed(&self) -> Option<i64> {
        let points = self.session_so_far();
        let feed = points.last()?.feed;
        points
            .iter()
            .try_fold(0_i64, |sum, point| (point.feed == feed).then(|| sum.saturating_add(point.volume)))
    }

    /// The volume-weighted average price of the session so far, 1e-9 dollars, rounded once.
    pub(crate) fn session_vwap(&self) -> Option<i64> {
        let (paid, shares) = self.session_so_far().iter().fold((0_i128, 0_i128), |(paid, shares), point| {
            let volume = i128::from(point.volume);
            (paid + i128::from(point.average) * volume, shares + volume)
        });
        (shares > 0).then(|| i64::try_from(divide_half_even(paid, shares)).ok()).flatten()
    }

    fn previous_close(&self) -> Option<Price> {
        self.previous_close.and_then(|point| Price::from_nanos(point.close).ok())
    }

    /// Newest close less the previous day's: (1e-9 dollars, per cent).
    pub(crate) fn day_change(&self) -> Option<(i64, f64)> {
        Some(self.newest?.bar.close.change_since(self.previous_close()?))
    }

    /// The values of the last 24 hours, oldest first: of the bars that tell them.
    fn values(&self, metric: Metric) -> impl Iterator<Item = i128> {
        let further = self.further.iter().find(|(known, _)| *known == metric).map(|(_, values)| values);
        self.points.iter().enumerate().filter_map(move |(at, point)| match (metric, further) {
            (Metric::Price, _) => Some(point.close.into()),
            (Metric::Volume, _) => Some(point.volume.into()),
            (_, values) => values?.get(at).copied().flatten(),
        })
    }

    /// The values of the last 24 hours, oldest first, as exact decimal numbers of a JSON array.
    pub(super) fn list(&self, metric: Metric) -> &str {
        self.lists[metric as usize].get_or_init(|| {
            let mut list = String::with_capacity(self.points.len() * 8 + 2);
            list.push('[');
            for value in self.values(metric) {
                let comma = if list.len() == 1 { "" } else { "," };
                let _ = write!(list, "{comma}{}", metric.show(value));
            }
            list.push(']');
            list
        })
    }
}
