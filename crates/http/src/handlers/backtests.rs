//! Backtests: what a rule would have told, of the stored bars, by the very code that runs live.

use crate::api::Api;
use crate::dto::words::{MomentText, TickerText};
use crate::handlers::rule_field::rule_of;
use crate::http::answer::{Answer, JSON, NOT_KEPT};
use crate::http::body::read_body;
use crate::http::client::Network;
use crate::http::fields::{Fields, must_be_json};
use crate::http::problem::Problem;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::Response;
use qqq_contract::BacktestOut;
use qqq_contract::rule::RuleIn;
use qqq_contract::words::MetricWord;
use qqq_core::{Calendar, Moment, Second, Symbol};
use qqq_engine::backtest::{BacktestQuery, backtest, metrics_of};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

/// The fields of a request.
const FIELDS: [&str; 6] = ["symbol", "symbols", "metric", "rule", "from", "to"];
/// Longest range, days.
const MOST_DAYS: i32 = 400;
/// Most symbols times days of one request: ten symbols over the longest range.
const MOST_SYMBOL_DAYS: i32 = 10 * MOST_DAYS;
/// Longest list of symbols; without one, it is all that are tracked.
const MOST_SYMBOLS: usize = 100;
/// Days looked at where the request names no beginning.
const USUAL_DAYS: i32 = 30;
/// Alerts told one by one; the figures count all.
const MOST_ALERTS: usize = 1_000;
/// A backtest to run.
#[derive(Deserialize, ToSchema)]
#[schema(as = BacktestIn)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "this says the shape of what is read field by field")]
struct BacktestIn {
    /// A tracked ticker. Without this and `symbols`: all that are tracked.
    #[schema(value_type = Option<TickerText>, example = "NVDA")]
    symbol: Option<String>,
    /// Some tracked tickers, beside `symbol`.
    #[schema(value_type = Option<Vec<TickerText>>, min_items = 1, max_items = 100)]
    symbols: Option<Vec<String>>,
    /// What to look at. Default: all that the rule goes with.
    #[schema(value_type = Option<MetricWord>, example = "volume")]
    metric: Option<String>,
    /// The rule. Default: the server's own.
    #[schema(value_type = Option<RuleIn>)]
    rule: Option<Value>,
    /// First instant, UTC. Default: 30 days before `to`.
    #[schema(value_type = Option<MomentText>, example = "2025-01-27")]
    from: Option<String>,
    /// First instant beyond, UTC. Default: the end of the newest bar.
    #[schema(value_type = Option<MomentText>, example = "2025-02-01T00:00:00Z")]
    to: Option<String>,
}

/// `POST /v1/backtests`.
#[utoipa::path(
    post,
    path = "/v1/backtests",
    tag = "backtests",
    operation_id = "runBacktest",
    summary = "What a rule would have told",
    description = "Runs a rule over stored bars with the very code that runs live: the alerts are those that \
        a subscription by this rule would have got. Every bar is judged at the moment it ended, as the bars \
        are known now. At most 400 days, and 4,000 days of symbols together.",
    request_body(content = BacktestIn, content_type = "application/json"),
    responses(
        (status = 200, description = "What it would have told", body = BacktestOut),
        (status = 400, description = "The body is not JSON"),
        (status = 406),
        (status = 408),
        (status = 413, description = "The body is over 16 KiB"),
        (status = 415, description = "The body is not sent as `application/json`"),
        (status = 422),
        (status = 429, description = "Too many at once from one network"),
        (status = 503, description = "Other backtests are running, or the store does not answer"),
    ),
)]
pub(crate) async fn run(State(api): State<Api>, request: Request) -> Result<Response, Problem> {
    let client = api.client(&request);
    api.0.backtests.check(client)?;
    must_be_json(request.headers())?;
    let (mut parts, body) = request.into_parts();
    let body = read_body(&api.0.config.limits, body).await?;
    let mut fields = Fields::of_json(&body, &FIELDS)?;
    let query = api.backtest_query(&mut fields);
    let query = fields.finish(query)?;
    let _turn = api.0.backtest_limiter.wait(Network::from(client)).await?;
    let report = backtest(&api.0.history, &api.0.calendar, &query).await?;
    let out = BacktestOut::new(&query, &report);
    let body = serde_json::to_vec(&out).map_err(|_| Problem::internal())?;
    // Nothing is kept of an answer to a POST.
    parts.headers.remove(header::IF_NONE_MATCH);
    Ok(Answer::new(JSON, NOT_KEPT, body).respond(&parts.headers))
}

impl Api {
    fn backtest_query(&self, fields: &mut Fields) -> Option<BacktestQuery> {
        let symbols = self.symbols(fields);
        let metric = match fields.text_if_given("metric") {
            None => Some(None),
            Some(text) => fields.parsed("metric", self.0.calendar.metrics().named(&text)).map(Some),
        };
        let calendar = &*self.0.calendar;
        let rule = rule_of(fields, "rule", metric.flatten(), calendar);
        let snapshot = self.snapshot();
        let newest = snapshot.newest_start().map_or(snapshot.time, |start| calendar.cadence().after(start));
        let to = moment(fields, "to", newest, calendar);
        let from = to.and_then(|to| {
            moment(fields, "from", to.plus_minutes(-USUAL_DAYS * Second::MINUTES_PER_DAY), calendar)
        });
        let (symbols, metric, rule, from, to) = (symbols?, metric?, rule?, from?, to?);
        let days = (to.minutes_since(from) + Second::MINUTES_PER_DAY - 1) / Second::MINUTES_PER_DAY;
        if from >= to {
            fields.wrong("from", "must be before `to`");
        } else if days > MOST_DAYS {
            fields.wrong("from", format!("must be at most {MOST_DAYS} days before `to`"));
        } else if days.saturating_mul(symbols.len() as i32) > MOST_SYMBOL_DAYS {
            let most = MOST_SYMBOL_DAYS / days;
            fields.wrong("symbols", format!("must be at most {most} for {days} days"));
        }
        let metrics = metric.map_or_else(|| metrics_of(rule, calendar.metrics()), |metric| vec![metric]);
        Some(BacktestQuery {
            rule,
            house: self.0.config.rule,
            symbols,
            metrics,
            range: from..to,
            most: MOST_ALERTS,
        })
    }

    /// Those that are named, or all that are tracked.
    fn symbols(&self, fields: &mut Fields) -> Option<Vec<Symbol>> {
        let mut texts = match fields.value("symbols") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(texts)) if (1..=MOST_SYMBOLS).contains(&texts.len()) => texts,
            Some(_) => {
                fields.wrong("symbols", format!("must be a list of 1 to {MOST_SYMBOLS} tickers"));
                return None;
            }
        };
        texts.extend(fields.value("symbol").filter(|text| !text.is_null()));
        if texts.is_empty() {
            return Some(self.snapshot().watchlist.list.symbols().to_vec());
        }
        let mut symbols = Vec::new();
        for text in &texts {
            let found = text.as_str().and_then(|text| self.tracked(text));
            let Some(symbol) = found else {
                let shown: String = text.to_string().chars().take(32).collect();
                fields.wrong("symbol", format!("{shown} is not tracked; /v1/symbols lists what is"));
                return None;
            };
            if !symbols.contains(&symbol) {
                symbols.push(symbol);
            }
        }
        Some(symbols)
    }
}

/// The first minute that starts at a moment or later, or `default` where none is given.
fn moment(fields: &mut Fields, name: &str, default: Second, calendar: &Calendar) -> Option<Second> {
    let value = match fields.value(name) {
        None | Some(Value::Null) => return Some(default),
        Some(value) => value,
    };
    match value.as_str().unwrap_or_default().parse::<Moment>() {
        Ok(moment) => Some(moment.start(calendar)),
        Err(error) => {
            fields.wrong(name, error.to_string());
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use qqq_core::alert::backtest::{Day, Report};

    #[test]
    fn a_report_is_told_in_a_sentence() {
        let date = |text: &str| text.parse().unwrap();
        let day = |text, alerts| Day { date: date(text), alerts };
        let report = |days: Vec<Day>| {
            let mut report = Report::keeping(0);
            report.days = days;
            report
        };
        assert_eq!(report(vec![]).summary(), "no bars to look at");
        assert_eq!(report(vec![day("2025-01-27", 0)]).summary(), "would have told nothing in 1 session");
    }
}
