//! What the API tells Prometheus about itself.

use crate::read_model::snapshot::Snapshot;
use axum::http::{Method, StatusCode};
use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Seconds; most answers come from memory.
const BUCKETS: [f64; 10] = [0.000_1, 0.000_5, 0.001, 0.005, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: String,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabel {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

pub(crate) struct Metrics {
    requests: Family<RequestLabels, Counter>,
    seconds: Family<RouteLabel, Histogram, fn() -> Histogram>,
    connections: Gauge,
    refused: Family<ReasonLabel, Counter>,
    accept_errors: Counter,
    stalled: Counter,
    streams: Gauge,
    streamed: Counter,
    streams_ended: Family<ReasonLabel, Counter>,
    stream_resets: Family<ReasonLabel, Counter>,
    sequence: Gauge,
    published_at: Gauge<f64, AtomicU64>,
    newest_bar_end: Gauge<f64, AtomicU64>,
    symbols: Gauge,
    sign_ups_refused: Counter,
    outbox_pending: Gauge,
    outbox_oldest: Gauge<f64, AtomicU64>,
    clock_step: Gauge<f64, AtomicU64>,
    store_writable: Gauge,
    store_log: Gauge,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let buckets: fn() -> Histogram = || Histogram::new(BUCKETS);
        let metrics = Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor(buckets),
            connections: Gauge::default(),
            refused: Family::default(),
            accept_errors: Counter::default(),
            stalled: Counter::default(),
            streams: Gauge::default(),
            streamed: Counter::default(),
            streams_ended: Family::default(),
            stream_resets: Family::default(),
            sequence: Gauge::default(),
            published_at: Gauge::default(),
            newest_bar_end: Gauge::default(),
            symbols: Gauge::default(),
            sign_ups_refused: Counter::default(),
            outbox_pending: Gauge::default(),
            outbox_oldest: Gauge::default(),
            clock_step: Gauge::default(),
            store_writable: Gauge::default(),
            store_log: Gauge::default(),
        };
        let http = registry.sub_registry_with_prefix("qqq_http");
        http.register(
            "requests",
            "Requests answered, by route and class of status",
            metrics.requests.clone(),
        );
        let help = "Time from the head of a request to the head of its answer";
        http.register_with_unit("request_duration", help, Unit::Seconds, metrics.seconds.clone());
        http.register("connections", "Connections open", metrics.connections.clone());
        http.register(
            "connections_refused",
            "Connections closed at once, by reason",
            metrics.refused.clone(),
        );
        http.register(
            "accept_errors",
            "Connections that could not be accepted",
            metrics.accept_errors.clone(),
        );
        let help = "Connections given up because the peer took nothing any more";
        http.register("connections_stalled", help, metrics.stalled.clone());
        let help = "Sign-ups refused because too many wait for their confirmation already";
        http.register("sign_ups_refused", help, metrics.sign_ups_refused.clone());
        let streams = registry.sub_registry_with_prefix("qqq_streams");
        streams.register("open", "Streams of events open", metrics.streams.clone());
        streams.register("events", "Events sent, over all streams", metrics.streamed.clone());
        let help = "Streams ended by the server, by reason";
        streams.register("ended", help, metrics.streams_ended.clone());
        let help = "Streams that could not go on where their client asked, by reason";
        streams.register("resets", help, metrics.stream_resets.clone());
        let cache = registry.sub_registry_with_prefix("qqq_cache");
        cache.register("sequence", "The newest commit that readers see", metrics.sequence.clone());
        let help = "When what readers see was last renewed, Unix time";
        cache.register_with_unit("published", help, Unit::Seconds, metrics.published_at.clone());
        let help = "End of the newest bar that readers see, Unix time";
        cache.register_with_unit("newest_bar_end", help, Unit::Seconds, metrics.newest_bar_end.clone());
        cache.register("symbols", "Symbols tracked", metrics.symbols.clone());
        let outbox = registry.sub_registry_with_prefix("qqq_outbox");
        let help = "Deliveries that wait for their time or are under way";
        outbox.register("pending", help, metrics.outbox_pending.clone());
        let help = "For how long the oldest pending delivery has been owed; 0 where none is";
        outbox.register_with_unit("oldest", help, Unit::Seconds, metrics.outbox_oldest.clone());
        let clock = registry.sub_registry_with_prefix("qqq_clock");
        let help = "By how much the machine's clock was set forward or back, while that is doubted; else 0";
        clock.register_with_unit("step", help, Unit::Seconds, metrics.clock_step.clone());
        let store = registry.sub_registry_with_prefix("qqq_store");
        let help = "1 where the store takes writes, 0 where the disk takes nothing";
        store.register("writable", help, metrics.store_writable.clone());
        let help = "What is written and has not found its place yet; grows while somebody reads on and on";
        store.register_with_unit("log", help, Unit::Bytes, metrics.store_log.clone());
        metrics
    }

    pub(crate) fn answered(&self, method: &Method, route: &str, status: StatusCode, elapsed: Duration) {
        let labels =
            RequestLabels { method: method_name(method), route: route.to_owned(), status: class(status) };
        self.requests.get_or_create(&labels).inc();
        let route = RouteLabel { route: route.to_owned() };
        self.seconds.get_or_create(&route).observe(elapsed.as_secs_f64());
    }

    pub(crate) fn published(&self, snapshot: &Snapshot) {
        self.sequence.set(snapshot.sequence.0);
        self.published_at.set(snapshot.published_at.as_second() as f64);
        self.newest_bar_end.set(snapshot.newest_end().map_or(0.0, |end| end.as_second() as f64));
        self.symbols.set(snapshot.tickers.len() as i64);
    }

    pub(crate) fn connections(&self) -> &Gauge {
        &self.connections
    }

    pub(crate) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&ReasonLabel { reason }).inc();
    }

    pub(crate) fn accept_failed(&self) {
        self.accept_errors.inc();
    }

    /// A connection was given up because its peer took nothing any more.
    pub(crate) fn stalled(&self) {
        self.stalled.inc();
    }

    /// How many streams are open.
    pub(crate) fn streams(&self) -> &Gauge {
        &self.streams
    }

    pub(crate) fn streamed(&self, events: u64) {
        self.streamed.inc_by(events);
    }

    pub(crate) fn stream_ended(&self, reason: &'static str) {
        self.streams_ended.get_or_create(&ReasonLabel { reason }).inc();
    }

    pub(crate) fn stream_reset(&self, reason: &'static str) {
        self.stream_resets.get_or_create(&ReasonLabel { reason }).inc();
    }

    pub(crate) fn owed(&self, pending: u64, oldest: Option<Timestamp>, now: Timestamp) {
        let age = oldest.map_or(0.0, |oldest| now.duration_since(oldest).as_secs_f64());
        self.outbox_pending.set(i64::try_from(pending).unwrap_or(i64::MAX));
        self.outbox_oldest.set(age.max(0.0));
    }

    pub(crate) fn clock_step(&self, seconds: f64) {
        self.clock_step.set(seconds);
    }

    pub(crate) fn stored(&self, writable: bool, log_bytes: u64) {
        self.store_writable.set(writable.into());
        self.store_log.set(i64::try_from(log_bytes).unwrap_or(i64::MAX));
    }

    pub(crate) fn sign_up_refused(&self) {
        self.sign_ups_refused.inc();
    }
}

/// Methods are a client's free choice; labels are few.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}
