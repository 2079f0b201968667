//! What becomes of a delivery that is due: it is handed out, has to wait, or has come to an end.
//!
//! An alert that has to wait before any attempt is deferred. When deferred ones come due, those of a recipient become
//! one digest. What had an attempt is never brought together with others: its receiver may know it already, by its id.

use super::recipient::{Recipient, RecipientState, listens, quiet_until};
use super::transition::{Reason, Transition, Why};
use super::{Budget, Delivery, DeliveryId, DeliveryKind, DeliveryState, Lease, expiry, suppressed_since};
use crate::Alert;
use crate::alert::AlertState;
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
    /// The alerts of its recipient that are deferred, due and not expired, by when they were enqueued, at most
    /// [`MOST_BUNDLED`](super::MOST_BUNDLED).
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
    let expires_at = expiry(DeliveryKind::Digest, subscription.channel.kind(), now);
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

/// Has a delivery wait, and keeps it worth sending for as long afterwards as if it were enqueued then. With an alert that
/// nobody has tried to tell wait all like it, of the subscription `only` or of the recipient.
fn wait(due: &DueDelivery, until: Timestamp, only: Option<SubscriptionId>) -> Transition {
    let expires_at = expiry(due.kind, due.subscription.channel.kind(), until);
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
        attempt: due.attempts + 1,
        created_at: due.created_at,
        expires_at: due.expires_at,
        lease: Lease(due.claims + 1),
    };
    Transition::HandOut { delivery: Box::new(delivery), until: params.lease_until }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{at, outline, raised, reader};
    use super::*;
    use crate::alert::AlertId;

    const LIFETIME: i64 = 4 * 3600;
    const BUDGET: Budget = Budget { messages: 3, per_seconds: 3600 };

    fn due(kind: DeliveryKind) -> DueDelivery {
        let subscription = reader(1);
        let alert = matches!(kind, DeliveryKind::Alert | DeliveryKind::Retraction).then(|| raised(0));
        DueDelivery {
            id: DeliveryId::of_alert(kind, raised(0).id, subscription.id),
            kind,
            attempts: 0,
            claims: 0,
            created_at: at(0),
            expires_at: at(LIFETIME),
            deferred: false,
            lapsed: false,
            recipient: Recipient::of(&subscription.channel),
            host: subscription.channel.host(),
            suppressed_at: None,
            subscription,
            alert,
        }
    }

    fn planned(recipient: &RecipientState, due: &DueDelivery, others: Vec<Member>, now: i64) -> String {
        let params = ClaimParams { now: at(now), lease_until: at(now + 30), budget: BUDGET };
        outline(&plan(recipient, due, others, &params))
    }

    /// Of the alerts with these numbers, to the reader with that number.
    fn members(of: &[usize], to: usize) -> Vec<Member> {
        let member = |n: &usize| Member {
            id: DeliveryId::of_alert(DeliveryKind::Alert, raised(*n).id, reader(to).id),
            subscription: reader(to),
            alert: raised(*n),
        };
        of.iter().map(member).collect()
    }

    #[test]
    fn a_delivery_that_is_due_is_told_waits_or_ends() {
        use DeliveryKind::{Alert, Confirmation, Retraction};
        type Change = fn(&mut DueDelivery);
        let cases: [(DeliveryKind, Change, &str); 24] = [
            (Alert, |_| {}, "hand out alert for the 1. time"),
            (Alert, |due| due.attempts = 2, "hand out alert for the 3. time"),
            (Alert, |due| due.expires_at = at(2), "hand out alert for the 1. time"),
            (Alert, |due| due.expires_at = at(1), "expired: not accepted in time"),
            (Confirmation, |due| due.expires_at = at(1), "expired: not accepted in time"),
            // Who is not entitled is told nothing, in whatever order that comes.
            (
                Alert,
                |due| due.subscription.status = SubscriptionStatus::Disabled,
                "cancelled: the subscription is not active",
            ),
            (
                Retraction,
                |due| due.subscription.status = SubscriptionStatus::Pending,
                "cancelled: the subscription is not active",
            ),
            (
                Confirmation,
                |due| due.subscription.status = SubscriptionStatus::Unsubscribed,
                "cancelled: the subscription is not active",
            ),
            (
                Confirmation,
                |due| due.subscription.status = SubscriptionStatus::Pending,
                "hand out confirmation for the 1. time",
            ),
            (
                Alert,
                |due| due.subscription.paused_until = Some(at(2)),
                "cancelled: the subscription is paused",
            ),
            (Alert, |due| due.subscription.paused_until = Some(at(1)), "hand out alert for the 1. time"),
            (
                Confirmation,
                |due| due.subscription.paused_until = Some(at(2)),
                "hand out confirmation for the 1. time",
            ),
            // A suppression holds for thirty days.
            (Alert, |due| due.suppressed_at = Some(at(0)), "cancelled: the address is suppressed"),
            (
                Confirmation,
                |due| due.suppressed_at = Some(at(2 - 30 * 86_400)),
                "cancelled: the address is suppressed",
            ),
            (Alert, |due| due.suppressed_at = Some(at(1 - 30 * 86_400)), "hand out alert for the 1. time"),
            // Who may have been told hears of a retraction, however late; who was not told, of nothing.
            (Alert, retract, "cancelled: the alert was retracted"),
            (
                Alert,
                |due| {
                    retract(due);
                    due.attempts = 1;
                    due.expires_at = at(0);
                },
                "cancelled: the alert was retracted; retraction to 1",
            ),
            (
                Alert,
                |due| {
                    retract(due);
                    due.attempts = 1;
                    due.subscription.paused_until = Some(at(2));
                },
                "cancelled: the subscription is paused",
            ),
            (Retraction, retract, "hand out retraction for the 1. time"),
            // Quiet until seven in the morning, Berlin: nine hours after the hour of these tests.
            (Alert, sleep, "defer subscription until 32400, good until 46800"),
            (
                Alert,
                |due| {
                    sleep(due);
                    due.attempts = 1;
                },
                "wait until 32400, good until 46800",
            ),
            (Retraction, sleep, "wait until 32400, good until 46800"),
            (Confirmation, sleep, "hand out confirmation for the 1. time"),
            (
                Alert,
                |due| {
                    sleep(due);
                    due.expires_at = at(0);
                },
                "expired: not accepted in time",
            ),
        ];
        for (kind, change, expected) in cases {
            let mut due = due(kind);
            change(&mut due);
            let recipient = RecipientState::default();
            assert_eq!(planned(&recipient, &due, Vec::new(), 1), expected, "{due:?}");
        }
    }

    fn retract(due: &mut DueDelivery) {
        if let Some(alert) = &mut due.alert {
            alert.state = AlertState::Retracted;
        }
    }

    fn sleep(due: &mut DueDelivery) {
        due.subscription = reader(0);
    }

    #[test]
    fn the_budget_has_room_again_when_enough_of_it_is_an_hour_old() {
        use DeliveryKind::{Alert, Digest, Retraction};
        // What has a lease, and until when; when messages were sent, newest first; since when there is room.
        for (leases, sent, expected) in [
            (vec![], vec![], None),
            (vec![], vec![3000, 2000], None),
            (vec![], vec![3000, 2000, 1000], Some(4600)),
            (vec![(Alert, 3601)], vec![3000, 2000, 1000], Some(5600)),
            (vec![(Alert, 3601), (Digest, 10)], vec![3000, 2000], Some(6600)),
            (vec![(Alert, 3601), (Digest, 10), (Alert, 3601)], vec![], Some(7200)),
            (vec![(Retraction, 3601); 3], vec![3000, 2000], None),
        ] {
            let leases = leases.into_iter().map(|(kind, until)| (kind, at(until)));
            let recipient = RecipientState::new(leases, sent.into_iter().map(at).collect(), at(3600));
            let due = due(Alert);
            let expected = match expected {
                None => "hand out alert for the 1. time".to_owned(),
                Some(until) => format!("defer recipient until {until}, good until {}", until + LIFETIME),
            };
            assert_eq!(planned(&recipient, &due, Vec::new(), 3600), expected, "{recipient:?}");
            let retraction = super::tests::due(Retraction);
            let always = "hand out retraction for the 1. time";
            assert_eq!(planned(&recipient, &retraction, Vec::new(), 3600), always);
        }
    }

    #[test]
    fn what_was_deferred_comes_together_and_a_single_one_as_itself() {
        let due = DueDelivery { deferred: true, ..due(DeliveryKind::Alert) };
        let mut mixed = members(&[0, 1, 2, 3, 4], 1);
        mixed[1].alert.state = AlertState::Retracted;
        mixed[2].subscription.status = SubscriptionStatus::Unsubscribed;
        mixed[3].subscription = reader(0);
        for (others, expected) in [
            (members(&[0], 1), "hand out alert for the 1. time"),
            (members(&[0, 1], 1), "bundle 2; hand out digest of 2 for the 1. time"),
            // Neither what was retracted, nor to who has ended, nor to who sleeps.
            (mixed, "bundle 2; hand out digest of 2 for the 1. time"),
        ] {
            let params = ClaimParams { now: at(1), lease_until: at(31), budget: BUDGET };
            assert_eq!(needs(&RecipientState::default(), &due, &params), Needs::Deferred);
            assert_eq!(planned(&RecipientState::default(), &due, others, 1), expected);
        }
    }

    #[test]
    fn a_digest_tells_what_still_stands_to_who_still_listens() {
        let digest = DueDelivery { alert: None, attempts: 1, claims: 1, ..due(DeliveryKind::Digest) };
        let retracted = |which: &[usize]| {
            let mut told = members(&[0, 1, 2], 1);
            which.iter().for_each(|n| told[*n].alert.state = AlertState::Retracted);
            told
        };
        let ended = || {
            let mut told = members(&[0, 1], 1);
            told.iter_mut().for_each(|one| one.subscription.status = SubscriptionStatus::Disabled);
            told
        };
        let never = DueDelivery { attempts: 0, ..digest.clone() };
        for (due, told, expected) in [
            (&digest, members(&[0, 1], 1), "hand out digest of 2 for the 2. time"),
            (&digest, retracted(&[1]), "retraction to 1; hand out digest of 2 for the 2. time"),
            (&never, retracted(&[1]), "hand out digest of 2 for the 1. time"),
            (
                &digest,
                retracted(&[0, 1, 2]),
                "retraction to 1; retraction to 1; retraction to 1; cancelled: the alert was retracted",
            ),
            (&digest, ended(), "cancelled: the subscription is not active"),
            (&digest, members(&[0, 1], 0), "wait until 32400, good until 46800"),
        ] {
            assert_eq!(planned(&RecipientState::default(), due, told, 1), expected);
        }
        let late = DueDelivery { expires_at: at(1), ..digest.clone() };
        let told = members(&[0, 1], 1);
        assert_eq!(planned(&RecipientState::default(), &late, told, 1), "expired: not accepted in time");
    }

    #[test]
    fn a_digest_outlives_the_subscription_it_was_addressed_to() {
        let digest = DueDelivery { alert: None, ..due(DeliveryKind::Digest) };
        let told = members(&[3], 0).into_iter().chain(members(&[2], 1));
        let params = ClaimParams { now: at(32_400), lease_until: at(32_430), budget: BUDGET };
        for (ended, expected) in [(false, reader(1).id), (true, reader(0).id)] {
            let mut told: Vec<Member> = told.clone().collect();
            if ended {
                told[1].subscription.status = SubscriptionStatus::Unsubscribed;
            }
            let due = DueDelivery { expires_at: at(50_000), ..digest.clone() };
            let transitions = plan(&RecipientState::default(), &due, told, &params);
            let [Transition::HandOut { delivery, until }] = &transitions[..] else {
                panic!("{transitions:?}")
            };
            assert_eq!((delivery.subscription.id, *until), (expected, params.lease_until));
            let alerts: Vec<AlertId> = delivery.digest.iter().map(|alert| alert.id).collect();
            assert_eq!(alerts.len(), if ended { 1 } else { 2 });
        }
    }
}
