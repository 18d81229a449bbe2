//! Small pictures of what lines see, made on a thread of their own and only while somebody looks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::chore::Chore;
use super::status::Board;
use crate::app::overlay::small;
use crate::codec::{Latent, Layout};
use crate::error::{Error, Result};
use crate::pipeline::media::encode_png;
use crate::runtime::{Decoder, find_bundle};

/// From one look for new latents to the next: about how often pictures change.
const EVERY: Duration = Duration::from_millis(250);

/// Makes pictures for those who look at the pages of `board`, until it is dropped.
///
/// # Errors
/// `Io` if there is no thread for it.
pub fn previews(board: &Arc<Board>) -> Result<Chore> {
    let (board, mut decoders) = (board.clone(), BTreeMap::new());
    Chore::start("previews", EVERY, move || {
        for seat in board.seats() {
            if let Some((latent, layout, bundle)) = seat.latent() {
                // A picture that cannot be made is not there.
                seat.seen().picture = picture(&mut decoders, &latent, layout, bundle).ok();
            }
        }
    })
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
