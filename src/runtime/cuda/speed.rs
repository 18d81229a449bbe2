//! What a GPU does in a second, and what it could do at most.

use std::time::{Duration, Instant};

use cudarc::driver::DriverError;
use cudarc::driver::sys::CUdevice_attribute as Attribute;

use super::encoder::{GpuEncoder, Slot, bytes_of};
use crate::codec::FrameRef;
use crate::error::Result;
use crate::runtime::device::GpuSpeeds;

/// Batches that are on their way at once before the clock is looked at.
const BURST: usize = 8;

impl GpuEncoder {
    /// Measures with as many copies of a picture as a batch takes, or with `pictures` of them, for so
    /// long each.
    ///
    /// # Errors
    /// `Device` if the GPU fails, `Limit` if the picture is larger than it counts.
    pub fn speeds(
        &mut self,
        frame: FrameRef<'_>,
        pictures: Option<usize>,
        time: Duration,
    ) -> Result<GpuSpeeds> {
        let count = pictures.unwrap_or(usize::MAX).max(1);
        let frames: Vec<FrameRef<'_>> = std::iter::repeat_n(frame, count.min(4096)).collect();
        let (picture, fits) = self.batch(&frames)?;
        let count = pictures.unwrap_or(fits);
        let all = self.timed(frame, &picture, count, time);
        self.forget();
        let (device, host, host_bound) = all.map_err(|e| self.failed(e))?;
        let pixels = (frame.positions() * count) as f64 / 1e6;
        let [bytes, tracks, latents] = picture.sizes();
        // Tracks are written and read.
        let moved = ((bytes + 4 * tracks + 2 * latents) * count) as f64;
        let bandwidth = self.bandwidth().unwrap_or(0.0);
        let device_bound = if moved > 0.0 { pixels * bandwidth / moved } else { 0.0 };
        let [device, host, host_bound] =
            [device, host, host_bound].map(|t| pixels / t.as_secs_f64().max(1e-9));
        Ok(GpuSpeeds { pictures: count, device, device_bound, host, host_bound })
    }

    /// Times of a batch: in the GPU's memory, from here and back, copied to it.
    fn timed(
        &mut self,
        frame: FrameRef<'_>,
        picture: &super::batch::Picture,
        count: usize,
        time: Duration,
    ) -> std::result::Result<(Duration, Duration, Duration), DriverError> {
        self.upload()?;
        let Self { gpu, reads, tables, slots, .. } = self;
        let Some(tables) = tables else { return Ok(Default::default()) };
        for slot in slots.iter_mut() {
            let from = slot.load(picture, count)?;
            from.chunks_exact_mut(picture.sizes()[0].max(1))
                .for_each(|to| to.copy_from_slice(bytes_of(frame)));
            slot.pictures = 0..count;
        }
        let [slot, _] = slots;
        slot.begin(gpu, picture, reads, tables)?;
        let device =
            per_batch(time, std::slice::from_mut(slot), |s| s.launch(gpu, picture, reads, tables))?;
        let host = per_batch(time, slots, |s| s.begin(gpu, picture, reads, tables))?;
        let copied = per_batch(time, slots, |s| s.copy_in(picture))?;
        Ok((device, host, copied))
    }

    /// Bytes in a second that the GPU's memory moves at most.
    fn bandwidth(&self) -> Option<f64> {
        let attribute = |a| self.gpu.context.attribute(a).ok().map(f64::from);
        let clock = attribute(Attribute::CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE)? * 1e3;
        let bits = attribute(Attribute::CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH)?;
        // Twice a clock.
        Some(2.0 * clock * bits / 8.0)
    }
}

/// Mean time of a batch, over bursts that fill the time; slots take turns.
fn per_batch(
    time: Duration,
    slots: &mut [Slot],
    mut call: impl FnMut(&mut Slot) -> std::result::Result<(), DriverError>,
) -> std::result::Result<Duration, DriverError> {
    let wait = |slots: &[Slot]| slots.iter().try_for_each(|s| s.stream.synchronize());
    slots.iter_mut().try_for_each(&mut call)?;
    wait(slots)?;
    let begin = Instant::now();
    let mut done = 0;
    loop {
        for k in 0..BURST {
            let slot = k % slots.len();
            call(&mut slots[slot])?;
        }
        wait(slots)?;
        done += BURST as u32;
        if begin.elapsed() >= time {
            return Ok(begin.elapsed() / done);
        }
    }
}
