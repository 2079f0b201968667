//! The SMTP client: one connection, one message, one recipient (RFC 5321).
//!
//! Each step has its own deadline. The one that matters is the last: after the final dot a server may take
//! ten minutes to answer (RFC 5321, section 4.5.3.2.6), and who hangs up earlier sends accepted mail twice.
//!
//! Only a refusal of this very message or of this very recipient is final. Whatever smells of a wrong setting
//! (no STARTTLS, a bad certificate, a refused login, a sender or a relay that is not allowed) is tried again:
//! the operator mends it, and no alert is lost meanwhile. How long is bounded by the delivery's expiry.

use super::smtp_url::{Login, Security, SmtpUrl};
use crate::DeliveryError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lettre::Message;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, AsyncTokioStream, Certificate, CertificateStore, TlsParameters,
};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::{Code, Response};
use qqq_core::redaction::Redaction;
use std::error::Error as _;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long each step of a conversation may take.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// Finding the host and connecting, all its addresses together.
    pub connect: Duration,
    /// TLS handshake where there is one, the server's greeting and its answer to EHLO.
    pub greeting: Duration,
    /// STARTTLS, the handshake and the second EHLO.
    pub starttls: Duration,
    /// AUTH.
    pub login: Duration,
    /// Each of MAIL FROM, RCPT TO and DATA.
    pub command: Duration,
    /// The message and the answer to its final dot.
    pub acceptance: Duration,
    /// QUIT. Nothing depends on its answer.
    pub quit: Duration,
}

impl Deadlines {
    /// At least what RFC 5321, section 4.5.3.2, asks of a client; connecting is ours to choose.
    pub const RFC_5321: Self = Self {
        connect: Duration::from_secs(30),
        greeting: Duration::from_secs(5 * 60),
        starttls: Duration::from_secs(2 * 60),
        login: Duration::from_secs(2 * 60),
        command: Duration::from_secs(5 * 60),
        acceptance: Duration::from_secs(10 * 60),
        quit: Duration::from_secs(2),
    };

    /// The longest an attempt can take. A lease on a delivery must outlive it, or be renewed.
    pub fn total(&self) -> Duration {
        self.connect
            + self.greeting
            + self.starttls
            + self.login
            + 3 * self.command
            + self.acceptance
            + self.quit
    }
}

/// Where in the conversation something went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Connect,
    Greeting,
    StartTls,
    Login,
    Sender,
    Recipient,
    Data,
    Message,
}

/// What a 5xx is about, by the second number of an enhanced status code (RFC 3463, section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    /// 5.1.x and 5.2.x.
    AddressOrMailbox,
    /// 5.7.x: security or policy, such as a relay that is not allowed.
    Policy,
    /// Any other.
    Other,
}

impl Subject {
    /// Reads the code a reply's text begins with (RFC 2034, section 4).
    fn of(reply: &str) -> Option<Self> {
        let code = reply.split_whitespace().next()?;
        let mut numbers = code.split('.').map(|part| part.parse::<u16>().ok());
        match (numbers.next()??, numbers.next()??, numbers.next()??, numbers.next()) {
            (5, 1 | 2, _, None) => Some(Self::AddressOrMailbox),
            (5, 7, _, None) => Some(Self::Policy),
            (5, _, _, None) => Some(Self::Other),
            _ => None,
        }
    }
}

impl Step {
    /// Whether a 5xx here is about the message or its recipient, not about how we are set up.
    const fn is_refused_for_good(self, code: u16, subject: Option<Subject>) -> bool {
        match (self, subject) {
            (Self::Recipient, None) => matches!(code, 550 | 551 | 553),
            (Self::Recipient, Some(subject)) => matches!(subject, Subject::AddressOrMailbox),
            (Self::Data | Self::Message, subject) => !matches!(subject, Some(Subject::Policy)),
            _ => false,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "the connection",
            Self::Greeting => "the greeting",
            Self::StartTls => "STARTTLS",
            Self::Login => "the login",
            Self::Sender => "MAIL FROM",
            Self::Recipient => "RCPT TO",
            Self::Data => "DATA",
            Self::Message => "the message",
        })
    }
}

/// A failed step. After an answer the server still listens, and QUIT is due.
struct Failure {
    error: DeliveryError,
    answered: bool,
}

/// A mail server.
pub(crate) struct Smtp {
    url: SmtpUrl,
    tls: Option<TlsParameters>,
    hello: ClientId,
    pub(crate) deadlines: Deadlines,
}

impl Smtp {
    /// Reads the certificates to trust. The error says what is wrong with `?ca=`.
    pub(crate) fn new(url: SmtpUrl, deadlines: Deadlines) -> Result<Self, String> {
        let tls = if url.security == Security::Clear { None } else { Some(tls_parameters(&url)?) };
        Ok(Self { url, tls, hello: ClientId::default(), deadlines })
    }

    /// Hands one message over. `Ok` once the server took responsibility for it.
    pub(crate) async fn send(&self, message: &Message) -> Result<(), DeliveryError> {
        let mut connection = self.open().await?;
        let handed = self.hand_over(&mut connection, message).await;
        if handed.as_ref().err().is_none_or(|failure| failure.answered) {
            self.take_leave(connection).await;
        }
        handed.map_err(|failure| failure.error)
    }

    /// Connects, negotiates TLS and logs in, sends nothing.
    pub(crate) async fn check(&self) -> Result<String, DeliveryError> {
        let connection = self.open().await?;
        let encrypted = if connection.is_encrypted() { "over TLS" } else { "without TLS" };
        let login = if self.url.credentials.is_some() { "and accepts the login" } else { "no login set" };
        self.take_leave(connection).await;
        Ok(format!("the mail server {} answers {encrypted}, {login}", self.url.address()))
    }

    /// Which server, how protected. No user, no password.
    pub(crate) fn describe(&self) -> String {
        let login = if self.url.credentials.is_some() { ", with login" } else { "" };
        format!("over SMTP to {} ({}{login})", self.url.address(), self.url.security)
    }

    async fn open(&self) -> Result<AsyncSmtpConnection, DeliveryError> {
        let opened = async {
            let mut connection = self.greet().await?;
            self.encrypt(&mut connection).await?;
            self.log_in(&mut connection).await?;
            Ok(connection)
        };
        opened.await.map_err(|failure: Failure| failure.error)
    }

    async fn greet(&self) -> Result<AsyncSmtpConnection, Failure> {
        if let (Security::Implicit, Some(tls)) = (self.url.security, &self.tls) {
            let server = (self.url.host.as_str(), self.url.port);
            let limit = self.deadlines.connect + self.deadlines.greeting;
            let connecting = AsyncSmtpConnection::connect_tokio1(
                server,
                Some(self.deadlines.connect),
                &self.hello,
                Some(tls.clone()),
                None,
            );
            return self.step(Step::Greeting, limit, connecting).await;
        }
        let stream = self.connect().await?;
        let greeting = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &self.hello);
        self.step(Step::Greeting, self.deadlines.greeting, greeting).await
    }

    async fn connect(&self) -> Result<Wire, Failure> {
        match timeout(self.deadlines.connect, self.connect_to_any_address()).await {
            Ok(Ok(stream)) => Ok(Wire::new(stream)),
            Ok(Err(error)) => Err(self.retry(format!("cannot be reached: {error}"), false)),
            Err(_) => Err(self.timed_out(Step::Connect, self.deadlines.connect)),
        }
    }

    /// Tries one address after the other, with an equal share of the time each: one that swallows packets
    /// must not hide one that works.
    async fn connect_to_any_address(&self) -> io::Result<TcpStream> {
        let found = tokio::net::lookup_host((self.url.host.as_str(), self.url.port)).await?;
        let addresses: Vec<SocketAddr> = found.take(MAX_ADDRESSES).collect();
        let share = self.deadlines.connect / addresses.len().max(1) as u32;
        let mut last = io::Error::other("its name has no address");
        for address in addresses {
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(last)
    }

    async fn encrypt(&self, connection: &mut AsyncSmtpConnection) -> Result<(), Failure> {
        let offered = connection.can_starttls();
        match (self.url.security, &self.tls) {
            (Security::Required | Security::Opportunistic, Some(tls)) if offered => {
                let upgrade = connection.starttls(tls.clone(), &self.hello);
                self.step(Step::StartTls, self.deadlines.starttls, upgrade).await
            }
            (Security::Required, _) => Err(self.retry(
                "offers no STARTTLS, which email.smtp_url requires; nothing was sent".to_owned(),
                true,
            )),
            _ => Ok(()),
        }
    }

    async fn log_in(&self, connection: &mut AsyncSmtpConnection) -> Result<(), Failure> {
        let Some(Login { user, password }) = &self.url.credentials else { return Ok(()) };
        if !connection.is_encrypted() && self.url.security != Security::Clear {
            return Err(self.retry(
                "offers no STARTTLS, and a password is not sent in clear text unless email.smtp_url says \
                 tls=none; nothing was sent"
                    .to_owned(),
                true,
            ));
        }
        let credentials = Credentials::new(user.clone(), password.clone());
        let login = connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials);
        let response = self.step(Step::Login, self.deadlines.login, login).await?;
        self.expect(Step::Login, &response, |code| code / 100 == 2)
    }

    async fn hand_over(
        &self,
        connection: &mut AsyncSmtpConnection,
        message: &Message,
    ) -> Result<(), Failure> {
        let (envelope, limit) = (message.envelope(), self.deadlines.command);
        let completed = |code| code / 100 == 2;

        let sender = connection.command(Mail::new(envelope.from().cloned(), vec![]));
        let response = self.step(Step::Sender, limit, sender).await?;
        self.expect(Step::Sender, &response, completed)?;
        for recipient in envelope.to() {
            let recipient = connection.command(Rcpt::new(recipient.clone(), vec![]));
            let response = self.step(Step::Recipient, limit, recipient).await?;
            self.expect(Step::Recipient, &response, completed)?;
        }
        let response = self.step(Step::Data, limit, connection.command(Data)).await?;
        self.expect(Step::Data, &response, |code| code == 354)?;

        let content = message.formatted();
        let response =
            self.step(Step::Message, self.deadlines.acceptance, connection.message(&content)).await?;
        self.expect(Step::Message, &response, completed)
    }

    /// Says QUIT. The message is settled by now, whatever the server answers.
    async fn take_leave(&self, mut connection: AsyncSmtpConnection) {
        let _ = timeout(self.deadlines.quit, connection.quit()).await;
    }

    /// Runs one step under its deadline and sorts what can go wrong in it.
    async fn step<T>(
        &self,
        step: Step,
        limit: Duration,
        work: impl Future<Output = Result<T, lettre::transport::smtp::Error>>,
    ) -> Result<T, Failure> {
        match timeout(limit, work).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(self.failed(step, &error)),
            Err(_) => Err(self.timed_out(step, limit)),
        }
    }

    fn expect(&self, step: Step, response: &Response, fits: fn(u16) -> bool) -> Result<(), Failure> {
        let code = u16::from(response.code());
        if fits(code) {
            return Ok(());
        }
        Err(self.retry(format!("answered {step} with {code}, which is no answer to it"), true))
    }

    fn timed_out(&self, step: Step, limit: Duration) -> Failure {
        let after = if step == Step::Message { "; the message may have been accepted" } else { "" };
        self.retry(format!("did not answer {step} within {limit:?}{after}"), false)
    }

    fn failed(&self, step: Step, error: &lettre::transport::smtp::Error) -> Failure {
        if let Some(code) = error.status() {
            return self.refused(step, code, error);
        }
        let cause = self.shown(&root_cause(error));
        let after = if step == Step::Message { "; the message may have been accepted" } else { "" };
        self.retry(format!("broke off at {step}: {cause}{after}"), false)
    }

    fn refused(&self, step: Step, code: Code, error: &lettre::transport::smtp::Error) -> Failure {
        let code = u16::from(code);
        let reply = error.source().map(ToString::to_string).unwrap_or_default();
        let subject = Subject::of(&reply);
        let reply = self.shown(&reply);
        let hint = match (code, step, subject) {
            // RFC 4954, sections 4.2 and 6: authentication is missing, refused, or too weak.
            (530 | 534 | 535 | 538, _, _) => "; see user, password and tls in email.smtp_url",
            (500.., Step::Sender, _) | (500.., Step::Recipient, Some(Subject::Policy)) => {
                "; see email.from and whom the server relays for"
            }
            _ => "",
        };
        let said = format!("refused {step}: {code} {reply}{hint}");
        if code >= 500 && hint.is_empty() && step.is_refused_for_good(code, subject) {
            Failure { error: DeliveryError::GiveUp(self.says(&said)), answered: true }
        } else {
            self.retry(said, true)
        }
    }

    fn retry(&self, what: String, answered: bool) -> Failure {
        Failure { error: DeliveryError::Retry(self.says(&what)), answered }
    }

    fn says(&self, what: &str) -> String {
        format!("the mail server {} {what}", self.url.address())
    }

    /// What of the server's words may be stored and logged: no address, and no echo of the login.
    fn shown(&self, text: &str) -> String {
        let mut text: String = text.chars().take(MAX_QUOTED * 10).collect();
        if let Some(Login { user, password }) = &self.url.credentials {
            let plain = format!("\0{user}\0{password}");
            let encoded = [BASE64.encode(plain), BASE64.encode(password), BASE64.encode(user)];
            let login = encoded.into_iter().chain([password.clone(), user.clone()]);
            text = Redaction::new(login, MASK).redact(&text);
        }
        quoted(&text)
    }
}

/// Characters of a server's reply that are kept.
const MAX_QUOTED: usize = 200;
/// What stands where an address or a secret stood.
const MASK: &str = "[…]";

/// At most [`MAX_QUOTED`] printable characters on one line, words with an `@` masked.
fn quoted(text: &str) -> String {
    let words = text.split(|character: char| character.is_whitespace() || character.is_control());
    let words =
        words.filter(|word| !word.is_empty()).map(|word| if word.contains('@') { MASK } else { word });
    let line = words.collect::<Vec<_>>().join(" ");
    let printable = |character: char| character.is_ascii_graphic() || character == ' ' || character == '…';
    line.chars()
        .map(|character| if printable(character) { character } else { '?' })
        .take(MAX_QUOTED)
        .collect()
}

/// The innermost reason: "invalid peer certificate", not "connection error".
fn root_cause(error: &lettre::transport::smtp::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn tls_parameters(url: &SmtpUrl) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(url.host.clone());
    if let Some(file) = &url.ca {
        let problem = |what: &str| format!("its option `ca` names {}, which {what}", file.display());
        let pem = std::fs::read(file).map_err(|error| problem(&format!("cannot be read: {error}")))?;
        let holds_one = String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----");
        let certificate = Certificate::from_pem(&pem).ok().filter(|_| holds_one);
        let certificate = certificate.ok_or_else(|| problem("holds no PEM certificate"))?;
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(certificate);
    } else if url.security == Security::Opportunistic && url.credentials.is_none() {
        // Without TLS the same message would go in clear text, so any certificate is better than none
        // (RFC 7435). A local server's is often self-made.
        builder = builder.dangerous_accept_invalid_certs(true).dangerous_accept_invalid_hostnames(true);
    }
    builder.build().map_err(|error| format!("TLS cannot be set up: {error}"))
}

/// Addresses of a host that are tried.
const MAX_ADDRESSES: usize = 8;

/// The most a server may say on one connection.
const MAX_RECEIVED: usize = 256 * 1024;

/// The connection as the dialogue reads it: at most one line at a time, and [`MAX_RECEIVED`] in all.
///
/// One line at a time keeps whatever came behind the answer to STARTTLS out of the dialogue's buffer: what
/// somebody slipped in before the encryption reaches the TLS handshake, which fails, and is never taken for
/// the server's answers after it (CVE-2011-0411).
///
/// `smtps://` does without: there a server has shown its certificate before it says a word.
#[derive(Debug)]
struct Wire {
    stream: BufReader<TcpStream>,
    left: usize,
}

impl Wire {
    fn new(stream: TcpStream) -> Self {
        Self { stream: BufReader::new(stream), left: MAX_RECEIVED }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        let received = ready!(Pin::new(&mut wire.stream).poll_fill_buf(context))?;
        let line = received.iter().position(|byte| *byte == b'\n').map_or(received.len(), |at| at + 1);
        let taken = line.min(into.remaining());
        if taken > wire.left {
            return Poll::Ready(Err(io::Error::other("the server says too much")));
        }
        into.put_slice(&received[..taken]);
        wire.left -= taken;
        Pin::new(&mut wire.stream).consume(taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

impl AsyncTokioStream for Wire {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.get_ref().peer_addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_answer_after_the_final_dot_is_awaited_for_ten_minutes() {
        assert!(Deadlines::RFC_5321.acceptance >= Duration::from_secs(600));
        assert!(Deadlines::RFC_5321.total() < Duration::from_secs(45 * 60));
    }

    #[test]
    fn a_quoted_reply_names_no_address_and_no_part_of_the_login() {
        let url = "smtp://ops:hunter2@mail.example.com".parse().unwrap();
        let smtp = Smtp::new(url, Deadlines::RFC_5321).unwrap();
        let login = BASE64.encode("\0ops\0hunter2");
        let shown = smtp
            .shown(&format!("5.1.1 <ada@example.com>: no\r\nsuch user; AUTH PLAIN {login} hunter2 \u{7}ü"));
        assert_eq!(shown, "5.1.1 […] no such user; AUTH PLAIN […] […] ?");
    }

    #[test]
    fn a_login_of_plain_words_leaves_a_reply_readable() {
        let url = "smtp://mail:s@mail.example.com".parse().unwrap();
        let smtp = Smtp::new(url, Deadlines::RFC_5321).unwrap();
        let reply = "535 5.7.8 this mail server says: authentication failed";
        assert_eq!(smtp.shown(reply), reply);
    }

    proptest! {
        #[test]
        fn any_reply_is_quoted_short_printable_and_without_addresses(text in "(\\PC|[@\r\n\t ]){0,400}") {
            let quoted = quoted(&text);
            prop_assert!(quoted.chars().count() <= MAX_QUOTED);
            prop_assert!(!quoted.contains(['@', '\r', '\n']));
        }
    }
}
