//! Discord's webhooks: a line of content, and an embed with the text and the links.
//!
//! Discord reads Markdown and mentions; what we say is escaped, and no mention notifies anybody.

use super::note::{Link, Note, fitting};
use serde_json::{Value, json};

/// Longest content, title and description (Discord's reference).
const MAX_CONTENT: usize = 2000;
const MAX_TITLE: usize = 256;
const MAX_DESCRIPTION: usize = 4096;

pub(super) fn message(note: &Note) -> Value {
    let mut text: Vec<_> = note.paragraphs.iter().map(|text| escape(text)).collect();
    let line = |links: &[Link]| links.iter().map(link).collect::<Vec<_>>().join("  |  ");
    let links = [line(&note.links), line(&note.snoozes)].join("\n").trim_end().to_owned();
    // The links come whole; text is what may be cut.
    let room = MAX_DESCRIPTION.saturating_sub(links.chars().count() + 2);
    if !note.items.is_empty() {
        let items: Vec<_> = note.items.iter().map(|item| escape(item)).collect();
        let taken: usize = text.iter().map(|text| text.chars().count() + 2).sum();
        text.push(fitting(&items, room.saturating_sub(taken), |text| text.chars().count()));
    }
    let description = format!("{}\n\n{links}", cut(&text.join("\n\n"), room));
    let first = note.links.first();
    json!({
        "content": cut(&escape(&note.title), MAX_CONTENT),
        "embeds": [{
            "title": first.map(|link| cut(&escape(&link.label), MAX_TITLE)),
            "url": first.map(|link| link.url.as_str()),
            "description": description,
        }],
        "allowed_mentions": {"parse": []},
    })
}

fn link(link: &Link) -> String {
    // A bracket would end the address.
    format!("[{}]({})", escape(&link.label), link.url.replace('(', "%28").replace(')', "%29"))
}

/// A backslash before all that Discord's Markdown could take for its own.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if "\\*_~`|>#[]()<@:-+".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

fn cut(text: &str, longest: usize) -> String {
    text.chars().take(longest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_we_say_is_markup_and_nobody_is_mentioned() {
        let note = Note {
            title: "@everyone **NVDA** [x](https://evil.example)".to_owned(),
            paragraphs: vec!["- <@1> `code` ||spoiler|| # not a heading".to_owned(), "_".repeat(9000)],
            items: Vec::new(),
            links: vec![Link { label: "Confirm".to_owned(), url: "https://a.example/x_y?t=(1)".to_owned() }],
            snoozes: vec![Link {
                label: "Snooze 1 hour".to_owned(),
                url: "https://a.example/snooze".to_owned(),
            }],
            tag: "bell",
        };
        let message = message(&note);
        assert_eq!(message["allowed_mentions"], json!({"parse": []}));
        assert_eq!(message["content"], r"\@everyone \*\*NVDA\*\* \[x\]\(https\://evil.example\)");
        let embed = &message["embeds"][0];
        let description = embed["description"].as_str().unwrap();
        assert!(
            description.starts_with(r"\- \<\@1\> \`code\` \|\|spoiler\|\| \# not a heading"),
            "{description}"
        );
        let links = "[Confirm](https://a.example/x_y?t=%281%29)\n[Snooze 1 hour](https://a.example/snooze)";
        assert!(description.ends_with(links), "{description}");
        assert!(description.chars().count() <= MAX_DESCRIPTION);
        assert_eq!(embed["url"], "https://a.example/x_y?t=(1)");
    }
}
