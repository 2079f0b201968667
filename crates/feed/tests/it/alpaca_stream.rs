//! Alpaca's stream, against a server that speaks its protocol, well or badly.

use crate::given::{self, symbol, symbols};
use crate::peer::{DEADLINE, Peer, next, serve};
use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt};
use qqq_feed::alpaca::Pace;
use qqq_feed::{Alpaca, FeedErrorKind, Provider, StreamEvent};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use url::Url;

/// Comes back soon; what must come has time.
pub(crate) const QUICK: Pace = Pace {
    handshake: Duration::from_secs(20),
    ping: Duration::from_millis(150),
    pong: Duration::from_secs(20),
    first_pause: Duration::from_millis(10),
    max_pause: Duration::from_millis(40),
    slow_pause: Duration::from_millis(400),
};

/// Soon notices that nothing comes.
const WATCHFUL: Pace = Pace { pong: Duration::from_secs(1), ..QUICK };

impl Peer {
    /// Greets, authenticates and acknowledges the subscription, which it returns.
    pub(crate) async fn welcome(&mut self) -> Value {
        self.say(json!([{"T": "success", "msg": "connected"}])).await;
        let auth = self.hear().await;
        assert_eq!(auth, json!({"action": "auth", "key": "KEY-OF-A-TEST", "secret": "SECRET-OF-A-TEST"}));
        self.say(json!([{"T": "success", "msg": "authenticated"}])).await;
        let subscribe = self.hear().await;
        let (bars, updated) = (&subscribe["bars"], &subscribe["updatedBars"]);
        let trades = subscribe.get("trades").cloned().unwrap_or(json!([]));
        self.say(json!([{"T": "subscription", "trades": trades, "bars": bars, "updatedBars": updated}]))
            .await;
        subscribe
    }
}

fn stream(url: &Url, pace: Pace, of: &str) -> mpsc::Receiver<StreamEvent> {
    let alpaca = Alpaca::with_pace(given::alpaca_config(url), given::clock(), pace).expect("a provider");
    alpaca.stream(&symbols(of)).expect("a stream")
}

fn bar(kind: &str, symbol: &str, minute: &str, close: f64) -> Value {
    json!({"T": kind, "S": symbol, "o": 1, "h": 1000, "l": 0.5, "c": close, "v": 10, "n": 2, "vw": 1.5,
           "t": format!("2025-01-31T{minute}:00Z")})
}

#[tokio::test]
async fn it_authenticates_subscribes_and_hands_over_new_and_corrected_bars() {
    let (heard, mut subscription) = mpsc::channel(1);
    let url = serve(move |_, mut peer| {
        let heard = heard.clone();
        async move {
            heard.send(peer.welcome().await).await.expect("a test that listens");
            let both = json!([bar("b", "AAPL", "15:00", 101.5), bar("b", "BRK.B", "15:00", 470.25)]);
            peer.say(both).await;
            peer.say(json!([{"T": "s", "S": "AAPL", "sc": "T"}, bar("u", "AAPL", "15:00", 101.75)])).await;
            peer.stay().await;
        }
    })
    .await;
    let mut events = stream(&url, QUICK, "BRK.B AAPL AAPL");
    assert_eq!(next(&mut events).await, StreamEvent::Connected);
    let asked = subscription.recv().await.expect("a subscription");
    assert_eq!(
        asked,
        json!({"action": "subscribe", "bars": ["AAPL", "BRK.B"], "updatedBars": ["AAPL", "BRK.B"]})
    );
    for (name, close) in [("AAPL", "101.5"), ("BRK.B", "470.25"), ("AAPL", "101.75")] {
        let StreamEvent::Bar(bar) = next(&mut events).await else { panic!("a bar") };
        assert_eq!((bar.symbol, bar.close.to_string().as_str()), (symbol(name), close));
        assert_eq!((bar.start, bar.feed.as_str()), (given::minute("2025-01-31T15:00:00Z"), "iex"));
    }
}

#[tokio::test]
async fn every_reconnection_is_told_so_that_the_gap_can_be_filled() {
    let url = serve(|number, mut peer| async move {
        peer.welcome().await;
        peer.say(json!([bar("b", "AAPL", &format!("15:0{number}"), 101.5)])).await;
        match number {
            0 => drop(peer),
            1 => peer.socket.close(None).await.expect("a close"),
            _ => peer.stay().await,
        }
    })
    .await;
    let mut events = stream(&url, QUICK, "AAPL");
    for number in 0..3 {
        assert_eq!(next(&mut events).await, StreamEvent::Connected);
        assert!(matches!(next(&mut events).await, StreamEvent::Bar(_)), "the bar of connection {number}");
        if number < 2 {
            let StreamEvent::Disconnected(error) = next(&mut events).await else { panic!("an end") };
            assert_eq!(error.kind, FeedErrorKind::Transient, "{error}");
        }
    }
}

#[tokio::test]
async fn a_server_that_answers_no_ping_is_noticed() {
    let (pinged, mut pings) = mpsc::channel(100);
    let url = serve(move |number, mut peer| {
        let pinged = pinged.clone();
        async move {
            peer.welcome().await;
            if number == 0 {
                // Neither reads nor writes nor closes: as after a cable was pulled.
                tokio::spawn(async move {
                    let _open = peer;
                    std::future::pending::<()>().await;
                });
                return;
            }
            while let Some(Ok(message)) = peer.socket.next().await {
                if message.is_ping() {
                    let _ = pinged.try_send(());
                }
            }
        }
    })
    .await;
    let mut events = stream(&url, WATCHFUL, "AAPL");
    assert_eq!(next(&mut events).await, StreamEvent::Connected);
    let StreamEvent::Disconnected(error) = next(&mut events).await else { panic!("an end") };
    assert!(error.message.contains("no ping"), "{error}");
    assert_eq!(next(&mut events).await, StreamEvent::Connected);
    for _ in 0..4 {
        timeout(DEADLINE, pings.recv()).await.expect("in time").expect("a ping");
    }
    let told = events.try_recv();
    assert!(told.is_err(), "a quiet server that answers pings is kept: {told:?}");
}

#[tokio::test]
async fn final_refusals_end_the_stream() {
    for (code, kind) in [
        (402, FeedErrorKind::Auth),
        (405, FeedErrorKind::NotEntitled),
        (409, FeedErrorKind::NotEntitled),
        (410, FeedErrorKind::NotEntitled),
        (411, FeedErrorKind::NotEntitled),
    ] {
        let url = serve(move |_, mut peer| async move {
            peer.say(json!([{"T": "success", "msg": "connected"}])).await;
            peer.hear().await;
            peer.say(json!([{"T": "error", "code": code, "msg": "no: SECRET-OF-A-TEST"}])).await;
            peer.stay().await;
        })
        .await;
        let mut events = stream(&url, QUICK, "AAPL");
        let StreamEvent::Disconnected(error) = next(&mut events).await else { panic!("an end") };
        assert_eq!(error.kind, kind, "{code}: {error}");
        assert!(error.message.contains(&code.to_string()), "{error}");
        assert!(!error.message.contains("SECRET"), "{error}");
        assert_eq!(timeout(DEADLINE, events.recv()).await, Ok(None), "{code}: the stream is over");
    }
}

#[tokio::test]
async fn passing_refusals_are_tried_again_and_a_second_connection_only_slowly() {
    for (code, at_least, kind) in [
        (407, QUICK.first_pause / 2, FeedErrorKind::Transient),
        (500, QUICK.first_pause / 2, FeedErrorKind::Transient),
        (406, QUICK.slow_pause / 2, FeedErrorKind::RateLimited { retry_after: None }),
    ] {
        let url = serve(move |number, mut peer| async move {
            if number == 0 {
                peer.say(json!([{"T": "error", "code": code, "msg": "not now"}])).await;
            } else {
                peer.welcome().await;
                peer.stay().await;
            }
        })
        .await;
        let mut events = stream(&url, QUICK, "AAPL");
        let StreamEvent::Disconnected(error) = next(&mut events).await else { panic!("an end") };
        let ended = tokio::time::Instant::now();
        assert_eq!(error.kind, kind, "{code}");
        assert_eq!(next(&mut events).await, StreamEvent::Connected);
        assert!(ended.elapsed() >= at_least, "{code}: came back after {:?}", ended.elapsed());
    }
}

#[tokio::test]
async fn already_authenticated_is_no_failure() {
    let url = serve(|_, mut peer| async move {
        peer.say(json!([{"T": "error", "code": 403, "msg": "already authenticated"}])).await;
        peer.welcome().await;
        peer.stay().await;
    })
    .await;
    assert_eq!(next(&mut stream(&url, QUICK, "AAPL")).await, StreamEvent::Connected);
}

#[tokio::test]
async fn a_silent_server_is_given_up_at_each_step() {
    let hasty = Pace { handshake: Duration::from_millis(1500), ..QUICK };
    join_all([(0, "greet"), (1, "authentication"), (2, "subscription")].map(|(step, words)| async move {
        let url = serve(move |_, mut peer| async move {
            if step > 0 {
                peer.say(json!([{"T": "success", "msg": "connected"}])).await;
                peer.hear().await;
            }
            if step > 1 {
                peer.say(json!([{"T": "success", "msg": "authenticated"}])).await;
                peer.hear().await;
            }
            peer.stay().await;
        })
        .await;
        let StreamEvent::Disconnected(error) = next(&mut stream(&url, hasty, "AAPL")).await else {
            panic!("an end")
        };
        assert!(error.message.contains(words) && error.message.contains("in time"), "{error}");
    }))
    .await;
}

#[tokio::test]
async fn garbage_is_rejected_and_the_stream_goes_on() {
    let garbage = ["", "nonsense", "{}", "[1]", "[{}]", "<html>", "null", "[{\"T\":5}]"];
    let url = serve(move |_, mut peer| async move {
        peer.welcome().await;
        for text in garbage {
            peer.say_text(text).await;
        }
        peer.say_text(&"[".repeat(100_000)).await;
        peer.socket.send(Message::binary(vec![0xff, 0xfe, 0])).await.expect("a client that listens");
        for bad in [
            json!([bar("b", "TSLA", "15:00", 1.0)]),    // not subscribed
            json!([{"T": "b"}]),                        // nothing in it
            json!([bar("b", "AAPL", "15:00", 2000.0)]), // close above high
            json!([bar("b", "AAPL", "15:40", 1.0)]),    // ten minutes ahead of the clock
        ] {
            peer.say(bad).await;
        }
        peer.say(json!([bar("b", "AAPL", "15:00", 101.5)])).await;
        peer.stay().await;
    })
    .await;
    let mut events = stream(&url, QUICK, "AAPL");
    assert_eq!(next(&mut events).await, StreamEvent::Connected);
    for number in 0..garbage.len() + 6 {
        let event = next(&mut events).await;
        assert!(matches!(event, StreamEvent::Rejected(_)), "{number}: {event:?}");
    }
    assert!(matches!(next(&mut events).await, StreamEvent::Bar(_)));
}

#[tokio::test]
async fn a_message_beyond_the_limit_ends_the_connection() {
    let url = serve(|number, mut peer| async move {
        peer.welcome().await;
        if number == 0 {
            let _ = peer.socket.send(Message::text(" ".repeat(2 << 20))).await;
        }
        peer.stay().await;
    })
    .await;
    let mut events = stream(&url, QUICK, "AAPL");
    assert_eq!(next(&mut events).await, StreamEvent::Connected);
    assert!(matches!(next(&mut events).await, StreamEvent::Disconnected(_)));
    assert_eq!(next(&mut events).await, StreamEvent::Connected);
}

#[tokio::test]
async fn a_symbol_that_was_not_subscribed_is_told() {
    let url = serve(|_, mut peer| async move {
        peer.say(json!([{"T": "success", "msg": "connected"}])).await;
        peer.hear().await;
        peer.say(json!([{"T": "success", "msg": "authenticated"}])).await;
        peer.hear().await;
        peer.say(json!([{"T": "subscription", "bars": ["AAPL"], "updatedBars": ["AAPL"]}])).await;
        peer.stay().await;
    })
    .await;
    let mut events = stream(&url, QUICK, "AAPL MSFT");
    assert_eq!(next(&mut events).await, StreamEvent::Connected);
    let StreamEvent::Rejected(reject) = next(&mut events).await else { panic!("a reject") };
    assert_eq!(reject.place, "MSFT");
}

#[tokio::test]
async fn many_symbols_are_subscribed_in_several_messages() {
    let (heard, mut sizes) = mpsc::channel(10);
    let url = serve(move |_, mut peer| {
        let heard = heard.clone();
        async move {
            peer.say(json!([{"T": "success", "msg": "connected"}])).await;
            peer.hear().await;
            peer.say(json!([{"T": "success", "msg": "authenticated"}])).await;
            let mut all: Vec<Value> = Vec::new();
            for _ in 0..3 {
                let subscribe = peer.hear().await;
                let names = subscribe["bars"].as_array().expect("a list").clone();
                heard.send(names.len()).await.expect("a test that listens");
                all.extend(names);
                peer.say(json!([{"T": "subscription", "bars": all, "updatedBars": all}])).await;
            }
            peer.stay().await;
        }
    })
    .await;
    let many: Vec<String> = (0..1100).map(|index| format!("S{index}")).collect();
    let mut events = stream(&url, QUICK, &many.join(" "));
    assert_eq!(next(&mut events).await, StreamEvent::Connected);
    let mut seen = Vec::new();
    while let Ok(size) = sizes.try_recv() {
        seen.push(size);
    }
    assert_eq!(seen, [500, 500, 100]);
}

/// A server whose plan takes `limit` symbols; what a message beyond it asks for is refused as a whole.
async fn limited(limit: usize) -> Url {
    serve(move |_, mut peer| async move {
        peer.say(json!([{"T": "success", "msg": "connected"}])).await;
        peer.hear().await;
        peer.say(json!([{"T": "success", "msg": "authenticated"}])).await;
        let mut all: Vec<Value> = Vec::new();
        loop {
            let asked = peer.hear().await["bars"].as_array().expect("a list").clone();
            if all.len() + asked.len() > limit {
                peer.say(json!([{"T": "error", "code": 405, "msg": "symbol limit exceeded"}])).await;
            } else {
                all.extend(asked);
                peer.say(json!([{"T": "subscription", "bars": all, "updatedBars": all}])).await;
                if let Some(last) = all.last().and_then(Value::as_str) {
                    peer.say(json!([bar("b", last, "15:00", 101.5)])).await;
                }
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_plan_of_few_symbols_streams_those_it_takes_and_tells_the_others_once() {
    let named = |count: usize| -> Vec<String> { (0..count).map(|index| format!("S{index:04}")).collect() };
    for (wanted, limit, taken) in [(40, 30, 30), (1100, 700, 500), (1100, 30, 30), (20, 10, 10), (20, 6, 5)] {
        let mut events = stream(&limited(limit).await, QUICK, &named(wanted).join(" "));
        let mut bars = Vec::new();
        let told = loop {
            match next(&mut events).await {
                StreamEvent::Rejected(reject) => break reject.reason,
                StreamEvent::Bar(bar) => bars.push(bar.symbol),
                StreamEvent::Connected => {}
                StreamEvent::SymbolProblem { symbol, .. } => panic!("{symbol} is polled"),
                StreamEvent::Disconnected(error) => panic!("{limit} of {wanted}: {error}"),
            }
        };
        assert!(told.contains(&format!("{taken} of {wanted} symbols are streamed")), "{told}");
        assert!(told.contains("405") && told.contains(&named(wanted)[taken]), "{told}");
        let last = symbol(&named(taken)[taken - 1]);
        while !bars.contains(&last) {
            let StreamEvent::Bar(bar) = next(&mut events).await else { panic!("told twice") };
            bars.push(bar.symbol);
        }
    }
}

#[tokio::test]
async fn a_plan_of_no_symbols_ends_the_stream() {
    let mut events = stream(&limited(0).await, QUICK, "AAPL MSFT NVDA");
    let StreamEvent::Disconnected(error) = next(&mut events).await else { panic!("an end") };
    assert_eq!(error.kind, FeedErrorKind::NotEntitled, "{error}");
    assert_eq!(timeout(DEADLINE, events.recv()).await, Ok(None), "the stream is over");
}

#[tokio::test]
async fn a_limit_told_late_ends_no_live_stream() {
    let url = serve(|_, mut peer| async move {
        peer.welcome().await;
        peer.say(json!([{"T": "error", "code": 405, "msg": "symbol limit exceeded"}])).await;
        peer.say(json!([bar("b", "AAPL", "15:00", 101.5)])).await;
        peer.stay().await;
    })
    .await;
    let mut events = stream(&url, QUICK, "AAPL");
    assert_eq!(next(&mut events).await, StreamEvent::Connected);
    let StreamEvent::Rejected(reject) = next(&mut events).await else { panic!("a notice") };
    assert!(reject.reason.contains("405"), "{reject:?}");
    assert!(matches!(next(&mut events).await, StreamEvent::Bar(_)));
}

#[tokio::test]
async fn a_server_that_ends_every_connection_once_it_is_live_is_asked_ever_more_rarely() {
    // What ends it does not matter: an end without a word, or an error after the subscription.
    join_all([None, Some(407), Some(500)].map(|code| async move {
        let url = serve(move |_, mut peer| async move {
            peer.welcome().await;
            if let Some(code) = code {
                peer.say(json!([{"T": "error", "code": code, "msg": "not now"}])).await;
            }
        })
        .await;
        let doubling =
            Pace { first_pause: Duration::from_millis(20), max_pause: Duration::from_secs(60), ..QUICK };
        let mut events = stream(&url, doubling, "AAPL");
        let begun = tokio::time::Instant::now();
        for number in 0..7 {
            assert_eq!(next(&mut events).await, StreamEvent::Connected, "{number}");
            if number < 6 {
                assert!(matches!(next(&mut events).await, StreamEvent::Disconnected(_)), "{number}");
            }
        }
        // The least there can be: half of 20, 40, 80, 160, 320 and 640 ms.
        assert!(begun.elapsed() >= Duration::from_millis(630), "{code:?}: {:?}", begun.elapsed());
    }))
    .await;
}

#[tokio::test]
async fn a_slow_receiver_stops_the_reading_and_loses_nothing() {
    const BARS: usize = 60_000;
    let (progress, mut sent) = tokio::sync::watch::channel(0);
    let url = serve(move |_, mut peer| {
        let progress = progress.clone();
        async move {
            peer.welcome().await;
            for number in 0..BARS {
                peer.say(json!([bar("b", "AAPL", "15:00", 1.0 + number as f64 / 100_000.0)])).await;
                progress.send_replace(number + 1);
            }
            peer.stay().await;
        }
    })
    .await;
    let mut events = stream(&url, WATCHFUL, "AAPL");
    assert_eq!(next(&mut events).await, StreamEvent::Connected);
    // The server stalls while nobody takes events: it makes no progress for longer than any ping may take.
    while timeout((WATCHFUL.ping + WATCHFUL.pong) * 2, sent.changed()).await.is_ok() {}
    assert!(*sent.borrow() < BARS, "the server was read to the end: something grows without bound");
    for number in 0..BARS {
        let event = next(&mut events).await;
        let StreamEvent::Bar(bar) = event else { panic!("{number}: {event:?}") };
        assert_eq!(bar.close.nanos(), 1_000_000_000 + number as i64 * 10_000);
    }
}

#[tokio::test]
async fn it_ends_when_nobody_listens() {
    let (gone, mut left) = mpsc::channel(1);
    let url = serve(move |_, mut peer| {
        let gone = gone.clone();
        async move {
            peer.welcome().await;
            peer.stay().await;
            gone.send(()).await.expect("a test that listens");
        }
    })
    .await;
    let mut events = stream(&url, QUICK, "AAPL");
    assert_eq!(next(&mut events).await, StreamEvent::Connected);
    drop(events);
    timeout(DEADLINE, left.recv()).await.expect("in time").expect("the client hung up");
}

#[tokio::test]
async fn a_handshake_that_is_refused_tells_credentials_from_trouble() {
    for (status, kind) in [(401, FeedErrorKind::Auth), (503, FeedErrorKind::Transient)] {
        let server = qqq_testkit::http::Server::always(qqq_testkit::http::Reply::status(status, "no")).await;
        let StreamEvent::Disconnected(error) = next(&mut stream(&server.url, QUICK, "AAPL")).await else {
            panic!("an end")
        };
        assert_eq!(error.kind, kind, "{error}");
    }
}

#[tokio::test]
async fn no_stream_where_none_is_wanted() {
    let url: Url = "http://127.0.0.1:9/".parse().expect("an address");
    let mut config = given::alpaca_config(&url);
    assert!(Alpaca::new(config.clone(), given::clock()).expect("a provider").stream(&[]).is_none());
    config.stream = false;
    let alpaca = Alpaca::new(config, given::clock()).expect("a provider");
    assert!(alpaca.stream(&symbols("AAPL")).is_none());
}
