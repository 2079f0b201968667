//! A small HTTP/1.1 client: one request, one connection, blocking. What it cannot read is an error, so that a
//! server that dies half-way is told from one that answers badly.

use serde_json::Value;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longest time to connect, and between two pieces of an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server.
#[derive(Clone, Copy, Debug)]
pub struct Http {
    address: SocketAddr,
}

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Names in lower case, in the order they came.
    pub headers: Vec<(String, String)>,
    /// Without the transfer's own framing.
    pub body: Vec<u8>,
}

impl Http {
    /// Talks to `address`.
    pub fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// Where it connects to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `GET path`. Panics where no answer comes.
    #[track_caller]
    pub fn get(&self, path: &str) -> Response {
        self.expect("GET", path, &[], b"")
    }

    /// `POST path` with a JSON body. Panics where no answer comes.
    #[track_caller]
    pub fn post_json(&self, path: &str, body: &Value) -> Response {
        self.expect("POST", path, &[("content-type", "application/json")], body.to_string().as_bytes())
    }

    /// `POST path` with the body a page's form sends. Panics where no answer comes.
    #[track_caller]
    pub fn post_form(&self, path: &str, body: &str) -> Response {
        self.expect("POST", path, &[("content-type", "application/x-www-form-urlencoded")], body.as_bytes())
    }

    #[track_caller]
    fn expect(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        match self.request(method, path, headers, body) {
            Ok(response) => response,
            Err(error) => panic!("{method} {path} at {}: {error}", self.address),
        }
    }

    /// One request. `Host`, `Content-Length` and `Connection: close` are added.
    ///
    /// # Errors
    ///
    /// Whatever keeps the whole answer from being read: a refused connection, one cut short, a deadline,
    /// bytes that are no HTTP.
    pub fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Response> {
        let mut stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.address);
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || method != "GET" {
            request.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        stream.write_all(&[request.as_bytes(), body].concat())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        parse(&answer).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("{} bytes that are no whole answer", answer.len()),
            )
        })
    }
}

impl Response {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON. Panics where it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("status {}, not JSON ({error}): {}", self.status, self.text()),
        }
    }
}

fn parse(answer: &[u8]) -> Option<Response> {
    let end = find(answer, b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .map(|line| {
            line.split_once(':').map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        })
        .collect::<Option<_>>()?;
    let mut response = Response { status, headers, body: answer[end + 4..].to_vec() };
    if response.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        response.body = unchunked(&response.body)?;
    } else if let Some(length) = response.header("content-length") {
        let length: usize = length.parse().ok()?;
        (response.body.len() == length).then_some(())?;
    }
    Some(response)
}

fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = find(rest, b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_cut_short_is_no_answer() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        assert_eq!(parse(whole).unwrap().text(), "hello");
        let chunked =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
        assert_eq!(parse(chunked).unwrap().text(), "hello");
        for end in 0..whole.len() {
            assert!(parse(&whole[..end]).is_none(), "{end}");
        }
        for end in 0..chunked.len() - 5 {
            assert!(parse(&chunked[..end]).is_none(), "{end}");
        }
    }
}
