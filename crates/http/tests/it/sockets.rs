//! Connections: what hostile and slow peers get, and how the server stops.

use crate::faulty::{Fault, Faulty};
use crate::world::*;
use qqq_http::{Api, Cors, Origin};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

mod requests;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    pub(crate) async fn start(api: Api) -> Self {
        Self::over(async move |listener, stop| api.serve(listener, stop).await).await
    }

    async fn start_metrics(api: Api) -> Self {
        Self::over(async move |listener, stop| api.serve_metrics(listener, stop).await).await
    }

    async fn over<S>(serve: impl FnOnce(TcpListener, CancellationToken) -> S) -> Self
    where
        S: Future<Output = std::io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(listener, stop.clone()));
        Self { address, stop, task }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends raw bytes and reads whatever comes until the server closes.
    async fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        read_to_close(&mut stream).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Reads until the peer closes or resets; fails when it does neither.
pub(crate) async fn read_to_close(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let read = async {
        let mut some = [0; 4096];
        while let Ok(n @ 1..) = stream.read(&mut some).await {
            all.extend_from_slice(&some[..n]);
        }
    };
    in_time("the connection to be closed", read).await;
    String::from_utf8_lossy(&all).into_owned()
}

/// Reads one answer with a `content-length` off a connection that stays open.
async fn read_answer(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let read = async {
        loop {
            let text = String::from_utf8_lossy(&all).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head
                    .lines()
                    .find_map(|line| {
                        line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned)
                    })
                    .map_or(0, |length| length.parse::<usize>().unwrap());
                if body.len() >= length {
                    return text;
                }
            }
            let mut some = [0; 4096];
            let n = stream.read(&mut some).await.unwrap();
            assert!(n > 0, "closed early after {text:?}");
            all.extend_from_slice(&some[..n]);
        }
    };
    in_time("an answer", read).await
}

fn status_of(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{answer:?}"))
}

async fn quick_world() -> World {
    let mut world = World::new().await;
    let limits = &mut world.config.limits;
    limits.header_read = Duration::from_millis(400);
    limits.body_read = Duration::from_millis(400);
    limits.drain = Duration::from_millis(600);
    limits.linger = Duration::from_millis(400);
    world
}

fn closing_of(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
}

fn ask_of(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")
}

const ASK: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";

#[tokio::test]
async fn answers_over_a_socket_carry_no_server_name_and_a_connection_serves_several() {
    let world = quick_world().await;
    let server = Server::start(world.api().await).await;
    let mut stream = server.connect().await;
    for _ in 0..5 {
        stream.write_all(ASK).await.unwrap();
        let answer = read_answer(&mut stream).await;
        assert_eq!(status_of(&answer), 200);
        assert!(!answer.to_ascii_lowercase().contains("\r\nserver:"), "{answer}");
    }
    stream.write_all(&[ASK, ASK].concat()).await.unwrap();
    let both = read_to_close(&mut stream).await;
    assert_eq!(both.matches("HTTP/1.1 200").count(), 2, "pipelined: {both}");
    let old = server.exchange(b"GET /healthz HTTP/1.0\r\n\r\n").await;
    assert_eq!(status_of(&old), 200, "HTTP/1.0 has no host");
}

#[tokio::test]
async fn connections_over_the_cap_are_turned_away_and_places_come_free() {
    let mut world = quick_world().await;
    world.config.limits.connections = 3;
    let faulty = Arc::new(Faulty::over(&world));
    let server = Server::start(world.api_over(faulty.clone()).await).await;
    faulty.set(Fault::Wait);
    let mut held = Vec::new();
    for under_way in 1..=3 {
        let mut stream = server.connect().await;
        stream.write_all(ask_of(FROM_THE_STORE).as_bytes()).await.unwrap();
        until("the requests wait for the store", async || faulty.waiting() == under_way).await;
        held.push(stream);
    }
    let mut over = server.connect().await;
    let answer = read_to_close(&mut over).await;
    assert!(answer.is_empty() || status_of(&answer) == 503, "{answer}");
    faulty.set(Fault::None);
    for stream in &mut held {
        assert_eq!(status_of(&read_answer(stream).await), 404, "answered by the store");
    }
    assert_eq!(status_of(&server.exchange(closing_of("/healthz").as_bytes()).await), 200);
}

#[tokio::test]
async fn when_all_places_are_taken_those_who_send_nothing_make_way() {
    let mut world = quick_world().await;
    world.config.limits.header_read = Duration::from_secs(60);
    world.config.limits.connections = 3;
    let server = Server::start(world.api().await).await;
    let mut answered = server.connect().await;
    answered.write_all(ASK).await.unwrap();
    read_answer(&mut answered).await;
    let mut silent = server.connect().await;
    let mut half = server.connect().await;
    half.write_all(
        b"POST /subscribe HTTP/1.1\r\nhost: x\r\n\
          content-type: application/json\r\ncontent-length: 9\r\n\r\n{",
    )
    .await
    .unwrap();

    // Each newcomer is answered and stays, so one after another goes: the longest silent first.
    let mut newcomers = Vec::new();
    for gone in [&mut silent, &mut half, &mut answered] {
        let mut newcomer = server.connect().await;
        newcomer.write_all(ASK).await.unwrap();
        assert_eq!(status_of(&read_answer(&mut newcomer).await), 200);
        assert_eq!(read_to_close(gone).await, "");
        newcomers.push(newcomer);
    }
}

#[tokio::test]
async fn metrics_can_have_a_listener_of_their_own() {
    let mut world = quick_world().await;
    world.config.metrics_apart = true;
    world.config.limits.connections = 1;
    let api = world.api().await;
    let server = Server::start(api.clone()).await;
    let operators = Server::start_metrics(api).await;
    let refused = server.exchange(closing_of("/metrics").as_bytes()).await;
    assert!(status_of(&refused) == 404 && refused.contains("metrics_apart"), "{refused}");
    assert!(
        operators.exchange(closing_of("/metrics").as_bytes()).await.contains("qqq_clock_step_seconds 0.0")
    );
    assert_eq!(status_of(&operators.exchange(closing_of("/healthz").as_bytes()).await), 200);
    assert_ne!(status_of(&operators.exchange(closing_of("/readyz").as_bytes()).await), 404);
    for path in ["/", "/v1/symbols", "/AAPL/price", "/subscribe"] {
        assert_eq!(status_of(&operators.exchange(closing_of(path).as_bytes()).await), 404, "{path}");
    }
}

#[tokio::test]
async fn whoever_is_turned_away_with_a_request_on_its_way_reads_why() {
    let mut world = quick_world().await;
    world.config.limits.connections = 0;
    let server = Server::start(world.api().await).await;
    // Both before the server, which runs in this thread, can accept.
    let client = std::net::TcpStream::connect(server.address).unwrap();
    std::io::Write::write_all(&mut &client, ASK).unwrap();
    client.set_nonblocking(true).unwrap();
    let mut answer = String::new();
    TcpStream::from_std(client).unwrap().read_to_string(&mut answer).await.expect("an orderly close");
    assert_eq!(status_of(&answer), 503);
    assert!(answer.contains("retry-after: 5"), "{answer}");
}

#[tokio::test]
async fn one_address_cannot_take_all_connections() {
    let mut world = quick_world().await;
    world.config.limits.header_read = Duration::from_secs(30);
    world.config.limits.connections_per_network = 2;
    let server = Server::start(world.api().await).await;
    let (_one, _two) = (server.connect().await, server.connect().await);
    let mut third = server.connect().await;
    let answer = read_to_close(&mut third).await;
    assert!(answer.is_empty() || status_of(&answer) == 503, "{answer}");
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.9:0".parse().unwrap()).unwrap();
    let mut neighbour = socket.connect(server.address).await.unwrap();
    neighbour.write_all(ASK).await.unwrap();
    assert_eq!(status_of(&read_answer(&mut neighbour).await), 200);

    // A trusted proxy speaks for many.
    let mut world = quick_world().await;
    world.config.limits.header_read = Duration::from_secs(30);
    world.config.limits.connections_per_network = 2;
    world.config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    let server = Server::start(world.api().await).await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        let mut stream = server.connect().await;
        stream.write_all(ASK).await.unwrap();
        assert_eq!(status_of(&read_answer(&mut stream).await), 200);
        streams.push(stream);
    }
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_has_its_own_rate() {
    let mut world = quick_world().await;
    world.config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    let server = Server::start(world.api().await).await;
    let sign_up = |client: &str, n: usize| {
        let body = format!(r#"{{"email":"ada{n}@example.com","metric":"price","ticker":"AAPL"}}"#);
        format!(
            "POST /subscribe HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             x-forwarded-for: 9.9.9.{n}, {client}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    for n in 0..10 {
        assert_eq!(status_of(&server.exchange(sign_up("203.0.113.1", n).as_bytes()).await), 201);
    }
    let answer = server.exchange(sign_up("203.0.113.1", 11).as_bytes()).await;
    assert_eq!(status_of(&answer), 429, "a made-up first hop does not help");
    assert!(answer.contains("retry-after: "), "{answer}");
    assert_eq!(status_of(&server.exchange(sign_up("203.0.113.2", 12).as_bytes()).await), 201);
}

#[tokio::test]
async fn stopping_closes_idle_connections_and_lets_the_answer_under_way_finish() {
    let mut world = quick_world().await;
    world.config.limits.header_read = Duration::from_secs(30);
    world.config.limits.drain = Duration::from_secs(8);
    let faulty = Arc::new(Faulty::over(&world));
    let mut server = Server::start(world.api_over(faulty.clone()).await).await;
    let mut silent = server.connect().await;
    let mut idle = server.connect().await;
    idle.write_all(ASK).await.unwrap();
    read_answer(&mut idle).await;
    faulty.set(Fault::Wait);
    let mut busy = server.connect().await;
    busy.write_all(ask_of(FROM_THE_STORE).as_bytes()).await.unwrap();
    until("the requests wait for the store", async || faulty.waiting() == 1).await;
    server.stop.cancel();
    assert_eq!(read_to_close(&mut silent).await, "");
    assert_eq!(read_to_close(&mut idle).await, "");
    until("the port is closed", async || TcpStream::connect(server.address).await.is_err()).await;
    faulty.set(Fault::None);
    assert_eq!(status_of(&read_to_close(&mut busy).await), 404, "answered by the store");
    in_time("the server to end", &mut server.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn stopping_does_not_wait_for_ever() {
    let world = quick_world().await;
    let faulty = Arc::new(Faulty::over(&world));
    let mut server = Server::start(world.api_over(faulty.clone()).await).await;
    faulty.set(Fault::Hang);
    let mut stuck = server.connect().await;
    stuck.write_all(ask_of(FROM_THE_STORE).as_bytes()).await.unwrap();
    until("the requests wait for the store", async || faulty.waiting() == 1).await;
    server.stop.cancel();
    in_time("the server to end", &mut server.task).await.unwrap().unwrap();
    assert_eq!(read_to_close(&mut stuck).await, "");
}

#[tokio::test]
async fn a_reader_that_stalls_is_given_up() {
    let mut world = quick_world().await;
    world.config.limits.header_read = Duration::from_secs(30);
    world.config.limits.write_stall = Duration::from_secs(1);
    let names = (0..1_000).map(|n| symbol(&format!("T{n}")));
    world.watchlist = qqq_core::Watchlist::new(names, []).unwrap().into();
    let api = world.api().await;
    let router = api.router();
    let server = Server::start(api).await;
    let mut stalled = server.connect().await;
    // More than the buffers of both ends hold.
    let ask = b"GET /v1/symbols HTTP/1.1\r\nhost: x\r\n\r\n".repeat(100);
    stalled.write_all(&ask).await.unwrap();
    let open = || async {
        let text = get(&router, "/metrics").await.text().to_owned();
        text.lines().find_map(|line| line.strip_prefix("qqq_http_connections ")).unwrap().to_owned()
    };
    until("it is open", async || open().await == "1").await;
    until("it is closed", async || open().await == "0").await;
    assert_eq!(status_of(&server.exchange(closing_of("/healthz").as_bytes()).await), 200);
}

#[tokio::test]
async fn the_mails_of_a_demonstration_are_shown_to_its_own_machine_alone() {
    let mut world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let mail = "From: a@b.example\r\nTo: ada@example.com\r\nDate: Fri, 31 Jan 2025 20:59:03 +0000\r\n\
        Subject: NVDA\r\n\r\n18.7 times\r\n";
    std::fs::write(folder.path().join("20250131T205900Z-alert-NVDA-1.eml"), mail).unwrap();
    let ask = async |api: Api, headers: &str| {
        let server = Server::start(api).await;
        let request = format!("GET /v1/mailbox HTTP/1.1\r\n{headers}connection: close\r\n\r\n");
        server.exchange(request.as_bytes()).await
    };
    let without = ask(world.api().await, "host: localhost\r\n").await;
    assert!(without.starts_with("HTTP/1.1 404") && without.contains("no_mailbox"), "{without}");
    world.config.mailbox = Some(folder.path().to_owned());
    world.config.cors = Cors(vec![Origin::Any]);
    let shown = ask(world.api().await, "host: localhost\r\n").await;
    assert!(shown.starts_with("HTTP/1.1 200") && shown.contains("18.7 times"), "{shown}");
    assert!(shown.contains("cache-control: no-store"), "{shown}");
    for headers in [
        "host: tracker.example\r\n",
        "host: localhost\r\nvia: 1.1 proxy\r\n",
        "host: localhost\r\norigin: null\r\n",
    ] {
        let refused = ask(world.api().await, headers).await;
        assert!(refused.starts_with("HTTP/1.1 404") && !refused.contains("18.7"), "{headers}: {refused}");
    }
}

#[tokio::test]
async fn a_mail_of_a_demonstration_runs_and_loads_nothing_in_its_frame() {
    let mut world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let mail = "From: a@b.example\r\nTo: ada@example.com\r\nContent-Type: text/html\r\n\r\n\
        <html><head></head><p style=\"color:red\">18.7 times<script>alert(1)</script>";
    std::fs::write(folder.path().join("one.eml"), mail).unwrap();
    world.config.mailbox = Some(folder.path().to_owned());
    let ask = async |api: Api, path: &str, headers: &str| {
        let server = Server::start(api).await;
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{headers}connection: close\r\n\r\n");
        server.exchange(request.as_bytes()).await
    };
    let shown = ask(world.api().await, "/v1/mailbox/one", "").await;
    assert!(shown.starts_with("HTTP/1.1 200") && shown.contains("18.7 times"), "{shown}");
    let policies: Vec<_> =
        shown.lines().filter_map(|line| line.strip_prefix("content-security-policy: ")).collect();
    assert_eq!(
        policies,
        ["default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
          frame-ancestors 'self'; sandbox allow-top-navigation-by-user-activation"]
    );
    assert!(shown.contains("x-frame-options: SAMEORIGIN") && shown.contains("no-store"), "{shown}");
    let missing = ask(world.api().await, "/v1/mailbox/two", "").await;
    assert!(missing.starts_with("HTTP/1.1 404") && missing.contains("no_mail"), "{missing}");
    let refused = ask(world.api().await, "/v1/mailbox/one", "via: 1.1 proxy\r\n").await;
    assert!(refused.starts_with("HTTP/1.1 404") && !refused.contains("18.7"), "{refused}");
}
