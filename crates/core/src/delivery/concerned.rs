//! Who is told of a new alert, of those it concerns.

use super::Recipient;
use crate::Channel;
use crate::subscription::{Scope, SubscriptionId};
use jiff::Timestamp;
use std::collections::HashSet;

/// A subscription that an alert concerns: it is active, by the alert's rule and metric, its scope covers the
/// symbol, and it is told of the alert's minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concerned {
    /// Which.
    pub subscription: SubscriptionId,
    /// Where its messages go.
    pub channel: Channel,
    /// Whose it is.
    pub recipient: Recipient,
    /// What it is about.
    pub scope: Scope,
    /// Until when it is paused.
    pub paused_until: Option<Timestamp>,
}

/// Who is told at `now`: each recipient once. For a symbol that a recipient has a subscription of its own to,
/// that one decides in the place of one to the watchlist, also while it is paused.
pub fn told(mut concerned: Vec<Concerned>, now: Timestamp) -> Vec<Concerned> {
    let has_its_own: HashSet<Recipient> =
        concerned.iter().filter(|one| one.scope != Scope::Watchlist).map(|one| one.recipient).collect();
    concerned.retain(|one| {
        let decides = one.scope != Scope::Watchlist || !has_its_own.contains(&one.recipient);
        decides && one.paused_until.is_none_or(|until| until <= now)
    });
    concerned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_738_270_800 + seconds).unwrap()
    }

    fn concerned(n: u8, email: &str, scope: &str, paused_until: Option<i64>) -> Concerned {
        let channel = Channel::Email(email.parse().unwrap());
        Concerned {
            subscription: SubscriptionId::from_random([n; 16]),
            recipient: Recipient::of(&channel),
            channel,
            scope: scope.parse().unwrap(),
            paused_until: paused_until.map(at),
        }
    }

    #[test]
    fn each_recipient_is_told_once_by_the_narrower_subscription() {
        let (ada, bob) = ("ada@example.com", "bob@example.com");
        for (given, expected) in [
            (vec![(1, ada, "*", None), (2, ada, "TSLA", None), (3, bob, "*", None)], vec![2, 3]),
            (vec![(1, ada, "TSLA", None), (2, ada, "*", None)], vec![1]),
            // What is paused for one symbol is not told after all because of all the others.
            (vec![(1, ada, "*", None), (2, ada, "TSLA", Some(60))], vec![]),
            (vec![(1, ada, "*", Some(60)), (2, ada, "TSLA", None)], vec![2]),
            (vec![(1, ada, "*", Some(60)), (2, bob, "*", Some(0))], vec![2]),
            (vec![], vec![]),
        ] {
            let all = given.iter().map(|&(n, email, scope, paused)| concerned(n, email, scope, paused));
            let told: Vec<_> = told(all.collect(), at(0)).iter().map(|one| one.subscription).collect();
            let expected: Vec<_> = expected.iter().map(|&n| SubscriptionId::from_random([n; 16])).collect();
            assert_eq!(told, expected, "{given:?}");
        }
    }
}
