//! A terminal that is none: a program draws on it, and what it shows can be read.

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A program at a terminal of its own.
#[derive(Debug)]
pub struct PseudoTerminal {
    keyboard: File,
    screen: Arc<Mutex<Seen>>,
    reader: JoinHandle<()>,
    program: Child,
}

struct Seen {
    parser: vt100::Parser,
    /// Everything that was written.
    bytes: Vec<u8>,
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.parser.screen().contents())
    }
}

impl PseudoTerminal {
    /// Starts a program at a terminal of so many rows and columns.
    pub fn start(mut command: Command, rows: u16, columns: u16) -> Self {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
        grantpt(&keyboard).expect("a right to it");
        unlockpt(&keyboard).expect("the other end of it");
        let name = ptsname(&keyboard, Vec::new()).expect("its name");
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&keyboard, size).expect("a size");
        let open = || {
            let end = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty());
            Stdio::from(end.expect("the other end"))
        };
        command.stdin(open()).stdout(open()).stderr(open());
        let program = command.spawn().expect("the program");
        let keyboard = File::from(keyboard);
        let parser = vt100::Parser::new(rows, columns, 0);
        let screen = Arc::new(Mutex::new(Seen { parser, bytes: Vec::new() }));
        let (seen, mut written) = (Arc::clone(&screen), keyboard.try_clone().expect("the terminal"));
        let reader = std::thread::spawn(move || {
            let mut piece = [0; 4_096];
            // It ends with an error once nobody has the other end open.
            while let Ok(read @ 1..) = written.read(&mut piece) {
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.parser.process(&piece[..read]);
                seen.bytes.extend_from_slice(&piece[..read]);
            }
        });
        Self { keyboard, screen, reader, program }
    }

    /// Presses keys, as a terminal writes them.
    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the keys");
    }

    /// What is on the screen, line by line.
    pub fn text(&self) -> String {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner).parser.screen().contents()
    }

    /// Everything that was written to it.
    pub fn bytes(&self) -> Vec<u8> {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner).bytes.clone()
    }

    /// Waits until the screen shows something.
    #[track_caller]
    pub fn wait_for(&self, what: &str, patience: Duration) -> String {
        let deadline = Instant::now() + patience;
        match qqq_testkit::wait_until(deadline, || Some(self.text()).filter(|text| text.contains(what))) {
            Some(text) => text,
            None => panic!("waited {patience:?} in vain for {what:?} on\n{}", self.text()),
        }
    }

    /// Waits until the program has ended and everything that it wrote was read.
    #[track_caller]
    pub fn ended(&mut self, patience: Duration) -> ExitStatus {
        let program = &mut self.program;
        let end = qqq_testkit::wait_until(Instant::now() + patience, || program.try_wait().expect("a child"));
        let end = end.unwrap_or_else(|| panic!("waited {patience:?} in vain for the end"));
        qqq_testkit::wait_for("its last words", patience, || self.reader.is_finished().then_some(()));
        end
    }
}

impl Drop for PseudoTerminal {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}
