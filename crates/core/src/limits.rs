//! How much of a tracker one receiver, and all of them together, may take up.
//!
//! A rule in force is judged at every bar, and what it raises is written: that is what all share. So all receivers
//! together are counted by what is judged, a rule on a metric of a symbol, however many subscribe to it. A receiver is
//! counted by what a person keeps in mind: its subscriptions, and the different rules they are by.

use crate::detector::Watch;
use crate::rule::{Rule, RuleName};
use crate::{Metric, Symbol};
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
}

impl Default for SubscriptionLimits {
    fn default() -> Self {
        Self { per_receiver: 200, rules_per_receiver: 20, rules: 2_000, house: Vec::new() }
    }
}

/// What a receiver's active subscription is about.
pub type Wish = (Symbol, Metric, RuleName);

/// What is in force already, over all receivers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InForce {
    /// Own rules, counted as [`SubscriptionLimits::rules`] does.
    pub rules: u64,
    /// Whether the wish's own is among them.
    pub wished: bool,
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

    /// The same where the wish takes the place of one that is in force already: there come to be no more of them.
    pub fn admit_change(&self, wish: Wish, held: &[Wish], in_force: InForce) -> Result<(), LimitExceeded> {
        let (_, metric, rule) = wish;
        let Some(own) = self.own_rule(metric, rule) else { return Ok(()) };
        let rules: HashSet<Rule> =
            held.iter().filter_map(|&(_, metric, rule)| self.own_rule(metric, rule)).collect();
        if !rules.contains(&own) && rules.len() >= self.rules_per_receiver as usize {
            return Err(LimitExceeded::RulesPerReceiver(self.rules_per_receiver));
        }
        self.admit_rule(metric, rule, in_force)
    }

    /// Whether a rule may come into force, whoever's it is.
    pub fn admit_rule(&self, metric: Metric, rule: RuleName, in_force: InForce) -> Result<(), LimitExceeded> {
        match self.own_rule(metric, rule) {
            Some(_) if !in_force.wished && in_force.rules >= u64::from(self.rules) => {
                Err(LimitExceeded::Rules(self.rules))
            }
            _ => Ok(()),
        }
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
                "one receiver may have {most} different rules of its own ({setting}): end one first, or take a rule it has"
            ),
            Self::Rules(most) => write!(
                f,
                "this tracker judges at most {most} rules of subscribers' own ({setting}): `spike` is always free"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol(n: usize) -> Symbol {
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
        for (rules, wished, expected) in [
            (3, false, Ok(())),
            (4, false, Err(LimitExceeded::Rules(4))),
            (4, true, Ok(())),
            (9, true, Ok(())),
            (9, false, Err(LimitExceeded::Rules(4))),
        ] {
            let in_force = InForce { rules, wished };
            assert_eq!(limits().admit((symbol(0), VOLUME, own(0)), &[], in_force), expected);
            assert_eq!(limits().admit_rule(VOLUME, own(0), in_force), expected);
            assert_eq!(limits().admit_rule(VOLUME, RuleName::House, in_force), Ok(()));
        }
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
