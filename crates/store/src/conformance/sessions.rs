//! Links that sign in, and the browsers that are signed in.

use super::*;

const MINUTES: i64 = 60;

/// What a request for a link to `email` brings, by number.
fn request(n: u16, email: &str) -> SignInRequest {
    let mut bytes = [9; 16];
    bytes[..2].copy_from_slice(&n.to_be_bytes());
    let id = SignInId::from_random(bytes);
    SignInRequest {
        id,
        token: TokenKey::new([1; 32]).sign_in_token(id).hash(),
        address: email.parse().unwrap(),
    }
}

/// What a browser holds, by number.
fn browser(n: u8) -> TokenHash {
    Token::from_random([n; 32]).hash()
}

/// Asks and has it decided. Answers how many mails came to be owed.
async fn ask_for(store: &Shared, request: &SignInRequest, limits: SignUpLimits, now: Timestamp) -> u64 {
    assert_eq!(store.ask_to_sign_in(request, limits, now).await.unwrap(), SignedUp::Taken);
    store.take_in_sign_ins(limits, &[], now).await.unwrap().owed
}

async fn claimed_links(store: &Shared, now: Timestamp) -> Vec<SignInMail> {
    store.claim_sign_ins(now, now + SignedDuration::from_secs(30)).await.unwrap()
}

/// `s1@example.com`, which is subscribed, and is owed a link since `now`.
async fn link_owed(store: &Shared, now: Timestamp) -> SignInRequest {
    subscribed(store, 1, "TSLA", at(-3600)).await;
    let request = request(1, "S1@example.com");
    assert_eq!(ask_for(store, &request, UNLIMITED, now).await, 1);
    request
}

pub async fn a_link_signs_one_browser_in(store: Shared) {
    let request = link_owed(&store, at(0)).await;
    assert!(store.signs_in_as(&request.token, at(1)).await.unwrap().is_some());
    assert_eq!(store.sign_in(&browser(9), &browser(1), at(1)).await.unwrap(), None, "no link");
    let session = store.sign_in(&request.token, &browser(1), at(1)).await.unwrap().unwrap();
    assert_eq!(session.address.expose(), "s1@example.com", "as it is subscribed");
    assert_eq!(session.created_at, at(1));
    assert_eq!(store.session(&browser(1), at(2)).await.unwrap(), Some(session.clone()));
    assert_eq!(store.sessions_of("s1@example.com", at(2)).await.unwrap(), [session]);
    assert!(store.signs_in_as(&request.token, at(2)).await.unwrap().is_none(), "used up");
    assert_eq!(store.sign_in(&request.token, &browser(2), at(2)).await.unwrap(), None);
    assert_eq!(store.session(&browser(2), at(2)).await.unwrap(), None);
    store.end_session(&browser(2)).await.unwrap();
    assert!(store.session(&browser(1), at(3)).await.unwrap().is_some(), "another's end");
    store.end_session(&browser(1)).await.unwrap();
    store.end_session(&browser(1)).await.unwrap();
    assert_eq!(store.session(&browser(1), at(3)).await.unwrap(), None);
}

pub async fn links_and_sessions_end_in_time_and_are_forgotten(store: Shared) {
    let late = link_owed(&store, at(0)).await;
    assert!(store.signs_in_as(&late.token, at(15 * MINUTES - 1)).await.unwrap().is_some());
    assert_eq!(store.sign_in(&late.token, &browser(1), at(15 * MINUTES)).await.unwrap(), None);
    let used = request(2, "s1@example.com");
    assert_eq!(ask_for(&store, &used, UNLIMITED, at(15 * MINUTES)).await, 1);
    let begun = 16 * MINUTES;
    store.sign_in(&used.token, &browser(2), at(begun)).await.unwrap().unwrap();
    assert!(store.session(&browser(2), at(begun + 30 * DAY - 1)).await.unwrap().is_some());
    assert_eq!(store.session(&browser(2), at(begun + 30 * DAY)).await.unwrap(), None);
    assert_eq!(forget(&store, 3 * DAY, 99).await, 2, "the requests");
    assert_eq!(forget(&store, begun + 30 * DAY - 1, 99).await, 0);
    assert_eq!(forget(&store, begun + 30 * DAY, 99).await, 1);
}

pub async fn links_are_for_subscribers_and_operators_alone(store: Shared) {
    subscribed(&store, 1, "TSLA", at(-3600)).await;
    let paused = subscribed(&store, 2, "TSLA", at(-3600)).await;
    let pause = SubscriptionChange { paused_until: Some(Some(Timestamp::MAX)), ..Default::default() };
    amend(&store, &paused, pause, at(-3600)).await;
    let gone = subscribed(&store, 3, "TSLA", at(-3600)).await;
    store.unsubscribe(&gone.hashes.unsubscribe, false, at(-3600)).await.unwrap();
    ask(&store, &sign_up(4, "pending@example.com", "TSLA"), UNLIMITED, at(-3600)).await;
    let operators = ["Ops@example.com".parse().unwrap()];
    for (n, email, expected) in [
        (1, "S1@Example.com", Some("s1@example.com")),
        (2, "s2@example.com", Some("s2@example.com")),
        (3, "s3@example.com", None),
        (4, "pending@example.com", None),
        (5, "stranger@example.com", None),
        (6, "s1+x@example.com", None),
        (7, "ops@example.com", Some("Ops@example.com")),
    ] {
        let asked = request(n, email);
        assert_eq!(store.ask_to_sign_in(&asked, UNLIMITED, at(0)).await.unwrap(), SignedUp::Taken);
        let owed = store.take_in_sign_ins(UNLIMITED, &operators, at(0)).await.unwrap().owed;
        let mails = claimed_links(&store, at(0)).await;
        assert_eq!((owed, mails.len()), (expected.iter().count() as u64, expected.iter().count()), "{email}");
        assert_eq!(mails.first().map(|mail| mail.to.expose()), expected);
        assert_eq!(store.signs_in_as(&asked.token, at(1)).await.unwrap().is_some(), expected.is_some());
    }
}

pub async fn no_link_goes_to_who_is_suppressed(store: Shared) {
    subscribed(&store, 1, "TSLA", at(-3600)).await;
    for n in 0..3 {
        assert!(answered(&store, n, Outcome::Failed(Failure::other("550")), at(60 * i64::from(n))).await);
    }
    assert_eq!(ask_for(&store, &request(1, "s1@example.com"), UNLIMITED, at(300)).await, 0);
    assert_eq!(ask_for(&store, &request(2, "s1@example.com"), UNLIMITED, at(31 * DAY)).await, 1);
}

pub async fn one_mailbox_gets_three_links_a_day_ten_minutes_apart(store: Shared) {
    subscribed(&store, 1, "TSLA", at(-3600)).await;
    let limits = SignUpLimits::default();
    let ask = async |n: u16, seconds: i64| {
        ask_for(&store, &request(n, "s1@example.com"), limits, at(seconds)).await
    };
    let waited = async |seconds: i64| store.take_in_sign_ins(limits, &[], at(seconds)).await.unwrap().owed;
    assert_eq!(ask(1, 0).await, 1);
    assert_eq!(ask(2, 60).await, 0);
    assert_eq!(ask(3, 61).await, 0, "one waits, the newest");
    assert_eq!(waited(599).await, 0);
    assert_eq!(waited(600).await, 1);
    assert!(store.signs_in_as(&request(3, "s1@example.com").token, at(601)).await.unwrap().is_some());
    assert_eq!(ask(4, 1200).await, 1);
    // The fourth would have to wait until the next day: nobody does.
    assert_eq!(ask(5, 1800).await, 0);
    assert_eq!(waited(DAY).await, 0);
    assert_eq!(ask(6, DAY + 1).await, 1);
    // Whoever signs in waits for no other.
    assert_eq!(ask(7, DAY + 2).await, 0);
    store.sign_in(&request(6, "s1@example.com").token, &browser(1), at(DAY + 3)).await.unwrap().unwrap();
    assert_eq!(waited(DAY + 602).await, 0);
}

pub async fn requests_for_links_that_wait_have_a_limit(store: Shared) {
    let limits = SignUpLimits { domain_per_hour: 1, total_per_hour: 1, ..SignUpLimits::default() };
    let mut taken = 0;
    for n in 0..200 {
        let asked = request(n, &format!("x{n}@example.com"));
        // So slowly that no rate limits them.
        match store.ask_to_sign_in(&asked, limits, at(i64::from(n))).await.unwrap() {
            SignedUp::Taken => taken += 1,
            SignedUp::Full(_) => break,
        }
    }
    assert_eq!(taken, 100);
    assert_eq!(store.take_in_sign_ins(limits, &[], at(101)).await.unwrap().owed, 0);
    assert_eq!(
        store.ask_to_sign_in(&request(999, "y@example.com"), limits, at(102)).await.unwrap(),
        SignedUp::Taken
    );
}

pub async fn requests_of_strangers_keep_nobody_from_a_link(store: Shared) {
    for n in [1, 2, 3] {
        subscribed(&store, n, "TSLA", at(-3600)).await;
    }
    // Room for one mail now, and for the next in half an hour.
    let limits = SignUpLimits { total_per_hour: 2, ..UNLIMITED };
    let asked = async |n: u16, email: &str| {
        assert_eq!(
            store.ask_to_sign_in(&request(n, email), UNLIMITED, at(0)).await.unwrap(),
            SignedUp::Taken
        );
    };
    let flood = async |numbers: std::ops::Range<u16>| {
        for n in numbers {
            asked(n, &format!("x{n}@example.org")).await;
        }
    };
    asked(1, "s1@example.com").await;
    asked(2, "s2@example.com").await;
    flood(100..550).await;
    // Neither the oldest nor among the newest.
    asked(3, "s3@example.com").await;
    flood(550..1000).await;
    let mut owed = 0;
    for round in 1.. {
        let taken = store.take_in_sign_ins(limits, &[], at(1)).await.unwrap();
        owed += taken.owed;
        assert!(round < 20, "it does not end");
        if !taken.more {
            break;
        }
    }
    assert_eq!(owed, 1);
    // Of the flood less waits than one transaction decides about.
    assert_eq!(store.take_in_sign_ins(UNLIMITED, &[], at(2)).await.unwrap().owed, 2);
}

pub async fn a_mail_with_a_link_is_claimed_by_lease_and_tried_while_it_works(store: Shared) {
    let asked = link_owed(&store, at(0)).await;
    let first = claimed_links(&store, at(1)).await.remove(0);
    assert_eq!((first.id, first.attempt, first.expires_at), (asked.id, 1, at(15 * MINUTES)));
    assert!(claimed_links(&store, at(2)).await.is_empty(), "under way");
    let second = claimed_links(&store, at(40)).await.remove(0);
    let settle = async |mail: &SignInMail, outcome: Outcome, seconds: i64| {
        store.settle_sign_in(mail.id, mail.lease, &outcome, at(seconds)).await.unwrap()
    };
    assert!(!settle(&first, Outcome::Sent, 41).await, "claimed anew meanwhile");
    assert!(settle(&second, Outcome::RetryAt(at(60), Failure::other("451")), 42).await);
    assert!(claimed_links(&store, at(59)).await.is_empty());
    let third = claimed_links(&store, at(60)).await.remove(0);
    // Its dispatcher is gone.
    assert_eq!(store.release_leases().await.unwrap(), 1);
    let fourth = claimed_links(&store, at(61)).await.remove(0);
    assert_eq!((third.attempt, fourth.attempt), (3, 4));
    assert!(settle(&fourth, Outcome::NotTried(at(70), "no room".to_owned()), 62).await);
    let fifth = claimed_links(&store, at(70)).await.remove(0);
    assert!(settle(&fifth, Outcome::Sent, 71).await);
    assert!(!settle(&fifth, Outcome::Sent, 72).await, "once");
    assert!(claimed_links(&store, at(90)).await.is_empty());
    // What nobody took while its link worked goes out no more.
    let late = request(2, "s1@example.com");
    assert_eq!(ask_for(&store, &late, UNLIMITED, at(100)).await, 1);
    assert!(claimed_links(&store, at(100 + 15 * MINUTES)).await.is_empty());
}

pub async fn a_few_mails_with_links_are_under_way_at_once(store: Shared) {
    for n in 1..=6 {
        subscribed(&store, n, "TSLA", at(-3600)).await;
        assert_eq!(ask_for(&store, &request(n, &format!("s{n}@example.com")), UNLIMITED, at(0)).await, 1);
    }
    let first = claimed_links(&store, at(1)).await;
    assert_eq!((first.len(), claimed_links(&store, at(2)).await.len()), (4, 0));
    assert!(store.settle_sign_in(first[0].id, first[0].lease, &Outcome::Sent, at(2)).await.unwrap());
    assert_eq!(claimed_links(&store, at(3)).await.len(), 1);
}

pub async fn an_address_has_so_many_sessions_and_the_oldest_end(store: Shared) {
    subscribed(&store, 1, "TSLA", at(-3600)).await;
    for n in 0..MOST_SESSIONS as u8 + 2 {
        let (asked, now) = (request(n.into(), "s1@example.com"), at(i64::from(n)));
        assert_eq!(ask_for(&store, &asked, UNLIMITED, now).await, 1);
        store.sign_in(&asked.token, &browser(n), now).await.unwrap().unwrap();
    }
    let open = store.sessions_of("s1@example.com", at(100)).await.unwrap();
    assert_eq!(open.len(), MOST_SESSIONS);
    assert_eq!(open.last().unwrap().created_at, at(2));
    assert_eq!(store.session(&browser(1), at(100)).await.unwrap(), None);
}

pub async fn erasing_a_recipient_signs_it_out(store: Shared) {
    let used = link_owed(&store, at(0)).await;
    store.sign_in(&used.token, &browser(1), at(1)).await.unwrap().unwrap();
    let unused = request(2, "s1@example.com");
    assert_eq!(ask_for(&store, &unused, UNLIMITED, at(2)).await, 1);
    store.erase("s1@example.com").await.unwrap();
    assert_eq!(store.session(&browser(1), at(3)).await.unwrap(), None);
    assert_eq!(store.sign_in(&unused.token, &browser(2), at(3)).await.unwrap(), None);
    assert!(claimed_links(&store, at(3)).await.is_empty());
}

/// However many use a link at once, in one browser it signs in.
pub async fn one_link_used_by_many_at_once_signs_one_in(store: Shared, other: Shared) {
    let link = link_owed(&store, at(0)).await.token;
    let using: Vec<_> = (0..20)
        .map(|n| {
            let store = if n % 2 == 0 { store.clone() } else { other.clone() };
            tokio::spawn(async move { store.sign_in(&link, &browser(n), at(1)).await.unwrap().is_some() })
        })
        .collect();
    let mut signed_in = 0;
    for one in using {
        signed_in += usize::from(one.await.unwrap());
    }
    assert_eq!(signed_in, 1);
    assert_eq!(store.sessions_of("s1@example.com", at(2)).await.unwrap().len(), 1);
}
