//! A topic of an ntfy server (<https://docs.ntfy.sh/publish/>): the text as the body, the rest in headers.
//!
//! Plain text, so nothing is markup. The sequence id is the delivery's: from version 2.16 on, a repeat takes the place of
//! the first instead of standing beside it.

use super::{Body, Note, fitting};
use crate::DeliveryError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use qqq_core::delivery::DeliveryId;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

/// Longest message in bytes: a longer one becomes a file.
const MAX_MESSAGE: usize = 4096;

pub(super) fn message(note: &Note, id: DeliveryId) -> Result<Body, DeliveryError> {
    let links: Vec<_> = note.links.iter().map(|link| format!("{}: {}", link.label, link.url)).collect();
    let links = links.join("\n");
    // The links come whole; text is what may be cut.
    let room = MAX_MESSAGE.saturating_sub(links.len() + 2);
    let mut text = note.paragraphs.join("\n\n");
    if !note.items.is_empty() {
        text.push_str("\n\n");
        text.push_str(&fitting(&note.items, room.saturating_sub(text.len()), str::len));
    }
    text.truncate(text.floor_char_boundary(room));

    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    let click = note.links.first().map(|link| link.url.as_str()).unwrap_or_default();
    for (name, value) in [
        ("x-title", &*encoded(&note.title)),
        ("x-click", click),
        ("x-tags", note.tag),
        ("x-sequence-id", &id.to_string()),
    ] {
        let value = HeaderValue::from_str(value)
            .map_err(|error| DeliveryError::retry(format!("the message cannot be made: {name}: {error}")))?;
        headers.insert(HeaderName::from_static(name), value);
    }
    Ok(Body { headers, bytes: format!("{text}\n\n{links}").into_bytes() })
}

/// A header's value: as it is, or encoded (RFC 2047) where it is not printable ASCII.
fn encoded(text: &str) -> String {
    if text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        return text.to_owned();
    }
    format!("=?UTF-8?B?{}?=", STANDARD.encode(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::body::Link;
    use qqq_core::subscription::SubscriptionId;

    #[test]
    fn a_title_adds_no_header_and_a_long_text_leaves_the_links_whole() {
        let note = Note {
            title: "NVDA\r\nx-email: evil@example.com ü".to_owned(),
            paragraphs: vec!["ü".repeat(9000)],
            items: Vec::new(),
            links: vec![Link { label: "Confirm".to_owned(), url: "https://a.example/confirm".to_owned() }],
            tag: "bell",
        };
        let id = DeliveryId::of_confirmation(SubscriptionId::from_random([1; 16]), 1);
        let Body { headers, bytes } = message(&note, id).unwrap();
        let mut names: Vec<_> = headers.keys().map(|name| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-type", "x-click", "x-sequence-id", "x-tags", "x-title"]);
        assert_eq!(headers["x-title"], "=?UTF-8?B?TlZEQQ0KeC1lbWFpbDogZXZpbEBleGFtcGxlLmNvbSDDvA==?=");
        assert_eq!(headers["x-sequence-id"], id.to_string().as_str());
        assert!(bytes.len() <= MAX_MESSAGE);
        assert!(String::from_utf8(bytes).unwrap().ends_with("\n\nConfirm: https://a.example/confirm"));
    }
}
