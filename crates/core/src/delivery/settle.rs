//! What becomes of a delivery when its attempt ends, and of the news it brought when that is taken back.

use super::limits::REFUSALS;
use super::recipient::{Recipient, listens};
use super::transition::{CancelWaiting, Reason, Transition, WaitingOf, Why};
use super::{DeliveryId, DeliveryKind, DeliveryState, Failure, Outcome};
use crate::alert::AlertId;
use crate::subscription::{SubscriptionId, SubscriptionStatus};
use jiff::Timestamp;

/// An attempt under way whose claim is the latest.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Of which delivery.
    pub id: DeliveryId,
    /// To whom.
    pub subscription: SubscriptionId,
    /// Whose that is.
    pub recipient: Recipient,
    /// Attempts so far, this one among them.
    pub attempts: u32,
    /// When the delivery stops being worth sending.
    pub expires_at: Timestamp,
    /// How an attempt before it failed.
    pub failed: Option<Failure>,
    /// The alerts it tells of as news: one, or those of a digest; none where it is of another kind.
    pub tells: Vec<Notified>,
    /// How the last [`REFUSALS`] deliveries to its recipient that were answered for good were answered,
    /// newest first. Only asked for where this one was [refused](Outcome::is_refusal).
    pub answered: Vec<Answer>,
}

/// An alert that a delivery tells of.
#[derive(Clone, Copy, Debug)]
pub struct Notified {
    /// Which.
    pub alert: AlertId,
    /// Whether it was retracted meanwhile.
    pub retracted: bool,
    /// To whom.
    pub to: Listener,
}

/// A subscription, as far as it decides whether there is news for it.
#[derive(Clone, Copy, Debug)]
pub struct Listener {
    /// Which.
    pub subscription: SubscriptionId,
    /// Where it stands.
    pub status: SubscriptionStatus,
    /// Until when it is paused.
    pub paused_until: Option<Timestamp>,
}

impl Listener {
    fn listens(&self, now: Timestamp) -> bool {
        listens(self.status, self.paused_until, now)
    }
}

/// How a delivery was answered for good. Of two that were in the same moment, the accepted one counts as the
/// later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Answer {
    /// When.
    pub at: Timestamp,
    /// Whether it was accepted.
    pub accepted: bool,
}

impl Outcome {
    /// Whether the receiver refused for good.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::Gone(_))
    }
}

/// What follows from the end of an attempt.
pub fn settle(attempt: &Attempt, outcome: &Outcome, now: Timestamp) -> Vec<Transition> {
    let id = attempt.id;
    let mut transitions = Vec::new();
    let mut tried = attempt.attempts;
    if let Outcome::NotTried(..) = outcome {
        tried = tried.saturating_sub(1);
        transitions.push(Transition::GiveBack(id));
    }
    transitions.push(match outcome {
        Outcome::Sent => Transition::End { id, state: DeliveryState::Sent, why: None },
        Outcome::Failed(failure) | Outcome::Gone(failure) => {
            let why = Some(Why::Failure(failure.clone()));
            Transition::End { id, state: DeliveryState::Failed, why }
        }
        Outcome::RetryAt(at, failure) => wait(attempt, *at, Why::Failure(failure.clone())),
        // What failed before says more than why nobody was asked now.
        Outcome::NotTried(at, reason) => {
            let failed = attempt.failed.clone().map(Why::Failure);
            wait(attempt, *at, failed.unwrap_or_else(|| Why::NotTried(reason.clone())))
        }
    });
    if let Outcome::Failed(failure) | Outcome::Gone(failure) = outcome
        && failure.is_the_receivers()
        && refuses(attempt, now)
    {
        transitions.push(Transition::Suppress { recipient: attempt.recipient, why: Reason::Refusals });
    }
    if matches!(outcome, Outcome::Gone(_)) {
        // Nobody is there to be told that something was taken back.
        transitions.extend(gone(attempt));
        return transitions;
    }
    // Who was refused for good at the only attempt knows nothing, nor does who was never asked; who else,
    // may.
    if tried > u32::from(outcome.is_refusal()) {
        let void = attempt.tells.iter().filter(|told| told.retracted && told.to.listens(now));
        transitions.extend(
            void.map(|told| Transition::EnqueueRetraction {
                alert: told.alert,
                to: vec![told.to.subscription],
            }),
        );
    }
    transitions
}

/// Waits for another attempt, where that comes in time and there is still something to tell.
fn wait(attempt: &Attempt, due_at: Timestamp, why: Why) -> Transition {
    let id = attempt.id;
    let void = !attempt.tells.is_empty() && attempt.tells.iter().all(|told| told.retracted);
    if void {
        let why = Some(Why::Reason(Reason::Retracted));
        Transition::End { id, state: DeliveryState::Cancelled, why }
    } else if due_at >= attempt.expires_at {
        Transition::End { id, state: DeliveryState::Expired, why: Some(why) }
    } else {
        Transition::Retry { id, due_at, why }
    }
}

/// Whether the last messages to the recipient that were answered for good were all refused, with the one
/// refused now.
fn refuses(attempt: &Attempt, now: Timestamp) -> bool {
    let this = Answer { at: now, accepted: false };
    let mut answers: Vec<Answer> = attempt.answered.iter().copied().chain([this]).collect();
    answers.sort_unstable_by(|one, other| other.cmp(one));
    answers.len() >= REFUSALS && answers.iter().take(REFUSALS).all(|answer| !answer.accepted)
}

/// The subscriptions that end with their receiver.
fn gone(attempt: &Attempt) -> impl Iterator<Item = Transition> {
    let mut ended: Vec<SubscriptionId> = Vec::new();
    for id in attempt.tells.iter().map(|told| told.to.subscription).chain([attempt.subscription]) {
        if !ended.contains(&id) {
            ended.push(id);
        }
    }
    let status = SubscriptionStatus::Disabled;
    ended.into_iter().map(move |id| Transition::EndSubscription { id, status })
}

/// The message that an alert went to a subscription in, and had an attempt: its delivery, or the digest it
/// went into.
#[derive(Clone, Copy, Debug)]
pub struct Carried {
    /// To whom.
    pub to: Listener,
    /// Attempts at it so far.
    pub attempts: u32,
    /// Where it stands.
    pub state: DeliveryState,
    /// Until when it is under way.
    pub lease_until: Option<Timestamp>,
}

/// What follows from the retraction of an alert: what waits is cancelled, and who may have been told hears of
/// it. What is under way is dealt with when it ends. `carried` are all the messages that had an attempt.
///
/// May have been told: whoever had an attempt, unless it was the only one and the receiver refused it for
/// good.
pub fn retractions(alert: AlertId, carried: &[Carried], now: Timestamp) -> Vec<Transition> {
    let may_have_been_told = |one: &&Carried| {
        let under_way = one.lease_until.is_some_and(|until| until > now);
        let refused = u32::from(one.state == DeliveryState::Failed);
        !under_way && one.attempts > refused && one.to.listens(now)
    };
    let to = carried.iter().filter(may_have_been_told).map(|one| one.to.subscription).collect();
    let cancel =
        CancelWaiting { of: WaitingOf::Alert(alert), kinds: &[DeliveryKind::Alert], why: Reason::Retracted };
    vec![Transition::CancelWaiting(cancel), Transition::EnqueueRetraction { alert, to }]
}

#[cfg(test)]
mod tests {
    use super::super::FailureKind;
    use super::super::samples::{at, outline, raised, reader};
    use super::*;

    const PAUSED: Option<i64> = Some(100);

    fn listener(n: usize, paused_until: Option<i64>) -> Listener {
        let one = reader(n);
        Listener { subscription: one.id, status: one.status, paused_until: paused_until.map(at) }
    }

    fn attempt(attempts: u32, tells: Vec<Notified>) -> Attempt {
        Attempt {
            id: DeliveryId::of_alert(DeliveryKind::Alert, raised(0).id, reader(1).id),
            subscription: reader(1).id,
            recipient: Recipient::of(&reader(1).channel),
            attempts,
            expires_at: at(1000),
            failed: None,
            tells,
            answered: Vec::new(),
        }
    }

    fn told(n: usize, retracted: bool) -> Notified {
        Notified { alert: raised(n).id, retracted, to: listener(1, None) }
    }

    fn retry(seconds: i64) -> Outcome {
        Outcome::RetryAt(at(seconds), Failure::new(FailureKind::TimedOut, "no answer"))
    }

    fn not_tried(seconds: i64) -> Outcome {
        Outcome::NotTried(at(seconds), "left alone".to_owned())
    }

    fn failed() -> Outcome {
        Outcome::Failed(Failure::new(FailureKind::Refused(Some(550)), "no such user"))
    }

    fn gone() -> Outcome {
        Outcome::Gone(Failure::new(FailureKind::Refused(Some(410)), "no more"))
    }

    #[test]
    fn an_attempt_ends_the_delivery_or_has_it_wait() {
        for (attempts, retracted, outcome, expected) in [
            (1, false, Outcome::Sent, "sent"),
            (1, true, Outcome::Sent, "sent; retraction to 1"),
            (1, false, retry(999), "retry at 999: no answer"),
            (1, false, retry(1000), "expired: no answer"),
            (1, true, retry(999), "cancelled: the alert was retracted; retraction to 1"),
            (1, false, not_tried(999), "give back; retry at 999: left alone"),
            (1, false, not_tried(1000), "give back; expired: left alone"),
            (1, true, not_tried(999), "give back; cancelled: the alert was retracted"),
            (2, true, not_tried(999), "give back; cancelled: the alert was retracted; retraction to 1"),
            (1, false, failed(), "failed: no such user"),
            (1, true, failed(), "failed: no such user"),
            (2, true, failed(), "failed: no such user; retraction to 1"),
            (1, false, gone(), "failed: no more; subscription disabled"),
            (2, true, gone(), "failed: no more; subscription disabled"),
        ] {
            let attempt = attempt(attempts, vec![told(0, retracted)]);
            assert_eq!(outline(&settle(&attempt, &outcome, at(10))), expected, "{attempts} {outcome:?}");
        }
    }

    #[test]
    fn what_failed_says_more_than_why_nobody_was_asked() {
        let failure = Failure::new(FailureKind::Refused(Some(503)), "it is busy");
        let attempt = Attempt { failed: Some(failure.clone()), ..attempt(2, vec![told(0, false)]) };
        for (until, expected) in [(999, "retry at 999: it is busy"), (1000, "expired: it is busy")] {
            let transitions = settle(&attempt, &not_tried(until), at(10));
            assert_eq!(outline(&transitions), format!("give back; {expected}"));
            let kind = match &transitions[1] {
                Transition::Retry { why, .. } | Transition::End { why: Some(why), .. } => why.kind(),
                other => panic!("{other:?}"),
            };
            assert_eq!(kind, Some(failure.kind));
        }
    }

    #[test]
    fn a_reason_is_kept_in_part() {
        let outcome = Outcome::Failed(Failure::other("ä".repeat(1000)));
        let transitions = settle(&attempt(1, vec![]), &outcome, at(10));
        assert_eq!(outline(&transitions), format!("failed: {}", "ä".repeat(500)));
    }

    #[test]
    fn a_digest_is_retried_for_what_stands_and_retracted_for_each() {
        let digest = attempt(1, vec![told(0, true), told(1, false), told(2, true)]);
        for (outcome, expected) in [
            (retry(999), "retry at 999: no answer; retraction to 1; retraction to 1"),
            (Outcome::Sent, "sent; retraction to 1; retraction to 1"),
            (gone(), "failed: no more; subscription disabled"),
        ] {
            assert_eq!(outline(&settle(&digest, &outcome, at(10))), expected);
        }
    }

    #[test]
    fn three_refusals_in_a_row_suppress() {
        let sent = |at_| Answer { at: at(at_), accepted: true };
        let refused = |at_| Answer { at: at(at_), accepted: false };
        for (answered, suppresses) in [
            (vec![], false),
            (vec![refused(9)], false),
            (vec![refused(9), refused(8)], true),
            (vec![refused(9), refused(8), sent(7)], true),
            (vec![refused(9), sent(8), refused(7)], false),
            (vec![sent(9), refused(8), refused(7)], false),
            // In the same moment, the accepted one counts as the later; so does what a clock set back left
            // behind.
            (vec![sent(10), refused(9), refused(8)], false),
            (vec![refused(20), refused(9), sent(8)], true),
            (vec![sent(20), refused(9), refused(8)], false),
        ] {
            for outcome in [failed(), gone()] {
                let attempt = Attempt { answered: answered.clone(), ..attempt(1, vec![]) };
                let transitions = settle(&attempt, &outcome, at(10));
                let suppressed = outline(&transitions).contains("suppress: refused several times in a row");
                assert_eq!(suppressed, suppresses, "{answered:?}");
            }
        }
    }

    #[test]
    fn a_key_of_ours_that_is_refused_suppresses_nobody() {
        let refused = |at_| Answer { at: at(at_), accepted: false };
        let attempt = Attempt { answered: vec![refused(9), refused(8)], ..attempt(1, vec![]) };
        let failure = Failure::new(FailureKind::KeyRefused, "the push service answered 403");
        for outcome in [Outcome::Failed(failure.clone()), Outcome::Gone(failure)] {
            let transitions = settle(&attempt, &outcome, at(10));
            assert!(!outline(&transitions).contains("suppress"), "{transitions:?}");
        }
    }

    #[test]
    fn who_may_have_been_told_hears_of_a_retraction() {
        use DeliveryState::{Bundled, Cancelled, Expired, Failed, Pending, Sent};
        for (attempts, state, lease_until, paused_until, hears) in [
            (1, Sent, None, None, true),
            (1, Sent, None, PAUSED, false),
            (1, Expired, None, None, true),
            (1, Failed, None, None, false),
            (2, Failed, None, None, true),
            (1, Pending, None, None, true),
            (1, Pending, Some(10), None, true),
            (1, Pending, Some(11), None, false),
            (0, Pending, None, None, false),
            (1, Cancelled, None, None, true),
            (0, Bundled, None, None, false),
        ] {
            let lease_until = lease_until.map(at);
            let carried = Carried { to: listener(1, paused_until), attempts, state, lease_until };
            let expected =
                format!("cancel waiting: the alert was retracted; retraction to {}", u32::from(hears));
            assert_eq!(outline(&retractions(raised(0).id, &[carried], at(10))), expected, "{carried:?}");
        }
    }
}
