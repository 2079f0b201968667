//! What is committed, as server-sent events, soon after it was.
//!
//! Events are rows as they were last written, in the order of their places (`id`); what was written again
//! moves to its new place. They are written once, into chunks (`chunk`) that a ring of bounded size holds for
//! all streams (`ring`). A stream (`reader`) is no more than the place it has come to: what the ring no
//! longer holds it reads from the store, a page at a time and only as fast as its client takes it. Nobody has
//! a queue.

pub(crate) mod chunk;
pub(crate) mod id;
pub(crate) mod reader;
mod ring;
pub(crate) mod streams;
