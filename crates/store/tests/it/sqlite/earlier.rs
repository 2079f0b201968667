//! Files of earlier schemas: what an upgrade makes of their rows, and what it does where it cannot end.

use super::{file, raw, reason_of_refusal, url};
use qqq_core::alert::AlertState;
use qqq_core::delivery::places::{Room, Rooms};
use qqq_core::delivery::{DeliveryId, DeliveryKind, Outcome};
use qqq_core::subscription::SubscriptionStatus;
use qqq_core::subscription::channel::{Channel, ChannelKind};
use qqq_core::subscription::token::{Purpose, TokenHash};
use qqq_core::{Alert, RuleName, SpikeRule};
use qqq_store::conformance::{MINUTE, PLENTY, UNLIMITED, alert, alerts_of, at, sign_up, symbol};
use qqq_store::{AlertChange, AlertQuery, Sequence, SignUp, StoreError, open};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Connection as _, SqlSafeStr as _, SqliteConnection};
use std::slice;
use tempfile::TempDir;

/// The file of the first schema, with rows of every table in all their states.
pub(super) async fn of_the_first_schema(folder: &TempDir) {
    std::fs::create_dir_all(file(folder).parent().unwrap()).unwrap();
    let mut connection = raw(folder).await;
    let first = Migrator::with_migrations(vec![Migration::new(
        1,
        "first schema".into(),
        MigrationType::Simple,
        include_str!("../../../migrations/sqlite/0001_first_schema.sql").into_sql_str(),
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
        migration(1, "first schema", include_str!("../../../migrations/sqlite/0001_first_schema.sql")),
        migration(
            2,
            "rules and channels",
            include_str!("../../../migrations/sqlite/0002_rules_and_channels.sql"),
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
    let expected = [(MINUTE.plus_minutes(1), AlertState::Retracted), (MINUTE, AlertState::Raised)];
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
    let next = alerts_of([AlertChange::Raised(alert("TSLA", MINUTE.plus_minutes(9)))]);
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
    let bars = store.recent_bars(&[listed], 9 * 60).await.unwrap();
    let told: Vec<_> = bars.iter().map(|record| (record.bar.start, record.bar.volume.shares())).collect();
    assert_eq!(told, [(MINUTE, 777), (MINUTE.plus_minutes(1), 100)]);
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
    let next =
        alerts_of([AlertChange::Raised(Alert { symbol: listed, ..alert("BRK.B", MINUTE.plus_minutes(9)) })]);
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
        migration(1, "first schema", include_str!("../../../migrations/sqlite/0001_first_schema.sql")),
        migration(
            2,
            "rules and channels",
            include_str!("../../../migrations/sqlite/0002_rules_and_channels.sql"),
        ),
        migration(3, "share classes", include_str!("../../../migrations/sqlite/0003_share_classes.sql")),
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
        alerts.iter().map(|one| one.start.minute() - 28_000_000).collect::<Vec<_>>()
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
