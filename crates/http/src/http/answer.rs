//! Answers made once and shared by all readers: body, strong `ETag`, and the compressed forms when asked for.

use crate::http::coding::{Coding, Effort, negotiate};
use crate::http::problem::Problem;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::sync::OnceLock;

/// Bodies shorter than this travel as they are: compressing gains less than a packet.
const WORTH_COMPRESSING: usize = 256;

/// `no-cache`: may be kept, must be asked about before use. The `ETag` makes asking cheap.
pub(crate) const REVALIDATE: &str = "no-cache";
/// For what is made for one request.
pub(crate) const NOT_KEPT: &str = "no-store";
/// For addresses that carry their content's hash.
pub(crate) const FOREVER: &str = "public, max-age=31536000, immutable";

pub(crate) const JSON: &str = "application/json";
pub(crate) const CSV: &str = "text/csv; charset=utf-8; header=present";
pub(crate) const HTML: &str = "text/html; charset=utf-8";

/// A finished answer.
#[derive(Debug)]
pub(crate) struct Answer {
    body: Bytes,
    content_type: &'static str,
    cache_control: &'static str,
    vary: &'static str,
    effort: Effort,
    link: Option<HeaderValue>,
    tag: String,
    /// By [`Coding`].
    coded: [OnceLock<Option<Bytes>>; Coding::ALL.len()],
}

impl Answer {
    pub(crate) fn new(
        content_type: &'static str,
        cache_control: &'static str,
        body: impl Into<Bytes>,
    ) -> Self {
        let body = body.into();
        // 72 bits of SHA-256: replicas that answer the same carry the same tag.
        let tag = URL_SAFE_NO_PAD.encode(&Sha256::digest(&body)[..9]);
        Self {
            body,
            content_type,
            cache_control,
            vary: "accept-encoding",
            effort: Effort::Usual,
            link: None,
            tag,
            coded: Default::default(),
        }
    }

    pub(crate) fn json(body: Vec<u8>) -> Self {
        Self::new(JSON, REVALIDATE, body)
    }

    pub(crate) fn html(body: String) -> Self {
        Self::new(HTML, REVALIDATE, body.into_bytes())
    }

    /// The same, of an address that answers in several formats.
    pub(crate) fn by_accept(self) -> Self {
        Self { vary: "accept, accept-encoding", ..self }
    }

    /// The same, for who shows a token or is signed in: not to be kept by anybody on the way.
    pub(crate) fn private(self) -> Self {
        Self { cache_control: "private, no-cache", vary: "accept-encoding, authorization, cookie", ..self }
    }

    /// The same, compressed as small as it gets. Who asks for a coding first waits for that: for a large
    /// script a good part of a second.
    pub(crate) fn kept(self) -> Self {
        Self { effort: Effort::Utmost, ..self }
    }

    /// The same, with a `Link` header.
    pub(crate) fn linking(self, link: Option<HeaderValue>) -> Self {
        Self { link, ..self }
    }

    /// The hash of the body, as text safe in an address.
    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }

    /// Answers a request: 304 where the client holds this very answer, compressed as it likes best, 406 where
    /// it takes no form there is.
    pub(crate) fn respond(&self, request: &HeaderMap) -> Response {
        let wishes = negotiate(request);
        let worth_it = self.body.len() >= WORTH_COMPRESSING || !wishes.identity;
        let coded = wishes.coding.filter(|_| worth_it).and_then(|coding| Some((coding, self.coded(coding)?)));
        if coded.is_none() && !wishes.identity {
            let detail = "`accept-encoding` must allow `br`, `gzip`, `zstd` or `identity`";
            return Problem::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", detail).into_response();
        }
        let tag = match coded {
            Some((coding, _)) => format!("\"{}-{}\"", self.tag, coding.suffix()),
            None => format!("\"{}\"", self.tag),
        };
        let known = self.is_held_by(request);
        let mut response = Response::new(match (known, coded) {
            (true, _) => Body::empty(),
            (false, Some((_, body))) => Body::from(body.clone()),
            (false, None) => Body::from(self.body.clone()),
        });
        let headers = response.headers_mut();
        if let Ok(tag) = HeaderValue::try_from(tag) {
            headers.insert(header::ETAG, tag);
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(self.cache_control));
        headers.insert(header::VARY, HeaderValue::from_static(self.vary));
        if let Some(link) = &self.link {
            headers.insert(header::LINK, link.clone());
        }
        if known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        if let Some((coding, _)) = coded {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.into_str()));
        }
        response
    }

    fn coded(&self, coding: Coding) -> Option<&Bytes> {
        self.coded[coding as usize]
            .get_or_init(|| coding.encode(&self.body, self.effort).map(Bytes::from))
            .as_ref()
    }

    /// Whether `If-None-Match` names this answer in any form (RFC 9110 section 13.1.2: weak comparison).
    fn is_held_by(&self, request: &HeaderMap) -> bool {
        request.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|list| {
            list.split(',').map(str::trim).any(|entry| {
                let tag = entry.strip_prefix("W/").unwrap_or(entry).trim_matches('"');
                let plain = tag.strip_prefix(self.tag.as_str()).is_some_and(|rest| {
                    rest.is_empty()
                        || rest
                            .strip_prefix('-')
                            .is_some_and(|rest| Coding::ALL.into_iter().any(|coding| coding.suffix() == rest))
                });
                entry == "*" || plain
            })
        })
    }
}

/// The usual page is made once and shared; others are made for who asks.
pub(crate) fn shared_or_made(
    shared: &OnceLock<Answer>,
    usual: bool,
    render: impl FnOnce() -> Answer,
    headers: &HeaderMap,
) -> Response {
    if usual { shared.get_or_init(render).respond(headers) } else { render().respond(headers) }
}

/// The answer that a shape makes.
pub(crate) fn json(value: &impl Serialize) -> Answer {
    // Shapes hold plain fields and finite numbers: they always serialise.
    Answer::json(serde_json::to_vec(value).unwrap_or_else(|_| b"null".to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_answer_is_recognised_in_any_form() {
        let answer = Answer::json(b"{}".to_vec());
        let held = |value: String| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, value.parse().unwrap());
            answer.respond(&headers).status() == StatusCode::NOT_MODIFIED
        };
        let tag = answer.tag();
        for value in [
            "*".to_owned(),
            format!("\"{tag}\""),
            format!("W/\"{tag}\""),
            format!("\"x\", \"{tag}-gz\""),
            format!("\"{tag}-br\""),
            format!("\"{tag}-zst\""),
        ] {
            assert!(held(value.clone()), "{value}");
        }
        for value in ["\"other\"".to_owned(), String::new(), format!("\"{tag}-xz\""), format!("\"{tag}x\"")] {
            assert!(!held(value.clone()), "{value}");
        }
    }
}
