//! Drives the built program from outside: as a process, over HTTP, and through the mails it sends.
//!
//! ```text
//! tracker    a folder with settings, and the process that runs in it
//! http       a small client that blocks
//! http_sink  a receiver of webhooks
//! small_disk a disk that can be filled
//! smtp_sink  a mail server that can be told to misbehave
//! mail       what a mail says
//! ```
//!
//! This is a harness for tests: whatever goes wrong in it is a panic that says what.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

pub mod http;
pub mod http_sink;
pub mod mail;
pub mod small_disk;
pub mod smtp_sink;
pub mod tracker;

pub use http::{Http, Response};
pub use http_sink::{HttpSink, Received};
pub use mail::Mail;
pub use small_disk::SmallDisk;
pub use smtp_sink::{Accepted, Answer, Faults, SmtpSink};
pub use tracker::{Tracker, binary};

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(5);

/// Waits until `look` answers something, and answers it. Panics with `what` was waited for once `patience` is
/// over.
#[track_caller]
pub fn wait_for<T>(what: &str, patience: Duration, look: impl FnMut() -> Option<T>) -> T {
    match wait_until(Instant::now() + patience, look) {
        Some(found) => found,
        None => panic!("waited {patience:?} in vain for {what}"),
    }
}

/// Waits until `look` answers something or `deadline` has passed.
pub fn wait_until<T>(deadline: Instant, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        pause();
    }
}

#[expect(clippy::disallowed_methods, reason = "between two looks at a condition that has a deadline")]
fn pause() {
    std::thread::sleep(POLL);
}

/// An address of this machine that nobody else who asks here gets while this is kept, in whichever test program.
#[derive(Debug)]
pub struct Reserved {
    address: SocketAddr,
    /// Locked. The system releases it, however the test ends.
    _claim: File,
}

impl Reserved {
    /// The address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Reserves an address nobody listens on. The port is below those the system gives to clients, so that no
/// outgoing connection takes it while a process restarts.
pub fn reserve_address() -> Reserved {
    const PORTS: std::ops::Range<u16> = 20_000..32_000;
    let folder = std::env::temp_dir().join("qqq-tracker-e2e-ports");
    fs::create_dir_all(&folder).expect("a folder for reservations");
    // Test programs that run side by side start at different places.
    let start = std::process::id().wrapping_mul(97) as u16;
    for step in 0..PORTS.len() as u16 {
        let port = PORTS.start + start.wrapping_add(step) % (PORTS.end - PORTS.start);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let claim =
            File::options().write(true).create(true).truncate(false).open(folder.join(port.to_string()));
        if let Ok(claim) = claim
            && claim.try_lock().is_ok()
            && TcpListener::bind(address).is_ok()
        {
            return Reserved { address, _claim: claim };
        }
    }
    panic!("no port from {} to {} is free", PORTS.start, PORTS.end)
}
