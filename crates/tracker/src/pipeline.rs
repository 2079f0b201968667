//! From the feed to the store: ingest and detect over one watchlist, and anew over the next one whenever
//! operators change it. That is a restart in small: what is in the store is where the next one takes up.

use crate::config::Config;
use crate::source::{Known, Source};
use crate::splits;
use jiff::SignedDuration;
use qqq_core::{Calendar, Clock, FeedInfo, FeedMode, Watchlist};
use qqq_engine::detect::{Detect, Step};
use qqq_engine::failover::FailoverTimeouts;
use qqq_engine::feed::keep_apart;
use qqq_engine::ingest::{Ingest, QUEUE};
use qqq_engine::metrics::Metrics;
use qqq_engine::relay::Relay;
use qqq_engine::watchlist::{VersionedWatchlist, Watchlists};
use qqq_feed::NameSource;
use qqq_store::Store;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{error, info, warn};

/// How often the store is asked whether the watchlist is another one.
const LOOK: Duration = Duration::from_secs(1);

/// The pause before what cannot be watched is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(60);

/// What the stages share.
#[derive(Clone)]
pub struct Pipeline {
    /// The settings.
    pub config: Config,
    /// Where everything lies.
    pub store: Arc<dyn Store>,
    /// What is watched.
    pub watchlists: Arc<Watchlists>,
    /// Which minutes count.
    pub calendar: Arc<Calendar>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// A pipeline that is set up and has not begun.
pub struct Stages {
    watched: VersionedWatchlist,
    source: Source,
    detect: Detect,
}

impl Stages {
    /// What the feed is.
    pub fn feed(&self) -> &FeedInfo {
        self.source.info()
    }

    /// What tells the names of symbols, where the feed does.
    pub fn names(&self) -> Option<Arc<dyn NameSource>> {
        self.source.names()
    }

    /// What is watched.
    pub fn watchlist(&self) -> &Arc<Watchlist> {
        &self.watched.list
    }

    /// The feed and the detector.
    pub fn into_parts(self) -> (Source, Detect) {
        (self.source, self.detect)
    }
}

impl Pipeline {
    /// Sets the stages up over the watchlist as it is now: the feed, and the windows as the store has them.
    pub async fn set_up(&self) -> anyhow::Result<Stages> {
        let watched = self.watchlists.current().await?;
        let source = self.source(&watched.list).await?;
        let detect = Detect::restore(
            Arc::clone(&self.store),
            Arc::clone(&watched.list),
            Arc::clone(&self.calendar),
            Arc::clone(&self.clock),
            Arc::clone(&self.metrics),
            self.config.house_rules(),
            source.info(),
        )
        .await?;
        Ok(Stages { watched, source, detect })
    }

    /// Runs the stages, and others for every other watchlist, until `stop`. `committed` is notified after
    /// every commit.
    ///
    /// What ends the first feed ends the call: whoever has just started it reads why. Once it has run, a
    /// change of the list ends nothing: what cannot be watched is told, and tried again.
    pub async fn run(
        self,
        first: Stages,
        committed: Arc<Notify>,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let mut next = Some(first);
        let mut is_first = true;
        while !stop.is_cancelled() {
            let stages = match next.take() {
                Some(stages) => stages,
                None => match self.set_up().await {
                    Ok(stages) => stages,
                    Err(error) => {
                        error!("the watchlist cannot be watched: {error:#}; trying again");
                        self.pause(&stop).await;
                        continue;
                    }
                },
            };
            let version = stages.watched.version;
            let enough = stop.child_token();
            let running = self.run_over(stages, Arc::clone(&committed), enough.clone());
            tokio::pin!(running);
            let ended = tokio::select! {
                ended = &mut running => ended?,
                () = self.changed(version) => {
                    enough.cancel();
                    running.await?
                }
            };
            match ended {
                Ok(()) if enough.is_cancelled() => {}
                // A recording is over. With another watchlist it is another one.
                Ok(()) => tokio::select! {
                    () = stop.cancelled() => {}
                    () = self.changed(version) => {}
                },
                Err(error) if is_first => return Err(error),
                Err(error) => {
                    error!("the feed ended: {error:#}; trying again");
                    self.pause(&stop).await;
                }
            }
            is_first = false;
        }
        Ok(())
    }

    /// Waits before something is tried again; less long where an operator changes the list meanwhile.
    async fn pause(&self, stop: &CancellationToken) {
        let version = self.store.watchlist_version().await.unwrap_or_default();
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(TRY_AGAIN) => {}
            () = self.changed(version) => {}
        }
    }

    /// Runs the stages to their end. Fails where they cannot go on; answers what the feed ended with.
    async fn run_over(
        &self,
        stages: Stages,
        committed: Arc<Notify>,
        stop: CancellationToken,
    ) -> anyhow::Result<anyhow::Result<()>> {
        info!(symbols = stages.watched.list.symbols().len(), "watching");
        let (steps, taken) = mpsc::channel(QUEUE);
        let ingest = self.ingest(&stages.watched.list, steps);
        // Gone with this call, so that nothing is written once the worker's lock is not held any more.
        let detecting = AbortOnDropHandle::new(tokio::spawn(stages.detect.run(taken, committed)));
        let ingesting = async move {
            match stages.source {
                Source::Replay(replay) => ingest.play(replay, stop).await,
                Source::Feeds(feeds) => {
                    let section = &self.config.feed;
                    let patience = FailoverTimeouts {
                        after: SignedDuration::try_from(section.failover_after.duration())?,
                        back: SignedDuration::try_from(section.failback_after.duration())?,
                    };
                    let polls = (section.poll_interval.duration(), section.backfill.duration());
                    Relay::start(ingest, &feeds, patience, &*self.store, polls, stop).await?.run().await
                }
            }
        };
        // Detect ends once ingest has, and has committed what it was handed.
        let (ingested, detected) = tokio::join!(ingesting, detecting);
        detected?.map(|()| ingested)
    }

    /// Waits until the watchlist is another one than that of a version, and has stayed so between two looks:
    /// who adds ten symbols has them taken up together.
    async fn changed(&self, version: u64) {
        let mut before = version;
        loop {
            tokio::time::sleep(LOOK).await;
            match self.store.watchlist_version().await {
                Ok(now) if now == before && now != version => return,
                Ok(now) => before = now,
                Err(error) => warn!(%error, "could not ask for the watchlist; trying again"),
            }
        }
    }

    /// What hands bars of a watchlist on.
    pub fn ingest(&self, watchlist: &Arc<Watchlist>, steps: mpsc::Sender<Step>) -> Ingest {
        Ingest {
            watchlist: Arc::clone(watchlist),
            calendar: Arc::clone(&self.calendar),
            clock: Arc::clone(&self.clock),
            metrics: Arc::clone(&self.metrics),
            steps,
        }
    }

    /// Sets up the feed. Simulated and real bars never share a store.
    async fn source(&self, watchlist: &Arc<Watchlist>) -> anyhow::Result<Source> {
        let mut known = Known::new();
        for record in self.store.recent_bars(watchlist.symbols(), 1).await? {
            known.entry(record.bar.feed).or_default().insert(record.bar.symbol, record.bar.start);
        }
        let (config, watchlist, calendar) =
            (self.config.clone(), Arc::clone(watchlist), Arc::clone(&self.calendar));
        let clock = Arc::clone(&self.clock);
        let splits = splits::of_store(&*self.store).await?;
        let open = move || Source::open(&config, &watchlist, &calendar, clock, &known, splits);
        let source = tokio::task::spawn_blocking(open).await??;
        let simulated = source.info().mode == FeedMode::Simulated;
        keep_apart(&*self.store, &self.config.store.url, simulated).await?;
        Ok(source)
    }
}
