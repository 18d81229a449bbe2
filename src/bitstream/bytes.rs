//! Varints, and a cursor that never reads past its end.

use crate::error::{Error, Result};

/// Appends a varint.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a length byte and as many bytes of `text` as whole characters fit.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    let mut len = text.len().min(255);
    while !text.is_char_boundary(len) {
        len -= 1;
    }
    out.push(len as u8);
    out.extend_from_slice(&text.as_bytes()[..len]);
}

/// Reads fields from a slice whose first byte stands at `offset` of the stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    offset: u64,
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8], offset: u64) -> Self {
        Self { bytes, at: 0, offset }
    }

    /// Bytes read so far.
    pub fn at(&self) -> usize {
        self.at
    }

    /// An error at the current byte.
    pub fn error(&self, reason: impl ToString) -> Error {
        Error::Bitstream { offset: self.offset + self.at as u64, reason: reason.to_string() }
    }

    pub fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        if rest.len() < len {
            return Err(self.error(format!("{len} bytes needed, {} left", rest.len())));
        }
        self.at += len;
        Ok(&rest[..len])
    }

    /// The bytes not read yet.
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    pub fn byte(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub fn varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.error("a number of more than 64 bits"))
    }

    /// A varint that must not exceed `limit`.
    pub fn bounded(&mut self, what: &str, limit: u64) -> Result<u64> {
        let value = self.varint()?;
        if value > limit {
            return Err(self.error(format!("{what} is {value}, limit {limit}")));
        }
        Ok(value)
    }

    pub fn text(&mut self) -> Result<String> {
        let len = usize::from(self.byte()?);
        let bytes = self.take(len)?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| self.error("text is not UTF-8"))
    }

    /// Refuses bytes left over.
    pub fn end(&self) -> Result<()> {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            left => Err(self.error(format!("{left} bytes left over"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_round_trip() -> Result<()> {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            let mut c = Cursor::new(&out, 0);
            assert_eq!(c.varint()?, value);
            c.end()?;
        }
        assert!(Cursor::new(&[0xFF; 10], 0).varint().is_err());
        assert!(Cursor::new(&[0x80], 0).varint().is_err());
        Ok(())
    }
}
