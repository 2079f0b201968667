//! Waiting for what is to come, not for time to pass.

use std::time::Duration;

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(5);

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `holds` answers true. Panics with `what` was waited for where it never does.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(POLL).await;
        }
    };
    let held = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(held.is_ok(), "waited {PATIENCE:?} in vain: {what}");
}
