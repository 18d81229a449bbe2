//! `tamisparse` as GStreamer sees it.

use std::sync::{LazyLock, Mutex};

use gst::glib;
use gst::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::prelude::*;

use super::stream::{Found, Step, Stream};
use crate::losses::{self, Losses};
use crate::{AUTHOR, caps, lock};

/// No record is smaller.
const SMALLEST: u32 = 8;

struct State {
    stream: Stream,
    /// Caps of the packets, and what they were made of.
    caps: Option<(tamis::bitstream::StreamHeader, [usize; 2], gst::Fraction)>,
    losses: Losses,
    /// Whether the end was said to be missing.
    said: bool,
}

impl Default for State {
    fn default() -> Self {
        Self { stream: Stream::at(0), caps: None, losses: Losses::default(), said: false }
    }
}

/// The element's private part.
pub struct TamisParse {
    /// Pictures per second; 0 for the times of capture.
    framerate: Mutex<gst::Fraction>,
    state: Mutex<State>,
}

impl Default for TamisParse {
    fn default() -> Self {
        Self { framerate: Mutex::new(gst::Fraction::new(0, 1)), state: Mutex::default() }
    }
}

#[glib::object_subclass]
impl ObjectSubclass for TamisParse {
    const NAME: &'static str = "GstTamisParse";
    type Type = super::TamisParse;
    type ParentType = gst_base::BaseParse;
}

impl ObjectImpl for TamisParse {
    fn constructed(&self) {
        self.parent_constructed();
        let obj = self.obj();
        // The end is seen here however the bytes come: pushed, or pulled by the base class.
        let weak = obj.downgrade();
        obj.src_pad().add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
            let ends = info.event().is_some_and(|event| event.type_() == gst::EventType::Eos);
            if let Some(obj) = weak.upgrade().filter(|_| ends) {
                obj.imp().end();
            }
            gst::PadProbeReturn::Ok
        });
    }

    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            vec![
                gst::ParamSpecFraction::builder("framerate")
                    .nick("Frame rate")
                    .blurb(
                        "Pictures per second, for recordings without times of capture; 0/1 for \
                         the times in the recording",
                    )
                    .minimum(gst::Fraction::new(0, 1))
                    .maximum(gst::Fraction::new(i32::MAX, 1))
                    .default_value(gst::Fraction::new(0, 1))
                    .mutable_ready()
                    .build(),
                losses::property(),
            ]
        });
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        if pspec.name() == "framerate"
            && let Ok(framerate) = value.get()
        {
            *lock(&self.framerate) = framerate;
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        match pspec.name() {
            "framerate" => lock(&self.framerate).to_value(),
            _ => lock(&self.state).losses.structure("tamis-stats").to_value(),
        }
    }
}

impl GstObjectImpl for TamisParse {}

impl ElementImpl for TamisParse {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "tamis parser",
                "Codec/Parser/Video",
                "Cuts the bytes of a recording into packets of pictures, and says what is damaged",
                AUTHOR,
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> =
            LazyLock::new(|| caps::pads(&caps::recording(), &caps::packets()));
        &TEMPLATES
    }
}

impl BaseParseImpl for TamisParse {
    fn start(&self) -> Result<(), gst::ErrorMessage> {
        *lock(&self.state) = State::default();
        let obj = self.obj();
        obj.set_min_frame_size(SMALLEST);
        obj.set_syncable(true);
        // Packets have times of their own, or those of the frame rate.
        obj.set_infer_ts(false);
        obj.set_pts_interpolation(false);
        let framerate = *lock(&self.framerate);
        if framerate.numer() > 0 {
            obj.set_frame_rate(framerate, 0, 0);
        }
        Ok(())
    }

    fn handle_frame(
        &self,
        frame: gst_base::BaseParseFrame,
    ) -> Result<(gst::FlowSuccess, u32), gst::FlowError> {
        let obj = self.obj();
        let last = obj.is_draining();
        let mut told: Vec<(Losses, bool, String)> = Vec::new();
        let step = {
            let mut state = lock(&self.state);
            let State { stream, losses, .. } = &mut *state;
            let offset = frame.offset();
            if offset != stream.base() {
                stream.jump(offset);
            }
            let buffer = frame.buffer().ok_or(gst::FlowError::Error)?;
            let bytes = buffer.map_readable().map_err(|_| gst::FlowError::Error)?;
            loop {
                let (lost, reason) = match stream.step(&bytes, last) {
                    Ok(Step::Damage { bytes, reason }) => (bytes, reason),
                    step => break step,
                };
                let first = losses.is_nothing();
                losses.bytes += lost;
                told.push((losses.clone(), first, reason));
            }
        };
        for (losses, first, reason) in told {
            losses.tell(obj.upcast_ref(), first, &reason);
        }
        match step {
            Err(why) => {
                gst::element_imp_error!(self, gst::StreamError::WrongType, ("{why}"));
                Err(gst::FlowError::Error)
            }
            Ok(Step::Packet(found)) => self.packet(frame, *found),
            Ok(Step::Footer { len }) => self.footer(frame, len),
            Ok(Step::More { skip }) => {
                lock(&self.state).stream.consume(skip);
                Ok((gst::FlowSuccess::Ok, u32::try_from(skip).map_err(|_| gst::FlowError::Error)?))
            }
            // Was told above.
            Ok(Step::Damage { .. }) => Ok((gst::FlowSuccess::Ok, 0)),
        }
    }
}

impl TamisParse {
    /// Hands a packet on.
    fn packet(
        &self,
        mut frame: gst_base::BaseParseFrame,
        found: Found,
    ) -> Result<(gst::FlowSuccess, u32), gst::FlowError> {
        let obj = self.obj();
        let framerate = *lock(&self.framerate);
        let Found { len, packet, header, records, gap, skipped } = found;
        let (packets, told) = {
            let mut state = lock(&self.state);
            state.stream.consume(len);
            state.losses.skipped += skipped;
            let of = (header, packet.header.extent, framerate);
            let packets = (state.caps.as_ref() != Some(&of)).then(|| {
                let caps = caps::of(&of.0, of.1, of.2);
                state.caps = Some(of);
                caps
            });
            let losses = &mut state.losses;
            let first = losses.is_nothing();
            losses.packets += gap;
            (packets, (gap > 0).then(|| (losses.clone(), first)))
        };
        let index = packet.stamp.index;
        if let Some((losses, first)) = told {
            losses.tell(
                obj.upcast_ref(),
                first,
                &format!("{gap} packets are missing before packet {index}"),
            );
        }
        if let Some(packets) = packets {
            obj.src_pad().push_event(gst::event::Caps::new(&packets));
        }
        let (pts, duration) = times(index, packet.stamp.captured, framerate);
        let alone = packet.header.continues.is_none();
        let mark = |buffer: &mut gst::BufferRef| {
            buffer.set_pts(pts);
            buffer.set_dts(pts);
            buffer.set_duration(duration);
            match alone {
                true => buffer.unset_flags(gst::BufferFlags::DELTA_UNIT),
                false => buffer.set_flags(gst::BufferFlags::DELTA_UNIT),
            }
        };
        if let Some(buffer) = frame.buffer_mut() {
            mark(buffer);
        }
        if let Some(records) = records {
            let mut buffer = gst::Buffer::from_mut_slice(records);
            if let Some(buffer) = buffer.get_mut() {
                mark(buffer);
            }
            frame.set_output_buffer(buffer);
        }
        let len = u32::try_from(len).map_err(|_| gst::FlowError::Error)?;
        obj.finish_frame(frame, len).map(|flow| (flow, 0))
    }

    /// Hands the index on: what is written behind is whole.
    fn footer(
        &self,
        mut frame: gst_base::BaseParseFrame,
        len: usize,
    ) -> Result<(gst::FlowSuccess, u32), gst::FlowError> {
        let known = {
            let mut state = lock(&self.state);
            state.stream.consume(len);
            state.caps.is_some()
        };
        let len = u32::try_from(len).map_err(|_| gst::FlowError::Error)?;
        if !known {
            return Ok((gst::FlowSuccess::Ok, len));
        }
        if let Some(buffer) = frame.buffer_mut() {
            buffer.set_flags(gst::BufferFlags::HEADER | gst::BufferFlags::DELTA_UNIT);
        }
        // It is no picture.
        frame.set_flags(gst_base::BaseParseFrameFlags::NO_FRAME);
        self.obj().finish_frame(frame, len).map(|flow| (flow, 0))
    }

    /// Says so if the recording ends without its index.
    fn end(&self) {
        let told = {
            let mut state = lock(&self.state);
            let cut = state.stream.began() && !state.stream.is_complete();
            if !cut || std::mem::replace(&mut state.said, true) {
                return;
            }
            let first = state.losses.is_nothing();
            (state.losses.clone(), first)
        };
        let reason =
            "the recording is incomplete: it ends without an index (`tamis recover` makes one)";
        told.0.tell(self.obj().upcast_ref(), told.1, reason);
    }
}

/// When a picture is shown, and for how long.
fn times(
    index: u64,
    captured: std::time::Duration,
    framerate: gst::Fraction,
) -> (Option<gst::ClockTime>, Option<gst::ClockTime>) {
    let (rate, per) = (framerate.numer(), framerate.denom());
    match (u64::try_from(rate), u64::try_from(per)) {
        (Ok(rate @ 1..), Ok(per)) => {
            let at = |n: u64| gst::ClockTime::SECOND.mul_div_round(n.saturating_mul(per), rate);
            let (start, end) = (at(index), at(index.saturating_add(1)));
            (start, end.zip(start).and_then(|(end, start)| end.checked_sub(start)))
        }
        _ => (gst::ClockTime::try_from(captured).ok(), None),
    }
}
