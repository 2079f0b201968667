//! Who may hold a stream, who is given up, and how streams end.

use super::rows::Seen;
use super::*;

pub(super) async fn open(router: &Router) -> u64 {
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
            sequence = world.commit_bars(&[bar("AAPL", start.plus_minutes(n), "1", 1)]).await;
            following.has_seen(sequence).await;
        }
        seen.take(&slow.event("bar").await);
        slow.blocks.clear();
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(61)).await;
        tokio::time::resume();
        for n in 50..100 {
            sequence = world.commit_bars(&[bar("AAPL", start.plus_minutes(n), "1", 1)]).await;
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
        start = start.plus_minutes(1);
        let bars: Vec<_> = names.iter().map(|name| bar(name.as_str(), start, "1", 1)).collect();
        following.has_seen(world.commit_bars(&bars).await).await;
        let mark = format!("{}.T999\n", start.unix());
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
        let start = at("2025-01-31T15:00:00Z").plus_minutes(n);
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
