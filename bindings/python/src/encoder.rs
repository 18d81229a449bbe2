//! `Encoder`: pictures and sounds to latents.

use std::sync::{Arc, Mutex};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use tamis::codec::Kind;
use tamis::runtime;

use crate::arrays::Samples;
use crate::bundle::{Bundle, Ready, find_or_rgb, quality as quality_of};
use crate::error::{OrRaise, heavy, lock};
use crate::latent::Latent;

/// Encodes the pictures, or the sound, of one stream.
///
/// Encoder(bundle="rgb", channels=None, quality=75, threads=1): `channels` is the end of a group, all if None; `threads`
/// share one picture out, and change no latent. Raises ValueError for what the bundle does not have. Threads may
/// share an encoder and wait for each other; each with its own run side by side.
#[pyclass(frozen, module = "tamis")]
pub struct Encoder {
    ready: Arc<Ready>,
    channels: usize,
    encoder: Mutex<runtime::Encoder>,
}

#[pymethods]
impl Encoder {
    #[new]
    #[pyo3(signature = (bundle=None, channels=None, quality=75, threads=1))]
    fn new(
        py: Python<'_>,
        bundle: Option<Bound<'_, PyAny>>,
        channels: Option<usize>,
        quality: i64,
        threads: usize,
    ) -> PyResult<Self> {
        let ready = find_or_rgb(py, bundle.as_ref())?;
        let channels = ready.channels(channels)?;
        let quality = quality_of(quality)?;
        let mut encoder =
            runtime::Encoder::new(ready.bundle.clone(), channels, quality).or_raise()?;
        encoder.set_threads(threads);
        Ok(Self { ready, channels, encoder: Mutex::new(encoder) })
    }

    /// Encodes a picture, or the next chunk of a sound.
    ///
    /// Shape: pictures are uint8 (0 to 255), uint16 (0 to 65535) or float32 (0 to 1), [height, width] or
    /// [height, width, 3]; those of a bundle of bands [height, width, bands], also int16; sounds int16 or float32
    /// (-1 to 1), [steps] or [steps, channels]. Arrays in C order are read where they lie, others are copied; do not
    /// write to them meanwhile.
    ///
    /// `rate`: time steps per second, of sound. `end`: whether the sound ends with this chunk. However it is cut, its
    /// cells are those of the whole; a chunk gives the cells that are complete, which may be none.
    ///
    /// Raises TypeError or ValueError for a dtype or shape that does not fit the bundle or the chunks before.
    #[pyo3(signature = (samples, rate=None, end=true))]
    fn push(
        &self,
        py: Python<'_>,
        samples: &Bound<'_, PyAny>,
        rate: Option<u32>,
        end: bool,
    ) -> PyResult<Latent> {
        let bundle = &self.ready.bundle;
        let samples = Samples::of(samples, bundle.kind, rate, Some(bundle.inputs))?;
        let frame = samples.frame()?;
        if bundle.kind == Kind::Image && frame.channels != 1 && frame.channels != bundle.inputs {
            let words = format!(
                "bundle {} codes {} colours, the picture has {}; make it gray, or use \"rgb\"",
                bundle.card.name, bundle.inputs, frame.channels
            );
            return Err(PyValueError::new_err(words));
        }
        let latent = heavy(py, || Ok(lock(&self.encoder)?.push(frame, end)?))?;
        Ok(Latent {
            latent: Arc::new(latent),
            ready: self.ready.clone(),
            layout: frame.layout,
            stamp: None,
            lost_groups: 0,
        })
    }

    /// Forgets the sound so far: the next chunk starts anew.
    fn reset(&self, py: Python<'_>) -> PyResult<()> {
        heavy(py, || {
            lock(&self.encoder)?.reset();
            Ok(())
        })
    }

    /// Changes the quality, 1 (coarsest) to 100 (finest), from the next picture or chunk on.
    fn set_quality(&self, py: Python<'_>, quality: i64) -> PyResult<()> {
        let quality = quality_of(quality)?;
        heavy(py, || {
            lock(&self.encoder)?.set_quality(quality);
            Ok(())
        })
    }

    /// The codec.
    #[getter]
    fn bundle(&self) -> Bundle {
        Bundle { ready: self.ready.clone() }
    }

    /// Channels coded.
    #[getter]
    fn channels(&self) -> usize {
        self.channels
    }

    fn __repr__(&self) -> String {
        format!("Encoder({:?}, {} channels)", self.ready.bundle.card.name, self.channels)
    }
}
