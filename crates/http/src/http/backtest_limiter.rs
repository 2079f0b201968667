//! How many backtests run at a time.

use crate::http::client::Network;
use crate::http::gate::{Full, Gate, Permit};
use crate::http::problem::Problem;
use prometheus_client::metrics::gauge::Gauge;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Backtests that run at the same time; others wait their turn, a little.
const RUNNING: usize = 2;
const TURN: Duration = Duration::from_secs(5);
/// Backtests that run or wait.
const WAITING: usize = 64;

/// Keeps backtests from taking the server over, and one network from having all turns.
pub(crate) struct BacktestLimiter {
    waiting: Gate,
    running: Semaphore,
}

impl BacktestLimiter {
    /// One network has at most `per_network` that run or wait.
    pub(crate) fn new(per_network: usize) -> Self {
        let waiting = Gate::new(WAITING, per_network, Gauge::default());
        Self { waiting, running: Semaphore::new(RUNNING) }
    }

    /// Waits until it is somebody's turn. It lasts until what is returned is dropped, which it also is when
    /// the connection is given up.
    pub(crate) async fn wait(&self, network: Network) -> Result<(Permit, SemaphorePermit<'_>), Problem> {
        let busy = || Problem::unavailable("busy", "other backtests are running", Duration::from_secs(2));
        let permit = self.waiting.enter(Some(network)).map_err(|full| match full {
            Full::All => busy(),
            Full::Network => Problem::too_many(Duration::from_secs(1)),
        })?;
        match tokio::time::timeout(TURN, self.running.acquire()).await {
            Ok(Ok(turn)) => Ok((permit, turn)),
            _ => Err(busy()),
        }
    }
}
