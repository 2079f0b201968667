//! What is in force, as limits count it.

use super::rows::Columns;
use crate::StoreError;
use qqq_core::limits::{InForce, LimitExceeded, SubscriptionLimits, Wish};
use qqq_core::subscription::SubscriptionId;
use sqlx::SqliteConnection;

/// What a receiver holds.
pub(super) const HELD: &str = "select symbol, metric, rule from subscriptions \
     where address = ?1 and status = 'active' and id <> ?2";

/// How many rules are judged for subscribers other than one, and whether a wish's is among them. The house's are
/// nobody's own: they come as a JSON list of metric and rule.
pub(super) const IN_FORCE: &str = "select count(*), coalesce(max((symbol, metric, rule) = (?2, ?3, ?4)), false) \
     from (select distinct symbol, metric, rule from subscriptions indexed by subscriptions_watched \
     where status = 'active' and rule <> 'spike' and id <> ?1 \
     and metric || ' ' || rule not in (select value from json_each(?5)))";

/// Whether what is to become active, or to change its rule where it is `active`, would stay within the limits.
pub(super) async fn admit(
    connection: &mut SqliteConnection,
    limits: &SubscriptionLimits,
    address: &str,
    id: SubscriptionId,
    wish: Wish,
    active: bool,
) -> Result<Result<(), LimitExceeded>, StoreError> {
    let rows =
        sqlx::query(HELD).bind(address.to_owned()).bind(id.to_string()).fetch_all(&mut *connection).await?;
    let held = rows.iter().map(|row| {
        let mut columns = Columns::new(row, "subscriptions");
        Ok((columns.parse()?, columns.parse()?, columns.parse()?))
    });
    let held: Vec<Wish> = held.collect::<Result<_, StoreError>>()?;
    let in_force = in_force(connection, limits, id, wish).await?;
    Ok(if active { limits.admit_change(wish, &held, in_force) } else { limits.admit(wish, &held, in_force) })
}

/// Refuses a rule that could not come into force now, whoever asks for it.
pub(super) async fn admit_rule(
    connection: &mut SqliteConnection,
    limits: &SubscriptionLimits,
    id: SubscriptionId,
    wish: Wish,
) -> Result<(), StoreError> {
    let in_force = in_force(connection, limits, id, wish).await?;
    Ok(limits.admit_rule(wish.1, wish.2, in_force)?)
}

async fn in_force(
    connection: &mut SqliteConnection,
    limits: &SubscriptionLimits,
    but_for: SubscriptionId,
    (symbol, metric, rule): Wish,
) -> Result<InForce, StoreError> {
    if limits.own_rule(metric, rule).is_none() {
        return Ok(InForce::default());
    }
    // A rule's text holds nothing that JSON would escape.
    let house: Vec<String> = limits.house.iter().map(|watch| format!("\"{watch}\"")).collect();
    let row = sqlx::query(IN_FORCE)
        .bind(but_for.to_string())
        .bind(symbol.as_str().to_owned())
        .bind(metric.as_str())
        .bind(rule.to_string())
        .bind(format!("[{}]", house.join(",")))
        .fetch_one(connection)
        .await?;
    let mut columns = Columns::new(&row, "subscriptions");
    Ok(InForce { rules: columns.take()?, wished: columns.take()? })
}
