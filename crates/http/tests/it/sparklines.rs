//! `GET /v1/sparklines`: the day of every symbol in a line of closes.

use crate::world::*;
use axum::Router;
use proptest::prelude::*;
use qqq_core::Calendar;
use qqq_core::market::calendar::Market;
use serde_json::{Value, json};

/// The line of a symbol.
async fn line(router: &Router, symbol: &str) -> Value {
    let page = get(router, "/v1/sparklines").await.json();
    let items = page["items"].as_array().unwrap().clone();
    assert_eq!(page["next_cursor"], Value::Null);
    items.into_iter().find(|item| item["symbol"] == symbol).unwrap()
}

#[tokio::test]
async fn a_line_holds_the_last_close_of_every_five_minutes_of_the_newest_bars_day() {
    let world = World::new().await;
    let open = at("2025-01-31T14:30:00Z");
    let yesterday = at("2025-01-30T20:59:00Z");
    world
        .commit_bars(&[
            bar("AAPL", yesterday, "199", 1),
            bar("AAPL", open.plus_minutes(-1), "999", 1), // before the open: does not count
            bar("AAPL", open, "200.1", 1),
            bar("AAPL", open.plus_minutes(4), "200.123456789", 1),
            bar("AAPL", open.plus_minutes(5), "201", 1),
            bar("AAPL", open.plus_minutes(16), "202.5", 1),
            bar("MSFT", yesterday, "415", 1),
        ])
        .await;
    let router = world.router().await;
    let reply = get(&router, "/v1/sparklines").await;
    assert!(reply.text().contains("[200.123456789,201,null,202.5]"), "{}", reply.text());
    assert!(!reply.header("stream-position").is_empty());
    assert_eq!(
        line(&router, "AAPL").await,
        json!({"symbol": "AAPL", "date": "2025-01-31", "start": "2025-01-31T14:30:00Z",
               "closes": [200.123456789, 201, null, 202.5]})
    );
    let msft = line(&router, "MSFT").await;
    assert_eq!((&msft["date"], &msft["start"]), (&json!("2025-01-30"), &json!("2025-01-30T14:30:00Z")));
    let closes = msft["closes"].as_array().unwrap();
    assert_eq!((closes.len(), &closes[77]), (78, &json!(415)));
    assert!(closes[..77].iter().all(Value::is_null));
    assert_eq!(
        line(&router, "TSLA").await,
        json!({"symbol": "TSLA", "date": null, "start": null, "closes": []})
    );
}

#[tokio::test]
async fn a_line_grows_and_is_corrected_with_its_bars() {
    let world = World::new().await;
    let open = at("2025-01-31T14:30:00Z");
    world.commit_bars(&[bar("AAPL", open, "200", 1)]).await;
    let following = Following::start(world.api().await);
    let router = following.api.router();
    assert_eq!(line(&router, "AAPL").await["closes"], json!([200]));
    for (minute, close, closes) in [
        (1, "201", json!([201])),
        (7, "202", json!([201, 202])),
        (3, "203", json!([203, 202])),
        (7, "204", json!([203, 204])),
    ] {
        let sequence = world.commit_bars(&[bar("AAPL", open.plus_minutes(minute), close, 1)]).await;
        following.has_seen(sequence).await;
        assert_eq!(line(&router, "AAPL").await["closes"], closes, "minute {minute}");
    }
}

#[tokio::test]
async fn a_line_covers_the_hours_that_count() {
    let mut world = World::new().await;
    world.calendar = Calendar::new(Market::Xnas, true, []).into();
    world.commit_bars(&[bar("AAPL", at("2025-01-31T09:07:00Z"), "200", 1)]).await;
    let told = line(&world.router().await, "AAPL").await;
    assert_eq!((&told["start"], &told["closes"]), (&json!("2025-01-31T09:00:00Z"), &json!([null, 200])));

    world.calendar = Calendar::new(Market::Always, false, []).into();
    let told = line(&world.router().await, "AAPL").await;
    assert_eq!((&told["start"], &told["date"]), (&json!("2025-01-31T05:00:00Z"), &json!("2025-01-31")));
    assert_eq!(told["closes"].as_array().unwrap().len(), (4 * 60 + 7) / 5 + 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// The oracle looks at every five minutes by themselves.
    #[test]
    fn every_line_is_what_the_bars_say(
        minutes in prop::collection::btree_map(-30..420_i32, 1..9_999_i64, 0..60),
    ) {
        let told = tokio::runtime::Runtime::new().unwrap().block_on(async {
            let world = World::new().await;
            let open = at("2025-01-30T14:30:00Z");
            let bars: Vec<_> = minutes
                .iter()
                .map(|(&n, close)| bar("AAPL", open.plus_minutes(n), &close.to_string(), 1))
                .collect();
            world.commit_bars(&bars).await;
            line(&world.router().await, "AAPL").await["closes"].clone()
        });
        let counting: Vec<_> = minutes.iter().filter(|(n, _)| (0..390).contains(*n)).collect();
        let last = counting.last().map_or(-1, |(n, _)| **n);
        let of = |from: i32| {
            let newest = counting.iter().rfind(|(n, _)| (from..from + 5).contains(*n));
            newest.map(|(_, close)| **close)
        };
        let expected: Vec<_> = (0..=last).step_by(5).map(of).collect();
        prop_assert_eq!(told, json!(expected));
    }
}
