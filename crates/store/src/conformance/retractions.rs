//! What was told and taken back.

use super::*;

pub async fn a_retraction_cancels_what_was_never_attempted(store: Shared) {
    let (alert, _) = one_enqueued(&store).await;
    assert_eq!(retract(&store, &alert, at(1)).await, 0);
    assert!(claim_all(&store, at(2)).await.is_empty());
    assert_eq!(outbox(&store).await, (0, 0, 0, 0, 1));
}

pub async fn a_retraction_does_not_follow_what_was_not_tried(store: Shared) {
    // Retracted while it waits again, and while it is under way.
    let (first, _) = one_enqueued(&store).await;
    left_alone(&store, 30, 1).await;
    assert_eq!(retract(&store, &first, at(2)).await, 0);
    let second = raise(&store, "TSLA", 1, at(3)).await;
    let under_way = claim_one(&store, at(3)).await;
    assert_eq!(retract(&store, &second, at(4)).await, 0);
    let not_tried = Outcome::NotTried(at(30), "it is left alone".to_owned());
    assert!(settle(&store, &under_way, not_tried.clone(), at(5)).await);
    assert!(claim_all(&store, at(100)).await.is_empty());
    assert_eq!(outbox(&store).await, (0, 0, 0, 0, 2));
    // What was tried before may have been told.
    let third = raise(&store, "TSLA", 2, at(200)).await;
    let tried = claim_one(&store, at(200)).await;
    assert!(settle(&store, &tried, Outcome::RetryAt(at(210), Failure::other("timed out")), at(201)).await);
    let under_way = claim_one(&store, at(210)).await;
    assert_eq!(retract(&store, &third, at(211)).await, 0);
    assert!(settle(&store, &under_way, not_tried, at(212)).await);
    followed_up(&store, &third, 213).await;
}

pub async fn a_retraction_does_not_follow_a_digest_that_was_not_tried(store: Shared) {
    let (digest, alerts, _, end) = one_digest(&store).await;
    let not_tried = Outcome::NotTried(after(end, 60), "it is left alone".to_owned());
    assert!(settle(&store, &digest, not_tried.clone(), after(end, 1)).await);
    assert_eq!(retract(&store, &alerts[0], after(end, 2)).await, 0);
    let again = claim_one(&store, after(end, 60)).await;
    assert_eq!((again.id, again.attempt, again.digest.len()), (digest.id, 1, alerts.len() - 1));
    assert_eq!(retract(&store, &alerts[1], after(end, 61)).await, 0);
    assert!(settle(&store, &again, not_tried, after(end, 62)).await);
    for alert in &alerts[2..] {
        assert_eq!(retract(&store, alert, after(end, 63)).await, 0);
    }
    assert!(claim_all(&store, after(end, 1000)).await.is_empty());
}

pub async fn a_retraction_follows_what_was_sent(store: Shared) {
    let (alert, sign_up) = one_enqueued(&store).await;
    let told = claim_one(&store, at(1)).await;
    assert!(settle(&store, &told, Outcome::Sent, at(2)).await);
    assert_eq!(retract(&store, &alert, at(3)).await, 1);
    let follow_up = claim_one(&store, at(4)).await;
    assert_eq!(follow_up.kind, DeliveryKind::Retraction);
    assert_eq!(follow_up.id, DeliveryId::of_alert(DeliveryKind::Retraction, alert.id, sign_up.id));
    assert_eq!((follow_up.created_at, follow_up.attempt), (at(3), 1));
    assert_eq!(follow_up.expires_at, at(3 + DeliveryKind::Retraction.lifetime_seconds()));
    let shown = follow_up.alert.clone().unwrap();
    assert_eq!((shown.id, shown.state), (alert.id, AlertState::Retracted));
    assert!(settle(&store, &follow_up, Outcome::Sent, at(5)).await);
    assert!(claim_all(&store, at(1000)).await.is_empty());
    assert_eq!(outbox(&store).await, (0, 2, 0, 0, 0));
}

pub async fn a_retraction_follows_what_was_under_way_once_it_is_sent(store: Shared) {
    let (alert, _) = one_enqueued(&store).await;
    let told = claim_one(&store, at(1)).await;
    assert_eq!(retract(&store, &alert, at(2)).await, 0);
    assert!(claim_all(&store, at(2)).await.is_empty());
    assert!(settle(&store, &told, Outcome::Sent, at(3)).await);
    assert_eq!(claim_one(&store, at(3)).await.kind, DeliveryKind::Retraction);
    assert!(!settle(&store, &told, Outcome::Sent, at(4)).await);
    assert_eq!(outbox(&store).await, (1, 1, 0, 0, 0));
}

pub async fn a_retraction_does_not_follow_what_failed(store: Shared) {
    let (alert, _) = one_enqueued(&store).await;
    let told = claim_one(&store, at(1)).await;
    assert!(settle(&store, &told, Outcome::Failed(Failure::other("550")), at(2)).await);
    assert_eq!(retract(&store, &alert, at(3)).await, 0);
    assert!(claim_all(&store, at(4)).await.is_empty());
    assert_eq!(outbox(&store).await, (0, 0, 1, 0, 0));
}

pub async fn a_retraction_follows_an_attempt_with_an_unknown_end(store: Shared) {
    // Two ways: the lease has run out when the retraction comes, or it runs out afterwards.
    for (minutes, retracted_at) in [(0, 40), (10, 5)] {
        subscribed(&store, 1 + minutes as u16, "TSLA", at(-3600)).await;
        let raised = alert("TSLA", MINUTE.plus_minutes(minutes));
        store.commit(&alerts_of([AlertChange::Raised(raised.clone())]), at(0)).await.unwrap();
        let lost = claim_all(&store, at(1)).await;
        assert!(!lost.is_empty());
        retract(&store, &raised, at(retracted_at)).await;
        let claimed = claim_all(&store, at(41)).await;
        assert_eq!(claimed.len(), lost.len());
        for follow_up in &claimed {
            assert_eq!(follow_up.kind, DeliveryKind::Retraction);
            assert_eq!(follow_up.alert.as_ref().unwrap().id, raised.id);
            assert!(settle(&store, follow_up, Outcome::Sent, at(42)).await);
        }
        for delivery in &lost {
            assert!(!settle(&store, delivery, Outcome::Sent, at(42)).await);
        }
        assert!(claim_all(&store, at(100)).await.is_empty());
    }
    assert_eq!(outbox(&store).await, (0, 3, 0, 0, 3));
}

/// Claims what is owed for the second time, the first attempt having ended in a way that leaves open whether
/// the receiver was told.
async fn second_attempt(store: &Shared, answered: bool) -> Delivery {
    let first = claim_one(store, at(1)).await;
    if answered {
        let timed_out = Outcome::RetryAt(at(31), Failure::other("timed out"));
        assert!(settle(store, &first, timed_out, at(2)).await);
    }
    let second = claim_one(store, at(31)).await;
    assert_eq!((second.id, second.attempt), (first.id, 2));
    second
}

/// Exactly one follow-up is there, and nothing else.
async fn followed_up(store: &Shared, alert: &Alert, seconds: i64) {
    let follow_up = claim_one(store, at(seconds)).await;
    assert_eq!((follow_up.kind, follow_up.attempt), (DeliveryKind::Retraction, 1));
    assert_eq!(follow_up.alert.as_ref().unwrap().id, alert.id);
    assert!(settle(store, &follow_up, Outcome::Sent, at(seconds)).await);
    assert!(claim_all(store, at(seconds + 20_000)).await.is_empty());
}

pub async fn a_retraction_follows_an_attempt_before_one_that_failed(store: Shared) {
    for (n, answered) in [(0, true), (1, false)] {
        subscribed(&store, n, "TSLA", at(-3600)).await;
        let raised = alert("TSLA", MINUTE.plus_minutes(i32::from(n)));
        let ended = sign_up(0, "s0@example.com", "TSLA");
        if n == 1 {
            store.unsubscribe(&ended.hashes.unsubscribe, false, at(0)).await.unwrap().unwrap();
        }
        store.commit(&alerts_of([AlertChange::Raised(raised.clone())]), at(0)).await.unwrap();
        let second = second_attempt(&store, answered).await;
        assert_eq!(retract(&store, &raised, at(32)).await, 0, "it is under way");
        assert!(settle(&store, &second, Outcome::Failed(Failure::other("550")), at(33)).await);
        followed_up(&store, &raised, 34).await;
    }
    assert_eq!(outbox(&store).await, (0, 2, 2, 0, 0));
}

pub async fn a_retraction_follows_what_ended_after_more_than_one_attempt(store: Shared) {
    let (raised, _) = one_enqueued(&store).await;
    let second = second_attempt(&store, true).await;
    assert!(settle(&store, &second, Outcome::Failed(Failure::other("550")), at(32)).await);
    assert_eq!(retract(&store, &raised, at(33)).await, 1);
    followed_up(&store, &raised, 34).await;
    assert_eq!(outbox(&store).await, (0, 1, 1, 0, 0));
}

pub async fn a_retraction_follows_what_expired_after_an_attempt(store: Shared) {
    let lifetime = DeliveryKind::Alert.lifetime_seconds();
    subscribed(&store, 1, "TSLA", at(-3600)).await;
    let [answered, lost, never, late] = [0, 1, 2, 3].map(|n| alert("TSLA", MINUTE.plus_minutes(n)));
    // One attempt each, but for the one that nobody claims.
    for raised in [&answered, &lost, &late] {
        store.commit(&alerts_of([AlertChange::Raised((*raised).clone())]), at(0)).await.unwrap();
        let first = claim_one(&store, at(lifetime - 40)).await;
        if raised.id == answered.id {
            let retry = Outcome::RetryAt(first.expires_at, Failure::other("timed out"));
            assert!(settle(&store, &first, retry, at(lifetime - 39)).await);
        }
    }
    store.commit(&alerts_of([AlertChange::Raised(never.clone())]), at(0)).await.unwrap();
    // Retracted while the attempt may still be under way, and its end is never heard of.
    assert_eq!(retract(&store, &late, at(lifetime - 20)).await, 0);
    followed_up(&store, &late, lifetime).await;
    assert_eq!(outbox(&store).await, (0, 1, 0, 3, 1));
    for (raised, expected) in [(&answered, 1), (&lost, 1), (&never, 0)] {
        assert_eq!(retract(&store, raised, at(lifetime + 1)).await, expected);
        if expected == 1 {
            followed_up(&store, raised, lifetime + 2).await;
        }
    }
    assert_eq!(outbox(&store).await, (0, 3, 0, 3, 1));
}

pub async fn a_retraction_ends_the_retries_of_what_it_retracts(store: Shared) {
    let (first, _) = one_enqueued(&store).await;
    let second = alert("TSLA", MINUTE.plus_minutes(1));
    store.commit(&alerts_of([AlertChange::Raised(second.clone())]), at(0)).await.unwrap();
    let refused = |at| Outcome::RetryAt(at, Failure::other("timed out"));
    let claimed = claim_all(&store, at(1)).await;
    assert_eq!(claimed.len(), 2);
    // One waits for its retry when the retraction comes, the other is under way.
    let (waiting, under_way): (Vec<_>, Vec<_>) =
        claimed.into_iter().partition(|delivery| delivery.alert.as_ref().unwrap().id == first.id);
    assert!(settle(&store, &waiting[0], refused(at(60)), at(2)).await);
    assert_eq!(retract(&store, &first, at(3)).await, 1);
    assert_eq!(retract(&store, &second, at(3)).await, 0);
    assert!(settle(&store, &under_way[0], refused(at(60)), at(4)).await);
    let follow_ups = claim_all(&store, at(100)).await;
    assert_eq!(follow_ups.len(), 2);
    assert!(follow_ups.iter().all(|delivery| delivery.kind == DeliveryKind::Retraction));
    assert_eq!(outbox(&store).await, (2, 0, 0, 0, 2));
}
