//! What a neural decoder says of itself, and which bundles it fits.

use std::collections::HashMap;

use crate::codec::{Bundle, CodecId, Kind};
use crate::error::{Error, Result};

/// Cells of receptive field on each side that a decoder may ask for. More is no local repair, and
/// most of the work would be done more than once.
const MAX_REACH: usize = 64;

/// The decoders that a bundle may have beside its linear one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecoderSize {
    /// The best.
    Default,
    /// A fast one for small machines.
    Edge,
}

impl DecoderSize {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Default, Self::Edge];

    /// Its name, as reports print it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Edge => "edge",
        }
    }

    /// Its file in the bundle's folder.
    pub fn file(self) -> &'static str {
        match self {
            Self::Default => "decoder.onnx",
            Self::Edge => "decoder-edge.onnx",
        }
    }
}

/// What the output of a decoder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// What is added to the bands of the linear decoder.
    Residual,
    /// The bands themselves.
    Bands,
    /// The samples of a sound, `[1, inputs, 1, time steps]`, from its whole latent, `[1, channels, 1, cells]`.
    Samples,
}

/// The metadata of a neural decoder: the `tamis.*` properties of its ONNX file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecoderCard {
    /// Name or path it was opened by.
    pub name: String,
    /// The codec whose latents it was trained on.
    pub codec: CodecId,
    /// What it puts out.
    pub role: Role,
    /// Cells on each side that an output depends on; `None` if on the whole picture.
    pub reach: Option<usize>,
    /// Channels it reads: all of the codec's.
    pub channels: usize,
    /// What its maker calls its size.
    pub size: String,
}

impl DecoderCard {
    /// Reads the `tamis.*` properties of an ONNX file.
    ///
    /// # Errors
    /// `Bundle`, naming the property that is missing or wrong.
    pub fn from_properties(name: &str, p: &HashMap<String, String>) -> Result<Self> {
        let text = |key: &str| {
            let key = format!("tamis.{key}");
            p.get(&key).map(|v| v.trim()).ok_or_else(|| {
                Error::bundle(name, format!("has no property {key}; is it a decoder for tamis?"))
            })
        };
        let wrong = |key: &str, value: &str, needed: &str| {
            Error::bundle(name, format!("property tamis.{key} is {value:?}; needed is {needed}"))
        };
        let (codec, role, channels) = (text("decoder")?, text("role")?, text("channels")?);
        let role = match role {
            "residual" => Role::Residual,
            "bands" => Role::Bands,
            "samples" => Role::Samples,
            other => return Err(wrong("role", other, "residual, bands or samples")),
        };
        let reach = match p.get("tamis.reach").map(|v| v.trim()) {
            None => None,
            Some(text) => match text.parse() {
                Ok(reach) if reach <= MAX_REACH => Some(reach),
                _ => {
                    let needed = format!(
                        "a number of cells up to {MAX_REACH}, or no such property for a decoder \
                         that needs the whole picture"
                    );
                    return Err(wrong("reach", text, &needed));
                }
            },
        };
        Ok(Self {
            name: name.into(),
            codec: codec.parse().map_err(|e| Error::bundle(name, e))?,
            role,
            reach,
            channels: channels.parse().map_err(|_| wrong("channels", channels, "a number"))?,
            size: p.get("tamis.size").map_or_else(|| "default".into(), |s| s.trim().into()),
        })
    }

    /// Refuses a bundle that it was not trained for.
    ///
    /// # Errors
    /// `Bundle`, naming both codecs, or what else does not agree.
    pub fn check(&self, bundle: &Bundle) -> Result<()> {
        let (own, other) = (self.codec, bundle.codec_id());
        let reason = if own != other {
            format!(
                "is a decoder for codec {own}, and bundle {:?} is codec {other}; decode with the \
                 linear decoder (--preview), or make the decoder for this codec",
                bundle.card.name
            )
        } else if (self.role == Role::Samples) != (bundle.kind == Kind::Audio) {
            let kind =
                if bundle.kind == Kind::Audio { "sound, which needs samples" } else { "pictures" };
            format!("has a tamis.role that is not for {kind}; use --preview")
        } else if bundle.kind == Kind::Audio && !bundle.is_whole() {
            "is a decoder for sound, and its codec streams; use --preview".into()
        } else if self.channels != bundle.channels() {
            format!(
                "reads {} channels, and codec {own} has {}; it must read all of them",
                self.channels,
                bundle.channels()
            )
        } else {
            return Ok(());
        };
        Err(Error::bundle(&self.name, reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(change: &[(&str, &str)]) -> Result<DecoderCard> {
        let mut p: HashMap<String, String> = [
            ("tamis.decoder", "0123456789abcdef"),
            ("tamis.role", "residual"),
            ("tamis.reach", "7"),
            ("tamis.channels", "48"),
            ("tamis.size", "edge"),
        ]
        .map(|(k, v)| (k.into(), v.into()))
        .into();
        for (key, value) in change {
            match *value {
                "" => p.remove(*key),
                value => p.insert((*key).into(), value.into()),
            };
        }
        DecoderCard::from_properties("x.onnx", &p)
    }

    #[test]
    fn properties_are_read_and_wrong_ones_named() {
        let card = read(&[]).expect("good");
        assert_eq!((card.role, card.reach, card.channels), (Role::Residual, Some(7), 48));
        assert_eq!(card.size, "edge");
        assert_eq!(read(&[("tamis.reach", "")]).expect("good").reach, None);
        for (key, value) in [
            ("tamis.decoder", ""),
            ("tamis.decoder", "0123"),
            ("tamis.role", ""),
            ("tamis.role", "pixels"),
            ("tamis.reach", "-1"),
            ("tamis.reach", "65"),
            ("tamis.channels", "many"),
        ] {
            let error = read(&[(key, value)]).expect_err(key).to_string();
            assert!(error.starts_with("x.onnx: "), "{error}");
        }
    }
}
