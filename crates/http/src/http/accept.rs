//! Formats: which one a client likes best, and whether it is a person's (RFC 9110 section 12.5.1).

use crate::http::coding::weighted;
use crate::http::problem::Problem;
use axum::http::{HeaderMap, StatusCode, header};

/// A format that bars are told in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Csv,
}

impl Format {
    /// Of those a client likes equally, the first.
    const ALL: [(Self, &'static str, &'static str); 2] =
        [(Self::Json, "application", "json"), (Self::Csv, "text", "csv")];

    /// Reads `Accept`. Without one, or with an empty one, it is JSON; a 406 where it allows neither.
    pub(crate) fn negotiate(request: &HeaderMap) -> Result<Self, Problem> {
        let ranges = ranges(request);
        if ranges.is_empty() {
            return Ok(Self::Json);
        }
        let mut best: Option<(Self, f32)> = None;
        for (format, kind, subtype) in Self::ALL {
            let weight = weight_of(&ranges, kind, subtype);
            if weight > best.map_or(0.0, |(_, weight)| weight) {
                best = Some((format, weight));
            }
        }
        best.map(|(format, _)| format).ok_or_else(|| {
            let detail = "`accept` must allow `application/json` or `text/csv`";
            Problem::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", detail)
        })
    }
}

/// Whether a page is liked better than any JSON: browsers say so when somebody goes to an address, and nobody
/// else.
pub(crate) fn prefers_page(request: &HeaderMap) -> bool {
    let ranges = ranges(request);
    let json = ["json", "problem+json"].map(|subtype| weight_of(&ranges, "application", subtype));
    let page = weight_of(&ranges, "text", "html");
    json.into_iter().all(|json| page > json)
}

/// What `Accept` lists, with its weights.
fn ranges(request: &HeaderMap) -> Vec<(&str, f32)> {
    let lists = request.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges = lists.flat_map(|list| list.split(',')).map(weighted);
    ranges.filter(|(range, _)| !range.is_empty()).collect()
}

/// The weight of the most specific range that covers a type.
fn weight_of(ranges: &[(&str, f32)], kind: &str, subtype: &str) -> f32 {
    let specificity = |range: &str| {
        let (given_kind, given_subtype) = range.split_once('/')?;
        match (given_kind.eq_ignore_ascii_case(kind), given_subtype) {
            (true, given) if given.eq_ignore_ascii_case(subtype) => Some(2),
            (true, "*") => Some(1),
            _ if range == "*/*" => Some(0),
            _ => None,
        }
    };
    let covering = ranges.iter().filter_map(|&(range, weight)| Some((specificity(range)?, weight)));
    covering.max_by_key(|(specificity, _)| *specificity).map_or(0.0, |(_, weight)| weight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn format(accept: &str) -> Option<Format> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        Format::negotiate(&headers).ok()
    }

    #[test]
    fn the_best_liked_format_wins_and_json_of_equals() {
        use Format::{Csv, Json};
        for (accept, expected) in [
            ("", Some(Json)),
            ("*/*", Some(Json)),
            ("application/json", Some(Json)),
            ("text/csv", Some(Csv)),
            ("TEXT/CSV; charset=utf-8", Some(Csv)),
            ("text/csv, application/json", Some(Json)),
            ("text/csv, application/json;q=0.9", Some(Csv)),
            ("text/*", Some(Csv)),
            ("text/csv;q=0.1, */*", Some(Json)),
            ("application/json;q=0, */*", Some(Csv)),
            ("application/json;q=0.2, text/*;q=0.5, text/csv;q=0.1", Some(Json)),
            ("text/html, application/xhtml+xml, */*;q=0.8", Some(Json)), // a browser
            ("text/html", None),
            ("text/csv;q=0", None),
            ("*/*;q=0", None),
            ("csv", None),
        ] {
            assert_eq!(format(accept), expected, "{accept}");
        }
        assert_eq!(Format::negotiate(&HeaderMap::new()).ok(), Some(Json));
    }

    #[test]
    fn browsers_are_shown_pages_and_programs_are_not() {
        let prefers = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            prefers_page(&headers)
        };
        for accept in [
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", // Firefox
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8,\
             application/signed-exchange;v=b3;q=0.7", // Chromium
            "text/html, */*;q=0.01",                                           // lynx
            "text/html",
            "TEXT/HTML;q=0.5",
        ] {
            assert!(prefers(accept), "{accept}");
        }
        for accept in [
            "",
            "*/*",                               // curl, fetch
            "application/json, text/plain, */*", // axios
            "application/problem+json",
            "application/json, text/html",
            "text/html, application/problem+json",
            "text/html;q=0.4, application/json;q=0.5",
            "text/html;q=0",
            "text/csv",
            "text/event-stream",
            "image/*,*/*;q=0.8", // a browser, for a picture
        ] {
            assert!(!prefers(accept), "{accept}");
        }
        assert!(!prefers_page(&HeaderMap::new()));
    }

    proptest! {
        #[test]
        fn no_header_panics(accept in "[ -~]{0,60}") {
            format(&accept);
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            prefers_page(&headers);
        }
    }
}
