//! One picture to bytes and back, with the library alone.
//!
//! `cargo run --example encode_image`

use std::sync::Arc;

use tamis::bitstream::{Event, Limits, PacketReader, PacketWriter, StreamHeader, pack, unpack};
use tamis::codec::{Frame, Quality, Stamp};
use tamis::runtime::{Decoder, Encoder, find_bundle};

fn main() -> tamis::Result<()> {
    let (height, width) = (240, 320);
    let samples =
        (0..height * width).flat_map(|i| [(i % width) as u8, (i / width) as u8, 128]).collect();
    let frame = Frame::rgb(height, width, samples)?;

    let bundle = Arc::new(find_bundle("rgb")?);
    let mut encoder = Encoder::new(bundle.clone(), bundle.channels(), Quality::DEFAULT)?;
    let latent = encoder.push(&frame, true)?;
    let stamp = Stamp::default();
    let header = StreamHeader::new(&bundle, frame.layout, frame.channels, &stamp);
    let mut writer = PacketWriter::new();
    let mut bytes = writer.header(&header);
    bytes.extend(writer.packet(&pack(&bundle, &latent, stamp)?));
    bytes.extend(writer.finish());
    println!("{width}x{height}: {} bytes", bytes.len());

    let mut reader = PacketReader::new(Limits::default());
    reader.push(&bytes);
    reader.finish();
    let mut decoder = Decoder::new(bundle.clone(), bundle.channels());
    while let Some(event) = reader.next_event()? {
        if let Event::Packet(packet) = event {
            let latent = unpack(&bundle, &header, &packet)?.latent;
            let back = decoder.push(&latent, header.layout)?;
            println!("decoded {:?}", back.extent);
        }
    }
    Ok(())
}
