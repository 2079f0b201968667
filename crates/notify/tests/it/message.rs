//! What the mails say, and that nothing else can get into them.

mod properties;
mod settings;

use crate::fixture::{
    ADDRESS, alert, alert_delivery, alerts_of_every_kind, config, confirmation, digest, key, mail, many,
    subscription, telling,
};
use crate::parsed::Parsed;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use proptest::prelude::*;
use qqq_core::delivery::{Delivery, DeliveryKind};
use qqq_core::rule::Evidence;
use qqq_core::subscription::channel::Channel;
use qqq_core::subscription::token::Purpose;
use qqq_core::subscription::{EmailAddress, Scope, Subscription, SubscriptionStatus};
use qqq_core::{Alert, AlertRule, Metric, RuleName, Second, SpikeRule, U256};
use qqq_notify::{DeliveryError, Mail, MailConfig};
use qqq_testkit::python;
use serde_json::{Value, json};
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
        "NVDA traded 9,637,512 shares at 13:57 New York time, \
         18.7 times its average of the last hour, 516,000."
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

/// Two attempts of one delivery, with something changed between them.
#[test]
fn a_repeat_has_the_id_of_the_first_but_for_a_confirmation_that_says_something_else() {
    let kinds = [
        confirmation(SubscriptionStatus::Pending),
        alert_delivery(),
        telling(DeliveryKind::Retraction, alert()),
        digest(alerts_of_every_kind()),
    ];
    type Change = fn(&mut Delivery, &mut MailConfig);
    // What changes, and in which of the kinds that is said.
    let changes: [(Change, [bool; 4]); 9] = [
        (|delivery, _| (delivery.attempt, delivery.expires_at) = (9, jiff::Timestamp::MAX), [false; 4]),
        (|_, config| config.from = "Somebody Else <alerts@example.org>".to_owned(), [false; 4]),
        (
            |delivery, _| {
                let start = alert().start.plus_minutes(1);
                for alert in delivery.alert.iter_mut().chain(&mut delivery.digest) {
                    alert.occurrences.push(qqq_core::alert::Occurrence { start, value: 1 });
                }
            },
            [false; 4],
        ),
        (
            |delivery, _| delivery.subscription.status = SubscriptionStatus::Active,
            [true, false, false, false],
        ),
        (
            |delivery, _| delivery.subscription.quiet = Some("22:00-07:00 Europe/Berlin".parse().unwrap()),
            [true, false, false, false],
        ),
        (
            |delivery, _| delivery.subscription.rule = RuleName::Own("cross above=150".parse().unwrap()),
            [true, false, false, false],
        ),
        (|delivery, _| drop(delivery.digest.pop()), [false, false, false, true]),
        (|_, config| config.rule.cooldown_seconds += 60, [true, false, false, false]),
        (|_, config| config.public_url = "https://other.example.org/".parse().unwrap(), [true; 4]),
    ];
    for (n, (change, expected)) in changes.into_iter().enumerate() {
        for (delivery, differs) in kinds.iter().zip(expected) {
            let (mut second, mut changed) = (delivery.clone(), config());
            change(&mut second, &mut changed);
            let rendered = |config, delivery| Parsed::new(&mail(config).render(delivery).unwrap());
            let (first, second) = (rendered(config(), delivery), rendered(changed, &second));
            let says =
                |mail: &Parsed| (mail.header("Subject").to_owned(), mail.text.clone(), mail.html.clone());
            let id = |mail: &Parsed| mail.header("Message-ID").to_owned();
            let same = says(&first) == says(&second);
            let confirmation = delivery.kind == DeliveryKind::Confirmation;
            assert_eq!(id(&first) == id(&second), same || !confirmation, "change {n}, {}", delivery.kind);
            assert!(same != differs, "change {n}, {}", delivery.kind);
        }
    }
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
fn a_confirmation_says_all_that_was_asked_for() {
    let one = subscription(SubscriptionStatus::Pending);
    let asked = |names: &[&str], rule: &str| -> Vec<Subscription> {
        let rule: RuleName = rule.parse().unwrap();
        let asked =
            names.iter().map(|name| Subscription { scope: name.parse().unwrap(), rule, ..one.clone() });
        asked.collect()
    };
    let mailed =
        |asked: Vec<Subscription>| parsed(&Delivery { asked, ..confirmation(SubscriptionStatus::Pending) });
    let ten = ["AAPL", "ADBE", "AMZN", "GOOG", "META", "MSFT", "NFLX", "NVDA", "PYPL", "TSLA"];
    let mail = mailed(asked(&ten, "spike"));
    assert_eq!(mail.header("Subject"), "Please confirm: alerts on 10 symbols");
    for words in [
        "10 symbols: AAPL, ADBE, AMZN, GOOG, META, MSFT, NFLX, NVDA, PYPL, TSLA",
        "when the volume of one of them is at least 3 times its average of the last hour, \
         at most once an hour each",
    ] {
        assert!(mail.words().contains(words), "{}", mail.words());
        assert!(mail.html.split_whitespace().collect::<Vec<_>>().join(" ").contains(words));
    }
    assert_eq!(mail.words().matches("/confirm?token=").count(), 1, "one link");
    assert!(mail.words().contains("&all=true") && !mail.words().contains("To stop further mails"));
    // The whole watchlist, and by other rules.
    let mixed =
        [asked(&["NVDA", "TSLA"], "spike"), asked(&["*"], "spike"), asked(&["AAPL"], "move percent=2")];
    let mail = mailed(mixed.concat());
    assert_eq!(mail.header("Subject"), "Please confirm: alerts on every symbol");
    for words in [
        "2 symbols: NVDA, TSLA",
        "every symbol of the watchlist, also what is added to it later when the volume of any symbol",
        "AAPL when AAPL moves 2 % or more",
    ] {
        assert!(mail.words().contains(words), "{words}: {}", mail.words());
    }
    let mail = mailed(asked(&["*"], "spike"));
    assert_eq!(mail.header("Subject"), "Please confirm: alerts on every symbol's volume");
    // However much strangers asked for, the mail has an end.
    let names: Vec<String> = (0..50).map(|n| format!("S{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let flood = (2..22).flat_map(|n| asked(&names, &format!("spike ratio={n}")));
    let mail = mailed(flood.collect());
    assert!(
        mail.words().contains("and 30 more") && mail.words().contains("and 600 more, which the page below")
    );
    assert!(mail.text.len() < 10_000, "{}", mail.text.len());
    // Who is active already is told of that alone.
    let told = Delivery { asked: asked(&ten, "spike"), ..confirmation(SubscriptionStatus::Active) };
    assert_eq!(parsed(&told).header("Subject"), "You are subscribed: alerts on NVDA volume");
}

#[test]
fn an_alert_to_who_watches_everything_is_of_its_symbol() {
    for kind in [DeliveryKind::Alert, DeliveryKind::Retraction] {
        let mut delivery = telling(kind, alert());
        delivery.subscription.scope = Scope::Watchlist;
        let mail = parsed(&delivery);
        assert!(mail.words().contains("NVDA now: https://qqq.example.org/s/NVDA"), "{}", mail.words());
        assert!(mail.words().contains("Unsubscribe from every symbol's volume:"), "{}", mail.words());
        assert!(!mail.words().contains('*'));
    }
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
    let with = |rule: SpikeRule| {
        let alert = Alert { rule: AlertRule::House(rule.into()), ..alert() };
        parsed(&telling(DeliveryKind::Alert, alert)).words()
    };
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

/// An alert is told by the rule it was raised by, whatever the house's is by then.
#[test]
fn an_alert_is_told_the_same_under_any_configuration() {
    let others = [
        SpikeRule { window: 30, min_bars: 15, ..SpikeRule::default() },
        SpikeRule { ratio: "5".parse().unwrap(), cooldown_seconds: 0, ..SpikeRule::default() },
    ];
    let alerts = alerts_of_every_kind().into_iter();
    let deliveries = alerts.flat_map(|alert| {
        [DeliveryKind::Alert, DeliveryKind::Retraction].map(|kind| telling(kind, alert.clone()))
    });
    for delivery in deliveries.chain([digest(many(5, 4))]) {
        let rendered = |rule| mail(MailConfig { rule, ..config() }).render(&delivery).unwrap();
        let before = rendered(SpikeRule::default());
        for other in others {
            assert!(rendered(other) == before, "{}", delivery.kind);
        }
    }
}

#[test]
fn a_confirmation_promises_what_the_subscriptions_own_rule_tells_of() {
    for (rule, promise) in [
        (
            "spike",
            "a mail when the volume of NVDA is at least 3 times its average of the last hour, \
             at most once an hour.",
        ),
        (
            "v1 zscore z=4 window=30m cooldown=1d session=regular",
            "a mail when the volume of NVDA is at least 4 standard deviations away \
             from its average of the last 30 minutes in the regular session, at most once a day.",
        ),
        (
            "v1 cross above=1000000",
            "a mail when the volume of NVDA rises to 1,000,000 shares or above, at most once an hour.",
        ),
    ] {
        let mut delivery = confirmation(SubscriptionStatus::Active);
        delivery.subscription.rule = rule.parse().unwrap();
        delivery.subscription.quiet = Some("22:00-07:00 Europe/Berlin".parse().unwrap());
        let active = parsed(&delivery);
        assert!(active.words().contains(promise), "{}", active.text);
        assert!(active.text.contains("From 22:00 to 07:00 (Europe/Berlin), alerts wait"), "{}", active.text);
        delivery.subscription.status = SubscriptionStatus::Pending;
        let pending = parsed(&delivery).words();
        assert!(pending.contains(&promise.replace("a mail when", "to mail this address when")), "{pending}");
    }
}

#[test]
fn the_evidence_follows_the_kind_of_the_rule() {
    let expected = [
        ("Ratio 18.7 times", "3x rule"),
        ("Average $100.00, last 30 minutes", "2.5x rule"),
        (
            "Average 3.00 shares, last 30 minutes Deviation 2.00 shares \
             Distance 2.5 deviations above the average Bars 3 in",
            "",
        ),
        ("Deviation $0.00", ""),
        (
            "Before $120.00, Monday, January 27, 2025, 13:42 EST Change 1.25 % down \
             Rule NVDA moves 2 % or more",
            "",
        ),
        ("Previous close $120.00, Monday", ""),
        ("Open $120.00, Monday", ""),
        ("Level $150.00 Before $149.90 Rule the price of NVDA rises to $150.00 or above", ""),
        ("Level 1,000,000 shares Before 1,200,000 shares", ""),
        ("Median 300 shares, 13:57 in earlier sessions Ratio 5.0 times Sessions 18 with", "3x rule"),
    ];
    for (alert, (evidence, scale)) in alerts_of_every_kind().into_iter().zip(expected) {
        for kind in [DeliveryKind::Alert, DeliveryKind::Retraction] {
            let mail = parsed(&telling(kind, alert.clone()));
            assert!(mail.words().contains(evidence), "no `{evidence}` in\n{}", mail.text);
            let is_drawn = (mail.text.contains("x rule"), mail.html.contains("rule: "));
            assert_eq!(is_drawn, (!scale.is_empty(), !scale.is_empty()), "{}", mail.text);
            assert!(mail.text.contains(scale), "{}", mail.text);
            for line in mail.text.lines().filter(|line| !line.contains("://")) {
                assert!(line.len() <= 72, "{line}");
            }
        }
    }
}

#[test]
fn every_mail_leads_to_where_its_subscription_is_paused_and_ended() {
    let manage = format!("https://qqq.example.org/v1/subscriptions/manage?token={}", token(Purpose::Manage));
    let unsubscribe =
        format!("https://qqq.example.org/v1/subscriptions/unsubscribe?token={}", token(Purpose::Unsubscribe));
    for delivery in [
        alert_delivery(),
        telling(DeliveryKind::Retraction, alert()),
        digest(many(3, 2)),
        confirmation(SubscriptionStatus::Active),
    ] {
        let mail = parsed(&delivery);
        for link in [&manage, &unsubscribe] {
            assert!(mail.text.lines().any(|line| line == link), "{}", mail.text);
            assert!(mail.html.contains(&escaped(link)), "{}", mail.html);
        }
    }
    // Nobody knows yet whose the address is.
    let pending = parsed(&confirmation(SubscriptionStatus::Pending));
    assert!(!pending.text.contains("/manage") && !pending.html.contains("&#x2f;manage"));
}

/// As it stands in HTML.
fn escaped(link: &str) -> String {
    link.replace('&', "&amp;").replace('/', "&#x2f;")
}

#[test]
fn a_digest_lists_what_had_to_wait() {
    let mut alerts = alerts_of_every_kind();
    // Past midnight in New York.
    alerts.push(Alert { start: alert().start.plus_minutes(12 * 60), ..alert() });
    let delivery = digest(alerts.clone());
    let mail = parsed(&delivery);
    assert_eq!(mail.header("Subject"), "11 alerts that waited: NVDA");
    assert_eq!(mail.header("Message-ID"), format!("<{}@example.org>", delivery.id));
    let everything = format!(
        "https://qqq.example.org/v1/subscriptions/unsubscribe?token={}&all=true",
        token(Purpose::Unsubscribe)
    );
    assert_eq!(mail.header("List-Unsubscribe"), format!("<{everything}>"));
    assert_eq!(mail.header("List-Unsubscribe-Post"), "List-Unsubscribe=One-Click");
    assert!(mail.text.lines().any(|line| line == everything), "{}", mail.text);
    let words = mail.words();
    assert!(words.starts_with("What follows had to wait"), "{words}");
    for said in [
        "Monday, January 27, 2025 13:57 NVDA traded 9,637,512 shares at 13:57 New York time, 18.7 times",
        "13:57 NVDA was at $118.50 at 13:57 New York time, \
         1.25 % below its price of 15 minutes before, $120.00.",
        "Tuesday, January 28, 2025 01:57 NVDA traded 9,637,512 shares at 01:57",
    ] {
        assert!(words.contains(said), "no `{said}` in\n{}", mail.text);
    }
    assert_eq!(words.matches("Monday, January 27").count(), 1, "a day is named once");
    for alert in &alerts {
        assert!(mail.html.contains(&escaped(&format!("/alerts/{}\"", alert.id))), "{}", mail.html);
    }
    for line in mail.text.lines().filter(|line| !line.contains("://")) {
        assert!(line.len() <= 72, "{line}");
    }
}

#[test]
fn a_digest_says_in_a_few_words_of_what_it_tells() {
    let subject = |count, symbols| parsed(&digest(many(count, symbols))).header("Subject").to_owned();
    assert_eq!(subject(1, 1), "S0 volume 18.7x its last hour");
    assert_eq!(subject(2, 1), "2 alerts that waited: S0");
    assert_eq!(subject(2, 2), "2 alerts that waited: S0 and S1");
    assert_eq!(subject(5, 3), "5 alerts that waited: S0, S1 and S2");
    assert_eq!(subject(9, 4), "9 alerts that waited: S0, S1 and 2 more");
    let mut alerts = many(3, 3);
    alerts[2].feed = "simulated".parse().unwrap();
    let mail = parsed(&digest(alerts));
    assert!(mail.header("Subject").starts_with("[simulated] 3 alerts"));
    assert!(mail.text.starts_with("SIMULATED DATA: ") && mail.html.contains("SIMULATED DATA:"));
}

#[test]
fn the_longest_digest_is_not_cut_off_by_mail_programs() {
    let raw = mail(config()).render(&digest(many(200, 200))).unwrap();
    let mail = Parsed::new(&raw);
    assert!(mail.words().contains("And 100 more: https://qqq.example.org/"), "{}", mail.text);
    assert!(mail.text.contains("/s/S99") && !mail.text.contains("/s/S100"));
    assert!(!parsed(&digest(many(100, 9))).text.contains("more:"));
    // Gmail shows 102 kB of one part.
    assert!(mail.html.len() < 102_000, "{}", mail.html.len());
}

#[test]
fn another_languages_parser_reads_every_kind_of_mail_as_it_was_meant() {
    let told = alerts_of_every_kind();
    let mut deliveries: Vec<_> =
        told.iter().map(|alert| telling(DeliveryKind::Alert, alert.clone())).collect();
    deliveries.push(telling(DeliveryKind::Retraction, alert()));
    deliveries.push(digest(told));
    deliveries.extend([SubscriptionStatus::Pending, SubscriptionStatus::Active].map(confirmation));
    let folder = tempfile::tempdir().unwrap();
    let mails: Vec<_> = deliveries.iter().map(|delivery| mail(config()).render(delivery).unwrap()).collect();
    let files: Vec<_> = (0..mails.len()).map(|n| folder.path().join(n.to_string())).collect();
    for (file, mail) in files.iter().zip(&mails) {
        std::fs::write(file, mail).unwrap();
    }
    let read =
        python::run("read_mail.py", &files.iter().map(|file| file.to_str().unwrap()).collect::<Vec<_>>());
    assert_eq!(read.lines().count(), mails.len());
    for (raw, read) in mails.iter().zip(read.lines()) {
        let ours = Parsed::new(raw);
        let read: Value = serde_json::from_str(read).unwrap();
        assert_eq!((&read["defects"], &read["to"]), (&json!([]), &json!([ADDRESS])));
        let subject = json!(["Subject", ours.header("Subject")]);
        assert!(read["headers"].as_array().unwrap().contains(&subject), "{}", read["headers"]);
        let lines = |text: &str| text.trim_end().replace("\r\n", "\n");
        for (part, ours) in [(&read["parts"][0], &ours.text), (&read["parts"][1], &ours.html)] {
            assert_eq!(lines(part["text"].as_str().unwrap()), lines(ours));
            let links = part["links"].as_array().unwrap();
            assert!(links.len() >= 2, "{links:?}");
            for link in links {
                assert!(link.as_str().unwrap().starts_with("https://qqq.example.org/"), "{link}");
            }
        }
        assert_eq!(read["parts"][1]["unbalanced"], json!([]), "{}", ours.html);
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
    let nothing = digest(Vec::new());
    for delivery in [ended, pending, empty, declined, nothing] {
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

#[test]
fn what_is_markup_in_a_value_is_shown_and_does_nothing() {
    let public_url = "https://example.org/a&b'c".parse().unwrap();
    let mail = mail(MailConfig { public_url, ..config() });
    let mail = Parsed::new(&mail.render(&alert_delivery()).unwrap());
    assert!(mail.html.contains("https:&#x2f;&#x2f;example.org&#x2f;a&amp;b&#x27;c"), "{}", mail.html);
    assert!(!mail.html.contains("a&b") && !mail.html.contains("b'c"));
    assert!(!mail.html.contains("<img") && !mail.html.contains("src="));
}
