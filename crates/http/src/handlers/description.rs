//! `GET /openapi.json` and `/docs`: the API's own description.

use crate::api::Api;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

/// `GET /openapi.json`.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "service",
    operation_id = "getOpenApi",
    summary = "This description",
    description = "OpenAPI 3.1. For people: `/docs`.",
    responses((status = 200, description = "The description", body = Object), (status = 304)),
)]
pub(crate) async fn openapi_json(State(api): State<Api>, headers: HeaderMap) -> Response {
    api.0.openapi.respond(&headers)
}

/// `GET /docs`.
#[utoipa::path(
    get,
    path = "/docs",
    tag = "service",
    operation_id = "getDocs",
    summary = "This description, for people",
    responses(
        (status = 200, description = "A page", body = String, content_type = "text/html"),
        (status = 304),
    ),
)]
pub(crate) async fn docs(State(api): State<Api>, headers: HeaderMap) -> Response {
    api.0.docs.respond(&headers)
}
