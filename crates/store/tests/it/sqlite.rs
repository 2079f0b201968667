//! The embedded store: the rules of every store, and what only a file can do.

use jiff::SignedDuration;
use qqq_core::alert::AlertState;
use qqq_core::delivery::places::{Room, Rooms};
use qqq_core::delivery::{DeliveryId, DeliveryKind, Failure, Outcome};
use qqq_core::market::watchlist::WatchlistEdit;
use qqq_core::subscription::SubscriptionStatus;
use qqq_core::subscription::channel::{Channel, ChannelKind};
use qqq_core::subscription::token::{Purpose, TokenHash};
use qqq_core::{Alert, Minute, Price, RuleName, SpikeRule};
use qqq_store::conformance::{
    MINUTE, PLENTY, UNLIMITED, alert, alerts_of, ask, at, bar, bars_of, rows_of, sign_up, symbol,
};
use qqq_store::{
    AlertChange, AlertQuery, BarRecord, Sequence, SignUp, SignUpLimits, Store, StoreError, WatchlistEdits,
    look_at_watchlist, open,
};
use sha2::{Digest as _, Sha256};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqlSafeStr as _, SqliteConnection};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::slice;
use std::sync::Arc;
use tempfile::TempDir;

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
    let bars: Vec<BarRecord> = (0..100).map(|n| bar("TSLA", MINUTE.plus(n), 100)).collect();
    store.commit(&bars_of(bars.iter().copied()), at(0)).await.unwrap();
    assert!(std::fs::metadata(beside(&file(&folder), "-wal")).unwrap().len() > 0);
    // A second process looks on while the first has not closed.
    let second = open(&url(&folder)).await.unwrap();
    assert_eq!(second.recent_bars(&[symbol("TSLA")], 1440).await.unwrap(), bars);
    second.close().await;
    store.close().await;
    assert!(!beside(&file(&folder), "-wal").exists(), "the log was left behind");
    let third = open(&url(&folder)).await.unwrap();
    assert_eq!(third.recent_bars(&[symbol("TSLA")], 1440).await.unwrap(), bars);
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

/// The file of the first schema, with rows of every table in all their states.
async fn of_the_first_schema(folder: &TempDir) {
    std::fs::create_dir_all(file(folder).parent().unwrap()).unwrap();
    let mut connection = raw(folder).await;
    let first = Migrator::with_migrations(vec![Migration::new(
        1,
        "first schema".into(),
        MigrationType::Simple,
        include_str!("../../migrations/sqlite/0001_first_schema.sql").into_sql_str(),
        false,
    )]);
    first.run_direct(None, &mut connection, false).await.unwrap();
    sqlx::raw_sql(include_str!("first_schema.sql")).execute(&mut connection).await.unwrap();
    for n in 1..=3 {
        sqlx::query("update subscriptions set manage_hash = ? where nonce = ?")
            .bind(manage_token(n).as_bytes().to_vec())
            .bind([n; 16].to_vec())
            .execute(&mut connection)
            .await
            .unwrap();
    }
    connection.close().await.unwrap();
}

#[tokio::test]
async fn deliveries_of_earlier_schemas_learn_their_hosts() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(file(&folder).parent().unwrap()).unwrap();
    let mut connection = raw(&folder).await;
    let migration = |version, what: &'static str, sql: &'static str| {
        Migration::new(version, what.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    let earlier = Migrator::with_migrations(vec![
        migration(1, "first schema", include_str!("../../migrations/sqlite/0001_first_schema.sql")),
        migration(
            2,
            "rules and channels",
            include_str!("../../migrations/sqlite/0002_rules_and_channels.sql"),
        ),
    ]);
    earlier.run_direct(None, &mut connection, false).await.unwrap();
    let receivers = [
        "Ada@Example.com",
        "https://example.com/hook?to=http://other.example/x",
        "https://example.com:8443/",
        "http://[::1]:8080/a/b",
    ];
    for (n, receiver) in (1_u16..).zip(receivers) {
        let SignUp { id, channel, .. } = sign_up(n, receiver, "TSLA");
        let format = (channel.kind() == ChannelKind::Webhook).then_some("ntfy");
        sqlx::query(
            "insert into subscriptions (id, channel, receiver, format, address, address_hash, mailbox, \
             symbol, metric, rule, status, created_at, active_from, \
             nonce, confirm_hash, unsubscribe_hash, manage_hash) \
             values (?, ?, ?, ?, ?, randomblob(32), '', \
             'TSLA', 'volume', 'spike', 'active', 0, 0, \
             randomblob(16), randomblob(32), randomblob(32), randomblob(32))",
        )
        .bind(id.to_string())
        .bind(channel.kind().as_str())
        .bind(receiver)
        .bind(format)
        .bind(channel.key())
        .execute(&mut connection)
        .await
        .unwrap();
        sqlx::query(
            "insert into deliveries \
             (id, kind, subscription, address_hash, state, created_at, expires_at, due_at) \
             values (?, 'confirmation', ?, randomblob(32), 'pending', 0, ?, 0)",
        )
        .bind(DeliveryId::of_confirmation(id, 1).to_string())
        .bind(id.to_string())
        .bind(at(86_400).as_microsecond())
        .execute(&mut connection)
        .await
        .unwrap();
    }
    connection.close().await.unwrap();

    let store = open(&url(&folder)).await.unwrap();
    let mut connection = raw(&folder).await;
    for (n, receiver) in (1_u16..).zip(receivers) {
        let SignUp { id, channel, .. } = sign_up(n, receiver, "TSLA");
        let (kind, host): (String, String) =
            sqlx::query_as("select channel, host from deliveries where subscription = ?")
                .bind(id.to_string())
                .fetch_one(&mut connection)
                .await
                .unwrap();
        assert_eq!((kind.as_str(), host), (channel.kind().as_str(), channel.host()), "{receiver}");
    }
    let one = |places| Rooms { mail: Room::for_anybody(0), webhooks: Room::for_anybody(places) };
    assert_eq!(store.claim(at(1), at(30), one(9), PLENTY).await.unwrap().len(), 3);
}

/// What kind of failure it was once stood in its words alone.
#[tokio::test]
async fn failures_of_earlier_schemas_learn_their_kinds() {
    let folder = tempfile::tempdir().unwrap();
    of_the_first_schema(&folder).await;
    let mut connection = raw(&folder).await;
    let told = [
        ("the mail server mx:25 refused RCPT TO: 550 5.1.1 Relay answered 200", Some("refused:550")),
        ("the mail server mx:25 answered EHLO with 250, which is no answer to it", Some("refused")),
        (
            "h refused RCPT TO: 504 5.5.2 <x>; it was told `EHLO x`, see email.helo_name",
            Some("greeting_refused"),
        ),
        ("hooks.example answered 503 Service Unavailable: it did not answer", Some("refused:503")),
        ("hooks.example answered 999 Nonsense", Some("refused")),
        ("hooks.example cannot be reached: connection refused by x", Some("unreachable")),
        ("hooks.example did not answer in time", Some("timed_out")),
        ("hooks.example broke off: reset", Some("broke_off")),
        ("a webhook at hooks.example is not sent: 10.0.0.1 answered 500", Some("blocked")),
        ("the subscriber's address cannot be written to", Some("other")),
        ("hooks.example keeps failing, and is left alone for 30 s", None),
    ];
    for (n, (reason, _)) in told.iter().enumerate() {
        sqlx::query(
            "insert into deliveries \
             (id, kind, subscription, state, created_at, expires_at, due_at, attempts, reason) \
             select ?, 'confirmation', id, 'pending', ?, ?, 0, 7, ? from subscriptions limit 1",
        )
        .bind(DeliveryId::of_confirmation(sign_up(9, "x@example.com", "TSLA").id, n as u32).to_string())
        .bind(i64::MAX - n as i64)
        .bind(i64::MAX)
        .bind(*reason)
        .execute(&mut connection)
        .await
        .unwrap();
    }
    connection.close().await.unwrap();

    let _store = open(&url(&folder)).await.unwrap();
    let kept: Vec<(String, Option<String>, i64, i64)> = sqlx::query_as(
        "select reason, failure, attempts, claims from deliveries where attempts = 7 \
         order by created_at desc",
    )
    .fetch_all(&mut raw(&folder).await)
    .await
    .unwrap();
    let expected = told.map(|(reason, kind)| (reason.to_owned(), kind.map(str::to_owned), 7, 7));
    assert_eq!(kept, expected);
}

fn manage_token(n: u8) -> TokenHash {
    sign_up(n.into(), "x@example.com", "TSLA").hashes.manage
}

async fn count(connection: &mut SqliteConnection, table: &str) -> i64 {
    let query = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
    sqlx::query_scalar(query).fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn a_file_of_the_first_schema_is_upgraded_and_keeps_every_row() {
    let folder = tempfile::tempdir().unwrap();
    of_the_first_schema(&folder).await;
    let mut connection = raw(&folder).await;
    let tables = [
        "history",
        "feed_status",
        "bars",
        "statistics",
        "splits",
        "alerts",
        "subscriptions",
        "suppressions",
        "deliveries",
        "notes",
    ];
    let mut before = Vec::new();
    for table in tables {
        before.push(count(&mut connection, table).await);
    }
    assert!(before.iter().all(|rows| *rows > 0), "{before:?}");
    connection.close().await.unwrap();

    let store = open(&url(&folder)).await.unwrap();
    store.check().await.unwrap();
    let mut connection = raw(&folder).await;
    for (table, rows) in tables.into_iter().zip(before) {
        // A note says that every bar has its checksum.
        let rows = rows + i64::from(table == "notes");
        assert_eq!(count(&mut connection, table).await, rows, "{table}");
    }
    assert!(sqlx::query("pragma foreign_key_check").fetch_all(&mut connection).await.unwrap().is_empty());
    for aside in ["deliveries_before", "alerts_before", "subscriptions_before"] {
        let left: i64 = sqlx::query_scalar("select count(*) from sqlite_schema where tbl_name = ?")
            .bind(aside)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(left, 0, "{aside}");
    }

    // Alerts are given the rule that whoever opens the store knows, once.
    let rule = SpikeRule::default().into();
    let told = store.alerts(AlertQuery { limit: 9, ..AlertQuery::default() }).await;
    assert!(matches!(told, Err(StoreError::Corrupt { table: "alerts", .. })), "{told:?}");
    assert_eq!(store.complete_house_rules(&rule).await.unwrap(), 2);
    let other = SpikeRule { window: 30, ..SpikeRule::default() }.into();
    assert_eq!(store.complete_house_rules(&other).await.unwrap(), 0);

    // They keep their window as evidence.
    let alerts = store.alerts(AlertQuery { limit: 9, ..AlertQuery::default() }).await.unwrap();
    let expected = [(MINUTE.plus(1), AlertState::Retracted), (MINUTE, AlertState::Raised)];
    assert_eq!(alerts.iter().map(|one| (one.start, one.state)).collect::<Vec<_>>(), expected);
    let without = Alert { close: None, previous_close: None, ..alert("TSLA", MINUTE) };
    assert_eq!(alerts[1], Alert { id: alerts[1].id, ..without });
    assert_eq!(store.changes(Sequence(0), 99).await.unwrap().alerts.len(), 2);

    // Subscriptions go on: by mail, of the house rule, never paused.
    let found =
        async |n: u8| store.subscription_of(Purpose::Manage, &manage_token(n)).await.unwrap().unwrap();
    for (n, status, email) in [
        (1, SubscriptionStatus::Active, "Ada@Example.com"),
        (2, SubscriptionStatus::Pending, "bob+x@example.com"),
        (3, SubscriptionStatus::Unsubscribed, "eve@example.com"),
    ] {
        let one = found(n).await;
        assert_eq!((one.status, one.channel), (status, Channel::Email(email.parse().unwrap())));
        assert_eq!((one.rule, one.quiet, one.paused_until), (RuleName::House, None, None));
        assert_eq!((one.secret_generation, one.secret_rotated_at), (0, None));
        assert_eq!((one.nonce, one.created_at), ([n; 16], at(-3600)));
    }
    assert_eq!(found(1).await.active_from, Some(MINUTE));

    // What was owed still is, to the same, and what was counted still counts.
    let summary = store.outbox().await.unwrap();
    let counts = [summary.sent, summary.failed, summary.expired, summary.cancelled, summary.bundled];
    assert_eq!((summary.pending, counts), (2, [1, 1, 1, 1, 0]));
    let claimed = store.claim(at(100), at(130), Rooms::for_anybody(9), PLENTY).await.unwrap();
    assert_eq!(
        claimed.iter().map(|one| (one.kind, one.attempt)).collect::<Vec<_>>(),
        [(DeliveryKind::Alert, 3), (DeliveryKind::Confirmation, 1)]
    );
    assert_eq!(claimed[0].alert.as_ref(), Some(&alerts[1]));
    for delivery in &claimed {
        assert!(store.settle(delivery.id, delivery.lease, &Outcome::Sent, at(101)).await.unwrap());
    }
    assert_eq!(store.outbox().await.unwrap().sent, 3);
    let next = alerts_of([AlertChange::Raised(alert("TSLA", MINUTE.plus(9)))]);
    assert_eq!(store.commit(&next, at(600)).await.unwrap().deliveries, 1);
    assert_eq!(store.sequence().await.unwrap(), Sequence(8));
    // The same wish is still the same wish.
    let again = SignUp { confirm: false, ..sign_up(9, "ada@example.com", "TSLA") };
    store.subscribe(slice::from_ref(&again), UNLIMITED, at(601)).await.unwrap();
    assert_eq!(store.subscription_of(Purpose::Manage, &again.hashes.manage).await.unwrap(), None);
}

#[tokio::test]
async fn an_upgrade_that_cannot_be_finished_leaves_the_file_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    of_the_first_schema(&folder).await;
    // Something the last steps of the upgrade stumble over.
    let mut connection = raw(&folder).await;
    sqlx::query("insert into delivery_counts values ('bundled', 0)").execute(&mut connection).await.unwrap();
    let rows = count(&mut connection, "deliveries").await;
    connection.close().await.unwrap();
    reason_of_refusal(&url(&folder)).await;
    let mut connection = raw(&folder).await;
    assert_eq!(count(&mut connection, "deliveries").await, rows);
    let sums: Vec<i64> =
        sqlx::query_scalar("select window_sum from alerts").fetch_all(&mut connection).await.unwrap();
    assert_eq!(sums, [1_262_070; 2]);
    sqlx::query("delete from delivery_counts where state = 'bundled'")
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    open(&url(&folder)).await.unwrap().check().await.unwrap();
}

#[tokio::test]
async fn rows_of_a_share_class_in_another_spelling_are_those_of_the_listed_one() {
    let folder = tempfile::tempdir().unwrap();
    of_the_first_schema(&folder).await;
    let mut connection = raw(&folder).await;
    sqlx::raw_sql(
        "update bars set symbol = 'BRK-B'; update statistics set symbol = 'BRK-B';
         update alerts set symbol = 'BRK-B'; update splits set symbol = 'MOG-A';
         update subscriptions set symbol = 'BRK-B' where symbol = 'TSLA';
         update subscriptions set symbol = 'BTC-USD' where symbol = 'AAPL';
         -- The same minute twice.
         insert into bars
         select 'BRK.B', start, open, high, low, close, 777, vwap, trades, feed, revision, sequence
         from bars;
         insert into bars
         select 'BRK-B', start + 1, open, high, low, close, volume, vwap, trades, feed, revision, sequence
         from bars where symbol = 'BRK-B';
         -- The same wish twice.
         insert into subscriptions
         select '00000009-0000-4000-8000-000000000000', email, address, address_hash, mailbox,
             'BRK.B', metric, status, created_at, confirm_by, active_from, ended_at, nonce, randomblob(32),
             randomblob(32), randomblob(32), asked, confirmations
         from subscriptions where status = 'active';",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();

    let store = open(&url(&folder)).await.unwrap();
    store.complete_house_rules(&SpikeRule::default().into()).await.unwrap();
    store.check().await.unwrap();
    let listed = symbol("BRK-B");
    assert_eq!(listed.as_str(), "BRK.B");
    let bars = store.recent_bars(&[listed], 9).await.unwrap();
    let told: Vec<_> = bars.iter().map(|record| (record.bar.start, record.bar.volume.shares())).collect();
    assert_eq!(told, [(MINUTE, 777), (MINUTE.plus(1), 100)]);
    assert_eq!(store.splits().await.unwrap()[0].split.symbol.as_str(), "MOG.A");
    let query = AlertQuery { symbol: Some(listed), limit: 9, ..AlertQuery::default() };
    assert_eq!(store.alerts(query).await.unwrap().len(), 2);
    let mut connection = raw(&folder).await;
    for table in ["bars", "statistics", "splits", "alerts", "subscriptions"] {
        let old = format!("{table} where symbol in ('BRK-B', 'MOG-A')");
        assert_eq!(count(&mut connection, &old).await, 0, "{table}");
    }
    assert_eq!(count(&mut connection, "subscriptions where symbol = 'BTC-USD'").await, 1);
    // A minute that raised an alert under the old spelling raises none again.
    let again = alerts_of([AlertChange::Raised(alert("BRK.B", MINUTE))]);
    assert_eq!(store.commit(&again, at(599)).await.unwrap().deliveries, 0);
    // Who had asked for both spellings is told once.
    let next = alerts_of([AlertChange::Raised(Alert { symbol: listed, ..alert("BRK.B", MINUTE.plus(9)) })]);
    assert_eq!(store.commit(&next, at(600)).await.unwrap().deliveries, 1);
}

/// Makes a file as it was before alerts were told apart by who may read them.
async fn before_own_alerts(folder: &TempDir) {
    std::fs::create_dir_all(file(folder).parent().unwrap()).unwrap();
    let mut connection = raw(folder).await;
    let migration = |version, what: &'static str, sql: &'static str| {
        Migration::new(version, what.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    let migrations = Migrator::with_migrations(vec![
        migration(1, "first schema", include_str!("../../migrations/sqlite/0001_first_schema.sql")),
        migration(
            2,
            "rules and channels",
            include_str!("../../migrations/sqlite/0002_rules_and_channels.sql"),
        ),
        migration(3, "share classes", include_str!("../../migrations/sqlite/0003_share_classes.sql")),
    ]);
    migrations.run_direct(None, &mut connection, false).await.unwrap();
    sqlx::raw_sql(
        "insert into subscriptions (id, channel, receiver, address, address_hash, mailbox,
             symbol, metric, rule,
             status, created_at, active_from, nonce, confirm_hash, unsubscribe_hash, manage_hash)
         values ('00000001-0000-4000-8000-000000000000',
             'email', 'ada@example.com', 'ada@example.com', randomblob(32), 'ada@example.com',
             'TSLA', 'volume',
             'v1 spike ratio=4 window=60m min_bars=30 trigger=level session=all cooldown=60m',
             'active', 0, 0, randomblob(16), randomblob(32), randomblob(32), randomblob(32));
         insert into alerts (id, rule, symbol, metric, start, value, evidence, feed, revision, state,
             raised_at, occurrences, sequence)
         select printf('0000000%d-0000-5000-8000-000000000000', value), iif(value < 3, 'spike', s.rule),
             'TSLA', 'volume', 28000000 + value, 5, '1;average;1;1', 'iex', 0, 'raised',
             0, '1;' || (28000000 + value) || ':5', value
         from json_each('[1, 2, 3, 4]'), subscriptions s;
         insert into deliveries (id, kind, subscription, address_hash, alert, digest,
             state, created_at, expires_at, due_at, attempts, settled_at)
         select '00000009-0000-5000-8000-000000000000', 'digest', id, address_hash, null, null,
             'sent', 0, 9, 0, 1, 1
         from subscriptions
         union all
         select printf('0000000%d-0000-5000-8000-000000000000', a.sequence), 'alert',
             s.id, s.address_hash, a.id,
             iif(a.sequence > 3, null, '00000009-0000-5000-8000-000000000000'),
             iif(a.sequence > 3, 'pending', 'bundled'), 0, 9000000, 0,
             0, iif(a.sequence > 3, null, 1)
         from alerts a, subscriptions s;
         update history set sequence = 4;",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn an_upgrade_tells_the_houses_alerts_from_those_of_own_rules_and_keeps_every_row() {
    let folder = tempfile::tempdir().unwrap();
    before_own_alerts(&folder).await;
    let store = open(&url(&folder)).await.unwrap();
    store.check().await.unwrap();
    assert_eq!(store.complete_house_rules(&SpikeRule::default().into()).await.unwrap(), 2);
    let starts = async |private_too| {
        let query = AlertQuery { private_too, limit: 9, ..AlertQuery::default() };
        let alerts = store.alerts(query).await.unwrap();
        alerts.iter().map(|one| one.start.index() - 28_000_000).collect::<Vec<_>>()
    };
    assert_eq!(starts(false).await, [2, 1]);
    assert_eq!(starts(true).await, [4, 3, 2, 1]);
    let mut connection = raw(&folder).await;
    assert!(sqlx::query("pragma foreign_key_check").fetch_all(&mut connection).await.unwrap().is_empty());
    assert_eq!(count(&mut connection, "deliveries").await, 5);
    assert_eq!(count(&mut connection, "deliveries where state = 'bundled' and digest is not null").await, 3);
    let summary = store.outbox().await.unwrap();
    assert_eq!((summary.pending, summary.sent, summary.bundled), (1, 1, 3), "what was counted still counts");
    // What waits is handed out, with its alert.
    let now = jiff::Timestamp::from_microsecond(1).unwrap();
    let claimed = store.claim(now, now, Rooms::for_anybody(9), PLENTY).await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert!(claimed[0].alert.as_ref().is_some_and(|alert| !alert.is_public()));
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
async fn the_file_of_a_newer_program_is_refused() {
    let (store, folder) = fresh().await;
    store.close().await;
    let mut connection = raw(&folder).await;
    sqlx::query(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
         values (99, 'from the future', true, x'00', 0)",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();
    let reason = reason_of_refusal(&url(&folder)).await;
    assert!(reason.contains("newer version") && reason.contains("99"), "{reason}");
    let looked = look_at_watchlist(&url(&folder)).await.unwrap_err();
    assert_eq!(looked.to_string(), reason);
}

#[tokio::test]
async fn a_schema_of_other_making_is_refused() {
    let (store, folder) = fresh().await;
    store.close().await;
    let mut connection = raw(&folder).await;
    sqlx::query("update _sqlx_migrations set checksum = x'00'").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let reason = reason_of_refusal(&url(&folder)).await;
    assert!(reason.contains("schema 1 is not the one"), "{reason}");
}

#[tokio::test]
async fn files_of_other_programs_are_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(file(&folder).parent().unwrap()).unwrap();
    let mut connection = raw(&folder).await;
    sqlx::query("create table theirs (x)").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    assert!(reason_of_refusal(&url(&folder)).await.contains("another program"));
    let mut connection = raw(&folder).await;
    let tables: i64 =
        sqlx::query_scalar("select count(*) from sqlite_schema").fetch_one(&mut connection).await.unwrap();
    assert_eq!(tables, 1);
    connection.close().await.unwrap();

    let text = "symbol,start,open\n".repeat(1000);
    std::fs::write(file(&folder), &text).unwrap();
    assert!(reason_of_refusal(&url(&folder)).await.contains("not a database"));
    assert_eq!(std::fs::read_to_string(file(&folder)).unwrap(), text);
}

#[tokio::test]
async fn a_damaged_file_is_noticed() {
    let (store, folder) = fresh().await;
    let bars = (0..5000).map(|n| bar("TSLA", MINUTE.plus(n), 100 + i64::from(n)));
    store.commit(&bars_of(bars), at(0)).await.unwrap();
    store.check().await.unwrap();
    store.close().await;
    let mut bytes = std::fs::read(file(&folder)).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xa5);
    std::fs::write(file(&folder), bytes).unwrap();
    let store = open(&url(&folder)).await.unwrap();
    let error = store.check().await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    assert!(!error.is_transient());
}

/// Bits of a closed file are flipped one after the other, over all its pages. Whatever is then served is what
/// was written, or an error says that something is wrong.
#[tokio::test]
async fn no_flipped_bit_changes_a_bar_in_silence() {
    const FLIPS: usize = 400;
    let (store, folder) = fresh().await;
    let bars: Vec<BarRecord> = (0..400)
        .map(|n| {
            let mut record = bar("TSLA", MINUTE.plus(n), 30_000 + i64::from(n));
            record.bar.vwap = (n % 2 == 0).then_some(record.bar.close);
            record.bar.trades = (n % 3 == 0).then_some(n as u32);
            record
        })
        .collect();
    store.commit(&bars_of(bars.iter().copied()), at(0)).await.unwrap();
    store.close().await;
    drop(store);
    let sound = std::fs::read(file(&folder)).unwrap();
    let leaves = sound.windows(4).enumerate().filter(|(_, four)| four == b"TSLA").map(|(place, _)| place);
    let leaves: Vec<usize> = leaves.collect();
    let (mut served, mut told) = (0, 0);
    for flip in 0..FLIPS {
        // Half of them in rows of bars, the others anywhere.
        let random = (flip as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let bit = (random >> 8) as usize % 8;
        let place = match flip % 2 {
            0 => leaves[(random >> 16) as usize % leaves.len()] + (random >> 40) as usize % 56,
            _ => (random >> 16) as usize % sound.len(),
        };
        let mut damaged = sound.clone();
        let last = damaged.len() - 1;
        damaged[place.min(last)] ^= 1 << bit;
        std::fs::write(file(&folder), damaged).unwrap();
        let Ok(store) = open(&url(&folder)).await else {
            told += 1;
            continue;
        };
        let every = Minute::MIN..Minute::MAX;
        let answers = [
            store
                .bars(symbol("TSLA"), every.clone(), 9_999)
                .await
                .map(|rows| rows.into_iter().map(|row| row.bar).collect()),
            store.history(symbol("TSLA"), every, 9_999).await,
            store
                .recent_bars(&[symbol("TSLA")], 1440)
                .await
                .map(|rows| rows.into_iter().map(|row| row.bar).collect()),
            store
                .changes(Sequence(0), 9_999)
                .await
                .map(|changes| rows_of(changes.bars).into_iter().map(|row| row.bar).collect::<Vec<_>>()),
        ];
        let is_sound = store.check().await.is_ok();
        for answer in answers {
            match answer {
                Err(_) => told += 1,
                // A damaged key hides a row from who looks for it, and a check finds that. None is another
                // than it was.
                Ok(answer) if !is_sound => {
                    let was_written = |bar| bars.iter().any(|record| record.bar == bar);
                    assert!(
                        answer.into_iter().all(was_written),
                        "bit {bit} of byte {place} changed what is served"
                    );
                    told += 1;
                }
                Ok(answer) => {
                    let expected = bars.iter().map(|record| record.bar);
                    assert!(
                        answer.into_iter().eq(expected),
                        "bit {bit} of byte {place} changed what is served"
                    );
                    served += 1;
                }
            }
        }
        store.close().await;
    }
    assert!(served > FLIPS / 10 && told > FLIPS / 2, "{served} served, {told} told");
}

#[tokio::test]
async fn a_damaged_bar_is_named_and_mended_by_writing_it_again() {
    let (store, folder) = fresh().await;
    let bars = [bar("TSLA", MINUTE, 100), bar("TSLA", MINUTE.plus(1), 101)];
    store.commit(&bars_of(bars), at(0)).await.unwrap();
    let mut connection = raw(&folder).await;
    sqlx::query("update bars set close = close + 1 where start = ?")
        .bind(MINUTE.index())
        .execute(&mut connection)
        .await
        .unwrap();
    let error = store.recent_bars(&[symbol("TSLA")], 1440).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { table: "bars", .. }), "{error:?}");
    let said = error.to_string();
    assert!(said.contains(&format!("TSLA at {MINUTE}")) && said.contains("Import"), "{said}");
    // The other one can be read.
    let rest = store.bars(symbol("TSLA"), MINUTE.plus(1)..MINUTE.plus(9), 9).await.unwrap();
    assert_eq!(rest, bars[1..]);
    store.import(&[bars[0].bar]).await.unwrap();
    let mended = store.history(symbol("TSLA"), MINUTE..MINUTE.plus(9), 9).await.unwrap();
    assert_eq!(mended, bars.map(|record| record.bar));
}

#[tokio::test]
async fn bars_of_an_earlier_version_get_their_checksums_when_they_are_opened() {
    let folder = tempfile::tempdir().unwrap();
    of_the_first_schema(&folder).await;
    open(&url(&folder)).await.unwrap().close().await;
    let mut connection = raw(&folder).await;
    let unchecked: i64 = sqlx::query_scalar("select count(*) from bars where checksum = -1")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(unchecked, 0);
    let touched = sqlx::query("update bars set volume = volume + 1").execute(&mut connection).await.unwrap();
    assert!(touched.rows_affected() > 0);
    let store = open(&url(&folder)).await.unwrap();
    assert!(store.changes(Sequence(0), 99).await.is_err());
}

#[tokio::test]
async fn a_row_that_makes_no_sense_names_its_table() {
    let (store, folder) = fresh().await;
    store.commit(&alerts_of([AlertChange::Raised(alert("TSLA", MINUTE))]), at(0)).await.unwrap();
    let mut connection = raw(&folder).await;
    sqlx::query("update alerts set occurrences = '9;?'").execute(&mut connection).await.unwrap();
    let error = store.alert(alert("TSLA", MINUTE).id).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { table: "alerts", .. }), "{error:?}");
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
    let next = alerts_of([AlertChange::Raised(alert("TSLA", MINUTE.plus(1)))]);
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
        let raised = alerts_of([AlertChange::Raised(alert("TSLA", MINUTE.plus(n)))]);
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
            let mut record = bar("TSLA", MINUTE.plus(day * 1440 + n), 30_000 + i64::from(n * 7 % 90));
            let away =
                |cents: i64| Price::from_nanos(record.bar.close.nanos() + cents * 10_000_000 + 1).unwrap();
            (record.bar.open, record.bar.high) = (away(-3), away(31));
            (record.bar.low, record.bar.vwap) = (away(-27), Some(away(2)));
            record.bar.trades = Some(1234);
            record
        });
        store.commit(&bars_of(bars), at(0)).await.unwrap();
    }
    let every = Minute::MIN..Minute::MAX;
    for _ in 0..5 {
        let begin = std::time::Instant::now();
        let bars = store.bars(symbol("TSLA"), every.clone(), usize::MAX).await.unwrap();
        let middle = std::time::Instant::now();
        let history = store.history(symbol("TSLA"), every.clone(), usize::MAX).await.unwrap();
        println!("bars {:?}, history {:?}", middle - begin, middle.elapsed());
        assert_eq!((bars.len(), history.len()), (98_280, 98_280));
    }
}
