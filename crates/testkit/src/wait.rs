//! Waiting for what is to come, not for time to pass: [`until`] and [`in_time`] in async tests, [`wait_for`]
//! and [`wait_until`] in those that block.

use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

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
    in_time(what, waiting).await;
}

/// Waits for what must come. Panics with `what` that is where it never does.
pub async fn in_time<F: Future>(what: &str, coming: F) -> F::Output {
    let came = tokio::time::timeout(PATIENCE, coming).await;
    came.unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain: {what}"))
}

/// Waits until `look` answers something, and answers it. Panics with `what` was waited for once `patience` is
/// over.
#[track_caller]
pub fn wait_for<T>(what: &str, patience: Duration, look: impl FnMut() -> Option<T>) -> T {
    match wait_until(Instant::now() + patience, look) {
        Some(found) => found,
        None => panic!("waited {patience:?} in vain for {what}"),
    }
}

/// Waits until `look` answers something or `deadline` has passed.
pub fn wait_until<T>(deadline: Instant, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        pause();
    }
}

/// Waits until a thread that listens at an address and has been told to end does so, as long as `patience` at
/// the most.
pub(crate) fn until_ended(serving: &JoinHandle<()>, address: SocketAddr, patience: Duration) {
    let ended = || {
        // A connection made ends the wait for one.
        let _ = TcpStream::connect(address);
        serving.is_finished().then_some(())
    };
    wait_until(Instant::now() + patience, ended);
}

#[expect(clippy::disallowed_methods, reason = "between two looks at a condition that has a deadline")]
fn pause() {
    std::thread::sleep(POLL);
}
