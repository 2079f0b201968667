//! The legacy endpoints, the first there were, kept for good: `GET /{ticker}/price` and `/volume`.

use crate::api::Api;
use crate::dto::words::TickerText;
use crate::http::problem::Problem;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use qqq_core::Metric;
use utoipa::ToSchema;

type TickerPath = Result<Path<String>, PathRejection>;

/// The answer of `GET /{ticker}/price`.
#[derive(ToSchema)]
#[schema(as = Prices)]
#[expect(dead_code, reason = "the answer is written by hand, value by value; this says its shape")]
struct PricesOut {
    /// Closes, dollars, exact.
    #[schema(example = json!([228.5, 230.123456789]))]
    prices: Vec<f64>,
    /// Tickers.
    #[schema(example = json!(["TSLA", "NVDA"]))]
    rankings: Vec<String>,
}

/// The answer of `GET /{ticker}/volume`.
#[derive(ToSchema)]
#[schema(as = Volumes)]
#[expect(dead_code, reason = "the answer is written by hand, value by value; this says its shape")]
struct VolumesOut {
    /// Shares.
    #[schema(example = json!([51234, 48210]))]
    volume: Vec<i64>,
    /// Tickers.
    #[schema(example = json!(["TSLA", "NVDA"]))]
    rankings: Vec<String>,
}

/// `GET /{ticker}/price`.
#[utoipa::path(
    get,
    path = "/{ticker}/price",
    tag = "original",
    operation_id = "getPrice",
    summary = "Prices of the last 24 hours",
    description = "Of the 24 hours up to the newest bar, oldest first; all symbols ranked by `stdev` of \
        price, largest first. No bar yet: an empty list.",
    params(("ticker" = TickerText, Path, description = "A tracked ticker", example = "META")),
    responses(
        (status = 200, description = "The values and the ranking", body = PricesOut),
        (status = 304),
        (status = 404, description = "The ticker is not tracked"),
    ),
)]
pub(crate) async fn price(
    State(api): State<Api>,
    path: TickerPath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Ok(Path(ticker)) = path else { return Err(Problem::not_tracked("this")) };
    values(&api, &ticker, Metric::Price, &headers)
}

/// `GET /{ticker}/prices`.
#[utoipa::path(
    get,
    path = "/{ticker}/prices",
    tag = "original",
    operation_id = "getPrices",
    summary = "Prices of the last 24 hours",
    description = "The same as `/{ticker}/price`.",
    params(("ticker" = TickerText, Path, description = "A tracked ticker", example = "META")),
    responses(
        (status = 200, description = "The values and the ranking", body = PricesOut),
        (status = 304),
        (status = 404, description = "The ticker is not tracked"),
    ),
)]
pub(crate) async fn prices(
    api: State<Api>,
    path: TickerPath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    price(api, path, headers).await
}

/// `GET /{ticker}/volume`.
#[utoipa::path(
    get,
    path = "/{ticker}/volume",
    tag = "original",
    operation_id = "getVolume",
    summary = "Volumes of the last 24 hours",
    description = "Of the 24 hours up to the newest bar, oldest first; all symbols ranked by `stdev` of \
        volume, largest first. No bar yet: an empty list.",
    params(("ticker" = TickerText, Path, description = "A tracked ticker", example = "META")),
    responses(
        (status = 200, description = "The values and the ranking", body = VolumesOut),
        (status = 304),
        (status = 404, description = "The ticker is not tracked"),
    ),
)]
pub(crate) async fn volume(
    State(api): State<Api>,
    path: TickerPath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Ok(Path(ticker)) = path else { return Err(Problem::not_tracked("this")) };
    values(&api, &ticker, Metric::Volume, &headers)
}

/// `GET /{ticker}/{metric}` of no metric. An unknown ticker is told before an unknown metric, so that a path
/// of two arbitrary segments is simply not found.
pub(crate) async fn no_metric(
    State(api): State<Api>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Problem> {
    let Ok(Path((ticker, metric))) = path else { return Err(Problem::not_tracked("this")) };
    api.tracked(&ticker).ok_or_else(|| Problem::not_tracked(&ticker))?;
    let shown: String = metric.chars().take(32).collect();
    let detail = format!("`{shown}` is not a metric: it must be `price` or `volume`");
    Err(Problem::bad_request("unknown_metric", detail))
}

/// The answer about a ticker, spelt in whatever way.
pub(crate) fn values(
    api: &Api,
    ticker: &str,
    metric: Metric,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let snapshot = api.snapshot();
    let (id, _) = snapshot.tracked(ticker).ok_or_else(|| Problem::not_tracked(ticker))?;
    Ok(match snapshot.legacy(id, metric) {
        Some(answer) => answer.respond(headers),
        None => Problem::internal().into_response(),
    })
}
