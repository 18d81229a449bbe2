//! `Head` and `Prediction`: models on latents.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Instant;

use numpy::PyArrayDyn;
use pyo3::prelude::*;
use tamis::runtime::{self, HeadCard, HeadOptions, find_head_with};

use crate::arrays::array;
use crate::bundle::text;
use crate::error::{heavy, lock};
use crate::latent::Latent;

/// A model on latents: an ONNX file that names the codec it reads.
///
/// Head(name, int8=False): one that is shipped (waste, digits, esc10), one in a folder named in TAMIS_MODELS, or a path.
/// `int8` runs a transformer in whole numbers of 8 bits. Raises ValueError if there is none or it is damaged.
#[pyclass(frozen, module = "tamis")]
pub struct Head {
    card: HeadCard,
    head: Mutex<runtime::Head>,
}

#[pymethods]
impl Head {
    #[new]
    #[pyo3(signature = (name, int8=false))]
    fn new(py: Python<'_>, name: PathBuf, int8: bool) -> PyResult<Self> {
        let name = text(&name)?;
        let options = HeadOptions { int8, ..HeadOptions::default() };
        let head = heavy(py, || Ok(find_head_with(name, &options)?))?;
        Ok(Self { card: head.card().clone(), head: Mutex::new(head) })
    }

    /// Classifies one latent. Channels that it lacks are zero.
    ///
    /// Raises ValueError if it is of another codec or has a grid that the model does not take.
    fn run(&self, py: Python<'_>, latent: &Bound<'_, Latent>) -> PyResult<Prediction> {
        let (latent, ready) = (latent.get().latent.clone(), latent.get().ready.clone());
        heavy(py, || {
            let mut head = lock(&self.head)?;
            let start = Instant::now();
            let logits = head.logits(&ready.bundle, &latent)?;
            let found = self.card.prediction(&logits, latent.cells(), start.elapsed())?;
            Ok(Prediction { logits, found })
        })
    }

    /// Name or path that it was opened by.
    #[getter]
    fn name(&self) -> &str {
        &self.card.name
    }

    /// What it does.
    #[getter]
    fn task(&self) -> &str {
        &self.card.task
    }

    /// Id of the codec whose latents it reads: `Bundle.id`.
    #[getter]
    fn codec(&self) -> String {
        self.card.codec.to_string()
    }

    /// Name of the bundle with that codec.
    #[getter]
    fn bundle(&self) -> &str {
        &self.card.bundle
    }

    /// Channels read.
    #[getter]
    fn channels(&self) -> usize {
        self.card.channels
    }

    /// (lowest, highest) quality that it is good for.
    #[getter]
    fn quality(&self) -> (u8, u8) {
        (self.card.quality.0.value(), self.card.quality.1.value())
    }

    /// The only grid it takes, in cells; None if any.
    #[getter]
    fn grid(&self) -> Option<Vec<usize>> {
        self.card.grid.clone()
    }

    /// Sample rate that it was trained on, 0 for pictures.
    #[getter]
    fn rate(&self) -> u32 {
        self.card.rate
    }

    /// Names of its outputs.
    #[getter]
    fn labels(&self) -> Vec<String> {
        self.card.labels.clone()
    }

    /// Licence of the weights.
    #[getter]
    fn licence(&self) -> &str {
        &self.card.licence
    }

    fn __repr__(&self) -> String {
        let card = &self.card;
        format!("Head({:?}, {} channels, {} labels)", card.name, card.channels, card.labels.len())
    }
}

/// What a head answers.
#[pyclass(frozen, module = "tamis")]
pub struct Prediction {
    logits: Vec<f32>,
    found: runtime::Prediction,
}

#[pymethods]
impl Prediction {
    /// The likeliest label.
    #[getter]
    fn label(&self) -> &str {
        self.found.top.first().map_or("", |top| &top.0)
    }

    /// Its probability.
    #[getter]
    fn score(&self) -> f32 {
        self.found.top.first().map_or(0.0, |top| top.1)
    }

    /// [(label, probability), ...], the likeliest first.
    #[getter]
    fn top(&self) -> Vec<(String, f32)> {
        self.found.top.clone()
    }

    /// What the model itself gave, float32 [labels], in the order of `Head.labels`.
    #[getter]
    fn logits<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArrayDyn<f32>>> {
        array(py, self.logits.clone(), &[self.logits.len()])
    }

    /// Milliseconds taken.
    #[getter]
    fn ms(&self) -> f64 {
        1e3 * self.found.elapsed.as_secs_f64()
    }

    fn __repr__(&self) -> String {
        format!("Prediction({:?}, {:.3})", self.label(), self.score())
    }
}
