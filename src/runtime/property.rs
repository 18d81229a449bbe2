//! Metadata of ONNX files, written without reading the rest.

use crate::error::{Error, Result};

/// Number of the field of a model that holds its metadata, and kind of a field that has a length.
const METADATA: u64 = 14;
const SIZED: u64 = 2;

/// The file with this property in place of any of its name. Everything else stays as it is.
///
/// # Errors
/// `Bundle` if it is no ONNX file.
pub fn with_property(name: &str, onnx: &[u8], key: &str, value: &str) -> Result<Vec<u8>> {
    let damaged = || Error::bundle(name, "is no ONNX file, or a damaged one");
    let mut out = Vec::with_capacity(onnx.len() + key.len() + value.len() + 16);
    let mut rest = onnx;
    while !rest.is_empty() {
        let begin = rest;
        let tag = varint(&mut rest).ok_or_else(damaged)?;
        let size = match tag & 7 {
            0 => varint(&mut rest).map(|_| 0),
            1 => Some(8),
            SIZED => varint(&mut rest),
            5 => Some(4),
            _ => None,
        };
        let size = size.and_then(|s| usize::try_from(s).ok()).filter(|&s| s <= rest.len());
        let (field, behind) = rest.split_at(size.ok_or_else(damaged)?);
        rest = behind;
        let ours =
            tag >> 3 == METADATA && tag & 7 == SIZED && key_of(field) == Some(key.as_bytes());
        if !ours {
            out.extend(&begin[..begin.len() - rest.len()]);
        }
    }
    let mut entry = Vec::new();
    push(&mut entry, 1, key.as_bytes());
    push(&mut entry, 2, value.as_bytes());
    push(&mut out, METADATA, &entry);
    Ok(out)
}

/// The key of an entry.
fn key_of(mut entry: &[u8]) -> Option<&[u8]> {
    while !entry.is_empty() {
        let tag = varint(&mut entry)?;
        let size = usize::try_from(varint(&mut entry)?).ok().filter(|&s| s <= entry.len())?;
        let (field, rest) = entry.split_at(size);
        if tag == 1 << 3 | SIZED {
            return Some(field);
        }
        entry = rest;
    }
    None
}

/// A number of seven bits a byte.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 127) << shift;
        if byte < 128 {
            return Some(value);
        }
    }
    None
}

fn push(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    let number = |out: &mut Vec<u8>, mut n: u64| {
        while n >= 128 {
            out.push(n as u8 | 128);
            n >>= 7;
        }
        out.push(n as u8);
    };
    number(out, field << 3 | SIZED);
    number(out, value.len() as u64);
    out.extend(value);
}
