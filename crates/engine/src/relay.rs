//! The relay: several feeds in order of preference, one of which is on air.
//!
//! Every feed has a poller of its own. What they hand on comes here; only what the running one says goes on
//! to detect, so bars of two feeds never take turns.

use crate::detect::Step;
use crate::failover::{Failover, FailoverTimeouts, FeedRole, Health};
use crate::feed::Feed;
use crate::ingest::{Ingest, QUEUE};
use crate::poller::{Poller, Report};
use qqq_core::StandIn;
use qqq_feed::FeedError;
use qqq_store::Store;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How often it is looked whether a feed's time has come.
const LOOK: Duration = Duration::from_secs(1);
/// Reports that wait to be read.
const REPORTS: usize = 16;

/// Several feeds, one of which brings bars.
pub struct Relay {
    ingest: Ingest,
    failover: Failover,
    feeds: Vec<RelayedFeed>,
    reports: mpsc::Receiver<(usize, Report)>,
    pollers: JoinSet<anyhow::Result<()>>,
    stop: CancellationToken,
    /// What readers are told while it is not the preferred feed that runs.
    stands_in_for: Option<StandIn>,
}

/// A feed's place in the order.
struct RelayedFeed {
    feed: Feed,
    duty: watch::Sender<FeedRole>,
    steps: mpsc::Receiver<Step>,
    /// What it last failed with.
    problem: Option<FeedError>,
}

impl RelayedFeed {
    fn provider(&self) -> &'static str {
        self.feed.provider.info().provider
    }
}

impl Relay {
    /// Sets up the pollers, which take up where the store stops, and starts them: the first feed on air.
    pub async fn start(
        ingest: Ingest,
        feeds: &[Feed],
        patience: FailoverTimeouts,
        store: &dyn Store,
        (poll_interval, backfill): (Duration, Duration),
        stop: CancellationToken,
    ) -> anyhow::Result<Self> {
        let failover = Failover::new(feeds.len(), patience);
        ingest.metrics.feed_changed(failover.running());
        let (report, reports) = mpsc::channel(REPORTS);
        let (mut places, mut pollers) = (Vec::new(), JoinSet::new());
        for (number, feed) in feeds.iter().enumerate() {
            let (steps, taken) = mpsc::channel(QUEUE);
            let own = Ingest { steps, ..ingest.clone() };
            let poller = Poller::new(own, feed.provider.clone(), store, poll_interval, backfill).await?;
            let (duty, told) = watch::channel(failover.duty(number));
            let (stream, report, stop) = (feed.stream, report.clone(), stop.clone());
            pollers.spawn(poller.run(stream, told, (number, report), stop));
            places.push(RelayedFeed { feed: feed.clone(), duty, steps: taken, problem: None });
        }
        Ok(Self { ingest, failover, feeds: places, reports, pollers, stop, stands_in_for: None })
    }

    /// Hands on what the running feed brings, until told to stop. A refusal of every feed from its first
    /// question on ends it: the operator is there to read why.
    pub async fn run(mut self) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return Ok(()),
                Some((feed, report)) = self.reports.recv() => self.take(feed, report)?,
                (feed, step) = next_step(&mut self.feeds) => {
                    if feed == self.failover.running() {
                        tokio::select! {
                            () = self.stop.cancelled() => return Ok(()),
                            handed = self.hand_on(step) => if handed.is_err() {
                                return Ok(());
                            },
                        }
                    }
                }
                Some(ended) = self.pollers.join_next() => return ended?,
                () = tokio::time::sleep(LOOK) => {
                    let changed = self.failover.decide(self.ingest.clock.now());
                    self.changed(changed);
                }
            }
        }
    }

    fn take(&mut self, feed: usize, report: Report) -> anyhow::Result<()> {
        let (health, problem) = match report {
            Report::Well => (Health::Well, None),
            Report::Failing(error) if error.is_final() => (Health::Refused, Some(error)),
            Report::Failing(error) => (Health::Failing, Some(error)),
        };
        if let Some(place) = self.feeds.get_mut(feed) {
            place.problem = problem.or(place.problem.take());
        }
        let changed = self.failover.report(feed, health, self.ingest.clock.now());
        if self.failover.is_hopeless() {
            return Err(self.refusals());
        }
        self.changed(changed);
        Ok(())
    }

    /// Tells everybody his duty; `changed` is the feed that runs from now on, where that is another one.
    fn changed(&mut self, changed: Option<usize>) {
        if let Some(running) = changed {
            let (preferred, now) = (&self.feeds[0], &self.feeds[running]);
            if running == 0 {
                info!(provider = now.provider(), "the preferred feed runs again");
                self.stands_in_for = None;
            } else {
                let reason =
                    preferred.problem.as_ref().map(|error| error.told(preferred.provider()).to_string());
                let told = reason.as_deref().unwrap_or("it said nothing");
                warn!(provider = now.provider(), "this feed stands in for {}: {told}", preferred.provider());
                self.stands_in_for = Some(StandIn { provider: preferred.provider().to_owned(), reason });
            }
            self.ingest.metrics.feed_changed(running);
        }
        for (number, place) in self.feeds.iter().enumerate() {
            let duty = self.failover.duty(number);
            place.duty.send_if_modified(|told| std::mem::replace(told, duty) != duty);
        }
    }

    async fn hand_on(&self, mut step: Step) -> Result<(), mpsc::error::SendError<Step>> {
        step.feed.stands_in_for.clone_from(&self.stands_in_for);
        self.ingest.steps.send(step).await
    }

    /// What every feed refused with.
    fn refusals(&self) -> anyhow::Error {
        let refused = |place: &RelayedFeed| Some(place.feed.refusal(place.problem.as_ref()?).to_string());
        anyhow::anyhow!(self.feeds.iter().filter_map(refused).collect::<Vec<_>>().join("; "))
    }
}

/// The next step that any feed hands on.
async fn next_step(feeds: &mut [RelayedFeed]) -> (usize, Step) {
    std::future::poll_fn(|context| {
        for (number, place) in feeds.iter_mut().enumerate() {
            if let Poll::Ready(Some(step)) = place.steps.poll_recv(context) {
                return Poll::Ready((number, step));
            }
        }
        Poll::Pending
    })
    .await
}
