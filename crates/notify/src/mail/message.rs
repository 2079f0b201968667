//! From a delivery to a mail: subject, headers, and the same news as text and as HTML.
//!
//! Headers are made by the mail library's encoders alone, and what stands in them is typed: no text of a user
//! or a feed reaches one. Every attempt of a delivery carries the same `Message-ID`.

use super::scale;
use crate::links::Links;
use crate::news::News;
use crate::{DeliveryError, InvalidConfig};
use lettre::message::header::{ContentTransferEncoding, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, MessageBuilder, MultiPart, SinglePart};
use lettre::{Address, Message, address::Envelope};
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};
use qqq_core::channel::Channel;
use qqq_core::delivery::{Delivery, DeliveryId, DeliveryKind};
use qqq_core::subscription::{EmailAddress, Subscription, SubscriptionStatus};
use qqq_core::token::TokenKey;
use qqq_core::{Alert, Clock, Metric, Rule, SpikeRule, sentence};
use std::sync::Arc;
use std::time::SystemTime;
use url::Url;

/// The longest line of a text part that is not one long word.
const TEXT_WIDTH: usize = 72;

/// Every template, by name. The ending decides about escaping.
const TEMPLATES: [(&str, &str); 8] = [
    ("layout.html", include_str!("../../templates/layout.html")),
    ("parts.html", include_str!("../../templates/parts.html")),
    ("alert.txt", include_str!("../../templates/alert.txt")),
    ("alert.html", include_str!("../../templates/alert.html")),
    ("retraction.txt", include_str!("../../templates/retraction.txt")),
    ("retraction.html", include_str!("../../templates/retraction.html")),
    ("confirmation.txt", include_str!("../../templates/confirmation.txt")),
    ("confirmation.html", include_str!("../../templates/confirmation.html")),
];

/// Makes the mails.
pub(crate) struct Composer {
    templates: Environment<'static>,
    from: Mailbox,
    /// The domain of `from`: it names mails and the list.
    domain: String,
    links: Links,
    rule: SpikeRule,
    clock: Arc<dyn Clock>,
}

/// What a template tells, and what the headers must know of it.
struct Told {
    subject: String,
    template: &'static str,
    content: minijinja::Value,
    /// The mail it follows up.
    in_reply_to: Option<String>,
    /// Where one click ends the subscription.
    one_click: Option<String>,
}

/// A line of the evidence: what, and how much.
type Row = (&'static str, String);

impl Composer {
    pub(crate) fn new(
        from: &str,
        public_url: &Url,
        rule: SpikeRule,
        key: TokenKey,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, InvalidConfig> {
        let (from, domain) = parse_from(from)?;
        let links = Links::new(public_url, key)
            .map_err(|problem| InvalidConfig { key: "server.public_url", problem })?;
        Ok(Self { templates: templates(), from, domain, links, rule, clock })
    }

    /// The mail of a delivery.
    pub(crate) fn compose(&self, delivery: &Delivery) -> Result<Message, DeliveryError> {
        let told = match News::of(delivery)? {
            News::Confirmation => self.confirmation(&delivery.subscription),
            News::Alert(alert) => self.alert(&delivery.subscription, alert),
            News::Retraction(alert) => self.retraction(&delivery.subscription, alert),
        };
        let Channel::Email(address) = &delivery.subscription.channel else {
            return Err(DeliveryError::GiveUp("the subscription is not one by mail".to_owned()));
        };
        let recipient: Address = address
            .expose()
            .parse()
            .map_err(|_| DeliveryError::GiveUp("the subscriber's address cannot be written to".to_owned()))?;
        let envelope = Envelope::new(Some(self.from.email.clone()), vec![recipient.clone()])
            .map_err(|error| DeliveryError::GiveUp(error.to_string()))?;

        let mut message = Message::builder()
            .envelope(envelope)
            .from(self.from.clone())
            .to(Mailbox::new(None, recipient))
            .subject(told.subject.as_str())
            .date(self.now())
            .message_id(Some(self.message_id(delivery.id)));
        if let Some(earlier) = told.in_reply_to {
            message = message.in_reply_to(earlier.clone()).references(earlier);
        }
        // RFC 3834: no holiday notes in answer. RFC 2919: the name a filter can go by.
        message = header(message, "Auto-Submitted", "auto-generated".to_owned());
        message =
            header(message, "List-Id", format!("QQQ Tracker alerts <alerts.qqq-tracker.{}>", self.domain));
        if let Some(link) = told.one_click {
            // RFC 8058: the mail program posts to the link, nobody logs in.
            message = header(message, "List-Unsubscribe", format!("<{link}>"));
            message = header(message, "List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned());
        }

        let text = wrap(&self.render(told.template, "txt", &told.content)?);
        let html = self.render(told.template, "html", &told.content)?;
        let parts = MultiPart::alternative()
            .boundary(format!("qqq-{}", delivery.id))
            .singlepart(plain(text))
            .singlepart(SinglePart::html(html));
        message
            .multipart(parts)
            .map_err(|error| DeliveryError::Retry(format!("the mail cannot be made: {error}")))
    }

    fn alert(&self, subscription: &Subscription, alert: &Alert) -> Told {
        let unsubscribe = self.links.unsubscribe(subscription);
        Told {
            subject: subject("", alert, &self.rule_of(alert)),
            template: "alert",
            content: context! {
                unsubscribe => unsubscribe.as_str(),
                cooldown => self.cooldown(alert),
                ..self.evidence(alert)
            },
            in_reply_to: None,
            one_click: Some(unsubscribe),
        }
    }

    fn retraction(&self, subscription: &Subscription, alert: &Alert) -> Told {
        let unsubscribe = self.links.unsubscribe(subscription);
        let told = DeliveryId::of_alert(DeliveryKind::Alert, alert.id, subscription.id);
        Told {
            subject: subject("Retracted: ", alert, &self.rule_of(alert)),
            template: "retraction",
            content: context! { unsubscribe => unsubscribe.as_str(), ..self.evidence(alert) },
            in_reply_to: Some(self.message_id(told)),
            one_click: Some(unsubscribe),
        }
    }

    fn confirmation(&self, subscription: &Subscription) -> Told {
        let Subscription { symbol, metric, status, .. } = subscription;
        let active = *status == SubscriptionStatus::Active;
        let ask = if active { "You are subscribed" } else { "Please confirm" };
        let token = self.links.manage(subscription);
        Told {
            subject: format!("{ask}: alerts on {symbol} {metric}"),
            template: "confirmation",
            content: context! {
                active,
                heading => ask,
                symbol => symbol.as_str(),
                metric => metric.as_str(),
                ratio => self.rule.ratio.to_string(),
                span => sentence::span(self.rule.window),
                site => self.links.site(),
                page => self.links.symbol(symbol.as_str()),
                confirm => self.links.confirm(subscription),
                unsubscribe => self.links.unsubscribe(subscription),
                id => subscription.id.to_string(),
                token => token.expose(),
            },
            in_reply_to: None,
            one_click: None,
        }
    }

    /// What alert and retraction both show: the sentence, the scale, the table, the links.
    fn evidence(&self, alert: &Alert) -> minijinja::Value {
        let told_by = self.rule_of(alert);
        let (ratio, rule) =
            (alert.ratio().unwrap_or_default(), f64::from(self.rule.ratio.millionths()) / 1e6);
        let percent = |ratio| (scale::position(ratio) * 100.0).round() as u32;
        let rows = self.rows(alert);
        let width = rows.iter().map(|(label, _)| label.len()).max().unwrap_or_default();
        let table: Vec<_> = rows.iter().map(|(label, value)| format!("{label:width$}  {value}")).collect();
        context! {
            simulated => alert.feed.is_simulated(),
            heading => sentence::headline(alert, &told_by),
            sentence => sentence::sentence(alert, &told_by),
            scale => scale::text(ratio, rule),
            filled => percent(ratio),
            tick => percent(rule),
            rule => self.rule.ratio.to_string(),
            rows,
            table,
            symbol => alert.symbol.as_str(),
            metric => alert.metric.as_str(),
            when => sentence::new_york_time(alert.start),
            page => self.links.symbol(alert.symbol.as_str()),
            json => self.links.alert(alert.id),
        }
    }

    fn rule_of(&self, alert: &Alert) -> Rule {
        alert.rule.rule(self.rule)
    }

    fn rows(&self, alert: &Alert) -> Vec<Row> {
        let SpikeRule { ratio: least, window, min_bars, .. } = self.rule;
        let unit = if alert.metric == Metric::Volume { " shares" } else { "" };
        let label = match alert.metric {
            Metric::Price => "Price",
            Metric::Volume => "Volume",
        };
        let ratio = sentence::ratio(alert).map_or("none".to_owned(), |ratio| format!("{ratio} times"));
        let feed = if alert.feed.is_simulated() { " (invented, not a market)" } else { "" };
        let revision = match alert.revision {
            0 => "0 (as first reported)".to_owned(),
            1 => "1 (corrected once)".to_owned(),
            n => format!("{n} (corrected {n} times)"),
        };
        vec![
            (label, format!("{}{unit}", sentence::amount(alert.metric, alert.value))),
            (
                "Average",
                format!("{}{unit}, last {}", sentence::precise_average(alert), sentence::span(window)),
            ),
            ("Ratio", ratio),
            ("Rule", format!("{}: at least {least} times the average", alert.rule)),
            ("Bars", format!("{} in the window, {min_bars} needed", alert.evidence.bars())),
            ("New York", sentence::new_york_time(alert.start)),
            ("UTC", alert.start.to_string()),
            ("Feed", format!("{}{feed}", alert.feed)),
            ("Revision", revision),
        ]
    }

    fn cooldown(&self, alert: &Alert) -> String {
        match self.rule.cooldown_seconds {
            0 => format!("Every minute of {} {} that qualifies is mailed.", alert.symbol, alert.metric),
            seconds => format!(
                "You will not hear of {} {} again for {}; minutes that qualify meanwhile are counted on this \
                 alert.",
                alert.symbol,
                alert.metric,
                duration(seconds)
            ),
        }
    }

    fn message_id(&self, id: DeliveryId) -> String {
        format!("<{id}@{}>", self.domain)
    }

    /// Now, within what a `Date` header can say.
    fn now(&self) -> SystemTime {
        SystemTime::try_from(self.clock.now()).unwrap_or(SystemTime::UNIX_EPOCH).max(SystemTime::UNIX_EPOCH)
    }

    fn render(&self, name: &str, form: &str, content: &minijinja::Value) -> Result<String, DeliveryError> {
        let rendered =
            self.templates.get_template(&format!("{name}.{form}")).and_then(|it| it.render(content));
        let rendered =
            rendered.map_err(|error| DeliveryError::Retry(format!("the mail cannot be made: {error}")))?;
        // A bare CR or LF, or another control, could end a message early for a lenient server.
        Ok(rendered.chars().filter(|character| *character == '\n' || !character.is_control()).collect())
    }
}

fn templates() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        environment.set_syntax(syntax);
    }
    environment.set_auto_escape_callback(|name| {
        if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None }
    });
    for (name, source) in TEMPLATES {
        // They are compiled in; a test renders each. What cannot be parsed is missing, and rendering says so.
        let _ = environment.add_template(name, source);
    }
    environment
}

fn header(message: MessageBuilder, name: &'static str, value: String) -> MessageBuilder {
    message.raw_header(HeaderValue::new(HeaderName::new_from_ascii_str(name), value))
}

/// The text part, as it stands where that is legal, so that a mail in a file can be read and its links copied
/// without a mail program. The library would encode every line above 76 characters.
fn plain(text: String) -> SinglePart {
    // RFC 5322, section 2.1.1. Other controls than the line breaks are gone already.
    if !text.is_ascii() || text.lines().any(|line| line.len() > 998) {
        return SinglePart::plain(text);
    }
    let lines = text.replace('\n', "\r\n").into_bytes();
    SinglePart::plain(Body::dangerous_pre_encoded(lines, ContentTransferEncoding::SevenBit))
}

fn subject(prefix: &str, alert: &Alert, rule: &Rule) -> String {
    let simulated = if alert.feed.is_simulated() { "[simulated] " } else { "" };
    format!("{simulated}{prefix}{}", sentence::headline(alert, rule))
}

/// `60 minutes`, `3 hours`, `90 seconds`.
fn duration(seconds: u32) -> String {
    match seconds {
        hours if hours > 2 * 3600 && hours % 3600 == 0 => format!("{} hours", hours / 3600),
        60 => "1 minute".to_owned(),
        minutes if minutes % 60 == 0 => format!("{} minutes", minutes / 60),
        1 => "1 second".to_owned(),
        seconds => format!("{seconds} seconds"),
    }
}

/// `Name <address>`, `"Name" <address>` or an address alone, and its domain.
fn parse_from(from: &str) -> Result<(Mailbox, String), InvalidConfig> {
    let invalid = || InvalidConfig {
        key: "email.from",
        problem: format!(
            "`{}` is not a sender: it must be one address, or a name and an address, like \
             `QQQ Tracker <alerts@example.com>`",
            from.escape_debug()
        ),
    };
    let text = from.trim();
    let (name, address) = match text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
        Some((name, address)) => (name.trim(), address),
        None => ("", text),
    };
    let quoted = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
    let name = quoted.map_or(name.to_owned(), |name| name.replace("\\\"", "\"").replace("\\\\", "\\"));
    if name.chars().any(char::is_control) || name.len() > 128 {
        return Err(invalid());
    }
    let domain = address.parse::<EmailAddress>().map_err(|_| invalid())?.domain().to_owned();
    let mailbox =
        Mailbox::new(Some(name).filter(|name| !name.is_empty()), address.parse().map_err(|_| invalid())?);
    // The library reads the header back when it builds a message; a name it cannot read would fail each one.
    let trial = Message::builder().from(mailbox.clone()).to(Mailbox::new(None, mailbox.email.clone()));
    trial.date(SystemTime::UNIX_EPOCH).body(String::new()).map_err(|_| invalid())?;
    Ok((mailbox, domain))
}

/// Breaks lines longer than [`TEXT_WIDTH`] at blanks, keeping their indentation. Links stay whole.
fn wrap(text: &str) -> String {
    let mut wrapped = String::with_capacity(text.len() + text.len() / 16);
    for line in text.lines() {
        if line.chars().count() <= TEXT_WIDTH {
            wrapped.push_str(line);
        } else {
            let indent = &line[..line.len() - line.trim_start().len()];
            wrap_line(line, indent, &mut wrapped);
        }
        wrapped.push('\n');
    }
    wrapped
}

fn wrap_line(line: &str, indent: &str, wrapped: &mut String) {
    wrapped.push_str(indent);
    let mut column = indent.len();
    for (at, word) in line.split_whitespace().enumerate() {
        let length = word.chars().count();
        if at > 0 && column + 1 + length > TEXT_WIDTH {
            wrapped.push('\n');
            wrapped.push_str(indent);
            column = indent.len();
        } else if at > 0 {
            wrapped.push(' ');
            column += 1;
        }
        wrapped.push_str(word);
        column += length;
    }
}
