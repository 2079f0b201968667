//! Which rules are judged beside the house rule: the operator's on every symbol, and those that subscribers
//! ask for, each on its own.

use crate::retry_while_busy;
use qqq_core::alert::detector::Watch;
use qqq_core::subscription::Scope;
use qqq_core::{SpikeRule, Visibility, Watchlist};
use qqq_store::{Store, StoreError};
use std::collections::HashSet;

/// What the operator has judged.
#[derive(Clone, Debug, Default)]
pub struct HouseRules {
    /// The house rule: both metrics of every symbol.
    pub spike: SpikeRule,
    /// Further rules, on every symbol.
    pub also: Vec<Watch>,
}

impl From<SpikeRule> for HouseRules {
    fn from(spike: SpikeRule) -> Self {
        Self { spike, also: Vec::new() }
    }
}

/// The further rules in force, by symbol.
pub(super) struct ActiveRules {
    of_all: Vec<Watch>,
    version: Option<u64>,
    in_force: HashSet<(usize, Watch)>,
}

/// What changed.
#[derive(Debug, Default)]
pub(super) struct Change {
    pub(super) added: Vec<(usize, Watch)>,
    pub(super) removed: Vec<(usize, Watch)>,
}

impl ActiveRules {
    pub(super) fn new(of_all: Vec<Watch>) -> Self {
        Self { of_all, version: None, in_force: HashSet::new() }
    }

    /// The rules in force, by symbol.
    pub(super) fn in_force(&self) -> impl Iterator<Item = (usize, Watch)> {
        self.in_force.iter().copied()
    }

    /// Who may read the alerts of a rule: everybody, where the operator has it judged.
    pub(super) fn visibility(&self, watch: Watch) -> Visibility {
        if self.of_all.contains(&watch) { Visibility::Public } else { Visibility::Private }
    }

    /// Asks the store whether subscribers want other rules than before. Cheap where they do not.
    pub(super) async fn ask(
        &mut self,
        store: &dyn Store,
        watchlist: &Watchlist,
    ) -> Result<Change, StoreError> {
        if self.version.is_some() && self.version == Some(retry_while_busy(|| store.watch_version()).await?) {
            return Ok(Change::default());
        }
        let watched = retry_while_busy(|| store.watched()).await?;
        let of_all = (0..watchlist.symbols().len())
            .flat_map(|symbol| self.of_all.iter().map(move |&watch| (symbol, watch)));
        let of_subscribers = watched.watches.into_iter().flat_map(|(scope, metric, rule)| {
            let symbols = match scope {
                Scope::Symbol(symbol) => watchlist.id(symbol).map_or(0..0, |id| id..id + 1),
                Scope::Watchlist => 0..watchlist.symbols().len(),
            };
            symbols.map(move |symbol| (symbol, Watch { rule, metric }))
        });
        let wanted: HashSet<(usize, Watch)> = of_all.chain(of_subscribers).collect();
        let mut change = Change {
            added: wanted.difference(&self.in_force).copied().collect(),
            removed: self.in_force.difference(&wanted).copied().collect(),
        };
        // In an order that does not change from run to run.
        change.added.sort_by_cached_key(|(symbol, watch)| (*symbol, watch.to_string()));
        self.in_force = wanted;
        self.version = Some(watched.version);
        Ok(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use qqq_core::Channel;
    use qqq_core::subscription::SubscriptionId;
    use qqq_core::subscription::token::TokenKey;
    use qqq_store::{SignUp, SignUpLimits};
    use std::slice;

    #[tokio::test]
    async fn a_rule_on_the_watchlist_is_judged_on_every_symbol_also_on_those_added_later() {
        let folder = tempfile::tempdir().unwrap();
        let store = qqq_store::open(&format!("sqlite://{}/store.db", folder.path().display())).await.unwrap();
        for (n, scope) in [(1, "*"), (2, "MSFT"), (3, "GONE")] {
            let id = SubscriptionId::from_random([n; 16]);
            let sign_up = SignUp {
                id,
                channel: Channel::Email(format!("s{n}@example.com").parse().unwrap()),
                scope: scope.parse().unwrap(),
                metric: qqq_core::Metric::Volume,
                rule: "spike ratio=4".parse().unwrap(),
                quiet: None,
                nonce: [n; 16],
                hashes: TokenKey::new([1; 32]).hashes(id, &[n; 16]),
                confirm: false,
            };
            let now = Timestamp::UNIX_EPOCH;
            store.subscribe(slice::from_ref(&sign_up), SignUpLimits::default(), now).await.unwrap();
        }
        for symbols in [vec!["AAPL", "MSFT"], vec!["AAPL", "MSFT", "NVDA", "TSLA"]] {
            let watchlist = Watchlist::new(symbols.iter().map(|name| name.parse().unwrap()), []).unwrap();
            let mut rules = ActiveRules::new(Vec::new());
            let change = rules.ask(&*store, &watchlist).await.unwrap();
            let judged: Vec<usize> = change.added.iter().map(|(symbol, _)| *symbol).collect();
            assert_eq!(judged, (0..symbols.len()).collect::<Vec<_>>(), "each once");
            assert!(rules.ask(&*store, &watchlist).await.unwrap().added.is_empty());
        }
    }
}
