//! A provider's request budget: a token bucket that makes callers wait their turn.

use crate::{FeedError, FeedErrorKind};
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// At most so many requests in any minute, shared by everything that asks one provider.
#[derive(Debug)]
pub(crate) struct Budget {
    bucket: RateLimiter<NotKeyed, InMemoryState, Timer, NoOpMiddleware<Duration>>,
    /// Callers queue here, first come, first served.
    turn: Mutex<()>,
    clock: Timer,
}

impl Budget {
    /// Allows `per_minute` requests in any 60 seconds, of which at most `burst` at once.
    ///
    /// A bucket of `b` tokens that refills `r` times a minute lets `b + r - 1` pass in the busiest minute, so
    /// the refill rate is what the burst leaves.
    pub(crate) fn new(provider: &str, per_minute: u32, burst: u32) -> Result<Self, FeedError> {
        let Some(wanted) = NonZeroU32::new(per_minute) else {
            let message = format!("{provider}: 0 requests per minute is not possible; it must be at least 1");
            return Err(FeedError::new(FeedErrorKind::BadRequest, message));
        };
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN).min(wanted);
        let refills = per_minute + 1 - burst.get();
        let quota = Quota::with_period(Duration::from_secs(60) / refills)
            .unwrap_or_else(|| Quota::per_minute(NonZeroU32::MIN))
            .allow_burst(burst);
        let clock = Timer { start: Instant::now() };
        Ok(Self { bucket: RateLimiter::direct_with_clock(quota, clock.clone()), turn: Mutex::new(()), clock })
    }

    /// Waits until one more request is within the budget, and counts it.
    pub(crate) async fn take(&self) {
        let _turn = self.turn.lock().await;
        while let Err(not_yet) = self.bucket.check() {
            tokio::time::sleep(not_yet.wait_time_from(self.clock.now())).await;
        }
    }
}

/// The runtime's monotonic timer as the bucket's clock: waiting and counting agree, in tests too.
#[derive(Debug, Clone)]
struct Timer {
    start: Instant,
}

impl Clock for Timer {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The instants, after the start, at which `count` requests were let through.
    async fn times(per_minute: u32, burst: u32, count: usize) -> Vec<Duration> {
        let budget = Budget::new("test", per_minute, burst).expect("a budget");
        let start = Instant::now();
        let mut times = Vec::new();
        for _ in 0..count {
            budget.take().await;
            times.push(start.elapsed());
        }
        times
    }

    #[tokio::test(start_paused = true)]
    async fn no_minute_sees_more_requests_than_allowed_and_the_budget_is_used() {
        for (per_minute, burst) in [(1, 1), (7, 3), (60, 2), (100, 10), (200, 20), (10_000, 1000)] {
            let count = per_minute as usize * 3;
            let times = times(per_minute, burst, count).await;
            let minute = Duration::from_secs(60);
            let mut end = 0;
            for (first, &time) in times.iter().enumerate() {
                end += times[end..].iter().take_while(|&&later| later < time + minute).count();
                assert!(end - first <= per_minute as usize, "{} in a minute of {per_minute}", end - first);
            }
            // What the burst leaves of the budget is used up, but for the timer's milliseconds.
            let steady = f64::from(per_minute + 1 - burst) / 60.0;
            let last = times.last().map(Duration::as_secs_f64).unwrap_or_default();
            assert!(last < count as f64 * (1.0 / steady + 0.001), "{per_minute} a minute: {last} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_at_once_and_the_rest_is_spread_out() {
        let times = times(60, 2, 4).await;
        assert_eq!(times[..2], [Duration::ZERO; 2]);
        let gap = times[3] - times[2];
        assert!(gap > Duration::from_millis(990) && gap < Duration::from_millis(1030), "{gap:?}");
    }

    #[test]
    fn a_budget_of_nothing_is_refused() {
        let error = Budget::new("yahoo", 0, 1).expect_err("no budget");
        assert_eq!(error.kind, FeedErrorKind::BadRequest);
        assert!(error.message.contains("at least 1"), "{error}");
    }
}
