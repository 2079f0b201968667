//! Alerts: raised once, listed, and told apart by who may read them.

use super::*;

pub async fn raising_an_alert_twice_keeps_the_first(store: Shared) {
    let (first, _) = one_enqueued(&store).await;
    let second = Alert { value: 1, revision: 9, occurrences: Vec::new(), ..first.clone() };
    let before = store.sequence().await.unwrap();
    let committed = store.commit(&alerts_of([AlertChange::Raised(second)]), at(5)).await.unwrap();
    assert_eq!(committed, Committed { sequence: before, deliveries: 0 });
    assert_eq!(store.alert(first.id).await.unwrap(), Some(first));
}

pub async fn an_alert_is_known_by_its_minute_whatever_its_id(store: Shared) {
    let (first, _) = one_enqueued(&store).await;
    let sent = claim_one(&store, at(1)).await;
    assert!(settle(&store, &sent, Outcome::Sent, at(2)).await);
    // As after a symbol got another spelling: the same minute derives another id.
    let renamed =
        Alert { id: AlertId::derive("spike", symbol("X"), Metric::Volume, MINUTE), ..first.clone() };
    let more =
        vec![Occurrence { start: MINUTE, value: 1 }, Occurrence { start: MINUTE.plus_minutes(1), value: 2 }];
    let counted = Alert { occurrences: more.clone(), ..renamed.clone() };
    let again = alerts_of([AlertChange::Raised(renamed.clone()), AlertChange::Counted(counted)]);
    assert_eq!(store.commit(&again, at(5)).await.unwrap().deliveries, 0, "told twice");
    let stored = Alert { occurrences: more, ..first.clone() };
    assert_eq!(store.alert(first.id).await.unwrap(), Some(stored.clone()));
    assert_eq!(store.alert(renamed.id).await.unwrap(), None);
    let query = AlertQuery { limit: 9, ..AlertQuery::default() };
    assert_eq!(store.alerts(query).await.unwrap(), [stored]);

    let batch = alerts_of([AlertChange::Retracted(retracted(&renamed))]);
    assert_eq!(store.commit(&batch, at(6)).await.unwrap().deliveries, 1);
    assert_eq!(store.commit(&batch, at(7)).await.unwrap().deliveries, 0, "retracted twice");
    let follow_up = claim_one(&store, at(8)).await;
    assert_eq!((follow_up.kind, follow_up.subscription.id), (DeliveryKind::Retraction, sent.subscription.id));
    assert_eq!(follow_up.alert.map(|alert| (alert.id, alert.state)), Some((first.id, AlertState::Retracted)));
    // Retracted for good, by either id.
    for alert in [first, renamed] {
        assert_eq!(
            store.commit(&alerts_of([AlertChange::Raised(alert)]), at(9)).await.unwrap().deliveries,
            0
        );
    }
}

pub async fn counting_changes_only_the_occurrences_of_a_stored_alert(store: Shared) {
    let (first, _) = one_enqueued(&store).await;
    let occurrences = vec![
        Occurrence { start: MINUTE, value: 151_234 },
        Occurrence { start: MINUTE.plus_minutes(3), value: i128::MAX },
        Occurrence { start: Second::MIN, value: i64::MIN.into() },
    ];
    let counted = Alert { value: 1, revision: 9, occurrences: occurrences.clone(), ..first.clone() };
    let unknown = alert("AAPL", MINUTE);
    let batch = alerts_of([AlertChange::Counted(counted), AlertChange::Counted(unknown.clone())]);
    let committed = store.commit(&batch, at(5)).await.unwrap();
    assert_eq!(committed, Committed { sequence: Sequence(2), deliveries: 0 });
    assert_eq!(store.alert(first.id).await.unwrap(), Some(Alert { occurrences, ..first }));
    assert_eq!(store.alert(unknown.id).await.unwrap(), None);
}

pub async fn alerts_come_back_with_any_rule_and_evidence(store: Shared) {
    let cases: [(&str, Metric, Evidence); 8] = [
        ("spike", Metric::Volume, Evidence::Average { sum: i128::MAX, bars: u32::MAX }),
        ("spike ratio=4 window=30m", Metric::Price, Evidence::Average { sum: 0, bars: 0 }),
        (
            "zscore z=4",
            Metric::Price,
            Evidence::Deviation { sum: i64::MIN.into(), squares: qqq_core::U256::MAX, bars: 30 },
        ),
        ("move percent=2", Metric::Price, Evidence::Origin { value: 1, start: MINUTE.plus_minutes(-60) }),
        ("cross above=200", Metric::Price, Evidence::Crossing { level: 200_000_000_000, before: -1 }),
        ("time_of_day ratio=4", Metric::Volume, Evidence::Median { twice: 3, sessions: 20 }),
        ("time_of_day ratio=4", Metric::Notional, Evidence::Median { twice: i128::MAX, sessions: 20 }),
        ("cross below=200", Metric::Notional, Evidence::Crossing { level: 200, before: i128::MAX }),
    ];
    let alerts = cases.map(|(rule, metric, evidence)| {
        let rule: RuleName = rule.parse().unwrap();
        let id = AlertId::derive(rule, symbol("TSLA"), metric, MINUTE);
        let house = SpikeRule { window: 30, ..SpikeRule::default() };
        // Of dollars that changed hands, more than 64 bits.
        let value = if metric == Metric::Notional { i128::MAX } else { 151_234 };
        Alert { id, rule: rule.whole(house), metric, evidence, value, ..alert("TSLA", MINUTE) }
    });
    let batch = alerts_of(alerts.iter().cloned().map(AlertChange::Raised));
    let first = store.commit(&batch, at(0)).await.unwrap();
    for alert in &alerts {
        assert_eq!(store.alert(alert.id).await.unwrap().as_ref(), Some(alert));
    }
    assert_eq!(store.changes(Sequence(0), 100).await.unwrap().alerts.len(), alerts.len());
    assert_eq!(store.commit(&batch, at(1)).await.unwrap(), Committed { deliveries: 0, ..first });
}

pub async fn an_alert_concerns_only_subscriptions_of_its_own_rule(store: Shared) {
    let house = subscribed(&store, 1, "TSLA", at(-3600)).await;
    let own = SignUp { rule: own_rule(), confirm: false, ..sign_up(2, "s1@example.com", "TSLA") };
    ask(&store, &own, UNLIMITED, at(-3600)).await;
    let other = SignUp {
        rule: "zscore z=5".parse().unwrap(),
        confirm: false,
        ..sign_up(3, "s1@example.com", "TSLA")
    };
    ask(&store, &other, UNLIMITED, at(-3600)).await;
    // The same settings written differently are the same wish.
    let again = SignUp {
        rule: "v1 zscore window=30m z=4.0".parse().unwrap(),
        confirm: false,
        ..sign_up(4, "s1@example.com", "TSLA")
    };
    ask(&store, &again, UNLIMITED, at(-3600)).await;
    assert_eq!(status(&store, &again).await, None);

    for (rule, to) in [(RuleName::House, &house), (own_rule(), &own)] {
        let id = AlertId::derive(rule, symbol("TSLA"), Metric::Volume, MINUTE);
        let raised = Alert { id, rule: rule.whole(SpikeRule::default()), ..alert("TSLA", MINUTE) };
        let committed = store.commit(&alerts_of([AlertChange::Raised(raised.clone())]), at(0)).await.unwrap();
        assert_eq!(committed.deliveries, 1);
        let delivery = claim_one(&store, at(1)).await;
        assert_eq!((delivery.subscription.id, delivery.subscription.rule), (to.id, rule));
        assert_eq!(delivery.alert, Some(raised));
    }
}

pub async fn a_retracted_alert_is_never_raised_again(store: Shared) {
    let (first, _) = one_enqueued(&store).await;
    retract(&store, &first, at(1)).await;
    let again = alerts_of([AlertChange::Raised(first.clone())]);
    assert_eq!(store.commit(&again, at(2)).await.unwrap().deliveries, 0);
    assert_eq!(store.alert(first.id).await.unwrap().unwrap().state, AlertState::Retracted);
    // Not even where the store never saw it raised.
    let unseen = alert("TSLA", MINUTE.plus_minutes(5));
    retract(&store, &unseen, at(3)).await;
    let raised = alerts_of([AlertChange::Raised(unseen.clone())]);
    assert_eq!(store.commit(&raised, at(4)).await.unwrap().deliveries, 0);
    assert!(claim_all(&store, at(5)).await.is_empty());
}

/// Many alerts, some of the same minute, newest first.
async fn many_alerts(store: &Shared) -> Vec<Alert> {
    let mut all = Vec::new();
    for n in 0..40 {
        for (m, name) in ["TSLA", "AAPL", "MSFT"].into_iter().enumerate() {
            let mut one = alert(name, MINUTE.plus_minutes(n / 2 * 3));
            if (n + m as i32) % 2 == 0 {
                one.metric = Metric::Price;
            }
            if n % 4 > 1 {
                one.rule = own_rule().whole(SpikeRule::default());
                one.evidence =
                    Evidence::Deviation { sum: 1_262_070, squares: qqq_core::U256::new(1 << 90), bars: 30 };
            }
            one.id = AlertId::derive(one.rule, one.symbol, one.metric, one.start);
            all.push(one);
        }
    }
    all.sort_by_key(|one| std::cmp::Reverse((one.start, one.id)));
    all.dedup();
    let batch = alerts_of(all.iter().cloned().map(AlertChange::Raised));
    store.commit(&batch, at(0)).await.unwrap();
    all
}

pub async fn alerts_are_paged_newest_first_without_gaps_or_repeats(store: Shared) {
    let all = many_alerts(&store).await;
    for limit in [1, 2, 7, 100, 1000] {
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = store.alerts(AlertQuery { after, limit, ..AlertQuery::default() }).await.unwrap();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            after = Some((last.start, last.id));
            seen.extend(page);
            assert!(seen.len() <= all.len(), "pages of {limit} repeat themselves");
        }
        assert_eq!(seen, all, "pages of {limit}");
    }
    assert!(store.alerts(AlertQuery::default()).await.unwrap().is_empty(), "a limit of 0");
}

pub async fn alerts_are_filtered(store: Shared) {
    let all = many_alerts(&store).await;
    let unknown: RuleName = "zscore z=5".parse().unwrap();
    let rules = [None, Some(RuleName::House), Some(own_rule()), Some(unknown)];
    let symbols = [None, Some(symbol("TSLA")), Some(symbol("GOOG"))];
    let metrics = [None, Some(Metric::Price), Some(Metric::Volume)];
    let sinces = [None, Some(MINUTE.plus_minutes(30)), Some(MINUTE.plus_minutes(1000))];
    let every = AlertQuery { limit: 1000, ..AlertQuery::default() };
    let queries = rules
        .into_iter()
        .flat_map(|rule| symbols.map(|symbol| AlertQuery { rule, symbol, ..every }))
        .flat_map(|query| metrics.map(|metric| AlertQuery { metric, ..query }))
        .flat_map(|query| sinces.map(|since| AlertQuery { since, ..query }));
    for query in queries {
        let expected: Vec<Alert> = all
            .iter()
            .filter(|one| query.rule.is_none_or(|rule| one.rule.name() == rule))
            .filter(|one| query.symbol.is_none_or(|symbol| one.symbol == symbol))
            .filter(|one| query.metric.is_none_or(|metric| one.metric == metric))
            .filter(|one| query.since.is_none_or(|since| one.start >= since))
            .cloned()
            .collect();
        assert_eq!(store.alerts(query).await.unwrap(), expected, "{query:?}");
        if let Some(middle) = expected.get(expected.len() / 2) {
            let query = AlertQuery { after: Some((middle.start, middle.id)), ..query };
            assert_eq!(store.alerts(query).await.unwrap(), expected[expected.len() / 2 + 1..]);
        }
    }
    let one = &all[5];
    assert_eq!(store.alert(one.id).await.unwrap().as_ref(), Some(one));
}

/// An alert by a rule of somebody's own.
pub(super) fn private(name: &str, start: Second) -> Alert {
    let id = AlertId::derive(own_rule(), symbol(name), Metric::Volume, start);
    Alert {
        id,
        rule: own_rule().whole(SpikeRule::default()),
        visibility: Visibility::Private,
        ..alert(name, start)
    }
}

/// The sign-up with number `n` for what raises [`private`] alerts, active from `now` on.
async fn subscribed_to_own(store: &Shared, n: u16, name: &str, now: Timestamp) -> Subscription {
    let asked = sign_up(n, &format!("s{n}@example.com"), name);
    let asked = SignUp { confirm: false, rule: own_rule(), ..asked };
    store.subscribe(slice::from_ref(&asked), UNLIMITED, now).await.unwrap();
    store.subscription_of(Purpose::Manage, &asked.hashes.manage).await.unwrap().unwrap()
}

pub async fn alerts_of_own_rules_are_listed_only_for_who_asks_for_them(store: Shared) {
    // A rule may be the house's on one metric and somebody's own on the other.
    let mut all: Vec<Alert> = Vec::new();
    for n in 0..30 {
        let one = alert(["TSLA", "AAPL"][n as usize % 2], MINUTE.plus_minutes(n / 3));
        let metric = if n % 5 == 0 { Metric::Price } else { Metric::Volume };
        let rule = if n % 3 == 0 { RuleName::House } else { own_rule() };
        let visibility = match (rule, metric) {
            (RuleName::Own(_), Metric::Volume) => Visibility::Private,
            _ => Visibility::Public,
        };
        let id = AlertId::derive(rule, one.symbol, metric, one.start);
        all.push(Alert { id, rule: rule.whole(SpikeRule::default()), metric, visibility, ..one });
    }
    all.sort_by_key(|one| std::cmp::Reverse((one.start, one.id)));
    all.dedup_by_key(|one| one.id);
    assert!(all.iter().any(Alert::is_public) && all.iter().any(|one| !one.is_public()));
    store.commit(&alerts_of(all.iter().cloned().map(AlertChange::Raised)), at(0)).await.unwrap();
    for rule in [None, Some(RuleName::House), Some(own_rule())] {
        for symbol in [None, Some(symbol("TSLA"))] {
            for metric in [None, Some(Metric::Price), Some(Metric::Volume)] {
                for private_too in [false, true] {
                    let query =
                        AlertQuery { rule, symbol, metric, private_too, since: None, after: None, limit: 99 };
                    let expected: Vec<Alert> = all
                        .iter()
                        .filter(|one| rule.is_none_or(|rule| one.rule.name() == rule))
                        .filter(|one| symbol.is_none_or(|symbol| one.symbol == symbol))
                        .filter(|one| metric.is_none_or(|metric| one.metric == metric))
                        .filter(|one| private_too || one.is_public())
                        .cloned()
                        .collect();
                    assert_eq!(store.alerts(query).await.unwrap(), expected, "{query:?}");
                }
            }
        }
    }
}

pub async fn rows_hold_alerts_of_own_rules_for_their_subscribers_alone(store: Shared) {
    let from = at(60);
    let mine = subscribed_to_own(&store, 1, "TSLA", from).await;
    let others = subscribed_to_own(&store, 2, "AAPL", from).await;
    let ended = subscribed_to_own(&store, 3, "TSLA", from).await;
    store.disable(&Selection::One(ended.id), from).await.unwrap();
    let ended = Subscription { status: SubscriptionStatus::Disabled, ..ended };
    let active_from = mine.active_from.unwrap();
    let (house, own) = (alert("TSLA", active_from), private("TSLA", active_from));
    let before = private("TSLA", active_from.plus_minutes(-1));
    let raised = [&before, &own, &house].map(|one| AlertChange::Raised(one.clone()));
    let newest = store.commit(&alerts_of(raised), from).await.unwrap().sequence;
    for (audience, expected) in [
        (Audience::Everybody, vec![&house]),
        (Audience::Subscriber(slice::from_ref(&others)), vec![&house]),
        (Audience::Subscriber(slice::from_ref(&ended)), vec![&house]),
        (Audience::Subscriber(slice::from_ref(&mine)), vec![&house, &own]),
    ] {
        let rows = store.rows_after(ChangeCursor::end_of(Sequence(0)), newest, 99, audience).await.unwrap();
        let mut ids: Vec<Key> = rows.iter().map(|row| row.place().key).collect();
        let mut wanted: Vec<Key> = expected.iter().map(|one| Key::Alert(one.id)).collect();
        ids.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(ids, wanted, "{audience:?}");
    }
    // The worker's tail sees all of them.
    assert_eq!(store.changes(Sequence(0), 99).await.unwrap().alerts.len(), 3);
    // Who was told of one may read it by its id; others may not.
    assert!(store.was_owed(own.id, mine.id).await.unwrap());
    assert!(!store.was_owed(before.id, mine.id).await.unwrap());
    assert!(!store.was_owed(own.id, others.id).await.unwrap());
}

pub async fn alerts_of_a_receiver_are_those_of_its_active_subscriptions(store: Shared) {
    let from = at(60);
    let mine = subscribed_to_own(&store, 1, "TSLA", from).await;
    let key = mine.channel.key();
    let house = SignUp {
        confirm: false,
        channel: mine.channel.clone(),
        metric: Metric::Price,
        ..sign_up(9, "x@example.com", "*")
    };
    ask(&store, &house, UNLIMITED, from).await;
    subscribed_to_own(&store, 2, "AAPL", from).await;
    let start = mine.active_from.unwrap();
    let price = |name: &str, n| {
        let one = alert(name, start.plus_minutes(n));
        let id = AlertId::derive("spike", one.symbol, Metric::Price, one.start);
        Alert { id, metric: Metric::Price, ..one }
    };
    let own = [private("TSLA", start), private("TSLA", start.plus_minutes(3))];
    let houses = [price("TSLA", 1), price("AAPL", 2), price("NVDA", 3)];
    let others = [private("TSLA", start.plus_minutes(-1)), private("AAPL", start), alert("TSLA", start)];
    let raised = own.iter().chain(&houses).chain(&others).map(|one| AlertChange::Raised(one.clone()));
    store.commit(&alerts_of(raised), from).await.unwrap();
    let sorted = |alerts: Vec<&Alert>| {
        let mut ids: Vec<(Second, AlertId)> = alerts.iter().map(|one| (one.start, one.id)).collect();
        ids.sort_by_key(|place| std::cmp::Reverse(*place));
        ids
    };
    let everything = ReceiverAlertQuery { limit: 99, ..ReceiverAlertQuery::default() };
    for (query, expected) in [
        (everything, own.iter().chain(&houses).collect()),
        (ReceiverAlertQuery { private_only: true, ..everything }, own.iter().collect::<Vec<_>>()),
        (
            ReceiverAlertQuery { symbol: Some(symbol("TSLA")), ..everything },
            vec![&own[0], &own[1], &houses[0]],
        ),
        (ReceiverAlertQuery { metric: Some(Metric::Price), ..everything }, houses.iter().collect()),
        (ReceiverAlertQuery { since: Some(start.plus_minutes(3)), ..everything }, vec![&own[1], &houses[2]]),
    ] {
        let found = store.alerts_of(&key, query).await.unwrap();
        assert_eq!(sorted(found.iter().collect()), sorted(expected), "{query:?}");
        let mut paged: Vec<Alert> = Vec::new();
        loop {
            let after = paged.last().map(|one| (one.start, one.id));
            let page = store.alerts_of(&key, ReceiverAlertQuery { after, limit: 2, ..query }).await.unwrap();
            let ends = page.len() < 2;
            paged.extend(page);
            if ends {
                break;
            }
        }
        assert_eq!(paged, found, "{query:?}");
    }
    assert_eq!(store.alerts_of("nobody@example.com", everything).await.unwrap(), []);
    assert!(store.was_owed_to(own[0].id, &key).await.unwrap());
    assert!(!store.was_owed_to(own[0].id, "s2@example.com").await.unwrap());
    let mut active = store.active_of(&key).await.unwrap();
    active.sort_by_key(|one| one.id != mine.id);
    assert_eq!(active.iter().map(|one| one.id).collect::<Vec<_>>(), [mine.id, house.id]);
    assert_eq!(store.subscription(mine.id).await.unwrap().as_ref(), active.first());
    // What has ended reads nothing more, though it was told.
    store.unsubscribe(&house.hashes.unsubscribe, true, at(120)).await.unwrap();
    assert_eq!(store.alerts_of(&key, everything).await.unwrap(), []);
    assert_eq!(store.active_of(&key).await.unwrap(), []);
    let live = SubscriptionQuery { address: Some(key), live_only: true, limit: 9, after: None };
    assert_eq!(store.subscriptions(&live).await.unwrap(), []);
    assert_eq!(store.subscriptions(&SubscriptionQuery { live_only: false, ..live }).await.unwrap().len(), 2);
}

pub async fn alerts_of_a_receiver_are_filtered_and_paged(store: Shared) {
    // Of one symbol and of all, by the house's rule and by an own one, over one another, from two times on.
    let receiver = "s1@example.com";
    let asked = [
        ("TSLA", RuleName::House, Metric::Volume, at(60)),
        ("TSLA", own_rule(), Metric::Volume, at(60)),
        ("AAPL", own_rule(), Metric::Price, at(60)),
        ("*", RuleName::House, Metric::Volume, at(600)),
        ("*", own_rule(), Metric::Volume, at(600)),
    ];
    let mut subscriptions = Vec::new();
    for (n, (name, rule, metric, from)) in (1..).zip(asked) {
        let wish = SignUp { confirm: false, rule, metric, ..sign_up(n, receiver, name) };
        ask(&store, &wish, UNLIMITED, from).await;
        let found = store.subscription_of(Purpose::Manage, &wish.hashes.manage).await.unwrap();
        subscriptions.push(found.unwrap());
    }
    let start = subscriptions[0].active_from.unwrap();
    let mut all: Vec<Alert> = Vec::new();
    for n in 0..40 {
        for (name, m) in [("TSLA", 0), ("AAPL", 1), ("NVDA", 2)] {
            let one = alert(name, start.plus_minutes(n / 2 - 3));
            let rule = if n % 2 == 0 { RuleName::House } else { own_rule() };
            let metric = if (n / 2 + m) % 3 == 0 { Metric::Price } else { Metric::Volume };
            // What was the house's rule once, raised public alerts.
            let is_private = n % 2 == 1 && n % 7 > 1;
            let visibility = if is_private { Visibility::Private } else { Visibility::Public };
            let id = AlertId::derive(rule, one.symbol, metric, one.start);
            all.push(Alert { id, rule: rule.whole(SpikeRule::default()), metric, visibility, ..one });
        }
    }
    all.sort_by_key(|one| std::cmp::Reverse((one.start, one.id)));
    store.commit(&alerts_of(all.iter().cloned().map(AlertChange::Raised)), at(700)).await.unwrap();
    let concerns = |one: &Alert| {
        subscriptions.iter().any(|wish| {
            let of_scope = match wish.scope {
                Scope::Symbol(symbol) => symbol == one.symbol,
                Scope::Watchlist => true,
            };
            of_scope
                && (wish.rule, wish.metric) == (one.rule.name(), one.metric)
                && wish.active_from.is_some_and(|from| from <= one.start)
        })
    };
    for symbol in [None, Some(symbol("TSLA")), Some(symbol("NVDA")), Some(symbol("MSFT"))] {
        for metric in [None, Some(Metric::Price), Some(Metric::Volume)] {
            for since in [None, Some(start.plus_minutes(12))] {
                for private_only in [false, true] {
                    let query =
                        ReceiverAlertQuery { symbol, metric, since, private_only, after: None, limit: 999 };
                    let expected: Vec<Alert> = all
                        .iter()
                        .filter(|one| concerns(one))
                        .filter(|one| symbol.is_none_or(|symbol| one.symbol == symbol))
                        .filter(|one| metric.is_none_or(|metric| one.metric == metric))
                        .filter(|one| since.is_none_or(|since| one.start >= since))
                        .filter(|one| !private_only || !one.is_public())
                        .cloned()
                        .collect();
                    assert_eq!(store.alerts_of(receiver, query).await.unwrap(), expected, "{query:?}");
                    let mut after = None;
                    for page in expected.chunks(3) {
                        let query = ReceiverAlertQuery { after, limit: 3, ..query };
                        assert_eq!(store.alerts_of(receiver, query).await.unwrap(), page, "{query:?}");
                        after = page.last().map(|one| (one.start, one.id));
                    }
                }
            }
        }
    }
}

pub async fn a_rule_of_the_houses_makes_its_alerts_public(store: Shared) {
    let all: Vec<Alert> = (0..5).map(|n| private("TSLA", MINUTE.plus_minutes(n))).collect();
    let sequence =
        store.commit(&alerts_of(all.iter().cloned().map(AlertChange::Raised)), at(0)).await.unwrap().sequence;
    assert_eq!(store.publish(own_rule(), Metric::Price, 9).await.unwrap(), 0, "another metric");
    assert_eq!(store.publish(own_rule(), Metric::Volume, 3).await.unwrap(), 3);
    assert_eq!(store.publish(own_rule(), Metric::Volume, 3).await.unwrap(), 2);
    assert_eq!(store.publish(own_rule(), Metric::Volume, 3).await.unwrap(), 0);
    let listed = store.alerts(AlertQuery { limit: 9, ..AlertQuery::default() }).await.unwrap();
    assert!(listed.len() == 5 && listed.iter().all(Alert::is_public));
    assert_eq!(store.sequence().await.unwrap(), sequence, "nothing happened to them");
}

pub async fn alerts_of_own_rules_are_pruned_in_pieces_with_what_told_of_them(store: Shared) {
    let mine = subscribed_to_own(&store, 1, "TSLA", at(-600)).await;
    let all: Vec<Alert> = (0..6).map(|n| private("TSLA", MINUTE.plus_minutes(n))).collect();
    let house = alert("TSLA", MINUTE);
    let raised = all.iter().chain([&house]).map(|one| AlertChange::Raised(one.clone()));
    assert_eq!(store.commit(&alerts_of(raised), at(0)).await.unwrap().deliveries, 6);
    // All but one are settled.
    for delivery in store.claim(at(1), at(30), Rooms::for_anybody(4), PLENTY).await.unwrap() {
        settle(&store, &delivery, Outcome::Sent, at(2)).await;
    }
    for delivery in store.claim(at(3), at(30), Rooms::for_anybody(1), PLENTY).await.unwrap() {
        settle(&store, &delivery, Outcome::Failed(Failure::other("no")), at(4)).await;
    }
    let old = MINUTE.plus_minutes(5);
    let waits = claim_one(&store, at(5)).await.alert.unwrap();
    let first = store.prune_private_alerts(old, 2).await.unwrap();
    assert_eq!(first, 2);
    let mut pruned = first;
    while let more @ 1.. = store.prune_private_alerts(old, 2).await.unwrap() {
        pruned += more;
    }
    let left =
        store.alerts(AlertQuery { private_too: true, limit: 99, ..AlertQuery::default() }).await.unwrap();
    let is_left = |one: &Alert| left.iter().any(|known| known.id == one.id);
    for one in &all {
        assert_eq!(is_left(one), one.start >= old || one.id == waits.id, "{}", one.start);
    }
    assert!(is_left(&house), "the house's stay for good");
    assert_eq!(pruned as usize, all.iter().filter(|one| !is_left(one)).count());
    for one in &all {
        assert_eq!(store.was_owed(one.id, mine.id).await.unwrap(), is_left(one));
    }
    let (pending, sent, failed, _, _) = outbox(&store).await;
    assert_eq!(pending + sent + failed, left.len() as u64 - 1, "the counts are those of what is left");
}

pub async fn what_is_folded_of_an_alert_comes_back(store: Shared) {
    let first = alert("TSLA", MINUTE);
    store.commit(&alerts_of([AlertChange::Raised(first.clone())]), at(0)).await.unwrap();
    let folded = Folded { count: 300, peak: i128::MAX, until: Some(MINUTE.plus_minutes(300)) };
    let counted = Alert { folded, ..first };
    store.commit(&alerts_of([AlertChange::Counted(counted.clone())]), at(1)).await.unwrap();
    assert_eq!(store.alert(counted.id).await.unwrap(), Some(counted.clone()));
    assert_eq!((counted.count(), counted.peak()), (301, i128::MAX));
}
