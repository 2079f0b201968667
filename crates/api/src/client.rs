//! Who is asking, and how often they may.

use crate::problem::Problem;
use axum::http::HeaderMap;
use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use ipnet::IpNet;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

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

/// Counts by network (GCRA), in a table that cannot outgrow its limit.
pub(crate) struct Limiter {
    limiter: RateLimiter<Network, HashMapStateStore<Network>, DefaultClock>,
    clock: DefaultClock,
    most_networks: usize,
}

impl Limiter {
    pub(crate) fn new(quota: impl Into<Quota>, most_networks: usize) -> Self {
        Self { limiter: RateLimiter::hashmap(quota.into()), clock: DefaultClock::default(), most_networks }
    }

    /// Takes one of the network's permits, or says when the next is there.
    pub(crate) fn check(&self, client: IpAddr) -> Result<(), Problem> {
        if self.limiter.len() >= self.most_networks {
            // Forgets networks whose burst has refilled: they are as good as new.
            self.limiter.retain_recent();
            if self.limiter.len() >= self.most_networks {
                return Err(Problem::too_many(Duration::from_secs(60)));
            }
        }
        self.limiter
            .check_key(&Network::from(client))
            .map_err(|refusal| Problem::too_many(refusal.wait_time_from(self.clock.now())))
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.limiter.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let limiter = Limiter::new(rate(5, 10), 100);
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
        let limiter = Limiter::new(rate(1, 1), 100);
        limiter.check(ip("2001:db8::1")).unwrap();
        assert!(limiter.check(ip("2001:db8::ffff:2")).is_err());
        limiter.check(ip("2001:db8:0:1::1")).unwrap();
        limiter.check(ip("192.0.2.1")).unwrap();
        assert!(limiter.check(ip("::ffff:192.0.2.1")).is_err());
    }

    #[test]
    fn the_table_stays_within_its_limit_under_a_flood_of_networks() {
        let limiter = Limiter::new(rate(1, 1), 500);
        let mut refused = 0;
        for n in 0..20_000_u32 {
            refused += u32::from(limiter.check(IpAddr::V4(n.into())).is_err());
        }
        assert!(limiter.len() <= 500);
        assert_eq!(refused, 19_500);
    }
}
