//! Servers that answer badly: every provider must stay calm, quick and small.

use crate::given::{self, half_hour, symbols};
use futures_util::future::join_all;
use qqq_feed::{
    Alpaca, AlpacaConfig, FeedError, FeedErrorKind, Fetched, Iex, IexConfig, Provider, Yahoo, YahooConfig,
};
use qqq_testkit::http::{Reply, Server};
use std::process::Command;
use std::time::{Duration, Instant};
use url::Url;

const HTML: &str = "<!DOCTYPE html><html><body>Will be right back...</body></html>";

const NAMES: [&str; 3] = ["alpaca", "yahoo", "iex"];

/// A good answer of each provider for AAPL, with one bar at the start of the half hour.
fn good(provider: &str, close: &str) -> String {
    match provider {
        "alpaca" => format!(
            r#"{{
                "bars": {{"AAPL": [{{
                    "t": "2025-01-31T15:00:00Z", "o": {close}, "h": {close}, "l": {close}, "c": {close},
                    "v": 5, "n": 1, "vw": 1
                }}]}},
                "next_page_token": null
            }}"#
        ),
        "yahoo" => format!(
            r#"{{"chart": {{
                "result": [{{
                    "meta": {{"symbol": "AAPL", "dataGranularity": "1m"}},
                    "timestamp": [1738335600],
                    "indicators": {{"quote": [{{
                        "open": [{close}], "high": [{close}], "low": [{close}], "close": [{close}],
                        "volume": [5]
                    }}]}}
                }}],
                "error": null
            }}}}"#
        ),
        _ => format!(
            r#"{{"AAPL": {{"intraday-prices": [{{
                "date": "2025-01-31", "minute": "10:00",
                "open": {close}, "high": {close}, "low": {close}, "close": {close}, "volume": 5
            }}]}}}}"#
        ),
    }
}

/// The provider of a name, at an address.
fn one(provider: &str, url: &Url) -> Box<dyn Provider> {
    match provider {
        "alpaca" => Box::new(given::alpaca(url)),
        "yahoo" => Box::new(given::yahoo(url)),
        _ => Box::new(given::iex(url)),
    }
}

fn providers(url: &Url) -> [(&'static str, Box<dyn Provider>); 3] {
    NAMES.map(|name| (name, one(name, url)))
}

async fn ask(provider: &dyn Provider) -> Result<Fetched, FeedError> {
    provider.bars(&symbols("AAPL"), half_hour()).await
}

/// The error of an answer, wherever it is told.
fn error(outcome: Result<Fetched, FeedError>) -> FeedError {
    match outcome {
        Err(error) => error,
        Ok(fetched) => fetched.failed.into_iter().next().expect("a symbol that failed").1,
    }
}

#[tokio::test]
async fn the_good_answer_of_these_tests_is_good() {
    for name in NAMES {
        let server = Server::always(Reply::ok(good(name, "101.5"))).await;
        let fetched = ask(&*one(name, &server.url)).await.expect("an answer");
        assert_eq!(fetched.bars.len(), 1, "{name}: {fetched:?}");
        assert_eq!(fetched.bars[0].close.to_string(), "101.5");
    }
}

#[tokio::test]
async fn what_is_no_json_passes_and_nothing_is_made_of_it() {
    let deep = "[".repeat(100_000);
    let deep_member = format!(r#"{{"bars":{}"#, "{\"a\":".repeat(20_000));
    let bodies = [HTML, "", "null", "[]", "\u{0}\u{1}\u{2}", "{\"bars\":", "nonsense", &deep, &deep_member];
    let asking = bodies.into_iter().flat_map(|body| NAMES.map(|name| (body, name)));
    join_all(asking.map(|(body, name)| async move {
        let server = Server::always(Reply::ok(body)).await;
        let shown: String = body.chars().take(20).collect();
        match ask(&*one(name, &server.url)).await {
            Ok(fetched) => panic!("{name} made {fetched:?} of {shown}"),
            Err(error) => {
                let kind = if body == HTML { FeedErrorKind::Transient } else { FeedErrorKind::Unreadable };
                assert_eq!(error.kind, kind, "{name} {shown}: {error}");
                assert!(error.message.chars().count() < 700, "{name}: {error}");
                assert!(!error.message.chars().any(char::is_control), "{name}: {error:?}");
            }
        }
    }))
    .await;
}

#[tokio::test]
async fn a_page_for_people_is_called_one() {
    let server = Server::always(Reply::ok(HTML)).await;
    let error = ask(&given::yahoo(&server.url)).await.expect_err("HTML");
    assert!(error.message.contains("HTML where JSON belongs"), "{error}");
    assert!(server.requests().len() > 1, "it was not tried again");
}

#[tokio::test]
async fn unusable_numbers_never_become_bars() {
    for close in [
        "0",
        "-1",
        "1e999",
        "1e18",
        "\"101.5\"",
        "\"NaN\"",
        "NaN",
        "-Infinity",
        "Infinity",
        "true",
        "[1]",
        "{}",
        "-0",
    ] {
        for name in NAMES {
            let server = Server::always(Reply::ok(good(name, close))).await;
            let fetched = ask(&*one(name, &server.url)).await.expect("an answer");
            assert!(fetched.bars.is_empty(), "{name} made a bar of {close}");
            assert_eq!(fetched.rejects.len(), 1, "{name} {close}: {:?}", fetched.rejects);
            assert!(fetched.unreadable.contains(&given::symbol("AAPL")), "{name} {close}");
        }
    }
}

#[tokio::test]
async fn numbers_that_are_not_json_spoil_the_answer() {
    let numbers = ["0x10", "01", "+1", ".5", "1."];
    let asking = numbers.into_iter().flat_map(|close| NAMES.map(|name| (close, name)));
    join_all(asking.map(|(close, name)| async move {
        let server = Server::always(Reply::ok(good(name, close))).await;
        let error = ask(&*one(name, &server.url)).await.expect_err("not JSON");
        assert_eq!(error.kind, FeedErrorKind::Unreadable, "{name} {close}");
    }))
    .await;
}

#[tokio::test]
async fn ten_megabytes_are_not_read() {
    let server = Server::always(Reply::ok(vec![b' '; 10 << 20])).await;
    for (name, provider) in providers(&server.url) {
        let error = error(ask(&*provider).await);
        assert_eq!(error.kind, FeedErrorKind::TooLarge, "{name}: {error}");
        assert!(error.message.contains("8 MiB"), "{name}: {error}");
    }
}

#[tokio::test]
async fn servers_that_never_finish_are_given_up_in_time() {
    let timeout = Duration::from_millis(600);
    let body = good("alpaca", "1");
    for reply in [
        Reply::ok(body.clone()).hanging(),
        Reply::ok(body.clone()).dripping(Duration::from_millis(200)),
        Reply::status(503, body).hanging(),
    ] {
        let server = Server::always(reply).await;
        let alpaca = AlpacaConfig { timeout, ..given::alpaca_config(&server.url) };
        let yahoo = YahooConfig { timeout, ..given::yahoo_config(&server.url) };
        let iex = IexConfig { timeout, ..given::iex_config(&server.url) };
        let impatient: [Box<dyn Provider>; 3] = [
            Box::new(Alpaca::new(alpaca, given::clock()).expect("a provider")),
            Box::new(Yahoo::new(yahoo, given::clock()).expect("a provider")),
            Box::new(Iex::new(iex, given::clock()).expect("a provider")),
        ];
        join_all(impatient.map(|provider| async move {
            let begun = Instant::now();
            let error = ask(&*provider).await.expect_err("no answer");
            assert_eq!(error.kind, FeedErrorKind::Transient, "{error}");
            // One and a half time-outs, and what a busy machine adds; the drops take half a minute.
            assert!(begun.elapsed() < timeout * 3 / 2 + Duration::from_secs(10), "{:?}", begun.elapsed());
        }))
        .await;
    }
}

#[tokio::test]
async fn a_body_cut_short_is_asked_for_again() {
    for name in NAMES {
        let reply = Reply::ok(good(name, "101.5"));
        let server = Server::script([reply.clone().cut_short(), reply]).await;
        assert_eq!(ask(&*one(name, &server.url)).await.expect("an answer").bars.len(), 1, "{name}");
        assert_eq!(server.requests().len(), 2, "{name}");
    }
}

#[tokio::test]
async fn a_server_error_is_asked_again_until_it_answers() {
    for name in NAMES {
        let server = Server::script([Reply::status(500, HTML), Reply::ok(good(name, "101.5"))]).await;
        assert_eq!(ask(&*one(name, &server.url)).await.expect("an answer").bars.len(), 1, "{name}");
        assert_eq!(server.requests().len(), 2, "{name}");
    }
}

#[tokio::test]
async fn a_server_that_stays_down_is_left_alone_after_a_while() {
    join_all(NAMES.map(|name| async move {
        let server = Server::always(Reply::status(503, HTML)).await;
        let provider = one(name, &server.url);
        // Five calls in vain, each with its own tries.
        for failed in join_all((0..5).map(|_| ask(&*provider))).await {
            assert_eq!(error(failed).kind, FeedErrorKind::Transient, "{name}");
        }
        let asked = server.requests().len();
        let error = error(ask(&*provider).await);
        assert!(error.message.contains("left alone") && error.message.contains("503"), "{name}: {error}");
        assert_eq!(server.requests().len(), asked, "{name} was asked while its breaker is open");
    }))
    .await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = Server::always(Reply::ok("{}")).await;
    let server = Server::always(Reply::status(302, "").header("location", &target.url)).await;
    for (name, provider) in providers(&server.url) {
        let error = error(ask(&*provider).await);
        assert_eq!(error.kind, FeedErrorKind::BadRequest, "{name}: {error}");
        assert!(error.message.contains("302") && error.message.contains("redirect"), "{name}: {error}");
    }
    assert!(target.requests().is_empty());
}

#[tokio::test]
async fn a_connection_refused_says_who_cannot_be_reached_and_shows_no_query() {
    let url: Url = "http://127.0.0.1:9/".parse().expect("an address");
    join_all(providers(&url).map(|(name, provider)| async move {
        let error = ask(&*provider).await.expect_err("nobody there");
        assert_eq!(error.kind, FeedErrorKind::Transient, "{name}");
        assert!(error.message.starts_with(&format!("{name} cannot be reached at 127.0.0.1")), "{error}");
        assert!(!error.message.contains('?') && !error.message.contains("OF-A-TEST"), "{error}");
    }))
    .await;
}

#[tokio::test]
async fn a_rate_limit_is_honoured_as_long_as_the_provider_said() {
    let in_seconds = |seconds: i64| (half_hour().end.start().as_second() + seconds).to_string();
    // Waits of more than one and a half time-outs are not sat out within the call.
    let long_ago = ("date", "Sun, 06 Nov 1994 08:49:37 GMT".to_owned());
    let cases = [
        (vec![("retry-after", "120".to_owned())], Some(120)),
        (vec![("retry-after", "99999999999999999999".to_owned())], None),
        (vec![("retry-after", "999999999".to_owned())], Some(3600)),
        // The clock of these tests stands at 15:30.
        (vec![("retry-after", "Fri, 31 Jan 2025 15:40:00 GMT".to_owned())], Some(600)),
        (vec![("retry-after", "Sat, 01 Feb 2025 15:40:00 GMT".to_owned())], Some(3600)),
        (vec![("retry-after", "Fri, 31 Jan 2025 15:20:00 GMT".to_owned())], Some(0)),
        (vec![("retry-after", "Friday at noon".to_owned())], None),
        // Clocks may differ by years: the answer's own counts.
        (vec![long_ago.clone(), ("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT".to_owned())], Some(60)),
        (vec![("x-ratelimit-reset", in_seconds(55))], Some(55)),
        (vec![("x-ratelimit-reset", in_seconds(1800))], Some(120)),
        (vec![("x-ratelimit-reset", "784111877".to_owned()), long_ago], Some(100)),
        (vec![("x-ratelimit-reset", in_seconds(-1800))], Some(0)),
        (vec![("x-ratelimit-reset", "-5".to_owned())], None),
        (vec![("x-ratelimit-reset", "18446744073709551615".to_owned())], None),
        (vec![("x-ratelimit-reset", in_seconds(55)), ("retry-after", "77".to_owned())], Some(77)),
    ];
    let asking = cases.into_iter().flat_map(|case| NAMES.map(|name| (case.clone(), name)));
    join_all(asking.map(|((headers, seconds), name)| async move {
        let limited = Reply::status(429, "too many requests.");
        let limited = headers.iter().fold(limited, |reply, (name, value)| reply.header(name, value));
        let server = Server::always(limited).await;
        let provider = one(name, &server.url);
        let error = ask(&*provider).await.expect_err("429");
        let retry_after = seconds.map(Duration::from_secs);
        assert_eq!(error.kind, FeedErrorKind::RateLimited { retry_after }, "{name} {headers:?}");
        let asked = server.requests().len();
        assert!(ask(&*provider).await.is_err());
        assert_eq!(server.requests().len(), asked, "{name} was asked again too early: {headers:?}");
    }))
    .await;
}

#[tokio::test]
async fn the_end_of_a_window_delays_no_answer_to_what_is_no_rate_limit() {
    let reset = half_hour().end.start().as_second() + 55;
    for name in NAMES {
        let down = Reply::status(500, HTML).header("x-ratelimit-reset", reset);
        let server = Server::script([down, Reply::ok(good(name, "101.5"))]).await;
        let fetched = ask(&*one(name, &server.url)).await.expect("it is asked again at once");
        assert_eq!((fetched.bars.len(), server.requests().len()), (1, 2), "{name}");
    }
}

/// By running one of the other tests again where the environment names a proxy that nobody runs.
#[test]
fn what_is_on_this_machine_is_not_asked_through_a_proxy() {
    const PROXIES: [&str; 6] =
        ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let mut again = Command::new(std::env::current_exe().expect("this program"));
    again.args(["--exact", "hostile::the_good_answer_of_these_tests_is_good"]);
    again.envs(PROXIES.map(|name| (name, "http://127.0.0.1:9")));
    again.env_remove("NO_PROXY").env_remove("no_proxy");
    let output = again.output().expect("a run");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
async fn a_short_wait_is_sat_out_within_the_call() {
    for name in ["alpaca", "iex"] {
        let limited = Reply::status(429, "slow down").header("retry-after", 0);
        let server = Server::script([limited, Reply::ok(good(name, "101.5"))]).await;
        assert_eq!(ask(&*one(name, &server.url)).await.expect("an answer").bars.len(), 1, "{name}");
    }
}

#[tokio::test]
async fn foreign_words_in_a_message_are_few_and_harmless() {
    let body = format!("\u{1b}[31mred\u{7}\r\nnext\u{202e}{}", "x".repeat(5000));
    let server = Server::always(Reply::status(400, body)).await;
    for (name, provider) in providers(&server.url) {
        let error = error(ask(&*provider).await);
        assert!(!error.message.chars().any(|c| c.is_control() || c == '\u{202e}'), "{name}: {error:?}");
        assert!(error.message.chars().count() < 300, "{name}: {error}");
        assert!(error.message.starts_with(&format!("{name} answered 400")), "{error}");
    }
}
