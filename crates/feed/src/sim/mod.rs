//! A simulated market: believable, seeded, and the same every time.
//!
//! ```text
//! noise   hashes of (seed, purpose, counter) instead of a generator with state
//! names   what a name is like          shape   the U of the day
//! bursts  when volume goes up          model   levels from day to day
//! day     the minutes of one day       parts   a minute in bars of seconds
//! ```
//!
//! A bar is a function of seed, symbol, start, cadence and calendar alone, so a run that is interrupted and
//! resumed makes exactly the bars of one that was not. At a cadence below a minute, the bars of a minute
//! together say what its bar says at the cadence of a minute. Nothing here is a forecast or a record of any
//! market.

mod bursts;
mod day;
mod model;
mod names;
mod noise;
mod parts;
mod shape;
mod stream;

use crate::{FeedError, FeedErrorKind, ReplaySource, TimedBatch};
use async_trait::async_trait;
use day::Day;
use jiff::Timestamp;
use model::Model;
use qqq_core::market::calendar::Session;
use qqq_core::statistics::profile::Profile;
use qqq_core::{Bar, Cadence, Calendar, FeedInfo, FeedLabel, FeedMode, Second, Symbol, Watchlist};
use std::collections::HashMap;
use std::iter::Peekable;
use std::ops::Range;
use std::time::Duration;
use std::vec::IntoIter;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// A new run starts so many minutes after the open: the trailing hour is full and the morning rush over.
const START_AFTER_OPEN: i32 = 120;
/// To have a burst soon, a new run may start so much earlier, or else a little later: together with the next
/// constant, a round of the bursts' timetable.
const START_EARLIER: i32 = 60;
const START_LATER: i32 = 10;
/// A new run has a burst of one of its first three names so many minutes after its start.
const FIRST_BURST: Range<i32> = 20..41;
/// The sessions that a new market comes with have so many bars at the most, where they are more than one.
const HISTORY_BARS: usize = 100_000;
/// Most bars in one batch of the history: a long watchlist gets its history in several.
const MAX_TICK_BARS: usize = 100_000;

/// How to simulate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimConfig {
    /// Another seed is another market.
    pub seed: u64,
    /// Simulated seconds per real second, 1 to [`SimConfig::MAX_SPEED`]; at a cadence below a minute, to so
    /// many times as fewer.
    pub speed: u32,
    /// Where to start in simulated time. Without it: in the latest session, about two hours after its open.
    pub start: Option<Timestamp>,
    /// How many sessions before its own a new market comes with, 1 to [`SimConfig::MAX_SESSIONS`]. A long
    /// watchlist gets fewer.
    pub sessions: u8,
}

impl SimConfig {
    /// A minute bar every millisecond.
    pub const MAX_SPEED: u32 = 60_000;

    /// Bars every millisecond.
    fn max_speed(cadence: Cadence) -> u32 {
        Self::MAX_SPEED / 60 * cadence.seconds() as u32
    }

    /// As many as say what is usual, and one more for the close before them.
    pub const MAX_SESSIONS: u8 = Profile::SESSIONS as u8 + 1;
}

impl Default for SimConfig {
    fn default() -> Self {
        Self { seed: 1, speed: 60, start: None, sessions: Self::MAX_SESSIONS }
    }
}

/// The simulated market as a replay source. Its first batch is the history: everything from the beginning of
/// the session that was on 24 hours before, and of a market that starts anew some weeks more. Then bars come
/// every `cadence / speed` seconds; closed hours take no time.
#[derive(Debug)]
pub struct Sim {
    info: FeedInfo,
    model: Model,
    calendar: Calendar,
    day: Day,
    /// The start of the bars to be made next.
    next: Option<Second>,
    /// The bars of the minute that is under way and are still to come, oldest first.
    minute: Peekable<IntoIter<Bar>>,
    /// The last start of the history.
    history_end: Second,
    /// Before this only bars of symbols that lag behind are made.
    in_step_from: Second,
    /// Symbols that lag behind, and from where on.
    behind: HashMap<Symbol, Second>,
    sessions: u8,
    period: Duration,
    pace: Option<Interval>,
}

impl Sim {
    /// Makes a market that starts anew, or goes on after `resume_after`, the newest start already known.
    ///
    /// One more than 24 hours before `now` is not resumed, but nothing before it is played as new
    /// either. A configured start decides instead of `now` where there is one.
    pub fn new(
        config: SimConfig,
        watchlist: &Watchlist,
        calendar: &Calendar,
        now: Timestamp,
        resume_after: Option<Second>,
    ) -> Result<Self, FeedError> {
        let refused = |what: String| FeedError::new(FeedErrorKind::BadRequest, what);
        if !(1..=SimConfig::MAX_SESSIONS).contains(&config.sessions) {
            return Err(refused(format!(
                "the simulator's sessions are {}; they must be 1 to {}",
                config.sessions,
                SimConfig::MAX_SESSIONS
            )));
        }
        let cadence = calendar.cadence();
        let fastest = SimConfig::max_speed(cadence);
        if !(1..=fastest).contains(&config.speed) {
            let at = if cadence == Cadence::Sixty { String::new() } else { format!(" at bars of {cadence}") };
            return Err(refused(format!(
                "the simulator's speed is {}; it must be 1 to {fastest}{at}",
                config.speed
            )));
        }
        let label = FeedLabel::new(FeedLabel::SIMULATED).map_err(|error| refused(error.to_string()))?;
        let model = Model::new(config.seed, watchlist, calendar.market(), label);
        let now = Second::minute_of(now);
        let closed =
            || refused("the market calendar has no session within three weeks to simulate".to_owned());

        let start = match config.start {
            Some(start) => Second::minute_of(start),
            None => fresh_start(&model, calendar, now).ok_or_else(closed)?,
        };
        let is_recent =
            |known: &Second| config.start.is_none() && *known >= now.plus_minutes(-Second::MINUTES_PER_DAY);
        let last = resume_after
            .filter(|known| *known >= start || is_recent(known))
            .unwrap_or(start.plus_seconds(-cadence.seconds()));

        let newest = calendar.tracked_until(last).ok_or_else(closed)?;
        let history_end = newest.end.plus_seconds(-cadence.seconds()).min(last);
        let day_before =
            calendar.tracked_until(last.plus_minutes(-Second::MINUTES_PER_DAY)).ok_or_else(closed)?.start;
        let first = match resume_after {
            Some(_) => day_before,
            None => earliest(calendar, last, model.names.len(), config.sessions)
                .map_or(day_before, |one| one.min(day_before)),
        };
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
            minute: Vec::new().into_iter().peekable(),
            history_end,
            in_step_from: first,
            behind: HashMap::new(),
            sessions: config.sessions,
            period: Duration::from_secs(cadence.seconds().unsigned_abs()) / config.speed,
            pace: None,
        })
    }

    /// Begins a market that goes on with what was missed by symbols that came to it later than others, or
    /// come back: `known` says of each where the bars end that are known. Those of which nothing is known get
    /// as many sessions as a new market has.
    #[must_use]
    pub fn caught_up(mut self, known: &HashMap<Symbol, Second>) -> Self {
        let symbols = || self.model.names.iter().map(|name| name.symbol);
        let new = symbols().filter(|symbol| !known.contains_key(symbol)).count();
        let begin =
            earliest(&self.calendar, self.history_end, new, self.sessions).unwrap_or(self.in_step_from);
        let from = |symbol| known.get(&symbol).map_or(begin, |known| known.plus_seconds(1).max(begin));
        self.behind = symbols()
            .map(|symbol| (symbol, from(symbol)))
            .filter(|(_, from)| *from < self.in_step_from)
            .collect();
        let first = self.behind.values().min().and_then(|first| self.calendar.tracked_from(*first));
        let first = first.map(|stretch| (stretch.start, self.calendar.date_of(stretch.start)));
        if let Some((start, session)) =
            first.and_then(|(start, day)| Some((start, self.calendar.session_on(day)?)))
        {
            self.next = Some(start);
            self.day = Day::begin(&self.model, &session);
        }
        self
    }

    /// Makes the bars that start next.
    fn advance(&mut self) -> Option<(Second, Vec<Bar>)> {
        let start = self.next?;
        // A stretch that counts begins with a minute: with its first bar, all of its bars are made.
        if Cadence::Sixty.starts(start) {
            self.minute = self.of_minute(start)?.into_iter().peekable();
        }
        let mut bars: Vec<Bar> =
            std::iter::from_fn(|| self.minute.next_if(|bar| bar.start == start)).collect();
        if start < self.in_step_from {
            bars.retain(|bar| self.behind.get(&bar.symbol).is_some_and(|from| start >= *from));
        }
        let after = self.calendar.cadence().after(start);
        self.next = self.calendar.tracked_from(after).map(|stretch| stretch.start.max(after));
        Some((start, bars))
    }

    fn of_minute(&mut self, minute: Second) -> Option<Vec<Bar>> {
        if !self.day.has_ahead(minute) {
            let session = self.calendar.session_on(self.calendar.date_of(minute))?;
            self.day = Day::begin(&self.model, &session);
        }
        let bars = self.day.walk_to(&self.model, minute);
        let cadence = self.calendar.cadence();
        if cadence == Cadence::Sixty {
            return Some(bars);
        }
        // Both are in the order of the watchlist; some names did not trade.
        let mut traded = bars.into_iter().peekable();
        let mut parts = Vec::new();
        for name in &self.model.names {
            if let Some(bar) = traded.next_if(|bar| bar.symbol == name.symbol) {
                parts.extend(parts::of(&bar, cadence, name.noise(stream::PARTS)));
            }
        }
        parts.sort_by_key(|bar: &Bar| bar.start);
        Some(parts)
    }

    /// What is left of the history, as much as fits into one batch.
    fn history(&mut self) -> Option<TimedBatch> {
        let mut bars = Vec::new();
        while self.next.is_some_and(|next| next <= self.history_end) && bars.len() < MAX_TICK_BARS {
            let Some((_, more)) = self.advance() else { break };
            bars.extend(more);
        }
        (!bars.is_empty()).then(|| TimedBatch {
            bars,
            rejects: Vec::new(),
            clock: self.calendar.cadence().end(self.history_end),
        })
    }
}

#[async_trait]
impl ReplaySource for Sim {
    fn info(&self) -> &FeedInfo {
        &self.info
    }

    async fn next(&mut self) -> Result<Option<TimedBatch>, FeedError> {
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
        let cadence = self.calendar.cadence();
        Ok(self.advance().map(|(start, bars)| TimedBatch {
            bars,
            rejects: Vec::new(),
            clock: cadence.end(start),
        }))
    }
}

/// The first minute of the history of so many names, `sessions` sessions before that of its last one.
fn earliest(calendar: &Calendar, last: Second, names: usize, sessions: u8) -> Option<Second> {
    let today = calendar.tracked_until(last)?;
    let bars = (today.end.seconds_since(today.start) / calendar.cadence().seconds()).max(1) as usize;
    let sessions = usize::from(sessions).min(HISTORY_BARS / (bars * names.max(1))).max(1);
    let first = calendar.trading_days_before(calendar.date_of(today.start)).take(sessions).last()?;
    Some(calendar.tracked_on(first)?.start)
}

/// The minute a new run begins with: about two hours into the session of today or the latest before (`now`
/// itself where the market never closes), at a minute that has a burst to show soon.
fn fresh_start(model: &Model, calendar: &Calendar, now: Second) -> Option<Second> {
    let usual = if model.never_closes() {
        now
    } else {
        let end_of_today = calendar.midnight(calendar.date_of(now).tomorrow().ok()?).plus_minutes(-1);
        let stretch = calendar.tracked_until(end_of_today)?;
        calendar.session_on(calendar.date_of(stretch.start))?.open.plus_minutes(START_AFTER_OPEN)
    };
    let starts = burst_starts(model, calendar, usual);
    let shows_one =
        |start: &Second| starts.iter().any(|burst| FIRST_BURST.contains(&burst.minutes_since(*start)));
    let shifts = (0..=START_EARLIER).map(|earlier| -earlier).chain(1..=START_LATER);
    shifts.map(|shift| usual.plus_minutes(shift)).find(shows_one).or(Some(usual))
}

/// When the first three names have bursts, on the day of `minute` and the next.
fn burst_starts(model: &Model, calendar: &Calendar, minute: Second) -> Vec<Second> {
    let today = calendar.date_of(minute);
    let sessions = [Some(today), today.tomorrow().ok()].into_iter().flatten();
    let sessions: Vec<Session> = sessions.filter_map(|day| calendar.session_on(day)).collect();
    let names = model.names.iter().take(3);
    names
        .flat_map(|name| sessions.iter().map(move |session| (name, session)))
        .flat_map(|(name, session)| {
            model.bursts(name, session).into_iter().map(|burst| session.open.plus_minutes(burst.start))
        })
        .collect()
}
