//! The one way a webhook is sent: guarded, bounded in time and size, without proxy, redirect or cookie.

use super::guard::{Checked, Guard, Reach, Refusal, SystemNames};
use crate::DeliveryError;
use qqq_core::Clock;
use qqq_core::delivery::{Failure, FailureKind};
use qqq_core::retry::{LONGEST_RETRY_AFTER, retry_after};
use qqq_core::subscription::channel::WebhookFormat;
use qqq_core::subscription::webhook_url::WebhookUrl;
use reqwest::dns::Resolve;
use reqwest::header::{DATE, HeaderMap, HeaderName, LOCATION, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;

/// To connect, TLS included.
const CONNECT: Duration = Duration::from_secs(5);
/// Of an answer, no more than this is read.
const MAX_ANSWER: usize = 16 << 10;
/// Characters of an answer that are kept.
const MAX_QUOTED: usize = 256;
/// How long a connection is kept for the next request to the same host.
const KEPT: Duration = Duration::from_secs(30);

/// In whose words a receiver answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answers {
    /// As what takes requests of a format does.
    As(WebhookFormat),
    /// As a browser's push service does.
    PushService,
}

/// Sends requests.
pub(crate) struct WebhookClient {
    pub(crate) guard: Arc<Guard>,
    pub(crate) names: Arc<dyn Resolve>,
    /// From the first byte sent to the last one read.
    pub(crate) timeout: Duration,
    clock: Arc<dyn Clock>,
    /// Of the public internet and the allowed networks. Made at first use: it reads the machine's
    /// certificates.
    public: OnceCell<Client>,
    /// Of the allowed networks alone, for http:// and for unusual ports.
    allowed: OnceCell<Client>,
}

impl WebhookClient {
    pub(crate) fn new(guard: Guard, timeout: Duration, clock: Arc<dyn Clock>) -> Self {
        Self {
            guard: Arc::new(guard),
            names: Arc::new(SystemNames),
            timeout,
            clock,
            public: OnceCell::new(),
            allowed: OnceCell::new(),
        }
    }

    /// One request. `Ok` means the receiver answered 2xx.
    pub(crate) async fn post(
        &self,
        url: &WebhookUrl,
        answers: Answers,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<(), FailedRequest> {
        let reach = self.guard.admit(url).map_err(|refusal| refused(url, refusal))?;
        let client = self.client(reach).await?;
        let request = client.post(url.url().clone()).headers(headers).body(body);
        let response = request.send().await.map_err(|error| unanswered(url, &error))?;
        if response.status().is_success() {
            return Ok(());
        }
        Err(self.failure(url, answers, response).await)
    }

    async fn client(&self, reach: Reach) -> Result<&Client, FailedRequest> {
        let client = match reach {
            Reach::Public => &self.public,
            Reach::Allowed(_) => &self.allowed,
        };
        client.get_or_try_init(async || self.build(reach)).await.map_err(|error| {
            let reason = format!("the web client cannot be set up: {}", root_cause(&error));
            DeliveryError::retry(reason).into()
        })
    }

    fn build(&self, reach: Reach) -> reqwest::Result<Client> {
        // The error only says that somebody was faster, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let names = Arc::clone(&self.names);
        Client::builder()
            .dns_resolver(Checked { guard: Arc::clone(&self.guard), reach, names })
            .redirect(reqwest::redirect::Policy::none())
            // A proxy of the environment would resolve and connect for us, past the guard.
            .no_proxy()
            .no_gzip()
            .https_only(reach == Reach::Public)
            .connect_timeout(CONNECT.min(self.timeout))
            .timeout(self.timeout)
            .pool_max_idle_per_host(1)
            .pool_idle_timeout(KEPT)
            .user_agent(concat!("qqq-tracker/", env!("CARGO_PKG_VERSION")))
            .build()
    }

    /// What an answer other than success means. All but "gone" may pass: a receiver is down for an update,
    /// its proxy answers 404 or 403 for it meanwhile, and the alert must not be lost to that. A push service
    /// that refuses the signature refuses it the next time.
    async fn failure(&self, url: &WebhookUrl, answers: Answers, mut response: Response) -> FailedRequest {
        let status = response.status();
        let wait = self.wait(response.headers());
        let redirect = status.is_redirection() && response.headers().contains_key(LOCATION);
        let mut body = Vec::new();
        // The status is the answer; a body that does not come, or comes drop by drop, takes nothing from it.
        while body.len() < MAX_ANSWER
            && let Ok(Some(chunk)) = response.chunk().await
        {
            body.extend_from_slice(&chunk[..chunk.len().min(MAX_ANSWER - body.len())]);
        }
        let said = if redirect { "redirects are not followed".to_owned() } else { quoted(&body) };
        let reason = match (url.host(), said.as_str()) {
            (host, "") => format!("{host} answered {status}"),
            (host, said) => format!("{host} answered {status}: {said}"),
        };
        let key_refused = key_refused(answers, status, &body);
        let kind = match key_refused {
            Some(_) => FailureKind::KeyRefused,
            None => FailureKind::refused(status.as_u16()),
        };
        let failure = Failure::new(kind, reason);
        let wait = wait.or_else(|| asked_in_words(answers, &body));
        let error = match wait {
            _ if key_refused == Some(KeyRefused::AnotherIsMeant) => DeliveryError::Gone(failure),
            _ if key_refused.is_some() => DeliveryError::GiveUp(failure),
            _ if is_gone(answers, status, &body) => DeliveryError::Gone(failure),
            Some(wait) => DeliveryError::RetryAfter(failure, wait),
            None => DeliveryError::Retry(failure),
        };
        error.into()
    }

    /// How long the receiver asks to be left alone.
    fn wait(&self, headers: &HeaderMap) -> Option<Duration> {
        let text = |name: HeaderName| headers.get(name)?.to_str().ok();
        retry_after(text(RETRY_AFTER)?, text(DATE), self.clock.now())
    }
}

/// A request that did not succeed.
#[derive(Debug)]
pub(crate) struct FailedRequest {
    pub(crate) error: DeliveryError,
    /// Whether no connection came about: the host is down, for whatever is sent there.
    pub(crate) unreachable: bool,
}

impl From<DeliveryError> for FailedRequest {
    fn from(error: DeliveryError) -> Self {
        Self { error, unreachable: false }
    }
}

/// Whether an endpoint says that it is no more: by the status made for it, or in the words of those who have
/// others.
fn is_gone(answers: Answers, status: StatusCode, body: &[u8]) -> bool {
    let Answers::As(format) = answers else {
        // RFC 8030, section 7.3: a subscription that has lapsed or was taken back is not found.
        return matches!(status, StatusCode::GONE | StatusCode::NOT_FOUND);
    };
    match (format, status) {
        (_, StatusCode::GONE) => true,
        // The webhook was removed or disabled.
        (WebhookFormat::Slack, StatusCode::NOT_FOUND) => body.trim_ascii() == b"no_service",
        // "Unknown Webhook": it was deleted.
        (WebhookFormat::Discord, StatusCode::NOT_FOUND) => {
            serde_json::from_slice(body).is_ok_and(|answer: serde_json::Value| answer["code"] == 10015)
        }
        // "Forbidden: bot was blocked by the user", "bot was kicked from the group chat".
        (WebhookFormat::Telegram, StatusCode::FORBIDDEN) => {
            serde_json::from_slice(body).is_ok_and(|answer: serde_json::Value| {
                let said = answer["description"].as_str().unwrap_or_default();
                said.contains("bot was blocked") || said.contains("bot was kicked")
            })
        }
        _ => false,
    }
}

/// Why a push service takes no request with the signature it got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyRefused {
    /// The browser subscribed with another key than the one that signed: one from before the instance's was
    /// replaced. It never takes a push again, and subscribes anew when its reader asks for alerts.
    AnotherIsMeant,
    /// Anything else about the signature: its time, because a clock is wrong, or whom to write to.
    Signature,
}

/// Whether a push service refuses the signature, or the key that made it. The statuses are RFC 8292's
/// (section 4.2: 401 where the authentication is absent, 403 where it is invalid); which of both it is, the
/// services say in words: Google's, Mozilla's (errno 109), and Apple's, which it also says with a 400.
fn key_refused(answers: Answers, status: StatusCode, body: &[u8]) -> Option<KeyRefused> {
    const OF_ANOTHER: [&str; 3] = [
        "do not correspond to the credentials used to create the subscription",
        "VAPID public key mismatch",
        "VapidPkHashMismatch",
    ];
    if answers != Answers::PushService || status.is_server_error() {
        return None;
    }
    let said = String::from_utf8_lossy(body);
    if OF_ANOTHER.iter().any(|words| said.contains(words)) {
        return Some(KeyRefused::AnotherIsMeant);
    }
    let is_refused = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    is_refused.then_some(KeyRefused::Signature)
}

/// How long Telegram asks to be left alone: it says so in its answer, not in a header
/// (<https://core.telegram.org/bots/api#responseparameters>).
fn asked_in_words(answers: Answers, body: &[u8]) -> Option<Duration> {
    if answers != Answers::As(WebhookFormat::Telegram) {
        return None;
    }
    let answer: serde_json::Value = serde_json::from_slice(body).ok()?;
    let seconds = answer["parameters"]["retry_after"].as_u64()?;
    Some(Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER))
}

fn refused(url: &WebhookUrl, refusal: Refusal) -> FailedRequest {
    let reason = format!("a webhook at {} is not sent: {refusal}", url.host());
    DeliveryError::GiveUp(Failure::new(FailureKind::Blocked, reason)).into()
}

/// What it means when no answer came.
fn unanswered(url: &WebhookUrl, error: &reqwest::Error) -> FailedRequest {
    if let Some(refusal) = causes(error).find_map(|cause| cause.downcast_ref::<Refusal>()) {
        return refused(url, *refusal);
    }
    let host = url.host();
    let failure = if error.is_timeout() {
        Failure::new(FailureKind::TimedOut, format!("{host} did not answer in time"))
    } else if error.is_connect() {
        Failure::new(FailureKind::Unreachable, format!("{host} cannot be reached: {}", root_cause(error)))
    } else {
        Failure::new(FailureKind::BrokeOff, format!("{host} broke off: {}", root_cause(error)))
    };
    FailedRequest { error: DeliveryError::Retry(failure), unreachable: error.is_connect() }
}

fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

/// The innermost reason of an error: the outer ones show the URL.
fn root_cause(error: &reqwest::Error) -> String {
    match causes(error).last() {
        Some(cause) if !cause.is::<reqwest::Error>() => quoted(cause.to_string().as_bytes()),
        _ => "no reason given".to_owned(),
    }
}

/// At most [`MAX_QUOTED`] printable characters of an answer, on one line. What could be an address, a path or
/// a secret is masked: servers like to repeat what they were sent. So is the last word of one that was not
/// read to its end: it may be a piece of such. Of a page for browsers nothing is kept.
fn quoted(answer: &[u8]) -> String {
    const MASK: &str = "[…]";
    let is_cut = answer.len() >= MAX_ANSWER;
    let text = String::from_utf8_lossy(answer);
    if text.trim_start().starts_with('<') {
        return "a page for browsers".to_owned();
    }
    let in_word = |c: char| c.is_alphanumeric() || "._~%/\\+=?&@-".contains(c);
    let mut shown = String::new();
    let mut parts = text.split_inclusive(|c| !in_word(c)).peekable();
    while let Some(part) = parts.next() {
        let is_piece = is_cut && parts.peek().is_none();
        let word = part.trim_end_matches(|c| !in_word(c));
        let masked = is_piece || word.len() >= 24 || word.contains(['/', '\\', '@', '=', '%']);
        shown.push_str(if masked { MASK } else { word });
        shown.push_str(&part[word.len()..]);
        if shown.len() > 4 * MAX_QUOTED {
            break;
        }
    }
    let printable = |c: char| if c.is_ascii_graphic() || c == ' ' || c == '…' { c } else { '?' };
    let words: Vec<_> =
        shown.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().map(printable).take(MAX_QUOTED).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_answer_is_quoted_without_what_could_be_a_secret() {
        for (said, quote) in [
            ("no_service", "no_service"),
            ("  try again\r\n later\t", "try again later"),
            ("Cannot POST /services/T0/B0/canary", "Cannot POST […]"),
            ("no hook T0123456789B0123456789canary here", "no hook […] here"),
            ("mail to ada@example.com", "mail to […]"),
            ("token=canary", "[…]"),
            (
                "{\"message\": \"Unknown Webhook\", \"code\": 10015}",
                "{\"message\": \"Unknown Webhook\", \"code\": 10015}",
            ),
            ("<!doctype html><h1>canary", "a page for browsers"),
            ("g\u{7}esperrt\u{202e}ü", "g esperrt?"),
            ("", ""),
        ] {
            let got = quoted(said.as_bytes());
            assert!(!got.contains("canary"), "{got}");
            if said.is_ascii() {
                assert_eq!(got, quote);
            }
        }
    }

    #[test]
    fn only_a_deleted_endpoint_is_gone() {
        use WebhookFormat::{Discord, Ntfy, Slack, Standard, Telegram};
        let (gone, missing) = (StatusCode::GONE, StatusCode::NOT_FOUND);
        let blocked =
            &br#"{"ok":false,"error_code":403,"description":"Forbidden: bot was blocked by the user"}"#[..];
        let deleted = br#"{"message": "Unknown Webhook", "code": 10015}"#;
        for (format, status, body, expected) in [
            (Standard, gone, &b""[..], true),
            (Slack, gone, b"channel_is_archived", true),
            (Slack, missing, b"no_service", true),
            (Slack, missing, b"channel_not_found", false),
            (Slack, StatusCode::FORBIDDEN, b"no_service", false),
            (Discord, missing, deleted, true),
            (Discord, missing, b"no such page", false),
            (Standard, missing, deleted, false),
            (Ntfy, missing, b"no_service", false),
            (Telegram, StatusCode::FORBIDDEN, blocked, true),
            (Telegram, StatusCode::FORBIDDEN, b"nginx", false),
            (Standard, StatusCode::FORBIDDEN, blocked, false),
        ] {
            assert_eq!(is_gone(Answers::As(format), status, body), expected, "{format} {status}");
        }
    }

    #[test]
    fn a_push_service_does_not_find_who_is_gone() {
        for (status, expected) in [
            (StatusCode::GONE, true),
            (StatusCode::NOT_FOUND, true),
            (StatusCode::FORBIDDEN, false),
            (StatusCode::TOO_MANY_REQUESTS, false),
        ] {
            assert_eq!(is_gone(Answers::PushService, status, b""), expected, "{status}");
        }
    }

    #[test]
    fn a_push_service_says_whether_another_key_is_meant() {
        use KeyRefused::{AnotherIsMeant, Signature};
        let google = "the VAPID credentials in the authorization header do not correspond to the credentials \
            used to create the subscriptions.";
        let mozilla =
            r#"{"code":401,"errno":109,"error":"Unauthorized","message":"VAPID public key mismatch"}"#;
        let apple = r#"{"reason":"VapidPkHashMismatch"}"#;
        for (status, body, expected) in [
            (403, google, Some(AnotherIsMeant)),
            (401, mozilla, Some(AnotherIsMeant)),
            (400, apple, Some(AnotherIsMeant)),
            (403, apple, Some(AnotherIsMeant)),
            (403, r#"{"reason":"BadJwtToken"}"#, Some(Signature)),
            (401, "", Some(Signature)),
            (400, "", None),
            (413, "", None),
            (503, apple, None),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(
                key_refused(Answers::PushService, status, body.as_bytes()),
                expected,
                "{status} {body}"
            );
            assert_eq!(key_refused(Answers::As(WebhookFormat::Standard), status, body.as_bytes()), None);
        }
    }

    #[test]
    fn what_may_be_half_of_a_secret_is_masked() {
        let half = "T0123456canary";
        let padding = "x".repeat(MAX_ANSWER - half.len() - 1);
        assert_eq!(quoted(format!("{padding} {half}").as_bytes()), "[…] […]");
        assert_eq!(quoted(format!("{} {half}", &padding[1..]).as_bytes()), format!("[…] {half}"));
    }

    proptest! {
        #[test]
        fn any_answer_is_quoted_short_printable_and_without_long_words(
            answer: Vec<u8>,
            word in "[a-zA-Z0-9_-]{24,60}",
        ) {
            let answer = [&answer[..], b" ", word.as_bytes()].concat();
            let quote = quoted(&answer);
            prop_assert!(quote.chars().count() <= MAX_QUOTED);
            prop_assert!(quote.chars().all(|c| c.is_ascii_graphic() || c == ' ' || c == '…'));
            prop_assert!(!quote.contains(&word));
        }
    }
}
