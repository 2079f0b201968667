//! `qqq-tracker export`: bars from the store into a file, page by page. The file appears under its name when
//! it is whole, and nobody needs to stop for it.

use crate::cli::ExportArgs;
use crate::config::{Config, ConfigError};
use crate::progress;
use crate::store;
use anyhow::{Context as _, bail, ensure};
use indicatif::{HumanCount, ProgressBar};
use qqq_core::{Bar, Calendar, Moment, Second, Splits, Symbol};
use qqq_feed::bar_file::{BarWriter, Format};
use qqq_store::{SplitRecord, Store};
use std::collections::BTreeSet;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Bars read from the store at a time.
const PAGE: usize = 10_000;
/// Standard output, as a file's name.
const STDOUT: &str = "-";

/// Exports what was asked for.
pub async fn run(config: &Config, args: &ExportArgs, stop: CancellationToken) -> anyhow::Result<()> {
    let format = format_of(args)?;
    let target = Target::prepare(args)?;
    let (watchlist, calendar) = (store::watchlist(config).await?.list, config.calendar()?);
    let range = range_of(args, &calendar);
    // As the file is sorted.
    let symbols: BTreeSet<Symbol> = if args.symbols.is_empty() {
        watchlist.symbols().iter().copied().collect()
    } else {
        args.symbols.iter().map(|&symbol| watchlist.resolve(symbol).unwrap_or(symbol)).collect()
    };
    let store = store::open(config).await?;
    let (pages, taken) = mpsc::channel(2);
    let out = target.writer()?;
    let known = store.splits().await?;
    let applied: Splits =
        known.iter().map(|record| record.split).filter(|split| symbols.contains(&split.symbol)).collect();
    let writing = tokio::task::spawn_blocking(move || {
        let writer = BarWriter::adjusted(format, BufWriter::new(out), &applied, &calendar)?;
        write(writer, taken)
    });
    let progress = progress::of_symbols(symbols.len() as u64);
    let sent = send(store.as_ref(), &symbols, range, &known, &pages, &progress, &stop).await;
    progress.finish_and_clear();
    drop(pages);
    let written = writing.await.context("the file could not be written to its end")?;
    store.close().await;
    // Where the writing failed, that is why nobody took the pages.
    written.with_context(|| format!("cannot write {}", target.name()))?;
    let bars = sent?;
    target.keep()?;
    let report = format!(
        "{} bars of {} symbols written to {}\n",
        HumanCount(bars),
        HumanCount(symbols.len() as u64),
        target_name(&args.file)
    );
    let _ = if is_stdout(&args.file) {
        io::stderr().write_all(report.as_bytes())
    } else {
        io::stdout().write_all(report.as_bytes())
    };
    Ok(())
}

/// What a page of bars is followed by.
enum Page {
    Bars(Vec<Bar>),
    End,
}

/// Reads the bars and hands them on, in order. Answers how many.
async fn send(
    store: &dyn Store,
    symbols: &BTreeSet<Symbol>,
    range: Range<Second>,
    splits: &[SplitRecord],
    pages: &mpsc::Sender<Page>,
    progress: &ProgressBar,
    stop: &CancellationToken,
) -> anyhow::Result<u64> {
    let mut sent = 0;
    for &symbol in symbols {
        let mut from = range.start;
        while from < range.end {
            ensure!(!stop.is_cancelled(), "stopped before the end");
            let page = store.bars(symbol, from..range.end, PAGE).await?;
            let full = page.len() == PAGE;
            from = page.last().map_or(range.end, |record| record.bar.start.plus_seconds(1));
            sent += page.len() as u64;
            progress.set_message(format!("{} bars", HumanCount(sent)));
            let bars = page.into_iter().map(|record| record.bar).collect();
            ensure!(pages.send(Page::Bars(bars)).await.is_ok(), "the writing ended early");
            if !full {
                break;
            }
        }
        progress.inc(1);
    }
    // A split rescales what is stored: half a file in old units would be worth nothing.
    ensure!(
        store.splits().await? == splits,
        "a split came in meanwhile and changed the units of the stored prices: export again"
    );
    ensure!(pages.send(Page::End).await.is_ok(), "the writing ended early");
    Ok(sent)
}

/// Writes the pages as they come. Nothing is finished unless the end came.
fn write(
    mut writer: BarWriter<BufWriter<Box<dyn Write + Send>>>,
    mut pages: mpsc::Receiver<Page>,
) -> anyhow::Result<()> {
    while let Some(page) = pages.blocking_recv() {
        match page {
            Page::Bars(bars) => writer.write(&bars)?,
            Page::End => {
                writer.finish()?;
                break;
            }
        }
    }
    Ok(())
}

/// Where the bars go.
enum Target {
    Stdout,
    /// A file beside the one that was named. It goes away unless it is kept.
    File {
        draft: NamedTempFile,
        path: PathBuf,
        force: bool,
    },
}

impl Target {
    fn prepare(args: &ExportArgs) -> anyhow::Result<Self> {
        if is_stdout(&args.file) {
            return Ok(Self::Stdout);
        }
        let path = args.file.clone();
        match std::fs::metadata(&path) {
            Ok(found) if !found.is_file() => bail!("{} is not a file: - is standard output", path.display()),
            Ok(_) if !args.force => bail!("{} exists: name another file, or add --force", path.display()),
            _ => {}
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let prefix = format!(".{name}.");
        let mut draft = tempfile::Builder::new();
        draft.prefix(&prefix).suffix(".partial");
        // As any other new file: readable as the umask says.
        #[cfg(unix)]
        draft.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let draft = draft.tempfile_in(folder).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self::File { draft, path, force: args.force })
    }

    fn writer(&self) -> anyhow::Result<Box<dyn Write + Send>> {
        Ok(match self {
            Self::Stdout => Box::new(io::stdout()),
            Self::File { draft, .. } => Box::new(draft.reopen()?),
        })
    }

    fn name(&self) -> String {
        match self {
            Self::Stdout => target_name(Path::new(STDOUT)),
            Self::File { path, .. } => target_name(path),
        }
    }

    /// Gives the file its name, now that it is whole and on the disk.
    fn keep(self) -> anyhow::Result<()> {
        if let Self::File { draft, path, force } = self {
            let kept = draft.as_file().sync_all().and_then(|()| {
                let kept = if force { draft.persist(&path) } else { draft.persist_noclobber(&path) };
                kept.map(|_| ()).map_err(|error| error.error)
            });
            kept.with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}

fn is_stdout(file: &Path) -> bool {
    file.as_os_str() == STDOUT
}

fn target_name(file: &Path) -> String {
    if is_stdout(file) { "standard output".to_owned() } else { file.display().to_string() }
}

fn format_of(args: &ExportArgs) -> Result<Format, ConfigError> {
    let format = args.format.or_else(|| Format::of_name(&args.file)).ok_or_else(|| {
        let what = format!(
            "must be csv, csv.gz or parquet: the name `{}` does not end in one of them",
            args.file.display()
        );
        ConfigError::value("--format", what)
    })?;
    if format != Format::Csv && is_stdout(&args.file) && io::stdout().is_terminal() {
        return Err(ConfigError::value("--format", format!("{format} is nothing for a terminal")));
    }
    Ok(format)
}

fn range_of(args: &ExportArgs, calendar: &Calendar) -> Range<Second> {
    let start = |moment: Moment| moment.start(calendar);
    args.from.map_or(Second::MIN, start)..args.to.map_or(Second::MAX, start)
}
