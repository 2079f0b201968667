//! The intraday profile: what is usual of a symbol at each minute of a trading day, by the sessions before.
//!
//! Volume and moves have the shape of a U over the day, and a day's move grows with its hours. So a minute is
//! compared with the same minute of earlier sessions, counted from where a day's tracking begins, and with no
//! session in which that minute is of another phase: on a day that closes early, the afternoon is after
//! hours.

use crate::{Cadence, Calendar, Phase, Price, Second, Volume};
use jiff::civil::Date;
use num_traits::SaturatingAdd;
use std::ops::Range;

/// What earlier sessions were like at one minute of the day.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usual {
    /// Root mean square of the moves from the previous regular close, no unit.
    pub rms_move: f64,
    /// How many sessions that is of: those with a close by then, and one on the trading day before.
    pub move_sessions: u8,
    /// Twice the median of the phase's volume so far, shares: twice, so that it is whole.
    pub twice_volume: i64,
    /// How many sessions that is of: those that traded at all in that phase.
    pub volume_sessions: u8,
}

/// What is usual on one trading day, by minute. A function of the set of bars it is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Of the bars it is made of.
    reach: Range<Second>,
    /// The first minute of each stretch of one phase, and the end of the last.
    phases: Vec<(Range<Second>, Phase)>,
    /// By minute from the first that counts.
    minutes: Vec<Usual>,
    /// How often bars come.
    cadence: Cadence,
}

/// One earlier session at each minute of the day.
struct Earlier {
    phases: Vec<(Range<Second>, Phase)>,
    /// Move from the previous regular close, by minute; none before the first bar, or without that close.
    moves: Vec<Option<f64>>,
    /// Volume of the phase so far, by minute; none in a phase without a bar.
    volumes: Vec<Option<i64>>,
}

impl Profile {
    /// How many sessions before its own a day is compared with.
    pub const SESSIONS: usize = 20;
    /// Of fewer nothing is said.
    pub const ENOUGH: u8 = 5;

    /// The minutes whose bars the profile of a date is made of: the sessions before, and one more for the
    /// close that the first of them moved from.
    pub fn reach(calendar: &Calendar, date: Date) -> Range<Second> {
        let first = calendar.trading_days_before(date).take(Self::SESSIONS + 1).last();
        calendar.midnight(first.unwrap_or(date))..calendar.midnight(date)
    }

    /// Makes the profile of a trading day; `None` where that day has no minute that counts. `bars` are the
    /// starts, closes and volumes of one feed within [`reach`](Self::reach), oldest first; those of minutes
    /// that do not count are passed over.
    pub fn new(calendar: &Calendar, date: Date, bars: &[(Second, Price, Volume)]) -> Option<Self> {
        let phases = calendar.phases_on(date)?;
        let days: Vec<Date> = calendar.trading_days_before(date).take(Self::SESSIONS + 1).collect();
        let mut before: Option<Price> = None;
        let mut sessions = Vec::with_capacity(Self::SESSIONS);
        for (at, &day) in days.iter().enumerate().rev() {
            let Some(stretches) = calendar.phases_on(day) else { continue };
            let of_day = within(bars, &whole(&stretches));
            let close = last_regular_close(of_day, &stretches);
            if at < Self::SESSIONS {
                sessions.push(Earlier::new(stretches, of_day, before));
            }
            before = close;
        }
        let first = whole(&phases).start;
        let minutes = phases
            .iter()
            .flat_map(|(stretch, phase)| minutes_of(stretch).map(move |minute| (minute, *phase)))
            .map(|(minute, phase)| usual(&sessions, minute.minutes_since(first) as usize, phase))
            .collect();
        Some(Self { reach: Self::reach(calendar, date), phases, minutes, cadence: calendar.cadence() })
    }

    /// Whether a bar of this minute would be among those that it is made of.
    pub fn rests_on(&self, minute: Second) -> bool {
        self.reach.contains(&minute)
    }

    /// What is usual by the end of a bar of its day; `None` of any other. Within a minute, of its volume as
    /// much as has passed of it.
    pub fn at(&self, start: Second) -> Option<Usual> {
        let begin = whole(&self.phases).start;
        let minute = usize::try_from(start.minutes_since(begin)).ok()?;
        let usual = *self.minutes.get(minute)?;
        let passed = start.seconds_since(begin) % 60 + self.cadence.seconds();
        if passed == 60 {
            return Some(usual);
        }
        let begins =
            self.phases.iter().any(|(stretch, _)| stretch.start.minutes_since(begin) == minute as i32);
        let before = if begins { 0 } else { self.minutes.get(minute.wrapping_sub(1))?.twice_volume };
        let of_minute = i128::from(usual.twice_volume) - i128::from(before);
        // Between the two, so it fits.
        let twice_volume = before + (of_minute * i128::from(passed) / 60) as i64;
        Some(Usual { twice_volume, ..usual })
    }
}

impl Earlier {
    fn new(
        phases: Vec<(Range<Second>, Phase)>,
        bars: &[(Second, Price, Volume)],
        previous_close: Option<Price>,
    ) -> Self {
        let (mut moves, mut volumes) = (Vec::new(), Vec::new());
        let mut close = None;
        for (stretch, _) in &phases {
            let of_stretch = within(bars, stretch);
            let mut rest = of_stretch.iter().peekable();
            let mut volume = (!of_stretch.is_empty()).then_some(0);
            for minute in minutes_of(stretch) {
                while let Some((_, price, traded)) =
                    rest.next_if(|(start, ..)| start.minutes_since(minute) <= 0)
                {
                    close = Some(*price);
                    volume = volume.map(|sum: i64| sum.saturating_add(traded.shares()));
                }
                moves.push(close.zip(previous_close).map(|(close, previous)| relative_move(previous, close)));
                volumes.push(volume);
            }
        }
        Self { phases, moves, volumes }
    }

    /// Whether the minute so many after the first that counts is of `phase`.
    fn is_of(&self, at: usize, phase: Phase) -> bool {
        let minute = whole(&self.phases).start.plus_minutes(at as i32);
        self.phases.iter().any(|(stretch, of)| *of == phase && stretch.contains(&minute))
    }
}

/// `to / from - 1`, rounded once per step: the difference is whole.
pub(super) fn relative_move(from: Price, to: Price) -> f64 {
    (to.nanos() - from.nanos()) as f64 / from.nanos() as f64
}

fn usual(sessions: &[Earlier], at: usize, phase: Phase) -> Usual {
    let same = || sessions.iter().filter(|session| session.is_of(at, phase));
    let (squares, move_sessions) = same()
        .filter_map(|session| session.moves.get(at).copied().flatten())
        .fold((0.0, 0_u8), |(sum, count), one| (sum + one * one, count + 1));
    let mut volumes: Vec<i64> =
        same().filter_map(|session| session.volumes.get(at).copied().flatten()).collect();
    Usual {
        rms_move: if move_sessions == 0 { 0.0 } else { (squares / f64::from(move_sessions)).sqrt() },
        move_sessions,
        twice_volume: twice_median(&mut volumes),
        volume_sessions: volumes.len() as u8,
    }
}

/// Twice the median, so that it is whole; of nothing, 0. Leaves the values in another order.
pub(crate) fn twice_median<T: Copy + Ord + Default + SaturatingAdd>(values: &mut [T]) -> T {
    let middle = values.len() / 2;
    if values.is_empty() {
        return T::default();
    }
    let odd = values.len() % 2 == 1;
    let (below, &mut upper, _) = values.select_nth_unstable(middle);
    let lower = if odd { upper } else { below.iter().copied().max().unwrap_or(upper) };
    lower.saturating_add(&upper)
}

/// From the first minute to the end of the last; the stretches follow each other.
fn whole(phases: &[(Range<Second>, Phase)]) -> Range<Second> {
    match (phases.first(), phases.last()) {
        (Some((first, _)), Some((last, _))) => first.start..last.end,
        _ => Second::MIN..Second::MIN,
    }
}

fn minutes_of(stretch: &Range<Second>) -> impl Iterator<Item = Second> + use<> {
    let start = stretch.start;
    (0..stretch.end.minutes_since(start)).map(move |at| start.plus_minutes(at))
}

fn within<'a>(bars: &'a [(Second, Price, Volume)], stretch: &Range<Second>) -> &'a [(Second, Price, Volume)] {
    let from = bars.partition_point(|(start, ..)| *start < stretch.start);
    let to = bars.partition_point(|(start, ..)| *start < stretch.end);
    &bars[from..to.max(from)]
}

fn last_regular_close(bars: &[(Second, Price, Volume)], phases: &[(Range<Second>, Phase)]) -> Option<Price> {
    let (regular, _) = phases.iter().find(|(_, phase)| *phase == Phase::Regular)?;
    within(bars, regular).last().map(|(_, close, _)| *close)
}
