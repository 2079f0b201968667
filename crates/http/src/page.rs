//! The pages that are complete without scripts, as templates: the form to sign up, the API's description,
//! short messages and problems.

use crate::config::ApiConfig;
use crate::http::answer::{Answer, FOREVER, HTML};
use crate::http::problem::Problem;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;
use utoipa::openapi::OpenApi;

/// The templates, compiled, and the style sheet.
pub(crate) struct Pages {
    templates: Environment<'static>,
    /// The style sheet.
    pub(crate) style: Answer,
    /// What has pages say times in the reader's zone.
    pub(crate) local_times: Answer,
}

impl Pages {
    pub(crate) fn new(config: &ApiConfig) -> Result<Self, minijinja::Error> {
        let style = include_str!("../assets/style.css");
        let style = Answer::new("text/css; charset=utf-8", FOREVER, style.as_bytes().to_vec());
        let script = include_str!("../assets/local-times.js");
        let local_times = Answer::new("text/javascript; charset=utf-8", FOREVER, script.as_bytes().to_vec());
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        templates.add_template("base.html", include_str!("../templates/base.html"))?;
        templates.add_template("subscribe.html", include_str!("../templates/subscribe.html"))?;
        templates.add_template("message.html", include_str!("../templates/message.html"))?;
        templates.add_template("error.html", include_str!("../templates/error.html"))?;
        templates.add_template("docs.html", include_str!("../templates/docs.html"))?;
        templates.add_filter("prose", prose);
        templates.add_filter("timed", timed);
        templates
            .add_filter("last_part", |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned());
        let address = format!("/assets/style.css?v={}", style.tag());
        templates.add_global("style", minijinja::Value::from_safe_string(address));
        let address = format!("/assets/local-times.js?v={}", local_times.tag());
        templates.add_global("local_times", minijinja::Value::from_safe_string(address));
        templates.add_global("version", config.version);
        Ok(Self { templates, style, local_times })
    }

    fn message(&self, message: &Message) -> Result<String, minijinja::Error> {
        self.render("message.html", message)
    }

    /// A page that says what went wrong.
    pub(crate) fn failure(&self, failure: &Failure<'_>) -> Result<String, minijinja::Error> {
        self.render("error.html", failure)
    }

    /// A page that says one thing. Never kept: it may be about a token.
    pub(crate) fn answer(&self, status: StatusCode, message: &Message) -> Response {
        match self.message(message) {
            Ok(html) => {
                let mut response = (status, html).into_response();
                let headers = response.headers_mut();
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(HTML));
                headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
                response
            }
            Err(error) => {
                tracing::error!(%error, "a page could not be written");
                Problem::internal().into_response()
            }
        }
    }

    /// A problem, for people.
    pub(crate) fn problem(&self, problem: &Problem) -> Response {
        let title = problem.status.canonical_reason().unwrap_or("Error");
        let mut response =
            self.answer(problem.status, &Message::new(Tone::Bad, title, &sentence_of(&problem.detail)));
        response.headers_mut().extend(problem.headers());
        response
    }

    /// The API's description, for people.
    pub(crate) fn docs(&self, doc: &OpenApi) -> Result<String, minijinja::Error> {
        #[derive(Serialize)]
        struct Docs<'a> {
            doc: &'a OpenApi,
        }
        self.render("docs.html", &Docs { doc })
    }

    pub(crate) fn render(&self, name: &str, content: &impl Serialize) -> Result<String, minijinja::Error> {
        self.templates.get_template(name)?.render(minijinja::value::Serde(content))
    }
}

/// Paragraphs of a description as HTML: text in backticks is code, all else is text.
fn prose(text: &str) -> minijinja::Value {
    let mut html = String::with_capacity(text.len() + 32);
    for paragraph in text.split("\n\n") {
        html.push_str("<p>");
        for (index, part) in paragraph.split('`').enumerate() {
            let escaped = escaped(part);
            match index % 2 {
                0 => html.push_str(&escaped),
                _ => html.extend(["<code>", &escaped, "</code>"]),
            }
        }
        html.push_str("</p>");
    }
    minijinja::Value::from_safe_string(html)
}

/// A text as HTML in which a time may be said, which is marked up for programs.
fn timed(text: &str, said: &str, at: &str) -> minijinja::Value {
    let (before, after) = text.split_once(said).unwrap_or((text, ""));
    let mut html = escaped(before);
    if before.len() < text.len() {
        html += &format!("<time datetime=\"{}\">{}</time>{}", escaped(at), escaped(said), escaped(after));
    }
    minijinja::Value::from_safe_string(html)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// How a message is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tone {
    Plain,
    Good,
    Bad,
}

/// A button that posts to the page's own address.
#[derive(Debug, Serialize)]
pub(crate) struct Button {
    caption: &'static str,
    /// What it asks for, where a page has several.
    action: Option<&'static str>,
}

/// Something to be ticked, which is sent as `ticked`.
#[derive(Debug, Serialize)]
pub(crate) struct Tick {
    pub(crate) value: String,
    pub(crate) title: String,
    pub(crate) text: String,
}

/// Where a page leads on to.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Link {
    address: &'static str,
    caption: &'static str,
}

/// A time that a text says.
#[derive(Debug, Serialize)]
struct Time {
    /// UTC, RFC 3339.
    at: String,
    said: String,
}

/// A page that says one thing, and may ask for one of a few, or lead on.
#[derive(Debug, Serialize)]
pub(crate) struct Message {
    tone: Tone,
    title: String,
    text: String,
    /// What of the text is a time, which scripts say in the reader's zone.
    time: Option<Time>,
    buttons: Vec<Button>,
    /// Sent with the button. A single one needs no box.
    ticks: Vec<Tick>,
    /// Shown where there are no buttons.
    links: Vec<Link>,
}

impl Message {
    pub(crate) fn new(tone: Tone, title: &str, text: &str) -> Self {
        let links = vec![Link { address: "/", caption: "To the dashboard" }];
        Self {
            tone,
            title: title.to_owned(),
            text: text.to_owned(),
            time: None,
            buttons: Vec::new(),
            ticks: Vec::new(),
            links,
        }
    }

    /// Of a text in which `said` is the time `at`.
    pub(crate) fn saying(self, said: String, at: Timestamp) -> Self {
        Self { time: Some(Time { at: at.to_string(), said }), ..self }
    }

    pub(crate) fn ask(self, caption: &'static str) -> Self {
        Self { buttons: vec![Button { caption, action: None }], ..self }
    }

    /// Has the button send which of `ticks` are wanted, and which there were.
    pub(crate) fn of(self, ticks: Vec<Tick>) -> Self {
        Self { ticks, ..self }
    }

    /// Offers a choice of (caption, action).
    pub(crate) fn offer(self, choices: &[(&'static str, &'static str)]) -> Self {
        let button = |&(caption, action)| Button { caption, action: Some(action) };
        Self { buttons: choices.iter().map(button).collect(), ..self }
    }

    /// Leads to (address, caption) instead of the dashboard.
    pub(crate) fn leading_to(self, links: &[(&'static str, &'static str)]) -> Self {
        let link = |&(address, caption)| Link { address, caption };
        Self { links: links.iter().map(link).collect(), ..self }
    }
}

/// What went wrong with a request, for people.
#[derive(Debug, Serialize)]
pub(crate) struct Failure<'a> {
    pub(crate) title: &'static str,
    /// Sentences; what stands in backticks is code.
    pub(crate) text: String,
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) request_id: &'a str,
}

/// Details of problems begin in lower case and have no full stop.
pub(crate) fn sentence_of(detail: &str) -> String {
    let mut letters = detail.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}
