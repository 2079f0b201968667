//! All channels: each delivery goes over its subscription's own.

use crate::{Deliver, DeliveryError, Mail, Webhooks};
use async_trait::async_trait;
use qqq_core::ChannelKind;
use qqq_core::delivery::Delivery;

/// Every channel there is.
#[derive(Debug)]
pub struct Channels {
    /// Mails.
    pub mail: Mail,
    /// Webhooks.
    pub webhooks: Webhooks,
}

#[async_trait]
impl Deliver for Channels {
    async fn deliver(&self, delivery: &Delivery) -> Result<(), DeliveryError> {
        match delivery.subscription.channel.kind() {
            ChannelKind::Email => self.mail.deliver(delivery).await,
            ChannelKind::Webhook => self.webhooks.deliver(delivery).await,
        }
    }
}
