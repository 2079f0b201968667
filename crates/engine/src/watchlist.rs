//! The watchlist: where the configuration begins it, and what operators change of it while it is watched.

use qqq_core::market::watchlist::{ConfiguredWatchlist, InvalidWatchlist, WatchlistEdit};
use qqq_core::subscription::limits::SubscriptionLimits;
use qqq_core::{Symbol, Watchlist};
use qqq_store::{Store, StoreError, WatchlistEdits};
use std::sync::Arc;

/// Whether a watchlist can be watched, and why not.
pub type Admit = Arc<dyn Fn(&Watchlist) -> Result<(), String> + Send + Sync>;

/// A watchlist at one of its versions.
#[derive(Clone, Debug)]
pub struct VersionedWatchlist {
    /// How often operators had changed it.
    pub version: u64,
    /// The list.
    pub list: Arc<Watchlist>,
    /// What operators had changed of the configured one, oldest first.
    pub edits: Vec<WatchlistEdit>,
}

/// What became of a wish to change the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edited {
    /// It is another one.
    Changed,
    /// It was as wished.
    Already,
}

/// Why the list stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// It would make no sense.
    #[error(transparent)]
    Invalid(InvalidWatchlist),
    /// It could not be watched.
    #[error("{0}")]
    Refused(String),
    /// The symbol is not on it.
    #[error("{0} is not on the watchlist")]
    NotTracked(Symbol),
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How much receivers may have while so many symbols are watched.
pub type LimitsOf = Arc<dyn Fn(usize) -> SubscriptionLimits + Send + Sync>;

/// Where a watchlist begins, and what it has to be.
#[derive(Clone)]
pub struct WatchlistBasis {
    /// The configured list.
    pub configured: ConfiguredWatchlist,
    /// What else a list has to be to be watched.
    pub admit: Admit,
}

impl WatchlistBasis {
    /// The list with what operators changed of it. Where the configured one has become another since, so that
    /// the two do not fit any more, that is left aside, and told in the log; the next change takes its place.
    pub fn with(&self, known: WatchlistEdits) -> Result<VersionedWatchlist, EditError> {
        let WatchlistEdits { version, edits } = known;
        match self.watched(&edits) {
            Ok(list) => Ok(VersionedWatchlist { version, list: Arc::new(list), edits }),
            Err(error) if edits.is_empty() => Err(error),
            Err(error) => {
                tracing::warn!(
                    %error,
                    "what operators changed does not fit the configured watchlist: that one is watched"
                );
                Ok(VersionedWatchlist { version, list: Arc::new(self.watched(&[])?), edits: Vec::new() })
            }
        }
    }

    /// The list with some edits, if it can be watched.
    fn watched(&self, edits: &[WatchlistEdit]) -> Result<Watchlist, EditError> {
        let list = self.configured.edited(edits).map_err(EditError::Invalid)?;
        (self.admit)(&list).map_err(EditError::Refused)?;
        Ok(list)
    }
}

/// The watchlist of a store.
pub struct Watchlists {
    store: Arc<dyn Store>,
    basis: WatchlistBasis,
    limits: Option<LimitsOf>,
}

impl Watchlists {
    /// Of `store`, which holds what operators changed.
    pub fn new(store: Arc<dyn Store>, basis: WatchlistBasis) -> Self {
        Self { store, basis, limits: None }
    }

    /// The same, where what may be active depends on how long the list is: the store is held to that with
    /// every list that is [asked for](Self::current).
    #[must_use]
    pub fn holding_to(mut self, limits: LimitsOf) -> Self {
        self.limits = Some(limits);
        self
    }

    /// The list as it is now ([`WatchlistBasis::with`]).
    pub async fn current(&self) -> Result<VersionedWatchlist, EditError> {
        let watched = self.basis.with(self.store.watchlist_edits().await?)?;
        if let Some(limits) = &self.limits {
            self.store.hold_to(limits(watched.list.symbols().len()));
        }
        Ok(watched)
    }

    /// Whether the list may be another one than that of `version`. Cheap.
    pub async fn has_changed(&self, version: u64) -> Result<bool, StoreError> {
        Ok(self.store.watchlist_version().await? != version)
    }

    /// Puts a symbol on the list.
    pub async fn track(&self, symbol: Symbol) -> Result<Edited, EditError> {
        self.edit(|list| {
            let symbol = list.listed(symbol);
            Ok(list.id(symbol).is_none().then_some(WatchlistEdit { symbol, tracked: true }))
        })
        .await
    }

    /// Takes a symbol, or what it has become, off the list. What is stored of it stays.
    pub async fn untrack(&self, symbol: Symbol) -> Result<Edited, EditError> {
        self.edit(|list| match list.resolve(symbol) {
            Some(symbol) => Ok(Some(WatchlistEdit { symbol, tracked: false })),
            None => Err(EditError::NotTracked(symbol)),
        })
        .await
    }

    /// Takes back all that operators changed.
    pub async fn reset(&self) -> Result<(), StoreError> {
        while !self.store.edit_watchlist(&[], self.store.watchlist_version().await?).await? {}
        Ok(())
    }

    /// Makes an edit of the list as it is, until nobody else has changed it meanwhile.
    async fn edit(
        &self,
        wished: impl Fn(&Watchlist) -> Result<Option<WatchlistEdit>, EditError>,
    ) -> Result<Edited, EditError> {
        let configured = self.basis.configured.edited(&[]).map_err(EditError::Invalid)?;
        loop {
            let VersionedWatchlist { version, list, mut edits } = self.current().await?;
            let Some(edit) = wished(&list)? else { return Ok(Edited::Already) };
            edits.retain(|known| known.symbol != edit.symbol);
            if configured.id(edit.symbol).is_some() != edit.tracked {
                edits.push(edit);
            }
            self.basis.watched(&edits)?;
            if self.store.edit_watchlist(&edits, version).await? {
                return Ok(Edited::Changed);
            }
        }
    }
}
