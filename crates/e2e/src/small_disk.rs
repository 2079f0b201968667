//! A disk of a few megabytes that can be filled: a file system in memory, which only root may mount.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What takes the room.
const FILLER: &str = "filler";

/// A small disk, mounted until the end.
#[derive(Debug)]
pub struct SmallDisk {
    place: PathBuf,
}

impl SmallDisk {
    /// Mounts one of so many KiB at `place`. `None`, and said aloud, where that is not allowed; in CI it must
    /// be.
    pub fn mount(place: &Path, kib: u32) -> Option<Self> {
        fs::create_dir_all(place).expect("a folder");
        let size = format!("size={kib}k,mode=700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(place).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self { place: place.to_owned() }),
            failed => {
                assert!(std::env::var_os("CI").is_none(), "no file system can be mounted: {failed:?}");
                eprintln!(
                    "NOT TESTED: what a full disk does. No file system can be mounted here: {failed:?}"
                );
                None
            }
        }
    }

    /// Takes all the room there is.
    pub fn fill(&self) {
        let mut filler =
            File::options().create(true).append(true).open(self.place.join(FILLER)).expect("a file");
        loop {
            match filler.write(&[0xa5; 4096]) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return,
                Err(error) => panic!("the disk cannot be filled: {error}"),
            }
        }
    }

    /// Gives all of that back.
    pub fn make_room(&self) {
        fs::remove_file(self.place.join(FILLER)).expect("the filler");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Also while a process still writes there.
        let _ = Command::new("umount").arg("--lazy").arg(&self.place).status();
    }
}
