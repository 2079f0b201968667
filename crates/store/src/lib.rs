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
pub use qqq_core::delivery::{Budget, DeliveryState, InvalidDeliveryState};
pub use qqq_core::signup::{Full, SignUpLimits};

use async_trait::async_trait;
use jiff::Timestamp;
use qqq_core::channel::Channel;
use qqq_core::delivery::places::Rooms;
use qqq_core::delivery::{Delivery, DeliveryId, DeliveryKind, FailureKind, Lease, Outcome};
use qqq_core::limits::{LimitExceeded, SubscriptionLimits};
use qqq_core::quiet::QuietHours;
use qqq_core::rule::Rule;
#[cfg(doc)]
use qqq_core::signup::Throttle;
use qqq_core::subscription::{Subscription, SubscriptionId, SubscriptionStatus};
use qqq_core::token::{Purpose, TokenHash, TokenHashes};
use qqq_core::{Alert, AlertId, Bar, FeedStatus, Metric, Minute, RuleName, Split, Statistics, Symbol};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

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
pub trait Store: BarStore + AlertStore + OutboxStore + SubscriptionStore + AdminStore + Housekeeping {}

impl<T: BarStore + AlertStore + OutboxStore + SubscriptionStore + AdminStore + Housekeeping> Store for T {}

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
    /// Bars from before all windows, in today's units: written as [`import`](BarStore::import) writes them.
    pub history: Vec<Bar>,
    /// The bars that wait to be confirmed, each of another symbol; replace those that waited. `None`: as before.
    pub quarantined: Option<Vec<Bar>>,
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
    /// Alerts that are new or changed, oldest change first: all of them, whoever may read them.
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
    /// subscription that an alert concerns: same symbol, metric and rule, `active_from <= alert.start`, not paused.
    ///
    /// Ids are derived from inputs, so committing a batch again changes nothing and owes nothing twice.
    /// Raising an alert that exists leaves the stored one. An alert is known by its rule, symbol, metric and minute: what
    /// concerns one of another id is about the stored one, as it is told and follow-ups name it. For a retraction: a delivery that waits is cancelled,
    /// and whoever may have been told gets exactly one follow-up, a delivery of kind `Retraction`, unless the
    /// subscription has ended or is paused. May have been told: whoever had an attempt that was tried, unless it was the only
    /// one and ended as [`Outcome::Failed`]. What is under way is judged by this when it ends, and what had ended before as
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

    /// The same bars without their revisions, read in a fraction of the time: for backtests, which take years of minutes.
    async fn history(
        &self,
        symbol: Symbol,
        range: Range<Minute>,
        limit: usize,
    ) -> Result<Vec<Bar>, StoreError>;

    /// For each of `symbols`, the bars of the `minutes` up to its newest one:
    /// `newest - minutes < start <= newest`. Ordered by (start, symbol).
    async fn recent_bars(&self, symbols: &[Symbol], minutes: i32) -> Result<Vec<BarRecord>, StoreError>;

    /// The stored figures of every symbol.
    async fn statistics(&self) -> Result<Vec<Statistics>, StoreError>;

    /// The bars that wait to be confirmed, by symbol. No reader sees them.
    async fn quarantined(&self) -> Result<Vec<Bar>, StoreError>;

    /// The splits applied so far.
    async fn splits(&self) -> Result<Vec<SplitRecord>, StoreError>;

    /// The sequence of the newest commit.
    async fn sequence(&self) -> Result<Sequence, StoreError>;

    /// Everything readers have not seen: the changes of whole commits after `after`. Takes as many commits
    /// as hold about `limit` bars, but at least one. Read in one snapshot.
    async fn changes(&self, after: Sequence, limit: usize) -> Result<Changes, StoreError>;

    /// The rows that stand after a place and belong to commits up to `upto`, in order, at most `limit`, as far as
    /// `audience` may read them. Fewer than `limit` are all there are. Read in one snapshot.
    async fn rows_after(
        &self,
        after: Place,
        upto: Sequence,
        limit: usize,
        audience: Audience<'_>,
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
    /// Only of this rule.
    pub rule: Option<RuleName>,
    /// Only of bars that start here or later.
    pub since: Option<Minute>,
    /// Only those that come after this one in the list: a page's last entry.
    pub after: Option<(Minute, AlertId)>,
    /// Also those of own rules, which not everybody may read.
    pub private_too: bool,
    /// At most so many.
    pub limit: usize,
}

/// Who reads, and so which alerts there are.
#[derive(Clone, Copy, Debug)]
pub enum Audience<'a> {
    /// Anybody: public alerts.
    Everybody,
    /// The holder of a subscription: also those [of its rule](Subscription::may_read).
    Subscriber(&'a Subscription),
}

/// Alerts.
#[async_trait]
pub trait AlertStore: Send + Sync {
    /// Alerts by (start, id), newest first.
    async fn alerts(&self, query: AlertQuery) -> Result<Vec<Alert>, StoreError>;

    /// One alert, whoever may read it.
    async fn alert(&self, id: AlertId) -> Result<Option<Alert>, StoreError>;

    /// Whether an alert was enqueued to a subscription, whatever became of that, as far as it is remembered.
    async fn was_owed(&self, alert: AlertId, subscription: SubscriptionId) -> Result<bool, StoreError>;

    /// Makes private alerts of a rule and metric public, at most `limit`, and answers how many: for a rule that the
    /// house makes its own. Their place in the history stays.
    async fn publish(&self, rule: RuleName, metric: Metric, limit: u32) -> Result<u64, StoreError>;

    /// Deletes private alerts of bars that start before `before`, with the deliveries that tell of them, at most
    /// `limit` alerts, and answers how many. Those that a delivery still waits for stay.
    async fn prune_private_alerts(&self, before: Minute, limit: u32) -> Result<u64, StoreError>;
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
    /// Taken back: the subscription ended or is paused, its address is suppressed, or the alert was retracted.
    pub cancelled: u64,
    /// Told in a digest, which is counted by itself.
    pub bundled: u64,
    /// When the oldest waiting one came to be owed.
    pub oldest_pending: Option<Timestamp>,
}

/// Owed deliveries: claimed by lease, settled with the proof of the latest claim.
#[async_trait]
pub trait OutboxStore: Send + Sync {
    /// Claims deliveries that are due and unclaimed (or whose lease ran out), mails before webhooks and oldest due first,
    /// until `lease_until`: as many as have a place in `rooms`, so that none waits with a lease; of one recipient, four are
    /// under way at most. Settles as expired what is past its time; what
    /// tells of a retracted alert is cancelled, and followed up where it had an attempt. Reads each subscription's status
    /// in the same transaction: what belongs to one no longer entitled is cancelled, not handed out.
    ///
    /// Alerts, retractions and digests wait for the end of their subscription's quiet hours, alerts and digests for room
    /// in their recipient's `budget`; they then are worth sending for as long as if they had come to be owed at that
    /// time. Alerts that waited before any attempt come as one digest of at most 200, made in this transaction, where
    /// more than one of a recipient is due; the others are [`Bundled`](DeliveryState::Bundled). A digest leaves out what
    /// was retracted and what belongs to a subscription that ended or is paused, and is cancelled where nothing is left.
    async fn claim(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        rooms: Rooms,
        budget: Budget,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// Extends a lease. False where a later claim exists or the delivery is settled.
    async fn renew(&self, id: DeliveryId, lease: Lease, lease_until: Timestamp) -> Result<bool, StoreError>;

    /// Records how an attempt ended. Where the last three messages to a recipient (by its
    /// [`key`](Channel::key)) that were answered for good, of whatever kind and subscription, failed, the recipient is
    /// suppressed, by the SHA-256 of its key: for 30 days nothing more comes to be owed to it, and a claim cancels what
    /// is owed already. False, and nothing changed, where a later claim exists or the delivery is settled. A retry past
    /// the delivery's expiry settles it as expired. Of a retracted alert, there is no retry, and whoever may have been
    /// told is owed the follow-up ([`BarStore::commit`]). [`Outcome::Gone`] is a failure that also disables the
    /// subscription, or all that a digest tells of, and cancels what is owed to them. [`Outcome::NotTried`] gives the
    /// attempt back, and leaves the reason of an earlier failure.
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
    pub channel: Channel,
    /// Of which symbol.
    pub symbol: Symbol,
    /// Of which metric.
    pub metric: Metric,
    /// By which rule.
    pub rule: RuleName,
    /// When alerts wait.
    pub quiet: Option<QuietHours>,
    /// Random; tokens are derived from it.
    pub nonce: [u8; 16],
    /// Of the tokens derived from `id` and `nonce`.
    pub hashes: TokenHashes,
    /// Whether the receiver must confirm (double opt-in). Without, the subscription is active at once.
    pub confirm: bool,
}

/// How a sign-up was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedUp {
    /// It is kept.
    Taken,
    /// Too much waits already. Nothing was kept.
    Full(Full),
}

/// What taking in did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TakenIn {
    /// So many sign-ups became subscriptions, or were of a wish that was known.
    pub sign_ups: u64,
    /// So many messages that ask to confirm came to be owed.
    pub confirmations: u64,
    /// There are more sign-ups to take in.
    pub more: bool,
}

/// What a confirmation link opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmable {
    /// The subscription it was made for.
    pub of: Subscription,
    /// Whether it is too old to confirm anything.
    pub lapsed: bool,
    /// What is pending of the same recipient (by its [`key`](Channel::key)), the newest 200 first, that subscription always
    /// among them: nothing where it has lapsed.
    pub asked: Vec<Subscription>,
}

impl Confirmable {
    /// What there is to answer where nothing is asked.
    pub(crate) fn without_anything_asked(self) -> Confirmed {
        match self.of.status {
            status if status.has_ended() => Confirmed::Ended(self.of),
            SubscriptionStatus::Active => Confirmed::AlreadyActive(self.of),
            _ if self.lapsed => Confirmed::Expired(self.of),
            _ => Confirmed::Settled { activated: Vec::new(), declined: Vec::new(), refused: Vec::new() },
        }
    }
}

/// What of all that is pending is to be confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// All of it.
    Everything,
    /// Of what was shown, this; the rest of what was shown is declined, and what was not shown is left alone.
    Ticked {
        /// To be confirmed.
        ticked: Vec<SubscriptionId>,
        /// What there was to choose from.
        shown: Vec<SubscriptionId>,
    },
}

impl Choice {
    /// Whether a subscription is confirmed or declined; `None` where it is left alone.
    pub fn about(&self, id: SubscriptionId) -> Option<bool> {
        match self {
            Self::Everything => Some(true),
            Self::Ticked { ticked, .. } if ticked.contains(&id) => Some(true),
            Self::Ticked { shown, .. } => shown.contains(&id).then_some(false),
        }
    }
}

/// What a confirmation did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// What was pending is active now, or was declined and has ended.
    Settled {
        /// Active now.
        activated: Vec<Subscription>,
        /// Ended.
        declined: Vec<Subscription>,
        /// Chosen, and beyond a limit: pending as before.
        refused: Vec<(Subscription, LimitExceeded)>,
    },
    /// Nothing is pending, and the subscription that the link was made for is active.
    AlreadyActive(Subscription),
    /// The link is too old; the subscription stays pending.
    Expired(Subscription),
    /// Nothing is pending, and the subscription that the link was made for has ended: a new sign-up is needed.
    Ended(Subscription),
    /// No subscription has this token.
    Unknown,
}

/// Subscriptions.
#[async_trait]
pub trait SubscriptionStore: Send + Sync {
    /// Holds what becomes active from now on to limits, each checked in the transaction that would activate it: a sign-up
    /// that need not be confirmed and a changed rule are [`StoreError::BeyondLimit`], what is confirmed is
    /// [refused](Confirmed::Settled). One that has to be confirmed is noted down unless its rule alone is beyond a limit:
    /// how much its receiver has already is nothing to tell a stranger.
    fn hold_to(&self, limits: SubscriptionLimits);

    /// Notes a sign-up down, to be [taken in](Self::take_in), unless too much waits already ([`SignUpLimits::admit`]).
    /// Neither the answer nor the time it takes depends on what is known of the receiver. One that need not be confirmed
    /// is taken in at once.
    async fn subscribe(
        &self,
        sign_up: &SignUp,
        limits: SignUpLimits,
        now: Timestamp,
    ) -> Result<SignedUp, StoreError>;

    /// Takes in sign-ups in their order, some at a time. Where the same recipient (by its [`key`](Channel::key)), symbol,
    /// metric and rule is pending or active, that subscription stays as it is and the new id is dropped; a pending one's
    /// confirmation deadline (24 h) starts anew.
    ///
    /// For what is pending then, a message that asks to confirm waits, unless the recipient is suppressed: one for each
    /// mail address, and one for each subscription by webhook, as it alone tells that one's id, token and secret, and is
    /// owed where nothing has to be confirmed as well. Comes to owe those whose turn it is within `limits`
    /// ([`Throttle`]), the oldest and the newest in turn. By mail it is about the newest that is pending; where nothing is
    /// any more, it is dropped. What it is about, and what else is pending of the recipient, can be confirmed for another
    /// 24 h.
    async fn take_in(&self, limits: SignUpLimits, now: Timestamp) -> Result<TakenIn, StoreError>;

    /// Finds the subscription a token belongs to.
    async fn subscription_of(
        &self,
        purpose: Purpose,
        token: &TokenHash,
    ) -> Result<Option<Subscription>, StoreError>;

    /// What the link of a token opens: until it lapses, all that is pending of its recipient, whatever became of the
    /// subscription it was made for.
    async fn confirmable(&self, token: &TokenHash, now: Timestamp)
    -> Result<Option<Confirmable>, StoreError>;

    /// Activates what was chosen of what is [confirmable](Self::confirmable), and ends what was declined. What is active
    /// is told of bars that start at or after the activation: by the wall clock on a live feed, by the feed's clock on a
    /// simulated or replayed one. A webhook that became active and was not told its secret is owed the message that does.
    async fn confirm(
        &self,
        token: &TokenHash,
        choice: &Choice,
        now: Timestamp,
    ) -> Result<Confirmed, StoreError>;

    /// Ends a subscription, or with `all` every one of the same recipient (by its [`key`](Channel::key)), and cancels
    /// what is owed to them and not under way. What has ended stays as it is. Answers the one the token belongs to.
    async fn unsubscribe(
        &self,
        token: &TokenHash,
        all: bool,
        now: Timestamp,
    ) -> Result<Option<Subscription>, StoreError>;

    /// Changes the subscription a managing token belongs to. Nothing but the secret's rotation concerns what is under
    /// way. What was owed before by another rule stays owed.
    async fn amend(
        &self,
        token: &TokenHash,
        change: &SubscriptionChange,
        now: Timestamp,
    ) -> Result<Amended, StoreError>;

    /// What the active subscriptions watch by rules of their own, each once, in no order, and the version of that.
    async fn watched(&self) -> Result<Watched, StoreError>;

    /// The version of what [`watched`](Self::watched) answers: another one where that may have changed. Cheap: asked
    /// for before every step.
    async fn watch_version(&self) -> Result<u64, StoreError>;
}

/// What to change about a subscription. `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct SubscriptionChange {
    /// By which rule from now on: of bars that start later, as if it had become active now.
    pub rule: Option<RuleName>,
    /// `Some(None)`: no quiet hours any more. What is held is judged anew.
    pub quiet: Option<Option<QuietHours>>,
    /// Pauses until then, and cancels what is owed and not under way but for confirmations; [`Timestamp::MAX`]: until it
    /// is resumed. `Some(None)` resumes it. What is raised while paused is never told.
    pub paused_until: Option<Option<Timestamp>>,
    /// Replaces the secret that signs its webhooks by that of the next generation.
    pub rotate_secret: bool,
}

impl SubscriptionChange {
    /// A subscription as it is after the change, but for where a new rule has it begin. Times are kept in microseconds.
    pub fn applied_to(&self, before: &Subscription, now: Timestamp) -> Subscription {
        let mut after = before.clone();
        if let Some(rule) = self.rule {
            after.rule = rule;
        }
        if let Some(quiet) = &self.quiet {
            after.quiet.clone_from(quiet);
        }
        if let Some(until) = self.paused_until {
            after.paused_until = until.map(as_kept);
        }
        if self.rotate_secret {
            after.secret_generation += 1;
            after.secret_rotated_at = Some(as_kept(now));
        }
        after
    }
}

/// A time as it is read back: whole microseconds, but for the last moment there is.
fn as_kept(at: Timestamp) -> Timestamp {
    match Timestamp::from_microsecond(at.as_microsecond()) {
        Ok(whole) if at.as_microsecond() < Timestamp::MAX.as_microsecond() => whole,
        _ => Timestamp::MAX,
    }
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Amended {
    /// It is as asked for.
    Changed(Subscription),
    /// Another subscription of the same recipient, symbol and metric has that rule already. Nothing was changed.
    Conflict,
    /// It has ended. Nothing was changed.
    Ended(Subscription),
    /// No subscription has this token.
    Unknown,
}

/// What is watched by rules of subscribers' own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Watched {
    /// Grows with every change.
    pub version: u64,
    /// What, each once.
    pub watches: Vec<(Symbol, Metric, Rule)>,
}

/// Which subscriptions to list, by id.
#[derive(Clone, Debug, Default)]
pub struct SubscriptionQuery {
    /// Only of this recipient: a [`Channel::key`].
    pub address: Option<String>,
    /// Only those that come after this one in the list: a page's last entry.
    pub after: Option<SubscriptionId>,
    /// At most so many.
    pub limit: usize,
}

/// Which subscriptions an operator means.
#[derive(Clone, Debug)]
pub enum Selection {
    /// This one.
    One(SubscriptionId),
    /// All of a recipient: a [`Channel::key`].
    Of(String),
}

/// Which deliveries to list, newest first.
#[derive(Clone, Debug)]
pub struct DeliveryQuery {
    /// Only those that stand there.
    pub state: DeliveryState,
    /// Only to this recipient: a [`Channel::key`].
    pub address: Option<String>,
    /// Only those that come after this one in the list: a page's last entry.
    pub after: Option<(Timestamp, DeliveryId)>,
    /// At most so many.
    pub limit: usize,
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
    /// When it came to be owed.
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
}

/// What became of a wish to try a delivery again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replayed {
    /// It is owed again.
    Owed,
    /// It stands where nothing is to be tried again: only what failed or expired is.
    Refused(DeliveryState),
    /// Its subscription has ended.
    Ended,
    /// There is no such delivery.
    Unknown,
}

/// What an operator looks at and mends.
#[async_trait]
pub trait AdminStore: Send + Sync {
    /// Subscriptions in any state, by id.
    async fn subscriptions(&self, query: &SubscriptionQuery) -> Result<Vec<Subscription>, StoreError>;

    /// Disables subscriptions that have not ended, and cancels what is owed to them and not under way. Answers how many.
    async fn disable(&self, which: &Selection, now: Timestamp) -> Result<u64, StoreError>;

    /// Deletes all that is known of a recipient (a [`Channel::key`]) at once: subscriptions, deliveries, its
    /// suppression. What is under way cannot be settled any more. Answers how many subscriptions there were.
    async fn erase(&self, address: &str) -> Result<u64, StoreError>;

    /// Deliveries by (time owed, id), newest first.
    async fn deliveries(&self, query: &DeliveryQuery) -> Result<Vec<DeliveryRecord>, StoreError>;

    /// Owes a delivery again that failed or expired: the same id, due at once, with a new expiry. Its attempts go on
    /// counting. What bars any delivery bars it too: a pause, a suppression, a retraction.
    async fn replay(&self, id: DeliveryId, now: Timestamp) -> Result<Replayed, StoreError>;
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

    /// Which backend it is: `sqlite`. Anybody may know.
    fn kind(&self) -> &'static str;

    /// One line for the operator: backend, version, place. No secrets.
    fn describe(&self) -> String;

    /// Looks through everything, whether it is sound. Takes as long as reading all of it.
    async fn check(&self) -> Result<(), StoreError>;

    /// The same without looking at indexes, for so long at most. False where it was not enough to look through everything, and nothing was found so far.
    async fn quick_check(&self, within: Duration) -> Result<bool, StoreError>;

    /// Whether the store is still the one that was opened, and may be written to: its files lie under their names, and no
    /// sync has failed. Where not, nothing is written any more until it is opened anew. Cheap.
    fn intact(&self) -> Result<(), StoreError>;

    /// Whether a write would be taken now: what the latest write found, where that was within the last ten seconds, else
    /// by writing what is there already. [`StoreError::NoRoom`] where the disk takes nothing.
    async fn writable(&self) -> Result<(), StoreError>;

    /// Bytes of what is written and has not found its place yet. Grows for as long as somebody reads on and on.
    fn log_bytes(&self) -> u64;

    /// Waits for writes under way and closes, leaving no write-ahead log behind where possible.
    async fn close(&self);
}
