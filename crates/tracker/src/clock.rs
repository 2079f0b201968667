//! The machine's clock.

use jiff::{SignedDuration, Timestamp};
use qqq_core::Clock;
use qqq_core::clock::SteadyTime;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tracing::{info, warn};

/// Reads the wall clock: the only place that does. A step of it, while the process runs, is doubted first
/// ([`SteadyTime`]).
pub struct SystemClock(Mutex<SteadyTime>);

impl SystemClock {
    /// Believes the wall clock as it stands.
    pub fn new() -> Self {
        Self(Mutex::new(SteadyTime::new(wall(), uptime())))
    }

    /// Does something with the time, and tells the log when that begins or ceases to doubt the wall clock.
    fn with<T>(&self, act: impl FnOnce(&mut SteadyTime) -> T) -> T {
        let mut time = self.lock();
        let before = time.step();
        let result = act(&mut time);
        match (before, time.step()) {
            (None, Some(step)) => warn!(
                seconds = step.as_secs(),
                "the machine's clock was set; going on by the time before, \
                 until the clock is set back, a provider confirms it, or {} minutes have passed",
                SteadyTime::HOLD.as_secs() / 60
            ),
            (Some(_), None) => info!("the machine's clock is believed again"),
            _ => {}
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, SteadyTime> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        self.with(|time| time.read(wall(), uptime()))
    }

    fn step(&self) -> Option<SignedDuration> {
        self.lock().step()
    }

    fn witness(&self, told: Timestamp) {
        self.with(|time| time.witness(told, wall(), uptime()));
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock everybody else takes")]
fn wall() -> Timestamp {
    Timestamp::now()
}

/// Time since the machine started, sleep included: nobody sets it, and who closes a laptop has set no clock.
#[cfg(target_os = "linux")]
fn uptime() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

/// Time that only passes, from the first call on.
#[cfg(not(target_os = "linux"))]
fn uptime() -> Duration {
    static START: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    START.elapsed()
}
