//! A simulated market: believable, seeded, and the same every time.
//!
//! ```text
//! noise   hashes of (seed, purpose, counter) instead of a generator with state
//! names   what a name is like          shape   the U of the day
//! bursts  when volume goes up          model   levels from day to day
//! day     the minutes of one day
//! ```
//!
//! A bar is a function of seed, symbol, minute and calendar alone, so a run that is interrupted and resumed
//! makes exactly the bars of one that was not. Nothing here is a forecast or a record of any market.

mod bursts;
mod day;
mod model;
mod names;
mod noise;
mod shape;
mod stream;

use crate::{FeedError, FeedErrorKind, Tape, Tick};
use async_trait::async_trait;
use day::Day;
use jiff::Timestamp;
use model::Model;
use qqq_core::calendar::Session;
use qqq_core::{Bar, Calendar, FeedInfo, FeedLabel, FeedMode, Minute, Watchlist};
use std::ops::Range;
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// A new run starts so many minutes after the open: the trailing hour is full and the morning rush over.
const START_AFTER_OPEN: i32 = 120;
/// To have a burst soon, a new run may start so much earlier, or else a little later: together with the next
/// constant, a round of the bursts' timetable.
const START_EARLIER: i32 = 60;
const START_LATER: i32 = 10;
/// A new run has a burst of one of its first three names so many minutes after its start.
const FIRST_BURST: Range<i32> = 20..41;
/// Most bars in one tick of the history: a long watchlist gets its history in several.
const MAX_TICK_BARS: usize = 100_000;

/// How to simulate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimConfig {
    /// Another seed is another market.
    pub seed: u64,
    /// Simulated seconds per real second, 1 to [`SimConfig::MAX_SPEED`].
    pub speed: u32,
    /// Where to start in simulated time. Without it: in the latest session, about two hours after its open.
    pub start: Option<Timestamp>,
}

impl SimConfig {
    /// A minute bar every millisecond.
    pub const MAX_SPEED: u32 = 60_000;
}

impl Default for SimConfig {
    fn default() -> Self {
        Self { seed: 1, speed: 60, start: None }
    }
}

/// The simulated market as a tape. Its first tick is the history: everything from the beginning of the session
/// that was on 24 hours before. Then a minute comes every `60 / speed` seconds; closed hours take no time.
#[derive(Debug)]
pub struct Sim {
    info: FeedInfo,
    model: Model,
    calendar: Calendar,
    day: Day,
    /// The next minute to be made.
    next: Option<Minute>,
    /// The last minute of the history.
    history_end: Minute,
    period: Duration,
    pace: Option<Interval>,
}

impl Sim {
    /// Makes a market that starts anew, or goes on after `resume_after`, the newest minute already known.
    ///
    /// A known minute more than 24 hours before `now` is not resumed, but nothing before it is played as new
    /// either. A configured start decides instead of `now` where there is one.
    pub fn new(
        config: SimConfig,
        watchlist: &Watchlist,
        calendar: &Calendar,
        now: Timestamp,
        resume_after: Option<Minute>,
    ) -> Result<Self, FeedError> {
        let refused = |what: String| FeedError::new(FeedErrorKind::BadRequest, what);
        if !(1..=SimConfig::MAX_SPEED).contains(&config.speed) {
            return Err(refused(format!(
                "the simulator's speed is {}; it must be 1 to {}",
                config.speed,
                SimConfig::MAX_SPEED
            )));
        }
        let label = FeedLabel::new(FeedLabel::SIMULATED).map_err(|error| refused(error.to_string()))?;
        let model = Model::new(config.seed, watchlist, calendar.market(), label);
        let now = Minute::containing(now);
        let closed =
            || refused("the market calendar has no session within three weeks to simulate".to_owned());

        let start = match config.start {
            Some(start) => Minute::containing(start),
            None => fresh_start(&model, calendar, now).ok_or_else(closed)?,
        };
        let is_recent = |known: &Minute| config.start.is_none() && *known >= now.plus(-Minute::PER_DAY);
        let last = resume_after.filter(|known| *known >= start || is_recent(known)).unwrap_or(start.plus(-1));

        let newest = calendar.tracked_until(last).ok_or_else(closed)?;
        let history_end = newest.end.plus(-1).min(last);
        let first = calendar.tracked_until(last.plus(-Minute::PER_DAY)).ok_or_else(closed)?.start;
        let session = calendar.session_on(calendar.date_of(first)).ok_or_else(closed)?;
        let info = FeedInfo {
            provider: "sim",
            label,
            mode: FeedMode::Simulated,
            coverage: "invented by a simulator: not the market".to_owned(),
            split_adjusted: true,
            delay_minutes: 0,
        };
        Ok(Self {
            info,
            day: Day::begin(&model, &session),
            model,
            calendar: calendar.clone(),
            next: Some(first),
            history_end,
            period: Duration::from_secs(60) / config.speed,
            pace: None,
        })
    }

    /// Makes the bars of the next minute.
    fn advance(&mut self) -> Option<(Minute, Vec<Bar>)> {
        let minute = self.next?;
        if !self.day.has_ahead(minute) {
            let session = self.calendar.session_on(self.calendar.date_of(minute))?;
            self.day = Day::begin(&self.model, &session);
        }
        let bars = self.day.walk_to(&self.model, minute);
        let stretch = self.calendar.tracked_from(minute.plus(1));
        self.next = stretch.map(|stretch| stretch.start.max(minute.plus(1)));
        Some((minute, bars))
    }

    /// What is left of the history, as much as fits into one tick.
    fn history(&mut self) -> Option<Tick> {
        let mut bars = Vec::new();
        while self.next.is_some_and(|next| next <= self.history_end) && bars.len() < MAX_TICK_BARS {
            let Some((_, minute)) = self.advance() else { break };
            bars.extend(minute);
        }
        (!bars.is_empty()).then(|| Tick { bars, rejects: Vec::new(), clock: self.history_end.end() })
    }
}

#[async_trait]
impl Tape for Sim {
    fn info(&self) -> &FeedInfo {
        &self.info
    }

    async fn next(&mut self) -> Result<Option<Tick>, FeedError> {
        if let Some(history) = self.history() {
            return Ok(Some(history));
        }
        let period = self.period;
        let pace = self.pace.get_or_insert_with(|| {
            let mut pace = interval_at(Instant::now() + period, period);
            // After a pause of the machine the market goes on; it does not rush to catch up.
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            pace
        });
        pace.tick().await;
        // Nothing below waits: who gives up waiting above has lost nothing.
        Ok(self.advance().map(|(minute, bars)| Tick { bars, rejects: Vec::new(), clock: minute.end() }))
    }
}

/// The minute a new run begins with: about two hours into the session of today or the latest before (`now`
/// itself where the market never closes), at a minute that has a burst to show soon.
fn fresh_start(model: &Model, calendar: &Calendar, now: Minute) -> Option<Minute> {
    let usual = if model.never_closes() {
        now
    } else {
        let end_of_today = calendar.midnight(calendar.date_of(now).tomorrow().ok()?).plus(-1);
        let stretch = calendar.tracked_until(end_of_today)?;
        calendar.session_on(calendar.date_of(stretch.start))?.open.plus(START_AFTER_OPEN)
    };
    let starts = burst_starts(model, calendar, usual);
    let shows_one = |start: &Minute| starts.iter().any(|burst| FIRST_BURST.contains(&burst.since(*start)));
    let shifts = (0..=START_EARLIER).map(|earlier| -earlier).chain(1..=START_LATER);
    shifts.map(|shift| usual.plus(shift)).find(shows_one).or(Some(usual))
}

/// When the first three names have bursts, on the day of `minute` and the next.
fn burst_starts(model: &Model, calendar: &Calendar, minute: Minute) -> Vec<Minute> {
    let today = calendar.date_of(minute);
    let sessions = [Some(today), today.tomorrow().ok()].into_iter().flatten();
    let sessions: Vec<Session> = sessions.filter_map(|day| calendar.session_on(day)).collect();
    let names = model.names.iter().take(3);
    names
        .flat_map(|name| sessions.iter().map(move |session| (name, session)))
        .flat_map(|(name, session)| {
            model.bursts(name, session).into_iter().map(|burst| session.open.plus(burst.start))
        })
        .collect()
}
