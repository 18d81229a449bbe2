//! Errors of the library as exceptions, and the one way to heavy work.

use std::ffi::CString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use pyo3::create_exception;
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyUserWarning, PyValueError};
use pyo3::prelude::*;
use tamis::Error;

create_exception!(
    tamis,
    BitstreamError,
    PyValueError,
    "Bytes that claim to be a recording are not."
);
create_exception!(
    tamis,
    LossWarning,
    PyUserWarning,
    "A part of a recording is lost; the rest was read."
);

/// A failure on the way out: of the library, of the interpreter, or a panic.
pub enum Failure {
    Library(Error),
    Python(PyErr),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Library(error)
    }
}

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Self {
        Self::Python(error)
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Library(error) => exception(error),
            Failure::Python(error) => error,
        }
    }
}

fn exception(error: Error) -> PyErr {
    match error {
        Error::Bitstream { .. } => BitstreamError::new_err(error.to_string()),
        Error::Device { .. } => PyRuntimeError::new_err(error.to_string()),
        Error::Io { path, why } => system(&path, why),
        _ => PyValueError::new_err(error.to_string()),
    }
}

/// With its number, so that Python chooses `FileNotFoundError` and its like, and the path.
fn system(path: &Path, why: std::io::Error) -> PyErr {
    let raised = why.get_ref().is_some_and(|inner| inner.is::<PyErr>());
    match why.raw_os_error() {
        _ if raised => why.into(),
        Some(number) => {
            let words = why.to_string();
            // What Rust adds to the system's own words, Python adds too.
            let words = words.split(" (os error").next().unwrap_or_default().to_owned();
            PyOSError::new_err((number, words, path.display().to_string()))
        }
        // One that Rust made: its kind chooses the class.
        None => std::io::Error::new(why.kind(), format!("{}: {why}", path.display())).into(),
    }
}

/// Runs `work` without the interpreter's lock. A panic in it, which only a bug can be, becomes a `RuntimeError`.
pub fn heavy<T, F>(py: Python<'_>, work: F) -> PyResult<T>
where
    T: Send,
    F: Send + FnOnce() -> Result<T, Failure>,
{
    match py.detach(|| catch_unwind(AssertUnwindSafe(work))) {
        Ok(done) => done.map_err(PyErr::from),
        Err(panic) => {
            let words = panic.downcast_ref::<String>().map(String::as_str);
            let words = words.or(panic.downcast_ref::<&str>().copied()).unwrap_or("no words");
            Err(PyRuntimeError::new_err(format!("a bug in tamis, please report it: {words}")))
        }
    }
}

/// Waits for what another thread uses. To be called without the interpreter's lock: whoever holds it may wait for ours.
pub fn lock<T>(mutex: &Mutex<T>) -> Result<MutexGuard<'_, T>, Failure> {
    mutex.lock().map_err(|_| {
        let words = "it failed before in a way that is a bug; make a new one";
        Failure::Python(PyRuntimeError::new_err(words))
    })
}

/// Says what is lost. Whoever turns warnings into errors gets one.
pub fn warn(py: Python<'_>, words: &str) -> PyResult<()> {
    let words = CString::new(words.replace('\0', "?")).unwrap_or_default();
    PyErr::warn(py, &py.get_type::<LossWarning>(), &words, 1)
}

/// A library's result where the interpreter's lock was never released.
pub trait OrRaise<T> {
    fn or_raise(self) -> PyResult<T>;
}

impl<T> OrRaise<T> for tamis::Result<T> {
    fn or_raise(self) -> PyResult<T> {
        self.map_err(exception)
    }
}
