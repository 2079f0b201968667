//! What the tests of several crates share. A dependency of tests alone.

pub mod clock;
pub mod python;
pub mod wait;

pub use clock::SetClock;
pub use wait::until;
