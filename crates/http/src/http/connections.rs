//! The open connections: how many there are, whose they are, and which of them make way for a new one.
//!
//! A connection that has no request under way costs its place and nothing else. When all places are taken,
//! the one that has waited longest makes way: first of those that never sent a whole request, then of those
//! between two requests. So half-open connections, however many and from wherever, cannot hold every place.

use crate::http::client::Network;
use crate::http::gate::{Full, Gate, Permit};
use crate::lock::lock;
use axum::body::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use prometheus_client::metrics::gauge::Gauge;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The waiting state of a connection that has a request under way.
const BUSY: u64 = u64::MAX;
/// The waiting state of a connection that has to go.
const LEAVING: u64 = u64::MAX - 1;
/// Set in the waiting state of a connection that has had an answer: those that never asked make way first.
const SERVED: u64 = 1 << 63;

type Open = Mutex<HashMap<u64, Arc<State>>>;

/// Counts connections and finds the one that makes way.
pub(crate) struct Connections {
    gate: Gate,
    open: Arc<Open>,
    /// Names of connections, never used twice.
    next: AtomicU64,
    began: Instant,
}

/// What one connection is doing.
struct State {
    /// [`BUSY`], [`LEAVING`], or since when it waits for its peer: microseconds since `began`, with
    /// [`SERVED`].
    waits: AtomicU64,
    began: Instant,
    /// Ends the connection.
    leave: CancellationToken,
    /// Cancelled when it has ended.
    gone: CancellationToken,
}

/// The place of one connection; given back when dropped.
pub(crate) struct Place {
    name: u64,
    open: Arc<Open>,
    state: Arc<State>,
    _seat: Permit,
    /// The last to go: by then the place is free.
    _gone: DropGuard,
}

/// Tells what a connection's requests are doing.
#[derive(Clone)]
pub(crate) struct Activity(Arc<State>);

impl Connections {
    pub(crate) fn new(most: usize, most_per_network: usize, open: Gauge) -> Self {
        let gate = Gate::new(most, most_per_network, open);
        Self { gate, open: Arc::default(), next: AtomicU64::new(0), began: Instant::now() }
    }

    /// A place for one more connection. Where all are taken, one that waits for its peer makes way.
    pub(crate) async fn enter(&self, network: Option<Network>) -> Result<Place, Full> {
        let permit = match self.gate.enter(network) {
            Err(Full::All) => {
                let longest = self.longest_waiting().ok_or(Full::All)?;
                longest.leave.cancel();
                longest.gone.cancelled().await;
                self.gate.enter(network)?
            }
            entered => entered?,
        };
        let gone = CancellationToken::new();
        let state = Arc::new(State {
            waits: AtomicU64::new(micros(self.began)),
            began: self.began,
            leave: CancellationToken::new(),
            gone: gone.clone(),
        });
        let name = self.next.fetch_add(1, Ordering::Relaxed);
        lock(&self.open).insert(name, Arc::clone(&state));
        Ok(Place { name, open: Arc::clone(&self.open), state, _seat: permit, _gone: gone.drop_guard() })
    }

    /// The connection that makes way, taken out of the choice of others.
    fn longest_waiting(&self) -> Option<Arc<State>> {
        let open = lock(&self.open);
        loop {
            let waiting = open.values().map(|state| (state.waits.load(Ordering::Relaxed), state));
            let (since, state) =
                waiting.filter(|(since, _)| *since < LEAVING).min_by_key(|(since, _)| *since)?;
            // Lost where its request arrived just now.
            if state.waits.compare_exchange(since, LEAVING, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                return Some(Arc::clone(state));
            }
        }
    }
}

impl Place {
    pub(crate) fn activity(&self) -> Activity {
        Activity(Arc::clone(&self.state))
    }

    /// Waits until the connection has to make way.
    pub(crate) async fn has_to_leave(&self) {
        self.state.leave.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.open).remove(&self.name);
    }
}

impl Activity {
    /// A whole request is there.
    fn begin(&self) {
        self.change(BUSY);
    }

    /// The answer was given.
    fn rest(&self) {
        self.change(micros(self.0.began) | SERVED);
    }

    /// A connection that has to leave stays one.
    fn change(&self, to: u64) {
        let changed = |now| (now != LEAVING).then_some(to);
        let _ = self.0.waits.fetch_update(Ordering::Relaxed, Ordering::Relaxed, changed);
    }

    /// The request's body, at whose end the request is whole.
    pub(crate) fn request<B: Body>(&self, body: B) -> Arriving<B> {
        if body.is_end_stream() {
            self.begin();
        }
        Arriving { body, activity: self.clone() }
    }

    /// The answer's body, at whose end the connection waits again.
    pub(crate) fn answer<B: Body>(&self, body: B) -> Leaving<B> {
        self.begin();
        Leaving { body, _resting: Resting(self.clone()) }
    }
}

/// A request's body.
pub(crate) struct Arriving<B> {
    body: B,
    activity: Activity,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Arriving<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if frame.is_none() || self.body.is_end_stream() {
            self.activity.begin();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body.
pub(crate) struct Leaving<B> {
    body: B,
    _resting: Resting,
}

struct Resting(Activity);

impl Drop for Resting {
    fn drop(&mut self) {
        self.0.rest();
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Leaving<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn micros(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_micros()).unwrap_or(0) & !SERVED
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body as AnyBody;

    fn connections(most: usize) -> Connections {
        Connections::new(most, 100, Gauge::default())
    }

    /// Ends its connection as soon as it is asked to.
    fn obedient(place: Place) -> tokio::task::JoinHandle<()> {
        tokio::spawn(async move { place.has_to_leave().await })
    }

    #[tokio::test]
    async fn who_never_asked_makes_way_before_who_was_answered_and_nobody_under_way_does() {
        let connections = connections(3);
        let answered = connections.enter(None).await.unwrap();
        drop(answered.activity().answer(AnyBody::empty()));
        let (silent, asking) =
            (connections.enter(None).await.unwrap(), connections.enter(None).await.unwrap());
        let request = asking.activity().request(AnyBody::empty());

        let (answered, silent) = (obedient(answered), obedient(silent));
        let newer = connections.enter(None).await.unwrap();
        silent.await.unwrap();
        assert!(!answered.is_finished());
        let _asks = newer.activity().request(AnyBody::empty());
        let newest = connections.enter(None).await.unwrap();
        answered.await.unwrap();
        let _asks = newest.activity().request(AnyBody::empty());
        assert_eq!(connections.enter(None).await.err(), Some(Full::All));

        drop(asking.activity().answer(AnyBody::empty()));
        drop(request);
        let rested = obedient(asking);
        assert!(connections.enter(None).await.is_ok());
        rested.await.unwrap();
    }

    #[tokio::test]
    async fn a_request_whose_body_does_not_come_counts_as_silence() {
        let connections = connections(1);
        let place = connections.enter(None).await.unwrap();
        let _request = place.activity().request(AnyBody::from("all of it"));
        let place = obedient(place);
        assert!(connections.enter(None).await.is_ok());
        place.await.unwrap();
    }

    #[tokio::test]
    async fn a_network_with_all_its_places_sends_nobody_away() {
        let connections = Connections::new(2, 1, Gauge::default());
        let network = Some(Network::from(std::net::IpAddr::from([192, 0, 2, 1])));
        let _first = connections.enter(network).await.unwrap();
        let _other = connections.enter(None).await.unwrap();
        assert_eq!(connections.enter(network).await.err(), Some(Full::Network));
    }
}
