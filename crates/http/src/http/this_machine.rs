//! Requests of somebody at the very machine the server runs on.

use crate::http::client::Peer;
use axum::http::{HeaderMap, Request, Version, header};
use std::net::IpAddr;
use url::{Host, Url};

/// What proxies add.
const PASSED_ON: [&str; 6] =
    ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"];

/// Whether somebody at this very machine asks, and nobody for somebody else: no proxy, no name that was
/// pointed here, no page of another origin.
pub(crate) fn is_of_this_machine<B>(request: &Request<B>) -> bool {
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
    // Proxies that speak of nothing else mostly speak HTTP/1.0.
    request.version() != Version::HTTP_10 && comes_from_here(peer, request.headers())
}

fn comes_from_here(peer: Option<IpAddr>, headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(host) = text(header::HOST) else { return false };
    let own = format!("http://{host}");
    peer.is_some_and(|peer| peer.to_canonical().is_loopback())
        && !PASSED_ON.iter().any(|name| headers.contains_key(*name))
        && headers.get_all(header::ORIGIN).iter().all(|origin| origin.as_bytes() == own.as_bytes())
        && Url::parse(&own).is_ok_and(|url| is_loopback(&url))
}

/// Whether an address leads to the machine that looks at it.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderName;

    #[test]
    fn only_the_machine_itself_is_answered() {
        let asked = |peer: Option<&str>, given: &[(&'static str, &str)]| {
            let headers = given
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
                .collect();
            comes_from_here(peer.map(|peer| peer.parse().unwrap()), &headers)
        };
        for (peer, host) in [
            ("127.0.0.1", "127.0.0.1:8080"),
            ("127.0.0.1", "localhost:8080"),
            ("::1", "[::1]:8080"),
            ("::ffff:127.0.0.1", "LOCALHOST"),
        ] {
            assert!(asked(Some(peer), &[("host", host)]), "{peer} {host}");
            let own = format!("http://{host}");
            assert!(asked(Some(peer), &[("host", host), ("origin", &own)]), "{own}");
        }
        assert!(!asked(None, &[("host", "localhost")]), "over no connection");
        assert!(!asked(Some("192.0.2.1"), &[("host", "localhost")]));
        for host in ["tracker.example", "localhost.example", "192.0.2.1", "127.0.0.1.example", "a b", ""] {
            assert!(!asked(Some("127.0.0.1"), &[("host", host)]), "{host}");
        }
        assert!(!asked(Some("127.0.0.1"), &[]), "no host");
        for foreign in ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"] {
            assert!(!asked(Some("127.0.0.1"), &[("host", "localhost"), (foreign, "x")]), "{foreign}");
        }
        for origin in ["null", "http://evil.example", "https://localhost", "http://localhost:81", ""] {
            assert!(!asked(Some("127.0.0.1"), &[("host", "localhost"), ("origin", origin)]), "{origin}");
        }
    }
}
