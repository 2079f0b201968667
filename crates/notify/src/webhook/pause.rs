//! Leaves alone who keeps failing, so that what is owed to one dead endpoint keeps nobody else waiting: its deliveries
//! are put off at once instead of after a time-out each.

use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// Failures in a row after which a host or an endpoint is left alone.
const FAILURES: u32 = 3;
/// For how long, at first. Doubles with each further one.
const FIRST: Duration = Duration::from_secs(30);
/// For how long at most.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// Hosts and endpoints that are remembered. Beyond, those whose pause ended longest ago are forgotten.
const MAX_KEYS: usize = 1024;

/// The hosts and endpoints in trouble, by what the caller calls them. Who succeeds is not among them.
#[derive(Debug, Default)]
pub(crate) struct Pauses(HashMap<String, Trouble>);

#[derive(Debug)]
struct Trouble {
    failures: u32,
    until: Instant,
    /// Whether they are left alone for the sake of one request that finds out.
    probed: bool,
}

impl Pauses {
    /// Whether somebody may be asked now, or how long they are still left alone. Where a pause is over, one request
    /// probes, for `probe` at most, and the others wait for how it ends.
    pub(crate) fn pass(&mut self, key: &str, probe: Duration, now: Instant) -> Result<(), Duration> {
        let Some(trouble) = self.0.get_mut(key) else { return Ok(()) };
        if now < trouble.until {
            return Err(trouble.until - now);
        }
        if trouble.failures >= FAILURES {
            trouble.until = now + probe;
            trouble.probed = true;
        }
        Ok(())
    }

    /// They are well.
    pub(crate) fn succeeded(&mut self, key: &str) {
        self.0.remove(key);
    }

    /// They asked to be left alone for `wait`.
    pub(crate) fn asked(&mut self, key: &str, wait: Duration, now: Instant) {
        self.remember(key, Trouble { failures: 0, until: now + wait, probed: false });
    }

    /// They failed.
    pub(crate) fn failed(&mut self, key: &str, now: Instant) {
        let known = self.0.get(key);
        if known.is_some_and(|trouble| now < trouble.until && !trouble.probed) {
            // Asked before the pause, together with what led to it.
            return;
        }
        let failures = known.map_or(0, |trouble| trouble.failures).saturating_add(1);
        let doubled = failures.checked_sub(FAILURES).map(|further| 2_u32.saturating_pow(further));
        let pause = doubled.map_or(Duration::ZERO, |times| FIRST.saturating_mul(times).min(LONGEST));
        self.remember(key, Trouble { failures, until: now + pause, probed: false });
    }

    fn remember(&mut self, key: &str, trouble: Trouble) {
        self.0.insert(key.to_owned(), trouble);
        if self.0.len() > MAX_KEYS {
            let oldest = self.0.iter().min_by_key(|(_, trouble)| trouble.until).map(|(key, _)| key.clone());
            oldest.map(|key| self.0.remove(&key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROBE: Duration = Duration::from_secs(20);

    #[test]
    fn who_keeps_failing_is_left_alone_for_longer_and_longer() {
        let (mut pauses, mut now) = (Pauses::default(), Instant::now());
        for _ in 1..FAILURES {
            assert_eq!(pauses.pass("a", PROBE, now), Ok(()));
            pauses.failed("a", now);
        }
        let mut before = Duration::ZERO;
        for _ in 0..12 {
            assert_eq!(pauses.pass("a", PROBE, now), Ok(()), "the pause is over");
            pauses.failed("a", now);
            let pause = pauses.pass("a", PROBE, now).unwrap_err();
            assert!(pause >= before && pause >= FIRST && pause <= LONGEST, "{pause:?} after {before:?}");
            assert_eq!(pauses.pass("b", PROBE, now), Ok(()), "somebody else");
            (before, now) = (pause, now + pause);
        }
        assert_eq!(before, LONGEST);
    }

    #[test]
    fn after_a_pause_one_request_probes() {
        let (mut pauses, now) = (Pauses::default(), Instant::now());
        for _ in 0..FAILURES {
            pauses.failed("a", now);
        }
        let now = now + FIRST;
        assert_eq!(pauses.pass("a", PROBE, now), Ok(()));
        assert_eq!(pauses.pass("a", PROBE, now), Err(PROBE));
        assert_eq!(pauses.pass("a", PROBE, now + PROBE), Ok(()), "the probe was lost");
        pauses.succeeded("a");
        assert_eq!(pauses.pass("a", PROBE, now), Ok(()));
        assert_eq!(pauses.pass("a", PROBE, now), Ok(()));
    }

    #[test]
    fn requests_that_fail_together_lead_to_one_pause() {
        let (mut pauses, now) = (Pauses::default(), Instant::now());
        for _ in 0..16 {
            pauses.failed("a", now);
        }
        assert_eq!(pauses.pass("a", PROBE, now), Err(FIRST));
    }

    #[test]
    fn who_asks_to_be_left_alone_is_left_alone_for_so_long() {
        let (mut pauses, now) = (Pauses::default(), Instant::now());
        pauses.asked("a", Duration::from_secs(7), now);
        assert_eq!(pauses.pass("a", PROBE, now), Err(Duration::from_secs(7)));
        assert_eq!(pauses.pass("a", PROBE, now + Duration::from_secs(7)), Ok(()));
        assert_eq!(
            pauses.pass("a", PROBE, now + Duration::from_secs(7)),
            Ok(()),
            "they are there: nobody probes"
        );
    }

    #[test]
    fn however_many_fail_only_so_many_are_remembered() {
        let (mut pauses, now) = (Pauses::default(), Instant::now());
        for n in 0..2 * MAX_KEYS {
            pauses.failed(&n.to_string(), now);
        }
        assert_eq!(pauses.0.len(), MAX_KEYS);
    }
}
