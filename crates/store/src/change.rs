//! Changes of a subscription.

use jiff::Timestamp;
use qqq_core::RuleName;
use qqq_core::subscription::Subscription;
use qqq_core::subscription::quiet::QuietHours;

/// What to change about a subscription. `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct SubscriptionChange {
    /// By which rule from now on: of bars that start later, as if it had become active now.
    pub rule: Option<RuleName>,
    /// `Some(None)`: no quiet hours any more. What is deferred is judged anew.
    pub quiet: Option<Option<QuietHours>>,
    /// Pauses until then, and cancels what is owed and not under way but for confirmations;
    /// [`Timestamp::MAX`]: until it is resumed. `Some(None)` resumes it. What is raised while paused is never
    /// told.
    pub paused_until: Option<Option<Timestamp>>,
    /// The same by who may snooze alone, which leaves a subscription as it is that is
    /// [paused until it is resumed](Subscription::is_paused_until_resumed).
    pub snoozed_until: Option<Option<Timestamp>>,
    /// Replaces the secret that signs its webhooks by that of the next generation.
    pub rotate_secret: bool,
}

impl SubscriptionChange {
    /// A subscription as it is after the change, but for where a new rule has it begin. Times are kept in
    /// microseconds.
    pub fn applied_to(&self, before: &Subscription, now: Timestamp) -> Subscription {
        let mut after = before.clone();
        if let Some(rule) = self.rule {
            after.rule = rule;
        }
        if let Some(quiet) = &self.quiet {
            after.quiet.clone_from(quiet);
        }
        if let Some(until) = self.paused_until {
            after.paused_until = until.map(as_kept);
        }
        if let Some(until) = self.snoozed_until
            && !before.is_paused_until_resumed()
        {
            after.paused_until = until.map(as_kept);
        }
        if self.rotate_secret {
            after.secret_generation += 1;
            after.secret_rotated_at = Some(as_kept(now));
        }
        after
    }
}

/// A time as it is read back: whole microseconds, but for the last moment there is.
fn as_kept(at: Timestamp) -> Timestamp {
    match Timestamp::from_microsecond(at.as_microsecond()) {
        Ok(whole) if at.as_microsecond() < Timestamp::MAX.as_microsecond() => whole,
        _ => Timestamp::MAX,
    }
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Amended {
    /// It is as asked for.
    Changed(Subscription),
    /// Another subscription of the same recipient, scope and metric has that rule already. Nothing was
    /// changed.
    Conflict,
    /// It has ended. Nothing was changed.
    Ended(Subscription),
    /// No subscription has this token.
    Unknown,
}
