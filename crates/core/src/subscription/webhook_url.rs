//! Where webhooks, and the push services of browsers, take requests.

use std::fmt;
use std::str::FromStr;
use url::Url;

/// The address of a webhook: `https://` or `http://`, a host, no user, password or fragment, at most
/// [`WebhookUrl::MAX_LENGTH`] characters.
///
/// Parsed once and kept in its canonical text, so what was checked is what is asked: `https://2130706433/` is
/// `https://127.0.0.1/`. Whether we go there (scheme, port, network) is for the guard of whoever sends. Path
/// and query may hold a secret, as those of Slack and Discord do.
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

    /// The value of a parameter, for the request only: it may be a secret. Never log it.
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.0.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
    }

    /// The host, for logs: a name, or an address as it stands in a URL (`[::1]`).
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
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

/// A text that is no webhook's address, and why. Does not repeat the text: it may be one, mistyped, with its
/// secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a webhook's URL: {0}; it must look like https://example.com/hook, \
     without user, password and fragment, in at most 2048 characters"
)]
pub struct InvalidWebhookUrl(&'static str);
