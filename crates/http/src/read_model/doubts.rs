//! Why what is held in memory cannot be believed, if so.

use crate::api::Api;
use crate::http::problem::Reason;
use crate::lock::lock;
use crate::read_model::snapshot::Snapshot;
use jiff::Timestamp;
use qqq_core::{Calendar, FeedMode, Phase, Second};
use std::time::Duration;

/// A cache that has not heard from the store for so long counts as left behind.
const SCAN_PATIENCE: Duration = Duration::from_secs(15);

/// Why what readers are told from memory cannot be believed, if so.
pub(crate) fn doubts(api: &Api, snapshot: &Snapshot) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let unheard = lock(&api.0.scanned_at).elapsed();
    if unheard > SCAN_PATIENCE {
        let detail = format!("nothing has been read from the store for {} s", unheard.as_secs());
        reasons.push(Reason { check: "cache", detail });
    }
    if let Some(problem) = snapshot.feed.as_ref().and_then(|feed| feed.problem.clone()) {
        reasons.push(Reason { check: "feed", detail: problem });
    }
    if let Some(seconds) = stale_seconds(api, snapshot) {
        let detail = format!("the market is open and no bar has come for {seconds} s");
        reasons.push(Reason { check: "bars", detail });
    }
    if let Some(step) = api.0.clock.step() {
        let (seconds, direction) =
            (step.as_secs().abs(), if step.is_negative() { "back" } else { "forward" });
        let detail = format!(
            "the machine's clock was set {direction} by {seconds} s; \
             until that is certain, time goes on as before"
        );
        reasons.push(Reason { check: "clock", detail });
    }
    reasons
}

/// For how long a live feed has brought no bar in an open market, where that is longer than it may be.
pub(crate) fn stale_seconds(api: &Api, snapshot: &Snapshot) -> Option<i64> {
    let silent = silence(snapshot, &api.0.calendar, api.0.clock.now())?;
    (silent > api.0.config.stale_after.as_secs() as i64).then_some(silent)
}

/// How long a live feed has been silent in a running session: the seconds since the newest bar of any symbol
/// ended or the session began. `None` for other feeds and outside the session.
fn silence(snapshot: &Snapshot, calendar: &Calendar, now: Timestamp) -> Option<i64> {
    let live = snapshot.feed.as_ref().is_some_and(|feed| feed.mode == FeedMode::Live);
    let minute = Second::minute_of(now);
    if !live || calendar.phase(minute) != Phase::Regular {
        return None;
    }
    let opened = calendar.session_on(calendar.date_of(minute))?.open.start();
    let since = snapshot.newest_end().map_or(opened, |end| end.max(opened));
    Some(now.as_second() - since.as_second())
}
