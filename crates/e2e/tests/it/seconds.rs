//! Bars of a second out of a live stream of trades: a server of Alpaca's form, over HTTP and WebSocket, in
//! real time.

use crate::provider::{Alpaca, PATIENCE, STOP, asking};
use jiff::Timestamp;
use qqq_testkit::wait_for;
use serde_json::{Value, json};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;
use tokio_tungstenite::tungstenite::{Message, WebSocket, accept};

/// Every second has two trades, a hundred shares and fifty, at these milliseconds of it.
const TRADES: [(i64, f64, u64); 2] = [(200, 100.0, 100), (600, 100.5, 50)];
const VOLUME: u64 = 150;

/// What a test has the stream tell at once.
enum Tell {
    /// A trade of so many shares, made now, under this number.
    Trade(u64, u64),
    /// That it never was.
    Cancel(u64, u64),
}

/// A stream that trades AAPL second by second, for as long as somebody listens.
fn stream() -> (SocketAddr, Sender<Tell>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (tell, told) = channel();
    std::thread::spawn(move || {
        while let Ok((socket, _)) = listener.accept() {
            if let Ok(mut socket) = accept(socket) {
                // Whoever listens may go at any time.
                let _ = serve(&mut socket, &told);
            }
        }
    });
    (address, tell)
}

type Gone = tokio_tungstenite::tungstenite::Error;

fn serve(socket: &mut WebSocket<TcpStream>, told: &Receiver<Tell>) -> Result<(), Box<Gone>> {
    say(socket, &json!([{"T": "success", "msg": "connected"}]))?;
    assert_eq!(hear(socket)?["action"], "auth");
    say(socket, &json!([{"T": "success", "msg": "authenticated"}]))?;
    let asked = hear(socket)?;
    assert_eq!(asked["trades"], json!(["AAPL", "MSFT"]));
    say(socket, &json!([{"T": "subscription", "trades": asked["trades"], "bars": asked["bars"]}]))?;
    let mut number = 1_000_000;
    let mut next = now().as_second() + 1;
    loop {
        for (milliseconds, price, shares) in TRADES {
            let at = Timestamp::from_millisecond(next * 1000 + milliseconds).expect("a time");
            // Until then, whatever the test wants to be told.
            loop {
                let wait = Duration::try_from(at.duration_since(now())).unwrap_or_default();
                match told.recv_timeout(wait) {
                    Ok(Tell::Trade(number, shares)) => say(socket, &trade(number, now(), 101.0, shares))?,
                    Ok(Tell::Cancel(number, shares)) => {
                        let cancel = json!([{"T": "x", "S": "AAPL", "i": number, "x": "V", "p": 101.0,
                                             "s": shares, "a": "C", "z": "C", "t": now().to_string()}]);
                        say(socket, &cancel)?;
                    }
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => return Ok(()),
                }
            }
            number += 1;
            say(socket, &trade(number, at, price, shares))?;
        }
        next += 1;
    }
}

fn trade(number: u64, at: Timestamp, price: f64, shares: u64) -> Value {
    json!([{"T": "t", "S": "AAPL", "i": number, "x": "V", "p": price, "s": shares, "c": ["@"], "z": "C",
            "t": at.to_string()}])
}

fn say(socket: &mut WebSocket<TcpStream>, messages: &Value) -> Result<(), Box<Gone>> {
    Ok(socket.send(Message::text(messages.to_string()))?)
}

fn hear(socket: &mut WebSocket<TcpStream>) -> Result<Value, Box<Gone>> {
    loop {
        if let Message::Text(text) = socket.read()? {
            return Ok(serde_json::from_str(&text).expect("JSON"));
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a live stream tells what is traded now")]
fn now() -> Timestamp {
    Timestamp::now()
}

#[test]
fn trades_become_bars_of_a_second_that_alert_and_a_cancelled_one_takes_its_alert_back() {
    let alpaca = Alpaca::start();
    let (address, tell) = stream();
    let mut tracker = asking(&alpaca, "1h");
    tracker.set("market.interval", "1s").set("feed.alpaca.stream", true);
    tracker.set("feed.alpaca.stream_url", format!("ws://{address}/"));
    tracker.set("rules.min_bars", 5);
    tracker.start("run");
    let http = tracker.http();
    let bars = || http.get("/v1/symbols/AAPL/bars?limit=1000").json()["items"].as_array().cloned();
    let found = wait_for("bars of seconds", PATIENCE, || bars().filter(|bars| bars.len() >= 8));
    for bar in &found {
        let figures = ["open", "high", "low", "close", "volume", "trades"].map(|name| bar[name].clone());
        let each = [json!(100), json!(100.5), json!(100), json!(100.5), json!(VOLUME), json!(2)];
        assert_eq!(figures.map(|one| one.as_f64()), each.map(|one| one.as_f64()), "{bar}");
    }
    let status = http.get("/v1/status").json();
    assert_eq!((&status["interval"], &status["window"]["needed_seconds"]), (&json!("1s"), &json!(5)));
    assert!(status["feed"]["coverage"].as_str().is_some_and(|text| text.contains("made of its trades")));

    tell.send(Tell::Trade(77, 5_000)).expect("a stream");
    let volume = || {
        let alerts = http.get("/v1/alerts?symbol=AAPL&metric=volume").json()["items"].as_array().cloned();
        alerts.into_iter().flatten().next()
    };
    let alert = wait_for("an alert", PATIENCE, volume);
    assert!(alert["value"].as_f64().is_some_and(|value| value >= 5_000.0), "{alert}");
    let start = alert["start"].as_str().expect("a time").to_owned();

    tell.send(Tell::Cancel(77, 5_000)).expect("a stream");
    wait_for("the alert to be taken back", PATIENCE, || volume().filter(|one| one["state"] == "retracted"));
    let bar = bars().into_iter().flatten().find(|bar| bar["start"] == start).expect("its bar");
    assert_eq!((bar["volume"].as_u64(), bar["revision"].as_u64()), (Some(VOLUME), Some(1)), "{bar}");
    assert!(!alpaca.was_asked_for_bars(), "minute bars never come into a store of seconds");
    tracker.terminate(STOP);
}
