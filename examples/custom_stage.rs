//! A stage of your own in the line: pictures that are too dark go no further, and are counted.
//! A blur gate, a crop or an overlay is written the same way: change `run`.
//!
//! `cargo run --example custom_stage`

use std::sync::{Arc, atomic::AtomicBool};
use tamis::codec::{Frame, Quality, Samples, Stamp};
use tamis::pipeline::{Item, Parts, Pipeline, Source, Stage};
use tamis::pipeline::{sinks::Container, stages};

struct TooDark(f64); // the least mean of a picture, 0 to 255

impl Stage for TooDark {
    fn name(&self) -> &str {
        "too dark"
    }
    fn needs(&self) -> Parts {
        Parts::FRAME // it reads samples
    }
    fn makes(&self) -> Parts {
        Parts::NONE // and adds nothing
    }
    fn run(&mut self, batch: &mut [Item]) -> tamis::Result<()> {
        for item in batch {
            let Some(Samples::U8(v)) = item.frame.as_ref().map(|f| &f.samples) else { continue };
            let sum: u64 = v.iter().map(|&v| u64::from(v)).sum();
            if (sum as f64) < self.0 * v.len() as f64 {
                item.drop_for("too dark"); // item.lose("stage", why) if it could not be handled
            }
        }
        Ok(())
    }
}

/// A lamp that goes on and off; a source of your own is as short.
struct Lamp(std::ops::Range<u64>);

impl Source for Lamp {
    fn makes(&self) -> Parts {
        Parts::FRAME
    }
    fn next(&mut self) -> tamis::Result<Option<Item>> {
        let Some(index) = self.0.next() else { return Ok(None) };
        let frame = Frame::rgb(64, 96, vec![if index % 2 == 0 { 180 } else { 9 }; 64 * 96 * 3])?;
        Ok(Some(Item::new(Stamp { index, ..Stamp::default() }, format!("picture {index}"), frame)))
    }
}

fn main() -> tamis::Result<()> {
    let bundle = Arc::new(tamis::runtime::find_bundle("rgb")?);
    let encode = stages::Encode::new(bundle.clone(), bundle.channels(), Quality::DEFAULT)?;
    let stages: Vec<Box<dyn Stage>> =
        vec![Box::new(TooDark(20.0)), Box::new(encode), Box::new(stages::Pack::new(bundle))];
    let sink = Container::new(std::io::sink(), "nowhere.tamis"); // any writer: a file, a socket
    let line = Pipeline::new(Box::new(Lamp(0..10)), stages, vec![Box::new(sink)], 4)?;
    let report = line.run(&AtomicBool::new(false), |_, _| ())?;
    println!("{} delivered, dropped: {:?}", report.delivered, report.dropped);
    Ok(())
}
