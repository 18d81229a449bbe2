//! A description as elements of GStreamer: made one by one, by names from the list, without a parser of GStreamer's.

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer_app::AppSink;

use super::allowed::find;
use super::numbers;
use super::rules::is_text;
use super::{Description, Media, Part, Wish};
use crate::error::{Error, Result};

/// What elements of the list make inside themselves.
const INNER: &[&str] = &[
    "appsrc",
    "fakesrc",
    "funnel",
    "identity",
    "rtpbin",
    "rtpfunnel",
    "rtpptdemux",
    "rtprtxreceive",
    "rtprtxqueue",
    "rtpsession",
    "rtpssrcdemux",
    "rtpstorage",
    "rtpulpfecdec",
    "srtpdec",
    "srtpenc",
    "udpsink",
];

/// Whether an element may be part of a pipeline, wherever it came from; else why not.
pub(super) fn foreign(element: &gst::Element) -> Option<String> {
    let name = element.factory().map(|f| f.name().to_string());
    match name.as_deref() {
        Some(name) if find(name).is_some() || INNER.contains(&name) => None,
        Some("appsink") => None,
        Some(name) => Some(format!("element {name} came into the pipeline and is on no list")),
        None if element.type_() == gst::Bin::static_type() => None,
        None => Some(format!("a {} came into the pipeline and is on no list", element.type_())),
    }
}

/// Starts the library; often is as good as once.
pub(super) fn start() -> Result<()> {
    gst::init().map_err(|e| Error::Device { device: "gstreamer".into(), reason: e.to_string() })
}

/// Elements in a pipeline, linked; and their end, where samples come out. Nothing is opened yet.
///
/// # Errors
/// `Config` if an element is not installed, lacks a property or does not take a value, or if two do not fit together.
pub(super) fn build(description: &Description, wish: &Wish) -> Result<(gst::Pipeline, AppSink)> {
    start()?;
    let pipeline = gst::Pipeline::new();
    let mut chain = Vec::new();
    for part in &description.parts {
        chain.push(match part {
            Part::Element { name, properties } => {
                let element = made(name)?;
                for (property, value) in properties {
                    set(&element, name, property, value)?;
                }
                element
            }
            Part::Caps(text) => filter(&caps(text)?)?,
        });
    }
    let converters: &[&str] = match wish.media {
        Media::Picture => &["videoconvert"],
        Media::Sound => &["audioconvert", "audioresample"],
    };
    for name in converters {
        chain.push(made(name)?);
    }
    let sink = made("appsink")?.downcast::<AppSink>();
    let sink =
        sink.map_err(|_| Error::config("source.pipeline", "appsink is something else here"))?;
    sink.set_caps(Some(&caps(&wish.caps())?));
    // Its own queue holds what is being taken out, no more: who counts what is dropped is the inbox.
    sink.set_max_buffers(1);
    chain.push(sink.clone().upcast());
    let refused = |e: glib::BoolError| Error::config("source.pipeline", e.message);
    for element in &chain {
        pipeline.add(element).map_err(refused)?;
    }
    for pair in chain.windows(2) {
        link(&pair[0], &pair[1])?;
    }
    // What was made is what was read, whatever a plugin calls itself.
    for element in pipeline.iterate_recurse() {
        let element = element.map_err(|e| Error::config("source.pipeline", e))?;
        if let Some(why) = foreign(&element) {
            return Err(Error::config("source.pipeline", why));
        }
    }
    Ok((pipeline, sink))
}

fn made(name: &str) -> Result<gst::Element> {
    let factory = gst::ElementFactory::find(name).ok_or_else(|| {
        let reason = format!(
            "element {name} is not installed here; `tamis doctor` lists those that are, gst-inspect-1.0 and apt find the rest"
        );
        Error::config("source.pipeline", reason)
    })?;
    let made = factory.create().build();
    made.map_err(|e| Error::config("source.pipeline", format!("element {name}: {}", e.message)))
}

fn filter(caps: &gst::Caps) -> Result<gst::Element> {
    let filter = made("capsfilter")?;
    filter.set_property("caps", caps);
    Ok(filter)
}

fn caps(text: &str) -> Result<gst::Caps> {
    text.parse().map_err(|_| {
        Error::config("source.pipeline", format!("{text:?} are no caps, as video/x-raw,width=640"))
    })
}

/// Sets a property to what a text says.
fn set(element: &gst::Element, name: &str, property: &str, text: &str) -> Result<()> {
    let no = |why: String| Error::config("source.pipeline", format!("{name}: {property} {why}"));
    let spec = element.find_property(property).ok_or_else(|| {
        let all = element.list_properties();
        let distance = |p: &&glib::ParamSpec| crate::pipeline::hint::distance(property, p.name());
        let near = all.iter().min_by_key(distance);
        let near = near.filter(|p| distance(p) <= property.len().div_ceil(2));
        let near = near.map(|p| format!("; did you mean {}?", p.name())).unwrap_or_default();
        no(format!("is not a property of it{near}"))
    })?;
    let flags = spec.flags();
    if !flags.contains(glib::ParamFlags::WRITABLE)
        || flags.contains(glib::ParamFlags::CONSTRUCT_ONLY)
    {
        return Err(no("cannot be set".into()));
    }
    let kind = spec.value_type();
    let texts = [glib::Type::STRING, gst::Structure::static_type()];
    let value = if texts.contains(&kind) && is_text(name, property) {
        match kind {
            glib::Type::STRING => Some(text.to_value()),
            _ => glib::Value::deserialize(text, kind).ok(),
        }
    } else if kind == gst::Caps::static_type() {
        glib::Value::deserialize(text, kind).ok()
    } else if let Some(good) = numbers::read(&spec, text) {
        good
    } else {
        return Err(no("is nothing that a config may set".into()));
    };
    let value = value.ok_or_else(|| {
        no(format!("does not take that value: {} is needed", numbers::needed(&spec)))
    })?;
    element.set_property_from_value(property, &value);
    Ok(())
}

/// Links two elements, or lets them be linked when the first finds out what it has.
fn link(from: &gst::Element, to: &gst::Element) -> Result<()> {
    let name = |e: &gst::Element| e.factory().map(|f| f.name()).unwrap_or_default();
    let later = from.pad_template_list().iter().any(|t| {
        t.direction() == gst::PadDirection::Src && t.presence() == gst::PadPresence::Sometimes
    });
    if from.static_pad("src").is_none() && later {
        let to = to.downgrade();
        from.connect_pad_added(move |_, pad| {
            let sink = to.upgrade().and_then(|to| to.static_pad("sink"));
            if let Some(sink) = sink.filter(|sink| !sink.is_linked()) {
                // One that does not fit is another stream of the same camera.
                let _ = pad.link(&sink);
            }
        });
        return Ok(());
    }
    from.link(to).map_err(|_| {
        let (from, to) = (name(from), name(to));
        let hint = match to.as_str() {
            "videoconvert" => "a decoder is missing, or media = \"sound\"",
            "audioconvert" => "a decoder is missing, or it is no sound",
            _ => "something is missing between them",
        };
        let reason = format!("{from} gives nothing that {to} takes: {hint}");
        Error::config("source.pipeline", reason)
    })
}
