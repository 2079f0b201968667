//! What symbols are called, asked of Alpaca and Finnhub.

use crate::given;
use qqq_feed::{Directory, FeedErrorKind, Finnhub, FinnhubConfig, NameSource, Provider};
use qqq_testkit::http::{Reply, Server};
use std::sync::Arc;
use url::Url;

/// As Alpaca's page on assets has them, and what may stand between them.
const ASSETS: &str = r#"[
    {"id":"b0b6dd9d-8b9b-48a9-ba46-b9d54906e415","class":"us_equity","exchange":"NASDAQ","symbol":"AAPL",
     "name":"Apple Inc. Common Stock","status":"active","tradable":true,"marginable":true,"attributes":[]},
    {"class":"us_equity","exchange":"OTC","symbol":"BRK.B","name":"Not traded","tradable":false},
    {"class":"us_equity","exchange":"NYSE","symbol":"BRK/B",
     "name":"Berkshire Hathaway Inc. Class B","tradable":true},
    {"class":"us_equity","exchange":"NYSE","symbol":"T","name":"AT\u0026T Inc. Common Stock","tradable":true},
    {"class":"us_equity","exchange":"OTC","symbol":"GONE","name":"Gone","tradable":false},
    {"class":"us_equity","exchange":"NYSE","symbol":"ZZZZ","name":"Two\nlines","tradable":true},
    {"class":"us_equity","exchange":"NYSE","symbol":"ZZZY","name":null,"tradable":true},
    {"symbol":"ZZZX"}, 7, null]"#;

/// As the OpenAPI document has them.
const STOCKS: &str = r#"[
    {"currency":"USD","description":"APPLE INC","displaySymbol":"AAPL","symbol":"AAPL","type":"Common Stock"},
    {"description":"BERKSHIRE HATHAWAY INC-CL B","displaySymbol":"BRK.B","symbol":"BRK.B"},
    {"description":"","displaySymbol":"ZZZZ","symbol":"ZZZZ"}]"#;

fn finnhub(url: &Url) -> Finnhub {
    let config = FinnhubConfig {
        base_url: url.join("api/v1").expect("an address"),
        stream_url: "wss://ws.finnhub.io".parse().expect("an address"),
        token: "TOKEN-OF-A-TEST".to_owned(),
        max_symbols: FinnhubConfig::MAX_SYMBOLS,
        timeout: given::PATIENT,
        cadence: qqq_core::Cadence::Sixty,
    };
    Finnhub::new(config, given::clock()).expect("a provider")
}

/// Who knows names.
fn sources(url: &Url) -> [Arc<dyn NameSource>; 2] {
    let source = |provider: &dyn Provider| provider.name_source().expect("it knows names");
    [source(&given::alpaca(url)), source(&finnhub(url))]
}

fn told(found: &Directory) -> Vec<(&str, &str)> {
    found.names.iter().map(|(symbol, name)| (symbol.as_str(), name.as_str())).collect()
}

#[tokio::test]
async fn alpacas_assets_have_names_and_what_has_none_is_counted() {
    let server = Server::always(Reply::ok(ASSETS)).await;
    let source = given::alpaca(&server.url).name_source().expect("it knows names");
    let found = source.names().await.expect("a list");
    let expected = [
        ("AAPL", "Apple Inc. Common Stock"),
        ("BRK.B", "Berkshire Hathaway Inc. Class B"),
        ("GONE", "Gone"),
        ("T", "AT&T Inc. Common Stock"),
    ];
    assert_eq!((told(&found), found.refused), (expected.to_vec(), 5));
    let [request] = server.requests().try_into().expect("one request");
    assert_eq!(request.path(), "/v2/assets");
    let query = (request.query("status"), request.query("asset_class"));
    assert_eq!((query.0.as_str(), query.1.as_str()), ("active", "us_equity"));
    assert_eq!(request.headers["apca-api-key-id"], "KEY-OF-A-TEST");
    assert_eq!(request.headers["apca-api-secret-key"], "SECRET-OF-A-TEST");
}

#[tokio::test]
async fn finnhubs_stocks_have_names() {
    let server = Server::always(Reply::ok(STOCKS)).await;
    let found = finnhub(&server.url).name_source().expect("it knows names").names().await.expect("a list");
    let expected = [("AAPL", "APPLE INC"), ("BRK.B", "BERKSHIRE HATHAWAY INC-CL B")];
    assert_eq!((told(&found), found.refused), (expected.to_vec(), 1));
    let [request] = server.requests().try_into().expect("one request");
    assert_eq!((request.path(), request.query("exchange").as_str()), ("/api/v1/stock/symbol", "US"));
    assert_eq!(request.headers["x-finnhub-token"], "TOKEN-OF-A-TEST");
}

#[tokio::test]
async fn a_list_is_read_beyond_what_bars_may_be_and_has_its_limit() {
    for (mebibytes, is_read) in [(10, true), (33, false)] {
        let server = Server::always(Reply::ok(format!("{STOCKS}{}", " ".repeat(mebibytes << 20)))).await;
        match finnhub(&server.url).name_source().expect("it knows names").names().await {
            Ok(found) => assert!(is_read && found.names.len() == 2, "{mebibytes} MiB"),
            Err(error) => {
                assert!(!is_read && error.kind == FeedErrorKind::TooLarge, "{mebibytes} MiB: {error}");
                assert!(error.message.contains("32 MiB"), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_no_list_is_an_error_that_tells_no_key() {
    for body in ["<html>KEY</html>", r#"{"message":"KEY"}"#, "[{\"symbol\":\"KEY"] {
        for (which, key) in ["SECRET-OF-A-TEST", "TOKEN-OF-A-TEST"].into_iter().enumerate() {
            let server = Server::always(Reply::ok(body.replace("KEY", key))).await;
            let error = sources(&server.url)[which].names().await.expect_err("no list");
            assert!(error.is_retryable() && error.message.contains("[redacted]"), "{error}");
            assert!(!error.message.contains(key), "{error}");
        }
    }
}

#[test]
fn who_has_no_list_says_so() {
    let url: Url = "http://127.0.0.1:1".parse().expect("an address");
    assert!(given::yahoo(&url).name_source().is_none() && given::iex(&url).name_source().is_none());
}
