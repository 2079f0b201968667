//! Reads a mail back, sharing no code with what wrote it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// A mail taken apart: header fields in order, unfolded, and the two parts decoded.
pub(crate) struct Parsed {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) text: String,
    pub(crate) html: String,
}

impl Parsed {
    /// Takes a mail apart, and insists on what every mail must keep: ASCII, CRLF only, lines of at most 998
    /// characters, two alternatives.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let mail = std::str::from_utf8(bytes).unwrap();
        assert!(mail.is_ascii());
        for line in mail.split("\r\n") {
            assert!(!line.contains(['\r', '\n', '\0']), "a bare CR, LF or NUL: {line:?}");
            assert!(line.len() <= 998, "{} characters", line.len());
        }
        let (headers, body) = split(mail);
        let kind = value(&headers, "Content-Type");
        let boundary =
            kind.strip_prefix("multipart/alternative; boundary=\"").unwrap().strip_suffix('"').unwrap();
        let delimiter = format!("--{boundary}");
        let mut parts = body.split(&delimiter);
        assert_eq!(parts.next(), Some(""));
        let text = part(parts.next().unwrap(), "text/plain; charset=utf-8");
        let html = part(parts.next().unwrap(), "text/html; charset=utf-8");
        assert_eq!(parts.next(), Some("--\r\n"));
        assert_eq!(parts.next(), None);
        Self { headers, text, html }
    }

    /// The value of the one header field of that name.
    pub(crate) fn header(&self, name: &str) -> &str {
        value(&self.headers, name)
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.headers.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// The text with its line breaks taken as blanks, to look for sentences in.
    pub(crate) fn words(&self) -> String {
        self.text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

fn value<'a>(headers: &'a [(String, String)], name: &str) -> &'a str {
    let mut found = headers.iter().filter(|(header, _)| header.eq_ignore_ascii_case(name));
    let value = &found.next().unwrap_or_else(|| panic!("no {name}")).1;
    assert!(found.next().is_none(), "{name} twice");
    value
}

fn split(entity: &str) -> (Vec<(String, String)>, &str) {
    let (head, body) = entity.split_once("\r\n\r\n").unwrap();
    let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    let field = |line: &str| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_owned(), value.trim().to_owned())
    };
    (unfolded.split("\r\n").map(field).collect(), body)
}

fn part(entity: &str, kind: &str) -> String {
    let (headers, body) = split(entity.strip_prefix("\r\n").unwrap());
    assert_eq!(value(&headers, "Content-Type"), kind);
    match value(&headers, "Content-Transfer-Encoding") {
        "7bit" => body.to_owned(),
        "quoted-printable" => unquote(body),
        // What the library takes where most characters are not ASCII.
        "base64" => String::from_utf8(BASE64.decode(body.replace("\r\n", "")).unwrap()).unwrap(),
        other => panic!("unexpected encoding {other}"),
    }
}

fn unquote(body: &str) -> String {
    let joined = body.replace("=\r\n", "");
    let mut pieces = joined.split('=');
    let mut bytes = pieces.next().unwrap().as_bytes().to_vec();
    for piece in pieces {
        bytes.push(u8::from_str_radix(&piece[..2], 16).unwrap());
        bytes.extend_from_slice(&piece.as_bytes()[2..]);
    }
    String::from_utf8(bytes).unwrap()
}
