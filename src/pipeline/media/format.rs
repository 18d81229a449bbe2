//! Which format some bytes are in.

use crate::error::Error;

/// Bytes from the start of a file that [`sniff`] looks at.
pub(super) const SNIFF_BYTES: usize = 64;

/// What a format holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One picture.
    Image,
    /// Sound.
    Audio,
}

/// A format the readers know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Portable network graphics.
    Png,
    /// JPEG.
    Jpeg,
    /// WebP, lossy or lossless.
    Webp,
    /// TIFF.
    Tiff,
    /// Windows bitmap.
    Bmp,
    /// PBM, PGM, PPM or PAM.
    Pnm,
    /// A NumPy array.
    Npy,
    /// RIFF, RIFX or RF64 WAVE.
    Wav,
    /// FLAC.
    Flac,
    /// Ogg Vorbis.
    Ogg,
    /// MPEG-1/2 layer III.
    Mp3,
}

impl Format {
    /// Whether the format holds a picture or sound.
    pub fn kind(self) -> Kind {
        match self {
            Self::Png
            | Self::Jpeg
            | Self::Webp
            | Self::Tiff
            | Self::Bmp
            | Self::Pnm
            | Self::Npy => Kind::Image,
            Self::Wav | Self::Flac | Self::Ogg | Self::Mp3 => Kind::Audio,
        }
    }
}

/// The format of a file from its first bytes, 64 of them being enough.
pub fn sniff(bytes: &[u8]) -> Option<Format> {
    let at = |offset: usize, magic: &[u8]| {
        bytes.get(offset..offset + magic.len()).is_some_and(|b| b == magic)
    };
    let wave = at(0, b"RIFF") || at(0, b"RIFX") || at(0, b"RF64");
    let tiff = at(0, b"II*\0") || at(0, b"MM\0*") || at(0, b"II+\0") || at(0, b"MM\0+");
    if at(0, b"\x89PNG\r\n\x1a\n") {
        Some(Format::Png)
    } else if at(0, b"\xff\xd8\xff") {
        Some(Format::Jpeg)
    } else if at(0, b"RIFF") && at(8, b"WEBP") {
        Some(Format::Webp)
    } else if wave && at(8, b"WAVE") {
        Some(Format::Wav)
    } else if tiff {
        Some(Format::Tiff)
    } else if at(0, b"BM") {
        Some(Format::Bmp)
    } else if is_pnm(bytes) {
        Some(Format::Pnm)
    } else if at(0, b"\x93NUMPY") {
        Some(Format::Npy)
    } else if at(0, b"fLaC") {
        Some(Format::Flac)
    } else if at(0, b"OggS") {
        Some(Format::Ogg)
    } else if at(0, b"ID3") || is_mp3(bytes) {
        Some(Format::Mp3)
    } else {
        None
    }
}

/// `P1` to `P7` followed by white space or a comment; a text that starts with `P1` is not enough.
fn is_pnm(bytes: &[u8]) -> bool {
    matches!(bytes, [b'P', b'1'..=b'7', next, ..] if next.is_ascii_whitespace() || *next == b'#')
}

/// An MPEG audio frame header with layer III and no reserved value.
fn is_mp3(bytes: &[u8]) -> bool {
    let &[0xff, second, third, ..] = bytes else { return false };
    let version = second >> 3 & 3;
    let layer = second >> 1 & 3;
    second & 0xe0 == 0xe0 && version != 1 && layer == 1 && third >> 4 != 15 && third >> 2 & 3 != 3
}

/// Names a format that is recognized only to be refused in words.
fn foreign(bytes: &[u8]) -> Option<&'static str> {
    const MAGIC: [(usize, &[u8], &str); 15] = [
        (0, b"GIF8", "a GIF"),
        (0, b"\0\0\x01\0", "a Windows icon (ICO)"),
        (0, b"\0\0\x02\0", "a Windows cursor or a TGA"),
        (0, b"\xff\x0a", "a JPEG XL codestream"),
        (0, b"\0\0\0\x0cJXL ", "a JPEG XL file"),
        (4, b"ftypavif", "an AVIF"),
        (4, b"ftypheic", "a HEIC"),
        (4, b"ftyp", "an MP4 or M4A"),
        (0, b"YUV4MPEG2", "a YUV4MPEG2 video stream, which is read as a source"),
        (0, b"\x1aE\xdf\xa3", "a Matroska or WebM"),
        (0, b"FORM", "an AIFF"),
        (0, b"8BPS", "a Photoshop document"),
        (0, b"qoif", "a QOI"),
        (0, b"DDS ", "a DDS texture"),
        (0, b"v/1\x01", "an OpenEXR"),
    ];
    MAGIC
        .iter()
        .find(|(at, magic, _)| bytes.get(*at..at + magic.len()).is_some_and(|b| b == *magic))
        .map(|(_, _, name)| *name)
}

/// The error for bytes that [`sniff`] does not know.
pub(crate) fn refusal(bytes: &[u8], name: &str) -> Error {
    const READ: &str = "pictures: PNG, JPEG, WebP, TIFF, BMP, PNM; bands: NumPy, TIFF; sound: WAV, FLAC, Ogg Vorbis, MP3";
    if bytes.is_empty() {
        return Error::input(name, "is empty (0 bytes); fetch or record it again");
    }
    let found = foreign(bytes).unwrap_or("of no known format");
    Error::input(name, format!("is {found}; convert it to a format that is read ({READ})"))
}
