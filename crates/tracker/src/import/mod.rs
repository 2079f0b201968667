//! `qqq-tracker import`: bars from files into the store, batch by batch. However it ends (a signal, a power
//! cut, a damaged file), the store holds whole batches, and the same import again goes on where it is needed.
//!
//! A file that cannot be read does not stop the others.
//!
//! ```text
//! report    what is said at the end
//! sessions  bars by the day they are of
//! ```

mod report;
mod sessions;

use crate::cli::ImportArgs;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::progress;
use crate::splits;
use crate::store;
use anyhow::{Context as _, bail};
use indicatif::ProgressBar;
use jiff::Timestamp;
use qqq_core::{Bar, Calendar, Clock as _, FeedLabel, Second, Split, Symbol, Watchlist};
use qqq_engine::closing;
use qqq_engine::feed::keep_apart;
use qqq_feed::FeedError;
use qqq_feed::bar_file::{self, Labels, ReadOptions, RejectedRow, Row, Source};
use qqq_store::{Batch, SplitRecord, Store};
use report::Report;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Rows in one transaction: whole days of some symbols, in most files.
const BATCH: usize = 50_000;
/// The label of bars whose file says none.
const UNLABELLED: &str = "import";

/// What the reading thread hands over.
enum Read {
    Rows(Chunk),
    /// A split that the bars from here on were brought over, and the store does not know.
    Split(Split),
    /// A file that holds nothing.
    Empty(String),
    /// A file that could not be read, or not to its end.
    Failed(FeedError),
    /// A file whose every row was rejected, with their number.
    Useless(String, u64),
}

/// A batch of bars with the bytes of files read so far.
#[derive(Default)]
struct Chunk {
    bars: Vec<Bar>,
    rows: u64,
    rejects: Vec<RejectedRow>,
    not_tracked: Vec<Symbol>,
    outside: u64,
    bytes: u64,
}

/// Imports the files. Stops between two batches when asked to: importing again goes on harmlessly.
pub async fn run(config: &Config, args: &ImportArgs, stop: CancellationToken) -> anyhow::Result<()> {
    let labels = match args.feed {
        Some(label) => Labels::All(label),
        None => Labels::Own { otherwise: FeedLabel::new(UNLABELLED)? },
    };
    let (watchlist, calendar) = (store::watchlist(config).await?.list, config.calendar()?);
    let now = SystemClock::new().now();
    let minute = Second::minute_of(now);
    let given = match &args.reading.splits {
        Some(path) => splits::of_file(path, &watchlist, calendar.date_of(minute)).await?,
        None => Vec::new(),
    };
    let paths = args.files.clone();
    let sources = tokio::task::spawn_blocking(move || bar_file::sources(&paths).collect::<Vec<_>>()).await?;
    let total = sources.iter().flatten().map(Source::size).sum();
    let mut rejects = args.rejects.as_deref().map(Rejects::create).transpose()?;
    let store = store::open(config).await?;
    // A running worker keeps windows in memory that would not notice.
    let lock = store.lock_worker().await.context("an import needs the store for itself")?;

    keep_apart(&*store, &config.store.url, false).await?;

    let mut report = Report::default();
    let mut known = splits::of_store(&*store).await?;
    for split in given {
        match known.insert(split) {
            Ok(true) => learn(split, &calendar, &*store, now, &mut report).await?,
            Ok(false) => {}
            Err(known) => bail!("--splits: `{split}` of {} is known as `{known}`", split.symbol),
        }
    }
    let options = args.reading.options(labels, known);
    let (reads, mut read) = mpsc::channel::<Read>(2);
    let reading = tokio::task::spawn_blocking({
        let calendar = calendar.clone();
        move || read_all(sources, options, &watchlist, &calendar, &reads)
    });
    let progress = progress::of_bytes(total);
    let say = |what: String| progress.suspend(|| _ = writeln!(std::io::stderr(), "{what}"));
    let mut failed = 0_usize;
    let outcome = loop {
        let one = tokio::select! {
            biased;
            () = stop.cancelled() => break Err(anyhow::anyhow!("stopped before the end")),
            one = read.recv() => one,
        };
        match one {
            None => break reading.await.context("the files could not be read to their end"),
            Some(Read::Rows(chunk)) => {
                if let Err(error) =
                    take(chunk, &*store, (&calendar, minute), &mut report, rejects.as_mut(), &progress).await
                {
                    break Err(error);
                }
            }
            Some(Read::Split(split)) => {
                if let Err(error) = learn(split, &calendar, &*store, now, &mut report).await {
                    break Err(error);
                }
            }
            Some(Read::Empty(file)) => say(format!("warning: {file}: holds no bars")),
            Some(Read::Failed(error)) => {
                failed += 1;
                say(format!("failed: {error}"));
            }
            Some(Read::Useless(file, rows)) => {
                failed += 1;
                say(format!("failed: {file}: each of its {rows} rows was rejected"));
            }
        }
    };
    progress.finish_and_clear();
    let outcome = match outcome {
        Ok(()) => closing::up_to(&*store, &calendar, minute, &stop).await.map(drop).map_err(Into::into),
        failed => failed,
    };
    let written = rejects.map_or(Ok(()), Rejects::finish);
    let _ = std::io::stdout().write_all(report.told(stop.is_cancelled()).as_bytes());
    store.close().await;
    drop(lock);
    outcome.and(written)?;
    match failed {
        0 => Ok(()),
        1 => bail!("one file failed, as said above"),
        some => bail!("{some} files failed, as said above"),
    }
}

/// Tells the store of a split, which brings what it holds from before into the new units.
async fn learn(
    split: Split,
    calendar: &Calendar,
    store: &dyn Store,
    now: Timestamp,
    report: &mut Report,
) -> anyhow::Result<()> {
    let record = SplitRecord { split, from: calendar.midnight(split.ex_date) };
    store.commit(&Batch { splits: vec![record], ..Batch::default() }, now).await?;
    report.splits.push(split);
    Ok(())
}

/// Puts one batch into the store, all of it or nothing, and tells what was not in it.
async fn take(
    chunk: Chunk,
    store: &dyn Store,
    (calendar, now): (&Calendar, Second),
    report: &mut Report,
    rejects: Option<&mut Rejects>,
    progress: &ProgressBar,
) -> anyhow::Result<()> {
    let (sessions, open) = sessions::by_session(chunk.bars, calendar, now);
    if !(sessions.is_empty() && open.is_empty()) {
        report.store(store.import_sessions(&sessions, &open).await?);
    }
    chunk.rejects.iter().for_each(|reject| report.reject(reject));
    chunk.not_tracked.iter().for_each(|&symbol| report.pass_over(symbol));
    if let Some(rejects) = rejects {
        rejects.write(&chunk.rejects)?;
    }
    report.rows += chunk.rows;
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

    fn write(&mut self, rejects: &[RejectedRow]) -> anyhow::Result<()> {
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
fn read_all(
    sources: Vec<Result<Source, FeedError>>,
    mut options: ReadOptions,
    watchlist: &Watchlist,
    calendar: &Calendar,
    reads: &mpsc::Sender<Read>,
) {
    let mut before = 0;
    for source in sources {
        let read = source.and_then(|source| {
            let size = source.size();
            let read = read_one(&source, before, &mut options, watchlist, calendar, reads);
            before += size;
            read
        });
        let taken = match read {
            Ok(Some(last)) => reads.blocking_send(last),
            Ok(None) => Ok(()),
            Err(error) => reads.blocking_send(Read::Failed(error)),
        };
        if taken.is_err() || reads.is_closed() {
            return;
        }
    }
}

/// Reads one file into chunks, and answers what is to be said of it as a whole.
fn read_one(
    source: &Source,
    before: u64,
    options: &mut ReadOptions,
    watchlist: &Watchlist,
    calendar: &Calendar,
    reads: &mpsc::Sender<Read>,
) -> Result<Option<Read>, FeedError> {
    let mut rows = source.open(options)?.tracked_by(watchlist, calendar);
    let (mut all, mut useful, mut rejected) = (0, 0, 0);
    loop {
        let mut chunk = Chunk { bars: Vec::with_capacity(BATCH), ..Chunk::default() };
        let (mut broken, mut split) = (None, None);
        let mut ended = true;
        for row in rows.by_ref() {
            match row {
                Ok(Row::Split(told)) => {
                    (split, ended) = (Some(told), false);
                    break;
                }
                Ok(Row::Bar(bar)) if calendar.counts(bar.start) => chunk.bars.push(bar),
                Ok(Row::Bar(_)) => chunk.outside += 1,
                Ok(Row::NotTracked(symbol)) => chunk.not_tracked.push(symbol),
                Ok(Row::Rejected(reject)) => chunk.rejects.push(reject),
                Err(error) => {
                    broken = Some(error);
                    break;
                }
            }
            chunk.rows += 1;
            if chunk.rows as usize == BATCH {
                ended = false;
                break;
            }
        }
        chunk.bytes = before + rows.bytes_read();
        all += chunk.rows;
        useful += chunk.bars.len() as u64 + chunk.outside;
        rejected += chunk.rejects.len() as u64;
        // What the store is told of, the files behind this one are read with.
        options.units = rows.units().clone();
        let told = std::iter::once(Read::Rows(chunk)).chain(split.map(Read::Split));
        if told.map(|one| reads.blocking_send(one)).any(|sent| sent.is_err()) {
            return Ok(None);
        }
        if let Some(error) = broken {
            return Err(error);
        }
        if ended {
            break;
        }
    }
    Ok(match (all, useful, rejected) {
        (0, ..) => Some(Read::Empty(source.to_string())),
        (_, 0, 1..) => Some(Read::Useless(source.to_string(), rejected)),
        _ => None,
    })
}
