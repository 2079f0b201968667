//! The stream of events: nothing missed, nothing twice, nobody waited for.

mod places;
mod rows;

use self::places::open;
use crate::faulty::{Fault, Faulty};
use crate::sockets::{Server, read_to_close};
use crate::world::*;
use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::http::{Request, StatusCode};
use futures_util::StreamExt;
use qqq_core::alert::Occurrence;
use qqq_core::market::watchlist::DEFAULT_SYMBOLS;
use qqq_core::{Alert, FeedMode, Metric, Second, Symbol};
use qqq_http::Api;
use qqq_store::{AlertChange, BarRecord, Batch, ChangeCursor, Key, Row, Sequence, Stamped};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tower::ServiceExt;

/// What stands between two blank lines.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Block {
    pub(crate) id: Option<String>,
    pub(crate) event: String,
    pub(crate) data: String,
    retry: Option<u64>,
    is_comment: bool,
}

impl Block {
    fn parse(text: &str) -> Self {
        let mut block = Self::default();
        for line in text.lines() {
            let (field, value) = line.split_once(':').unwrap();
            let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
            match field {
                "id" => block.id = Some(value),
                "event" => block.event = value,
                "data" => block.data = value,
                "retry" => block.retry = Some(value.parse().unwrap()),
                "" => block.is_comment = true,
                other => panic!("an unknown field: {other}"),
            }
        }
        block
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A client that reads an open stream.
pub(crate) struct Client {
    body: BodyDataStream,
    text: String,
    blocks: VecDeque<Block>,
}

impl Client {
    async fn open(router: &Router, path: &str, last: Option<&str>) -> Self {
        Self::open_with(router, path, last, None).await
    }

    /// Opens a stream, with the token of a subscription.
    pub(crate) async fn open_with(
        router: &Router,
        path: &str,
        last: Option<&str>,
        token: Option<&str>,
    ) -> Self {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let last = last.map(|last| ("last-event-id", last));
        let bearer = bearer.as_deref().map(|bearer| ("authorization", bearer));
        let headers: Vec<_> = last.into_iter().chain(bearer).collect();
        Self::open_as(router, path, &headers).await
    }

    /// Opens a stream, with headers that say whose.
    pub(crate) async fn open_as(router: &Router, path: &str, headers: &[(&str, &str)]) -> Self {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path} {headers:?}");
        let body = response.into_body().into_data_stream();
        Self { body, text: String::new(), blocks: VecDeque::new() }
    }

    /// The next block; `None` at the end of the stream.
    pub(crate) async fn block(&mut self) -> Option<Block> {
        while self.blocks.is_empty() {
            let chunk = self.body.next().await?.unwrap();
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                self.blocks.push_back(Block::parse(block));
                self.text = rest.to_owned();
            }
        }
        self.blocks.pop_front()
    }

    /// The next block; fails where none comes.
    pub(crate) async fn expect(&mut self) -> Block {
        let block = tokio::time::timeout(Duration::from_secs(10), self.block());
        block.await.expect("nothing came").expect("the stream ended")
    }

    /// The next event of a name.
    pub(crate) async fn event(&mut self, name: &str) -> Block {
        loop {
            let block = self.expect().await;
            if block.event == name {
                return block;
            }
        }
    }
}

/// The place an id says, as its own parser would have it.
fn place(id: &str) -> ChangeCursor {
    let parts: Vec<&str> = id.splitn(4, '.').collect();
    let key = match parts[1..] {
        [] => Key::End,
        ["b", minute, symbol] => {
            Key::Bar(symbol.parse().unwrap(), Second::from_unix(minute.parse().unwrap()))
        }
        ["s", first] => Key::Statistics(first.parse().unwrap()),
        ["s", first, second] => Key::Statistics(format!("{first}.{second}").parse().unwrap()),
        ["a", id] => Key::Alert(id.parse().unwrap()),
        _ => panic!("{id}"),
    };
    ChangeCursor { sequence: Sequence(parts[0].parse().unwrap()), key }
}

#[tokio::test]
async fn events_have_the_shapes_of_the_other_answers() {
    let world = World::new().await;
    let start = at("2025-01-31T19:59:00Z");
    let following = Following::start(world.api().await);
    let router = following.api.router();
    let mut client = Client::open(&router, "/v1/stream", None).await;
    let opening = client.expect().await;
    assert!((1_000..5_000).contains(&opening.retry.unwrap()), "{opening:?}");
    let nothing = client.expect().await;
    assert_eq!((nothing.event.as_str(), nothing.id.as_deref()), ("status", Some("0")));
    assert_eq!(nothing.json()["feed"], Value::Null);
    world.commit_bars(&[bar("AAPL", at("2025-01-30T20:59:00Z"), "100", 5)]).await;
    let batch = Batch {
        bars: vec![BarRecord { bar: bar("AAPL", start, "101.25", 7), revision: 2 }],
        statistics: vec![statistics("AAPL", start, 2.5, 1.5)],
        alerts: vec![AlertChange::Raised(alert("AAPL", Metric::Volume, start))],
        feed: Some(feed(FeedMode::Live)),
        ..Batch::default()
    };
    let sequence = world.commit(batch).await;
    following.has_seen(sequence).await;
    client.event("bar").await;
    let heard = client.event("bar").await;
    assert_eq!(heard.id.as_deref(), Some(&*format!("2.b.{}.AAPL", start.unix())));
    assert_eq!(
        heard.json(),
        json!({"symbol": "AAPL", "start": "2025-01-31T19:59:00Z",
            "open": 101.25, "high": 101.25, "low": 101.25, "close": 101.25,
            "volume": 7, "vwap": null, "trades": null, "feed": "iex", "revision": 2})
    );
    let heard = client.event("stats").await;
    assert_eq!(heard.id.as_deref(), Some("2.s.AAPL"));
    let symbol = get(&router, "/v1/symbols/AAPL").await.json();
    assert_eq!(heard.json()["statistics"], symbol["statistics"]);
    assert_eq!(heard.json()["day_change"], symbol["day_change"]);
    assert_eq!(heard.json()["unusual"], symbol["unusual"]);
    assert_eq!(heard.json()["session_vwap"], symbol["session_vwap"]);
    assert_eq!(heard.json()["day_change"]["amount"], json!(1.25));
    let heard = client.event("alert").await;
    let listed = get(&router, "/v1/alerts").await.json()["items"][0].clone();
    assert_eq!(heard.json(), listed);
    let heard = client.event("status").await;
    assert_eq!(heard.id.as_deref(), Some("2"), "everything up to here was sent");
    assert_eq!(
        heard.json(),
        json!({"sequence": 2, "provider": "test", "feed": "iex", "mode": "live",
            "coverage": "IEX only: about 2.5 % of US volume", "stands_in_for": null, "problem": null,
            "session": "regular", "as_of": "2025-01-31T20:00:00Z", "age_seconds": 0, "watchlist_version": 0})
    );
}

#[tokio::test]
async fn what_no_other_answer_tells_is_not_streamed() {
    let mut world = World::new().await;
    world.watchlist = qqq_core::Watchlist::new(["AAPL".parse().unwrap()], []).unwrap().into();
    let following = Following::start(world.api().await);
    let router = following.api.router();
    let start = at("2025-01-31T19:59:00Z");
    world.commit_bars(&[bar("AAPL", at("2025-01-31T22:00:00Z"), "1", 1), bar("TSLA", start, "2", 2)]).await;
    let sequence = world.commit_bars(&[bar("AAPL", start, "3", 3)]).await;
    following.has_seen(sequence).await;
    for last in ["0", "1"] {
        let mut client = Client::open(&router, "/v1/stream", Some(last)).await;
        assert_eq!(client.event("bar").await.json()["close"], json!(3), "{last}");
    }
}

#[tokio::test]
async fn a_page_that_loads_and_then_listens_sees_every_bar_once() {
    let world = World::new().await;
    let following = Following::start(world.api().await);
    let router = following.api.router();
    let start = at("2025-01-31T19:00:00Z");
    let mut sequence = world.commit_bars(&[bar("AAPL", start, "1", 1)]).await;
    following.has_seen(sequence).await;
    for path in ["/v1/symbols", "/v1/symbols/AAPL", "/v1/alerts", "/v1/alerts?symbol=AAPL"] {
        let page = get(&router, path).await;
        let position = page.header("stream-position").to_owned();
        assert_eq!(position, sequence.0.to_string(), "{path}");
        // One that is held already says where it stands, too.
        let held = get_with(&router, path, &[("if-none-match", page.header("etag"))]).await;
        assert_eq!((held.status, held.header("stream-position")), (StatusCode::NOT_MODIFIED, &*position));
        sequence = world.commit_bars(&[bar("AAPL", start.plus_minutes(sequence.0 as i32), "2", 1)]).await;
        following.has_seen(sequence).await;
        // A browser cannot send the header when it first connects.
        let mut client = Client::open(&router, &format!("/v1/stream?last_event_id={position}"), None).await;
        let heard = client.event("bar").await;
        assert!(heard.id.unwrap().starts_with(&format!("{}.b.", sequence.0)));
        // When it comes back, the header is newer than the address.
        let path = "/v1/stream?last_event_id=0";
        let mut client = Client::open(&router, path, Some(&position)).await;
        assert!(client.event("bar").await.id.unwrap().starts_with(&format!("{}.b.", sequence.0)));
    }
}

#[tokio::test]
async fn whoever_begins_now_can_go_on_before_the_first_event_came() {
    let world = World::new().await;
    world.commit_bars(&[bar("AAPL", at("2025-01-31T19:00:00Z"), "1", 1)]).await;
    let following = Following::start(world.api().await);
    let router = following.api.router();
    let status = Client::open(&router, "/v1/stream", None).await.event("status").await;
    let sequence = world.commit_bars(&[bar("AAPL", at("2025-01-31T19:01:00Z"), "2", 1)]).await;
    following.has_seen(sequence).await;
    let mut client = Client::open(&router, "/v1/stream", status.id.as_deref()).await;
    let next = client.event("bar").await;
    assert_eq!(next.json()["close"], json!(2));
}

#[tokio::test]
async fn a_stream_of_few_symbols_is_told_how_far_all_have_come() {
    let world = World::new().await;
    let following = Following::start(world.api().await);
    let router = following.api.router();
    world.commit(Batch { feed: Some(feed(FeedMode::Live)), ..Batch::default() }).await;
    let mut client = Client::open(&router, "/v1/stream?symbols=ADBE", None).await;
    let mut last = String::new();
    for n in 0..3 {
        let sequence =
            world.commit_bars(&[bar("AAPL", at("2025-01-31T19:00:00Z").plus_minutes(n), "1", 1)]).await;
        following.has_seen(sequence).await;
        world.clock.set_to(&format!("2025-01-31T20:1{n}:00Z"));
        following.wakeup.notify_one();
        while last != sequence.0.to_string() {
            last = client.event("status").await.id.unwrap_or(last);
        }
    }
}

#[tokio::test]
async fn an_id_that_cannot_be_gone_on_from_begins_anew() {
    let mut world = World::new().await;
    world.config.limits.streams.backlog = 10;
    let monday = at("2025-01-31T15:00:00Z");
    let following = Following::start(world.api().await);
    for n in 0..20 {
        following.has_seen(world.commit_bars(&[bar("AAPL", monday.plus_minutes(n), "1", 1)]).await).await;
    }
    // What is in memory is no burden, however much it is.
    let mut client = Client::open(&following.api.router(), "/v1/stream", Some("0")).await;
    assert!(client.event("bar").await.id.unwrap().starts_with("1.b."));
    // A server that was started since holds nothing in memory.
    let restarted = Following::start(world.api().await);
    let router = restarted.api.router();
    for (id, reason) in
        [("0", "too_far_behind"), ("9", "too_far_behind"), ("21", "unknown_id"), ("21.s.AAPL", "unknown_id")]
    {
        let mut client = Client::open(&router, "/v1/stream", Some(id)).await;
        assert!(client.expect().await.retry.is_some());
        let reset = client.expect().await;
        assert_eq!((reset.event.as_str(), reset.id.as_deref()), ("reset", Some("20")), "{id}");
        assert_eq!(reset.json(), json!({"reason": reason, "sequence": 20}));
        assert_eq!(client.expect().await.event, "status");
        assert_eq!(
            Client::open(&router, "/v1/stream", reset.id.as_deref()).await.event("status").await.id,
            None
        );
    }
    let mut client = Client::open(&router, "/v1/stream", Some("10")).await;
    assert!(client.event("bar").await.id.unwrap().starts_with("11.b."));
    let metrics = get(&router, "/metrics").await;
    assert!(
        metrics.text().contains("qqq_streams_resets_total{reason=\"too_far_behind\"} 2"),
        "{}",
        metrics.text()
    );
}

#[tokio::test]
async fn an_id_from_another_server_that_is_ahead_is_not_unknown() {
    let world = World::new().await;
    let behind = world.api().await;
    let sequence = world.commit_bars(&[bar("AAPL", at("2025-01-31T15:00:00Z"), "1", 1)]).await;
    let mut client = Client::open(&behind.router(), "/v1/stream", Some(&sequence.0.to_string())).await;
    assert!(client.expect().await.retry.is_some());
    assert_eq!(client.expect().await.event, "status");
    let following = Following::start(behind);
    let sequence = world.commit_bars(&[bar("AAPL", at("2025-01-31T15:01:00Z"), "2", 1)]).await;
    following.has_seen(sequence).await;
    assert_eq!(client.event("bar").await.json()["close"], json!(2));
}

#[tokio::test]
async fn what_cannot_be_streamed_is_refused_in_words() {
    let world = World::new().await;
    let router = world.router().await;
    for (path, status, code, word) in [
        ("/v1/stream?symbols=AAPL,IBM", 404, "unknown_ticker", "`IBM`"),
        ("/v1/stream?symbols=%F0%9F%92%A5", 404, "unknown_ticker", "not tracked"),
        ("/v1/stream?symbols=,", 400, "invalid_parameter", "`symbols`"),
        ("/v1/stream?symbol=AAPL", 400, "unknown_parameter", "symbols, last_event_id"),
        ("/v1/stream?last_event_id=x", 400, "invalid_parameter", "`last_event_id`"),
        ("/v1/stream?last_event_id=-1", 400, "invalid_parameter", "`last_event_id`"),
    ] {
        let reply = get(&router, path).await;
        assert_eq!((reply.status.as_u16(), reply.json()["code"].as_str().unwrap()), (status, code), "{path}");
        assert!(reply.text().contains(word), "{}", reply.text());
    }
    let reply = get_with(&router, "/v1/stream", &[("last-event-id", "1.b")]).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert!(reply.text().contains("`Last-Event-ID`"));
    let many = vec!["AAPL"; 101].join(",");
    assert_eq!(get(&router, &format!("/v1/stream?symbols={many}")).await.status, StatusCode::BAD_REQUEST);
    let reply = post_json(&router, "/v1/stream", "{}").await;
    assert_eq!((reply.status, reply.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, "GET,HEAD"));
    assert_eq!(open(&router).await, 0, "no place is kept");
}
