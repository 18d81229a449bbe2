//! `Writer`: latents to recordings.

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use tamis::Error;
use tamis::bitstream::{Before, Coder, Limits, Packer, StreamHeader};
use tamis::codec::{self, Kind, Layout, Span, Stamp};
use tamis::pipeline::sinks::{Container, Output};
use tamis::pipeline::stages::KEYS;
use tamis::pipeline::{Item, Sink};

use crate::bundle::Ready;
use crate::error::{Failure, heavy, lock};
use crate::latent::Latent;

/// Values of sound in a packet at most: half of what readers take.
const SOUND: usize = 1 << 20;
// A signature in Python shows numbers only.
const _: () = assert!(KEYS == 32);
/// Latest capture time, in seconds: three thousand years.
const LATEST: f64 = 1e11;

/// Writes latents to a recording.
///
/// Writer(target, coder="dense", keys=32, fps=None, stream=0, device="cpu"): `target` is a path or an object with
/// `write(bytes)`. `coder` is "dense", a third smaller, or "fast", two to three times as quick. With "dense", pictures
/// continue the one before where that is smaller, and every `keys`-th stands alone. `fps` gives pictures without times
/// theirs.
///
/// A file has its name once it is closed; until then, and if a `with` block fails, it is called NAME.part, which can be
/// read as far as it goes. Raises OSError if it cannot be written.
#[pyclass(frozen, module = "tamis")]
pub struct Writer {
    open: Mutex<Option<Open>>,
}

struct Open {
    sink: Container<Box<dyn Write + Send>>,
    output: Option<Output>,
    coder: Coder,
    keys: u64,
    fps: Option<f64>,
    stream: u32,
    device: String,
    /// Of the first latent.
    codec: Option<(Arc<Ready>, Packer)>,
    /// Packets so far.
    index: u64,
    /// The last picture, which the next may continue.
    last: Option<Arc<codec::Latent>>,
}

#[pymethods]
impl Writer {
    #[new]
    #[pyo3(signature = (target, *, coder="dense", keys=32, fps=None, stream=0, device="cpu"))]
    fn new(
        target: &Bound<'_, PyAny>,
        coder: &str,
        keys: u64,
        fps: Option<f64>,
        stream: u32,
        device: &str,
    ) -> PyResult<Self> {
        let coder = match coder {
            "dense" => Coder::Dense,
            "fast" => Coder::Fast,
            _ => {
                let words = format!("coder is {coder:?}, expected \"dense\" or \"fast\"");
                return Err(PyValueError::new_err(words));
            }
        };
        if keys == 0 {
            return Err(PyValueError::new_err(
                "keys is 0, expected 1 at least: every picture alone",
            ));
        }
        if let Some(bad) = fps.filter(|f| !(1e-3..=1e6).contains(f)) {
            return Err(PyValueError::new_err(format!("fps is {bad}, expected 0.001 to 1000000")));
        }
        if device.len() > 255 {
            return Err(PyValueError::new_err("device has more than 255 bytes"));
        }
        let (output, out, path) = open(target)?;
        let open = Open {
            sink: Container::new(out, path),
            output,
            coder,
            keys,
            fps,
            stream,
            device: device.into(),
            codec: None,
            index: 0,
            last: None,
        };
        Ok(Self { open: Mutex::new(Some(open)) })
    }

    /// Writes one latent; a long sound as several packets. A latent without cells is passed over.
    ///
    /// `captured`: seconds since the start of the file. If None: that of a latent that was read; of a sound, where it
    /// stands in it; of a picture, its number over `fps`, or 0. `utc`: `datetime` of the clock on the wall.
    ///
    /// Raises ValueError if the latent is of another codec than the first, or its channels end inside a group.
    #[pyo3(signature = (latent, captured=None, utc=None))]
    fn write(
        &self,
        py: Python<'_>,
        latent: &Bound<'_, Latent>,
        captured: Option<f64>,
        utc: Option<SystemTime>,
    ) -> PyResult<()> {
        let captured = match captured {
            Some(bad) if !(0.0..=LATEST).contains(&bad) => {
                let words = format!("captured is {bad} seconds, expected 0 to {LATEST}");
                return Err(PyValueError::new_err(words));
            }
            captured => captured.map(Duration::from_secs_f64),
        };
        let latent = latent.get();
        heavy(py, || match &mut *lock(&self.open)? {
            Some(open) => open.write(latent, captured, utc),
            None => Err(Failure::Python(PyValueError::new_err("the writer is closed"))),
        })
    }

    /// Writes the index and gives the file its name. A recording without a latent is none: no file is left.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        heavy(py, || {
            let Some(mut open) = lock(&self.open)?.take() else { return Ok(()) };
            open.sink.finish()?;
            match open.output {
                Some(output) if open.index == 0 => output.discard_empty(),
                Some(output) => output.keep()?,
                None => {}
            }
            Ok(())
        })
    }

    /// Latents' packets written so far.
    #[getter]
    fn packets(&self, py: Python<'_>) -> PyResult<u64> {
        heavy(py, || Ok(lock(&self.open)?.as_ref().map_or(0, |open| open.index)))
    }

    fn __enter__(this: Bound<'_, Self>) -> Bound<'_, Self> {
        this
    }

    #[pyo3(signature = (*why))]
    fn __exit__(&self, py: Python<'_>, why: &Bound<'_, PyTuple>) -> PyResult<()> {
        let failed = why.get_item(0).is_ok_and(|kind| !kind.is_none());
        if !failed {
            return self.close(py);
        }
        heavy(py, || {
            if let Some(open) = lock(&self.open)?.take()
                && let Some(output) = open.output
            {
                output.discard_empty();
            }
            Ok(())
        })
    }
}

impl Open {
    fn write(
        &mut self,
        from: &Latent,
        captured: Option<Duration>,
        utc: Option<SystemTime>,
    ) -> Result<(), Failure> {
        let (ready, packer) = self.codec.get_or_insert_with(|| {
            let mut packer = from.ready.packer().clone();
            packer.set_coder(self.coder);
            (from.ready.clone(), packer)
        });
        let bundle = ready.bundle.clone();
        if bundle.tables_id() != from.ready.bundle.tables_id() {
            let (first, this) = (bundle.tables_id(), from.ready.bundle.tables_id());
            let reason = format!("latent has entropy tables {this}, the first had {first}");
            return Err(Error::bundle(&bundle.card.name, reason).into());
        }
        let latent = &from.latent;
        if latent.cells() == 0 && !latent.span.end {
            return Ok(());
        }
        check_size(latent, bundle.kind)?;
        let known = from.stamp.as_ref();
        let start = captured.or(known.map(|stamp| stamp.captured));
        let parts = match bundle.kind {
            Kind::Audio if !bundle.is_whole() => parts(latent, bundle.cell()),
            _ => vec![latent.clone()],
        };
        for part in &parts {
            let steps = (part.span.position * bundle.cell() as u64) as f64;
            let behind = (part.span.position - latent.span.position) * bundle.cell() as u64;
            let captured = match (start, from.layout) {
                (Some(start), Layout::Audio { rate }) => {
                    start + Duration::from_secs_f64(behind as f64 / f64::from(rate.max(1)))
                }
                (Some(start), _) => start,
                (None, Layout::Audio { rate }) => {
                    Duration::from_secs_f64(steps / f64::from(rate.max(1)))
                }
                (None, _) => match self.fps {
                    Some(fps) => Duration::from_secs_f64(self.index as f64 / fps),
                    None => Duration::ZERO,
                },
            };
            let utc = utc.or(known.and_then(|stamp| stamp.utc));
            let stamp = Stamp {
                stream: self.stream,
                index: self.index,
                boot: known.map_or(0, |stamp| stamp.boot),
                captured,
                utc: utc.and_then(|t| t.checked_add(captured - start.unwrap_or(captured))),
            };
            let mut header = StreamHeader::new(&bundle, from.layout, from.frame_channels(), &stamp);
            header.device.clone_from(&self.device);
            let key = self.index.is_multiple_of(self.keys);
            let before = self.last.as_ref().filter(|_| !key);
            let before = before.map(|latent| Before { index: self.index - 1, latent });
            let packet = packer.pack(&bundle, part, stamp.clone(), before)?;
            let item =
                Item { stamp, header: Some(header), packet: Some(packet), ..Item::default() };
            self.sink.write(&item)?;
            self.index += 1;
            if self.keys > 1 && bundle.kind == Kind::Image {
                self.last = Some(part.clone());
            }
        }
        Ok(())
    }
}

/// Refuses what no reader would take.
fn check_size(latent: &codec::Latent, kind: Kind) -> Result<(), Failure> {
    let limit = Limits::default().positions;
    let actual = latent.extent.iter().map(|&e| e as u64).product();
    if kind == Kind::Image && actual > limit {
        let what = "number of pixels of a picture".into();
        return Err(Error::Limit { what, limit, actual }.into());
    }
    Ok(())
}

/// A stretch of sound as stretches that fit a packet, without a seam.
fn parts(latent: &Arc<codec::Latent>, cell: usize) -> Vec<Arc<codec::Latent>> {
    let (channels, steps) = (latent.extent[0], latent.grid[1]);
    let most = (SOUND / channels.max(1) / cell).max(1);
    if steps <= most {
        return vec![latent.clone()];
    }
    let part = |start: usize| {
        let some = most.min(steps - start);
        let rows = latent.values.chunks_exact(steps);
        let last = start + some == steps;
        let span = Span {
            position: latent.span.position + start as u64,
            reset: latent.span.reset && start == 0,
            end: latent.span.end && last,
        };
        let samples = if last { latent.extent[1] - start * cell } else { some * cell };
        Arc::new(codec::Latent {
            grid: vec![latent.grid[0], some],
            extent: vec![channels, samples],
            span,
            values: rows.flat_map(|row| &row[start..start + some]).copied().collect(),
            ..**latent
        })
    };
    (0..steps).step_by(most).map(part).collect()
}

type Target = (Option<Output>, Box<dyn Write + Send>, PathBuf);

fn open(target: &Bound<'_, PyAny>) -> PyResult<Target> {
    if target.hasattr("write")? {
        let object = Object { object: target.clone().unbind() };
        return Ok((None, Box::new(object), "<object>".into()));
    }
    let path: PathBuf = target.extract().map_err(|_| {
        let words = format!("target is {target:?}, expected a path or an object with write(bytes)");
        PyTypeError::new_err(words)
    })?;
    heavy(target.py(), || {
        let (output, file) = Output::create(&path)?;
        Ok((Some(output), Box::new(file) as Box<dyn Write + Send>, path))
    })
}

/// Something of Python that bytes are written to.
struct Object {
    object: Py<PyAny>,
}

impl Write for Object {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Python::attach(|py| {
            let written = self.object.bind(py).call_method1("write", (PyBytes::new(py, bytes),))?;
            // Some say None, which is all.
            let written: Option<usize> = written.extract()?;
            Ok::<_, PyErr>(written.unwrap_or(bytes.len()).min(bytes.len()))
        })
        .map_err(std::io::Error::from)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
