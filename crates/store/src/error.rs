//! What can go wrong with a store.

use qqq_core::Cadence;
use qqq_core::subscription::limits::LimitExceeded;

/// Why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL names a backend this program does not know.
    #[error("`{0}` is not a store: the URL must begin with sqlite://")]
    UnknownScheme(String),
    /// The URL names a backend this build leaves out.
    #[error("this build has no {0} store: the URL must begin with sqlite://")]
    NotBuiltIn(String),
    /// The bundled SQLite is older than the first version without the WAL-reset bug.
    #[error("SQLite {0} can lose commits; 3.51.3 or newer is needed")]
    OldSqlite(String),
    /// Bars are kept here that come at another cadence than those that are to come.
    #[error(
        "the store holds bars of {kept} each, and market.interval is {asked}: a store holds one interval. \
         Set market.interval to {kept}, or name another store in store.url"
    )]
    OtherCadence {
        /// That of the bars here.
        kept: Cadence,
        /// That of those to come.
        asked: Cadence,
    },
    /// Another process is the store's worker.
    #[error("another worker runs on {0}: stop it first (only one may write bars and send mail)")]
    WorkerRunning(String),
    /// The store could not be opened.
    #[error("cannot open {place}: {reason}")]
    Open {
        /// Which store.
        place: String,
        /// Why.
        reason: String,
    },
    /// What is stored is not what was written: by the shape of the file, a row's checksum, or what no version
    /// of this program ever wrote.
    #[error("the store is damaged in {table}: {reason}")]
    Corrupt {
        /// Which table.
        table: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// What was to become active is beyond a limit. Nothing was changed.
    #[error(transparent)]
    BeyondLimit(#[from] LimitExceeded),
    /// Somebody else held the store for too long.
    #[error("the store is busy")]
    Busy,
    /// The disk takes nothing: it is full, over a quota, read-only, or the file is as large as it may be.
    /// Nothing was written, what is stored can be read, and the same call succeeds once there is room.
    #[error("the disk takes nothing ({0})")]
    NoRoom(String),
    /// A sync to the disk failed: what is on it is not known before the store is opened anew, so nothing is
    /// written any more.
    #[error(
        "nothing is written any more since the disk failed ({0}): \
         look after the disk, then start the program again"
    )]
    SyncFailed(String),
    /// The files under the store's name are not those that were opened: what is written does not get there.
    #[error(
        "{0} while it was open: what is written now would be lost. \
         Bring the file back where it was moved away, and start the program again"
    )]
    Replaced(String),
    /// The backend failed.
    #[error("the store failed: {0}")]
    Backend(String),
}

impl StoreError {
    /// Whether the same call may succeed later, as nothing is wrong with the store itself.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy | Self::NoRoom(_))
    }
}
