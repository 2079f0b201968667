//! The answers of the contract, field by field.

use crate::faulty::{Fault, Faulty};
use crate::world::*;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use qqq_core::{AlertState, FeedMode, Metric, Second, Volume};
use qqq_store::{AlertChange, BarRecord, Batch};
use serde_json::{Value, json};
use std::sync::Arc;

/// Bars of two days and around: only those of the regular session, of the 24 hours up to the newest, count.
async fn market() -> World {
    let world = World::new().await;
    world
        .commit_bars(&[
            bar("AAPL", at("2025-01-30T19:59:00Z"), "1", 1), // exactly 24 hours before the newest
            bar("AAPL", at("2025-01-30T20:00:00Z"), "228.5", 10),
            bar("AAPL", at("2025-01-30T20:59:00Z"), "230.123456789", 20),
            bar("AAPL", at("2025-01-30T21:00:00Z"), "999", 999), // after the close
            bar("AAPL", at("2025-01-31T14:29:00Z"), "999", 999), // before the open
            bar("AAPL", at("2025-01-31T14:30:00Z"), "231", 30),
            bar("AAPL", at("2025-01-31T19:59:00Z"), "229.87", 40),
            bar("META", at("2025-01-31T19:58:00Z"), "0.1", 5),
            bar("IBM", at("2025-01-31T19:59:00Z"), "258.1", 5), // not on the watchlist
        ])
        .await;
    let start = at("2025-01-31T19:59:00Z");
    world
        .commit(Batch {
            statistics: vec![
                statistics("AAPL", start, 0.5, 1.1),
                statistics("META", start, 0.61, 2.44),
                statistics("TSLA", start, 0.61, 1.0),
            ],
            feed: Some(feed(FeedMode::Live)),
            ..Batch::default()
        })
        .await;
    world
}

#[tokio::test]
async fn prices_are_the_exact_closes_of_the_last_24_hours_with_the_ranking_by_deviation() {
    let router = market().await.router().await;
    for path in ["/AAPL/price", "/AAPL/prices", "/aapl/price", "/aApL/prices"] {
        let reply = get(&router, path).await;
        assert_eq!(reply.status, StatusCode::OK);
        assert_eq!(reply.header("content-type"), "application/json");
        assert_eq!(
            reply.text(),
            concat!(
                r#"{"prices":[228.5,230.123456789,231,229.87],"#,
                r#""rankings":["META","TSLA","AAPL","ADBE","AMZN","GOOG","MSFT","NFLX","NVDA","PYPL"]}"#,
            )
        );
    }
}

#[tokio::test]
async fn volumes_are_answered_in_the_same_form() {
    let router = market().await.router().await;
    let reply = get(&router, "/AAPL/volume").await;
    assert_eq!(reply.json()["volume"], json!([10, 20, 30, 40]));
    assert_eq!(reply.json()["rankings"][0], "META");
    assert_eq!(reply.json().as_object().unwrap().len(), 2);
}

#[tokio::test]
async fn former_symbols_are_understood_and_a_tracked_symbol_without_bars_has_an_empty_list() {
    let router = market().await.router().await;
    assert_eq!(get(&router, "/fb/price").await.json()["prices"], json!([0.1]));
    let reply = get(&router, "/PYPL/price").await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(reply.json()["prices"], json!([]));
}

#[tokio::test]
async fn who_has_a_former_symbol_now_is_tracked_beside_its_former_owner() {
    let mut world = World::new().await;
    world.watchlist = qqq_core::Watchlist::new(["META", "FB"].map(symbol), []).unwrap().into();
    let start = at("2025-01-31T19:59:00Z");
    world.commit_bars(&[bar("META", start, "689.2", 7), bar("FB", start, "25.5", 9)]).await;
    let router = world.router().await;
    for (name, price) in [("META", 689.2), ("FB", 25.5), ("fb", 25.5)] {
        assert_eq!(get(&router, &format!("/{name}/price")).await.json()["prices"], json!([price]), "{name}");
        let body = json!({"email": "ada@example.com", "metric": "price", "ticker": name}).to_string();
        let reply = post_json(&router, "/subscribe", &body).await;
        assert_eq!(reply.json()["ticker"], name.to_uppercase());
    }
    assert_eq!(get(&router, "/v1/symbols/META").await.json()["former_symbols"], json!(["FB"]));
    assert_eq!(get(&router, "/v1/symbols/FB").await.json()["symbol"], "FB");
    let rankings = get(&router, "/v1/rankings?metric=price").await.json();
    assert_eq!(rankings["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_share_class_is_one_symbol_however_it_is_asked_for() {
    let mut world = World::new().await;
    let names = ["BRK-B", "BTC-USD"];
    world.watchlist = qqq_core::Watchlist::new(names.map(symbol), []).unwrap().into();
    world.commit_bars(&names.map(|name| bar(name, at("2025-01-31T19:59:00Z"), "470.5", 7))).await;
    let router = world.router().await;
    for name in ["BRK.B", "BRK-B", "brk-b", "BRK%2FB", "brk%2fb", "BRK%20B"] {
        let reply = get(&router, &format!("/{name}/price")).await;
        assert_eq!(reply.text(), r#"{"prices":[470.5],"rankings":["BRK.B","BTC-USD"]}"#, "{name}");
        assert_eq!(get(&router, &format!("/{name}/volume")).await.json()["volume"], json!([7]), "{name}");
        assert_eq!(get(&router, &format!("/v1/symbols/{name}")).await.json()["symbol"], "BRK.B", "{name}");
        let bars = get(&router, &format!("/v1/symbols/{name}/bars")).await;
        assert_eq!(bars.json()["items"].as_array().unwrap().len(), 1, "{name}");
        assert_eq!(get(&router, &format!("/v1/alerts?symbol={name}")).await.status, StatusCode::OK, "{name}");
        assert_eq!(get(&router, &format!("/s/{name}")).await.text(), SHELL, "{name}");
    }
    assert_eq!(get(&router, "/v1/alerts?symbol=BRK+B").await.status, StatusCode::OK);
    assert_eq!(get(&router, "/btc-usd/price").await.json()["prices"], json!([470.5]));
    assert_eq!(get(&router, "/BTC.US/price").await.status, StatusCode::NOT_FOUND);
    for ticker in ["BRK-B", "brk/b", "BRK B", "BRK.B"] {
        let body = json!({"email": "ada@example.com", "metric": "price", "ticker": ticker}).to_string();
        let reply = post_json(&router, "/subscribe", &body).await;
        assert_eq!(reply.json()["ticker"], "BRK.B", "{ticker}: {}", reply.text());
        let body = json!({"email": "ada@example.com", "metric": "volume", "ticker": ticker}).to_string();
        let reply = post_json(&router, "/v1/subscriptions", &body).await;
        assert_eq!(reply.json()["ticker"], "BRK.B", "{ticker}: {}", reply.text());
    }
}

#[tokio::test]
async fn tickers_spelt_like_a_part_of_the_site_are_reachable_beside_it() {
    let mut world = World::new().await;
    let names = ["S", "ALERTS", "ASSETS"];
    world.watchlist = qqq_core::Watchlist::new(names.map(symbol), []).unwrap().into();
    world.commit_bars(&names.map(|name| bar(name, at("2025-01-31T19:59:00Z"), "20.5", 7))).await;
    let router = world.router().await;
    for name in names.into_iter().flat_map(|name| [name.to_owned(), name.to_lowercase()]) {
        for path in [format!("/{name}/price"), format!("/{name}/prices")] {
            assert_eq!(get(&router, &path).await.json()["prices"], json!([20.5]), "{path}");
        }
        assert_eq!(get(&router, &format!("/{name}/volume")).await.json()["volume"], json!([7]), "{name}");
    }
    assert_eq!(get(&router, "/s/s").await.text(), SHELL);
    let strangers = World::new().await.router().await;
    assert_eq!(get(&strangers, "/s/price").await.json()["code"], "unknown_ticker");
}

#[tokio::test]
async fn a_long_watchlist_is_ranked_whole() {
    let mut world = World::new().await;
    let names = (0..1_000).map(|n| symbol(&format!("T{n}")));
    world.watchlist = qqq_core::Watchlist::new(names, []).unwrap().into();
    let values = get(&world.router().await, "/T500/price").await.json();
    assert_eq!(values["rankings"].as_array().unwrap().len(), 1_000);
}

#[tokio::test]
async fn a_symbol_has_the_shape_of_the_contract() {
    let world = market().await;
    let mut bar = bar("META", at("2025-01-31T20:00:00Z"), "689.2", 51_234);
    bar.open = "689.1".parse().unwrap();
    bar.high = "689.4".parse().unwrap();
    bar.low = "688.9".parse().unwrap();
    world.commit_bars(&[bar]).await;
    let before = crate::world::bar("META", at("2025-01-30T20:58:00Z"), "686.1", 1);
    world.commit_bars(&[before]).await;
    let router = world.router().await;
    let reply = get(&router, "/v1/symbols/FB").await;
    assert_eq!(
        reply.json(),
        json!({
            "symbol": "META", "name": "Meta Platforms", "former_symbols": ["FB"], "feed": "iex",
            "session": "regular",
            "bar": {"start": "2025-01-31T20:00:00Z", "open": 689.1, "high": 689.4, "low": 688.9,
                    "close": 689.2, "volume": 51234, "vwap": null, "trades": null},
            "age_seconds": 0, "as_of": "2025-01-31T20:00:00Z",
            // Of (689.4 + 688.9 + 689.2) / 3 for 51,234 shares, and 0.1 for 5.
            "day_change": {"amount": 3.1, "percent": 0.4518}, "session_vwap": 689.099426219,
            "statistics": {
                "price": {"stdev": 0.61, "relative_stdev": 0.61 / 100.0, "trailing_average": 21034.5,
                          "ratio": 1.0007, "window_bars": 60},
                "volume": {"stdev": 6.1, "relative_stdev": 6.1 / 100.0, "trailing_average": 21034.5,
                           "ratio": 2.44, "window_bars": 60}},
            // Of one session before, nothing is said but how many there are.
            "unusual": {"score": 2.44_f64.log2() + 1.0,
                        "move": {"sigma": null, "percent": 0.4518, "sessions": 0},
                        "relative_volume": {"ratio": null, "sessions": 1},
                        "minute": {"ratio": 2.44}}
        })
    );
    let all = get(&router, "/v1/symbols").await.json();
    assert_eq!(all["items"].as_array().unwrap().len(), 10);
    assert_eq!(all["next_cursor"], Value::Null);
    assert!(all["items"].as_array().unwrap().contains(&reply.json()));
    let empty = get(&router, "/v1/symbols/PYPL").await.json();
    for field in ["bar", "day_change", "age_seconds"] {
        assert_eq!(empty[field], Value::Null, "{field}");
    }
    assert_eq!(
        empty["statistics"]["price"],
        json!({
            "stdev": null, "relative_stdev": null, "trailing_average": null, "ratio": null, "window_bars": 0
        })
    );
    assert_eq!(
        empty["unusual"],
        json!({"score": null, "move": {"sigma": null, "percent": null, "sessions": 0},
               "relative_volume": {"ratio": null, "sessions": 0}, "minute": {"ratio": null}})
    );
}

#[tokio::test]
async fn every_page_of_a_list_together_is_the_list() {
    let router = market().await.router().await;
    for list in ["/v1/symbols?", "/v1/sparklines?", "/v1/rankings?metric=volume&"] {
        let whole = get(&router, list).await.json()["items"].as_array().unwrap().clone();
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = get(&router, &format!("{list}limit=3&cursor={cursor}")).await.json();
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= 3);
            seen.extend(items.iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(seen, whole, "{list}");
    }
}

#[tokio::test]
async fn rankings_carry_their_figures_and_default_to_the_relative_deviation_of_price() {
    let router = market().await.router().await;
    let ranked = get(&router, "/v1/rankings").await.json();
    assert_eq!(ranked, get(&router, "/v1/rankings?metric=price&by=relative_stdev").await.json());
    let items = ranked["items"].as_array().unwrap();
    assert_eq!(items.len(), 10);
    assert_eq!(
        items[0],
        json!({"rank": 1, "symbol": "META", "name": "Meta Platforms", "metric": "price",
               "by": "relative_stdev", "value": 0.61 / 100.0, "stdev": 0.61, "relative_stdev": 0.61 / 100.0,
               "trailing_average": 21034.5, "ratio": 1.0007, "window_bars": 60})
    );
    assert_eq!((&items[1]["symbol"], &items[2]["symbol"]), (&json!("TSLA"), &json!("AAPL")));
    assert_eq!((&items[3]["symbol"], &items[3]["value"]), (&json!("ADBE"), &Value::Null));
    let by_volume = get(&router, "/v1/rankings?metric=volume&by=stdev").await.json();
    assert_eq!(by_volume["items"][0]["value"], json!(6.1));
}

#[tokio::test]
async fn an_alert_has_the_shape_of_the_contract() {
    let world = World::new().await;
    let alert = alert("META", Metric::Volume, at("2025-01-31T20:59:00Z"));
    world.commit(raised([alert.clone()])).await;
    let router = world.router().await;
    let expected = json!({
        "id": alert.id.to_string(), "rule": "spike", "kind": "spike", "symbol": "META", "metric": "volume",
        "rule_text": "v1 spike ratio=3 window=60m min_bars=30 trigger=level session=all cooldown=60m",
        "headline": "META volume 7.2x its last hour",
        "text": "META traded 151,234 shares at 15:59 New York time, \
                 7.2 times its average of the last hour, 21,000. The price was $118.42 (-3.49 % on the day).",
        "close": 118.42, "day_change": {"amount": -4.28, "percent": -3.4882},
        "start": "2025-01-31T20:59:00Z", "value": 151234, "average": 21034.5, "ratio": 7.189807221469491,
        "window_bars": 60, "feed": "iex", "revision": 0, "state": "raised",
        "raised_at": "2025-01-31T21:00:04.12Z", "occurrences": 1, "peak": 151234,
        "evidence": {"type": "average", "sum": 1262070, "bars": 60}
    });
    assert_eq!(get(&router, "/v1/alerts").await.json(), json!({"items": [expected], "next_cursor": null}));
    assert_eq!(get(&router, &format!("/v1/alerts/{}", alert.id)).await.json(), expected);
    assert_eq!(
        get(&router, &format!("/v1/alerts/{}", alert.id.to_string().to_uppercase())).await.json(),
        expected
    );
}

#[tokio::test]
async fn prices_in_alerts_are_exact_and_a_retraction_shows() {
    let world = World::new().await;
    let mut alert = alert("NVDA", Metric::Price, at("2025-01-31T18:00:00Z"));
    alert.value = 118_580_000_001;
    alert.occurrences[0].value = alert.value;
    world.commit(raised([alert.clone()])).await;
    alert.state = AlertState::Retracted;
    let retraction = Batch { alerts: vec![AlertChange::Retracted(alert.clone())], ..Batch::default() };
    world.commit(retraction).await;
    let reply = get(&world.router().await, &format!("/v1/alerts/{}", alert.id)).await;
    assert!(reply.text().contains(r#""value":118.580000001"#), "{}", reply.text());
    assert_eq!(reply.json()["state"], "retracted");
}

#[tokio::test]
async fn alerts_are_listed_newest_first_filtered_and_paged() {
    let world = World::new().await;
    let first = at("2025-01-31T15:00:00Z");
    let mut alerts = Vec::new();
    for n in 0..250 {
        for (name, metric) in [("AAPL", Metric::Price), ("AAPL", Metric::Volume), ("META", Metric::Volume)] {
            alerts.push(alert(name, metric, first.plus_minutes(n)));
        }
    }
    world.commit(raised(alerts.clone())).await;
    let router = world.router().await;
    alerts.sort_by_key(|alert| std::cmp::Reverse((alert.start, alert.id)));
    type Filter = fn(&qqq_core::Alert) -> bool;
    let cases: [(&str, Filter); 6] = [
        ("", |_| true),
        ("symbol=FB", |alert| alert.symbol.as_str() == "META"),
        ("metric=price", |alert| alert.metric == Metric::Price),
        ("symbol=aapl&metric=volume", |a| a.symbol.as_str() == "AAPL" && a.metric == Metric::Volume),
        ("since=2025-01-31T17:00:00Z", |alert| alert.start >= at("2025-01-31T17:00:00Z")),
        ("since=2030-01-31T17:00:00Z&symbol=TSLA", |_| false),
    ];
    for (filter, wanted) in cases {
        let expected: Vec<_> =
            alerts.iter().filter(|alert| wanted(alert)).map(|alert| alert.id.to_string()).collect();
        for limit in ["", "&limit=7", "&limit=250", "&limit=1000"] {
            let (mut seen, mut cursor): (Vec<String>, _) = (Vec::new(), String::new());
            loop {
                let page = get(&router, &format!("/v1/alerts?{filter}{limit}&cursor={cursor}")).await.json();
                let items = page["items"].as_array().unwrap();
                seen.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
                match page["next_cursor"].as_str() {
                    Some(next) => cursor = next.to_owned(),
                    None => break,
                }
                if limit == "&limit=7" && seen.len() > 60 {
                    break; // enough small steps
                }
            }
            let compared = if limit == "&limit=7" { seen.len() } else { expected.len() };
            assert_eq!(seen, expected[..compared], "{filter} {limit}");
        }
    }
}

#[tokio::test]
async fn a_revised_bar_replaces_the_old_one() {
    let world = market().await;
    let mut corrected = bar("AAPL", at("2025-01-31T14:30:00Z"), "232.5", 30);
    corrected.volume = Volume::from_shares(31).unwrap();
    world.commit(Batch { bars: vec![BarRecord { bar: corrected, revision: 1 }], ..Batch::default() }).await;
    let router = world.router().await;
    assert_eq!(
        get(&router, "/AAPL/price").await.json()["prices"],
        json!([228.5, 230.123456789, 232.5, 229.87])
    );
    assert_eq!(get(&router, "/AAPL/volume").await.json()["volume"], json!([10, 20, 31, 40]));
}

#[tokio::test]
async fn a_simulated_feeds_clock_is_the_clock_of_its_answers() {
    let world = World::new().await;
    let start = at("2024-06-03T15:00:00Z");
    let mut status = feed(FeedMode::Simulated);
    status.clock = start.minute_end();
    world
        .commit(Batch {
            bars: vec![BarRecord { bar: bar("AAPL", start, "194", 9), revision: 0 }],
            feed: Some(status),
            ..Batch::default()
        })
        .await;
    let aapl = get(&world.router().await, "/v1/symbols/AAPL").await.json();
    assert_eq!((&aapl["session"], &aapl["age_seconds"]), (&json!("regular"), &json!(0)));
    assert_eq!(aapl["as_of"], start.plus_minutes(1).to_string());
}

#[tokio::test]
async fn head_answers_like_get_without_a_body() {
    let router = market().await.router().await;
    for path in ["/AAPL/price", "/v1/symbols", "/", "/healthz"] {
        let head = send(&router, Request::head(path).body(Body::empty()).unwrap()).await;
        let get = get(&router, path).await;
        assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0), "{path}");
        assert_eq!(head.header("etag"), get.header("etag"), "{path}");
    }
}

#[tokio::test]
async fn minutes_far_from_now_do_no_harm() {
    let world = World::new().await;
    world.commit_bars(&[bar("AAPL", Second::MIN.plus_minutes(5), "1", 1)]).await;
    assert_eq!(get(&world.router().await, "/AAPL/price").await.status, StatusCode::OK);
}

/// The ids of a page of alerts, and whether it says there are more.
fn page_of(reply: &Reply) -> (Vec<String>, bool) {
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let page = reply.json();
    let ids = page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned());
    (ids.collect(), !page["next_cursor"].is_null())
}

#[tokio::test]
async fn alerts_that_are_all_in_memory_are_answered_without_the_store() {
    let world = World::new().await;
    let first = at("2025-01-31T15:00:00Z");
    let alerts: Vec<_> = (0..300)
        .map(|n| alert(if n % 100 == 0 { "TSLA" } else { "AAPL" }, Metric::Volume, first.plus_minutes(n)))
        .collect();
    world.commit(raised(alerts.clone())).await;
    let faulty = Arc::new(Faulty::over(&world));
    let router = world.api_over(faulty.clone()).await.router();
    faulty.set(Fault::Error);
    let id = |n: usize| alerts[n].id.to_string();
    for (query, ids, more) in [
        ("limit=2", vec![id(299), id(298)], true),
        ("limit=1000&symbol=TSLA", vec![id(200), id(100), id(0)], false),
        ("limit=3&symbol=TSLA", vec![id(200), id(100), id(0)], false),
        ("limit=2&symbol=TSLA", vec![id(200), id(100)], true),
        ("symbol=TSLA&metric=price", vec![], false),
        ("symbol=TSLA&since=2025-01-31T16:40:00Z", vec![id(200), id(100)], false),
        ("since=2030-01-31T16:40:00Z", vec![], false),
    ] {
        let reply = get(&router, &format!("/v1/alerts?{query}")).await;
        assert_eq!(page_of(&reply), (ids, more), "{query}");
    }
    let next = get(&router, "/v1/alerts?limit=2&symbol=TSLA").await.json()["next_cursor"].clone();
    let path = format!("/v1/alerts?limit=2&symbol=TSLA&cursor={}", next.as_str().unwrap());
    assert_eq!(page_of(&get(&router, &path).await), (vec![id(0)], false));
    assert_eq!(get(&router, &format!("/v1/alerts/{}", id(7))).await.json()["id"], id(7));
}

#[tokio::test]
async fn alerts_older_than_memory_holds_are_answered_by_the_store() {
    let world = World::new().await;
    let first = at("2025-01-31T09:00:00Z");
    // Two in each minute; 500 are held: the newest, and one of two of the oldest minute held.
    let mut alerts: Vec<_> = (0..302)
        .flat_map(|n| {
            let name = if n % 100 == 0 { "TSLA" } else { "AAPL" };
            Metric::ALL.map(|metric| alert(name, metric, first.plus_minutes(n)))
        })
        .collect();
    alerts.push(alert("MSFT", Metric::Price, first.plus_minutes(302)));
    world.commit(raised(alerts.clone())).await;
    alerts.sort_by_key(|alert| std::cmp::Reverse((alert.start, alert.id)));
    let oldest_held = alerts[499].start;
    assert_eq!(alerts[500].start, oldest_held, "one of two");
    let faulty = Arc::new(Faulty::over(&world));
    let router = world.api_over(faulty.clone()).await.router();
    for (query, from_memory) in [
        ("symbol=TSLA&limit=5".to_owned(), true),  // six are held
        ("symbol=TSLA&limit=6".to_owned(), false), // is there a seventh?
        ("symbol=TSLA&limit=100".to_owned(), false),
        ("symbol=MSFT".to_owned(), false),
        ("limit=499".to_owned(), true),
        ("limit=500".to_owned(), false),
        (format!("limit=1000&since={oldest_held}"), false),
        (format!("limit=1000&since={}", oldest_held.plus_minutes(1)), true),
    ] {
        let path = format!("/v1/alerts?{query}");
        faulty.set(Fault::None);
        let reply = get(&router, &path).await;
        let wanted = |alert: &&qqq_core::Alert| {
            query.split('&').all(|part| match part.split_once('=').unwrap() {
                ("symbol", text) => alert.symbol.as_str() == text,
                ("since", text) => alert.start >= at(text),
                _ => true,
            })
        };
        let limit = query.split('&').find_map(|part| part.strip_prefix("limit="));
        let limit = limit.map_or(100, |text| text.parse().unwrap());
        let all: Vec<_> = alerts.iter().filter(wanted).map(|alert| alert.id.to_string()).collect();
        assert_eq!(
            page_of(&reply),
            (all.iter().take(limit).cloned().collect(), all.len() > limit),
            "{query}"
        );
        faulty.set(Fault::Error);
        assert_eq!(get(&router, &path).await.status == StatusCode::OK, from_memory, "{query}");
    }
}
