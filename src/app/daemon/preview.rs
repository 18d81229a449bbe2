//! Small pictures of what lines see, made on a thread of their own and only while somebody looks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::status::Board;
use crate::app::overlay::small;
use crate::codec::{Latent, Layout};
use crate::error::{Error, Result};
use crate::pipeline::media::encode_png;
use crate::runtime::{Decoder, find_bundle};

/// From one look for new latents to the next: about how often pictures change.
const EVERY: Duration = Duration::from_millis(250);

/// Makes pictures until it is dropped.
#[derive(Debug)]
pub struct Previews {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Previews {
    /// Begins to make pictures for those who look at the pages of `board`.
    pub fn start(board: &Arc<Board>) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (board, stopped) = (board.clone(), stop.clone());
        let run = move || {
            let mut decoders = BTreeMap::new();
            while !stopped.load(Ordering::Relaxed) {
                for seat in board.seats() {
                    if let Some((latent, layout, bundle)) = seat.latent() {
                        // A picture that cannot be made is not there.
                        seat.seen().picture = picture(&mut decoders, &latent, layout, bundle).ok();
                    }
                }
                std::thread::sleep(EVERY);
            }
        };
        let thread = std::thread::Builder::new().name("previews".into()).spawn(run);
        let thread = thread.map_err(|e| Error::io("thread of previews", e))?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Previews {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there has cost pictures, which are gone anyway.
            let _ = thread.join();
        }
    }
}

fn picture(
    decoders: &mut BTreeMap<String, Decoder>,
    latent: &Latent,
    layout: Layout,
    bundle: String,
) -> Result<Vec<u8>> {
    if !decoders.contains_key(&bundle) {
        let found = Arc::new(find_bundle(&bundle)?);
        let channels = found.channels();
        decoders.insert(bundle.clone(), Decoder::new(found, channels));
    }
    let decoder = decoders.get_mut(&bundle).ok_or_else(|| Error::input(&bundle, "is gone"))?;
    encode_png(&small(&decoder.push(latent, layout)?)?)
}
