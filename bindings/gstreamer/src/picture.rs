//! Pictures of GStreamer as the codec reads them.

use gst_video::prelude::*;
use gst_video::{
    VideoColorMatrix, VideoColorRange, VideoConverter, VideoFormat, VideoFrameRef, VideoInfo,
};
use tamis::codec::{FrameRef, Layout, SamplesRef};

/// Formats that are read, in the order of preference.
pub const FORMATS: [VideoFormat; 4] =
    [VideoFormat::Rgb, VideoFormat::Gray8, VideoFormat::Nv12, VideoFormat::Yuy2];

/// Reads the pictures of one format.
pub struct Pictures {
    info: VideoInfo,
    /// To colours that the codec knows, of formats whose colours it does not.
    converter: Option<(VideoConverter, VideoInfo, gst::Buffer)>,
    /// A picture whose rows stand apart, as one whose rows do not.
    rows: Vec<u8>,
    extent: [usize; 2],
}

impl Pictures {
    /// Prepares for pictures of this format.
    ///
    /// # Errors
    /// In words, if its colours cannot be converted.
    pub fn new(info: &VideoInfo) -> Result<Self, String> {
        let extent = [info.height() as usize, info.width() as usize];
        let converter = match read_as_they_are(info) {
            true => None,
            false => Some(converter(info).map_err(|e| {
                format!(
                    "colours {} of {}: {e}; put `videoconvert ! video/x-raw,format=RGB` before",
                    info.colorimetry(),
                    info.format()
                )
            })?),
        };
        Ok(Self { info: info.clone(), converter, rows: Vec::new(), extent })
    }

    /// What the codec is told that they are.
    pub fn layout(&self) -> Layout {
        if self.info.format() == VideoFormat::Gray8 { Layout::Gray } else { Layout::Rgb }
    }

    /// Height and width.
    pub fn extent(&self) -> [usize; 2] {
        self.extent
    }

    /// Does something with the picture in a buffer.
    ///
    /// # Errors
    /// In words, if the buffer does not hold one.
    pub fn with<T>(
        &mut self,
        buffer: &gst::BufferRef,
        work: impl FnOnce(FrameRef<'_>) -> T,
    ) -> Result<T, String> {
        let layout = self.layout();
        let frame = VideoFrameRef::from_buffer_ref_readable(buffer, &self.info)
            .map_err(|_| short(&self.info, buffer))?;
        let Some((converter, info, converted)) = &mut self.converter else {
            return with(&frame, layout, self.extent, &mut self.rows, work);
        };
        let converted = converted.make_mut();
        let mut to = VideoFrameRef::from_buffer_ref_writable(converted, info)
            .map_err(|_| "no memory for a converted picture".to_owned())?;
        converter.frame_ref(&frame, &mut to);
        drop(to);
        let frame = VideoFrameRef::from_buffer_ref_readable(converted, info)
            .map_err(|_| "no memory for a converted picture".to_owned())?;
        with(&frame, layout, self.extent, &mut self.rows, work)
    }
}

/// Whether the codec knows the colours: red, green, blue and gray of full range, others as cameras
/// give them (BT.601, video range).
fn read_as_they_are(info: &VideoInfo) -> bool {
    let (matrix, range) = (info.colorimetry().matrix(), info.colorimetry().range());
    match info.format() {
        VideoFormat::Rgb | VideoFormat::Gray8 => range != VideoColorRange::Range16_235,
        _ => {
            matches!(matrix, VideoColorMatrix::Bt601 | VideoColorMatrix::Unknown)
                && range != VideoColorRange::Range0_255
        }
    }
}

fn converter(
    info: &VideoInfo,
) -> Result<(VideoConverter, VideoInfo, gst::Buffer), gst::glib::BoolError> {
    let format = match info.format() {
        VideoFormat::Gray8 => VideoFormat::Gray8,
        _ => VideoFormat::Rgb,
    };
    let to = VideoInfo::builder(format, info.width(), info.height())
        .fps(info.fps())
        .interlace_mode(info.interlace_mode())
        .build()?;
    let converter = VideoConverter::new(info, &to, None)?;
    let buffer = gst::Buffer::with_size(to.size())?;
    Ok((converter, to, buffer))
}

/// Hands a mapped picture on, without a copy where its rows touch.
fn with<T>(
    frame: &VideoFrameRef<&gst::BufferRef>,
    layout: Layout,
    extent: [usize; 2],
    rows: &mut Vec<u8>,
    work: impl FnOnce(FrameRef<'_>) -> T,
) -> Result<T, String> {
    let [height, width] = extent;
    let pairs = 2 * width.div_ceil(2);
    let planes: &[[usize; 2]] = match frame.format() {
        VideoFormat::Gray8 => &[[height, width]],
        VideoFormat::Rgb => &[[height, 3 * width]],
        VideoFormat::Yuy2 => &[[height, 2 * pairs]],
        VideoFormat::Nv12 => &[[height, width], [height.div_ceil(2), pairs]],
        other => return Err(format!("pictures are {other}, expected one of {FORMATS:?}")),
    };
    let plane = |n: usize| -> Result<(&[u8], usize), String> {
        let short = || short(frame.info(), frame.buffer());
        let data = frame.plane_data(n as u32).map_err(|_| short())?;
        let stride = usize::try_from(frame.plane_stride()[n]).map_err(|_| short())?;
        let [height, row] = planes[n];
        // The last row may end where its pixels do.
        let there = stride >= row && data.len() >= height.saturating_sub(1) * stride + row;
        if there { Ok((data, stride)) } else { Err(short()) }
    };
    let (first, stride) = plane(0)?;
    let bytes = match planes {
        &[[height, row]] if stride == row => &first[..height * row],
        _ => {
            rows.clear();
            for (n, &[height, row]) in planes.iter().enumerate() {
                let (data, stride) = plane(n)?;
                data.chunks(stride).take(height).for_each(|r| rows.extend_from_slice(&r[..row]));
            }
            &rows[..]
        }
    };
    let samples = match frame.format() {
        VideoFormat::Nv12 => SamplesRef::Nv12(bytes),
        VideoFormat::Yuy2 => SamplesRef::Yuyv(bytes),
        _ => SamplesRef::U8(bytes),
    };
    let channels = if layout == Layout::Gray { 1 } else { 3 };
    let frame = FrameRef::new(layout, channels, &extent, samples).map_err(|e| e.to_string())?;
    Ok(work(frame))
}

fn short(info: &VideoInfo, buffer: &gst::BufferRef) -> String {
    format!(
        "a buffer of {} bytes came, expected {} for {} of {}x{}; the caps before this element do \
         not describe its pictures",
        buffer.size(),
        info.size(),
        info.format(),
        info.width(),
        info.height()
    )
}
