//! The embedded store: one SQLite file in WAL mode, every commit synced to the disk before it is acknowledged.
//!
//! One connection writes, and every write transaction begins `IMMEDIATE`: a transaction that reads first and
//! writes later can then never fail half-way because another process wrote in between. A few read-only
//! connections read beside it. Several processes may open the same file; they wait for each other.

mod admin;
mod alerts;
mod apply;
mod bars;
mod bulk;
mod checksum;
mod claim;
mod commit;
mod files;
mod history;
mod housekeeping;
mod limits;
mod outbox;
mod room;
mod rows;
mod schema;
mod sign_up;
mod subscriptions;

use crate::StoreError;
use files::Files;
use libsqlite3_sys::{
    SQLITE_BUSY, SQLITE_CORRUPT, SQLITE_FULL, SQLITE_INTERRUPT, SQLITE_IOERR, SQLITE_IOERR_DIR_FSYNC,
    SQLITE_IOERR_FSYNC, SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_TRUNCATE, SQLITE_IOERR_WRITE, SQLITE_LOCKED,
    SQLITE_NOTADB, SQLITE_READONLY,
};
use qqq_core::limits::SubscriptionLimits;
use room::Room;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, SqlitePool};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// How long one connection waits for another one's write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a call waits for the writing connection, or for a reading one, before it answers "busy".
const QUEUE_TIMEOUT: Duration = Duration::from_secs(15);

/// Connections that read. More would not be faster: they share the page cache of the machine.
const READERS: u32 = 4;

/// How long one read may take. No reader of ours comes near it; one that did would keep the log growing.
const READ_LIMIT: Duration = Duration::from_secs(120);

/// A transaction of the writing connection. Dropped without [`Sqlite::finish`], it leaves no trace.
type Write = sqlx::Transaction<'static, sqlx::Sqlite>;

/// A SQLite file. Dropped from top to bottom: the files last.
pub(crate) struct Sqlite {
    version: String,
    writer: SqlitePool,
    readers: SqlitePool,
    room: Room,
    broken: OnceLock<Broken>,
    limits: RwLock<Arc<SubscriptionLimits>>,
    files: Arc<Files>,
}

/// Why nothing is written any more.
enum Broken {
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
    /// Opens `path`, what follows `sqlite://`: a file, relative or absolute, without options.
    pub(crate) async fn open(path: &str) -> Result<Self, StoreError> {
        let file = file_of(path)?;
        let refused = |reason: String| StoreError::Open { place: path.to_owned(), reason };
        let files = Arc::new(Files::open(&file).map_err(|error| refused(error.to_string()))?);
        let mut opened = patiently(&file).await;
        let reserve_is_needed = matches!(opened, Err(StoreError::NoRoom(_))) && files.release_reserve();
        if reserve_is_needed {
            opened = patiently(&file).await;
        }
        let version = opened.map_err(|error| match error {
            StoreError::Backend(reason) | StoreError::Corrupt { reason, .. } => refused(reason),
            StoreError::NoRoom(reason) => refused(format!(
                "it cannot be made, or brought up to date, as the disk takes nothing ({reason}): make room first"
            )),
            other => other,
        })?;
        if !reserve_is_needed {
            files.keep_reserve();
        }
        let store = Self {
            version,
            writer: writer_pool(&file, Arc::clone(&files)),
            readers: reader_pool(&file, READ_LIMIT),
            room: Room::default(),
            broken: OnceLock::new(),
            limits: RwLock::default(),
            files,
        };
        match checksum::complete(&store).await {
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "some bars have no checksum yet; the next start gives it to them");
            }
            completed => completed?,
        }
        Ok(store)
    }

    /// What becomes active is held to these.
    fn limits(&self) -> Arc<SubscriptionLimits> {
        Arc::clone(&self.limits.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Begins a write. Waits for writes under way, here and in other processes.
    async fn begin(&self) -> Result<Write, StoreError> {
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
    /// Nothing goes to the disk before: what the disk refuses is known here, and no part of it was written. After a sync
    /// that failed that is not so: the kernel may have dropped the pages and call the next sync a success; what is on the
    /// disk is unknown until the file is opened and recovered anew. So nothing is written any more.
    async fn finish(&self, write: Write) -> Result<(), StoreError> {
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
            // What the log holds may have its place in the file already: then it is written anew from its beginning.
            let _ = sqlx::query("pragma wal_checkpoint(passive)").execute(&self.writer).await;
        }
        Err(error)
    }

    /// Keeps in mind that the disk refused a write.
    fn noted(&self, error: StoreError) -> StoreError {
        if let StoreError::NoRoom(reason) = &error {
            self.room.refused(reason);
        }
        error
    }

    /// Fails, and lets nothing be written any more, where the store's files are not those under its name.
    fn guard(&self, writing: bool) -> Result<(), StoreError> {
        if let Some(broken) = self.broken.get() {
            return Err(broken.into());
        }
        self.files.guard(writing).map_err(|error| match error {
            StoreError::Replaced(what) => self.broken.get_or_init(|| Broken::Replaced(what)).into(),
            other => other,
        })
    }
}

/// The file a URL's path means.
fn file_of(path: &str) -> Result<PathBuf, StoreError> {
    let refused = |reason: &str| StoreError::Open { place: path.to_owned(), reason: reason.to_owned() };
    if path.is_empty() || path.ends_with(['/', '\\']) {
        return Err(refused("no file is named: write sqlite://folder/file.db"));
    }
    if path.contains(['?', '\0']) {
        return Err(refused("options after `?` are not taken: the program sets what it needs"));
    }
    // SQLite itself would take these for a store in memory and for a URI with options.
    if path.starts_with(':') || path.starts_with("file:") {
        return Err(refused("the store must be a plain file: write sqlite://folder/file.db"));
    }
    Ok(PathBuf::from(path))
}

/// Brings the schema up to date; several processes may start at once, so "busy" is no reason to give up.
async fn patiently(file: &Path) -> Result<String, StoreError> {
    let deadline = tokio::time::Instant::now() + 2 * BUSY_TIMEOUT;
    loop {
        match schema::bring_up_to_date(&writing(file)).await {
            Err(StoreError::Busy) if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            other => return other,
        }
    }
}

/// What every connection has in common. Statements are not logged: they are many, and ours.
fn options(file: &Path) -> SqliteConnectOptions {
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

fn writing(file: &Path) -> SqliteConnectOptions {
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

fn writer_pool(file: &Path, files: Arc<Files>) -> SqlitePool {
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

fn reader_pool(file: &Path, limit: Duration) -> SqlitePool {
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

/// Ends whatever this connection still reads after so long, and with it the snapshot that keeps the log from being emptied.
async fn interrupted_after(connection: &mut SqliteConnection, limit: Duration) -> Result<(), sqlx::Error> {
    /// Steps of SQLite's machine between two looks at the clock: about a millisecond.
    const STEPS: i32 = 50_000;
    let deadline = Instant::now() + limit;
    connection.lock_handle().await?.set_progress_handler(STEPS, move || Instant::now() < deadline);
    Ok(())
}

/// The number of the newest commit, as this connection sees it.
async fn sequence(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("select sequence from history").fetch_one(connection).await?)
}

/// What an error of SQLite says of the disk.
enum Failure {
    Busy,
    /// The disk takes nothing. What was to be written was not, and nothing else is in doubt.
    Room(&'static str),
    /// A sync failed.
    Sync,
    /// The disk failed otherwise.
    Disk,
    Corrupt,
    /// It took longer than it may.
    Interrupted,
    Other,
}

fn failure(error: &sqlx::Error) -> Failure {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    let Some(code) = code.and_then(|code| code.parse().ok()) else {
        return if matches!(error, sqlx::Error::PoolTimedOut) { Failure::Busy } else { Failure::Other };
    };
    match code {
        SQLITE_IOERR_FSYNC | SQLITE_IOERR_DIR_FSYNC => Failure::Sync,
        // Only "no space left" has a code of its own. A quota, a limit on the size of files and a disk that became
        // read-only are told like this; so is a disk that fails at once, which loses nothing either.
        SQLITE_IOERR_WRITE | SQLITE_IOERR_TRUNCATE => {
            Failure::Room("a write is refused: by a quota, a limit on the size of files, or a failing disk")
        }
        SQLITE_IOERR_SHMSIZE => Failure::Room("the disk is full"),
        code => match code & 0xff {
            SQLITE_BUSY | SQLITE_LOCKED => Failure::Busy,
            SQLITE_FULL => Failure::Room("the disk is full"),
            SQLITE_READONLY => Failure::Room("the file is read-only"),
            SQLITE_IOERR => Failure::Disk,
            SQLITE_CORRUPT | SQLITE_NOTADB => Failure::Corrupt,
            SQLITE_INTERRUPT => Failure::Interrupted,
            _ => Failure::Other,
        },
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match failure(&error) {
            Failure::Busy => Self::Busy,
            Failure::Room(reason) => Self::NoRoom(reason.to_owned()),
            Failure::Sync => Self::SyncFailed(error.to_string()),
            Failure::Corrupt => Self::Corrupt { table: "the file", reason: error.to_string() },
            Failure::Interrupted => Self::Backend("a read took too long, and was ended".to_owned()),
            Failure::Disk | Failure::Other => Self::Backend(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{MINUTE, at, bar, bars_of};
    use crate::{BarStore as _, Housekeeping as _, Sequence};

    async fn fresh() -> (Sqlite, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db").display().to_string();
        (Sqlite::open(&path).await.unwrap(), folder)
    }

    #[tokio::test]
    async fn a_full_disk_fails_the_commit_and_nothing_else() {
        let (store, _folder) = fresh().await;
        store.commit(&bars_of([bar("TSLA", MINUTE, 100)]), at(0)).await.unwrap();
        // As if the disk had room for a few pages more.
        sqlx::query("pragma max_page_count = 60").fetch_one(&store.writer).await.unwrap();
        let many = bars_of((0..20_000).map(|n| bar("TSLA", MINUTE.plus(n), 100)));
        let error = store.commit(&many, at(1)).await.unwrap_err();
        assert!(matches!(&error, StoreError::NoRoom(reason) if reason.contains("full")), "{error:?}");
        assert!(error.is_transient());
        assert_eq!(store.sequence().await.unwrap(), Sequence(1));
        // When there is room again, it goes on.
        sqlx::query("pragma max_page_count = 1000000").fetch_one(&store.writer).await.unwrap();
        assert_eq!(store.commit(&many, at(2)).await.unwrap().sequence, Sequence(2));
        store.writable().await.unwrap();
        store.check().await.unwrap();
    }

    #[tokio::test]
    async fn a_file_that_became_read_only_is_like_a_full_disk() {
        let (store, _folder) = fresh().await;
        sqlx::query("pragma query_only = on").execute(&store.writer).await.unwrap();
        let error = store.commit(&bars_of([bar("TSLA", MINUTE, 100)]), at(0)).await.unwrap_err();
        assert!(matches!(&error, StoreError::NoRoom(reason) if reason.contains("read-only")), "{error:?}");
        sqlx::query("pragma query_only = off").execute(&store.writer).await.unwrap();
        store.commit(&bars_of([bar("TSLA", MINUTE, 100)]), at(0)).await.unwrap();
    }

    #[tokio::test]
    async fn a_transaction_that_sqlite_ended_by_itself_does_not_end_writing() {
        let (store, _folder) = fresh().await;
        let mut write = store.begin().await.unwrap();
        sqlx::query("insert into notes values ('lost', '')").execute(&mut *write).await.unwrap();
        sqlx::query("rollback").execute(&mut *write).await.unwrap();
        assert!(store.finish(write).await.is_err());
        store.commit(&bars_of([bar("TSLA", MINUTE, 100)]), at(0)).await.unwrap();
        assert_eq!(store.note("lost").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_write_that_is_dropped_half_way_leaves_no_trace() {
        let (store, _folder) = fresh().await;
        let mut write = store.begin().await.unwrap();
        sqlx::query("insert into notes values ('lost', '')").execute(&mut *write).await.unwrap();
        drop(write);
        assert_eq!(store.note("lost").await.unwrap(), None);
        store.set_note("kept", "").await.unwrap();
        assert_eq!(store.note("lost").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_failed_sync_ends_all_writing_but_not_reading() {
        let (store, _folder) = fresh().await;
        assert!(store.broken.set(Broken::Disk("injected".to_owned())).is_ok());
        let error = store.commit(&bars_of([bar("TSLA", MINUTE, 100)]), at(0)).await.unwrap_err();
        assert!(matches!(&error, StoreError::SyncFailed(reason) if reason.contains("injected")), "{error:?}");
        assert!(!error.is_transient());
        assert_eq!(store.sequence().await.unwrap(), Sequence(0));
        assert!(store.check().await.is_err() && store.writable().await.is_err() && store.intact().is_err());
    }

    #[tokio::test]
    async fn every_connection_runs_with_the_settings_that_make_commits_durable() {
        let (store, _folder) = fresh().await;
        for (pragma, writer, reader) in [
            ("pragma journal_mode", "wal", "wal"),
            ("pragma synchronous", "2", "2"),
            ("pragma foreign_keys", "1", "1"),
            ("pragma mmap_size", "0", "0"),
            ("pragma busy_timeout", "5000", "5000"),
            ("pragma wal_autocheckpoint", "1000", "1000"),
            ("pragma query_only", "0", "1"),
        ] {
            for (pool, expected) in [(&store.writer, writer), (&store.readers, reader)] {
                let row = sqlx::query(pragma).fetch_one(pool).await.unwrap();
                let value = rows::Columns::new(&row, "pragma").take::<String>().or_else(|_| {
                    rows::Columns::new(&row, "pragma").take::<i64>().map(|number| number.to_string())
                });
                assert_eq!(value.unwrap(), expected, "{pragma}");
            }
        }
        assert!(sqlx::query("delete from bars").execute(&store.readers).await.is_err());
    }

    /// Else it would keep the log growing for as long as it reads.
    #[tokio::test]
    async fn a_read_that_does_not_end_is_ended() {
        let (store, _folder) = fresh().await;
        let readers = reader_pool(store.files.named(), Duration::from_millis(50));
        let endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n";
        for _ in 0..2 {
            let error = sqlx::query(endless).fetch_one(&readers).await.unwrap_err();
            assert!(matches!(failure(&error), Failure::Interrupted), "{error:?}");
            // The connection is as good as new.
            sqlx::query("select sequence from history").fetch_one(&readers).await.unwrap();
        }
        readers.close().await;
    }

    #[tokio::test]
    async fn a_file_too_large_to_be_looked_through_in_time_is_said_to_be() {
        let (store, _folder) = fresh().await;
        let many = bars_of((0..20_000).map(|n| bar("TSLA", MINUTE.plus(n), 100)));
        store.commit(&many, at(0)).await.unwrap();
        assert!(!store.quick_check(Duration::ZERO).await.unwrap());
        assert!(store.quick_check(Duration::from_secs(600)).await.unwrap());
    }

    #[tokio::test]
    async fn a_connection_without_those_settings_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("store.db");
        let wal = options(&file).create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
        for (options, sound) in [
            (wal.clone().synchronous(SqliteSynchronous::Full), true),
            (wal.clone().synchronous(SqliteSynchronous::Extra), true),
            (wal.clone().synchronous(SqliteSynchronous::Normal), false),
            (wal.clone().synchronous(SqliteSynchronous::Off), false),
            (wal.clone().synchronous(SqliteSynchronous::Full).foreign_keys(false), false),
            (wal.synchronous(SqliteSynchronous::Full).journal_mode(SqliteJournalMode::Delete), false),
        ] {
            let mut connection = options.connect().await.unwrap();
            assert_eq!(schema::check_durability(&mut connection).await.is_ok(), sound, "{options:?}");
            connection.close().await.unwrap();
        }
    }

    /// How SQLite would run a query: the steps of its plan.
    async fn plan(store: &Sqlite, query: &str) -> Vec<String> {
        let explain = sqlx::AssertSqlSafe(format!("explain query plan {query}"));
        let steps = sqlx::query(explain).fetch_all(&store.writer).await.unwrap();
        steps.iter().map(|step| sqlx::Row::get::<String, _>(step, "detail")).collect()
    }

    /// The queries that run every few seconds on tables that only grow, each with the part of an index it must
    /// be confined to.
    #[tokio::test]
    async fn frequent_queries_find_their_index() {
        let (store, _folder) = fresh().await;
        for (query, index) in [
            (claim::CANDIDATES, "deliveries_due (channel=? AND <expr><?)"),
            (claim::CANDIDATES, "deliveries_under_way"),
            (claim::LEDGER, "deliveries_under_way (address_hash=? AND lease_until>?)"),
            (claim::LEDGER, "deliveries_answered (address_hash=? AND settled_at>?)"),
            (apply::DEFER, "deliveries_by_recipient (address_hash=? AND state=?)"),
            (claim::DEFERRED, "deliveries_by_recipient (address_hash=? AND state=?)"),
            (claim::BUNDLED, "deliveries_by_digest (digest=?)"),
            (outbox::RELEASE, "deliveries_due"),
            (outbox::SUMMARY, "deliveries_by_state (state=?)"),
            (outbox::ANSWERED, "deliveries_answered (address_hash=?)"),
            (housekeeping::FORGET[0].0, "deliveries_settled (settled_at<?)"),
            (housekeeping::FORGET[1].0, "subscriptions_pending (confirm_by<?)"),
            (housekeeping::FORGET[2].0, "subscriptions_pending (confirm_by<?)"),
            (housekeeping::FORGET[3].0, "subscriptions_ended (ended_at<?)"),
            (housekeeping::FORGET[4].0, "subscriptions_ended (ended_at<?)"),
            (housekeeping::FORGET[5].0, "suppressions_by_age (created_at<?)"),
            (outbox::CONCERNED, "subscriptions_active (symbol=? AND metric=? AND rule=? AND active_from<?)"),
            (subscriptions::WATCHED, "subscriptions_watched"),
            (limits::HELD, "subscriptions_by_address (address=?)"),
            (limits::IN_FORCE, "subscriptions_watched"),
            (admin::OF_ADDRESS, "subscriptions_by_address (address=? AND id>?)"),
            (admin::IN_STATE, "deliveries_by_state (state=? AND (created_at,id)<(?,?))"),
            (
                admin::IN_STATE_TO,
                "deliveries_by_recipient (address_hash=? AND state=? AND (created_at,id)<(?,?))",
            ),
            (sign_up::SENT_SINCE, "deliveries_confirming (created_at>?)"),
            (sign_up::WORK, "confirmations_waiting_due (not_before<?)"),
            (sign_up::WAITING, "confirmations_waiting_of_domain (domain=?)"),
            (sign_up::WAITING, "confirmations_waiting_by_age (asked_at>?)"),
            (sign_up::SENT_TO, "subscriptions_by_mailbox (mailbox=?)"),
            (sign_up::PENDING_OF, "subscriptions_by_address (address=?)"),
            (bars::CHANGED, "bars_by_sequence (sequence>? AND sequence<?)"),
            (bars::MORE_BARS, "bars_by_sequence (sequence>?"),
            (bars::BARS_AFTER, "bars_by_sequence ((sequence,symbol,start)>(?,?,?) AND sequence<?)"),
            (bars::STATISTICS_AFTER, "statistics_by_sequence ((sequence,symbol)>(?,?) AND sequence<?)"),
            (bars::ALERTS_AFTER, "alerts_by_sequence ((sequence,id)>(?,?) AND sequence<?)"),
            (bars::PRUNE, "bars_by_start (start<?)"),
            (alerts::ALL, "alerts_by_start (start>? AND (start,id)<(?,?))"),
            (
                alerts::OF_RULE_SYMBOL_METRIC,
                "alerts_by_rule_symbol_metric (rule=? AND symbol=? AND metric=? AND start>? AND (start,id)<(?,?))",
            ),
            (alerts::COUNT, "alerts_by_rule_symbol_metric (rule=? AND symbol=? AND metric=? AND start=?)"),
            (alerts::RETRACT, "alerts_by_rule_symbol_metric (rule=? AND symbol=? AND metric=? AND start=?)"),
            (alerts::PUBLISH, "alerts_by_rule_symbol_metric (rule=?)"),
            (alerts::OLD, "private_alerts_by_start (start<?)"),
            (alerts::PUBLIC, "public_alerts_by_start (start>? AND (start,id)<(?,?))"),
            (alerts::PUBLIC_OF_METRIC, "public_alerts_by_metric (metric=? AND start>? AND (start,id)<(?,?))"),
            (alerts::PUBLIC_OF_SYMBOL, "public_alerts_by_symbol (symbol=? AND start>? AND (start,id)<(?,?))"),
            (
                alerts::PUBLIC_OF_SYMBOL_METRIC,
                "public_alerts_by_symbol_metric (symbol=? AND metric=? AND start>? AND (start,id)<(?,?))",
            ),
            (alerts::PUBLIC_OF_RULE, "public_alerts_by_rule (rule=? AND start>? AND (start,id)<(?,?))"),
            (
                alerts::PUBLIC_OF_RULE_METRIC,
                "public_alerts_by_rule_metric (rule=? AND metric=? AND start>? AND (start,id)<(?,?))",
            ),
            (
                alerts::PUBLIC_OF_RULE_SYMBOL,
                "public_alerts_by_rule_symbol (rule=? AND symbol=? AND start>? AND (start,id)<(?,?))",
            ),
            (
                alerts::PUBLIC_OF_RULE_SYMBOL_METRIC,
                "alerts_by_rule_symbol_metric (rule=? AND symbol=? AND metric=? AND start>? AND (start,id)<(?,?))",
            ),
        ] {
            let plan = plan(&store, query).await;
            assert!(plan.iter().any(|step| step.contains(&format!("INDEX {index}"))), "{query}\n{plan:?}");
            let sorts = plan.iter().any(|step| step.contains("TEMP B-TREE"));
            // What is sorted is little: a commit, what one claim may hand out, a digest, what is of one receiver.
            let few =
                [bars::CHANGED, claim::CANDIDATES, claim::BUNDLED, sign_up::SENT_TO, sign_up::PENDING_OF];
            assert_eq!(sorts, few.contains(&query), "{query}\n{plan:?}");
        }
    }
}
