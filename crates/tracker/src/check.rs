//! `qqq-tracker check`: one line for each thing that must work, with the remedy where it doesn't.

use crate::app::{mail_config, open_store};
use crate::config::Config;
use crate::key;
use crate::source::{Feed, Source, refusal};
use qqq_core::token::TokenKey;
use qqq_core::{Calendar, Clock, Minute};
use qqq_notify::{Deliver as _, Mail};
use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;

/// Checks everything. True where all of it works.
pub async fn run(config: &Config, clock: Arc<dyn Clock>) -> anyhow::Result<bool> {
    let mut sound = true;
    let mut line = |name: &str, result: anyhow::Result<String>| {
        let mut out = std::io::stdout().lock();
        let _ = match result {
            Ok(what) => writeln!(out, "ok      {name:<10}{what}"),
            Err(error) => {
                sound = false;
                writeln!(out, "FAILED  {name:<10}{error:#}")
            }
        };
    };
    let watchlist = Arc::new(config.watchlist()?);
    let calendar = config.calendar();
    line(
        "settings",
        Ok(format!("{} symbols, provider {:?}", watchlist.symbols().len(), config.feed.provider)),
    );
    line("calendar", Ok(today(&calendar, Minute::containing(clock.now()))));

    let (mail_key, store) = match open_store(config).await {
        Ok(store) => {
            let key = key::token_key(config, store.as_ref()).await;
            let sound = store.check().await;
            line("store", sound.map(|()| store.describe()).map_err(Into::into));
            let mail_key = match key {
                Ok(key) => key,
                Err(error) => {
                    line("key", Err(error));
                    TokenKey::new([0; 32])
                }
            };
            (mail_key, Some(store))
        }
        Err(error) => {
            line("store", Err(error));
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
    line("mail", mail(config, mail_key, clock).await);
    if let Some(store) = store {
        store.close().await;
    }
    Ok(sound)
}

/// What the calendar says of now.
fn today(calendar: &Calendar, now: Minute) -> String {
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

/// What the feed says, and who stands in for it.
async fn feeds(
    config: &Config,
    watchlist: &Arc<qqq_core::Watchlist>,
    calendar: &Calendar,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Vec<anyhow::Result<String>>> {
    let (config, watchlist, calendar) = (config.clone(), Arc::clone(watchlist), calendar.clone());
    let first = watchlist.symbols()[0];
    let source = tokio::task::spawn_blocking(move || {
        Source::open(&config, &watchlist, &calendar, clock, &HashMap::new())
    })
    .await??;
    let feeds = match source {
        Source::Tape(tape) => {
            return Ok(vec![Ok(format!("{}: {}", tape.info().provider, tape.info().coverage))]);
        }
        Source::Feeds(feeds) => feeds,
    };
    let mut checked = Vec::new();
    for Feed { provider, .. } in feeds {
        checked.push(provider.check(first).await.map_err(|error| match error.is_final() {
            true => refusal(provider.info().provider, &error),
            false => error.into(),
        }));
    }
    Ok(checked)
}

async fn mail(config: &Config, key: TokenKey, clock: Arc<dyn Clock>) -> anyhow::Result<String> {
    Ok(Mail::new(mail_config(config)?, key, clock)?.check().await?)
}
