//! Pictures to latents on NVIDIA's GPUs.
//!
//! The driver is loaded when it is asked for, so that one binary runs with and without it. The kernels
//! (`encode.cu`) travel as PTX, which the driver compiles for the GPU that is there; `tests/cuda`
//! makes it anew and runs the kernels on the processor.

mod batch;
mod encoder;
mod speed;

pub(super) use self::encoder::GpuEncoder;

use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::{CudaContext, CudaFunction, DriverError, sys};
use cudarc::nvrtc::Ptx;

use crate::error::Error;

/// The kernels, made by NVRTC 11.7 for compute capability 5.0: the oldest that can be had, since a
/// driver takes no PTX that is newer than itself, and the lowest that all drivers of today take.
const KERNELS: &str = include_str!("encode.ptx");

/// What of the driver is called. cudarc panics where one is missing, so all are looked for first.
const CALLS: [&str; 34] = [
    "cuCtxGetCurrent",
    "cuCtxSetCurrent",
    "cuCtxSynchronize",
    "cuDeviceGet",
    "cuDeviceGetAttribute",
    "cuDeviceGetCount",
    "cuDeviceGetName",
    "cuDevicePrimaryCtxRelease_v2",
    "cuDevicePrimaryCtxRetain",
    "cuEventCreate",
    "cuEventDestroy_v2",
    "cuEventElapsedTime",
    "cuEventRecord",
    "cuEventSynchronize",
    "cuGetErrorName",
    "cuGetErrorString",
    "cuInit",
    "cuLaunchKernel",
    "cuMemAllocAsync",
    "cuMemAlloc_v2",
    "cuMemFreeAsync",
    "cuMemFreeHost",
    "cuMemFree_v2",
    "cuMemHostAlloc",
    "cuMemcpyDtoHAsync_v2",
    "cuMemcpyHtoDAsync_v2",
    "cuMemsetD8Async",
    "cuModuleGetFunction",
    "cuModuleLoadData",
    "cuModuleUnload",
    "cuStreamCreate",
    "cuStreamDestroy_v2",
    "cuStreamSynchronize",
    "cuStreamWaitEvent",
];

/// A GPU with its kernels, shared by all that use it.
#[derive(Debug)]
pub(crate) struct Gpu {
    name: String,
    context: Arc<CudaContext>,
    rows: CudaFunction,
    columns: CudaFunction,
}

/// GPUs that are open. They stay so between files, since opening one takes long.
static OPEN: Mutex<Vec<(u32, Arc<Gpu>)>> = Mutex::new(Vec::new());

/// Opens a GPU, or says why it cannot be used and what to do.
pub(super) fn open(number: u32) -> Result<Arc<Gpu>, String> {
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, gpu)) = open.iter().find(|(n, _)| *n == number) {
        return Ok(gpu.clone());
    }
    let gpu = Arc::new(Gpu::open(number)?);
    open.push((number, gpu.clone()));
    Ok(gpu)
}

impl Gpu {
    fn open(number: u32) -> Result<Self, String> {
        driver()?;
        let count = match CudaContext::device_count() {
            Ok(count @ 1..) => count as u32,
            Ok(_) => return Err("NVIDIA's driver is here, but finds no GPU".into()),
            Err(e) => {
                return Err(format!("NVIDIA's driver is here, but does not work: {}", words(e)));
            }
        };
        if number >= count {
            let last = count - 1;
            return Err(format!("there is no such GPU; the last one here is cuda:{last}"));
        }
        let failed = |what: &str| {
            let what = what.to_owned();
            move |e| format!("the GPU is here, but {what}: {}", words(e))
        };
        let context = CudaContext::new(number as usize).map_err(failed("cannot be opened"))?;
        let model = context.name().map_err(failed("does not say its name"))?;
        let kernels = context.load_module(Ptx::from_src(KERNELS)).map_err(failed(
            "its driver does not take the kernels (PTX 7.7; a driver of CUDA 11.7 or newer does)",
        ))?;
        let function = |name| kernels.load_function(name).map_err(failed("lacks a kernel"));
        Ok(Self {
            name: format!("cuda:{number} ({model})"),
            rows: function("rows")?,
            columns: function("columns")?,
            context,
        })
    }

    /// Its number and model.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is to be said of a failure. What failed for another reason than room may not work again
    /// before all that use it have let go and it is opened anew.
    fn failed(&self, error: DriverError) -> Error {
        let mut reason = words(error);
        if error.0 == sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY {
            reason += "; smaller pictures or --device cpu need less";
        } else {
            let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
            open.retain(|(_, gpu)| !Arc::ptr_eq(&gpu.context, &self.context));
        }
        Error::Device { device: self.name.clone(), reason }
    }
}

/// Whether the driver can be called at all.
#[allow(unsafe_code)]
fn driver() -> Result<(), String> {
    // SAFETY: loading the driver runs its initializers, which NVIDIA means to be run by any process.
    if !unsafe { sys::is_culib_present() } {
        return Err("NVIDIA's driver is not installed: there is no libcuda.so.1 (nvcuda.dll); \
                    install it, or use --device cpu"
            .into());
    }
    // SAFETY: the library was found just now.
    let library = unsafe { sys::culib() };
    for call in CALLS {
        // SAFETY: the symbol is looked for, not called.
        if unsafe { library.get::<unsafe extern "C" fn()>(call.as_bytes()) }.is_err() {
            return Err(format!(
                "NVIDIA's driver is too old: it has no {call}; install one of CUDA 11.7 or newer, \
                 or use --device cpu"
            ));
        }
    }
    sys_init().map_err(|e| match e.0 {
        sys::CUresult::CUDA_ERROR_NO_DEVICE => "NVIDIA's driver is here, but finds no GPU".into(),
        _ => format!("NVIDIA's driver is here, but does not work: {}", words(e)),
    })
}

/// Initializes the driver; once is enough, more do no harm.
fn sys_init() -> Result<(), DriverError> {
    cudarc::driver::result::init()
}

/// What the driver says of an error.
fn words(error: DriverError) -> String {
    let text =
        |text: Result<&std::ffi::CStr, _>| text.ok().map(|t| t.to_string_lossy().into_owned());
    match (text(error.error_name()), text(error.error_string())) {
        (Some(name), Some(words)) => format!("{words} ({name})"),
        _ => format!("error {}", error.0 as u32),
    }
}
