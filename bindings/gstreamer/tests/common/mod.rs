//! Pipelines that run to their end, and what they said meanwhile.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

use gst::prelude::*;

/// Longest that a pipeline may take, loaded machines included.
const PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(120);

/// Folder that holds `libgsttamis.so`: the one above this test's, or `GST_TAMIS_DIR`.
pub fn plugin_dir() -> PathBuf {
    if let Some(set) = std::env::var_os("GST_TAMIS_DIR") {
        return set.into();
    }
    let test = std::env::current_exe().expect("the path of this test");
    test.ancestors().nth(2).expect("a folder above deps").to_owned()
}

/// The program `tamis`: beside the plugin, or `TAMIS`.
pub fn tamis() -> Command {
    Command::new(
        std::env::var_os("TAMIS").map_or_else(|| plugin_dir().join("tamis"), PathBuf::from),
    )
}

/// Runs a program and gives what it wrote to standard output.
pub fn output(command: &mut Command) -> Vec<u8> {
    let out = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let words = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{command:?}: {}\n{words}", out.status);
    out.stdout
}

pub fn start() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        gst::init().expect("GStreamer");
        let dir = plugin_dir();
        gst::Registry::get().scan_path(&dir);
        let found = gst::ElementFactory::find("tamisenc").is_some();
        assert!(found, "no libgsttamis.so in {}: cargo build -p gst-plugin-tamis", dir.display());
    });
}

/// A pipeline from words.
pub fn pipeline(words: &str) -> gst::Pipeline {
    start();
    let parsed = gst::parse::launch(words).unwrap_or_else(|e| panic!("{words}: {e}"));
    parsed.downcast().expect("more than one element")
}

/// What a pipeline said until its end.
#[derive(Debug, Default)]
pub struct Said {
    pub errors: Vec<String>,
    pub warnings: Vec<String>,
    /// Element messages `tamis-loss`, the last of them with the numbers.
    pub losses: Vec<gst::Structure>,
    /// Element messages `tamis-prediction`.
    pub predictions: Vec<gst::Structure>,
}

impl Said {
    pub fn assert_silent(&self) {
        let loud = !self.errors.is_empty() || !self.warnings.is_empty() || !self.losses.is_empty();
        assert!(!loud, "{self:?}");
    }
}

/// Plays until the end or an error.
pub fn play(pipeline: &gst::Pipeline) -> Said {
    let bus = pipeline.bus().expect("a bus");
    let mut said = Said::default();
    // Why it fails comes as a message.
    let _ = pipeline.set_state(gst::State::Playing);
    loop {
        let message = bus.timed_pop(PATIENCE).expect("an end in time");
        match message.view() {
            gst::MessageView::Eos(_) => break,
            gst::MessageView::Error(e) => {
                said.errors.push(e.error().message().to_owned());
                break;
            }
            gst::MessageView::Warning(w) => said.warnings.push(w.error().message().to_owned()),
            gst::MessageView::Element(e) => {
                let Some(structure) = e.structure() else { continue };
                match structure.name().as_str() {
                    "tamis-loss" => said.losses.push(structure.to_owned()),
                    "tamis-prediction" => said.predictions.push(structure.to_owned()),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    pipeline.set_state(gst::State::Null).expect("a stop");
    said
}

/// Plays what must end without a word.
pub fn play_silently(words: &str) {
    play(&pipeline(words)).assert_silent();
}

/// Counts the buffers that leave an element.
pub fn count(
    pipeline: &gst::Pipeline,
    name: &str,
) -> std::sync::Arc<std::sync::atomic::AtomicUsize> {
    let counter = std::sync::Arc::<std::sync::atomic::AtomicUsize>::default();
    let pad = pipeline.by_name(name).and_then(|e| e.static_pad("src")).expect("a src pad");
    let mine = counter.clone();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        mine.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        gst::PadProbeReturn::Ok
    });
    counter
}

/// The pictures of a folder of PPM files, in the order of their names, without their heads.
pub fn ppm_bodies(dir: &Path, len: usize) -> Vec<Vec<u8>> {
    bodies(dir, |bytes| bytes[bytes.len() - len..].to_vec())
}

/// The files of a folder, in the order of their names.
pub fn bodies(dir: &Path, body: impl Fn(Vec<u8>) -> Vec<u8>) -> Vec<Vec<u8>> {
    let files = std::fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut files: Vec<PathBuf> = files.map(|f| f.expect("a file").path()).collect();
    files.sort();
    files.iter().map(|f| body(std::fs::read(f).expect("a file that can be read"))).collect()
}

/// Peak signal to noise ratio of 8-bit samples.
///
/// Units: dB.
pub fn psnr_db(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    let sum: f64 = a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum();
    10.0 * (255.0 * 255.0 * a.len() as f64 / sum.max(1e-9)).log10()
}
