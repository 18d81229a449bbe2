//! `Latent` and `Stamp`: what encoders make, recordings hold and models read.

use std::sync::Arc;
use std::time::SystemTime;

use numpy::PyArrayDyn;
use numpy::ndarray::{ArrayView, IxDyn};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use tamis::codec::{self, Kind, Layout, Span, plain};

use crate::arrays::{array, integers};
use crate::bundle::{Bundle, Ready, find, quality as quality_of};
use crate::error::{OrRaise, heavy};

/// Which stream a latent belongs to, its place in it, and when it was captured.
#[pyclass(frozen, module = "tamis")]
pub struct Stamp {
    stamp: codec::Stamp,
}

#[pymethods]
impl Stamp {
    /// Number of the stream in its recording.
    #[getter]
    fn stream(&self) -> u32 {
        self.stamp.stream
    }

    /// Place in the stream, counted from 0 without gaps at the source.
    #[getter]
    fn index(&self) -> u64 {
        self.stamp.index
    }

    /// Identifies the boot that `captured` counts from; 0 for files.
    #[getter]
    fn boot(&self) -> u64 {
        self.stamp.boot
    }

    /// Seconds since boot, or since the start of the file.
    #[getter]
    fn captured(&self) -> f64 {
        self.stamp.captured.as_secs_f64()
    }

    /// `datetime` of the clock on the wall, in UTC, where one is known, else None.
    #[getter]
    fn utc(&self) -> Option<SystemTime> {
        self.stamp.utc
    }

    fn __repr__(&self) -> String {
        let s = &self.stamp;
        format!("Stamp(stream {}, index {}, captured {:?})", s.stream, s.index, s.captured)
    }
}

/// Integer latents of one picture or stretch of sound, channels in order of importance. It does not change.
///
/// Latent(bundle, values, extent, quality=75): of values of one's own, int16 [channels, height, width in cells] with
/// the extent [height, width] in pixels, or [channels, rows, steps in cells] with [channels, steps] of a whole sound. The
/// values are copied. Raises ValueError if they do not fit the bundle.
#[pyclass(frozen, module = "tamis")]
pub struct Latent {
    pub latent: Arc<codec::Latent>,
    pub ready: Arc<Ready>,
    pub layout: Layout,
    pub stamp: Option<codec::Stamp>,
    /// Groups that its packet carried and that are lost.
    pub lost_groups: usize,
}

impl Latent {
    /// Colours of the picture, or channels of the sound.
    pub fn frame_channels(&self) -> usize {
        match self.layout {
            Layout::Gray => 1,
            Layout::Bands { .. } => self.ready.bundle.inputs,
            Layout::Rgb => 3,
            Layout::Audio { .. } => self.latent.extent[0],
        }
    }
}

#[pymethods]
impl Latent {
    #[new]
    #[pyo3(signature = (bundle, values, extent, quality=75))]
    fn new(
        bundle: &Bound<'_, PyAny>,
        values: &Bound<'_, PyAny>,
        extent: [usize; 2],
        quality: i64,
    ) -> PyResult<Self> {
        let ready = find(bundle)?;
        let (shape, values) = integers(values, "values")?;
        let &[channels, rows, columns] = &shape[..] else {
            let words = format!(
                "values has shape {shape:?}, expected 3 axes: channels and two of the grid"
            );
            return Err(PyValueError::new_err(words));
        };
        let sound = ready.bundle.kind == Kind::Audio;
        let latent = codec::Latent {
            codec: ready.bundle.codec_id(),
            channels,
            grid: vec![rows, columns],
            extent: extent.to_vec(),
            span: if sound { Span::WHOLE } else { Span::default() },
            quality: quality_of(quality)?,
            values,
        };
        plain::check(&ready.bundle, &latent).or_raise()?;
        let layout = ready.layout(ready.bundle.inputs);
        Ok(Self { latent: Arc::new(latent), ready, layout, stamp: None, lost_groups: 0 })
    }

    /// The integers, int16 [channels, grid...]: a view of the latent's own memory, so read-only. `.copy()` may be
    /// changed.
    #[getter]
    fn values<'py>(this: Bound<'py, Self>) -> PyResult<Bound<'py, PyArrayDyn<i16>>> {
        let latent = Arc::clone(&this.get().latent);
        let shape = [latent.channels, latent.grid[0], latent.grid[1]];
        let view = ArrayView::from_shape(IxDyn(&shape), &latent.values)
            .map_err(|e| PyValueError::new_err(e.to_string()))?;
        // SAFETY: the array keeps this object, which keeps the values and never changes them; nobody
        // can write through it: it becomes read-only before anybody has it, and as it does not own its
        // data, nobody can undo that.
        #[allow(unsafe_code)]
        let array = unsafe { PyArrayDyn::borrow_from_array(&view, this.into_any()) };
        array.call_method1("setflags", (false,))?;
        Ok(array)
    }

    /// Reals as heads read them, float32 [channels, grid...]: integers times step, divided by the deviation of the
    /// channel, so that their meaning does not depend on the quality.
    ///
    /// `channels`: the first so many; those that the latent lacks are zero. As many as it has if None.
    #[pyo3(signature = (channels=None))]
    fn dequantized<'py>(
        &self,
        py: Python<'py>,
        channels: Option<usize>,
    ) -> PyResult<Bound<'py, PyArrayDyn<f32>>> {
        let channels = self.ready.channels(channels.or(Some(self.latent.channels)))?;
        let (ready, latent) = (&self.ready, &self.latent);
        let values = heavy(py, || Ok(ready.bundle.scaled(latent, channels)?))?;
        array(py, values, &[channels, latent.grid[0], latent.grid[1]])
    }

    /// The first `channels` channels: a coarser latent of the same picture or sound.
    fn prefix(&self, channels: usize) -> PyResult<Self> {
        let channels = self.ready.channels(Some(channels))?.min(self.latent.channels);
        let from = &self.latent;
        let latent = codec::Latent {
            channels,
            grid: from.grid.clone(),
            extent: from.extent.clone(),
            values: from.values[..channels * from.cells()].to_vec(),
            ..**from
        };
        Ok(Self {
            latent: Arc::new(latent),
            ready: self.ready.clone(),
            layout: self.layout,
            stamp: self.stamp.clone(),
            lost_groups: self.lost_groups,
        })
    }

    /// The codec that made it.
    #[getter]
    fn bundle(&self) -> Bundle {
        Bundle { ready: self.ready.clone() }
    }

    /// Channels present: a prefix of the bundle's.
    #[getter]
    fn channels(&self) -> usize {
        self.latent.channels
    }

    /// Cells per axis: (height, width), or (rows, steps) of a sound.
    #[getter]
    fn grid(&self) -> (usize, usize) {
        (self.latent.grid[0], self.latent.grid[1])
    }

    /// (height, width) of the picture in pixels, or (channels, steps) of the sound.
    #[getter]
    fn extent(&self) -> (usize, usize) {
        (self.latent.extent[0], self.latent.extent[1])
    }

    /// Rate control used, 1 (coarsest) to 100 (finest).
    #[getter]
    fn quality(&self) -> u8 {
        self.latent.quality.value()
    }

    /// "gray", "rgb" or "sound".
    #[getter]
    fn layout(&self) -> &'static str {
        match self.layout {
            Layout::Gray => "gray",
            Layout::Bands { .. } => "bands",
            Layout::Rgb => "rgb",
            Layout::Audio { .. } => "sound",
        }
    }

    /// Time steps per second of a sound, else 0.
    #[getter]
    fn rate(&self) -> u32 {
        match self.layout {
            Layout::Audio { rate } => rate,
            _ => 0,
        }
    }

    /// First cell of a stretch of sound, counted from the start of the sound.
    #[getter]
    fn position(&self) -> u64 {
        self.latent.span.position
    }

    /// Whether the sound ends with it.
    #[getter]
    fn end(&self) -> bool {
        self.latent.span.end
    }

    /// Stream, place and time, of a latent that was read; else None.
    #[getter]
    fn stamp(&self) -> Option<Stamp> {
        self.stamp.clone().map(|stamp| Stamp { stamp })
    }

    /// Groups of channels that its packet carried and that are lost.
    #[getter]
    fn lost_groups(&self) -> usize {
        self.lost_groups
    }

    fn __repr__(&self) -> String {
        let l = &self.latent;
        let name = &self.ready.bundle.card.name;
        format!(
            "Latent({name:?}, {} channels of {:?} cells, extent {:?}, quality {})",
            l.channels,
            l.grid,
            l.extent,
            l.quality.value()
        )
    }
}
