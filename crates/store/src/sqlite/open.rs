//! How the file is opened.

use super::checksums;
use super::connections::{BUSY_TIMEOUT, READ_LIMIT, reader_pool, writer_pool, writing};
use super::files::Files;
use super::room::Room;
use super::schema;
use super::store::Sqlite;
use crate::StoreError;
use backon::{ConstantBuilder, Retryable as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;

impl Sqlite {
    /// Opens `path`, what follows `sqlite://`: a file, relative or absolute, without options.
    pub(crate) async fn open(path: &str) -> Result<Self, StoreError> {
        let file = file_of(path)?;
        let refused = |reason: String| StoreError::Open { place: path.to_owned(), reason };
        let files = Arc::new(Files::open(&file).map_err(|error| refused(error.to_string()))?);
        let mut opened = within_busy_timeout(&file, &files).await;
        let reserve_is_needed = matches!(opened, Err(StoreError::NoRoom(_))) && files.release_reserve();
        if reserve_is_needed {
            opened = within_busy_timeout(&file, &files).await;
        }
        let version = opened.map_err(|error| match error {
            StoreError::Backend(reason) | StoreError::Corrupt { reason, .. } => refused(reason),
            StoreError::NoRoom(reason) => refused(format!(
                "it cannot be made, or brought up to date, as the disk takes nothing ({reason}): \
                 make room first"
            )),
            other => other,
        })?;
        if !reserve_is_needed {
            files.keep_reserve();
        }
        let store = Self {
            version,
            writer: writer_pool(&file, Arc::clone(&files)),
            readers: reader_pool(&file, READ_LIMIT),
            room: Room::default(),
            broken: OnceLock::new(),
            limits: RwLock::default(),
            files,
        };
        match checksums::complete(&store).await {
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "some bars have no checksum yet; the next start gives it to them");
            }
            completed => completed?,
        }
        Ok(store)
    }
}

/// The file a URL's path means.
pub(super) fn file_of(path: &str) -> Result<PathBuf, StoreError> {
    let refused = |reason: &str| StoreError::Open { place: path.to_owned(), reason: reason.to_owned() };
    if path.is_empty() || path.ends_with(['/', '\\']) {
        return Err(refused("no file is named: write sqlite://folder/file.db"));
    }
    if path.contains(['?', '\0']) {
        return Err(refused("options after `?` are not taken: the program sets what it needs"));
    }
    // SQLite itself would take these for a store in memory and for a URI with options.
    if path.starts_with(':') || path.starts_with("file:") {
        return Err(refused("the store must be a plain file: write sqlite://folder/file.db"));
    }
    Ok(PathBuf::from(path))
}

/// Brings the schema up to date; several processes may start at once, so "busy" is no reason to give up.
async fn within_busy_timeout(file: &Path, files: &Arc<Files>) -> Result<String, StoreError> {
    let deadline = tokio::time::Instant::now() + 2 * BUSY_TIMEOUT;
    let pauses = ConstantBuilder::new().with_delay(Duration::from_millis(20)).without_max_times();
    (|| async { schema::bring_up_to_date(&writing(file), files).await })
        .retry(pauses)
        .sleep(tokio::time::sleep)
        .when(|error| matches!(error, StoreError::Busy) && tokio::time::Instant::now() < deadline)
        .await
}
