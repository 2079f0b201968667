//! Pauses between attempts: doubling, bounded.

use std::time::Duration;

/// A row of pauses: the first, twice that, and so on, up to the longest, which repeats.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// From `first` to `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0 }
    }

    /// The pause after so many failures in a row, at least one.
    pub fn after(&self, failures: u32) -> Duration {
        let times = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first.saturating_mul(times).min(self.longest)
    }

    /// Starts over.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Starts over where something worked for at least the longest pause. What works for a moment and fails
    /// again would otherwise be tried at the first pause for ever.
    pub fn worked_for(&mut self, time: Duration) {
        if time >= self.longest {
            self.reset();
        }
    }
}

/// The pauses, one for each further failure. There is always a next one.
impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.failures = self.failures.saturating_add(1);
        Some(self.after(self.failures))
    }
}

/// A pause between half of `pause` and `pause`, by a number evenly drawn from all there are: many clients
/// that failed together shall not come back together.
pub fn jittered(pause: Duration, random: u32) -> Duration {
    pause.mul_f64(0.5 + 0.5 * f64::from(random) / f64::from(u32::MAX)).min(pause)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pauses: Vec<_> =
            Backoff::new(FIRST, LONGEST).take(7).map(|pause| pause.as_millis() as u64).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1000, 1000, 1000]);
    }

    #[test]
    fn only_what_worked_for_as_long_as_the_longest_pause_starts_them_over() {
        let mut backoff = Backoff::new(FIRST, LONGEST);
        backoff.nth(4);
        backoff.worked_for(LONGEST - Duration::from_millis(1));
        assert_eq!(backoff.next(), Some(LONGEST));
        backoff.worked_for(LONGEST);
        assert_eq!(backoff.next(), Some(FIRST));
    }

    #[test]
    fn no_number_of_failures_overflows() {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        assert!(
            (0..100).chain([u32::MAX]).all(|failures| backoff.after(failures) <= Duration::from_secs(60))
        );
        assert_eq!(Backoff::new(Duration::MAX, Duration::MAX).after(u32::MAX), Duration::MAX);
    }

    #[test]
    fn the_jitter_spans_the_upper_half() {
        let pause = Duration::from_secs(2);
        assert_eq!(jittered(pause, 0), Duration::from_secs(1));
        assert_eq!(jittered(pause, u32::MAX), pause);
    }
}
