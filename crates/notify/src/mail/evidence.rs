//! The evidence of an alert: as a table, and where it is about a ratio, on a scale.

use super::{scale, text};
use minijinja::{Value, context};
use qqq_contract::metric::words;
use qqq_contract::sentence;
use qqq_core::rule::{Condition, Origin};
use qqq_core::{Alert, Evidence};

/// A line of the table: what, and how much.
pub(crate) type Row = (&'static str, String);

/// The table.
pub(crate) fn rows(alert: &Alert) -> Vec<Row> {
    let label = words(alert.metric).title;
    let feed = if alert.feed.is_simulated() { " (invented, not a market)" } else { "" };
    let revision = match alert.revision {
        0 => "0 (as first reported)".to_owned(),
        1 => "1 (corrected once)".to_owned(),
        n => format!("{n} (corrected {n} times)"),
    };
    let mut rows =
        vec![(label, sentence::quantity(alert.metric, sentence::amount(alert.metric, alert.value)))];
    rows.extend(compared(alert));
    rows.extend(sentence::price_then(alert).map(|price| ("Price", price)));
    rows.extend([
        ("Rule", sentence::requirement(alert.rule.rule(), alert.symbol, alert.metric)),
        ("New York", sentence::new_york_time(alert.start)),
        ("UTC", alert.start.to_string()),
        ("Feed", format!("{}{feed}", alert.feed)),
        ("Revision", revision),
    ]);
    rows
}

/// What the value was compared with, and how it came off.
fn compared(alert: &Alert) -> Vec<Row> {
    let metric = alert.metric;
    let baseline = sentence::quantity(metric, sentence::precise_average(alert));
    let ratio = || sentence::ratio(alert).map_or_else(none, |ratio| format!("{ratio} times"));
    match (alert.rule.rule().condition, alert.evidence) {
        (Condition::Spike { window, min_bars, .. }, Evidence::Average { bars, .. }) => vec![
            ("Average", format!("{baseline}, last {}", sentence::span(window))),
            ("Ratio", ratio()),
            ("Bars", format!("{bars} in the window, {min_bars} needed")),
        ],
        (Condition::ZScore { window, min_bars, .. }, Evidence::Deviation { bars, .. }) => {
            let deviation =
                sentence::deviation(alert).map_or_else(none, |one| sentence::quantity(metric, one));
            let distance = sentence::deviations(alert)
                .map_or_else(none, |(z, side)| format!("{z} deviations {side} the average"));
            vec![
                ("Average", format!("{baseline}, last {}", sentence::span(window))),
                ("Deviation", deviation),
                ("Distance", distance),
                ("Bars", format!("{bars} in the window, {min_bars} needed")),
            ]
        }
        (Condition::Move { from, .. }, Evidence::Origin { value, start }) => {
            let label = match from {
                Origin::Minutes(_) => "Before",
                Origin::PreviousClose => "Previous close",
                Origin::Open => "Open",
            };
            let change =
                sentence::percent(alert).map_or_else(none, |(percent, way)| format!("{percent} % {way}"));
            vec![
                (label, format!("{}, {}", sentence::amount(metric, value), sentence::new_york_time(start))),
                ("Change", change),
            ]
        }
        (Condition::Cross { .. }, Evidence::Crossing { level, before }) => vec![
            ("Level", sentence::quantity(metric, sentence::amount(metric, level))),
            ("Before", sentence::quantity(metric, sentence::amount(metric, before))),
        ],
        (Condition::TimeOfDay { min_sessions, .. }, Evidence::Median { sessions, .. }) => vec![
            ("Median", format!("{baseline}, {} in earlier sessions", sentence::clock(alert.start))),
            ("Ratio", ratio()),
            (
                "Sessions",
                format!("{sessions} with that {}, {min_sessions} needed", sentence::bar(alert.start)),
            ),
        ],
        _ => Vec::new(),
    }
}

fn none() -> String {
    "none".to_owned()
}

/// The table as lines of text.
pub(crate) fn table(rows: &[Row]) -> Vec<String> {
    let width = rows.iter().map(|(label, _)| label.len()).max().unwrap_or_default();
    rows.iter().map(|(label, value)| text::beside(label, width, value)).collect()
}

/// The value on the scale of ratios, with a tick at the rule: as text, and in percent of the way. Only where
/// the rule is about a ratio and there is one.
pub(crate) fn scale(alert: &Alert) -> Option<Value> {
    let (Condition::Spike { ratio: least, .. } | Condition::TimeOfDay { ratio: least, .. }) =
        alert.rule.rule().condition
    else {
        return None;
    };
    let (ratio, rule) = (alert.ratio()?, least as f64 / 1e6);
    let percent = |ratio| (scale::position(ratio) * 100.0).round() as u32;
    let text = scale::text(ratio, rule);
    Some(context! { text, filled => percent(ratio), tick => percent(rule), rule => rule.to_string() })
}
