//! Pauses between attempts: doubling, with jitter, bounded.

use std::time::Duration;

/// A row of pauses. Each lies between half of its ceiling and the ceiling, so that many clients that failed
/// together do not come back together; the ceiling doubles up to a maximum.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    max: Duration,
    steps: u32,
}

impl Backoff {
    pub(crate) fn new(first: Duration, max: Duration) -> Self {
        Self { first, max, steps: 0 }
    }

    /// The next pause.
    pub(crate) fn pause(&mut self) -> Duration {
        let ceiling =
            self.first.saturating_mul(1_u32.checked_shl(self.steps).unwrap_or(u32::MAX)).min(self.max);
        self.steps = self.steps.saturating_add(1);
        jittered(ceiling)
    }

    /// Starts over where something worked for at least the longest pause. What works for a moment and fails
    /// again would otherwise be tried at the first pause for ever.
    pub(crate) fn worked_for(&mut self, time: Duration) {
        if time >= self.max {
            self.steps = 0;
        }
    }
}

/// A pause between half of `ceiling` and `ceiling`.
pub(crate) fn jittered(ceiling: Duration) -> Duration {
    // Without entropy there is no jitter: the middle.
    spread(ceiling, getrandom::u32().unwrap_or(u32::MAX / 2))
}

fn spread(ceiling: Duration, random: u32) -> Duration {
    ceiling.mul_f64(0.5 + 0.5 * f64::from(random) / f64::from(u32::MAX)).min(ceiling)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_lie_between_half_the_doubling_ceiling_and_the_ceiling() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        for ceiling_ms in [100, 200, 400, 800, 1000, 1000, 1000] {
            let (pause, ceiling) = (backoff.pause(), Duration::from_millis(ceiling_ms));
            assert!(pause >= ceiling / 2 && pause <= ceiling, "{pause:?} for {ceiling:?}");
        }
    }

    #[test]
    fn only_what_worked_for_as_long_as_the_longest_pause_starts_them_over() {
        let (first, max) = (Duration::from_millis(100), Duration::from_secs(1));
        let mut backoff = Backoff::new(first, max);
        for _ in 0..5 {
            backoff.pause();
        }
        backoff.worked_for(max - Duration::from_millis(1));
        assert!(backoff.pause() >= max / 2);
        backoff.worked_for(max);
        assert!(backoff.pause() <= first);
    }

    #[test]
    fn a_thousand_failures_do_not_overflow() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        assert!((0..1000).all(|_| backoff.pause() <= Duration::from_secs(60)));
    }

    #[test]
    fn the_jitter_spans_the_upper_half() {
        let ceiling = Duration::from_secs(2);
        assert_eq!(spread(ceiling, 0), Duration::from_secs(1));
        assert_eq!(spread(ceiling, u32::MAX), ceiling);
    }
}
