//! Latents as NumPy arrays.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::codec::{Bundle, Kind, Latent};
use crate::error::{Error, Result};
use crate::pipeline::item::{Item, Parts};
use crate::pipeline::line::Sink;

/// Bytes before the values; NumPy wants a multiple of 64.
const HEAD: usize = 128;

/// Writes latents to `.npy` files, one array for all that follow each other in one shape.
///
/// Shape: `[packets, channels, height, width]` in cells for pictures, `[steps, rows, channels]` for
/// sound, whose packets join along time.
///
/// Units: 32-bit reals in those of the bundle's projection (integers times step), or the integers.
pub struct Npy {
    bundle: Arc<Bundle>,
    target: Target,
    integers: bool,
    array: Option<Array>,
    arrays: usize,
}

/// Where arrays are written.
enum Target {
    /// The one file there is.
    File(PathBuf),
    /// `STEM.npy`, `STEM-2.npy` and so on.
    Stem(PathBuf),
}

/// An array being written.
struct Array {
    path: PathBuf,
    out: BufWriter<File>,
    /// Stream and shape of one entry of the first axis.
    stream: u32,
    entry: Vec<usize>,
    entries: usize,
}

impl Npy {
    /// Writes one array to a file.
    pub fn file(bundle: Arc<Bundle>, path: impl Into<PathBuf>, integers: bool) -> Self {
        Self::new(bundle, Target::File(path.into()), integers)
    }

    /// Writes arrays whose paths begin with `stem`.
    pub fn stem(bundle: Arc<Bundle>, stem: impl Into<PathBuf>, integers: bool) -> Self {
        Self::new(bundle, Target::Stem(stem.into()), integers)
    }

    fn new(bundle: Arc<Bundle>, target: Target, integers: bool) -> Self {
        Self { bundle, target, integers, array: None, arrays: 0 }
    }

    /// The array that a latent belongs to, begun if there is none yet.
    fn array(&mut self, item: &Item, entry: Vec<usize>) -> Result<&mut Array> {
        let stream = item.stamp.stream;
        let fits = self.array.as_ref().is_some_and(|a| (a.stream, &a.entry) == (stream, &entry));
        if !fits {
            let path = self.path(item, &entry)?;
            self.close()?;
            let file = File::create(&path).map_err(|e| Error::io(&path, e))?;
            let mut out = BufWriter::new(file);
            out.write_all(&[0; HEAD]).map_err(|e| Error::io(&path, e))?;
            self.array = Some(Array { path, out, stream, entry, entries: 0 });
            self.arrays += 1;
        }
        self.array.as_mut().ok_or_else(|| Error::input(&item.name, "no array is open"))
    }

    fn path(&self, item: &Item, entry: &[usize]) -> Result<PathBuf> {
        match (&self.target, self.arrays) {
            (Target::File(path), 0) => Ok(path.clone()),
            (Target::File(path), _) => {
                let held = self.array.as_ref().map(|a| (a.stream, &a.entry));
                let reason = format!(
                    "{} holds one stream of one shape (stream and shape {held:?}), this is \
                     {:?}; give a folder, as in `-o out/`",
                    path.display(),
                    (item.stamp.stream, entry)
                );
                Err(Error::input(&item.name, reason))
            }
            (Target::Stem(stem), 0) => Ok(with_suffix(stem, "")),
            (Target::Stem(stem), n) => Ok(with_suffix(stem, &format!("-{}", n + 1))),
        }
    }

    fn close(&mut self) -> Result<()> {
        let Some(Array { path, mut out, entry, entries, .. }) = self.array.take() else {
            return Ok(());
        };
        let head = head(self.integers, entries, &entry);
        let done = out.seek(SeekFrom::Start(0)).and_then(|_| out.write_all(&head));
        done.and_then(|()| out.flush()).map_err(|e| Error::io(path, e))
    }

    /// The values of a latent as bytes, channels first for pictures and last for sound.
    fn bytes(&self, latent: &Latent) -> Vec<u8> {
        let (cells, channels) = (latent.cells(), latent.channels);
        let mut reals = vec![0.0; cells];
        let width = if self.integers { 2 } else { 4 };
        let mut out = vec![0; width * cells * channels];
        let steps = latent.grid.last().copied().unwrap_or(1);
        for c in 0..channels {
            let values = latent.channel(c);
            if !self.integers {
                let step = self.bundle.steps[c];
                self.bundle.quantizer.dequantize(values, step, latent.quality, &mut reals);
            }
            for i in 0..cells {
                let at = match self.bundle.kind {
                    Kind::Image => c * cells + i,
                    Kind::Audio => {
                        let (row, step) = (i / steps, i % steps);
                        (step * (cells / steps) + row) * channels + c
                    }
                };
                let to = &mut out[width * at..][..width];
                if self.integers {
                    to.copy_from_slice(&values[i].to_le_bytes());
                } else {
                    to.copy_from_slice(&reals[i].to_le_bytes());
                }
            }
        }
        out
    }
}

impl Sink for Npy {
    fn needs(&self) -> Parts {
        Parts::LATENT
    }

    fn write(&mut self, item: &Item) -> Result<()> {
        let Some(latent) = &item.latent else { return Ok(()) };
        let (entry, entries) = match (self.bundle.kind, &latent.grid[..]) {
            (Kind::Image, grid) => ([&[latent.channels], grid].concat(), 1),
            (Kind::Audio, &[rows, steps]) => (vec![rows, latent.channels], steps),
            (Kind::Audio, grid) => {
                return Err(Error::shape("latent grid of sound", "2 axes", grid.len()));
            }
        };
        let bytes = self.bytes(latent);
        let array = self.array(item, entry)?;
        array.out.write_all(&bytes).map_err(|e| Error::io(&array.path, e))?;
        array.entries += entries;
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.close()
    }
}

fn with_suffix(stem: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}.npy", stem.display()))
}

/// The head of an array, padded to its size.
///
/// Source: NumPy's `numpy.lib.format`, version 1.0.
fn head(integers: bool, entries: usize, entry: &[usize]) -> Vec<u8> {
    let kind = if integers { "<i2" } else { "<f4" };
    let shape: Vec<String> = std::iter::once(&entries).chain(entry).map(usize::to_string).collect();
    let words =
        format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({}), }}", shape.join(", "));
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend_from_slice(&((HEAD - 10) as u16).to_le_bytes());
    out.extend_from_slice(words.as_bytes());
    out.resize(HEAD - 1, b' ');
    out.push(b'\n');
    out
}
