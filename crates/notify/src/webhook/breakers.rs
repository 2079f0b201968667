//! Leaves alone who keeps failing, so that what is owed to one dead endpoint keeps nobody else waiting: its
//! deliveries are put off at once instead of after a time-out each.

use qqq_core::retry::{Backoff, Breaker, BreakerSettings};
use std::collections::HashMap;
use std::time::Duration;

/// Failures in a row after which a host or an endpoint is left alone.
const FAILURES: u32 = 3;
/// For how long, at first.
const FIRST: Duration = Duration::from_secs(30);
/// For how long at most.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// Hosts and endpoints that are remembered. Beyond, those whose pause ended longest ago are forgotten.
const MAX_KEYS: usize = 1024;

/// The breakers of hosts and endpoints in trouble, by what the caller calls them. Who is well has none.
#[derive(Debug)]
pub(crate) struct Breakers {
    settings: BreakerSettings,
    breakers: HashMap<String, Breaker>,
}

impl Breakers {
    /// For requests that take `longest` at most.
    pub(crate) fn new(longest: Duration) -> Self {
        let pauses = Backoff::new(FIRST, LONGEST);
        let settings = BreakerSettings { failures: FAILURES, pauses, probe: longest };
        Self { settings, breakers: HashMap::new() }
    }

    /// Whether somebody may be asked now, or how long they are still left alone.
    pub(crate) fn pass(&mut self, key: &str, now: Duration) -> Result<(), Duration> {
        self.breakers.get_mut(key).map_or(Ok(()), |breaker| breaker.pass(now))
    }

    /// They are well.
    pub(crate) fn succeeded(&mut self, key: &str, now: Duration) {
        let Some(breaker) = self.breakers.get_mut(key) else { return };
        breaker.succeeded();
        if breaker.is_closed() && breaker.passes_from() <= now {
            self.breakers.remove(key);
        }
    }

    /// They asked to be left alone for `wait`.
    pub(crate) fn asked_to_wait(&mut self, key: &str, now: Duration, wait: Duration) {
        self.of(key).asked_to_wait(now, wait);
        self.forget();
    }

    /// They failed.
    pub(crate) fn failed(&mut self, key: &str, now: Duration) {
        self.of(key).failed(now);
        self.forget();
    }

    fn of(&mut self, key: &str) -> &mut Breaker {
        self.breakers.entry(key.to_owned()).or_insert_with(|| Breaker::new(self.settings))
    }

    fn forget(&mut self) {
        if self.breakers.len() > MAX_KEYS {
            let oldest = self.breakers.iter().min_by_key(|(_, breaker)| breaker.passes_from());
            let oldest = oldest.map(|(key, _)| key.clone());
            oldest.map(|key| self.breakers.remove(&key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1000);

    #[test]
    fn who_keeps_failing_is_left_alone_and_nobody_else() {
        let mut breakers = Breakers::new(Duration::from_secs(20));
        for _ in 0..FAILURES {
            assert_eq!(breakers.pass("a", NOW), Ok(()));
            breakers.failed("a", NOW);
        }
        assert_eq!(breakers.pass("a", NOW), Err(FIRST));
        assert_eq!(breakers.pass("b", NOW), Ok(()), "somebody else");
        let now = NOW + FIRST;
        assert_eq!(breakers.pass("a", now), Ok(()));
        breakers.succeeded("a", now);
        assert!(breakers.breakers.is_empty(), "who is well is not remembered");
    }

    #[test]
    fn a_wait_that_was_asked_for_outlives_what_was_sent_before() {
        let (mut breakers, wait) = (Breakers::new(Duration::from_secs(20)), Duration::from_secs(7));
        breakers.asked_to_wait("a", NOW, wait);
        breakers.succeeded("a", NOW);
        assert_eq!(breakers.pass("a", NOW), Err(wait));
    }

    #[test]
    fn however_many_fail_only_so_many_are_remembered() {
        let mut breakers = Breakers::new(Duration::from_secs(20));
        for n in 0..2 * MAX_KEYS {
            breakers.failed(&n.to_string(), NOW);
        }
        assert_eq!(breakers.breakers.len(), MAX_KEYS);
    }
}
