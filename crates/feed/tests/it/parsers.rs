//! Properties of the parsers: whatever arrives, no panic, and nothing invalid comes out as a bar.

use crate::given::{half_hour, symbol, symbols};
use jiff::civil::date;
use proptest::prelude::*;
use qqq_core::{Bar, FeedLabel, Symbol};
use qqq_feed::alpaca::parse::Message;
use qqq_feed::{alpaca, iex, yahoo};
use std::collections::HashSet;

const VALID: [&str; 7] = [
    include_str!("../../testdata/alpaca/bars_page_1.json"),
    include_str!("../../testdata/alpaca/bars_page_2.json"),
    include_str!("../../testdata/alpaca/splits.json"),
    include_str!("../../testdata/yahoo/chart_1m.json"),
    include_str!("../../testdata/yahoo/too_wide.json"),
    include_str!("../../testdata/iex/batch.json"),
    r#"[{"T":"b","S":"AAPL","o":1.5,"h":2,"l":1,"c":1.5,"v":10,"n":2,"vw":1.5,"t":"2025-01-31T15:00:00Z"},
        {"T":"error","code":402,"msg":"auth failed"},{"T":"subscription","bars":["AAPL"]}]"#,
];

/// Feeds the bytes to every parser and holds what comes out to its promises.
fn hold_to_promises(body: &[u8]) -> Result<(), TestCaseError> {
    let (asked, minutes) = (symbols("AAPL BRK.B"), half_hour());
    let label = FeedLabel::new("test").expect("a label");
    let check = |bars: &[Bar], asked: &[Symbol]| {
        let mut seen = HashSet::new();
        for bar in bars {
            prop_assert!(bar.validate().is_ok(), "{bar:?}");
            prop_assert!(minutes.contains(&bar.start), "{bar:?}");
            prop_assert!(asked.contains(&bar.symbol), "{bar:?}");
            prop_assert_eq!(bar.feed, label);
            prop_assert!(seen.insert((bar.symbol, bar.start)), "twice: {bar:?}");
        }
        Ok(())
    };
    if let Ok(page) = alpaca::parse::bars(body, &asked, minutes.clone(), label) {
        check(&page.fetched.bars, &asked)?;
        prop_assert!(page.next_page_token.is_none_or(|token| !token.is_empty() && token != "null"));
    }
    let days = date(2025, 1, 1)..=date(2025, 2, 28);
    if let Ok(page) = alpaca::parse::splits(body, &asked, &days) {
        prop_assert!(page.splits.iter().all(|s| days.contains(&s.ex_date) && asked.contains(&s.symbol)));
    }
    let _ = alpaca::parse::latest(body, symbol("AAPL"), label);
    if let Ok(messages) = alpaca::parse::frame(body, |symbol| asked.contains(&symbol), label) {
        for message in messages {
            if let Message::Bar(bar) = message {
                prop_assert!(bar.validate().is_ok() && asked.contains(&bar.symbol), "{bar:?}");
            }
        }
    }
    if let Ok(fetched) = yahoo::parse::bars(body, symbol("BRK.B"), minutes.clone(), label) {
        check(&fetched.bars, &symbols("BRK.B"))?;
    }
    if let Ok((splits, _)) = yahoo::parse::splits(body, symbol("BRK.B"), &days) {
        prop_assert!(splits.iter().all(|split| days.contains(&split.ex_date)));
    }
    let _ = yahoo::parse::last_trade(body, symbol("BRK.B"));
    if let Ok(fetched) = iex::parse::batch(body, &asked, minutes.clone(), label) {
        check(&fetched.bars, &asked)?;
    }
    Ok(())
}

/// Pieces that hurt careless parsers.
const PIECES: [&str; 18] = [
    "null",
    "\"NaN\"",
    "NaN",
    "-1",
    "0",
    "1e999",
    "1e18",
    "1e-999",
    "99999999999999999999",
    "[]",
    "{}",
    "\"\"",
    "true",
    "\"2025-13-45T99:99:99Z\"",
    "9223372036854775807",
    "-9223372036854775808",
    ",",
    "\u{0}",
];

/// A valid answer with pieces cut out, doubled, or replaced by something nasty.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), 0..40_usize, 0..4_u8, prop::sample::select(PIECES.to_vec()));
    (prop::sample::select(VALID.to_vec()), prop::collection::vec(change, 1..4)).prop_map(
        |(valid, changes)| {
            let mut bytes = valid.as_bytes().to_vec();
            for (at, length, kind, piece) in changes {
                let at = at.index(bytes.len().max(1));
                let end = (at + length).min(bytes.len());
                let cut = bytes[at..end].to_vec();
                match kind {
                    0 => drop(bytes.drain(at..end)),
                    1 => drop(bytes.splice(at..at, cut)),
                    2 => drop(bytes.splice(at..(at + 1).min(bytes.len()), piece.bytes())),
                    _ => bytes.truncate(at.max(1)),
                }
                if bytes.is_empty() {
                    break;
                }
            }
            bytes
        },
    )
}

/// A valid answer in which one whole JSON value is another: it stays JSON.
fn revalued() -> impl Strategy<Value = Vec<u8>> {
    let value = prop::sample::select(PIECES[..16].to_vec()).prop_filter("JSON", |piece| *piece != "NaN");
    (prop::sample::select(VALID.to_vec()), any::<prop::sample::Index>(), value).prop_map(
        |(valid, at, piece)| {
            let starts: Vec<usize> =
                valid.match_indices([':', '[', ',']).map(|(index, _)| index + 1).collect();
            let start = starts[at.index(starts.len())];
            let end = valid[start..].find([',', '}', ']']).map_or(valid.len(), |length| start + length);
            [&valid[..start], piece, &valid[end..]].concat().into_bytes()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn arbitrary_bytes_are_survived(body in prop::collection::vec(any::<u8>(), 0..300)) {
        hold_to_promises(&body)?;
    }

    #[test]
    fn broken_answers_are_survived(body in mutated()) {
        hold_to_promises(&body)?;
    }

    #[test]
    fn answers_with_a_wrong_value_are_survived(body in revalued()) {
        hold_to_promises(&body)?;
    }

    #[test]
    fn a_bar_comes_out_exactly_as_it_was_sent(
        minute in 0..30_i32, low in 1..9_000_000_000_000_000_i64, spread in 0..1_000_000_000_i64,
        at in (0.0..=1.0_f64, 0.0..=1.0_f64), volume in 0..=1_000_000_000_000_i64,
    ) {
        let high = (low + spread).min(9_000_000_000_000_000);
        let within = |share: f64| low + ((high - low) as f64 * share) as i64;
        let text = |nanos: i64| format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
        let start = half_hour().start.plus_minutes(minute);
        let body = format!(
            r#"{{"bars":{{"AAPL":[{{"t":"{start}","o":{},"h":{},"l":{},"c":{},"v":{volume}}}]}}}}"#,
            text(within(at.0)), text(high), text(low), text(within(at.1)),
        );
        let label = FeedLabel::new("sip").expect("a label");
        let page = alpaca::parse::bars(body.as_bytes(), &symbols("AAPL"), half_hour(), label)
            .expect("a page");
        prop_assert_eq!(page.fetched.rejects.len(), 0, "{:?}", page.fetched.rejects);
        let bar = page.fetched.bars[0];
        prop_assert_eq!(bar.start, start);
        prop_assert_eq!(
            [bar.open.nanos(), bar.high.nanos(), bar.low.nanos(), bar.close.nanos(), bar.volume.shares()],
            [within(at.0), high, low, within(at.1), volume]
        );
    }
}

#[test]
fn a_flood_of_rejects_is_counted_and_not_listed() {
    let body = format!(r#"{{"bars":{{"AAPL":[{}{{}}]}}}}"#, "{},".repeat(50_000));
    let label = FeedLabel::new("sip").expect("a label");
    let page = alpaca::parse::bars(body.as_bytes(), &symbols("AAPL"), half_hour(), label).expect("a page");
    assert_eq!(page.fetched.rejects.len(), 1001);
    assert!(page.fetched.rejects[1000].reason.starts_with("49001 more"), "{:?}", page.fetched.rejects[1000]);
}
