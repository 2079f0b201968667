//! Whether the disk takes writes, as the latest ones found.

use crate::StoreError;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// For so long, what the latest write found is believed.
const BELIEVED: Duration = Duration::from_secs(10);
/// A write that is taken this soon after one was refused is a small one that found the last of the room: what
/// was refused is tried again every second, and is refused again.
const SETTLED: Duration = Duration::from_secs(3);
/// How often it is said again that there is no room.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// What the latest write found.
#[derive(Default)]
pub(super) struct Room(Mutex<Found>);

#[derive(Default)]
struct Found {
    asked: Option<Instant>,
    refused: Option<Refused>,
}

struct Refused {
    reason: String,
    since: Instant,
    latest: Instant,
    said: Instant,
}

impl Room {
    /// A write was made durable. True where there is room again after others were refused.
    pub(super) fn taken(&self) -> bool {
        self.taken_at(Instant::now())
    }

    fn taken_at(&self, now: Instant) -> bool {
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if found.refused.as_ref().is_some_and(|refused| now.duration_since(refused.latest) < SETTLED) {
            return false;
        }
        found.asked = Some(now);
        let refused = found.refused.take();
        if let Some(refused) = &refused {
            let seconds = now.duration_since(refused.since).as_secs();
            tracing::info!(seconds, "the disk takes writes again");
        }
        refused.is_some()
    }

    /// A write was refused. Said once, and then once in a while: whoever waits asks again and again.
    pub(super) fn refused(&self, reason: &str) {
        self.refused_at(reason, Instant::now());
    }

    fn refused_at(&self, reason: &str, now: Instant) {
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        found.asked = Some(now);
        let is_news = match &mut found.refused {
            None => {
                found.refused =
                    Some(Refused { reason: reason.to_owned(), since: now, latest: now, said: now });
                true
            }
            Some(refused) => {
                refused.reason = reason.to_owned();
                refused.latest = now;
                let is_due = now.duration_since(refused.said) >= SAID_EVERY;
                if is_due {
                    refused.said = now;
                }
                is_due
            }
        };
        if is_news {
            tracing::error!(
                reason,
                "the disk takes nothing: writes are refused, and bars and deliveries wait, \
                 until there is room"
            );
        }
    }

    /// What the latest write found, where that is not long ago.
    pub(super) fn lately(&self) -> Option<Result<(), StoreError>> {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        found.asked.filter(|asked| asked.elapsed() < BELIEVED)?;
        Some(found.verdict())
    }

    /// What the latest write found, whenever that was.
    pub(super) fn known(&self) -> Result<(), StoreError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).verdict()
    }
}

impl Found {
    fn verdict(&self) -> Result<(), StoreError> {
        self.refused.as_ref().map_or(Ok(()), |refused| Err(StoreError::NoRoom(refused.reason.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_write_among_refused_ones_does_not_mean_that_there_is_room() {
        let room = Room::default();
        let begun = Instant::now();
        let at = |tenths: u64| begun + Duration::from_millis(100 * tenths);
        // The large one is tried every second, small ones between.
        for second in 0..5 {
            room.refused_at("the disk is full", at(10 * second));
            assert!(!room.taken_at(at(10 * second + 4)));
            assert!(matches!(room.known(), Err(StoreError::NoRoom(_))));
        }
        assert!(!room.taken_at(at(60)), "the large one may just have been tried");
        assert!(room.taken_at(at(71)));
        assert!(room.known().is_ok());
        assert!(!room.taken_at(at(72)), "told once");
    }
}
