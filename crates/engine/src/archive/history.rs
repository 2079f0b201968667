//! Bars from wherever they lie: the store, and the archive for what retention has dropped from it.

use super::{Archive, ArchiveError};
use jiff::SignedDuration;
use qqq_core::{Bar, Second, Splits, Symbol};
use qqq_store::{BarRecord, Store, StoreError};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// Bars of a store, and of an archive where there is one.
#[derive(Clone)]
pub struct History {
    store: Arc<dyn Store>,
    archive: Option<(Archive, SignedDuration)>,
}

impl History {
    /// The bars of a store alone.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, archive: None }
    }

    /// With an archive behind the store, which keeps bars for so long.
    #[must_use]
    pub fn with_archive(self, archive: Option<Archive>, retention: Duration) -> Self {
        let retention = SignedDuration::try_from(retention).unwrap_or(SignedDuration::MAX);
        Self { archive: archive.map(|archive| (archive, retention)), ..self }
    }

    /// Bars of a symbol in a range, oldest first, at most `limit`.
    pub async fn bars(
        &self,
        symbol: Symbol,
        range: Range<Second>,
        limit: usize,
    ) -> Result<Vec<Bar>, ArchiveError> {
        if self.archive.is_none() {
            return Ok(self.store.history(symbol, range, limit).await?);
        }
        let records = self.records(symbol, range, limit).await?;
        Ok(records.into_iter().map(|record| record.bar).collect())
    }

    /// The same with their revisions. The archive keeps none: its bars are told with 0.
    pub async fn records(
        &self,
        symbol: Symbol,
        range: Range<Second>,
        limit: usize,
    ) -> Result<Vec<BarRecord>, ArchiveError> {
        let Some((archive, retention)) = &self.archive else {
            return Ok(self.store.bars(symbol, range, limit).await?);
        };
        loop {
            let whole = self.whole_from(symbol, *retention).await?;
            let within = whole.clamp(range.start, range.end.max(range.start));
            let mut records = self.with_archived(archive, symbol, range.start..within, limit).await?;
            if records.len() < limit {
                let left = limit - records.len();
                records.extend(self.store.bars(symbol, within..range.end, left).await?);
            }
            // Retention may have dropped what was to be read next.
            if self.whole_from(symbol, *retention).await? == whole {
                return Ok(records);
            }
        }
    }

    /// When the oldest bar of a symbol begins.
    pub async fn oldest(&self, symbol: Symbol) -> Result<Option<Second>, ArchiveError> {
        let everything = Second::MIN..Second::MAX;
        Ok(self.records(symbol, everything, 1).await?.first().map(|record| record.bar.start))
    }

    /// From when on all bars of a symbol are in the store: it has some, and retention is not there yet.
    async fn whole_from(&self, symbol: Symbol, retention: SignedDuration) -> Result<Second, StoreError> {
        let oldest = self.store.history(symbol, Second::MIN..Second::MAX, 1).await?;
        let oldest = oldest.first().map_or(Second::MAX, |bar| bar.start);
        let clock = self.store.feed_status().await?.map(|feed| feed.clock);
        let kept = clock.and_then(|clock| clock.checked_sub(retention).ok()).map(Second::minute_of);
        Ok(kept.map_or(oldest, |kept| oldest.max(kept)))
    }

    /// What archive and store hold of a range in which the store may miss some. The store knows better.
    async fn with_archived(
        &self,
        archive: &Archive,
        symbol: Symbol,
        range: Range<Second>,
        limit: usize,
    ) -> Result<Vec<BarRecord>, ArchiveError> {
        let Some(begins) = archive.begins().await?.filter(|&begins| begins < range.end) else {
            return Ok(self.store.bars(symbol, range, limit).await?);
        };
        // The store first: what retention drops meanwhile is in the archive by then.
        let stored = self.store.bars(symbol, range.clone(), limit).await?;
        let known = self.store.splits().await?;
        let splits: Splits =
            known.iter().map(|record| record.split).filter(|split| split.symbol == symbol).collect();
        let archived = archive.bars(symbol, range.start.max(begins)..range.end, limit, splits).await?;
        let mut all: BTreeMap<Second, BarRecord> =
            archived.into_iter().map(|bar| (bar.start, BarRecord { bar, revision: 0 })).collect();
        all.extend(stored.into_iter().map(|record| (record.bar.start, record)));
        Ok(all.into_values().take(limit).collect())
    }
}
