//! `GET /v1/sessions`: the calendar's trading days.

use crate::world::*;
use axum::http::StatusCode;
use qqq_core::Calendar;
use qqq_core::market::calendar::Market;
use serde_json::{Value, json};

async fn dates(world: &World, query: &str) -> Vec<String> {
    let reply = get(&world.router().await, &format!("/v1/sessions{query}")).await;
    assert_eq!(reply.status, StatusCode::OK, "{query}: {}", reply.text());
    let date = |day: &Value| day["date"].as_str().unwrap().to_owned();
    reply.json()["items"].as_array().unwrap().iter().map(date).collect()
}

#[tokio::test]
async fn trading_days_are_told_with_their_bounds_and_closed_days_are_absent() {
    let world = World::new().await;
    let router = world.router().await;
    let reply = get(&router, "/v1/sessions?from=2024-11-27&to=2024-12-01").await;
    assert_eq!(
        reply.json(),
        json!({"items": [
            {"date": "2024-11-27", "pre_open": "2024-11-27T09:00:00Z", "open": "2024-11-27T14:30:00Z",
             "close": "2024-11-27T21:00:00Z", "post_close": "2024-11-28T01:00:00Z", "early_close": false},
            {"date": "2024-11-29", "pre_open": "2024-11-29T09:00:00Z", "open": "2024-11-29T14:30:00Z",
             "close": "2024-11-29T18:00:00Z", "post_close": "2024-11-30T01:00:00Z", "early_close": true},
        ], "next_cursor": null})
    );
    assert!(!reply.header("etag").is_empty());
    assert_eq!(reply.header("cache-control"), "no-cache");
}

#[tokio::test]
async fn where_nothing_is_said_it_is_the_days_around_today_and_otherwise_those_around_what_is_said() {
    let world = World::new().await;
    for (query, first, last) in [
        ("", "2025-01-02", "2025-02-10"),
        ("?to=2024-12-31", "2024-12-02", "2024-12-31"),
        ("?from=2025-01-29", "2025-01-29", "2025-02-10"),
        ("?from=2026-01-05", "2026-01-05", "2026-01-15"),
        ("?from=2025-01-31&to=2025-01-31", "2025-01-31", "2025-01-31"),
        ("?from=1990-01-01&to=1990-01-05", "1990-01-02", "1990-01-05"),
        ("?to=1990-01-05", "1990-01-02", "1990-01-05"),
        ("?from=2001-09-10&to=2001-09-17", "2001-09-10", "2001-09-17"),
    ] {
        let dates = dates(&world, query).await;
        assert_eq!((dates[0].as_str(), dates[dates.len() - 1].as_str()), (first, last), "{query}");
    }
    assert!(dates(&world, "?from=2025-02-01&to=2025-02-02").await.is_empty(), "a weekend");
}

#[tokio::test]
async fn ranges_that_are_too_long_or_make_no_sense_are_refused() {
    let world = World::new().await;
    let router = world.router().await;
    for query in [
        "from=2025-01-32",
        "from=",
        "to=2025-01-31T00:00:00Z",
        "from=2025-02-01&to=2025-01-31",
        "from=2023-01-01&to=2025-03-11",
        "from=2020-01-01",
        "from=1989-12-31&to=1990-01-31",
        "to=1989-12-31",
        "day=2025-01-31",
    ] {
        let reply = get(&router, &format!("/v1/sessions?{query}")).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{query}");
    }
    let longest = get(&router, "/v1/sessions?from=2023-01-01&to=2025-03-10").await;
    assert_eq!(longest.status, StatusCode::OK, "800 days: {}", longest.text());
    let furthest = get(&router, "/v1/sessions?from=2199-12-01&to=2199-12-31").await;
    assert_eq!(furthest.status, StatusCode::OK);
}

#[tokio::test]
async fn early_closes_of_the_configuration_are_told() {
    let mut world = World::new().await;
    let early = ["2025-01-29 14:00".parse().unwrap()];
    world.calendar = Calendar::new(Market::Xnas, false, []).with_early_closes(early).unwrap().into();
    let reply = get(&world.router().await, "/v1/sessions?from=2025-01-29&to=2025-01-29").await.json();
    let day = &reply["items"][0];
    assert_eq!((&day["close"], &day["early_close"]), (&json!("2025-01-29T19:00:00Z"), &json!(true)));
}

#[tokio::test]
async fn where_every_minute_counts_each_day_is_one_session_from_midnight_to_midnight() {
    let mut world = World::new().await;
    world.calendar = Calendar::new(Market::Always, false, []).into();
    let reply = get(&world.router().await, "/v1/sessions?from=2025-02-01&to=2025-02-01").await;
    assert_eq!(
        reply.json()["items"],
        json!([{"date": "2025-02-01", "pre_open": "2025-02-01T05:00:00Z", "open": "2025-02-01T05:00:00Z",
                "close": "2025-02-02T05:00:00Z", "post_close": "2025-02-02T05:00:00Z", "early_close": false}])
    );
}
