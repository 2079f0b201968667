//! What symbols are called.

use super::rows::Columns;
use super::store::Sqlite;
use crate::{NameStore, StoreError, SymbolNames};
use async_trait::async_trait;
use jiff::Timestamp;
use qqq_core::Symbol;
use sqlx::SqliteConnection;
use sqlx::types::Json;
use std::collections::BTreeMap;

/// One statement: the time is that of these rows.
const ALL: &str = "select t.at, n.symbol, n.name from symbol_names_told t left join symbol_names n";
const TOLD: &str = "select at from symbol_names_told";

/// Of a list that hardly ever changes, only what did is written.
const DROP: &str = "delete from symbol_names where symbol not in (select key from json_each(?1))";
const KEEP: &str = "insert into symbol_names (symbol, name) select key, value from json_each(?1) where true \
     on conflict (symbol) do update set name = excluded.name where name <> excluded.name";
const NOTE: &str = "insert into symbol_names_told (one, at) values (1, ?1) \
     on conflict (one) do update set at = excluded.at";

#[async_trait]
impl NameStore for Sqlite {
    async fn symbol_names(&self) -> Result<SymbolNames, StoreError> {
        let mut connection = self.readers.acquire().await?;
        all(&mut connection).await
    }

    async fn symbol_names_told(&self) -> Result<Option<Timestamp>, StoreError> {
        let row = sqlx::query(TOLD).fetch_optional(&self.readers).await?;
        row.map(|row| Columns::new(&row, "symbol_names_told").time()).transpose()
    }

    async fn keep_symbol_names(
        &self,
        names: &BTreeMap<Symbol, String>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let texts: BTreeMap<&str, &str> =
            names.iter().map(|(symbol, name)| (symbol.as_str(), name.as_str())).collect();
        let mut write = self.begin().await?;
        for sql in [DROP, KEEP] {
            sqlx::query(sql).bind(Json(&texts)).execute(&mut *write).await?;
        }
        sqlx::query(NOTE).bind(at.as_microsecond()).execute(&mut *write).await?;
        self.finish(write).await
    }
}

pub(super) async fn all(connection: &mut SqliteConnection) -> Result<SymbolNames, StoreError> {
    let mut found = SymbolNames::default();
    for row in &sqlx::query(ALL).fetch_all(connection).await? {
        let mut columns = Columns::new(row, "symbol_names");
        found.told = Some(columns.time()?);
        if let Some(symbol) = columns.maybe()? {
            found.names.insert(symbol, columns.take()?);
        }
    }
    Ok(found)
}
