//! How the store is.

use crate::http::problem::Reason;
use qqq_store::{Store, StoreError};
use std::time::Duration;

/// A store that takes longer to say where it stands counts as not answering.
pub(crate) const STORE_PATIENCE: Duration = Duration::from_secs(2);

/// How the store is.
pub(crate) struct StoreHealth {
    /// Whether it answers.
    pub(crate) answers: bool,
    /// Whether it would take a write.
    pub(crate) writable: bool,
    /// Why it is not to be relied on, if so.
    pub(crate) doubt: Option<Reason>,
}

/// How the store is. Asks it.
pub(crate) async fn store_health(store: &dyn Store) -> StoreHealth {
    let doubt = |detail: &str| Some(Reason { check: "store", detail: detail.to_owned() });
    let silent = |detail| StoreHealth { answers: false, writable: false, doubt: doubt(detail) };
    match tokio::time::timeout(STORE_PATIENCE, store.sequence()).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => {
            tracing::warn!(%error, "not ready: the store");
            return silent("the store answers with an error; the log says which");
        }
        Err(_elapsed) => return silent("the store does not answer"),
    }
    match tokio::time::timeout(STORE_PATIENCE, store.writable()).await {
        Ok(Err(StoreError::NoRoom(_))) => {
            let detail = "nothing can be written, as the disk takes nothing: what is stored can be read, and \
                all else waits for room";
            StoreHealth { answers: true, writable: false, doubt: doubt(detail) }
        }
        Ok(Err(error)) if !error.is_transient() => {
            tracing::warn!(%error, "not ready: the store");
            silent("the store answers with an error; the log says which")
        }
        // Somebody writes for long: that says nothing against writing.
        Ok(_) | Err(_) => StoreHealth { answers: true, writable: true, doubt: None },
    }
}
