//! A receiver of webhooks that keeps what it is sent and answers as told, on threads of its own.

use crate::wait::{until_ended, wait_for};
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// A client that says nothing for so long is left.
const SILENCE: Duration = Duration::from_secs(60);
/// Bytes of a request that are read.
const LARGEST: u64 = 1024 * 1024;

/// A request, as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// `POST`
    pub method: String,
    /// `/hook?key=value`
    pub path: String,
    /// By name in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body, of which every byte is signed.
    pub body: String,
    /// The same, byte by byte: what is no text is replaced in `body`.
    pub bytes: Vec<u8>,
    /// The status it was answered.
    pub answer: u16,
}

/// The receiver. Its address stays the same; it ends when dropped.
#[derive(Debug)]
pub struct HttpSink {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    received: Vec<Received>,
    answer: u16,
    /// Nobody is answered.
    held: bool,
    answered: usize,
    ended: bool,
}

impl HttpSink {
    /// Starts a receiver that accepts what it is sent, with 204.
    pub fn start() -> Self {
        Self::start_on(Ipv4Addr::LOCALHOST)
    }

    /// The same, on every address of this machine: many hosts for one receiver ([`HttpSink::url_at`]).
    pub fn start_on_all_addresses() -> Self {
        Self::start_on(Ipv4Addr::UNSPECIFIED)
    }

    fn start_on(address: Ipv4Addr) -> Self {
        let listener = TcpListener::bind((address, 0)).expect("a free port");
        let port = listener.local_addr().expect("the port").port();
        let state = State { received: Vec::new(), answer: 204, held: false, answered: 0, ended: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let serving = {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || serve(&listener, &shared))
        };
        Self { address: (Ipv4Addr::LOCALHOST, port).into(), shared, serving: Some(serving) }
    }

    /// An address here.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// An address at 127.0.0.`host`.
    pub fn url_at(&self, host: u8, path: &str) -> String {
        format!("http://127.0.0.{host}:{}{path}", self.address.port())
    }

    /// Answers with this status from the next request on.
    pub fn answer(&self, status: u16) {
        self.shared.lock().answer = status;
    }

    /// From now on, lets everybody wait for an answer.
    pub fn hold(&self) {
        self.shared.lock().held = true;
    }

    /// Answers all who wait, and who comes.
    pub fn release(&self) {
        self.shared.lock().held = false;
        self.shared.changed.notify_all();
    }

    /// How many requests it has begun to answer so far.
    pub fn answered(&self) -> usize {
        self.shared.lock().answered
    }

    /// Waits until it was sent so many requests more than now. Panics once `patience` is over.
    #[track_caller]
    pub fn wait_for_more(&self, more: usize, patience: Duration) {
        let enough = self.received().len() + more;
        wait_for("more requests", patience, || (self.received().len() >= enough).then_some(()));
    }

    /// Everything it was sent so far, whatever it answered, in the order it came.
    pub fn received(&self) -> Vec<Received> {
        self.shared.lock().received.clone()
    }
}

impl Drop for HttpSink {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.changed.notify_all();
        if let Some(serving) = self.serving.take() {
            until_ended(&serving, self.address, SILENCE);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the request, waits while everybody is held, and answers the status to answer with.
    fn take(&self, received: impl FnOnce(u16) -> Received) -> u16 {
        let mut state = self.lock();
        let answer = state.answer;
        state.received.push(received(answer));
        while state.held && !state.ended {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.answered += 1;
        answer
    }
}

fn serve(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.lock().ended {
            return;
        }
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        // A request that breaks off is the client's business.
        std::thread::spawn(move || drop(converse(&shared, &stream)));
    }
}

/// One request, one answer, and the end of the connection.
fn converse(shared: &Shared, stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SILENCE))?;
    let mut reader = BufReader::new(stream).take(LARGEST);
    let line = read_line(&mut reader)?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = BTreeMap::new();
    loop {
        let line = read_line(&mut reader)?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length: u64 =
        headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or_default();
    let mut bytes = Vec::new();
    if reader.by_ref().take(length).read_to_end(&mut bytes)? as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let body = String::from_utf8_lossy(&bytes).into_owned();

    let answer = shared.take(|answer| Received { method, path, headers, body, bytes, answer });
    let head = format!("HTTP/1.1 {answer} as told\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    (&mut &*stream).write_all(head.as_bytes())
}

/// A line without its end; empty where the head ends.
fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(line.to_owned()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
