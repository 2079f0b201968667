//! Leaves endpoints alone that do not answer, so that what is owed to one dead endpoint keeps nobody else waiting: its
//! deliveries are put off at once instead of after a time-out each.

use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// Requests in a row without an answer after which an endpoint is left alone.
const FAILURES: u32 = 3;
/// For how long, at first. Doubles with each further one.
const FIRST: Duration = Duration::from_secs(30);
/// For how long at most.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// Endpoints that are remembered. Beyond, those whose pause ended longest ago are forgotten.
const MAX_ENDPOINTS: usize = 1024;

/// The endpoints in trouble. One that answers is not among them.
#[derive(Debug, Default)]
pub(crate) struct Pauses(HashMap<String, Trouble>);

#[derive(Debug)]
struct Trouble {
    failures: u32,
    until: Instant,
    /// Whether it is left alone for the sake of a request that finds out.
    probed: bool,
}

impl Pauses {
    /// Whether an endpoint may be asked now, or how long it is still left alone. Where a pause is over, one request
    /// probes, for `probe` at most, and the others wait for how it ends.
    pub(crate) fn pass(&mut self, endpoint: &str, probe: Duration, now: Instant) -> Result<(), Duration> {
        let Some(trouble) = self.0.get_mut(endpoint) else { return Ok(()) };
        if now < trouble.until {
            return Err(trouble.until - now);
        }
        if trouble.failures >= FAILURES {
            trouble.until = now + probe;
            trouble.probed = true;
        }
        Ok(())
    }

    /// It answered, and does not want to be left alone.
    pub(crate) fn answered(&mut self, endpoint: &str) {
        self.0.remove(endpoint);
    }

    /// It asked to be left alone for `wait`.
    pub(crate) fn asked(&mut self, endpoint: &str, wait: Duration, now: Instant) {
        self.remember(endpoint, Trouble { failures: 0, until: now + wait, probed: false });
    }

    /// It did not answer.
    pub(crate) fn failed(&mut self, endpoint: &str, now: Instant) {
        let known = self.0.get(endpoint);
        if known.is_some_and(|trouble| now < trouble.until && !trouble.probed) {
            // Asked before the pause, together with what led to it.
            return;
        }
        let failures = known.map_or(0, |trouble| trouble.failures).saturating_add(1);
        let doubled = failures.checked_sub(FAILURES).map(|further| 2_u32.saturating_pow(further));
        let pause = doubled.map_or(Duration::ZERO, |times| FIRST.saturating_mul(times).min(LONGEST));
        self.remember(endpoint, Trouble { failures, until: now + pause, probed: false });
    }

    fn remember(&mut self, endpoint: &str, trouble: Trouble) {
        self.0.insert(endpoint.to_owned(), trouble);
        if self.0.len() > MAX_ENDPOINTS {
            let oldest =
                self.0.iter().min_by_key(|(_, trouble)| trouble.until).map(|(endpoint, _)| endpoint.clone());
            oldest.map(|endpoint| self.0.remove(&endpoint));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROBE: Duration = Duration::from_secs(20);

    #[test]
    fn an_endpoint_that_does_not_answer_is_left_alone_for_longer_and_longer() {
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
            assert_eq!(pauses.pass("b", PROBE, now), Ok(()), "another endpoint");
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
        pauses.answered("a");
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
            "it is there: nobody probes"
        );
    }

    #[test]
    fn however_many_endpoints_fail_only_so_many_are_remembered() {
        let (mut pauses, now) = (Pauses::default(), Instant::now());
        for n in 0..2 * MAX_ENDPOINTS {
            pauses.failed(&n.to_string(), now);
        }
        assert_eq!(pauses.0.len(), MAX_ENDPOINTS);
    }
}
