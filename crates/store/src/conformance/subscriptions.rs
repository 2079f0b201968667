//! Subscriptions: channels, pauses, rules, where they begin.

use super::*;

pub async fn a_webhook_is_subscribed_and_confirmed_like_an_address(store: Shared) {
    let limits = SignUpLimits::default();
    let asked = SignUp {
        rule: own_rule(),
        quiet: Some("22:00-07:00 Europe/Berlin".parse().unwrap()),
        ..sign_up(1, "https://Example.com/hook?key=1", "TSLA")
    };
    assert!(ask(&store, &asked, limits, at(0)).await);
    let message = claim_one(&store, at(1)).await;
    assert_eq!(
        (message.kind, message.id),
        (DeliveryKind::Confirmation, DeliveryId::of_confirmation(asked.id, 1))
    );
    assert_eq!(message.subscription.channel, asked.channel);
    assert_eq!((message.subscription.rule, &message.subscription.quiet), (asked.rule, &asked.quiet));
    // Throttled by the URL without its query; known by the whole of it, in whatever words.
    assert!(!ask(&store, &sign_up(2, "https://example.com/hook?key=2", "TSLA"), limits, at(2)).await);
    assert!(ask(&store, &sign_up(3, "https://example.com/other", "TSLA"), limits, at(2)).await);
    let Channel::Webhook(webhook) = asked.channel.clone() else { panic!("no webhook") };
    let same = SignUp {
        channel: Channel::Webhook(Webhook { format: WebhookFormat::Slack, ..webhook }),
        id: sign_up(4, "x@example.com", "TSLA").id,
        hashes: sign_up(4, "x@example.com", "TSLA").hashes,
        ..asked.clone()
    };
    ask(&store, &same, limits, at(3)).await;
    assert_eq!(status(&store, &same).await, None, "the same wish");
    assert_eq!(confirmed(&store, &asked, at(3)).await.channel, asked.channel);
}

pub async fn a_browser_is_asked_once_for_all_and_told_for_a_day(store: Shared) {
    // Of RFC 8291, appendix A.
    let receiver: PushReceiver = concat!(
        "https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV ",
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4 ",
        "BTBZMqHH6r4Tts7J_aSIgg"
    )
    .parse()
    .unwrap();
    let by_push =
        |n, name| SignUp { channel: Channel::Push(receiver.clone()), ..sign_up(n, "ada@example.com", name) };
    let (first, second) = (by_push(1, "TSLA"), by_push(2, "NVDA"));
    let both = [first.clone(), second];
    assert_eq!(store.subscribe(&both, UNLIMITED, at(-3600)).await.unwrap(), SignedUp::Taken);
    // A webhook of the same address is another receiver.
    ask(&store, &sign_up(3, receiver.endpoint.expose(), "TSLA"), UNLIMITED, at(-3600)).await;
    let asks: Vec<_> = claim_all(&store, at(-3599)).await;
    let to_browser: Vec<_> = asks.iter().filter(|one| one.subscription.channel == first.channel).collect();
    assert_eq!((asks.len(), to_browser.len(), to_browser[0].asked.len()), (2, 1, 2));
    let confirmed = store.confirm(&first.hashes.confirm, &Choice::Everything, at(-3598)).await.unwrap();
    assert!(matches!(confirmed, Confirmed::Settled { activated, .. } if activated.len() == 2));
    store.commit(&alerts_of([AlertChange::Raised(alert("TSLA", MINUTE))]), at(0)).await.unwrap();
    let told = claim_all(&store, at(22 * 3600)).await.into_iter().find(|one| one.alert.is_some()).unwrap();
    assert_eq!((&told.subscription.channel, told.expires_at), (&first.channel, at(DAY)));
    assert!(settle(&store, &told, Outcome::Gone(Failure::other("410")), at(22 * 3600)).await);
    assert_eq!(status(&store, &first).await, Some(SubscriptionStatus::Disabled));
}

pub async fn a_webhook_is_tried_for_a_day(store: Shared) {
    let asked = SignUp { confirm: false, ..sign_up(1, "https://example.com/hook", "TSLA") };
    ask(&store, &asked, UNLIMITED, at(-3600)).await;
    store.commit(&alerts_of([AlertChange::Raised(alert("TSLA", MINUTE))]), at(0)).await.unwrap();
    let told = claim_all(&store, at(22 * 3600)).await.into_iter().find(|one| one.alert.is_some()).unwrap();
    assert_eq!(told.expires_at, at(DAY));
    assert!(settle(&store, &told, Outcome::RetryAt(at(DAY), Failure::other("503")), at(23 * 3600)).await);
    assert_eq!(store.outbox().await.unwrap().expired, 1);
}

pub async fn without_confirmation_a_subscription_is_active_at_once(store: Shared) {
    let pending = sign_up(1, "ada@example.com", "TSLA");
    assert!(ask(&store, &pending, UNLIMITED, at(0)).await);
    let open = SignUp { confirm: false, ..sign_up(2, "bob@example.com", "TSLA") };
    assert!(!ask(&store, &open, UNLIMITED, at(0)).await);
    let found = store.subscription_of(Purpose::Manage, &open.hashes.manage).await.unwrap().unwrap();
    assert_eq!((found.status, found.active_from), (SubscriptionStatus::Active, Some(MINUTE.plus_minutes(1))));
    assert!(!ask(&store, &open, UNLIMITED, at(1)).await);
    assert_eq!(status(&store, &pending).await, Some(SubscriptionStatus::Pending));
    assert_eq!(status(&store, &open).await, Some(SubscriptionStatus::Active));
    // One that waited for its confirmation waits no longer.
    let open = SignUp { confirm: false, ..sign_up(3, "ada@example.com", "TSLA") };
    assert!(!ask(&store, &open, UNLIMITED, at(2)).await);
    assert_eq!(status(&store, &pending).await, Some(SubscriptionStatus::Active));
    assert_eq!(status(&store, &open).await, None);
}

pub async fn an_active_webhook_is_owed_the_message_that_tells_its_secret(store: Shared) {
    let limits = SignUpLimits::default();
    let hook = SignUp { confirm: false, ..sign_up(1, "https://example.com/hook", "TSLA") };
    assert!(ask(&store, &hook, limits, at(0)).await);
    assert_eq!(status(&store, &hook).await, Some(SubscriptionStatus::Active));
    let message = claim_one(&store, at(1)).await;
    assert_eq!((message.kind, message.subscription.id), (DeliveryKind::Confirmation, hook.id));
    assert_eq!(message.subscription.status, SubscriptionStatus::Active);
    assert!(settle(&store, &message, Outcome::Sent, at(2)).await);
    // Another wish at once: throttled like any other, and told in its turn.
    let other = SignUp { confirm: false, ..sign_up(2, "https://example.com/hook", "AAPL") };
    assert!(!ask(&store, &other, limits, at(3)).await);
    assert_eq!(status(&store, &other).await, Some(SubscriptionStatus::Active));
    assert_eq!(turns(&store, limits, 600).await, [2]);
    // Active: it knows.
    assert!(!ask(&store, &hook, limits, at(3000)).await);
}

pub async fn one_of_a_recipients_subscriptions_ends_or_all_of_them(store: Shared) {
    let asked = [
        ("Ada@example.com", "TSLA"),
        ("ada@example.com", "AAPL"),
        ("ada@example.com", "MSFT"),
        ("ada+x@example.com", "TSLA"),
        ("https://example.com/hook", "TSLA"),
    ];
    let asked: Vec<SignUp> = (1..)
        .zip(asked)
        .map(|(n, (receiver, name))| SignUp { confirm: n == 3, ..sign_up(n, receiver, name) })
        .collect();
    for one in &asked {
        ask(&store, one, UNLIMITED, at(-3600)).await;
    }
    let raised = ["TSLA", "AAPL"].map(|name| AlertChange::Raised(alert(name, MINUTE)));
    assert_eq!(store.commit(&alerts_of(raised), at(0)).await.unwrap().deliveries, 4);
    let statuses = async || {
        let mut live = Vec::new();
        for one in &asked {
            live.push(!status(&store, one).await.unwrap().has_ended());
        }
        live
    };
    let token = &asked[0].hashes.unsubscribe;
    store.unsubscribe(token, false, at(1)).await.unwrap().unwrap();
    assert_eq!(statuses().await, [false, true, true, true, true]);
    // Its link still ends the others.
    let ended = store.unsubscribe(token, true, at(2)).await.unwrap().unwrap();
    assert_eq!((ended.id, ended.status), (asked[0].id, SubscriptionStatus::Unsubscribed));
    assert_eq!(statuses().await, [false, false, false, true, true]);
    assert_eq!(outbox(&store).await, (3, 0, 0, 0, 3), "two alerts and a confirmation are cancelled");
    assert!(claim_all(&store, at(3)).await.iter().all(|one| !one.subscription.status.has_ended()));
}

pub async fn a_changed_rule_is_told_of_instead(store: Shared) {
    let asked = subscribed(&store, 1, "TSLA", at(-3600)).await;
    let raised = alerts_of([AlertChange::Raised(alert("TSLA", MINUTE))]);
    store.commit(&raised, at(0)).await.unwrap();
    let changed =
        amend(&store, &asked, SubscriptionChange { rule: Some(own_rule()), ..Default::default() }, at(1))
            .await;
    assert_eq!((changed.id, changed.rule), (asked.id, own_rule()));
    // What the new rule has raised before, for others, is none of its business.
    assert_eq!(changed.active_from, Some(MINUTE.plus_minutes(2)));
    for (rule, expected) in [(RuleName::House, 0), (own_rule(), 1)] {
        let start = MINUTE.plus_minutes(2);
        let id = AlertId::derive(rule, symbol("TSLA"), Metric::Volume, start);
        let batch = alerts_of([AlertChange::Raised(Alert {
            id,
            rule: rule.whole(SpikeRule::default()),
            ..alert("TSLA", start)
        })]);
        assert_eq!(store.commit(&batch, at(60)).await.unwrap().deliveries, expected, "{rule}");
    }
    // What was owed before still is.
    assert_eq!(claim_all(&store, at(61)).await.len(), 2);
}

pub async fn a_rule_that_is_subscribed_already_is_a_conflict(store: Shared) {
    let one = subscribed(&store, 1, "TSLA", at(0)).await;
    let other = SignUp { rule: own_rule(), ..sign_up(2, "S1@example.com", "TSLA") };
    ask(&store, &other, UNLIMITED, at(0)).await;
    let wanted = SubscriptionChange { rule: Some(own_rule()), rotate_secret: true, ..Default::default() };
    let before = store.subscription_of(Purpose::Manage, &one.hashes.manage).await.unwrap();
    assert_eq!(store.amend(&one.hashes.manage, &wanted, at(1)).await.unwrap(), Amended::Conflict);
    assert_eq!(store.subscription_of(Purpose::Manage, &one.hashes.manage).await.unwrap(), before);
    // Its own rule is none, nor is that of one that has ended.
    let own = SubscriptionChange { rule: Some(RuleName::House), ..Default::default() };
    amend(&store, &one, own, at(2)).await;
    store.unsubscribe(&other.hashes.unsubscribe, false, at(3)).await.unwrap();
    assert_eq!(amend(&store, &one, wanted, at(4)).await.rule, own_rule());
}

pub async fn quiet_hours_are_set_and_ended(store: Shared) {
    let asked = subscribed(&store, 1, "TSLA", at(0)).await;
    let quiet: QuietHours = "22:00-07:00 Europe/Berlin".parse().unwrap();
    for wanted in [Some(quiet.clone()), None, Some(quiet)] {
        let change = SubscriptionChange { quiet: Some(wanted.clone()), ..Default::default() };
        assert_eq!(amend(&store, &asked, change, at(1)).await.quiet, wanted);
    }
    let other = SubscriptionChange { rotate_secret: true, ..Default::default() };
    assert!(amend(&store, &asked, other, at(2)).await.quiet.is_some(), "it stays");
}

/// A change that pauses until then, or resumes.
fn pause(until: Option<Timestamp>) -> SubscriptionChange {
    SubscriptionChange { paused_until: Some(until), ..Default::default() }
}

pub async fn a_pause_cancels_what_is_owed_and_nothing_of_it_is_told_later(store: Shared) {
    let (told, asked) = one_enqueued(&store).await;
    let sent = claim_one(&store, at(1)).await;
    settle(&store, &sent, Outcome::Sent, at(2)).await;
    let raise = async |n: i32, seconds: i64| {
        let batch = alerts_of([AlertChange::Raised(alert("TSLA", MINUTE.plus_minutes(n)))]);
        store.commit(&batch, at(seconds)).await.unwrap().deliveries
    };
    assert_eq!(raise(1, 60).await, 1);
    assert_eq!(amend(&store, &asked, pause(Some(at(600))), at(70)).await.paused_until, Some(at(600)));
    assert_eq!(outbox(&store).await, (0, 1, 0, 0, 1));
    assert_eq!(raise(2, 120).await, 0);
    assert_eq!(raise(3, 599).await, 0);
    assert_eq!(retract(&store, &told, at(599)).await, 0, "nor a retraction");
    // It ends by itself at its time; without one, when it is told to.
    assert_eq!(raise(4, 600).await, 1);
    assert_eq!(
        amend(&store, &asked, pause(Some(Timestamp::MAX)), at(610)).await.paused_until,
        Some(Timestamp::MAX)
    );
    assert_eq!(raise(5, 900_000).await, 0);
    assert_eq!(amend(&store, &asked, pause(None), at(900_001)).await.paused_until, None);
    assert!(claim_all(&store, at(900_002)).await.is_empty());
    assert_eq!(raise(6, 900_003).await, 1);
    // A pause that is over before it begins is none.
    amend(&store, &asked, pause(Some(at(900_004))), at(900_004)).await;
    assert_eq!(claim_all(&store, at(900_005)).await.len(), 1);
}

pub async fn a_pause_leaves_the_confirmation_and_what_is_under_way(store: Shared) {
    let asked = sign_up(7, "ada@example.com", "TSLA");
    ask(&store, &asked, UNLIMITED, at(0)).await;
    amend(&store, &asked, pause(Some(at(600))), at(1)).await;
    assert_eq!(claim_one(&store, at(2)).await.kind, DeliveryKind::Confirmation);

    let (_, owed) = one_enqueued(&store).await;
    let accepted = claim_one(&store, at(3)).await;
    amend(&store, &owed, pause(Some(at(600))), at(4)).await;
    assert!(settle(&store, &accepted, Outcome::Sent, at(5)).await);
    amend(&store, &owed, pause(None), at(6)).await;
    store
        .commit(&alerts_of([AlertChange::Raised(alert("TSLA", MINUTE.plus_minutes(1)))]), at(7))
        .await
        .unwrap();
    let refused = claim_one(&store, at(8)).await;
    amend(&store, &owed, pause(Some(at(600))), at(9)).await;
    assert!(settle(&store, &refused, Outcome::RetryAt(at(20), Failure::other("451")), at(10)).await);
    assert!(claim_all(&store, at(21)).await.is_empty(), "it is not tried again");
    assert_eq!(store.outbox().await.unwrap().cancelled, 1);
}

pub async fn a_snooze_leaves_what_is_paused_until_it_is_resumed(store: Shared) {
    let asked = subscribed(&store, 1, "TSLA", at(-3600)).await;
    let paused = |until| SubscriptionChange { paused_until: Some(until), ..Default::default() };
    let snoozed = |until| SubscriptionChange { snoozed_until: Some(until), ..Default::default() };
    // Whoever snoozes has read that it was not paused: what holds is what it is when the snooze is written.
    for (change, expected) in [
        (snoozed(Some(at(600))), Some(at(600))),
        (snoozed(None), None),
        (paused(Some(Timestamp::MAX)), Some(Timestamp::MAX)),
        (snoozed(Some(at(600))), Some(Timestamp::MAX)),
        (snoozed(None), Some(Timestamp::MAX)),
        (paused(None), None),
        (snoozed(Some(at(900))), Some(at(900))),
    ] {
        let amended = store.amend(&asked.hashes.manage, &change, at(0)).await.unwrap();
        let Amended::Changed(amended) = amended else { panic!("{amended:?}") };
        let stored = store.subscription_of(Purpose::Manage, &asked.hashes.manage).await.unwrap().unwrap();
        assert_eq!((amended.paused_until, stored.paused_until), (expected, expected), "{change:?}");
    }
}

pub async fn a_secret_is_rotated_generation_by_generation(store: Shared) {
    let asked = SignUp { confirm: false, ..sign_up(1, "https://example.com/hook", "TSLA") };
    ask(&store, &asked, UNLIMITED, at(0)).await;
    for n in 1..4 {
        let change = SubscriptionChange { rotate_secret: true, ..Default::default() };
        let changed = amend(&store, &asked, change, at(i64::from(n))).await;
        assert_eq!((changed.secret_generation, changed.secret_rotated_at), (n, Some(at(i64::from(n)))));
    }
}

pub async fn what_has_ended_cannot_be_changed(store: Shared) {
    let asked = subscribed(&store, 1, "TSLA", at(0)).await;
    let ended = store.unsubscribe(&asked.hashes.unsubscribe, false, at(1)).await.unwrap().unwrap();
    let change = SubscriptionChange { rule: Some(own_rule()), rotate_secret: true, ..Default::default() };
    assert_eq!(store.amend(&asked.hashes.manage, &change, at(2)).await.unwrap(), Amended::Ended(ended));
    // The other tokens change nothing, nor does a stranger's.
    for token in
        [asked.hashes.unsubscribe, asked.hashes.confirm, sign_up(2, "eve@example.com", "TSLA").hashes.manage]
    {
        assert_eq!(store.amend(&token, &change, at(3)).await.unwrap(), Amended::Unknown);
    }
}

pub async fn what_own_rules_watch_is_told_with_its_version(store: Shared) {
    let own = |n: u16, name: &str, rule: &str| SignUp {
        rule: rule.parse().unwrap(),
        ..sign_up(n, &format!("s{n}@example.com"), name)
    };
    let rule = |text: &str| text.parse::<Rule>().unwrap();
    let mut version = store.watch_version().await.unwrap();
    assert_eq!(store.watched().await.unwrap(), Watched { version, watches: Vec::new() });
    let (z, cross) = ("zscore z=4", "cross above=200");
    let asked = [own(1, "TSLA", z), own(2, "TSLA", z), own(3, "TSLA", cross), own(4, "AAPL", z)];
    let mut expected: Vec<(Scope, Metric, Rule)> = Vec::new();
    // Answers whether the version has changed, and checks what is watched.
    let mut look = async |watches: &[(&str, &str)]| {
        expected =
            watches.iter().map(|(name, text)| (name.parse().unwrap(), Metric::Volume, rule(text))).collect();
        let watched = store.watched().await.unwrap();
        assert_eq!(watched.version, store.watch_version().await.unwrap());
        assert_eq!(watched.watches.len(), expected.len(), "{watched:?}");
        assert!(expected.iter().all(|one| watched.watches.contains(one)), "{watched:?}");
        assert!(watched.version >= version);
        std::mem::replace(&mut version, watched.version) != watched.version
    };
    for one in &asked {
        ask(&store, one, UNLIMITED, at(0)).await;
    }
    subscribed(&store, 5, "TSLA", at(0)).await;
    assert!(!look(&[]).await, "nobody has confirmed, and the house rule is no own one");
    store.confirm(&asked[0].hashes.confirm, &Choice::Everything, at(1)).await.unwrap();
    assert!(look(&[("TSLA", z)]).await);
    for one in &asked[1..] {
        store.confirm(&one.hashes.confirm, &Choice::Everything, at(1)).await.unwrap();
    }
    assert!(look(&[("TSLA", z), ("TSLA", cross), ("AAPL", z)]).await);
    // What does not concern it.
    amend(&store, &asked[0], pause(Some(at(99))), at(2)).await;
    store.commit(&full_batch(), at(2)).await.unwrap();
    assert!(!look(&[("TSLA", z), ("TSLA", cross), ("AAPL", z)]).await);
    store.unsubscribe(&asked[3].hashes.unsubscribe, false, at(3)).await.unwrap();
    assert!(look(&[("TSLA", z), ("TSLA", cross)]).await);
    let house = SubscriptionChange { rule: Some(RuleName::House), ..Default::default() };
    amend(&store, &asked[2], house, at(4)).await;
    assert!(look(&[("TSLA", z)]).await);
    let back = SubscriptionChange { rule: Some(cross.parse().unwrap()), ..Default::default() };
    amend(&store, &asked[2], back, at(5)).await;
    assert!(look(&[("TSLA", z), ("TSLA", cross)]).await);
    store.disable(&Selection::One(asked[2].id), at(6)).await.unwrap();
    assert!(look(&[("TSLA", z)]).await);
    store.erase("s1@example.com").await.unwrap();
    store.erase("s2@example.com").await.unwrap();
    assert!(look(&[]).await);
    let active = SignUp { confirm: false, ..own(9, "TSLA", cross) };
    ask(&store, &active, UNLIMITED, at(7)).await;
    assert!(look(&[("TSLA", cross)]).await);
}

async fn begins(store: &Shared, n: u16, now: Timestamp) -> Second {
    let sign_up = subscribed(store, n, "TSLA", now).await;
    let found = store.subscription_of(Purpose::Manage, &sign_up.hashes.manage).await.unwrap().unwrap();
    found.active_from.unwrap()
}

pub async fn on_a_live_feed_a_subscription_begins_with_the_next_minute(store: Shared) {
    let next = MINUTE.plus_minutes(1);
    assert_eq!(begins(&store, 1, next.start()).await, next, "before any feed");
    assert_eq!(begins(&store, 2, next.start() + SignedDuration::from_micros(1)).await, next.plus_minutes(1));
    let batch = Batch { feed: Some(feed_status(FeedMode::Live, at(-9999))), ..Batch::default() };
    store.commit(&batch, at(0)).await.unwrap();
    assert_eq!(begins(&store, 3, next.start()).await, next);
    assert_eq!(
        begins(&store, 4, next.minute_end() - SignedDuration::from_micros(1)).await,
        next.plus_minutes(1)
    );
}

pub async fn on_a_simulated_feed_a_subscription_begins_with_the_feeds_clock(store: Shared) {
    for (n, mode) in [(1, FeedMode::Simulated), (2, FeedMode::Replayed)] {
        // The end of its newest bar.
        let clock = MINUTE.plus_minutes(i32::from(n) * 1000).minute_end();
        let batch = Batch { feed: Some(feed_status(mode, clock)), ..Batch::default() };
        store.commit(&batch, at(0)).await.unwrap();
        assert_eq!(begins(&store, n, at(0)).await.start(), clock);
    }
}

pub async fn whoever_comes_before_the_first_word_of_a_tape_begins_with_its_clock(store: Shared) {
    let sign_up = subscribed(&store, 1, "TSLA", at(0)).await;
    // Years before the wall clock, then years after it: only the first word counts.
    for clock in [MINUTE.plus_minutes(-1_000_000).minute_end(), MINUTE.plus_minutes(1_000_000).minute_end()] {
        let batch = Batch { feed: Some(feed_status(FeedMode::Replayed, clock)), ..Batch::default() };
        store.commit(&batch, at(1)).await.unwrap();
        let found = store.subscription_of(Purpose::Manage, &sign_up.hashes.manage).await.unwrap().unwrap();
        assert_eq!(found.active_from, Some(MINUTE.plus_minutes(-999_999)));
    }
}

pub async fn whoever_comes_before_the_first_word_of_a_live_feed_begins_by_the_wall_clock(store: Shared) {
    let sign_up = subscribed(&store, 1, "TSLA", MINUTE.start()).await;
    let batch = Batch { feed: Some(feed_status(FeedMode::Live, at(-9999))), ..Batch::default() };
    store.commit(&batch, at(1)).await.unwrap();
    let found = store.subscription_of(Purpose::Manage, &sign_up.hashes.manage).await.unwrap().unwrap();
    assert_eq!(found.active_from, Some(MINUTE));
}
