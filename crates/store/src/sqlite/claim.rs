//! Claiming: loads what is due and what decides about it, and applies what the policy (`qqq_core::delivery`)
//! decides.

use super::apply::apply;
use super::confirmations::asked_with;
use super::rows::{self, Columns, alert_columns, subscription_columns};
use super::sql::{bounded, json_list};
use crate::StoreError;
use jiff::Timestamp;
use qqq_core::delivery::places::Rooms;
use qqq_core::delivery::{
    Budget, Claim, Delivery, DueDelivery, MOST_BUNDLED, MOST_UNDER_WAY, Member, Needs, Recipient,
    RecipientState, Wanted,
};
use qqq_core::subscription::channel::Carrier;
use sqlx::SqliteConnection;

/// What is due over a channel, of recipients and to hosts that have room for more under way, oldest first:
/// all hosts but those listed, or those alone. The inner query reads the index alone and passes quickly over
/// the queue of who has none. The planner would rather read and sort all that is pending.
pub(super) const CANDIDATES: &str = concat!(
    "select d.id, d.kind, d.attempts, d.claims, d.created_at, d.expires_at, d.deferred, \
     d.lease_until is not null, d.host, d.address_hash, \
     (select x.created_at from suppressions x where x.address_hash = d.address_hash), ",
    subscription_columns!(),
    ", a.id is not null, ",
    alert_columns!(),
    " from (select id from deliveries indexed by deliveries_due \
     where state = 'pending' and channel = ?4 and coalesce(lease_until, due_at) <= ?1 \
     and (host in (select value from json_each(?5))) <> ?6 \
     and address_hash not in (select address_hash from deliveries indexed by deliveries_under_way \
     where lease_until > ?1 group by address_hash having count(*) >= ?2) \
     order by coalesce(lease_until, due_at), id limit ?3) c \
     join deliveries d on d.id = c.id join subscriptions s on s.id = d.subscription \
     left join alerts a on a.id = d.alert order by coalesce(d.lease_until, d.due_at), d.id"
);

/// What a recipient has under way, and when the last messages of some kinds were sent, newest first.
pub(super) const LEDGER: &str = "select lease_until, kind, null \
     from deliveries indexed by deliveries_under_way where address_hash = ?1 and lease_until is not null \
     union all \
     select * from (select null, null, settled_at from deliveries indexed by deliveries_answered \
     where address_hash = ?1 and settled_at > ?2 and state in ('sent', 'failed') and state = 'sent' \
     and kind in (select value from json_each(?4)) order by settled_at desc limit ?3)";

/// Deferred alerts of a recipient that are due and not expired.
pub(super) const DEFERRED: &str = concat!(
    "select d.id, ",
    subscription_columns!(),
    ", ",
    alert_columns!(),
    " from deliveries d indexed by deliveries_by_recipient \
     join subscriptions s on s.id = d.subscription join alerts a on a.id = d.alert \
     where d.address_hash = ?1 and d.state = 'pending' and d.deferred = 1 \
     and d.due_at <= ?2 and d.expires_at > ?2 \
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
    let mut claim = Claim::new(now, lease_until, rooms, budget);
    for carrier in Carrier::ALL {
        while let Some(wanted) = claim.wanted(carrier) {
            let due = due(connection, carrier, &wanted, now).await?;
            if due.is_empty() {
                break;
            }
            for one in &due {
                if !claim.knows(&one.recipient) {
                    let state = recipient_state(connection, &one.recipient, now, budget).await?;
                    claim.meet(one.recipient, state);
                }
                let others = others(connection, claim.needs(one), one, now).await?;
                let planned = claim.plan(one, others);
                apply(connection, &planned.transitions, now).await?;
                if planned.look_again {
                    break;
                }
            }
        }
    }
    Ok(claim.into_handed())
}

async fn due(
    connection: &mut SqliteConnection,
    carrier: Carrier,
    wanted: &Wanted<'_>,
    now: Timestamp,
) -> Result<Vec<DueDelivery>, StoreError> {
    let mut due: Vec<DueDelivery> = sqlx::query(CANDIDATES)
        .bind(now.as_microsecond())
        .bind(bounded(MOST_UNDER_WAY))
        .bind(bounded(wanted.limit))
        .bind(carrier.as_str())
        .bind(json_list(&wanted.hosts.listed))
        .bind(wanted.hosts.all_but)
        .fetch_all(&mut *connection)
        .await?
        .iter()
        .map(rows::due_delivery)
        .collect::<Result<_, _>>()?;
    for one in due.iter_mut().filter(|one| one.asks_for_all()) {
        one.asked = asked_with(connection, &one.subscription, now).await?;
    }
    Ok(due)
}

async fn recipient_state(
    connection: &mut SqliteConnection,
    recipient: &Recipient,
    now: Timestamp,
    budget: Budget,
) -> Result<RecipientState, StoreError> {
    let rows = sqlx::query(LEDGER)
        .bind(recipient.0.to_vec())
        .bind(budget.since(now).as_microsecond())
        .bind(bounded(budget.messages()))
        .bind(json_list(&Budget::COUNTED))
        .fetch_all(connection)
        .await?;
    let (mut leases, mut sent) = (Vec::new(), Vec::new());
    for row in &rows {
        let mut columns = Columns::new(row, "deliveries");
        let (lease_until, kind) = (columns.maybe_time()?, columns.maybe()?);
        leases.extend(kind.zip(lease_until));
        sent.extend(columns.maybe_time()?);
    }
    Ok(RecipientState::new(leases, sent, now))
}

async fn others(
    connection: &mut SqliteConnection,
    needs: Needs,
    due: &DueDelivery,
    now: Timestamp,
) -> Result<Vec<Member>, StoreError> {
    let query = match needs {
        Needs::Nothing => return Ok(Vec::new()),
        Needs::Members => sqlx::query(BUNDLED).bind(due.id.to_string()),
        Needs::Deferred => sqlx::query(DEFERRED)
            .bind(due.recipient.0.to_vec())
            .bind(now.as_microsecond())
            .bind(bounded(MOST_BUNDLED)),
    };
    query.fetch_all(connection).await?.iter().map(rows::member).collect()
}
