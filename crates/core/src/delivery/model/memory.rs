//! What a backend does: it loads, applies, and knows no rules.

use super::*;

/// Loads and applies, and knows no rules.
#[derive(Clone, Default)]
pub(super) struct Memory(pub(super) Kept);

impl Memory {
    pub(super) fn claim(&mut self, now: Timestamp, until: Timestamp) -> Vec<Delivery> {
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

    pub(super) fn settle(&mut self, claim: &Delivery, outcome: &Outcome, now: Timestamp) -> bool {
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

    pub(super) fn retract(&mut self, alert: usize, now: Timestamp) {
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

    pub(super) fn apply(&mut self, transitions: Vec<Transition>, now: Timestamp) {
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
