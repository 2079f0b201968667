//! Numbers as bytes: unsigned LEB128, seven bits a byte from the lowest, the top bit where another follows
//! (DWARF 5, section 7.6); signed numbers are folded onto unsigned ones by zigzag: 0, -1, 1, -2, ...

use std::str;

/// The most bytes of a number of 64 bits.
const LONGEST: usize = 10;

pub(super) fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

pub(super) fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

pub(super) fn push_unsigned(out: &mut Vec<u8>, mut number: u64) {
    while let more @ 1.. = number >> 7 {
        out.push(0x80 | (number & 0x7f) as u8);
        number = more;
    }
    out.push(number as u8);
}

pub(super) fn push_signed(out: &mut Vec<u8>, number: i64) {
    push_unsigned(out, zigzag(number));
}

/// Its length, then its bytes.
pub(super) fn push_text(out: &mut Vec<u8>, text: &str) {
    push_unsigned(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Reads from left to right. Trusts nothing: what is missing or too long is an error.
pub(super) struct Columns<'b> {
    rest: &'b [u8],
}

impl<'b> Columns<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn unsigned(&mut self) -> Result<u64, &'static str> {
        // Most numbers are one byte.
        if let Some((&byte @ ..0x80, rest)) = self.rest.split_first() {
            self.rest = rest;
            return Ok(byte.into());
        }
        let mut number = 0_u64;
        for (place, &byte) in self.rest.iter().take(LONGEST).enumerate() {
            let bits = u64::from(byte & 0x7f);
            let shift = 7 * place as u32;
            if bits << shift >> shift != bits {
                return Err("a number is too large");
            }
            number |= bits << shift;
            if byte < 0x80 {
                self.rest = self.rest.get(place + 1..).unwrap_or_default();
                return Ok(number);
            }
        }
        Err("a number has no end")
    }

    pub(super) fn signed(&mut self) -> Result<i64, &'static str> {
        self.unsigned().map(unzigzag)
    }

    /// A number above zero.
    pub(super) fn unit(&mut self) -> Result<i64, &'static str> {
        i64::try_from(self.unsigned()?).ok().filter(|unit| *unit > 0).ok_or("a unit makes no sense")
    }

    pub(super) fn text(&mut self) -> Result<&'b str, &'static str> {
        let length = usize::try_from(self.unsigned()?).unwrap_or(usize::MAX);
        let (text, rest) = self.rest.split_at_checked(length).ok_or("a text is too long")?;
        self.rest = rest;
        str::from_utf8(text).map_err(|_| "a text is none")
    }

    /// So many numbers.
    pub(super) fn numbers(&mut self, count: usize) -> Result<Vec<u64>, &'static str> {
        if self.rest.len() < count {
            return Err("it holds less than it says");
        }
        (0..count).map(|_| self.unsigned()).collect()
    }
}
