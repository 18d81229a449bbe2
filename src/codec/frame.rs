//! Frames: samples as the sensor gave them.

use std::time::{Duration, SystemTime};

use super::yuv;
use crate::error::{Error, Result};

/// Which stream an item belongs to, its place in it, and when it was captured.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stamp {
    /// Number of the stream in its recording.
    pub stream: u32,
    /// Place in the stream, counted from 0 without gaps at the source.
    pub index: u64,
    /// Identifies the boot that `captured` counts from; 0 for files.
    pub boot: u64,
    /// Capture time since boot, or since the start of the file.
    pub captured: Duration,
    /// Capture time of the clock on the wall, where one is known.
    pub utc: Option<SystemTime>,
}

/// Most bands of a picture.
pub const BANDS: usize = 256;

/// What the samples of a frame mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// One brightness per pixel.
    Gray,
    /// Red, green, blue per pixel.
    Rgb,
    /// Any number of values per pixel, 1 to 256: spectra, heat beside colours.
    Bands {
        /// How they are stored.
        depth: Depth,
    },
    /// Sound: one value per channel and time step.
    Audio {
        /// Time steps per second.
        rate: u32,
    },
}

impl Layout {
    /// The number that streams have for it.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Gray => 0,
            Self::Rgb => 1,
            Self::Audio { .. } => 2,
            Self::Bands { depth } => 3 + depth as u8,
        }
    }

    /// Whether pixels hold a spectrum, not colours.
    pub fn is_bands(self) -> bool {
        matches!(self, Self::Bands { .. })
    }
}

/// Types that samples of bands are stored as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Depth {
    /// 8 bits.
    U8,
    /// 16 bits.
    U16,
    /// 16 bits with a sign.
    I16,
    /// Single precision.
    F32,
}

impl Depth {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::U8, Self::U16, Self::I16, Self::F32];

    /// Bytes of a sample.
    pub fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::F32 => 4,
        }
    }

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::U8 => "8 bits",
            Self::U16 => "16 bits",
            Self::I16 => "16 bits with a sign",
            Self::F32 => "single precision",
        }
    }
}

/// Sample storage, interleaved: the channels of one pixel or time step stand together.
///
/// Units: full scale is 0..=255 (`U8`), 0..=65535 (`U16`), -32768..=32767 (`I16`);
/// `F32` is 0..1 in pictures and -1..1 in sound. Of bands, 65535 is 1 with a sign and without, and
/// `F32` may be anything.
#[derive(Debug, Clone, PartialEq)]
pub enum Samples {
    /// 8-bit pictures.
    U8(Vec<u8>),
    /// 16-bit pictures.
    U16(Vec<u16>),
    /// 16-bit sound.
    I16(Vec<i16>),
    /// Pictures and sound of any other precision.
    F32(Vec<f32>),
    /// 8-bit colour pictures as cameras give them, BT.601 in video range: brightness, then both
    /// colour differences, blue first, of every two rows and columns.
    Nv12(Vec<u8>),
    /// The same with colour differences of every two columns, between the brightnesses of both.
    Yuyv(Vec<u8>),
}

impl Samples {
    /// The type of samples that bands may have.
    pub fn depth(&self) -> Option<Depth> {
        SamplesRef::from(self).depth()
    }

    /// Number of values as they are stored.
    pub fn len(&self) -> usize {
        SamplesRef::from(self).len()
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// [`Samples`] that stand in memory of others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SamplesRef<'a> {
    /// As [`Samples::U8`].
    U8(&'a [u8]),
    /// As [`Samples::U16`].
    U16(&'a [u16]),
    /// As [`Samples::I16`].
    I16(&'a [i16]),
    /// As [`Samples::F32`].
    F32(&'a [f32]),
    /// As [`Samples::Nv12`].
    Nv12(&'a [u8]),
    /// As [`Samples::Yuyv`].
    Yuyv(&'a [u8]),
}

impl SamplesRef<'_> {
    /// The type of samples that bands may have.
    pub fn depth(&self) -> Option<Depth> {
        match self {
            Self::U8(_) => Some(Depth::U8),
            Self::U16(_) => Some(Depth::U16),
            Self::I16(_) => Some(Depth::I16),
            Self::F32(_) => Some(Depth::F32),
            Self::Nv12(_) | Self::Yuyv(_) => None,
        }
    }

    /// Number of values as they are stored.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(v) | Self::Nv12(v) | Self::Yuyv(v) => v.len(),
            Self::U16(v) => v.len(),
            Self::I16(v) => v.len(),
            Self::F32(v) => v.len(),
        }
    }

    /// How they are stored, in words.
    pub fn name(&self) -> &'static str {
        match self {
            Self::U8(_) => "8 bits",
            Self::U16(_) => "16 bits",
            Self::I16(_) => "16 bits with a sign",
            Self::F32(_) => "floats",
            Self::Nv12(_) => "NV12",
            Self::Yuyv(_) => "YUYV",
        }
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a> From<&'a Samples> for SamplesRef<'a> {
    fn from(samples: &'a Samples) -> Self {
        match samples {
            Samples::U8(v) => Self::U8(v),
            Samples::U16(v) => Self::U16(v),
            Samples::I16(v) => Self::I16(v),
            Samples::F32(v) => Self::F32(v),
            Samples::Nv12(v) => Self::Nv12(v),
            Samples::Yuyv(v) => Self::Yuyv(v),
        }
    }
}

/// One picture, or one stretch of sound.
///
/// Shape: `extent` is `[height, width]` for pictures and `[steps]` for sound;
/// `samples` holds `channels` values for each, or what [`Samples::Nv12`] or [`Samples::Yuyv`] says
/// for a picture of three channels.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// What the samples mean.
    pub layout: Layout,
    /// Values per pixel or time step.
    pub channels: usize,
    /// Height and width, or the number of time steps.
    pub extent: Vec<usize>,
    /// The values, interleaved.
    pub samples: Samples,
}

impl Frame {
    /// Checks that layout, extent and samples agree.
    ///
    /// # Errors
    /// `Shape` if they do not.
    pub fn new(
        layout: Layout,
        channels: usize,
        extent: Vec<usize>,
        samples: Samples,
    ) -> Result<Self> {
        FrameRef::new(layout, channels, &extent, (&samples).into())?;
        Ok(Self { layout, channels, extent, samples })
    }

    /// An 8-bit RGB picture.
    ///
    /// # Errors
    /// `Shape` if `samples` is not `3 * height * width` long.
    pub fn rgb(height: usize, width: usize, samples: Vec<u8>) -> Result<Self> {
        Self::new(Layout::Rgb, 3, vec![height, width], Samples::U8(samples))
    }

    /// A picture of bands, those of a pixel together.
    ///
    /// # Errors
    /// `Shape` if `samples` is not `height * width * bands` long or cannot be of bands, or if `bands`
    /// is not 1 to 256.
    pub fn bands(height: usize, width: usize, bands: usize, samples: Samples) -> Result<Self> {
        // What has no type is refused below, whichever is named.
        let depth = samples.depth().unwrap_or(Depth::U8);
        Self::new(Layout::Bands { depth }, bands, vec![height, width], samples)
    }

    /// Sound with `channels` interleaved channels in [-1, 1].
    ///
    /// # Errors
    /// `Shape` if `samples` is not a multiple of `channels` long.
    pub fn audio(rate: u32, channels: usize, samples: Vec<f32>) -> Result<Self> {
        let steps = samples.len() / channels.max(1);
        Self::new(Layout::Audio { rate }, channels, vec![steps], Samples::F32(samples))
    }

    /// Whether this is sound.
    pub fn is_audio(&self) -> bool {
        self.view().is_audio()
    }

    /// Pixels or time steps.
    pub fn positions(&self) -> usize {
        self.view().positions()
    }

    /// Keeps the first `seconds` of a sound. A picture stays as it is.
    pub fn shorten(&mut self, seconds: f64) {
        let Layout::Audio { rate } = self.layout else { return };
        let steps = self.extent[0].min((seconds * f64::from(rate)) as usize);
        let len = steps * self.channels;
        self.extent[0] = steps;
        match &mut self.samples {
            Samples::U8(v) | Samples::Nv12(v) | Samples::Yuyv(v) => v.truncate(len),
            Samples::U16(v) => v.truncate(len),
            Samples::I16(v) => v.truncate(len),
            Samples::F32(v) => v.truncate(len),
        }
    }

    /// Sample `i` of the interleaved values on the scale of the codec: [`FrameRef::value`].
    #[inline]
    pub fn value(&self, i: usize) -> f32 {
        self.view().value(i)
    }

    /// The frame as what its samples are borrowed for.
    #[inline]
    pub fn view(&self) -> FrameRef<'_> {
        FrameRef {
            layout: self.layout,
            channels: self.channels,
            extent: &self.extent,
            samples: (&self.samples).into(),
        }
    }

    /// A picture of brightness and colour differences as red, green and blue bytes; `None` if the
    /// frame is stored otherwise.
    pub fn to_rgb(&self) -> Option<Self> {
        let (pixel, bytes): (fn(&[u8], _, _, _) -> _, _) = match &self.samples {
            Samples::Nv12(v) => (yuv::nv12, v),
            Samples::Yuyv(v) => (yuv::yuyv, v),
            _ => return None,
        };
        let (height, width) = (self.extent[0], self.extent[1]);
        let mut out = Vec::with_capacity(3 * height * width);
        for y in 0..height {
            for x in 0..width {
                let [luma, blue, red] = pixel(bytes, [height, width], y, x);
                out.extend(yuv::rgb(luma, blue, red, false));
            }
        }
        Some(Self { samples: Samples::U8(out), extent: self.extent.clone(), ..*self })
    }
}

/// A frame whose samples stand in memory of others: what an encoder reads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FrameRef<'a> {
    /// What the samples mean.
    pub layout: Layout,
    /// Values per pixel or time step.
    pub channels: usize,
    /// Height and width, or the number of time steps.
    pub extent: &'a [usize],
    /// The values, interleaved.
    pub samples: SamplesRef<'a>,
}

impl<'a> From<&'a Frame> for FrameRef<'a> {
    fn from(frame: &'a Frame) -> Self {
        frame.view()
    }
}

impl<'a> FrameRef<'a> {
    /// Checks that layout, extent and samples agree.
    ///
    /// # Errors
    /// `Shape` if they do not.
    pub fn new(
        layout: Layout,
        channels: usize,
        extent: &'a [usize],
        samples: SamplesRef<'a>,
    ) -> Result<Self> {
        let (axes, fixed) = match layout {
            Layout::Gray => (2, Some(1)),
            Layout::Rgb => (2, Some(3)),
            Layout::Bands { .. } => (2, None),
            Layout::Audio { .. } => (1, None),
        };
        if extent.len() != axes {
            return Err(Error::shape("frame extent", format!("{axes} axes"), extent.len()));
        }
        if channels == 0 || fixed.is_some_and(|c| c != channels) {
            return Err(Error::shape("frame channels", fixed.unwrap_or(1), channels));
        }
        if let Layout::Bands { depth } = layout {
            if channels > BANDS {
                return Err(Error::shape("bands", format!("1 to {BANDS}"), channels));
            }
            if samples.depth() != Some(depth) {
                let actual = samples.depth().map_or("another type", Depth::words);
                return Err(Error::shape("samples of bands", depth.words(), actual));
            }
        }
        let expected = match (samples, extent) {
            (SamplesRef::Nv12(_), &[h, w]) if layout == Layout::Rgb => yuv::nv12_len([h, w]),
            (SamplesRef::Yuyv(_), &[h, w]) if layout == Layout::Rgb => yuv::yuyv_len([h, w]),
            (SamplesRef::Nv12(_) | SamplesRef::Yuyv(_), _) => {
                return Err(Error::shape("NV12 or YUYV frame", "Rgb", format!("{layout:?}")));
            }
            _ => extent.iter().try_fold(channels, |n, &e| n.checked_mul(e)),
        };
        let expected =
            expected.ok_or_else(|| Error::shape("frame extent", "a product below 2^64", "more"))?;
        if samples.len() != expected {
            return Err(Error::shape("frame samples", expected, samples.len()));
        }
        Ok(Self { layout, channels, extent, samples })
    }

    /// Whether this is sound.
    pub fn is_audio(&self) -> bool {
        matches!(self.layout, Layout::Audio { .. })
    }

    /// Pixels or time steps.
    pub fn positions(&self) -> usize {
        self.extent.iter().product()
    }

    /// Sample `i` of the interleaved values on the scale of the codec.
    ///
    /// Units: [-0.5, 0.5]; NaN and infinities become 0 and the ends of the range.
    /// Source: walloc.md 1.1 (`u8/255 - 0.5`; sound of full scale 1 is halved).
    #[inline]
    pub fn value(&self, i: usize) -> f32 {
        match self.samples {
            SamplesRef::U8(v) => f32::from(v[i]) / 255.0 - 0.5,
            SamplesRef::U16(v) => f32::from(v[i]) / 65535.0 - 0.5,
            SamplesRef::I16(v) if self.layout.is_bands() => f32::from(v[i]) / 65535.0 - 0.5,
            SamplesRef::I16(v) => f32::from(v[i]) / 65536.0,
            SamplesRef::F32(v) if self.layout.is_bands() => {
                if v[i].is_finite() {
                    v[i] - 0.5
                } else {
                    -0.5
                }
            }
            SamplesRef::F32(v) => {
                let x = if v[i].is_nan() { 0.0 } else { v[i] };
                if self.is_audio() { sound(x) } else { x.clamp(0.0, 1.0) - 0.5 }
            }
            SamplesRef::Nv12(v) => self.colour(i, yuv::nv12, v),
            SamplesRef::Yuyv(v) => self.colour(i, yuv::yuyv, v),
        }
    }

    /// Value `i` of a picture that is stored as brightness and colour differences.
    fn colour(
        &self,
        i: usize,
        pixel: fn(&[u8], [usize; 2], usize, usize) -> [u8; 3],
        bytes: &[u8],
    ) -> f32 {
        let extent = [self.extent[0], self.extent[1]];
        let [y, blue, red] = pixel(bytes, extent, i / 3 / extent[1], i / 3 % extent[1]);
        f32::from(yuv::rgb(y, blue, red, false)[i % 3]) / 255.0 - 0.5
    }

    /// All values as [`Self::value`] gives them, in memory that is used again.
    pub(crate) fn values(&self, to: &mut Vec<f32>) {
        to.clear();
        match self.samples {
            SamplesRef::I16(v) if self.is_audio() => {
                to.extend(v.iter().map(|&x| f32::from(x) / 65536.0))
            }
            SamplesRef::F32(v) if self.is_audio() => to.extend(v.iter().map(|&x| sound(x))),
            samples => to.extend((0..samples.len()).map(|i| self.value(i))),
        }
    }
}

/// A sample of sound as codecs take it; NaN becomes 0.
fn sound(x: f32) -> f32 {
    if x.is_nan() { 0.0 } else { (x * 0.5).clamp(-4.0, 4.0) }
}
