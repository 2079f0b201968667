//! `/v1/alerts`: alerts.

use crate::api::Api;
use crate::dto::market::PageOut;
use crate::dto::words::{MomentText, TickerText};
use crate::handlers::bearer::may_read;
use crate::http::answer::json;
use crate::http::problem::Problem;
use crate::http::query::{Query, cursor_after};
use crate::stream::id::positioned;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use qqq_contract::AlertOut;
use qqq_contract::words::MetricWord;
use qqq_core::{Alert, AlertId};
use qqq_store::AlertQuery;
use std::borrow::Borrow;
use utoipa::IntoParams;

/// Entries of a page where the client does not say.
pub(crate) const ALERTS_PER_PAGE: usize = 100;

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
    #[param(pattern = "^(-?[0-9]{1,10}\\.[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})?$")]
    cursor: Option<String>,
}

/// `GET /v1/alerts`. Comes from memory where that holds the page, and from the store otherwise.
#[utoipa::path(
    get,
    path = "/v1/alerts",
    tag = "alerts",
    operation_id = "listAlerts",
    summary = "Alerts",
    description = "Those of the house's rules: `spike` and what the operator has judged beside it. \
        Newest first, with the evidence each was raised on.",
    params(
        ("symbol" = Option<TickerText>, Query, description = "Only of this ticker.", example = "META"),
        ("metric" = Option<MetricWord>, Query, description = "Only of this metric.", example = "volume"),
        ("rule" = Option<String>, Query, max_length = 300,
            description = "Only by this rule: `spike`, or the text of one.", example = "spike"),
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
    let symbol = query
        .get("symbol")
        .map(|text| api.tracked(text).ok_or_else(|| Problem::not_tracked(text)))
        .transpose()?;
    let wanted = AlertQuery {
        symbol,
        metric: query.metric(api.0.calendar.metrics())?,
        rule: query.rule(api.0.calendar.cadence())?,
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
    description = "An alert by a subscriber's own rule is there for who shows the token of a subscription to \
        that rule, or of one that was told of it, and for who is signed in as its receiver.",
    params(
        ("id" = String, Path, format = "uuid", description = "Its id",
            example = "f781bcc6-15b4-57da-b522-3b1126688157"),
    ),
    responses(
        (status = 200, description = "The alert", body = AlertOut),
        (status = 304),
        (status = 404, description = "There is no alert with this id, or none for this reader"),
    ),
    security((), ("subscription" = []), ("session" = [])),
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
    if !may_read(&api, &headers, &alert).await? {
        return Err(unknown());
    }
    Ok(answer.private().respond(&headers))
}

/// The first `limit` of `alerts`, and where to go on if there are more.
pub(crate) fn alert_page<A: Borrow<Alert>>(alerts: &[A], limit: usize) -> PageOut<AlertOut> {
    let cursor = |alert: &Alert| cursor_after(alert.start, alert.id);
    PageOut::of(alerts, limit, |alert| AlertOut::from(alert.borrow()), |alert| cursor(alert.borrow()))
}
