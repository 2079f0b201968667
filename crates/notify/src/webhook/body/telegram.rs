//! A bot's `sendMessage` on Telegram (<https://core.telegram.org/bots/api#sendmessage>): plain text, so
//! nothing is markup, and no previews: nobody is to open our links but people. The address says whose chat it
//! is.

use super::note::Note;
use qqq_core::subscription::webhook_url::WebhookUrl;
use serde_json::{Value, json};

/// Longest text, UTF-16 units.
const MAX_TEXT: usize = 4096;

pub(super) fn message(note: &Note, url: &WebhookUrl) -> Value {
    let links = note.links.iter().chain(&note.snoozes);
    json!({
        "chat_id": url.parameter("chat_id").unwrap_or_default(),
        "text": note.plain(Some(&note.title), links, MAX_TEXT, units),
        "link_preview_options": {"is_disabled": true},
    })
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::body::Link;

    #[test]
    fn a_long_text_leaves_the_links_whole_and_names_the_chat() {
        let note = Note {
            title: "NVDA *volume*".to_owned(),
            paragraphs: vec!["😀".repeat(4000)],
            items: Vec::new(),
            links: vec![Link { label: "Confirm".to_owned(), url: "https://a.example/confirm".to_owned() }],
            snoozes: vec![Link {
                label: "Snooze 1 hour".to_owned(),
                url: "https://a.example/snooze".to_owned(),
            }],
            tag: "bell",
        };
        let url = "https://api.telegram.org/bot1:secret/sendMessage?chat_id=-100123".parse().unwrap();
        let message = message(&note, &url);
        assert_eq!(message["chat_id"], "-100123");
        assert_eq!(message.get("parse_mode"), None, "plain text");
        let text = message["text"].as_str().unwrap();
        assert!(
            text.starts_with("NVDA *volume*\n\n😀")
                && text.ends_with(
                    "😀\n\nConfirm: https://a.example/confirm\nSnooze 1 hour: https://a.example/snooze"
                )
        );
        assert!((4_090..=MAX_TEXT).contains(&units(text)), "{}", units(text));
    }
}
