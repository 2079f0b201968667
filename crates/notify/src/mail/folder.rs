//! Mails as files, where no mail server is set: one `.eml` each, for any mail program to open.

use crate::DeliveryError;
use qqq_core::delivery::Delivery;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A folder of mails.
#[derive(Debug)]
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    /// Writes the mail, durably. A second attempt of the same delivery replaces its file.
    pub(crate) async fn put(&self, delivery: &Delivery, mail: Vec<u8>) -> Result<(), DeliveryError> {
        let name = file_name(delivery);
        // Fenced by the lease: two claims of one delivery never write into each other's file.
        let draft = format!(".{}-{}.tmp", delivery.id, delivery.lease.0);
        let folder = self.0.clone();
        self.blocking(move || write(&folder, &draft, &name, &mail)).await
    }

    /// Makes the folder and writes a file into it.
    pub(crate) async fn check(&self) -> Result<String, DeliveryError> {
        let folder = self.0.clone();
        self.blocking(move || {
            write(&folder, ".check.tmp", ".check", b"")?;
            fs::remove_file(folder.join(".check"))
        })
        .await?;
        Ok(format!("mails are written as files into {}", self.0.display()))
    }

    async fn blocking(
        &self,
        work: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> Result<(), DeliveryError> {
        let done =
            tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)));
        done.map_err(|error| {
            DeliveryError::Retry(format!("the mail folder {} cannot be written: {error}", self.0.display()))
        })
    }
}

/// `20250127T185712Z-alert-NVDA-<delivery id>.eml`: a function of what is owed, not of the attempt, and in the
/// order it came to be owed.
fn file_name(delivery: &Delivery) -> String {
    let owed = delivery.created_at.strftime("%Y%m%dT%H%M%SZ");
    format!("{owed}-{}-{}-{}.eml", delivery.kind, delivery.subscription.symbol, delivery.id)
}

/// A reader of the folder sees the whole file or none: written aside, synced, renamed, the folder synced.
fn write(folder: &Path, draft: &str, name: &str, content: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let draft = folder.join(draft);
    let written = write_draft(&draft, content).and_then(|()| fs::rename(&draft, folder.join(name)));
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written?;
    File::open(folder)?.sync_all()
}

fn write_draft(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    // A mail holds an address and links that act for its owner.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}
