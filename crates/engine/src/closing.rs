//! Closing: brings the bars of days that are over into the form in which they stay, a little at a time. Of
//! the day that runs, its hours are closed one by one, so that little lies open at any time; once the day is
//! over, they become one.
//!
//! What comes later is written where it belongs, and what that leaves open is closed with the next round.

use crate::retry_while_busy;
use qqq_core::{Calendar, Second};
use qqq_store::{Store, StoreError};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// How often it is looked for what may be closed.
const EVERY: Duration = Duration::from_secs(60);

/// So long after a day's last counting second, by the feed's clock, late bars are rare, and a feed that is
/// polled was asked for the whole session once more.
const AFTER: i64 = 30 * 60;
/// The same for an hour within the day. Feeds that are a quarter of an hour late are in time for it.
const AFTER_AN_HOUR: i64 = 20 * 60;
const HOUR: i64 = 60 * 60;

/// After a transaction, the store is left alone for as long as that took, at most so long.
const LONGEST_BREATH: Duration = Duration::from_millis(100);

/// Closes what is over, every minute, until `stop`.
pub async fn run(
    store: Arc<dyn Store>,
    calendar: Arc<Calendar>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    loop {
        match once(&*store, &calendar, &stop).await {
            Ok(0) => {}
            Ok(bars) => info!(bars, "bars of hours and days that are over were closed"),
            Err(error) if error.is_transient() => warn!(%error, "bars stay open until the next round"),
            // Nothing depends on it but room, and who reads these bars is told the same.
            Err(error @ StoreError::Corrupt { .. }) => error!(%error, "bars cannot be closed"),
            Err(error) => return Err(error.into()),
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Closes all that is over by the feed's clock: a recording of last year closes its days as it plays. Answers
/// how many bars lay open.
pub async fn once(
    store: &dyn Store,
    calendar: &Calendar,
    stop: &CancellationToken,
) -> Result<u64, StoreError> {
    let Some(feed) = store.feed_status().await? else { return Ok(0) };
    up_to(store, calendar, Second::minute_of(feed.clock), stop).await
}

/// Closes all that is over at `clock`. Answers how many bars lay open.
pub async fn up_to(
    store: &dyn Store,
    calendar: &Calendar,
    clock: Second,
    stop: &CancellationToken,
) -> Result<u64, StoreError> {
    let mut total = 0;
    while let Some(oldest) = store.oldest_open().await?
        && let Some(over) = day_over(calendar, oldest, clock).or_else(|| hour_over(calendar, oldest, clock))
        && !stop.is_cancelled()
    {
        let mut after = None;
        loop {
            let begun = Instant::now();
            let closed = retry_while_busy(|| store.close_bars(over.clone(), after)).await?;
            total += closed.bars;
            after = closed.upto;
            if after.is_none() || stop.is_cancelled() {
                break;
            }
            tokio::time::sleep(begun.elapsed().min(LONGEST_BREATH)).await;
        }
    }
    Ok(total)
}

/// The New York day of a time, from midnight to midnight, where it is over at `clock`.
pub fn day_over(calendar: &Calendar, at: Second, clock: Second) -> Option<Range<Second>> {
    let date = calendar.date_of(at);
    let day = calendar.midnight(date)..calendar.midnight(date.tomorrow().ok()?);
    let ends = calendar.tracked_on(date).map_or(day.end, |tracked| tracked.end);
    // What lies outside of the hours that count came from elsewhere: no more of it is to come.
    (clock.seconds_since(ends) >= AFTER).then_some(day)
}

/// The hour of a time, where it is over at `clock` and not the last one of its day's session, which is closed
/// with the day.
fn hour_over(calendar: &Calendar, at: Second, clock: Second) -> Option<Range<Second>> {
    let session_ends = calendar.tracked_on(calendar.date_of(at))?.end;
    let begins = Second::from_unix(at.unix().div_euclid(HOUR) * HOUR);
    let ends = begins.plus_seconds(HOUR);
    (ends < session_ends && clock.seconds_since(ends) >= AFTER_AN_HOUR).then_some(begins..ends)
}

#[cfg(test)]
mod tests {
    use super::*;
    use qqq_core::market::calendar::Market;
    use qqq_core::{FeedMode, FeedStatus, Symbol};
    use qqq_store::{BarRecord, Batch, Sequence};
    use qqq_testkit::bars::{cents, flat};

    fn calendar(extended: bool) -> Calendar {
        Calendar::new(Market::Xnys, extended, [])
    }

    fn at(text: &str) -> Second {
        Second::minute_of(text.parse().unwrap())
    }

    #[test]
    fn a_day_is_over_half_an_hour_after_its_last_bar() {
        let noon = at("2025-01-27T17:00:00Z");
        let day = at("2025-01-27T05:00:00Z")..at("2025-01-28T05:00:00Z");
        for (extended, last_open, over) in [
            (false, "2025-01-27T21:29:00Z", "2025-01-27T21:30:00Z"),
            (true, "2025-01-28T01:29:00Z", "2025-01-28T01:30:00Z"),
        ] {
            assert_eq!(day_over(&calendar(extended), noon, at(last_open)), None);
            assert_eq!(day_over(&calendar(extended), noon, at(over)), Some(day.clone()));
        }
        // On an early close, and on a Saturday, of which a file may hold bars.
        let early = at("2025-07-03T15:00:00Z");
        assert!(day_over(&calendar(false), early, at("2025-07-03T17:30:00Z")).is_some());
        let saturday = at("2025-01-25T17:00:00Z");
        assert_eq!(day_over(&calendar(false), saturday, at("2025-01-26T05:29:00Z")), None);
        assert!(day_over(&calendar(false), saturday, at("2025-01-26T05:30:00Z")).is_some());
    }

    #[tokio::test]
    async fn days_are_closed_as_the_feeds_clock_passes_them() {
        let folder = tempfile::tempdir().unwrap();
        let store = qqq_store::open(&format!("sqlite://{}/store.db", folder.path().display())).await.unwrap();
        let symbols: [Symbol; 2] = ["AAPL", "TSLA"].map(|name| name.parse().unwrap());
        let bar = |symbol: Symbol, start| flat(symbol.as_str(), start, cents(10_000), 0);
        let days = ["2025-01-24T14:30:00Z", "2025-01-27T14:30:00Z", "2025-01-28T14:30:00Z"].map(at);
        let bars = days.iter().flat_map(|day| {
            symbols.iter().flat_map(move |&symbol| (0..390).map(move |n| (symbol, day.plus_minutes(n))))
        });
        let bars = bars.map(|(symbol, start)| BarRecord { bar: bar(symbol, start), revision: 0 }).collect();
        let status = |clock: &str| FeedStatus {
            provider: "test".to_owned(),
            label: "sip".parse().unwrap(),
            mode: FeedMode::Replayed,
            coverage: String::new(),
            stands_in_for: None,
            clock: clock.parse().unwrap(),
            answered_at: None,
            problem: None,
            asked_until: None,
            symbol_problems: Vec::new(),
        };
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        store.commit(&Batch { bars, ..Batch::default() }, now).await.unwrap();
        let stop = CancellationToken::new();
        let close = async || {
            once(&*store, &calendar(false), &stop).await.unwrap();
            store.oldest_open().await.unwrap()
        };
        assert_eq!(close().await, Some(days[0]), "no feed has said what time it is");
        let before = store.changes(Sequence(0), usize::MAX).await.unwrap();
        for (clock, open) in [
            ("2025-01-24T15:19:00Z", Some(days[0])),
            ("2025-01-24T15:20:00Z", Some(days[0].plus_minutes(30))),
            ("2025-01-24T18:30:00Z", Some(days[0].plus_minutes(210))),
            // The last hour waits for the day.
            ("2025-01-24T21:29:00Z", Some(days[0].plus_minutes(330))),
            ("2025-01-27T15:00:00Z", Some(days[1])),
            ("2025-01-28T21:29:00Z", Some(days[2].plus_minutes(330))),
            ("2025-01-28T21:30:00Z", None),
        ] {
            store.commit(&Batch { feed: Some(status(clock)), ..Batch::default() }, now).await.unwrap();
            assert_eq!(close().await, open, "{clock}");
            assert_eq!(store.changes(Sequence(0), usize::MAX).await.unwrap(), before);
        }
    }
}
