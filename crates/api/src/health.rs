//! `GET /healthz`, `/readyz`, `/metrics`.

use crate::Api;
use crate::lock;
use crate::model::silence;
use crate::problem::{Problem, Reason};
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::text::encode;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

/// A store that takes longer to say where it stands counts as not answering.
const STORE_PATIENCE: Duration = Duration::from_secs(2);
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
    let mut reasons = Vec::new();
    let mut not_ready = |check, detail: String| reasons.push(Reason { check, detail });

    match tokio::time::timeout(STORE_PATIENCE, api.0.store.sequence()).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => {
            tracing::warn!(%error, "not ready: the store");
            not_ready("store", "the store answers with an error; the log says which".to_owned());
        }
        Err(_elapsed) => not_ready("store", "the store does not answer".to_owned()),
    }

    let unheard = lock(&api.0.scanned_at).elapsed();
    if unheard > SCAN_PATIENCE {
        let detail = format!("nothing has been read from the store for {} s", unheard.as_secs());
        not_ready("cache", detail);
    }

    let snapshot = api.snapshot();
    if let Some(problem) = snapshot.feed.as_ref().and_then(|feed| feed.problem.as_ref()) {
        not_ready("feed", problem.clone());
    }
    let silent = silence(&snapshot, &api.0.calendar, api.0.clock.now());
    if let Some(seconds) = silent.filter(|&seconds| seconds > api.0.config.stale_after.as_secs() as i64) {
        not_ready("bars", format!("the market is open and no bar has come for {seconds} s"));
    }

    if reasons.is_empty() {
        return Ok(Json(ReadyOut { status: "ready", reasons }).into_response());
    }
    let detail: Vec<_> = reasons.iter().map(|reason| reason.detail.as_str()).collect();
    let problem = Problem::unavailable("not_ready", detail.join("; "), Duration::from_secs(10));
    Err(Problem { reasons, ..problem })
}

/// Everybody's metrics, in the OpenMetrics text format.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "service",
    operation_id = "getMetrics",
    summary = "Metrics, for Prometheus",
    responses((
        status = 200,
        description = "The OpenMetrics text format",
        body = String,
        content_type = "application/openmetrics-text",
    )),
)]
pub(crate) async fn metrics(State(api): State<Api>) -> Result<Response, Problem> {
    let mut text = String::new();
    encode(&mut text, &lock(&api.0.registry)).map_err(|error| {
        tracing::error!(%error, "the metrics could not be written");
        Problem::internal()
    })?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}
