//! Settings: flags over environment over file over defaults, checked, each error one line.
//!
//! [`Settings`] is plain data with one struct for each section of the file. A new option is a field there, its range in
//! the section's `check`, and its line in `tapspan.example.toml`; its environment variable and `--set` come by
//! themselves. Never reads the environment itself: the caller hands it in.

mod dedup;
mod error;
mod export;
mod file;
mod filter;
mod flow;
mod keys;
mod layer;
mod list;
mod listen;
mod log;
mod port;
mod range;
mod resource;
mod span;
mod tunnel;
pub mod units;
mod worker;

use std::path::Path;

use serde::{Deserialize, Serialize};

pub use dedup::Dedup;
pub use error::{ConfigError, Fault, Origin};
pub use export::{BatchSize, Compression, DestinationConfig, ExportConfig, FileFormat, URL_FORMS};
pub use filter::{FilterConfig, RecordFilterConfig};
pub use flow::{ByteCount, FlowConfig, IdleTimeouts, REPLAY_SEED, Seed, check_timeouts};
pub use layer::{Given, Override};
pub use list::Transport;
pub use listen::{DEFAULT_LISTEN, HttpConfig, Listen};
pub use log::{LogConfig, LogFormat};
pub use port::PortConfig;
pub use resource::ResourceConfig;
pub use span::{EventLevel, SpanConfig};
pub use tunnel::{Encapsulation, TunnelConfig};
pub use worker::{DpdkConfig, Lcores, WorkerConfig};

/// Everything that can be set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The ports to receive on; empty unless set.
    pub port: Vec<PortConfig>,
    /// The cores that poll.
    pub worker: WorkerConfig,
    /// How DPDK is started.
    pub dpdk: DpdkConfig,
    /// The flow tables and their records.
    pub flow: FlowConfig,
    /// Which encapsulations are entered.
    pub tunnel: TunnelConfig,
    /// Which packets are looked at, and which records are exported.
    pub filter: FilterConfig,
    /// What spans carry.
    pub span: SpanConfig,
    /// Where spans go.
    pub export: ExportConfig,
    /// The control endpoint.
    pub http: HttpConfig,
    /// The program's own log.
    pub log: LogConfig,
    /// Attributes of the resource.
    pub resource: ResourceConfig,
}

/// Settings, and what to tell the operator about them once there is a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The settings, checked.
    pub settings: Settings,
    /// One line each: things that are not wrong but probably not meant.
    pub warnings: Vec<String>,
}

/// Reads the settings: defaults, then `file`, then `environment` (all of it; what is not for tapspan is passed over),
/// then `flags`, each over the one before.
///
/// # Errors
/// The first setting that cannot be used, in that order.
pub fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
    flags: &[Override],
) -> Result<Loaded, ConfigError> {
    let mut settings = match file {
        Some(path) => file::read(path)?,
        None => Settings::default(),
    };
    let (variables, mut warnings) = layer::from_environment(environment);
    for setting in variables.iter().chain(flags) {
        settings = setting.apply(&settings)?;
    }
    port::name_all(&mut settings.port);
    settings.check_together().map_err(|fault| ConfigError::Value { origin: Origin::Combined, fault })?;
    warnings.extend(settings.http.listen.warning());
    Ok(Loaded { settings, warnings })
}

impl Settings {
    /// Reads the text of a settings file, without environment and flags; `path` is for errors.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn from_toml(text: &str, path: &Path) -> Result<Settings, ConfigError> {
        file::parse(text, path)
    }

    /// Checks each setting by itself.
    fn check(&self) -> Result<(), Fault> {
        self.port.iter().enumerate().try_for_each(|(index, port)| port.check(index))?;
        self.worker.check()?;
        self.flow.check()?;
        self.tunnel.check()?;
        self.filter.check()?;
        self.span.check()?;
        self.export.check()?;
        self.log.check()?;
        self.resource.check()
    }

    /// Checks what depends on several settings, once all of them are known.
    fn check_together(&self) -> Result<(), Fault> {
        port::check_together(&self.port)?;
        self.tunnel.check_together()?;
        self.export.check_together()
    }
}
