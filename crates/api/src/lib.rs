//! What QQQ Tracker answers over HTTP.
//!
//! Readers are answered from memory (`model`, `snapshot`): the store is read once at start and then only
//! for what was committed since, so an answer never says more than the store does, and costs it nothing.
//! Subscriptions, old alerts and what the client of a stream has missed go to the store itself. `stream` sends on
//! what is committed; `serve` owns the connections and their limits; `layer` gives every answer its request id,
//! its deadline and its headers.

mod accept;
mod answer;
mod backtests;
mod bars;
mod client;
mod coding;
mod config;
mod connections;
mod cors;
mod dashboard;
mod deliveries;
mod error_page;
mod fields;
mod form;
mod gate;
mod health;
mod layer;
mod linger;
mod mailbox;
mod metrics;
mod model;
mod openapi;
mod original;
mod page;
mod problem;
mod query;
mod routes;
mod rule;
mod serve;
mod sessions;
mod shape;
mod snapshot;
mod sparklines;
mod status;
mod stream;
mod subscribe;
mod subscriptions;
mod v1;

pub use backtests::BacktestOut;
pub use client::Rate;
pub use config::{Admit, ApiConfig, Cors, InvalidOrigin, Limits, Origin, StreamLimits};
pub use dashboard::Dashboard;
pub use ipnet::IpNet;
pub use mailbox::is_loopback;
pub use openapi::openapi;

use crate::answer::Answer;
use crate::client::{Limiter, Peer, client_ip};
use crate::metrics::Metrics;
use crate::model::Model;
use crate::page::Pages;
use crate::snapshot::Snapshot;
use crate::stream::{Streams, Writer};
use arc_swap::{ArcSwap, Guard};
use axum::Router;
use axum::http::Request;
use governor::Quota;
use prometheus_client::registry::Registry;
use qqq_core::token::TokenKey;
use qqq_core::{Calendar, Clock, Symbol, Watchlist};
use qqq_store::{Changes, Sequence, Store, StoreError};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
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
pub struct Api(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    watchlist: Arc<Watchlist>,
    calendar: Arc<Calendar>,
    clock: Arc<dyn Clock>,
    tokens: TokenKey,
    config: ApiConfig,
    model: Mutex<Model>,
    snapshot: ArcSwap<Snapshot>,
    /// When the store was last asked for news and answered.
    scanned_at: Mutex<Instant>,
    registry: Arc<Mutex<Registry>>,
    metrics: Metrics,
    pages: Pages,
    /// The API's description, for programs.
    openapi: Answer,
    /// The same, for people.
    docs: Answer,
    streams: Streams,
    heard: deliveries::Heard,
    turns: backtests::Turns,
    /// All POSTs of a network, but for backtests.
    posts: Limiter,
    /// Backtests of a network.
    backtests: Limiter,
    /// Pages of bars that a network has read from the store.
    pages_of_bars: Limiter,
    /// Of these, read at once.
    reading_bars: Semaphore,
    /// Sign-ups that would reach the store.
    sign_ups: Limiter,
    /// The same, by the hour.
    sign_ups_per_hour: Limiter,
    /// The same, of wide networks.
    wide_sign_ups_per_hour: Limiter,
}

/// Why the API could not start.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The store did not give what readers need.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A built-in page template is broken: a mistake of this program.
    #[error("a page template is broken: {0}")]
    Template(#[from] minijinja::Error),
}

impl Api {
    /// Reads from the store what readers may ask for, and registers the API's own metrics.
    ///
    /// `registry` is also what `GET /metrics` shows, with everybody else's metrics in it.
    pub async fn load(
        store: Arc<dyn Store>,
        watchlist: Arc<Watchlist>,
        calendar: Arc<Calendar>,
        clock: Arc<dyn Clock>,
        tokens: TokenKey,
        config: ApiConfig,
        registry: Arc<Mutex<Registry>>,
    ) -> Result<Self, LoadError> {
        let pages = Pages::new(&config)?;
        let docs = Answer::html(pages.docs(&openapi::document())?);
        let model = Model::load(&*store, Arc::clone(&watchlist), Arc::clone(&calendar)).await?;
        let metrics = Metrics::register(&mut lock(&registry));
        let snapshot = model.snapshot(clock.now());
        metrics.published(&snapshot);
        let limits = &config.limits;
        let writer = Writer { watchlist: Arc::clone(&watchlist), calendar: Arc::clone(&calendar) };
        let streams = Streams::new(writer, &snapshot, &limits.streams, &metrics);
        let posts = Limiter::new(limits.posts);
        let backtests = Limiter::new(limits.backtests);
        let pages_of_bars = Limiter::new(limits.pages_of_bars);
        let turns = backtests::Turns::new(limits.backtests_per_network);
        let sign_ups = Limiter::new(limits.sign_ups);
        let sign_ups_per_hour = Limiter::new(Quota::per_hour(limits.sign_ups_per_hour));
        let wide_sign_ups_per_hour = Limiter::wide(Quota::per_hour(limits.wide_sign_ups_per_hour));
        tracing::info!(symbols = snapshot.tickers.len(), sequence = snapshot.sequence.0, "answers are ready");
        Ok(Self(Arc::new(Inner {
            store,
            watchlist,
            calendar,
            clock,
            tokens,
            config,
            model: Mutex::new(model),
            snapshot: ArcSwap::from_pointee(snapshot),
            scanned_at: Mutex::new(Instant::now()),
            registry,
            metrics,
            openapi: openapi::answer(),
            docs,
            pages,
            streams,
            heard: deliveries::Heard::default(),
            turns,
            posts,
            backtests,
            pages_of_bars,
            reading_bars: Semaphore::new(bars::AT_ONCE),
            sign_ups,
            sign_ups_per_hour,
            wide_sign_ups_per_hour,
        })))
    }

    /// Follows the store until `stop`: takes in every commit soon after it was made. `hint` wakes it at once,
    /// a scan twice a second is the truth.
    ///
    /// A busy store is asked again; any other failure ends the call, and so does a store that is not the one that was
    /// opened.
    pub async fn tail(&self, hint: Arc<Notify>, stop: CancellationToken) -> Result<(), StoreError> {
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
                () = hint.notified() => {}
                () = tokio::time::sleep(SCAN_EVERY) => {}
            }
        }
    }

    /// Takes in everything committed since the last time, then publishes where readers would see a difference.
    async fn scan(&self) -> Result<(), StoreError> {
        let inner = &*self.0;
        inner.store.intact()?;
        loop {
            let after = lock(&inner.model).sequence();
            let changes = inner.store.changes(after, BARS_PER_SCAN).await?;
            if changes.sequence <= after {
                break;
            }
            let feed = inner.store.feed_status().await?;
            let mut model = lock(&inner.model);
            model.apply(&changes);
            model.take_feed(feed);
            self.publish(&model, changes);
        }
        let feed = inner.store.feed_status().await?;
        let mut model = lock(&inner.model);
        let feed_has_news = model.take_feed(feed);
        // A minute that passes is news too: ages and sessions are told by the minute.
        if feed_has_news || model.minute(inner.clock.now()) != self.snapshot().minute {
            self.publish(&model, Changes::default());
        }
        Ok(())
    }

    /// Tells the metrics how much is owed, and whether the store takes writes. A failure leaves them as they were: no
    /// reader waits for them.
    async fn measure_store(&self) {
        let inner = &*self.0;
        if let Ok(health) = tokio::time::timeout(health::STORE_PATIENCE, self.store_health()).await {
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

    fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.0.snapshot.load()
    }

    /// The newest commit that readers see.
    pub fn sequence(&self) -> Sequence {
        self.snapshot().sequence
    }

    /// All routes, with everything around them except the connection's own limits.
    pub fn router(&self) -> Router {
        let around = axum::middleware::from_fn_with_state(self.clone(), layer::around);
        let (documented, _) = routes::documented().split_for_parts();
        let mut shared = documented.merge(routes::also()).layer(around.clone());
        // Outside of everything: problems, too, may be read by who may read answers.
        if let Some(cors) = cors::layer(&self.0.config.cors) {
            shared = shared.layer(cors);
        }
        shared.merge(routes::pages(&self.0.config.dashboard).layer(around)).with_state(self.clone())
    }

    /// Health, readiness and metrics, for a listener of their own.
    fn operators_router(&self) -> Router {
        let around = axum::middleware::from_fn_with_state(self.clone(), layer::around);
        routes::operators().layer(around).with_state(self.clone())
    }

    /// The tracked symbol a request means: its watchlist id.
    fn tracked(&self, text: &str) -> Option<(usize, Symbol)> {
        let symbol = self.0.watchlist.resolve(text.parse().ok()?)?;
        Some((self.0.watchlist.id(symbol)?, symbol))
    }

    /// Whose request it is. A request that came over no connection of ours counts as from nowhere.
    fn client<B>(&self, request: &Request<B>) -> IpAddr {
        let peer =
            request.extensions().get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
        client_ip(peer, request.headers(), &self.0.config.trusted_proxies)
    }
}

/// Locks, also where a panic has left the lock poisoned: what is behind it is replaced whole, never half.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
