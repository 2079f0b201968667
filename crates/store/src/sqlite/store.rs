//! The file, and its writes.

use super::failure::{Failure, failure};
use super::files::Files;
use super::room::Room;
use crate::StoreError;
use qqq_core::subscription::limits::SubscriptionLimits;
use sqlx::{SqliteConnection, SqlitePool};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// A transaction of the writing connection. Dropped without [`Sqlite::finish`], it leaves no trace.
pub(super) type Write = sqlx::Transaction<'static, sqlx::Sqlite>;

/// A SQLite file. Dropped from top to bottom: the files last.
pub(crate) struct Sqlite {
    pub(super) version: String,
    pub(super) writer: SqlitePool,
    pub(super) readers: SqlitePool,
    pub(super) room: Room,
    pub(super) broken: OnceLock<Broken>,
    pub(super) limits: RwLock<Arc<SubscriptionLimits>>,
    pub(super) files: Arc<Files>,
}

/// Why nothing is written any more.
pub(super) enum Broken {
    Disk(String),
    Replaced(String),
}

impl From<&Broken> for StoreError {
    fn from(broken: &Broken) -> Self {
        match broken {
            Broken::Disk(reason) => Self::SyncFailed(reason.clone()),
            Broken::Replaced(what) => Self::Replaced(what.clone()),
        }
    }
}

impl Sqlite {
    /// What becomes active is held to these.
    pub(super) fn limits(&self) -> Arc<SubscriptionLimits> {
        Arc::clone(&self.limits.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Begins a write. Waits for writes under way, here and in other processes.
    pub(super) async fn begin(&self) -> Result<Write, StoreError> {
        if let Some(broken) = self.broken.get() {
            return Err(broken.into());
        }
        let write = match self.writer.begin_with("BEGIN IMMEDIATE").await {
            Ok(write) => write,
            Err(error) => return Err(self.noted(error.into())),
        };
        self.guard(true)?;
        Ok(write)
    }

    /// Makes a write durable, and known to be so where the store's name leads.
    ///
    /// Nothing goes to the disk before: what the disk refuses is known here, and no part of it was written.
    /// After a sync that failed that is not so: the kernel may have dropped the pages and call the next sync
    /// a success; what is on the disk is unknown until the file is opened and recovered anew. So nothing is
    /// written any more.
    pub(super) async fn finish(&self, write: Write) -> Result<(), StoreError> {
        let committed = write.commit().await;
        // What went into a file without a name is lost, whatever SQLite says.
        self.guard(true)?;
        let Err(error) = committed else {
            if self.room.taken() {
                self.files.keep_reserve();
            }
            return Ok(());
        };
        if matches!(failure(&error), Failure::Disk | Failure::Sync | Failure::Corrupt) {
            let broken = self.broken.get_or_init(|| Broken::Disk(error.to_string()));
            tracing::error!(%error, "the disk failed under a commit; the store writes nothing any more");
            return Err(broken.into());
        }
        let error = self.noted(error.into());
        if matches!(error, StoreError::NoRoom(_)) {
            // What the log holds may have its place in the file already: then it is written anew from its
            // beginning.
            let _ = sqlx::query("pragma wal_checkpoint(passive)").execute(&self.writer).await;
        }
        Err(error)
    }

    /// Keeps in mind that the disk refused a write.
    pub(super) fn noted(&self, error: StoreError) -> StoreError {
        if let StoreError::NoRoom(reason) = &error {
            self.room.refused(reason);
        }
        error
    }

    /// Fails, and lets nothing be written any more, where the store's files are not those under its name.
    pub(super) fn guard(&self, writing: bool) -> Result<(), StoreError> {
        if let Some(broken) = self.broken.get() {
            return Err(broken.into());
        }
        self.files.guard(writing).map_err(|error| match error {
            StoreError::Replaced(what) => self.broken.get_or_init(|| Broken::Replaced(what)).into(),
            other => other,
        })
    }
}

/// The number of the newest commit, as this connection sees it.
pub(super) async fn sequence(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("select sequence from history").fetch_one(connection).await?)
}
