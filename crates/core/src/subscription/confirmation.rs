//! Confirmations: the messages that ask for them, and what their links open.

use crate::ChannelKind;
use crate::clock::later;
use crate::subscription::{Subscription, SubscriptionStatus};
use jiff::{SignedDuration, Timestamp};
use std::cmp::Reverse;

/// How long a confirmation link works.
const CONFIRM_WITHIN: SignedDuration = SignedDuration::from_hours(24);

/// Pending subscriptions that one link shows and confirms. What is beyond waits for the next.
pub const MOST_CONFIRMED: usize = 200;

/// Until when can be confirmed what was asked for at `at`, or what a message that went out then is about.
pub fn confirm_by(at: Timestamp) -> Timestamp {
    later(at, CONFIRM_WITHIN)
}

/// Whether a link that works until `confirm_by` has lapsed. One that nobody asked to confirm never worked.
pub fn has_lapsed(confirm_by: Option<Timestamp>, now: Timestamp) -> bool {
    confirm_by.is_none_or(|until| until <= now)
}

/// Whether a message follows a sign-up: one that asks to confirm, or that tells what nothing else does, a
/// webhook's secret.
pub fn is_told(confirm: bool, channel: ChannelKind) -> bool {
    confirm || channel == ChannelKind::Webhook
}

/// Whether asking again for what a receiver has in this state says anything new: of what is active already it
/// does not, and no message follows.
pub fn is_news(existing: SubscriptionStatus) -> bool {
    existing != SubscriptionStatus::Active
}

/// Whether one message is about all that is pending of a recipient. By webhook each is about one
/// subscription, as it alone tells that one's secret.
pub fn is_about_all(channel: ChannelKind) -> bool {
    channel != ChannelKind::Webhook
}

/// Whether a subscription by webhook has something to be told: while it is pending, and once it is active
/// where no message went out before.
pub fn has_secret_to_hear(status: SubscriptionStatus, messages: u32) -> bool {
    match status {
        SubscriptionStatus::Pending => true,
        SubscriptionStatus::Active => messages == 0,
        SubscriptionStatus::Unsubscribed | SubscriptionStatus::Disabled => false,
    }
}

/// Symbols that one request may name: so many are shown and confirmed together.
pub const MOST_ASKED: usize = MOST_CONFIRMED;

/// What a link shows that was made for `of`, where `pending` are [`MOST_CONFIRMED`] that are pending of its
/// recipient, those before others that were asked for at the same moment, then the newest: however much
/// strangers ask for there, the whole request that the message was about is among it. That comes first, then
/// the newest; what was asked for at once, by symbol.
pub fn shown(of: &Subscription, mut pending: Vec<Subscription>) -> Vec<Subscription> {
    if of.status == SubscriptionStatus::Pending && pending.iter().all(|one| one.id != of.id) {
        pending.truncate(MOST_CONFIRMED - 1);
        pending.push(of.clone());
    }
    let order = |one: &Subscription| {
        let is_with = one.created_at == of.created_at;
        (Reverse(is_with), Reverse(one.created_at), one.scope, one.metric)
    };
    pending.sort_by_key(order);
    pending
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_follows_where_there_is_something_to_ask_or_to_tell() {
        use ChannelKind::{Email, Push, Webhook};
        for (confirm, channel, expected) in
            [(true, Email, true), (false, Email, false), (true, Webhook, true), (false, Webhook, true)]
        {
            assert_eq!(is_told(confirm, channel), expected, "{confirm} {channel:?}");
        }
        assert!(is_about_all(Email) && is_about_all(Push) && !is_about_all(Webhook));
        assert!(!is_told(false, Push));
    }

    #[test]
    fn a_webhook_hears_its_secret_once_it_is_active_and_as_often_as_asked_before() {
        use SubscriptionStatus::{Active, Disabled, Pending, Unsubscribed};
        for (status, messages, expected) in [
            (Pending, 0, true),
            (Pending, 3, true),
            (Active, 0, true),
            (Active, 1, false),
            (Unsubscribed, 0, false),
            (Disabled, 0, false),
        ] {
            assert_eq!(has_secret_to_hear(status, messages), expected, "{status:?} {messages}");
        }
    }

    #[test]
    fn a_link_works_for_a_day() {
        let asked = Timestamp::from_second(1_700_000_000).unwrap();
        let day = SignedDuration::from_hours(24);
        let until = Some(confirm_by(asked));
        assert!(!has_lapsed(until, asked + day - SignedDuration::from_micros(1)));
        assert!(has_lapsed(until, asked + day));
        assert!(has_lapsed(None, asked));
    }
}
