//! What stands in a request: the news in the words of the receiver's program.

mod discord;
mod ntfy;
mod slack;
mod standard;

use crate::DeliveryError;
use crate::links::Links;
use crate::news::News;
use crate::words::{self, title};
use qqq_core::channel::WebhookFormat;
use qqq_core::delivery::Delivery;
use qqq_core::subscription::{Subscription, SubscriptionStatus};
use qqq_core::token::WebhookSecret;
use qqq_core::{Alert, SpikeRule, sentence};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Serialize;
use std::slice;

/// A request without its signature.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Body {
    fn json(value: &impl Serialize) -> Result<Self, DeliveryError> {
        let bytes = serde_json::to_vec(value)
            .map_err(|error| DeliveryError::retry(format!("the message cannot be made: {error}")))?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(Self { headers, bytes })
    }
}

/// Makes the bodies.
pub(crate) struct Writer {
    pub(crate) links: Links,
    pub(crate) rule: SpikeRule,
}

impl Writer {
    /// The body of a delivery in a format. `secret` signs the requests; its receiver is told it.
    pub(crate) fn write(
        &self,
        format: WebhookFormat,
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
        }
    }

    fn note(&self, news: &News<'_>, subscription: &Subscription) -> Note {
        match news {
            News::Confirmation => self.confirmation(subscription),
            News::Alert(alert) => Note {
                title: title("", alert, self.rule),
                paragraphs: paragraphs(slice::from_ref(alert), self.sentence(alert)),
                items: Vec::new(),
                links: self.alert_links(subscription, alert),
                tag: "chart_with_upwards_trend",
            },
            News::Retraction(alert) => {
                let Alert { symbol, metric, start, .. } = alert;
                let when = sentence::new_york_time(*start);
                let told = self.sentence(alert);
                let text = format!(
                    "We take an alert back. The feed has corrected the minute of {when}: with the corrected {metric} of \
                     {symbol} the rule does not fire. What we told you then, and what no longer holds: {told}"
                );
                Note {
                    title: title("Retracted: ", alert, self.rule),
                    paragraphs: paragraphs(slice::from_ref(alert), text),
                    items: Vec::new(),
                    links: self.alert_links(subscription, alert),
                    tag: "leftwards_arrow_with_hook",
                }
            }
            News::Digest(alerts) => Note {
                title: words::digest_title(alerts, self.rule),
                paragraphs: paragraphs(alerts, words::WAITED.to_owned()),
                items: alerts.iter().map(|alert| self.item(alert)).collect(),
                links: vec![
                    Link { label: "All symbols now".to_owned(), url: self.links.home() },
                    Link {
                        label: "Stop all alerts here".to_owned(),
                        url: self.links.unsubscribe_all(subscription),
                    },
                ],
                tag: "card_index_dividers",
            },
        }
    }

    fn confirmation(&self, subscription: &Subscription) -> Note {
        let Subscription { id, symbol, metric, status, .. } = subscription;
        let when = sentence::promise(&subscription.rule.rule(self.rule), *symbol, *metric);
        let unsubscribe = Link { label: "Unsubscribe".to_owned(), url: self.links.unsubscribe(subscription) };
        let page = self.page(symbol.as_str());
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
                    "To get these messages, open the link to confirm and press the button. If it was not you, ignore this \
                     message: without your confirmation no alert is sent."
                        .to_owned(),
                ],
                vec![Link { label: "Confirm".to_owned(), url: self.links.confirm(subscription) }, page, unsubscribe],
            ),
        };
        let programs = format!(
            "For programs: the id of the subscription is {id}, and the token (a secret, as good as a password) to read, \
             change or end it over the API is {}",
            self.links.manage_token(subscription).expose()
        );
        Note {
            title: format!("{ask}: alerts on {symbol} {metric}"),
            paragraphs: text.into_iter().chain(words::quiet_hours(subscription)).chain([programs]).collect(),
            items: Vec::new(),
            links,
            tag: "bell",
        }
    }

    fn sentence(&self, alert: &Alert) -> String {
        sentence::sentence(alert, &alert.rule.rule(self.rule))
    }

    /// An alert of a digest.
    fn item(&self, alert: &Alert) -> String {
        format!("{}: {}", sentence::short_new_york_time(alert.start), self.sentence(alert))
    }

    fn alert_links(&self, subscription: &Subscription, alert: &Alert) -> Vec<Link> {
        // An own rule's alert wants the subscription's token: a click does not show it.
        let evidence =
            alert.is_public().then(|| Link { label: "Evidence".to_owned(), url: self.links.alert(alert.id) });
        let unsubscribe = Link { label: "Unsubscribe".to_owned(), url: self.links.unsubscribe(subscription) };
        std::iter::once(self.page(alert.symbol.as_str())).chain(evidence).chain([unsubscribe]).collect()
    }

    fn page(&self, symbol: &str) -> Link {
        Link { label: format!("{symbol} now"), url: self.links.symbol(symbol) }
    }
}

fn paragraphs(alerts: &[Alert], text: String) -> Vec<String> {
    let invented = "Simulated data: these numbers were invented by the built-in simulator. Nothing of this happened on a \
                    market.";
    let note = words::are_simulated(alerts).then(|| invented.to_owned());
    [Some(text), note].into_iter().flatten().collect()
}

/// The news for people, plain: each format escapes it in its own way.
struct Note {
    title: String,
    paragraphs: Vec<String>,
    /// Lines of a list, after the paragraphs.
    items: Vec<String>,
    /// The first is the one to follow.
    links: Vec<Link>,
    /// An emoji's short name, where those are used.
    tag: &'static str,
}

struct Link {
    label: String,
    url: String,
}

/// As many of `items` as fit into `room` by `length`, on lines of their own, and how many more there are.
fn fitting(items: &[String], room: usize, length: impl Fn(&str) -> usize) -> String {
    // What `left` lines more are told in: taken from the room beforehand.
    let more = |left: usize| if left > 0 { format!("And {left} more.") } else { String::new() };
    let (mut fitting, mut used) = (String::new(), 0);
    for (at, item) in items.iter().enumerate() {
        let after = length(&more(items.len() - at - 1));
        used += length(item) + 1;
        if used + after > room {
            fitting.push_str(&more(items.len() - at));
            break;
        }
        fitting.push_str(item);
        fitting.push('\n');
    }
    fitting.truncate(fitting.trim_end().len());
    fitting
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_list_fits_and_says_how_much_of_it_is_missing(
            items in prop::collection::vec("[a-zü]{1,40}", 0..60),
            room in 60_usize..2_000,
        ) {
            let told = fitting(&items, room, str::len);
            prop_assert!(told.len() <= room, "{}", told.len());
            let lines: Vec<_> = told.lines().collect();
            let whole = lines.iter().zip(&items).take_while(|(line, item)| line == item).count();
            if whole == items.len() {
                prop_assert_eq!(lines.len(), items.len());
            } else {
                prop_assert_eq!(lines[whole..].to_vec(), [format!("And {} more.", items.len() - whole)]);
                let next = whole + items[..=whole].iter().map(String::len).sum::<usize>();
                prop_assert!(next + 20 > room, "one more would have fitted");
            }
        }
    }
}
