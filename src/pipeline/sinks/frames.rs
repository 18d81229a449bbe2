//! Pictures and sounds as files.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::names::Names;
use super::output::{Output, write_whole};
use crate::codec::{Frame, Layout};
use crate::error::{Error, Result};
use crate::pipeline::item::{Item, Parts};
use crate::pipeline::line::Sink;
use crate::pipeline::media::{
    WavDepth, WavWriter, check_sound_shape, encode_npy, encode_png, encode_ppm, encode_tiff,
    select_bands, view,
};

/// Sounds open at once. Streams may alternate; one that says nothing for so many others is closed.
pub const OPEN: usize = 16;

/// File format of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Picture {
    /// Portable network graphics.
    Png,
    /// Portable pixmap or graymap.
    Ppm,
}

/// Where frames are written.
enum Target {
    /// Pictures `STEM.png` or `STEM-000001.png`, of bands `STEM.npy`, sounds `STEM.wav` or `STEM-2.wav`, in a
    /// folder.
    Folder { folder: PathBuf, stem: String },
    /// One picture or sound.
    File(PathBuf),
    /// All pictures, one after the other, or one sound.
    Stdout,
}

/// Writes each picture to a file, and each sound stream to a WAV. No file is written twice.
pub struct Frames {
    target: Target,
    picture: Picture,
    depth: WavDepth,
    names: Names,
    /// The bands that are written; all of them if `None`.
    bands: Option<Vec<usize>>,
    /// What was done to bands that became pictures, a sentence for each.
    notes: Arc<Mutex<Vec<String>>>,
    /// The stream whose sounds have no number in their names: 0 or 1.
    plain: Option<u32>,
    /// Sounds being written, the one written last at the end.
    sounds: Vec<Sound>,
    /// Whether the one file, or standard output, holds a sound or a picture already.
    holds: Option<Held>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Held {
    Picture,
    Bands,
    Sound,
}

struct Sound {
    stream: u32,
    rate: u32,
    channels: usize,
    wav: Wav,
}

enum Wav {
    File(PathBuf, Output, WavWriter<BufWriter<File>>),
    Stdout(WavWriter<std::io::Stdout>),
}

impl Frames {
    /// Writes into a folder, with names that begin with `stem`.
    pub fn folder(
        folder: impl Into<PathBuf>,
        stem: &str,
        picture: Picture,
        depth: WavDepth,
    ) -> Self {
        Self::new(Target::Folder { folder: folder.into(), stem: stem.into() }, picture, depth)
    }

    /// Writes one picture or sound to a file; the ending chooses the format of pictures and bands.
    pub fn file(path: impl Into<PathBuf>, depth: WavDepth) -> Self {
        let path = path.into();
        let ppm = matches!(ending(&path).as_deref(), Some("ppm" | "pgm" | "pnm"));
        let picture = if ppm { Picture::Ppm } else { Picture::Png };
        Self::new(Target::File(path), picture, depth)
    }

    /// Writes PPM pictures, NumPy arrays of bands or one WAV to standard output.
    pub fn stdout(depth: WavDepth) -> Self {
        Self::new(Target::Stdout, Picture::Ppm, depth)
    }

    fn new(target: Target, picture: Picture, depth: WavDepth) -> Self {
        let (names, notes) = (Names::default(), Arc::default());
        let (bands, plain, sounds, holds) = (None, None, Vec::new(), None);
        Self { target, picture, depth, names, bands, notes, plain, sounds, holds }
    }

    /// Gives no file a name that these have given.
    pub fn names(mut self, names: Names) -> Self {
        self.names = names;
        self
    }

    /// Writes these bands only: one or three as a picture to look at, if a file's ending does not name
    /// a format of bands. What a picture shows then is said in `notes`.
    pub fn bands(mut self, bands: Vec<usize>, notes: Arc<Mutex<Vec<String>>>) -> Self {
        (self.bands, self.notes) = (Some(bands), notes);
        self
    }

    /// Path of the item's picture, or of the sound that begins with it; `None` is standard output.
    fn path(&mut self, item: &Item, ending: &str, what: Held) -> Result<Option<PathBuf>> {
        let sound = what == Held::Sound;
        let path = match &self.target {
            Target::Stdout => {
                // Pictures may follow each other; nothing can follow a sound of unknown length.
                let follows = self.holds.is_none_or(|h| h == what && !sound);
                let reason = "standard output can hold one sound and nothing beside it; give a \
                              folder, as in `-o out/`";
                if !follows {
                    return Err(Error::input(&item.name, reason));
                }
                None
            }
            Target::File(path) => {
                check_file(path, what, self.holds.is_some(), &item.name)?;
                Some(path.clone())
            }
            Target::Folder { folder, stem } => {
                let (stream, index) = (item.stamp.stream, item.stamp.index);
                let name = if sound {
                    let plain = stream <= 1 && *self.plain.get_or_insert(stream) == stream;
                    if plain { stem.clone() } else { format!("{stem}-{stream}") }
                } else {
                    match (stream, index == 0 && item.end) {
                        (0, true) => stem.clone(),
                        (0, false) => format!("{stem}-{index:06}"),
                        _ => format!("{stem}-{stream}-{index:06}"),
                    }
                };
                Some(self.names.unused(folder, &name, ending))
            }
        };
        self.holds = Some(what);
        Ok(path)
    }

    fn write_picture(&mut self, item: &Item, frame: &Frame) -> Result<()> {
        let (ending, bytes) = match self.picture {
            Picture::Png => ("png", encode_png(frame)?),
            Picture::Ppm if frame.layout == Layout::Gray => ("pgm", encode_ppm(frame)?),
            Picture::Ppm => ("ppm", encode_ppm(frame)?),
        };
        self.put(item, ending, Held::Picture, &bytes)
    }

    fn write_bands(&mut self, item: &Item, frame: &Frame) -> Result<()> {
        let typed = match &self.target {
            Target::File(path) => Some(ending(path).unwrap_or_default()),
            _ => None,
        };
        let whole = match (typed.as_deref(), &self.bands) {
            (Some(typed), _) => ["npy", "tif", "tiff"].contains(&typed),
            (None, bands) => bands.is_none(),
        };
        let Some(bands) = self.bands.clone().filter(|_| !whole) else {
            let some = self.bands.as_ref().map(|bands| select_bands(frame, bands)).transpose()?;
            let frame = some.as_ref().unwrap_or(frame);
            let bytes = match typed.as_deref() {
                Some("tif" | "tiff") => encode_tiff(frame)?,
                _ => encode_npy(frame)?,
            };
            return self.put(item, "npy", Held::Bands, &bytes);
        };
        let (picture, ends) = view(frame, &bands)?;
        self.write_picture(item, &picture)?;
        let text = |v: Vec<String>| v.join(", ");
        let ends = text(ends.iter().map(|[low, high]| format!("{low} to {high}")).collect());
        let bands = text(bands.iter().map(usize::to_string).collect());
        let colours = if picture.channels == 3 { "red, green, blue" } else { "gray" };
        let note = format!(
            "{}: bands {bands} as {colours}; of each the values between its 2nd and its 98th \
             percentile ({ends}) become 0 to 255",
            item.name
        );
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(note);
        Ok(())
    }

    /// Writes a whole file.
    fn put(&mut self, item: &Item, ending: &str, what: Held, bytes: &[u8]) -> Result<()> {
        match self.path(item, ending, what)? {
            None => std::io::stdout().write_all(bytes).map_err(|e| Error::io("stdout", e)),
            Some(path) => write_whole(&path, bytes),
        }
    }

    fn write_sound(&mut self, item: &Item, frame: &Frame, rate: u32) -> Result<()> {
        let place = self.sounds.iter().position(|s| s.stream == item.stamp.stream);
        let open = place.map(|at| self.sounds.remove(at));
        let mut sound = match open {
            Some(open) if (open.rate, open.channels) == (rate, frame.channels) => open,
            other => {
                other.map_or(Ok(()), Sound::close)?;
                if self.sounds.len() == OPEN {
                    self.sounds.remove(0).close()?;
                }
                self.open(item, rate, frame.channels)?
            }
        };
        // What could not be written never gets its name.
        sound.write(frame)?;
        if item.end {
            return sound.close();
        }
        self.sounds.push(sound);
        Ok(())
    }

    fn open(&mut self, item: &Item, rate: u32, channels: usize) -> Result<Sound> {
        // Before there is a file: one that was refused would stay empty.
        check_sound_shape(&item.name, rate, channels)?;
        let wav = match self.path(item, "wav", Held::Sound)? {
            None => Wav::Stdout(WavWriter::new(std::io::stdout(), rate, channels, self.depth)?),
            Some(path) => {
                let (output, file) = Output::create(&path)?;
                let wav = WavWriter::new(BufWriter::new(file), rate, channels, self.depth)?;
                Wav::File(path, output, wav)
            }
        };
        Ok(Sound { stream: item.stamp.stream, rate, channels, wav })
    }
}

impl Sound {
    fn write(&mut self, frame: &Frame) -> Result<()> {
        match &mut self.wav {
            Wav::File(path, _, wav) => wav.write(frame).map_err(|e| named(e, path)),
            Wav::Stdout(wav) => wav.write(frame),
        }
    }

    fn close(self) -> Result<()> {
        match self.wav {
            Wav::File(path, output, wav) => {
                let mut out = wav.finish().map_err(|e| named(e, &path))?;
                out.flush().map_err(|e| Error::io(path, e))?;
                output.keep()
            }
            Wav::Stdout(wav) => wav.finish_pipe().map(drop),
        }
    }
}

/// An error of writing, with the file it happened to.
fn named(error: Error, path: &Path) -> Error {
    match error {
        Error::Io { why, .. } => Error::io(path, why),
        other => other,
    }
}

impl Sink for Frames {
    fn needs(&self) -> Parts {
        Parts::FRAME
    }

    fn write(&mut self, item: &Item) -> Result<()> {
        match &item.frame {
            None => Ok(()),
            Some(frame) => match frame.layout {
                Layout::Audio { rate } => self.write_sound(item, frame, rate),
                Layout::Bands { .. } => self.write_bands(item, frame),
                _ => self.write_picture(item, frame),
            },
        }
    }

    fn finish(&mut self) -> Result<()> {
        self.sounds.drain(..).map(Sound::close).fold(Ok(()), Result::and)
    }
}

/// Refuses a second picture or sound in one file, and an ending that is not its kind's.
fn check_file(path: &Path, what: Held, full: bool, name: &str) -> Result<()> {
    let fits = match ending(path).as_deref() {
        Some("wav") => what == Held::Sound,
        Some("png" | "ppm" | "pgm" | "pnm") => what == Held::Picture,
        Some("npy" | "tif" | "tiff") => what == Held::Bands,
        _ => false,
    };
    let path = path.display();
    let reason = if !fits {
        let what = match what {
            Held::Sound => "sound: name a .wav",
            Held::Picture => "pictures: name a .png or .ppm",
            Held::Bands => {
                "bands: name a .npy or .tif, choose one or three for a picture with --bands"
            }
        };
        format!("{path}: this stream holds {what}, or a folder, as in `-o out/`")
    } else if full {
        format!(
            "{path} can hold one picture or sound, {name} holds more; give a folder, as in `-o out/`"
        )
    } else {
        return Ok(());
    };
    Err(Error::config("--output", reason))
}

/// The ending of a path in small letters.
fn ending(path: &Path) -> Option<String> {
    path.extension().map(|e| e.to_string_lossy().to_lowercase())
}

/// The name of a file without folder and ending.
pub fn stem(path: &Path) -> String {
    path.file_stem().map_or_else(|| "out".into(), |s| s.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Samples, Stamp};

    #[test]
    fn a_sound_that_cannot_be_written_leaves_the_older_one() {
        let folder = tempfile::tempdir().expect("works");
        let path = folder.path().join("x.wav");
        std::fs::write(&path, b"older").expect("works");
        let mut frames = Frames::file(&path, WavDepth::I16);
        // A file that is open for reading only fails as a full disk does.
        let (output, _) = Output::create(&path).expect("works");
        let part = File::open(folder.path().join("x.wav.part")).expect("works");
        let wav = WavWriter::new(BufWriter::new(part), 8000, 1, WavDepth::I16).expect("works");
        let wav = Wav::File(path.clone(), output, wav);
        frames.sounds.push(Sound { stream: 0, rate: 8000, channels: 1, wav });
        let samples = Samples::I16(vec![1; 1 << 16]);
        let frame =
            Frame::new(Layout::Audio { rate: 8000 }, 1, vec![1 << 16], samples).expect("works");
        let error = frames
            .write(&Item::new(Stamp::default(), "sound", frame))
            .expect_err("cannot be written");
        assert!(error.to_string().contains("x.wav"), "{error}");
        frames.finish().expect("works");
        assert_eq!(std::fs::read(&path).expect("works"), b"older");
    }
}
