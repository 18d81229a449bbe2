//! An encoder of pictures on a GPU: batches, of which one is copied while another is worked on.

use std::ops::Range;
use std::sync::Arc;

use cudarc::driver::result::{memcpy_dtoh_async, memcpy_htod_async};
use cudarc::driver::{
    CudaSlice, CudaStream, DevicePtr, DevicePtrMut, DeviceRepr, DriverError, LaunchConfig,
    PinnedHostSlice, PushKernelArg, ValidAsZeroBits,
};

use super::super::plan::Plan;
use super::Gpu;
use super::batch::{Channel, Picture, Reads, SIDE, bytes, tables};
use crate::codec::{Bundle, FrameRef, Quality};
use crate::error::{Error, Result};

/// Bytes on the GPU that a batch may take, if it has more than one picture.
const BATCH_BYTES: usize = 512 << 20;

/// An encoder of pictures of 8 bits, with its plan and its memory.
#[derive(Debug)]
pub(crate) struct GpuEncoder {
    pub(super) gpu: Arc<Gpu>,
    plan: Plan,
    pub(super) reads: Reads,
    // Before the tables: they wait for what is on its way.
    pub(super) slots: [Slot; 2],
    pub(super) tables: Option<(CudaSlice<Channel>, CudaSlice<u32>)>,
}

/// Memory of one batch, here and on the GPU, and its place in the order of things there.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) stream: Arc<CudaStream>,
    /// Pixels and latents in memory that the GPU copies from and to by itself.
    from: Option<PinnedHostSlice<u8>>,
    to: Option<PinnedHostSlice<i16>>,
    pixels: Option<CudaSlice<u8>>,
    tracks: Option<CudaSlice<i16>>,
    latents: Option<CudaSlice<i16>>,
    /// The pictures that are on their way.
    pub(super) pictures: Range<usize>,
}

impl GpuEncoder {
    /// An encoder of the first `channels` channels of a fixed-point bundle.
    pub fn new(
        gpu: &Arc<Gpu>,
        bundle: &Bundle,
        channels: usize,
        quality: Quality,
        thrift: f32,
    ) -> Result<Self> {
        let plan = Plan::new(bundle, channels, quality, thrift);
        let reads = Reads::new(&plan);
        if reads.is_empty() {
            let reason = "does not run a codec whose channels read nothing".into();
            return Err(Error::Device { device: gpu.name().to_owned(), reason });
        }
        let slot = || Slot::new(gpu.context.new_stream()?);
        let slots = slot().and_then(|a| Ok([a, slot()?])).map_err(|e| gpu.failed(e))?;
        Ok(Self { gpu: gpu.clone(), reads, plan, tables: None, slots })
    }

    /// The GPU.
    pub fn name(&self) -> &str {
        self.gpu.name()
    }

    /// Whether its samples are taken: 8 bits, in one of the layouts of cameras.
    pub fn takes(frame: FrameRef<'_>) -> bool {
        bytes(frame).is_some()
    }

    pub fn set_quality(&mut self, bundle: &Bundle, quality: Quality, thrift: f32) {
        self.plan.set_quality(bundle, quality, thrift);
        self.tables = None;
    }

    /// Latents of pictures, `[channels, cells]` each.
    ///
    /// # Errors
    /// `Device` if the GPU fails, `Limit` if a picture is larger than it counts.
    pub fn encode(&mut self, frames: &[FrameRef<'_>], to: &mut [&mut [i16]]) -> Result<()> {
        let done = self.batches(frames, to);
        if done.is_err() {
            self.forget();
        }
        done
    }

    /// Waits for what is on its way, and hands it to nobody.
    pub(super) fn forget(&mut self) {
        for slot in &mut self.slots {
            slot.wait();
            slot.pictures = 0..0;
        }
    }

    fn batches(&mut self, frames: &[FrameRef<'_>], to: &mut [&mut [i16]]) -> Result<()> {
        // Two at least, so that one is copied while the other is worked on.
        let most = frames.len().div_ceil(2);
        let mut next = 0;
        let mut turn = 0;
        while next < frames.len() {
            let batch = self.batch(&frames[next..])?;
            let pictures = next..next + batch.1.min(most);
            next = pictures.end;
            let done = self.turn(turn, &batch.0, frames, pictures, to);
            done.map_err(|e| self.failed(e))?;
            turn ^= 1;
        }
        for slot in [turn, turn ^ 1] {
            self.slots[slot].finish(to).map_err(|e| self.failed(e))?;
        }
        Ok(())
    }

    /// The first pictures that are alike and fit a batch; those without a cell stand alone.
    pub(super) fn batch(&self, frames: &[FrameRef<'_>]) -> Result<(Picture, usize)> {
        let picture = |frame: FrameRef<'_>| Picture::new(frame, &self.plan, &self.reads);
        let Some(first) = picture(frames[0]) else {
            let actual = frames[0].extent.iter().copied().max().unwrap_or(0) as u64;
            let what = "a side of a picture for a GPU".into();
            return Err(Error::Limit { what, limit: SIDE as u64, actual });
        };
        let [bytes, tracks, latents] = first.sizes();
        let most = (BATCH_BYTES / (bytes + 2 * tracks + 2 * latents).max(1)).clamp(1, 4096);
        let alike = |frame: &&FrameRef<'_>| picture(**frame).is_some_and(|p| p == first);
        Ok((first, frames.iter().take(most).take_while(alike).count()))
    }

    /// Gives a batch to a slot, behind what that still has.
    fn turn(
        &mut self,
        slot: usize,
        picture: &Picture,
        frames: &[FrameRef<'_>],
        pictures: Range<usize>,
        to: &mut [&mut [i16]],
    ) -> std::result::Result<(), DriverError> {
        let [each, ..] = picture.sizes();
        self.slots[slot].finish(to)?;
        if each == 0 {
            return Ok(());
        }
        self.upload()?;
        let slot = &mut self.slots[slot];
        let from = slot.load(picture, pictures.len())?;
        for (to, frame) in from.chunks_exact_mut(each).zip(&frames[pictures.clone()]) {
            to.copy_from_slice(bytes_of(*frame));
        }
        slot.pictures = pictures;
        match &self.tables {
            Some(tables) => slot.begin(&self.gpu, picture, &self.reads, tables),
            None => Ok(()),
        }
    }

    /// Brings the tables to the GPU, if they are not there.
    pub(super) fn upload(&mut self) -> std::result::Result<(), DriverError> {
        if self.tables.is_none() {
            let stream = &self.slots[0].stream;
            let (channels, terms) = tables(&self.plan);
            let tables = (stream.clone_htod(&channels)?, stream.clone_htod(&terms)?);
            // Both slots read them.
            stream.synchronize()?;
            self.tables = Some(tables);
        }
        Ok(())
    }

    pub(super) fn failed(&self, error: DriverError) -> Error {
        self.gpu.failed(error)
    }
}

impl Slot {
    fn new(stream: Arc<CudaStream>) -> std::result::Result<Self, DriverError> {
        let (from, to, pixels, tracks, latents) = (None, None, None, None, None);
        Ok(Self { stream, from, to, pixels, tracks, latents, pictures: 0..0 })
    }

    /// Makes room for so many pictures, and gives where their pixels go.
    pub(super) fn load(
        &mut self,
        picture: &Picture,
        count: usize,
    ) -> std::result::Result<&mut [u8], DriverError> {
        let [pixels, tracks, latents] = picture.sizes().map(|size| size * count);
        room(&mut self.pixels, pixels, &self.stream)?;
        room(&mut self.tracks, tracks, &self.stream)?;
        room(&mut self.latents, latents, &self.stream)?;
        pinned(&mut self.to, latents, &self.stream)?;
        let from = pinned(&mut self.from, pixels, &self.stream)?;
        Ok(&mut from.as_mut_slice()?[..pixels])
    }

    /// Copies pixels in and latents out, around both kernels; nothing of it has to be done when this
    /// returns.
    #[allow(unsafe_code)]
    pub(super) fn begin(
        &mut self,
        gpu: &Gpu,
        picture: &Picture,
        reads: &Reads,
        tables: &(CudaSlice<Channel>, CudaSlice<u32>),
    ) -> std::result::Result<(), DriverError> {
        let [.., values] = picture.sizes().map(|size| size * self.pictures.len());
        let stream = self.stream.clone();
        self.copy_in(picture)?;
        self.launch(gpu, picture, reads, tables)?;
        if let (Some(from), Some(to)) = (&self.latents, &mut self.to) {
            let (from, _sync) = from.device_ptr(&stream);
            // SAFETY: as above; nothing reads them before `finish` has waited.
            unsafe {
                memcpy_dtoh_async(&mut to.as_mut_slice()?[..values], from, stream.cu_stream())
            }?;
        }
        Ok(())
    }

    /// Copies pixels in, as far as there are pictures.
    #[allow(unsafe_code)]
    pub(super) fn copy_in(&mut self, picture: &Picture) -> std::result::Result<(), DriverError> {
        let [bytes, ..] = picture.sizes().map(|size| size * self.pictures.len());
        if let (Some(from), Some(to)) = (&self.from, &mut self.pixels) {
            let (to, _sync) = to.device_ptr_mut(&self.stream);
            let from = &from.as_slice()?[..bytes];
            // SAFETY: both have at least so many bytes, and stay until somebody has waited.
            unsafe { memcpy_htod_async(to, from, self.stream.cu_stream()) }?;
        }
        Ok(())
    }

    /// Both kernels, over all that is in memory.
    #[allow(unsafe_code)]
    pub(super) fn launch(
        &mut self,
        gpu: &Gpu,
        picture: &Picture,
        reads: &Reads,
        (channels, terms): &(CudaSlice<Channel>, CudaSlice<u32>),
    ) -> std::result::Result<(), DriverError> {
        let (Some(pixels), Some(tracks), Some(latents)) =
            (&self.pixels, &mut self.tracks, &mut self.latents)
        else {
            return Ok(());
        };
        let [of_rows, of_columns] = picture.grids(self.pictures.len() as u32);
        let [columns, rows] = reads.threads();
        let config = |grid_dim, threads| LaunchConfig {
            grid_dim,
            block_dim: (threads, 1, 1),
            shared_mem_bytes: 0,
        };
        let mut launch = self.stream.launch_builder(&gpu.rows);
        launch.arg(pixels).arg(&mut *tracks).arg(picture).arg(reads);
        // SAFETY: `rows` takes these, reads a batch of `picture` and writes its tracks, for which
        // `load` has made room.
        unsafe { launch.launch(config(of_rows, rows)) }?;
        let mut launch = self.stream.launch_builder(&gpu.columns);
        launch.arg(&*tracks).arg(latents).arg(channels).arg(terms).arg(picture).arg(reads);
        // SAFETY: `columns` takes these, reads the tracks and writes the latents; terms are those
        // that the channels name.
        unsafe { launch.launch(config(of_columns, columns)) }?;
        Ok(())
    }

    /// Waits for the pictures that are on their way and hands their latents out.
    fn finish(&mut self, to: &mut [&mut [i16]]) -> std::result::Result<(), DriverError> {
        let pictures = std::mem::take(&mut self.pictures);
        if let (Some(from), false) = (&self.to, pictures.is_empty()) {
            self.stream.synchronize()?;
            let mut from = from.as_slice()?;
            for to in &mut to[pictures] {
                let (values, rest) = from.split_at(to.len());
                to.copy_from_slice(values);
                from = rest;
            }
        }
        Ok(())
    }
}

impl Slot {
    /// Waits for what is on its way, whatever became of it.
    fn wait(&self) {
        // The first may only say what went wrong elsewhere.
        if self.stream.synchronize().is_err() {
            let _ = self.stream.synchronize();
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // What is on its way writes to memory that goes with this.
        self.wait();
    }
}

/// Memory on the GPU for at least so many values.
#[allow(unsafe_code)]
fn room<T: DeviceRepr + ValidAsZeroBits>(
    slice: &mut Option<CudaSlice<T>>,
    len: usize,
    stream: &Arc<CudaStream>,
) -> std::result::Result<(), DriverError> {
    if slice.as_ref().is_none_or(|s| s.len() < len) {
        // Before the larger is there, or both are.
        *slice = None;
        // SAFETY: numbers of any value; the kernels write what is read.
        *slice = Some(unsafe { stream.alloc(len) }?);
    }
    Ok(())
}

/// Memory here that the GPU copies from and to by itself.
#[allow(unsafe_code)]
fn pinned<'a, T: DeviceRepr + ValidAsZeroBits>(
    slice: &'a mut Option<PinnedHostSlice<T>>,
    len: usize,
    stream: &Arc<CudaStream>,
) -> std::result::Result<&'a mut PinnedHostSlice<T>, DriverError> {
    match slice {
        Some(there) if there.len() >= len => {}
        _ => {
            *slice = None;
            // SAFETY: numbers of any value, which are written before they are read. Not combined
            // writes: latents are read here.
            *slice = Some(unsafe { stream.context().alloc_pinned_with_flags(len, 0) }?);
        }
    }
    slice.as_mut().ok_or(DriverError(cudarc::driver::sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY))
}

/// The pixels of a picture that [`GpuEncoder::takes`].
pub(super) fn bytes_of(frame: FrameRef<'_>) -> &[u8] {
    bytes(frame).map_or(&[], |(_, pixels)| pixels)
}
