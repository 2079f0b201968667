//! What becomes of a delivery that is due: it is handed out, has to wait, or has come to an end.
//!
//! An alert that has to wait before any attempt is deferred. When deferred ones come due, those of a
//! recipient become one digest. What had an attempt is never brought together with others: its receiver may
//! know it already, by its id.

use super::recipient::{Recipient, RecipientState, listens, quiet_until};
use super::transition::{Reason, Transition, Why};
use super::{Budget, Delivery, DeliveryId, DeliveryKind, DeliveryState, Lease, expiry, suppressed_since};
use crate::Alert;
use crate::alert::AlertState;
use crate::subscription::confirmation::is_about_all;
use crate::subscription::{Subscription, SubscriptionId, SubscriptionStatus};
use jiff::Timestamp;

/// A delivery that is due, or whose lease ran out, with all that decides what becomes of it.
#[derive(Clone, Debug)]
pub struct DueDelivery {
    /// Which.
    pub id: DeliveryId,
    /// What it tells.
    pub kind: DeliveryKind,
    /// Attempts so far.
    pub attempts: u32,
    /// How often it was handed out: the latest lease.
    pub claims: i64,
    /// When it was enqueued.
    pub created_at: Timestamp,
    /// When it stops being worth sending.
    pub expires_at: Timestamp,
    /// An alert that had to wait before any attempt.
    pub deferred: bool,
    /// It was under way, and its lease ran out.
    pub lapsed: bool,
    /// Whose it is.
    pub recipient: Recipient,
    /// Whose place it takes: a [`Channel::host`](crate::Channel::host).
    pub host: String,
    /// When its recipient was last suppressed.
    pub suppressed_at: Option<Timestamp>,
    /// To whom.
    pub subscription: Subscription,
    /// Of what.
    pub alert: Option<Alert>,
    /// What its link shows, where it [asks for all](Self::asks_for_all).
    pub asked: Vec<Subscription>,
}

impl DueDelivery {
    /// Whether it asks to confirm all that is pending of its recipient, and so has to know what that is.
    pub fn asks_for_all(&self) -> bool {
        self.kind == DeliveryKind::Confirmation && is_about_all(self.subscription.channel.kind())
    }
}

/// An alert that is to be told together with others.
#[derive(Clone, Debug)]
pub struct Member {
    /// The delivery it would have been, or was.
    pub id: DeliveryId,
    /// To whom.
    pub subscription: Subscription,
    /// Of what.
    pub alert: Alert,
}

/// What a claim goes by.
#[derive(Clone, Copy, Debug)]
pub struct ClaimParams {
    /// The wall clock.
    pub now: Timestamp,
    /// How long what is handed out is under way.
    pub lease_until: Timestamp,
    /// How much one recipient is sent.
    pub budget: Budget,
}

/// What has to be known besides a delivery itself before it is [planned](plan).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// The alerts that went into it: it is a digest. By their minutes.
    Members,
    /// The alerts of its recipient that are deferred, due and not expired, by when they were enqueued, at
    /// most [`MOST_BUNDLED`](super::MOST_BUNDLED).
    Deferred,
}

/// What [`plan`] needs besides.
pub fn needs(recipient: &RecipientState, due: &DueDelivery, params: &ClaimParams) -> Needs {
    match due.kind {
        DeliveryKind::Digest => Needs::Members,
        _ if single(recipient, due, params) == Course::Bundle => Needs::Deferred,
        _ => Needs::Nothing,
    }
}

/// What becomes of a delivery that is due, and of others with it. `others` are those that it [`needs`].
pub fn plan(
    recipient: &RecipientState,
    due: &DueDelivery,
    others: Vec<Member>,
    params: &ClaimParams,
) -> Vec<Transition> {
    if due.kind == DeliveryKind::Digest {
        return plan_digest(recipient, due, others, params);
    }
    match single(recipient, due, params) {
        Course::Cancel(why) => vec![end(due.id, DeliveryState::Cancelled, why)],
        Course::Retracted(alert) => {
            let cancelled = end(due.id, DeliveryState::Cancelled, Reason::Retracted);
            let told = || vec![Transition::EnqueueRetraction { alert, to: vec![due.subscription.id] }];
            std::iter::once(cancelled).chain((due.attempts > 0).then(told).into_iter().flatten()).collect()
        }
        Course::Expire => vec![end(due.id, DeliveryState::Expired, Reason::Late)],
        Course::Wait { until, only } => vec![wait(due, until, only)],
        Course::Tell => vec![hand_out(due, params)],
        Course::Bundle => bundle(due, others, params),
    }
}

/// What becomes of a delivery to a subscription of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    Cancel(Reason),
    /// Its alert was retracted.
    Retracted(crate::AlertId),
    Expire,
    /// With all like it of the recipient, or of the subscription `only`.
    Wait {
        until: Timestamp,
        only: Option<SubscriptionId>,
    },
    Tell,
    /// With what else is deferred and due.
    Bundle,
}

fn single(recipient: &RecipientState, due: &DueDelivery, params: &ClaimParams) -> Course {
    let (subscription, now) = (&due.subscription, params.now);
    let confirms = due.kind == DeliveryKind::Confirmation;
    let barred = match subscription.status {
        status if confirms && status.has_ended() => Some(Reason::Inactive),
        _ if confirms => None,
        SubscriptionStatus::Active if subscription.is_paused(now) => Some(Reason::Paused),
        SubscriptionStatus::Active => None,
        _ => Some(Reason::Inactive),
    };
    if let Some(why) = barred.or_else(|| suppressed(due, now)) {
        return Course::Cancel(why);
    }
    // Before its expiry counts: who may have been told hears of the retraction, however late.
    if let (DeliveryKind::Alert, Some(Alert { id, state: AlertState::Retracted, .. })) =
        (due.kind, &due.alert)
    {
        return Course::Retracted(*id);
    }
    if due.expires_at <= now {
        return Course::Expire;
    }
    if let Some(until) = quiet_until(subscription, now).filter(|_| !confirms) {
        return Course::Wait { until, only: Some(subscription.id) };
    }
    match recipient.no_room_until(due.kind, due.lapsed, now, params.budget) {
        Some(until) => Course::Wait { until, only: None },
        None if due.deferred => Course::Bundle,
        None => Course::Tell,
    }
}

fn suppressed(due: &DueDelivery, now: Timestamp) -> Option<Reason> {
    due.suppressed_at.filter(|at| *at > suppressed_since(now)).map(|_| Reason::Suppressed)
}

/// A digest that was claimed before. It tells of what still stands, to who still listens.
fn plan_digest(
    recipient: &RecipientState,
    due: &DueDelivery,
    members: Vec<Member>,
    params: &ClaimParams,
) -> Vec<Transition> {
    let now = params.now;
    let (standing, retracted): (Vec<Member>, Vec<Member>) =
        members.into_iter().partition(|member| member.alert.state == AlertState::Raised);
    let hears = |member: &Member| listens(member.subscription.status, member.subscription.paused_until, now);
    // Whom nobody tried to tell knows nothing.
    let mut transitions: Vec<Transition> = retracted
        .iter()
        .filter(|member| due.attempts > 0 && hears(member))
        .map(|member| Transition::EnqueueRetraction {
            alert: member.alert.id,
            to: vec![member.subscription.id],
        })
        .collect();
    let why = if standing.is_empty() { Reason::Retracted } else { Reason::Inactive };
    let told: Vec<Member> = standing.into_iter().filter(hears).collect();
    let quiet = told.iter().filter_map(|member| quiet_until(&member.subscription, now)).max();
    let no_room = || recipient.no_room_until(due.kind, due.lapsed, now, params.budget);
    transitions.push(match (told.first(), suppressed(due, now)) {
        (None, _) => end(due.id, DeliveryState::Cancelled, why),
        (_, Some(why)) => end(due.id, DeliveryState::Cancelled, why),
        _ if due.expires_at <= now => end(due.id, DeliveryState::Expired, Reason::Late),
        (Some(first), None) => match quiet.or_else(no_room) {
            Some(until) => wait(due, until, None),
            None => {
                let to = told.iter().find(|member| member.subscription.id == due.subscription.id);
                let subscription = to.unwrap_or(first).subscription.clone();
                let alerts = told.into_iter().map(|member| member.alert).collect();
                hand_out_with(&DueDelivery { subscription, ..due.clone() }, alerts, params)
            }
        },
    });
    transitions
}

/// Brings together what was deferred and is due; a single one is told as itself.
fn bundle(due: &DueDelivery, deferred: Vec<Member>, params: &ClaimParams) -> Vec<Transition> {
    let now = params.now;
    let tells = |member: &Member| {
        let to = &member.subscription;
        member.alert.state == AlertState::Raised
            && listens(to.status, to.paused_until, now)
            && quiet_until(to, now).is_none()
    };
    let mut members: Vec<Member> = deferred.into_iter().filter(tells).collect();
    let Some(first) = members.first().filter(|_| members.len() > 1) else {
        return vec![hand_out(due, params)];
    };
    let (id, subscription) = (DeliveryId::of_digest(first.id), first.subscription.clone());
    let expires_at = expiry(DeliveryKind::Digest, subscription.channel.carrier(), now);
    let ids = members.iter().map(|member| member.id).collect();
    let made =
        Transition::Bundle { digest: id, to: Box::new(subscription.clone()), expires_at, members: ids };
    members.sort_by_key(|member| (member.alert.start, member.alert.id));
    let digest = DueDelivery {
        id,
        kind: DeliveryKind::Digest,
        attempts: 0,
        claims: 0,
        created_at: now,
        expires_at,
        deferred: false,
        lapsed: false,
        subscription,
        alert: None,
        ..due.clone()
    };
    let alerts = members.into_iter().map(|member| member.alert).collect();
    vec![made, hand_out_with(&digest, alerts, params)]
}

/// Has a delivery wait, and keeps it worth sending for as long afterwards as if it were enqueued then. With
/// an alert that nobody has tried to tell wait all like it, of the subscription `only` or of the recipient.
fn wait(due: &DueDelivery, until: Timestamp, only: Option<SubscriptionId>) -> Transition {
    let expires_at = expiry(due.kind, due.subscription.channel.carrier(), until);
    if due.kind == DeliveryKind::Alert && due.attempts == 0 {
        Transition::Defer { recipient: due.recipient, only, due_at: until, expires_at }
    } else {
        Transition::Reschedule { id: due.id, due_at: until, expires_at }
    }
}

fn end(id: DeliveryId, state: DeliveryState, why: Reason) -> Transition {
    Transition::End { id, state, why: Some(Why::Reason(why)) }
}

fn hand_out(due: &DueDelivery, params: &ClaimParams) -> Transition {
    hand_out_with(due, Vec::new(), params)
}

fn hand_out_with(due: &DueDelivery, digest: Vec<Alert>, params: &ClaimParams) -> Transition {
    let delivery = Delivery {
        id: due.id,
        kind: due.kind,
        subscription: due.subscription.clone(),
        alert: due.alert.clone(),
        digest,
        asked: due.asked.clone(),
        attempt: due.attempts + 1,
        created_at: due.created_at,
        expires_at: due.expires_at,
        lease: Lease(due.claims + 1),
    };
    Transition::HandOut { delivery: Box::new(delivery), until: params.lease_until }
}

#[cfg(test)]
mod tests;
