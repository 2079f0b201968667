//! Addresses of mail.

use std::fmt;
use std::str::FromStr;

/// A mail address that is safe in an envelope and a header: plain ASCII, no quotes, comments, blanks or
/// controls. Stricter than RFC 5321 on purpose: what it refuses, no real subscriber has.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// The address as given, for envelopes and the `To` header only. Never log it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The address in lower case: what counts as "the same address" in look-ups.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// The part after the `@`.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

impl FromStr for EmailAddress {
    type Err = InvalidEmailAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (local, domain) = text.split_once('@').ok_or(InvalidEmailAddress)?;
        let atom = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&byte))
        };
        let label = |part: &str| {
            (1..=63).contains(&part.len())
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !part.starts_with('-')
                && !part.ends_with('-')
        };
        let ok = text.len() <= 254
            && local.len() <= 64
            && local.split('.').all(atom)
            && domain.split('.').all(label);
        if ok { Ok(Self(text.to_owned())) } else { Err(InvalidEmailAddress) }
    }
}

impl fmt::Debug for EmailAddress {
    /// Redacted: addresses do not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(…)")
    }
}

/// A text that is no mail address. Does not repeat the text: it may be one, mistyped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a mail address: it must look like name@example.com, in ASCII, at most 254 characters")]
pub struct InvalidEmailAddress;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_addresses_are_accepted() {
        for text in [
            "ada@example.com",
            "a.b+c_d-e@sub.example.co.uk",
            "x@localhost",
            "O'Neil@example.org",
            "ada@xn--bcher-kva.example",
        ] {
            assert_eq!(text.parse::<EmailAddress>().unwrap().expose(), text);
        }
    }

    #[test]
    fn what_could_reach_a_header_or_another_recipient_is_refused() {
        for text in [
            "",
            "@",
            "a@",
            "@b",
            "a b@c.de",
            "a@b@c",
            "a@b\r\nBcc: x@y.z",
            "a\n@b.c",
            "\"a b\"@c.de",
            "a@[127.0.0.1]",
            "a@b,c@d.e",
            "a@b;c",
            "<a@b.c>",
            "a(comment)@b.c",
            ".a@b.c",
            "a.@b.c",
            "a..b@c.d",
            "a@.b",
            "a@b.",
            "a@-b.c",
            "a@b-.c",
            "a@b..c",
            "a@b c",
            "ä@b.c",
            "a@bücher.de",
            "a@b.c\0",
            "a\u{2028}@b.c",
            "a:b@c.d",
        ] {
            assert!(text.parse::<EmailAddress>().is_err(), "{text:?}");
        }
        let long_local = format!("{}@example.com", "a".repeat(65));
        let long = format!("a@{}.com", vec!["b".repeat(60); 5].join("."));
        assert!(long_local.parse::<EmailAddress>().is_err());
        assert!(long.parse::<EmailAddress>().is_err());
    }
}
