//! Signing in: requests for a link, the mails with one, and the browsers that are signed in.

use super::rows::Columns;
use super::sql::bounded;
use super::store::Sqlite;
use crate::{SessionStore, SignInRequest, SignInsTakenIn, SignedUp, StoreError};
use async_trait::async_trait;
use jiff::Timestamp;
use qqq_core::delivery::{
    Lease, MOST_SIGN_INS_UNDER_WAY, Outcome, SignInMail, sign_in_tried_again, suppressed_since,
};
use qqq_core::subscription::EmailAddress;
use qqq_core::subscription::channel::Channel;
use qqq_core::subscription::mailbox::Destination;
use qqq_core::subscription::session::{
    MOST_SESSIONS, Session, SignInId, given_up_before, link_goes_to, link_works_until, signed_in_until,
};
use qqq_core::subscription::signup::{SignUpLimits, Throttle, Turn, Waiting};
use qqq_core::subscription::token::TokenHash;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use std::collections::VecDeque;

/// Requests decided about in one transaction: so many of the oldest, and of the newest.
const MOST_DECIDED: usize = 200;

/// How many wait, of all, of a domain, and lately.
pub(super) const WAITING: &str = "select \
     (select count(*) from (select 1 from sign_ins where owed_at is null limit ?1)), \
     (select count(*) from (select 1 from sign_ins where owed_at is null and domain = ?2 limit ?1)), \
     (select count(*) from sign_ins where asked_at > ?3)";

/// What may have its turn: the oldest and the newest.
const IN_LINE: &str = "select place, address, mailbox, domain, public from sign_ins where place in \
     (select place from \
     (select place from sign_ins where owed_at is null and not_before <= ?1 order by place limit ?2) \
     union select place from \
     (select place from sign_ins where owed_at is null and not_before <= ?1 order by place desc limit ?2)) \
     order by place";

/// Whether there is anything to decide.
pub(super) const WORK: &str =
    "select exists (select 1 from sign_ins where owed_at is null and not_before <= ?)";

/// Where the alerts of a receiver go, if there are any, and whether nothing may be sent there.
const SUBSCRIBED: &str = "select (select receiver from subscriptions \
     where address = ?1 and channel = 'email' and status = 'active' order by created_at, id limit 1), \
     exists (select 1 from suppressions where address_hash = ?2 and created_at > ?3)";

pub(super) const DUE: &str = "select place from sign_ins \
     where owed_at is not null and settled_at is null and used_at is null and expires_at > ?1 \
     and coalesce(lease_until, due_at) <= ?1 order by coalesce(lease_until, due_at), place limit ?2";

/// How many are under way.
pub(super) const UNDER_WAY: &str = "select count(*) from sign_ins \
     where owed_at is not null and settled_at is null and lease_until > ?1 \
     and coalesce(lease_until, due_at) > ?1";

/// Leases of dispatchers that are gone.
pub(super) const RELEASE: &str = "update sign_ins indexed by sign_ins_due set lease_until = null \
     where owed_at is not null and settled_at is null and lease_until is not null";

/// What is known of an address.
pub(super) const ERASE: [&str; 2] =
    ["delete from sign_ins where address = ?", "delete from sessions where address = ?"];

#[async_trait]
impl SessionStore for Sqlite {
    async fn ask_to_sign_in(
        &self,
        request: &SignInRequest,
        limits: SignUpLimits,
        now: Timestamp,
    ) -> Result<SignedUp, StoreError> {
        let to = Channel::Email(request.address.clone()).destination();
        let mut write = self.begin().await?;
        let row = sqlx::query(WAITING)
            .bind(limits.most_waiting())
            .bind(to.domain.clone())
            .bind(Waiting::since(now).as_microsecond())
            .fetch_one(&mut *write)
            .await?;
        let mut columns = Columns::new(&row, "sign_ins");
        let waiting = Waiting { all: columns.take()?, of_domain: columns.take()?, lately: columns.take()? };
        if let Err(full) = limits.admit(waiting, &to) {
            return Ok(SignedUp::Full(full));
        }
        sqlx::query(
            "insert into sign_ins (id, token_hash, address, mailbox, domain, public, asked_at, not_before) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
        )
        .bind(request.id.to_string())
        .bind(request.token.as_bytes().to_vec())
        .bind(request.address.key())
        .bind(to.mailbox)
        .bind(to.domain)
        .bind(to.public)
        .bind(now.as_microsecond())
        .execute(&mut *write)
        .await?;
        self.finish(write).await?;
        Ok(SignedUp::Taken)
    }

    async fn take_in_sign_ins(
        &self,
        limits: SignUpLimits,
        operators: &[EmailAddress],
        now: Timestamp,
    ) -> Result<SignInsTakenIn, StoreError> {
        let work: bool = sqlx::query_scalar(WORK).bind(now.as_microsecond()).fetch_one(&self.readers).await?;
        if !work {
            return Ok(SignInsTakenIn::default());
        }
        let mut write = self.begin().await?;
        give_up(&mut write, now).await?;
        let mut throttle = Throttle::new(limits, owed_lately(&mut write, now).await?, now);
        let (mut owed, mut left, mut has_room) = (0, 0, true);
        for waiting in throttle.in_turn(waiting(&mut write, now).await?) {
            // Also where nobody has their turn any more: who gets no mail makes way for who does.
            let Some(receiver) = receiver(&mut write, &waiting.address, operators, now).await? else {
                leave(&mut write, waiting.place).await?;
                left += 1;
                continue;
            };
            if !has_room {
                continue;
            }
            let before = owed_to(&mut write, &waiting.to, now).await?;
            match throttle.turn(&waiting.to, &before) {
                Turn::Now => {
                    owe(&mut write, waiting.place, &receiver, now).await?;
                    owed += 1;
                }
                Turn::NotBefore(at) => reschedule(&mut write, waiting.place, at).await?,
                Turn::Later => has_room = false,
            }
        }
        self.finish(write).await?;
        Ok(SignInsTakenIn { owed, more: left >= MOST_DECIDED })
    }

    async fn claim_sign_ins(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Vec<SignInMail>, StoreError> {
        let due = |limit| sqlx::query_scalar::<_, i64>(DUE).bind(now.as_microsecond()).bind(bounded(limit));
        if due(1).fetch_optional(&self.readers).await?.is_none() {
            return Ok(Vec::new());
        }
        let mut write = self.begin().await?;
        let under_way: u32 =
            sqlx::query_scalar(UNDER_WAY).bind(now.as_microsecond()).fetch_one(&mut *write).await?;
        let room = MOST_SIGN_INS_UNDER_WAY.saturating_sub(under_way as usize);
        let places = due(room).fetch_all(&mut *write).await?;
        let mut claimed = Vec::with_capacity(places.len());
        for place in places {
            let row = sqlx::query(
                "update sign_ins set lease_until = ?, attempts = attempts + 1 where place = ? \
                 returning id, receiver, attempts, owed_at, expires_at",
            )
            .bind(lease_until.as_microsecond())
            .bind(place)
            .fetch_one(&mut *write)
            .await?;
            claimed.push(mail(&row)?);
        }
        self.finish(write).await?;
        Ok(claimed)
    }

    async fn settle_sign_in(
        &self,
        id: SignInId,
        lease: Lease,
        outcome: &Outcome,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let again = sign_in_tried_again(outcome);
        let mut write = self.begin().await?;
        let settled = sqlx::query(
            "update sign_ins set lease_until = null, due_at = coalesce(?1, due_at), \
             settled_at = case when ?1 is null then ?2 end \
             where id = ?3 and attempts = ?4 and settled_at is null and owed_at is not null",
        )
        .bind(again.map(|at| at.as_microsecond()))
        .bind(now.as_microsecond())
        .bind(id.to_string())
        .bind(lease.0)
        .execute(&mut *write)
        .await?
        .rows_affected();
        self.finish(write).await?;
        Ok(settled > 0)
    }

    async fn signs_in_as(
        &self,
        link: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<EmailAddress>, StoreError> {
        sqlx::query(
            "select receiver from sign_ins where token_hash = ? and used_at is null and expires_at > ?",
        )
        .bind(link.as_bytes().to_vec())
        .bind(now.as_microsecond())
        .fetch_optional(&self.readers)
        .await?
        .map(|row| Columns::new(&row, "sign_ins").parse())
        .transpose()
    }

    async fn sign_in(
        &self,
        link: &TokenHash,
        session: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<Session>, StoreError> {
        let mut write = self.begin().await?;
        let row = sqlx::query(
            "update sign_ins set used_at = ?1 where token_hash = ?2 and used_at is null and expires_at > ?1 \
             returning receiver",
        )
        .bind(now.as_microsecond())
        .bind(link.as_bytes().to_vec())
        .fetch_optional(&mut *write)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let address: EmailAddress = Columns::new(&row, "sign_ins").parse()?;
        let key = address.key();
        // Whoever is signed in waits for no other link.
        sqlx::query("delete from sign_ins where address = ? and owed_at is null")
            .bind(key.clone())
            .execute(&mut *write)
            .await?;
        sqlx::query(
            "delete from sessions where token_hash in (select token_hash from sessions \
             where address = ? order by created_at desc, token_hash limit -1 offset ?)",
        )
        .bind(key.clone())
        .bind(bounded(MOST_SESSIONS - 1))
        .execute(&mut *write)
        .await?;
        let row = sqlx::query(
            "insert into sessions (token_hash, address, receiver, created_at, expires_at) \
             values (?, ?, ?, ?, ?) returning receiver, created_at, expires_at",
        )
        .bind(session.as_bytes().to_vec())
        .bind(key)
        .bind(address.expose().to_owned())
        .bind(now.as_microsecond())
        .bind(signed_in_until(now).as_microsecond())
        .fetch_one(&mut *write)
        .await?;
        let session = session_of(&row)?;
        self.finish(write).await?;
        Ok(Some(session))
    }

    async fn session(&self, token: &TokenHash, now: Timestamp) -> Result<Option<Session>, StoreError> {
        sqlx::query(
            "select receiver, created_at, expires_at from sessions where token_hash = ? and expires_at > ?",
        )
        .bind(token.as_bytes().to_vec())
        .bind(now.as_microsecond())
        .fetch_optional(&self.readers)
        .await?
        .map(|row| session_of(&row))
        .transpose()
    }

    async fn sessions_of(&self, address: &str, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        sqlx::query(
            "select receiver, created_at, expires_at from sessions where address = ? and expires_at > ? \
             order by created_at desc",
        )
        .bind(address.to_owned())
        .bind(now.as_microsecond())
        .fetch_all(&self.readers)
        .await?
        .iter()
        .map(session_of)
        .collect()
    }

    async fn end_session(&self, token: &TokenHash) -> Result<(), StoreError> {
        let mut write = self.begin().await?;
        sqlx::query("delete from sessions where token_hash = ?")
            .bind(token.as_bytes().to_vec())
            .execute(&mut *write)
            .await?;
        self.finish(write).await
    }
}

/// A request that waits.
struct InLine {
    place: i64,
    address: String,
    to: Destination,
}

/// Drops requests that nobody waits for any more, and all but the newest of each address.
async fn give_up(connection: &mut SqliteConnection, now: Timestamp) -> Result<(), StoreError> {
    sqlx::query(
        "delete from sign_ins where owed_at is null and (asked_at < ? or exists (\
         select 1 from sign_ins n where n.address = sign_ins.address and n.owed_at is null \
         and n.place > sign_ins.place))",
    )
    .bind(given_up_before(now).as_microsecond())
    .execute(connection)
    .await?;
    Ok(())
}

async fn waiting(connection: &mut SqliteConnection, now: Timestamp) -> Result<VecDeque<InLine>, StoreError> {
    let rows = sqlx::query(IN_LINE)
        .bind(now.as_microsecond())
        .bind(bounded(MOST_DECIDED))
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            let mut columns = Columns::new(row, "sign_ins");
            Ok(InLine {
                place: columns.take()?,
                address: columns.take()?,
                to: Destination {
                    mailbox: columns.take()?,
                    domain: columns.take()?,
                    public: columns.take()?,
                },
            })
        })
        .collect()
}

/// Where the link for an address goes, if it has one.
async fn receiver(
    connection: &mut SqliteConnection,
    address: &str,
    operators: &[EmailAddress],
    now: Timestamp,
) -> Result<Option<EmailAddress>, StoreError> {
    let row = sqlx::query(SUBSCRIBED)
        .bind(address.to_owned())
        .bind(super::lookup::hash_of(address))
        .bind(suppressed_since(now).as_microsecond())
        .fetch_one(connection)
        .await?;
    let mut columns = Columns::new(&row, "subscriptions");
    let (subscribed, is_suppressed) = (columns.maybe()?, columns.take::<bool>()?);
    Ok(link_goes_to(address, subscribed, operators).filter(|_| !is_suppressed))
}

async fn owed_lately(
    connection: &mut SqliteConnection,
    now: Timestamp,
) -> Result<Vec<(Timestamp, String)>, StoreError> {
    let rows = sqlx::query("select owed_at, domain from sign_ins where owed_at > ? order by owed_at")
        .bind(Throttle::since(now).as_microsecond())
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            let mut columns = Columns::new(row, "sign_ins");
            Ok((columns.time()?, columns.take()?))
        })
        .collect()
}

async fn owed_to(
    connection: &mut SqliteConnection,
    to: &Destination,
    now: Timestamp,
) -> Result<Vec<Timestamp>, StoreError> {
    let rows = sqlx::query("select owed_at from sign_ins where mailbox = ? and owed_at > ? order by owed_at")
        .bind(to.mailbox.clone())
        .bind(Throttle::mailbox_since(now).as_microsecond())
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Columns::new(row, "sign_ins").time()).collect()
}

async fn leave(connection: &mut SqliteConnection, place: i64) -> Result<(), StoreError> {
    sqlx::query("delete from sign_ins where place = ?").bind(place).execute(connection).await?;
    Ok(())
}

async fn owe(
    connection: &mut SqliteConnection,
    place: i64,
    receiver: &EmailAddress,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "update sign_ins set receiver = ?1, owed_at = ?2, due_at = ?2, expires_at = ?3 where place = ?4",
    )
    .bind(receiver.expose().to_owned())
    .bind(now.as_microsecond())
    .bind(link_works_until(now).as_microsecond())
    .bind(place)
    .execute(connection)
    .await?;
    Ok(())
}

async fn reschedule(connection: &mut SqliteConnection, place: i64, at: Timestamp) -> Result<(), StoreError> {
    sqlx::query("update sign_ins set not_before = ? where place = ?")
        .bind(at.as_microsecond())
        .bind(place)
        .execute(connection)
        .await?;
    Ok(())
}

fn mail(row: &SqliteRow) -> Result<SignInMail, StoreError> {
    let mut columns = Columns::new(row, "sign_ins");
    let (id, to, attempts): (_, _, u32) = (columns.parse()?, columns.parse()?, columns.take()?);
    let (created_at, expires_at) = (columns.time()?, columns.time()?);
    Ok(SignInMail { id, to, attempt: attempts, created_at, expires_at, lease: Lease(attempts.into()) })
}

fn session_of(row: &SqliteRow) -> Result<Session, StoreError> {
    let mut columns = Columns::new(row, "sessions");
    Ok(Session { address: columns.parse()?, created_at: columns.time()?, expires_at: columns.time()? })
}
