//! What stands in a request: the news in the words of the receiver's program.

mod discord;
mod ntfy;
mod slack;
mod standard;

use crate::DeliveryError;
use crate::links::Links;
use crate::news::News;
use qqq_core::channel::WebhookFormat;
use qqq_core::delivery::Delivery;
use qqq_core::subscription::{Subscription, SubscriptionStatus};
use qqq_core::token::WebhookSecret;
use qqq_core::{Alert, SpikeRule, sentence};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Serialize;

/// A request without its signature.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Body {
    fn json(value: &impl Serialize) -> Result<Self, DeliveryError> {
        let bytes = serde_json::to_vec(value)
            .map_err(|error| DeliveryError::Retry(format!("the message cannot be made: {error}")))?;
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
                title: self.title("", alert),
                paragraphs: paragraphs(alert, sentence::sentence(alert, &alert.rule.rule(self.rule))),
                links: self.alert_links(subscription, alert),
                tag: "chart_with_upwards_trend",
            },
            News::Retraction(alert) => {
                let Alert { symbol, metric, start, .. } = alert;
                let when = sentence::new_york_time(*start);
                let told = sentence::sentence(alert, &alert.rule.rule(self.rule));
                let text = format!(
                    "We take an alert back. The feed has corrected the minute of {when}: with the corrected {metric} of \
                     {symbol} the rule does not fire. What we told you then, and what no longer holds: {told}"
                );
                Note {
                    title: self.title("Retracted: ", alert),
                    paragraphs: paragraphs(alert, text),
                    links: self.alert_links(subscription, alert),
                    tag: "leftwards_arrow_with_hook",
                }
            }
        }
    }

    fn confirmation(&self, subscription: &Subscription) -> Note {
        let Subscription { id, symbol, metric, status, .. } = subscription;
        let (least, span) = (self.rule.ratio, sentence::span(self.rule.window));
        let when =
            format!("when the {metric} of {symbol} is at least {least} times its average of the last {span}");
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
            self.links.manage(subscription).expose()
        );
        Note {
            title: format!("{ask}: alerts on {symbol} {metric}"),
            paragraphs: text.into_iter().chain([programs]).collect(),
            links,
            tag: "bell",
        }
    }

    fn title(&self, prefix: &str, alert: &Alert) -> String {
        let simulated = if alert.feed.is_simulated() { "[simulated] " } else { "" };
        format!("{simulated}{prefix}{}", sentence::headline(alert, &alert.rule.rule(self.rule)))
    }

    fn alert_links(&self, subscription: &Subscription, alert: &Alert) -> Vec<Link> {
        vec![
            self.page(alert.symbol.as_str()),
            Link { label: "Evidence".to_owned(), url: self.links.alert(alert.id) },
            Link { label: "Unsubscribe".to_owned(), url: self.links.unsubscribe(subscription) },
        ]
    }

    fn page(&self, symbol: &str) -> Link {
        Link { label: format!("{symbol} now"), url: self.links.symbol(symbol) }
    }
}

fn paragraphs(alert: &Alert, text: String) -> Vec<String> {
    let invented = "Simulated data: these numbers were invented by the built-in simulator. Nothing of this happened on a \
                    market.";
    let note = alert.feed.is_simulated().then(|| invented.to_owned());
    [Some(text), note].into_iter().flatten().collect()
}

/// The news for people, plain: each format escapes it in its own way.
struct Note {
    title: String,
    paragraphs: Vec<String>,
    /// The first is the one to follow.
    links: Vec<Link>,
    /// An emoji's short name, where those are used.
    tag: &'static str,
}

struct Link {
    label: String,
    url: String,
}
