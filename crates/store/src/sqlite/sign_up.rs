//! Sign-ups on their way in: noted down and taken in.
//!
//! What a client waits for is one insert that looks up nothing about the receiver, so how long it takes does
//! not tell who subscribes. All else happens later, in transactions of the worker.

use super::activation::activate;
use super::composite::StoredWish;
use super::confirmations::send_off;
use super::limits as in_force;
use super::lookup::{self, address_hash};
use super::rows::{self, Columns};
use super::sql::bounded;
use super::store::Sqlite;
use crate::{SignUp, SignedUp, StoreError, TakenIn};
use jiff::Timestamp;
use qqq_core::delivery::suppressed_since;
use qqq_core::subscription::channel::Channel;
use qqq_core::subscription::confirmation::{self, confirm_by, is_about_all, is_news};
use qqq_core::subscription::limits::{SubscriptionLimits, Wish};
use qqq_core::subscription::mailbox::Destination;
use qqq_core::subscription::signup::{SignUpLimits, Waiting};
use qqq_core::subscription::{SubscriptionId, SubscriptionStatus};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use sqlx::types::Json;

/// Sign-ups taken in by one transaction, but for the rest of a request.
const MOST_TAKEN_IN: usize = 200;

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

const NOTED: &str = "select place, asked_at, channel, receiver, format, wishes \
     from sign_ups order by place limit ?";

impl Sqlite {
    pub(super) async fn note_sign_up(
        &self,
        request: &[SignUp],
        limits: SignUpLimits,
        now: Timestamp,
    ) -> Result<SignedUp, StoreError> {
        let [first, ..] = request else { return Ok(SignedUp::Taken) };
        let mut write = self.begin().await?;
        let (held_to, to) = (self.limits(), first.channel.destination());
        // Of the request alone: the answer must not depend on what is known of the receiver.
        in_force::admit_request(&mut write, &held_to, request).await?;
        if is_told(first) {
            let waiting = waiting(&mut write, limits, &to, now).await?;
            if let Err(full) = limits.admit(waiting, &to) {
                return Ok(SignedUp::Full(full));
            }
        }
        if first.confirm {
            note(&mut write, request, &first.channel, &to, now).await?;
        } else {
            for sign_up in request {
                take_in(&mut write, &held_to, sign_up, now).await?;
            }
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
        let noted = sqlx::query(NOTED).bind(bounded(MOST_TAKEN_IN)).fetch_all(&mut *write).await?;
        let (mut requests, mut sign_ups) = (0, 0);
        for row in &noted {
            if sign_ups >= MOST_TAKEN_IN {
                break;
            }
            let (place, asked_at, request) = request_of(row)?;
            // All of it, before its message may go out: that tells what was asked for.
            for sign_up in &request {
                take_in(&mut write, &held_to, sign_up, asked_at).await?;
            }
            sqlx::query("delete from sign_ups where place = ?").bind(place).execute(&mut *write).await?;
            (requests, sign_ups) = (requests + 1, sign_ups + request.len());
        }
        let confirmations = send_off(&mut write, limits, now).await?;
        self.finish(write).await?;
        let more = requests < noted.len() || requests == MOST_TAKEN_IN;
        Ok(TakenIn { sign_ups: sign_ups as u64, confirmations, more })
    }
}

fn is_told(sign_up: &SignUp) -> bool {
    confirmation::is_told(sign_up.confirm, sign_up.channel.kind())
}

fn wish(sign_up: &SignUp) -> Wish {
    (sign_up.scope, sign_up.metric, sign_up.rule)
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
        Channel::Push(receiver) => (receiver.expose(), Some(rows::PUSH)),
    }
}

async fn note(
    connection: &mut SqliteConnection,
    request: &[SignUp],
    channel: &Channel,
    to: &Destination,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (receiver, format) = receiver(channel);
    let wishes: Vec<StoredWish> = request.iter().map(StoredWish::from).collect();
    sqlx::query(
        "insert into sign_ups (channel, receiver, format, address, domain, wishes, asked_at) \
         values (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(channel.carrier().as_str())
    .bind(receiver)
    .bind(format)
    .bind(channel.key())
    .bind(to.domain.clone())
    .bind(Json(wishes))
    .bind(now.as_microsecond())
    .execute(connection)
    .await?;
    Ok(())
}

fn request_of(row: &SqliteRow) -> Result<(i64, Timestamp, Vec<SignUp>), StoreError> {
    let mut columns = Columns::new(row, "sign_ups");
    let (place, asked_at, channel) = (columns.take()?, columns.time()?, columns.channel()?);
    let Json(wishes): Json<Vec<StoredWish>> = columns.take()?;
    let request = wishes.into_iter().map(|wish| wish.of(channel.clone())).collect();
    Ok((place, asked_at, request))
}

/// Makes a sign-up a subscription, where the receiver has none of the same wish, and has its message wait for
/// its turn.
async fn take_in(
    connection: &mut SqliteConnection,
    held_to: &SubscriptionLimits,
    sign_up: &SignUp,
    asked_at: Timestamp,
) -> Result<(), StoreError> {
    let id = match live(connection, sign_up).await? {
        Some((_, status)) if !is_news(status) => return Ok(()),
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
        in_force::admit(connection, held_to, &key, id, wish(sign_up)).await??;
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
    let SignUp { channel, scope, metric, rule, .. } = sign_up;
    lookup::live(connection, channel, *scope, *metric, *rule).await
}

/// Keeps a sign-up, pending.
async fn insert(
    connection: &mut SqliteConnection,
    sign_up: &SignUp,
    asked_at: Timestamp,
) -> Result<(), StoreError> {
    let (receiver, format) = receiver(&sign_up.channel);
    sqlx::query(
        "insert into subscriptions (id, channel, receiver, format, address, address_hash, throttle_key, \
         symbol, metric, rule, own_rule, quiet, status, created_at, confirm_by, \
         nonce, confirm_hash, unsubscribe_hash, manage_hash) \
         values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?, ?, ?, ?, ?)",
    )
    .bind(sign_up.id.to_string())
    .bind(sign_up.channel.carrier().as_str())
    .bind(receiver)
    .bind(format)
    .bind(sign_up.channel.key())
    .bind(address_hash(&sign_up.channel))
    .bind(sign_up.channel.destination().mailbox)
    .bind(sign_up.scope.as_str().to_owned())
    .bind(sign_up.metric.as_str())
    .bind(sign_up.rule.to_string())
    .bind(sign_up.rule.is_own())
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
