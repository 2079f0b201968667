//! The legacy endpoints, the first there were, kept for good: `GET /{ticker}/price` and `/volume`.

use crate::api::Api;
use crate::dto::words::TickerText;
use crate::http::problem::Problem;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use qqq_contract::words::MetricWord;
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

/// `GET /{ticker}/{metric}` of whatever else is tracked. An unknown ticker is told before an unknown metric,
/// so that a path of two arbitrary segments is simply not found.
#[utoipa::path(
    get,
    path = "/{ticker}/{metric}",
    tag = "original",
    operation_id = "getValues",
    summary = "Values of the last 24 hours",
    description = "The same of any metric that the server tracks, under its name. Bars that do not tell it \
        are passed over.",
    params(
        ("ticker" = TickerText, Path, description = "A tracked ticker", example = "META"),
        ("metric" = MetricWord, Path, description = "A tracked metric", example = "volume"),
    ),
    responses(
        (status = 200, description = "The values, under the metric's name, and the ranking", body = Object),
        (status = 304),
        (status = 400, description = "The metric is not tracked"),
        (status = 404, description = "The ticker is not tracked"),
    ),
)]
pub(crate) async fn further(
    State(api): State<Api>,
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Ok(Path((ticker, metric))) = path else { return Err(Problem::not_tracked("this")) };
    named(&api, &ticker, &metric, &headers)
}

/// The answer about a ticker and a metric, by their names.
pub(crate) fn named(api: &Api, ticker: &str, name: &str, headers: &HeaderMap) -> Result<Response, Problem> {
    api.tracked(ticker).ok_or_else(|| Problem::not_tracked(ticker))?;
    match api.0.calendar.metrics().named(name) {
        Ok(metric) => values(api, ticker, metric, headers),
        Err(unknown) => {
            let shown: String = name.chars().take(32).collect();
            let detail = format!("`{shown}` is not a metric: it must be {}", unknown.allowed());
            Err(Problem::bad_request("unknown_metric", detail))
        }
    }
}

/// The answer about a ticker, spelt in whatever way.
fn values(api: &Api, ticker: &str, metric: Metric, headers: &HeaderMap) -> Result<Response, Problem> {
    let snapshot = api.snapshot();
    let (id, _) = snapshot.tracked(ticker).ok_or_else(|| Problem::not_tracked(ticker))?;
    Ok(match snapshot.legacy(id, metric) {
        Some(answer) => answer.respond(headers),
        None => Problem::internal().into_response(),
    })
}
