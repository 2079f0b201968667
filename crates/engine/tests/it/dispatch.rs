//! One attempt at a time, whatever happens to the clock.

use crate::world::{MONDAY, World, at, bar, label, minute, symbol};
use async_trait::async_trait;
use jiff::SignedDuration;
use qqq_core::alert::{Alert, AlertChange, AlertId, AlertState, Metric, Occurrence};
use qqq_core::delivery::{Delivery, Failure, SignInMail};
use qqq_core::market::calendar::Market;
use qqq_core::subscription::channel::{Channel as Receiver, Webhook, WebhookFormat};
use qqq_core::subscription::session::SignInId;
use qqq_core::subscription::token::{Purpose, TokenKey};
use qqq_core::subscription::{EmailAddress, SubscriptionId, SubscriptionStatus};
use qqq_core::{Clock, Evidence, RuleName, SpikeRule};
use qqq_engine::dispatch::Dispatch;
use qqq_notify::{Deliver, DeliveryError, Mail, MailConfig};
use qqq_store::{
    Batch, Budget, DeliveryQuery, DeliveryState, OutboxSummary, SignInRequest, SignUp, SignUpLimits,
};
use qqq_testkit::until;
use std::slice;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

/// What no test here sends.
const UNLIMITED: Budget = Budget { messages: 1_000_000, per_seconds: 60 };

/// Answers what it is told to, once a permit lets it.
struct Channel {
    begun: AtomicUsize,
    answers: Mutex<Vec<Result<(), DeliveryError>>>,
    /// Mails with links: to whom, and the attempt.
    links: Mutex<Vec<(String, u32)>>,
    gate: Semaphore,
}

impl Channel {
    fn new(permits: usize) -> Arc<Self> {
        Arc::new(Self {
            begun: AtomicUsize::new(0),
            answers: Mutex::default(),
            links: Mutex::default(),
            gate: Semaphore::new(permits),
        })
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Deliver for Channel {
    async fn deliver(&self, _: &Delivery) -> Result<(), DeliveryError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        self.answers.lock().unwrap().pop().unwrap_or(Ok(()))
    }

    async fn deliver_sign_in(&self, mail: &SignInMail) -> Result<(), DeliveryError> {
        self.links.lock().unwrap().push((mail.to.expose().to_owned(), mail.attempt));
        self.answers.lock().unwrap().pop().unwrap_or(Ok(()))
    }
}

/// Asks for a link, as a server does.
async fn ask_to_sign_in(world: &World, n: u8, email: &str) {
    let id = SignInId::from_random([n; 16]);
    let token = TokenKey::new([3; 32]).sign_in_token(id).hash();
    let request = SignInRequest { id, token, address: email.parse().unwrap() };
    let now = world.clock.now();
    world.store.ask_to_sign_in(&request, SignUpLimits::default(), now).await.unwrap();
}

#[tokio::test]
async fn links_to_sign_in_go_to_subscribers_and_operators_and_are_tried_while_they_work() {
    let world = one_owed().await;
    let channel = Channel::new(10);
    let ops: EmailAddress = "ops@example.com".parse().unwrap();
    let dispatch = dispatch(&world, &channel).with_operators([ops]);
    let round = async || dispatch.run_once(&CancellationToken::new()).await.unwrap();
    let links = || std::mem::take(&mut *channel.links.lock().unwrap());
    round().await;
    for (n, email) in [(1, "ada@example.com"), (2, "ops@example.com"), (3, "stranger@example.com")] {
        ask_to_sign_in(&world, n, email).await;
    }
    let refused = || Err(DeliveryError::Retry(Failure::other("451")));
    *channel.answers.lock().unwrap() = vec![refused(), refused()];
    round().await;
    let mut first = links();
    first.sort();
    assert_eq!(first, [("ada@example.com".to_owned(), 1), ("ops@example.com".to_owned(), 1)]);
    round().await;
    assert_eq!(links(), [], "not yet");
    world.clock.set(world.clock.now() + SignedDuration::from_secs(10));
    *channel.answers.lock().unwrap() = vec![Ok(()), refused()];
    round().await;
    assert_eq!(links().len(), 2);
    // The one that was refused again is not worth sending once its link is too old.
    world.clock.set(world.clock.now() + SignedDuration::from_mins(15));
    round().await;
    assert_eq!(links(), []);
}

/// A world in which one alert is owed to one subscriber by mail.
async fn one_owed() -> World {
    owed_to(Receiver::Email("ada@example.com".parse().unwrap())).await
}

async fn owed_to(receiver: Receiver) -> World {
    let world = World::new(Market::Always).await;
    let (id, nonce) = (SubscriptionId::from_random([1; 16]), [2; 16]);
    let sign_up = SignUp {
        id,
        channel: receiver,
        scope: symbol("NVDA").into(),
        metric: Metric::Volume,
        rule: RuleName::House,
        quiet: None,
        nonce,
        hashes: TokenKey::new([3; 32]).hashes(id, &nonce),
        confirm: false,
    };
    world.store.subscribe(slice::from_ref(&sign_up), SignUpLimits::default(), at(MONDAY)).await.unwrap();
    // A webhook is told its secret, though there is nothing to confirm.
    world.clock.set(at(MONDAY));
    dispatch(&world, &Channel::new(1)).run_once(&CancellationToken::new()).await.unwrap();
    raise(&world, 5).await;
    world
}

/// An alert is enqueued, so many minutes after the market opens.
async fn raise(world: &World, minutes: i32) {
    let start = minute(MONDAY).plus_minutes(minutes);
    let value = bar("NVDA", start, 10_000, 9_000).volume.shares().into();
    let alert = Alert {
        id: AlertId::derive("spike", symbol("NVDA"), Metric::Volume, start),
        rule: RuleName::House.whole(SpikeRule::default()),
        symbol: symbol("NVDA"),
        metric: Metric::Volume,
        start,
        value,
        evidence: Evidence::Average { sum: 60_000, bars: 60 },
        feed: label(),
        revision: 0,
        state: AlertState::Raised,
        raised_at: start.minute_end(),
        visibility: qqq_core::Visibility::Public,
        occurrences: vec![Occurrence { start, value }],
        folded: qqq_core::alert::Folded::default(),
        close: "118.42".parse().ok(),
        previous_close: "122.7".parse().ok(),
    };
    let batch = Batch { alerts: vec![AlertChange::Raised(alert)], ..Batch::default() };
    let committed = world.store.commit(&batch, start.minute_end()).await.unwrap();
    assert_eq!(committed.deliveries, 1);
    world.clock.set(start.minute_end());
}

fn dispatch(world: &World, channel: &Arc<Channel>) -> Dispatch {
    Dispatch::new(
        Arc::clone(&world.store),
        Arc::clone(channel) as Arc<dyn Deliver>,
        Arc::clone(&world.clock) as Arc<dyn Clock>,
        Arc::clone(&world.metrics),
        UNLIMITED,
    )
}

async fn summary(world: &World) -> OutboxSummary {
    world.store.outbox().await.unwrap()
}

#[tokio::test]
async fn a_lease_that_ran_out_while_sending_is_not_sent_twice() {
    let world = one_owed().await;
    let channel = Channel::new(0);
    let (wakeup, stop) = (Arc::new(Notify::new()), CancellationToken::new());
    let running = tokio::spawn(dispatch(&world, &channel).run(Arc::clone(&wakeup), stop.clone()));
    until("the attempt begins", async || channel.begun() == 1).await;

    // The machine slept for a minute: by the clock, the lease is long over.
    world.clock.set(world.clock.now() + SignedDuration::from_secs(60));
    for _ in 0..5 {
        wakeup.notify_one();
        tokio::task::yield_now().await;
    }
    // Looked at, not claimed: a claim of the test's would be the later one.
    let claimed_again = async || {
        let query = DeliveryQuery { state: DeliveryState::Pending, address: None, after: None, limit: 1 };
        world.store.deliveries(&query).await.unwrap()[0].attempts == 2
    };
    until("the dispatcher takes the lease again", claimed_again).await;
    assert_eq!(channel.begun(), 1, "sent a second time while the first was under way");

    channel.gate.add_permits(1);
    until("it is settled", async || summary(&world).await.pending == 0).await;
    stop.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(channel.begun(), 1);
}

#[tokio::test]
async fn a_refusal_for_now_is_tried_again_and_one_for_good_is_not() {
    let world = one_owed().await;
    let channel = Channel::new(10);
    *channel.answers.lock().unwrap() = vec![
        Err(DeliveryError::GiveUp(Failure::other("550"))),
        Err(DeliveryError::Retry(Failure::other("451"))),
    ];
    let (dispatch, stop) = (dispatch(&world, &channel), CancellationToken::new());
    assert_eq!(dispatch.run_once(&stop).await.unwrap(), 1);
    assert_eq!(dispatch.run_once(&stop).await.unwrap(), 0, "not before its time");
    world.clock.set(world.clock.now() + SignedDuration::from_secs(7));
    assert_eq!(dispatch.run_once(&stop).await.unwrap(), 1);
    world.clock.set(world.clock.now() + SignedDuration::from_hours(3));
    assert_eq!(dispatch.run_once(&stop).await.unwrap(), 0, "refused for good");
    assert_eq!(summary(&world).await.pending, 0);
}

#[tokio::test]
async fn who_asks_to_be_left_alone_is_left_alone_for_so_long_at_least() {
    let world = one_owed().await;
    let channel = Channel::new(10);
    let busy = |seconds| Err(DeliveryError::RetryAfter(Failure::other("429"), Duration::from_secs(seconds)));
    // The answers are taken from the end. The schedule adds 5 s, then 15 s, within a fifth.
    *channel.answers.lock().unwrap() =
        vec![Err(DeliveryError::Gone(Failure::other("410"))), busy(0), busy(600)];
    let (dispatch, stop) = (dispatch(&world, &channel), CancellationToken::new());
    let start = world.clock.now();
    for (after, attempts) in [(0, 1), (603, 0), (606, 1), (617, 0), (624, 1), (100_000, 0)] {
        world.clock.set(start + SignedDuration::from_secs(after));
        assert_eq!(dispatch.run_once(&stop).await.unwrap(), attempts, "after {after} s");
    }
    assert_eq!(summary(&world).await.pending, 0);
}

#[tokio::test]
async fn a_webhook_that_is_paused_comes_back_soon_after_and_one_that_is_gone_ends_its_subscription() {
    let url = "https://example.com/hook".parse().unwrap();
    let world = owed_to(Receiver::Webhook(Webhook { url, format: WebhookFormat::Standard })).await;
    let channel = Channel::new(10);
    let paused =
        |seconds| Err(DeliveryError::NotTried("left alone".to_owned(), Duration::from_secs(seconds)));
    // From the end: who was not asked has not failed, so the first failure waits 5 s, within a fifth.
    *channel.answers.lock().unwrap() = vec![
        Err(DeliveryError::Gone(Failure::other("410"))),
        Err(DeliveryError::Retry(Failure::other("500"))),
        paused(900),
        paused(30),
    ];
    let (dispatch, stop) = (dispatch(&world, &channel), CancellationToken::new());
    let start = world.clock.now();
    for (after, attempts) in [(0, 1), (33, 0), (36, 1), (939, 0), (943, 1), (946, 0), (950, 1), (9_999, 0)] {
        world.clock.set(start + SignedDuration::from_secs(after));
        assert_eq!(dispatch.run_once(&stop).await.unwrap(), attempts, "after {after} s");
    }
    assert_eq!(summary(&world).await.pending, 0);
    let id = SubscriptionId::from_random([1; 16]);
    let nonce = [2; 16];
    let token = TokenKey::new([3; 32]).token(Purpose::Manage, id, &nonce);
    let subscription = world.store.subscription_of(Purpose::Manage, &token.hash()).await.unwrap().unwrap();
    assert_eq!(subscription.status, SubscriptionStatus::Disabled);
}

#[tokio::test]
async fn what_is_over_the_budget_comes_as_one_mail_afterwards() {
    let world = one_owed().await;
    let folder = tempfile::tempdir().unwrap();
    let config = MailConfig {
        smtp_url: None,
        helo_name: String::new(),
        from: "alerts@example.org".to_owned(),
        public_url: "https://qqq.example.org/".parse().unwrap(),
        folder: folder.path().to_owned(),
        rule: SpikeRule::default(),
    };
    let mail = Mail::new(config, TokenKey::new([3; 32]), Arc::clone(&world.clock) as Arc<dyn Clock>).unwrap();
    let dispatch = Dispatch::new(
        Arc::clone(&world.store),
        Arc::new(mail),
        Arc::clone(&world.clock) as Arc<dyn Clock>,
        Arc::clone(&world.metrics),
        Budget { messages: 1, per_seconds: 3_600 },
    );
    let stop = CancellationToken::new();
    let mut told = Vec::new();
    for minutes in [5, 6, 7, 8] {
        if minutes > 5 {
            raise(&world, minutes).await;
        }
        told.push(dispatch.run_once(&stop).await.unwrap());
    }
    assert_eq!(told, [1, 0, 0, 0], "one alert in an hour");
    world.clock.set(world.clock.now() + SignedDuration::from_hours(1));
    assert_eq!(dispatch.run_once(&stop).await.unwrap(), 1);
    assert_eq!(summary(&world).await.pending, 0);

    let names = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path());
    let digests: Vec<_> = names.filter(|path| path.to_str().unwrap().contains("-digest-")).collect();
    let digest = std::fs::read_to_string(&digests[0]).unwrap();
    assert!(digest.contains("Subject: 3 alerts that waited: NVDA\r\n"), "{digest}");
    assert_eq!(digests.len(), 1);
    assert_eq!(digest.matches("/s/NVDA\r\n").count(), 3, "{digest}");
}
