//! `GET /v1/stream`: what is committed, as server-sent events.

use crate::api::Api;
use crate::handlers::bearer::{bearer, ended, unauthorized};
use crate::handlers::session;
use crate::http::client::Network;
use crate::http::gate::Full;
use crate::http::lifetime::{Endless, Stopping};
use crate::http::problem::Problem;
use crate::http::query::{Query, invalid};
use crate::stream::chunk::Filter;
use crate::stream::id::EventId;
use crate::stream::reader::{Holder, Reader, Start};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use qqq_core::Symbol;
use qqq_store::ChangeCursor;
use std::sync::Arc;
use std::time::Duration;

/// For whoever was turned away because there are too many streams.
const COME_BACK: Duration = Duration::from_secs(30);

/// `GET /v1/stream`.
#[utoipa::path(
    get,
    path = "/v1/stream",
    tag = "symbols",
    operation_id = "stream",
    summary = "What is committed, as server-sent events",
    description = "Events `bar`, `stats`, `alert`, `status` and `reset`; data is JSON on one line. \
        Ids rise and are opaque. After an id comes everything that changed since, once, as it is now. \
        `retry:` comes first and last; a comment every 15 seconds when it is quiet. \
        `reset` says that the stream cannot go on where it was asked to: load anew. \
        Alerts are those of the house's rules, and with the token of a subscription also those of its own \
        rule, with a session those of all of one's own rules; such a stream ends soon after the \
        subscription or the session.",
    params(
        ("symbols" = Option<String>, Query,
            description = "Only of these: 1 to 100 tickers, between commas.", example = "META,NVDA"),
        ("last_event_id" = Option<String>, Query,
            description = "Go on after this event: an id, or the `Stream-Position` of an answer."),
        ("Last-Event-ID" = Option<String>, Header, description = "The same; wins over the query."),
    ),
    responses(
        (
            status = 200,
            description = "Events, without end",
            body = String,
            content_type = "text/event-stream",
        ),
        (status = 400, description = "The id is none of ours, or there are too many symbols"),
        (status = 401, description = "The bearer token is not that of a subscription"),
        (status = 404, description = "A ticker is not tracked"),
        (status = 410, description = "The subscription of the token has ended"),
        (status = 429, description = "Too many streams of this network"),
        (status = 503, description = "Too many streams, or the store does not answer"),
    ),
    security((), ("subscription" = []), ("session" = [])),
)]
pub(crate) async fn stream(State(api): State<Api>, request: Request) -> Result<Response, Problem> {
    let query = Query::parse(request.uri().query(), &["symbols", "last_event_id"])?;
    let mut filter = filter(&api, query.get("symbols"))?;
    let asked = asked_for(&request, &query)?;
    let network = Network::from(api.client(&request));
    let permit = api.0.streams.gate.enter(Some(network)).map_err(turned_away)?;
    let holder = holder_of(&api, request.headers()).await?;
    if let Some(holder) = holder {
        filter.own = holder.held(&api).await?.unwrap_or_default();
    }
    let start = match asked {
        Some(place) => Start::resume(&api, place).await?,
        None => Start::Now,
    };
    let stop = request.extensions().get::<Stopping>().cloned().unwrap_or_default();
    let reader = Reader::new(api, filter, holder, start, permit, stop.0);
    let mut response = Response::new(Body::from_stream(reader.chunks()));
    response.extensions_mut().insert(Endless);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx would gather events before it passes them on.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

/// The id to go on after. The header is what browsers send when they connect again; at first they can only
/// write it into the address.
fn asked_for(request: &Request, query: &Query) -> Result<Option<ChangeCursor>, Problem> {
    let unusable = |name| invalid(name, "must be the id of an event of this stream");
    let header = request.headers().get("last-event-id").filter(|value| !value.is_empty());
    let (name, text) = match header {
        Some(value) => ("Last-Event-ID", value.to_str().map_err(|_| unusable("Last-Event-ID"))?),
        None => match query.get("last_event_id") {
            Some(text) => ("last_event_id", text),
            None => return Ok(None),
        },
    };
    text.parse().map(|EventId(place)| Some(place)).map_err(|_| unusable(name))
}

fn turned_away(full: Full) -> Problem {
    match full {
        Full::Network => Problem::too_many_streams(COME_BACK),
        Full::All => Problem::unavailable("streams_full", "all streams are taken", COME_BACK),
    }
}

/// `AAPL,fb`: which symbols a stream is about.
fn filter(api: &Api, symbols: Option<&str>) -> Result<Filter, Problem> {
    let Some(text) = symbols else { return Ok(Filter::default()) };
    let most = api.0.config.limits.streams.symbols;
    let names: Vec<&str> =
        text.split(',').map(str::trim).filter(|name| !name.is_empty()).take(most + 1).collect();
    if names.is_empty() || names.len() > most {
        return Err(invalid("symbols", &format!("must name 1 to {most} symbols, with commas between")));
    }
    let resolve = |name: &str| api.tracked(name).ok_or_else(|| Problem::not_tracked(name));
    let symbols: Arc<[Symbol]> = names.into_iter().map(resolve).collect::<Result<_, _>>()?;
    Ok(Filter { symbols: Some(symbols), own: Arc::default() })
}

/// Whose alerts a stream carries beside those that anybody may have. A cookie goes along with every request:
/// one of a session that has ended is none.
async fn holder_of(api: &Api, headers: &HeaderMap) -> Result<Option<Holder>, Problem> {
    if !headers.contains_key(header::AUTHORIZATION) {
        let reader = session::reader(api, headers).await?;
        return Ok(reader.map(|reader| Holder::Session(reader.token())));
    }
    let (token, subscription) = bearer(api, headers).await?.ok_or_else(unauthorized)?;
    if subscription.status.has_ended() {
        return Err(ended());
    }
    Ok(Some(Holder::Subscription(token.hash())))
}
