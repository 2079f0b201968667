//! Several symbols asked for at once, and the whole watchlist.

use super::*;

/// One request of a receiver for these, numbered from `n`.
fn request(n: u16, receiver: &str, names: &[&str]) -> Vec<SignUp> {
    (n..).zip(names).map(|(n, name)| sign_up(n, receiver, name)).collect()
}

fn scopes(of: &[Subscription]) -> Vec<Scope> {
    of.iter().map(|one| one.scope).collect()
}

const TEN: [&str; 10] = ["AAPL", "MSFT", "AMZN", "TSLA", "META", "GOOG", "NFLX", "NVDA", "PYPL", "ADBE"];

pub async fn a_request_of_ten_symbols_is_one_message_and_is_confirmed_together(store: Shared) {
    let limits = SignUpLimits::default();
    let asked = request(1, ADA, &TEN);
    assert_eq!(store.subscribe(&asked, limits, at(0)).await.unwrap(), SignedUp::Taken);
    let taken = store.take_in(limits, at(0)).await.unwrap();
    assert_eq!(taken, TakenIn { sign_ups: 10, confirmations: 1, more: false });
    let mail = claim_one(&store, at(1)).await;
    let mut by_name: Vec<Scope> = asked.iter().map(|one| one.scope).collect();
    by_name.sort();
    assert_eq!(scopes(&mail.asked), by_name, "the message knows what it asks");
    let of = asked.iter().find(|one| one.id == mail.subscription.id).unwrap();
    let link = store.confirmable(&of.hashes.confirm, at(2)).await.unwrap().unwrap();
    assert_eq!(link.asked, mail.asked);
    let settled = store.confirm(&of.hashes.confirm, &Choice::Everything, at(3)).await.unwrap();
    let Confirmed::Settled { activated, .. } = settled else { panic!("{settled:?}") };
    assert_eq!((scopes(&activated), active(&store).await), (by_name, 10));
    assert_eq!(store.take_in(limits, at(601)).await.unwrap().confirmations, 0, "nothing is left to ask");
}

pub async fn what_joins_a_request_is_shown_by_the_link_of_the_newest_message(store: Shared) {
    let limits = SignUpLimits::default();
    let first = request(1, ADA, &["TSLA", "AAPL"]);
    store.subscribe(&first, limits, at(0)).await.unwrap();
    store.take_in(limits, at(0)).await.unwrap();
    let mail = claim_one(&store, at(1)).await;
    store.subscribe(&request(5, ADA, &["*", "NVDA", "TSLA"]), limits, at(60)).await.unwrap();
    let taken = store.take_in(limits, at(60)).await.unwrap();
    assert_eq!(taken, TakenIn { sign_ups: 3, confirmations: 0, more: false }, "held back");
    let of = first.iter().find(|one| one.id == mail.subscription.id).unwrap();
    let link = store.confirmable(&of.hashes.confirm, at(61)).await.unwrap().unwrap();
    let expected = ["AAPL", "TSLA", "NVDA", "*"].map(|name| name.parse().unwrap());
    assert_eq!(scopes(&link.asked), expected, "its own request first");
    // The same link confirms all of it, and nothing is left to send.
    store.confirm(&of.hashes.confirm, &Choice::Everything, at(62)).await.unwrap();
    assert_eq!(active(&store).await, 4);
    assert_eq!(store.take_in(limits, at(3600)).await.unwrap().confirmations, 0);
}

pub async fn strangers_cannot_push_a_request_off_its_own_page(store: Shared) {
    let names: Vec<String> = (0..150).map(|n| format!("S{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mine = request(1, ADA, &names);
    ask_all(&store, &mine, 0).await;
    for n in 0..3_u16 {
        let theirs: Vec<SignUp> = request(1_000 * (n + 1), ADA, &names)
            .into_iter()
            .map(|one| SignUp { rule: own(n), ..one })
            .collect();
        ask_all(&store, &theirs, 60 + i64::from(n)).await;
    }
    let link = store.confirmable(&mine[0].hashes.confirm, at(100)).await.unwrap().unwrap();
    assert_eq!(link.asked.len(), 200);
    let shown: BTreeSet<_> = link.asked.iter().map(|one| one.id).collect();
    assert!(mine.iter().all(|one| shown.contains(&one.id)), "some of the request is not on its page");
}

async fn ask_all(store: &Shared, request: &[SignUp], seconds: i64) {
    assert_eq!(store.subscribe(request, UNLIMITED, at(seconds)).await.unwrap(), SignedUp::Taken);
    store.take_in(UNLIMITED, at(seconds)).await.unwrap();
}

pub async fn requests_are_taken_in_whole_however_many_wait(store: Shared) {
    let limits = SignUpLimits::default();
    let names: Vec<String> = (0..150).map(|n| format!("S{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for n in 0..4_u16 {
        let asked = request(1_000 * n, &format!("s{n}@example{n}.com"), &names);
        assert_eq!(store.subscribe(&asked, limits, at(0)).await.unwrap(), SignedUp::Taken);
    }
    let mut taken = Vec::new();
    loop {
        let one = store.take_in(limits, at(1)).await.unwrap();
        taken.push((one.sign_ups, one.confirmations));
        if !one.more {
            break;
        }
    }
    assert_eq!(taken, [(300, 2), (300, 2)]);
    assert!(claim_all(&store, at(2)).await.iter().all(|mail| mail.asked.len() == 150));
}

pub async fn a_request_beyond_a_limit_leaves_nothing_of_it(store: Shared) {
    store.hold_to(SubscriptionLimits { per_receiver: 3, rules: 4, ..Default::default() });
    let at_once = |asked: Vec<SignUp>, rule: RuleName| -> Vec<SignUp> {
        asked.into_iter().map(|one| SignUp { confirm: false, rule, ..one }).collect()
    };
    // As many as may be, of which the last is one too many beside what there is.
    store.subscribe(&at_once(request(1, ADA, &["S1"]), RuleName::House), UNLIMITED, at(0)).await.unwrap();
    let three = request(2, ADA, &["S2", "S3", "S4"]);
    let beyond = store.subscribe(&at_once(three.clone(), RuleName::House), UNLIMITED, at(1)).await;
    assert!(matches!(beyond, Err(StoreError::BeyondLimit(LimitExceeded::PerReceiver(3)))), "{beyond:?}");
    assert_eq!(active(&store).await, 1);
    // Of the request alone, whoever asks: more than anybody may have, and more rules than are judged.
    let four = request(5, "bob@example.com", &["S1", "S2", "S3", "S4"]);
    let beyond = store.subscribe(&four, UNLIMITED, at(2)).await;
    assert!(matches!(beyond, Err(StoreError::BeyondLimit(LimitExceeded::PerReceiver(3)))), "{beyond:?}");
    let ruled = at_once(request(9, "bob@example.com", &["S1", "S2"]), own(1));
    store.subscribe(&ruled, UNLIMITED, at(3)).await.unwrap();
    let three: Vec<SignUp> = three.into_iter().map(|one| SignUp { rule: own(2), ..one }).collect();
    let beyond = store.subscribe(&three, UNLIMITED, at(4)).await;
    assert!(matches!(beyond, Err(StoreError::BeyondLimit(LimitExceeded::Rules(4)))), "{beyond:?}");
    store.subscribe(&three[..2], UNLIMITED, at(5)).await.unwrap();
    assert_eq!(store.take_in(UNLIMITED, at(6)).await.unwrap().sign_ups, 2);
}

pub async fn the_watchlist_is_told_of_every_symbol_and_nobody_twice(store: Shared) {
    let ada = SignUp { confirm: false, ..sign_up(1, ADA, "*") };
    let narrow = SignUp { confirm: false, ..sign_up(2, ADA, "TSLA") };
    let bob = SignUp { confirm: false, ..sign_up(3, "bob@example.com", "*") };
    for one in [&ada, &narrow, &bob] {
        ask(&store, one, UNLIMITED, at(-3600)).await;
    }
    let told = async |name: &str, n: i32| {
        raise(&store, name, n, at(i64::from(n))).await;
        let mails = claim_all(&store, at(i64::from(n))).await;
        for mail in &mails {
            settle(&store, mail, Outcome::Sent, at(i64::from(n))).await;
        }
        mails.iter().map(|mail| mail.subscription.id).collect::<BTreeSet<_>>()
    };
    assert_eq!(told("TSLA", 0).await, BTreeSet::from([narrow.id, bob.id]), "by the narrower");
    assert_eq!(told("LATER", 1).await, BTreeSet::from([ada.id, bob.id]), "nobody named it");
    // What is paused for a symbol is not told because of the others.
    let pause = SubscriptionChange { paused_until: Some(Some(Timestamp::MAX)), ..Default::default() };
    amend(&store, &narrow, pause, at(2)).await;
    assert_eq!(told("TSLA", 3).await, BTreeSet::from([bob.id]));
    assert_eq!(told("LATER", 4).await, BTreeSet::from([ada.id, bob.id]));
    // Once it has ended, the watchlist is told of it again.
    store.unsubscribe(&narrow.hashes.unsubscribe, false, at(5)).await.unwrap();
    assert_eq!(told("TSLA", 6).await, BTreeSet::from([ada.id, bob.id]));
}

pub async fn own_rules_on_the_watchlist_are_watched_read_and_limited(store: Shared) {
    store.hold_to(SubscriptionLimits { rules: 4, watchlist: 3, ..Default::default() });
    let at_once = |n: u16, name: &str, rule: RuleName| {
        let email = format!("s{n}@example.com");
        [SignUp { confirm: false, rule, ..sign_up(n, &email, name) }]
    };
    let subscribe = async |one: [SignUp; 1]| store.subscribe(&one, UNLIMITED, at(-3600)).await;
    let beyond = |answer: Result<SignedUp, StoreError>| {
        matches!(answer, Err(StoreError::BeyondLimit(LimitExceeded::Rules(4))))
    };
    subscribe(at_once(1, "TSLA", own_rule())).await.unwrap();
    subscribe(at_once(2, "AAPL", own(2))).await.unwrap();
    // Three symbols, of which one is judged already.
    let whole = at_once(3, "*", own_rule());
    let version = store.watch_version().await.unwrap();
    subscribe(whole.clone()).await.unwrap();
    let watched = store.watched().await.unwrap();
    assert!(
        watched.version > version && watched.watches.iter().any(|(scope, ..)| *scope == Scope::Watchlist)
    );
    assert!(beyond(subscribe(at_once(4, "MSFT", own(4))).await), "three and one are judged");
    subscribe(at_once(5, "MSFT", own_rule())).await.unwrap();
    subscribe(at_once(6, "*", own_rule())).await.unwrap();
    assert!(beyond(subscribe(at_once(7, "*", own(2))).await));
    // Its holder reads what is raised by it on any symbol, and nobody else does.
    let found = store.subscription_of(Purpose::Manage, &whole[0].hashes.manage).await.unwrap().unwrap();
    let mine = private("NVDA", MINUTE);
    store.commit(&alerts_of([AlertChange::Raised(mine.clone())]), at(0)).await.unwrap();
    assert!(found.may_read(&mine));
    let newest = store.sequence().await.unwrap();
    let rows = async |audience: Audience<'_>| {
        store.rows_after(ChangeCursor::end_of(Sequence(0)), newest, 99, audience).await.unwrap().len()
    };
    assert_eq!(
        (rows(Audience::Everybody).await, rows(Audience::Subscriber(slice::from_ref(&found))).await),
        (0, 1)
    );
    let query = AlertQuery { rule: Some(own_rule()), private_too: true, limit: 9, ..Default::default() };
    assert_eq!(store.alerts(query).await.unwrap(), [mine]);
}
