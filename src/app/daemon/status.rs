//! All lines of the process, as its pages show them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use serde_json::{Value, json};

use super::metrics;
use super::mqtt::Publishing;
use super::seat::{Seat, State};
use super::uplink::Sending;
use crate::app::http::Pages;
use crate::pipeline::Flight;
use crate::pipeline::config::StreamConfig;
use crate::pipeline::store::{Status, Store};
use crate::runtime::Simd;

/// Fields of a stream that only a page draws.
const DRAWN: [&str; 3] = ["groups", "tokens", "preview"];

/// The places of all lines.
pub struct Board {
    begun: Instant,
    seats: Mutex<Vec<Arc<Seat>>>,
    /// A stream without a frame for so many milliseconds is not ready.
    silence_ms: AtomicU64,
    /// The store, and what it may take.
    store: Mutex<Option<(Arc<Store>, u64)>>,
    /// What is stored is sent.
    uplink: Mutex<Option<Arc<Sending>>>,
    /// Events and status are published.
    mqtt: Mutex<Option<Arc<Publishing>>>,
    /// Reloads taken, and refused.
    reloads: [AtomicU64; 2],
}

impl Board {
    pub fn new(silence: Duration) -> Self {
        let board = Self {
            begun: Instant::now(),
            seats: Mutex::default(),
            silence_ms: AtomicU64::new(0),
            store: Mutex::default(),
            uplink: Mutex::default(),
            mqtt: Mutex::default(),
            reloads: Default::default(),
        };
        board.set_silence(silence);
        board
    }

    pub fn set_silence(&self, silence: Duration) {
        let ms = u64::try_from(silence.as_millis()).unwrap_or(u64::MAX);
        self.silence_ms.store(ms, Ordering::Relaxed);
    }

    pub fn set_store(&self, store: Option<(Arc<Store>, u64)>) {
        *self.store.lock().unwrap_or_else(PoisonError::into_inner) = store;
    }

    /// Who sends what is stored; the one before ends with its last visitor.
    pub fn set_uplink(&self, uplink: Option<Arc<Sending>>) {
        *self.uplink.lock().unwrap_or_else(PoisonError::into_inner) = uplink;
    }

    /// Who sends what is stored.
    pub fn uplink(&self) -> Option<Arc<Sending>> {
        self.uplink.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Who publishes events and status; the one before.
    pub fn set_mqtt(&self, mqtt: Option<Arc<Publishing>>) -> Option<Arc<Publishing>> {
        std::mem::replace(&mut *self.mqtt.lock().unwrap_or_else(PoisonError::into_inner), mqtt)
    }

    /// Who publishes events and status.
    pub fn mqtt(&self) -> Option<Arc<Publishing>> {
        self.mqtt.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The status without what only a page draws, for those who pay for every byte.
    pub fn brief(&self) -> Value {
        let mut status = self.status();
        for stream in status["streams"].as_array_mut().into_iter().flatten() {
            if let Some(fields) = stream.as_object_mut() {
                fields.retain(|name, _| !DRAWN.contains(&name.as_str()));
            }
        }
        status
    }

    /// What is in the store, and what it may take.
    pub fn store(&self) -> Option<(Status, u64)> {
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner).clone();
        store.map(|(store, quota)| (store.status(), quota))
    }

    /// The place of a line: the one it had, or a new one.
    pub fn seat(&self, config: &StreamConfig, flight: &Arc<Flight>) -> Arc<Seat> {
        let mut seats = self.lock();
        let known = seats.iter().find(|s| s.name == config.name).cloned();
        let seat = known.unwrap_or_else(|| {
            let seat = Arc::new(Seat::new(&config.name, flight));
            seats.push(seat.clone());
            seat
        });
        seat.take(config);
        seat
    }

    /// Forgets the places of others.
    pub fn keep(&self, known: impl Fn(&str) -> bool) {
        self.lock().retain(|s| known(&s.name));
    }

    pub fn seats(&self) -> Vec<Arc<Seat>> {
        self.lock().clone()
    }

    /// Counts a reload that was taken or refused.
    pub fn reloaded(&self, taken: bool) {
        self.reloads[usize::from(!taken)].fetch_add(1, Ordering::Relaxed);
    }

    pub fn reloads(&self) -> [u64; 2] {
        [0, 1].map(|i| self.reloads[i].load(Ordering::Relaxed))
    }

    pub fn uptime(&self) -> Duration {
        self.begun.elapsed()
    }

    /// What the lines do, in one line.
    pub fn words(&self) -> String {
        let seats = self.seats();
        let fps: f64 = seats.iter().map(|s| s.seen().rates().0).sum();
        let silent = seats.iter().filter(|s| self.silent(s).is_some()).count();
        match silent {
            0 => format!("{} streams, {fps:.1} frames a second", seats.len()),
            _ => format!("{} streams, {silent} silent, {fps:.1} frames a second", seats.len()),
        }
    }

    /// Why a line is not ready, if it is not.
    pub fn silent(&self, seat: &Seat) -> Option<String> {
        let silence = Duration::from_millis(self.silence_ms.load(Ordering::Relaxed));
        let seen = seat.seen();
        match &seen.state {
            State::Stopped(Some(why)) | State::Restarting(why) => Some(why.clone()),
            State::Stopped(None) => None,
            // A folder is looked at, whether anything comes or not.
            State::Running if seen.folder.is_some() => {
                let folder = seen.folder.as_ref()?;
                std::fs::read_dir(folder).err().map(|e| format!("{}: {e}", folder.display()))
            }
            State::Running => {
                let since = seen.last.or(seen.since)?.elapsed();
                (since > silence).then(|| format!("no frame for {:.0} s", since.as_secs_f64()))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Seat>>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stream(&self, seat: &Seat) -> Value {
        let silent = self.silent(seat);
        let report = seat.ledger.report();
        let seen = seat.seen();
        let state = match (&seen.state, &silent) {
            (State::Stopped(_), _) => "stopped",
            (State::Restarting(_), _) => "restarting",
            (State::Running, Some(_)) => "waiting",
            (State::Running, None) => "running",
        };
        let (fps, bits_per_s) = seen.rates();
        let ms = |p| report.latency(p).as_secs_f64() * 1e3;
        let groups: Vec<Value> =
            seen.groups.iter().map(|(n, b)| json!({ "channels": n, "bits": b })).collect();
        let top: Vec<Value> =
            seen.top.iter().map(|(l, s)| json!({ "label": l, "score": s })).collect();
        let rung = seen.ladder.as_ref().map(|l| {
            json!({
                "step": l.step(), "of": l.steps() - 1, "quality": seen.quality,
                "groups": seen.groups.len(), "reason": l.why(),
            })
        });
        let tokens = seen.tokens.as_ref().map(|(grid, kept)| json!({ "grid": grid, "kept": kept }));
        json!({
            "name": seat.name, "kind": seen.kind, "state": state, "reason": silent,
            "device": (!seen.device.is_empty()).then_some(&seen.device),
            "extent": seen.extent, "received": report.received, "delivered": report.delivered,
            "dropped": report.dropped, "lost": report.lost, "in_flight": report.in_flight(),
            "unaccounted": report.unaccounted(), "restarts": seen.restarts, "fps": fps,
            "bits_per_s": bits_per_s, "latency_ms": { "p50": ms(0.5), "p99": ms(0.99) },
            "last_frame_age_s": seen.last.map(|l| l.elapsed().as_secs_f64()),
            "quality": (seen.quality > 0).then_some(seen.quality), "groups": groups,
            "rung": rung, "head": seen.head, "top": top, "tokens": tokens,
            "preview": seen.kind == Some("picture"),
        })
    }
}

fn store_json(status: &Status, quota: u64) -> Value {
    let time = |p: Option<crate::pipeline::store::Place>| {
        let utc = p?.utc?.duration_since(UNIX_EPOCH).ok()?;
        Some(utc.as_secs_f64())
    };
    let streams: serde_json::Map<String, Value> = status
        .streams
        .iter()
        .map(|(name, s)| {
            let given_up: serde_json::Map<String, Value> = s
                .given_up
                .iter()
                .map(|(reason, a)| {
                    (reason.name().into(), json!({ "packets": a.packets, "bytes": a.bytes }))
                })
                .collect();
            let stream = json!({
                "bytes": s.bytes, "segments": s.segments, "oldest_utc": time(s.oldest),
                "newest_utc": time(s.newest), "given_up": given_up, "error": s.error,
            });
            (name.clone(), stream)
        })
        .collect();
    json!({
        "bytes": status.bytes, "quota_bytes": quota, "free_bytes": status.free_bytes,
        "streams": streams,
    })
}

impl Pages for Board {
    fn health(&self) -> (bool, String) {
        (true, format!("well for {:.0} s", self.uptime().as_secs_f64()))
    }

    fn ready(&self) -> (bool, String) {
        let seats = self.seats();
        let silent: Vec<String> =
            seats.iter().filter_map(|s| Some(format!("{}: {}", s.name, self.silent(s)?))).collect();
        match silent.is_empty() {
            true => (true, format!("{} streams deliver", seats.len())),
            false => (false, silent.join("\n")),
        }
    }

    fn status(&self) -> Value {
        let streams: Vec<Value> = self.seats().iter().map(|s| self.stream(s)).collect();
        let [taken, refused] = self.reloads();
        json!({
            "version": env!("CARGO_PKG_VERSION"), "uptime_s": self.uptime().as_secs_f64(),
            "device": format!("cpu ({})", Simd::best().name()), "ready": self.ready().0,
            "reloads": { "taken": taken, "refused": refused },
            "store": self.store().map(|(s, quota)| store_json(&s, quota)),
            "uplink": self.uplink().map_or_else(|| json!({ "state": "off" }), |u| u.status()),
            "mqtt": self.mqtt().map_or_else(|| json!({ "state": "off" }), |m| m.status()),
            "streams": streams,
        })
    }

    fn metrics(&self) -> String {
        metrics::text(self)
    }

    fn preview(&self, stream: &str) -> Option<Vec<u8>> {
        self.seats().iter().find(|s| s.name == stream)?.look()
    }
}
