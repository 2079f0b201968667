//! Bars of seconds out of Alpaca's trades, against a server that speaks its protocol.

use crate::alpaca_stream::QUICK;
use crate::given::{self, symbols};
use crate::peer::{Peer, next, serve};
use qqq_core::{Bar, Cadence, FeedMode};
use qqq_feed::alpaca::parse::{self, Message};
use qqq_feed::alpaca::tape::Tape;
use qqq_feed::trades::{Correction, Effect, SHARE, Trade, TradeId, TradeName};
use qqq_feed::{Alpaca, AlpacaConfig, Provider, StreamEvent};
use qqq_testkit::SetClock;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use url::Url;

fn alpaca(url: &Url, cadence: Cadence, clock: &Arc<SetClock>) -> Alpaca {
    let config = AlpacaConfig { cadence, ..given::alpaca_config(url) };
    Alpaca::with_pace(config, clock.clone(), QUICK).expect("a provider")
}

fn stream(url: &Url, clock: &Arc<SetClock>, of: &str) -> mpsc::Receiver<StreamEvent> {
    alpaca(url, Cadence::One, clock).stream(&symbols(of)).expect("a stream")
}

/// A trade of AAPL at a time after 15:00.
fn trade(number: u64, time: &str, price: f64, shares: u64, conditions: &[&str]) -> Value {
    json!({"T": "t", "S": "AAPL", "i": number, "x": "V", "p": price, "s": shares, "c": conditions, "z": "C",
           "t": format!("2025-01-31T15:{time}Z")})
}

/// A minute bar of Alpaca's own.
fn minute(kind: &str, minute: &str, figures: [f64; 4], volume: u64, trades: u64, average: f64) -> Value {
    let [open, high, low, close] = figures;
    json!({"T": kind, "S": "AAPL", "o": open, "h": high, "l": low, "c": close, "v": volume, "n": trades,
           "vw": average, "t": format!("2025-01-31T15:{minute}:00Z")})
}

/// `15:00:03 open high low close volume trades`
fn shown(bar: &Bar) -> String {
    let Bar { start, open, high, low, close, volume, trades, .. } = bar;
    let time = &start.to_string()[11..19];
    format!("{time} {open} {high} {low} {close} {volume} {}", trades.unwrap_or_default())
}

async fn next_bar(events: &mut mpsc::Receiver<StreamEvent>) -> String {
    match next(events).await {
        StreamEvent::Bar(bar) => shown(&bar),
        other => panic!("a bar, not {other:?}"),
    }
}

fn read(messages: &Value) -> Vec<Message> {
    let body = messages.to_string();
    parse::frame(body.as_bytes(), |_| true, "sip".parse().expect("a label")).expect("a frame")
}

#[test]
fn trades_cancels_and_corrections_are_read_as_alpacas_pages_have_them() {
    let messages = read(&json!([
        {"T": "t", "i": 96921, "S": "AAPL", "x": "D", "p": 126.55, "s": 1, "t": "2021-02-22T15:51:44.208Z",
         "c": ["@", "I"], "z": "C"},
        {"T": "c", "S": "EEM", "x": "M", "oi": 52_983_525_033_527_u64, "op": 39.1582, "os": 440_000,
         "oc": [" ", "7"], "ci": 52_983_525_034_326_u64, "cp": 39.1809, "cs": 440_000, "cc": [" ", "7"],
         "z": "A", "t": "2023-04-06T14:25:06.542305024Z"},
        {"T": "x", "S": "GOOGL", "i": 465, "x": "D", "p": 105.31, "s": 300, "a": "C", "z": "C",
         "t": "2023-04-06T13:15:42.83540958Z"},
    ]));
    let price = |text: &str| text.parse().expect("a price");
    let id = |exchange, number| TradeId { exchange, number };
    let symbol = given::symbol;
    assert_eq!(
        messages,
        [
            Message::Tape(Tape::Trade(Trade {
                symbol: symbol("AAPL"),
                at: "2021-02-22T15:51:44.208Z".parse().expect("a time"),
                price: price("126.55"),
                size: SHARE,
                effect: Effect::VOLUME,
                id: Some(id('D', 96921)),
            })),
            Message::Tape(Tape::Correction(Correction {
                told: TradeName {
                    symbol: symbol("EEM"),
                    id: id('M', 52_983_525_033_527),
                    price: price("39.1582"),
                    size: 440_000 * SHARE,
                },
                id: id('M', 52_983_525_034_326),
                price: price("39.1809"),
                size: 440_000 * SHARE,
                effect: Effect::VOLUME,
            })),
            Message::Tape(Tape::Cancel(TradeName {
                symbol: symbol("GOOGL"),
                id: id('D', 465),
                price: price("105.31"),
                size: 300 * SHARE,
            })),
        ]
    );
}

#[test]
fn what_is_no_trade_is_refused_alone_and_named() {
    let good = trade(1, "00:00", 100.0, 100, &["@"]);
    let with = |name: &str, value: Value| {
        let mut bad = good.clone();
        bad[name] = value;
        bad
    };
    for (bad, reason) in [
        (with("p", json!("100")), "p: a text"),
        (with("p", json!(-1)), "p -1"),
        (with("s", json!(-1)), "s -1: negative"),
        (with("s", json!(1e10)), "above 10^9"),
        (with("i", json!(-1)), "invalid value"),
        (with("x", json!("VV")), "not the letter of an exchange"),
        (with("x", json!("")), "not the letter of an exchange"),
        (with("t", json!("yesterday")), "t `yesterday`: not a time"),
        (with("t", json!("1800-01-01T00:00:00Z")), "not a time"),
        (with("t", Value::Null), "t ``: not a time"),
        (with("c", json!([1])), "invalid type"),
        (json!({"T": "x", "S": "AAPL", "i": 1, "x": "V", "p": 1}), "missing field `s`"),
        (json!({"T": "c", "S": "AAPL", "x": "V", "oi": 1, "op": 1, "os": 1}), "missing field `ci`"),
    ] {
        let messages = read(&json!([bad, good]));
        let [Message::Reject(reject), Message::Tape(Tape::Trade(_))] = &messages[..] else {
            panic!("{bad}: {messages:?}");
        };
        assert!(reject.reason.contains(reason), "{bad}: {}", reject.reason);
    }
    assert_eq!(read(&json!([with("s", json!(0))])), [], "a price without a trade");
}

/// A server that says each list of messages once the test lets it.
async fn scripted(script: Vec<Value>) -> (Url, watch::Sender<usize>, mpsc::Receiver<Value>) {
    let (go, wait) = watch::channel(0);
    let (heard, subscriptions) = mpsc::channel(4);
    let url = serve(move |_, mut peer: Peer| {
        let (script, mut wait, heard) = (script.clone(), wait.clone(), heard.clone());
        async move {
            heard.send(peer.welcome().await).await.expect("a test that listens");
            for (number, messages) in script.into_iter().enumerate() {
                // Until then it answers pings: silence says that nothing is missing.
                loop {
                    tokio::select! {
                        reached = wait.wait_for(|reached| *reached > number) => {
                            reached.expect("a test");
                            break;
                        }
                        message = futures_util::StreamExt::next(&mut peer.socket) => {
                            if !matches!(message, Some(Ok(_))) {
                                return;
                            }
                        }
                    }
                }
                peer.say(messages).await;
            }
            peer.stay().await;
        }
    })
    .await;
    (url, go, subscriptions)
}

#[tokio::test]
async fn trades_become_bars_of_seconds_and_again_where_they_are_late_corrected_or_cancelled() {
    let clock = Arc::new(SetClock::at("2025-01-31T14:59:30Z"));
    let (url, go, mut subscriptions) = scripted(vec![
        json!([
            trade(1, "00:00.1", 100.0, 100, &["@"]),
            trade(2, "00:00.25", 900.0, 5, &["@", "I"]),
            trade(3, "00:00.999999999", 101.0, 200, &["@", "F"]),
            trade(4, "00:02", 102.0, 100, &["@"]),
        ]),
        json!([
            // Late, and of the first second.
            trade(5, "00:00.5", 99.0, 100, &["@"]),
            {"T": "c", "S": "AAPL", "x": "V", "oi": 3, "op": 101, "os": 200, "oc": ["@", "F"],
             "ci": 13, "cp": 100.5, "cs": 100, "cc": ["@"], "z": "C", "t": "2025-01-31T15:00:03.5Z"},
            {"T": "x", "S": "AAPL", "i": 4, "x": "V", "p": 102, "s": 100, "a": "C", "z": "C",
             "t": "2025-01-31T15:00:03.6Z"},
            {"T": "x", "S": "AAPL", "i": 77, "x": "V", "p": 1, "s": 1, "a": "E", "z": "C",
             "t": "2025-01-31T15:00:03.7Z"},
        ]),
    ])
    .await;
    let mut events = stream(&url, &clock, "MSFT AAPL");
    assert_eq!(next(&mut events).await, StreamEvent::Connected);
    let both = json!(["AAPL", "MSFT"]);
    assert_eq!(
        subscriptions.recv().await.expect("a subscription"),
        json!({"action": "subscribe", "trades": both, "bars": both, "updatedBars": both})
    );
    clock.set_to("2025-01-31T15:00:04Z");
    go.send_replace(1);
    assert_eq!(next_bar(&mut events).await, "15:00:00 100 101 100 101 305 3");
    clock.set_to("2025-01-31T15:00:06Z");
    assert_eq!(next_bar(&mut events).await, "15:00:02 102 102 102 102 100 1", "and none of the quiet second");

    go.send_replace(2);
    let StreamEvent::Rejected(reject) = next(&mut events).await else { panic!("a cancel of nothing") };
    assert!(reject.place == "AAPL" && reject.reason.contains("trade 77"), "{reject:?}");
    clock.set_to("2025-01-31T15:00:20Z");
    assert_eq!(next_bar(&mut events).await, "15:00:00 100 100.5 99 100.5 305 4");
    assert_eq!(
        next_bar(&mut events).await,
        "15:00:02 100.5 100.5 100.5 100.5 0 0",
        "its only trade never was"
    );
}

#[tokio::test]
async fn every_minute_is_compared_with_alpacas_own_and_a_difference_told() {
    let clock = Arc::new(SetClock::at("2025-01-31T14:59:30Z"));
    let (url, go, _subscriptions) = scripted(vec![
        json!([
            trade(1, "00:00.1", 100.0, 100, &["@"]),
            trade(2, "00:30", 103.0, 7, &["@", "I"]),
            trade(3, "00:59.9", 102.0, 100, &["@", "T"]),
            trade(4, "01:10", 101.0, 300, &["@"]),
            trade(5, "02:10", 105.0, 100, &["@"]),
        ]),
        json!([
            // Without the late trade, and then with it.
            minute("b", "00", [100.0, 100.0, 100.0, 100.0], 107, 2, 100.196_262),
            minute("u", "00", [100.0, 102.0, 100.0, 102.0], 207, 3, 101.067_633),
            // Two trades more than were told.
            minute("b", "01", [101.0, 101.5, 101.0, 101.0], 320, 3, 101.0),
            minute("b", "02", [105.0, 105.0, 105.0, 105.0], 100, 1, 105.0),
            // Of nothing.
            minute("b", "03", [105.0, 105.0, 105.0, 105.0], 100, 1, 105.0),
            // Is told when all of this was heard.
            {"T": "b", "S": "ELSE"},
        ]),
    ])
    .await;
    let mut events = stream(&url, &clock, "AAPL");
    assert_eq!(next(&mut events).await, StreamEvent::Connected);
    clock.set_to("2025-01-31T15:02:30Z");
    go.send_replace(1);
    for start in ["15:00:00", "15:00:59", "15:01:10", "15:02:10"] {
        assert!(next_bar(&mut events).await.starts_with(start), "{start}");
    }
    go.send_replace(2);
    assert!(matches!(next(&mut events).await, StreamEvent::Rejected(_)));
    // Minutes that are over for two minutes are compared.
    let mut problems = Vec::new();
    for now in ["2025-01-31T15:04:30Z", "2025-01-31T15:06:30Z"] {
        clock.set_to(now);
        let StreamEvent::SymbolProblem { symbol, problem } = next(&mut events).await else { panic!("words") };
        assert_eq!(symbol.as_str(), "AAPL");
        problems.push(problem.expect("a difference"));
    }
    assert_eq!(
        problems,
        [
            "the bars made of its trades differ from alpaca's own minute bar in 1 of 2 minutes today, last \
             at 10:01 New York time: high 101, alpaca says 101.5; volume 300, alpaca says 320; number of \
             trades 1, alpaca says 3",
            "the bars made of its trades differ from alpaca's own minute bar in 2 of 4 minutes today, last \
             at 10:03 New York time: its trades make none",
        ]
    );
}

#[tokio::test]
async fn a_plan_too_small_for_both_does_without_the_minute_bars_and_names_whom_it_leaves_out() {
    let clock = Arc::new(SetClock::at("2025-01-31T14:59:30Z"));
    // Takes two subscriptions of a symbol and a channel.
    let url = serve(|_, mut peer: Peer| async move {
        peer.say(json!([{"T": "success", "msg": "connected"}])).await;
        peer.hear().await;
        peer.say(json!([{"T": "success", "msg": "authenticated"}])).await;
        loop {
            let asked = peer.hear().await;
            let list = |name: &str| asked[name].as_array().cloned().unwrap_or_default();
            let (trades, bars) = (list("trades"), list("bars"));
            if trades.len() + bars.len() > 2 {
                peer.say(json!([{"T": "error", "code": 405, "msg": "symbol limit exceeded"}])).await;
                continue;
            }
            peer.say(json!([{"T": "subscription", "trades": trades, "bars": bars}])).await;
            return peer.stay().await;
        }
    })
    .await;
    let mut events = stream(&url, &clock, "AAPL MSFT NVDA TSLA");
    assert_eq!(next(&mut events).await, StreamEvent::Connected);
    let StreamEvent::Rejected(reject) = next(&mut events).await else { panic!("what is missing") };
    assert!(reject.reason.contains("not compared"), "{reject:?}");
    let StreamEvent::Rejected(reject) = next(&mut events).await else { panic!("what is missing") };
    assert!(reject.reason.contains("2 of 4 symbols") && reject.reason.contains("NVDA TSLA"), "{reject:?}");
    for name in ["NVDA", "TSLA"] {
        let StreamEvent::SymbolProblem { symbol, problem } = next(&mut events).await else { panic!("words") };
        assert_eq!(symbol.as_str(), name);
        assert!(problem.expect("a problem").contains("the plan takes no more"));
    }
}

#[tokio::test]
async fn below_a_minute_no_minute_bars_are_asked_for() {
    let clock = Arc::new(SetClock::at("2025-01-31T15:30:00Z"));
    // Nobody is there to be asked.
    let nobody: Url = "http://127.0.0.1:9/".parse().expect("an address");
    for cadence in Cadence::ALL {
        let alpaca = alpaca(&nobody, cadence, &clock);
        let minutes = cadence == Cadence::Sixty;
        assert_eq!(alpaca.has_history(), minutes, "{cadence}");
        assert_eq!(alpaca.info().coverage.contains("made of its trades"), !minutes);
        assert_eq!(alpaca.info().mode, FeedMode::Live);
        if !minutes {
            let fetched = alpaca.bars(&symbols("AAPL"), given::half_hour()).await.expect("no question");
            assert_eq!(fetched.bars, []);
        }
    }
}
