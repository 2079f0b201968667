//! The file as a whole: durability, and the plans of frequent queries.

use super::connections::{options, reader_pool};
use super::failure::{Failure, failure};
use super::store::{Broken, Sqlite};
use super::{
    admin, alerts, apply, bars, blocks, claim, confirmations, enqueue, housekeeping, limits, open_bars,
    outbox, rows, schema, sessions, sign_up, subscriptions, watching,
};
use crate::StoreError;
use crate::conformance::{MINUTE, UNLIMITED, alert, alerts_of, at, bar, bars_of, own_rule, sign_up};
use crate::{AlertChange, BarStore as _, Housekeeping as _, Sequence, SignUp, SubscriptionStore as _};
use qqq_core::alert::Visibility;
use qqq_core::{Alert, AlertId, RuleName, SpikeRule};
use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

async fn fresh() -> (Sqlite, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db").display().to_string();
    (Sqlite::open(&path).await.unwrap(), folder)
}

#[tokio::test]
async fn a_full_disk_fails_the_commit_and_nothing_else() {
    let (store, _folder) = fresh().await;
    store.commit(&bars_of([bar("TSLA", MINUTE, 100)]), at(0)).await.unwrap();
    // As if the disk had room for a few pages more.
    sqlx::query("pragma max_page_count = 60").fetch_one(&store.writer).await.unwrap();
    let many = bars_of((0..20_000).map(|n| bar("TSLA", MINUTE.plus_minutes(n), 100)));
    let error = store.commit(&many, at(1)).await.unwrap_err();
    assert!(matches!(&error, StoreError::NoRoom(reason) if reason.contains("full")), "{error:?}");
    assert!(error.is_transient());
    assert_eq!(store.sequence().await.unwrap(), Sequence(1));
    // When there is room again, it goes on.
    sqlx::query("pragma max_page_count = 1000000").fetch_one(&store.writer).await.unwrap();
    assert_eq!(store.commit(&many, at(2)).await.unwrap().sequence, Sequence(2));
    store.writable().await.unwrap();
    store.check().await.unwrap();
}

#[tokio::test]
async fn a_file_that_became_read_only_is_like_a_full_disk() {
    let (store, _folder) = fresh().await;
    sqlx::query("pragma query_only = on").execute(&store.writer).await.unwrap();
    let error = store.commit(&bars_of([bar("TSLA", MINUTE, 100)]), at(0)).await.unwrap_err();
    assert!(matches!(&error, StoreError::NoRoom(reason) if reason.contains("read-only")), "{error:?}");
    sqlx::query("pragma query_only = off").execute(&store.writer).await.unwrap();
    store.commit(&bars_of([bar("TSLA", MINUTE, 100)]), at(0)).await.unwrap();
}

#[tokio::test]
async fn a_transaction_that_sqlite_ended_by_itself_does_not_end_writing() {
    let (store, _folder) = fresh().await;
    let mut write = store.begin().await.unwrap();
    sqlx::query("insert into notes values ('lost', '')").execute(&mut *write).await.unwrap();
    sqlx::query("rollback").execute(&mut *write).await.unwrap();
    assert!(store.finish(write).await.is_err());
    store.commit(&bars_of([bar("TSLA", MINUTE, 100)]), at(0)).await.unwrap();
    assert_eq!(store.note("lost").await.unwrap(), None);
}

#[tokio::test]
async fn a_write_that_is_dropped_half_way_leaves_no_trace() {
    let (store, _folder) = fresh().await;
    let mut write = store.begin().await.unwrap();
    sqlx::query("insert into notes values ('lost', '')").execute(&mut *write).await.unwrap();
    drop(write);
    assert_eq!(store.note("lost").await.unwrap(), None);
    store.set_note("kept", "").await.unwrap();
    assert_eq!(store.note("lost").await.unwrap(), None);
}

#[tokio::test]
async fn a_failed_sync_ends_all_writing_but_not_reading() {
    let (store, _folder) = fresh().await;
    assert!(store.broken.set(Broken::Disk("injected".to_owned())).is_ok());
    let error = store.commit(&bars_of([bar("TSLA", MINUTE, 100)]), at(0)).await.unwrap_err();
    assert!(matches!(&error, StoreError::SyncFailed(reason) if reason.contains("injected")), "{error:?}");
    assert!(!error.is_transient());
    assert_eq!(store.sequence().await.unwrap(), Sequence(0));
    assert!(store.check().await.is_err() && store.writable().await.is_err() && store.intact().is_err());
}

#[tokio::test]
async fn every_connection_runs_with_the_settings_that_make_commits_durable() {
    let (store, _folder) = fresh().await;
    for (pragma, writer, reader) in [
        ("pragma journal_mode", "wal", "wal"),
        ("pragma synchronous", "2", "2"),
        ("pragma foreign_keys", "1", "1"),
        ("pragma mmap_size", "0", "0"),
        ("pragma busy_timeout", "5000", "5000"),
        ("pragma wal_autocheckpoint", "1000", "1000"),
        ("pragma query_only", "0", "1"),
    ] {
        for (pool, expected) in [(&store.writer, writer), (&store.readers, reader)] {
            let row = sqlx::query(pragma).fetch_one(pool).await.unwrap();
            let value = rows::Columns::new(&row, "pragma").take::<String>().or_else(|_| {
                rows::Columns::new(&row, "pragma").take::<i64>().map(|number| number.to_string())
            });
            assert_eq!(value.unwrap(), expected, "{pragma}");
        }
    }
    assert!(sqlx::query("delete from bars").execute(&store.readers).await.is_err());
}

/// Else it would keep the log growing for as long as it reads.
#[tokio::test]
async fn a_read_that_does_not_end_is_ended() {
    let (store, _folder) = fresh().await;
    let readers = reader_pool(store.files.named(), Duration::from_millis(50));
    let endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n";
    for _ in 0..2 {
        let error = sqlx::query(endless).fetch_one(&readers).await.unwrap_err();
        assert!(matches!(failure(&error), Failure::Interrupted), "{error:?}");
        // The connection is as good as new.
        sqlx::query("select sequence from history").fetch_one(&readers).await.unwrap();
    }
    readers.close().await;
}

#[tokio::test]
async fn a_file_too_large_to_be_looked_through_in_time_is_said_to_be() {
    let (store, _folder) = fresh().await;
    let many = bars_of((0..20_000).map(|n| bar("TSLA", MINUTE.plus_minutes(n), 100)));
    store.commit(&many, at(0)).await.unwrap();
    assert!(!store.quick_check(Duration::ZERO).await.unwrap());
    assert!(store.quick_check(Duration::from_secs(600)).await.unwrap());
}

#[tokio::test]
async fn a_connection_without_those_settings_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.db");
    let wal = options(&file).create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
    for (options, sound) in [
        (wal.clone().synchronous(SqliteSynchronous::Full), true),
        (wal.clone().synchronous(SqliteSynchronous::Extra), true),
        (wal.clone().synchronous(SqliteSynchronous::Normal), false),
        (wal.clone().synchronous(SqliteSynchronous::Off), false),
        (wal.clone().synchronous(SqliteSynchronous::Full).foreign_keys(false), false),
        (wal.synchronous(SqliteSynchronous::Full).journal_mode(SqliteJournalMode::Delete), false),
    ] {
        let mut connection = options.connect().await.unwrap();
        assert_eq!(schema::check_durability(&mut connection).await.is_ok(), sound, "{options:?}");
        connection.close().await.unwrap();
    }
}

/// What a page of a receiver's alerts costs, in steps of SQLite's machine.
async fn steps_of_a_page(store: &Sqlite, private_only: bool) -> u64 {
    let steps = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&steps);
    let mut connection = store.writer.acquire().await.unwrap();
    connection.lock_handle().await.unwrap().set_progress_handler(1, move || {
        counted.fetch_add(1, Relaxed);
        true
    });
    let found = sqlx::query(alerts::OF_RECEIVER)
        .bind("s1@example.com")
        .bind(10)
        .bind(i64::MAX)
        .bind("")
        .bind(i64::MIN)
        .bind(None::<String>)
        .bind(None::<String>)
        .bind(private_only)
        .fetch_all(&mut *connection)
        .await
        .unwrap();
    assert_eq!(found.len(), 10);
    connection.lock_handle().await.unwrap().remove_progress_handler();
    steps.load(Relaxed)
}

#[tokio::test]
async fn a_page_of_a_receivers_alerts_costs_the_same_however_many_there_are() {
    let (store, _folder) = fresh().await;
    for (n, (name, rule)) in (1..).zip([("*", RuleName::House), ("*", own_rule()), ("TSLA", own_rule())]) {
        let wish = SignUp { confirm: false, rule, ..sign_up(n, "s1@example.com", name) };
        store.subscribe(&[wish], UNLIMITED, at(-60)).await.unwrap();
    }
    let raised = |minutes: std::ops::Range<i32>| {
        alerts_of(minutes.flat_map(|n| {
            let house = alert("TSLA", MINUTE.plus_minutes(n));
            let id = AlertId::derive(own_rule(), house.symbol, house.metric, house.start);
            let (rule, visibility) = (own_rule().whole(SpikeRule::default()), Visibility::Private);
            let own = Alert { id, rule, visibility, ..house.clone() };
            [AlertChange::Raised(house), AlertChange::Raised(own)]
        }))
    };
    store.commit(&raised(0..50), at(0)).await.unwrap();
    let few = [steps_of_a_page(&store, false).await, steps_of_a_page(&store, true).await];
    store.commit(&raised(50..1500), at(1)).await.unwrap();
    let many = [steps_of_a_page(&store, false).await, steps_of_a_page(&store, true).await];
    for (few, many) in few.into_iter().zip(many) {
        assert!(many < few + few / 2, "{few} steps became {many}");
    }
}

/// How SQLite would run a query: the steps of its plan.
async fn plan(store: &Sqlite, query: &str) -> Vec<String> {
    let explain = sqlx::AssertSqlSafe(format!("explain query plan {query}"));
    let steps = sqlx::query(explain).fetch_all(&store.writer).await.unwrap();
    steps.iter().map(|step| sqlx::Row::get::<String, _>(step, "detail")).collect()
}

/// The queries that run every few seconds on tables that only grow, each with the part of an index it must
/// be confined to.
#[tokio::test]
async fn frequent_queries_find_their_index() {
    let (store, _folder) = fresh().await;
    for (query, index) in [
        (claim::CANDIDATES, "deliveries_due (channel=? AND <expr><?)"),
        (claim::CANDIDATES, "deliveries_under_way"),
        (claim::LEDGER, "deliveries_under_way (address_hash=? AND lease_until>?)"),
        (claim::LEDGER, "deliveries_answered (address_hash=? AND settled_at>?)"),
        (apply::DEFER, "deliveries_by_recipient (address_hash=? AND state=?)"),
        (claim::DEFERRED, "deliveries_by_recipient (address_hash=? AND state=?)"),
        (claim::BUNDLED, "deliveries_by_digest (digest=?)"),
        (outbox::RELEASE, "deliveries_due"),
        (outbox::SUMMARY, "deliveries_by_state (state=?)"),
        (outbox::ANSWERED, "deliveries_answered (address_hash=?)"),
        (housekeeping::FORGET[0].0, "deliveries_settled (settled_at<?)"),
        (housekeeping::FORGET[1].0, "subscriptions_pending (confirm_by<?)"),
        (housekeeping::FORGET[2].0, "subscriptions_pending (confirm_by<?)"),
        (housekeeping::FORGET[3].0, "subscriptions_ended (ended_at<?)"),
        (housekeeping::FORGET[4].0, "subscriptions_ended (ended_at<?)"),
        (housekeeping::FORGET[5].0, "suppressions_by_age (created_at<?)"),
        (housekeeping::FORGET[6].0, "sessions_by_age (expires_at<?)"),
        (housekeeping::FORGET[7].0, "sign_ins_by_age (asked_at<?)"),
        (sessions::WORK, "sign_ins_waiting (not_before<?)"),
        (sessions::WAITING, "sign_ins_by_age (asked_at>?)"),
        (sessions::DUE, "sign_ins_due (<expr><?)"),
        (sessions::UNDER_WAY, "sign_ins_due (<expr>>?)"),
        (sessions::RELEASE, "sign_ins_due"),
        (sessions::ERASE[0], "sign_ins_of_address (address=?)"),
        (sessions::ERASE[1], "sessions_of_address (address=?)"),
        (subscriptions::ACTIVE_OF, "subscriptions_by_address (address=?)"),
        (
            alerts::OF_RECEIVER,
            "alerts_by_rule_symbol_metric (rule=? AND symbol=? AND metric=? AND start>? \
             AND (start,id)<(?,?))",
        ),
        (
            alerts::OF_RECEIVER,
            "public_alerts_by_rule_metric (rule=? AND metric=? AND start>? AND (start,id)<(?,?))",
        ),
        (
            alerts::OF_RECEIVER,
            "private_alerts_by_rule_symbol_metric (rule=? AND symbol=? AND metric=? AND start>? \
             AND (start,id)<(?,?))",
        ),
        (
            alerts::OF_RECEIVER,
            "private_alerts_by_rule_metric (rule=? AND metric=? AND start>? AND (start,id)<(?,?))",
        ),
        (enqueue::CONCERNED, "subscriptions_active (symbol=? AND metric=? AND rule=? AND active_from<?)"),
        (watching::WATCHED, "subscriptions_watched"),
        (limits::HELD, "subscriptions_by_address (address=?)"),
        (limits::IN_FORCE, "subscriptions_watched"),
        (admin::OF_ADDRESS, "subscriptions_by_address (address=? AND id>?)"),
        (admin::IN_STATE, "deliveries_by_state (state=? AND (created_at,id)<(?,?))"),
        (
            admin::IN_STATE_TO,
            "deliveries_by_recipient (address_hash=? AND state=? AND (created_at,id)<(?,?))",
        ),
        (confirmations::SENT_SINCE, "deliveries_confirming (created_at>?)"),
        (sign_up::WORK, "confirmations_waiting_due (not_before<?)"),
        (sign_up::WAITING, "confirmations_waiting_of_domain (domain=?)"),
        (sign_up::WAITING, "confirmations_waiting_by_age (asked_at>?)"),
        (confirmations::SENT_TO, "subscriptions_by_throttle_key (throttle_key=?)"),
        (confirmations::PENDING_OF, "subscriptions_by_address (address=?)"),
        (open_bars::AFTER, "bars_by_sequence ((sequence,symbol,start)>(?,?,?) AND sequence<?)"),
        (open_bars::BY_COMMIT, "bars_by_sequence (sequence>?)"),
        (blocks::OVERLAPPING, "sqlite_autoindex_blocks_1 (symbol=? AND first>? AND first<?)"),
        (blocks::LAST, "sqlite_autoindex_blocks_1 (symbol=? AND first>? AND first<?)"),
        (blocks::RECENT, "sqlite_autoindex_blocks_1 (symbol=? AND first>?)"),
        (blocks::CHANGED, "blocks_by_sequence (newest_sequence>?)"),
        (blocks::IN_PARTS, "blocks_by_last (last>? AND last<?)"),
        (blocks::ASTRAY, "sqlite_autoindex_blocks_1 (symbol=? AND first=?)"),
        (blocks::OLD, "blocks_by_last (last<?)"),
        (blocks::FIRST_END, "blocks_by_last (last>?)"),
        (blocks::EXTENT, "blocks_by_last (last>? AND last<?)"),
        (blocks::SYMBOLS, "blocks_by_last (last>? AND last<?)"),
        (bars::STATISTICS_AFTER, "statistics_by_sequence ((sequence,symbol)>(?,?) AND sequence<?)"),
        (bars::ALERTS_AFTER, "alerts_by_sequence ((sequence,id)>(?,?) AND sequence<?)"),
        (alerts::ALL, "alerts_by_start (start>? AND (start,id)<(?,?))"),
        (
            alerts::OF_RULE_SYMBOL_METRIC,
            "alerts_by_rule_symbol_metric (rule=? AND symbol=? AND metric=? AND start>? \
             AND (start,id)<(?,?))",
        ),
        (alerts::COUNT, "alerts_by_rule_symbol_metric (rule=? AND symbol=? AND metric=? AND start=?)"),
        (alerts::RETRACT, "alerts_by_rule_symbol_metric (rule=? AND symbol=? AND metric=? AND start=?)"),
        (alerts::PUBLISH, "alerts_by_rule_symbol_metric (rule=?)"),
        (alerts::OLD, "private_alerts_by_start (start<?)"),
        (alerts::PUBLIC, "public_alerts_by_start (start>? AND (start,id)<(?,?))"),
        (alerts::PUBLIC_OF_METRIC, "public_alerts_by_metric (metric=? AND start>? AND (start,id)<(?,?))"),
        (alerts::PUBLIC_OF_SYMBOL, "public_alerts_by_symbol (symbol=? AND start>? AND (start,id)<(?,?))"),
        (
            alerts::PUBLIC_OF_SYMBOL_METRIC,
            "public_alerts_by_symbol_metric (symbol=? AND metric=? AND start>? AND (start,id)<(?,?))",
        ),
        (alerts::PUBLIC_OF_RULE, "public_alerts_by_rule (rule=? AND start>? AND (start,id)<(?,?))"),
        (
            alerts::PUBLIC_OF_RULE_METRIC,
            "public_alerts_by_rule_metric (rule=? AND metric=? AND start>? AND (start,id)<(?,?))",
        ),
        (
            alerts::PUBLIC_OF_RULE_SYMBOL,
            "public_alerts_by_rule_symbol (rule=? AND symbol=? AND start>? AND (start,id)<(?,?))",
        ),
        (
            alerts::PUBLIC_OF_RULE_SYMBOL_METRIC,
            "alerts_by_rule_symbol_metric (rule=? AND symbol=? AND metric=? AND start>? \
             AND (start,id)<(?,?))",
        ),
    ] {
        let plan = plan(&store, query).await;
        assert!(plan.iter().any(|step| step.contains(&format!("INDEX {index}"))), "{query}\n{plan:?}");
        let sorts = plan.iter().any(|step| step.contains("TEMP B-TREE"));
        // What is sorted is little: a commit, what one claim may hand out, a digest, a receiver's pages.
        let few = [
            blocks::IN_PARTS,
            blocks::RECENT,
            blocks::SYMBOLS,
            claim::CANDIDATES,
            claim::BUNDLED,
            alerts::OF_RECEIVER,
            confirmations::SENT_TO,
            confirmations::PENDING_OF,
        ];
        assert_eq!(sorts, few.contains(&query), "{query}\n{plan:?}");
    }
}

/// What is asked of some symbols is one search for each time there is, and the times are found one by one:
/// nothing is scanned, and nothing sorted.
#[tokio::test]
async fn rows_of_a_symbol_are_searched_for_at_each_time() {
    let (store, _folder) = fresh().await;
    for (query, search) in [
        (open_bars::OF_SYMBOLS, "(start=? AND symbol>? AND symbol<?)"),
        (open_bars::LAST, "(start=? AND symbol=?)"),
        (open_bars::SYMBOLS, "(start=? AND symbol>?)"),
        (open_bars::DELETE, "(start=? AND symbol>? AND symbol<?)"),
        (open_bars::PRUNE, "(start<?)"),
    ] {
        let plan = plan(&store, query).await;
        assert!(
            plan.iter().any(|step| step == &format!("SEARCH bars USING PRIMARY KEY {search}")),
            "{plan:?}"
        );
        let is_scanned = |step: &String| step.contains("SCAN bars") || step.contains("TEMP B-TREE");
        assert!(!plan.iter().any(is_scanned), "{query}\n{plan:?}");
    }
}
