//! Sign-ups and confirmations.

use super::*;

pub async fn a_sign_up_owes_a_confirmation_and_confirming_activates(store: Shared) {
    let sign_up = sign_up(1, "Ada@Example.com", "TSLA");
    assert!(ask(&store, &sign_up, SignUpLimits::default(), at(0)).await);
    assert_eq!(status(&store, &sign_up).await, Some(SubscriptionStatus::Pending));
    let mail = claim_one(&store, at(1)).await;
    assert_eq!(mail.kind, DeliveryKind::Confirmation);
    assert_eq!(mail.id, DeliveryId::of_confirmation(sign_up.id, 1));
    assert_eq!(mail.alert, None);
    assert_eq!(mail.expires_at, at(DeliveryKind::Confirmation.lifetime_seconds()));
    assert_eq!(mail.subscription.channel, sign_up.channel);
    assert_eq!(mail.subscription.status, SubscriptionStatus::Pending);
    assert_eq!(mail.subscription.active_from, None);
    let active = confirmed(&store, &sign_up, at(60)).await;
    assert_eq!(active.status, SubscriptionStatus::Active);
    assert_eq!(active.active_from, Second::at_minute(at(60)));
    let found = store.subscription_of(Purpose::Manage, &sign_up.hashes.manage).await.unwrap();
    assert_eq!(found, Some(active));
    assert_eq!(status(&store, &sign_up).await, Some(SubscriptionStatus::Active));
}

pub async fn confirming_again_changes_nothing(store: Shared) {
    let sign_up = sign_up(1, "ada@example.com", "TSLA");
    ask(&store, &sign_up, UNLIMITED, at(0)).await;
    let first = confirmed(&store, &sign_up, at(60)).await;
    for later in [61, 3600, 200_000] {
        assert_eq!(
            store.confirm(&sign_up.hashes.confirm, &Choice::Everything, at(later)).await.unwrap(),
            Confirmed::AlreadyActive(first.clone())
        );
    }
}

pub async fn a_confirmation_link_works_for_a_day(store: Shared) {
    let day = 24 * 60 * 60;
    let sign_up = sign_up(1, "ada@example.com", "TSLA");
    ask(&store, &sign_up, UNLIMITED, at(0)).await;
    let Confirmed::Expired(found) =
        store.confirm(&sign_up.hashes.confirm, &Choice::Everything, at(day + 1)).await.unwrap()
    else {
        panic!("not expired");
    };
    assert_eq!((found.id, found.status), (sign_up.id, SubscriptionStatus::Pending));
    // Asking again gives it another day.
    assert!(ask(&store, &sign_up, UNLIMITED, at(day + 2)).await);
    assert_eq!(confirmed(&store, &sign_up, at(2 * day + 1)).await.id, sign_up.id);
}

pub async fn an_ended_subscription_cannot_be_confirmed(store: Shared) {
    let sign_up = sign_up(1, "ada@example.com", "TSLA");
    ask(&store, &sign_up, UNLIMITED, at(0)).await;
    store.unsubscribe(&sign_up.hashes.unsubscribe, false, at(1)).await.unwrap().unwrap();
    assert_eq!(outbox(&store).await, (0, 0, 0, 0, 1));
    let confirmed = store.confirm(&sign_up.hashes.confirm, &Choice::Everything, at(2)).await.unwrap();
    assert!(matches!(confirmed, Confirmed::Ended(_)), "{confirmed:?}");
    assert_eq!(status(&store, &sign_up).await, Some(SubscriptionStatus::Unsubscribed));
}

pub async fn an_unknown_token_opens_nothing(store: Shared) {
    let known = sign_up(1, "ada@example.com", "TSLA");
    ask(&store, &known, UNLIMITED, at(0)).await;
    let stranger = sign_up(2, "eve@example.com", "TSLA").hashes;
    assert_eq!(
        store.confirm(&stranger.confirm, &Choice::Everything, at(1)).await.unwrap(),
        Confirmed::Unknown
    );
    assert_eq!(store.unsubscribe(&stranger.unsubscribe, false, at(1)).await.unwrap(), None);
    assert_eq!(store.subscription_of(Purpose::Manage, &stranger.manage).await.unwrap(), None);
}

pub async fn each_token_opens_its_own_purpose(store: Shared) {
    let SignUp { id, hashes, .. } = {
        let sign_up = sign_up(1, "ada@example.com", "TSLA");
        ask(&store, &sign_up, UNLIMITED, at(0)).await;
        sign_up
    };
    let tokens = [
        (Purpose::Confirm, hashes.confirm),
        (Purpose::Unsubscribe, hashes.unsubscribe),
        (Purpose::Manage, hashes.manage),
    ];
    for (purpose, _) in tokens {
        for (of, token) in tokens {
            let found = store.subscription_of(purpose, &token).await.unwrap();
            assert_eq!(found.map(|found| found.id), (purpose == of).then_some(id), "{purpose:?} by {of:?}");
        }
    }
    assert_eq!(
        store.confirm(&hashes.unsubscribe, &Choice::Everything, at(1)).await.unwrap(),
        Confirmed::Unknown
    );
    assert_eq!(store.unsubscribe(&hashes.manage, false, at(1)).await.unwrap(), None);
    let found = store.subscription_of(Purpose::Manage, &hashes.manage).await.unwrap().unwrap();
    assert_eq!(found.status, SubscriptionStatus::Pending);
}

pub async fn a_sign_up_for_the_same_wish_keeps_the_first_subscription(store: Shared) {
    let first = sign_up(1, "Ada@example.com", "TSLA");
    let second = sign_up(2, "ada@EXAMPLE.com", "TSLA");
    assert!(ask(&store, &first, UNLIMITED, at(0)).await);
    // Pending: another mail, of the first subscription.
    assert!(ask(&store, &second, UNLIMITED, at(1)).await);
    assert_eq!(status(&store, &first).await, Some(SubscriptionStatus::Pending));
    assert_eq!(status(&store, &second).await, None);
    assert_eq!(
        store.confirm(&second.hashes.confirm, &Choice::Everything, at(2)).await.unwrap(),
        Confirmed::Unknown
    );
    let mails: BTreeSet<DeliveryId> = claim_all(&store, at(2)).await.iter().map(|mail| mail.id).collect();
    let expected = [1, 2].map(|n| DeliveryId::of_confirmation(first.id, n));
    assert_eq!(mails, BTreeSet::from(expected));
    // Active: no mail.
    store.confirm(&first.hashes.confirm, &Choice::Everything, at(3)).await.unwrap();
    assert!(!ask(&store, &second, UNLIMITED, at(4)).await);
    assert_eq!(status(&store, &first).await, Some(SubscriptionStatus::Active));
    assert_eq!(status(&store, &second).await, None);
    // Another metric is another wish.
    let other = SignUp { metric: Metric::Price, ..second };
    assert!(ask(&store, &other, UNLIMITED, at(5)).await);
    let kept = store.subscription_of(Purpose::Manage, &other.hashes.manage).await.unwrap().unwrap();
    assert_eq!((kept.metric, kept.status), (Metric::Price, SubscriptionStatus::Pending));
    assert_eq!(status(&store, &first).await, Some(SubscriptionStatus::Active));
}

pub async fn signing_up_after_unsubscribing_makes_a_new_subscription(store: Shared) {
    let first = sign_up(1, "ada@example.com", "TSLA");
    ask(&store, &first, UNLIMITED, at(0)).await;
    store.unsubscribe(&first.hashes.unsubscribe, false, at(1)).await.unwrap().unwrap();
    let second = sign_up(2, "ada@example.com", "TSLA");
    assert!(ask(&store, &second, UNLIMITED, at(2)).await);
    assert_eq!(confirmed(&store, &second, at(3)).await.id, second.id);
    assert_eq!(status(&store, &first).await, Some(SubscriptionStatus::Unsubscribed));
    assert_eq!(status(&store, &second).await, Some(SubscriptionStatus::Active));
}
