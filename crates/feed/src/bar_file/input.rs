//! Opens what holds bars: a file, or a member of a zip, unpacked and decoded to UTF-8, in bounded memory.
//!
//! Names tell nothing here: what is packed how, the first bytes say. What unpacks to far more than bars could
//! is an error, however small the file is.

use super::foreign;
use super::parquet_read;
use crate::csv_text::MAX_ROW;
use crate::excerpt::excerpt;
use encoding_rs_io::DecodeReaderBytesBuilder;
use flate2::bufread::{DeflateDecoder, MultiGzDecoder};
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use zip::{CompressionMethod, ZipArchive};

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const ZIP: &[u8] = b"PK\x03\x04";
/// A zip without members is its end alone.
const EMPTY_ZIP: &[u8] = b"PK\x05\x06";

/// Packings within each other that are unpacked.
const MOST_LAYERS: usize = 3;
/// How many times its size on the disk a file may unpack to. Minutes of one symbol in CSV come to 30 at most.
const MOST_TIMES: u64 = 200;
/// So many bytes may come of any file, however small.
const ALWAYS_ALLOWED: u64 = 64 * 1024 * 1024;
/// Members of one zip.
const MOST_MEMBERS: usize = 10_000;
/// Bytes at the beginning of anything by which it is told what it is.
const MAGIC: u64 = 16;
/// Bytes at the beginning of a text by which its form is told.
const HEAD: u64 = 2 * MAX_ROW as u64;

type Bytes = Box<dyn Read + Send>;

/// A file in a zip.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) name: String,
    /// Bytes in the archive.
    pub(super) size: u64,
    begin: u64,
    unpacked_size: u64,
    checksum: u32,
    method: CompressionMethod,
    is_encrypted: bool,
}

/// What a file or a member turned out to hold.
pub(super) enum Content {
    Parquet(File),
    /// The beginning of the text, and what follows it.
    Text(Vec<u8>, Bytes),
}

/// Whether a file begins as a zip does.
pub(super) fn is_zip(path: &Path) -> io::Result<bool> {
    let (head, _) = peeked(Box::new(File::open(path)?), 4)?;
    Ok(head == ZIP || head == EMPTY_ZIP)
}

/// The files of bars in a zip: those whose names say so, or the only file there is.
pub(super) fn members(path: &Path, is_named_so: impl Fn(&str) -> bool) -> Result<Vec<Member>, String> {
    let cannot =
        |error: &dyn std::fmt::Display| format!("cannot be read as zip: {}", excerpt(&error.to_string()));
    let file = File::open(path).map_err(|error| cannot(&error))?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|error| cannot(&error))?;
    if archive.len() > MOST_MEMBERS {
        return Err(format!("the zip holds more than {MOST_MEMBERS} files"));
    }
    let mut files = Vec::new();
    for index in 0..archive.len() {
        let member = archive.by_index_raw(index).map_err(|error| cannot(&error))?;
        let name = member.name().map_err(|error| cannot(&error))?.into_owned();
        let file_name = name.rsplit(['/', '\\']).next().unwrap_or_default();
        // What macOS adds to every zip, and hidden files.
        if member.is_dir() || file_name.starts_with('.') || name.starts_with("__MACOSX/") {
            continue;
        }
        files.push(Member {
            size: member.compressed_size(),
            begin: member.data_start().ok_or_else(|| cannot(&"a file of it has no place"))?,
            unpacked_size: member.size(),
            checksum: member.crc32(),
            method: member.compression(),
            is_encrypted: member.encrypted(),
            name,
        });
    }
    if let Some(what) = foreign::zip(files.iter().map(|member| member.name.as_str())) {
        return Err(what.to_owned());
    }
    if files.len() > 1 {
        files.retain(|member| is_named_so(&member.name));
        files.sort_by(|one, two| one.name.cmp(&two.name));
        if files.is_empty() {
            return Err("the zip holds no *.csv, *.tsv or *.parquet file".to_owned());
        }
    }
    Ok(files)
}

/// Opens a file, or a member of it. `taken` counts its bytes as they are read from the disk.
pub(super) fn open(path: &Path, member: Option<&Member>, taken: &Arc<AtomicU64>) -> io::Result<Content> {
    let file = File::open(path)?;
    let (mut head, mut rest) = peeked(
        match member {
            None => Box::new(Counted { input: file, taken: Arc::clone(taken) }),
            Some(member) => unpacked_member(file, member, taken)?,
        },
        MAGIC,
    )?;
    let mut is_as_stored = member.is_none();
    for layers in 0.. {
        let is_gzip = head.starts_with(GZIP);
        if !is_gzip && !head.starts_with(ZSTD) {
            break;
        }
        if layers == MOST_LAYERS {
            return Err(invalid("it is packed too many times"));
        }
        let packed = BufReader::with_capacity(MAX_ROW, Cursor::new(head).chain(rest));
        let unpacked: Bytes = if is_gzip {
            Box::new(MultiGzDecoder::new(packed))
        } else {
            Box::new(zstd::stream::read::Decoder::with_buffer(packed)?)
        };
        (head, rest) = peeked(Box::new(Bounded::new(unpacked, taken)), MAGIC)?;
        is_as_stored = false;
    }
    if head.starts_with(parquet_read::MAGIC) {
        return Ok(Content::Parquet(if is_as_stored { File::open(path)? } else { spooled(head, rest)? }));
    }
    // UTF-8 goes through as it is, bytes that are no text too: they cost a row and no more.
    let decoded = DecodeReaderBytesBuilder::new()
        .bom_sniffing(true)
        .utf8_passthru(true)
        .strip_bom(true)
        .build(Cursor::new(head).chain(rest));
    let (head, rest) = peeked(Box::new(decoded), HEAD)?;
    Ok(Content::Text(head, rest))
}

/// The first bytes, and those behind them. What fails behind the first is told when it is reached.
fn peeked(mut input: Bytes, most: u64) -> io::Result<(Vec<u8>, Bytes)> {
    let mut head = Vec::new();
    match input.by_ref().take(most).read_to_end(&mut head) {
        Ok(_) => Ok((head, input)),
        Err(error) if head.is_empty() => Err(error),
        Err(error) => Ok((head, Box::new(Broken(Some(error))))),
    }
}

/// Where nothing can be read any more.
struct Broken(Option<io::Error>);

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// A file of what must be read at any place. It has no name, and is gone with the process.
fn spooled(head: Vec<u8>, rest: Bytes) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(&mut Cursor::new(head).chain(rest), &mut file)?;
    file.flush()?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

fn unpacked_member(mut file: File, member: &Member, taken: &Arc<AtomicU64>) -> io::Result<Bytes> {
    if member.is_encrypted {
        return Err(invalid("it is encrypted"));
    }
    file.seek(SeekFrom::Start(member.begin))?;
    let packed = Counted { input: file, taken: Arc::clone(taken) }.take(member.size);
    let packed = BufReader::with_capacity(MAX_ROW, packed);
    let unpacked: Bytes = match member.method {
        CompressionMethod::STORE => Box::new(packed),
        CompressionMethod::DEFLATE => Box::new(DeflateDecoder::new(packed)),
        CompressionMethod::ZSTD => Box::new(zstd::stream::read::Decoder::with_buffer(packed)?),
        other => {
            return Err(invalid(format!(
                "it is compressed by {other}: only Deflate and Zstandard are unpacked"
            )));
        }
    };
    let checked = Checked {
        input: unpacked,
        hasher: crc32fast::Hasher::new(),
        left: member.unpacked_size,
        checksum: member.checksum,
    };
    Ok(Box::new(Bounded::new(Box::new(checked), taken)))
}

fn invalid(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Counts what is read of a file.
struct Counted {
    input: File,
    taken: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.taken.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Ends with an error where far more is unpacked than was read from the disk.
struct Bounded {
    input: Bytes,
    unpacked: u64,
    taken: Arc<AtomicU64>,
}

impl Bounded {
    fn new(input: Bytes, taken: &Arc<AtomicU64>) -> Self {
        Self { input, unpacked: 0, taken: Arc::clone(taken) }
    }
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.unpacked += read as u64;
        let taken = self.taken.load(Ordering::Relaxed);
        if self.unpacked > ALWAYS_ALLOWED + taken.saturating_mul(MOST_TIMES) {
            return Err(invalid(format!("it unpacks to more than {MOST_TIMES} times its size")));
        }
        Ok(read)
    }
}

/// Compares what is read with the length and the checksum that a zip tells of it.
struct Checked {
    input: Bytes,
    hasher: crc32fast::Hasher,
    left: u64,
    checksum: u32,
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        let is_longer = read as u64 > self.left;
        self.left = self.left.saturating_sub(read as u64);
        let is_over = read == 0 && !buffer.is_empty();
        if is_longer || is_over && (self.left > 0 || self.hasher.clone().finalize() != self.checksum) {
            return Err(invalid("it is damaged: its length or its checksum is not what the zip says"));
        }
        Ok(read)
    }
}
