//! `GET /healthz`, `/readyz`, `/metrics`.

use crate::api::Api;
use crate::http::problem::{Problem, Reason};
use crate::lock::lock;
use crate::read_model::doubts::doubts;
use crate::read_model::store_health::store_health;
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::text::encode;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

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
    let mut reasons = Vec::from_iter(store_health(&*api.0.store).await.doubt);
    reasons.extend(doubts(&api, &api.snapshot()));
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
