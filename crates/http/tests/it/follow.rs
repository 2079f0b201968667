//! The read model follows the store.

use crate::faulty::{Fault, Faulty};
use crate::world::*;
use qqq_core::{FeedMode, Metric};
use qqq_store::Batch;
use serde_json::json;
use std::sync::Arc;

#[tokio::test]
async fn what_is_committed_is_answered_soon_after() {
    let world = World::new().await;
    let following = Following::start(world.api().await);
    let router = following.api.router();
    let start = at("2025-01-31T19:59:00Z");
    assert_eq!(get(&router, "/AAPL/price").await.json()["prices"], json!([]));
    for (n, close) in ["101", "102.5", "99.75"].into_iter().enumerate() {
        let sequence = world.commit_bars(&[bar("AAPL", start.plus_minutes(n as i32), close, 5)]).await;
        following.has_seen(sequence).await;
    }
    assert_eq!(get(&router, "/AAPL/price").await.json()["prices"], json!([101, 102.5, 99.75]));
    let sequence = world.commit(raised([alert("AAPL", Metric::Volume, start)])).await;
    following.has_seen(sequence).await;
    assert_eq!(get(&router, "/v1/alerts").await.json()["items"].as_array().unwrap().len(), 1);
    let figures = Batch { statistics: vec![statistics("AAPL", start, 2.5, 1.0)], ..Batch::default() };
    following.has_seen(world.commit(figures).await).await;
    assert_eq!(get(&router, "/v1/rankings").await.json()["items"][0]["stdev"], json!(2.5));
    following.stop().await.unwrap();
}

#[tokio::test]
async fn without_a_hint_the_scan_finds_the_news() {
    let world = World::new().await;
    let following = Following::start(world.api().await);
    let sequence = world.commit_bars(&[bar("AAPL", at("2025-01-31T19:59:00Z"), "1", 5)]).await;
    until("the server has read it", async || following.api.sequence() >= sequence).await;
}

#[tokio::test]
async fn an_api_that_followed_answers_like_one_that_started_now() {
    let world = World::new().await;
    let following = Following::start(world.api().await);
    let monday = at("2025-01-27T14:00:00Z");
    let mut sequence = following.api.sequence();
    // Five days of a bar every 23 minutes, every tenth late, in lots; some minutes twice.
    let bars: Vec<_> = (0..300)
        .map(|n| {
            let late = if n % 10 == 0 { -400 } else { 0 };
            bar(
                ["AAPL", "FB", "TSLA"][n % 3],
                monday.plus_minutes(n as i32 * 23 + late),
                &format!("{}.25", 100 + n % 17),
                n as i64,
            )
        })
        .map(|mut bar| {
            bar.symbol = world.watchlist.resolve(bar.symbol).unwrap();
            bar
        })
        .collect();
    for lot in bars.chunks(7) {
        sequence = world.commit_bars(lot).await;
    }
    sequence = sequence.max(world.commit_bars(&bars[250..260]).await);
    sequence =
        sequence.max(world.commit(Batch { feed: Some(feed(FeedMode::Live)), ..Batch::default() }).await);
    following.has_seen(sequence).await;
    let (followed, fresh) = (following.api.router(), world.router().await);
    for path in ["/AAPL/price", "/META/volume", "/TSLA/price", "/v1/symbols", "/v1/rankings"] {
        assert_eq!(get(&followed, path).await.text(), get(&fresh, path).await.text(), "{path}");
    }
}

#[tokio::test]
async fn a_passing_minute_is_told() {
    let world = World::new().await;
    world.commit(Batch { feed: Some(feed(FeedMode::Live)), ..Batch::default() }).await;
    world.commit_bars(&[bar("AAPL", at("2025-01-31T19:59:00Z"), "1", 5)]).await;
    let following = Following::start(world.api().await);
    let router = following.api.router();
    let aapl = || async { get(&router, "/v1/symbols/AAPL").await.json() };
    assert_eq!(aapl().await["age_seconds"], 0);
    world.clock.set_to("2025-01-31T21:05:10Z");
    following.wakeup.notify_one();
    until("the session is over", async || aapl().await["session"] == "post").await;
    assert_eq!(aapl().await["age_seconds"], 65 * 60);
}

#[tokio::test]
async fn a_busy_store_is_asked_again_and_a_broken_one_ends_the_following() {
    let world = World::new().await;
    let faulty = Arc::new(Faulty::over(&world));
    let following = Following::start(world.api_over(faulty.clone()).await);
    faulty.set(Fault::Busy);
    let sequence = world.commit_bars(&[bar("AAPL", at("2025-01-31T19:59:00Z"), "1", 5)]).await;
    following.wakeup.notify_one();
    faulty.set(Fault::None);
    following.has_seen(sequence).await;
    faulty.set(Fault::Error);
    following.wakeup.notify_one();
    let api = following.api.clone();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(10), following.ended()).await.unwrap();
    assert!(ended.is_err());
    assert_eq!(get(&api.router(), "/AAPL/price").await.json()["prices"], json!([1]));
}
