//! Slack's incoming webhooks: blocks, and a text for notifications and for programs that take no blocks.
//!
//! Slack reads `&`, `<` and `>` in its markup as entities, links and mentions (`<!channel>`); what we say is
//! escaped, and stands in plain text where a block allows it. Links are not unfurled: nobody is to open ours
//! but people.

use super::note::{Link, Note, fitting};
use serde_json::{Value, json};

/// Longest header and section (Block Kit's reference).
const MAX_HEADER: usize = 150;
const MAX_SECTION: usize = 3000;

pub(super) fn message(note: &Note) -> Value {
    let line = |links: &[Link]| links.iter().map(link).collect::<Vec<_>>().join("  |  ");
    let links = [line(&note.links), line(&note.snoozes)].join("\n").trim_end().to_owned();
    let mut blocks = vec![json!({"type": "header", "text": plain(&note.title, MAX_HEADER)})];
    blocks.extend(
        note.paragraphs.iter().map(|text| json!({"type": "section", "text": plain(text, MAX_SECTION)})),
    );
    let items = fitting(&note.items, MAX_SECTION, |text| text.chars().count());
    blocks
        .extend((!items.is_empty()).then(|| json!({"type": "section", "text": plain(&items, MAX_SECTION)})));
    blocks.push(json!({"type": "section", "text": {"type": "mrkdwn", "text": links}}));
    let items = Some(&items).filter(|items| !items.is_empty());
    let lines: Vec<_> =
        [&note.title].into_iter().chain(&note.paragraphs).chain(items).map(|text| escape(text)).collect();
    json!({
        "text": format!("{}\n{links}", lines.join("\n")),
        "blocks": blocks,
        "unfurl_links": false,
        "unfurl_media": false,
    })
}

fn plain(text: &str, longest: usize) -> Value {
    json!({"type": "plain_text", "text": text.chars().take(longest).collect::<String>(), "emoji": false})
}

fn link(link: &Link) -> String {
    // A bar would end the address.
    format!("<{}|{}>", escape(&link.url).replace('|', "%7C"), escape(&link.label))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_we_say_is_markup() {
        let note = Note {
            title: "<!channel> & *bold*".to_owned(),
            paragraphs: vec!["<https://evil.example|NVDA> & <@U1>".to_owned(), "t".repeat(9000)],
            items: Vec::new(),
            links: vec![Link { label: "A>B|C".to_owned(), url: "https://a.example/?x=1&y=<|>".to_owned() }],
            snoozes: vec![Link {
                label: "Snooze 1 hour".to_owned(),
                url: "https://a.example/snooze".to_owned(),
            }],
            tag: "bell",
        };
        let message = message(&note);
        let text = message["text"].as_str().unwrap();
        assert!(text.starts_with(
            "&lt;!channel&gt; &amp; *bold*\n&lt;https://evil.example|NVDA&gt; &amp; &lt;@U1&gt;\n"
        ));
        let links =
            "<https://a.example/?x=1&amp;y=&lt;%7C&gt;|A&gt;B|C>\n<https://a.example/snooze|Snooze 1 hour>";
        assert!(text.ends_with(links), "{text}");
        let blocks = message["blocks"].as_array().unwrap();
        for block in &blocks[..blocks.len() - 1] {
            assert_eq!(block["text"]["type"], "plain_text", "{block}");
            assert!(block["text"]["text"].as_str().unwrap().len() <= MAX_SECTION);
        }
        assert_eq!(blocks[0]["text"]["text"], note.title, "plain text is as it is");
    }
}
