//! Random stories against a model that knows the rules in the simplest words, and a backend in memory that
//! knows none: it loads, applies, and after every step all deliveries must stand where the model says.

mod memory;
mod oracle;

use self::memory::Memory;
use self::oracle::Model;
use super::places::Rooms;
use super::samples::{READERS, at, raised, reader};
use super::*;
use crate::Carrier;
use crate::alert::AlertState;
use crate::subscription::{Subscription, SubscriptionId, SubscriptionStatus};
use jiff::SignedDuration;
use proptest::prelude::*;
use std::collections::BTreeMap;

const BUDGET: Budget = Budget { messages: 3, per_seconds: 3600 };
const DAY: i64 = 24 * 3600;

/// A delivery as it is kept. Readers and alerts go by their numbers.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    kind: DeliveryKind,
    to: usize,
    alert: Option<usize>,
    digest: Option<DeliveryId>,
    state: DeliveryState,
    created: Timestamp,
    due: Timestamp,
    expires: Timestamp,
    lease: Option<Timestamp>,
    attempts: u32,
    claims: i64,
    deferred: bool,
    settled: Option<Timestamp>,
    why: Option<String>,
    failure: Option<FailureKind>,
}

impl Row {
    fn new(kind: DeliveryKind, to: usize, alert: Option<usize>, now: Timestamp) -> Self {
        let by_mail = reader(to).channel.carrier() == Carrier::Mail;
        let seconds = if by_mail && kind != DeliveryKind::Confirmation { 4 * 3600 } else { DAY };
        Self {
            kind,
            to,
            alert,
            digest: None,
            state: DeliveryState::Pending,
            created: now,
            due: now,
            expires: now + SignedDuration::from_secs(seconds),
            lease: None,
            attempts: 0,
            claims: 0,
            deferred: false,
            settled: None,
            why: None,
            failure: None,
        }
    }

    fn end(&mut self, state: DeliveryState, why: Option<&str>, failure: Option<FailureKind>, now: Timestamp) {
        (self.state, self.settled, self.lease, self.deferred) = (state, Some(now), None, false);
        (self.why, self.failure) = (why.map(str::to_owned), failure);
    }

    fn is_under_way(&self, now: Timestamp) -> bool {
        self.lease.is_some_and(|until| until > now)
    }
}

/// What both keep.
#[derive(Clone, Default)]
struct Kept {
    readers: Vec<Subscription>,
    alerts: Vec<Alert>,
    rows: BTreeMap<DeliveryId, Row>,
    suppressed: BTreeMap<Recipient, Timestamp>,
}

impl Kept {
    fn recipient(&self, row: &Row) -> Recipient {
        Recipient::of(&self.readers[row.to].channel)
    }

    fn due(&self, carrier: Carrier, now: Timestamp) -> Vec<DeliveryId> {
        let mut under_way: BTreeMap<Recipient, usize> = BTreeMap::new();
        for row in self.rows.values().filter(|row| row.is_under_way(now)) {
            *under_way.entry(self.recipient(row)).or_default() += 1;
        }
        let since = |row: &Row| row.lease.unwrap_or(row.due);
        let mut due: Vec<_> = self
            .rows
            .iter()
            .filter(|(_, row)| row.state == DeliveryState::Pending && since(row) <= now)
            .filter(|(_, row)| self.readers[row.to].channel.carrier() == carrier)
            .filter(|(_, row)| under_way.get(&self.recipient(row)).is_none_or(|count| *count < 4))
            .map(|(id, row)| (since(row), *id))
            .collect();
        due.sort();
        due.into_iter().map(|(_, id)| id).collect()
    }

    fn enqueue(&mut self, kind: DeliveryKind, to: usize, alert: usize, now: Timestamp) {
        let id = DeliveryId::of_alert(kind, self.alerts[alert].id, self.readers[to].id);
        self.rows.entry(id).or_insert_with(|| Row::new(kind, to, Some(alert), now));
    }

    fn number_of(&self, alert: AlertId) -> usize {
        self.alerts.iter().position(|one| one.id == alert).unwrap()
    }

    fn reader_of(&self, id: SubscriptionId) -> usize {
        self.readers.iter().position(|one| one.id == id).unwrap()
    }

    fn listener(&self, to: usize) -> Listener {
        let one = &self.readers[to];
        Listener { subscription: one.id, status: one.status, paused_until: one.paused_until }
    }

    fn told_by(&self, id: DeliveryId) -> Vec<DeliveryId> {
        let tells = |(other, row): &(&DeliveryId, &Row)| {
            row.kind == DeliveryKind::Alert && (**other == id || row.digest == Some(id))
        };
        self.rows.iter().filter(tells).map(|(id, _)| *id).collect()
    }
}

/// Knows the rules, in words as plain as can be.

#[derive(Clone, Debug)]
enum Step {
    Raise { to: u8 },
    Confirm { to: usize },
    Retract { which: usize },
    Claim,
    Settle { which: usize, how: u8 },
    End { to: usize },
    Pause { to: usize, seconds: i64 },
    Wait { seconds: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    let to = 0..READERS.len();
    prop_oneof![
        6 => (1_u8..16).prop_map(|to| Step::Raise { to }),
        1 => to.clone().prop_map(|to| Step::Confirm { to }),
        2 => (0..1000_usize).prop_map(|which| Step::Retract { which }),
        6 => Just(Step::Claim),
        6 => (0..1000_usize, 0..10_u8).prop_map(|(which, how)| Step::Settle { which, how }),
        1 => to.clone().prop_filter("the others go on", |to| *to != 1).prop_map(|to| Step::End { to }),
        1 => (to, prop::sample::select(vec![1, 900, DAY]))
            .prop_map(|(to, seconds)| Step::Pause { to, seconds }),
        5 => prop::sample::select(vec![0, 1, 29, 30, 60, 1799, 3599, 3600, 14_400, 8 * 3600, DAY])
            .prop_map(|seconds| Step::Wait { seconds }),
    ]
}

fn outcome(how: u8, now: Timestamp) -> Outcome {
    let later = |seconds| now + SignedDuration::from_secs(seconds);
    let failure = |kind| Failure::new(kind, "said the receiver");
    match how {
        0..4 => Outcome::Sent,
        4 => Outcome::RetryAt(later(60), failure(FailureKind::TimedOut)),
        5 => Outcome::RetryAt(later(DAY), failure(FailureKind::Refused(Some(503)))),
        6 => Outcome::NotTried(later(30), "left alone".to_owned()),
        7 => Outcome::NotTried(later(DAY), "left alone".to_owned()),
        8 => Outcome::Failed(failure(FailureKind::Refused(Some(550)))),
        _ => Outcome::Gone(failure(FailureKind::Refused(Some(410)))),
    }
}

/// The policy's backend and the model, side by side.
#[derive(Default)]
struct Stage {
    memory: Memory,
    model: Model,
    /// Every claim ever handed out: old holders keep trying.
    claims: Vec<Delivery>,
    now: Timestamp,
    confirmations: u32,
}

impl Stage {
    fn play(&mut self, step: &Step) {
        let now = self.now;
        match *step {
            Step::Raise { to } => {
                let alert = self.model.0.alerts.len();
                let told: Vec<usize> =
                    (0..READERS.len()).filter(|n| to & (1 << n) > 0 && self.model.hears(*n, now)).collect();
                for kept in [&mut self.memory.0, &mut self.model.0] {
                    kept.alerts.push(raised(alert));
                    told.iter().for_each(|to| kept.enqueue(DeliveryKind::Alert, *to, alert, now));
                }
            }
            Step::Confirm { to } => {
                self.confirmations += 1;
                for kept in [&mut self.memory.0, &mut self.model.0] {
                    let id = DeliveryId::of_confirmation(kept.readers[to].id, self.confirmations);
                    kept.rows.insert(id, Row::new(DeliveryKind::Confirmation, to, None, now));
                }
            }
            Step::Retract { which } => {
                let Some(alert) = which.checked_rem(self.model.0.alerts.len()) else { return };
                if self.model.0.alerts[alert].state == AlertState::Raised {
                    self.memory.retract(alert, now);
                    self.model.retract(alert, now);
                }
            }
            Step::Claim => {
                let until = now + SignedDuration::from_secs(30);
                let handed = self.memory.claim(now, until);
                let number = |alert: &Alert| self.model.0.number_of(alert.id);
                let told: BTreeMap<DeliveryId, Vec<usize>> =
                    handed.iter().map(|one| (one.id, one.digest.iter().map(number).collect())).collect();
                assert_eq!(told.len(), handed.len(), "one of them twice");
                assert_eq!(told, self.model.claim(now, until));
                self.claims.extend(handed);
            }
            Step::Settle { which, how } => {
                let Some(which) = which.checked_rem(self.claims.len()) else { return };
                let (claim, outcome) = (&self.claims[which], outcome(how, now));
                let settled = self.memory.settle(claim, &outcome, now);
                assert_eq!(settled, self.model.settle(claim, &outcome, now));
            }
            Step::End { to } => {
                let (id, status) = (self.memory.0.readers[to].id, SubscriptionStatus::Unsubscribed);
                self.memory.apply(vec![Transition::EndSubscription { id, status }], now);
                self.model.end(to, status, now);
            }
            Step::Pause { to, seconds } => {
                let until = now + SignedDuration::from_secs(seconds);
                if self.model.0.readers[to].status.has_ended() {
                    return;
                }
                let reader = &mut self.memory.0.readers[to];
                reader.paused_until = Some(until);
                let cancelled = Transition::CancelWaiting(cancel_at_pause(reader.id));
                self.memory.apply(vec![cancelled], now);
                self.model.pause(to, until, now);
            }
            Step::Wait { seconds } => self.now += SignedDuration::from_secs(seconds),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn every_story_goes_as_the_model_says(steps in prop::collection::vec(step(), 1..120)) {
        let mut stage = Stage { now: at(0), ..Stage::default() };
        for kept in [&mut stage.memory.0, &mut stage.model.0] {
            kept.readers = (0..READERS.len()).map(reader).collect();
        }
        for step in &steps {
            stage.play(step);
            prop_assert_eq!(&stage.memory.0.rows, &stage.model.0.rows, "after {:?}", step);
            prop_assert_eq!(&stage.memory.0.suppressed, &stage.model.0.suppressed);
            let statuses = |kept: &Kept| kept.readers.iter().map(|one| one.status).collect::<Vec<_>>();
            prop_assert_eq!(statuses(&stage.memory.0), statuses(&stage.model.0));
        }
    }
}
