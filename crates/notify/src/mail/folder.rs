//! Mails as files, where no mail server is set: one `.eml` each, for any mail program to open.

use crate::DeliveryError;
use jiff::{SignedDuration, Timestamp};
use qqq_core::delivery::{Delivery, DeliveryId, Lease, SignInMail};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A draft this old belongs to no writer any more: one takes seconds.
const DRAFT_LIFETIME: SignedDuration = SignedDuration::from_hours(1);

/// How long a mail waits where the disk takes nothing.
const NO_ROOM_PAUSE: Duration = Duration::from_secs(5);

/// A folder of mails.
#[derive(Debug)]
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    /// The folder, rid of the drafts that processes left when they were killed: a draft holds an address and
    /// tokens that act for it.
    ///
    /// Younger drafts stay: another process may be writing them. What cannot be removed now is tried again
    /// at the next start, and hinders nothing.
    pub(crate) fn open(path: PathBuf, now: Timestamp) -> Self {
        match remove_old_drafts(&path, now) {
            Ok(0) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Ok(drafts) => tracing::info!(drafts, "removed drafts of mails that a killed process left"),
            Err(error) => tracing::warn!(%error, "could not look for left drafts in the mail folder"),
        }
        Self(path)
    }

    /// Writes the mail, durably. A second attempt of the same delivery replaces its file.
    pub(crate) async fn put(
        &self,
        name: String,
        id: DeliveryId,
        lease: Lease,
        mail: Vec<u8>,
    ) -> Result<(), DeliveryError> {
        // Fenced by the lease: two claims of one delivery never write into each other's file.
        let draft = format!(".{id}-{}{DRAFT}", lease.0);
        let folder = self.0.clone();
        self.blocking(move || write(&folder, &draft, &name, &mail)).await
    }

    /// Makes the folder and writes a file into it, as large as `mail`.
    pub(crate) async fn check(&self, mail: Vec<u8>) -> Result<String, DeliveryError> {
        let folder = self.0.clone();
        self.blocking(move || {
            write(&folder, ".check.tmp", ".check", &mail)?;
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
            let reason = format!("the mail folder {} cannot be written: {error}", self.0.display());
            match error.kind() {
                // Nobody was asked: the schedule of failures is not for this, and room may come any moment.
                ErrorKind::StorageFull
                | ErrorKind::QuotaExceeded
                | ErrorKind::FileTooLarge
                | ErrorKind::ReadOnlyFilesystem => DeliveryError::NotTried(reason, NO_ROOM_PAUSE),
                _ => DeliveryError::retry(reason),
            }
        })
    }
}

/// `20250127T185712Z-alert-NVDA-<delivery id>.eml`: a function of what is owed, not of the attempt, and in
/// the order it was enqueued.
pub(crate) fn file_name(delivery: &Delivery) -> String {
    let owed = delivery.created_at.strftime("%Y%m%dT%H%M%SZ");
    let symbol = delivery.alert.as_ref().map(|alert| alert.symbol).or(delivery.subscription.scope.symbol());
    let about = symbol.map_or_else(|| "watchlist".to_owned(), |symbol| symbol.to_string());
    format!("{owed}-{}-{about}-{}.eml", delivery.kind, delivery.id)
}

/// `20250127T185712Z-sign_in-<delivery id>.eml`.
pub(crate) fn sign_in_file_name(mail: &SignInMail) -> String {
    format!("{}-sign_in-{}.eml", mail.created_at.strftime("%Y%m%dT%H%M%SZ"), mail.delivery_id())
}

/// How the name of a draft ends. It begins with a dot.
const DRAFT: &str = ".tmp";

/// Removes the drafts of mails last written [`DRAFT_LIFETIME`] before `now` or earlier, and counts them.
fn remove_old_drafts(folder: &Path, now: Timestamp) -> io::Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(is_draft) && is_old(&entry, now) {
            removed += usize::from(fs::remove_file(entry.path()).is_ok());
        }
    }
    Ok(removed)
}

/// `.<delivery id>-<lease>.tmp`, and nothing that anybody else would call a file.
fn is_draft(name: &str) -> bool {
    let stem = name.strip_prefix('.').and_then(|name| name.strip_suffix(DRAFT));
    stem.and_then(|stem| stem.rsplit_once('-'))
        .is_some_and(|(id, lease)| id.parse::<DeliveryId>().is_ok() && lease.parse::<i64>().is_ok())
}

fn is_old(entry: &fs::DirEntry, now: Timestamp) -> bool {
    let written = entry.metadata().ok().filter(fs::Metadata::is_file).and_then(|data| data.modified().ok());
    written
        .and_then(|written| Timestamp::try_from(written).ok())
        .is_some_and(|written| now.duration_since(written) >= DRAFT_LIFETIME)
}

/// A reader of the folder sees the whole file or none: written aside, synced, renamed, the folder synced.
fn write(folder: &Path, draft: &str, name: &str, content: &[u8]) -> io::Result<()> {
    // Mails hold addresses, and links that act for their owners.
    let mut make = fs::DirBuilder::new();
    make.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut make, 0o700);
    make.create(folder)?;
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
