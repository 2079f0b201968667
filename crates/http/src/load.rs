//! How the API comes to be.

use crate::api::{Api, Inner};
use crate::config::ApiConfig;
use crate::http::answer::Answer;
use crate::http::backtest_limiter::BacktestLimiter;
use crate::http::client::Limiter;
use crate::lock::lock;
use crate::metrics::Metrics;
use crate::openapi;
use crate::page::Pages;
use crate::read_model::deliveries::Heard;
use crate::read_model::model::Model;
use crate::stream::chunk::Writer;
use crate::stream::streams::Streams;
use arc_swap::ArcSwap;
use governor::Quota;
use prometheus_client::registry::Registry;
use qqq_core::subscription::token::TokenKey;
use qqq_core::{Calendar, Clock};
use qqq_engine::account::Accounts;
use qqq_engine::archive::History;
use qqq_engine::subscribe::{SignUpPolicy, Subscriptions};
use qqq_engine::watchlist::{EditError, Watchlists};
use qqq_store::{Store, StoreError};
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Pages of bars read from the store at once: others want to read as well.
const READING_BARS: usize = 2;

/// Why the API could not start.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The store did not give what readers need.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is to be watched makes no sense.
    #[error("the watchlist: {0}")]
    Watchlist(#[from] EditError),
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
        watchlists: Arc<Watchlists>,
        calendar: Arc<Calendar>,
        clock: Arc<dyn Clock>,
        tokens: TokenKey,
        config: ApiConfig,
        registry: Arc<Mutex<Registry>>,
    ) -> Result<Self, LoadError> {
        let pages = Pages::new(&config)?;
        let docs = Answer::html(pages.docs(&openapi::document())?);
        let watchlist = Arc::new(watchlists.current().await?);
        let model = Model::load(&*store, watchlist, Arc::clone(&calendar)).await?;
        let metrics = Metrics::register(&mut lock(&registry));
        let snapshot = model.snapshot(clock.now());
        metrics.published(&snapshot);
        let policy = SignUpPolicy {
            confirm: config.confirm,
            limits: config.sign_up,
            outbox_wakeup: Arc::clone(&config.outbox_wakeup),
        };
        let accounts = Accounts::new(
            Arc::clone(&store),
            Arc::clone(&clock),
            tokens.clone(),
            config.sign_up,
            config.operators.clone(),
        );
        let subscriptions = Subscriptions::new(Arc::clone(&store), Arc::clone(&clock), tokens, policy);
        let limits = &config.limits;
        let writer = Writer { calendar: Arc::clone(&calendar) };
        let streams = Streams::new(writer, &snapshot, &limits.streams, &metrics);
        let posts = Limiter::new(limits.posts);
        let backtests = Limiter::new(limits.backtests);
        let pages_of_bars = Limiter::new(limits.pages_of_bars);
        let backtest_limiter = BacktestLimiter::new(limits.backtests_per_network);
        let sign_ups = Limiter::new(limits.sign_ups);
        let sign_ups_per_hour = Limiter::new(Quota::per_hour(limits.sign_ups_per_hour));
        let wide_sign_ups_per_hour = Limiter::wide(Quota::per_hour(limits.wide_sign_ups_per_hour));
        tracing::info!(symbols = snapshot.tickers.len(), sequence = snapshot.sequence.0, "answers are ready");
        let history =
            History::new(Arc::clone(&store)).with_archive(config.archive.clone(), config.bars_retention);
        Ok(Self(Arc::new(Inner {
            store,
            history,
            watchlists,
            scanning: tokio::sync::Mutex::default(),
            openapi: Answer::json(openapi::openapi_of(calendar.metrics()).into_bytes()),
            calendar,
            clock,
            subscriptions,
            accounts,
            config,
            model: Mutex::new(model),
            snapshot: ArcSwap::from_pointee(snapshot),
            scanned_at: Mutex::new(Instant::now()),
            registry,
            metrics,
            docs,
            pages,
            streams,
            heard: Heard::default(),
            backtest_limiter,
            posts,
            backtests,
            pages_of_bars,
            reading_bars: Semaphore::new(READING_BARS),
            sign_ups,
            sign_ups_per_hour,
            wide_sign_ups_per_hour,
        })))
    }
}
