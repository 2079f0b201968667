//! `GET /v1/symbols/{symbol}/bars`: what is told, in which order, and where pages end.

use crate::faulty::{Fault, Faulty};
use crate::world::*;
use axum::Router;
use axum::http::StatusCode;
use proptest::prelude::*;
use qqq_core::market::calendar::Market;
use qqq_core::{Bar, Calendar, Second, Volume};
use qqq_http::Rate;
use qqq_store::{BarRecord, Batch};
use serde_json::{Value, json};
use std::sync::Arc;

const BARS: &str = "/v1/symbols/AAPL/bars";

/// Thursday afternoon and Friday of the fixture's week, some minutes without a trade, some that do not count.
fn two_sessions() -> Vec<Bar> {
    let mut bars = Vec::new();
    for (open, minutes) in [("2025-01-30T14:30:00Z", 390), ("2025-01-31T14:30:00Z", 330)] {
        for n in (0..minutes).filter(|n| n % 7 != 3) {
            bars.push(bar(
                "AAPL",
                at(open).plus_minutes(n),
                &format!("{}.{}", 200 + n % 13, n % 10),
                100 + i64::from(n),
            ));
        }
        bars.push(bar("AAPL", at(open).plus_minutes(-1), "999", 1));
    }
    bars
}

async fn items(router: &Router, path: &str) -> Vec<Value> {
    let reply = get(router, path).await;
    assert_eq!(reply.status, StatusCode::OK, "{path}: {}", reply.text());
    reply.json()["items"].as_array().unwrap().clone()
}

fn starts(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["start"].as_str().unwrap()).collect()
}

/// All pages, by the cursor of the one before.
async fn pages(router: &Router, path: &str) -> Vec<Vec<Value>> {
    let mut pages = Vec::new();
    let mut next = path.to_owned();
    loop {
        let reply = get(router, &next).await;
        assert_eq!(reply.status, StatusCode::OK, "{next}: {}", reply.text());
        let page = reply.json();
        pages.push(page["items"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else {
            assert_eq!(reply.header("link"), "", "{next}");
            return pages;
        };
        assert!(reply.header("link").ends_with("; rel=\"next\""), "{next}");
        let glue = if path.contains('?') { '&' } else { '?' };
        next = format!("{path}{glue}cursor={cursor}");
        assert!(pages.len() < 2_000, "the pages never end");
    }
}

#[tokio::test]
async fn minutes_are_told_field_by_field() {
    let world = World::new().await;
    let start = at("2025-01-31T19:58:00Z");
    let full = Bar {
        open: "689.1".parse().unwrap(),
        high: "689.400000001".parse().unwrap(),
        low: "688.9".parse().unwrap(),
        vwap: Some("689.05".parse().unwrap()),
        trades: Some(311),
        ..bar("META", start, "689.2", 51234)
    };
    let bars = vec![
        BarRecord { bar: full, revision: 2 },
        BarRecord { bar: bar("META", start.plus_minutes(1), "0.1", 0), revision: 0 },
    ];
    world.commit(Batch { bars, ..Batch::default() }).await;
    let router = world.router().await;
    for path in ["/v1/symbols/META/bars", "/v1/symbols/fb/bars?interval=1m"] {
        let reply = get(&router, path).await;
        assert_eq!(
            reply.json(),
            json!({
                "items": [
                    {"start": "2025-01-31T19:58:00Z",
                     "open": 689.1, "high": 689.400000001, "low": 688.9, "close": 689.2,
                     "volume": 51234, "vwap": 689.05, "trades": 311, "feed": "iex", "revision": 2},
                    {"start": "2025-01-31T19:59:00Z",
                     "open": 0.1, "high": 0.1, "low": 0.1, "close": 0.1,
                     "volume": 0, "vwap": null, "trades": null, "feed": "iex", "revision": 0},
                ],
                "next_cursor": null,
            })
        );
        assert_eq!(reply.header("cache-control"), "no-cache");
        assert_eq!(reply.header("vary"), "accept, accept-encoding");
        let again = get_with(&router, path, &[("if-none-match", reply.header("etag"))]).await;
        assert_eq!(again.status, StatusCode::NOT_MODIFIED);
    }
}

#[tokio::test]
async fn without_a_window_it_is_the_newest_bars() {
    let world = World::new().await;
    world.commit_bars(&two_sessions()).await;
    let router = world.router().await;
    let minutes = items(&router, BARS).await;
    // 24 hours up to the newest, like `/AAPL/price`.
    assert_eq!(starts(&minutes)[0], "2025-01-30T20:00:00Z");
    assert_eq!(starts(&minutes).last(), Some(&"2025-01-31T19:59:00Z"));
    let prices = get(&router, "/AAPL/price").await.json();
    let closes: Vec<_> = minutes.iter().map(|bar| bar["close"].clone()).collect();
    assert_eq!(prices["prices"], Value::Array(closes));
    let days = items(&router, &format!("{BARS}?interval=1d")).await;
    assert_eq!(starts(&days), ["2025-01-30T14:30:00Z", "2025-01-31T14:30:00Z"]);
    assert_eq!(items(&router, "/v1/symbols/PYPL/bars").await, [] as [Value; 0]);
}

#[tokio::test]
async fn longer_bars_follow_the_session_and_add_up() {
    let world = World::new().await;
    let bars = two_sessions();
    world.commit_bars(&bars).await;
    let router = world.router().await;
    let counting: i64 =
        bars.iter().filter(|bar| bar.close.to_f64() < 900.0).map(|bar| bar.volume.shares()).sum();
    for (interval, count, first, last) in [
        ("5m", 78 + 66, "2025-01-30T14:30:00Z", "2025-01-31T19:55:00Z"),
        ("15m", 26 + 22, "2025-01-30T14:30:00Z", "2025-01-31T19:45:00Z"),
        ("1h", 7 + 6, "2025-01-30T14:30:00Z", "2025-01-31T19:30:00Z"),
        ("1d", 2, "2025-01-30T14:30:00Z", "2025-01-31T14:30:00Z"),
    ] {
        let items = items(&router, &format!("{BARS}?interval={interval}")).await;
        assert_eq!(items.len(), count, "{interval}");
        assert_eq!((starts(&items)[0], *starts(&items).last().unwrap()), (first, last), "{interval}");
        let volume: i64 = items.iter().map(|item| item["volume"].as_i64().unwrap()).sum();
        assert_eq!(volume, counting, "{interval}");
        assert!(items.iter().all(|item| item["revision"].is_null() && item["feed"] == "iex"), "{interval}");
    }
}

#[tokio::test]
async fn pages_hold_whole_buckets_and_together_what_one_page_holds() {
    let mut world = World::new().await;
    let many = 100_000.try_into().unwrap();
    world.config.limits.pages_of_bars = Rate { per_minute: many, burst: many };
    world.commit_bars(&two_sessions()).await;
    let router = world.router().await;
    for interval in ["1m", "5m", "15m", "1h", "1d"] {
        let path = format!("{BARS}?interval={interval}&from=2025-01-01T00:00:00Z");
        let whole = items(&router, &path).await;
        for limit in [1, 2, 7, 389] {
            let pages = pages(&router, &format!("{path}&limit={limit}")).await;
            assert!(pages.iter().all(|page| page.len() <= limit), "{interval} {limit}");
            assert_eq!(pages.len(), whole.len().div_ceil(limit), "{interval} {limit}");
            assert_eq!(pages.concat(), whole, "{interval} {limit}");
        }
    }
}

#[tokio::test]
async fn from_is_inclusive_and_to_exclusive_by_a_bars_start() {
    let world = World::new().await;
    world.commit_bars(&two_sessions()).await;
    let router = world.router().await;
    for (query, expected) in [
        ("interval=1h&from=2025-01-31T15:30:00Z&to=2025-01-31T17:30:00Z", vec!["15:30", "16:30"]),
        // Begun before `from`: not told, not even in part. Begun before `to`: told whole.
        ("interval=1h&from=2025-01-31T15:31:00Z&to=2025-01-31T17:31:00Z", vec!["16:30", "17:30"]),
        ("interval=1h&from=2025-01-31T15:30:00.001Z&to=2025-01-31T16:30:00Z", vec![]),
        ("interval=1d&from=2025-01-31T00:00:00-05:00&to=2025-02-01T00:00:00-05:00", vec!["14:30"]),
        // Days are New York's, as in an export.
        ("interval=1d&from=2025-01-31&to=2025-02-01", vec!["14:30"]),
        ("interval=1d&from=2025-02-01", vec![]),
        ("interval=1d&from=0001-01-01&to=2025-01-31", vec!["14:30"]),
        ("from=9999-12-31", vec![]),
        ("from=2025-01-31T14:30:00Z&to=2025-01-31T14:33:00Z", vec!["14:30", "14:31", "14:32"]),
        ("from=2025-01-31T14:32:00Z&to=2025-01-31T14:35:00Z", vec!["14:32", "14:34"]),
        ("from=2025-01-31T15:00:00Z&to=2025-01-31T15:00:00Z", vec![]),
        ("interval=1h&from=2025-01-31T15:30:00Z&to=2025-01-31T14:35:00Z", vec![]),
        ("from=2030-01-01T00:00:00Z", vec![]),
        ("to=1950-01-01T00:00:00Z", vec![]),
        ("from=-009999-01-02T01:59:59Z&to=1950-01-01T00:00:00Z", vec![]),
        ("from=9999-12-30T22:00:00Z", vec![]),
    ] {
        let items = items(&router, &format!("{BARS}?{query}")).await;
        let times: Vec<_> = starts(&items).iter().map(|start| &start[11..16]).collect();
        assert_eq!(times, expected, "{query}");
    }
    let whole = items(&router, &format!("{BARS}?interval=1h&from=2025-01-31T17:30:00Z")).await;
    let cut =
        items(&router, &format!("{BARS}?interval=1h&from=2025-01-31T17:30:00Z&to=2025-01-31T17:31:00Z"))
            .await;
    assert_eq!(cut[..], whole[..1], "the bucket is told whole");
    let last_day = items(&router, &format!("{BARS}?interval=1d&to=2025-01-31T00:00:00Z")).await;
    assert_eq!(starts(&last_day), ["2025-01-30T14:30:00Z"], "`to` alone looks back from there");
}

#[tokio::test]
async fn what_cannot_be_asked_is_a_problem() {
    let world = World::new().await;
    let router = world.router().await;
    for (path, status, code) in [
        ("/v1/symbols/IBM/bars".to_owned(), 404, "unknown_ticker"),
        ("/v1/symbols/%FF/bars".to_owned(), 404, "unknown_ticker"),
        (format!("{BARS}?interval=2m"), 400, "invalid_parameter"),
        (format!("{BARS}?interval="), 400, "invalid_parameter"),
        (format!("{BARS}?limit=1001"), 400, "invalid_parameter"),
        (format!("{BARS}?from=today"), 400, "invalid_parameter"),
        (format!("{BARS}?from=2025-01-31T14:30:00"), 400, "invalid_parameter"),
        (format!("{BARS}?to=2025-13-01"), 400, "invalid_parameter"),
        (format!("{BARS}?cursor=x"), 400, "invalid_parameter"),
        (format!("{BARS}?cursor=99999999999"), 400, "invalid_parameter"),
        (format!("{BARS}?since=2025-01-31T15:00:00Z"), 400, "unknown_parameter"),
    ] {
        let reply = get(&router, &path).await;
        assert_eq!((reply.status.as_u16(), &reply.json()["code"]), (status, &json!(code)), "{path}");
    }
    for accept in ["text/plain", "application/xml, image/*", "text/csv;q=0"] {
        let reply = get_with(&router, BARS, &[("accept", accept)]).await;
        assert_eq!(reply.status, StatusCode::NOT_ACCEPTABLE, "{accept}");
        assert_eq!(reply.header("content-type"), "application/problem+json");
        assert_eq!(reply.json()["code"], "not_acceptable");
    }
}

#[tokio::test]
async fn csv_has_the_columns_of_an_import_and_its_next_page_in_a_header() {
    let world = World::new().await;
    let start = at("2025-01-31T19:57:00Z");
    let full =
        Bar { vwap: Some("229.05".parse().unwrap()), trades: Some(12), ..bar("AAPL", start, "229.1", 40) };
    world
        .commit_bars(&[
            full,
            bar("AAPL", start.plus_minutes(1), "229", 0),
            bar("AAPL", start.plus_minutes(2), "230", 7),
        ])
        .await;
    let router = world.router().await;
    let accept = [("accept", "text/csv, application/json;q=0.5")];
    let query = "limit=2&interval=1m&from=2000-01-01T00:00:00Z&to=2100-01-01T00:00:00Z";
    let reply = get_with(&router, &format!("{BARS}?{query}"), &accept).await;
    assert_eq!(reply.header("content-type"), "text/csv; charset=utf-8; header=present");
    assert_eq!(
        reply.text(),
        "symbol,start,open,high,low,close,volume,vwap,trades\n\
         AAPL,2025-01-31T19:57:00Z,229.1,229.1,229.1,229.1,40,229.05,12\n\
         AAPL,2025-01-31T19:58:00Z,229,229,229,229,0,,\n"
    );
    let link = reply.header("link").strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
    assert!(
        link.starts_with("/v1/symbols/AAPL/bars?to=2100-01-01T00%3A00%3A00Z&interval=1m&limit=2&cursor="),
        "{link}"
    );
    let next = get_with(&router, link, &accept).await;
    assert!(
        next.text().ends_with("trades\nAAPL,2025-01-31T19:59:00Z,230,230,230,230,7,,\n"),
        "{}",
        next.text()
    );
    assert_eq!(next.header("link"), "");
    let json = get_with(&router, &format!("{BARS}?{query}"), &[("accept", "*/*")]).await;
    assert_eq!(json.header("content-type"), "application/json");
    assert_ne!(json.header("etag"), reply.header("etag"));
}

#[tokio::test]
async fn the_newest_bars_are_read_once_until_there_is_a_newer_or_corrected_one() {
    let world = World::new().await;
    let start = at("2025-01-31T19:00:00Z");
    world.commit_bars(&[bar("AAPL", start, "200", 1), bar("MSFT", start, "400", 1)]).await;
    let faulty = Arc::new(Faulty::over(&world));
    let following = Following::start(world.api_over(faulty.clone()).await);
    let router = following.api.router();
    for (path, revision) in [(BARS.to_owned(), 1), (format!("{BARS}?interval=1h"), 2)] {
        let first = get(&router, &path).await;
        let other = world.commit_bars(&[bar("MSFT", start.plus_minutes(revision), "401", 1)]).await;
        following.has_seen(other).await;
        faulty.set(Fault::Error);
        assert_eq!(get(&router, &path).await.body, first.body, "another symbol's news does not matter");
        let reply = get(&router, &format!("{BARS}?limit=5")).await;
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "any other page is the store's");
        faulty.set(Fault::None);
        let close = format!("20{revision}.5");
        let corrected = BarRecord { bar: bar("AAPL", start, &close, 1), revision: revision as u32 };
        let sequence = world.commit(Batch { bars: vec![corrected], ..Batch::default() }).await;
        following.has_seen(sequence).await;
        assert_eq!(items(&router, &path).await[0]["close"].to_string(), close, "{path}");
    }
}

#[tokio::test]
async fn a_page_of_days_reads_so_much_and_no_more() {
    let mut world = World::new().await;
    world.calendar = Arc::new(Calendar::new(Market::Always, false, []));
    let first = at("2025-01-01T05:00:00Z");
    let all: Vec<Bar> =
        (0..25 * Second::MINUTES_PER_DAY).map(|n| bar("AAPL", first.plus_minutes(n), "7", 2)).collect();
    world.store.import(&all).await.unwrap();
    let router = world.router().await;
    let pages = pages(&router, &format!("{BARS}?interval=1d&from=2025-01-01T00:00:00Z")).await;
    assert_eq!(
        pages.iter().map(Vec::len).collect::<Vec<_>>(),
        [20, 5],
        "30,000 bars are 20 whole days and a part"
    );
    let days = pages.concat();
    assert!(days.iter().all(|day| day["volume"] == 2 * Second::MINUTES_PER_DAY), "no day is told in part");
    assert_eq!(starts(&days)[24], "2025-01-25T05:00:00Z");
}

#[tokio::test]
async fn stretches_that_do_not_count_end_no_list() {
    let world = World::new().await;
    let friday = at("2025-01-24T20:59:00Z");
    // Bars of every minute of a weekend, which is closed.
    let bars: Vec<Bar> =
        (0..3 * Second::MINUTES_PER_DAY).map(|n| bar("AAPL", friday.plus_minutes(n), "7", 2)).collect();
    world.store.import(&bars).await.unwrap();
    let router = world.router().await;
    let path = format!("{BARS}?from=2025-01-24T20:59:00Z&limit=2");
    let first = items(&router, &path).await;
    assert_eq!(starts(&first), ["2025-01-24T20:59:00Z", "2025-01-27T14:30:00Z"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Whatever is stored, pages of any size and interval hold the same as one without an end.
    #[test]
    fn no_bar_is_lost_or_told_twice_at_a_page_s_edge(
        minutes in prop::collection::btree_set(0..4 * 1440_i32, 1..300),
        limit in 1..40_usize,
        interval in prop::sample::select(vec!["1m", "5m", "15m", "1h", "1d"]),
        extended_hours: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new().await;
            world.calendar = Arc::new(Calendar::new(Market::Xnas, extended_hours, []));
            // Thursday before summer time begins, to Monday.
            let first = at("2025-03-06T05:00:00Z");
            let volume = Volume::from_shares(1).unwrap();
            let of = |&n| Bar { volume, ..bar("AAPL", first.plus_minutes(n), "7", 1) };
            let bars: Vec<Bar> = minutes.iter().map(of).collect();
            world.store.import(&bars).await.unwrap();
            let router = world.router().await;
            let path = format!("{BARS}?from=2025-03-01T00:00:00Z&interval={interval}");
            let told = pages(&router, &format!("{path}&limit={limit}")).await.concat();
            let counting = bars.iter().filter(|bar| world.calendar.counts(bar.start)).count();
            let volume: u64 = told.iter().map(|bar| bar["volume"].as_u64().unwrap()).sum();
            assert_eq!(volume, counting as u64);
            assert!(starts(&told).is_sorted_by(|one, next| one < next));
        });
    }
}

#[tokio::test]
async fn pages_that_the_store_is_asked_for_are_counted_and_the_newest_is_not() {
    let mut world = World::new().await;
    world.config.limits.pages_of_bars =
        Rate { per_minute: 1.try_into().unwrap(), burst: 1.try_into().unwrap() };
    let router = world.router().await;
    let older = "/v1/symbols/AAPL/bars?to=2025-01-31T15:00:00Z";
    assert_eq!(get(&router, older).await.status, StatusCode::OK);
    assert_eq!(get(&router, older).await.status, StatusCode::TOO_MANY_REQUESTS);
    for _ in 0..3 {
        assert_eq!(get(&router, "/v1/symbols/AAPL/bars?interval=5m").await.status, StatusCode::OK);
    }
}
