//! How we introduce ourselves to a mail server: the argument of EHLO (RFC 5321, section 4.1.1.1).
//!
//! Many servers refuse a name that is not fully qualified, for good, and a container's host name (`a1b2c3`)
//! is none. RFC 5321, section 4.1.4, says what to do then: give the address in brackets.

use lettre::transport::smtp::extension::ClientId;
use std::net::IpAddr;

/// What is allowed, told with every error.
const ALLOWED: &str = "it must be this host's qualified name, like mail.example.com, \
                       an address in brackets, like [192.0.2.1] or [IPv6:2001:db8::1], or empty: \
                       the host's own name where that is qualified, else the address of the connection";

/// What is said in EHLO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EhloName {
    /// The same on every connection.
    Fixed(ClientId),
    /// The address of our end of the connection.
    LocalAddress,
}

impl EhloName {
    /// As set (`email.helo_name`, empty: not set), else the name of the host where it is qualified, else the
    /// address of each connection. The error says what is wrong with the setting, and what is allowed.
    pub(crate) fn choose(setting: &str, host_name: Option<&str>) -> Result<Self, String> {
        match setting.trim() {
            "" => Ok(host_name.and_then(qualified).map_or(Self::LocalAddress, Self::Fixed)),
            set => literal(set).or_else(|| qualified(set)).map(Self::Fixed).ok_or_else(|| {
                format!("`{}` is not how a host introduces itself; {ALLOWED}", set.escape_debug())
            }),
        }
    }

    /// What is said on a connection whose own end is `local`.
    pub(crate) fn on(&self, local: IpAddr) -> ClientId {
        match (self, local.to_canonical()) {
            (Self::Fixed(name), _) => name.clone(),
            (Self::LocalAddress, IpAddr::V4(address)) => ClientId::Ipv4(address),
            (Self::LocalAddress, IpAddr::V6(address)) => ClientId::Ipv6(address),
        }
    }
}

/// `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321, section 4.1.3).
fn literal(text: &str) -> Option<ClientId> {
    let address = text.strip_prefix('[')?.strip_suffix(']')?;
    match address.split_at_checked("IPv6:".len()) {
        Some((tag, address)) if tag.eq_ignore_ascii_case("IPv6:") => address.parse().ok().map(ClientId::Ipv6),
        _ => address.parse().ok().map(ClientId::Ipv4),
    }
}

/// A domain name of two labels or more (RFC 5321, section 2.3.5) that could mean this host to others.
fn qualified(name: &str) -> Option<ClientId> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let (_, last) = name.rsplit_once('.')?;
    // What ends in digits is an address to many (RFC 3696, section 2); the other two are every host's.
    let names_nobody = last.bytes().all(|byte| byte.is_ascii_digit())
        || ["localhost", "localdomain"].iter().any(|own| last.eq_ignore_ascii_case(own));
    (name.len() <= 253 && name.split('.').all(is_label) && !names_nobody)
        .then(|| ClientId::Domain(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: &str = "192.0.2.7";

    /// What is said with nothing set on a host of this name, on a connection from `local`.
    fn said(host_name: &str, local: &str) -> String {
        EhloName::choose("", Some(host_name)).unwrap().on(local.parse().unwrap()).to_string()
    }

    #[test]
    fn a_host_without_a_qualified_name_gives_its_address() {
        for name in [
            "",
            "a1b2c3",
            "web-1",
            "localhost",
            "localhost.localdomain",
            "db.localhost",
            "box.LocalDomain",
            "my_app.example.com",
            "-a.example.com",
            "a..example.com",
            ".example.com",
            "a.example.com..",
            "bücher.example",
            "a b.example",
            "10.0.0.1",
            "host.123",
            &format!("{}.example", "a".repeat(64)),
            &format!("{}com", "abcd.".repeat(60)),
        ] {
            assert_eq!(said(name, LOCAL), "[192.0.2.7]", "{name}");
        }
        assert_eq!(EhloName::choose("", None), Ok(EhloName::LocalAddress));
        assert_eq!(said("a1b2c3", "2001:db8::7"), "[IPv6:2001:db8::7]");
        // A socket for both families says IPv4 so.
        assert_eq!(said("a1b2c3", "::ffff:192.0.2.7"), "[192.0.2.7]");
    }

    #[test]
    fn a_host_with_a_qualified_name_gives_that() {
        for (name, expected) in [
            ("mx1.example.com", "mx1.example.com"),
            ("Mx1.Example.COM.", "Mx1.Example.COM"),
            ("web.internal", "web.internal"),
            ("localhost.example.com", "localhost.example.com"),
            ("1.example.com", "1.example.com"),
        ] {
            assert_eq!(said(name, LOCAL), expected);
        }
    }

    #[test]
    fn what_is_set_is_said_whatever_the_host() {
        for (set, expected) in [
            ("mail.example.com", "mail.example.com"),
            (" mail.example.com. ", "mail.example.com"),
            ("[198.51.100.3]", "[198.51.100.3]"),
            ("[IPv6:2001:DB8::1]", "[IPv6:2001:db8::1]"),
            ("[ipv6:::1]", "[IPv6:::1]"),
        ] {
            let name = EhloName::choose(set, Some("other.example.org")).unwrap();
            assert_eq!(name.on(LOCAL.parse().unwrap()).to_string(), expected);
        }
    }

    #[test]
    fn what_no_server_takes_is_refused_with_what_is_allowed() {
        for set in [
            "a1b2c3",
            "localhost",
            "192.0.2.1",
            "[192.0.2]",
            "[2001:db8::1]",
            "[IPv6:192.0.2.1]",
            "[]",
            "mail.example.com\r\nMAIL FROM:<x@example.com>",
            "mail example.com",
            "mail.example.com:25",
            "bücher.example",
            "https://mail.example.com",
        ] {
            let error = EhloName::choose(set, Some("mx.example.com")).unwrap_err();
            assert!(error.contains("[192.0.2.1]") && error.contains("mail.example.com"), "{set}: {error}");
            assert!(!error.contains(['\r', '\n']), "{error}");
        }
    }
}
