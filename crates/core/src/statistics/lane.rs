//! One lane of the windows: the last 24 hours and the trailing windows of values that come together.
//!
//! Values are integers, so sums and sums of squares are exact: nothing drifts, nothing cancels, and a
//! correction is a subtraction and an addition. The state after a set of bars is a function of that set,
//! whatever the order, the repeats and the revisions they came in.
//!
//! Bars arrive one time after the other across all symbols, so the cells lie by time, not by symbol: a row
//! holds the values of every symbol's bar that start together, and their batch touches three contiguous rows
//! (now, an hour ago, a day ago). The row of a time is also the row of the same time a day earlier, which
//! leaves as it enters. Rows of hours without bars are never written, so the system gives no memory for them.

use super::sums::Number;
use crate::Figures;
use crate::market::cadence::Cadence;
use crate::market::time::Second;
use std::ops::Range;

/// Seconds in the long window: `t - 24 h < start <= t`.
pub(super) const DAY: i64 = Second::PER_DAY;

/// Minutes in the trailing window of the statistics: `t - 60 min <= start < t`.
pub const TRAILING: u16 = 60;

/// Before every bar.
const NEVER: i64 = i64::MIN / 2;

/// How a bar's values met a lane that knew its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Met<T> {
    /// The bar is newer than every bar before it.
    New,
    /// There was nothing at its time before.
    Late,
    /// There was this at its time.
    Revised(T),
    /// There was the same at its time.
    Unchanged,
    /// It is a day or more older than the newest bar: outside every window.
    TooOld,
}

/// Number and sums of what is in a trailing window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Trailing<const N: usize> {
    count: u32,
    sums: [i128; N],
}

impl<const N: usize> Trailing<N> {
    const EMPTY: Self = Self { count: 0, sums: [0; N] };

    #[inline]
    fn add<V: Number>(&mut self, cell: [V; N]) {
        self.count += 1;
        for (sum, value) in self.sums.iter_mut().zip(cell) {
            *sum += value.wide();
        }
    }

    /// Sum and number of one value, of which so much more is kept.
    #[inline(always)]
    fn of(&self, value: usize, shift: u8) -> (i128, u32) {
        (self.sums[value] - i128::from(self.count) * i128::from(shift), self.count)
    }

    #[inline]
    fn remove<V: Number>(&mut self, cell: [V; N]) {
        self.count -= 1;
        for (sum, value) in self.sums.iter_mut().zip(cell) {
            *sum -= value.wide();
        }
    }
}

/// Sums over the day of one value of one symbol.
#[derive(Clone, Copy, Debug, PartialEq)]
struct DaySums<V: Number> {
    /// Of the squared changes between consecutive values.
    squares: V::Square,
    /// Of the values as kept.
    values: i128,
}

/// The state of one symbol beside its cells. Times are seconds since 1970, like all in here.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Track<V: Number, const N: usize> {
    day: [DaySums<V>; N],
    /// The oldest and the newest cell of the day that is no gap.
    first: [V; N],
    last: [V; N],
    trailing: Trailing<N>,
    /// The newest bar, whether or not this lane has something of it.
    newest: i64,
    /// When `first` is of.
    oldest: i64,
    /// Where these two lie: to divide for each bar would take much of the time.
    newest_row: u32,
    oldest_row: u32,
    /// Cells of the day that are no gaps. With 0, neither `first` nor `last` nor `oldest` has a meaning.
    count: u32,
    /// Whether `last` is the newest bar's.
    is_newest_known: bool,
}

impl<V: Number, const N: usize> Track<V, N> {
    const EMPTY: Self = Self {
        day: [DaySums { squares: V::NO_SQUARE, values: 0 }; N],
        first: [V::ZERO; N],
        last: [V::ZERO; N],
        trailing: Trailing::EMPTY,
        newest: NEVER,
        oldest: NEVER,
        newest_row: 0,
        oldest_row: 0,
        count: 0,
        is_newest_known: false,
    };
}

/// A trailing window of another length than the statistics', for rules that want one.
#[derive(Clone, Debug, PartialEq)]
struct Span<const N: usize> {
    length: Length,
    trailing: Vec<Trailing<N>>,
}

/// How long a trailing window is.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Length {
    seconds: i64,
    rows: u32,
}

impl Length {
    const fn new(minutes: u16, step: i64) -> Self {
        let seconds = seconds(minutes);
        Self { seconds, rows: (seconds / step) as u32 }
    }
}

/// `N` values of each bar of a fixed number of symbols, known by dense ids from 0.
///
/// A cell of zeros says that there is nothing of a bar. So what is kept of a value is `SHIFT` more than the
/// value: 1 where all of a cell may be 0, and 0 in a lane whose first value never is.
///
/// Two are equal when they hold the same values, whatever the way these came in: no trace of it is kept.
#[derive(Clone, PartialEq)]
pub(super) struct Lane<V: Number, const N: usize, const SHIFT: u8> {
    symbols: usize,
    /// How long a bar is, seconds, and `2^32` over that, rounded up: to divide by it.
    step: i64,
    reciprocal: u64,
    hour: Length,
    /// A row of one cell per symbol for each bar of a day.
    cells: Vec<[V; N]>,
    /// Cells of each row that are no gaps: lets the search for a neighbour skip closed hours without touching
    /// the row.
    occupied: Vec<u32>,
    tracks: Vec<Track<V, N>>,
    spans: Vec<Span<N>>,
}

impl<V: Number, const N: usize, const SHIFT: u8> Lane<V, N, SHIFT> {
    const GAP: [V; N] = [V::ZERO; N];

    /// Whether every bar has something in this lane.
    const ALWAYS: bool = SHIFT == 0;

    /// Makes an empty lane. `further` are trailing windows beside the statistics' hour, in minutes.
    pub(super) fn new(symbols: usize, cadence: Cadence, further: &[u16]) -> Self {
        let mut lengths: Vec<u16> = further.iter().copied().filter(|&minutes| minutes != TRAILING).collect();
        lengths.sort_unstable();
        lengths.dedup();
        let step = cadence.seconds();
        let rows = (DAY / step) as usize;
        Self {
            symbols,
            step,
            reciprocal: (1_u64 << 32).div_ceil(step as u64),
            hour: Length::new(TRAILING, step),
            cells: vec![Self::GAP; symbols * rows],
            occupied: vec![0; rows],
            tracks: vec![Track::EMPTY; symbols],
            spans: lengths
                .into_iter()
                .map(|minutes| Span {
                    length: Length::new(minutes, step),
                    trailing: vec![Trailing::EMPTY; symbols],
                })
                .collect(),
        }
    }

    /// Lets a bar's values in, or that it has none, wherever in time it belongs. O(1), but for gaps.
    #[inline(always)]
    pub(super) fn insert(&mut self, symbol: usize, at: i64, values: Option<[V; N]>) -> Met<Option<[V; N]>> {
        debug_assert_eq!(at.rem_euclid(self.step), 0, "no bar starts at {at}");
        let mut cell = Self::GAP;
        if let Some(values) = values {
            cell = values;
            for value in &mut cell {
                *value = *value + V::from(SHIFT);
            }
        }
        let newest = self.tracks[symbol].newest;
        if at >= newest + DAY {
            self.restart(symbol, at, cell);
            Met::New
        } else if at > newest {
            self.advance(symbol, at, cell);
            Met::New
        } else {
            self.amend(symbol, at, cell)
        }
    }

    /// The start of the newest bar.
    #[inline]
    pub(super) fn newest(&self, symbol: usize) -> Option<i64> {
        let newest = self.tracks[symbol].newest;
        (newest != NEVER).then_some(newest)
    }

    /// The values of the newest bar.
    #[inline]
    pub(super) fn last(&self, symbol: usize) -> Option<[V; N]> {
        let track = &self.tracks[symbol];
        track.is_newest_known.then(|| Self::values_of(track.last))
    }

    /// The values of the bar of a time in the window.
    pub(super) fn values(&self, symbol: usize, at: i64) -> Option<[V; N]> {
        let track = &self.tracks[symbol];
        let is_inside = track.count > 0 && (track.oldest..=track.newest).contains(&at);
        let cell = if is_inside { self.cell(symbol, at) } else { Self::GAP };
        (cell != Self::GAP).then(|| Self::values_of(cell))
    }

    /// Sum and number of one of the values in the trailing window before `at`. `None` where it reaches back
    /// further than a day before the newest bar, so that its content is not known.
    #[inline(always)]
    pub(super) fn trailing(&self, symbol: usize, at: i64, minutes: u16, value: usize) -> Option<(i128, u32)> {
        let track = &self.tracks[symbol];
        if at == track.newest && minutes == TRAILING {
            Some(track.trailing.of(value, SHIFT))
        } else {
            self.other_trailing(symbol, at, minutes, value)
        }
    }

    /// The same of a window that is not the statistics' own of the newest bar.
    #[inline(never)]
    fn other_trailing(&self, symbol: usize, at: i64, minutes: u16, value: usize) -> Option<(i128, u32)> {
        let span = self.spans.iter().find(|span| span.length.seconds == seconds(minutes));
        if let Some(span) = span.filter(|_| at == self.tracks[symbol].newest) {
            return Some(span.trailing[symbol].of(value, SHIFT));
        }
        let from = at - seconds(minutes);
        self.knows(symbol, from).then(|| {
            let mut trailing = Trailing::EMPTY;
            for (_, cell) in self.cells_in(symbol, from..at) {
                trailing.add(cell);
            }
            trailing.of(value, SHIFT)
        })
    }

    /// The values of a range of time, oldest first.
    pub(super) fn values_in(
        &self,
        symbol: usize,
        range: Range<i64>,
    ) -> impl DoubleEndedIterator<Item = (i64, [V; N])> {
        self.cells_in(symbol, range).map(|(at, cell)| (at, Self::values_of(cell)))
    }

    /// Whether everything since `from` is in the window.
    pub(super) fn knows(&self, symbol: usize, from: i64) -> bool {
        let newest = self.tracks[symbol].newest;
        newest == NEVER || from > newest - DAY
    }

    /// The figures of contract section 2 of one value at the newest bar, in units of `unit`; all absent
    /// without one. Rounds the exact sums to doubles: with `n` changes that sum to `S` (the telescoped
    /// `last - first`) and whose squares sum to `Q`, the sample variance is `(n Q - S^2) / (n (n - 1))`; its
    /// numerator is exact.
    #[inline(always)]
    pub(super) fn figures(&self, symbol: usize, value: usize, unit: i64) -> Figures {
        let track = &self.tracks[symbol];
        if track.count == 0 {
            return Figures::default();
        }
        let unit = unit as f64;
        let day = &track.day[value];
        let changes = track.count - 1;
        let deviation = (changes >= 2).then(|| {
            let telescoped = track.last[value].square_of_change(track.first[value]);
            let numerator = V::scatter(changes, day.squares, telescoped);
            (numerator / (f64::from(changes) * f64::from(changes - 1))).sqrt()
        });
        let values = day.values - i128::from(track.count) * i128::from(SHIFT);
        let (sum, bars) = track.trailing.of(value, SHIFT);
        let (sum_f64, bars_f64) = (to_f64(sum), f64::from(bars));
        Figures {
            stdev: deviation.map(|deviation| deviation / unit),
            relative_stdev: deviation
                .filter(|_| values > 0)
                .map(|deviation| deviation * f64::from(track.count) / to_f64(values)),
            trailing_average: (bars > 0).then(|| sum_f64 / (bars_f64 * unit)),
            ratio: (bars > 0 && sum > 0 && track.is_newest_known)
                .then(|| to_f64(track.last[value].wide() - i128::from(SHIFT)) * bars_f64 / sum_f64),
            window_bars: bars,
        }
    }

    /// Forgets everything about a symbol.
    pub(super) fn clear(&mut self, symbol: usize) {
        let track = self.tracks[symbol];
        if track.count > 0 {
            for at in (track.oldest..=track.newest).step_by(self.step as usize) {
                self.take(symbol, at);
            }
        }
        self.tracks[symbol] = Track::EMPTY;
        for span in &mut self.spans {
            span.trailing[symbol] = Trailing::EMPTY;
        }
    }

    /// The first bar, or one so much newer that nothing before it counts any more.
    fn restart(&mut self, symbol: usize, at: i64, cell: [V; N]) {
        self.clear(symbol);
        let row = self.row(at) as u32;
        let track = &mut self.tracks[symbol];
        (track.newest, track.newest_row) = (at, row);
        if cell != Self::GAP {
            track.begin(cell, at, row);
            self.put(symbol, at, cell);
        }
    }

    /// A bar newer than the newest, by less than a day.
    #[inline]
    fn advance(&mut self, symbol: usize, at: i64, cell: [V; N]) {
        let Self { symbols, step, reciprocal, hour, cells, occupied, tracks, spans } = self;
        let step = *step;
        let track = &mut tracks[symbol];
        let place = |row: u32| row as usize * *symbols + symbol;
        let rows = occupied.len() as u32;
        let after = |row: u32| if row + 1 < rows { row + 1 } else { 0 };
        let gap = at - track.newest;
        let here = if gap == step { after(track.newest_row) } else { row(at, *reciprocal) as u32 };

        // The trailing windows move up: the former newest enters, the first bars leave.
        let slide = |trailing: &mut Trailing<N>, length: Length| {
            if gap > length.seconds {
                *trailing = Trailing::EMPTY;
                return;
            }
            if Self::ALWAYS || track.is_newest_known {
                trailing.add(track.last);
            }
            let mut leaving = track.newest - length.seconds;
            let mut row = track.newest_row + rows - length.rows;
            row -= if row < rows { 0 } else { rows };
            while leaving < at - length.seconds {
                if leaving >= track.oldest && occupied[row as usize] > 0 {
                    let cell = cells[place(row)];
                    if cell != Self::GAP {
                        trailing.remove(cell);
                    }
                }
                leaving += step;
                row = after(row);
            }
        };
        slide(&mut track.trailing, *hour);
        for span in spans {
            slide(&mut span.trailing[symbol], span.length);
        }

        // What is a day old leaves. Where every bar has something the newest stays, so there is a next one.
        while (Self::ALWAYS || track.count > 0) && track.oldest <= at - DAY {
            let leaving = track.oldest_row;
            occupied[leaving as usize] -= 1;
            cells[place(leaving)] = Self::GAP;
            if !Self::ALWAYS && track.count == 1 {
                track.end();
                break;
            }
            let (mut next, mut row) = (track.oldest + step, after(leaving));
            while occupied[row as usize] == 0 || cells[place(row)] == Self::GAP {
                next += step;
                row = after(row);
            }
            let cell = cells[place(row)];
            for (sums, (first, second)) in track.day.iter_mut().zip(track.first.into_iter().zip(cell)) {
                sums.values -= first.wide();
                sums.squares -= first.square_of_change(second);
            }
            track.count -= 1;
            (track.oldest, track.oldest_row) = (next, row);
            track.first = cell;
        }

        (track.newest, track.newest_row) = (at, here);
        if !Self::ALWAYS && cell == Self::GAP {
            track.is_newest_known = false;
            return;
        }
        if !Self::ALWAYS && track.count == 0 {
            track.begin(cell, at, here);
        } else {
            for (sums, (last, value)) in track.day.iter_mut().zip(track.last.into_iter().zip(cell)) {
                sums.values += value.wide();
                sums.squares += last.square_of_change(value);
            }
            track.count += 1;
            track.last = cell;
            track.is_newest_known = true;
        }
        occupied[here as usize] += 1;
        cells[place(here)] = cell;
    }

    /// A bar of the newest time or an earlier one.
    fn amend(&mut self, symbol: usize, at: i64, cell: [V; N]) -> Met<Option<[V; N]>> {
        let mut track = self.tracks[symbol];
        if at <= track.newest - DAY {
            return Met::TooOld;
        }
        let is_before = track.count == 0 || at < track.oldest;
        let known = if is_before { Self::GAP } else { self.cell(symbol, at) };
        if known == cell {
            return Met::Unchanged;
        }
        let before = self.cells_in(symbol, NEVER..at).next_back();
        let after = self.cells_in(symbol, at + 1..i64::MAX).next();
        for value in 0..N {
            let sums = &mut track.day[value];
            let gap = |one: Option<[V; N]>, two: Option<[V; N]>| match (one, two) {
                (Some(one), Some(two)) => one[value].square_of_change(two[value]),
                _ => V::NO_SQUARE,
            };
            let (before, after) = (before.map(|(_, cell)| cell), after.map(|(_, cell)| cell));
            // What stands between the neighbours.
            let between = |cell: [V; N]| match cell {
                cell if cell == Self::GAP => gap(before, after),
                cell => gap(before, Some(cell)) + gap(Some(cell), after),
            };
            sums.squares = sums.squares + between(cell) - between(known);
            sums.values += cell[value].wide() - known[value].wide();
        }
        track.count += u32::from(known == Self::GAP);
        track.count -= u32::from(cell == Self::GAP);
        let here = (cell != Self::GAP).then_some((at, cell));
        if let Some((at, first)) = before.map_or(here.or(after), |_| None) {
            (track.oldest, track.oldest_row, track.first) = (at, self.row(at) as u32, first);
        }
        if let Some((_, last)) = after.map_or(here.or(before), |_| None) {
            track.last = last;
        }
        if at == track.newest {
            track.is_newest_known = here.is_some();
        }
        if track.count == 0 {
            track.end();
        }
        let newest = track.newest;
        let replace = |trailing: &mut Trailing<N>, length: i64| {
            if (newest - length..newest).contains(&at) {
                if known != Self::GAP {
                    trailing.remove(known);
                }
                if cell != Self::GAP {
                    trailing.add(cell);
                }
            }
        };
        replace(&mut track.trailing, self.hour.seconds);
        for span in &mut self.spans {
            replace(&mut span.trailing[symbol], span.length.seconds);
        }
        self.tracks[symbol] = track;
        if cell == Self::GAP {
            self.take(symbol, at);
        } else {
            self.put(symbol, at, cell);
        }
        if known == Self::GAP { Met::Late } else { Met::Revised(Some(Self::values_of(known))) }
    }

    /// The cells of a range of time that are no gaps, oldest first.
    #[inline]
    fn cells_in(&self, symbol: usize, range: Range<i64>) -> impl DoubleEndedIterator<Item = (i64, [V; N])> {
        let track = &self.tracks[symbol];
        let known = if track.count > 0 { track.oldest..track.newest + 1 } else { 0..0 };
        let range = range.start.max(known.start)..range.end.min(known.end);
        let step = self.step;
        // From the first bar that may start in it.
        let from = range.start + (-range.start).rem_euclid(step);
        let count = (range.end - from + step - 1).max(0) / step;
        // Rows follow each other; to divide for each would take most of the time.
        let first = self.row(from);
        let rows = self.occupied.len();
        (0..count).filter_map(move |index| {
            let at = first + index as usize;
            let at = if at < rows { at } else { at - rows };
            let cell = if self.occupied[at] > 0 { self.cells[at * self.symbols + symbol] } else { Self::GAP };
            (cell != Self::GAP).then_some((from + index * step, cell))
        })
    }

    #[inline]
    fn values_of(mut cell: [V; N]) -> [V; N] {
        for value in &mut cell {
            *value = *value - V::from(SHIFT);
        }
        cell
    }

    fn row(&self, at: i64) -> usize {
        row(at, self.reciprocal)
    }

    fn cell(&self, symbol: usize, at: i64) -> [V; N] {
        self.cells[self.row(at) * self.symbols + symbol]
    }

    fn put(&mut self, symbol: usize, at: i64, cell: [V; N]) {
        let row = self.row(at);
        let place = &mut self.cells[row * self.symbols + symbol];
        self.occupied[row] += u32::from(*place == Self::GAP);
        *place = cell;
    }

    fn take(&mut self, symbol: usize, at: i64) {
        let row = self.row(at);
        // What is not written to needs no memory.
        if self.occupied[row] == 0 {
            return;
        }
        let place = &mut self.cells[row * self.symbols + symbol];
        self.occupied[row] -= u32::from(*place != Self::GAP);
        *place = Self::GAP;
    }
}

impl<V: Number, const N: usize> Track<V, N> {
    /// Takes in the only cell of the day, which is the newest bar's.
    fn begin(&mut self, cell: [V; N], at: i64, row: u32) {
        self.day = cell.map(|value| DaySums { squares: V::NO_SQUARE, values: value.wide() });
        (self.first, self.last) = (cell, cell);
        (self.oldest, self.oldest_row) = (at, row);
        self.count = 1;
        self.is_newest_known = true;
    }

    /// Leaves no cell of the day.
    fn end(&mut self) {
        let Self { trailing, newest, newest_row, .. } = *self;
        *self = Self { trailing, newest, newest_row, ..Self::EMPTY };
    }
}

const fn seconds(minutes: u16) -> i64 {
    minutes as i64 * 60
}

/// The row of a time: its place in its day over the length of a bar, which divides the day. `reciprocal` is
/// `2^32` over that length, rounded up by less than the length; a day's 86,400 times that are less than
/// `2^32`, so the quotient is exact.
#[inline]
fn row(at: i64, reciprocal: u64) -> usize {
    ((at.rem_euclid(DAY) as u64 * reciprocal) >> 32) as usize
}

/// The nearest double of a sum, which is 0 or more. The general conversion is a library call; nearly all sums
/// fit the short one.
#[inline]
fn to_f64(value: i128) -> f64 {
    super::sums::to_f64(value as u128)
}
