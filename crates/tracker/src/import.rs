//! `qqq-tracker import`: bars from CSV files into the store.

use crate::app::{keep_apart, open_store};
use crate::cli::ImportArgs;
use crate::config::Config;
use anyhow::Context as _;
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use qqq_core::{Bar, Calendar, FeedLabel, Watchlist};
use qqq_feed::Reject;
use qqq_feed::csv_file::{self, Row};
use qqq_store::{Imported, Store};
use std::fs::File;
use std::io::{BufWriter, IsTerminal as _, Write as _};
use std::path::PathBuf;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Bars in one transaction.
const BATCH: usize = 5_000;
/// Rejected rows shown on the terminal; the count tells of the rest.
const SHOWN: u64 = 10;

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
    let feed = args.feed;
    let mut files = Vec::new();
    for path in &args.files {
        files.extend(csv_file::files(path)?);
    }
    let mut total = 0;
    for file in &files {
        total += std::fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?.len();
    }
    let mut rejects = args.rejects.as_ref().map(|path| {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        anyhow::Ok(BufWriter::new(file))
    });
    let store = open_store(config).await?;
    // A running worker keeps windows in memory that would not notice.
    let lock = store.lock_worker().await.context("an import needs the store for itself")?;

    keep_apart(&*store, &config.store.url, false).await?;

    let (chunks, mut read) = mpsc::channel::<anyhow::Result<Chunk>>(2);
    let (watchlist, calendar) = (config.watchlist()?, config.calendar());
    let reading = tokio::task::spawn_blocking(move || {
        if let Err(error) = read_files(&files, feed, &watchlist, &calendar, &chunks) {
            let _ = chunks.blocking_send(Err(error));
        }
    });
    let progress = progress(total);
    let mut report = Report::default();
    let mut outcome = Ok(());
    while let Some(chunk) = read.recv().await {
        let taken = match chunk {
            Ok(chunk) => take(chunk, store.as_ref(), &mut report, rejects.as_mut(), &progress).await,
            Err(error) => Err(error),
        };
        if taken.is_err() || stop.is_cancelled() {
            outcome = taken;
            break;
        }
    }
    drop(read);
    let outcome = outcome.and(reading.await.context("the files could not be read to their end"));
    progress.finish_and_clear();
    if let Some(Ok(file)) = rejects.as_mut() {
        file.flush()?;
    }
    print(&report, stop.is_cancelled());
    store.close().await;
    drop(lock);
    outcome?;
    anyhow::ensure!(!stop.is_cancelled(), "stopped before the end");
    Ok(())
}

async fn take(
    chunk: Chunk,
    store: &dyn Store,
    report: &mut Report,
    rejects: Option<&mut anyhow::Result<BufWriter<File>>>,
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
    match rejects {
        Some(Ok(file)) => {
            for reject in &chunk.rejects {
                writeln!(file, "{}: {}", reject.place, reject.reason)?;
            }
        }
        Some(Err(error)) => anyhow::bail!("{error:#}"),
        None => {}
    }
    report.rows += chunk.rows;
    report.not_tracked += chunk.not_tracked;
    report.outside += chunk.outside;
    progress.set_position(chunk.bytes);
    Ok(())
}

/// Reads all files into chunks. Ends early where nobody takes them any more.
fn read_files(
    files: &[PathBuf],
    feed: FeedLabel,
    watchlist: &Watchlist,
    calendar: &Calendar,
    chunks: &mpsc::Sender<anyhow::Result<Chunk>>,
) -> anyhow::Result<()> {
    let mut before = 0;
    for file in files {
        let mut rows = csv_file::open(file, feed)?.tracked_by(watchlist, calendar);
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

fn progress(total: u64) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes}, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(total), target).with_style(style)
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
