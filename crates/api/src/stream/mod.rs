//! `GET /v1/stream`: what is committed, as server-sent events, soon after it was.
//!
//! Events are rows as they were last written, in the order of their places (`id`); what was written again moves
//! to its new place. They are written once, into lots (`lot`) that a ring of bounded size holds for all streams
//! (`ring`). A stream (`reader`) is no more than the place it has come to: what the ring no longer holds it reads
//! from the store, a page at a time and only as fast as its client takes it. Nobody has a queue.

mod id;
mod lot;
mod reader;
mod ring;

pub(crate) use lot::Writer;

use crate::client::Network;
use crate::gate::{Full, Gate};
use crate::original::not_tracked;
use crate::problem::Problem;
use crate::query::{Query, invalid};
use crate::shape::StatusOut;
use crate::snapshot::Snapshot;
use crate::subscriptions::{ended, unauthorized};
use crate::{Api, StreamLimits, lock, metrics::Metrics};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use id::EventId;
use lot::{Filter, LOT};
use qqq_core::Symbol;
use qqq_core::subscription::Subscription;
use qqq_core::token::TokenHash;
use qqq_store::{Changes, Place, Sequence};
use reader::{Reader, Start};
use ring::Ring;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

/// Streams that read the store at the same time: its other readers must not wait for them.
const READING: usize = 2;
/// For whoever was turned away because there are too many streams.
const COME_BACK: Duration = Duration::from_secs(30);

/// The header of answers that says which stream goes on where they end.
const POSITION: HeaderName = HeaderName::from_static("stream-position");

/// Told when the server stops. Put into requests by the server, never by the client.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stopping(pub(crate) CancellationToken);

/// Put into answers that end only when their stream does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endless;

/// What all streams share.
pub(crate) struct Streams {
    ring: Mutex<Ring>,
    /// Marked as changed when there is something new in the ring.
    news: watch::Sender<()>,
    gate: Gate,
    reading: Semaphore,
    writer: Writer,
}

impl Streams {
    pub(crate) fn new(writer: Writer, snapshot: &Snapshot, limits: &StreamLimits, metrics: &Metrics) -> Self {
        let gate = Gate::new(limits.open, limits.open_per_network, metrics.streams().clone());
        Self {
            ring: Mutex::new(Ring::new(limits.ring, snapshot.sequence, StatusOut::from(snapshot))),
            news: watch::Sender::new(()),
            gate,
            reading: Semaphore::new(READING),
            writer,
        }
    }

    /// Sends what was committed. Called once `snapshot`, which contains it, is what readers see: whoever hears
    /// of something finds it.
    pub(crate) fn publish(&self, changes: Changes, snapshot: &Snapshot) {
        let lots = self.writer.lots(&changes.into_rows(), snapshot, LOT);
        lock(&self.ring).push(lots, snapshot.sequence, StatusOut::from(snapshot));
        self.news.send_replace(());
    }
}

/// `GET /v1/stream`.
#[utoipa::path(
    get,
    path = "/v1/stream",
    tag = "symbols",
    operation_id = "stream",
    summary = "What is committed, as server-sent events",
    description = "Events `bar`, `stats`, `alert`, `status` and `reset`; data is JSON on one line. Ids rise and are opaque. After \
        an id comes everything that changed since, once, as it is now. `retry:` comes first and last; a comment every 15 \
        seconds when it is quiet. `reset` says that the stream cannot go on where it was asked to: load anew. Alerts are those \
        of the house's rules, and with the token of a subscription also those of its own rule; such a stream ends soon after \
        the subscription.",
    params(
        ("symbols" = Option<String>, Query, description = "Only of these: 1 to 100 tickers, between commas.", example = "META,NVDA"),
        ("last_event_id" = Option<String>, Query, description = "Go on after this event: an id, or the `Stream-Position` of an answer."),
        ("Last-Event-ID" = Option<String>, Header, description = "The same; wins over the query."),
    ),
    responses(
        (status = 200, description = "Events, without end", body = String, content_type = "text/event-stream"),
        (status = 400, description = "The id is none of ours, or there are too many symbols"),
        (status = 401, description = "The bearer token is not that of a subscription"),
        (status = 404, description = "A ticker is not tracked"),
        (status = 410, description = "The subscription of the token has ended"),
        (status = 429, description = "Too many streams of this network"),
        (status = 503, description = "Too many streams, or the store does not answer"),
    ),
    security((), ("subscription" = [])),
)]
pub(crate) async fn stream(State(api): State<Api>, request: Request) -> Result<Response, Problem> {
    let query = Query::parse(request.uri().query(), &["symbols", "last_event_id"])?;
    let mut filter = api.filter(query.get("symbols"))?;
    let asked = asked_for(&request, &query)?;
    let network = Network::from(api.client(&request));
    let seat = api.0.streams.gate.enter(Some(network)).map_err(turned_away)?;
    let own = api.own_of(request.headers()).await?;
    filter.own = own.as_ref().map(|(_, subscription)| Arc::clone(subscription));
    let start = match asked {
        Some(place) => api.resume(place).await?,
        None => Start::Now,
    };
    let stop = request.extensions().get::<Stopping>().cloned().unwrap_or_default();
    let reader = Reader::new(api, filter, own.map(|(token, _)| token), start, seat, stop.0);
    let mut response = Response::new(Body::from_stream(reader.chunks()));
    response.extensions_mut().insert(Endless);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx would gather events before it passes them on.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

/// Says in an answer's head which stream goes on where the answer ends: `?last_event_id=` with this misses
/// nothing that is not in the answer, and repeats nothing that is.
pub(crate) fn positioned(mut response: Response, sequence: Sequence) -> Response {
    if let Ok(position) = HeaderValue::try_from(EventId(Place::end_of(sequence)).to_string()) {
        response.headers_mut().insert(POSITION, position);
    }
    response
}

/// The id to go on after. The header is what browsers send when they connect again; at first they can only
/// write it into the address.
fn asked_for(request: &Request, query: &Query) -> Result<Option<Place>, Problem> {
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

impl Api {
    /// `AAPL,fb`: which symbols a stream is about.
    fn filter(&self, symbols: Option<&str>) -> Result<Filter, Problem> {
        let Some(text) = symbols else { return Ok(Filter::default()) };
        let most = self.0.config.limits.streams.symbols;
        let names: Vec<&str> =
            text.split(',').map(str::trim).filter(|name| !name.is_empty()).take(most + 1).collect();
        if names.is_empty() || names.len() > most {
            return Err(invalid("symbols", &format!("must name 1 to {most} symbols, with commas between")));
        }
        let resolve =
            |name: &str| self.tracked(name).map(|(_, symbol)| symbol).ok_or_else(|| not_tracked(name));
        let symbols: Arc<[Symbol]> = names.into_iter().map(resolve).collect::<Result<_, _>>()?;
        Ok(Filter { symbols: Some(symbols), own: None })
    }

    /// The subscription whose alerts a stream carries beside those that anybody may have.
    async fn own_of(&self, headers: &HeaderMap) -> Result<Option<(TokenHash, Arc<Subscription>)>, Problem> {
        if !headers.contains_key(header::AUTHORIZATION) {
            return Ok(None);
        }
        let (token, subscription) = self.bearer(headers).await?.ok_or_else(unauthorized)?;
        if subscription.status.has_ended() {
            return Err(ended());
        }
        Ok(Some((token.hash(), Arc::new(subscription))))
    }

    /// Where a client goes on that has seen everything up to `place`.
    async fn resume(&self, place: Place) -> Result<Start, Problem> {
        let limits = &self.0.config.limits.streams;
        let ((head, _), held) = {
            let ring = lock(&self.0.streams.ring);
            (ring.head(), ring.reaches(place))
        };
        // Another server may have told the client of a commit that this one has not read yet.
        if place.sequence > head && place.sequence > self.0.store.sequence().await? {
            return Ok(Start::Anew("unknown_id"));
        }
        if !held && self.0.store.holds_more_bars(place.sequence, limits.backlog).await? {
            return Ok(Start::Anew("too_far_behind"));
        }
        Ok(Start::After(place))
    }
}
