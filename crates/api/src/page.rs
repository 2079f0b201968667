//! The pages people see: an overview, one page per symbol, and short messages. Complete without scripts.

use crate::Api;
use crate::answer::{Answer, FOREVER};
use crate::config::ApiConfig;
use crate::model::silence;
use crate::original::not_tracked;
use crate::problem::Problem;
use crate::snapshot::{Snapshot, Ticker};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use minijinja::{Environment, UndefinedBehavior};
use qqq_core::calendar::{Market, new_york};
use qqq_core::{Alert, AlertState, Calendar, FeedMode, Metric, Minute, Phase, RuleName, SpikeRule, sentence};
use serde::Serialize;
use std::sync::Arc;
use utoipa::openapi::OpenApi;

/// Rows of the overview; a longer watchlist is told as "and n more".
const MOST_ROWS: usize = 200;
/// Alerts listed on a page.
const MOST_ALERTS: usize = 20;

/// The templates, compiled, and the style sheet.
pub(crate) struct Pages {
    templates: Environment<'static>,
    style: Answer,
}

impl Pages {
    pub(crate) fn new(config: &ApiConfig) -> Result<Self, minijinja::Error> {
        let style = include_str!("../assets/style.css");
        let style = Answer::new("text/css; charset=utf-8", FOREVER, style.as_bytes().to_vec());
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        templates.add_template("base.html", include_str!("../templates/base.html"))?;
        templates.add_template("parts.html", include_str!("../templates/parts.html"))?;
        templates.add_template("overview.html", include_str!("../templates/overview.html"))?;
        templates.add_template("symbol.html", include_str!("../templates/symbol.html"))?;
        templates.add_template("subscribe.html", include_str!("../templates/subscribe.html"))?;
        templates.add_template("message.html", include_str!("../templates/message.html"))?;
        templates.add_template("docs.html", include_str!("../templates/docs.html"))?;
        templates.add_filter("prose", prose);
        templates
            .add_filter("last_part", |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned());
        let address = format!("/assets/style.css?v={}", style.tag());
        templates.add_global("style", minijinja::Value::from_safe_string(address));
        templates.add_global("version", config.version);
        Ok(Self { templates, style })
    }

    /// A page that says one thing.
    pub(crate) fn message(&self, message: &Message) -> Result<String, minijinja::Error> {
        self.render("message.html", message)
    }

    /// The API's description, for people.
    pub(crate) fn docs(&self, doc: &OpenApi) -> Result<String, minijinja::Error> {
        #[derive(Serialize)]
        struct Docs<'a> {
            doc: &'a OpenApi,
        }
        self.render("docs.html", &Docs { doc })
    }

    fn render(&self, name: &str, content: &impl Serialize) -> Result<String, minijinja::Error> {
        self.templates.get_template(name)?.render(minijinja::value::Serde(content))
    }
}

/// Paragraphs of a description as HTML: text in backticks is code, all else is text.
fn prose(text: &str) -> minijinja::Value {
    let mut html = String::with_capacity(text.len() + 32);
    for paragraph in text.split("\n\n") {
        html.push_str("<p>");
        for (index, part) in paragraph.split('`').enumerate() {
            let escaped = part.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            match index % 2 {
                0 => html.push_str(&escaped),
                _ => html.extend(["<code>", &escaped, "</code>"]),
            }
        }
        html.push_str("</p>");
    }
    minijinja::Value::from_safe_string(html)
}

/// How a message is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tone {
    Plain,
    Good,
    Bad,
}

/// A button that posts to the page's own address.
#[derive(Debug, Serialize)]
pub(crate) struct Button {
    caption: &'static str,
    /// What it asks for, where a page has several.
    action: Option<&'static str>,
}

/// A page that says one thing, and may ask for one of a few.
#[derive(Debug, Serialize)]
pub(crate) struct Message {
    tone: Tone,
    title: String,
    text: String,
    buttons: Vec<Button>,
}

impl Message {
    pub(crate) fn new(tone: Tone, title: &str, text: &str) -> Self {
        Self { tone, title: title.to_owned(), text: text.to_owned(), buttons: Vec::new() }
    }

    pub(crate) fn ask(self, caption: &'static str) -> Self {
        Self { buttons: vec![Button { caption, action: None }], ..self }
    }

    /// Offers a choice of (caption, action).
    pub(crate) fn offer(self, choices: &[(&'static str, &'static str)]) -> Self {
        let button = |&(caption, action)| Button { caption, action: Some(action) };
        Self { buttons: choices.iter().map(button).collect(), ..self }
    }
}

/// `GET /assets/style.css`.
pub(crate) async fn style(State(api): State<Api>, headers: HeaderMap) -> Response {
    api.0.pages.style.respond(&headers)
}

/// `GET /`.
pub(crate) async fn overview(State(api): State<Api>, headers: HeaderMap) -> Result<Response, Problem> {
    let snapshot = api.snapshot();
    if let Some(page) = snapshot.overview.get() {
        return Ok(page.respond(&headers));
    }
    let content = Overview::new(&snapshot, &api);
    let html = api.0.pages.render("overview.html", &content).map_err(unwritten)?;
    Ok(snapshot.overview.get_or_init(|| Answer::html(html)).respond(&headers))
}

/// `GET /s/{symbol}`.
pub(crate) async fn symbol(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let text = path.map_or_else(|_| "this".to_owned(), |Path(text)| text);
    let Some((id, _)) = api.tracked(&text) else { return api.problem_page(&not_tracked(&text)) };
    let snapshot = api.snapshot();
    let render = |ticker: &Ticker| {
        let html = api.0.pages.render("symbol.html", &SymbolPage::new(ticker, &snapshot, &api))?;
        Ok(Answer::html(html))
    };
    match snapshot.page(id, render) {
        Some(Ok(page)) => page.respond(&headers),
        Some(Err(error)) => unwritten(error).into_response(),
        None => Problem::internal().into_response(),
    }
}

/// `GET /subscribe/form`. A page of its own: the overview renews itself, and would lose what is being typed.
pub(crate) async fn subscribe_form(State(api): State<Api>, headers: HeaderMap) -> Result<Response, Problem> {
    let rule = api.0.config.rule;
    let content = SubscribePage {
        rule: rule.ratio.to_string(),
        window: sentence::span(rule.window),
        confirm: api.0.config.confirm,
    };
    let html = api.0.pages.render("subscribe.html", &content).map_err(unwritten)?;
    Ok(Answer::html(html).respond(&headers))
}

fn unwritten(error: minijinja::Error) -> Problem {
    tracing::error!(%error, "a page could not be written");
    Problem::internal()
}

/// What makes the page credible, beside or instead of its sentence.
#[derive(Serialize)]
struct Notice {
    tone: Tone,
    title: &'static str,
    text: String,
}

#[derive(Serialize)]
struct Overview {
    sentence: String,
    unusual: bool,
    notices: Vec<Notice>,
    facts: Vec<String>,
    rule: String,
    rule_x: String,
    rows: Vec<Row>,
    more_rows: usize,
    alerts: Vec<AlertLine>,
}

#[derive(Serialize)]
struct SubscribePage {
    rule: String,
    window: String,
    confirm: bool,
}

#[derive(Serialize)]
struct Row {
    symbol: String,
    name: &'static str,
    price: Option<String>,
    change: Option<Change>,
    price_ratio: Option<Gauge>,
    volume_ratio: Option<Gauge>,
    alert: Option<String>,
    unusual: bool,
}

#[derive(Serialize)]
struct Change {
    arrow: &'static str,
    word: &'static str,
    percent: String,
}

/// A ratio on the one scale of the product: logarithmic, 0.1 to 30 times.
#[derive(Serialize)]
struct Gauge {
    text: String,
    unusual: bool,
    /// Left end and length of the bar from 1x, in hundredths of the scale.
    x: String,
    width: String,
}

#[derive(Serialize)]
struct AlertLine {
    symbol: String,
    start: String,
    when: String,
    text: String,
    retracted: bool,
    also: Option<String>,
}

#[derive(Serialize)]
struct SymbolPage {
    symbol: String,
    name: &'static str,
    former: Vec<String>,
    notices: Vec<Notice>,
    facts: Vec<String>,
    price: Option<String>,
    change: Option<Change>,
    newest: Option<String>,
    feed: Option<String>,
    rule: String,
    rule_x: String,
    metrics: Vec<MetricRow>,
    window: String,
    alerts: Vec<AlertLine>,
    confirm: bool,
}

#[derive(Serialize)]
struct MetricRow {
    name: &'static str,
    unit: &'static str,
    value: Option<String>,
    average: Option<String>,
    ratio: Option<Gauge>,
    stdev: Option<String>,
    relative_stdev: Option<String>,
    window_bars: u16,
}

impl Overview {
    fn new(snapshot: &Snapshot, api: &Api) -> Self {
        let rule = api.0.config.rule;
        let mut rows: Vec<Row> = Vec::new();
        let mut unusual_now = 0;
        for ticker in &snapshot.tickers {
            let unusual = is_unusual(ticker, rule);
            unusual_now += usize::from(unusual);
            if rows.len() < MOST_ROWS || unusual {
                rows.push(Row::new(ticker, snapshot, api));
            }
        }
        // What is unusual comes first; the others keep their order, so that rows stay where they were.
        rows.sort_by_key(|row| !row.unusual);
        rows.truncate(MOST_ROWS);
        let notices = notices(snapshot, api);
        let (sentence, unusual) = headline(snapshot, &api.0.calendar, rule, unusual_now);
        Self {
            sentence,
            unusual,
            notices,
            facts: facts(snapshot, &api.0.calendar),
            rule: rule.ratio.to_string(),
            rule_x: hundredths(place(ratio_of(rule))),
            more_rows: snapshot.tickers.len() - rows.len(),
            rows,
            alerts: snapshot
                .alerts
                .iter()
                .take(MOST_ALERTS)
                .map(|alert| AlertLine::new(alert, rule))
                .collect(),
        }
    }
}

impl Row {
    fn new(ticker: &Ticker, snapshot: &Snapshot, api: &Api) -> Self {
        let rule = api.0.config.rule;
        let gauge = |metric| ratio(ticker, metric).map(|ratio| Gauge::new(ratio, rule));
        let since = snapshot.minute.plus(-Minute::PER_DAY);
        let alert = snapshot.alerts.iter().find(|alert| alert.symbol == ticker.symbol && alert.start > since);
        Self {
            symbol: ticker.symbol.to_string(),
            name: api.0.watchlist.name(ticker.symbol).unwrap_or_default(),
            price: price(ticker),
            change: Change::of(ticker),
            price_ratio: gauge(Metric::Price),
            volume_ratio: gauge(Metric::Volume),
            alert: alert.map(|alert| {
                let retracted = if alert.state == AlertState::Retracted { ", taken back" } else { "" };
                let times = sentence::ratio(alert).map(|ratio| format!(" {ratio}x")).unwrap_or_default();
                format!("{}{times} at {}{retracted}", alert.metric, clock_time(alert.start))
            }),
            unusual: is_unusual(ticker, rule),
        }
    }
}

impl SymbolPage {
    fn new(ticker: &Ticker, snapshot: &Snapshot, api: &Api) -> Self {
        let rule = api.0.config.rule;
        let newest = ticker.newest().map(|record| &record.bar);
        let metric_row = |metric: Metric| {
            let figures = ticker.figures(metric).unwrap_or_default();
            let number = |value: Option<f64>| value.map(|value| figure(metric, value));
            MetricRow {
                name: metric.as_str(),
                unit: if metric == Metric::Price { "dollars" } else { "shares" },
                value: newest.map(|bar| match metric {
                    Metric::Price => figure(metric, bar.close.to_f64()),
                    Metric::Volume => figure(metric, bar.volume.shares() as f64),
                }),
                average: number(figures.trailing_average),
                ratio: figures.ratio.map(|ratio| Gauge::new(ratio, rule)),
                stdev: number(figures.stdev),
                relative_stdev: figures.relative_stdev.map(|value| format!("{:.3} %", value * 100.0)),
                window_bars: figures.window_bars,
            }
        };
        let alerts = snapshot.alerts.iter().filter(|alert| alert.symbol == ticker.symbol);
        Self {
            symbol: ticker.symbol.to_string(),
            name: api.0.watchlist.name(ticker.symbol).unwrap_or_default(),
            former: api
                .0
                .watchlist
                .former_symbols(ticker.symbol)
                .map(|former| former.former.to_string())
                .collect(),
            notices: notices(snapshot, api),
            facts: facts(snapshot, &api.0.calendar),
            price: price(ticker),
            change: Change::of(ticker),
            newest: newest.map(|bar| sentence::new_york_time(bar.start)),
            feed: newest.map(|bar| bar.feed.to_string()),
            rule: rule.ratio.to_string(),
            rule_x: hundredths(place(ratio_of(rule))),
            metrics: Metric::ALL.into_iter().map(metric_row).collect(),
            window: sentence::span(rule.window),
            alerts: alerts.take(MOST_ALERTS).map(|alert| AlertLine::new(alert, rule)).collect(),
            confirm: api.0.config.confirm,
        }
    }
}

impl Change {
    fn of(ticker: &Ticker) -> Option<Self> {
        let (amount, percent) = ticker.day_change()?;
        let (arrow, word) = match amount.signum() {
            1 => ("▲", "up"),
            -1 => ("▼", "down"),
            _ => ("", "unchanged"),
        };
        Some(Self { arrow, word, percent: format!("{:.2}", percent.abs()) })
    }
}

impl Gauge {
    fn new(ratio: f64, rule: SpikeRule) -> Self {
        let (one, here) = (place(1.0), place(ratio));
        Self {
            text: if ratio < 100.0 { format!("{ratio:.1}") } else { format!("{ratio:.0}") },
            unusual: ratio >= ratio_of(rule),
            x: hundredths(one.min(here)),
            width: hundredths((here - one).abs().max(0.005)),
        }
    }
}

impl AlertLine {
    fn new(alert: &Arc<Alert>, rule: SpikeRule) -> Self {
        let further = alert.occurrences.len().saturating_sub(1);
        let peak = sentence::amount(alert.metric, alert.peak());
        let also = match further {
            0 => None,
            1 => Some(format!("One more minute qualified since; the peak was {peak}.")),
            more => Some(format!("{more} more minutes qualified since; the peak was {peak}.")),
        };
        Self {
            symbol: alert.symbol.to_string(),
            start: alert.start.to_string(),
            when: day_and_time(alert.start),
            text: sentence::sentence(alert, &alert.rule.rule(rule)),
            retracted: alert.state == AlertState::Retracted,
            also,
        }
    }
}

/// The first sentence of the page, and whether it tells of something unusual.
fn headline(snapshot: &Snapshot, calendar: &Calendar, rule: SpikeRule, unusual_now: usize) -> (String, bool) {
    let total = snapshot.tickers.len();
    let Some(newest) =
        snapshot.tickers.iter().filter_map(|ticker| ticker.newest()).map(|one| one.bar.start).max()
    else {
        return ("Waiting for the first bars".to_owned(), false);
    };
    let standing = |alert: &&Arc<Alert>| alert.state == AlertState::Raised;
    if !calendar.counts(snapshot.minute) {
        let session = calendar.tracked_until(snapshot.minute);
        let since = session.map_or(newest, |session| session.start);
        let mut alerts = snapshot.alerts.iter().take_while(|alert| alert.start >= since).filter(standing);
        let Some(last) = alerts.next() else {
            return ("The market is closed; its last session raised no alert".to_owned(), false);
        };
        let count = 1 + alerts.count();
        let raised = if count == 1 { "one alert".to_owned() } else { format!("{count} alerts, the last") };
        return (
            format!("The market is closed; its last session raised {raised}: {}", told(last, rule)),
            false,
        );
    }
    let window = i32::from(rule.window);
    let mut recent =
        snapshot.alerts.iter().take_while(|alert| alert.start.since(newest) > -window).filter(standing);
    if let Some(alert) = recent.next() {
        let others = match recent.count() {
            0 => String::new(),
            1 => ", and one more alert before".to_owned(),
            more => format!(", and {more} more alerts before"),
        };
        return (format!("{}{others}", told(alert, rule)), true);
    }
    if unusual_now > 0 {
        let symbols: Vec<_> = snapshot
            .tickers
            .iter()
            .filter(|ticker| is_unusual(ticker, rule))
            .take(5)
            .map(|ticker| ticker.symbol.to_string())
            .collect();
        return (format!("Above the usual range: {}", symbols.join(", ")), true);
    }
    let known = snapshot.tickers.iter().filter(|ticker| ticker.newest().is_some()).count();
    let quiet = if known == total {
        format!("Quiet: all {total} inside their usual range")
    } else {
        format!("Quiet: {known} of {total} inside their usual range, the others without a bar yet")
    };
    (quiet, false)
}

/// `NVDA: volume 18.7 times its last hour, at 13:57`.
fn told(alert: &Alert, rule: SpikeRule) -> String {
    let Alert { symbol, metric, start, .. } = alert;
    let at = clock_time(*start);
    match (alert.rule, sentence::ratio(alert)) {
        (RuleName::House, Some(ratio)) => {
            format!("{symbol}: {metric} {ratio} times its last {}, at {at}", sentence::span(rule.window))
        }
        _ => format!("{}, at {at}", sentence::headline(alert, &alert.rule.rule(rule))),
    }
}

/// What a reader must know before believing a number.
fn notices(snapshot: &Snapshot, api: &Api) -> Vec<Notice> {
    let mut notices = Vec::new();
    let Some(feed) = &snapshot.feed else {
        let text = "No feed has reported yet. The first bars usually come within a minute.".to_owned();
        return vec![Notice { tone: Tone::Bad, title: "No data", text }];
    };
    if let Some(problem) = &feed.problem {
        notices.push(Notice { tone: Tone::Bad, title: "The feed is in trouble", text: problem.clone() });
    }
    let stale_after = api.0.config.stale_after.as_secs() as i64;
    if let Some(seconds) = silence(snapshot, &api.0.calendar, snapshot.published_at)
        && seconds > stale_after
    {
        let text = format!("The market is open, and no bar has come for {} minutes.", seconds / 60);
        notices.push(Notice { tone: Tone::Bad, title: "Stale", text });
    }
    match feed.mode {
        FeedMode::Live => {}
        FeedMode::Simulated => {
            let text = "Every price here is invented, to try things out.".to_owned();
            notices.push(Notice { tone: Tone::Plain, title: "Simulated market", text });
        }
        FeedMode::Replayed => {
            let text = format!("Recorded bars, now at {}.", sentence::new_york_time(snapshot.minute));
            notices.push(Notice { tone: Tone::Plain, title: "Replay", text });
        }
    }
    notices
}

/// Newest bar, feed and coverage, session and its next change.
fn facts(snapshot: &Snapshot, calendar: &Calendar) -> Vec<String> {
    let mut facts = Vec::new();
    if let Some(end) = snapshot.newest_end() {
        facts.push(format!("Newest bar {}", day_and_time(Minute::containing(end).plus(-1))));
    }
    if let Some(feed) = &snapshot.feed {
        facts.push(format!("Feed {}: {}", feed.label, feed.coverage));
    }
    let session = match snapshot.phase {
        Phase::Closed => "Market closed",
        Phase::Pre => "Before the open",
        Phase::Regular => "Market open",
        Phase::Post => "After the close",
    };
    let next = calendar.tracked_from(snapshot.minute).filter(|_| calendar.market() != Market::Always);
    facts.push(match next {
        Some(stretch) if stretch.start > snapshot.minute => {
            format!("{session}; next session {}", day_and_time(stretch.start))
        }
        Some(stretch) => format!("{session} until {}", clock_time(stretch.end)),
        None => session.to_owned(),
    });
    facts
}

fn is_unusual(ticker: &Ticker, rule: SpikeRule) -> bool {
    Metric::ALL.into_iter().any(|metric| {
        let figures = ticker.figures(metric).unwrap_or_default();
        figures.window_bars >= rule.min_bars && figures.ratio.is_some_and(|ratio| ratio >= ratio_of(rule))
    })
}

fn ratio(ticker: &Ticker, metric: Metric) -> Option<f64> {
    ticker.figures(metric).and_then(|figures| figures.ratio)
}

fn ratio_of(rule: SpikeRule) -> f64 {
    f64::from(rule.ratio.millionths()) / 1e6
}

/// Where a ratio stands on the scale from 0.1x to 30x, as a share of it.
fn place(ratio: f64) -> f64 {
    const LOW: f64 = 0.1;
    const HIGH: f64 = 30.0;
    ((ratio.max(LOW) / LOW).ln() / (HIGH / LOW).ln()).clamp(0.0, 1.0)
}

fn hundredths(share: f64) -> String {
    format!("{:.1}", share * 100.0)
}

fn price(ticker: &Ticker) -> Option<String> {
    ticker.newest().map(|record| figure(Metric::Price, record.bar.close.to_f64()))
}

/// A number as the pages' tables show it: dollars to the cent (small ones finer), shares whole.
fn figure(metric: Metric, value: f64) -> String {
    let (decimals, unit) = match metric {
        Metric::Volume => (0, 1.0),
        Metric::Price if value.abs() < 1.0 => (4, 1e4),
        Metric::Price => (2, 1e2),
    };
    let scaled = (value * unit).round() as i64;
    let whole = sentence::amount(Metric::Volume, scaled / unit as i64);
    match decimals {
        0 => whole,
        _ => format!("{whole}.{:0decimals$}", scaled.abs() % unit as i64),
    }
}

/// `13:57`, New York.
fn clock_time(minute: Minute) -> String {
    minute.start().to_zoned_datetime(new_york()).strftime("%H:%M").to_string()
}

/// `Mon Jan 27, 13:57`, New York.
fn day_and_time(minute: Minute) -> String {
    minute.start().to_zoned_datetime(new_york()).strftime("%a %b %-d, %H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_runs_from_a_tenth_to_thirty_times() {
        assert_eq!(hundredths(place(0.0)), "0.0");
        assert_eq!(hundredths(place(0.1)), "0.0");
        assert_eq!(hundredths(place(30.0)), "100.0");
        assert_eq!(hundredths(place(1e9)), "100.0");
        // Equal factors are equal distances.
        assert!((place(3.0) - place(1.0) - (place(9.0) - place(3.0))).abs() < 1e-12);
    }

    #[test]
    fn table_figures() {
        assert_eq!(figure(Metric::Price, 1118.586), "1,118.59");
        assert_eq!(figure(Metric::Price, 689.0), "689.00");
        assert_eq!(figure(Metric::Price, 0.123_44), "0.1234");
        assert_eq!(figure(Metric::Volume, 9_637_512.4), "9,637,512");
    }
}
