//! How people are told: a channel makes a message of a delivery and hands it to a receiver.
//!
//! A channel does not decide when to try again or give up for good; it says which kind of failure it met.

mod channels;
mod links;
mod mail;
mod news;
mod sample;
mod webhook;
mod words;

pub use channels::Channels;
pub use ipnet::IpNet;
pub use mail::{Deadlines, Mail, MailConfig, MailFault, MailTrouble, sender_of};
pub use webhook::{Refusal, Webhooks, WebhooksConfig};

use async_trait::async_trait;
use qqq_core::delivery::{Delivery, Failure, SignInMail};
use std::time::Duration;

/// A way to reach a subscriber.
#[async_trait]
pub trait Deliver: Send + Sync {
    /// Makes the message and hands it over. `Ok` means the receiver accepted responsibility for it.
    ///
    /// Every attempt of a delivery carries the same stable id, so that a receiver can drop a repeat.
    async fn deliver(&self, delivery: &Delivery) -> Result<(), DeliveryError>;

    /// The same of a mail with a link to sign in. Only mail carries one.
    async fn deliver_sign_in(&self, _mail: &SignInMail) -> Result<(), DeliveryError> {
        Err(DeliveryError::give_up("a link to sign in goes by mail alone"))
    }
}

/// Why a message was not accepted. The text names no address and no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// Not now: try again later.
    #[error("{0}")]
    Retry(Failure),
    /// Not now, and the receiver wants to be left alone for so long.
    #[error("{0}")]
    RetryAfter(Failure, Duration),
    /// Nobody was asked, and nobody is for so long: the receiver kept failing and is left alone, or the disk
    /// is full.
    #[error("{0}")]
    NotTried(String, Duration),
    /// Never: the receiver refused for good.
    #[error("{0}")]
    GiveUp(Failure),
    /// Never, nor anything else: the receiver says that it is no more.
    #[error("{0}")]
    Gone(Failure),
}

impl DeliveryError {
    /// Not now, for want of something of ours: no kind of failure tells more.
    fn retry(reason: impl Into<String>) -> Self {
        Self::Retry(Failure::other(reason))
    }

    /// Never, for there is nothing that could be sent.
    fn give_up(reason: impl Into<String>) -> Self {
        Self::GiveUp(Failure::other(reason))
    }
}

/// A setting that cannot be used: which, why, and what is allowed. Never shows a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct InvalidConfig {
    /// The setting: `email.smtp_url`, `email.helo_name`, `email.from` or `server.public_url`.
    pub key: &'static str,
    /// What is wrong with it, and what is allowed.
    pub problem: String,
}
