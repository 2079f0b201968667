//! Makes the file of `testdata/`, by the version that it is of. A later version has its own file to make: it
//! keeps the names that the tests use, and nothing else of this.

use super::listing::{NOTES, listing};
use super::testdata;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use qqq_core::alert::{Folded, Occurrence};
use qqq_core::delivery::places::Rooms;
use qqq_core::delivery::{Delivery, Failure, Outcome};
use qqq_core::rule::Evidence;
use qqq_core::subscription::channel::{Channel, Webhook, WebhookFormat};
use qqq_core::{
    Alert, AlertId, FeedMode, FeedStatus, Figures, Metric, Price, RuleName, SpikeRule, Split, Statistics,
    SymbolProblem, U256, Visibility,
};
use qqq_store::conformance::{
    MINUTE, PLENTY, UNLIMITED, alert, alerts_of, at, bar, feed_status, retracted, sign_up, symbol,
};
use qqq_store::{
    AlertChange, BarRecord, Batch, Choice, Selection, SignUp, SignUpLimits, SplitRecord, Store,
    SubscriptionChange, open,
};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::slice;

/// Seconds after [`at`]`(0)` at which the process that made the file ended.
pub(super) const LEFT_AT: i64 = 4_000;
/// Refused three messages in a row.
pub(super) const REFUSING: &str = "refusing@example.com";
const GONE: &str = "https://gone.example.com/hook";
const HOOK: &str = "https://hooks.example.com/ada?key=1";
/// Rules of somebody's own, one of each kind and evidence.
const OWN: [(&str, Metric, Evidence); 6] = [
    ("spike ratio=4 window=30m", Metric::Price, Evidence::Average { sum: 30_000_000_000, bars: 30 }),
    ("spike ratio=5", Metric::Volume, Evidence::Average { sum: i64::MAX as i128, bars: u16::MAX as u32 }),
    (
        "zscore z=4",
        Metric::Price,
        Evidence::Deviation { sum: i64::MIN as i128, squares: U256::new(u128::MAX), bars: 30 },
    ),
    ("move percent=2", Metric::Price, Evidence::Origin { value: 1, start: MINUTE.plus_minutes(-60) }),
    ("cross above=200", Metric::Price, Evidence::Crossing { level: 200_000_000_000, before: -1 }),
    ("time_of_day ratio=4", Metric::Volume, Evidence::Median { twice: 3, sessions: 20 }),
];

/// Active from before the first alert.
pub(super) fn active() -> SignUp {
    SignUp { confirm: false, ..sign_up(1, "Ada+stocks@example.com", "TSLA") }
}

/// Signed up, and not taken in.
pub(super) fn waiting(n: u16) -> SignUp {
    sign_up(800 + n, ["late@example.com", "https://late.example.com/hook"][usize::from(n)], "AAPL")
}

async fn ask(store: &dyn Store, asked: &SignUp, limits: SignUpLimits, now: Timestamp) {
    store.subscribe(slice::from_ref(asked), limits, now).await.unwrap();
    store.take_in(limits, now).await.unwrap();
}

/// Subscribes without being asked to confirm.
async fn subscribe(store: &dyn Store, asked: SignUp) -> SignUp {
    let asked = SignUp { confirm: false, ..asked };
    ask(store, &asked, UNLIMITED, at(-3600)).await;
    asked
}

async fn amend(store: &dyn Store, of: &SignUp, change: SubscriptionChange, now: Timestamp) {
    store.amend(&of.hashes.manage, &change, now).await.unwrap();
}

async fn raise(store: &dyn Store, alert: &Alert, now: Timestamp) {
    store.commit(&alerts_of([AlertChange::Raised(alert.clone())]), now).await.unwrap();
}

/// Hands out all that is due and settles it as `outcome` says of a receiver; `None` leaves it under way.
async fn deliver(store: &dyn Store, now: i64, outcome: impl Fn(&Delivery, &str) -> Option<Outcome>) {
    loop {
        let handed = store.claim(at(now), at(now + 30), Rooms::for_anybody(99), PLENTY).await.unwrap();
        if handed.is_empty() {
            return;
        }
        for one in handed {
            if let Some(outcome) = outcome(&one, &one.subscription.channel.key()) {
                assert!(store.settle(one.id, one.lease, &outcome, at(now + 1)).await.unwrap());
            }
        }
    }
}

fn status(clock: Timestamp) -> FeedStatus {
    let problem = |name, next_attempt| SymbolProblem {
        symbol: symbol(name),
        problem: "alpaca answered 400 Bad Request".to_owned(),
        since: at(-60),
        next_attempt,
    };
    FeedStatus {
        problem: Some("alpaca answered 503".to_owned()),
        asked_until: Some(MINUTE.plus_minutes(3)),
        symbol_problems: vec![problem("ZZZZ", Some(at(3540))), problem("BRK.B", None)],
        ..feed_status(FeedMode::Live, clock)
    }
}

async fn bars(store: &dyn Store) {
    let split = Split::new(symbol("NVDA"), "2025-01-31".parse().unwrap(), 10, 1).unwrap();
    let figures = Figures {
        stdev: Some(0.1),
        relative_stdev: None,
        trailing_average: Some(f64::MIN_POSITIVE),
        ratio: Some(1.0 / 3.0),
        window_bars: 60,
    };
    let statistics = |name| Statistics {
        symbol: symbol(name),
        start: MINUTE.plus_minutes(9),
        feed: "test".parse().unwrap(),
        price: figures,
        volume: Figures { stdev: None, window_bars: u16::MAX.into(), ..figures },
        further: Vec::new(),
    };
    let mut exact = bar("BRK.B", MINUTE, 68_910);
    exact.bar.high = Price::from_nanos(689_123_456_789).unwrap();
    let of =
        |name: &'static str| (0..10).map(move |n| bar(name, MINUTE.plus_minutes(n), 10_000 + i64::from(n)));
    let first = [bar("NVDA", MINUTE.plus_minutes(-5), 120_000), exact];
    let batch = Batch {
        bars: of("TSLA").chain(of("AAPL")).chain(of("NVDA")).chain(first).collect(),
        statistics: vec![statistics("AAPL"), statistics("TSLA")],
        feed: Some(status(at(0))),
        ..Batch::default()
    };
    store.commit(&batch, at(-3700)).await.unwrap();
    let revised = BarRecord { revision: 2, ..bar("TSLA", MINUTE.plus_minutes(4), 10_300) };
    let batch =
        Batch { splits: vec![SplitRecord { split, from: MINUTE }], bars: vec![revised], ..Batch::default() };
    store.commit(&batch, at(-3690)).await.unwrap();
    let imported =
        [bar("AAPL", MINUTE.plus_minutes(-100), 9_999), bar("AAPL", MINUTE.plus_minutes(3), 9_998)];
    store.import(&imported.map(|record| record.bar)).await.unwrap();
}

/// Alerts of rules of somebody's own, each with who subscribes to it; every other one was retracted.
async fn own_alerts(store: &dyn Store) {
    for (n, (rule, metric, evidence)) in (0..).zip(OWN) {
        let rule: RuleName = rule.parse().unwrap();
        let receiver = ["bob@example.com".to_owned(), format!("https://own.example.com/{n}")];
        let asked = sign_up(100 + n, &receiver[usize::from(n % 2)], "TSLA");
        subscribe(store, SignUp { rule, metric, ..asked }).await;
        let own = Alert {
            id: AlertId::derive(rule, symbol("TSLA"), metric, MINUTE),
            rule: rule.whole(SpikeRule::default()),
            metric,
            evidence,
            visibility: Visibility::Private,
            ..alert("TSLA", MINUTE)
        };
        raise(store, &own, at(1)).await;
        if n % 2 == 1 {
            store.commit(&alerts_of([AlertChange::Retracted(retracted(&own))]), at(2)).await.unwrap();
        }
    }
}

/// Subscriptions in every state but those that wait.
async fn subscriptions(store: &dyn Store) {
    subscribe(store, active()).await;
    for (n, receiver) in
        [(2, HOOK), (3, GONE), (4, REFUSING), (5, "later@example.com"), (6, "down@example.com")]
    {
        subscribe(store, sign_up(n, receiver, "TSLA")).await;
    }
    subscribe(store, sign_up(7, "slow@example.com", "TSLA")).await;
    let until_late = "22:00-21:50 America/New_York".parse().ok();
    subscribe(store, SignUp { quiet: until_late, ..sign_up(8, "asleep@example.com", "TSLA") }).await;
    let for_half_an_hour = "00:00-01:30 UTC".parse().ok();
    subscribe(store, SignUp { quiet: for_half_an_hour, ..sign_up(9, "napping@example.com", "TSLA") }).await;
    for (n, until) in [(10, at(86_400)), (11, Timestamp::MAX)] {
        let paused =
            subscribe(store, sign_up(n, "away@example.com", ["AAPL", "NVDA"][usize::from(n) - 10])).await;
        amend(
            store,
            &paused,
            SubscriptionChange { paused_until: Some(Some(until)), ..Default::default() },
            at(-9),
        )
        .await;
    }
    let rotating = subscribe(store, sign_up(12, "https://hooks.example.com/rotating", "AAPL")).await;
    amend(store, &rotating, SubscriptionChange { rotate_secret: true, ..Default::default() }, at(-8)).await;
    for (n, receiver) in [(13, "left@example.com"), (14, "https://left.example.com/hook")] {
        let left = subscribe(store, sign_up(n, receiver, "AAPL")).await;
        store.unsubscribe(&left.hashes.unsubscribe, false, at(-7)).await.unwrap();
    }
    let barred = subscribe(store, sign_up(15, "barred@example.com", "AAPL")).await;
    assert_eq!(store.disable(&Selection::One(barred.id), at(-6)).await.unwrap(), 1);
    for (n, format) in (0..).zip(WebhookFormat::ALL) {
        let url = format!("https://formats.example.com/{n}").parse().unwrap();
        let channel = Channel::Webhook(Webhook { url, format });
        ask(store, &SignUp { channel, ..sign_up(20 + n, REFUSING, "NVDA") }, UNLIMITED, at(-5)).await;
    }
    let confirmed = sign_up(30, "confirmed@example.com", "AAPL");
    ask(store, &confirmed, UNLIMITED, at(-5)).await;
    store.confirm(&confirmed.hashes.confirm, &Choice::Everything, at(-4)).await.unwrap();
    ask(store, &sign_up(31, "undecided@example.com", "AAPL"), UNLIMITED, at(-4)).await;
}

async fn fill(store: &dyn Store) {
    bars(store).await;
    subscriptions(store).await;
    own_alerts(store).await;

    // Alerts of the house's: told, counted, folded, retracted.
    let told = alert("TSLA", MINUTE);
    raise(store, &told, at(3)).await;
    let folded = Folded { count: 300, peak: i64::MAX.into(), until: Some(MINUTE.plus_minutes(-1)) };
    let more = (0..3)
        .map(|n| Occurrence { start: MINUTE.plus_minutes(n), value: 151_234 + i128::from(n) })
        .collect();
    let counted = Alert { occurrences: more, folded, ..told };
    store.commit(&alerts_of([AlertChange::Counted(counted)]), at(4)).await.unwrap();
    let failing = |one: &Delivery, to: &str| match to {
        GONE => Some(Outcome::Gone(Failure::other("410 Gone"))),
        REFUSING => Some(Outcome::Failed(Failure::other("550 5.1.1 no such user"))),
        "later@example.com" => Some(Outcome::RetryAt(at(LEFT_AT + 600), Failure::other("451 greylisted"))),
        "down@example.com" => Some(Outcome::RetryAt(Timestamp::MAX, Failure::other("421 down"))),
        "slow@example.com" => None,
        "confirmed@example.com" => Some(Outcome::Sent),
        _ if one.alert.as_ref().is_some_and(|alert| !alert.is_public()) => {
            Some(Outcome::RetryAt(at(LEFT_AT), Failure::other("503")))
        }
        _ => Some(Outcome::Sent),
    };
    deliver(store, 5, failing).await;
    for n in 1..=2 {
        raise(store, &alert("TSLA", MINUTE.plus_minutes(n)), at(60 + i64::from(n))).await;
        deliver(store, 70 + i64::from(n), failing).await;
    }
    let wrong = alert("TSLA", MINUTE.plus_minutes(3));
    raise(store, &wrong, at(100)).await;
    deliver(store, 101, failing).await;
    store.commit(&alerts_of([AlertChange::Retracted(retracted(&wrong))]), at(102)).await.unwrap();
    // Some are told of the retraction, for the others it still waits.
    deliver(store, 103, |one, to| match to {
        HOOK => Some(Outcome::Sent),
        _ => failing(one, to).and(Some(Outcome::RetryAt(at(LEFT_AT + 60), Failure::other("451")))),
    })
    .await;
    // What quiet hours held comes as a digest; what others hold waits on.
    deliver(store, 1_900, |_, _| Some(Outcome::Sent)).await;
    raise(store, &alert("TSLA", MINUTE.plus_minutes(60)), at(LEFT_AT - 90)).await;
    deliver(store, LEFT_AT - 80, failing).await;

    for (name, text) in NOTES.into_iter().zip(["an old key's check", "42"]) {
        store.set_note(name, text).await.unwrap();
    }
    // Messages that ask to confirm and have to wait: no more go out within an hour.
    let none = SignUpLimits { total_per_hour: 0, domain_per_hour: 0, provider_per_hour: 0, ..UNLIMITED };
    for (n, receiver) in [(40, "patient@example.com"), (41, "https://patient.example.com/hook")] {
        store
            .subscribe(slice::from_ref(&sign_up(n, receiver, "NVDA")), UNLIMITED, at(LEFT_AT - 20))
            .await
            .unwrap();
    }
    assert_eq!(store.take_in(none, at(LEFT_AT - 19)).await.unwrap().confirmations, 0);
    for n in 0..2 {
        store.subscribe(slice::from_ref(&waiting(n)), UNLIMITED, at(LEFT_AT - 10)).await.unwrap();
    }
}

/// How many rows each table has.
async fn tables(file: &Path) -> Value {
    let mut connection = SqliteConnectOptions::new().filename(file).connect().await.unwrap();
    let names: Vec<String> = sqlx::query_scalar(
        "select name from sqlite_schema where type = 'table' and name not like 'sqlite%' order by name",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let mut tables = serde_json::Map::new();
    for name in names {
        let count = sqlx::AssertSqlSafe(format!("select count(*) from {name}"));
        let rows: i64 = sqlx::query_scalar(count).fetch_one(&mut connection).await.unwrap();
        tables.insert(name, rows.into());
    }
    connection.close().await.unwrap();
    tables.into()
}

#[tokio::test]
#[ignore = "makes the file of testdata/ anew"]
async fn make_the_file_of_this_version() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let url = format!("sqlite://{}", path.display());
    let store = open(&url).await.unwrap();
    fill(&*store).await;
    let mut listed = listing(&*store).await;
    store.close().await;
    listed.insert("tables".to_owned(), tables(&path).await);
    let mut packed =
        GzEncoder::new(File::create(testdata("store-0.1.sqlite.gz")).unwrap(), Compression::best());
    std::io::copy(&mut File::open(&path).unwrap(), &mut packed).unwrap();
    packed.finish().unwrap();

    // What this version goes on to do with it.
    let store = open(&url).await.unwrap();
    let now = at(LEFT_AT + 700);
    let taken = store.take_in(UNLIMITED, now).await.unwrap();
    listed.insert("taken_in_later".to_owned(), json!([taken.sign_ups, taken.confirmations]));
    let mut claimed = BTreeSet::new();
    loop {
        let handed = store.claim(now, at(LEFT_AT + 800), Rooms::for_anybody(99), PLENTY).await.unwrap();
        if handed.is_empty() {
            break;
        }
        for one in handed {
            claimed.insert((one.id.to_string(), one.kind.as_str(), one.attempt));
            assert!(store.settle(one.id, one.lease, &Outcome::Sent, now).await.unwrap());
        }
    }
    let claimed: Vec<Value> =
        claimed.into_iter().map(|(id, kind, attempt)| json!([id, kind, attempt])).collect();
    listed.insert("claimed_later".to_owned(), claimed.into());
    fs::write(testdata("store-0.1.json"), format!("{:#}\n", Value::from(listed))).unwrap();
}
