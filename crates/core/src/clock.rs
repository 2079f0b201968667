//! The only way to learn the time, and what to make of a wall clock that is set while the process runs.

use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// `at` moved by `by`, held to the times there are.
pub fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    let edge = if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX };
    at.checked_add(by).unwrap_or(edge)
}

/// Tells the time. The binary's own clock reads the machine; tests hand in theirs.
pub trait Clock: Send + Sync {
    /// Now, UTC.
    fn now(&self) -> Timestamp;

    /// By how much the machine's wall clock is ahead (positive) or behind what [`now`](Self::now) tells,
    /// while that is doubted.
    fn step(&self) -> Option<SignedDuration> {
        None
    }

    /// Takes in what somebody else says the time is, such as the `Date` of a provider's answer.
    fn witness(&self, told: Timestamp) {
        let _ = told;
    }
}

impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }

    fn step(&self) -> Option<SignedDuration> {
        (**self).step()
    }

    fn witness(&self, told: Timestamp) {
        (**self).witness(told);
    }
}

/// Time that goes on evenly while the wall clock is doubted.
///
/// Deliveries expire, leases run out and subscriptions become active by the wall clock, and a clock can be
/// set: by hand, by a time server, by a virtual machine that was moved. So each reading of it is compared
/// with the time that has passed since the last one. While both agree, within [`TOLERANCE`](Self::TOLERANCE),
/// the wall clock is right, slewing included. A larger step is doubted: time goes on from before it. It is
/// believed when a witness confirms it, or when it has stayed for [`HOLD`](Self::HOLD) and no witness spoke
/// against it.
#[derive(Clone, Debug)]
pub struct SteadyTime {
    /// The wall clock when it was last believed.
    wall: Timestamp,
    /// The time that had passed by then.
    uptime: Duration,
    step: Option<Step>,
}

/// A step that is doubted.
#[derive(Clone, Copy, Debug)]
struct Step {
    /// The wall clock less the even time.
    by: SignedDuration,
    /// When it was first seen, or last spoken against.
    since: Duration,
}

impl SteadyTime {
    /// What a wall clock may be ahead or behind without being doubted.
    pub const TOLERANCE: SignedDuration = SignedDuration::from_secs(30);
    /// How long a step must stay before it is believed without a witness.
    pub const HOLD: Duration = Duration::from_secs(15 * 60);

    /// Starts from a wall clock that is believed. `uptime` is any clock that only passes: it is never set.
    pub fn new(wall: Timestamp, uptime: Duration) -> Self {
        Self { wall, uptime, step: None }
    }

    /// The time at a reading of both clocks.
    pub fn read(&mut self, wall: Timestamp, uptime: Duration) -> Timestamp {
        let even = self.even(uptime);
        let by = wall.duration_since(even);
        if by.abs() <= Self::TOLERANCE {
            self.believe(wall, uptime);
            return wall;
        }
        let known = self.step.filter(|step| (step.by - by).abs() <= Self::TOLERANCE);
        let step = *self.step.insert(known.unwrap_or(Step { by, since: uptime }));
        if uptime.saturating_sub(step.since) >= Self::HOLD {
            self.believe(wall, uptime);
            return wall;
        }
        even
    }

    /// Hears what time it is from elsewhere. Speaks for a doubted step, or against it; else it changes
    /// nothing.
    pub fn witness(&mut self, told: Timestamp, wall: Timestamp, uptime: Duration) {
        self.read(wall, uptime);
        let Some(step) = &mut self.step else { return };
        if told.duration_since(wall).abs() <= Self::TOLERANCE {
            self.believe(wall, uptime);
        } else if (told.duration_since(wall) + step.by).abs() <= Self::TOLERANCE {
            step.since = uptime;
        }
    }

    /// The step that is doubted, as of the last reading: how far the wall clock is ahead (positive) or
    /// behind.
    pub fn step(&self) -> Option<SignedDuration> {
        self.step.map(|step| step.by)
    }

    fn even(&self, uptime: Duration) -> Timestamp {
        let passed = SignedDuration::try_from(uptime.saturating_sub(self.uptime));
        passed.ok().and_then(|passed| self.wall.checked_add(passed).ok()).unwrap_or(Timestamp::MAX)
    }

    fn believe(&mut self, wall: Timestamp, uptime: Duration) {
        *self = Self::new(wall, uptime);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: SignedDuration = SignedDuration::from_hours(24);

    /// A machine with two clocks, of which one can be set.
    struct Machine {
        wall: Timestamp,
        uptime: Duration,
        time: SteadyTime,
    }

    impl Machine {
        fn new() -> Self {
            let wall = "2025-01-31T15:00:00Z".parse().unwrap();
            let uptime = Duration::from_secs(1_000);
            Self { wall, uptime, time: SteadyTime::new(wall, uptime) }
        }

        fn pass(&mut self, seconds: u64) -> Timestamp {
            self.uptime += Duration::from_secs(seconds);
            self.wall += SignedDuration::from_secs(seconds as i64);
            self.time.read(self.wall, self.uptime)
        }

        fn set(&mut self, by: SignedDuration) {
            self.wall += by;
        }

        fn witness(&mut self, told: Timestamp) {
            self.time.witness(told, self.wall, self.uptime);
        }
    }

    #[test]
    fn a_step_that_is_taken_back_is_never_seen() {
        for by in [2 * DAY, -SignedDuration::from_hours(1)] {
            let mut machine = Machine::new();
            let before = machine.pass(1);
            machine.set(by);
            assert_eq!(machine.pass(75), before + SignedDuration::from_secs(75));
            assert_eq!(machine.time.step(), Some(by));
            machine.set(-by);
            assert_eq!(machine.pass(1), before + SignedDuration::from_secs(76));
            assert_eq!(machine.time.step(), None);
        }
    }

    #[test]
    fn a_step_that_stays_is_believed_in_the_end() {
        let mut machine = Machine::new();
        machine.set(2 * DAY);
        machine.pass(0);
        let hold = SteadyTime::HOLD.as_secs();
        assert_ne!(machine.pass(hold - 1), machine.wall);
        assert_eq!(machine.pass(1), machine.wall);
        assert_eq!(machine.time.step(), None);
    }

    #[test]
    fn another_step_begins_to_be_doubted_anew() {
        let mut machine = Machine::new();
        machine.set(DAY);
        machine.pass(0);
        machine.pass(SteadyTime::HOLD.as_secs() - 1);
        machine.set(DAY);
        machine.pass(1);
        assert_eq!(machine.time.step(), Some(2 * DAY));
    }

    #[test]
    fn a_witness_decides() {
        let mut machine = Machine::new();
        machine.set(DAY);
        machine.pass(1);
        machine.witness(machine.wall - SignedDuration::from_secs(2));
        assert_eq!(machine.time.step(), None, "the clock was set right");

        machine.set(-DAY);
        for _ in 0..10 {
            let even = machine.pass(600);
            assert_eq!(machine.time.step(), Some(-DAY), "the clock was set wrong");
            machine.witness(even);
        }
        // Who agrees with neither says nothing.
        machine.witness(machine.wall + SignedDuration::from_hours(7));
        assert_eq!(machine.time.step(), Some(-DAY));
    }

    proptest! {
        #[test]
        fn slewing_is_followed_and_no_doubted_step_moves_time(
            slews in prop::collection::vec(-30_i64..=30, 1..50),
            by in prop_oneof![31_i64..1_000_000, -1_000_000_i64..-31],
            waits in prop::collection::vec(0_u64..80, 1..10),
        ) {
            let mut machine = Machine::new();
            for slew in slews {
                machine.set(SignedDuration::from_secs(slew));
                prop_assert_eq!(machine.pass(60), machine.wall);
            }
            let before = machine.pass(0);
            machine.set(SignedDuration::from_secs(by));
            let mut passed = 0;
            for wait in waits {
                passed += wait as i64;
                prop_assert_eq!(machine.pass(wait), before + SignedDuration::from_secs(passed));
            }
        }
    }
}
