//! Frames from pictures of GStreamer.

use std::time::Duration;

use gstreamer as gst;
use gstreamer_video::{VideoFormat, VideoFrameExt, VideoFrameRef, VideoInfo, VideoInterlaceMode};

use crate::codec::{Frame, Layout, Samples};
use crate::error::{Error, Result};
use crate::pipeline::media::{FPS, Limits};

/// A picture, and what is said of it.
pub(super) struct Picture {
    pub frame: Frame,
    /// Time to the next, if the rate is known.
    pub lasts: Duration,
    /// It holds every second row of two moments.
    pub interlaced: bool,
}

/// The picture that a sample holds.
///
/// # Errors
/// `Input` if it is damaged or none, `Limit` if it is too large.
pub(super) fn picture(sample: &gst::Sample, name: &str) -> Result<Picture> {
    let none = |reason: &str| Error::input(name, reason);
    let caps = sample.caps().ok_or_else(|| none("a picture without a format came"))?;
    let info = VideoInfo::from_caps(caps).map_err(|e| Error::input(name, e.message))?;
    Limits::default().check_picture(name, info.height().into(), info.width().into())?;
    let buffer = sample.buffer().ok_or_else(|| none("a sample without a picture came"))?;
    if buffer.flags().contains(gst::BufferFlags::CORRUPTED) {
        return Err(none("the decoder says that the picture is damaged"));
    }
    let view = VideoFrameRef::from_buffer_ref_readable(buffer, &info)
        .map_err(|_| none("a picture came that cannot be read"))?;
    let (height, width) = (info.height() as usize, info.width() as usize);
    let pairs = 2 * width.div_ceil(2);
    let (layout, planes): (_, &[[usize; 2]]) = match info.format() {
        VideoFormat::Rgb => (Layout::Rgb, &[[height, 3 * width]]),
        VideoFormat::Gray8 => (Layout::Gray, &[[height, width]]),
        VideoFormat::Nv12 => (Layout::Rgb, &[[height, width], [height.div_ceil(2), pairs]]),
        other => {
            return Err(none(&format!("a picture came as {other:?}, which was not asked for")));
        }
    };
    let mut bytes = Vec::with_capacity(planes.iter().map(|[rows, row]| rows * row).sum());
    for (plane, (&[rows, row], &step)) in planes.iter().zip(view.plane_stride()).enumerate() {
        let short = || none("a picture came that is shorter than its format says");
        let data = view.plane_data(plane as u32).map_err(|_| short())?;
        let step = usize::try_from(step).ok().filter(|s| *s >= row).ok_or_else(short)?;
        for y in 0..rows {
            bytes.extend_from_slice(data.get(y * step..y * step + row).ok_or_else(short)?);
        }
    }
    let samples = match info.format() {
        VideoFormat::Nv12 => Samples::Nv12(bytes),
        _ => Samples::U8(bytes),
    };
    let channels = if layout == Layout::Gray { 1 } else { 3 };
    let rate = f64::from(info.fps().numer()) / f64::from(info.fps().denom().max(1));
    Ok(Picture {
        frame: Frame::new(layout, channels, vec![height, width], samples)?,
        lasts: match FPS.contains(&rate) {
            true => Duration::from_secs_f64(1.0 / rate),
            false => Duration::ZERO,
        },
        interlaced: info.interlace_mode() != VideoInterlaceMode::Progressive,
    })
}
