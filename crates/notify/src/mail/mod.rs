//! Mails: over SMTP to a mail server, or as files where none is set.

mod asked;
mod ehlo;
mod evidence;
mod folder;
mod message;
mod scale;
mod smtp;
mod smtp_step;
mod smtp_url;
mod smtp_wire;
mod text;

pub use smtp::Deadlines;
pub use smtp_step::MailFault;

use crate::{Deliver, DeliveryError, InvalidConfig, sample};
use async_trait::async_trait;
use ehlo::EhloName;
use folder::{Folder, file_name, sign_in_file_name};
use message::Composer;
use qqq_core::delivery::{Delivery, SignInMail};
use qqq_core::subscription::EmailAddress;
use qqq_core::subscription::channel::Channel;
use qqq_core::subscription::token::TokenKey;
use qqq_core::{Clock, SpikeRule};
use smtp::Smtp;
use smtp_url::SmtpUrl;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// What mails need to know of the configuration.
#[derive(Clone)]
pub struct MailConfig {
    /// `email.smtp_url`: `smtp://user:password@host:587?tls=required` or `smtps://user:password@host:465`.
    /// `None` or empty: mails become files in `folder`.
    ///
    /// `smtp://` requires STARTTLS unless the host is this machine (`localhost`, a loopback address): there
    /// it is used where offered. `?tls=required`, `opportunistic` or `none` says otherwise. Credentials never
    /// travel in clear text unless `tls=none` is written out. Certificates are verified, except where TLS is
    /// only used where offered and neither login nor `ca` is set. `?ca=FILE` trusts only the authorities of a
    /// PEM file. User and password are percent-encoded. The port is 587 (`smtps`: 465) where none is written.
    pub smtp_url: Option<String>,
    /// `email.helo_name`: what is said in EHLO, `mail.example.com`, `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
    /// Empty: the host's name where it is qualified, else the address of the connection.
    pub helo_name: String,
    /// `email.from`: `QQQ Tracker <alerts@localhost>`. Its domain also names the mails (`Message-ID`).
    pub from: String,
    /// `server.public_url`: where the links in mails lead.
    pub public_url: Url,
    /// Where mails go as files.
    pub folder: PathBuf,
    /// The house rule: what a subscription to it promises. Alerts are told by the rule that each carries.
    pub rule: SpikeRule,
}

impl fmt::Debug for MailConfig {
    /// Without `smtp_url`, which holds a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailConfig")
            .field("smtp_url", &self.smtp_url.as_ref().map(|_| "…"))
            .field("helo_name", &self.helo_name)
            .field("from", &self.from)
            .field("public_url", &self.public_url.as_str())
            .field("folder", &self.folder)
            .field("rule", &self.rule)
            .finish()
    }
}

/// Why no mail could be sent, and what there is to look at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct MailTrouble {
    /// What happened. Names no address and no secret.
    pub what: String,
    /// What is at fault.
    pub fault: MailFault,
}

impl From<smtp_step::FailedStep> for MailTrouble {
    fn from(failure: smtp_step::FailedStep) -> Self {
        Self { what: failure.what, fault: failure.fault }
    }
}

/// The address that a sender such as `QQQ Tracker <alerts@localhost>` names: of the setting `email.from`.
///
/// # Errors
///
/// Says what is allowed.
pub fn sender_of(from: &str) -> Result<EmailAddress, InvalidConfig> {
    message::parse_from(from).map(|(_, sender)| sender)
}

/// Characters of a line, its end not counted (RFC 5322, section 2.1.1).
const LONGEST_LINE: usize = 998;

/// The mail channel.
pub struct Mail {
    composer: Composer,
    route: Route,
}

enum Route {
    Smtp(Box<Smtp>),
    Folder(Folder),
}

impl Mail {
    /// Checks the settings and reads the certificates to trust; connects to nothing. A mail folder is rid of
    /// what a killed process left half-written more than an hour ago.
    ///
    /// # Errors
    ///
    /// Names the setting that cannot be used.
    pub fn new(config: MailConfig, key: TokenKey, clock: Arc<dyn Clock>) -> Result<Self, InvalidConfig> {
        let host_name = hostname::get().ok().and_then(|name| name.into_string().ok());
        let hello = EhloName::choose(&config.helo_name, host_name.as_deref())
            .map_err(|problem| InvalidConfig { key: "email.helo_name", problem })?;
        let smtp_url = config.smtp_url.as_deref().map(str::trim).filter(|url| !url.is_empty());
        let route = match smtp_url {
            Some(url) => {
                let invalid = |problem| InvalidConfig { key: "email.smtp_url", problem };
                let url: SmtpUrl = url.parse().map_err(invalid)?;
                Route::Smtp(Box::new(Smtp::new(url, hello, Deadlines::RFC_5321).map_err(invalid)?))
            }
            None => Route::Folder(Folder::open(config.folder, clock.now())),
        };
        let composer = Composer::new(&config.from, &config.public_url, config.rule, key, clock)?;
        Ok(Self { composer, route })
    }

    /// Replaces the deadlines of the protocol, for tests that cannot wait ten minutes.
    #[doc(hidden)]
    #[must_use]
    pub fn with_deadlines(mut self, deadlines: Deadlines) -> Self {
        if let Route::Smtp(smtp) = &mut self.route {
            smtp.deadlines = deadlines;
        }
        self
    }

    /// The longest an attempt can take. A lease on a delivery must outlive it, or be renewed.
    pub fn longest_attempt(&self) -> Duration {
        match &self.route {
            Route::Smtp(smtp) => smtp.deadlines.total(),
            Route::Folder(_) => Deadlines::RFC_5321.connect,
        }
    }

    /// Makes a message of every kind and goes its way up to the content, for `qqq-tracker check`: connects,
    /// introduces itself, logs in, names sender and size. Answers one line for the operator.
    ///
    /// # Errors
    ///
    /// Says why mails, or those of some kind, could not be sent now.
    pub async fn check(&self) -> Result<String, MailTrouble> {
        let mut largest = Vec::new();
        for sample in self.samples(self.composer.sender.clone()) {
            let unsound = |problem: String| MailTrouble {
                what: format!("a mail of kind `{}` cannot be sent: {problem}", sample.kind),
                fault: MailFault::Message,
            };
            let mail = self.render(&sample).map_err(|error| unsound(error.to_string()))?;
            let mut lines = mail.split(|byte| *byte == b'\n').map(|line| line.trim_ascii_end().len());
            if let Some(long) = lines.find(|length| *length > LONGEST_LINE) {
                let problem =
                    "and servers may refuse more than 998 (RFC 5322); is server.public_url that long?";
                return Err(unsound(format!("it has a line of {long} characters, {problem}")));
            }
            if mail.len() > largest.len() {
                largest = mail;
            }
        }
        match &self.route {
            Route::Smtp(smtp) => Ok(smtp.check(&self.composer.from.email, largest.len()).await?),
            Route::Folder(folder) => folder
                .check(largest)
                .await
                .map_err(|error| MailTrouble { what: error.to_string(), fault: MailFault::Folder }),
        }
    }

    /// A delivery of every kind, made up, to `address`: for an operator to see them arrive.
    pub fn samples(&self, address: EmailAddress) -> Vec<Delivery> {
        sample::deliveries(&Channel::Email(address), self.composer.clock.now())
    }

    /// One line for the operator: what goes where. No secrets.
    pub fn describe(&self) -> String {
        match &self.route {
            Route::Smtp(smtp) => format!("mail {}", smtp.describe()),
            Route::Folder(folder) => format!("mail as files in {}", folder.0.display()),
        }
    }

    /// The mail of a delivery as it would be sent, headers and all, in CRLF lines.
    ///
    /// # Errors
    ///
    /// [`DeliveryError::GiveUp`] where there is nothing to tell (an ended subscription, an alert that is
    /// missing), and where it is not to be told by mail.
    pub fn render(&self, delivery: &Delivery) -> Result<Vec<u8>, DeliveryError> {
        Ok(self.composer.compose(delivery)?.formatted())
    }
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mail({})", self.describe())
    }
}

#[async_trait]
impl Deliver for Mail {
    async fn deliver(&self, delivery: &Delivery) -> Result<(), DeliveryError> {
        let message = self.composer.compose(delivery)?;
        match &self.route {
            Route::Smtp(smtp) => Ok(smtp.send(&message).await?),
            Route::Folder(folder) => {
                let (id, lease) = (delivery.id, delivery.lease);
                folder.put(file_name(delivery), id, lease, message.formatted()).await
            }
        }
    }

    async fn deliver_sign_in(&self, mail: &SignInMail) -> Result<(), DeliveryError> {
        let message = self.composer.compose_sign_in(mail)?;
        match &self.route {
            Route::Smtp(smtp) => Ok(smtp.send(&message).await?),
            Route::Folder(folder) => {
                let (id, lease) = (mail.delivery_id(), mail.lease);
                folder.put(sign_in_file_name(mail), id, lease, message.formatted()).await
            }
        }
    }
}
