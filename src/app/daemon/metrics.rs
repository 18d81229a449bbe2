//! Counters in Prometheus' text format.
//!
//! Names: prometheus.io/docs/practices/naming.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use super::mqtt::Sums as Published;
use super::seat::{Seat, State};
use super::status::Board;
use super::uplink::Sums;
use crate::pipeline::Report;
use crate::pipeline::store::{Amount, Status};
use crate::runtime::Simd;

/// All counters of the process.
pub fn text(board: &Board) -> String {
    let mut out = Metrics::default();
    let version = env!("CARGO_PKG_VERSION");
    let info = [("version", version), ("device", &format!("cpu ({})", Simd::best().name()))];
    out.family("tamis_build_info", "gauge", "What runs.");
    out.row(&info, 1.0);
    out.family("tamis_uptime_seconds", "gauge", "Since the process began.");
    out.row(&[], board.uptime().as_secs_f64());
    out.family("tamis_reloads_total", "counter", "Configs read again, by what became of them.");
    for (result, count) in ["taken", "refused"].into_iter().zip(board.reloads()) {
        out.row(&[("result", result)], count as f64);
    }
    // All numbers of a line are of one moment.
    let seats: Vec<_> = board.seats().into_iter().map(|s| (s.ledger.report(), s)).collect();
    type Number = fn(&Report) -> f64;
    let counts: [(&str, &str, &str, Number); 4] = [
        ("tamis_frames_received_total", "counter", "Frames that the source gave.", |r| {
            r.received as f64
        }),
        ("tamis_frames_delivered_total", "counter", "Frames that every sink took.", |r| {
            r.delivered as f64
        }),
        ("tamis_frames_in_flight", "gauge", "Frames on their way.", |r| r.in_flight() as f64),
        ("tamis_encoded_bytes_total", "counter", "Bytes of packets delivered.", |r| {
            r.packet_bytes as f64
        }),
    ];
    for (name, kind, help, number) in counts {
        out.family(name, kind, help);
        for (report, seat) in &seats {
            out.row(&[("stream", &seat.name)], number(report));
        }
    }
    type Reasons = fn(&Report) -> &BTreeMap<&'static str, u64>;
    let reasons: [(&str, &str, Reasons); 2] = [
        ("tamis_frames_dropped_total", "Frames given up by a rule, by reason.", |r| &r.dropped),
        ("tamis_frames_lost_total", "Frames that could not be handled, by reason.", |r| &r.lost),
    ];
    for (name, help, of) in reasons {
        out.family(name, "counter", help);
        for (report, seat) in &seats {
            for (reason, count) in of(report) {
                out.row(&[("stream", &seat.name), ("reason", reason)], *count as f64);
            }
        }
    }
    out.family(
        "tamis_end_to_end_latency_seconds",
        "summary",
        "From source to sinks, newest frames.",
    );
    for (report, seat) in &seats {
        for (quantile, p) in [("0.5", 0.5), ("0.99", 0.99)] {
            let labels = [("stream", seat.name.as_str()), ("quantile", quantile)];
            out.row(&labels, report.latency(p).as_secs_f64());
        }
    }
    type OfSeat = fn(&Seat, &Board) -> Option<f64>;
    let states: [(&str, &str, &str, OfSeat); 5] = [
        ("tamis_source_state", "gauge", "1 if frames come, 0 if not.", |s, b| {
            Some(f64::from(u8::from(b.silent(s).is_none() && s.seen().state == State::Running)))
        }),
        ("tamis_line_restarts_total", "counter", "Times a line failed and began again.", |s, _| {
            Some(s.seen().restarts as f64)
        }),
        ("tamis_frames_per_second", "gauge", "Over the last ten seconds.", |s, _| {
            Some(s.seen().rates().0)
        }),
        (
            "tamis_last_frame_timestamp_seconds",
            "gauge",
            "When the last frame was delivered.",
            |s, _| {
                let age = s.seen().last?.elapsed();
                let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
                Some(now.saturating_sub(age).as_secs_f64())
            },
        ),
        (
            "tamis_ladder_step",
            "gauge",
            "How much a line gives up to keep up: 0 is nothing.",
            |s, _| Some(s.seen().ladder.as_ref()?.step() as f64),
        ),
    ];
    for (name, kind, help, number) in states {
        out.family(name, kind, help);
        for (_, seat) in &seats {
            if let Some(number) = number(seat, board) {
                out.row(&[("stream", &seat.name)], number);
            }
        }
    }
    out.family("tamis_stream_info", "gauge", "What encodes a stream.");
    for (_, seat) in &seats {
        let device = seat.seen().device.clone();
        if !device.is_empty() {
            out.row(&[("stream", &seat.name), ("device", &device)], 1.0);
        }
    }
    if let Some((status, quota)) = board.store() {
        stored(&mut out, &status, quota);
    }
    if let Some(uplink) = board.uplink() {
        sent(&mut out, &uplink.sums());
    }
    if let Some(mqtt) = board.mqtt() {
        published(&mut out, &mqtt.sums());
    }
    out.text
}

fn sent(out: &mut Metrics, sums: &Sums) {
    let rows = [
        ("tamis_upload_up", "gauge", "1 if the last batch was taken.", u64::from(sums.up)),
        ("tamis_upload_backlog_bytes", "gauge", "Bytes to be sent, about.", sums.backlog_bytes),
        ("tamis_upload_sent_bytes_total", "counter", "Bytes of batches taken.", sums.sent_bytes),
        ("tamis_upload_failures_total", "counter", "Batches that were not.", sums.failures),
        (
            "tamis_upload_passed_over_bytes_total",
            "counter",
            "Bytes given up by the store before they were sent, about.",
            sums.passed_bytes,
        ),
        (
            "tamis_upload_refused_packets_total",
            "counter",
            "Packets that the receiver will never take.",
            sums.refused_packets,
        ),
    ];
    for (name, kind, help, number) in rows {
        out.family(name, kind, help);
        out.row(&[], number as f64);
    }
    let help =
        "Bytes of what was to go first that does, as a share: less where the link is too slow.";
    out.family("tamis_upload_first_share", "gauge", help);
    out.row(&[], sums.first_share);
}

fn published(out: &mut Metrics, sums: &Published) {
    let tally = &sums.tally;
    let rows = [
        ("tamis_mqtt_up", "gauge", "1 if there is a connection to the broker.", u64::from(sums.up)),
        ("tamis_mqtt_events_total", "counter", "Events that lines made.", tally.made),
        (
            "tamis_mqtt_acknowledged_events_total",
            "counter",
            "Events that the broker has taken.",
            tally.acknowledged,
        ),
        (
            "tamis_mqtt_dropped_events_total",
            "counter",
            "Events that gave way to newer ones, or were too large.",
            tally.dropped,
        ),
        ("tamis_mqtt_queued_events", "gauge", "Events not acknowledged yet.", tally.queued),
        (
            "tamis_mqtt_reconnects_total",
            "counter",
            "Connections made after the first.",
            sums.reconnects,
        ),
        ("tamis_mqtt_failures_total", "counter", "Connections lost, or not made.", sums.failures),
    ];
    for (name, kind, help, number) in rows {
        out.family(name, kind, help);
        out.row(&[], number as f64);
    }
}

fn stored(out: &mut Metrics, status: &Status, quota: u64) {
    out.family("tamis_store_bytes", "gauge", "Bytes of all files of the store.");
    out.row(&[], status.bytes as f64);
    out.family("tamis_store_quota_bytes", "gauge", "Bytes that they may take.");
    out.row(&[], quota as f64);
    if let Some(free) = status.free_bytes {
        out.family("tamis_store_free_bytes", "gauge", "Bytes that are free on its disk.");
        out.row(&[], free as f64);
    }
    let name = "tamis_store_oldest_timestamp_seconds";
    out.family(name, "gauge", "When the oldest packet was captured.");
    for (stream, s) in &status.streams {
        let oldest = s.oldest.and_then(|p| p.utc?.duration_since(UNIX_EPOCH).ok());
        if let Some(oldest) = oldest {
            out.row(&[("stream", stream)], oldest.as_secs_f64());
        }
    }
    type Part = fn(&Amount) -> u64;
    let parts: [(&str, &str, Part); 2] = [
        ("tamis_store_given_up_packets_total", "Packets given up, or groups of them.", |a| {
            a.packets
        }),
        ("tamis_store_given_up_bytes_total", "Bytes given up.", |a| a.bytes),
    ];
    for (name, help, part) in parts {
        out.family(name, "counter", help);
        for (stream, s) in &status.streams {
            for (reason, amount) in &s.given_up {
                out.row(&[("stream", stream), ("reason", reason.name())], part(amount) as f64);
            }
        }
    }
}

/// Counters as they are written.
#[derive(Default)]
pub struct Metrics {
    pub text: String,
    name: &'static str,
}

impl Metrics {
    /// Begins a family: its name, what it is, and in words.
    pub fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        self.name = name;
        // A string takes all that is written.
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// One number. Labels are names of streams, which are checked, and words of ours.
    pub fn row(&mut self, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}=\"{v}\"")).collect();
        let labels =
            if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.text, "{}{labels} {value}", self.name);
    }
}
