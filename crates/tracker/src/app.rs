//! A process: which roles it plays, how it starts, and how it ends.
//!
//! Asked to stop, it drains: ingest ends, detect commits what it has, dispatch lets its messages finish,
//! connections get their answers. Asked again, it stops at once. A role that fails takes the process with
//! it: it never runs on at half strength. One that waits for room on the disk has not failed: what is stored is served
//! meanwhile, and readiness tells.

use crate::config::{Config, ConfigError, ProviderName};
use crate::source::Source;
use crate::{descriptors, key, splits, summary};
use anyhow::{Context as _, bail};
use jiff::SignedDuration;
use prometheus_client::registry::Registry;
use qqq_api::{Api, ApiConfig, Cors, Limits, StreamLimits};
use qqq_core::watchlist::FormerSymbol;
use qqq_core::{Calendar, Clock, FeedMode, Watchlist};
use qqq_engine::detect::{self, Detect};
use qqq_engine::dispatch::Dispatch;
use qqq_engine::failover::FailoverTimeouts;
use qqq_engine::feed::{Feed, keep_apart};
use qqq_engine::ingest::{Ingest, Poller, QUEUE};
use qqq_engine::metrics::Metrics;
use qqq_engine::relay::Relay;
use qqq_engine::retain::{self, Retention};
use qqq_notify::{Channels, Deliver, Mail, MailConfig, Webhooks, WebhooksConfig};
use qqq_store::{Budget, Store, StoreError, WorkerLock};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use url::Url;

/// The longest roles take to end once asked, however stubborn their peers. With [`CLOSE`]: ten seconds.
const DRAIN: Duration = Duration::from_secs(8);
/// Time given to looking through the store at a start.
const LOOK: Duration = Duration::from_secs(5);
/// Time given to the store's last checkpoint.
const CLOSE: Duration = Duration::from_secs(2);

/// Which roles a process plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// Ingest, detect, dispatch, retain.
    pub worker: bool,
    /// Serve.
    pub server: bool,
}

/// What the roles share.
pub struct App {
    config: Config,
    store: Arc<dyn Store>,
    watchlist: Arc<Watchlist>,
    calendar: Arc<Calendar>,
    clock: Arc<dyn Clock>,
    channels: Arc<Channels>,
    tokens: qqq_core::token::TokenKey,
    registry: Arc<Mutex<Registry>>,
    metrics: Arc<Metrics>,
}

impl App {
    /// Opens the store and sets up what every role needs.
    pub async fn open(config: Config, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let watchlist = Arc::new(config.watchlist()?);
        for reused in watchlist.reused_without_current() {
            let FormerSymbol { former, current, .. } = reused;
            warn!(
                "{former} is tracked as what it has been since it was {current}'s: {current} is not tracked"
            );
        }
        let calendar = Arc::new(config.calendar()?);
        let store = open_store(&config).await?;
        store.hold_to(config.subscription_limits());
        look_through(&*store).await?;
        let tokens = key::token_key(&config, store.as_ref()).await?;
        let channels = Arc::new(Channels {
            mail: Mail::new(mail_config(&config)?, tokens.clone(), Arc::clone(&clock))?,
            webhooks: Webhooks::new(webhooks_config(&config)?, tokens.clone(), Arc::clone(&clock))?,
        });
        let mut registry = Registry::default();
        let metrics = Arc::new(Metrics::register(&mut registry));
        let registry = Arc::new(Mutex::new(registry));
        Ok(Self { config, store, watchlist, calendar, clock, channels, tokens, registry, metrics })
    }

    /// Plays its roles until told to stop, or until one fails.
    pub async fn run(self, roles: Roles, stop: CancellationToken) -> anyhow::Result<()> {
        let store = Arc::clone(&self.store);
        let result = self.play(roles, stop).await;
        if tokio::time::timeout(CLOSE, store.close()).await.is_err() {
            info!("the store was not closed in time; it recovers at the next start");
        }
        result
    }

    async fn play(self, roles: Roles, stop: CancellationToken) -> anyhow::Result<()> {
        let mut playing = JoinSet::new();
        let committed = Arc::new(Notify::new());
        let kick = Arc::new(Notify::new());
        let mut lock: Option<Box<dyn WorkerLock>> = None;
        let listener = if roles.server { Some(self.listen().await?) } else { None };
        let metrics_listener = match self.config.server.metrics_listen.filter(|_| roles.server) {
            Some(address) => Some(bind(address, "server.metrics_listen").await?),
            None => None,
        };
        let mut feed = None;
        if roles.worker {
            lock = Some(self.store.lock_worker().await?);
            let source = self.source().await?;
            feed = Some(source.info().clone());
            self.start_worker(&mut playing, source, &committed, &kick, &stop).await?;
        }
        if let Some(listener) = listener {
            let address = listener.local_addr()?;
            let api = self.start_server(&mut playing, listener, &committed, &kick, &stop).await?;
            if let Some(listener) = metrics_listener {
                let stop = stop.clone();
                playing.spawn(async move {
                    ("metrics", api.serve_metrics(listener, stop).await.map_err(Into::into))
                });
            }
            summary::print(&self.config, &*self.store, &self.channels, feed.as_ref(), Some(address));
        } else {
            summary::print(&self.config, &*self.store, &self.channels, feed.as_ref(), None);
        }
        let result = supervise(playing, stop).await;
        drop(lock);
        result
    }

    /// One round without staying: polls once (or plays a recording to its end), delivers what is due, ends.
    pub async fn once(self, stop: CancellationToken) -> anyhow::Result<()> {
        let lock = self.store.lock_worker().await?;
        let source = self.source().await?;
        let detect = self.detect(&source).await?;
        let (steps, taken) = mpsc::channel(QUEUE);
        let ingest = self.ingest(steps);
        let detecting = tokio::spawn(detect.run(taken, Arc::new(Notify::new())));
        let polled = match source {
            Source::Tape(tape) if tape.info().mode == FeedMode::Replayed => {
                ingest.play(tape, stop.clone()).await
            }
            Source::Tape(tape) => {
                // A simulated market has no end: one round is its history and the minutes since.
                let (round, enough) =
                    (ingest.play(tape, stop.clone()), tokio::time::sleep(Duration::from_secs(3)));
                tokio::select! { result = round => result, () = enough => Ok(()) }
            }
            Source::Feeds(feeds) => self.poll_once(&ingest, feeds, &stop).await,
        };
        drop(ingest);
        detecting.await??;
        let sent = self.dispatch().run_once(&stop).await?;
        retain::once(&*self.store, self.retention(), self.clock.now(), &stop).await?;
        info!(deliveries = sent, "one round done");
        self.store.close().await;
        drop(lock);
        polled
    }

    /// Asks the first feed that answers, once.
    async fn poll_once(
        &self,
        ingest: &Ingest,
        feeds: Vec<Feed>,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let mut failures = Vec::new();
        for Feed { provider, .. } in feeds {
            let info = provider.info().clone();
            if !provider.has_history() {
                failures.push(format!("{} only streams: one round brings no bars of it", info.provider));
                continue;
            }
            let section = &self.config.feed;
            let (interval, backfill) = (section.poll_interval.duration(), section.backfill.duration());
            let mut poller = Poller::new(ingest.clone(), provider, &*self.store, interval, backfill).await?;
            match poller.poll(stop).await {
                Ok(()) => return Ok(()),
                // The windows take bars of one feed: what it left out is not another one's to bring.
                Err(error) if poller.has_answered() => return Err(error.into()),
                Err(error) => failures.push(error.to_string()),
            }
        }
        bail!(failures.join("; "))
    }

    async fn listen(&self) -> anyhow::Result<TcpListener> {
        bind(self.config.server.listen, "server.listen").await
    }

    /// Sets up the feed. Simulated and real bars never share a store.
    async fn source(&self) -> anyhow::Result<Source> {
        let mut newest = HashMap::new();
        for record in self.store.recent_bars(self.watchlist.symbols(), 1).await? {
            let known = newest.entry(record.bar.feed).or_insert(record.bar.start);
            *known = record.bar.start.max(*known);
        }
        let (config, watchlist, calendar) =
            (self.config.clone(), Arc::clone(&self.watchlist), Arc::clone(&self.calendar));
        let clock = Arc::clone(&self.clock);
        let splits = splits::of_store(&*self.store).await?;
        let open = move || Source::open(&config, &watchlist, &calendar, clock, &newest, splits);
        let source = tokio::task::spawn_blocking(open).await??;
        let simulated = source.info().mode == FeedMode::Simulated;
        keep_apart(&*self.store, &self.config.store.url, simulated).await?;
        Ok(source)
    }

    async fn detect(&self, source: &Source) -> anyhow::Result<Detect> {
        Detect::restore(
            Arc::clone(&self.store),
            Arc::clone(&self.watchlist),
            Arc::clone(&self.calendar),
            Arc::clone(&self.clock),
            Arc::clone(&self.metrics),
            self.config.house_rules(),
            source.info(),
        )
        .await
    }

    fn ingest(&self, steps: mpsc::Sender<detect::Step>) -> Ingest {
        Ingest {
            watchlist: Arc::clone(&self.watchlist),
            calendar: Arc::clone(&self.calendar),
            clock: Arc::clone(&self.clock),
            metrics: Arc::clone(&self.metrics),
            steps,
        }
    }

    fn dispatch(&self) -> Dispatch {
        Dispatch::new(
            Arc::clone(&self.store),
            Arc::clone(&self.channels) as Arc<dyn Deliver>,
            Arc::clone(&self.clock),
            Arc::clone(&self.metrics),
            Budget { messages: self.config.subscriptions.messages_per_hour, per_seconds: 60 * 60 },
        )
    }

    async fn start_worker(
        &self,
        playing: &mut JoinSet<(&'static str, anyhow::Result<()>)>,
        source: Source,
        committed: &Arc<Notify>,
        kick: &Arc<Notify>,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let detect = self.detect(&source).await?;
        let (steps, taken) = mpsc::channel(QUEUE);
        let ingest = self.ingest(steps);
        let after_commit = Arc::new(Notify::new());
        match source {
            Source::Tape(tape) => {
                let stop = stop.clone();
                playing.spawn(async move { ("ingest", ingest.play(tape, stop).await) });
            }
            Source::Feeds(feeds) => {
                let section = &self.config.feed;
                let patience = FailoverTimeouts {
                    after: SignedDuration::try_from(section.failover_after.duration())?,
                    back: SignedDuration::try_from(section.failback_after.duration())?,
                };
                let polls = (section.poll_interval.duration(), section.backfill.duration());
                let relay = Relay::start(ingest, &feeds, patience, &*self.store, polls, stop.clone()).await?;
                playing.spawn(async move { ("ingest", relay.run().await) });
            }
        }
        {
            let after_commit = Arc::clone(&after_commit);
            playing.spawn(async move { ("detect", detect.run(taken, after_commit).await) });
        }
        {
            // One commit, two listeners: readers and the dispatcher.
            let (committed, kick, stop) = (Arc::clone(committed), Arc::clone(kick), stop.clone());
            playing.spawn(async move {
                loop {
                    tokio::select! {
                        () = stop.cancelled() => return ("hint", Ok(())),
                        () = after_commit.notified() => {
                            committed.notify_one();
                            kick.notify_one();
                        }
                    }
                }
            });
        }
        let (dispatch, kick, stopping) = (self.dispatch(), Arc::clone(kick), stop.clone());
        playing.spawn(async move { ("dispatch", dispatch.run(kick, stopping).await) });
        let (store, retention, stopping) = (Arc::clone(&self.store), self.retention(), stop.clone());
        let clock = Arc::clone(&self.clock);
        playing.spawn(async move { ("retain", retain::run(store, retention, clock, stopping).await) });
        Ok(())
    }

    fn retention(&self) -> Retention {
        Retention {
            bars: self.config.store.bars_retention.duration(),
            own_alerts: self.config.rules.own_alerts_retention.duration(),
        }
    }

    /// The folder of mails that the pages may show: of a simulated market, where none is sent, and nobody from
    /// elsewhere is meant to get here.
    fn mailbox(&self, public_url: &Url, listening: IpAddr) -> Option<PathBuf> {
        let (section, feed) = (&self.config.server, &self.config.feed);
        let own =
            listening.is_loopback() && qqq_api::is_loopback(public_url) && section.trusted_proxies.is_empty();
        let demonstration = feed.provider == ProviderName::Sim;
        (own && demonstration && self.config.email.smtp_url.expose().is_empty())
            .then(|| self.config.email.folder.clone())
    }

    async fn start_server(
        &self,
        playing: &mut JoinSet<(&'static str, anyhow::Result<()>)>,
        listener: TcpListener,
        committed: &Arc<Notify>,
        kick: &Arc<Notify>,
        stop: &CancellationToken,
    ) -> anyhow::Result<Api> {
        let section = &self.config.server;
        let connections = descriptors::connections(section.max_connections, descriptors::raise_limit());
        if connections < section.max_connections {
            warn!(
                wanted = section.max_connections,
                connections,
                "the limit of open files leaves room for fewer connections than server.max_connections"
            );
        }
        let mut config = ApiConfig::new(self.config.public_url()?);
        config.confirm = self.config.subscriptions.confirm;
        config.trusted_proxies = section.trusted_proxies.iter().map(|proxy| proxy.0.0).collect();
        config.cors = Cors(section.cors_origins.iter().map(|origin| origin.0.clone()).collect());
        config.outbox_hint = Arc::clone(kick);
        let channels = Arc::clone(&self.channels);
        config.admit =
            Arc::new(move |url| channels.webhooks.admit(url).map_err(|refusal| refusal.to_string()));
        config.rule = self.config.rule();
        config.mailbox = self.mailbox(&config.public_url, listener.local_addr()?.ip());
        config.metrics_apart = section.metrics_listen.is_some();
        config.version = env!("CARGO_PKG_VERSION");
        config.limits = Limits {
            connections,
            connections_per_network: section.max_connections_per_client,
            streams: StreamLimits {
                open: section.max_streams,
                open_per_network: section.max_streams_per_client,
                ..StreamLimits::default()
            },
            ..config.limits
        };
        let api = Api::load(
            Arc::clone(&self.store),
            Arc::clone(&self.watchlist),
            Arc::clone(&self.calendar),
            Arc::clone(&self.clock),
            self.tokens.clone(),
            config,
            Arc::clone(&self.registry),
        )
        .await?;
        let (tailing, hint, stopping) = (api.clone(), Arc::clone(committed), stop.clone());
        playing.spawn(async move { ("tail", tailing.tail(hint, stopping).await.map_err(Into::into)) });
        let (serving, stopping) = (api.clone(), stop.clone());
        playing.spawn(async move { ("serve", serving.serve(listener, stopping).await.map_err(Into::into)) });
        Ok(api)
    }
}

async fn bind(address: SocketAddr, setting: &str) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| format!("cannot listen on {address} ({setting}): is another program there?"))
}

/// Waits for the roles. The first failure stops the others and is the process's own.
async fn supervise(
    mut playing: JoinSet<(&'static str, anyhow::Result<()>)>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut failure = None;
    let mut deadline = None;
    loop {
        let ended = tokio::select! {
            ended = playing.join_next() => ended,
            () = stop.cancelled(), if deadline.is_none() => {
                deadline = Some(tokio::time::Instant::now() + DRAIN);
                continue;
            }
            () = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            } => {
                error!("some roles did not stop in time; they are cut off");
                playing.shutdown().await;
                None
            }
        };
        let (role, result) = match ended {
            None => break,
            Some(Ok(ended)) => ended,
            Some(Err(panic)) => ("a role", Err(anyhow::anyhow!("{panic}"))),
        };
        if let Err(reason) = result {
            error!(role, "{reason:#}");
            failure.get_or_insert(reason.context(format!("the role `{role}` failed")));
            stop.cancel();
        }
    }
    failure.map_or(Ok(()), Err)
}

/// Opens the configured store.
pub async fn open_store(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    qqq_store::open(&config.store.url).await.map_err(|error| match error {
        StoreError::UnknownScheme(_) | StoreError::NotBuiltIn(_) => {
            ConfigError::value("store.url", error).into()
        }
        error => error.into(),
    })
}

/// What to do about a damaged store.
pub const RESTORE: &str = "bring back a backup: move the file away together with those beside it (-wal, -shm), and put the \
     backup in its place. Without one, name a new file in store.url and import the bars again";

/// Looks through the store before anybody works with it. In a large one, as far as five seconds go.
async fn look_through(store: &dyn Store) -> anyhow::Result<()> {
    match store.quick_check(LOOK).await {
        Ok(true) => Ok(()),
        Ok(false) => {
            info!(
                "the store is too large to be looked through at a start; `qqq-tracker check` looks through all of it"
            );
            Ok(())
        }
        // Whoever is too busy to be looked at now was sound at the last start.
        Err(error) if error.is_transient() => Ok(()),
        Err(error @ StoreError::Corrupt { .. }) => Err(anyhow::Error::from(error).context(RESTORE)),
        Err(error) => Err(error.into()),
    }
}

/// The mail channel's settings.
pub fn mail_config(config: &Config) -> anyhow::Result<MailConfig> {
    let smtp_url = config.email.smtp_url.expose();
    Ok(MailConfig {
        smtp_url: (!smtp_url.is_empty()).then(|| smtp_url.to_owned()),
        helo_name: config.email.helo_name.clone(),
        from: config.email.from.clone(),
        public_url: config.public_url()?,
        folder: config.email.folder.clone(),
        rule: config.rule(),
    })
}

/// The webhook channel's settings.
pub fn webhooks_config(config: &Config) -> anyhow::Result<WebhooksConfig> {
    let section = &config.webhooks;
    Ok(WebhooksConfig {
        allow_networks: section.allow_networks.iter().map(|network| network.0.0).collect(),
        timeout: section.timeout.duration(),
        public_url: config.public_url()?,
        rule: config.rule(),
    })
}
