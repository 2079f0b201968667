//! What the store must come to, in memory: subscribers, alerts and the messages they are owed.

use super::LIMITS;
use jiff::{SignedDuration, Timestamp};
use qqq_core::delivery::{Delivery, DeliveryId, DeliveryKind, Outcome};
use qqq_core::subscription::channel::Channel;
use qqq_core::subscription::signup::{Throttle, Turn};
use qqq_core::subscription::{SubscriptionId, SubscriptionStatus};
use qqq_core::{Alert, AlertId, Second};
use qqq_store::SignUp;
use std::collections::{BTreeMap, VecDeque};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Pending,
    Sent,
    Failed,
    Expired,
    Cancelled,
}

pub(super) struct Subscriber {
    pub(super) asked: SignUp,
    pub(super) status: SubscriptionStatus,
    pub(super) confirm_by: Timestamp,
    pub(super) active_from: Option<Second>,
    pub(super) paused_until: Option<Timestamp>,
    pub(super) generation: u32,
    pub(super) created: Timestamp,
    pub(super) mails: u32,
}

/// A message that waits for its turn.
#[derive(Clone)]
pub(super) struct InLine {
    pub(super) to: usize,
    pub(super) asked: Timestamp,
    pub(super) not_before: Timestamp,
}

pub(super) struct Enqueued {
    pub(super) kind: DeliveryKind,
    pub(super) to: usize,
    pub(super) of: Option<AlertId>,
    pub(super) state: State,
    pub(super) created: Timestamp,
    pub(super) expires: Timestamp,
    pub(super) due: Timestamp,
    pub(super) lease: Option<Timestamp>,
    /// How often it was handed out: what tells its claims apart.
    pub(super) claims: i64,
    pub(super) attempts: u32,
}

#[derive(Default)]
pub(super) struct Model {
    /// Sign-ups not taken in.
    pub(super) noted: Vec<(SignUp, Timestamp)>,
    pub(super) waiting: Vec<InLine>,
    pub(super) subscribers: Vec<Subscriber>,
    /// Alerts, and whether they stand.
    pub(super) alerts: BTreeMap<AlertId, bool>,
    pub(super) owed: BTreeMap<DeliveryId, Enqueued>,
    /// What receivers answered for good: address, when, whether they accepted. What is tried again is not
    /// answered.
    pub(super) answers: BTreeMap<DeliveryId, (String, Timestamp, bool)>,
    /// Addresses that refused three mails in a row, and when they did.
    pub(super) suppressed: BTreeMap<String, Timestamp>,
}

impl Model {
    pub(super) fn enqueue(
        &mut self,
        kind: DeliveryKind,
        to: usize,
        of: Option<AlertId>,
        now: Timestamp,
    ) -> u64 {
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

    pub(super) fn is_suppressed(&self, to: &SignUp, now: Timestamp) -> bool {
        let since = self.suppressed.get(&to.channel.key());
        since.is_some_and(|since| now.duration_since(*since) < SignedDuration::from_hours(30 * 24))
    }

    pub(super) fn answer(&mut self, id: DeliveryId, accepted: bool, now: Timestamp) {
        let address = self.recipient(&self.owed[&id]);
        self.answers.insert(id, (address.clone(), now, accepted));
        let mut answers: Vec<(Timestamp, bool)> =
            self.answers.values().filter(|one| one.0 == address).map(|one| (one.1, one.2)).collect();
        answers.sort_unstable();
        if !accepted && answers.len() >= 3 && answers.iter().rev().take(3).all(|one| !one.1) {
            self.suppressed.insert(address, now);
        }
    }

    pub(super) fn subscribe(&mut self, asked: SignUp, now: Timestamp) {
        if asked.confirm {
            self.noted.push((asked, now));
        } else {
            self.take_in_one(asked, now);
        }
    }

    /// Answers how many sign-ups were taken in, and how many messages were enqueued.
    pub(super) fn take_in(&mut self, now: Timestamp) -> (u64, u64) {
        let noted = std::mem::take(&mut self.noted);
        let count = noted.len() as u64;
        for (asked, at) in noted {
            self.take_in_one(asked, at);
        }
        (count, self.send_off(now))
    }

    pub(super) fn take_in_one(&mut self, asked: SignUp, at: Timestamp) {
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
    pub(super) fn confirmations(&self) -> Vec<(Timestamp, usize)> {
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
    pub(super) fn pending_of(&self, key: &str, at: Timestamp) -> Vec<usize> {
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

    pub(super) fn send_off(&mut self, now: Timestamp) -> u64 {
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
    pub(super) fn confirm(
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

    pub(super) fn raise(&mut self, alert: &Alert, now: Timestamp) -> u64 {
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
    pub(super) fn follow_up(&mut self, id: DeliveryId, now: Timestamp) -> u64 {
        let (to, of) = (self.owed[&id].to, self.owed[&id].of);
        if self.subscribers[to].listens(now) {
            self.enqueue(DeliveryKind::Retraction, to, of, now)
        } else {
            0
        }
    }

    pub(super) fn retract(&mut self, alert: AlertId, now: Timestamp) -> u64 {
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

    pub(super) fn recipient(&self, one: &Enqueued) -> String {
        self.subscribers[one.to].asked.channel.key()
    }

    /// What comes next: the oldest that is due of a recipient with fewer than four under way.
    pub(super) fn next(&self, now: Timestamp) -> Option<DeliveryId> {
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
    pub(super) fn claim(&mut self, now: Timestamp, until: Timestamp) -> BTreeMap<DeliveryId, u32> {
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

    pub(super) fn settle(&mut self, claim: &Delivery, outcome: &Outcome, now: Timestamp) -> bool {
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
    pub(super) fn end(&mut self, to: usize, status: SubscriptionStatus, now: Timestamp) {
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

    pub(super) fn count(&self, state: State) -> u64 {
        self.owed.values().filter(|one| one.state == state).count() as u64
    }
}

impl Subscriber {
    pub(super) fn lifetime(&self, kind: DeliveryKind) -> SignedDuration {
        SignedDuration::from_secs(match self.asked.channel {
            Channel::Email(_) => kind.lifetime_seconds(),
            Channel::Webhook(_) | Channel::Push(_) => kind.webhook_lifetime_seconds(),
        })
    }

    /// Whether it is to be told of alerts.
    pub(super) fn listens(&self, now: Timestamp) -> bool {
        self.status == SubscriptionStatus::Active && self.paused_until.is_none_or(|until| until <= now)
    }

    pub(super) fn activate(&mut self, now: Timestamp) {
        self.status = SubscriptionStatus::Active;
        let minute = Second::minute_of(now);
        self.active_from = Some(if minute.start() == now { minute } else { minute.plus_minutes(1) });
    }
}

impl Enqueued {
    pub(super) fn end(&mut self, state: State) {
        self.state = state;
        self.lease = None;
    }
}
