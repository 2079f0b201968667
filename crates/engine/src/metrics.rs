//! What the worker's roles count. `GET /metrics` shows it where a server runs in the same process.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use qqq_core::AlertChange;
use qqq_core::delivery::{DeliveryKind, Outcome};
use qqq_core::statistics::window::Arrival;
use qqq_store::{Batch, TakenIn};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ArrivalLabel {
    arrival: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ChangeLabel {
    change: &'static str,
    metric: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabel {
    kind: &'static str,
    outcome: &'static str,
}

/// The worker's metrics.
#[derive(Default)]
pub struct Metrics {
    bars: Family<ArrivalLabel, Counter>,
    rejects: Counter,
    failed_polls: Counter,
    commits: Counter,
    alerts: Family<ChangeLabel, Counter>,
    enqueued: Counter,
    attempts: Family<AttemptLabel, Counter>,
    sign_ups: Counter,
    confirmations: Counter,
    feed_clock: Gauge,
    feed_problem: Gauge,
    feed_changes: Counter,
    feed_stands_in: Gauge,
}

impl Metrics {
    /// Makes them and lists them in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("qqq_worker");
        registry.register("bars", "Bars observed, by how they met the window", metrics.bars.clone());
        registry.register("rejects", "What a feed sent that was no valid bar", metrics.rejects.clone());
        registry.register("failed_polls", "Polls of the provider that failed", metrics.failed_polls.clone());
        registry.register("commits", "Steps committed", metrics.commits.clone());
        registry.register("alerts", "What happened to alerts of the house's rules", metrics.alerts.clone());
        registry.register(
            "deliveries_enqueued",
            "Deliveries that commits enqueued",
            metrics.enqueued.clone(),
        );
        registry.register(
            "delivery_attempts",
            "Attempts at deliveries, by how they ended",
            metrics.attempts.clone(),
        );
        registry.register("sign_ups", "Sign-ups taken in", metrics.sign_ups.clone());
        registry.register(
            "confirmations_enqueued",
            "Messages that ask to confirm, once it was their turn",
            metrics.confirmations.clone(),
        );
        registry.register_with_unit(
            "feed_clock",
            "The feed's clock at the last commit, since 1970",
            Unit::Seconds,
            metrics.feed_clock.clone(),
        );
        registry.register(
            "feed_problem",
            "1 while something is wrong with the feed",
            metrics.feed_problem.clone(),
        );
        registry.register(
            "feed_changes",
            "How often another feed took over, or the preferred one came back",
            metrics.feed_changes.clone(),
        );
        registry.register(
            "feed_stands_in",
            "0 while the preferred feed runs, else the place in feed.fallback of the one that does",
            metrics.feed_stands_in.clone(),
        );
        metrics
    }

    /// Another feed runs, by its place in the order.
    pub fn feed_changed(&self, running: usize) {
        self.feed_changes.inc();
        self.feed_stands_in.set(running as i64);
    }

    /// A bar met its window.
    pub fn bar(&self, arrival: Arrival) {
        let arrival = match arrival {
            Arrival::New => "new",
            Arrival::Late => "late",
            Arrival::Revised(_) => "revised",
            Arrival::Unchanged => "unchanged",
            Arrival::TooOld => "too_old",
        };
        self.bars.get_or_create(&ArrivalLabel { arrival }).inc();
    }

    /// Something that was no valid bar came.
    pub fn rejected(&self, count: usize) {
        self.rejects.inc_by(count as u64);
    }

    /// A poll failed.
    pub fn poll_failed(&self) {
        self.failed_polls.inc();
    }

    /// A step was committed.
    pub fn committed(&self, batch: &Batch, deliveries: u64) {
        self.commits.inc();
        self.enqueued.inc_by(deliveries);
        for change in batch.alerts.iter().filter(|change| change.alert().is_public()) {
            let metric = change.alert().metric.as_str();
            let change = match change {
                AlertChange::Raised(_) => "raised",
                AlertChange::Counted(_) => "counted",
                AlertChange::Retracted(_) => "retracted",
            };
            self.alerts.get_or_create(&ChangeLabel { change, metric }).inc();
        }
        if let Some(feed) = &batch.feed {
            self.feed_clock.set(feed.clock.as_second());
            self.feed_problem.set(feed.problem.is_some().into());
        }
    }

    /// Sign-ups were taken in, and messages that ask to confirm had their turn.
    pub fn taken_in(&self, taken: TakenIn) {
        self.sign_ups.inc_by(taken.sign_ups);
        self.confirmations.inc_by(taken.confirmations);
    }

    /// An attempt at a delivery ended.
    pub fn delivery(&self, kind: DeliveryKind, outcome: &Outcome) {
        let outcome = match outcome {
            Outcome::Sent => "sent",
            Outcome::RetryAt(..) => "retry",
            Outcome::NotTried(..) => "not_tried",
            Outcome::Failed(_) | Outcome::Gone(_) => "failed",
        };
        self.attempts.get_or_create(&AttemptLabel { kind: kind.as_str(), outcome }).inc();
    }
}
