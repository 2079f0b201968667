//! Places that are counted: so many in all, so many for one network.

use crate::http::client::Network;
use crate::lock::lock;
use prometheus_client::metrics::gauge::Gauge;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places taken, by network.
type Counts = Arc<Mutex<HashMap<Network, usize>>>;

/// Counts the places taken: all of them, and by network.
pub(crate) struct Gate {
    all: Arc<Semaphore>,
    per_network: Counts,
    most_per_network: usize,
    taken: Gauge,
}

/// A place; given back when dropped.
pub(crate) struct Permit {
    _permit: OwnedSemaphorePermit,
    network: Option<(Network, Counts)>,
    taken: Gauge,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub(crate) enum Full {
    /// All are taken.
    All,
    /// The network has as many as it may.
    Network,
}

impl Gate {
    /// `taken` shows how many places are.
    pub(crate) fn new(most: usize, most_per_network: usize, taken: Gauge) -> Self {
        let all = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        Self { all, per_network: Counts::default(), most_per_network, taken }
    }

    /// Takes a place. One for no network counts only among all.
    pub(crate) fn enter(&self, network: Option<Network>) -> Result<Permit, Full> {
        let mut counts = lock(&self.per_network);
        let of_network = network.and_then(|network| counts.get(&network)).copied().unwrap_or_default();
        if network.is_some() && of_network >= self.most_per_network {
            return Err(Full::Network);
        }
        let permit = Arc::clone(&self.all).try_acquire_owned().map_err(|_| Full::All)?;
        let network = network.map(|network| {
            counts.insert(network, of_network + 1);
            (network, Arc::clone(&self.per_network))
        });
        self.taken.inc();
        Ok(Permit { _permit: permit, network, taken: self.taken.clone() })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.taken.dec();
        let Some((network, counts)) = &self.network else { return };
        let mut counts = lock(counts);
        if let Some(count) = counts.get_mut(network) {
            *count -= 1;
            if *count == 0 {
                counts.remove(network);
            }
        }
    }
}
