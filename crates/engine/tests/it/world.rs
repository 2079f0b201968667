//! A store in a temporary folder, a clock that is set by hand, a provider that says what it is told to.

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;
use prometheus_client::registry::Registry;
use qqq_core::market::calendar::Market;
use qqq_core::{Bar, Calendar, Clock, FeedInfo, FeedLabel, FeedMode, Second, Split, Symbol, Watchlist};
use qqq_engine::detect::Step;
use qqq_engine::ingest::Ingest;
use qqq_engine::metrics::Metrics;
use qqq_feed::{FeedError, FeedErrorKind, Fetched, Provider, StreamEvent};
use qqq_store::Store;
use qqq_testkit::SetClock;
use qqq_testkit::bars::{cents, flat};
use std::ops::{Range, RangeInclusive};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::sync::mpsc;

/// Monday, in the session.
pub(crate) const MONDAY: &str = "2025-01-27T15:00:30Z";

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn minute(text: &str) -> Second {
    Second::minute_of(at(text))
}

pub(crate) fn symbol(text: &str) -> Symbol {
    text.parse().unwrap()
}

pub(crate) fn label() -> FeedLabel {
    FeedLabel::new("fake").unwrap()
}

pub(crate) fn bar(name: &str, start: Second, price: i64, volume: i64) -> Bar {
    Bar { feed: label(), ..flat(name, start, cents(price), volume) }
}

/// What was asked for.
pub(crate) type Asked = (Vec<Symbol>, Range<Second>);

/// A provider with a tape of bars behind it.
pub(crate) struct FakeProvider {
    info: FeedInfo,
    pub(crate) bars: Mutex<Vec<Bar>>,
    pub(crate) splits: Mutex<Vec<Split>>,
    pub(crate) failure: Mutex<Option<FeedError>>,
    pub(crate) failed: Mutex<Vec<(Symbol, FeedError)>>,
    pub(crate) asked: Mutex<Vec<Asked>>,
    pub(crate) splits_failure: Mutex<Option<FeedError>>,
    pub(crate) hangs: AtomicBool,
    pub(crate) stream: Mutex<Option<mpsc::Receiver<StreamEvent>>>,
    /// How often a stream was wanted.
    pub(crate) streams: AtomicUsize,
    has_history: bool,
}

impl FakeProvider {
    pub(crate) fn new() -> Arc<Self> {
        Self::of(0, false)
    }

    pub(crate) fn delayed(delay_minutes: i32) -> Arc<Self> {
        Self::of(delay_minutes, false)
    }

    pub(crate) fn adjusted() -> Arc<Self> {
        Self::of(0, true)
    }

    /// Of another name, which is its label, too.
    pub(crate) fn named(name: &'static str) -> Arc<Self> {
        Arc::new(Self::new_of(name, 0, false, true))
    }

    /// One that only streams.
    pub(crate) fn streaming(name: &'static str) -> Arc<Self> {
        Arc::new(Self::new_of(name, 0, false, false))
    }

    fn of(delay_minutes: i32, split_adjusted: bool) -> Arc<Self> {
        Arc::new(Self::new_of("fake", delay_minutes, split_adjusted, true))
    }

    fn new_of(name: &'static str, delay_minutes: i32, split_adjusted: bool, has_history: bool) -> Self {
        Self {
            info: FeedInfo {
                provider: name,
                label: name.parse().unwrap(),
                mode: FeedMode::Live,
                coverage: "everything".to_owned(),
                split_adjusted,
                delay_minutes,
            },
            bars: Mutex::default(),
            splits: Mutex::default(),
            failure: Mutex::default(),
            failed: Mutex::default(),
            asked: Mutex::default(),
            splits_failure: Mutex::default(),
            hangs: AtomicBool::new(false),
            stream: Mutex::default(),
            streams: AtomicUsize::new(0),
            has_history,
        }
    }

    /// Fails every question from now on, or none.
    pub(crate) fn fail(&self, error: Option<FeedError>) {
        *self.failure.lock().unwrap() = error;
    }

    /// What was asked for since the last look.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

#[async_trait]
impl Provider for FakeProvider {
    fn info(&self) -> &FeedInfo {
        &self.info
    }

    async fn bars(&self, symbols: &[Symbol], minutes: Range<Second>) -> Result<Fetched, FeedError> {
        self.asked.lock().unwrap().push((symbols.to_vec(), minutes.clone()));
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if let Some(error) = self.failure.lock().unwrap().clone() {
            return Err(error);
        }
        let mut failed = self.failed.lock().unwrap().clone();
        failed.retain(|(symbol, _)| symbols.contains(symbol));
        let is_known = |(_, error): &(Symbol, FeedError)| error.kind != FeedErrorKind::NotFound;
        if failed.len() == symbols.len() && failed.iter().all(is_known) {
            return Err(failed.remove(0).1);
        }
        let bars = self.bars.lock().unwrap();
        let wanted = |bar: &&Bar| symbols.contains(&bar.symbol) && minutes.contains(&bar.start);
        let bars =
            bars.iter().filter(wanted).filter(|bar| failed.iter().all(|(name, _)| *name != bar.symbol));
        Ok(Fetched { bars: bars.copied().collect(), failed: failed.clone(), ..Fetched::default() })
    }

    async fn splits(&self, _: &[Symbol], days: RangeInclusive<Date>) -> Result<Vec<Split>, FeedError> {
        if let Some(error) = self.splits_failure.lock().unwrap().clone() {
            return Err(error);
        }
        Ok(self
            .splits
            .lock()
            .unwrap()
            .iter()
            .filter(|split| days.contains(&split.ex_date))
            .copied()
            .collect())
    }

    fn has_history(&self) -> bool {
        self.has_history
    }

    fn stream(&self, _: &[Symbol]) -> Option<mpsc::Receiver<StreamEvent>> {
        self.streams.fetch_add(1, Ordering::SeqCst);
        self.stream.lock().unwrap().take()
    }

    async fn check(&self, _: Symbol) -> Result<String, FeedError> {
        match self.failure.lock().unwrap().clone() {
            Some(error) => Err(error),
            None => Ok("fake".to_owned()),
        }
    }
}

pub(crate) struct World {
    pub(crate) clock: Arc<SetClock>,
    pub(crate) watchlist: Arc<Watchlist>,
    pub(crate) calendar: Arc<Calendar>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) store: Arc<dyn Store>,
    _folder: TempDir,
}

impl World {
    pub(crate) async fn new(market: Market) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("test.db").display());
        Self {
            clock: Arc::new(SetClock::new(at(MONDAY))),
            watchlist: Arc::new(Watchlist::new([symbol("AAPL"), symbol("NVDA")], []).unwrap()),
            calendar: Arc::new(Calendar::new(market, false, [])),
            metrics: Arc::new(Metrics::register(&mut Registry::default())),
            store: qqq_store::open(&url).await.unwrap(),
            _folder: folder,
        }
    }

    pub(crate) fn ingest(&self) -> (Ingest, mpsc::Receiver<Step>) {
        let (steps, taken) = mpsc::channel(1_000);
        let ingest = Ingest {
            watchlist: Arc::clone(&self.watchlist),
            calendar: Arc::clone(&self.calendar),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            metrics: Arc::clone(&self.metrics),
            steps,
        };
        (ingest, taken)
    }
}
