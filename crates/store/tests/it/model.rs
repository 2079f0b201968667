//! Random stories of subscribers, alerts and dispatchers against a model in memory: after every step the
//! store must enqueue, hand out and count exactly what the model says.

use crate::sqlite::fresh;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use qqq_core::delivery::places::Rooms;
use qqq_core::delivery::{Delivery, DeliveryId, DeliveryKind, Failure, Outcome};
use qqq_core::subscription::SubscriptionStatus;
use qqq_core::subscription::token::Purpose;
use qqq_core::{Alert, AlertId, RuleName, Second, SpikeRule};
use qqq_store::conformance::{PLENTY, alert, alerts_of, at, own_rule, retracted, sign_up};
use qqq_store::{
    AlertChange, Amended, Choice, Confirmed, DeliveryState, Replayed, SignUp, SignUpLimits, SignedUp, Store,
    SubscriptionChange,
};
use std::collections::BTreeMap;
use std::slice;
use std::sync::Arc;

mod memory;

use memory::{Enqueued, Model, State};

const SYMBOLS: [&str; 2] = ["TSLA", "AAPL"];
/// Who asks: two of them share a mailbox, two an endpoint, all but one a domain.
const RECEIVERS: [&str; 5] = [
    "ada@example.com",
    "Bob@example.org",
    "ADA+x@example.com",
    "https://example.com/hook?of=ada",
    "https://example.com/hook?of=bob",
];
const LIMITS: SignUpLimits = SignUpLimits {
    address_gap_seconds: 600,
    address_per_day: 3,
    domain_per_hour: 3,
    provider_per_hour: 3,
    total_per_hour: 4,
};

#[derive(Clone, Debug)]
enum Step {
    Subscribe { address: usize, symbol: usize, own: bool, confirm: bool },
    TakeIn,
    Confirm { which: usize, ticked: Option<usize> },
    Unsubscribe { which: usize, all: bool },
    Amend { which: usize, how: usize },
    Replay { which: usize },
    Raise { symbol: usize, own: bool, minutes: i32 },
    Retract { which: usize },
    Claim,
    Settle { which: usize, how: usize },
    Renew { which: usize },
    Release,
    Wait { seconds: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0..1000_usize;
    prop_oneof![
        4 => (0..RECEIVERS.len(), 0..2_usize, any::<bool>(), any::<bool>())
            .prop_map(|(address, symbol, own, confirm)| Step::Subscribe { address, symbol, own, confirm }),
        3 => Just(Step::TakeIn),
        2 => (which.clone(), prop::option::of(0..4_usize))
            .prop_map(|(which, ticked)| Step::Confirm { which, ticked }),
        1 => (which.clone(), any::<bool>()).prop_map(|(which, all)| Step::Unsubscribe { which, all }),
        2 => (which.clone(), 0..5_usize).prop_map(|(which, how)| Step::Amend { which, how }),
        1 => which.clone().prop_map(|which| Step::Replay { which }),
        4 => (0..2_usize, any::<bool>(), -2..3_i32)
            .prop_map(|(symbol, own, minutes)| Step::Raise { symbol, own, minutes }),
        2 => which.clone().prop_map(|which| Step::Retract { which }),
        4 => Just(Step::Claim),
        4 => (which.clone(), 0..9_usize).prop_map(|(which, how)| Step::Settle { which, how }),
        1 => which.prop_map(|which| Step::Renew { which }),
        1 => Just(Step::Release),
        4 => prop::sample::select(vec![0, 1, 29, 30, 31, 60, 599, 600, 3600, 14_400, 86_399])
            .prop_map(|seconds| Step::Wait { seconds }),
    ]
}

/// The store and the model, side by side.
struct Stage {
    store: Arc<dyn Store>,
    model: Model,
    now: Timestamp,
    /// Every claim ever handed out: old holders keep trying.
    claims: Vec<Delivery>,
    raised: Vec<Alert>,
    sign_ups: Vec<SignUp>,
}

impl Stage {
    async fn play(&mut self, step: &Step) {
        let now = self.now;
        let lease_until = now + SignedDuration::from_secs(30);
        match *step {
            Step::Subscribe { address, symbol, own, confirm } => {
                let n = self.sign_ups.len() as u16;
                let asked =
                    SignUp { confirm, rule: rule(own), ..sign_up(n, RECEIVERS[address], SYMBOLS[symbol]) };
                assert_eq!(
                    self.store.subscribe(slice::from_ref(&asked), LIMITS, now).await.unwrap(),
                    SignedUp::Taken
                );
                self.model.subscribe(asked.clone(), now);
                self.sign_ups.push(asked);
            }
            Step::TakeIn => {
                let taken = self.store.take_in(LIMITS, now).await.unwrap();
                assert_eq!((taken.sign_ups, taken.confirmations), self.model.take_in(now));
            }
            Step::Confirm { which, ticked } => {
                let Some(asked) = pick(&self.sign_ups, which) else { return };
                let token = &asked.hashes.confirm;
                let link = self.store.confirmable(token, now).await.unwrap();
                let shown: Vec<_> = link.iter().flat_map(|link| &link.asked).map(|one| one.id).collect();
                // In which order it shows them is held by `core::subscription::confirmation`.
                let ticked: Option<Vec<_>> = ticked.map(|some| shown.iter().take(some).copied().collect());
                let choice = match ticked.clone() {
                    None => Choice::Everything,
                    Some(ticked) => Choice::Ticked { ticked, shown },
                };
                let confirmed = self.store.confirm(token, &choice, now).await.unwrap();
                let known = self.model.subscribers.iter().position(|one| one.asked.id == asked.id);
                let Some(of) = known else { return assert_eq!(confirmed, Confirmed::Unknown) };
                let status = self.model.subscribers[of].status;
                match (self.model.confirm(of, ticked.as_deref(), now), confirmed) {
                    (Some(expected), Confirmed::Settled { activated, declined, refused }) => {
                        assert_eq!((activated.len(), declined.len()), expected);
                        assert!(refused.is_empty());
                        for one in activated {
                            let known =
                                self.model.subscribers.iter().find(|known| known.asked.id == one.id).unwrap();
                            assert_eq!(one.active_from, known.active_from);
                        }
                    }
                    (None, Confirmed::Ended(_)) => assert!(status.has_ended()),
                    (None, Confirmed::AlreadyActive(_)) => assert_eq!(status, SubscriptionStatus::Active),
                    (None, Confirmed::Expired(_)) => assert_eq!(status, SubscriptionStatus::Pending),
                    (expected, confirmed) => panic!("{expected:?} {confirmed:?}"),
                }
            }
            Step::Unsubscribe { which, all } => {
                let Some(asked) = pick(&self.sign_ups, which) else { return };
                let ended = self.store.unsubscribe(&asked.hashes.unsubscribe, all, now).await.unwrap();
                let known = self.model.subscribers.iter().position(|one| one.asked.id == asked.id);
                assert_eq!(ended.is_some(), known.is_some());
                let Some(known) = known else { return };
                if all {
                    self.model.noted.retain(|(one, _)| one.channel.key() != asked.channel.key());
                }
                for to in 0..self.model.subscribers.len() {
                    let same = self.model.subscribers[to].asked.channel.key() == asked.channel.key();
                    if to == known || (all && same) {
                        self.model.end(to, SubscriptionStatus::Unsubscribed, now);
                    }
                }
            }
            Step::Amend { which, how } => self.amend(which, how).await,
            Step::Replay { which } => {
                let Some(id) = pick(&self.model.owed.keys().copied().collect::<Vec<_>>(), which) else {
                    return;
                };
                let one = self.model.owed.get_mut(&id).unwrap();
                let to = &self.model.subscribers[one.to];
                let expected = match one.state {
                    State::Failed | State::Expired if to.status.has_ended() => Replayed::Ended,
                    State::Failed | State::Expired => {
                        (one.state, one.due) = (State::Pending, now);
                        one.expires = now + to.lifetime(one.kind);
                        self.model.answers.remove(&id);
                        Replayed::Enqueued
                    }
                    State::Pending => Replayed::Refused(DeliveryState::Pending),
                    State::Sent => Replayed::Refused(DeliveryState::Sent),
                    State::Cancelled => Replayed::Refused(DeliveryState::Cancelled),
                };
                assert_eq!(self.store.replay(id, now).await.unwrap(), expected);
            }
            Step::Raise { symbol, own, minutes } => {
                let start = Second::minute_of(now).plus_minutes(minutes);
                let mut raised = alert(SYMBOLS[symbol], start);
                raised.rule = rule(own).whole(SpikeRule::default());
                raised.id = AlertId::derive(raised.rule, raised.symbol, raised.metric, start);
                let batch = alerts_of([AlertChange::Raised(raised.clone())]);
                let committed = self.store.commit(&batch, now).await.unwrap();
                assert_eq!(committed.deliveries, self.model.raise(&raised, now));
                self.raised.push(raised);
            }
            Step::Retract { which } => {
                let Some(raised) = pick(&self.raised, which) else { return };
                let batch = alerts_of([AlertChange::Retracted(retracted(&raised))]);
                let committed = self.store.commit(&batch, now).await.unwrap();
                assert_eq!(committed.deliveries, self.model.retract(raised.id, now));
            }
            Step::Claim => {
                let claimed =
                    self.store.claim(now, lease_until, Rooms::for_anybody(1000), PLENTY).await.unwrap();
                let expected = self.model.claim(now, lease_until);
                let handed: BTreeMap<DeliveryId, u32> =
                    claimed.iter().map(|delivery| (delivery.id, delivery.attempt)).collect();
                assert_eq!(handed, expected);
                for delivery in &claimed {
                    let owed = &self.model.owed[&delivery.id];
                    let to = &self.model.subscribers[owed.to];
                    assert_eq!((delivery.kind, delivery.created_at), (owed.kind, owed.created));
                    assert_eq!(delivery.expires_at, owed.expires);
                    assert_eq!(delivery.subscription.id, to.asked.id);
                    assert_eq!(delivery.subscription.status, to.status);
                    assert_eq!(delivery.alert.as_ref().map(|alert| alert.id), owed.of);
                }
                self.claims.extend(claimed);
            }
            Step::Settle { which, how } => {
                let Some(claim) = pick(&self.claims, which) else { return };
                let retry = |seconds| {
                    Outcome::RetryAt(now + SignedDuration::from_secs(seconds), Failure::other("later"))
                };
                let outcome = match how {
                    0 | 1 => Outcome::Sent,
                    2 | 3 => Outcome::Failed(Failure::other("never")),
                    4 => Outcome::Gone(Failure::other("410")),
                    5 => retry(60),
                    7 => Outcome::NotTried(now + SignedDuration::from_secs(60), "left alone".to_owned()),
                    8 => Outcome::NotTried(now + SignedDuration::from_secs(14_400), "left alone".to_owned()),
                    _ => retry(14_400),
                };
                let settled = self.store.settle(claim.id, claim.lease, &outcome, now).await.unwrap();
                assert_eq!(settled, self.model.settle(&claim, &outcome, now));
            }
            Step::Renew { which } => {
                let Some(claim) = pick(&self.claims, which) else { return };
                let renewed = self.store.renew(claim.id, claim.lease, lease_until).await.unwrap();
                let one = self.model.owed.get_mut(&claim.id).unwrap();
                let holds = one.lease.is_some() && one.claims == claim.lease.0;
                assert_eq!(renewed, holds);
                if holds {
                    one.lease = Some(lease_until);
                }
            }
            Step::Release => {
                let held = self.model.owed.values_mut().filter_map(|one| one.lease.take()).count();
                assert_eq!(self.store.release_leases().await.unwrap(), held as u64);
            }
            Step::Wait { seconds } => self.now += SignedDuration::from_secs(seconds),
        }
    }

    async fn amend(&mut self, which: usize, how: usize) {
        let Some(asked) = pick(&self.sign_ups, which) else { return };
        let now = self.now;
        let until = now + SignedDuration::from_secs(600);
        let change = match how {
            0 => SubscriptionChange { paused_until: Some(Some(until)), ..Default::default() },
            1 => SubscriptionChange { paused_until: Some(None), ..Default::default() },
            2 => SubscriptionChange { rotate_secret: true, ..Default::default() },
            _ => SubscriptionChange { rule: Some(rule(how == 3)), ..Default::default() },
        };
        let amended = self.store.amend(&asked.hashes.manage, &change, now).await.unwrap();
        let subscribers = &mut self.model.subscribers;
        let Some(known) = subscribers.iter().position(|one| one.asked.id == asked.id) else {
            return assert_eq!(amended, Amended::Unknown);
        };
        if subscribers[known].status.has_ended() {
            return assert!(matches!(amended, Amended::Ended(_)));
        }
        let conflict = change.rule.is_some_and(|rule| {
            subscribers.iter().enumerate().any(|(to, one)| {
                to != known
                    && !one.status.has_ended()
                    && one.asked.channel.key() == asked.channel.key()
                    && (one.asked.scope, one.asked.rule) == (asked.scope, rule)
            })
        });
        if conflict {
            return assert_eq!(amended, Amended::Conflict);
        }
        assert!(matches!(amended, Amended::Changed(_)));
        let subscriber = &mut subscribers[known];
        match how {
            0 => subscriber.paused_until = Some(until),
            1 => subscriber.paused_until = None,
            2 => subscriber.generation += 1,
            _ => {
                let changed = subscriber.asked.rule != rule(how == 3);
                subscriber.asked.rule = rule(how == 3);
                if changed && subscriber.status == SubscriptionStatus::Active {
                    subscriber.activate(now);
                }
            }
        }
        if subscriber.paused_until.is_some_and(|until| now < until) {
            let paused = |one: &&mut Enqueued| one.to == known && one.kind != DeliveryKind::Confirmation;
            let owed = self.model.owed.values_mut().filter(paused);
            for one in
                owed.filter(|one| one.state == State::Pending && one.lease.is_none_or(|lease| lease <= now))
            {
                // A change of something else finds nothing owed.
                assert!(how == 0 || one.attempts > 0, "owed while paused");
                one.end(State::Cancelled);
            }
        }
    }

    async fn compare(&self) {
        let summary = self.store.outbox().await.unwrap();
        let pending = || self.model.owed.values().filter(|one| one.state == State::Pending);
        assert_eq!(summary.pending, self.model.count(State::Pending), "pending");
        assert_eq!(summary.sent, self.model.count(State::Sent), "sent");
        assert_eq!(summary.failed, self.model.count(State::Failed), "failed");
        assert_eq!(summary.expired, self.model.count(State::Expired), "expired");
        assert_eq!(summary.cancelled, self.model.count(State::Cancelled), "cancelled");
        assert_eq!(summary.oldest_pending, pending().map(|one| one.created).min());
        for asked in &self.sign_ups {
            let found = self.store.subscription_of(Purpose::Manage, &asked.hashes.manage).await.unwrap();
            let known = self.model.subscribers.iter().find(|one| one.asked.id == asked.id);
            let state = known.map(|one| (one.status, one.active_from, one.asked.rule, one.generation));
            let told =
                found.map(|found| (found.status, found.active_from, found.rule, found.secret_generation));
            assert_eq!(told, state);
        }
    }
}

fn rule(own: bool) -> RuleName {
    if own { own_rule() } else { RuleName::House }
}

/// One of `items`, or none where there are none.
fn pick<T: Clone>(items: &[T], which: usize) -> Option<T> {
    items.get(which.checked_rem(items.len())?).cloned()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn every_story_ends_as_the_model_says(steps in prop::collection::vec(step(), 1..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (store, _guard) = fresh().await;
            let mut stage = Stage {
                store,
                model: Model::default(),
                now: at(0),
                claims: Vec::new(),
                raised: Vec::new(),
                sign_ups: Vec::new(),
            };
            for step in &steps {
                stage.play(step).await;
                stage.compare().await;
            }
            stage.store.check().await.unwrap();
        });
    }
}
