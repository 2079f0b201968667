//! `GET /healthz`, `/readyz`, `/metrics`.

use crate::Api;
use crate::lock;
use crate::model::silence;
use crate::problem::{Problem, Reason};
use crate::snapshot::Snapshot;
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::text::encode;
use qqq_store::StoreError;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

/// A store that takes longer to say where it stands counts as not answering.
pub(crate) const STORE_PATIENCE: Duration = Duration::from_secs(2);
/// A cache that has not heard from the store for so long counts as left behind.
const SCAN_PATIENCE: Duration = Duration::from_secs(15);

/// The process lives.
#[derive(Serialize, ToSchema)]
#[schema(as = Alive)]
struct AliveOut {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

/// The answers can be believed.
#[derive(Serialize, ToSchema)]
#[schema(as = Ready)]
struct ReadyOut {
    /// Always `ready`.
    #[schema(example = "ready")]
    status: &'static str,
    /// Always empty: reasons against are told with a 503.
    reasons: Vec<Reason>,
}

/// The process answers. Says nothing of the rest: a restart would not mend that.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "service",
    operation_id = "getHealth",
    summary = "Whether the process lives",
    responses((status = 200, description = "It does", body = AliveOut)),
)]
pub(crate) async fn healthz() -> Response {
    Json(AliveOut { status: "ok" }).into_response()
}

/// Whether what is answered can be believed; 503 with every reason where not.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "service",
    operation_id = "getReadiness",
    summary = "Whether what is answered can be believed",
    responses(
        (status = 200, description = "It can", body = ReadyOut),
        (status = 503, description = "It cannot: `reasons` says why"),
    ),
)]
pub(crate) async fn readyz(State(api): State<Api>) -> Result<Response, Problem> {
    let mut reasons = Vec::from_iter(api.store_health().await.doubt);
    reasons.extend(api.doubts_of_memory(&api.snapshot()));
    if reasons.is_empty() {
        return Ok(Json(ReadyOut { status: "ready", reasons }).into_response());
    }
    let detail: Vec<_> = reasons.iter().map(|reason| reason.detail.as_str()).collect();
    let problem = Problem::unavailable("not_ready", detail.join("; "), Duration::from_secs(10));
    Err(Problem { reasons, ..problem })
}

/// How the store is.
pub(crate) struct StoreHealth {
    /// Whether it answers.
    pub(crate) answers: bool,
    /// Whether it would take a write.
    pub(crate) writable: bool,
    /// Why it is not to be relied on, if so.
    pub(crate) doubt: Option<Reason>,
}

impl Api {
    /// How the store is. Asks it.
    pub(crate) async fn store_health(&self) -> StoreHealth {
        let store = &self.0.store;
        let doubt = |detail: &str| Some(Reason { check: "store", detail: detail.to_owned() });
        let silent = |detail| StoreHealth { answers: false, writable: false, doubt: doubt(detail) };
        match tokio::time::timeout(STORE_PATIENCE, store.sequence()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "not ready: the store");
                return silent("the store answers with an error; the log says which");
            }
            Err(_elapsed) => return silent("the store does not answer"),
        }
        match tokio::time::timeout(STORE_PATIENCE, store.writable()).await {
            Ok(Err(StoreError::NoRoom(_))) => {
                let detail = "nothing can be written, as the disk takes nothing: what is stored can be read, and \
                    all else waits for room";
                StoreHealth { answers: true, writable: false, doubt: doubt(detail) }
            }
            Ok(Err(error)) if !error.is_transient() => {
                tracing::warn!(%error, "not ready: the store");
                silent("the store answers with an error; the log says which")
            }
            // Somebody writes for long: that says nothing against writing.
            Ok(_) | Err(_) => StoreHealth { answers: true, writable: true, doubt: None },
        }
    }

    /// Why what readers are told from memory cannot be believed, if so.
    pub(crate) fn doubts_of_memory(&self, snapshot: &Snapshot) -> Vec<Reason> {
        let mut reasons = Vec::new();
        let unheard = lock(&self.0.scanned_at).elapsed();
        if unheard > SCAN_PATIENCE {
            let detail = format!("nothing has been read from the store for {} s", unheard.as_secs());
            reasons.push(Reason { check: "cache", detail });
        }
        if let Some(problem) = snapshot.feed.as_ref().and_then(|feed| feed.problem.clone()) {
            reasons.push(Reason { check: "feed", detail: problem });
        }
        if let Some(seconds) = self.stale_seconds(snapshot) {
            let detail = format!("the market is open and no bar has come for {seconds} s");
            reasons.push(Reason { check: "bars", detail });
        }
        if let Some(step) = self.0.clock.step() {
            let (seconds, direction) =
                (step.as_secs().abs(), if step.is_negative() { "back" } else { "forward" });
            let detail = format!(
                "the machine's clock was set {direction} by {seconds} s; until that is certain, time goes on as before"
            );
            reasons.push(Reason { check: "clock", detail });
        }
        reasons
    }

    /// For how long a live feed has brought no bar in an open market, where that is longer than it may be.
    pub(crate) fn stale_seconds(&self, snapshot: &Snapshot) -> Option<i64> {
        let silent = silence(snapshot, &self.0.calendar, self.0.clock.now())?;
        (silent > self.0.config.stale_after.as_secs() as i64).then_some(silent)
    }
}

/// Everybody's metrics, in the OpenMetrics text format.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "service",
    operation_id = "getMetrics",
    summary = "Metrics, for Prometheus",
    responses(
        (
            status = 200,
            description = "The OpenMetrics text format",
            body = String,
            content_type = "application/openmetrics-text",
        ),
        (status = 404, description = "They are told on a listener of their own"),
    ),
)]
pub(crate) async fn metrics(State(api): State<Api>) -> Result<Response, Problem> {
    if api.0.config.metrics_apart {
        return Err(Problem::not_found("metrics_apart", "metrics are told on a listener of their own"));
    }
    operators_metrics(State(api)).await
}

/// The same on the operators' own listener.
pub(crate) async fn operators_metrics(State(api): State<Api>) -> Result<Response, Problem> {
    let step = api.0.clock.step().map_or(0.0, |step| step.as_secs_f64());
    api.0.metrics.clock_step(step);
    let mut text = String::new();
    encode(&mut text, &lock(&api.0.registry)).map_err(|error| {
        tracing::error!(%error, "the metrics could not be written");
        Problem::internal()
    })?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}
