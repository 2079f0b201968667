//! What is told of deliveries and of what is watched.

use jiff::Timestamp;
use qqq_core::delivery::{DeliveryId, DeliveryKind, DeliveryState, FailureKind, Waiting, WaitsFor};
use qqq_core::market::watchlist::WatchlistEdit;
use qqq_core::rule::Rule;
use qqq_core::subscription::{Scope, Subscription};
use qqq_core::{AlertId, Metric, Symbol};
use std::collections::BTreeMap;

/// How many deliveries are where, but for those [forgotten](crate::Housekeeping::forget).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxSummary {
    /// Waiting for their time or under way.
    pub pending: u64,
    /// Accepted by the receiver.
    pub sent: u64,
    /// Refused for good.
    pub failed: u64,
    /// Not accepted while they were worth sending.
    pub expired: u64,
    /// Taken back: the subscription ended or is paused, its address is suppressed, or the alert was
    /// retracted.
    pub cancelled: u64,
    /// Told in a digest, which is counted by itself.
    pub bundled: u64,
    /// When the oldest waiting one was enqueued.
    pub oldest_pending: Option<Timestamp>,
}

/// What is watched by rules of subscribers' own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Watched {
    /// Grows with every change.
    pub version: u64,
    /// What, each once.
    pub watches: Vec<(Scope, Metric, Rule)>,
}

/// A delivery, as the operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRecord {
    /// Which.
    pub id: DeliveryId,
    /// What it tells.
    pub kind: DeliveryKind,
    /// Where it stands.
    pub state: DeliveryState,
    /// To whom.
    pub subscription: Subscription,
    /// Of what; `None` for confirmations and digests.
    pub alert: Option<AlertId>,
    /// When it was enqueued.
    pub created_at: Timestamp,
    /// When it stops being worth sending.
    pub expires_at: Timestamp,
    /// Attempts so far.
    pub attempts: u32,
    /// When it came to an end.
    pub settled_at: Option<Timestamp>,
    /// Why it stands there, as far as there is anything to say.
    pub reason: Option<String>,
    /// Of what kind the last failure was, where it stands there for one.
    pub failure: Option<FailureKind>,
    /// The digest it went into.
    pub digest: Option<DeliveryId>,
    /// When it is looked at again, while it is owed.
    pub due_at: Timestamp,
    /// Until when it is under way, where it is.
    pub lease_until: Option<Timestamp>,
}

impl DeliveryRecord {
    /// What it waits for; `None` where it has come to an end.
    pub fn waits_for(&self, now: Timestamp) -> Option<WaitsFor> {
        let &Self { kind, ref subscription, due_at, lease_until, failure, .. } = self;
        let waiting = Waiting { kind, subscription, due_at, lease_until, failed: failure.is_some() };
        (self.state == DeliveryState::Pending).then(|| waiting.waits_for(now))
    }
}

/// What operators changed of the configured watchlist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchlistEdits {
    /// How often that was changed.
    pub version: u64,
    /// At most one of a symbol, oldest first.
    pub edits: Vec<WatchlistEdit>,
}

/// What operators changed of the watchlist, as a store holds it that is only looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEdits {
    /// What they changed.
    pub edits: WatchlistEdits,
    /// What symbols are called there.
    pub names: BTreeMap<Symbol, String>,
    /// The version of the schema it has; 0 where nothing was ever kept there.
    pub schema: u64,
    /// The one that [`open`](crate::open) brings it up to.
    pub newest_schema: u64,
}

/// What a source of names calls symbols.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SymbolNames {
    /// When it was last asked; `None` where none ever was.
    pub told: Option<Timestamp>,
    /// The names.
    pub names: BTreeMap<Symbol, String>,
}

/// What became of a wish to try a delivery again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replayed {
    /// It is enqueued again.
    Enqueued,
    /// It stands where nothing is to be tried again: only what failed or expired is.
    Refused(DeliveryState),
    /// Its subscription has ended.
    Ended,
    /// There is no such delivery.
    Unknown,
}
