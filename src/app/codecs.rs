//! Which bundle codes what.

use std::sync::{Arc, OnceLock};

use crate::codec::{Bundle, Layout};
use crate::error::{Error, Result};
use crate::pipeline::stages::check_fit;
use crate::runtime::find_bundle;

/// The bundle that was asked for, or the shipped ones, each opened once.
#[derive(Debug, Default)]
pub struct Codecs {
    asked: Option<Arc<Bundle>>,
    shipped: [OnceLock<Arc<Bundle>>; 3],
}

impl Codecs {
    /// Opens the bundle that was asked for.
    ///
    /// # Errors
    /// `Config` if there is none of this name.
    pub fn new(asked: Option<&str>) -> Result<Self> {
        let asked = asked.map(self::asked).transpose()?.map(Arc::new);
        Ok(Self { asked, ..Self::default() })
    }

    /// Names the numbers and tables of what was asked for, else of all that may be chosen.
    ///
    /// # Errors
    /// As [`Self::fit`].
    pub fn ids(&self) -> Result<String> {
        let ids = |b: &Bundle| format!("{} with tables {}", b.codec_id(), b.tables_id());
        let Some(asked) = &self.asked else {
            let all = ["rgb", "stereo", "mono"].map(|name| find_bundle(name).map(|b| ids(&b)));
            return Ok(all.into_iter().collect::<Result<Vec<_>>>()?.join(", "));
        };
        Ok(ids(asked))
    }

    /// The bundle asked for, else the shipped one that fits: `rgb` for pictures, `stereo` for
    /// pairs of sound channels, `mono` for any other number. None fits bands.
    ///
    /// # Errors
    /// `Config` if the frames are of bands and no bundle was asked for that codes them;
    /// `Bundle` if a shipped bundle is shadowed by a damaged one.
    pub fn fit(&self, layout: Layout, channels: usize) -> Result<Arc<Bundle>> {
        if let Some(bundle) = &self.asked {
            if layout.is_bands() {
                check_fit(bundle, layout, channels).map_err(|e| Error::config("--codec", e))?;
            }
            return Ok(Arc::clone(bundle));
        }
        let (slot, name) = match layout {
            Layout::Gray | Layout::Rgb => (0, "rgb"),
            Layout::Bands { .. } => {
                let reason = format!(
                    "no shipped bundle codes pictures of {channels} bands; fit one to such pictures: \
                     `tamis fit CUBES... -o mine`, then `--codec ./mine`"
                );
                return Err(Error::config("--codec", reason));
            }
            Layout::Audio { .. } if channels.is_multiple_of(2) => (1, "stereo"),
            Layout::Audio { .. } => (2, "mono"),
        };
        if let Some(bundle) = self.shipped[slot].get() {
            return Ok(Arc::clone(bundle));
        }
        let bundle = Arc::new(find_bundle(name)?);
        Ok(Arc::clone(self.shipped[slot].get_or_init(|| bundle)))
    }
}

/// The bundle that was asked for by name or path.
///
/// # Errors
/// `Config` if there is none or it is damaged.
pub fn asked(name: &str) -> Result<Bundle> {
    find_bundle(name).map_err(|e| Error::config("--codec", e))
}
