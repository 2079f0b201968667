//! `GET /v1/push`: what a browser subscribes to pushes with.

use crate::api::Api;
use crate::http::problem::Problem;
use crate::http::query::Query;
use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;
use utoipa::ToSchema;

/// What a browser needs to know to be notified.
#[derive(Serialize, ToSchema)]
#[schema(as = Push)]
pub(crate) struct PushOut {
    /// `applicationServerKey` of `pushManager.subscribe()`: an uncompressed point of P-256 in URL-safe base64
    /// (RFC 8292). The same for as long as the server keeps its secret key.
    #[schema(
        example = "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8"
    )]
    public_key: String,
}

/// `GET /v1/push`.
#[utoipa::path(
    get,
    path = "/v1/push",
    tag = "subscriptions",
    operation_id = "getPush",
    summary = "The key to subscribe a browser with",
    description = "A browser that subscribes to its push service with this key, and sends what it then knows \
        to `POST /v1/subscriptions`, is notified as mails are sent: also while no page is open.",
    responses((status = 200, description = "The key", body = PushOut)),
)]
pub(crate) async fn push(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Json<PushOut>, Problem> {
    Query::parse(query.as_deref(), &[])?;
    Ok(Json(PushOut { public_key: api.0.config.push.public_key.clone() }))
}
