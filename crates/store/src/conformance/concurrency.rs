//! What holds while several use the store at once. Each rule takes two handles of one store, as two processes
//! hold them.

use super::*;
use tokio::sync::watch;

/// So many steps of a writer that no reader takes in all of them at once.
const STEPS: i64 = 60;

async fn write(store: Shared, seed: i64) {
    for step in 0..STEPS {
        // All write the same symbols and minutes, so that rows move from commit to commit.
        let bars = (0..5).map(|n| BarRecord {
            revision: step as u32,
            ..bar(
                ["TSLA", "AAPL"][n as usize % 2],
                MINUTE.plus_minutes(((step * 7 + n * 3) % 40) as i32),
                100 + step + seed,
            )
        });
        let alerts = (step % 5 == 0)
            .then(|| AlertChange::Raised(alert("TSLA", MINUTE.plus_minutes(step as i32 + seed as i32))));
        let batch = Batch {
            bars: bars.collect(),
            alerts: alerts.into_iter().collect(),
            feed: Some(feed_status(FeedMode::Live, at(step))),
            ..Batch::default()
        };
        store.commit(&batch, at(step)).await.unwrap();
    }
}

/// What a reader put together that asked for changes again and again.
struct Tail {
    after: Sequence,
    bars: BTreeMap<(Second, Symbol), BarRecord>,
    alerts: BTreeMap<AlertId, Alert>,
}

async fn tail(store: Shared, limit: usize, upto: watch::Receiver<Option<Sequence>>) -> Tail {
    let mut tail = Tail { after: Sequence(0), bars: BTreeMap::new(), alerts: BTreeMap::new() };
    loop {
        let changes = store.changes(tail.after, limit).await.unwrap();
        assert!(changes.sequence >= tail.after);
        for record in rows_of(changes.bars) {
            tail.bars.insert((record.bar.start, record.bar.symbol), record);
        }
        for one in rows_of(changes.alerts) {
            tail.alerts.insert(one.id, one);
        }
        tail.after = changes.sequence;
        if upto.borrow().is_some_and(|upto| tail.after >= upto) {
            return tail;
        }
        tokio::task::yield_now().await;
    }
}

/// Two write, others tail: what these saw, put together, is what is there.
pub async fn a_reader_that_tails_two_writers_misses_nothing(store: Shared, other: Shared) {
    let (done, upto) = watch::channel(None);
    let readers = [(store.clone(), 1), (other.clone(), 7), (other.clone(), 1000)];
    let tails = readers.map(|(reader, limit)| tokio::spawn(tail(reader, limit, upto.clone())));
    let writers = [(store.clone(), 0), (other, 1000)].map(|(store, seed)| tokio::spawn(write(store, seed)));
    for writer in writers {
        writer.await.unwrap();
    }
    let last = store.sequence().await.unwrap();
    assert_eq!(last, Sequence(2 * STEPS));
    done.send(Some(last)).unwrap();
    let all = store.changes(Sequence(0), usize::MAX).await.unwrap();
    let bars = rows_of(all.bars);
    for tail in tails {
        let seen = tokio::time::timeout(Duration::from_secs(60), tail).await.unwrap().unwrap();
        assert_eq!(seen.after, last);
        assert_eq!(seen.bars.into_values().collect::<Vec<_>>(), bars);
        assert_eq!(seen.alerts.len(), all.alerts.len());
        assert!(all.alerts.iter().all(|one| seen.alerts[&one.row.id] == one.row));
    }
}

/// Claims and has all of it accepted, until nothing is due. Answers what was sent.
async fn dispatch(store: Shared, now: Timestamp) -> Vec<Delivery> {
    let mut sent = Vec::new();
    loop {
        let until = now + SignedDuration::from_secs(30);
        let claimed = store.claim(now, until, Rooms::for_anybody(7), PLENTY).await.unwrap();
        if claimed.is_empty() {
            return sent;
        }
        for delivery in claimed {
            assert!(settle(&store, &delivery, Outcome::Sent, now).await);
            sent.push(delivery);
        }
    }
}

/// Each delivery is handed out once, and none is forgotten.
pub async fn two_dispatchers_never_hold_the_same_delivery(store: Shared, other: Shared) {
    for n in 0..40 {
        subscribed(&store, n, "TSLA", at(-3600)).await;
    }
    let raised = [0, 1, 2].map(|n| AlertChange::Raised(alert("TSLA", MINUTE.plus_minutes(n))));
    assert_eq!(store.commit(&alerts_of(raised), at(0)).await.unwrap().deliveries, 120);
    let both = [store.clone(), other].map(|store| tokio::spawn(dispatch(store, at(1))));
    let mut sent = Vec::new();
    for one in both {
        sent.extend(one.await.unwrap());
    }
    assert!(sent.iter().all(|one| (one.kind, one.attempt) == (DeliveryKind::Alert, 1)));
    let ids: BTreeSet<DeliveryId> = sent.iter().map(|one| one.id).collect();
    assert_eq!((sent.len(), ids.len()), (120, 120));
    assert_eq!(store.outbox().await.unwrap().sent, 120);
}

/// Alerts are retracted while they are sent: each is either taken back before anybody hears of it, or
/// followed up once.
pub async fn what_is_retracted_while_it_is_sent_is_followed_up_or_never_told(store: Shared, other: Shared) {
    for n in 0..5 {
        subscribed(&store, n, "TSLA", at(-3600)).await;
    }
    let alerts: Vec<Alert> = (0..30).map(|n| alert("TSLA", MINUTE.plus_minutes(n))).collect();
    let raised = alerts.iter().cloned().map(AlertChange::Raised);
    assert_eq!(store.commit(&alerts_of(raised), at(0)).await.unwrap().deliveries, 150);
    let retracting = tokio::spawn({
        let (other, alerts) = (other, alerts.clone());
        async move {
            for alert in &alerts {
                retract(&other, alert, at(1)).await;
            }
        }
    });
    let mut sent = dispatch(store.clone(), at(1)).await;
    retracting.await.unwrap();
    sent.extend(dispatch(store.clone(), at(1)).await);
    let mut told: BTreeMap<(AlertId, SubscriptionId), Vec<DeliveryKind>> = BTreeMap::new();
    for one in &sent {
        let alert = one.alert.as_ref().unwrap().id;
        told.entry((alert, one.subscription.id)).or_default().push(one.kind);
    }
    for kinds in told.values() {
        assert_eq!(kinds[..], [DeliveryKind::Alert, DeliveryKind::Retraction]);
    }
    let summary = store.outbox().await.unwrap();
    assert_eq!((summary.pending, summary.sent), (0, 2 * told.len() as u64));
    assert_eq!(summary.cancelled, 150 - told.len() as u64);
}

/// However many ask for the same at once, one subscription comes of it.
pub async fn one_wish_asked_for_at_once_is_one_subscription(store: Shared, other: Shared) {
    let asking: Vec<_> = (0..20)
        .map(|n| {
            let store = if n % 2 == 0 { store.clone() } else { other.clone() };
            let asked = SignUp { confirm: n % 4 < 2, ..sign_up(n, "ada@example.com", "TSLA") };
            tokio::spawn(async move {
                store.subscribe(slice::from_ref(&asked), UNLIMITED, at(0)).await.unwrap();
                store.take_in(UNLIMITED, at(0)).await.unwrap();
            })
        })
        .collect();
    for one in asking {
        one.await.unwrap();
    }
    let query = SubscriptionQuery { limit: 99, ..SubscriptionQuery::default() };
    let listed = store.subscriptions(&query).await.unwrap();
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0].status, SubscriptionStatus::Active);
}
