//! `POST /v1/backtests`: what a rule would have told of the stored bars.

use crate::faulty::{Fault, Faulty};
use crate::world::*;
use axum::http::StatusCode;
use qqq_core::Second;
use qqq_http::Rate;
use serde_json::json;
use std::sync::Arc;

/// A calm day of TSLA with three bursts, an hour and a half apart, two minutes each.
async fn world() -> World {
    let world = World::new().await;
    let open = at("2025-01-31T14:30:00Z");
    let bars: Vec<_> = (0..390)
        .map(|minute| {
            let burst = minute >= 60 && (minute - 60) % 90 < 2 && minute < 300;
            bar("TSLA", open.plus_minutes(minute), "400", if burst { 5_000 } else { 1_000 })
        })
        .collect();
    world.commit_bars(&bars).await;
    world
}

#[tokio::test]
async fn a_backtest_tells_what_a_rule_would_have_told() {
    let world = world().await;
    let router = world.router().await;
    let body =
        r#"{"symbol":"tsla","metric":"volume","from":"2025-01-31T00:00:00Z","to":"2025-02-01T00:00:00Z"}"#;
    let reply = post_json(&router, "/v1/backtests", body).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let told = reply.json();
    assert_eq!(told["summary"], "would have told 3 times in 1 session, 3 a day");
    assert_eq!(
        (&told["messages"], &told["qualifying_bars"], &told["bars"]),
        (&json!(3), &json!(6), &json!(390))
    );
    assert_eq!(told["rule_text"], "spike");
    assert_eq!(told["alerts"][0]["start"], "2025-01-31T15:30:00Z");
    assert_eq!(told["alerts"][0]["evidence"], json!({"type": "average", "sum": 60000, "bars": 60}));
    assert_eq!(told["loudest_days"], json!([{"date": "2025-01-31", "alerts": 3}]));
    assert_eq!(told["days"], told["loudest_days"]);
    assert_eq!(reply.header("cache-control"), "no-store");
}

#[tokio::test]
async fn another_rule_tells_otherwise_and_the_range_begins_where_it_is_told() {
    let world = world().await;
    let router = world.router().await;
    for (rule, from, messages) in [
        (r#""spike cooldown=0s""#, "2025-01-31T00:00:00Z", 6),
        (r#""spike cooldown=0s""#, "2025-01-31T16:00:00Z", 4),
        (r#"{"kind":"spike","ratio":6}"#, "2025-01-31T00:00:00Z", 0),
        (r#""cross above=2000 cooldown=0s""#, "2025-01-31T00:00:00Z", 3),
    ] {
        let body = format!(
            r#"{{"symbols":["TSLA"],"metric":"volume","rule":{rule},
                "from":"{from}","to":"2025-02-01T00:00:00Z"}}"#
        );
        let told = post_json(&router, "/v1/backtests", &body).await.json();
        assert_eq!(told["messages"], messages, "{rule} from {from}: {told}");
    }
}

#[tokio::test]
async fn without_symbols_and_range_it_looks_at_all_that_is_tracked_and_the_last_month() {
    let world = world().await;
    let router = world.router().await;
    let reply = post_json(&router, "/v1/backtests", "{}").await;
    let told = reply.json();
    assert_eq!(reply.status, StatusCode::OK, "{told}");
    assert_eq!(told["symbols"].as_array().unwrap().len(), 10);
    assert_eq!(told["metrics"], json!(["price", "volume"]));
    assert_eq!(told["to"], "2025-01-31T21:00:00Z");
    assert_eq!(told["from"], Second::minute_of("2025-01-01T21:00:00Z".parse().unwrap()).to_string());
    assert_eq!(told["messages"], 3);
}

#[tokio::test]
async fn what_is_too_much_or_makes_no_sense_is_refused_with_its_field() {
    let world = world().await;
    let router = world.router().await;
    let repeated = |times| format!(r#"{{"symbols":[{}]}}"#, [r#""TSLA""#; 101][..times].join(","));
    assert_eq!(post_json(&router, "/v1/backtests", &repeated(100)).await.status, StatusCode::OK);
    for (body, field) in [
        (r#"{"symbol":"NONE"}"#, "symbol"),
        (r#"{"symbols":[]}"#, "symbols"),
        (&repeated(101), "symbols"),
        (r#"{"symbol":"TSLA","rule":"move","metric":"volume"}"#, "rule.kind"),
        (r#"{"symbol":"TSLA","from":"yesterday"}"#, "from"),
        (r#"{"symbol":"TSLA","from":"2025-02-01T00:00:00Z","to":"2025-01-01T00:00:00Z"}"#, "from"),
        (r#"{"symbol":"TSLA","from":"2020-01-01T00:00:00Z"}"#, "from"),
        (r#"{"symbol":"TSLA","speed":1}"#, "speed"),
    ] {
        let reply = post_json(&router, "/v1/backtests", body).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert_eq!(reply.json()["errors"][0]["field"], field, "{body}");
    }
}

#[tokio::test]
async fn one_network_has_a_few_backtests_at_a_time_and_leaves_other_posts_alone() {
    let mut world = world().await;
    world.config.limits.backtests = Rate { per_minute: 1.try_into().unwrap(), burst: 2.try_into().unwrap() };
    let router = world.router().await;
    for status in [StatusCode::OK, StatusCode::OK, StatusCode::TOO_MANY_REQUESTS] {
        let reply = post_json(&router, "/v1/backtests", "{}").await;
        assert_eq!(reply.status, status);
        assert_eq!(reply.header("retry-after").is_empty(), status == StatusCode::OK);
    }
    let reply = post_json(&router, "/subscribe", r#"{"email":"a","metric":"price","ticker":"AAPL"}"#).await;
    assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "a sign-up is none");

    // Nobody's turn comes while the store hangs; what is given up makes room.
    world.config.limits.backtests_per_network = 2;
    world.config.limits.backtests =
        Rate { per_minute: 60.try_into().unwrap(), burst: 60.try_into().unwrap() };
    let faulty = Arc::new(Faulty::over(&world));
    let router = world.api_over(Arc::clone(&faulty) as _).await.router();
    faulty.set(Fault::Hang);
    let ask = || {
        let router = router.clone();
        tokio::spawn(async move { post_json(&router, "/v1/backtests", r#"{"symbol":"TSLA"}"#).await.status })
    };
    let hanging = [ask(), ask()];
    until("the requests wait for the store", async || faulty.waiting() == 2).await;
    assert_eq!(ask().await.unwrap(), StatusCode::TOO_MANY_REQUESTS);
    hanging.iter().for_each(|request| request.abort());
    for request in hanging {
        assert!(request.await.unwrap_err().is_cancelled());
    }
    faulty.set(Fault::None);
    assert_eq!(ask().await.unwrap(), StatusCode::OK);
}
