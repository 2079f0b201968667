//! `/v1/symbols` and `/v1/rankings`: symbols with their newest bars and figures.

use crate::api::Api;
use crate::dto::market::{PageOut, RankedOut, SymbolOut};
use crate::dto::words::{RankedByWord, TickerText};
use crate::http::answer::{json, shared_or_made};
use crate::http::problem::Problem;
use crate::http::query::{Query, invalid};
use crate::read_model::ranking::Figured;
use crate::read_model::snapshot::Snapshot;
use crate::stream::id::positioned;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use qqq_contract::words::MetricWord;
use qqq_core::Metric;

/// Entries of a page where the client does not say.
pub(crate) const SYMBOLS_PER_PAGE: usize = 1_000;

/// `GET /v1/symbols`.
#[utoipa::path(
    get,
    path = "/v1/symbols",
    tag = "symbols",
    operation_id = "listSymbols",
    summary = "The tracked symbols",
    description = "In the order of the watchlist, each with its newest bar and figures.",
    params(
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 1000,
            description = "Most entries of a page. Default: 1000.", example = 100),
        ("cursor" = Option<String>, Query, pattern = "^[0-9]{0,6}$",
            description = "`next_cursor` of the page before; empty: from the beginning."),
    ),
    responses((status = 200, description = "A page of symbols", body = PageOut<SymbolOut>), (status = 304)),
)]
pub(crate) async fn symbols(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref(), &["limit", "cursor"])?;
    let (offset, limit) = (query.offset()?, query.limit(SYMBOLS_PER_PAGE)?);
    let snapshot = api.snapshot();
    let render = || {
        let tickers = snapshot.tickers.iter().skip(offset).take(limit);
        let items = tickers.map(|ticker| SymbolOut::new(ticker, &snapshot)).collect();
        json(&PageOut { items, next_cursor: next_offset(&snapshot, offset, limit) })
    };
    let usual = (offset, limit) == (0, SYMBOLS_PER_PAGE);
    let response = shared_or_made(&snapshot.symbols_page, usual, render, &headers);
    Ok(positioned(response, snapshot.sequence))
}

/// `GET /v1/symbols/{symbol}`.
#[utoipa::path(
    get,
    path = "/v1/symbols/{symbol}",
    tag = "symbols",
    operation_id = "getSymbol",
    summary = "One symbol",
    description = "Newest bar, figures of both metrics, change of the day, session, feed and age.",
    params(("symbol" = TickerText, Path, description = "A tracked ticker", example = "META")),
    responses(
        (status = 200, description = "The symbol", body = SymbolOut),
        (status = 304),
        (status = 404, description = "The ticker is not tracked"),
    ),
)]
pub(crate) async fn symbol(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    Query::parse(query.as_deref(), &[])?;
    let Ok(Path(text)) = path else { return Err(Problem::not_tracked("this")) };
    let snapshot = api.snapshot();
    let (id, _) = snapshot.tracked(&text).ok_or_else(|| Problem::not_tracked(&text))?;
    let render = |ticker: &_| json(&SymbolOut::new(ticker, &snapshot));
    let answer = snapshot.detail(id, render).ok_or_else(Problem::internal)?;
    Ok(positioned(answer.respond(&headers), snapshot.sequence))
}

/// `GET /v1/rankings`.
#[utoipa::path(
    get,
    path = "/v1/rankings",
    tag = "symbols",
    operation_id = "listRankings",
    summary = "The symbols ranked by how much they move",
    description = "Largest first, ties by symbol, symbols without a value last.",
    params(
        ("metric" = Option<MetricWord>, Query,
            description = "What is ranked. Default: `price`.", example = "volume"),
        ("by" = Option<RankedByWord>, Query,
            description = "By which figure. Default: `relative_stdev`.", example = "stdev"),
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 1000,
            description = "Most entries of a page. Default: 1000.", example = 100),
        ("cursor" = Option<String>, Query, pattern = "^[0-9]{0,6}$",
            description = "`next_cursor` of the page before; empty: from the beginning."),
    ),
    responses(
        (status = 200, description = "A page of the ranking", body = PageOut<RankedOut>),
        (status = 304),
    ),
)]
pub(crate) async fn rankings(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref(), &["metric", "by", "limit", "cursor"])?;
    let metric = query.metric(api.0.calendar.metrics())?.unwrap_or(Metric::Price);
    let by = match query.get("by") {
        None => Figured::RelativeStdev,
        Some(text) => Figured::ALL
            .into_iter()
            .find(|by| by.into_str() == text)
            .ok_or_else(|| invalid("by", "must be `relative_stdev` or `stdev`"))?,
    };
    let (offset, limit) = (query.offset()?, query.limit(SYMBOLS_PER_PAGE)?);
    let snapshot = api.snapshot();
    let render = || {
        let ranked = snapshot.ranked(metric, by).zip(1..).skip(offset).take(limit);
        let items =
            ranked.map(|(ticker, rank)| RankedOut::new(rank, ticker, metric, by, &snapshot)).collect();
        json(&PageOut { items, next_cursor: next_offset(&snapshot, offset, limit) })
    };
    let page = &snapshot.ranking_pages[metric as usize][by as usize];
    Ok(shared_or_made(page, (offset, limit) == (0, SYMBOLS_PER_PAGE), render, &headers))
}

/// Where the page after one of symbols begins, if there is one.
pub(crate) fn next_offset(snapshot: &Snapshot, offset: usize, limit: usize) -> Option<String> {
    let next = offset.saturating_add(limit);
    (next < snapshot.tickers.len()).then(|| next.to_string())
}
