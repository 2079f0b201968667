//! `/v1`: symbols, rankings, alerts.

use crate::Api;
use crate::answer::Answer;
use crate::openapi::{MetricWord, MomentText, RankedByWord, TickerText};
use crate::original::not_tracked;
use crate::problem::Problem;
use crate::query::{Query, cursor_after, invalid};
use crate::shape::{AlertOut, PageOut, RankedOut, SymbolOut};
use crate::snapshot::{Figured, Snapshot};
use crate::stream::positioned;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use qqq_core::{Alert, AlertId, Metric};
use qqq_store::AlertQuery;
use serde::Serialize;
use std::borrow::Borrow;
use utoipa::IntoParams;

/// Entries of a page where the client does not say.
pub(crate) const SYMBOLS_PER_PAGE: usize = 1_000;
pub(crate) const ALERTS_PER_PAGE: usize = 100;

/// `GET /v1/symbols`.
#[utoipa::path(
    get,
    path = "/v1/symbols",
    tag = "symbols",
    operation_id = "listSymbols",
    summary = "The tracked symbols",
    description = "In the order of the watchlist, each with its newest bar and figures.",
    params(
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 1000, description = "Most entries of a page. Default: 1000.", example = 100),
        ("cursor" = Option<String>, Query, pattern = "^[0-9]{0,6}$", description = "`next_cursor` of the page before; empty: from the beginning."),
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
        let items = tickers.map(|ticker| SymbolOut::new(ticker, &snapshot, &api.0.watchlist)).collect();
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
    let Ok(Path(text)) = path else { return Err(not_tracked("this")) };
    let (id, _) = api.tracked(&text).ok_or_else(|| not_tracked(&text))?;
    let snapshot = api.snapshot();
    let render = |ticker: &_| json(&SymbolOut::new(ticker, &snapshot, &api.0.watchlist));
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
        ("metric" = Option<MetricWord>, Query, description = "What is ranked. Default: `price`.", example = "volume"),
        ("by" = Option<RankedByWord>, Query, description = "By which figure. Default: `relative_stdev`.", example = "stdev"),
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 1000, description = "Most entries of a page. Default: 1000.", example = 100),
        ("cursor" = Option<String>, Query, pattern = "^[0-9]{0,6}$", description = "`next_cursor` of the page before; empty: from the beginning."),
    ),
    responses((status = 200, description = "A page of the ranking", body = PageOut<RankedOut>), (status = 304)),
)]
pub(crate) async fn rankings(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref(), &["metric", "by", "limit", "cursor"])?;
    let metric = query.metric()?.unwrap_or(Metric::Price);
    let by = match query.get("by") {
        None => Figured::RelativeStdev,
        Some(text) => Figured::ALL
            .into_iter()
            .find(|by| by.as_str() == text)
            .ok_or_else(|| invalid("by", "must be `relative_stdev` or `stdev`"))?,
    };
    let (offset, limit) = (query.offset()?, query.limit(SYMBOLS_PER_PAGE)?);
    let snapshot = api.snapshot();
    let render = || {
        let ranked = snapshot.ranked(metric, by).zip(1..).skip(offset).take(limit);
        let items =
            ranked.map(|(ticker, rank)| RankedOut::new(rank, ticker, metric, by, &api.0.watchlist)).collect();
        json(&PageOut { items, next_cursor: next_offset(&snapshot, offset, limit) })
    };
    let page = &snapshot.ranking_pages[metric as usize][by as usize];
    Ok(shared_or_made(page, (offset, limit) == (0, SYMBOLS_PER_PAGE), render, &headers))
}

/// Which page of a list of alerts.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "this says what is read parameter by parameter")]
pub(crate) struct AlertPageParams {
    /// Only of bars that start then or later.
    #[param(value_type = Option<MomentText>, example = "2025-01-31T14:30:00Z")]
    since: Option<String>,
    /// Most entries of a page. Default: 100.
    #[param(minimum = 1, maximum = 1000, example = 100)]
    limit: Option<u16>,
    /// `next_cursor` of the page before; empty: from the beginning.
    #[param(pattern = "^(-?[0-9]{1,9}\\.[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})?$")]
    cursor: Option<String>,
}

/// `GET /v1/alerts`. Comes from memory where that holds the page, and from the store otherwise.
#[utoipa::path(
    get,
    path = "/v1/alerts",
    tag = "alerts",
    operation_id = "listAlerts",
    summary = "Alerts",
    description = "Those of the house's rules: `spike` and what the operator has judged beside it. Newest first, with the \
        evidence each was raised on.",
    params(
        ("symbol" = Option<TickerText>, Query, description = "Only of this ticker.", example = "META"),
        ("metric" = Option<MetricWord>, Query, description = "Only of this metric.", example = "volume"),
        ("rule" = Option<String>, Query, max_length = 300, description = "Only by this rule: `spike`, or the text of one.", example = "spike"),
        AlertPageParams,
    ),
    responses(
        (status = 200, description = "A page of alerts", body = PageOut<AlertOut>),
        (status = 304),
        (status = 404, description = "The ticker is not tracked"),
    ),
)]
pub(crate) async fn alerts(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref(), &["symbol", "metric", "rule", "since", "cursor", "limit"])?;
    let symbol =
        query.get("symbol").map(|text| api.tracked(text).ok_or_else(|| not_tracked(text))).transpose()?;
    let wanted = AlertQuery {
        symbol: symbol.map(|(_, symbol)| symbol),
        metric: query.metric()?,
        rule: query.rule()?,
        since: query.moment("since", &api.0.calendar)?,
        after: query.alert_cursor()?,
        private_too: false,
        limit: query.limit(ALERTS_PER_PAGE)?,
    };
    let snapshot = api.snapshot();
    let of_all = wanted.symbol.is_none() && wanted.metric.is_none() && wanted.rule.is_none();
    if of_all && wanted.since.is_none() && wanted.after.is_none() && wanted.limit == ALERTS_PER_PAGE {
        let render = || json(&alert_page(&snapshot.alerts, ALERTS_PER_PAGE));
        let response = snapshot.alerts_page.get_or_init(render).respond(&headers);
        return Ok(positioned(response, snapshot.sequence));
    }
    if let Some(found) = snapshot.alerts_of(&wanted) {
        let found: Vec<&Alert> = found.into_iter().map(|alert| &**alert).collect();
        let response = json(&alert_page(&found, wanted.limit)).respond(&headers);
        return Ok(positioned(response, snapshot.sequence));
    }
    // What is read now may hold more than that: told twice is better than not at all.
    let sequence = snapshot.sequence;
    drop(snapshot);
    // One more than asked for tells whether there is another page.
    let found = api.0.store.alerts(AlertQuery { limit: wanted.limit + 1, ..wanted }).await?;
    Ok(positioned(json(&alert_page(&found, wanted.limit)).respond(&headers), sequence))
}

/// `GET /v1/alerts/{id}`.
#[utoipa::path(
    get,
    path = "/v1/alerts/{id}",
    tag = "alerts",
    operation_id = "getAlert",
    summary = "One alert",
    description = "An alert by a subscriber's own rule is there for who shows the token of a subscription to that rule, or of \
        one that was told of it.",
    params(("id" = String, Path, format = "uuid", description = "Its id", example = "f781bcc6-15b4-57da-b522-3b1126688157")),
    responses(
        (status = 200, description = "The alert", body = AlertOut),
        (status = 304),
        (status = 404, description = "There is no alert with this id, or none for this token"),
    ),
    security((), ("subscription" = [])),
)]
pub(crate) async fn alert(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    Query::parse(query.as_deref(), &[])?;
    let unknown = || Problem::not_found("unknown_alert", "there is no alert with this id");
    let id: AlertId = path.ok().and_then(|Path(text)| text.parse().ok()).ok_or_else(unknown)?;
    let in_memory =
        api.snapshot().alerts.iter().find(|alert| alert.id == id).map(|alert| AlertOut::from(&**alert));
    if let Some(alert) = in_memory {
        return Ok(json(&alert).respond(&headers));
    }
    let alert = api.0.store.alert(id).await?.ok_or_else(unknown)?;
    let answer = json(&AlertOut::from(&alert));
    if alert.is_public() {
        return Ok(answer.respond(&headers));
    }
    // Who may not read it does not learn that it is there.
    if !api.may_read(&headers, &alert).await? {
        return Err(unknown());
    }
    Ok(answer.private().respond(&headers))
}

/// The first `limit` of `alerts`, and where to go on if there are more.
pub(crate) fn alert_page<A: Borrow<Alert>>(alerts: &[A], limit: usize) -> PageOut<AlertOut> {
    let shown = &alerts[..alerts.len().min(limit)];
    let last = shown.last().filter(|_| alerts.len() > limit).map(Borrow::borrow);
    PageOut {
        items: shown.iter().map(|alert| AlertOut::from(alert.borrow())).collect(),
        next_cursor: last.map(|alert| cursor_after(alert.start, alert.id)),
    }
}

pub(crate) fn next_offset(snapshot: &Snapshot, offset: usize, limit: usize) -> Option<String> {
    let next = offset.saturating_add(limit);
    (next < snapshot.tickers.len()).then(|| next.to_string())
}

/// The usual page is made once and shared; others are made for who asks.
pub(crate) fn shared_or_made(
    shared: &std::sync::OnceLock<Answer>,
    usual: bool,
    render: impl FnOnce() -> Answer,
    headers: &HeaderMap,
) -> Response {
    if usual { shared.get_or_init(render).respond(headers) } else { render().respond(headers) }
}

pub(crate) fn json(value: &impl Serialize) -> Answer {
    // Shapes hold plain fields and finite numbers: they always serialise.
    Answer::json(serde_json::to_vec(value).unwrap_or_else(|_| b"null".to_vec()))
}
