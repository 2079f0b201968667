//! When what failed is tried again. Pure: times and random numbers are handed in.
//!
//! Times are those of a clock that only goes forward, since some start.

mod backoff;
mod breaker;
mod retry_after;

pub use backoff::{Backoff, jittered};
pub use breaker::{Breaker, BreakerSettings};
pub use retry_after::{LONGEST_RETRY_AFTER, http_date, retry_after};
