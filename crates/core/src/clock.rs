//! The only way to learn the time.

use jiff::Timestamp;

/// Tells the wall-clock time. The binary's own clock reads the machine; tests hand in theirs.
pub trait Clock: Send + Sync {
    /// Now, UTC.
    fn now(&self) -> Timestamp;
}

impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }
}
