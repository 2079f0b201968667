//! Whatever an alert, an address or a name may hold.

use super::*;

/// Whatever it was compared with, by whatever rule: they need not even go together.
fn any_evidence() -> impl Strategy<Value = Evidence> {
    let value = || prop_oneof![Just(0), any::<i64>().prop_map(i128::from)];
    let sum = value;
    let bars = || prop_oneof![Just(0), any::<u32>()];
    let count = || prop_oneof![Just(0), any::<u16>()];
    prop_oneof![
        (sum(), bars()).prop_map(|(sum, bars)| Evidence::Average { sum, bars }),
        (sum(), 0..1_u128 << 110, bars()).prop_map(|(sum, squares, bars)| Evidence::Deviation {
            sum,
            squares: U256::new(squares),
            bars
        }),
        (value(), any::<i32>())
            .prop_map(|(value, start)| Evidence::Origin { value, start: Second::from_minute(start) }),
        (value(), value()).prop_map(|(level, before)| Evidence::Crossing { level, before }),
        (value(), count()).prop_map(|(twice, sessions)| Evidence::Median { twice, sessions }),
    ]
}

fn any_rule() -> impl Strategy<Value = AlertRule> {
    prop::sample::select(alerts_of_every_kind()).prop_map(|alert| alert.rule)
}

fn any_alert() -> impl Strategy<Value = Alert> {
    (
        (
            any::<i64>(),
            any::<u32>(),
            any::<i32>(),
            any_rule(),
            any_evidence(),
            prop::sample::select(&Metric::ALL[..]),
        ),
        ("[A-Z0-9][A-Z0-9.-]{0,11}", "[a-z0-9_-]{1,16}|simulated"),
    )
        .prop_map(|((value, revision, start, rule, evidence, metric), (symbol, feed))| Alert {
            metric,
            symbol: symbol.parse().unwrap(),
            feed: feed.parse().unwrap(),
            start: Second::from_minute(start),
            rule,
            value: value.into(),
            evidence,
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
        let revision = format!("Revision {}", alert.revision);
        prop_assert!(mail.words().contains(&revision), "{}", mail.text);
        prop_assert!(mail.html.contains("</html>"));
        prop_assert!(!mail.text.contains("[object") && !mail.text.contains("NaN"));
    }

    #[test]
    fn any_alerts_make_a_whole_digest_with_the_same_headers(
        alerts in prop::collection::vec(any_alert(), 1..8),
    ) {
        let mail = parsed(&digest(alerts.clone()));
        prop_assert_eq!(mail.names(), ALERT_HEADERS);
        prop_assert_eq!(mail.text.matches("/s/").count(), alerts.len());
        prop_assert!(mail.html.contains("</html>") && !mail.text.contains("NaN"));
        for line in mail.text.lines().filter(|line| !line.contains("://")) {
            prop_assert!(line.len() <= 72, "{}", line);
        }
    }

    #[test]
    fn any_address_that_is_accepted_is_one_recipient_and_no_header(
        address in "[!-~]{1,30}@[a-zA-Z0-9.-]{1,30}",
    ) {
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
