//! The machine's clock.

use jiff::Timestamp;
use qqq_core::Clock;

/// Reads the wall clock: the only place that does.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock everybody else takes")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
