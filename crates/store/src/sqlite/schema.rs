//! The schema and its versions, and the checks without which nothing may be written.

use super::files::Files;
use crate::StoreError;
use libsqlite3_sys::SQLITE_VERSION_NUMBER;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqlSafeStr as _, SqliteConnection};
use std::sync::Arc;

/// The first SQLite whose write-ahead log cannot lose commits when two connections write and checkpoint at
/// once (the WAL-reset bug of 3.7.0 to 3.51.2).
const OLDEST: [u32; 3] = [3, 51, 3];

const _: () = assert!(SQLITE_VERSION_NUMBER >= 3_051_003, "the bundled SQLite can lose commits");

/// "QQQT", as the first migration writes it.
const APPLICATION_ID: i64 = 0x5151_5154;

/// (version, what it does, its SQL). A released one is never edited: add another.
const MIGRATIONS: [(i64, &str, &str); 24] = [
    (1, "first schema", include_str!("../../migrations/sqlite/0001_first_schema.sql")),
    (2, "rules and channels", include_str!("../../migrations/sqlite/0002_rules_and_channels.sql")),
    (3, "share classes", include_str!("../../migrations/sqlite/0003_share_classes.sql")),
    (4, "symbol problems", include_str!("../../migrations/sqlite/0004_symbol_problems.sql")),
    (5, "sign-ups", include_str!("../../migrations/sqlite/0005_sign_ups.sql")),
    (6, "checksums of bars", include_str!("../../migrations/sqlite/0006_checksums.sql")),
    (7, "places by channel and host", include_str!("../../migrations/sqlite/0007_places.sql")),
    (8, "own alerts", include_str!("../../migrations/sqlite/0008_own_alerts.sql")),
    (9, "stands in for", include_str!("../../migrations/sqlite/0009_stands_in_for.sql")),
    (10, "kinds of failures", include_str!("../../migrations/sqlite/0010_failures.sql")),
    (11, "quarantined bars", include_str!("../../migrations/sqlite/0011_quarantined_bars.sql")),
    (12, "rules of alerts", include_str!("../../migrations/sqlite/0012_rules_of_alerts.sql")),
    (13, "composite columns", include_str!("../../migrations/sqlite/0013_composite_columns.sql")),
    (14, "watched rules", include_str!("../../migrations/sqlite/0014_watched_rules.sql")),
    (15, "deferred deliveries", include_str!("../../migrations/sqlite/0015_deferred.sql")),
    (16, "requests", include_str!("../../migrations/sqlite/0016_requests.sql")),
    (17, "sessions", include_str!("../../migrations/sqlite/0017_sessions.sql")),
    (18, "watchlist", include_str!("../../migrations/sqlite/0018_watchlist.sql")),
    (19, "prices of alerts", include_str!("../../migrations/sqlite/0019_prices_of_alerts.sql")),
    (20, "receivers' alerts", include_str!("../../migrations/sqlite/0020_receivers_alerts.sql")),
    (21, "names of symbols", include_str!("../../migrations/sqlite/0021_symbol_names.sql")),
    (22, "seconds", include_str!("../../migrations/sqlite/0022_seconds.sql")),
    (23, "metrics", include_str!("../../migrations/sqlite/0023_metrics.sql")),
    (24, "blocks", include_str!("../../migrations/sqlite/0024_blocks.sql")),
];

/// The version of the schema that this program makes.
pub(super) const NEWEST: u64 = MIGRATIONS.len() as u64;

/// The version of the schema of a file that is only looked at: 0 of an empty one.
pub(super) async fn version_of(connection: &mut SqliteConnection) -> Result<u64, StoreError> {
    if is_empty(connection).await? {
        return Ok(0);
    }
    let newest = sqlx::query_scalar("select coalesce(max(version), 0) from _sqlx_migrations");
    let version: u64 = newest.fetch_one(connection).await?;
    if version > NEWEST { Err(of_a_newer_program(version)) } else { Ok(version) }
}

/// Whether nothing was ever kept in the file. Fails where another program's is.
async fn is_empty(connection: &mut SqliteConnection) -> Result<bool, StoreError> {
    let id: i64 = sqlx::query_scalar("pragma application_id").fetch_one(&mut *connection).await?;
    let tables: i64 = sqlx::query_scalar("select count(*) from sqlite_schema").fetch_one(connection).await?;
    if id != APPLICATION_ID && (id != 0 || tables > 0) {
        return Err(StoreError::Backend("it is the SQLite file of another program".to_owned()));
    }
    Ok(tables == 0)
}

fn of_a_newer_program(version: impl std::fmt::Display) -> StoreError {
    StoreError::Backend(format!(
        "a newer version of this program wrote it (schema {version}, this one knows {NEWEST}): \
         update the program"
    ))
}

/// Connects once, checks the library and the file, migrates, and answers SQLite's version.
pub(super) async fn bring_up_to_date(
    options: &SqliteConnectOptions,
    files: &Arc<Files>,
) -> Result<String, StoreError> {
    let mut connection = options.connect().await?;
    let version: String = sqlx::query_scalar("select sqlite_version()").fetch_one(&mut connection).await?;
    if parse_version(&version).is_none_or(|version| version < OLDEST) {
        return Err(StoreError::OldSqlite(version));
    }
    migrate(&mut connection, files).await?;
    check_durability(&mut connection).await?;
    connection.close().await?;
    Ok(version)
}

/// How many migrations the file has.
async fn applied(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("select count(*) from _sqlx_migrations").fetch_one(connection).await?)
}

/// Applies what is missing in one write transaction: of two processes that start at once, the second waits
/// and finds nothing to do; one that dies half-way leaves the file as it was.
///
/// A worker of an earlier version that ran on would write rows as they were before: the file is left alone
/// while there is one.
async fn migrate(connection: &mut SqliteConnection, files: &Arc<Files>) -> Result<(), StoreError> {
    let mut write = connection.begin_with("BEGIN IMMEDIATE").await?;
    let is_empty = is_empty(&mut write).await?;
    let _no_worker = if !is_empty && applied(&mut write).await? < MIGRATIONS.len() as i64 {
        let held = files.lock_worker().map_err(|error| StoreError::Backend(error.to_string()))?;
        Some(held.map_err(|holder| {
            StoreError::Backend(format!(
                "an earlier version of this program works on {holder}: \
                 stop every process that uses the store first"
            ))
        })?)
    } else {
        None
    };
    // `run` would do the same, but its future is not `Send`.
    migrator().run_direct(None, &mut *write, false).await.map_err(|error| match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
        MigrateError::VersionMissing(version) => of_a_newer_program(version),
        MigrateError::VersionMismatch(version) => {
            StoreError::Backend(format!("its schema {version} is not the one this program makes"))
        }
        other => StoreError::Backend(other.to_string()),
    })?;
    Ok(write.commit().await?)
}

fn migrator() -> Migrator {
    let migration = |(version, what, sql): (i64, &'static str, &'static str)| {
        Migration::new(version, what.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(MIGRATIONS.into_iter().map(migration).collect())
}

/// Reads back what makes a commit durable: a pragma that is not understood or not possible is silently
/// ignored.
pub(super) async fn check_durability(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let journal: String = sqlx::query_scalar("pragma journal_mode").fetch_one(&mut *connection).await?;
    let synchronous: i64 = sqlx::query_scalar("pragma synchronous").fetch_one(&mut *connection).await?;
    let foreign_keys: i64 = sqlx::query_scalar("pragma foreign_keys").fetch_one(&mut *connection).await?;
    let refused = |reason: String| Err(sqlx::Error::Configuration(reason.into()));
    if journal != "wal" {
        return refused(format!(
            "no write-ahead log is possible here (journal mode {journal}); use a local disk"
        ));
    }
    // 2 is FULL, 3 EXTRA.
    if synchronous < 2 || foreign_keys != 1 {
        return refused(format!(
            "SQLite refuses synchronous=FULL ({synchronous}) or foreign keys ({foreign_keys})"
        ));
    }
    Ok(())
}

fn parse_version(text: &str) -> Option<[u32; 3]> {
    let mut parts = text.split('.').map(|part| part.parse().ok());
    Some([parts.next()??, parts.next()??, parts.next()??])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_library_is_new_enough_and_versions_compare_as_numbers() {
        assert!(parse_version(libsqlite3_sys::SQLITE_VERSION.to_str().unwrap()).unwrap() >= OLDEST);
        assert!(parse_version("3.51.2").unwrap() < OLDEST);
        assert!(parse_version("3.6.23").unwrap() < OLDEST);
        assert!(parse_version("3.100.0").unwrap() > OLDEST);
        assert_eq!(parse_version("nonsense"), None);
    }

    #[test]
    fn migrations_are_numbered_from_one_without_gaps() {
        for (number, (version, _, sql)) in (1..).zip(MIGRATIONS) {
            assert_eq!(version, number);
            assert!(!sql.trim().is_empty());
        }
    }
}
