//! What receivers ask for, against a real store.

use crate::world::{MONDAY, World, at, symbol};
use jiff::SignedDuration;
use qqq_core::market::calendar::Market;
use qqq_core::market::watchlist::DEFAULT_SYMBOLS;
use qqq_core::subscription::channel::{Webhook, WebhookFormat};
use qqq_core::subscription::token::{Purpose, Token, TokenKey};
use qqq_core::subscription::{Scope, SubscriptionId, SubscriptionStatus};
use qqq_core::{Channel, Clock, Metric, RuleName};
use qqq_engine::subscribe::{Pause, SignUpPolicy, Standing, Subscriptions, Wish};
use qqq_store::{Amended, Choice, Confirmed, SignUpLimits, SubscriptionQuery};
use std::sync::Arc;
use tokio::sync::Notify;

fn key() -> TokenKey {
    TokenKey::new([3; 32])
}

fn subscriptions(world: &World, confirm: bool) -> (Subscriptions, Arc<Notify>) {
    let outbox_wakeup = Arc::new(Notify::new());
    let policy =
        SignUpPolicy { confirm, limits: SignUpLimits::default(), outbox_wakeup: Arc::clone(&outbox_wakeup) };
    let (store, clock) = (Arc::clone(&world.store), Arc::clone(&world.clock) as Arc<dyn Clock>);
    (Subscriptions::new(store, clock, key(), policy), outbox_wakeup)
}

fn wish(channel: Channel) -> Wish {
    let scopes = vec![symbol("NVDA").into()];
    Wish { channel, scopes, metric: Metric::Volume, rule: RuleName::House, quiet: None }
}

fn mail() -> Channel {
    Channel::Email("ada@example.com".parse().unwrap())
}

fn webhook() -> Channel {
    let url = "https://hooks.example.com/x".parse().unwrap();
    Channel::Webhook(Webhook { url, format: WebhookFormat::Standard })
}

/// The tokens of the only subscription, as its messages tell them.
async fn token(world: &World, purpose: Purpose) -> Token {
    let all = SubscriptionQuery { limit: 2, ..SubscriptionQuery::default() };
    let [only] = &world.store.subscriptions(&all).await.unwrap()[..] else { panic!("one subscription") };
    key().token(purpose, only.id, &only.nonce)
}

async fn world() -> World {
    let world = World::new(Market::Always).await;
    world.clock.set(at(MONDAY));
    world
}

#[tokio::test]
async fn a_wish_is_pending_until_its_link_is_used_and_can_be_ended() {
    let world = world().await;
    let (subscriptions, wakeup) = subscriptions(&world, true);
    assert_eq!(subscriptions.sign_up(wish(mail())).await.unwrap(), Standing::Pending);
    assert!(!was_notified(&wakeup), "nothing is owed yet");
    world.store.take_in(SignUpLimits::default(), at(MONDAY)).await.unwrap();
    let confirm = token(&world, Purpose::Confirm).await;
    assert_eq!(subscriptions.confirmable(&confirm).await.unwrap().unwrap().asked.len(), 1);
    let confirmed = subscriptions.confirm(&confirm, &Choice::Everything).await.unwrap();
    assert!(
        matches!(&confirmed, Confirmed::Settled { activated, .. } if activated.len() == 1),
        "{confirmed:?}"
    );
    let unsubscribe = token(&world, Purpose::Unsubscribe).await;
    let ended = subscriptions.unsubscribe(&unsubscribe, false).await.unwrap().unwrap();
    assert_eq!(ended.status, SubscriptionStatus::Unsubscribed);
}

#[tokio::test]
async fn where_nobody_is_asked_the_outbox_is_woken_at_once() {
    let world = world().await;
    let (subscriptions, wakeup) = subscriptions(&world, false);
    assert_eq!(subscriptions.sign_up(wish(webhook())).await.unwrap(), Standing::Active);
    assert!(was_notified(&wakeup));
}

#[tokio::test]
async fn a_token_that_was_guessed_opens_nothing() {
    let world = world().await;
    let (subscriptions, _) = subscriptions(&world, false);
    subscriptions.sign_up(wish(mail())).await.unwrap();
    let guessed = key().token(Purpose::Confirm, SubscriptionId::from_random([9; 16]), &[9; 16]);
    assert!(subscriptions.confirmable(&guessed).await.unwrap().is_none());
    assert_eq!(subscriptions.confirm(&guessed, &Choice::Everything).await.unwrap(), Confirmed::Unknown);
    assert!(subscriptions.unsubscribe(&guessed, true).await.unwrap().is_none());
    assert_eq!(subscriptions.pause(&guessed, Pause::UntilResumed).await.unwrap(), Amended::Unknown);
}

#[tokio::test]
async fn a_pause_ends_by_itself_or_when_it_is_resumed() {
    let world = world().await;
    let (subscriptions, _) = subscriptions(&world, false);
    subscriptions.sign_up(wish(mail())).await.unwrap();
    let manage = token(&world, Purpose::Manage).await;
    let hour = SignedDuration::from_hours(1);
    for (pause, now, after_an_hour) in
        [(Pause::For(hour), true, false), (Pause::UntilResumed, true, true), (Pause::Resume, false, false)]
    {
        world.clock.set(at(MONDAY));
        let amended = subscriptions.pause(&manage, pause).await.unwrap();
        let Amended::Changed(subscription) = amended else { panic!("{pause:?}: {amended:?}") };
        assert_eq!(subscriptions.is_paused(&subscription), now, "{pause:?}");
        world.clock.set(at(MONDAY) + hour);
        assert_eq!(subscriptions.is_paused(&subscription), after_an_hour, "{pause:?}");
    }
}

#[tokio::test]
async fn only_what_is_signed_has_a_secret() {
    let world = world().await;
    let (subscriptions, _) = subscriptions(&world, false);
    subscriptions.sign_up(wish(webhook())).await.unwrap();
    let manage = token(&world, Purpose::Manage).await;
    let before = subscriptions.find(Purpose::Manage, &manage).await.unwrap().unwrap();
    let rotated = subscriptions.rotate_secret(&manage, &before).await.unwrap();
    let Some(Amended::Changed(after)) = rotated else { panic!("{rotated:?}") };
    let secret = |of| subscriptions.secret(of).unwrap().expose();
    assert_ne!(secret(&before), secret(&after));
    let by_mail = qqq_core::subscription::Subscription { channel: mail(), ..before };
    assert!(subscriptions.secret(&by_mail).is_none());
    assert_eq!(subscriptions.rotate_secret(&manage, &by_mail).await.unwrap(), None);
}

/// A day of strangers who name one victim: one symbol, ten or the watchlist, by ever other rules.
#[tokio::test]
async fn ten_thousand_sign_ups_by_strangers_are_three_mails_and_add_nothing() {
    const SIGN_UPS: u32 = 10_000;
    let world = world().await;
    let (subscriptions, _) = subscriptions(&world, true);
    subscriptions.sign_up(wish(mail())).await.unwrap();
    let mut mails = take_in(&world).await;
    let confirm = token(&world, Purpose::Confirm).await;
    subscriptions.confirm(&confirm, &Choice::Everything).await.unwrap();
    let is_mine = async || {
        let all = SubscriptionQuery { limit: 99_999, ..SubscriptionQuery::default() };
        let all = world.store.subscriptions(&all).await.unwrap();
        let active: Vec<_> = all.into_iter().filter(|one| one.status == SubscriptionStatus::Active).collect();
        let [mine] = &active[..] else { panic!("{} are active", active.len()) };
        mine.clone()
    };
    let mine = is_mine().await;
    let ten = DEFAULT_SYMBOLS.map(|name| symbol(name).into());
    let mut sent_at = Vec::new();
    for n in 0..SIGN_UPS {
        let second = 1 + i64::from(n) * 23 * 3600 / i64::from(SIGN_UPS);
        world.clock.set(at(MONDAY) + SignedDuration::from_secs(second));
        let scopes = match n % 10 {
            0 => ten.to_vec(),
            1 => vec![Scope::Watchlist],
            _ => vec![symbol("TSLA").into()],
        };
        let rule = format!("spike ratio={}.{:03}", 2 + n / 1000, n % 1000).parse().unwrap();
        let answer = subscriptions.sign_up(Wish { scopes, rule, ..wish(mail()) }).await.unwrap();
        assert_eq!(answer, Standing::Pending, "the same answer to all of them");
        if n % 50 == 0 {
            let sent = take_in(&world).await;
            mails += sent;
            sent_at.extend((sent > 0).then_some(second));
        }
    }
    mails += take_in(&world).await;
    assert_eq!(mails, 3, "with the victim's own: {sent_at:?}");
    assert!(sent_at.iter().all(|second| *second >= 600), "{sent_at:?}");
    assert_eq!(is_mine().await, mine, "nothing but what the victim confirmed is active, as it was");
    assert!(world.store.watched().await.unwrap().watches.is_empty(), "no rule is judged for strangers");
}

/// Takes all sign-ups in; answers how many messages that ask to confirm follow.
async fn take_in(world: &World) -> u64 {
    let mut mails = 0;
    loop {
        let taken = world.store.take_in(SignUpLimits::default(), world.clock.now()).await.unwrap();
        mails += taken.confirmations;
        if !taken.more {
            return mails;
        }
    }
}

/// Whether somebody was notified.
fn was_notified(wakeup: &Notify) -> bool {
    let mut notified = std::pin::pin!(wakeup.notified());
    notified.as_mut().enable()
}
