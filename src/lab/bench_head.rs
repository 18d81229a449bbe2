//! How long a model takes for one input on this machine.

use std::time::{Duration, Instant};

use crate::error::Result;
use crate::runtime::{Engine, Model, Options, Precision, Simd, cosine, noise};

/// Turns of each engine at least, and calls of a turn that count.
const TURNS: usize = 2;
const CALLS: usize = 3;

/// A figure, and what it was taken with.
#[derive(Debug, Clone)]
pub struct HeadRow {
    /// What ran it: `tract`, or `float` and `int8` of ours.
    pub engine: &'static str,
    /// Instruction set; `None` where tract chose.
    pub simd: Option<Simd>,
    /// Shape of the input.
    pub input: Vec<usize>,
    /// Median of a call.
    pub ms: f64,
    /// Cosine of the output to that of plain tract, on the same noise.
    pub cosine: f64,
    /// The largest difference of a number to that of plain tract.
    pub difference: f32,
}

/// Measures a model with each instruction set, in floats and in int8, and in plain tract: some calls of
/// each in turn, the first of which does not count, so that what else the machine does falls on all
/// alike. Says what runs it, too.
///
/// # Errors
/// `Bundle` if the model cannot be run.
pub fn bench_head(
    name: &str,
    onnx: &[u8],
    simds: &[Simd],
    time: Duration,
) -> Result<(Engine, Vec<HeadRow>)> {
    let shape = Model::shape_of(name, onnx)?;
    let values = noise(shape.iter().product(), 1);
    let int8 = Precision::Int8 { floats: Vec::new() };
    let mut ways = vec![("tract", None, Precision::Float)];
    for &simd in simds {
        ways.push(("float", Some(simd), Precision::Float));
        ways.push(("int8", Some(simd), int8.clone()));
    }
    let mut engine = Engine::Absent;
    let mut all: Vec<(Model, HeadRow, Vec<f64>)> = Vec::new();
    let mut truth = Vec::new();
    for (what, simd, precision) in ways {
        let mut model =
            Model::from_onnx(name, onnx, &Options { precision, simd, ..Options::default() })?;
        // Once for its plan.
        let found = model.run(&shape, &values)?;
        if simd.is_none() {
            truth.clone_from(&found);
        } else {
            if what == "float" {
                engine = model.engine().clone();
            }
            if matches!(engine, Engine::Plain { .. }) {
                break;
            }
        }
        let cosine = cosine(&truth, &found);
        let pairs = truth.iter().zip(&found);
        let difference = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let row = HeadRow { engine: what, simd, input: shape.clone(), ms: 0.0, cosine, difference };
        all.push((model, row, Vec::new()));
    }
    let (begin, count) = (Instant::now(), all.len() as u32);
    let mut turns = 0;
    while turns < TURNS || begin.elapsed() < time * count {
        for (model, _, times) in &mut all {
            // Another model's weights are in the caches.
            model.run(&shape, &values)?;
            for _ in 0..CALLS {
                let before = Instant::now();
                model.run(&shape, &values)?;
                times.push(before.elapsed().as_secs_f64() * 1e3);
            }
        }
        turns += 1;
    }
    let rows = all.into_iter().map(|(_, row, mut times)| {
        times.sort_by(f64::total_cmp);
        HeadRow { ms: times[times.len() / 2], ..row }
    });
    Ok((engine, rows.collect()))
}
