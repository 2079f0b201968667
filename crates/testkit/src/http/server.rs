//! A web server that answers what a test wants, well or badly, and remembers all it was asked.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio_rustls::TlsAcceptor;
use url::Url;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// `POST /hook HTTP/1.1`
    pub line: String,
    /// Where it went.
    pub url: Url,
    /// By name in lower case.
    pub headers: BTreeMap<String, String>,
    /// Empty where there was none; what is no text is replaced in it.
    pub body: String,
    /// The same, byte by byte.
    pub bytes: Vec<u8>,
}

impl Request {
    /// The path alone.
    pub fn path(&self) -> &str {
        self.url.path()
    }

    /// A query parameter, or nothing.
    pub fn query(&self, name: &str) -> String {
        let found = self.url.query_pairs().find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned()).unwrap_or_default()
    }

    /// Whether it has a query parameter.
    pub fn has_query(&self, name: &str) -> bool {
        self.url.query_pairs().any(|(key, _)| key == name)
    }
}

#[derive(Clone, Copy, Debug)]
enum Manner {
    AtOnce,
    /// The headers, then nothing.
    Hang,
    /// One byte at a time.
    Drip(Duration),
    /// Half the body that the headers announced, then the end.
    CutShort,
    /// Bytes until nobody listens.
    Flood,
    /// Nothing at all, for ever.
    Silent,
}

/// An answer. The connection is closed after it.
#[derive(Clone, Debug)]
pub struct Reply {
    head: String,
    body: Vec<u8>,
    manner: Manner,
}

impl Reply {
    /// 200.
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::status(200, body)
    }

    /// Any status.
    pub fn status(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let length = body.len();
        let head = format!("HTTP/1.1 {status} Whatever\r\ncontent-length: {length}\r\nconnection: close\r\n");
        Self { head, body, manner: Manner::AtOnce }
    }

    /// These bytes, whether they are HTTP or not. None: the connection is closed without an answer.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { head: String::new(), body: bytes.into(), manner: Manner::AtOnce }
    }

    /// These bytes, and then the same one until nobody listens.
    pub fn flood(head: impl Into<Vec<u8>>) -> Self {
        Self { manner: Manner::Flood, ..Self::raw(head) }
    }

    /// Nothing, for ever.
    pub fn silent() -> Self {
        Self { manner: Manner::Silent, ..Self::raw("") }
    }

    /// With another header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.head.push_str(&format!("{name}: {}\r\n", value.to_string()));
        self
    }

    /// The body never comes.
    #[must_use]
    pub fn hanging(self) -> Self {
        Self { manner: Manner::Hang, ..self }
    }

    /// The body comes byte by byte.
    #[must_use]
    pub fn dripping(self, every: Duration) -> Self {
        Self { manner: Manner::Drip(every), ..self }
    }

    /// Only half of the body comes.
    #[must_use]
    pub fn cut_short(self) -> Self {
        Self { manner: Manner::CutShort, ..self }
    }

    async fn send(self, stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        if matches!(self.manner, Manner::Silent) {
            return std::future::pending().await;
        }
        if !self.head.is_empty() {
            stream.write_all(format!("{}\r\n", self.head).as_bytes()).await?;
        }
        match self.manner {
            Manner::AtOnce => stream.write_all(&self.body).await?,
            Manner::CutShort => stream.write_all(&self.body[..self.body.len() / 2]).await?,
            Manner::Hang | Manner::Silent => std::future::pending().await,
            Manner::Flood => {
                stream.write_all(&self.body).await?;
                loop {
                    stream.write_all(&[b'x'; 4096]).await?;
                }
            }
            Manner::Drip(every) => {
                let mut tick = tokio::time::interval(every);
                for byte in self.body {
                    tick.tick().await;
                    stream.write_all(&[byte]).await?;
                    stream.flush().await?;
                }
            }
        }
        stream.flush().await?;
        stream.shutdown().await
    }
}

/// A running server; it ends with the runtime it was started in.
#[derive(Clone)]
pub struct Server {
    /// Its address, as `http://`.
    pub url: Url,
    /// The same.
    pub address: SocketAddr,
    answer: Arc<dyn Fn(&Request) -> Reply + Send + Sync>,
    requests: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// Answers every request by a function.
    pub async fn new(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen("127.0.0.1:0", None, answer).await
    }

    /// The same for tests that block: on a thread of its own, until the test program ends.
    pub fn on_a_thread(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_io().enable_time().build().expect("a runtime");
            runtime.block_on(async {
                let _ = tell.send(Self::new(answer).await);
                std::future::pending::<()>().await;
            });
        });
        told.recv().expect("a server")
    }

    /// Answers the same to every request.
    pub async fn always(reply: Reply) -> Self {
        Self::script([reply]).await
    }

    /// Answers one after the other; the last one again and again. Without any: 204.
    pub async fn script(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::new(script(replies)).await
    }

    /// Answers 204 over TLS.
    pub async fn tls(acceptor: TlsAcceptor) -> Self {
        Self::listen("127.0.0.1:0", Some(acceptor), script([])).await
    }

    /// Answers 204 at an address of its own.
    pub async fn at(address: &str) -> Self {
        Self::listen(address, None, script([])).await
    }

    async fn listen(
        address: &str,
        tls: Option<TlsAcceptor>,
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = Self {
            url: format!("http://{address}/").parse().expect("a URL"),
            address,
            answer: Arc::new(answer),
            requests: Arc::default(),
            connections: Arc::default(),
        };
        tokio::spawn(server.clone().serve(listener, tls));
        server
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What was asked so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The one request there was.
    #[track_caller]
    pub fn once(&self) -> Request {
        let [request] = <[_; 1]>::try_from(self.requests()).expect("one request");
        request
    }

    /// Connections so far. Those that came earlier than the call are counted, whatever became of them.
    pub async fn connections(&self) -> usize {
        // They are accepted in order: once ours is, all before it were.
        let ours = TcpStream::connect(self.address).await.expect("a server");
        let mut reader = BufReader::new(ours);
        reader.write_all(b"COUNT\r\n\r\n").await.expect("a server");
        let mut count = String::new();
        reader.read_to_string(&mut count).await.expect("a count");
        self.connections.fetch_sub(1, Ordering::SeqCst);
        count.parse::<usize>().expect("a count") - 1
    }

    async fn serve(self, listener: TcpListener, tls: Option<TlsAcceptor>) {
        while let Ok((stream, _)) = listener.accept().await {
            let count = self.connections.fetch_add(1, Ordering::SeqCst) + 1;
            let (server, tls) = (self.clone(), tls.clone());
            // A conversation that breaks off is the client's business.
            tokio::spawn(async move {
                let mut first = [0];
                match tls {
                    // A TLS record of a handshake begins so; a counting test does not.
                    Some(tls) if stream.peek(&mut first).await.is_ok() && first[0] == 0x16 => {
                        server.talk(tls.accept(stream).await?, count).await
                    }
                    _ => server.talk(stream, count).await,
                }
            });
        }
    }

    async fn talk(self, stream: impl AsyncRead + AsyncWrite + Unpin, count: usize) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        let line = read_line(&mut stream).await?;
        let mut headers = BTreeMap::new();
        while let Some((name, value)) = read_line(&mut stream).await?.split_once(':') {
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        if line == "COUNT" {
            stream.write_all(count.to_string().as_bytes()).await?;
            return stream.shutdown().await;
        }
        let target = line.split(' ').nth(1).and_then(|target| self.url.join(target).ok());
        let url = target.ok_or(io::ErrorKind::InvalidData)?;
        let length = headers.get("content-length").map_or(Ok(0), |length| length.parse());
        let mut body = vec![0; length.map_err(io::Error::other)?];
        stream.read_exact(&mut body).await?;
        let text = String::from_utf8_lossy(&body).into_owned();
        let request = Request { line, url, headers, body: text, bytes: body };
        let reply = (self.answer)(&request);
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        reply.send(&mut stream).await
    }
}

fn script(replies: impl IntoIterator<Item = Reply>) -> impl Fn(&Request) -> Reply + Send + Sync + 'static {
    let replies = Mutex::new(replies.into_iter().collect::<Vec<_>>());
    move |_| {
        let mut replies = replies.lock().unwrap_or_else(PoisonError::into_inner);
        match replies.len() {
            0 => Reply::status(204, ""),
            1 => replies[0].clone(),
            _ => replies.remove(0),
        }
    }
}

/// A line without its end. An error where the client is gone.
async fn read_line(stream: &mut (impl AsyncBufReadExt + Unpin)) -> io::Result<String> {
    let mut line = String::new();
    match stream.read_line(&mut line).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(line.trim_end().to_owned()),
    }
}
