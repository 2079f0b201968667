//! Positions in the store's history.

/// Position in the store's history. Every commit that changes what readers see has one, and they become
/// visible in order: a reader that has seen `n` has seen everything up to `n`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub i64);
