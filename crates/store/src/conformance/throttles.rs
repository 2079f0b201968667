//! How many messages ask to confirm, and when.

use super::*;

pub async fn one_address_is_written_to_once_in_ten_minutes(store: Shared) {
    let limits = SignUpLimits::default();
    let ask = async |n: u16, email: &str, name: &str, seconds: i64| {
        store.subscribe(slice::from_ref(&sign_up(n, email, name)), limits, at(seconds)).await.unwrap();
        turns(&store, limits, seconds).await
    };
    assert_eq!(ask(1, "ada@example.com", "TSLA", 0).await, [1]);
    assert!(ask(2, "ada@example.com", "TSLA", 1).await.is_empty(), "the same wish");
    assert!(ask(3, "ADA@example.com", "AAPL", 598).await.is_empty(), "the same address, another wish");
    assert_eq!(ask(4, "bob@example.com", "AAPL", 599).await, [4], "another address");
    // What was held back comes when it may, once, about the newest.
    assert_eq!(turns(&store, limits, 600).await, [3]);
    assert!(turns(&store, limits, 1200).await.is_empty());
}

pub async fn one_address_is_written_to_three_times_a_day_and_again_the_next(store: Shared) {
    let limits = SignUpLimits::default();
    for (n, seconds) in [(1, 0), (2, 600), (3, 1200)] {
        assert!(ask(&store, &sign_up(n, "ada@example.com", &format!("S{n}")), limits, at(seconds)).await);
    }
    // Whatever became of the three.
    assert_eq!(turns(&store, limits, 1201).await, [1, 2, 3]);
    assert!(!ask(&store, &sign_up(4, "ada@example.com", "S4"), limits, at(1800)).await);
    assert!(!ask(&store, &sign_up(5, "ada@example.com", "S5"), limits, at(DAY - 1)).await);
    // What waited so long can still be confirmed for a day.
    assert_eq!(turns(&store, limits, DAY).await, [5]);
    let link =
        store.confirmable(&sign_up(5, "x@example.com", "S5").hashes.confirm, at(2 * DAY - 1)).await.unwrap();
    let asked: Vec<Scope> = link.unwrap().asked.iter().map(|one| one.scope).collect();
    assert_eq!(
        asked,
        ["S5", "S4", "S3", "S2", "S1"].map(|name| symbol(name).into()),
        "all of it, the newest first"
    );
}

pub async fn one_mailbox_is_throttled_under_all_its_spellings(store: Shared) {
    let limits = SignUpLimits::default();
    let asked: Vec<SignUp> = (1..)
        .zip(["ada.love@gmail.com", "adalove@gmail.com", "a.dalove+x@googlemail.com", "ADALOVE@gmail.com"])
        .map(|(n, email)| sign_up(n, email, "TSLA"))
        .collect();
    for one in &asked {
        assert_eq!(store.subscribe(slice::from_ref(one), limits, at(0)).await.unwrap(), SignedUp::Taken);
    }
    let mut sent = Vec::new();
    for seconds in [0, 1, 600, 1200, 1800, DAY - 1, DAY] {
        sent.push(turns(&store, limits, seconds).await.len());
    }
    // Two of the four are one address: three messages.
    assert_eq!(sent, [1, 0, 1, 1, 0, 0, 0]);
    // Each spelling is a recipient of its own all the same.
    for one in &asked[..3] {
        assert_eq!(confirmed(&store, one, at(DAY - 1)).await.id, one.id);
    }
}

pub async fn a_domain_uses_up_its_share_and_no_more(store: Shared) {
    let limits = SignUpLimits { domain_per_hour: 4, total_per_hour: 20, ..SignUpLimits::default() };
    for n in 0..10 {
        let one = sign_up(n, &format!("s{n}@a{n}.example.com"), "TSLA");
        assert_eq!(store.subscribe(slice::from_ref(&one), limits, at(0)).await.unwrap(), SignedUp::Taken);
    }
    assert_eq!(turns(&store, limits, 0).await.len(), 2, "half of an hour's at once");
    for n in 10..15 {
        assert!(ask(&store, &sign_up(n, &format!("s{n}@d{n}.example"), "TSLA"), limits, at(1)).await);
    }
    assert_eq!(turns(&store, limits, 2).await.len(), 5);
    let mut rest = 0;
    for minute in 1..=5 * 60 {
        rest += turns(&store, limits, 60 * minute).await.len();
    }
    assert_eq!(rest, 8, "nobody is forgotten");
}

pub async fn all_addresses_together_have_a_limit_and_all_have_their_turn(store: Shared) {
    let limits = SignUpLimits { total_per_hour: 10, ..SignUpLimits::default() };
    for n in 0..30 {
        let one = sign_up(n, &format!("s{n}@d{n}.example"), "TSLA");
        assert_eq!(store.subscribe(slice::from_ref(&one), limits, at(0)).await.unwrap(), SignedUp::Taken);
    }
    let mut sent: Vec<(i64, u16)> = Vec::new();
    for minute in 0..=6 * 60 {
        let numbers = turns(&store, limits, 60 * minute).await;
        sent.extend(numbers.into_iter().map(|n| (minute, n)));
        if minute == 30 {
            // Who comes late does not wait for all the others.
            let late = sign_up(99, "late@late.example", "TSLA");
            store.subscribe(slice::from_ref(&late), limits, at(60 * minute)).await.unwrap();
        }
    }
    let numbers: BTreeSet<u16> = sent.iter().map(|(_, n)| *n).collect();
    assert_eq!((sent.len(), numbers.len()), (31, 31));
    assert!(sent.iter().all(|(minute, _)| {
        sent.iter().filter(|(other, _)| (*minute..minute + 60).contains(other)).count() <= 10
    }));
    let late = sent.iter().find(|(_, n)| *n == 99).unwrap().0;
    assert!(late <= 30 + 2 * 12, "{sent:?}");
}

pub async fn too_many_that_wait_are_refused_and_nothing_of_them_is_kept(store: Shared) {
    // A hundred hours' messages may wait.
    let limits = SignUpLimits { domain_per_hour: 1, total_per_hour: 2, ..SignUpLimits::default() };
    let asked = |n: u16, domain: &str| sign_up(n, &format!("s{n}@{domain}"), "TSLA");
    let second = |n: u16| at(i64::from(n));
    for n in 0..100 {
        let taken =
            store.subscribe(slice::from_ref(&asked(n, "example.com")), limits, second(n)).await.unwrap();
        assert_eq!(taken, SignedUp::Taken);
    }
    let refused = asked(100, "example.com");
    let SignedUp::Full(full) = store.subscribe(slice::from_ref(&refused), limits, second(100)).await.unwrap()
    else {
        panic!("taken");
    };
    assert!(full.retry_after.is_positive());
    // Others have places, evenly. Taken in or not, they wait.
    store.take_in(limits, second(100)).await.unwrap();
    assert_eq!(status(&store, &refused).await, None);
    let mut taken = 0;
    for n in 101..300 {
        let other = asked(n, &format!("d{n}.example"));
        let answer = store.subscribe(slice::from_ref(&other), limits, second(n)).await.unwrap();
        taken += u16::from(answer == SignedUp::Taken);
        store.take_in(limits, second(n)).await.unwrap();
    }
    assert!((100..110).contains(&taken), "{taken}");
    // Who need not be told anything needs no place.
    let open = SignUp { confirm: false, ..asked(500, "example.com") };
    assert_eq!(store.subscribe(slice::from_ref(&open), limits, at(300)).await.unwrap(), SignedUp::Taken);
}

pub async fn what_is_pending_of_a_recipient_is_confirmed_together(store: Shared) {
    let limits = SignUpLimits::default();
    let first = sign_up(1, "ada@example.com", "TSLA");
    assert!(ask(&store, &first, limits, at(0)).await);
    let later: Vec<SignUp> =
        (2..).zip(["AAPL", "MSFT", "NVDA"]).map(|(n, name)| sign_up(n, "Ada@example.com", name)).collect();
    for one in &later {
        assert!(!ask(&store, one, limits, at(60)).await);
    }
    ask(&store, &sign_up(9, "ada+x@example.com", "AMZN"), limits, at(60)).await;
    let shown = async |seconds: i64| {
        let link = store.confirmable(&first.hashes.confirm, at(seconds)).await.unwrap().unwrap();
        assert_eq!(link.of.id, first.id);
        link.asked.iter().map(|one| one.id).collect::<BTreeSet<_>>()
    };
    let all = [first.id, later[0].id, later[1].id, later[2].id];
    assert_eq!(shown(61).await, BTreeSet::from(all));
    // One is ticked, one not, one was not shown: it came after the page.
    let choice = Choice::Ticked {
        ticked: vec![later[0].id, sign_up(9, "x@example.com", "AMZN").id],
        shown: vec![first.id, later[0].id, later[1].id],
    };
    let settled = store.confirm(&first.hashes.confirm, &choice, at(62)).await.unwrap();
    let Confirmed::Settled { activated, declined, .. } = settled else { panic!("{settled:?}") };
    assert_eq!(activated.iter().map(|one| one.id).collect::<Vec<_>>(), [later[0].id]);
    let declined: BTreeSet<_> = declined.iter().map(|one| one.id).collect();
    assert_eq!(declined, BTreeSet::from([first.id, later[1].id]));
    for (one, expected) in [
        (&first, SubscriptionStatus::Unsubscribed),
        (&later[0], SubscriptionStatus::Active),
        (&later[1], SubscriptionStatus::Unsubscribed),
        (&later[2], SubscriptionStatus::Pending),
    ] {
        assert_eq!(status(&store, one).await, Some(expected));
    }
    // The link goes on to show what is pending, for its day, though what it was made for has ended.
    assert_eq!(shown(63).await, BTreeSet::from([later[2].id]));
    assert_eq!(confirmed(&store, &first, at(64)).await.id, later[2].id);
    let nothing = store.confirm(&first.hashes.confirm, &Choice::Everything, at(65)).await.unwrap();
    assert!(matches!(nothing, Confirmed::Ended(ref of) if of.id == first.id), "{nothing:?}");
    assert!(shown(DAY).await.is_empty());
}

pub async fn what_a_message_was_about_is_shown_however_much_else_is_asked_for(store: Shared) {
    let first = sign_up(0, "ada@example.com", "TSLA");
    store.subscribe(slice::from_ref(&first), UNLIMITED, at(0)).await.unwrap();
    for n in 1..=250 {
        store
            .subscribe(slice::from_ref(&sign_up(n, "ada@example.com", &format!("S{n}"))), UNLIMITED, at(1))
            .await
            .unwrap();
    }
    while store.take_in(UNLIMITED, at(2)).await.unwrap().more {}
    let link = store.confirmable(&first.hashes.confirm, at(3)).await.unwrap().unwrap();
    assert_eq!(link.asked.len(), 200);
    assert!(link.asked.iter().any(|one| one.id == first.id));
}

pub async fn what_was_confirmed_meanwhile_is_not_asked_again(store: Shared) {
    let limits = SignUpLimits::default();
    let asked = |n: u16| sign_up(n, "ada@example.com", &format!("S{n}"));
    assert!(ask(&store, &asked(1), limits, at(0)).await);
    assert_eq!(turns(&store, limits, 0).await, [1]);
    assert!(!ask(&store, &asked(2), limits, at(1)).await);
    let confirmed = store.confirm(&asked(1).hashes.confirm, &Choice::Everything, at(2)).await.unwrap();
    assert!(matches!(confirmed, Confirmed::Settled { ref activated, .. } if activated.len() == 2));
    // Asked for after that: the link shows it, and its own comes in its turn, which is the only one.
    assert!(!ask(&store, &asked(3), limits, at(550)).await);
    let link = store.confirmable(&asked(1).hashes.confirm, at(551)).await.unwrap().unwrap();
    assert_eq!(link.asked.iter().map(|one| one.id).collect::<Vec<_>>(), [asked(3).id]);
    assert_eq!(turns(&store, limits, 600).await, [3]);
    assert!(turns(&store, limits, 1300).await.is_empty());
}

pub async fn each_subscription_by_webhook_is_told_its_own_secret(store: Shared) {
    let limits = SignUpLimits::default();
    let asked: Vec<SignUp> = (1..)
        .zip(["TSLA", "AAPL", "MSFT"])
        .map(|(n, name)| sign_up(n, "https://example.com/hook", name))
        .collect();
    for one in &asked {
        store.subscribe(slice::from_ref(one), limits, at(0)).await.unwrap();
    }
    let first = turns(&store, limits, 0).await;
    assert_eq!(first.len(), 1);
    // Confirmed together; who was not told is told at once.
    let token = &asked[usize::from(first[0]) - 1].hashes.confirm;
    let confirmed = store.confirm(token, &Choice::Everything, at(60)).await.unwrap();
    assert!(matches!(confirmed, Confirmed::Settled { ref activated, .. } if activated.len() == 3));
    let told = turns(&store, limits, 60).await;
    assert_eq!(told.len(), 2);
    assert_eq!(BTreeSet::from_iter(first.into_iter().chain(told)), BTreeSet::from([1, 2, 3]));
    assert!(turns(&store, limits, 10 * DAY).await.is_empty());
}

pub async fn what_waits_is_not_forgotten_and_ends_with_its_recipient(store: Shared) {
    let limits = SignUpLimits { total_per_hour: 2, ..SignUpLimits::default() };
    for n in 0..4 {
        ask(&store, &sign_up(n, &format!("s{n}@d{n}.example"), "TSLA"), limits, at(0)).await;
    }
    let waiting = async || {
        let mut waiting = Vec::new();
        for n in 0..4 {
            if status(&store, &sign_up(n, "x@example.com", "TSLA")).await.is_some() {
                waiting.push(n);
            }
        }
        waiting
    };
    // Three days later, as after an outage of the worker: who was asked has lapsed, who was not has not.
    forget(&store, 3 * DAY, 100).await;
    assert_eq!(waiting().await.len(), 3);
    let Some(&n) = waiting().await.first() else { panic!("nobody waits") };
    store.erase(&format!("s{n}@d{n}.example")).await.unwrap();
    assert_eq!(waiting().await.len(), 2);
    // Noted down and not taken in: it is erased, and ends, like the rest.
    let late = sign_up(9, "late@late.example", "TSLA");
    store.subscribe(slice::from_ref(&late), limits, at(3 * DAY)).await.unwrap();
    store.erase("late@late.example").await.unwrap();
    assert_eq!(turns(&store, limits, 3 * DAY).await.len(), 1);
    assert_eq!(status(&store, &late).await, None);
}
