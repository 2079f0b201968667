//! Which of several feeds runs: pure, time comes in as data.
//!
//! ```text
//! the running feed fails for `after`, and another is well    -> that other one runs, the first in order
//! a feed before the running one has been well for `back`     -> it runs again
//! ```
//!
//! Two times keep it from flapping: a feed must fail for a while to lose its place, and be well for longer to
//! get it back. Where no feed is well, none takes over: an outage of the own network changes nothing.

use jiff::{SignedDuration, Timestamp};

/// How a feed is, by its latest answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It answers, and has bars while the market is open.
    Well,
    /// It fails in a way that may pass.
    Failing,
    /// It refuses: the key is wrong, or the plan does not include this.
    Refused,
}

/// What a feed shall do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedRole {
    /// Nothing.
    Idle,
    /// Say now and then whether it is well.
    Standby,
    /// Bring bars.
    Active,
}

/// How long to wait before feeds are changed.
#[derive(Clone, Copy, Debug)]
pub struct FailoverTimeouts {
    /// How long the running feed must fail.
    pub after: SignedDuration,
    /// How long a feed before it must be well.
    pub back: SignedDuration,
}

#[derive(Clone, Copy, Debug, Default)]
struct FeedHealth {
    /// The latest health, and since when it is that. A refusal after a failure does not begin anew.
    health: Option<(Health, Timestamp)>,
    was_well: bool,
}

impl FeedHealth {
    fn is_well(&self) -> bool {
        matches!(self.health, Some((Health::Well, _)))
    }
}

/// The feeds in order of preference, and which of them runs.
#[derive(Debug)]
pub struct Failover {
    patience: FailoverTimeouts,
    feeds: Vec<FeedHealth>,
    running: usize,
}

impl Failover {
    /// Of so many feeds, the first runs.
    pub fn new(feeds: usize, patience: FailoverTimeouts) -> Self {
        Self { patience, feeds: vec![FeedHealth::default(); feeds], running: 0 }
    }

    /// The feed that runs.
    pub fn running(&self) -> usize {
        self.running
    }

    /// What a feed shall do. Those before the running one are tried, so that they can come back; those behind
    /// it only while it is not well.
    pub fn duty(&self, feed: usize) -> FeedRole {
        let in_trouble =
            self.feeds.get(self.running).is_some_and(|one| one.health.is_some() && !one.is_well());
        match feed.cmp(&self.running) {
            std::cmp::Ordering::Equal => FeedRole::Active,
            std::cmp::Ordering::Less => FeedRole::Standby,
            std::cmp::Ordering::Greater if in_trouble => FeedRole::Standby,
            std::cmp::Ordering::Greater => FeedRole::Idle,
        }
    }

    /// Takes in how a feed is now. Answers the feed that runs from now on, where that changes.
    pub fn report(&mut self, feed: usize, health: Health, now: Timestamp) -> Option<usize> {
        if let Some(standing) = self.feeds.get_mut(feed) {
            standing.was_well |= health == Health::Well;
            let since = match standing.health {
                Some((known, since)) if (known == Health::Well) == (health == Health::Well) => since,
                _ => now,
            };
            standing.health = Some((health, since));
        }
        let changed = self.decide(now);
        // Who is not tried any more is not known any more.
        for feed in 0..self.feeds.len() {
            if self.duty(feed) == FeedRole::Idle {
                self.feeds[feed].health = None;
            }
        }
        changed
    }

    /// Decides again, as time has passed. Answers the feed that runs from now on, where that changes.
    pub fn decide(&mut self, now: Timestamp) -> Option<usize> {
        let next = self.to_take_back(now).or_else(|| self.to_hand_over_to(now))?;
        self.running = next;
        Some(next)
    }

    /// Whether every feed refused, and none ever was well: nothing can come of going on.
    pub fn is_hopeless(&self) -> bool {
        self.feeds
            .iter()
            .all(|standing| !standing.was_well && matches!(standing.health, Some((Health::Refused, _))))
    }

    fn to_take_back(&self, now: Timestamp) -> Option<usize> {
        (0..self.running).find(|&feed| match self.feeds[feed].health {
            Some((Health::Well, since)) => now.duration_since(since) >= self.patience.back,
            _ => false,
        })
    }

    fn to_hand_over_to(&self, now: Timestamp) -> Option<usize> {
        let standing = self.feeds.get(self.running)?;
        let is_over = match standing.health? {
            (Health::Well, _) => false,
            // Refused from the first question on: waiting would not help, and there is nothing to lose.
            (Health::Refused, _) if !standing.was_well => true,
            (_, since) => now.duration_since(since) >= self.patience.after,
        };
        let next = (0..self.feeds.len()).find(|&feed| feed != self.running && self.feeds[feed].is_well());
        next.filter(|_| is_over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Health::{Failing, Refused, Well};

    const PATIENCE: FailoverTimeouts =
        FailoverTimeouts { after: SignedDuration::from_mins(3), back: SignedDuration::from_mins(10) };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_738_000_000 + seconds).unwrap()
    }

    fn duties(failover: &Failover) -> Vec<FeedRole> {
        (0..failover.feeds.len()).map(|feed| failover.duty(feed)).collect()
    }

    #[test]
    fn a_feed_that_fails_long_enough_hands_over_to_the_first_that_is_well() {
        let mut failover = Failover::new(3, PATIENCE);
        assert_eq!(duties(&failover), [FeedRole::Active, FeedRole::Idle, FeedRole::Idle]);
        assert_eq!(failover.report(0, Well, at(0)), None);
        assert_eq!(failover.report(0, Failing, at(60)), None);
        assert_eq!(duties(&failover), [FeedRole::Active, FeedRole::Standby, FeedRole::Standby]);
        assert_eq!(failover.report(2, Well, at(61)), None);
        assert_eq!(failover.report(1, Failing, at(61)), None);
        assert_eq!(failover.report(0, Failing, at(120)), None);
        assert_eq!(failover.decide(at(239)), None);
        assert_eq!(failover.decide(at(240)), Some(2), "three minutes after the first failure");
        assert_eq!(duties(&failover), [FeedRole::Standby, FeedRole::Standby, FeedRole::Active]);
        assert_eq!(failover.report(1, Well, at(241)), None);
        assert_eq!(failover.report(2, Failing, at(300)), None);
        assert_eq!(failover.report(2, Failing, at(480)), Some(1), "the first in order that is well");
    }

    #[test]
    fn a_failure_that_passes_changes_nothing_and_the_others_rest_again() {
        let mut failover = Failover::new(2, PATIENCE);
        failover.report(0, Failing, at(0));
        failover.report(1, Well, at(1));
        assert_eq!(failover.report(0, Well, at(179)), None);
        assert_eq!(duties(&failover), [FeedRole::Active, FeedRole::Idle]);
        failover.report(0, Failing, at(200));
        assert_eq!(failover.decide(at(10_000)), None, "what was known of the other one is old");
        assert_eq!(failover.report(1, Well, at(10_001)), Some(1));
    }

    #[test]
    fn where_no_feed_is_well_none_takes_over() {
        let mut failover = Failover::new(3, PATIENCE);
        failover.report(0, Well, at(0));
        for minute in 1..1000 {
            for (feed, health) in [(0, Failing), (1, Failing), (2, Refused)] {
                assert_eq!(failover.report(feed, health, at(minute * 60)), None);
            }
        }
        assert_eq!(failover.report(1, Well, at(60_001)), Some(1));
    }

    #[test]
    fn the_preferred_feed_is_taken_back_only_after_it_has_been_well_for_long() {
        let mut failover = Failover::new(2, PATIENCE);
        failover.report(0, Failing, at(0));
        failover.report(1, Well, at(0));
        assert_eq!(failover.decide(at(180)), Some(1));
        assert_eq!(failover.report(0, Well, at(200)), None);
        assert_eq!(failover.report(0, Well, at(700)), None);
        assert_eq!(failover.report(0, Failing, at(790)), None, "not yet");
        assert_eq!(failover.report(0, Well, at(800)), None);
        assert_eq!(failover.decide(at(1399)), None);
        assert_eq!(failover.decide(at(1400)), Some(0));
        assert_eq!(duties(&failover), [FeedRole::Active, FeedRole::Idle]);
    }

    #[test]
    fn a_feed_that_comes_and_goes_changes_places_no_more_often_than_the_times_allow() {
        let mut failover = Failover::new(2, PATIENCE);
        let mut changes = Vec::new();
        for second in (0..100_000).step_by(10) {
            // Well for four minutes, failing for two, and now and then for four.
            let (round, phase) = (second / 360, second % 360);
            let failing = phase >= if round % 7 == 0 { 120 } else { 240 };
            let health = if failing { Failing } else { Well };
            let changed =
                [(0, health), (1, Well)].map(|(feed, health)| failover.report(feed, health, at(second)));
            changes.extend(changed.into_iter().flatten().map(|feed| (second, feed)));
        }
        assert_eq!(changes.iter().map(|&(_, feed)| feed).collect::<Vec<_>>(), [1], "{changes:?}");
    }

    #[test]
    fn a_refusal_at_the_start_does_not_wait_and_one_of_all_is_hopeless() {
        let mut failover = Failover::new(2, PATIENCE);
        failover.report(0, Refused, at(0));
        assert!(!failover.is_hopeless());
        assert_eq!(failover.report(1, Well, at(1)), Some(1));

        let mut failover = Failover::new(2, PATIENCE);
        failover.report(0, Refused, at(0));
        failover.report(1, Failing, at(1));
        assert!(!failover.is_hopeless(), "the other one may come");
        failover.report(1, Refused, at(2));
        assert!(failover.is_hopeless());

        let mut failover = Failover::new(1, PATIENCE);
        failover.report(0, Well, at(0));
        failover.report(0, Refused, at(1));
        assert!(!failover.is_hopeless(), "it was well before: time may mend it");
    }

    #[test]
    fn a_refusal_after_good_days_waits_as_any_failure() {
        let mut failover = Failover::new(2, PATIENCE);
        failover.report(0, Well, at(0));
        failover.report(0, Failing, at(100));
        failover.report(1, Well, at(101));
        assert_eq!(failover.report(0, Refused, at(200)), None);
        assert_eq!(failover.decide(at(280)), Some(1), "since the first failure");
    }

    #[test]
    fn a_clock_that_was_set_back_changes_nothing() {
        let mut failover = Failover::new(2, PATIENCE);
        failover.report(0, Failing, at(10_000));
        failover.report(1, Well, at(10_000));
        assert_eq!(failover.decide(at(0)), None);
    }
}
