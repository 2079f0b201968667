//! Short, copyable labels: the storage behind [`Symbol`](crate::Symbol) and [`FeedLabel`].

use std::fmt;

/// At most `N` bytes of ASCII, held inline so that bars and keys stay `Copy`.
///
/// Zero padding sorts below every allowed byte, so the derived order is the order of the texts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Inline<const N: usize> {
    bytes: [u8; N],
    len: u8,
}

impl<const N: usize> Inline<N> {
    /// Copies `text`, or answers `None` where it is empty, too long or not printable ASCII.
    pub(crate) fn new(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > N || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let mut bytes = [0; N];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Some(Self { bytes, len: text.len() as u8 })
    }

    pub(crate) fn as_str(&self) -> &str {
        // Only `new` fills the bytes, and it takes nothing but ASCII.
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }
}

/// Which feed a bar came from: `iex`, `sip`, `yahoo`, `simulated`, ...
///
/// Volumes of different feeds are not comparable (IEX alone is about 2.5 % of the tape), so the label
/// travels with every bar, statistic and alert, and windows of different labels are never mixed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeedLabel(Inline<16>);

impl FeedLabel {
    /// The label of bars made by the simulator.
    pub const SIMULATED: &'static str = "simulated";

    /// Makes a label of 1 to 16 lower-case letters, digits, `_` or `-`.
    pub fn new(text: &str) -> Result<Self, InvalidFeedLabel> {
        let ok = text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-');
        Inline::new(text).filter(|_| ok).map(Self).ok_or_else(|| InvalidFeedLabel(text.to_owned()))
    }

    /// The label as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether bars of this label were invented by the simulator.
    pub fn is_simulated(&self) -> bool {
        self.as_str() == Self::SIMULATED
    }
}

impl fmt::Display for FeedLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for FeedLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FeedLabel({self})")
    }
}

impl std::str::FromStr for FeedLabel {
    type Err = InvalidFeedLabel;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

/// A text that cannot be a feed label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a feed label: it must be 1 to 16 of a-z, 0-9, `_` and `-`")]
pub struct InvalidFeedLabel(pub String);
