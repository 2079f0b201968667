//! CSV as text: lines of bounded length, and the fields of a line.

use std::io::{self, BufRead, Read as _};

/// Longest row that is looked at, bytes.
pub const MAX_ROW: usize = 64 * 1024;

const MAX_COLUMNS: usize = 256;

/// One row taken apart: RFC 4180 quoting, but no line breaks inside quotes, so that a stray quote costs one
/// row and not the rest of the file.
pub(crate) struct Fields {
    splitter: csv_core::Reader,
    text: Vec<u8>,
    ends: [usize; MAX_COLUMNS],
    count: usize,
}

impl Fields {
    pub(crate) fn new() -> Self {
        Self::separated_by(b',')
    }

    pub(crate) fn separated_by(separator: u8) -> Self {
        let splitter = csv_core::ReaderBuilder::new().delimiter(separator).build();
        Self { splitter, text: vec![0; MAX_ROW], ends: [0; MAX_COLUMNS], count: 0 }
    }

    pub(crate) fn split(&mut self, line: &[u8]) -> Result<(), String> {
        self.count = 0;
        self.splitter.reset();
        let (_, taken, written, ended) = self.splitter.read_record(line, &mut self.text, &mut self.ends);
        if taken < line.len() {
            return Err(format!("the row has more than {MAX_COLUMNS} fields"));
        }
        // Without more input the row is over.
        let (result, _, _, more) =
            self.splitter.read_record(&[], &mut self.text[written..], &mut self.ends[ended..]);
        if result != csv_core::ReadRecordResult::Record {
            return Err(format!("the row has more than {MAX_COLUMNS} fields"));
        }
        self.count = ended + more;
        Ok(())
    }

    /// How many fields the row has.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The field at an index, blanks around it taken off.
    pub(crate) fn get(&self, index: usize) -> Result<&str, std::str::Utf8Error> {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        std::str::from_utf8(&self.text[start..self.ends[index]]).map(str::trim)
    }
}

/// What [`Lines::advance`] came upon.
pub(crate) enum Line {
    Text,
    Blank,
    TooLong,
    End,
}

/// Lines of at most [`MAX_ROW`] bytes.
pub(crate) struct Lines {
    input: Box<dyn BufRead + Send>,
    line: Vec<u8>,
    number: u64,
}

impl Lines {
    pub(crate) fn new(input: Box<dyn BufRead + Send>) -> Self {
        Self { input, line: Vec::new(), number: 0 }
    }

    /// Reads the next line; of one that is too long, only its end is looked for.
    pub(crate) fn advance(&mut self) -> io::Result<Line> {
        if self.take()? == 0 {
            return Ok(Line::End);
        }
        self.number += 1;
        if self.is_whole() {
            let text = self.text();
            return Ok(if text.trim_ascii().is_empty() { Line::Blank } else { Line::Text });
        }
        while self.take()? != 0 && !self.is_whole() {}
        Ok(Line::TooLong)
    }

    /// The number of the line just read, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The line just read, without its end and, at the start of the file, without the byte order mark.
    pub(crate) fn text(&self) -> &[u8] {
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match self.number {
            1 => line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line),
            _ => line,
        }
    }

    fn take(&mut self) -> io::Result<usize> {
        self.line.clear();
        self.input.as_mut().take(MAX_ROW as u64).read_until(b'\n', &mut self.line)
    }

    /// A shorter piece without an end of line is the last line of the file.
    fn is_whole(&self) -> bool {
        self.line.ends_with(b"\n") || self.line.len() < MAX_ROW
    }
}
