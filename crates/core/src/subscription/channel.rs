//! How a subscriber is reached: by mail, by a webhook at an address of theirs, or by their browser.

use crate::UnknownWord;
use crate::subscription::email_address::EmailAddress;
use crate::subscription::mailbox::{self, Destination};
use crate::subscription::push::PushReceiver;
use crate::subscription::webhook_url::WebhookUrl;
use strum::{Display, EnumString, IntoStaticStr, VariantNames};

/// Where the messages of a subscription go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// By mail.
    Email(EmailAddress),
    /// By HTTP request.
    Webhook(Webhook),
    /// By a notification of a browser.
    Push(PushReceiver),
}

impl Channel {
    /// Which of the channels it is.
    pub const fn kind(&self) -> ChannelKind {
        match self {
            Self::Email(_) => ChannelKind::Email,
            Self::Webhook(_) => ChannelKind::Webhook,
            Self::Push(_) => ChannelKind::Push,
        }
    }

    /// What carries its messages.
    pub const fn carrier(&self) -> Carrier {
        self.kind().carrier()
    }

    /// What counts as "the same recipient" in look-ups. No address of one channel is the key of another's:
    /// only those of webhooks and pushes have a colon, and they begin otherwise.
    pub fn key(&self) -> String {
        match self {
            Self::Email(address) => address.key(),
            Self::Webhook(webhook) => webhook.url.expose().to_owned(),
            Self::Push(receiver) => format!("{}{}", PushReceiver::PREFIX, receiver.endpoint.expose()),
        }
    }

    /// Whose places it takes while a message is under way ([`places`](crate::delivery::places)): of mail the
    /// domain, in lower case; of a webhook or a push service scheme, host and port.
    pub fn host(&self) -> String {
        match self {
            Self::Email(address) => address.domain().to_ascii_lowercase(),
            Self::Webhook(webhook) => webhook.url.origin(),
            Self::Push(receiver) => receiver.endpoint.origin(),
        }
    }

    /// What throttles count a message by: the mailbox or endpoint, and whose server it is. Not the identity
    /// of a recipient.
    pub fn destination(&self) -> Destination {
        match self {
            Self::Email(address) => mailbox::of_address(address),
            Self::Webhook(webhook) => mailbox::of_endpoint(webhook.url.endpoint(), webhook.url.host()),
            Self::Push(PushReceiver { endpoint, .. }) => {
                mailbox::of_endpoint(endpoint.endpoint(), endpoint.host())
            }
        }
    }
}

/// The kinds of [`Channel`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of::<ChannelKind>)]
pub enum ChannelKind {
    /// Mail.
    Email,
    /// HTTP request.
    Webhook,
    /// A notification of a browser (Web Push).
    Push,
}

crate::words::words!(ChannelKind);

impl ChannelKind {
    /// All.
    pub const ALL: [Self; 3] = [Self::Email, Self::Webhook, Self::Push];

    /// What carries its messages.
    pub const fn carrier(self) -> Carrier {
        match self {
            Self::Email => Carrier::Mail,
            Self::Webhook | Self::Push => Carrier::Http,
        }
    }
}

/// What carries messages: whose places they take while they are under way, and for how long they are worth
/// sending. Deliveries are kept under the word of the first channel that each had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantNames)]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of::<Carrier>)]
pub enum Carrier {
    /// Mail servers.
    #[strum(serialize = "email")]
    Mail,
    /// Requests: to webhooks, and to the push services of browsers.
    #[strum(serialize = "webhook")]
    Http,
}

crate::words::words!(Carrier);

impl Carrier {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Mail, Self::Http];
}

/// An address that takes requests, and what they should look like.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Webhook {
    /// Where to.
    pub url: WebhookUrl,
    /// In whose words.
    pub format: WebhookFormat,
}

/// Whose words a webhook's requests are in.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantNames,
)]
#[strum(serialize_all = "snake_case")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of::<WebhookFormat>)]
pub enum WebhookFormat {
    /// JSON for programs, as <https://www.standardwebhooks.com> recommends.
    #[default]
    Standard,
    /// Slack's incoming webhooks, and what is compatible with them: Mattermost, Rocket.Chat.
    Slack,
    /// Discord's webhooks.
    Discord,
    /// A topic of an ntfy server.
    Ntfy,
    /// A bot's `sendMessage` on Telegram.
    Telegram,
    /// A message of Pushover.
    Pushover,
}

crate::words::words!(WebhookFormat);

impl WebhookFormat {
    /// All, in the order they are listed.
    pub const ALL: [Self; 6] =
        [Self::Standard, Self::Slack, Self::Discord, Self::Ntfy, Self::Telegram, Self::Pushover];

    /// A parameter that an address in this format has to have and has not: without it the service would not
    /// know whom a message is for.
    pub fn lacks(self, url: &WebhookUrl) -> Option<&'static str> {
        let needed: &[&'static str] = match self {
            Self::Telegram => &["chat_id"],
            Self::Pushover => &["token", "user"],
            Self::Standard | Self::Slack | Self::Discord | Self::Ntfy => &[],
        };
        needed.iter().copied().find(|name| url.parameter(name).is_none_or(|value| value.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> WebhookUrl {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_kept_in_its_canonical_text() {
        for (given, kept) in [
            ("https://example.com/hook", "https://example.com/hook"),
            ("HTTPS://Example.COM:443/a/../Hook?Token=A", "https://example.com/Hook?Token=A"),
            ("http://example.com:8080", "http://example.com:8080/"),
            ("https://bücher.example/ü", "https://xn--bcher-kva.example/%C3%BC"),
            ("https://2130706433/", "https://127.0.0.1/"),
            ("https://[::FFFF:127.0.0.1]/", "https://[::ffff:7f00:1]/"),
        ] {
            assert_eq!(parse(given).expose(), kept);
            assert_eq!(parse(kept).expose(), kept, "the canonical text is its own");
        }
    }

    #[test]
    fn what_is_no_address_of_a_webhook_is_refused_without_being_repeated() {
        for text in [
            "",
            "hook",
            "example.com/hook",
            "//example.com/hook",
            "ftp://example.com/hook",
            "file:///etc/hook",
            "javascript:hook",
            "unix:/run/hook",
            "https://",
            "https:///",
            "https://user@example.com/hook",
            "https://user:hunter2@example.com/hook",
            "https://:hunter2@example.com/hook",
            "https://example.com/hook#part",
            "https://example.com/hook#",
            " https://example.com/hook",
            "https://example.com/hook\n",
            "https://exa\tmple.com/hook",
            "https://example.com/ho ok",
            "https://example.com/hook\u{a0}",
            "https://example.com:99999/hook",
            "https://[::1/hook",
            "https://[fe80::1%25eth0]/hook",
            "https://256.1.1.1/hook",
            "https://exa<mple.com/hook",
            &format!("https://example.com/{}", "h".repeat(2048)),
            // Short as given, too long once written out.
            &format!("https://example.com/{}", "ü".repeat(900)),
        ] {
            let error = text.parse::<WebhookUrl>().unwrap_err().to_string();
            assert!(error.contains("https://example.com/hook"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn an_address_shows_its_host_alone() {
        let url = parse("https://hooks.slack.example/services/T0/B0/canary?k=canary");
        assert_eq!(url.host(), "hooks.slack.example");
        let webhook = Channel::Webhook(Webhook { url, format: WebhookFormat::Slack });
        let shown = format!("{webhook:?}");
        assert!(shown.contains("hooks.slack.example") && !shown.contains("canary"), "{shown}");
    }

    #[test]
    fn what_an_address_has_to_name_is_named_where_it_is_missing() {
        use WebhookFormat::{Pushover, Standard, Telegram};
        let lacks = |format: WebhookFormat, url: &str| format.lacks(&parse(url));
        let bot = "https://api.telegram.org/bot1:x/sendMessage";
        assert_eq!(lacks(Telegram, bot), Some("chat_id"));
        assert_eq!(lacks(Telegram, &format!("{bot}?chat_id=")), Some("chat_id"));
        assert_eq!(lacks(Telegram, &format!("{bot}?chat_id=-1001")), None);
        let pushover = "https://api.pushover.net/1/messages.json?token=a";
        assert_eq!(lacks(Pushover, pushover), Some("user"));
        assert_eq!(lacks(Pushover, &format!("{pushover}&user=u")), None);
        assert_eq!(lacks(Standard, "https://example.com/"), None);
    }

    #[test]
    fn a_recipient_is_known_by_its_key_and_throttled_without_what_anybody_can_add() {
        let webhook =
            |url: &str| Channel::Webhook(Webhook { url: parse(url), format: WebhookFormat::default() });
        let one = webhook("https://Example.com/hook?a=1");
        assert_eq!(one.key(), "https://example.com/hook?a=1");
        assert_ne!(one.key(), webhook("https://example.com/hook?a=2").key());
        assert_eq!(one.destination(), webhook("https://example.com/hook?a=2").destination());
        assert_ne!(one.destination(), webhook("https://example.com/other").destination());

        for (url, host) in [
            ("https://Example.com/hook?a=1", "https://example.com"),
            ("https://example.com:443", "https://example.com"),
            ("https://example.com:8443/hook://x/", "https://example.com:8443"),
            ("http://[::1]:8080/", "http://[::1]:8080"),
        ] {
            assert_eq!(webhook(url).host(), host);
        }

        let mail = Channel::Email("Ada+x@Example.com".parse().unwrap());
        assert_eq!(mail.host(), "example.com");
        assert_eq!(
            (mail.key(), mail.destination().mailbox),
            ("ada+x@example.com".into(), "ada@example.com".into())
        );
        assert_eq!((mail.kind(), one.kind()), (ChannelKind::Email, ChannelKind::Webhook));
    }

    #[test]
    fn kinds_and_formats_are_read_as_they_are_written() {
        for kind in ChannelKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        for format in WebhookFormat::ALL {
            assert_eq!(format.as_str().parse(), Ok(format));
        }
        assert!("Slack".parse::<WebhookFormat>().unwrap_err().to_string().contains("`standard`"));
        assert!("sms".parse::<ChannelKind>().unwrap_err().to_string().contains("`webhook`"));
    }

    proptest! {
        #[test]
        fn whatever_is_taken_reads_back_the_same(text in "https?://[a-z0-9.:/?=%&\\[\\]@#-]{1,40}") {
            if let Ok(url) = text.parse::<WebhookUrl>() {
                prop_assert_eq!(&parse(url.expose()), &url);
                prop_assert!(url.expose().starts_with(&url.endpoint()));
                prop_assert!(!url.host().is_empty());
            }
        }
    }
}
