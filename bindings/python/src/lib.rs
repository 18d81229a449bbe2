//! tamis for Python: pictures and sounds as small integer latents in NumPy arrays.
//!
//! Every class wraps the noun of the same name. What is heavy runs without the interpreter's lock; samples
//! are read where they lie, and results are moved into arrays, not copied.

mod arrays;
mod bundle;
mod decoder;
mod encoder;
mod error;
mod fit;
mod head;
mod latent;
mod reader;
mod stream;
mod writer;

use pyo3::prelude::*;

/// Pictures and sounds as small, importance-ordered latents; recordings that may be cut anywhere; models on latents.
#[pymodule(gil_used = false)]
#[pyo3(name = "tamis")]
fn tamis_module(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add("__version__", env!("CARGO_PKG_VERSION"))?;
    m.add("BitstreamError", m.py().get_type::<error::BitstreamError>())?;
    m.add("LossWarning", m.py().get_type::<error::LossWarning>())?;
    m.add_class::<bundle::Bundle>()?;
    m.add_class::<latent::Stamp>()?;
    m.add_class::<latent::Latent>()?;
    m.add_class::<encoder::Encoder>()?;
    m.add_class::<decoder::Decoder>()?;
    m.add_class::<head::Head>()?;
    m.add_class::<head::Prediction>()?;
    m.add_class::<reader::Reader>()?;
    m.add_class::<writer::Writer>()?;
    m.add_function(wrap_pyfunction!(fit::fit, m)?)
}
