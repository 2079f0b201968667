//! Texts of others, fit to be shown.

/// Longest piece of a foreign text in an error message.
pub(crate) const EXCERPT: usize = 200;

/// Whether a character is a control or direction character.
pub(crate) fn is_unsafe_to_show(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// At most 200 characters of a foreign text, on one line, without control or direction characters; `…` at the
/// end where it was cut, and nowhere else is it.
pub(crate) fn excerpt(text: &str) -> String {
    let mut shown = String::new();
    let mut length = 0;
    for c in text.chars().map(|c| if is_unsafe_to_show(c) { ' ' } else { c }) {
        if c == ' ' && (shown.is_empty() || shown.ends_with(' ')) {
            continue;
        }
        if length == EXCERPT && c != ' ' {
            // Also tells whoever redacts it that the last word may be half of one.
            shown.push('…');
            return shown;
        }
        if length < EXCERPT {
            shown.push(c);
            length += 1;
        }
    }
    shown.truncate(shown.trim_end().len());
    shown
}
