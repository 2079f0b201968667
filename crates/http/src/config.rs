//! What the API is told by whoever starts it.

use crate::dashboard::Dashboard;
use crate::http::client::Rate;
use ipnet::IpNet;
use qqq_core::SpikeRule;
use qqq_core::subscription::EmailAddress;
use qqq_core::subscription::push::{InvalidPushReceiver, PushReceiver};
use qqq_core::subscription::webhook_url::WebhookUrl;
use qqq_engine::archive::Archive;
use qqq_store::SignUpLimits;
use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use url::Url;

/// Says whether a browser may be pushed to, and else what is wrong with what it gave.
pub type AdmitPush = Arc<dyn Fn(&PushReceiver) -> Result<(), InvalidPushReceiver> + Send + Sync>;

/// What sign-ups for pushes need to know.
#[derive(Clone)]
pub struct Push {
    /// What browsers are to subscribe with: the public key of the one that signs, in URL-safe base64.
    pub public_key: String,
    /// Says why nothing would ever be pushed to a browser, if so.
    pub admit: AdmitPush,
}

/// Judges the address of a webhook by itself.
pub type Admit = Arc<dyn Fn(&WebhookUrl) -> Result<(), String> + Send + Sync>;

/// Settings of the API.
#[derive(Clone)]
pub struct ApiConfig {
    /// Where browsers and mail readers reach this server. With `https`, answers ask browsers to stay with it.
    pub public_url: Url,
    /// Whether an address must confirm before it is mailed (double opt-in).
    pub confirm: bool,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whose pages may read the API from a browser.
    pub cors: Cors,
    /// Whose pages may show ours in a frame: all but those under `/v1/`, where links from messages lead.
    pub frame_ancestors: Vec<FrameAncestor>,
    /// How many confirmation mails may go out.
    pub sign_up: SignUpLimits,
    /// Who may do what operators do, once signed in by a link to one of these addresses.
    pub operators: Vec<EmailAddress>,
    /// Says why nothing would ever be sent to a webhook's address, if so.
    pub admit: Admit,
    /// How browsers are pushed to.
    pub push: Push,
    /// Notified after a sign-up that need not be confirmed: a webhook may have to be told its secret.
    pub outbox_wakeup: Arc<Notify>,
    /// What people see at `/`.
    pub dashboard: Dashboard,
    /// The folder of a demonstration's mails, which its pages then show: only where nobody but this machine's
    /// own people reach the server, and no mail goes out.
    pub mailbox: Option<PathBuf>,
    /// Whether whoever is at the machine itself operates: of a demonstration, under the same conditions.
    pub local_operator: bool,
    /// Whether metrics are told on a listener of their own
    /// ([`Api::serve_metrics`](crate::Api::serve_metrics)), and so not at `/metrics` here.
    pub metrics_apart: bool,
    /// The rule alerts were raised by: for the words on the pages.
    pub rule: SpikeRule,
    /// In a session, a live feed whose newest bar ended longer ago makes the server not ready.
    pub stale_after: Duration,
    /// Of this program, for the foot of the pages.
    pub version: &'static str,
    /// Where the bars are that the store does not keep any more.
    pub archive: Option<Archive>,
    /// How long the store keeps bars.
    pub bars_retention: Duration,
    /// What one client, and all of them, may take.
    pub limits: Limits,
}

impl ApiConfig {
    /// The defaults, for a server reached at `public_url`.
    pub fn new(public_url: Url) -> Self {
        Self {
            public_url,
            confirm: true,
            trusted_proxies: Vec::new(),
            cors: Cors::default(),
            frame_ancestors: Vec::new(),
            sign_up: SignUpLimits::default(),
            operators: Vec::new(),
            admit: Arc::new(|_| Ok(())),
            push: Push { public_key: String::new(), admit: Arc::new(|_| Ok(())) },
            outbox_wakeup: Arc::default(),
            mailbox: None,
            local_operator: false,
            metrics_apart: false,
            dashboard: Dashboard::built_in(),
            rule: SpikeRule::default(),
            stale_after: Duration::from_secs(3 * 60 + 30),
            version: env!("CARGO_PKG_VERSION"),
            archive: None,
            bars_retention: Duration::MAX,
            limits: Limits::default(),
        }
    }
}

/// Origins whose pages may call the API from a browser (CORS). Without any, only our own pages may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors(pub Vec<Origin>);

/// `*`, or an origin as browsers tell it: `https://example.org`, `http://localhost:5173`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Any.
    Any,
    /// This one.
    Exactly(String),
}

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "*" {
            return Ok(Self::Any);
        }
        // `*` is a character of host names to the parser, and nobody's wildcard.
        let is_origin = |url: Url| {
            let plain = matches!(url.scheme(), "http" | "https") && !text.contains('*');
            plain && url.origin().ascii_serialization() == text
        };
        let exactly = Url::parse(text).is_ok_and(is_origin).then(|| Self::Exactly(text.to_owned()));
        exactly.ok_or_else(|| InvalidOrigin(text.to_owned()))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Any => "*",
            Self::Exactly(origin) => origin,
        })
    }
}

/// A text that is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an origin: it must be `*`, or look like https://example.org, in lower case, \
     without a path and without the port that its scheme has anyway"
)]
pub struct InvalidOrigin(pub String);

/// An origin whose pages may show ours in a frame: `https://example.org`. There is none for all: whoever
/// frames a page can have its reader press what is hidden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameAncestor(String);

impl FromStr for FrameAncestor {
    type Err = InvalidFrameAncestor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(Origin::Exactly(origin)) => Ok(Self(origin)),
            Ok(Origin::Any) | Err(_) => Err(InvalidFrameAncestor(text.to_owned())),
        }
    }
}

impl fmt::Display for FrameAncestor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A text that is no single origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an origin: it must look like https://example.org, in lower case, without a path, \
     without a wildcard and without the port that its scheme has anyway"
)]
pub struct InvalidFrameAncestor(pub String);

/// Limits of connections, times, sizes and rates.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections open at once.
    pub connections: usize,
    /// Of these, from one IPv4 address or IPv6 /64. Trusted proxies are not counted.
    pub connections_per_network: usize,
    /// For the head of a request, from the connection's start or the end of the answer before: this is also
    /// how long an idle connection is kept.
    pub header_read: Duration,
    /// For the body of a request.
    pub body_read: Duration,
    /// For making an answer, once the request is there.
    pub handler: Duration,
    /// For the peer to acknowledge what was sent: ends connections whose reader stalls.
    pub write_stall: Duration,
    /// For a peer to end what it is still sending after its answer; it is read and thrown away meanwhile.
    pub linger: Duration,
    /// For open connections to finish when the server stops.
    pub drain: Duration,
    /// Bytes of a request's body.
    pub body: usize,
    /// Bytes of a request's line and headers.
    pub head: usize,
    /// Headers of a request.
    pub headers: usize,
    /// POSTs of one network, but for backtests.
    pub posts: Rate,
    /// Backtests of one network: a reader who moves a slider asks with every step.
    pub backtests: Rate,
    /// Of these, running or waiting for their turn.
    pub backtests_per_network: usize,
    /// Pages of bars that one network has read from the store.
    pub pages_of_bars: Rate,
    /// Sign-ups of one network that are well-formed.
    pub sign_ups: Rate,
    /// The same in an hour: so many at once, refilled evenly. Far below what all networks together may be
    /// mailed in an hour ([`SignUpLimits::total_per_hour`]), so that none can use that up for the others.
    pub sign_ups_per_hour: NonZeroU32,
    /// The same of an IPv4 /24 or an IPv6 /48: of the networks that one customer may have many of.
    pub wide_sign_ups_per_hour: NonZeroU32,
    /// Of streams of events.
    pub streams: StreamLimits,
}

/// Limits of streams of events.
#[derive(Clone, Debug)]
pub struct StreamLimits {
    /// Streams open at once.
    pub open: usize,
    /// Of these, of one IPv4 address or IPv6 /64.
    pub open_per_network: usize,
    /// Symbols that one may name.
    pub symbols: usize,
    /// A sign of life is sent after so long without anything else.
    pub heartbeat: Duration,
    /// A client that has been behind for longer is cut off. It comes back and goes on where it was.
    pub lag: Duration,
    /// Bars that a client may have missed and still be told. One that has missed more begins anew.
    pub backlog: usize,
    /// Bytes of the newest events, held in memory once for all streams. Below what one commit brings, every
    /// stream reads every commit from the store.
    pub ring: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            connections_per_network: 64,
            header_read: Duration::from_secs(10),
            body_read: Duration::from_secs(10),
            handler: Duration::from_secs(10),
            write_stall: Duration::from_secs(20),
            linger: Duration::from_secs(30),
            drain: Duration::from_secs(5),
            body: 16 * 1024,
            head: 8 * 1024,
            headers: 64,
            posts: rate(60, 60),
            backtests: rate(600, 60),
            backtests_per_network: 3,
            pages_of_bars: rate(1800, 600),
            sign_ups: rate(5, 10),
            sign_ups_per_hour: at_least_one(20),
            wide_sign_ups_per_hour: at_least_one(60),
            streams: StreamLimits::default(),
        }
    }
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            open: 1_000,
            open_per_network: 20,
            symbols: 100,
            heartbeat: Duration::from_secs(15),
            lag: Duration::from_secs(60),
            backlog: 50_000,
            ring: 16 * 1024 * 1024,
        }
    }
}

const fn rate(per_minute: u32, burst: u32) -> Rate {
    Rate { per_minute: at_least_one(per_minute), burst: at_least_one(burst) }
}

const fn at_least_one(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_taken_as_browsers_tell_them() {
        assert_eq!("*".parse(), Ok(Origin::Any));
        for text in [
            "https://example.org",
            "http://localhost:5173",
            "http://[::1]:8080",
            "https://xn--bcher-kva.example",
        ] {
            assert_eq!(text.parse::<Origin>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "null",
            "example.org",
            "https://example.org/",
            "https://example.org/app",
            "https://example.org:443",
            "https://Example.org",
            "https://*.example.org",
            "ftp://example.org",
            "https://user@example.org",
            "https://example.org, https://example.com",
        ] {
            assert_eq!(text.parse::<Origin>(), Err(InvalidOrigin(text.to_owned())));
        }
    }

    #[test]
    fn frames_are_for_origins_with_a_name() {
        assert_eq!(
            "https://example.org".parse::<FrameAncestor>().unwrap().to_string(),
            "https://example.org"
        );
        for text in
            ["*", "'self'", "https://*.example.org", "https://example.org; script-src *", "example.org"]
        {
            assert_eq!(text.parse::<FrameAncestor>(), Err(InvalidFrameAncestor(text.to_owned())));
        }
    }
}
