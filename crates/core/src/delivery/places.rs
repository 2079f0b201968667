//! Places: how many deliveries may be under way at once, and to whom.
//!
//! A receiver that takes its time holds a place for as long, and whoever signs up can name one. So each
//! channel has places of its own, one host never holds more than a few of them, hosts that take long share a
//! part, whatever they answer in the end, and a part is kept for hosts that are known to be quick. A host is
//! known by what [`Channel::host`] says, not by its paths.
//!
//! Times are those of a clock that only goes forward, since some start.
//!
//! [`Channel::host`]: crate::Channel::host

use crate::Carrier;
use std::collections::HashMap;
use std::time::Duration;

/// How many places a channel has, and who may hold them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaceLimits {
    /// Deliveries under way at once: the most of this channel that a kill can make uncertain.
    pub places: usize,
    /// Of these, kept for hosts that are known to be quick.
    pub kept_for_quick: usize,
    /// Held by slow hosts together at most.
    pub slow_together: usize,
    /// Held by one host at most, by its pace.
    pub of_host: HostLimits,
    /// How long an attempt takes at least that makes its host a slow one. `None`: the time says nothing of
    /// the host.
    pub slow_from: Option<Duration>,
}

/// How many places one host may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostLimits {
    /// Where it answered quickly when it was last asked.
    pub quick: usize,
    /// Where it has not answered yet.
    pub new: usize,
    /// Where it takes long.
    pub slow: usize,
}

impl PlaceLimits {
    /// Mail. All of it goes to one server, whose pace says nothing of a recipient's domain; but a server may
    /// ask the domain's own before it answers, so no domain holds more than half of the places.
    pub const MAIL: Self = Self {
        places: 16,
        kept_for_quick: 0,
        slow_together: 16,
        of_host: HostLimits { quick: 8, new: 8, slow: 8 },
        slow_from: None,
    };

    /// Webhooks, to hosts that anybody may name, and pushes to their services.
    pub const WEBHOOKS: Self = Self {
        places: 64,
        kept_for_quick: 16,
        slow_together: 16,
        of_host: HostLimits { quick: 4, new: 2, slow: 1 },
        slow_from: Some(Duration::from_secs(2)),
    };

    /// Those of a carrier.
    pub const fn of(carrier: Carrier) -> Self {
        match carrier {
            Carrier::Mail => Self::MAIL,
            Carrier::Http => Self::WEBHOOKS,
        }
    }
}

/// Quick answers in a row after which a slow host counts as quick again.
const QUICK_AGAIN: u32 = 3;

/// Hosts without anything under way that are remembered. Beyond, those heard of longest ago are forgotten.
const REMEMBERED: usize = 4096;

/// How a host answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    Quick,
    New,
    /// With so many quick answers since.
    Slow(u32),
}

/// A host and what is under way to it.
#[derive(Debug)]
struct Host {
    pace: Pace,
    /// When each attempt under way began.
    under_way: Vec<Duration>,
    /// When an attempt last ended.
    heard: Duration,
}

/// The places of one channel: who holds some, and how their hosts answer.
#[derive(Debug)]
pub struct Places {
    limits: PlaceLimits,
    hosts: HashMap<String, Host>,
}

impl Places {
    /// All free, all hosts new.
    pub fn new(limits: PlaceLimits) -> Self {
        Self { limits, hosts: HashMap::new() }
    }

    /// An attempt at `host` begins: it holds a place.
    pub fn begin(&mut self, host: &str, now: Duration) {
        let new = || Host { pace: Pace::New, under_way: Vec::new(), heard: now };
        self.hosts.entry(host.to_owned()).or_insert_with(new).under_way.push(now);
    }

    /// The attempt at `host` that began at `begun` ended: its place is free. `asked`: whether the host was
    /// asked at all; else nothing is learnt of its pace.
    pub fn end(&mut self, host: &str, begun: Duration, now: Duration, asked: bool) {
        let slow = self.is_slow(begun, now);
        let Some(known) = self.hosts.get_mut(host) else { return };
        if let Some(index) = known.under_way.iter().position(|time| *time == begun) {
            known.under_way.swap_remove(index);
        }
        known.heard = now;
        known.pace = match known.pace {
            pace if !asked => pace,
            _ if slow => Pace::Slow(0),
            Pace::Slow(quick) if quick + 1 < QUICK_AGAIN => Pace::Slow(quick + 1),
            _ => Pace::Quick,
        };
        self.forget();
    }

    /// What may begin at `now`.
    pub fn room(&self, now: Duration) -> Room {
        let limits = self.limits;
        let (mut held, mut held_by_others, mut held_by_slow) = (0, 0, 0);
        let mut hosts = HashMap::with_capacity(self.hosts.len());
        for (name, host) in &self.hosts {
            // Who is slow at this moment is slow, whatever it was before.
            let late = host.under_way.iter().any(|begun| self.is_slow(*begun, now));
            let class = match host.pace {
                _ if late => Class::Slow,
                Pace::Quick => Class::Quick,
                Pace::New => Class::New,
                Pace::Slow(_) => Class::Slow,
            };
            let holds = host.under_way.len();
            held += holds;
            held_by_others += if class == Class::Quick { 0 } else { holds };
            held_by_slow += if class == Class::Slow { holds } else { 0 };
            hosts.insert(name.clone(), (class, limits.of_class(class).saturating_sub(holds)));
        }
        Room {
            free: limits.places.saturating_sub(held),
            free_for_others: (limits.places - limits.kept_for_quick).saturating_sub(held_by_others),
            free_for_slow: limits.slow_together.saturating_sub(held_by_slow),
            of_new_host: limits.of_host.new,
            hosts,
        }
    }

    fn is_slow(&self, begun: Duration, now: Duration) -> bool {
        self.limits.slow_from.is_some_and(|slow| now.saturating_sub(begun) >= slow)
    }

    fn forget(&mut self) {
        if self.hosts.len() <= REMEMBERED {
            return;
        }
        let idle = self.hosts.iter().filter(|(_, host)| host.under_way.is_empty());
        let oldest = idle.min_by_key(|(_, host)| host.heard).map(|(name, _)| name.clone());
        oldest.map(|name| self.hosts.remove(&name));
    }
}

impl PlaceLimits {
    const fn of_class(self, class: Class) -> usize {
        match class {
            Class::Quick => self.of_host.quick,
            Class::New => self.of_host.new,
            Class::Slow => self.of_host.slow,
        }
    }
}

/// What a host counts as at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Quick,
    New,
    Slow,
}

/// The free places of one channel at a moment, and who may take them.
#[derive(Clone, Debug)]
pub struct Room {
    free: usize,
    /// Of these, for hosts that are not known to be quick.
    free_for_others: usize,
    /// Of these, for slow hosts.
    free_for_slow: usize,
    /// For a host that is not among `hosts`.
    of_new_host: usize,
    /// What each known host counts as, and how many places it may still take.
    hosts: HashMap<String, (Class, usize)>,
}

/// The free places of every channel at a moment.
#[derive(Clone, Debug)]
pub struct Rooms {
    /// For mails.
    pub mail: Room,
    /// For webhooks, and pushes beside them.
    pub webhooks: Room,
}

impl Rooms {
    /// So many places of each channel for anybody.
    pub fn for_anybody(places: usize) -> Self {
        Self { mail: Room::for_anybody(places), webhooks: Room::for_anybody(places) }
    }

    /// Those of a carrier.
    pub fn of(&self, carrier: Carrier) -> &Room {
        match carrier {
            Carrier::Mail => &self.mail,
            Carrier::Http => &self.webhooks,
        }
    }

    /// The same, to take places.
    pub fn of_mut(&mut self, carrier: Carrier) -> &mut Room {
        match carrier {
            Carrier::Mail => &mut self.mail,
            Carrier::Http => &mut self.webhooks,
        }
    }
}

/// Which hosts a room is open to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted<'r> {
    /// Whether it is all but the listed, or the listed alone.
    pub all_but: bool,
    /// By name, in no order.
    pub listed: Vec<&'r str>,
}

impl Room {
    /// So many places for anybody.
    pub fn for_anybody(places: usize) -> Self {
        Self {
            free: places,
            free_for_others: places,
            free_for_slow: places,
            of_new_host: places,
            hosts: HashMap::new(),
        }
    }

    /// How many may begin at most.
    pub fn free(&self) -> usize {
        self.free
    }

    /// Whether one may begin at `host`.
    pub fn admits(&self, host: &str) -> bool {
        let (class, left) = self.hosts.get(host).copied().unwrap_or((Class::New, self.of_new_host));
        left > 0 && self.has_place_for(class)
    }

    /// Takes a place for `host`. False where there is none, and nothing changed.
    pub fn take(&mut self, host: &str) -> bool {
        if !self.admits(host) {
            return false;
        }
        let new = (Class::New, self.of_new_host);
        let (class, left) = self.hosts.entry(host.to_owned()).or_insert(new);
        *left -= 1;
        self.free -= 1;
        self.free_for_others -= usize::from(*class != Class::Quick);
        self.free_for_slow -= usize::from(*class == Class::Slow);
        true
    }

    /// Which hosts it is open to.
    pub fn admitted(&self) -> Admitted<'_> {
        let all_but = self.of_new_host > 0 && self.has_place_for(Class::New);
        let listed = self.hosts.keys().map(String::as_str).filter(|host| self.admits(host) != all_but);
        Admitted { all_but, listed: listed.collect() }
    }

    fn has_place_for(&self, class: Class) -> bool {
        self.free > 0
            && (class == Class::Quick || self.free_for_others > 0)
            && (class != Class::Slow || self.free_for_slow > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: PlaceLimits = PlaceLimits::WEBHOOKS;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Begins at each of `hosts` in turn, again and again, as long as there is room. Answers how many.
    fn fill(places: &mut Places, hosts: &[String], now: Duration) -> usize {
        let mut room = places.room(now);
        let mut begun = 0;
        while let Some(host) = hosts.iter().find(|host| room.admits(host)) {
            assert!(room.take(host));
            places.begin(host, now);
            begun += 1;
        }
        assert!(!hosts.iter().any(|host| room.clone().take(host)));
        begun
    }

    fn hosts(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("https://host-{n}.example")).collect()
    }

    /// One attempt from `from` to `to`.
    fn attempt(places: &mut Places, host: &str, from: u64, to: u64) {
        places.begin(host, seconds(from));
        places.end(host, seconds(from), seconds(to), true);
    }

    fn places_of(places: &Places, host: &str, now: u64) -> usize {
        let mut room = places.room(seconds(now));
        (0..100).take_while(|_| room.take(host)).count()
    }

    #[test]
    fn a_host_holds_few_places_however_many_paths_it_has_and_fewer_where_it_is_slow() {
        // From when to when attempts last, and how many places the host gets afterwards.
        for (attempts, expected) in [
            (vec![], LIMITS.of_host.new),
            (vec![(0, 1)], LIMITS.of_host.quick),
            (vec![(0, 19)], LIMITS.of_host.slow),
            (vec![(0, 2)], LIMITS.of_host.slow),
            (vec![(0, 1), (1, 20)], LIMITS.of_host.slow),
            (vec![(0, 19), (20, 21)], LIMITS.of_host.slow),
            (vec![(0, 19), (20, 21), (21, 22)], LIMITS.of_host.slow),
            (vec![(0, 19), (20, 21), (21, 22), (22, 23)], LIMITS.of_host.quick),
            (vec![(0, 19), (20, 21), (21, 22), (22, 30), (30, 31)], LIMITS.of_host.slow),
        ] {
            let mut places = Places::new(LIMITS);
            for &(from, to) in &attempts {
                attempt(&mut places, "a", from, to);
            }
            assert_eq!(places_of(&places, "a", 40), expected, "{attempts:?}");
            assert_eq!(places_of(&places, "b", 40), LIMITS.of_host.new, "somebody else");
        }
    }

    #[test]
    fn who_was_not_asked_has_not_answered() {
        for before in [vec![], vec![(0, 19)]] {
            let mut places = Places::new(LIMITS);
            for &(from, to) in &before {
                attempt(&mut places, "a", from, to);
            }
            let expected = places_of(&places, "a", 20);
            for _ in 0..QUICK_AGAIN {
                places.begin("a", seconds(20));
                places.end("a", seconds(20), seconds(20), false);
            }
            assert_eq!(places_of(&places, "a", 20), expected);
        }
    }

    #[test]
    fn who_keeps_silent_is_slow_while_it_does() {
        let mut places = Places::new(LIMITS);
        attempt(&mut places, "a", 0, 1);
        places.begin("a", seconds(10));
        assert_eq!(places_of(&places, "a", 11), LIMITS.of_host.quick - 1);
        assert_eq!(places_of(&places, "a", 12), 0);
    }

    #[test]
    fn eighty_slow_paths_of_one_host_and_two_hundred_slow_hosts_leave_room_for_others() {
        for count in [1, 200] {
            let mut places = Places::new(LIMITS);
            attempt(&mut places, "quick", 0, 1);
            let slow = hosts(count);
            let begun = fill(&mut places, &slow, seconds(10));
            assert_eq!(begun, (count * LIMITS.of_host.new).min(LIMITS.places - LIMITS.kept_for_quick));
            for now in [10, 11, 29] {
                assert_eq!(places_of(&places, "quick", now), LIMITS.of_host.quick, "at {now} s");
            }
            // They answer, with whatever: from now on they are slow.
            for host in &slow {
                for begun in places.hosts.get(host).map(|host| host.under_way.clone()).unwrap_or_default() {
                    places.end(host, begun, seconds(29), true);
                }
            }
            let known: Vec<String> = places
                .hosts
                .iter()
                .filter(|(_, host)| host.pace == Pace::Slow(0))
                .map(|(name, _)| name.clone())
                .collect();
            let begun = fill(&mut places, &known, seconds(29));
            assert_eq!(begun, known.len().min(LIMITS.slow_together));
            assert_eq!(places_of(&places, "new", 40), LIMITS.of_host.new);
            assert_eq!(places_of(&places, "quick", 40), LIMITS.of_host.quick);
        }
    }

    #[test]
    fn a_slow_mail_server_slows_nobody_down_more_than_it_must() {
        let mut places = Places::new(PlaceLimits::MAIL);
        attempt(&mut places, "example.com", 0, 600);
        assert_eq!(places_of(&places, "example.com", 600), PlaceLimits::MAIL.of_host.quick);
        assert_eq!(fill(&mut places, &hosts(1), seconds(600)), PlaceLimits::MAIL.places / 2);
        assert_eq!(fill(&mut places, &hosts(9), seconds(600)), PlaceLimits::MAIL.places / 2);
    }

    #[test]
    fn hosts_are_forgotten_but_those_with_something_under_way() {
        let mut places = Places::new(LIMITS);
        places.begin("busy", seconds(0));
        for (n, host) in hosts(2 * REMEMBERED).iter().enumerate() {
            attempt(&mut places, host, n as u64, n as u64 + 19);
        }
        assert_eq!(places.hosts.len(), REMEMBERED);
        assert!(places.hosts.contains_key("busy"));
    }

    proptest! {
        /// Whatever happens, nobody holds more than allowed, and what a room says of all hosts it says of
        /// each.
        #[test]
        fn no_limit_is_ever_passed(
            steps in prop::collection::vec((0_usize..12, 0_u64..4, any::<bool>()), 0..300),
        ) {
            let hosts = hosts(12);
            let limits = PlaceLimits {
                places: 10, kept_for_quick: 3, slow_together: 4, ..LIMITS
            };
            let mut places = Places::new(limits);
            let mut now = seconds(0);
            for (which, wait, ends) in steps {
                now += seconds(wait);
                let host = &hosts[which];
                let under_way = places.hosts.get(host).and_then(|host| host.under_way.first().copied());
                match under_way {
                    Some(begun) if ends => places.end(host, begun, now, true),
                    _ => {
                        let mut room = places.room(now);
                        let admitted = room.admitted();
                        for host in hosts.iter().map(String::as_str).chain(["unknown"]) {
                            let listed = admitted.listed.contains(&host);
                            prop_assert_eq!(room.admits(host), listed != admitted.all_but, "{}", host);
                        }
                        if room.take(host) {
                            places.begin(host, now);
                        }
                    }
                }
                let held: usize = places.hosts.values().map(|host| host.under_way.len()).sum();
                prop_assert!(held <= limits.places);
                prop_assert!(places.hosts.values().all(|host| host.under_way.len() <= limits.of_host.quick));
                prop_assert_eq!(places.room(now).free(), limits.places - held);
            }
        }
    }
}
