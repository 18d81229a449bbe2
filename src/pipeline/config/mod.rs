//! What a config says: lines, and what they share, in TOML.

mod build;
mod check;
mod late;
mod mqtt;
mod store;
mod stream;
mod units;
mod uplink;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

pub use build::Place;
pub use mqtt::{BrokerAddress, MqttConfig};
pub use store::{StepConfig, StoreConfig};
pub use stream::{
    BudgetConfig, CodecConfig, InferConfig, RawConfig, Restart, ScheduleConfig, SinkConfig,
    SourceConfig, StageConfig, StreamConfig,
};
pub use units::{Rate, Size, Time};
pub use uplink::UplinkConfig;

use super::line::Full;
use crate::codec::read_file;
use crate::error::{Error, Result};

/// Largest config read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// All that one process does.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The lines, by different names.
    pub streams: Vec<StreamConfig>,
    /// Where lines store what cannot be sent yet, or should stay.
    pub store: Option<StoreConfig>,
    /// Where what is stored is sent.
    pub uplink: Option<UplinkConfig>,
    /// Where events and status are published.
    pub mqtt: Option<MqttConfig>,
    /// Pages of health, accounts and what is seen.
    pub http: Option<HttpConfig>,
    /// What the process does when something hangs or it is told to end.
    pub limits: LimitsConfig,
}

/// Pages of health, accounts and what is seen.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// Address and port.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// File with the token that every page then asks for; needed at other addresses than those of this machine.
    pub token_file: Option<PathBuf>,
}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Stages that take longer for what they have are left behind, and their line begins again.
    pub hang: Time,
    /// What sources have to end when they are told to.
    pub drain: Time,
    /// A stream without a frame for so long is not ready.
    pub silence: Time,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        let time = |s| Time(Duration::from_secs(s));
        Self { hang: time(30), drain: time(5), silence: time(10) }
    }
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8747))
}

/// A config as it is written: with one line, its tables may stand at the top.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    source: Option<SourceConfig>,
    #[serde(default)]
    stage: Vec<StageConfig>,
    codec: Option<CodecConfig>,
    infer: Option<InferConfig>,
    #[serde(default)]
    sink: Vec<SinkConfig>,
    batch: Option<usize>,
    queue: Option<Full>,
    schedule: Option<ScheduleConfig>,
    budget: Option<BudgetConfig>,
    restart: Option<Restart>,
    #[serde(default)]
    stream: Vec<StreamConfig>,
    store: Option<StoreConfig>,
    uplink: Option<UplinkConfig>,
    mqtt: Option<MqttConfig>,
    http: Option<HttpConfig>,
    #[serde(default)]
    limits: LimitsConfig,
}

impl Written {
    fn config(self) -> Result<Config> {
        let mut streams = self.stream;
        let top = self.source.is_some()
            || self.codec.is_some()
            || self.infer.is_some()
            || self.schedule.is_some()
            || self.budget.is_some()
            || self.batch.is_some()
            || self.queue.is_some()
            || self.restart.is_some()
            || !(self.sink.is_empty() && self.stage.is_empty());
        if top && !streams.is_empty() {
            let reason = "stands beside [[stream]]; move it into one of them";
            return Err(Error::config("a key of one line", reason));
        }
        if streams.is_empty() {
            let need = |what| Error::config(what, "is missing; or lines as [[stream]]");
            streams.push(StreamConfig {
                name: stream::default_name(),
                source: self.source.ok_or_else(|| need("source"))?,
                stage: self.stage,
                codec: self.codec.ok_or_else(|| need("codec"))?,
                infer: self.infer,
                sink: self.sink,
                batch: self.batch.unwrap_or_else(stream::default_batch),
                queue: self.queue,
                schedule: self.schedule,
                budget: self.budget.unwrap_or_default(),
                restart: self.restart,
            });
        }
        let Self { store, uplink, mut mqtt, http, limits, .. } = self;
        if let (Some(mqtt), Some(uplink)) = (&mut mqtt, &uplink) {
            mqtt.device.get_or_insert_with(|| uplink.device.clone());
        }
        Ok(Config { streams, store, uplink, mqtt, http, limits })
    }
}

impl Config {
    /// Reads a config file.
    ///
    /// # Errors
    /// `Io` if it cannot be read, `Config` with file, line and reason if it is wrong.
    pub fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let bytes = read_file(path, MAX_BYTES).map_err(|e| match e {
            Error::Io { .. } => e,
            Error::Input { reason, .. } => Error::config(&name, reason),
            other => Error::config(&name, other),
        })?;
        let text = String::from_utf8(bytes)
            .map_err(|e| Error::config(&name, format!("{e}; a config is UTF-8 text")))?;
        Self::parse(&text, &name)
    }

    /// Reads a config that errors call `name`.
    ///
    /// # Errors
    /// `Config` with name, line and reason if it is wrong.
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        let written: Written = toml::from_str(text).map_err(|e| {
            let before = e.span().map_or(0, |s| s.start.min(text.len()));
            let line = text.as_bytes()[..before].iter().filter(|&&b| b == b'\n').count() + 1;
            Error::config(format!("{name}:{line}"), super::hint::with_hint(e.message()))
        })?;
        let checked = written.config().and_then(|config| check::check(&config).map(|()| config));
        checked.map_err(|e| match e {
            Error::Config { at, reason } => Error::config(format!("{name}: {at}"), reason),
            other => Error::config(name, other),
        })
    }
}
