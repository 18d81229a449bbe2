//! `Reader`: recordings to latents.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView};
use tamis::Error;
use tamis::bitstream::StreamHeader;
use tamis::codec::Layout;

use crate::bundle::find;
use crate::error::{heavy, lock, warn};
use crate::latent::Latent;
use crate::stream::{Prefix, Recording, Step};

/// Bytes asked for at once.
const CHUNK: usize = 1 << 18;
/// Losses whose words are kept; all are counted.
const KEPT: usize = 1000;

/// Where bytes come from.
enum Source {
    File(File, PathBuf),
    /// Something with `read(n)`.
    Object(Arc<Py<PyAny>>),
    /// Whoever calls `push`.
    Pushed,
}

struct State {
    recording: Recording,
    source: Source,
    losses: VecDeque<String>,
    lost: u64,
}

/// Reads a recording, packet by packet.
///
/// Reader(source=None, channels=None, groups=None, bundle=None): `source` is a path, bytes, an object with
/// `read(n) -> bytes`, or None for bytes that come by `push`. `channels`: the first so many of each latent; `groups`: the
/// same in groups; what lies behind is not decoded. `bundle`: the codec of the recording, if it is neither shipped nor in
/// a folder named in TAMIS_MODELS.
///
/// Iterating gives a `Latent` for each packet. Whatever is lost on the way is counted in `lost`, kept in words in
/// `losses`, and told as a `LossWarning`; `warnings.simplefilter("error", tamis.LossWarning)` makes errors of them.
///
/// Raises OSError if the file cannot be read, BitstreamError if it is no recording, ValueError if its bundle is unknown.
#[pyclass(frozen, module = "tamis")]
pub struct Reader {
    state: Mutex<State>,
}

/// What one look at the state found.
enum Found {
    Latent(Latent),
    Loss(String),
    /// The object with `read` is to be asked.
    Ask,
    More,
    End,
}

#[pymethods]
impl Reader {
    #[new]
    #[pyo3(signature = (source=None, *, channels=None, groups=None, bundle=None))]
    fn new(
        source: Option<Bound<'_, PyAny>>,
        channels: Option<usize>,
        groups: Option<usize>,
        bundle: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        for (what, asked) in [("channels", channels), ("groups", groups)] {
            if asked == Some(0) {
                let words = format!("{what} is 0, expected 1 at least, or None for all");
                return Err(PyValueError::new_err(words));
            }
        }
        if channels.is_some() && groups.is_some() {
            let words = "channels and groups both given: they say the same, leave one out";
            return Err(PyValueError::new_err(words));
        }
        let bundle = bundle.map(|b| find(&b)).transpose()?;
        let mut recording = Recording::new(Prefix { channels, groups }, bundle);
        let source = match source {
            None => Source::Pushed,
            Some(value) => open(&value, &mut recording)?,
        };
        let state = State { recording, source, losses: VecDeque::new(), lost: 0 };
        Ok(Self { state: Mutex::new(state) })
    }

    fn __iter__(this: Bound<'_, Self>) -> Bound<'_, Self> {
        this
    }

    /// The next latent. One without a source stops where it needs more bytes, and goes on after `push`.
    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Latent>> {
        loop {
            match heavy(py, || Ok(lock(&self.state)?.look()?))? {
                Found::Latent(latent) => return Ok(Some(latent)),
                Found::Loss(words) => warn(py, &words)?,
                Found::Ask => self.ask(py)?,
                Found::More | Found::End => return Ok(None),
            }
        }
    }

    /// Takes the next bytes, and returns the latents that they complete.
    fn push(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<Vec<Latent>> {
        let data = bytes_of(data)?;
        let bytes = data.as_bytes();
        heavy(py, || {
            lock(&self.state)?.recording.push(bytes);
            Ok(())
        })?;
        self.all(py)
    }

    /// Says that no byte will follow, and returns the latents that are left.
    fn finish(&self, py: Python<'_>) -> PyResult<Vec<Latent>> {
        heavy(py, || {
            lock(&self.state)?.recording.finish();
            Ok(())
        })?;
        self.all(py)
    }

    /// Headers of the streams so far, by their number: dicts of layout, channels, rate, codec, tables, groups, utc, boot,
    /// bundle, device.
    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<BTreeMap<u32, Header>> {
        let headers = heavy(py, || Ok(lock(&self.state)?.recording.headers().clone()))?;
        Ok(headers.into_iter().map(|(stream, header)| (stream, Header::of(header))).collect())
    }

    /// Losses so far: damage, groups and packets missing, a missing index.
    #[getter]
    fn lost(&self, py: Python<'_>) -> PyResult<u64> {
        heavy(py, || Ok(lock(&self.state)?.lost))
    }

    /// The last thousand of them in words.
    #[getter]
    fn losses(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        heavy(py, || Ok(lock(&self.state)?.losses.iter().cloned().collect()))
    }

    /// Whether an index closed the recording, as far as it was read.
    #[getter]
    fn complete(&self, py: Python<'_>) -> PyResult<bool> {
        heavy(py, || Ok(lock(&self.state)?.recording.complete()))
    }

    /// Closes the file. Nothing else is read.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        heavy(py, || {
            lock(&self.state)?.source = Source::Pushed;
            Ok(())
        })
    }

    fn __enter__(this: Bound<'_, Self>) -> Bound<'_, Self> {
        this
    }

    #[pyo3(signature = (*_why))]
    fn __exit__(&self, py: Python<'_>, _why: &Bound<'_, pyo3::types::PyTuple>) -> PyResult<()> {
        self.close(py)
    }
}

impl Reader {
    fn all(&self, py: Python<'_>) -> PyResult<Vec<Latent>> {
        let mut latents = Vec::new();
        while let Some(latent) = self.__next__(py)? {
            latents.push(latent);
        }
        Ok(latents)
    }

    /// Reads from an object, which needs the interpreter: the state is not locked meanwhile.
    fn ask(&self, py: Python<'_>) -> PyResult<()> {
        let object = heavy(py, || match &lock(&self.state)?.source {
            Source::Object(object) => Ok(Some(object.clone())),
            _ => Ok(None),
        })?;
        let Some(object) = object else { return Ok(()) };
        let data = object.bind(py).call_method1("read", (CHUNK,))?;
        let data = bytes_of(&data)?;
        let bytes = data.as_bytes();
        heavy(py, || {
            let recording = &mut lock(&self.state)?.recording;
            match bytes.is_empty() {
                true => recording.finish(),
                false => recording.push(bytes),
            }
            Ok(())
        })
    }
}

impl State {
    fn look(&mut self) -> tamis::Result<Found> {
        loop {
            match self.recording.step()? {
                Step::Latent(read) => {
                    return Ok(Found::Latent(Latent {
                        latent: read.latent,
                        ready: read.ready,
                        layout: read.layout,
                        stamp: Some(read.stamp),
                        lost_groups: read.lost_groups,
                    }));
                }
                Step::Loss(words) => {
                    self.lost += 1;
                    if self.losses.len() == KEPT {
                        self.losses.pop_front();
                    }
                    self.losses.push_back(words.clone());
                    return Ok(Found::Loss(words));
                }
                Step::End => return Ok(Found::End),
                Step::More => match &mut self.source {
                    Source::Pushed => return Ok(Found::More),
                    Source::Object(_) => return Ok(Found::Ask),
                    Source::File(file, path) => {
                        let mut bytes = Vec::with_capacity(CHUNK);
                        let read = file.take(CHUNK as u64).read_to_end(&mut bytes);
                        read.map_err(|e| Error::io(path.clone(), e))?;
                        match bytes.is_empty() {
                            true => self.recording.finish(),
                            false => self.recording.push(&bytes),
                        }
                    }
                },
            }
        }
    }
}

fn open(value: &Bound<'_, PyAny>, recording: &mut Recording) -> PyResult<Source> {
    if value.hasattr("read")? {
        return Ok(Source::Object(Arc::new(value.clone().unbind())));
    }
    if let Ok(path) = value.extract::<PathBuf>() {
        let file =
            heavy(value.py(), || Ok(File::open(&path).map_err(|e| Error::io(path.clone(), e))?))?;
        return Ok(Source::File(file, path));
    }
    let bytes = bytes_of(value).map_err(|_| {
        let words =
            format!("source is {value:?}, expected a path, bytes or an object with read(n)");
        PyTypeError::new_err(words)
    })?;
    recording.push(bytes.as_bytes());
    recording.finish();
    Ok(Source::Pushed)
}

/// The bytes of an object that has any; copied where they may change.
fn bytes_of<'py>(data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    if let Ok(bytes) = data.cast::<PyBytes>() {
        return Ok(bytes.clone());
    }
    let view = PyMemoryView::from(data).map_err(|_| {
        let kind = data.get_type().name().map_or_else(|_| "object".into(), |n| n.to_string());
        PyTypeError::new_err(format!("data is a {kind}, expected bytes; open files with \"rb\""))
    })?;
    Ok(view.call_method0("tobytes")?.cast_into::<PyBytes>()?)
}

/// What a stream says of itself, as a dict.
#[derive(IntoPyObject)]
struct Header {
    layout: &'static str,
    channels: usize,
    rate: u32,
    codec: String,
    tables: String,
    groups: Vec<usize>,
    utc: Option<SystemTime>,
    boot: u64,
    bundle: String,
    device: String,
}

impl Header {
    fn of(header: StreamHeader) -> Self {
        Self {
            layout: match header.layout {
                Layout::Gray => "gray",
                Layout::Bands { .. } => "bands",
                Layout::Rgb => "rgb",
                Layout::Audio { .. } => "sound",
            },
            channels: header.channels,
            rate: header.rate(),
            codec: header.codec.to_string(),
            tables: header.tables.to_string(),
            groups: header.groups,
            utc: header.utc,
            boot: header.boot,
            bundle: header.bundle,
            device: header.device,
        }
    }
}
