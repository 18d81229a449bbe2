//! A picture to a latent, and a model on the latent: nothing is decoded.
//!
//! `cargo run --example classify_latents`

use std::sync::Arc;

use tamis::codec::{Frame, Quality};
use tamis::runtime::{Encoder, find_codec, find_head};

fn main() -> tamis::Result<()> {
    let (height, width) = (288, 384);
    let samples = (0..height * width).flat_map(|i| [(i % 251) as u8, 90, 60]).collect();
    let frame = Frame::rgb(height, width, samples)?;

    let mut head = find_head("waste")?;
    let bundle = Arc::new(find_codec(head.card().codec, &head.card().bundle)?);
    // The model reads any prefix: here the 12 most important of 48 channels.
    let mut encoder = Encoder::new(bundle.clone(), 12, Quality::DEFAULT)?;
    let latent = encoder.push(&frame, true)?;
    for (label, score) in head.run(&bundle, &latent)?.top {
        println!("{label:<12} {:.1} %", score * 100.0);
    }
    Ok(())
}
