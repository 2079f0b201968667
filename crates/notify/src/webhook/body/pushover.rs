//! A message of Pushover (<https://pushover.net/api>): plain text with a title and the first link as the one
//! to follow. The address names the application and whom it is for; both go into the body, where the service
//! asks for them.

use super::note::{Note, cut};
use qqq_core::subscription::webhook_url::WebhookUrl;
use serde_json::{Value, json};

/// Longest title, message, address and its title, in characters.
const MAX_TITLE: usize = 250;
const MAX_MESSAGE: usize = 1024;
const MAX_URL: usize = 512;
const MAX_URL_TITLE: usize = 100;

pub(super) fn message(note: &Note, url: &WebhookUrl) -> Value {
    let parameter = |name| url.parameter(name).unwrap_or_default();
    // The first link is a field of its own.
    let rest = note.links.get(1..).unwrap_or_default();
    // Its page offers the others, too: there is little room.
    let snooze = note.snoozes.first();
    let mut message = json!({
        "token": parameter("token"),
        "user": parameter("user"),
        "title": cut(&note.title, MAX_TITLE, length),
        "message": note.plain(None, rest.iter().chain(snooze), MAX_MESSAGE, length),
    });
    if let Some(first) = note.links.first().filter(|link| length(&link.url) <= MAX_URL) {
        message["url"] = json!(first.url);
        message["url_title"] = json!(cut(&first.label, MAX_URL_TITLE, length));
    }
    message
}

fn length(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::body::Link;

    #[test]
    fn limits_are_kept_and_the_links_stay_whole() {
        let link = |label: &str| Link { label: label.to_owned(), url: format!("https://a.example/{label}") };
        let note = Note {
            title: "ü".repeat(400),
            paragraphs: vec!["x".repeat(3000)],
            items: Vec::new(),
            links: vec![link("Confirm"), link("Unsubscribe")],
            snoozes: vec![Link {
                label: "Snooze 1 hour".to_owned(),
                url: "https://a.example/snooze".to_owned(),
            }],
            tag: "bell",
        };
        let url = "https://api.pushover.net/1/messages.json?token=a&user=u".parse().unwrap();
        let message = message(&note, &url);
        assert_eq!((&message["token"], &message["user"]), (&json!("a"), &json!("u")));
        assert_eq!(message["title"].as_str().unwrap().chars().count(), MAX_TITLE);
        let text = message["message"].as_str().unwrap();
        assert_eq!(text.chars().count(), MAX_MESSAGE);
        let links =
            "x\n\nUnsubscribe: https://a.example/Unsubscribe\nSnooze 1 hour: https://a.example/snooze";
        assert!(text.ends_with(links), "{text}");
        assert_eq!(
            (&message["url"], &message["url_title"]),
            (&json!("https://a.example/Confirm"), &json!("Confirm"))
        );
    }
}
