//! The ids of events: places in the store's history, as text.
//!
//! | text | place |
//! |---|---|
//! | `4711` | after everything of commit 4711 |
//! | `4711.b.1738277940.BRK.B` | the bar of that symbol and start (seconds since 1970) |
//! | `4711.s.BRK.B` | the figures of that symbol |
//! | `4711.a.f781bcc6-15b4-57da-b522-3b1126688157` | that alert |

use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use qqq_core::Second;
use qqq_store::{ChangeCursor, Key, Sequence};
use std::fmt;
use std::str::FromStr;

/// The header of answers that says which stream goes on where they end.
const POSITION: HeaderName = HeaderName::from_static("stream-position");

/// The id of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventId(pub(crate) ChangeCursor);

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ChangeCursor { sequence: Sequence(sequence), key } = self.0;
        match key {
            Key::Bar(symbol, start) => write!(f, "{sequence}.b.{}.{symbol}", start.unix()),
            Key::Statistics(symbol) => write!(f, "{sequence}.s.{symbol}"),
            Key::Alert(id) => write!(f, "{sequence}.a.{id}"),
            Key::End => write!(f, "{sequence}"),
        }
    }
}

/// A text that is no id of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoEventId;

impl FromStr for EventId {
    type Err = NoEventId;

    fn from_str(text: &str) -> Result<Self, NoEventId> {
        let id = parse(text).map(Self).ok_or(NoEventId)?;
        // Only as we write it: no signs, no leading zeros, no lower case.
        if id.to_string() == text && id.0.sequence >= Sequence(0) { Ok(id) } else { Err(NoEventId) }
    }
}

fn parse(text: &str) -> Option<ChangeCursor> {
    let (sequence, key) = match text.split_once('.') {
        None => (text, Key::End),
        Some((sequence, rest)) => {
            let (kind, key) = rest.split_once('.')?;
            let key = match kind {
                "b" => {
                    let (start, symbol) = key.split_once('.')?;
                    Key::Bar(symbol.parse().ok()?, Second::at_unix(start.parse().ok()?)?)
                }
                "s" => Key::Statistics(key.parse().ok()?),
                "a" => Key::Alert(key.parse().ok()?),
                _ => return None,
            };
            (sequence, key)
        }
    };
    Some(ChangeCursor { sequence: Sequence(sequence.parse().ok()?), key })
}

/// Says in an answer's head which stream goes on where the answer ends: `?last_event_id=` with this misses
/// nothing that is not in the answer, and repeats nothing that is.
pub(crate) fn positioned(mut response: Response, sequence: Sequence) -> Response {
    if let Ok(position) = HeaderValue::try_from(EventId(ChangeCursor::end_of(sequence)).to_string()) {
        response.headers_mut().insert(POSITION, position);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use qqq_core::{AlertId, Metric};

    proptest! {
        #[test]
        fn an_id_is_read_back(
            sequence in 0..=i64::MAX,
            symbol in "[A-Z0-9][A-Z0-9.-]{0,11}",
            index in 0..3_600_000_000_i64,
            kind in 0..4,
        ) {
            let (symbol, start) = (symbol.parse().unwrap(), Second::from_unix(index));
            let key = match kind {
                0 => Key::Bar(symbol, start),
                1 => Key::Statistics(symbol),
                2 => Key::Alert(AlertId::derive("spike", symbol, Metric::Price, start)),
                _ => Key::End,
            };
            let id = EventId(ChangeCursor { sequence: Sequence(sequence), key });
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn any_text_is_read_or_refused_and_reads_back(text in "[0-9.bsaBRK+ -]{0,24}|\\PC{0,20}") {
            if let Ok(id) = text.parse::<EventId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    #[test]
    fn what_we_never_wrote_is_refused() {
        for text in [
            "",
            " ",
            "-1",
            "+1",
            "01",
            "1.",
            "1.b",
            "1.b.5",
            "1.b.5.",
            "1.b.x.AAPL",
            "1.b.05.AAPL",
            "1.b.5.aapl",
            "1.s.",
            "1.s. AAPL",
            "1.x.AAPL",
            "1.a.AAPL",
            "9223372036854775808",
            "1\n",
            "1.b.99999999999.AAPL",
        ] {
            assert_eq!(text.parse::<EventId>(), Err(NoEventId), "{text:?}");
        }
    }
}
