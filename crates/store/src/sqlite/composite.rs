//! Values that one column holds, as JSON. Numbers of more than 64 bits are text: readers of JSON lose digits
//! of them.

use crate::SignUp;
use qqq_core::alert::{Folded, Occurrence};
use qqq_core::subscription::channel::Channel;
use qqq_core::subscription::quiet::QuietHours;
use qqq_core::subscription::token::TokenHashes;
use qqq_core::subscription::{Scope, SubscriptionId};
use qqq_core::{Alert, Evidence, Figures, Metric, RuleName, Second, SymbolProblem, U256, UnknownWord};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

/// The column `evidence`: `{"type":"average","sum":1262070,"bars":60}`.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct StoredEvidence(#[serde(with = "EvidenceFields")] pub(super) Evidence);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Evidence", tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum EvidenceFields {
    Average {
        #[serde(with = "short_or_text")]
        sum: i128,
        bars: u32,
    },
    Deviation {
        #[serde(with = "short_or_text")]
        sum: i128,
        #[serde(with = "text")]
        squares: U256,
        bars: u32,
    },
    Origin {
        #[serde(with = "short_or_text")]
        value: i128,
        #[serde(with = "index")]
        start: Second,
    },
    Crossing {
        #[serde(with = "short_or_text")]
        level: i128,
        #[serde(with = "short_or_text")]
        before: i128,
    },
    Median {
        #[serde(with = "short_or_text")]
        twice: i128,
        sessions: u16,
    },
}

/// The column `occurrences`: `{"folded":{"count":2,"peak":7,"until":1680000000},"kept":[[1680000060,5]]}`,
/// by seconds since 1970.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredOccurrences {
    #[serde(skip_serializing_if = "Option::is_none")]
    folded: Option<StoredFolded>,
    kept: Vec<StoredOccurrence>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredFolded {
    count: u32,
    #[serde(with = "short_or_text")]
    peak: i128,
    #[serde(with = "index")]
    until: Second,
}

#[derive(Serialize, Deserialize)]
struct StoredOccurrence(#[serde(with = "index")] Second, #[serde(with = "short_or_text")] i128);

impl From<&Alert> for StoredOccurrences {
    fn from(alert: &Alert) -> Self {
        let Folded { count, peak, until } = alert.folded;
        Self {
            folded: until.map(|until| StoredFolded { count, peak, until }),
            kept: alert.occurrences.iter().map(|one| StoredOccurrence(one.start, one.value)).collect(),
        }
    }
}

impl From<StoredOccurrences> for (Folded, Vec<Occurrence>) {
    fn from(StoredOccurrences { folded, kept }: StoredOccurrences) -> Self {
        let folded =
            folded.map(|StoredFolded { count, peak, until }| Folded { count, peak, until: Some(until) });
        let kept = kept.into_iter().map(|StoredOccurrence(start, value)| Occurrence { start, value });
        (folded.unwrap_or_default(), kept.collect())
    }
}

/// The column `further`: figures by metric.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct StoredFigures(BTreeMap<String, FiguresFields>);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FiguresFields {
    stdev: Option<f64>,
    relative_stdev: Option<f64>,
    trailing_average: Option<f64>,
    ratio: Option<f64>,
    window_bars: u32,
}

impl StoredFigures {
    /// `None` where there are none.
    pub(super) fn of(further: &[(Metric, Figures)]) -> Option<Self> {
        let stored = |(metric, figures): &(Metric, Figures)| {
            let Figures { stdev, relative_stdev, trailing_average, ratio, window_bars } = *figures;
            let fields = FiguresFields { stdev, relative_stdev, trailing_average, ratio, window_bars };
            (metric.to_string(), fields)
        };
        (!further.is_empty()).then(|| Self(further.iter().map(stored).collect()))
    }

    /// They, in the order of [`Metric::ALL`].
    pub(super) fn into_figures(self) -> Result<Vec<(Metric, Figures)>, UnknownWord> {
        let figures = |(metric, fields): (String, FiguresFields)| {
            let FiguresFields { stdev, relative_stdev, trailing_average, ratio, window_bars } = fields;
            let figures = Figures { stdev, relative_stdev, trailing_average, ratio, window_bars };
            Ok((metric.parse::<Metric>()?, figures))
        };
        let mut all: Vec<_> = self.0.into_iter().map(figures).collect::<Result<_, _>>()?;
        all.sort_unstable_by_key(|(metric, _)| *metric);
        Ok(all)
    }
}

/// One of the column `symbol_problems`.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct StoredProblem(#[serde(with = "ProblemFields")] pub(super) SymbolProblem);

#[derive(Serialize, Deserialize)]
#[serde(remote = "SymbolProblem", deny_unknown_fields)]
struct ProblemFields {
    #[serde(with = "text")]
    symbol: qqq_core::Symbol,
    problem: String,
    #[serde(with = "text")]
    since: jiff::Timestamp,
    #[serde(with = "maybe_text")]
    next_attempt: Option<jiff::Timestamp>,
}

/// One of the column `wishes`: what a request asks for, with what its tokens are known by.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredWish {
    #[serde(with = "text")]
    id: SubscriptionId,
    #[serde(with = "text")]
    scope: Scope,
    #[serde(with = "text")]
    metric: Metric,
    #[serde(with = "text")]
    rule: RuleName,
    #[serde(with = "maybe_text")]
    quiet: Option<QuietHours>,
    #[serde(with = "hexadecimal")]
    nonce: [u8; 16],
    #[serde(with = "hexadecimal")]
    confirm: [u8; 32],
    #[serde(with = "hexadecimal")]
    unsubscribe: [u8; 32],
    #[serde(with = "hexadecimal")]
    manage: [u8; 32],
}

impl From<&SignUp> for StoredWish {
    fn from(sign_up: &SignUp) -> Self {
        let SignUp { id, scope, metric, rule, quiet, nonce, hashes, .. } = sign_up;
        Self {
            id: *id,
            scope: *scope,
            metric: *metric,
            rule: *rule,
            quiet: quiet.clone(),
            nonce: *nonce,
            confirm: *hashes.confirm.as_bytes(),
            unsubscribe: *hashes.unsubscribe.as_bytes(),
            manage: *hashes.manage.as_bytes(),
        }
    }
}

impl StoredWish {
    /// The sign-up it was made of, which has to be confirmed.
    pub(super) fn of(self, channel: Channel) -> SignUp {
        let Self { id, scope, metric, rule, quiet, nonce, confirm, unsubscribe, manage } = self;
        let hashes =
            TokenHashes { confirm: confirm.into(), unsubscribe: unsubscribe.into(), manage: manage.into() };
        SignUp { id, channel, scope, metric, rule, quiet, nonce, hashes, confirm: true }
    }
}

/// Bytes in hexadecimal.
mod hexadecimal {
    use super::*;

    pub(super) fn serialize<const N: usize, S: Serializer>(
        bytes: &[u8; N],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        digits.serialize(to)
    }

    pub(super) fn deserialize<'de, const N: usize, D: Deserializer<'de>>(
        from: D,
    ) -> Result<[u8; N], D::Error> {
        let digits = String::deserialize(from)?;
        let wrong = || de::Error::custom(format!("not {N} bytes in hexadecimal"));
        if digits.len() != 2 * N || !digits.is_ascii() {
            return Err(wrong());
        }
        let mut bytes = [0; N];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(de::Error::custom)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(bytes)
    }
}

/// What prints as a text and is read from it.
mod text {
    use super::*;

    pub(super) fn serialize<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

/// A number where 64 bits are enough for it, as they nearly always are; a text else.
mod short_or_text {
    use super::*;

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Written {
        Short(i64),
        Text(String),
    }

    pub(super) fn serialize<S: Serializer>(value: &i128, to: S) -> Result<S::Ok, S::Error> {
        i64::try_from(*value).map_or_else(|_| Written::Text(value.to_string()), Written::Short).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<i128, D::Error> {
        match Written::deserialize(from)? {
            Written::Short(value) => Ok(value.into()),
            Written::Text(text) => text.parse().map_err(de::Error::custom),
        }
    }
}

/// As [`text`], or null.
mod maybe_text {
    use super::*;

    pub(super) fn serialize<T: Display, S: Serializer>(value: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
        value.as_ref().map(ToString::to_string).serialize(to)
    }

    pub(super) fn deserialize<'de, T, D>(from: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse().map_err(de::Error::custom)).transpose()
    }
}

/// A second, by its number since 1970.
mod index {
    use super::*;

    pub(super) fn serialize<S: Serializer>(second: &Second, to: S) -> Result<S::Ok, S::Error> {
        second.unix().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Second, D::Error> {
        let second = Second::at_unix(i64::deserialize(from)?);
        second.ok_or_else(|| de::Error::custom("a time outside 1900 - 2200"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{MINUTE, alert, at, own_rule, sign_up, symbol};
    use proptest::prelude::*;
    use serde::de::DeserializeOwned;

    fn any_evidence() -> impl Strategy<Value = Evidence> {
        let sum = || prop_oneof![any::<i64>().prop_map(i128::from), any::<i128>()];
        let second = (-60_000_000..6_000_000_000_i64).prop_map(Second::from_unix);
        prop_oneof![
            (sum(), any::<u32>()).prop_map(|(sum, bars)| Evidence::Average { sum, bars }),
            (sum(), any::<(u128, u128, u32)>()).prop_map(|(sum, (high, low, bars))| Evidence::Deviation {
                sum,
                squares: U256::from_words(high, low),
                bars
            }),
            (sum(), second).prop_map(|(value, start)| Evidence::Origin { value, start }),
            (sum(), sum()).prop_map(|(level, before)| Evidence::Crossing { level, before }),
            (sum(), any::<u16>()).prop_map(|(twice, sessions)| Evidence::Median { twice, sessions }),
        ]
    }

    fn again<T: Serialize + DeserializeOwned>(value: &T) -> T {
        serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
    }

    #[test]
    fn what_a_request_asks_for_survives_being_written_and_read() {
        let asked = ["TSLA", "*"].map(|name| SignUp {
            quiet: "22:00-07:00 Europe/Berlin".parse().ok(),
            rule: own_rule(),
            ..sign_up(9, "ada@example.com", name)
        });
        for one in asked {
            let read = again(&StoredWish::from(&one)).of(one.channel.clone());
            assert_eq!(format!("{read:?}"), format!("{one:?}"));
            assert_eq!(read.hashes.confirm.as_bytes(), one.hashes.confirm.as_bytes());
        }
        for nonce in ["0", "zz", "é0", ""] {
            let text = serde_json::to_string(&StoredWish::from(&sign_up(9, "a@b.example", "TSLA"))).unwrap();
            let wrong = text.replace(&format!("0009{}", "07".repeat(14)), nonce);
            assert_ne!(text, wrong);
            assert!(serde_json::from_str::<StoredWish>(&wrong).is_err(), "{nonce}");
        }
    }

    proptest! {
        #[test]
        fn evidence_survives_being_written_and_read(evidence in any_evidence()) {
            prop_assert_eq!(again(&StoredEvidence(evidence)).0, evidence);
        }

        #[test]
        fn occurrences_survive_being_written_and_read(
            pairs in prop::collection::vec((-1_000_000..100_000_000_i32, any::<i128>()), 0..70),
            folded in prop::option::of((any::<u32>(), any::<i128>(), -1_000_000..100_000_000_i32)),
        ) {
            let occurrences: Vec<Occurrence> = pairs
                .into_iter()
                .map(|(start, value)| Occurrence { start: Second::from_unix(start.into()), value })
                .collect();
            let folded = folded.map_or_else(Folded::default, |(count, peak, until)| Folded {
                count,
                peak,
                until: Some(Second::from_unix(until.into())),
            });
            let alert = Alert { occurrences: occurrences.clone(), folded, ..alert("TSLA", MINUTE) };
            let read = <(Folded, Vec<_>)>::from(again(&StoredOccurrences::from(&alert)));
            prop_assert_eq!(read, (folded, occurrences));
        }

        #[test]
        fn a_problem_survives_being_written_and_read(
            problem in "\\PC{0,40}",
            next in prop::option::of(0..99_i64),
        ) {
            let problem =
                SymbolProblem { symbol: symbol("BRK.B"), problem, since: at(-1), next_attempt: next.map(at) };
            prop_assert_eq!(again(&StoredProblem(problem.clone())).0, problem);
        }
    }

    #[test]
    fn the_forms_are_these() {
        let evidence = Evidence::Deviation { sum: -1, squares: u128::MAX.into(), bars: 30 };
        assert_eq!(
            serde_json::to_string(&StoredEvidence(evidence)).unwrap(),
            r#"{"type":"deviation","sum":-1,"squares":"340282366920938463463374607431768211455","bars":30}"#
        );
        let start = Second::from_unix(1_680_000_060);
        let folded = Folded { count: 2, peak: 7, until: Some(start.plus_seconds(-60)) };
        let occurrences = vec![Occurrence { start, value: 5 }];
        let alert = Alert { occurrences, folded, ..alert("TSLA", MINUTE) };
        assert_eq!(
            serde_json::to_string(&StoredOccurrences::from(&alert)).unwrap(),
            r#"{"folded":{"count":2,"peak":7,"until":1680000000},"kept":[[1680000060,5]]}"#
        );
    }

    #[test]
    fn what_no_version_wrote_is_refused() {
        for text in [
            "",
            "{}",
            r#"{"type":"average","sum":1}"#,
            r#"{"type":"average","sum":1,"bars":4294967296}"#,
            r#"{"type":"average","sum":"1.5","bars":2}"#,
            r#"{"type":"average","sum":1,"bars":2,"mean":3}"#,
            r#"{"type":"mean","sum":1,"bars":2}"#,
            r#"{"type":"deviation","sum":1,"squares":"-1","bars":2}"#,
            r#"{"type":"origin","value":1,"start":99999999999}"#,
            "1;average;1;60",
        ] {
            assert!(serde_json::from_str::<StoredEvidence>(text).is_err(), "{text}");
        }
        for text in
            ["", "{}", r#"{"kept":[[1]]}"#, r#"{"kept":[[1,2,3]]}"#, r#"{"kept":[[99999999999,1]]}"#, "1;1:2"]
        {
            assert!(serde_json::from_str::<StoredOccurrences>(text).is_err(), "{text}");
        }
    }
}
