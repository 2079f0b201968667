//! What the pages say that links in messages lead to.

use crate::api::Api;
use crate::page::{Message, Tick, Tone, sentence_of};
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use qqq_contract::sentence;
use qqq_core::ChannelKind;
use qqq_core::subscription::Subscription;
use qqq_core::subscription::limits::LimitExceeded;
use qqq_core::subscription::quiet::QuietHours;
use qqq_core::subscription::snooze::Snooze;

/// `NVDA volume`, `every symbol's volume`.
pub(crate) fn about(subscription: &Subscription) -> String {
    sentence::about(subscription.scope, subscription.metric)
}

/// What the button says that confirms.
pub(crate) fn yes(subscription: &Subscription) -> &'static str {
    match subscription.channel.kind() {
        ChannelKind::Email => "Yes, mail me",
        ChannelKind::Webhook => "Yes, post alerts there",
        ChannelKind::Push => "Yes, notify me",
    }
}

/// What is told, when and how often.
pub(crate) fn what_comes(api: &Api, subscription: &Subscription) -> String {
    let Subscription { scope, metric, rule, .. } = subscription;
    told_when(subscription, &sentence::promise(&rule.rule(api.0.config.rule), *scope, *metric))
}

/// What is told of several symbols, where it is the same of each; `None` where it is not.
pub(crate) fn what_comes_of_each(api: &Api, asked: &[Subscription]) -> Option<String> {
    let first @ Subscription { metric, rule, .. } = asked.first()?;
    let is_same = |one: &Subscription| {
        one.scope.symbol().is_some() && (one.metric, one.rule, &one.quiet) == (*metric, *rule, &first.quiet)
    };
    let promise = || sentence::promise_of_several(&rule.rule(api.0.config.rule), *metric);
    (asked.len() > 1 && asked.iter().all(is_same)).then(|| told_when(first, &promise()))
}

fn told_when(subscription: &Subscription, promise: &str) -> String {
    let told = match subscription.channel.kind() {
        ChannelKind::Email => "You will get a mail",
        ChannelKind::Webhook => "The webhook is told",
        ChannelKind::Push => "Your browser will notify you",
    };
    let waits = subscription.quiet.as_ref().map_or_else(String::new, |quiet| {
        format!(" In your quiet hours ({quiet}) alerts wait, and come together afterwards.")
    });
    format!("{told} {promise}.{waits}")
}

/// How it is ended.
fn ends(subscription: &Subscription) -> &'static str {
    match subscription.channel.kind() {
        ChannelKind::Email => "Every mail has a link that ends it.",
        ChannelKind::Webhook => "Every post has a link that ends it.",
        ChannelKind::Push => "Every notification has a button that ends it.",
    }
}

/// What there is to choose from. Ids are short, so that all of them fit into what is posted.
pub(crate) fn ticks(api: &Api, asked: &[Subscription]) -> Vec<Tick> {
    let is_said = what_comes_of_each(api, asked).is_some();
    let tick = |one: &Subscription| Tick {
        value: one.id.to_string().replace('-', ""),
        title: about(one),
        text: if is_said { String::new() } else { what_comes(api, one) },
    };
    asked.iter().map(tick).collect()
}

/// What became of a choice.
pub(crate) fn settled(
    api: &Api,
    activated: &[Subscription],
    declined: &[Subscription],
    refused: &[(Subscription, LimitExceeded)],
) -> Message {
    let list = |of: &[Subscription]| of.iter().map(about).collect::<Vec<_>>().join(", ");
    let mut dropped = match declined {
        [] => String::new(),
        _ => format!(" Dropped: {}.", list(declined)),
    };
    if let [(_, limit), ..] = refused {
        let waiting: Vec<_> = refused.iter().map(|(one, _)| one.clone()).collect();
        let why = sentence_of(&limit.to_string());
        dropped += &format!(
            " No room for: {}. {why} \
             What waits can be confirmed by the same link, within its day, once there is room.",
            list(&waiting)
        );
    }
    match activated {
        [] if !refused.is_empty() => {
            Message::new(Tone::Bad, "There is no room for it now", dropped.trim_start())
        }
        [] => {
            let text =
                format!("No alerts come of this.{dropped} To get them after all, please sign up again.");
            Message::new(Tone::Plain, "Nothing was confirmed", &text)
        }
        [one] => {
            let text = format!("{} {}{dropped}", what_comes(api, one), ends(one));
            Message::new(Tone::Good, "You are subscribed", &text)
        }
        [first, ..] => {
            let text = format!("Alerts come for {}. {}{dropped}", list(activated), ends(first));
            Message::new(Tone::Good, "You are subscribed", &text)
        }
    }
}

/// Nothing is asked any more.
pub(crate) fn already_confirmed(api: &Api, subscription: &Subscription) -> Message {
    Message::new(Tone::Good, "You are subscribed already", &what_comes(api, subscription))
}

/// What the button asks for that leads to all alerts of an address.
pub(crate) const ALL_MY_ALERTS: &str = "sign_in";

/// A mail with a link may follow. Nobody is told that one is on its way where none is.
pub(crate) fn link_asked_for() -> Message {
    let text = "A mail with a link to all your alerts goes to this subscription's address, usually within a \
        minute. It works once, within 15 minutes. Within ten minutes of the last such mail, and after three \
        in a day, no further one is sent.";
    Message::new(Tone::Good, "Look into your mail", text)
}

/// Where a subscription stands, and what can be done.
pub(crate) fn managed(api: &Api, subscription: &Subscription) -> Message {
    let what = what_comes(api, subscription);
    if !api.0.subscriptions.is_paused(subscription) {
        let title = format!("Alerts for {}", about(subscription));
        let choices = [("Snooze for an hour", "hour"), ("Snooze for a day", "day"), ("Pause", "pause")];
        return Message::new(Tone::Plain, &title, &what)
            .offer(&[&choices[..], all_of(subscription)].concat());
    }
    paused(subscription).offer(&[&[("Resume", "resume")], all_of(subscription)].concat())
}

/// That nothing is told, and until when.
fn paused(subscription: &Subscription) -> Message {
    let title = format!("Alerts for {} are paused", about(subscription));
    match subscription.paused_until {
        Some(until) if until < Timestamp::MAX => {
            let said = clock_of(subscription, until);
            let text = format!("Nothing is sent until {said}, nor told afterwards.");
            Message::new(Tone::Good, &title, &text).saying(said, until)
        }
        _ => Message::new(Tone::Good, &title, "Nothing is sent until they are resumed, nor told afterwards."),
    }
}

/// For how long to snooze, `wanted` first; or until when it is snoozed. One that is paused until it is
/// resumed cannot be snoozed.
pub(crate) fn snoozed(api: &Api, subscription: &Subscription, wanted: Option<Snooze>) -> Message {
    let is_paused = api.0.subscriptions.is_paused(subscription);
    if is_paused && subscription.is_paused_until_resumed() {
        return paused(subscription);
    }
    let choices = wanted.into_iter().chain(Snooze::ALL.into_iter().filter(|one| Some(*one) != wanted));
    let mut choices: Vec<_> = choices.map(|snooze| (for_how_long(snooze), snooze.as_str())).collect();
    if is_paused && wanted.is_none() {
        return paused(subscription).offer(&[("End the snooze", "end")]);
    }
    let message = if is_paused {
        choices.push(("End the snooze", "end"));
        paused(subscription)
    } else {
        let title = format!("Snooze alerts for {}?", about(subscription));
        let text = "Nothing is sent meanwhile, nor told afterwards. Then alerts come again by themselves.";
        Message::new(Tone::Plain, &title, text)
    };
    message.offer(&choices)
}

fn for_how_long(snooze: Snooze) -> &'static str {
    match snooze {
        Snooze::Hour => "Snooze for an hour",
        Snooze::Tomorrow => "Snooze until tomorrow, 9:00",
        Snooze::Week => "Snooze for a week",
    }
}

/// The way to all alerts of the same address: of one that has confirmed.
fn all_of(subscription: &Subscription) -> &'static [(&'static str, &'static str)] {
    let leads_on = subscription.channel.kind() == ChannelKind::Email && subscription.reads_from().is_some();
    if leads_on { &[("All my alerts", ALL_MY_ALERTS)] } else { &[] }
}

/// A time in the zone of the subscription's quiet hours, which is its reader's, or else in New York's:
/// `January 31, 22:00 Europe/Berlin time`.
fn clock_of(subscription: &Subscription, at: Timestamp) -> String {
    let name = subscription.quiet.as_ref().map_or("New York", QuietHours::zone);
    format!("{} {name} time", at.to_zoned_datetime(subscription.time_zone()).strftime("%B %-d, %H:%M"))
}

/// It has ended now.
pub(crate) fn unsubscribed(subscription: &Subscription) -> Message {
    let text = format!("No more alerts for {} will be sent to this address.", about(subscription));
    Message::new(Tone::Good, "You are unsubscribed", &text)
}

/// It had ended.
pub(crate) fn ended(api: &Api, subscription: &Subscription) -> Response {
    let text = format!("To get alerts for {} again, please sign up anew.", about(subscription));
    api.0.pages.answer(StatusCode::GONE, &Message::new(Tone::Bad, "This subscription has ended", &text))
}

/// The link has lapsed.
pub(crate) fn too_old(api: &Api, subscription: &Subscription) -> Response {
    let text = format!(
        "Links are good for 24 hours. To get alerts for {}, please sign up again.",
        about(subscription)
    );
    api.0.pages.answer(StatusCode::GONE, &Message::new(Tone::Bad, "This link is too old", &text))
}

/// There is no such token.
pub(crate) fn unknown_link(api: &Api) -> Response {
    let text = "It may be incomplete: mail programs break long links. Copy the whole link from the mail.";
    api.0.pages.answer(StatusCode::NOT_FOUND, &Message::new(Tone::Bad, "This link is not known here", text))
}
