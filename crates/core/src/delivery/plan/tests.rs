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
        asked: Vec::new(),
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
        (Alert, |due| due.subscription.paused_until = Some(at(2)), "cancelled: the subscription is paused"),
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
        let [Transition::HandOut { delivery, until }] = &transitions[..] else { panic!("{transitions:?}") };
        assert_eq!((delivery.subscription.id, *until), (expected, params.lease_until));
        let alerts: Vec<AlertId> = delivery.digest.iter().map(|alert| alert.id).collect();
        assert_eq!(alerts.len(), if ended { 1 } else { 2 });
    }
}
