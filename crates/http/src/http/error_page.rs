//! Problems for people: a browser that goes somewhere is answered with a page, a program with a document.
//!
//! Which of them asks, `Accept` says. What a person goes to and is not there is looked at once more: who
//! types `/NVDA` or `/alerts/` means a page there is.

use crate::api::Api;
use crate::http::accept::prefers_page;
use crate::http::problem::Problem;
use crate::page::{Failure, sentence_of};
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use qqq_core::{AlertId, Symbol};

/// Pages by their names alone.
const PAGES: [&str; 7] = ["alerts", "rule", "subscribe", "status", "watchlist", "mailbox", "docs"];

/// A request by somebody who wants to see a page.
pub(crate) struct Visit {
    method: Method,
    uri: Uri,
}

impl Visit {
    /// `None` for programs: they say nothing of pages, or like JSON as well.
    pub(crate) fn of<B>(request: &Request<B>) -> Option<Self> {
        let visit = || Self { method: request.method().clone(), uri: request.uri().clone() };
        prefers_page(request.headers()).then(visit)
    }

    /// Whether a page is gone to, and nothing sent.
    fn looks(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD)
    }
}

impl Api {
    /// A problem, as whoever asked can read it.
    pub(crate) fn tell(&self, problem: &Problem, visit: Option<&Visit>, request_id: &str) -> Response {
        let mut response = match visit {
            Some(visit) => self.show(problem, visit, request_id),
            None => problem.render(request_id),
        };
        response.headers_mut().append(header::VARY, HeaderValue::from_static("accept"));
        response
    }

    fn show(&self, problem: &Problem, visit: &Visit, request_id: &str) -> Response {
        if problem.status == StatusCode::NOT_FOUND && visit.looks() {
            if let Some(page) = self.meant(visit.uri.path()) {
                let query = visit.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
                return Redirect::temporary(&format!("{page}{query}")).into_response();
            }
            // Of what is missing in the API, the problem says more than the dashboard could.
            let in_the_api = visit.uri.path().starts_with("/v1/");
            let shell = || self.0.config.dashboard.shell(StatusCode::NOT_FOUND, HeaderMap::new());
            if let Some(shell) = (!in_the_api).then(shell).flatten() {
                return shell;
            }
        }
        self.error_page(problem, request_id)
    }

    fn error_page(&self, problem: &Problem, request_id: &str) -> Response {
        let page = Failure {
            title: title(problem.status),
            text: sentence_of(&problem.detail),
            status: problem.status.as_u16(),
            code: problem.code,
            request_id,
        };
        match self.0.pages.failure(&page) {
            Ok(html) => {
                let mut response = (problem.status, Html(html)).into_response();
                response.headers_mut().extend(problem.headers());
                response
            }
            Err(error) => {
                tracing::error!(%error, "a page could not be written");
                problem.render(request_id)
            }
        }
    }

    /// The page that a path nearly names: one of ours in other letters or with slashes too many, or a symbol
    /// alone.
    fn meant(&self, path: &str) -> Option<String> {
        let segments: Vec<_> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let is = |given: &str, name: &str| given.eq_ignore_ascii_case(name);
        let page = match segments[..] {
            [] => "/".to_owned(),
            [name] if is(name, "index.html") => "/".to_owned(),
            [name] => match PAGES.iter().find(|page| is(name, page)) {
                Some(page) => format!("/{page}"),
                None => format!("/s/{}", self.tracked(name)?),
            },
            [kind, text] if is(kind, "s") => {
                let named = self.tracked(text);
                format!("/s/{}", named.or_else(|| text.parse::<Symbol>().ok())?)
            }
            [kind, text] if is(kind, "alerts") => format!("/alerts/{}", text.parse::<AlertId>().ok()?),
            [kind, name] if is(kind, "subscribe") && is(name, "form") => "/subscribe/form".to_owned(),
            _ => return None,
        };
        (page != path).then_some(page)
    }
}

/// A status in words for people.
fn title(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "There is no such page",
        StatusCode::METHOD_NOT_ALLOWED => "This address does not take that",
        StatusCode::NOT_ACCEPTABLE => "There is no such form of this page",
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "You may not see this",
        StatusCode::TOO_MANY_REQUESTS => "Too many requests",
        StatusCode::SERVICE_UNAVAILABLE => "Not available right now",
        status if status.is_server_error() => "Something went wrong here",
        _ => "The request cannot be understood",
    }
}
