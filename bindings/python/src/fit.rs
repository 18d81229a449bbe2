//! `fit`: a codec for a sensor, in closed form.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use rayon::prelude::*;
use tamis::codec::{Card, Frame, FrameRef, Kind, Samples, SamplesRef};
use tamis::lab::{Fit, Of, fit as fit_bundle};
use tamis::pipeline::media;
use tamis::pipeline::sources::find_files;

use crate::arrays;
use crate::bundle::{Bundle, Ready};
use crate::error::{OrRaise, heavy, warn};

/// Terms of a channel at most: as many as gray has bands.
const TERMS: usize = 64;

/// What a fit reads: files, or arrays where they lie.
enum Input<'a> {
    File(PathBuf),
    Array(FrameRef<'a>),
}

/// Fits a bundle for your own sensor, in closed form, in seconds.
///
/// `inputs`: paths of files and folders, or arrays as `Encoder.push` takes them (those of int16, and of other than 1 or 3
/// values a pixel, are of bands), all of one kind; 50 pictures or 30 s of sound
/// at least. `rate`: sample rate of arrays of sound; without it arrays are pictures. `channels`: kept (pictures: a quarter of all, of bands 512 at most;
/// sounds: all). `levels`: of the transform (pictures 1 to 4, 3 if None; sounds 1 to 9, 7 if None). `terms` of each channel in
/// fixed point, for pictures of 1 or 3 colours at 3 levels; `dense=True` makes a floating-point bundle of all terms. `seconds` read of
/// each sound file. `name`, for people.
///
/// Files that cannot be read are passed over with a LossWarning. Raises ValueError if nothing is left or a number is out
/// of range. Ctrl-C stops it.
#[pyfunction]
#[pyo3(signature = (inputs, *, channels=None, levels=None, rate=None, terms=8, dense=false, seconds=30.0, name="own"))]
#[allow(clippy::too_many_arguments)]
pub fn fit(
    py: Python<'_>,
    inputs: &Bound<'_, PyAny>,
    channels: Option<usize>,
    levels: Option<u32>,
    rate: Option<u32>,
    terms: usize,
    dense: bool,
    seconds: f64,
    name: &str,
) -> PyResult<Bundle> {
    if !(1..=TERMS).contains(&terms) {
        let words = format!("terms is {terms}, expected 1 to {TERMS}");
        return Err(PyValueError::new_err(words));
    }
    if seconds.is_nan() || seconds <= 0.0 {
        let words = format!("seconds is {seconds}, expected more than 0");
        return Err(PyValueError::new_err(words));
    }
    let (paths, arrays) = sort(inputs, rate)?;
    let found = heavy(py, || Ok(if paths.is_empty() { Vec::new() } else { find_files(&paths)? }))?;
    let mut files: Vec<Input<'_>> = found.into_iter().map(|f| Input::File(f.path)).collect();
    for array in &arrays {
        files.push(Input::Array(array.frame()?));
    }
    let stop = AtomicBool::new(false);
    let (fitted, unreadable) = interruptible(py, &stop, || {
        let (of, inputs, unreadable) = look(&files, seconds, &stop)?;
        let kind = of.kind();
        let levels = levels.unwrap_or(if kind == Kind::Image { 3 } else { 7 });
        let allowed = if kind == Kind::Image { 1..=4 } else { 1..=9 };
        if !allowed.contains(&levels) {
            let reason = format!("is {levels}, expected {} to {}", allowed.start(), allowed.end());
            return Err(tamis::Error::config("levels", reason));
        }
        let bands = inputs << (levels * if kind == Kind::Image { 2 } else { 1 });
        if of == Of::Bands && dense {
            let reason = "is for gray and colours; bands are rotated once for all positions";
            return Err(tamis::Error::config("dense", reason));
        }
        let fixed = of == Of::Colours && levels == 3 && [1, 3].contains(&inputs) && !dense;
        let options = Fit {
            spectral: of == Of::Bands,
            kind,
            terms: fixed.then_some(terms),
            inputs,
            levels,
            channels: channels.unwrap_or(of.channels(bands)),
            rate: if kind == Kind::Audio { 44100 } else { 0 },
            card: Card {
                name: name.into(),
                data: format!("{} files", files.len() - unreadable.len()),
                command: "tamis.fit".into(),
                ..Card::default()
            },
        };
        let read = |input: &Input<'_>| {
            let stopped = stop.load(Ordering::Relaxed);
            let frame = if stopped { None } else { frame_of(input, seconds).ok() };
            frame.filter(|f| Of::layout(f.layout) == of)
        };
        Ok((fit_bundle(&options, &files, read, || ())?.bundle, unreadable))
    })?;
    for words in unreadable {
        warn(py, &format!("passed over: {words}"))?;
    }
    Ok(Bundle { ready: Ready::new(fitted) })
}

/// Paths and arrays of a list, or of one path.
fn sort<'py>(
    inputs: &Bound<'py, PyAny>,
    rate: Option<u32>,
) -> PyResult<(Vec<PathBuf>, Vec<arrays::Samples<'py>>)> {
    if let Ok(path) = inputs.extract::<PathBuf>() {
        return Ok((vec![path], Vec::new()));
    }
    let kind = if rate.is_some() { Kind::Audio } else { Kind::Image };
    let (mut paths, mut arrays) = (Vec::new(), Vec::new());
    let list = inputs.try_iter().map_err(|_| {
        PyTypeError::new_err(format!("inputs is {inputs:?}, expected a list of paths or of arrays"))
    })?;
    for one in list {
        let one = one?;
        match one.extract::<PathBuf>() {
            Ok(path) => paths.push(path),
            Err(_) => arrays.push(arrays::Samples::of(&one, kind, rate, None)?),
        }
    }
    match (paths.is_empty(), arrays.is_empty()) {
        (true, true) => Err(PyValueError::new_err("inputs is empty, expected paths or arrays")),
        (false, false) => {
            Err(PyValueError::new_err("inputs has paths and arrays; give it one kind"))
        }
        _ => Ok((paths, arrays)),
    }
}

/// What most inputs are, their channels, and what cannot be read.
fn look(
    files: &[Input<'_>],
    seconds: f64,
    stop: &AtomicBool,
) -> tamis::Result<(Of, usize, Vec<String>)> {
    let shapes: Vec<Option<tamis::Result<(Of, usize)>>> = files
        .par_iter()
        .map(|file| match file {
            _ if stop.load(Ordering::Relaxed) => None,
            Input::Array(frame) => Some(Ok((Of::layout(frame.layout), frame.channels))),
            Input::File(_) => {
                Some(frame_of(file, seconds).map(|f| (Of::layout(f.layout), f.channels)))
            }
        })
        .collect();
    let mut counts: BTreeMap<(Of, usize), usize> = BTreeMap::new();
    let mut unreadable = Vec::new();
    for shape in shapes.into_iter().flatten() {
        match shape {
            Ok(shape) => *counts.entry(shape).or_default() += 1,
            Err(e) => unreadable.push(e.to_string()),
        }
    }
    let most = counts.into_iter().max_by_key(|&(_, n)| n);
    let Some(((of, channels), _)) = most else {
        return Err(tamis::Error::input("fit", "no readable picture or sound among the inputs"));
    };
    Ok((of, channels, unreadable))
}

fn frame_of(input: &Input<'_>, seconds: f64) -> tamis::Result<Frame> {
    let mut frame = match input {
        Input::File(path) => media::read(path, &media::Limits::default())?.frame,
        Input::Array(frame) => {
            let samples = match frame.samples {
                SamplesRef::U8(v) => Samples::U8(v.to_vec()),
                SamplesRef::U16(v) => Samples::U16(v.to_vec()),
                SamplesRef::I16(v) => Samples::I16(v.to_vec()),
                SamplesRef::F32(v) => Samples::F32(v.to_vec()),
                SamplesRef::Nv12(v) => Samples::Nv12(v.to_vec()),
                SamplesRef::Yuyv(v) => Samples::Yuyv(v.to_vec()),
            };
            return Frame::new(frame.layout, frame.channels, frame.extent.to_vec(), samples);
        }
    };
    frame.shorten(seconds);
    Ok(frame)
}

/// Runs `work` in a thread of its own, and looks for Ctrl-C meanwhile: then `stop` is set, and its exception raised.
fn interruptible<T: Send>(
    py: Python<'_>,
    stop: &AtomicBool,
    work: impl FnOnce() -> tamis::Result<T> + Send,
) -> PyResult<T> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(work);
        let mut raised = None;
        while !thread.is_finished() {
            py.detach(|| std::thread::sleep(Duration::from_millis(20)));
            if raised.is_none()
                && let Err(e) = py.check_signals()
            {
                stop.store(true, Ordering::Relaxed);
                raised = Some(e);
            }
        }
        let done = thread.join();
        match (raised, done) {
            (Some(raised), _) => Err(raised),
            (None, Ok(done)) => done.or_raise(),
            (None, Err(_)) => {
                let words = "a bug in tamis, please report it: fit panicked";
                Err(PyRuntimeError::new_err(words))
            }
        }
    })
}
