//! `qqq-tracker check`: one line for each thing that must work, with the remedy where it doesn't.

use crate::app::{RESTORE, mail_config, webhooks_config};
use crate::config::{Config, Sources};
use crate::source::Source;
use crate::store;
use crate::{descriptors, key};
use jiff::Timestamp;
use qqq_core::subscription::EmailAddress;
use qqq_core::subscription::token::TokenKey;
use qqq_core::{Calendar, Clock, Second, Splits, Symbol};
use qqq_engine::feed::Feed;
use qqq_engine::schedule::RE_ASK;
use qqq_feed::{FeedError, FeedErrorKind, Provider};
use qqq_notify::{Deliver as _, Mail, MailFault, Webhooks};
use qqq_store::StoreError;
use std::collections::HashMap;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Something that does not work, and what to do about it.
struct Failure {
    what: anyhow::Error,
    remedy: String,
}

impl Failure {
    fn new(what: impl Into<anyhow::Error>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }
}

/// A setting that cannot be used: the error names it, and what is allowed.
impl From<anyhow::Error> for Failure {
    fn from(what: anyhow::Error) -> Self {
        Self::new(what, "correct this setting, in the configuration file, the environment or by --set")
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Whatever a provider or the system says, it stays on one line.
        let what = format!("{:#}", self.what).replace(['\n', '\r'], " ");
        write!(f, "{}. Remedy: {}", what.trim_end_matches('.'), self.remedy)
    }
}

/// Checks everything, and mails to `mail_to` what there is to see. True where all of it works.
pub async fn run(
    config: &Config,
    sources: &Sources,
    clock: Arc<dyn Clock>,
    mail_to: Option<&EmailAddress>,
) -> anyhow::Result<bool> {
    let mut sound = true;
    let mut line = |name: &str, result: Result<String, Failure>| {
        let mut out = std::io::stdout().lock();
        let _ = match result {
            Ok(what) => writeln!(out, "ok      {name:<10}{what}"),
            Err(failure) => {
                sound = false;
                writeln!(out, "FAILED  {name:<10}{failure}")
            }
        };
    };
    // What operators changed counts; whether the store can be read is told below.
    let configured = Arc::new(config.watchlist()?);
    let watchlist = store::watchlist(config).await.map_or(configured, |watched| watched.list);
    let calendar = config.calendar()?;
    let symbols = watchlist.symbols().len();
    let provider = config.feed.provider;
    line("settings", Ok(format!("{}: {symbols} symbols, provider {provider}", sources.describe())));
    line("files", Ok(open_files(config)));
    if !config.server.frame_ancestors.is_empty() {
        line("frames", frames(config));
    }
    line("calendar", Ok(today(&calendar, Second::minute_of(clock.now()))));

    let (key, store) = match store::open(config).await {
        Ok(store) => {
            let key = key::token_key(config, store.as_ref()).await;
            let sound = match store.check().await {
                Ok(()) => store.writable().await,
                unsound => unsound,
            };
            line("store", sound.map(|()| store.describe()).map_err(|error| store_failure(error.into())));
            let key = match key {
                Ok(key) => key,
                Err(error) => {
                    let remedy =
                        "let this user read and write the key beside the store, or set server.secret_key";
                    line("key", Err(Failure::new(error, remedy)));
                    TokenKey::new([0; 32])
                }
            };
            (key, Some(store))
        }
        Err(error) => {
            line("store", Err(store_failure(error)));
            (TokenKey::new([0; 32]), None)
        }
    };

    match feeds(config, &watchlist, &calendar, Arc::clone(&clock)).await {
        Ok(checked) => {
            for (number, result) in checked.into_iter().enumerate() {
                line(if number == 0 { "feed" } else { "fallback" }, result);
            }
        }
        Err(error) => line("feed", Err(error)),
    }
    line("mail", mail(config, key.clone(), Arc::clone(&clock), mail_to).await);
    for folder in open_folders(config) {
        warn(&format!("others may look into {0}: chmod 700 {0}", folder.display()));
    }
    line("webhooks", webhooks(config, key, clock));
    if let Some(store) = store {
        store.close().await;
    }
    Ok(sound)
}

fn store_failure(error: anyhow::Error) -> Failure {
    let remedy = match error.downcast_ref::<StoreError>() {
        Some(StoreError::Open { .. }) => "name a place in store.url that this user can read and write",
        Some(StoreError::Busy) => "end the program that holds it, and try again",
        Some(StoreError::NoRoom(_)) => {
            "make room on the disk, or raise the quota or the limit on the size of files"
        }
        Some(StoreError::SyncFailed(_)) => "look after the disk, and start the program again",
        Some(StoreError::Corrupt { .. } | StoreError::Backend(_)) => RESTORE,
        _ => "correct store.url",
    };
    Failure::new(error, remedy)
}

/// How many connections the limit of open files leaves room for.
fn open_files(config: &Config) -> String {
    let (wanted, limit) = (config.server.max_connections, descriptors::raise_limit());
    let connections = descriptors::connections(wanted, limit);
    let limit = limit.map_or_else(|| "as many as wanted".to_owned(), |limit| limit.to_string());
    match connections < wanted {
        true => {
            format!("{limit} open: {connections} connections, fewer than server.max_connections = {wanted}")
        }
        false => format!("{limit} open: {connections} connections"),
    }
}

/// Whose pages may show the dashboard in a frame, and whether browsers would.
fn frames(config: &Config) -> Result<String, Failure> {
    let url = config.public_url().map_err(anyhow::Error::from)?;
    let origins: Vec<String> =
        config.server.frame_ancestors.iter().map(|origin| origin.0.to_string()).collect();
    let secure = origins.iter().find(|origin| origin.starts_with("https:"));
    match secure.filter(|_| url.scheme() == "http" && !qqq_http::is_loopback(&url)) {
        Some(origin) => Err(Failure::new(
            anyhow::anyhow!("browsers show nothing of {url} in a page of {origin}: it is not encrypted"),
            "serve it by https:// and say so in server.public_url",
        )),
        None => Ok(format!("the dashboard may be shown in pages of {}", origins.join(", "))),
    }
}

fn warn(what: &str) {
    let _ = writeln!(std::io::stdout(), "warning folder    {what}");
}

/// The folders of addresses and keys that others may look into. They were there before, so they are left as
/// they are.
fn open_folders(config: &Config) -> Vec<PathBuf> {
    let store = key::path_beside_store(&config.store.url);
    let mut folders = vec![store.parent().unwrap_or(Path::new(".")).to_owned(), config.email.folder.clone()];
    folders.retain(|folder| {
        std::fs::metadata(folder).is_ok_and(|found| found.is_dir() && found.permissions().mode() & 0o077 != 0)
    });
    folders.dedup();
    folders
}

/// What the calendar says of now.
fn today(calendar: &Calendar, now: Second) -> String {
    let phase = calendar.phase(now).as_str();
    match calendar.tracked_from(now) {
        Some(tracked) if tracked.contains(&now) => {
            format!("{}: {phase}, bars count until {}", calendar.date_of(now), tracked.end)
        }
        Some(tracked) => {
            format!("{}: {phase}, bars count again from {}", calendar.date_of(now), tracked.start)
        }
        None => format!("{}: {phase}, and no session within three weeks", calendar.date_of(now)),
    }
}

/// Whether each feed's provider answers with its key, and what it sees of the market: the preferred one and
/// those that stand in for it.
async fn feeds(
    config: &Config,
    watchlist: &Arc<qqq_core::Watchlist>,
    calendar: &Calendar,
    clock: Arc<dyn Clock>,
) -> Result<Vec<Result<String, Failure>>, Failure> {
    let (settings, watchlist, calendar) = (config.clone(), Arc::clone(watchlist), calendar.clone());
    let (first, symbols, now) = (watchlist.symbols()[0], watchlist.symbols().to_vec(), clock.now());
    let source = tokio::task::spawn_blocking(move || {
        Source::open(&settings, &watchlist, &calendar, clock, &HashMap::new(), Splits::default())
    })
    .await
    .map_err(anyhow::Error::from)??;
    let feeds = match source {
        Source::Replay(replay) => {
            return Ok(vec![Ok(format!("{}: {}", replay.info().provider, replay.info().coverage))]);
        }
        Source::Feeds(feeds) => feeds,
    };
    let mut checked = Vec::new();
    for feed in feeds {
        let provider = &feed.provider;
        let info = provider.info();
        checked.push(match answers(&**provider, &symbols).await {
            Ok(said) => match unserved(&**provider, &symbols, now).await {
                Ok(None) => Ok(format!("{said}; {}", info.coverage)),
                Ok(Some(unserved)) => Err(Failure::new(
                    anyhow::anyhow!("{said}, but does not serve these symbols: {unserved}"),
                    "spell them as the provider does in watchlist.symbols, or take them out; \
                     the others are served",
                )),
                Err(error) => Err(feed_failure(&feed, error, first)),
            },
            Err(error) => Err(feed_failure(&feed, error, first)),
        });
    }
    Ok(checked)
}

fn feed_failure(feed: &Feed, error: FeedError, asked: Symbol) -> Failure {
    let remedy = remedy(feed.provider.info().provider, &error, asked);
    let what = if error.is_final() { feed.refusal(&error) } else { error.into() };
    Failure::new(what, remedy)
}

/// What the provider says of the first symbol that it does not refuse, of a few.
async fn answers(provider: &dyn Provider, symbols: &[Symbol]) -> Result<String, FeedError> {
    const TRIED: usize = 3;
    let mut refusal = None;
    for &symbol in symbols.iter().take(TRIED) {
        match provider.check(symbol).await {
            Err(error) if error.may_concern_one() && symbols.len() > 1 => _ = refusal.get_or_insert(error),
            other => return other,
        }
    }
    refusal.map_or_else(|| Ok(provider.info().provider.to_owned()), Err)
}

/// Which of the symbols the provider refuses, with its words, while it answers for others.
async fn unserved(
    provider: &dyn Provider,
    symbols: &[Symbol],
    now: Timestamp,
) -> Result<Option<String>, FeedError> {
    if !provider.has_history() {
        return Ok(None);
    }
    let until = Second::minute_of(now).plus_minutes(-provider.info().delay_minutes);
    let fetched = provider.bars(symbols, until.plus_minutes(-RE_ASK)..until).await?;
    let unserved: Vec<String> =
        fetched.failed.iter().map(|(symbol, error)| format!("{symbol} ({error})")).collect();
    Ok((!unserved.is_empty()).then(|| unserved.join(", ")))
}

/// What to do about a provider's answer.
fn remedy(provider: &str, error: &FeedError, asked: Symbol) -> String {
    match (error.kind, provider) {
        (FeedErrorKind::Auth, "alpaca") => {
            "make a new key in Alpaca's dashboard and set feed.alpaca.key_id and feed.alpaca.secret_key"
                .to_owned()
        }
        (FeedErrorKind::Auth, _) => format!("set a valid feed.{provider}.token"),
        (FeedErrorKind::NotEntitled, "alpaca") => {
            "set feed.alpaca.feed to \"iex\", which every key includes, or take the plan that has this feed"
                .to_owned()
        }
        (FeedErrorKind::NotEntitled, _) => "take the plan that includes this".to_owned(),
        (FeedErrorKind::RateLimited { .. }, _) => {
            format!("wait a minute; if it stays so, lower feed.{provider}.requests_per_minute")
        }
        (FeedErrorKind::NotFound, _) => {
            format!("is {asked} in watchlist.symbols spelt as the provider does?")
        }
        (FeedErrorKind::BadRequest | FeedErrorKind::TooLarge | FeedErrorKind::Unreadable, _) => {
            format!("correct feed.{provider}.base_url")
        }
        (FeedErrorKind::Transient, _) => {
            format!(
                "is feed.{provider}.base_url right, and can it be reached from here? Else try again later"
            )
        }
        (FeedErrorKind::File, _) => "correct feed.replay.path".to_owned(),
    }
}

/// Whether mails of every kind could be sent, and where `to` is given, whether they are accepted.
async fn mail(
    config: &Config,
    key: TokenKey,
    clock: Arc<dyn Clock>,
    to: Option<&EmailAddress>,
) -> Result<String, Failure> {
    let mail = Mail::new(mail_config(config)?, key, clock).map_err(anyhow::Error::from)?;
    let said = mail.check().await.map_err(|trouble| {
        let remedy = match trouble.fault {
            MailFault::Folder => "name a folder in email.folder that this user can write",
            MailFault::Server => {
                "are host, port and tls in email.smtp_url right, and does the server run? \
                 Else try again later"
            }
            MailFault::Hello => {
                "set email.helo_name to a name that the server takes: \
                 the qualified one by which it knows this host"
            }
            MailFault::Login => "correct user and password in email.smtp_url",
            MailFault::Sender => "set email.from to a sender that the server takes from this login",
            MailFault::Message => "see what it says of the message",
        };
        Failure::new(trouble, remedy)
    })?;
    let Some(to) = to else { return Ok(said) };
    let samples = mail.samples(to.clone());
    for sample in &samples {
        mail.deliver(sample).await.map_err(|error| {
            let what = anyhow::Error::from(error)
                .context(format!("a mail of kind `{}` was not accepted", sample.kind));
            Failure::new(what, "mend what the mail server names")
        })?;
    }
    Ok(format!("{said}; {} mails, of every kind, were accepted", samples.len()))
}

fn webhooks(config: &Config, key: TokenKey, clock: Arc<dyn Clock>) -> Result<String, Failure> {
    let webhooks = Webhooks::new(webhooks_config(config)?, key, clock).map_err(anyhow::Error::from)?;
    webhooks.check().map_err(|error| Failure::new(error, "see what it says of the message"))?;
    Ok(webhooks.describe())
}
