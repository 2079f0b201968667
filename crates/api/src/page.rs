//! The pages that are complete without scripts: the form to sign up, the API's description, and short messages.

use crate::Api;
use crate::answer::{Answer, FOREVER};
use crate::config::ApiConfig;
use crate::problem::Problem;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use minijinja::{Environment, UndefinedBehavior};
use qqq_core::sentence;
use serde::Serialize;
use utoipa::openapi::OpenApi;

/// The templates, compiled, and the style sheet.
pub(crate) struct Pages {
    templates: Environment<'static>,
    style: Answer,
}

impl Pages {
    pub(crate) fn new(config: &ApiConfig) -> Result<Self, minijinja::Error> {
        let style = include_str!("../assets/style.css");
        let style = Answer::new("text/css; charset=utf-8", FOREVER, style.as_bytes().to_vec());
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        templates.add_template("base.html", include_str!("../templates/base.html"))?;
        templates.add_template("subscribe.html", include_str!("../templates/subscribe.html"))?;
        templates.add_template("message.html", include_str!("../templates/message.html"))?;
        templates.add_template("error.html", include_str!("../templates/error.html"))?;
        templates.add_template("docs.html", include_str!("../templates/docs.html"))?;
        templates.add_filter("prose", prose);
        templates
            .add_filter("last_part", |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned());
        let address = format!("/assets/style.css?v={}", style.tag());
        templates.add_global("style", minijinja::Value::from_safe_string(address));
        templates.add_global("version", config.version);
        Ok(Self { templates, style })
    }

    /// A page that says one thing.
    pub(crate) fn message(&self, message: &Message) -> Result<String, minijinja::Error> {
        self.render("message.html", message)
    }

    /// A page that says what went wrong.
    pub(crate) fn failure(&self, failure: &Failure<'_>) -> Result<String, minijinja::Error> {
        self.render("error.html", failure)
    }

    /// The API's description, for people.
    pub(crate) fn docs(&self, doc: &OpenApi) -> Result<String, minijinja::Error> {
        #[derive(Serialize)]
        struct Docs<'a> {
            doc: &'a OpenApi,
        }
        self.render("docs.html", &Docs { doc })
    }

    fn render(&self, name: &str, content: &impl Serialize) -> Result<String, minijinja::Error> {
        self.templates.get_template(name)?.render(minijinja::value::Serde(content))
    }
}

/// Paragraphs of a description as HTML: text in backticks is code, all else is text.
fn prose(text: &str) -> minijinja::Value {
    let mut html = String::with_capacity(text.len() + 32);
    for paragraph in text.split("\n\n") {
        html.push_str("<p>");
        for (index, part) in paragraph.split('`').enumerate() {
            let escaped = part.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            match index % 2 {
                0 => html.push_str(&escaped),
                _ => html.extend(["<code>", &escaped, "</code>"]),
            }
        }
        html.push_str("</p>");
    }
    minijinja::Value::from_safe_string(html)
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

/// A page that says one thing, and may ask for one of a few, or lead on.
#[derive(Debug, Serialize)]
pub(crate) struct Message {
    tone: Tone,
    title: String,
    text: String,
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
            buttons: Vec::new(),
            ticks: Vec::new(),
            links,
        }
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

/// `GET /assets/style.css`.
pub(crate) async fn style(State(api): State<Api>, headers: HeaderMap) -> Response {
    api.0.pages.style.respond(&headers)
}

#[derive(Serialize)]
struct SubscribePage {
    rule: String,
    window: String,
    confirm: bool,
}

/// `GET /subscribe/form`.
pub(crate) async fn subscribe_form(State(api): State<Api>, headers: HeaderMap) -> Result<Response, Problem> {
    let rule = api.0.config.rule;
    let content = SubscribePage {
        rule: rule.ratio.to_string(),
        window: sentence::span(rule.window),
        confirm: api.0.config.confirm,
    };
    let html = api.0.pages.render("subscribe.html", &content).map_err(|error| {
        tracing::error!(%error, "a page could not be written");
        Problem::internal()
    })?;
    Ok(Answer::html(html).respond(&headers))
}
