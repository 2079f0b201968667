//! How much may be in force.

use super::*;

/// A sign-up that is active at once, by an own rule.
fn at_once(n: u16, receiver: &str, name: &str, rule: RuleName) -> SignUp {
    SignUp { confirm: false, rule, ..sign_up(n, receiver, name) }
}

fn beyond<T: fmt::Debug>(result: Result<T, StoreError>) -> LimitExceeded {
    match result {
        Err(StoreError::BeyondLimit(limit)) => limit,
        other => panic!("not beyond a limit: {other:?}"),
    }
}

/// Confirms all that waits for a sign-up's receiver: how many became active, and why others did not.
async fn confirm_all(store: &Shared, sign_up: &SignUp) -> (usize, Vec<LimitExceeded>) {
    let confirmed = store.confirm(&sign_up.hashes.confirm, &Choice::Everything, at(60)).await.unwrap();
    let Confirmed::Settled { activated, refused, .. } = confirmed else { panic!("{confirmed:?}") };
    (activated.len(), refused.into_iter().map(|(_, limit)| limit).collect())
}

pub async fn what_a_receiver_has_active_is_limited(store: Shared) {
    store.hold_to(SubscriptionLimits { per_receiver: 3, rules_per_receiver: 2, ..Default::default() });
    let subscribe =
        async |sign_up: &SignUp| store.subscribe(slice::from_ref(sign_up), UNLIMITED, at(0)).await;
    let first = at_once(1, ADA, "TSLA", own(1));
    subscribe(&first).await.unwrap();
    subscribe(&at_once(2, "Ada@Example.com", "AAPL", own(2))).await.unwrap();
    let third = at_once(3, ADA, "NVDA", own(3));
    assert_eq!(beyond(subscribe(&third).await), LimitExceeded::RulesPerReceiver(2));
    assert_eq!(status(&store, &third).await, None, "a trace of what was refused");
    // A rule it has, on another symbol; then nothing more, whatever the rule.
    subscribe(&at_once(4, ADA, "NVDA", own(1))).await.unwrap();
    let house = SignUp { confirm: false, ..sign_up(5, ADA, "MSFT") };
    assert_eq!(beyond(subscribe(&house).await), LimitExceeded::PerReceiver(3));
    subscribe(&at_once(6, "bob@example.com", "MSFT", own(3))).await.unwrap();

    // Who confirms is held to the same, for each, and can once there is room.
    let asked = [sign_up(7, ADA, "GOOG"), sign_up(8, ADA, "META")];
    for one in &asked {
        ask(&store, one, UNLIMITED, at(0)).await;
    }
    let full = LimitExceeded::PerReceiver(3);
    assert_eq!(confirm_all(&store, &asked[0]).await, (0, vec![full; 2]));
    store.unsubscribe(&first.hashes.unsubscribe, false, at(2)).await.unwrap();
    assert_eq!(confirm_all(&store, &asked[0]).await, (1, vec![full]));
    let mut statuses = [status(&store, &asked[0]).await, status(&store, &asked[1]).await];
    statuses.sort_by_key(|one| one.map(SubscriptionStatus::as_str));
    assert_eq!(statuses, [Some(SubscriptionStatus::Active), Some(SubscriptionStatus::Pending)]);

    // And who changes a rule, of which there come to be no more subscriptions.
    let change = |rule| SubscriptionChange { rule: Some(rule), ..Default::default() };
    let second = at_once(2, ADA, "AAPL", own(2));
    amend(&store, &second, change(own(9)), at(3)).await;
    store.hold_to(SubscriptionLimits { per_receiver: 1, rules_per_receiver: 1, ..Default::default() });
    let amended = store.amend(&second.hashes.manage, &change(own(10)), at(3)).await;
    assert_eq!(beyond(amended), LimitExceeded::RulesPerReceiver(1));
    amend(&store, &second, change(own(1)), at(3)).await;
}

pub async fn own_rules_in_force_are_limited_and_shared(store: Shared) {
    store.hold_to(SubscriptionLimits { rules: 2, ..Default::default() });
    let subscribe =
        async |sign_up: &SignUp| store.subscribe(slice::from_ref(sign_up), UNLIMITED, at(0)).await;
    subscribe(&at_once(1, "s1@example.com", "TSLA", own(1))).await.unwrap();
    let last = at_once(2, "s2@example.com", "TSLA", own(2));
    subscribe(&last).await.unwrap();
    for (sign_up, is_beyond) in [
        (at_once(3, "s3@example.com", "TSLA", own(3)), true),
        // Another symbol or metric is judged, too.
        (at_once(4, "s4@example.com", "AAPL", own(1)), true),
        (SignUp { metric: Metric::Price, ..at_once(5, "s5@example.com", "TSLA", own(1)) }, true),
        // What is judged already costs nothing, and what the house has judged neither.
        (at_once(6, "s6@example.com", "TSLA", own(1)), false),
        (SignUp { confirm: false, ..sign_up(7, "s7@example.com", "TSLA") }, false),
        // Who has to confirm learns it at once.
        (SignUp { confirm: true, ..at_once(8, "s8@example.com", "TSLA", own(3)) }, true),
        (SignUp { confirm: true, ..at_once(9, "s9@example.com", "TSLA", own(2)) }, false),
    ] {
        let answer = subscribe(&sign_up).await;
        if is_beyond {
            assert_eq!(beyond(answer), LimitExceeded::Rules(2), "{sign_up:?}");
        } else {
            answer.unwrap();
        }
    }
    // A rule may take the place of the one it replaces.
    let change = SubscriptionChange { rule: Some(own(5)), ..Default::default() };
    amend(&store, &last, change, at(1)).await;
    store.unsubscribe(&last.hashes.unsubscribe, false, at(2)).await.unwrap();
    subscribe(&at_once(10, "s10@example.com", "AAPL", own(7))).await.unwrap();
    assert_eq!(store.watched().await.unwrap().watches.len(), 2);
}

pub async fn a_rule_of_the_houses_is_counted_for_nobody(store: Shared) {
    let RuleName::Own(rule) = own(1) else { panic!("not an own rule") };
    let house = vec![Watch { rule, metric: Metric::Volume }];
    let limits = SubscriptionLimits { rules_per_receiver: 1, house, ..Default::default() };
    store.hold_to(limits.clone());
    let subscribe =
        async |sign_up: &SignUp| store.subscribe(slice::from_ref(sign_up), UNLIMITED, at(0)).await;
    for (n, name) in (0..).zip(["TSLA", "AAPL", "NVDA"]) {
        subscribe(&at_once(n, ADA, name, own(1))).await.unwrap();
    }
    subscribe(&at_once(7, ADA, "TSLA", own(2))).await.unwrap();
    let more = subscribe(&at_once(8, ADA, "TSLA", own(3))).await;
    assert_eq!(beyond(more), LimitExceeded::RulesPerReceiver(1));
    store.hold_to(SubscriptionLimits { rules: 1, ..limits });
    let more = subscribe(&at_once(9, "bob@example.com", "TSLA", own(3))).await;
    assert_eq!(beyond(more), LimitExceeded::Rules(1));
    subscribe(&at_once(10, "bob@example.com", "MSFT", own(1))).await.unwrap();
}

pub async fn a_sign_up_tells_of_no_receivers_limits(store: Shared) {
    store.hold_to(SubscriptionLimits { per_receiver: 1, rules_per_receiver: 1, ..Default::default() });
    store.subscribe(slice::from_ref(&at_once(1, ADA, "TSLA", own(1))), UNLIMITED, at(0)).await.unwrap();
    for (n, receiver) in [(2, ADA), (3, "stranger@example.com")] {
        let asked = SignUp { rule: own(2), ..sign_up(n, receiver, "NVDA") };
        assert!(ask(&store, &asked, UNLIMITED, at(1)).await, "{receiver}");
    }
}

pub async fn sign_ups_at_the_same_time_do_not_pass_a_limit(store: Shared) {
    store.hold_to(SubscriptionLimits { rules: 5, ..Default::default() });
    // Different receivers, different rules.
    let mut asking = Vec::new();
    for n in 0..20 {
        let store = Arc::clone(&store);
        asking.push(tokio::spawn(async move {
            let one = at_once(n, &format!("s{n}@example.com"), "TSLA", own(n));
            store.subscribe(slice::from_ref(&one), UNLIMITED, at(0)).await
        }));
    }
    let mut refused = 0;
    for asked in asking {
        match asked.await.unwrap() {
            Ok(_) => {}
            other => {
                assert_eq!(beyond(other), LimitExceeded::Rules(5));
                refused += 1;
            }
        }
    }
    assert_eq!((refused, active(&store).await), (15, 5));
}

pub async fn confirmations_at_the_same_time_do_not_pass_a_limit(store: Shared) {
    store.hold_to(SubscriptionLimits { per_receiver: 3, rules: 7, ..Default::default() });
    // Four receivers of five pending each, all by rules of their own.
    let asked: Vec<SignUp> = (0..20)
        .map(|n| SignUp { rule: own(n), ..sign_up(n, &format!("s{}@example.com", n % 4), "TSLA") })
        .collect();
    for one in &asked {
        ask(&store, one, UNLIMITED, at(1)).await;
    }
    let mut confirming = Vec::new();
    for one in asked {
        let store = Arc::clone(&store);
        let choice = Choice::Ticked { ticked: vec![one.id], shown: vec![one.id] };
        confirming
            .push(tokio::spawn(async move { store.confirm(&one.hashes.confirm, &choice, at(2)).await }));
    }
    for one in confirming {
        let confirmed = one.await.unwrap().unwrap();
        let Confirmed::Settled { activated, refused, .. } = confirmed else { panic!("{confirmed:?}") };
        assert_eq!(activated.len() + refused.len(), 1);
    }
    assert_eq!(active(&store).await, 7);
    let all = store.subscriptions(&SubscriptionQuery { limit: 99, ..Default::default() }).await.unwrap();
    for receiver in 0..4 {
        let key = format!("s{receiver}@example.com");
        let of_receiver =
            all.iter().filter(|one| one.channel.key() == key && one.status == SubscriptionStatus::Active);
        assert!(of_receiver.count() <= 3);
    }
}
