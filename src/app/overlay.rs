//! Pictures of what a head looked at: patches that it left out are grey and dark.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files;
use crate::codec::{Bundle, Frame, Kind, Samples};
use crate::error::{Error, Result};
use crate::pipeline::media::{encode_png, some_bands, view};
use crate::pipeline::sinks::{Names, make_folder_of, write_whole};
use crate::pipeline::sources::Found;
use crate::pipeline::stages::resize;
use crate::pipeline::{Item, Parts, Sink};
use crate::runtime::Decoder;

/// The longer side of a picture at most.
const SIDE: usize = 512;
/// Of the light of what is left out, what remains.
const DIM: f32 = 0.35;

/// Where overlays go: fixed before anything runs.
#[derive(Debug, Clone)]
pub struct Places {
    /// Without ending, by the name of the input.
    stems: HashMap<String, PathBuf>,
    names: Names,
    /// Height and width of a patch, in cells; `None` if nothing can be left out.
    patch: Option<[usize; 2]>,
}

impl Places {
    /// `STEM.png` in a folder for each input, or the file that was typed for one.
    ///
    /// # Errors
    /// `Config` if the bundle's latents are no pictures, several inputs have one file, it is no .png, or would
    /// overwrite an input.
    pub fn new(
        typed: &Path,
        found: &[Found],
        bundle: &Bundle,
        patch: Option<[usize; 2]>,
    ) -> Result<Self> {
        let wrong = |reason: String| Err(Error::config("--overlay", reason));
        if bundle.kind == Kind::Audio {
            return wrong("shows pictures, this head reads sounds; leave it out".into());
        }
        let folder = files::is_folder(typed);
        let ending = typed.extension().map(|e| e.to_ascii_lowercase());
        if !folder && ending.is_none_or(|e| e != "png") {
            let typed = typed.display();
            return wrong(format!(
                "{typed} is no .png; name one, or a folder as in `--overlay out/`"
            ));
        }
        if !folder && found.len() > 1 {
            return wrong(format!("{} inputs need a folder, as in `--overlay out/`", found.len()));
        }
        let spared = match folder {
            true => files::spare_inputs_in(found, typed),
            false => files::spare_inputs(found, typed),
        };
        spared.map_err(|e| match e {
            Error::Config { reason, .. } => Error::config("--overlay", reason),
            other => other,
        })?;
        let outputs = files::outputs(found);
        let stem = |output: PathBuf| match folder {
            true => typed.join(output),
            false => typed.with_extension(""),
        };
        let name = |f: &Found| match f.path.to_str() {
            Some("-") => "stdin".to_string(),
            _ => f.path.display().to_string(),
        };
        let stems = found.iter().map(name).zip(outputs.into_iter().map(stem)).collect();
        Ok(Self { stems, names: Names::default(), patch })
    }

    /// Writes the pictures of one line.
    pub fn sink(&self, bundle: Arc<Bundle>) -> Overlay {
        let decoder = Decoder::new(bundle.clone(), bundle.channels());
        Overlay { places: self.clone(), bundle, decoder, begun: None }
    }
}

/// Writes a picture for each prediction.
#[derive(Debug)]
pub struct Overlay {
    places: Places,
    bundle: Arc<Bundle>,
    decoder: Decoder,
    /// The input that the last one was of.
    begun: Option<String>,
}

impl Overlay {
    /// `STEM.png` if the input holds one picture, else `STEM-000001.png` with its place in the stream.
    fn path(&mut self, item: &Item) -> PathBuf {
        let stem = self.places.stems.get(&item.name).cloned();
        let stem = stem.unwrap_or_else(|| PathBuf::from(&item.name));
        let first = self.begun.replace(item.name.clone()).is_none_or(|n| n != item.name);
        let name = stem.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = match first && item.end {
            true => name,
            false => format!("{name}-{:06}", item.stamp.index),
        };
        self.places.names.unused(stem.parent().unwrap_or(Path::new("")), &name, "png")
    }
}

impl Sink for Overlay {
    fn needs(&self) -> Parts {
        Parts::LATENT | Parts::PREDICTION
    }

    fn write(&mut self, item: &Item) -> Result<()> {
        let (Some(latent), Some(header)) = (&item.latent, &item.header) else { return Ok(()) };
        let Some(prediction) = item.predictions.first() else { return Ok(()) };
        let mut frame = small(&self.decoder.push(latent, header.layout)?)?;
        if let (Some(patch), false) = (self.places.patch, prediction.patches.is_empty()) {
            let side = patch.map(|n| n * self.bundle.cell());
            let whole = [latent.extent[0], latent.extent[1]];
            let columns = latent.grid[1] / patch[1];
            let kept = |row: usize, column: usize| {
                column < columns && prediction.patches.contains(&(row * columns + column))
            };
            dim(&mut frame, whole, side, kept);
        }
        let path = self.path(item);
        make_folder_of(&path)?;
        write_whole(&path, &encode_png(&frame)?)
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The picture, no longer than [`SIDE`].
pub(super) fn small(frame: &Frame) -> Result<Frame> {
    let [height, width] = frame.extent[..] else {
        return Err(Error::shape("overlay", "a picture", "sound"));
    };
    let longest = height.max(width);
    if frame.layout.is_bands() {
        return small(&view(frame, &some_bands(frame.channels))?.0);
    }
    let side = |n: usize| if longest > SIDE { (n * SIDE / longest).max(1) } else { n };
    resize(frame, side(height), side(width))
}

/// Darkens the patches of a picture that are not kept. `whole`: height and width that patches with these sides
/// are of.
fn dim(
    frame: &mut Frame,
    whole: [usize; 2],
    [high, wide]: [usize; 2],
    kept: impl Fn(usize, usize) -> bool,
) {
    let [height, width] = [frame.extent[0], frame.extent[1]];
    let Samples::U8(values) = &mut frame.samples else { return };
    for (i, pixel) in values.chunks_exact_mut(frame.channels).enumerate() {
        let row = i / width * whole[0] / height / high;
        let column = i % width * whole[1] / width / wide;
        if !kept(row, column) {
            let sum: u32 = pixel.iter().map(|&x| u32::from(x)).sum();
            pixel.fill((DIM * sum as f32 / frame.channels as f32) as u8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_grey_and_dark_at_its_place() {
        // A picture of 4 by 6 that is shown as it is half as large; patches of 2 by 2, columns 0 and 2 kept.
        let mut frame = Frame::rgb(2, 3, [200, 100, 0].repeat(6)).expect("a picture");
        dim(&mut frame, [4, 6], [2, 2], |_, column| column != 1);
        let Samples::U8(values) = &frame.samples else { panic!("bytes") };
        let row = [200, 100, 0, 35, 35, 35, 200, 100, 0];
        assert_eq!(values[..], [row, row].concat());
    }
}
