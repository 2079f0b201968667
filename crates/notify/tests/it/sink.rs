//! A receiver of webhooks that answers what a script says, and remembers all it was sent.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// How a request is answered. The connection is closed after it.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// With these bytes.
    Say(String),
    /// With this head, and the same byte until nobody listens.
    Flood(String),
    /// With nothing: the connection is closed.
    Drop,
    /// With nothing, for ever.
    Stall,
}

/// A status and header lines, each ending in CRLF, without a body.
pub(crate) fn status(status: &str, headers: &str) -> Answer {
    Answer::Say(format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n{headers}\r\n"))
}

/// A status with a body.
pub(crate) fn saying(status: &str, body: &str) -> Answer {
    let length = body.len();
    Answer::Say(format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"))
}

/// What came in a request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// `POST /hook HTTP/1.1`
    pub(crate) line: String,
    /// By name in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

#[derive(Clone)]
pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<Request>>>,
    script: Arc<Mutex<Vec<Answer>>>,
}

impl Sink {
    /// Answers as the script says, one answer a request, the last one for ever; 204 without one.
    pub(crate) async fn start(script: impl IntoIterator<Item = Answer>) -> Self {
        Self::listen("127.0.0.1:0", script, None).await.unwrap()
    }

    /// The same over TLS.
    pub(crate) async fn start_tls(tls: TlsAcceptor) -> Self {
        Self::listen("127.0.0.1:0", [], Some(tls)).await.unwrap()
    }

    pub(crate) async fn listen(
        address: &str,
        script: impl IntoIterator<Item = Answer>,
        tls: Option<TlsAcceptor>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let sink = Self {
            address: listener.local_addr()?,
            connections: Arc::default(),
            requests: Arc::default(),
            script: Arc::new(Mutex::new(script.into_iter().collect())),
        };
        tokio::spawn(sink.clone().serve(listener, tls));
        Ok(sink)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// What was asked so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The one request there was.
    #[track_caller]
    pub(crate) fn once(&self) -> Request {
        let [request] = <[_; 1]>::try_from(self.requests()).unwrap();
        request
    }

    /// Connections so far. Those that came earlier than the call are counted, whatever became of them.
    pub(crate) async fn connections(&self) -> usize {
        // They are accepted in order: once ours is, all before it were.
        let ours = TcpStream::connect(self.address).await.unwrap();
        let mut reader = BufReader::new(ours);
        reader.write_all(b"COUNT\r\n\r\n").await.unwrap();
        let mut count = String::new();
        reader.read_to_string(&mut count).await.unwrap();
        let count: usize = count.parse().unwrap();
        self.connections.fetch_sub(1, Ordering::SeqCst);
        count - 1
    }

    async fn serve(self, listener: TcpListener, tls: Option<TlsAcceptor>) {
        while let Ok((stream, _)) = listener.accept().await {
            let count = self.connections.fetch_add(1, Ordering::SeqCst) + 1;
            let (sink, tls) = (self.clone(), tls.clone());
            tokio::spawn(async move {
                let mut first = [0];
                match tls {
                    // A TLS record of a handshake begins so; a counting test does not.
                    Some(tls) if stream.peek(&mut first).await.is_ok() && first[0] == 0x16 => {
                        match tls.accept(stream).await {
                            Ok(stream) => sink.talk(stream, count).await,
                            Err(error) => Err(error),
                        }
                    }
                    _ => sink.talk(stream, count).await,
                }
            });
        }
    }

    async fn talk(self, stream: impl AsyncRead + AsyncWrite + Unpin, count: usize) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            match line.trim_end() {
                "" => break,
                line => head.push(line.to_owned()),
            }
        }
        if head[0] == "COUNT" {
            stream.write_all(count.to_string().as_bytes()).await?;
            return stream.shutdown().await;
        }
        let headers: BTreeMap<_, _> = head[1..]
            .iter()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let mut body = vec![0; headers.get("content-length").map_or(0, |length| length.parse().unwrap())];
        stream.read_exact(&mut body).await?;
        let request = Request { line: head[0].clone(), headers, body: String::from_utf8(body).unwrap() };
        self.requests.lock().unwrap().push(request);
        let answer = {
            let mut script = self.script.lock().unwrap();
            match script.len() {
                0 => status("204 No Content", ""),
                1 => script[0].clone(),
                _ => script.remove(0),
            }
        };
        match answer {
            Answer::Say(text) => {
                stream.write_all(text.as_bytes()).await?;
                stream.shutdown().await
            }
            Answer::Flood(head) => {
                stream.write_all(head.as_bytes()).await?;
                loop {
                    stream.write_all(&[b'x'; 4096]).await?;
                }
            }
            Answer::Drop => Ok(()),
            Answer::Stall => std::future::pending().await,
        }
    }
}
