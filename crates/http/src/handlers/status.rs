//! `GET /v1/status`: what makes the answers credible, in one: the feed, the session, the newest bar, the
//! store, what is owed to subscribers, and what this tracker calls unusual.

use crate::api::Api;
use crate::dto::feed::StandInOut;
use crate::dto::words::{CalendarWord, FeedModeWord, IntervalWord, SessionWord};
use crate::http::problem::{Problem, Reason};
use crate::http::query::Query;
use crate::read_model::deliveries::DeliveriesOut;
use crate::read_model::doubts::{doubts, stale_seconds};
use crate::read_model::snapshot::Snapshot;
use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use qqq_contract::metric::MetricOut;
use qqq_contract::rule::{RuleOut, RuleShape};
use qqq_core::{Calendar, FeedStatus, Interval, Phase, RuleName, Second, SpikeRule, SymbolProblem};
use serde::Serialize;
use utoipa::ToSchema;

/// How things stand.
#[derive(Serialize, ToSchema)]
#[schema(as = Status)]
struct StatusOut {
    /// Of this program.
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// The minute of the feed's clock this was said in, UTC.
    #[schema(format = DateTime, example = "2025-01-31T21:00:00Z")]
    as_of: String,
    /// The newest commit that readers see.
    #[schema(example = 4711)]
    sequence: i64,
    /// Where bars come from; `null` before the first feed said so.
    #[schema(required = true)]
    feed: Option<FeedOut>,
    /// What the market does.
    session: SessionOut,
    /// The newest bar of all that counts; `null` before the first.
    #[schema(required = true)]
    newest_bar: Option<NewestBarOut>,
    /// How many symbols there are.
    symbols: SymbolsOut,
    /// Where everything is kept.
    store: StoreOut,
    /// Messages to subscribers, some seconds old; `null` where the store does not say.
    #[schema(required = true)]
    deliveries: Option<DeliveriesOut>,
    /// The server's own rule, `spike`, with all its settings.
    #[schema(value_type = RuleShape)]
    rule: RuleOut,
    /// How much of the rule's window there is.
    window: WindowOut,
    /// How much time a bar covers: the shortest `interval` of bars there is here.
    #[schema(value_type = IntervalWord)]
    interval: &'static str,
    /// What is tracked of bars.
    metrics: Vec<MetricOut>,
    /// Whether bars outside the regular session can count.
    extended_hours: bool,
    /// Which days and hours count.
    #[schema(value_type = CalendarWord)]
    calendar: &'static str,
    /// Whether a receiver must confirm before anything is sent to it.
    confirm: bool,
    /// Whether the mails of this server can be read on its own pages.
    mailbox: bool,
    /// Where the market is open and a live feed has brought nothing for too long; `null` otherwise.
    #[schema(required = true)]
    stale: Option<StaleOut>,
    /// Why the answers cannot be believed, as `/readyz` tells it; empty where they can. What is said of the
    /// store is some seconds old.
    problems: Vec<Reason>,
}

/// A feed and how it is doing.
#[derive(Serialize, ToSchema)]
#[schema(as = Feed)]
struct FeedOut {
    /// Whose bars they are.
    #[schema(example = "alpaca")]
    provider: String,
    /// The name its bars carry.
    #[schema(example = "iex")]
    label: String,
    /// Whose time it lives in.
    #[schema(value_type = FeedModeWord)]
    mode: &'static str,
    /// How much of the market it sees.
    #[schema(example = "IEX only: about 2.5 % of US volume")]
    coverage: String,
    /// For whom it stands in, where the provider that comes first has failed; else `null`.
    #[schema(required = true)]
    stands_in_for: Option<StandInOut>,
    /// What is wrong with it now; `null` while all is well.
    #[schema(required = true)]
    problem: Option<String>,
    /// Symbols that it does not serve as it serves the others, by symbol. That is no problem of the feed.
    symbol_problems: Vec<SymbolProblemOut>,
}

/// What is wrong with one symbol at a feed that serves others.
#[derive(Serialize, ToSchema)]
#[schema(as = SymbolProblem)]
struct SymbolProblemOut {
    /// Which.
    #[schema(example = "NVDA")]
    symbol: String,
    /// What is wrong.
    #[schema(example = "alpaca answered 400 Bad Request")]
    problem: String,
    /// Since when, UTC.
    #[schema(format = DateTime, example = "2025-01-31T15:00:03Z")]
    since: String,
    /// When it is asked for again, UTC; `null` while it still is asked for with the others.
    #[schema(required = true, format = DateTime, example = "2025-01-31T16:00:03Z")]
    next_attempt: Option<String>,
}

impl From<&SymbolProblem> for SymbolProblemOut {
    fn from(problem: &SymbolProblem) -> Self {
        Self {
            symbol: problem.symbol.to_string(),
            problem: problem.problem.clone(),
            since: problem.since.to_string(),
            next_attempt: problem.next_attempt.map(|at| at.to_string()),
        }
    }
}

impl From<&FeedStatus> for FeedOut {
    fn from(feed: &FeedStatus) -> Self {
        Self {
            provider: feed.provider.clone(),
            label: feed.label.to_string(),
            mode: feed.mode.as_str(),
            coverage: feed.coverage.clone(),
            stands_in_for: feed.stands_in_for.as_ref().map(StandInOut::from),
            problem: feed.problem.clone(),
            symbol_problems: feed.symbol_problems.iter().map(SymbolProblemOut::from).collect(),
        }
    }
}

/// What the market does, by the feed's clock.
#[derive(Serialize, ToSchema)]
#[schema(as = MarketSession)]
struct SessionOut {
    /// What it does at `as_of`.
    #[schema(value_type = SessionWord)]
    phase: &'static str,
    /// New York date, where that is a trading day; `null` where the market is shut all day.
    #[schema(required = true, format = Date, example = "2025-01-31")]
    date: Option<String>,
    /// Whether the regular session of that day ends before 16:00 in New York.
    early_close: bool,
    /// The next change, of the hours whose bars count: without extended hours, the regular session opens and
    /// closes. `null` where every minute counts.
    #[schema(required = true)]
    next: Option<ChangeOut>,
}

impl SessionOut {
    fn new(calendar: &Calendar, minute: Second, phase: Phase) -> Self {
        let today = calendar.session_on(calendar.date_of(minute));
        let next = calendar.next_change(minute);
        Self {
            phase: phase.as_str(),
            date: today.map(|session| session.date.to_string()),
            early_close: today.is_some_and(|session| session.early_close),
            next: next.map(|(at, phase)| ChangeOut { phase: phase.as_str(), at: at.to_string() }),
        }
    }
}

/// What the market does next.
#[derive(Serialize, ToSchema)]
#[schema(as = SessionChange)]
struct ChangeOut {
    /// What it does from then on; `closed` stands for all hours whose bars do not count.
    #[schema(value_type = SessionWord)]
    phase: &'static str,
    /// From when on, UTC.
    #[schema(format = DateTime, example = "2025-01-31T21:00:00Z")]
    at: String,
}

/// The newest bar of all.
#[derive(Serialize, ToSchema)]
#[schema(as = NewestBar)]
struct NewestBarOut {
    /// The first instant of its minute, UTC.
    #[schema(format = DateTime, example = "2025-01-31T20:59:00Z")]
    start: String,
    /// Seconds, in whole minutes, from its end to `as_of`.
    #[schema(minimum = 0, example = 0)]
    age_seconds: i64,
}

/// How many symbols there are.
#[derive(Serialize, ToSchema)]
#[schema(as = SymbolCounts)]
struct SymbolsOut {
    /// Tracked.
    #[schema(example = 10)]
    tracked: usize,
    /// Of these, with a bar that counts.
    #[schema(example = 10)]
    with_bars: usize,
}

/// How much of the rule's window there is. After a start, a feed that cannot be asked for earlier bars fills
/// it as bars come.
#[derive(Serialize, ToSchema)]
#[schema(as = Window)]
struct WindowOut {
    /// Symbols with as many bars before their newest one as the rule needs to judge it.
    #[schema(example = 10)]
    judged: usize,
    /// How much time these bars cover: `min_bars` of the rule, each of the `interval`.
    #[schema(minimum = 0, example = 1800)]
    needed_seconds: i64,
    /// How much time the bars cover of the symbol that has the fewest, of those with bars that are not judged
    /// yet; `null` where all of these are.
    #[schema(required = true, minimum = 0, example = 720)]
    least_seconds: Option<i64>,
}

impl WindowOut {
    fn new(rule: &SpikeRule, snapshot: &Snapshot) -> Self {
        let length = snapshot.cadence.seconds();
        let needed = usize::from(rule.min_bars);
        let known = snapshot.tickers.iter().filter_map(|ticker| ticker.bars_in_window(rule.window));
        let (judged, short): (Vec<usize>, Vec<usize>) = known.partition(|&bars| bars >= needed);
        Self {
            judged: judged.len(),
            needed_seconds: i64::from(rule.min_bars) * length,
            least_seconds: short.into_iter().min().map(|bars| bars as i64 * length),
        }
    }
}

/// A store and how it is doing.
#[derive(Serialize, ToSchema)]
#[schema(as = Store)]
struct StoreOut {
    /// Which backend it is.
    #[schema(example = "sqlite")]
    kind: &'static str,
    /// Whether it answered when it was last asked, some seconds ago.
    answers: bool,
    /// Whether it would take a write, some seconds ago. Where not, as on a full disk, what is stored can be
    /// read, and sign-ups are refused, bars and messages wait until it does.
    writable: bool,
    /// Bytes written that have not found their place yet. Far more than 64 MiB tell of somebody who reads on
    /// and on: a backup, or a forgotten shell.
    #[schema(minimum = 0, example = 4_124_152)]
    log_bytes: u64,
}

/// For how long nothing has come.
#[derive(Serialize, ToSchema)]
#[schema(as = Stale)]
struct StaleOut {
    /// Seconds since the newest bar ended, or the session began.
    #[schema(minimum = 0, example = 400)]
    seconds: i64,
}

/// `GET /v1/status`.
#[utoipa::path(
    get,
    path = "/v1/status",
    tag = "service",
    operation_id = "getStatus",
    summary = "What makes the answers credible",
    description = "Feed, session, newest bar, store, messages, and the rule by which something is unusual. \
        Always a 200: `problems` says what `/readyz` answers 503 for. Made for every request and never kept.",
    responses((status = 200, description = "How things stand", body = StatusOut)),
)]
pub(crate) async fn status(State(api): State<Api>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    Query::parse(query.as_deref(), &[])?;
    let said = api.0.heard.store_says(&*api.0.store, api.0.clock.now()).await;
    let (inner, snapshot, now) = (&*api.0, api.snapshot(), api.0.clock.now());
    let (config, calendar) = (&inner.config, &*inner.calendar);
    let mut problems = Vec::from_iter(said.health.doubt.clone());
    problems.extend(doubts(&api, &snapshot));
    let status = StatusOut {
        version: config.version,
        as_of: snapshot.time.to_string(),
        sequence: snapshot.sequence.0,
        feed: snapshot.feed.as_ref().map(FeedOut::from),
        session: SessionOut::new(calendar, snapshot.time, snapshot.phase),
        newest_bar: newest_bar(&snapshot),
        symbols: SymbolsOut {
            tracked: snapshot.tickers.len(),
            with_bars: snapshot.tickers.iter().filter(|ticker| ticker.newest().is_some()).count(),
        },
        store: StoreOut {
            kind: inner.store.kind(),
            answers: said.health.answers,
            writable: said.health.writable,
            log_bytes: inner.store.log_bytes(),
        },
        deliveries: said.deliveries(now),
        rule: RuleOut(RuleName::House.rule(config.rule)),
        window: WindowOut::new(&config.rule, &snapshot),
        interval: Interval::of(calendar.cadence()).as_str(),
        metrics: calendar.metrics().iter().map(MetricOut::from).collect(),
        extended_hours: calendar.tracks_extended_hours(),
        calendar: calendar.market().as_str(),
        confirm: config.confirm,
        mailbox: config.mailbox.is_some(),
        stale: stale_seconds(&api, &snapshot).map(|seconds| StaleOut { seconds }),
        problems,
    };
    Ok(Json(status).into_response())
}

fn newest_bar(snapshot: &Snapshot) -> Option<NewestBarOut> {
    let start = snapshot.newest_start()?;
    Some(NewestBarOut { start: start.to_string(), age_seconds: snapshot.age_seconds(start) })
}
