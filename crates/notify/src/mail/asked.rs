//! What a confirmation asks about, in words: what was asked for by the same rule stands together.

use qqq_contract::sentence;
use qqq_core::subscription::{Scope, Subscription};
use qqq_core::{Metric, RuleName, SpikeRule, Symbol};
use std::collections::BTreeSet;

/// Symbols that are named of a group.
const MAX_NAMED: usize = 20;

/// What was asked for by one rule on one metric.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// `10 symbols: AAPL, ADBE, ...`, `NVDA`, `every symbol of the watchlist, ...`.
    pub(super) what: String,
    /// When is told of them.
    pub(super) promise: String,
    /// So many subscriptions.
    pub(super) subscriptions: usize,
}

/// What was asked for, in a few words for a subject: `NVDA volume`, `10 symbols`.
pub(super) fn title(asked: &[Subscription]) -> String {
    if let [one] = asked {
        return sentence::about(one.scope, one.metric);
    }
    if asked.iter().any(|one| one.scope == Scope::Watchlist) {
        return "every symbol".to_owned();
    }
    let symbols: BTreeSet<Symbol> = asked.iter().filter_map(|one| one.scope.symbol()).collect();
    match symbols.first() {
        Some(one) if symbols.len() == 1 => one.to_string(),
        _ => format!("{} symbols", symbols.len()),
    }
}

/// What was asked for, in its order, the watchlist apart from single symbols. `house`: the house rule as it
/// is now.
pub(super) fn groups(asked: &[Subscription], house: SpikeRule) -> Vec<Group> {
    let mut groups: Vec<((Metric, RuleName, bool), Vec<Scope>)> = Vec::new();
    for one in asked {
        let key = (one.metric, one.rule, one.scope == Scope::Watchlist);
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, scopes)) => scopes.push(one.scope),
            None => groups.push((key, vec![one.scope])),
        }
    }
    let group = |((metric, rule, _), scopes): ((Metric, RuleName, bool), Vec<Scope>)| {
        let rule = rule.rule(house);
        let (what, promise) = match scopes[..] {
            [Scope::Watchlist, ..] => {
                let what = "every symbol of the watchlist, also what is added to it later".to_owned();
                (what, sentence::promise(&rule, Scope::Watchlist, metric))
            }
            [one] => (one.to_string(), sentence::promise(&rule, one, metric)),
            _ => (several(&scopes), sentence::promise_of_several(&rule, metric)),
        };
        Group { what, promise, subscriptions: scopes.len() }
    };
    groups.into_iter().map(group).collect()
}

/// `10 symbols: AAPL, ADBE, ...`.
fn several(scopes: &[Scope]) -> String {
    let (named, others) = scopes.split_at(scopes.len().min(MAX_NAMED));
    let names: Vec<&str> = named.iter().map(Scope::as_str).collect();
    let more = match others.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{} symbols: {}{more}", scopes.len(), names.join(", "))
}
