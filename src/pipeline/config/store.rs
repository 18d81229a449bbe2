//! What a config says of the store.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;

use super::units::{Size, Time};
use crate::error::{Error, Result};
use crate::pipeline::store::{Policy, RealDisk, Recovered, Settings, Store};

/// Smallest segment, and smallest store of a few.
const SEGMENT: u64 = 1 << 16;
const QUOTA: u64 = 1 << 20;

/// Streams on disk, in segments.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// Its folder; made if it is not there.
    pub folder: PathBuf,
    /// What all its files may take; 1 GiB if nothing is said.
    pub quota: Option<Size>,
    /// What stays free on the disk; 128 MiB if nothing is said.
    pub keep_free: Option<Size>,
    /// What is given up when one of both is reached: `oldest`, `deny` or `thin`.
    #[serde(default)]
    pub policy: Policy,
    /// Where a segment ends, by its size or its age: 16 MiB and a minute.
    pub segment: Option<Size>,
    /// See `segment`.
    pub segment_time: Option<Time>,
    /// What a power cut may cost at most: 500 ms.
    pub sync: Option<Time>,
    /// Older segments keep fewer groups.
    #[serde(default)]
    pub staircase: Vec<StepConfig>,
}

/// A step of the staircase.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepConfig {
    /// Age from which on it holds.
    pub after: Time,
    /// Groups that are kept; 0 removes segments.
    pub groups: usize,
}

impl StoreConfig {
    /// What the store is told.
    ///
    /// # Errors
    /// `Config` if a size is none that a store can have.
    pub fn settings(&self) -> Result<Settings> {
        let usual = Settings::default();
        let settings = Settings {
            segment_bytes: self.segment.map_or(usual.segment_bytes, |s| s.0),
            segment_time: self.segment_time.map_or(usual.segment_time, |t| t.0),
            sync: self.sync.map_or(usual.sync, |t| t.0),
            quota_bytes: self.quota.map_or(usual.quota_bytes, |s| s.0),
            keep_free_bytes: self.keep_free.map_or(usual.keep_free_bytes, |s| s.0),
            policy: self.policy,
            staircase: self.staircase.iter().map(|s| (s.after.0, s.groups)).collect(),
        };
        let least = |at: &str, bytes: u64, least: u64| match bytes < least {
            true => Err(Error::config(at, format!("{bytes} bytes; at least {least} are needed"))),
            false => Ok(()),
        };
        least("store.segment", settings.segment_bytes, SEGMENT)?;
        least("store.quota", settings.quota_bytes, QUOTA)?;
        if settings.segment_time.is_zero() {
            return Err(Error::config("store.segment_time", "0; a second or more is useful"));
        }
        Ok(settings)
    }

    /// Opens the store, with what a crash left closed.
    ///
    /// # Errors
    /// As [`Store::open`], and as [`Self::settings`].
    pub fn open(&self) -> Result<(Arc<Store>, Vec<Recovered>)> {
        Store::open(&self.folder, self.settings()?, Arc::new(RealDisk::default()))
    }
}
