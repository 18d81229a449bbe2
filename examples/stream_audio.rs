//! A sound as it comes, chunk by chunk, to packets and back: how it is cut changes nothing.
//!
//! `cargo run --example stream_audio`

use std::sync::Arc;

use tamis::bitstream::{StreamHeader, pack, unpack};
use tamis::codec::{Bundle, Frame, Layout, Quality, Samples, Stamp};
use tamis::runtime::{Decoder, Encoder, find_bundle};

const RATE: u32 = 44_100;

fn chunk(samples: &[i16]) -> tamis::Result<Frame> {
    let layout = Layout::Audio { rate: RATE };
    Frame::new(layout, 1, vec![samples.len()], Samples::I16(samples.to_vec()))
}

/// Sends a sound in chunks of so many samples; gives the bytes sent and what is heard.
fn send(bundle: &Arc<Bundle>, sound: &[i16], steps: usize) -> tamis::Result<(usize, Vec<f32>)> {
    let mut encoder = Encoder::new(bundle.clone(), bundle.channels(), Quality::DEFAULT)?;
    let mut decoder = Decoder::new(bundle.clone(), bundle.channels());
    let (mut bytes, mut heard) = (0, Vec::new());
    let count = sound.len().div_ceil(steps);
    for (index, samples) in sound.chunks(steps).enumerate() {
        let frame = chunk(samples)?;
        // The first chunks may give no cell yet: what is not complete waits for the next.
        let latent = encoder.push(&frame, index + 1 == count)?;
        let stamp = Stamp { index: index as u64, ..Stamp::default() };
        let header = StreamHeader::new(bundle, frame.layout, frame.channels, &stamp);
        let packet = pack(bundle, &latent, stamp)?;
        bytes += packet.bytes();
        let latent = unpack(bundle, &header, &packet)?.latent;
        if let Samples::F32(samples) = decoder.push(&latent, frame.layout)?.samples {
            heard.extend(samples);
        }
    }
    Ok((bytes, heard))
}

fn main() -> tamis::Result<()> {
    let bundle = Arc::new(find_bundle("mono")?);
    let tone =
        |i: usize| ((i as f32 * 0.05).sin() * 9000.0 + (i as f32 * 0.31).sin() * 3000.0) as i16;
    let sound: Vec<i16> = (0..RATE as usize).map(tone).collect();
    let (_, whole) = send(&bundle, &sound, sound.len())?;
    for steps in [4410, 1000, 333] {
        let (bytes, heard) = send(&bundle, &sound, steps)?;
        println!("chunks of {steps}: {bytes} bytes for a second, {} samples back", heard.len());
        assert!(heard == whole, "how a sound is cut must not be heard");
    }
    Ok(())
}
