//! Alpaca's REST interface, against a server.

use crate::given::{self, half_hour, minute, symbol, symbols};
use jiff::civil::date;
use qqq_core::Split;
use qqq_feed::{Alpaca, AlpacaConfig, FeedErrorKind, Provider};
use qqq_testkit::http::{Reply, Request, Server};

const PAGE_1: &str = include_str!("../../testdata/alpaca/bars_page_1.json");
const PAGE_2: &str = include_str!("../../testdata/alpaca/bars_page_2.json");
const SPLITS: &str = include_str!("../../testdata/alpaca/splits.json");
const EMPTY: &str = r#"{"bars":{},"next_page_token":null}"#;

fn two_pages(request: &Request) -> Reply {
    match request.query("page_token").as_str() {
        "" => Reply::ok(PAGE_1),
        "cGFnZSAy" => Reply::ok(PAGE_2),
        other => Reply::status(400, format!("no page {other}")),
    }
}

#[tokio::test]
async fn bars_come_from_all_pages_with_the_feed_on_each() {
    let server = Server::new(two_pages).await;
    let asked = symbols("AAPL BRK.B NFLX");
    let fetched = given::alpaca(&server.url).bars(&asked, half_hour()).await.expect("an answer");

    let found: Vec<String> = fetched
        .bars
        .iter()
        .map(|bar| format!("{} {} {} {}", bar.symbol, bar.start, bar.close, bar.feed))
        .collect();
    assert_eq!(
        found,
        [
            "AAPL 2025-01-31T15:00:00Z 101 iex",
            "AAPL 2025-01-31T15:01:00Z 101.125 iex",
            "BRK.B 2025-01-31T15:02:00Z 470.5 iex",
            "BRK.B 2025-01-31T15:03:00Z 470.75 iex",
        ],
        "of the two bars of 15:01, the last one stays"
    );
    assert_eq!(fetched.bars[0].vwap.map(|price| price.to_string()).as_deref(), Some("100.771234"));
    assert_eq!((fetched.bars[0].trades, fetched.bars[3].trades), (Some(34), None));
    assert!(fetched.failed.is_empty(), "a symbol without bars has not failed");

    let rejects: Vec<String> =
        fetched.rejects.iter().map(|reject| format!("{}: {}", reject.place, reject.reason)).collect();
    assert_eq!(
        rejects,
        [
            "AAPL 2025-01-31T15:04:00Z: the high is below the low",
            "AAPL 2025-01-31T15:05:00Z: c: a text where a number belongs",
            "AAPL 2025-01-31T15:06:30Z: t 2025-01-31T15:06:30Z: not the start of a minute",
            "AAPL 2025-01-31T18:00:00Z: outside the time asked for",
            "ZZZZ: 1 bars of a symbol that was not asked for",
        ]
    );
}

#[tokio::test]
async fn the_request_is_as_documented() {
    let server = Server::new(two_pages).await;
    given::alpaca(&server.url).bars(&symbols("BRK.B AAPL AAPL"), half_hour()).await.expect("an answer");
    let [first, second] = server.requests().try_into().expect("two requests");
    assert_eq!(first.path(), "/v2/stocks/bars");
    for (name, value) in [
        ("symbols", "AAPL,BRK.B"),
        ("timeframe", "1Min"),
        ("start", "2025-01-31T15:00:00Z"),
        ("end", "2025-01-31T15:29:00Z"), // inclusive
        ("limit", "10000"),
        ("adjustment", "raw"),
        ("feed", "iex"),
    ] {
        assert_eq!((first.query(name).as_str(), second.query(name).as_str()), (value, value), "{name}");
    }
    assert!(!first.has_query("page_token"), "the first page has no token, not even `null`");
    assert_eq!(second.query("page_token"), "cGFnZSAy");
    assert_eq!(first.headers["apca-api-key-id"], "KEY-OF-A-TEST");
    assert_eq!(first.headers["apca-api-secret-key"], "SECRET-OF-A-TEST");
}

#[tokio::test]
async fn nothing_is_asked_for_nothing() {
    let server = Server::always(Reply::ok(EMPTY)).await;
    let alpaca = given::alpaca(&server.url);
    let start = half_hour().start;
    assert!(alpaca.bars(&[], half_hour()).await.expect("an answer").bars.is_empty());
    assert!(alpaca.bars(&symbols("AAPL"), start..start).await.expect("an answer").bars.is_empty());
    assert!(server.requests().is_empty());
}

/// One bar of every symbol that was asked for, but for those of `broken`, which are told as it says.
fn bars_of(request: &Request, broken: &str, told: &str) -> String {
    let bar = r#"[{"t":"2025-01-31T15:00:00Z","o":1,"h":1,"l":1,"c":1,"v":5,"n":1,"vw":1}]"#;
    let symbols = request.query("symbols");
    let listed =
        symbols.split(',').map(|name| format!(r#""{name}":{}"#, if name == broken { told } else { bar }));
    format!(r#"{{"bars":{{{}}},"next_page_token":null}}"#, listed.collect::<Vec<_>>().join(","))
}

#[tokio::test]
async fn many_symbols_are_asked_for_in_batches_and_a_refused_one_spares_all_others() {
    let server = Server::new(|request| match request.query("symbols").contains("S150") {
        true => Reply::status(400, "no"),
        false => Reply::ok(bars_of(request, "", "")),
    })
    .await;
    let many: Vec<_> = (0..250).map(|index| symbol(&format!("S{index:03}"))).collect();
    let fetched = given::alpaca(&server.url).bars(&many, half_hour()).await.expect("an answer");
    let sizes: Vec<usize> =
        server.requests().iter().map(|request| request.query("symbols").split(',').count()).collect();
    assert_eq!((sizes[0], sizes[1], sizes[sizes.len() - 1]), (100, 100, 50));
    assert!(sizes.len() <= 17, "{sizes:?}");
    assert_eq!((fetched.bars.len(), fetched.failed.len()), (249, 1));
    assert_eq!((fetched.failed[0].0, fetched.failed[0].1.kind), (symbol("S150"), FeedErrorKind::BadRequest));
}

#[tokio::test]
async fn whichever_way_one_symbol_is_refused_the_others_are_served() {
    let named = r#"{"code":40010001,"message":"invalid symbol: ZZZZ"}"#;
    let plan = r#"{"message":"your subscription does not include ZZZZ"}"#;
    for (status, said, kind) in [
        (400, named, FeedErrorKind::BadRequest),
        (400, "no", FeedErrorKind::BadRequest),
        (422, named, FeedErrorKind::BadRequest),
        (451, "Unavailable For Legal Reasons", FeedErrorKind::BadRequest),
        (403, plan, FeedErrorKind::Auth),
        (402, plan, FeedErrorKind::NotEntitled),
        (200, r#"{"bars":{"ZZZZ":"#, FeedErrorKind::Unreadable),
    ] {
        let server = Server::new(move |request| match request.query("symbols").contains("ZZZZ") {
            true => Reply::status(status, said),
            false => Reply::ok(bars_of(request, "", "")),
        })
        .await;
        let asked = symbols("AAPL MSFT NVDA ZZZZ");
        let fetched = given::alpaca(&server.url).bars(&asked, half_hour()).await.expect("an answer");
        assert_eq!(fetched.bars.len(), 3, "{status} {said}");
        let failed: Vec<_> = fetched.failed.iter().map(|(symbol, error)| (*symbol, error.kind)).collect();
        assert_eq!(failed, [(symbol("ZZZZ"), kind)], "{status} {said}");
        assert!(server.requests().len() <= 8, "{status} {said}: {}", server.requests().len());
    }
    // Alone, or of all of them, it is a refusal of everything.
    for (asked, said) in [("ZZZZ", plan), ("AAPL ZZZZ", "forbidden.")] {
        let server = Server::always(Reply::status(403, said)).await;
        let error = given::alpaca(&server.url).bars(&symbols(asked), half_hour()).await.expect_err("403");
        assert_eq!((error.kind, server.requests().len()), (FeedErrorKind::Auth, 1), "{asked}");
    }
}

#[tokio::test]
async fn what_is_wrong_in_one_symbols_rows_costs_no_more_than_these_rows() {
    let row = |close: &str| {
        format!(r#"{{"t":"2025-01-31T15:00:00Z","o":1,"h":1,"l":1,"c":{close},"v":5,"n":1,"vw":1}}"#)
    };
    let good = row("1").replace("15:00", "15:01");
    for (told, bars, failed) in [
        (format!("[{},{good}]", row("NaN")), 3, 0),
        (format!("[{},{good}]", row("Infinity")), 3, 0),
        (format!("[{},{good}]", row("null")), 3, 0),
        (format!("[5,{good}]"), 3, 0),
        ("\"oops\"".to_owned(), 2, 1),
        ("{}".to_owned(), 2, 1),
        ("null".to_owned(), 2, 0),
    ] {
        let body = told.clone();
        let server = Server::new(move |request| Reply::ok(bars_of(request, "NVDA", &body))).await;
        let fetched = given::alpaca(&server.url)
            .bars(&symbols("AAPL MSFT NVDA"), half_hour())
            .await
            .expect("an answer");
        assert_eq!(
            (fetched.bars.len(), fetched.failed.len(), server.requests().len()),
            (bars, failed, 1),
            "{told}"
        );
        assert_eq!(fetched.unreadable.contains(&symbol("NVDA")), bars == 3, "{told}");
    }
}

#[tokio::test]
async fn a_failure_on_the_second_page_keeps_the_first_and_says_who_failed() {
    let server = Server::new(|request| match request.query("page_token").as_str() {
        "" => Reply::ok(PAGE_1),
        _ => Reply::status(400, "no such page"),
    })
    .await;
    let fetched =
        given::alpaca(&server.url).bars(&symbols("AAPL BRK.B"), half_hour()).await.expect("an answer");
    assert_eq!(fetched.bars.len(), 2);
    assert_eq!(fetched.failed.len(), 2);
}

#[tokio::test]
async fn pages_that_run_in_a_circle_end() {
    let server = Server::always(Reply::ok(r#"{"bars":{},"next_page_token":"again"}"#)).await;
    let fetched = given::alpaca(&server.url).bars(&symbols("AAPL"), half_hour()).await.expect("an answer");
    assert!(fetched.failed[0].1.message.contains("circle"), "{:?}", fetched.failed);
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn pages_without_end_are_not_read_for_ever() {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::new(move |_| {
        let next = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Reply::ok(format!(r#"{{"bars":{{}},"next_page_token":"{next}"}}"#))
    })
    .await;
    let mut config = given::alpaca_config(&server.url);
    config.requests_per_minute = 1_000_000;
    let alpaca = Alpaca::new(config, given::clock()).expect("a provider");
    let fetched = alpaca.bars(&symbols("AAPL"), half_hour()).await.expect("an answer");
    assert!(fetched.failed[0].1.message.contains("500 pages"), "{:?}", fetched.failed);
    assert_eq!(server.requests().len(), 500);
}

#[tokio::test]
async fn the_text_null_is_no_page() {
    let server = Server::always(Reply::ok(r#"{"bars":{},"next_page_token":"null"}"#)).await;
    given::alpaca(&server.url).bars(&symbols("AAPL"), half_hour()).await.expect("an answer");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn refused_credentials_and_missing_rights_are_told_apart_and_not_retried() {
    let recent = r#"{"code":42210000,"message":"subscription does not permit querying recent SIP data"}"#;
    for (status, body, kind) in [
        (401, r#"{"message":"unauthorized."}"#, FeedErrorKind::Auth),
        (403, r#"{"message":"forbidden."}"#, FeedErrorKind::Auth),
        (403, recent, FeedErrorKind::NotEntitled),
        (422, recent, FeedErrorKind::NotEntitled),
        (422, r#"{"code":42210000,"message":"invalid symbol"}"#, FeedErrorKind::BadRequest),
        (400, r#"{"message":"invalid timeframe"}"#, FeedErrorKind::BadRequest),
        (404, "404 page not found", FeedErrorKind::BadRequest),
    ] {
        let server = Server::always(Reply::status(status, body)).await;
        let error = given::alpaca(&server.url).bars(&symbols("AAPL"), half_hour()).await.expect_err(body);
        assert_eq!(error.kind, kind, "{status} {body}: {error}");
        assert!(error.message.starts_with(&format!("alpaca answered {status}")), "{error}");
        assert_eq!(server.requests().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn no_message_holds_the_key_even_where_the_server_echoes_it() {
    let server = Server::always(Reply::status(401, "no such key: KEY-OF-A-TEST / SECRET-OF-A-TEST")).await;
    let error = given::alpaca(&server.url).bars(&symbols("AAPL"), half_hour()).await.expect_err("401");
    assert!(!error.message.contains("OF-A-TEST") && error.message.contains("[redacted]"), "{error}");
}

#[tokio::test]
async fn splits_are_keyed_on_the_ex_date_and_listed_once() {
    let server = Server::always(Reply::ok(SPLITS)).await;
    let days = date(2025, 2, 1)..=date(2025, 2, 28);
    let found = given::alpaca(&server.url).splits(&symbols("AAPL BRK.B"), days).await.expect("an answer");
    let split = |name, ex_date, new, old| Split::new(symbol(name), ex_date, new, old).expect("a split");
    assert_eq!(
        found,
        [
            split("AAPL", date(2025, 2, 10), 4, 1),
            split("AAPL", date(2025, 2, 20), 1, 50),
            split("BRK.B", date(2025, 2, 11), 3, 2),
        ]
    );
    let request = &server.requests()[0];
    assert_eq!(request.path(), "/v1/corporate-actions");
    assert_eq!(request.query("types"), "forward_split,reverse_split");
    // Filtered by the date of processing, so asked with a margin.
    assert_eq!(
        (request.query("start").as_str(), request.query("end").as_str()),
        ("2025-01-22", "2025-03-10")
    );
}

#[tokio::test]
async fn the_check_says_what_works() {
    let latest =
        r#"{"bars":{"AAPL":{"t":"2025-01-31T15:29:00Z","o":1,"h":1,"l":1,"c":1,"v":1,"n":1,"vw":1}}}"#;
    let server = Server::always(Reply::ok(latest)).await;
    let line = given::alpaca(&server.url).check(symbol("AAPL")).await.expect("an answer");
    assert_eq!(line, "alpaca: key accepted, feed iex answers, newest bar of AAPL is 2025-01-31T15:29:00Z");
    assert_eq!(server.requests()[0].path(), "/v2/stocks/bars/latest");

    let server = Server::always(Reply::ok(r#"{"bars":{}}"#)).await;
    let line = given::alpaca(&server.url).check(symbol("AAPL")).await.expect("an answer");
    assert!(line.contains("no bar of AAPL"), "{line}");
}

#[tokio::test]
async fn the_delayed_feed_is_asked_from_the_history_it_may_read() {
    let server = Server::always(Reply::ok(EMPTY)).await;
    let config = AlpacaConfig { feed: "delayed_sip".to_owned(), ..given::alpaca_config(&server.url) };
    let alpaca = Alpaca::new(config, given::clock()).expect("a provider");
    alpaca.bars(&symbols("AAPL"), half_hour()).await.expect("an answer");
    let request = &server.requests()[0];
    assert_eq!(request.query("feed"), "sip");
    assert_eq!(request.query("end"), "2025-01-31T15:13:00Z", "the minute that was over 16 minutes ago");
    let recent = minute("2025-01-31T15:20:00Z")..half_hour().end;
    assert!(alpaca.bars(&symbols("AAPL"), recent).await.expect("an answer").bars.is_empty());
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn settings_that_cannot_work_are_named() {
    let url = "http://127.0.0.1:9/".parse().expect("an address");
    type Break = fn(&mut AlpacaConfig);
    let broken: [(&str, Break); 6] = [
        ("key_id", |config| config.key_id.clear()),
        ("secret_key", |config| config.secret_key = "XYZZY\nXYZZY".to_owned()),
        ("feed", |config| config.feed = "Sip!".to_owned()),
        ("base_url", |config| config.base_url = "ftp://x/".parse().expect("an address")),
        ("stream_url", |config| config.stream_url = Some("http://x/".parse().expect("an address"))),
        ("requests per minute", |config| config.requests_per_minute = 0),
    ];
    for (setting, brk) in broken {
        let mut config = given::alpaca_config(&url);
        brk(&mut config);
        let error = Alpaca::new(config, given::clock()).err().expect(setting);
        assert!(error.message.contains(setting), "{setting}: {error}");
        assert!(!error.message.contains("XYZZY"), "{error}");
    }
}
