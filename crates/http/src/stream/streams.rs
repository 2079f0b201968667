//! What all streams share.

use super::chunk::{CHUNK, Writer};
use super::ring::Ring;
use crate::config::StreamLimits;
use crate::dto::market::StatusOut;
use crate::http::gate::Gate;
use crate::lock::lock;
use crate::metrics::Metrics;
use crate::read_model::snapshot::Snapshot;
use qqq_store::Changes;
use std::sync::Mutex;
use tokio::sync::{Semaphore, watch};

/// Streams that read the store at the same time: its other readers must not wait for them.
const READING: usize = 2;

/// What all streams share.
pub(crate) struct Streams {
    pub(super) ring: Mutex<Ring>,
    /// Marked as changed when there is something new in the ring.
    pub(super) news: watch::Sender<()>,
    pub(crate) gate: Gate,
    pub(super) reading: Semaphore,
    pub(super) writer: Writer,
}

impl Streams {
    pub(crate) fn new(writer: Writer, snapshot: &Snapshot, limits: &StreamLimits, metrics: &Metrics) -> Self {
        let gate = Gate::new(limits.open, limits.open_per_network, metrics.streams().clone());
        Self {
            ring: Mutex::new(Ring::new(limits.ring, snapshot.sequence, StatusOut::from(snapshot))),
            news: watch::Sender::new(()),
            gate,
            reading: Semaphore::new(READING),
            writer,
        }
    }

    /// Sends what was committed. Called once `snapshot`, which contains it, is what readers see: whoever
    /// hears of something finds it.
    pub(crate) fn publish(&self, changes: Changes, snapshot: &Snapshot) {
        let chunks = self.writer.chunks(&changes.into_rows(), snapshot, CHUNK);
        lock(&self.ring).push(chunks, snapshot.sequence, StatusOut::from(snapshot));
        self.news.send_replace(());
    }
}
