//! The trading calendar of the US equity exchanges (XNYS and XNAS keep the same one), by rule, since 1990.
//!
//! Sources: the holiday and early-close rules published by NYSE and Nasdaq, as two independent open
//! calendar packages encode them; the tests compare every day of 1990 - 2030. Session bounds are New York
//! wall time and become UTC by the IANA zone, never by a fixed offset.
//!
//! The hours of a day are those that were announced for it. That trading began late, was halted or broke off
//! on a day is not in it: such minutes have no bars.

use crate::Second;
use crate::UnknownWord;
use crate::market::cadence::Cadence;
use crate::market::metric::MetricSet;
use jiff::civil::{Date, Time, Weekday, date, time};
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use strum::{Display, EnumString, IntoStaticStr, VariantNames};

/// The first day the calendar knows: those before were never compared with anything.
pub const FIRST_DAY: Date = date(1990, 1, 1);

/// Full days without trading that no rule foretells.
const UNSCHEDULED: [Date; 11] = [
    date(1994, 4, 27), // mourning for R. Nixon
    date(2001, 9, 11), // the attacks on New York
    date(2001, 9, 12),
    date(2001, 9, 13),
    date(2001, 9, 14),
    date(2004, 6, 11),  // mourning for R. Reagan
    date(2007, 1, 2),   // mourning for G. Ford
    date(2012, 10, 29), // hurricane Sandy
    date(2012, 10, 30),
    date(2018, 12, 5), // mourning for G. H. W. Bush
    date(2025, 1, 9),  // mourning for J. Carter
];

/// Days that closed at 13:00 by announcement, beside those of the rules.
const UNSCHEDULED_EARLY: [Date; 3] = [
    date(1997, 12, 26),
    date(1999, 12, 31), // before the year 2000; one of the two packages has a full day
    date(2003, 12, 26),
];

const PRE_OPEN: Time = time(4, 0, 0, 0);
const OPEN: Time = time(9, 30, 0, 0);
const EARLY_CLOSE: Time = time(13, 0, 0, 0);
/// Up to 1992.
const EARLY_CLOSE_BEFORE_1993: Time = time(14, 0, 0, 0);
const CLOSE: Time = time(16, 0, 0, 0);
const POST_CLOSE: Time = time(20, 0, 0, 0);

/// Which days and hours count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, IntoStaticStr, VariantNames)]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of::<Market>)]
pub enum Market {
    /// New York Stock Exchange.
    #[strum(serialize = "XNYS")]
    Xnys,
    /// Nasdaq. The same days and hours as [`Market::Xnys`].
    #[strum(serialize = "XNAS")]
    Xnas,
    /// Every minute counts: crypto, tests.
    #[strum(serialize = "always")]
    Always,
}

crate::words::words!(Market);

/// What the market is doing at a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Phase {
    /// Night, weekend, holiday.
    Closed,
    /// 04:00 - 09:30 New York.
    Pre,
    /// 09:30 - 16:00 New York, to 13:00 on most days that close early.
    Regular,
    /// From the close to 20:00 New York.
    Post,
}

crate::words::words!(Phase);

/// The bounds of one trading day, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// New York date.
    pub date: Date,
    /// First minute of pre-market trading.
    pub pre_open: Second,
    /// First regular minute.
    pub open: Second,
    /// First minute after the regular session.
    pub close: Second,
    /// First minute after post-market trading.
    pub post_close: Second,
    /// Whether the regular session ends before 16:00.
    pub early_close: bool,
}

/// A day whose regular session ends before 16:00, written `2025-07-03` (at 13:00) or `2025-07-03 14:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EarlyClose {
    /// New York date.
    pub day: Date,
    /// New York time, whole minutes.
    pub close: Time,
}

impl FromStr for EarlyClose {
    type Err = InvalidEarlyClose;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (day, close) = match text.split_once(' ') {
            None => (text, Some(EARLY_CLOSE)),
            Some((day, close)) => (day, Time::strptime("%H:%M", close).ok()),
        };
        // The parser of days reads times behind them too.
        let day = (day.len() == "2025-07-03".len()).then(|| day.parse().ok()).flatten();
        match (day, close) {
            (Some(day), Some(close)) => Ok(Self { day, close }),
            _ => Err(InvalidEarlyClose::Text(text.chars().take(32).collect())),
        }
    }
}

impl fmt::Display for EarlyClose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.day, self.close.strftime("%H:%M"))
    }
}

/// An early close that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEarlyClose {
    /// Not of its form.
    #[error("`{0}` is not an early close: it must look like 2025-07-03 (at 13:00) or 2025-07-03 14:00")]
    Text(String),
    /// Where every minute counts, nothing closes.
    #[error("`{0}`: the calendar `always` has no sessions that could close early")]
    Always(EarlyClose),
    /// Both a closure and an early close.
    #[error("`{0}`: the day is also a closure; it can be one of the two")]
    Closure(EarlyClose),
    /// A weekend or a holiday, or before [`FIRST_DAY`].
    #[error("`{0}`: there is no session on that day")]
    NoSession(EarlyClose),
    /// Not within the regular session.
    #[error("`{0}`: the time must be after 09:30 and before 16:00")]
    OutsideSession(EarlyClose),
    /// One day, two times.
    #[error("`{0}`: the day is there twice")]
    Twice(EarlyClose),
}

/// Says of every moment whether the market is open and whether its bars count, how often they come, and what
/// of them is tracked.
#[derive(Clone, Debug)]
pub struct Calendar {
    market: Market,
    cadence: Cadence,
    metrics: MetricSet,
    extended_hours: bool,
    extra_closures: BTreeSet<Date>,
    extra_early_closes: BTreeMap<Date, Time>,
    zone: TimeZone,
}

impl Calendar {
    /// Makes a calendar of bars of a minute. `extra_closures` are New York dates on which the market stays
    /// shut besides those the rules know; `extended_hours` lets bars of 04:00 - 20:00 count.
    pub fn new(market: Market, extended_hours: bool, extra_closures: impl IntoIterator<Item = Date>) -> Self {
        Self {
            market,
            cadence: Cadence::default(),
            metrics: MetricSet::ALWAYS,
            extended_hours,
            extra_closures: extra_closures.into_iter().collect(),
            extra_early_closes: BTreeMap::new(),
            zone: new_york(),
        }
    }

    /// The same with bars of another length.
    pub fn with_cadence(self, cadence: Cadence) -> Self {
        Self { cadence, ..self }
    }

    /// The same with these metrics tracked: price and volume always are.
    pub fn with_metrics(self, metrics: MetricSet) -> Self {
        Self { metrics: metrics.iter().fold(MetricSet::ALWAYS, MetricSet::with), ..self }
    }

    /// What is tracked.
    #[inline]
    pub fn metrics(&self) -> MetricSet {
        self.metrics
    }

    /// How long a bar is.
    #[inline]
    pub fn cadence(&self) -> Cadence {
        self.cadence
    }

    /// The same with further days that close early, or at another time than the rules say.
    pub fn with_early_closes(
        mut self,
        early_closes: impl IntoIterator<Item = EarlyClose>,
    ) -> Result<Self, InvalidEarlyClose> {
        for early in early_closes {
            let EarlyClose { day, close } = early;
            if self.market == Market::Always {
                return Err(InvalidEarlyClose::Always(early));
            }
            if self.extra_closures.contains(&day) {
                return Err(InvalidEarlyClose::Closure(early));
            }
            if self.session_on(day).is_none() {
                return Err(InvalidEarlyClose::NoSession(early));
            }
            if close <= OPEN || close >= CLOSE {
                return Err(InvalidEarlyClose::OutsideSession(early));
            }
            if self.extra_early_closes.insert(day, close).is_some() {
                return Err(InvalidEarlyClose::Twice(early));
            }
        }
        Ok(self)
    }

    /// Whether anything is known of a New York date: of those before [`FIRST_DAY`], only that every minute
    /// counts where all do.
    pub fn knows(&self, day: Date) -> bool {
        self.market == Market::Always || day >= FIRST_DAY
    }

    /// Which market's calendar it is.
    pub fn market(&self) -> Market {
        self.market
    }

    /// Whether bars outside the regular session can count: where every minute does, too.
    pub fn tracks_extended_hours(&self) -> bool {
        self.extended_hours || self.market == Market::Always
    }

    /// The session of a New York date, or `None` where the market is shut or nothing is [known](Self::knows).
    /// With [`Market::Always`], the whole day.
    pub fn session_on(&self, day: Date) -> Option<Session> {
        if self.market == Market::Always {
            let (start, end) = (self.midnight(day), self.midnight(day.tomorrow().ok()?));
            return Some(Session {
                date: day,
                pre_open: start,
                open: start,
                close: end,
                post_close: end,
                early_close: false,
            });
        }
        if !self.knows(day) || is_holiday(day) || self.extra_closures.contains(&day) {
            return None;
        }
        let early_close = self.extra_early_closes.get(&day).copied().or_else(|| early_close(day));
        Some(Session {
            date: day,
            pre_open: self.minute_at(day, PRE_OPEN),
            open: self.minute_at(day, OPEN),
            close: self.minute_at(day, early_close.unwrap_or(CLOSE)),
            post_close: self.minute_at(day, POST_CLOSE),
            early_close: early_close.is_some(),
        })
    }

    /// What the market is doing at `minute`.
    pub fn phase(&self, minute: Second) -> Phase {
        match self.session_on(self.date_of(minute)) {
            Some(session) if minute < session.pre_open || minute >= session.post_close => Phase::Closed,
            Some(session) if minute < session.open => Phase::Pre,
            Some(session) if minute < session.close => Phase::Regular,
            Some(_) => Phase::Post,
            None => Phase::Closed,
        }
    }

    /// Whether a bar that starts at `minute` counts.
    pub fn counts(&self, minute: Second) -> bool {
        match self.phase(minute) {
            Phase::Regular => true,
            Phase::Pre | Phase::Post => self.extended_hours,
            Phase::Closed => false,
        }
    }

    /// What the market is doing at `minute` as far as bars go: hours whose bars do not count are closed.
    pub fn counted_phase(&self, minute: Second) -> Phase {
        if self.counts(minute) { self.phase(minute) } else { Phase::Closed }
    }

    /// The minute after `minute` from which the [counted phase](Self::counted_phase) is another, and which
    /// that is. `None` where three weeks hold no change, as where every minute counts.
    pub fn next_change(&self, minute: Second) -> Option<(Second, Phase)> {
        let (now, today) = (self.counted_phase(minute), self.date_of(minute));
        today
            .series(jiff::Span::new().days(1))
            .take(22)
            .filter_map(|day| self.session_on(day))
            .flat_map(|session| [session.pre_open, session.open, session.close, session.post_close])
            .filter(|&at| at > minute)
            .map(|at| (at, self.counted_phase(at)))
            .find(|&(_, phase)| phase != now)
    }

    /// The minutes of a New York date whose bars count.
    pub fn tracked_on(&self, day: Date) -> Option<Range<Second>> {
        let session = self.session_on(day)?;
        Some(if self.extended_hours {
            session.pre_open..session.post_close
        } else {
            session.open..session.close
        })
    }

    /// The trading days before a New York date, newest first, as far as ten weeks back.
    pub fn trading_days_before(&self, day: Date) -> impl Iterator<Item = Date> {
        const FURTHEST: usize = 70;
        std::iter::successors(day.yesterday().ok(), |day| day.yesterday().ok())
            .take(FURTHEST)
            .filter(|&day| self.session_on(day).is_some())
    }

    /// The minutes of a New York date whose bars count, in stretches of one phase each.
    pub fn phases_on(&self, day: Date) -> Option<Vec<(Range<Second>, Phase)>> {
        let (tracked, session) = (self.tracked_on(day)?, self.session_on(day)?);
        let stretches = [
            (tracked.start..session.open, Phase::Pre),
            (session.open..session.close, Phase::Regular),
            (session.close..tracked.end, Phase::Post),
        ];
        Some(stretches.into_iter().filter(|(stretch, _)| !stretch.is_empty()).collect())
    }

    /// The next stretch of counting minutes that ends after `minute`: the running one, or the next to come.
    /// `None` only where three weeks hold none.
    pub fn tracked_from(&self, minute: Second) -> Option<Range<Second>> {
        self.days_from(minute, 1).find(|tracked| tracked.end > minute)
    }

    /// The latest stretch of counting minutes that began at or before `minute`.
    pub fn tracked_until(&self, minute: Second) -> Option<Range<Second>> {
        self.days_from(minute, -1).find(|tracked| tracked.start <= minute)
    }

    /// How many counting seconds lie in `range`. Days beyond a year are not looked at.
    pub fn counting_seconds(&self, range: Range<Second>) -> i64 {
        let mut day = self.date_of(range.start);
        let last = self.date_of(range.end);
        let mut seconds = 0;
        for _ in 0..370 {
            if day > last {
                break;
            }
            if let Some(tracked) = self.tracked_on(day) {
                seconds += tracked.end.min(range.end).seconds_since(tracked.start.max(range.start)).max(0);
            }
            match day.tomorrow() {
                Ok(next) => day = next,
                Err(_) => break,
            }
        }
        seconds
    }

    /// How many whole counting minutes lie in `range`. Days beyond a year are not looked at.
    pub fn counting_minutes(&self, range: Range<Second>) -> i32 {
        // A year has half a million of them.
        (self.counting_seconds(range) / 60) as i32
    }

    /// The New York date of a time.
    pub fn date_of(&self, minute: Second) -> Date {
        self.zone.to_datetime(minute.start()).date()
    }

    /// The minute at which a New York date begins.
    pub fn midnight(&self, day: Date) -> Second {
        self.minute_at(day, Time::midnight())
    }

    fn days_from(&self, minute: Second, step: i32) -> impl Iterator<Item = Range<Second>> {
        let first = self.date_of(minute);
        (0..=21).filter_map(move |days| {
            let day = first.checked_add(jiff::Span::new().days(days * step)).ok()?;
            self.tracked_on(day)
        })
    }

    fn minute_at(&self, day: Date, at: Time) -> Second {
        // Unambiguous: DST changes at 02:00 on Sundays. A date outside jiff's range is centuries away.
        let instant = self.zone.to_timestamp(day.to_datetime(at)).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        Second::minute_of(instant)
    }
}

/// The exchanges' time zone, from the bundled database.
pub fn new_york() -> TimeZone {
    // The database is compiled in, so the look-up cannot miss; a test holds it to that.
    TimeZone::get("America/New_York").unwrap_or(TimeZone::UTC)
}

/// Whether a weekday rule, an observed holiday or a known closure keeps the exchanges shut on `day`.
fn is_holiday(day: Date) -> bool {
    if matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday) || UNSCHEDULED.contains(&day) {
        return true;
    }
    let year = day.year();
    let nth = |month, weekday, nth| {
        date(year, month, 1).nth_weekday_of_month(nth, weekday).is_ok_and(|found| found == day)
    };
    is_observed(day, 1, 1, false)
        || (year >= 1998 && nth(1, Weekday::Monday, 3)) // Martin Luther King
        || nth(2, Weekday::Monday, 3) // Presidents
        || day.checked_add(jiff::Span::new().days(2)).is_ok_and(|sunday| sunday == easter(year))
        || nth(5, Weekday::Monday, -1) // Memorial
        || (year >= 2022 && is_observed(day, 6, 19, true)) // Juneteenth
        || is_observed(day, 7, 4, true)
        || nth(9, Weekday::Monday, 1) // Labor
        || nth(11, Weekday::Thursday, 4) // Thanksgiving
        || is_observed(day, 12, 25, true)
}

/// Whether the holiday of `month`/`on` is observed on the weekday `day`: a Sunday holiday on the Monday
/// after, a Saturday one on the Friday before, where `friday` says so (New Year is not moved back).
fn is_observed(day: Date, month: i8, on: i8, friday: bool) -> bool {
    let is = |day: Result<Date, jiff::Error>| day.is_ok_and(|day| day.month() == month && day.day() == on);
    is(Ok(day))
        || (day.weekday() == Weekday::Monday && is(day.yesterday()))
        || (friday && day.weekday() == Weekday::Friday && is(day.tomorrow()))
}

/// When the regular session of trading day `day` ends, where that is before 16:00.
fn early_close(day: Date) -> Option<Time> {
    let (year, weekday) = (day.year(), day.weekday());
    let monday_to_thursday = !matches!(weekday, Weekday::Friday | Weekday::Saturday | Weekday::Sunday);
    let is = |month, on| (day.month(), day.day()) == (month, on);
    let thanksgiving = date(year, 11, 1).nth_weekday_of_month(4, Weekday::Thursday).ok();
    let after_thanksgiving = year >= 1992 && thanksgiving.is_some() && day.yesterday().ok() == thanksgiving;
    let christmas_eve = is(12, 24) && monday_to_thursday;
    // Of a Fourth of July on Thursday, up to 2012 it was the Friday after that closed early.
    let before_independence =
        year >= 1995 && is(7, 3) && monday_to_thursday && (year >= 2013 || weekday != Weekday::Wednesday);
    let after_independence = (1995..2013).contains(&year) && is(7, 5) && weekday == Weekday::Friday;
    let early = after_thanksgiving
        || christmas_eve
        || before_independence
        || after_independence
        || UNSCHEDULED_EARLY.contains(&day);
    early.then_some(if year < 1993 { EARLY_CLOSE_BEFORE_1993 } else { EARLY_CLOSE })
}

/// Easter Sunday of a Gregorian year (the "anonymous" computus, Nature, 20 April 1876).
fn easter(year: i16) -> Date {
    let year = i32::from(year);
    let (a, b, c) = (year % 19, year / 100, year % 100);
    let (d, e) = (b / 4, b % 4);
    let g = (8 * b + 13) / 25;
    let h = (19 * a + b - d - g + 15) % 30;
    let (i, k) = (c / 4, c % 4);
    let l = (32 + 2 * e + 2 * i - h - k) % 7;
    let m = (a + 11 * h + 19 * l) / 433;
    let month = (h + l - 7 * m + 90) / 25;
    let day = (h + l - 7 * m + 33 * month + 19) % 32;
    date(year as i16, month as i8, day as i8)
}

#[cfg(test)]
mod tests;
