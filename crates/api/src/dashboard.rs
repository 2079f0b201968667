//! The dashboard: the files that `npm run build` made of `dashboard/`, which are part of this program.
//!
//! One document, the shell, is answered at the path of every page. What a page shows it asks the API for, so the shell
//! is the same for everybody.

use crate::Api;
use crate::answer::{Answer, FOREVER, HTML, REVALIDATE};
use crate::page::{Message, Tone};
use crate::problem::Problem;
use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use qqq_core::AlertId;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// Where files have a hash of their content in their name.
const HASHED: &str = "/assets/";
const SHELL: &str = "/index.html";

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

    /// Of files, each with its path below the root of the site, such as `assets/index-ETIJsS1H.js`. Those whose
    /// names begin with a dot are left out.
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

    /// The routes of pages and files.
    pub(crate) fn routes(&self) -> Router<Api> {
        let mut router = Router::new()
            .route("/", get(shell))
            .route("/s/{symbol}", get(symbol))
            .route("/alerts", get(shell))
            .route("/alerts/{id}", get(alert))
            .route("/rule", get(shell))
            .route("/status", get(shell))
            .route("/mailbox", get(shell))
            .route("/assets/{*file}", get(asset));
        for path in self.paths().filter(|path| !path.starts_with(HASHED) && *path != SHELL) {
            let file = path.to_owned();
            router =
                router.route(path, get(async move |State(api), headers| send(&api, file, headers).await));
        }
        router
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

/// The page of all symbols, and every other that has no path of its own below it.
async fn shell(State(api): State<Api>, headers: HeaderMap) -> Response {
    api.shell(StatusCode::OK, headers)
}

/// `GET /s/{symbol}`.
async fn symbol(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let tracked = path.is_ok_and(|Path(text)| api.tracked(&text).is_some());
    api.shell(found(tracked), headers)
}

/// `GET /alerts/{id}`. Whether there is such an alert the page finds out.
async fn alert(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let possible = path.is_ok_and(|Path(text)| text.parse::<AlertId>().is_ok());
    api.shell(found(possible), headers)
}

/// `GET /subscribe`: described, as the same path takes sign-ups.
#[utoipa::path(
    get,
    path = "/subscribe",
    tag = "subscriptions",
    operation_id = "subscribePage",
    summary = "The dashboard's page for sign-ups",
    description = "For people. `/subscribe/form` does without scripts.",
    responses(
        (status = 200, description = "A page", body = String, content_type = "text/html"),
        (status = 304),
        (status = 404, description = "The dashboard is not built into this program"),
    ),
)]
pub(crate) async fn subscribe_page(State(api): State<Api>, headers: HeaderMap) -> Response {
    api.shell(StatusCode::OK, headers)
}

/// `GET /assets/{file}`.
async fn asset(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let file = path.map_or_else(|_| String::new(), |Path(file)| format!("{HASHED}{file}"));
    send(&api, file, headers).await
}

/// A file, or that there is none. Compressing it, which the first to ask has to wait for, keeps nobody else waiting.
async fn send(api: &Api, file: String, headers: HeaderMap) -> Response {
    let dashboard = api.0.config.dashboard.clone();
    if !dashboard.0.contains_key(&file) {
        return Problem::of_status(StatusCode::NOT_FOUND).into_response();
    }
    let respond = move || dashboard.0.get(&file).map(|answer| answer.respond(&headers));
    match tokio::task::spawn_blocking(respond).await {
        Ok(Some(response)) => response,
        Ok(None) | Err(_) => Problem::internal().into_response(),
    }
}

fn found(is_there: bool) -> StatusCode {
    if is_there { StatusCode::OK } else { StatusCode::NOT_FOUND }
}

impl Api {
    /// The shell under a status. The page itself says in words what was not found.
    pub(crate) fn shell(&self, status: StatusCode, mut headers: HeaderMap) -> Response {
        let Some(shell) = self.0.config.dashboard.0.get(SHELL) else { return self.no_dashboard() };
        if status == StatusCode::OK {
            return shell.respond(&headers);
        }
        // Conditions are about what is there (RFC 9110 section 13.2.1).
        headers.remove(header::IF_NONE_MATCH);
        let mut response = shell.respond(&headers);
        if response.status() == StatusCode::OK {
            *response.status_mut() = status;
            response.headers_mut().remove(header::ETAG);
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        response
    }

    fn no_dashboard(&self) -> Response {
        let text =
            "The dashboard is not built into this program: `make build` builds it. Everything else is here.";
        let message = Message::new(Tone::Plain, "No dashboard", text).leading_to(&[
            ("/v1/symbols", "The figures, as JSON"),
            ("/docs", "The API"),
            ("/subscribe/form", "Get a mail when something is unusual"),
        ]);
        self.message_page(StatusCode::NOT_FOUND, &message)
    }
}
