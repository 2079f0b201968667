//! A day's file is written beside the one that is there and takes its name when it is whole and on the disk:
//! a kill leaves the old one or the new one.
//!
//! What the old file holds and the store does not (any more) stays in it: a bar is never taken out of a
//! store but by retention.

use super::{Archive, ArchiveError, blocking, draft_in, mark_of, read_day};
use qqq_core::{Bar, Calendar, Second, Splits, Symbol};
use qqq_feed::bar_file::{BarWriter, seal};
use qqq_store::{ClosedExtent, Store};
use std::fs::File;
use std::io::{self, BufWriter};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::NamedTempFile;
use tokio::sync::mpsc;
use tracing::error;

/// Row groups of a file at most, about: each is of whole symbols, so that of a file of few symbols a reader
/// of one decodes that alone, and the footer of one of ten thousand stays small.
const GROUPS: u64 = 256;
/// What is added to the name of a damaged file that is set aside.
const DAMAGED: &str = ".damaged";

impl Archive {
    /// Writes a day. False where a split came in meanwhile: the next round writes it.
    pub(super) async fn write(
        &self,
        store: &dyn Store,
        day: Range<Second>,
        extent: ClosedExtent,
    ) -> Result<bool, ArchiveError> {
        let known = store.splits().await?;
        let splits: Splits = known.iter().map(|record| record.split).collect();
        let (pages, taken) = mpsc::channel(4);
        let file = DayFile {
            path: self.file(self.calendar.date_of(day.start)),
            folder: self.folder.clone(),
            calendar: Arc::clone(&self.calendar),
            splits,
            extent,
        };
        let writing = tokio::spawn(blocking(move || file.write(taken)));
        let sent = async {
            for symbol in store.closed_symbols(day.clone()).await? {
                let bars = store.history(symbol, day.clone(), usize::MAX).await?;
                if pages.send(Page::Bars(bars)).await.is_err() {
                    // The writing failed, and says why.
                    return Ok(false);
                }
            }
            // A split rescales what is stored: half a file in old units would be worth nothing.
            let is_whole = store.splits().await? == known;
            if is_whole {
                let _ = pages.send(Page::End).await;
            }
            Ok::<_, ArchiveError>(is_whole)
        }
        .await;
        drop(pages);
        let written = writing.await.unwrap_or_else(|panic| {
            Err(ArchiveError::Write { path: self.folder.clone(), error: io::Error::other(panic) })
        });
        let is_whole = sent?;
        written?;
        Ok(is_whole)
    }
}

enum Page {
    /// All of a symbol.
    Bars(Vec<Bar>),
    End,
}

struct DayFile {
    path: PathBuf,
    folder: PathBuf,
    calendar: Arc<Calendar>,
    splits: Splits,
    extent: ClosedExtent,
}

impl DayFile {
    /// Writes the pages as they come, by symbol. Nothing is kept unless the end came.
    fn write(self, pages: mpsc::Receiver<Page>) -> Result<(), ArchiveError> {
        let old = match self.path.exists() {
            true => Some(read_day(&self.path, &self.calendar, None, self.splits.clone())),
            false => None,
        };
        let written = old.transpose().and_then(|old| self.write_over(old.into_iter().flatten(), pages));
        if let Err(ArchiveError::File(why)) = &written {
            // Nobody reads this one any more, and the day is written of what the store holds.
            let mut aside = self.path.clone().into_os_string();
            aside.push(DAMAGED);
            std::fs::rename(&self.path, &aside).map_err(|error| self.cannot(error))?;
            error!("{why}; it is set aside as {}", Path::new(&aside).display());
        }
        written
    }

    /// Writes the pages over old bars: both by symbol and start.
    fn write_over(
        &self,
        old: impl Iterator<Item = Result<Bar, ArchiveError>>,
        mut pages: mpsc::Receiver<Page>,
    ) -> Result<(), ArchiveError> {
        let cannot = |error| self.cannot(error);
        let key = |bar: &Bar| (bar.symbol, bar.start);
        let mut old = old.peekable();
        let draft = draft_in(&self.folder).map_err(cannot)?;
        let mut out = Groups::begin(self, draft.as_file()).map_err(cannot)?;
        loop {
            match pages.blocking_recv() {
                None => return Ok(()),
                Some(Page::End) => break,
                Some(Page::Bars(bars)) => {
                    for bar in bars {
                        while let Some(earlier) =
                            old.next_if(|old| old.as_ref().map_or(true, |old| key(old) < key(&bar)))
                        {
                            out.push(earlier?).map_err(cannot)?;
                        }
                        old.next_if(|old| old.as_ref().is_ok_and(|old| key(old) == key(&bar)));
                        out.push(bar).map_err(cannot)?;
                    }
                }
            }
        }
        for rest in old {
            out.push(rest?).map_err(cannot)?;
        }
        out.finish().map_err(cannot)?;
        self.keep(draft).map_err(cannot)
    }

    fn cannot(&self, error: io::Error) -> ArchiveError {
        ArchiveError::Write { path: self.path.clone(), error }
    }

    /// Gives the file its name, now that it is whole.
    fn keep(&self, mut draft: NamedTempFile) -> io::Result<()> {
        seal(draft.as_file_mut())?;
        draft.as_file().sync_all()?;
        draft.persist(&self.path).map_err(|error| error.error)?;
        // The name, too.
        File::open(&self.folder)?.sync_all()
    }
}

/// Writes bars in order, in row groups of whole symbols.
struct Groups<'a> {
    writer: BarWriter<BufWriter<&'a File>>,
    /// The bars of the symbol at hand.
    symbol: Vec<Bar>,
    rows: u64,
    /// A group ends once it holds so many.
    enough: u64,
}

impl<'a> Groups<'a> {
    fn begin(day: &DayFile, file: &'a File) -> io::Result<Self> {
        let mark = mark_of(day.extent);
        let writer = BarWriter::archived(BufWriter::new(file), &day.splits, &day.calendar, &mark)?;
        Ok(Self { writer, symbol: Vec::new(), rows: 0, enough: day.extent.bars.div_ceil(GROUPS) })
    }

    fn push(&mut self, bar: Bar) -> io::Result<()> {
        let before: Option<Symbol> = self.symbol.first().map(|bar| bar.symbol);
        if before.is_some_and(|before| before != bar.symbol) {
            self.end_symbol()?;
        }
        self.symbol.push(bar);
        Ok(())
    }

    fn end_symbol(&mut self) -> io::Result<()> {
        self.writer.write(&self.symbol)?;
        self.rows += self.symbol.len() as u64;
        self.symbol.clear();
        if self.rows >= self.enough {
            self.rows = 0;
            self.writer.end_group()?;
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        self.end_symbol()?;
        self.writer.finish().map(drop)
    }
}
