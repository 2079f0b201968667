//! The worker's lock, notes, checks, and the end.

use super::Sqlite;
use crate::{Housekeeping, StoreError, WorkerLock};
use async_trait::async_trait;
use std::fs::{File, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

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
