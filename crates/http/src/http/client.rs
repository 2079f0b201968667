//! Who is asking, and how often they may.

use crate::http::problem::Problem;
use axum::http::HeaderMap;
use governor::clock::{Clock, DefaultClock};
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{NotUntil, Quota, RateLimiter};
use ipnet::IpNet;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;

/// The other end of the connection a request came over. Put there by the server, never by the client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Most hops of `X-Forwarded-For` that are looked at.
const MAX_HOPS: usize = 32;

/// The address a request is counted under: the peer, or what the configured proxies say of it.
///
/// `X-Forwarded-For` is read from the right, as every proxy appends: the first hop that is not one of ours is
/// the client. What stands further left is the client's own word and is worth nothing. An entry that is no
/// address ends the search at the hop that wrote it.
pub(crate) fn client_ip(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_ours = |address: IpAddr| trusted.iter().any(|net| net.contains(&address));
    let mut client = peer.to_canonical();
    if !is_ours(client) {
        return client;
    }
    let lines: Vec<&str> =
        headers.get_all("x-forwarded-for").iter().map(|line| line.to_str().unwrap_or("?")).collect();
    let hops = lines.iter().rev().flat_map(|line| line.rsplit(',')).map(str::trim);
    for hop in hops.take(MAX_HOPS) {
        let Some(address) = parse_hop(hop) else { break };
        client = address;
        if !is_ours(client) {
            break;
        }
    }
    client
}

/// `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1` or `[2001:db8::1]:4711`.
fn parse_hop(text: &str) -> Option<IpAddr> {
    let address = text
        .parse::<IpAddr>()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6))?;
    Some(address.to_canonical())
}

/// The network one subscriber has: an IPv4 address, or an IPv6 /64 (of which anybody has 2^64 addresses).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Network(IpAddr);

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
            address => address,
        })
    }
}

impl Network {
    /// The network that many subscribers of one provider share, or one customer of a hosting company has: an
    /// IPv4 /24, or an IPv6 /48 (of which anybody has 2^16 networks of their own).
    fn wide(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & (u32::MAX << 8))),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 80))),
        })
    }
}

/// How often one network may do something: `burst` at once, then `per_minute`.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Refilled evenly, per minute.
    pub per_minute: NonZeroU32,
    /// At once.
    pub burst: NonZeroU32,
}

impl From<Rate> for Quota {
    fn from(rate: Rate) -> Self {
        Self::per_minute(rate.per_minute).allow_burst(rate.burst)
    }
}

/// Cells of one row. So many that a flood of tens of thousands of networks leaves most of them empty; few
/// enough to be held for good, so that there is no table that could be full.
const CELLS: usize = 1 << 15;

/// Counts by network (GCRA) in a fixed space: a count-min sketch.
///
/// Every network counts in one cell of each row, found by a hash that nobody outside can predict, and is
/// refused only where all its cells refuse. Networks that share a cell count together there, so a network may
/// be refused too early where others have used up both its cells, and never too late.
pub(crate) struct Limiter {
    rows: [Row; 2],
    clock: DefaultClock,
    network: fn(IpAddr) -> Network,
}

struct Row {
    limiter: RateLimiter<usize, Cells, DefaultClock>,
    hasher: RandomState,
}

/// The states of a row's cells, by their number.
struct Cells(Box<[InMemoryState]>);

impl StateStore for Cells {
    type Key = usize;

    fn measure_and_replace<T, F, E>(&self, key: &usize, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        self.0[*key % CELLS].measure_and_replace(&NotKeyed::NonKey, decide)
    }
}

impl Row {
    fn new(quota: Quota) -> Self {
        let cells = Cells((0..CELLS).map(|_| InMemoryState::default()).collect());
        Self { limiter: RateLimiter::new(quota, cells, DefaultClock::default()), hasher: RandomState::new() }
    }

    fn check(&self, network: Network) -> Result<(), NotUntil<<DefaultClock as Clock>::Instant>> {
        // A row has a small power of two of cells.
        let cell = (self.hasher.hash_one(network) % CELLS as u64) as usize;
        self.limiter.check_key(&cell)
    }
}

impl Limiter {
    /// Counts by what one subscriber has: an IPv4 address, an IPv6 /64.
    pub(crate) fn new(quota: impl Into<Quota>) -> Self {
        Self::by(quota, Network::from)
    }

    /// Counts by [wide](Network::wide) networks.
    pub(crate) fn wide(quota: impl Into<Quota>) -> Self {
        Self::by(quota, Network::wide)
    }

    fn by(quota: impl Into<Quota>, network: fn(IpAddr) -> Network) -> Self {
        let quota = quota.into();
        Self { rows: [Row::new(quota), Row::new(quota)], clock: DefaultClock::default(), network }
    }

    /// Takes one of the network's permits, or says when the next is there.
    pub(crate) fn check(&self, client: IpAddr) -> Result<(), Problem> {
        let network = (self.network)(client);
        // Both are asked, as both count.
        let [first, second] = self.rows.each_ref().map(|row| row.check(network));
        match (first, second) {
            (Err(first), Err(second)) => {
                let now = self.clock.now();
                Err(Problem::too_many(first.wait_time_from(now).min(second.wait_time_from(now))))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn rate(per_minute: u32, burst: u32) -> Rate {
        Rate { per_minute: per_minute.try_into().unwrap(), burst: burst.try_into().unwrap() }
    }

    #[test]
    fn the_client_is_the_rightmost_hop_that_is_not_ours() {
        let trusted: Vec<IpNet> =
            ["10.0.0.0/8", "2001:db8:aa::/48", "127.0.0.1/32"].map(|net| net.parse().unwrap()).to_vec();
        // (peer, X-Forwarded-For lines, client)
        let cases: &[(&str, &[&str], &str)] = &[
            ("198.51.100.7", &[], "198.51.100.7"),
            ("198.51.100.7", &["203.0.113.1"], "198.51.100.7"), // not from a proxy of ours: ignored
            ("198.51.100.7", &["10.0.0.1"], "198.51.100.7"),
            ("198.51.100.7", &["garbage, 10.0.0.1"], "198.51.100.7"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.1"], "203.0.113.1"),
            ("10.0.0.1", &["6.6.6.6, 203.0.113.1"], "203.0.113.1"), // 6.6.6.6 is the client's own word
            ("10.0.0.1", &["6.6.6.6", "203.0.113.1"], "203.0.113.1"), // two lines are one list
            ("10.0.0.1", &["203.0.113.1", "10.0.0.2"], "203.0.113.1"),
            ("10.0.0.1", &["203.0.113.1, 10.0.0.2, 10.0.0.3"], "203.0.113.1"),
            ("10.0.0.1", &["6.6.6.6, 203.0.113.1, 10.0.0.2"], "203.0.113.1"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"), // all ours: the leftmost
            ("10.0.0.1", &[""], "10.0.0.1"),
            ("10.0.0.1", &[","], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.1, nonsense"], "10.0.0.1"),
            ("10.0.0.1", &["nonsense, 203.0.113.1"], "203.0.113.1"),
            ("10.0.0.1", &["203.0.113.1, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["203.0.113.1:4711"], "203.0.113.1"),
            ("10.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("10.0.0.1", &["[2001:db8::1]"], "2001:db8::1"),
            ("10.0.0.1", &["2001:db8::1"], "2001:db8::1"),
            ("10.0.0.1", &["  203.0.113.1  "], "203.0.113.1"),
            ("10.0.0.1", &["::ffff:203.0.113.1"], "203.0.113.1"),
            ("::ffff:10.0.0.1", &["203.0.113.1"], "203.0.113.1"),
            ("2001:db8:aa::1", &["203.0.113.1"], "203.0.113.1"),
            ("2001:db8:bb::1", &["203.0.113.1"], "2001:db8:bb::1"),
            ("127.0.0.1", &["127.0.0.1"], "127.0.0.1"),
            ("127.0.0.2", &["203.0.113.1"], "127.0.0.2"),
            ("10.0.0.1", &["203.0.113.1; DROP"], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.256"], "10.0.0.1"),
        ];
        for (peer, lines, client) in cases {
            let mut headers = HeaderMap::new();
            for line in *lines {
                headers.append("x-forwarded-for", line.parse().unwrap());
            }
            assert_eq!(client_ip(ip(peer), &headers, &trusted), ip(client), "{peer} {lines:?}");
        }
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", "203.0.113.1".parse().unwrap());
        assert_eq!(client_ip(ip("10.0.0.1"), &headers, &[]), ip("10.0.0.1"), "no proxy configured");
    }

    #[test]
    fn a_network_has_its_burst_and_then_must_wait() {
        let limiter = Limiter::new(rate(5, 10));
        for _ in 0..10 {
            limiter.check(ip("203.0.113.1")).unwrap();
        }
        let refusal = limiter.check(ip("203.0.113.1")).unwrap_err();
        let wait = refusal.retry_after.unwrap();
        assert!(wait <= Duration::from_secs(12) && wait > Duration::from_secs(9), "{wait:?}");
        limiter.check(ip("203.0.113.2")).unwrap();
    }

    #[test]
    fn the_addresses_of_one_64_network_share_a_count() {
        let limiter = Limiter::new(rate(1, 1));
        limiter.check(ip("2001:db8::1")).unwrap();
        assert!(limiter.check(ip("2001:db8::ffff:2")).is_err());
        limiter.check(ip("2001:db8:0:1::1")).unwrap();
        limiter.check(ip("192.0.2.1")).unwrap();
        assert!(limiter.check(ip("::ffff:192.0.2.1")).is_err());
    }

    #[test]
    fn the_networks_of_one_wide_network_share_a_count_of_their_own() {
        let limiter = Limiter::wide(rate(1, 1));
        limiter.check(ip("2001:db8:1:1::1")).unwrap();
        assert!(limiter.check(ip("2001:db8:1:2::1")).is_err());
        limiter.check(ip("2001:db8:2:1::1")).unwrap();
        limiter.check(ip("192.0.2.1")).unwrap();
        assert!(limiter.check(ip("192.0.2.200")).is_err());
        limiter.check(ip("192.0.3.1")).unwrap();
    }

    /// How many of 1,000 newcomers are refused after `flood` networks have taken all they may.
    fn refused_after(flood: u32) -> usize {
        let limiter = Limiter::new(rate(1, 1));
        for n in 0..flood {
            let _ = limiter.check(IpAddr::V4((0x0a00_0000 + n).into()));
        }
        (0..1000_u32).filter(|n| limiter.check(IpAddr::V4((0xc000_0000 + n).into())).is_err()).count()
    }

    #[test]
    fn a_flood_of_networks_leaves_room_for_those_that_were_not_in_it() {
        // Both cells of a newcomer are used up with a chance of 7 in a hundred, where every network of the
        // flood has taken all it may; a quarter of a network's burst is enough to leave all of them.
        assert!(refused_after(10_000) < 120, "{}", refused_after(10_000));
        assert!(refused_after(100) <= 2);
        let limiter = Limiter::new(rate(5, 10));
        for n in 0..10_000_u32 {
            limiter.check(IpAddr::V4((0x0a00_0000 + n).into())).unwrap();
        }
        for n in 0..1000_u32 {
            limiter.check(IpAddr::V4((0xc000_0000 + n).into())).unwrap();
        }
    }
}
