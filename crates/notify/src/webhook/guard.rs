//! Where webhooks may go: to public addresses, and to the networks the operator allows. Nowhere else,
//! whatever a URL or a name server says.
//!
//! An address that stands in a URL is checked before anything is asked. A name is resolved by [`Checked`],
//! which hands the connector exactly the addresses that were checked: nobody resolves a second time.
//! docs/adr/0013-webhook-guard.md.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use qqq_core::subscription::webhook_url::WebhookUrl;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use url::Host;

/// Addresses of one name that are looked at and tried.
const MAX_ADDRESSES: usize = 16;

/// Why a webhook is not sent to its address. Names no address: what a name means inside our network is
/// nobody's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The address, or one of those of the host's name, is none of the internet's.
    #[error(
        "its host is not on the public internet but in {0}, and webhooks.allow_networks does not allow that"
    )]
    NotPublic(&'static str),
    /// `http://` to the public internet.
    #[error("it must be an https:// address: http:// only reaches the networks of webhooks.allow_networks")]
    Plain,
    /// A port of other services, on the public internet.
    #[error(
        "its port must be 443, or 1024 and above: \
         other ports are only reached in the networks of webhooks.allow_networks"
    )]
    Port,
}

/// How far a request may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Public addresses, and the operator's networks.
    Public,
    /// The operator's networks alone, for want of what is given.
    Allowed(Refusal),
}

/// What the operator allows, beside the public internet.
#[derive(Debug)]
pub(crate) struct Guard {
    allowed: Vec<IpNet>,
}

impl Guard {
    pub(crate) fn new(allowed: Vec<IpNet>) -> Self {
        Self { allowed }
    }

    /// The operator's networks.
    pub(crate) fn allowed(&self) -> &[IpNet] {
        &self.allowed
    }

    /// Judges all that a URL says by itself: scheme, port, and a host that is an address, or `localhost`.
    /// Answers how far the request may reach where the host is another name.
    pub(crate) fn admit(&self, url: &WebhookUrl) -> Result<Reach, Refusal> {
        let url = url.url();
        let reach = match (url.scheme(), url.port_or_known_default()) {
            ("https", Some(443 | 1024..)) => Reach::Public,
            ("https", _) => Reach::Allowed(Refusal::Port),
            _ => Reach::Allowed(Refusal::Plain),
        };
        match (url.host(), reach) {
            (Some(Host::Ipv4(address)), _) => self.check(address.into(), reach)?,
            (Some(Host::Ipv6(address)), _) => self.check(address.into(), reach)?,
            (Some(Host::Domain(name)), _) if means_loopback(name) => self
                .check(Ipv4Addr::LOCALHOST.into(), reach)
                .or_else(|refusal| self.check(Ipv6Addr::LOCALHOST.into(), reach).map_err(|_| refusal))?,
            (_, Reach::Allowed(refusal)) if self.allowed.is_empty() => return Err(refusal),
            _ => {}
        }
        Ok(reach)
    }

    /// Judges one address.
    pub(crate) fn check(&self, address: IpAddr, reach: Reach) -> Result<(), Refusal> {
        // ::ffff:10.0.0.1 is dialled as 10.0.0.1.
        let address = address.to_canonical();
        if self.allowed.iter().any(|network| network.contains(&address)) {
            return Ok(());
        }
        match (special(address), reach) {
            (Some(network), _) => Err(Refusal::NotPublic(network)),
            (None, Reach::Allowed(refusal)) => Err(refusal),
            (None, Reach::Public) => Ok(()),
        }
    }
}

/// The networks of IANA's special-purpose registry (RFC 6890 and its updates), even where these are globally
/// reachable: no webhook lives there. Multicast (RFC 5771), and public addresses that hosting providers
/// answer their guests at.
const SPECIAL_V4: [(Ipv4Net, &str); 18] = [
    v4([0, 0, 0, 0], 8, "\"this network\""),
    v4([10, 0, 0, 0], 8, "a private network"),
    v4([100, 64, 0, 0], 10, "a carrier's shared network"),
    v4([127, 0, 0, 0], 8, "the loopback network"),
    v4([168, 63, 129, 16], 32, "a hosting provider's own network"), // Azure's WireServer
    v4([169, 254, 0, 0], 16, "a link-local network"), // and the metadata of AWS, Azure, Google, ...
    v4([172, 16, 0, 0], 12, "a private network"),
    v4([192, 0, 0, 0], 24, "a network of protocol assignments"),
    v4([192, 0, 2, 0], 24, "a documentation network"),
    v4([192, 31, 196, 0], 24, "a network of protocol assignments"), // AS112
    v4([192, 52, 193, 0], 24, "a network of protocol assignments"), // AMT
    v4([192, 88, 99, 0], 24, "the network of 6to4 relays"),
    v4([192, 168, 0, 0], 16, "a private network"),
    v4([192, 175, 48, 0], 24, "a network of protocol assignments"), // AS112
    v4([198, 18, 0, 0], 15, "a benchmarking network"),
    v4([198, 51, 100, 0], 24, "a documentation network"),
    v4([203, 0, 113, 0], 24, "a documentation network"),
    v4([224, 0, 0, 0], 3, "a multicast or reserved network"),
];

/// The same for IPv6. What lies outside of 2000::/3 is no global unicast (RFC 4291) and needs no line here,
/// but for a better word. Addresses that carry an IPv4 address to a relay (6to4, Teredo) are refused whatever
/// they carry.
const SPECIAL_V6: [(Ipv6Net, &str); 15] = [
    v6([0, 0, 0, 0, 0, 0, 0, 1], 128, "the loopback network"),
    v6([0, 0, 0, 0, 0, 0, 0, 0], 96, "the network of IPv4-compatible addresses"), // and ::
    v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, "a network of local translation"),   // RFC 8215
    v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64, "the discard-only network"),
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, "the network of Teredo"),
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, "a network of protocol assignments"),
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, "a documentation network"),
    v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, "the network of 6to4"),
    v6([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48, "a network of protocol assignments"), // AS112
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, "a documentation network"),
    v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16, "the network of segment routing"),
    v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, "a private network"), // and fd00:ec2::254, AWS's metadata
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, "a link-local network"),
    v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, "a private network"),
    v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, "a multicast network"),
];

const GLOBAL_UNICAST: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
/// Behind it lies the IPv4 internet (RFC 6052): in networks without IPv4, every name with an IPv4 address
/// alone resolves to this. The last 32 bits are that address.
const TRANSLATED: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

const fn v4(address: [u8; 4], prefix: u8, name: &'static str) -> (Ipv4Net, &'static str) {
    let [a, b, c, d] = address;
    (Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix), name)
}

const fn v6(address: [u16; 8], prefix: u8, name: &'static str) -> (Ipv6Net, &'static str) {
    let [a, b, c, d, e, f, g, h] = address;
    (Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix), name)
}

/// Which network other than the public internet an address belongs to. `None`: it is public.
fn special(address: IpAddr) -> Option<&'static str> {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            SPECIAL_V4.iter().find(|(network, _)| network.contains(&address)).map(|(_, name)| *name)
        }
        IpAddr::V6(address) if TRANSLATED.contains(&address) => {
            let [.., a, b, c, d] = address.octets();
            special(Ipv4Addr::new(a, b, c, d).into())
        }
        IpAddr::V6(address) => SPECIAL_V6
            .iter()
            .find(|(network, _)| network.contains(&address))
            .map(|(_, name)| *name)
            .or((!GLOBAL_UNICAST.contains(&address)).then_some("a reserved network")),
    }
}

/// Whether a name is an address in other words (RFC 6761, section 6.3). The URL's parser has made it lower
/// case.
fn means_loopback(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

/// Resolves names to addresses that may be reached. One that may not refuses the name: whoever mixes private
/// addresses among public ones has a reason.
pub(crate) struct Checked {
    pub(crate) guard: Arc<Guard>,
    pub(crate) reach: Reach,
    pub(crate) names: Arc<dyn Resolve>,
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, reach) = (Arc::clone(&self.guard), self.reach);
        let asked = self.names.resolve(name);
        Box::pin(async move {
            let addresses: Vec<IpAddr> = asked.await?.map(|found| found.ip()).take(MAX_ADDRESSES).collect();
            for address in &addresses {
                guard.check(*address, reach)?;
            }
            if addresses.is_empty() {
                return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address").into());
            }
            // Port 0 stands for the URL's.
            let checked: Addrs = Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(checked)
        })
    }
}

/// Names as the operating system resolves them.
pub(crate) struct SystemNames;

impl Resolve for SystemNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let found: Addrs = Box::new(found.into_iter());
            Ok(found)
        })
    }
}
