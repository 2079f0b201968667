//! Whole recordings through the program, held to an independent computation of the same figures and alerts in
//! exact arithmetic: `python/oracle.py`.

use crate::recording::{self, Row};
use qqq_e2e::Tracker;
use qqq_testkit::{python, wait_for};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A whole replay on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);
const STOP: Duration = Duration::from_secs(20);
/// What the contract allows a figure to be off.
const TOLERANCE: f64 = 1e-12;

const METRICS: [&str; 2] = ["price", "volume"];
const WEEK: [&str; 10] = ["AAPL", "MSFT", "AMZN", "TSLA", "META", "GOOG", "NFLX", "NVDA", "PYPL", "ADBE"];
/// Those of the invented recording, and one it has no bar of.
const INVENTED: [&str; 10] =
    ["AAPL", "MSFT", "TSLA", "NFLX", "META", "PYPL", "AMZN", "ADBE", "BRK.B", "GOOG"];

/// Which bars count, and how long an alert silences the next ones.
#[derive(Clone, Copy)]
struct Setting {
    /// As the oracle calls it.
    calendar: &'static str,
    cooldown_seconds: u32,
}

/// Every bar counts and every bar that qualifies is an alert.
const LITERAL: Setting = Setting { calendar: "always", cooldown_seconds: 0 };
/// Nothing configured.
const DEFAULT: Setting = Setting { calendar: "regular", cooldown_seconds: 3600 };

#[test]
fn an_invented_recording_gives_the_figures_and_alerts_of_exact_arithmetic() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("invented.csv");
    recording::write(&file, &recording::hostile(1));
    for setting in [LITERAL, DEFAULT] {
        let oracle = Oracle::compute(&file, &INVENTED, setting);
        let alerts = oracle.alerts();
        for metric in METRICS {
            let of_metric = alerts.iter().filter(|alert| alert["metric"] == metric).count();
            assert!(of_metric > 10, "the recording shows too little: {of_metric} alerts of {metric}");
        }
        let mut tracker = replaying(&file, &INVENTED, setting);
        tracker.start("run");
        oracle.wait_for_the_end(&mut tracker);
        oracle.agrees_with(&tracker);
        // Another process, which knows only what the store holds, says the same.
        assert_eq!(tracker.terminate(STOP).code(), Some(0));
        tracker.start("server");
        oracle.agrees_with(&tracker);
    }
}

#[test]
fn a_real_week_gives_the_figures_and_alerts_of_exact_arithmetic() {
    let Some(file) = recording::week() else { return };
    for setting in [LITERAL, DEFAULT] {
        let oracle = Oracle::compute(&file, &WEEK, setting);
        let mut tracker = replaying(&file, &WEEK, setting);
        tracker.start("run");
        oracle.wait_for_the_end(&mut tracker);
        oracle.agrees_with(&tracker);
        let Setting { calendar, cooldown_seconds } = setting;
        eprintln!("{} alerts: calendar {calendar}, cool-down {cooldown_seconds} s", oracle.alerts().len());
    }
}

#[test]
fn a_replay_that_is_ended_and_killed_on_the_way_ends_as_one_that_was_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("invented.csv");
    let rows = recording::hostile(2);
    recording::write(&file, &rows);
    for setting in [LITERAL, DEFAULT] {
        let oracle = Oracle::compute(&file, &INVENTED, setting);
        let mut tracker = replaying(&file, &INVENTED, setting);
        tracker.set("feed.replay.speed", "30000x");
        // Each start plays the recording from its beginning, over what the store already holds.
        for (quarter, ends) in [(1, Tracker::kill_9 as fn(&mut Tracker)), (2, end), (3, Tracker::kill_9)] {
            let until = rows[rows.len() * quarter / 4].start();
            tracker.start("run");
            wait_for("a part of the recording", PATIENCE, || (newest(&tracker)? >= until).then_some(()));
            ends(&mut tracker);
            assert!(!tracker.stderr().contains("the recording is over"), "ended too late to show anything");
        }
        tracker.set("feed.replay.speed", "max");
        tracker.start("run");
        oracle.wait_for_the_end(&mut tracker);
        oracle.agrees_with(&tracker);
    }
}

#[test]
fn the_order_of_rows_and_rows_given_twice_change_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut rows = recording::hostile(3);
    let (in_order, shuffled) = (folder.path().join("in_order.csv"), folder.path().join("shuffled.csv"));
    recording::write(&in_order, &rows);
    let random = &mut fastrand::Rng::with_seed(3);
    let twice: Vec<Row> = rows.iter().filter(|_| random.f64() < 0.2).cloned().collect();
    rows.extend(twice);
    random.shuffle(&mut rows);
    recording::write(&shuffled, &rows);

    let oracle = Oracle::compute(&in_order, &INVENTED, LITERAL);
    let mut tracker = replaying(&shuffled, &INVENTED, LITERAL);
    tracker.start("run");
    oracle.wait_for_the_end(&mut tracker);
    oracle.agrees_with(&tracker);
}

#[test]
fn figures_are_those_of_the_last_revision_of_every_bar() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("revised.csv");
    let last = recording::hostile(4);
    let random = &mut fastrand::Rng::with_seed(4);
    // What was first reported: for a third of the bars something else.
    let mut rows: Vec<Row> = last
        .iter()
        .filter(|_| random.f64() < 0.33)
        .map(|row| Row { price: row.price + 10_000_000, volume: row.volume / 2 + 7, ..row.clone() })
        .collect();
    rows.extend(last);
    recording::write(&file, &rows);

    // The oracle, too, takes the last row of a minute.
    let oracle = Oracle::compute(&file, &INVENTED, LITERAL);
    let mut tracker = replaying(&file, &INVENTED, LITERAL);
    tracker.start("run");
    oracle.wait_for_the_end(&mut tracker);
    oracle.agrees_on_figures(&tracker);
}

/// A place to run in that plays `file`.
fn replaying(file: &Path, symbols: &[&str], setting: Setting) -> Tracker {
    let mut tracker = Tracker::new();
    tracker.set("feed.provider", "replay").set("feed.replay.path", file.display());
    tracker.set("watchlist.symbols", symbols.join(","));
    // The default is left alone: it must be what the contract says.
    if setting.calendar == "always" {
        tracker.set("market.calendar", "always");
    }
    if setting.cooldown_seconds != 3600 {
        tracker.set("rules.cooldown", format!("{}s", setting.cooldown_seconds));
    }
    tracker
}

fn end(tracker: &mut Tracker) {
    assert_eq!(tracker.terminate(STOP).code(), Some(0));
}

/// The start of the newest bar of any symbol.
fn newest(tracker: &Tracker) -> Option<String> {
    newest_bars(tracker).into_values().max()
}

fn newest_bars(tracker: &Tracker) -> BTreeMap<String, String> {
    let symbols = tracker.http().get("/v1/symbols").json();
    let items = symbols["items"].as_array().expect("a list");
    let newest = |item: &Value| Some((text(&item["symbol"]), item["bar"]["start"].as_str()?.to_owned()));
    items.iter().filter_map(newest).collect()
}

/// What must come out.
struct Oracle {
    answer: Value,
    symbols: Vec<&'static str>,
}

impl Oracle {
    #[track_caller]
    fn compute(file: &Path, symbols: &[&'static str], setting: Setting) -> Self {
        let file: PathBuf = file.to_owned();
        let arguments = [
            file.to_str().expect("a path"),
            "--symbols",
            &symbols.join(","),
            "--calendar",
            setting.calendar,
            "--cooldown",
            &setting.cooldown_seconds.to_string(),
        ];
        let answer = python::run("oracle.py", &arguments);
        Self { answer: serde_json::from_str(&answer).expect("JSON"), symbols: symbols.to_vec() }
    }

    fn alerts(&self) -> &[Value] {
        self.answer["alerts"].as_array().expect("a list")
    }

    /// Waits until the newest bar of every symbol is there. Steps are committed in the order of time, so then
    /// all of them are.
    #[track_caller]
    fn wait_for_the_end(&self, tracker: &mut Tracker) {
        let symbols = self.answer["symbols"].as_object().expect("an object");
        let last: BTreeMap<String, String> =
            symbols.iter().map(|(symbol, figures)| (symbol.clone(), text(&figures["start"]))).collect();
        assert!(!last.is_empty());
        wait_for("the end of the recording", PATIENCE, || {
            assert_eq!(tracker.ended(), None, "the program ended\n{}", tracker.log());
            (newest_bars(tracker) == last).then_some(())
        });
    }

    #[track_caller]
    fn agrees_with(&self, tracker: &Tracker) {
        self.agrees_on_figures(tracker);
        // The default page comes from memory, others from the store.
        for query in ["", "limit=7", "limit=1000"] {
            if query != "limit=7" || self.alerts().len() < 500 {
                self.agrees_on_alerts(tracker, query);
            }
        }
        for symbol in &self.symbols {
            self.agrees_on_alerts(tracker, &format!("limit=1000&symbol={symbol}&metric=volume"));
        }
    }

    #[track_caller]
    fn agrees_on_figures(&self, tracker: &Tracker) {
        let http = tracker.http();
        let listed = http.get("/v1/symbols").json();
        for (index, symbol) in self.symbols.iter().enumerate() {
            let item = &listed["items"][index];
            assert_eq!(item["symbol"], *symbol);
            // Bars that do not count may still play: the clock goes on.
            let alone = http.get(&format!("/v1/symbols/{symbol}")).json();
            assert!(alone["bar"] == item["bar"] && alone["statistics"] == item["statistics"], "{alone}");
            let expected = &self.answer["symbols"][symbol];
            assert_eq!(item["bar"]["start"], expected["start"]);
            for metric in METRICS {
                let (figures, expected) = (&item["statistics"][metric], &expected[metric]);
                for name in ["stdev", "relative_stdev", "trailing_average", "ratio"] {
                    assert_close(&figures[name], &expected[name], &format!("{symbol} {metric} {name}"));
                }
                let window_bars = expected["window_bars"].as_u64().unwrap_or(0);
                assert_eq!(figures["window_bars"].as_u64(), Some(window_bars), "{symbol} {metric}");
                self.agrees_on_original(tracker, symbol, metric, &expected["values"]);
            }
        }
        for metric in METRICS {
            for by in ["stdev", "relative_stdev"] {
                let path = format!("/v1/rankings?metric={metric}&by={by}");
                let ranked = http.get(&path).json();
                let order: Vec<_> = ranked["items"].as_array().expect("a list").iter().collect();
                let order: Vec<_> = order.iter().map(|item| item["symbol"].clone()).collect();
                assert_eq!(Value::from(order), self.answer["rankings"][metric][by], "{path}");
            }
        }
    }

    /// The original endpoint: the values of 24 hours, and the ranking by deviation.
    #[track_caller]
    fn agrees_on_original(&self, tracker: &Tracker, symbol: &str, metric: &str, expected: &Value) {
        let answer = tracker.http().get(&format!("/{symbol}/{metric}")).json();
        let key = if metric == "price" { "prices" } else { "volume" };
        let values: Vec<f64> =
            answer[key].as_array().expect("a list").iter().filter_map(Value::as_f64).collect();
        let expected: Vec<f64> = expected.as_array().into_iter().flatten().map(number).collect();
        // At most 15 digits: equal doubles are equal decimals.
        assert_eq!(values, expected, "{symbol} {metric}");
        assert_eq!(answer["rankings"], self.answer["rankings"][metric]["stdev"], "{symbol} {metric}");
    }

    /// The complete set, page by page.
    #[track_caller]
    fn agrees_on_alerts(&self, tracker: &Tracker, query: &str) {
        let alerts = all_alerts(tracker, query);
        let asked = |key: &str| query.split('&').find_map(|pair| pair.strip_prefix(&format!("{key}=")));
        let wanted = |alert: &&Value| {
            let is = |key| asked(key).is_none_or(|wanted| alert[key] == wanted);
            is("symbol") && is("metric")
        };
        let expected: BTreeMap<_, _> =
            self.alerts().iter().filter(wanted).map(|alert| (identity(alert), alert)).collect();
        let found: BTreeMap<_, _> = alerts.iter().map(|alert| (identity(alert), alert)).collect();
        assert_eq!(found.len(), alerts.len(), "an alert is listed twice: {query}");
        let surplus: Vec<_> = found.keys().filter(|id| !expected.contains_key(*id)).collect();
        let missing: Vec<_> = expected.keys().filter(|id| !found.contains_key(*id)).collect();
        assert!(surplus.is_empty() && missing.is_empty(), "too many: {surplus:?}, missing: {missing:?}");
        assert!(
            alerts.windows(2).all(|pair| text(&pair[0]["start"]) >= text(&pair[1]["start"])),
            "not newest first: {query}"
        );
        for (id, expected) in expected {
            let alert = found[&id];
            for name in ["value", "peak"] {
                assert_eq!(alert[name].as_f64(), Some(number(&expected[name])), "{id:?} {name}");
            }
            for name in ["average", "ratio"] {
                assert_close(&alert[name], &expected[name], &format!("{id:?} {name}"));
            }
            for name in ["window_bars", "occurrences"] {
                assert_eq!(alert[name], expected[name], "{id:?} {name}");
            }
            let constant = [("rule", "spike"), ("state", "raised"), ("feed", "replay")];
            assert!(constant.iter().all(|(name, value)| alert[*name] == *value), "{alert}");
            assert_eq!(alert["revision"], 0, "{id:?}");
        }
    }
}

/// Symbol, metric and start: what an alert is known by.
fn identity(alert: &Value) -> (String, String, String) {
    (text(&alert["symbol"]), text(&alert["metric"]), text(&alert["start"]))
}

/// All pages of a list of alerts.
#[track_caller]
fn all_alerts(tracker: &Tracker, query: &str) -> Vec<Value> {
    let mut alerts = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = tracker.http().get(&format!("/v1/alerts?{query}{cursor}")).json();
        alerts.extend(page["items"].as_array().expect("a list").iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return alerts,
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// The oracle writes numbers as texts.
#[track_caller]
fn number(value: &Value) -> f64 {
    value.as_str().and_then(|text| text.parse().ok()).expect("a number as text")
}

#[track_caller]
fn assert_close(found: &Value, expected: &Value, what: &str) {
    match (found.as_f64(), expected.as_str().and_then(|text| text.parse::<f64>().ok())) {
        (Some(found), Some(expected)) => {
            let off = (found - expected).abs();
            assert!(off <= TOLERANCE * expected.abs(), "{what}: {found} instead of {expected}, off by {off}");
        }
        (None, None) => assert!(found.is_null() && expected.is_null(), "{what}: {found}, {expected}"),
        _ => panic!("{what}: {found} instead of {expected}"),
    }
}
