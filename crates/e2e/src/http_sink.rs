//! A receiver of webhooks that keeps what it is sent and answers as told.

use crate::{wait_for, wait_until};
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

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
    /// The status it was answered.
    pub answer: u16,
}

/// The receiver. Its address stays the same; it ends when dropped.
#[derive(Debug)]
pub struct HttpSink {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    serving: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    received: Vec<Received>,
    answer: u16,
    ended: bool,
}

impl HttpSink {
    /// Starts a receiver that accepts what it is sent, with 204.
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("the port");
        let state = Arc::new(Mutex::new(State { received: Vec::new(), answer: 204, ended: false }));
        let serving = {
            let state = Arc::clone(&state);
            std::thread::spawn(move || serve(&listener, &state))
        };
        Self { address, state, serving: Some(serving) }
    }

    /// An address here.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers with this status from the next request on.
    pub fn answer(&self, status: u16) {
        lock(&self.state).answer = status;
    }

    /// Waits until it was sent so many requests more than now. Panics once `patience` is over.
    #[track_caller]
    pub fn wait_for_more(&self, more: usize, patience: Duration) {
        let enough = self.received().len() + more;
        wait_for("more requests", patience, || (self.received().len() >= enough).then_some(()));
    }

    /// Everything it was sent so far, whatever it answered, in the order it came.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.state).received.clone()
    }
}

impl Drop for HttpSink {
    fn drop(&mut self) {
        lock(&self.state).ended = true;
        let Some(serving) = self.serving.take() else { return };
        // A connection made ends the wait for one.
        let ended = || {
            let _ = TcpStream::connect(self.address);
            serving.is_finished().then_some(())
        };
        wait_until(Instant::now() + SILENCE, ended);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(listener: &TcpListener, state: &Arc<Mutex<State>>) {
    for stream in listener.incoming() {
        if lock(state).ended {
            return;
        }
        let Ok(stream) = stream else { continue };
        let state = Arc::clone(state);
        // A request that breaks off is the client's business.
        std::thread::spawn(move || drop(converse(&state, &stream)));
    }
}

/// One request, one answer, and the end of the connection.
fn converse(state: &Mutex<State>, stream: &TcpStream) -> io::Result<()> {
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
    let mut body = Vec::new();
    if reader.by_ref().take(length).read_to_end(&mut body)? as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let body = String::from_utf8(body).map_err(io::Error::other)?;

    let answer = {
        let mut state = lock(state);
        let answer = state.answer;
        state.received.push(Received { method, path, headers, body, answer });
        answer
    };
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
