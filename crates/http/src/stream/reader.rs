//! One stream: a place, and what its client gets next.

use super::chunk::{Cut, EventChunk, Filter};
use super::id::EventId;
use super::ring::Next;
use super::streams::Streams;
use crate::api::Api;
use crate::http::gate::Permit;
use crate::lock::lock;
use bytes::Bytes;
use futures_util::{Stream, stream};
use qqq_core::subscription::Subscription;
use qqq_core::subscription::token::{Purpose, TokenHash};
use qqq_store::{ChangeCursor, Sequence, StoreError};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Rows that are read from the store at a time.
const PAGE: usize = 128;
/// Milliseconds after which a client is to connect again: so many at least, and up to so many more, so that
/// those that were cut off together do not come back together.
const RETRY: (u32, u32) = (1_000, 4_000);

/// How long a stream goes on by what it knows of its subscription: it may have ended, or have another rule.
const TRUSTED: Duration = Duration::from_secs(15);

/// Where a stream begins.
pub(crate) enum Start {
    /// With what comes from now on.
    Now,
    /// After what the client has seen.
    After(ChangeCursor),
    /// From now on, though the client asked for more: why it cannot have that.
    Anew(&'static str),
}

impl Start {
    /// Where a client goes on that has seen everything up to `place`.
    pub(crate) async fn resume(api: &Api, place: ChangeCursor) -> Result<Self, StoreError> {
        let limits = &api.0.config.limits.streams;
        let ((head, _), held) = {
            let ring = lock(&api.0.streams.ring);
            (ring.head(), ring.reaches(place))
        };
        // Another server may have told the client of a commit that this one has not read yet.
        if place.sequence > head && place.sequence > api.0.store.sequence().await? {
            return Ok(Self::Anew("unknown_id"));
        }
        if !held && api.0.store.holds_more_bars(place.sequence, limits.backlog).await? {
            return Ok(Self::Anew("too_far_behind"));
        }
        Ok(Self::After(place))
    }
}

/// Whose own alerts a stream carries beside those that anybody may have.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Holder {
    /// Whoever holds the token of a subscription.
    Subscription(TokenHash),
    /// Whoever is signed in with a session.
    Session(TokenHash),
}

impl Holder {
    /// The subscriptions whose alerts these are; `None` where the subscription or the session is over.
    pub(crate) async fn held(self, api: &Api) -> Result<Option<Arc<[Subscription]>>, StoreError> {
        match self {
            Self::Subscription(token) => {
                let found = api.0.store.subscription_of(Purpose::Manage, &token).await?;
                let held = found.filter(|subscription| !subscription.status.has_ended());
                Ok(held.map(|subscription| Arc::from([subscription])))
            }
            Self::Session(token) => {
                let Some(reader) = api.0.accounts.reader(token).await? else { return Ok(None) };
                Ok(Some(api.0.accounts.active(&reader).await?.into()))
            }
        }
    }
}

/// Why a stream was ended from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
enum Ended {
    /// The server stops.
    Stopping,
    /// The client takes less than there is, for too long.
    Slow,
    /// The store does not answer.
    Store,
    /// The subscription or session that it was opened with is over.
    Unsubscribed,
}

/// A stream. It has no queue: what it sends next is found when its connection has room.
pub(crate) struct Reader {
    api: Api,
    filter: Filter,
    /// Whose own alerts it carries too, and when that was last looked at.
    holder: Option<(Holder, Instant)>,
    /// Everything up to here has been sent, or does not pass the filter.
    place: ChangeCursor,
    /// The newest id sent.
    told: ChangeCursor,
    /// Which status was sent last.
    status: u64,
    /// When it last was where everything had been sent: how long it has been behind since.
    current_at: Instant,
    /// When a sign of life is due.
    beat_at: Instant,
    /// Sent before anything else.
    opening: Option<String>,
    over: bool,
    news: watch::Receiver<()>,
    stop: CancellationToken,
    _permit: Permit,
}

impl Reader {
    pub(crate) fn new(
        api: Api,
        filter: Filter,
        holder: Option<Holder>,
        start: Start,
        permit: Permit,
        stop: CancellationToken,
    ) -> Self {
        let news = api.0.streams.news.subscribe();
        let (head, status) = lock(&api.0.streams.ring).head();
        let now = ChangeCursor::end_of(head);
        let (place, greeting, told_status) = match start {
            Start::Now => (now, status.frame(head, true), status.number),
            // Told how things stand once it has everything.
            Start::After(place) => (place, String::new(), 0),
            Start::Anew(reason) => {
                api.0.metrics.stream_reset(reason);
                (now, reset(head, reason) + &status.frame(head, false), status.number)
            }
        };
        let at = Instant::now();
        let opening = Some(retry() + &greeting);
        Self {
            api,
            filter,
            holder: holder.map(|holder| (holder, at)),
            place,
            told: place,
            status: told_status,
            current_at: at,
            beat_at: at,
            opening,
            over: false,
            news,
            stop,
            _permit: permit,
        }
    }

    /// What the client gets, piece by piece.
    pub(crate) fn chunks(self) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
        stream::unfold(self, |mut reader| async {
            let chunk = reader.next().await?;
            reader.beat_at = Instant::now() + reader.api.0.config.limits.streams.heartbeat;
            Some((Ok(chunk), reader))
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        if self.over {
            return None;
        }
        if let Some(opening) = self.opening.take() {
            return Some(opening.into());
        }
        let api = self.api.clone();
        let streams = &api.0.streams;
        loop {
            // A filter may pass over much: others are to have their turn.
            tokio::task::coop::consume_budget().await;
            if self.stop.is_cancelled() {
                return Some(self.end(Ended::Stopping));
            }
            if let Err(why) = self.look_at_holder().await {
                return Some(self.end(why));
            }
            self.news.borrow_and_update();
            let next = lock(&streams.ring).after(self.place);
            match next {
                Next::EventChunk(chunk) => {
                    self.current_at = self.current_at.max(chunk.published_at);
                    if self.is_slow() {
                        return Some(self.end(Ended::Slow));
                    }
                    let sent = self.send(&chunk);
                    self.place = chunk.end;
                    if sent.is_some() {
                        return sent;
                    }
                }
                Next::Older(upto) => {
                    if self.is_slow() {
                        return Some(self.end(Ended::Slow));
                    }
                    let page = tokio::select! {
                        biased;
                        () = self.stop.cancelled() => return Some(self.end(Ended::Stopping)),
                        page = streams.older(&api, self.place, upto, &self.filter) => page,
                    };
                    match page {
                        Ok((chunk, end)) => {
                            let sent = chunk.and_then(|chunk| self.send(&chunk));
                            self.place = end;
                            if sent.is_some() {
                                return sent;
                            }
                        }
                        Err(error) => {
                            tracing::warn!(%error, "a stream ends: what it had to tell could not be read");
                            return Some(self.end(Ended::Store));
                        }
                    }
                }
                Next::Nothing(head, status) => {
                    self.place = self.place.max(ChangeCursor::end_of(head));
                    if self.status != status.number {
                        self.status = status.number;
                        // Everything up to here has been sent: the client may go on from here, whatever
                        // little of it passed its filter.
                        let id = self.told < self.place && self.place == ChangeCursor::end_of(head);
                        if id {
                            self.told = self.place;
                        }
                        return Some(status.frame(head, id).into());
                    }
                    tokio::select! {
                        biased;
                        () = self.stop.cancelled() => {}
                        _ = self.news.changed() => {}
                        () = tokio::time::sleep_until(self.beat_at) => {
                            return Some(Bytes::from_static(b":\n\n"));
                        }
                    }
                    self.current_at = Instant::now();
                }
            }
        }
    }

    /// Learns of whose alerts it carries what has changed, where the last look is a while ago.
    async fn look_at_holder(&mut self) -> Result<(), Ended> {
        let Some((holder, looked_at)) = &mut self.holder else { return Ok(()) };
        if looked_at.elapsed() < TRUSTED {
            return Ok(());
        }
        *looked_at = Instant::now();
        let held = holder.held(&self.api).await.map_err(|error| {
            tracing::warn!(%error, "a stream ends: whose alerts it carries could not be read");
            Ended::Store
        })?;
        self.filter.own = held.ok_or(Ended::Unsubscribed)?;
        Ok(())
    }

    /// What the client gets of a chunk.
    fn send(&mut self, chunk: &EventChunk) -> Option<Bytes> {
        let Cut { frames, events, last } = chunk.cut(self.place, &self.filter)?;
        self.api.0.metrics.streamed(events);
        self.told = last;
        Some(frames)
    }

    /// Whether it has been behind for too long.
    fn is_slow(&self) -> bool {
        self.current_at.elapsed() > self.api.0.config.limits.streams.lag
    }

    /// The last words.
    fn end(&mut self, why: Ended) -> Bytes {
        self.over = true;
        self.api.0.metrics.stream_ended(why.into_str());
        retry().into()
    }
}

impl Streams {
    /// What the store holds after a place, up to a commit: the next page of it, and where that ends.
    async fn older(
        &self,
        api: &Api,
        after: ChangeCursor,
        upto: Sequence,
        filter: &Filter,
    ) -> Result<(Option<EventChunk>, ChangeCursor), StoreError> {
        let rows = {
            // Never closed.
            let _turn = self.reading.acquire().await;
            api.0.store.rows_after(after, upto, PAGE, filter.audience()).await?
        };
        let end = match rows.last() {
            Some(last) if rows.len() == PAGE => last.place(),
            _ => ChangeCursor::end_of(upto),
        };
        Ok((self.writer.chunks(&rows, &api.snapshot(), usize::MAX).pop(), end))
    }
}

/// Tells the client when to connect again.
fn retry() -> String {
    let (least, more) = RETRY;
    let mut random = [0; 4];
    // Without randomness all come back at once, and are served all the same.
    let _ = getrandom::fill(&mut random);
    format!("retry: {}\n\n", least + u32::from_ne_bytes(random) % more)
}

/// Tells the client that it has missed something and where the stream goes on.
fn reset(head: Sequence, reason: &str) -> String {
    let id = EventId(ChangeCursor::end_of(head));
    format!("id: {id}\nevent: reset\ndata: {{\"reason\":\"{reason}\",\"sequence\":{}}}\n\n", head.0)
}
