//! The embedded store: the rules of every store, and what only a file can do.

use jiff::SignedDuration;
use qqq_core::delivery::places::Rooms;
use qqq_core::delivery::{Failure, Outcome};
use qqq_core::market::watchlist::WatchlistEdit;
use qqq_core::subscription::SubscriptionStatus;
use qqq_core::subscription::token::Purpose;
use qqq_core::{Price, Second};
use qqq_store::conformance::{
    MINUTE, PLENTY, UNLIMITED, alert, alerts_of, ask, at, bar, bars_of, sign_up, symbol,
};
use qqq_store::{
    AlertChange, BarRecord, Sequence, SignUp, SignUpLimits, Store, StoreError, WatchlistEdits,
    look_at_watchlist, open,
};
use sha2::{Digest as _, Sha256};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::slice;
use std::sync::Arc;
use tempfile::TempDir;

mod damage;
mod earlier;

use earlier::of_the_first_schema;

mod conformance {
    use super::{another, fresh};

    qqq_store::store_conformance!(fresh, another);
}

pub(crate) async fn fresh() -> (Arc<dyn Store>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (open(&url(&folder)).await.unwrap(), folder)
}

/// The same file, opened once more.
async fn another(folder: &TempDir) -> Arc<dyn Store> {
    open(&url(folder)).await.unwrap()
}

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("new/folder/store.db")
}

fn url(folder: &TempDir) -> String {
    format!("sqlite://{}", file(folder).display())
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", file.display()))
}

/// A connection behind the store's back.
async fn raw(folder: &TempDir) -> SqliteConnection {
    SqliteConnectOptions::new().filename(file(folder)).create_if_missing(true).connect().await.unwrap()
}

async fn reason_of_refusal(url: &str) -> String {
    match open(url).await {
        Err(error) => error.to_string(),
        Ok(_) => panic!("{url} was opened"),
    }
}

#[tokio::test]
async fn only_plain_files_are_opened() {
    for (url, expected) in [
        ("sqlite://", "no file is named"),
        ("sqlite://data/", "no file is named"),
        ("sqlite://data/x.db?mode=memory", "options after `?`"),
        ("sqlite://:memory:", "plain file"),
        ("sqlite://file:x.db", "plain file"),
        ("sqlite:/data/x.db", "must begin with sqlite://"),
        ("mysql://host/db", "`mysql` is not a store"),
        ("postgres://host/db", "no postgres store"),
    ] {
        let reason = reason_of_refusal(url).await;
        assert!(reason.contains(expected), "{url}: {reason}");
    }
    let folder = tempfile::tempdir().unwrap();
    let reason = reason_of_refusal(&format!("sqlite://{}", folder.path().display())).await;
    assert!(reason.starts_with("cannot open"), "{reason}");
}

#[tokio::test]
async fn folder_and_file_are_made_and_only_the_owner_reads_them() {
    let (store, folder) = fresh().await;
    store.commit(&bars_of([bar("TSLA", MINUTE, 100)]), at(0)).await.unwrap();
    #[cfg(unix)]
    for suffix in ["", "-wal", "-shm"] {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(beside(&file(&folder), suffix)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "store.db{suffix}");
    }
    let line = store.describe();
    assert!(line.starts_with("SQLite 3.") && line.contains("WAL, synchronous FULL"), "{line}");
    assert!(line.ends_with("store.db"), "{line}");
}

#[tokio::test]
async fn what_was_committed_is_there_after_closing_and_without_closing() {
    let (store, folder) = fresh().await;
    let bars: Vec<BarRecord> = (0..100).map(|n| bar("TSLA", MINUTE.plus_minutes(n), 100)).collect();
    store.commit(&bars_of(bars.iter().copied()), at(0)).await.unwrap();
    assert!(std::fs::metadata(beside(&file(&folder), "-wal")).unwrap().len() > 0);
    // A second process looks on while the first has not closed.
    let second = open(&url(&folder)).await.unwrap();
    assert_eq!(second.recent_bars(&[symbol("TSLA")], 86_400).await.unwrap(), bars);
    second.close().await;
    store.close().await;
    assert!(!beside(&file(&folder), "-wal").exists(), "the log was left behind");
    let third = open(&url(&folder)).await.unwrap();
    assert_eq!(third.recent_bars(&[symbol("TSLA")], 86_400).await.unwrap(), bars);
    assert_eq!(third.sequence().await.unwrap(), Sequence(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_processes_may_start_at_once_on_a_new_file() {
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        let opening: Vec<_> = (0..8)
            .map(|_| {
                tokio::spawn({
                    let url = url(&folder);
                    async move { open(&url).await.map(|_| ()) }
                })
            })
            .collect();
        for opened in opening {
            opened.await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn the_worker_lock_holds_between_stores_and_names_the_process() {
    let (first, folder) = fresh().await;
    let second = open(&url(&folder)).await.unwrap();
    let held = first.lock_worker().await.unwrap();
    let Err(error @ StoreError::WorkerRunning(_)) = second.lock_worker().await else {
        panic!("two workers");
    };
    assert!(error.to_string().contains(&format!("(process {})", std::process::id())), "{error}");
    assert!(error.to_string().contains("store.db"), "{error}");
    drop(held);
    second.lock_worker().await.unwrap();
}

/// What lies in a store's folder.
fn listing(folder: &TempDir) -> Vec<(std::ffi::OsString, Vec<u8>)> {
    let files = std::fs::read_dir(file(folder).parent().unwrap()).unwrap().map(Result::unwrap);
    let mut found: Vec<_> =
        files.map(|entry| (entry.file_name(), std::fs::read(entry.path()).unwrap())).collect();
    found.sort();
    found
}

#[tokio::test]
async fn who_looks_at_the_watchlist_leaves_the_store_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    assert!(look_at_watchlist(&url(&folder)).await.is_err(), "nothing is there");
    assert!(!file(&folder).exists(), "nor is it now");
    of_the_first_schema(&folder).await;
    let before = listing(&folder);
    let found = look_at_watchlist(&url(&folder)).await.unwrap();
    assert_eq!((found.edits, found.schema), (WatchlistEdits::default(), 1));
    assert!(found.newest_schema > 1);
    let after = listing(&folder);
    // A reader of a log makes one where there is none, which is empty.
    let of_old = |(name, bytes): &&(std::ffi::OsString, Vec<u8>)| {
        !bytes.is_empty() && before.iter().any(|(old, _)| old == name)
    };
    assert_eq!(after.iter().filter(of_old).collect::<Vec<_>>(), before.iter().collect::<Vec<_>>());

    let store = open(&url(&folder)).await.unwrap();
    let edits = [WatchlistEdit { symbol: symbol("AMD"), tracked: true }];
    assert!(store.edit_watchlist(&edits, 0).await.unwrap());
    let names = BTreeMap::from([(symbol("AMD"), "A name".to_owned())]);
    store.keep_symbol_names(&names, jiff::Timestamp::UNIX_EPOCH).await.unwrap();
    let _worker = store.lock_worker().await.unwrap();
    let expected = store.watchlist_edits().await.unwrap();
    let running = look_at_watchlist(&url(&folder)).await.unwrap();
    assert_eq!((running.edits, running.schema), (expected.clone(), found.newest_schema));
    assert_eq!((found.names, running.names), (BTreeMap::new(), names));
    store.close().await;
    assert_eq!(look_at_watchlist(&url(&folder)).await.unwrap().edits, expected);
    open(&url(&folder)).await.unwrap().check().await.unwrap();
}

#[tokio::test]
async fn suppressed_addresses_are_not_written_to_and_nobody_can_tell() {
    let (store, folder) = fresh().await;
    let open_sign_up = SignUp { confirm: false, ..sign_up(1, "Ada@Example.com", "TSLA") };
    store.subscribe(slice::from_ref(&open_sign_up), UNLIMITED, at(-3600)).await.unwrap();
    store.commit(&alerts_of([AlertChange::Raised(alert("TSLA", MINUTE))]), at(0)).await.unwrap();
    let mut connection = raw(&folder).await;
    sqlx::query("insert into suppressions (address_hash, reason, created_at) values (?, 'bounced', ?)")
        .bind(Sha256::digest(b"ada@example.com").to_vec())
        .bind(at(0).as_microsecond())
        .execute(&mut connection)
        .await
        .unwrap();
    // What was owed before is cancelled, nothing more is enqueued.
    assert!(store.claim(at(1), at(30), Rooms::for_anybody(9), PLENTY).await.unwrap().is_empty());
    let next = alerts_of([AlertChange::Raised(alert("TSLA", MINUTE.plus_minutes(1)))]);
    assert_eq!(store.commit(&next, at(60)).await.unwrap().deliveries, 0);
    assert!(!ask(&store, &sign_up(2, "ada@example.com", "AAPL"), UNLIMITED, at(61)).await);
    assert!(store.claim(at(62), at(90), Rooms::for_anybody(9), PLENTY).await.unwrap().is_empty());
    let summary = store.outbox().await.unwrap();
    assert_eq!((summary.pending, summary.cancelled), (0, 1));
    // The sign-up is kept like any other.
    let token = sign_up(2, "ada@example.com", "AAPL").hashes.manage;
    let kept = store.subscription_of(Purpose::Manage, &token).await.unwrap().unwrap();
    assert_eq!(kept.status, SubscriptionStatus::Pending);
}

#[tokio::test]
async fn a_suppressed_address_is_kept_as_a_hash_and_forgotten_when_it_lapses() {
    let (store, folder) = fresh().await;
    let asked = SignUp { confirm: false, ..sign_up(1, "Ada@Example.com", "TSLA") };
    store.subscribe(slice::from_ref(&asked), UNLIMITED, at(-3600)).await.unwrap();
    for n in 0..3 {
        let raised = alerts_of([AlertChange::Raised(alert("TSLA", MINUTE.plus_minutes(n)))]);
        store.commit(&raised, at(0)).await.unwrap();
        let claimed = store.claim(at(1), at(30), Rooms::for_anybody(9), PLENTY).await.unwrap();
        let refused = Outcome::Failed(Failure::other("550 5.1.1 ada@example.com"));
        assert!(store.settle(claimed[0].id, claimed[0].lease, &refused, at(2)).await.unwrap());
    }
    let mut connection = raw(&folder).await;
    let kept: Vec<(Vec<u8>, String, i64)> =
        sqlx::query_as("select address_hash, reason, created_at from suppressions")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    let hash = Sha256::digest(b"ada@example.com").to_vec();
    assert_eq!(kept, [(hash, "refused several times in a row".to_owned(), at(2).as_microsecond())]);
    let month = SignedDuration::from_hours(30 * 24);
    let before = at(2) + month - SignedDuration::from_micros(1);
    assert_eq!(store.forget(before, 100).await.unwrap(), 0);
    assert_eq!(store.forget(at(2) + month, 100).await.unwrap(), 1);
}

/// A sign-up that wrote less, or nothing, would be answered sooner: anybody with a watch could ask who
/// subscribes.
#[tokio::test]
async fn every_sign_up_writes_as_much_whoever_asks() {
    let (store, folder) = fresh().await;
    let mut connection = raw(&folder).await;
    let log = || std::fs::metadata(beside(&file(&folder), "-wal")).unwrap().len();
    let suppressed = Sha256::digest(b"ada@example.org").to_vec();
    sqlx::query("insert into suppressions (address_hash, reason, created_at) values (?, 'bounced', ?)")
        .bind(suppressed)
        .bind(at(0).as_microsecond())
        .execute(&mut connection)
        .await
        .unwrap();
    let ada = sign_up(1, "ada@example.com", "TSLA");
    let open = |asked: &SignUp| SignUp { confirm: false, ..asked.clone() };
    let mut written = Vec::new();
    for (case, asked) in [
        ("new", ada.clone()),
        ("known and throttled", ada.clone()),
        ("suppressed", sign_up(2, "ada@example.org", "TSLA")),
        ("activated", open(&ada)),
        ("active", ada.clone()),
        ("active, in the same moment", ada.clone()),
        ("another address", sign_up(3, "eve@example.com", "TSLA")),
    ] {
        let before = log();
        store.subscribe(slice::from_ref(&asked), SignUpLimits::default(), at(1)).await.unwrap();
        if asked.confirm {
            written.push((case, log() - before));
        }
        store.take_in(SignUpLimits::default(), at(1)).await.unwrap();
    }
    assert!(written[0].1 > 0 && written.iter().all(|(_, bytes)| *bytes == written[0].1), "{written:?}");
}

#[tokio::test]
async fn a_store_that_another_process_writes_to_for_too_long_is_busy() {
    let (store, folder) = fresh().await;
    let mut connection = raw(&folder).await;
    let write = connection.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let error = store.commit(&bars_of([bar("TSLA", MINUTE, 100)]), at(0)).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    // Readers do not wait.
    assert_eq!(store.sequence().await.unwrap(), Sequence(0));
    write.rollback().await.unwrap();
    store.commit(&bars_of([bar("TSLA", MINUTE, 100)]), at(0)).await.unwrap();
}

/// Prints how long a year of one symbol takes either way; the ratio is what matters.
#[tokio::test]
#[ignore = "a measurement, to be run with --release"]
async fn a_year_of_one_symbol_is_read_fast() {
    let (store, _folder) = fresh().await;
    for day in 0..252 {
        let bars = (0..390).map(|n| {
            let mut record = bar("TSLA", MINUTE.plus_minutes(day * 1440 + n), 30_000 + i64::from(n * 7 % 90));
            let away =
                |cents: i64| Price::from_nanos(record.bar.close.nanos() + cents * 10_000_000 + 1).unwrap();
            (record.bar.open, record.bar.high) = (away(-3), away(31));
            (record.bar.low, record.bar.vwap) = (away(-27), Some(away(2)));
            record.bar.trades = Some(1234);
            record
        });
        store.commit(&bars_of(bars), at(0)).await.unwrap();
    }
    let every = Second::MIN..Second::MAX;
    for _ in 0..5 {
        let begin = std::time::Instant::now();
        let bars = store.bars(symbol("TSLA"), every.clone(), usize::MAX).await.unwrap();
        let middle = std::time::Instant::now();
        let history = store.history(symbol("TSLA"), every.clone(), usize::MAX).await.unwrap();
        println!("bars {:?}, history {:?}", middle - begin, middle.elapsed());
        assert_eq!((bars.len(), history.len()), (98_280, 98_280));
    }
}
