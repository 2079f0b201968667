//! What an operator lists and mends.

use super::*;

pub async fn subscriptions_are_listed_in_pages(store: Shared) {
    let mut asked = Vec::new();
    for n in 0..12 {
        let receiver = ["ada@example.com", "https://example.com/hook", "bob@example.com"][usize::from(n) % 3];
        let one = sign_up(n, receiver, &format!("S{n}"));
        ask(&store, &one, UNLIMITED, at(0)).await;
        asked.push(one);
    }
    store.unsubscribe(&asked[0].hashes.unsubscribe, false, at(1)).await.unwrap();
    for address in [None, Some("ada@example.com"), Some("https://example.com/hook"), Some("eve@example.com")]
    {
        let mut expected: Vec<SubscriptionId> = asked
            .iter()
            .filter(|one| address.is_none_or(|address| one.channel.key() == address))
            .map(|one| one.id)
            .collect();
        expected.sort();
        for limit in [1, 3, 100] {
            let mut query = SubscriptionQuery {
                address: address.map(str::to_owned),
                limit,
                ..SubscriptionQuery::default()
            };
            let mut seen = Vec::new();
            loop {
                let page = store.subscriptions(&query).await.unwrap();
                assert!(page.len() <= limit);
                let Some(last) = page.last() else { break };
                query.after = Some(last.id);
                seen.extend(page.into_iter().map(|one| one.id));
            }
            assert_eq!(seen, expected, "{address:?} in pages of {limit}");
        }
    }
}

pub async fn an_operator_disables_one_or_all_of_a_recipient(store: Shared) {
    let asked: Vec<SignUp> = (0..4)
        .map(|n| {
            let email = if n < 3 { "Ada@example.com" } else { "bob@example.com" };
            SignUp { confirm: false, ..sign_up(n, email, ["TSLA", "AAPL", "MSFT"][usize::from(n) % 3]) }
        })
        .collect();
    for one in &asked {
        ask(&store, one, UNLIMITED, at(-3600)).await;
    }
    let raised = ["TSLA", "AAPL", "MSFT"].map(|name| AlertChange::Raised(alert(name, MINUTE)));
    assert_eq!(store.commit(&alerts_of(raised), at(0)).await.unwrap().deliveries, 4);
    let stranger = Selection::One(sign_up(9, "eve@example.com", "TSLA").id);
    assert_eq!(store.disable(&stranger, at(1)).await.unwrap(), 0);
    for expected in [1, 0] {
        assert_eq!(store.disable(&Selection::One(asked[0].id), at(1)).await.unwrap(), expected);
    }
    for expected in [2, 0] {
        let all = Selection::Of("ada@example.com".to_owned());
        assert_eq!(store.disable(&all, at(2)).await.unwrap(), expected);
    }
    for one in &asked[..3] {
        assert_eq!(status(&store, one).await, Some(SubscriptionStatus::Disabled));
    }
    assert_eq!(claim_one(&store, at(3)).await.subscription.id, asked[3].id);
    assert_eq!(store.outbox().await.unwrap().cancelled, 3);
}

pub async fn erasing_a_recipient_leaves_nothing_of_it(store: Shared) {
    let ada = SignUp { confirm: false, ..sign_up(1, "Ada@example.com", "TSLA") };
    ask(&store, &ada, UNLIMITED, at(-3600)).await;
    let other = subscribed(&store, 2, "AAPL", at(-3600)).await;
    for n in 0..3 {
        assert!(answered(&store, n, Outcome::Failed(Failure::other("550")), at(60 * i64::from(n))).await);
    }
    assert!(!answered(&store, 3, Outcome::Sent, at(180)).await, "suppressed");
    let waiting = alerts_of([AlertChange::Raised(alert("AAPL", MINUTE))]);
    store.commit(&waiting, at(181)).await.unwrap();
    assert_eq!(store.erase("ada@example.com").await.unwrap(), 1);
    assert_eq!(store.erase("ada@example.com").await.unwrap(), 0);
    assert_eq!(status(&store, &ada).await, None);
    assert_eq!(outbox(&store).await, (1, 0, 0, 0, 0), "that of the other");
    assert_eq!(status(&store, &other).await, Some(SubscriptionStatus::Active));
    // Whoever was erased is a stranger, not somebody who is left alone.
    let again = sign_up(3, "ada@example.com", "TSLA");
    assert!(ask(&store, &again, SignUpLimits::default(), at(200)).await);
    // What is under way is settled by nobody.
    let mail = claim_all(&store, at(201)).await.into_iter().find(|one| one.alert.is_none()).unwrap();
    store.erase("ada@example.com").await.unwrap();
    assert!(!settle(&store, &mail, Outcome::Sent, at(202)).await);
}

pub async fn deliveries_are_listed_newest_first_with_their_reasons(store: Shared) {
    let ada = SignUp { confirm: false, ..sign_up(1, "Ada@example.com", "TSLA") };
    ask(&store, &ada, UNLIMITED, at(-3600)).await;
    let bob = SignUp { confirm: false, ..sign_up(2, "https://example.com/hook", "AAPL") };
    ask(&store, &bob, UNLIMITED, at(-3600)).await;
    let message = claim_one(&store, at(-3599)).await;
    settle(&store, &message, Outcome::Failed(Failure::other("404 for the webhook")), at(-3598)).await;
    for n in 0..6 {
        // Two at a time, so that some are of the same moment.
        let batch = ["TSLA", "AAPL"].map(|name| AlertChange::Raised(alert(name, MINUTE.plus_minutes(n))));
        store.commit(&alerts_of(batch), at(i64::from(n / 2))).await.unwrap();
    }
    let mut claimed = claim_all(&store, at(10)).await;
    while let Some(delivery) = claimed.pop() {
        let outcome = match delivery.subscription.id == ada.id {
            true => Outcome::Sent,
            false => Outcome::RetryAt(Timestamp::MAX, Failure::other("503 for the webhook")),
        };
        settle(&store, &delivery, outcome, at(11)).await;
        claimed.extend(claim_all(&store, at(11)).await);
    }
    let ada_key = Some("ada@example.com".to_owned());
    for (state, address, expected) in [
        (DeliveryState::Sent, None, 6),
        (DeliveryState::Sent, ada_key.clone(), 6),
        (DeliveryState::Expired, None, 6),
        (DeliveryState::Expired, ada_key, 0),
        (DeliveryState::Failed, Some("https://example.com/hook".to_owned()), 1),
        (DeliveryState::Pending, None, 0),
    ] {
        for limit in [1, 4, 100] {
            let mut query = DeliveryQuery { state, address: address.clone(), after: None, limit };
            let mut seen: Vec<DeliveryRecord> = Vec::new();
            loop {
                let page = store.deliveries(&query).await.unwrap();
                assert!(page.len() <= limit);
                let Some(last) = page.last() else { break };
                query.after = Some((last.created_at, last.id));
                seen.extend(page);
            }
            assert_eq!(seen.len(), expected, "{query:?}");
            assert!(seen.is_sorted_by_key(|one| std::cmp::Reverse((one.created_at, one.id))));
            for one in &seen {
                assert_eq!((one.state, one.attempts), (state, 1));
                assert_eq!(one.reason.is_some(), state != DeliveryState::Sent, "{one:?}");
                assert!(one.settled_at.is_some());
                let alerts = one.kind != DeliveryKind::Confirmation;
                assert_eq!(one.alert.is_some(), alerts);
            }
        }
    }
}

pub async fn what_failed_or_expired_is_owed_again_and_nothing_else(store: Shared) {
    subscribed(&store, 1, "TSLA", at(-3600)).await;
    let outcomes = [
        Outcome::Failed(Failure::other("550")),
        Outcome::RetryAt(Timestamp::MAX, Failure::other("451")),
        Outcome::Sent,
        Outcome::RetryAt(at(90_000), Failure::other("451")),
    ];
    let mut ids = Vec::new();
    for (n, outcome) in (0..).zip(outcomes) {
        let raised = alert("TSLA", MINUTE.plus_minutes(n));
        store.commit(&alerts_of([AlertChange::Raised(raised.clone())]), at(0)).await.unwrap();
        let delivery = claim_one(&store, at(1)).await;
        // The last one waits for its retraction to cancel it.
        let outcome = if n == 3 { Outcome::RetryAt(at(60), Failure::other("451")) } else { outcome };
        settle(&store, &delivery, outcome, at(2)).await;
        if n == 3 {
            assert_eq!(
                store.replay(delivery.id, at(3)).await.unwrap(),
                Replayed::Refused(DeliveryState::Pending)
            );
            retract(&store, &raised, at(3)).await;
            let follow_up = claim_one(&store, at(4)).await;
            settle(&store, &follow_up, Outcome::Sent, at(4)).await;
        }
        ids.push(delivery.id);
    }
    let refused = Replayed::Refused;
    assert_eq!(store.replay(ids[2], at(5)).await.unwrap(), refused(DeliveryState::Sent));
    assert_eq!(store.replay(ids[3], at(5)).await.unwrap(), refused(DeliveryState::Cancelled));
    let unknown = DeliveryId::of_digest(ids[0]);
    assert_eq!(store.replay(unknown, at(5)).await.unwrap(), Replayed::Unknown);
    assert_eq!(outbox(&store).await, (0, 2, 1, 1, 1));
    // Long past its first expiry, and once for each wish.
    let now = at(50_000);
    for id in &ids[..2] {
        assert_eq!(store.replay(*id, now).await.unwrap(), Replayed::Enqueued);
        assert_eq!(store.replay(*id, now).await.unwrap(), refused(DeliveryState::Pending));
    }
    assert_eq!(outbox(&store).await, (2, 2, 0, 0, 1));
    let again = claim_all(&store, now).await;
    assert_eq!(again.iter().map(|one| one.id).collect::<BTreeSet<_>>(), ids[..2].iter().copied().collect());
    for delivery in &again {
        assert_eq!(delivery.attempt, 2);
        assert_eq!(
            delivery.expires_at,
            now + SignedDuration::from_secs(DeliveryKind::Alert.lifetime_seconds())
        );
        assert!(settle(&store, delivery, Outcome::Sent, now).await);
    }
    assert_eq!(outbox(&store).await, (0, 4, 0, 0, 1));
}

pub async fn nothing_is_owed_again_to_what_has_ended(store: Shared) {
    let (_, ended) = one_enqueued(&store).await;
    let delivery = claim_one(&store, at(1)).await;
    settle(&store, &delivery, Outcome::Failed(Failure::other("550")), at(2)).await;
    store.unsubscribe(&ended.hashes.unsubscribe, false, at(3)).await.unwrap();
    assert_eq!(store.replay(delivery.id, at(4)).await.unwrap(), Replayed::Ended);
    let gone = SignUp { confirm: false, ..sign_up(2, "https://example.com/hook", "TSLA") };
    ask(&store, &gone, UNLIMITED, at(5)).await;
    let delivery = claim_one(&store, at(6)).await;
    settle(&store, &delivery, Outcome::Gone(Failure::other("410")), at(7)).await;
    assert_eq!(store.replay(delivery.id, at(8)).await.unwrap(), Replayed::Ended);
    assert_eq!(outbox(&store).await, (0, 0, 2, 0, 0));
}
