//! What stands in a request: the news in the words of the receiver's program.

mod discord;
mod note;
mod ntfy;
mod push;
mod pushover;
mod request;
mod slack;
mod standard;
mod telegram;

pub(crate) use request::Body;

use crate::DeliveryError;
use crate::links::Links;
use crate::news::News;
use crate::words::{self, title};
use note::{Link, Note};
use qqq_contract::sentence;
use qqq_core::delivery::Delivery;
use qqq_core::subscription::channel::{Webhook, WebhookFormat};
use qqq_core::subscription::snooze::Snooze;
use qqq_core::subscription::token::WebhookSecret;
use qqq_core::subscription::{Subscription, SubscriptionStatus};
use qqq_core::{Alert, SpikeRule};
use std::slice;

/// Makes the bodies.
pub(crate) struct Writer {
    pub(crate) links: Links,
    /// The house rule as it is now: what a subscription to it promises.
    pub(crate) rule: SpikeRule,
}

impl Writer {
    /// The body of a delivery in the format of a webhook. `secret` signs the requests; its receiver is told
    /// it.
    pub(crate) fn write(
        &self,
        Webhook { url, format }: &Webhook,
        delivery: &Delivery,
        secret: Option<&WebhookSecret>,
    ) -> Result<Body, DeliveryError> {
        let news = News::of(delivery)?;
        let note = self.note(&news, &delivery.subscription);
        match format {
            WebhookFormat::Standard => {
                Body::json(&standard::EventOut::new(&news, &note, delivery, &self.links, secret))
            }
            WebhookFormat::Slack => Body::json(&slack::message(&note)),
            WebhookFormat::Discord => Body::json(&discord::message(&note)),
            WebhookFormat::Ntfy => ntfy::message(&note, delivery.id),
            WebhookFormat::Telegram => Body::json(&telegram::message(&note, url)),
            WebhookFormat::Pushover => Body::json(&pushover::message(&note, url)),
        }
    }

    /// What a push says of a delivery.
    pub(super) fn write_push(&self, delivery: &Delivery) -> Result<Vec<u8>, DeliveryError> {
        let news = News::of(delivery)?;
        let (note, tag) = match news {
            News::Confirmation => {
                (self.asks_a_browser(delivery), format!("confirm-{}", delivery.subscription.id))
            }
            // What is taken back takes the place of what was told.
            News::Alert(alert) | News::Retraction(alert) => {
                (self.note(&news, &delivery.subscription), alert.id.to_string())
            }
            News::Digest(_) => (self.note(&news, &delivery.subscription), delivery.id.to_string()),
        };
        Ok(push::message(&note, &tag))
    }

    /// A browser is asked for all at once, as a mail address is, and told no secret: a notification is read
    /// over shoulders.
    fn asks_a_browser(&self, Delivery { subscription, asked, .. }: &Delivery) -> Note {
        let about = sentence::about(subscription.scope, subscription.metric);
        let about = match asked.len() {
            0 | 1 => about,
            more => format!("{about} and {} more", more - 1),
        };
        let link = |label: &str, url| Link { label: label.to_owned(), url };
        let unsubscribe = link("Unsubscribe", self.links.unsubscribe(subscription));
        let (title, text, first) = match subscription.status {
            SubscriptionStatus::Active => (
                "You are subscribed",
                "Alerts come to this browser.",
                words::now(subscription.scope, &self.links).1,
            ),
            _ => (
                "Please confirm",
                "Somebody, hopefully you, asked for alerts in this browser. Click to see which, and confirm. \
                 If it was not you, do nothing: without your confirmation no alert is sent.",
                self.links.confirm(subscription),
            ),
        };
        Note {
            title: format!("{title}: alerts on {about}"),
            paragraphs: vec![text.to_owned()],
            items: Vec::new(),
            links: vec![link("Open", first), unsubscribe],
            snoozes: Vec::new(),
            tag: "bell",
        }
    }

    fn note(&self, news: &News<'_>, subscription: &Subscription) -> Note {
        match news {
            News::Confirmation => self.confirmation(subscription),
            News::Alert(alert) => Note {
                title: title("", alert),
                paragraphs: paragraphs(slice::from_ref(alert), sentence::sentence(alert)),
                items: Vec::new(),
                links: self.alert_links(subscription, alert),
                snoozes: self.snoozes(subscription),
                tag: "chart_with_upwards_trend",
            },
            News::Retraction(alert) => {
                let Alert { symbol, metric, start, .. } = alert;
                let when = sentence::new_york_time(*start);
                let told = sentence::sentence(alert);
                let bar = sentence::bar(*start);
                let text = format!(
                    "We take an alert back. The feed has corrected the {bar} of {when}: \
                     with the corrected {metric} of {symbol} the rule does not fire. \
                     What we told you then, and what no longer holds: {told}"
                );
                Note {
                    title: title("Retracted: ", alert),
                    paragraphs: paragraphs(slice::from_ref(alert), text),
                    items: Vec::new(),
                    links: self.alert_links(subscription, alert),
                    snoozes: self.snoozes(subscription),
                    tag: "leftwards_arrow_with_hook",
                }
            }
            News::Digest(alerts) => Note {
                title: words::digest_title(alerts),
                paragraphs: paragraphs(alerts, words::WAITED.to_owned()),
                items: alerts.iter().map(item).collect(),
                links: vec![
                    Link { label: "All symbols now".to_owned(), url: self.links.home() },
                    Link {
                        label: "Stop all alerts here".to_owned(),
                        url: self.links.unsubscribe_all(subscription),
                    },
                ],
                // Each tells of several subscriptions.
                snoozes: Vec::new(),
                tag: "card_index_dividers",
            },
        }
    }

    fn confirmation(&self, subscription: &Subscription) -> Note {
        let Subscription { id, scope, metric, status, .. } = subscription;
        let when = sentence::promise(&subscription.rule.rule(self.rule), *scope, *metric);
        let unsubscribe = Link { label: "Unsubscribe".to_owned(), url: self.links.unsubscribe(subscription) };
        let (label, url) = words::now(*scope, &self.links);
        let page = Link { label, url };
        let (ask, text, links) = match status {
            SubscriptionStatus::Active => (
                "You are subscribed",
                vec![format!("Alerts are posted here {when}. There is nothing to confirm.")],
                vec![page, unsubscribe],
            ),
            _ => (
                "Please confirm",
                vec![
                    format!("Somebody, hopefully you, asked QQQ Tracker to post here {when}."),
                    "To get these messages, open the link to confirm and press the button. \
                     If it was not you, ignore this message: without your confirmation no alert is sent."
                        .to_owned(),
                ],
                vec![
                    Link { label: "Confirm".to_owned(), url: self.links.confirm(subscription) },
                    page,
                    unsubscribe,
                ],
            ),
        };
        let programs = format!(
            "For programs: the id of the subscription is {id}, and the token (a secret, \
             as good as a password) to read, change or end it over the API is {}",
            self.links.manage_token(subscription).expose()
        );
        Note {
            title: format!("{ask}: alerts on {}", sentence::about(*scope, *metric)),
            paragraphs: text.into_iter().chain(words::quiet_hours(subscription)).chain([programs]).collect(),
            items: Vec::new(),
            links,
            snoozes: Vec::new(),
            tag: "bell",
        }
    }

    fn alert_links(&self, subscription: &Subscription, alert: &Alert) -> Vec<Link> {
        // An own rule's alert wants the subscription's token: a click does not show it.
        let evidence = self.links.alert_page(alert).map(|url| Link { label: "Evidence".to_owned(), url });
        let unsubscribe = Link { label: "Unsubscribe".to_owned(), url: self.links.unsubscribe(subscription) };
        evidence.into_iter().chain([self.page(alert.symbol.as_str()), unsubscribe]).collect()
    }

    fn snoozes(&self, subscription: &Subscription) -> Vec<Link> {
        let link = |snooze| Link {
            label: format!("Snooze {}", words::for_how_long(snooze)),
            url: self.links.snooze(subscription, snooze),
        };
        Snooze::ALL.into_iter().map(link).collect()
    }

    fn page(&self, symbol: &str) -> Link {
        Link { label: format!("{symbol} now"), url: self.links.symbol(symbol) }
    }
}

/// An alert of a digest.
fn item(alert: &Alert) -> String {
    format!("{}: {}", sentence::short_new_york_time(alert.start), sentence::sentence(alert))
}

fn paragraphs(alerts: &[Alert], text: String) -> Vec<String> {
    let invented = "Simulated data: these numbers were invented by the built-in simulator. \
                    Nothing of this happened on a market.";
    let note = words::are_simulated(alerts).then(|| invented.to_owned());
    [Some(text), note].into_iter().flatten().collect()
}
