//! Secrets taken out of foreign texts before anybody reads them: providers and mail servers like to repeat
//! what they were sent. Pure.

/// Characters from which on a secret is replaced wherever it stands: nothing else looks like it.
const UNMISTAKABLE: usize = 16;
/// Characters from which on a secret that is no plain word is replaced wherever it stands alone.
const MIN_TOKEN: usize = 6;
/// What an excerpt ends with where it was cut.
const CUT: char = '…';
/// Characters of a secret's beginning from which on it is taken out where it ends in such a cut.
const MIN_PIECE: usize = 4;
/// Parts of the names of settings, parameters and headers whose value may be a secret.
const NAMES: [&str; 7] = ["token", "key", "secret", "pass", "user", "auth", "login"];

/// Replaces some secrets in texts by a mark, and garbles nothing else.
///
/// What a secret may be taken for decides where it is looked for:
///
/// - one of 16 characters or more: everywhere;
/// - one of 6 characters or more with both letters and others: where it stands alone, between characters that
///   are neither letters nor digits;
/// - any other (`t`, `demo`, `password`, `403`), which may be a word of the message: only as a value, that is
///   after `=`, after a name such as `token:` or `"api_key":`, or as the user or password of an address.
///
/// Where a text was cut, as `…` tells, the beginning of a secret that ends there is looked for like the whole
/// of it.
#[derive(Clone)]
pub struct Redaction {
    /// The longest first: a short one may be part of a long one.
    secrets: Vec<String>,
    mark: &'static str,
}

impl Redaction {
    /// Takes these secrets out; empty ones are none. `mark` stands in their place.
    pub fn new(secrets: impl IntoIterator<Item = String>, mark: &'static str) -> Self {
        let mut secrets: Vec<String> = secrets.into_iter().filter(|secret| !secret.is_empty()).collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        Self { secrets, mark }
    }

    /// The text without the secrets.
    pub fn redact(&self, text: &str) -> String {
        let without = |text: String, secret: &String| self.without_cut(&self.without(&text, secret), secret);
        self.secrets.iter().fold(text.to_owned(), without)
    }

    fn without(&self, text: &str, secret: &str) -> String {
        let mut kept = String::with_capacity(text.len());
        let mut rest = 0;
        for (start, _) in text.match_indices(secret) {
            let (before, after) = (&text[..start], &text[start + secret.len()..]);
            if gives_away(before, secret, after) {
                kept.push_str(&text[rest..start]);
                kept.push_str(self.mark);
                rest = start + secret.len();
            }
        }
        kept.push_str(&text[rest..]);
        kept
    }

    fn without_cut(&self, text: &str, secret: &str) -> String {
        let mut kept = String::with_capacity(text.len());
        let mut rest = 0;
        for (cut, _) in text.match_indices(CUT) {
            let piece = beginnings(secret).find(|piece| {
                let before = text[rest..cut].strip_suffix(piece);
                before.is_some_and(|before| gives_away(before, secret, ""))
            });
            if let Some(piece) = piece {
                kept.push_str(&text[rest..cut - piece.len()]);
                kept.push_str(self.mark);
                rest = cut;
            }
        }
        kept.push_str(&text[rest..]);
        kept
    }
}

/// The beginnings of a secret that tell something of it, the longest first.
fn beginnings(secret: &str) -> impl Iterator<Item = &str> {
    let all = secret.char_indices().rev().map(|(end, _)| &secret[..end]);
    all.take_while(|piece| piece.chars().nth(MIN_PIECE - 1).is_some())
}

/// Says how many there are, and none of them.
impl std::fmt::Debug for Redaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redaction of {} secrets", self.secrets.len())
    }
}

/// Whether what stands between these texts is the secret, and not a word or a piece of one.
fn gives_away(before: &str, secret: &str, after: &str) -> bool {
    let length = secret.chars().count();
    if length >= UNMISTAKABLE {
        return true;
    }
    let stands_alone = !before.ends_with(char::is_alphanumeric) && !after.starts_with(char::is_alphanumeric);
    let is_plain = !secret.contains(char::is_alphabetic) || secret.chars().all(char::is_alphabetic);
    stands_alone && ((length >= MIN_TOKEN && !is_plain) || is_value(before, after))
}

/// Whether what stands between these texts is a value: of a parameter, of a name that speaks of secrets, or
/// of an address's user or password.
fn is_value(before: &str, after: &str) -> bool {
    if before.ends_with('=') {
        return true;
    }
    let is_user = before.ends_with("://") && after.starts_with([':', '@']);
    let is_password = after.starts_with('@')
        && before.strip_suffix(':').is_some_and(|before| {
            let word = before.rsplit(char::is_whitespace).next().unwrap_or_default();
            word.contains("://")
        });
    if is_user || is_password {
        return true;
    }
    let quoted = |c: char| matches!(c, '"' | '\'' | '`' | ' ');
    let Some(name) = before.trim_end_matches(quoted).strip_suffix([':', '=']) else { return false };
    let name = name.trim_end_matches(quoted);
    let name = name.rsplit(|c: char| !c.is_alphanumeric() && c != '-' && c != '_').next().unwrap_or_default();
    let name = name.to_ascii_lowercase();
    NAMES.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn redact(secret: &str, text: &str) -> String {
        Redaction::new([secret.to_owned()], "[redacted]").redact(text)
    }

    #[test]
    fn a_secret_that_may_be_a_word_is_taken_out_only_where_it_is_a_value() {
        let message =
            "answered 403 Forbidden: {\"message\":\"the test token isn't valid\"}, ask at t.example";
        for secret in ["t", "a", "the", "test", "token", "403", "message", "Forbidden", "isn", "valid"] {
            assert_eq!(redact(secret, message), message, "{secret}");
        }
        for (secret, text, expected) in [
            ("t", "GET /batch?types=t&token=t failed", "GET /batch?types=[redacted]&token=[redacted] failed"),
            ("demo", "X-Finnhub-Token: demo, demo", "X-Finnhub-Token: [redacted], demo"),
            ("demo", r#"{"api_key": "demo"}"#, r#"{"api_key": "[redacted]"}"#),
            ("ops", "no such user: ops", "no such user: [redacted]"),
            ("pass", "http://ops:pass@host/", "http://ops:[redacted]@host/"),
            ("ops", "http://ops:pass@host/ops", "http://[redacted]:pass@host/ops"),
            ("t", "token=test", "token=test"),
        ] {
            assert_eq!(redact(secret, text), expected);
        }
    }

    #[test]
    fn a_secret_that_is_no_word_is_taken_out_where_it_stands_alone_and_a_long_one_everywhere() {
        assert_eq!(redact("hunter2", "AUTH hunter2, not hunter23"), "AUTH [redacted], not hunter23");
        assert_eq!(redact("PKTESTKEYID000000001", "keyPKTESTKEYID000000001x"), "key[redacted]x");
        assert_eq!(redact("", "nothing"), "nothing");
        let both = ["secret-of-a-test".to_owned(), "the-secret-of-a-test-2".to_owned()];
        let redaction = Redaction::new(both, "[…]");
        assert_eq!(redaction.redact("the-secret-of-a-test-2 secret-of-a-test"), "[…] […]");
        assert!(!format!("{redaction:?}").contains("test"));
    }

    #[test]
    fn a_secret_that_was_cut_is_taken_out_too() {
        for (secret, text, expected) in [
            ("PKTESTKEYID000000001", "no such key PKTESTKEYI…", "no such key [redacted]…"),
            ("PKTESTKEYID000000001", "`PKTE…`, `PKT…`", "`[redacted]…`, `PKT…`"),
            ("hunter2", "AUTH hunt… xhunt…", "AUTH [redacted]… xhunt…"),
            ("demonstration", "the demons… token=demons…", "the demons… token=[redacted]…"),
            ("ключ-к-этому-серверу", "ключ-к-эт…", "[redacted]…"),
        ] {
            assert_eq!(redact(secret, text), expected);
        }
    }

    proptest! {
        #[test]
        fn no_long_secret_is_left_and_nothing_else_is_touched(
            secret in "[A-Za-z0-9+/_-]{16,40}",
            pieces in prop::collection::vec("[ a-z.:=\"]{0,12}", 1..6),
        ) {
            let text = pieces.join(&secret);
            prop_assert_eq!(redact(&secret, &text), pieces.join("[redacted]"));
        }

        #[test]
        fn a_message_without_values_is_never_garbled(
            secret in "[a-z]{1,15}|[0-9]{1,15}|[A-Za-z]",
            text in "[A-Za-z0-9 .,'()-]{0,80}",
        ) {
            prop_assert_eq!(redact(&secret, &text), text);
        }
    }
}
