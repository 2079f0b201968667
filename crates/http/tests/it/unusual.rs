//! How unusual a symbol is: told alike by a page, a stream and a server that starts anew, by the sessions
//! before as they stand now.

use crate::stream::Client;
use crate::world::{Following, World, at, bar, get, statistics};
use axum::Router;
use qqq_core::{Bar, Second};
use qqq_store::{BarRecord, Batch};
use serde_json::{Value, json};

/// The close of every session before, dollars.
const BASE: i64 = 100;

/// The sessions before 31 January 2025, each a dollar off by its second minute and back at its close.
fn sessions(world: &World) -> Vec<Bar> {
    let today = world.calendar.date_of(at("2025-01-31T14:30:00Z"));
    let days = world.calendar.trading_days_before(today).take(21);
    days.flat_map(|day| {
        let session = world.calendar.session_on(day).unwrap();
        let at = |minute: Second, close: i64, volume| bar("AAPL", minute, &close.to_string(), volume);
        [
            at(session.open, BASE, 100),
            at(session.open.plus_minutes(1), BASE + 1, 100),
            at(session.close.plus_minutes(-1), BASE, 9),
        ]
    })
    .collect()
}

async fn unusual(router: &Router) -> Value {
    get(router, "/v1/symbols/AAPL").await.json()["unusual"].clone()
}

/// A bar with its figures.
async fn commit(world: &World, bar: Bar) -> qqq_store::Sequence {
    let statistics = vec![statistics("AAPL", bar.start, 0.5, 1.0)];
    let bars = vec![BarRecord { bar, revision: 0 }];
    world.commit(Batch { bars, statistics, ..Batch::default() }).await
}

#[tokio::test]
async fn the_first_bar_of_a_day_is_told_with_what_the_sessions_before_say_of_it() {
    let world = World::new().await;
    world.commit_bars(&sessions(&world)).await;
    let following = Following::start(world.api().await);
    let router = following.api.router();
    let open = at("2025-01-31T14:30:00Z");
    let mut client = Client::open_with(&router, "/v1/stream", None, None).await;
    for (minute, close, volume) in [(open, "98", 300), (open.plus_minutes(1), "97", 100)] {
        let sequence = commit(&world, bar("AAPL", minute, close, volume)).await;
        following.has_seen(sequence).await;
        let heard = client.event("stats").await.json();
        assert_eq!(heard["unusual"], unusual(&router).await, "{minute}");
    }
    let told = unusual(&router).await;
    let sigma = told["move"]["sigma"].as_f64().unwrap();
    assert!((sigma + 3.0).abs() < 1e-12, "{told}");
    assert_eq!(told["move"]["sessions"], json!(20));
    assert_eq!(told["relative_volume"], json!({"ratio": 2.0, "sessions": 20}));
    assert_eq!(told["score"].as_f64().unwrap(), sigma.abs());
    assert_eq!(unusual(&world.router().await).await, told, "a server that starts anew says the same");
}

#[tokio::test]
async fn the_average_price_of_a_session_weighs_its_bars_by_their_shares() {
    let world = World::new().await;
    let open = at("2025-01-31T14:30:00Z");
    let mut told = bar("AAPL", open, "100", 300);
    told.vwap = Some("100.5".parse().unwrap());
    let mut untold = bar("AAPL", open.plus_minutes(1), "101", 100);
    (untold.high, untold.low) = ("102".parse().unwrap(), "100".parse().unwrap());
    let yesterday = bar("AAPL", at("2025-01-30T20:59:00Z"), "50", 1_000_000);
    world.commit_bars(&[yesterday, told, untold]).await;
    let symbol = get(&world.router().await, "/v1/symbols/AAPL").await.json();
    assert_eq!(symbol["session_vwap"], json!((100.5 * 300.0 + 101.0 * 100.0) / 400.0));
    assert_eq!(get(&world.router().await, "/v1/symbols/MSFT").await.json()["session_vwap"], Value::Null);
}

#[tokio::test]
async fn a_correction_of_an_earlier_session_changes_what_is_usual() {
    let world = World::new().await;
    world.commit_bars(&sessions(&world)).await;
    let open = at("2025-01-31T14:30:00Z");
    commit(&world, bar("AAPL", open.plus_minutes(1), "97", 400)).await;
    let following = Following::start(world.api().await);
    let router = following.api.router();
    let before = unusual(&router).await;
    let corrected = bar("AAPL", at("2025-01-28T14:31:00Z"), "120", 100);
    let sequence = world
        .commit(Batch { bars: vec![BarRecord { bar: corrected, revision: 1 }], ..Batch::default() })
        .await;
    following.has_seen(sequence).await;
    let after = unusual(&router).await;
    let sigma = |told: &Value| told["move"]["sigma"].as_f64().unwrap().abs();
    assert!(sigma(&after) < sigma(&before) / 2.0, "{before} {after}");
    assert_eq!(unusual(&world.router().await).await, after);
}

#[tokio::test]
async fn volumes_of_two_feeds_are_not_compared() {
    let world = World::new().await;
    world.commit_bars(&sessions(&world)).await;
    let open = at("2025-01-31T14:30:00Z");
    let other = Bar { feed: "sip".parse().unwrap(), ..bar("AAPL", open, "100", 50_000) };
    world.commit_bars(&[other]).await;
    let of_the_other = unusual(&world.router().await).await;
    assert_eq!(of_the_other["relative_volume"], json!({"ratio": null, "sessions": 0}), "it has no sessions");
    world.commit_bars(&[bar("AAPL", open.plus_minutes(1), "99", 100)]).await;
    let mixed = unusual(&world.router().await).await;
    assert_eq!(mixed["relative_volume"], json!({"ratio": null, "sessions": 20}));
    assert_eq!(mixed["move"]["sessions"], json!(20));
    // The other feed's bar comes once more, from this one.
    let records = vec![BarRecord { bar: bar("AAPL", open, "100", 100), revision: 1 }];
    world.commit(Batch { bars: records, ..Batch::default() }).await;
    assert_eq!(
        unusual(&world.router().await).await["relative_volume"],
        json!({"ratio": 1.0, "sessions": 20})
    );
}
