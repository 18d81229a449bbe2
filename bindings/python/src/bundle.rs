//! `Bundle`: the numbers of a codec.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use numpy::PyArrayDyn;
use pyo3::exceptions::{PyFileExistsError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use tamis::bitstream::{Packer, StreamHeader};
use tamis::codec::{self, CodecId, Kind, Layout, Quality};
use tamis::pipeline::sinks::write_whole;
use tamis::runtime::{decoders_of, find_bundle, find_codec};

use crate::arrays::array;
use crate::error::{Failure, OrRaise, heavy};

/// A codec, and its entropy tables once somebody packs or unpacks with it.
#[derive(Debug)]
pub struct Ready {
    pub bundle: Arc<codec::Bundle>,
    packer: OnceLock<Packer>,
}

impl Ready {
    pub fn new(bundle: codec::Bundle) -> Arc<Self> {
        Arc::new(Self { bundle: Arc::new(bundle), packer: OnceLock::new() })
    }

    pub fn packer(&self) -> &Packer {
        self.packer.get_or_init(|| Packer::new(&self.bundle))
    }

    /// Channels to code: all, or as many as asked for.
    pub fn channels(&self, asked: Option<usize>) -> PyResult<usize> {
        let all = self.bundle.channels();
        match asked {
            Some(n) if n == 0 || n > all => {
                let name = &self.bundle.card.name;
                let words = format!("channels is {n}, bundle {name} has 1 to {all}");
                Err(PyValueError::new_err(words))
            }
            asked => Ok(asked.unwrap_or(all)),
        }
    }

    /// Rate and colours that a latent of this bundle stands for when nothing says more.
    pub fn layout(&self, channels: usize) -> Layout {
        match (self.bundle.kind, channels) {
            (Kind::Audio, _) => Layout::Audio { rate: self.bundle.rate.max(1) },
            (Kind::Image, 1) => Layout::Gray,
            (Kind::Image, _) => Layout::Rgb,
        }
    }
}

/// The bundles of recordings read so far: whoever trains opens thousands of files of one codec.
static SEEN: Mutex<BTreeMap<(CodecKey, CodecKey, String), Arc<Ready>>> =
    Mutex::new(BTreeMap::new());
type CodecKey = [u8; 8];
/// Bundles kept; streams name them, so there may be any number.
const KEPT: usize = 16;

/// The bundle that made a stream.
pub fn bundle_of(header: &StreamHeader) -> tamis::Result<Arc<Ready>> {
    let key = (header.codec.0, header.tables.0, header.bundle.clone());
    let seen = || SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(ready) = seen().get(&key) {
        return Ok(ready.clone());
    }
    // Not held meanwhile: a process that is forked just then could never open it.
    let ready = Ready::new(find_codec(CodecId(key.0), &key.2)?);
    let mut seen = seen();
    if seen.len() == KEPT {
        seen.pop_first();
    }
    seen.insert(key, ready.clone());
    Ok(ready)
}

/// A bundle, or the name or folder of one.
pub fn find(value: &Bound<'_, PyAny>) -> PyResult<Arc<Ready>> {
    if let Ok(bundle) = value.cast::<Bundle>() {
        return Ok(bundle.get().ready.clone());
    }
    let path: PathBuf = value.extract().map_err(|_| {
        PyTypeError::new_err(format!("bundle is {value}, expected a Bundle, a name or a folder"))
    })?;
    let name = text(&path)?.to_owned();
    heavy(value.py(), || Ok(Ready::new(find_bundle(&name)?)))
}

/// The same, or `rgb` if there is none.
pub fn find_or_rgb(py: Python<'_>, value: Option<&Bound<'_, PyAny>>) -> PyResult<Arc<Ready>> {
    match value {
        Some(value) => find(value),
        None => heavy(py, || Ok(Ready::new(find_bundle("rgb")?))),
    }
}

/// A path as the library takes names.
pub fn text(path: &Path) -> PyResult<&str> {
    path.to_str().ok_or_else(|| PyValueError::new_err(format!("path {path:?} is no UTF-8")))
}

pub fn quality(value: i64) -> PyResult<Quality> {
    let value = u8::try_from(value).map_err(|_| {
        PyValueError::new_err(format!("quality is {value}, expected 1 (coarsest) to 100 (finest)"))
    })?;
    Quality::new(value).or_raise()
}

/// A codec: transform, projection, order, steps, entropy tables. Made once, shared by everything.
///
/// Bundle(name): one that is shipped (rgb, stereo, mono), one in a folder named in TAMIS_MODELS, or the path of a
/// folder. Raises ValueError if there is none or it is damaged.
#[pyclass(frozen, module = "tamis")]
pub struct Bundle {
    pub ready: Arc<Ready>,
}

#[pymethods]
impl Bundle {
    #[new]
    fn new(name: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self { ready: find(name)? })
    }

    /// Short name, for people.
    #[getter]
    fn name(&self) -> &str {
        &self.ready.bundle.card.name
    }

    /// 16 hexadecimal digits that name the numbers of its latents. Heads and recordings bind to it.
    #[getter]
    fn id(&self) -> String {
        self.ready.bundle.codec_id().to_string()
    }

    /// 16 hexadecimal digits that name its entropy tables.
    #[getter]
    fn tables(&self) -> String {
        self.ready.bundle.tables_id().to_string()
    }

    /// "image" or "audio".
    #[getter]
    fn kind(&self) -> &'static str {
        match self.ready.bundle.kind {
            Kind::Image => "image",
            Kind::Audio => "audio",
        }
    }

    /// Latent channels, all of them.
    #[getter]
    fn channels(&self) -> usize {
        self.ready.bundle.channels()
    }

    /// Ends of the groups of channels: packets may be cut after each.
    #[getter]
    fn groups(&self) -> Vec<usize> {
        self.ready.bundle.groups.clone()
    }

    /// Colours or sound channels coded together.
    #[getter]
    fn inputs(&self) -> usize {
        self.ready.bundle.inputs
    }

    /// Levels of the packet transform: a cell has 2^levels samples per axis.
    #[getter]
    fn levels(&self) -> u32 {
        self.ready.bundle.levels
    }

    /// Nominal sample rate of a sound codec in hertz, else 0.
    #[getter]
    fn rate(&self) -> u32 {
        self.ready.bundle.rate
    }

    /// Step of each channel at quality 75, float32 [channels].
    #[getter]
    fn steps<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArrayDyn<f32>>> {
        array(py, self.ready.bundle.steps.clone(), &[self.channels()])
    }

    /// Standard deviation of each channel on the training data, float32 [channels].
    #[getter]
    fn deviation<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArrayDyn<f32>>> {
        array(py, self.ready.bundle.deviation.clone(), &[self.channels()])
    }

    /// Names of its neural decoders, for `Decoder`; the linear one is always there.
    #[getter]
    fn decoders(&self) -> Vec<&'static str> {
        decoders_of(&self.ready.bundle).map(|size| size.name()).collect()
    }

    /// Writes codec.toml and weights.safetensors into `folder`, which is made.
    ///
    /// Raises FileExistsError if another bundle is there, without which its recordings could not be read; OSError
    /// if the files cannot be written. Neural decoders are not written.
    fn save(&self, py: Python<'_>, folder: PathBuf) -> PyResult<()> {
        let bundle = &self.ready.bundle;
        heavy(py, || {
            let ids = |b: &codec::Bundle| (b.codec_id(), b.tables_id());
            if let Ok(there) = codec::Bundle::open(&folder)
                && ids(&there) != ids(bundle)
            {
                let words = format!(
                    "{} holds the bundle {} (codec {}), without which its recordings cannot be read; name another \
                     folder, or remove it first",
                    folder.display(),
                    there.card.name,
                    there.codec_id()
                );
                return Err(Failure::Python(PyFileExistsError::new_err(words)));
            }
            let (manifest, weights) = bundle.to_files()?;
            // The manifest last: what is there without it is no bundle.
            write_whole(&folder.join("weights.safetensors"), &weights)?;
            write_whole(&folder.join("codec.toml"), manifest.as_bytes())?;
            Ok(())
        })
    }

    fn __repr__(&self) -> String {
        let b = &self.ready.bundle;
        format!("Bundle({:?}, id {}, {} channels)", b.card.name, b.codec_id(), b.channels())
    }
}
