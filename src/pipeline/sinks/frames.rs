//! Pictures and sounds as files.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::codec::{Frame, Layout};
use crate::error::{Error, Result};
use crate::pipeline::item::{Item, Parts};
use crate::pipeline::line::Sink;
use crate::pipeline::media::{WavDepth, WavWriter, check_sound_shape, encode_png, encode_ppm};

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
    /// Pictures `STEM.png` or `STEM-000001.png`, sounds `STEM.wav` or `STEM-1.wav`, in a folder.
    Folder { folder: PathBuf, stem: String },
    /// One picture or sound.
    File(PathBuf),
    /// All of it, one after the other.
    Stdout,
}

/// Writes each picture to a file, and each sound stream to a WAV.
pub struct Frames {
    target: Target,
    picture: Picture,
    depth: WavDepth,
    /// Files written so far.
    written: Vec<PathBuf>,
    sound: Option<(u32, Sound)>,
}

enum Sound {
    File(PathBuf, WavWriter<BufWriter<File>>),
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
        let target = Target::Folder { folder: folder.into(), stem: stem.into() };
        Self { target, picture, depth, written: Vec::new(), sound: None }
    }

    /// Writes one picture or sound to a file; the ending chooses the picture format.
    pub fn file(path: impl Into<PathBuf>, depth: WavDepth) -> Self {
        let path = path.into();
        let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        let ppm = matches!(ending.as_deref(), Some("ppm" | "pgm" | "pnm"));
        let picture = if ppm { Picture::Ppm } else { Picture::Png };
        Self { target: Target::File(path), picture, depth, written: Vec::new(), sound: None }
    }

    /// Writes PPM pictures or one WAV to standard output.
    pub fn stdout(depth: WavDepth) -> Self {
        let picture = Picture::Ppm;
        Self { target: Target::Stdout, picture, depth, written: Vec::new(), sound: None }
    }

    /// Path of the picture with this index, or of the sound with this stream number.
    fn path(&self, item: &Item, ending: &str, audio: bool) -> Result<Option<PathBuf>> {
        match &self.target {
            Target::Stdout => Ok(None),
            Target::File(path) => {
                let typed = path.extension().map(|e| e.to_string_lossy().to_lowercase());
                let fits = match typed.as_deref() {
                    Some("wav") => audio,
                    Some("png" | "ppm" | "pgm" | "pnm") => !audio,
                    _ => false,
                };
                if !fits {
                    let what =
                        if audio { "sound: name a .wav" } else { "pictures: name a .png or .ppm" };
                    let reason = format!("{}: this stream holds {what}", path.display());
                    return Err(Error::config("--output", reason));
                }
                if self.written.is_empty() {
                    return Ok(Some(path.clone()));
                }
                let reason = format!(
                    "{} can hold one picture or sound, {} holds more; give a folder, as in `-o out/`",
                    path.display(),
                    item.name
                );
                Err(Error::config("--output", reason))
            }
            Target::Folder { folder, stem } => {
                let only = item.stamp.index == 0 && item.end;
                let name = match (audio, only, item.stamp.stream) {
                    (true, _, 0 | 1) | (false, true, _) => format!("{stem}.{ending}"),
                    (true, _, stream) => format!("{stem}-{stream}.{ending}"),
                    (false, ..) => format!("{stem}-{:06}.{ending}", item.stamp.index),
                };
                Ok(Some(folder.join(name)))
            }
        }
    }

    fn write_picture(&mut self, item: &Item, frame: &Frame) -> Result<()> {
        let (ending, bytes) = match self.picture {
            Picture::Png => ("png", encode_png(frame)?),
            Picture::Ppm if frame.layout == Layout::Gray => ("pgm", encode_ppm(frame)?),
            Picture::Ppm => ("ppm", encode_ppm(frame)?),
        };
        match self.path(item, ending, false)? {
            None => std::io::stdout().write_all(&bytes).map_err(|e| Error::io("stdout", e)),
            Some(path) => {
                std::fs::write(&path, bytes).map_err(|e| Error::io(&path, e))?;
                self.written.push(path);
                Ok(())
            }
        }
    }

    fn write_sound(&mut self, item: &Item, frame: &Frame, rate: u32) -> Result<()> {
        let stream = item.stamp.stream;
        if self.sound.as_ref().is_some_and(|(open, _)| *open != stream) {
            self.close()?;
        }
        if self.sound.is_none() {
            // Before there is a file: one that was refused would stay empty.
            check_sound_shape(&item.name, rate, frame.channels)?;
            let sound = match self.path(item, "wav", true)? {
                None => Sound::Stdout(WavWriter::new(
                    std::io::stdout(),
                    rate,
                    frame.channels,
                    self.depth,
                )?),
                Some(path) => {
                    let file = File::create(&path).map_err(|e| Error::io(&path, e))?;
                    let out = BufWriter::new(file);
                    self.written.push(path.clone());
                    Sound::File(path, WavWriter::new(out, rate, frame.channels, self.depth)?)
                }
            };
            self.sound = Some((stream, sound));
        }
        match &mut self.sound {
            Some((_, Sound::File(_, wav))) => wav.write(frame),
            Some((_, Sound::Stdout(wav))) => wav.write(frame),
            None => Ok(()),
        }
    }

    fn close(&mut self) -> Result<()> {
        match self.sound.take() {
            Some((_, Sound::File(path, wav))) => {
                let mut out = wav.finish()?;
                out.flush().map_err(|e| Error::io(path, e))
            }
            Some((_, Sound::Stdout(wav))) => wav.finish_pipe().map(drop),
            None => Ok(()),
        }
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
                _ => self.write_picture(item, frame),
            },
        }
    }

    fn finish(&mut self) -> Result<()> {
        self.close()
    }
}

/// The name of a file without folder and ending.
pub fn stem(path: &Path) -> String {
    path.file_stem().map_or_else(|| "out".into(), |s| s.to_string_lossy().into_owned())
}
