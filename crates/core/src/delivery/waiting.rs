//! What a delivery that is owed waits for.

use super::DeliveryKind;
use super::recipient::quiet_until;
use crate::subscription::Subscription;
use jiff::Timestamp;
use strum::{Display, IntoStaticStr};

/// What a delivery that is owed waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum WaitsFor {
    /// The end of its receiver's quiet hours.
    QuietHours,
    /// Room in the number of messages that its receiver is sent in an hour.
    Budget,
    /// Another attempt: the last one was not accepted.
    Retry,
    /// Its turn: it is due.
    Turn,
    /// The receiver's answer: it is under way.
    Answer,
}

crate::words::words!(WaitsFor);

impl WaitsFor {
    /// All, in the order they are told.
    pub const ALL: [Self; 5] = [Self::QuietHours, Self::Budget, Self::Retry, Self::Turn, Self::Answer];
}

/// Where a delivery that is owed stands.
#[derive(Clone, Copy, Debug)]
pub struct Waiting<'a> {
    /// What it tells.
    pub kind: DeliveryKind,
    /// To whom.
    pub subscription: &'a Subscription,
    /// When it is looked at again.
    pub due_at: Timestamp,
    /// Until when it is under way, where it is.
    pub lease_until: Option<Timestamp>,
    /// Whether an attempt was not accepted.
    pub failed: bool,
}

impl Waiting<'_> {
    /// What it waits for at `now`. Two things at once are told by the one that [`plan`](super::plan) looks at
    /// first, but for what has failed: that is tried again, and waits for whatever it meets then.
    pub fn waits_for(&self, now: Timestamp) -> WaitsFor {
        match self.lease_until {
            Some(until) if until > now => return WaitsFor::Answer,
            None if self.due_at > now => {}
            _ => return WaitsFor::Turn,
        }
        let confirms = self.kind == DeliveryKind::Confirmation;
        match quiet_until(self.subscription, now) {
            _ if self.failed || confirms => WaitsFor::Retry,
            Some(_) => WaitsFor::QuietHours,
            None => WaitsFor::Budget,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{at, reader};
    use super::*;

    #[test]
    fn what_waits_is_told_by_what_it_waits_for() {
        use WaitsFor::{Answer, Budget, QuietHours, Retry, Turn};
        // It is 22:00 in Berlin: quiet for the first of the readers, and not for the second.
        let alert = DeliveryKind::Alert;
        for (n, kind, due, lease, failed, expected) in [
            (0, alert, 3600, None, false, QuietHours),
            (1, alert, 3600, None, false, Budget),
            (1, DeliveryKind::Digest, 3600, None, false, Budget),
            (0, alert, 60, None, true, Retry),
            (0, DeliveryKind::Confirmation, 60, None, true, Retry),
            (0, alert, 0, None, false, Turn),
            (1, alert, 0, None, true, Turn),
            (1, alert, -60, Some(60), false, Answer),
            // Whoever sent it is gone.
            (1, alert, -60, Some(0), false, Turn),
        ] {
            let lease_until = lease.map(at);
            let (subscription, due_at) = (&reader(n), at(due));
            let waiting = Waiting { kind, subscription, due_at, lease_until, failed };
            assert_eq!(waiting.waits_for(at(0)), expected, "{waiting:?}");
        }
    }
}
