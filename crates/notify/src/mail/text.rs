//! Lines of the text part.

/// The longest line of a text part that is not one long word.
const WIDTH: usize = 72;

/// Breaks lines longer than [`WIDTH`] at blanks, keeping their indentation. Links stay whole.
pub(crate) fn wrap(text: &str) -> String {
    let mut wrapped = String::with_capacity(text.len() + text.len() / 16);
    for line in text.lines() {
        if line.chars().count() <= WIDTH {
            wrapped.push_str(line);
        } else {
            let indent = &line[..line.len() - line.trim_start().len()];
            wrap_line(line, indent, &mut wrapped);
        }
        wrapped.push('\n');
    }
    wrapped
}

fn wrap_line(line: &str, indent: &str, wrapped: &mut String) {
    wrapped.push_str(indent);
    let mut column = indent.len();
    for (at, word) in line.split_whitespace().enumerate() {
        let length = word.chars().count();
        if at > 0 && column + 1 + length > WIDTH {
            wrapped.push('\n');
            wrapped.push_str(indent);
            column = indent.len();
        } else if at > 0 {
            wrapped.push(' ');
            column += 1;
        }
        wrapped.push_str(word);
        column += length;
    }
}

/// A line that begins with a label of `width` characters, the text beside it broken into lines below one
/// another.
pub(crate) fn beside(label: &str, width: usize, text: &str) -> String {
    let indent = " ".repeat(width + 2);
    let mut lines = String::new();
    wrap_line(text, &indent, &mut lines);
    format!("{label:width$}  {}", lines.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_long_text_stays_beside_its_label() {
        let text =
            "the volume of NVDA is at least 3 times the median of the same minute of the last 20 sessions";
        assert_eq!(
            beside("Rule", 6, text),
            "Rule    the volume of NVDA is at least 3 times the median of the same\n        \
             minute of the last 20 sessions"
        );
    }

    proptest! {
        #[test]
        fn no_word_is_lost_and_no_line_is_too_long(text in "([a-z]{1,12} ){0,60}", label in "[a-z]{0,8}") {
            let beside = beside(&label, 8, &text);
            for line in beside.lines().chain(wrap(&text).lines()) {
                prop_assert!(line.len() <= WIDTH, "{line}");
            }
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            prop_assert_eq!(words(&wrap(&text)), words(&text));
            prop_assert_eq!(words(&beside), words(&format!("{label} {text}")));
        }
    }
}
