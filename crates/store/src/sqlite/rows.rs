//! Rows as they lie in the file, and the values they mean. What no version of this program wrote is an error
//! that names the table, never a guess.

use super::checksum;
use super::composite::{StoredEvidence, StoredFigures, StoredOccurrences, StoredProblem};
use crate::{BarRecord, Sequence, SplitRecord, Stamped, StoreError};
use jiff::Timestamp;
use qqq_core::alert::{Folded, Visibility};
use qqq_core::delivery::{DueDelivery, Listener, Member, Recipient};
use qqq_core::subscription::Subscription;
use qqq_core::subscription::channel::{Carrier, Channel, Webhook};
use qqq_core::{
    Alert, AlertRule, Bar, FeedStatus, Figures, Price, RuleName, Second, Split, StandIn, Statistics,
    SymbolProblem, Volume,
};
use sqlx::sqlite::SqliteRow;
use sqlx::types::Json;
use sqlx::{Decode, Row as _, Type};
use std::fmt::Display;
use std::str::FromStr;

/// The column `format` of a push. It goes the way of webhooks, and its rows say so: a check of the second
/// migration knows two channels.
pub(super) const PUSH: &str = "push";

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
         volume_stdev, volume_relative_stdev, volume_trailing_average, volume_ratio, volume_window_bars, \
         further"
    };
}

/// The columns [`alert`] reads, in order, of the table `a`.
macro_rules! alert_columns {
    () => {
        "a.id, a.rule, a.house_rule, a.symbol, a.metric, a.start, a.value, a.evidence, a.feed, \
         a.revision, a.state, a.raised_at, a.public, a.occurrences, a.close, a.previous_close"
    };
}

/// The columns [`subscription`] reads, in order, of the table `s`.
macro_rules! subscription_columns {
    () => {
        "s.id, s.channel, s.receiver, s.format, s.symbol, s.metric, s.rule, s.status, s.created_at, \
         s.active_from, s.quiet, s.paused_until, s.secret_generation, s.secret_rotated_at, s.nonce"
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

    fn maybe_price(&mut self) -> Result<Option<Price>, StoreError> {
        let nanos = self.take::<Option<i64>>()?;
        nanos.map(|nanos| Price::from_nanos(nanos).map_err(|error| self.corrupt(error))).transpose()
    }

    pub(super) fn second(&mut self) -> Result<Second, StoreError> {
        let index = self.take()?;
        self.second_of(index)
    }

    pub(super) fn maybe_second(&mut self) -> Result<Option<Second>, StoreError> {
        self.take::<Option<i64>>()?.map(|index| self.second_of(index)).transpose()
    }

    fn second_of(&self, index: i64) -> Result<Second, StoreError> {
        Second::at_unix(index).ok_or_else(|| self.corrupt("the time lies outside 1900 - 2200"))
    }

    fn symbol_problems(&mut self) -> Result<Vec<SymbolProblem>, StoreError> {
        let Json(problems) = self.take::<Json<Vec<StoredProblem>>>()?;
        Ok(problems.into_iter().map(|StoredProblem(problem)| problem).collect())
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
            start: self.second()?,
            open: self.price()?,
            high: self.price()?,
            low: self.price()?,
            close: self.price()?,
            volume: Volume::from_shares(self.take()?).map_err(|error| self.corrupt(error))?,
            vwap: self.maybe_price()?,
            trades: self.take()?,
            feed: self.parse()?,
        };
        let revision = self.take()?;
        checksum::verify(&bar, self.take()?)?;
        Ok(BarRecord { bar, revision })
    }

    pub(super) fn statistics(&mut self) -> Result<Statistics, StoreError> {
        let (symbol, start, feed) = (self.parse()?, self.second()?, self.parse()?);
        let (price, volume) = (self.figures()?, self.figures()?);
        let further = self.take::<Option<Json<StoredFigures>>>()?;
        let further = further.map(|Json(further)| further.into_figures()).transpose();
        let further = further.map_err(|error| self.corrupt(error))?.unwrap_or_default();
        Ok(Statistics { symbol, start, feed, price, volume, further })
    }

    pub(super) fn subscription(&mut self) -> Result<Subscription, StoreError> {
        Ok(Subscription {
            id: self.parse()?,
            channel: self.channel()?,
            scope: self.parse()?,
            metric: self.parse()?,
            rule: self.parse()?,
            status: self.parse()?,
            created_at: self.time()?,
            active_from: self.maybe_second()?,
            quiet: self.maybe()?,
            paused_until: self.maybe_time()?,
            secret_generation: self.take()?,
            secret_rotated_at: self.maybe_time()?,
            nonce: self.bytes()?,
        })
    }

    /// The next column, an integer where it fits 64 bits, a text else.
    fn integer(&mut self) -> Result<i128, StoreError> {
        match self.row.try_get::<i64, _>(self.next) {
            Ok(short) => {
                self.next += 1;
                Ok(short.into())
            }
            Err(_) => self.parse(),
        }
    }

    /// The next column, so many bytes.
    pub(super) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        <[u8; N]>::try_from(self.take::<&[u8]>()?).map_err(|error| self.corrupt(error))
    }

    pub(super) fn channel(&mut self) -> Result<Channel, StoreError> {
        match self.parse()? {
            Carrier::Mail => {
                let channel = Channel::Email(self.parse()?);
                self.take::<Option<&str>>()?;
                Ok(channel)
            }
            Carrier::Http => {
                let receiver: &str = self.take()?;
                if self.row.try_get(self.next).is_ok_and(|format: &str| format == PUSH) {
                    let receiver = receiver.parse().map_err(|error| self.corrupt(error))?;
                    self.take::<&str>()?;
                    return Ok(Channel::Push(receiver));
                }
                let url = receiver.parse().map_err(|error| self.corrupt(error))?;
                Ok(Channel::Webhook(Webhook { url, format: self.parse()? }))
            }
        }
    }

    pub(super) fn alert(&mut self) -> Result<Alert, StoreError> {
        let mut alert = Alert {
            id: self.parse()?,
            rule: match (self.parse()?, self.maybe()?) {
                (RuleName::House, Some(rule)) => AlertRule::House(rule),
                (RuleName::House, None) => {
                    return Err(self.corrupt("which settings the rule had is not said"));
                }
                (RuleName::Own(rule), _) => AlertRule::Own(rule),
            },
            symbol: self.parse()?,
            metric: self.parse()?,
            start: self.second()?,
            value: self.integer()?,
            evidence: self.take::<Json<StoredEvidence>>()?.0.0,
            feed: self.parse()?,
            revision: self.take()?,
            state: self.parse()?,
            raised_at: self.time()?,
            visibility: if self.take()? { Visibility::Public } else { Visibility::Private },
            occurrences: Vec::new(),
            folded: Folded::default(),
            close: None,
            previous_close: None,
        };
        (alert.folded, alert.occurrences) = self.take::<Json<StoredOccurrences>>()?.0.into();
        (alert.close, alert.previous_close) = (self.maybe_price()?, self.maybe_price()?);
        Ok(alert)
    }
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
    Ok(SplitRecord { split, from: columns.second()? })
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
        asked_until: columns.maybe_second()?,
        symbol_problems: columns.symbol_problems()?,
    })
}

fn stand_in(columns: &mut Columns<'_>) -> Result<Option<StandIn>, StoreError> {
    let (provider, reason): (Option<String>, Option<String>) = (columns.take()?, columns.take()?);
    Ok(provider.map(|provider| StandIn { provider, reason }))
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
        asked: Vec::new(),
    })
}

pub(super) fn member(row: &SqliteRow) -> Result<Member, StoreError> {
    let mut columns = Columns::new(row, "deliveries");
    Ok(Member { id: columns.parse()?, subscription: columns.subscription()?, alert: columns.alert()? })
}

/// Reads a subscription's id, status and pause.
pub(super) fn listener(columns: &mut Columns<'_>) -> Result<Listener, StoreError> {
    Ok(Listener {
        subscription: columns.parse()?,
        status: columns.parse()?,
        paused_until: columns.maybe_time()?,
    })
}
