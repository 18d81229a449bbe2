//! A stage of your own in the line (`cargo run --example custom_stage`): pictures whose middle row is dark go no further.
//! A blur gate reads pixels the same way; a crop puts another `Frame` into `item.frame`.

use std::sync::{Arc, atomic::AtomicBool};
use tamis::codec::{Frame, Quality, Stamp};
use tamis::pipeline::{Item, Parts, Pipeline, Source, Stage, sinks::Container, stages};

struct Light(f32); // the least mean of green in the middle row, -0.5 to 0.5

impl Stage for Light {
    fn name(&self) -> &str {
        "light" // in reports of time taken
    }
    fn needs(&self) -> Parts {
        Parts::FRAME // it reads samples
    }
    fn makes(&self) -> Parts {
        Parts::NONE // and adds no part
    }
    fn run(&mut self, batch: &mut [Item]) -> tamis::Result<()> {
        for item in batch {
            let Some(frame) = &item.frame else { continue };
            let [height, width] = frame.extent[..] else { continue }; // a sound has one side
            let green = |y: usize, x: usize| frame.value((y * width + x) * frame.channels + 1);
            let sum: f32 = (0..width).map(|x| green(height / 2, x)).sum();
            if sum / (width as f32) < self.0 {
                item.drop_for("too dark"); // or `item.lose("kind", why)` if it failed
            }
        }
        Ok(())
    }
}

struct Lamp(std::ops::Range<u64>); // goes on and off; a source of your own is as short

impl Source for Lamp {
    fn makes(&self) -> Parts {
        Parts::FRAME
    }
    fn next(&mut self) -> tamis::Result<Option<Item>> {
        let Some(index) = self.0.next() else { return Ok(None) };
        let light = |i: usize| if index % 2 == 0 { (i % 251) as u8 } else { 9 };
        let frame = Frame::rgb(64, 96, (0..64 * 96 * 3).map(light).collect())?; // height, width
        Ok(Some(Item::new(Stamp { index, ..Stamp::default() }, format!("picture {index}"), frame)))
    }
}

fn main() -> tamis::Result<()> {
    let bundle = Arc::new(tamis::runtime::find_bundle("rgb")?);
    let encode = stages::Encode::new(bundle.clone(), bundle.channels(), Quality::DEFAULT)?;
    let stages: Vec<Box<dyn Stage>> =
        vec![Box::new(Light(-0.4)), Box::new(encode), Box::new(stages::Pack::new(bundle))];
    let sink = Container::new(std::io::sink(), "nowhere.tamis"); // any writer: a file, a socket
    let line = Pipeline::new(Box::new(Lamp(0..10)), stages, vec![Box::new(sink)], 4)?;
    let report = line.run(&AtomicBool::new(false), |_, _| ())?; // called with each item that is done
    println!("{} delivered, dropped: {:?}", report.delivered, report.dropped);
    assert_eq!(report.dropped["too dark"], 5);
    Ok(())
}
