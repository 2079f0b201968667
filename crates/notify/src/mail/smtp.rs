//! The SMTP client: one connection, one message, one recipient (RFC 5321).
//!
//! Each step has its own deadline. The one that matters is the last: after the final dot a server may take
//! ten minutes to answer (RFC 5321, section 4.5.3.2.6), and who hangs up earlier sends accepted mail twice.
//!
//! Only a refusal of this very message or of this very recipient is final. Whatever smells of a wrong setting
//! (no STARTTLS, a bad certificate, a refused EHLO or login, a sender or a relay that is not allowed) is
//! tried again: the operator mends it, and no alert is lost meanwhile. How long is bounded by the delivery's
//! expiry.

use super::ehlo::EhloName;
use super::smtp_step::{FailedStep, MailFault, Step, Subject};
use super::smtp_url::{Login, Security, SmtpUrl};
use super::smtp_wire::Wire;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::commands::{Data, Ehlo, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, MailParameter};
use lettre::transport::smtp::response::{Code, Response};
use lettre::{Address, Message};
use qqq_core::delivery::FailureKind;
use qqq_core::redaction::Redaction;
use std::error::Error as _;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;
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

/// A mail server.
pub(crate) struct Smtp {
    url: SmtpUrl,
    tls: Option<TlsParameters>,
    hello: EhloName,
    pub(crate) deadlines: Deadlines,
}

impl Smtp {
    /// Reads the certificates to trust. The error says what is wrong with `?ca=`.
    pub(crate) fn new(url: SmtpUrl, hello: EhloName, deadlines: Deadlines) -> Result<Self, String> {
        let tls = if url.security == Security::Clear { None } else { Some(tls_parameters(&url)?) };
        Ok(Self { url, tls, hello, deadlines })
    }

    /// Hands one message over. `Ok` once the server took responsibility for it.
    pub(crate) async fn send(&self, message: &Message) -> Result<(), FailedStep> {
        let mut session = self.greet().await?;
        let sent = session.send(message).await;
        session.end(sent).await
    }

    /// Goes the way of a message of `size` bytes from `sender` up to its content, and sends none: TLS, login,
    /// MAIL FROM with the size where the server limits it, and RCPT TO for the sender's own mailbox. Answers
    /// one line for the operator.
    ///
    /// A refusal of that mailbox itself is told and is no failure: nobody has to receive mail to send some.
    pub(crate) async fn check(&self, sender: &Address, size: usize) -> Result<String, FailedStep> {
        let mut session = self.greet().await?;
        let rehearsed = session.rehearse(sender, size).await;
        let hello = session.hello.to_string();
        let own_mailbox = session.end(rehearsed).await?;
        let encrypted = if session.connection.is_encrypted() { "over TLS" } else { "without TLS" };
        let login = if self.url.credentials.is_some() { "and accepts the login" } else { "no login set" };
        let mut line = format!(
            "the mail server {} answers {encrypted}, {login}; it is told `EHLO {hello}`",
            self.url.address()
        );
        if let Some(refusal) = own_mailbox {
            line.push_str(&format!("; of mail to email.from itself: {refusal}"));
        }
        Ok(line)
    }

    /// Which server, how protected. No user, no password.
    pub(crate) fn describe(&self) -> String {
        let login = if self.url.credentials.is_some() { ", with login" } else { "" };
        format!("over SMTP to {} ({}{login})", self.url.address(), self.url.security)
    }

    /// Connects and introduces itself.
    async fn greet(&self) -> Result<Session<'_>, FailedStep> {
        let (hello, greeted) = match (self.url.security, &self.tls) {
            (Security::Implicit, Some(tls)) => {
                let addresses = self.within(Step::Connect, self.deadlines.connect, self.addresses()).await?;
                let hello = self.hello.on(local_address(&addresses));
                let limit = self.deadlines.connect + self.deadlines.greeting;
                let (patience, tls) = (Some(self.deadlines.connect), Some(tls.clone()));
                let connecting =
                    AsyncSmtpConnection::connect_tokio1(&*addresses, patience, &hello, tls, None);
                let greeted = self.step(Step::Greeting, limit, connecting).await;
                (hello, greeted)
            }
            _ => {
                let (stream, local) =
                    self.within(Step::Connect, self.deadlines.connect, self.connect()).await?;
                let hello = self.hello.on(local);
                let greeting =
                    AsyncSmtpConnection::connect_with_transport(Box::new(Wire::new(stream)), &hello);
                let greeted = self.step(Step::Greeting, self.deadlines.greeting, greeting).await;
                (hello, greeted)
            }
        };
        match greeted {
            Ok(connection) => Ok(Session { smtp: self, hello, connection }),
            Err(failure) => Err(failure.having_said(&hello)),
        }
    }

    /// Tries one address after the other, with an equal share of the time each: one that swallows packets
    /// must not hide one that works. Answers our own address of the connection, too.
    async fn connect(&self) -> io::Result<(TcpStream, IpAddr)> {
        let addresses = self.addresses().await?;
        let share = self.deadlines.connect / addresses.len().max(1) as u32;
        let mut last = io::Error::other("its name has no address");
        for address in addresses {
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    let local = stream.local_addr()?.ip();
                    return Ok((stream, local));
                }
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(last)
    }

    async fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        let found = tokio::net::lookup_host((self.url.host.as_str(), self.url.port)).await?;
        Ok(found.take(MAX_ADDRESSES).collect())
    }

    /// Runs what comes before the first word under its deadline.
    async fn within<T>(
        &self,
        step: Step,
        limit: Duration,
        work: impl Future<Output = io::Result<T>>,
    ) -> Result<T, FailedStep> {
        match timeout(limit, work).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => {
                let said = format!("cannot be reached: {error}");
                Err(self.retry(MailFault::Server, FailureKind::Unreachable, said, false))
            }
            Err(_) => Err(self.timed_out(step, limit)),
        }
    }

    /// Runs one step under its deadline and sorts what can go wrong in it.
    async fn step<T>(
        &self,
        step: Step,
        limit: Duration,
        work: impl Future<Output = Result<T, lettre::transport::smtp::Error>>,
    ) -> Result<T, FailedStep> {
        match timeout(limit, work).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(self.failed(step, &error)),
            Err(_) => Err(self.timed_out(step, limit)),
        }
    }

    fn expect(&self, step: Step, response: &Response, fits: fn(u16) -> bool) -> Result<(), FailedStep> {
        let code = u16::from(response.code());
        if fits(code) {
            return Ok(());
        }
        let said = format!("answered {step} with {code}, which is no answer to it");
        Err(self.retry(MailFault::Server, FailureKind::refused(code), said, true))
    }

    fn timed_out(&self, step: Step, limit: Duration) -> FailedStep {
        let after = if step == Step::Message { "; the message may have been accepted" } else { "" };
        let said = format!("did not answer {step} within {limit:?}{after}");
        self.retry(MailFault::Server, FailureKind::TimedOut, said, false)
    }

    fn failed(&self, step: Step, error: &lettre::transport::smtp::Error) -> FailedStep {
        if let Some(code) = error.status() {
            return self.refused(step, code, error);
        }
        let cause = self.shown(&root_cause(error));
        let after = if step == Step::Message { "; the message may have been accepted" } else { "" };
        let fault = if step == Step::Login { MailFault::Login } else { MailFault::Server };
        self.retry(fault, FailureKind::BrokeOff, format!("broke off at {step}: {cause}{after}"), false)
    }

    fn refused(&self, step: Step, code: Code, error: &lettre::transport::smtp::Error) -> FailedStep {
        let code = u16::from(code);
        // Greeting and EHLO are one to the library. These alone can be a greeting (RFC 5321, section 4.3.2).
        let step = match (step, code) {
            (Step::Greeting, 421 | 554) => Step::Greeting,
            (Step::Greeting, _) => Step::Hello,
            _ => step,
        };
        let reply = error.source().map(ToString::to_string).unwrap_or_default();
        let subject = Subject::of(&reply);
        let fault = step.fault(code, subject, &reply);
        let hint = match fault {
            MailFault::Login => "; see user, password and tls in email.smtp_url",
            MailFault::Sender => "; see email.from and whom the server relays for",
            _ => "",
        };
        let said = format!("refused {step}: {code} {}{hint}", self.shown(&reply));
        let is_final = code >= 500 && fault == MailFault::Message && step.is_refused_for_good(code, subject);
        let kind = match fault {
            MailFault::Hello => FailureKind::GreetingRefused,
            _ => FailureKind::refused(code),
        };
        FailedStep { is_final, ..self.retry(fault, kind, said, true) }
    }

    fn retry(&self, fault: MailFault, kind: FailureKind, what: String, answered: bool) -> FailedStep {
        let what = format!("the mail server {} {what}", self.url.address());
        FailedStep { what, fault, kind, is_final: false, answered }
    }

    /// What of the server's words may be stored and logged: no address, and no echo of the login.
    fn shown(&self, text: &str) -> String {
        let mut text = text.to_owned();
        if let Some(Login { user, password }) = &self.url.credentials {
            let plain = format!("\0{user}\0{password}");
            let encoded = [BASE64.encode(plain), BASE64.encode(password), BASE64.encode(user)];
            let login = encoded.into_iter().chain([password.clone(), user.clone()]);
            text = Redaction::new(login, MASK).redact(&text);
        }
        quoted(&text)
    }
}

/// A conversation, from the server's answer to EHLO on.
struct Session<'s> {
    smtp: &'s Smtp,
    /// What was said in EHLO.
    hello: ClientId,
    connection: AsyncSmtpConnection,
}

/// A positive answer to a command.
const COMPLETED: fn(u16) -> bool = |code| code / 100 == 2;

impl Session<'_> {
    async fn send(&mut self, message: &Message) -> Result<(), FailedStep> {
        self.encrypt().await?;
        self.log_in().await?;
        let (envelope, smtp) = (message.envelope(), self.smtp);
        self.sender(envelope.from(), None).await?;
        for recipient in envelope.to() {
            self.recipient(recipient).await?;
        }
        let data = self.connection.command(Data);
        let response = smtp.step(Step::Data, smtp.deadlines.command, data).await?;
        smtp.expect(Step::Data, &response, |code| code == 354)?;

        let content = message.formatted();
        let message = self.connection.message(&content);
        let response = smtp.step(Step::Message, smtp.deadlines.acceptance, message).await?;
        smtp.expect(Step::Message, &response, COMPLETED)
    }

    /// As [`send`](Self::send), up to the content. Answers how the server refused the sender's own mailbox,
    /// if it did.
    async fn rehearse(&mut self, sender: &Address, size: usize) -> Result<Option<String>, FailedStep> {
        self.encrypt().await?;
        let limits_size = self.limits_size().await?;
        self.log_in().await?;
        self.sender(Some(sender), limits_size.then_some(size)).await?;
        match self.recipient(sender).await {
            Err(refusal) if refusal.answered && refusal.fault == MailFault::Message => Ok(Some(refusal.what)),
            result => result.map(|()| None),
        }
    }

    async fn encrypt(&mut self) -> Result<(), FailedStep> {
        let (smtp, offered) = (self.smtp, self.connection.can_starttls());
        match (smtp.url.security, &smtp.tls) {
            (Security::Required | Security::Opportunistic, Some(tls)) if offered => {
                let upgrade = self.connection.starttls(tls.clone(), &self.hello);
                smtp.step(Step::StartTls, smtp.deadlines.starttls, upgrade).await
            }
            (Security::Required, _) => Err(smtp.retry(
                MailFault::Server,
                FailureKind::Other,
                "offers no STARTTLS, which email.smtp_url requires; nothing was sent".to_owned(),
                true,
            )),
            _ => Ok(()),
        }
    }

    async fn log_in(&mut self) -> Result<(), FailedStep> {
        let smtp = self.smtp;
        let Some(Login { user, password }) = &smtp.url.credentials else { return Ok(()) };
        if !self.connection.is_encrypted() && smtp.url.security != Security::Clear {
            return Err(smtp.retry(
                MailFault::Server,
                FailureKind::Other,
                "offers no STARTTLS, and a password is not sent in clear text unless email.smtp_url says \
                 tls=none; nothing was sent"
                    .to_owned(),
                true,
            ));
        }
        let credentials = Credentials::new(user.clone(), password.clone());
        let login = self.connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials);
        let response = smtp.step(Step::Login, smtp.deadlines.login, login).await?;
        smtp.expect(Step::Login, &response, COMPLETED)
    }

    /// Whether the server says how large a message may be (RFC 1870). The library keeps that answer to
    /// itself.
    async fn limits_size(&mut self) -> Result<bool, FailedStep> {
        let again = self.connection.command(Ehlo::new(self.hello.clone()));
        let response = self.smtp.step(Step::Hello, self.smtp.deadlines.greeting, again).await?;
        let mut keywords = response.message().filter_map(|line| line.split_whitespace().next());
        Ok(keywords.any(|keyword| keyword.eq_ignore_ascii_case("SIZE")))
    }

    /// MAIL FROM, with the size of the message where that is asked about.
    async fn sender(&mut self, sender: Option<&Address>, size: Option<usize>) -> Result<(), FailedStep> {
        let parameters = size.map(MailParameter::Size).into_iter().collect();
        let command = self.connection.command(Mail::new(sender.cloned(), parameters));
        let response = self.smtp.step(Step::Sender, self.smtp.deadlines.command, command).await?;
        self.smtp.expect(Step::Sender, &response, COMPLETED)
    }

    /// RCPT TO.
    async fn recipient(&mut self, recipient: &Address) -> Result<(), FailedStep> {
        let command = self.connection.command(Rcpt::new(recipient.clone(), vec![]));
        let response = self.smtp.step(Step::Recipient, self.smtp.deadlines.command, command).await?;
        self.smtp.expect(Step::Recipient, &response, COMPLETED)
    }

    /// Says QUIT to a server that still listens. What was done is done by now, whatever it answers.
    async fn end<T>(&mut self, done: Result<T, FailedStep>) -> Result<T, FailedStep> {
        if done.as_ref().err().is_none_or(|failure| failure.answered) {
            let _ = timeout(self.smtp.deadlines.quit, self.connection.quit()).await;
        }
        done.map_err(|failure| failure.having_said(&self.hello))
    }
}

/// The address of ours from which the first of `servers` that there is a way to is reached. Nothing is sent:
/// connecting a datagram socket looks up the way.
fn local_address(servers: &[SocketAddr]) -> IpAddr {
    let toward = |server: &SocketAddr| {
        let any: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect(server).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    // Without a way there, no connection comes about either.
    servers.iter().find_map(toward).unwrap_or(Ipv4Addr::LOCALHOST.into())
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
        let smtp = Smtp::new(url, EhloName::LocalAddress, Deadlines::RFC_5321).unwrap();
        let login = BASE64.encode("\0ops\0hunter2");
        let shown = smtp
            .shown(&format!("5.1.1 <ada@example.com>: no\r\nsuch user; AUTH PLAIN {login} hunter2 \u{7}ü"));
        assert_eq!(shown, "5.1.1 […] no such user; AUTH PLAIN […] […] ?");
    }

    #[test]
    fn a_long_reply_is_cut_after_the_login_was_taken_out() {
        let url = "smtp://ops:correct-horse-battery@mail.example.com".parse().unwrap();
        let smtp = Smtp::new(url, EhloName::LocalAddress, Deadlines::RFC_5321).unwrap();
        for before in [MAX_QUOTED - 5, MAX_QUOTED * 10 - 5] {
            for filling in [" ", "x"] {
                let shown = smtp.shown(&format!("535{}correct-horse-battery", filling.repeat(before - 3)));
                assert!(!shown.contains("corr"), "{shown}");
            }
        }
    }

    #[test]
    fn a_login_of_plain_words_leaves_a_reply_readable() {
        let url = "smtp://mail:s@mail.example.com".parse().unwrap();
        let smtp = Smtp::new(url, EhloName::LocalAddress, Deadlines::RFC_5321).unwrap();
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
