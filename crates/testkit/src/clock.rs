//! Time that tests set.

use jiff::{SignedDuration, Timestamp};
use qqq_core::Clock;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A clock that stands where it is put.
#[derive(Debug)]
pub struct SetClock(Mutex<Reading>);

#[derive(Clone, Copy, Debug)]
struct Reading {
    now: Timestamp,
    step: Option<SignedDuration>,
}

impl SetClock {
    /// A clock that stands at `now`, and that nobody doubts.
    pub fn new(now: Timestamp) -> Self {
        Self(Mutex::new(Reading { now, step: None }))
    }

    /// The same at a time such as `2025-01-31T15:00:00Z`. Panics where the text is none.
    pub fn at(now: &str) -> Self {
        Self::new(time(now))
    }

    /// Puts it somewhere else.
    pub fn set(&self, now: Timestamp) {
        self.reading().now = now;
    }

    /// The same to a time such as `2025-01-31T15:00:00Z`. Panics where the text is none.
    pub fn set_to(&self, now: &str) {
        self.set(time(now));
    }

    /// Has the wall clock be this far from it, until it is `None`.
    pub fn doubt(&self, step: Option<SignedDuration>) {
        self.reading().step = step;
    }

    fn reading(&self) -> MutexGuard<'_, Reading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        self.reading().now
    }

    fn step(&self) -> Option<SignedDuration> {
        self.reading().step
    }
}

#[track_caller]
fn time(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|error| panic!("`{text}` is no time: {error}"))
}
