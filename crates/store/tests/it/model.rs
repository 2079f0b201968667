//! Random stories of subscribers, alerts and dispatchers against a model in memory: after every step the store
//! must owe, hand out and count exactly what the model says.

use crate::sqlite::fresh;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use qqq_core::delivery::{Delivery, DeliveryId, DeliveryKind, Outcome};
use qqq_core::subscription::SubscriptionStatus;
use qqq_core::token::Purpose;
use qqq_core::{AlertId, Minute};
use qqq_store::conformance::{alert, alerts_of, at, retracted, sign_up, symbol};
use qqq_store::{AlertChange, Confirmed, SignUp, SignUpLimits, Store};
use std::collections::BTreeMap;
use std::sync::Arc;

const SYMBOLS: [&str; 2] = ["TSLA", "AAPL"];
const LIMITS: SignUpLimits = SignUpLimits { address_gap_seconds: 600, address_per_day: 3, total_per_hour: 4 };

#[derive(Clone, Debug)]
enum Step {
    Subscribe { address: usize, symbol: usize, confirm: bool },
    Confirm { which: usize },
    Unsubscribe { which: usize },
    Raise { symbol: usize, minutes: i32 },
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
        4 => (0..3_usize, 0..2_usize, any::<bool>())
            .prop_map(|(address, symbol, confirm)| Step::Subscribe { address, symbol, confirm }),
        2 => which.clone().prop_map(|which| Step::Confirm { which }),
        1 => which.clone().prop_map(|which| Step::Unsubscribe { which }),
        4 => (0..2_usize, -2..3_i32).prop_map(|(symbol, minutes)| Step::Raise { symbol, minutes }),
        2 => which.clone().prop_map(|which| Step::Retract { which }),
        4 => Just(Step::Claim),
        4 => (which.clone(), 0..6_usize).prop_map(|(which, how)| Step::Settle { which, how }),
        1 => which.prop_map(|which| Step::Renew { which }),
        1 => Just(Step::Release),
        4 => prop::sample::select(vec![0, 1, 29, 30, 31, 60, 599, 600, 3600, 14_400, 86_399])
            .prop_map(|seconds| Step::Wait { seconds }),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Pending,
    Sent,
    Failed,
    Expired,
    Cancelled,
}

struct Subscriber {
    asked: SignUp,
    status: SubscriptionStatus,
    confirm_by: Timestamp,
    active_from: Option<Minute>,
    mails: u32,
}

struct Owed {
    kind: DeliveryKind,
    to: usize,
    of: Option<AlertId>,
    state: State,
    created: Timestamp,
    expires: Timestamp,
    due: Timestamp,
    lease: Option<Timestamp>,
    attempts: u32,
}

#[derive(Default)]
struct Model {
    subscribers: Vec<Subscriber>,
    /// Alerts, and whether they stand.
    alerts: BTreeMap<AlertId, bool>,
    owed: BTreeMap<DeliveryId, Owed>,
    /// What receivers answered for good: address, when, whether they accepted.
    answers: Vec<(String, Timestamp, bool)>,
    /// Addresses that refused three mails in a row, and when they did.
    suppressed: BTreeMap<String, Timestamp>,
}

impl Model {
    fn owe(&mut self, kind: DeliveryKind, to: usize, of: Option<AlertId>, now: Timestamp) -> u64 {
        let subscriber = &mut self.subscribers[to];
        let id = match of {
            Some(of) => DeliveryId::of_alert(kind, of, subscriber.asked.id),
            None => {
                subscriber.mails += 1;
                DeliveryId::of_confirmation(subscriber.asked.id, subscriber.mails)
            }
        };
        if self.owed.contains_key(&id) {
            return 0;
        }
        let expires = now + SignedDuration::from_secs(kind.lifetime_seconds());
        let owed = Owed {
            kind,
            to,
            of,
            state: State::Pending,
            created: now,
            expires,
            due: now,
            lease: None,
            attempts: 0,
        };
        self.owed.insert(id, owed);
        1
    }

    fn is_suppressed(&self, to: &SignUp, now: Timestamp) -> bool {
        let since = self.suppressed.get(&to.email.key());
        since.is_some_and(|since| now.duration_since(*since) < SignedDuration::from_hours(30 * 24))
    }

    fn answer(&mut self, to: usize, accepted: bool, now: Timestamp) {
        let address = self.subscribers[to].asked.email.key();
        self.answers.push((address.clone(), now, accepted));
        let mut answers: Vec<(Timestamp, bool)> =
            self.answers.iter().filter(|one| one.0 == address).map(|one| (one.1, one.2)).collect();
        answers.sort_unstable();
        if !accepted && answers.len() >= 3 && answers.iter().rev().take(3).all(|one| !one.1) {
            self.suppressed.insert(address, now);
        }
    }

    fn subscribe(&mut self, asked: SignUp, now: Timestamp) -> bool {
        let same = |one: &Subscriber| {
            one.status != SubscriptionStatus::Unsubscribed
                && one.asked.email.key() == asked.email.key()
                && one.asked.symbol == asked.symbol
        };
        let day = SignedDuration::from_hours(24);
        let to = self.subscribers.iter().position(same).unwrap_or_else(|| {
            self.subscribers.push(Subscriber {
                asked: asked.clone(),
                status: SubscriptionStatus::Pending,
                confirm_by: now,
                active_from: None,
                mails: 0,
            });
            self.subscribers.len() - 1
        });
        let subscriber = &mut self.subscribers[to];
        if subscriber.status == SubscriptionStatus::Active {
            return false;
        }
        subscriber.confirm_by = now + day;
        if !asked.confirm {
            subscriber.activate(now);
            return false;
        }
        let ages = |own: bool| {
            let (asked, subscribers) = (&asked, &self.subscribers);
            self.owed
                .values()
                .filter(|one| one.kind == DeliveryKind::Confirmation)
                .filter(move |one| {
                    !own || subscribers[one.to].asked.email.mailbox_key() == asked.email.mailbox_key()
                })
                .map(move |one| now.duration_since(one.created))
                .collect::<Vec<_>>()
        };
        let within = |ages: Vec<SignedDuration>, seconds: i64| {
            ages.into_iter().filter(|age| age.as_secs() < seconds).count() as u32
        };
        let allowed = !self.is_suppressed(&asked, now)
            && within(ages(true), LIMITS.address_gap_seconds) == 0
            && within(ages(true), day.as_secs()) < LIMITS.address_per_day
            && within(ages(false), 3600) < LIMITS.total_per_hour;
        if allowed {
            self.owe(DeliveryKind::Confirmation, to, None, now);
        }
        allowed
    }

    fn raise(&mut self, id: AlertId, of: usize, start: Minute, now: Timestamp) -> u64 {
        if self.alerts.contains_key(&id) {
            return 0;
        }
        self.alerts.insert(id, true);
        let concerned: Vec<usize> = (0..self.subscribers.len())
            .filter(|&to| {
                let one = &self.subscribers[to];
                one.status == SubscriptionStatus::Active
                    && one.asked.symbol == symbol(SYMBOLS[of])
                    && one.active_from.unwrap() <= start
                    && !self.is_suppressed(&one.asked, now)
            })
            .collect();
        concerned.into_iter().map(|to| self.owe(DeliveryKind::Alert, to, Some(id), now)).sum()
    }

    /// Ends a delivery whose alert no longer stands; true where its receiver may have been told.
    fn follow_up(&mut self, id: DeliveryId, now: Timestamp) -> u64 {
        let (to, of) = (self.owed[&id].to, self.owed[&id].of);
        match self.subscribers[to].status {
            SubscriptionStatus::Active => self.owe(DeliveryKind::Retraction, to, of, now),
            _ => 0,
        }
    }

    fn retract(&mut self, alert: AlertId, now: Timestamp) -> u64 {
        if self.alerts.insert(alert, false) == Some(false) {
            return 0;
        }
        let told: Vec<DeliveryId> = self
            .owed
            .iter()
            .filter(|(_, one)| one.kind == DeliveryKind::Alert && one.of == Some(alert))
            .map(|(id, _)| *id)
            .collect();
        let mut owed = 0;
        for id in told {
            let one = self.owed.get_mut(&id).unwrap();
            if one.lease.is_some_and(|lease| lease > now) {
                continue;
            }
            let may_have_been_told = one.attempts > 1 || (one.attempts == 1 && one.state != State::Failed);
            if one.state == State::Pending {
                one.end(State::Cancelled);
            }
            if may_have_been_told {
                owed += self.follow_up(id, now);
            }
        }
        owed
    }

    /// Everything that is handed out, with its attempt.
    fn claim(&mut self, now: Timestamp, until: Timestamp) -> BTreeMap<DeliveryId, u32> {
        let mut handed = BTreeMap::new();
        while let Some(id) = self
            .owed
            .iter()
            .find(|(_, one)| one.state == State::Pending && one.lease.unwrap_or(one.due) <= now)
            .map(|(id, _)| *id)
        {
            let suppressed = self.is_suppressed(&self.subscribers[self.owed[&id].to].asked, now);
            let one = self.owed.get_mut(&id).unwrap();
            let status = self.subscribers[one.to].status;
            let entitled = status == SubscriptionStatus::Active
                || (one.kind == DeliveryKind::Confirmation && status == SubscriptionStatus::Pending);
            if !entitled || suppressed {
                one.end(State::Cancelled);
            } else if one.kind == DeliveryKind::Alert && !self.alerts[&one.of.unwrap()] {
                one.end(State::Cancelled);
                if one.attempts > 0 {
                    self.follow_up(id, now);
                }
            } else if one.expires <= now {
                one.end(State::Expired);
            } else {
                one.attempts += 1;
                one.lease = Some(until);
                handed.insert(id, one.attempts);
            }
        }
        handed
    }

    fn settle(&mut self, claim: &Delivery, outcome: &Outcome, now: Timestamp) -> bool {
        let one = self.owed.get_mut(&claim.id).unwrap();
        if one.state != State::Pending || one.attempts != claim.attempt || one.lease.is_none() {
            return false;
        }
        let gone = one.kind == DeliveryKind::Alert && !self.alerts[&one.of.unwrap()];
        match outcome {
            Outcome::Sent => one.end(State::Sent),
            Outcome::Failed(_) => one.end(State::Failed),
            Outcome::RetryAt(..) if gone => one.end(State::Cancelled),
            Outcome::RetryAt(at, _) if *at >= one.expires => one.end(State::Expired),
            Outcome::RetryAt(at, _) => (one.due, one.lease) = (*at, None),
        }
        let (to, attempts) = (one.to, one.attempts);
        match outcome {
            Outcome::Sent => self.answer(to, true, now),
            Outcome::Failed(_) => self.answer(to, false, now),
            Outcome::RetryAt(..) => {}
        }
        if gone && (attempts > 1 || !matches!(outcome, Outcome::Failed(_))) {
            self.follow_up(claim.id, now);
        }
        true
    }

    fn count(&self, state: State) -> u64 {
        self.owed.values().filter(|one| one.state == state).count() as u64
    }
}

impl Subscriber {
    fn activate(&mut self, now: Timestamp) {
        self.status = SubscriptionStatus::Active;
        let minute = Minute::containing(now);
        self.active_from = Some(if minute.start() == now { minute } else { minute.plus(1) });
    }
}

impl Owed {
    fn end(&mut self, state: State) {
        self.state = state;
        self.lease = None;
    }
}

/// The store and the model, side by side.
struct Stage {
    store: Arc<dyn Store>,
    model: Model,
    now: Timestamp,
    /// Every claim ever handed out: old holders keep trying.
    claims: Vec<Delivery>,
    raised: Vec<(usize, Minute)>,
    sign_ups: Vec<SignUp>,
}

impl Stage {
    async fn play(&mut self, step: &Step) {
        let now = self.now;
        let lease_until = now + SignedDuration::from_secs(30);
        match *step {
            Step::Subscribe { address, symbol, confirm } => {
                let email = ["ada@example.com", "Bob@example.com", "ADA+x@example.com"][address];
                let n = self.sign_ups.len() as u16;
                let asked = SignUp { confirm, ..sign_up(n, email, SYMBOLS[symbol]) };
                let owed = self.store.subscribe(&asked, LIMITS, now).await.unwrap();
                assert_eq!(owed, self.model.subscribe(asked.clone(), now));
                self.sign_ups.push(asked);
            }
            Step::Confirm { which } => {
                let Some(asked) = pick(&self.sign_ups, which) else { return };
                let confirmed = self.store.confirm(&asked.hashes.confirm, now).await.unwrap();
                let known = self.model.subscribers.iter_mut().find(|one| one.asked.id == asked.id);
                let Some(known) = known else { return assert_eq!(confirmed, Confirmed::Unknown) };
                match known.status {
                    SubscriptionStatus::Unsubscribed => assert!(matches!(confirmed, Confirmed::Ended(_))),
                    SubscriptionStatus::Active => assert!(matches!(confirmed, Confirmed::AlreadyActive(_))),
                    SubscriptionStatus::Pending if now >= known.confirm_by => {
                        assert!(matches!(confirmed, Confirmed::Expired(_)));
                    }
                    SubscriptionStatus::Pending => {
                        known.activate(now);
                        let Confirmed::Activated(active) = confirmed else { panic!("{confirmed:?}") };
                        assert_eq!(active.active_from, known.active_from);
                    }
                }
            }
            Step::Unsubscribe { which } => {
                let Some(asked) = pick(&self.sign_ups, which) else { return };
                let ended = self.store.unsubscribe(&asked.hashes.unsubscribe, now).await.unwrap();
                let known = self.model.subscribers.iter().position(|one| one.asked.id == asked.id);
                assert_eq!(ended.is_some(), known.is_some());
                let Some(known) = known else { return };
                if self.model.subscribers[known].status == SubscriptionStatus::Unsubscribed {
                    return;
                }
                self.model.subscribers[known].status = SubscriptionStatus::Unsubscribed;
                for one in self.model.owed.values_mut().filter(|one| one.to == known) {
                    let under_way = one.lease.is_some_and(|lease| lease > now);
                    if one.state == State::Pending && !under_way {
                        one.end(State::Cancelled);
                    }
                }
            }
            Step::Raise { symbol, minutes } => {
                let start = Minute::containing(now).plus(minutes);
                let raised = alert(SYMBOLS[symbol], start);
                let id = raised.id;
                let batch = alerts_of([AlertChange::Raised(raised)]);
                let committed = self.store.commit(&batch, now).await.unwrap();
                assert_eq!(committed.deliveries, self.model.raise(id, symbol, start, now));
                self.raised.push((symbol, start));
            }
            Step::Retract { which } => {
                let Some((symbol, start)) = pick(&self.raised, which) else { return };
                let gone = retracted(&alert(SYMBOLS[symbol], start));
                let id = gone.id;
                let batch = alerts_of([AlertChange::Retracted(gone)]);
                let committed = self.store.commit(&batch, now).await.unwrap();
                assert_eq!(committed.deliveries, self.model.retract(id, now));
            }
            Step::Claim => {
                let claimed = self.store.claim(now, lease_until, 1000).await.unwrap();
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
                let retry =
                    |seconds| Outcome::RetryAt(now + SignedDuration::from_secs(seconds), "later".to_owned());
                let outcome = match how {
                    0 | 1 => Outcome::Sent,
                    2 | 3 => Outcome::Failed("never".to_owned()),
                    4 => retry(60),
                    _ => retry(14_400),
                };
                let settled = self.store.settle(claim.id, claim.lease, &outcome, now).await.unwrap();
                assert_eq!(settled, self.model.settle(&claim, &outcome, now));
            }
            Step::Renew { which } => {
                let Some(claim) = pick(&self.claims, which) else { return };
                let renewed = self.store.renew(claim.id, claim.lease, lease_until).await.unwrap();
                let one = self.model.owed.get_mut(&claim.id).unwrap();
                let holds = one.lease.is_some() && one.attempts == claim.attempt;
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
            let state = known.map(|one| (one.status, one.active_from));
            assert_eq!(found.map(|found| (found.status, found.active_from)), state);
        }
    }
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
