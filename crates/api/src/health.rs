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
    let mut reasons = Vec::from_iter(api.doubts_of_store().await);
    reasons.extend(api.doubts_of_memory(&api.snapshot()));
    if reasons.is_empty() {
        return Ok(Json(ReadyOut { status: "ready", reasons }).into_response());
    }
    let detail: Vec<_> = reasons.iter().map(|reason| reason.detail.as_str()).collect();
    let problem = Problem::unavailable("not_ready", detail.join("; "), Duration::from_secs(10));
    Err(Problem { reasons, ..problem })
}

impl Api {
    /// Why the store is not to be relied on, if so. Asks it.
    pub(crate) async fn doubts_of_store(&self) -> Option<Reason> {
        let detail = match tokio::time::timeout(STORE_PATIENCE, self.0.store.sequence()).await {
            Ok(Ok(_)) => return None,
            Ok(Err(error)) => {
                tracing::warn!(%error, "not ready: the store");
                "the store answers with an error; the log says which"
            }
            Err(_elapsed) => "the store does not answer",
        };
        Some(Reason { check: "store", detail: detail.to_owned() })
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
