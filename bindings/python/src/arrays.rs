//! Arrays in, borrowed where they lie, and out, moved.

use numpy::ndarray::IxDyn;
use numpy::{
    Element, PyArray1, PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn,
    PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use tamis::codec::{Depth, FrameRef, Kind, Layout, SamplesRef};

use crate::error::OrRaise;

/// Bands of a picture at most.
const BANDS: usize = 256;

/// The samples of a picture or a sound, and what they mean.
pub struct Samples<'py> {
    array: Array<'py>,
    layout: Layout,
    channels: usize,
    extent: Vec<usize>,
}

enum Array<'py> {
    U8(PyReadonlyArrayDyn<'py, u8>),
    U16(PyReadonlyArrayDyn<'py, u16>),
    I16(PyReadonlyArrayDyn<'py, i16>),
    F32(PyReadonlyArrayDyn<'py, f32>),
}

impl<'py> Samples<'py> {
    /// A picture, or a sound of `rate`. `inputs`: values of a pixel that the bundle codes, if there is one yet.
    pub fn of(
        value: &Bound<'py, PyAny>,
        kind: Kind,
        rate: Option<u32>,
        inputs: Option<usize>,
    ) -> PyResult<Self> {
        match kind {
            Kind::Image => match inputs {
                Some(1 | 3) => Self::picture(value),
                Some(bands) => Self::bands(value, Some(bands)),
                None if colours(value) => Self::picture(value),
                None => Self::bands(value, None),
            },
            Kind::Audio => Self::sound(value, rate),
        }
    }

    fn picture(value: &Bound<'py, PyAny>) -> PyResult<Self> {
        let array = untyped(value, "picture")?;
        let needed = "uint8 (0 to 255), uint16 (0 to 65535) or float32 (0 to 1)";
        let array = match borrow(&array)? {
            Some(Array::I16(_)) | None => return Err(wrong_type("picture", &array, needed)),
            Some(borrowed) => borrowed,
        };
        let shape = array.shape();
        let (layout, channels) = match shape[..] {
            [_, _] | [_, _, 1] => (Layout::Gray, 1),
            [_, _, 3] => (Layout::Rgb, 3),
            _ => {
                let fix = match shape[..] {
                    [_, _, 4] => "; leave the alpha channel out: x[..., :3]",
                    [3, _, _] => "; put the colours last: numpy.moveaxis(x, 0, -1)",
                    [_, _, _, _] => "; push one picture after the other",
                    _ => "",
                };
                let needed = "[height, width] or [height, width, 3]";
                return Err(wrong_shape("picture", &shape, needed, fix));
            }
        };
        if shape[0] == 0 || shape[1] == 0 {
            return Err(wrong_shape("picture", &shape, "a pixel at least", ""));
        }
        Ok(Self { array, layout, channels, extent: shape[..2].to_vec() })
    }

    /// A picture of bands: of so many, if that is known.
    fn bands(value: &Bound<'py, PyAny>, number: Option<usize>) -> PyResult<Self> {
        let array = untyped(value, "picture")?;
        let needed = "uint8, uint16, int16 or float32 (0 to 1)";
        let array = borrow(&array)?.ok_or_else(|| wrong_type("picture", &array, needed))?;
        let shape = array.shape();
        let channels = match shape[..] {
            [height, width, n @ 1..=BANDS]
                if height * width > 0 && number.is_none_or(|b| b == n) =>
            {
                n
            }
            _ => {
                let bands = number.map_or("bands".into(), |n| n.to_string());
                let needed =
                    format!("[height, width, {bands}], 1 to {BANDS} bands, a pixel at least");
                let fix = match (&shape[..], number) {
                    (&[n, _, _], Some(number)) if n == number => {
                        "; put the bands last: numpy.moveaxis(x, 0, -1)"
                    }
                    _ => "",
                };
                return Err(wrong_shape("picture", &shape, &needed, fix));
            }
        };
        let depth = match array {
            Array::U8(_) => Depth::U8,
            Array::U16(_) => Depth::U16,
            Array::I16(_) => Depth::I16,
            Array::F32(_) => Depth::F32,
        };
        Ok(Self { array, layout: Layout::Bands { depth }, channels, extent: shape[..2].to_vec() })
    }

    fn sound(value: &Bound<'py, PyAny>, rate: Option<u32>) -> PyResult<Self> {
        let array = untyped(value, "sound")?;
        let needed = "int16 or float32 (-1 to 1)";
        let array = match borrow(&array)? {
            Some(Array::U8(_) | Array::U16(_)) | None => {
                return Err(wrong_type("sound", &array, needed));
            }
            Some(borrowed) => borrowed,
        };
        let shape = array.shape();
        let channels = match shape[..] {
            [_] => 1,
            [_, channels @ 1..=64] => channels,
            _ => {
                let fix = match shape[..] {
                    [1..=64, _] => "; put the channels last: x.T",
                    _ => "",
                };
                let needed = "[steps] or [steps, channels], 1 to 64 channels";
                return Err(wrong_shape("sound", &shape, needed, fix));
            }
        };
        let rate = rate.filter(|&r| r > 0).ok_or_else(|| {
            PyValueError::new_err("sound has no sample rate: pass rate=44100, or what it has")
        })?;
        Ok(Self { array, layout: Layout::Audio { rate }, channels, extent: vec![shape[0]] })
    }

    /// The frame that an encoder reads.
    pub fn frame(&self) -> PyResult<FrameRef<'_>> {
        let samples = match &self.array {
            Array::U8(a) => SamplesRef::U8(slice(a)?),
            Array::U16(a) => SamplesRef::U16(slice(a)?),
            Array::I16(a) => SamplesRef::I16(slice(a)?),
            Array::F32(a) => SamplesRef::F32(slice(a)?),
        };
        FrameRef::new(self.layout, self.channels, &self.extent, samples).or_raise()
    }
}

impl Array<'_> {
    fn shape(&self) -> Vec<usize> {
        match self {
            Self::U8(a) => a.shape().to_vec(),
            Self::U16(a) => a.shape().to_vec(),
            Self::I16(a) => a.shape().to_vec(),
            Self::F32(a) => a.shape().to_vec(),
        }
    }
}

/// Whether an array is a picture of gray or of three colours, if it is one.
fn colours(value: &Bound<'_, PyAny>) -> bool {
    let Ok(array) = value.cast::<PyUntypedArray>() else { return true };
    let signed = array.dtype().is_equiv_to(&i16::get_dtype(value.py()));
    !signed && (array.ndim() != 3 || matches!(array.shape()[2], 1 | 3))
}

/// Values of an integer array, in order.
pub fn integers(value: &Bound<'_, PyAny>, what: &str) -> PyResult<(Vec<usize>, Vec<i16>)> {
    let array = untyped(value, what)?;
    match borrow(&array)? {
        Some(Array::I16(a)) => Ok((a.shape().to_vec(), slice(&a)?.to_vec())),
        _ => Err(wrong_type(what, &array, "int16")),
    }
}

/// Values moved into an array of this shape.
pub fn array<'py, T: Element>(
    py: Python<'py>,
    values: Vec<T>,
    shape: &[usize],
) -> PyResult<Bound<'py, PyArrayDyn<T>>> {
    PyArray1::from_vec(py, values).reshape(IxDyn(shape))
}

fn slice<'a, T: Element>(array: &'a PyReadonlyArrayDyn<'_, T>) -> PyResult<&'a [T]> {
    array.as_slice().map_err(|e| PyValueError::new_err(e.to_string()))
}

fn untyped<'py>(value: &Bound<'py, PyAny>, what: &str) -> PyResult<Bound<'py, PyUntypedArray>> {
    value.cast::<PyUntypedArray>().cloned().map_err(|_| {
        let kind = value.get_type().name().map_or_else(|_| "object".into(), |n| n.to_string());
        let fix = match kind.as_str() {
            "Tensor" => "pass x.cpu().numpy()",
            _ => "pass numpy.asarray(x)",
        };
        PyTypeError::new_err(format!("{what} is a {kind}, expected a NumPy array; {fix}"))
    })
}

/// The array as one of the types there are, in rows: one that lies otherwise is copied.
fn borrow<'py>(array: &Bound<'py, PyUntypedArray>) -> PyResult<Option<Array<'py>>> {
    let ordered = match array.is_c_contiguous() {
        true => array.clone().into_any(),
        false => array.call_method1("copy", ("C",))?,
    };
    Ok(readonly(&ordered)?
        .map(Array::U8)
        .or(readonly(&ordered)?.map(Array::U16))
        .or(readonly(&ordered)?.map(Array::I16))
        .or(readonly(&ordered)?.map(Array::F32)))
}

fn readonly<'py, T: Element>(
    array: &Bound<'py, PyAny>,
) -> PyResult<Option<PyReadonlyArrayDyn<'py, T>>> {
    let Ok(array) = array.cast::<PyArrayDyn<T>>() else { return Ok(None) };
    array.try_readonly().map(Some).map_err(|e| PyValueError::new_err(e.to_string()))
}

fn wrong_type(what: &str, array: &Bound<'_, PyUntypedArray>, needed: &str) -> PyErr {
    let found = array.dtype();
    let fix = match what {
        "picture" => "x.astype(numpy.float32), scaled to 0 to 1",
        "sound" => "x.astype(numpy.float32), scaled to -1 to 1",
        _ => "x.astype(numpy.int16)",
    };
    PyTypeError::new_err(format!("{what} has dtype {found}, expected {needed}; convert it: {fix}"))
}

fn wrong_shape(what: &str, shape: &[usize], needed: &str, fix: &str) -> PyErr {
    let shape: Vec<String> = shape.iter().map(usize::to_string).collect();
    let shape = shape.join(", ");
    PyValueError::new_err(format!("{what} has shape [{shape}], expected {needed}{fix}"))
}
