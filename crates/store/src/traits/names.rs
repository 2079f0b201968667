//! What symbols are called, as a source told it.

use crate::error::StoreError;
use crate::record::SymbolNames;
use async_trait::async_trait;
use jiff::Timestamp;
use qqq_core::Symbol;
use std::collections::BTreeMap;

/// What symbols are called, as a source told it.
#[async_trait]
pub trait NameStore: Send + Sync {
    /// All names there are, and when they were told.
    async fn symbol_names(&self) -> Result<SymbolNames, StoreError>;

    /// When the names that [`symbol_names`](Self::symbol_names) answers were told: another time where they
    /// may be others. Cheap: asked for every second.
    async fn symbol_names_told(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Keeps these names, told at `at`, instead of all there are.
    async fn keep_symbol_names(
        &self,
        names: &BTreeMap<Symbol, String>,
        at: Timestamp,
    ) -> Result<(), StoreError>;
}
