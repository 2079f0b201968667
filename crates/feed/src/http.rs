//! The one way this crate asks a web server: bounded in time, size and number of attempts, within the
//! provider's budget, and with errors that say who answered what, but never a key or an address's query.

use crate::budget::Budget;
use crate::excerpt::excerpt;
use crate::{FeedError, FeedErrorKind, json};
use backon::Retryable as _;
use jiff::Timestamp;
use qqq_core::Clock;
use qqq_core::redaction::Redaction;
use qqq_core::retry::{self, Backoff, Breaker, BreakerSettings, http_date};
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Largest body that is read, decompressed, where its reader expects no larger one.
pub const MAX_BODY: usize = 8 << 20;
/// Of an error's body, no more than this is looked at.
const MAX_ERROR_BODY: usize = 64 << 10;
const MAX_ATTEMPTS: u32 = 4;
/// The same where an answer came that cannot be read: it may have been cut on its way, once.
const MAX_UNREADABLE: u32 = 2;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const MAX_PAUSE: Duration = Duration::from_secs(8);
/// No provider is believed when it says that its rate limit's window ends later. Nobody measured that for us:
/// where the clocks differ it may seem hours away. Windows are of a minute.
const MAX_WINDOW: Duration = Duration::from_secs(120);

const RATE_LIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// How long a request may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To connect, TLS included. Default 5 s.
    pub connect: Duration,
    /// From the first byte sent to the last one read. Default 20 s.
    pub total: Duration,
}

impl Timeouts {
    /// A total time, with the default time to connect where that is shorter.
    pub fn total(total: Duration) -> Self {
        Self { connect: Self::default().connect.min(total), total }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), total: Duration::from_secs(20) }
    }
}

/// Takes these secrets, which are sent to a provider, out of what it says.
pub(crate) fn redaction(secrets: impl IntoIterator<Item = String>) -> Redaction {
    Redaction::new(secrets, "[redacted]")
}

/// A web client with these time-outs that follows no redirect and speaks TLS by rustls with ring. It goes
/// through the proxy that the environment names, if any, but not where `base` is on this machine: there a
/// proxy elsewhere finds something else, or nothing. A server here without TLS takes no certificates either:
/// to read the system's takes longer than many an answer.
pub fn client(timeouts: Timeouts, base: &Url) -> Result<reqwest::Client, FeedError> {
    install_tls();
    let builder = reqwest::Client::builder();
    let builder = match base.scheme() {
        _ if !is_loopback(base) => builder,
        "http" => builder.no_proxy().tls_certs_only([]),
        _ => builder.no_proxy(),
    };
    builder
        .user_agent(concat!("Mozilla/5.0 (compatible; qqq-tracker/", env!("CARGO_PKG_VERSION"), ")"))
        .connect_timeout(timeouts.connect)
        .timeout(timeouts.total)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| {
            let message = format!("the web client cannot be set up: {}", root_cause(&error));
            FeedError::new(FeedErrorKind::Transient, message)
        })
}

/// Makes ring the process's TLS provider where none is installed yet.
pub(crate) fn install_tls() {
    // The error only says that somebody was faster, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// An address below a provider's base address. The base's own query and fragment are dropped.
pub(crate) fn endpoint(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    url.set_query(None);
    url.set_fragment(None);
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

/// Refuses a base address that is no web address. `key` is the setting it came from.
pub(crate) fn check_base(key: &str, base: &Url) -> Result<(), FeedError> {
    if matches!(base.scheme(), "http" | "https") && base.has_host() {
        return Ok(());
    }
    let message =
        format!("{key} is a `{}:` address; it must be http:// or https:// and a host", base.scheme());
    Err(FeedError::new(FeedErrorKind::BadRequest, message))
}

/// Whether an address is on this machine.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => true,
    }
}

/// Says so where credentials would cross a network in the clear.
pub(crate) fn warn_if_exposed(provider: &str, url: &Url) {
    if matches!(url.scheme(), "http" | "ws") && !is_loopback(url) {
        tracing::warn!(provider, "{provider} is asked without TLS: the credentials can be read on the way");
    }
}

/// The provider's own reading of a refusal: by status and body, the kind and perhaps words for the operator.
/// `None` leaves it to the status alone.
pub(crate) type Classify = fn(StatusCode, &str) -> Option<(FeedErrorKind, Option<&'static str>)>;

/// How one provider wants to be asked.
#[derive(Clone)]
pub(crate) struct ClientPolicy {
    pub(crate) provider: &'static str,
    pub(crate) timeouts: Timeouts,
    pub(crate) requests_per_minute: u32,
    /// Requests at once, within the same minute's budget.
    pub(crate) burst: u32,
    /// Whether a 429 may be asked again within the same call.
    pub(crate) retry_rate_limited: bool,
    /// Largest body that is read, decompressed.
    pub(crate) max_body: usize,
    /// First and longest pause of the circuit breaker.
    pub(crate) pause: Duration,
    pub(crate) max_pause: Duration,
    /// What no message may tell.
    pub(crate) redaction: Redaction,
    pub(crate) classify: Classify,
}

/// Asks one provider.
pub(crate) struct Caller {
    policy: ClientPolicy,
    client: reqwest::Client,
    budget: Budget,
    gate: Mutex<Gate>,
    started: Instant,
    /// Which of several equal addresses is asked first.
    preferred: AtomicUsize,
    clock: Arc<dyn Clock>,
}

struct Gate {
    breaker: Breaker,
    /// What the provider last failed with.
    reason: Option<FeedError>,
}

/// One attempt that failed.
struct Failure {
    error: FeedError,
    /// What the provider asked for.
    wait: Option<Duration>,
}

impl From<FeedError> for Failure {
    fn from(error: FeedError) -> Self {
        Self { error, wait: None }
    }
}

impl Caller {
    /// For addresses below `base`.
    pub(crate) fn new(policy: ClientPolicy, base: &Url, clock: Arc<dyn Clock>) -> Result<Self, FeedError> {
        if policy.timeouts.total.is_zero() {
            let message = format!("{}: the timeout is 0s; it must be longer", policy.provider);
            return Err(FeedError::new(FeedErrorKind::BadRequest, message));
        }
        let settings = BreakerSettings {
            failures: 5,
            pauses: Backoff::new(policy.pause, policy.max_pause),
            probe: policy.timeouts.total * 2,
        };
        Ok(Self {
            client: client(policy.timeouts, base)?,
            budget: Budget::new(policy.provider, policy.requests_per_minute, policy.burst)?,
            gate: Mutex::new(Gate { breaker: Breaker::new(settings), reason: None }),
            started: Instant::now(),
            preferred: AtomicUsize::new(0),
            policy,
            clock,
        })
    }

    /// Gets an address and parses the answer, again after failures that may pass (an answer that cannot be
    /// parsed is one), but no longer than one and a half times the time-out. `urls` are equal addresses of
    /// one thing: where one limits the rate, the next is tried, once each.
    pub(crate) async fn get<T: Send>(
        &self,
        urls: &[Url],
        headers: &HeaderMap,
        parse: impl Fn(&[u8]) -> Result<T, FeedError> + Send + Sync,
    ) -> Result<T, FeedError> {
        self.pass()?;
        self.budget.take().await;
        let deadline = Instant::now() + self.policy.timeouts.total * 3 / 2;
        let pauses = Backoff::new(FIRST_PAUSE, MAX_PAUSE);
        let (mut attempts, mut waits) = (0, 0);
        let mut others = urls.len().saturating_sub(1);
        // What to do about a failure: to wait for so long, or to give up.
        let pause_after = |(asked, failure): &(usize, Failure), _| {
            attempts += 1;
            let unreadable = failure.error.kind == FeedErrorKind::Unreadable;
            let max_attempts = if unreadable { MAX_UNREADABLE } else { MAX_ATTEMPTS };
            let limited = matches!(failure.error.kind, FeedErrorKind::RateLimited { .. });
            let pause = if limited && others > 0 {
                others -= 1;
                self.preferred.store(asked.wrapping_add(1), Ordering::Relaxed);
                Duration::ZERO
            } else if !failure.error.is_retryable()
                || (limited && !self.policy.retry_rate_limited)
                || attempts >= max_attempts
            {
                return None;
            } else {
                let asked = failure.wait.map_or(Duration::ZERO, |wait| wait + jittered(FIRST_PAUSE));
                // Another address is asked at once: that is no wait.
                waits += 1;
                asked.max(jittered(pauses.after(waits)))
            };
            (Instant::now() + pause < deadline).then_some(pause)
        };
        // The first was taken above: the time until its turn is not the provider's.
        let is_again = AtomicBool::new(false);
        let attempt = || async {
            if is_again.swap(true, Ordering::Relaxed) {
                self.budget.take().await;
            }
            let preferred = self.preferred.load(Ordering::Relaxed);
            let url = urls.get(preferred % urls.len().max(1));
            let url = url.ok_or_else(|| FeedError::new(FeedErrorKind::BadRequest, "no address to ask"));
            let answer = async { self.attempt(url?, headers, deadline, &parse).await };
            answer.await.map_err(|failure| (preferred, failure))
        };
        let outcome = attempt.retry(pauses).sleep(tokio::time::sleep).adjust(pause_after).await;
        let outcome = outcome.map_err(|(_, failure)| failure.error);
        self.settle(outcome.as_ref().err());
        outcome
    }

    async fn attempt<T>(
        &self,
        url: &Url,
        headers: &HeaderMap,
        deadline: Instant,
        parse: &(impl Fn(&[u8]) -> Result<T, FeedError> + Send + Sync),
    ) -> Result<T, Failure> {
        let timeout = self.policy.timeouts.total.min(deadline.saturating_duration_since(Instant::now()));
        let request = self.client.get(url.clone()).headers(headers.clone()).timeout(timeout);
        let response = request.send().await.map_err(|error| self.transport(url, &error))?;
        if let Some(date) = response.headers().get(DATE).and_then(|date| http_date(date.to_str().ok()?)) {
            self.clock.witness(date);
        }
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        let body = self.body(url, response).await?;
        parse(&body)
            .map_err(|error| Failure::from(FeedError { message: self.redact(&error.message), ..error }))
    }

    async fn body(&self, url: &Url, mut response: Response) -> Result<Vec<u8>, FeedError> {
        let (provider, most) = (self.policy.provider, self.policy.max_body);
        let too_large = || {
            let message = format!("{provider} answered more than {} MiB: not read on", most >> 20);
            Err(FeedError::new(FeedErrorKind::TooLarge, message))
        };
        if response.content_length().is_some_and(|length| length > most as u64) {
            return too_large();
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.transport(url, &error))? {
            if body.len() + chunk.len() > most {
                return too_large();
            }
            body.extend_from_slice(&chunk);
        }
        Ok(json::with_quoted_numbers(body))
    }

    /// What a status other than success means.
    async fn refusal(&self, mut response: Response) -> Failure {
        let status = response.status();
        let mut body = Vec::new();
        // The status is the answer; a body that does not come, or comes drop by drop, takes nothing from it.
        while body.len() < MAX_ERROR_BODY
            && let Ok(Some(chunk)) = response.chunk().await
        {
            body.extend_from_slice(&chunk);
        }
        let is_cut = body.len() > MAX_ERROR_BODY;
        body.truncate(MAX_ERROR_BODY);
        let mut text = String::from_utf8_lossy(&body).into_owned();
        if is_cut {
            text.push('…');
        }
        let (kind, words) = (self.policy.classify)(status, &text).unwrap_or_else(|| by_status(status));
        let wait = self.wait(kind, response.headers());
        let kind = match kind {
            FeedErrorKind::RateLimited { .. } => FeedErrorKind::RateLimited { retry_after: wait },
            other => other,
        };
        let said = match excerpt(&self.redact(&text)) {
            said if said.is_empty() => "and nothing else".to_owned(),
            said => said,
        };
        let mut message = format!("{} answered {status}: {said}", self.policy.provider);
        if let Some(words) = words {
            message = format!("{message} ({words})");
        }
        let told = format!("{} answered {status}", self.policy.provider);
        let error = FeedError { retry_after: wait, ..FeedError::new(kind, message).telling(told) };
        Failure { error, wait }
    }

    /// How long the provider asks to be left alone: by `Retry-After`, in seconds or as a date, or, where it
    /// limits the rate, by `X-RateLimit-Reset`, in seconds since 1970. Other answers carry the latter too,
    /// where it asks for nothing. Times are measured from the answer's own `Date`, where it has one.
    fn wait(&self, kind: FeedErrorKind, headers: &HeaderMap) -> Option<Duration> {
        let text = |name: HeaderName| headers.get(name)?.to_str().ok();
        let (date, now) = (text(DATE), self.clock.now());
        let retry_after = text(RETRY_AFTER).and_then(|value| retry::retry_after(value, date, now));
        if retry_after.is_some() {
            return retry_after;
        }
        if !matches!(kind, FeedErrorKind::RateLimited { .. }) {
            return None;
        }
        let reset: u64 = text(RATE_LIMIT_RESET)?.trim().parse().ok()?;
        let reset = Timestamp::from_second(i64::try_from(reset).ok()?).ok()?;
        let wait = reset.duration_since(date.and_then(http_date).unwrap_or(now));
        Some(Duration::try_from(wait).unwrap_or_default().min(MAX_WINDOW))
    }

    fn transport(&self, url: &Url, error: &reqwest::Error) -> FeedError {
        let provider = self.policy.provider;
        let host = url.host_str().unwrap_or("?");
        let (message, told) = if error.is_connect() && error.is_timeout() {
            (format!("{provider} cannot be reached: connecting to {host} took too long"), "cannot be reached")
        } else if error.is_connect() {
            (format!("{provider} cannot be reached at {host}: {}", root_cause(error)), "cannot be reached")
        } else if error.is_timeout() {
            (format!("{provider} ({host}) did not answer in time"), "did not answer in time")
        } else {
            (format!("{provider} ({host}) broke off: {}", root_cause(error)), "broke off")
        };
        let error = FeedError::new(FeedErrorKind::Transient, self.redact(&message));
        error.telling(format!("{provider} {told}"))
    }

    fn redact(&self, text: &str) -> String {
        self.policy.redaction.redact(text)
    }

    fn pass(&self) -> Result<(), FeedError> {
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        gate.breaker.pass(self.started.elapsed()).map_err(|wait| {
            let reason = gate.reason.clone();
            let (kind, said) = reason.map_or((FeedErrorKind::Transient, String::new()), |reason| {
                (reason.kind, format!(" after this: {}", reason.message))
            });
            let kind = match kind {
                FeedErrorKind::RateLimited { .. } => FeedErrorKind::RateLimited { retry_after: Some(wait) },
                other => other,
            };
            let seconds = wait.as_secs_f64().ceil();
            let message = format!("{} is left alone for another {seconds} s{said}", self.policy.provider);
            FeedError::new(kind, message)
        })
    }

    /// Tells the breaker how a call ended.
    fn settle(&self, error: Option<&FeedError>) {
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.started.elapsed();
        match error {
            // What cannot be read was answered, too.
            Some(error) if error.is_retryable() && error.kind != FeedErrorKind::Unreadable => {
                match error.kind {
                    FeedErrorKind::RateLimited { retry_after } => {
                        gate.breaker.refused(now, retry_after.unwrap_or_default());
                    }
                    _ => gate.breaker.failed(now),
                }
                gate.reason = Some(error.clone());
            }
            // Any other error is an answer: the provider is well.
            _ => gate.breaker.succeeded(),
        }
    }
}

fn by_status(status: StatusCode) -> (FeedErrorKind, Option<&'static str>) {
    match status.as_u16() {
        300..=399 => (FeedErrorKind::BadRequest, Some("redirects are not followed: check the base address")),
        401 | 403 => (FeedErrorKind::Auth, None),
        402 => (FeedErrorKind::NotEntitled, None),
        404 => (FeedErrorKind::NotFound, None),
        408 | 425 | 500..=599 => (FeedErrorKind::Transient, None),
        413 => (FeedErrorKind::TooLarge, None),
        429 => (FeedErrorKind::RateLimited { retry_after: None }, None),
        _ => (FeedErrorKind::BadRequest, None),
    }
}

/// A pause between half of `pause` and `pause`.
pub(crate) fn jittered(pause: Duration) -> Duration {
    // Without entropy there is no jitter: the middle.
    retry::jittered(pause, getrandom::u32().unwrap_or(u32::MAX / 2))
}

/// The innermost reason of an error: the outer ones repeat the address.
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    // An error without a cause may show the address it was for.
    if cause.is::<reqwest::Error>() { "no reason given".to_owned() } else { excerpt(&cause.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::excerpt::EXCERPT;
    use proptest::prelude::*;
    use qqq_testkit::http::{Reply, Server};

    #[test]
    fn an_endpoint_keeps_the_base_path_and_drops_its_query() {
        let base: Url = "https://example.org/stable/?token=x#y".parse().expect("an address");
        assert_eq!(endpoint(&base, &["stock", "A/B"]).as_str(), "https://example.org/stable/stock/A%2FB");
    }

    #[test]
    fn an_address_that_is_no_web_address_is_refused_by_its_setting() {
        for text in ["ftp://example.org", "data:text/plain,x", "file:///etc/hosts"] {
            let error =
                check_base("feed.yahoo.base_url", &text.parse().expect("an address")).expect_err(text);
            assert!(error.message.contains("feed.yahoo.base_url"), "{error}");
        }
    }

    struct Epoch;

    impl Clock for Epoch {
        fn now(&self) -> jiff::Timestamp {
            jiff::Timestamp::UNIX_EPOCH
        }
    }

    #[tokio::test]
    async fn where_one_host_limits_the_rate_the_other_is_tried_once_and_then_first() {
        let policy = ClientPolicy {
            provider: "test",
            timeouts: Timeouts::default(),
            requests_per_minute: 60_000,
            burst: 100,
            retry_rate_limited: false,
            max_body: MAX_BODY,
            pause: Duration::from_secs(60),
            max_pause: Duration::from_secs(60),
            redaction: redaction([]),
            classify: |_, _| None,
        };
        let limiting = Server::always(Reply::status(429, "")).await;
        let open = Server::always(Reply::ok("")).await;
        let limited = &limiting.url;
        let caller = Caller::new(policy, limited, Arc::new(Epoch)).expect("a caller");
        let counts = || (limiting.requests().len(), open.requests().len());
        let (urls, headers) = ([limited.clone(), open.url.clone()], HeaderMap::new());
        caller.get(&urls, &headers, |_| Ok(())).await.expect("the other host answers");
        assert_eq!(counts(), (1, 1));
        caller.get(&urls, &headers, |_| Ok(())).await.expect("the other host answers");
        assert_eq!(counts(), (1, 2), "the host that answered is asked first");

        let error =
            caller.get(&[limited.clone(), limited.clone()], &headers, |_| Ok(())).await.expect_err("429");
        assert!(matches!(error.kind, FeedErrorKind::RateLimited { .. }));
        assert_eq!(counts(), (3, 2), "each once");
        assert!(caller.get(&urls, &headers, |_| Ok(())).await.is_err());
        assert_eq!(counts(), (3, 2), "then both are left alone");
    }

    /// Where the excerpt ends in the middle of a secret, and where what is between them was left out.
    #[test]
    fn half_a_secret_in_an_answer_that_cannot_be_read_is_no_more_told_than_a_whole_one() {
        let redaction = redaction(["PKTESTKEYID000000001".to_owned()]);
        for before in
            ["x".repeat(EXCERPT - 10), "x".repeat(EXCERPT - 30), " ".repeat(990), " ".repeat(EXCERPT * 8 - 9)]
        {
            let body = format!("[1]{before} PKTESTKEYID000000001 is no key of {}", "y".repeat(EXCERPT));
            let error = json::read::<Vec<u8>>("test", body.as_bytes()).expect_err("no JSON");
            let told = redaction.redact(&error.message);
            assert!(!told.contains("PKTE") && told.contains("[redacted]"), "{told}");
        }
    }

    proptest! {
        #[test]
        fn an_excerpt_is_short_and_safe(text in any::<String>()) {
            let shown = excerpt(&text);
            prop_assert!(shown.chars().count() <= EXCERPT + 1);
            prop_assert!(!shown.chars().any(char::is_control));
        }
    }
}
