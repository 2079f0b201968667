//! `GET /v1/mailbox`: the mails that a demonstration wrote as files, for its own pages to show.
//!
//! What a mail program would show, its HTML, is an answer of its own: the page shows it in a frame, and the
//! policy of that answer is the mail's alone. Nothing in it runs, and nothing is loaded for it.
//!
//! They hold addresses and links that act for their receivers. So there is a mailbox only where the
//! configuration says so ([`ApiConfig::mailbox`](crate::ApiConfig)): with a simulated market, a server that
//! listens to its own machine alone, and no mail server. It answers that machine: not what a proxy says it
//! passes on, not a name that somebody else has pointed here, not another origin's page. Whoever forwards the
//! port without a word opens the demonstration to others, and other users of the machine can read along.

use crate::api::Api;
use crate::dto::market::PageOut;
use crate::http::answer::{Answer, HTML, JSON, NOT_KEPT};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::this_machine::is_of_this_machine;
use axum::extract::rejection::PathRejection;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use mail_parser::{MessageParser, PartType};
use serde::Serialize;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
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
    /// Its headers, as they stand in the file.
    headers: String,
}

/// What a browser does with a mail: shows it in our own page's frame, and follows a link that is clicked
/// there. Its styles stand in it.
const MAIL_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'self'; sandbox allow-top-navigation-by-user-activation";

/// `GET /v1/mailbox`.
#[utoipa::path(
    get,
    path = "/v1/mailbox",
    tag = "service",
    operation_id = "getMailbox",
    summary = "The mails of a demonstration",
    description = "Only without a mail server, on a server that listens on the loopback interface alone and \
        whose public address is there too, and only asked from the same machine, directly. \
        The newest 50, newest first.",
    responses(
        (status = 200, description = "The mails that would have been sent", body = PageOut<MailOut>),
        (status = 404, description = "Mails cannot be read here"),
    ),
)]
pub(crate) async fn mailbox(State(api): State<Api>, request: Request) -> Result<Response, Problem> {
    Query::parse(request.uri().query(), &[])?;
    let mails = in_background(folder_for(&api, &request)?, read).await?.map_err(unreadable)?;
    let body = serde_json::to_vec(&PageOut { items: mails, next_cursor: None });
    Ok(Answer::new(JSON, NOT_KEPT, body.map_err(|_| Problem::internal())?).respond(&HeaderMap::new()))
}

/// `GET /v1/mailbox/{id}`: the HTML of a mail.
#[utoipa::path(
    get,
    path = "/v1/mailbox/{id}",
    tag = "service",
    operation_id = "getMail",
    summary = "A mail of a demonstration, as a mail program shows it",
    description = "Where `GET /v1/mailbox` answers. For a frame: no script in it runs, nothing is loaded for \
        it, and links open in the window.",
    params(("id" = String, Path, description = "From the list.", example = "20250131T205903Z-alert-NVDA-01")),
    responses(
        (status = 200, description = "Its HTML", body = String, content_type = "text/html"),
        (status = 404, description = "Mails cannot be read here, or there is no such mail with HTML"),
    ),
)]
pub(crate) async fn mail(
    State(api): State<Api>,
    path: Result<axum::extract::Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let id = path.map(|axum::extract::Path(id)| id).unwrap_or_default();
    let html = in_background(folder_for(&api, &request)?, move |folder| html(folder, &id)).await?;
    let html = html.ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, "no_mail", "there is no such mail, or it has no HTML")
    })?;
    let mut response = Answer::new(HTML, NOT_KEPT, html.into_bytes()).respond(&HeaderMap::new());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(MAIL_POLICY));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
    Ok(response)
}

/// The mail folder, where there is one and this machine itself asks.
fn folder_for(api: &Api, request: &Request) -> Result<PathBuf, Problem> {
    api.0.config.mailbox.clone().filter(|_| is_of_this_machine(request)).ok_or_else(|| {
        let detail = "mails cannot be read here: this server sends them, or is reached from elsewhere";
        Problem::new(StatusCode::NOT_FOUND, "no_mailbox", detail)
    })
}

/// Reads files while other requests go on.
async fn in_background<T: Send + 'static>(
    folder: PathBuf,
    read: impl FnOnce(&Path) -> T + Send + 'static,
) -> Result<T, Problem> {
    let read = tokio::task::spawn_blocking(move || read(&folder)).await;
    read.map_err(|error| unreadable(io::Error::other(error)))
}

fn unreadable(error: io::Error) -> Problem {
    tracing::warn!(%error, "the mail folder cannot be read");
    Problem::internal()
}

/// The newest mails of a folder: their names begin with when they were enqueued.
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
    Ok(names.iter().take(LOOKED_AT).filter_map(|name| told(folder, name)).take(MAILS).collect())
}

/// The bytes of a mail; `None` where it is gone meanwhile.
fn raw(folder: &Path, name: &str) -> Option<Vec<u8>> {
    let mut raw = Vec::new();
    std::fs::File::open(folder.join(name)).ok()?.take(MAIL_BYTES).read_to_end(&mut raw).ok()?;
    Some(raw)
}

/// The HTML of a mail, whose links open in the window and not in the frame. `None` where it has none.
fn html(folder: &Path, id: &str) -> Option<String> {
    let name = format!("{id}.eml");
    let is_name = !id.starts_with('.') && Path::new(&name).file_name() == Some(name.as_ref());
    if !is_name || !folder.join(&name).symlink_metadata().is_ok_and(|file| file.is_file()) {
        return None;
    }
    let raw = raw(folder, &name)?;
    let message = MessageParser::default().parse(&raw)?;
    let part = message.html_bodies().find_map(|part| match &part.body {
        PartType::Html(html) => Some(html),
        _ => None,
    })?;
    Some(part.replacen("<head>", "<head><base target=\"_top\">", 1))
}

/// One mail of the list; `None` where it is gone meanwhile or is none.
fn told(folder: &Path, name: &str) -> Option<MailOut> {
    let raw = raw(folder, name)?;
    let message = MessageParser::default().parse(&raw)?;
    let head = raw.windows(4).position(|end| end == b"\r\n\r\n").unwrap_or(raw.len());
    let date = jiff::Timestamp::from_second(message.date()?.to_timestamp()).ok()?;
    Some(MailOut {
        id: name.trim_end_matches(".eml").to_owned(),
        date: date.to_string(),
        to: message.to()?.first()?.address()?.to_owned(),
        subject: message.subject().unwrap_or_default().to_owned(),
        text: message.body_text(0).unwrap_or_default().into_owned(),
        headers: String::from_utf8_lossy(&raw[..head]).replace("\r\n", "\n"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_html_of_a_mail_is_read_and_of_nothing_else() {
        let outside = tempfile::tempdir().unwrap();
        let folder = outside.path().join("mail");
        std::fs::create_dir(&folder).unwrap();
        let of = |kind: &str| {
            format!("From: a@b.example\r\nContent-Type: {kind}\r\n\r\n<html><head></head><p>18.7 times")
        };
        std::fs::write(folder.join("one.eml"), of("text/html")).unwrap();
        std::fs::write(folder.join("BRK.B.eml"), of("text/html")).unwrap();
        std::fs::write(folder.join("plain.eml"), of("text/plain")).unwrap();
        std::fs::write(outside.path().join("other.eml"), of("text/html")).unwrap();
        std::fs::write(folder.join(".draft.eml"), of("text/html")).unwrap();
        let shown = html(&folder, "one").unwrap();
        assert_eq!(shown.trim_end(), "<html><head><base target=\"_top\"></head><p>18.7 times");
        assert!(html(&folder, "BRK.B").is_some());
        for none in ["plain", "two", "", "../other", "/one", "mail/one", ".draft", ".", "..", "one.eml"] {
            assert_eq!(html(&folder, none), None, "{none}");
        }
    }

    #[test]
    fn the_newest_mails_are_read_and_what_is_none_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(&folder.path().join("none")).unwrap().is_empty());
        let write = |name: &str, content: &str| std::fs::write(folder.path().join(name), content).unwrap();
        let body = "From: a@b.example\r\nTo: Ada <ada@example.com>\r\n\
            Date: Fri, 31 Jan 2025 20:59:03 +0000\r\nSubject: =?utf-8?q?NVDA_=E2=80=93?=\r\n\
            Content-Transfer-Encoding: quoted-printable\r\n\r\n18.7=20times\r\n";
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
        assert!(newest.headers.starts_with("From: a@b.example\nTo: Ada"), "{}", newest.headers);
        assert!(newest.headers.ends_with("quoted-printable"), "{}", newest.headers);
    }
}
