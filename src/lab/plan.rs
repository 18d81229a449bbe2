//! `plan`: what each way to run a line costs on samples of its own: bytes, time, fidelity.

use std::sync::Arc;
use std::time::Instant;

use super::metrics::{audio, image};
use crate::bitstream::{Coder, StreamHeader};
use crate::codec::{Bundle, Frame, Layout, Quality, Stamp};
use crate::error::{Error, Result};
use crate::pipeline::stages::Pack;
use crate::pipeline::{Item, Stage};
use crate::runtime::{Decoder, Encoder};

/// Qualities that are tried.
const QUALITIES: [u8; 7] = [90, 75, 60, 45, 30, 15, 1];

/// One way to code, measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Way {
    /// Rate control.
    pub quality: Quality,
    /// Groups kept.
    pub groups: usize,
    /// Bytes of a packet, the mean.
    pub bytes: f64,
    /// Milliseconds to encode and pack a frame on one thread, the mean.
    pub ms: f64,
    /// Fidelity of what the linear decoder gives back: PSNR of pictures, SNR of sounds.
    pub db: f64,
    /// Whether nothing else is as faithful for as few bytes.
    pub on_hull: bool,
}

/// Measures a bundle on the frames of one stream, in their order; `told` is called after each way with how many are done
/// and how many there are.
///
/// # Errors
/// `Shape` if a frame does not fit the bundle, `Input` if there is none.
pub fn plan(
    bundle: &Arc<Bundle>,
    frames: &[Frame],
    coder: Coder,
    keys: u64,
    asked: Option<Quality>,
    mut told: impl FnMut(usize, usize),
) -> Result<Vec<Way>> {
    if frames.is_empty() {
        return Err(Error::input("samples", "hold no frame that could be measured"));
    }
    let all = bundle.groups.len();
    let mut groups: Vec<usize> = [all, all / 2, all / 4].into_iter().filter(|&g| g > 0).collect();
    groups.dedup();
    let mut qualities: Vec<Quality> =
        QUALITIES.into_iter().filter_map(|q| Quality::new(q).ok()).collect();
    qualities.extend(asked.filter(|q| !qualities.contains(q)));
    let steps = groups.len() * qualities.len();
    let mut ways = Vec::new();
    for &groups in &groups {
        for &quality in &qualities {
            ways.push(way(bundle, frames, coder, keys, quality, groups)?);
            told(ways.len(), steps);
        }
    }
    mark_hull(&mut ways);
    Ok(ways)
}

fn way(
    bundle: &Arc<Bundle>,
    frames: &[Frame],
    coder: Coder,
    keys: u64,
    quality: Quality,
    groups: usize,
) -> Result<Way> {
    let channels = bundle.groups[groups - 1];
    let mut encoder = Encoder::new(bundle.clone(), channels, quality)?;
    let mut pack = Pack::new(bundle.clone()).coder(coder).keys(keys);
    let mut decoder = Decoder::new(bundle.clone(), channels);
    let (mut bytes, mut seconds, mut back) = (0, 0.0, Vec::new());
    for (index, frame) in frames.iter().enumerate() {
        let begin = Instant::now();
        let latent = encoder.push(frame, index + 1 == frames.len())?;
        let stamp = Stamp { index: index as u64, ..Stamp::default() };
        let header = StreamHeader::new(bundle, frame.layout, frame.channels, &stamp);
        let item = Item { stamp, header: Some(header), latent: Some(latent), ..Item::default() };
        let mut batch = [item];
        pack.run(&mut batch)?;
        seconds += begin.elapsed().as_secs_f64();
        let [item] = batch;
        bytes += item.packet.as_ref().map_or(0, crate::bitstream::Packet::bytes);
        if let Some(latent) = &item.latent {
            back.push(decoder.push(latent, frame.layout)?);
        }
    }
    let count = frames.len() as f64;
    let (bytes, ms) = (bytes as f64 / count, 1e3 * seconds / count);
    Ok(Way { quality, groups, bytes, ms, db: db(frames, back)?, on_hull: false })
}

/// The mean over pictures; over the whole of a sound.
fn db(frames: &[Frame], back: Vec<Frame>) -> Result<f64> {
    if let Layout::Audio { rate } = frames[0].layout {
        return audio::snr_db(&joined(rate, frames)?, &joined(rate, &back)?);
    }
    let each = frames.iter().zip(&back).map(|(a, b)| image::psnr_db(a, b));
    Ok(each.sum::<Result<f64>>()? / frames.len() as f64)
}

/// The blocks of a sound as one.
fn joined(rate: u32, blocks: &[Frame]) -> Result<Frame> {
    let values = blocks.iter().flat_map(|f| (0..f.samples.len()).map(|i| 2.0 * f.value(i)));
    Frame::audio(rate, blocks.first().map_or(1, |f| f.channels), values.collect())
}

/// Marks the ways that no mixture of two others beats.
fn mark_hull(ways: &mut [Way]) {
    let mut order: Vec<usize> = (0..ways.len()).collect();
    order.sort_by(|&a, &b| {
        ways[a].bytes.total_cmp(&ways[b].bytes).then(ways[b].db.total_cmp(&ways[a].db))
    });
    let mut hull: Vec<usize> = Vec::new();
    for i in order {
        if hull.last().is_some_and(|&h| ways[h].db >= ways[i].db) {
            continue;
        }
        let below = |a: usize, b: usize, c: usize| {
            let slope = |p: usize, q: usize| {
                (ways[q].db - ways[p].db) / (ways[q].bytes - ways[p].bytes).max(1e-9)
            };
            slope(a, b) <= slope(a, c)
        };
        while hull.len() > 1 && below(hull[hull.len() - 2], hull[hull.len() - 1], i) {
            hull.pop();
        }
        hull.push(i);
    }
    hull.into_iter().for_each(|i| ways[i].on_hull = true);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_no_mixture_beats_is_on_the_hull() {
        let way = |bytes, db| Way {
            quality: Quality::DEFAULT,
            groups: 1,
            bytes,
            ms: 0.0,
            db,
            on_hull: false,
        };
        let mut ways = [
            way(100.0, 20.0),
            way(200.0, 30.0),
            way(200.0, 25.0),
            way(300.0, 31.0),
            way(400.0, 36.0),
            way(500.0, 35.0),
        ];
        mark_hull(&mut ways);
        assert_eq!(ways.map(|w| w.on_hull), [true, true, false, false, true, false]);
    }
}
