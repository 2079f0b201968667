//! A store that an earlier version left behind, opened by this one: `testdata/` has the file, and what was in
//! it as that version read it. Compared is what can be read through the traits, so that later migrations may
//! lay it out otherwise.

mod fill;
mod listing;

use flate2::read::GzDecoder;
use listing::{Listing, listing};
use qqq_core::delivery::places::Rooms;
use qqq_core::subscription::token::Purpose;
use qqq_core::{Second, SpikeRule};
use qqq_store::conformance::{MINUTE, PLENTY, UNLIMITED, at, sign_up, symbol};
use qqq_store::{AlertQuery, SignUp, Store, open};
use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::slice;
use std::sync::Arc;
use tempfile::TempDir;

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

/// A copy of the file of version 0.1.
fn copy_of_version_0_1() -> (PathBuf, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let mut packed = GzDecoder::new(File::open(testdata("store-0.1.sqlite.gz")).unwrap());
    std::io::copy(&mut packed, &mut File::create(&path).unwrap()).unwrap();
    (path, folder)
}

/// Opens a copy of the file of version 0.1.
async fn of_version_0_1() -> (Arc<dyn Store>, TempDir) {
    let (path, folder) = copy_of_version_0_1();
    let store = open(&format!("sqlite://{}", path.display())).await.unwrap();
    // As every process that plays roles does: that version kept no rule with an alert of the house's.
    assert!(store.complete_house_rules(&SpikeRule::default().into()).await.unwrap() > 0);
    (store, folder)
}

fn listed() -> Listing {
    let text = fs::read_to_string(testdata("store-0.1.json")).unwrap();
    serde_json::from_str::<Value>(&text).unwrap().as_object().unwrap().clone()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_store_is_left_as_it_is_while_a_worker_of_an_earlier_version_runs() {
    let (path, _folder) = copy_of_version_0_1();
    let url = format!("sqlite://{}", path.display());
    // The lock of a worker.
    let worker = File::open(&path).unwrap();
    worker.try_lock().unwrap();
    let before = fs::read(&path).unwrap();
    let Err(error) = open(&url).await else { panic!("it was opened") };
    assert!(error.to_string().contains("stop every process that uses the store first"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
    drop(worker);
    let store = open(&url).await.unwrap();
    // Once it is up to date, a worker keeps nobody from opening it.
    let _worker = store.lock_worker().await.unwrap();
    open(&url).await.unwrap();
}

#[tokio::test]
async fn every_row_of_version_0_1_is_read_as_that_version_read_it() {
    let (store, _folder) = of_version_0_1().await;
    store.check().await.unwrap();
    assert_as_listed(&*store).await;
    // Its bars lay open; closed, they are the same.
    let oldest = store.oldest_open().await.unwrap().unwrap();
    let mut after = None;
    while let Some(upto) = store.close_bars(oldest..Second::MAX, after).await.unwrap().upto {
        after = Some(upto);
    }
    assert_eq!(store.oldest_open().await.unwrap(), None);
    store.check().await.unwrap();
    assert_as_listed(&*store).await;
}

async fn assert_as_listed(store: &dyn Store) {
    let (found, expected) = (listing(store).await, listed());
    for (what, found) in &found {
        let expected = &expected[what];
        let (Value::Array(found), Value::Array(expected)) = (found, expected) else {
            assert_eq!(found, expected, "{what}");
            continue;
        };
        assert_eq!(found.len(), expected.len(), "rows of {what}");
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!(found, expected, "of {what}");
        }
    }
}

#[tokio::test]
async fn the_file_of_version_0_1_holds_rows_of_every_kind() {
    let listed = listed();
    let kinds = |of: &str, keys: &[&str]| -> BTreeSet<String> {
        let rows = listed[of].as_array().unwrap();
        let text = |row: &Value, key: &str| row[key].as_str().unwrap_or("-").to_owned();
        rows.iter().map(|row| keys.iter().map(|key| text(row, key)).collect::<Vec<_>>().join(" ")).collect()
    };
    let all = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<BTreeSet<_>>();
    let deliveries = kinds("deliveries", &["kind"]);
    assert_eq!(deliveries, all(&["alert", "confirmation", "digest", "retraction"]));
    let states = kinds("deliveries", &["state"]);
    assert_eq!(states, all(&["bundled", "cancelled", "expired", "failed", "pending", "sent"]));
    let subscriptions = kinds("subscriptions", &["channel", "status"]);
    let each = ["pending", "active", "unsubscribed", "disabled"];
    let expected =
        ["email", "webhook"].into_iter().flat_map(|kind| each.map(|status| format!("{kind} {status}")));
    assert_eq!(subscriptions, expected.collect());
    assert_eq!(kinds("subscriptions", &["format"]), all(&["-", "discord", "ntfy", "slack", "standard"]));
    let alerts = kinds("alerts", &["visibility", "state"]);
    let expected = ["private raised", "private retracted", "public raised", "public retracted"];
    assert_eq!(alerts, all(&expected));
    let evidence = kinds("alerts", &["evidence_kind"]);
    assert_eq!(evidence, all(&["average", "crossing", "deviation", "median", "origin"]));
    for (table, rows) in listed["tables"].as_object().unwrap() {
        assert!(rows.as_i64() > Some(0), "no row in {table}");
    }
}

#[tokio::test]
async fn what_one_column_of_version_0_1_held_is_json_of_the_same_values() {
    let (_store, folder) = of_version_0_1().await;
    let options = SqliteConnectOptions::new().filename(folder.path().join("store.db")).read_only(true);
    let mut connection = options.connect().await.unwrap();
    let texts = "select distinct evidence from alerts where rule <> 'spike' order by 1";
    let evidence: Vec<String> = sqlx::query_scalar(texts).fetch_all(&mut connection).await.unwrap();
    assert_eq!(
        evidence,
        [
            r#"{"type":"average","sum":30000000000,"bars":30}"#,
            r#"{"type":"average","sum":9223372036854775807,"bars":65535}"#,
            r#"{"type":"crossing","level":200000000000,"before":-1}"#,
            concat!(
                r#"{"type":"deviation","sum":-9223372036854775808,"#,
                r#""squares":"340282366920938463463374607431768211455","bars":30}"#,
            ),
            r#"{"type":"median","twice":3,"sessions":20}"#,
            &format!(r#"{{"type":"origin","value":1,"start":{}}}"#, MINUTE.plus_minutes(-60).unix()),
        ]
    );
    let others = "select count(*) from alerts where not json_valid(evidence) or not json_valid(occurrences)";
    assert_eq!(sqlx::query_scalar::<_, i64>(others).fetch_one(&mut connection).await.unwrap(), 0);
}

#[tokio::test]
async fn an_alert_of_version_0_1_tells_the_price_of_its_bar_where_that_is_the_one_that_was_judged() {
    let (path, _folder) = copy_of_version_0_1();
    let options = SqliteConnectOptions::new().filename(&path);
    let mut connection = options.connect().await.unwrap();
    let start = MINUTE.minute();
    let judged = "update alerts set revision = 0 where symbol = 'TSLA' and start = ? and metric = 'volume'";
    assert!(sqlx::query(judged).bind(start).execute(&mut connection).await.unwrap().rows_affected() > 1);
    drop(connection);
    let store = open(&format!("sqlite://{}", path.display())).await.unwrap();
    store.complete_house_rules(&SpikeRule::default().into()).await.unwrap();
    let all = AlertQuery { private_too: true, limit: 1_000, ..AlertQuery::default() };
    for alert in store.alerts(all).await.unwrap() {
        let is_judged = alert.symbol == symbol("TSLA") && alert.start == MINUTE && alert.revision == 0;
        let close = alert.close.map(|close| close.to_string());
        assert_eq!(close, is_judged.then(|| "100".to_owned()), "{alert:?}");
        assert_eq!(alert.previous_close, None);
    }
}

/// What no trait lists is there when it is needed.
#[tokio::test]
async fn what_waited_in_version_0_1_goes_on() {
    let (store, _folder) = of_version_0_1().await;
    let now = at(fill::LEFT_AT + 700);
    let status = async |of: &SignUp| {
        let found = store.subscription_of(Purpose::Manage, &of.hashes.manage).await.unwrap();
        found.map(|found| found.status.as_str())
    };
    // Sign-ups that were not taken in, and messages that ask to confirm and had to wait for their turn.
    assert_eq!(status(&fill::waiting(0)).await, None);
    let taken = store.take_in(UNLIMITED, now).await.unwrap();
    assert_eq!(json!([taken.sign_ups, taken.confirmations]), listed()["taken_in_later"]);
    assert_eq!(status(&fill::waiting(0)).await, Some("pending"));
    // A suppressed address is not written to.
    let suppressed = sign_up(900, fill::REFUSING, "NVDA");
    store.subscribe(slice::from_ref(&suppressed), UNLIMITED, now).await.unwrap();
    assert_eq!(store.take_in(UNLIMITED, now).await.unwrap().confirmations, 0);
    // What was owed, put off, or under way when the process ended, is handed out.
    let mut claimed = BTreeSet::new();
    loop {
        let handed = store.claim(now, at(fill::LEFT_AT + 800), Rooms::for_anybody(99), PLENTY).await.unwrap();
        if handed.is_empty() {
            break;
        }
        claimed.extend(handed.iter().map(|one| (one.id.to_string(), one.kind.as_str(), one.attempt)));
        for one in handed {
            let sent = qqq_core::delivery::Outcome::Sent;
            assert!(store.settle(one.id, one.lease, &sent, now).await.unwrap());
        }
    }
    let claimed: Vec<Value> =
        claimed.into_iter().map(|(id, kind, attempt)| json!([id, kind, attempt])).collect();
    assert_eq!(Value::from(claimed), listed()["claimed_later"]);
    // Every link that was sent still works.
    let hashes = fill::active().hashes;
    for (purpose, token) in [
        (Purpose::Confirm, hashes.confirm),
        (Purpose::Unsubscribe, hashes.unsubscribe),
        (Purpose::Manage, hashes.manage),
    ] {
        let found = store.subscription_of(purpose, &token).await.unwrap();
        assert_eq!(found.map(|found| found.id), Some(fill::active().id), "{purpose:?}");
    }
}
