//! Forms: what they are sent as; and whether a form, or a change by a cookie, comes from a page of ours.

use crate::http::problem::Problem;
use axum::http::{HeaderMap, StatusCode, header};
use qqq_core::subscription::token::Token;
use std::borrow::Cow;
use url::Url;

/// Fails where the body is not said to be a form.
pub(crate) fn must_be_form(headers: &HeaderMap) -> Result<(), Problem> {
    if is_form(headers) {
        return Ok(());
    }
    let detail = "the body must be a form (`application/x-www-form-urlencoded`)";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail))
}

/// Whether the body is said to be a form.
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Whether a form was sent from a page of ours, as far as the browser tells. `Sec-Fetch-Site` decides where
/// it is sent (secure contexts). Elsewhere `Origin` must be ours, or `null`: our own pages, too, send that,
/// as they ask for no referrer.
pub(crate) fn is_from_us(headers: &HeaderMap, public_url: &Url) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(site) = text("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    match text("origin") {
        None | Some("null") => true,
        Some(origin) => is_our_origin(headers, origin, public_url),
    }
}

/// Whether a page of ours asks for a change, by a request that says so: what carries a cookie, or sets one,
/// may come from any page, and a browser too old to say from which is told to come back with another.
/// `Sec-Fetch-Site` decides where it is sent, else `Origin`, which requests of scripts carry, and forms of
/// pages that say whose they are.
pub(crate) fn is_surely_from_us(headers: &HeaderMap, public_url: &Url) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => is_our_origin(headers, origin, public_url),
        (None, None) => false,
    }
}

/// Whether an origin is that of the public URL, or of the host that is asked.
fn is_our_origin(headers: &HeaderMap, origin: &str, public_url: &Url) -> bool {
    let host = headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    origin == public_url.origin().ascii_serialization()
        || origin.split_once("://").is_some_and(|(_, rest)| !host.is_empty() && rest == host)
}

/// The token of a query or a form.
pub(crate) fn token_in(form: &[u8]) -> Option<Token> {
    value_in(form, "token").and_then(|text| Token::parse(&text))
}

/// The first value of a name in a query or a form.
pub(crate) fn value_in<'a>(form: &'a [u8], wanted: &str) -> Option<Cow<'a, str>> {
    url::form_urlencoded::parse(form).find_map(|(name, value)| (name == wanted).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_counts_as_ours_only_when_the_browser_does_not_say_otherwise() {
        let ours: Url = "https://qqq.example.org/".parse().unwrap();
        let from_us = |pairs: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            is_from_us(&headers, &ours)
        };
        assert!(from_us(&[]));
        assert!(from_us(&[("sec-fetch-site", "same-origin"), ("origin", "null")]));
        assert!(from_us(&[("sec-fetch-site", "none")]));
        assert!(from_us(&[("origin", "https://qqq.example.org")]));
        assert!(from_us(&[("origin", "http://127.0.0.1:8080"), ("host", "127.0.0.1:8080")]));
        assert!(from_us(&[("origin", "null")]));
        assert!(!from_us(&[("sec-fetch-site", "cross-site")]));
        assert!(!from_us(&[("sec-fetch-site", "same-site")]));
        assert!(!from_us(&[("origin", "https://evil.example")]));
        assert!(!from_us(&[("origin", "https://evil.example"), ("host", "qqq.example.org")]));
        assert!(!from_us(&[("origin", "http://qqq.example.org")]));
    }

    #[test]
    fn a_change_by_a_cookie_must_say_that_it_is_ours() {
        let ours: Url = "https://qqq.example.org/".parse().unwrap();
        for (pairs, expected) in [
            (&[("sec-fetch-site", "same-origin")][..], true),
            (&[("sec-fetch-site", "none")], true),
            (&[("origin", "https://qqq.example.org")], true),
            (&[("origin", "http://127.0.0.1:8080"), ("host", "127.0.0.1:8080")], true),
            (&[("sec-fetch-site", "same-origin"), ("origin", "https://qqq.example.org")], true),
            (&[], false),
            (&[("origin", "null")], false),
            (&[("origin", "https://evil.example")], false),
            (&[("origin", "https://evil.example"), ("host", "qqq.example.org")], false),
            (&[("origin", "http://qqq.example.org")], false),
            (&[("sec-fetch-site", "same-site"), ("origin", "https://qqq.example.org")], false),
            (&[("sec-fetch-site", "cross-site"), ("origin", "https://qqq.example.org")], false),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            assert_eq!(is_surely_from_us(&headers, &ours), expected, "{pairs:?}");
        }
    }
}
