//! The configured store.

use crate::config::{Config, ConfigError};
use qqq_core::market::names::Names;
use qqq_engine::watchlist::VersionedWatchlist;
use qqq_store::{Store, StoreError, StoredEdits, WatchlistEdits};
use std::path::Path;
use std::sync::Arc;
use tracing::info;

/// Opens the configured store, for bars that come as often as is configured.
pub async fn open(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    let store = qqq_store::open(&config.store.url).await.map_err(of_the_url)?;
    store.settle_cadence(config.market.interval.0).await?;
    Ok(store)
}

fn of_the_url(error: StoreError) -> anyhow::Error {
    match error {
        StoreError::UnknownScheme(_) | StoreError::NotBuiltIn(_) => {
            ConfigError::value("store.url", error).into()
        }
        error => error.into(),
    }
}

/// Opens the configured store, where there is one: to open a store makes one.
pub async fn existing(config: &Config) -> anyhow::Result<Option<Arc<dyn Store>>> {
    if exists(config) { open(config).await.map(Some) } else { Ok(None) }
}

fn exists(config: &Config) -> bool {
    let file = config.store.url.strip_prefix("sqlite://").and_then(|file| file.split('?').next());
    file.is_none_or(|file| Path::new(file).exists())
}

/// The same watchlist for who only looks, and what symbols are called: the store is neither made nor brought
/// up to date. Of a store of an earlier schema, that it is so.
pub async fn watchlist_shown(config: &Config) -> anyhow::Result<(VersionedWatchlist, Names, Option<String>)> {
    if !exists(config) {
        return Ok((config.watchlist_basis().with(WatchlistEdits::default())?, Names::default(), None));
    }
    let StoredEdits { edits, names, schema, newest_schema } =
        qqq_store::look_at_watchlist(&config.store.url).await.map_err(of_the_url)?;
    let older = (schema < newest_schema).then(|| {
        format!(
            "the store has schema {schema}, this program's is {newest_schema}: \
             it is upgraded when the program next runs on it"
        )
    });
    Ok((config.watchlist_basis().with(edits)?, Names::told(names), older))
}

/// The watchlist: the configured one, with what operators changed of it in the configured store.
pub async fn watchlist(config: &Config) -> anyhow::Result<VersionedWatchlist> {
    let Some(store) = existing(config).await? else {
        let list = Arc::new(config.watchlist()?);
        return Ok(VersionedWatchlist { version: 0, list, edits: Vec::new() });
    };
    let watched = config.watchlists(Arc::clone(&store)).current().await;
    store.close().await;
    Ok(watched?)
}

/// Gives alerts from before they carried their rule the configured one, for a process that plays roles: what
/// was in force when they were raised is not known, and from now on a change of the configuration does not
/// change how they are told.
pub async fn complete_rules(store: &dyn Store, config: &Config) -> Result<(), StoreError> {
    let rule = config.rule().into();
    let completed = store.complete_house_rules(&rule).await?;
    if completed > 0 {
        info!(%rule, "{completed} alerts of a former version are told by the rule of the configuration");
    }
    Ok(())
}
