//! The configured store.

use crate::config::{Config, ConfigError};
use qqq_engine::watchlist::VersionedWatchlist;
use qqq_store::{Store, StoreError};
use std::path::Path;
use std::sync::Arc;
use tracing::info;

/// Opens the configured store.
pub async fn open(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    qqq_store::open(&config.store.url).await.map_err(|error| match error {
        StoreError::UnknownScheme(_) | StoreError::NotBuiltIn(_) => {
            anyhow::Error::from(ConfigError::value("store.url", error))
        }
        error => error.into(),
    })
}

/// Opens the configured store, where there is one: to open a store makes one.
pub async fn existing(config: &Config) -> anyhow::Result<Option<Arc<dyn Store>>> {
    let file = config.store.url.strip_prefix("sqlite://").and_then(|file| file.split('?').next());
    if file.is_some_and(|file| !Path::new(file).exists()) {
        return Ok(None);
    }
    open(config).await.map(Some)
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
