//! How unusual a symbol is right now: its day's move by its own usual range at this time of day, its volume
//! so far against the same time of earlier sessions, and its newest bar's volume against its hour.
//!
//! The three become one score by being put on one scale: a move of one usual range, the usual volume, and a
//! bar as large as its hour's average all count as 1; a volume twice as large counts as 2, four times as
//! large as 3.

use crate::Price;
use crate::statistics::profile::{Profile, Usual, relative_move};

/// The score and what it is made of. `None` where a definition has no value.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Unusual {
    /// The largest of `|sigma|`, `log2(relative_volume) + 1` and `log2(minute) + 1`.
    pub score: Option<f64>,
    /// The move from the previous regular close over the root mean square of the moves that earlier sessions
    /// had made by the same time.
    pub sigma: Option<f64>,
    /// The move itself, per cent.
    pub percent: Option<f64>,
    /// Sessions the range is of.
    pub move_sessions: u8,
    /// The volume so far over the median that earlier sessions had traded by the same time.
    pub relative_volume: Option<f64>,
    /// Sessions the median is of.
    pub volume_sessions: u8,
    /// The newest bar's volume over the average of its trailing window.
    pub minute: Option<f64>,
}

/// What is known of a symbol at its newest bar.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// What is usual by the end of that bar.
    pub usual: Option<Usual>,
    /// The newest close.
    pub close: Option<Price>,
    /// The last regular close of the trading day before.
    pub previous_close: Option<Price>,
    /// Shares of the phase so far, where they all came from one feed.
    pub volume: Option<i64>,
    /// The newest bar's volume over the average of its trailing window.
    pub minute: Option<f64>,
}

impl Unusual {
    /// The score of contract section 7.
    pub fn of(now: Now) -> Self {
        let usual = now.usual.unwrap_or_default();
        let moved = now.close.zip(now.previous_close).map(|(close, before)| relative_move(before, close));
        let has_range = usual.move_sessions >= Profile::ENOUGH && usual.rms_move > 0.0;
        let sigma = moved.filter(|_| has_range).map(|moved| moved / usual.rms_move);
        let has_median = usual.volume_sessions >= Profile::ENOUGH && usual.twice_volume > 0;
        let relative_volume =
            now.volume.filter(|_| has_median).map(|volume| volume as f64 / usual.twice_volume as f64 * 2.0);
        let by_volume =
            |ratio: Option<f64>| ratio.filter(|&ratio| ratio > 0.0).map(|ratio| ratio.log2() + 1.0);
        let score = [sigma.map(f64::abs), by_volume(relative_volume), by_volume(now.minute)]
            .into_iter()
            .flatten()
            .reduce(f64::max);
        Self {
            score,
            sigma,
            percent: moved.map(|moved| moved * 100.0),
            move_sessions: usual.move_sessions,
            relative_volume,
            volume_sessions: usual.volume_sessions,
            minute: now.minute,
        }
    }
}
