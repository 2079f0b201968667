//! A provider, how it is asked, and what its bars may be mixed with.

use qqq_feed::{FeedError, FeedErrorKind, Provider};
use qqq_store::{Sequence, Store};
use std::sync::Arc;

/// A provider that is asked.
#[derive(Clone)]
pub struct Feed {
    /// Whom to ask.
    pub provider: Arc<dyn Provider>,
    /// Whether to stream beside the polls.
    pub stream: bool,
    /// The settings that hold its key, in words; empty where it has none.
    pub key_settings: &'static str,
}

impl Feed {
    /// What a refusal means to the operator: one of the key names the settings that hold it.
    pub fn refusal(&self, error: &FeedError) -> anyhow::Error {
        let provider = self.provider.info().provider;
        match error.kind {
            FeedErrorKind::Auth if !self.key_settings.is_empty() => {
                anyhow::anyhow!("{provider} refused: {error} (see {})", self.key_settings)
            }
            _ => anyhow::anyhow!("{provider} refused: {error}"),
        }
    }
}

/// Holds a store to one kind of bars, simulated or real, from the first that come into it.
pub async fn keep_apart(store: &dyn Store, url: &str, simulated: bool) -> anyhow::Result<()> {
    const NOTE: &str = "bars";
    let wanted = if simulated { "simulated" } else { "real" };
    let known = store.note(NOTE).await?;
    // A store that nothing was committed to is still anybody's, whoever tried before.
    let is_empty = store.sequence().await? == Sequence::default();
    match known.as_deref() {
        Some(known) if known == wanted => Ok(()),
        Some(known) if !is_empty => anyhow::bail!(
            "{url} holds {known} bars, and these would be {wanted} ones: the two are never mixed. \
             Set store.url to another file, for example sqlite://data/{wanted}.db"
        ),
        _ => Ok(store.set_note(NOTE, wanted).await?),
    }
}
