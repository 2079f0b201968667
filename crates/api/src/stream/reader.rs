//! One stream: a place, and what its client gets next.

use super::Streams;
use super::id::EventId;
use super::lot::{Cut, Filter, Lot};
use super::ring::Next;
use crate::gate::Seat;
use crate::{Api, lock};
use bytes::Bytes;
use futures_util::{Stream, stream};
use qqq_core::token::{Purpose, TokenHash};
use qqq_store::{Place, Sequence, StoreError};
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
pub(super) enum Start {
    /// With what comes from now on.
    Now,
    /// After what the client has seen.
    After(Place),
    /// From now on, though the client asked for more: why it cannot have that.
    Anew(&'static str),
}

/// Why a stream was ended from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// The server stops.
    Stopping,
    /// The client takes less than there is, for too long.
    Slow,
    /// The store does not answer.
    Store,
    /// The subscription whose token it was opened with is over.
    Unsubscribed,
}

impl Ended {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Stopping => "stopping",
            Self::Slow => "slow",
            Self::Store => "store",
            Self::Unsubscribed => "unsubscribed",
        }
    }
}

/// A stream. It has no queue: what it sends next is found when its connection has room.
pub(super) struct Reader {
    api: Api,
    filter: Filter,
    /// Of the subscription whose alerts it carries too, and when that was last looked at.
    own: Option<(TokenHash, Instant)>,
    /// Everything up to here has been sent, or does not pass the filter.
    place: Place,
    /// The newest id sent.
    told: Place,
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
    _seat: Seat,
}

impl Reader {
    pub(super) fn new(
        api: Api,
        filter: Filter,
        own: Option<TokenHash>,
        start: Start,
        seat: Seat,
        stop: CancellationToken,
    ) -> Self {
        let news = api.0.streams.news.subscribe();
        let (head, status) = lock(&api.0.streams.ring).head();
        let now = Place::end_of(head);
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
            own: own.map(|token| (token, at)),
            place,
            told: place,
            status: told_status,
            current_at: at,
            beat_at: at,
            opening,
            over: false,
            news,
            stop,
            _seat: seat,
        }
    }

    /// What the client gets, piece by piece.
    pub(super) fn chunks(self) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
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
            if let Err(why) = self.look_at_subscription().await {
                return Some(self.end(why));
            }
            self.news.borrow_and_update();
            let next = lock(&streams.ring).after(self.place);
            match next {
                Next::Lot(lot) => {
                    self.current_at = self.current_at.max(lot.published_at);
                    if self.is_slow() {
                        return Some(self.end(Ended::Slow));
                    }
                    let sent = self.send(&lot);
                    self.place = lot.end;
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
                        Ok((lot, end)) => {
                            let sent = lot.and_then(|lot| self.send(&lot));
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
                    self.place = self.place.max(Place::end_of(head));
                    if self.status != status.number {
                        self.status = status.number;
                        // Everything up to here has been sent: the client may go on from here, whatever little of
                        // it passed its filter.
                        let id = self.told < self.place && self.place == Place::end_of(head);
                        if id {
                            self.told = self.place;
                        }
                        return Some(status.frame(head, id).into());
                    }
                    tokio::select! {
                        biased;
                        () = self.stop.cancelled() => {}
                        _ = self.news.changed() => {}
                        () = tokio::time::sleep_until(self.beat_at) => return Some(Bytes::from_static(b":\n\n")),
                    }
                    self.current_at = Instant::now();
                }
            }
        }
    }

    /// Learns of the subscription what has changed, where the last look is a while ago.
    async fn look_at_subscription(&mut self) -> Result<(), Ended> {
        let Some((token, looked_at)) = &mut self.own else { return Ok(()) };
        if looked_at.elapsed() < TRUSTED {
            return Ok(());
        }
        *looked_at = Instant::now();
        let found = self.api.0.store.subscription_of(Purpose::Manage, token).await.map_err(|error| {
            tracing::warn!(%error, "a stream ends: its subscription could not be read");
            Ended::Store
        })?;
        match found.filter(|subscription| !subscription.status.has_ended()) {
            Some(subscription) => self.filter.own = Some(Arc::new(subscription)),
            None => return Err(Ended::Unsubscribed),
        }
        Ok(())
    }

    /// What the client gets of a lot.
    fn send(&mut self, lot: &Lot) -> Option<Bytes> {
        let Cut { frames, events, last } = lot.cut(self.place, &self.filter)?;
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
        self.api.0.metrics.stream_ended(why.as_str());
        retry().into()
    }
}

impl Streams {
    /// What the store holds after a place, up to a commit: the next page of it, and where that ends.
    async fn older(
        &self,
        api: &Api,
        after: Place,
        upto: Sequence,
        filter: &Filter,
    ) -> Result<(Option<Lot>, Place), StoreError> {
        let rows = {
            // Never closed.
            let _turn = self.reading.acquire().await;
            api.0.store.rows_after(after, upto, PAGE, filter.audience()).await?
        };
        let end = match rows.last() {
            Some(last) if rows.len() == PAGE => last.place(),
            _ => Place::end_of(upto),
        };
        Ok((self.writer.lots(&rows, &api.snapshot(), usize::MAX).pop(), end))
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
    let id = EventId(Place::end_of(head));
    format!("id: {id}\nevent: reset\ndata: {{\"reason\":\"{reason}\",\"sequence\":{}}}\n\n", head.0)
}
