//! A running tracker in a terminal: the watchlist with what is most unusual first, the newest alerts, and one
//! symbol's chart, kept current by the server's stream.
//!
//! ```text
//! api      what is asked of a server, and its shapes
//! events   the stream's events, read off its bytes
//! market   what is known, and what changes it
//! keys     what a key means
//! view     what is looked at: which list, which symbol, which interval
//! screen   what is drawn
//! terminal the loop around all of it
//! ```

mod api;
mod events;
mod keys;
mod market;
mod screen;
mod terminal;
mod view;

pub use api::TopError;
pub use terminal::run;
