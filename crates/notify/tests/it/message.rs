//! What the mails say, and that nothing else can get into them.

use crate::fixture::{
    ADDRESS, alert, alert_delivery, config, confirmation, key, mail, subscription, telling,
};
use crate::parsed::Parsed;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use proptest::prelude::*;
use qqq_core::channel::Channel;
use qqq_core::delivery::{Delivery, DeliveryKind};
use qqq_core::rule::Evidence;
use qqq_core::subscription::{EmailAddress, SubscriptionStatus};
use qqq_core::token::Purpose;
use qqq_core::{Alert, Metric, Minute, SpikeRule};
use qqq_notify::{DeliveryError, Mail, MailConfig};
use std::sync::Arc;

fn parsed(delivery: &Delivery) -> Parsed {
    Parsed::new(&mail(config()).render(delivery).unwrap())
}

fn token(purpose: Purpose) -> String {
    let subscription = subscription(SubscriptionStatus::Active);
    key().token(purpose, subscription.id, &subscription.nonce).expose().to_owned()
}

#[test]
fn an_alert_says_what_happened_and_shows_its_evidence() {
    let mail = parsed(&alert_delivery());
    assert_eq!(mail.header("Subject"), "NVDA volume 18.7x its last hour");
    let words = mail.words();
    assert!(words.starts_with(
        "NVDA traded 9,637,512 shares at 13:57 New York time, 18.7 times its average of the last hour, 516,000."
    ));
    for evidence in [
        "Volume 9,637,512 shares",
        "Average 515,888 shares, last hour",
        "Ratio 18.7 times",
        "Rule the volume of NVDA is at least 3 times its average of the last hour",
        "Bars 60 in the window, 30 needed",
        "New York Monday, January 27, 2025, 13:57 EST",
        "UTC 2025-01-27T18:57:00Z",
        "Feed iex",
        "Revision 0 (as first reported)",
        "You will not hear of NVDA volume by this rule again for 60 minutes",
        "https://qqq.example.org/s/NVDA",
    ] {
        assert!(words.contains(evidence), "{evidence}\n{}", mail.text);
    }
    assert!(mail.text.contains("3x rule"), "{}", mail.text);
    for said in ["18.7 times", "9,637,512", "13:57 EST", "rule: 3x"] {
        assert!(mail.html.contains(said), "{said}\n{}", mail.html);
    }
    for line in mail.text.lines().filter(|line| !line.contains("://")) {
        assert!(line.len() <= 72, "{line}");
    }
}

#[test]
fn a_price_is_told_in_dollars() {
    let alert = Alert {
        metric: Metric::Price,
        value: 118_580_000_000,
        evidence: Evidence::Average { sum: 37_056_250_000, bars: 1 },
        ..alert()
    };
    let mail = parsed(&telling(DeliveryKind::Alert, alert));
    assert!(mail.words().starts_with(
        "NVDA was at $118.58 at 13:57 New York time, 3.2 times its average of the last hour, $37.06."
    ));
    assert!(mail.words().contains("Price $118.58"));
}

#[test]
fn headers_are_complete_and_let_mail_programs_unsubscribe() {
    let delivery = alert_delivery();
    let mail = parsed(&delivery);
    assert_eq!(mail.header("From"), "\"QQQ Tracker\" <alerts@example.org>");
    assert_eq!(mail.header("To"), ADDRESS);
    assert_eq!(mail.header("Date"), "Mon, 27 Jan 2025 18:58:03 +0000");
    assert_eq!(mail.header("Message-ID"), format!("<{}@example.org>", delivery.id));
    assert_eq!(mail.header("Auto-Submitted"), "auto-generated");
    assert_eq!(mail.header("List-Id"), "QQQ Tracker alerts <alerts.qqq-tracker.example.org>");
    let link =
        format!("https://qqq.example.org/v1/subscriptions/unsubscribe?token={}", token(Purpose::Unsubscribe));
    assert_eq!(mail.header("List-Unsubscribe"), format!("<{link}>"));
    assert_eq!(mail.header("List-Unsubscribe-Post"), "List-Unsubscribe=One-Click");
    assert!(mail.text.contains(&link));
}

#[test]
fn a_retraction_follows_up_the_mail_it_takes_back() {
    let told = parsed(&alert_delivery());
    let mail = parsed(&telling(DeliveryKind::Retraction, alert()));
    assert_eq!(mail.header("Subject"), "Retracted: NVDA volume 18.7x its last hour");
    assert_eq!(mail.header("In-Reply-To"), told.header("Message-ID"));
    assert_eq!(mail.header("References"), told.header("Message-ID"));
    assert_ne!(mail.header("Message-ID"), told.header("Message-ID"));
    assert_eq!(mail.header("List-Unsubscribe"), told.header("List-Unsubscribe"));
    assert!(mail.words().starts_with("We take an alert back."));
    assert!(mail.words().contains("NVDA traded 9,637,512 shares at 13:57"));
    assert!(!mail.words().contains("You will not hear"));
}

#[test]
fn a_confirmation_asks_and_carries_the_tokens_of_its_subscription() {
    let mail = parsed(&confirmation(SubscriptionStatus::Pending));
    assert_eq!(mail.header("Subject"), "Please confirm: alerts on NVDA volume");
    let confirm =
        format!("https://qqq.example.org/v1/subscriptions/confirm?token={}", token(Purpose::Confirm));
    let words = mail.words();
    assert!(words.contains(&confirm));
    assert!(words.contains("ignore this mail"));
    assert!(words.contains(&format!("unsubscribe?token={}", token(Purpose::Unsubscribe))));
    assert!(words.contains(&format!("Token: {}", token(Purpose::Manage))));
    assert!(words.contains(&format!("Id: {}", subscription(SubscriptionStatus::Pending).id)));
    assert!(!mail.names().contains(&"List-Unsubscribe"));
}

#[test]
fn who_is_subscribed_already_is_told_so_and_not_asked() {
    let mail = parsed(&confirmation(SubscriptionStatus::Active));
    assert_eq!(mail.header("Subject"), "You are subscribed: alerts on NVDA volume");
    assert!(mail.words().contains("There is nothing to confirm."));
    for part in [&mail.text, &mail.html] {
        assert!(!part.contains("/confirm?"));
        assert!(part.contains(&token(Purpose::Unsubscribe)) && part.contains(&token(Purpose::Manage)));
    }
}

#[test]
fn simulated_data_are_called_so_first_of_all() {
    let alert = Alert { feed: "simulated".parse().unwrap(), ..alert() };
    for kind in [DeliveryKind::Alert, DeliveryKind::Retraction] {
        let mail = parsed(&telling(kind, alert.clone()));
        assert!(mail.header("Subject").starts_with("[simulated] "));
        assert!(mail.text.starts_with("SIMULATED DATA: "));
        assert!(mail.html.contains("SIMULATED DATA:"));
    }
    let real = parsed(&alert_delivery());
    assert!(
        !format!("{}{}{}", real.header("Subject"), real.text, real.html).to_lowercase().contains("simulated")
    );
}

#[test]
fn the_words_follow_the_rule() {
    let with =
        |rule| Parsed::new(&mail(MailConfig { rule, ..config() }).render(&alert_delivery()).unwrap()).words();
    let rule = SpikeRule { ratio: "2.5".parse().unwrap(), window: 30, ..SpikeRule::default() };
    let words = with(SpikeRule { cooldown_seconds: 0, ..rule });
    assert!(words.contains("average of the last 30 minutes, 516,000."));
    assert!(words.contains("at least 2.5 times") && words.contains("2.5x rule"));
    assert!(words.contains("Every minute of NVDA volume that qualifies is mailed."));
    for (cooldown_seconds, said) in
        [(60, "1 minute;"), (90, "90 seconds;"), (86_400, "24 hours;"), (7 * 86_400, "7 days;")]
    {
        assert!(with(SpikeRule { cooldown_seconds, ..rule }).contains(&format!("again for {said}")));
    }
}

#[test]
fn who_has_left_or_never_confirmed_gets_nothing() {
    let mail = mail(config());
    let mut ended = alert_delivery();
    ended.subscription.status = SubscriptionStatus::Unsubscribed;
    let mut pending = alert_delivery();
    pending.subscription.status = SubscriptionStatus::Pending;
    let mut empty = alert_delivery();
    empty.alert = None;
    let declined = confirmation(SubscriptionStatus::Unsubscribed);
    for delivery in [ended, pending, empty, declined] {
        assert!(matches!(mail.render(&delivery), Err(DeliveryError::GiveUp(_))));
    }
}

#[test]
fn two_attempts_make_the_same_mail() {
    let mail = mail(config());
    let first = alert_delivery();
    let second = Delivery { attempt: 2, ..first.clone() };
    assert_eq!(mail.render(&first).unwrap(), mail.render(&second).unwrap());
}

#[test]
fn links_in_a_file_can_be_copied_without_a_mail_program() {
    let raw = String::from_utf8(mail(config()).render(&confirmation(SubscriptionStatus::Pending)).unwrap())
        .unwrap();
    let link = format!("https://qqq.example.org/v1/subscriptions/confirm?token={}", token(Purpose::Confirm));
    assert!(raw.lines().any(|line| line == link), "{raw}");
}

#[test]
fn a_link_keeps_the_path_of_the_public_url() {
    let public_url = "http://example.org:8080/qqq".parse().unwrap();
    let mail = mail(MailConfig { public_url, ..config() });
    let mail = Parsed::new(&mail.render(&alert_delivery()).unwrap());
    assert!(mail.text.contains("\r\nhttp://example.org:8080/qqq/s/NVDA\r\n"), "{}", mail.text);
}

fn refused(config: MailConfig) -> String {
    struct Never;
    impl qqq_core::Clock for Never {
        fn now(&self) -> jiff::Timestamp {
            jiff::Timestamp::UNIX_EPOCH
        }
    }
    Mail::new(config, key(), Arc::new(Never)).unwrap_err().to_string()
}

#[test]
fn a_sender_that_could_add_a_header_or_a_mailbox_is_refused() {
    for from in [
        "",
        "QQQ Tracker",
        "QQQ Tracker <>",
        "QQQ\r\nBcc: eve@example.net <alerts@example.org>",
        "QQQ\nTracker <alerts@example.org>",
        "alerts@example.org\r\nBcc: eve@example.net",
        "QQQ <alerts@example.org>, Eve <eve@example.net>x",
        "QQQ <alerts@example.org> eve",
        "QQQ <alerts@exämple.org>",
        "QQQ\0 <alerts@example.org>",
    ] {
        let error = refused(MailConfig { from: from.to_owned(), ..config() });
        assert!(
            error.starts_with("email.from: ") && error.contains("QQQ Tracker <alerts@example.com>"),
            "{error}"
        );
        assert!(!error.contains(['\r', '\n', '\0']), "{error:?}");
    }
}

#[test]
fn settings_that_cannot_work_are_named_with_what_is_allowed() {
    let error = refused(MailConfig { smtp_url: Some("smtp://ops:hunter2@host/x".to_owned()), ..config() });
    assert!(error.starts_with("email.smtp_url: ") && error.contains("smtps://"), "{error}");
    assert!(!error.contains("hunter2"));
    let error = refused(MailConfig { smtp_url: Some("smtp://host?ca=/nowhere.pem".to_owned()), ..config() });
    assert!(error.contains("/nowhere.pem"), "{error}");
    let error = refused(MailConfig { public_url: "mailto:a@b.c".parse().unwrap(), ..config() });
    assert!(error.starts_with("server.public_url: "), "{error}");
    let secret = MailConfig { smtp_url: Some("smtp://ops:hunter2@host".to_owned()), ..config() };
    assert!(!format!("{secret:?}").contains("hunter2"));
    assert!(!format!("{:?}{}", mail(secret.clone()), mail(secret).describe()).contains("hunter2"));
}

#[test]
fn quotes_commas_and_foreign_letters_in_the_senders_name_stay_in_the_name() {
    for (name, shown) in [
        ("Alerts, Inc.", "Alerts, Inc."),
        ("\"O'Hara \\\"QQQ\\\" Desk\"", "O'Hara \"QQQ\" Desk"),
        ("Börse <eve@example.net>", "Börse <eve@example.net>"),
    ] {
        let mail = mail(MailConfig { from: format!("{name} <alerts@example.org>"), ..config() });
        let mail = Parsed::new(&mail.render(&alert_delivery()).unwrap());
        let (encoded, address) = mail.header("From").rsplit_once(' ').unwrap();
        assert_eq!((decoded(encoded).as_str(), address), (shown, "<alerts@example.org>"));
    }
    let mail = mail(MailConfig { from: "alerts@example.org".to_owned(), ..config() });
    assert_eq!(Parsed::new(&mail.render(&alert_delivery()).unwrap()).header("From"), "alerts@example.org");
}

/// A display name: one encoded word (RFC 2047) or a quoted string (RFC 5322).
fn decoded(name: &str) -> String {
    if let Some(word) = name.strip_prefix("=?utf-8?b?").and_then(|word| word.strip_suffix("?=")) {
        return String::from_utf8(BASE64.decode(word).unwrap()).unwrap();
    }
    name.strip_prefix('"').unwrap().strip_suffix('"').unwrap().replace("\\\"", "\"")
}

#[test]
fn what_is_markup_in_a_value_is_shown_and_does_nothing() {
    let public_url = "https://example.org/a&b'c".parse().unwrap();
    let mail = mail(MailConfig { public_url, ..config() });
    let mail = Parsed::new(&mail.render(&alert_delivery()).unwrap());
    assert!(mail.html.contains("https:&#x2f;&#x2f;example.org&#x2f;a&amp;b&#x27;c"), "{}", mail.html);
    assert!(!mail.html.contains("a&b") && !mail.html.contains("b'c"));
    assert!(!mail.html.contains("<img") && !mail.html.contains("src="));
}

fn any_alert() -> impl Strategy<Value = Alert> {
    (
        (
            any::<i64>(),
            prop_oneof![Just(0), any::<i64>()],
            prop_oneof![Just(0), any::<u16>()],
            any::<u32>(),
            any::<i32>(),
        ),
        ("[A-Z0-9][A-Z0-9.-]{0,11}", "[a-z0-9_-]{1,16}|simulated"),
        any::<bool>(),
    )
        .prop_map(|((value, window_sum, window_bars, revision, start), (symbol, feed), price)| Alert {
            metric: if price { Metric::Price } else { Metric::Volume },
            symbol: symbol.parse().unwrap(),
            feed: feed.parse().unwrap(),
            start: Minute::from_index(start),
            value,
            evidence: Evidence::Average { sum: window_sum, bars: window_bars },
            revision,
            ..alert()
        })
}

const ALERT_HEADERS: [&str; 11] = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Auto-Submitted",
    "List-Id",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "MIME-Version",
    "Content-Type",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_alert_makes_a_whole_mail_with_the_same_headers(alert in any_alert()) {
        let mail = parsed(&telling(DeliveryKind::Alert, alert.clone()));
        prop_assert_eq!(mail.names(), ALERT_HEADERS);
        let revision = format!("Revision  {}", alert.revision);
        prop_assert!(mail.text.contains(&revision), "{}", mail.text);
        prop_assert!(mail.html.contains("</html>"));
        prop_assert!(!mail.text.contains("[object") && !mail.text.contains("NaN"));
    }

    #[test]
    fn any_address_that_is_accepted_is_one_recipient_and_no_header(address in "[!-~]{1,30}@[a-zA-Z0-9.-]{1,30}") {
        if let Ok(email) = address.parse::<EmailAddress>() {
            let mut delivery = alert_delivery();
            delivery.subscription.channel = Channel::Email(email);
            let mail = parsed(&delivery);
            prop_assert_eq!(mail.names(), ALERT_HEADERS);
            prop_assert_eq!(mail.header("To"), address);
        }
    }

    #[test]
    fn any_sender_is_refused_or_stays_one_header(name in "[\\s\\S]{0,60}|[\",<>@:;\\\\ a\r\n]{0,20}") {
        struct At;
        impl qqq_core::Clock for At {
            fn now(&self) -> jiff::Timestamp {
                jiff::Timestamp::UNIX_EPOCH
            }
        }
        let config = MailConfig { from: format!("{name} <alerts@example.org>"), ..config() };
        if let Ok(mail) = Mail::new(config, key(), Arc::new(At)) {
            let mail = Parsed::new(&mail.render(&alert_delivery()).unwrap());
            prop_assert_eq!(mail.names(), ALERT_HEADERS);
            prop_assert!(mail.header("From").ends_with("alerts@example.org>")
                || mail.header("From") == "alerts@example.org");
        }
    }
}
