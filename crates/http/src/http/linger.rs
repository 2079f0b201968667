//! How a connection is closed whose peer may still be sending.
//!
//! Closing a socket that has unread bytes resets the connection, and the reset overtakes the answer: a client
//! that sends all of its body before it reads would find a broken pipe where its 413 is. So the answer ends
//! with our FIN, and what still comes is read and thrown away (RFC 9112 section 9.6), within limits of time
//! and size.

use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A peer that sends nothing for so long will not send the rest.
const QUIET: Duration = Duration::from_secs(5);
/// Bytes read and thrown away at most: many times what anybody sends by mistake.
pub(crate) const MOST: usize = 64 * 1024 * 1024;
const PIECE: usize = 16 * 1024;

/// Ends our side of `stream`, and drains the peer's until it ends, falls silent, or has sent [`MOST`] bytes;
/// for `longest` in all.
pub(crate) async fn close(mut stream: TcpStream, longest: Duration) {
    let drained = tokio::time::timeout(longest, async {
        stream.shutdown().await?;
        let mut piece = vec![0; PIECE];
        let mut left = MOST;
        while left > 0 {
            match tokio::time::timeout(QUIET, stream.read(&mut piece)).await {
                Ok(Ok(read @ 1..)) => left = left.saturating_sub(read),
                Ok(Ok(0)) | Err(_) => break,
                Ok(Err(error)) => return Err(error),
            }
        }
        Ok::<_, std::io::Error>(())
    });
    if let Ok(Err(error)) = drained.await {
        tracing::debug!(%error, "a peer went away before it had read its answer");
    }
}
