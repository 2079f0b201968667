//! Answers made once and shared by all readers: body, strong `ETag`, and the compressed form when asked for.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use std::io::Write as _;
use std::sync::OnceLock;

/// Bodies shorter than this travel as they are: compressing gains less than a packet.
const WORTH_COMPRESSING: usize = 256;

/// `no-cache`: may be kept, must be asked about before use. The `ETag` makes asking cheap.
pub(crate) const REVALIDATE: &str = "no-cache";
/// For addresses that carry their content's hash.
pub(crate) const FOREVER: &str = "public, max-age=31536000, immutable";

pub(crate) const JSON: &str = "application/json";
pub(crate) const HTML: &str = "text/html; charset=utf-8";

/// A finished answer.
#[derive(Debug)]
pub(crate) struct Answer {
    body: Bytes,
    content_type: &'static str,
    cache_control: &'static str,
    tag: String,
    gzip: OnceLock<Option<Bytes>>,
}

impl Answer {
    pub(crate) fn new(content_type: &'static str, cache_control: &'static str, body: Vec<u8>) -> Self {
        // 72 bits of SHA-256: replicas that answer the same carry the same tag.
        let tag = URL_SAFE_NO_PAD.encode(&Sha256::digest(&body)[..9]);
        Self { body: body.into(), content_type, cache_control, tag, gzip: OnceLock::new() }
    }

    pub(crate) fn json(body: Vec<u8>) -> Self {
        Self::new(JSON, REVALIDATE, body)
    }

    pub(crate) fn html(body: String) -> Self {
        Self::new(HTML, REVALIDATE, body.into_bytes())
    }

    /// The hash of the body, as text safe in an address.
    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }

    /// Answers a request: 304 where the client holds this very answer, compressed where it can take that.
    pub(crate) fn respond(&self, request: &HeaderMap) -> Response {
        let gzip = accepts_gzip(request).then(|| self.gzip()).flatten();
        let tag = if gzip.is_some() { format!("\"{}-gz\"", self.tag) } else { format!("\"{}\"", self.tag) };
        let known = self.is_held_by(request);
        let mut response = Response::new(match (known, gzip) {
            (true, _) => Body::empty(),
            (false, Some(gzip)) => Body::from(gzip.clone()),
            (false, None) => Body::from(self.body.clone()),
        });
        let headers = response.headers_mut();
        if let Ok(tag) = HeaderValue::try_from(tag) {
            headers.insert(header::ETAG, tag);
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(self.cache_control));
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        if known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        if gzip.is_some() {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }

    fn gzip(&self) -> Option<&Bytes> {
        let compress = || {
            if self.body.len() < WORTH_COMPRESSING {
                return None;
            }
            let mut encoder = GzEncoder::new(Vec::with_capacity(self.body.len() / 4), Compression::fast());
            encoder.write_all(&self.body).ok()?;
            encoder.finish().ok().map(Bytes::from)
        };
        self.gzip.get_or_init(compress).as_ref()
    }

    /// Whether `If-None-Match` names this answer in either form (RFC 9110 section 13.1.2: weak comparison).
    fn is_held_by(&self, request: &HeaderMap) -> bool {
        request.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|list| {
            list.split(',').map(str::trim).any(|entry| {
                let tag = entry.strip_prefix("W/").unwrap_or(entry).trim_matches('"');
                entry == "*" || tag.strip_suffix("-gz").unwrap_or(tag) == self.tag
            })
        })
    }
}

/// Whether `Accept-Encoding` allows gzip: named, or covered by `*`, with a weight above 0.
fn accepts_gzip(request: &HeaderMap) -> bool {
    let mut wildcard = false;
    for list in request.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()) {
        for entry in list.split(',') {
            let mut parts = entry.split(';').map(str::trim);
            let coding = parts.next().unwrap_or_default();
            let weight = parts
                .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
                .map_or(1.0, |weight| weight.parse::<f32>().unwrap_or(0.0));
            if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") {
                return weight > 0.0;
            }
            wildcard |= coding == "*" && weight > 0.0;
        }
    }
    wildcard
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gzip_allowed(accept: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, accept.parse().unwrap());
        accepts_gzip(&headers)
    }

    #[test]
    fn gzip_needs_to_be_named_with_a_weight_above_zero() {
        for accept in ["gzip", "br, gzip", "GZIP;q=0.5", "*", "deflate, *;q=0.1", "identity;q=1, gzip; q=0.2"]
        {
            assert!(gzip_allowed(accept), "{accept}");
        }
        for accept in ["", "br", "gzip;q=0", "gzip; q=0.0, *", "*;q=0", "gzipped", "gzip;q=x"] {
            assert!(!gzip_allowed(accept), "{accept}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }

    #[test]
    fn a_held_answer_is_recognised_in_either_form() {
        let answer = Answer::json(b"{}".to_vec());
        let held = |value: String| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, value.parse().unwrap());
            answer.respond(&headers).status() == StatusCode::NOT_MODIFIED
        };
        let tag = answer.tag();
        for value in
            ["*".to_owned(), format!("\"{tag}\""), format!("W/\"{tag}\""), format!("\"x\", \"{tag}-gz\"")]
        {
            assert!(held(value.clone()), "{value}");
        }
        assert!(!held("\"other\"".to_owned()));
        assert!(!held(String::new()));
    }
}
