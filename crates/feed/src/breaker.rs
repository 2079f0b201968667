//! A circuit breaker: after enough failures a provider is left alone for a while, then probed.
//!
//! A pure state machine over instants that are handed in:
//!
//! ```text
//! closed --- enough failures in a row, or one refusal ---> open --- its pause is over ---> half open
//!    ^                                                       ^                                 |
//!    +---------------------- a probe succeeds ---------------)---------------------------------+
//!                                                            +------- it fails: pause doubled -+
//! ```

use std::time::Duration;
use tokio::time::Instant;

/// When a breaker opens and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// Failures in a row that open it.
    pub(crate) failures: u32,
    /// The first pause.
    pub(crate) pause: Duration,
    /// The longest pause of its own; a provider that asks for a longer one gets it.
    pub(crate) max_pause: Duration,
    /// How long a probe may take before another may be sent: a caller that went away must not leave the
    /// breaker half open for ever.
    pub(crate) probe: Duration,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant },
    HalfOpen { probe_until: Instant },
}

/// The breaker of one provider.
#[derive(Debug)]
pub(crate) struct Breaker {
    settings: Settings,
    state: State,
    /// The pause of the next opening.
    pause: Duration,
}

impl Breaker {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, state: State::Closed { failures: 0 }, pause: settings.pause }
    }

    /// Asks to send a request. The error is how long to wait.
    pub(crate) fn pass(&mut self, now: Instant) -> Result<(), Duration> {
        match self.state {
            State::Closed { .. } => return Ok(()),
            State::Open { until } if now < until => return Err(until - now),
            State::HalfOpen { probe_until } if now < probe_until => return Err(probe_until - now),
            State::Open { .. } | State::HalfOpen { .. } => {}
        }
        self.state = State::HalfOpen { probe_until: now + self.settings.probe };
        Ok(())
    }

    /// A request was answered.
    pub(crate) fn succeeded(&mut self) {
        // An answer to a request that left before the breaker opened proves nothing about now.
        if !matches!(self.state, State::Open { .. }) {
            self.state = State::Closed { failures: 0 };
            self.pause = self.settings.pause;
        }
    }

    /// A request failed in a way that may pass.
    pub(crate) fn failed(&mut self, now: Instant) {
        match self.state {
            State::Closed { failures } if failures + 1 < self.settings.failures => {
                self.state = State::Closed { failures: failures + 1 };
            }
            State::Closed { .. } | State::HalfOpen { .. } => self.open(now, Duration::ZERO),
            State::Open { .. } => {}
        }
    }

    /// The provider asked to be left alone, for at least `wait`.
    pub(crate) fn refused(&mut self, now: Instant, wait: Duration) {
        match &mut self.state {
            State::Open { until } => *until = (*until).max(now + wait),
            State::Closed { .. } | State::HalfOpen { .. } => self.open(now, wait),
        }
    }

    fn open(&mut self, now: Instant, at_least: Duration) {
        self.state = State::Open { until: now + self.pause.max(at_least) };
        self.pause = self.pause.saturating_mul(2).min(self.settings.max_pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SETTINGS: Settings = Settings {
        failures: 3,
        pause: Duration::from_secs(10),
        max_pause: Duration::from_secs(35),
        probe: Duration::from_secs(5),
    };

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test]
    async fn it_opens_at_the_third_failure_in_a_row_and_a_success_starts_the_count_over() {
        let (mut breaker, now) = (Breaker::new(SETTINGS), Instant::now());
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

    #[tokio::test]
    async fn one_probe_passes_when_the_pause_is_over_and_its_success_closes() {
        let (mut breaker, now) = (Breaker::new(SETTINGS), Instant::now());
        breaker.refused(now, Duration::ZERO);
        let later = now + seconds(10);
        assert_eq!(breaker.pass(later), Ok(()));
        assert_eq!(breaker.pass(later), Err(seconds(5)), "only one probe at a time");
        breaker.succeeded();
        assert_eq!(breaker.pass(later), Ok(()));
        assert_eq!(breaker.pass(later), Ok(()));
    }

    #[tokio::test]
    async fn a_probe_that_fails_doubles_the_pause_up_to_the_maximum() {
        let (mut breaker, mut now) = (Breaker::new(SETTINGS), Instant::now());
        breaker.refused(now, Duration::ZERO);
        for pause in [10, 20, 35, 35] {
            assert_eq!(breaker.pass(now), Err(seconds(pause)));
            now += seconds(pause);
            assert_eq!(breaker.pass(now), Ok(()));
            breaker.failed(now);
        }
    }

    #[tokio::test]
    async fn a_longer_wait_that_the_provider_asked_for_is_kept() {
        let (mut breaker, now) = (Breaker::new(SETTINGS), Instant::now());
        breaker.refused(now, seconds(100));
        assert_eq!(breaker.pass(now), Err(seconds(100)));
        breaker.refused(now, seconds(50));
        assert_eq!(breaker.pass(now), Err(seconds(100)), "a second refusal never shortens it");
    }

    #[tokio::test]
    async fn a_late_answer_does_not_close_an_open_breaker_and_a_lost_probe_does_not_block_it() {
        let (mut breaker, now) = (Breaker::new(SETTINGS), Instant::now());
        breaker.refused(now, Duration::ZERO);
        breaker.succeeded();
        assert!(breaker.pass(now).is_err());
        assert_eq!(breaker.pass(now + seconds(10)), Ok(()));
        assert_eq!(breaker.pass(now + seconds(15)), Ok(()), "the first probe never came back");
    }

    #[derive(Debug, Clone)]
    enum Step {
        Wait(u64),
        Pass,
        Succeeded,
        Failed,
        Refused(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..60_u64).prop_map(Step::Wait),
            Just(Step::Pass),
            Just(Step::Succeeded),
            Just(Step::Failed),
            (0..100_u64).prop_map(Step::Refused),
        ]
    }

    proptest! {
        #[test]
        fn whatever_happened_a_request_passes_within_the_longest_wait(steps in prop::collection::vec(step(), 0..60)) {
            let (mut breaker, mut now) = (Breaker::new(SETTINGS), Instant::now());
            let mut left_alone_until = now;
            for step in steps {
                match step {
                    Step::Wait(pause) => now += seconds(pause),
                    Step::Succeeded => breaker.succeeded(),
                    Step::Failed => breaker.failed(now),
                    Step::Refused(wait) => {
                        breaker.refused(now, seconds(wait));
                        left_alone_until = left_alone_until.max(now + seconds(wait));
                    }
                    Step::Pass => match breaker.pass(now) {
                        Ok(()) => prop_assert!(now >= left_alone_until, "asked while it should be left alone"),
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
