//! `GET /v1/sparklines`: the day of every symbol in a line of closes, small enough to be drawn beside its
//! name.
//!
//! A ticker keeps its line as finished JSON until it has a newer or corrected bar, so that of hundreds of
//! symbols only those that traded are written anew.

use crate::api::Api;
use crate::dto::market::PageOut;
use crate::handlers::symbols::{SYMBOLS_PER_PAGE, next_offset};
use crate::http::answer::{json, shared_or_made};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::read_model::ticker::Ticker;
use crate::stream::id::positioned;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use qqq_contract::number::exact;
use qqq_core::{Calendar, Metric, Second};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use utoipa::ToSchema;

/// Minutes that one close stands for.
const STEP: i32 = 5;

/// The trading day of a symbol's newest bar.
#[derive(Serialize, ToSchema)]
#[schema(as = Sparkline, example = json!({
    "symbol": "META", "date": "2025-01-31", "start": "2025-01-31T14:30:00Z",
    "closes": [688.1, 688.9, null, 689.2]
}))]
struct SparklineOut {
    /// The ticker as listed today.
    symbol: String,
    /// New York date of the newest bar that counts; `null` before the first.
    #[schema(required = true, format = Date)]
    date: Option<String>,
    /// The first minute of that day whose bars count, UTC.
    #[schema(required = true, format = DateTime)]
    start: Option<String>,
    /// Dollars, exact: for every five minutes from `start` up to the newest bar the last close in them,
    /// `null` where they have no bar.
    #[schema(value_type = Vec<Option<f64>>, max_items = 300)]
    closes: Vec<Option<Box<RawValue>>>,
}

impl SparklineOut {
    fn new(ticker: &Ticker, calendar: &Calendar) -> Self {
        let symbol = ticker.symbol.to_string();
        let newest = ticker.newest().map(|newest| newest.bar.start);
        let day = newest.and_then(|newest| {
            let date = calendar.date_of(newest);
            Some((date, calendar.tracked_on(date)?.start, newest))
        });
        let Some((date, start, newest)) = day else {
            return Self { symbol, date: None, start: None, closes: Vec::new() };
        };
        let closes = closes(ticker, start, newest);
        let closes = closes.into_iter().map(|close| close.and_then(|close| exact(Metric::Price.show(close))));
        Self {
            symbol,
            date: Some(date.to_string()),
            start: Some(start.to_string()),
            closes: closes.collect(),
        }
    }
}

/// The last close in every step from `start` up to the one of `newest`, 1e-9 dollars.
fn closes(ticker: &Ticker, start: Second, newest: Second) -> Vec<Option<i64>> {
    let step = |minute: Second| (minute.minutes_since(start) / STEP) as usize;
    let mut closes = vec![None; step(newest) + 1];
    let points = ticker.points();
    let before = points.partition_point(|point| point.start < start);
    for point in &points[before..] {
        if let Some(close) = closes.get_mut(step(point.start)) {
            *close = Some(point.close);
        }
    }
    closes
}

/// `GET /v1/sparklines`.
#[utoipa::path(
    get,
    path = "/v1/sparklines",
    tag = "symbols",
    operation_id = "listSparklines",
    summary = "The day of every symbol, a close for every five minutes",
    description = "In the order of the watchlist. The day is the one of the symbol's newest bar that counts, \
        so that a line is there also while the market is closed.",
    params(
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 1000,
            description = "Most entries of a page. Default: 1000.", example = 100),
        ("cursor" = Option<String>, Query, pattern = "^[0-9]{0,6}$",
            description = "`next_cursor` of the page before; empty: from the beginning."),
    ),
    responses((status = 200, description = "A page of lines", body = PageOut<SparklineOut>), (status = 304)),
)]
pub(crate) async fn sparklines(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref(), &["limit", "cursor"])?;
    let (offset, limit) = (query.offset()?, query.limit(SYMBOLS_PER_PAGE)?);
    let snapshot = api.snapshot();
    let render = || {
        let write = |ticker: &Ticker| {
            // Shapes hold plain fields and finite numbers: they always serialise.
            to_raw_value(&SparklineOut::new(ticker, &api.0.calendar)).unwrap_or_default()
        };
        let tickers = snapshot.tickers.iter().skip(offset).take(limit);
        let items: Vec<&RawValue> = tickers.map(|ticker| ticker.sparkline(write)).collect();
        json(&PageOut { items, next_cursor: next_offset(&snapshot, offset, limit) })
    };
    let usual = (offset, limit) == (0, SYMBOLS_PER_PAGE);
    let response = shared_or_made(&snapshot.sparklines_page, usual, render, &headers);
    Ok(positioned(response, snapshot.sequence))
}
