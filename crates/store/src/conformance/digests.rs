//! What waits: quiet hours, budgets, digests.

use super::*;

pub async fn quiet_hours_bring_alerts_together_when_they_end(store: Shared) {
    let (asked, end) = quiet(&store).await;
    let mut expected = Vec::new();
    for (n, name) in [(3, "TSLA"), (1, "AAPL"), (2, "TSLA")] {
        expected.push(raise(&store, name, n, at(i64::from(n))).await);
        assert!(claim_all(&store, at(i64::from(n))).await.is_empty());
    }
    let gone = raise(&store, "TSLA", 5, at(5)).await;
    assert!(claim_all(&store, after(end, -1)).await.is_empty());
    let query = DeliveryQuery { state: DeliveryState::Pending, address: None, after: None, limit: 9 };
    let waiting = store.deliveries(&query).await.unwrap();
    let reasons: Vec<_> = waiting.iter().map(|one| one.waits_for(after(end, -1))).collect();
    assert_eq!(reasons, [Some(WaitsFor::QuietHours); 4]);
    retract(&store, &gone, after(end, -1)).await;
    expected.sort_by_key(|one| one.start);
    let digest = claim_one(&store, end).await;
    assert_eq!((digest.kind, digest.alert.as_ref(), digest.attempt), (DeliveryKind::Digest, None, 1));
    assert_eq!(digest.digest, expected, "oldest first");
    assert_eq!(
        (digest.created_at, digest.expires_at),
        (end, after(end, DeliveryKind::Digest.lifetime_seconds()))
    );
    assert!(asked.iter().any(|one| one.id == digest.subscription.id));
    let summary = store.outbox().await.unwrap();
    assert_eq!((summary.pending, summary.bundled, summary.cancelled), (1, 3, 1));
    assert!(settle(&store, &digest, Outcome::Sent, after(end, 1)).await);
    assert!(claim_all(&store, after(end, 2)).await.is_empty());
    // Its members say where they went, and are not owed again.
    let query = DeliveryQuery { state: DeliveryState::Bundled, address: None, after: None, limit: 9 };
    let members = store.deliveries(&query).await.unwrap();
    assert!(members.len() == 3 && members.iter().all(|one| one.digest == Some(digest.id)));
    let replayed = store.replay(members[0].id, after(end, 3)).await.unwrap();
    assert_eq!(replayed, Replayed::Refused(DeliveryState::Bundled));
    // They are forgotten with it.
    forget(&store, 100 * DAY, 2).await;
    assert_eq!(store.outbox().await.unwrap(), OutboxSummary::default());
}

pub async fn a_single_alert_of_quiet_hours_comes_as_itself(store: Shared) {
    let (_, end) = quiet(&store).await;
    let raised = raise(&store, "TSLA", 0, at(0)).await;
    assert!(claim_all(&store, at(1)).await.is_empty());
    let told = claim_one(&store, end).await;
    assert_eq!((told.kind, told.alert.as_ref()), (DeliveryKind::Alert, Some(&raised)));
    assert!(told.digest.is_empty());
    assert_eq!(told.expires_at, after(end, DeliveryKind::Alert.lifetime_seconds()));
    // What is taken back at night is told in the morning.
    assert!(settle(&store, &told, Outcome::Sent, end).await);
    let next_night = after(end, 22 * 3600);
    assert_eq!(retract(&store, &raised, next_night).await, 1);
    assert!(claim_all(&store, next_night).await.is_empty());
    assert_eq!(claim_one(&store, after(end, DAY)).await.kind, DeliveryKind::Retraction);
}

pub async fn who_ends_the_quiet_hours_early_is_told_at_once(store: Shared) {
    let (asked, end) = quiet(&store).await;
    let raised = raise(&store, "TSLA", 0, at(0)).await;
    raise(&store, "AAPL", 0, at(0)).await;
    assert!(claim_all(&store, at(1)).await.is_empty());
    let change = SubscriptionChange { quiet: Some(None), ..Default::default() };
    amend(&store, &asked[0], change, at(2)).await;
    assert_eq!(claim_one(&store, at(3)).await.alert, Some(raised));
    assert_eq!(claim_all(&store, end).await.len(), 2, "the other, and the first, never heard of");
}

pub async fn the_budget_brings_alerts_together_when_there_is_room(store: Shared) {
    let two_an_hour = Budget { messages: 2, per_seconds: 3600 };
    subscribed(&store, 1, "TSLA", at(-3600)).await;
    subscribed(&store, 2, "AAPL", at(-3600)).await;
    let claim = async |seconds: i64| {
        store.claim(at(seconds), at(seconds + 30), Rooms::for_anybody(16), two_an_hour).await.unwrap()
    };
    for n in 0..5 {
        raise(&store, "TSLA", n, at(i64::from(n) - 9)).await;
    }
    // Two are under way; the others wait, even where one of the two comes to nothing.
    let first = claim(0).await;
    assert_eq!(first.len(), 2);
    assert!(settle(&store, &first[0], Outcome::Sent, at(10)).await);
    assert!(settle(&store, &first[1], Outcome::Sent, at(20)).await);
    raise(&store, "TSLA", 5, at(30)).await;
    raise(&store, "AAPL", 6, at(30)).await;
    let other = claim(30).await;
    assert_eq!(other.len(), 1, "another recipient");
    assert!(other[0].alert.as_ref().unwrap().symbol == symbol("AAPL"));
    assert!(settle(&store, &other[0], Outcome::Sent, at(31)).await);
    assert!(claim(3599).await.is_empty());
    let mut told = Vec::new();
    for seconds in [3610, 3620] {
        for delivery in claim(seconds).await {
            told.extend(delivery.digest.iter().chain(&delivery.alert).map(|one| one.start));
            assert!(settle(&store, &delivery, Outcome::Sent, at(seconds)).await);
        }
    }
    told.sort();
    assert_eq!(told, [2, 3, 4, 5].map(|n| MINUTE.plus_minutes(n)));
    assert_eq!(store.outbox().await.unwrap().pending, 0);
}

pub async fn a_digest_that_was_refused_for_now_tells_only_what_still_stands(store: Shared) {
    let (digest, alerts, _, end) = one_digest(&store).await;
    assert!(
        settle(&store, &digest, Outcome::RetryAt(after(end, 60), Failure::other("451")), after(end, 1)).await
    );
    assert_eq!(retract(&store, &alerts[0], after(end, 2)).await, 1, "it may have arrived");
    let again = claim_all(&store, after(end, 60)).await;
    let [follow_up, again] = &again[..] else { panic!("{again:?}") };
    assert_eq!(follow_up.kind, DeliveryKind::Retraction);
    assert_eq!((again.id, again.attempt, &again.digest[..]), (digest.id, 2, &alerts[1..]));
    assert!(settle(&store, again, Outcome::Sent, after(end, 61)).await);
    assert!(!settle(&store, &digest, Outcome::Sent, after(end, 61)).await);
}

pub async fn a_retraction_follows_a_digest_that_may_have_arrived(store: Shared) {
    let (digest, alerts, _, end) = one_digest(&store).await;
    assert_eq!(retract(&store, &alerts[0], after(end, 1)).await, 0, "it is under way");
    assert!(settle(&store, &digest, Outcome::Sent, after(end, 2)).await);
    assert_eq!(retract(&store, &alerts[1], after(end, 3)).await, 1);
    let follow_ups: BTreeSet<AlertId> =
        claim_all(&store, after(end, 4)).await.iter().map(|one| one.alert.as_ref().unwrap().id).collect();
    assert_eq!(follow_ups, [alerts[0].id, alerts[1].id].into());
    // Who refused it for good at the first attempt knows nothing.
    let next = after(end, 22 * 3600);
    let refused = [raise(&store, "TSLA", 2000, next).await, raise(&store, "TSLA", 2001, next).await];
    assert!(claim_all(&store, next).await.is_empty());
    let digest =
        claim_all(&store, after(end, DAY)).await.into_iter().find(|one| !one.digest.is_empty()).unwrap();
    assert!(settle(&store, &digest, Outcome::Failed(Failure::other("550")), after(end, DAY)).await);
    assert_eq!(retract(&store, &refused[0], after(end, DAY + 1)).await, 0);
}

pub async fn a_digest_of_which_nothing_is_left_is_cancelled(store: Shared) {
    let (digest, alerts, _, end) = one_digest(&store).await;
    assert!(
        settle(&store, &digest, Outcome::RetryAt(after(end, 60), Failure::other("451")), after(end, 1)).await
    );
    for alert in &alerts {
        assert_eq!(retract(&store, alert, after(end, 2)).await, 1);
    }
    assert!(claim_all(&store, after(end, 60)).await.iter().all(|one| one.kind == DeliveryKind::Retraction));
    let query = DeliveryQuery { state: DeliveryState::Cancelled, address: None, after: None, limit: 9 };
    let cancelled = store.deliveries(&query).await.unwrap();
    assert_eq!(cancelled.iter().map(|one| one.id).collect::<Vec<_>>(), [digest.id]);
    assert!(cancelled[0].reason.is_some());
}

pub async fn a_digest_outlives_its_first_subscription(store: Shared) {
    let (digest, alerts, asked, end) = one_digest(&store).await;
    let (first, other): (Vec<&SignUp>, Vec<&SignUp>) =
        asked.iter().partition(|one| one.id == digest.subscription.id);
    assert!(
        settle(&store, &digest, Outcome::RetryAt(after(end, 60), Failure::other("451")), after(end, 1)).await
    );
    store.unsubscribe(&first[0].hashes.unsubscribe, false, after(end, 2)).await.unwrap();
    let again = claim_one(&store, after(end, 60)).await;
    assert_eq!((again.id, again.subscription.id), (digest.id, other[0].id));
    let expected: Vec<Alert> = alerts.into_iter().filter(|one| other[0].scope.covers(one.symbol)).collect();
    assert_eq!(again.digest, expected);
    // Gone: all that it tells of.
    assert!(settle(&store, &again, Outcome::Gone(Failure::other("410")), after(end, 61)).await);
    assert_eq!(status(&store, other[0]).await, Some(SubscriptionStatus::Disabled));
    assert_eq!(status(&store, first[0]).await, Some(SubscriptionStatus::Unsubscribed));
}

pub async fn a_digest_has_its_limit_and_the_rest_comes_next(store: Shared) {
    let (_, end) = quiet(&store).await;
    let many = (0..450).map(|n| AlertChange::Raised(alert("TSLA", MINUTE.plus_minutes(n))));
    store.commit(&alerts_of(many), at(0)).await.unwrap();
    assert!(claim_all(&store, at(1)).await.is_empty());
    let digests = claim_all(&store, end).await;
    assert_eq!(digests.iter().map(|one| one.digest.len()).collect::<Vec<_>>(), [200, 200, 50]);
    let told: BTreeSet<AlertId> = digests.iter().flat_map(|one| &one.digest).map(|one| one.id).collect();
    assert_eq!(told.len(), 450);
}

pub async fn what_was_tried_is_put_off_alone(store: Shared) {
    let (_, end) = quiet(&store).await;
    let begin = after(end, 20 * 3600);
    // Tried before the quiet hours, and again only after them: under its own id, for its receiver may know
    // it.
    let tried = raise(&store, "TSLA", 1300, after(begin, -60)).await;
    let first = claim_one(&store, after(begin, -60)).await;
    assert!(
        settle(&store, &first, Outcome::RetryAt(after(begin, 60), Failure::other("451")), after(begin, -30))
            .await
    );
    raise(&store, "TSLA", 1301, begin).await;
    raise(&store, "AAPL", 1301, begin).await;
    assert!(claim_all(&store, after(begin, 60)).await.is_empty());
    let morning = claim_all(&store, after(end, DAY)).await;
    assert_eq!(morning.len(), 2, "{morning:?}");
    let again = morning.iter().find(|one| one.kind == DeliveryKind::Alert).unwrap();
    assert_eq!((again.id, again.attempt), (first.id, 2));
    assert_eq!(again.alert.as_ref(), Some(&tried));
    assert_eq!(morning.iter().map(|one| one.digest.len()).sum::<usize>(), 2);
}
