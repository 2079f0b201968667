//! What SQLite's errors mean.

use crate::StoreError;
use libsqlite3_sys::{
    SQLITE_BUSY, SQLITE_CORRUPT, SQLITE_FULL, SQLITE_INTERRUPT, SQLITE_IOERR, SQLITE_IOERR_DIR_FSYNC,
    SQLITE_IOERR_FSYNC, SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_TRUNCATE, SQLITE_IOERR_WRITE, SQLITE_LOCKED,
    SQLITE_NOTADB, SQLITE_READONLY,
};

/// What an error of SQLite says of the disk.
pub(super) enum Failure {
    Busy,
    /// The disk takes nothing. What was to be written was not, and nothing else is in doubt.
    Room(&'static str),
    /// A sync failed.
    Sync,
    /// The disk failed otherwise.
    Disk,
    Corrupt,
    /// It took longer than it may.
    Interrupted,
    Other,
}

/// What an error says of the disk.
pub(super) fn failure(error: &sqlx::Error) -> Failure {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    let Some(code) = code.and_then(|code| code.parse().ok()) else {
        return if matches!(error, sqlx::Error::PoolTimedOut) { Failure::Busy } else { Failure::Other };
    };
    match code {
        SQLITE_IOERR_FSYNC | SQLITE_IOERR_DIR_FSYNC => Failure::Sync,
        // Only "no space left" has a code of its own. A quota, a limit on the size of files and a disk that
        // became read-only are told like this; so is a disk that fails at once, which loses nothing either.
        SQLITE_IOERR_WRITE | SQLITE_IOERR_TRUNCATE => {
            Failure::Room("a write is refused: by a quota, a limit on the size of files, or a failing disk")
        }
        SQLITE_IOERR_SHMSIZE => Failure::Room("the disk is full"),
        code => match code & 0xff {
            SQLITE_BUSY | SQLITE_LOCKED => Failure::Busy,
            SQLITE_FULL => Failure::Room("the disk is full"),
            SQLITE_READONLY => Failure::Room("the file is read-only"),
            SQLITE_IOERR => Failure::Disk,
            SQLITE_CORRUPT | SQLITE_NOTADB => Failure::Corrupt,
            SQLITE_INTERRUPT => Failure::Interrupted,
            _ => Failure::Other,
        },
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match failure(&error) {
            Failure::Busy => Self::Busy,
            Failure::Room(reason) => Self::NoRoom(reason.to_owned()),
            Failure::Sync => Self::SyncFailed(error.to_string()),
            Failure::Corrupt => Self::Corrupt { table: "the file", reason: error.to_string() },
            Failure::Interrupted => Self::Backend("a read took too long, and was ended".to_owned()),
            Failure::Disk | Failure::Other => Self::Backend(error.to_string()),
        }
    }
}
