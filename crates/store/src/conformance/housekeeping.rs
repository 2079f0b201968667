//! What is forgotten, notes, locks, checks.

use super::*;

pub async fn what_nobody_confirmed_is_forgotten(store: Shared) {
    let asked: Vec<SignUp> = (0..5).map(|n| sign_up(n, &format!("s{n}@example.com"), "TSLA")).collect();
    for sign_up in &asked {
        ask(&store, sign_up, UNLIMITED, at(0)).await;
    }
    // One confirms, one asks again later, one mail is sent.
    store.confirm(&asked[0].hashes.confirm, &Choice::Everything, at(1)).await.unwrap();
    ask(&store, &asked[1], UNLIMITED, at(10)).await;
    let mail = store.claim(at(20), at(50), Rooms::for_anybody(1), PLENTY).await.unwrap().remove(0);
    settle(&store, &mail, Outcome::Sent, at(21)).await;
    assert_eq!(store.forget(at(2 * DAY), 0).await.unwrap(), 0);
    assert_eq!(forget(&store, 2 * DAY, 100).await, 0, "its deadline passed a day ago, not more");
    assert_eq!(forget(&store, 2 * DAY + 1, 2).await, 6, "three subscriptions, with a mail each");
    for (n, expected) in [true, true, false, false, false].into_iter().enumerate() {
        assert_eq!(status(&store, &asked[n]).await.is_some(), expected, "number {n}");
    }
    assert_eq!(forget(&store, 2 * DAY + 11, 1).await, 3, "one subscription with two mails");
    assert_eq!(status(&store, &asked[1]).await, None);
    assert_eq!(forget(&store, 9 * DAY, 100).await, 0);
    let summary = store.outbox().await.unwrap();
    assert_eq!(summary.pending + summary.sent, 1, "the mail of the one that confirmed");
    // Whoever was forgotten is a stranger.
    assert_eq!(
        store.confirm(&asked[1].hashes.confirm, &Choice::Everything, at(9 * DAY)).await.unwrap(),
        Confirmed::Unknown
    );
    assert!(ask(&store, &asked[1], SignUpLimits::default(), at(9 * DAY)).await);
}

pub async fn what_has_ended_is_forgotten_after_a_month(store: Shared) {
    let (_, sign_up) = one_enqueued(&store).await;
    let stays = subscribed(&store, 2, "TSLA", at(0)).await;
    let told = claim_one(&store, at(1)).await;
    settle(&store, &told, Outcome::Sent, at(2)).await;
    store.unsubscribe(&sign_up.hashes.unsubscribe, false, at(3)).await.unwrap().unwrap();
    assert_eq!(forget(&store, 30 * DAY + 3, 100).await, 0);
    assert!(status(&store, &sign_up).await.is_some());
    assert_eq!(forget(&store, 30 * DAY + 4, 1).await, 2);
    assert_eq!(status(&store, &sign_up).await, None);
    assert!(status(&store, &stays).await.is_some());
    assert_eq!(outbox(&store).await, (0, 0, 0, 0, 0));
}

pub async fn settled_deliveries_are_forgotten_after_ninety_days(store: Shared) {
    let (raised, sign_up) = one_enqueued(&store).await;
    let told = claim_one(&store, at(1)).await;
    settle(&store, &told, Outcome::Sent, at(2)).await;
    let waiting = alerts_of([AlertChange::Raised(alert("TSLA", MINUTE.plus_minutes(1)))]);
    store.commit(&waiting, at(2)).await.unwrap();
    assert_eq!(forget(&store, 90 * DAY + 2, 100).await, 0);
    assert_eq!(outbox(&store).await, (1, 1, 0, 0, 0));
    assert_eq!(forget(&store, 90 * DAY + 3, 100).await, 1);
    assert_eq!(outbox(&store).await, (1, 0, 0, 0, 0), "what waits is not forgotten");
    assert!(status(&store, &sign_up).await.is_some());
    // The alert is not told again for that.
    let again = alerts_of([AlertChange::Raised(raised)]);
    assert_eq!(store.commit(&again, at(90 * DAY + 4)).await.unwrap().deliveries, 0);
}

pub async fn forgetting_does_not_widen_the_throttle(store: Shared) {
    let ask_anew = async |n: u16, seconds: i64| {
        let sign_up = sign_up(n, "ada@example.com", &format!("S{n}"));
        ask(&store, &sign_up, SignUpLimits::default(), at(seconds)).await
    };
    let mut mails = Vec::new();
    for n in 0..400 {
        let seconds = i64::from(n) * 900;
        if ask_anew(n, seconds).await {
            mails.push(seconds);
        }
        forget(&store, seconds, 3).await;
    }
    assert!(mails.windows(4).all(|four| four[3] - four[0] >= DAY), "{mails:?}");
    assert_eq!(mails.len(), 15, "three on each of five days");
}

pub async fn notes_come_back(store: Shared) {
    assert_eq!(store.note("key").await.unwrap(), None);
    for text in ["one", "two", "", "ä\n\0'--"] {
        store.set_note("key", text).await.unwrap();
        assert_eq!(store.note("key").await.unwrap().as_deref(), Some(text));
    }
    assert_eq!(store.note("Key").await.unwrap(), None);
}

pub async fn only_one_worker_holds_the_lock(store: Shared) {
    let held = store.lock_worker().await.unwrap();
    let Err(StoreError::WorkerRunning(place)) = store.lock_worker().await else {
        panic!("two workers");
    };
    assert!(!place.is_empty());
    drop(held);
    let _held = store.lock_worker().await.unwrap();
}

pub async fn a_store_describes_and_checks_itself(store: Shared) {
    let line = store.describe();
    assert!(!line.is_empty() && !line.contains('\n'), "{line}");
    store.commit(&full_batch(), at(0)).await.unwrap();
    store.check().await.unwrap();
    store.close().await;
    assert!(store.sequence().await.is_err(), "closed");
    store.close().await;
}
