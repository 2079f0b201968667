//! `email.smtp_url`: which mail server, how it is reached, and who we say we are.

use percent_encoding::percent_decode_str;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use url::Url;

/// What is allowed, told with every error.
const ALLOWED: &str = "it must be smtp://user:password@host:587 with STARTTLS, \
                       smtps://user:password@host:465 with TLS from the start, or empty for mails as files; \
                       user and password are optional and percent-encoded; \
                       options: ?tls=required, opportunistic or none (smtp:// only), ?ca=FILE";

/// The submission port (RFC 6409), where none is written.
const SUBMISSION: u16 = 587;
/// The port of implicit TLS (RFC 8314), where none is written.
const SUBMISSIONS: u16 = 465;

/// A parsed `email.smtp_url`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SmtpUrl {
    /// A name, or an IP address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) security: Security,
    pub(crate) credentials: Option<Login>,
    /// PEM file of the only authorities to trust; otherwise the machine's.
    pub(crate) ca: Option<PathBuf>,
}

/// How a connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Security {
    /// `smtps://`: TLS from the first byte.
    Implicit,
    /// STARTTLS, or nothing is sent.
    Required,
    /// STARTTLS where the server offers it. Credentials still travel encrypted or not at all.
    Opportunistic,
    /// Clear text, credentials too: only ever where `tls=none` is written out.
    Clear,
}

impl fmt::Display for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Implicit => "TLS",
            Self::Required => "STARTTLS required",
            Self::Opportunistic => "STARTTLS where offered",
            Self::Clear => "no TLS",
        })
    }
}

/// User and password, decoded.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl SmtpUrl {
    /// Host and port as an operator would type them.
    pub(crate) fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SmtpUrl({}, {}, login: {})", self.address(), self.security, self.credentials.is_some())
    }
}

impl FromStr for SmtpUrl {
    /// What is wrong and what is allowed. Repeats nothing that could be a part of a password.
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |problem: &str| format!("{problem}; {ALLOWED}");
        // An unencoded `/`, `?` or `#` in a password ends the authority early, and what follows it would pass
        // for host, path or option. Only a stray `@` behind it gives that away.
        let (_, rest) = text.split_once("://").ok_or_else(|| wrong("it is not a URL"))?;
        if rest.find(['/', '?', '#']).is_some_and(|end| rest[end..].contains('@')) {
            return Err(wrong("user or password hold characters that must be percent-encoded"));
        }
        let url = Url::parse(text).map_err(|error| wrong(&format!("it is not a URL ({error})")))?;
        let implicit = match url.scheme() {
            "smtp" => false,
            "smtps" => true,
            _ => return Err(wrong("its scheme is neither smtp nor smtps")),
        };
        let host = url.host_str().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).to_owned();
        if host.is_empty() {
            return Err(wrong("it names no host"));
        }
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(wrong("it has a path or a fragment"));
        }

        let mut security = match (implicit, is_loopback(&host)) {
            (true, _) => Security::Implicit,
            (false, true) => Security::Opportunistic,
            (false, false) => Security::Required,
        };
        let mut ca = None;
        for (key, value) in url.query_pairs() {
            match (&*key, &*value) {
                ("tls", "required") if !implicit => security = Security::Required,
                ("tls", "opportunistic") if !implicit => security = Security::Opportunistic,
                ("tls", "none") if !implicit => security = Security::Clear,
                ("tls", _) => return Err(wrong("its option `tls` is not one of the allowed")),
                ("ca", file) if !file.is_empty() => ca = Some(PathBuf::from(file)),
                _ => return Err(wrong("it has an option other than `tls` and `ca`")),
            }
        }

        let decoded = |part: &str| match percent_decode_str(part).decode_utf8() {
            Ok(part) if !part.contains(['\0', '\r', '\n']) => Ok(part.into_owned()),
            _ => Err(wrong("user or password are not percent-encoded UTF-8")),
        };
        let credentials = match (url.username(), url.password().unwrap_or_default()) {
            ("", "") => None,
            ("", _) | (_, "") => return Err(wrong("it has only one of user and password")),
            (user, password) => Some(Login { user: decoded(user)?, password: decoded(password)? }),
        };
        let port = url.port().unwrap_or(if implicit { SUBMISSIONS } else { SUBMISSION });
        Ok(Self { host, port, security, credentials, ca })
    }
}

/// Whether mail for `host` never leaves this machine.
fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> SmtpUrl {
        text.parse().unwrap()
    }

    #[test]
    fn both_schemes_with_and_without_a_login() {
        let url = parse("smtp://ada%40example.com:p%40ss%3A%2F%25+@mail.example.com:2525?tls=required");
        assert_eq!(
            (url.host.as_str(), url.port, url.security),
            ("mail.example.com", 2525, Security::Required)
        );
        let login = url.credentials.unwrap();
        assert_eq!((login.user.as_str(), login.password.as_str()), ("ada@example.com", "p@ss:/%+"));

        let url = parse("smtps://mail.example.com?ca=/etc/ssl/own.pem");
        assert_eq!((url.port, url.security), (465, Security::Implicit));
        assert_eq!(url.ca, Some(PathBuf::from("/etc/ssl/own.pem")));
        assert!(url.credentials.is_none());

        assert_eq!(parse("smtp://[::1]:25").address(), "[::1]:25");
        assert_eq!(parse("smtp://mail.example.com/").port, 587);
    }

    #[test]
    fn tls_is_required_unless_the_server_is_this_machine_or_it_is_written_otherwise() {
        assert_eq!(parse("smtp://mail.example.com").security, Security::Required);
        for local in ["smtp://localhost:25", "smtp://127.0.0.1", "smtp://[::1]", "smtp://127.9.9.9"] {
            assert_eq!(parse(local).security, Security::Opportunistic, "{local}");
        }
        assert_eq!(parse("smtp://localhost.example.com").security, Security::Required);
        assert_eq!(parse("smtp://mail.example.com?tls=none").security, Security::Clear);
        assert_eq!(parse("smtp://localhost?tls=required").security, Security::Required);
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for text in [
            "",
            "mail.example.com",
            "http://u:hunter2@host",
            "smtp://u:hunter2@",
            "smtp://u:hunter2@host:99999",
            "smtp://u:hunter2@host/path",
            "smtp://u:hunter2@host#x",
            "smtp://u:hunter2@host?tls=maybe",
            "smtps://u:hunter2@host?tls=none",
            "smtp://u:hunter2@host?starttls=yes",
            "smtp://u:hunter2@host?ca=",
            "smtp://u@host",
            "smtp://:hunter2@host",
            "smtp://u:hunter2%ff@host",
            "smtp://u:hunter2%0d%0a@host",
            "smtp://u:hunter2/x@host",
            "smtp://u:12?hunter2@host",
            "smtp://u:12#hunter2@host",
            "smtp://u:hunter2",
        ] {
            let error = text.parse::<SmtpUrl>().unwrap_err();
            assert!(error.contains("smtps://user:password@host:465"), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{text}: {error}");
        }
        assert!(!format!("{:?}", parse("smtp://u:hunter2@host")).contains("hunter2"));
    }
}
