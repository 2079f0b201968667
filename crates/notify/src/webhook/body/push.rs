//! What a push says, as our page's worker reads it (`dashboard/public/sw.js`): a notification, where a click
//! on it leads, and at most two buttons.

use super::note::{Link, Note, cut};
use serde_json::{Value, json};

/// Longest title and text, in bytes. With links of a usual length the whole is below 3 kB; push services
/// take 4 kB, encrypted.
const MAX_TITLE: usize = 200;
const MAX_TEXT: usize = 1200;
/// Longest message.
const MAX_MESSAGE: usize = 3072;

/// `tag`: one of the same takes the place of the one before.
pub(super) fn message(note: &Note, tag: &str) -> Vec<u8> {
    let items = note.items.iter().map(String::as_str);
    let text = note.paragraphs.iter().map(String::as_str).chain(items).collect::<Vec<_>>().join("\n");
    let button = |link: &Link| json!({"title": link.label, "url": link.url});
    let buttons: Vec<_> = note.snoozes.first().into_iter().chain(note.links.last()).map(button).collect();
    let mut message = json!({
        "title": cut(&note.title, MAX_TITLE, str::len),
        "text": cut(&text, MAX_TEXT, str::len),
        "url": note.links.first().map(|link| link.url.as_str()),
        "tag": tag,
        "buttons": buttons,
    });
    if message.to_string().len() > MAX_MESSAGE {
        message["buttons"] = Value::Array(Vec::new());
    }
    message.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_is_small_whatever_there_is_to_tell() {
        let link = |label: &str| Link { label: label.to_owned(), url: format!("https://a.example/{label}") };
        let note = Note {
            title: "ü".repeat(400),
            paragraphs: vec!["\"".repeat(9000)],
            items: vec!["an alert".to_owned(); 200],
            links: vec![link("alert"), link("unsubscribe")],
            snoozes: vec![link("snooze"), link("week")],
            tag: "bell",
        };
        let bytes = message(&note, "one");
        assert!(bytes.len() <= MAX_MESSAGE, "{}", bytes.len());
        let message: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!((&message["url"], &message["tag"]), (&json!("https://a.example/alert"), &json!("one")));
        let titles: Vec<_> = message["buttons"].as_array().unwrap().iter().map(|one| &one["title"]).collect();
        assert_eq!(titles, ["snooze", "unsubscribe"]);
        let far = |label: &str| Link {
            label: label.to_owned(),
            url: format!("https://a.example/{}", "x".repeat(900)),
        };
        let long =
            Note { links: vec![far("alert"), far("unsubscribe")], snoozes: vec![far("snooze")], ..note };
        let bytes = super::message(&long, "one");
        assert!(bytes.len() <= MAX_MESSAGE + 900, "{}", bytes.len());
        assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap()["buttons"], json!([]));
    }
}
