//! Content codings: which one a client likes best (RFC 9110 section 12.5.3), and the compressors.
//!
//! Answers are compressed once per commit and read many times, so the usual levels lean towards size: on the
//! API's JSON the next higher one costs several times as much for a few per cent. What stays as long as the
//! program runs is made as small as it gets.

use axum::http::{HeaderMap, header};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;

/// log2 of the window in bytes: 4 MiB, what brotli itself defaults to.
const BROTLI_WINDOW: u32 = 22;
const BROTLI_BUFFER: usize = 4096;

/// How hard the compressors try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// For what the next commit replaces.
    Usual,
    /// For what stays: about fifty times the work.
    Utmost,
}

impl Effort {
    const fn brotli_quality(self) -> u32 {
        match self {
            Self::Usual => 5,
            Self::Utmost => 11,
        }
    }

    const fn zstd_level(self) -> i32 {
        match self {
            Self::Usual => 6,
            Self::Utmost => 19,
        }
    }

    const fn gzip_level(self) -> u32 {
        match self {
            Self::Usual => 6,
            Self::Utmost => 9,
        }
    }
}

/// A content coding we can make, by its name in `Content-Encoding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub(crate) enum Coding {
    #[strum(serialize = "br")]
    Brotli,
    Zstd,
    Gzip,
}

impl Coding {
    /// Of those a client likes equally, the first: the smallest.
    pub(crate) const ALL: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    /// What tells its `ETag` from the others: they are strong, so every form has its own.
    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zst",
            Self::Gzip => "gz",
        }
    }

    /// Compresses. `None` where the compressor fails, for which bytes in memory give it no ground.
    pub(crate) fn encode(self, body: &[u8], effort: Effort) -> Option<Vec<u8>> {
        let room = Vec::with_capacity(body.len() / 4);
        match self {
            Self::Brotli => {
                let quality = effort.brotli_quality();
                let mut encoder = brotli::CompressorWriter::new(room, BROTLI_BUFFER, quality, BROTLI_WINDOW);
                encoder.write_all(body).ok()?;
                Some(encoder.into_inner())
            }
            Self::Zstd => zstd::bulk::compress(body, effort.zstd_level()).ok(),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(room, Compression::new(effort.gzip_level()));
                encoder.write_all(body).ok()?;
                encoder.finish().ok()
            }
        }
    }
}

/// What a client takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wishes {
    /// The coding it likes best, if it likes one at least as much as none.
    pub(crate) coding: Option<Coding>,
    /// Whether it takes the bytes as they are.
    pub(crate) identity: bool,
}

/// Reads `Accept-Encoding`. Without one, or with an empty one, the bytes go as they are. `*` stands for gzip,
/// which everybody reads; `br` and `zstd` want to be named. A weight that is no number counts as 0.
pub(crate) fn negotiate(request: &HeaderMap) -> Wishes {
    let mut weights: [Option<f32>; Coding::ALL.len()] = [None; Coding::ALL.len()];
    let (mut identity, mut wildcard) = (None, None);
    for list in request.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()) {
        for entry in list.split(',') {
            let (name, weight) = weighted(entry);
            let named = |coding: &Coding| name.eq_ignore_ascii_case(coding.into_str());
            let is_old_gzip = name.eq_ignore_ascii_case("x-gzip");
            if let Some(coding) = Coding::ALL.into_iter().find(named) {
                weights[coding as usize] = Some(weight);
            } else if is_old_gzip {
                weights[Coding::Gzip as usize].get_or_insert(weight);
            } else if name.eq_ignore_ascii_case("identity") {
                identity = Some(weight);
            } else if name == "*" {
                wildcard = Some(weight);
            }
        }
    }
    let gzip = &mut weights[Coding::Gzip as usize];
    *gzip = gzip.or(wildcard);
    let mut best: Option<(Coding, f32)> = None;
    for coding in Coding::ALL {
        let weight = weights[coding as usize].unwrap_or(0.0);
        if weight > best.map_or(0.0, |(_, weight)| weight) {
            best = Some((coding, weight));
        }
    }
    Wishes {
        // Identity is always there, so only a client that says so prefers it.
        coding: best
            .filter(|(_, weight)| identity.is_none_or(|identity| *weight >= identity))
            .map(|(it, _)| it),
        identity: identity.or(wildcard).is_none_or(|weight| weight > 0.0),
    }
}

/// `gzip;q=0.5`: what is named, and how much it is liked. One without a weight is liked fully.
pub(crate) fn weighted(entry: &str) -> (&str, f32) {
    let mut parts = entry.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let weight = parts
        .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
        .map_or(1.0, |weight| weight.parse().ok().filter(|q| (0.0..=1.0).contains(q)).unwrap_or(0.0));
    (name, weight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Read as _;

    fn wishes(accept: &str) -> Wishes {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, accept.parse().unwrap());
        negotiate(&headers)
    }

    #[test]
    fn the_best_liked_coding_wins_and_the_smallest_of_equals() {
        use Coding::{Brotli, Gzip, Zstd};
        for (accept, coding, identity) in [
            ("", None, true),
            ("gzip, deflate, br, zstd", Some(Brotli), true), // as browsers say it
            ("gzip, deflate", Some(Gzip), true),
            ("GZIP;q=0.5", Some(Gzip), true),
            ("x-gzip", Some(Gzip), true),
            ("zstd", Some(Zstd), true),
            ("br;q=0.5, zstd;q=0.9, gzip;q=0.8", Some(Zstd), true),
            ("br;q=0, gzip;q=0.1", Some(Gzip), true),
            ("*", Some(Gzip), true),
            ("deflate, *;q=0.1", Some(Gzip), true),
            ("gzip;q=0, *", None, true),
            ("*;q=0", None, false),
            ("br, *;q=0", Some(Brotli), false),
            ("identity;q=0, br;q=0.1", Some(Brotli), false),
            ("identity;q=0", None, false),
            ("identity, *;q=0", None, true),
            ("identity;q=1, gzip;q=0.2", None, true),
            ("identity;q=0.5, gzip;q=0.5", Some(Gzip), true),
            ("gzipped, brotli", None, true),
            ("gzip;q=x", None, true),
            ("gzip;q=2", None, true),
        ] {
            assert_eq!(wishes(accept), Wishes { coding, identity }, "{accept}");
        }
        assert_eq!(negotiate(&HeaderMap::new()), Wishes { coding: None, identity: true });
    }

    proptest! {
        #[test]
        fn what_is_compressed_is_read_back(
            body in proptest::collection::vec(any::<u8>(), 0..5000),
            effort in prop_oneof![Just(Effort::Usual), Just(Effort::Utmost)],
        ) {
            let mut gunzipped = Vec::new();
            let gzip = Coding::Gzip.encode(&body, effort).unwrap();
            flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut gunzipped).unwrap();
            prop_assert_eq!(&gunzipped, &body);
            let mut unbrotlied = Vec::new();
            let brotli = Coding::Brotli.encode(&body, effort).unwrap();
            brotli::Decompressor::new(&brotli[..], 4096).read_to_end(&mut unbrotlied).unwrap();
            prop_assert_eq!(&unbrotlied, &body);
            let zstd = Coding::Zstd.encode(&body, effort).unwrap();
            prop_assert_eq!(&zstd::bulk::decompress(&zstd, body.len()).unwrap(), &body);
        }

        #[test]
        fn no_header_panics(accept in "[ -~]{0,60}") {
            wishes(&accept);
        }
    }
}
