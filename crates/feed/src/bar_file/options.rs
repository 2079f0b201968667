//! How files are to be read where they do not say it themselves.

use super::column::ColumnNames;
use super::time;
use super::units::Units;
use jiff::tz::TimeZone;
use qqq_core::FeedLabel;
use std::str::FromStr;

/// Which feed the bars of a file are said to come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Labels {
    /// This one, whatever the file says.
    All(FeedLabel),
    /// What the file's column `feed` says; this one where it says nothing. Rows that say they are simulated
    /// are rejected: invented bars do not become real ones by being copied.
    Own {
        /// For files without the column, and for empty cells.
        otherwise: FeedLabel,
    },
    /// The same, simulated ones too: for who looks at bars and keeps none.
    Any {
        /// For files without the column, and for empty cells.
        otherwise: FeedLabel,
    },
}

impl Labels {
    /// The label of a row that says none.
    pub fn otherwise(self) -> FeedLabel {
        match self {
            Self::All(label) | Self::Own { otherwise: label } | Self::Any { otherwise: label } => label,
        }
    }
}

impl From<FeedLabel> for Labels {
    fn from(label: FeedLabel) -> Self {
        Self::All(label)
    }
}

/// The zone whose clocks show the times of a file that do not say theirs: `America/New_York`, `UTC`,
/// `-05:00`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileZone(pub(super) TimeZone);

impl FromStr for FileZone {
    type Err = UnknownZone;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        time::zone(text).map(Self).ok_or_else(|| UnknownZone(text.chars().take(40).collect()))
    }
}

/// A text that names no zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a time zone: it must be a name such as America/New_York or UTC, or an offset such as -05:00"
)]
pub struct UnknownZone(pub String);

/// How files are to be read where they do not say it themselves.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// Which feed the bars come from.
    pub labels: Labels,
    /// Whose clock times without a zone are of. Without it, they are refused.
    pub zone: Option<FileZone>,
    /// What columns are called whose names are not known.
    pub columns: ColumnNames,
    /// In which units the prices are. Only for bars of a [watchlist](super::BarFile::tracked_by): a split is
    /// of a company.
    pub units: Units,
}

impl<T: Into<Labels>> From<T> for ReadOptions {
    fn from(labels: T) -> Self {
        Self { labels: labels.into(), zone: None, columns: ColumnNames::default(), units: Units::default() }
    }
}
