//! The newest events, held once for all streams.

use super::chunk::EventChunk;
use crate::dto::market::StatusOut;
use qqq_store::{ChangeCursor, Sequence};
use std::collections::VecDeque;
use std::sync::Arc;

/// What the newest commits brought, up to a size; older events are in the store.
#[derive(Debug)]
pub(super) struct Ring {
    chunks: VecDeque<Arc<EventChunk>>,
    size: usize,
    most: usize,
    /// All events after this place are here.
    from: ChangeCursor,
    /// The newest commit that readers see.
    head: Sequence,
    shape: StatusOut,
    status: Status,
}

/// How things stand.
#[derive(Clone, Debug)]
pub(super) struct Status {
    /// JSON without its first brace: the sequence goes before it.
    rest: Arc<str>,
    /// Counts how often it changed.
    pub(super) number: u64,
}

/// What comes after a place.
pub(super) enum Next {
    /// These, and perhaps more.
    EventChunk(Arc<EventChunk>),
    /// What only the store still holds, up to this commit.
    Older(Sequence),
    /// Nothing before the next commit.
    Nothing(Sequence, Status),
}

impl Ring {
    pub(super) fn new(most: usize, head: Sequence, shape: StatusOut) -> Self {
        let (from, status) = (ChangeCursor::end_of(head), Status::new(&shape, 1));
        Self { chunks: VecDeque::new(), size: 0, most, from, head, shape, status }
    }

    /// What comes after a place.
    pub(super) fn after(&self, place: ChangeCursor) -> Next {
        if place < self.from {
            return Next::Older(self.head);
        }
        let seen = self.chunks.partition_point(|chunk| chunk.end <= place);
        match self.chunks.get(seen) {
            Some(chunk) => Next::EventChunk(Arc::clone(chunk)),
            None => Next::Nothing(self.head, self.status.clone()),
        }
    }

    /// Whether everything after a place is here.
    pub(super) fn reaches(&self, place: ChangeCursor) -> bool {
        place >= self.from
    }

    pub(super) fn head(&self) -> (Sequence, Status) {
        (self.head, self.status.clone())
    }

    /// Takes in what commits up to `head` brought. Forgets the oldest where it becomes too much.
    pub(super) fn push(&mut self, chunks: Vec<EventChunk>, head: Sequence, shape: StatusOut) {
        for chunk in chunks {
            self.size += chunk.size();
            self.chunks.push_back(Arc::new(chunk));
            while self.size > self.most
                && let Some(oldest) = self.chunks.pop_front()
            {
                self.size -= oldest.size();
                self.from = oldest.end;
            }
        }
        self.head = self.head.max(head);
        if self.shape != shape {
            self.status = Status::new(&shape, self.status.number + 1);
            self.shape = shape;
        }
    }
}

impl Status {
    fn new(shape: &StatusOut, number: u64) -> Self {
        // Plain texts and numbers always serialise.
        let text = serde_json::to_string(shape).unwrap_or_else(|_| "{}".to_owned());
        Self { rest: text[1..].into(), number }
    }

    /// The event, as of a commit. `id` where the stream has sent everything up to that.
    pub(super) fn frame(&self, head: Sequence, id: bool) -> String {
        let (Sequence(sequence), rest) = (head, &self.rest);
        let id = if id { format!("id: {sequence}\n") } else { String::new() };
        format!("{id}event: status\ndata: {{\"sequence\":{sequence},{rest}\n\n")
    }
}
