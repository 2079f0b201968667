//! The dashboard's pages and files.

use crate::api::Api;
use crate::dashboard::{Dashboard, HASHED, SHELL};
use crate::http::problem::Problem;
use crate::page::{Message, Tone};
use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use qqq_core::AlertId;

/// The routes of pages and files.
pub(crate) fn routes(dashboard: &Dashboard) -> Router<Api> {
    let mut router = Router::new()
        .route("/", get(shell))
        .route("/s/{symbol}", get(symbol))
        .route("/alerts", get(shell))
        .route("/alerts/{id}", get(alert))
        .route("/rule", get(shell))
        .route("/status", get(shell))
        .route("/watchlist", get(shell))
        .route("/mailbox", get(shell))
        .route("/me", get(shell))
        .route("/assets/{*file}", get(asset));
    for path in dashboard.paths().filter(|path| !path.starts_with(HASHED) && *path != SHELL) {
        let file = path.to_owned();
        router = router.route(path, get(async move |State(api), headers| send(&api, file, headers).await));
    }
    router
}

/// The page of all symbols, and every other that has no path of its own below it.
async fn shell(State(api): State<Api>, headers: HeaderMap) -> Response {
    shell_under(&api, StatusCode::OK, headers)
}

/// `GET /s/{symbol}`.
async fn symbol(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let tracked = path.is_ok_and(|Path(text)| api.tracked(&text).is_some());
    shell_under(&api, found(tracked), headers)
}

/// `GET /alerts/{id}`. Whether there is such an alert the page finds out.
async fn alert(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let possible = path.is_ok_and(|Path(text)| text.parse::<AlertId>().is_ok());
    shell_under(&api, found(possible), headers)
}

/// `GET /subscribe`: described, as the same path takes sign-ups.
#[utoipa::path(
    get,
    path = "/subscribe",
    tag = "subscriptions",
    operation_id = "subscribePage",
    summary = "The dashboard's page for sign-ups",
    description = "For people. `/subscribe/form` does without scripts.",
    responses(
        (status = 200, description = "A page", body = String, content_type = "text/html"),
        (status = 304),
        (status = 404, description = "The dashboard is not built into this program"),
    ),
)]
pub(crate) async fn subscribe_page(State(api): State<Api>, headers: HeaderMap) -> Response {
    shell_under(&api, StatusCode::OK, headers)
}

/// `GET /assets/{file}`.
async fn asset(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let file = path.map_or_else(|_| String::new(), |Path(file)| format!("{HASHED}{file}"));
    send(&api, file, headers).await
}

/// A file, or that there is none. Compressing it, which the first to ask has to wait for, keeps nobody else
/// waiting.
async fn send(api: &Api, file: String, headers: HeaderMap) -> Response {
    let dashboard = api.0.config.dashboard.clone();
    if dashboard.file(&file).is_none() {
        return Problem::of_status(StatusCode::NOT_FOUND).into_response();
    }
    let respond = move || dashboard.file(&file).map(|answer| answer.respond(&headers));
    match tokio::task::spawn_blocking(respond).await {
        Ok(Some(response)) => response,
        Ok(None) | Err(_) => Problem::internal().into_response(),
    }
}

fn found(is_there: bool) -> StatusCode {
    if is_there { StatusCode::OK } else { StatusCode::NOT_FOUND }
}

fn shell_under(api: &Api, status: StatusCode, headers: HeaderMap) -> Response {
    api.0.config.dashboard.shell(status, headers).unwrap_or_else(|| no_dashboard(api))
}

fn no_dashboard(api: &Api) -> Response {
    let text =
        "The dashboard is not built into this program: `make build` builds it. Everything else is here.";
    let message = Message::new(Tone::Plain, "No dashboard", text).leading_to(&[
        ("/v1/symbols", "The figures, as JSON"),
        ("/docs", "The API"),
        ("/subscribe/form", "Get a mail when something is unusual"),
    ]);
    api.0.pages.answer(StatusCode::NOT_FOUND, &message)
}
