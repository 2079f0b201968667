//! Files of bars, found and read.

use super::csv_read::CsvRows;
use super::foreign;
use super::input::{self, Content, Member};
use super::options::ReadOptions;
use super::parquet_read::ParquetRows;
use super::refusal::Refusal;
use super::row::{RejectedRow, Row, Told, row};
use super::units::Units;
use crate::{FeedError, FeedErrorKind};
use qqq_core::{Calendar, Symbol, Watchlist};
use std::collections::VecDeque;
use std::fmt;
use std::iter::FusedIterator;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The files `path` means: itself, or all files of bars in a folder (by the ending of their names), by name.
///
/// A folder without any is an error; folders inside it and names that begin with a dot are passed over.
pub fn files(path: &Path) -> Result<Vec<PathBuf>, FeedError> {
    let cannot = |error| file_error(&path.display(), format_args!("cannot be read: {error}"));
    if !std::fs::metadata(path).map_err(cannot)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let file = entry.path();
        if !name.starts_with('.') && (is_of_bars(&name) || has_ending(&name, "zip")) && file.is_file() {
            found.push(file);
        }
    }
    if found.is_empty() {
        return Err(file_error(
            &path.display(),
            "the folder holds no *.csv, *.tsv, *.parquet or *.zip file, packed or not",
        ));
    }
    found.sort();
    Ok(found)
}

/// What the files and folders at `paths` hold: each file, and each member of a zip. An `Err` is of one of the
/// files alone.
pub fn sources(paths: &[PathBuf]) -> impl Iterator<Item = Result<Source, FeedError>> {
    let files = paths.iter().flat_map(|path| match files(path) {
        Ok(files) => files.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error)],
    });
    files.flat_map(|file| match file.and_then(|file| Source::all_of(&file)) {
        Ok(sources) => sources.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error)],
    })
}

/// Whether a name promises bars, packed or not.
fn is_of_bars(name: &str) -> bool {
    let packed = ["gz", "zst"].into_iter().find(|ending| has_ending(name, ending));
    let name = packed.map_or(name, |ending| &name[..name.len() - ending.len() - 1]);
    ["csv", "tsv", "parquet"].into_iter().any(|ending| has_ending(name, ending))
}

fn has_ending(name: &str, ending: &str) -> bool {
    let at = name.len().checked_sub(ending.len() + 1);
    at.and_then(|at| name.get(at..))
        .is_some_and(|end| end.starts_with('.') && end[1..].eq_ignore_ascii_case(ending))
}

/// A file of bars, or one in a zip.
#[derive(Clone, Debug)]
pub struct Source {
    path: PathBuf,
    member: Option<Member>,
    size: u64,
}

impl Source {
    /// The file itself.
    fn file(path: &Path) -> Result<Self, FeedError> {
        let cannot = |error| file_error(&path.display(), format_args!("cannot be read: {error}"));
        let size = std::fs::metadata(path).map_err(cannot)?.len();
        Ok(Self { path: path.to_owned(), member: None, size })
    }

    /// The file itself, or all files of bars in a zip.
    fn all_of(path: &Path) -> Result<Vec<Self>, FeedError> {
        let cannot = |error| file_error(&path.display(), format_args!("cannot be read: {error}"));
        let file = Self::file(path)?;
        if !input::is_zip(path).map_err(cannot)? {
            return Ok(vec![file]);
        }
        let members = input::members(path, is_of_bars).map_err(|what| file_error(&path.display(), what))?;
        let source = |member: Member| Self { path: path.to_owned(), size: member.size, member: Some(member) };
        Ok(members.into_iter().map(source).collect())
    }

    /// Its bytes on the disk: compressed ones of a compressed file.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Opens it and reads its header. What it is, its first bytes tell; a name that ends in `.parquet` is
    /// believed, too. A file with nothing in it has no rows. Blocks on the disk, as does the iterator.
    pub fn open(&self, options: &ReadOptions) -> Result<BarFile<'static>, FeedError> {
        let cannot = |what: String| file_error(self, what);
        let taken = Arc::new(AtomicU64::new(0));
        let content = input::open(&self.path, self.member.as_ref(), &taken)
            .map_err(|error| cannot(format!("cannot be read: {error}")))?;
        let rows = match content {
            Content::Parquet(file) => {
                Rows::Parquet(Box::new(ParquetRows::open(file, options).map_err(cannot)?))
            }
            Content::Text(head, _) if !head.is_empty() && self.promises_parquet() => {
                let what = foreign::what(&head).map(|what| format!(": {what}")).unwrap_or_default();
                return Err(cannot(format!(
                    "cannot be read as Parquet: it does not begin as such a file does{what}"
                )));
            }
            Content::Text(head, rest) => match CsvRows::open(head, rest, &options.columns).map_err(cannot)? {
                Some(rows) => Rows::Csv(Box::new(rows)),
                None => Rows::None,
            },
        };
        let (source, options) = (self.clone(), options.clone());
        Ok(BarFile { source, rows, options, tracked: None, taken, waiting: VecDeque::new() })
    }

    fn promises_parquet(&self) -> bool {
        has_ending(&self.to_string(), "parquet")
    }
}

impl fmt::Display for Source {
    /// `FILE`, or `FILE:MEMBER`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        self.member.as_ref().map_or(Ok(()), |member| write!(f, ":{}", member.name))
    }
}

/// Opens one file that is no zip, as [`Source::open`] does.
pub fn open(path: &Path, options: impl Into<ReadOptions>) -> Result<BarFile<'static>, FeedError> {
    Source::file(path)?.open(&options.into())
}

/// The rows of one file, in its order. Made by [`Source::open`].
///
/// An `Err` item means that the rest of the file could not be read (a broken disk, a damaged or cut-off
/// file); it is the last item. Rows before it are good.
pub struct BarFile<'a> {
    source: Source,
    rows: Rows,
    options: ReadOptions,
    /// Whose rows, and the calendar; without a watchlist, all of them as they are called.
    tracked: Option<(Option<&'a Watchlist>, &'a Calendar)>,
    /// Bytes read from the disk.
    taken: Arc<AtomicU64>,
    /// What is told before the next row is read.
    waiting: VecDeque<Row>,
}

enum Rows {
    Csv(Box<CsvRows>),
    Parquet(Box<ParquetRows>),
    None,
}

impl BarFile<'_> {
    /// Resolves the labels of the rows by what they meant on the bar's New York day, and tells bars of
    /// symbols not tracked apart. Without this, bars carry the labels as they stand in the file.
    pub fn tracked_by<'b>(self, watchlist: &'b Watchlist, calendar: &'b Calendar) -> BarFile<'b> {
        self.told_by(Some(watchlist), calendar)
    }

    /// Tells the bars of all symbols in today's units, by the labels as they stand in the file: it must be
    /// one of ours.
    pub fn of_any_symbol<'b>(self, calendar: &'b Calendar) -> BarFile<'b> {
        self.told_by(None, calendar)
    }

    fn told_by<'b>(self, watchlist: Option<&'b Watchlist>, calendar: &'b Calendar) -> BarFile<'b> {
        let Self { source, rows, options, taken, waiting, .. } = self;
        BarFile { source, rows, options, taken, waiting, tracked: Some((watchlist, calendar)) }
    }

    /// Passes over row groups of a Parquet file that hold none of a symbol. Rows of others may be told.
    pub fn skipping_to(mut self, symbol: Symbol) -> Self {
        if let Rows::Parquet(rows) = &mut self.rows {
            rows.only(symbol);
        }
        self
    }

    /// The units that bars are brought into by now: those given, and the splits the file told of.
    pub fn units(&self) -> &Units {
        &self.options.units
    }

    /// Bytes of the file read so far, as they lie on the disk: compressed ones for a compressed file. In a
    /// Parquet file, its share by rows.
    pub fn bytes_read(&self) -> u64 {
        match &self.rows {
            Rows::Csv(_) | Rows::None => self.taken.load(Ordering::Relaxed).min(self.bytes_total()),
            Rows::Parquet(rows) => rows.share_read(self.bytes_total()),
        }
    }

    /// Bytes of the file on the disk when it was opened.
    pub fn bytes_total(&self) -> u64 {
        self.source.size
    }
}

impl Iterator for BarFile<'_> {
    type Item = Result<Row, FeedError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(row) = self.waiting.pop_front() {
            return Some(Ok(row));
        }
        let Self { source, rows, options, tracked, waiting, .. } = self;
        let (read, unit, number) = match rows {
            Rows::Csv(rows) => (rows.next(|cells| row(cells, options, *tracked)), "line", rows.line()),
            Rows::Parquet(rows) => (rows.next(|cells| row(cells, options, *tracked)), "row", rows.row()),
            Rows::None => return None,
        };
        Some(match read? {
            Ok(Ok(Told { splits, row })) if splits.is_empty() => Ok(row),
            Ok(Ok(Told { splits, row })) => {
                waiting.extend(splits.into_iter().map(Row::Split));
                waiting.push_back(row);
                Ok(waiting.pop_front()?)
            }
            Ok(Err(Refusal { kind, reason })) => {
                let place = format!("{source}:{unit} {number}");
                Ok(Row::Rejected(RejectedRow { place, kind, reason }))
            }
            Err(what) => Err(file_error(source, what)),
        })
    }
}

impl FusedIterator for BarFile<'_> {}

pub(super) fn file_error(name: &(impl fmt::Display + ?Sized), what: impl fmt::Display) -> FeedError {
    FeedError::new(FeedErrorKind::File, format!("{name}: {what}"))
}
