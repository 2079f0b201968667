//! `qqq-tracker admin`: what an operator looks at and mends, through the store alone, so that it works while
//! a worker runs in another process. Addresses are shown on standard output, to who runs the command, and
//! logged nowhere.

mod list;

use crate::cli::{Address, AdminCommand, Which};
use crate::config::{Config, ConfigError};
use crate::store;
use anyhow::{anyhow, bail};
use jiff::Timestamp;
use qqq_core::Clock;
use qqq_core::delivery::DeliveryId;
use qqq_core::subscription::Subscription;
use qqq_store::{
    DeliveryQuery, DeliveryRecord, DeliveryState, Replayed, Selection, Store, StoreError, SubscriptionQuery,
};
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use tokio_util::sync::CancellationToken;

/// Rows read from the store at a time.
const PAGE: usize = 1_000;
/// What is listed, and may be replayed, unless asked otherwise.
const UNDELIVERED: [DeliveryState; 2] = [DeliveryState::Failed, DeliveryState::Expired];

/// Does what was asked, in one transaction or not at all.
pub async fn run(
    config: &Config,
    command: AdminCommand,
    clock: &dyn Clock,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let store = store::open(config).await?;
    let done = tokio::select! {
        done = perform(&*store, command, clock.now()) => done,
        () = stop.cancelled() => Err(anyhow!("stopped")),
    };
    store.close().await;
    done
}

async fn perform(store: &dyn Store, command: AdminCommand, now: Timestamp) -> anyhow::Result<()> {
    let text = match command {
        AdminCommand::Subscriptions { address, json } => {
            let found = subscriptions(store, address).await?;
            list::subscriptions(&found, json)?
        }
        AdminCommand::Disable { which } => disable(store, which, now).await?,
        AdminCommand::Delete { address, yes } => delete(store, address, yes).await?,
        AdminCommand::Deliveries { address, states, limit, json } => {
            let states = if states.is_empty() { UNDELIVERED.to_vec() } else { states };
            let found = deliveries(store, address, &states, limit as usize).await?;
            list::deliveries(&found, json)?
        }
        AdminCommand::Replay { id } => replay(store, id, now).await?,
    };
    Ok(io::stdout().write_all(text.as_bytes())?)
}

async fn subscriptions(store: &dyn Store, address: Option<Address>) -> Result<Vec<Subscription>, StoreError> {
    let mut query = SubscriptionQuery {
        address: address.map(|address| address.0),
        limit: PAGE,
        ..SubscriptionQuery::default()
    };
    let mut found = Vec::new();
    loop {
        let page = store.subscriptions(&query).await?;
        let is_last = page.len() < PAGE;
        query.after = page.last().map(|subscription| subscription.id);
        found.extend(page);
        if is_last {
            return Ok(found);
        }
    }
}

async fn disable(store: &dyn Store, which: Which, now: Timestamp) -> anyhow::Result<String> {
    let disabled = store.disable(&Selection::from(which), now).await?;
    if disabled == 0 {
        bail!("there is no such subscription that has not ended");
    }
    Ok(format!("{} disabled\n", count(disabled, "subscription", "subscriptions")))
}

async fn delete(store: &dyn Store, address: Address, yes: bool) -> anyhow::Result<String> {
    let known = subscriptions(store, Some(address.clone())).await?.len() as u64;
    let mut owed = 0;
    for state in DeliveryState::ALL {
        owed += of_state(store, Some(&address), state, usize::MAX).await?.len() as u64;
    }
    let deliveries = count(owed, "delivery", "deliveries");
    let what = format!("{} and {deliveries}", count(known, "subscription", "subscriptions"));
    if !yes && !confirmed(what).await? {
        return Ok("nothing was deleted\n".to_owned());
    }
    // Without a subscription too: the address may be suppressed.
    let deleted = store.erase(&address.0).await?;
    Ok(format!("{} and {deliveries} deleted\n", count(deleted, "subscription", "subscriptions")))
}

/// Asks whoever sits at the terminal.
async fn confirmed(what: String) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        let reason = format!("this would delete {what}: add --yes where nobody can be asked");
        return Err(ConfigError::value("--yes", reason).into());
    }
    let question = format!("This deletes {what}, for good. Go on? [y/N] ");
    io::stderr().write_all(question.as_bytes())?;
    let answer = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).map(|_| answer)
    });
    Ok(matches!(answer.await??.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Deliveries in any of some states, newest first.
async fn deliveries(
    store: &dyn Store,
    address: Option<Address>,
    states: &[DeliveryState],
    limit: usize,
) -> Result<Vec<DeliveryRecord>, StoreError> {
    let mut found = Vec::new();
    for state in DeliveryState::ALL.into_iter().filter(|state| states.contains(state)) {
        found.extend(of_state(store, address.as_ref(), state, limit).await?);
    }
    found.sort_by_key(|delivery| std::cmp::Reverse((delivery.created_at, delivery.id)));
    found.truncate(limit);
    Ok(found)
}

async fn of_state(
    store: &dyn Store,
    address: Option<&Address>,
    state: DeliveryState,
    limit: usize,
) -> Result<Vec<DeliveryRecord>, StoreError> {
    let address = address.map(|address| address.0.clone());
    let mut query = DeliveryQuery { state, address, after: None, limit: PAGE };
    let mut found: Vec<DeliveryRecord> = Vec::new();
    loop {
        query.limit = PAGE.min(limit - found.len());
        let page = store.deliveries(&query).await?;
        let is_last = page.len() < query.limit || found.len() + page.len() == limit;
        query.after = page.last().map(|delivery| (delivery.created_at, delivery.id));
        found.extend(page);
        if is_last {
            return Ok(found);
        }
    }
}

async fn replay(store: &dyn Store, id: DeliveryId, now: Timestamp) -> anyhow::Result<String> {
    match store.replay(id, now).await? {
        Replayed::Enqueued => {
            Ok("owed again: a worker tries it at once, or as soon as one runs\n".to_owned())
        }
        Replayed::Refused(DeliveryState::Pending) => bail!("{id} is owed already: a worker will try it"),
        Replayed::Refused(DeliveryState::Sent) => bail!("{id} was sent: nothing is sent twice"),
        Replayed::Refused(state) => bail!("{id} is {state}: only what failed or expired is tried again"),
        Replayed::Ended => bail!("the subscription of {id} has ended: nothing more is sent to it"),
        Replayed::Unknown => bail!("there is no delivery {id}"),
    }
}

fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
