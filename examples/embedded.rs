//! The encoder and nothing else: a bare RGB picture of `WIDTH HEIGHT` on standard input, a recording on standard output.
//!
//! `cargo run --profile small --no-default-features --example embedded -- 320 240 < frame.rgb > frame.tamis`
//!
//! Neither models nor files nor the command line are in it; `Encoder` starts no thread unless it is told to.

use std::io::{Error, Read, Result, Write, stdin, stdout};
use std::sync::Arc;

use tamis::bitstream::{PacketWriter, StreamHeader, pack};
use tamis::codec::{Frame, Quality, Stamp};
use tamis::runtime::{Encoder, find_bundle};

fn main() -> Result<()> {
    let mut sides = std::env::args().skip(1).map(|side| side.parse());
    let (Some(Ok(width)), Some(Ok(height))) = (sides.next(), sides.next()) else {
        return Err(Error::other("width and height are missing, as in 320 240"));
    };
    let mut samples = Vec::new();
    stdin().read_to_end(&mut samples)?;
    stdout().write_all(&encode(width, height, samples).map_err(Error::other)?)
}

fn encode(width: usize, height: usize, samples: Vec<u8>) -> tamis::Result<Vec<u8>> {
    let frame = Frame::rgb(height, width, samples)?;
    let bundle = Arc::new(find_bundle("rgb")?);
    let latent = Encoder::new(bundle.clone(), 12, Quality::DEFAULT)?.push(&frame, true)?;
    let stamp = Stamp::default();
    let mut writer = PacketWriter::new();
    let mut bytes = writer.header(&StreamHeader::new(&bundle, frame.layout, 3, &stamp));
    bytes.extend(writer.packet(&pack(&bundle, &latent, stamp)?));
    bytes.extend(writer.finish());
    Ok(bytes)
}
