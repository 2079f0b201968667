//! `GET /v1/sessions`: the trading days of the calendar, oldest first.

use crate::api::Api;
use crate::dto::market::PageOut;
use crate::http::answer::{json, shared_or_made};
use crate::http::problem::Problem;
use crate::http::query::{Query, invalid};
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use jiff::Span;
use jiff::civil::Date;
use qqq_core::Calendar;
use qqq_core::market::calendar::{FIRST_DAY, Session};
use serde::Serialize;
use std::ops::RangeInclusive;
use utoipa::ToSchema;

/// Days told before today, or before `to` where that is earlier, where the client does not say.
const DAYS_BEFORE: i64 = 30;
/// The same after today, or after `from` where that is later.
const DAYS_AFTER: i64 = 10;
/// Longest range, days.
const MOST_DAYS: i64 = 800;

/// The bounds of one trading day, UTC. Where every minute counts, each day is one session from midnight to
/// midnight in New York.
#[derive(Serialize, ToSchema)]
#[schema(as = TradingDay)]
pub(crate) struct TradingDayOut {
    /// New York date.
    #[schema(format = Date, example = "2025-01-31")]
    date: String,
    /// First instant of pre-market trading.
    #[schema(format = DateTime, example = "2025-01-31T09:00:00Z")]
    pre_open: String,
    /// First instant of the regular session.
    #[schema(format = DateTime, example = "2025-01-31T14:30:00Z")]
    open: String,
    /// First instant after the regular session.
    #[schema(format = DateTime, example = "2025-01-31T21:00:00Z")]
    close: String,
    /// First instant after post-market trading.
    #[schema(format = DateTime, example = "2025-02-01T01:00:00Z")]
    post_close: String,
    /// Whether the regular session ends before 16:00 in New York.
    #[schema(example = false)]
    early_close: bool,
}

impl From<Session> for TradingDayOut {
    fn from(session: Session) -> Self {
        Self {
            date: session.date.to_string(),
            pre_open: session.pre_open.to_string(),
            open: session.open.to_string(),
            close: session.close.to_string(),
            post_close: session.post_close.to_string(),
            early_close: session.early_close,
        }
    }
}

/// `GET /v1/sessions`.
#[utoipa::path(
    get,
    path = "/v1/sessions",
    tag = "symbols",
    operation_id = "listSessions",
    summary = "The trading days of the calendar",
    description = "Oldest first, at most 800 days; days on which the market is shut are absent. \
        All on one page.",
    params(
        ("from" = Option<String>, Query, format = Date,
            description = "First New York date, of 1990 to 2199, or of 1900 on where every minute counts. \
                Default: 30 days before today (by the feed's clock), or before `to` where that is earlier.",
            example = "2025-01-27"),
        ("to" = Option<String>, Query, format = Date,
            description = "Last New York date, likewise. \
                Default: 10 days after today, or after `from` where that is later.",
            example = "2025-01-31"),
    ),
    responses(
        (status = 200, description = "The trading days", body = PageOut<TradingDayOut>),
        (status = 304),
    ),
)]
pub(crate) async fn sessions(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref(), &["from", "to"])?;
    let snapshot = api.snapshot();
    let calendar = &api.0.calendar;
    let days = range(&query, calendar.date_of(snapshot.time), calendar)?;
    let render = || {
        let dates = days.start().series(Span::new().days(1)).take_while(|date| date <= days.end());
        let items = dates.filter_map(|date| calendar.session_on(date)).map(TradingDayOut::from).collect();
        json(&PageOut { items, next_cursor: None })
    };
    let usual = !query.has("from") && !query.has("to");
    Ok(shared_or_made(&snapshot.sessions_page, usual, render, &headers))
}

/// The days that are asked for, first and last. Days that the calendar does not know are not said to be
/// without trading.
fn range(query: &Query, today: Date, calendar: &Calendar) -> Result<RangeInclusive<Date>, Problem> {
    let (from, to) = (query.date("from")?, query.date("to")?);
    for (name, date) in [("from", from), ("to", to)] {
        if date.is_some_and(|date| !calendar.knows(date)) {
            return Err(invalid(name, &format!("must be {FIRST_DAY} or later: the calendar begins there")));
        }
    }
    let first = from.unwrap_or_else(|| {
        let first = later(to.map_or(today, |to| to.min(today)), -DAYS_BEFORE);
        if calendar.knows(first) { first } else { FIRST_DAY.min(to.unwrap_or(today)) }
    });
    let last = to.unwrap_or_else(|| later(from.map_or(today, |from| from.max(today)), DAYS_AFTER));
    if first > last {
        return Err(invalid("from", "must not be after `to`"));
    }
    // Both are of 1900 or later: their distance in days can be said.
    let days = first.duration_until(last).as_hours() / 24 + 1;
    if days > MOST_DAYS {
        return Err(invalid("from", &format!("must be less than {MOST_DAYS} days before `to`")));
    }
    Ok(first..=last)
}

/// The date so many days later, earlier where negative.
fn later(date: Date, days: i64) -> Date {
    date.saturating_add(Span::new().days(days))
}
