//! Which mailbox an address reaches, and in whose hands it lies, as far as counting goes.
//!
//! One mailbox has many spellings: tags, dots, domains that mean the same. Whoever counts messages by the
//! spelling counts nothing. Where nothing is known of a provider, a `+tag` is taken off and all else counts.
//! Two mailboxes that fall together by this share a throttle and nothing else: mail goes to the address as
//! given, and a subscriber is known by it.

use crate::subscription::email_address::EmailAddress;
use std::net::IpAddr;

/// Where a message goes, as far as counting goes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Destination {
    /// The mailbox, whatever its spelling, or the endpoint of a webhook.
    pub mailbox: String,
    /// Whose server it is: the registered domain, a provider's first one, or an IP address.
    pub domain: String,
    /// Whether that server is of a provider at which the public has its mailboxes, so that many strangers
    /// share it.
    pub public: bool,
}

impl std::fmt::Debug for Destination {
    /// The domain alone: addresses do not belong in logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Destination(…, {})", self.domain)
    }
}

/// How a provider reads the part before the `@`.
struct Provider {
    /// Its domains; the first one names it.
    domains: &'static [&'static str],
    /// Whether one name is the same mailbox at each of them.
    one_name: bool,
    /// What begins a tag.
    tags: &'static [char],
    /// What is as good as not there.
    ignored: &'static [char],
    /// What stands for another character.
    alike: Option<(char, char)>,
    /// Whether `tag@name.domain` is `name@domain`.
    subdomains: bool,
}

const fn provider(domains: &'static [&'static str]) -> Provider {
    Provider { domains, one_name: false, tags: &['+'], ignored: &[], alike: None, subdomains: false }
}

/// Providers at which the public has its mailboxes.
const PROVIDERS: &[Provider] = &[
    // <https://support.google.com/mail/answer/7436150>, <https://support.google.com/mail/answer/22370>
    Provider { one_name: true, ignored: &['.'], ..provider(&["gmail.com", "googlemail.com"]) },
    // Tags since 2013; dots count, and so does the domain.
    provider(&[
        "outlook.com",
        "hotmail.com",
        "live.com",
        "msn.com",
        "passport.com",
        "windowslive.com",
        "outlook.at",
        "outlook.be",
        "outlook.cl",
        "outlook.cz",
        "outlook.de",
        "outlook.dk",
        "outlook.es",
        "outlook.fr",
        "outlook.hu",
        "outlook.ie",
        "outlook.in",
        "outlook.it",
        "outlook.jp",
        "outlook.kr",
        "outlook.lv",
        "outlook.my",
        "outlook.ph",
        "outlook.pt",
        "outlook.sa",
        "outlook.sg",
        "outlook.sk",
        "outlook.co.id",
        "outlook.co.il",
        "outlook.co.th",
        "outlook.com.ar",
        "outlook.com.au",
        "outlook.com.br",
        "outlook.com.gr",
        "outlook.com.tr",
        "outlook.com.vn",
        "hotmail.be",
        "hotmail.ca",
        "hotmail.ch",
        "hotmail.cl",
        "hotmail.de",
        "hotmail.dk",
        "hotmail.es",
        "hotmail.fi",
        "hotmail.fr",
        "hotmail.gr",
        "hotmail.it",
        "hotmail.nl",
        "hotmail.no",
        "hotmail.se",
        "hotmail.co.il",
        "hotmail.co.jp",
        "hotmail.co.nz",
        "hotmail.co.th",
        "hotmail.co.uk",
        "hotmail.com.ar",
        "hotmail.com.au",
        "hotmail.com.br",
        "hotmail.com.mx",
        "hotmail.com.tr",
        "live.at",
        "live.be",
        "live.ca",
        "live.cl",
        "live.cn",
        "live.co.uk",
        "live.co.za",
        "live.com.ar",
        "live.com.au",
        "live.com.mx",
        "live.com.pt",
        "live.de",
        "live.dk",
        "live.fi",
        "live.fr",
        "live.ie",
        "live.in",
        "live.it",
        "live.jp",
        "live.nl",
        "live.no",
        "live.ru",
        "live.se",
    ]),
    // Disposable addresses are `base-keyword`; no name has a hyphen of its own.
    Provider {
        tags: &['-', '+'],
        ..provider(&[
            "yahoo.com",
            "ymail.com",
            "rocketmail.com",
            "myyahoo.com",
            "yahoo.ca",
            "yahoo.cl",
            "yahoo.de",
            "yahoo.dk",
            "yahoo.es",
            "yahoo.fr",
            "yahoo.gr",
            "yahoo.ie",
            "yahoo.in",
            "yahoo.it",
            "yahoo.no",
            "yahoo.pl",
            "yahoo.ro",
            "yahoo.se",
            "yahoo.co.id",
            "yahoo.co.il",
            "yahoo.co.in",
            "yahoo.co.kr",
            "yahoo.co.nz",
            "yahoo.co.th",
            "yahoo.co.uk",
            "yahoo.co.za",
            "yahoo.com.ar",
            "yahoo.com.au",
            "yahoo.com.br",
            "yahoo.com.co",
            "yahoo.com.hk",
            "yahoo.com.mx",
            "yahoo.com.my",
            "yahoo.com.ph",
            "yahoo.com.sg",
            "yahoo.com.tr",
            "yahoo.com.tw",
            "yahoo.com.vn",
            "aol.com",
            "aim.com",
            "aol.co.uk",
            "aol.de",
            "aol.fr",
        ])
    },
    // A mailbox of before 2012 has all three.
    Provider { one_name: true, ..provider(&["icloud.com", "me.com", "mac.com"]) },
    // <https://proton.me/support/addresses-and-aliases>. A name is given once, whatever its dots, hyphens and
    // underscores.
    Provider {
        one_name: true,
        ignored: &['.', '-', '_'],
        ..provider(&["proton.me", "protonmail.com", "protonmail.ch", "pm.me"])
    },
    // <https://www.fastmail.help/hc/en-us/articles/360060591053>
    Provider {
        subdomains: true,
        ..provider(&[
            "fastmail.com",
            "fastmail.fm",
            "fastmail.cn",
            "fastmail.de",
            "fastmail.es",
            "fastmail.in",
            "fastmail.jp",
            "fastmail.mx",
            "fastmail.net",
            "fastmail.nl",
            "fastmail.org",
            "fastmail.se",
            "fastmail.to",
            "fastmail.tw",
            "fastmail.uk",
            "fastmail.us",
            "fastmail.co.uk",
            "fastmail.com.au",
            "messagingengine.com",
            "sent.com",
        ])
    },
    // Dots and hyphens are one, and so are the domains.
    Provider {
        one_name: true,
        alike: Some(('-', '.')),
        ..provider(&["yandex.ru", "yandex.com", "yandex.by", "yandex.kz", "yandex.ua", "ya.ru", "narod.ru"])
    },
    provider(&["mail.ru", "inbox.ru", "list.ru", "bk.ru", "internet.ru"]),
    provider(&["rambler.ru", "lenta.ru", "ro.ru"]),
    provider(&["gmx.net", "gmx.de", "gmx.at", "gmx.ch", "gmx.com", "gmx.us", "gmx.fr", "gmx.co.uk"]),
    provider(&["web.de"]),
    provider(&["t-online.de", "magenta.de"]),
    provider(&["freenet.de"]),
    provider(&["posteo.de", "posteo.net", "posteo.org"]),
    provider(&["mailbox.org"]),
    provider(&["tutanota.com", "tutanota.de", "tuta.com", "tuta.io", "tutamail.com", "keemail.me"]),
    provider(&["mail.com", "email.com", "usa.com", "post.com", "consultant.com"]),
    provider(&["zoho.com", "zohomail.com", "zohomail.eu", "zohomail.in"]),
    provider(&["hey.com"]),
    provider(&["qq.com", "foxmail.com"]),
    provider(&["163.com", "126.com", "yeah.net"]),
    provider(&["sina.com", "sina.cn"]),
    provider(&["naver.com"]),
    provider(&["daum.net", "hanmail.net"]),
    provider(&["yahoo.co.jp", "ymail.ne.jp"]),
    provider(&["docomo.ne.jp"]),
    provider(&["rediffmail.com"]),
    provider(&["orange.fr", "wanadoo.fr"]),
    provider(&["free.fr"]),
    provider(&["sfr.fr", "neuf.fr"]),
    provider(&["laposte.net"]),
    provider(&["libero.it", "iol.it", "virgilio.it"]),
    provider(&["wp.pl"]),
    provider(&["o2.pl", "onet.pl", "interia.pl"]),
    provider(&["seznam.cz", "email.cz"]),
    provider(&["ukr.net"]),
    provider(&["bluewin.ch"]),
    provider(&["ziggo.nl", "kpnmail.nl", "xs4all.nl"]),
    provider(&["telenet.be", "skynet.be"]),
    provider(&["comcast.net", "xfinity.com"]),
    provider(&["att.net", "sbcglobal.net", "bellsouth.net"]),
    provider(&["verizon.net"]),
    provider(&["cox.net"]),
    provider(&["charter.net", "spectrum.net"]),
    provider(&["shaw.ca", "rogers.com", "bell.net", "sympatico.ca"]),
    provider(&["btinternet.com"]),
    provider(&["virginmedia.com", "ntlworld.com", "blueyonder.co.uk"]),
    provider(&["sky.com", "talktalk.net"]),
    provider(&["bigpond.com", "bigpond.net.au", "optusnet.com.au"]),
    provider(&["uol.com.br", "bol.com.br", "terra.com.br"]),
];

/// Where a webhook's requests count as one server's, however many strangers post there.
const PUBLIC_HOSTS: [&str; 11] = [
    "slack.com",
    "discord.com",
    "ntfy.sh",
    "telegram.org",
    "pushover.net",
    "office.com",
    "google.com",
    // The push services of browsers.
    "googleapis.com",
    "mozilla.com",
    "apple.com",
    "windows.com",
];

/// Where mail to an address goes.
pub(crate) fn of_address(address: &EmailAddress) -> Destination {
    let key = address.key();
    let (local, host) = key.rsplit_once('@').unwrap_or((&key, ""));
    let Some((provider, domain)) = provider_of(host) else {
        let mailbox = format!("{}@{host}", untagged(local, &['+']));
        return Destination { mailbox, domain: registered(host), public: false };
    };
    // `tag@name.domain`, where a provider reads that as `name@domain`.
    let name = host.strip_suffix(domain).and_then(|rest| rest.strip_suffix('.'));
    let local = name.and_then(|rest| rest.rsplit('.').next()).unwrap_or(local);
    let plain: String = untagged(local, provider.tags)
        .chars()
        .filter(|character| !provider.ignored.contains(character))
        .map(|character| match provider.alike {
            Some((from, to)) if character == from => to,
            _ => character,
        })
        .collect();
    let plain = if plain.is_empty() { local } else { &plain };
    let domain = if provider.one_name { provider.domains[0] } else { domain };
    Destination { mailbox: format!("{plain}@{domain}"), domain: provider.domains[0].to_owned(), public: true }
}

/// Where requests to an endpoint go: `endpoint` is its address without the query, `host` its host.
pub(crate) fn of_endpoint(endpoint: String, host: &str) -> Destination {
    let domain = registered(host);
    Destination { mailbox: endpoint, public: PUBLIC_HOSTS.contains(&domain.as_str()), domain }
}

/// The provider whose server `host` is, and by which of its domains.
fn provider_of(host: &str) -> Option<(&'static Provider, &'static str)> {
    PROVIDERS.iter().find_map(|provider| {
        let is_at = |domain: &str| {
            host.strip_suffix(domain)
                .is_some_and(|rest| rest.is_empty() || (provider.subdomains && rest.ends_with('.')))
        };
        provider.domains.iter().find(|domain| is_at(domain)).map(|domain| (provider, *domain))
    })
}

/// A name without its tag. Without anything before it, the sign is the name.
fn untagged<'a>(local: &'a str, tags: &[char]) -> &'a str {
    match local.split_once(tags) {
        Some((name, _)) if !name.is_empty() => name,
        _ => local,
    }
}

/// The part of a host's name that somebody has registered: `example.co.uk` of `a.b.example.co.uk`.
///
/// By the registries' part of the Public Suffix List (<https://publicsuffix.org>) alone: names below what a
/// company gives away for nothing count as one. An address is its own.
fn registered(host: &str) -> String {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    if literal.parse::<IpAddr>().is_ok() {
        return literal.to_owned();
    }
    let mut name = host.as_str();
    while let Some(domain) = psl::domain(name.as_bytes()) {
        let suffix = domain.suffix();
        if suffix.typ() != Some(psl::Type::Private) {
            let length = domain.as_bytes().len();
            return name[name.len() - length..].to_owned();
        }
        // `x.duckdns.org`: on with `duckdns.org`, of which the list says that it is nobody's.
        name = &name[name.len() - suffix.as_bytes().len()..];
        let Some((_, above)) = name.split_once('.') else { break };
        if psl::suffix(above.as_bytes()).is_some_and(|suffix| suffix.typ() != Some(psl::Type::Private)) {
            // Whether `above` is a suffix itself or has a registered part, the name below it is one.
            return match psl::domain(above.as_bytes()) {
                Some(domain) => above[above.len() - domain.as_bytes().len()..].to_owned(),
                None => name.to_owned(),
            };
        }
        name = above;
    }
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> Destination {
        of_address(&text.parse().unwrap())
    }

    #[test]
    fn spellings_of_one_mailbox_count_as_one() {
        for (mailbox, spellings) in [
            ("ada@outlook.com", &["ada+shop@outlook.com", "Ada@outlook.com"][..]),
            (
                "adalovelace@gmail.com",
                &["ada.lovelace@gmail.com", "a.d.a.lovelace+x@googlemail.com", "AdaLovelace+a.b@GMAIL.com"],
            ),
            ("ada@hotmail.co.uk", &["ada+1@hotmail.co.uk"]),
            ("ada@icloud.com", &["ada@me.com", "ada+x@mac.com", "ada@icloud.com"]),
            ("ada@yahoo.com", &["ada-shop@yahoo.com", "ada-x-y@yahoo.com", "ada+x@yahoo.com"]),
            ("adalove@proton.me", &["ada.love@protonmail.com", "ada-love+x@pm.me", "ada_love@proton.me"]),
            (
                "ada@fastmail.com",
                &["ada+x@fastmail.com", "anything@ada.fastmail.com", "a+b@ada.fastmail.com"],
            ),
            ("ada.love@yandex.ru", &["ada-love@yandex.com", "ada.love+x@ya.ru"]),
            ("ada@example.com", &["ada+news@example.com", "ADA+a+b@Example.com", "ada+@example.com"]),
        ] {
            for spelling in spellings {
                assert_eq!(of(spelling).mailbox, mailbox, "{spelling}");
            }
        }
    }

    #[test]
    fn what_may_be_two_mailboxes_counts_as_two() {
        for (one, other) in [
            ("a.da@example.com", "ada@example.com"),
            ("a.da@outlook.com", "ada@outlook.com"),
            ("ada@hotmail.com", "ada@outlook.com"),
            ("ada-x@gmail.com", "ada@gmail.com"),
            ("ada.love@yandex.ru", "adalove@yandex.ru"),
            ("ada@yahoo.com", "ada@ymail.com"),
            ("ada@sub.example.com", "ada@example.com"),
            ("+ada@example.com", "ada@example.com"),
            ("ada@notgmail.com", "ada@gmail.com"),
        ] {
            assert_ne!(of(one).mailbox, of(other).mailbox, "{one} {other}");
        }
        assert_eq!(
            of("+ada@example.com").mailbox,
            "+ada@example.com",
            "without a name, the sign is the name"
        );
        assert_eq!(of("-@proton.me").mailbox, "-@proton.me", "nothing is left of it otherwise");
    }

    #[test]
    fn domains_count_as_whoever_registered_them() {
        for (address, domain, public) in [
            ("ada@example.com", "example.com", false),
            ("ada@a.b.example.com", "example.com", false),
            ("ada@mail.example.co.uk", "example.co.uk", false),
            ("ada@x1.duckdns.org", "duckdns.org", false),
            ("ada@x.y.github.io", "github.io", false),
            ("ada@x.s3.amazonaws.com", "amazonaws.com", false),
            ("ada@localhost", "localhost", false),
            ("ada@com", "com", false),
            ("ada@a.b.unheard-of", "b.unheard-of", false),
            ("ada@googlemail.com", "gmail.com", true),
            ("ada@hotmail.fr", "outlook.com", true),
            ("x@ada.fastmail.com", "fastmail.com", true),
            ("x@ada.gmail.com", "gmail.com", false),
        ] {
            let found = of(address);
            assert_eq!((found.domain.as_str(), found.public), (domain, public), "{address}");
        }
        for (url, domain, public) in [
            ("https://hooks.slack.com/services/T0/B0", "slack.com", true),
            ("https://a.example.org/hook", "example.org", false),
            ("https://127.0.0.1/hook", "127.0.0.1", false),
            ("https://[::1]/hook", "::1", false),
        ] {
            let host = url::Url::parse(url).unwrap().host_str().unwrap().to_owned();
            let found = of_endpoint(url.to_owned(), &host);
            assert_eq!((found.domain.as_str(), found.public), (domain, public), "{url}");
        }
    }

    #[test]
    fn a_destination_never_prints_its_mailbox() {
        assert!(!format!("{:?}", of("ada@example.com")).contains("ada"));
    }

    #[test]
    fn every_provider_is_named_once_in_lower_case() {
        let mut seen = std::collections::BTreeSet::new();
        for domain in PROVIDERS.iter().flat_map(|provider| provider.domains) {
            assert!(seen.insert(domain), "{domain} twice");
            assert_eq!(*domain, domain.to_ascii_lowercase());
        }
    }

    proptest! {
        #[test]
        fn a_tag_never_makes_another_mailbox(
            name in "[a-z]{1,8}([._-][a-z]{1,4}){0,2}",
            tag in "[a-z0-9]{1,4}([.+-][a-z]{1,3}){0,2}",
            host in prop::sample::select(vec![
                "gmail.com", "outlook.com", "yahoo.com", "proton.me",
                "fastmail.fm", "ya.ru", "web.de", "a.example.org",
            ]),
        ) {
            let tagged = of(&format!("{name}+{tag}@{host}"));
            prop_assert_eq!(&tagged, &of(&format!("{name}@{host}")));
            // What was brought to its plain form is in it.
            prop_assert_eq!(&of(&tagged.mailbox), &tagged);
        }
    }
}
