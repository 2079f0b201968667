//! Random days of alerts for readers with quiet hours and a small budget. Whatever happens: nobody is
//! disturbed in quiet hours or more often than the budget allows, nothing is told twice, and every alert
//! comes to an end that has a name.

use crate::sqlite::fresh;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use qqq_core::delivery::places::Rooms;
use qqq_core::delivery::{Delivery, DeliveryId, DeliveryKind, Failure, Outcome};
use qqq_core::{Alert, AlertId};
use qqq_store::conformance::{MINUTE, UNLIMITED, alert, alerts_of, at, retracted, sign_up};
use qqq_store::{
    AlertChange, Budget, DeliveryQuery, DeliveryRecord, DeliveryState, SignUp, Store, SubscriptionChange,
};
use std::collections::BTreeMap;
use std::slice;
use std::sync::Arc;

const BUDGET: Budget = Budget { messages: 2, per_seconds: 3600 };

/// Receiver, symbol, quiet hours.
const READERS: [(&str, &str, Option<&str>); 5] = [
    ("ada@example.com", "TSLA", Some("22:00-07:00 Europe/Berlin")),
    ("ada@example.com", "AAPL", Some("12:30-23:15 America/New_York")),
    ("bob@example.com", "TSLA", None),
    ("https://example.com/hook", "TSLA", None),
    ("https://example.com/hook", "AAPL", Some("01:00-05:00 UTC")),
];

#[derive(Clone, Debug)]
enum Step {
    Raise { aapl: bool, count: i32 },
    Retract { which: usize },
    Work { outcomes: Vec<u8> },
    Wait { seconds: i64 },
    Unsubscribe { which: usize },
    Pause { which: usize, on: bool },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any::<bool>(), 1..4_i32).prop_map(|(aapl, count)| Step::Raise { aapl, count }),
        2 => (0..1000_usize).prop_map(|which| Step::Retract { which }),
        6 => prop::collection::vec(0..4_u8, 6).prop_map(|outcomes| Step::Work { outcomes }),
        6 => prop::sample::select(vec![1, 31, 600, 1800, 3600]).prop_map(|seconds| Step::Wait { seconds }),
        1 => (0..40_usize).prop_map(|which| Step::Unsubscribe { which }),
        1 => (0..READERS.len(), any::<bool>()).prop_map(|(which, on)| Step::Pause { which, on }),
    ]
}

struct Stage {
    store: Arc<dyn Store>,
    now: Timestamp,
    readers: Vec<SignUp>,
    raised: Vec<Alert>,
    /// How often each alert was accepted by each receiver, by its key.
    told: BTreeMap<(AlertId, String), u32>,
    /// When each receiver accepted alerts and digests.
    sent: BTreeMap<String, Vec<Timestamp>>,
}

impl Stage {
    async fn play(&mut self, step: &Step) {
        let now = self.now;
        match step {
            Step::Raise { aapl, count } => {
                let name = if *aapl { "AAPL" } else { "TSLA" };
                for _ in 0..*count {
                    let raised = alert(name, MINUTE.plus_minutes(self.raised.len() as i32));
                    self.store.commit(&alerts_of([AlertChange::Raised(raised.clone())]), now).await.unwrap();
                    self.raised.push(raised);
                }
            }
            Step::Retract { which } => {
                let Some(index) = which.checked_rem(self.raised.len()) else { return };
                let gone = retracted(&self.raised[index]);
                self.store.commit(&alerts_of([AlertChange::Retracted(gone)]), now).await.unwrap();
            }
            Step::Work { outcomes } => self.work(outcomes).await,
            Step::Wait { seconds } => {
                self.now += SignedDuration::from_secs(*seconds);
                self.work(&[0]).await;
            }
            // Seldom: one that has ended says nothing more.
            Step::Unsubscribe { which } => {
                let Some(reader) = self.readers.get(*which) else { return };
                self.store.unsubscribe(&reader.hashes.unsubscribe, false, now).await.unwrap();
            }
            Step::Pause { which, on } => {
                let until = on.then_some(now + SignedDuration::from_secs(900));
                let change = SubscriptionChange { paused_until: Some(until), ..Default::default() };
                self.store.amend(&self.readers[*which].hashes.manage, &change, now).await.unwrap();
            }
        }
    }

    /// Claims, and ends the attempts as told, again and again: accepted, accepted, refused for now, never
    /// heard of.
    async fn work(&mut self, outcomes: &[u8]) {
        let now = self.now;
        let claimed = self
            .store
            .claim(now, now + SignedDuration::from_secs(30), Rooms::for_anybody(16), BUDGET)
            .await
            .unwrap();
        for (delivery, outcome) in claimed.iter().zip(outcomes.iter().cycle()) {
            self.nobody_is_disturbed(delivery).await;
            let outcome = match outcome {
                0 | 1 => Outcome::Sent,
                2 => Outcome::RetryAt(now + SignedDuration::from_secs(300), Failure::other("later")),
                _ => continue,
            };
            assert!(self.store.settle(delivery.id, delivery.lease, &outcome, now).await.unwrap());
            if outcome == Outcome::Sent {
                self.accepted(delivery);
            }
        }
    }

    async fn nobody_is_disturbed(&self, delivery: &Delivery) {
        assert_eq!(delivery.kind == DeliveryKind::Digest, !delivery.digest.is_empty());
        if delivery.kind == DeliveryKind::Confirmation {
            return;
        }
        let key = delivery.subscription.channel.key();
        for alert in delivery.alert.iter().chain(&delivery.digest) {
            let mine = |one: &&SignUp| one.channel.key() == key && one.scope == alert.symbol.into();
            let asked = self.readers.iter().find(mine).unwrap();
            assert!(asked.quiet.as_ref().is_none_or(|quiet| quiet.end(self.now).is_none()), "{delivery:?}");
        }
    }

    fn accepted(&mut self, delivery: &Delivery) {
        if !matches!(delivery.kind, DeliveryKind::Alert | DeliveryKind::Digest) {
            return;
        }
        let key = delivery.subscription.channel.key();
        for alert in delivery.alert.iter().chain(&delivery.digest) {
            let times = self.told.entry((alert.id, key.clone())).or_default();
            *times += 1;
            assert_eq!(*times, 1, "told twice: {delivery:?}");
        }
        let sent = self.sent.entry(key).or_default();
        sent.push(self.now);
        let window = SignedDuration::from_secs(BUDGET.per_seconds);
        let recent = sent.iter().filter(|at| self.now.duration_since(**at) < window).count();
        assert!(recent <= BUDGET.messages as usize, "{recent} messages in an hour");
    }

    async fn in_state(&self, state: DeliveryState) -> Vec<DeliveryRecord> {
        let query = DeliveryQuery { state, address: None, after: None, limit: usize::MAX };
        self.store.deliveries(&query).await.unwrap()
    }

    /// Every alert that was owed has come to one end.
    async fn everything_has_ended(&self) {
        let mut all: BTreeMap<DeliveryId, DeliveryRecord> = BTreeMap::new();
        for state in DeliveryState::ALL {
            all.extend(self.in_state(state).await.into_iter().map(|one| (one.id, one)));
        }
        for one in all.values().filter(|one| one.kind == DeliveryKind::Alert) {
            let key = one.subscription.channel.key();
            let told = self.told.get(&(one.alert.unwrap(), key)).copied().unwrap_or_default();
            match one.state {
                DeliveryState::Pending | DeliveryState::Failed => panic!("it has not ended: {one:?}"),
                DeliveryState::Sent => assert_eq!(told, 1),
                DeliveryState::Cancelled => assert!(told == 0 && one.reason.is_some(), "{one:?}"),
                DeliveryState::Expired => assert!(told == 0 && one.attempts > 0, "{one:?}"),
                DeliveryState::Bundled => {
                    let digest = &all[&one.digest.unwrap()];
                    assert!(digest.kind == DeliveryKind::Digest && digest.attempts > 0, "{digest:?}");
                    assert!(digest.state != DeliveryState::Pending, "{digest:?}");
                    assert!(digest.state == DeliveryState::Sent || digest.reason.is_some(), "{digest:?}");
                    // It may have been retracted, or its subscription ended, before the digest was accepted.
                    assert!(told == 0 || digest.state == DeliveryState::Sent, "{digest:?}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn no_schedule_disturbs_repeats_or_loses(steps in prop::collection::vec(step(), 1..100)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (store, _guard) = fresh().await;
            let mut readers = Vec::new();
            for (n, (receiver, name, quiet)) in (0..).zip(READERS) {
                let quiet = quiet.map(|quiet| quiet.parse().unwrap());
                let asked = SignUp { confirm: false, quiet, ..sign_up(n, receiver, name) };
                store.subscribe(slice::from_ref(&asked), UNLIMITED, at(-3600)).await.unwrap();
                readers.push(asked);
            }
            store.take_in(UNLIMITED, at(-3600)).await.unwrap();
            let mut stage = Stage {
                store,
                now: at(0),
                readers,
                raised: Vec::new(),
                told: BTreeMap::new(),
                sent: BTreeMap::new(),
            };
            for step in &steps {
                stage.play(step).await;
            }
            // Two days in which everything is accepted.
            for _ in 0..96 {
                stage.play(&Step::Wait { seconds: 1800 }).await;
            }
            stage.everything_has_ended().await;
        });
    }
}
