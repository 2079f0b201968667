//! A mail server that keeps what it accepts and misbehaves as told, on threads of its own.
//!
//! Accepted means what it means to a sender: the final dot came, and no refusal was answered to it. Whether
//! the sender learnt of it is another matter, and is recorded.

use crate::address::{self, Reserved};
use crate::mail::Mail;
use crate::wait::{until_ended, wait_for};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A client that says nothing for so long is left.
const SILENCE: Duration = Duration::from_secs(60);
/// Bytes of a message that are read.
const LARGEST: usize = 1024 * 1024;

/// How often what goes wrong: probabilities from 0 to 1, drawn anew for every connection or message.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// The connection is closed before a greeting.
    pub hang_up: f64,
    /// The greeting is 421.
    pub busy: f64,
    /// MAIL FROM is answered 451.
    pub defer_sender: f64,
    /// RCPT TO is answered 450 (greylisting).
    pub defer_recipient: f64,
    /// RCPT TO is answered 550: refused for good.
    pub refuse_recipient: f64,
    /// DATA is answered 451.
    pub defer_data: f64,
    /// The final dot is answered 452: the message is not accepted.
    pub defer_message: f64,
    /// The message is accepted, and the connection is closed without an answer.
    pub lose_answer: f64,
    /// The answer to the final dot takes a while.
    pub stall: f64,
    /// How long that while is at the longest.
    pub longest_stall: Duration,
}

/// What became of the answer to a message that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Not yet given.
    Due,
    /// Handed to the system; whether the sender still lived to read it is not known here.
    Given,
    /// Withheld on purpose.
    Lost,
    /// The sender was gone.
    Undeliverable,
}

/// A message the sink took responsibility for.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// RCPT TO.
    pub recipient: String,
    /// The message.
    pub mail: Mail,
    /// The mark that was set when the connection was made: [`SmtpSink::mark`].
    pub mark: u32,
    /// When the final dot came.
    pub at: Instant,
    /// What became of the answer.
    pub answer: Answer,
}

/// The server. Its address stays the same; it ends when dropped.
#[derive(Debug)]
pub struct SmtpSink {
    place: Reserved,
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
    accepted: Vec<Accepted>,
    connections: u64,
    faults: Faults,
    random: fastrand::Rng,
    mark: u32,
    /// Whether EHLO must name a qualified host or an address.
    strict: bool,
    /// Nobody listens.
    down: bool,
    ended: bool,
}

impl SmtpSink {
    /// Starts a server that behaves. `seed` decides what goes wrong once faults are set.
    pub fn start(seed: u64) -> Self {
        let place = address::reserve();
        let address = place.address();
        let state = State {
            accepted: Vec::new(),
            connections: 0,
            faults: Faults::default(),
            random: fastrand::Rng::with_seed(seed),
            mark: 0,
            strict: false,
            down: false,
            ended: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let listener = TcpListener::bind(address).expect("a free address");
        let serving = {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || listen(address, listener, &shared))
        };
        Self { place, shared, serving: Some(serving) }
    }

    /// The value of `email.smtp_url` that leads here.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.place.address())
    }

    /// Replaces what goes wrong, from the next connection or message on.
    pub fn set_faults(&self, faults: Faults) {
        self.shared.lock().faults = faults;
    }

    /// From now on, refuses recipients of whoever does not introduce itself by a qualified name or an
    /// address, as Postfix does with `reject_non_fqdn_helo_hostname`: not before RCPT TO.
    pub fn be_strict(&self) {
        self.shared.lock().strict = true;
    }

    /// Stops listening: once this returns, connections are refused.
    pub fn go_down(&self) {
        self.shared.lock().down = true;
        // A connection made ends the wait for one.
        wait_for("the mail server to go down", SILENCE, || TcpStream::connect(self.place.address()).err());
    }

    /// Listens again, at the same address.
    pub fn come_up(&self) {
        self.shared.lock().down = false;
        self.shared.changed.notify_all();
    }

    /// Marks what comes over connections made from now on.
    pub fn mark(&self, mark: u32) {
        self.shared.lock().mark = mark;
    }

    /// Everything accepted so far, in the order it was.
    pub fn accepted(&self) -> Vec<Accepted> {
        self.shared.lock().accepted.clone()
    }

    /// The mails accepted for an address, in the order they were.
    pub fn mails_to(&self, address: &str) -> Vec<Mail> {
        let accepted = self.accepted().into_iter().filter(|one| one.recipient == address);
        accepted.map(|one| one.mail).collect()
    }

    /// How many messages were accepted so far.
    pub fn count(&self) -> usize {
        self.shared.lock().accepted.len()
    }

    /// How many connections were made so far.
    pub fn connections(&self) -> u64 {
        self.shared.lock().connections
    }

    /// Waits until what was accepted is `enough`. Answers whether it was before `patience` was over.
    pub fn wait_until(&self, patience: Duration, mut enough: impl FnMut(&[Accepted]) -> bool) -> bool {
        let deadline = Instant::now() + patience;
        let mut state = self.shared.lock();
        loop {
            if enough(&state.accepted) {
                return true;
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return false };
            state = self.shared.wait(state, left);
        }
    }
}

impl Drop for SmtpSink {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.changed.notify_all();
        if let Some(serving) = self.serving.take() {
            until_ended(&serving, self.place.address(), SILENCE);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, limit: Duration) -> MutexGuard<'a, State> {
        self.changed.wait_timeout(state, limit).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Draws whether something goes wrong.
    fn strikes(&self, probability: impl Fn(&Faults) -> f64) -> bool {
        let mut state = self.lock();
        let probability = probability(&state.faults);
        state.random.f64() < probability
    }

    /// Takes its time, unless the sink ends meanwhile.
    fn stall(&self) {
        let mut state = self.lock();
        let longest = state.faults.longest_stall;
        let deadline = Instant::now() + longest.mul_f64(state.random.f64());
        while !state.ended {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return };
            state = self.wait(state, left);
        }
    }

    fn accept(&self, message: Accepted) -> usize {
        let mut state = self.lock();
        state.accepted.push(message);
        self.changed.notify_all();
        state.accepted.len() - 1
    }

    fn answered(&self, index: usize, answer: Answer) {
        self.lock().accepted[index].answer = answer;
        self.changed.notify_all();
    }
}

/// Accepts connections until the end. While down, nothing is bound.
fn listen(address: SocketAddr, mut listener: TcpListener, shared: &Arc<Shared>) {
    loop {
        serve(&listener, shared);
        drop(listener);
        let mut state = shared.lock();
        while state.down && !state.ended {
            state = shared.wait(state, SILENCE);
        }
        if state.ended {
            return;
        }
        listener = TcpListener::bind(address).expect("the address is still free");
    }
}

/// Accepts connections until told to go down, or to end.
fn serve(listener: &TcpListener, shared: &Arc<Shared>) {
    loop {
        let connection = listener.accept();
        let mut state = shared.lock();
        if state.down || state.ended {
            return;
        }
        let Ok((stream, _)) = connection else { continue };
        state.connections += 1;
        let mark = state.mark;
        drop(state);
        let shared = Arc::clone(shared);
        // A conversation that breaks off is the client's business.
        std::thread::spawn(move || drop(converse(&shared, &stream, mark)));
    }
}

/// One connection (RFC 5321), any number of messages.
fn converse(shared: &Shared, stream: &TcpStream, mark: u32) -> io::Result<()> {
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SILENCE))?;
    stream.set_nodelay(true)?;
    if shared.strikes(|faults| faults.hang_up) {
        return Ok(());
    }
    if shared.strikes(|faults| faults.busy) {
        return say(stream, "421 sink.test too busy");
    }
    say(stream, "220 sink.test ESMTP")?;
    let mut reader = BufReader::new(stream);
    let (mut recipient, mut client) = (String::new(), String::new());
    while let Some(line) = read_line(&mut reader)? {
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => {
                client = line.get(5..).unwrap_or_default().to_owned();
                say(stream, "250-sink.test\r\n250 8BITMIME")?;
            }
            "HELO" | "RSET" | "NOOP" => say(stream, "250 ok")?,
            "MAIL" if shared.strikes(|faults| faults.defer_sender) => say(stream, "451 not now")?,
            "MAIL" => say(stream, "250 ok")?,
            "RCPT" if shared.lock().strict && !is_qualified(&client) => {
                say(
                    stream,
                    &format!("504 5.5.2 <{client}>: Helo command rejected: need fully-qualified hostname"),
                )?;
            }
            "RCPT" if shared.strikes(|faults| faults.defer_recipient) => say(stream, "450 greylisted")?,
            "RCPT" if shared.strikes(|faults| faults.refuse_recipient) => say(stream, "550 nobody here")?,
            "RCPT" => {
                recipient = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                say(stream, "250 ok")?;
            }
            "DATA" if shared.strikes(|faults| faults.defer_data) => say(stream, "451 not now")?,
            "DATA" => {
                say(stream, "354 go ahead")?;
                let Some(message) = read_message(&mut reader)? else { return Ok(()) };
                if shared.strikes(|faults| faults.defer_message) {
                    say(stream, "452 no room")?;
                    continue;
                }
                let accepted = Accepted {
                    recipient: std::mem::take(&mut recipient),
                    mail: Mail::new(&message),
                    mark,
                    at: Instant::now(),
                    answer: Answer::Due,
                };
                let index = shared.accept(accepted);
                if shared.strikes(|faults| faults.stall) {
                    shared.stall();
                }
                if shared.strikes(|faults| faults.lose_answer) {
                    shared.answered(index, Answer::Lost);
                    return Ok(());
                }
                let said = say(stream, "250 accepted");
                shared.answered(index, if said.is_ok() { Answer::Given } else { Answer::Undeliverable });
                said?;
            }
            "QUIT" => return say(stream, "221 bye"),
            _ => say(stream, "502 not here")?,
        }
    }
    Ok(())
}

/// A name of two labels or more, or an address in brackets.
fn is_qualified(client: &str) -> bool {
    match client.strip_prefix('[').and_then(|client| client.strip_suffix(']')) {
        Some(literal) => literal.strip_prefix("IPv6:").unwrap_or(literal).parse::<std::net::IpAddr>().is_ok(),
        None => client.trim_matches('.').contains('.'),
    }
}

fn say(mut stream: &TcpStream, line: &str) -> io::Result<()> {
    stream.write_all(format!("{line}\r\n").as_bytes())
}

/// A line without its end. `None` where the client is gone.
fn read_line(reader: &mut BufReader<&TcpStream>) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line)?;
    if !line.ends_with(b"\r\n") {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&line[..line.len() - 2]).into_owned()))
}

/// Everything up to the final dot, dots unstuffed. `None` where the client went before it.
fn read_message(reader: &mut BufReader<&TcpStream>) -> io::Result<Option<Vec<u8>>> {
    let mut message = Vec::new();
    while message.len() <= LARGEST {
        let mut line = Vec::new();
        reader.read_until(b'\n', &mut line)?;
        if !line.ends_with(b"\r\n") {
            return Ok(None);
        }
        match line.strip_prefix(b".") {
            Some(b"\r\n") => return Ok(Some(message)),
            Some(stuffed) => message.extend_from_slice(stuffed),
            None => message.extend_from_slice(&line),
        }
    }
    Ok(None)
}
