//! A small market to ask about.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;
use jiff::SignedDuration;
use prometheus_client::registry::Registry;
use qqq_core::alert::Occurrence;
use qqq_core::delivery::places::Rooms;
use qqq_core::delivery::{Delivery, DeliveryKind};
use qqq_core::market::calendar::Market;
use qqq_core::market::watchlist::DEFAULT_SYMBOLS;
use qqq_core::subscription::token::{Purpose, TokenKey};
use qqq_core::{
    Alert, AlertId, AlertState, Bar, Calendar, Clock, FeedMode, FeedStatus, Figures, Metric, Second,
    Statistics, Symbol, Watchlist,
};
use qqq_core::{Evidence, RuleName, SpikeRule};
use qqq_engine::watchlist::{WatchlistBasis, Watchlists};
use qqq_http::{Api, ApiConfig, Dashboard};
use qqq_store::{AlertChange, BarRecord, Batch, Budget, Sequence, Store};
use qqq_testkit::SetClock;
use qqq_testkit::bars::flat;
pub(crate) use qqq_testkit::{in_time, until};
use serde_json::Value;
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// A Friday afternoon in the middle of the regular session (15:00 New York).
pub(crate) const NOW: &str = "2025-01-31T20:00:30Z";

pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<SetClock>,
    pub(crate) config: ApiConfig,
    pub(crate) calendar: Arc<Calendar>,
    pub(crate) watchlist: Arc<Watchlist>,
    pub(crate) key: TokenKey,
    _folder: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = qqq_store::open(&format!("sqlite://{}/test.db", folder.path().display())).await.unwrap();
        let mut config = ApiConfig::new("http://127.0.0.1:8080".parse().unwrap());
        config.dashboard = dashboard();
        Self {
            store,
            clock: Arc::new(SetClock::at(NOW)),
            config,
            calendar: Arc::new(Calendar::new(Market::Xnas, false, [])),
            watchlist: Arc::new(Watchlist::new(DEFAULT_SYMBOLS.map(symbol), []).unwrap()),
            key: TokenKey::new([7; 32]),
            _folder: folder,
        }
    }

    /// An API over the store as it now is.
    pub(crate) async fn api(&self) -> Api {
        self.api_over(Arc::clone(&self.store)).await
    }

    pub(crate) async fn api_over(&self, store: Arc<dyn Store>) -> Api {
        Api::load(
            Arc::clone(&store),
            Arc::new(Watchlists::new(
                store,
                WatchlistBasis { configured: (&*self.watchlist).into(), admit: Arc::new(|_| Ok(())) },
            )),
            Arc::clone(&self.calendar),
            Arc::clone(&self.clock) as Arc<dyn Clock>,
            self.key.clone(),
            self.config.clone(),
            Arc::new(Mutex::new(Registry::default())),
        )
        .await
        .unwrap()
    }

    pub(crate) async fn router(&self) -> Router {
        self.api().await.router()
    }

    pub(crate) async fn commit(&self, batch: Batch) -> Sequence {
        self.store.commit(&batch, self.clock.now()).await.unwrap().sequence
    }

    pub(crate) async fn commit_bars(&self, bars: &[Bar]) -> Sequence {
        let bars = bars.iter().map(|&bar| BarRecord { bar, revision: 0 }).collect();
        self.commit(Batch { bars, ..Batch::default() }).await
    }

    /// The deliveries owed now, taken out of the store, with those of the sign-ups so far.
    pub(crate) async fn claim(&self) -> Vec<Delivery> {
        let now = self.clock.now();
        self.store.take_in(self.config.sign_up, now).await.unwrap();
        let lease = now.checked_add(SignedDuration::from_secs(60)).unwrap();
        self.store
            .claim(now, lease, Rooms::for_anybody(100), Budget { messages: 1_000, per_seconds: 60 })
            .await
            .unwrap()
    }

    /// The token of the one confirmation mail that is owed, and the unsubscribe token beside it.
    pub(crate) async fn mailed_tokens(&self) -> (String, String) {
        let owed = self.claim().await;
        let [delivery] = &owed[..] else { panic!("{} deliveries are owed", owed.len()) };
        assert_eq!(delivery.kind, DeliveryKind::Confirmation);
        let subscription = &delivery.subscription;
        let token =
            |purpose| self.key.token(purpose, subscription.id, &subscription.nonce).expose().to_owned();
        (token(Purpose::Confirm), token(Purpose::Unsubscribe))
    }
}

/// What stands at the path of every page.
pub(crate) const SHELL: &str =
    "<!doctype html><title>Made up</title><script type=\"module\" src=\"/assets/index-1a2B.js\"></script>";

/// A dashboard made up for tests: what they show holds whether or not the real one was built.
fn dashboard() -> Dashboard {
    let script = "export const answer = 42;\n".repeat(40);
    let files = [
        (".gitignore", "*"),
        ("index.html", SHELL),
        ("theme.js", "document.documentElement.dataset.theme = 'dark';"),
        ("favicon.svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"/>"),
        ("assets/index-1a2B.js", &script),
        ("assets/index-3c4D.css", "body { margin: 0 }"),
    ];
    Dashboard::of(files.map(|(name, content)| (name.to_owned(), content.as_bytes().to_vec().into())))
}

/// An API that follows its store until dropped.
pub(crate) struct Following {
    pub(crate) api: Api,
    pub(crate) wakeup: Arc<Notify>,
    stop: CancellationToken,
    task: Option<tokio::task::JoinHandle<Result<(), qqq_store::StoreError>>>,
}

impl Following {
    pub(crate) fn start(api: Api) -> Self {
        let (wakeup, stop) = (Arc::new(Notify::new()), CancellationToken::new());
        let task = tokio::spawn({
            let (api, wakeup, stop) = (api.clone(), Arc::clone(&wakeup), stop.clone());
            async move { api.tail(wakeup, stop).await }
        });
        Self { api, wakeup, stop, task: Some(task) }
    }

    pub(crate) async fn has_seen(&self, sequence: Sequence) {
        self.wakeup.notify_one();
        until("the server has read it", async || self.api.sequence() >= sequence).await;
    }

    /// How the following ended by itself.
    pub(crate) async fn ended(mut self) -> Result<(), qqq_store::StoreError> {
        self.task.take().unwrap().await.unwrap()
    }

    pub(crate) async fn stop(mut self) -> Result<(), qqq_store::StoreError> {
        self.stop.cancel();
        self.task.take().unwrap().await.unwrap()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub(crate) async fn send(router: &Router, request: Request<Body>) -> Reply {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    Reply { status: parts.status, headers: parts.headers, body }
}

pub(crate) async fn get(router: &Router, path: &str) -> Reply {
    send(router, Request::get(path).body(Body::empty()).unwrap()).await
}

pub(crate) async fn get_with(router: &Router, path: &str, headers: &[(&str, &str)]) -> Reply {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(router, request.body(Body::empty()).unwrap()).await
}

pub(crate) async fn post(router: &Router, path: &str, kind: &str, body: impl Into<Body>) -> Reply {
    let request = Request::post(path).header(header::CONTENT_TYPE, kind).body(body.into()).unwrap();
    send(router, request).await
}

pub(crate) async fn post_json(router: &Router, path: &str, body: &str) -> Reply {
    post(router, path, "application/json", body.to_owned()).await
}

/// An alert that no memory holds: only the store can say that there is none.
pub(crate) const FROM_THE_STORE: &str = "/v1/alerts/f781bcc6-15b4-57da-b522-3b1126688157";

pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

pub(crate) fn symbol(text: &str) -> Symbol {
    text.parse().unwrap()
}

pub(crate) fn at(text: &str) -> Second {
    Second::minute_of(text.parse().unwrap())
}

/// A bar that traded at one price.
pub(crate) fn bar(name: &str, start: Second, close: &str, volume: i64) -> Bar {
    Bar { feed: "iex".parse().unwrap(), ..flat(name, start, close.parse().unwrap(), volume) }
}

pub(crate) fn feed(mode: FeedMode) -> FeedStatus {
    FeedStatus {
        provider: "test".to_owned(),
        label: "iex".parse().unwrap(),
        mode,
        coverage: "IEX only: about 2.5 % of US volume".to_owned(),
        stands_in_for: None,
        clock: NOW.parse().unwrap(),
        answered_at: Some(NOW.parse().unwrap()),
        problem: None,
        asked_until: None,
        symbol_problems: Vec::new(),
    }
}

pub(crate) fn statistics(name: &str, start: Second, price_stdev: f64, volume_ratio: f64) -> Statistics {
    let figures = |stdev: f64, ratio: f64| Figures {
        stdev: Some(stdev),
        relative_stdev: Some(stdev / 100.0),
        trailing_average: Some(21034.5),
        ratio: Some(ratio),
        window_bars: 60,
    };
    Statistics {
        symbol: symbol(name),
        start,
        feed: "iex".parse().unwrap(),
        price: figures(price_stdev, 1.0007),
        volume: figures(price_stdev * 10.0, volume_ratio),
        further: Vec::new(),
    }
}

pub(crate) fn alert(name: &str, metric: Metric, start: Second) -> Alert {
    let symbol = symbol(name);
    Alert {
        id: AlertId::derive("spike", symbol, metric, start),
        rule: RuleName::House.whole(SpikeRule::default()),
        symbol,
        metric,
        start,
        value: 151_234,
        evidence: Evidence::Average { sum: 1_262_070, bars: 60 },
        feed: "iex".parse().unwrap(),
        revision: 0,
        state: AlertState::Raised,
        raised_at: start.minute_end().checked_add(SignedDuration::from_millis(4_120)).unwrap(),
        visibility: qqq_core::Visibility::Public,
        occurrences: vec![Occurrence { start, value: 151_234 }],
        folded: qqq_core::alert::Folded::default(),
        close: "118.42".parse().ok(),
        previous_close: "122.7".parse().ok(),
    }
}

pub(crate) fn raised(alerts: impl IntoIterator<Item = Alert>) -> Batch {
    Batch { alerts: alerts.into_iter().map(AlertChange::Raised).collect(), ..Batch::default() }
}
