//! `tamis info`: what is in a `.tamis` file, group by group and over time.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use serde_json::json;

use super::args::Info as Typed;
use super::{Outcome, decoders, print_line, say};
use crate::bitstream::{Coder, Event, Indexes, Limits, PacketReader, StreamHeader};
use crate::codec::{Layout, Quality};
use crate::error::{Error, Result};
use crate::pipeline::sources::{find_files, recording};
use crate::runtime::find_codec;

/// What was counted.
#[derive(Default)]
struct Counts {
    headers: Vec<StreamHeader>,
    /// The same, to look them up.
    known: HashSet<StreamHeader>,
    packets: u64,
    /// Places of each stream that has a header.
    indexes: BTreeMap<u32, Indexes>,
    bytes: u64,
    group_bytes: Vec<u64>,
    extent: Option<[usize; 2]>,
    /// Time steps of all sound packets.
    steps: u64,
    /// Pixels, or time steps times channels, of all packets.
    positions: u64,
    /// Packets of the fast coder, and packets of which groups continue an earlier one.
    fast: u64,
    continued: u64,
    /// Seconds of a window, and the windows by number.
    windows: Option<(f64, BTreeMap<u64, Window>)>,
    qualities: Option<(Quality, Quality)>,
    lost: u64,
    damage: Vec<String>,
}

/// What was captured within some seconds.
#[derive(Default)]
struct Window {
    packets: u64,
    bytes: u64,
}

/// Characters of the longest bar.
const BAR: f64 = 40.0;

pub fn run(typed: &Typed) -> anyhow::Result<Outcome> {
    let found = find_files(&typed.inputs)?;
    if found.is_empty() {
        return Err(Error::input(typed.inputs[0].display(), "holds no file").into());
    }
    let mut outcome = Outcome::Done;
    for path in found.iter().map(|f| &f.path) {
        let name = path.display().to_string();
        match count(path, &name, typed.over_time) {
            Ok((counts, complete)) => {
                if found.len() > 1 && !typed.json {
                    print_line(format!("{name}:"))?;
                }
                counts.print(typed.json, &name, !complete)?;
                if counts.lost > 0 {
                    outcome = Outcome::WithLosses;
                }
            }
            Err(e) if found.len() == 1 => return Err(e.into()),
            Err(e) => {
                outcome = Outcome::WithLosses;
                say(&e);
                if typed.json {
                    print_line(json!({ "path": name, "error": e.to_string() }))?;
                }
            }
        }
    }
    Ok(outcome)
}

/// Counts what is in a file, and says whether an index closes it.
fn count(path: &Path, name: &str, window: Option<f64>) -> Result<(Counts, bool)> {
    let input: Box<dyn Read + Send> = if path.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(path).map_err(|e| Error::io(path, e))?)
    };
    let mut input = recording(input).map_err(|e| Error::io(path, e))?;
    let mut reader = PacketReader::new(Limits::default());
    let windows = window.map(|seconds| (seconds, BTreeMap::new()));
    let mut counts = Counts { windows, ..Counts::default() };
    let mut chunk = vec![0; 1 << 16];
    loop {
        let n = match input.read(&mut chunk) {
            Ok(n) => n,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            // What was read is told with what ended it.
            Err(e) if e.kind() == ErrorKind::InvalidData && counts.packets > 0 => {
                counts.lost += 1;
                counts.damage.push(e.to_string());
                return Ok((counts, false));
            }
            Err(e) if e.kind() == ErrorKind::InvalidData => return Err(Error::input(name, e)),
            Err(e) => return Err(Error::io(path, e)),
        };
        counts.bytes += n as u64;
        if n == 0 {
            reader.finish()
        } else {
            reader.push(&chunk[..n])
        }
        while let Some(event) = reader.next_event().map_err(|e| Error::input(name, e))? {
            counts.add(event);
        }
        if n == 0 {
            return Ok((counts, reader.is_complete()));
        }
    }
}

impl Counts {
    fn add(&mut self, event: Event) {
        match event {
            Event::Header(header) => {
                self.indexes.entry(header.stream).or_default();
                if self.known.insert(header.clone()) {
                    self.headers.push(header);
                }
            }
            Event::Packet(packet) => {
                let h = &packet.header;
                self.packets += 1;
                if let Some(indexes) = self.indexes.get_mut(&packet.stamp.stream) {
                    indexes.insert(packet.stamp.index);
                }
                self.extent.get_or_insert(h.extent);
                self.steps = self.steps.saturating_add(h.extent[1] as u64);
                let positions = h.extent[0] as u64 * h.extent[1] as u64;
                self.positions = self.positions.saturating_add(positions);
                self.fast += u64::from(h.coder == Coder::Fast);
                self.continued += u64::from(h.continues.is_some());
                if let Some((seconds, windows)) = &mut self.windows {
                    let at = packet.stamp.captured.as_secs_f64() / *seconds;
                    let window = windows.entry(at as u64).or_default();
                    window.packets += 1;
                    window.bytes += packet.bytes() as u64;
                }
                let (low, high) = self.qualities.unwrap_or((h.quality, h.quality));
                self.qualities = Some((low.min(h.quality), high.max(h.quality)));
                let end = h.first_group + h.lengths.len();
                self.group_bytes.resize(self.group_bytes.len().max(end), 0);
                for (sum, &len) in self.group_bytes[h.first_group..].iter_mut().zip(&h.lengths) {
                    *sum += len as u64;
                }
            }
            Event::Footer(_) => {}
            Event::Damage { offset, bytes, reason, .. } => {
                self.lost += 1;
                self.damage.push(format!("{bytes} bytes from byte {offset}: {reason}"));
            }
        }
    }

    fn print(&self, as_json: bool, name: &str, incomplete: bool) -> Result<()> {
        let first = self.headers.first();
        let missing = self.indexes.values().fold(0u64, |n, i| n.saturating_add(i.missing()));
        let ends = first.map(|h| h.groups.clone()).unwrap_or_default();
        let rate = first.map_or(0, StreamHeader::rate);
        let extent = match self.extent {
            Some([channels, _]) if rate > 0 => vec![channels as u64, self.steps],
            Some([h, w]) => vec![h as u64, w as u64],
            None => Vec::new(),
        };
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let groups: Vec<(usize, u64)> =
            ends.iter().zip(starts).zip(&self.group_bytes).map(|((e, s), &b)| (e - s, b)).collect();
        let bits = |bytes: u64| 8.0 * bytes as f64 / self.positions.max(1) as f64;
        let coder = match self.fast {
            0 => "dense",
            n if n == self.packets => "fast",
            _ => "both",
        };
        let decoders = first.filter(|h| h.rate() == 0).and_then(|h| {
            // Of a codec that is not here nobody knows.
            Some(decoders::names(&find_codec(h.codec, &h.bundle).ok()?))
        });
        let bands = first.and_then(|h| match h.layout {
            Layout::Bands { depth } => Some((h, depth)),
            _ => None,
        });
        if as_json {
            let list =
                groups.iter().map(|&(c, b)| json!({ "channels": c, "bytes": b, "bpp": bits(b) }));
            let list: Vec<_> = list.collect();
            let over_time = self.windows.as_ref().map(|(seconds, windows)| {
                let one = |(&n, w): (&u64, &Window)| {
                    json!({
                        "from": n as f64 * seconds, "packets": w.packets, "bytes": w.bytes,
                        "kbit_per_s": kilobits(w.bytes, *seconds),
                    })
                };
                windows.iter().map(one).collect::<Vec<_>>()
            });
            let mut devices: Vec<&str> = self.headers.iter().map(|h| &h.device[..]).collect();
            devices.sort_unstable();
            devices.dedup();
            let mut fields = json!({
                "path": name,
                "codec": first.map(|h| h.codec.to_string()),
                "bundle": first.map(|h| &h.bundle),
                "streams": self.headers.len(),
                "rate": rate,
                "extent": extent,
                "packets": self.packets,
                "bytes": self.bytes,
                "bpp": bits(self.bytes),
                "coder": coder,
                "continued": self.continued,
                "devices": devices,
                "decoders": decoders,
                "quality": self.qualities.map(|(a, b)| [a.value(), b.value()]),
                "groups": list,
                "missing": missing,
                "incomplete": incomplete,
                "lost": self.lost,
            });
            if let Some((h, depth)) = bands {
                fields["bands"] = h.channels.into();
                fields["samples"] = depth.words().into();
                fields["bits_per_sample"] = json!(bits(self.bytes) / h.channels as f64);
            }
            if let Some(windows) = over_time {
                fields["over_time"] = windows.into();
            }
            return print_line(fields);
        }
        for h in &self.headers {
            let layout = match h.layout {
                Layout::Gray => "gray pictures".to_owned(),
                Layout::Rgb => "RGB pictures".to_owned(),
                Layout::Bands { depth } => {
                    format!("pictures of {} bands, {}", h.channels, depth.words())
                }
                Layout::Audio { rate } => format!("sound, {} channels, {rate} Hz", h.channels),
            };
            let (stream, bundle, codec, device) = (h.stream, &h.bundle, h.codec, &h.device);
            print_line(format!(
                "stream {stream}: {layout}, {bundle} (codec {codec}), by {device}"
            ))?;
        }
        let (packets, bytes) = (self.packets, self.bytes);
        let size: Vec<String> = extent.iter().map(u64::to_string).collect();
        let per = if rate > 0 { "bits per value" } else { "bits per pixel" };
        print_line(format!(
            "{packets} packets, {bytes} bytes, extent {}, {:.3} {per}",
            size.join(" x "),
            bits(bytes)
        ))?;
        if let Some((h, _)) = bands {
            let each = bits(bytes) / h.channels as f64;
            print_line(format!("{each:.4} bits per sample of {} bands", h.channels))?;
        }
        let (alone, continued) = (packets - self.continued, self.continued);
        print_line(format!(
            "coder {coder}; {alone} packets stand alone, {continued} continue an earlier one"
        ))?;
        if let Some(decoders) = decoders {
            print_line(format!("decoders here: {}", decoders.join(", ")))?;
        }
        if let Some((low, high)) = self.qualities {
            print_line(format!("quality {} to {}", low.value(), high.value()))?;
        }
        let mut first = 0;
        for (g, (channels, bytes)) in groups.iter().enumerate() {
            let share = 100.0 * *bytes as f64 / self.bytes.max(1) as f64;
            let last = first + channels;
            print_line(format!(
                "group {}: channels {first:>3}..{last:<3} {bytes:>10} bytes {share:>5.1} % {:>7.3} {per}",
                g + 1,
                bits(*bytes)
            ))?;
            first = last;
        }
        if let Some((seconds, windows)) = &self.windows {
            print_line(format!("every {seconds} s of capture time:"))?;
            let most = windows.values().map(|w| w.bytes).max().unwrap_or(1) as f64;
            for (n, w) in windows {
                let bar = "#".repeat((BAR * w.bytes as f64 / most).ceil() as usize);
                let (from, rate) = (*n as f64 * seconds, kilobits(w.bytes, *seconds));
                let packets = w.packets;
                print_line(format!("{from:>8.2} s {packets:>6} packets {rate:>9.1} kbit/s {bar}"))?;
            }
        }
        if missing > 0 {
            print_line(format!("missing: {missing} packets between others"))?;
        }
        for damage in &self.damage {
            print_line(format!("damaged: {damage}"))?;
        }
        if incomplete {
            print_line("incomplete: it ends without an index")?;
        }
        Ok(())
    }
}

/// Kilobits a second.
fn kilobits(bytes: u64, seconds: f64) -> f64 {
    bytes as f64 / (125.0 * seconds)
}
