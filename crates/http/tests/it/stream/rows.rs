//! Nothing missed, nothing twice: what clients hear against what the store holds.

use super::*;

/// What a client has seen over all its connections.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) last: Option<String>,
    ids: BTreeSet<String>,
    rows: Rows,
}

impl Seen {
    pub(super) fn take(&mut self, block: &Block) {
        assert_ne!(block.event, "reset");
        let Some(id) = &block.id else { return };
        if let Some(last) = &self.last {
            assert!(place(id) > place(last), "{id} after {last}");
        }
        assert!(self.ids.insert(id.clone()), "{id} twice");
        self.last = Some(id.clone());
        if block.event != "status" {
            self.rows.insert(place(id).key, (block.event.clone(), block.json()));
        }
    }
}

/// What tells a row's states apart, from the store's side and from the client's.
fn told(row: &Row) -> (String, Value) {
    match row {
        Row::Bar(BarRecord { bar, revision }) => (
            "bar".to_owned(),
            json!([
                bar.symbol.to_string(),
                bar.start.to_string(),
                bar.close.to_f64(),
                bar.volume.shares(),
                revision
            ]),
        ),
        Row::Statistics(one) => (
            "stats".to_owned(),
            json!([
                one.symbol.to_string(),
                one.start.to_string(),
                one.of(Metric::Price).unwrap().stdev,
                one.of(Metric::Volume).unwrap().ratio
            ]),
        ),
        Row::Alert(alert) => {
            ("alert".to_owned(), json!([alert.id.to_string(), alert.state.as_str(), alert.occurrences.len()]))
        }
    }
}

fn heard((name, data): &(String, Value)) -> (String, Value) {
    let picked = match name.as_str() {
        "bar" => {
            json!([data["symbol"], data["start"], data["close"].as_f64(), data["volume"], data["revision"]])
        }
        "stats" => {
            let statistics = &data["statistics"];
            json!([
                data["symbol"],
                data["start"],
                statistics["price"]["stdev"],
                statistics["volume"]["ratio"]
            ])
        }
        _ => json!([data["id"], data["state"], data["occurrences"]]),
    };
    (name.clone(), picked)
}

type Rows = BTreeMap<Key, (String, Value)>;

/// The first row that is not the same in both, in words.
fn difference(heard: &Rows, expected: &Rows) -> Option<String> {
    let keys: BTreeSet<_> = heard.keys().chain(expected.keys()).collect();
    let differs = keys.into_iter().find(|key| heard.get(key) != expected.get(key))?;
    Some(format!("{differs:?}: {:?}, not {:?}", heard.get(differs), expected.get(differs)))
}

/// Commits of all kinds: new and corrected bars, figures, alerts that are counted and retracted.
struct Writer {
    random: fastrand::Rng,
    start: Second,
    revisions: BTreeMap<(Symbol, Second), u32>,
    alerts: Vec<Alert>,
}

const NAMES: [&str; 4] = ["AAPL", "META", "TSLA", "NVDA"];

impl Writer {
    fn new(seed: u64) -> Self {
        let (revisions, alerts) = (BTreeMap::new(), Vec::new());
        Self { random: fastrand::Rng::with_seed(seed), start: at("2025-01-31T15:30:00Z"), revisions, alerts }
    }

    fn batch(&mut self) -> Batch {
        let random = &mut self.random;
        self.start = self.start.plus_minutes(random.i32(0..2));
        let mut batch = Batch::default();
        for _ in 0..random.usize(0..12) {
            let name = NAMES[random.usize(0..NAMES.len())];
            // Most are of now, some correct what was.
            let start =
                if random.f64() < 0.7 { self.start } else { self.start.plus_minutes(-random.i32(0..40)) };
            let bar = bar(name, start, &random.u32(1..9).to_string(), random.i64(1..5));
            let revision =
                self.revisions.entry((bar.symbol, start)).and_modify(|known| *known += 1).or_default();
            batch.bars.push(BarRecord { bar, revision: *revision });
            if random.f64() < 0.5 {
                batch.statistics.push(statistics(name, start, random.u8(..).into(), random.u8(..).into()));
            }
        }
        match random.u8(0..6) {
            0 => {
                let raised = alert(NAMES[random.usize(0..NAMES.len())], Metric::Volume, self.start);
                if self.alerts.iter().all(|known| known.id != raised.id) {
                    batch.alerts.push(AlertChange::Raised(raised.clone()));
                    self.alerts.push(raised);
                }
            }
            1 if !self.alerts.is_empty() => {
                let index = random.usize(0..self.alerts.len());
                let known = &mut self.alerts[index];
                known.occurrences.push(Occurrence { start: self.start, value: 5 });
                batch.alerts.push(AlertChange::Counted(known.clone()));
            }
            2 if !self.alerts.is_empty() => {
                let known = self.alerts.swap_remove(random.usize(0..self.alerts.len()));
                batch.alerts.push(AlertChange::Retracted(known));
            }
            _ => {}
        }
        batch
    }
}

#[tokio::test]
async fn a_client_cut_off_at_random_sees_what_the_store_holds_and_no_id_twice() {
    // All events in memory, a few, none: those are read from the store.
    for (seed, ring) in [(1, 16 << 20), (2, 20_000), (3, 3_000), (4, 0)] {
        let mut world = World::new().await;
        world.config.limits.streams.ring = ring;
        let following = Following::start(world.api().await);
        let router = following.api.router();
        let mut writer = Writer::new(seed);
        let mut random = fastrand::Rng::with_seed(seed);
        let filtered = ["META".parse().unwrap(), "TSLA".parse().unwrap()];
        let mut clients =
            [("/v1/stream", Seen::default()), ("/v1/stream?symbols=fb,%20tsla", Seen::default())];
        for (_, seen) in &mut clients {
            seen.last = Some("0".to_owned());
        }
        for _ in 0..120 {
            for _ in 0..random.u8(0..4) {
                let sequence = world.commit(writer.batch()).await;
                if random.bool() {
                    following.has_seen(sequence).await;
                }
            }
            for (path, seen) in &mut clients {
                // Whatever comes at once, up to a random event; then the connection is gone.
                let mut client = Client::open(&router, path, seen.last.as_deref()).await;
                for _ in 0..random.usize(0..30) {
                    tokio::select! {
                        biased;
                        block = client.block() => seen.take(&block.unwrap()),
                        () = tokio::time::sleep(Duration::from_millis(2)) => break,
                    }
                }
            }
        }
        following.has_seen(world.store.sequence().await.unwrap()).await;
        let rows = world.store.changes(Sequence(0), usize::MAX).await.unwrap().into_rows();
        assert!(rows.len() > 200, "{}", rows.len());
        for (path, seen) in &mut clients {
            let of_client = |row: &&Stamped<Row>| match &row.row {
                _ if *path == "/v1/stream" => true,
                Row::Bar(record) => filtered.contains(&record.bar.symbol),
                Row::Statistics(one) => filtered.contains(&one.symbol),
                Row::Alert(alert) => filtered.contains(&alert.symbol),
            };
            let expected: Rows =
                rows.iter().filter(of_client).map(|row| (row.place().key, told(&row.row))).collect();
            let newest = rows.iter().filter(of_client).map(Stamped::place).max().unwrap();
            let mut client = Client::open(&router, path, seen.last.as_deref()).await;
            while place(seen.last.as_ref().unwrap()) < newest {
                let block = client.expect().await;
                seen.take(&block);
            }
            let heard: BTreeMap<_, _> = seen.rows.iter().map(|(key, row)| (*key, heard(row))).collect();
            assert_eq!(difference(&heard, &expected), None, "{path}, ring {ring}");
        }
    }
}

#[tokio::test]
async fn what_was_missed_is_read_in_pages_that_may_end_within_a_commit() {
    let world = World::new().await;
    let start = at("2025-01-31T15:00:00Z");
    let names = DEFAULT_SYMBOLS.map(symbol);
    let bars = |minutes: std::ops::Range<i32>| -> Vec<_> {
        minutes.flat_map(|n| names.map(|name| bar(name.as_str(), start.plus_minutes(n), "1", 1))).collect()
    };
    world.commit_bars(&bars(0..100)).await;
    for n in 100..140 {
        world.commit_bars(&bars(n..n + 1)).await;
    }
    let router = world.router().await;
    let mut seen = Seen::default();
    let mut client = Client::open(&router, "/v1/stream", Some("0")).await;
    while seen.rows.len() < 1_400 {
        seen.take(&client.expect().await);
    }
    let status = client.expect().await;
    assert_eq!((status.event.as_str(), status.id.as_deref()), ("status", Some("41")));
}

#[tokio::test]
async fn streams_that_stay_open_see_every_commit_once_and_in_order() {
    let mut world = World::new().await;
    world.config.limits.streams.ring = 4_000;
    let following = Following::start(world.api().await);
    let router = following.api.router();
    let reading = (0..20).map(|n| {
        let router = router.clone();
        tokio::spawn(async move {
            let path = if n % 2 == 0 { "/v1/stream" } else { "/v1/stream?symbols=NFLX,AAPL" };
            let mut client = Client::open(&router, path, Some("0")).await;
            let mut seen = Seen::default();
            loop {
                let block = client.expect().await;
                seen.take(&block);
                if block.data.contains("NFLX") {
                    return seen;
                }
            }
        })
    });
    let reading: Vec<_> = reading.collect();
    let mut writer = Writer::new(9);
    for _ in 0..100 {
        world.commit(writer.batch()).await;
        following.wakeup.notify_one();
    }
    world.commit_bars(&[bar("NFLX", writer.start, "1", 1)]).await;
    following.wakeup.notify_one();
    let rows = world.store.changes(Sequence(0), usize::MAX).await.unwrap().into_rows();
    let all: BTreeMap<_, _> = rows.iter().map(|row| (row.place().key, told(&row.row))).collect();
    for (n, client) in reading.into_iter().enumerate() {
        let seen = client.await.unwrap();
        let heard: BTreeMap<_, _> = seen.rows.iter().map(|(key, row)| (*key, heard(row))).collect();
        match n % 2 {
            0 => assert_eq!(difference(&heard, &all), None),
            _ => assert!(heard.len() < all.len() && heard.iter().all(|(key, row)| all[key] == *row)),
        }
    }
}
