//! The original endpoints: `GET /{ticker}/price` and `/volume`.

use crate::Api;
use crate::problem::Problem;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use qqq_core::Metric;

/// `GET /{ticker}/{metric}`. An unknown ticker is told before an unknown metric, so that a path of two
/// arbitrary segments is simply not found.
pub(crate) async fn values(
    State(api): State<Api>,
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Ok(Path((ticker, metric))) = path else { return Err(not_tracked("this")) };
    let (id, _) = api.tracked(&ticker).ok_or_else(|| not_tracked(&ticker))?;
    let metric = match metric.as_str() {
        "price" | "prices" => Metric::Price,
        "volume" => Metric::Volume,
        other => {
            let shown: String = other.chars().take(32).collect();
            let detail = format!("`{shown}` is not a metric: it must be `price` or `volume`");
            return Err(Problem::bad_request("unknown_metric", detail));
        }
    };
    Ok(api.original(id, metric, &headers))
}

/// `GET /s/price`: the path of the symbol pages, asked for ticker `S`.
pub(crate) async fn price_of_s(State(api): State<Api>, headers: HeaderMap) -> Result<Response, Problem> {
    let (id, _) = api.tracked("S").ok_or_else(|| not_tracked("S"))?;
    Ok(api.original(id, Metric::Price, &headers))
}

/// `GET /s/volume`.
pub(crate) async fn volume_of_s(State(api): State<Api>, headers: HeaderMap) -> Result<Response, Problem> {
    let (id, _) = api.tracked("S").ok_or_else(|| not_tracked("S"))?;
    Ok(api.original(id, Metric::Volume, &headers))
}

impl Api {
    fn original(&self, id: usize, metric: Metric, headers: &HeaderMap) -> Response {
        match self.snapshot().original(id, metric) {
            Some(answer) => answer.respond(headers),
            None => Problem::internal().into_response(),
        }
    }
}

/// Repeats only so much of what was asked for as fits a sentence.
pub(crate) fn not_tracked(ticker: &str) -> Problem {
    let shown: String = ticker.chars().take(32).collect();
    Problem::not_found("unknown_ticker", format!("`{shown}` is not tracked; /v1/symbols lists what is"))
}
