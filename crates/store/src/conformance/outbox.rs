//! Deliveries: claimed by lease, settled once, and their places.

use super::*;

pub async fn a_claim_hands_out_everything_a_channel_needs(store: Shared) {
    let (alert, sign_up) = one_enqueued(&store).await;
    let delivery = claim_one(&store, at(7)).await;
    assert_eq!(delivery.id, DeliveryId::of_alert(DeliveryKind::Alert, alert.id, sign_up.id));
    assert_eq!((delivery.kind, delivery.attempt), (DeliveryKind::Alert, 1));
    assert_eq!(delivery.created_at, at(0));
    assert_eq!(delivery.expires_at, at(DeliveryKind::Alert.lifetime_seconds()));
    assert_eq!(delivery.alert, Some(alert));
    let subscription = &delivery.subscription;
    assert_eq!(subscription.id, sign_up.id);
    assert_eq!(subscription.channel, sign_up.channel);
    assert_eq!((subscription.scope, subscription.metric), (sign_up.scope, sign_up.metric));
    assert_eq!((subscription.rule, &subscription.quiet), (sign_up.rule, &sign_up.quiet));
    assert_eq!((subscription.paused_until, subscription.secret_rotated_at), (None, None));
    assert_eq!(subscription.secret_generation, 0);
    assert_eq!(subscription.status, SubscriptionStatus::Active);
    assert_eq!(subscription.nonce, sign_up.nonce);
    assert_eq!(subscription.created_at, at(-3600));
}

pub async fn a_claim_takes_the_oldest_first_and_no_more_than_asked(store: Shared) {
    subscribed(&store, 1, "TSLA", at(-3600)).await;
    for n in [2, 0, 1, 3] {
        let batch = alerts_of([AlertChange::Raised(alert("TSLA", MINUTE.plus_minutes(n)))]);
        store.commit(&batch, at(i64::from(n) * 60)).await.unwrap();
    }
    let mut order = Vec::new();
    for (limit, expected) in [(0, 0), (2, 2), (100, 2), (100, 0)] {
        let claimed = store.claim(at(600), at(630), Rooms::for_anybody(limit), PLENTY).await.unwrap();
        assert_eq!(claimed.len(), expected);
        order.extend(claimed.into_iter().map(|delivery| delivery.created_at));
    }
    assert!(order.is_sorted() && order.len() == 4, "{order:?}");
    // What is enqueued later than now is not due yet.
    let later = alerts_of([AlertChange::Raised(alert("TSLA", MINUTE.plus_minutes(20)))]);
    store.commit(&later, at(700)).await.unwrap();
    assert!(store.claim(at(629), at(640), Rooms::for_anybody(10), PLENTY).await.unwrap().is_empty());
}

pub async fn a_delivery_under_way_is_not_handed_out_again(store: Shared) {
    one_enqueued(&store).await;
    let delivery = claim_one(&store, at(1)).await;
    assert!(claim_all(&store, at(1)).await.is_empty());
    assert!(claim_all(&store, at(30)).await.is_empty());
    assert!(settle(&store, &delivery, Outcome::Sent, at(30)).await);
    assert!(claim_all(&store, at(1000)).await.is_empty());
    assert_eq!(outbox(&store).await, (0, 1, 0, 0, 0));
}

pub async fn after_its_lease_a_delivery_is_claimed_anew_and_the_old_holder_settles_nothing(store: Shared) {
    one_enqueued(&store).await;
    let old = claim_one(&store, at(1)).await;
    let new = claim_one(&store, at(31)).await;
    assert_eq!((new.id, new.attempt), (old.id, 2));
    assert_ne!(new.lease, old.lease);
    for outcome in [
        Outcome::Sent,
        Outcome::Failed(Failure::other("no")),
        Outcome::RetryAt(at(40), Failure::other("later")),
    ] {
        assert!(!settle(&store, &old, outcome, at(32)).await);
        assert!(!store.renew(old.id, old.lease, at(90)).await.unwrap());
    }
    assert_eq!(outbox(&store).await, (1, 0, 0, 0, 0));
    assert!(settle(&store, &new, Outcome::Sent, at(33)).await);
    assert_eq!(outbox(&store).await, (0, 1, 0, 0, 0));
}

pub async fn a_lapsed_lease_that_nobody_took_over_still_settles(store: Shared) {
    one_enqueued(&store).await;
    let delivery = claim_one(&store, at(1)).await;
    assert!(settle(&store, &delivery, Outcome::Sent, at(300)).await);
    assert!(claim_all(&store, at(301)).await.is_empty());
}

pub async fn renewing_keeps_others_away_and_only_the_holder_can(store: Shared) {
    one_enqueued(&store).await;
    let delivery = claim_one(&store, at(1)).await;
    assert!(!store.renew(delivery.id, Lease(delivery.lease.0 + 1), at(90)).await.unwrap());
    assert!(store.renew(delivery.id, delivery.lease, at(90)).await.unwrap());
    assert!(claim_all(&store, at(31)).await.is_empty());
    assert!(claim_all(&store, at(89)).await.is_empty());
    assert_eq!(claim_one(&store, at(90)).await.attempt, 2);
    assert!(!store.renew(delivery.id, delivery.lease, at(200)).await.unwrap());
}

pub async fn what_is_settled_stays_settled(store: Shared) {
    one_enqueued(&store).await;
    let delivery = claim_one(&store, at(1)).await;
    assert!(settle(&store, &delivery, Outcome::Failed(Failure::other("550 no such user")), at(2)).await);
    for outcome in [
        Outcome::Sent,
        Outcome::Failed(Failure::other("no")),
        Outcome::RetryAt(at(40), Failure::other("later")),
    ] {
        assert!(!settle(&store, &delivery, outcome, at(3)).await);
    }
    assert!(!store.renew(delivery.id, delivery.lease, at(90)).await.unwrap());
    assert_eq!(store.release_leases().await.unwrap(), 0);
    assert!(claim_all(&store, at(100)).await.is_empty());
    assert_eq!(outbox(&store).await, (0, 0, 1, 0, 0));
}

pub async fn a_delivery_that_was_refused_for_now_is_due_again_and_then_sent(store: Shared) {
    one_enqueued(&store).await;
    let first = claim_one(&store, at(1)).await;
    assert!(settle(&store, &first, Outcome::RetryAt(at(60), Failure::other("451 busy")), at(2)).await);
    // The lease is used up with it.
    assert!(!settle(&store, &first, Outcome::Sent, at(3)).await);
    assert!(!store.renew(first.id, first.lease, at(90)).await.unwrap());
    assert!(claim_all(&store, at(59)).await.is_empty());
    let second = claim_one(&store, at(60)).await;
    assert_eq!((second.id, second.attempt), (first.id, 2));
    assert_eq!((second.created_at, second.expires_at), (first.created_at, first.expires_at));
    assert!(settle(&store, &second, Outcome::Sent, at(61)).await);
    assert_eq!(outbox(&store).await, (0, 1, 0, 0, 0));
}

pub async fn a_retry_past_its_expiry_is_expired(store: Shared) {
    one_enqueued(&store).await;
    let delivery = claim_one(&store, at(1)).await;
    let retry = Outcome::RetryAt(delivery.expires_at, Failure::other("451 busy"));
    assert!(settle(&store, &delivery, retry, at(2)).await);
    assert_eq!(outbox(&store).await, (0, 0, 0, 1, 0));
    assert!(claim_all(&store, at(20_000)).await.is_empty());
}

pub async fn what_was_not_claimed_in_time_is_expired(store: Shared) {
    let lifetime = DeliveryKind::Alert.lifetime_seconds();
    one_enqueued(&store).await;
    assert_eq!(claim_one(&store, at(lifetime - 40)).await.attempt, 1);
    // The lease ran out and nobody knows how the attempt ended.
    assert!(claim_all(&store, at(lifetime)).await.is_empty());
    assert_eq!(outbox(&store).await, (0, 0, 0, 1, 0));
}

pub async fn releasing_leases_makes_deliveries_due_at_once(store: Shared) {
    one_enqueued(&store).await;
    let lost = claim_one(&store, at(1)).await;
    assert_eq!(store.release_leases().await.unwrap(), 1);
    assert_eq!(store.release_leases().await.unwrap(), 0);
    assert!(!settle(&store, &lost, Outcome::Sent, at(2)).await, "its holder is gone");
    let again = claim_one(&store, at(2)).await;
    assert_eq!((again.id, again.attempt), (lost.id, 2));
}

pub async fn one_dead_receiver_does_not_block_the_others(store: Shared) {
    let dead = SignUp { confirm: false, ..sign_up(1, "dead@example.com", "TSLA") };
    ask(&store, &dead, UNLIMITED, at(-3600)).await;
    subscribed(&store, 2, "AAPL", at(-3600)).await;
    subscribed(&store, 3, "AAPL", at(-3600)).await;
    let queue = (0..10_000).map(|n| AlertChange::Raised(alert("TSLA", MINUTE.plus_minutes(n))));
    assert_eq!(store.commit(&alerts_of(queue), at(0)).await.unwrap().deliveries, 10_000);
    store.commit(&alerts_of([AlertChange::Raised(alert("AAPL", MINUTE))]), at(1)).await.unwrap();
    let claimed = store.claim(at(2), at(32), Rooms::for_anybody(16), PLENTY).await.unwrap();
    let of_dead = claimed.iter().filter(|one| one.subscription.id == dead.id).count();
    assert_eq!((of_dead, claimed.len()), (4, 6));
    assert!(store.claim(at(3), at(33), Rooms::for_anybody(16), PLENTY).await.unwrap().is_empty());
    // One that ends makes room for one; and those that never end, when their leases run out.
    let one = claimed.iter().find(|one| one.subscription.id == dead.id).unwrap();
    assert!(settle(&store, one, Outcome::RetryAt(at(10), Failure::other("timed out")), at(4)).await);
    assert_eq!(store.claim(at(5), at(35), Rooms::for_anybody(16), PLENTY).await.unwrap().len(), 1);
    store
        .commit(&alerts_of([AlertChange::Raised(alert("AAPL", MINUTE.plus_minutes(1)))]), at(6))
        .await
        .unwrap();
    assert_eq!(store.claim(at(7), at(37), Rooms::for_anybody(16), PLENTY).await.unwrap().len(), 2);
    assert_eq!(store.claim(at(40), at(70), Rooms::for_anybody(16), PLENTY).await.unwrap().len(), 8);
}

/// Two places at a host for each of two kinds of hosts, of four places in all.
const FEW: PlaceLimits = PlaceLimits {
    places: 4,
    kept_for_quick: 1,
    slow_together: 1,
    of_host: HostLimits { quick: 2, new: 2, slow: 1 },
    slow_from: Some(Duration::from_secs(2)),
};

/// Signs each up, and owes them an alert, one after the other.
async fn owed_in_order(store: &Shared, receivers: &[String]) {
    for (n, receiver) in (1_i32..).zip(receivers) {
        let asked = SignUp { confirm: false, ..sign_up(n as u16, receiver, "TSLA") };
        assert_eq!(
            store.subscribe(slice::from_ref(&asked), UNLIMITED, at(-3600)).await.unwrap(),
            SignedUp::Taken
        );
    }
    let alert = AlertChange::Raised(alert("TSLA", MINUTE));
    let committed = store.commit(&alerts_of([alert]), at(0)).await.unwrap();
    assert_eq!(committed.deliveries, receivers.len() as u64);
}

/// Whom a claim hands deliveries out to, by host.
async fn hosts_claimed(store: &Shared, rooms: Rooms, now: i64) -> Vec<String> {
    let claimed = store.claim(at(now), at(now + 30), rooms, PLENTY).await.unwrap();
    let mut hosts: Vec<String> = claimed.iter().map(|one| one.subscription.channel.host()).collect();
    hosts.sort();
    hosts
}

pub async fn channels_have_places_of_their_own_and_one_host_has_few(store: Shared) {
    let paths = (0..80).map(|n| format!("https://slow.example/{n}"));
    let others =
        ["https://slow.example:8443/1", "http://slow.example/1", "ada@example.com", "bob@Example.com"];
    let receivers: Vec<String> = paths.chain(others.map(str::to_owned)).collect();
    owed_in_order(&store, &receivers).await;
    let room = Places::new(PlaceLimits { places: 80, ..FEW }).room(Duration::ZERO);
    let rooms = Rooms { mail: room.clone(), webhooks: room };
    let expected = [
        "example.com",
        "example.com",
        "http://slow.example",
        "https://slow.example",
        "https://slow.example",
        "https://slow.example:8443",
    ];
    assert_eq!(hosts_claimed(&store, rooms, 1).await, expected);
    // No mail has a place where there is none for mails, whatever there is for webhooks; nor the other way
    // round.
    let rooms = Rooms { mail: Room::for_anybody(0), webhooks: Room::for_anybody(3) };
    assert_eq!(hosts_claimed(&store, rooms, 2).await, ["https://slow.example"; 3]);
    // What had no place was not handed out: its attempts are yet to come.
    let rest = store.claim(at(3), at(33), Rooms::for_anybody(1000), PLENTY).await.unwrap();
    assert!(rest.len() == 75 && rest.iter().all(|delivery| delivery.attempt == 1), "{}", rest.len());
}

pub async fn hosts_without_a_place_are_passed_over(store: Shared) {
    let hosts = ["slow", "full", "quick", "new"].map(|host| format!("https://{host}.example"));
    let receivers: Vec<String> =
        (0..3).flat_map(|n| hosts.iter().map(move |host| format!("{host}/{n}"))).collect();
    owed_in_order(&store, &receivers).await;
    let [slow, full, quick, new] = &hosts;
    let second = Duration::from_secs(1);
    let mut places = Places::new(PlaceLimits { places: 8, kept_for_quick: 2, slow_together: 2, ..FEW });
    for (host, lasts) in [(slow, 19 * second), (quick, second)] {
        places.begin(host, Duration::ZERO);
        places.end(host, Duration::ZERO, lasts, true);
    }
    for host in [full, full, slow] {
        places.begin(host, 20 * second);
    }
    let rooms = |places: &Places| Rooms { mail: Room::for_anybody(9), webhooks: places.room(20 * second) };
    assert_eq!(hosts_claimed(&store, rooms(&places), 1).await, [new, new, quick, quick].map(String::as_str));
    // All that is left for hosts that are not known to be quick is taken.
    for host in [new, new, "https://other.example"] {
        places.begin(host, 20 * second);
    }
    assert_eq!(hosts_claimed(&store, rooms(&places), 2).await, [quick.as_str()]);
    assert_eq!(hosts_claimed(&store, rooms(&places), 3).await, [""; 0]);
}

pub async fn unsubscribing_cancels_what_is_owed(store: Shared) {
    let (_, sign_up) = one_enqueued(&store).await;
    let ended = store.unsubscribe(&sign_up.hashes.unsubscribe, false, at(1)).await.unwrap().unwrap();
    assert_eq!((ended.id, ended.status), (sign_up.id, SubscriptionStatus::Unsubscribed));
    assert_eq!(outbox(&store).await, (0, 0, 0, 0, 1));
    assert!(claim_all(&store, at(2)).await.is_empty());
    let again = store.unsubscribe(&sign_up.hashes.unsubscribe, false, at(9)).await.unwrap().unwrap();
    assert_eq!(again, ended);
    assert_eq!(status(&store, &sign_up).await, Some(SubscriptionStatus::Unsubscribed));
    // Nor is a new alert enqueued.
    let batch = alerts_of([AlertChange::Raised(alert("TSLA", MINUTE.plus_minutes(1)))]);
    assert_eq!(store.commit(&batch, at(60)).await.unwrap().deliveries, 0);
}

pub async fn a_claim_hands_out_nothing_of_an_ended_subscription(store: Shared) {
    let (_, sign_up) = one_enqueued(&store).await;
    // Under way while it ends, so unsubscribing leaves it; then it comes back.
    let delivery = claim_one(&store, at(1)).await;
    store.unsubscribe(&sign_up.hashes.unsubscribe, false, at(2)).await.unwrap().unwrap();
    assert_eq!(outbox(&store).await, (1, 0, 0, 0, 0));
    assert!(settle(&store, &delivery, Outcome::RetryAt(at(5), Failure::other("451")), at(3)).await);
    assert!(claim_all(&store, at(6)).await.is_empty());
    assert_eq!(outbox(&store).await, (0, 0, 0, 0, 1));
}

pub async fn a_delivery_under_way_when_its_subscription_ends_may_still_settle(store: Shared) {
    let (_, sign_up) = one_enqueued(&store).await;
    let delivery = claim_one(&store, at(1)).await;
    store.unsubscribe(&sign_up.hashes.unsubscribe, false, at(2)).await.unwrap().unwrap();
    assert!(settle(&store, &delivery, Outcome::Sent, at(3)).await);
    assert_eq!(outbox(&store).await, (0, 1, 0, 0, 0));
}

pub async fn what_was_not_tried_gives_its_attempt_back(store: Shared) {
    let (_, _) = one_enqueued(&store).await;
    let first = left_alone(&store, 30, 1).await;
    for n in 1..5 {
        assert!(claim_all(&store, at(30 * n - 1)).await.is_empty());
        let again = left_alone(&store, 30 * (n + 1), 30 * n).await;
        assert_eq!((again.id, again.attempt), (first.id, 1));
    }
    let tried = claim_one(&store, at(150)).await;
    assert_eq!((tried.id, tried.attempt), (first.id, 1));
    assert!(!settle(&store, &first, Outcome::Sent, at(151)).await, "an earlier claim");
    assert!(settle(&store, &tried, Outcome::RetryAt(at(160), Failure::other("451")), at(151)).await);
    let again = left_alone(&store, 170, 160).await;
    assert_eq!(again.attempt, 2);
    assert_eq!(claim_one(&store, at(170)).await.attempt, 2);
}

pub async fn what_was_not_tried_expires_in_time(store: Shared) {
    let (_, _) = one_enqueued(&store).await;
    left_alone(&store, DeliveryKind::Alert.lifetime_seconds(), 1).await;
    assert_eq!(outbox(&store).await, (0, 0, 0, 1, 0));
}

pub async fn what_was_not_tried_keeps_the_reason_of_its_failure(store: Shared) {
    let (_, _) = one_enqueued(&store).await;
    left_alone(&store, 30, 1).await;
    let query = DeliveryQuery { state: DeliveryState::Pending, address: None, after: None, limit: 9 };
    let stands = async || {
        let one = store.deliveries(&query).await.unwrap().remove(0);
        (one.attempts, one.reason.unwrap(), one.failure)
    };
    let waits_for = async |now| store.deliveries(&query).await.unwrap()[0].waits_for(now);
    assert_eq!(stands().await, (0, "it is left alone".to_owned(), None));
    let tried = claim_one(&store, at(30)).await;
    assert_eq!(waits_for(at(30)).await, Some(WaitsFor::Answer));
    let refused = Failure::new(FailureKind::Refused(Some(503)), "it answered 503");
    assert!(settle(&store, &tried, Outcome::RetryAt(at(40), refused.clone()), at(31)).await);
    assert_eq!(waits_for(at(39)).await, Some(WaitsFor::Retry));
    assert_eq!(waits_for(at(40)).await, Some(WaitsFor::Turn));
    left_alone(&store, 50, 40).await;
    assert_eq!(stands().await, (1, refused.reason.clone(), Some(refused.kind)));
    left_alone(&store, DAY, 50).await;
    let query = DeliveryQuery { state: DeliveryState::Expired, address: None, after: None, limit: 9 };
    let expired = store.deliveries(&query).await.unwrap().remove(0);
    assert_eq!(expired.waits_for(at(DAY)), None);
    assert_eq!((expired.reason, expired.failure), (Some(refused.reason), Some(refused.kind)));
}

pub async fn failures_of_every_kind_come_back(store: Shared) {
    use FailureKind::*;
    subscribed(&store, 1, "TSLA", at(-3600)).await;
    let kinds =
        [Refused(Some(550)), Refused(None), GreetingRefused, Unreachable, TimedOut, BrokeOff, Blocked, Other];
    for (n, kind) in (0..).zip(kinds) {
        raise(&store, "TSLA", n, at(i64::from(n))).await;
        let claimed = claim_one(&store, at(i64::from(n))).await;
        // Not three refusals in a row.
        let outcome = Outcome::RetryAt(claimed.expires_at, Failure::new(kind, "said"));
        assert!(settle(&store, &claimed, outcome, at(i64::from(n))).await);
    }
    let query = DeliveryQuery { state: DeliveryState::Expired, address: None, after: None, limit: 9 };
    let listed = store.deliveries(&query).await.unwrap();
    let listed: Vec<_> = listed.into_iter().rev().map(|one| one.failure.unwrap()).collect();
    assert_eq!(listed, kinds);
}

pub async fn three_refusals_in_a_row_suppress_an_address_for_a_month(store: Shared) {
    let refused = || Outcome::Failed(Failure::other("550 no such user"));
    // Of all its subscriptions together, whatever was sent: the third is a confirmation.
    let limits = SignUpLimits::default();
    let asked = SignUp { confirm: false, ..sign_up(1, "Ada@example.com", "TSLA") };
    ask(&store, &asked, limits, at(-3600)).await;
    assert!(answered(&store, 0, refused(), at(0)).await);
    assert!(answered(&store, 1, refused(), at(60)).await);
    assert!(ask(&store, &sign_up(2, "ada@EXAMPLE.com", "AAPL"), limits, at(70)).await);
    store
        .commit(&alerts_of([AlertChange::Raised(alert("TSLA", MINUTE.plus_minutes(2)))]), at(80))
        .await
        .unwrap();
    let mails = claim_all(&store, at(80)).await;
    let [waiting, mail] = &mails[..] else { panic!("{mails:?}") };
    let (waiting, mail) =
        if mail.kind == DeliveryKind::Confirmation { (waiting, mail) } else { (mail, waiting) };
    assert!(settle(&store, waiting, Outcome::RetryAt(at(90), Failure::other("451")), at(81)).await);
    assert!(settle(&store, mail, refused(), at(82)).await);

    // What is owed already is cancelled, and nothing more is enqueued.
    assert!(claim_all(&store, at(100)).await.is_empty());
    assert_eq!(outbox(&store).await, (0, 0, 3, 0, 1));
    for seconds in [120, 29 * DAY, 30 * DAY + 81] {
        assert!(!answered(&store, 3 + seconds as i32 / 60, Outcome::Sent, at(seconds)).await);
        let asked = sign_up(3, "ada@example.com", "MSFT");
        assert!(!ask(&store, &asked, limits, at(seconds)).await);
    }
    // A month later it is written to again; one more refusal is enough, one success is a new beginning.
    let month = 30 * DAY + 82;
    assert!(answered(&store, 100_000, refused(), at(month)).await);
    assert!(!answered(&store, 100_001, Outcome::Sent, at(month + 60)).await);
    assert!(answered(&store, 100_002, Outcome::Sent, at(2 * month)).await);
    assert!(answered(&store, 100_003, refused(), at(2 * month + 60)).await);
    assert!(answered(&store, 100_004, Outcome::Sent, at(2 * month + 120)).await);
}

pub async fn only_refusals_in_a_row_suppress_an_address(store: Shared) {
    subscribed(&store, 1, "TSLA", at(-3600)).await;
    let refused = || Outcome::Failed(Failure::other("550"));
    let outcomes = [refused(), refused(), Outcome::Sent, refused(), refused(), Outcome::Sent, refused()];
    for (n, outcome) in (0..).zip(outcomes) {
        assert!(answered(&store, n, outcome, at(60 * i64::from(n))).await, "number {n}");
    }
    // What expired says nothing of the address, neither for it nor against it.
    let expired = Outcome::RetryAt(Timestamp::MAX, Failure::other("451"));
    for n in 7..12 {
        assert!(answered(&store, n, expired.clone(), at(60 * i64::from(n))).await, "number {n}");
    }
    assert!(answered(&store, 12, refused(), at(720)).await);
    // Others are not concerned.
    subscribed(&store, 2, "AAPL", at(-3600)).await;
    assert!(answered(&store, 13, refused(), at(780)).await);
    assert!(!answered(&store, 14, refused(), at(840)).await, "the third in a row");
    let other = alerts_of([AlertChange::Raised(alert("AAPL", MINUTE.plus_minutes(15)))]);
    assert_eq!(store.commit(&other, at(900)).await.unwrap().deliveries, 1);
}

pub async fn a_receiver_that_is_gone_ends_its_subscription_only(store: Shared) {
    let hook = "https://example.com/hook?key=ada";
    let gone = SignUp { confirm: false, ..sign_up(1, hook, "TSLA") };
    let stays = SignUp { confirm: false, ..sign_up(2, hook, "AAPL") };
    for asked in [&gone, &stays] {
        ask(&store, asked, UNLIMITED, at(-3600)).await;
    }
    for message in claim_all(&store, at(-3600)).await {
        settle(&store, &message, Outcome::Sent, at(-3600)).await;
    }
    for n in [0, 1] {
        let batch = ["TSLA", "AAPL"].map(|name| AlertChange::Raised(alert(name, MINUTE.plus_minutes(n))));
        store.commit(&alerts_of(batch), at(0)).await.unwrap();
    }
    let of_gone: Vec<Delivery> = claim_all(&store, at(1))
        .await
        .into_iter()
        .filter(|one| one.kind == DeliveryKind::Alert && one.subscription.id == gone.id)
        .collect();
    let [first, second] = &of_gone[..] else { panic!("{of_gone:?}") };
    assert!(settle(&store, first, Outcome::Gone(Failure::other("410")), at(2)).await);
    assert_eq!(status(&store, &gone).await, Some(SubscriptionStatus::Disabled));
    assert_eq!(status(&store, &stays).await, Some(SubscriptionStatus::Active));
    // What was under way ends by itself; nothing more is owed or handed out.
    assert!(settle(&store, second, Outcome::RetryAt(at(5), Failure::other("503")), at(3)).await);
    let next = ["TSLA", "AAPL"].map(|name| AlertChange::Raised(alert(name, MINUTE.plus_minutes(2))));
    assert_eq!(store.commit(&alerts_of(next), at(4)).await.unwrap().deliveries, 1);
    assert!(claim_all(&store, at(100)).await.iter().all(|one| one.subscription.id == stays.id));
    assert_eq!(store.outbox().await.unwrap().failed, 1);
    // It has ended like any other: not confirmed, not unsubscribed, but signed up for anew and forgotten in
    // time.
    let ended = store.unsubscribe(&gone.hashes.unsubscribe, false, at(5)).await.unwrap().unwrap();
    assert_eq!(ended.status, SubscriptionStatus::Disabled);
    let confirmed = store.confirm(&gone.hashes.confirm, &Choice::Everything, at(5)).await.unwrap();
    assert!(matches!(confirmed, Confirmed::Ended(_)), "{confirmed:?}");
    let anew = SignUp { confirm: false, ..sign_up(3, hook, "TSLA") };
    ask(&store, &anew, UNLIMITED, at(6)).await;
    assert_eq!(status(&store, &anew).await, Some(SubscriptionStatus::Active));
    forget(&store, 30 * DAY + 3, 100).await;
    assert_eq!(status(&store, &gone).await, None);
    assert_eq!(status(&store, &anew).await, Some(SubscriptionStatus::Active));
}

pub async fn a_retraction_does_not_follow_to_a_receiver_that_is_gone(store: Shared) {
    let (raised, _) = one_enqueued(&store).await;
    let first = claim_one(&store, at(1)).await;
    assert!(settle(&store, &first, Outcome::RetryAt(at(10), Failure::other("503")), at(2)).await);
    let second = claim_one(&store, at(10)).await;
    assert_eq!(retract(&store, &raised, at(11)).await, 0);
    assert!(settle(&store, &second, Outcome::Gone(Failure::other("410")), at(12)).await);
    assert!(claim_all(&store, at(100)).await.is_empty());
    assert_eq!(outbox(&store).await, (0, 0, 1, 0, 0));
}
