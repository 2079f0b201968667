//! Addresses to listen on again and again, for what is restarted.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// An address of this machine that nobody else who asks here gets while this is kept, in whichever test
/// program.
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
pub fn reserve() -> Reserved {
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
