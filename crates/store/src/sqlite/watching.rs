//! Which rules of subscribers' own are watched, and the number of changes of that: a worker asks for the
//! number before every step, and for the rules where it has changed.

use super::rows::Columns;
use crate::{StoreError, Watched};
use sqlx::SqliteConnection;

/// What is watched.
pub(super) const WATCHED: &str = "select distinct symbol, metric, rule from subscriptions \
     where status = 'active' and own_rule = 1";

pub(super) async fn watched(connection: &mut SqliteConnection) -> Result<Watched, StoreError> {
    let version = version(connection).await?;
    let rows = sqlx::query(WATCHED).fetch_all(connection).await?;
    let watches = rows.iter().map(|row| {
        let mut columns = Columns::new(row, "subscriptions");
        Ok((columns.parse()?, columns.parse()?, columns.parse()?))
    });
    Ok(Watched { version, watches: watches.collect::<Result<_, StoreError>>()? })
}

pub(super) async fn version(connection: &mut SqliteConnection) -> Result<u64, StoreError> {
    let row = sqlx::query("select version from watch_version").fetch_one(connection).await?;
    Columns::new(&row, "watch_version").take()
}

/// Counts a change, where an active subscription by a rule of its own began, ended or changed its rule.
pub(super) async fn count(connection: &mut SqliteConnection, has_changed: bool) -> Result<(), StoreError> {
    if has_changed {
        sqlx::query("update watch_version set version = version + 1").execute(connection).await?;
    }
    Ok(())
}
