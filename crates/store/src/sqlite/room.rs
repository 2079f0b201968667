//! Whether the disk takes writes, as the latest one found.

use crate::StoreError;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// For so long, what the latest write found is believed.
const BELIEVED: Duration = Duration::from_secs(10);
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
    said: Instant,
}

impl Room {
    /// A write was made durable. True where the one before was refused.
    pub(super) fn taken(&self) -> bool {
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        found.asked = Some(Instant::now());
        let refused = found.refused.take();
        if let Some(refused) = &refused {
            tracing::info!(seconds = refused.since.elapsed().as_secs(), "the disk takes writes again");
        }
        refused.is_some()
    }

    /// A write was refused. Said once, and then once in a while: whoever waits asks again and again.
    pub(super) fn refused(&self, reason: &str) {
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        found.asked = Some(now);
        let is_news = match &mut found.refused {
            None => {
                found.refused = Some(Refused { reason: reason.to_owned(), since: now, said: now });
                true
            }
            Some(refused) => {
                refused.reason = reason.to_owned();
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
                "the disk takes nothing: writes are refused, and bars and deliveries wait, until there is room"
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
