//! The connections: one that writes, a few that read.

use super::files::Files;
use super::schema;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, SqlitePool};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long one connection waits for another one's write.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a call waits for the writing connection, or for a reading one, before it answers "busy".
const QUEUE_TIMEOUT: Duration = Duration::from_secs(15);

/// Connections that read. More would not be faster: they share the page cache of the machine.
const READERS: u32 = 4;

/// How long one read may take. No reader of ours comes near it; one that did would keep the log growing.
pub(super) const READ_LIMIT: Duration = Duration::from_secs(120);

/// What every connection has in common. Statements are not logged: they are many, and ours.
pub(super) fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .busy_timeout(BUSY_TIMEOUT)
        .row_buffer_size(512)
        // A mapped page that cannot be read kills the process; a read that fails is an error.
        .pragma("mmap_size", "0")
        .pragma("cell_size_check", "on")
        .pragma("trusted_schema", "off")
        .pragma("temp_store", "memory")
        .disable_statement_logging()
}

pub(super) fn writing(file: &Path) -> SqliteConnectOptions {
    options(file)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .pragma("cache_size", "-16384")
        // Everything goes to the log at the commit, so what the disk refuses is known in one place.
        .pragma("cache_spill", "off")
        .pragma("wal_autocheckpoint", "1000")
        .pragma("journal_size_limit", "67108864")
        // On macOS a plain fsync does not reach the disk. Elsewhere these change nothing.
        .pragma("fullfsync", "on")
        .pragma("checkpoint_fullfsync", "on")
}

pub(super) fn writer_pool(file: &Path, files: Arc<Files>) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(QUEUE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            files.reopened();
            Box::pin(schema::check_durability(connection))
        })
        // SQLite ends some failed transactions by itself, and the connection then counts one that is no more.
        .after_release(|connection, _| {
            Box::pin(async move {
                connection.ping().await?;
                Ok(!connection.is_in_transaction())
            })
        })
        .connect_lazy_with(writing(file))
}

pub(super) fn reader_pool(file: &Path, limit: Duration) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(QUEUE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .after_connect(move |connection, _| Box::pin(interrupted_after(connection, limit)))
        .before_acquire(move |connection, _| {
            Box::pin(async move { interrupted_after(connection, limit).await.map(|()| true) })
        })
        .connect_lazy_with(options(file).read_only(true).pragma("query_only", "on"))
}

/// Ends whatever this connection still reads after so long, and with it the snapshot that keeps the log from
/// being emptied.
pub(super) async fn interrupted_after(
    connection: &mut SqliteConnection,
    limit: Duration,
) -> Result<(), sqlx::Error> {
    /// Steps of SQLite's machine between two looks at the clock: about a millisecond.
    const STEPS: i32 = 50_000;
    let deadline = Instant::now() + limit;
    connection.lock_handle().await?.set_progress_handler(STEPS, move || Instant::now() < deadline);
    Ok(())
}
