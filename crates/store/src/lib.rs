//! Where bars, statistics, alerts, subscriptions and owed deliveries live: the only meeting point of the
//! worker (left of it) and the server (right of it).
//!
//! [`open`] picks the backend by the URL's scheme. Every backend passes the same conformance list
//! (`conformance`, a feature). Methods say the business act; whatever one method does is one transaction.

#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod sqlite;

pub use error::StoreError;
pub use qqq_core::alert::AlertChange;

use async_trait::async_trait;
use jiff::Timestamp;
use qqq_core::delivery::{Delivery, DeliveryId, Lease, Outcome};
use qqq_core::subscription::{EmailAddress, Subscription, SubscriptionId};
use qqq_core::token::{Purpose, TokenHash, TokenHashes};
use qqq_core::{Alert, AlertId, Bar, FeedStatus, Metric, Minute, Split, Statistics, Symbol};
use std::ops::Range;
use std::sync::Arc;

/// Opens the store a URL names: `sqlite://data/qqq-tracker.db` (relative) or `sqlite:///var/lib/x.db`.
/// Creates it, and its folder, where there is none, and brings its schema up to date.
pub async fn open(url: &str) -> Result<Arc<dyn Store>, StoreError> {
    match url.split_once("://") {
        Some(("sqlite", path)) => Ok(Arc::new(sqlite::Sqlite::open(path).await?)),
        Some((scheme @ ("postgres" | "postgresql" | "mongodb"), _)) => {
            Err(StoreError::NotBuiltIn(scheme.to_owned()))
        }
        _ => Err(StoreError::UnknownScheme(url.split("://").next().unwrap_or_default().to_owned())),
    }
}

/// Everything a backend does.
pub trait Store: BarStore + AlertStore + OutboxStore + SubscriptionStore + Housekeeping {}

impl<T: BarStore + AlertStore + OutboxStore + SubscriptionStore + Housekeeping> Store for T {}

/// Position in the store's history. Every commit that changes what readers see has one, and they become
/// visible in order: a reader that has seen `n` has seen everything up to `n`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub i64);

/// A bar and how often its close or volume has been replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarRecord {
    /// The candlestick.
    pub bar: Bar,
    /// 0 as first received.
    pub revision: u32,
}

/// A split and the minute from which bars are in the new units (New York midnight of its ex-date).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitRecord {
    /// The split.
    pub split: Split,
    /// Stored bars that start before this minute are rescaled.
    pub from: Minute,
}

/// All effects of one step of the detector.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Splits, applied to the stored bars before anything else. One already known changes nothing.
    pub splits: Vec<SplitRecord>,
    /// New and revised bars. A bar equal to the stored one changes nothing.
    pub bars: Vec<BarRecord>,
    /// Figures of the symbols whose newest bar or window changed; replace the stored ones.
    pub statistics: Vec<Statistics>,
    /// Alerts, in the order they happened.
    pub alerts: Vec<AlertChange>,
    /// How the feed is doing now.
    pub feed: Option<FeedStatus>,
}

/// What a commit did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Where in the store's history it stands.
    pub sequence: Sequence,
    /// How many deliveries it came to owe.
    pub deliveries: u64,
}

/// A row, and the commit that last changed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamped<T> {
    /// The commit.
    pub sequence: Sequence,
    /// The row as it left it.
    pub row: T,
}

/// What readers have not seen yet. All of it belongs to commits up to `sequence`, and nothing is missing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// The newest commit contained.
    pub sequence: Sequence,
    /// Bars that are new or changed, by (start, symbol).
    pub bars: Vec<Stamped<BarRecord>>,
    /// Figures that changed.
    pub statistics: Vec<Stamped<Statistics>>,
    /// Alerts that are new or changed, oldest change first.
    pub alerts: Vec<Stamped<Alert>>,
}

impl Changes {
    /// The rows of all kinds, in the order of their places.
    pub fn into_rows(self) -> Vec<Stamped<Row>> {
        let bars = self.bars.into_iter().map(|one| one.map(Row::Bar));
        let statistics = self.statistics.into_iter().map(|one| one.map(Row::Statistics));
        let alerts = self.alerts.into_iter().map(|one| one.map(Row::Alert));
        let mut rows: Vec<_> = bars.chain(statistics).chain(alerts).collect();
        rows.sort_unstable_by_key(Stamped::place);
        rows
    }
}

impl<T> Stamped<T> {
    fn map<U>(self, make: impl FnOnce(T) -> U) -> Stamped<U> {
        Stamped { sequence: self.sequence, row: make(self.row) }
    }
}

/// A row of any kind that readers see.
#[derive(Clone, Debug, PartialEq)]
pub enum Row {
    /// A bar.
    Bar(BarRecord),
    /// The figures of a symbol.
    Statistics(Statistics),
    /// An alert.
    Alert(Alert),
}

/// Where a row stands among all rows: by the commit that last changed it, then by what it is. A row that
/// changes again moves to its new commit; the places of the others stay as they are, so a reader that remembers
/// one place has seen what stands up to it and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The commit.
    pub sequence: Sequence,
    /// The row in it.
    pub key: Key,
}

impl Place {
    /// After everything of a commit.
    pub const fn end_of(sequence: Sequence) -> Self {
        Self { sequence, key: Key::End }
    }
}

/// What tells the rows of a commit apart, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// The bar of a symbol and minute.
    Bar(Symbol, Minute),
    /// The figures of a symbol.
    Statistics(Symbol),
    /// An alert.
    Alert(AlertId),
    /// After all of them.
    End,
}

impl Stamped<Row> {
    /// Where it stands.
    pub fn place(&self) -> Place {
        let key = match &self.row {
            Row::Bar(record) => Key::Bar(record.bar.symbol, record.bar.start),
            Row::Statistics(statistics) => Key::Statistics(statistics.symbol),
            Row::Alert(alert) => Key::Alert(alert.id),
        };
        Place { sequence: self.sequence, key }
    }
}

/// What became of imported bars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Bars of minutes that had none.
    pub new: u64,
    /// Bars that replaced a different one.
    pub revised: u64,
    /// Bars that were already there.
    pub unchanged: u64,
}

/// Bars, statistics, and the commit of a step.
#[async_trait]
pub trait BarStore: Send + Sync {
    /// Writes all effects of a step, or none: bars, statistics, alerts, and one delivery for every active
    /// subscription that an alert concerns (same symbol and metric, `active_from <= alert.start`).
    ///
    /// Ids are derived from inputs, so committing a batch again changes nothing and owes nothing twice.
    /// Raising an alert that exists leaves the stored one. For a retraction: a delivery that waits is cancelled,
    /// and whoever may have been told gets exactly one follow-up, a delivery of kind `Retraction`, unless the
    /// subscription has ended. May have been told: whoever had an attempt, unless it was the only one and ended
    /// as [`Outcome::Failed`]. What is under way is judged by this when it ends, and what had ended before as
    /// well, however it had. `now` is the wall clock.
    async fn commit(&self, batch: &Batch, now: Timestamp) -> Result<Committed, StoreError>;

    /// Writes bars without judging them. A bar equal to the stored one changes nothing; a different one
    /// replaces it with the next revision.
    async fn import(&self, bars: &[Bar]) -> Result<Imported, StoreError>;

    /// Bars of one symbol in `range`, oldest first, at most `limit`.
    async fn bars(
        &self,
        symbol: Symbol,
        range: Range<Minute>,
        limit: usize,
    ) -> Result<Vec<BarRecord>, StoreError>;

    /// For each of `symbols`, the bars of the `minutes` up to its newest one:
    /// `newest - minutes < start <= newest`. Ordered by (start, symbol).
    async fn recent_bars(&self, symbols: &[Symbol], minutes: i32) -> Result<Vec<BarRecord>, StoreError>;

    /// The stored figures of every symbol.
    async fn statistics(&self) -> Result<Vec<Statistics>, StoreError>;

    /// The splits applied so far.
    async fn splits(&self) -> Result<Vec<SplitRecord>, StoreError>;

    /// The sequence of the newest commit.
    async fn sequence(&self) -> Result<Sequence, StoreError>;

    /// Everything readers have not seen: the changes of whole commits after `after`. Takes as many commits
    /// as hold about `limit` bars, but at least one. Read in one snapshot.
    async fn changes(&self, after: Sequence, limit: usize) -> Result<Changes, StoreError>;

    /// The rows that stand after a place and belong to commits up to `upto`, in order, at most `limit`. Fewer
    /// than `limit` are all there are. Read in one snapshot.
    async fn rows_after(
        &self,
        after: Place,
        upto: Sequence,
        limit: usize,
    ) -> Result<Vec<Stamped<Row>>, StoreError>;

    /// Whether commits after `after` hold more than `count` bars. Costs no more than looking at so many.
    async fn holds_more_bars(&self, after: Sequence, count: usize) -> Result<bool, StoreError>;

    /// How the feed was doing at the newest commit that said so.
    async fn feed_status(&self) -> Result<Option<FeedStatus>, StoreError>;

    /// Deletes bars that start before `before`, at most `limit` of them, and answers how many.
    async fn prune_bars(&self, before: Minute, limit: u32) -> Result<u64, StoreError>;
}

/// Which alerts to list, newest bar first.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlertQuery {
    /// Only of this symbol.
    pub symbol: Option<Symbol>,
    /// Only of this metric.
    pub metric: Option<Metric>,
    /// Only of bars that start here or later.
    pub since: Option<Minute>,
    /// Only those that come after this one in the list: a page's last entry.
    pub after: Option<(Minute, AlertId)>,
    /// At most so many.
    pub limit: usize,
}

/// Alerts.
#[async_trait]
pub trait AlertStore: Send + Sync {
    /// Alerts by (start, id), newest first.
    async fn alerts(&self, query: AlertQuery) -> Result<Vec<Alert>, StoreError>;

    /// One alert.
    async fn alert(&self, id: AlertId) -> Result<Option<Alert>, StoreError>;
}

/// How many deliveries are where, but for those [forgotten](Housekeeping::forget).
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
    /// Taken back before any attempt: unsubscribed, or the alert was retracted.
    pub cancelled: u64,
    /// When the oldest waiting one came to be owed.
    pub oldest_pending: Option<Timestamp>,
}

/// Owed deliveries: claimed by lease, settled with the proof of the latest claim.
#[async_trait]
pub trait OutboxStore: Send + Sync {
    /// Claims up to `limit` deliveries that are due and unclaimed (or whose lease ran out), oldest due first,
    /// until `lease_until`. Settles as expired what is past its time; what tells of a retracted alert is cancelled,
    /// and followed up where it had an attempt. Reads each subscription's status in the
    /// same transaction: what belongs to one no longer entitled is cancelled, not handed out.
    async fn claim(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// Extends a lease. False where a later claim exists or the delivery is settled.
    async fn renew(&self, id: DeliveryId, lease: Lease, lease_until: Timestamp) -> Result<bool, StoreError>;

    /// Records how an attempt ended. Where the last three mails to an address (by its
    /// [`key`](EmailAddress::key)) that the receiver answered for good, of whatever kind and subscription, ended as
    /// [`Outcome::Failed`], the address is suppressed, by the SHA-256 of its key: for 30 days nothing more comes to
    /// be owed to it, and a claim cancels what is owed already. False, and nothing changed, where a later claim exists or the delivery
    /// is settled. A retry past the delivery's expiry settles it as expired. Of a retracted alert, there is no
    /// retry, and whoever may have been told is owed the follow-up ([`BarStore::commit`]).
    async fn settle(
        &self,
        id: DeliveryId,
        lease: Lease,
        outcome: &Outcome,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Gives up every lease of dispatchers that are gone, so that their deliveries are due at once. Only for
    /// the holder of the worker lock. Answers how many.
    async fn release_leases(&self) -> Result<u64, StoreError>;

    /// How many deliveries are where. Cheap however many there have been: asked for every few seconds.
    async fn outbox(&self) -> Result<OutboxSummary, StoreError>;
}

/// A request for alerts.
#[derive(Clone, Debug)]
pub struct SignUp {
    /// Random.
    pub id: SubscriptionId,
    /// Where to.
    pub email: EmailAddress,
    /// Of which symbol.
    pub symbol: Symbol,
    /// Of which metric.
    pub metric: Metric,
    /// Random; tokens are derived from it.
    pub nonce: [u8; 16],
    /// Of the tokens derived from `id` and `nonce`.
    pub hashes: TokenHashes,
    /// Whether the address must confirm (double opt-in). Without, the subscription is active at once.
    pub confirm: bool,
}

/// How many confirmation mails may go out. An address counts with all that reach the same mailbox
/// ([`EmailAddress::mailbox_key`]).
#[derive(Clone, Copy, Debug)]
pub struct SignUpLimits {
    /// Seconds between two mails to one address.
    pub address_gap_seconds: i64,
    /// Mails to one address in 24 hours.
    pub address_per_day: u32,
    /// Mails in one hour, all addresses together.
    pub total_per_hour: u32,
}

impl Default for SignUpLimits {
    fn default() -> Self {
        Self { address_gap_seconds: 600, address_per_day: 3, total_per_hour: 200 }
    }
}

/// What a confirmation did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// The subscription is active now.
    Activated(Subscription),
    /// It was active before.
    AlreadyActive(Subscription),
    /// The link is too old; the subscription stays pending.
    Expired(Subscription),
    /// It has been unsubscribed since: a new sign-up is needed.
    Ended(Subscription),
    /// No subscription has this token.
    Unknown,
}

/// Subscriptions.
#[async_trait]
pub trait SubscriptionStore: Send + Sync {
    /// Takes a sign-up. Where the same address, symbol and metric is pending or active, that subscription
    /// stays and the new id is dropped; a pending one's confirmation deadline (24 h) starts anew. Owes a
    /// confirmation mail unless `limits` forbid it or the address is suppressed; the answer (was a mail
    /// owed?) is for metrics only and must never reach the client. Nor may the time it takes: what is known
    /// already is written and made durable like what is new.
    async fn subscribe(
        &self,
        sign_up: &SignUp,
        limits: SignUpLimits,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Finds the subscription a token belongs to.
    async fn subscription_of(
        &self,
        purpose: Purpose,
        token: &TokenHash,
    ) -> Result<Option<Subscription>, StoreError>;

    /// Activates a pending subscription. It is mailed for bars that start at or after the activation: by the
    /// wall clock on a live feed, by the feed's clock on a simulated or replayed one.
    async fn confirm(&self, token: &TokenHash, now: Timestamp) -> Result<Confirmed, StoreError>;

    /// Ends a subscription and cancels what is owed to it and not under way. Doing it again changes nothing.
    async fn unsubscribe(
        &self,
        token: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<Subscription>, StoreError>;
}

/// Held while a process is the store's only worker; released when dropped or when the process dies.
pub trait WorkerLock: Send + Sync {}

/// What keeps a store in order.
#[async_trait]
pub trait Housekeeping: Send + Sync {
    /// Becomes the store's worker. Fails with [`StoreError::WorkerRunning`] while another process is.
    async fn lock_worker(&self) -> Result<Box<dyn WorkerLock>, StoreError>;

    /// A small named text kept with the data.
    async fn note(&self, name: &str) -> Result<Option<String>, StoreError>;

    /// Keeps a small named text with the data.
    async fn set_note(&self, name: &str, text: &str) -> Result<(), StoreError>;

    /// Deletes what is of no use any more, at most `limit` rows, and answers how many; fewer than `limit` mean
    /// that nothing is left to delete. `now` is the wall clock. Of no use: subscriptions whose confirmation
    /// deadline passed more than 24 hours ago or that ended more than 30 days ago, with all their deliveries;
    /// deliveries settled more than 90 days ago; suppressions that no longer hold.
    async fn forget(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError>;

    /// One line for the operator: backend, version, place. No secrets.
    fn describe(&self) -> String;

    /// Quick check that the store answers and is sound.
    async fn check(&self) -> Result<(), StoreError>;

    /// Waits for writes under way and closes, leaving no write-ahead log behind where possible.
    async fn close(&self);
}
