//! `qqq-tracker import`: bars from files into the store, batch by batch. However it ends (a signal, a power cut, a
//! damaged file), the store holds whole batches, and the same import again goes on where it is needed.

use crate::app::{keep_apart, open_store};
use crate::cli::ImportArgs;
use crate::config::Config;
use crate::progress;
use anyhow::Context as _;
use indicatif::{HumanCount, ProgressBar};
use qqq_core::{Bar, Calendar, FeedLabel, Watchlist};
use qqq_feed::Reject;
use qqq_feed::bar_file::{self, Labels, Row};
use qqq_store::{Imported, Store};
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Bars in one transaction.
const BATCH: usize = 5_000;
/// Rejected rows shown on the terminal; the count tells of the rest.
const SHOWN: u64 = 10;
/// The label of bars whose file says none.
const UNLABELLED: &str = "import";

/// What became of the rows.
#[derive(Debug, Default)]
struct Report {
    rows: u64,
    stored: Imported,
    rejected: u64,
    not_tracked: u64,
    outside: u64,
}

/// What the reading thread hands over: a batch of bars with the bytes of files read so far.
struct Chunk {
    bars: Vec<Bar>,
    rows: u64,
    rejects: Vec<Reject>,
    not_tracked: u64,
    outside: u64,
    bytes: u64,
}

/// Imports the files. Stops between two batches when asked to: importing again goes on harmlessly.
pub async fn run(config: &Config, args: &ImportArgs, stop: CancellationToken) -> anyhow::Result<()> {
    let labels = match args.feed {
        Some(label) => Labels::All(label),
        None => Labels::Own { otherwise: FeedLabel::new(UNLABELLED)? },
    };
    let mut files = Vec::new();
    for path in &args.files {
        files.extend(bar_file::files(path)?);
    }
    let mut total = 0;
    for file in &files {
        total += std::fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?.len();
    }
    let mut rejects = args.rejects.as_deref().map(Rejects::create).transpose()?;
    let store = open_store(config).await?;
    // A running worker keeps windows in memory that would not notice.
    let lock = store.lock_worker().await.context("an import needs the store for itself")?;

    keep_apart(&*store, &config.store.url, false).await?;

    let (chunks, mut read) = mpsc::channel::<anyhow::Result<Chunk>>(2);
    let (watchlist, calendar) = (config.watchlist()?, config.calendar());
    let reading = tokio::task::spawn_blocking(move || {
        if let Err(error) = read_files(&files, labels, &watchlist, &calendar, &chunks) {
            let _ = chunks.blocking_send(Err(error));
        }
    });
    let progress = progress::of_bytes(total);
    let mut report = Report::default();
    let outcome = loop {
        let chunk = tokio::select! {
            biased;
            () = stop.cancelled() => break Err(anyhow::anyhow!("stopped before the end")),
            chunk = read.recv() => chunk,
        };
        let taken = match chunk {
            None => break reading.await.context("the files could not be read to their end"),
            Some(Ok(chunk)) => take(chunk, store.as_ref(), &mut report, rejects.as_mut(), &progress).await,
            Some(Err(error)) => Err(error),
        };
        if taken.is_err() {
            break taken;
        }
    };
    progress.finish_and_clear();
    let written = rejects.map_or(Ok(()), Rejects::finish);
    print(&report, stop.is_cancelled());
    store.close().await;
    drop(lock);
    outcome.and(written)
}

/// Puts one batch into the store, all of it or nothing, and tells what was not in it.
async fn take(
    chunk: Chunk,
    store: &dyn Store,
    report: &mut Report,
    rejects: Option<&mut Rejects>,
    progress: &ProgressBar,
) -> anyhow::Result<()> {
    if !chunk.bars.is_empty() {
        let imported = store.import(&chunk.bars).await?;
        report.stored.new += imported.new;
        report.stored.revised += imported.revised;
        report.stored.unchanged += imported.unchanged;
    }
    for reject in &chunk.rejects {
        if report.rejected < SHOWN {
            progress.suspend(|| {
                let _ = writeln!(std::io::stderr(), "rejected {}: {}", reject.place, reject.reason);
            });
        }
        report.rejected += 1;
    }
    if let Some(rejects) = rejects {
        rejects.write(&chunk.rejects)?;
    }
    report.rows += chunk.rows;
    report.not_tracked += chunk.not_tracked;
    report.outside += chunk.outside;
    progress.set_position(chunk.bytes);
    Ok(())
}

/// The file that every rejected row goes to: `PLACE: REASON`, one a line.
struct Rejects {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Rejects {
    fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file) })
    }

    fn write(&mut self, rejects: &[Reject]) -> anyhow::Result<()> {
        rejects
            .iter()
            .try_for_each(|reject| writeln!(self.file, "{}: {}", reject.place, reject.reason))
            .with_context(|| format!("cannot write {}", self.path.display()))
    }

    fn finish(mut self) -> anyhow::Result<()> {
        self.file.flush().with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// Reads all files into chunks. Ends early where nobody takes them any more.
fn read_files(
    files: &[PathBuf],
    labels: Labels,
    watchlist: &Watchlist,
    calendar: &Calendar,
    chunks: &mpsc::Sender<anyhow::Result<Chunk>>,
) -> anyhow::Result<()> {
    let mut before = 0;
    for file in files {
        let mut rows = bar_file::open(file, labels)?.tracked_by(watchlist, calendar);
        loop {
            let mut chunk = Chunk {
                bars: Vec::with_capacity(BATCH),
                rows: 0,
                rejects: Vec::new(),
                not_tracked: 0,
                outside: 0,
                bytes: 0,
            };
            let mut ended = true;
            for row in rows.by_ref() {
                chunk.rows += 1;
                match row? {
                    Row::Bar(bar) if calendar.counts(bar.start) => chunk.bars.push(bar),
                    Row::Bar(_) => chunk.outside += 1,
                    Row::NotTracked(_) => chunk.not_tracked += 1,
                    Row::Rejected(reject) => chunk.rejects.push(reject),
                }
                if chunk.rows as usize == BATCH {
                    ended = false;
                    break;
                }
            }
            chunk.bytes = before + rows.bytes_read();
            if chunks.blocking_send(Ok(chunk)).is_err() {
                return Ok(());
            }
            if ended {
                break;
            }
        }
        before += rows.bytes_total();
    }
    Ok(())
}

fn print(report: &Report, stopped: bool) {
    let count = |number| HumanCount(number).to_string();
    let mut text = format!(
        "{} rows read: {} new, {} revised, {} unchanged, {} rejected\n",
        count(report.rows),
        count(report.stored.new),
        count(report.stored.revised),
        count(report.stored.unchanged),
        count(report.rejected),
    );
    if report.outside > 0 {
        text += &format!(
            "{} rows lie outside the hours that count (market.extended_hours, market.calendar)\n",
            count(report.outside)
        );
    }
    if report.not_tracked > 0 {
        text += &format!(
            "{} rows are of symbols not on the watchlist (watchlist.symbols)\n",
            count(report.not_tracked)
        );
    }
    if stopped {
        text += "stopped before the end; the same import goes on where it is needed\n";
    }
    let _ = std::io::stdout().write_all(text.as_bytes());
}
