//! `/v1/watchlist`: what is tracked, and what operators change of it.

use crate::api::Api;
use crate::dto::words::TickerText;
use crate::handlers::operator::{is_operator, operators_only};
use crate::http::answer::json;
use crate::http::problem::{FieldError, Problem};
use crate::http::query::{Query, invalid};
use crate::read_model::snapshot::Snapshot;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use qqq_core::Symbol;
use qqq_core::market::names::Names;
use qqq_engine::watchlist::{EditError, Edited, VersionedWatchlist};
use serde::Serialize;
use utoipa::ToSchema;

/// Most names of an answer.
const NAMES: usize = 10;
/// Characters of a search.
const SEARCHED: usize = 40;

/// The watchlist.
#[derive(Serialize, ToSchema)]
#[schema(as = Watchlist)]
pub(crate) struct WatchlistOut {
    /// How often operators have changed it.
    #[schema(example = 2)]
    version: u64,
    /// Whether whoever asks may change it.
    editable: bool,
    /// What is tracked, in order.
    items: Vec<WatchedOut>,
    /// What the configuration names and operators took off.
    removed: Vec<NamedOut>,
}

/// A tracked symbol.
#[derive(Serialize, ToSchema)]
#[schema(as = Watched)]
struct WatchedOut {
    #[serde(flatten)]
    named: NamedOut,
    /// Whether an operator added it; otherwise the configuration names it.
    added: bool,
}

/// A symbol and whose it is.
#[derive(Serialize, ToSchema)]
#[schema(as = NamedSymbol)]
pub(crate) struct NamedOut {
    /// The ticker.
    #[schema(example = "AMD")]
    symbol: String,
    /// The company's name, where it is known.
    #[schema(required = true, example = "Advanced Micro Devices")]
    name: Option<String>,
}

/// What is known by a name.
#[derive(Serialize, ToSchema)]
#[schema(as = KnownSymbols)]
pub(crate) struct KnownOut {
    /// The best first.
    #[schema(max_items = 10)]
    items: Vec<KnownSymbolOut>,
}

/// A symbol that may be tracked.
#[derive(Serialize, ToSchema)]
#[schema(as = KnownSymbol)]
struct KnownSymbolOut {
    #[serde(flatten)]
    named: NamedOut,
    /// Whether it is on the watchlist.
    tracked: bool,
}

impl NamedOut {
    fn new(symbol: Symbol, names: &Names) -> Self {
        Self { symbol: symbol.to_string(), name: names.of(symbol).map(str::to_owned) }
    }
}

impl WatchlistOut {
    fn new(Snapshot { watchlist, names, .. }: &Snapshot, editable: bool) -> Self {
        let VersionedWatchlist { version, list, edits } = &**watchlist;
        let is_edit = |symbol: Symbol, tracked: bool| {
            edits.iter().any(|edit| edit.symbol == symbol && edit.tracked == tracked)
        };
        let watched = |&symbol: &Symbol| WatchedOut {
            named: NamedOut::new(symbol, names),
            added: is_edit(symbol, true),
        };
        let removed = edits.iter().filter(|edit| !edit.tracked).map(|edit| NamedOut::new(edit.symbol, names));
        Self {
            version: *version,
            editable,
            items: list.symbols().iter().map(watched).collect(),
            removed: removed.collect(),
        }
    }
}

/// `GET /v1/watchlist`.
#[utoipa::path(
    get,
    path = "/v1/watchlist",
    tag = "symbols",
    operation_id = "getWatchlist",
    summary = "What is tracked",
    description = "It begins with what the configuration names; operators add to it and take from it.",
    responses((status = 200, description = "The watchlist", body = WatchlistOut)),
)]
pub(crate) async fn watchlist(State(api): State<Api>, request: Request) -> Result<Response, Problem> {
    Query::parse(request.uri().query(), &[])?;
    let editable = is_operator(&api, &request).await?;
    let out = WatchlistOut::new(&api.snapshot(), editable);
    Ok(json(&out).private().respond(request.headers()))
}

/// `GET /v1/watchlist/search`.
#[utoipa::path(
    get,
    path = "/v1/watchlist/search",
    tag = "symbols",
    operation_id = "searchSymbols",
    summary = "Symbols by their names",
    description = "Of all symbols whose names a feed has told, the large companies and funds that are known \
        without one, and what is tracked; others can be tracked by their tickers as well.",
    params(("query" = String, Query, min_length = 1, max_length = 40,
        description = "A part of the ticker or the name, in any case.", example = "micro")),
    responses((status = 200, description = "What is known by that name", body = KnownOut), (status = 304)),
)]
pub(crate) async fn search(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref(), &["query"])?;
    let text = query.get("query").unwrap_or_default().trim();
    if text.is_empty() || text.chars().count() > SEARCHED {
        return Err(invalid("query", "must be 1 to 40 characters of a ticker or a name"));
    }
    let snapshot = api.snapshot();
    let (list, names) = (&snapshot.watchlist.list, &snapshot.names);
    let known =
        |symbol| KnownSymbolOut { named: NamedOut::new(symbol, names), tracked: list.id(symbol).is_some() };
    let items = names.search(text, list.symbols(), NAMES).into_iter().map(known).collect();
    Ok(json(&KnownOut { items }).respond(&headers))
}

/// `PUT /v1/watchlist/{symbol}`.
#[utoipa::path(
    put,
    path = "/v1/watchlist/{symbol}",
    tag = "operators",
    operation_id = "trackSymbol",
    summary = "Track a symbol",
    description = "At once, and after every restart: its history comes as far back as the feed's back-fill \
        goes. Subscriptions to the whole watchlist take it in. Whether the feed serves it shows in \
        `/v1/status`. Tracking it again changes nothing.",
    params(("symbol" = TickerText, Path, description = "A ticker", example = "AMD")),
    responses(
        (status = 200, description = "It was tracked already", body = WatchlistOut),
        (status = 201, description = "It is tracked from now on", body = WatchlistOut),
        (status = 403, description = "Whoever asks is no operator"),
        (status = 422),
        (status = 429),
    ),
    security(("session" = [])),
)]
pub(crate) async fn track(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    operators_only(&api, &request).await?;
    api.0.posts.check(api.client(&request))?;
    let symbol = symbol_of(path)?;
    match api.0.watchlists.track(symbol).await.map_err(refused)? {
        Edited::Changed => {
            api.take_in().await;
            Ok((StatusCode::CREATED, changed(&api)).into_response())
        }
        Edited::Already => Ok(changed(&api)),
    }
}

/// `DELETE /v1/watchlist/{symbol}`.
#[utoipa::path(
    delete,
    path = "/v1/watchlist/{symbol}",
    tag = "operators",
    operation_id = "untrackSymbol",
    summary = "Track a symbol no longer",
    description = "At once, and after every restart. What is stored of it stays; tracked again, it goes on \
        where it ended. Subscriptions to it stay too, and hear nothing meanwhile.",
    params(("symbol" = TickerText, Path, description = "A tracked ticker", example = "AMD")),
    responses(
        (status = 204, description = "It is not tracked any more"),
        (status = 403, description = "Whoever asks is no operator"),
        (status = 404, description = "The ticker is not tracked"),
        (status = 422),
        (status = 429),
    ),
    security(("session" = [])),
)]
pub(crate) async fn untrack(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    operators_only(&api, &request).await?;
    api.0.posts.check(api.client(&request))?;
    let symbol = symbol_of(path)?;
    api.0.watchlists.untrack(symbol).await.map_err(refused)?;
    api.take_in().await;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The symbol of a path.
fn symbol_of(path: Result<Path<String>, PathRejection>) -> Result<Symbol, Problem> {
    let text = path.map(|Path(text)| text).unwrap_or_default();
    text.parse::<Symbol>().map_err(|error| field(error.to_string()))
}

fn refused(error: EditError) -> Problem {
    match error {
        EditError::Store(error) => error.into(),
        EditError::NotTracked(symbol) => Problem::not_tracked(symbol.as_str()),
        EditError::Invalid(_) | EditError::Refused(_) => field(error.to_string()),
    }
}

fn field(detail: String) -> Problem {
    Problem::unprocessable(vec![FieldError { field: "symbol".to_owned(), detail }])
}

/// The list as readers see it now.
fn changed(api: &Api) -> Response {
    json(&WatchlistOut::new(&api.snapshot(), true)).private().respond(&HeaderMap::new())
}
