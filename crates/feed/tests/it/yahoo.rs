//! Yahoo's chart endpoint, against a server.

use crate::given::{self, half_hour, minute, symbol, symbols};
use jiff::civil::date;
use qqq_core::FeedLabel;
use qqq_feed::{FeedErrorKind, Fetched, Provider, Yahoo, YahooConfig, yahoo};
use qqq_testkit::http::{Reply, Server};
use std::time::{Duration, Instant};

const CHART: &str = include_str!("../../testdata/yahoo/chart_1m.json");
const NO_DATA: &str = include_str!("../../testdata/yahoo/no_data.json");
const NOT_FOUND: &str = include_str!("../../testdata/yahoo/not_found.json");
const TOO_WIDE: &str = include_str!("../../testdata/yahoo/too_wide.json");

fn no_data(path: &str) -> String {
    NO_DATA.replace("AAPL", path.rsplit('/').next().unwrap_or_default())
}

#[tokio::test]
async fn minutes_without_a_trade_and_made_up_edges_are_left_out() {
    let server = Server::always(Reply::ok(CHART)).await;
    let fetched = given::yahoo(&server.url).bars(&symbols("BRK.B"), half_hour()).await.expect("an answer");
    let found: Vec<String> = fetched
        .bars
        .iter()
        .map(|bar| format!("{} {} {} {} {}", bar.symbol, bar.start, bar.close, bar.volume, bar.feed))
        .collect();
    assert_eq!(
        found,
        [
            "BRK.B 2025-01-31T15:01:00Z 470.2 1523 yahoo",
            "BRK.B 2025-01-31T15:03:00Z 470.4 0 yahoo",
            "BRK.B 2025-01-31T15:04:00Z 470.5 77 yahoo",
            "BRK.B 2025-01-31T15:06:00Z 470.75 900 yahoo",
        ],
        "without the first bar of no volume, the null minute and the running one"
    );
    assert_eq!(fetched.bars[0].high.to_string(), "470.2501");
    assert_eq!(fetched.rejects.len(), 1, "{:?}", fetched.rejects);
    assert_eq!(fetched.rejects[0].place, "BRK.B 2025-01-31T15:05:00Z", "its low is above its open");
}

#[tokio::test]
async fn the_request_names_the_symbol_as_yahoo_does() {
    let server = Server::always(Reply::ok(CHART)).await;
    given::yahoo(&server.url).bars(&symbols("BRK.B"), half_hour()).await.expect("an answer");
    let [request] = server.requests().try_into().expect("one request");
    assert_eq!(request.path(), "/v8/finance/chart/BRK-B");
    for (name, value) in [
        ("interval", "1m"),
        ("period1", "1738335600"),
        ("period2", "1738337400"),
        ("includePrePost", "true"),
        ("events", "split"),
    ] {
        assert_eq!(request.query(name), value, "{name}");
    }
}

#[tokio::test]
async fn an_unknown_symbol_fails_alone() {
    let server = Server::new(|request| {
        if request.path().ends_with("GONE") {
            Reply::status(404, NOT_FOUND)
        } else {
            Reply::ok(no_data(request.path()))
        }
    })
    .await;
    let yahoo = given::yahoo(&server.url);
    let fetched = yahoo.bars(&symbols("AAPL GONE MSFT"), half_hour()).await.expect("an answer");
    assert!(fetched.bars.is_empty() && fetched.rejects.is_empty());
    assert_eq!(fetched.failed.len(), 1);
    assert_eq!(fetched.failed[0].0, symbol("GONE"));
    assert_eq!(fetched.failed[0].1.kind, FeedErrorKind::NotFound);

    let fetched = yahoo.bars(&symbols("GONE"), half_hour()).await.expect("not found is an answer");
    assert_eq!(fetched.failed.len(), 1);
}

#[test]
fn what_does_not_answer_the_question_is_no_answer_and_what_says_there_was_nothing_is_one() {
    let label = FeedLabel::new("yahoo").expect("a label");
    let bars = |body: &str| yahoo::parse::bars(body.as_bytes(), symbol("AAPL"), half_hour(), label);
    let another = NO_DATA.replace("AAPL", "MSFT");
    let hourly = NO_DATA.replace("\"1m\"", "\"1h\"");
    let only_times =
        r#"{"chart":{"result":[{"meta":{"symbol":"AAPL"},"timestamp":[1738335600]}],"error":null}}"#;
    let no_result = r#"{"chart":{"result":null,"error":null}}"#;
    let empty = r#"{"chart":{"result":[],"error":null}}"#;
    for (body, kind, words) in [
        (another.as_str(), FeedErrorKind::NotFound, "answered for MSFT"),
        (hourly.as_str(), FeedErrorKind::Unreadable, "bars of 1h"),
        (only_times, FeedErrorKind::Unreadable, "times without prices"),
        (no_result, FeedErrorKind::Unreadable, "neither a result nor an error"),
        (empty, FeedErrorKind::Unreadable, "neither a result nor an error"),
    ] {
        let error = bars(body).expect_err(body);
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(words) && error.message.contains("AAPL"), "{error}");
    }
    assert!(!NO_DATA.contains("timestamp"));
    assert_eq!(bars(NO_DATA).expect("an answer"), Fetched::default());

    // Nor does it say that there were no splits.
    let days = date(2025, 1, 1)..=date(2025, 1, 31);
    for (body, kind) in [
        (another.as_str(), FeedErrorKind::NotFound),
        (no_result, FeedErrorKind::Unreadable),
        (empty, FeedErrorKind::Unreadable),
    ] {
        let splits = yahoo::parse::splits(body.as_bytes(), symbol("AAPL"), &days);
        assert_eq!(splits.expect_err(body).kind, kind, "{body}");
        let newest = yahoo::parse::last_trade(body.as_bytes(), symbol("AAPL"));
        assert_eq!(newest.expect_err(body).kind, kind, "{body}");
    }
}

#[tokio::test]
async fn a_symbol_without_an_answer_failed_and_is_not_passed_over() {
    let server = Server::new(|request| match request.path().rsplit('/').next() {
        Some("MSFT") => Reply::ok(r#"{"chart":{"result":null,"error":null}}"#),
        _ => Reply::ok(no_data(request.path())),
    })
    .await;
    let yahoo = given::yahoo(&server.url);
    let (both, one) = (symbols("AAPL MSFT"), symbols("MSFT"));
    let (both, one) = tokio::join!(yahoo.bars(&both, half_hour()), yahoo.bars(&one, half_hour()));
    let failed = both.expect("an answer").failed;
    let failed: Vec<_> = failed.iter().map(|(symbol, error)| (*symbol, error.kind)).collect();
    assert_eq!(failed, [(symbol("MSFT"), FeedErrorKind::Unreadable)]);
    assert_eq!(one.expect_err("no answer at all").kind, FeedErrorKind::Unreadable);
}

#[tokio::test]
async fn a_refusal_that_sounds_like_a_wrong_key_is_a_limit_for_there_is_no_key() {
    let said = r#"{"result":null,"error":{"code":"Unauthorized","description":"Invalid Crumb"}}"#;
    for (status, root) in [(401, "finance"), (401, "chart"), (403, "finance"), (422, "chart"), (200, "chart")]
    {
        let server = Server::always(Reply::status(status, format!(r#"{{"{root}":{said}}}"#))).await;
        let error = given::yahoo(&server.url).bars(&symbols("AAPL"), half_hour()).await.expect_err(root);
        assert_eq!(error.kind, FeedErrorKind::RateLimited { retry_after: None }, "{status} {root}: {error}");
        assert_eq!(server.requests().len(), 1, "{status} {root}: it was asked again at once");
    }
}

#[tokio::test]
async fn a_long_range_is_asked_for_by_weeks_and_never_beyond_thirty_days() {
    let server = Server::new(|request| Reply::ok(no_data(request.path()))).await;
    let range = minute("2024-11-01T00:00:00Z")..half_hour().end;
    given::yahoo(&server.url).bars(&symbols("AAPL"), range.clone()).await.expect("an answer");
    let period = |name: &str| -> Vec<i64> {
        server.requests().iter().map(|request| request.query(name).parse().expect("seconds")).collect()
    };
    let (starts, ends) = (period("period1"), period("period2"));
    let week = 7 * 86_400;
    assert!(starts.iter().zip(&ends).all(|(start, end)| end > start && end - start <= week));
    assert_eq!(starts[1..], ends[..ends.len() - 1], "without gap or overlap");
    let now = range.end.start().as_second();
    assert_eq!(ends.last(), Some(&now));
    assert!(now - starts[0] <= 30 * 86_400 && now - starts[0] > 29 * 86_400);

    let before = server.requests().len();
    let old = minute("2024-11-01T00:00:00Z")..minute("2024-12-01T00:00:00Z");
    assert!(given::yahoo(&server.url).bars(&symbols("AAPL"), old).await.expect("an answer").bars.is_empty());
    assert_eq!(server.requests().len(), before, "what is too old is not asked for");
}

#[tokio::test]
async fn a_range_that_is_refused_as_too_wide_is_halved() {
    let server = Server::new(|request| {
        let seconds = |name| request.query(name).parse::<i64>().expect("seconds");
        if seconds("period2") - seconds("period1") > 2 * 86_400 {
            Reply::status(422, TOO_WIDE)
        } else {
            Reply::ok(no_data(request.path()))
        }
    })
    .await;
    let end = half_hour().end;
    let fetched = given::yahoo(&server.url).bars(&symbols("AAPL"), end.plus_minutes(-7 * 1440)..end).await;
    assert!(fetched.expect("an answer").failed.is_empty());
    let answered: i64 = server
        .requests()
        .iter()
        .map(|request| {
            let seconds = |name| request.query(name).parse::<i64>().expect("seconds");
            seconds("period2") - seconds("period1")
        })
        .filter(|width| *width <= 2 * 86_400)
        .sum();
    assert_eq!(answered, 7 * 86_400, "all of the range was answered in the end");

    let server = Server::always(Reply::status(422, TOO_WIDE)).await;
    let fetched = given::yahoo(&server.url)
        .bars(&symbols("AAPL"), end.plus_minutes(-7 * 1440)..end)
        .await
        .expect("words");
    assert_eq!(fetched.failed[0].1.kind, FeedErrorKind::BadRequest, "halving ends");
    assert!(server.requests().len() < 10, "{}", server.requests().len());
}

#[tokio::test]
async fn after_too_many_requests_yahoo_is_left_alone() {
    let server = Server::always(Reply::status(429, "Edge: Too Many Requests")).await;
    let yahoo = given::yahoo(&server.url);
    let begun = Instant::now();
    let error = yahoo.bars(&symbols("AAPL"), half_hour()).await.expect_err("429");
    assert_eq!(error.kind, FeedErrorKind::RateLimited { retry_after: None });
    assert!(error.message.contains("Edge: Too Many Requests"), "{error}");
    assert_eq!(server.requests().len(), 1, "no retry, and no other host for an unofficial address");

    let error = yahoo.bars(&symbols("AAPL MSFT"), half_hour()).await.expect_err("still open");
    let FeedErrorKind::RateLimited { retry_after: Some(wait) } = error.kind else { panic!("{error:?}") };
    let pause = Duration::from_secs(120);
    assert!(wait <= pause && wait + begun.elapsed() >= pause, "{wait:?}");
    assert!(error.message.contains("left alone"), "{error}");
    assert_eq!(server.requests().len(), 1, "nothing was asked while the breaker is open");
}

#[tokio::test]
async fn requests_are_spread_out() {
    let server = Server::new(|request| Reply::ok(no_data(request.path()))).await;
    let config = YahooConfig { requests_per_minute: 600, ..given::yahoo_config(&server.url) };
    let yahoo = Yahoo::new(config, given::clock()).expect("a provider");
    let begun = Instant::now();
    yahoo.bars(&symbols("A B C D E F G"), half_hour()).await.expect("an answer");
    assert_eq!(server.requests().len(), 7);
    assert!(begun.elapsed() > Duration::from_millis(450), "five waited a tenth of a second each");
}

#[tokio::test]
async fn splits_come_from_the_chart_of_days() {
    let server = Server::always(Reply::ok(CHART)).await;
    let yahoo = given::yahoo(&server.url);
    let found =
        yahoo.splits(&symbols("BRK.B"), date(2025, 1, 1)..=date(2025, 1, 31)).await.expect("an answer");
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].new, found[0].old, found[0].ex_date), (3, 2, date(2025, 1, 31)));
    let request = &server.requests()[0];
    assert_eq!((request.query("interval").as_str(), request.query("events").as_str()), ("1d", "split"));
    let found =
        yahoo.splits(&symbols("BRK.B"), date(2025, 1, 1)..=date(2025, 1, 30)).await.expect("an answer");
    assert!(found.is_empty(), "its ex-date is one day later");
}

#[tokio::test]
async fn the_check_says_what_works() {
    let server = Server::always(Reply::ok(CHART)).await;
    let line = given::yahoo(&server.url).check(symbol("BRK.B")).await.expect("an answer");
    assert_eq!(line, "yahoo: answers without a key, newest trade of BRK.B is 2025-01-31T15:07:04Z");
    let server = Server::always(Reply::status(404, NOT_FOUND)).await;
    let error = given::yahoo(&server.url).check(symbol("GONE")).await.expect_err("404");
    assert_eq!(error.kind, FeedErrorKind::NotFound);
}
