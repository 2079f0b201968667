//! Events as they travel: written once, shared by every stream that sends them.

use super::id::EventId;
use crate::dto::market::{BarEventOut, StatisticsEventOut};
use crate::read_model::session_filter::SessionFilter;
use crate::read_model::snapshot::Snapshot;
use bytes::{Bytes, BytesMut};
use qqq_contract::AlertOut;
use qqq_core::subscription::Subscription;
use qqq_core::{Calendar, Metric, RuleName, Second, Symbol};
use qqq_store::{Audience, ChangeCursor, Row, Stamped};
use serde::Serialize;
use std::mem;
use std::sync::Arc;
use tokio::time::Instant;

/// Bytes of a chunk after which another begins: what a stream hands to its connection at a time.
pub(super) const CHUNK: usize = 16 * 1024;

/// Some events in the order of their places, ready to be sent.
#[derive(Debug)]
pub(crate) struct EventChunk {
    events: Box<[Event]>,
    frames: Bytes,
    /// Whether anybody may have all of it.
    public: bool,
    /// The place of the last of them.
    pub(super) end: ChangeCursor,
    /// When it could be sent first.
    pub(super) published_at: Instant,
}

#[derive(Debug)]
struct Event {
    place: ChangeCursor,
    symbol: Symbol,
    /// What of an own rule's alert tells whose it is; `None` where anybody may have it.
    private: Option<Box<(Metric, RuleName, Second)>>,
    /// Where its frame ends; it begins where the one before ends.
    end: usize,
}

/// What of a chunk a stream sends.
pub(super) struct Cut {
    pub(super) frames: Bytes,
    pub(super) events: u64,
    pub(super) last: ChangeCursor,
}

/// What a stream is about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// These symbols; all where there are none.
    pub(crate) symbols: Option<Arc<[Symbol]>>,
    /// Also the alerts of these subscriptions' own rules.
    pub(crate) own: Arc<[Subscription]>,
}

impl Filter {
    fn takes(&self, event: &Event) -> bool {
        let Event { symbol, private, .. } = event;
        let is_mine = private.as_deref().is_none_or(|&(metric, rule, start)| {
            self.own.iter().any(|own| own.reads(*symbol, metric, rule, start))
        });
        is_mine && self.symbols.as_ref().is_none_or(|symbols| symbols.contains(symbol))
    }

    /// Who reads such a stream.
    pub(super) fn audience(&self) -> Audience<'_> {
        if self.own.is_empty() { Audience::Everybody } else { Audience::Subscriber(&self.own) }
    }
}

impl EventChunk {
    fn of(events: Vec<Event>, frames: Vec<u8>, published_at: Instant) -> Option<Self> {
        let end = events.last()?.place;
        // Held for long, and counted by its length.
        let (events, frames) = (events.into_boxed_slice(), frames.into_boxed_slice().into());
        let public = events.iter().all(|event: &Event| event.private.is_none());
        Some(Self { events, frames, public, end, published_at })
    }

    /// The events after a place that pass the filter; `None` where there are none.
    pub(super) fn cut(&self, after: ChangeCursor, filter: &Filter) -> Option<Cut> {
        let first = self.events.partition_point(|event| event.place <= after);
        let begin = |index: usize| index.checked_sub(1).map_or(0, |before| self.events[before].end);
        if self.public && filter.symbols.is_none() {
            let last = self.events[first..].last()?.place;
            let frames = self.frames.slice(begin(first)..);
            return Some(Cut { frames, events: (self.events.len() - first) as u64, last });
        }
        let (mut frames, mut events, mut last) = (BytesMut::new(), 0, None);
        for (index, event) in self.events.iter().enumerate().skip(first) {
            if filter.takes(event) {
                frames.extend_from_slice(&self.frames[begin(index)..event.end]);
                events += 1;
                last = Some(event.place);
            }
        }
        last.map(|last| Cut { frames: frames.freeze(), events, last })
    }

    /// What it takes of memory, about.
    pub(super) fn size(&self) -> usize {
        let private = self.events.iter().filter(|event| event.private.is_some()).count();
        size_of::<Self>()
            + self.frames.len()
            + self.events.len() * size_of::<Event>()
            + private * size_of::<(Metric, RuleName, Second)>()
    }
}

/// Writes events of what is tracked.
#[derive(Clone)]
pub(crate) struct Writer {
    pub(crate) calendar: Arc<Calendar>,
}

impl Writer {
    /// The events of rows that are in the order of their places, in chunks of about `size` bytes: of what is
    /// tracked and counts, so that events say nothing that no other answer says. No chunk is empty.
    pub(super) fn chunks(&self, rows: &[Stamped<Row>], snapshot: &Snapshot, size: usize) -> Vec<EventChunk> {
        let mut filter = SessionFilter::of(&self.calendar);
        let mut chunks = Vec::new();
        let mut events: Vec<Event> = Vec::new();
        let mut frames: Vec<u8> = Vec::new();
        let published_at = Instant::now();
        for row in rows {
            let place = row.place();
            if frames.len() >= size {
                chunks.extend(EventChunk::of(mem::take(&mut events), mem::take(&mut frames), published_at));
            }
            if let Some(symbol) = self.write(row, place, &mut filter, snapshot, &mut frames) {
                let private = match &row.row {
                    Row::Alert(alert) if !alert.is_public() => {
                        Some(Box::new((alert.metric, alert.rule.name(), alert.start)))
                    }
                    _ => None,
                };
                events.push(Event { place, symbol, private, end: frames.len() });
            }
        }
        chunks.extend(EventChunk::of(events, frames, published_at));
        chunks
    }

    fn write(
        &self,
        row: &Stamped<Row>,
        place: ChangeCursor,
        filter: &mut SessionFilter<'_>,
        snapshot: &Snapshot,
        frames: &mut Vec<u8>,
    ) -> Option<Symbol> {
        let symbol = match &row.row {
            Row::Bar(record) => record.bar.symbol,
            Row::Statistics(statistics) => statistics.symbol,
            Row::Alert(alert) => alert.symbol,
        };
        let ticker = snapshot.tickers.get(snapshot.watchlist.list.id(symbol)?)?;
        match &row.row {
            Row::Bar(record) => {
                filter.counts(record.bar.start).then_some(())?;
                frame(frames, place, "bar", &BarEventOut::from(record));
            }
            Row::Statistics(statistics) => {
                frame(frames, place, "stats", &StatisticsEventOut::new(statistics, ticker));
            }
            Row::Alert(alert) => frame(frames, place, "alert", &AlertOut::from(alert)),
        }
        Some(symbol)
    }
}

fn frame(frames: &mut Vec<u8>, place: ChangeCursor, name: &str, data: &impl Serialize) {
    frames.extend_from_slice(format!("id: {}\nevent: {name}\ndata: ", EventId(place)).as_bytes());
    // Shapes hold plain fields and finite numbers: they always serialise, on one line.
    let _ = serde_json::to_writer(&mut *frames, data);
    frames.extend_from_slice(b"\n\n");
}
