//! The news for people, and how much of it fits.

/// The news for people, plain: each format escapes it in its own way.
pub(super) struct Note {
    pub(super) title: String,
    pub(super) paragraphs: Vec<String>,
    /// Lines of a list, after the paragraphs.
    pub(super) items: Vec<String>,
    /// The first is the one to follow.
    pub(super) links: Vec<Link>,
    /// Where to hear nothing for a while, the shortest first.
    pub(super) snoozes: Vec<Link>,
    /// An emoji's short name, where those are used.
    pub(super) tag: &'static str,
}

pub(super) struct Link {
    pub(super) label: String,
    pub(super) url: String,
}

impl Note {
    /// The news as plain text, `links` after it, of at most `most` by `length`. The links come whole; text is
    /// what may be cut.
    pub(super) fn plain<'a>(
        &self,
        title: Option<&str>,
        links: impl IntoIterator<Item = &'a Link>,
        most: usize,
        length: impl Fn(&str) -> usize,
    ) -> String {
        let links: Vec<_> = links.into_iter().map(|link| format!("{}: {}", link.label, link.url)).collect();
        let links = links.join("\n");
        let room = most.saturating_sub(length(&links) + 2);
        let paragraphs = self.paragraphs.iter().map(String::as_str);
        let mut text = title.into_iter().chain(paragraphs).collect::<Vec<_>>().join("\n\n");
        if !self.items.is_empty() {
            text.push_str("\n\n");
            text.push_str(&fitting(&self.items, room.saturating_sub(length(&text)), &length));
        }
        format!("{}\n\n{links}", cut(&text, room, length))
    }
}

/// As much of a text as is at most `most` by `length`.
pub(super) fn cut(text: &str, most: usize, length: impl Fn(&str) -> usize) -> &str {
    let mut used = 0;
    let end = text.char_indices().find(|(at, character)| {
        used += length(&text[*at..at + character.len_utf8()]);
        used > most
    });
    end.map_or(text, |(at, _)| &text[..at])
}

/// As many of `items` as fit into `room` by `length`, on lines of their own, and how many more there are.
pub(super) fn fitting(items: &[String], room: usize, length: impl Fn(&str) -> usize) -> String {
    // What `left` lines more are told in: taken from the room beforehand.
    let more = |left: usize| if left > 0 { format!("And {left} more.") } else { String::new() };
    let (mut fitting, mut used) = (String::new(), 0);
    for (at, item) in items.iter().enumerate() {
        let after = length(&more(items.len() - at - 1));
        used += length(item) + 1;
        if used + after > room {
            fitting.push_str(&more(items.len() - at));
            break;
        }
        fitting.push_str(item);
        fitting.push('\n');
    }
    fitting.truncate(fitting.trim_end().len());
    fitting
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_list_fits_and_says_how_much_of_it_is_missing(
            items in prop::collection::vec("[a-zü]{1,40}", 0..60),
            room in 60_usize..2_000,
        ) {
            let told = fitting(&items, room, str::len);
            prop_assert!(told.len() <= room, "{}", told.len());
            let lines: Vec<_> = told.lines().collect();
            let whole = lines.iter().zip(&items).take_while(|(line, item)| line == item).count();
            if whole == items.len() {
                prop_assert_eq!(lines.len(), items.len());
            } else {
                prop_assert_eq!(lines[whole..].to_vec(), [format!("And {} more.", items.len() - whole)]);
                let next = whole + items[..=whole].iter().map(String::len).sum::<usize>();
                prop_assert!(next + 20 > room, "one more would have fitted");
            }
        }
    }
}
