//! Requests that come slowly, are too large, or whose end is in doubt.

use super::{ASK, Server, quick_world, status_of};
use crate::world::*;
use qqq_http::Rate;
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn peers_that_do_not_finish_a_request_are_closed_on_time() {
    let world = quick_world().await;
    let server = Server::start(world.api().await).await;
    for (what, bytes) in [
        ("nothing sent", &b""[..]),
        ("one byte", b"G"),
        ("half a header", b"GET / HTTP/1.1\r\nhost: x\r\nx-half"),
        ("half a preface of HTTP/2", b"PRI * HTTP/2.0\r\n"),
        ("a request, then idle", ASK),
        ("a request, then half of the next", b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\nGET /he"),
    ] {
        in_time(what, server.exchange(bytes)).await;
    }
    assert_eq!(status_of(&server.exchange(ASK).await), 200, "others are served");
}

#[tokio::test]
async fn a_header_that_trickles_in_does_not_reset_the_clock() {
    let world = quick_world().await;
    let server = Server::start(world.api().await).await;
    let mut stream = server.connect().await;
    let trickle = async {
        for byte in b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: ".iter().chain(std::iter::repeat(&b'a')) {
            if stream.write_all(&[*byte]).await.is_err() {
                break;
            }
            let mut nothing = [0; 1];
            if let Ok(Ok(0) | Err(_)) =
                tokio::time::timeout(Duration::from_millis(25), stream.read(&mut nothing)).await
            {
                break;
            }
        }
    };
    in_time("the connection to be closed", trickle).await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_a_408_and_a_close() {
    let world = quick_world().await;
    let server = Server::start(world.api().await).await;
    let head = "POST /subscribe HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    for body in ["content-length: 50\r\n\r\n{\"email\"", "transfer-encoding: chunked\r\n\r\n5\r\n{\"ema"] {
        let answer = server.exchange(format!("{head}{body}").as_bytes()).await;
        assert_eq!(status_of(&answer), 408, "{answer}");
        assert!(answer.contains("application/problem+json"), "{answer}");
    }
}

#[tokio::test]
async fn a_body_nobody_reads_does_not_hold_the_connection() {
    let world = quick_world().await;
    let server = Server::start(world.api().await).await;
    let answer =
        server.exchange(b"POST /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\nabc").await;
    assert_eq!(status_of(&answer), 405, "{answer}");
    let answer = server.exchange(b"GET /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nabc").await;
    assert_eq!(status_of(&answer), 200, "{answer}");
}

#[tokio::test]
async fn a_long_body_is_a_413_told_or_chunked() {
    let world = quick_world().await;
    let server = Server::start(world.api().await).await;
    let head = "POST /subscribe HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let told = format!("{head}content-length: 16385\r\n\r\n");
    assert_eq!(status_of(&server.exchange(told.as_bytes()).await), 413);
    let mut chunked = format!("{head}transfer-encoding: chunked\r\n\r\n");
    for _ in 0..17 {
        chunked.push_str(&format!("400\r\n{}\r\n", " ".repeat(1024)));
    }
    chunked.push_str("0\r\n\r\n");
    assert_eq!(status_of(&server.exchange(chunked.as_bytes()).await), 413);
    let huge = format!("{head}content-length: 99999999999999999999999\r\n\r\n");
    let answer = server.exchange(huge.as_bytes()).await;
    assert_eq!(status_of(&answer), 400, "{answer}");
}

/// Sends all of a request before it reads anything, as most programs do. The answer, and an orderly close.
async fn told_after_all_was_sent(server: &Server, request: &[u8], what: &str) -> String {
    let mut stream = server.connect().await;
    stream.write_all(request).await.unwrap_or_else(|error| panic!("{what}: not taken whole: {error}"));
    let mut answer = Vec::new();
    let read = in_time("the connection to be closed", stream.read_to_end(&mut answer)).await;
    read.unwrap_or_else(|error| panic!("{what}: {error}"));
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_client_that_sends_five_megabytes_before_it_reads_finds_its_answer() {
    const LENGTH: usize = 5_000_000;
    let mut world = World::new().await;
    world.config.limits.posts = Rate { per_minute: NonZeroU32::MIN, burst: NonZeroU32::new(6).unwrap() };
    let server = Server::start(world.api().await).await;
    let body = "x".repeat(LENGTH);
    let id = "/v1/subscriptions/00000000-0000-0000-0000-000000000000";
    // Three kinds of these are counted, and each comes twice: the seventh is one too many.
    for (status, line, headers) in [
        (413, "POST /subscribe", "host: x\r\ncontent-type: application/json\r\n"),
        (415, "POST /subscribe", "host: x\r\ncontent-type: text/csv\r\n"),
        (401, &format!("DELETE {id}"), "host: x\r\n"),
        (429, "POST /subscribe", "host: x\r\ncontent-type: application/json\r\n"),
        (404, "POST /nothing/at/all", "host: x\r\n"),
        (405, "POST /healthz", "host: x\r\n"),
        (400, "POST /subscribe", ""),
        (200, "GET /healthz", "host: x\r\n"),
    ] {
        let told = format!("content-length: {LENGTH}\r\n\r\n{body}");
        let chunked = format!("transfer-encoding: chunked\r\n\r\n{LENGTH:x}\r\n{body}\r\n0\r\n\r\n");
        for sent in [told, chunked] {
            let request = format!("{line} HTTP/1.1\r\n{headers}{sent}");
            let answer = told_after_all_was_sent(&server, request.as_bytes(), line).await;
            assert_eq!(status_of(&answer), status, "{line}: {answer}");
        }
    }
    // What is no request at all, and a head without end.
    let long = format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx-long: {body}\r\n\r\n");
    assert_eq!(status_of(&told_after_all_was_sent(&server, long.as_bytes(), "a long head").await), 431);
    let none = format!("no request\r\n\r\n{body}");
    assert_eq!(status_of(&told_after_all_was_sent(&server, none.as_bytes(), "no request").await), 400);
}

#[tokio::test]
async fn whoever_sends_on_after_the_answer_is_cut_off() {
    let mut world = quick_world().await;
    let endless =
        b"POST /nothing/at/all HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nffffffff\r\n";
    let cut_off = async |server: &Server, piece: &[u8], pause: Duration| {
        let mut stream = server.connect().await;
        stream.write_all(endless).await.unwrap();
        let send = async {
            let mut sent = 0;
            while stream.write_all(piece).await.is_ok() {
                sent += piece.len();
                tokio::time::sleep(pause).await;
            }
            sent
        };
        tokio::time::timeout(Duration::from_secs(20), send).await.expect("the server reads for ever")
    };
    // In time, whether much is sent or little.
    let server = Server::start(world.api().await).await;
    cut_off(&server, &[b'x'; 1 << 16], Duration::from_millis(1)).await;
    cut_off(&server, b"x", Duration::from_millis(25)).await;
    // In size, with time left.
    world.config.limits.linger = Duration::from_secs(60);
    let server = Server::start(world.api().await).await;
    let sent = cut_off(&server, &[b'x'; 1 << 20], Duration::ZERO).await;
    assert!(sent > 60 << 20, "{sent}");
}

#[tokio::test]
async fn heads_over_the_limits_are_431_or_414() {
    let world = quick_world().await;
    let server = Server::start(world.api().await).await;
    let with_headers = |count: usize| {
        let lines: String = (0..count).map(|n| format!("x-{n}: 1\r\n")).collect();
        format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{lines}\r\n")
    };
    assert_eq!(status_of(&server.exchange(with_headers(63).as_bytes()).await), 200);
    assert_eq!(status_of(&server.exchange(with_headers(64).as_bytes()).await), 431);
    for length in [8_200, 20_000, 200_000] {
        let long = format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "a".repeat(length));
        assert_eq!(status_of(&server.exchange(long.as_bytes()).await), 431, "{length}");
    }
    let path = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(7_000));
    assert_eq!(status_of(&server.exchange(path.as_bytes()).await), 404);
}

/// Two servers must never disagree about where a request ends (RFC 9112 section 6.3).
#[tokio::test]
async fn requests_whose_end_is_in_doubt_are_refused_or_end_the_connection() {
    let world = quick_world().await;
    let server = Server::start(world.api().await).await;
    let smuggled = "GET /v1/symbols HTTP/1.1\r\nhost: x\r\n\r\n";
    for (what, headers, body) in [
        ("two lengths", "content-length: 3\r\ncontent-length: 4\r\n", "abc"),
        ("a list of lengths", "content-length: 3, 4\r\n", "abc"),
        ("a signed length", "content-length: +3\r\n", "abc"),
        ("a negative length", "content-length: -3\r\n", "abc"),
        ("a hexadecimal length", "content-length: 0x3\r\n", "abc"),
        ("an empty length", "content-length: \r\n", ""),
        ("an unknown coding", "transfer-encoding: gzip\r\n", "abc"),
        ("chunked not last", "transfer-encoding: chunked, gzip\r\n", "0\r\n\r\n"),
        ("a blank before the colon", "content-length : 3\r\n", "abc"),
        ("a folded line", "x-a: b\r\n c: d\r\n", ""),
        ("a bare carriage return", "x-a: b\rc: d\r\n", ""),
        ("a nul", "x-a: b\0c\r\n", ""),
        ("a bad chunk size", "transfer-encoding: chunked\r\n", "zz\r\nabc\r\n0\r\n\r\n"),
        ("a huge chunk size", "transfer-encoding: chunked\r\n", "fffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
        ("no host", "REMOVE-HOST", ""),
        ("two hosts", "host: y\r\n", ""),
    ] {
        let host = if headers == "REMOVE-HOST" { "" } else { "host: x\r\n" };
        let headers = headers.trim_start_matches("REMOVE-HOST");
        let kind = "content-type: application/json\r\n";
        let request = format!("POST /subscribe HTTP/1.1\r\n{host}{kind}{headers}\r\n{body}{smuggled}");
        let answer = server.exchange(request.as_bytes()).await;
        assert!(answer.is_empty() || status_of(&answer) == 400, "{what}: {answer}");
        assert!(!answer.contains("next_cursor"), "{what}: {answer}");
    }
    // Both a length and chunks: the chunks count, and nothing after them is taken for a request.
    for headers in [
        "content-length: 6\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 6\r\n",
    ] {
        let request = format!("POST /subscribe HTTP/1.1\r\nhost: x\r\n{headers}\r\n0\r\n\r\n{smuggled}");
        let answer = server.exchange(request.as_bytes()).await;
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
        assert!(!answer.contains("next_cursor"), "{answer}");
    }
}
