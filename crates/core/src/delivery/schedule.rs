//! When an attempt that failed is made again.

use super::DeliveryId;
use crate::subscription::channel::Carrier;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

/// Seconds to wait after the n-th failed attempt of a mail, before jitter. The last one repeats until expiry.
const MAIL: [i64; 9] = [5, 15, 30, 60, 2 * 60, 5 * 60, 10 * 60, 20 * 60, 30 * 60];

/// The same for a request: an endpoint that is down is down for minutes or for hours.
const HTTP: [i64; 8] = [5, 30, 2 * 60, 10 * 60, 30 * 60, 60 * 60, 2 * 60 * 60, 4 * 60 * 60];

const fn schedule(carrier: Carrier) -> &'static [i64] {
    match carrier {
        Carrier::Mail => &MAIL,
        Carrier::Http => &HTTP,
    }
}

/// When to try again after `attempt` (from 1) failed at `now`: by a schedule of 5 s to 30 min for mails, of
/// 5 s to 4 h for requests (about thirteen attempts in a day), moved by up to 20 % either way.
///
/// The jitter is a function of the delivery and the attempt, not of a random source, so the schedule of a
/// delivery can be recomputed; over deliveries it spreads evenly. Whether the delivery expires before is for
/// [`settle`](super::settle) to see.
pub fn retry_at(carrier: Carrier, id: DeliveryId, attempt: u32, now: Timestamp) -> Timestamp {
    let schedule = schedule(carrier);
    let step = (attempt.max(1) as usize - 1).min(schedule.len() - 1);
    let base_ms = schedule[step] * 1000;
    let hash = Uuid::new_v5(&id.0, &attempt.to_be_bytes()).as_u128() as u64;
    let jitter_ms = (hash % (2 * base_ms as u64 / 5 + 1)) as i64 - base_ms / 5;
    now.checked_add(SignedDuration::from_millis(base_ms + jitter_ms)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::DeliveryKind;
    use crate::delivery::samples::delivery as id;
    use std::collections::BTreeSet;

    #[test]
    fn waits_grow_and_stay_within_a_fifth_of_the_schedule() {
        let now = Timestamp::UNIX_EPOCH;
        for carrier in [Carrier::Mail, Carrier::Http] {
            let schedule = schedule(carrier);
            assert!(schedule.is_sorted());
            let mut seen = BTreeSet::new();
            for n in 0..50 {
                for attempt in 1..40 {
                    let wait = retry_at(carrier, id(n), attempt, now).as_millisecond();
                    let base = schedule[(attempt as usize - 1).min(schedule.len() - 1)] * 1000;
                    assert!(
                        (base * 4 / 5..=base * 6 / 5).contains(&wait),
                        "attempt {attempt} waits {wait} ms"
                    );
                    seen.insert((attempt, wait));
                }
            }
            assert!(seen.iter().filter(|(attempt, _)| *attempt == 3).count() > 40, "no jitter");
        }
    }

    #[test]
    fn a_webhook_is_tried_early_and_over_a_whole_day() {
        let lifetime = DeliveryKind::Alert.webhook_lifetime_seconds();
        let mut now = Timestamp::UNIX_EPOCH;
        let mut attempts = Vec::new();
        while now.as_second() < lifetime {
            attempts.push(now.as_second());
            now = retry_at(Carrier::Http, id(1), attempts.len() as u32, now);
        }
        assert!((11..=15).contains(&attempts.len()), "{attempts:?}");
        assert!(attempts.iter().filter(|second| **second < 15 * 60).count() >= 4, "{attempts:?}");
        assert!(attempts.last().is_some_and(|last| *last > lifetime - 5 * 3600), "{attempts:?}");
    }
}
