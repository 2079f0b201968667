//! `GET /v1/symbols/{symbol}/bars`: the stored bars that count, of any interval, oldest first.
//!
//! They come from the store and its archive, a bounded read at a time. The page that most ask for, the newest
//! bars of a symbol, is made once and shared until the symbol has a newer or corrected bar.

use crate::api::Api;
use crate::dto::market::{BarRowOut, PageOut, Row};
use crate::dto::words::{IntervalWord, MomentText, TickerText};
use crate::http::accept::Format;
use crate::http::answer::json;
use crate::http::answer::{Answer, CSV, REVALIDATE};
use crate::http::problem::Problem;
use crate::http::query::Query;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::HeaderValue;
use axum::http::request::Parts;
use axum::response::Response;
use qqq_core::market::aggregate::aggregate;
use qqq_core::{Calendar, Candle, Interval, Second, Symbol};
use qqq_engine::archive::{ArchiveError, History};
use qqq_store::BarRecord;
use std::fmt::Write as _;
use std::sync::Arc;

/// Bars of a page where the client does not say.
const BARS_PER_PAGE: usize = 1_000;
/// Bars read from the store for one page, at most: a page of days ends before its limit rather
/// than read more.
const MOST_READ: usize = 30_000;
/// Bars read in one go, at least: some may not count.
const LEAST_READ: usize = 1_000;
/// Seconds of a regular session.
const SESSION: i64 = 390 * 60;

const PARAMETERS: [&str; 5] = ["from", "to", "interval", "limit", "cursor"];

/// Which bars are wanted: those with `from <= start < to`.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    symbol: Symbol,
    interval: Interval,
    from: Second,
    to: Second,
    limit: usize,
}

/// `GET /v1/symbols/{symbol}/bars`.
#[utoipa::path(
    get,
    path = "/v1/symbols/{symbol}/bars",
    tag = "symbols",
    operation_id = "listBars",
    summary = "The bars of a symbol",
    description = "Oldest first: the stored bars that count (of the regular session, or of extended hours \
        where these are tracked), with `from <= start < to`. Longer intervals begin at the session's open \
        and follow each other, the last one ending with the session; pre-market, regular and post-market \
        trading have bars of their own, but for `1d`, which is one bar of a trading day. A bar is told whole \
        or not at all; the newest one of a running interval is told as far as it has come. A page may hold \
        fewer bars than `limit` and still have a next one.\n\n\
        With `Accept: text/csv` the same as CSV, in the columns that `qqq-tracker import` reads; the next \
        page is then in the `Link` header alone.",
    params(
        ("symbol" = TickerText, Path, description = "A tracked ticker", example = "META"),
        ("from" = Option<MomentText>, Query, description = "First instant. Default: so long before `to`, or \
            before the end of the newest bar: to `1m` 24 hours, `5m` 7 days, `15m` 14, `1h` 30, `1d` 90.",
            example = "2025-01-31T14:30:00Z"),
        ("to" = Option<MomentText>, Query, description = "First instant beyond. Default: no end.",
            example = "2025-01-31T21:00:00Z"),
        ("interval" = Option<IntervalWord>, Query,
            description = "How much time a bar covers: that of the bars that come (`market.interval`, the \
                default), or a multiple of it.", example = "5m"),
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 1000,
            description = "Most entries of a page. Default: 1000.", example = 100),
        ("cursor" = Option<String>, Query, pattern = "^(-?[0-9]{1,10})?$",
            description = "`next_cursor` of the page before; empty: from the beginning."),
    ),
    responses(
        (
            status = 200,
            description = "A page of bars",
            content(
                (PageOut<BarRowOut> = "application/json"),
                (String = "text/csv", example = "symbol,start,open,high,low,close,volume,vwap,trades\n\
                    META,2025-01-31T20:59:00Z,689.1,689.4,688.9,689.2,51234,,\n"),
            ),
            headers(
                ("link" = String,
                    description = "`<...>; rel=\"next\"` where there is a next page (RFC 8288)."),
            ),
        ),
        (status = 304),
        (status = 404, description = "The ticker is not tracked"),
        (status = 429),
    ),
)]
pub(crate) async fn bars(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let client = api.client(&request);
    let (Parts { uri, headers, .. }, _) = request.into_parts();
    let query = Query::parse(uri.query(), &PARAMETERS)?;
    let Ok(Path(text)) = path else { return Err(Problem::not_tracked("this")) };
    let (ticker, symbol) = {
        let snapshot = api.snapshot();
        let (id, symbol) = snapshot.tracked(&text).ok_or_else(|| Problem::not_tracked(&text))?;
        (Arc::clone(snapshot.tickers.get(id).ok_or_else(Problem::internal)?), symbol)
    };
    let format = Format::negotiate(&headers)?;
    let calendar = &*api.0.calendar;
    let cadence = calendar.cadence();
    let interval = query.interval(cadence)?;
    let (from, to, cursor) =
        (query.moment("from", calendar)?, query.moment("to", calendar)?, query.bar_cursor()?);
    let limit = query.limit(BARS_PER_PAGE)?;
    let newest = ticker.newest().map(|newest| cadence.after(newest.bar.start));
    let window = Second::MINUTES_PER_DAY * usual_days(interval);
    let from = match (from, cursor) {
        (Some(from), Some(cursor)) => from.max(cursor),
        (Some(from), None) | (None, Some(from)) => from,
        // The newest bars; where there is none, there is nothing to begin with.
        (None, None) => to.or(newest).map_or(Second::MAX, |end| end.plus_minutes(-window)),
    };
    let wanted = Wanted { symbol, interval, from, to: to.unwrap_or(Second::MAX), limit };
    let make = || async {
        let (rows, next) = read(&api.0.history, calendar, wanted).await?;
        let link = next.and_then(|next| link(symbol, &query, next));
        let answer = match format {
            Format::Json => json(&PageOut {
                items: rows.iter().map(BarRowOut::from).collect(),
                next_cursor: next.map(|next| next.unix().to_string()),
            }),
            Format::Csv => Answer::new(CSV, REVALIDATE, csv(symbol, &rows).into_bytes()),
        };
        Ok::<_, ArchiveError>(answer.by_accept().linking(link))
    };
    let usual =
        format == Format::Json && PARAMETERS.iter().all(|&name| name == "interval" || !query.has(name));
    if usual {
        return Ok(ticker.newest_bars(interval).get_or_try_init(make).await?.respond(&headers));
    }
    api.0.pages_of_bars.check(client)?;
    // Others want to read as well, and whether the store answers at all.
    let _turn = api.0.reading_bars.acquire().await.map_err(|_| Problem::internal())?;
    Ok(make().await?.respond(&headers))
}

/// How many days up to the newest bar are told where the client does not say.
const fn usual_days(interval: Interval) -> i32 {
    match interval {
        Interval::FiveMinutes => 7,
        Interval::FifteenMinutes => 14,
        Interval::OneHour => 30,
        Interval::OneDay => 90,
        _ => 1,
    }
}

/// Reads a page, and where the next one begins: always where a bucket begins, so that no bucket is told
/// in part.
async fn read(
    history: &History,
    calendar: &Calendar,
    wanted: Wanted,
) -> Result<(Vec<Row>, Option<Second>), ArchiveError> {
    let Wanted { symbol, interval, from, to, limit } = wanted;
    // The last bucket may begin before `to` and end after it.
    let end = interval.bucket(calendar, to.plus_seconds(-1)).map_or(to, |bucket| bucket.end);
    // Usually enough, so that one read does it: one bucket more than asked for tells that there is a next
    // page.
    let usual = (limit + 1) * (interval.seconds().unwrap_or(SESSION) / calendar.cadence().seconds()) as usize;
    let mut records: Vec<BarRecord> = Vec::new();
    let mut next = from;
    loop {
        let room = usual.max(LEAST_READ).min(MOST_READ - records.len());
        let more = history.records(symbol, next..end, room).await?;
        let exhausted = more.len() < room;
        next = more.last().map_or(next, |last| calendar.cadence().after(last.bar.start));
        records.extend(more);
        let enough = records.len() >= MOST_READ;
        let mut rows = rows(calendar, interval, &records);
        rows.retain(|row| (from..to).contains(&row.candle.span.start));
        if rows.len() > limit {
            let next = rows[limit].candle.span.start;
            rows.truncate(limit);
            return Ok((rows, Some(next)));
        }
        if exhausted {
            return Ok((rows, None));
        }
        if enough {
            // The last bucket may go on beyond what was read.
            let next = rows.pop().map_or(next, |last| last.candle.span.start);
            return Ok((rows, Some(next)));
        }
    }
}

fn rows(calendar: &Calendar, interval: Interval, records: &[BarRecord]) -> Vec<Row> {
    let cadence = calendar.cadence();
    if interval.seconds() == Some(cadence.seconds()) {
        let counting = records.iter().filter(|record| calendar.counts(record.bar.start));
        let row = |record: &BarRecord| Row {
            candle: Candle::of(&record.bar, cadence),
            revision: Some(record.revision),
        };
        return counting.map(row).collect();
    }
    let candles = aggregate(calendar, interval, records.iter().map(|record| &record.bar));
    candles.into_iter().map(|candle| Row { candle, revision: None }).collect()
}

/// In the columns that `qqq-tracker import` reads.
fn csv(symbol: Symbol, rows: &[Row]) -> String {
    let mut text = String::with_capacity(64 + rows.len() * 80);
    text.push_str("symbol,start,open,high,low,close,volume,vwap,trades\n");
    for Row { candle, .. } in rows {
        let Candle { open, high, low, close, volume, .. } = candle;
        let start = candle.span.start;
        let vwap = candle.vwap.map(|vwap| vwap.to_string()).unwrap_or_default();
        let trades = candle.trades.map(|trades| trades.to_string()).unwrap_or_default();
        let _ = writeln!(text, "{symbol},{start},{open},{high},{low},{close},{volume},{vwap},{trades}");
    }
    text
}

/// `Link: <...>; rel="next"` (RFC 8288): the same question from the next bucket on.
fn link(symbol: Symbol, query: &Query, next: Second) -> Option<HeaderValue> {
    let mut parameters = url::form_urlencoded::Serializer::new(String::new());
    for name in ["to", "interval", "limit"] {
        if let Some(value) = query.get(name) {
            parameters.append_pair(name, value);
        }
    }
    parameters.append_pair("cursor", &next.unix().to_string());
    let link = format!("</v1/symbols/{symbol}/bars?{}>; rel=\"next\"", parameters.finish());
    HeaderValue::try_from(link).ok()
}
