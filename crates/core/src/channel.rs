//! How a subscriber is reached: by mail, or by a webhook at an address of theirs.

use crate::mailbox::{self, Destination};
use crate::subscription::EmailAddress;
use std::fmt;
use std::str::FromStr;
use url::Url;

/// Where the messages of a subscription go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// By mail.
    Email(EmailAddress),
    /// By HTTP request.
    Webhook(Webhook),
}

impl Channel {
    /// Which of the channels it is.
    pub const fn kind(&self) -> ChannelKind {
        match self {
            Self::Email(_) => ChannelKind::Email,
            Self::Webhook(_) => ChannelKind::Webhook,
        }
    }

    /// What counts as "the same recipient" in look-ups. No address of one channel is the key of another's: only
    /// webhooks have a colon.
    pub fn key(&self) -> String {
        match self {
            Self::Email(address) => address.key(),
            Self::Webhook(webhook) => webhook.url.expose().to_owned(),
        }
    }

    /// Whose places it takes while a message is under way ([`places`](crate::delivery::places)): of mail the domain, in
    /// lower case; of a webhook scheme, host and port.
    pub fn host(&self) -> String {
        match self {
            Self::Email(address) => address.domain().to_ascii_lowercase(),
            Self::Webhook(webhook) => webhook.url.url().origin().ascii_serialization(),
        }
    }

    /// What throttles count a message by: the mailbox or endpoint, and whose server it is. Not the identity of a
    /// recipient.
    pub fn destination(&self) -> Destination {
        match self {
            Self::Email(address) => mailbox::of_address(address),
            Self::Webhook(webhook) => mailbox::of_endpoint(webhook.url.endpoint(), webhook.url.host()),
        }
    }
}

/// The kinds of [`Channel`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChannelKind {
    /// Mail.
    Email,
    /// HTTP request.
    Webhook,
}

impl ChannelKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Email, Self::Webhook];

    /// `email` or `webhook`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Webhook => "webhook",
        }
    }
}

impl fmt::Display for ChannelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ChannelKind {
    type Err = InvalidChannelKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| InvalidChannelKind(text.chars().take(32).collect()))
    }
}

/// A text that names no channel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a channel: it must be `email` or `webhook`")]
pub struct InvalidChannelKind(pub String);

/// An address that takes requests, and what they should look like.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Webhook {
    /// Where to.
    pub url: WebhookUrl,
    /// In whose words.
    pub format: WebhookFormat,
}

/// The address of a webhook: `https://` or `http://`, a host, no user, password or fragment, at most
/// [`WebhookUrl::MAX_LENGTH`] characters.
///
/// Parsed once and kept in its canonical text, so what was checked is what is asked: `https://2130706433/` is
/// `https://127.0.0.1/`. Whether we go there (scheme, port, network) is for the guard of whoever sends. Path and query
/// may hold a secret, as those of Slack and Discord do.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct WebhookUrl(Url);

impl WebhookUrl {
    /// Longest address, in characters, as given and in its canonical text.
    pub const MAX_LENGTH: usize = 2048;

    /// The canonical text, for the request and the store only. Never log it.
    pub fn expose(&self) -> &str {
        self.0.as_str()
    }

    /// Its parts, for the request and its guard only. Never log it.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// The host, for logs: a name, or an address as it stands in a URL (`[::1]`).
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The canonical text without the query.
    pub fn endpoint(&self) -> String {
        let mut url = self.0.clone();
        url.set_query(None);
        url.into()
    }
}

impl FromStr for WebhookUrl {
    type Err = InvalidWebhookUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // What the parser would drop in silence: tabs and line breaks inside, blanks around.
        if text.chars().any(|character| character.is_control() || character.is_whitespace()) {
            return Err(InvalidWebhookUrl("it holds blanks or control characters"));
        }
        if text.len() > Self::MAX_LENGTH {
            return Err(InvalidWebhookUrl("it is too long"));
        }
        let url = Url::parse(text).map_err(|_| InvalidWebhookUrl("it cannot be read"))?;
        let problem = if !matches!(url.scheme(), "https" | "http") {
            "its scheme is neither https nor http"
        } else if url.host_str().is_none_or(str::is_empty) {
            "it names no host"
        } else if !url.username().is_empty() || url.password().is_some() {
            "it holds a user or a password"
        } else if url.fragment().is_some() {
            "it has a fragment"
        } else if url.as_str().len() > Self::MAX_LENGTH {
            "it is too long"
        } else {
            return Ok(Self(url));
        };
        Err(InvalidWebhookUrl(problem))
    }
}

impl fmt::Debug for WebhookUrl {
    /// The host alone: the rest may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookUrl({}, …)", self.host())
    }
}

/// A text that is no webhook's address, and why. Does not repeat the text: it may be one, mistyped, with its secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a webhook's URL: {0}; it must look like https://example.com/hook, without user, password and fragment, in at \
     most 2048 characters"
)]
pub struct InvalidWebhookUrl(&'static str);

/// Whose words a webhook's requests are in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WebhookFormat {
    /// JSON for programs, as <https://www.standardwebhooks.com> recommends.
    #[default]
    Standard,
    /// Slack's incoming webhooks, and what is compatible with them: Mattermost, Rocket.Chat.
    Slack,
    /// Discord's webhooks.
    Discord,
    /// A topic of an ntfy server.
    Ntfy,
}

impl WebhookFormat {
    /// All, in the order they are listed.
    pub const ALL: [Self; 4] = [Self::Standard, Self::Slack, Self::Discord, Self::Ntfy];

    /// `standard`, `slack`, `discord` or `ntfy`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Slack => "slack",
            Self::Discord => "discord",
            Self::Ntfy => "ntfy",
        }
    }
}

impl fmt::Display for WebhookFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for WebhookFormat {
    type Err = InvalidWebhookFormat;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|format| format.as_str() == text)
            .ok_or_else(|| InvalidWebhookFormat(text.chars().take(32).collect()))
    }
}

/// A text that names no format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a format: it must be `standard`, `slack`, `discord` or `ntfy`")]
pub struct InvalidWebhookFormat(pub String);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> WebhookUrl {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_kept_in_its_canonical_text() {
        for (given, kept) in [
            ("https://example.com/hook", "https://example.com/hook"),
            ("HTTPS://Example.COM:443/a/../Hook?Token=A", "https://example.com/Hook?Token=A"),
            ("http://example.com:8080", "http://example.com:8080/"),
            ("https://bücher.example/ü", "https://xn--bcher-kva.example/%C3%BC"),
            ("https://2130706433/", "https://127.0.0.1/"),
            ("https://[::FFFF:127.0.0.1]/", "https://[::ffff:7f00:1]/"),
        ] {
            assert_eq!(parse(given).expose(), kept);
            assert_eq!(parse(kept).expose(), kept, "the canonical text is its own");
        }
    }

    #[test]
    fn what_is_no_address_of_a_webhook_is_refused_without_being_repeated() {
        for text in [
            "",
            "hook",
            "example.com/hook",
            "//example.com/hook",
            "ftp://example.com/hook",
            "file:///etc/hook",
            "javascript:hook",
            "unix:/run/hook",
            "https://",
            "https:///",
            "https://user@example.com/hook",
            "https://user:hunter2@example.com/hook",
            "https://:hunter2@example.com/hook",
            "https://example.com/hook#part",
            "https://example.com/hook#",
            " https://example.com/hook",
            "https://example.com/hook\n",
            "https://exa\tmple.com/hook",
            "https://example.com/ho ok",
            "https://example.com/hook\u{a0}",
            "https://example.com:99999/hook",
            "https://[::1/hook",
            "https://[fe80::1%25eth0]/hook",
            "https://256.1.1.1/hook",
            "https://exa<mple.com/hook",
            &format!("https://example.com/{}", "h".repeat(2048)),
            // Short as given, too long once written out.
            &format!("https://example.com/{}", "ü".repeat(900)),
        ] {
            let error = text.parse::<WebhookUrl>().unwrap_err().to_string();
            assert!(error.contains("https://example.com/hook"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn an_address_shows_its_host_alone() {
        let url = parse("https://hooks.slack.example/services/T0/B0/canary?k=canary");
        assert_eq!(url.host(), "hooks.slack.example");
        let webhook = Channel::Webhook(Webhook { url, format: WebhookFormat::Slack });
        let shown = format!("{webhook:?}");
        assert!(shown.contains("hooks.slack.example") && !shown.contains("canary"), "{shown}");
    }

    #[test]
    fn a_recipient_is_known_by_its_key_and_throttled_without_what_anybody_can_add() {
        let webhook =
            |url: &str| Channel::Webhook(Webhook { url: parse(url), format: WebhookFormat::default() });
        let one = webhook("https://Example.com/hook?a=1");
        assert_eq!(one.key(), "https://example.com/hook?a=1");
        assert_ne!(one.key(), webhook("https://example.com/hook?a=2").key());
        assert_eq!(one.destination(), webhook("https://example.com/hook?a=2").destination());
        assert_ne!(one.destination(), webhook("https://example.com/other").destination());

        for (url, host) in [
            ("https://Example.com/hook?a=1", "https://example.com"),
            ("https://example.com:443", "https://example.com"),
            ("https://example.com:8443/hook://x/", "https://example.com:8443"),
            ("http://[::1]:8080/", "http://[::1]:8080"),
        ] {
            assert_eq!(webhook(url).host(), host);
        }

        let mail = Channel::Email("Ada+x@Example.com".parse().unwrap());
        assert_eq!(mail.host(), "example.com");
        assert_eq!(
            (mail.key(), mail.destination().mailbox),
            ("ada+x@example.com".into(), "ada@example.com".into())
        );
        assert_eq!((mail.kind(), one.kind()), (ChannelKind::Email, ChannelKind::Webhook));
    }

    #[test]
    fn kinds_and_formats_are_read_as_they_are_written() {
        for kind in ChannelKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        for format in WebhookFormat::ALL {
            assert_eq!(format.as_str().parse(), Ok(format));
        }
        assert!("Slack".parse::<WebhookFormat>().unwrap_err().to_string().contains("`standard`"));
        assert!("sms".parse::<ChannelKind>().unwrap_err().to_string().contains("`webhook`"));
    }

    proptest! {
        #[test]
        fn whatever_is_taken_reads_back_the_same(text in "https?://[a-z0-9.:/?=%&\\[\\]@#-]{1,40}") {
            if let Ok(url) = text.parse::<WebhookUrl>() {
                prop_assert_eq!(&parse(url.expose()), &url);
                prop_assert!(url.expose().starts_with(&url.endpoint()));
                prop_assert!(!url.host().is_empty());
            }
        }
    }
}
