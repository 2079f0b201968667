//! STARTTLS, SMTPS, logins and certificates.

use super::{LOGIN, attempt, deadlines, retried, to};
use crate::fixture::alert_delivery;
use qqq_notify::Deliver;
use qqq_testkit::smtp::script::{Act, At, Server, Tls, say};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsAcceptor;

/// A server's certificate for `127.0.0.1`, and the file of the authority that signed it.
pub(super) struct Authority {
    pub(super) acceptor: TlsAcceptor,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

impl Authority {
    pub(super) fn new() -> Self {
        let ca_key = rcgen::KeyPair::generate().unwrap();
        let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca_certificate = ca.self_signed(&ca_key).unwrap();
        let issuer = rcgen::Issuer::new(ca, ca_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key.serialize_der().try_into().unwrap())
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, ca_certificate.pem()).unwrap();
        Self { acceptor: TlsAcceptor::from(Arc::new(config)), file, _folder: folder }
    }

    pub(super) fn option(&self) -> String {
        format!("ca={}", self.file.display())
    }
}

#[tokio::test]
async fn with_starttls_login_and_message_travel_encrypted() {
    let authority = Authority::new();
    let server = Server::start([], Tls::Offered(authority.acceptor.clone())).await;
    for tls in ["required", "opportunistic"] {
        let mail = to(&server, "smtp", LOGIN, &format!("?tls={tls}&{}", authority.option()));
        mail.deliver(&alert_delivery()).await.unwrap();
        let heard = server.heard().pop().unwrap();
        assert_eq!(heard.verbs(), ["EHLO", "STARTTLS", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "QUIT"]);
        assert!(heard.commands[2..].iter().all(|(_, encrypted)| *encrypted));
        assert!(mail.check().await.unwrap().contains("over TLS, and accepts the login"));
    }
}

#[tokio::test]
async fn with_smtps_everything_travels_encrypted() {
    let authority = Authority::new();
    let server = Server::start([], Tls::Implicit(authority.acceptor.clone())).await;
    let mail = to(&server, "smtps", LOGIN, &format!("?{}", authority.option()));
    mail.deliver(&alert_delivery()).await.unwrap();
    let heard = server.once();
    assert_eq!(heard.verbs(), ["EHLO", "AUTH", "MAIL", "RCPT", "DATA", "QUIT"]);
    assert!(heard.commands.iter().all(|(_, encrypted)| *encrypted));
}

#[tokio::test]
async fn without_starttls_nothing_is_sent_where_it_is_required() {
    let server = Server::start([], Tls::None).await;
    let mail = to(&server, "smtp", "", "?tls=required");
    let why = retried(mail.deliver(&alert_delivery()).await);
    assert!(why.contains("offers no STARTTLS"), "{why}");
    assert!(!server.once().verbs().contains(&"MAIL"));
}

#[tokio::test]
async fn a_password_never_travels_in_clear_text_unless_that_is_written_out() {
    for options in ["", "?tls=required", "?tls=opportunistic"] {
        let server = Server::start([], Tls::None).await;
        let why = retried(to(&server, "smtp", LOGIN, options).deliver(&alert_delivery()).await);
        assert!(why.contains("STARTTLS"), "{why}");
        assert!(!server.once().verbs().contains(&"AUTH"), "{options}");
    }
    let (result, heard) = attempt([]).await;
    assert_eq!(result, Ok(()));
    assert!(heard.verbs().contains(&"AUTH"));
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_not_trusted() {
    let (trusted, other) = (Authority::new(), Authority::new());
    for scheme in ["smtp", "smtps"] {
        let tls = other.acceptor.clone();
        let tls = if scheme == "smtp" { Tls::Offered(tls) } else { Tls::Implicit(tls) };
        for login in ["", LOGIN] {
            let server = Server::start([], tls.clone()).await;
            let mail = to(&server, scheme, login, &format!("?{}", trusted.option()));
            let why = retried(mail.deliver(&alert_delivery()).await);
            assert!(why.contains("certificate"), "{why}");
            let heard = server.once();
            assert!(!heard.verbs().iter().any(|verb| ["AUTH", "MAIL"].contains(verb)), "{heard:?}");
        }
    }
}

#[tokio::test]
async fn a_self_made_certificate_is_good_enough_only_where_clear_text_would_be() {
    let local = Authority::new();
    let server = Server::start([], Tls::Offered(local.acceptor.clone())).await;
    to(&server, "smtp", "", "").deliver(&alert_delivery()).await.unwrap();
    let heard = server.heard().pop().unwrap();
    assert!(heard.commands.iter().any(|(line, encrypted)| line.starts_with("MAIL") && *encrypted));
    for (login, options) in [(LOGIN, ""), ("", "?tls=required")] {
        let why = retried(to(&server, "smtp", login, options).deliver(&alert_delivery()).await);
        assert!(why.contains("certificate"), "{why}");
    }
}

#[tokio::test]
async fn answers_slipped_in_before_the_encryption_are_not_believed() {
    let authority = Authority::new();
    let slipped =
        b"220 go\r\n250-evil\r\n250 8BITMIME\r\n250 ok\r\n250 ok\r\n354 go\r\n250 accepted\r\n".to_vec();
    let script = [(At::StartTls, Act::Say(slipped))];
    let server = Server::start(script, Tls::Offered(authority.acceptor.clone())).await;
    let mail = to(&server, "smtp", "", &format!("?tls=required&{}", authority.option()));
    retried(mail.deliver(&alert_delivery()).await);
    assert_eq!(server.once().verbs(), ["EHLO", "STARTTLS"]);
}

#[tokio::test]
async fn a_refused_or_stalled_starttls_sends_nothing() {
    let authority = Authority::new();
    for act in [say("454 4.7.0 not now"), say("554 never"), Act::Drop, Act::Stall] {
        let server = Server::start([(At::StartTls, act)], Tls::Offered(authority.acceptor.clone())).await;
        let mail = to(&server, "smtp", LOGIN, &format!("?{}", authority.option()));
        let mail = mail.with_deadlines(deadlines(Duration::from_millis(500)));
        retried(mail.deliver(&alert_delivery()).await);
        assert!(!server.once().verbs().iter().any(|verb| ["AUTH", "MAIL"].contains(verb)));
    }
}
