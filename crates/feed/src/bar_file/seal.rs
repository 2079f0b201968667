//! What a Parquet file of an archive says of itself in its footer: a mark of its writer's, and a checksum.
//!
//! Pages carry checksums, the footer has none: a bit of it that changed could hide rows or move a decimal
//! point. So the footer holds the CRC-32 of itself, computed with zeros in its place. Readers that do not
//! know it see two entries of the file's key-value metadata.

use super::options::ReadOptions;
use super::parquet_read::{MAGIC, guarded};
use super::source::{self, BarFile, file_error};
use crate::FeedError;
use parquet::file::metadata::KeyValue;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

const MARK: &str = "qqq-tracker.archive";
const CHECKSUM: &str = "qqq-tracker.footer";
/// What the checksum's digits stand behind, and in their place while it is computed.
const PREFIX: &[u8] = b"crc32-of-footer:";
const ZEROS: &[u8] = b"00000000";
/// The footer's length, and the magic behind it.
const TAIL: u64 = 8;
/// Largest footer that is read: of 256 row groups it has some hundred kilobytes.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// The entries of the footer.
pub(super) fn says(mark: &str) -> Vec<KeyValue> {
    let checksum = [PREFIX, ZEROS].concat();
    let checksum = String::from_utf8_lossy(&checksum).into_owned();
    vec![KeyValue::new(MARK.to_owned(), mark.to_owned()), KeyValue::new(CHECKSUM.to_owned(), checksum)]
}

/// A footer, with zeros for its checksum.
struct Footer {
    bytes: Vec<u8>,
    /// Where in the file its checksum lies, and that.
    at: u64,
    checksum: Vec<u8>,
}

impl Footer {
    fn read(file: &mut File) -> io::Result<Self> {
        let damaged = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let size = file.metadata()?.len();
        let tail_at = size.checked_sub(TAIL).ok_or_else(|| damaged("it is cut off"))?;
        file.seek(SeekFrom::Start(tail_at))?;
        let mut tail = [0; TAIL as usize];
        file.read_exact(&mut tail)?;
        let [a, b, c, d, magic @ ..] = tail;
        let length = u64::from(u32::from_le_bytes([a, b, c, d]));
        if magic != *MAGIC || length > MOST_BYTES {
            return Err(damaged("it does not end as such a file does"));
        }
        let begins = tail_at.checked_sub(length).ok_or_else(|| damaged("it is cut off"))?;
        file.seek(SeekFrom::Start(begins))?;
        let mut bytes = Vec::new();
        io::Read::take(&mut *file, length).read_to_end(&mut bytes)?;
        let at = bytes.windows(PREFIX.len()).position(|window| window == PREFIX).map(|at| at + PREFIX.len());
        let place = at.and_then(|at| bytes.get_mut(at..at + ZEROS.len()).map(|place| (at, place)));
        let (at, place) = place.ok_or_else(|| damaged("its footer says no checksum"))?;
        let checksum = place.to_vec();
        place.copy_from_slice(ZEROS);
        Ok(Self { bytes, at: begins + at as u64, checksum })
    }

    fn computed(&self) -> Vec<u8> {
        format!("{:08x}", crc32fast::hash(&self.bytes)).into_bytes()
    }
}

/// Writes the checksum into the footer of a finished file that
/// [`BarWriter::archived`](super::BarWriter::archived) began.
pub fn seal(file: &mut File) -> io::Result<()> {
    let footer = Footer::read(file)?;
    file.seek(SeekFrom::Start(footer.at))?;
    file.write_all(&footer.computed())
}

/// Holds a footer to its checksum.
fn verify(path: &Path) -> Result<File, FeedError> {
    let cannot = |error: io::Error| file_error(&path.display(), format_args!("cannot be read: {error}"));
    let mut file = File::open(path).map_err(cannot)?;
    let footer = Footer::read(&mut file).map_err(cannot)?;
    if footer.checksum != footer.computed() {
        return Err(file_error(&path.display(), "is damaged: its footer is not what was written"));
    }
    file.rewind().map_err(cannot)?;
    Ok(file)
}

/// The mark that a file of an archive says, which must be as it was written.
pub fn archive_mark(path: &Path) -> Result<String, FeedError> {
    let file = verify(path)?;
    let read = guarded(|| SerializedFileReader::new(file))
        .map_err(|what| file_error(&path.display(), format_args!("cannot be read as Parquet: {what}")))?;
    let says = read.metadata().file_metadata().key_value_metadata();
    let mark = says.into_iter().flatten().find(|entry| entry.key == MARK);
    mark.and_then(|entry| entry.value.clone())
        .ok_or_else(|| file_error(&path.display(), "is no file of an archive: it says no mark"))
}

/// Opens a file of an archive, whose footer must be as it was written.
pub fn open_archived(path: &Path, options: impl Into<ReadOptions>) -> Result<BarFile<'static>, FeedError> {
    verify(path)?;
    source::open(path, options)
}
