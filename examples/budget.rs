//! One packet and several budgets: groups go from the end until it fits, and nothing is coded again.
//!
//! `cargo run --example budget`

use std::sync::Arc;

use tamis::bitstream::{StreamHeader, pack, unpack};
use tamis::codec::{Frame, Quality, Samples, Stamp};
use tamis::runtime::{Decoder, Encoder, find_bundle};

/// Peak signal-to-noise ratio in dB.
fn psnr_db(a: &Frame, b: &Frame) -> f64 {
    let (Samples::U8(x), Samples::U8(y)) = (&a.samples, &b.samples) else { return f64::NAN };
    let square = |(&p, &q): (&u8, &u8)| (f64::from(p) - f64::from(q)).powi(2);
    let mean = x.iter().zip(y).map(square).sum::<f64>() / x.len() as f64;
    10.0 * (255.0 * 255.0 / mean).log10()
}

fn main() -> tamis::Result<()> {
    let (height, width) = (256, 384);
    let value = |i: usize| {
        let (y, x, c) = (i / 3 / width, i / 3 % width, i % 3);
        let edge = if (x / 16 + y / 16) % 2 == 0 { 60.0 } else { 0.0 };
        let wave = 50.0 * (x as f32 / 11.0).sin() + 40.0 * (y as f32 / 7.0 + c as f32).cos();
        (110.0 + edge + wave).clamp(0.0, 255.0) as u8
    };
    let frame = Frame::rgb(height, width, (0..height * width * 3).map(value).collect())?;

    let bundle = Arc::new(find_bundle("rgb")?);
    let mut encoder = Encoder::new(bundle.clone(), bundle.channels(), Quality::DEFAULT)?;
    let mut decoder = Decoder::new(bundle.clone(), bundle.channels());
    let stamp = Stamp::default();
    let header = StreamHeader::new(&bundle, frame.layout, frame.channels, &stamp);
    let whole = pack(&bundle, &encoder.push(&frame, true)?, stamp)?;

    let mut last = f64::INFINITY;
    for budget in [usize::MAX, 12_000, 6_000, 2_500] {
        let mut packet = whole.clone();
        let mut groups = packet.header.lengths.len();
        // A relay or a disk does the same: it needs no codec to cut.
        while packet.bytes() > budget && groups > 1 {
            groups -= 1;
            packet.cut(groups);
        }
        let back = decoder.push(&unpack(&bundle, &header, &packet)?.latent, frame.layout)?;
        let (bytes, db, all) = (packet.bytes(), psnr_db(&frame, &back), bundle.groups.len());
        println!("{bytes:>6} bytes: {groups} of {all} groups, {db:.2} dB");
        assert!(db <= last, "more groups, better pictures");
        last = db;
    }
    Ok(())
}
