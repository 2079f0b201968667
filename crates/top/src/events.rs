//! The stream's events, read off its bytes (WHATWG HTML, "Server-sent events").

use serde::Deserialize;

/// An event: its name, its id where it has one, its data.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) data: String,
}

impl Event {
    /// The version of the watchlist, which a `status` tells.
    pub(crate) fn watchlist_version(&self) -> Option<u64> {
        #[derive(Deserialize)]
        struct Told {
            watchlist_version: u64,
        }
        let told: Option<Told> = serde_json::from_str(&self.data).ok();
        told.filter(|_| self.name == "status").map(|told| told.watchlist_version)
    }
}

/// What has come of the stream and is no whole event yet.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    rest: Vec<u8>,
}

/// An event larger than this is none of ours.
const MOST_BYTES: usize = 16 * 1024 * 1024;

impl Reader {
    /// Takes in a piece, cut anywhere, and gives the events that it makes whole. `None` where what comes is
    /// no stream of ours.
    pub(crate) fn take(&mut self, piece: &[u8]) -> Option<Vec<Event>> {
        self.rest.extend_from_slice(piece);
        let mut events = Vec::new();
        while let Some(end) = self.rest.windows(2).position(|two| two == b"\n\n") {
            let block: Vec<u8> = self.rest.drain(..end + 2).collect();
            events.extend(event(std::str::from_utf8(&block).ok()?));
        }
        (self.rest.len() <= MOST_BYTES).then_some(events)
    }
}

fn event(block: &str) -> Option<Event> {
    let mut event = Event::default();
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut event.name),
            "id" => value.clone_into(&mut event.id),
            "data" if event.data.is_empty() => value.clone_into(&mut event.data),
            "data" => event.data = format!("{}\n{value}", event.data),
            // Comments keep the connection; `retry` is for browsers.
            _ => {}
        }
    }
    (!event.data.is_empty()).then_some(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"retry: 2000\n\n: still here\n\nid: 2.b.7.NVDA\nevent: bar\ndata: {\"a\":1}\n\n\
          event: status\ndata: \xc3\xa9\n\n";

    #[test]
    fn a_status_tells_the_version_of_the_watchlist() {
        let of = |name: &str, data: &str| {
            let event = Event { name: name.to_owned(), data: data.to_owned(), ..Event::default() };
            event.watchlist_version()
        };
        assert_eq!(of("status", r#"{"sequence":4,"watchlist_version":2}"#), Some(2));
        for (name, data) in [("status", "{}"), ("status", ""), ("bar", r#"{"watchlist_version":2}"#)] {
            assert_eq!(of(name, data), None, "{name} {data}");
        }
    }

    #[test]
    fn events_are_the_same_wherever_they_are_cut() {
        let whole = Reader::default().take(TEXT).unwrap();
        let names: Vec<_> = whole.iter().map(|one| (&*one.name, &*one.id, &*one.data)).collect();
        assert_eq!(names, [("bar", "2.b.7.NVDA", "{\"a\":1}"), ("status", "", "é")]);
        for size in 1..TEXT.len() {
            let mut reader = Reader::default();
            let events: Vec<Event> =
                TEXT.chunks(size).flat_map(|piece| reader.take(piece).unwrap()).collect();
            assert_eq!(events, whole, "{size}");
        }
    }

    #[test]
    fn what_is_no_stream_is_refused() {
        assert_eq!(Reader::default().take(b"\xff\xff\n\n"), None);
        assert_eq!(Reader::default().take(&vec![b'x'; MOST_BYTES + 1]), None);
    }
}
