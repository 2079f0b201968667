//! A process: which roles it plays, how it starts, and how it ends.
//!
//! Asked to stop, it drains: ingest ends, detect commits what it has, dispatch lets its messages finish,
//! connections get their answers. Asked again, it stops at once. A role that fails takes the process with it:
//! it never runs on at half strength. One that waits for room on the disk has not failed: what is stored is
//! served meanwhile, and readiness tells.

use crate::config::{Config, ConfigError, ProviderName};
use crate::pipeline::{Pipeline, Stages};
use crate::source::Source;
use crate::{descriptors, key, store, summary};
use anyhow::{Context as _, bail};
use prometheus_client::registry::Registry;
use qqq_core::market::watchlist::FormerSymbol;
use qqq_core::subscription::EmailAddress;
use qqq_core::{Clock, FeedMode};
use qqq_engine::archive::Archive;
use qqq_engine::closing;
use qqq_engine::dispatch::Dispatch;
use qqq_engine::feed::Feed;
use qqq_engine::ingest::{Ingest, QUEUE};
use qqq_engine::metrics::Metrics;
use qqq_engine::names;
use qqq_engine::poller::Poller;
use qqq_engine::retain::{self, Retention};
use qqq_http::{Api, ApiConfig, Cors, Limits, Push, StreamLimits};
use qqq_notify::{Channels, Deliver, Mail, MailConfig, Webhooks, WebhooksConfig, sender_of};
use qqq_store::{Budget, Store, StoreError, WorkerLock};
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
    /// Ingest, detect, dispatch, closing, retain.
    pub worker: bool,
    /// Serve.
    pub server: bool,
}

/// What the roles share.
pub struct App {
    pipeline: Pipeline,
    channels: Arc<Channels>,
    tokens: qqq_core::subscription::token::TokenKey,
    registry: Arc<Mutex<Registry>>,
}

impl App {
    /// Opens the store and sets up what every role needs.
    pub async fn open(config: Config, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let watchlist = config.watchlist()?;
        for reused in watchlist.reused_without_current() {
            let FormerSymbol { former, current, .. } = reused;
            warn!(
                "{former} is tracked as what it has been since it was {current}'s: {current} is not tracked"
            );
        }
        let calendar = Arc::new(config.calendar()?);
        let store = store::open(&config).await?;
        store::complete_rules(&*store, &config).await?;
        look_through(&*store).await?;
        let watchlists = Arc::new(config.watchlists(Arc::clone(&store)));
        let tokens = key::token_key(&config, store.as_ref()).await?;
        let channels = Arc::new(Channels {
            mail: Mail::new(mail_config(&config)?, tokens.clone(), Arc::clone(&clock))?,
            webhooks: Webhooks::new(webhooks_config(&config)?, tokens.clone(), Arc::clone(&clock))?,
        });
        let mut registry = Registry::default();
        let metrics = Arc::new(Metrics::register(&mut registry));
        let registry = Arc::new(Mutex::new(registry));
        let pipeline = Pipeline { config, store, watchlists, calendar, clock, metrics };
        Ok(Self { pipeline, channels, tokens, registry })
    }

    /// Plays its roles until told to stop, or until one fails.
    pub async fn run(self, roles: Roles, stop: CancellationToken) -> anyhow::Result<()> {
        let store = Arc::clone(&self.pipeline.store);
        let result = self.play(roles, stop).await;
        if tokio::time::timeout(CLOSE, store.close()).await.is_err() {
            info!("the store was not closed in time; it recovers at the next start");
        }
        result
    }

    async fn play(self, roles: Roles, stop: CancellationToken) -> anyhow::Result<()> {
        let mut playing = JoinSet::new();
        let committed = Arc::new(Notify::new());
        let wakeup = Arc::new(Notify::new());
        let mut lock: Option<Box<dyn WorkerLock>> = None;
        let listener = if roles.server { Some(self.listen().await?) } else { None };
        let metrics_listener = match self.pipeline.config.server.metrics_listen.filter(|_| roles.server) {
            Some(address) => Some(bind(address, "server.metrics_listen").await?),
            None => None,
        };
        let mut stages = None;
        if roles.worker {
            lock = Some(self.pipeline.store.lock_worker().await?);
            self.prepare_archive()?;
            stages = Some(self.pipeline.set_up().await?);
        }
        // Before anything happens that is told below it.
        let address = listener.as_ref().map(TcpListener::local_addr).transpose()?;
        let watched = match &stages {
            Some(stages) => Arc::clone(stages.watchlist()),
            None => self.pipeline.watchlists.current().await?.list,
        };
        let feed = stages.as_ref().map(Stages::feed);
        let Pipeline { config, store, .. } = &self.pipeline;
        summary::print(config, &**store, &self.channels, &watched, feed, address);
        if let Some(stages) = stages {
            self.start_worker(&mut playing, stages, &committed, &wakeup, &stop);
        }
        if let Some(listener) = listener {
            let api = self.start_server(&mut playing, listener, &committed, &wakeup, &stop).await?;
            if let Some(listener) = metrics_listener {
                let stop = stop.clone();
                playing.spawn(async move {
                    ("metrics", api.serve_metrics(listener, stop).await.map_err(Into::into))
                });
            }
        }
        let result = supervise(playing, stop).await;
        drop(lock);
        result
    }

    /// One round without staying: polls once (or plays a recording to its end), delivers what is due, ends.
    pub async fn once(self, stop: CancellationToken) -> anyhow::Result<()> {
        let lock = self.pipeline.store.lock_worker().await?;
        self.prepare_archive()?;
        let stages = self.pipeline.set_up().await?;
        let (steps, taken) = mpsc::channel(QUEUE);
        let ingest = self.pipeline.ingest(stages.watchlist(), steps);
        let (source, detect) = stages.into_parts();
        let detecting = tokio::spawn(detect.run(taken, Arc::new(Notify::new())));
        let polled = match source {
            Source::Replay(replay) if replay.info().mode == FeedMode::Replayed => {
                ingest.play(replay, stop.clone()).await
            }
            Source::Replay(replay) => {
                // A simulated market has no end: one round is its history and the minutes since.
                let (round, enough) =
                    (ingest.play(replay, stop.clone()), tokio::time::sleep(Duration::from_secs(3)));
                tokio::select! { result = round => result, () = enough => Ok(()) }
            }
            Source::Feeds(feeds) => self.poll_once(&ingest, feeds, &stop).await,
        };
        drop(ingest);
        detecting.await??;
        let sent = self.dispatch().run_once(&stop).await?;
        closing::once(&*self.pipeline.store, &self.pipeline.calendar, &stop).await?;
        let archive = self.archive();
        if let Some(archive) = &archive {
            archive.catch_up(&*self.pipeline.store, false, &stop).await?;
        }
        let now = self.pipeline.clock.now();
        retain::once(&*self.pipeline.store, self.retention(), archive.as_ref(), now, &stop).await?;
        info!(deliveries = sent, "one round done");
        self.pipeline.store.close().await;
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
            let section = &self.pipeline.config.feed;
            let (interval, backfill) = (section.poll_interval.duration(), section.backfill.duration());
            let mut poller =
                Poller::new(ingest.clone(), provider, &*self.pipeline.store, interval, backfill).await?;
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
        bind(self.pipeline.config.server.listen, "server.listen").await
    }

    fn dispatch(&self) -> Dispatch {
        Dispatch::new(
            Arc::clone(&self.pipeline.store),
            Arc::clone(&self.channels) as Arc<dyn Deliver>,
            Arc::clone(&self.pipeline.clock),
            Arc::clone(&self.pipeline.metrics),
            Budget { messages: self.pipeline.config.subscriptions.messages_per_hour, per_seconds: 60 * 60 },
        )
        .with_operators(self.operators())
    }

    fn operators(&self) -> Vec<EmailAddress> {
        self.pipeline.config.server.operators.iter().map(|operator| operator.0.0.clone()).collect()
    }

    fn start_worker(
        &self,
        playing: &mut JoinSet<(&'static str, anyhow::Result<()>)>,
        stages: Stages,
        committed: &Arc<Notify>,
        wakeup: &Arc<Notify>,
        stop: &CancellationToken,
    ) {
        if let Some(source) = stages.names() {
            let store = Arc::clone(&self.pipeline.store);
            let (clock, stopping) = (Arc::clone(&self.pipeline.clock), stop.clone());
            playing.spawn(async move {
                names::run(store, source, clock, stopping).await;
                ("names", Ok(()))
            });
        }
        let after_commit = Arc::new(Notify::new());
        let (pipeline, listener, stopping) = (self.pipeline.clone(), Arc::clone(&after_commit), stop.clone());
        playing.spawn(async move { ("pipeline", pipeline.run(stages, listener, stopping).await) });
        {
            // One commit, two listeners: readers and the dispatcher.
            let (committed, wakeup, stop) = (Arc::clone(committed), Arc::clone(wakeup), stop.clone());
            playing.spawn(async move {
                loop {
                    tokio::select! {
                        () = stop.cancelled() => return ("wakeup", Ok(())),
                        () = after_commit.notified() => {
                            committed.notify_one();
                            wakeup.notify_one();
                        }
                    }
                }
            });
        }
        let (dispatch, wakeup, stopping) = (self.dispatch(), Arc::clone(wakeup), stop.clone());
        playing.spawn(async move { ("dispatch", dispatch.run(wakeup, stopping).await) });
        let (store, retention, stopping) = (Arc::clone(&self.pipeline.store), self.retention(), stop.clone());
        let (archive, clock) = (self.archive(), Arc::clone(&self.pipeline.clock));
        playing
            .spawn(async move { ("retain", retain::run(store, retention, archive, clock, stopping).await) });
        if let Some(archive) = self.archive() {
            let (store, stopping) = (Arc::clone(&self.pipeline.store), stop.clone());
            playing.spawn(async move { ("archive", archive.run(store, stopping).await) });
        }
        let (store, calendar) = (Arc::clone(&self.pipeline.store), Arc::clone(&self.pipeline.calendar));
        let stopping = stop.clone();
        playing.spawn(async move { ("closing", closing::run(store, calendar, stopping).await) });
    }

    fn archive(&self) -> Option<Archive> {
        self.pipeline.config.archive(&self.pipeline.calendar)
    }

    /// Whoever is to write there finds out now whether that goes.
    fn prepare_archive(&self) -> anyhow::Result<()> {
        let Some(archive) = self.archive() else { return Ok(()) };
        archive.prepare().map_err(|error| {
            let folder = self.pipeline.config.archive.folder.display();
            let what = format!("`{folder}` must be a folder that can be written to: {error}");
            ConfigError::value("archive.folder", what).into()
        })
    }

    fn retention(&self) -> Retention {
        Retention {
            bars: self.pipeline.config.store.bars_retention.duration(),
            own_alerts: self.pipeline.config.rules.own_alerts_retention.duration(),
        }
    }

    /// Whether this is a demonstration: a simulated market, where nobody from elsewhere is meant to get.
    fn is_demonstration(&self, public_url: &Url, listening: IpAddr) -> bool {
        let config = &self.pipeline.config;
        listening.is_loopback()
            && qqq_http::is_loopback(public_url)
            && config.server.trusted_proxies.is_empty()
            && config.feed.provider == ProviderName::Sim
    }

    /// The folder of mails that the pages of a demonstration may show, where none is sent.
    fn mailbox(&self) -> Option<PathBuf> {
        let email = &self.pipeline.config.email;
        email.smtp_url.expose().is_empty().then(|| email.folder.clone())
    }

    async fn start_server(
        &self,
        playing: &mut JoinSet<(&'static str, anyhow::Result<()>)>,
        listener: TcpListener,
        committed: &Arc<Notify>,
        wakeup: &Arc<Notify>,
        stop: &CancellationToken,
    ) -> anyhow::Result<Api> {
        let section = &self.pipeline.config.server;
        let connections = descriptors::connections(section.max_connections, descriptors::raise_limit());
        if connections < section.max_connections {
            warn!(
                wanted = section.max_connections,
                connections,
                "the limit of open files leaves room for fewer connections than server.max_connections"
            );
        }
        let mut config = ApiConfig::new(self.pipeline.config.public_url()?);
        config.confirm = self.pipeline.config.subscriptions.confirm;
        config.trusted_proxies = section.trusted_proxies.iter().map(|proxy| proxy.0.0).collect();
        config.cors = Cors(section.cors_origins.iter().map(|origin| origin.0.clone()).collect());
        config.frame_ancestors = section.frame_ancestors.iter().map(|origin| origin.0.clone()).collect();
        config.operators = self.operators();
        config.outbox_wakeup = Arc::clone(wakeup);
        let channels = Arc::clone(&self.channels);
        config.admit =
            Arc::new(move |url| channels.webhooks.admit(url).map_err(|refusal| refusal.to_string()));
        let channels = Arc::clone(&self.channels);
        config.push = Push {
            public_key: channels.webhooks.push_key(),
            admit: Arc::new(move |receiver| channels.webhooks.admit_push(receiver)),
        };
        config.rule = self.pipeline.config.rule();
        config.local_operator = self.is_demonstration(&config.public_url, listener.local_addr()?.ip());
        config.mailbox = self.mailbox().filter(|_| config.local_operator);
        config.archive = self.archive();
        config.bars_retention = self.retention().bars;
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
            Arc::clone(&self.pipeline.store),
            Arc::clone(&self.pipeline.watchlists),
            Arc::clone(&self.pipeline.calendar),
            Arc::clone(&self.pipeline.clock),
            self.tokens.clone(),
            config,
            Arc::clone(&self.registry),
        )
        .await?;
        let (tailing, wakeup, stopping) = (api.clone(), Arc::clone(committed), stop.clone());
        playing.spawn(async move { ("tail", tailing.tail(wakeup, stopping).await.map_err(Into::into)) });
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

/// What to do about a damaged store.
pub const RESTORE: &str = "bring back a backup: move the file away together with those beside it \
     (-wal, -shm), and put the backup in its place. \
     Without one, name a new file in store.url and import the bars again";

/// Looks through the store before anybody works with it. In a large one, as far as five seconds go.
async fn look_through(store: &dyn Store) -> anyhow::Result<()> {
    match store.quick_check(LOOK).await {
        Ok(true) => Ok(()),
        Ok(false) => {
            info!(
                "the store is too large to be looked through at a start; \
                 `qqq-tracker check` looks through all of it"
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
        contact: sender_of(&config.email.from)?,
        rule: config.rule(),
    })
}
