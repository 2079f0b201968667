//! Tags of the independent streams of random numbers. Never renumber: a resumed run would go on differently.

/// What moves all names together.
pub(super) const MARKET: u64 = 0;
/// What belongs to one name; its text is folded in.
pub(super) const NAME: u64 = 1;

// By name.
pub(super) const PROFILE: u64 = 2;

// By day.
pub(super) const OVERNIGHT: u64 = 3;
pub(super) const SESSION: u64 = 4;
pub(super) const ACTIVITY: u64 = 5;
pub(super) const BURSTS: u64 = 6;

// By minute.
pub(super) const MOVE: u64 = 7;
pub(super) const OPEN: u64 = 8;
pub(super) const HIGH: u64 = 9;
pub(super) const LOW: u64 = 10;
pub(super) const VOLUME: u64 = 11;
pub(super) const PRESENT: u64 = 12;
pub(super) const TRADES: u64 = 13;
pub(super) const VWAP: u64 = 14;
/// What a minute is made of.
pub(super) const PARTS: u64 = 15;
