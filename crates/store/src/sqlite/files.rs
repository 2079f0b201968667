//! The files of a store: made for their owner's eyes alone, held on to, and watched.
//!
//! SQLite holds the database by descriptors and finds the log and its index by name, so three things can go
//! wrong behind its back: the name comes to mean another file, the same file is opened by another name (and
//! so with another log), and a descriptor that is closed takes SQLite's locks along. The last is how POSIX
//! defines them: closing *any* descriptor of a file drops all locks the process has on it. Hence the anchor:
//! one descriptor of our own, opened before SQLite opens the file and closed after it.

use crate::StoreError;
use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What the names of SQLite's own files beside the database end with: the log, and its index in shared
/// memory.
const LOG: &str = "-wal";
const BESIDE: [&str; 2] = [LOG, "-shm"];
/// For people who look which process is the worker.
const WORKER: &str = ".worker.lock";
/// Room kept for the day the disk is full.
const RESERVE: &str = ".reserve";
/// SQLite reads nothing without an index of 32 KiB beside the log.
const RESERVED_BYTES: usize = 64 * 1024;

/// Which file a name means: its device and inode.
type Identity = (u64, u64);

/// The files of one store.
pub(super) struct Files {
    /// As the operator named it.
    named: PathBuf,
    /// Where that leads: SQLite follows links, and keeps its own files there.
    real: PathBuf,
    anchor: File,
    identity: Identity,
    /// Of [`BESIDE`], as the writing connection opened them.
    beside: Mutex<Option<[Identity; 2]>>,
    locked: AtomicBool,
}

impl Files {
    /// Opens the file, or makes it, with its folder; the folder and the file are their owner's alone. A file
    /// that is open to others is closed to them; a folder that was there is somebody's decision and left as
    /// it is.
    pub(super) fn open(named: &Path) -> io::Result<Self> {
        if let Some(folder) = named.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let options = |write: bool| {
            let mut options = OpenOptions::new();
            options.read(true).append(write).create(write).mode(0o600);
            options
        };
        let anchor = match options(true).open(named) {
            // What cannot be written can still be read.
            Err(error) if error.kind() == ErrorKind::ReadOnlyFilesystem => options(false).open(named)?,
            opened => opened?,
        };
        let found = anchor.metadata()?;
        if !found.is_file() {
            return Err(io::Error::other("it is not a file"));
        }
        if found.nlink() > 1 {
            return Err(io::Error::other(format!(
                "the file has {} names (hard links), and whoever opens another one damages it: \
                 remove all names but one",
                found.nlink()
            )));
        }
        let real = named.canonicalize()?;
        for suffix in [""].into_iter().chain(BESIDE).chain([WORKER, RESERVE]) {
            close_to_others(&with_suffix(&real, suffix));
        }
        Ok(Self {
            named: named.to_owned(),
            real,
            identity: identity(&found),
            anchor,
            beside: Mutex::new(None),
            locked: AtomicBool::new(false),
        })
    }

    /// The database, as the operator named it.
    pub(super) fn named(&self) -> &Path {
        &self.named
    }

    /// The writing connection is a new one: it may have made SQLite's files anew.
    pub(super) fn reopened(&self) {
        *self.beside.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Fails where a name does not mean any more what is open. `writing`: while the writing connection holds
    /// its files open, so that from now on those are the ones.
    pub(super) fn guard(&self, writing: bool) -> Result<(), StoreError> {
        same(&self.named, self.identity)?;
        let mut beside = self.beside.lock().unwrap_or_else(PoisonError::into_inner);
        match *beside {
            Some(known) => {
                for (suffix, known) in BESIDE.into_iter().zip(known) {
                    same(&with_suffix(&self.real, suffix), known)?;
                }
            }
            None if writing => {
                let [log, index] = BESIDE.map(|suffix| {
                    let path = with_suffix(&self.real, suffix);
                    path.metadata().map(|found| identity(&found)).map_err(|error| gone(&path, &error))
                });
                *beside = Some([log?, index?]);
            }
            None => {}
        }
        Ok(())
    }

    /// Bytes of the log.
    pub(super) fn log_bytes(&self) -> u64 {
        with_suffix(&self.real, LOG).metadata().map_or(0, |found| found.len())
    }

    /// Gives up the room kept for this. False where there was none.
    pub(super) fn release_reserve(&self) -> bool {
        std::fs::remove_file(with_suffix(&self.real, RESERVE)).is_ok()
    }

    /// Keeps room to be given up, where there is any: it is no use to anybody else.
    pub(super) fn keep_reserve(&self) {
        let path = with_suffix(&self.real, RESERVE);
        if path.metadata().is_ok_and(|found| found.len() == RESERVED_BYTES as u64) {
            return;
        }
        let kept = || -> io::Result<()> {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
            // Not zeros: some file systems keep no room for those.
            let mut seed = 0x9e37_79b9_u32;
            let noise: Vec<u8> = std::iter::repeat_with(|| {
                seed ^= seed << 13;
                seed ^= seed >> 17;
                seed ^= seed << 5;
                (seed >> 24) as u8
            })
            .take(RESERVED_BYTES)
            .collect();
            file.write_all(&noise)?;
            file.sync_all()
        };
        if kept().is_err() {
            self.release_reserve();
        }
    }

    /// Becomes the worker's, or answers whose they are.
    ///
    /// The lock is on the file itself, so it holds whatever name anybody opens it by, and whatever is deleted
    /// beside it. It is an flock(2): on Linux a space of its own, which SQLite's locks (POSIX, by ranges)
    /// never meet. Elsewhere the two conflict, and the lock is on a file beside the database, found where its
    /// links lead.
    pub(super) fn lock_worker(self: &Arc<Self>) -> io::Result<Result<Held, String>> {
        let path = with_suffix(&self.real, WORKER);
        // On a full disk nobody can write down who it is. The lock is what counts.
        let beside =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let held = if cfg!(target_os = "linux") {
            if self.locked.swap(true, Ordering::SeqCst) {
                Err(TryLockError::WouldBlock)
            } else {
                self.anchor
                    .try_lock()
                    .inspect_err(|_| self.locked.store(false, Ordering::SeqCst))
                    .map(|()| Held { files: Arc::clone(self), _beside: None })
            }
        } else {
            let file = beside.as_ref().map_err(|error| io::Error::new(error.kind(), error.to_string()))?;
            let file = file.try_clone()?;
            file.try_lock().map(|()| Held { files: Arc::clone(self), _beside: Some(file) })
        };
        match held {
            Ok(held) => {
                if let Ok(mut file) = beside {
                    let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
                }
                Ok(Ok(held))
            }
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Where it cannot be read, the message does without.
                let _ = beside.and_then(|file| file.take(20).read_to_string(&mut holder));
                let process = match holder.trim() {
                    "" => String::new(),
                    id => format!(" (process {id})"),
                };
                Ok(Err(format!("{}{process}", self.named.display())))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// The worker's lock. The system releases it with the process, however that ends.
pub(super) struct Held {
    files: Arc<Files>,
    _beside: Option<File>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.files.locked.swap(false, Ordering::SeqCst) {
            // Not closed: see above.
            let _ = self.files.anchor.unlock();
        }
    }
}

impl crate::WorkerLock for Held {}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn identity(found: &Metadata) -> Identity {
    (found.dev(), found.ino())
}

/// Whether a name still means a file.
fn same(path: &Path, known: Identity) -> Result<(), StoreError> {
    match path.metadata() {
        Ok(found) if identity(&found) == known => Ok(()),
        Ok(_) => Err(StoreError::Replaced(format!("{} was replaced by another file", path.display()))),
        Err(error) => Err(gone(path, &error)),
    }
}

fn gone(path: &Path, error: &io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            StoreError::Replaced(format!("{} was moved or removed", path.display()))
        }
        _ => StoreError::Backend(format!("{} cannot be looked at: {error}", path.display())),
    }
}

/// What the program keeps holds addresses and keys: others have no business with it.
fn close_to_others(path: &Path) {
    let Ok(found) = path.symlink_metadata() else { return };
    let mode = found.permissions().mode();
    if !found.is_file() || mode & 0o077 == 0 {
        return;
    }
    match std::fs::set_permissions(path, Permissions::from_mode(mode & 0o700)) {
        Ok(()) => tracing::info!(file = %path.display(), "others could read this file; they cannot any more"),
        Err(error) => {
            tracing::warn!(file = %path.display(), %error, "others may read this file: chmod 600 it")
        }
    }
}
