//! Bars of other lengths than a minute.

use qqq_e2e::Tracker;
use serde_json::Value;
use std::time::Duration;

/// The bars of a page: start, open, high, low, close, volume.
fn bars(tracker: &Tracker, query: &str) -> Vec<(String, [f64; 5])> {
    let page = tracker.http().get(&format!("/v1/symbols/AAPL/bars?{query}")).json();
    let figures = |bar: &Value| {
        ["open", "high", "low", "close", "volume"].map(|name| bar[name].as_f64().expect("a number"))
    };
    let items = page["items"].as_array().expect("bars");
    items.iter().map(|bar| (bar["start"].as_str().expect("a time").to_owned(), figures(bar))).collect()
}

#[test]
fn bars_of_five_seconds_are_judged_kept_and_told_and_no_others_come_into_their_store() {
    let mut tracker = Tracker::new();
    tracker.set("market.interval", "5s").set("feed.sim.speed", "60x").set("feed.sim.sessions", 1);
    tracker.set("watchlist.symbols", "AAPL");
    tracker.start("run");
    tracker.wait_for_bars();
    let status = tracker.http().get("/v1/status").json();
    assert_eq!(status["interval"], "5s");
    // Half of the 720 that come in an hour.
    assert_eq!(status["rule"]["min_bars"], 360);
    // Ten minutes of the session, as they came and by the minute.
    let newest = tracker.http().get("/v1/symbols/AAPL").json();
    let day = newest["bar"]["start"].as_str().expect("a bar").get(..10).expect("a day").to_owned();
    let range = format!("from={day}T15:00:00Z&to={day}T15:10:00Z");
    let (short, minutes) = (bars(&tracker, &range), bars(&tracker, &format!("{range}&interval=1m")));
    assert!(short.len() > minutes.len() && minutes.len() > 5, "{} and {}", short.len(), minutes.len());
    for (start, [open, high, low, close, volume]) in &minutes {
        let parts: Vec<_> = short.iter().filter(|(part, _)| part[..16] == start[..16]).collect();
        let all = |place: usize| parts.iter().map(move |(_, figures)| figures[place]);
        let told = [
            parts[0].1[0],
            all(1).fold(f64::MIN, f64::max),
            all(2).fold(f64::MAX, f64::min),
            parts[parts.len() - 1].1[3],
            all(4).sum(),
        ];
        assert_eq!(told, [*open, *high, *low, *close, *volume], "{start}");
    }
    for (query, status) in [("interval=1s", 400), ("interval=10s", 200), ("interval=2m", 400)] {
        let answer = tracker.http().get(&format!("/v1/symbols/AAPL/bars?{query}"));
        assert_eq!(answer.status, status, "{query}: {}", answer.text());
    }
    tracker.terminate(Duration::from_secs(20));

    tracker.set("market.interval", "60s");
    tracker.spawn(&["run"]);
    assert_eq!(tracker.wait(Duration::from_secs(20)).code(), Some(1));
    let said = tracker.stderr();
    for part in ["holds bars of 5s each", "market.interval is 60s", "store.url"] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn feeds_that_have_no_shorter_bars_than_minutes_say_why() {
    for feed in ["yahoo", "iex"] {
        let mut tracker = Tracker::new();
        tracker.set("market.interval", "1s").set("feed.provider", feed);
        tracker.spawn(&["run"]);
        assert_eq!(tracker.wait(Duration::from_secs(20)).code(), Some(2));
        let said = tracker.stderr();
        for part in ["market.interval", feed, "no bars shorter than a minute"] {
            assert!(said.contains(part), "{said}");
        }
    }
}
