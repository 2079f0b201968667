//! A mail server that does what a script says, and remembers all it was told.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Where in a conversation the server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum At {
    /// Once the connection stands.
    Greeting,
    /// To EHLO.
    Ehlo,
    /// To STARTTLS.
    StartTls,
    /// To AUTH.
    Auth,
    /// To MAIL FROM.
    Mail,
    /// To RCPT TO.
    Rcpt,
    /// To DATA.
    Data,
    /// After the final dot.
    Dot,
    /// To QUIT.
    Quit,
}

/// What it does there.
#[derive(Clone, Debug)]
pub enum Act {
    /// Answers with these bytes.
    Say(Vec<u8>),
    /// Answers with the same byte until nobody listens.
    Flood(u8),
    /// Closes the connection.
    Drop,
    /// Says nothing, for ever.
    Stall,
    /// Answers what this makes of the command.
    Judge(fn(&str) -> &'static str),
}

/// Says one line.
pub fn say(line: &str) -> Act {
    Act::Say(format!("{line}\r\n").into_bytes())
}

/// When TLS begins.
#[derive(Clone)]
pub enum Tls {
    /// Never.
    None,
    /// From the first byte.
    Implicit(TlsAcceptor),
    /// After STARTTLS, which is offered.
    Offered(TlsAcceptor),
}

/// What the server was told on one connection.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// Command lines, each with whether it came encrypted.
    pub commands: Vec<(String, bool)>,
    /// The message as it came between DATA and the final dot, undone of dot-stuffing.
    pub message: Option<Vec<u8>>,
    /// Bytes that went out in a flood before the client hung up.
    pub flooded: usize,
}

impl Heard {
    /// The first word of each command.
    pub fn verbs(&self) -> Vec<&str> {
        self.commands.iter().map(|(line, _)| verb(line)).collect()
    }
}

/// A running server; it ends with its runtime.
pub struct Server {
    /// Its port at 127.0.0.1.
    pub port: u16,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Server {
    /// Listens on a port of its own and follows `script`; where that is silent, it is a good server.
    pub async fn start(script: impl IntoIterator<Item = (At, Act)>, tls: Tls) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<HashMap<At, Act>> = Arc::new(script.into_iter().collect());
        let all = heard.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let index = {
                    let mut all = locked(&all);
                    all.push(Heard::default());
                    all.len() - 1
                };
                let note = Note { all: all.clone(), index };
                tokio::spawn(converse(stream, script.clone(), tls.clone(), note));
            }
        });
        Self { port, heard }
    }

    /// What was heard so far, connection by connection.
    pub fn heard(&self) -> Vec<Heard> {
        locked(&self.heard).clone()
    }

    /// What was heard on the only connection there was.
    #[track_caller]
    pub fn once(&self) -> Heard {
        let [heard] = <[_; 1]>::try_from(self.heard()).expect("one connection");
        heard
    }
}

struct Note {
    all: Arc<Mutex<Vec<Heard>>>,
    index: usize,
}

impl Note {
    fn write(&self, change: impl FnOnce(&mut Heard)) {
        change(&mut locked(&self.all)[self.index]);
    }
}

fn locked(heard: &Mutex<Vec<Heard>>) -> MutexGuard<'_, Vec<Heard>> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Ends, by error or in peace, when the client goes or the script drops it.
async fn converse(
    stream: TcpStream,
    script: Arc<HashMap<At, Act>>,
    tls: Tls,
    note: Note,
) -> std::io::Result<()> {
    let (mut encrypted, stream): (bool, Pin<Box<dyn Stream>>) = match &tls {
        Tls::Implicit(acceptor) => (true, Box::pin(acceptor.accept(stream).await?)),
        _ => (false, Box::pin(stream)),
    };
    let mut stream = BufReader::new(stream);
    let act = |at: At, usual: &str| script.get(&at).cloned().unwrap_or_else(|| say(usual));

    perform(&mut stream, act(At::Greeting, "220 test"), &note).await?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let line = line.trim_end().to_owned();
        let verb = verb(&line).to_ascii_uppercase();
        let act = |at: At, usual: &str| match act(at, usual) {
            Act::Judge(judge) => say(judge(&line)),
            act => act,
        };
        note.write(|heard| heard.commands.push((line.clone(), encrypted)));
        match verb.as_str() {
            "EHLO" => {
                let starttls =
                    if matches!(tls, Tls::Offered(_)) && !encrypted { "250-STARTTLS\r\n" } else { "" };
                let usual = format!("250-test\r\n{starttls}250-AUTH PLAIN LOGIN\r\n250 8BITMIME");
                perform(&mut stream, act(At::Ehlo, &usual), &note).await?;
            }
            "STARTTLS" => {
                perform(&mut stream, act(At::StartTls, "220 go"), &note).await?;
                if let Tls::Offered(acceptor) = &tls {
                    let plain = stream.into_inner();
                    stream = BufReader::new(Box::pin(acceptor.accept(plain).await?));
                    encrypted = true;
                }
            }
            "AUTH" => perform(&mut stream, act(At::Auth, "235 welcome"), &note).await?,
            "MAIL" => perform(&mut stream, act(At::Mail, "250 ok"), &note).await?,
            "RCPT" => perform(&mut stream, act(At::Rcpt, "250 ok"), &note).await?,
            "DATA" => {
                let go = act(At::Data, "354 go");
                let refused = matches!(&go, Act::Say(reply) if !reply.starts_with(b"354"));
                perform(&mut stream, go, &note).await?;
                if !refused {
                    let message = read_message(&mut stream).await?;
                    note.write(|heard| heard.message = Some(message));
                    perform(&mut stream, act(At::Dot, "250 accepted"), &note).await?;
                }
            }
            "QUIT" => {
                perform(&mut stream, act(At::Quit, "221 bye"), &note).await?;
                return Ok(());
            }
            _ => perform(&mut stream, say("500 what?"), &note).await?,
        }
    }
}

async fn perform(stream: &mut BufReader<Pin<Box<dyn Stream>>>, act: Act, note: &Note) -> std::io::Result<()> {
    match act {
        Act::Say(bytes) => {
            stream.write_all(&bytes).await?;
            stream.flush().await
        }
        Act::Flood(byte) => loop {
            stream.write_all(&[byte; 4096]).await?;
            note.write(|heard| heard.flooded += 4096);
        },
        Act::Drop => Err(std::io::ErrorKind::ConnectionAborted.into()),
        Act::Stall => std::future::pending().await,
        Act::Judge(_) => panic!("there is no command to judge"),
    }
}

/// The first word of a command.
fn verb(line: &str) -> &str {
    line.split([' ', ':']).next().unwrap_or_default()
}

/// Reads up to the line that is a dot alone; other leading dots were doubled by the client (RFC 5321, 4.5.2).
async fn read_message(stream: &mut BufReader<Pin<Box<dyn Stream>>>) -> std::io::Result<Vec<u8>> {
    let mut message = Vec::new();
    loop {
        let mut line = Vec::new();
        if stream.read_until(b'\n', &mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        assert!(line.ends_with(b"\r\n"), "a bare LF");
        if line == b".\r\n" {
            return Ok(message);
        }
        message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}
