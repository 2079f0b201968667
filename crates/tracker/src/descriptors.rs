//! File descriptors: how many the process may have open, and how many of these are connections.
//!
//! Every connection is one. A server that lets its clients take the last of them cannot open what sends mail,
//! asks the provider or writes the store, so some are held back for these.

use tracing::warn;

/// Held back for the store (its readers' files), the feeds, messages on their way, and what is opened for a
/// moment. With a low limit: half of it.
const HELD_BACK: u64 = 256;

/// Raises the limit of open files as far as this user may, and answers it; `None` where there is none.
#[cfg(unix)]
pub fn raise_limit() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            warn!(%error, "the limit of open files stays as it is");
            limit.current
        }
    }
}

/// How many of `limit` descriptors may be connections, where `wanted` are asked for.
pub fn connections(wanted: usize, limit: Option<u64>) -> usize {
    let Some(limit) = limit else { return wanted };
    let room = limit - HELD_BACK.min(limit / 2);
    wanted.min(usize::try_from(room).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_everything_else() {
        assert_eq!(connections(4096, None), 4096);
        assert_eq!(connections(4096, Some(1_048_576)), 4096);
        assert_eq!(connections(4096, Some(1024)), 768);
        assert_eq!(connections(4096, Some(64)), 32);
        assert_eq!(connections(10, Some(1024)), 10);
        assert_eq!(connections(4096, Some(0)), 0);
    }
}
