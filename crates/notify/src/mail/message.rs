//! From a delivery to a mail: subject, headers, and the same news as text and as HTML.
//!
//! Headers are made by the mail library's encoders alone, and what stands in them is typed: no text of a user
//! or a feed reaches one.
//!
//! Every attempt of a delivery carries the same `Message-ID`, so that a receiver can drop a repeat. A
//! confirmation may say something else at its next attempt, as when who was asked has confirmed meanwhile:
//! then it is another message (RFC 5322, section 3.6.4), and has another id, or whoever drops repeats would
//! miss it.

use super::{asked, evidence, text};
use crate::links::Links;
use crate::news::News;
use crate::words::{self, title};
use crate::{DeliveryError, InvalidConfig};
use lettre::message::header::{ContentTransferEncoding, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, MessageBuilder, MultiPart, SinglePart};
use lettre::{Address, Message, address::Envelope};
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};
use qqq_contract::sentence;
use qqq_core::delivery::{Delivery, DeliveryId, DeliveryKind, SignInMail};
use qqq_core::market::calendar::new_york;
use qqq_core::subscription::channel::Channel;
use qqq_core::subscription::snooze::Snooze;
use qqq_core::subscription::token::TokenKey;
use qqq_core::subscription::{EmailAddress, Subscription, SubscriptionStatus};
use qqq_core::{Alert, Clock, SpikeRule};
use sha2::{Digest as _, Sha256};
use std::slice;
use std::sync::Arc;
use std::time::SystemTime;
use url::Url;

/// Alerts that a digest tells of: with more, mail programs would cut the mail off themselves.
const MAX_TOLD: usize = 100;

/// Groups of what was asked for that a confirmation tells of.
const MAX_GROUPS: usize = 8;

/// Every template, by name. The ending decides about escaping.
const TEMPLATES: [(&str, &str); 13] = [
    ("layout.html", include_str!("../../templates/layout.html")),
    ("parts.txt", include_str!("../../templates/parts.txt")),
    ("parts.html", include_str!("../../templates/parts.html")),
    ("alert.txt", include_str!("../../templates/alert.txt")),
    ("alert.html", include_str!("../../templates/alert.html")),
    ("retraction.txt", include_str!("../../templates/retraction.txt")),
    ("retraction.html", include_str!("../../templates/retraction.html")),
    ("digest.txt", include_str!("../../templates/digest.txt")),
    ("digest.html", include_str!("../../templates/digest.html")),
    ("confirmation.txt", include_str!("../../templates/confirmation.txt")),
    ("confirmation.html", include_str!("../../templates/confirmation.html")),
    ("sign_in.txt", include_str!("../../templates/sign_in.txt")),
    ("sign_in.html", include_str!("../../templates/sign_in.html")),
];

/// Makes the mails.
pub(crate) struct Composer {
    templates: Environment<'static>,
    /// Who the mails are from.
    pub(crate) from: Mailbox,
    /// The address of `from`. Its domain names mails and the list.
    pub(crate) sender: EmailAddress,
    links: Links,
    /// The house rule as it is now: what a subscription to it promises.
    rule: SpikeRule,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What a template tells, and what the headers must know of it.
struct Told {
    subject: String,
    template: &'static str,
    content: minijinja::Value,
    /// The mail it follows up.
    in_reply_to: Option<String>,
    /// Where one click ends the subscription, or of a digest all of them.
    one_click: Option<String>,
}

/// What a mail says.
struct Said {
    subject: String,
    text: String,
    html: String,
}

impl Composer {
    pub(crate) fn new(
        from: &str,
        public_url: &Url,
        rule: SpikeRule,
        key: TokenKey,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, InvalidConfig> {
        let (from, sender) = parse_from(from)?;
        let links = Links::new(public_url, key)
            .map_err(|problem| InvalidConfig { key: "server.public_url", problem })?;
        Ok(Self { templates: templates(), from, sender, links, rule, clock })
    }

    /// The mail of a delivery.
    pub(crate) fn compose(&self, delivery: &Delivery) -> Result<Message, DeliveryError> {
        let told = match News::of(delivery)? {
            News::Confirmation => self.confirmation(&delivery.subscription, &delivery.asked),
            News::Alert(alert) => self.alert(&delivery.subscription, alert),
            News::Retraction(alert) => self.retraction(&delivery.subscription, alert),
            News::Digest(alerts) => self.digest(&delivery.subscription, alerts),
        };
        let Channel::Email(address) = &delivery.subscription.channel else {
            return Err(DeliveryError::give_up("the subscription is not one by mail"));
        };
        let said = self.write(&told)?;
        let message_id = match delivery.kind {
            DeliveryKind::Confirmation => self.message_id_by_text(delivery.id, &said),
            _ => self.message_id(delivery.id),
        };
        let mut message = self.addressed(address, &said, message_id)?;
        if let Some(earlier) = told.in_reply_to {
            message = message.in_reply_to(earlier.clone()).references(earlier);
        }
        // RFC 2919: the name a filter can go by.
        message = header(
            message,
            "List-Id",
            format!("QQQ Tracker alerts <alerts.qqq-tracker.{}>", self.sender.domain()),
        );
        if let Some(link) = told.one_click {
            // RFC 8058: the mail program posts to the link, nobody logs in.
            message = header(message, "List-Unsubscribe", format!("<{link}>"));
            message = header(message, "List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned());
        }

        with_body(message, delivery.id, said)
    }

    /// The mail with a link to sign in. Of no list: there is nothing to unsubscribe from.
    pub(crate) fn compose_sign_in(&self, mail: &SignInMail) -> Result<Message, DeliveryError> {
        let subject = "Sign in to QQQ Tracker";
        let said = self.write(&Told {
            subject: subject.to_owned(),
            template: "sign_in",
            content: context! {
                heading => subject,
                link => self.links.sign_in(mail.id),
                home => self.links.home(),
            },
            in_reply_to: None,
            one_click: None,
        })?;
        let id = mail.delivery_id();
        let message = self.addressed(&mail.to, &said, self.message_id(id))?;
        with_body(message, id, said)
    }

    /// The beginning of a mail: from us, to an address, with a subject, a date and an id.
    fn addressed(
        &self,
        address: &EmailAddress,
        said: &Said,
        message_id: String,
    ) -> Result<MessageBuilder, DeliveryError> {
        let recipient: Address = address
            .expose()
            .parse()
            .map_err(|_| DeliveryError::give_up("the receiver's address cannot be written to"))?;
        let envelope = Envelope::new(Some(self.from.email.clone()), vec![recipient.clone()])
            .map_err(|error| DeliveryError::give_up(error.to_string()))?;
        let message = Message::builder()
            .envelope(envelope)
            .from(self.from.clone())
            .to(Mailbox::new(None, recipient))
            .subject(said.subject.as_str())
            .date(self.now())
            .message_id(Some(message_id));
        // RFC 3834: no holiday notes in answer.
        Ok(header(message, "Auto-Submitted", "auto-generated".to_owned()))
    }

    fn alert(&self, subscription: &Subscription, alert: &Alert) -> Told {
        let seconds = alert.rule.rule().cooldown_seconds;
        let Alert { symbol, metric, .. } = alert;
        let cooldown = match seconds {
            0 => {
                let every = sentence::bar(alert.start);
                format!("Every {every} of {symbol} {metric} that qualifies is mailed.")
            }
            seconds => format!(
                "You will not hear of {symbol} {metric} by this rule again for {}; \
                 {} that qualify meanwhile are counted on this alert.",
                sentence::duration(seconds),
                sentence::slots(alert.start)
            ),
        };
        Told {
            subject: title("", alert),
            template: "alert",
            content: context! { cooldown, ..self.evidence(subscription, alert) },
            in_reply_to: None,
            one_click: Some(self.links.unsubscribe(subscription)),
        }
    }

    fn retraction(&self, subscription: &Subscription, alert: &Alert) -> Told {
        let told = DeliveryId::of_alert(DeliveryKind::Alert, alert.id, subscription.id);
        Told {
            subject: title("Retracted: ", alert),
            template: "retraction",
            content: self.evidence(subscription, alert),
            in_reply_to: Some(self.message_id(told)),
            one_click: Some(self.links.unsubscribe(subscription)),
        }
    }

    fn digest(&self, subscription: &Subscription, alerts: &[Alert]) -> Told {
        let told = &alerts[..alerts.len().min(MAX_TOLD)];
        let title = words::digest_title(alerts);
        let everything = self.links.unsubscribe_all(subscription);
        Told {
            subject: title.clone(),
            template: "digest",
            content: context! {
                simulated => words::are_simulated(alerts),
                heading => title,
                waited => words::WAITED,
                days => self.days(told),
                more => alerts.len() - told.len(),
                home => self.links.home(),
                unsubscribe_all => everything.as_str(),
                ..self.ways_out(subscription)
            },
            in_reply_to: None,
            one_click: Some(everything),
        }
    }

    /// The alerts by day of New York, as they come.
    fn days(&self, alerts: &[Alert]) -> Vec<minijinja::Value> {
        let date = |alert: &Alert| alert.start.start().to_zoned_datetime(new_york()).date();
        let same_day = |one: &Alert, next: &Alert| date(one) == date(next);
        alerts
            .chunk_by(same_day)
            .map(|day| {
                let alerts: Vec<_> = day.iter().map(|alert| self.entry(alert)).collect();
                context! { date => date(&day[0]).strftime("%A, %B %-d, %Y").to_string(), alerts }
            })
            .collect()
    }

    /// An alert of a digest.
    fn entry(&self, alert: &Alert) -> minijinja::Value {
        let time = sentence::clock(alert.start);
        let sentence = sentence::sentence(alert);
        context! {
            lines => text::beside(&time, time.len(), &sentence),
            time,
            sentence,
            symbol => alert.symbol.as_str(),
            page => self.links.symbol(alert.symbol.as_str()),
            evidence => self.links.alert_page(alert),
        }
    }

    /// `asked`: what the link shows, where that is known to be more than the subscription.
    fn confirmation(&self, subscription: &Subscription, asked: &[Subscription]) -> Told {
        let Subscription { scope, metric, status, quiet, .. } = subscription;
        let active = *status == SubscriptionStatus::Active;
        let asked = if active || asked.is_empty() { slice::from_ref(subscription) } else { asked };
        let ask = if active { "You are subscribed" } else { "Please confirm" };
        let groups = if asked.len() > 1 { asked::groups(asked, self.rule) } else { Vec::new() };
        let (told, beyond) = groups.split_at(groups.len().min(MAX_GROUPS));
        let told: Vec<minijinja::Value> = told
            .iter()
            .map(|group| context! { what => group.what.as_str(), promise => group.promise.as_str() })
            .collect();
        let is_quiet = asked.iter().all(|one| one.quiet == *quiet);
        let token = self.links.manage_token(subscription);
        let (now, page) = words::now(*scope, &self.links);
        Told {
            subject: format!("{ask}: alerts on {}", asked::title(asked)),
            template: "confirmation",
            content: context! {
                active,
                heading => ask,
                promise => sentence::promise(&subscription.rule.rule(self.rule), *scope, *metric),
                groups => told,
                more => beyond.iter().map(|group| group.subscriptions).sum::<usize>(),
                quiet => is_quiet.then(|| words::quiet_hours(subscription)).flatten(),
                home => self.links.home(),
                now,
                page,
                confirm => self.links.confirm(subscription),
                unsubscribe_all => self.links.unsubscribe_all(subscription),
                id => subscription.id.to_string(),
                token => token.expose(),
                ..self.ways_out(subscription)
            },
            in_reply_to: None,
            one_click: None,
        }
    }

    /// How to hear less: the links, and the subscription they are about.
    fn ways_out(&self, subscription: &Subscription) -> minijinja::Value {
        context! {
            about => sentence::about(subscription.scope, subscription.metric),
            unsubscribe => self.links.unsubscribe(subscription),
            manage => self.links.manage(subscription),
            snoozes => Snooze::ALL.map(|snooze| {
                context! {
                    label => words::for_how_long(snooze),
                    url => self.links.snooze(subscription, snooze),
                }
            }),
        }
    }

    /// What alert and retraction both show: the sentence, the scale, the table, the links.
    fn evidence(&self, subscription: &Subscription, alert: &Alert) -> minijinja::Value {
        let rows = evidence::rows(alert);
        context! {
            simulated => alert.feed.is_simulated(),
            heading => sentence::headline(alert),
            sentence => sentence::sentence(alert),
            scale => evidence::scale(alert),
            table => evidence::table(&rows),
            rows,
            when => sentence::new_york_time(alert.start),
            bar => sentence::bar(alert.start),
            symbol => alert.symbol.as_str(),
            metric => alert.metric.as_str(),
            page => self.links.symbol(alert.symbol.as_str()),
            alert => self.links.alert_page(alert),
            json => self.evidence_link(alert),
            ..self.ways_out(subscription)
        }
    }

    /// The alert for programs, where a click is enough to read it: an own rule's wants the subscription's
    /// token.
    fn evidence_link(&self, alert: &Alert) -> Option<String> {
        alert.is_public().then(|| self.links.alert(alert.id))
    }

    fn write(&self, told: &Told) -> Result<Said, DeliveryError> {
        Ok(Said {
            subject: told.subject.clone(),
            text: text::wrap(&self.render(told.template, "txt", &told.content)?),
            html: self.render(told.template, "html", &told.content)?,
        })
    }

    fn message_id(&self, id: DeliveryId) -> String {
        format!("<{id}@{}>", self.sender.domain())
    }

    /// Of a mail whose text may be another at its next attempt: of the delivery, and of what the mail says.
    fn message_id_by_text(&self, id: DeliveryId, said: &Said) -> String {
        let mut hash = Sha256::new();
        for part in [&said.subject, &said.text, &said.html] {
            hash.update(part);
            hash.update([0]);
        }
        let says: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("<{id}.{says}@{}>", self.sender.domain())
    }

    /// Now, within what a `Date` header can say.
    fn now(&self) -> SystemTime {
        SystemTime::try_from(self.clock.now()).unwrap_or(SystemTime::UNIX_EPOCH).max(SystemTime::UNIX_EPOCH)
    }

    fn render(&self, name: &str, form: &str, content: &minijinja::Value) -> Result<String, DeliveryError> {
        let rendered =
            self.templates.get_template(&format!("{name}.{form}")).and_then(|it| it.render(content));
        let rendered =
            rendered.map_err(|error| DeliveryError::retry(format!("the mail cannot be made: {error}")))?;
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

fn with_body(message: MessageBuilder, id: DeliveryId, said: Said) -> Result<Message, DeliveryError> {
    let parts = MultiPart::alternative()
        .boundary(format!("qqq-{id}"))
        .singlepart(plain(said.text))
        .singlepart(SinglePart::html(said.html));
    message
        .multipart(parts)
        .map_err(|error| DeliveryError::retry(format!("the mail cannot be made: {error}")))
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

/// `Name <address>`, `"Name" <address>` or an address alone; and the address.
pub(super) fn parse_from(from: &str) -> Result<(Mailbox, EmailAddress), InvalidConfig> {
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
    let sender: EmailAddress = address.parse().map_err(|_| invalid())?;
    let mailbox =
        Mailbox::new(Some(name).filter(|name| !name.is_empty()), address.parse().map_err(|_| invalid())?);
    // The library reads the header back when it builds a message; a name it cannot read would fail each one.
    let trial = Message::builder().from(mailbox.clone()).to(Mailbox::new(None, mailbox.email.clone()));
    trial.date(SystemTime::UNIX_EPOCH).body(String::new()).map_err(|_| invalid())?;
    Ok((mailbox, sender))
}
