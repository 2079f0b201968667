//! The dashboard: the files that `npm run build` made of `dashboard/`, which are part of this program.
//!
//! One document, the shell, is answered at the path of every page. What a page shows it asks the API for, so
//! the shell is the same for everybody.

use crate::http::answer::{Answer, FOREVER, HTML, REVALIDATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// Where files have a hash of their content in their name.
pub(crate) const HASHED: &str = "/assets/";
pub(crate) const SHELL: &str = "/index.html";

#[derive(rust_embed::Embed)]
#[folder = "../../dashboard/dist"]
struct Built;

/// The files of a dashboard, by their path on the site. Cheap to clone: all clones are the same.
#[derive(Clone, Default)]
pub struct Dashboard(Arc<BTreeMap<String, Answer>>);

impl Dashboard {
    /// What was built into this program: nothing where `dashboard/` was not built before it.
    pub fn built_in() -> Self {
        static BUILT_IN: LazyLock<Dashboard> = LazyLock::new(|| {
            let file = |name: Cow<'static, str>| Some((name.to_string(), Built::get(&name)?.data));
            Dashboard::of(Built::iter().filter_map(file))
        });
        BUILT_IN.clone()
    }

    /// Of files, each with its path below the root of the site, such as `assets/index-ETIJsS1H.js`. Those
    /// whose names begin with a dot are left out.
    pub fn of(files: impl IntoIterator<Item = (String, Cow<'static, [u8]>)>) -> Self {
        let files = files.into_iter().map(|(name, content)| (format!("/{name}"), content));
        let shown = files.filter(|(path, _)| !path.contains("/."));
        Self(Arc::new(shown.map(|(path, content)| (path.clone(), answer(&path, content))).collect()))
    }

    /// Whether there is anything to show.
    pub fn is_there(&self) -> bool {
        self.0.contains_key(SHELL)
    }

    /// Their paths on the site.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// A file's answer, by its path on the site.
    pub(crate) fn file(&self, path: &str) -> Option<&Answer> {
        self.0.get(path)
    }

    /// The shell under a status; `None` where there is none. The page itself says what was not found.
    pub(crate) fn shell(&self, status: StatusCode, mut headers: HeaderMap) -> Option<Response> {
        let shell = self.0.get(SHELL)?;
        if status == StatusCode::OK {
            return Some(shell.respond(&headers));
        }
        // Conditions are about what is there (RFC 9110 section 13.2.1).
        headers.remove(header::IF_NONE_MATCH);
        let mut response = shell.respond(&headers);
        if response.status() == StatusCode::OK {
            *response.status_mut() = status;
            response.headers_mut().remove(header::ETAG);
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        Some(response)
    }
}

fn answer(path: &str, content: Cow<'static, [u8]>) -> Answer {
    let cached = if path.starts_with(HASHED) { FOREVER } else { REVALIDATE };
    let body = match content {
        Cow::Borrowed(body) => Bytes::from_static(body),
        Cow::Owned(body) => Bytes::from(body),
    };
    Answer::new(content_type(path), cached, body).kept()
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => HTML,
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "webmanifest" => "application/manifest+json",
        "json" | "map" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
