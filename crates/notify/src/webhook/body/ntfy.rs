//! A topic of an ntfy server (<https://docs.ntfy.sh/publish/>): the text as the body, the rest in headers.
//!
//! Plain text, so nothing is markup. The sequence id is the delivery's: from version 2.16 on, a repeat takes
//! the place of the first instead of standing beside it.

use super::note::{Link, Note};
use super::request::Body;
use crate::DeliveryError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use qqq_core::delivery::DeliveryId;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::json;

/// Longest message in bytes: a longer one becomes a file.
const MAX_MESSAGE: usize = 4096;

pub(super) fn message(note: &Note, id: DeliveryId) -> Result<Body, DeliveryError> {
    let text = note.plain(None, &note.links, MAX_MESSAGE, str::len);
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    // Buttons of the notification: at most three.
    let view = |link: &Link| json!({"action": "view", "label": link.label, "url": link.url});
    let actions = json!(note.snoozes.iter().map(view).collect::<Vec<_>>()).to_string();
    let actions = (!note.snoozes.is_empty()).then_some(("x-actions", &*actions));
    let click = note.links.first().map(|link| link.url.as_str()).unwrap_or_default();
    let named = [
        ("x-title", &*encoded(&note.title)),
        ("x-click", click),
        ("x-tags", note.tag),
        ("x-sequence-id", &id.to_string()),
    ];
    for (name, value) in named.into_iter().chain(actions) {
        let value = HeaderValue::from_str(value)
            .map_err(|error| DeliveryError::retry(format!("the message cannot be made: {name}: {error}")))?;
        headers.insert(HeaderName::from_static(name), value);
    }
    Ok(Body { headers, bytes: text.into_bytes() })
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
    use qqq_core::subscription::SubscriptionId;

    #[test]
    fn a_title_adds_no_header_and_a_long_text_leaves_the_links_whole() {
        let note = Note {
            title: "NVDA\r\nx-email: evil@example.com ü".to_owned(),
            paragraphs: vec!["ü".repeat(9000)],
            items: Vec::new(),
            links: vec![Link { label: "Confirm".to_owned(), url: "https://a.example/confirm".to_owned() }],
            snoozes: vec![Link {
                label: "Snooze 1 hour".to_owned(),
                url: "https://a.example/snooze".to_owned(),
            }],
            tag: "bell",
        };
        let id = DeliveryId::of_confirmation(SubscriptionId::from_random([1; 16]), 1);
        let Body { headers, bytes } = message(&note, id).unwrap();
        let mut names: Vec<_> = headers.keys().map(|name| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-type", "x-actions", "x-click", "x-sequence-id", "x-tags", "x-title"]);
        assert_eq!(
            headers["x-actions"],
            r#"[{"action":"view","label":"Snooze 1 hour","url":"https://a.example/snooze"}]"#
        );
        assert_eq!(headers["x-title"], "=?UTF-8?B?TlZEQQ0KeC1lbWFpbDogZXZpbEBleGFtcGxlLmNvbSDDvA==?=");
        assert_eq!(headers["x-sequence-id"], id.to_string().as_str());
        assert!(bytes.len() <= MAX_MESSAGE);
        assert!(String::from_utf8(bytes).unwrap().ends_with("\n\nConfirm: https://a.example/confirm"));
    }
}
