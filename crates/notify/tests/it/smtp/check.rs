//! The check of a server before anything is sent by it.

use super::{LOGIN, to};
use crate::fixture::{ADDRESS, config, digest, mail, many};
use qqq_notify::{MailConfig, MailFault, MailTrouble};
use qqq_testkit::smtp::script::{At, Server, Tls, say};

/// What the check says of a server that answers so.
pub(super) async fn checked(at: At, line: &str) -> Result<String, MailTrouble> {
    let server = Server::start([(at, say(line))], Tls::None).await;
    to(&server, "smtp", LOGIN, "?tls=none").check().await
}

#[tokio::test]
async fn the_check_goes_the_way_of_a_message_and_sends_none() {
    let server = Server::start([], Tls::None).await;
    let mail = to(&server, "smtp", LOGIN, "?tls=none");
    let line = mail.check().await.unwrap();
    assert!(line.contains("without TLS, and accepts the login") && !line.contains('\n'), "{line}");
    let heard = server.once();
    assert_eq!(heard.verbs(), ["EHLO", "EHLO", "AUTH", "MAIL", "RCPT", "QUIT"]);
    assert_eq!(
        heard.commands[3].0, "MAIL FROM:<alerts@example.org>",
        "no server is asked what it knows nothing of"
    );
    assert_eq!(heard.commands[4].0, "RCPT TO:<alerts@example.org>");
    assert_eq!(heard.message, None);
}

#[tokio::test]
async fn the_check_sees_whatever_would_stop_a_message_before_its_content() {
    use MailFault::{Login, Message, Sender, Server};
    for (at, line, fault) in [
        (At::Greeting, "554 go away", Server),
        (At::Greeting, "421 too busy", Server),
        (At::Ehlo, "421 too busy", Server),
        (At::Auth, "535 no", Login),
        (At::Auth, "554 no", Login),
        (At::Mail, "530 5.7.0 authentication required", Login),
        (At::Mail, "550 5.1.0 sender rejected", Sender),
        (At::Mail, "553 5.7.1 not your address", Sender),
        (At::Mail, "451 not now", Server),
        (At::Mail, "552 5.3.4 message size exceeds fixed limit", Message),
        (At::Rcpt, "554 5.7.1 relay access denied", Sender),
        (At::Rcpt, "530 authentication required", Login),
    ] {
        let trouble = checked(at, line).await.unwrap_err();
        assert!(trouble.what.contains(line), "{at:?}: {trouble}");
        assert_eq!(trouble.fault, fault, "{at:?} {line}");
    }
    // Who sends need not receive: that is told, and hinders nobody.
    for line in ["550 5.1.1 no such user", "451 4.7.1 greylisted"] {
        let said = checked(At::Rcpt, line).await.unwrap();
        assert!(said.contains(line) && said.contains("email.from"), "{said}");
    }
}

#[tokio::test]
async fn the_check_asks_for_room_for_the_largest_message_there_is() {
    let limits = say("250-test\r\n250-size 1000\r\n250 8BITMIME");
    let server = Server::start([(At::Ehlo, limits)], Tls::None).await;
    let mail = to(&server, "smtp", "", "?tls=none");
    mail.check().await.unwrap();
    let heard = server.once();
    let size = heard.commands[2].0.strip_prefix("MAIL FROM:<alerts@example.org> SIZE=").unwrap();
    let largest =
        mail.samples(ADDRESS.parse().unwrap()).iter().map(|it| mail.render(it).unwrap().len()).max();
    assert!(size.parse::<usize>().unwrap() + 100 > largest.unwrap(), "{size} of {largest:?}");
    assert!(largest.unwrap() > mail.render(&digest(many(100, 10))).unwrap().len() / 2);
}

#[tokio::test]
async fn a_message_that_servers_may_refuse_for_its_form_fails_the_check() {
    // A name beyond ASCII is encoded: no mail needs more of a server than SMTP.
    let named =
        mail(MailConfig { from: "Ada Müller – Börse <alerts@example.org>".to_owned(), ..config() });
    for sample in named.samples(ADDRESS.parse().unwrap()) {
        assert!(named.render(&sample).unwrap().is_ascii(), "{}", sample.kind);
    }
    let server = Server::start([], Tls::None).await;
    let smtp_url = Some(format!("smtp://127.0.0.1:{}", server.port));
    let public_url = format!("https://example.org/{}/", "a".repeat(1_000)).parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    for smtp_url in [smtp_url, None] {
        let folder = folder.path().to_owned();
        let mail = mail(MailConfig { smtp_url, public_url: Clone::clone(&public_url), folder, ..config() });
        let trouble = mail.check().await.unwrap_err();
        assert_eq!(trouble.fault, MailFault::Message);
        assert!(trouble.what.contains("server.public_url") && trouble.what.contains("998"), "{trouble}");
    }
}
