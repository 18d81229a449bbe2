//! `Decoder`: latents to pictures and sounds.

use std::sync::{Arc, Mutex};

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use tamis::codec::{Frame, Samples};
use tamis::runtime::{self, DecoderSize, decoders_of, find_decoder};

use crate::arrays::array;
use crate::bundle::{Bundle, Ready, find_or_rgb};
use crate::error::{Failure, heavy, lock, warn};
use crate::latent::Latent;

/// Decodes the latents of one stream.
///
/// Decoder(bundle="rgb", channels=None, decoder="linear"): reads the first `channels` channels, all if None. `decoder`
/// is "linear", the quick one that every bundle has, or a neural one of `Bundle.decoders` ("default", "edge").
/// Raises ValueError for what the bundle does not have.
#[pyclass(frozen, module = "tamis")]
pub struct Decoder {
    ready: Arc<Ready>,
    channels: usize,
    decoder: Mutex<runtime::Decoder>,
}

#[pymethods]
impl Decoder {
    #[new]
    #[pyo3(signature = (bundle=None, channels=None, decoder="linear"))]
    fn new(
        py: Python<'_>,
        bundle: Option<Bound<'_, PyAny>>,
        channels: Option<usize>,
        decoder: &str,
    ) -> PyResult<Self> {
        let ready = find_or_rgb(py, bundle.as_ref())?;
        let channels = ready.channels(channels)?;
        let made = heavy(py, || {
            let bundle = &ready.bundle;
            let size = DecoderSize::ALL.into_iter().find(|size| size.name() == decoder);
            let neural = match size {
                Some(size) => find_decoder(bundle, size)?,
                None => None,
            };
            match neural {
                Some(neural) => {
                    Ok(runtime::Decoder::with_neural(bundle.clone(), channels, Arc::new(neural))?)
                }
                None if decoder == "linear" => Ok(runtime::Decoder::new(bundle.clone(), channels)),
                None => {
                    let names = decoders_of(bundle).map(|size| format!(", {:?}", size.name()));
                    let words = format!(
                        "decoder is {decoder:?}, bundle {} has \"linear\"{}",
                        bundle.card.name,
                        names.collect::<String>()
                    );
                    Err(Failure::Python(PyValueError::new_err(words)))
                }
            }
        })?;
        Ok(Self { ready, channels, decoder: Mutex::new(made) })
    }

    /// Decodes a picture, or the next stretch of a sound.
    ///
    /// Shape: pictures are uint8 [height, width] or [height, width, 3], those of bands [height, width, bands] of the dtype
    /// that was encoded, sounds float32 (-1 to 1) [steps, channels]. A
    /// sound comes a few cells behind its latents. Where cells are missing, silence of their length comes instead, and
    /// LossWarning says so.
    ///
    /// Raises ValueError if the latent is of another codec, BitstreamError if the sound goes back in time.
    fn push<'py>(
        &self,
        py: Python<'py>,
        latent: &Bound<'py, Latent>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (latent, layout) = (latent.get().latent.clone(), latent.get().layout);
        let (frame, silence, left_out) = heavy(py, || {
            let mut decoder = lock(&self.decoder)?;
            let before = (decoder.filled(), decoder.left_out());
            let frame = decoder.push(&latent, layout)?;
            Ok((frame, decoder.filled() - before.0, decoder.left_out() - before.1))
        })?;
        for (steps, became) in [(silence, "now silence"), (left_out, "left out: too many")] {
            if steps > 0 {
                warn(py, &format!("{steps} time steps missing, {became}"))?;
            }
        }
        samples(py, frame)
    }

    /// Ends a sound whose last latent never came: what is left of it, float32 [steps, channels], or None.
    fn finish<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let rest = heavy(py, || Ok(lock(&self.decoder)?.finish()?))?;
        rest.map(|frame| samples(py, frame)).transpose()
    }

    /// The codec.
    #[getter]
    fn bundle(&self) -> Bundle {
        Bundle { ready: self.ready.clone() }
    }

    /// Channels read.
    #[getter]
    fn channels(&self) -> usize {
        self.channels
    }

    fn __repr__(&self) -> String {
        format!("Decoder({:?}, {} channels)", self.ready.bundle.card.name, self.channels)
    }
}

fn samples(py: Python<'_>, frame: Frame) -> PyResult<Bound<'_, PyAny>> {
    let mut shape = frame.extent;
    if frame.channels != 1 || !matches!(frame.layout, tamis::codec::Layout::Gray) {
        shape.push(frame.channels);
    }
    match frame.samples {
        Samples::U8(v) => Ok(array(py, v, &shape)?.into_any()),
        Samples::U16(v) => Ok(array(py, v, &shape)?.into_any()),
        Samples::I16(v) => Ok(array(py, v, &shape)?.into_any()),
        Samples::F32(v) => Ok(array(py, v, &shape)?.into_any()),
        _ => Err(PyRuntimeError::new_err("a bug in tamis: samples of a type no decoder gives")),
    }
}
