//! Formats: which one a client likes best (RFC 9110 section 12.5.1).

use crate::coding::weighted;
use crate::problem::Problem;
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
        let lists = request.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let ranges: Vec<(&str, f32)> = lists
            .flat_map(|list| list.split(','))
            .map(weighted)
            .filter(|(range, _)| !range.is_empty())
            .collect();
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

    proptest! {
        #[test]
        fn no_header_panics(accept in "[ -~]{0,60}") {
            format(&accept);
        }
    }
}
