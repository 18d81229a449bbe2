//! What was received, in numbers: for the status, for Prometheus, for people.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::app::daemon::metrics::Metrics;
use crate::pipeline::archive::{Archive, StreamStatus, Taken};

/// What came since the start.
#[derive(Default)]
pub struct Numbers {
    batches: AtomicU64,
    bytes: AtomicU64,
    stored: AtomicU64,
    known: AtomicU64,
    damaged: AtomicU64,
    conflicts: AtomicU64,
    refused: AtomicU64,
}

impl Numbers {
    /// Counts a batch that was taken.
    pub fn took(&self, bytes: usize, taken: &Taken) {
        let counts = [
            (&self.batches, 1),
            (&self.bytes, bytes as u64),
            (&self.stored, taken.stored),
            (&self.known, taken.known),
            (&self.damaged, taken.damaged),
            (&self.conflicts, taken.conflicts),
        ];
        for (sum, n) in counts {
            sum.fetch_add(n, Ordering::Relaxed);
        }
    }

    /// Counts a batch that was not.
    pub fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    fn rows(&self) -> [(&'static str, &'static str, u64); 7] {
        let now = |n: &AtomicU64| n.load(Ordering::Relaxed);
        [
            ("batches", "Batches taken.", now(&self.batches)),
            ("bytes", "Bytes of batches taken.", now(&self.bytes)),
            ("stored", "Packets of which something was new.", now(&self.stored)),
            ("known", "Packets that were there already.", now(&self.known)),
            ("damaged", "Places in batches that could not be read.", now(&self.damaged)),
            ("conflicts", "Packets whose index another has.", now(&self.conflicts)),
            ("refused", "Batches that were not taken.", now(&self.refused)),
        ]
    }

    /// All there is, by device and stream, and what came since the start.
    pub fn json(&self, archive: &Archive) -> Value {
        let mut devices: BTreeMap<String, serde_json::Map<String, Value>> = BTreeMap::new();
        for ((device, name), s) in archive.status() {
            devices.entry(device).or_default().insert(name, stream(&s));
        }
        let since: serde_json::Map<String, Value> =
            self.rows().iter().map(|(name, _, n)| ((*name).into(), (*n).into())).collect();
        json!({ "version": env!("CARGO_PKG_VERSION"), "devices": devices, "since_start": since })
    }

    /// Counters in Prometheus' text format.
    pub fn metrics(&self, archive: &Archive) -> String {
        let mut out = Metrics::default();
        let names = [
            "tamis_receive_batches_total",
            "tamis_receive_bytes_total",
            "tamis_receive_stored_packets_total",
            "tamis_receive_known_packets_total",
            "tamis_receive_damaged_total",
            "tamis_receive_conflicts_total",
            "tamis_receive_refused_batches_total",
        ];
        for (name, (_, help, n)) in names.into_iter().zip(self.rows()) {
            out.family(name, "counter", help);
            out.row(&[], n as f64);
        }
        type Part = fn(&StreamStatus) -> f64;
        let parts: [(&str, &str, Part); 4] = [
            ("tamis_received_bytes", "Bytes of all files.", |s| s.bytes as f64),
            ("tamis_received_packets", "Packets of which something is there.", |s| {
                s.packets as f64
            }),
            ("tamis_received_partial_packets", "Packets of which groups are missing.", |s| {
                s.partial() as f64
            }),
            ("tamis_received_last_index", "Index of the last packet.", |s| {
                s.last_index.map_or(-1.0, |i| i as f64)
            }),
        ];
        let status = archive.status();
        for (name, help, part) in parts {
            out.family(name, "gauge", help);
            for ((device, stream), s) in &status {
                out.row(&[("device", device), ("stream", stream)], part(s));
            }
        }
        out.text
    }

    /// In a line.
    pub fn words(&self, archive: &Archive) -> String {
        let status = archive.status();
        let packets: u64 = status.values().map(|s| s.packets).sum();
        let partial: u64 = status.values().map(StreamStatus::partial).sum();
        let [batches, _, stored, known, ..] = self.rows().map(|r| r.2);
        format!(
            "{batches} batches: {stored} packets with something new, {known} known; {} streams with {packets} packets, \
             {partial} not whole",
            status.len()
        )
    }
}

fn stream(s: &StreamStatus) -> Value {
    json!({
        "first_index": s.first_index, "last_index": s.last_index, "packets": s.packets,
        "whole": s.whole, "partial": s.partial(), "group_packets": s.group_packets,
        "bytes": s.bytes, "late_bytes": s.late_bytes, "segments": s.segments,
        "uncounted_segments": s.uncounted, "error": s.error,
    })
}
