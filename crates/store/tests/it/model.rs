//! Random stories of subscribers, alerts and dispatchers against a model in memory: after every step the
//! store must enqueue, hand out and count exactly what the model says.

use crate::sqlite::fresh;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use qqq_core::delivery::places::Rooms;
use qqq_core::delivery::{Delivery, DeliveryId, DeliveryKind, Failure, Outcome};
use qqq_core::subscription::channel::Channel;
use qqq_core::subscription::signup::{Throttle, Turn};
use qqq_core::subscription::token::Purpose;
use qqq_core::subscription::{SubscriptionId, SubscriptionStatus};
use qqq_core::{Alert, AlertId, Minute, RuleName, SpikeRule};
use qqq_store::conformance::{PLENTY, alert, alerts_of, at, own_rule, retracted, sign_up};
use qqq_store::{
    AlertChange, Amended, Choice, Confirmed, DeliveryState, Replayed, SignUp, SignUpLimits, SignedUp, Store,
    SubscriptionChange,
};
use std::collections::{BTreeMap, VecDeque};
use std::slice;
use std::sync::Arc;

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
    paused_until: Option<Timestamp>,
    generation: u32,
    created: Timestamp,
    mails: u32,
}

/// A message that waits for its turn.
#[derive(Clone)]
struct InLine {
    to: usize,
    asked: Timestamp,
    not_before: Timestamp,
}

struct Enqueued {
    kind: DeliveryKind,
    to: usize,
    of: Option<AlertId>,
    state: State,
    created: Timestamp,
    expires: Timestamp,
    due: Timestamp,
    lease: Option<Timestamp>,
    /// How often it was handed out: what tells its claims apart.
    claims: i64,
    attempts: u32,
}

#[derive(Default)]
struct Model {
    /// Sign-ups not taken in.
    noted: Vec<(SignUp, Timestamp)>,
    waiting: Vec<InLine>,
    subscribers: Vec<Subscriber>,
    /// Alerts, and whether they stand.
    alerts: BTreeMap<AlertId, bool>,
    owed: BTreeMap<DeliveryId, Enqueued>,
    /// What receivers answered for good: address, when, whether they accepted. What is tried again is not
    /// answered.
    answers: BTreeMap<DeliveryId, (String, Timestamp, bool)>,
    /// Addresses that refused three mails in a row, and when they did.
    suppressed: BTreeMap<String, Timestamp>,
}

impl Model {
    fn enqueue(&mut self, kind: DeliveryKind, to: usize, of: Option<AlertId>, now: Timestamp) -> u64 {
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
        let expires = now + subscriber.lifetime(kind);
        let owed = Enqueued {
            kind,
            to,
            of,
            state: State::Pending,
            created: now,
            expires,
            due: now,
            lease: None,
            claims: 0,
            attempts: 0,
        };
        self.owed.insert(id, owed);
        1
    }

    fn is_suppressed(&self, to: &SignUp, now: Timestamp) -> bool {
        let since = self.suppressed.get(&to.channel.key());
        since.is_some_and(|since| now.duration_since(*since) < SignedDuration::from_hours(30 * 24))
    }

    fn answer(&mut self, id: DeliveryId, accepted: bool, now: Timestamp) {
        let address = self.recipient(&self.owed[&id]);
        self.answers.insert(id, (address.clone(), now, accepted));
        let mut answers: Vec<(Timestamp, bool)> =
            self.answers.values().filter(|one| one.0 == address).map(|one| (one.1, one.2)).collect();
        answers.sort_unstable();
        if !accepted && answers.len() >= 3 && answers.iter().rev().take(3).all(|one| !one.1) {
            self.suppressed.insert(address, now);
        }
    }

    fn subscribe(&mut self, asked: SignUp, now: Timestamp) {
        if asked.confirm {
            self.noted.push((asked, now));
        } else {
            self.take_in_one(asked, now);
        }
    }

    /// Answers how many sign-ups were taken in, and how many messages were enqueued.
    fn take_in(&mut self, now: Timestamp) -> (u64, u64) {
        let noted = std::mem::take(&mut self.noted);
        let count = noted.len() as u64;
        for (asked, at) in noted {
            self.take_in_one(asked, at);
        }
        (count, self.send_off(now))
    }

    fn take_in_one(&mut self, asked: SignUp, at: Timestamp) {
        let same = |one: &Subscriber| {
            !one.status.has_ended()
                && one.asked.channel.key() == asked.channel.key()
                && (one.asked.scope, one.asked.rule) == (asked.scope, asked.rule)
        };
        let to = self.subscribers.iter().position(same).unwrap_or_else(|| {
            self.subscribers.push(Subscriber {
                asked: asked.clone(),
                status: SubscriptionStatus::Pending,
                confirm_by: at,
                active_from: None,
                paused_until: None,
                generation: 0,
                created: at,
                mails: 0,
            });
            self.subscribers.len() - 1
        });
        let subscriber = &mut self.subscribers[to];
        if subscriber.status == SubscriptionStatus::Active {
            return;
        }
        subscriber.confirm_by = subscriber.confirm_by.max(at + SignedDuration::from_hours(24));
        if !asked.confirm {
            subscriber.activate(at);
        }
        let by_mail = matches!(asked.channel, Channel::Email(_));
        if (by_mail && !asked.confirm) || self.is_suppressed(&asked, at) {
            return;
        }
        let key = asked.channel.key();
        let joins = self
            .waiting
            .iter()
            .any(|one| one.to == to || (by_mail && self.subscribers[one.to].asked.channel.key() == key));
        if !joins {
            self.waiting.push(InLine { to, asked: at, not_before: at });
        }
    }

    /// The messages that ask to confirm, as they were enqueued: when, to whom.
    fn confirmations(&self) -> Vec<(Timestamp, usize)> {
        let mut sent: Vec<_> = self
            .owed
            .values()
            .filter(|one| one.kind == DeliveryKind::Confirmation)
            .map(|one| (one.created, one.to))
            .collect();
        sent.sort_unstable();
        sent
    }

    /// What is pending at a recipient's and was not too old at `at`, newest first.
    fn pending_of(&self, key: &str, at: Timestamp) -> Vec<usize> {
        let mut pending: Vec<usize> = (0..self.subscribers.len())
            .filter(|to| {
                let one = &self.subscribers[*to];
                one.status == SubscriptionStatus::Pending
                    && one.asked.channel.key() == key
                    && one.confirm_by > at
            })
            .collect();
        pending.sort_by_key(|to| {
            let one = &self.subscribers[*to];
            std::cmp::Reverse((one.created, one.asked.id.to_string()))
        });
        pending
    }

    fn send_off(&mut self, now: Timestamp) -> u64 {
        let hour = now - SignedDuration::from_hours(1);
        let day = now - SignedDuration::from_hours(24);
        let domain = |model: &Self, to: usize| model.subscribers[to].asked.channel.destination().domain;
        let lately: Vec<(Timestamp, String)> = self
            .confirmations()
            .into_iter()
            .filter(|(at, _)| *at > hour)
            .map(|(at, to)| (at, domain(self, to)))
            .collect();
        let mut throttle = Throttle::new(LIMITS, lately, now);
        let mut sent = 0;
        loop {
            let due: VecDeque<InLine> =
                self.waiting.iter().filter(|one| one.not_before <= now).cloned().collect();
            if due.is_empty() || !throttle.has_room() {
                return sent;
            }
            for one in throttle.in_turn(due) {
                let key = self.subscribers[one.to].asked.channel.key();
                let subject = match self.subscribers[one.to].asked.channel {
                    Channel::Email(_) | Channel::Push(_) => self.pending_of(&key, one.asked).first().copied(),
                    Channel::Webhook(_) => {
                        let subscriber = &self.subscribers[one.to];
                        let told = match subscriber.status {
                            SubscriptionStatus::Pending => false,
                            SubscriptionStatus::Active => subscriber.mails > 0,
                            _ => true,
                        };
                        (!told).then_some(one.to)
                    }
                };
                let place = self.waiting.iter().position(|other| other.to == one.to).unwrap();
                let Some(subject) = subject else {
                    self.waiting.remove(place);
                    continue;
                };
                let to = self.subscribers[subject].asked.channel.destination();
                let before: Vec<Timestamp> = self
                    .confirmations()
                    .into_iter()
                    .filter(|(at, other)| {
                        *at > day
                            && self.subscribers[*other].asked.channel.destination().mailbox == to.mailbox
                    })
                    .map(|(at, _)| at)
                    .collect();
                match throttle.turn(&to, &before) {
                    Turn::Now => {
                        self.waiting.remove(place);
                        for pending in self.pending_of(&key, one.asked) {
                            let confirm_by = &mut self.subscribers[pending].confirm_by;
                            *confirm_by = (*confirm_by).max(now + SignedDuration::from_hours(24));
                        }
                        self.enqueue(DeliveryKind::Confirmation, subject, None, now);
                        sent += 1;
                    }
                    Turn::NotBefore(at) => self.waiting[place].not_before = at,
                    Turn::Later => return sent,
                }
            }
        }
    }

    /// Confirms or declines what a link shows: those `ticked` of it, or all.
    fn confirm(
        &mut self,
        of: usize,
        ticked: Option<&[SubscriptionId]>,
        now: Timestamp,
    ) -> Option<(usize, usize)> {
        let key = self.subscribers[of].asked.channel.key();
        let asked = match self.subscribers[of].confirm_by > now {
            true => self.pending_of(&key, now),
            false => Vec::new(),
        };
        if asked.is_empty() {
            return None;
        }
        let is_ticked = |to: &usize| ticked.is_none_or(|some| some.contains(&self.subscribers[*to].asked.id));
        let (wanted, declined): (Vec<usize>, Vec<usize>) = asked.iter().copied().partition(is_ticked);
        for to in &wanted {
            self.subscribers[*to].activate(now);
        }
        for to in &declined {
            self.end(*to, SubscriptionStatus::Unsubscribed, now);
        }
        match self.subscribers[of].asked.channel {
            Channel::Email(_) | Channel::Push(_) => {
                if self.pending_of(&key, Timestamp::MIN).is_empty() {
                    self.waiting.retain(|one| self.subscribers[one.to].asked.channel.key() != key);
                }
            }
            Channel::Webhook(_) => {
                for to in &wanted {
                    if self.subscribers[*to].mails == 0 {
                        self.enqueue(DeliveryKind::Confirmation, *to, None, now);
                    }
                    self.waiting.retain(|one| one.to != *to);
                }
            }
        }
        Some((wanted.len(), declined.len()))
    }

    fn raise(&mut self, alert: &Alert, now: Timestamp) -> u64 {
        if self.alerts.contains_key(&alert.id) {
            return 0;
        }
        self.alerts.insert(alert.id, true);
        let concerned: Vec<usize> = (0..self.subscribers.len())
            .filter(|&to| {
                let one = &self.subscribers[to];
                one.listens(now)
                    && (one.asked.scope, one.asked.rule) == (alert.symbol.into(), alert.rule.name())
                    && one.active_from.unwrap() <= alert.start
                    && !self.is_suppressed(&one.asked, now)
            })
            .collect();
        concerned.into_iter().map(|to| self.enqueue(DeliveryKind::Alert, to, Some(alert.id), now)).sum()
    }

    /// Ends a delivery whose alert no longer stands; true where its receiver may have been told.
    fn follow_up(&mut self, id: DeliveryId, now: Timestamp) -> u64 {
        let (to, of) = (self.owed[&id].to, self.owed[&id].of);
        if self.subscribers[to].listens(now) {
            self.enqueue(DeliveryKind::Retraction, to, of, now)
        } else {
            0
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

    fn recipient(&self, one: &Enqueued) -> String {
        self.subscribers[one.to].asked.channel.key()
    }

    /// What comes next: the oldest that is due of a recipient with fewer than four under way.
    fn next(&self, now: Timestamp) -> Option<DeliveryId> {
        let mut under_way: BTreeMap<String, usize> = BTreeMap::new();
        for one in self.owed.values().filter(|one| one.lease.is_some_and(|lease| lease > now)) {
            *under_way.entry(self.recipient(one)).or_default() += 1;
        }
        let due = |one: &Enqueued| one.lease.unwrap_or(one.due);
        self.owed
            .iter()
            .filter(|(_, one)| one.state == State::Pending && due(one) <= now)
            .filter(|(_, one)| under_way.get(&self.recipient(one)).is_none_or(|count| *count < 4))
            .min_by_key(|(id, one)| (due(one), id.to_string()))
            .map(|(id, _)| *id)
    }

    /// Everything that is handed out, with its attempt.
    fn claim(&mut self, now: Timestamp, until: Timestamp) -> BTreeMap<DeliveryId, u32> {
        let mut handed = BTreeMap::new();
        while let Some(id) = self.next(now) {
            let suppressed = self.is_suppressed(&self.subscribers[self.owed[&id].to].asked, now);
            let one = self.owed.get_mut(&id).unwrap();
            let to = &self.subscribers[one.to];
            let entitled = match one.kind {
                DeliveryKind::Confirmation => !to.status.has_ended(),
                _ => to.listens(now),
            };
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
                one.claims += 1;
                one.lease = Some(until);
                handed.insert(id, one.attempts);
            }
        }
        handed
    }

    fn settle(&mut self, claim: &Delivery, outcome: &Outcome, now: Timestamp) -> bool {
        let one = self.owed.get_mut(&claim.id).unwrap();
        if one.state != State::Pending || one.claims != claim.lease.0 || one.lease.is_none() {
            return false;
        }
        let gone = one.kind == DeliveryKind::Alert && !self.alerts[&one.of.unwrap()];
        if matches!(outcome, Outcome::NotTried(..)) {
            one.attempts -= 1;
        }
        match outcome {
            Outcome::Sent => one.end(State::Sent),
            Outcome::Failed(_) | Outcome::Gone(_) => one.end(State::Failed),
            Outcome::RetryAt(..) | Outcome::NotTried(..) if gone => one.end(State::Cancelled),
            Outcome::RetryAt(at, _) | Outcome::NotTried(at, _) if *at >= one.expires => {
                one.end(State::Expired);
            }
            Outcome::RetryAt(at, _) | Outcome::NotTried(at, _) => (one.due, one.lease) = (*at, None),
        }
        let (to, attempts) = (one.to, one.attempts);
        let refused = matches!(outcome, Outcome::Failed(_) | Outcome::Gone(_));
        if refused || *outcome == Outcome::Sent {
            self.answer(claim.id, !refused, now);
        }
        if matches!(outcome, Outcome::Gone(_)) {
            self.end(to, SubscriptionStatus::Disabled, now);
        }
        if gone && attempts > u32::from(refused) {
            self.follow_up(claim.id, now);
        }
        true
    }

    /// Ends a subscription and cancels what is owed to it and not under way.
    fn end(&mut self, to: usize, status: SubscriptionStatus, now: Timestamp) {
        if self.subscribers[to].status.has_ended() {
            return;
        }
        self.subscribers[to].status = status;
        for one in self.owed.values_mut().filter(|one| one.to == to) {
            let under_way = one.lease.is_some_and(|lease| lease > now);
            if one.state == State::Pending && !under_way {
                one.end(State::Cancelled);
            }
        }
    }

    fn count(&self, state: State) -> u64 {
        self.owed.values().filter(|one| one.state == state).count() as u64
    }
}

impl Subscriber {
    fn lifetime(&self, kind: DeliveryKind) -> SignedDuration {
        SignedDuration::from_secs(match self.asked.channel {
            Channel::Email(_) => kind.lifetime_seconds(),
            Channel::Webhook(_) | Channel::Push(_) => kind.webhook_lifetime_seconds(),
        })
    }

    /// Whether it is to be told of alerts.
    fn listens(&self, now: Timestamp) -> bool {
        self.status == SubscriptionStatus::Active && self.paused_until.is_none_or(|until| until <= now)
    }

    fn activate(&mut self, now: Timestamp) {
        self.status = SubscriptionStatus::Active;
        let minute = Minute::containing(now);
        self.active_from = Some(if minute.start() == now { minute } else { minute.plus(1) });
    }
}

impl Enqueued {
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
                let start = Minute::containing(now).plus(minutes);
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
