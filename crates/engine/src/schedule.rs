//! When a provider is asked, and for which minutes: pure, so that a year can be tested in a moment.

use jiff::{SignedDuration, Timestamp};
use qqq_core::retry::Backoff;
use qqq_core::{Calendar, Second};
use std::ops::Range;
use std::time::Duration;

/// Minutes asked for again at every poll: providers re-issue bars for some minutes after the fact.
pub const RE_ASK: i32 = 5;
/// Minutes after the close in which late bars are still asked for; then the whole session is, once more.
pub const AFTER_CLOSE: i32 = 6;
/// How far back a gap is healed, minutes: a week, which is also the most some providers serve at once.
pub const HEAL_LIMIT: i32 = 7 * Second::MINUTES_PER_DAY;
/// How long a symbol that the provider refuses, while it serves others, is left alone.
pub const SYMBOL_RETRY: SignedDuration = SignedDuration::from_hours(1);
/// The pauses after refusals of everything.
const REFUSALS: Backoff = Backoff::new(Duration::from_secs(60), Duration::from_secs(15 * 60));
/// How long after a minute its bar can be expected.
const SETTLING: SignedDuration = SignedDuration::from_secs(3);

/// The minutes whose bars are complete at `now`: none beyond this one.
pub fn complete_until(now: Timestamp) -> Second {
    Second::minute_of(now)
}

/// When to ask next after `now`: at the next multiple of `interval_seconds`, a little later than the minute
/// so that its bar is there; once more some minutes after the close; in closed hours, when the first bar of
/// the next session can be.
pub fn next_poll(now: Timestamp, interval_seconds: i64, calendar: &Calendar) -> Timestamp {
    let aligned = {
        let past = now.checked_sub(SETTLING).unwrap_or(now).as_second();
        let next = (past.div_euclid(interval_seconds) + 1) * interval_seconds;
        plus(Timestamp::from_second(next).unwrap_or(now), SETTLING)
    };
    let minute = Second::minute_of(aligned);
    if calendar.counts(minute.plus_minutes(-1)) {
        return aligned;
    }
    // The bar of a session's last minute, its corrections, and the session as a whole.
    let last = calendar
        .tracked_until(minute.plus_minutes(-1))
        .map(|ended| plus(ended.end.plus_minutes(AFTER_CLOSE).start(), SETTLING));
    if let Some(last) = last.filter(|&last| last > now) {
        return aligned.min(last);
    }
    let opens = calendar
        .tracked_from(minute.plus_minutes(-1))
        .map(|tracked| plus(tracked.start.minute_end(), SETTLING));
    opens.map_or(aligned, |opens| opens.max(aligned))
}

/// How long to wait after the n-th refusal in a row of everything (a wrong key, a missing entitlement, a
/// provider's bad minute): 1, 2, 4, 8, then always 15 minutes.
pub fn after_refusal(refusals: u32) -> SignedDuration {
    SignedDuration::try_from(REFUSALS.after(refusals)).unwrap_or(SignedDuration::MAX)
}

/// The session that has ended, and had time to settle, at `now`: until the next begins.
pub fn ended_session(now: Timestamp, calendar: &Calendar) -> Option<Range<Second>> {
    let minute = Second::minute_of(now);
    calendar.tracked_until(minute).filter(|session| session.end.plus_minutes(AFTER_CLOSE) <= minute)
}

/// Where a symbol's history must be taken up: `backfill` minutes of market before `now` for one never seen
/// (or not for a week), else at the start of the session of its newest bar: a stream may have brought that
/// bar across a hole that was never filled.
pub fn take_up(newest: Option<Second>, now: Timestamp, backfill: i32, calendar: &Calendar) -> Second {
    let complete = complete_until(now);
    // At a weekend the last day of market is Friday's, and its last bar wants its own day before it.
    let market = calendar.tracked_until(complete).map_or(complete, |tracked| tracked.end.min(complete));
    let fresh = market.plus_minutes(-backfill);
    match newest {
        Some(newest) if newest >= complete.plus_minutes(-HEAL_LIMIT) => {
            let session = calendar.tracked_until(newest).map_or(newest, |session| session.start);
            session.max(newest.plus_minutes(-Second::MINUTES_PER_DAY)).min(newest.plus_minutes(-RE_ASK))
        }
        _ => fresh,
    }
}

/// Cuts a range into stretches of about `bars` bars of `symbols` symbols, oldest first.
pub fn stretches(range: Range<Second>, symbols: usize, bars: usize) -> Vec<Range<Second>> {
    let length = (bars / symbols.max(1)).clamp(30, Second::MINUTES_PER_DAY as usize) as i32;
    let mut stretches = Vec::new();
    let mut start = range.start;
    while start < range.end {
        let end = start.plus_minutes(length).min(range.end);
        stretches.push(start..end);
        start = end;
    }
    stretches
}

fn plus(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use qqq_core::market::calendar::Market;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn minute(text: &str) -> Second {
        Second::minute_of(at(text))
    }

    fn xnas() -> Calendar {
        Calendar::new(Market::Xnas, false, [])
    }

    #[test]
    fn polls_are_aligned_to_the_minute_and_a_little_late() {
        let next = |text| next_poll(at(text), 60, &xnas()).to_string();
        assert_eq!(next("2025-01-28T15:00:10Z"), "2025-01-28T15:01:03Z");
        assert_eq!(next("2025-01-28T15:01:02Z"), "2025-01-28T15:01:03Z");
        assert_eq!(next("2025-01-28T15:01:03Z"), "2025-01-28T15:02:03Z");
    }

    #[test]
    fn the_first_poll_of_a_session_is_after_its_first_bar_and_the_last_after_the_close() {
        let calendar = xnas();
        let mut now = at("2025-01-24T20:58:00Z");
        let mut polls = Vec::new();
        for _ in 0..12 {
            now = next_poll(now, 60, &calendar);
            polls.push(now.to_string());
        }
        assert_eq!(polls[0], "2025-01-24T20:58:03Z");
        assert_eq!(polls[8], "2025-01-24T21:06:03Z");
        assert_eq!(polls[9], "2025-01-27T14:31:03Z", "the weekend is not polled");
        assert_eq!(ended_session(at("2025-01-24T21:05:59Z"), &calendar), None);
        let friday = ended_session(at("2025-01-24T21:06:03Z"), &calendar).unwrap();
        assert_eq!(friday.end.to_string(), "2025-01-24T21:00:00Z");
        assert_eq!(ended_session(at("2025-01-26T12:00:00Z"), &calendar), Some(friday));
        assert_eq!(ended_session(at("2025-01-27T14:31:03Z"), &calendar), None);
    }

    #[test]
    fn a_year_of_polls_meets_every_minute_and_the_end_of_every_session_at_any_interval() {
        let calendar = xnas();
        for interval in [10, 60, 300, 40 * 60, 45 * 60, 3600] {
            let mut now = at("2025-01-01T00:00:00Z");
            let (mut minutes, mut ends) = (0, std::collections::BTreeSet::new());
            while now < at("2026-01-01T00:00:00Z") {
                let next = next_poll(now, interval, &calendar);
                assert!(next > now);
                now = next;
                minutes += i32::from(calendar.counts(Second::minute_of(now).plus_minutes(-1)));
                ends.extend(ended_session(now, &calendar).map(|session| session.end));
            }
            assert_eq!(ends.len(), 250, "sessions taken once more at {interval} s");
            if interval == 60 {
                assert_eq!(minutes, 247 * 390 + 3 * 210 + 1, "and the first minute of 2026");
            }
        }
    }

    #[test]
    fn a_symbol_never_seen_gets_a_day_of_market_even_at_a_weekend() {
        let sunday = at("2025-01-26T12:00:00Z");
        assert_eq!(take_up(None, sunday, 1440, &xnas()).to_string(), "2025-01-23T21:00:00Z");
        let open = at("2025-01-27T15:00:30Z");
        assert_eq!(take_up(None, open, 1440, &xnas()).to_string(), "2025-01-26T15:00:00Z");
    }

    #[test]
    fn a_gap_is_healed_from_the_newest_bar_up_to_a_week() {
        let now = at("2025-01-27T15:00:30Z");
        let newest = Second::minute_of(at("2025-01-23T20:59:00Z"));
        let session = minute("2025-01-23T14:30:00Z");
        assert_eq!(
            take_up(Some(newest), now, 1440, &xnas()),
            session,
            "there may be a hole before the newest"
        );
        let ancient = Second::minute_of(at("2024-11-01T20:59:00Z"));
        assert_eq!(take_up(Some(ancient), now, 1440, &xnas()), take_up(None, now, 1440, &xnas()));
    }

    #[test]
    fn refusals_are_asked_after_ever_more_rarely_up_to_a_quarter_of_an_hour() {
        let minutes: Vec<i64> = (1..8).map(|refusals| after_refusal(refusals).as_mins()).collect();
        assert_eq!(minutes, [1, 2, 4, 8, 15, 15, 15]);
        assert_eq!(after_refusal(u32::MAX).as_mins(), 15);
    }

    #[test]
    fn stretches_cover_the_range_without_overlap() {
        let range = Second::from_minute(0)..Second::from_minute(10_000);
        for symbols in [1, 10, 10_000] {
            let cut = stretches(range.clone(), symbols, 200_000);
            assert_eq!(cut[0].start, range.start);
            assert_eq!(cut[cut.len() - 1].end, range.end);
            assert!(cut.windows(2).all(|pair| pair[0].end == pair[1].start));
        }
        assert_eq!(stretches(range.start..range.start, 1, 1), []);
    }
}
