//! `tamisenc` as GStreamer sees it.

use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use gst::glib;
use gst::prelude::*;
use gst_video::VideoCodecFrameFlags;
use gst_video::prelude::*;
use gst_video::subclass::prelude::*;
use tamis::codec::{Kind, Layout, Quality};
use tamis::runtime::find_bundle;

use super::CoderName;
use super::stream::{Stream, Wish};
use crate::picture::{FORMATS, Pictures};
use crate::{AUTHOR, CATEGORY, caps, lock};

/// As `Quality::DEFAULT`.
const QUALITY: u32 = 75;
/// Packets from one that stands alone to the next, as `tamis encode` has it.
const KEYS: u32 = 32;
const BUNDLE: &str = "rgb";

#[derive(Debug, Clone)]
struct Settings {
    bundle: String,
    quality: u32,
    channels: u32,
    coder: CoderName,
    keys: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bundle: BUNDLE.into(),
            quality: QUALITY,
            channels: 0,
            coder: CoderName::default(),
            keys: KEYS,
        }
    }
}

struct State {
    stream: Stream,
    /// Of the caps at hand.
    pictures: Option<Pictures>,
    /// Time from picture to picture, for those without one of their own.
    period: Duration,
    pictures_seen: u32,
}

/// The element's private part.
#[derive(Default)]
pub struct TamisEnc {
    settings: Mutex<Settings>,
    state: Mutex<Option<State>>,
}

#[glib::object_subclass]
impl ObjectSubclass for TamisEnc {
    const NAME: &'static str = "GstTamisEnc";
    type Type = super::TamisEnc;
    type ParentType = gst_video::VideoEncoder;
}

impl ObjectImpl for TamisEnc {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            vec![
                glib::ParamSpecString::builder("bundle")
                    .nick("Bundle")
                    .blurb(
                        "Codec of pictures: rgb, one found in ./models or $TAMIS_MODELS, or the \
                         path of a folder",
                    )
                    .default_value(Some(BUNDLE))
                    .mutable_ready()
                    .build(),
                glib::ParamSpecUInt::builder("quality")
                    .nick("Quality")
                    .blurb("1 (coarsest) to 100 (finest); sixteen less double the step")
                    .minimum(1)
                    .maximum(100)
                    .default_value(QUALITY)
                    .mutable_playing()
                    .build(),
                glib::ParamSpecUInt::builder("channels")
                    .nick("Channels")
                    .blurb(
                        "Channels coded, the most important first: the end of one of the bundle's \
                         groups (rgb: 3, 6, 12, 24, 48); 0 for all",
                    )
                    .default_value(0)
                    .mutable_ready()
                    .build(),
                glib::ParamSpecEnum::builder_with_default("coder", CoderName::default())
                    .nick("Coder")
                    .blurb("How packets are coded")
                    .mutable_playing()
                    .build(),
                glib::ParamSpecUInt::builder("keys")
                    .nick("Keys")
                    .blurb("Packets from one that stands alone to the next; 1 lets all stand alone")
                    .minimum(1)
                    .default_value(KEYS)
                    .mutable_playing()
                    .build(),
            ]
        });
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let mut settings = lock(&self.settings);
        // GLib has checked type and range.
        match pspec.name() {
            "bundle" => {
                let name = value.get::<Option<String>>().ok().flatten();
                settings.bundle = name.unwrap_or_else(|| BUNDLE.into());
            }
            "quality" => settings.quality = value.get().unwrap_or(QUALITY),
            "channels" => settings.channels = value.get().unwrap_or(0),
            "coder" => settings.coder = value.get().unwrap_or_default(),
            "keys" => settings.keys = value.get().unwrap_or(KEYS),
            _ => {}
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let settings = lock(&self.settings);
        match pspec.name() {
            "bundle" => settings.bundle.to_value(),
            "quality" => settings.quality.to_value(),
            "channels" => settings.channels.to_value(),
            "coder" => settings.coder.to_value(),
            _ => settings.keys.to_value(),
        }
    }
}

impl GstObjectImpl for TamisEnc {}

impl ElementImpl for TamisEnc {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "tamis picture encoder",
                "Codec/Encoder/Video",
                "Encodes pictures as importance-ordered latents, in packets that may be cut after \
                 any group of channels",
                AUTHOR,
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let raw = gst_video::VideoCapsBuilder::new().format_list(FORMATS).build();
            caps::pads(&raw, &caps::packets())
        });
        &TEMPLATES
    }
}

impl VideoEncoderImpl for TamisEnc {
    fn start(&self) -> Result<(), gst::ErrorMessage> {
        let settings = lock(&self.settings).clone();
        let stream = open(&settings)
            .map_err(|why| gst::error_msg!(gst::LibraryError::Settings, ("{why}")))?;
        let period = Duration::ZERO;
        *lock(&self.state) = Some(State { stream, pictures: None, period, pictures_seen: 0 });
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        *lock(&self.state) = None;
        Ok(())
    }

    fn set_format(
        &self,
        input: &gst_video::VideoCodecState<'static, gst_video::video_codec_state::Readable>,
    ) -> Result<(), gst::LoggableError> {
        let info = input.info();
        let pictures = Pictures::new(info).map_err(|e| gst::loggable_error!(CATEGORY, "{e}"))?;
        let packets = {
            let mut state = lock(&self.state);
            let Some(state) = state.as_mut() else {
                return Err(gst::loggable_error!(CATEGORY, "caps came before start"));
            };
            let (layout, bundle) = (pictures.layout(), state.stream.bundle());
            if layout == Layout::Rgb && bundle.inputs == 1 {
                return Err(gst::loggable_error!(
                    CATEGORY,
                    "bundle {} codes gray pictures; put `videoconvert ! video/x-raw,format=GRAY8` \
                     before, or set bundle=rgb",
                    bundle.card.name
                ));
            }
            let (rate, per) = (info.fps().numer(), info.fps().denom());
            state.period = match (u32::try_from(rate), u32::try_from(per)) {
                (Ok(rate @ 1..), Ok(per)) => Duration::from_secs(per.into()) / rate,
                _ => Duration::ZERO,
            };
            let packets = caps::of(&state.stream.header(layout), pictures.extent(), info.fps());
            state.pictures = Some(pictures);
            packets
        };
        let obj = self.obj();
        // A packet leaves before the next picture comes.
        obj.set_latency(gst::ClockTime::ZERO, gst::ClockTime::ZERO);
        let output = obj
            .set_output_state(packets, Some(input))
            .map_err(|_| gst::loggable_error!(CATEGORY, "no element behind takes packets"))?;
        obj.negotiate(output)
            .map_err(|_| gst::loggable_error!(CATEGORY, "no element behind takes packets"))
    }

    fn handle_frame(
        &self,
        mut frame: gst_video::VideoCodecFrame,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        match self.encode(&frame) {
            Ok((bytes, alone)) => {
                if alone {
                    frame.set_flags(VideoCodecFrameFlags::SYNC_POINT);
                }
                frame.set_output_buffer(gst::Buffer::from_mut_slice(bytes));
                self.obj().finish_frame(frame)
            }
            Err(why) => {
                gst::element_imp_error!(self, gst::StreamError::Encode, ("{why}"));
                Err(gst::FlowError::Error)
            }
        }
    }

    fn finish(&self) -> Result<gst::FlowSuccess, gst::FlowError> {
        let footer = lock(&self.state).as_mut().and_then(|state| state.stream.finish());
        let Some(footer) = footer else { return Ok(gst::FlowSuccess::Ok) };
        let mut buffer = gst::Buffer::from_mut_slice(footer);
        if let Some(buffer) = buffer.get_mut() {
            // It is no picture, and belongs behind all of them.
            buffer.set_flags(gst::BufferFlags::HEADER);
            let segment = self.obj().output_segment();
            let end = segment.downcast_ref::<gst::ClockTime>().and_then(|s| s.position());
            buffer.set_pts(end);
        }
        self.obj().src_pad().push(buffer)
    }

    fn flush(&self) -> bool {
        if let Some(state) = lock(&self.state).as_mut() {
            state.stream.reset();
        }
        true
    }
}

impl TamisEnc {
    fn encode(&self, frame: &gst_video::VideoCodecFrame) -> Result<(Vec<u8>, bool), String> {
        let settings = lock(&self.settings).clone();
        let mut state = lock(&self.state);
        let none = || "a picture came before its caps".to_owned();
        let State { stream, pictures, period, pictures_seen } = state.as_mut().ok_or_else(none)?;
        let pictures = pictures.as_mut().ok_or_else(none)?;
        let buffer = frame.input_buffer().ok_or_else(none)?;
        let quality = u8::try_from(settings.quality).unwrap_or(u8::MAX);
        let wish = Wish {
            quality: Quality::new(quality).map_err(|e| e.to_string())?,
            coder: settings.coder.into(),
            keys: settings.keys.into(),
            alone: frame.flags().contains(VideoCodecFrameFlags::FORCE_KEYFRAME),
            header: frame.flags().contains(VideoCodecFrameFlags::FORCE_KEYFRAME_HEADERS),
        };
        let captured = frame.pts().map_or(*period * *pictures_seen, Duration::from);
        *pictures_seen = pictures_seen.wrapping_add(1);
        let packet = pictures.with(buffer, |picture| stream.push(picture, captured, &wish))?;
        packet.map_err(|e| e.to_string())
    }
}

/// The stream that settings ask for.
fn open(settings: &Settings) -> Result<Stream, String> {
    let bundle = find_bundle(&settings.bundle).map_err(|e| format!("bundle: {e}"))?;
    if bundle.kind != Kind::Image || !matches!(bundle.inputs, 1 | 3) {
        return Err(format!(
            "bundle is {}, which does not code pictures of 1 or 3 colours; set bundle=rgb, or one \
             that `tamis fit` made of pictures",
            settings.bundle
        ));
    }
    let channels = match settings.channels {
        0 => bundle.channels(),
        n => n as usize,
    };
    let groups = bundle.groups.clone();
    Stream::new(Arc::new(bundle), channels)
        .map_err(|_| format!("channels is {channels}, expected one of {groups:?}, or 0 for all"))
}
