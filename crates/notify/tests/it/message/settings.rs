//! What a sender may be configured to.

use super::*;

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
