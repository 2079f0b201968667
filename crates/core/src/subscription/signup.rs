//! Sign-ups: how many may wait, and when the message that asks to confirm may go out.
//!
//! Anybody can name any address, so the messages are limited three ways: to one mailbox, to one domain, and
//! in all. What the limits hold back waits and goes out when there is room; where too much waits already, a
//! sign-up is refused and told so. Nothing that was taken is dropped.

use crate::clock::later;
use crate::subscription::mailbox::Destination;
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// So many hours' messages may wait: more than ten thousand networks sign up for at once.
const HOURS_WAITING: u32 = 100;

/// Once half of the places are taken, so many sign-ups are taken in each [`LATELY`].
const TAKEN_LATELY: u64 = 20;

/// The time in which sign-ups count as "lately".
const LATELY: SignedDuration = SignedDuration::from_secs(10);

/// How long a refused client is to wait for a place, at least.
const WAIT_FOR_A_PLACE: SignedDuration = SignedDuration::from_secs(60);

/// How many messages that ask to confirm may go out.
///
/// Of an hour's messages half may go out at once; the rest follows evenly. So a flood of sign-ups leaves
/// something for who comes after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignUpLimits {
    /// Seconds between two messages to one mailbox or endpoint.
    pub address_gap_seconds: i64,
    /// Messages to one mailbox or endpoint in 24 hours.
    pub address_per_day: u32,
    /// Messages to one domain in one hour.
    pub domain_per_hour: u32,
    /// The same to all domains of a provider at which the public has its mailboxes.
    pub provider_per_hour: u32,
    /// Messages in one hour, all recipients together.
    pub total_per_hour: u32,
}

/// Links to sign in that one address is sent in 24 hours.
const LINKS_PER_DAY: u32 = 40;

impl Default for SignUpLimits {
    fn default() -> Self {
        Self {
            address_gap_seconds: 600,
            address_per_day: 3,
            domain_per_hour: 40,
            provider_per_hour: 100,
            total_per_hour: 200,
        }
    }
}

impl SignUpLimits {
    /// The same for links to sign in. They go to nobody but who is known here, so more of them are no flood;
    /// and three requests of a stranger must not keep an address out for a day.
    #[must_use]
    pub const fn of_links(self) -> Self {
        Self { address_per_day: LINKS_PER_DAY, ..self }
    }

    fn of_domain(&self, to: &Destination) -> u32 {
        if to.public { self.provider_per_hour } else { self.domain_per_hour }
    }

    /// Whether one more sign-up may wait beside what waits already: as many as are sent in a hundred hours,
    /// of all and of its domain. The second half of all places is given out at two a second, so that no flood
    /// takes them all.
    pub fn admit(&self, waiting: Waiting, to: &Destination) -> Result<(), Full> {
        let places = |per_hour: u32| u64::from(per_hour) * u64::from(HOURS_WAITING);
        let (all, of_domain) = (places(self.total_per_hour), places(self.of_domain(to)));
        if waiting.all >= all || waiting.of_domain >= of_domain {
            return Err(Full { retry_after: WAIT_FOR_A_PLACE });
        }
        if waiting.all >= all / 2 && waiting.lately >= TAKEN_LATELY {
            return Err(Full { retry_after: LATELY });
        }
        Ok(())
    }

    /// The most that [`Waiting`] needs to be counted to.
    pub fn most_waiting(&self) -> u32 {
        self.total_per_hour.saturating_mul(HOURS_WAITING)
    }
}

/// How much waits already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Of all.
    pub all: u64,
    /// Of the same domain.
    pub of_domain: u64,
    /// Of these, what was taken [lately](Self::since).
    pub lately: u64,
}

impl Waiting {
    /// What was taken after this moment was taken lately.
    pub fn since(now: Timestamp) -> Timestamp {
        later(now, -LATELY)
    }
}

/// There is no place for one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// When to try again.
    pub retry_after: SignedDuration,
}

/// When a message may go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Now; it is counted.
    Now,
    /// Its mailbox or its domain has had its share. Not before then.
    NotBefore(Timestamp),
    /// Everybody has to wait.
    Later,
}

/// Decides about the messages that wait, at one moment.
#[derive(Debug)]
pub struct Throttle {
    limits: SignUpLimits,
    now: Timestamp,
    all: Vec<Timestamp>,
    by_domain: HashMap<String, Vec<Timestamp>>,
}

impl Throttle {
    /// `sent`: when messages went out in the last hour and to which [domain](Destination::domain), oldest
    /// first.
    pub fn new(
        limits: SignUpLimits,
        sent: impl IntoIterator<Item = (Timestamp, String)>,
        now: Timestamp,
    ) -> Self {
        let mut throttle = Self { limits, now, all: Vec::new(), by_domain: HashMap::new() };
        for (at, domain) in sent {
            throttle.all.push(at);
            throttle.by_domain.entry(domain).or_default().push(at);
        }
        throttle
    }

    /// Since when [`new`](Self::new) has to be told of messages.
    pub fn since(now: Timestamp) -> Timestamp {
        later(now, -HOUR)
    }

    /// Since when [`turn`](Self::turn) has to be told of messages to the same mailbox.
    pub fn mailbox_since(now: Timestamp) -> Timestamp {
        later(now, -DAY)
    }

    /// Whether anything may go out at all.
    pub fn has_room(&self) -> bool {
        free_at(self.limits.total_per_hour, &self.all, self.now) <= self.now
    }

    /// Decides about one message. `before`: when messages went to the same mailbox in the last 24 hours,
    /// oldest first, with what this throttle has let go.
    pub fn turn(&mut self, to: &Destination, before: &[Timestamp]) -> Turn {
        let now = self.now;
        let gap = SignedDuration::from_secs(self.limits.address_gap_seconds);
        let rested = before.last().map(|last| later(*last, gap));
        let next_day = nth_last(before, self.limits.address_per_day).map(|at| later(at, DAY));
        let domain = self.by_domain.get(&to.domain).map_or(&[][..], Vec::as_slice);
        let of_domain = free_at(self.limits.of_domain(to), domain, now);
        let earliest = rested.into_iter().chain(next_day).fold(of_domain, Timestamp::max);
        if earliest > now {
            return Turn::NotBefore(earliest);
        }
        if !self.has_room() {
            return Turn::Later;
        }
        self.all.push(now);
        self.by_domain.entry(to.domain.clone()).or_default().push(now);
        Turn::Now
    }

    /// The order in which those that wait have their turn, given oldest first: the one that waits longest and
    /// the one that came last take turns. The first half keeps everybody's wait within a bound; the second
    /// serves who comes after a flood as if there had been none. Which of both begins follows from the time,
    /// as in a flood there is room for one at a time.
    pub fn in_turn<T>(&self, mut oldest_first: std::collections::VecDeque<T>) -> Vec<T> {
        let slot = (interval(self.limits.total_per_hour).as_micros() / 1_000_000).max(1);
        let mut newest = i128::from(self.now.as_second()).div_euclid(slot).rem_euclid(2) == 0;
        let mut ordered = Vec::with_capacity(oldest_first.len());
        loop {
            let next = if newest { oldest_first.pop_back() } else { oldest_first.pop_front() };
            let Some(next) = next else { return ordered };
            ordered.push(next);
            newest = !newest;
        }
    }
}

/// Half of an hour's messages, and at least one: what may go out at once.
fn burst(per_hour: u32) -> u32 {
    per_hour.div_ceil(2).max(1)
}

/// How far apart messages are once those that may go out at once have.
fn interval(per_hour: u32) -> SignedDuration {
    HOUR / i32::try_from(burst(per_hour)).unwrap_or(i32::MAX)
}

/// When one more message has room among those of the last hour, oldest first: never more than `per_hour` in
/// an hour, and by a bucket of [`burst`] that fills up within an hour (GCRA, run over what was sent).
fn free_at(per_hour: u32, sent: &[Timestamp], now: Timestamp) -> Timestamp {
    let lately = &sent[sent.partition_point(|at| *at <= later(now, -HOUR))..];
    if per_hour == 0 {
        return later(now, HOUR);
    }
    let interval = interval(per_hour);
    let full = lately.iter().fold(Timestamp::MIN, |full, at| later(full.max(*at), interval));
    let bucket = later(full, interval.saturating_mul(1 - i32::try_from(burst(per_hour)).unwrap_or(i32::MAX)));
    let window = nth_last(lately, per_hour).map(|at| later(at, HOUR));
    window.into_iter().fold(bucket, Timestamp::max).max(now)
}

/// The `n`-th of the newest, from 1.
fn nth_last(sorted: &[Timestamp], n: u32) -> Option<Timestamp> {
    let at = sorted.len().checked_sub(n.max(1) as usize)?;
    sorted.get(at).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn to(mailbox: &str, domain: &str) -> Destination {
        Destination { mailbox: format!("{mailbox}@{domain}"), domain: domain.to_owned(), public: false }
    }

    fn throttle(limits: SignUpLimits, sent: &[(i64, &str)], now: i64) -> Throttle {
        Throttle::new(limits, sent.iter().map(|(when, domain)| (at(*when), (*domain).to_owned())), at(now))
    }

    #[test]
    fn one_mailbox_waits_ten_minutes_and_gets_three_a_day() {
        let day = 24 * 3600;
        // (messages to the mailbox, now, not before)
        let cases: &[(&[i64], i64, Option<i64>)] = &[
            (&[], 0, None),
            (&[0], 1, Some(600)),
            (&[0], 599, Some(600)),
            (&[0], 600, None),
            (&[0, 600, 1200], 1800, Some(day)),
            (&[0, 600, 1200], day - 1, Some(day)),
            (&[0, 600, 1200], day, None),
            (&[600, 1200, day], day + 1, Some(day + 600)),
        ];
        for (before, now, expected) in cases {
            let before: Vec<_> = before.iter().map(|seconds| at(*seconds)).collect();
            let turn = throttle(SignUpLimits::default(), &[], *now).turn(&to("ada", "example.com"), &before);
            let expected = expected.map_or(Turn::Now, |seconds| Turn::NotBefore(at(seconds)));
            assert_eq!(turn, expected, "{before:?} at {now}");
        }
    }

    #[test]
    fn a_domain_has_its_share_and_leaves_the_others_theirs() {
        let limits = SignUpLimits { domain_per_hour: 4, provider_per_hour: 10, ..SignUpLimits::default() };
        let mut throttle = throttle(limits, &[], 0);
        let turns: Vec<_> =
            (0..4).map(|n| throttle.turn(&to(&format!("a{n}"), "example.com"), &[])).collect();
        // Two at once, the others in half an hour each.
        assert_eq!(turns, [Turn::Now, Turn::Now, Turn::NotBefore(at(1800)), Turn::NotBefore(at(1800))]);
        assert_eq!(throttle.turn(&to("ada", "example.org"), &[]), Turn::Now);
        for n in 0..5 {
            let public = Destination { public: true, ..to(&format!("b{n}"), "gmail.com") };
            assert_eq!(throttle.turn(&public, &[]), Turn::Now);
        }
    }

    #[test]
    fn when_the_hour_is_used_up_everybody_waits_and_nobody_is_put_off_to_a_time() {
        let limits = SignUpLimits { total_per_hour: 4, ..SignUpLimits::default() };
        let mut throttle = throttle(limits, &[(0, "a.example"), (1, "b.example")], 2);
        assert!(!throttle.has_room());
        assert_eq!(throttle.turn(&to("ada", "c.example"), &[]), Turn::Later);
    }

    #[test]
    fn what_waits_has_its_limits() {
        let limits = SignUpLimits {
            total_per_hour: 2,
            domain_per_hour: 1,
            provider_per_hour: 2,
            ..SignUpLimits::default()
        };
        let waiting = |all, of_domain, lately| Waiting { all, of_domain, lately };
        let one = to("ada", "example.com");
        let public = Destination { public: true, ..one.clone() };
        for (waiting, to, full) in [
            (waiting(0, 0, 0), &one, None),
            (waiting(99, 99, 99), &one, None),
            (waiting(100, 99, 19), &one, None),
            (waiting(100, 99, 20), &one, Some(LATELY)),
            (waiting(199, 99, 0), &one, None),
            (waiting(200, 0, 0), &one, Some(WAIT_FOR_A_PLACE)),
            (waiting(100, 100, 0), &one, Some(WAIT_FOR_A_PLACE)),
            (waiting(100, 100, 0), &public, None),
        ] {
            let expected = full.map_or(Ok(()), |retry_after| Err(Full { retry_after }));
            assert_eq!(limits.admit(waiting, to), expected, "{waiting:?}");
        }
        assert_eq!(limits.most_waiting(), 200);
    }

    /// A few hours of a throttle: what comes when, and what went out when.
    fn simulate(limits: SignUpLimits, arrivals: &[(i64, usize)], seconds: i64) -> Vec<(i64, i64)> {
        let mut waiting: VecDeque<(i64, usize)> = VecDeque::new();
        let mut arrivals = arrivals.iter().copied().peekable();
        let mut sent: Vec<(Timestamp, String)> = Vec::new();
        let mut served: Vec<(i64, i64)> = Vec::new();
        for second in (0..seconds).step_by(7) {
            while let Some(arrival) = arrivals.next_if(|(when, _)| *when <= second) {
                waiting.push_back(arrival);
            }
            let lately = sent.iter().filter(|(when, _)| *when > at(second - 3600)).cloned();
            let mut throttle = Throttle::new(limits, lately, at(second));
            if waiting.is_empty() || !throttle.has_room() {
                continue;
            }
            let mut left = Vec::new();
            for (came, who) in throttle.in_turn(std::mem::take(&mut waiting)) {
                // Everybody is at a domain of their own.
                match throttle.turn(&to("x", &format!("{who}.example")), &[]) {
                    Turn::Now => {
                        sent.push((at(second), format!("{who}.example")));
                        served.push((came, second));
                    }
                    _ => left.push((came, who)),
                }
            }
            left.sort_unstable();
            waiting = left.into();
        }
        served
    }

    #[test]
    fn who_comes_after_a_flood_is_served_soon_and_the_flood_in_the_end() {
        let limits = SignUpLimits { total_per_hour: 60, ..SignUpLimits::default() };
        let flood = (0..200).map(|n| (0, n));
        let newcomers = (0..5).map(|n| (600 + n, 1000 + n as usize));
        let arrivals: Vec<_> = flood.chain(newcomers).collect();
        let served = simulate(limits, &arrivals, 8 * 3600);
        assert_eq!(served.len(), 205, "somebody is still waiting");
        let waits: Vec<i64> =
            served.iter().filter(|(came, _)| *came >= 600).map(|(came, went)| went - came).collect();
        // A place every two minutes, every second of them for who came last.
        assert!(waits.iter().all(|wait| *wait <= 5 * 2 * 120 + 120), "{waits:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        #[test]
        fn no_hour_has_more_than_its_messages_and_nobody_waits_for_ever(
            total in 4..40_u32,
            arrivals in prop::collection::vec(0..7200_i64, 1..60),
        ) {
            let limits = SignUpLimits { total_per_hour: total, ..SignUpLimits::default() };
            let mut arrivals: Vec<_> = arrivals.into_iter().enumerate().map(|(n, when)| (when, n)).collect();
            arrivals.sort_unstable();
            // Half of the places go to those who wait longest: each has its turn within two rounds of all.
            let bound = 7200 + (arrivals.len() as i64 + 1) * 2 * (interval(total).as_secs() + 7) + 3600;
            let served = simulate(limits, &arrivals, bound);
            prop_assert_eq!(served.len(), arrivals.len());
            for (_, first) in &served {
                let in_hour = served.iter().filter(|(_, when)| (*first..first + 3600).contains(when)).count();
                prop_assert!(in_hour <= total as usize, "{} in an hour of {}", in_hour, total);
            }
        }
    }
}
