//! The fields of a body, read one by one, so that all that are wrong are told, each with its reason.

use crate::http::problem::{FieldError, Problem};
use axum::http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::fmt;

/// The members of an object, and what was found wrong with them so far.
#[derive(Default)]
pub(crate) struct Fields {
    members: Vec<(String, Value)>,
    known: &'static [&'static str],
    errors: Vec<FieldError>,
}

impl Fields {
    /// Takes a JSON object whose fields may be `known`. The whole text is checked first: what is not JSON is
    /// a 400 whatever it begins with.
    pub(crate) fn of_json(body: &[u8], known: &'static [&'static str]) -> Result<Self, Problem> {
        let not_json = |error: serde_json::Error| {
            Problem::bad_request("not_json", format!("the body is not JSON: {}", what_and_where(&error)))
        };
        let not_utf8 = |_| Problem::bad_request("not_json", "the body is not JSON: it is not UTF-8");
        let text = std::str::from_utf8(body).map_err(not_utf8)?;
        serde_json::from_str::<IgnoredAny>(text).map_err(not_json)?;
        match serde_json::from_str::<Members>(text) {
            Ok(Members(members)) => Ok(Self { members, known, errors: Vec::new() }),
            Err(error) if error.is_data() => {
                let detail = format!("must be an object with the fields {}", known.join(", "));
                Err(Problem::unprocessable(vec![FieldError { field: "(body)".to_owned(), detail }]))
            }
            Err(error) => Err(not_json(error)),
        }
    }

    /// Takes a form whose fields may be `known`.
    pub(crate) fn of_form(body: &[u8], known: &'static [&'static str]) -> Self {
        let members = url::form_urlencoded::parse(body)
            .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
            .collect();
        Self { members, known, errors: Vec::new() }
    }

    /// Whether a field may be given.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.known.contains(&name)
    }

    /// Whether a field is given; `null` counts as not given.
    pub(crate) fn gives(&self, name: &str) -> bool {
        self.members.iter().any(|(field, value)| field == name && !value.is_null())
    }

    /// Notes what is wrong with a field.
    pub(crate) fn wrong(&mut self, field: &str, detail: impl fmt::Display) {
        let field = field.chars().take(64).collect();
        self.errors.push(FieldError { field, detail: detail.to_string() });
    }

    /// The value of a field, given once. `null` counts as given.
    pub(crate) fn value(&mut self, name: &str) -> Option<Value> {
        let mut given =
            self.members.iter().filter(|(field, _)| field == name).map(|(_, value)| value.clone());
        let (value, again) = (given.next(), given.next());
        if again.is_some() {
            self.wrong(name, "is given twice");
            return None;
        }
        value
    }

    /// A text that must be there.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        let before = self.errors.len();
        let is_null = self.members.iter().any(|(field, value)| field == name && value.is_null());
        let text = self.text_if_given(name);
        if text.is_none() && self.errors.len() == before {
            self.wrong(name, if is_null { "must be a text" } else { "is missing" });
        }
        text
    }

    /// A text that may be there; `null` counts as not given.
    pub(crate) fn text_if_given(&mut self, name: &str) -> Option<String> {
        match self.value(name)? {
            Value::Null => None,
            Value::String(text) => Some(text),
            _ => {
                self.wrong(name, "must be a text");
                None
            }
        }
    }

    /// Takes `parse`'s answer, or notes its error.
    pub(crate) fn parsed<T, E: fmt::Display>(&mut self, name: &str, parsed: Result<T, E>) -> Option<T> {
        parsed.map_err(|error| self.wrong(name, error)).ok()
    }

    /// What was read, where nothing was wrong, and no field is given that is not known.
    pub(crate) fn finish<T>(mut self, read: Option<T>) -> Result<T, Problem> {
        let unknown: Vec<String> = self
            .members
            .iter()
            .filter(|(field, _)| !self.known.contains(&field.as_str()))
            .map(|(field, _)| field.clone())
            .collect();
        for field in unknown {
            let detail = format!("is not known here; the fields are {}", self.known.join(", "));
            self.wrong(&field, detail);
        }
        match read {
            Some(read) if self.errors.is_empty() => Ok(read),
            _ => Err(Problem::unprocessable(self.errors)),
        }
    }
}

/// The instant of a text (RFC 3339).
pub(crate) fn time_of(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

/// Refuses a body that is not sent as JSON.
pub(crate) fn must_be_json(headers: &HeaderMap) -> Result<(), Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let detail = "the body must be JSON, sent with `content-type: application/json`";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail))
}

/// The parser's words without what it quotes of the body.
fn what_and_where(error: &serde_json::Error) -> String {
    let what = if error.is_eof() { "it ends too early" } else { "it makes no sense" };
    format!("{what} at line {} column {}", error.line(), error.column())
}

/// The members of a JSON object in the order given, repeated ones included.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn status(body: &[u8]) -> u16 {
        Fields::of_json(body, &["a"]).map_or_else(|problem| problem.status.as_u16(), |_| 200)
    }

    #[test]
    fn what_is_not_json_is_400_and_what_is_no_object_is_422() {
        for body in [
            &b""[..],
            b"{",
            b"{\"a\":1",
            b"{} x",
            b"\xff",
            b"{\"a\":\"\xff\"}",
            b"{\"email\":1, nonsense",
            b"{'a':1}",
        ] {
            assert_eq!(status(body), 400, "{body:?}");
        }
        for body in [&b"[]"[..], b"1", b"null", b"\"email\"", b"true"] {
            assert_eq!(status(body), 422, "{body:?}");
        }
        assert_eq!(status(b"{}"), 200);
        let deep = [b"[".repeat(8_000), b"]".repeat(8_000)].concat();
        assert_eq!(status(&deep), 422);
        assert_eq!(status(&[b"{\"email\":", &deep[..], b"}"].concat()), 400, "deeper than anybody reads");
        assert_eq!(status(br#"{"a":"\ud800"}"#), 400, "half a character");
    }

    #[test]
    fn a_repeated_and_an_unknown_field_are_wrong_and_all_errors_are_told() {
        let mut fields = Fields::of_json(br#"{"a":1,"a":2,"b":3}"#, &["a", "c"]).unwrap();
        assert_eq!(fields.value("a"), None);
        assert_eq!(fields.text("c"), None);
        let Err(problem) = fields.finish(Some(())) else { panic!("taken") };
        let told: Vec<_> = problem.errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(told, ["a", "c", "b"]);
    }

    proptest! {
        #[test]
        fn no_body_panics(body: Vec<u8>) {
            let _ = Fields::of_json(&body, &["a"]);
        }
    }
}
