//! A store that fails when told to.

use crate::world::World;
use async_trait::async_trait;
use jiff::Timestamp;
use qqq_core::delivery::places::Rooms;
use qqq_core::delivery::{Delivery, DeliveryId, Lease, Outcome, SignInMail};
use qqq_core::market::watchlist::WatchlistEdit;
use qqq_core::subscription::limits::SubscriptionLimits;
use qqq_core::subscription::session::{Session, SignInId};
use qqq_core::subscription::token::{Purpose, TokenHash};
use qqq_core::subscription::{EmailAddress, Subscription, SubscriptionId};
use qqq_core::{
    Alert, AlertId, Bar, Cadence, FeedStatus, Metric, Rule, RuleName, Second, Statistics, Symbol,
};
use qqq_store::*;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    Error,
    Busy,
    /// Of the disk: nothing can be written.
    NoRoom,
    /// Until the fault is another.
    Wait,
    Hang,
    Panic,
}

pub(crate) struct Faulty {
    inner: Arc<dyn Store>,
    fault: watch::Sender<Fault>,
    waiting: AtomicUsize,
    outbox_asked: AtomicUsize,
}

impl Faulty {
    pub(crate) fn over(world: &World) -> Self {
        Self {
            inner: Arc::clone(&world.store),
            fault: watch::Sender::new(Fault::None),
            waiting: AtomicUsize::new(0),
            outbox_asked: AtomicUsize::new(0),
        }
    }

    pub(crate) fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// How many calls hang or wait, or have.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// How often the outbox was counted.
    pub(crate) fn outbox_asked(&self) -> usize {
        self.outbox_asked.load(Ordering::SeqCst)
    }

    async fn ok(&self) -> Result<&dyn Store, StoreError> {
        let fault = *self.fault.borrow();
        match fault {
            Fault::None | Fault::NoRoom => Ok(&*self.inner),
            Fault::Error => Err(StoreError::Backend("disk failure in a secret place".to_owned())),
            Fault::Busy => Err(StoreError::Busy),
            Fault::Wait => {
                self.waiting.fetch_add(1, Ordering::SeqCst);
                let _ = self.fault.subscribe().wait_for(|fault| *fault != Fault::Wait).await;
                Ok(&*self.inner)
            }
            Fault::Hang => {
                self.waiting.fetch_add(1, Ordering::SeqCst);
                std::future::pending().await
            }
            Fault::Panic => panic!("on purpose"),
        }
    }

    /// For calls that write.
    async fn takes(&self) -> Result<&dyn Store, StoreError> {
        if matches!(*self.fault.borrow(), Fault::NoRoom) {
            return Err(StoreError::NoRoom("the disk is full".to_owned()));
        }
        self.ok().await
    }
}

#[async_trait]
impl BarStore for Faulty {
    async fn commit(&self, batch: &Batch, now: Timestamp) -> Result<Committed, StoreError> {
        self.takes().await?.commit(batch, now).await
    }
    async fn import(&self, bars: &[Bar]) -> Result<Imported, StoreError> {
        self.ok().await?.import(bars).await
    }
    async fn import_sessions(
        &self,
        sessions: &[SessionBars],
        others: &[Bar],
    ) -> Result<Imported, StoreError> {
        self.ok().await?.import_sessions(sessions, others).await
    }
    async fn oldest_open(&self) -> Result<Option<Second>, StoreError> {
        self.ok().await?.oldest_open().await
    }
    async fn close_bars(&self, range: Range<Second>, after: Option<Symbol>) -> Result<Closed, StoreError> {
        self.ok().await?.close_bars(range, after).await
    }
    async fn closed_from(&self, from: Second) -> Result<Option<Second>, StoreError> {
        self.ok().await?.closed_from(from).await
    }
    async fn closed_extent(&self, range: Range<Second>) -> Result<ClosedExtent, StoreError> {
        self.ok().await?.closed_extent(range).await
    }
    async fn closed_symbols(&self, range: Range<Second>) -> Result<Vec<Symbol>, StoreError> {
        self.ok().await?.closed_symbols(range).await
    }
    async fn bars(
        &self,
        symbol: Symbol,
        range: Range<Second>,
        limit: usize,
    ) -> Result<Vec<BarRecord>, StoreError> {
        self.ok().await?.bars(symbol, range, limit).await
    }
    async fn history(
        &self,
        symbol: Symbol,
        range: Range<Second>,
        limit: usize,
    ) -> Result<Vec<Bar>, StoreError> {
        self.ok().await?.history(symbol, range, limit).await
    }
    async fn last_bars(
        &self,
        wanted: &[(Symbol, Range<Second>)],
    ) -> Result<Vec<Option<BarRecord>>, StoreError> {
        self.ok().await?.last_bars(wanted).await
    }
    async fn settle_cadence(&self, cadence: Cadence) -> Result<(), StoreError> {
        self.ok().await?.settle_cadence(cadence).await
    }

    async fn cadence(&self) -> Result<Cadence, StoreError> {
        self.ok().await?.cadence().await
    }

    async fn recent_bars(&self, symbols: &[Symbol], seconds: i64) -> Result<Vec<BarRecord>, StoreError> {
        self.ok().await?.recent_bars(symbols, seconds).await
    }
    async fn statistics(&self) -> Result<Vec<Statistics>, StoreError> {
        self.ok().await?.statistics().await
    }
    async fn quarantined(&self) -> Result<Vec<Bar>, StoreError> {
        self.ok().await?.quarantined().await
    }
    async fn splits(&self) -> Result<Vec<SplitRecord>, StoreError> {
        self.ok().await?.splits().await
    }
    async fn sequence(&self) -> Result<Sequence, StoreError> {
        self.ok().await?.sequence().await
    }
    async fn changes(&self, after: Sequence, limit: usize) -> Result<Changes, StoreError> {
        self.ok().await?.changes(after, limit).await
    }
    async fn rows_after(
        &self,
        after: ChangeCursor,
        upto: Sequence,
        limit: usize,
        audience: Audience<'_>,
    ) -> Result<Vec<Stamped<Row>>, StoreError> {
        self.ok().await?.rows_after(after, upto, limit, audience).await
    }
    async fn holds_more_bars(&self, after: Sequence, count: usize) -> Result<bool, StoreError> {
        self.ok().await?.holds_more_bars(after, count).await
    }
    async fn feed_status(&self) -> Result<Option<FeedStatus>, StoreError> {
        self.ok().await?.feed_status().await
    }
    async fn prune_bars(&self, before: Second, limit: u32) -> Result<u64, StoreError> {
        self.ok().await?.prune_bars(before, limit).await
    }
}

#[async_trait]
impl AlertStore for Faulty {
    async fn alerts(&self, query: AlertQuery) -> Result<Vec<Alert>, StoreError> {
        self.ok().await?.alerts(query).await
    }
    async fn alert(&self, id: AlertId) -> Result<Option<Alert>, StoreError> {
        self.ok().await?.alert(id).await
    }
    async fn was_owed(&self, alert: AlertId, subscription: SubscriptionId) -> Result<bool, StoreError> {
        self.ok().await?.was_owed(alert, subscription).await
    }
    async fn alerts_of(&self, address: &str, query: ReceiverAlertQuery) -> Result<Vec<Alert>, StoreError> {
        self.ok().await?.alerts_of(address, query).await
    }
    async fn was_owed_to(&self, alert: AlertId, address: &str) -> Result<bool, StoreError> {
        self.ok().await?.was_owed_to(alert, address).await
    }
    async fn complete_house_rules(&self, rule: &Rule) -> Result<u64, StoreError> {
        self.ok().await?.complete_house_rules(rule).await
    }
    async fn publish(&self, rule: RuleName, metric: Metric, limit: u32) -> Result<u64, StoreError> {
        self.ok().await?.publish(rule, metric, limit).await
    }
    async fn prune_private_alerts(&self, before: Second, limit: u32) -> Result<u64, StoreError> {
        self.ok().await?.prune_private_alerts(before, limit).await
    }
}

#[async_trait]
impl OutboxStore for Faulty {
    async fn claim(
        &self,
        now: Timestamp,
        until: Timestamp,
        rooms: Rooms,
        budget: Budget,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.ok().await?.claim(now, until, rooms, budget).await
    }
    async fn renew(&self, id: DeliveryId, lease: Lease, until: Timestamp) -> Result<bool, StoreError> {
        self.ok().await?.renew(id, lease, until).await
    }
    async fn settle(
        &self,
        id: DeliveryId,
        lease: Lease,
        outcome: &Outcome,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.ok().await?.settle(id, lease, outcome, now).await
    }
    async fn release_leases(&self) -> Result<u64, StoreError> {
        self.ok().await?.release_leases().await
    }
    async fn outbox(&self) -> Result<OutboxSummary, StoreError> {
        self.outbox_asked.fetch_add(1, Ordering::SeqCst);
        self.ok().await?.outbox().await
    }
}

#[async_trait]
impl SubscriptionStore for Faulty {
    fn hold_to(&self, limits: SubscriptionLimits) {
        self.inner.hold_to(limits);
    }

    async fn subscribe(
        &self,
        request: &[SignUp],
        limits: SignUpLimits,
        now: Timestamp,
    ) -> Result<SignedUp, StoreError> {
        self.takes().await?.subscribe(request, limits, now).await
    }
    async fn take_in(&self, limits: SignUpLimits, now: Timestamp) -> Result<TakenIn, StoreError> {
        self.ok().await?.take_in(limits, now).await
    }
    async fn subscription_of(
        &self,
        purpose: Purpose,
        token: &TokenHash,
    ) -> Result<Option<Subscription>, StoreError> {
        self.ok().await?.subscription_of(purpose, token).await
    }
    async fn subscription(&self, id: SubscriptionId) -> Result<Option<Subscription>, StoreError> {
        self.ok().await?.subscription(id).await
    }
    async fn active_of(&self, address: &str) -> Result<Vec<Subscription>, StoreError> {
        self.ok().await?.active_of(address).await
    }
    async fn confirmable(
        &self,
        token: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<Confirmable>, StoreError> {
        self.ok().await?.confirmable(token, now).await
    }
    async fn confirm(
        &self,
        token: &TokenHash,
        choice: &Choice,
        now: Timestamp,
    ) -> Result<Confirmed, StoreError> {
        self.takes().await?.confirm(token, choice, now).await
    }
    async fn unsubscribe(
        &self,
        token: &TokenHash,
        all: bool,
        now: Timestamp,
    ) -> Result<Option<Subscription>, StoreError> {
        self.takes().await?.unsubscribe(token, all, now).await
    }
    async fn amend(
        &self,
        token: &TokenHash,
        change: &SubscriptionChange,
        now: Timestamp,
    ) -> Result<Amended, StoreError> {
        self.takes().await?.amend(token, change, now).await
    }
    async fn watched(&self) -> Result<Watched, StoreError> {
        self.ok().await?.watched().await
    }
    async fn watch_version(&self) -> Result<u64, StoreError> {
        self.ok().await?.watch_version().await
    }
}

#[async_trait]
impl WatchlistStore for Faulty {
    async fn watchlist_edits(&self) -> Result<WatchlistEdits, StoreError> {
        self.ok().await?.watchlist_edits().await
    }
    async fn watchlist_version(&self) -> Result<u64, StoreError> {
        self.ok().await?.watchlist_version().await
    }
    async fn edit_watchlist(&self, edits: &[WatchlistEdit], version: u64) -> Result<bool, StoreError> {
        self.takes().await?.edit_watchlist(edits, version).await
    }
}

#[async_trait]
impl NameStore for Faulty {
    async fn symbol_names(&self) -> Result<SymbolNames, StoreError> {
        self.ok().await?.symbol_names().await
    }
    async fn symbol_names_told(&self) -> Result<Option<Timestamp>, StoreError> {
        self.ok().await?.symbol_names_told().await
    }
    async fn keep_symbol_names(
        &self,
        names: &BTreeMap<Symbol, String>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.takes().await?.keep_symbol_names(names, at).await
    }
}

#[async_trait]
impl SessionStore for Faulty {
    async fn ask_to_sign_in(
        &self,
        request: &SignInRequest,
        limits: SignUpLimits,
        now: Timestamp,
    ) -> Result<SignedUp, StoreError> {
        self.takes().await?.ask_to_sign_in(request, limits, now).await
    }
    async fn take_in_sign_ins(
        &self,
        limits: SignUpLimits,
        operators: &[EmailAddress],
        now: Timestamp,
    ) -> Result<SignInsTakenIn, StoreError> {
        self.ok().await?.take_in_sign_ins(limits, operators, now).await
    }
    async fn claim_sign_ins(&self, now: Timestamp, until: Timestamp) -> Result<Vec<SignInMail>, StoreError> {
        self.ok().await?.claim_sign_ins(now, until).await
    }
    async fn settle_sign_in(
        &self,
        id: SignInId,
        lease: Lease,
        outcome: &Outcome,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.ok().await?.settle_sign_in(id, lease, outcome, now).await
    }
    async fn signs_in_as(
        &self,
        link: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<EmailAddress>, StoreError> {
        self.ok().await?.signs_in_as(link, now).await
    }
    async fn sign_in(
        &self,
        link: &TokenHash,
        session: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<Session>, StoreError> {
        self.takes().await?.sign_in(link, session, now).await
    }
    async fn session(&self, token: &TokenHash, now: Timestamp) -> Result<Option<Session>, StoreError> {
        self.ok().await?.session(token, now).await
    }
    async fn sessions_of(&self, address: &str, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        self.ok().await?.sessions_of(address, now).await
    }
    async fn end_session(&self, token: &TokenHash) -> Result<(), StoreError> {
        self.takes().await?.end_session(token).await
    }
}

#[async_trait]
impl AdminStore for Faulty {
    async fn subscriptions(&self, query: &SubscriptionQuery) -> Result<Vec<Subscription>, StoreError> {
        self.ok().await?.subscriptions(query).await
    }
    async fn disable(&self, which: &Selection, now: Timestamp) -> Result<u64, StoreError> {
        self.ok().await?.disable(which, now).await
    }
    async fn erase(&self, address: &str) -> Result<u64, StoreError> {
        self.ok().await?.erase(address).await
    }
    async fn deliveries(&self, query: &DeliveryQuery) -> Result<Vec<DeliveryRecord>, StoreError> {
        self.ok().await?.deliveries(query).await
    }
    async fn replay(&self, id: DeliveryId, now: Timestamp) -> Result<Replayed, StoreError> {
        self.ok().await?.replay(id, now).await
    }
}

#[async_trait]
impl Housekeeping for Faulty {
    async fn lock_worker(&self) -> Result<Box<dyn WorkerLock>, StoreError> {
        self.ok().await?.lock_worker().await
    }
    async fn note(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.ok().await?.note(name).await
    }
    async fn set_note(&self, name: &str, text: &str) -> Result<(), StoreError> {
        self.ok().await?.set_note(name, text).await
    }
    async fn forget(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.ok().await?.forget(now, limit).await
    }
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }
    fn describe(&self) -> String {
        self.inner.describe()
    }
    async fn check(&self) -> Result<(), StoreError> {
        self.ok().await?.check().await
    }
    async fn quick_check(&self, within: std::time::Duration) -> Result<bool, StoreError> {
        self.ok().await?.quick_check(within).await
    }
    fn intact(&self) -> Result<(), StoreError> {
        self.inner.intact()
    }
    async fn writable(&self) -> Result<(), StoreError> {
        self.takes().await?.writable().await
    }
    fn log_bytes(&self) -> u64 {
        self.inner.log_bytes()
    }
    async fn close(&self) {
        self.inner.close().await;
    }
}
