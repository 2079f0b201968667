//! What rules begin with: rows, sign-ups, and the shortest ways to do what is done often.

use super::*;

/// A store under test.
pub type Shared = Arc<dyn Store>;

/// 2025-01-31T00:59:00Z, 19:59 of the day before in New York: inside the extended hours.
pub const MINUTE: Second = Second::from_minute(28_971_419);

/// The wall clock `seconds` after the end of [`MINUTE`].
pub fn at(seconds: i64) -> Timestamp {
    MINUTE.minute_end().checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

/// A valid symbol.
pub fn symbol(text: &str) -> Symbol {
    text.parse().unwrap()
}

/// A bar with a close of `cents`, never revised.
pub fn bar(name: &str, start: Second, cents: i64) -> BarRecord {
    let price = Price::from_nanos(cents * Price::DOLLAR / 100).unwrap();
    let bar = Bar {
        symbol: symbol(name),
        start,
        open: price,
        high: price,
        low: price,
        close: price,
        volume: Volume::from_shares(cents * 10).unwrap(),
        vwap: (cents % 2 == 0).then_some(price),
        trades: (cents % 3 == 0).then_some(7),
        feed: "test".parse().unwrap(),
    };
    BarRecord { bar, revision: 0 }
}

/// An alert on the volume of a bar.
pub fn alert(name: &str, start: Second) -> Alert {
    Alert {
        id: AlertId::derive("spike", symbol(name), Metric::Volume, start),
        rule: RuleName::House.whole(SpikeRule::default()),
        symbol: symbol(name),
        metric: Metric::Volume,
        start,
        value: 151_234,
        evidence: Evidence::Average { sum: 1_262_070, bars: 60 },
        feed: "test".parse().unwrap(),
        revision: 2,
        state: AlertState::Raised,
        raised_at: start.minute_end(),
        visibility: Visibility::Public,
        occurrences: vec![Occurrence { start, value: 151_234 }],
        folded: Folded::default(),
        close: "118.42".parse().ok(),
        previous_close: "122.7".parse().ok(),
    }
}

/// The alert, retracted.
pub fn retracted(alert: &Alert) -> Alert {
    Alert { state: AlertState::Retracted, occurrences: Vec::new(), ..alert.clone() }
}

/// The rows without their stamps.
pub fn rows_of<T>(stamped: Vec<Stamped<T>>) -> Vec<T> {
    stamped.into_iter().map(|one| one.row).collect()
}

/// A step that changes alerts only.
pub fn alerts_of(changes: impl IntoIterator<Item = AlertChange>) -> Batch {
    Batch { alerts: changes.into_iter().collect(), ..Batch::default() }
}

/// A step that brings bars only.
pub fn bars_of(bars: impl IntoIterator<Item = BarRecord>) -> Batch {
    Batch { bars: bars.into_iter().collect(), ..Batch::default() }
}

/// The sign-up with number `n`, for alerts of the house rule on a volume, by mail, or by webhook where the
/// receiver is a URL.
pub fn sign_up(n: u16, receiver: &str, name: &str) -> SignUp {
    let mut bytes = [7; 16];
    bytes[..2].copy_from_slice(&n.to_be_bytes());
    let id = SubscriptionId::from_random(bytes);
    let channel = match receiver.parse() {
        Ok(url) => Channel::Webhook(Webhook { url, format: WebhookFormat::Ntfy }),
        Err(_) => Channel::Email(receiver.parse().unwrap()),
    };
    SignUp {
        id,
        channel,
        scope: name.parse().unwrap(),
        metric: Metric::Volume,
        rule: RuleName::House,
        quiet: None,
        nonce: bytes,
        hashes: TokenKey::new([1; 32]).hashes(id, &bytes),
        confirm: true,
    }
}

/// Limits that limit nothing.
pub const UNLIMITED: SignUpLimits = SignUpLimits {
    address_gap_seconds: 0,
    address_per_day: u32::MAX,
    domain_per_hour: u32::MAX,
    provider_per_hour: u32::MAX,
    total_per_hour: u32::MAX,
};

/// A budget that nobody uses up.
pub const PLENTY: Budget = Budget { messages: u32::MAX, per_seconds: 3600 };

/// A feed's state.
pub fn feed_status(mode: FeedMode, clock: Timestamp) -> FeedStatus {
    FeedStatus {
        provider: "test".to_owned(),
        label: "test".parse().unwrap(),
        mode,
        coverage: "all of it".to_owned(),
        stands_in_for: None,
        clock,
        answered_at: Some(clock),
        problem: None,
        asked_until: None,
        symbol_problems: Vec::new(),
    }
}

/// Signs up and has it taken in. Whether a message that asks to confirm was enqueued.
pub async fn ask(store: &Shared, sign_up: &SignUp, limits: SignUpLimits, now: Timestamp) -> bool {
    assert_eq!(store.subscribe(slice::from_ref(sign_up), limits, now).await.unwrap(), SignedUp::Taken);
    store.take_in(limits, now).await.unwrap().confirmations > 0
}

/// Confirms all there is, which is one.
pub(super) async fn confirmed(store: &Shared, sign_up: &SignUp, now: Timestamp) -> Subscription {
    let confirmed = store.confirm(&sign_up.hashes.confirm, &Choice::Everything, now).await.unwrap();
    let Confirmed::Settled { mut activated, declined, refused } = confirmed else { panic!("{confirmed:?}") };
    assert_eq!((activated.len(), declined.len(), refused.len()), (1, 0, 0));
    activated.remove(0)
}

/// Subscribes and is active from `now` on, without a mail being owed.
pub(super) async fn subscribed(store: &Shared, n: u16, name: &str, now: Timestamp) -> SignUp {
    let sign_up = SignUp { confirm: false, ..sign_up(n, &format!("s{n}@example.com"), name) };
    assert!(!ask(store, &sign_up, UNLIMITED, now).await);
    sign_up
}

/// Where the subscription of a sign-up stands; `None` where none was made.
pub(super) async fn status(store: &Shared, sign_up: &SignUp) -> Option<SubscriptionStatus> {
    let found = store.subscription_of(Purpose::Manage, &sign_up.hashes.manage).await.unwrap();
    found.map(|found| found.status)
}

/// A store with one alert, raised at [`at`]`(0)` and owed to one subscription.
pub(super) async fn one_enqueued(store: &Shared) -> (Alert, SignUp) {
    let sign_up = subscribed(store, 1, "TSLA", at(-3600)).await;
    let alert = alert("TSLA", MINUTE);
    let committed = store.commit(&alerts_of([AlertChange::Raised(alert.clone())]), at(0)).await.unwrap();
    assert_eq!(committed.deliveries, 1);
    (alert, sign_up)
}

pub(super) async fn claim_all(store: &Shared, now: Timestamp) -> Vec<Delivery> {
    store.claim(now, now + SignedDuration::from_secs(30), Rooms::for_anybody(100), PLENTY).await.unwrap()
}

pub(super) async fn claim_one(store: &Shared, now: Timestamp) -> Delivery {
    let mut claimed = claim_all(store, now).await;
    assert_eq!(claimed.len(), 1, "{claimed:?}");
    claimed.remove(0)
}

pub(super) async fn settle(store: &Shared, delivery: &Delivery, outcome: Outcome, now: Timestamp) -> bool {
    store.settle(delivery.id, delivery.lease, &outcome, now).await.unwrap()
}

pub(super) async fn retract(store: &Shared, alert: &Alert, now: Timestamp) -> u64 {
    let batch = alerts_of([AlertChange::Retracted(retracted(alert))]);
    let owed = store.commit(&batch, now).await.unwrap().deliveries;
    assert_eq!(store.commit(&batch, now).await.unwrap().deliveries, 0, "retracted twice");
    assert_eq!(store.alert(alert.id).await.unwrap().unwrap().state, AlertState::Retracted);
    owed
}

/// How many are (pending, sent, failed, expired, cancelled).
pub(super) async fn outbox(store: &Shared) -> (u64, u64, u64, u64, u64) {
    let summary = store.outbox().await.unwrap();
    assert_eq!(summary.oldest_pending.is_some(), summary.pending > 0);
    (summary.pending, summary.sent, summary.failed, summary.expired, summary.cancelled)
}

pub(super) fn statistics_of(name: &str, start: Second, stdev: f64) -> Statistics {
    let figures = Figures {
        stdev: Some(stdev),
        relative_stdev: None,
        trailing_average: Some(stdev / 3.0),
        ratio: Some(3.0 * stdev),
        window_bars: 60,
    };
    Statistics {
        symbol: symbol(name),
        start,
        feed: "test".parse().unwrap(),
        price: figures,
        volume: Figures { stdev: None, window_bars: u32::MAX, ..figures },
        further: Vec::new(),
    }
}

pub(super) fn split_of(name: &str, new: u32, old: u32) -> SplitRecord {
    let split = Split::new(symbol(name), "2025-01-31".parse().unwrap(), new, old).unwrap();
    SplitRecord { split, from: MINUTE }
}

pub(super) fn full_batch() -> Batch {
    let spike = alert("TSLA", MINUTE);
    let mut counted = spike.clone();
    counted.occurrences.push(Occurrence { start: MINUTE.plus_minutes(1), value: 160_000 });
    let gone = alert("AAPL", MINUTE);
    Batch {
        splits: vec![split_of("NVDA", 10, 1)],
        bars: vec![
            bar("TSLA", MINUTE, 1000),
            bar("TSLA", MINUTE.plus_minutes(1), 1001),
            bar("NVDA", MINUTE.plus_minutes(-1), 1002),
            bar("AAPL", MINUTE, 1003),
        ],
        history: vec![bar("AAPL", MINUTE.plus_minutes(-9_000), 999).bar],
        quarantined: Some(vec![bar("TSLA", MINUTE.plus_minutes(2), 900_000).bar]),
        statistics: vec![statistics_of("TSLA", MINUTE, 0.1), statistics_of("AAPL", MINUTE, 0.7)],
        alerts: vec![
            AlertChange::Raised(spike),
            AlertChange::Raised(gone.clone()),
            AlertChange::Counted(counted),
            AlertChange::Retracted(retracted(&gone)),
        ],
        feed: Some(feed_status(FeedMode::Live, at(1))),
    }
}

/// Subscribes to TSLA and AAPL in hours of quiet that hold at [`MINUTE`] and end at the answered time.
pub(super) async fn quiet(store: &Shared) -> (Vec<SignUp>, Timestamp) {
    let end = Timestamp::from_second(at(7200).as_second().div_euclid(3600) * 3600).unwrap();
    let clock = |at: Timestamp| at.to_string()[11..16].to_owned();
    let begin = clock(end - SignedDuration::from_hours(4));
    let hours: QuietHours = format!("{begin}-{} UTC", clock(end)).parse().unwrap();
    let mut asked = Vec::new();
    for (n, name) in [(1, "TSLA"), (2, "AAPL")] {
        let one =
            SignUp { confirm: false, quiet: Some(hours.clone()), ..sign_up(n, "ada@example.com", name) };
        ask(store, &one, UNLIMITED, at(-3600)).await;
        asked.push(one);
    }
    (asked, end)
}

pub(super) async fn raise(store: &Shared, name: &str, n: i32, now: Timestamp) -> Alert {
    let raised = alert(name, MINUTE.plus_minutes(n));
    store.commit(&alerts_of([AlertChange::Raised(raised.clone())]), now).await.unwrap();
    raised
}

/// `end` and so many seconds.
pub(super) fn after(end: Timestamp, seconds: i64) -> Timestamp {
    end + SignedDuration::from_secs(seconds)
}

/// A digest of three alerts, handed out at the end of the quiet hours.
pub(super) async fn one_digest(store: &Shared) -> (Delivery, Vec<Alert>, Vec<SignUp>, Timestamp) {
    let (asked, end) = quiet(store).await;
    let mut alerts = Vec::new();
    for (n, name) in [(0, "TSLA"), (1, "AAPL"), (2, "TSLA")] {
        alerts.push(raise(store, name, n, at(i64::from(n))).await);
    }
    assert!(claim_all(store, at(9)).await.is_empty());
    (claim_one(store, end).await, alerts, asked, end)
}

/// Claims what is due and says that nobody was asked.
pub(super) async fn left_alone(store: &Shared, until: i64, now: i64) -> Delivery {
    let delivery = claim_one(store, at(now)).await;
    let outcome = Outcome::NotTried(at(until), "it is left alone".to_owned());
    assert!(settle(store, &delivery, outcome.clone(), at(now)).await);
    assert!(!settle(store, &delivery, outcome, at(now)).await, "once");
    delivery
}

/// Takes in at `seconds`, and answers whom the messages go to that were enqueued, by the number of their
/// sign-up.
pub(super) async fn turns(store: &Shared, limits: SignUpLimits, seconds: i64) -> Vec<u16> {
    store.take_in(limits, at(seconds)).await.unwrap();
    let owed = claim_all(store, at(seconds)).await;
    let mut numbers: Vec<u16> = owed
        .iter()
        .map(|one| u16::from_be_bytes([one.subscription.nonce[0], one.subscription.nonce[1]]))
        .collect();
    for one in &owed {
        assert_eq!(one.kind, DeliveryKind::Confirmation);
        settle(store, one, Outcome::Sent, at(seconds)).await;
    }
    numbers.sort_unstable();
    numbers
}

/// Has an alert of the `n`-th minute end for one receiver, if it is enqueued for it at all.
pub(super) async fn answered(store: &Shared, n: i32, outcome: Outcome, now: Timestamp) -> bool {
    let raised = alerts_of([AlertChange::Raised(alert("TSLA", MINUTE.plus_minutes(n)))]);
    if store.commit(&raised, now).await.unwrap().deliveries == 0 {
        return false;
    }
    let delivery = claim_one(store, now).await;
    assert!(settle(store, &delivery, outcome, now).await);
    true
}

/// Changes the subscription of a sign-up.
pub(super) async fn amend(
    store: &Shared,
    sign_up: &SignUp,
    change: SubscriptionChange,
    now: Timestamp,
) -> Subscription {
    let amended = store.amend(&sign_up.hashes.manage, &change, now).await.unwrap();
    let Amended::Changed(changed) = amended else { panic!("{amended:?}") };
    let kept = store.subscription_of(Purpose::Manage, &sign_up.hashes.manage).await.unwrap();
    assert_eq!(kept.as_ref(), Some(&changed));
    assert_eq!(
        store.amend(&sign_up.hashes.manage, &SubscriptionChange::default(), now).await.unwrap(),
        Amended::Changed(changed.clone())
    );
    changed
}

/// An own rule of a number.
pub(super) fn own(n: u16) -> RuleName {
    format!("spike ratio={}", n + 2).parse().unwrap()
}

pub(super) async fn active(store: &Shared) -> usize {
    let all = store.subscriptions(&SubscriptionQuery { limit: 999, ..Default::default() }).await.unwrap();
    all.iter().filter(|one| one.status == SubscriptionStatus::Active).count()
}

pub(super) const ADA: &str = "ada@example.com";

/// A rule of a subscriber's own.
pub fn own_rule() -> RuleName {
    "zscore z=4 window=30m".parse().unwrap()
}

pub(super) const DAY: i64 = 24 * 60 * 60;

/// Forgets in pieces of `limit`, and answers how many rows were deleted.
pub(super) async fn forget(store: &Shared, seconds: i64, limit: u32) -> u64 {
    let mut total = 0;
    loop {
        let deleted = store.forget(at(seconds), limit).await.unwrap();
        assert!(deleted <= u64::from(limit));
        total += deleted;
        if deleted < u64::from(limit) {
            return total;
        }
    }
}
