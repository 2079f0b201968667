//! Rules as the API tells them: what there may be, and which one an alert was raised by.

use crate::world::*;
use qqq_core::{Metric, SpikeRule};
use serde_json::Value;

/// The dashboard's own tests take this file for the answer.
const KINDS: &str = include_str!("../../../../dashboard/src/rule/kinds.fixture.json");

#[tokio::test]
async fn the_kinds_of_rules_are_told_with_their_defaults_and_ranges() {
    let world = World::new().await;
    let router = world.router().await;
    let reply = get(&router, "/v1/rules").await;
    let expected: Value = serde_json::from_str(KINDS).unwrap();
    assert_eq!(reply.json(), expected);
    assert_eq!(get(&router, "/v1/rules?kind=spike").await.status, 400, "there is nothing to ask for");
}

#[tokio::test]
async fn an_old_alert_is_told_the_same_after_the_rule_is_changed() {
    let mut world = World::new().await;
    let one = alert("NVDA", Metric::Volume, at("2025-01-31T19:50:00Z"));
    let sequence = world.commit(raised([one.clone()])).await;
    let paths = [
        format!("/v1/alerts/{}", one.id),
        "/v1/alerts?rule=spike".to_owned(),
        // From the store, where the first page comes from memory.
        "/v1/alerts?limit=1&cursor=".to_owned(),
    ];
    let told = async |world: &World| {
        let router = world.router().await;
        let mut told = Vec::new();
        for path in &paths {
            told.push(get(&router, path).await.text().to_owned());
        }
        told
    };
    let before = told(&world).await;
    let shown: Value = serde_json::from_str(&before[0]).unwrap();
    assert_eq!(shown["rule"], "spike");
    assert_eq!(
        shown["rule_text"],
        "v1 spike ratio=3 window=60m min_bars=30 trigger=level session=all cooldown=60m"
    );
    assert_eq!(shown["headline"], "NVDA volume 7.2x its last hour");
    assert_eq!(
        shown["text"],
        "NVDA traded 151,234 shares at 14:50 New York time, 7.2 times its average of the last hour, 21,000. \
         The price was $118.42 (-3.49 % on the day)."
    );

    world.config.rule = SpikeRule { window: 30, min_bars: 15, ..SpikeRule::default() };
    assert_eq!(told(&world).await, before);

    // One that is raised from now on is told by the rule of now, under the same name.
    let later = alert("NVDA", Metric::Volume, at("2025-01-31T19:55:00Z"));
    let house = qqq_core::RuleName::House.whole(world.config.rule);
    assert!(world.commit(raised([qqq_core::Alert { rule: house, ..later.clone() }])).await > sequence);
    let shown = get(&world.router().await, &format!("/v1/alerts/{}", later.id)).await.json();
    assert_eq!(
        (&shown["rule"], &shown["headline"]),
        (&"spike".into(), &"NVDA volume 7.2x its last 30 minutes".into())
    );
}
