//! The connection to a mail server, as the conversation reads it.

use lettre::transport::smtp::client::AsyncTokioStream;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::net::TcpStream;

/// The most a server may say on one connection.
const MAX_RECEIVED: usize = 256 * 1024;

/// The connection as the dialogue reads it: at most one line at a time, and [`MAX_RECEIVED`] in all.
///
/// One line at a time keeps whatever came behind the answer to STARTTLS out of the dialogue's buffer: what
/// somebody slipped in before the encryption reaches the TLS handshake, which fails, and is never taken for
/// the server's answers after it (CVE-2011-0411).
///
/// `smtps://` does without: there a server has shown its certificate before it says a word.
#[derive(Debug)]
pub(super) struct Wire {
    stream: BufReader<TcpStream>,
    left: usize,
}

impl Wire {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream: BufReader::new(stream), left: MAX_RECEIVED }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        let received = ready!(Pin::new(&mut wire.stream).poll_fill_buf(context))?;
        let line = received.iter().position(|byte| *byte == b'\n').map_or(received.len(), |at| at + 1);
        let taken = line.min(into.remaining());
        if taken > wire.left {
            return Poll::Ready(Err(io::Error::other("the server says too much")));
        }
        into.put_slice(&received[..taken]);
        wire.left -= taken;
        Pin::new(&mut wire.stream).consume(taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

impl AsyncTokioStream for Wire {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.get_ref().peer_addr()
    }
}
