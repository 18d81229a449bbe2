//! `tamisdec` as GStreamer sees it.

use std::sync::{LazyLock, Mutex};

use gst::glib;
use gst::prelude::*;
use gst_video::prelude::*;
use gst_video::subclass::prelude::*;
use gst_video::video_codec_state::Readable;
use gst_video::{VideoCodecFrame, VideoCodecState, VideoFormat, VideoFrameRef};
use tamis::codec::{Frame, Samples};

use super::DecoderName;
use super::stream::{Stream, Wish};
use crate::losses::{self, Losses};
use crate::packets::{Missing, Read, records};
use crate::{AUTHOR, CATEGORY, caps, lock};

#[derive(Default)]
struct State {
    stream: Option<Stream>,
    /// Caps at hand.
    input: Option<VideoCodecState<'static, Readable>>,
    /// What the element behind was told last.
    output: Option<(bool, [usize; 2])>,
    losses: Losses,
}

/// The element's private part.
#[derive(Default)]
pub struct TamisDec {
    settings: Mutex<Wish>,
    state: Mutex<State>,
}

#[glib::object_subclass]
impl ObjectSubclass for TamisDec {
    const NAME: &'static str = "GstTamisDec";
    type Type = super::TamisDec;
    type ParentType = gst_video::VideoDecoder;
}

impl ObjectImpl for TamisDec {
    fn constructed(&self) {
        self.parent_constructed();
        let obj = self.obj();
        obj.set_packetized(true);
        obj.set_needs_format(true);
        obj.set_use_default_pad_acceptcaps(true);
    }

    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            vec![
                glib::ParamSpecString::builder("bundle")
                    .nick("Bundle")
                    .blurb(
                        "Codec of streams that no shipped bundle made: a name or the path of a \
                         folder; unset to find it by the stream",
                    )
                    .mutable_ready()
                    .build(),
                glib::ParamSpecUInt::builder("channels")
                    .nick("Channels")
                    .blurb(
                        "Channels read, the most important first: the end of one of the bundle's \
                         groups (rgb: 3, 6, 12, 24, 48); 0 for all. Holds from the next packet \
                         that stands alone",
                    )
                    .default_value(0)
                    .mutable_playing()
                    .build(),
                glib::ParamSpecUInt::builder("groups")
                    .nick("Groups")
                    .blurb(
                        "Groups of channels read; 0 for all. Holds from the next packet that \
                         stands alone",
                    )
                    .maximum(15)
                    .default_value(0)
                    .mutable_playing()
                    .build(),
                glib::ParamSpecEnum::builder_with_default("decoder", DecoderName::default())
                    .nick("Decoder")
                    .blurb("What makes pictures of latents")
                    .mutable_ready()
                    .build(),
                losses::property(),
            ]
        });
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let mut settings = lock(&self.settings);
        // GLib has checked type and range.
        match pspec.name() {
            "bundle" => settings.bundle = value.get().ok().flatten(),
            "channels" => settings.channels = value.get().unwrap_or(0),
            "groups" => settings.groups = value.get().unwrap_or(0),
            "decoder" => settings.decoder = value.get().unwrap_or_default(),
            _ => {}
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let settings = lock(&self.settings).clone();
        match pspec.name() {
            "bundle" => settings.bundle.to_value(),
            "channels" => settings.channels.to_value(),
            "groups" => settings.groups.to_value(),
            "decoder" => settings.decoder.to_value(),
            _ => lock(&self.state).losses.structure("tamis-stats").to_value(),
        }
    }
}

impl GstObjectImpl for TamisDec {}

impl ElementImpl for TamisDec {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "tamis picture decoder",
                "Codec/Decoder/Video",
                "Decodes importance-ordered latents to pictures, as many channels as asked for",
                AUTHOR,
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let formats = [VideoFormat::Rgb, VideoFormat::Gray8];
            let raw = gst_video::VideoCapsBuilder::new().format_list(formats).build();
            caps::pads(&caps::packets(), &raw)
        });
        &TEMPLATES
    }
}

impl VideoDecoderImpl for TamisDec {
    fn start(&self) -> Result<(), gst::ErrorMessage> {
        *lock(&self.state) = State::default();
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        let losses = std::mem::take(&mut *lock(&self.state)).losses;
        // What was lost may still be asked for.
        lock(&self.state).losses = losses;
        Ok(())
    }

    fn set_format(
        &self,
        input: &VideoCodecState<'static, Readable>,
    ) -> Result<(), gst::LoggableError> {
        let header = input.caps().and_then(caps::header);
        let wish = lock(&self.settings).clone();
        {
            let mut state = lock(&self.state);
            state.input = Some(input.clone());
            // The rate may have changed, and the codec.
            state.output = None;
            if let Some(header) = header
                && let Err(why) = state.take(header, &wish)
            {
                drop(state);
                gst::element_imp_error!(self, gst::StreamError::CodecNotFound, ("{why}"));
                return Err(gst::loggable_error!(CATEGORY, "{why}"));
            }
        }
        // A picture leaves before the next packet comes.
        self.obj().set_latency(gst::ClockTime::ZERO, gst::ClockTime::ZERO);
        Ok(())
    }

    fn handle_frame(&self, mut frame: VideoCodecFrame) -> Result<gst::FlowSuccess, gst::FlowError> {
        let obj = self.obj();
        let mut missing = Missing::default();
        let read = self.read(&frame, &mut missing);
        let lost = matches!(read, Ok(Read::Lost));
        let told = lock(&self.state).losses.add(&missing, lost);
        // Whoever is told may ask for the property.
        if let Some(told) = told {
            told.tell(obj.upcast_ref());
        }
        let fail = |why: String| {
            gst::element_imp_error!(self, gst::StreamError::Decode, ("{why}"));
            Err(gst::FlowError::Error)
        };
        match read {
            Err(why) => return fail(why),
            Ok(Read::Nothing | Read::Early) => {
                obj.release_frame(frame);
                return Ok(gst::FlowSuccess::Ok);
            }
            Ok(Read::Lost) => return obj.drop_frame(frame),
            // It was read all the same: the next packet may continue it.
            Ok(Read::Latent) if obj.property("qos") && obj.max_decode_time(&frame) < 0 => {
                return obj.drop_frame(frame);
            }
            Ok(Read::Latent) => {}
        }
        self.announce()?;
        obj.allocate_output_frame(&mut frame, None)?;
        let output = obj.output_state().ok_or(gst::FlowError::NotNegotiated)?;
        let drawn = {
            let mut state = lock(&self.state);
            let stream = state.stream.as_mut().ok_or(gst::FlowError::NotNegotiated)?;
            let to = frame.output_buffer_mut().ok_or(gst::FlowError::Error)?;
            stream.picture().and_then(|picture| draw(picture, to, output.info()))
        };
        match drawn {
            Ok(()) => obj.finish_frame(frame),
            Err(why) => fail(why),
        }
    }

    fn flush(&self) -> bool {
        if let Some(stream) = &mut lock(&self.state).stream {
            stream.reset();
        }
        true
    }
}

impl State {
    /// Takes the header of the packets to come.
    fn take(&mut self, header: tamis::bitstream::StreamHeader, wish: &Wish) -> Result<(), String> {
        match &mut self.stream {
            Some(stream) => stream.set_header(header),
            None => {
                self.stream = Some(Stream::open(header, wish)?);
                Ok(())
            }
        }
    }
}

impl TamisDec {
    /// Reads the records of a buffer.
    fn read(&self, frame: &VideoCodecFrame, missing: &mut Missing) -> Result<Read, String> {
        let buffer = frame.input_buffer().ok_or("a frame without a buffer came")?;
        let bytes = buffer.map_readable().map_err(|_| "a buffer came that cannot be read")?;
        let (header, packet) = records(&bytes, missing)?;
        let wish = lock(&self.settings).clone();
        let mut state = lock(&self.state);
        if let Some(header) = header {
            state.take(header, &wish)?;
        }
        // If it held one, the next packet says that one is missing.
        let Some(packet) = packet else { return Ok(Read::Nothing) };
        let State { stream, losses, .. } = &mut *state;
        let stream = stream.as_mut().ok_or(
            "a packet came before any header; let its caps have codec_data, or put tamisparse before",
        )?;
        let read = stream.unpack(packet, &wish, missing)?;
        losses.skipped += u64::from(matches!(read, Read::Early));
        Ok(read)
    }

    /// Tells the element behind what pictures come, if that is new.
    fn announce(&self) -> Result<(), gst::FlowError> {
        let (shape, input) = {
            let state = lock(&self.state);
            let shape = state.stream.as_ref().and_then(Stream::shape);
            if shape == state.output {
                return Ok(());
            }
            (shape.ok_or(gst::FlowError::Error)?, state.input.clone())
        };
        let (gray, [height, width]) = shape;
        let format = if gray { VideoFormat::Gray8 } else { VideoFormat::Rgb };
        let side = |n: usize| u32::try_from(n).map_err(|_| gst::FlowError::NotNegotiated);
        let obj = self.obj();
        let output = obj.set_output_state(format, side(width)?, side(height)?, input.as_ref())?;
        obj.negotiate(output)?;
        lock(&self.state).output = Some(shape);
        Ok(())
    }
}

/// Copies a picture to where its rows may stand apart.
fn draw(
    picture: &Frame,
    to: &mut gst::BufferRef,
    info: &gst_video::VideoInfo,
) -> Result<(), String> {
    let short = || "the element behind gave a buffer that is too small".to_owned();
    let Samples::U8(samples) = &picture.samples else {
        return Err("the decoder made no picture of 8 bits".into());
    };
    let row = picture.channels * picture.extent.get(1).copied().unwrap_or(0);
    let mut view = VideoFrameRef::from_buffer_ref_writable(to, info).map_err(|_| short())?;
    let stride = usize::try_from(view.plane_stride()[0]).unwrap_or(0);
    let plane = view.plane_data_mut(0).map_err(|_| short())?;
    if row == 0 || stride < row || plane.len() < stride * (samples.len() / row - 1) + row {
        return Err(short());
    }
    for (from, to) in samples.chunks_exact(row).zip(plane.chunks_mut(stride)) {
        to[..row].copy_from_slice(from);
    }
    Ok(())
}
