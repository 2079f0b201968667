//! The stream of events over real connections, cut off again and again: what a client has seen in the end is
//! what was recorded and what the server says, and it has seen no event twice.

use crate::recording;
use qqq_e2e::Tracker;
use qqq_testkit::http::Http;
use qqq_testkit::wait_for;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(20);
const KILLS: usize = 1_000;
const WEEK: [&str; 10] = ["AAPL", "MSFT", "AMZN", "TSLA", "META", "GOOG", "NFLX", "NVDA", "PYPL", "ADBE"];

#[test]
fn a_client_killed_a_thousand_times_sees_everything_and_no_event_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let recording = week().unwrap_or_else(|| invented(folder.path()));
    let expected = recorded(&recording);
    assert!(expected.len() > 5_000, "{}", expected.len());
    let mut tracker = Tracker::new();
    tracker.set("feed.provider", "replay").set("feed.replay.path", recording.display());
    tracker.set("feed.replay.speed", "9000x").set("watchlist.symbols", WEEK.join(","));
    // A server notices some time after a client that the connection is gone.
    tracker.set("server.max_streams_per_client", 500).set("server.max_connections_per_client", 1_000);
    tracker.start("run");
    let http = tracker.http();

    let (over, kills) = (AtomicBool::new(false), AtomicUsize::new(0));
    let paths = ["/v1/stream?last_event_id=0", "/v1/stream?last_event_id=0&symbols=tsla,FB"];
    let seen = std::thread::scope(|scope| {
        let clients = paths.map(|path| {
            let (over, kills) = (&over, &kills);
            scope.spawn(move || {
                let mut client = Client::new(http.address(), path);
                let mut killed = 0;
                while killed < KILLS || !over.load(Ordering::SeqCst) {
                    // Nobody to connect to while the server starts again.
                    if client.read_a_little() {
                        killed += 1;
                        kills.fetch_add(1, Ordering::SeqCst);
                    }
                }
                client
            })
        });
        // In the middle the server itself is killed, and plays on where it was.
        let starts: BTreeSet<&String> = expected.keys().map(|(_, start)| start).collect();
        let half = *starts.iter().nth(starts.len() / 2).expect("bars");
        wait_for("a part of the recording", PATIENCE, || (newest(&http)? >= *half).then_some(()));
        assert!(!tracker.stderr().contains("the recording is over"), "ended too early to show anything");
        tracker.kill_9();
        tracker.start("run");
        // The source has played to its end before the last of it is judged and stored.
        let last = *starts.last().expect("bars");
        wait_for("the end of the recording", PATIENCE, || (newest(&http)? == *last).then_some(()));
        eprintln!("{} connections cut off before the end of the recording", kills.load(Ordering::SeqCst));
        over.store(true, Ordering::SeqCst);
        clients.map(|client| client.join().expect("a client that ends"))
    });

    let [mut all, mut some] = seen;
    let end = position(&http);
    for client in [&mut all, &mut some] {
        client.read_until(end);
        eprintln!("{} events in {} connections", client.ids.len(), client.connections);
    }
    all.agrees_with(&http, &expected, &WEEK);
    some.agrees_with(&http, &expected, &["META", "TSLA"]);

    // Another server, which knows only what the store holds, goes on from any event, by the same ids.
    assert_eq!(tracker.terminate(STOP).code(), Some(0));
    tracker.start("server");
    let latest: BTreeSet<Id> = all.rows.values().map(|(id, _)| id.clone()).collect();
    let ids: Vec<Id> = all.ids.iter().cloned().collect();
    for _ in 0..5 {
        let from = fastrand::usize(ids.len() / 2..ids.len());
        let mut client = Client::new(http.address(), "/v1/stream");
        client.last = Some(ids[from].clone());
        client.read_until(end);
        client.ids.retain(|id| !id.is_of_a_status());
        let rest: BTreeSet<Id> = latest.iter().filter(|id| **id > ids[from]).cloned().collect();
        assert!(client.ids == rest, "{} and {} events after {:?}", client.ids.len(), rest.len(), ids[from]);
    }
}

/// The recorded week. Without it, the test goes on with invented bars and says so.
fn week() -> Option<PathBuf> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/week_2025-01-27_ten.csv.gz");
    if !file.is_file() {
        eprintln!("no recorded week at {}: playing an invented one", file.display());
    }
    file.is_file().then_some(file)
}

fn invented(folder: &Path) -> PathBuf {
    let file = folder.join("invented.csv");
    recording::write(&file, &recording::hostile(5));
    file
}

/// Symbol and start of a bar, and its open, high, low, close and volume.
type Bars = BTreeMap<(String, String), [f64; 5]>;

/// The bars of a recording that lie in the regular session, which in this week is 14:30 to 21:00 UTC every
/// day.
fn recorded(file: &Path) -> Bars {
    let text = if file.extension().is_some_and(|extension| extension == "gz") {
        let output = Command::new("gzip").arg("-dc").arg(file).output().expect("gzip runs");
        assert!(output.status.success());
        String::from_utf8(output.stdout).expect("UTF-8")
    } else {
        std::fs::read_to_string(file).expect("the recording")
    };
    let mut bars = Bars::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let (symbol, start) = (fields[0], fields[1]);
        let in_session = ("14:30".."21:00").contains(&&start[11..16]);
        if in_session && WEEK.contains(&symbol) {
            let numbers = [2, 3, 4, 5, 6].map(|n| fields[n].parse().expect("a number"));
            bars.insert((symbol.to_owned(), start.to_owned()), numbers);
        }
    }
    bars
}

/// The place an event's id says, in the order of the stream.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Id {
    sequence: u64,
    /// Bars, statistics, alerts, and what comes after them all.
    kind: u8,
    /// Of a bar its symbol.
    name: String,
    minute: u32,
    text: String,
}

impl Id {
    fn parse(text: &str) -> Self {
        let mut parts = text.splitn(3, '.');
        let sequence = parts.next().and_then(|part| part.parse().ok()).expect("a sequence");
        let (kind, rest) = (parts.next(), parts.next().unwrap_or_default());
        let (kind, minute, name) = match kind {
            Some("b") => {
                let (minute, symbol) = rest.split_once('.').expect("a minute and a symbol");
                (0, minute.parse().expect("a minute"), symbol)
            }
            Some("s") => (1, 0, rest),
            Some("a") => (2, 0, rest),
            None => (3, 0, ""),
            Some(other) => panic!("an unknown kind {other}"),
        };
        Self { sequence, kind, name: name.to_owned(), minute, text: text.to_owned() }
    }

    fn is_of_a_status(&self) -> bool {
        self.kind == 3
    }
}

/// A client, over all its connections.
struct Client {
    address: SocketAddr,
    path: &'static str,
    last: Option<Id>,
    ids: BTreeSet<Id>,
    /// The latest of each row: its kind and what it is of, its id, its data.
    rows: BTreeMap<(String, String), (Id, Value)>,
    connections: usize,
    /// By a status of the latest connection.
    told_all_up_to: Option<u64>,
}

impl Client {
    fn new(address: SocketAddr, path: &'static str) -> Self {
        let (ids, rows) = (BTreeSet::new(), BTreeMap::new());
        Self { address, path, last: None, ids, rows, connections: 0, told_all_up_to: None }
    }

    /// One connection: reads until a moment or an amount at random, and is gone. False where there was none.
    fn read_a_little(&mut self) -> bool {
        let until = Instant::now() + Duration::from_micros(fastrand::u64(0..12_000));
        // A piece that ends anywhere: in an event, in a line, in a character's middle if there were any.
        let most = if fastrand::bool() { usize::MAX } else { fastrand::usize(1..20_000) };
        self.connection(until, most, |_| false)
    }

    /// Reads on until everything up to a commit is there: until a status says so.
    #[track_caller]
    fn read_until(&mut self, sequence: u64) {
        let is_there = |client: &Self| client.told_all_up_to.is_some_and(|all| all >= sequence);
        let patience = Instant::now() + PATIENCE;
        assert!(self.connection(patience, usize::MAX, is_there), "no connection");
        assert!(is_there(self), "waited in vain for commit {sequence}: {:?}", self.last);
    }

    /// One connection, until a time, so many bytes, or `enough`.
    fn connection(&mut self, until: Instant, most: usize, enough: impl Fn(&Self) -> bool) -> bool {
        let Ok(mut stream) = TcpStream::connect_timeout(&self.address, Duration::from_secs(5)) else {
            return false;
        };
        let last = self.last.as_ref().map(|id| format!("last-event-id: {}\r\n", id.text)).unwrap_or_default();
        // An answer to HTTP/1.0 comes without chunks.
        let request = format!("GET {} HTTP/1.0\r\n{last}\r\n", self.path);
        if stream.write_all(request.as_bytes()).is_err() {
            return false;
        }
        self.connections += 1;
        self.told_all_up_to = None;
        let mut text = String::new();
        let mut head = false;
        let mut read = 0;
        let mut piece = [0; 4_096];
        while read < most {
            let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
            else {
                break;
            };
            stream.set_read_timeout(Some(left)).expect("a time");
            let size = piece.len().min(most - read);
            match stream.read(&mut piece[..size]) {
                Ok(0) => break,
                Ok(n) => {
                    read += n;
                    text.push_str(std::str::from_utf8(&piece[..n]).expect("ASCII"));
                }
                Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => break,
                Err(_) => break,
            }
            if !head {
                let Some((lines, rest)) = text.split_once("\r\n\r\n") else { continue };
                assert!(lines.starts_with("HTTP/1.0 200 "), "{lines}");
                (head, text) = (true, rest.to_owned());
            }
            while let Some((block, rest)) = text.split_once("\n\n") {
                self.take(block);
                text = rest.to_owned();
            }
            if enough(self) {
                break;
            }
        }
        true
    }

    fn take(&mut self, block: &str) {
        let field = |name: &str| {
            block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default()
        };
        let (id, event, data) = (field("id"), field("event"), field("data"));
        assert_ne!(event, "reset", "{block}");
        let data =
            || -> Value { serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {block}")) };
        if event == "status" {
            self.told_all_up_to = data()["sequence"].as_u64();
        }
        if id.is_empty() {
            return;
        }
        let id = Id::parse(id);
        if let Some(last) = &self.last {
            assert!(id > *last, "{id:?} after {last:?}");
        }
        self.last = Some(id.clone());
        assert!(self.ids.insert(id.clone()), "{id:?} twice");
        let data = data();
        let text = |name: &str| data[name].as_str().expect(name).to_owned();
        let row = match event {
            "bar" => text("symbol") + " " + &text("start"),
            "stats" => text("symbol"),
            "alert" => text("id"),
            "status" => return,
            other => panic!("an unknown event {other}"),
        };
        self.rows.insert((event.to_owned(), row), (id, data));
    }

    fn rows(&self, event: &str) -> impl Iterator<Item = (&str, &Value)> {
        self.rows
            .iter()
            .filter(move |((name, _), _)| name == event)
            .map(|((_, row), (_, data))| (row.as_str(), data))
    }

    #[track_caller]
    fn agrees_with(&self, http: &Http, recorded: &Bars, symbols: &[&str]) {
        let mut bars = self.rows("bar").count();
        for ((symbol, start), numbers) in
            recorded.iter().filter(|((symbol, _), _)| symbols.contains(&&**symbol))
        {
            let row = ("bar".to_owned(), format!("{symbol} {start}"));
            let Some((_, data)) = self.rows.get(&row) else { panic!("missed {symbol} {start}") };
            let told =
                ["open", "high", "low", "close", "volume"].map(|name| data[name].as_f64().expect(name));
            let same = |(one, other): (&f64, &f64)| (one - other).abs() <= one.abs() * 1e-12;
            assert!(numbers.iter().zip(&told).all(same), "{symbol} {start}: {numbers:?}, told {told:?}");
            bars -= 1;
        }
        assert_eq!(bars, 0, "more bars than were recorded");

        let mut alerts: BTreeMap<&str, &Value> = self.rows("alert").collect();
        let all = every_alert(http);
        let of_symbols =
            all.iter().filter(|alert| symbols.contains(&alert["symbol"].as_str().expect("a symbol")));
        for alert in of_symbols {
            let id = alert["id"].as_str().expect("an id");
            assert_eq!(alerts.remove(id), Some(alert), "{id}");
        }
        assert!(alerts.is_empty(), "{alerts:?}");

        let statistics: BTreeMap<&str, &Value> = self.rows("stats").collect();
        let with_bars: BTreeSet<&str> = recorded.keys().map(|(symbol, _)| symbol.as_str()).collect();
        let with_bars = symbols.iter().filter(|symbol| with_bars.contains(*symbol)).count();
        assert_eq!(statistics.len(), with_bars);
        for (symbol, told) in statistics {
            let known = http.get(&format!("/v1/symbols/{symbol}")).json();
            assert_eq!(told["statistics"], known["statistics"], "{symbol}");
        }
    }
}

/// The start of the newest bar of any symbol.
fn newest(http: &Http) -> Option<String> {
    let symbols = http.get("/v1/symbols").json();
    let starts = symbols["items"].as_array()?.iter().filter_map(|symbol| symbol["bar"]["start"].as_str());
    starts.max().map(str::to_owned)
}

/// The commit the server's answers contain.
fn position(http: &Http) -> u64 {
    let answer = http.get("/v1/symbols");
    answer.header("stream-position").and_then(|text| text.parse().ok()).expect("a position")
}

fn every_alert(http: &Http) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = http.get(&format!("/v1/alerts?limit=1000&cursor={cursor}")).json();
        all.extend(page["items"].as_array().expect("a list").iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return all,
        }
    }
}
