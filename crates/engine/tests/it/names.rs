//! When names of symbols are asked for, and what becomes of them.

use async_trait::async_trait;
use jiff::Timestamp;
use qqq_core::Symbol;
use qqq_engine::names::{AGAIN, EVERY, FIRST, run};
use qqq_feed::{Directory, FeedError, FeedErrorKind, NameSource};
use qqq_store::{NameStore, StoreError, SymbolNames};
use qqq_testkit::SetClock;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

type Answer = Result<Directory, FeedErrorKind>;

/// Answers the next of a list, and then never.
#[derive(Default)]
struct Source {
    answers: Mutex<Vec<Answer>>,
    asked: AtomicUsize,
}

#[async_trait]
impl NameSource for Source {
    fn provider(&self) -> &'static str {
        "fake"
    }

    async fn names(&self) -> Result<Directory, FeedError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let next = self.answers.lock().unwrap().pop();
        match next {
            Some(answer) => answer.map_err(|kind| FeedError::new(kind, "no")),
            None => std::future::pending().await,
        }
    }
}

#[derive(Default)]
struct Kept {
    names: Mutex<SymbolNames>,
    fails: AtomicBool,
}

impl Kept {
    fn ok(&self) -> Result<(), StoreError> {
        if self.fails.load(Ordering::SeqCst) { Err(StoreError::Busy) } else { Ok(()) }
    }
}

#[async_trait]
impl NameStore for Kept {
    async fn symbol_names(&self) -> Result<SymbolNames, StoreError> {
        Ok(self.names.lock().unwrap().clone())
    }

    async fn symbol_names_told(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.names.lock().unwrap().told)
    }

    async fn keep_symbol_names(
        &self,
        names: &BTreeMap<Symbol, String>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.ok()?;
        *self.names.lock().unwrap() = SymbolNames { told: Some(at), names: names.clone() };
        Ok(())
    }
}

struct World {
    store: Arc<Kept>,
    source: Arc<Source>,
    clock: Arc<SetClock>,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl World {
    /// Runs over these answers, the first one first.
    fn of(store: Kept, mut answers: Vec<Answer>) -> Self {
        answers.reverse();
        let (store, clock) = (Arc::new(store), Arc::new(SetClock::at("2025-01-27T15:00:00Z")));
        let source = Arc::new(Source { answers: Mutex::new(answers), asked: AtomicUsize::new(0) });
        let stop = CancellationToken::new();
        let running = tokio::spawn(run(store.clone(), source.clone(), clock.clone(), stop.clone()));
        Self { store, source, clock, stop, running }
    }

    /// Lets time pass, on the clock too. Answers how often the source was asked by then.
    async fn pass(&self, time: Duration) -> usize {
        use qqq_core::Clock as _;
        tokio::task::yield_now().await;
        self.clock.set(self.clock.now() + time);
        tokio::time::sleep(time).await;
        self.source.asked.load(Ordering::SeqCst)
    }

    fn name(&self) -> Option<String> {
        self.store.names.lock().unwrap().names.get(&symbol()).cloned()
    }
}

fn symbol() -> Symbol {
    "AAPL".parse().unwrap()
}

fn named(name: &str) -> Directory {
    Directory { names: BTreeMap::from([(symbol(), name.to_owned())]), refused: 1 }
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn names_are_asked_for_a_little_after_the_start_and_then_once_a_day() {
    let world = World::of(Kept::default(), vec![Ok(named("Apple")), Ok(named("Apple Inc."))]);
    assert_eq!(world.pass(FIRST - SECOND).await, 0, "bars come first");
    assert_eq!(world.pass(SECOND * 2).await, 1);
    assert_eq!(world.name().as_deref(), Some("Apple"));
    assert_eq!(world.pass(EVERY - SECOND * 5).await, 1);
    assert_eq!(world.pass(SECOND * 10).await, 2);
    assert_eq!(world.name().as_deref(), Some("Apple Inc."));
    world.stop.cancel();
    world.running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_restart_asks_only_once_the_names_are_a_day_old() {
    let told = |at: &str| SymbolNames { told: Some(at.parse().unwrap()), names: BTreeMap::new() };
    for (at, wait) in [
        ("2025-01-27T14:00:00Z", EVERY - Duration::from_secs(60 * 60)),
        ("2025-01-26T14:00:00Z", FIRST),
        // The clock was set back.
        ("2025-01-28T15:00:00Z", FIRST),
    ] {
        let kept = Kept { names: Mutex::new(told(at)), ..Kept::default() };
        let world = World::of(kept, vec![Ok(named("Apple"))]);
        assert_eq!(world.pass(wait - SECOND).await, 0, "{at}");
        assert_eq!(world.pass(SECOND * 3).await, 1, "{at}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_fails_leaves_the_names_and_is_tried_again_later() {
    for (answer, pause) in [
        (Err(FeedErrorKind::Transient), AGAIN),
        (Err(FeedErrorKind::Unreadable), AGAIN),
        (Err(FeedErrorKind::Auth), EVERY),
        (Err(FeedErrorKind::NotEntitled), EVERY),
        (Ok(Directory { refused: 9, ..Directory::default() }), EVERY),
    ] {
        let old = SymbolNames { told: Some(Timestamp::UNIX_EPOCH), names: named("Old").names };
        let kept = Kept { names: Mutex::new(old), ..Kept::default() };
        let world = World::of(kept, vec![answer.clone(), Ok(named("Apple"))]);
        assert_eq!(world.pass(FIRST + SECOND).await, 1);
        assert_eq!(world.pass(pause - SECOND * 5).await, 1, "{answer:?}");
        assert_eq!(world.name().as_deref(), Some("Old"), "{answer:?}");
        assert_eq!(world.pass(SECOND * 10).await, 2, "{answer:?}");
        assert_eq!(world.name().as_deref(), Some("Apple"), "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_takes_nothing_ends_nothing() {
    let kept = Kept { fails: AtomicBool::new(true), ..Kept::default() };
    let world = World::of(kept, vec![Ok(named("Lost")), Ok(named("Apple"))]);
    assert_eq!(world.pass(FIRST + SECOND).await, 1);
    assert_eq!(world.name(), None);
    world.store.fails.store(false, Ordering::SeqCst);
    assert_eq!(world.pass(AGAIN).await, 2);
    assert_eq!(world.name().as_deref(), Some("Apple"));
}

#[tokio::test(start_paused = true)]
async fn who_stops_waits_for_no_answer() {
    let world = World::of(Kept::default(), Vec::new());
    assert_eq!(world.pass(FIRST + SECOND).await, 1, "under way");
    world.stop.cancel();
    tokio::time::timeout(SECOND, world.running).await.unwrap().unwrap();
}
