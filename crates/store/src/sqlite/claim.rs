//! Claiming: what is due is handed out, has to wait, or has come to an end.
//!
//! An alert that has to wait before any attempt is `held`. When held ones come due, those of a recipient become one
//! digest. What had an attempt is never brought together with others: its receiver may know it already, by its id.

use super::bars::bounded;
use super::outbox::{self, PAUSED, RETRACTED, Why, suppressed_since};
use super::rows::{self, Candidate, Columns, Member, alert_columns, subscription_columns};
use super::subscriptions::later;
use crate::{Budget, StoreError};
use jiff::{SignedDuration, Timestamp};
use qqq_core::alert::AlertState;
use qqq_core::channel::ChannelKind;
use qqq_core::delivery::places::Rooms;
use qqq_core::delivery::{Delivery, DeliveryId, DeliveryKind, Lease};
use qqq_core::subscription::{Subscription, SubscriptionStatus};
use sqlx::SqliteConnection;
use std::collections::HashMap;

/// Deliveries one claim hands out at most.
const MOST_CLAIMED: usize = 1000;

/// Deliveries one claim settles on the way at most (expired, no longer entitled): a backlog of them must not
/// hold up the writes of others. The next claim goes on.
const MOST_SETTLED: usize = 1000;

/// Deliveries of one recipient that are under way at once: one that does not answer must not keep all senders busy.
const MOST_UNDER_WAY: usize = 4;

/// Alerts in one digest at most.
const MOST_BUNDLED: usize = 200;

const INACTIVE: &str = "the subscription is not active";

/// What is due over a channel, of recipients and to hosts that have room for more under way, oldest first: all hosts but
/// those listed, or those alone. The inner query reads the index alone and passes quickly over the queue of who has none.
/// The planner would rather read and sort all that is pending.
pub(super) const CANDIDATES: &str = concat!(
    "select d.id, d.kind, d.attempts, d.claims, d.created_at, d.expires_at, d.held, d.lease_until is not null, d.host, d.address_hash, \
     exists (select 1 from suppressions x where x.address_hash = d.address_hash and x.created_at > ?1), ",
    subscription_columns!(),
    ", a.id is not null, ",
    alert_columns!(),
    " from (select id from deliveries indexed by deliveries_due \
     where state = 'pending' and channel = ?5 and coalesce(lease_until, due_at) <= ?2 \
     and (host in (select value from json_each(?6))) <> ?7 \
     and address_hash not in (select address_hash from deliveries indexed by deliveries_under_way \
     where lease_until > ?2 group by address_hash having count(*) >= ?3) \
     order by coalesce(lease_until, due_at), id limit ?4) c \
     join deliveries d on d.id = c.id join subscriptions s on s.id = d.subscription \
     left join alerts a on a.id = d.alert order by coalesce(d.lease_until, d.due_at), d.id"
);

/// What a recipient has under way, and when the messages that count were sent, newest first.
pub(super) const LEDGER: &str = "select lease_until, kind in ('alert', 'digest'), null \
     from deliveries indexed by deliveries_under_way where address_hash = ?1 and lease_until is not null \
     union all \
     select * from (select null, true, settled_at from deliveries indexed by deliveries_answered \
     where address_hash = ?1 and settled_at > ?2 and state in ('sent', 'failed') and state = 'sent' \
     and kind in ('alert', 'digest') order by settled_at desc limit ?3)";

/// Has due alerts of a recipient wait that had no attempt yet: of one subscription, or of all.
pub(super) const HOLD: &str = "update deliveries indexed by deliveries_by_recipient \
     set held = 1, due_at = ?4, expires_at = max(expires_at, ?5) \
     where address_hash = ?1 and state = 'pending' and kind = 'alert' and attempts = 0 and due_at <= ?2 \
     and subscription = coalesce(?3, subscription)";

/// Held alerts of a recipient that are due and may be told now, but for quiet hours.
pub(super) const HELD: &str = concat!(
    "select d.id, ",
    subscription_columns!(),
    ", ",
    alert_columns!(),
    " from deliveries d indexed by deliveries_by_recipient \
     join subscriptions s on s.id = d.subscription join alerts a on a.id = d.alert \
     where d.address_hash = ?1 and d.state = 'pending' and d.held = 1 and d.due_at <= ?2 and d.expires_at > ?2 \
     and s.status = 'active' and (s.paused_until is null or s.paused_until <= ?2) and a.state = 'raised' \
     order by d.created_at, d.id limit ?3"
);

/// What went into a digest.
pub(super) const BUNDLED: &str = concat!(
    "select d.id, ",
    subscription_columns!(),
    ", ",
    alert_columns!(),
    " from deliveries d join subscriptions s on s.id = d.subscription join alerts a on a.id = d.alert \
     where d.digest = ? order by a.start, a.id, d.id"
);

/// Hands out what is due and has a place in `rooms`, and settles what has come to an end.
pub(super) async fn claim(
    connection: &mut SqliteConnection,
    now: Timestamp,
    lease_until: Timestamp,
    rooms: Rooms,
    budget: Budget,
) -> Result<Vec<Delivery>, StoreError> {
    let mut claim = Claim {
        connection,
        now,
        // Not a moment that has passed: it would be claimed again in the same breath.
        lease_until: lease_until.max(now + SignedDuration::from_millis(1)),
        budget,
        rooms,
        ledgers: HashMap::new(),
        handed: Vec::new(),
        settled: 0,
    };
    for channel in ChannelKind::ALL {
        while claim.left_of(channel) > 0 && claim.settled < MOST_SETTLED {
            let due = claim.candidates(channel).await?;
            if due.is_empty() {
                break;
            }
            for candidate in due {
                if claim.take(candidate).await? == Next::LookAgain {
                    break;
                }
            }
        }
    }
    Ok(claim.handed)
}

struct Claim<'c> {
    connection: &'c mut SqliteConnection,
    now: Timestamp,
    lease_until: Timestamp,
    budget: Budget,
    rooms: Rooms,
    ledgers: HashMap<Vec<u8>, Ledger>,
    handed: Vec<Delivery>,
    settled: usize,
}

/// Whether the other candidates are still what they were read as.
#[derive(PartialEq, Eq)]
enum Next {
    GoOn,
    LookAgain,
}

/// What becomes of a delivery that is due, apart from when.
enum Verdict {
    Tell,
    Expire,
    Cancel(&'static str),
}

impl Claim<'_> {
    /// How many more may be handed out over a channel.
    fn left_of(&self, channel: ChannelKind) -> usize {
        self.rooms.of(channel).free().min(MOST_CLAIMED.saturating_sub(self.handed.len()))
    }

    async fn candidates(&mut self, channel: ChannelKind) -> Result<Vec<Candidate>, StoreError> {
        let (limit, admitted) = (self.left_of(channel), self.rooms.of(channel).admitted());
        sqlx::query(CANDIDATES)
            .bind(suppressed_since(self.now))
            .bind(self.now.as_microsecond())
            .bind(bounded(MOST_UNDER_WAY))
            .bind(bounded(limit))
            .bind(channel.as_str())
            .bind(json_list(&admitted.listed))
            .bind(admitted.all_but)
            .fetch_all(&mut *self.connection)
            .await?
            .iter()
            .map(rows::candidate)
            .collect()
    }

    async fn take(&mut self, candidate: Candidate) -> Result<Next, StoreError> {
        self.open_ledger(&candidate).await?;
        let full = !self.rooms.of(candidate.subscription.channel.kind()).admits(&candidate.host);
        if full || self.ledger(&candidate).under_way >= MOST_UNDER_WAY {
            return Ok(Next::LookAgain);
        }
        let lapsed = candidate.lapsed.then(|| candidate.address_hash.clone());
        let handed = self.handed.len();
        let next = match candidate.kind {
            DeliveryKind::Digest => self.take_digest(candidate).await?,
            _ => self.take_single(candidate).await?,
        };
        if let Some(address_hash) = lapsed.filter(|_| self.handed.len() == handed) {
            // It is under way no longer.
            self.ledgers.remove(&address_hash);
        }
        Ok(next)
    }

    async fn take_single(&mut self, candidate: Candidate) -> Result<Next, StoreError> {
        // Before its expiry counts: who may have been told is owed the retraction, however late.
        let gone = candidate.alert.as_ref().filter(|alert| alert.state == AlertState::Retracted);
        match (candidate.kind, gone, self.judge(&candidate)) {
            (_, _, Verdict::Cancel(why)) => self.cancel(candidate.id, why).await,
            (DeliveryKind::Alert, Some(alert), _) => {
                self.cancel(candidate.id, RETRACTED).await?;
                if candidate.attempts > 0 {
                    let to = candidate.subscription.id;
                    outbox::owe_retraction(self.connection, alert.id, to, self.now).await?;
                }
                Ok(Next::LookAgain)
            }
            (_, _, Verdict::Expire) => self.expire(candidate.id).await,
            (_, _, Verdict::Tell) => {
                let subscription = &candidate.subscription;
                let quiet = match candidate.kind {
                    DeliveryKind::Confirmation => None,
                    _ => quiet_until(subscription, self.now),
                };
                if let Some(until) = quiet {
                    let only = Some(subscription.id.to_string());
                    self.put_off(&candidate, until, only).await
                } else if let Some(until) = self.no_room_until(&candidate) {
                    self.put_off(&candidate, until, None).await
                } else if candidate.held {
                    self.bundle(candidate).await
                } else {
                    self.hand_out(candidate, Vec::new()).await
                }
            }
        }
    }

    /// Whether a delivery to a subscription of its own may go out at all.
    fn judge(&self, candidate: &Candidate) -> Verdict {
        let subscription = &candidate.subscription;
        if candidate.kind == DeliveryKind::Confirmation {
            if subscription.status.has_ended() {
                return Verdict::Cancel(INACTIVE);
            }
        } else if subscription.status != SubscriptionStatus::Active {
            return Verdict::Cancel(INACTIVE);
        } else if subscription.is_paused(self.now) {
            return Verdict::Cancel(PAUSED);
        }
        self.judge_apart_from_its_subscription(candidate)
    }

    fn judge_apart_from_its_subscription(&self, candidate: &Candidate) -> Verdict {
        if candidate.suppressed {
            Verdict::Cancel("the address is suppressed")
        } else if candidate.expires_at <= self.now {
            Verdict::Expire
        } else {
            Verdict::Tell
        }
    }

    /// A digest that was claimed before. It tells of what still stands, to who still listens.
    async fn take_digest(&mut self, candidate: Candidate) -> Result<Next, StoreError> {
        let bundled = self.members(sqlx::query(BUNDLED).bind(candidate.id.to_string())).await?;
        let (standing, retracted): (Vec<Member>, Vec<Member>) =
            bundled.into_iter().partition(|member| member.alert.state == AlertState::Raised);
        // Whom nobody tried to tell knows nothing.
        for member in retracted.iter().filter(|_| candidate.attempts > 0) {
            outbox::owe_retraction(self.connection, member.alert.id, member.subscription.id, self.now)
                .await?;
        }
        let why = if standing.is_empty() { RETRACTED } else { INACTIVE };
        let told: Vec<Member> =
            standing.into_iter().filter(|member| listens(&member.subscription, self.now)).collect();
        let Some(first) = told.first() else { return self.cancel(candidate.id, why).await };
        match self.judge_apart_from_its_subscription(&candidate) {
            Verdict::Cancel(why) => self.cancel(candidate.id, why).await?,
            Verdict::Expire => self.expire(candidate.id).await?,
            Verdict::Tell => {
                let quiet =
                    told.iter().filter_map(|member| quiet_until(&member.subscription, self.now)).max();
                if let Some(until) = quiet.or_else(|| self.no_room_until(&candidate)) {
                    self.put_off(&candidate, until, None).await?
                } else {
                    let to = told.iter().find(|member| member.subscription.id == candidate.subscription.id);
                    let subscription = to.unwrap_or(first).subscription.clone();
                    let alerts = told.into_iter().map(|member| member.alert).collect();
                    self.hand_out(Candidate { subscription, ..candidate }, alerts).await?
                }
            }
        };
        Ok(Next::LookAgain)
    }

    async fn cancel(&mut self, id: DeliveryId, why: &'static str) -> Result<Next, StoreError> {
        outbox::end(self.connection, id, "cancelled", Some(Why::words(why)), self.now).await?;
        self.settled += 1;
        Ok(Next::GoOn)
    }

    async fn expire(&mut self, id: DeliveryId) -> Result<Next, StoreError> {
        outbox::end(self.connection, id, "expired", Some(Why::words("not accepted in time")), self.now)
            .await?;
        self.settled += 1;
        Ok(Next::GoOn)
    }

    /// Has a delivery wait, and keeps it worth sending for as long afterwards as if it had come to be owed then. With an
    /// alert that nobody has tried to tell wait all like it, of the subscription `only` or of the recipient.
    async fn put_off(
        &mut self,
        candidate: &Candidate,
        until: Timestamp,
        only: Option<String>,
    ) -> Result<Next, StoreError> {
        let lifetime = outbox::lifetime(candidate.kind, candidate.subscription.channel.kind());
        let expires_at = later(until, lifetime).as_microsecond();
        if candidate.kind == DeliveryKind::Alert && candidate.attempts == 0 {
            sqlx::query(HOLD)
                .bind(candidate.address_hash.clone())
                .bind(self.now.as_microsecond())
                .bind(only)
                .bind(until.as_microsecond())
                .bind(expires_at)
                .execute(&mut *self.connection)
                .await?;
        } else {
            sqlx::query(
                "update deliveries set due_at = ?, lease_until = null, expires_at = max(expires_at, ?) where id = ?",
            )
            .bind(until.as_microsecond())
            .bind(expires_at)
            .bind(candidate.id.to_string())
            .execute(&mut *self.connection)
            .await?;
        }
        self.settled += 1;
        Ok(Next::LookAgain)
    }

    /// Brings together what was held and is due; a single one is told as itself.
    async fn bundle(&mut self, candidate: Candidate) -> Result<Next, StoreError> {
        let held = sqlx::query(HELD)
            .bind(candidate.address_hash.clone())
            .bind(self.now.as_microsecond())
            .bind(bounded(MOST_BUNDLED));
        let mut members = self.members(held).await?;
        members.retain(|member| quiet_until(&member.subscription, self.now).is_none());
        let Some(first) = members.first().filter(|_| members.len() > 1) else {
            return self.hand_out(candidate, Vec::new()).await;
        };
        let id = DeliveryId::of_digest(first.id);
        let subscription = first.subscription.clone();
        let lifetime = outbox::lifetime(DeliveryKind::Digest, subscription.channel.kind());
        let digest = Candidate {
            id,
            kind: DeliveryKind::Digest,
            attempts: 0,
            claims: 0,
            created_at: self.now,
            expires_at: later(self.now, lifetime),
            held: false,
            lapsed: false,
            subscription,
            alert: None,
            ..candidate
        };
        sqlx::query(
            "insert into deliveries \
             (id, kind, subscription, channel, host, address_hash, state, created_at, expires_at, due_at) \
             values (?, 'digest', ?, ?, ?, ?, 'pending', ?, ?, ?)",
        )
        .bind(id.to_string())
        .bind(digest.subscription.id.to_string())
        .bind(digest.subscription.channel.kind().as_str())
        .bind(digest.host.clone())
        .bind(digest.address_hash.clone())
        .bind(self.now.as_microsecond())
        .bind(digest.expires_at.as_microsecond())
        .bind(self.now.as_microsecond())
        .execute(&mut *self.connection)
        .await?;
        for member in &members {
            sqlx::query(
                "update deliveries set state = 'bundled', held = 0, digest = ?, settled_at = ? where id = ?",
            )
            .bind(id.to_string())
            .bind(self.now.as_microsecond())
            .bind(member.id.to_string())
            .execute(&mut *self.connection)
            .await?;
        }
        members.sort_by_key(|member| (member.alert.start, member.alert.id));
        self.hand_out(digest, members.into_iter().map(|member| member.alert).collect()).await?;
        Ok(Next::LookAgain)
    }

    async fn members(
        &mut self,
        query: sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
    ) -> Result<Vec<Member>, StoreError> {
        query.fetch_all(&mut *self.connection).await?.iter().map(rows::member).collect()
    }

    async fn hand_out(
        &mut self,
        candidate: Candidate,
        digest: Vec<qqq_core::Alert>,
    ) -> Result<Next, StoreError> {
        let (attempt, claims) = (candidate.attempts + 1, candidate.claims + 1);
        sqlx::query(
            "update deliveries set attempts = ?, claims = ?, held = 0, lease_until = ?, subscription = ? where id = ?",
        )
        .bind(attempt)
        .bind(claims)
        .bind(self.lease_until.as_microsecond())
        .bind(candidate.subscription.id.to_string())
        .bind(candidate.id.to_string())
        .execute(&mut *self.connection)
        .await?;
        self.rooms.of_mut(candidate.subscription.channel.kind()).take(&candidate.host);
        let ledger = self.ledger(&candidate);
        ledger.under_way += 1;
        if counts(candidate.kind) && !candidate.lapsed {
            ledger.counted += 1;
        }
        self.handed.push(Delivery {
            id: candidate.id,
            kind: candidate.kind,
            subscription: candidate.subscription,
            alert: candidate.alert,
            digest,
            attempt,
            created_at: candidate.created_at,
            expires_at: candidate.expires_at,
            lease: Lease(claims),
        });
        Ok(Next::GoOn)
    }

    /// When there is room for a message in the budget of its recipient; `None` where there is some now, or where it does
    /// not count.
    fn no_room_until(&mut self, candidate: &Candidate) -> Option<Timestamp> {
        if !counts(candidate.kind) {
            return None;
        }
        let (now, budget) = (self.now, self.budget);
        let ledger = self.ledger(candidate);
        let others = ledger.counted - usize::from(candidate.lapsed);
        let window = SignedDuration::from_secs(budget.per_seconds);
        match (budget.messages.max(1) as usize).checked_sub(others).filter(|free| *free > 0) {
            // Not before what is under way has been sent for so long.
            None => Some(later(now, window)),
            Some(free) => ledger.sent.get(free - 1).map(|sent| later(*sent, window)),
        }
    }

    fn ledger(&mut self, candidate: &Candidate) -> &mut Ledger {
        self.ledgers.entry(candidate.address_hash.clone()).or_default()
    }

    /// Reads what a recipient has under way and was sent, once in a claim.
    async fn open_ledger(&mut self, candidate: &Candidate) -> Result<(), StoreError> {
        if self.ledgers.contains_key(&candidate.address_hash) {
            return Ok(());
        }
        let since = later(self.now, SignedDuration::from_secs(-self.budget.per_seconds));
        let rows = sqlx::query(LEDGER)
            .bind(candidate.address_hash.clone())
            .bind(since.as_microsecond())
            .bind(self.budget.messages.max(1))
            .fetch_all(&mut *self.connection)
            .await?;
        let mut ledger = Ledger::default();
        for row in &rows {
            let mut columns = Columns::new(row, "deliveries");
            let lease_until = columns.maybe_time()?;
            let counts: bool = columns.take()?;
            match (lease_until, columns.maybe_time()?) {
                (Some(lease_until), _) => {
                    ledger.under_way += usize::from(lease_until > self.now);
                    ledger.counted += usize::from(counts);
                }
                (None, sent) => ledger.sent.extend(sent),
            }
        }
        self.ledgers.insert(candidate.address_hash.clone(), ledger);
        Ok(())
    }
}

/// What a recipient has under way, and was sent within the window of the budget.
#[derive(Default)]
struct Ledger {
    /// Deliveries whose lease holds.
    under_way: usize,
    /// Alerts and digests with a lease, even one that ran out: they may have been sent.
    counted: usize,
    /// When alerts and digests were sent, newest first.
    sent: Vec<Timestamp>,
}

/// Texts without quotes and backslashes, as hosts are, as JSON.
fn json_list(texts: &[&str]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| format!("\"{text}\"")).collect();
    format!("[{}]", quoted.join(","))
}

/// Whether a message counts in the budget.
fn counts(kind: DeliveryKind) -> bool {
    matches!(kind, DeliveryKind::Alert | DeliveryKind::Digest)
}

/// Whether a subscription is to be told of alerts.
fn listens(subscription: &Subscription, now: Timestamp) -> bool {
    subscription.status == SubscriptionStatus::Active && !subscription.is_paused(now)
}

fn quiet_until(subscription: &Subscription, now: Timestamp) -> Option<Timestamp> {
    subscription.quiet.as_ref()?.end(now)
}
