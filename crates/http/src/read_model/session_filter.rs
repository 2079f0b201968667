//! Which minutes count.

use qqq_core::{Calendar, Second};

/// What the calendar says of a minute. Bars arrive minute by minute, so the last answer is usually the next.
pub(crate) struct SessionFilter<'a> {
    calendar: &'a Calendar,
    last: Option<(Second, bool)>,
}

impl<'a> SessionFilter<'a> {
    pub(crate) fn of(calendar: &'a Calendar) -> Self {
        Self { calendar, last: None }
    }

    pub(crate) fn counts(&mut self, minute: Second) -> bool {
        match self.last {
            Some((known, counts)) if known == minute => counts,
            _ => {
                let counts = self.calendar.counts(minute);
                self.last = Some((minute, counts));
                counts
            }
        }
    }
}
