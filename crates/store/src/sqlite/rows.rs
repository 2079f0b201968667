//! Rows as they lie in the file, and the values they mean. What no version of this program wrote is an error
//! that names the table, never a guess.

use super::checksum;
use crate::{BarRecord, Sequence, SplitRecord, Stamped, StoreError};
use jiff::Timestamp;
use qqq_core::alert::{Folded, Occurrence, Visibility};
use qqq_core::channel::{Channel, ChannelKind, Webhook};
use qqq_core::delivery::{DueDelivery, Member, Recipient};
use qqq_core::rule::Evidence;
use qqq_core::subscription::Subscription;
use qqq_core::{
    Alert, Bar, FeedStatus, Figures, Minute, Price, Split, StandIn, Statistics, SymbolProblem, Volume,
};
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row as _, Type};
use std::fmt::{Display, Write as _};
use std::str::FromStr;

/// The columns [`bar`] reads, in order.
macro_rules! bar_columns {
    () => {
        "symbol, start, open, high, low, close, volume, vwap, trades, feed, revision, checksum"
    };
}

/// The columns [`statistics`] reads, in order.
macro_rules! statistics_columns {
    () => {
        "symbol, start, feed, \
         price_stdev, price_relative_stdev, price_trailing_average, price_ratio, price_window_bars, \
         volume_stdev, volume_relative_stdev, volume_trailing_average, volume_ratio, volume_window_bars"
    };
}

/// The columns [`alert`] reads, in order, of the table `a`.
macro_rules! alert_columns {
    () => {
        "a.id, a.rule, a.symbol, a.metric, a.start, a.value, a.evidence, a.feed, a.revision, a.state, \
         a.raised_at, a.public, a.occurrences"
    };
}

/// The columns [`subscription`] reads, in order, of the table `s`.
macro_rules! subscription_columns {
    () => {
        "s.id, s.channel, s.receiver, s.format, s.symbol, s.metric, s.rule, s.status, s.created_at, s.active_from, \
         s.quiet, s.paused_until, s.secret_generation, s.secret_rotated_at, s.nonce"
    };
}

pub(super) use {alert_columns, bar_columns, statistics_columns, subscription_columns};

/// Reads a row from left to right.
pub(super) struct Columns<'r> {
    row: &'r SqliteRow,
    table: &'static str,
    next: usize,
}

impl<'r> Columns<'r> {
    pub(super) fn new(row: &'r SqliteRow, table: &'static str) -> Self {
        Self { row, table, next: 0 }
    }

    fn corrupt(&self, reason: impl Display) -> StoreError {
        StoreError::Corrupt { table: self.table, reason: format!("column {}: {reason}", self.next) }
    }

    /// The next column, as it lies there.
    pub(super) fn take<T: Decode<'r, sqlx::Sqlite> + Type<sqlx::Sqlite>>(&mut self) -> Result<T, StoreError> {
        self.next += 1;
        self.row.try_get(self.next - 1).map_err(|error| self.corrupt(error))
    }

    /// The next column, a text that names a value.
    pub(super) fn parse<T: FromStr<Err: Display>>(&mut self) -> Result<T, StoreError> {
        self.take::<&str>()?.parse().map_err(|error| self.corrupt(error))
    }

    pub(super) fn maybe<T: FromStr<Err: Display>>(&mut self) -> Result<Option<T>, StoreError> {
        let text = self.take::<Option<&str>>()?;
        text.map(|text| text.parse().map_err(|error| self.corrupt(error))).transpose()
    }

    fn price(&mut self) -> Result<Price, StoreError> {
        Price::from_nanos(self.take()?).map_err(|error| self.corrupt(error))
    }

    pub(super) fn minute(&mut self) -> Result<Minute, StoreError> {
        let index = self.take()?;
        minute_of(index).ok_or_else(|| self.corrupt("the minute lies outside 1900 - 2200"))
    }

    fn maybe_minute(&mut self) -> Result<Option<Minute>, StoreError> {
        let index = self.take::<Option<i32>>()?;
        let minute =
            |index| minute_of(index).ok_or_else(|| self.corrupt("the minute lies outside 1900 - 2200"));
        index.map(minute).transpose()
    }

    fn symbol_problems(&mut self) -> Result<Vec<SymbolProblem>, StoreError> {
        let text = self.take::<&str>()?;
        let problem = |line| symbol_problem(line).ok_or_else(|| self.corrupt("a line that cannot be read"));
        text.lines().map(problem).collect()
    }

    pub(super) fn time(&mut self) -> Result<Timestamp, StoreError> {
        let micros = self.take()?;
        self.time_of(micros)
    }

    pub(super) fn maybe_time(&mut self) -> Result<Option<Timestamp>, StoreError> {
        self.take::<Option<i64>>()?.map(|micros| self.time_of(micros)).transpose()
    }

    /// The last microsecond there is stands for the last moment there is.
    fn time_of(&self, micros: i64) -> Result<Timestamp, StoreError> {
        if micros == Timestamp::MAX.as_microsecond() {
            return Ok(Timestamp::MAX);
        }
        Timestamp::from_microsecond(micros).map_err(|error| self.corrupt(error))
    }

    fn figures(&mut self) -> Result<Figures, StoreError> {
        Ok(Figures {
            stdev: self.take()?,
            relative_stdev: self.take()?,
            trailing_average: self.take()?,
            ratio: self.take()?,
            window_bars: self.take()?,
        })
    }

    pub(super) fn bar(&mut self) -> Result<BarRecord, StoreError> {
        let bar = Bar {
            symbol: self.parse()?,
            start: self.minute()?,
            open: self.price()?,
            high: self.price()?,
            low: self.price()?,
            close: self.price()?,
            volume: Volume::from_shares(self.take()?).map_err(|error| self.corrupt(error))?,
            vwap: match self.take::<Option<i64>>()? {
                Some(nanos) => Some(Price::from_nanos(nanos).map_err(|error| self.corrupt(error))?),
                None => None,
            },
            trades: self.take()?,
            feed: self.parse()?,
        };
        let revision = self.take()?;
        checksum::verify(&bar, self.take()?)?;
        Ok(BarRecord { bar, revision })
    }

    pub(super) fn statistics(&mut self) -> Result<Statistics, StoreError> {
        Ok(Statistics {
            symbol: self.parse()?,
            start: self.minute()?,
            feed: self.parse()?,
            price: self.figures()?,
            volume: self.figures()?,
        })
    }

    pub(super) fn subscription(&mut self) -> Result<Subscription, StoreError> {
        Ok(Subscription {
            id: self.parse()?,
            channel: self.channel()?,
            symbol: self.parse()?,
            metric: self.parse()?,
            rule: self.parse()?,
            status: self.parse()?,
            created_at: self.time()?,
            active_from: self.maybe_minute()?,
            quiet: self.maybe()?,
            paused_until: self.maybe_time()?,
            secret_generation: self.take()?,
            secret_rotated_at: self.maybe_time()?,
            nonce: self.bytes()?,
        })
    }

    /// The next column, so many bytes.
    pub(super) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        <[u8; N]>::try_from(self.take::<&[u8]>()?).map_err(|error| self.corrupt(error))
    }

    pub(super) fn channel(&mut self) -> Result<Channel, StoreError> {
        match self.parse()? {
            ChannelKind::Email => {
                let channel = Channel::Email(self.parse()?);
                self.take::<Option<&str>>()?;
                Ok(channel)
            }
            ChannelKind::Webhook => {
                Ok(Channel::Webhook(Webhook { url: self.parse()?, format: self.parse()? }))
            }
        }
    }

    pub(super) fn alert(&mut self) -> Result<Alert, StoreError> {
        let mut alert = Alert {
            id: self.parse()?,
            rule: self.parse()?,
            symbol: self.parse()?,
            metric: self.parse()?,
            start: self.minute()?,
            value: self.take()?,
            evidence: {
                let text = self.take()?;
                read_evidence(text).ok_or_else(|| self.corrupt("the evidence cannot be read"))?
            },
            feed: self.parse()?,
            revision: self.take()?,
            state: self.parse()?,
            raised_at: self.time()?,
            visibility: if self.take()? { Visibility::Public } else { Visibility::Private },
            occurrences: Vec::new(),
            folded: Folded::default(),
        };
        let text = self.take()?;
        (alert.folded, alert.occurrences) =
            read_occurrences(text).ok_or_else(|| self.corrupt("the occurrences cannot be read"))?;
        Ok(alert)
    }
}

fn minute_of(index: i32) -> Option<Minute> {
    let minute = Minute::from_index(index);
    (minute.index() == index).then_some(minute)
}

pub(super) fn bar(row: &SqliteRow) -> Result<BarRecord, StoreError> {
    Columns::new(row, "bars").bar()
}

pub(super) fn statistics(row: &SqliteRow) -> Result<Statistics, StoreError> {
    Columns::new(row, "statistics").statistics()
}

/// Reads rows that end with the sequence of their commit.
pub(super) fn stamped<'r, T>(
    rows: &'r [SqliteRow],
    table: &'static str,
    read: impl Fn(&mut Columns<'r>) -> Result<T, StoreError>,
) -> Result<Vec<Stamped<T>>, StoreError> {
    let one = |row| {
        let mut columns = Columns::new(row, table);
        let row = read(&mut columns)?;
        Ok(Stamped { sequence: Sequence(columns.take()?), row })
    };
    rows.iter().map(one).collect()
}

pub(super) fn split(row: &SqliteRow) -> Result<SplitRecord, StoreError> {
    let mut columns = Columns::new(row, "splits");
    let split = Split::new(columns.parse()?, columns.parse()?, columns.take()?, columns.take()?)
        .map_err(|error| columns.corrupt(error))?;
    Ok(SplitRecord { split, from: columns.minute()? })
}

pub(super) fn feed_status(row: &SqliteRow) -> Result<FeedStatus, StoreError> {
    let mut columns = Columns::new(row, "feed_status");
    Ok(FeedStatus {
        provider: columns.take()?,
        label: columns.parse()?,
        mode: columns.parse()?,
        coverage: columns.take()?,
        stands_in_for: stand_in(&mut columns)?,
        clock: columns.time()?,
        answered_at: columns.maybe_time()?,
        problem: columns.take()?,
        asked_until: columns.maybe_minute()?,
        symbol_problems: columns.symbol_problems()?,
    })
}

fn stand_in(columns: &mut Columns<'_>) -> Result<Option<StandIn>, StoreError> {
    let (provider, reason): (Option<String>, Option<String>) = (columns.take()?, columns.take()?);
    Ok(provider.map(|provider| StandIn { provider, reason }))
}

/// Problems of symbols as one text: a line for each, `symbol since next_attempt problem`, times in microseconds since
/// 1970.
pub(super) fn symbol_problems(problems: &[SymbolProblem]) -> String {
    let mut text = String::new();
    for SymbolProblem { symbol, problem, since, next_attempt } in problems {
        let next = next_attempt.map_or("-".to_owned(), |at| at.as_microsecond().to_string());
        let problem = problem.replace(['\n', '\r'], " ");
        // Writing to a string does not fail.
        let _ = writeln!(text, "{symbol} {} {next} {problem}", since.as_microsecond());
    }
    text
}

fn symbol_problem(line: &str) -> Option<SymbolProblem> {
    let mut words = line.splitn(4, ' ');
    let symbol = words.next()?.parse().ok()?;
    let time = |text: &str| Timestamp::from_microsecond(text.parse().ok()?).ok();
    let since = time(words.next()?)?;
    let next_attempt = match words.next()? {
        "-" => None,
        text => Some(time(text)?),
    };
    Some(SymbolProblem { symbol, problem: words.next()?.to_owned(), since, next_attempt })
}

pub(super) fn alert(row: &SqliteRow) -> Result<Alert, StoreError> {
    Columns::new(row, "alerts").alert()
}

pub(super) fn subscription(row: &SqliteRow) -> Result<Subscription, StoreError> {
    Columns::new(row, "subscriptions").subscription()
}

pub(super) fn due_delivery(row: &SqliteRow) -> Result<DueDelivery, StoreError> {
    let mut columns = Columns::new(row, "deliveries");
    Ok(DueDelivery {
        id: columns.parse()?,
        kind: columns.parse()?,
        attempts: columns.take()?,
        claims: columns.take()?,
        created_at: columns.time()?,
        expires_at: columns.time()?,
        deferred: columns.take()?,
        lapsed: columns.take()?,
        host: columns.take()?,
        recipient: Recipient(columns.bytes()?),
        suppressed_at: columns.maybe_time()?,
        subscription: columns.subscription()?,
        alert: if columns.take()? { Some(columns.alert()?) } else { None },
    })
}

pub(super) fn member(row: &SqliteRow) -> Result<Member, StoreError> {
    let mut columns = Columns::new(row, "deliveries");
    Ok(Member { id: columns.parse()?, subscription: columns.subscription()?, alert: columns.alert()? })
}

/// `1;START:VALUE,START:VALUE`: version, then minutes and values. With folded ones `2;COUNT:PEAK:UNTIL;` and the same.
pub(super) fn write_occurrences(alert: &Alert) -> String {
    let mut text = match alert.folded {
        Folded { count, peak, until: Some(until) } => format!("2;{count}:{peak}:{};", until.index()),
        Folded { until: None, .. } => String::from("1;"),
    };
    for (index, occurrence) in alert.occurrences.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma}{}:{}", occurrence.start.index(), occurrence.value);
    }
    text
}

fn read_occurrences(text: &str) -> Option<(Folded, Vec<Occurrence>)> {
    let (folded, list) = match text.split_once(';')? {
        ("1", list) => (Folded::default(), list),
        ("2", rest) => {
            let (folded, list) = rest.split_once(';')?;
            (read_folded(folded)?, list)
        }
        _ => return None,
    };
    let one = |pair: &str| {
        let (start, value) = pair.split_once(':')?;
        Some(Occurrence { start: minute_of(start.parse().ok()?)?, value: value.parse().ok()? })
    };
    let listed = if list.is_empty() { Some(Vec::new()) } else { list.split(',').map(one).collect() };
    Some((folded, listed?))
}

fn read_folded(text: &str) -> Option<Folded> {
    let mut parts = text.split(':');
    let (count, peak, until) = (parts.next()?, parts.next()?, parts.next()?);
    let until = minute_of(until.parse().ok()?)?;
    let folded = Folded { count: count.parse().ok()?, peak: peak.parse().ok()?, until: Some(until) };
    parts.next().is_none().then_some(folded)
}

/// `1;average;SUM;BARS` and the like: version, kind, numbers.
pub(super) fn write_evidence(evidence: &Evidence) -> String {
    match *evidence {
        Evidence::Average { sum, bars } => format!("1;average;{sum};{bars}"),
        Evidence::Deviation { sum, squares, bars } => format!("1;deviation;{sum};{squares};{bars}"),
        Evidence::Origin { value, start } => format!("1;origin;{value};{}", start.index()),
        Evidence::Crossing { level, before } => format!("1;crossing;{level};{before}"),
        Evidence::Median { twice, sessions } => format!("1;median;{twice};{sessions}"),
    }
}

fn read_evidence(text: &str) -> Option<Evidence> {
    fn number<T: FromStr>(text: &str) -> Option<T> {
        text.parse().ok()
    }
    let parts: Vec<&str> = text.split(';').collect();
    Some(match *parts {
        ["1", "average", sum, bars] => Evidence::Average { sum: number(sum)?, bars: number(bars)? },
        ["1", "deviation", sum, squares, bars] => {
            Evidence::Deviation { sum: number(sum)?, squares: number(squares)?, bars: number(bars)? }
        }
        ["1", "origin", value, start] => {
            Evidence::Origin { value: number(value)?, start: minute_of(number(start)?)? }
        }
        ["1", "crossing", level, before] => {
            Evidence::Crossing { level: number(level)?, before: number(before)? }
        }
        ["1", "median", twice, sessions] => {
            Evidence::Median { twice: number(twice)?, sessions: number(sessions)? }
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{MINUTE, alert};
    use proptest::prelude::*;

    fn any_evidence() -> impl Strategy<Value = Evidence> {
        let minute = (-1_000_000..100_000_000_i32).prop_map(Minute::from_index);
        prop_oneof![
            any::<(i64, u16)>().prop_map(|(sum, bars)| Evidence::Average { sum, bars }),
            any::<(i64, u128, u16)>().prop_map(|(sum, squares, bars)| Evidence::Deviation {
                sum,
                squares,
                bars
            }),
            (any::<i64>(), minute).prop_map(|(value, start)| Evidence::Origin { value, start }),
            any::<(i64, i64)>().prop_map(|(level, before)| Evidence::Crossing { level, before }),
            any::<(i64, u16)>().prop_map(|(twice, sessions)| Evidence::Median { twice, sessions }),
        ]
    }

    proptest! {
        #[test]
        fn evidence_survives_being_written_and_read(evidence in any_evidence()) {
            prop_assert_eq!(read_evidence(&write_evidence(&evidence)), Some(evidence));
        }

        #[test]
        fn occurrences_survive_being_written_and_read(
            pairs in prop::collection::vec((-1_000_000..100_000_000_i32, any::<i64>()), 0..70),
            folded in prop::option::of((any::<u32>(), any::<i64>(), -1_000_000..100_000_000_i32)),
        ) {
            let occurrences: Vec<Occurrence> = pairs
                .into_iter()
                .map(|(start, value)| Occurrence { start: Minute::from_index(start), value })
                .collect();
            let folded = folded.map_or_else(Folded::default, |(count, peak, until)| Folded {
                count,
                peak,
                until: Some(Minute::from_index(until)),
            });
            let alert = Alert { occurrences: occurrences.clone(), folded, ..alert("TSLA", MINUTE) };
            prop_assert_eq!(read_occurrences(&write_occurrences(&alert)), Some((folded, occurrences)));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
            let _ = read_occurrences(&text);
            let _ = read_evidence(&text);
        }
    }

    #[test]
    fn what_cannot_be_evidence_is_refused() {
        for text in ["", "1", "1;average", "1;average;1", "1;average;1;2;3", "2;average;1;2", "1;mean;1;2"] {
            assert_eq!(read_evidence(text), None, "{text}");
        }
        for text in ["1;average;1;99999", "1;average;;1", "1;deviation;1;-1;2", "1;origin;1;999999999"] {
            assert_eq!(read_evidence(text), None, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_occurrences_is_refused() {
        for text in [
            "",
            "1",
            "3;1:2",
            "1;1",
            "1;1:",
            "1;:1",
            "1;1:2,",
            "1;999999999:1",
            "1;1:2;3:4",
            "2;1:2",
            "2;;1:2",
            "2;1:2;1:2",
            "2;1:2:3:4;1:2",
            "2;-1:2:3;1:2",
            "2;1:2:999999999;",
        ] {
            assert_eq!(read_occurrences(text), None, "{text}");
        }
    }
}
