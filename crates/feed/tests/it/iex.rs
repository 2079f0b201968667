//! The IEX form, against a server.

use crate::given::{self, half_hour, symbol, symbols};
use qqq_feed::{FeedErrorKind, Iex, IexConfig, Provider};
use qqq_testkit::http::{Reply, Request, Server};

const BATCH: &str = include_str!("../../testdata/iex/batch.json");

#[tokio::test]
async fn minutes_are_new_york_time_and_those_without_a_price_are_absent() {
    let server = Server::always(Reply::ok(BATCH)).await;
    let fetched =
        given::iex(&server.url).bars(&symbols("AAPL MSFT GONE"), half_hour()).await.expect("an answer");
    let found: Vec<String> = fetched
        .bars
        .iter()
        .map(|bar| format!("{} {} {} {} {}", bar.symbol, bar.start, bar.close, bar.volume, bar.feed))
        .collect();
    assert_eq!(found, ["AAPL 2025-01-31T15:00:00Z 101 1200 iex", "AAPL 2025-01-31T15:03:00Z 101.25 40 iex"]);
    assert_eq!(fetched.bars[0].trades, Some(34));
    assert_eq!(fetched.rejects.len(), 1, "{:?}", fetched.rejects);
    assert_eq!(fetched.rejects[0].reason, "2025-01-31T15:02:00Z: the high is below the low");
    assert_eq!(fetched.failed.len(), 1);
    assert_eq!((fetched.failed[0].0, fetched.failed[0].1.kind), (symbol("GONE"), FeedErrorKind::NotFound));
}

#[tokio::test]
async fn the_request_is_the_batch_form() {
    let server = Server::always(Reply::ok(BATCH)).await;
    given::iex(&server.url).bars(&symbols("MSFT AAPL"), half_hour()).await.expect("an answer");
    let [request] = server.requests().try_into().expect("one request");
    assert_eq!(request.path(), "/stable/stock/market/batch");
    for (name, value) in [
        ("symbols", "AAPL,MSFT"),
        ("types", "intraday-prices"),
        ("chartLast", "31"), // half an hour and the running minute
        ("token", "TOKEN-OF-A-TEST"),
    ] {
        assert_eq!(request.query(name), value, "{name}");
    }
}

#[tokio::test]
async fn share_classes_are_asked_for_as_they_are_listed_and_known_in_every_spelling() {
    let record =
        r#"{"date":"2025-01-31","minute":"10:00","open":470,"high":470,"low":470,"close":470,"volume":1}"#;
    for spelling in ["BRK.B", "BRK-B", "brk/b", "BRK B"] {
        let server =
            Server::always(Reply::ok(format!(r#"{{"{spelling}":{{"intraday-prices":[{record}]}}}}"#))).await;
        let fetched = given::iex(&server.url).bars(&symbols("BRK-B"), half_hour()).await.expect("an answer");
        assert_eq!(server.requests()[0].query("symbols"), "BRK.B");
        assert_eq!(fetched.bars.iter().map(|bar| bar.symbol.as_str()).collect::<Vec<_>>(), ["BRK.B"]);
        assert_eq!((fetched.failed.len(), fetched.rejects.len()), (0, 0), "{spelling}: {fetched:?}");
    }
}

#[tokio::test]
async fn plain_text_refusals_are_understood_and_the_token_is_never_repeated() {
    for (status, body, kind) in [
        (402, "You have used all available credits", FeedErrorKind::NotEntitled),
        (403, "The API key provided is not valid: TOKEN-OF-A-TEST", FeedErrorKind::Auth),
        (400, "Invalid values were supplied", FeedErrorKind::BadRequest),
        (404, "<h1>nothing here</h1>", FeedErrorKind::BadRequest),
    ] {
        let server = Server::always(Reply::status(status, body)).await;
        let error = given::iex(&server.url).bars(&symbols("AAPL"), half_hour()).await.expect_err(body);
        assert_eq!(error.kind, kind, "{status} {body}");
        assert!(!error.message.contains("TOKEN-OF-A-TEST"), "{error}");
        assert_eq!(server.requests().len(), 1);
    }
    let server = Server::always(Reply::status(404, "Unknown symbol")).await;
    let fetched = given::iex(&server.url).bars(&symbols("GONE"), half_hour()).await.expect("an answer");
    assert_eq!(fetched.failed[0].1.kind, FeedErrorKind::NotFound);
}

/// So many bytes of every symbol that was asked for, but for `broken`, which is told as it says.
fn answer_of(request: &Request, broken: &str, told: &str, bytes: usize) -> String {
    let minute = r#"{"date":"2025-01-31","minute":"10:00","open":1,"high":1,"low":1,"close":1,"volume":5}"#;
    let symbols = request.query("symbols");
    let padding = " ".repeat(bytes);
    let listed = symbols.split(',').map(|name| match name == broken {
        true => format!(r#""{name}":{told}"#),
        false => format!(r#""{name}":{{"intraday-prices":[{minute}]}}{padding}"#),
    });
    format!("{{{}}}", listed.collect::<Vec<_>>().join(","))
}

#[tokio::test]
async fn whatever_stands_for_one_symbol_the_others_are_served() {
    for (told, kind) in [
        ("null", FeedErrorKind::NotFound),
        ("\"oops\"", FeedErrorKind::Unreadable),
        (r#"{"intraday-prices":5}"#, FeedErrorKind::Unreadable),
        (r#"{"intraday-prices":["#, FeedErrorKind::Unreadable),
    ] {
        let server = Server::new(move |request| Reply::ok(answer_of(request, "GONE", told, 0))).await;
        let asked = symbols("AAPL GONE MSFT NVDA");
        let fetched = given::iex(&server.url).bars(&asked, half_hour()).await.expect("an answer");
        assert_eq!(fetched.bars.len(), 3, "{told}");
        let failed: Vec<_> = fetched.failed.iter().map(|(symbol, error)| (*symbol, error.kind)).collect();
        assert_eq!(failed, [(symbol("GONE"), kind)], "{told}");
    }
    let nan = concat!(
        r#"{"intraday-prices":[{"date":"2025-01-31","minute":"10:00","#,
        r#""open":1,"high":1,"low":1,"close":NaN,"volume":5}]}"#,
    );
    let server = Server::new(move |request| Reply::ok(answer_of(request, "NVDA", nan, 0))).await;
    let fetched =
        given::iex(&server.url).bars(&symbols("AAPL MSFT NVDA"), half_hour()).await.expect("an answer");
    assert_eq!((fetched.bars.len(), fetched.failed.len()), (2, 0));
    assert!(fetched.unreadable.contains(&symbol("NVDA")), "{:?}", fetched.rejects);
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_asked_for_in_halves_and_that_is_remembered() {
    // Late in the day: each symbol tells 3 MiB, of which 8 are read.
    let server = Server::new(|request| Reply::ok(answer_of(request, "", "", 3 << 20))).await;
    let iex = given::iex(&server.url);
    let asked = symbols("AAPL AMZN GOOG MSFT NVDA");
    let seen = |from: usize| -> Vec<String> {
        server.requests()[from..].iter().map(|request| request.query("symbols")).collect()
    };
    let fetched = iex.bars(&asked, half_hour()).await.expect("an answer");
    assert_eq!((fetched.bars.len(), fetched.failed.len()), (5, 0));
    let first = seen(0);
    assert_eq!(first, ["AAPL,AMZN,GOOG,MSFT,NVDA", "AAPL,AMZN,GOOG", "AAPL,AMZN", "GOOG", "MSFT,NVDA"]);
    let fetched = iex.bars(&asked, half_hour()).await.expect("an answer");
    assert_eq!((fetched.bars.len(), fetched.failed.len()), (5, 0));
    assert_eq!(seen(first.len()), ["AAPL,AMZN", "GOOG", "MSFT,NVDA"], "what is too large is known by now");
}

#[tokio::test]
async fn a_token_of_one_letter_garbles_no_message() {
    let said = "the token t is not that of a tester: see ?token=t";
    let server = Server::always(Reply::status(403, said)).await;
    let config = IexConfig { token: "t".to_owned(), ..given::iex_config(&server.url) };
    let iex = Iex::new(config, given::clock()).expect("a provider");
    let error = iex.bars(&symbols("AAPL"), half_hour()).await.expect_err("403");
    let told = "the token t is not that of a tester: see ?token=[redacted]";
    assert!(error.message.ends_with(told), "{error}");
}

#[tokio::test]
async fn the_check_asks_for_one_record() {
    let server = Server::always(Reply::ok(BATCH)).await;
    let line = given::iex(&server.url).check(symbol("AAPL")).await.expect("an answer");
    assert_eq!(line, "iex: the server answers, newest bar of AAPL is 2025-01-31T17:00:00Z");
    assert_eq!(server.requests()[0].query("chartLast"), "1");
}

#[tokio::test]
async fn the_service_that_is_gone_is_not_asked() {
    let url = "https://cloud.iexapis.com/".parse().expect("an address");
    let error = Iex::new(given::iex_config(&url), given::clock()).err().expect("a refusal");
    assert!(error.message.contains("2024-08-31"), "{error}");
}
