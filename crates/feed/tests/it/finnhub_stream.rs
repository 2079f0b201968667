//! Finnhub's stream, against a server that speaks its protocol, well or badly.

use crate::given::{self, symbols};
use crate::peer::{DEADLINE, Peer, next, serve};
use futures_util::{SinkExt, StreamExt};
use jiff::{SignedDuration, Timestamp};
use qqq_core::{Cadence, Clock};
use qqq_feed::finnhub::Pace;
use qqq_feed::{FeedErrorKind, Finnhub, FinnhubConfig, Provider, StreamEvent};
use qqq_testkit::SetClock;
use qqq_testkit::http::{Reply, Server};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use url::Url;

const TOKEN: &str = "TOKEN-OF-A-TEST";

/// Comes back soon; what must come has time.
const QUICK: Pace = Pace {
    handshake: Duration::from_secs(20),
    ping: Duration::from_millis(100),
    pong: Duration::from_secs(20),
    first_pause: Duration::from_millis(10),
    max_pause: Duration::from_millis(40),
    slow_pause: Duration::from_millis(400),
};

fn stream(url: &Url, clock: Arc<dyn Clock>, pace: Pace, of: &str) -> mpsc::Receiver<StreamEvent> {
    stream_of(Cadence::Sixty, url, clock, pace, of)
}

fn stream_of(
    cadence: Cadence,
    url: &Url,
    clock: Arc<dyn Clock>,
    pace: Pace,
    of: &str,
) -> mpsc::Receiver<StreamEvent> {
    let mut stream_url = url.clone();
    stream_url.set_scheme("ws").expect("an address");
    let config = FinnhubConfig {
        base_url: url.clone(),
        stream_url,
        token: TOKEN.to_owned(),
        max_symbols: 3,
        timeout: given::PATIENT,
        cadence,
    };
    let finnhub = Finnhub::with_pace(config, clock, pace).expect("a provider");
    finnhub.stream(&symbols(of)).expect("a stream")
}

fn trade(symbol: &str, at: &str, price: f64, shares: i64) -> Value {
    let at: Timestamp = at.parse().expect("a time");
    json!({"s": symbol, "p": price, "t": at.as_millisecond(), "v": shares, "c": ["1"]})
}

fn trades(trades: &[Value]) -> Value {
    json!({"type": "trade", "data": trades})
}

/// Hears `count` subscriptions.
async fn subscribed(peer: &mut Peer, count: usize) -> Vec<Value> {
    let mut heard = Vec::new();
    for _ in 0..count {
        heard.push(peer.hear().await);
    }
    heard
}

#[tokio::test]
async fn it_subscribes_each_symbol_and_makes_bars_of_whole_minutes_and_again_when_trades_come_late() {
    let clock = Arc::new(SetClock::at("2025-01-31T15:00:30Z"));
    let (heard, mut subscriptions) = mpsc::channel(1);
    let (go, late) = tokio::sync::watch::channel(());
    let url = serve(move |_, mut peer| {
        let (heard, mut late) = (heard.clone(), late.clone());
        async move {
            heard.send(subscribed(&mut peer, 2).await).await.expect("a test that listens");
            peer.say(json!({"type": "ping"})).await;
            peer.say(trades(&[
                trade("AAPL", "2025-01-31T15:00:40Z", 99.0, 10),
                trade("AAPL", "2025-01-31T15:01:01Z", 101.5, 100),
                trade("MSFT", "2025-01-31T15:01:02Z", 400.0, 10),
            ]))
            .await;
            peer.say(trades(&[trade("AAPL", "2025-01-31T15:01:59.999Z", 102.25, 100)])).await;
            tokio::select! {
                changed = late.changed() => changed.expect("a test"),
                () = drain(&mut peer) => {}
            }
            peer.say(trades(&[trade("AAPL", "2025-01-31T15:01:30Z", 103.0, 100)])).await;
            peer.stay().await;
        }
    })
    .await;
    let mut events = stream(&url, clock.clone(), QUICK, "MSFT AAPL AAPL");
    assert_eq!(next(&mut events).await, StreamEvent::Connected);
    assert_eq!(
        subscriptions.recv().await.expect("subscriptions"),
        [json!({"type": "subscribe", "symbol": "AAPL"}), json!({"type": "subscribe", "symbol": "MSFT"})]
    );
    clock.set_to("2025-01-31T15:02:30Z");
    let mut shown = Vec::new();
    for _ in 0..2 {
        let StreamEvent::Bar(bar) = next(&mut events).await else { panic!("a bar") };
        shown.push((
            bar.symbol.to_string(),
            bar.start.to_string(),
            bar.close.to_string(),
            bar.volume.shares(),
        ));
        assert_eq!(bar.feed.as_str(), "finnhub");
    }
    let first = "2025-01-31T15:01:00Z".to_owned();
    let bar =
        |symbol: &str, close: &str, volume| (symbol.to_owned(), first.clone(), close.to_owned(), volume);
    assert_eq!(
        shown,
        [bar("AAPL", "102.25", 200), bar("MSFT", "400", 10)],
        "and no bar of the first half minute"
    );

    go.send_replace(());
    clock.set_to("2025-01-31T15:03:30Z");
    let StreamEvent::Bar(again) = next(&mut events).await else { panic!("a bar") };
    assert_eq!(
        (again.start.to_string(), again.high.to_string(), again.volume.shares()),
        (first, "103".to_owned(), 300)
    );
}

/// Reads on, so that pings are answered.
async fn drain(peer: &mut Peer) {
    while let Some(Ok(_)) = peer.socket.next().await {}
}

#[tokio::test]
async fn a_minute_the_connection_was_lost_in_has_no_bar() {
    let clock = Arc::new(SetClock::at("2025-01-31T15:00:30Z"));
    let url = serve(move |number, mut peer| async move {
        subscribed(&mut peer, 1).await;
        let second = ["15:01:10", "15:01:20", "15:02:10"][number.min(2)];
        peer.say(trades(&[trade("AAPL", &format!("2025-01-31T{second}Z"), 101.5, 100)])).await;
        if number < 2 {
            // Heard for certain before the end.
            while !matches!(peer.socket.next().await, Some(Ok(Message::Ping(_))) | None) {}
            return;
        }
        peer.stay().await;
    })
    .await;
    let mut events = stream(&url, clock.clone(), QUICK, "AAPL");
    assert_eq!(next(&mut events).await, StreamEvent::Connected);
    clock.set_to("2025-01-31T15:01:30Z");
    for _ in 0..2 {
        assert!(matches!(next(&mut events).await, StreamEvent::Disconnected(_)));
        assert_eq!(next(&mut events).await, StreamEvent::Connected);
    }
    clock.set_to("2025-01-31T15:04:30Z");
    let StreamEvent::Bar(bar) = next(&mut events).await else { panic!("a bar") };
    assert_eq!((bar.start.to_string(), bar.volume.shares()), ("2025-01-31T15:02:00Z".to_owned(), 100));
}

#[tokio::test]
async fn no_bar_is_handed_out_while_the_connection_may_be_dead() {
    let clock = Arc::new(SetClock::at("2025-01-31T15:00:30Z"));
    let url = serve(move |number, mut peer| async move {
        subscribed(&mut peer, 1).await;
        peer.say(trades(&[trade("AAPL", "2025-01-31T15:01:10Z", 101.5, 100)])).await;
        if number == 0 {
            // Neither reads nor writes nor closes: as after a cable was pulled.
            tokio::spawn(async move {
                let _open = peer;
                std::future::pending::<()>().await;
            });
        }
    })
    .await;
    let watchful = Pace { pong: Duration::from_secs(2), ..QUICK };
    let mut events = stream(&url, clock.clone(), watchful, "AAPL");
    assert_eq!(next(&mut events).await, StreamEvent::Connected);
    let StreamEvent::Disconnected(error) = next(&mut events).await else { panic!("an end, not a bar") };
    assert!(error.message.contains("no ping"), "{error}");
}

#[tokio::test]
async fn garbage_and_complaints_are_told_and_the_stream_goes_on() {
    let clock = Arc::new(SetClock::at("2025-01-31T15:00:30Z"));
    let garbage = ["", "nonsense", "{}", "[1]", "<html>", "null", r#"{"type":5}"#];
    let url = serve(move |_, mut peer| async move {
        subscribed(&mut peer, 1).await;
        for text in garbage {
            peer.say_text(text).await;
        }
        peer.say_text(&"[".repeat(100_000)).await;
        peer.socket.send(Message::binary(vec![0xff, 0xfe, 0])).await.expect("a client that listens");
        peer.say(json!({"type": "error", "msg": "Subscribing to too many symbols"})).await;
        for bad in [
            trade("TSLA", "2025-01-31T15:01:10Z", 1.0, 1), // not subscribed
            trade("AAPL", "2025-01-31T15:40:00Z", 1.0, 1), // ahead of the clock
            trade("AAPL", "2025-01-31T14:00:00Z", 1.0, 1), // of an hour ago
            json!({"s": "AAPL"}),
        ] {
            peer.say(trades(&[bad])).await;
        }
        peer.say(trades(&[trade("AAPL", "2025-01-31T15:01:10Z", 101.5, 100)])).await;
        peer.stay().await;
    })
    .await;
    let mut events = stream(&url, clock.clone(), QUICK, "AAPL");
    assert_eq!(next(&mut events).await, StreamEvent::Connected);
    for number in 0..garbage.len() + 7 {
        let event = next(&mut events).await;
        assert!(matches!(event, StreamEvent::Rejected(_)), "{number}: {event:?}");
    }
    clock.set_to("2025-01-31T15:02:30Z");
    assert!(matches!(next(&mut events).await, StreamEvent::Bar(_)));
}

#[tokio::test]
async fn a_key_that_is_refused_ends_the_stream_whichever_way_it_is_said() {
    let by_status = Server::always(Reply::status(401, r#"{"error":"Invalid API key"}"#)).await;
    let by_message = serve(|_, mut peer| async move {
        peer.say(json!({"type": "error", "msg": "Invalid API key: TOKEN-OF-A-TEST"})).await;
        peer.stay().await;
    })
    .await;
    for url in [&by_status.url, &by_message] {
        let mut events = stream(url, given::clock(), QUICK, "AAPL");
        let error = loop {
            match next(&mut events).await {
                StreamEvent::Disconnected(error) => break error,
                event => assert_eq!(event, StreamEvent::Connected),
            }
        };
        assert_eq!(error.kind, FeedErrorKind::Auth, "{error}");
        assert!(!error.message.contains(TOKEN), "{error}");
        assert_eq!(timeout(DEADLINE, events.recv()).await, Ok(None), "the stream is over");
    }
}

#[tokio::test]
async fn a_symbol_that_is_refused_leaves_the_stream_to_the_others_and_all_of_them_end_it() {
    let clock = Arc::new(SetClock::at("2025-01-31T15:00:30Z"));
    let refusal = json!({"type": "error", "msg": "You don't have access to this resource."});
    let of_one = refusal.clone();
    let url = serve(move |_, mut peer| {
        let refusal = of_one.clone();
        async move {
            subscribed(&mut peer, 2).await;
            peer.say(refusal.clone()).await;
            peer.say(trades(&[trade("AAPL", "2025-01-31T15:01:10Z", 101.5, 100)])).await;
            // Said again, it is still not of what is traded.
            peer.say(refusal.clone()).await;
            peer.say(trades(&[trade("AAPL", "2025-01-31T15:01:20Z", 101.5, 100)])).await;
            peer.stay().await;
        }
    })
    .await;
    let mut events = stream(&url, clock.clone(), QUICK, "AAPL NEWS");
    assert_eq!(next(&mut events).await, StreamEvent::Connected);
    for _ in 0..2 {
        let StreamEvent::Rejected(reject) = next(&mut events).await else { panic!("a reject") };
        assert!(reject.reason.contains("have access"), "{reject:?}");
    }
    clock.set_to("2025-01-31T15:02:30Z");
    let StreamEvent::Bar(bar) = next(&mut events).await else { panic!("a bar") };
    assert_eq!((bar.symbol.as_str(), bar.volume.shares()), ("AAPL", 200));

    let url = serve(move |_, mut peer| {
        let refusal = refusal.clone();
        async move {
            subscribed(&mut peer, 2).await;
            peer.say(refusal.clone()).await;
            peer.say(refusal).await;
            peer.stay().await;
        }
    })
    .await;
    let mut events = stream(&url, given::clock(), QUICK, "AAPL NEWS");
    assert_eq!(next(&mut events).await, StreamEvent::Connected);
    assert!(matches!(next(&mut events).await, StreamEvent::Rejected(_)));
    let StreamEvent::Disconnected(error) = next(&mut events).await else { panic!("an end") };
    assert_eq!(error.kind, FeedErrorKind::NotEntitled, "{error}");
    assert_eq!(timeout(DEADLINE, events.recv()).await, Ok(None), "the stream is over");
}

#[tokio::test]
async fn the_key_is_in_the_address_and_no_more_symbols_than_the_plan_has_are_subscribed() {
    let server = Server::always(Reply::status(503, "not now")).await;
    let mut events = stream(&server.url, given::clock(), QUICK, "AAPL");
    let StreamEvent::Disconnected(error) = next(&mut events).await else { panic!("an end") };
    assert_eq!(error.kind, FeedErrorKind::Transient, "{error}");
    assert_eq!(server.requests()[0].query("token"), TOKEN);

    let (heard, mut subscriptions) = mpsc::channel(1);
    let url = serve(move |_, mut peer| {
        let heard = heard.clone();
        async move {
            heard.send(subscribed(&mut peer, 3).await.len()).await.expect("a test that listens");
            // A fourth would come before the first ping.
            let next = peer.socket.next().await;
            assert!(matches!(next, Some(Ok(Message::Ping(_)))), "{next:?}");
            heard.send(3).await.expect("a test that listens");
            peer.stay().await;
        }
    })
    .await;
    let _events = stream(&url, given::clock(), QUICK, "A B C D E");
    for _ in 0..2 {
        assert_eq!(timeout(DEADLINE, subscriptions.recv()).await, Ok(Some(3)));
    }
}

#[tokio::test]
async fn a_connection_that_another_one_of_the_same_key_ends_comes_back_ever_more_rarely() {
    let url = serve(|_, mut peer| async move {
        subscribed(&mut peer, 1).await;
        peer.socket.close(None).await.expect("a close");
    })
    .await;
    let doubling =
        Pace { first_pause: Duration::from_millis(20), max_pause: Duration::from_secs(60), ..QUICK };
    let mut events = stream(&url, given::clock(), doubling, "AAPL");
    let begun = tokio::time::Instant::now();
    for number in 0..6 {
        assert_eq!(next(&mut events).await, StreamEvent::Connected, "{number}");
        if number < 5 {
            assert!(matches!(next(&mut events).await, StreamEvent::Disconnected(_)), "{number}");
        }
    }
    // The least there can be: half of 20, 40, 80, 160 and 320 ms.
    assert!(begun.elapsed() >= Duration::from_millis(310), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_minute_whose_trades_wait_to_be_read_is_handed_out_whole() {
    const TRADES: i64 = 400;
    let clock = Arc::new(SetClock::at("2025-01-31T15:00:30Z"));
    let (go, late) = tokio::sync::watch::channel(());
    let url = serve(move |_, mut peer| {
        let mut late = late.clone();
        async move {
            subscribed(&mut peer, 1).await;
            tokio::select! {
                changed = late.changed() => changed.expect("a test"),
                () = drain(&mut peer) => {}
            }
            let first: Timestamp = "2025-01-31T15:01:00Z".parse().expect("a time");
            for number in 0..TRADES {
                let at = first + SignedDuration::from_millis(number * 150);
                peer.say(trades(&[trade("AAPL", &at.to_string(), 101.5, 1)])).await;
            }
            peer.stay().await;
        }
    })
    .await;
    let mut events = stream(&url, clock.clone(), QUICK, "AAPL");
    assert_eq!(next(&mut events).await, StreamEvent::Connected);
    // The minute is long over when its first trade is read.
    clock.set_to("2025-01-31T15:02:30Z");
    go.send_replace(());
    let StreamEvent::Bar(bar) = next(&mut events).await else { panic!("a bar") };
    assert_eq!(bar.volume.shares(), TRADES);
}

#[tokio::test]
async fn trades_become_bars_of_five_seconds_and_what_is_told_twice_counts_once() {
    let clock = Arc::new(SetClock::at("2025-01-31T15:00:30Z"));
    let (go, wait) = tokio::sync::watch::channel(());
    let url = serve(move |_, mut peer| {
        let mut wait = wait.clone();
        async move {
            subscribed(&mut peer, 1).await;
            tokio::select! {
                changed = wait.changed() => changed.expect("a test"),
                () = drain(&mut peer) => {}
            }
            let first = trades(&[
                trade("AAPL", "2025-01-31T15:00:35Z", 101.5, 100),
                trade("AAPL", "2025-01-31T15:00:39.999Z", 102.5, 50),
                trade("AAPL", "2025-01-31T15:00:45Z", 103.5, 10),
            ]);
            peer.say(first.clone()).await;
            peer.say(first).await;
            peer.stay().await;
        }
    })
    .await;
    let mut events = stream_of(Cadence::Five, &url, clock.clone(), QUICK, "AAPL");
    assert_eq!(next(&mut events).await, StreamEvent::Connected);
    clock.set_to("2025-01-31T15:00:55Z");
    go.send_replace(());
    let mut told = Vec::new();
    for _ in 0..2 {
        let StreamEvent::Bar(bar) = next(&mut events).await else { panic!("a bar") };
        told.push((bar.start.to_string(), bar.close.to_string(), bar.volume.shares(), bar.trades));
    }
    let bar = |time: &str, close: &str, volume, trades| {
        (format!("2025-01-31T15:00:{time}Z"), close.to_owned(), volume, Some(trades))
    };
    assert_eq!(told, [bar("35", "102.5", 150, 2), bar("45", "103.5", 10, 1)], "and none of the quiet ones");
}
