//! JSON lines: one object for each prediction.

use std::io::Write;

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::pipeline::item::{Item, Parts};
use crate::pipeline::line::Sink;
use crate::runtime::{HeadCard, Prediction};

/// Labels listed for each prediction.
const TOP: usize = 5;

/// Writes one line for each prediction, flushed at once.
pub struct JsonLines<W> {
    out: W,
    head: HeadCard,
}

impl<W: Write + Send> JsonLines<W> {
    /// Writes what `head` says to `out`.
    pub fn new(out: W, head: HeadCard) -> Self {
        Self { out, head }
    }
}

impl<W: Write + Send> Sink for JsonLines<W> {
    fn needs(&self) -> Parts {
        Parts::PREDICTION
    }

    fn write(&mut self, item: &Item) -> Result<()> {
        for prediction in &item.predictions {
            let line = prediction_json(item, prediction, &self.head);
            writeln!(self.out, "{line}").map_err(|e| Error::io("JSON lines", e))?;
        }
        self.out.flush().map_err(|e| Error::io("JSON lines", e))
    }

    fn finish(&mut self) -> Result<()> {
        self.out.flush().map_err(|e| Error::io("JSON lines", e))
    }
}

/// The fields of one prediction.
pub fn prediction_json(item: &Item, prediction: &Prediction, head: &HeadCard) -> Value {
    let top: Vec<Value> = prediction
        .top
        .iter()
        .take(TOP)
        .map(|(label, score)| json!({ "label": label, "score": score }))
        .collect();
    let utc = item.stamp.utc.and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
    json!({
        "path": item.name,
        "index": item.stamp.index,
        "utc": utc.map(|d| d.as_secs_f64()),
        "label": prediction.top.first().map(|t| &t.0),
        "score": prediction.top.first().map(|t| t.1),
        "top": top,
        "tokens": prediction.tokens,
        "patches": (!prediction.patches.is_empty()).then_some(&prediction.patches),
        "ms": prediction.elapsed.as_secs_f64() * 1e3,
        "head": head.name,
        "codec": head.codec.to_string(),
    })
}
