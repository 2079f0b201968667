//! A web server that answers what a test wants, well or badly.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) url: Url,
    pub(crate) headers: HashMap<String, String>,
}

impl Request {
    pub(crate) fn path(&self) -> &str {
        self.url.path()
    }

    /// A query parameter, or nothing.
    pub(crate) fn query(&self, name: &str) -> String {
        let found = self.url.query_pairs().find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned()).unwrap_or_default()
    }

    pub(crate) fn has_query(&self, name: &str) -> bool {
        self.url.query_pairs().any(|(key, _)| key == name)
    }
}

#[derive(Debug, Clone, Copy)]
enum Manner {
    AtOnce,
    /// The headers, then nothing.
    Hang,
    /// One byte at a time.
    Drip(Duration),
    /// Half the body that the headers announced, then the end.
    CutShort,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    manner: Manner,
}

impl Reply {
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::status(200, body)
    }

    pub(crate) fn status(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), manner: Manner::AtOnce }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    pub(crate) fn hanging(self) -> Self {
        Self { manner: Manner::Hang, ..self }
    }

    pub(crate) fn dripping(self, every: Duration) -> Self {
        Self { manner: Manner::Drip(every), ..self }
    }

    pub(crate) fn cut_short(self) -> Self {
        Self { manner: Manner::CutShort, ..self }
    }
}

/// A running server; it ends with its runtime.
pub(crate) struct Server {
    pub(crate) url: Url,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Answers every request by a function.
    pub(crate) async fn new(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url: Url =
            format!("http://{}/", listener.local_addr().expect("an address")).parse().expect("a URL");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let server = Self { url: url.clone(), seen: seen.clone() };
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, url.clone(), seen.clone(), answer.clone()));
            }
        });
        server
    }

    /// Answers the same to every request.
    pub(crate) async fn always(reply: Reply) -> Self {
        Self::new(move |_| reply.clone()).await
    }

    /// Answers one after the other; the last one again and again.
    pub(crate) async fn script(replies: Vec<Reply>) -> Self {
        let replies = Mutex::new(replies);
        Self::new(move |_| {
            let mut replies = replies.lock().expect("no panic before");
            if replies.len() > 1 { replies.remove(0) } else { replies[0].clone() }
        })
        .await
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Request> {
        self.seen.lock().expect("no panic before").clone()
    }
}

async fn serve(
    stream: TcpStream,
    base: Url,
    seen: Arc<Mutex<Vec<Request>>>,
    answer: Arc<impl Fn(&Request) -> Reply + Send + Sync + 'static>,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let url = base.join(line.split(' ').nth(1)?).ok()?;
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let request = Request { url, headers };
    let reply = answer(&request);
    seen.lock().expect("no panic before").push(request);

    let mut head = format!(
        "HTTP/1.1 {} Whatever\r\ncontent-length: {}\r\nconnection: close\r\n",
        reply.status,
        reply.body.len()
    );
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await.ok()?;
    match reply.manner {
        Manner::AtOnce => stream.write_all(&reply.body).await.ok()?,
        Manner::CutShort => stream.write_all(&reply.body[..reply.body.len() / 2]).await.ok()?,
        Manner::Hang => std::future::pending().await,
        Manner::Drip(every) => {
            let mut tick = tokio::time::interval(every);
            for byte in reply.body {
                tick.tick().await;
                stream.write_all(&[byte]).await.ok()?;
                stream.flush().await.ok()?;
            }
        }
    }
    stream.flush().await.ok()?;
    stream.shutdown().await.ok()
}
