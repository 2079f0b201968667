//! What is asked for.

use jiff::Timestamp;
use qqq_core::delivery::{DeliveryId, DeliveryState};
#[cfg(doc)]
use qqq_core::subscription::channel::Channel;
use qqq_core::subscription::{Subscription, SubscriptionId};
use qqq_core::{AlertId, Metric, RuleName, Second, Symbol};

/// Which alerts to list, newest bar first.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlertQuery {
    /// Only of this symbol.
    pub symbol: Option<Symbol>,
    /// Only of this metric.
    pub metric: Option<Metric>,
    /// Only of this rule.
    pub rule: Option<RuleName>,
    /// Only of bars that start here or later.
    pub since: Option<Second>,
    /// Only those that come after this one in the list: a page's last entry.
    pub after: Option<(Second, AlertId)>,
    /// Also those of own rules, which not everybody may read.
    pub private_too: bool,
    /// At most so many.
    pub limit: usize,
}

/// Who reads, and so which alerts there are.
#[derive(Clone, Copy, Debug)]
pub enum Audience<'a> {
    /// Anybody: public alerts.
    Everybody,
    /// The holder of subscriptions: also those [of their rules](Subscription::may_read).
    Subscriber(&'a [Subscription]),
}

/// Which alerts of a receiver's active subscriptions to list, newest bar first: those by their rules as they
/// are now, since they are active.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReceiverAlertQuery {
    /// Only of this symbol.
    pub symbol: Option<Symbol>,
    /// Only of this metric.
    pub metric: Option<Metric>,
    /// Only of bars that start here or later.
    pub since: Option<Second>,
    /// Only those that come after this one in the list: a page's last entry.
    pub after: Option<(Second, AlertId)>,
    /// Only those that not everybody may read: by rules of the receiver's own.
    pub private_only: bool,
    /// At most so many.
    pub limit: usize,
}

/// Which subscriptions to list, by id.
#[derive(Clone, Debug, Default)]
pub struct SubscriptionQuery {
    /// Only of this recipient: a [`Channel::key`].
    pub address: Option<String>,
    /// Only those that have not ended.
    pub live_only: bool,
    /// Only those that come after this one in the list: a page's last entry.
    pub after: Option<SubscriptionId>,
    /// At most so many.
    pub limit: usize,
}

/// Which subscriptions an operator means.
#[derive(Clone, Debug)]
pub enum Selection {
    /// This one.
    One(SubscriptionId),
    /// All of a recipient: a [`Channel::key`].
    Of(String),
}

/// Which deliveries to list, newest first.
#[derive(Clone, Debug)]
pub struct DeliveryQuery {
    /// Only those that stand there.
    pub state: DeliveryState,
    /// Only to this recipient: a [`Channel::key`].
    pub address: Option<String>,
    /// Only those that come after this one in the list: a page's last entry.
    pub after: Option<(Timestamp, DeliveryId)>,
    /// At most so many.
    pub limit: usize,
}
