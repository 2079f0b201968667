//! Steps: all of one, or nothing, and again as often as you like.

use super::*;

type Everything = (Changes, OutboxSummary, Vec<SplitRecord>, Option<FeedStatus>, Vec<Bar>);

async fn everything(store: &Shared) -> Everything {
    (
        store.changes(Sequence(0), usize::MAX).await.unwrap(),
        store.outbox().await.unwrap(),
        store.splits().await.unwrap(),
        store.feed_status().await.unwrap(),
        store.quarantined().await.unwrap(),
    )
}

pub async fn replaying_a_batch_changes_nothing(store: Shared) {
    subscribed(&store, 1, "TSLA", at(-3600)).await;
    subscribed(&store, 2, "AAPL", at(-3600)).await;
    store.commit(&bars_of([bar("NVDA", MINUTE.plus_minutes(-2), 5000)]), at(-1)).await.unwrap();
    let first = store.commit(&full_batch(), at(0)).await.unwrap();
    assert_eq!(first.sequence, Sequence(2));
    let before = everything(&store).await;
    for later in [0, 1, 1000] {
        let again = store.commit(&full_batch(), at(later)).await.unwrap();
        assert_eq!(again, Committed { sequence: first.sequence, deliveries: 0 });
        assert_eq!(everything(&store).await, before);
    }
    assert_eq!(
        store.changes(first.sequence, 100).await.unwrap(),
        Changes { sequence: first.sequence, ..Changes::default() }
    );
    assert_eq!(outbox(&store).await, (1, 0, 0, 0, 1));
}

pub async fn replaying_a_whole_story_changes_nothing(store: Shared) {
    let (spike, _) = one_enqueued(&store).await;
    let told = claim_one(&store, at(1)).await;
    settle(&store, &told, Outcome::Sent, at(2)).await;
    let mut counted = spike.clone();
    counted.occurrences.push(Occurrence { start: MINUTE.plus_minutes(1), value: 160_000 });
    let mut more = counted.clone();
    more.occurrences.push(Occurrence { start: MINUTE.plus_minutes(2), value: 170_000 });
    let story = alerts_of([
        AlertChange::Raised(spike.clone()),
        AlertChange::Counted(counted),
        AlertChange::Counted(more.clone()),
        AlertChange::Retracted(Alert { state: AlertState::Retracted, ..more }),
    ]);
    let first = store.commit(&story, at(3)).await.unwrap();
    assert_eq!(first.deliveries, 1);
    let before = everything(&store).await;
    assert_eq!(
        store.commit(&story, at(4)).await.unwrap(),
        Committed { sequence: first.sequence, deliveries: 0 }
    );
    assert_eq!(everything(&store).await, before);
}

pub async fn an_alert_comes_with_a_delivery_for_every_subscription_it_concerns(store: Shared) {
    let now = at(-3600);
    let concerned = [subscribed(&store, 1, "TSLA", now).await, subscribed(&store, 2, "TSLA", now).await];
    // Another symbol, another metric, not confirmed, too late, ended.
    subscribed(&store, 3, "AAPL", now).await;
    let other_metric =
        SignUp { metric: Metric::Price, confirm: false, ..sign_up(4, "s4@example.com", "TSLA") };
    ask(&store, &other_metric, UNLIMITED, now).await;
    ask(&store, &sign_up(5, "s5@example.com", "TSLA"), UNLIMITED, now).await;
    subscribed(&store, 6, "TSLA", MINUTE.start() + SignedDuration::from_secs(1)).await;
    let ended = subscribed(&store, 7, "TSLA", now).await;
    store.unsubscribe(&ended.hashes.unsubscribe, false, now).await.unwrap().unwrap();
    // Active from the very minute of the bar.
    let just = subscribed(&store, 8, "TSLA", MINUTE.start()).await;

    let raised = alert("TSLA", MINUTE);
    let committed = store.commit(&alerts_of([AlertChange::Raised(raised.clone())]), at(0)).await.unwrap();
    assert_eq!(committed.deliveries, 3);
    let told: BTreeSet<SubscriptionId> = claim_all(&store, at(0))
        .await
        .into_iter()
        .filter(|delivery| delivery.kind == DeliveryKind::Alert)
        .map(|delivery| {
            assert_eq!(delivery.alert.unwrap(), raised);
            assert_eq!(
                delivery.id,
                DeliveryId::of_alert(DeliveryKind::Alert, raised.id, delivery.subscription.id)
            );
            delivery.subscription.id
        })
        .collect();
    let expected: BTreeSet<_> = concerned.iter().chain([&just]).map(|one| one.id).collect();
    assert_eq!(told, expected);
}

pub async fn an_alert_and_its_retraction_reach_hundreds_once_each(store: Shared) {
    for n in 0..150 {
        subscribed(&store, n, "TSLA", at(-3600)).await;
    }
    let raised = alert("TSLA", MINUTE);
    let batch = alerts_of([AlertChange::Raised(raised.clone())]);
    for expected in [150, 0] {
        assert_eq!(store.commit(&batch, at(0)).await.unwrap().deliveries, expected);
    }
    let claim = async |seconds: i64| {
        store.claim(at(seconds), at(seconds + 30), Rooms::for_anybody(1000), PLENTY).await.unwrap()
    };
    let told = claim(1).await;
    let receivers = |deliveries: &[Delivery]| {
        deliveries.iter().map(|one| one.subscription.id).collect::<BTreeSet<SubscriptionId>>()
    };
    assert_eq!((told.len(), receivers(&told).len()), (150, 150));
    // All but ten were told; nobody knows of the last ten.
    for delivery in &told[..140] {
        settle(&store, delivery, Outcome::Sent, at(2)).await;
    }
    assert_eq!(retract(&store, &raised, at(3)).await, 140);
    let follow_ups = claim(4).await;
    assert_eq!(receivers(&follow_ups), receivers(&told[..140]));
    let late = claim(40).await;
    let late: Vec<Delivery> = late.into_iter().filter(|one| one.attempt == 1).collect();
    assert_eq!(receivers(&late), receivers(&told[140..]));
    assert!(follow_ups.iter().chain(&late).all(|one| one.kind == DeliveryKind::Retraction));
}

pub async fn a_batch_that_cannot_be_written_leaves_no_trace(store: Shared) {
    let (_, sign_up) = one_enqueued(&store).await;
    let before = everything(&store).await;
    // A known id for another minute: nothing this program makes, so the store refuses.
    let mut batch = full_batch();
    let twin = Alert { id: alert("TSLA", MINUTE).id, ..alert("TSLA", MINUTE.plus_minutes(8)) };
    batch.alerts =
        vec![AlertChange::Raised(alert("TSLA", MINUTE.plus_minutes(9))), AlertChange::Raised(twin)];
    let error = store.commit(&batch, at(1)).await.unwrap_err();
    assert!(!error.is_transient(), "{error}");
    assert_eq!(everything(&store).await, before);
    assert_eq!(store.alert(alert("TSLA", MINUTE.plus_minutes(9)).id).await.unwrap(), None);
    assert_eq!(claim_one(&store, at(2)).await.subscription.id, sign_up.id);
    // And it goes on working.
    assert_eq!(store.commit(&full_batch(), at(1)).await.unwrap().sequence, Sequence(before.0.sequence.0 + 1));
}
