//! How large settings may be.

use super::definition::{MILLION, Rule};
use super::spike::SpikeRule;
use std::ops::RangeInclusive;

/// Ratios, in millionths: more than the baseline itself.
pub(super) const RATIO: RangeInclusive<i64> = MILLION + 1..=1_000 * MILLION;
/// Deviations and percentages, in millionths.
pub(super) const DISTANCE: RangeInclusive<i64> = 1..=1_000 * MILLION;
/// Trailing windows, in minutes.
pub(super) const WINDOW: RangeInclusive<u16> = 1..=SpikeRule::MAX_WINDOW;
/// Bars in a window: as many as come in the longest one, at one a second.
pub(super) const MOST_BARS: u16 = SpikeRule::MAX_WINDOW * 60;
/// Minutes that a move is measured over.
pub(super) const MOVE: RangeInclusive<u16> = 1..=Rule::MAX_MOVE;
/// Sessions back.
pub(super) const SESSIONS: RangeInclusive<u16> = 1..=Rule::MAX_SESSIONS as u16;
/// Cool-downs, in seconds.
pub(super) const COOLDOWN: RangeInclusive<u32> = 0..=SpikeRule::MAX_COOLDOWN_SECONDS;
