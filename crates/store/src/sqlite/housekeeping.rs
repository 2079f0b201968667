//! The worker's lock, notes, what is forgotten, checks, and the end.

use super::subscriptions::later;
use super::{Sqlite, outbox};
use crate::{Housekeeping, StoreError, WorkerLock};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use std::fs::{File, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

const fn days(count: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * count)
}

/// What is deleted, with the age it has then. Deliveries go before their subscriptions: while there are more
/// than may be deleted at once, it is not the subscriptions' turn. The throttles count the confirmations of the
/// last day; the youngest ones that are deleted are two days old.
pub(super) const FORGET: [(&str, SignedDuration); 6] = [
    (
        "delete from deliveries where id in \
         (select id from deliveries where state <> 'pending' and settled_at < ? order by settled_at limit ?)",
        days(90),
    ),
    (
        "delete from deliveries where id in (select d.id from subscriptions s \
         join deliveries d on d.subscription = s.id where s.status = 'pending' and s.confirm_by < ? limit ?)",
        days(1),
    ),
    (
        "delete from subscriptions where id in \
         (select id from subscriptions where status = 'pending' and confirm_by < ? limit ?)",
        days(1),
    ),
    (
        "delete from deliveries where id in (select d.id from subscriptions s \
         join deliveries d on d.subscription = s.id where s.ended_at < ? limit ?)",
        days(30),
    ),
    (
        "delete from subscriptions where id in \
         (select id from subscriptions where ended_at < ? limit ?)",
        days(30),
    ),
    (
        "delete from suppressions where address_hash in \
         (select address_hash from suppressions where created_at <= ? limit ?)",
        outbox::SUPPRESSED_FOR,
    ),
];

#[async_trait]
impl Housekeeping for Sqlite {
    async fn lock_worker(&self) -> Result<Box<dyn WorkerLock>, StoreError> {
        let path = lock_file(&self.file);
        lock(&path, &self.file)
            .map_err(|error| StoreError::Open {
                place: path.display().to_string(),
                reason: error.to_string(),
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
            "insert into notes (name, text) values (?, ?) on conflict (name) do update set text = excluded.text",
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
        format!("SQLite {}, WAL, synchronous FULL, {}", self.version, self.file.display())
    }

    async fn check(&self) -> Result<(), StoreError> {
        if let Some(reason) = self.broken.get() {
            return Err(StoreError::Backend(format!("the disk failed: {reason}")));
        }
        let verdict: String = sqlx::query_scalar("pragma quick_check(1)").fetch_one(&self.readers).await?;
        match verdict.as_str() {
            "ok" => Ok(()),
            _ => Err(StoreError::Corrupt { table: "the file", reason: verdict }),
        }
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

/// An exclusive lock on the file beside the store. The system releases it with the file, however the process
/// ends; the file itself stays.
struct Held {
    _file: File,
}

impl WorkerLock for Held {}

/// Locks, or answers who holds the lock.
fn lock(path: &Path, store: &Path) -> std::io::Result<Result<Held, String>> {
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
    match file.try_lock() {
        Ok(()) => {
            // For people who look: the lock is what counts.
            file.set_len(0)?;
            writeln!(file, "{}", std::process::id())?;
            Ok(Ok(Held { _file: file }))
        }
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Where a locked file cannot be read, the message does without.
            let _ = file.take(20).read_to_string(&mut holder);
            let process = match holder.trim() {
                "" => String::new(),
                id => format!(" (process {id})"),
            };
            Ok(Err(format!("{}{process}", store.display())))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn lock_file(store: &Path) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(".worker.lock");
    PathBuf::from(name)
}
