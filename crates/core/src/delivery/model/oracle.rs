//! The rules once more, in words as plain as can be.

use super::*;

/// Knows the rules.
#[derive(Clone, Default)]
pub(super) struct Model(pub(super) Kept);

impl Model {
    pub(super) fn hears(&self, to: usize, now: Timestamp) -> bool {
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

    pub(super) fn claim(&mut self, now: Timestamp, until: Timestamp) -> BTreeMap<DeliveryId, Vec<usize>> {
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

    pub(super) fn settle(&mut self, claim: &Delivery, outcome: &Outcome, now: Timestamp) -> bool {
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

    pub(super) fn retract(&mut self, alert: usize, now: Timestamp) {
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

    pub(super) fn end(&mut self, to: usize, status: SubscriptionStatus, now: Timestamp) {
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

    pub(super) fn pause(&mut self, to: usize, until: Timestamp, now: Timestamp) {
        self.0.readers[to].paused_until = Some(until);
        for row in self.0.rows.values_mut().filter(|row| row.to == to) {
            let news = matches!(row.kind, DeliveryKind::Alert | DeliveryKind::Retraction);
            if news && row.state == DeliveryState::Pending && !row.is_under_way(now) {
                row.end(DeliveryState::Cancelled, Some("the subscription is paused"), None, now);
            }
        }
    }
}
