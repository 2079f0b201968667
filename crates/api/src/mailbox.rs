//! `GET /v1/mailbox`: the mails that a demonstration wrote as files, for its own pages to show.
//!
//! They hold addresses and links that act for their receivers. So there is a mailbox only where the configuration says so
//! ([`ApiConfig::mailbox`](crate::ApiConfig)): with a simulated market, a server that listens to its own machine alone, and
//! no mail server. It answers that machine: not what a proxy says it passes on, not a name that somebody else has pointed
//! here, not another origin's page. Whoever forwards the port without a word opens the demonstration to others, and other
//! users of the machine can read along.

use crate::Api;
use crate::answer::{Answer, JSON, NOT_KEPT};
use crate::client::Peer;
use crate::problem::Problem;
use crate::query::Query;
use crate::shape::PageOut;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Version, header};
use axum::response::Response;
use mail_parser::MessageParser;
use serde::Serialize;
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::path::Path;
use url::{Host, Url};
use utoipa::ToSchema;

/// Mails told.
const MAILS: usize = 50;
/// Files looked at for them: some may be none.
const LOOKED_AT: usize = 4 * MAILS;
/// Bytes read of one.
const MAIL_BYTES: u64 = 256 * 1024;

/// A mail that would have been sent.
#[derive(Serialize, ToSchema)]
#[schema(as = Mail)]
struct MailOut {
    /// Its file, without `.eml`.
    #[schema(example = "20250131T205903Z-alert-NVDA-0196b8a0-4c1e-7d30-9e51-0c2b6a5d4f11")]
    id: String,
    /// Its date, UTC.
    #[schema(format = DateTime, example = "2025-01-31T20:59:03Z")]
    date: String,
    /// To whom.
    #[schema(example = "ada@example.com")]
    to: String,
    /// Its subject.
    subject: String,
    /// What it says, as plain text.
    text: String,
}

/// `GET /v1/mailbox`.
#[utoipa::path(
    get,
    path = "/v1/mailbox",
    tag = "service",
    operation_id = "getMailbox",
    summary = "The mails of a demonstration",
    description = "Only without a mail server, on a server that listens on the loopback interface alone and whose public \
        address is there too, and only asked from the same machine, directly. The newest 50, newest first.",
    responses(
        (status = 200, description = "The mails that would have been sent", body = PageOut<MailOut>),
        (status = 404, description = "Mails cannot be read here"),
    ),
)]
pub(crate) async fn mailbox(State(api): State<Api>, request: Request) -> Result<Response, Problem> {
    Query::parse(request.uri().query(), &[])?;
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
    // Proxies that speak of nothing else mostly speak HTTP/1.0.
    let direct = request.version() != Version::HTTP_10 && is_of_this_machine(peer, request.headers());
    let folder = api.0.config.mailbox.clone().filter(|_| direct);
    let Some(folder) = folder else {
        let detail = "mails cannot be read here: this server sends them, or is reached from elsewhere";
        return Err(Problem::new(StatusCode::NOT_FOUND, "no_mailbox", detail));
    };
    let read = tokio::task::spawn_blocking(move || read(&folder)).await;
    let mails = read.map_err(io::Error::other).flatten().map_err(|error| {
        tracing::warn!(%error, "the mail folder cannot be read");
        Problem::internal()
    })?;
    let body = serde_json::to_vec(&PageOut { items: mails, next_cursor: None });
    Ok(Answer::new(JSON, NOT_KEPT, body.map_err(|_| Problem::internal())?).respond(&HeaderMap::new()))
}

/// Whether somebody at this very machine asks, and nobody for somebody else.
fn is_of_this_machine(peer: Option<IpAddr>, headers: &HeaderMap) -> bool {
    // What proxies add; and what browsers add for another origin's page.
    const FOREIGN: [&str; 7] = [
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-real-ip",
        "via",
        "origin",
    ];
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    peer.is_some_and(|peer| peer.to_canonical().is_loopback())
        && !FOREIGN.iter().any(|name| headers.contains_key(*name))
        && host
            .and_then(|host| Url::parse(&format!("http://{host}/")).ok())
            .is_some_and(|url| is_loopback(&url))
}

/// Whether an address leads to the machine that looks at it.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The newest mails of a folder: their names begin with when they came to be owed.
fn read(folder: &Path) -> io::Result<Vec<MailOut>> {
    let mut names = Vec::new();
    let entries = match std::fs::read_dir(folder) {
        // The first mail makes it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        // A pipe would never end, and a link leads elsewhere.
        if entry.file_type()?.is_file()
            && let Ok(name) = entry.file_name().into_string()
            && !name.starts_with('.')
            && name.ends_with(".eml")
        {
            names.push(name);
        }
    }
    names.sort_unstable_by(|one, other| other.cmp(one));
    Ok(names.iter().take(LOOKED_AT).filter_map(|name| mail(folder, name)).take(MAILS).collect())
}

/// One mail; `None` where it is gone meanwhile or is none.
fn mail(folder: &Path, name: &str) -> Option<MailOut> {
    let mut raw = Vec::new();
    std::fs::File::open(folder.join(name)).ok()?.take(MAIL_BYTES).read_to_end(&mut raw).ok()?;
    let message = MessageParser::default().parse(&raw)?;
    let date = jiff::Timestamp::from_second(message.date()?.to_timestamp()).ok()?;
    Some(MailOut {
        id: name.trim_end_matches(".eml").to_owned(),
        date: date.to_string(),
        to: message.to()?.first()?.address()?.to_owned(),
        subject: message.subject().unwrap_or_default().to_owned(),
        text: message.body_text(0).unwrap_or_default().into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderName;

    #[test]
    fn only_the_machine_itself_is_answered() {
        let asked = |peer: Option<&str>, given: &[(&'static str, &str)]| {
            let headers = given
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
                .collect();
            is_of_this_machine(peer.map(|peer| peer.parse().unwrap()), &headers)
        };
        for (peer, host) in [
            ("127.0.0.1", "127.0.0.1:8080"),
            ("127.0.0.1", "localhost:8080"),
            ("::1", "[::1]:8080"),
            ("::ffff:127.0.0.1", "LOCALHOST"),
        ] {
            assert!(asked(Some(peer), &[("host", host)]), "{peer} {host}");
        }
        assert!(!asked(None, &[("host", "localhost")]), "over no connection");
        assert!(!asked(Some("192.0.2.1"), &[("host", "localhost")]));
        for host in ["tracker.example", "localhost.example", "192.0.2.1", "127.0.0.1.example", "a b", ""] {
            assert!(!asked(Some("127.0.0.1"), &[("host", host)]), "{host}");
        }
        assert!(!asked(Some("127.0.0.1"), &[]), "no host");
        for foreign in ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via", "origin"] {
            assert!(!asked(Some("127.0.0.1"), &[("host", "localhost"), (foreign, "x")]), "{foreign}");
        }
    }

    #[test]
    fn the_newest_mails_are_read_and_what_is_none_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(&folder.path().join("none")).unwrap().is_empty());
        let write = |name: &str, content: &str| std::fs::write(folder.path().join(name), content).unwrap();
        let body = "From: a@b.example\r\nTo: Ada <ada@example.com>\r\nDate: Fri, 31 Jan 2025 20:59:03 +0000\r\n\
            Subject: =?utf-8?q?NVDA_=E2=80=93?=\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n18.7=20times\r\n";
        for minute in 0..60 {
            write(&format!("20250131T20{minute:02}00Z-alert-NVDA-{minute}.eml"), body);
        }
        write("20250131T210000Z-broken.eml", "");
        std::fs::create_dir(folder.path().join("20250131T210300Z-folder.eml")).unwrap();
        write("20250131T210100Z-note.txt", body);
        write(".20250131T210200Z-draft.eml", body);
        let mails = read(folder.path()).unwrap();
        assert_eq!(mails.len(), MAILS);
        let newest = &mails[0];
        assert_eq!(newest.id, "20250131T205900Z-alert-NVDA-59");
        assert_eq!((&*newest.date, &*newest.to), ("2025-01-31T20:59:03Z", "ada@example.com"));
        assert_eq!((&*newest.subject, newest.text.trim_end()), ("NVDA –", "18.7 times"));
    }
}
