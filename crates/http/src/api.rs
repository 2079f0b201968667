//! What all answers share: the store, what is held in memory of it, and what limits its readers.

use crate::config::ApiConfig;
use crate::http::answer::Answer;
use crate::http::backtest_limiter::BacktestLimiter;
use crate::http::client::{Limiter, Peer, client_ip};
use crate::lock::lock;
use crate::metrics::Metrics;
use crate::page::Pages;
use crate::read_model::deliveries::Heard;
use crate::read_model::model::Model;
use crate::read_model::snapshot::Snapshot;
use crate::read_model::store_health::{STORE_PATIENCE, store_health};
use crate::stream::streams::Streams;
use arc_swap::{ArcSwap, Guard};
use axum::http::Request;
use prometheus_client::registry::Registry;
use qqq_core::{Calendar, Clock, Symbol};
use qqq_engine::account::Accounts;
use qqq_engine::archive::History;
use qqq_engine::subscribe::Subscriptions;
use qqq_engine::watchlist::{EditError, Watchlists};
use qqq_store::{Changes, Sequence, Store, StoreError};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often the store is asked for news when nobody hints at any.
const SCAN_EVERY: Duration = Duration::from_millis(500);
/// How often the store is asked, at most, for what is owed and whether it takes writes.
const OUTBOX_EVERY: Duration = Duration::from_secs(5);
/// Bars taken from the store in one go.
const BARS_PER_SCAN: usize = 20_000;

/// The API over one store. Cheap to clone: all clones are the same.
#[derive(Clone)]
pub struct Api(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) store: Arc<dyn Store>,
    /// The bars of the store, and of its archive.
    pub(crate) history: History,
    pub(crate) watchlists: Arc<Watchlists>,
    /// Held by whoever takes in what was committed.
    pub(crate) scanning: tokio::sync::Mutex<()>,
    pub(crate) calendar: Arc<Calendar>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) accounts: Accounts,
    pub(crate) config: ApiConfig,
    pub(crate) model: Mutex<Model>,
    pub(crate) snapshot: ArcSwap<Snapshot>,
    /// When the store was last asked for news and answered.
    pub(crate) scanned_at: Mutex<Instant>,
    pub(crate) registry: Arc<Mutex<Registry>>,
    pub(crate) metrics: Metrics,
    pub(crate) pages: Pages,
    /// The API's description, for programs.
    pub(crate) openapi: Answer,
    /// The same, for people.
    pub(crate) docs: Answer,
    pub(crate) streams: Streams,
    pub(crate) heard: Heard,
    pub(crate) backtest_limiter: BacktestLimiter,
    /// All POSTs of a network, but for backtests.
    pub(crate) posts: Limiter,
    /// Backtests of a network.
    pub(crate) backtests: Limiter,
    /// Pages of bars that a network has read from the store.
    pub(crate) pages_of_bars: Limiter,
    /// Of these, read at once.
    pub(crate) reading_bars: Semaphore,
    /// Sign-ups that would reach the store.
    pub(crate) sign_ups: Limiter,
    /// The same, by the hour.
    pub(crate) sign_ups_per_hour: Limiter,
    /// The same, of wide networks.
    pub(crate) wide_sign_ups_per_hour: Limiter,
}

impl Api {
    /// Follows the store until `stop`: takes in every commit soon after it was made. `wakeup` wakes it at
    /// once, a scan twice a second is the truth.
    ///
    /// A busy store is asked again; any other failure ends the call, and so does a store that is not the one
    /// that was opened.
    pub async fn tail(&self, wakeup: Arc<Notify>, stop: CancellationToken) -> Result<(), StoreError> {
        let mut measured: Option<Instant> = None;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                scanned = self.scan() => match scanned {
                    Ok(()) => *lock(&self.0.scanned_at) = Instant::now(),
                    Err(error) if error.is_transient() => {
                        tracing::warn!(%error, "could not read the store's news; trying again");
                    }
                    Err(error) => return Err(error),
                },
            }
            if measured.is_none_or(|at| at.elapsed() >= OUTBOX_EVERY) {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return Ok(()),
                    () = self.measure_store() => measured = Some(Instant::now()),
                }
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = wakeup.notified() => {}
                () = tokio::time::sleep(SCAN_EVERY) => {}
            }
        }
    }

    /// Takes in at once what somebody has changed, whatever becomes of who waits for it: an answer that is
    /// not wanted any more must not leave half of a commit taken in. Where the store does not answer, whoever
    /// follows it is next.
    pub(crate) async fn take_in(&self) {
        let api = self.clone();
        match tokio::spawn(async move { api.scan().await }).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "could not read the store's news; trying again"),
            Err(error) => tracing::warn!(%error, "the store's news were not taken in; trying again"),
        }
    }

    /// Takes in everything committed since the last time, and what has become of the watchlist, then
    /// publishes where readers would see a difference.
    async fn scan(&self) -> Result<(), StoreError> {
        let inner = &*self.0;
        let _alone = inner.scanning.lock().await;
        inner.store.intact()?;
        self.follow_watchlist().await?;
        loop {
            let after = lock(&inner.model).sequence();
            let changes = inner.store.changes(after, BARS_PER_SCAN).await?;
            if changes.sequence <= after {
                break;
            }
            // Of what was added meanwhile, too.
            self.follow_watchlist().await?;
            let feed = inner.store.feed_status().await?;
            {
                let mut model = lock(&inner.model);
                model.apply(&changes);
                model.take_feed(feed);
            }
            // Before anybody sees the first bar of a day, so that it is told how unusual it is.
            self.read_profiles().await;
            self.publish(&lock(&inner.model), changes);
        }
        let names_are_news = self.follow_names().await?;
        let profiles_are_news = self.read_profiles().await;
        let feed = inner.store.feed_status().await?;
        let mut model = lock(&inner.model);
        let feed_has_news = model.take_feed(feed);
        // A minute that passes is news too: ages and sessions are told by the minute.
        let has_news = names_are_news || profiles_are_news || feed_has_news;
        if has_news || model.time(inner.clock.now()) != self.snapshot().time {
            self.publish(&model, Changes::default());
        }
        Ok(())
    }

    /// Shows the watchlist as it is now. Tickers that stay on it stay as they are.
    async fn follow_watchlist(&self) -> Result<(), StoreError> {
        let inner = &*self.0;
        if !inner.watchlists.has_changed(self.snapshot().watchlist.version).await? {
            return Ok(());
        }
        let current = match inner.watchlists.current().await {
            Ok(current) => current,
            Err(EditError::Store(error)) => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "the watchlist stays as it was");
                return Ok(());
            }
        };
        let (symbols, version) = (current.list.symbols().len(), current.version);
        let before = lock(&inner.model).clone();
        let model = before.relisted(&*inner.store, Arc::new(current)).await?;
        *lock(&inner.model) = model;
        self.publish(&lock(&inner.model), Changes::default());
        tracing::info!(symbols, version, "the watchlist has changed");
        Ok(())
    }

    /// Takes in what symbols are called, where that was told anew. Says whether it was.
    async fn follow_names(&self) -> Result<bool, StoreError> {
        let inner = &*self.0;
        let told = inner.store.symbol_names_told().await?;
        if lock(&inner.model).names_told() == told {
            return Ok(false);
        }
        let names = inner.store.symbol_names().await?;
        lock(&inner.model).take_names(names);
        Ok(true)
    }

    /// Reads what is usual of tickers whose day has begun, a few at a time. Says whether there is news. What
    /// cannot be read is asked for again: no reader waits for it.
    async fn read_profiles(&self) -> bool {
        let inner = &*self.0;
        let wanted = lock(&inner.model).wanted_profiles();
        let mut has_news = false;
        for one in wanted {
            match one.read(&*inner.store, &inner.calendar).await {
                Ok(profile) => lock(&inner.model).take_profile(one, profile),
                Err(error) => {
                    tracing::warn!(%error, "could not read earlier sessions; trying again");
                    break;
                }
            }
            has_news = true;
        }
        has_news
    }

    /// Tells the metrics how much is owed, and whether the store takes writes. A failure leaves them as they
    /// were: no reader waits for them.
    async fn measure_store(&self) {
        let inner = &*self.0;
        if let Ok(health) = tokio::time::timeout(STORE_PATIENCE, store_health(&*inner.store)).await {
            inner.metrics.stored(health.writable, inner.store.log_bytes());
        }
        match inner.store.outbox().await {
            Ok(outbox) => inner.metrics.owed(outbox.pending, outbox.oldest_pending, inner.clock.now()),
            Err(error) => tracing::warn!(%error, "could not count what is owed; trying again"),
        }
    }

    /// Lets readers see what the model holds, `changes` the last of it.
    fn publish(&self, model: &Model, changes: Changes) {
        let snapshot = Arc::new(model.snapshot(self.0.clock.now()));
        self.0.metrics.published(&snapshot);
        self.0.snapshot.store(Arc::clone(&snapshot));
        self.0.streams.publish(changes, &snapshot);
    }

    /// What readers see now.
    pub(crate) fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.0.snapshot.load()
    }

    /// The newest commit that readers see.
    pub fn sequence(&self) -> Sequence {
        self.snapshot().sequence
    }

    /// The tracked symbol a request means.
    pub(crate) fn tracked(&self, text: &str) -> Option<Symbol> {
        self.snapshot().tracked(text).map(|(_, symbol)| symbol)
    }

    /// Whose request it is. A request that came over no connection of ours counts as from nowhere.
    pub(crate) fn client<B>(&self, request: &Request<B>) -> IpAddr {
        let peer =
            request.extensions().get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
        client_ip(peer, request.headers(), &self.0.config.trusted_proxies)
    }
}
