//! Which decoder turns the latents of a bundle into pictures or sounds.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::args::{DecoderName, Decoding};
use super::say_once;
use crate::codec::{Bundle, CodecId, Kind};
use crate::error::{Error, Result};
use crate::runtime::{DecoderSize, Neural, decoders_of, find_decoder};

/// The decoder that is used for a bundle.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// Its name in reports.
    pub name: &'static str,
    /// `None` for the linear one.
    pub neural: Option<Arc<Neural>>,
}

/// Decoders by the bundle, each opened once.
#[derive(Debug)]
pub struct Decoders {
    asked: Option<DecoderName>,
    open: Mutex<HashMap<(CodecId, Option<PathBuf>), Chosen>>,
}

impl Decoders {
    /// As it was asked for.
    pub fn new(typed: &Decoding) -> Self {
        let asked = if typed.preview { Some(DecoderName::Linear) } else { typed.decoder };
        Self { asked, open: Mutex::default() }
    }

    /// The decoder for a bundle.
    ///
    /// # Errors
    /// Those of [`choose`].
    pub fn of(&self, bundle: &Bundle) -> Result<Chosen> {
        let key = (bundle.codec_id(), bundle.folder().map(PathBuf::from));
        // Held while one is opened: files that need the same one wait for it.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(chosen) = open.get(&key) {
            return Ok(chosen.clone());
        }
        let chosen = choose(bundle, self.asked)?;
        open.insert(key, chosen.clone());
        Ok(chosen)
    }
}

/// The decoder asked for; if none is, the default one of the bundle, if it has one and this build
/// runs it, else the linear one, as always for sound that streams.
///
/// # Errors
/// `Config` if the bundle has none of the name asked for, else as [`find_decoder`].
pub fn choose(bundle: &Bundle, asked: Option<DecoderName>) -> Result<Chosen> {
    let linear = Chosen { name: "linear", neural: None };
    let size = match asked {
        _ if bundle.kind == Kind::Audio && !bundle.is_whole() => return Ok(linear),
        Some(DecoderName::Linear) => return Ok(linear),
        Some(DecoderName::Edge) => DecoderSize::Edge,
        Some(DecoderName::Default) | None => DecoderSize::Default,
    };
    if asked.is_none() && !cfg!(feature = "onnx") && decoders_of(bundle).any(|d| d == size) {
        say_once(format_args!(
            "bundle {} has a neural decoder, which this tamis was built without: it is \
             decoded with the linear one; build it with `--features onnx` for better ones",
            bundle.card.name
        ));
        return Ok(linear);
    }
    match find_decoder(bundle, size)? {
        Some(neural) => Ok(Chosen { name: size.name(), neural: Some(Arc::new(neural)) }),
        None if asked.is_none() => Ok(linear),
        None => {
            let (name, has) = (&bundle.card.name, names(bundle).join(", "));
            let reason = format!("bundle {name} has no decoder {}; it has {has}", size.name());
            Err(Error::config("--decoder", reason))
        }
    }
}

/// Names of the decoders of a bundle.
pub fn names(bundle: &Bundle) -> Vec<&'static str> {
    decoders_of(bundle).map(DecoderSize::name).chain(["linear"]).collect()
}
