//! What the server and answers that take long tell each other.

use tokio_util::sync::CancellationToken;

/// Told when the server stops. Put into requests by the server, never by the client.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stopping(pub(crate) CancellationToken);

/// Put into answers that end only when their stream does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endless;
