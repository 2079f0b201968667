//! The steps of a conversation with a mail server, and what a failure at each of them means.

use crate::DeliveryError;
use lettre::transport::smtp::extension::ClientId;
use qqq_core::delivery::{Failure, FailureKind};
use std::fmt;

/// Where in the conversation something went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Connect,
    Greeting,
    Hello,
    StartTls,
    Login,
    Sender,
    Recipient,
    Data,
    Message,
}

/// What a 5xx is about, by the second number of an enhanced status code (RFC 3463, section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// 5.1.x and 5.2.x.
    AddressOrMailbox,
    /// 5.7.x: security or policy, such as a relay that is not allowed.
    Policy,
    /// Any other.
    Other,
}

impl Subject {
    /// Reads the code a reply's text begins with (RFC 2034, section 4).
    pub(super) fn of(reply: &str) -> Option<Self> {
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
    /// What a refusal here is about.
    pub(super) fn fault(self, code: u16, subject: Option<Subject>, reply: &str) -> MailFault {
        match (code, self, subject) {
            _ if speaks_of_hello(reply) => MailFault::Hello,
            // RFC 4954, sections 4.2 and 6: authentication is missing, refused, or too weak.
            (530 | 534 | 535 | 538, _, _) => MailFault::Login,
            (500.., Self::Hello, _) => MailFault::Hello,
            (500.., Self::Login, _) => MailFault::Login,
            // RFC 1870, section 6.1: the size we declare is more than the server takes.
            (552, Self::Sender, _) => MailFault::Message,
            (500.., Self::Sender, _) | (500.., Self::Recipient, Some(Subject::Policy)) => MailFault::Sender,
            (_, Self::Recipient | Self::Data | Self::Message, _) => MailFault::Message,
            _ => MailFault::Server,
        }
    }

    /// Whether a 5xx here is about the message or its recipient, not about how we are set up.
    pub(super) const fn is_refused_for_good(self, code: u16, subject: Option<Subject>) -> bool {
        match (self, subject) {
            (Self::Recipient, None) => matches!(code, 550 | 551 | 553),
            (Self::Recipient, Some(subject)) => matches!(subject, Subject::AddressOrMailbox),
            (Self::Data | Self::Message, subject) => !matches!(subject, Some(Subject::Policy)),
            _ => false,
        }
    }
}

/// Whether a refusal, at whatever step, is one of what we said in EHLO. Many servers, Postfix as it comes
/// among them, answer EHLO with 250 and hold a refusal of it back until RCPT TO; no code tells it from
/// others, only its words.
fn speaks_of_hello(reply: &str) -> bool {
    let reply = reply.to_ascii_lowercase();
    ["helo", "ehlo"].iter().any(|word| reply.contains(word))
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "the connection",
            Self::Greeting => "the greeting",
            Self::Hello => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::Login => "the login",
            Self::Sender => "MAIL FROM",
            Self::Recipient => "RCPT TO",
            Self::Data => "DATA",
            Self::Message => "the message",
        })
    }
}

/// What an operator has to look at where a mail cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailFault {
    /// The folder that mails are written into.
    Folder,
    /// The server: whether it is there, answers, and is protected as `email.smtp_url` says.
    Server,
    /// What we said in EHLO: `email.helo_name`.
    Hello,
    /// User and password in `email.smtp_url`.
    Login,
    /// `email.from`, and whom the server relays for.
    Sender,
    /// The message itself, or its recipient.
    Message,
}

/// A failed step.
pub(crate) struct FailedStep {
    pub(crate) what: String,
    pub(crate) fault: MailFault,
    pub(super) kind: FailureKind,
    /// Whether trying again is in vain.
    pub(super) is_final: bool,
    /// After an answer the server still listens, and QUIT is due.
    pub(super) answered: bool,
}

impl FailedStep {
    /// Tells what was said in EHLO where that is at fault.
    pub(super) fn having_said(mut self, hello: &ClientId) -> Self {
        if self.fault == MailFault::Hello {
            self.what.push_str(&format!("; it was told `EHLO {hello}`, see email.helo_name"));
        }
        self
    }
}

impl From<FailedStep> for DeliveryError {
    fn from(failed: FailedStep) -> Self {
        let failure = Failure::new(failed.kind, failed.what);
        if failed.is_final { Self::GiveUp(failure) } else { Self::Retry(failure) }
    }
}
