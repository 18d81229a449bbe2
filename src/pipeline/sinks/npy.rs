//! Latents as NumPy arrays.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;

use super::frames::OPEN;
use super::names::Names;
use super::output::Output;
use crate::codec::{Bundle, Kind, Latent};
use crate::error::{Error, Result};
use crate::pipeline::item::{Item, Parts};
use crate::pipeline::line::Sink;

/// Bytes before the values; NumPy wants a multiple of 64.
const HEAD: usize = 128;

/// Writes latents to `.npy` files, one array for all of a stream that follow each other in one shape.
///
/// Shape: `[packets, channels, height, width]` in cells for pictures, `[steps, rows, channels]` for
/// sound, whose packets join along time; one that does not follow the last begins an array.
///
/// Units: 32-bit reals in those of the bundle's projection (integers times step), or the integers.
pub struct Npy {
    bundle: Arc<Bundle>,
    target: Target,
    integers: bool,
    /// Arrays being written, the one written last at the end; [`OPEN`] at most.
    arrays: Vec<Array>,
    /// Whether the one file there is holds an array.
    taken: bool,
}

/// Where arrays are written.
enum Target {
    /// The one file there is.
    File(PathBuf),
    /// `STEM.npy` of stream 0 or 1, `STEM-2.npy` of stream 2; with a number if that is taken.
    Folder { folder: PathBuf, stem: String, names: Names },
}

/// An array being written.
struct Array {
    path: PathBuf,
    output: Output,
    out: BufWriter<File>,
    stream: u32,
    /// Shape of one entry of the first axis.
    entry: Vec<usize>,
    entries: usize,
    /// Where the sound goes on; 0 for pictures.
    next: u64,
}

impl Npy {
    /// Writes one array to a file.
    pub fn file(bundle: Arc<Bundle>, path: impl Into<PathBuf>, integers: bool) -> Self {
        Self::new(bundle, Target::File(path.into()), integers)
    }

    /// Writes arrays into a folder, with names that begin with `stem` and that `names` has not given.
    pub fn folder(
        bundle: Arc<Bundle>,
        folder: impl Into<PathBuf>,
        stem: &str,
        names: Names,
        integers: bool,
    ) -> Self {
        Self::new(
            bundle,
            Target::Folder { folder: folder.into(), stem: stem.into(), names },
            integers,
        )
    }

    fn new(bundle: Arc<Bundle>, target: Target, integers: bool) -> Self {
        Self { bundle, target, integers, arrays: Vec::new(), taken: false }
    }

    /// The array that a latent belongs to, begun if there is none yet.
    fn array(&mut self, item: &Item, entry: Vec<usize>, position: u64) -> Result<Array> {
        let stream = item.stamp.stream;
        if let Some(at) = self.arrays.iter().position(|a| a.stream == stream) {
            let array = self.arrays.remove(at);
            if array.entry == entry && array.next == position {
                return Ok(array);
            }
            array.close(self.integers)?;
        }
        if self.arrays.len() == OPEN {
            self.arrays.remove(0).close(self.integers)?;
        }
        let path = match &self.target {
            Target::File(path) if self.taken => {
                let reason = format!(
                    "{} holds one array already, and stream {stream} of {entry:?} is another; give \
                     a folder, as in `-o out/`",
                    path.display()
                );
                return Err(Error::input(&item.name, reason));
            }
            Target::File(path) => path.clone(),
            Target::Folder { folder, stem, names } => {
                let name = if stream < 2 { stem.clone() } else { format!("{stem}-{stream}") };
                names.unused(folder, &name, "npy")
            }
        };
        self.taken = true;
        let (output, file) = Output::create(&path)?;
        let mut out = BufWriter::new(file);
        out.write_all(&[0; HEAD]).map_err(|e| Error::io(&path, e))?;
        Ok(Array { path, output, out, stream, entry, entries: 0, next: position })
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
        let position = latent.span.position;
        let (entry, entries, steps) = match (self.bundle.kind, &latent.grid[..]) {
            (Kind::Image, grid) => ([&[latent.channels], grid].concat(), 1, 0),
            (Kind::Audio, &[rows, steps]) => (vec![rows, latent.channels], steps, steps as u64),
            (Kind::Audio, grid) => {
                return Err(Error::shape("latent grid of sound", "2 axes", grid.len()));
            }
        };
        let bytes = self.bytes(latent);
        let mut array = self.array(item, entry, position)?;
        array.out.write_all(&bytes).map_err(|e| Error::io(&array.path, e))?;
        array.entries += entries;
        array.next = array.next.saturating_add(steps);
        if latent.span.end {
            return array.close(self.integers);
        }
        self.arrays.push(array);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        let integers = self.integers;
        self.arrays.drain(..).map(|a| a.close(integers)).fold(Ok(()), Result::and)
    }
}

impl Array {
    /// Writes the head, now that the number of entries is known, and gives the file its name.
    fn close(mut self, integers: bool) -> Result<()> {
        let head = head(integers, self.entries, &self.entry);
        let done = self.out.seek(SeekFrom::Start(0)).and_then(|_| self.out.write_all(&head));
        done.and_then(|()| self.out.flush()).map_err(|e| Error::io(&self.path, e))?;
        self.output.keep()
    }
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
