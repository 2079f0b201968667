//! Two providers, the second for when the first fails: who runs, what of, and what readers see.

use crate::provider::{
    Alpaca, MINUTES, PATIENCE, STOP, asking, cents, locked, minute, newest, refusal, reply, series, shares,
};
use qqq_testkit::http::{Http, Request, Server};
use qqq_testkit::wait_for;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

/// Yahoo counts all exchanges: so many times what the first provider sees.
const SCALE: i64 = 1_000;

/// One test, so that its waits for the next minute are shared.
#[test]
fn a_provider_that_fails_is_stood_in_for_and_taken_back_and_no_window_mixes_the_two() {
    let (alpaca, yahoo) = (Alpaca::start(), Yahoo::start());
    let mut tracker = asking(&alpaca, "2h");
    tracker.set("feed.fallback", "yahoo").set("feed.yahoo.base_url", format!("http://{}", yahoo.address));
    tracker.set("feed.yahoo.requests_per_minute", 1_000);
    tracker.set("feed.failover_after", "10s").set("feed.failback_after", "10s").set("rules.cooldown", "0s");
    tracker.start("run");
    tracker.wait_for_bars();
    let http = tracker.http();
    let (last, _) = wait_for("two hours of bars", PATIENCE, || {
        Some(series(&tracker, "AAPL", "volume")).filter(|(_, found)| found.len() >= 120)
    });
    assert_figures(&http, "iex", shares);
    assert_eq!(yahoo.asked(), 0, "nobody needs it yet");

    // An alert of the first provider.
    alpaca.state().corrections.insert(last - 1, 50_000);
    let first = wait_for("the first provider's alert", PATIENCE, || alerts(&http).first().cloned());
    assert_eq!((&first["feed"], &first["value"]), (&json!("iex"), &json!(50_000)), "{first}");

    // It fails: the second stands in, of its own bars alone, and readers see which feed they look at.
    alpaca.state().broken = Some(refusal(503));
    wait_for("the second provider", PATIENCE, || (feed(&http) == "yahoo").then_some(()));
    wait_for("its figures", PATIENCE, || (hour(&http) > 1_000_000.0).then_some(()));
    assert_figures(&http, "yahoo", |minute| shares(minute) * SCALE);
    wait_for("readiness", PATIENCE, || (http.get("/readyz").status == 200).then_some(()));
    let told =
        wait_for("its status", PATIENCE, || Some(status(&http)).filter(|told| told["feed"] == "yahoo"));
    let first_choice = &told["stands_in_for"];
    assert!(first_choice["provider"] == "alpaca" && first_choice.to_string().contains("503"), "{told}");
    assert_eq!(
        alerts(&http),
        std::slice::from_ref(&first),
        "its minute is judged, whatever the other one counts"
    );

    // Alerts go on.
    let coming = newest(&tracker, "AAPL").expect("a bar") + 1;
    yahoo.unusual(coming);
    let second = wait_for("the second provider's alert", MINUTES, || {
        alerts(&http).into_iter().find(|alert| alert["feed"] == "yahoo")
    });
    assert!(minute(second["start"].as_str().expect("a time")) >= coming, "{second}");
    assert!(second["average"].as_f64() > Some(1_000_000.0), "{second}");

    // It is well again, and has been for a while: it is taken back, of its own bars alone.
    alpaca.state().broken = None;
    wait_for("the first provider", MINUTES, || (feed(&http) == "iex").then_some(()));
    wait_for("its figures", PATIENCE, || (hour(&http) < 1_000_000.0).then_some(()));
    assert_figures(&http, "iex", shares);
    // Its own two hours lie where the other one's were; what is older keeps its name.
    let (_, found) = series(&tracker, "AAPL", "volume");
    assert!(found.iter().rev().take(100).all(|volume| *volume < 1_000_000.0), "{found:?}");
    let told = wait_for("its status", PATIENCE, || Some(status(&http)).filter(|told| told["feed"] == "iex"));
    assert!(told["stands_in_for"].is_null(), "{told}");
    let kept = alerts(&http);
    assert_eq!(kept.len(), 2, "{kept:?}");
    for alert in [&first, &second] {
        let now = http.get(&format!("/v1/alerts/{}", alert["id"].as_str().expect("an id"))).json();
        assert_eq!(now, *alert, "neither counted nor taken back by the other feed");
    }
    assert_eq!(tracker.terminate(STOP).code(), Some(0));
}

#[test]
fn a_refusal_of_the_first_provider_is_no_reason_to_exit_and_one_of_all_is() {
    let (alpaca, yahoo) = (Alpaca::start(), Yahoo::start());
    alpaca.state().broken = Some(refusal(401));
    let mut tracker = asking(&alpaca, "1h");
    tracker.set("feed.fallback", "yahoo").set("feed.yahoo.base_url", format!("http://{}", yahoo.address));
    tracker.set("feed.yahoo.requests_per_minute", 1_000);
    tracker.start("run");
    tracker.wait_for_bars();
    assert_eq!(feed(&tracker.http()), "yahoo");
    assert_eq!(tracker.terminate(STOP).code(), Some(0));

    let checked = tracker.output(&["check"], PATIENCE);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(said.contains("FAILED  feed") && said.contains("ok      fallback"), "{said}");

    // It answers the same to whatever it is asked for.
    let mut tracker = asking(&alpaca, "1h");
    tracker.set("feed.fallback", "iex").set("feed.iex.base_url", format!("http://{}/stable", alpaca.address));
    tracker.spawn(&["run"]);
    assert_eq!(tracker.wait(PATIENCE).code(), Some(1));
    let said = tracker.stderr();
    assert!(said.contains("alpaca refused") && said.contains("iex refused"), "{said}");
}

fn alerts(http: &Http) -> Vec<Value> {
    http.get("/v1/alerts?symbol=AAPL&metric=volume").json()["items"].as_array().expect("a list").clone()
}

/// The feed that a symbol's figures are of.
fn feed(http: &Http) -> String {
    http.get("/v1/symbols/AAPL").json()["feed"].as_str().unwrap_or_default().to_owned()
}

/// How things stand, as a stream tells first.
fn status(http: &Http) -> Value {
    let mut stream = TcpStream::connect(http.address()).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    write!(stream, "GET /v1/stream HTTP/1.1\r\nhost: {}\r\n\r\n", http.address()).expect("a request");
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    let data = lines
        .skip_while(|line| line != "event: status")
        .find_map(|line| line.strip_prefix("data:").map(|data| serde_json::from_str(data).expect("JSON")));
    data.expect("a status")
}

/// The volume's average of the last hour.
fn hour(http: &Http) -> f64 {
    let shown = http.get("/v1/symbols/AAPL").json();
    shown["statistics"]["volume"]["trailing_average"].as_f64().unwrap_or_default()
}

/// The figures are those of one feed's tape, to the last share.
#[track_caller]
fn assert_figures(http: &Http, feed: &str, volume: impl Fn(i64) -> i64) {
    wait_for(&format!("figures of {feed} alone"), PATIENCE, || {
        let shown = http.get("/v1/symbols/MSFT").json();
        let start = minute(shown["bar"]["start"].as_str()?);
        let sum: i64 = (start - 60..start).map(&volume).sum();
        let figures = &shown["statistics"]["volume"];
        let is_one_feed = shown["feed"] == feed
            && shown["bar"]["volume"] == volume(start)
            && figures["window_bars"] == 60
            && figures["trailing_average"].as_f64() == Some(sum as f64 / 60.0);
        is_one_feed.then_some(())
    });
}

#[derive(Default)]
struct State {
    asked: usize,
    /// Unusual from this minute on, for a minute of AAPL.
    unusual: Option<i64>,
}

/// A server of Yahoo's form over an endless tape.
struct Yahoo {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Yahoo {
    fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let server = Server::on_a_thread(move |request| {
            let mut state = locked(&shared);
            state.asked += 1;
            reply(200, &chart(request, state.unusual))
        });
        Self { address: server.address, state }
    }

    fn asked(&self) -> usize {
        locked(&self.state).asked
    }

    fn unusual(&self, minute: i64) {
        locked(&self.state).unusual = Some(minute);
    }
}

/// An answer of the chart endpoint.
fn chart(request: &Request, unusual: Option<i64>) -> Value {
    let symbol = request.path().rsplit('/').next().unwrap_or_default();
    let interval = request.query("interval");
    let second = |name| request.query(name).parse::<i64>();
    let minutes = match (interval.as_str(), second("period1"), second("period2")) {
        ("1m", Ok(from), Ok(until)) => from / 60..until / 60,
        _ => 0..0,
    };
    let price = |minute| (cents(minute) + 1) as f64 / 100.0;
    let volume = |minute| match symbol == "AAPL" && unusual == Some(minute) {
        true => 20_000 * SCALE,
        false => shares(minute) * SCALE,
    };
    let times: Vec<i64> = minutes.clone().map(|minute| minute * 60).collect();
    let prices: Vec<f64> = minutes.clone().map(price).collect();
    let volumes: Vec<i64> = minutes.map(volume).collect();
    let quote = json!({ "open": prices, "high": prices, "low": prices, "close": prices, "volume": volumes });
    json!({ "chart": { "error": null, "result": [{
        "meta": { "symbol": symbol, "dataGranularity": interval }, "timestamp": times,
        "indicators": { "quote": [quote] } }] } })
}
