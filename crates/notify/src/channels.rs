//! All channels: each delivery goes over its subscription's own.

use crate::{Deliver, DeliveryError, Mail, Webhooks};
use async_trait::async_trait;
use qqq_core::Carrier;
use qqq_core::delivery::{Delivery, SignInMail};

/// Every channel there is.
#[derive(Debug)]
pub struct Channels {
    /// Mails.
    pub mail: Mail,
    /// Webhooks, and pushes to browsers.
    pub webhooks: Webhooks,
}

#[async_trait]
impl Deliver for Channels {
    async fn deliver(&self, delivery: &Delivery) -> Result<(), DeliveryError> {
        match delivery.subscription.channel.carrier() {
            Carrier::Mail => self.mail.deliver(delivery).await,
            Carrier::Http => self.webhooks.deliver(delivery).await,
        }
    }

    async fn deliver_sign_in(&self, mail: &SignInMail) -> Result<(), DeliveryError> {
        self.mail.deliver_sign_in(mail).await
    }
}
