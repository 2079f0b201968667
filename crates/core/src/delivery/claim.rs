//! A claim: goes through what is due, oldest first, hands out what has a place, and settles what has come to
//! an end.
//!
//! A backend loads a few deliveries that the claim [looks for](Claim::wanted), [plans](Claim::plan) one after
//! the other, applies what was planned, and looks again where that changed what the others were read as.

use super::limits::{MOST_CLAIMED, MOST_SETTLED};
use super::places::{Admitted, Rooms};
use super::plan::{ClaimParams, DueDelivery, Member, Needs, needs, plan};
use super::recipient::{Recipient, RecipientState};
use super::transition::Transition;
use super::{Budget, Delivery, MOST_UNDER_WAY};
use crate::Carrier;
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;

/// A claim under way.
#[derive(Debug)]
pub struct Claim {
    params: ClaimParams,
    rooms: Rooms,
    recipients: HashMap<Recipient, RecipientState>,
    handed: Vec<Delivery>,
    settled: usize,
}

/// What a claim looks for: deliveries over a channel that are due, of recipients with fewer than
/// [`MOST_UNDER_WAY`] under way.
#[derive(Debug)]
pub struct Wanted<'c> {
    /// So many, the oldest first.
    pub limit: usize,
    /// To these hosts.
    pub hosts: Admitted<'c>,
}

/// What was planned for one delivery.
#[derive(Debug)]
pub struct Planned {
    /// To be applied in this order.
    pub transitions: Vec<Transition>,
    /// Whether what else was loaded may not be what it was read as any more.
    pub look_again: bool,
}

impl Claim {
    /// A claim at `now`. What it hands out is under way until `lease_until`, at least for a moment: it would
    /// be claimed again in the same breath.
    pub fn new(now: Timestamp, lease_until: Timestamp, rooms: Rooms, budget: Budget) -> Self {
        let lease_until = lease_until.max(now + SignedDuration::from_millis(1));
        let params = ClaimParams { now, lease_until, budget };
        Self { params, rooms, recipients: HashMap::new(), handed: Vec::new(), settled: 0 }
    }

    /// What to load next of a carrier; `None` where the claim has enough of it.
    pub fn wanted(&self, carrier: Carrier) -> Option<Wanted<'_>> {
        let room = self.rooms.of(carrier);
        let limit = room.free().min(MOST_CLAIMED.saturating_sub(self.handed.len()));
        let goes_on = limit > 0 && self.settled < MOST_SETTLED;
        goes_on.then(|| Wanted { limit, hosts: room.admitted() })
    }

    /// Whether a recipient's state has to be [told](Self::meet) before something of its is planned.
    pub fn knows(&self, recipient: &Recipient) -> bool {
        self.recipients.contains_key(recipient)
    }

    /// Tells how a recipient stands.
    pub fn meet(&mut self, recipient: Recipient, state: RecipientState) {
        self.recipients.insert(recipient, state);
    }

    /// What else [`plan`](Self::plan) has to be given.
    pub fn needs(&self, due: &DueDelivery) -> Needs {
        match self.recipients.get(&due.recipient) {
            Some(recipient) if self.has_place(recipient, due) => needs(recipient, due, &self.params),
            _ => Needs::Nothing,
        }
    }

    /// Decides about one of what was loaded.
    pub fn plan(&mut self, due: &DueDelivery, others: Vec<Member>) -> Planned {
        let recipient = self.recipients.get(&due.recipient);
        let Some(recipient) = recipient.filter(|recipient| self.has_place(recipient, due)) else {
            return Planned { transitions: Vec::new(), look_again: true };
        };
        let transitions = plan(recipient, due, others, &self.params);
        let mut look_again = false;
        let mut handed_out = false;
        for transition in &transitions {
            match transition {
                Transition::HandOut { delivery, .. } => {
                    handed_out = true;
                    self.hand_out(due, delivery);
                }
                Transition::End { .. } => self.settled += 1,
                _ => {
                    self.settled += usize::from(!matches!(transition, Transition::Bundle { .. }));
                    look_again = true;
                }
            }
        }
        if due.lapsed && !handed_out {
            // It is under way no longer.
            self.recipients.remove(&due.recipient);
        }
        Planned { transitions, look_again }
    }

    /// What was handed out.
    pub fn into_handed(self) -> Vec<Delivery> {
        self.handed
    }

    fn has_place(&self, recipient: &RecipientState, due: &DueDelivery) -> bool {
        let room = self.rooms.of(due.subscription.channel.carrier());
        recipient.under_way < MOST_UNDER_WAY && room.admits(&due.host)
    }

    fn hand_out(&mut self, due: &DueDelivery, delivery: &Delivery) {
        self.rooms.of_mut(due.subscription.channel.carrier()).take(&due.host);
        if let Some(recipient) = self.recipients.get_mut(&due.recipient) {
            recipient.under_way += 1;
            recipient.counted += usize::from(Budget::counts(delivery.kind) && !due.lapsed);
        }
        self.handed.push(delivery.clone());
    }
}
