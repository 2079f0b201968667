//! Sign-ups on their way in: noted down, taken in, and the messages that ask to confirm sent off in their turn.
//!
//! What a client waits for is one insert that looks up nothing about the receiver, so how long it takes does not tell
//! who subscribes. All else happens later, in transactions of the worker.

use super::rows::{self, Columns, subscription_columns};
use super::subscriptions::{activate, address_hash};
use super::{Sqlite, limits as in_force, outbox};
use crate::{SignUp, SignedUp, StoreError, TakenIn};
use jiff::Timestamp;
use qqq_core::channel::Channel;
use qqq_core::confirmation::{self, confirm_by, has_secret_to_hear, is_about_all};
use qqq_core::delivery::{DeliveryId, DeliveryKind, suppressed_since};
use qqq_core::limits::{SubscriptionLimits, Wish};
use qqq_core::mailbox::Destination;
use qqq_core::signup::{SignUpLimits, Throttle, Turn, Waiting};
use qqq_core::subscription::{Subscription, SubscriptionId, SubscriptionStatus};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use std::collections::VecDeque;

/// Sign-ups taken in by one transaction.
const MOST_TAKEN_IN: i64 = 200;

/// Waiting messages looked at in one round: so many of the oldest, and of the newest.
const MOST_LOOKED_AT: i64 = 50;

/// Rounds of one transaction: those whose mailbox or domain has to wait give way to others.
const MOST_ROUNDS: usize = 4;

/// Whether there is anything to do.
pub(super) const WORK: &str = "select exists (select 1 from sign_ups) \
     or exists (select 1 from confirmations_waiting where not_before <= ?)";

/// How much waits, of all, of a domain, and lately.
pub(super) const WAITING: &str = "select \
     (select count(*) from (select 1 from sign_ups limit ?1)) \
     + (select count(*) from (select 1 from confirmations_waiting limit ?1)), \
     (select count(*) from sign_ups where domain = ?2) \
     + (select count(*) from confirmations_waiting where domain = ?2), \
     (select count(*) from sign_ups where asked_at > ?3) \
     + (select count(*) from confirmations_waiting where asked_at > ?3)";

const NOTED: &str = "select place, asked_at, id, channel, receiver, format, symbol, metric, rule, quiet, nonce, \
     confirm_hash, unsubscribe_hash, manage_hash from sign_ups order by place limit ?";

/// What may have its turn: the oldest and the newest.
pub(super) const DUE: &str = concat!(
    "select w.place, w.address, w.asked_at, s.confirmations, ",
    subscription_columns!(),
    " from (select place from (select place from confirmations_waiting where not_before <= ?1 order by place limit ?2) \
     union select place from (select place from confirmations_waiting where not_before <= ?1 \
     order by place desc limit ?2)) due \
     join confirmations_waiting w on w.place = due.place join subscriptions s on s.id = w.subscription order by w.place"
);

/// When messages that ask to confirm came to be owed, and to whom.
pub(super) const SENT_SINCE: &str = "select d.created_at, s.channel, s.receiver, s.format from deliveries d \
     join subscriptions s on s.id = d.subscription \
     where d.kind = 'confirmation' and d.created_at > ? order by d.created_at";

/// When such messages to one mailbox came to be owed, whatever became of them and however the address was spelt.
pub(super) const SENT_TO: &str = "select d.created_at from subscriptions s \
     join deliveries d on d.subscription = s.id and d.kind = 'confirmation' \
     where s.mailbox = ? and d.created_at > ? order by d.created_at";

/// What is pending of a receiver, newest first.
pub(super) const PENDING_OF: &str = concat!(
    "select ",
    subscription_columns!(),
    " from subscriptions s where s.address = ? and s.status = 'pending' and s.confirm_by > ? \
     order by s.created_at desc, s.id desc limit ?"
);

impl Sqlite {
    pub(super) async fn note_sign_up(
        &self,
        sign_up: &SignUp,
        limits: SignUpLimits,
        now: Timestamp,
    ) -> Result<SignedUp, StoreError> {
        let mut write = self.begin().await?;
        let (held_to, to) = (self.limits(), sign_up.channel.destination());
        // Of the rule alone: the answer must not depend on what is known of the receiver.
        in_force::admit_rule(&mut write, &held_to, sign_up.id, wish(sign_up)).await?;
        if is_told(sign_up) {
            let waiting = waiting(&mut write, limits, &to, now).await?;
            if let Err(full) = limits.admit(waiting, &to) {
                return Ok(SignedUp::Full(full));
            }
        }
        if sign_up.confirm {
            note(&mut write, sign_up, &to, now).await?;
        } else {
            take_in(&mut write, &held_to, sign_up, now).await?;
        }
        self.finish(write).await?;
        Ok(SignedUp::Taken)
    }

    pub(super) async fn take_in_sign_ups(
        &self,
        limits: SignUpLimits,
        now: Timestamp,
    ) -> Result<TakenIn, StoreError> {
        let work: bool = sqlx::query_scalar(WORK).bind(now.as_microsecond()).fetch_one(&self.readers).await?;
        if !work {
            return Ok(TakenIn::default());
        }
        let held_to = self.limits();
        let mut write = self.begin().await?;
        let noted = sqlx::query(NOTED).bind(MOST_TAKEN_IN).fetch_all(&mut *write).await?;
        for row in &noted {
            let (place, asked_at, sign_up) = sign_up_of(row)?;
            take_in(&mut write, &held_to, &sign_up, asked_at).await?;
            sqlx::query("delete from sign_ups where place = ?").bind(place).execute(&mut *write).await?;
        }
        let confirmations = send_off(&mut write, limits, now).await?;
        self.finish(write).await?;
        Ok(TakenIn { sign_ups: noted.len() as u64, confirmations, more: noted.len() as i64 == MOST_TAKEN_IN })
    }
}

fn is_told(sign_up: &SignUp) -> bool {
    confirmation::is_told(sign_up.confirm, sign_up.channel.kind())
}

fn wish(sign_up: &SignUp) -> Wish {
    (sign_up.symbol, sign_up.metric, sign_up.rule)
}

async fn waiting(
    connection: &mut SqliteConnection,
    limits: SignUpLimits,
    to: &Destination,
    now: Timestamp,
) -> Result<Waiting, StoreError> {
    let row = sqlx::query(WAITING)
        .bind(limits.most_waiting())
        .bind(to.domain.clone())
        .bind(Waiting::since(now).as_microsecond())
        .fetch_one(connection)
        .await?;
    let mut columns = Columns::new(&row, "confirmations_waiting");
    Ok(Waiting { all: columns.take()?, of_domain: columns.take()?, lately: columns.take()? })
}

/// Where to, as it is kept, and in whose words.
fn receiver(channel: &Channel) -> (String, Option<&'static str>) {
    match channel {
        Channel::Email(address) => (address.expose().to_owned(), None),
        Channel::Webhook(webhook) => (webhook.url.expose().to_owned(), Some(webhook.format.as_str())),
    }
}

async fn note(
    connection: &mut SqliteConnection,
    sign_up: &SignUp,
    to: &Destination,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (receiver, format) = receiver(&sign_up.channel);
    sqlx::query(
        "insert into sign_ups (id, channel, receiver, format, address, domain, symbol, metric, rule, quiet, nonce, \
         confirm_hash, unsubscribe_hash, manage_hash, asked_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(sign_up.id.to_string())
    .bind(sign_up.channel.kind().as_str())
    .bind(receiver)
    .bind(format)
    .bind(sign_up.channel.key())
    .bind(to.domain.clone())
    .bind(sign_up.symbol.as_str().to_owned())
    .bind(sign_up.metric.as_str())
    .bind(sign_up.rule.to_string())
    .bind(sign_up.quiet.as_ref().map(|quiet| quiet.to_string()))
    .bind(sign_up.nonce.to_vec())
    .bind(sign_up.hashes.confirm.as_bytes().to_vec())
    .bind(sign_up.hashes.unsubscribe.as_bytes().to_vec())
    .bind(sign_up.hashes.manage.as_bytes().to_vec())
    .bind(now.as_microsecond())
    .execute(connection)
    .await?;
    Ok(())
}

fn sign_up_of(row: &SqliteRow) -> Result<(i64, Timestamp, SignUp), StoreError> {
    let mut columns = Columns::new(row, "sign_ups");
    let (place, asked_at) = (columns.take()?, columns.time()?);
    let sign_up = SignUp {
        id: columns.parse()?,
        channel: columns.channel()?,
        symbol: columns.parse()?,
        metric: columns.parse()?,
        rule: columns.parse()?,
        quiet: columns.maybe()?,
        nonce: columns.bytes()?,
        hashes: qqq_core::token::TokenHashes {
            confirm: columns.bytes()?.into(),
            unsubscribe: columns.bytes()?.into(),
            manage: columns.bytes()?.into(),
        },
        confirm: true,
    };
    Ok((place, asked_at, sign_up))
}

/// Makes a sign-up a subscription, where the receiver has none of the same wish, and has its message wait for its turn.
async fn take_in(
    connection: &mut SqliteConnection,
    held_to: &SubscriptionLimits,
    sign_up: &SignUp,
    asked_at: Timestamp,
) -> Result<(), StoreError> {
    let id = match live(connection, sign_up).await? {
        Some((_, SubscriptionStatus::Active)) => return Ok(()),
        Some((id, _)) => id,
        None => {
            insert(connection, sign_up, asked_at).await?;
            sign_up.id
        }
    };
    sqlx::query("update subscriptions set asked = asked + 1, confirm_by = max(confirm_by, ?) where id = ?")
        .bind(confirm_by(asked_at).as_microsecond())
        .bind(id.to_string())
        .execute(&mut *connection)
        .await?;
    if !sign_up.confirm {
        let key = sign_up.channel.key();
        in_force::admit(connection, held_to, &key, id, wish(sign_up), false).await??;
        activate(connection, id, asked_at).await?;
    }
    if is_told(sign_up) {
        wait(connection, sign_up, id, asked_at).await?;
    }
    Ok(())
}

/// Has the message about a subscription wait, or joins the one that waits for the same mail address already.
async fn wait(
    connection: &mut SqliteConnection,
    sign_up: &SignUp,
    id: SubscriptionId,
    asked_at: Timestamp,
) -> Result<(), StoreError> {
    let for_all = is_about_all(sign_up.channel.kind());
    sqlx::query(
        "insert into confirmations_waiting (subscription, address, domain, asked_at, not_before) \
         select ?1, ?2, ?3, ?4, ?4 where not exists (select 1 from confirmations_waiting \
         where subscription = ?1 or (?5 and address = ?2)) and not exists (select 1 from suppressions \
         where address_hash = ?6 and created_at > ?7)",
    )
    .bind(id.to_string())
    .bind(sign_up.channel.key())
    .bind(sign_up.channel.destination().domain)
    .bind(asked_at.as_microsecond())
    .bind(for_all)
    .bind(address_hash(&sign_up.channel))
    .bind(suppressed_since(asked_at).as_microsecond())
    .execute(connection)
    .await?;
    Ok(())
}

/// The subscription of the same wish that has not ended.
async fn live(
    connection: &mut SqliteConnection,
    sign_up: &SignUp,
) -> Result<Option<(SubscriptionId, SubscriptionStatus)>, StoreError> {
    let SignUp { channel, symbol, metric, rule, .. } = sign_up;
    super::subscriptions::live(connection, channel, *symbol, *metric, *rule).await
}

/// Keeps a sign-up, pending.
async fn insert(
    connection: &mut SqliteConnection,
    sign_up: &SignUp,
    asked_at: Timestamp,
) -> Result<(), StoreError> {
    let (receiver, format) = receiver(&sign_up.channel);
    sqlx::query(
        "insert into subscriptions (id, channel, receiver, format, address, address_hash, mailbox, symbol, metric, \
         rule, quiet, status, created_at, confirm_by, nonce, confirm_hash, unsubscribe_hash, manage_hash) \
         values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?, ?, ?, ?, ?)",
    )
    .bind(sign_up.id.to_string())
    .bind(sign_up.channel.kind().as_str())
    .bind(receiver)
    .bind(format)
    .bind(sign_up.channel.key())
    .bind(address_hash(&sign_up.channel))
    .bind(sign_up.channel.destination().mailbox)
    .bind(sign_up.symbol.as_str().to_owned())
    .bind(sign_up.metric.as_str())
    .bind(sign_up.rule.to_string())
    .bind(sign_up.quiet.as_ref().map(|quiet| quiet.to_string()))
    .bind(asked_at.as_microsecond())
    .bind(confirm_by(asked_at).as_microsecond())
    .bind(sign_up.nonce.to_vec())
    .bind(sign_up.hashes.confirm.as_bytes().to_vec())
    .bind(sign_up.hashes.unsubscribe.as_bytes().to_vec())
    .bind(sign_up.hashes.manage.as_bytes().to_vec())
    .execute(connection)
    .await?;
    Ok(())
}

/// A message that waits: for whom, since when, and the subscription it began to wait for.
struct InLine {
    place: i64,
    address: String,
    asked_at: Timestamp,
    confirmations: u32,
    subscription: Subscription,
}

/// Makes deliveries of the messages whose turn it is. Answers how many.
async fn send_off(
    connection: &mut SqliteConnection,
    limits: SignUpLimits,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let mut throttle = Throttle::new(limits, sent_lately(connection, now).await?, now);
    let mut sent = 0;
    for _ in 0..MOST_ROUNDS {
        if !throttle.has_room() {
            break;
        }
        let due = due(connection, now).await?;
        if due.is_empty() {
            break;
        }
        for waiting in throttle.in_turn(due) {
            let Some(subject) = subject(connection, &waiting).await? else {
                leave(connection, waiting.place).await?;
                continue;
            };
            let to = subject.channel.destination();
            let before = sent_to(connection, &to, now).await?;
            match throttle.turn(&to, &before) {
                Turn::Now => {
                    leave(connection, waiting.place).await?;
                    renew_links(connection, &waiting, now).await?;
                    owe_confirmation(connection, subject.id, &subject.channel, now).await?;
                    sent += 1;
                }
                Turn::NotBefore(at) => put_off(connection, waiting.place, at).await?,
                Turn::Later => return Ok(sent),
            }
        }
    }
    Ok(sent)
}

async fn sent_lately(
    connection: &mut SqliteConnection,
    now: Timestamp,
) -> Result<Vec<(Timestamp, String)>, StoreError> {
    let rows =
        sqlx::query(SENT_SINCE).bind(Throttle::since(now).as_microsecond()).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let mut columns = Columns::new(row, "deliveries");
            Ok((columns.time()?, columns.channel()?.destination().domain))
        })
        .collect()
}

async fn sent_to(
    connection: &mut SqliteConnection,
    to: &Destination,
    now: Timestamp,
) -> Result<Vec<Timestamp>, StoreError> {
    let rows = sqlx::query(SENT_TO)
        .bind(to.mailbox.clone())
        .bind(Throttle::mailbox_since(now).as_microsecond())
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Columns::new(row, "deliveries").time()).collect()
}

async fn due(connection: &mut SqliteConnection, now: Timestamp) -> Result<VecDeque<InLine>, StoreError> {
    let rows = sqlx::query(DUE).bind(now.as_microsecond()).bind(MOST_LOOKED_AT).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let mut columns = Columns::new(row, "confirmations_waiting");
            Ok(InLine {
                place: columns.take()?,
                address: columns.take()?,
                asked_at: columns.time()?,
                confirmations: columns.take()?,
                subscription: columns.subscription()?,
            })
        })
        .collect()
}

/// What a message is about: by mail the newest that is pending there, whose page shows the others as well; by webhook
/// the subscription itself, also once it is active, where it has not been told its secret. `None` where there is nothing
/// to tell any more.
async fn subject(
    connection: &mut SqliteConnection,
    waiting: &InLine,
) -> Result<Option<Subscription>, StoreError> {
    let Subscription { channel, status, .. } = &waiting.subscription;
    if is_about_all(channel.kind()) {
        let row = sqlx::query(PENDING_OF)
            .bind(waiting.address.clone())
            .bind(waiting.asked_at.as_microsecond())
            .bind(1_i64)
            .fetch_optional(connection)
            .await?;
        return row.map(|row| rows::subscription(&row)).transpose();
    }
    let tells = has_secret_to_hear(*status, waiting.confirmations);
    Ok(tells.then(|| waiting.subscription.clone()))
}

async fn leave(connection: &mut SqliteConnection, place: i64) -> Result<(), StoreError> {
    sqlx::query("delete from confirmations_waiting where place = ?").bind(place).execute(connection).await?;
    Ok(())
}

async fn put_off(connection: &mut SqliteConnection, place: i64, at: Timestamp) -> Result<(), StoreError> {
    sqlx::query("update confirmations_waiting set not_before = ? where place = ?")
        .bind(at.as_microsecond())
        .bind(place)
        .execute(connection)
        .await?;
    Ok(())
}

/// A link is good for its time from when the message goes out, for all that was pending when it began to wait.
async fn renew_links(
    connection: &mut SqliteConnection,
    waiting: &InLine,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "update subscriptions set confirm_by = max(confirm_by, ?) \
         where address = ? and status = 'pending' and confirm_by > ?",
    )
    .bind(confirm_by(now).as_microsecond())
    .bind(waiting.address.clone())
    .bind(waiting.asked_at.as_microsecond())
    .execute(connection)
    .await?;
    Ok(())
}

/// Owes a confirmation. Each has an id of its own: a later one is no repeat of an earlier.
pub(super) async fn owe_confirmation(
    connection: &mut SqliteConnection,
    id: SubscriptionId,
    channel: &Channel,
    now: Timestamp,
) -> Result<(), StoreError> {
    let count: u32 = sqlx::query_scalar(
        "update subscriptions set confirmations = confirmations + 1 where id = ? returning confirmations",
    )
    .bind(id.to_string())
    .fetch_one(&mut *connection)
    .await?;
    let owed = outbox::Owed {
        id: DeliveryId::of_confirmation(id, count),
        kind: DeliveryKind::Confirmation,
        to: outbox::Recipient {
            subscription: id,
            channel: channel.clone(),
            address_hash: address_hash(channel),
        },
        alert: None,
    };
    outbox::owe(connection, &[owed], now).await?;
    Ok(())
}

/// After something was confirmed or declined: a message that waits for a mail address of which nothing is pending any
/// more has nothing to ask. A webhook that is active now is told its secret at once, if it was not.
pub(super) async fn answered(
    connection: &mut SqliteConnection,
    channel: &Channel,
    activated: &[Subscription],
    now: Timestamp,
) -> Result<(), StoreError> {
    if is_about_all(channel.kind()) {
        sqlx::query(
            "delete from confirmations_waiting where address = ?1 and not exists (\
             select 1 from subscriptions where address = ?1 and status = 'pending')",
        )
        .bind(channel.key())
        .execute(connection)
        .await?;
        return Ok(());
    }
    for one in activated {
        let messages: u32 = sqlx::query_scalar("select confirmations from subscriptions where id = ?")
            .bind(one.id.to_string())
            .fetch_one(&mut *connection)
            .await?;
        if has_secret_to_hear(one.status, messages) {
            owe_confirmation(connection, one.id, &one.channel, now).await?;
        }
        sqlx::query("delete from confirmations_waiting where subscription = ?")
            .bind(one.id.to_string())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
