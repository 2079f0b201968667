//! How much of a tracker one receiver, and all of them together, may take up.
//!
//! A rule in force is judged at every bar, and what it raises is written: that is what all share. So all
//! receivers together are counted by what is judged, a rule on a metric of a symbol, however many subscribe
//! to it; on the watchlist it is judged as often as that has symbols. A receiver is counted by what a person
//! keeps in mind: its subscriptions, and the different rules they are by.

use crate::Metric;
use crate::alert::detector::Watch;
use crate::market::watchlist::DEFAULT_SYMBOLS;
use crate::rule::{Rule, RuleName};
use crate::subscription::Scope;
use std::collections::HashSet;
use std::fmt;

/// What may be in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionLimits {
    /// Active subscriptions of one receiver.
    pub per_receiver: u32,
    /// Different rules of its own among these.
    pub rules_per_receiver: u32,
    /// Own rules over all receivers, each counted once for every metric of a symbol it is judged on.
    pub rules: u32,
    /// Rules the operator has judged: they are nobody's own.
    pub house: Vec<Watch>,
    /// How many symbols the watchlist has.
    pub watchlist: u32,
}

impl Default for SubscriptionLimits {
    fn default() -> Self {
        Self {
            per_receiver: 200,
            rules_per_receiver: 20,
            rules: 2_000,
            house: Vec::new(),
            watchlist: DEFAULT_SYMBOLS.len() as u32,
        }
    }
}

/// What a receiver's active subscription is about.
pub type Wish = (Scope, Metric, RuleName);

/// What is in force already, over all receivers. Each rule counts once for every metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InForce {
    /// Own rules on single symbols, once for each, but for those that are on the watchlist too.
    pub on_symbols: u64,
    /// Own rules on the watchlist.
    pub on_watchlist: u64,
    /// Whether the rule that is wished is on the watchlist.
    pub wished_on_watchlist: bool,
    /// On how many of the symbols it is wished for that rule is; of all, where it is wished for the
    /// watchlist.
    pub wished_on_symbols: u64,
}

impl SubscriptionLimits {
    /// The rule of somebody's own that a wish is by, if it is by one.
    pub fn own_rule(&self, metric: Metric, rule: RuleName) -> Option<Rule> {
        match rule {
            RuleName::House => None,
            RuleName::Own(rule) => (!self.house.contains(&Watch { rule, metric })).then_some(rule),
        }
    }

    /// Whether a wish of a receiver that holds `held` (without the wish itself) may come into force.
    pub fn admit(&self, wish: Wish, held: &[Wish], in_force: InForce) -> Result<(), LimitExceeded> {
        if held.len() >= self.per_receiver as usize {
            return Err(LimitExceeded::PerReceiver(self.per_receiver));
        }
        self.admit_change(wish, held, in_force)
    }

    /// The same where the wish takes the place of one that is in force already: there come to be no more of
    /// them.
    pub fn admit_change(&self, wish: Wish, held: &[Wish], in_force: InForce) -> Result<(), LimitExceeded> {
        let (scope, metric, rule) = wish;
        let Some(own) = self.own_rule(metric, rule) else { return Ok(()) };
        let rules: HashSet<Rule> =
            held.iter().filter_map(|&(_, metric, rule)| self.own_rule(metric, rule)).collect();
        if !rules.contains(&own) && rules.len() >= self.rules_per_receiver as usize {
            return Err(LimitExceeded::RulesPerReceiver(self.rules_per_receiver));
        }
        self.admit_rule(&[scope], metric, rule, in_force)
    }

    /// Whether a rule may come into force on all of `scopes`, whoever's it is.
    pub fn admit_rule(
        &self,
        scopes: &[Scope],
        metric: Metric,
        rule: RuleName,
        in_force: InForce,
    ) -> Result<(), LimitExceeded> {
        let more = match self.own_rule(metric, rule) {
            Some(_) => self.more(scopes, in_force),
            None => 0,
        };
        let judged = in_force.on_symbols + in_force.on_watchlist * u64::from(self.watchlist);
        if more > 0 && judged + more > u64::from(self.rules) {
            return Err(LimitExceeded::Rules(self.rules));
        }
        Ok(())
    }

    /// Whether so much may be asked for at once, whoever asks.
    pub fn admit_request(&self, scopes: &[Scope]) -> Result<(), LimitExceeded> {
        if scopes.len() > self.per_receiver as usize {
            return Err(LimitExceeded::PerReceiver(self.per_receiver));
        }
        Ok(())
    }

    /// How many more rules are judged once a rule is in force on `scopes`.
    fn more(&self, scopes: &[Scope], in_force: InForce) -> u64 {
        let asked = match scopes {
            _ if in_force.wished_on_watchlist => 0,
            scopes if scopes.contains(&Scope::Watchlist) => u64::from(self.watchlist),
            symbols => symbols.len() as u64,
        };
        asked.saturating_sub(in_force.wished_on_symbols)
    }
}

/// What there is too much of, and how much is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitExceeded {
    /// Subscriptions of one receiver.
    PerReceiver(u32),
    /// Own rules of one receiver.
    RulesPerReceiver(u32),
    /// Own rules over all receivers.
    Rules(u32),
}

impl LimitExceeded {
    /// The setting that says how much is allowed.
    pub const fn setting(self) -> &'static str {
        match self {
            Self::PerReceiver(_) => "subscriptions.max_per_receiver",
            Self::RulesPerReceiver(_) => "subscriptions.max_rules_per_receiver",
            Self::Rules(_) => "subscriptions.max_rules",
        }
    }
}

impl std::error::Error for LimitExceeded {}

impl fmt::Display for LimitExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let setting = self.setting();
        match self {
            Self::PerReceiver(most) => {
                write!(f, "one receiver may have {most} active subscriptions ({setting}): end one first")
            }
            Self::RulesPerReceiver(most) => write!(
                f,
                "one receiver may have {most} different rules of its own ({setting}): \
                 end one first, or take a rule it has"
            ),
            Self::Rules(most) => write!(
                f,
                "this tracker judges at most {most} rules of subscribers' own ({setting}): \
                 `spike` is always free"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol(n: usize) -> Scope {
        format!("S{n}").parse().unwrap()
    }

    fn own(n: usize) -> RuleName {
        format!("spike ratio={}", n + 2).parse().unwrap()
    }

    fn limits() -> SubscriptionLimits {
        SubscriptionLimits {
            per_receiver: 6,
            rules_per_receiver: 2,
            rules: 4,
            watchlist: 3,
            ..SubscriptionLimits::default()
        }
    }

    const VOLUME: Metric = Metric::Volume;

    fn free() -> InForce {
        InForce::default()
    }

    #[test]
    fn a_receiver_has_so_many_subscriptions_whatever_their_rules() {
        let held: Vec<Wish> = (0..6).map(|n| (symbol(n), VOLUME, RuleName::House)).collect();
        for rule in [RuleName::House, own(0)] {
            let wish = (symbol(9), VOLUME, rule);
            assert_eq!(limits().admit(wish, &held[..5], free()), Ok(()));
            assert_eq!(limits().admit(wish, &held, free()), Err(LimitExceeded::PerReceiver(6)));
            assert_eq!(limits().admit_change(wish, &held, free()), Ok(()));
        }
    }

    #[test]
    fn a_receiver_has_so_many_rules_on_as_many_symbols_as_it_likes() {
        let held = [(symbol(0), VOLUME, own(0)), (symbol(1), VOLUME, own(0)), (symbol(0), VOLUME, own(1))];
        let wish = |n, rule| limits().admit((symbol(n), VOLUME, rule), &held, free());
        assert_eq!(wish(5, own(1)), Ok(()), "one it has");
        assert_eq!(wish(5, RuleName::House), Ok(()), "the house's is nobody's own");
        assert_eq!(wish(5, own(2)), Err(LimitExceeded::RulesPerReceiver(2)));
        assert_eq!(limits().admit((symbol(5), VOLUME, own(2)), &held[..2], free()), Ok(()));
    }

    #[test]
    fn so_many_rules_are_in_force_and_one_that_is_already_costs_nothing() {
        for (on_symbols, wished_on_symbols, expected) in [
            (3, 0, Ok(())),
            (4, 0, Err(LimitExceeded::Rules(4))),
            (4, 1, Ok(())),
            (9, 1, Ok(())),
            (9, 0, Err(LimitExceeded::Rules(4))),
        ] {
            let in_force = InForce { on_symbols, wished_on_symbols, ..free() };
            assert_eq!(limits().admit((symbol(0), VOLUME, own(0)), &[], in_force), expected);
            assert_eq!(limits().admit_rule(&[symbol(0)], VOLUME, own(0), in_force), expected);
            assert_eq!(limits().admit_rule(&[symbol(0)], VOLUME, RuleName::House, in_force), Ok(()));
        }
    }

    #[test]
    fn on_the_watchlist_a_rule_counts_once_for_each_of_its_symbols() {
        let all = [Scope::Watchlist];
        let two = [symbol(0), symbol(1)];
        let beyond = Err(LimitExceeded::Rules(4));
        let on_symbols = |on_symbols, wished_on_symbols| InForce { on_symbols, wished_on_symbols, ..free() };
        for (scopes, in_force, expected) in [
            (&all[..], free(), Ok(())),
            (&all, on_symbols(1, 0), Ok(())),
            (&all, on_symbols(2, 0), beyond),
            // One of them is judged already.
            (&all, on_symbols(2, 1), Ok(())),
            (&two, on_symbols(2, 0), Ok(())),
            (&two, on_symbols(3, 0), beyond),
            (&two, on_symbols(3, 1), Ok(())),
            // Another's takes three places.
            (&two[..1], InForce { on_watchlist: 1, ..free() }, Ok(())),
            (&two, InForce { on_watchlist: 1, ..free() }, beyond),
            // The same one costs nothing more.
            (&two, InForce { on_watchlist: 2, wished_on_watchlist: true, ..free() }, Ok(())),
            (&all, InForce { on_watchlist: 2, wished_on_watchlist: true, ..free() }, Ok(())),
        ] {
            let admitted = limits().admit_rule(scopes, VOLUME, own(0), in_force);
            assert_eq!(admitted, expected, "{scopes:?} {in_force:?}");
            assert_eq!(limits().admit_rule(scopes, VOLUME, RuleName::House, in_force), Ok(()));
        }
    }

    #[test]
    fn the_watchlist_is_one_subscription_and_no_request_asks_for_more_than_a_receiver_may_have() {
        let held = vec![(Scope::Watchlist, VOLUME, RuleName::House); 5];
        let wish = (symbol(0), VOLUME, RuleName::House);
        assert_eq!(limits().admit(wish, &held, free()), Ok(()));
        let asked: Vec<Scope> = (0..7).map(symbol).collect();
        assert_eq!(limits().admit_request(&asked[..6]), Ok(()));
        assert_eq!(limits().admit_request(&asked), Err(LimitExceeded::PerReceiver(6)));
    }

    #[test]
    fn a_rule_of_the_houses_is_nobodys_own_on_the_metric_it_is_judged_on() {
        let RuleName::Own(rule) = own(0) else { panic!("not an own rule") };
        let none = SubscriptionLimits { rules: 0, rules_per_receiver: 0, ..limits() };
        let limits = SubscriptionLimits { house: vec![Watch { rule, metric: VOLUME }], ..none };
        assert_eq!(limits.admit((symbol(0), VOLUME, own(0)), &[], free()), Ok(()));
        let on_price = (symbol(0), Metric::Price, own(0));
        assert_eq!(limits.admit(on_price, &[], free()), Err(LimitExceeded::RulesPerReceiver(0)));
    }
}
