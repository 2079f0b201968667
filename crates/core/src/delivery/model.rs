//! Random stories against a model that knows the rules in the simplest words, and a backend in memory that
//! knows none: it loads, applies, and after every step all deliveries must stand where the model says.

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

/// Loads and applies, and knows no rules.
#[derive(Clone, Default)]
struct Memory(Kept);

impl Memory {
    fn claim(&mut self, now: Timestamp, until: Timestamp) -> Vec<Delivery> {
        let mut claim = Claim::new(now, until, Rooms::for_anybody(900), BUDGET);
        for carrier in Carrier::ALL {
            while let Some(wanted) = claim.wanted(carrier) {
                let due = self.0.due(carrier, now);
                let due: Vec<_> = due.into_iter().take(wanted.limit).map(|id| self.load(id)).collect();
                if due.is_empty() {
                    break;
                }
                for one in &due {
                    if !claim.knows(&one.recipient) {
                        claim.meet(one.recipient, self.state(one.recipient, now));
                    }
                    let others = match claim.needs(one) {
                        Needs::Nothing => Vec::new(),
                        Needs::Members => self.members(now, |_, row| row.digest == Some(one.id)),
                        Needs::Deferred => self.members(now, |kept, row| {
                            let due = row.deferred && row.due <= now && row.expires > now;
                            due && kept.recipient(row) == one.recipient
                        }),
                    };
                    let planned = claim.plan(one, others);
                    self.apply(planned.transitions, now);
                    if planned.look_again {
                        break;
                    }
                }
            }
        }
        claim.into_handed()
    }

    fn load(&self, id: DeliveryId) -> DueDelivery {
        let (kept, row) = (&self.0, &self.0.rows[&id]);
        let subscription = kept.readers[row.to].clone();
        DueDelivery {
            id,
            kind: row.kind,
            attempts: row.attempts,
            claims: row.claims,
            created_at: row.created,
            expires_at: row.expires,
            deferred: row.deferred,
            lapsed: row.lease.is_some(),
            recipient: kept.recipient(row),
            host: subscription.channel.host(),
            suppressed_at: kept.suppressed.get(&kept.recipient(row)).copied(),
            subscription,
            alert: row.alert.map(|alert| kept.alerts[alert].clone()),
            asked: Vec::new(),
        }
    }

    fn state(&self, recipient: Recipient, now: Timestamp) -> RecipientState {
        let rows = || self.0.rows.values().filter(|row| self.0.recipient(row) == recipient);
        let mut sent: Vec<Timestamp> = rows()
            .filter(|row| row.state == DeliveryState::Sent && Budget::counts(row.kind))
            .filter_map(|row| row.settled.filter(|at| *at > BUDGET.since(now)))
            .collect();
        sent.sort_by(|one, other| other.cmp(one));
        RecipientState::new(rows().filter_map(|row| Some((row.kind, row.lease?))), sent, now)
    }

    fn members(&self, _: Timestamp, which: impl Fn(&Kept, &Row) -> bool) -> Vec<Member> {
        let kept = &self.0;
        let mut rows: Vec<_> = kept.rows.iter().filter(|(_, row)| which(kept, row)).collect();
        rows.sort_by_key(|(id, row)| (row.created, **id));
        rows.truncate(MOST_BUNDLED);
        let member = |(id, row): (&DeliveryId, &Row)| Member {
            id: *id,
            subscription: kept.readers[row.to].clone(),
            alert: kept.alerts[row.alert.unwrap()].clone(),
        };
        let mut members: Vec<Member> = rows.into_iter().map(member).collect();
        if members.iter().any(|one| kept.rows[&one.id].digest.is_some()) {
            members.sort_by_key(|one| (one.alert.start, one.alert.id, one.id));
        }
        members
    }

    fn settle(&mut self, claim: &Delivery, outcome: &Outcome, now: Timestamp) -> bool {
        let kept = &self.0;
        let row = &kept.rows[&claim.id];
        if row.claims != claim.lease.0 || row.lease.is_none() {
            return false;
        }
        let told = |id: DeliveryId| {
            let row = &kept.rows[&id];
            let alert = &kept.alerts[row.alert.unwrap()];
            let retracted = alert.state == AlertState::Retracted;
            Notified { alert: alert.id, retracted, to: kept.listener(row.to) }
        };
        let answer = |row: &Row| match row.state {
            DeliveryState::Sent | DeliveryState::Failed => {
                Some(Answer { at: row.settled?, accepted: row.state == DeliveryState::Sent })
            }
            _ => None,
        };
        let same = |other: &&Row| kept.recipient(other) == kept.recipient(row);
        let mut answered: Vec<Answer> = kept.rows.values().filter(same).filter_map(answer).collect();
        answered.sort_by(|one, other| other.cmp(one));
        answered.truncate(REFUSALS);
        let attempt = Attempt {
            id: claim.id,
            subscription: kept.readers[row.to].id,
            recipient: kept.recipient(row),
            attempts: row.attempts,
            expires_at: row.expires,
            failed: row.failure.map(|kind| Failure::new(kind, row.why.clone().unwrap())),
            tells: kept.told_by(claim.id).into_iter().map(told).collect(),
            answered,
        };
        self.apply(settle(&attempt, outcome, now), now);
        true
    }

    fn retract(&mut self, alert: usize, now: Timestamp) {
        self.0.alerts[alert].state = AlertState::Retracted;
        let kept = &self.0;
        let carried: Vec<Carried> = kept
            .rows
            .values()
            .filter(|row| row.kind == DeliveryKind::Alert && row.alert == Some(alert))
            .map(|row| (row.to, row.digest.map_or(row, |digest| &kept.rows[&digest])))
            .map(|(to, message)| Carried {
                to: kept.listener(to),
                attempts: message.attempts,
                state: message.state,
                lease_until: message.lease,
            })
            .collect();
        self.apply(retractions(kept.alerts[alert].id, &carried, now), now);
    }

    fn apply(&mut self, transitions: Vec<Transition>, now: Timestamp) {
        let kept = &mut self.0;
        for transition in transitions {
            match transition {
                Transition::HandOut { delivery, until } => {
                    let to = kept.reader_of(delivery.subscription.id);
                    let row = kept.rows.get_mut(&delivery.id).unwrap();
                    (row.attempts, row.claims) = (delivery.attempt, delivery.lease.0);
                    (row.lease, row.deferred, row.to) = (Some(until), false, to);
                }
                Transition::GiveBack(id) => {
                    let row = kept.rows.get_mut(&id).unwrap();
                    (row.attempts, row.lease) = (row.attempts - 1, None);
                }
                Transition::End { id, state, why } => {
                    let text = why.as_ref().map(|why| why.text().into_owned());
                    let kind = why.as_ref().and_then(Why::kind);
                    kept.rows.get_mut(&id).unwrap().end(state, text.as_deref(), kind, now);
                }
                Transition::Retry { id, due_at, why } => {
                    let row = kept.rows.get_mut(&id).unwrap();
                    (row.due, row.lease) = (due_at, None);
                    (row.why, row.failure) = (Some(why.text().into_owned()), why.kind());
                }
                Transition::Reschedule { id, due_at, expires_at } => {
                    let row = kept.rows.get_mut(&id).unwrap();
                    (row.due, row.lease, row.expires) = (due_at, None, row.expires.max(expires_at));
                }
                Transition::Defer { recipient, only, due_at, expires_at } => {
                    let readers = kept.readers.clone();
                    let concerned = |row: &&mut Row| {
                        let reader = &readers[row.to];
                        row.state == DeliveryState::Pending
                            && row.kind == DeliveryKind::Alert
                            && (row.attempts, row.due <= now) == (0, true)
                            && Recipient::of(&reader.channel) == recipient
                            && only.is_none_or(|only| only == reader.id)
                    };
                    for row in kept.rows.values_mut().filter(concerned) {
                        (row.deferred, row.due) = (true, due_at);
                        row.expires = row.expires.max(expires_at);
                    }
                }
                Transition::Bundle { digest, to, expires_at, members } => {
                    let to = kept.reader_of(to.id);
                    let made = Row { expires: expires_at, ..Row::new(DeliveryKind::Digest, to, None, now) };
                    assert!(kept.rows.insert(digest, made).is_none());
                    for id in members {
                        let row = kept.rows.get_mut(&id).unwrap();
                        (row.state, row.settled, row.deferred) = (DeliveryState::Bundled, Some(now), false);
                        row.digest = Some(digest);
                    }
                }
                Transition::EnqueueRetraction { alert, to } => {
                    let alert = kept.number_of(alert);
                    for id in to {
                        kept.enqueue(DeliveryKind::Retraction, kept.reader_of(id), alert, now);
                    }
                }
                Transition::CancelWaiting(cancel) => self::cancel(kept, &cancel, now),
                Transition::Suppress { recipient, .. } => {
                    kept.suppressed.insert(recipient, now);
                }
                Transition::EndSubscription { id, status } => {
                    let to = kept.reader_of(id);
                    if !kept.readers[to].status.has_ended() {
                        kept.readers[to].status = status;
                        self::cancel(kept, &cancel_at_end(id, status), now);
                    }
                }
            }
        }
    }
}

fn cancel(kept: &mut Kept, cancel: &CancelWaiting, now: Timestamp) {
    let (readers, alerts) = (kept.readers.clone(), kept.alerts.clone());
    for row in kept.rows.values_mut() {
        let of = match cancel.of {
            WaitingOf::Alert(id) => row.alert.is_some_and(|alert| alerts[alert].id == id),
            WaitingOf::Subscription(id) => readers[row.to].id == id,
        };
        let waits = row.state == DeliveryState::Pending && !row.is_under_way(now);
        if of && waits && cancel.kinds.contains(&row.kind) {
            row.end(DeliveryState::Cancelled, Some(cancel.why.as_str()), None, now);
        }
    }
}

/// Knows the rules, in words as plain as can be.
#[derive(Clone, Default)]
struct Model(Kept);

impl Model {
    fn hears(&self, to: usize, now: Timestamp) -> bool {
        let reader = &self.0.readers[to];
        reader.status == SubscriptionStatus::Active && reader.paused_until.is_none_or(|until| until <= now)
    }

    fn stands(&self, row: &Row) -> bool {
        row.alert.is_none_or(|alert| self.0.alerts[alert].state == AlertState::Raised)
    }

    fn quiet(&self, to: usize, now: Timestamp) -> Option<Timestamp> {
        self.0.readers[to].quiet.as_ref().and_then(|quiet| quiet.end(now))
    }

    /// The moment from which on the budget has room for one more, besides `this`.
    fn room(&self, this: DeliveryId, now: Timestamp) -> Option<Timestamp> {
        let recipient = self.0.recipient(&self.0.rows[&this]);
        let hour = SignedDuration::from_hours(1);
        let mut until: Vec<Timestamp> = Vec::new();
        for (id, row) in &self.0.rows {
            let counts = matches!(row.kind, DeliveryKind::Alert | DeliveryKind::Digest);
            if *id == this || !counts || self.0.recipient(row) != recipient {
                continue;
            }
            if row.lease.is_some() {
                until.push(now + hour);
            } else if row.state == DeliveryState::Sent {
                until.extend(row.settled.map(|at| at + hour).filter(|at| *at > now));
            }
        }
        until.sort();
        // With so many that count, the budget has room when all but two of them do no more.
        (until.len() >= 3).then(|| until[until.len() - 3])
    }

    fn claim(&mut self, now: Timestamp, until: Timestamp) -> BTreeMap<DeliveryId, Vec<usize>> {
        let mut handed = BTreeMap::new();
        for carrier in Carrier::ALL {
            while let Some(id) = self.0.due(carrier, now).first().copied() {
                self.take(id, now, until, &mut handed);
            }
        }
        handed
    }

    fn take(
        &mut self,
        id: DeliveryId,
        now: Timestamp,
        until: Timestamp,
        handed: &mut BTreeMap<DeliveryId, Vec<usize>>,
    ) {
        use DeliveryState::{Cancelled, Expired};
        let row = self.0.rows[&id].clone();
        let (confirms, digest) = (row.kind == DeliveryKind::Confirmation, row.kind == DeliveryKind::Digest);
        let month = SignedDuration::from_hours(30 * 24);
        let suppressed = self.0.suppressed.get(&self.0.recipient(&row)).is_some_and(|at| *at + month > now);
        // What it tells of as news: of a digest, what still stands to who still listens.
        let mut tells: Vec<DeliveryId> = if digest { self.0.told_by(id) } else { vec![id] };
        if digest {
            for one in tells.iter().map(|one| self.0.rows[one].clone()).collect::<Vec<_>>() {
                if !self.stands(&one) && row.attempts > 0 && self.hears(one.to, now) {
                    self.0.enqueue(DeliveryKind::Retraction, one.to, one.alert.unwrap(), now);
                }
            }
            let standing: Vec<_> =
                tells.iter().copied().filter(|one| self.stands(&self.0.rows[one])).collect();
            let listening = standing.iter().copied().filter(|one| self.hears(self.0.rows[one].to, now));
            tells = listening.collect();
            if tells.is_empty() {
                let why = if standing.is_empty() {
                    "the alert was retracted"
                } else {
                    "the subscription is not active"
                };
                return self.row(id).end(Cancelled, Some(why), None, now);
            }
        }
        let reader = &self.0.readers[row.to];
        if (confirms && reader.status.has_ended())
            || (!confirms && !digest && reader.status != SubscriptionStatus::Active)
        {
            return self.row(id).end(Cancelled, Some("the subscription is not active"), None, now);
        }
        if !confirms && !digest && !self.hears(row.to, now) {
            return self.row(id).end(Cancelled, Some("the subscription is paused"), None, now);
        }
        if suppressed {
            return self.row(id).end(Cancelled, Some("the address is suppressed"), None, now);
        }
        if row.kind == DeliveryKind::Alert && !self.stands(&row) {
            self.row(id).end(Cancelled, Some("the alert was retracted"), None, now);
            if row.attempts > 0 {
                self.0.enqueue(DeliveryKind::Retraction, row.to, row.alert.unwrap(), now);
            }
            return;
        }
        if row.expires <= now {
            return self.row(id).end(Expired, Some("not accepted in time"), None, now);
        }
        let quiet = tells.iter().filter_map(|one| self.quiet(self.0.rows[one].to, now)).max();
        let quiet = quiet.filter(|_| !confirms);
        let counts = matches!(row.kind, DeliveryKind::Alert | DeliveryKind::Digest);
        let room = self.room(id, now).filter(|_| counts);
        if let Some(wait) = quiet.or(room) {
            let like = |one: &Row| {
                one.state == DeliveryState::Pending
                    && one.kind == DeliveryKind::Alert
                    && one.attempts == 0
                    && one.due <= now
                    && if quiet.is_some() {
                        one.to == row.to
                    } else {
                        self.0.recipient(one) == self.0.recipient(&row)
                    }
            };
            let untried = row.kind == DeliveryKind::Alert && row.attempts == 0;
            let waiting: Vec<DeliveryId> = match untried {
                true => self.0.rows.iter().filter(|(_, one)| like(one)).map(|(id, _)| *id).collect(),
                false => vec![id],
            };
            let lifetime = Row::new(row.kind, row.to, None, wait).expires;
            for one in waiting {
                let one = self.row(one);
                (one.due, one.lease, one.deferred) = (wait, None, untried);
                one.expires = one.expires.max(lifetime);
            }
            return;
        }
        let mut told = if digest { tells.clone() } else { vec![] };
        let mut message = id;
        if row.deferred {
            let mut together: Vec<(Timestamp, DeliveryId)> = self
                .0
                .rows
                .iter()
                .filter(|(_, one)| one.deferred && one.due <= now && one.expires > now)
                .filter(|(_, one)| self.0.recipient(one) == self.0.recipient(&row))
                .filter(|(_, one)| self.quiet(one.to, now).is_none())
                .map(|(id, one)| (one.created, *id))
                .collect();
            together.sort();
            if together.len() > 1 {
                told = together.iter().map(|(_, one)| *one).collect();
                message = DeliveryId::of_digest(told[0]);
                let to = self.0.rows[&told[0]].to;
                self.0.rows.insert(message, Row::new(DeliveryKind::Digest, to, None, now));
                for one in &told {
                    let one = self.row(*one);
                    (one.state, one.settled, one.deferred) = (DeliveryState::Bundled, Some(now), false);
                    one.digest = Some(message);
                }
            }
        }
        told.sort_by_key(|one| (self.0.rows[one].alert, *one));
        let readers: Vec<usize> = told.iter().map(|one| self.0.rows[one].to).collect();
        let alerts = told.iter().map(|one| self.0.rows[one].alert.unwrap()).collect();
        let made = self.row(message);
        (made.attempts, made.claims) = (made.attempts + 1, made.claims + 1);
        (made.lease, made.deferred) = (Some(until), false);
        if !readers.is_empty() && !readers.contains(&made.to) {
            made.to = readers[0];
        }
        handed.insert(message, alerts);
    }

    fn row(&mut self, id: DeliveryId) -> &mut Row {
        self.0.rows.get_mut(&id).unwrap()
    }

    fn settle(&mut self, claim: &Delivery, outcome: &Outcome, now: Timestamp) -> bool {
        use DeliveryState::{Cancelled, Expired, Failed, Sent};
        let row = self.0.rows[&claim.id].clone();
        if row.claims != claim.lease.0 || row.lease.is_none() {
            return false;
        }
        let tells: Vec<Row> = self.0.told_by(claim.id).iter().map(|one| self.0.rows[one].clone()).collect();
        let void = !tells.is_empty() && tells.iter().all(|one| !self.stands(one));
        let one = self.row(claim.id);
        if matches!(outcome, Outcome::NotTried(..)) {
            (one.attempts, one.lease) = (one.attempts - 1, None);
        }
        let tried = one.attempts;
        let (why, failure) = match outcome {
            Outcome::Sent => (String::new(), None),
            Outcome::NotTried(_, why) if one.failure.is_none() => (why.clone(), None),
            Outcome::NotTried(..) => (one.why.clone().unwrap(), one.failure),
            Outcome::RetryAt(_, failure) | Outcome::Failed(failure) | Outcome::Gone(failure) => {
                (failure.reason.clone(), Some(failure.kind))
            }
        };
        match outcome {
            Outcome::Sent => one.end(Sent, None, None, now),
            Outcome::Failed(_) | Outcome::Gone(_) => one.end(Failed, Some(&why), failure, now),
            _ if void => one.end(Cancelled, Some("the alert was retracted"), None, now),
            Outcome::RetryAt(at, _) | Outcome::NotTried(at, _) if *at >= one.expires => {
                one.end(Expired, Some(&why), failure, now);
            }
            Outcome::RetryAt(at, _) | Outcome::NotTried(at, _) => {
                (one.due, one.lease, one.why, one.failure) = (*at, None, Some(why), failure);
            }
        }
        let refused = matches!(outcome, Outcome::Failed(_) | Outcome::Gone(_));
        if refused {
            let recipient = self.0.recipient(&row);
            let mut answers: Vec<(Timestamp, bool)> = self
                .0
                .rows
                .values()
                .filter(|row| self.0.recipient(row) == recipient && [Sent, Failed].contains(&row.state))
                .map(|row| (row.settled.unwrap(), row.state == Sent))
                .collect();
            answers.sort();
            if answers.len() >= 3 && answers.iter().rev().take(3).all(|answer| !answer.1) {
                self.0.suppressed.insert(recipient, now);
            }
        }
        if matches!(outcome, Outcome::Gone(_)) {
            let mut ended: Vec<usize> = tells.iter().map(|one| one.to).collect();
            ended.push(row.to);
            for to in ended {
                self.end(to, SubscriptionStatus::Disabled, now);
            }
        }
        if tried > 1 || (tried == 1 && !refused) {
            for one in tells.iter().filter(|one| !self.stands(one)).cloned().collect::<Vec<_>>() {
                if self.hears(one.to, now) {
                    self.0.enqueue(DeliveryKind::Retraction, one.to, one.alert.unwrap(), now);
                }
            }
        }
        true
    }

    fn retract(&mut self, alert: usize, now: Timestamp) {
        self.0.alerts[alert].state = AlertState::Retracted;
        let of = |row: &Row| row.kind == DeliveryKind::Alert && row.alert == Some(alert);
        for id in self.0.rows.iter().filter(|(_, row)| of(row)).map(|(id, _)| *id).collect::<Vec<_>>() {
            let row = self.0.rows[&id].clone();
            let message = row.digest.map_or(row.clone(), |digest| self.0.rows[&digest].clone());
            if message.is_under_way(now) {
                continue;
            }
            if row.state == DeliveryState::Pending {
                self.row(id).end(DeliveryState::Cancelled, Some("the alert was retracted"), None, now);
            }
            let refused_at_once = message.attempts == 1 && message.state == DeliveryState::Failed;
            if message.attempts > 0 && !refused_at_once && self.hears(row.to, now) {
                self.0.enqueue(DeliveryKind::Retraction, row.to, alert, now);
            }
        }
    }

    fn end(&mut self, to: usize, status: SubscriptionStatus, now: Timestamp) {
        if self.0.readers[to].status.has_ended() {
            return;
        }
        self.0.readers[to].status = status;
        for row in self.0.rows.values_mut().filter(|row| row.to == to && row.kind != DeliveryKind::Digest) {
            if row.state == DeliveryState::Pending && !row.is_under_way(now) {
                row.end(DeliveryState::Cancelled, Some(status.as_str()), None, now);
            }
        }
    }

    fn pause(&mut self, to: usize, until: Timestamp, now: Timestamp) {
        self.0.readers[to].paused_until = Some(until);
        for row in self.0.rows.values_mut().filter(|row| row.to == to) {
            let news = matches!(row.kind, DeliveryKind::Alert | DeliveryKind::Retraction);
            if news && row.state == DeliveryState::Pending && !row.is_under_way(now) {
                row.end(DeliveryState::Cancelled, Some("the subscription is paused"), None, now);
            }
        }
    }
}

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
