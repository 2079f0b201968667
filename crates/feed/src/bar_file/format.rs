//! What files of bars look like.

use qqq_core::UnknownWord;
use std::path::Path;
use strum::{Display, EnumString, IntoStaticStr, VariantNames};

/// What a file of bars looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of::<Format>)]
pub enum Format {
    /// Comma-separated text with a header.
    Csv,
    /// The same, gzipped.
    #[strum(serialize = "csv.gz")]
    CsvGz,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Csv, Self::CsvGz, Self::Parquet];

    /// `csv`, `csv.gz` or `parquet`: what names of such files end with.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The format that a file's name promises.
    pub fn of_name(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
        Self::ALL
            .into_iter()
            .find(|format| name.strip_suffix(format.as_str()).is_some_and(|stem| stem.ends_with('.')))
    }
}
