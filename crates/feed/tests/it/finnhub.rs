//! Finnhub's messages and its REST interface.

use crate::given::{self, symbol, symbols};
use proptest::prelude::*;
use qqq_core::Cadence;
use qqq_feed::finnhub::condition::{Conditions, effect};
use qqq_feed::finnhub::parse;
use qqq_feed::finnhub::tick::Tick;
use qqq_feed::trades::{SHARE, Trade};
use qqq_feed::{FeedErrorKind, Finnhub, FinnhubConfig, Provider};
use qqq_testkit::http::{Reply, Server};
use url::Url;

const TOKEN: &str = "TOKEN-OF-A-TEST";

fn config(url: &Url) -> FinnhubConfig {
    FinnhubConfig {
        base_url: url.join("api/v1").expect("an address"),
        stream_url: "wss://ws.finnhub.io".parse().expect("an address"),
        token: TOKEN.to_owned(),
        max_symbols: FinnhubConfig::MAX_SYMBOLS,
        timeout: given::PATIENT,
        cadence: Cadence::Sixty,
    }
}

fn parsed(text: &str) -> parse::Told {
    parse::message(text.as_bytes(), |symbol| ["AAPL", "BRK.B"].contains(&symbol.as_str())).expect("a message")
}

#[test]
fn trades_are_read_digit_by_digit() {
    let told = parsed(
        r#"{"data":[{"c":["1","12"],"p":187.21,"s":"AAPL","t":1575526691134,"v":100},
            {"c":null,"p":0.1,"s":"BRK.B","t":1575526691135,"v":0.25},
            {"p":8999999.123456789,"s":"AAPL","t":1575526691136,"v":1e2}],"type":"trade"}"#,
    );
    let trade = |name: &str, ms: i64, nanos: i64, size: i64, codes: &[&str]| Tick {
        trade: Trade {
            symbol: symbol(name),
            at: jiff::Timestamp::from_millisecond(ms).expect("a time"),
            price: qqq_core::Price::from_nanos(nanos).expect("a price"),
            size,
            effect: effect(codes.iter().copied()),
            id: None,
        },
        conditions: Conditions::of(codes.iter().copied()),
    };
    assert_eq!(
        told.trades,
        [
            trade("AAPL", 1_575_526_691_134, 187_210_000_000, 100 * SHARE, &["1", "12"]),
            trade("BRK.B", 1_575_526_691_135, 100_000_000, SHARE / 4, &[]),
            trade("AAPL", 1_575_526_691_136, 8_999_999_123_456_789, 100 * SHARE, &[]),
        ]
    );
    assert_eq!(told.rejects, []);
}

#[test]
fn a_message_without_a_trade_holds_none() {
    for text in [
        r#"{"type":"ping"}"#,
        r#"{"type":"news","data":[{"headline":"x"}]}"#,
        r#"{"type":"trade","data":null}"#,
        r#"{"type":"trade"}"#,
        r#"{"type":"trade","data":[{"s":"AAPL","p":1.5,"t":1575526691134,"v":0}]}"#,
    ] {
        assert_eq!(parsed(text), parse::Told::default(), "{text}");
    }
    let told = parsed(r#"{"type":"error","msg":"Subscribing to too many symbols"}"#);
    assert_eq!(told.error.as_deref(), Some("Subscribing to too many symbols"));
}

#[test]
fn what_is_no_trade_is_refused_alone_and_named() {
    let good = r#"{"s":"AAPL","p":1.5,"t":1575526691134,"v":1}"#;
    for (bad, reason) in [
        (r#"{"s":"TSLA","p":1.5,"t":1575526691134,"v":1}"#, "not subscribed"),
        (r#"{"s":"","p":1.5,"t":1575526691134,"v":1}"#, "not subscribed"),
        (r#"{"s":"AAPL","p":"1.5","t":1575526691134,"v":1}"#, "p: a text"),
        (r#"{"s":"AAPL","p":0,"t":1575526691134,"v":1}"#, "p 0"),
        (r#"{"s":"AAPL","p":-1,"t":1575526691134,"v":1}"#, "p -1"),
        (r#"{"s":"AAPL","p":1e18,"t":1575526691134,"v":1}"#, "p 1e18"),
        (r#"{"s":"AAPL","p":1.5,"t":1575526691134,"v":-1}"#, "v -1: negative"),
        (r#"{"s":"AAPL","p":1.5,"t":1575526691134,"v":1e10}"#, "above 10^9"),
        (r#"{"s":"AAPL","p":1.5,"t":1575526691134,"v":null}"#, "v: null"),
        (r#"{"s":"AAPL","p":1.5,"t":9223372036854775807,"v":1}"#, "not a time"),
        (r#"{"s":"AAPL","p":1.5,"t":-9223372036854775808,"v":1}"#, "not a time"),
        (r#"{"s":"AAPL","p":1.5,"t":1.5,"v":1}"#, "invalid type"),
        (r#"{"s":"AAPL","p":1.5,"v":1}"#, "missing field `t`"),
        (r#"[]"#, "invalid"),
        ("null", "invalid"),
    ] {
        let told = parsed(&format!(r#"{{"type":"trade","data":[{bad},{good}]}}"#));
        assert_eq!((told.trades.len(), told.rejects.len()), (1, 1), "{bad}");
        assert_eq!(told.rejects[0].place, "data[0]");
        assert!(told.rejects[0].reason.contains(reason), "{bad}: {}", told.rejects[0].reason);
    }
}

#[test]
fn what_is_no_message_is_an_error_and_no_panic() {
    for text in
        ["", "nonsense", "[]", "{}", "null", "<html>", r#"{"type":5}"#, r#"{"type":"trade","data":{}}"#]
    {
        let error = parse::message(text.as_bytes(), |_| true).expect_err(text);
        let is_page = text.starts_with('<');
        let kind = if is_page { FeedErrorKind::Transient } else { FeedErrorKind::Unreadable };
        assert_eq!(error.kind, kind, "{text}");
    }
    assert!(parse::message("[".repeat(100_000).as_bytes(), |_| true).is_err());
    assert!(parse::message(&[0xff, 0xfe], |_| true).is_err());
}

proptest! {
    #[test]
    fn nothing_panics(text in "\\PC{0,200}", cut in 0..400_usize) {
        let _ = parse::message(text.as_bytes(), |_| true);
        let whole = concat!(
            r#"{"type":"trade","data":["#,
            r#"{"c":["1"],"p":187.21,"s":"AAPL","t":1575526691134,"v":100}]}"#,
        );
        let _ = parse::message(&whole.as_bytes()[..cut.min(whole.len())], |_| true);
    }

    #[test]
    fn whatever_numbers_come_there_is_a_trade_or_a_reason(
        price in "-?[0-9]{1,12}(\\.[0-9]{1,12})?(e-?[0-9]{1,2})?",
        t: i64,
        size in "-?[0-9]{1,12}(\\.[0-9]{1,12})?(e-?[0-9]{1,2})?",
        codes in prop::collection::vec("[ -~]{0,5}", 0..4),
    ) {
        let codes = serde_json::to_string(&codes).expect("JSON");
        let trade = format!(r#"{{"s":"AAPL","p":{price},"t":{t},"v":{size},"c":{codes}}}"#);
        let text = format!(r#"{{"type":"trade","data":[{trade}]}}"#);
        if let Ok(told) = parse::message(text.as_bytes(), |_| true) {
            prop_assert!(told.trades.len() + told.rejects.len() <= 1);
            for Tick { trade, .. } in told.trades {
                prop_assert!(trade.size > 0 && trade.size <= Trade::MAX_SIZE);
            }
        }
    }
}

#[tokio::test]
async fn the_check_sends_the_key_in_a_header_and_tells_the_last_trade() {
    let server = Server::always(Reply::ok(
        r#"{"c":261.74,"h":263.31,"l":260.68,"o":261.07,"pc":259.45,"t":1582641000}"#,
    ))
    .await;
    let finnhub = Finnhub::new(config(&server.url), given::clock()).expect("a provider");
    let said = finnhub.check(symbol("AAPL")).await.expect("an answer");
    assert!(said.contains("key accepted") && said.contains("2020-02-25T14:30:00Z"), "{said}");
    let request = &server.requests()[0];
    assert_eq!((request.path(), request.query("symbol").as_str()), ("/api/v1/quote", "AAPL"));
    assert_eq!(request.headers["x-finnhub-token"], TOKEN);
    assert!(!request.url.as_str().contains(TOKEN), "{}", request.url);
}

#[tokio::test]
async fn a_symbol_nobody_knows_is_zeros_or_nulls() {
    for body in
        [r#"{"c":0,"d":null,"dp":null,"h":0,"l":0,"o":0,"pc":0,"t":0}"#, r#"{"c":null,"t":null}"#, "{}"]
    {
        let server = Server::always(Reply::ok(body)).await;
        let finnhub = Finnhub::new(config(&server.url), given::clock()).expect("a provider");
        let said = finnhub.check(symbol("NONE")).await.expect("an answer");
        assert!(said.contains("NONE is not known"), "{said}");
    }
}

#[tokio::test]
async fn refusals_are_told_apart_and_hold_no_secret() {
    for (status, body, kind) in [
        (401, r#"{"error":"Invalid API key TOKEN-OF-A-TEST"}"#, FeedErrorKind::Auth),
        (401, r#"{"error":"Please use an API key."}"#, FeedErrorKind::Auth),
        (403, r#"{"error":"You don't have access to this resource."}"#, FeedErrorKind::NotEntitled),
        (404, "no", FeedErrorKind::BadRequest),
    ] {
        let server = Server::always(Reply::status(status, body)).await;
        let finnhub = Finnhub::new(config(&server.url), given::clock()).expect("a provider");
        let error = finnhub.check(symbol("AAPL")).await.expect_err("a refusal");
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(&status.to_string()) && !error.message.contains(TOKEN), "{error}");
    }
    let limited = r#"{"error":"API limit reached. Please try again later. Remaining Limit: 0"}"#;
    let server = Server::always(Reply::status(429, limited).header("retry-after", 3600)).await;
    let finnhub = Finnhub::new(config(&server.url), given::clock()).expect("a provider");
    let error = finnhub.check(symbol("AAPL")).await.expect_err("a refusal");
    assert!(matches!(error.kind, FeedErrorKind::RateLimited { retry_after: Some(_) }), "{error:?}");
    let html =
        Server::always(Reply::status(502, "<html>Bad gateway</html>").header("retry-after", 3600)).await;
    let finnhub = Finnhub::new(config(&html.url), given::clock()).expect("a provider");
    let error = finnhub.check(symbol("AAPL")).await.expect_err("a failure");
    assert_eq!(error.kind, FeedErrorKind::Transient, "{error}");
}

#[tokio::test]
async fn bars_are_not_asked_for() {
    let server = Server::always(Reply::status(500, "asked")).await;
    let finnhub = Finnhub::new(config(&server.url), given::clock()).expect("a provider");
    assert!(!finnhub.has_history());
    let fetched = finnhub.bars(&symbols("AAPL"), given::half_hour()).await.expect("nothing");
    assert_eq!((fetched, server.requests().len()), (qqq_feed::Fetched::default(), 0));
}

#[test]
fn settings_that_cannot_be_used_are_named() {
    let url: Url = "https://finnhub.io/".parse().expect("an address");
    let refused = |change: fn(&mut FinnhubConfig)| {
        let mut config = config(&url);
        change(&mut config);
        Finnhub::new(config, given::clock()).err().expect("a refusal").message
    };
    assert!(refused(|config| config.token = " ".to_owned()).contains("feed.finnhub.token is empty"));
    assert!(refused(|config| config.token = "a\nb".to_owned()).contains("feed.finnhub.token"));
    let ftp = |config: &mut FinnhubConfig| config.base_url = "ftp://x/".parse().expect("an address");
    assert!(refused(ftp).contains("feed.finnhub.base_url"));
    let http = |config: &mut FinnhubConfig| config.stream_url = "http://x/".parse().expect("an address");
    assert!(refused(http).contains("feed.finnhub.stream_url"));
}
