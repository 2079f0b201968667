//! `GET /v1/status`: what makes the answers credible, and nothing that is nobody's business.

use crate::faulty::{Fault, Faulty};
use crate::world::*;
use axum::Router;
use axum::http::StatusCode;
use qqq_core::delivery::{Failure, FailureKind, Outcome};
use qqq_core::market::calendar::Market;
use qqq_core::{Calendar, Clock, FeedMode, SymbolProblem};
use qqq_store::Batch;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

async fn status(router: &Router) -> Value {
    let reply = get(router, "/v1/status").await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    assert_eq!(reply.header("cache-control"), "no-store");
    reply.json()
}

#[tokio::test]
async fn everything_that_makes_the_answers_credible_is_told_at_once() {
    let world = World::new().await;
    world.commit_bars(&[bar("AAPL", at("2025-01-31T19:57:00Z"), "1", 1)]).await;
    let sequence = world.commit(Batch { feed: Some(feed(FeedMode::Live)), ..Batch::default() }).await;
    let router = world.router().await;
    assert_eq!(
        status(&router).await,
        json!({
            "version": env!("CARGO_PKG_VERSION"), "as_of": "2025-01-31T20:00:00Z", "sequence": sequence.0,
            "feed": {"provider": "test", "label": "iex", "mode": "live",
                     "coverage": "IEX only: about 2.5 % of US volume", "stands_in_for": null, "problem": null,
                     "symbol_problems": []},
            "session": {"phase": "regular", "date": "2025-01-31", "early_close": false,
                        "next": {"phase": "closed", "at": "2025-01-31T21:00:00Z"}},
            "newest_bar": {"start": "2025-01-31T19:57:00Z", "age_seconds": 120},
            "symbols": {"tracked": 10, "with_bars": 1},
            "window": {"judged": 0, "needed_seconds": 1800, "least_seconds": 0},
            "store": {"kind": "sqlite", "answers": true, "writable": true,
                      "log_bytes": world.store.log_bytes()},
            "deliveries": {"waiting": 0, "oldest_waiting_seconds": null, "waiting_for": [],
                           "retrying": null, "sent": 0, "failed": 0, "expired": 0, "last_failures": []},
            "rule": {"kind": "spike", "ratio": 3, "window": "60m", "min_bars": 30, "trigger": "level",
                     "session": "all", "cooldown": "60m"},
            "interval": "1m",
            "metrics": [{"metric": "price", "title": "Price", "unit": "dollars"},
                        {"metric": "volume", "title": "Volume", "unit": "shares"}],
            "extended_hours": false, "calendar": "XNAS",
            "confirm": true, "mailbox": false, "stale": null,
            "problems": []
        })
    );
    assert_eq!(get(&router, "/v1/status?x=1").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_symbol_that_the_feed_does_not_serve_is_named_and_makes_nothing_doubtful() {
    let world = World::new().await;
    let mut told = feed(FeedMode::Live);
    told.symbol_problems = vec![SymbolProblem {
        symbol: "NVDA".parse().unwrap(),
        problem: "test answered 400 Bad Request".to_owned(),
        since: "2025-01-31T19:00:03Z".parse().unwrap(),
        next_attempt: Some("2025-01-31T20:00:03Z".parse().unwrap()),
    }];
    world.commit_bars(&[bar("AAPL", at("2025-01-31T19:59:00Z"), "1", 1)]).await;
    world.commit(Batch { feed: Some(told), ..Batch::default() }).await;
    let router = world.router().await;
    let status = status(&router).await;
    let expected = json!([{"symbol": "NVDA", "problem": "test answered 400 Bad Request",
                           "since": "2025-01-31T19:00:03Z", "next_attempt": "2025-01-31T20:00:03Z"}]);
    assert_eq!((&status["feed"]["symbol_problems"], &status["problems"]), (&expected, &json!([])));
}

#[tokio::test]
async fn before_anything_has_come_what_is_not_there_is_null() {
    let mut world = World::new().await;
    world.calendar = Calendar::new(Market::Always, false, []).into();
    let told = status(&world.router().await).await;
    assert_eq!((&told["feed"], &told["newest_bar"]), (&Value::Null, &Value::Null));
    assert_eq!(told["session"]["next"], Value::Null, "where every minute counts nothing changes");
    assert_eq!((&told["calendar"], &told["extended_hours"]), (&json!("always"), &json!(true)));
}

#[tokio::test]
async fn a_session_is_told_as_the_hours_that_count() {
    for (extended, now, session) in [
        (
            false,
            "2025-01-31T12:00:00Z",
            json!({"phase": "pre", "date": "2025-01-31", "early_close": false,
                   "next": {"phase": "regular", "at": "2025-01-31T14:30:00Z"}}),
        ),
        (
            true,
            "2025-01-31T20:59:00Z",
            json!({"phase": "regular", "date": "2025-01-31", "early_close": false,
                   "next": {"phase": "post", "at": "2025-01-31T21:00:00Z"}}),
        ),
        (
            false,
            "2025-02-01T12:00:00Z",
            json!({"phase": "closed", "date": null, "early_close": false,
                   "next": {"phase": "regular", "at": "2025-02-03T14:30:00Z"}}),
        ),
        (
            false,
            "2024-11-29T15:00:00Z",
            json!({"phase": "regular", "date": "2024-11-29", "early_close": true,
                   "next": {"phase": "closed", "at": "2024-11-29T18:00:00Z"}}),
        ),
    ] {
        let mut world = World::new().await;
        world.calendar = Calendar::new(Market::Xnas, extended, []).into();
        world.clock.set_to(now);
        assert_eq!(status(&world.router().await).await["session"], session, "{now}");
    }
}

#[tokio::test]
async fn what_readyz_answers_503_for_is_told_with_a_200() {
    let world = World::new().await;
    world.commit_bars(&[bar("AAPL", at("2025-01-31T19:59:00Z"), "1", 1)]).await;
    let mut told = feed(FeedMode::Live);
    told.problem = Some("the key was refused".to_owned());
    world.commit(Batch { feed: Some(told), ..Batch::default() }).await;
    world.clock.set_to("2025-01-31T20:06:40Z");
    let router = world.router().await;
    let status = status(&router).await;
    assert_eq!(status["stale"], json!({"seconds": 400}));
    assert_eq!(status["problems"].as_array().unwrap().len(), 2);
    assert_eq!(status["problems"], get(&router, "/readyz").await.json()["reasons"]);
    assert_eq!(status["feed"]["problem"], "the key was refused");
}

#[tokio::test]
async fn a_store_that_fails_or_hangs_is_told_of_and_kept_from_nobody() {
    let world = World::new().await;
    let faulty = Arc::new(Faulty::over(&world));
    let router = world.api_over(faulty.clone()).await.router();
    tokio::time::pause();
    for fault in [Fault::Error, Fault::Busy, Fault::Hang] {
        faulty.set(fault);
        tokio::time::advance(Duration::from_secs(6)).await;
        let told = status(&router).await;
        assert_eq!(told["store"]["answers"], false, "{fault:?}");
        assert_eq!(told["store"]["writable"], false, "{fault:?}");
        assert_eq!(told["deliveries"], Value::Null, "{fault:?}");
        assert_eq!(told["problems"][0]["check"], "store", "{fault:?}");
        assert!(!told.to_string().contains("secret place"));
    }
}

#[tokio::test]
async fn on_a_full_disk_reading_goes_on_and_everybody_is_told() {
    let world = World::new().await;
    world.commit_bars(&[bar("AAPL", at("2025-01-31T19:59:00Z"), "1", 1)]).await;
    let faulty = Arc::new(Faulty::over(&world));
    let api = world.api_over(faulty.clone()).await;
    let router = api.router();
    faulty.set(Fault::NoRoom);
    let told = status(&router).await;
    assert_eq!((&told["store"]["answers"], &told["store"]["writable"]), (&json!(true), &json!(false)));
    assert_eq!(told["problems"][0]["check"], "store");
    assert_ne!(told["deliveries"], Value::Null, "what is owed can be read");
    let ready = get(&router, "/readyz").await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(ready.text().contains("the disk takes nothing"), "{}", ready.text());
    assert_eq!(get(&router, "/AAPL/price").await.status, StatusCode::OK);
    let (bars, asked) =
        ("/v1/symbols/AAPL/bars", json!({"email": "ada@example.com", "metric": "price", "ticker": "AAPL"}));
    assert_eq!(get(&router, bars).await.status, StatusCode::OK);
    let refused = post_json(&router, "/subscribe", &asked.to_string()).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.header("content-type"), "application/problem+json");
    assert_eq!((refused.header("retry-after"), &refused.json()["code"]), ("30", &json!("no_room")));
    faulty.set(Fault::None);
    assert_eq!(post_json(&router, "/subscribe", &asked.to_string()).await.status, StatusCode::CREATED);
    assert_eq!(get(&router, "/readyz").await.status, StatusCode::OK);
}

#[tokio::test]
async fn however_many_ask_the_store_is_asked_once_in_a_while() {
    let world = World::new().await;
    let faulty = Arc::new(Faulty::over(&world));
    let router = world.api_over(faulty.clone()).await.router();
    futures_util::future::join_all((0..50).map(|_| status(&router))).await;
    assert_eq!(faulty.outbox_asked(), 1);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(5)).await;
    tokio::time::resume();
    status(&router).await;
    assert_eq!(faulty.outbox_asked(), 2);
}

#[tokio::test]
async fn failures_are_told_by_their_kind_and_name_nobody() {
    let world = World::new().await;
    let router = world.router().await;
    let sign_up = |body: &str| {
        let (router, body) = (router.clone(), body.to_owned());
        async move {
            let reply = post_json(&router, "/v1/subscriptions", &body).await;
            assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
        }
    };
    sign_up(r#"{"email":"ada@secret.example","metric":"price","ticker":"NVDA"}"#).await;
    let mut owed = world.claim().await;
    world.clock.set_to("2025-01-31T20:01:00Z");
    let hook = r#"{"channel":"webhook","url":"https://hooks.secret.example/T0ken",
        "metric":"price","ticker":"NVDA"}"#;
    sign_up(hook).await;
    owed.extend(world.claim().await);
    let [mail, webhook] = &owed[..] else { panic!("{} deliveries are owed", owed.len()) };
    let refused =
        "the mail server mx.secret.example:25 refused RCPT TO: 550 5.1.1 <ada@secret.example> unknown; NVDA";
    let settle = |delivery: &qqq_core::delivery::Delivery, outcome| {
        let (store, now, (id, lease)) =
            (Arc::clone(&world.store), world.clock.now(), (delivery.id, delivery.lease));
        async move { assert!(store.settle(id, lease, &outcome, now).await.unwrap()) }
    };
    settle(mail, Outcome::Failed(Failure::new(FailureKind::Refused(Some(550)), refused))).await;
    world.clock.set_to("2025-01-31T20:02:59Z");
    let late = webhook.expires_at;
    settle(
        webhook,
        Outcome::RetryAt(
            late,
            Failure::new(
                FailureKind::Refused(Some(503)),
                "hooks.secret.example answered 503: ada@secret.example",
            ),
        ),
    )
    .await;
    sign_up(r#"{"email":"zoe@secret.example","metric":"price","ticker":"NVDA"}"#).await;
    let reply = get(&world.router().await, "/v1/status").await;
    assert_eq!(reply.json()["deliveries"]["retrying"], Value::Null);
    let owed = world.claim().await;
    let greeted = "the mail server mx.secret.example:25 refused RCPT TO: \
                   504 5.5.2 <secret>: Helo command rejected; it was told `EHLO secret`, see email.helo_name";
    settle(&owed[0], Outcome::RetryAt(late, Failure::new(FailureKind::GreetingRefused, greeted))).await;
    world.clock.set_to("2025-01-31T20:04:00Z");

    let reply = get(&world.router().await, "/v1/status").await;
    assert_eq!(
        reply.json()["deliveries"],
        json!({
            "waiting": 1, "oldest_waiting_seconds": 61, "sent": 0, "failed": 1, "expired": 1,
            "waiting_for": [{"reason": "retry", "messages": 1}],
            "retrying": {"channel": "email", "kind": "confirmation", "attempts": 1,
                         "reason": "the mail server refused the name that this host gives in EHLO"},
            "last_failures": [
                {"at": "2025-01-31T20:02:00Z", "channel": "webhook", "kind": "confirmation",
                 "state": "expired",
                 "reason": "expired before it was accepted: the receiver refused it (503)"},
                {"at": "2025-01-31T20:01:00Z", "channel": "email", "kind": "confirmation",
                 "state": "failed",
                 "reason": "the receiver refused it (550)"}]
        })
    );
    let stored = world.store.describe();
    let folder = stored.rsplit(' ').next().unwrap();
    for secret in ["secret", "ada", "zoe", "hooks", "T0ken", "NVDA", "5.1.1", folder] {
        assert!(!reply.text().contains(secret), "{secret}: {}", reply.text());
    }
}
