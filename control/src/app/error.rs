//! Why the program ends early: one line, and the exit code that goes with it.

use std::process::ExitCode;

use crate::config::ConfigError;
use crate::export::{SettingError, StartError};
use crate::http::ListenError;
use crate::span::resource::ResourceError;

/// What ended the program.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A setting cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A setting of a destination cannot be used.
    #[error(transparent)]
    Export(#[from] SettingError),
    /// The operator's resource attributes cannot be read.
    #[error(transparent)]
    Resource(#[from] ResourceError),
    /// The exporter did not start.
    #[error(transparent)]
    Exporter(#[from] StartError),
    /// The control endpoint did not start.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The flow tables do not fit.
    #[error(transparent)]
    Memory(#[from] flowtable::MemoryError),
    /// A port or the EAL did not start.
    #[cfg(feature = "dpdk")]
    #[error(transparent)]
    Dpdk(#[from] dataplane::dpdk::DpdkError),
    /// A setting needs another one.
    #[error("{0}")]
    Usage(String),
    /// Something went wrong on the way; the text says what to do.
    #[error("{0}")]
    Failed(String),
}

impl AppError {
    /// 2 for settings and the command line, 1 for everything else.
    pub fn exit_code(&self) -> ExitCode {
        let settings = matches!(
            self,
            AppError::Config(_)
                | AppError::Export(_)
                | AppError::Exporter(StartError::Setting(_))
                | AppError::Resource(_)
                | AppError::Usage(_)
        );
        if settings { ExitCode::from(ConfigError::EXIT_CODE) } else { ExitCode::FAILURE }
    }
}
