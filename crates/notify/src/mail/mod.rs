//! Mails: over SMTP to a mail server, or as files where none is set.

mod evidence;
mod folder;
mod message;
mod scale;
mod smtp;
mod smtp_url;
mod text;

pub use smtp::Deadlines;

use crate::{Deliver, DeliveryError, InvalidConfig};
use async_trait::async_trait;
use folder::Folder;
use message::Composer;
use qqq_core::delivery::Delivery;
use qqq_core::token::TokenKey;
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
    /// only used where offered and neither login nor `ca` is set. `?ca=FILE` trusts only the authorities of a PEM
    /// file. User and password are percent-encoded. The port is 587 (`smtps`: 465) where none is written.
    pub smtp_url: Option<String>,
    /// `email.from`: `QQQ Tracker <alerts@localhost>`. Its domain also names the mails (`Message-ID`).
    pub from: String,
    /// `server.public_url`: where the links in mails lead.
    pub public_url: Url,
    /// Where mails go as files.
    pub folder: PathBuf,
    /// The rule that raises alerts, for the words about it: ratio, window, cool-down.
    pub rule: SpikeRule,
}

impl fmt::Debug for MailConfig {
    /// Without `smtp_url`, which holds a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailConfig")
            .field("smtp_url", &self.smtp_url.as_ref().map(|_| "…"))
            .field("from", &self.from)
            .field("public_url", &self.public_url.as_str())
            .field("folder", &self.folder)
            .field("rule", &self.rule)
            .finish()
    }
}

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
        let smtp_url = config.smtp_url.as_deref().map(str::trim).filter(|url| !url.is_empty());
        let route = match smtp_url {
            Some(url) => {
                let invalid = |problem| InvalidConfig { key: "email.smtp_url", problem };
                let url: SmtpUrl = url.parse().map_err(invalid)?;
                Route::Smtp(Box::new(Smtp::new(url, Deadlines::RFC_5321).map_err(invalid)?))
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

    /// Connects and authenticates without sending: for `qqq-tracker check`. Answers one line for the operator.
    ///
    /// # Errors
    ///
    /// Says why no mail could be sent now.
    pub async fn check(&self) -> Result<String, DeliveryError> {
        match &self.route {
            Route::Smtp(smtp) => smtp.check().await,
            Route::Folder(folder) => folder.check().await,
        }
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
    /// [`DeliveryError::GiveUp`] where there is nothing to tell (an ended subscription, an alert that is missing), and
    /// where it is not to be told by mail.
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
            Route::Smtp(smtp) => smtp.send(&message).await,
            Route::Folder(folder) => folder.put(delivery, message.formatted()).await,
        }
    }
}
