//! The worker's lock, notes, what is forgotten, checks, and the end.

use super::blocks;
use super::connections::{interrupted_after, options};
use super::failure::{Failure, failure};
use super::store::Sqlite;
use crate::{Housekeeping, StoreError, WorkerLock};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use qqq_core::clock::later;
use qqq_core::delivery::SUPPRESSED_FOR;
use qqq_core::delivery::retention;
use sqlx::{ConnectOptions as _, Connection as _};
use std::time::Duration;

/// What is deleted, with the age it has then. Deliveries go before their subscriptions: while there are more
/// than may be deleted at once, it is not the subscriptions' turn. A sign-up whose message still waits for
/// its turn keeps.
pub(super) const FORGET: [(&str, SignedDuration); 8] = [
    (
        "delete from deliveries where id in \
         (select id from deliveries where state <> 'pending' and settled_at < ? order by settled_at limit ?)",
        retention::SETTLED_DELIVERIES,
    ),
    (
        "delete from deliveries where id in (select d.id from subscriptions s \
         join deliveries d on d.subscription = s.id where s.status = 'pending' and s.confirm_by < ? \
         and not exists (select 1 from confirmations_waiting w where w.address = s.address) limit ?)",
        retention::UNCONFIRMED,
    ),
    (
        "delete from subscriptions where id in \
         (select id from subscriptions s where status = 'pending' and confirm_by < ? \
         and not exists (select 1 from confirmations_waiting w where w.address = s.address) limit ?)",
        retention::UNCONFIRMED,
    ),
    (
        "delete from deliveries where id in (select d.id from subscriptions s \
         join deliveries d on d.subscription = s.id where s.ended_at < ? limit ?)",
        retention::ENDED,
    ),
    (
        "delete from subscriptions where id in \
         (select id from subscriptions where ended_at < ? limit ?)",
        retention::ENDED,
    ),
    (
        "delete from suppressions where address_hash in \
         (select address_hash from suppressions where created_at <= ? limit ?)",
        SUPPRESSED_FOR,
    ),
    (
        "delete from sessions where token_hash in \
         (select token_hash from sessions where expires_at <= ? limit ?)",
        SignedDuration::ZERO,
    ),
    (
        "delete from sign_ins where place in (select place from sign_ins where asked_at < ? limit ?)",
        retention::SIGN_INS,
    ),
];

#[async_trait]
impl Housekeeping for Sqlite {
    async fn lock_worker(&self) -> Result<Box<dyn WorkerLock>, StoreError> {
        self.files
            .lock_worker()
            .map_err(|error| StoreError::Open {
                place: self.files.named().display().to_string(),
                reason: format!("it cannot be locked: {error}"),
            })?
            .map(|held| Box::new(held) as Box<dyn WorkerLock>)
            .map_err(StoreError::WorkerRunning)
    }

    async fn note(&self, name: &str) -> Result<Option<String>, StoreError> {
        Ok(sqlx::query_scalar("select text from notes where name = ?")
            .bind(name.to_owned())
            .fetch_optional(&self.readers)
            .await?)
    }

    async fn set_note(&self, name: &str, text: &str) -> Result<(), StoreError> {
        let mut write = self.begin().await?;
        sqlx::query(
            "insert into notes (name, text) values (?, ?) \
             on conflict (name) do update set text = excluded.text",
        )
        .bind(name.to_owned())
        .bind(text.to_owned())
        .execute(&mut *write)
        .await?;
        self.finish(write).await
    }

    async fn forget(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let mut write = self.begin().await?;
        let mut left = u64::from(limit);
        for (sql, age) in FORGET {
            if left == 0 {
                break;
            }
            left -= sqlx::query(sql)
                .bind(later(now, -age).as_microsecond())
                .bind(i64::try_from(left).unwrap_or(i64::MAX))
                .execute(&mut *write)
                .await?
                .rows_affected();
        }
        self.finish(write).await?;
        Ok(u64::from(limit) - left)
    }

    fn kind(&self) -> &'static str {
        "sqlite"
    }

    fn describe(&self) -> String {
        format!("SQLite {}, WAL, synchronous FULL, {}", self.version, self.files.named().display())
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.intact()?;
        // With its indexes, of which a quick one knows nothing.
        self.looked_through("pragma integrity_check(1)", None).await?;
        // By a connection of its own, too.
        let mut connection = options(self.files.named()).read_only(true).connect().await?;
        let verdict = blocks::check(&mut connection).await;
        let _ = connection.close().await;
        verdict
    }

    async fn quick_check(&self, within: Duration) -> Result<bool, StoreError> {
        self.intact()?;
        self.looked_through("pragma quick_check(1)", Some(within)).await
    }

    fn intact(&self) -> Result<(), StoreError> {
        self.guard(false)
    }

    async fn writable(&self) -> Result<(), StoreError> {
        self.intact()?;
        if let Some(verdict) = self.room.lately() {
            return verdict;
        }
        let tried = async {
            let mut write = self.begin().await?;
            sqlx::query("update history set sequence = sequence").execute(&mut *write).await?;
            self.finish(write).await
        };
        match tried.await {
            Err(StoreError::Busy) => self.room.known(),
            result => result.map_err(|error| self.noted(error)),
        }
    }

    fn log_bytes(&self) -> u64 {
        self.files.log_bytes()
    }

    async fn close(&self) {
        self.readers.close().await;
        // Without readers of other processes, this empties the log; with them, they do it later.
        if let Err(error) = sqlx::query("pragma wal_checkpoint(truncate)").execute(&self.writer).await {
            tracing::debug!(%error, "the write-ahead log could not be emptied; the next start reads it");
        }
        self.writer.close().await;
    }
}

impl Sqlite {
    /// By a connection of its own, as it may take long. False where that was longer than it may.
    async fn looked_through(
        &self,
        pragma: &'static str,
        within: Option<Duration>,
    ) -> Result<bool, StoreError> {
        let mut connection = options(self.files.named()).read_only(true).connect().await?;
        if let Some(within) = within {
            interrupted_after(&mut connection, within).await?;
        }
        let verdict = sqlx::query_scalar::<_, String>(pragma).fetch_one(&mut connection).await;
        let _ = connection.close().await;
        match verdict {
            Ok(verdict) if verdict == "ok" => Ok(true),
            Ok(verdict) => Err(StoreError::Corrupt { table: "the file", reason: verdict }),
            Err(error) if matches!(failure(&error), Failure::Interrupted) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
