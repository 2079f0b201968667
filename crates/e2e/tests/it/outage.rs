//! A provider that refuses: everything for some minutes, or one symbol for good.

use crate::provider::{Alpaca, MINUTES, PATIENCE, STOP, asking, minute, newest, refusal};
use jiff::Timestamp;
use qqq_testkit::http::Http;
use qqq_testkit::wait_for;
use serde_json::{Value, json};

/// How many seconds the provider asks to be left alone: more than a minute, what is left of another one, and
/// the youngest `rules.max_alert_age`.
const LEFT_ALONE: u32 = 130;

#[test]
fn what_a_refusal_in_the_middle_of_a_run_hid_is_alerted_when_it_comes() {
    let alpaca = Alpaca::start();
    let mut tracker = asking(&alpaca, "2h");
    tracker.set("rules.max_alert_age", "1m");
    tracker.start("run");
    tracker.wait_for_bars();
    let http = tracker.http();
    wait_for("readiness", PATIENCE, || (http.get("/readyz").status == 200).then_some(()));

    alpaca.state().faults.push_back(refusal(403).header("retry-after", LEFT_ALONE));
    wait_for("the refusal to be said", PATIENCE, || (http.get("/readyz").status == 503).then_some(()));
    let hidden = newest(&tracker, "AAPL").expect("a bar") + 1;
    alpaca.state().corrections.insert(hidden, 50_000);
    let alert = wait_for("the hidden minute's alert", MINUTES, || {
        http.get("/v1/alerts?symbol=AAPL").json()["items"].as_array()?.first().cloned()
    });
    let time = |key: &str| alert[key].as_str().expect("a time").parse::<Timestamp>().expect("a time");
    assert_eq!((minute(alert["start"].as_str().expect("a time")), &alert["value"]), (hidden, &json!(50_000)));
    let age = time("raised_at").as_second() - (time("start").as_second() + 60);
    assert!(age > 60, "{age} s old: that would have been news in any case");
    wait_for("readiness", PATIENCE, || (http.get("/readyz").status == 200).then_some(()));
    assert_eq!(tracker.terminate(STOP).code(), Some(0));
}

fn symbol_problems(http: &Http) -> Vec<Value> {
    http.get("/v1/status").json()["feed"]["symbol_problems"].as_array().cloned().unwrap_or_default()
}

#[test]
fn one_symbol_that_is_refused_is_named_and_stops_no_other() {
    let alpaca = Alpaca::start();
    alpaca.state().refuses = Some("ZZZZ");
    let mut tracker = asking(&alpaca, "1h");
    tracker.set("watchlist.symbols", "AAPL,MSFT,ZZZZ");
    tracker.start("run");
    let http = tracker.http();
    for symbol in ["AAPL", "MSFT"] {
        wait_for("bars of the others", PATIENCE, || newest(&tracker, symbol));
    }
    let problems = wait_for("the refused one's name", PATIENCE, || {
        Some(symbol_problems(&http)).filter(|problems| !problems.is_empty())
    });
    let [problem] = &problems[..] else { panic!("{problems:?}") };
    assert_eq!(
        (&problem["symbol"], &problem["problem"]),
        (&json!("ZZZZ"), &json!("alpaca answered 400 Bad Request"))
    );
    let at = |key: &str| problem[key].as_str().expect("a time").parse::<Timestamp>().expect("a time");
    assert_eq!(at("next_attempt").as_second() - at("since").as_second(), 3600);
    wait_for("readiness", PATIENCE, || (http.get("/readyz").status == 200).then_some(()));

    // The polls go on without it, also after a restart.
    let refused = alpaca.state().refused;
    assert!(refused <= 4, "{refused}");
    let before = newest(&tracker, "AAPL");
    wait_for("another minute", MINUTES, || {
        newest(&tracker, "AAPL").filter(|_| newest(&tracker, "AAPL") > before)
    });
    assert_eq!(tracker.terminate(STOP).code(), Some(0));
    tracker.start("run");
    tracker.wait_for_bars();
    wait_for("readiness", PATIENCE, || (tracker.http().get("/readyz").status == 200).then_some(()));
    assert_eq!(alpaca.state().refused, refused);
    assert_eq!(tracker.terminate(STOP).code(), Some(0));

    let checked = tracker.output(&["check"], PATIENCE);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    let failed: Vec<_> = said.lines().filter(|line| line.starts_with("FAILED")).collect();
    assert!(failed.len() == 1 && failed[0].contains("ZZZZ (alpaca answered 400"), "{said}");
    assert!(failed[0].contains("key accepted") && failed[0].contains("watchlist.symbols"), "{said}");
}
