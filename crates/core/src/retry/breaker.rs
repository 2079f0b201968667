//! A circuit breaker: after enough failures somebody is left alone for a while, then probed.
//!
//! ```text
//! closed --- enough failures in a row, or one refusal ---> open --- its pause is over ---> half open
//!    ^                                                       ^                                 |
//!    +---------------------- a probe succeeds ---------------)---------------------------------+
//!                                                            +------- it fails: pause doubled -+
//! ```

use super::Backoff;
use std::time::Duration;

/// When a breaker opens and for how long.
#[derive(Clone, Copy, Debug)]
pub struct BreakerSettings {
    /// Failures in a row that open it.
    pub failures: u32,
    /// The pauses of its own; who asks for a longer one gets it.
    pub pauses: Backoff,
    /// How long a probe may take before another may be sent: a caller that went away must not leave the
    /// breaker half open for ever.
    pub probe: Duration,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Requests pass from `from` on.
    Closed {
        failures: u32,
        from: Duration,
    },
    Open {
        until: Duration,
    },
    HalfOpen {
        probe_until: Duration,
    },
}

/// The breaker of one server.
#[derive(Clone, Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    state: State,
}

impl Breaker {
    /// A closed one.
    pub fn new(settings: BreakerSettings) -> Self {
        Self { settings, state: State::Closed { failures: 0, from: Duration::ZERO } }
    }

    /// Asks to send a request.
    ///
    /// # Errors
    ///
    /// Answers how long to wait.
    pub fn pass(&mut self, now: Duration) -> Result<(), Duration> {
        let wait = self.passes_from().saturating_sub(now);
        if !wait.is_zero() {
            return Err(wait);
        }
        if !self.is_closed() {
            self.state = State::HalfOpen { probe_until: now + self.settings.probe };
        }
        Ok(())
    }

    /// From when on a request passes, as it stands.
    pub fn passes_from(&self) -> Duration {
        let (State::Closed { from: time, .. }
        | State::Open { until: time }
        | State::HalfOpen { probe_until: time }) = self.state;
        time
    }

    /// Whether nobody probes: there were few failures, or a wait was asked for.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    /// A request was answered.
    pub fn succeeded(&mut self) {
        match &mut self.state {
            // An answer to a request that left before a wait began proves nothing about now.
            State::Open { .. } => {}
            State::Closed { failures, .. } => *failures = 0,
            State::HalfOpen { .. } => self.close(Duration::ZERO),
        }
    }

    /// A request was answered: all is well, but nothing may be sent for `wait`.
    pub fn asked_to_wait(&mut self, now: Duration, wait: Duration) {
        let from = now + wait;
        match self.state {
            State::HalfOpen { .. } => self.close(from),
            State::Closed { from: known, .. } | State::Open { until: known } => self.close(known.max(from)),
        }
    }

    /// A request failed in a way that may pass.
    pub fn failed(&mut self, now: Duration) {
        match &mut self.state {
            // Sent before a wait began, together with what led to it.
            State::Closed { from, .. } if now < *from => {}
            State::Open { .. } => {}
            State::Closed { failures, from } if *failures + 1 < self.settings.failures => {
                (*failures, *from) = (*failures + 1, now);
            }
            State::Closed { .. } | State::HalfOpen { .. } => self.open(now, Duration::ZERO),
        }
    }

    /// A request was refused, as there were too many: nothing may be sent for at least `wait`.
    pub fn refused(&mut self, now: Duration, wait: Duration) {
        match &mut self.state {
            State::Open { until } => *until = (*until).max(now + wait),
            State::Closed { from, .. } => {
                let wait = wait.max(from.saturating_sub(now));
                self.open(now, wait);
            }
            State::HalfOpen { .. } => self.open(now, wait),
        }
    }

    fn open(&mut self, now: Duration, at_least: Duration) {
        let pause = self.settings.pauses.next().unwrap_or_default();
        self.state = State::Open { until: now + pause.max(at_least) };
    }

    fn close(&mut self, from: Duration) {
        self.settings.pauses.reset();
        self.state = State::Closed { failures: 0, from };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SETTINGS: BreakerSettings = BreakerSettings {
        failures: 3,
        pauses: Backoff::new(Duration::from_secs(10), Duration::from_secs(35)),
        probe: Duration::from_secs(5),
    };

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn it_opens_at_the_third_failure_in_a_row_and_a_success_starts_the_count_over() {
        let (mut breaker, now) = (Breaker::new(SETTINGS), seconds(1000));
        breaker.failed(now);
        breaker.failed(now);
        breaker.succeeded();
        breaker.failed(now);
        breaker.failed(now);
        assert_eq!(breaker.pass(now), Ok(()));
        breaker.failed(now);
        assert_eq!(breaker.pass(now), Err(seconds(10)));
        assert_eq!(breaker.pass(now + seconds(9)), Err(seconds(1)));
    }

    #[test]
    fn one_probe_passes_when_the_pause_is_over_and_its_success_closes() {
        let (mut breaker, now) = (Breaker::new(SETTINGS), seconds(1000));
        breaker.refused(now, Duration::ZERO);
        let later = now + seconds(10);
        assert_eq!(breaker.pass(later), Ok(()));
        assert_eq!(breaker.pass(later), Err(seconds(5)), "only one probe at a time");
        breaker.succeeded();
        assert_eq!(breaker.pass(later), Ok(()));
        assert_eq!(breaker.pass(later), Ok(()));
    }

    #[test]
    fn a_probe_that_fails_doubles_the_pause_up_to_the_maximum() {
        let (mut breaker, mut now) = (Breaker::new(SETTINGS), seconds(1000));
        breaker.refused(now, Duration::ZERO);
        for pause in [10, 20, 35, 35] {
            assert_eq!(breaker.pass(now), Err(seconds(pause)));
            now += seconds(pause);
            assert_eq!(breaker.pass(now), Ok(()));
            breaker.failed(now);
        }
    }

    #[test]
    fn a_longer_wait_that_the_provider_asked_for_is_kept() {
        let (mut breaker, now) = (Breaker::new(SETTINGS), seconds(1000));
        breaker.refused(now, seconds(100));
        assert_eq!(breaker.pass(now), Err(seconds(100)));
        breaker.refused(now, seconds(50));
        assert_eq!(breaker.pass(now), Err(seconds(100)), "a second refusal never shortens it");
    }

    #[test]
    fn a_late_answer_does_not_close_an_open_breaker_and_a_lost_probe_does_not_block_it() {
        let (mut breaker, now) = (Breaker::new(SETTINGS), seconds(1000));
        breaker.refused(now, Duration::ZERO);
        breaker.succeeded();
        assert!(breaker.pass(now).is_err());
        assert_eq!(breaker.pass(now + seconds(10)), Ok(()));
        assert_eq!(breaker.pass(now + seconds(15)), Ok(()), "the first probe never came back");
    }

    #[test]
    fn who_asks_for_time_gets_it_and_is_not_probed() {
        let (mut breaker, now) = (Breaker::new(SETTINGS), seconds(1000));
        breaker.failed(now);
        breaker.asked_to_wait(now, seconds(7));
        for _ in 0..2 {
            breaker.failed(now);
        }
        assert_eq!(breaker.pass(now), Err(seconds(7)), "what failed was sent before");
        assert!(breaker.is_closed());
        for _ in 0..2 {
            assert_eq!(breaker.pass(now + seconds(7)), Ok(()));
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Wait(u64),
        Pass,
        Succeeded,
        Failed,
        Refused(u64),
        AskedToWait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..60_u64).prop_map(Step::Wait),
            Just(Step::Pass),
            Just(Step::Succeeded),
            Just(Step::Failed),
            (0..100_u64).prop_map(Step::Refused),
            (0..100_u64).prop_map(Step::AskedToWait),
        ]
    }

    proptest! {
        #[test]
        fn whatever_happened_a_request_passes_within_the_longest_wait(
            steps in prop::collection::vec(step(), 0..60),
        ) {
            let (mut breaker, mut now) = (Breaker::new(SETTINGS), seconds(1000));
            let mut left_alone_until = now;
            for step in steps {
                match step {
                    Step::Wait(pause) => now += seconds(pause),
                    Step::Succeeded => breaker.succeeded(),
                    Step::AskedToWait(wait) => breaker.asked_to_wait(now, seconds(wait)),
                    Step::Failed => breaker.failed(now),
                    Step::Refused(wait) => {
                        breaker.refused(now, seconds(wait));
                        left_alone_until = left_alone_until.max(now + seconds(wait));
                    }
                    Step::Pass => match breaker.pass(now) {
                        Ok(()) => {
                            prop_assert!(now >= left_alone_until, "asked while it should be left alone");
                        }
                        Err(wait) => prop_assert!(wait <= seconds(100) && !wait.is_zero()),
                    },
                }
            }
            if let Err(wait) = breaker.pass(now) {
                prop_assert_eq!(breaker.pass(now + wait), Ok(()));
            }
        }
    }
}
