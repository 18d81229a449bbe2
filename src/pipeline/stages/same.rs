//! Packets of one codec.

use std::sync::Arc;

use crate::codec::{Bundle, CodecId};
use crate::error::Result;
use crate::pipeline::item::{Item, Parts};
use crate::pipeline::line::Stage;

/// Loses packets that another codec made: their groups are other channels.
#[derive(Debug)]
pub struct Same {
    bundle: Arc<Bundle>,
    codec: CodecId,
}

impl Same {
    /// Lets packets of `bundle` pass.
    pub fn new(bundle: Arc<Bundle>) -> Self {
        Self { codec: bundle.codec_id(), bundle }
    }
}

impl Stage for Same {
    fn name(&self) -> &str {
        "same"
    }

    fn needs(&self) -> Parts {
        Parts::PACKET
    }

    fn makes(&self) -> Parts {
        Parts::NONE
    }

    fn run(&mut self, batch: &mut [Item]) -> Result<()> {
        for item in batch {
            match &item.header {
                Some(header) if header.codec == self.codec => {}
                Some(header) => {
                    let (made, ours) = (&header.bundle, &self.bundle.card.name);
                    let why = format!(
                        "was made with {made:?} (codec {}), the config says {ours:?} (codec {})",
                        header.codec, self.codec
                    );
                    item.lose("codec", why);
                }
                None => item.lose("codec", "the packet's stream has no header"),
            }
        }
        Ok(())
    }
}
