//! The stream of events: nothing missed, nothing twice, nobody waited for.

use crate::faulty::{Fault, Faulty};
use crate::sockets::{Server, read_to_close};
use crate::world::*;
use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::http::{Request, StatusCode};
use futures_util::StreamExt;
use qqq_core::alert::Occurrence;
use qqq_core::market::watchlist::DEFAULT_SYMBOLS;
use qqq_core::{Alert, FeedMode, Metric, Minute, Symbol};
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
            Key::Bar(symbol.parse().unwrap(), Minute::from_index(minute.parse().unwrap()))
        }
        ["s", first] => Key::Statistics(first.parse().unwrap()),
        ["s", first, second] => Key::Statistics(format!("{first}.{second}").parse().unwrap()),
        ["a", id] => Key::Alert(id.parse().unwrap()),
        _ => panic!("{id}"),
    };
    ChangeCursor { sequence: Sequence(parts[0].parse().unwrap()), key }
}

/// What a client has seen over all its connections.
#[derive(Default)]
struct Seen {
    last: Option<String>,
    ids: BTreeSet<String>,
    rows: Rows,
}

impl Seen {
    fn take(&mut self, block: &Block) {
        assert_ne!(block.event, "reset");
        let Some(id) = &block.id else { return };
        if let Some(last) = &self.last {
            assert!(place(id) > place(last), "{id} after {last}");
        }
        assert!(self.ids.insert(id.clone()), "{id} twice");
        self.last = Some(id.clone());
        if block.event != "status" {
            self.rows.insert(place(id).key, (block.event.clone(), block.json()));
        }
    }
}

/// What tells a row's states apart, from the store's side and from the client's.
fn told(row: &Row) -> (String, Value) {
    match row {
        Row::Bar(BarRecord { bar, revision }) => (
            "bar".to_owned(),
            json!([
                bar.symbol.to_string(),
                bar.start.to_string(),
                bar.close.to_f64(),
                bar.volume.shares(),
                revision
            ]),
        ),
        Row::Statistics(one) => (
            "stats".to_owned(),
            json!([one.symbol.to_string(), one.start.to_string(), one.price.stdev, one.volume.ratio]),
        ),
        Row::Alert(alert) => {
            ("alert".to_owned(), json!([alert.id.to_string(), alert.state.as_str(), alert.occurrences.len()]))
        }
    }
}

fn heard((name, data): &(String, Value)) -> (String, Value) {
    let picked = match name.as_str() {
        "bar" => {
            json!([data["symbol"], data["start"], data["close"].as_f64(), data["volume"], data["revision"]])
        }
        "stats" => {
            let statistics = &data["statistics"];
            json!([
                data["symbol"],
                data["start"],
                statistics["price"]["stdev"],
                statistics["volume"]["ratio"]
            ])
        }
        _ => json!([data["id"], data["state"], data["occurrences"]]),
    };
    (name.clone(), picked)
}

type Rows = BTreeMap<Key, (String, Value)>;

/// The first row that is not the same in both, in words.
fn difference(heard: &Rows, expected: &Rows) -> Option<String> {
    let keys: BTreeSet<_> = heard.keys().chain(expected.keys()).collect();
    let differs = keys.into_iter().find(|key| heard.get(key) != expected.get(key))?;
    Some(format!("{differs:?}: {:?}, not {:?}", heard.get(differs), expected.get(differs)))
}

/// Commits of all kinds: new and corrected bars, figures, alerts that are counted and retracted.
struct Writer {
    random: fastrand::Rng,
    start: Minute,
    revisions: BTreeMap<(Symbol, Minute), u32>,
    alerts: Vec<Alert>,
}

const NAMES: [&str; 4] = ["AAPL", "META", "TSLA", "NVDA"];

impl Writer {
    fn new(seed: u64) -> Self {
        let (revisions, alerts) = (BTreeMap::new(), Vec::new());
        Self { random: fastrand::Rng::with_seed(seed), start: at("2025-01-31T15:30:00Z"), revisions, alerts }
    }

    fn batch(&mut self) -> Batch {
        let random = &mut self.random;
        self.start = self.start.plus(random.i32(0..2));
        let mut batch = Batch::default();
        for _ in 0..random.usize(0..12) {
            let name = NAMES[random.usize(0..NAMES.len())];
            // Most are of now, some correct what was.
            let start = if random.f64() < 0.7 { self.start } else { self.start.plus(-random.i32(0..40)) };
            let bar = bar(name, start, &random.u32(1..9).to_string(), random.i64(1..5));
            let revision =
                self.revisions.entry((bar.symbol, start)).and_modify(|known| *known += 1).or_default();
            batch.bars.push(BarRecord { bar, revision: *revision });
            if random.f64() < 0.5 {
                batch.statistics.push(statistics(name, start, random.u8(..).into(), random.u8(..).into()));
            }
        }
        match random.u8(0..6) {
            0 => {
                let raised = alert(NAMES[random.usize(0..NAMES.len())], Metric::Volume, self.start);
                if self.alerts.iter().all(|known| known.id != raised.id) {
                    batch.alerts.push(AlertChange::Raised(raised.clone()));
                    self.alerts.push(raised);
                }
            }
            1 if !self.alerts.is_empty() => {
                let index = random.usize(0..self.alerts.len());
                let known = &mut self.alerts[index];
                known.occurrences.push(Occurrence { start: self.start, value: 5 });
                batch.alerts.push(AlertChange::Counted(known.clone()));
            }
            2 if !self.alerts.is_empty() => {
                let known = self.alerts.swap_remove(random.usize(0..self.alerts.len()));
                batch.alerts.push(AlertChange::Retracted(known));
            }
            _ => {}
        }
        batch
    }
}

#[tokio::test]
async fn a_client_cut_off_at_random_sees_what_the_store_holds_and_no_id_twice() {
    // All events in memory, a few, none: those are read from the store.
    for (seed, ring) in [(1, 16 << 20), (2, 20_000), (3, 3_000), (4, 0)] {
        let mut world = World::new().await;
        world.config.limits.streams.ring = ring;
        let following = Following::start(world.api().await);
        let router = following.api.router();
        let mut writer = Writer::new(seed);
        let mut random = fastrand::Rng::with_seed(seed);
        let filtered = ["META".parse().unwrap(), "TSLA".parse().unwrap()];
        let mut clients =
            [("/v1/stream", Seen::default()), ("/v1/stream?symbols=fb,%20tsla", Seen::default())];
        for (_, seen) in &mut clients {
            seen.last = Some("0".to_owned());
        }
        for _ in 0..120 {
            for _ in 0..random.u8(0..4) {
                let sequence = world.commit(writer.batch()).await;
                if random.bool() {
                    following.has_seen(sequence).await;
                }
            }
            for (path, seen) in &mut clients {
                // Whatever comes at once, up to a random event; then the connection is gone.
                let mut client = Client::open(&router, path, seen.last.as_deref()).await;
                for _ in 0..random.usize(0..30) {
                    tokio::select! {
                        biased;
                        block = client.block() => seen.take(&block.unwrap()),
                        () = tokio::time::sleep(Duration::from_millis(2)) => break,
                    }
                }
            }
        }
        following.has_seen(world.store.sequence().await.unwrap()).await;
        let rows = world.store.changes(Sequence(0), usize::MAX).await.unwrap().into_rows();
        assert!(rows.len() > 200, "{}", rows.len());
        for (path, seen) in &mut clients {
            let of_client = |row: &&Stamped<Row>| match &row.row {
                _ if *path == "/v1/stream" => true,
                Row::Bar(record) => filtered.contains(&record.bar.symbol),
                Row::Statistics(one) => filtered.contains(&one.symbol),
                Row::Alert(alert) => filtered.contains(&alert.symbol),
            };
            let expected: Rows =
                rows.iter().filter(of_client).map(|row| (row.place().key, told(&row.row))).collect();
            let newest = rows.iter().filter(of_client).map(Stamped::place).max().unwrap();
            let mut client = Client::open(&router, path, seen.last.as_deref()).await;
            while place(seen.last.as_ref().unwrap()) < newest {
                let block = client.expect().await;
                seen.take(&block);
            }
            let heard: BTreeMap<_, _> = seen.rows.iter().map(|(key, row)| (*key, heard(row))).collect();
            assert_eq!(difference(&heard, &expected), None, "{path}, ring {ring}");
        }
    }
}

#[tokio::test]
async fn what_was_missed_is_read_in_pages_that_may_end_within_a_commit() {
    let world = World::new().await;
    let start = at("2025-01-31T15:00:00Z");
    let names = DEFAULT_SYMBOLS.map(symbol);
    let bars = |minutes: std::ops::Range<i32>| -> Vec<_> {
        minutes.flat_map(|n| names.map(|name| bar(name.as_str(), start.plus(n), "1", 1))).collect()
    };
    world.commit_bars(&bars(0..100)).await;
    for n in 100..140 {
        world.commit_bars(&bars(n..n + 1)).await;
    }
    let router = world.router().await;
    let mut seen = Seen::default();
    let mut client = Client::open(&router, "/v1/stream", Some("0")).await;
    while seen.rows.len() < 1_400 {
        seen.take(&client.expect().await);
    }
    let status = client.expect().await;
    assert_eq!((status.event.as_str(), status.id.as_deref()), ("status", Some("41")));
}

#[tokio::test]
async fn streams_that_stay_open_see_every_commit_once_and_in_order() {
    let mut world = World::new().await;
    world.config.limits.streams.ring = 4_000;
    let following = Following::start(world.api().await);
    let router = following.api.router();
    let reading = (0..20).map(|n| {
        let router = router.clone();
        tokio::spawn(async move {
            let path = if n % 2 == 0 { "/v1/stream" } else { "/v1/stream?symbols=NFLX,AAPL" };
            let mut client = Client::open(&router, path, Some("0")).await;
            let mut seen = Seen::default();
            loop {
                let block = client.expect().await;
                seen.take(&block);
                if block.data.contains("NFLX") {
                    return seen;
                }
            }
        })
    });
    let reading: Vec<_> = reading.collect();
    let mut writer = Writer::new(9);
    for _ in 0..100 {
        world.commit(writer.batch()).await;
        following.wakeup.notify_one();
    }
    world.commit_bars(&[bar("NFLX", writer.start, "1", 1)]).await;
    following.wakeup.notify_one();
    let rows = world.store.changes(Sequence(0), usize::MAX).await.unwrap().into_rows();
    let all: BTreeMap<_, _> = rows.iter().map(|row| (row.place().key, told(&row.row))).collect();
    for (n, client) in reading.into_iter().enumerate() {
        let seen = client.await.unwrap();
        let heard: BTreeMap<_, _> = seen.rows.iter().map(|(key, row)| (*key, heard(row))).collect();
        match n % 2 {
            0 => assert_eq!(difference(&heard, &all), None),
            _ => assert!(heard.len() < all.len() && heard.iter().all(|(key, row)| all[key] == *row)),
        }
    }
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
    assert_eq!(heard.id.as_deref(), Some(&*format!("2.b.{}.AAPL", start.index())));
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
        sequence = world.commit_bars(&[bar("AAPL", start.plus(sequence.0 as i32), "2", 1)]).await;
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
        let sequence = world.commit_bars(&[bar("AAPL", at("2025-01-31T19:00:00Z").plus(n), "1", 1)]).await;
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
        following.has_seen(world.commit_bars(&[bar("AAPL", monday.plus(n), "1", 1)]).await).await;
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

async fn open(router: &Router) -> u64 {
    let metrics = get(router, "/metrics").await;
    let line = metrics.text().lines().find_map(|line| line.strip_prefix("qqq_streams_open ")).unwrap();
    line.parse().unwrap()
}

#[tokio::test]
async fn a_network_has_so_many_streams_and_all_together_so_many() {
    let mut world = World::new().await;
    world.config.limits.streams.open_per_network = 2;
    world.config.limits.streams.open = 3;
    world.config.trusted_proxies = vec!["0.0.0.0/32".parse().unwrap()];
    let router = world.router().await;
    let ask = |client: &'static str| {
        let request = Request::get("/v1/stream").header("x-forwarded-for", client);
        let (router, request) = (router.clone(), request.body(Body::empty()).unwrap());
        async move { router.oneshot(request).await.unwrap() }
    };
    let (one, two) = (ask("2001:db8::1").await, ask("2001:db8::2").await);
    assert_eq!((one.status().as_u16(), two.status().as_u16()), (200, 200));
    let refused = ask("2001:db8::3").await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["retry-after"], "30");
    let other = ask("192.0.2.1").await;
    assert_eq!(other.status(), StatusCode::OK);
    let refused = ask("192.0.2.2").await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "30");
    drop(two);
    assert_eq!(open(&router).await, 2);
    assert_eq!(ask("2001:db8::4").await.status(), StatusCode::OK);
    drop((one, other));
    assert_eq!(open(&router).await, 0);
}

#[tokio::test]
async fn the_head_says_that_nobody_may_keep_or_hold_back_events() {
    let world = World::new().await;
    let router = world.router().await;
    for method in ["GET", "HEAD"] {
        let request = Request::builder().method(method).uri("/v1/stream").header("accept-encoding", "gzip");
        let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let header =
            |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header("content-type").as_deref(), Some("text/event-stream"));
        assert_eq!(header("cache-control").as_deref(), Some("no-store"));
        assert_eq!(header("x-accel-buffering").as_deref(), Some("no"));
        assert_eq!(header("content-encoding"), None);
        if method == "HEAD" {
            assert_eq!(open(&router).await, 0);
            let body = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
            assert!(body.is_empty());
        }
    }
}

#[tokio::test]
async fn a_quiet_stream_shows_that_it_lives_and_outlives_the_deadline_of_answers() {
    let world = World::new().await;
    assert!(world.config.limits.handler < world.config.limits.streams.heartbeat);
    let router = world.router().await;
    let mut client = Client::open(&router, "/v1/stream", None).await;
    client.event("status").await;
    tokio::time::pause();
    for _ in 0..3 {
        let started = tokio::time::Instant::now();
        let beat = client.block().await.unwrap();
        assert!(beat.is_comment, "{beat:?}");
        let elapsed = started.elapsed();
        assert!(elapsed >= Duration::from_secs(14) && elapsed <= Duration::from_secs(16), "{elapsed:?}");
    }
}

#[tokio::test]
async fn who_is_behind_for_too_long_is_cut_off_and_goes_on_where_it_was() {
    // From memory and from the store.
    for ring in [16 << 20, 0] {
        let mut world = World::new().await;
        world.config.limits.streams.ring = ring;
        let following = Following::start(world.api().await);
        let router = following.api.router();
        let mut slow = Client::open(&router, "/v1/stream", None).await;
        let mut quick = Client::open(&router, "/v1/stream", None).await;
        let quick = tokio::spawn(async move {
            // The clock jumps: no limit of time.
            let mut bars = 0;
            while bars < 100 {
                bars += i32::from(quick.block().await.expect("the stream ended").event == "bar");
            }
        });
        let mut seen = Seen::default();
        seen.take(&slow.event("status").await);
        let start = at("2025-01-31T15:00:00Z");
        let mut sequence = Sequence(0);
        for n in 0..50 {
            sequence = world.commit_bars(&[bar("AAPL", start.plus(n), "1", 1)]).await;
            following.has_seen(sequence).await;
        }
        seen.take(&slow.event("bar").await);
        slow.blocks.clear();
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(61)).await;
        tokio::time::resume();
        for n in 50..100 {
            sequence = world.commit_bars(&[bar("AAPL", start.plus(n), "1", 1)]).await;
            following.has_seen(sequence).await;
        }
        // It may still get what was on its way.
        let mut last = Block::default();
        while let Some(block) = slow.block().await {
            seen.take(&block);
            last = block;
        }
        assert!(last.retry.is_some(), "{last:?}");
        let metrics = get(&router, "/metrics").await;
        assert!(metrics.text().contains("qqq_streams_ended_total{reason=\"slow\"} 1"), "{}", metrics.text());
        quick.await.unwrap();
        let mut back = Client::open(&router, "/v1/stream", seen.last.as_deref()).await;
        while place(seen.last.as_ref().unwrap()).sequence < sequence {
            seen.take(&back.expect().await);
        }
    }
}

#[tokio::test]
async fn a_store_that_fails_ends_a_stream_that_needs_it_and_no_other() {
    let world = World::new().await;
    world.commit_bars(&[bar("AAPL", at("2025-01-31T15:00:00Z"), "1", 1)]).await;
    let faulty = Arc::new(Faulty::over(&world));
    let router = world.api_over(faulty.clone()).await.router();
    let mut live = Client::open(&router, "/v1/stream", None).await;
    let mut behind = Client::open(&router, "/v1/stream", Some("0")).await;
    faulty.set(Fault::Error);
    assert_eq!(live.event("status").await.id.as_deref(), Some("1"));
    assert!(behind.expect().await.retry.is_some());
    assert!(behind.expect().await.retry.is_some());
    assert_eq!(behind.block().await, None);
    let refused = get(&router, "/v1/stream?last_event_id=0").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(open(&router).await, 1);
}

/// A stream over a connection.
async fn connect(server: &Server, receive_buffer: Option<u32>) -> tokio::net::TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    if let Some(bytes) = receive_buffer {
        socket.set_recv_buffer_size(bytes).unwrap();
    }
    let mut stream = socket.connect(server.address).await.unwrap();
    stream.write_all(b"GET /v1/stream HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    stream
}

#[tokio::test]
async fn stopping_ends_streams_at_once_with_a_last_word() {
    let mut world = World::new().await;
    world.config.limits.drain = Duration::from_secs(3600);
    let api = world.api().await;
    let router = api.router();
    let mut server = Server::start(api).await;
    let mut streams = Vec::new();
    for _ in 0..10 {
        streams.push(connect(&server, None).await);
    }
    until("ten streams are open", async || open(&router).await == 10).await;
    server.stop.cancel();
    for mut stream in streams {
        let text = read_to_close(&mut stream).await;
        assert_eq!(text.matches("retry: ").count(), 2, "{text}");
        assert!(text.ends_with("\r\n0\r\n\r\n"), "{text}");
    }
    in_time("the server to end", &mut server.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_given_up_while_others_go_on() {
    let mut world = World::new().await;
    world.config.limits.write_stall = Duration::from_secs(1);
    let names: Vec<Symbol> = (0..1_000).map(|n| symbol(&format!("T{n}"))).collect();
    world.watchlist = qqq_core::Watchlist::new(names.iter().copied(), []).unwrap().into();
    let following = Following::start(world.api().await);
    let router = following.api.router();
    let server = Server::start(following.api.clone()).await;
    let _stalled = connect(&server, Some(4_096)).await;
    let mut reading = connect(&server, None).await;
    until("two streams are open", async || open(&router).await == 2).await;
    let mut text = Vec::new();
    let mut start = at("2025-01-31T15:00:00Z");
    let deadline = Instant::now() + Duration::from_secs(30);
    while open(&router).await == 2 {
        assert!(Instant::now() < deadline, "the stalled client was kept");
        start = start.plus(1);
        let bars: Vec<_> = names.iter().map(|name| bar(name.as_str(), start, "1", 1)).collect();
        following.has_seen(world.commit_bars(&bars).await).await;
        let mark = format!("{}.T999\n", start.index());
        while !String::from_utf8_lossy(&text[text.len().saturating_sub(32 * 1024)..]).contains(&mark) {
            let n = reading.read_buf(&mut text).await.unwrap();
            assert!(n > 0, "the other one was cut off");
        }
        text.clear();
    }
    assert_eq!(open(&router).await, 1);
    let metrics = get(&router, "/metrics").await;
    assert!(metrics.text().contains("qqq_http_connections_stalled_total 1"), "{}", metrics.text());
}

#[tokio::test]
async fn stopping_does_not_wait_for_a_client_that_reads_nothing() {
    let mut world = World::new().await;
    world.config.limits.drain = Duration::from_secs(3600);
    world.config.limits.write_stall = Duration::from_secs(3600);
    let names: Vec<Symbol> = (0..1_000).map(|n| symbol(&format!("T{n}"))).collect();
    world.watchlist = qqq_core::Watchlist::new(names.iter().copied(), []).unwrap().into();
    let following = Following::start(world.api().await);
    let router = following.api.router();
    let mut server = Server::start(following.api.clone()).await;
    let _stalled = connect(&server, Some(4_096)).await;
    until("a stream is open", async || open(&router).await == 1).await;
    // More than both ends keep.
    for n in 0..5 {
        let start = at("2025-01-31T15:00:00Z").plus(n);
        let bars: Vec<_> = names.iter().map(|name| bar(name.as_str(), start, "1", 1)).collect();
        following.has_seen(world.commit_bars(&bars).await).await;
    }
    server.stop.cancel();
    in_time("the server to end", &mut server.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_that_leaves_frees_its_place() {
    let world = World::new().await;
    let api: Api = world.api().await;
    let router = api.router();
    let server = Server::start(api).await;
    let stream = connect(&server, None).await;
    until("a stream is open", async || open(&router).await == 1).await;
    drop(stream);
    until("no stream is open", async || open(&router).await == 0).await;
}
