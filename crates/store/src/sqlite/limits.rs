//! What is in force, as limits count it.

use super::rows::Columns;
use super::sql::json_list;
use crate::{SignUp, StoreError};
use qqq_core::subscription::limits::{InForce, LimitExceeded, SubscriptionLimits, Wish};
use qqq_core::subscription::{Scope, SubscriptionId};
use qqq_core::{Metric, RuleName};
use sqlx::SqliteConnection;

/// What a receiver holds.
pub(super) const HELD: &str = "select symbol, metric, rule from subscriptions \
     where address = ?1 and status = 'active' and id <> ?2";

/// How many rules are judged for subscribers other than one, on single symbols and on the watchlist; whether
/// a wish's is judged on the watchlist, and on how many of the symbols it names (a JSON list, or all there
/// are where it names the watchlist). The house's are nobody's own: they come as a JSON list of metric and
/// rule.
pub(super) const IN_FORCE: &str = "with judged as materialized (\
     select distinct symbol, metric, rule from subscriptions indexed by subscriptions_watched \
     where status = 'active' and own_rule = 1 and id <> ?1 \
     and metric || ' ' || rule not in (select value from json_each(?4))), \
     on_watchlist as materialized (select metric, rule from judged where symbol = '*') \
     select count(*) filter (where symbol <> '*' and (metric, rule) not in (select * from on_watchlist)), \
     count(*) filter (where symbol = '*'), \
     count(*) filter (where symbol = '*' and (metric, rule) = (?2, ?3)) > 0, \
     count(*) filter (where symbol <> '*' and (metric, rule) = (?2, ?3) \
     and (symbol in (select value from json_each(?5)) or '*' in (select value from json_each(?5)))) \
     from judged";

/// Whether what is to become active would stay within the limits.
pub(super) async fn admit(
    connection: &mut SqliteConnection,
    limits: &SubscriptionLimits,
    address: &str,
    id: SubscriptionId,
    wish: Wish,
) -> Result<Result<(), LimitExceeded>, StoreError> {
    let held = held(connection, address, id).await?;
    let in_force = in_force(connection, limits, id, &[wish.0], wish.1, wish.2).await?;
    Ok(limits.admit(wish, &held, in_force))
}

/// Whether what is active may change its rule.
pub(super) async fn admit_change(
    connection: &mut SqliteConnection,
    limits: &SubscriptionLimits,
    address: &str,
    id: SubscriptionId,
    wish: Wish,
) -> Result<Result<(), LimitExceeded>, StoreError> {
    let held = held(connection, address, id).await?;
    let in_force = in_force(connection, limits, id, &[wish.0], wish.1, wish.2).await?;
    Ok(limits.admit_change(wish, &held, in_force))
}

/// Refuses a request that could not come into force now, whoever asks: by its rules alone.
pub(super) async fn admit_request(
    connection: &mut SqliteConnection,
    limits: &SubscriptionLimits,
    request: &[SignUp],
) -> Result<(), StoreError> {
    let scopes: Vec<Scope> = request.iter().map(|one| one.scope).collect();
    limits.admit_request(&scopes)?;
    for same in request.chunk_by(|one, next| (one.metric, one.rule) == (next.metric, next.rule)) {
        let [SignUp { id, metric, rule, .. }, ..] = same else { continue };
        let scopes: Vec<Scope> = same.iter().map(|one| one.scope).collect();
        let in_force = in_force(connection, limits, *id, &scopes, *metric, *rule).await?;
        limits.admit_rule(&scopes, *metric, *rule, in_force)?;
    }
    Ok(())
}

/// What a receiver holds but for one subscription.
async fn held(
    connection: &mut SqliteConnection,
    address: &str,
    but_for: SubscriptionId,
) -> Result<Vec<Wish>, StoreError> {
    let rows =
        sqlx::query(HELD).bind(address.to_owned()).bind(but_for.to_string()).fetch_all(connection).await?;
    let wishes = rows.iter().map(|row| {
        let mut columns = Columns::new(row, "subscriptions");
        Ok((columns.parse()?, columns.parse()?, columns.parse()?))
    });
    wishes.collect()
}

async fn in_force(
    connection: &mut SqliteConnection,
    limits: &SubscriptionLimits,
    but_for: SubscriptionId,
    scopes: &[Scope],
    metric: Metric,
    rule: RuleName,
) -> Result<InForce, StoreError> {
    if limits.own_rule(metric, rule).is_none() {
        return Ok(InForce::default());
    }
    // A rule's text holds nothing that JSON would escape.
    let house: Vec<String> = limits.house.iter().map(|watch| format!("\"{watch}\"")).collect();
    let row = sqlx::query(IN_FORCE)
        .bind(but_for.to_string())
        .bind(metric.as_str())
        .bind(rule.to_string())
        .bind(format!("[{}]", house.join(",")))
        .bind(json_list(scopes))
        .fetch_one(connection)
        .await?;
    let mut columns = Columns::new(&row, "subscriptions");
    Ok(InForce {
        on_symbols: columns.take()?,
        on_watchlist: columns.take()?,
        wished_on_watchlist: columns.take()?,
        wished_on_symbols: columns.take()?,
    })
}
