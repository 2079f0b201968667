//! How soon a commit reaches every client of `/v1/stream`, and what a stream costs in memory, for clients
//! that read and for clients that do not. Server and clients share this process and its cores: all figures
//! are upper bounds. `cargo bench -p qqq-bench --bench streams`.

// A benchmark fails by panicking, and prints.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use jiff::Timestamp;
use prometheus_client::registry::Registry;
use qqq_core::market::calendar::Market;
use qqq_core::market::watchlist::DEFAULT_SYMBOLS;
use qqq_core::subscription::token::TokenKey;
use qqq_core::{Bar, Calendar, Clock, Figures, Price, Second, Statistics, Symbol, Watchlist};
use qqq_engine::watchlist::{WatchlistBasis, Watchlists};
use qqq_http::{Api, ApiConfig};
use qqq_store::{BarRecord, Batch, Store};
use qqq_testkit::bars::flat;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

const COMMITS: usize = 200;
/// Bars and figures of the default watchlist.
const EVENTS: usize = 2 * DEFAULT_SYMBOLS.len();

struct FixedClock(Timestamp);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}

struct Server {
    store: Arc<dyn Store>,
    wakeup: Arc<Notify>,
    address: SocketAddr,
    minute: Second,
    stop: CancellationToken,
    _folder: tempfile::TempDir,
}

impl Server {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = qqq_store::open(&format!("sqlite://{}/bench.db", folder.path().display())).await.unwrap();
        let now: Timestamp = "2025-01-31T20:00:30Z".parse().unwrap();
        let mut config = ApiConfig::new("http://127.0.0.1".parse().unwrap());
        (config.limits.connections, config.limits.connections_per_network) = (10_000, 10_000);
        (config.limits.streams.open, config.limits.streams.open_per_network) = (10_000, 10_000);
        let watchlist = Watchlist::new(DEFAULT_SYMBOLS.map(symbol), []).unwrap();
        let api = Api::load(
            Arc::clone(&store),
            Arc::new(Watchlists::new(
                Arc::clone(&store),
                WatchlistBasis { configured: (&watchlist).into(), admit: Arc::new(|_| Ok(())) },
            )),
            Arc::new(Calendar::new(Market::Always, false, [])),
            Arc::new(FixedClock(now)),
            TokenKey::new([7; 32]),
            config,
            Arc::new(Mutex::new(Registry::default())),
        )
        .await
        .unwrap();
        let (wakeup, stop) = (Arc::new(Notify::new()), CancellationToken::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tail, serve) = (api.clone(), api);
        tokio::spawn({
            let (wakeup, stop) = (Arc::clone(&wakeup), stop.clone());
            async move { tail.tail(wakeup, stop).await.unwrap() }
        });
        tokio::spawn({
            let stop = stop.clone();
            async move { serve.serve(listener, stop).await.unwrap() }
        });
        Self { store, wakeup, address, minute: Second::minute_of(now), stop, _folder: folder }
    }

    /// Commits a minute of every symbol, and answers when it was durable.
    async fn commit(&mut self) -> Instant {
        self.minute = self.minute.plus_minutes(1);
        let batch = Batch {
            bars: DEFAULT_SYMBOLS.map(|name| BarRecord { bar: bar(name, self.minute), revision: 0 }).to_vec(),
            statistics: DEFAULT_SYMBOLS.map(|name| statistics(name, self.minute)).to_vec(),
            ..Batch::default()
        };
        self.store.commit(&batch, self.minute.minute_end()).await.unwrap();
        let at = Instant::now();
        self.wakeup.notify_one();
        at
    }
}

fn symbol(name: &str) -> Symbol {
    name.parse().unwrap()
}

fn bar(name: &str, start: Second) -> Bar {
    let price = Price::from_nanos(100_250_000_000 + i64::from(start.minute() % 97) * 10_000_000).unwrap();
    Bar { feed: "iex".parse().unwrap(), ..flat(name, start, price, 51_234) }
}

fn statistics(name: &str, start: Second) -> Statistics {
    let figures = Figures {
        stdev: Some(f64::from(start.minute()).sqrt()),
        relative_stdev: Some(0.000_9),
        trailing_average: Some(688.7),
        ratio: Some(1.000_7),
        window_bars: 60,
    };
    let (feed, further) = ("iex".parse().unwrap(), Vec::new());
    Statistics { symbol: symbol(name), start, feed, price: figures, volume: figures, further }
}

async fn connect(address: SocketAddr, receive_buffer: Option<u32>) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    if let Some(bytes) = receive_buffer {
        socket.set_recv_buffer_size(bytes).unwrap();
    }
    let mut stream = socket.connect(address).await.unwrap();
    stream.write_all(b"GET /v1/stream HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    stream
}

/// Reads for ever; tells when each commit was there whole.
async fn read(mut stream: TcpStream, arrived: mpsc::UnboundedSender<Instant>) {
    let mut buffer = vec![0; 16 * 1024];
    let (mut events, mut told, mut tail) = (0, 0, [0; 13]);
    while let Ok(n @ 1..) = stream.read(&mut buffer[13..]).await {
        // A name may lie across two pieces.
        buffer[..13].copy_from_slice(&tail);
        let text = &buffer[..13 + n];
        events += text
            .windows(14)
            .filter(|window| window == b"event: stats\nd" || window == b"\nevent: bar\nda")
            .count();
        tail.copy_from_slice(&text[text.len() - 13..]);
        while events >= (told + 1) * EVENTS {
            told += 1;
            arrived.send(Instant::now()).unwrap();
        }
    }
}

/// Resident bytes of this process.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or_default() * 4096
}

fn main() {
    // `cargo bench` passes `--bench`; `cargo test` passes nothing and is not to wait for this.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    println!(
        "{:>8} {:>14} {:>10} {:>10} {:>10}   from the commit to each client",
        "clients", "KiB/stream", "p50 ms", "p99 ms", "max ms"
    );
    for clients in [1, 100, 500, 1_000] {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(reading(clients));
        runtime.shutdown_timeout(Duration::from_secs(5));
    }
    let runtime = Runtime::new().unwrap();
    runtime.block_on(stalled(500));
}

async fn reading(clients: usize) {
    let mut server = Server::start().await;
    let before = resident();
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    for _ in 0..clients {
        tokio::spawn(read(connect(server.address, None).await, arrived.clone()));
    }
    let mut latencies = Vec::with_capacity(COMMITS * clients);
    for commit in 0..=COMMITS {
        let at = server.commit().await;
        for _ in 0..clients {
            let latency = arrivals.recv().await.unwrap() - at;
            // The first one waits for the last to connect.
            if commit > 0 {
                latencies.push(latency.as_secs_f64() * 1e3);
            }
        }
    }
    let memory = resident().saturating_sub(before) / clients / 1024;
    latencies.sort_unstable_by(f64::total_cmp);
    let at = |part: f64| latencies[((latencies.len() - 1) as f64 * part) as usize];
    println!("{clients:>8} {memory:>14} {:>10.2} {:>10.2} {:>10.2}", at(0.5), at(0.99), at(1.0));
    server.stop.cancel();
}

/// Clients that read nothing, while one that does sees many commits.
async fn stalled(clients: usize) {
    let mut server = Server::start().await;
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    tokio::spawn(read(connect(server.address, None).await, arrived));
    // Fills the ring, which is held once whoever listens.
    for _ in 0..4_000 {
        server.commit().await;
        arrivals.recv().await.unwrap();
    }
    let before = resident();
    let mut held = Vec::new();
    for _ in 0..clients {
        held.push(connect(server.address, Some(4_096)).await);
    }
    let mut worst = Duration::ZERO;
    for _ in 0..1_000 {
        let at = server.commit().await;
        worst = worst.max(arrivals.recv().await.unwrap() - at);
    }
    let memory = resident().saturating_sub(before) / clients / 1024;
    println!(
        "{clients} clients that read nothing: {memory} KiB each; another one waited {worst:.2?} at most"
    );
    server.stop.cancel();
}
