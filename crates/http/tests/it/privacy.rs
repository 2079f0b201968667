//! Alerts by a subscriber's own rule are nobody else's: no list, stream, page, count or metric tells that
//! there are any.

use crate::stream::{Block, Client};
use crate::world::*;
use axum::Router;
use axum::http::StatusCode;
use qqq_core::subscription::token::{Purpose, TokenHash};
use qqq_core::subscription::{Subscription, SubscriptionId};
use qqq_core::{Alert, AlertId, Channel, Clock as _, Metric, RuleName, Second, SpikeRule, Visibility};
use qqq_store::{AlertChange, BarRecord, Batch, Sequence, SignUp, SignUpLimits};
use serde_json::Value;
use std::collections::BTreeSet;
use std::slice;
use std::time::Duration;

const RULE: &str = "zscore z=4 window=31m";

fn rule() -> RuleName {
    RULE.parse().unwrap()
}

/// An alert by the own rule.
fn own(name: &str, start: Second) -> Alert {
    let id = AlertId::derive(rule(), symbol(name), Metric::Volume, start);
    let visibility = Visibility::Private;
    Alert { id, rule: rule().whole(SpikeRule::default()), visibility, ..alert(name, Metric::Volume, start) }
}

const START: &str = "2025-01-31T19:50:00Z";

/// Subscribes somebody to the own rule, active before [`START`], and answers the token.
async fn subscribed(world: &World, n: u8, name: &str) -> (Subscription, String) {
    let (id, nonce) = (SubscriptionId::from_random([n; 16]), [n; 16]);
    let sign_up = SignUp {
        id,
        channel: Channel::Email(format!("s{n}@example.com").parse().unwrap()),
        scope: symbol(name).into(),
        metric: Metric::Volume,
        rule: rule(),
        quiet: None,
        nonce,
        hashes: world.key.hashes(id, &nonce),
        confirm: false,
    };
    let earlier = "2025-01-31T19:00:00Z".parse().unwrap();
    world.store.subscribe(slice::from_ref(&sign_up), SignUpLimits::default(), earlier).await.unwrap();
    let token = world.key.token(Purpose::Manage, id, &nonce);
    let subscription = world.store.subscription_of(Purpose::Manage, &token.hash()).await.unwrap().unwrap();
    (subscription, token.expose().to_owned())
}

/// Ten minutes of bars, each with an alert of the house's and, where asked for, some of an own rule: the same
/// commits.
async fn world_with(own_alerts: bool) -> World {
    let world = World::new().await;
    for minute in 0..10 {
        let start = at(START).plus_minutes(minute);
        let house = alert("TSLA", Metric::Price, start);
        let mut alerts = vec![AlertChange::Raised(house)];
        if own_alerts {
            for name in ["TSLA", "AAPL", "NVDA"] {
                alerts.push(AlertChange::Raised(own(name, start)));
            }
        }
        let bars = vec![BarRecord { bar: bar("TSLA", start, "100", 1_000), revision: 0 }];
        let statistics = vec![statistics("TSLA", start, 1.0, 2.0)];
        world.commit(Batch { bars, statistics, alerts, ..Batch::default() }).await;
    }
    world
}

/// Every address that the description says can be read, with parameters filled in, and some more.
async fn addresses(router: &Router) -> Vec<String> {
    let document = get(router, "/openapi.json").await.json();
    let own = own("TSLA", at(START));
    let mut addresses: Vec<String> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(path, item)| item.get("get").is_some() && *path != "/v1/stream" && *path != "/metrics")
        .map(|(path, _)| {
            let id = own.id.to_string();
            path.replace("{symbol}", "TSLA").replace("{ticker}", "TSLA").replace("{id}", &id)
        })
        .collect();
    assert!(addresses.len() > 15, "{addresses:?}");
    let rule = rule().to_string().replace(' ', "%20");
    addresses.extend([
        "/v1/alerts?limit=1000".to_owned(),
        "/v1/alerts?limit=2".to_owned(),
        "/v1/alerts?symbol=TSLA".to_owned(),
        "/v1/alerts?symbol=NVDA&metric=volume".to_owned(),
        "/v1/alerts?metric=volume&limit=1".to_owned(),
        format!("/v1/alerts?rule={rule}"),
        format!("/v1/alerts?rule={rule}&symbol=TSLA&metric=volume"),
        format!("/v1/alerts?since={START}"),
        "/v1/symbols/NVDA".to_owned(),
        "/v1/symbols/TSLA/bars?interval=5m".to_owned(),
        "/".to_owned(),
        "/alerts".to_owned(),
        "/s/TSLA".to_owned(),
    ]);
    addresses
}

/// What an answer says, but for what differs from request to request.
fn said(reply: &Reply) -> (StatusCode, String, String) {
    let mut text = String::from_utf8_lossy(&reply.body).into_owned();
    if let Ok(mut json) = serde_json::from_str::<Value>(&text)
        && let Some(object) = json.as_object_mut()
    {
        object.remove("request_id");
        // How much was written, not what.
        object.get_mut("store").and_then(Value::as_object_mut).map(|store| store.remove("log_bytes"));
        text = json.to_string();
    }
    (reply.status, reply.header("etag").to_owned(), text)
}

#[tokio::test]
async fn no_public_answer_differs_by_alerts_of_own_rules() {
    let (with, without) = (world_with(true).await, world_with(false).await);
    let (ours, theirs) = (with.router().await, without.router().await);
    let id = own("TSLA", at(START)).id.to_string();
    for address in addresses(&ours).await {
        let (one, other) = (get(&ours, &address).await, get(&theirs, &address).await);
        assert_eq!(said(&one), said(&other), "{address}");
        let text = String::from_utf8_lossy(&one.body);
        assert!(!text.contains("window=31m"), "{address} tells the rule");
        assert!(!text.contains(&id), "{address} tells the alert");
    }
    // As many series, whatever their values: no label tells of a rule.
    let series = async |router: &Router| {
        let text = get(router, "/metrics").await.text().to_owned();
        let names = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.rsplit_once(' ').map_or(line, |(series, _)| series).to_owned());
        names.collect::<BTreeSet<String>>()
    };
    assert_eq!(series(&ours).await, series(&theirs).await);
}

#[tokio::test]
async fn a_stream_without_a_token_carries_no_alert_of_an_own_rule_live_or_resumed() {
    // All events in memory; none: those are read from the store.
    for ring in [16 << 20, 0] {
        let mut world = world_with(true).await;
        world.config.limits.streams.ring = ring;
        let following = Following::start(world.api().await);
        let router = following.api.router();
        for (minute, path) in (0..).zip(["/v1/stream", "/v1/stream?symbols=TSLA,NVDA"]) {
            let mut resumed = Client::open_with(&router, path, Some("0"), None).await;
            let mut live = Client::open_with(&router, path, None, None).await;
            let start = at("2025-01-31T20:00:00Z").plus_minutes(minute);
            let house = alert("TSLA", Metric::Volume, start);
            let mixed = [own("TSLA", start), house.clone(), own("NVDA", start)];
            let sequence = world.commit(raised(mixed)).await;
            following.has_seen(sequence).await;
            for client in [&mut resumed, &mut live] {
                loop {
                    let block = client.event("alert").await;
                    assert!(!block.data.contains("zscore"), "{block:?}");
                    if block.data.contains(&house.id.to_string()) {
                        break;
                    }
                }
            }
        }
    }
}

/// The ids of the alerts that a stream tells up to one of them, sorted.
pub(crate) async fn alerts_until(client: &mut Client, last: &str) -> Vec<String> {
    let mut ids = Vec::new();
    loop {
        let Block { data, .. } = client.event("alert").await;
        let id = serde_json::from_str::<Value>(&data).unwrap()["id"].as_str().unwrap().to_owned();
        let is_last = id == last;
        ids.push(id);
        if is_last {
            ids.sort_unstable();
            return ids;
        }
    }
}

#[tokio::test]
async fn a_stream_with_a_token_carries_the_alerts_of_its_own_rule_and_no_others() {
    for ring in [16 << 20, 0] {
        let mut world = World::new().await;
        world.config.limits.streams.ring = ring;
        let (_, token) = subscribed(&world, 1, "TSLA").await;
        let following = Following::start(world.api().await);
        let router = following.api.router();
        let mut live = Client::open_with(&router, "/v1/stream", None, Some(&token)).await;
        let start = at(START);
        let (mine, house) = (own("TSLA", start), alert("AAPL", Metric::Price, start));
        let last = alert("NVDA", Metric::Price, start.plus_minutes(1));
        let before = own("TSLA", at("2025-01-31T18:00:00Z"));
        world.commit(raised([before, mine.clone(), own("NVDA", start), house.clone()])).await;
        let sequence = world.commit(raised([last.clone()])).await;
        following.has_seen(sequence).await;
        let mut expected = vec![mine.id.to_string(), house.id.to_string(), last.id.to_string()];
        expected.sort_unstable();
        let last = last.id.to_string();
        assert_eq!(alerts_until(&mut live, &last).await, expected, "live, ring of {ring}");
        let mut resumed = Client::open_with(&router, "/v1/stream", Some("0"), Some(&token)).await;
        assert_eq!(alerts_until(&mut resumed, &last).await, expected, "resumed, ring of {ring}");
    }
}

#[tokio::test]
async fn a_stream_ends_with_the_subscription_it_was_opened_for() {
    let world = World::new().await;
    let (subscription, token) = subscribed(&world, 1, "TSLA").await;
    let following = Following::start(world.api().await);
    let router = following.api.router();
    let mut stream = Client::open_with(&router, "/v1/stream", None, Some(&token)).await;
    let unsubscribe = world.key.token(Purpose::Unsubscribe, subscription.id, &subscription.nonce);
    world.store.unsubscribe(&unsubscribe.hash(), false, world.clock.now()).await.unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(20)).await;
    tokio::time::resume();
    // The next news finds it.
    following.has_seen(world.commit(raised([own("TSLA", at(START))])).await).await;
    while let Some(block) = stream.block().await {
        assert_ne!(block.event, "alert", "{block:?}");
    }
    let headers = [("authorization", format!("Bearer {token}"))];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(get_with(&router, "/v1/stream", &headers).await.status, StatusCode::GONE);
    let nobody = [("authorization", "Bearer AAAA")];
    assert_eq!(get_with(&router, "/v1/stream", &nobody).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_alert_of_an_own_rule_is_read_by_its_id_with_a_token_that_is_entitled() {
    let world = World::new().await;
    let (mine, token) = subscribed(&world, 1, "TSLA").await;
    let (_, others) = subscribed(&world, 2, "AAPL").await;
    let told = own("TSLA", at(START));
    let before = own("TSLA", at("2025-01-31T18:00:00Z"));
    world.commit(raised([told.clone(), before.clone()])).await;
    let router = world.router().await;
    let ask = async |id: AlertId, token: Option<&str>| {
        let bearer = token.map(|token| format!("Bearer {token}")).unwrap_or_default();
        let headers: Vec<(&str, &str)> =
            if bearer.is_empty() { Vec::new() } else { vec![("authorization", bearer.as_str())] };
        get_with(&router, &format!("/v1/alerts/{id}"), &headers).await
    };
    let reply = ask(told.id, Some(&token)).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(reply.json()["rule"], rule().to_string());
    assert_eq!(reply.header("cache-control"), "private, no-cache");
    assert!(reply.header("vary").contains("authorization"));
    for (id, token) in [
        (told.id, None),
        (told.id, Some("AAAA")),
        (told.id, Some(others.as_str())),
        (before.id, Some(token.as_str())),
        (own("NVDA", at(START)).id, Some(token.as_str())),
    ] {
        let reply = ask(id, token).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{token:?}");
        assert_eq!(reply.json()["code"], "unknown_alert");
    }
    // With another rule by now, and even ended, it still may read what it was told.
    let manage: TokenHash = world.key.token(Purpose::Manage, mine.id, &mine.nonce).hash();
    let change = qqq_store::SubscriptionChange { rule: Some(RuleName::House), ..Default::default() };
    world.store.amend(&manage, &change, world.clock.now()).await.unwrap();
    assert_eq!(ask(told.id, Some(&token)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_subscriptions_alerts_are_listed_for_its_token() {
    let world = World::new().await;
    let (mine, token) = subscribed(&world, 1, "TSLA").await;
    let (_, others) = subscribed(&world, 2, "AAPL").await;
    let starts: Vec<Second> = (0..5).map(|n| at(START).plus_minutes(n)).collect();
    let early = own("TSLA", at("2025-01-31T18:00:00Z"));
    let alerts = starts.iter().flat_map(|&start| [own("TSLA", start), own("AAPL", start)]);
    world.commit(raised(alerts.chain([early, alert("TSLA", Metric::Volume, starts[0])]))).await;
    let router = world.router().await;
    let list = async |query: &str, token: &str| {
        let path = format!("/v1/subscriptions/{}/alerts{query}", mine.id);
        get_with(&router, &path, &[("authorization", &format!("Bearer {token}"))]).await
    };
    let mut expected: Vec<String> = starts.iter().map(|&start| own("TSLA", start).id.to_string()).collect();
    expected.reverse();
    let (mut seen, mut query) = (Vec::new(), "?limit=2".to_owned());
    loop {
        let reply = list(&query, &token).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        let page = reply.json();
        seen.extend(
            page["items"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()),
        );
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        query = format!("?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, expected);
    let since = list(&format!("?since={}", starts[3]), &token).await.json();
    assert_eq!(since["items"].as_array().unwrap().len(), 2);
    assert_eq!(list("", &others).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(list("", "AAAA").await.status, StatusCode::UNAUTHORIZED);
    let unsubscribe = world.key.token(Purpose::Unsubscribe, mine.id, &mine.nonce);
    world.store.unsubscribe(&unsubscribe.hash(), false, world.clock.now()).await.unwrap();
    assert_eq!(list("", &token).await.status, StatusCode::GONE);
    assert_eq!(world.store.sequence().await.unwrap(), Sequence(1));
}
