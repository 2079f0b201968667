//! The channel against mail servers that refuse, stall, drop, lie and downgrade.

use crate::fixture::{
    ADDRESS, alert, alert_delivery, alerts_of_every_kind, config, confirmation, digest, mail, telling,
};
use crate::parsed::Parsed;
use qqq_core::delivery::{Delivery, DeliveryKind, FailureKind};
use qqq_core::subscription::SubscriptionStatus;
use qqq_notify::{Deadlines, Deliver, DeliveryError, Mail, MailConfig, MailFault};
use qqq_testkit::smtp::script::{Act, At, Heard, Server, Tls, say};
use std::time::{Duration, Instant};

mod check;
mod encrypted;

use check::checked;
use encrypted::Authority;

const LOGIN: &str = "ops:hunter2@";

/// Long enough for a busy machine, never reached by a server that answers.
const PATIENT: Duration = Duration::from_secs(20);

fn deadlines(each: Duration) -> Deadlines {
    Deadlines {
        connect: each,
        greeting: each,
        starttls: each,
        login: each,
        command: each,
        acceptance: each,
        quit: each,
    }
}

/// A channel to the server. `login` is empty or ends in `@`.
fn to(server: &Server, scheme: &str, login: &str, options: &str) -> Mail {
    let smtp_url = Some(format!("{scheme}://{login}127.0.0.1:{}{options}", server.port));
    mail(MailConfig { smtp_url, ..config() }).with_deadlines(deadlines(PATIENT))
}

/// One attempt against a server without TLS, with a login, which is allowed in clear text.
async fn attempt(script: impl IntoIterator<Item = (At, Act)>) -> (Result<(), DeliveryError>, Heard) {
    let server = Server::start(script, Tls::None).await;
    let result = to(&server, "smtp", LOGIN, "?tls=none").deliver(&alert_delivery()).await;
    (result, server.once())
}

fn retried(result: Result<(), DeliveryError>) -> String {
    match result {
        Err(DeliveryError::Retry(failure)) => failure.reason,
        other => panic!("not to be tried again: {other:?}"),
    }
}

fn given_up(result: Result<(), DeliveryError>) -> String {
    match result {
        Err(DeliveryError::GiveUp(failure)) => failure.reason,
        other => panic!("not given up: {other:?}"),
    }
}

#[tokio::test]
async fn a_good_server_gets_one_message_for_one_recipient() {
    let server = Server::start([], Tls::None).await;
    let mail = to(&server, "smtp", "", "?tls=none");
    let delivery = alert_delivery();

    mail.deliver(&delivery).await.unwrap();

    let heard = server.once();
    assert_eq!(heard.verbs(), ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"]);
    assert_eq!(heard.commands[1].0, "MAIL FROM:<alerts@example.org>");
    assert_eq!(heard.commands[2].0, format!("RCPT TO:<{ADDRESS}>"));
    assert_eq!(heard.message.unwrap(), sent(&mail, &delivery));
}

/// The message as it arrives: the client ends it with one more line break before the final dot.
fn sent(mail: &Mail, delivery: &Delivery) -> Vec<u8> {
    let mut message = mail.render(delivery).unwrap();
    message.extend_from_slice(b"\r\n");
    message
}

#[tokio::test]
async fn an_answer_of_not_now_is_tried_again_whenever_it_comes() {
    for at in [At::Greeting, At::Ehlo, At::Auth, At::Mail, At::Rcpt, At::Data, At::Dot] {
        for line in ["421 4.3.2 shutting down", "451 4.7.1 greylisted, come back", "452 4.2.2 full"] {
            let (result, _) = attempt([(at, say(line))]).await;
            let why = retried(result);
            assert!(why.contains(line), "{at:?}: {why}");
        }
    }
}

#[tokio::test]
async fn an_answer_of_never_ends_only_what_it_is_about() {
    let line = format!("550-5.1.1 <{ADDRESS}>: no such user\r\n550 5.1.1 really");
    for at in [At::Rcpt, At::Data, At::Dot] {
        let (result, heard) = attempt([(at, say(&line))]).await;
        let why = given_up(result);
        assert!(why.contains("550 5.1.1") && why.contains("no such user"), "{at:?}: {why}");
        assert!(!why.contains('@') && !why.contains("ada"), "{at:?}: {why}");
        assert_eq!(heard.verbs().last(), Some(&"QUIT"), "{at:?}");
    }
    for at in [At::Greeting, At::Ehlo, At::Auth] {
        let (result, heard) = attempt([(at, say("554 5.7.1 go away"))]).await;
        let why = retried(result);
        assert!(why.contains("554 5.7.1 go away"), "{at:?}: {why}");
        assert!(!heard.verbs().contains(&"MAIL"), "{at:?}");
    }
}

#[tokio::test]
async fn a_failure_says_of_what_kind_it_is() {
    for (at, act, expected) in [
        (At::Rcpt, say("550 5.1.1 no such user, who did not answer"), FailureKind::Refused(Some(550))),
        (At::Greeting, say("421 4.3.2 shutting down"), FailureKind::Refused(Some(421))),
        (At::Mail, say("354 go"), FailureKind::Refused(Some(354))),
        (At::Data, say("250 2.0.0 done"), FailureKind::Refused(None)),
        (At::Rcpt, say("504 5.5.2 <x>: Helo command rejected"), FailureKind::GreetingRefused),
        (At::Ehlo, say("550 not from there"), FailureKind::GreetingRefused),
        (At::Mail, Act::Stall, FailureKind::TimedOut),
        (At::Dot, Act::Drop, FailureKind::BrokeOff),
    ] {
        let server = Server::start([(at, act)], Tls::None).await;
        let mail = to(&server, "smtp", LOGIN, "?tls=none")
            .with_deadlines(Deadlines { command: Duration::from_millis(400), ..Deadlines::RFC_5321 });
        match mail.deliver(&alert_delivery()).await {
            Err(DeliveryError::Retry(failure) | DeliveryError::GiveUp(failure)) => {
                assert_eq!(failure.kind, expected, "{at:?}: {failure}");
            }
            other => panic!("{at:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_refused_sender_burns_no_alert() {
    for line in [
        "500 what?",
        "501 5.1.7 bad sender address syntax",
        "550 5.1.0 sender rejected",
        "550 sender unknown",
        "553 5.1.8 your domain does not exist",
        "554 5.7.1 sender not authorised",
        "555 5.5.4 no such option",
    ] {
        let (result, heard) = attempt([(At::Mail, say(line))]).await;
        let why = retried(result);
        assert!(why.contains(line) && why.contains("email.from"), "{why}");
        assert_eq!(heard.verbs(), ["EHLO", "AUTH", "MAIL", "QUIT"], "{line}");
    }
}

#[tokio::test]
async fn a_refusal_by_policy_burns_no_alert() {
    for line in
        ["554 5.7.1 relay access denied", "550-5.7.26 not\r\n550 5.7.26 authenticated", "550 5.7.0 no"]
    {
        for at in [At::Rcpt, At::Data, At::Dot] {
            let (result, heard) = attempt([(at, say(line))]).await;
            let why = retried(result);
            assert!(why.contains("5.7."), "{at:?}: {why}");
            assert_eq!(heard.verbs().last(), Some(&"QUIT"), "{at:?}");
        }
    }
}

#[tokio::test]
async fn a_recipient_is_given_up_only_for_an_address_or_a_mailbox_that_is_refused() {
    for line in [
        "550 5.1.1 no such user",
        "550 5.1.10 recipient not found",
        "553 5.1.3 bad address",
        "550 5.2.1 mailbox disabled",
        "554 5.2.2 mailbox full",
        "550 no such user here",
        "551 user not local",
        "553 mailbox name not allowed",
        "550 5.7 is not a code",
        "550 5.7.1.1 is not a code",
    ] {
        let why = given_up(attempt([(At::Rcpt, say(line))]).await.0);
        assert!(why.contains(line), "{why}");
    }
    for line in [
        "554 relay access denied",
        "554 5.7.1 relay access denied",
        "552 too much mail",
        "503 5.5.1 need MAIL first",
        "550 5.4.1 access denied",
        "521 this host takes no mail",
    ] {
        let why = retried(attempt([(At::Rcpt, say(line))]).await.0);
        assert!(why.contains(line), "{why}");
    }
}

#[tokio::test]
async fn a_refused_message_is_given_up() {
    for line in ["552 5.3.4 too big", "554 5.6.0 content rejected", "554 no"] {
        for at in [At::Data, At::Dot] {
            let why = given_up(attempt([(at, say(line))]).await.0);
            assert!(why.contains(line), "{why}");
        }
    }
}

#[tokio::test]
async fn a_wrong_login_or_a_missing_one_burns_no_alert() {
    for (at, code) in
        [(At::Auth, 535), (At::Auth, 534), (At::Mail, 530), (At::Rcpt, 530), (At::Mail, 535), (At::Data, 538)]
    {
        let (result, _) = attempt([(at, say(&format!("{code} 5.7.0 authentication required")))]).await;
        let why = retried(result);
        assert!(why.contains(&code.to_string()) && why.contains("email.smtp_url"), "{why}");
    }
}

#[tokio::test]
async fn a_server_that_repeats_the_login_does_not_put_it_into_the_log() {
    let echo = "535 cannot AUTH PLAIN AG9wcwBodW50ZXIy, hunter2";
    let (result, heard) = attempt([(At::Auth, say(echo))]).await;
    assert_eq!(heard.commands[1].0, "AUTH PLAIN AG9wcwBodW50ZXIy", "the very words it repeats");
    let why = retried(result);
    assert!(
        why.contains("535 cannot AUTH PLAIN") && !why.contains("hunter2") && !why.contains("AG9wcw"),
        "{why}"
    );
}

#[tokio::test]
async fn a_connection_lost_anywhere_is_tried_again() {
    for at in [At::Greeting, At::Ehlo, At::Auth, At::Mail, At::Rcpt, At::Data] {
        let (result, _) = attempt([(at, Act::Drop)]).await;
        let why = retried(result);
        assert!(!why.contains("may have been accepted"), "{at:?}: {why}");
    }
}

#[tokio::test]
async fn a_connection_lost_after_the_final_dot_is_tried_again_with_the_same_message_id() {
    let server = Server::start([(At::Dot, Act::Drop)], Tls::None).await;
    let mail = to(&server, "smtp", "", "?tls=none");
    let mut delivery = alert_delivery();
    for attempt in 1..=2 {
        delivery.attempt = attempt;
        let why = retried(mail.deliver(&delivery).await);
        assert!(why.contains("may have been accepted"), "{why}");
    }
    let ids: Vec<_> = server
        .heard()
        .iter()
        .map(|heard| {
            Parsed::new(heard.message.as_ref().unwrap().strip_suffix(b"\r\n").unwrap())
                .header("Message-ID")
                .to_owned()
        })
        .collect();
    assert_eq!(ids, vec![format!("<{}@example.org>", delivery.id); 2]);
}

#[tokio::test]
async fn what_happens_after_acceptance_does_not_matter() {
    for act in [Act::Drop, say("554 no"), say("nonsense"), Act::Flood(b'a')] {
        let (result, _) = attempt([(At::Quit, act)]).await;
        assert_eq!(result, Ok(()));
    }
    let server = Server::start([(At::Quit, Act::Stall)], Tls::None).await;
    let hasty = Deadlines { quit: Duration::from_millis(50), ..deadlines(PATIENT) };
    let started = Instant::now();
    to(&server, "smtp", "", "?tls=none").with_deadlines(hasty).deliver(&alert_delivery()).await.unwrap();
    assert!(started.elapsed() < PATIENT);
}

#[tokio::test]
async fn a_stalled_server_is_left_at_the_deadline_of_the_step() {
    let short = Duration::from_millis(400);
    let all = deadlines(PATIENT);
    for (at, hasty, named) in [
        (At::Greeting, Deadlines { greeting: short, ..all }, "the greeting"),
        (At::Ehlo, Deadlines { greeting: short, ..all }, "the greeting"),
        (At::Auth, Deadlines { login: short, ..all }, "the login"),
        (At::Mail, Deadlines { command: short, ..all }, "MAIL FROM"),
        (At::Rcpt, Deadlines { command: short, ..all }, "RCPT TO"),
        (At::Data, Deadlines { command: short, ..all }, "DATA"),
        (At::Dot, Deadlines { acceptance: short, ..all }, "the message"),
    ] {
        let server = Server::start([(at, Act::Stall)], Tls::None).await;
        let mail = to(&server, "smtp", LOGIN, "?tls=none").with_deadlines(hasty);
        let started = Instant::now();
        let why = retried(mail.deliver(&alert_delivery()).await);
        assert!(started.elapsed() < PATIENT, "{at:?}: waited for another deadline");
        assert!(why.contains(named) && why.contains("within 400ms"), "{at:?}: {why}");
        assert_eq!(why.contains("may have been accepted"), at == At::Dot, "{why}");
    }
}

#[tokio::test]
async fn nonsense_is_no_answer() {
    let nonsense: [&[u8]; 8] = [
        b"hello\r\n",
        b"\xff\xfe\xfd\r\n",
        b"999 what\r\n",
        b"250\r\n",
        b"-\r\n",
        b"\r\n",
        b"250-one\r\n550 two\r\n",
        b"2\0 ok\r\n",
    ];
    for at in [At::Greeting, At::Ehlo, At::Auth, At::Mail, At::Rcpt, At::Data, At::Dot] {
        for bytes in nonsense {
            // A server may stop in the middle of a line: what is not answered ends at the deadline.
            let server = Server::start([(at, Act::Say(bytes.to_vec()))], Tls::None).await;
            let mail = to(&server, "smtp", LOGIN, "?tls=none");
            let mail = mail.with_deadlines(deadlines(Duration::from_millis(300)));
            retried(mail.deliver(&alert_delivery()).await);
        }
    }
}

#[tokio::test]
async fn a_positive_answer_to_another_question_is_no_acceptance() {
    for (at, line) in [
        (At::Mail, "354 go"),
        (At::Rcpt, "354 go"),
        (At::Data, "250 ok"),
        (At::Dot, "354 go"),
        (At::Auth, "354 go"),
    ] {
        let (result, _) = attempt([(at, say(line))]).await;
        let why = retried(result);
        assert!(why.contains("is no answer to it"), "{at:?}: {why}");
    }
}

#[tokio::test]
async fn endless_answers_are_cut_off() {
    for byte in [b'a', b'\n', b'2'] {
        for at in [At::Greeting, At::Ehlo, At::Mail, At::Dot] {
            let (result, heard) = attempt([(at, Act::Flood(byte))]).await;
            retried(result);
            // What fits the socket buffers of both ends comes on top of what was read.
            assert!(heard.flooded < 32 * 1024 * 1024, "{at:?}: {} bytes", heard.flooded);
        }
    }
    let long = format!("550-{}\r\n", "no ".repeat(100)).repeat(200) + "550 no\r\n";
    let (result, _) = attempt([(At::Rcpt, Act::Say(long.into_bytes()))]).await;
    let why = given_up(result);
    assert!(why.len() < 400, "{why}");
}

#[tokio::test]
async fn a_line_of_dots_stays_inside_the_message() {
    let server = Server::start([], Tls::None).await;
    // The one text of any length in a mail; encoding breaks it into lines.
    let public_url = format!("https://example.org/{}/", ".".repeat(900)).parse().unwrap();
    let smtp_url = Some(format!("smtp://127.0.0.1:{}?tls=none", server.port));
    let (mail, delivery) = (mail(MailConfig { smtp_url, public_url, ..config() }), alert_delivery());

    mail.deliver(&delivery).await.unwrap();

    let heard = server.once();
    assert_eq!(heard.verbs(), ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"]);
    let message = heard.message.unwrap();
    assert_eq!(message, sent(&mail, &delivery));
    let text = String::from_utf8(message).unwrap();
    assert!(text.contains("\r\n.."), "the text does have a line of dots: {text}");
}

#[tokio::test]
async fn a_host_that_is_not_there_is_tried_again() {
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    for scheme in ["smtp", "smtps"] {
        let smtp_url = Some(format!("{scheme}://127.0.0.1:{port}"));
        let mail = mail(MailConfig { smtp_url, ..config() });
        let why = retried(mail.deliver(&alert_delivery()).await);
        assert!(why.contains(&port.to_string()), "{why}");
        assert!(mail.check().await.is_err());
    }
}

/// What a server that wants a qualified name answers EHLO, as Postfix does with
/// `reject_non_fqdn_helo_hostname`.
fn strict(line: &str) -> &'static str {
    let name = line.strip_prefix("EHLO ").unwrap();
    let literal = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    if literal.is_some_and(|address| address == "127.0.0.1") || (literal.is_none() && name.contains('.')) {
        "250-test\r\n250-AUTH PLAIN\r\n250 STARTTLS"
    } else {
        "504 5.5.2 Helo command rejected: need fully-qualified hostname"
    }
}

#[tokio::test]
async fn a_server_that_wants_a_qualified_name_or_an_address_gets_one() {
    let authority = Authority::new();
    let tls = authority.acceptor.clone();
    for (scheme, tls) in [("smtp", Tls::Offered(tls.clone())), ("smtps", Tls::Implicit(tls))] {
        let server = Server::start([(At::Ehlo, Act::Judge(strict))], tls).await;
        let mail = to(&server, scheme, LOGIN, &format!("?{}", authority.option()));
        mail.deliver(&alert_delivery()).await.unwrap();
        let heard = server.once();
        let greetings: Vec<_> =
            heard.commands.iter().map(|(line, _)| line).filter(|line| line.starts_with("EHLO")).collect();
        assert!(greetings.iter().all(|line| *line == greetings[0]), "{greetings:?}");
        assert!(mail.check().await.unwrap().contains(greetings[0].as_str()), "{greetings:?}");
    }
}

#[tokio::test]
async fn what_is_set_is_said_in_ehlo() {
    for name in ["mail.example.org", "[198.51.100.3]", "[IPv6:2001:db8::1]"] {
        let server = Server::start([], Tls::None).await;
        let smtp_url = Some(format!("smtp://127.0.0.1:{}", server.port));
        let mail = mail(MailConfig { smtp_url, helo_name: name.to_owned(), ..config() });
        mail.deliver(&alert_delivery()).await.unwrap();
        assert_eq!(server.once().commands[0].0, format!("EHLO {name}"));
    }
}

#[tokio::test]
async fn a_refused_ehlo_burns_no_message_and_is_named_whenever_it_is_told() {
    // Exim's and Postfix's words; most servers hold them back until there is a recipient.
    let told = [
        "504 5.5.2 <a1b2c3>: Helo command rejected: need fully-qualified hostname",
        "550 Access denied - Invalid HELO name (See RFC2821 4.1.1.1)",
        "554 5.7.1 <a1b2c3>: Helo command rejected: Access denied",
        "450 4.7.1 <a1b2c3>: Helo command rejected: Host not found",
    ];
    let at_once =
        ["500 what?", "501 5.5.4 Invalid domain name", "502 no", "503 no", "504 no", "550 not from there"];
    let whenever = [At::Ehlo, At::Mail, At::Rcpt, At::Data, At::Dot];
    let cases = told.iter().flat_map(|line| whenever.map(|at| (at, *line)));
    for (at, line) in cases.chain(at_once.map(|line| (At::Ehlo, line))) {
        for mut delivery in every_kind() {
            delivery.attempt = 3;
            let server = Server::start([(at, say(line))], Tls::None).await;
            let mail = to(&server, "smtp", "", "?tls=none");
            let why = retried(mail.deliver(&delivery).await);
            let greeting = &server.once().commands[0].0;
            assert!(why.contains(line) && why.contains("email.helo_name"), "{at:?}: {why}");
            assert!(why.contains(&format!("`{greeting}`")), "{at:?}: {why}");
        }
        // What comes after DATA, nobody can see without sending.
        if !matches!(at, At::Data | At::Dot) {
            let trouble = checked(at, line).await.unwrap_err();
            assert_eq!(trouble.fault, MailFault::Hello, "{at:?}: {trouble}");
            assert!(trouble.what.contains(line) && trouble.what.contains("`EHLO "), "{at:?}: {trouble}");
        }
    }
}

/// One delivery of each kind.
fn every_kind() -> [Delivery; 4] {
    [
        confirmation(SubscriptionStatus::Pending),
        alert_delivery(),
        telling(DeliveryKind::Retraction, alert()),
        digest(alerts_of_every_kind()),
    ]
}
