//! `tamisinfer` as GStreamer sees it.

use std::sync::{LazyLock, Mutex};

use gst::glib;
use gst::prelude::*;
use gst_base::subclass::prelude::*;
use tamis::bitstream::StreamHeader;
use tamis::runtime::{Head, HeadOptions, Prediction, find_head_with, options_within};

use crate::losses::{self, Losses};
use crate::packets::{Missing, Packets, Read, records};
use crate::{AUTHOR, CATEGORY, caps, lock};

#[derive(Debug, Clone, Default)]
struct Settings {
    head: Option<String>,
    bundle: Option<String>,
    target_ms: f64,
    int8: bool,
}

struct State {
    head: Head,
    packets: Option<Packets>,
    bundle: Option<String>,
}

/// The element's private part.
#[derive(Default)]
pub struct TamisInfer {
    settings: Mutex<Settings>,
    state: Mutex<Option<State>>,
    /// Since the last start, and also behind the stop.
    losses: Mutex<Losses>,
}

#[glib::object_subclass]
impl ObjectSubclass for TamisInfer {
    const NAME: &'static str = "GstTamisInfer";
    type Type = super::TamisInfer;
    type ParentType = gst_base::BaseTransform;
}

impl ObjectImpl for TamisInfer {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            vec![
                glib::ParamSpecString::builder("head")
                    .nick("Head")
                    .blurb(
                        "Model on latents: waste, another shipped one, or the path of an ONNX file",
                    )
                    .mutable_ready()
                    .build(),
                glib::ParamSpecString::builder("bundle")
                    .nick("Bundle")
                    .blurb(
                        "Codec of streams that no shipped bundle made: a name or the path of a \
                         folder; unset to find it by the stream",
                    )
                    .mutable_ready()
                    .build(),
                glib::ParamSpecDouble::builder("target-ms")
                    .nick("Target time")
                    .blurb(
                        "Milliseconds there are for a picture, by the table in the head that \
                         `tamis tune` wrote; 0 for all tokens",
                    )
                    .minimum(0.0)
                    .default_value(0.0)
                    .mutable_ready()
                    .build(),
                glib::ParamSpecBoolean::builder("int8")
                    .nick("Whole numbers")
                    .blurb("Transformers in whole numbers of 8 bits; quicker, a little less exact")
                    .default_value(false)
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
            "head" => settings.head = value.get().ok().flatten(),
            "bundle" => settings.bundle = value.get().ok().flatten(),
            "target-ms" => settings.target_ms = value.get().unwrap_or(0.0),
            "int8" => settings.int8 = value.get().unwrap_or(false),
            _ => {}
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let settings = lock(&self.settings).clone();
        match pspec.name() {
            "head" => settings.head.to_value(),
            "bundle" => settings.bundle.to_value(),
            "target-ms" => settings.target_ms.to_value(),
            "int8" => settings.int8.to_value(),
            _ => lock(&self.losses).structure("tamis-stats").to_value(),
        }
    }
}

impl GstObjectImpl for TamisInfer {}

impl ElementImpl for TamisInfer {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "tamis classifier",
                "Filter/Analyzer/Video",
                "Runs a model on the latents of packets, which pass unchanged; predictions are \
                 element messages",
                AUTHOR,
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> =
            LazyLock::new(|| caps::pads(&caps::packets(), &caps::packets()));
        &TEMPLATES
    }
}

impl BaseTransformImpl for TamisInfer {
    const MODE: gst_base::subclass::BaseTransformMode =
        gst_base::subclass::BaseTransformMode::AlwaysInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = true;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = true;

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        let settings = lock(&self.settings).clone();
        let head = open(&settings)
            .map_err(|why| gst::error_msg!(gst::LibraryError::Settings, ("{why}")))?;
        *lock(&self.state) = Some(State { head, packets: None, bundle: settings.bundle });
        *lock(&self.losses) = Losses::default();
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        *lock(&self.state) = None;
        Ok(())
    }

    fn set_caps(&self, input: &gst::Caps, _output: &gst::Caps) -> Result<(), gst::LoggableError> {
        let Some(header) = caps::header(input) else { return Ok(()) };
        let taken = match lock(&self.state).as_mut() {
            Some(state) => state.take(header),
            None => Ok(()),
        };
        taken.map_err(|why| {
            gst::element_imp_error!(self, gst::StreamError::CodecNotFound, ("{why}"));
            gst::loggable_error!(CATEGORY, "{why}")
        })
    }

    fn sink_event(&self, event: gst::Event) -> bool {
        if event.type_() == gst::EventType::FlushStop
            && let Some(packets) = lock(&self.state).as_mut().and_then(|s| s.packets.as_mut())
        {
            packets.reset();
        }
        self.parent_sink_event(event)
    }

    fn transform_ip_passthrough(
        &self,
        buffer: &gst::Buffer,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let mut missing = Missing::default();
        let read = self.read(buffer, &mut missing);
        let told = {
            let mut losses = lock(&self.losses);
            losses.skipped += u64::from(matches!(read, Ok((Read::Early, _))));
            losses.add(&missing, matches!(read, Ok((Read::Lost, _))))
        };
        // Whoever is told may ask for the property.
        if let Some(told) = told {
            told.tell(self.obj().upcast_ref());
        }
        match read {
            Ok((_, Some((index, prediction)))) => self.say(buffer, index, &prediction),
            Ok((_, None)) => {}
            Err(why) => {
                gst::element_imp_error!(self, gst::StreamError::Decode, ("{why}"));
                return Err(gst::FlowError::Error);
            }
        }
        Ok(gst::FlowSuccess::Ok)
    }
}

impl State {
    /// Takes the header of the packets to come.
    fn take(&mut self, header: StreamHeader) -> Result<(), String> {
        if self.packets.as_mut().is_some_and(|packets| packets.go_on(&header)) {
            return Ok(());
        }
        let packets = Packets::open(header, self.bundle.as_deref())?;
        self.head.check(packets.bundle()).map_err(|e| e.to_string())?;
        self.packets = Some(packets);
        Ok(())
    }
}

impl TamisInfer {
    /// Reads the records of a buffer, and what the head says of the latent in them.
    fn read(
        &self,
        buffer: &gst::Buffer,
        missing: &mut Missing,
    ) -> Result<(Read, Option<(u64, Prediction)>), String> {
        let bytes = buffer.map_readable().map_err(|_| "a buffer came that cannot be read")?;
        let (header, packet) = records(&bytes, missing)?;
        let mut state = lock(&self.state);
        let state = state.as_mut().ok_or("a packet came before start")?;
        if let Some(header) = header {
            state.take(header)?;
        }
        let Some(packet) = packet else { return Ok((Read::Nothing, None)) };
        let State { head, packets, .. } = state;
        let packets = packets.as_mut().ok_or(
            "a packet came before any header; let its caps have codec_data, or put tamisparse before",
        )?;
        // Groups that the head does not read need not be decoded.
        let groups = packets.bundle().groups.iter();
        let groups = 1 + groups.filter(|&&end| end < head.card().channels).count();
        let read = packets.unpack(packet, groups, missing);
        let Read::Latent = read else { return Ok((read, None)) };
        let (index, latent) = packets.last().ok_or("no packet was read")?;
        let said =
            head.run(packets.bundle(), latent).map_err(|e| format!("packet {index}: {e}"))?;
        Ok((read, Some((*index, said))))
    }

    /// Posts what the head said.
    fn say(&self, buffer: &gst::Buffer, index: u64, prediction: &Prediction) {
        let Some((label, score)) = prediction.top.first() else { return };
        let labels = gst::List::new(prediction.top.iter().map(|(label, _)| label.as_str()));
        let scores = gst::List::new(prediction.top.iter().map(|&(_, score)| f64::from(score)));
        let head = lock(&self.settings).head.clone().unwrap_or_default();
        let structure = gst::Structure::builder("tamis-prediction")
            .field("head", head)
            .field("index", index)
            .field("pts", buffer.pts())
            .field("label", label)
            .field("score", f64::from(*score))
            .field("labels", labels)
            .field("scores", scores)
            .field("ms", prediction.elapsed.as_secs_f64() * 1e3)
            .build();
        let element = self.obj();
        let message = gst::message::Element::builder(structure).src(&*element).build();
        // Without a bus nobody listens.
        let _ = element.post_message(message);
    }
}

/// The head that settings ask for.
fn open(settings: &Settings) -> Result<Head, String> {
    let name = settings
        .head
        .as_deref()
        .ok_or("head is not set; head=waste is shipped, `tamis doctor` lists others")?;
    let mut options = HeadOptions::default();
    if settings.target_ms > 0.0 {
        (options, _) =
            options_within(name, settings.target_ms, "target-ms").map_err(|e| e.to_string())?;
    } else {
        options.int8 = settings.int8;
    }
    find_head_with(name, &options).map_err(|e| format!("head: {e}"))
}
