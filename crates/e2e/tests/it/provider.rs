//! A live provider end to end: a server of Alpaca's form, asked over HTTP in real time.

use crate::secrecy::assert_not_told;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use qqq_e2e::Tracker;
use qqq_testkit::http::{Reply, Request, Server};
use qqq_testkit::wait_for;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// For what takes a moment, on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How long before midnight a test that needs bars of the day before does not begin.
const END_OF_DAY: Duration = Duration::from_secs(6 * 60);
/// For what waits for the next minute, and a provider that is left alone for a while besides.
pub(crate) const MINUTES: Duration = Duration::from_secs(180);
pub(crate) const STOP: Duration = Duration::from_secs(20);
/// The shortest interval there is.
const INTERVAL_SECONDS: i64 = 10;
const KEY_ID: &str = "CANARYKEYID0000000001";
const SECRET: &str = "canary-secret-of-the-provider";
const MINUTES_PER_DAY: i64 = 24 * 60;

/// One test, so that its waits for the next minute are shared: polls, a limit of the rate, a correction, an
/// outage.
#[test]
fn bars_arrive_by_polls_through_limits_corrections_and_outages() {
    let alpaca = Alpaca::start();
    alpaca.state().faults.push_back(refusal(429).header("retry-after", 1));
    let mut tracker = asking(&alpaca, "1h");
    tracker.set("log.filter", "trace").set("log.format", "json");
    tracker.start("run");
    tracker.wait_for_bars();
    let http = tracker.http();
    assert!(alpaca.state().faults.is_empty(), "the limit was never met");

    // History: an hour, without a gap, up to the last whole minute.
    let (last, found) = wait_for("an hour of bars", PATIENCE, || {
        Some(series(&tracker, "AAPL", "volume")).filter(|(_, found)| found.len() >= 60)
    });
    let first = last + 1 - found.len() as i64;
    assert_eq!(found, volumes(first..=last));
    let (last, found) = series(&tracker, "AAPL", "price");
    assert_eq!(found, prices(first..=last));
    let shown = http.get("/v1/symbols/AAPL").json();
    assert_eq!((&shown["feed"], &shown["bar"]["trades"]), (&json!("iex"), &json!(12)));
    assert_eq!(http.get("/readyz").status, 200);

    // A bar that is told differently later is a revision, and news enough to raise an alert.
    let corrected = last - 1;
    alpaca.state().corrections.insert(corrected, 50_000);
    let alert = wait_for("the corrected bar's alert", PATIENCE, || {
        http.get("/v1/alerts?symbol=AAPL").json()["items"].as_array()?.first().cloned()
    });
    assert_eq!(alert["start"], time(corrected));
    assert_eq!((&alert["value"], &alert["revision"]), (&json!(50_000), &json!(1)), "{alert}");
    assert!(series(&tracker, "AAPL", "volume").1.contains(&50_000.0));

    // An outage over the turn of a minute: said, and healed without a gap.
    alpaca.state().broken = Some(refusal(503));
    let missed = newest(&tracker, "AAPL").expect("a bar") + 1;
    let reasons = wait_for("the outage to be said", PATIENCE, || {
        let ready = http.get("/readyz");
        (ready.status == 503).then(|| ready.json()["reasons"].clone())
    });
    assert_eq!(reasons[0]["check"], "feed", "{reasons}");
    assert!(reasons[0]["detail"].as_str().is_some_and(|detail| detail.contains("503")), "{reasons}");
    wait_for("a minute that is asked for in vain", MINUTES, || {
        alpaca.state().asked.iter().any(|asked| asked.refused && asked.last >= missed).then_some(())
    });
    assert!(newest(&tracker, "AAPL") < Some(missed), "a bar out of nowhere");
    alpaca.state().broken = None;
    wait_for("bars after the outage", MINUTES, || {
        newest(&tracker, "AAPL").filter(|newest| *newest >= missed)
    });
    wait_for("readiness", PATIENCE, || (http.get("/readyz").status == 200).then_some(()));
    let (last, found) = series(&tracker, "AAPL", "volume");
    let mut expected = volumes(first..=last);
    expected[(corrected - first) as usize] = 50_000.0;
    assert_eq!(found, expected, "a gap");

    assert_polls_are_aligned(&alpaca);
    assert_eq!(tracker.terminate(STOP).code(), Some(0));
    assert_not_told(&tracker, [KEY_ID, SECRET]);
    assert_eq!(alpaca.state().strangers, 0, "a request without the key");
}

#[test]
fn a_split_rescales_what_was_known_and_what_comes_raw_and_only_once() {
    let alpaca = Alpaca::start();
    let mut tracker = asking(&alpaca, "24h");
    tracker.start("run");
    // There must be bars of the day before for as long as this takes: the end of a New York day is waited
    // out.
    let (last, midnight, day) = wait_for("a day of bars", END_OF_DAY + MINUTES, || {
        let (last, prices) = series(&tracker, "AAPL", "price");
        let (midnight, day) = new_york_day(last);
        let lasts = midnight > last - MINUTES_PER_DAY + END_OF_DAY.as_secs() as i64 / 60;
        (prices.len() as i64 == MINUTES_PER_DAY && lasts).then_some((last, midnight, day))
    });
    let (last_now, raw) = series(&tracker, "AAPL", "price");
    assert_eq!(raw, prices(last_now - MINUTES_PER_DAY + 1..=last_now), "{last}");
    assert_eq!(tracker.terminate(STOP).code(), Some(0));

    // Two for one: all before midnight is told in old shares, also by the provider, from now on and for good.
    alpaca.state().split = Some(day);
    let split = |tracker: &Tracker| {
        wait_for("history in new shares", PATIENCE, || {
            let (last, found) = series(tracker, "AAPL", "price");
            (found.len() as i64 == MINUTES_PER_DAY && found[0] < 60.0).then_some(())?;
            let expected = prices(last - MINUTES_PER_DAY + 1..=last);
            let old = (last - MINUTES_PER_DAY + 1..=last).map(|minute| minute < midnight);
            let halved = expected.iter().zip(old).map(|(price, old)| if old { price / 2.0 } else { *price });
            assert_eq!(found, halved.collect::<Vec<_>>());
            Some(())
        });
        let (last, found) = series(tracker, "AAPL", "volume");
        let minutes = last - MINUTES_PER_DAY + 1..=last;
        let old = minutes.clone().map(|minute| minute < midnight);
        let doubled = volumes(minutes).into_iter().zip(old);
        let doubled = doubled.map(|(volume, old)| if old { volume * 2.0 } else { volume });
        assert_eq!(found, doubled.collect::<Vec<_>>());
        // Nobody else's history is touched.
        let (last, found) = series(tracker, "MSFT", "price");
        assert_eq!(found, prices(last - MINUTES_PER_DAY + 1..=last));
    };
    for _known_then_told_again in 0..2 {
        tracker.start("run");
        split(&tracker);
        assert_eq!(tracker.terminate(STOP).code(), Some(0));
    }
    let mut fresh = asking(&alpaca, "24h");
    fresh.start("run");
    split(&fresh);
}

#[test]
fn a_key_that_is_refused_at_the_start_ends_the_process_and_is_named() {
    let alpaca = Alpaca::start();
    alpaca.state().broken = Some(refusal(401));
    let mut tracker = asking(&alpaca, "1h");
    tracker.spawn(&["run"]);
    assert_eq!(tracker.wait(PATIENCE).code(), Some(1));
    let said = tracker.stderr();
    assert!(said.contains("401") && said.contains("feed.alpaca.key_id"), "{said}");
    assert!(!said.contains(KEY_ID) && !said.contains(SECRET), "{said}");

    // `check` says so, too.
    let checked = tracker.output(&["check"], PATIENCE);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert_eq!(checked.status.code(), Some(1));
    let failed: Vec<_> = said.lines().filter(|line| line.starts_with("FAILED")).collect();
    assert!(failed.len() == 1 && failed[0].contains("feed") && failed[0].contains("401"), "{said}");
    assert!(failed[0].contains("Remedy: make a new key"), "{said}");

    // A good key that does not include the feed is another matter.
    alpaca.state().broken = Some(not_entitled());
    tracker.set("feed.alpaca.feed", "sip");
    let checked = tracker.output(&["check"], PATIENCE);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    let failed: Vec<_> = said.lines().filter(|line| line.starts_with("FAILED")).collect();
    assert!(failed.len() == 1 && failed[0].contains("403"), "{said}");
    assert!(failed[0].contains("Remedy: set feed.alpaca.feed to \"iex\""), "{said}");
}

/// A tracker that asks `alpaca`, around the clock.
pub(crate) fn asking(alpaca: &Alpaca, backfill: &str) -> Tracker {
    let mut tracker = Tracker::new();
    tracker.set("feed.provider", "alpaca").set("feed.alpaca.base_url", format!("http://{}", alpaca.address));
    tracker.set("feed.alpaca.key_id", KEY_ID).set("feed.alpaca.secret_key", SECRET);
    tracker
        .set("feed.alpaca.stream", false)
        .set("feed.poll_interval", format!("{INTERVAL_SECONDS}s"))
        .set("feed.backfill", backfill);
    tracker.set("watchlist.symbols", "AAPL,MSFT").set("market.calendar", "always");
    tracker
}

/// The minute of a symbol's newest bar.
pub(crate) fn newest(tracker: &Tracker, symbol: &str) -> Option<i64> {
    let shown = tracker.http().get(&format!("/v1/symbols/{symbol}")).json();
    Some(minute(shown["bar"]["start"].as_str()?))
}

/// What the original endpoint lists of 24 hours, and the minute of the last of it.
#[track_caller]
pub(crate) fn series(tracker: &Tracker, symbol: &str, metric: &str) -> (i64, Vec<f64>) {
    let key = if metric == "price" { "prices" } else { metric };
    wait_for("two answers of one moment", PATIENCE, || {
        let before = newest(tracker, symbol)?;
        let answer = tracker.http().get(&format!("/{symbol}/{metric}")).json();
        let values = answer[key].as_array().expect("a list").iter().filter_map(Value::as_f64).collect();
        (newest(tracker, symbol) == Some(before)).then_some((before, values))
    })
}

/// Minutes since 1970.
pub(crate) fn minute(text: &str) -> i64 {
    text.parse::<Timestamp>().expect("a time").as_second() / 60
}

fn time(minute: i64) -> String {
    Timestamp::from_second(minute * 60).expect("a time").to_string()
}

/// The New York day of a minute: its midnight, and its date.
fn new_york_day(minute: i64) -> (i64, String) {
    let zone = TimeZone::get("America/New_York").expect("the zone");
    let day = Timestamp::from_second(minute * 60).expect("a time").to_zoned_datetime(zone.clone()).date();
    let midnight = day.to_zoned_datetime(zone).expect("a midnight").timestamp();
    (midnight.as_second() / 60, day.to_string())
}

/// The tape: every minute of every symbol has a bar, and these are its close, in cents, and its volume.
pub(crate) fn cents(minute: i64) -> i64 {
    10_000 + minute.rem_euclid(7) * 2
}

pub(crate) fn shares(minute: i64) -> i64 {
    1_000 + minute.rem_euclid(100)
}

fn prices(minutes: RangeInclusive<i64>) -> Vec<f64> {
    minutes.map(|minute| cents(minute) as f64 / 100.0).collect()
}

fn volumes(minutes: RangeInclusive<i64>) -> Vec<f64> {
    minutes.map(|minute| shares(minute) as f64).collect()
}

/// Polls come at multiples of the interval, a little late, and ask for whole minutes alone.
#[track_caller]
fn assert_polls_are_aligned(alpaca: &Alpaca) {
    let state = alpaca.state();
    let at = |asked: &&Asked| asked.at.as_second();
    assert!(state.asked.iter().all(|asked| asked.last < asked.at.as_second() / 60), "an unfinished minute");
    // Whatever else is slow, most come on time. An outage brings repetitions of its own.
    let calm: Vec<i64> =
        state.asked.iter().skip(1).filter(|asked| !asked.refused).map(|asked| at(&asked)).collect();
    let on_time = calm.iter().filter(|second| (3..6).contains(&second.rem_euclid(INTERVAL_SECONDS))).count();
    assert!(on_time * 2 > calm.len(), "{on_time} of {} on time: {calm:?}", calm.len());
}

/// An answer of a provider.
pub(crate) fn reply(status: u16, body: &Value) -> Reply {
    Reply::status(status, body.to_string()).header("content-type", "application/json; charset=UTF-8")
}

/// An answer that is not what was asked for.
pub(crate) fn refusal(status: u16) -> Reply {
    reply(status, &json!({ "message": "not now" }))
}

/// How Alpaca refuses a feed that a good key's plan does not include.
fn not_entitled() -> Reply {
    reply(403, &json!({ "message": "subscription does not permit querying recent SIP data" }))
}

/// A request for bars: its first page.
pub(crate) struct Asked {
    at: Timestamp,
    /// The newest minute asked for.
    last: i64,
    refused: bool,
}

#[derive(Default)]
pub(crate) struct State {
    /// Answers to what comes next, each of them once.
    pub(crate) faults: VecDeque<Reply>,
    /// A symbol that is refused by its name, with all that are asked for together with it.
    pub(crate) refuses: Option<&'static str>,
    /// How often that was asked for.
    pub(crate) refused: u32,
    /// The answer to everything, while set.
    pub(crate) broken: Option<Reply>,
    /// Volumes told instead of the tape's, by minute, of AAPL.
    pub(crate) corrections: BTreeMap<i64, i64>,
    /// The ex-date of a split of AAPL, two for one.
    split: Option<String>,
    asked: Vec<Asked>,
    /// Requests without the key.
    strangers: u32,
}

/// A server of Alpaca's form over an endless tape.
pub(crate) struct Alpaca {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Alpaca {
    pub(crate) fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let server = Server::on_a_thread(move |request| answer(request, &mut locked(&shared)));
        Self { address: server.address, state }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    /// Whether anybody has asked for bars so far.
    pub(crate) fn was_asked_for_bars(&self) -> bool {
        !self.state().asked.is_empty()
    }
}

pub(crate) fn locked<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers one request.
fn answer(request: &Request, state: &mut State) -> Reply {
    let header = |name| request.headers.get(name).map(String::as_str);
    let known = header("apca-api-key-id") == Some(KEY_ID) && header("apca-api-secret-key") == Some(SECRET);
    state.strangers += u32::from(!known);
    let fault = state.broken.clone().or_else(|| state.faults.pop_front());
    if request.path() == "/v2/stocks/bars" && !request.has_query("page_token") {
        let last = minute(&request.query("end"));
        state.asked.push(Asked { at: now(), last, refused: fault.is_some() });
    }
    if let Some(fault) = fault {
        return fault;
    }
    let symbols = request.query("symbols");
    let refused = state.refuses.filter(|refused| symbols.split(',').any(|symbol| symbol == *refused));
    match (request.path(), refused) {
        ("/v2/stocks/bars", Some(refused)) => {
            state.refused += 1;
            let message = format!("invalid symbol: {refused}");
            reply(400, &json!({ "code": 40_010_001, "message": message }))
        }
        ("/v2/stocks/bars", None) => reply(200, &bars(request, state)),
        ("/v2/stocks/bars/latest", _) => reply(200, &json!({ "bars": {} })),
        ("/v1/corporate-actions", _) => reply(200, &actions(state)),
        _ => reply(404, &json!({ "message": "not here" })),
    }
}

/// `GET /v2/stocks/bars`: raw, oldest first by symbol, a page at a time.
fn bars(request: &Request, state: &State) -> Value {
    const PAGE: usize = 1_000;
    let of = ["timeframe", "adjustment", "feed"].map(|name| request.query(name));
    assert_eq!(of, ["1Min", "raw", "iex"]);
    // Both ends are in.
    let minutes = minute(&request.query("start"))..=minute(&request.query("end"));
    let symbols = request.query("symbols");
    let mut wanted =
        symbols.split(',').flat_map(|symbol| minutes.clone().map(move |minute| (symbol, minute)));
    let from: usize = request.query("page_token").parse().unwrap_or(0);
    let mut page: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    let mut listed = 0;
    for (symbol, minute) in wanted.clone().skip(from).take(PAGE) {
        let price = cents(minute) as f64 / 100.0;
        let correction = state.corrections.get(&minute).filter(|_| symbol == "AAPL");
        let volume = correction.copied().unwrap_or_else(|| shares(minute));
        let bar = json!({ "t": time(minute), "o": price, "h": price, "l": price, "c": price, "v": volume,
                          "n": 12, "vw": price });
        page.entry(symbol).or_default().push(bar);
        listed += 1;
    }
    let more = wanted.nth(from + listed).is_some();
    json!({ "bars": page, "next_page_token": more.then(|| (from + listed).to_string()) })
}

/// `GET /v1/corporate-actions`.
fn actions(state: &State) -> Value {
    let split = |day: &String| {
        json!({
            "symbol": "AAPL", "new_rate": 2, "old_rate": 1, "process_date": day, "ex_date": day
        })
    };
    let splits: Vec<Value> = state.split.iter().map(split).collect();
    json!({ "corporate_actions": { "forward_splits": splits }, "next_page_token": null })
}

#[expect(clippy::disallowed_methods, reason = "when a request came is what is tested")]
fn now() -> Timestamp {
    Timestamp::now()
}
